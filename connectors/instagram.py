"""Instagram's Graph API: a professional account, its media and stories with their insights, comments, tags, and its days.

Not here: what the numbers mean (assets/staging/instagram.py) and what all of Meta's APIs share (graph.py).
Source: the vendor's Instagram platform reference (insights pages of June 2026) and its recorded answers. Figures come up to 48 h late and
are kept two years; stories are shown for 24 h; what cannot be told is an empty list, never 0. Likes, comments, views and interactions are
organic ones; the `total_` names would include what was paid for.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

from connectors.beside import Beside, Nested
from connectors.graph import (
    INSIGHTS,
    MEDIA_DROPPED,
    braced,
    by_cursor,
    comments_of,
    insights_by_day,
    judge,
    peace_s,
    private_comment,
    takes_batches,
)
from connectors.metrics import Metric
from connectors.paging import graph_cursor
from connectors.privacy import Private
from connectors.streams import Break, Connector, Event, Limits, LongLived, Snapshot, Stream

IMPRESSIONS_GONE = date(2025, 4, 21)
MEDIA_FIELDS = "id,caption,media_type,media_product_type,timestamp,like_count,comments_count,permalink"
MEDIA_COUNTS = ("like_count", "comments_count", "insights.data[].values[].value{}", "insights.data[].total_value.value{}")
MEDIA_PRIVATE = Private(drop=MEDIA_DROPPED, redact=("caption",))
COMMENT_FIELDS = "id,timestamp,text,username,from"
COMMENTS_FIELDS = f"{COMMENT_FIELDS},replies.limit(50){{{COMMENT_FIELDS}}}"
BY_CURSOR = by_cursor("timestamp")
BOTH, FEED, REELS, STORY = ("FEED", "REELS"), ("FEED",), ("REELS",), ("STORY",)
MEDIA_METRICS = (
    Metric("reach", BOTH),
    Metric("views", BOTH, note="Of a reel: plays and replays; of a post: displays."),
    Metric("saved", BOTH),
    Metric("shares", BOTH),
    Metric("likes", BOTH, note="Where the account hides them from others they may be absent here too."),
    Metric("total_interactions", BOTH),
    Metric("follows", FEED),
    Metric("profile_visits", FEED),
    Metric("ig_reels_avg_watch_time", REELS, note="Milliseconds."),
    Metric("ig_reels_video_view_total_time", REELS, note="Milliseconds."),
    Metric("impressions", FEED, retired=IMPRESSIONS_GONE, replaced_by="views"),
    Metric("plays", REELS, retired=IMPRESSIONS_GONE, replaced_by="views"),
    Metric("video_views", FEED, retired=date(2025, 1, 21), replaced_by="views"),
    Metric("clips_replays_count", REELS, retired=IMPRESSIONS_GONE, replaced_by="views"),
    Metric("ig_reels_aggregated_all_plays_count", REELS, retired=IMPRESSIONS_GONE, replaced_by="views"),
    Metric("engagement", BOTH, retired=date(2023, 12, 1), replaced_by="total_interactions"),
)
STORY_METRICS = (
    Metric("reach", STORY),
    Metric("views", STORY),
    Metric("replies", STORY, note="May read 0 in some regions."),
    Metric("shares", STORY),
    Metric("total_interactions", STORY),
    Metric("navigation", STORY),
    Metric("follows", STORY),
    Metric("profile_visits", STORY),
    Metric("impressions", STORY, retired=IMPRESSIONS_GONE, replaced_by="views"),
)
REACH = Metric("reach")
# 30 days are the most that one request may span, and the last day of summer time has 25 hours.
SPAN_DAYS = 29
# Asked for days 730 back, the platform refuses the request; by its own clock, so a day is left.
KEPT_DAYS = 728
# New followers of a day are told for 30 days, and an older day costs the whole request.
FOLLOWERS_KEPT_DAYS = 29


def product_type(media: dict[str, Any]) -> str:
    """FEED, REELS, STORY or AD: what it decides is which metrics may be asked for."""
    return str(media.get("media_product_type") or "FEED")


MEDIA_INSIGHTS = Beside(INSIGHTS, "insights", product_type, batch="/{api_version}", batched=takes_batches)
_days = partial(insights_by_day, window=timedelta(days=SPAN_DAYS), retention=timedelta(days=KEPT_DAYS))

CONNECTOR = Connector(
    platform="instagram",
    label="Instagram",
    api_version="v26.0",
    sunset=None,
    docs_url="https://developers.facebook.com/docs/instagram-platform",
    post_url="https://www.instagram.com/{handle}/",
    default_base_url="https://graph.facebook.com",
    day_basis="pacific",
    auth=LongLived(
        scopes=("instagram_basic", "instagram_manage_insights", "instagram_manage_comments", "pages_read_engagement"),
        renewal_url="{base_url}/refresh_access_token",
        grant_type="ig_refresh_token",
        judge=judge,
        option=("login", "instagram"),
        base_url="https://graph.instagram.com",
    ),
    limits=Limits(requests=200, per=timedelta(hours=1), peace_s=peace_s),
    judge=judge,
    breaks=(
        Break("views", IMPRESSIONS_GONE, "Instagram: views in place of impressions and plays, all versions of the API"),
        Break("impressions", IMPRESSIONS_GONE, "Instagram: impressions are no longer given, views took their place"),
    ),
    streams=(
        Stream(
            "accounts",
            "GET /{api_version}/{account_id}",
            params={"fields": "id,followers_count,follows_count,media_count"},
            kind=Snapshot(key="id"),
            description="One row per account and snapshot day, as Instagram described the account.",
            counts=("followers_count", "follows_count", "media_count"),
            private=Private(drop=("username", "name", "biography", "profile_picture_url", "website", "ig_id")),
        ),
        Stream(
            "posts",
            "GET /{api_version}/{account_id}/media",
            params={"fields": MEDIA_FIELDS, "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Snapshot(key="id"),
            description="One row per post or reel and snapshot day with its insights, for media of the last 30 days; a carousel is one.",
            lookback=timedelta(days=30),
            newest_first="timestamp",
            resume=BY_CURSOR,
            counts=MEDIA_COUNTS,
            metrics=MEDIA_METRICS,
            beside=MEDIA_INSIGHTS,
            private=MEDIA_PRIVATE,
        ),
        Stream(
            "stories",
            "GET /{api_version}/{account_id}/stories",
            params={"fields": MEDIA_FIELDS, "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Snapshot(key="id"),
            description="One row per story and snapshot day with its insights; a story is shown for 24 hours, so the hourly job reads it too.",
            lookback=timedelta(days=1),
            newest_first="timestamp",
            expires_after=timedelta(hours=24),
            hourly=True,
            counts=MEDIA_COUNTS,
            metrics=STORY_METRICS,
            beside=MEDIA_INSIGHTS,
            private=MEDIA_PRIVATE,
        ),
        Stream(
            "comments",
            "GET /{api_version}/{account_id}/media",
            params={"fields": braced(f"id,timestamp,comments.limit(50){{{COMMENTS_FIELDS}}}"), "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Event(key="id", at="timestamp"),
            description="One row per comment or reply under media of the last 30 days: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="timestamp",
            parents_back=timedelta(days=30),
            resume=BY_CURSOR,
            hourly=True,
            unfold=comments_of("media_id"),
            nested=Nested(
                "comments",
                "/{api_version}/{id}/comments",
                graph_cursor(),
                {"fields": COMMENTS_FIELDS, "limit": "50"},
                inner=Nested("replies", "/{api_version}/{id}/replies", graph_cursor(), {"fields": COMMENT_FIELDS, "limit": "50"}),
            ),
            private=private_comment("media_id", author_handle="author_handle"),
        ),
        Stream(
            "mentions",
            "GET /{api_version}/{account_id}/tags",
            params={"fields": "id,caption,timestamp,username,owner", "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Event(key="id", at="timestamp"),
            description="One row per post by somebody else in which the account is tagged: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="timestamp",
            resume=BY_CURSOR,
            hourly=True,
            private=Private(
                keep=("id", "timestamp", "username"), pseudonym=("username",), flags_from="caption", author="username", is_mention=True
            ),
        ),
        _days("insights_day", (REACH,), "One row per day of the platform: people reached.", period="day"),
        _days(
            "followers_day",
            (Metric("follower_count", note="Not given below 100 followers."),),
            "One row per day of the platform: new followers.",
            period="day",
            retention=timedelta(days=FOLLOWERS_KEPT_DAYS),
        ),
        _days("insights_week", (REACH,), "One row per day: people reached in the seven days that end with it.", period="week"),
        _days("insights_28d", (REACH,), "One row per day: people reached in the 28 days that end with it.", period="days_28"),
        _days(
            "totals_day",
            (Metric("views"), Metric("profile_views"), Metric("website_clicks")),
            "One row per measure and day of the platform that is only given as a total of a span: views, visits of the profile, taps on its link.",
            period="day",
            metric_type="total_value",
            window=timedelta(days=1),
        ),
    ),
)
