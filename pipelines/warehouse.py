"""The warehouse: one private DuckDB file, one writer, and the record of what changed since when.

Not here: what the tables mean (each room declares its own) and how the analysts' file is made (assets/publish.py).
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines import migrations
from pipelines.disk import move, sync
from pipelines.tables import Column, Table, key

SCHEMAS = ("raw", "staging", "indicators", "goals", "ref", "meta")
EARLIEST = date(1970, 1, 1)
FORMAT_VERSION = migrations.LATEST
# Below this a second thread costs more than it brings: a night lands in 0.34 CPU-s with one, in 0.40 with two (measured).
SMALL_BYTES = 64 * 2**20
# What DuckDB and the folder need besides while a copy is made.
SPARE_BYTES = 16 * 2**20
# What DuckDB says of a file that it cannot make sense of (tried: cut short, overwritten, not a database, a spoilt write-ahead log).
DAMAGED = ("not a valid DuckDB database", "Corrupt database file", "Corrupt WAL file", "Could not read enough bytes")
_KEPT = "What had come is kept, the published files stand, and the next run goes on from there"
_FULL = "The disk that holds {home} is full: nothing more could be written. " + _KEPT + ". Make room, then run again."
_READ_ONLY = (
    "{home} can only be read: its disk is mounted read-only. Nothing could be written; the published files stand. "
    "Mount it for writing (a disk turns read-only by itself after a fault: the system's log says so), then run again."
)
_NOT_OURS = (
    "{home} may not be written by the user that runs Tolok (number {uid}). Nothing could be written; the published files stand. "
    "Give that user the folder and all that is in it, then run again."
)
REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "The quota of the disk that holds {home} is used up: nothing more could be written. "
    + _KEPT
    + ". Make room, then run again.",
    errno.EFBIG: "A file under {home} may not grow further: the limit of this process for files (ulimit -f) is reached. "
    + _KEPT
    + ". Raise the limit, then run again.",
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _NOT_OURS,
    errno.EPERM: _NOT_OURS,
}
# What SQLite, in which Dagster keeps its history, says instead of the system's words.
SAID = {errno.ENOSPC: ("database or disk is full",), errno.EROFS: ("attempt to write a readonly database",)}
# Notes of changes that are kept apart for each table and institution: who looks every night needs one.
KEPT_MARKS = 64

CHANGE = Table(
    "meta.change",
    "One row per write that changed a table: the earliest day that it touched, for one institution.",
    (
        key("change_id", "BIGINT", "Running number of the change"),
        key("table_name", "VARCHAR", "The table that changed"),
        key("institution_id", "VARCHAR", "The institution whose rows changed"),
        key("changed_from", "DATE", "Earliest day whose rows changed; 1970-01-01 = all"),
    ),
    key=("change_id",),
)
CONSUMED = Table(
    "meta.consumed",
    "One row per derived table and institution: the last change of its inputs that it has taken in.",
    (
        key("table_name", "VARCHAR", "The derived table"),
        key("institution_id", "VARCHAR", "The institution"),
        key("change_id", "BIGINT", "Last change taken in"),
        key("version", "INTEGER", "Version of the transform that took it in"),
    ),
    key=("table_name", "institution_id"),
)
FORMAT = Table(
    "meta.format",
    "One row: the version of the warehouse's own layout.",
    (key("version", "INTEGER", "Version of the layout"),),
    key=("version",),
)


class WarehouseError(Exception):
    """The warehouse cannot be used as it is. The message says why and what to do."""


class HomeUnusableError(WarehouseError):
    """The home cannot be written: the disk is full, read-only, or another user's. The message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: rows inserted anew, rows changed, and the earliest day touched (None when nothing changed)."""

    inserted: int
    changed: int
    changed_from: date | None


