"""How a derived table is declared: its inputs, one pure function `LazyFrame -> LazyFrame`, and the keys by which it may be split.

Not here: the functions themselves (staging/, indicators/, goals/) and who runs them (pipelines/engine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.tables import Table


@dataclass(frozen=True, slots=True)
class Input:
    """A table that a transform reads, and the name under which its function gets it.

    `json_types` is a DuckDB JSON structure; with it the raw `payload` comes typed, as the struct column `p`.
    `whole` inputs are read from their beginning, whatever the transform's lookback.
    """

    name: str
    table: Table
    json_types: str | None = None
    whole: bool = False


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
    """

    output: Table
    inputs: tuple[Input, ...]
    compute: Callable[..., pl.LazyFrame]
    split_by: tuple[str, ...]
    reach_back_days: int = 0
    lookback_days: int | None = 0
    version: int = 1
    concerns: Callable[[Mapping[str, pl.LazyFrame]], bool] | None = None
