"""Streams as they are read: pages, windows, what a 200 says that it could not give, and what is kept when it breaks off.

Not here: single requests (test_http.py) and what is made of the ledger (tests/pipelines/).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.clock import InjectedClock
from connectors.fetch import Fetched, first_request
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account, Stream, Window
from sandbox.server import TOKENS, Running
from sandbox.world import ACCOUNTS
from tests.connectors.conftest import NOW, TOKEN
from tests.connectors.served import Heard, Said, Speaker, said

MakeAccount = Callable[..., Account]
Fetch = Callable[..., tuple[Fetched, bytes]]
MASTODON = platforms()["mastodon"]
X = platforms()["x"]


def payloads(lines: bytes) -> list[dict[str, Any]]:
    """Each line must be one JSON object; returns their payloads."""
    return [json.loads(line)["payload"] for line in lines.splitlines()]


@pytest.fixture
def sandboxed(sandbox: Running, clock: InjectedClock) -> Callable[[str], Account]:
    """The sandbox's first account of a platform, the sandbox's clock being the test's."""
    sandbox.set_now(clock.now())
    sandbox.forget_requests()

    def account(platform: str) -> Account:
        own = [one for one in ACCOUNTS if one.platform == platform]
        return Account(
            "cahaya",
            platform,
            own[0].id,
            own[0].handle,
            f"{sandbox.url}/{platform}",
            Secret(TOKENS[platform][0]),
            own_ids=frozenset(one.id for one in own),
            own_handles=frozenset(one.handle for one in own),
        )

    return account


def with_page_size(stream: Stream, size: int) -> Stream:
    return replace(stream, params={**stream.params, **{name: str(size) for name in ("limit", "max_results") if name in stream.params}})


@pytest.mark.parametrize(("platform", "name"), [("mastodon", "posts"), ("mastodon", "mentions"), ("x", "posts"), ("x", "mentions")])
def test_the_sandboxs_lists_come_whole_whatever_the_page_size(
    sandboxed: Callable[[str], Account], fetch: Fetch, platform: str, name: str
) -> None:
    stream = platforms()[platform].stream(name)
    results = [fetch(with_page_size(stream, size), sandboxed(platform)) for size in (100, 7, 5)]
    found = [sorted(json.dumps(payload) for payload in payloads(lines)) for _, lines in results]
    assert found[0]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == len(found[0])
    assert [fetched.is_complete for fetched, _ in results] == [True] * 3
    assert results[0][0].pages < results[1][0].pages < results[2][0].pages
    assert [fetched.rejected for fetched, _ in results] == [0] * 3


def test_the_accounts_come_as_single_records(sandboxed: Callable[[str], Account], fetch: Fetch) -> None:
    for platform in ("mastodon", "x"):
        account = sandboxed(platform)
        fetched, lines = fetch(platforms()[platform].stream("accounts"), account)
        assert [payload["id"] for payload in payloads(lines)] == [account.account_id]
        assert (fetched.is_complete, fetched.records, fetched.pages) == (True, 1, 1)
        assert account.handle not in lines.decode()


def test_each_line_says_when_it_was_asked_for(sandboxed: Callable[[str], Account], fetch: Fetch) -> None:
    _, lines = fetch(MASTODON.stream("accounts"), sandboxed("mastodon"))
    line = json.loads(lines)
    assert (line["requested_at"], line["observed_at"]) == ("2026-01-15T19:00:00Z", "2026-01-15T19:00:00Z")


@pytest.mark.parametrize("platform", ["mastodon", "x"])
@pytest.mark.parametrize("kind", ["same_page", "endless"])
def test_the_sandboxs_circles_end_and_what_came_is_kept(
    sandbox: Running, sandboxed: Callable[[str], Account], fetch: Fetch, platform: str, kind: str
) -> None:
    sandbox.faults([{"path": "(statuses|tweets)$", "kind": kind}])
    stream = replace(with_page_size(platforms()[platform].stream("posts"), 5), max_pages=5)
    fetched, lines = fetch(stream, sandboxed(platform))
    assert (fetched.is_complete, fetched.ledger_status) == (False, "missing")
    assert fetched.pages <= 5
    found = [payload["id"] for payload in payloads(lines)]
    assert found
    assert fetched.records == len(found)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a dead token": ({"kind": "status", "status": 401}, "not_permitted"),
    "a forbidden list": ({"kind": "status", "status": 403}, "not_permitted"),
    "a list that is gone": ({"kind": "status", "status": 410}, "unavailable"),
    "a server that fails": ({"kind": "status", "status": 503}, "missing"),
    "too many requests": ({"kind": "status", "status": 429, "headers": {"Retry-After": "999999"}}, "missing"),
    "a page for people": ({"kind": "html"}, "missing"),
    "a broken answer": ({"kind": "truncate"}, "missing"),
    "a broken connection": ({"kind": "reset"}, "missing"),
    "a redirect": ({"kind": "redirect"}, "unavailable"),
}


