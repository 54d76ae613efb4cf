"""Indicators: a registry of definitions (data), the measures that they are made of, and a long table per family.

Not here: goals (which indicators judge what) and targets.
"""

from __future__ import annotations

from functools import cache, partial

import polars as pl

from assets.indicators import by_day, by_post, formulas, leaderboard, measures
from assets.indicators.registry import Indicator, indicators
from assets.indicators.values import ALL, values_table
from assets.reference import ACCOUNT, AVAILABILITY, GOAL_POPULATION, INDICATOR, LOCAL_DAY, STREAM
from assets.staging import STRETCH_DAYS, things
from assets.transform import Frames, Input, Keyed, Transform
from pipelines.tables import Table

FAMILIES = {
    "audience": "One row per value of an audience indicator: followers, their growth, reach.",
    "engagement": "One row per value of an engagement indicator: what people did with the posts.",
    "conversation": "One row per value of a conversation indicator: comments, mentions, talk about the institution.",
    "site": "One row per value of a site indicator: clicks on links, and what visitors of the site did.",
}
# A month, its trailing windows and the day before it.
WINDOW_LOOKBACK_DAYS = 40
# Twelve weeks before the first day of a month.
INDEX_LOOKBACK_DAYS = 135
# Answers and mentions, as every platform's streams of them are called.
EVENT_STREAMS = ("mentions", "comments")
# Rows stay provisional until their events are 7 days old.
SETTLE_DAYS = 8


@cache
def family_tables() -> dict[str, Table]:
    """The families' long tables by the family's name."""
    return {family: values_table(family, description) for family, description in FAMILIES.items()}


def computed_in(family: str) -> list[Indicator]:
    """The family's indicators that this version computes."""
    return [entry for entry in indicators().values() if entry.family == family and entry.is_computed]


