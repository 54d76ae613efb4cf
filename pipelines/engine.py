"""Runs a transform on this machine: what changed since last time decides from which day its rows are made anew.

Not here: the transforms (assets/) and the order in which Dagster calls them (wiring.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PolarsError

from pipelines.horizon import preserve
from pipelines.warehouse import EARLIEST, Written, consume, due, ensure, first, read, replace, transaction

if TYPE_CHECKING:
    import duckdb

    from assets.transform import Input, Transform


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
    changed, change_id = due(connection, transform.output, names, institution_id, transform.version)
    if not changed:
        return Made(institution_id, None, Written(0, 0, None))
    since = _since(connection, transform, institution_id, changed)
    written = Written(0, 0, None)
    stretches = _stretches(connection, transform, institution_id, since)
    for start, until in stretches:
        result = _made(connection, transform, institution_id, start, until, run_id)
        with transaction(connection):
            one = replace(connection, transform.output, institution_id, result, since=start if transform.output.day else None, until=until)
            if until is stretches[-1][1]:
                consume(connection, transform.output, institution_id, change_id, transform.version)
        written = _both(written, one)
    return Made(institution_id, since, written)


def _made(  # noqa: PLR0913 what, whose, and which days
    connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, since: date, until: date | None, run_id: str
) -> pl.DataFrame:
    frames = _Inputs(connection, transform, institution_id, since, until)
    is_concerned = transform.concerns is None or transform.concerns(frames)
    result = collect(transform, frames, since) if is_concerned else transform.output.empty().collect()
    if "run_id" in transform.output.names:
        result = result.with_columns(run_id=pl.lit(run_id))
    day = transform.output.day
    if day is not None:
        result = result.filter((pl.col(day) >= since) & (pl.lit(value=True) if until is None else pl.col(day) < until))
    return preserve(connection, transform, institution_id, since, until, result)


def _both(one: Written, other: Written) -> Written:
    days = [day for day in (one.changed_from, other.changed_from) if day is not None]
    return Written(one.inserted + other.inserted, one.changed + other.changed, min(days, default=None))


def _since(connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, changed: Mapping[str, date]) -> date:
    """The first day whose rows the changes of the inputs can change."""
    days = []
    for source in transform.inputs:
        if source.table.name not in changed:
            continue
        day = changed[source.table.name]
        days.append(_earlier(day, transform.reach_back_days if source.reach_back_days is None else source.reach_back_days))
        if source.reaches_from is not None and day > EARLIEST:
            # A time's local date is at most a day before its UTC date.
            query = (
                f"SELECT min({source.reaches_from})::DATE - 1 FROM {source.table.name} WHERE institution_id = ? AND {source.table.day} >= ?"
            )
            days += [found for (found,) in connection.execute(query, [institution_id, day]).fetchall() if found is not None]
    if transform.dense_by:
        days += _last_days(connection, transform, institution_id, changed)
    return min(days)


def _last_days(connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, changed: Mapping[str, date]) -> list[date]:
    """The last day that the table has, and the earliest of the last days of the series of which an input changed."""
    table, series = transform.output, ", ".join(transform.dense_by)
    lasts = f"SELECT {series}, max({table.day}) AS last FROM {table.name} WHERE institution_id = $institution_id GROUP BY {series}"
    days = [first(connection, f"SELECT max(last) FROM ({lasts})", {"institution_id": institution_id})]
    for source in {source.table.name: source for source in transform.inputs}.values():
        if source.table.name in changed and source.table.day and {*transform.dense_by} <= {*source.table.names}:
            moved = f"SELECT {series} FROM {source.table.name} WHERE institution_id = $institution_id AND {source.table.day} >= $day"
            query = f"SELECT min(last) FROM ({lasts}) SEMI JOIN ({moved}) AS moved USING ({series})"
            days.append(first(connection, query, {"institution_id": institution_id, "day": changed[source.table.name]}))
    return [found[0] for found in days if found and found[0] is not None]


def _stretches(
    connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, since: date
) -> list[tuple[date, date | None]]:
    """The parts in which the days from `since` on are made: first day, and the day before which it ends (None: open)."""
    if since > EARLIEST or transform.stretch_days is None:
        return [(since, None)]
    spans = [
        first(connection, f"SELECT min({table.day}), max({table.day}) FROM {table.name} WHERE institution_id = ?", [institution_id])
        for table in {source.table.name: source.table for source in transform.inputs if source.table.day}.values()
        if table.schema_name != "ref"
    ]
    known = [span for span in spans if span and span[0] is not None]
    if not known:
        return [(since, None)]
    begin, end = min(span[0] for span in known), max(span[1] for span in known)
    cuts = [begin + timedelta(days=step) for step in range(transform.stretch_days, (end - begin).days + 1, transform.stretch_days)]
    return list(zip([since, *cuts], [*cuts, None], strict=True))


class _Inputs(Mapping[str, pl.LazyFrame]):
    """One institution's inputs by name, each read when it is asked for first: a goal that is not pursued reads nothing."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, transform: Transform, institution_id: str, since: date, until: date | None
    ) -> None:
        self._connection = connection
        self._transform = transform
        self._institution_id = institution_id
        self._since = since
        self._until = until
        self._sources = {source.name: source for source in transform.inputs}
        self._read: dict[str, pl.LazyFrame] = {}

    def __getitem__(self, name: str) -> pl.LazyFrame:
        if name not in self._read:
            self._read[name] = self._input(self._sources[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _input(self, source: Input) -> pl.LazyFrame:
        lookback = self._transform.lookback_days if source.lookback_days is None else source.lookback_days
        start = EARLIEST if lookback is None else _earlier(self._since, lookback)
        ahead = max(one.reach_back_days or 0 for one in self._transform.inputs)
        until = None if self._until is None else self._until + timedelta(days=max(ahead, self._transform.reach_back_days))
        keys = None if source.keyed is None or start == EARLIEST else source.keyed.keys(self).collect()
        return read(
            self._connection,
            source.table,
            self._institution_id,
            since=None if start == EARLIEST else start,
            until=until,
            json_types=source.json_types,
            where=source.where,
            picked=None if source.picked is None else (source.picked.on, source.picked.query),
            keyed=None if keys is None or source.keyed is None else (source.keyed.by, keys.to_series()),
        )


def collect(transform: Transform, frames: Mapping[str, pl.LazyFrame], since: date | None = None) -> pl.DataFrame:
    """The transform's rows, in the order of its key. Those before `since` may be missing.

    Raises:
        TransformError: the columns or their types are not the declared ones.
    """
    try:
        more = {"since": since} if transform.takes_since and since is not None else {}
        result = transform.compute(**frames, **more).collect()
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


def _earlier(day: date, days: int) -> date:
    """`days` before `day`, no further than the beginning."""
    return EARLIEST if (day - EARLIEST).days <= days else day - timedelta(days=days)