class Warehouse:
    """The file and its one connection at a time. Values go into SQL as parameters; names come from declared tables."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in UTC that never reaches for the network. One that may write brings an older layout forward first.

        Raises:
            WarehouseError: another process holds the file, it is damaged, a newer Tolok wrote it, or the disk takes nothing more.
        """
        with in_words(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connected(read_only=read_only)
            try:
                yield connection
            finally:
                connection.close()

    def _connected(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """A connection to a warehouse of today's layout."""
        connection = self._connect(read_only=read_only)
        try:
            version = self._known_version(connection)
            if read_only or version == FORMAT_VERSION:
                return connection
            if version is None:
                self._prepare(connection)
                return connection
            # The copy is made of a file that nobody has open: to read it beside an open connection would give up the lock on it.
            connection.execute("CHECKPOINT")
            connection.close()
            self._keep_copy(version)
            connection = self._connect(read_only=False)
            migrations.forward(connection, version)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        if not read_only and self.path.exists() and not self.path.stat().st_size:
            # A process was killed in the moment of making it.
            self.path.unlink()
        try:
            connection = duckdb.connect(str(self.path), read_only=read_only)
        except duckdb.Error as failure:
            if "set lock" in str(failure).lower():
                message = (
                    f"Nothing was done: another process holds {self.path}. The warehouse is the pipeline's own; "
                    "analysts open published/<institution>/latest/tolok.duckdb. Close the other program, then run again."
                )
                raise WarehouseError(message) from None
            if any(said in str(failure) for said in DAMAGED):
                message = (
                    f"Nothing was done: {self.path} is damaged ({str(failure).splitlines()[0]}). The published files stand. "
                    "Move the file and its .wal away, do not delete them, and put the newest copy of your backup in their place."
                )
                raise WarehouseError(message) from failure
            raise
        try:
            for setting in ("TimeZone='UTC'", "autoinstall_known_extensions=false", "autoload_known_extensions=false"):
                connection.execute(f"SET {setting}")
            # A table that is not there is not there: no variable of ours stands in for it.
            for setting in ("enable_progress_bar=false", "python_enable_replacements=false"):
                connection.execute(f"SET {setting}")
            if self.path.exists() and self.path.stat().st_size < SMALL_BYTES:
                connection.execute("SET threads=1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep_copy(self, version: int) -> None:
        """Copy the file beside it before its layout changes. Made anew each time: what stands there may be of a failed attempt.

        Raises:
            WarehouseError: there is no room for the copy; the warehouse is as it was.
        """
        copy = self.path.with_name(f"{self.path.stem}.v{version}{self.path.suffix}")
        needed, free = self.path.stat().st_size, shutil.disk_usage(self.path.parent).free + (copy.stat().st_size if copy.exists() else 0)
        if free < needed + SPARE_BYTES:
            message = (
                f"Nothing was done: {self.path} must be brought from layout {version} to {FORMAT_VERSION}, and there is no room for the copy "
                f"that is kept of it: {_mb(needed + SPARE_BYTES)} MB are needed, {_mb(free)} MB are free. Make room, then run again."
            )
            raise WarehouseError(message)
        copy.unlink(missing_ok=True)
        part = copy.with_name(f"{copy.name}.part")
        shutil.copyfile(self.path, part)
        move(part, copy)
        sync(copy.parent)

    @staticmethod
    def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
        """Lay out an empty warehouse. The version is written last: should the process die, all of it is done again."""
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in (CHANGE, CONSUMED, FORMAT):
            ensure(connection, table)
        connection.execute("CREATE SEQUENCE IF NOT EXISTS meta.change_ids")
        connection.execute("INSERT INTO meta.format SELECT ? WHERE NOT EXISTS (FROM meta.format)", [FORMAT_VERSION])

    def _known_version(self, connection: duckdb.DuckDBPyConnection) -> int | None:
        version = self._version(connection)
        if version is not None and version > FORMAT_VERSION:
            message = (
                f"Nothing was done: {self.path} was written by a newer Tolok (layout {version}; this one knows {FORMAT_VERSION}). "
                "Update Tolok, or point TOLOK_HOME to another folder."
            )
            raise WarehouseError(message)
        return version

    @staticmethod
    def _version(connection: duckdb.DuckDBPyConnection) -> int | None:
        try:
            found = first(connection, "SELECT max(version) FROM meta.format")
        except duckdb.CatalogException:
            return None
        return found[0] if found else None


@contextmanager
def in_words(home: Path) -> Iterator[None]:
    """Turns a full disk, a read-only one, or a folder of another user into a sentence with the place and what to do.

    Raises:
        HomeUnusableError: one of these; whatever else goes wrong passes as it is.
    """
    try:
        yield
    except WarehouseError:
        raise
    except (OSError, duckdb.Error, sqlite3.Error, ExceptionGroup) as failure:
        sentence = unusable(failure, home)
        if sentence is None:
            raise
        raise HomeUnusableError(sentence) from failure


def unusable(failure: BaseException, home: Path) -> str | None:
    """Why the home takes nothing more and what to do, when that is what went wrong."""
    for one in _all_of(failure):
        for code, sentence in REASONS.items():
            if (isinstance(one, OSError) and one.errno == code) or any(
                said in str(one) for said in (os.strerror(code), *SAID.get(code, ()))
            ):
                return sentence.format(home=home, uid=os.getuid())
    return None


def _all_of(failure: BaseException) -> Iterator[BaseException]:
    """The failure, what it holds and what caused it; an error of the network is none of the disk's."""
    if type(failure).__module__.partition(".")[0] in {"requests", "urllib3"}:
        return
    yield failure
    for inner in (*(failure.exceptions if isinstance(failure, BaseExceptionGroup) else ()), failure.__cause__):
        if inner is not None:
            yield from _all_of(inner)


def _mb(size: int) -> str:
    return f"{size / 2**20:,.0f}"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def first(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> tuple[Any, ...] | None:
    """The first row of an answer, read to its end: DuckDB 2 refuses other work on a connection whose result is unfinished."""
    found = connection.execute(query, parameters).fetchall()
    return found[0] if found else None


def ensure(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Create the table with its comments if it is not there. Not inside a transaction: looking for what is missing would abort it."""
    # To look and fail costs 0.2 ms; to ask the catalogue view costs 1.5 ms, thirty times a step (measured).
    try:
        connection.execute(f"FROM {table.name} LIMIT 0").fetchall()
    except duckdb.CatalogException:
        pass
    else:
        return
    columns = ", ".join(f"{column.name} {column.type}{'' if column.nullable else ' NOT NULL'}" for column in table.columns)
    connection.execute(f"CREATE TABLE {table.name} ({columns})")
    comment(connection, table.name, table)


def comment(connection: duckdb.DuckDBPyConnection, name: str, table: Table) -> None:
    """Write the table's and its columns' comments to the table called `name`."""
    connection.execute(f"COMMENT ON TABLE {name} IS {literal(table.description)}")
    for column in table.columns:
        connection.execute(f"COMMENT ON COLUMN {name}.{column.name} IS {literal(column.comment)}")


def literal(text: str) -> str:
    """COMMENT takes no parameters; the texts are constants of the code, quoted all the same."""
    return "'" + text.replace("'", "''") + "'"


def read(  # noqa: PLR0913 each leaves out rows in its own way
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    institution_id: str,
    *,
    since: date | None = None,
    until: date | None = None,
    json_types: str | None = None,
    where: str | None = None,
    picked: tuple[tuple[str, ...], str] | None = None,
    keyed: tuple[tuple[str, ...], pl.Series] | None = None,
) -> pl.LazyFrame:
    """One institution's rows of a table, from the day `since` on and before the day `until`.

    With `json_types` (a DuckDB JSON structure) the column `payload` comes typed, as the struct column `p`. `where` is a further condition.
    `picked` (columns, a query that gives them) stands in place of `since`; `keyed` (columns, values) adds rows from before `since`.
    """
    wanted = ", ".join(name for name in table.names if not (json_types and name == "payload"))
    if json_types:
        wanted += f", json_transform(payload, {literal(json_types)}) AS p"
    parameters: dict[str, object] = {"institution_id": institution_id}
    own = f"institution_id = $institution_id{f' AND ({where})' if where else ''}"
    if until is not None and table.day is not None:
        own += f" AND {table.day} < $until"
        parameters["until"] = until
    if picked is not None:
        on, chosen = picked
        if "$start" in chosen:
            parameters["start"] = since or EARLIEST
        query = f"SELECT {wanted} FROM {table.name} SEMI JOIN ({chosen}) AS picked USING ({', '.join(on)}) WHERE {own}"
    elif since is not None and table.day is not None:
        parameters["start"] = since
        query = f"SELECT {wanted} FROM {table.name} WHERE {own} AND {table.day} >= $start"
    else:
        query, keyed = f"SELECT {wanted} FROM {table.name} WHERE {own}", None
    if keyed is not None:
        by, values = keyed
        connection.register("wanted_keys", pl.DataFrame({"value": values.drop_nulls().unique()}))
        # First which rows, by the few columns that tell, then all columns of those.
        places = " UNION ".join(
            f"SELECT {table.name}.rowid FROM {table.name} SEMI JOIN wanted_keys ON {name} = value WHERE {own} AND {table.day} < $start"
            for name in by
        )
        query += f" UNION ALL SELECT {wanted} FROM {table.name} WHERE rowid IN ({places})"
    frame: pl.DataFrame = connection.sql(query, params=parameters).pl()
    if keyed is not None:
        connection.unregister("wanted_keys")
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.lazy().with_columns(pl.col(times).dt.convert_time_zone("UTC"))


def replace(  # noqa: PLR0913 whose rows, and which days
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    institution_id: str,
    rows: pl.DataFrame,
    *,
    since: date | None = None,
    until: date | None = None,
) -> Written:
    """Make `rows` the institution's rows from the day `since` on (None: all its rows) and before `until`, and mark what that changed.

    Rows that are as they were are not written again. To be called inside a transaction, the table being there already.
    """
    scope = "institution_id = $institution_id"
    parameters: dict[str, object] = {"institution_id": institution_id}
    for name, bound, sign in (("since", since, ">="), ("until", until, "<")):
        if bound and table.day:
            scope += f" AND {table.day} {sign} ${name}"
            parameters[name] = bound
    connection.register("incoming_rows", rows.select(table.names))
    try:
        connection.execute("CREATE OR REPLACE TEMP TABLE incoming AS FROM incoming_rows")
    finally:
        connection.unregister("incoming_rows")
    content = ", ".join(table.stamped)
    told = f"count(*), sum(hash({content})::HUGEINT)"
    # Most writes of a night find what is there already: one pass over hashes tells, before any row is compared.
    if first(connection, f"SELECT {told} FROM {table.name} WHERE {scope}", parameters) == first(connection, f"SELECT {told} FROM incoming"):
        return Written(0, 0, None)
    day = f"min({table.day})" if table.day else f"CASE WHEN count(*) > 0 THEN DATE '{EARLIEST}' END"
    keys = ", ".join(table.key)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE gone AS SELECT {content} FROM {table.name} WHERE {scope} EXCEPT ALL SELECT {content} FROM incoming",
        parameters,
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE come AS SELECT {content} FROM incoming EXCEPT ALL SELECT {content} FROM {table.name} WHERE {scope}",
        parameters,
    )
    found = first(
        connection,
        f"SELECT (SELECT count(*) FROM come), (SELECT count(*) FROM come SEMI JOIN gone USING ({keys})), "
        f"least((SELECT {day} FROM come), (SELECT {day} FROM gone))",
    )
    come, changed, changed_from = found or (0, 0, None)
    if changed_from is not None:
        connection.execute(f"DELETE FROM {table.name} WHERE {scope} AND ({keys}) IN (SELECT ({keys}) FROM gone)", parameters)
        touched = f"(SELECT {keys} FROM come UNION SELECT {keys} FROM gone) AS touched"
        # In the order of days, so that DuckDB finds the last ones without reading the others, however long the past.
        order = f" ORDER BY {table.day}" if table.day else ""
        connection.execute(f"INSERT INTO {table.name} BY NAME SELECT incoming.* FROM incoming SEMI JOIN {touched} USING ({keys}){order}")
        mark(connection, table.name, institution_id, changed_from)
    return Written(come - changed, changed, changed_from)


def mark(connection: duckdb.DuckDBPyConnection, table_name: str, institution_id: str, *changed_from: date) -> None:
    """Note that the institution's rows of a table changed from a day on. In the same transaction as the change.

    Of several changes, in their order, each is noted as if it had been alone.
    Earlier notes that say no more than this one go. Of those that are left, all but the last `KEPT_MARKS` become one: who has not looked for
    so long sees more days as changed than did, never fewer.
    """
    own: list[object] = [table_name, institution_id]
    told = [day for at, day in enumerate(changed_from) if all(day < later for later in changed_from[at + 1 :])]
    connection.execute("DELETE FROM meta.change WHERE table_name = ? AND institution_id = ? AND changed_from >= ?", [*own, told[0]])
    connection.execute("INSERT INTO meta.change SELECT nextval('meta.change_ids'), ?, ?, unnest(?::DATE[])", [*own, told])
    held = first(connection, "SELECT count(*) FROM meta.change WHERE table_name = ? AND institution_id = ?", own)
    if held and held[0] > 2 * KEPT_MARKS:
        _join_marks(connection, own)


def _join_marks(connection: duckdb.DuckDBPyConnection, own: list[object]) -> None:
    """Make one of all but the last `KEPT_MARKS`. They stand in the order of their days, so the first has the earliest."""
    where = "table_name = ? AND institution_id = ?"
    marks = connection.execute(f"SELECT change_id, changed_from FROM meta.change WHERE {where} ORDER BY change_id", own).fetchall()
    joined, earliest = marks[-KEPT_MARKS - 1][0], marks[0][1]
    connection.execute(f"UPDATE meta.change SET changed_from = ? WHERE {where} AND change_id = ?", [earliest, *own, joined])
    connection.execute(f"DELETE FROM meta.change WHERE {where} AND change_id < ?", [*own, joined])


def due(
    connection: duckdb.DuckDBPyConnection, table: Table, inputs: Iterable[str], institution_id: str, version: int
) -> tuple[dict[str, date], int]:
    """Per input that changed since the table was last made the earliest day on which it did, and the last change there is."""
    consumed = first(
        connection, "SELECT change_id, version FROM meta.consumed WHERE table_name = ? AND institution_id = ?", [table.name, institution_id]
    )
    last_seen = consumed[0] if consumed and consumed[1] == version else -1
    found = connection.execute(
        "SELECT table_name, min(changed_from) FILTER (change_id > ?), max(change_id) FROM meta.change "
        "WHERE institution_id = ? AND list_contains(?, table_name) GROUP BY table_name",
        [last_seen, institution_id, list(inputs)],
    ).fetchall()
    changed = {name: EARLIEST if last_seen == -1 else day for name, day, _ in found if last_seen == -1 or day is not None}
    return changed, max((last for _, _, last in found), default=last_seen)


def consume(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, change_id: int, version: int) -> None:
    """Note that the table has taken in its inputs' changes up to `change_id`."""
    connection.execute("DELETE FROM meta.consumed WHERE table_name = ? AND institution_id = ?", [table.name, institution_id])
    connection.execute("INSERT INTO meta.consumed VALUES (?, ?, ?, ?)", [table.name, institution_id, change_id, version])


def count(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str | None = None) -> int:
    """How many rows the table holds (of one institution)."""
    ensure(connection, table)
    query, parameters = f"SELECT count(*) FROM {table.name}", []
    if institution_id is not None:
        query, parameters = f"{query} WHERE institution_id = ?", [institution_id]
    found = first(connection, query, parameters)
    return int(found[0]) if found else 0


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> list[dict[str, object]]:
    """The answer to a query as dictionaries; for ledgers and messages, not for data."""
    result = connection.execute(query, parameters)
    names = [described[0] for described in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


__all__ = [
    "EARLIEST", "Column", "HomeUnusableError", "Table", "Warehouse", "WarehouseError", "Written", "comment", "consume", "count", "due",
    "ensure", "in_words", "key", "mark", "read", "replace", "rows", "transaction", "unusable",
]  # fmt: skip
