"""What every test gets: the simulated world, and one sandbox for all.

Not here: helpers (support/), and the homes that some laws share (laws/conftest.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import Running, start
from sandbox.world import World
from tests.support.played import PlayedHome
from tests.support.played import play as play_demo


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever looks at the whole demo needs the patience to play it."""
    for item in items:
        if {"full_demo", "published_file", "ui"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def the_world() -> World:
    """The simulated institution by its usual seed; it is never changed."""
    return World(7)


@pytest.fixture(scope="session")
def one_sandbox() -> Iterator[Running]:
    """The platforms in a second process."""
    with start(seed=7) as running:
        yield running


@pytest.fixture
def sandbox(one_sandbox: Running) -> Running:
    """The platforms without faults."""
    one_sandbox.faults([])
    return one_sandbox


@pytest.fixture(scope="session")
def full_demo(tmp_path_factory: pytest.TempPathFactory) -> PlayedHome:
    """All nights of the demo, the last two through Dagster: about a minute and a half. No test changes it."""
    return play_demo(tmp_path_factory.mktemp("demo") / "home", nights=None)
