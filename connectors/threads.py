"""Threads' API: an account, its threads with their insights, the answers to them, mentions, and the visits of its profile by day.

Not here: what the numbers mean (assets/staging/threads.py) and what all of Meta's APIs share (graph.py).
Source: the vendor's Threads documentation (June 2026). Insights begin on 13 April 2024; null means not given; the number of followers is
today's, whatever span is asked for. Threads takes no batches, so each thread's numbers are a request of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.beside import Beside, Nested
from connectors.graph import WORDY, comments_of, judge, peace_s, values_by_day
from connectors.metrics import Metric
from connectors.paging import graph_cursor, whole
from connectors.privacy import Private
from connectors.streams import Connector, Daily, Event, Limits, LongLived, Resume, Snapshot, Stream

# The documentation names no zone for its days. An end at midnight in Greenwich or in California (07:00 or 08:00 here) gives the same date.
ZONE = "UTC"
# The first whole day of ours after the instant (13 April 2024, 07:00) before which the API refuses to be asked.
EARLIEST = datetime(2024, 4, 14, tzinfo=UTC)
# The documentation of mentions says that there is no `next`, its examples of the other lists show none: the cursor alone leads on.
PAGES = graph_cursor(says_next=False)
REPOST = "REPOST_FACADE"
THREAD_METRICS = tuple(
    Metric(name, note=note)
    for name, note in (
        ("views", "In development, says the vendor."),
        ("likes", ""),
        ("replies", "The vendor says of a thread both: all answers, and none to answers."),
        ("reposts", ""),
        ("quotes", ""),
        ("shares", "In development, says the vendor."),
    )
)
THREAD_FIELDS = "id,media_type,media_product_type,timestamp,text,is_quote_post"
ANSWER_FIELDS = "id,text,timestamp,username,replied_to,is_reply_owned_by_me"
ANSWERS = {"fields": ANSWER_FIELDS, "limit": "100"}
BY_CURSOR = Resume("after", "timestamp", cursor="paging.cursors.after")


def is_ours(thread: dict[str, Any]) -> bool:
    """Somebody else's thread that was shared on has no numbers of its own: its insights are an empty list."""
    return thread.get("media_type") != REPOST


def _insights_path(thread: dict[str, Any]) -> str:
    del thread
    return "/{api_version}/{id}/insights"


def _profile_path(profile: dict[str, Any]) -> str:
    del profile
    return "/{api_version}/{id}/threads_insights"


def _answers_path(thread: dict[str, Any]) -> str:
    del thread
    return "/{api_version}/{id}/conversation"


def may_have_answers(thread: dict[str, Any]) -> bool:
    """Where the API says that there are none, none are asked for."""
    return is_ours(thread) and thread.get("has_replies") is not False


CONNECTOR = Connector(
    platform="threads",
    label="Threads",
    api_version="v1.0",
    sunset=None,
    docs_url="https://developers.facebook.com/docs/threads",
    post_url="https://www.threads.com/@{handle}",
    default_base_url="https://graph.threads.net",
    day_basis="utc",
    auth=LongLived(
        scopes=("threads_basic", "threads_manage_insights", "threads_read_replies", "threads_manage_mentions"),
        renewal_url="{base_url}/refresh_access_token",
        grant_type="th_refresh_token",
        judge=judge,
    ),
    # 4,800 times the impressions of the last 24 hours, of which ten are the least that is reckoned with.
    limits=Limits(requests=48_000, per=timedelta(hours=24), concurrent=4, peace_s=peace_s),
    judge=judge,
    streams=(
        Stream(
            "accounts",
            "GET /{api_version}/{account_id}",
            params={"fields": "id"},
            kind=Snapshot(key="id"),
            description="One row per account and snapshot day: its followers at that time.",
            counts=("insights.data[].total_value.value",),
            metrics=(Metric("followers_count"),),
            beside=Beside(_profile_path, "insights"),
            private=Private(drop=("username", "name", "threads_biography", "threads_profile_picture_url", "insights.paging", *WORDY)),
        ),
        Stream(
            "posts",
            "GET /{api_version}/{account_id}/threads",
            params={"fields": THREAD_FIELDS, "limit": "50"},
            paging=PAGES,
            records="data",
            kind=Snapshot(key="id"),
            description="One row per thread and snapshot day with its insights, for threads of the last 30 days; reposts included, without numbers.",
            lookback=timedelta(days=30),
            newest_first="timestamp",
            resume=BY_CURSOR,
            counts=("insights.data[].values[].value", "insights.data[].total_value.value"),
            metrics=THREAD_METRICS,
            beside=Beside(_insights_path, "insights", asked=is_ours),
            private=Private(
                drop=(
                    *("username", "owner", "media_url", "thumbnail_url", "children", "quoted_post", "reposted_post", "permalink", "shortcode"),
                    *("insights.paging", *WORDY),
                ),
                redact=("text",),
                is_foreign_text=lambda thread: not is_ours(thread),
            ),
        ),
        Stream(
            "comments",
            "GET /{api_version}/{account_id}/threads",
            params={"fields": "id,timestamp,media_type,has_replies", "limit": "50"},
            paging=PAGES,
            records="data",
            kind=Event(key="id", at="timestamp"),
            description="One row per answer to threads of the last 30 days, answers to answers too: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="timestamp",
            parents_back=timedelta(days=30),
            resume=BY_CURSOR,
            hourly=True,
            beside=Beside(_answers_path, "comments", params=ANSWERS, asked=may_have_answers),
            nested=Nested("comments", "/{api_version}/{id}/conversation", PAGES, ANSWERS),
            unfold=comments_of("thread_id", "replied_to"),
            private=Private(
                keep=("id", "timestamp", "thread_id", "parent_id", "author_id"),
                pseudonym=("author_id",), flags_from="text", author="author_id", own="is_reply_owned_by_me",
            ),
        ),
        Stream(
            "mentions",
            "GET /{api_version}/{account_id}/mentions",
            params={"fields": "id,text,timestamp,username", "limit": "50"},
            paging=PAGES,
            records="data",
            kind=Event(key="id", at="timestamp"),
            description="One row per thread by somebody else that mentions the account: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="timestamp",
            resume=BY_CURSOR,
            hourly=True,
            private=Private(
                keep=("id", "timestamp", "username"), pseudonym=("username",), flags_from="text", author="username", is_mention=True
            ),
        ),
        Stream(
            "insights_day",
            "GET /{api_version}/{account_id}/threads_insights",
            params={"since": "{window_start_s}", "until": "{window_end_s}"},
            paging=whole(),
            records="data",
            kind=Daily(key="key", at="at"),
            description="One row per measure and day of the platform: visits of the profile.",
            metrics=(Metric("views", note="Of the profile, not of the threads."),),
            counts=("value",),
            unfold=values_by_day(ZONE),
            day_zone=ZONE,
            earliest=EARLIEST,
            lookback=timedelta(days=3),
            restates=timedelta(days=3),
            window=timedelta(days=90),
        ),
    ),
)  # fmt: skip
