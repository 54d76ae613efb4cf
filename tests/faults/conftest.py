"""Homes that the faults start from: one whole night published and the next one due. A fault that changes a home changes a copy.

Not here: how nights are played (tests/support/nights.py, whole.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.house import House
from sandbox.server import Running
from tests.support.nights import copy_home, instant, make_home, play, put_clock
from tests.support.whole import whole_night

# The night that goes wrong.
LAST = 3
Copy = Callable[[House], House]


@pytest.fixture(scope="session")
def night_due(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Three nights, the last of them published; the clock stands at the fourth."""
    one_sandbox.faults([])
    house = make_home(tmp_path_factory.mktemp("due") / "home", one_sandbox.url)
    for number in range(LAST - 1):
        play(house, one_sandbox, instant(number), f"night-{number:03}")
    whole_night(house, one_sandbox, instant(LAST - 1), f"night-{LAST - 1:03}")
    put_clock(house, instant(LAST))
    return house


@pytest.fixture(scope="session")
def undisturbed(night_due: House, one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same after a fourth night in which nothing went wrong."""
    house = copy_home(night_due, tmp_path_factory.mktemp("undisturbed") / "home")
    one_sandbox.faults([])
    whole_night(house, one_sandbox, instant(LAST), "undisturbed")
    return house


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Makes a copy of a home that a test may change."""
    return lambda house: copy_home(house, tmp_path / "copy")


@pytest.fixture
def at_last(sandbox: Running) -> Running:
    """The sandbox at the night that goes wrong."""
    sandbox.set_now(instant(LAST))
    return sandbox
