"""How a derived table is declared: its inputs, one pure function `LazyFrame -> LazyFrame`, and the keys by which it may be split.

Not here: the functions themselves (staging/, indicators/, goals/) and who runs them (pipelines/engine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.tables import Table

Frames = Mapping[str, pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Picked:
    """Rows that are found by a query instead of by their day: those whose columns `on` stand in its result.

    The query may use `$institution_id` and `$start`, the first day that the transform would read of this input.
    """

    on: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Keyed:
    """Rows from before the first day that are needed all the same, however old: those of which one of the columns `by` stands in `keys`.

    `keys` gets the transform's inputs by name and gives one column.
    """

    by: tuple[str, ...]
    keys: Callable[[Frames], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Input:
    """A table that a transform reads, and the name under which its function gets it.

    What is declared here only leaves out rows: from all rows of the table the function would give the same. A law tests that.

    Args:
        json_types: a DuckDB JSON structure; with it the raw `payload` comes typed, as the struct column `p`.
        reach_back_days: a change on day d can change rows from d - this on; None: as the transform says.
        reaches_from: a time column; a changed row can also change rows from that time on.
        lookback_days: rows of day d need those from d - this on; None: as the transform says.
        where: an SQL condition that the function would apply itself.
        picked: which rows are read, in place of all from the first day on.
        keyed: which older rows are read besides.
    """

    name: str
    table: Table
    json_types: str | None = None
    reach_back_days: int | None = None
    reaches_from: str | None = None
    lookback_days: int | None = None
    where: str | None = None
    picked: Picked | None = None
    keyed: Keyed | None = None


@dataclass(frozen=True, slots=True)
class Transform:
    """One derived table.

    Args:
        output: what comes out. The function returns exactly its columns.
        inputs: handed to the function by name, one institution's rows each.
        compute: pure; knows neither Dagster nor DuckDB nor the clock.
        split_by: keys by which the inputs may be parted without changing the whole.
        reach_back_days: a change of an input on day d can change rows from d - this on.
        lookback_days: rows of day d need inputs from d - this on; None: all of them.
        version: raise it when the function changes its results; the table is then made anew.
        concerns: tells from the inputs whether the institution has any rows of this table; None: it may.
        dense_by: each series, named by these columns, has a row for every day up to its last; a new day changes rows from that last day on.
        takes_since: the function also takes `since`, the first day whose rows are wanted, and may leave out those before.
        stretch_days: made anew from the beginning, it is made in stretches of so many days, to bound the memory; None: at once.
    """

    output: Table
    inputs: tuple[Input, ...]
    compute: Callable[..., pl.LazyFrame]
    split_by: tuple[str, ...]
    reach_back_days: int = 0
    lookback_days: int | None = 0
    version: int = 1
    concerns: Callable[[Frames], bool] | None = None
    dense_by: tuple[str, ...] = ()
    takes_since: bool = False
    stretch_days: int | None = None
