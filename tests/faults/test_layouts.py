"""A warehouse of an older Tolok is brought forward, after a copy of it was kept; one of a newer Tolok, or a damaged one, is left alone.

`layout_v1.json` holds the tables as the first release declared them; it is history, and is not changed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from assets.ledgers import LEDGERS
from assets.publish import FIRST_PUBLISHED
from checks.gate import CHECK_RESULT
from pipelines import migrations
from pipelines.migrations import LATEST, STEPS
from pipelines.night import RUN
from pipelines.stamps import STAMP
from pipelines.warehouse import CHANGE, CONSUMED, FORMAT, SCHEMAS, Warehouse, WarehouseError, ensure, unusable
from tests.support.content import every_table
from tests.support.whole import ROOT

pytestmark = pytest.mark.slow
V1 = json.loads(Path(__file__).with_name("layout_v1.json").read_text(encoding="utf-8"))
DECLARED = {table.name: table for table in (*every_table(), *LEDGERS, STAMP, CHECK_RESULT, RUN, FIRST_PUBLISHED, CHANGE, CONSUMED, FORMAT)}
RUNS = "INSERT INTO meta.run (run_id, started_at, ended_at, kind) VALUES ('a', '2026-01-01', '2026-01-01', 'night'), ('b', '2026-01-02', NULL, 'night')"


class Usage(NamedTuple):
    """What the system says of a disk."""

    total: int
    used: int
    free: int


@pytest.fixture
def of_v1(tmp_path: Path) -> Warehouse:
    """A warehouse as the first release left it, with two runs, one of which had died."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA {schema}")
        for name, columns in V1.items():
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        connection.execute("CREATE SEQUENCE meta.change_ids")
        connection.execute("INSERT INTO meta.format VALUES (1)")
        connection.execute(RUNS)
    return Warehouse(path)


def layout(connection: duckdb.DuckDBPyConnection, name: str) -> set[tuple[str, str]]:
    return {(str(column), str(type_)) for column, type_, *_ in connection.execute(f"DESCRIBE {name}").fetchall()}


def version(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as connection:
        return int(connection.execute("SELECT version FROM meta.format").fetchall()[0][0])


def test_the_steps_bring_every_table_of_the_first_layout_to_what_is_declared_today(of_v1: Warehouse) -> None:
    """Whoever changes the columns of a table writes a step: this fails until then."""
    with of_v1.open() as connection, Warehouse(of_v1.path.with_name("fresh.duckdb")).open() as fresh:
        for name, table in DECLARED.items():
            ensure(connection, table)
            ensure(fresh, table)
            assert layout(connection, name) == layout(fresh, name), f"{name} changed: write a step in pipelines/migrations.py"


def test_an_older_warehouse_is_brought_forward_after_a_copy_was_kept(of_v1: Warehouse) -> None:
    before = of_v1.path.read_bytes()
    with of_v1.open() as connection:
        found = connection.execute("SELECT run_id, outcome FROM meta.run ORDER BY 1").fetchall()
        comment = connection.execute("SELECT comment FROM duckdb_columns() WHERE table_name = 'run' AND column_name = 'outcome'").fetchall()
    assert found == [("a", "ended"), ("b", "died")]
    assert comment == [(RUN.columns[-1].comment,)]
    kept = of_v1.path.with_name("warehouse.v1.duckdb")
    assert kept.read_bytes() == before
    assert (version(kept), version(of_v1.path)) == (1, LATEST)
    assert not list(of_v1.path.parent.glob("*.part"))


def test_to_be_brought_forward_twice_changes_nothing(of_v1: Warehouse) -> None:
    with of_v1.open():
        pass
    kept = of_v1.path.with_name("warehouse.v1.duckdb").stat()
    with of_v1.open() as connection:
        before = [connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in V1]
        for step in STEPS:
            for work in step.work:
                work(connection)
        assert [connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in V1] == before
    assert of_v1.path.with_name("warehouse.v1.duckdb").stat() == kept


@pytest.mark.parametrize("place", ["pipelines.migrations.fill", "shutil.copyfile", "os.fsync"])
def test_a_process_killed_on_the_way_forward_leaves_the_old_layout_and_the_next_one_goes_the_whole_way(
    place: str, of_v1: Warehouse
) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from pipelines import migrations
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2].endswith("fill"):
    works = migrations.STEPS[-1].work
    object.__setattr__(migrations.STEPS[-1], "work", (*works, die))
elif sys.argv[2] == "os.fsync":
    os.fsync = die
else:
    import shutil
    def half(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:5000]); die()
    shutil.copyfile = half
from pipelines.warehouse import Warehouse
with Warehouse(Path(sys.argv[1])).open():
    pass
