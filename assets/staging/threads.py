"""Threads' JSON becomes the common things: threads, the answers to them, mentions, and the visits of the profile.

It has no reach, saves, impressions or clicks by thread: those columns are NULL. Somebody else's thread that was shared on has no numbers.
Not here: what is asked (connectors/threads.py).
"""

from __future__ import annotations

import polars as pl

from assets.staging.graph import FLOW_JSON, INSIGHTS_JSON, comments, flows, hashtags, insight, mentions
from assets.staging.mapping import STAMP, Gives, PlatformMapping, Source, absent, field


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and snapshot day."""
    return raw.select(
        *STAMP,
        created_at=absent(pl.Datetime("us", "UTC")),
        followers=insight("followers_count"),
        following=absent(pl.Int64),
        posts_total=absent(pl.Int64),
    )


def post_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per thread and snapshot day."""
    type_ = field("media_type")
    return raw.select(
        *STAMP,
        post_id=field("id"),
        version_id=field("id"),
        created_at=field("timestamp"),
        kind=pl.when(type_ == "REPOST_FACADE")
        .then(pl.lit("repost"))
        .when(field("is_quote_post").fill_null(value=False))
        .then(pl.lit("quote"))
        .when(type_ == "CAROUSEL_ALBUM")
        .then(pl.lit("carousel"))
        .when(type_ == "VIDEO")
        .then(pl.lit("video"))
        .otherwise(pl.lit("post")),
        parent_id=absent(pl.String),
        text=field("text"),
        hashtags=hashtags("text"),
        language=absent(pl.String),
        reactions=insight("likes"),
        comments_platform=insight("replies"),
        shares=insight("reposts") + insight("quotes") + insight("shares"),
        saves=absent(pl.Int64),
        views=insight("views"),
        impressions=absent(pl.Int64),
        link_clicks=absent(pl.Int64),
        reach=absent(pl.Int64),
    )


MAPPING = PlatformMapping(
    platform="threads",
    sources={
        "account_snapshots": (Source("accounts", {"insights": INSIGHTS_JSON}, account_snapshots),),
        "account_flows": (Source("insights_day", FLOW_JSON, flows({"views": "profile_views"})),),
        "post_snapshots": (
            Source(
                "posts",
                {
                    "id": "VARCHAR", "timestamp": "TIMESTAMPTZ", "text": "VARCHAR", "media_type": "VARCHAR", "is_quote_post": "BOOLEAN",
                    "insights": INSIGHTS_JSON,
                },
                post_snapshots,
            ),
        ),
        "items": (comments("thread_id"), mentions("username")),
    },
    gives={
        "reactions": Gives("likes", metric="likes"),
        # One of the three is enough to lose the sum; the one that is in development is the likeliest to go.
        "shares": Gives("shares", metric="reposts + quotes + shares"),
        "views": Gives("views", metric="views"),
        "exposures": Gives("views", metric="views"),
        "posts": Gives(metric="threads"),
        "followers": Gives("followers_count", ("accounts",), metric="followers_count"),
        "comments_audience": Gives(streams=("comments",), metric="conversation"),
        "mentions": Gives(streams=("mentions",), metric="mentions"),
        "conversation_items": Gives(streams=("comments", "mentions"), metric="conversation, mentions"),
    },
)  # fmt: skip
