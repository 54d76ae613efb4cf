"""Mastodon's JSON becomes the common things. It has no reach, views, impressions, saves or clicks: those columns are NULL (`not_applicable`).

Not here: what is asked (connectors/mastodon.py).
"""

from __future__ import annotations

import polars as pl

from assets.staging.mapping import FLAGS_JSON, STAMP, Gives, PlatformMapping, Source, absent, field


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and snapshot day."""
    return raw.select(
        *STAMP,
        created_at=field("created_at"),
        followers=field("followers_count"),
        following=field("following_count"),
        posts_total=field("statuses_count"),
    )


def post_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per status and snapshot day. Servers before 4.5 give no `quotes_count`: then shares are the boosts."""
    boosts, quotes = field("reblogs_count"), field("quotes_count")
    return raw.select(
        *STAMP,
        post_id=field("id"),
        version_id=field("id"),
        created_at=field("created_at"),
        kind=pl.when(field("in_reply_to_id").is_not_null()).then(pl.lit("reply")).otherwise(pl.lit("post")),
        parent_id=field("in_reply_to_id"),
        text=field("content"),
        hashtags=field("tags").list.eval(pl.element().struct.field("name").str.to_lowercase()),
        language=field("language"),
        reactions=field("favourites_count"),
        comments_platform=field("replies_count"),
        shares=pl.when(quotes.is_null()).then(boosts).otherwise(boosts + quotes),
        saves=absent(pl.Int64),
        views=absent(pl.Int64),
        impressions=absent(pl.Int64),
        link_clicks=absent(pl.Int64),
        reach=absent(pl.Int64),
    )


def items(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per status by somebody that mentions or answers the account. Mastodon names no conversation: the parent decides."""
    return raw.select(
        *STAMP,
        item_id=field("status.id"),
        created_at=field("status.created_at"),
        author_key=field("account.id"),
        conversation_id=absent(pl.String),
        parent_id=field("status.in_reply_to_id"),
        answers_account_id=field("status.in_reply_to_account_id"),
        is_reshare=pl.lit(value=False),
        flags=field("flags"),
    )


MAPPING = PlatformMapping(
    platform="mastodon",
    sources={
        "account_snapshots": (Source(
            "accounts",
            {"created_at": "TIMESTAMPTZ", "followers_count": "BIGINT", "following_count": "BIGINT", "statuses_count": "BIGINT"},
            account_snapshots,
        ),),
        "post_snapshots": (Source(
            "posts",
            {
                "id": "VARCHAR", "created_at": "TIMESTAMPTZ", "in_reply_to_id": "VARCHAR", "content": "VARCHAR", "language": "VARCHAR",
                "tags": [{"name": "VARCHAR"}], "favourites_count": "BIGINT", "replies_count": "BIGINT", "reblogs_count": "BIGINT",
                "quotes_count": "BIGINT",
            },
            post_snapshots,
        ),),
        "items": (Source(
            "mentions",
            {
                "account": {"id": "VARCHAR"},
                "status": {"id": "VARCHAR", "created_at": "TIMESTAMPTZ", "in_reply_to_id": "VARCHAR", "in_reply_to_account_id": "VARCHAR"},
                "flags": FLAGS_JSON,
            },
            items,
        ),),
    },
    gives={
        "reactions": Gives(metric="favourites_count"),
        "shares": Gives(metric="reblogs_count + quotes_count"),
        "posts": Gives(metric="statuses"),
        "followers": Gives(streams=("accounts",), metric="followers_count"),
        "comments_audience": Gives(streams=("mentions",), metric="notifications"),
        "mentions": Gives(streams=("mentions",), metric="notifications"),
        "conversation_items": Gives(streams=("mentions",), metric="notifications"),
    },
)  # fmt: skip