"""
    told = subprocess.run([sys.executable, "-c", script, str(of_v1.path), place], cwd=ROOT, check=False)
    assert told.returncode == -signal.SIGKILL
    assert version(of_v1.path) == 1
    with of_v1.open() as connection:
        assert connection.execute("SELECT outcome FROM meta.run ORDER BY run_id").fetchall() == [("ended",), ("died",)]
    assert version(of_v1.path) == LATEST
    assert version(of_v1.path.with_name("warehouse.v1.duckdb")) == 1
    assert not list(of_v1.path.parent.glob("*.part"))


def test_without_room_for_the_copy_nothing_is_changed(of_v1: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 2**20))
    with (
        pytest.raises(WarehouseError, match=r"there is no room for the copy that is kept of it: .* MB are needed, 1 MB are free"),
        of_v1.open(),
    ):
        pass
    assert version(of_v1.path) == 1
    assert [path.name for path in of_v1.path.parent.iterdir()] == ["warehouse.duckdb"]


def test_a_step_that_fails_takes_none(of_v1: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("SELECT * FROM meta.there_is_no_such_table")

    monkeypatch.setattr(migrations, "STEPS", (*STEPS, migrations.Step(LATEST + 1, "It breaks.", (broken,))))
    with pytest.raises(duckdb.CatalogException), of_v1.open():
        pass
    assert version(of_v1.path) == 1


def test_steps_are_in_order_and_each_says_what_it_does() -> None:
    assert [step.version for step in STEPS] == list(range(2, LATEST + 1))
    assert all(step.sentence.endswith(".") and step.work for step in STEPS)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_warehouse_of_a_newer_tolok_is_refused_and_left_as_it_is(tmp_path: Path, read_only: bool) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.open() as connection:
        connection.execute("UPDATE meta.format SET version = 99")
    before = warehouse.path.read_bytes()
    with pytest.raises(WarehouseError, match=r"written by a newer Tolok \(layout 99"), warehouse.open(read_only=read_only):
        pass
    assert warehouse.path.read_bytes() == before


def spoilt(path: Path, how: str) -> None:
    if how == "cut short":
        os.truncate(path, 5000)
    elif how == "something else":
        path.write_bytes(b"PK\x03\x04" * 3000)
    else:
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(b"x" * 8000)


@pytest.mark.parametrize("how", ["cut short", "something else", "overwritten"])
def test_a_damaged_warehouse_is_left_as_it_is_and_the_sentence_says_what_to_do(how: str, of_v1: Warehouse) -> None:
    spoilt(of_v1.path, how)
    before = of_v1.path.read_bytes()
    with pytest.raises(WarehouseError, match=r"is damaged .* Move the file and its .wal away, do not delete them"), of_v1.open():
        pass
    assert of_v1.path.read_bytes() == before


@pytest.fixture
def died(tmp_path: Path) -> Warehouse:
    """A warehouse whose process was killed after five commits, none of which had reached the file itself."""
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.open() as connection:
        connection.execute("CREATE TABLE meta.t (a INTEGER)")
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "[(c.begin(), c.execute('INSERT INTO meta.t SELECT ? FROM range(100)', [i]), c.commit()) for i in range(5)]; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(warehouse.path)], check=False)
    return warehouse


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_log_whose_last_entry_was_cut_short_gives_every_commit_before_it_whole(cut: int, died: Warehouse) -> None:
    log = died.path.with_name(f"{died.path.name}.wal")
    os.truncate(log, log.stat().st_size - cut)
    with died.open() as connection:
        found = connection.execute("SELECT a, count(*) FROM meta.t GROUP BY a ORDER BY a").fetchall()
    assert found == [(number, 100) for number in range(4 if cut else 5)]


def test_a_warehouse_killed_in_the_moment_of_its_making_is_made_again(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.path.touch()
    with warehouse.open():
        pass
    assert version(warehouse.path) == LATEST


def test_a_layout_that_was_cut_short_is_laid_out_again(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE SCHEMA meta")
        ensure(connection, FORMAT)
    with warehouse.open() as connection:
        assert connection.execute("FROM meta.format").fetchall() == [(LATEST,)]
        assert connection.execute("SELECT nextval('meta.change_ids')").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "is full"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "quota"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "ulimit -f"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "mounted read-only"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), "may not be written by the user"),
        (ExceptionGroup("several", [ValueError("x"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]), "is full"),
        (duckdb.TransactionException('Failed to commit: Could not write file "w": No space left on device'), "is full"),
        (duckdb.IOException('Cannot open file "w": Read-only file system'), "mounted read-only"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_system_says_of_a_home_that_takes_nothing_more_becomes_a_sentence(failure: Exception, said: str, tmp_path: Path) -> None:
    sentence = unusable(failure, tmp_path)
    assert sentence is not None
    assert said in sentence
    assert str(tmp_path) in sentence
    assert "run again" in sentence


@pytest.mark.parametrize("failure", [ValueError("No"), OSError(errno.ECONNRESET, "reset"), duckdb.ConstraintException("NOT NULL")])
def test_a_fault_of_ours_is_not_taken_for_one_of_the_disk(failure: Any, tmp_path: Path) -> None:
    assert unusable(failure, tmp_path) is None


def test_the_copy_can_be_put_back(of_v1: Warehouse) -> None:
    with of_v1.open():
        pass
    shutil.copyfile(of_v1.path.with_name("warehouse.v1.duckdb"), of_v1.path)
    assert version(of_v1.path) == 1
    with of_v1.open():
        pass
    assert version(of_v1.path) == LATEST
