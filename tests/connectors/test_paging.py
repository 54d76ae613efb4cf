"""The ways in which APIs page: each leads to every record once, whatever the size of the page, over real HTTP.

Not here: what a record is and what of it may pass (test_fetch.py, test_privacy.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.clock import InjectedClock
from connectors.failures import DoorError, TemporaryFailure
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.paging import Answer, Paging, Request, body_cursor, graph_cursor, link_header, next_url, offset, query_of
from connectors.privacy import Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Event, Stream, Window
from tests.connectors.conftest import LIMITS, NOW
from tests.connectors.served import Heard, Said, Speaker, said

PAGE_SIZES = st.integers(1, 7)
COUNTS = st.integers(0, 23)


@dataclass(frozen=True)
class Way:
    """One way of paging: how it is declared, and how a server that has it answers."""

    paging: Callable[[int], Paging]
    page: Callable[[list[dict[str, str]], int, int, str], Said]
    position: str
    records: str = "data"


def _link(records: list[dict[str, str]], start: int, size: int, url: str) -> Said:
    end = start + size
    links = [f'<{url}/items?at={end}&kept=%5B%2C%5D>; rel="next"'] if end < len(records) else []
    return Said(json.dumps(records[start:end]).encode(), headers={"Link": ", ".join([*links, f'<{url}/items?at=0>; rel="prev"'])})


def _cursor(records: list[dict[str, str]], start: int, size: int, _: str) -> Said:
    end = start + size
    return said({"data": records[start:end], "meta": {"next_token": str(end)} if end < len(records) else {}})


def _next(records: list[dict[str, str]], start: int, size: int, url: str) -> Said:
    end = start + size
    return said({"data": records[start:end], "paging": {"next": f"{url}/items?at={end}" if end < len(records) else None}})


def _rows(records: list[dict[str, str]], start: int, size: int, _: str) -> Said:
    return said({"data": records[start : start + size]})


def _counted(records: list[dict[str, str]], start: int, size: int, _: str) -> Said:
    return said({"data": records[start : start + size], "meta": {"total": len(records)}})


WAYS = {
    "links in a header": Way(lambda _: link_header(), _link, "at", records=""),
    "a cursor in the body": Way(lambda _: body_cursor("meta.next_token", "pagination_token"), _cursor, "pagination_token"),
    "the next address in the body": Way(lambda _: next_url("paging.next"), _next, "at"),
    "an offset until a short page": Way(lambda size: offset("offset", size), _rows, "offset"),
    "an offset up to the total": Way(lambda size: offset("offset", size, "meta.total"), _counted, "offset"),
}


def read(speaker: Speaker, stream: Stream) -> tuple[Fetched, list[str]]:
    """The ids of a stream's records, in the order in which they came."""
    account = Account("i", "mastodon", "77", "cahaya", speaker.url, Secret("a-token"))
    clock, lines = InjectedClock(NOW), bytearray()
    door = Door(account, LIMITS, Hosts(), clock, WaitingBudget(0))
    try:
        fetched = fetch_window(stream, account, Window(NOW, NOW), door, Pseudonyms(Secret("k" * 16)), clock, lines.extend)
    finally:
        door.close()
    return fetched, [json.loads(line)["payload"]["id"] for line in bytes(lines).splitlines()]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@settings(max_examples=20)
@given(count=COUNTS, size=PAGE_SIZES)
def test_each_record_comes_once_whatever_the_page_size(one_speaker: Speaker, way: Way, count: int, size: int) -> None:
    records = [{"id": f"r{number}"} for number in range(count)]
    one_speaker.answers(lambda heard: way.page(records, int(heard.query.get(way.position, "0")), size, one_speaker.url))
    stream = Stream("items", "GET /items", Event("id", "at"), "", paging=way.paging(size), records=way.records)
    fetched, ids = read(one_speaker, stream)
    assert ids == [record["id"] for record in records]
    assert (fetched.is_complete, fetched.records, fetched.reason) == (True, count, None)