@pytest.mark.parametrize("platform", ["mastodon", "x"])
@pytest.mark.parametrize(("fault", "status"), FAULTS.values(), ids=FAULTS.keys())
def test_a_failure_in_mid_list_is_told_and_what_came_is_kept(
    sandbox: Running, sandboxed: Callable[[str], Account], fetch: Fetch, platform: str, fault: dict[str, Any], status: str
) -> None:
    sandbox.faults([{"path": "(statuses|tweets)$", "after": 2, **fault}])
    fetched, lines = fetch(with_page_size(platforms()[platform].stream("posts"), 5), sandboxed(platform))
    assert (fetched.is_complete, fetched.ledger_status, fetched.records) == (False, status, 10)
    assert len(payloads(lines)) == 10
    assert fetched.reason
    assert fetched.reason.endswith(".")
    assert TOKENS[platform][0] not in fetched.reason


# --- what a 200 can hold instead of the list


def test_an_error_in_place_of_a_list_is_no_empty_list(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    """Taken for an empty list it would turn every post into a deleted one."""
    speaker.says(said({"error": "Remote data could not be fetched"}))
    fetched, lines = fetch(MASTODON.stream("posts"), make_account(speaker.url))
    assert (fetched.is_complete, fetched.ledger_status, lines) == (False, "missing", b"")


def test_an_error_in_place_of_the_account_is_no_account(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    speaker.says(said({"error": "Remote data could not be fetched"}))
    fetched, lines = fetch(MASTODON.stream("accounts"), make_account(speaker.url))
    assert (fetched.is_complete, fetched.ledger_status, lines) == (False, "missing", b"")


@pytest.mark.parametrize(
    ("type_", "title", "status"),
    [("resource-not-found", "Not Found Error", "unavailable"), ("not-authorized-for-resource", "Authorization Error", "not_permitted")],
)
@pytest.mark.parametrize("name", ["accounts", "posts", "mentions"])
def test_errors_in_place_of_data_are_a_failure(
    speaker: Speaker, make_account: MakeAccount, fetch: Fetch, name: str, type_: str, title: str, status: str
) -> None:
    error = {"type": f"https://api.twitter.com/2/problems/{type_}", "title": title, "resource_id": "77", "detail": "names somebody"}
    speaker.says(said({"errors": [error]}))
    fetched, _ = fetch(X.stream(name), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.ledger_status) == (False, status)
    assert title in (fetched.reason or "")
    assert "names somebody" not in (fetched.reason or "")


@pytest.mark.parametrize("content", [{"meta": {"result_count": 0}}, {"data": [], "meta": {}}, {"data": None, "meta": {}}, {}])
def test_an_empty_list_is_a_whole_answer(speaker: Speaker, make_account: MakeAccount, fetch: Fetch, content: object) -> None:
    speaker.says(said(content))
    fetched, lines = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.ledger_status, fetched.records, lines) == (True, "fetched", 0, b"")


POST = {"id": "1", "text": "halo", "created_at": "2026-01-10T00:00:00.000Z", "author_id": "77"}


@pytest.mark.parametrize("echo", [TOKEN, f"Error for {TOKEN}", "x" * 500, "siti@server.example", "a\nb", "", None, {"a": 1}])
def test_a_title_or_a_field_that_is_no_plain_word_is_not_told(
    speaker: Speaker, make_account: MakeAccount, fetch: Fetch, echo: object
) -> None:
    denied = {"type": "https://api.twitter.com/2/problems/not-authorized-for-field", "field": echo, "title": echo, "resource_id": "1"}
    speaker.says(said({"errors": [denied]}))
    fetched, _ = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert fetched.reason == "posts: the platform gave nothing of what was asked for."
    assert fetched.denied_fields == {"unnamed"}


def test_things_that_are_gone_leave_the_list_whole(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    gone = {"type": "https://api.twitter.com/2/problems/resource-not-found", "resource_id": "9", "parameter": "referenced_tweets.id"}
    speaker.says(said({"data": [POST], "errors": [gone]}))
    fetched, _ = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.records, fetched.denied_fields) == (True, 1, set())


@pytest.mark.parametrize("field", ["non_public_metrics", "non_public_metrics.url_link_clicks"])
def test_fields_that_the_token_may_not_read_are_noted(speaker: Speaker, make_account: MakeAccount, fetch: Fetch, field: str) -> None:
    denied = {"type": "https://api.twitter.com/2/problems/not-authorized-for-field", "field": field, "resource_id": "1", "section": "data"}
    speaker.says(said({"data": [POST], "errors": [denied]}))
    fetched, _ = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.denied_fields) == (True, {"non_public_metrics"})


