"""A metric that a platform does not give any more costs itself alone: the rest is asked for again without it, and it is remembered.

The server here speaks as Meta's: a batch is answered part by part, and one bad metric fails the whole of its part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.beside import refused_of
from connectors.clock import InjectedClock
from connectors.failures import DoorError, MetricRefused
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.instagram import CONNECTOR, MEDIA_METRICS
from connectors.metrics import Metric, Refusal, Register
from connectors.privacy import Pseudonyms
from connectors.streams import Account, Stream, Window
from connectors.wire import Reply
from tests.connectors.conftest import NOW, MakeAccount

ACCOUNT = "17841400000000001"
POSTS, REACH_DAYS = CONNECTOR.stream("posts"), CONNECTOR.stream("insights_day")
BAD_METRIC = {"error": {"message": "(#100) The value must be a valid insights metric", "type": "OAuthException", "code": 100}}
NO_PERMISSION = {"error": {"message": "(#10) Application does not have permission for this action", "type": "OAuthException", "code": 10}}
TOO_FEW = {"error": {"message": "(#10) Not enough viewers for the media to show insights", "type": "OAuthException", "code": 10}}
DELETED = {"error": {"message": "Unsupported get request. Object with ID '3' does not exist", "code": 100, "error_subcode": 33}}


@dataclass
class Graph:
    """Two posts and a reel of one account, and what is refused of them."""

    retired: set[str] = field(default_factory=set)
    lacking: dict[str, set[str]] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    requests: int = 0
    busy_parts: int = 0

    def exchange(self, method: str, url: str, auth: object, params: Any = (), form: Mapping[str, str] | None = None) -> Reply:
        del auth
        self.requests += 1
        assert method == ("POST" if form else "GET")
        if form:
            parts = [self._part(part["relative_url"]) for part in json.loads(form["batch"])]
            return self._reply(200, parts)
        path = urlsplit(url).path
        if path.endswith("/media"):
            media = [
                {"id": str(number), "media_product_type": kind, "timestamp": f"2026-01-1{number}T05:00:00+0000", "like_count": number}
                for number, kind in ((4, "FEED"), (3, "REELS"), (2, "FEED"))
            ]
            return self._reply(200, {"data": media, "paging": {"cursors": {"after": "x"}}})
        answer = self._insights(path.split("/")[-2], dict(params)["metric"])
        return self._reply(*answer)

    def _part(self, relative: str) -> Mapping[str, Any] | None:
        if self.busy_parts:
            self.busy_parts -= 1
            return None
        address = urlsplit(relative)
        status, body = self._insights(address.path.split("/")[-2], parse_qs(address.query)["metric"][0])
        return {"code": status, "body": json.dumps(body)}

    def _insights(self, thing: str, metrics: str) -> tuple[int, Any]:
        names = tuple(metrics.split(","))
        self.asked.append((thing, names))
        if thing in self.says:
            return 400, self.says[thing]
        if self.retired & set(names) or self.lacking.get(thing, set()) & set(names):
            return 400, BAD_METRIC
        values = [{"value": 7, "end_time": "2026-01-15T08:00:00+0000"}]
        return 200, {"data": [{"name": name, "period": "day", "values": values, "title": "Judul"} for name in names]}

    def _reply(self, status: int, body: object) -> Reply:
        return Reply(status, {}, json.dumps(body).encode())

    def close(self) -> None:
        """Nothing is open."""


Run = Callable[..., tuple[Fetched, dict[str, Any]]]


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def run(graph: Graph, make_account: MakeAccount, clock: InjectedClock, pseudonyms: Pseudonyms) -> Run:
    """Fetch a stream from the graph; returns what became of it, and the records by key."""

    def fetched(stream: Stream = POSTS, refused: tuple[Refusal, ...] = (), **more: Any) -> tuple[Fetched, dict[str, Any]]:
        account: Account = make_account("https://graph.example", platform="instagram", account_id=ACCOUNT, **more)
        account = replace(account, options={"api_version": "v26.0"} | dict(account.options))
        door = Door(account, CONNECTOR.limits, Hosts(), clock, WaitingBudget(10_000), judge=CONNECTOR.judge)
        door._wire = graph  # type: ignore[assignment]
        lines = bytearray()
        window = Window(NOW - timedelta(days=30), NOW)
        told = fetch_window(stream, account, window, door, pseudonyms, clock, lines.extend, refused=refused)
        payloads = [json.loads(line)["payload"] for line in lines.splitlines()]
        return told, {payload[stream.kind.key]: payload for payload in payloads}

    return fetched


def names_in(record: Mapping[str, Any]) -> set[str]:
    return {insight["name"] for insight in record["insights"]["data"]}


def test_the_insights_of_a_page_come_in_one_batch_for_each_type(run: Run, graph: Graph) -> None:
    told, records = run()
    assert told.is_complete
    assert graph.requests == 3  # the list, and one batch for each of the two types
    assert set(records) == {"2", "3", "4"}
    assert "views" in names_in(records["2"])
    assert "follows" not in names_in(records["3"])
    assert "ig_reels_avg_watch_time" in names_in(records["3"])
    assert all("title" not in insight for insight in records["2"]["insights"]["data"])


def test_a_retired_metric_costs_itself_alone_and_is_told_with_its_entry(run: Run, graph: Graph) -> None:
    graph.retired = {"saved"}
    told, records = run()
    assert told.is_complete
    assert all("saved" not in names_in(record) and "reach" in names_in(record) for record in records.values())
    entry = next(metric.entry for metric in MEDIA_METRICS if metric.name == "saved")
    assert {(one.metric, one.kind, one.status, one.entry) for one in told.refusals} == {
        ("saved", "FEED", "retired", entry),
        ("saved", "REELS", "retired", entry),
    }
    assert "saved" in told.retired_fields
    assert "views" not in told.retired_fields


def test_a_metric_that_one_type_does_not_have_is_not_retired_as_a_whole(run: Run, graph: Graph) -> None:
    told, _ = run()
    asked_of_reel = {name for thing, names in graph.asked if thing == "3" for name in names}
    assert "profile_visits" not in asked_of_reel
    assert "profile_visits" not in told.retired_fields


def test_what_was_found_to_be_retired_is_not_asked_for_again_until_its_entry_changes(run: Run, graph: Graph) -> None:
    graph.retired = {"saved"}
    first, _ = run()
    graph.asked.clear()
    again, _ = run(refused=tuple(first.refusals))
    assert all("saved" not in names for _, names in graph.asked)
    assert "saved" in again.retired_fields
    assert not again.refusals
    graph.retired = set()
    changed = tuple(replace(one, entry="of another day") for one in first.refusals)
    after, records = run(refused=changed)
    assert "saved" in names_in(records["2"])
    assert "saved" not in after.retired_fields


def test_a_post_deleted_between_the_list_and_its_numbers_stays_without_them(run: Run, graph: Graph) -> None:
    graph.says = {"3": DELETED}
    told, records = run()
    assert told.is_complete
    assert records["3"]["insights"] is None
    assert names_in(records["2"])


def test_too_few_viewers_are_an_empty_answer_and_no_failure(run: Run, graph: Graph) -> None:
    graph.says = {"2": TOO_FEW}
    told, records = run()
    assert told.is_complete
    assert records["2"]["insights"] == {}
    assert not told.denied_fields


def test_numbers_that_the_token_may_not_read_leave_the_list_whole(run: Run, graph: Graph) -> None:
    graph.says = dict.fromkeys("234", NO_PERMISSION)
    told, records = run()
    assert told.is_complete
    assert {"reach", "views"} <= told.denied_fields
    assert not told.retired_fields & {"reach", "views"}
    assert records["2"]["insights"] is None
    assert {one.status for one in told.refusals} == {"not_permitted"}


def test_what_one_post_lacks_the_others_of_its_type_keep_and_nothing_is_remembered(run: Run, graph: Graph) -> None:
    """Of an old film, or one that two accounts share, some numbers are not given."""
    graph.lacking = {"4": {"saved"}}
    told, records = run()
    assert told.is_complete
    assert "saved" not in names_in(records["4"])
    assert {"reach", "views", "shares"} <= names_in(records["4"])
    assert "saved" in names_in(records["2"])
    assert not told.refusals
    assert "saved" not in told.retired_fields


def test_one_post_that_is_given_none_of_the_numbers_costs_itself_alone(run: Run, graph: Graph) -> None:
    graph.lacking = {"4": {metric.name for metric in MEDIA_METRICS}}
    told, records = run()
    assert told.is_complete
    assert records["4"]["insights"] is None
    assert "views" in names_in(records["2"])
    assert not told.refusals


def test_one_post_whose_numbers_are_not_ours_to_read_costs_itself_alone(run: Run, graph: Graph) -> None:
    graph.says = {"4": NO_PERMISSION}
    told, records = run()
    assert told.is_complete
    assert records["4"]["insights"] is None
    assert "views" in names_in(records["2"])
    assert not told.denied_fields
    assert not told.refusals


@pytest.mark.parametrize(
    "message",
    [
        "(#100) since param is not valid. Metrics data is available for the last 2 years",
        "(#100) (follower_count) metric only supports querying data for the last 30 days excluding the current day",
    ],
)
def test_a_span_that_is_refused_is_not_taken_for_a_metric_that_died(run: Run, graph: Graph, message: str) -> None:
    graph.says = {ACCOUNT: {"error": {"message": message, "type": "OAuthException", "code": 100}}}
    told, _ = run(REACH_DAYS)
    assert (told.is_complete, told.ledger_status) == (False, "unavailable")
    assert not told.refusals
    assert not told.retired_fields


def test_a_part_of_a_batch_that_was_not_answered_is_asked_again(run: Run, graph: Graph) -> None:
    graph.busy_parts = 2
    told, records = run()
    assert told.is_complete
    assert all(names_in(record) for record in records.values())


def test_where_all_metrics_are_refused_something_else_is_wrong_and_none_is_called_retired(run: Run, graph: Graph) -> None:
    graph.retired = {metric.name for metric in MEDIA_METRICS}
    told, records = run()
    assert not told.is_complete
    assert told.ledger_status == "unavailable"
    assert not told.refusals
    assert not records


def test_without_batches_each_post_is_asked_about_by_itself(run: Run, graph: Graph) -> None:
    told, records = run(options={"login": "instagram"})
    assert told.is_complete
    assert graph.requests == 4
    assert set(records) == {"2", "3", "4"}


def test_a_series_becomes_a_record_a_day_of_the_platform(run: Run) -> None:
    told, records = run(REACH_DAYS)
    assert told.is_complete
    assert records["reach/day/2026-01-14"] == {
        "key": "reach/day/2026-01-14", "name": "reach", "period": "day", "day": "2026-01-14",
        "at": "2026-01-14T08:00:00+00:00", "value": 7,
    }  # fmt: skip


def test_a_series_goes_on_without_the_metric_that_is_gone(run: Run, graph: Graph) -> None:
    graph.retired = {"follower_count"}
    told, records = run(replace(REACH_DAYS, metrics=(Metric("reach"), Metric("follower_count"))))
    assert told.is_complete
    assert set(records) == {"reach/day/2026-01-14"}
    assert told.retired_fields == {"follower_count"}


@given(st.lists(st.sampled_from("abcdefghijklm"), unique=True, min_size=1), st.data())
def test_halving_finds_exactly_the_refused_ones(names: list[str], data: st.DataObject) -> None:
    bad = set(data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1)))

    def ask(some: Any) -> DoorError | None:
        return MetricRefused("no") if bad & set(some) else None

    assert set(refused_of(names, ask)) == bad


def test_a_metric_lives_from_its_first_day_to_the_day_before_its_last() -> None:
    metric = Metric("views", introduced=date(2025, 1, 2), retired=date(2026, 6, 15))
    lives = [metric.lives(day) for day in (date(2025, 1, 1), date(2025, 1, 2), date(2026, 6, 14), date(2026, 6, 15))]
    assert lives == [False, True, True, False]
    register = Register((metric, Metric("reach")), date(2026, 6, 15))
    assert register.wanted() == ("reach",)
    assert register.missing("retired") == {"views"}


def test_some_denied_posts_cost_themselves_and_not_the_kind(run: Run, graph: Graph) -> None:
    graph.says = {"4": NO_PERMISSION}
    told, records = run()
    assert told.is_complete
    assert records["4"]["insights"] is None
    assert names_in(records["2"])
    assert not told.denied_fields


def test_a_post_that_has_no_numbers_by_its_nature_costs_itself_alone(run: Run, graph: Graph) -> None:
    words = "(#100) Tried accessing nonexisting field (insights) on node type (Video)"
    graph.says = {"2": {"error": {"message": words, "type": "OAuthException", "code": 100}}}
    told, records = run()
    assert told.is_complete
    assert records["2"]["insights"] is None
    assert records["2"]["like_count"] == 2
    assert names_in(records["4"])


def test_the_only_post_of_its_kind_may_be_odd_and_the_list_is_whole_without_its_numbers(run: Run, graph: Graph) -> None:
    graph.says = {"3": {"error": {"message": "(#100) Tried accessing nonexisting field (insights)", "code": 100}}}
    told, records = run()
    assert told.is_complete
    assert records["3"]["insights"] is None
    assert names_in(records["2"])


def test_an_app_that_is_switched_off_stops_its_own_institution_alone(make_account: MakeAccount) -> None:
    hosts = Hosts()
    mine = make_account("https://graph.example", platform="instagram")
    hosts.stop(mine, "the app is off")
    assert hosts.stopped(mine) == "the app is off"
    assert hosts.stopped(replace(mine, institution_id="another")) is None
    assert hosts.stopped(replace(mine, platform="facebook")) is None