def family_values(  # noqa: PLR0913 each is a table
    family: str,
    days: pl.LazyFrame,
    post_measures: pl.LazyFrame,
    posts_: pl.LazyFrame,
    populations: pl.LazyFrame,
    availability: pl.LazyFrame,
    streams: pl.LazyFrame,
    definitions: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per indicator of the family, series, period: each computed by the method that the registry names."""
    # Rows of days that did not change since keep the as-of day of the night that wrote them; the last one holds for all.
    days = days.with_columns(pl.col("as_of_day").max().over("institution_id"))
    restates = _restates(streams, pl.col("stream").is_in(EVENT_STREAMS))
    parts: dict[str, pl.LazyFrame] = {}
    for entry in computed_in(family):
        method = entry.compute.method if entry.compute else None
        if method in {"activity_sum", "event_count"}:
            parts[entry.key] = formulas.activity(entry, days, availability, restates)
        elif method in {"stock", "net_change", "growth_rate"}:
            parts[entry.key] = formulas.audience(entry, days, restates)
        elif method in {"reach", "reach_lower", "reach_upper"}:
            compute = formulas.reach if method == "reach" else formulas.reach_bound
            parts[entry.key] = compute(entry, days, _restates(_of(availability, streams, measures.REACH_MEASURES), pl.lit(value=True)))
        elif method == "cohort_ratio":
            parts[entry.key] = formulas.cohort(entry, days, post_measures, posts_, populations, availability, restates)
        elif method == "unavailable":
            # What a site or a desk records belongs to no social account: it stands at the institution alone.
            status = "not_applicable" if entry.needs == "social" else "not_connected"
            parts[entry.key] = formulas.unavailable(entry, days, status, institution_only=entry.needs not in {"social", "listening"})
        elif method == "score_index" and entry.compute and entry.compute.of:
            parts[entry.key] = formulas.score_index(entry, parts[entry.compute.of])
    as_of = days.group_by("institution_id").agg(as_of=pl.col("as_of_day").max())
    named = definitions.select("institution_id", "indicator_key", "unit", "cohort", definition_version="version")
    return (
        pl.concat([part.select(formulas.RESULT) for part in parts.values()])
        .join(named, on=["institution_id", "indicator_key"])
        .join(as_of, on="institution_id")
        .with_columns(
            *(pl.lit(ALL).alias(name) for name in ("scope", "dimension", "dimension_value")),
            # Public counters mix what was paid for with what was not.
            paid_scope=pl.lit("unknown"),
            ci_low=pl.lit(None, pl.Float64),
            ci_high=pl.lit(None, pl.Float64),
            run_id=pl.lit(""),
        )
        .select(family_tables()[family].names)
    )


def _of(availability: pl.LazyFrame, streams: pl.LazyFrame, names: tuple[str, ...]) -> pl.LazyFrame:
    """The streams that some of the measures come of; of the others the institution alone, without any days."""
    on = ["institution_id", "platform", "stream"]
    wanted = availability.filter("is_given", pl.col("measure").is_in(names)).explode("streams").select(*on[:2], stream="streams").unique()
    is_of = streams.join(wanted.with_columns(is_of=pl.lit(value=True)), on=on, how="left").with_columns(
        pl.col("is_of").fill_null(value=False)
    )
    return is_of.with_columns(restates_days=pl.when("is_of").then("restates_days"))


def _restates(streams: pl.LazyFrame, which: pl.Expr) -> pl.LazyFrame:
    """For how many days a value may still change that is made of such streams; 0 where the institution has none."""
    longest = pl.col("restates_days").filter(which).max()
    return streams.group_by("institution_id").agg(restates_days=longest.fill_null(0))


def _moved(frames: Frames) -> pl.LazyFrame:
    """The ids of the posts whose counters moved or that were answered."""
    return pl.concat([frames["post_days"].select("post_id"), frames["comments"].select("post_id")]).drop_nulls().unique()


def _first_posts(frames: Frames) -> pl.LazyFrame:
    """The ids of the posts that the others continue."""
    return frames["posts_"].select("root_id").unique()


@cache
def transforms() -> tuple[Transform, ...]:
    """The measures, then the families."""
    posts, coverage = Input("posts_", things.POSTS), Input("coverage", things.COVERAGE)
    accounts, populations = Input("accounts_", ACCOUNT), Input("populations", GOAL_POPULATION)
    availability, streams, local_days = Input("availability", AVAILABILITY), Input("streams", STREAM), Input("local_days", LOCAL_DAY)
    comments, account_days = Input("comments", things.COMMENTS), Input("account_days", things.ACCOUNT_DAYS)
    days, post_measures = Input("days", by_day.DAY_MEASURES), Input("post_measures", by_post.POST_MEASURES)
    by_institution = ("institution_id",)
    return (
        Transform(
            by_day.DAY_MEASURES,
            (
                Input("post_days", things.POST_DAYS),
                Input("posts_", things.POSTS, keyed=Keyed(("post_id",), _moved)),
                Input("roots", things.POSTS, keyed=Keyed(("post_id",), _first_posts)),
                *(comments, Input("mentions", things.MENTIONS), account_days),
                # Whether a day's posts were listed can be known until they are no longer asked for.
                Input("coverage", things.COVERAGE, reach_back_days=31),
                *(accounts, populations, availability, streams),
            ),
            by_day.day_measures,
            by_institution,
            lookback_days=1,
            stretch_days=STRETCH_DAYS,
            version=2,
        ),
        Transform(
            by_post.POST_MEASURES,
            (
                Input("snapshots", things.POST_SNAPSHOTS, where=by_post.AT_AGE_AT_MOST),
                *(posts, comments, account_days, coverage, local_days, accounts, availability),
            ),
            by_post.post_measures,
            by_institution,
            reach_back_days=by_post.COHORT_AGE_DAYS + 3,
            lookback_days=2,
            version=2,
        ),
        *(
            Transform(
                table,
                (days, post_measures, posts, populations, availability, streams, Input("definitions", INDICATOR)),
                partial(family_values, family),
                by_institution,
                reach_back_days=SETTLE_DAYS,
                version=2,
                lookback_days=INDEX_LOOKBACK_DAYS if family == "conversation" else WINDOW_LOOKBACK_DAYS,
            )
            for family, table in family_tables().items()
        ),
        leaderboard.TRANSFORM,
    )
