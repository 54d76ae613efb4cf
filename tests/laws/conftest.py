"""Homes that several laws start from: ten sandbox nights landed, one of them missed, and the eleventh with everything derived.

Not here: how nights are played (tests/support/nights.py). A law that changes a home changes a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.house import House
from pipelines.reference import write_reference
from sandbox.facts import PLATFORMS
from sandbox.server import Running
from tests.support.frames import Frames, compute_all, inputs_of
from tests.support.nights import INSTITUTION, copy_home, derive, instant, institutions_of, make_home, nights, play

LAST = 10
MISSED = 5
Copy = Callable[[House], House]


@pytest.fixture(scope="session")
def before_last(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Nights 0 to 9 but one fetched and landed; nothing derived but what the settings say."""
    one_sandbox.faults([])
    house = make_home(tmp_path_factory.mktemp("before") / "home", one_sandbox.url)
    for number in range(LAST):
        if number != MISSED:
            play(house, one_sandbox, instant(number), f"night-{number:03}")
    with house.warehouse.open() as connection:
        write_reference(connection, institutions_of(house)[INSTITUTION])
    return house


@pytest.fixture(scope="session")
def undisturbed(before_last: House, one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same with night 10, derived at its end."""
    house = copy_home(before_last, tmp_path_factory.mktemp("undisturbed") / "home")
    one_sandbox.faults([])
    play(house, one_sandbox, instant(LAST), f"night-{LAST:03}")
    derive(house, f"night-{LAST:03}")
    return house


@pytest.fixture(scope="session")
def six(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same nights of all six platforms, derived at their end."""
    one_sandbox.faults([])
    house = make_home(tmp_path_factory.mktemp("six") / "home", one_sandbox.url, platforms=PLATFORMS)
    nights(house, one_sandbox, 0, LAST + 1, skip=(MISSED,))
    return house


@pytest.fixture(scope="session")
def frames(undisturbed: House) -> Frames:
    """What its transforms are made from and what they give, in memory."""
    return compute_all(inputs_of(undisturbed, INSTITUTION))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Makes a copy of a home that a test may change."""
    return lambda house: copy_home(house, tmp_path / "copy")
