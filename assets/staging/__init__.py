"""Staging: from each platform's JSON to the common things. One module a platform; a new one is found by its `MAPPING`.

Not here: indicators, and anything that would need another institution's rows.
"""

from __future__ import annotations

import json
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules

import polars as pl

from assets.ledgers import FETCH, raw_table
from assets.reference import ACCOUNT, LOCAL_DAY, STREAM
from assets.staging import common, groups, things
from assets.staging.mapping import Given, PlatformMapping
from assets.transform import Frames, Input, Keyed, Picked, Transform
from connectors.registry import platforms


@cache
def mappings() -> dict[str, PlatformMapping]:
    """The platforms' modules: every module of this package that declares `MAPPING`."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    found = (mapping for module in modules if isinstance(mapping := getattr(module, "MAPPING", None), PlatformMapping))
    return {mapping.platform: mapping for mapping in found}


def _raw_inputs(
    shape: Given, picked: Picked | None = None, reaches_from: str | None = None, days_off: int | None = None
) -> tuple[Input, ...]:
    return tuple(
        Input(
            common.raw_name(mapping.platform, source.stream),
            (table := raw_table(platforms()[mapping.platform], platforms()[mapping.platform].stream(source.stream))),
            json.dumps(source.json_types),
            picked=picked and Picked(picked.on, picked.query.format(table=table.name)),
            reaches_from=reaches_from,
            reach_back_days=days_off,
            lookback_days=days_off,
        )
        for mapping in mappings().values()
        for source in mapping.sources.get(shape, ())
    )


def _parse(shapes: tuple[Given, ...], then: str, **inputs: pl.LazyFrame) -> pl.LazyFrame:
    """Read the streams' frames as each of the shapes, then apply the common rule; the other inputs go to the rule by name."""
    raw = {source.name: inputs.pop(source.name) for shape in shapes for source in _raw_inputs(shape)}
    result: pl.LazyFrame = getattr(common, then)(*(common.given(shape, mappings().values(), raw) for shape in shapes), **inputs)
    return result


def _account_days(**inputs: pl.LazyFrame) -> pl.LazyFrame:
    known = [(mapping.platform, platforms()[mapping.platform].day_basis) for mapping in mappings().values()]
    bases = pl.LazyFrame(known, schema={"platform": pl.String(), "day_basis": pl.String()}, orient="row")
    return _parse(("account_snapshots", "account_flows"), "account_days", bases=bases, **inputs)


def _answered(frames: Frames) -> pl.LazyFrame:
    """The ids of the posts that the items answer."""
    items = common.given("items", mappings().values(), frames)
    return pl.concat([items.select(key=name) for name in ("conversation_id", "parent_id")]).drop_nulls().unique()


BY_ACCOUNT = ("institution_id", "account_id")
# Posts are read again for 30 days; a post's row can change as long, and some days more for a late first sighting.
POST_CHANGES_DAYS = 40
# A year of snapshots in memory at once, when all are made anew.
STRETCH_DAYS = 366
# Of an account, and of a post's version, the first and the last snapshot say all that is asked here.
ENDS_OF_ACCOUNTS = Picked(
    ("account_id", "day"),
    "SELECT account_id, unnest([min(day), max(day)]) AS day FROM {table} WHERE institution_id = $institution_id GROUP BY 1",
)
ENDS_OF_POSTS = Picked(
    ("account_id", "record_key", "day"),
    "SELECT account_id, record_key, unnest([min(day), max(day)]) AS day FROM {table} "
    "WHERE institution_id = $institution_id AND day >= $start GROUP BY 1, 2",
)
# Of the fetches before the first day: where each stream began and reached back to, its last known night, and its last of all.
FETCHES = Picked(
    ("platform", "account_id", "stream", "day"),
    f"""
    SELECT platform, account_id, stream, unnest([
        min(day), arg_min(day, window_start), max(day), max(day) FILTER (is_complete AND is_last AND day < $start)
    ]) AS day FROM {FETCH.name} WHERE institution_id = $institution_id GROUP BY 1, 2, 3
    UNION SELECT platform, account_id, stream, day FROM {FETCH.name} WHERE institution_id = $institution_id AND day >= $start
    """,
)


@cache
def transforms() -> tuple[Transform, ...]:
    """The staging tables in an order in which each finds its inputs ready."""
    coverage = Input("coverage", things.COVERAGE)
    posts = Input("posts_", things.POSTS, keyed=Keyed(("post_id", "version_id"), _answered))
    streams, local_days, accounts = Input("streams", STREAM), Input("local_days", LOCAL_DAY), Input("accounts_", ACCOUNT)
    items = (*_raw_inputs("items"), posts, accounts)
    return (
        Transform(
            things.COVERAGE,
            (Input("fetches", FETCH, reaches_from="window_start", picked=FETCHES), streams, local_days, accounts),
            common.coverage,
            ("institution_id",),
            # A window of events that ended in the night before still covers the beginning of the day.
            lookback_days=1,
            version=3,
            dense_by=("platform", "account_id"),
        ),
        Transform(
            things.ACCOUNTS,
            _raw_inputs("account_snapshots", ENDS_OF_ACCOUNTS),
            partial(_parse, ("account_snapshots",), "accounts"),
            BY_ACCOUNT,
        ),
        Transform(
            things.ACCOUNT_DAYS,
            # The platform's day may be the one before or after the institution's.
            (*_raw_inputs("account_snapshots"), *_raw_inputs("account_flows", days_off=1)),
            _account_days,
            BY_ACCOUNT,
            version=2,
        ),
        Transform(
            things.POSTS,
            # An account that is listed for the first time shows posts that are older than a night reaches otherwise.
            (*_raw_inputs("post_snapshots", ENDS_OF_POSTS, "window_start"), coverage, streams, local_days, Input("fetches", FETCH)),
            partial(_parse, ("post_snapshots",), "posts"),
            BY_ACCOUNT,
            reach_back_days=POST_CHANGES_DAYS,
            lookback_days=POST_CHANGES_DAYS,
            version=3,
        ),
        Transform(
            things.POST_SNAPSHOTS,
            _raw_inputs("post_snapshots"),
            partial(_parse, ("post_snapshots",), "post_snapshots"),
            BY_ACCOUNT,
            version=2,
            stretch_days=STRETCH_DAYS,
        ),
        Transform(
            things.POST_DAYS,
            (Input("snapshots", things.POST_SNAPSHOTS), coverage),
            common.post_days,
            BY_ACCOUNT,
            lookback_days=common.MAX_DELTA_DAYS + 1,
            stretch_days=STRETCH_DAYS,
        ),
        Transform(
            things.CONTENT_GROUPS,
            (Input("posts_", things.POSTS),),
            groups.content_groups,
            ("institution_id",),
            lookback_days=groups.LOOKBACK_DAYS,
            stretch_days=STRETCH_DAYS,
        ),
        # An item that is edited after midnight stays on the day of its first version.
        Transform(things.COMMENTS, items, partial(_parse, ("items",), "comments"), ("institution_id",), lookback_days=1),
        Transform(things.MENTIONS, items, partial(_parse, ("items",), "mentions"), ("institution_id",), lookback_days=1),
        Transform(things.MENTION_HOURS, _raw_inputs("mention_hours"), partial(_parse, ("mention_hours",), "mention_hours"), BY_ACCOUNT),
    )
