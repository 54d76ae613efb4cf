"""What every test gets: the simulated world, and one sandbox for all.

Not here: helpers (support/), and the homes that some laws share (laws/conftest.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import Running, start
from sandbox.world import World


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
