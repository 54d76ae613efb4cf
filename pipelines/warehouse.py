"""The warehouse: one private DuckDB file, one writer, and the record of what changed since when.

Not here: what the tables mean (each room declares its own) and how the analysts' file is made (assets/publish.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.tables import Column, Table, key

SCHEMAS = ("raw", "staging", "indicators", "goals", "ref", "meta")
EARLIEST = date(1970, 1, 1)
FORMAT_VERSION = 1
# Below this a second thread costs more than it brings: a night lands in 0.34 CPU-s with one, in 0.40 with two (measured).
SMALL_BYTES = 64 * 2**20

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
        """A connection in UTC that never reaches for the network.

        Raises:
            WarehouseError: another process holds the file, or a newer Tolok wrote it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(str(self.path), read_only=read_only)
        except duckdb.IOException as failure:
            if "lock" not in str(failure).lower():
                raise
            message = (
                f"Nothing was done: another process holds {self.path}. The warehouse is the pipeline's own; "
                "analysts open published/<institution>/latest/tolok.duckdb. Close the other program, then run again."
            )
            raise WarehouseError(message) from None
        try:
            for setting in ("TimeZone='UTC'", "autoinstall_known_extensions=false", "autoload_known_extensions=false"):
                connection.execute(f"SET {setting}")
            # A table that is not there is not there: no variable of ours stands in for it.
            for setting in ("enable_progress_bar=false", "python_enable_replacements=false"):
                connection.execute(f"SET {setting}")
            if self.path.stat().st_size < SMALL_BYTES:
                connection.execute("SET threads=1")
            if not read_only:
                self._prepare(connection)
            yield connection
        finally:
            connection.close()

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        version = self._version(connection)
        if version == FORMAT_VERSION:
            return
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in (CHANGE, CONSUMED, FORMAT):
            ensure(connection, table)
        connection.execute("CREATE SEQUENCE IF NOT EXISTS meta.change_ids")
        if version is None:
            connection.execute("INSERT INTO meta.format VALUES (?)", [FORMAT_VERSION])
        elif version > FORMAT_VERSION:
            message = (
                f"Nothing was done: {self.path} was written by a newer Tolok (layout {version}; this one knows {FORMAT_VERSION}). "
                "Update Tolok, or point TOLOK_HOME to another folder."
            )
            raise WarehouseError(message)

    @staticmethod
    def _version(connection: duckdb.DuckDBPyConnection) -> int | None:
        try:
            found = first(connection, "SELECT max(version) FROM meta.format")
        except duckdb.CatalogException:
            return None
        return found[0] if found else None


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
    connection.execute(f"COMMENT ON TABLE {name} IS {_literal(table.description)}")
    for column in table.columns:
        connection.execute(f"COMMENT ON COLUMN {name}.{column.name} IS {_literal(column.comment)}")


def _literal(text: str) -> str:
    """COMMENT takes no parameters; the texts are constants of the code, quoted all the same."""
    return "'" + text.replace("'", "''") + "'"


def read(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    institution_id: str,
    *,
    since: date | None = None,
    json_types: str | None = None,
) -> pl.LazyFrame:
    """One institution's rows of a table, from the day `since` on.

    With `json_types` (a DuckDB JSON structure) the column `payload` comes typed, as the struct column `p`.
    """
    wanted = [name for name in table.names if not (json_types and name == "payload")]
    if json_types:
        wanted.append(f"json_transform(payload, {_literal(json_types)}) AS p")
    query = f"SELECT {', '.join(wanted)} FROM {table.name} WHERE institution_id = ?"
    parameters: list[object] = [institution_id]
    if since is not None and table.day is not None:
        query += f" AND {table.day} >= ?"
        parameters.append(since)
    frame: pl.DataFrame = connection.sql(query, params=parameters).pl()
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.lazy().with_columns(pl.col(times).dt.convert_time_zone("UTC"))


def replace(
    connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, rows: pl.DataFrame, *, since: date | None = None
) -> Written:
    """Make `rows` the institution's rows from the day `since` on (None: all its rows), and mark what that changed.

    Rows that are as they were are not written again. To be called inside a transaction, the table being there already.
    """
    scope = "institution_id = $institution_id" + (f" AND {table.day} >= $since" if since and table.day else "")
    parameters: dict[str, object] = {"institution_id": institution_id} | ({"since": since} if since and table.day else {})
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
        connection.execute(f"INSERT INTO {table.name} BY NAME SELECT incoming.* FROM incoming SEMI JOIN {touched} USING ({keys})")
        mark(connection, table.name, institution_id, changed_from)
    return Written(come - changed, changed, changed_from)


def mark(connection: duckdb.DuckDBPyConnection, table_name: str, institution_id: str, changed_from: date) -> None:
    """Note that the institution's rows of a table changed from a day on. In the same transaction as the change."""
    connection.execute("INSERT INTO meta.change SELECT nextval('meta.change_ids'), ?, ?, ?", [table_name, institution_id, changed_from])


def due(
    connection: duckdb.DuckDBPyConnection, table: Table, inputs: Iterable[str], institution_id: str, version: int
) -> tuple[date | None, int]:
    """The earliest day on which an input changed since the table was last made (None: nothing new), and the last change there is."""
    consumed = first(
        connection, "SELECT change_id, version FROM meta.consumed WHERE table_name = ? AND institution_id = ?", [table.name, institution_id]
    )
    last_seen = consumed[0] if consumed and consumed[1] == version else -1
    found = first(
        connection,
        "SELECT min(changed_from) FILTER (change_id > ?), max(change_id) FROM meta.change WHERE institution_id = ? AND list_contains(?, table_name)",
        [last_seen, institution_id, list(inputs)],
    )
    changed_from, latest = found or (None, None)
    return (EARLIEST if last_seen == -1 and latest is not None else changed_from), latest if latest is not None else last_seen


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
    "EARLIEST", "Column", "Table", "Warehouse", "WarehouseError", "Written", "comment", "consume", "count", "due", "ensure", "key", "mark",
    "read", "replace", "rows", "transaction",
]  # fmt: skip
