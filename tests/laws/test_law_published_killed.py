"""A publish that is killed at any of its writes leaves a file that opens, and the next one brings everything to where it belongs.

Not here: kills of the other steps of a night (tests/faults).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from pipelines.house import House
from pipelines.warehouse import Warehouse
from tests.laws.conftest import Copy
from tests.laws.test_law_published_increments import assert_sums, beside, file_of
from tests.support.approved import publish_approved, shown

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# The child counts what it does to files, and dies before the given one; without a number it tells them.
CHILD = """
import os, pathlib, signal, sys
import duckdb
from pipelines.warehouse import Warehouse
from tests.support.approved import publish_approved
warehouse, folder, last = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
done = []
def counted(name, real):
    def act(first, *rest, **options):
        done.append(f"{name} {pathlib.Path(first).name}")
        if len(done) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(first, *rest, **options)
    return act
with Warehouse(pathlib.Path(warehouse)).open() as connection:
    pathlib.Path.replace = counted("replace", pathlib.Path.replace)
    pathlib.Path.unlink = counted("unlink", pathlib.Path.unlink)
    os.link = counted("link", os.link)
    print(publish_approved(connection, folder).outcome)
print("\\n".join(done))
"""


@dataclass(frozen=True)
class Stage:
    """A warehouse with something new, the folder as it was published before, and what a publish without trouble makes of it."""

    warehouse: Path
    before: Path
    after: Path
    writes: list[str]


def child(warehouse: Path, folder: Path, last: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(warehouse), str(folder), str(last)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def stage(undisturbed: House, copy: Copy, tmp_path: Path) -> Stage:
    house = copy(undisturbed)
    before, after = tmp_path / "before", tmp_path / "after"
    with house.warehouse.open() as connection:
        connection.execute("INSERT INTO staging.account_days BY NAME SELECT * REPLACE (day - 60 AS day) FROM staging.account_days")
        publish_approved(connection, before)
        connection.execute("DELETE FROM staging.account_days WHERE day < DATE '2025-12-15'")
        connection.execute("UPDATE staging.post_days SET reactions = coalesce(reactions, 0) + 3 WHERE day = DATE '2026-01-02'")
        connection.execute("UPDATE goals.goal_scorecard SET n = n + 1 WHERE n IS NOT NULL")
    shutil.copytree(before, after)
    warehouse = tmp_path / "spent.duckdb"
    shutil.copy(house.warehouse.path, warehouse)
    told = child(warehouse, after, 0)
    assert told.returncode == 0, told.stderr
    outcome, *writes = told.stdout.splitlines()
    assert outcome == "published"
    return Stage(house.warehouse.path, before, after, writes)


def test_a_publish_that_is_killed_before_any_of_its_writes_is_healed_by_the_next(stage: Stage, tmp_path: Path) -> None:
    expected, expected_beside = shown(file_of(stage.after)), beside(stage.after)
    outcomes: dict[str, str] = {}
    # All until the record of the new database, then each fifth of the many Parquet files, then all from the package's description on.
    middle = range(stage.writes.index("replace tolok.duckdb.draft") + 2, stage.writes.index("replace datapackage.json.part"))
    for number, write in enumerate(stage.writes, 1):
        if number - 1 in middle and number % 5:
            continue
        folder, warehouse = tmp_path / f"killed-{number}", tmp_path / "warehouse.duckdb"
        shutil.copytree(stage.before, folder)
        shutil.copy(stage.warehouse, warehouse)
        told = child(warehouse, folder, number)
        assert told.returncode == -signal.SIGKILL, (write, told.stderr)
        with duckdb.connect(str(file_of(folder)), read_only=True) as reader:
            assert reader.execute("SELECT count(*) > 0 FROM mart.goal_scorecard").fetchall() == [(True,)], write
        with Warehouse(warehouse).open() as connection:
            outcomes[write] = publish_approved(connection, folder).outcome
            assert shown(file_of(folder))[1] == expected[1], write
            rows = shown(file_of(folder))[0]
            assert [name for name in rows if not rows[name].equals(expected[0][name])] == [], write
            assert beside(folder) == expected_beside, write
            assert_sums(folder)
            assert publish_approved(connection, folder).outcome == "unchanged", write
        shutil.rmtree(folder)
        warehouse.unlink()
    assert outcomes["replace tolok.duckdb.draft"] == "published"
    assert outcomes["replace datapackage.json.part"] == "mended"
    assert outcomes["unlink made.next.json"] == "mended"
    assert set(outcomes.values()) == {"published", "mended"}