def test_an_error_about_the_whole_answer_leaves_the_list_incomplete(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    speaker.says(said({"data": [POST], "errors": [{"type": "about:blank", "title": "Internal Error", "status": 500}]}))
    fetched, lines = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.ledger_status, len(payloads(lines))) == (False, "missing", 1)


@pytest.mark.parametrize("errors", [None, "oops", [], [None, 1, "x"], {"a": 1}])
def test_errors_of_another_shape_are_passed_over(speaker: Speaker, make_account: MakeAccount, fetch: Fetch, errors: object) -> None:
    speaker.says(said({"data": [POST], "errors": errors}))
    fetched, _ = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.records) == (True, 1)


# --- single records


def test_records_that_cannot_be_read_are_counted_and_cost_only_themselves(
    speaker: Speaker, make_account: MakeAccount, fetch: Fetch
) -> None:
    body = (
        b'{"data": [7, null, "x", [], {"id": "1", "created_at": "2026-01-10T00:00:00Z", "n": 1e999}, '
        b'{"id": "2", "created_at": "2026-01-10T00:00:00Z", "text": "caf\xe9 \\ud83d"}], "meta": {}}'
    )
    speaker.says(Said(body))
    fetched, lines = fetch(X.stream("posts"), make_account(speaker.url, "x"))
    assert [payload["id"] for payload in payloads(lines)] == ["2"]
    assert (fetched.is_complete, fetched.rejected, fetched.records) == (False, 5, 1)
    assert "5 of 6 records could not be used" in (fetched.reason or "")


