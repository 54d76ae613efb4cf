"""Threads as it is fetched: every stream from the sandbox against the world, every error with its reaction, and odd answers.

Not here: what the sandbox answers (tests/sandbox/test_sandbox_threads.py) and what the numbers mean (tests/assets/test_staging_threads.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from assets.asking import windows_due
from connectors.clock import InjectedClock
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.metrics import Refusal
from connectors.privacy import PSEUDONYM, Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Stream, Window
from connectors.threads import CONNECTOR, THREAD_METRICS
from sandbox.server import Running
from sandbox.threads import FIRST_INSIGHT, TOKEN
from sandbox.world import ACCOUNTS, DAY, THREADS, Post, World, day_start
from tests.connectors.conftest import NOW

ACCOUNTS_, POSTS, COMMENTS, MENTIONS, DAYS = (
    CONNECTOR.stream(name) for name in ("accounts", "posts", "comments", "mentions", "insights_day")
)
MONTH, WEEK = Window(NOW - timedelta(days=30), NOW), Window(NOW - timedelta(days=7), NOW)
NOW_TS = int(NOW.timestamp())
Record = dict[str, Any]


class Fetching:
    """Fetches streams of the sandbox's account at NOW; `hosts` remembers what was learnt of the platform."""

    def __init__(self, sandbox: Running, clock: InjectedClock, pseudonyms: Pseudonyms) -> None:
        self.sandbox, self.clock, self.pseudonyms = sandbox, clock, pseudonyms
        self.hosts = Hosts()
        self.aside: list[Record] = []
        self.account = Account(
            "cahaya", "threads", THREADS.id, THREADS.handle, f"{sandbox.url}/threads", Secret(TOKEN), options={"api_version": "v1.0"},
            own_ids=frozenset({THREADS.id}), own_handles=frozenset({THREADS.handle}),
        )  # fmt: skip

    def __call__(
        self, stream: Stream, window: Window = MONTH, *, size: int | None = None, refused: Sequence[Refusal] = (), **changed: Any
    ) -> tuple[Fetched, list[Record]]:
        account = replace(self.account, **changed)
        if size is not None and "limit" in stream.params:
            stream = replace(stream, params={**stream.params, "limit": str(size)})
        lines, aside = bytearray(), bytearray()
        door = Door(account, CONNECTOR.limits, self.hosts, self.clock, WaitingBudget(10_000), judge=CONNECTOR.judge)
        try:
            fetched = fetch_window(
                stream, account, window, door, self.pseudonyms, self.clock, lines.extend, set_aside=aside.extend, refused=refused
            )
        finally:
            door.close()
        self.aside = [json.loads(line) for line in bytes(aside).splitlines()]
        return fetched, [json.loads(line)["payload"] for line in bytes(lines).splitlines()]

    def paths(self) -> list[str]:
        return [entry["path"] for entry in self.sandbox.requests()]


@pytest.fixture
def fetching(sandbox: Running, clock: InjectedClock, pseudonyms: Pseudonyms) -> Fetching:
    sandbox.set_now(clock.now())
    sandbox.forget_requests()
    return Fetching(sandbox, clock, pseudonyms)


@pytest.fixture
def listed(the_world: World) -> list[Post]:
    """What stands in the account's list and is at most thirty days old, newest first."""
    shown = the_world.timelines[THREADS.id].visible(NOW_TS)
    return [one.post for one in shown if one.start >= NOW_TS - 30 * DAY][::-1]


@pytest.fixture
def below(the_world: World) -> list[Post]:
    """What was written below our threads in the last seven days."""
    return [one.post for one in the_world.comments[THREADS.id].visible(NOW_TS) if one.start >= NOW_TS - 7 * DAY]


def graph_error(code: int, words: str = "no", subcode: int | None = None, **more: Any) -> Record:
    told = {"message": words, "type": "OAuthException", "code": code, "fbtrace_id": "A"} | more
    return {"error": told | ({"error_subcode": subcode} if subcode is not None else {})}


def refusing(path: str, body: Record, status: int = 400, **more: Any) -> Record:
    return {"path": path, "kind": "status", "status": status, "body": body, **more}


