"""How a table is declared: columns with type, unit and meaning, key, and the day by which it grows.

Not here: any table (each room declares its own) and any SQL (warehouse.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

POLARS = {
    "VARCHAR": pl.String(),
    "JSON": pl.String(),
    "BIGINT": pl.Int64(),
    "INTEGER": pl.Int32(),
    "DOUBLE": pl.Float64(),
    "DECIMAL(12,4)": pl.Decimal(12, 4),
    "BOOLEAN": pl.Boolean(),
    "DATE": pl.Date(),
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
    "VARCHAR[]": pl.List(pl.String()),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `comment` says what a value is, in which unit, and what NULL means."""

    name: str
    type: str
    comment: str
    nullable: bool = True


def key(name: str, type_: str, comment: str) -> Column:
    """A column that is never NULL."""
    return Column(name, type_, comment, nullable=False)


@dataclass(frozen=True)
class Table:
    """A table of the warehouse.

    Args:
        name: `schema.table`; the Dagster asset's key is the same.
        description: one sentence about the rows. It becomes the comment and the UI's text.
        columns: in order.
        key: columns that together name a row; never NULL.
        day: the DATE column by which the table grows and is compared; None for tables that are made whole.
        unstamped: columns that say who wrote a row and when, not what is true; stamps and comparisons leave them out.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day: str | None = None
    unstamped: frozenset[str] = field(default=frozenset({"run_id", "as_of"}))

    def __post_init__(self) -> None:
        unknown = {*self.key, *([self.day] if self.day else [])} - set(self.names)
        if unknown:
            message = f"{self.name}: the key or day names columns that are not declared: {sorted(unknown)}"
            raise ValueError(message)

    @property
    def schema_name(self) -> str:
        return self.name.partition(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.partition(".")[2]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def stamped(self) -> tuple[str, ...]:
        """The columns that make up the content."""
        return tuple(name for name in self.names if name not in self.unstamped)

    @cached_property
    def polars_schema(self) -> pl.Schema:
        return pl.Schema({column.name: POLARS[column.type] for column in self.columns})

    def empty(self) -> pl.LazyFrame:
        """No rows, all columns."""
        return pl.LazyFrame(schema=self.polars_schema)