def test_a_record_that_passes_untouched_stays_one_line(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    body = b'{"data": [{\n "start": "2026-01-10T00:00:00.000Z",\r\n "tweet_count": 3, "note": "a\\nb"\n}], "meta": {}}'
    speaker.says(Said(body))
    _, lines = fetch(X.stream("mention_hours"), make_account(speaker.url, "x"))
    assert payloads(lines) == [{"start": "2026-01-10T00:00:00.000Z", "tweet_count": 3, "note": "a\nb"}]
    assert lines.count(b"\n") == 1


def status(number: int, days_ago: float, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(days=days_ago)).isoformat()
    return {"id": f"s{number}", "created_at": at, "content": "<p>halo</p>", "reblog": None, "visibility": "public", **more}


def paged(speaker: Speaker, *pages: list[dict[str, Any]]) -> None:
    """Serve these pages by Mastodon's links."""

    def say(heard: Heard) -> Said:
        at = int(heard.query.get("max_id", "0"))
        link = f'<{speaker.url}{heard.path}?max_id={at + 1}>; rel="next"' if at + 1 < len(pages) else ""
        return said(pages[at], Link=link)

    speaker.answers(say)


def test_a_newest_first_list_is_left_on_the_page_that_ends_before_the_window(
    speaker: Speaker, make_account: MakeAccount, fetch: Fetch
) -> None:
    paged(speaker, [status(1, 1), status(2, 2)], [status(3, 29), status(4, 31)], [status(5, 32)])
    fetched, lines = fetch(MASTODON.stream("posts"), make_account(speaker.url))
    assert [payload["id"] for payload in payloads(lines)] == ["s1", "s2", "s3"]
    assert (fetched.is_complete, fetched.pages, fetched.rejected) == (True, 2, 0)


def test_one_old_post_among_young_ones_does_not_end_the_list(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    """Moved and pinned posts can stand out of order; what follows them would be taken for deleted."""
    paged(speaker, [status(9, 400), status(1, 1)], [status(2, 2)])
    fetched, lines = fetch(MASTODON.stream("posts"), make_account(speaker.url))
    assert [payload["id"] for payload in payloads(lines)] == ["s1", "s2"]
    assert fetched.is_complete


@pytest.mark.parametrize("created_at", [None, "", "yesterday", 5, "2026-01-10T00:00:00"])
def test_a_post_without_a_time_is_rejected_and_the_others_stay(
    speaker: Speaker, make_account: MakeAccount, fetch: Fetch, created_at: object
) -> None:
    paged(speaker, [status(1, 1), {**status(2, 2), "created_at": created_at}, status(3, 3)])
    fetched, lines = fetch(MASTODON.stream("posts"), make_account(speaker.url))
    assert [payload["id"] for payload in payloads(lines)] == ["s1", "s3"]
    assert (fetched.is_complete, fetched.rejected) == (False, 1)
    assert "1 of 3 records could not be used (mostly: created_at is" in (fetched.reason or "")


def test_boosts_and_private_messages_are_no_posts(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    """The account's own token lists its private messages too; and some servers drop the filter from their links."""
    boost = status(2, 2, reblog={"id": "other", "content": "kata siti", "account": {"acct": "siti"}})
    paged(speaker, [status(1, 1), boost, status(3, 3, visibility="direct", content="<p>rahasia</p>"), status(4, 4, visibility="private")])
    fetched, lines = fetch(MASTODON.stream("posts"), make_account(speaker.url))
    assert [payload["id"] for payload in payloads(lines)] == ["s1", "s4"]
    assert (fetched.is_complete, fetched.rejected, fetched.records) == (True, 0, 2)
    assert b"siti" not in lines
    assert b"rahasia" not in lines


def test_favourites_follows_and_private_messages_are_no_mentions(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    notices = [
        {"id": "1", "type": "favourite", "created_at": NOW.isoformat(), "account": {"id": "9"}, "status": status(1, 1)},
        {
            "id": "2",
            "type": "mention",
            "created_at": NOW.isoformat(),
            "account": {"id": "9"},
            "status": status(2, 1, content="@cahaya halo"),
        },
        {"id": "3", "type": "follow", "created_at": NOW.isoformat(), "account": {"id": "9"}},
        {
            "id": "4",
            "type": "mention",
            "created_at": NOW.isoformat(),
            "account": {"id": "9"},
            "status": status(4, 1, content="@cahaya rahasia") | {"visibility": "direct"},
        },
    ]
    paged(speaker, notices)
    fetched, lines = fetch(MASTODON.stream("mentions"), make_account(speaker.url))
    assert [payload["id"] for payload in payloads(lines)] == ["2"]
    assert (fetched.records, fetched.rejected) == (1, 0)
    assert b"halo" not in lines


# --- the first request


def test_a_window_is_asked_for_in_utc_and_whole_seconds(make_account: MakeAccount) -> None:
    window = Window(NOW - timedelta(days=1, microseconds=7), NOW)
    request = first_request(X.stream("mention_hours"), make_account("https://a.example/", "x"), window)
    assert request.url == "https://a.example/2/tweets/counts/recent"
    assert dict(request.params) == {"query": "@cahaya", "granularity": "hour", "start_time": "2026-01-14T18:59:59Z"}


def test_an_account_id_cannot_lead_to_another_path(make_account: MakeAccount) -> None:
    request = first_request(X.stream("posts"), make_account("https://a.example", "x", account_id="1/../2?x=#"), Window(NOW, NOW))
    assert request.url == "https://a.example/2/users/1%2F..%2F2%3Fx%3D%23/tweets"


def test_only_a_token_of_the_accounts_own_asks_for_private_metrics(make_account: MakeAccount) -> None:
    asked = [
        dict(first_request(X.stream("posts"), make_account("https://a.example", "x", options=options), Window(NOW, NOW)).params)
        for options in ({}, {"private_metrics": True}, {"private_metrics": True, "fields_parameter": "tweet.fields"})
    ]
    assert "non_public_metrics" not in asked[0]["post.fields"]
    assert asked[1]["post.fields"].endswith(",non_public_metrics")
    assert asked[2]["tweet.fields"].endswith(",non_public_metrics")
    assert "post.fields" not in asked[2]


def test_a_window_without_records_writes_nothing(speaker: Speaker, make_account: MakeAccount, fetch: Fetch) -> None:
    paged(speaker, [])
    fetched, lines = fetch(MASTODON.stream("mentions"), make_account(speaker.url), days=7)
    assert (fetched.is_complete, fetched.records, lines) == (True, 0, b"")
    assert fetched.window == Window(NOW - timedelta(days=7), NOW)


@pytest.mark.parametrize("name", ["posts", "mention_hours"])
def test_a_record_beyond_all_measure_is_set_aside(speaker: Speaker, make_account: MakeAccount, fetch: Fetch, name: str) -> None:
    huge = {"id": "1", "created_at": "2026-01-10T00:00:00Z", "start": "2026-01-10T00:00:00Z", "text": "x" * (2 * 2**20 + 1)}
    small = [{"id": f"s{number}", "created_at": "2026-01-10T00:00:00Z", "start": f"2026-01-10T{number:02}:00:00Z"} for number in range(22)]
    speaker.says(said({"data": [huge, *small], "meta": {}}))
    fetched, lines = fetch(X.stream(name), make_account(speaker.url, "x"))
    assert (fetched.is_complete, fetched.records, fetched.rejected) == (True, 22, 1)
    assert len(lines) < 10_000
