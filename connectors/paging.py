"""The ways in which APIs page. Each is a function: from a request and its answer to the next request, or None at the end.

Not here: the loop that follows them, and its guard (fetch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qsl, urljoin

import msgspec
from requests.utils import parse_header_links

from connectors.failures import TemporaryFailure


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: an absolute URL and its query. Next-page links are followed verbatim, with an empty query.

    Several APIs accept their cursor only as the sole parameter, so nothing is ever added to a link.
    With a `form` it is sent as a POST: several questions in one.
    """

    url: str
    params: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = ()

    def with_params(self, **changed: str) -> Request:
        kept = tuple((key, value) for key, value in self.params if key not in changed)
        return Request(self.url, (*kept, *changed.items()), self.form)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, cut but not decoded: `top` is the outermost object's members, `items` the outermost list (None when it is no list).

    `records` is how many records the page held; who cuts them (fetch.py) fills it in before the next page is asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    top: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    items: list[msgspec.Raw] | None = None
    records: int = 0

    def member(self, path: str) -> object:
        """The value at a dotted path of the answer; None where any part of the path is absent.

        Raises:
            TemporaryFailure: what stands there cannot be read.
        """
        head, *rest = path.split(".")
        if head not in self.top:
            return None
        try:
            value: object = msgspec.json.decode(self.top[head])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            message = f"The answer's member {head!r} cannot be read."
            raise TemporaryFailure(message) from None
        for part in rest:
            value = value.get(part) if isinstance(value, dict) else None
        return value


UNREADABLE = "What the platform says of the next page cannot be read. What came is kept."
Paging = Callable[[Request, Answer], Request | None]


def link_header(rel: str = "next") -> Paging:
    """RFC 8288 `Link: <url>; rel="next"` (Mastodon, Freshdesk, Greenhouse)."""

    def following(request: Request, answer: Answer) -> Request | None:
        links = parse_header_links(next((value for name, value in answer.headers.items() if name.lower() == "link"), ""))
        url = next((link["url"] for link in links if rel in link.get("rel", "").lower().split()), None)
        return _linked(request, url)

    return following


def body_cursor(path: str, param: str) -> Paging:
    """A cursor in the body goes into a query parameter (Bluesky, Slack; X: `meta.next_token` to `pagination_token`). Empty or absent: the end."""

    def following(request: Request, answer: Answer) -> Request | None:
        cursor = answer.member(path)
        if cursor and (isinstance(cursor, bool) or not isinstance(cursor, str | int)):
            raise TemporaryFailure(UNREADABLE)
        return request.with_params(**{param: str(cursor)}) if cursor else None

    return following


def graph_cursor(path: str = "paging", *, says_next: bool = True) -> Paging:
    """Meta's lists: `after` is asked for as long as there is a `next`, whose own address holds the token and is not followed.

    Lists that may never say `next` (`says_next=False`) end at a page that is empty or has no cursor.
    """

    def following(request: Request, answer: Answer) -> Request | None:
        paging = answer.member(path)
        if not isinstance(paging, dict):
            return None
        cursors = paging.get("cursors")
        after = cursors.get("after") if isinstance(cursors, dict) else None
        if not paging.get("next") and (says_next or not after or not answer.member("data")):
            return None
        if not isinstance(after, str) or not after:
            raise TemporaryFailure(UNREADABLE)
        return request.with_params(after=after)

    return following


def whole() -> Paging:
    """One answer holds all of a window."""

    def following(request: Request, answer: Answer) -> Request | None:  # noqa: ARG001 as all of them
        return None

    return following


def next_url(path: str) -> Paging:
    """The body holds the whole next URL (Meta, Zendesk, Workable)."""

    def following(request: Request, answer: Answer) -> Request | None:
        return _linked(request, answer.member(path))

    return following


def _linked(request: Request, url: object) -> Request | None:
    """A link is followed as it stands; one without a host belongs to the address that was asked."""
    if not url:
        return None
    if not isinstance(url, str):
        raise TemporaryFailure(UNREADABLE)
    try:
        return Request(urljoin(request.url, url))
    except ValueError:
        message = "The platform's link to the next page is no address. What came is kept."
        raise TemporaryFailure(message) from None


def offset(param: str, limit: int, total: str | None = None) -> Paging:
    """Count on by the records that came (GA4, Matomo, LinkedIn). Ends at `total`, or at a page shorter than `limit`."""

    def following(request: Request, answer: Answer) -> Request | None:
        reached = int(dict(request.params).get(param, "0")) + answer.records
        told = answer.member(total) if total else None
        if told is not None and not (str(told).isascii() and str(told).isdecimal()):
            raise TemporaryFailure(UNREADABLE)
        done = answer.records < limit if told is None else reached >= Decimal(str(told))
        return None if done or not answer.records else request.with_params(**{param: str(reached)})

    return following


def query_of(url: str) -> dict[str, str]:
    """The query of a URL, for tests and messages."""
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
