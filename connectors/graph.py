"""Meta's Graph API, as Facebook, Instagram and Threads share it: error codes, usage headers, insights, comments, cursors, batches.

Not here: the platforms (one file each). Sources: the vendor's error and rate-limiting pages as far as they are stored; codes marked [mem] are
general knowledge and only decide whether something is asked again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors import fitness
from connectors.failures import Reaction, Verdict
from connectors.metrics import Metric
from connectors.paging import whole
from connectors.privacy import Private
from connectors.streams import Daily, Resume, Stream

if TYPE_CHECKING:
    from connectors.streams import Account, Window

# Their days end at midnight in California, whatever the account's zone.
PACIFIC = "America/Los_Angeles"
TRANSIENT = frozenset({1, 2})
# Requests of the app, the user, the page and the business use case [mem for the list].
THROTTLED = frozenset({4, 17, 32, 341, 613}) | frozenset(range(80000, 80015))
TOKEN = frozenset({102, 190, 458, 459, 460, 463, 464, 467, 492})
NOT_ALLOWED = frozenset({3, 10}) | frozenset(range(200, 300))
UNSERVED = frozenset({101, 191, 2635})
NO_SUCH_OBJECT = 33
# Published before the account became a professional one: it has no insights.
BEFORE_CONVERSION = 2108006
NO_ALIAS = 803
BAD_PARAMETER = 100
# "(follower_count) metric only supports querying data for the last 30 days", "Metrics data is available for the last 2 years": the span is
# refused and not the metric, which would else count as retired for good.
OF_THE_SPAN = re.compile(r"\b(since|until|days|years)\b")
# Of the share of the limit that is used, in percent: above, we stay away for a while without being told to.
NEARLY_ALL = 98
PEACE_S = 300.0
# Where the numbers beside a record are asked for.
INSIGHTS = "/{api_version}/{id}/insights"
# What an insight says beside its values, in the account's language: not kept a thousand times.
WORDY = ("insights.paging", *(f"insights.data[].{name}" for name in ("title", "description", "id")))
# Of media of our own: what is a person's, or only shows the picture.
MEDIA_DROPPED = ("username", "owner", "media_url", "thumbnail_url", "children", *WORDY)


def judge(status: int, body: Mapping[str, Any]) -> Verdict | None:  # noqa: PLR0911 a row each
    """Nearly everything is a 400: the code decides, and for 100 and 10 the words."""
    error = body.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    code, subcode, words = error["code"], error.get("error_subcode"), str(error.get("message", "")).lower()
    told = f"code {code}" + (f"/{subcode}" if isinstance(subcode, int) else "")
    if code in THROTTLED:
        return Verdict(Reaction.WAIT, told)
    if error.get("is_transient") is True or code in TRANSIENT:
        return Verdict(Reaction.RETRY, told)
    if code in TOKEN:
        return Verdict(Reaction.DENIED, told)
    if code in UNSERVED:
        return Verdict(Reaction.PLATFORM, told)
    if subcode == BEFORE_CONVERSION or (code in NOT_ALLOWED and "not enough viewers" in words):
        return Verdict(Reaction.NOTHING, told)
    if code in NOT_ALLOWED:
        return Verdict(Reaction.DENIED, told)
    if code == BAD_PARAMETER and "metric" in words and not OF_THE_SPAN.search(words):
        return Verdict(Reaction.METRIC, told)
    # A cursor that has died: a list that was left to be gone on with is then read from its beginning.
    if code == NO_ALIAS or (code == BAD_PARAMETER and (subcode == NO_SUCH_OBJECT or "cursor" in words)):
        return Verdict(Reaction.GONE, told)
    return Verdict(Reaction.RETRY, told) if status >= 500 else None  # noqa: PLR2004 the HTTP classes


def peace_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to stay away: what `X-Business-Use-Case-Usage` says in minutes, else a while when nearly all of a limit is used."""
    wait_s = [found for name in ("X-Business-Use-Case-Usage", "X-App-Usage") for found in _peaces(headers.get(name, ""))]
    return max(wait_s, default=0.0) or None


def _peaces(value: str) -> Iterator[float]:
    try:
        told = json.loads(value) if value else {}
    except (ValueError, RecursionError):
        return
    if not isinstance(told, dict):
        return
    uses = [one for inner in told.values() if isinstance(inner, list) for one in inner if isinstance(one, dict)] or [told]
    for use in uses:
        minutes = use.get("estimated_time_to_regain_access")
        if isinstance(minutes, int | float) and minutes > 0:
            yield float(minutes) * 60
        elif any(
            isinstance(share := use.get(name), int | float) and share >= NEARLY_ALL
            for name in ("call_count", "total_cputime", "total_time")
        ):
            yield PEACE_S


