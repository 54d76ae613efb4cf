"""The content of every table, for comparisons: what is true, not who wrote it when.

Not here: how the tables came about (nights.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from assets.ledgers import FETCH, raw_table
from assets.reference import REFERENCE
from connectors.registry import platforms
from pipelines.night import all_transforms

if TYPE_CHECKING:
    import duckdb

    from pipelines.house import House
    from pipelines.tables import Table

Content = Mapping[str, pl.DataFrame]


def raw_tables() -> list[Table]:
    """The table of each stream that a platform declares."""
    return [raw_table(connector, stream) for connector in platforms().values() for stream in connector.streams]


def every_table() -> list[Table]:
    """Everything that holds data: raw and its ledger, reference, staging, indicators, goals."""
    return [*raw_tables(), FETCH, *REFERENCE, *(transform.output for transform in all_transforms())]


def rows_of(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str | None = None) -> pl.DataFrame:
    """The stamped columns of a table (of one institution), ordered by its key and then by the others."""
    where = "" if institution_id is None else " WHERE institution_id = ?"
    query = f"SELECT {', '.join(table.stamped)} FROM {table.name}{where}"
    found: pl.DataFrame = connection.sql(query, params=[institution_id] if where else None).pl()
    times = [name for name, dtype in found.schema.items() if isinstance(dtype, pl.Datetime)]
    keys = [name for name in table.key if name in table.stamped]
    # Without the run's id some rows of the ledger have the same key.
    others = [name for name, dtype in found.schema.items() if name not in keys and not dtype.is_nested()]
    return found.with_columns(pl.col(times).dt.convert_time_zone("UTC")).sort([*keys, *others])


def content(house: House, institution_id: str | None = None, tables: Sequence[Table] | None = None) -> Content:
    """The rows (of one institution) of every table, or of those named, in the columns that make up their content."""
    with house.warehouse.open(read_only=True) as connection:
        return {table.name: rows_of(connection, table, institution_id) for table in (every_table() if tables is None else tables)}


def derived(frames: Content) -> Content:
    """Of frames in memory (frames.py) the derived tables, in the columns that make up their content."""
    outputs = [transform.output for transform in all_transforms()]
    return {table.name: frames[table.name].select(table.stamped).sort(table.key) for table in outputs}


def _bits(frame: pl.DataFrame) -> bytes:
    """The floats of a frame, bit for bit: -0.0 is not 0.0."""
    return b"".join(frame[name].to_numpy().tobytes() for name, dtype in frame.schema.items() if dtype == pl.Float64)


def differences(left: Content, right: Content, but: Collection[str] = ()) -> dict[str, str]:
    """For each table that is not the same bit for bit: how many rows stand on one side alone, and the first of each."""
    found: dict[str, str] = {}
    for name in sorted(left.keys() | right.keys()):
        if name in but:
            continue
        one, other = left[name], right[name]
        if one.equals(other) and _bits(one) == _bits(other):
            continue
        found[name] = _told(one, other)
    return found


def _told(one: pl.DataFrame, other: pl.DataFrame) -> str:
    """How many rows stand on one side alone, and in which columns they differ, with the first pair."""
    left, right = ({str(row): row for row in frame.iter_rows(named=True)} for frame in (one, other))
    alone, new = ([rows[text] for text in sorted(rows.keys() - others.keys())] for rows, others in ((left, right), (right, left)))
    columns = {name: (a[name], b[name]) for a, b in zip(alone[:1], new[:1], strict=False) for name in a if a[name] != b[name]}
    return f"{len(alone)} rows only left, {len(new)} only right; the first differ in {columns}; first: {str((alone or new)[:1])[:600]}"
