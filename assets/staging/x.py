"""X's JSON becomes the common things, in either dialect (`repost_count` or `retweet_count`). X has no reach.

Not here: what is asked (connectors/x.py).
"""

from __future__ import annotations

import polars as pl

from assets.staging.mapping import FLAGS_JSON, STAMP, Gives, PlatformMapping, Source, absent, field

REPOST_TYPES = ("reposted", "retweeted")
REFERENCES = [{"type": "VARCHAR", "id": "VARCHAR"}]


def _either(first: str, second: str) -> pl.Expr:
    return pl.coalesce(field(first), field(second))


def _references() -> pl.Expr:
    return _either("referenced_posts", "referenced_tweets")


def _has_reference(*types: str) -> pl.Expr:
    is_such = _references().list.eval(pl.element().struct.field("type").is_in(types)).list.any()
    return pl.coalesce(is_such, pl.lit(value=False))


def _parent_id() -> pl.Expr:
    replied = _references().list.eval(pl.element().filter(pl.element().struct.field("type") == "replied_to").struct.field("id"))
    return replied.list.first()


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and snapshot day."""
    return raw.select(
        *STAMP,
        created_at=field("created_at"),
        followers=field("public_metrics.followers_count"),
        following=field("public_metrics.following_count"),
        posts_total=_either("public_metrics.post_count", "public_metrics.tweet_count"),
    )


def post_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post and snapshot day; of an edited post the latest edit wins. A repost's counters are the original's: NULL here."""
    is_repost = _has_reference(*REPOST_TYPES)
    shares = _either("public_metrics.repost_count", "public_metrics.retweet_count") + field("public_metrics.quote_count")
    counters = {
        "reactions": field("public_metrics.like_count"),
        "comments_platform": field("public_metrics.reply_count"),
        "shares": shares,
        "saves": field("public_metrics.bookmark_count"),
        "views": absent(pl.Int64),
        "impressions": field("public_metrics.impression_count"),
        "link_clicks": field("non_public_metrics.url_link_clicks"),
        "reach": absent(pl.Int64),
    }
    return raw.select(
        *STAMP,
        post_id=pl.coalesce(_either("edit_history_post_ids", "edit_history_tweet_ids").list.first(), field("id")),
        version_id=field("id"),
        created_at=field("created_at"),
        kind=pl.when(is_repost)
        .then(pl.lit("repost"))
        .when(_has_reference("replied_to"))
        .then(pl.lit("reply"))
        .when(_has_reference("quoted"))
        .then(pl.lit("quote"))
        .otherwise(pl.lit("post")),
        parent_id=_parent_id(),
        text=field("text"),
        hashtags=field("entities.hashtags").list.eval(pl.element().struct.field("tag").str.to_lowercase()),
        language=field("lang"),
        **{name: pl.when(is_repost).then(None).otherwise(value) for name, value in counters.items()},
    )


def items(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post by somebody that mentions or answers the account; the conversation is the root post's id."""
    return raw.select(
        *STAMP,
        item_id=pl.coalesce(_either("edit_history_post_ids", "edit_history_tweet_ids").list.first(), field("id")),
        created_at=field("created_at"),
        author_key=field("author_id"),
        conversation_id=field("conversation_id"),
        parent_id=_parent_id(),
        answers_account_id=field("in_reply_to_user_id"),
        is_reshare=_has_reference(*REPOST_TYPES),
        flags=field("flags"),
    )


def mention_hours(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and hour."""
    return raw.select(*STAMP, hour_start=field("start"), mentions=_either("post_count", "tweet_count"))


MAPPING = PlatformMapping(
    platform="x",
    sources={
        "account_snapshots": (Source(
            "accounts",
            {
                "created_at": "TIMESTAMPTZ",
                "public_metrics": {
                    "followers_count": "BIGINT", "following_count": "BIGINT", "post_count": "BIGINT", "tweet_count": "BIGINT",
                },
            },
            account_snapshots,
        ),),
        "post_snapshots": (Source(
            "posts",
            {
                "id": "VARCHAR", "created_at": "TIMESTAMPTZ", "text": "VARCHAR", "lang": "VARCHAR",
                "edit_history_post_ids": ["VARCHAR"], "edit_history_tweet_ids": ["VARCHAR"],
                "referenced_posts": REFERENCES, "referenced_tweets": REFERENCES,
                "entities": {"hashtags": [{"tag": "VARCHAR"}]},
                "public_metrics": {
                    "like_count": "BIGINT", "reply_count": "BIGINT", "repost_count": "BIGINT", "retweet_count": "BIGINT",
                    "quote_count": "BIGINT", "bookmark_count": "BIGINT", "impression_count": "BIGINT",
                },
                "non_public_metrics": {"url_link_clicks": "BIGINT"},
            },
            post_snapshots,
        ),),
        "items": (Source(
            "mentions",
            {
                "id": "VARCHAR", "created_at": "TIMESTAMPTZ", "author_id": "VARCHAR", "conversation_id": "VARCHAR",
                "in_reply_to_user_id": "VARCHAR", "referenced_posts": REFERENCES, "referenced_tweets": REFERENCES,
                "edit_history_post_ids": ["VARCHAR"], "edit_history_tweet_ids": ["VARCHAR"], "flags": FLAGS_JSON,
            },
            items,
        ),),
        "mention_hours": (Source(
            "mention_hours", {"start": "TIMESTAMPTZ", "post_count": "BIGINT", "tweet_count": "BIGINT"}, mention_hours
        ),),
    },
    gives={
        "reactions": Gives(metric="like_count"),
        "shares": Gives(metric="repost_count + quote_count"),
        "saves": Gives(metric="bookmark_count"),
        "impressions": Gives(metric="impression_count"),
        "exposures": Gives(metric="impression_count"),
        "link_clicks": Gives("non_public_metrics", metric="url_link_clicks", is_private=True),
        "posts": Gives(metric="posts"),
        "followers": Gives(streams=("accounts",), metric="followers_count"),
        "comments_audience": Gives(streams=("mentions",), metric="search"),
        "mentions": Gives(streams=("mentions",), metric="search"),
        "conversation_items": Gives(streams=("mentions",), metric="search"),
    },
)  # fmt: skip
