"""Instagram's JSON becomes the common things: posts, reels and carousels, stories, comments, tags, and the days of the account.

It has no impressions any more and no clicks on links of posts: those columns are NULL.
Not here: what is asked (connectors/instagram.py).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from assets.staging.graph import FLOW_JSON, INSIGHTS_JSON, comments, flows, hashtags, insight, mentions
from assets.staging.mapping import STAMP, Gives, PlatformMapping, Source, absent, field

MEDIA_JSON = {
    "id": "VARCHAR", "timestamp": "TIMESTAMPTZ", "caption": "VARCHAR", "media_type": "VARCHAR", "media_product_type": "VARCHAR",
    "like_count": "BIGINT", "comments_count": "BIGINT", "insights": INSIGHTS_JSON,
}  # fmt: skip


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and snapshot day. Instagram does not tell when an account was made."""
    return raw.select(
        *STAMP,
        created_at=absent(pl.Datetime("us", "UTC")),
        followers=field("followers_count"),
        following=field("follows_count"),
        posts_total=field("media_count"),
    )


def media(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post, reel or story and snapshot day. Where likes are hidden the insights may still tell them; of stories none are counted."""
    product, type_ = field("media_product_type"), field("media_type")
    return raw.select(
        *STAMP,
        post_id=field("id"),
        version_id=field("id"),
        created_at=field("timestamp"),
        kind=pl.when(product == "STORY")
        .then(pl.lit("story"))
        .when(product == "REELS")
        .then(pl.lit("reel"))
        .when(type_ == "CAROUSEL_ALBUM")
        .then(pl.lit("carousel"))
        .when(type_ == "VIDEO")
        .then(pl.lit("video"))
        .otherwise(pl.lit("post")),
        parent_id=absent(pl.String),
        text=field("caption"),
        hashtags=hashtags("caption"),
        language=absent(pl.String),
        reactions=pl.when(product.ne_missing("STORY")).then(pl.coalesce(field("like_count"), insight("likes"))),
        comments_platform=field("comments_count"),
        shares=insight("shares"),
        saves=insight("saved"),
        views=insight("views"),
        impressions=absent(pl.Int64),
        link_clicks=absent(pl.Int64),
        reach=insight("reach"),
    )


NO_STORY = ("post", "carousel", "reel", "video")
LISTS = ("posts", "stories")
TOTALS = {"views": "views", "profile_views": "profile_views", "website_clicks": "link_clicks"}
MAPPING = PlatformMapping(
    platform="instagram",
    sources={
        "account_snapshots": (
            Source("accounts", {"followers_count": "BIGINT", "follows_count": "BIGINT", "media_count": "BIGINT"}, account_snapshots),
        ),
        "account_flows": (
            Source("insights_day", FLOW_JSON, flows({"reach": "reach"})),
            Source("followers_day", FLOW_JSON, flows({"follower_count": "followers_gained"})),
            Source("totals_day", FLOW_JSON, flows(TOTALS)),
            Source("insights_week", FLOW_JSON, flows({"reach": "reach_7d"})),
            Source("insights_28d", FLOW_JSON, flows({"reach": "reach_28d"})),
        ),
        "post_snapshots": (Source("posts", MEDIA_JSON, media), Source("stories", MEDIA_JSON, media)),
        "items": (comments("media_id"), mentions("username")),
    },
    gives={
        "reactions": Gives(metric="like_count", paid_scope="organic", post_types=NO_STORY),
        "shares": Gives("shares", LISTS, metric="shares", paid_scope="organic"),
        "saves": Gives("saved", metric="saved", paid_scope="organic", post_types=NO_STORY),
        "views": Gives("views", LISTS, metric="views", version=2, paid_scope="organic"),
        "exposures": Gives("views", metric="views", version=2, paid_scope="organic"),
        "impressions": Gives("impressions", metric="impressions", until=date(2025, 4, 20)),
        "reach": Gives("reach", metric="reach", paid_scope="organic"),
        "account_reach": Gives("reach", ("insights_day",), metric="reach, period day", paid_scope="total"),
        "account_reach_7d": Gives("reach", ("insights_week",), metric="reach, period week", paid_scope="total"),
        "account_reach_28d": Gives("reach", ("insights_28d",), metric="reach, period days_28", paid_scope="total"),
        "posts": Gives(metric="media"),
        "followers": Gives(streams=("accounts",), metric="followers_count"),
        "comments_audience": Gives(streams=("comments",), metric="comments"),
        "mentions": Gives(streams=("mentions",), metric="tags"),
        "conversation_items": Gives(streams=("comments", "mentions"), metric="comments, tags"),
    },
)  # fmt: skip
