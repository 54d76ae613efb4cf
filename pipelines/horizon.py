"""From which day on a table is whole: what retention took away before it can no longer be made again.

Not here: how long what is kept (retention.py), and the transforms that heed it (engine.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl

from pipelines.tables import Table, key
from pipelines.warehouse import ensure, first, read

if TYPE_CHECKING:
    import duckdb

    from assets.transform import Transform

FIRST_DAY = "first_day"
HORIZON = Table(
    "meta.retention",
    "One row per table and institution from which old rows were taken: the first day from which it is whole. It only moves forward.",
    (
        key("table_name", "VARCHAR", "The table"),
        key("institution_id", "VARCHAR", "The institution"),
        key("kept_from", "DATE", "First day of which every row is still there"),
        key("moved_at", "TIMESTAMPTZ", "When it was moved last"),
    ),
    key=("table_name", "institution_id"),
)


def kept_from(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], institution_id: str) -> date | None:
    """The first day from which all of the tables are whole; None: nothing was taken from any."""
    ensure(connection, HORIZON)
    found = first(
        connection,
        f"SELECT max(kept_from) FROM {HORIZON.name} WHERE institution_id = ? AND list_contains(?, table_name)",
        [institution_id, [table.name for table in tables]],
    )
    return found[0] if found else None


def advance(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, day: date, at: datetime) -> None:
    """Note that rows before `day` were taken. In the same transaction as the deletion; the table being there already."""
    connection.execute(
        f"MERGE INTO {HORIZON.name} AS t USING (SELECT ? AS table_name, ? AS institution_id, ?::DATE AS kept_from, ?::TIMESTAMPTZ AS moved_at) AS b "
        "ON t.table_name = b.table_name AND t.institution_id = b.institution_id "
        "WHEN MATCHED AND b.kept_from > t.kept_from THEN UPDATE SET kept_from = b.kept_from, moved_at = b.moved_at "
        "WHEN NOT MATCHED THEN INSERT (table_name, institution_id, kept_from, moved_at) VALUES (b.table_name, b.institution_id, b.kept_from, b.moved_at)",
        [table.name, institution_id, day, at],
    )


def preserve(  # noqa: PLR0913 whose rows of what, which days, and what was made of them
    connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, since: date, until: date | None, made: pl.DataFrame
) -> pl.DataFrame:
    """What was made of the days from `since` on, with the rows that stand in place of those that cannot be made any more.

    Before the day from which the inputs are whole, a row that stands stays as it is. Of raw, whose late arrivals are kept for their own
    time, rows that are not there yet are added; counts of what is gone would come out too low, so none are. Beyond the table's own
    retention there are no rows.
    """
    table = transform.output
    inputs = [source.table for source in transform.inputs]
    raw, others = ([one for one in inputs if (one.schema_name == "raw") is is_raw] for is_raw in (True, False))
    whole_from = kept_from(connection, [*raw, *others], institution_id)
    if whole_from is None:
        return made
    if table.day is None:
        return _with_standing(table, made, _standing(connection, table, institution_id))
    if since >= whole_from:
        return made
    own_from = kept_from(connection, [table], institution_id)
    if own_from is not None:
        made = made.filter(pl.col(table.day) >= own_from)
    stand = _standing(connection, table, institution_id, since, whole_from if until is None else min(whole_from, until))
    counted_from = kept_from(connection, others, institution_id)
    is_new = pl.col(table.day) >= (counted_from or since)
    # A key whose row stands before that day is not made a second time on a later one: an edited answer stays where it was.
    return pl.concat([stand, made.filter(is_new).join(stand, on=table.key, how="anti")]).sort(table.key)


def _with_standing(table: Table, made: pl.DataFrame, stand: pl.DataFrame) -> pl.DataFrame:
    """Rows of a table without days: those that cannot be made any more stay, and a first day is never later than it was."""
    if FIRST_DAY in table.names:
        before = stand.select(*table.key, before=FIRST_DAY)
        earliest = pl.min_horizontal(FIRST_DAY, "before").alias(FIRST_DAY)
        made = made.join(before, on=table.key, how="left").with_columns(earliest).select(table.names)
    return pl.concat([made, stand.join(made, on=table.key, how="anti")]).sort(table.key)


def _standing(
    connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, since: date | None = None, until: date | None = None
) -> pl.DataFrame:
    rows = read(connection, table, institution_id, since=since)
    return (rows if until is None or table.day is None else rows.filter(pl.col(table.day) < until)).select(table.names).collect()
