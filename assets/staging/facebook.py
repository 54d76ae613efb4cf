"""Facebook's JSON becomes the common things: posts, videos and reels, comments, posts that tag the page, and the page's days.

It has no saves and no impressions any more; of reels it tells no clicks. Those columns are NULL.
Not here: what is asked (connectors/facebook.py).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from assets.staging.graph import FLOW_JSON, INSIGHTS_JSON, comments, flows, hashtags, insight, mentions
from assets.staging.mapping import STAMP, Gives, PlatformMapping, Source, absent, field

TOTAL_JSON = {"summary": {"total_count": "BIGINT"}}


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per page and snapshot day."""
    return raw.select(
        *STAMP,
        created_at=absent(pl.Datetime("us", "UTC")),
        followers=field("followers_count"),
        following=absent(pl.Int64),
        posts_total=absent(pl.Int64),
    )


def post_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post and snapshot day. A post that nobody shared comes without `shares`: where the others are told, that is 0."""
    reactions = field("reactions.summary.total_count")
    is_reel = field("permalink_url").str.contains("/reel/", literal=True).fill_null(value=False)
    is_video = (field("attachments.data").list.first().struct.field("media_type") == "video").fill_null(value=False)
    return raw.select(
        *STAMP,
        post_id=field("id"),
        version_id=field("id"),
        created_at=field("created_time"),
        kind=pl.when(is_reel).then(pl.lit("reel")).when(is_video).then(pl.lit("video")).otherwise(pl.lit("post")),
        parent_id=absent(pl.String),
        text=field("message"),
        hashtags=hashtags("message"),
        language=absent(pl.String),
        reactions=reactions,
        comments_platform=field("comments.summary.total_count"),
        shares=pl.when(field("shares").is_null() & reactions.is_not_null()).then(pl.lit(0, pl.Int64)).otherwise(field("shares.count")),
        saves=absent(pl.Int64),
        views=pl.when(is_reel).then(insight("fb_reels_total_plays")).otherwise(insight("post_media_view")),
        impressions=absent(pl.Int64),
        # An object without the member does not say 0.
        link_clicks=insight("post_clicks_by_type", "link clicks"),
        reach=pl.when(is_reel).then(insight("post_impressions_unique")).otherwise(insight("post_total_media_view_unique")),
    )


DAY_NAMES = {
    "page_total_media_view_unique": "reach", "page_media_view": "views", "page_daily_follows_unique": "followers_gained",
    "page_daily_unfollows_unique": "followers_lost", "page_views_total": "profile_views",
}  # fmt: skip
REACH = "page_total_media_view_unique"
MAPPING = PlatformMapping(
    platform="facebook",
    sources={
        "account_snapshots": (Source("accounts", {"followers_count": "BIGINT"}, account_snapshots),),
        "account_flows": (
            Source("insights_day", FLOW_JSON, flows(DAY_NAMES)),
            Source("insights_week", FLOW_JSON, flows({REACH: "reach_7d"})),
            Source("insights_28d", FLOW_JSON, flows({REACH: "reach_28d"})),
        ),
        "post_snapshots": (
            Source(
                "posts",
                {
                    "id": "VARCHAR", "created_time": "TIMESTAMPTZ", "message": "VARCHAR", "permalink_url": "VARCHAR",
                    "attachments": {"data": [{"media_type": "VARCHAR"}]}, "shares": {"count": "BIGINT"},
                    "comments": TOTAL_JSON, "reactions": TOTAL_JSON, "insights": INSIGHTS_JSON,
                },
                post_snapshots,
            ),
        ),
        "items": (
            # A comment is the page's also where its post was never listed.
            comments("post_id", at="created_time", answered=pl.col("account_id")),
            mentions("from.id", at="created_time"),
        ),
    },
    gives={
        "reactions": Gives(metric="reactions.summary.total_count", paid_scope="total"),
        "shares": Gives(metric="shares.count", paid_scope="total"),
        "views": Gives("post_media_view", metric="post_media_view; of reels fb_reels_total_plays", version=2, paid_scope="total"),
        "exposures": Gives("post_media_view", metric="post_media_view; of reels fb_reels_total_plays", version=2, paid_scope="total"),
        "impressions": Gives("post_impressions", metric="post_impressions", until=date(2025, 11, 14), paid_scope="total"),
        "reach": Gives(REACH.replace("page", "post"), metric="post_total_media_view_unique; of reels post_impressions_unique", version=2, paid_scope="total"),
        "link_clicks": Gives("post_clicks_by_type", metric="post_clicks_by_type, link clicks", post_types=("post", "video"), paid_scope="total"),
        "account_reach": Gives(REACH, ("insights_day",), metric=f"{REACH}, period day", version=2, paid_scope="total"),
        "account_reach_7d": Gives(REACH, ("insights_week",), metric=f"{REACH}, period week", version=2, paid_scope="total"),
        "account_reach_28d": Gives(REACH, ("insights_28d",), metric=f"{REACH}, period days_28", version=2, paid_scope="total"),
        "posts": Gives(metric="published_posts"),
        "followers": Gives(streams=("accounts",), metric="followers_count", version=2),
        "comments_audience": Gives(streams=("comments",), metric="comments"),
        "mentions": Gives(streams=("mentions",), metric="tagged"),
        "conversation_items": Gives(streams=("comments", "mentions"), metric="comments, tagged"),
    },
)  # fmt: skip