def values_by_day(zone: str) -> Any:  # noqa: ANN401 a function for `unfold`
    """Unfolds one insight into a record a day.

    A series' `end_time` is the end of its day, so the day is the one before; a total has the window's first day.
    The records: key, name, period, day (the platform's), at (its first instant), value (null = given as nothing).
    """

    def unfold(insight: Mapping[str, Any], window: Window) -> Iterator[dict[str, Any]]:
        name, period = insight.get("name"), insight.get("period")
        total = insight.get("total_value")
        if isinstance(total, dict):
            yield _value(name, period, window.start, total.get("value"), zone)
        values = insight.get("values")
        for one in values if isinstance(values, list) else []:
            ended = fitness.instant(one.get("end_time")) if isinstance(one, dict) else None
            if ended is None:
                yield {"key": None, "name": name, "period": period, "value": None, "at": None}
            else:
                yield _value(name, period, ended - timedelta(hours=12), one.get("value"), zone)

    return unfold


def _value(name: object, period: object, inside: datetime, value: object, zone: str) -> dict[str, Any]:
    day = inside.astimezone(ZoneInfo(zone)).date()
    at = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    return {"key": f"{name}/{period}/{day}", "name": name, "period": period, "day": day.isoformat(), "at": at.isoformat(), "value": value}


def insights_by_day(  # noqa: PLR0913 in what they differ
    name: str,
    metrics: tuple[Metric, ...],
    description: str,
    *,
    window: timedelta,
    retention: timedelta | None = None,
    edge: str = "insights",
    zone: str = PACIFIC,
    earliest: datetime | None = None,
    **params: str,
) -> Stream:
    """A stream of the account's insights by the platform's days, which a window holds whole. `params` are asked beside the window."""
    return Stream(
        name,
        f"GET /{{api_version}}/{{account_id}}/{edge}",
        params={**params, "since": "{window_start_s}", "until": "{window_end_s}"},
        paging=whole(),
        records="data",
        kind=Daily(key="key", at="at"),
        description=description,
        metrics=metrics,
        counts=("value",),
        unfold=values_by_day(zone),
        day_zone=zone,
        earliest=earliest,
        lookback=timedelta(days=3),
        restates=timedelta(days=3),
        window=window,
        retention=retention,
    )


def comments_of(post: str, parent: str = "parent") -> Any:  # noqa: ANN401 a function for `unfold`
    """Unfolds a post with its comments, and their replies, into one record a comment.

    Args:
        post: the new member that holds the post's id.
        parent: the member of a comment that names the one it answers, where the platform does.
    """

    def unfold(record: Mapping[str, Any], window: Window) -> Iterator[dict[str, Any]]:
        del window
        yield from _below(record.get("comments"), record.get("id"), None)

    def _below(held: object, post_id: object, parent_id: object) -> Iterator[dict[str, Any]]:
        data = held.get("data") if isinstance(held, dict) else None
        for comment in data if isinstance(data, list) else []:
            if not isinstance(comment, dict):
                yield {"id": None}
                continue
            author, answered = comment.get("from"), comment.get(parent)
            known = author.get("id") if isinstance(author, dict) else None
            named = answered.get("id") if isinstance(answered, dict) else None
            yield {
                **{name: value for name, value in comment.items() if name not in {"replies", "comments", "from", parent}},
                post: post_id,
                "parent_id": parent_id or named,
                "author_id": known or comment.get("username"),
                "author_handle": comment.get("username"),
            }
            for inner in ("replies", "comments"):
                yield from _below(comment.get(inner), post_id, comment.get("id"))

    return unfold


def private_comment(
    post: str, *, at: str = "timestamp", text: str = "text", author_handle: str | None = None, own: str | None = None
) -> Private:
    """What may be kept of a comment as `comments_of` unfolds it: times, ids and flags, its author under a pseudonym."""
    return Private(
        keep=("id", at, post, "parent_id", "author_id"),
        pseudonym=("author_id",),
        flags_from=text,
        author="author_id",
        author_handle=author_handle,
        own=own,
    )


def by_cursor(at: str) -> Resume:
    """Pages are named by cursors; down to which time was read, the records' `at` tells."""
    return Resume("after", at, cursor="paging.cursors.after")


def braced(fields: str) -> str:
    """A field expansion as a parameter of a stream, where single braces would be places to fill in."""
    return fields.replace("{", "{{").replace("}", "}}")


def takes_batches(account: Account) -> bool:
    """Known of graph.facebook.com; the hosts of the other logins are asked one by one."""
    return account.options.get("login") != "instagram"