@pytest.mark.parametrize("way", [WAYS[name] for name in WAYS if "offset" not in name], ids=[name for name in WAYS if "offset" not in name])
@settings(max_examples=25)
@given(count=COUNTS, sizes=st.lists(PAGE_SIZES, min_size=1, max_size=5), overlaps=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_pages_of_changing_sizes_that_overlap_lead_to_every_record_and_to_each_once_by_its_key(
    one_speaker: Speaker, way: Way, count: int, sizes: list[int], overlaps: list[int]
) -> None:
    """A post that comes in between pushes the last one of a page onto the next: it is told twice, and none is missed."""
    records = [{"id": f"r{number}"} for number in range(count)]

    def say(heard: Heard) -> Said:
        at, number = int(heard.query.get(way.position, "0")), len(one_speaker.heard)
        end = at + sizes[number % len(sizes)]
        # At least one record of a page is new; a page without any is a platform that goes in a circle.
        shown = records[max(0, at - overlaps[number % len(overlaps)]) : end]
        following = f"{one_speaker.url}/items?at={end}" if end < count else None
        if not way.records:
            return Said(json.dumps(shown).encode(), headers={"Link": f'<{following}>; rel="next"'} if following else {})
        return said({"data": shown, "meta": {"next_token": str(end)} if following else {}, "paging": {"next": following}})

    one_speaker.answers(say)
    stream = Stream("items", "GET /items", Event("id", "at"), "", paging=way.paging(1), records=way.records)
    fetched, ids = read(one_speaker, stream)
    assert list(dict.fromkeys(ids)) == [record["id"] for record in records]
    assert (fetched.is_complete, fetched.reason) == (True, None)


def test_a_link_is_followed_as_it_stands(speaker: Speaker) -> None:
    speaker.answers(lambda heard: _link([{"id": "1"}, {"id": "2"}], int(heard.query.get("at", "0")), 1, speaker.url))
    stream = Stream("items", "GET /items", Event("id", "at"), "", params={"limit": "1", "types[]": "mention"}, paging=link_header())
    read(speaker, stream)
    assert [heard.target for heard in speaker.heard] == ["/items?limit=1&types%5B%5D=mention", "/items?at=1&kept=%5B%2C%5D"]


def test_a_cursor_joins_the_parameters_that_were_there(speaker: Speaker) -> None:
    speaker.answers(lambda heard: _cursor([{"id": "1"}, {"id": "2"}], int(heard.query.get("pagination_token", "0")), 1, ""))
    paging = body_cursor("meta.next_token", "pagination_token")
    read(speaker, Stream("items", "GET /items", Event("id", "at"), "", params={"max_results": "1"}, paging=paging, records="data"))
    assert [heard.query for heard in speaker.heard] == [{"max_results": "1"}, {"max_results": "1", "pagination_token": "1"}]


HERE = Request("https://a.example/v1/items", (("x", "1"),))


@pytest.mark.parametrize(
    ("header", "following"),
    [
        ('<https://a.example/2>; rel="next"', "https://a.example/2"),
        ('<https://a.example/0>; rel="prev", <https://a.example/2>; rel="next"', "https://a.example/2"),
        ("<https://a.example/2>;rel=next", "https://a.example/2"),
        ('<https://a.example/2>; title="b"; rel="last next"', "https://a.example/2"),
        ('</v1/items?max_id=2>; rel="next"', "https://a.example/v1/items?max_id=2"),
        ('<?max_id=2>; rel="next"', "https://a.example/v1/items?max_id=2"),
        ('<https://a.example/a,b>; rel="next"', "https://a.example/a,b"),
        ('<https://a.example/0>; rel="prev"', None),
        ("", None),
        ("nonsense", None),
    ],
)
@pytest.mark.parametrize("name", ["Link", "link", "LINK"])
def test_a_link_header_is_read_however_it_is_written(header: str, following: str | None, name: str) -> None:
    assert link_header()(HERE, Answer(200, {name: header}, b"")) == (Request(following) if following else None)


def test_a_link_that_is_no_address_is_a_failure_of_the_platform() -> None:
    with pytest.raises(TemporaryFailure):
        link_header()(HERE, Answer(200, {"Link": '<http://[::1>; rel="next"'}, b""))


def test_no_link_at_all_is_the_end() -> None:
    assert link_header()(HERE, Answer(200, {}, b"")) is None


@given(st.binary(max_size=40))
@example(b'"\x80"')
def test_a_broken_member_is_a_failure_of_the_platform_and_not_the_end_of_the_list(member: bytes) -> None:
    answer = Answer(200, {}, b"", {"meta": msgspec.Raw(member)})
    try:
        value = answer.member("meta.next_token")
    except DoorError:
        return
    assert value is None or msgspec.json.decode(member)


# --- going in a circle


def test_a_request_that_was_made_before_ends_the_paging(speaker: Speaker) -> None:
    speaker.says(said({"data": [{"id": "1"}], "meta": {"next_token": "same"}}))
    paging = body_cursor("meta.next_token", "t")
    fetched, ids = read(speaker, Stream("items", "GET /items", Event("id", "at"), "", paging=paging, records="data"))
    assert ids == ["1"]
    assert "goes in a circle" in (fetched.reason or "") or "same page again" in (fetched.reason or "")
    assert (fetched.is_complete, fetched.ledger_status, len(speaker.heard)) == (False, "missing", 2)


def test_the_same_page_under_another_address_ends_the_paging(speaker: Speaker) -> None:
    def say(_: Heard) -> Said:
        return said({"data": [{"id": "1"}], "meta": {"next_token": f"t{len(speaker.heard)}"}})

    speaker.answers(say)
    paging = body_cursor("meta.next_token", "t")
    fetched, ids = read(speaker, Stream("items", "GET /items", Event("id", "at"), "", paging=paging, records="data"))
    assert (ids, fetched.is_complete, len(speaker.heard)) == (["1"], False, 2)
    assert "same page again" in (fetched.reason or "")


@pytest.mark.parametrize("is_empty", [True, False], ids=["of empty pages", "of new records"])
def test_paging_without_end_ends_at_the_streams_limit(speaker: Speaker, is_empty: bool) -> None:
    def say(_: Heard) -> Said:
        number = len(speaker.heard)
        return said({"data": [] if is_empty else [{"id": str(number)}], "meta": {"next_token": f"t{number}"}})

    speaker.answers(say)
    paging = body_cursor("meta.next_token", "t")
    stream = Stream("items", "GET /items", Event("id", "at"), "", paging=paging, records="data", max_pages=6)
    fetched, ids = read(speaker, stream)
    assert (fetched.pages, fetched.is_complete, len(ids)) == (6, False, 0 if is_empty else 6)
    assert "goes in a circle (after 6 pages)" in (fetched.reason or "")


def graph_page(data: list[int], **paging: object) -> Answer:
    body = json.dumps({"data": data, "paging": paging}).encode()
    return Answer(200, {}, body, msgspec.json.decode(body, type=dict[str, msgspec.Raw]))


@pytest.mark.parametrize(
    ("page", "goes_on", "goes_on_by_cursor"),
    [
        (graph_page([1], cursors={"after": "b"}, next="https://a.example/?token=t"), True, True),
        (graph_page([1], cursors={"after": "b"}), False, True),
        (graph_page([], cursors={"after": "b"}), False, False),
        (graph_page([1], cursors={"after": ""}), False, False),
        (graph_page([1], cursors={"before": "a"}), False, False),
        (graph_page([1]), False, False),
    ],
)
def test_a_list_that_never_says_next_is_led_on_by_its_cursor_until_a_page_is_empty(
    page: Answer, goes_on: bool, goes_on_by_cursor: bool
) -> None:
    following = HERE.with_params(after="b")
    assert graph_cursor()(HERE, page) == (following if goes_on else None)
    assert graph_cursor(says_next=False)(HERE, page) == (following if goes_on_by_cursor else None)


def test_a_next_page_without_a_cursor_is_a_failure_of_the_platform() -> None:
    for paging in (graph_cursor(), graph_cursor(says_next=False)):
        with pytest.raises(TemporaryFailure):
            paging(HERE, graph_page([1], next="https://a.example"))


def test_an_offset_beyond_the_last_record_is_the_end() -> None:
    answer = Answer(200, {}, b"", records=0)
    assert offset("at", 10, "meta.total")(HERE, answer) is None


def test_a_query_is_read_for_messages() -> None:
    assert query_of("https://a.example/x?b=1&c=") == {"b": "1", "c": ""}
