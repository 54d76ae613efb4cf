"""Facebook's Graph API: a page, its posts and reels with their insights, comments, posts that tag it, and its days.

Not here: what the numbers mean (assets/staging/facebook.py) and what all of Meta's APIs share (graph.py).
Source: the vendor's Pages API reference and its list of withdrawn metrics (March 2026). Asked with the page's own token. A page needs a
hundred likes before it has insights, and then gives two years, ninety days a call; below, what comes is an empty list, never 0.
Reels have no `/insights`: their numbers stand at the video, under names of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.beside import Beside, Nested
from connectors.graph import INSIGHTS, WORDY, braced, by_cursor, comments_of, insights_by_day, judge, peace_s, private_comment
from connectors.metrics import Metric
from connectors.paging import graph_cursor
from connectors.privacy import Private
from connectors.streams import Bearer, Break, Connector, Event, Limits, Snapshot, Stream

if TYPE_CHECKING:
    from connectors.streams import Window

VIEWS = date(2025, 11, 15)
# The vendor's page of March 2026 prints 2025 for it: the call is what tells, and this is only when we stop asking.
SECOND_WAVE = date(2026, 6, 15)
POST, VIDEO, REEL = "post", "video", "reel"
PUBLISHED = (POST, VIDEO)
POST_METRICS = (
    Metric("post_media_view", PUBLISHED, introduced=date(2025, 8, 15)),
    Metric("post_total_media_view_unique", PUBLISHED, introduced=date(2025, 8, 15)),
    Metric(
        "post_clicks_by_type",
        PUBLISHED,
        note="An object: the clicks on links stand under `link clicks`. Whether it is still given is disputed.",
    ),
    Metric("fb_reels_total_plays", (REEL,), note="Plays and replays of a reel, asked at the video."),
    Metric("post_impressions_unique", (REEL,), note="People to whom a reel was displayed: at the video the old name lives on."),
    Metric("post_impressions", PUBLISHED, retired=VIEWS, replaced_by="post_media_view"),
    Metric("post_impressions_unique", PUBLISHED, retired=SECOND_WAVE, replaced_by="post_total_media_view_unique"),
    Metric("post_engaged_users", PUBLISHED, retired=date(2024, 3, 14)),
)
REACH = Metric("page_total_media_view_unique", introduced=date(2025, 8, 15))
PAGE_METRICS = (
    Metric("page_media_view", introduced=date(2025, 8, 15)),
    REACH,
    Metric("page_daily_follows_unique", note="People who began to follow."),
    Metric("page_daily_unfollows_unique", note="People who ceased to follow."),
    Metric("page_views_total", note="Visits of the page itself."),
    Metric("page_post_engagements"),
    Metric("page_impressions", retired=VIEWS, replaced_by="page_media_view"),
    Metric("page_impressions_unique", retired=SECOND_WAVE, replaced_by="page_total_media_view_unique"),
    Metric("page_fans", retired=VIEWS, replaced_by="page_follows"),
    Metric("page_engaged_users", retired=date(2024, 3, 14)),
)
# `filter(stream)`: answers to comments are counted too, as on the screen; without it comments of the first level alone [mem].
POST_FIELDS = (
    "id,created_time,message,message_tags{name},permalink_url,status_type,attachments{media_type,type},shares,"
    "comments.filter(stream).limit(0).summary(true),reactions.limit(0).summary(true)"
)
COMMENT_FIELDS = "id,created_time,message,from{id},parent{id}"
BY_CURSOR = by_cursor("created_time")


def kind_of(post: dict[str, Any]) -> str:
    """`reel`, `video` or `post`: a reel is known by its address, a video by what is attached."""
    if "/reel/" in str(post.get("permalink_url", "")):
        return REEL
    held = post.get("attachments")
    attached = held.get("data") if isinstance(held, dict) else None
    first = attached[0] if isinstance(attached, list) and attached and isinstance(attached[0], dict) else {}
    return VIDEO if first.get("media_type") == "video" else POST


def insights_path(post: dict[str, Any]) -> str:
    """Where a post's numbers are asked for; a reel's at its video."""
    if kind_of(post) != REEL:
        return INSIGHTS
    video = str(post.get("permalink_url", "")).rstrip("/").rpartition("/")[2]
    return f"/{{api_version}}/{video}/video_insights" if video.isdecimal() else "/{api_version}/{id}/video_insights"


def tagged_of(record: Mapping[str, Any], window: Window) -> Iterator[dict[str, Any]]:
    """The post that tags us, named by its own number alone: before it stands the number of the person who wrote it."""
    del window
    identity = record.get("id")
    yield {**record, "id": identity.rpartition("_")[2] if isinstance(identity, str) else identity}


# Ninety days are the limit, counted in seconds: in autumn ninety of theirs are an hour longer.
_days = partial(insights_by_day, window=timedelta(days=89), retention=timedelta(days=730))

CONNECTOR = Connector(
    platform="facebook",
    label="Facebook",
    api_version="v26.0",
    sunset=None,
    docs_url="https://developers.facebook.com/docs/pages-api",
    post_url="https://www.facebook.com/{post_id}",
    default_base_url="https://graph.facebook.com",
    day_basis="pacific",
    auth=Bearer(scopes=("pages_read_engagement", "pages_read_user_content", "read_insights")),
    limits=Limits(requests=200, per=timedelta(hours=1), peace_s=peace_s),
    judge=judge,
    breaks=(
        Break("views", VIEWS, "Facebook: views in place of impressions, all versions of the API"),
        Break("account_reach", SECOND_WAVE, "Facebook: people who viewed in place of people to whom it was displayed"),
        Break("reach", SECOND_WAVE, "Facebook: people who viewed in place of people to whom it was displayed"),
        Break("followers", VIEWS, "Facebook: followers of the page in place of its fans"),
    ),
    streams=(
        Stream(
            "accounts",
            "GET /{api_version}/{account_id}",
            params={"fields": "id,followers_count,fan_count"},
            kind=Snapshot(key="id"),
            description="One row per page and snapshot day, as Facebook described the page.",
            counts=("followers_count", "fan_count"),
            private=Private(drop=("name", "username", "about", "phone", "emails", "location", "link")),
        ),
        Stream(
            "posts",
            "GET /{api_version}/{account_id}/published_posts",
            params={"fields": braced(POST_FIELDS), "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Snapshot(key="id"),
            description="One row per post, video or reel and snapshot day with its insights, for those of the last 30 days.",
            lookback=timedelta(days=30),
            newest_first="created_time",
            resume=BY_CURSOR,
            counts=(
                *("shares.count", "comments.summary.total_count", "reactions.summary.total_count"),
                "insights.data[].values[].value{}",
            ),
            metrics=POST_METRICS,
            beside=Beside(insights_path, "insights", kind_of, batch="/{api_version}"),
            private=Private(
                drop=(
                    *("from", "to", "story", "story_tags", "message_tags", "with_tags", "comments.data", "reactions.data"),
                    *("attachments.data[].title", "attachments.data[].description", "attachments.data[].url", "attachments.data[].media"),
                    *("attachments.data[].target", "attachments.data[].subattachments"),
                    *("comments.paging", "reactions.paging", *WORDY),
                ),
                redact=("message",),
                # Whoever is tagged stands in the text by name, without an @.
                names=("message_tags[].name",),
            ),
        ),
        Stream(
            "comments",
            "GET /{api_version}/{account_id}/published_posts",
            params={"fields": braced(f"id,created_time,comments.filter(stream).limit(100){{{COMMENT_FIELDS}}}"), "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Event(key="id", at="created_time"),
            description="One row per comment or reply under posts of the last 30 days: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="created_time",
            parents_back=timedelta(days=30),
            resume=BY_CURSOR,
            hourly=True,
            unfold=comments_of("post_id"),
            nested=Nested(
                "comments", "/{api_version}/{id}/comments", graph_cursor(),
                {"fields": COMMENT_FIELDS, "filter": "stream", "limit": "100"},
            ),
            private=private_comment("post_id", at="created_time", text="message"),
        ),
        Stream(
            "mentions",
            "GET /{api_version}/{account_id}/tagged",
            params={"fields": braced("id,created_time,message,from{id}"), "limit": "50"},
            paging=graph_cursor(),
            records="data",
            kind=Event(key="id", at="created_time"),
            description="One row per post by somebody else that tags the page: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="created_time",
            resume=BY_CURSOR,
            hourly=True,
            unfold=tagged_of,
            private=Private(
                keep=("id", "created_time", "from.id"), pseudonym=("from.id",), flags_from="message", author="from.id", is_mention=True
            ),
        ),
        _days(
            "insights_day",
            PAGE_METRICS,
            "One row per measure and day of the platform: views, people reached, follows, visits.",
            period="day",
        ),
        _days("insights_week", (REACH,), "One row per day: people reached in the seven days that end with it.", period="week"),
        _days("insights_28d", (REACH,), "One row per day: people reached in the 28 days that end with it.", period="days_28"),
    ),
)  # fmt: skip
