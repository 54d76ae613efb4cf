"""The steps of a run share what they have computed of the tables, until anybody else has written the warehouse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from pipelines import stamps
from pipelines.stamps import Seen, session
from pipelines.tables import Table, key
from pipelines.warehouse import Warehouse, ensure

NOW = datetime(2026, 1, 12, tzinfo=UTC)
THING = Table(
    "staging.thing",
    "One row per thing.",
    (key("institution_id", "VARCHAR", "The institution"), key("day", "DATE", "The day"), key("count", "BIGINT", "How many")),
    key=("institution_id", "day"),
    day="day",
)
CHANGE = "UPDATE staging.thing SET count = count + 1 WHERE day = DATE '2026-01-02'"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse with one approved table."""
    found = Warehouse(tmp_path / "warehouse.duckdb")
    with found.open() as connection:
        ensure(connection, THING)
        connection.execute("INSERT INTO staging.thing SELECT 'i', DATE '2026-01-01' + d::INTEGER, d FROM range(60) AS days(d)")
        stamps.approve(connection, THING, "i", NOW, "first")
    return found


@pytest.fixture
def passes() -> Iterator[Callable[[], int]]:
    """How often a table was read."""
    with patch.object(stamps, "_computed", wraps=stamps._computed) as computed:
        yield lambda: int(computed.call_count)


def step(warehouse: Warehouse, seen: Seen) -> list[stamps.Stamp]:
    with session(warehouse, seen) as connection:
        return stamps.unapproved(connection, [THING], "i", seen)


def test_the_steps_of_a_run_read_a_table_once_though_they_write_to_the_record(warehouse: Warehouse, passes: Callable[[], int]) -> None:
    seen = Seen()
    assert step(warehouse, seen) == []
    with session(warehouse, seen) as connection:
        stamps.approve(connection, THING, "i", NOW, "second", seen)
    assert step(warehouse, seen) == []
    assert step(warehouse, seen) == []
    assert passes() == 1


def by_us(path: Path) -> None:
    with Warehouse(path).open() as connection:
        connection.execute(CHANGE)


def by_a_connection_of_its_own(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(CHANGE)


def by_another_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r}).execute({CHANGE!r})"], check=True)


def by_a_process_that_died(path: Path) -> None:
    script = f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute({CHANGE!r}); os._exit(1)"
    subprocess.run([sys.executable, "-c", script], check=False)
    assert path.with_name(f"{path.name}.wal").exists()


def with_the_time_put_back(path: Path) -> None:
    told = path.stat()
    by_us(path)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


@pytest.mark.slow
@pytest.mark.parametrize("change", [by_us, by_a_connection_of_its_own, by_another_process, by_a_process_that_died, with_the_time_put_back])
def test_a_change_from_any_other_door_is_seen_by_the_next_step(warehouse: Warehouse, change: Callable[[Path], None]) -> None:
    seen = Seen()
    assert step(warehouse, seen) == []
    change(warehouse.path)
    assert {stamp.table_name for stamp in step(warehouse, seen)} == {"staging.thing"}


def test_a_step_that_fails_vouches_for_nothing(warehouse: Warehouse, passes: Callable[[], int]) -> None:
    seen = Seen()
    assert step(warehouse, seen) == []
    with pytest.raises(ZeroDivisionError), session(warehouse, seen):
        raise ZeroDivisionError
    assert step(warehouse, seen) == []
    assert passes() == 2


def test_without_what_was_seen_a_table_is_read_each_time(warehouse: Warehouse, passes: Callable[[], int]) -> None:
    for _ in range(2):
        with warehouse.open() as connection:
            assert stamps.unapproved(connection, [THING], "i") == []
    assert passes() == 2


@pytest.mark.slow
def test_nobody_else_can_write_while_a_step_is_at_work(warehouse: Warehouse) -> None:
    seen = Seen()
    for _ in range(2):
        with session(warehouse, seen) as connection:
            stamps.unapproved(connection, [THING], "i", seen)
            script = f"import duckdb; duckdb.connect({str(warehouse.path)!r})"
            told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
            assert "lock" in told.stderr
