"""The draft of the analysts' file: the last published one with the touched months replaced, or built whole. Both hold the same rows.

Not here: which tables are published and whether they may be (publish.py), and what lies beside the file (export.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from assets.dictionary import CHANGELOG, DATA_DICTIONARY, SCHEMA_VERSION, SCHEMA_VERSION_TABLE, changelog_rows, dictionary_rows
from assets.made import Content, Made
from pipelines.stamps import Stamp
from pipelines.tables import Table
from pipelines.warehouse import comment, literal, transaction

# Duckdb 1.2's format: what older DuckDBs, BI drivers and the browser build can open (measured, design notes of the stack).
STORAGE_VERSION = "v1.2.0"
# Raised when a draft is built otherwise than before: then the last file is no base for the next.
LAYOUT = 1
WHOLE = "whole"
# Replaced months leave holes, which DuckDB fills with the next ones: with 10 M rows and one increment 208 MB (bench/publish.py). Beyond this
# share, and some blocks that many small tables waste, the draft is built whole: that bounds the file, whatever DuckDB does.
SPARE_SHARE = 1.5
SPARE_BYTES = 8 * 2**20
DICTIONARY = (DATA_DICTIONARY, SCHEMA_VERSION_TABLE, CHANGELOG)


@dataclass(frozen=True)
class Product:
    """One published table: what it is called there, the query that fills it, and the warehouse's tables that must be approved for it.

    The query has one parameter, `$institution_id`. `is_copy`: it gives the one source's rows and columns as they are.
    """

    table: Table
    query: str
    sources: tuple[Table, ...]
    is_copy: bool = False


class DraftError(Exception):
    """A draft does not hold what was written. Nothing was published."""


def layout(products: Iterable[Product]) -> str:
    """What, besides the rows, decides how a file looks: the tables with their comments, the dictionary, and the versions of what writes it."""
    tables = [product.table for product in products]
    declared = [[table.name, table.description, table.key, table.day, [asdict(column) for column in table.columns]] for table in tables]
    told = [
        LAYOUT,
        STORAGE_VERSION,
        SCHEMA_VERSION,
        duckdb.__version__,
        declared,
        dictionary_rows((*tables, *DICTIONARY)),
        changelog_rows(),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def content(
    connection: duckdb.DuckDBPyConnection, products: Iterable[Product], institution_id: str, known: Mapping[str, Sequence[Stamp]]
) -> Content:
    """What each published table must hold, per month, computed from what fills it.

    Where a table is copied with all its columns stamped, the stamps of the gate say it already.
    """
    found: Content = {}
    for product in products:
        table, source = product.table, product.sources[0].name if product.sources else ""
        if product.is_copy and not table.unstamped & set(table.names) and source in known:
            found[table.name] = {
                _period(stamp.month, table): f"{stamp.row_count} {stamp.content_hash}" for stamp in known[source] if stamp.row_count
            }
        else:
            found[table.name] = told(connection, table, f"({product.query})", {"institution_id": institution_id})
    return found


def told(connection: duckdb.DuckDBPyConnection, table: Table, rows: str, parameters: Mapping[str, object] | None = None) -> dict[str, str]:
    """Rows and the sum of their hashes per month of `rows`, a table's name or a query in brackets."""
    month = f"date_trunc('month', {table.day})::DATE" if table.day else "DATE '1970-01-01'"
    answer = connection.execute(
        f"SELECT {month}, count(*), sum(hash({', '.join(table.names)})::HUGEINT)::VARCHAR FROM {rows} GROUP BY 1 ORDER BY 1",
        parameters or {},
    ).fetchall()
    return {_period(first_day, table): f"{count} {hashes}" for first_day, count, hashes in answer}


def _period(month: date, table: Table) -> str:
    return f"{month:%Y-%m}" if table.day else WHOLE


def in_periods(table: Table, periods: Collection[str]) -> str:
    """A condition for the rows of some months; ranges, so that DuckDB skips what lies outside of them."""
    if table.day is None:
        return "true"
    spans = [f"({table.day} >= DATE '{period}-01' AND {table.day} < DATE '{period}-01' + INTERVAL 1 MONTH)" for period in sorted(periods)]
    return " OR ".join(spans) or "false"


def touched(wanted: Content, have: Content) -> dict[str, set[str]]:
    """Per table the months that differ, those that vanished among them."""
    differing = {
        name: {period for period in {*wanted[name], *have.get(name, {})} if wanted[name].get(period) != have.get(name, {}).get(period)}
        for name in wanted
    }
    return {name: periods for name, periods in differing.items() if periods}


