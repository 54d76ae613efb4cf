"""YouTube's Data API v3 and Analytics API v2: a channel, its videos, the comments on them, and the channel's days.

Not here: what the numbers mean (assets/staging/youtube.py).
Source: the vendor's discovery documents (revisions 20261104 and 20240707) and its quota page of 2026. A list call takes one of the day's
10,000 units, which begin anew at midnight in California; `search.list` has 100 calls of its own a day and is never asked. Numbers come as
strings; `rows` are absent where there are none; the Analytics API lags two to three days and gives days in Californian time. Metadata of
videos must be asked for again, or deleted, within 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.beside import Beside, ById, Nested
from connectors.budget import Allowance
from connectors.failures import Reaction, TemporaryFailure, Verdict
from connectors.metrics import Metric
from connectors.paging import body_cursor, whole
from connectors.privacy import Private
from connectors.streams import Account, Break, Connector, Daily, Event, Limits, OAuth2, Params, Resume, Snapshot, Stream

if TYPE_CHECKING:
    from connectors.streams import Window

PACIFIC = "America/Los_Angeles"
UNITS_A_DAY = 10_000
# No answer says for how long; Google counts by the minute [mem].
MINUTE_S = 60.0
# What a refused metric is told with: one that is unknown, and one that cannot be asked by day [mem for the words].
METRIC_WORDS = ("unknown identifier", "query is not supported")
REACTIONS = {
    **dict.fromkeys(("quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"), Reaction.DAY_SPENT),
    **dict.fromkeys(("rateLimitExceeded", "userRateLimitExceeded"), Reaction.WAIT),
    **dict.fromkeys(("backendError", "internalError", "processingFailure", "SERVICE_UNAVAILABLE"), Reaction.RETRY),
    **dict.fromkeys(
        (
            "authError",
            "authorizationRequired",
            "forbidden",
            "insufficientPermissions",
            "channelForbidden",
            "playlistItemsNotAccessible",
            "youtubeSignupRequired",
        ),
        Reaction.DENIED,
    ),
    **dict.fromkeys(
        (
            "videoNotFound",
            "playlistNotFound",
            "channelNotFound",
            "commentNotFound",
            "commentThreadNotFound",
            "notFound",
            "channelClosed",
            "channelSuspended",
            "invalidPageToken",
        ),
        Reaction.GONE,
    ),
    **dict.fromkeys(("accessNotConfigured", "keyInvalid", "keyExpired"), Reaction.PLATFORM),
    "commentsDisabled": Reaction.NOTHING,
}
REPLIES = "/youtube/v3/comments?parentId={id}"
REPLY_PARAMS = {"part": "snippet", "maxResults": "100", "textFormat": "plainText"}
DAY_METRICS = (
    Metric("views", note="Since 24 August 2026 counted when playback starts, in all formats."),
    Metric("engagedViews", introduced=date(2025, 4, 30), note="Goes on as views were counted before."),
    Metric("likes"),
    Metric("comments"),
    Metric("shares"),
    Metric("subscribersGained"),
    Metric("subscribersLost"),
    Metric("estimatedMinutesWatched"),
)


def judge(status: int, body: Mapping[str, Any]) -> Verdict | None:
    """The reason decides: a 403 may be a quota, a token, or comments that are switched off.

    A day's quota is told by its words too: `rateLimitExceeded`, "... and limit 'Video Uploads per day' of service ..." (2026).
    """
    error = body.get("error")
    errors = error.get("errors") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(errors, list):
        return None
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    reason, words = str(first.get("reason", "")), str(error.get("message", "")).lower()
    if status == 400 and any(told in words for told in METRIC_WORDS):  # noqa: PLR2004
        return Verdict(Reaction.METRIC, reason[:40])
    reaction = REACTIONS.get(reason)
    if reaction is Reaction.WAIT:
        return Verdict(Reaction.DAY_SPENT, reason) if "per day" in words else Verdict(reaction, reason, MINUTE_S)
    return Verdict(reaction, reason) if reaction is not None else None


def uploads(account: Account) -> Params:
    """The list of a channel's uploads has the channel's id, with another beginning."""
    return {"playlistId": f"UU{account.account_id.removeprefix('UC')}"}


def is_unseen(video: Mapping[str, Any]) -> bool:
    """The owner's own list holds what nobody could see yet: drafts, and what is planned for later."""
    status, snippet = video.get("status"), video.get("snippet")
    is_private = isinstance(status, dict) and status.get("privacyStatus") == "private"
    return is_private or (isinstance(snippet, dict) and snippet.get("liveBroadcastContent") == "upcoming")


