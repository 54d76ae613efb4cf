"""Answers that nobody would send: whatever comes, what comes out is a result with a reason in words, or the records.

Not here: the faults that platforms are known for (tests/faults/test_door_faults.py). The number of examples is fixed, so that the time is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import http
from connectors.clock import InjectedClock
from connectors.failures import DoorError
from connectors.fetch import fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.paging import Answer, Request, body_cursor, link_header, next_url, offset
from connectors.privacy import Pseudonyms
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account, Stream, Window
from connectors.wire import Reply
from tests.connectors.conftest import NOW, TOKEN

pytestmark = pytest.mark.slow

FUZZ = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
RECORDED = Path(__file__).parents[2].parent / "shared/data/x_api"
KEY = "a key of the fuzz, never shown"
HERE = Request("https://a.example/v1/items", (("offset", "0"),))
STREAMS = [(platform, stream.name) for platform, connector in platforms().items() for stream in connector.streams]
POST: dict[str, Any] = {
    "id": "1849",
    "text": "Terima kasih @siti 😀",
    "created_at": "2026-01-10T00:00:00.000Z",
    "author_id": "77",
    "public_metrics": {"like_count": 3, "impression_count": 2**53 + 1},
    "entities": {"mentions": [{"username": "siti", "id": "9"}], "hashtags": [{"tag": "zakat"}]},
    "referenced_posts": [{"type": "replied_to", "id": "5"}],
}
STATUS: dict[str, Any] = {
    "id": "11",
    "created_at": "2026-01-10T00:00:00.000Z",
    "content": "<p>halo <span>@siti</span></p>",
    "visibility": "public",
    "reblog": None,
    "account": {"id": "9", "acct": "siti"},
    "mentions": [{"id": "9", "acct": "siti"}],
    "media_attachments": [{"type": "image", "description": "x"}],
    "favourites_count": 3,
}
MADE_UP: list[bytes] = [
    json.dumps(content).encode()
    for content in (
        {"data": [POST, POST | {"id": "1850"}], "meta": {"result_count": 2, "next_token": "b"}, "includes": {"users": [{"id": "9"}]}},
        {"data": {"id": "77", "public_metrics": {"followers_count": 5}}, "errors": [{"title": "x", "type": "y", "resource_id": "1"}]},
        {"data": [{"start": "2026-01-10T00:00:00.000Z", "end": "2026-01-10T01:00:00.000Z", "post_count": 3}], "meta": {}},
        [STATUS, STATUS | {"id": "12"}],
        [{"id": "1", "type": "mention", "created_at": "2026-01-10T00:00:00Z", "account": {"id": "9"}, "status": STATUS}],
        {"id": "77", "followers_count": 5, "created_at": "2026-01-10T00:00:00Z"},
        {"error": "Record not found"},
        {"errors": [{"title": "Authorization Error", "type": "https://api.x.com/2/problems/not-authorized-for-resource"}]},
    )
]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=12) | st.sampled_from([TOKEN, "77", "next"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["id", "data"]), inner, max_size=4),
    max_leaves=12,
)
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\xff",
    b"\x00",
    b"1e999",
    b"-",
    b"null",
    b"\xef\xbb\xbf",
    b"\n",
]
headers = st.dictionaries(
    st.sampled_from(["Link", "Retry-After", "x-rate-limit-remaining", "x-rate-limit-reset", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
    st.one_of(
        st.text(st.characters(codec="latin-1"), max_size=40),
        st.sampled_from(["0", "-1", "nan", "1e400", '<https://a.example/2>; rel="next"', "<?a=1>; rel=next", f"<{TOKEN}>; rel=next", "<"]),
    ),
    max_size=4,
)
statuses = st.sampled_from([200] * 12 + [204, 206, 301, 400, 401, 403, 404, 418, 429, 451, 500, 503, 599, 999])


def corpus() -> list[bytes]:
    """Real answers of X where they are at hand, and made-up ones; the long ones cut down to a few records."""
    found = list(MADE_UP)
    for path in sorted(RECORDED.glob("*.jsonl")) if RECORDED.exists() else []:
        with path.open(encoding="utf-8") as lines:
            page = json.loads(next(lines))
        if isinstance(page.get("data"), list):
            page["data"] = page["data"][:3]
        found.append(json.dumps({name: page[name] for name in ("data", "meta", "errors") if name in page}).encode())
    return found


CORPUS = corpus()


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A good answer, spoilt: bytes cut out, put in or doubled, or one of its values replaced by another."""
    body = draw(st.sampled_from(CORPUS))
    if draw(st.booleans()):
        content = json.loads(body)
        for _ in range(draw(st.integers(1, 3))):
            _replace_one(draw, content)
        return json.dumps(content, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    spoilt = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(spoilt) - 1)))
        end = draw(st.integers(start, min(len(spoilt), start + 60)))
        spoilt[start:end] = draw(st.sampled_from([b"", *PIECES]) | st.just(bytes(spoilt[start:end]) * 2) | st.binary(max_size=4))
    return bytes(spoilt)


def _replace_one(draw: st.DrawFn, content: Any) -> None:
    """Go down to some member and put something else there."""
    while isinstance(content, dict | list) and content:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = draw(st.sampled_from(keys))
        if not isinstance(content[key], dict | list) or not content[key] or draw(st.integers(0, 3)) == 0:
            content[key] = draw(values)
            return
        content = content[key]