def row_counts(wanted: Content) -> dict[str, int]:
    """Rows per table."""
    return {name: sum(int(one.split()[0]) for one in periods.values()) for name, periods in wanted.items()}


def is_spacious(size: int, rows: int, made: Made) -> bool:
    """The file has grown beyond what its rows explain."""
    return size > SPARE_SHARE * made.whole_bytes * max(rows, 1) / max(made.whole_rows, 1) + SPARE_BYTES


def build_whole(connection: duckdb.DuckDBPyConnection, draft: Path, institution_id: str, products: Sequence[Product]) -> None:
    """Fill a new file."""
    discard(draft)
    with _attached(connection, draft), transaction(connection):
        for schema in ("mart", "ref", "meta"):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS draft.{schema}")
        for product in products:
            name = f"draft.{product.table.name}"
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM ({product.query}) ORDER BY {_order(product.table)}",
                {"institution_id": institution_id},
            )
            comment(connection, name, product.table)
        for table, rows in dictionary([product.table for product in products], institution_id):
            name = f"draft.{table.name}"
            connection.register("content", rows)
            connection.execute(f"CREATE TABLE {name} AS FROM content")
            connection.unregister("content")
            comment(connection, name, table)


def build_from(  # noqa: PLR0913 from what, to where, whose, which and what of it
    connection: duckdb.DuckDBPyConnection,
    base: Path,
    draft: Path,
    institution_id: str,
    products: Iterable[Product],
    periods: Mapping[str, Collection[str]],
) -> None:
    """Copy the last file and replace the months in `periods`, per table. Rows of a replaced month stand after those that stayed."""
    discard(draft)
    shutil.copyfile(base, draft)
    with _attached(connection, draft), transaction(connection):
        for product in products:
            if not (changed := periods.get(product.table.name)):
                continue
            name, where = f"draft.{product.table.name}", in_periods(product.table, changed)
            connection.execute(f"DELETE FROM {name} WHERE {where}")
            connection.execute(
                f"INSERT INTO {name} BY NAME SELECT * FROM ({product.query}) WHERE {where} ORDER BY {_order(product.table)}",
                {"institution_id": institution_id},
            )


def _order(table: Table) -> str:
    """By month first, so that a month lies together: to replace it touches few blocks, and what is deleted leaves whole ones free."""
    return ", ".join([*([f"date_trunc('month', {table.day})"] if table.day else []), *table.key])


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, draft: Path) -> Iterator[None]:
    """The draft under the name `draft`; at the end checkpointed and let go."""
    connection.execute(f"ATTACH {literal(str(draft))} AS draft (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        yield
        connection.execute("CHECKPOINT draft")
    finally:
        connection.execute("DETACH draft")


def discard(draft: Path) -> None:
    """Remove a draft that was left lying, with its log."""
    for path in (draft, draft.with_name(f"{draft.name}.wal")):
        path.unlink(missing_ok=True)


def verify(draft: Path, tables: Iterable[Table], wanted: Content, periods: Mapping[str, Collection[str]]) -> None:
    """Open the draft as a reader would: all tables are counted, and what was written is hashed again.

    Raises:
        DraftError: a table does not hold what it must; the published file stays as it was.
    """
    counts = row_counts(wanted)
    with duckdb.connect(str(draft), read_only=True) as reader:
        reader.execute("SET TimeZone='UTC'")
        for table in tables:
            answer = reader.execute(f"SELECT count(*) FROM {table.name}").fetchall()
            found = int(answer[0][0])
            if found != counts[table.name]:
                message = f"The draft was not published: {table.name} holds {found} rows, {counts[table.name]} were expected."
                raise DraftError(message)
            changed = periods.get(table.name, ())
            here = told(reader, table, f"(FROM {table.name} WHERE {in_periods(table, changed)})") if changed else {}
            if here != {period: one for period, one in wanted[table.name].items() if period in changed}:
                message = f"The draft was not published: {table.name} does not hold the rows that were written."
                raise DraftError(message)


def dictionary(tables: Sequence[Table], institution_id: str) -> Iterator[tuple[Table, pl.DataFrame]]:
    """The tables that say what the others mean. They depend on the code alone."""
    contents: tuple[tuple[Table, list[dict[str, Any]]], ...] = (
        (DATA_DICTIONARY, dictionary_rows((*tables, *DICTIONARY))),
        (SCHEMA_VERSION_TABLE, [{"version": SCHEMA_VERSION, "institution_id": institution_id}]),
        (CHANGELOG, changelog_rows()),
    )
    for table, rows in contents:
        yield table, pl.DataFrame(rows, schema=table.polars_schema, orient="row").sort(table.key)
