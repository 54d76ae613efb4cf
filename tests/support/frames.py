"""Every transform over frames in memory: a home's own, changed as a test wishes, without a database.

Not here: rows written by hand (hand.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from pipelines import engine
from pipelines.night import all_transforms
from pipelines.warehouse import ensure, read

if TYPE_CHECKING:
    from assets.transform import Input, Transform
    from pipelines.house import House

Frames = dict[str, pl.DataFrame]


def inputs_of(house: House, institution_id: str) -> Frames:
    """What the transforms are made from: raw (typed as they read it), its ledger and reference, by table name."""
    made = {transform.output.name for transform in all_transforms()}
    sources = {source.table.name: source for transform in all_transforms() for source in transform.inputs if source.table.name not in made}
    with house.warehouse.open() as connection:
        for source in sources.values():
            ensure(connection, source.table)
        return {
            name: _read(source, lambda one: read(connection, one.table, institution_id, json_types=one.json_types))
            for name, source in sources.items()
        }


def _read(source: Input, get: Callable[[Input], pl.LazyFrame]) -> pl.DataFrame:
    return get(source).collect()


def compute(transform: Transform, frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One transform's rows, in the order of its key."""
    return engine.collect(transform, {source.name: frames[source.table.name].lazy() for source in transform.inputs})


def compute_all(frames: Mapping[str, pl.DataFrame]) -> Frames:
    """The frames and every derived table."""
    known = dict(frames)
    for transform in all_transforms():
        known[transform.output.name] = compute(transform, known)
    return known
