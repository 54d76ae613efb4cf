"""What a table's content is, in one number per institution and month, and which of these were approved.

Not here: who approves (checks/gate.py) and who asks before copying (assets/publish.py).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.tables import Table, key
from pipelines.warehouse import EARLIEST, Warehouse, ensure, transaction

if TYPE_CHECKING:
    import duckdb

STAMP = Table(
    "meta.stamp",
    "One row per table, institution and month whose content was audited and found fit to be published.",
    (
        key("table_name", "VARCHAR", "The table"),
        key("institution_id", "VARCHAR", "The institution"),
        key("month", "DATE", "First day of the month; 1970-01-01 for tables without days"),
        key("schema_hash", "VARCHAR", "MD5 of the columns and their types"),
        key("row_count", "BIGINT", "Rows"),
        key("content_hash", "VARCHAR", "Sum of the rows' hashes, without run_id and as_of"),
        key("approved_at", "TIMESTAMPTZ", "When it was approved"),
        key("run_id", "VARCHAR", "The run that approved it"),
    ),
    key=("table_name", "institution_id", "month"),
)


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """The content of one month of one institution's rows of a table."""

    table_name: str
    institution_id: str
    month: date
    schema_hash: str
    row_count: int
    content_hash: str


# A database file of DuckDB begins with a header and two of these, written in turn: each checkpoint raises the number of one of them.
_HEADERS_AT = (4096, 8192)
_HEADER = struct.Struct("<QQ")
FileState = tuple[int, ...]


@dataclass
class Seen:
    """Stamps of one state of the warehouse's file, for the steps of one run; they hold only as long as nobody has written the file since."""

    state: FileState | None = None
    stamps: dict[tuple[str, str], list[Stamp]] = field(default_factory=dict)


def file_state(descriptor: int, path: Path) -> FileState | None:
    """What any write through DuckDB changes: the numbers of its checkpoints, size, time, inode. None while writes wait in a log beside it."""
    told, there = os.fstat(descriptor), path.stat()
    if path.with_name(f"{path.name}.wal").exists() or told.st_ino != there.st_ino:
        return None
    numbers = [_HEADER.unpack(os.pread(descriptor, _HEADER.size, place))[1] for place in _HEADERS_AT]
    return (*numbers, told.st_size, told.st_mtime_ns, told.st_ino)


@contextmanager
def session(warehouse: Warehouse, seen: Seen) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, open for a step that writes to none of the audited tables and so may vouch for their stamps to the next one.

    What was seen before is forgotten when the file is not as the last such session left it: somebody else, from whichever door, has
    written since. Both states are taken while this connection holds the file, so that no other process can write in between; a second
    connection of the same process could, and nothing here opens one. A session that ends in an exception vouches for nothing.
    """
    before, seen.state = seen.state, None
    if not warehouse.path.exists():
        with warehouse.open():
            pass
    # Opened before DuckDB opens it and closed after: to close a file gives up all locks that this process has on it, DuckDB's too.
    descriptor = os.open(warehouse.path, os.O_RDONLY)
    try:
        with warehouse.open() as connection:
            if before is None or before != file_state(descriptor, warehouse.path):
                seen.stamps.clear()
            yield connection
            # Closing would do the same, but then another process could come between it and the look at the file.
            connection.execute("CHECKPOINT")
            seen.state = file_state(descriptor, warehouse.path)
    finally:
        os.close(descriptor)


def current(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, seen: Seen | None = None) -> list[Stamp]:
    """The stamps of the table as it stands, one per month that has rows; one with 0 rows when it has none.

    The sum of hashes does not depend on the order of rows and, unlike an exclusive or, tells {1, 1, 2} from {2, 5, 5}.
    Inside a `session`, `seen` gives back what the run has computed already.
    """
    if seen is None:
        return _computed(connection, table, institution_id)
    place = (table.name, institution_id)
    if place not in seen.stamps:
        seen.stamps[place] = _computed(connection, table, institution_id)
    return seen.stamps[place]


def _computed(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> list[Stamp]:
    ensure(connection, table)
    month = f"date_trunc('month', {table.day})::DATE" if table.day else f"DATE '{EARLIEST}'"
    found = connection.execute(
        f"SELECT {month} AS month, count(*), sum(hash({', '.join(table.stamped)})::HUGEINT)::VARCHAR "
        f"FROM {table.name} WHERE institution_id = ? GROUP BY 1 ORDER BY 1",
        [institution_id],
    ).fetchall()
    schema = _schema_hash(connection, table)
    return [
        Stamp(table.name, institution_id, month, schema, int(rows), str(content)) for month, rows, content in found or [(EARLIEST, 0, "0")]
    ]


def _schema_hash(connection: duckdb.DuckDBPyConnection, table: Table) -> str:
    described = connection.execute(
        "SELECT md5(string_agg(column_name || ' ' || data_type, ',' ORDER BY column_index)) FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?",
        [table.schema_name, table.short_name],
    ).fetchall()
    return str(described[0][0])


def approved(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> list[Stamp]:
    """The stamps that were approved last."""
    ensure(connection, STAMP)
    found = connection.execute(
        "SELECT table_name, institution_id, month, schema_hash, row_count, content_hash FROM meta.stamp "
        "WHERE table_name = ? AND institution_id = ? ORDER BY month",
        [table.name, institution_id],
    ).fetchall()
    return [Stamp(*row) for row in found]


def unapproved(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], institution_id: str, seen: Seen | None = None
) -> list[Stamp]:
    """Current stamps that nobody approved, over all the tables. A month that was approved and is gone counts too, with 0 rows."""
    found: list[Stamp] = []
    for table in tables:
        now, before = current(connection, table, institution_id, seen), approved(connection, table, institution_id)
        found += sorted(set(now) - set(before))
        gone = {stamp.month for stamp in before} - {stamp.month for stamp in now}
        found += [Stamp(table.name, institution_id, month, now[0].schema_hash, 0, "0") for month in sorted(gone)]
    return found


def approve(  # noqa: PLR0913 what, whose, when and by which run
    connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, at: datetime, run_id: str, seen: Seen | None = None
) -> None:
    """Approve the table as it stands, for one institution."""
    ensure(connection, STAMP)
    stamps = current(connection, table, institution_id, seen)
    with transaction(connection):
        connection.execute("DELETE FROM meta.stamp WHERE table_name = ? AND institution_id = ?", [table.name, institution_id])
        connection.executemany(
            "INSERT INTO meta.stamp VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [[s.table_name, s.institution_id, s.month, s.schema_hash, s.row_count, s.content_hash, at, run_id] for s in stamps],
        )


def refuse(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> None:
    """Take back what was approved, so that nothing of the table can be published until it is audited again."""
    ensure(connection, STAMP)
    connection.execute("DELETE FROM meta.stamp WHERE table_name = ? AND institution_id = ?", [table.name, institution_id])
