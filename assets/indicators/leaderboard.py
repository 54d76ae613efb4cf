"""The posts of the institution beside each other at equal age: what did best, and what did not.

Not here: persons, and posts younger than seven days (they have not had the same time).
"""

from __future__ import annotations

import polars as pl

from assets.indicators.by_post import POST_MEASURES
from assets.indicators.measures import given, has_type
from assets.reference import AVAILABILITY
from assets.staging.things import ACCOUNT_KEY
from assets.transform import Input, Transform
from pipelines.tables import Column, Table, key

WHO = list(ACCOUNT_KEY)
CONTENT_LEADERBOARD = Table(
    "indicators.content_leaderboard",
    "One row per post at the age of 7 days: its engagement per follower and its place among the month's posts of its platform, 1 = best.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The account"),
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Local date of publication"),
        key("month", "DATE", "First day of its month"),
        key("post_type", "VARCHAR", "post, quote, reel, short, video, live or carousel"),
        key(
            "engagement_count",
            "BIGINT",
            "Reactions, comments by others, shares and saves (those that the platform has) at the age of 7 days",
        ),
        Column("exposures", "BIGINT", "Views, or impressions where there are no views; NULL = the platform gives neither"),
        key("followers_at_publication", "BIGINT", "Followers on the day of publication"),
        key("engagement_rate_followers", "DOUBLE", "Engagement over followers, a fraction"),
        key("place", "INTEGER", "Place among the month's posts of the platform, 1 = best; equal rates share a place"),
        key("posts_compared", "INTEGER", "Posts among which it was placed"),
    ),
    key=(*ACCOUNT_KEY, "post_id"),
    day="day",
)


def content_leaderboard(post_measures: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Posts of which everything is known at the age of 7 days, placed by engagement per follower within platform and month."""
    among = ["institution_id", "platform", "month"]
    parts = ["reactions", "shares", "saves"]
    is_whole = pl.all_horizontal(
        pl.col("comments_audience").is_not_null(),
        pl.col("followers_at_publication").is_not_null(),
        *(pl.col(name).is_not_null() | ~has_type(name) for name in parts),
    )
    engaged = pl.sum_horizontal("comments_audience", *(pl.when(has_type(name)).then(pl.col(name)) for name in parts))
    return (
        post_measures.join(given(availability, parts), on=["institution_id", "platform"])
        .filter(pl.col("is_mature") & is_whole & (pl.col("followers_at_publication") > 0))
        .with_columns(month=pl.col("day").dt.truncate("1mo"), engagement_count=engaged)
        .with_columns(engagement_rate_followers=pl.col("engagement_count") / pl.col("followers_at_publication"))
        .with_columns(
            place=pl.col("engagement_rate_followers").rank("min", descending=True).over(among).cast(pl.Int32),
            posts_compared=pl.len().over(among).cast(pl.Int32),
        )
        .select(CONTENT_LEADERBOARD.names)
    )


TRANSFORM = Transform(
    CONTENT_LEADERBOARD,
    (Input("post_measures", POST_MEASURES), Input("availability", AVAILABILITY)),
    content_leaderboard,
    ("institution_id", "platform"),
    # A post's place depends on the whole of its month.
    reach_back_days=31,
    lookback_days=31,
)