DELETED = graph_error(100, "Unsupported get request. Object with ID '1' does not exist", 33)
NO_PERMISSION = graph_error(10, "(#10) Application does not have permission for this action")
NO_METRIC = graph_error(100, "(#100) metric[5] must be one of the following values: views, likes, replies, reposts, quotes")
SESSION_ENDED = graph_error(190, "Error validating access token: Session has expired on Thursday", 463)


def numbers(record: Record) -> dict[str, int | None]:
    return {one["name"]: (one.get("values") or [one.get("total_value")])[0]["value"] for one in record["insights"]["data"]}


# --- every stream against the world


def test_the_account_comes_with_the_followers_of_now(fetching: Fetching, the_world: World) -> None:
    fetched, records = fetching(ACCOUNTS_)
    assert (fetched.is_complete, fetched.records, fetched.rejected) == (True, 1, 0)
    assert (records[0]["id"], numbers(records[0])) == (THREADS.id, {"followers_count": the_world.followers(THREADS.id, NOW_TS)})
    assert set(records[0]) == {"id", "insights"}


@pytest.mark.parametrize("size", [100, 7, 1])
def test_each_thread_comes_once_with_the_numbers_of_now_whatever_the_page_size(
    fetching: Fetching, the_world: World, listed: list[Post], size: int
) -> None:
    fetched, records = fetching(POSTS, size=size)
    assert (fetched.is_complete, fetched.rejected, fetched.blanked) == (True, 0, 0)
    assert [record["id"] for record in records] == [post.id for post in listed]
    for record, post in zip(records, listed, strict=True):
        if post.kind == "repost":
            continue
        counted = the_world.counters(post, NOW_TS)
        assert numbers(record) == {
            "views": counted.view, "likes": counted.like, "replies": counted.reply, "reposts": counted.share, "quotes": counted.quote,
            "shares": counted.send,
        }  # fmt: skip


def test_a_repost_is_listed_without_its_words_and_nothing_is_asked_of_it(fetching: Fetching, listed: list[Post]) -> None:
    facades = [post for post in listed if post.kind == "repost"]
    assert facades
    for stream in (POSTS, COMMENTS):
        _, records = fetching(stream)
        asked = fetching.paths()
        assert not [path for path in asked if any(f"/{post.id}/" in path for post in facades)]
        if stream is POSTS:
            found = [record for record in records if record["media_type"] == "REPOST_FACADE"]
            assert [record["id"] for record in found] == [post.id for post in facades]
            assert not any({"text", "insights", "reposted_post"} & record.keys() for record in found)


@pytest.mark.parametrize("size", [100, 2])
def test_every_answer_comes_once_answers_to_answers_too(fetching: Fetching, below: list[Post], size: int) -> None:
    assert COMMENTS.beside is not None
    assert COMMENTS.nested is not None
    few = {**COMMENTS.beside.params, "limit": str(size)}
    stream = replace(COMMENTS, beside=replace(COMMENTS.beside, params=few), nested=replace(COMMENTS.nested, params=few))
    fetched, records = fetching(stream, WEEK, size=10)
    assert (fetched.is_complete, fetched.rejected) == (True, 0)
    assert any(post.reply_to_id != post.conversation_id for post in below)
    found = {record["id"]: (record["thread_id"], record["parent_id"]) for record in records}
    assert len(found) == len(records)
    assert found == {post.id: (post.conversation_id, post.reply_to_id) for post in below}


@pytest.mark.parametrize("changed", [{}, {"own_handles": frozenset({"our_former_name"})}], ids=["by name", "after a change of name"])
def test_our_own_answers_are_flagged_and_everybody_else_is_a_pseudonym(
    fetching: Fetching, the_world: World, pseudonyms: Pseudonyms, below: list[Post], changed: Record
) -> None:
    _, records = fetching(COMMENTS, WEEK, **changed)
    by_id = {post.id: post for post in below}
    assert {record["flags"]["by_us"] for record in records} == {True, False}
    for record in records:
        post = by_id[record["id"]]
        assert record["flags"]["by_us"] == (post.author_id == THREADS.id)
        assert PSEUDONYM.fullmatch(record["author_id"])
        assert record["author_id"] == pseudonyms.of("threads", the_world.handle_of("threads", post.author_id))


