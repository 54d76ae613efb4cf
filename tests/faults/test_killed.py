"""A night that is killed at any point, and run again, ends as if nothing had been; whoever reads the published file never notices.

Not here: how it is killed (child.py).
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.house import House
from sandbox.server import Running
from tests.faults.child import POINTS
from tests.faults.conftest import Copy
from tests.support.nights import INSTITUTION, copy_home
from tests.support.whole import assert_same, published_file, reader, runs, signature, steps, typed

pytestmark = pytest.mark.slow

NAMES = list(POINTS)
BEFORE_PUBLISH = NAMES[: NAMES.index("before-publish")]
WHILE_PUBLISHING = NAMES[NAMES.index("before-publish") + 1 :]


def kill(house: House, point: str) -> None:
    """Run the night in a process of its own, which must die there."""
    told = typed(house, "run", killed_at=point)
    assert told.returncode == -signal.SIGKILL, f"{point} was not reached: {told.stdout} {told.stderr}"


@pytest.fixture(scope="module")
def audited(night_due: House, one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A night killed between its check and its publishing."""
    house = copy_home(night_due, tmp_path_factory.mktemp("audited") / "home")
    one_sandbox.faults([])
    one_sandbox.set_now(house.clock.now())
    kill(house, "before-publish")
    return house


def heals(house: House, undisturbed: House, before: House) -> None:
    """Run again at the same instant, in this process; then everything is as without the kill, and the dead run is told of."""
    known = set(runs(before))
    dead = set(runs(house)) - known
    steps(house, "rerun")
    assert_same(house, undisturbed)
    found = runs(house)
    assert {found[run] for run in dead} == {(None, "died")}
    assert found["rerun"][1] == "whole"


@pytest.mark.parametrize("point", BEFORE_PUBLISH)
def test_a_night_killed_before_its_audit_ends_heals(point: str, night_due: House, undisturbed: House, at_last: Running, copy: Copy) -> None:
    del at_last
    house = copy(night_due)
    path = published_file(house, INSTITUTION)
    with reader(path) as told:
        kill(house, point)
        heals(house, undisturbed, night_due)
    _read_throughout(told.reads, told.errors, told.versions, house, night_due)


@pytest.mark.parametrize("point", ["before-publish", *WHILE_PUBLISHING])
def test_a_night_killed_while_it_publishes_heals(
    point: str, audited: House, night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    del at_last
    house = copy(audited)
    path = published_file(house, INSTITUTION)
    with reader(path) as told:
        if point != "before-publish":
            kill(house, point)
        heals(house, undisturbed, night_due)
    _read_throughout(told.reads, told.errors, told.versions, house, night_due)


def _read_throughout(reads: int, errors: list[str], versions: list[str], house: House, before: House) -> None:
    assert errors == []
    assert reads > 10
    old, new = (signature(published_file(one, INSTITUTION)) for one in (before, house))
    assert old != new
    assert set(versions) <= {old, new}
    assert versions[0] == old


def test_the_command_that_died_is_the_command_that_heals(night_due: House, undisturbed: House, at_last: Running, tmp_path: Path) -> None:
    """The other tests run again without Dagster, which is quicker; here the same command is typed twice."""
    del at_last
    house = copy_home(night_due, tmp_path / "home")
    kill(house, "mid-merge")
    told = typed(house, "run")
    assert told.returncode == 0, told.stdout + told.stderr
    assert_same(house, undisturbed)
    assert sorted(how or "" for _, how in runs(house).values()) == ["died", "whole", "whole"]
