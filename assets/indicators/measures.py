"""Which measures formulas are made of, and which of them a platform gives, of which posts, from which streams.

Not here: their values (by_day.py, by_post.py), formulas (formulas.py) and periods (values.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from assets.indicators.values import ALL
from assets.staging.things import ACCOUNT_KEY

COUNTER_MEASURES = ("reactions", "shares", "saves", "views", "impressions", "link_clicks")
ITEM_MEASURES = ("mentions", "conversation_items")
# Of an account, for the platform's own windows that end on the day; the columns of staging.account_days without the first word.
REACH_MEASURES = ("account_reach", "account_reach_7d", "account_reach_28d")
STOCK_MEASURES = ("followers", *REACH_MEASURES)
DAY_MEASURES_NAMES = (*COUNTER_MEASURES, "comments_audience", "posts", *ITEM_MEASURES, *STOCK_MEASURES)
COHORT_MEASURES = (*COUNTER_MEASURES, "reach", "exposures", "comments_audience", "followers_at_publication")
# Those that a stream of posts gives of each one.
LISTED_MEASURES = (*COUNTER_MEASURES, "reach", "exposures")
# Stories are a type of their own, and no posts in rates.
COUNTED_TYPES = ("post", "quote", "reel", "short", "video", "live", "carousel")
WHO = list(ACCOUNT_KEY)


def given(availability: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Per platform `<measure>_given`, `_field`, `_types` (of posts that have it), `_since` and `_until`."""

    def first(column: str, name: str) -> pl.Expr:
        return pl.col(column).filter((pl.col("measure") == name) & pl.col("is_given")).first()

    return availability.group_by(["institution_id", "platform"]).agg(
        expression
        for name in names
        for expression in (
            pl.col("is_given").filter(pl.col("measure") == name).any().alias(f"{name}_given"),
            first("needs_field", name).alias(f"{name}_field"),
            pl.col("post_type").filter((pl.col("measure") == name) & pl.col("is_given")).alias(f"{name}_types"),
            first("valid_from", name).alias(f"{name}_since"),
            first("valid_to", name).alias(f"{name}_until"),
        )
    )


def has_type(name: str) -> pl.Expr:
    """The row's type of post has the measure, beside the columns of `given`. A part of a thread is what its first post is."""
    post_type = pl.when(pl.col("post_type") == "thread_part").then(pl.lit("post")).otherwise(pl.col("post_type"))
    types = pl.col(f"{name}_types")
    return (types.list.contains(pl.lit(ALL)) | types.list.contains(post_type)).fill_null(value=False)


def streams_of(availability: pl.LazyFrame) -> pl.LazyFrame:
    """One row per platform, measure and stream that must have been read for a day of it to be known."""
    columns = ["institution_id", "platform", "measure", "stream", "needs_field"]
    return availability.filter("is_given").explode("streams").rename({"streams": "stream"}).select(columns).unique()