@pytest.mark.parametrize("size", [50, 3, 1])
def test_mentions_come_whole_though_no_page_names_a_next_one(fetching: Fetching, the_world: World, size: int) -> None:
    fetched, records = fetching(MENTIONS, WEEK, size=size)
    expected = [one.post for one in the_world.mentions[THREADS.id].visible(NOW_TS) if one.start >= NOW_TS - 7 * DAY][::-1]
    assert fetched.is_complete
    assert len(expected) > 1
    assert [record["id"] for record in records] == [post.id for post in expected]
    assert all(record["flags"]["mentions_us"] and not record["flags"]["by_us"] for record in records)
    assert all(PSEUDONYM.fullmatch(record["username"]) for record in records)
    assert set().union(*records) == {"id", "timestamp", "username", "flags"}


def test_staff_are_known_by_the_name_by_which_threads_calls_them(fetching: Fetching, the_world: World) -> None:
    at = NOW_TS - 40 * DAY
    shown = [one.post for one in the_world.mentions[THREADS.id].visible(NOW_TS) if one.start >= at]
    somebody = shown[-1]
    _, records = fetching(
        MENTIONS, Window(datetime.fromtimestamp(at, UTC), NOW), staff_ids=frozenset({the_world.handle_of("threads", somebody.author_id)})
    )
    by_staff = {record["id"] for record in records if record["flags"]["by_staff"]}
    assert by_staff == {post.id for post in shown if post.author_id == somebody.author_id}


def day_window(first: str, days: int) -> Window:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return Window(start, start + timedelta(days=days))


def test_visits_of_the_profile_come_as_a_record_a_day_of_the_platform(fetching: Fetching, the_world: World) -> None:
    fetched, records = fetching(DAYS, day_window("2026-01-05", 10))
    # The 14th has ended, and is not told before a day has passed.
    expected = [date(2026, 1, day) for day in range(5, 14)]
    assert fetched.is_complete
    assert [record["day"] for record in records] == [day.isoformat() for day in expected]
    assert [record["value"] for record in records] == [the_world.account_day(THREADS, day, NOW_TS).profile_views for day in expected]
    assert records[0] | {"value": 0} == {
        "key": "views/day/2026-01-05", "name": "views", "period": "day", "day": "2026-01-05", "at": "2026-01-05T00:00:00+00:00", "value": 0,
    }  # fmt: skip


def test_windows_are_whole_days_and_never_begin_before_the_first_day_that_may_be_asked_for() -> None:
    windows = windows_due(DAYS, NOW, None, timedelta(days=2_000))
    assert FIRST_INSIGHT <= windows[0].start.timestamp() < FIRST_INSIGHT + DAY
    assert all(edge.timestamp() == day_start("threads", edge.date()) for window in windows for edge in (window.start, window.end))
    assert all(window.end - window.start <= timedelta(days=90) for window in windows)
    assert all(before.end == after.start for before, after in pairwise(windows))


@pytest.mark.parametrize("hour", ["00:00:00", "07:00:00", "08:00:00"])
def test_a_day_is_the_same_date_whether_it_ends_at_midnight_in_greenwich_or_in_california(fetching: Fetching, hour: str) -> None:
    values = [{"value": 5, "end_time": f"2026-01-14T{hour}+0000"}]
    body = {"data": [{"name": "views", "period": "day", "values": values, "title": "t", "description": "d", "id": "i"}]}
    fetching.sandbox.faults([refusing("threads_insights", body, 200)])
    _, records = fetching(DAYS, day_window("2026-01-13", 1))
    assert [(record["day"], record["value"]) for record in records] == [("2026-01-13", 5)]


# --- what is sent, and what is not kept

