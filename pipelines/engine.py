"""Runs a transform on this machine: what changed since last time decides from which day its rows are made anew.

Not here: the transforms (assets/) and the order in which Dagster calls them (wiring.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PolarsError

from pipelines.horizon import preserve
from pipelines.warehouse import EARLIEST, Written, consume, due, ensure, read, replace, transaction

if TYPE_CHECKING:
    import duckdb

    from assets.transform import Transform


class TransformError(Exception):
    """A transform did not give what it declares. The message names the table and what differs."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a transform did for one institution. `since` is None when none of its inputs had changed."""

    institution_id: str
    since: date | None
    written: Written


def run(connection: duckdb.DuckDBPyConnection, transform: Transform, institution_ids: Iterable[str], run_id: str) -> list[Made]:
    """Bring the transform's table up to date, institution by institution, each in one transaction."""
    ensure(connection, transform.output)
    for source in transform.inputs:
        ensure(connection, source.table)
    return [_run_one(connection, transform, institution_id, run_id) for institution_id in institution_ids]


def _run_one(connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, run_id: str) -> Made:
    names = [source.table.name for source in transform.inputs]
    changed_from, change_id = due(connection, transform.output, names, institution_id, transform.version)
    if changed_from is None:
        return Made(institution_id, None, Written(0, 0, None))
    since = _earlier(changed_from, transform.reach_back_days)
    frames = {source.name: _input(connection, transform, source.name, institution_id, since) for source in transform.inputs}
    is_concerned = transform.concerns is None or transform.concerns(frames)
    result = collect(transform, frames) if is_concerned else transform.output.empty().collect()
    if "run_id" in transform.output.names:
        result = result.with_columns(run_id=pl.lit(run_id))
    day = transform.output.day
    if day is not None:
        result = result.filter(pl.col(day) >= since)
    result = preserve(connection, transform, institution_id, since, None, result)
    with transaction(connection):
        written = replace(connection, transform.output, institution_id, result, since=since if day else None)
        consume(connection, transform.output, institution_id, change_id, transform.version)
    return Made(institution_id, since, written)


def collect(transform: Transform, frames: dict[str, pl.LazyFrame]) -> pl.DataFrame:
    """The transform's rows, in the order of its key.

    Raises:
        TransformError: the columns or their types are not the declared ones.
    """
    try:
        result = transform.compute(**frames).collect()
    except PolarsError as failure:
        message = f"{transform.output.name} could not be computed: {failure}"
        raise TransformError(message) from failure
    expected = transform.output.polars_schema
    if result.schema != expected:
        wrong = {
            name: (result.schema.get(name), expected.get(name))
            for name in {*result.schema, *expected}
            if result.schema.get(name) != expected.get(name)
        }
        message = f"{transform.output.name}: computed and declared columns differ (computed, declared): {wrong or 'their order'}"
        raise TransformError(message)
    return result.sort(transform.output.key)


def _input(connection: duckdb.DuckDBPyConnection, transform: Transform, name: str, institution_id: str, since: date) -> pl.LazyFrame:
    source = next(source for source in transform.inputs if source.name == name)
    is_whole = source.whole or transform.lookback_days is None
    start = None if is_whole or since == EARLIEST else _earlier(since, transform.lookback_days or 0)
    return read(connection, source.table, institution_id, since=start, json_types=source.json_types)


def _earlier(day: date, days: int) -> date:
    """`days` before `day`, no further than the beginning."""
    return EARLIEST if (day - EARLIEST).days <= days else day - timedelta(days=days)