class Canned:
    """A wire that gives what it was told, again and again."""

    def __init__(self, replies: list[Reply]) -> None:
        self.replies = replies
        self.asked = 0

    def exchange(self, *_: object, **__: object) -> Reply:
        self.asked += 1
        return self.replies[(self.asked - 1) % len(self.replies)]

    def close(self) -> None:
        """Nothing is open."""


def door_to(replies: list[Reply], platform: str) -> tuple[Door, Account, InjectedClock]:
    connector, address = platforms()[platform], "https://a.example"
    account = Account(
        "i", platform, "77", "cahaya", address, Secret(TOKEN), {"api_version": "v26.0"}, frozenset({"77"}),
        more_base_urls=dict.fromkeys(connector.more_base_urls, address),
    )  # fmt: skip
    clock = InjectedClock(NOW)
    door = Door(account, connector.limits, Hosts(), clock, WaitingBudget(10_000), judge=connector.judge)
    door._wire.close()
    door._wire = Canned(replies)  # type: ignore[assignment]
    return door, account, clock


def quick(stream: Stream) -> Stream:
    return replace(stream, max_pages=4)


@FUZZ
@given(named=st.sampled_from(STREAMS), replies=st.lists(st.builds(Reply, statuses, headers, bodies()), min_size=1, max_size=3))
def test_a_fetch_of_whatever_comes_ends_in_words(named: tuple[str, str], replies: list[Reply]) -> None:
    platform, name = named
    door, account, clock = door_to(replies, platform)
    written, aside = bytearray(), bytearray()
    window = Window(NOW - timedelta(days=30), NOW)
    stream = quick(platforms()[platform].stream(name))
    fetched = fetch_window(stream, account, window, door, Pseudonyms(Secret(KEY)), clock, written.extend, set_aside=aside.extend)
    assert fetched.is_complete == (fetched.reason is None) or fetched.ledger_status == "fetched"
    assert fetched.ledger_status in {"fetched", "missing", "not_permitted", "unavailable"}
    if fetched.reason is not None:
        assert fetched.reason.isprintable()
        assert len(fetched.reason) < 500
    lines = [msgspec.json.decode(line) for line in bytes(written).splitlines()]
    assert len(lines) == fetched.records
    assert all(line["requested_at"] == "2026-01-15T19:00:00Z" and line["payload"] is not None for line in lines)
    assert TOKEN not in f"{fetched.reason}{fetched.denied_fields}"
    assert KEY not in f"{fetched}{bytes(written)!r}{bytes(aside)!r}"
    assert isinstance(door._wire, Canned)
    if not (stream.beside or stream.nested or stream.by_id or stream.metrics):
        assert door._wire.asked <= 4 * http.ATTEMPTS


@FUZZ
@given(status=statuses, head=headers, body=bodies() | st.binary(max_size=200))
def test_an_answer_is_cut_or_refused(status: int, head: Mapping[str, str], body: bytes) -> None:
    assert TOKEN not in http._said(body, Secret(TOKEN))
    try:
        answer = http._cut(status, head, body, "x/77")
    except DoorError:
        return
    cut = [msgspec.json.decode(value) for value in (*answer.top.values(), *(answer.items or ()))]
    assert len(cut) == len(answer.top) + len(answer.items or ())


PAGINGS = {
    "links": link_header(),
    "a cursor": body_cursor("meta.next_token", "t"),
    "an address": next_url("meta.next_token"),
    "an offset": offset("offset", 2),
    "an offset up to a total": offset("offset", 2, "meta.total"),
}


@pytest.mark.parametrize("paging", PAGINGS.values(), ids=PAGINGS.keys())
@settings(FUZZ, max_examples=300)
@given(head=headers, meta=values, records=st.integers(0, 5))
def test_a_next_page_is_a_request_or_none_or_a_failure_of_the_platform(
    paging: Any, head: Mapping[str, str], meta: Any, records: int
) -> None:
    member = msgspec.Raw(json.dumps({"next_token": meta, "total": meta}).encode(errors="replace"))
    for top in ({}, {"meta": member}, {"meta": msgspec.Raw(json.dumps(meta).encode())}):
        try:
            following = paging(HERE, Answer(200, head, b"", top, records=records))
        except DoorError:
            continue
        assert following is None or isinstance(following, Request)
        if following is not None:
            assert all(isinstance(text, str) for pair in following.params for text in (following.url, *pair))


@settings(FUZZ, max_examples=300)
@given(url=st.text(max_size=60) | st.from_regex(r"(https?:)?//[^ ]{0,30}", fullmatch=True))
def test_whatever_a_link_says_nothing_is_asked_elsewhere(url: str) -> None:
    door, _, _ = door_to([Reply(200, {}, b"{}")], "x")
    try:
        following = next_url("next")(HERE, Answer(200, {}, b"", {"next": msgspec.Raw(json.dumps(url).encode())}))
        if following is None:
            return
        door.get(following)
    except DoorError:
        assert isinstance(door._wire, Canned)
        assert door._wire.asked == 0
        return
    assert following.url.lower().startswith("https://a.example")