LISTS = {"fields", "limit", "after", "before", "since", "until"}
SENT = {
    "threads": LISTS,
    "mentions": LISTS,
    "conversation": {"fields", "limit", "after", "before", "reverse"},
    "insights": {"metric"},
    "threads_insights": {"metric", "since", "until", "breakdown"},
    THREADS.id: {"fields"},
}
FIELDS = {
    "id", "media_product_type", "media_type", "media_url", "permalink", "owner", "username", "text", "timestamp", "shortcode", "thumbnail_url",
    "children", "is_quote_post", "alt_text", "link_attachment_url", "has_replies", "reply_audience", "quoted_post", "reposted_post",
    "root_post", "replied_to", "is_reply", "is_reply_owned_by_me", "hide_status",
}  # fmt: skip


@pytest.mark.parametrize("size", [None, 2])
def test_what_is_asked_stands_in_the_vendors_documentation(fetching: Fetching, size: int | None) -> None:
    for stream in CONNECTOR.streams:
        window = day_window("2026-01-12", 3) if stream is DAYS else WEEK
        assert fetching(stream, window, size=size)[0].is_complete
    for target in fetching.paths():
        address = urlsplit(target)
        _, platform, version, *rest = address.path.split("/")
        assert (platform, version) == ("threads", "v1.0")
        sent = dict(parse_qsl(address.query))
        assert sent.keys() <= SENT[rest[-1]]
        assert set(sent.get("fields", "id").split(",")) <= FIELDS
        assert 1 <= int(sent.get("limit", "25")) <= 100
        assert "access_token" not in target


def test_no_person_and_no_word_of_others_passes_the_door(fetching: Fetching, the_world: World) -> None:
    long = Window(NOW - timedelta(days=45), NOW)
    lines = []
    for stream in CONNECTOR.streams:
        _, records = fetching(stream, day_window("2026-01-01", 10) if stream is DAYS else long)
        assert records
        lines += [json.dumps(record, ensure_ascii=False) for record in records]
    told = "\n".join(lines)
    things = {
        value
        for person in the_world.persons
        for value in (person.name, person.handle, person.email, person.phone, person.avatar, person.threads_id)
    }
    assert not [thing for thing in things if thing in told]
    foreign = {post.text for post in the_world.posts() if post.platform == "threads" and not the_world.is_own(post.author_id)}
    # A word or an emoji may stand in a text of ours too.
    assert not [text for text in foreign if len(text) > 20 and text in told]
    assert not [word for word in ("access_token", "gambar.example", '"title"', '"username": "lazcahaya_id"') if word in told]


# --- errors


@pytest.mark.parametrize(
    "body",
    [graph_error(1), graph_error(2), graph_error(2, is_transient=True), graph_error(100, "metric?", is_transient=True)],
    ids=["1", "2", "2 transient", "any transient"],
)
def test_a_passing_fault_of_the_platform_is_asked_again(fetching: Fetching, listed: list[Post], body: Record) -> None:
    fetching.sandbox.faults([refusing("/threads$", body, 500, times=2), refusing("/insights$", body, times=1)])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, len(records)) == (True, len(listed))
    assert not fetched.retired_fields
    fetching.sandbox.faults([refusing("/threads$", body)])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "missing", [])


@pytest.mark.parametrize("code", [4, 17, 32, 341, 613, 80001])
def test_too_many_requests_are_waited_for_as_long_as_the_platform_says(fetching: Fetching, clock: InjectedClock, code: int) -> None:
    headers = {"X-Business-Use-Case-Usage": json.dumps({THREADS.id: [{"type": "threads", "estimated_time_to_regain_access": 7}]})}
    fetching.sandbox.faults([refusing("/mentions$", graph_error(code, "(#4) Too many"), headers=headers, times=1)])
    fetched, _ = fetching(MENTIONS, WEEK)
    assert fetched.is_complete
    assert timedelta(minutes=7) <= clock.now() - NOW < timedelta(minutes=15)