def report_rows(report: Mapping[str, Any], window: Window) -> Iterator[dict[str, Any]]:
    """One record per day and measure of a report; days that it leaves out are not there yet, and are not 0.

    Raises:
        TemporaryFailure: it is no report, or says itself that it failed, which the contract allows beside a 200.
    """
    del window
    headers, rows = report.get("columnHeaders"), report.get("rows")
    if not isinstance(headers, list) or report.get("errors"):
        message = "insights_day: YouTube answered with something else than a report. What came is kept."
        raise TemporaryFailure(message)
    columns = [header if isinstance(header, dict) else {} for header in headers]
    for row in rows if isinstance(rows, list) else []:
        told = list(zip(columns, row, strict=False)) if isinstance(row, list) else []
        day = next((value for column, value in told if column.get("name") == "day"), None)
        at = _midnight(day)
        for column, value in told:
            name = column.get("name")
            if name != "day" and column.get("columnType") != "DIMENSION":
                yield {"key": f"{name}/day/{day}" if at else None, "name": name, "period": "day", "day": day, "at": at, "value": value}


def _midnight(day: object) -> str | None:
    try:
        found = date.fromisoformat(day) if isinstance(day, str) else None
    except ValueError:
        return None
    return datetime.combine(found, time(), ZoneInfo(PACIFIC)).astimezone(UTC).isoformat() if found else None


def has_more_replies(thread: dict[str, Any]) -> bool:
    """A thread comes with a few of its replies; where there are more, they are asked for."""
    told, held = thread.get("snippet"), thread.get("replies")
    inside = held.get("comments") if isinstance(held, dict) else None
    count = told.get("totalReplyCount") if isinstance(told, dict) else None
    return isinstance(count, int) and count > (len(inside) if isinstance(inside, list) else 0)


def comments(thread: Mapping[str, Any], window: Window) -> Iterator[dict[str, Any]]:
    """A thread's first comment and the replies to it, as records of their own."""
    del window
    told = thread.get("snippet")
    snippet = told if isinstance(told, dict) else {}
    full, few = thread.get("all_replies"), thread.get("replies")
    replies = full.get("items") if isinstance(full, dict) else few.get("comments") if isinstance(few, dict) else None
    for one in (snippet.get("topLevelComment"), *(replies if isinstance(replies, list) else [])):
        inner = one.get("snippet") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(inner, dict):
            yield {"id": None}
            continue
        author = inner.get("authorChannelId")
        yield {
            "id": one.get("id"),
            "published_at": inner.get("publishedAt"),
            "video_id": inner.get("videoId") or snippet.get("videoId"),
            "parent_id": inner.get("parentId"),
            "author_id": author.get("value") if isinstance(author, dict) else None,
            "text": inner.get("textOriginal") or inner.get("textDisplay"),
        }


