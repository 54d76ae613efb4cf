"""YouTube's JSON becomes the common things: videos, shorts and live streams, the comments on them, and the channel's days.

Of a video it tells no shares, saves, reach or clicks: those columns are NULL. Shares stand in the channel's days alone.
Not here: what is asked (connectors/youtube.py).
"""

from __future__ import annotations

import polars as pl

from assets.staging.graph import FLOW_JSON, flows
from assets.staging.mapping import FLAGS_JSON, STAMP, Gives, PlatformMapping, Source, absent, field

# The API does not name Shorts: since October 2024 they are vertical videos of up to three minutes, of which it tells the length alone [D].
SHORT_AT_MOST_S = 180
DURATION = r"^P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$"


def _seconds(path: str) -> pl.Expr:
    """The length that `PT1M30S` names, 0 while YouTube does not know it (`P0D`); NULL for anything else."""
    parts = (
        field(path).str.extract(DURATION, group).cast(pl.Int64).fill_null(0) * unit
        for group, unit in ((1, 86_400), (2, 3_600), (3, 60), (4, 1))
    )
    return pl.when(field(path).str.contains(DURATION)).then(pl.sum_horizontal(*parts))


def account_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per channel and snapshot day. Hidden subscribers are not given, and not 0."""
    return raw.select(
        *STAMP,
        created_at=field("snippet.publishedAt"),
        followers=pl.when(~field("statistics.hiddenSubscriberCount").fill_null(value=False)).then(field("statistics.subscriberCount")),
        following=absent(pl.Int64),
        posts_total=field("statistics.videoCount"),
    )


def post_snapshots(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per video and snapshot day. Likes that the owner hides, and comments that are switched off, are not given."""
    is_live = field("liveStreamingDetails.actualStartTime").is_not_null() | (field("snippet.liveBroadcastContent") != "none")
    text = pl.concat_str(field("snippet.title"), field("snippet.description"), separator="\n", ignore_nulls=True)
    return raw.select(
        *STAMP,
        post_id=field("id"),
        version_id=field("id"),
        created_at=field("snippet.publishedAt"),
        kind=pl.when(is_live.fill_null(value=False))
        .then(pl.lit("live"))
        .when(_seconds("contentDetails.duration").is_between(1, SHORT_AT_MOST_S).fill_null(value=False))
        .then(pl.lit("short"))
        .otherwise(pl.lit("video")),
        parent_id=absent(pl.String),
        text=text,
        hashtags=text.str.extract_all(r"#[\p{L}\p{N}_]+").list.eval(pl.element().str.strip_chars_start("#").str.to_lowercase()),
        language=pl.coalesce(field("snippet.defaultAudioLanguage"), field("snippet.defaultLanguage")),
        reactions=field("statistics.likeCount"),
        comments_platform=field("statistics.commentCount"),
        shares=absent(pl.Int64),
        saves=absent(pl.Int64),
        views=field("statistics.viewCount"),
        impressions=absent(pl.Int64),
        link_clicks=absent(pl.Int64),
        reach=absent(pl.Int64),
    )


def comments(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row per comment or reply; the conversation is the video's id. All of them answer the channel, however old the video is."""
    return raw.select(
        *STAMP,
        item_id=field("id"),
        created_at=field("published_at"),
        author_key=field("author_id"),
        conversation_id=field("video_id"),
        parent_id=field("parent_id"),
        answers_account_id=pl.col("account_id"),
        is_reshare=pl.lit(value=False),
        flags=field("flags"),
    )


DAY_NAMES = {
    "views": "views", "shares": "shares", "subscribersGained": "followers_gained", "subscribersLost": "followers_lost",
    "engagedViews": "engaged_views", "estimatedMinutesWatched": "watch_minutes",
}  # fmt: skip
MAPPING = PlatformMapping(
    platform="youtube",
    sources={
        "account_snapshots": (
            Source(
                "accounts",
                {
                    "snippet": {"publishedAt": "TIMESTAMPTZ"},
                    "statistics": {"subscriberCount": "BIGINT", "videoCount": "BIGINT", "hiddenSubscriberCount": "BOOLEAN"},
                },
                account_snapshots,
            ),
        ),
        "account_flows": (Source("insights_day", FLOW_JSON, flows(DAY_NAMES)),),
        "post_snapshots": (
            Source(
                "posts",
                {
                    "id": "VARCHAR",
                    "snippet": {
                        "publishedAt": "TIMESTAMPTZ", "title": "VARCHAR", "description": "VARCHAR", "liveBroadcastContent": "VARCHAR",
                        "defaultAudioLanguage": "VARCHAR", "defaultLanguage": "VARCHAR",
                    },
                    "statistics": {"viewCount": "BIGINT", "likeCount": "BIGINT", "commentCount": "BIGINT"},
                    "contentDetails": {"duration": "VARCHAR"},
                    "liveStreamingDetails": {"actualStartTime": "TIMESTAMPTZ"},
                },
                post_snapshots,
            ),
        ),
        "items": (
            Source(
                "comments",
                {
                    "id": "VARCHAR", "published_at": "TIMESTAMPTZ", "author_id": "VARCHAR", "video_id": "VARCHAR", "parent_id": "VARCHAR",
                    "flags": FLAGS_JSON,
                },
                comments,
            ),
        ),
    },
    gives={
        "reactions": Gives(metric="statistics.likeCount"),
        "views": Gives(metric="statistics.viewCount", version=3, paid_scope="total"),
        "exposures": Gives(metric="statistics.viewCount", version=3, paid_scope="total"),
        "posts": Gives(metric="playlistItems of the uploads"),
        "followers": Gives(streams=("accounts",), metric="statistics.subscriberCount"),
        "comments_audience": Gives(streams=("comments",), metric="commentThreads"),
        "conversation_items": Gives(streams=("comments",), metric="commentThreads"),
    },
)  # fmt: skip