def test_a_wait_longer_than_the_run_has_keeps_what_came_and_says_so(fetching: Fetching) -> None:
    headers = {"X-Business-Use-Case-Usage": json.dumps({THREADS.id: [{"estimated_time_to_regain_access": 600}]})}
    fetching.sandbox.faults([refusing("/threads$", graph_error(4), headers=headers, after=2)])
    fetched, records = fetching(POSTS, size=3)
    assert (fetched.is_complete, fetched.is_budget_spent, len(records)) == (False, True, 6)
    assert fetched.resume_from


def test_a_nearly_used_up_limit_makes_us_stay_away_for_a_while(fetching: Fetching, clock: InjectedClock) -> None:
    body: Record = {"data": []}
    fetching.sandbox.faults([refusing("/mentions$", body, 200, headers={"X-App-Usage": '{"call_count":99,"total_time":3}'}, times=1)])
    assert fetching(MENTIONS, WEEK)[0].is_complete
    fetching(MENTIONS, WEEK)
    assert clock.now() - NOW >= timedelta(minutes=5)


@pytest.mark.parametrize(
    "body", [SESSION_ENDED, graph_error(190), graph_error(102), NO_PERMISSION, graph_error(200), graph_error(3)], ids=str
)
@pytest.mark.parametrize(
    ("stream", "path"), [(ACCOUNTS_, "v1.0/[0-9]+$"), (POSTS, "/threads$"), (MENTIONS, "/mentions$"), (COMMENTS, "/conversation$")]
)
def test_a_token_that_may_not_read_stops_the_list_and_says_so(fetching: Fetching, stream: Stream, path: str, body: Record) -> None:
    fetching.sandbox.faults([refusing(path, body)])
    fetched, records = fetching(stream, MONTH)
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "not_permitted", [])
    assert f"threads/{THREADS.id}: the platform refuses the token" in (fetched.reason or "")
    assert "Thursday" not in (fetched.reason or "")


def test_a_wrong_token_is_refused_as_one(fetching: Fetching) -> None:
    fetched, records = fetching(POSTS, token=Secret("another"))
    assert (fetched.ledger_status, records, len(fetching.paths())) == ("not_permitted", [], 1)


@pytest.mark.parametrize("code", [101, 191, 2635])
def test_where_the_app_or_the_version_is_no_longer_served_nothing_more_is_asked_of_the_platform(fetching: Fetching, code: int) -> None:
    fetching.sandbox.faults([refusing("/threads$", graph_error(code))])
    assert fetching(POSTS)[0].ledger_status == "not_permitted"
    fetching.sandbox.forget_requests()
    fetched, _ = fetching(MENTIONS, WEEK)
    assert (fetched.ledger_status, fetching.paths()) == ("not_permitted", [])
    assert "api_version" in (fetched.reason or "")


def test_another_version_of_the_api_is_told_to_be_unserved(fetching: Fetching) -> None:
    fetched, _ = fetching(POSTS, options={"api_version": "v0.9"})
    assert fetched.ledger_status == "not_permitted"
    assert "this version of its API" in (fetched.reason or "")


@pytest.mark.parametrize("stream", [ACCOUNTS_, POSTS, COMMENTS, MENTIONS])
def test_an_account_that_is_gone_or_is_none_of_the_tokens_is_unavailable(fetching: Fetching, stream: Stream) -> None:
    fetched, records = fetching(stream, MONTH, account_id="25000000000000099")
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "unavailable", [])
    assert "100/33" in (fetched.reason or "")


def test_a_parameter_that_is_refused_is_no_metric_and_nothing_is_asked_again(fetching: Fetching) -> None:
    fetching.sandbox.faults([refusing("threads_insights", graph_error(100, "(#100) Param since must be a UNIX timestamp"))])
    fetched, _ = fetching(DAYS, day_window("2026-01-12", 3))
    assert (fetched.ledger_status, fetched.retired_fields, len(fetching.paths())) == ("unavailable", set(), 1)


# --- metrics that are refused


