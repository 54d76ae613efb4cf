"""A night that is killed at any point, and run again, ends as if nothing had been; whoever reads the published file never notices.

Not here: how it is killed (child.py).
"""

from __future__ import annotations

import signal
from pathlib import Path

import dagster as dg
import pytest

from pipelines.house import House
from sandbox.server import Running
from tests.faults.child import POINTS
from tests.faults.conftest import Copy
from tests.support.content import content, differences
from tests.support.nights import INSTITUTION, copy_home
from tests.support.whole import assert_same, landed_names, leftovers, owed, published_file, reader, runs, signature, steps, typed

pytestmark = pytest.mark.slow

NAMES = list(POINTS)
UNTIL_AUDIT = NAMES[: NAMES.index("mid-audit")]
WHILE_PUBLISHING = NAMES[NAMES.index("before-publish") + 1 :]


def kill(house: House, point: str, word: str = "run") -> None:
    """Run the night, or its last step, in a process of its own, which must die there."""
    told = typed(house, word, killed_at=point)
    assert told.returncode == -signal.SIGKILL, f"{point} was not reached: {told.stdout} {told.stderr}"


@pytest.fixture(scope="module")
def audited(night_due: House, one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A night killed between its check and its publishing."""
    house = copy_home(night_due, tmp_path_factory.mktemp("audited") / "home")
    one_sandbox.faults([])
    one_sandbox.set_now(house.clock.now())
    kill(house, "before-publish")
    return house


def dead(house: House, before: House) -> set[tuple[object, object]]:
    """How the runs ended that began since."""
    known = runs(before)
    return {ended for run, ended in runs(house).items() if run not in known and run != "rerun"}


@pytest.mark.parametrize("point", UNTIL_AUDIT)
def test_a_night_killed_before_its_audit_heals(point: str, night_due: House, undisturbed: House, at_last: Running, copy: Copy) -> None:
    """Run again as far as there is something to heal: what is audited and published from there is the same as ever."""
    del at_last
    house = copy(night_due)
    path = published_file(house, INSTITUTION)
    with reader(path) as told:
        kill(house, point)
        steps(house, "rerun", publishes=False)
    assert differences(content(house), content(undisturbed)) == {}
    assert owed(house) == []
    assert landed_names(house) == landed_names(undisturbed)
    assert leftovers(house) == []
    assert dead(house, night_due) == {(None, "died")}
    assert (told.errors, told.versions) == ([], [signature(published_file(night_due, INSTITUTION))])
    assert told.reads > 3


@pytest.mark.parametrize("point", ["before-publish", *WHILE_PUBLISHING])
def test_a_night_killed_while_it_publishes_heals(
    point: str, audited: House, night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    del at_last
    house = copy(audited)
    path = published_file(house, INSTITUTION)
    with reader(path) as told:
        if point != "before-publish":
            kill(house, point, "publish")
        steps(house, "rerun")
    assert_same(house, undisturbed)
    assert dead(house, night_due) == {(None, "died")}
    _read_throughout(told.reads, told.errors, told.versions, house, night_due)


def _read_throughout(reads: int, errors: list[str], versions: list[str], house: House, before: House) -> None:
    assert errors == []
    assert reads > 3
    old, new = (signature(published_file(one, INSTITUTION)) for one in (before, house))
    assert old != new
    assert set(versions) <= {old, new}
    assert versions[0] == old


def test_the_command_that_died_twice_is_the_command_that_heals(
    night_due: House, undisturbed: House, at_last: Running, tmp_path: Path
) -> None:
    """The other tests run again without Dagster, which is quicker; here the same command is typed three times."""
    del at_last
    house = copy_home(night_due, tmp_path / "home")
    with reader(published_file(house, INSTITUTION)) as told:
        kill(house, "mid-merge")
        kill(house, "mid-audit")
        healed = typed(house, "run")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert_same(house, undisturbed)
    assert sorted(str(how) for _, how in runs(house).values()) == ["died", "died", "whole", "whole"]
    with dg.DagsterInstance.from_config(str(house.dagster_path)) as history:
        assert sorted(run.status.value for run in history.get_runs()) == ["FAILURE", "FAILURE", "SUCCESS"]
    _read_throughout(told.reads, told.errors, told.versions, house, night_due)