CONNECTOR = Connector(
    platform="youtube",
    label="YouTube",
    api_version="v3",
    sunset=None,
    docs_url="https://developers.google.com/youtube",
    post_url="https://www.youtube.com/watch?v={post_id}",
    default_base_url="https://youtube.googleapis.com",
    more_base_urls={"analytics": "https://youtubeanalytics.googleapis.com"},
    day_basis="pacific",
    auth=OAuth2(
        scopes=("https://www.googleapis.com/auth/youtube.readonly", "https://www.googleapis.com/auth/yt-analytics.readonly"),
        renewal_url="https://oauth2.googleapis.com/token",
        lifetime=timedelta(hours=1),
    ),
    limits=Limits(requests=600, per=timedelta(minutes=1)),
    allowance=Allowance(requests=UNITS_A_DAY, zone=PACIFIC),
    raw_days=30,
    judge=judge,
    breaks=(
        Break("views", date(2025, 3, 31), "YouTube: of Shorts, a view is each start or replay"),
        Break("views", date(2026, 8, 24), "YouTube: in all formats a view counts when playback starts (24 to 27 August 2026); engagedViews goes on as before"),
    ),
    streams=(
        Stream(
            "accounts",
            "GET /youtube/v3/channels",
            params={"part": "snippet,statistics", "id": "{account_id}"},
            records="items",
            kind=Snapshot(key="id"),
            description="One row per channel and snapshot day, as YouTube described the channel; its number of subscribers is rounded.",
            counts=("statistics.subscriberCount", "statistics.viewCount", "statistics.videoCount"),
            private=Private(drop=("snippet.title", "snippet.description", "snippet.customUrl", "snippet.thumbnails", "snippet.localized")),
        ),
        Stream(
            "posts",
            "GET /youtube/v3/playlistItems",
            params={"part": "contentDetails", "maxResults": "50"},
            account_params=uploads,
            paging=body_cursor("nextPageToken", "pageToken"),
            records="items",
            by_id=ById(
                "/youtube/v3/videos", "contentDetails.videoId", {"part": "snippet,statistics,contentDetails,liveStreamingDetails,status"}
            ),
            kind=Snapshot(key="id"),
            description="One row per video, short or live stream and snapshot day, for those of the last 30 days.",
            lookback=timedelta(days=30),
            newest_first="snippet.publishedAt",
            resume=Resume("pageToken", "snippet.publishedAt", cursor="nextPageToken"),
            counts=("statistics.viewCount", "statistics.likeCount", "statistics.commentCount"),
            leave_out=is_unseen,
            partial_errors="error.errors",
            private=Private(
                drop=("snippet.channelTitle", "snippet.thumbnails", "snippet.localized", "statistics.favoriteCount", "statistics.dislikeCount"),
                redact=("snippet.title", "snippet.description"),
            ),
        ),
        Stream(
            "comments",
            "GET /youtube/v3/commentThreads",
            params={
                "part": "snippet,replies", "allThreadsRelatedToChannelId": "{account_id}", "order": "time", "maxResults": "100",
                "textFormat": "plainText",
            },
            paging=body_cursor("nextPageToken", "pageToken"),
            records="items",
            kind=Event(key="id", at="published_at"),
            description="One row per comment on the channel's videos, or reply to one begun in the last 30 days: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="snippet.topLevelComment.snippet.publishedAt",
            parents_back=timedelta(days=30),
            partial_errors="error.errors",
            resume=Resume("pageToken", "snippet.topLevelComment.snippet.publishedAt", cursor="nextPageToken"),
            hourly=True,
            beside=Beside(
                REPLIES, "all_replies", params=REPLY_PARAMS, asked=has_more_replies,
            ),
            nested=Nested(
                "all_replies", REPLIES, body_cursor("nextPageToken", "pageToken"), params=REPLY_PARAMS, items="items",
            ),
            unfold=comments,
            private=Private(
                keep=("id", "published_at", "video_id", "parent_id", "author_id"),
                pseudonym=("author_id",), flags_from="text", author="author_id",
            ),
        ),
        Stream(
            "insights_day",
            "GET /v2/reports",
            params={
                "ids": "channel=={account_id}", "startDate": "{first_day}", "endDate": "{last_day}", "dimensions": "day", "sort": "day",
            },
            api="analytics",
            paging=whole(),
            kind=Daily(key="key", at="at"),
            description="One row per measure and day in Californian time; videos that were deleted since are in it.",
            metrics=DAY_METRICS,
            metrics_param="metrics",
            counts=("value",),
            unfold=report_rows,
            day_zone=PACIFIC,
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            window=timedelta(days=365),
        ),
    ),
)  # fmt: skip