def test_a_metric_that_is_gone_costs_itself_alone_and_is_not_asked_for_again(fetching: Fetching, listed: list[Post]) -> None:
    fetching.sandbox.faults([refusing(r"/insights\?metric=.*shares", NO_METRIC)])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, len(records), fetched.retired_fields) == (True, len(listed), {"shares"})
    rest = {metric.name for metric in THREAD_METRICS} - {"shares"}
    assert all(numbers(record).keys() == rest for record in records if record["media_type"] != "REPOST_FACADE")
    fetching.sandbox.forget_requests()
    again, _ = fetching(POSTS, refused=fetched.refusals)
    assert (again.is_complete, again.retired_fields, again.refusals) == (True, {"shares"}, [])
    assert not [path for path in fetching.paths() if "shares" in path]


def test_where_all_metrics_are_refused_none_is_called_retired(fetching: Fetching) -> None:
    fetching.sandbox.faults([refusing("/insights$", NO_METRIC)])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, fetched.ledger_status, fetched.refusals, records) == (False, "unavailable", [], [])


def test_numbers_that_the_token_may_not_read_leave_the_list_whole(fetching: Fetching, listed: list[Post]) -> None:
    fetching.sandbox.faults([refusing("/insights$", NO_PERMISSION)])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, len(records)) == (True, len(listed))
    assert fetched.denied_fields == {metric.name for metric in THREAD_METRICS}
    assert all(record["insights"] is None for record in records if record["media_type"] != "REPOST_FACADE")


@pytest.mark.parametrize(("body", "is_retired"), [(NO_METRIC, True), (NO_PERMISSION, False)])
def test_an_account_without_its_followers_is_still_there(fetching: Fetching, body: Record, is_retired: bool) -> None:
    fetching.sandbox.faults([refusing("threads_insights", body)])
    fetched, records = fetching(ACCOUNTS_)
    assert (fetched.is_complete, records) == (True, [{"id": THREADS.id, "insights": None}])
    assert (fetched.retired_fields, fetched.denied_fields) == (({"followers_count"}, set()) if is_retired else (set(), {"followers_count"}))


def test_too_few_viewers_are_an_empty_answer(fetching: Fetching) -> None:
    fetching.sandbox.faults([refusing("/insights$", graph_error(10, "(#10) Not enough viewers for the media to show insights"))])
    fetched, records = fetching(POSTS)
    assert (fetched.is_complete, fetched.denied_fields) == (True, set())
    assert all(record["insights"] == {} for record in records if record["media_type"] != "REPOST_FACADE")


# --- odd answers


def test_a_thread_deleted_between_the_list_and_its_numbers_stays_without_them(fetching: Fetching, listed: list[Post]) -> None:
    gone = next(post for post in listed if post.kind == "root").id
    fetching.sandbox.faults([refusing(f"/{gone}/", DELETED)])
    fetched, records = fetching(POSTS)
    assert fetched.is_complete
    assert {record["id"] for record in records if record.get("insights", 0) is None} == {gone}


def test_a_thread_deleted_between_the_list_and_its_answers_has_none_and_the_others_have_theirs(
    fetching: Fetching, below: list[Post]
) -> None:
    gone = below[-1].conversation_id
    fetching.sandbox.faults([refusing(f"/{gone}/", DELETED)])
    fetched, records = fetching(COMMENTS, WEEK)
    assert fetched.is_complete
    assert {record["id"] for record in records} == {post.id for post in below if post.conversation_id != gone}
    assert records


def test_a_thread_that_says_it_has_no_answers_is_not_asked_for_them(fetching: Fetching, the_world: World, listed: list[Post]) -> None:
    fetching(COMMENTS, WEEK)
    asked = {urlsplit(path).path.split("/")[-2] for path in fetching.paths() if "conversation" in path}
    without = {post.id for post in listed if not the_world.answers_to(post.id, NOW_TS)}
    assert without
    assert asked
    assert not without & asked


def insights(*values: Any, name: str = "views") -> Record:
    return {"data": [{"name": name, "period": "lifetime", "values": [{"value": value} for value in values], "title": "t", "id": "i"}]}


