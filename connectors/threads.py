"""Threads' API: an account, its threads with their insights, the answers to them, mentions, and the visits of its profile by day.

Not here: what the numbers mean (assets/staging/threads.py) and what all of Meta's APIs share (graph.py).
Source: the vendor's Threads documentation (June 2026). Insights begin on 13 April 2024; null means not given; the number of followers is
today's, whatever span is asked for. Threads takes no batches, so each thread's numbers are a request of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.beside import Beside, Nested
from connectors.graph import INSIGHTS, MEDIA_DROPPED, WORDY, by_cursor, comments_of, insights_by_day, judge, peace_s, private_comment
from connectors.metrics import Metric
from connectors.paging import graph_cursor
from connectors.privacy import Private
from connectors.streams import Connector, Event, Limits, LongLived, Snapshot, Stream

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
CONVERSATION = "/{api_version}/{id}/conversation"
BY_CURSOR = by_cursor("timestamp")


def is_ours(thread: dict[str, Any]) -> bool:
    """Somebody else's thread that was shared on has no numbers of its own: its insights are an empty list."""
    return thread.get("media_type") != REPOST


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
            beside=Beside("/{api_version}/{id}/threads_insights", "insights"),
            private=Private(drop=("username", "name", "threads_biography", "threads_profile_picture_url", *WORDY)),
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
            beside=Beside(INSIGHTS, "insights", asked=is_ours),
            private=Private(
                drop=("quoted_post", "reposted_post", "permalink", "shortcode", *MEDIA_DROPPED),
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
            beside=Beside(CONVERSATION, "comments", params=ANSWERS, asked=may_have_answers),
            nested=Nested("comments", CONVERSATION, PAGES, ANSWERS),
            unfold=comments_of("thread_id", "replied_to"),
            private=private_comment("thread_id", own="is_reply_owned_by_me"),
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
        insights_by_day(
            "insights_day",
            (Metric("views", note="Of the profile, not of the threads."),),
            "One row per measure and day of the platform: visits of the profile.",
            edge="threads_insights",
            zone=ZONE,
            earliest=EARLIEST,
            window=timedelta(days=90),
        ),
    ),
)  # fmt: skip