@pytest.mark.parametrize("value", [{"a": 1, "b": 2}, [1], "many", -4, 1.5, True])
def test_a_number_that_is_none_is_set_aside_and_reads_as_not_given(fetching: Fetching, listed: list[Post], value: object) -> None:
    odd = next(post for post in listed if post.kind == "root").id
    fetching.sandbox.faults([refusing(f"/{odd}/insights", insights(value), 200)])
    fetched, records = fetching(POSTS)
    assert (fetched.records, fetched.blanked, fetched.rejected) == (len(listed), 1, 0)
    assert next(numbers(record) for record in records if record["id"] == odd) == {"views": None}
    assert [one["field"] for one in fetching.aside] == ["insights.data[0].values[0].value"]
    assert fetching.aside[0]["payload"]["id"] == odd


def test_null_is_not_given_and_is_kept_apart_from_zero_and_from_absent(fetching: Fetching, listed: list[Post]) -> None:
    first, second, third, *_ = (post.id for post in listed if post.kind == "root")
    answers: tuple[tuple[str, Record], ...] = ((first, insights(None)), (second, insights(0)), (third, {"data": []}))
    fetching.sandbox.faults([refusing(f"/{identity}/insights", body, 200) for identity, body in answers])
    fetched, records = fetching(POSTS)
    found = {record["id"]: record for record in records}
    assert (fetched.is_complete, fetched.blanked) == (True, 0)
    assert (numbers(found[first]), numbers(found[second]), found[third]["insights"]) == ({"views": None}, {"views": 0}, {"data": []})


def test_a_day_that_is_null_is_a_record_without_a_value(fetching: Fetching) -> None:
    values = [{"value": None, "end_time": "2026-01-14T00:00:00+0000"}, {"value": 0, "end_time": "2026-01-15T00:00:00+0000"}]
    fetching.sandbox.faults([refusing("threads_insights", {"data": [{"name": "views", "period": "day", "values": values}]}, 200)])
    fetched, records = fetching(DAYS, day_window("2026-01-13", 2))
    assert (fetched.is_complete, fetched.rejected) == (True, 0)
    assert [(record["day"], record["value"]) for record in records] == [("2026-01-13", None), ("2026-01-14", 0)]


@pytest.mark.parametrize("stream", [POSTS, COMMENTS, MENTIONS, DAYS])
@pytest.mark.parametrize("body", [{"data": []}, {"data": [], "paging": {}}, {"data": [], "paging": {"cursors": {"after": "x"}}}])
def test_a_new_account_has_empty_lists(fetching: Fetching, stream: Stream, body: Record) -> None:
    fetching.sandbox.faults([refusing("/(threads|mentions|threads_insights)$", body, 200)])
    fetched, records = fetching(stream, day_window("2026-01-12", 3))
    assert (fetched.is_complete, fetched.ledger_status, records) == (True, "fetched", [])
    assert len(fetching.paths()) == 1


def test_records_without_an_id_or_a_time_are_set_aside_and_cost_only_themselves(fetching: Fetching) -> None:
    good = [{"id": str(number), "timestamp": "2026-01-14T05:00:00+0000", "username": "a", "text": "Salam"} for number in range(60)]
    bad = [{"timestamp": "2026-01-14T04:00:00+0000"}, {"id": "9001", "timestamp": "yesterday"}]
    fetching.sandbox.faults([refusing("/mentions$", {"data": [*good, *bad]}, 200)])
    fetched, records = fetching(MENTIONS, WEEK)
    assert (fetched.is_complete, fetched.rejected, len(records)) == (True, 2, 60)


def test_an_endless_list_ends(fetching: Fetching) -> None:
    record = {"id": "1", "timestamp": "2026-01-14T05:00:00+0000", "username": "a", "text": "Salam"}
    page = {"data": [record], "paging": {"cursors": {"before": "x", "after": "x"}}}
    fetching.sandbox.faults([refusing("/mentions", page, 200)])
    fetched, records = fetching(MENTIONS, WEEK)
    assert (fetched.is_complete, len(records)) == (False, 1)
    assert len(fetching.paths()) <= 3


def test_the_other_accounts_of_the_sandbox_are_none_of_threads(fetching: Fetching) -> None:
    for account in ACCOUNTS:
        if account is not THREADS:
            assert fetching(ACCOUNTS_, account_id=account.id)[0].ledger_status == "unavailable"
