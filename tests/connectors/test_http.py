"""The polite session: what it asks again and what it does not, how long it waits, what it refuses, and what it never tells.

Not here: which pages follow each other (test_fetch.py, test_paging.py).
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import http, wire
from connectors.clock import InjectedClock
from connectors.failures import BudgetSpent, DoorError, NotPermitted, PermanentFailure, TemporaryFailure
from connectors.http import ATTEMPTS, Door, Hosts, WaitingBudget, hint_s
from connectors.paging import Request
from connectors.secret import Secret
from connectors.streams import Account
from sandbox.server import Running
from tests.connectors.conftest import LIMITS, NOW, TOKEN
from tests.connectors.served import Heard, Said, Speaker, said, speaking

MakeDoor = Callable[..., Door]
MakeAccount = Callable[..., Account]
IN_90_S = NOW + timedelta(seconds=90)
HINTS = {
    "Retry-After in seconds": {"Retry-After": "90"},
    "Retry-After as an HTTP date": {"Retry-After": format_datetime(IN_90_S, usegmt=True)},
    "a reset as an epoch": {"X-RateLimit-Reset": str(int(IN_90_S.timestamp()))},
    "a reset as an epoch in milliseconds": {"X-RateLimit-Reset": str(int(IN_90_S.timestamp() * 1000))},
    "a reset in seconds from now": {"X-RateLimit-Reset": "90"},
    "a reset in ISO 8601": {"X-RateLimit-Reset": IN_90_S.isoformat().replace("+00:00", ".000Z")},
    "both, of which Retry-After counts": {"Retry-After": "90", "X-RateLimit-Reset": "7"},
    "an unreadable Retry-After before a good reset": {"Retry-After": "soon", "X-RateLimit-Reset": "90"},
}


def ask(door: Door, path: str = "/v1") -> object:
    return msgspec.json.decode(door.get(Request(door._account.base_url + path)).body)


@pytest.mark.parametrize("headers", HINTS.values(), ids=HINTS.keys())
def test_it_waits_as_long_as_the_server_asks(speaker: Speaker, make_door: MakeDoor, clock: InjectedClock, headers: dict[str, str]) -> None:
    speaker.says(Said(status=429, headers=headers), said({"ok": True}))
    assert ask(make_door(speaker.url)) == {"ok": True}
    assert clock.now() == IN_90_S
    assert len(speaker.heard) == 2


def test_without_a_hint_it_waits_a_random_while(speaker: Speaker, make_door: MakeDoor, clock: InjectedClock) -> None:
    speaker.says(Said(status=503), said({"ok": True}))
    ask(make_door(speaker.url))
    assert NOW <= clock.now() <= NOW + timedelta(seconds=30)


def test_the_reset_on_a_fault_of_the_server_is_no_hint(speaker: Speaker, make_door: MakeDoor, clock: InjectedClock) -> None:
    """Mastodon puts the reset of its limit on every answer; a 503 with it does not ask for five minutes."""
    speaker.says(Said(status=503, headers={"X-RateLimit-Reset": "3000", "X-RateLimit-Remaining": "280"}), said({}))
    ask(make_door(speaker.url))
    assert clock.now() <= NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    "value", ["-5", "0", "0.0", str(int(NOW.timestamp()) - 5), "Thu, 01 Jan 1970 00:00:00 GMT", "2020-01-01T00:00:00Z"]
)
def test_a_hint_that_lies_in_the_past_is_no_wait(value: str) -> None:
    assert hint_s({"Retry-After": value}, "X-RateLimit-Reset", NOW) == 0


@pytest.mark.parametrize("value", ["", " ", "soon", "nan", "inf", "-inf", "1e999", "Mon, 99 Foo 2026", "2026-13-01T00:00:00Z", "{}"])
def test_a_hint_that_cannot_be_read_is_none(value: str) -> None:
    assert hint_s({"Retry-After": value, "X-RateLimit-Reset": value}, "X-RateLimit-Reset", NOW) is None


header_values = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=st.just(UTC)).map(format_datetime),
    st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,12} \d\d:\d\d:\d\d [+-]\d{4,9}", fullmatch=True),
)


@given(header_values, header_values)
def test_whatever_a_server_sends_the_hint_is_none_or_a_wait_of_up_to_a_year(retry_after: str, reset: str) -> None:
    hint = hint_s({"Retry-After": retry_after, "reset": reset}, "reset", NOW)
    assert hint is None or 0 <= hint <= http.LONGEST_HINT_S


@given(st.floats(min_value=0, max_value=10**7))
def test_a_hint_in_seconds_is_taken_as_it_is(seconds: float) -> None:
    assert hint_s({"Retry-After": repr(seconds)}, "reset", NOW) == seconds


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_asked_five_times_and_then_left(speaker: Speaker, make_door: MakeDoor, status: int) -> None:
    speaker.says(Said(status=status))
    with pytest.raises(TemporaryFailure, match=f"mastodon/77: the platform answered {status}"):
        ask(make_door(speaker.url))
    assert len(speaker.heard) == ATTEMPTS


@pytest.mark.parametrize(
    ("status", "failure"),
    [(401, NotPermitted), (403, NotPermitted), *((status, PermanentFailure) for status in (304, 400, 402, 404, 406, 410, 422, 426))],
)
def test_what_cannot_pass_is_asked_once(speaker: Speaker, make_door: MakeDoor, status: int, failure: type[DoorError]) -> None:
    speaker.says(said({"error": "Record not found"}, status) if status != 304 else Said(b"", 304))
    with pytest.raises(failure):
        ask(make_door(speaker.url))
    assert len(speaker.heard) == 1


def test_a_failure_says_what_the_platform_called_it(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(said({"title": "Unsupported Authentication", "detail": "prose that may name people"}, 403))
    with pytest.raises(NotPermitted, match="403, 'Unsupported Authentication'") as caught:
        ask(make_door(speaker.url))
    assert "prose" not in str(caught.value)


def test_the_waiting_budget_ends_the_asking_before_it_waits(speaker: Speaker, make_door: MakeDoor, clock: InjectedClock) -> None:
    speaker.says(Said(status=429, headers={"Retry-After": "120"}))
    with pytest.raises(BudgetSpent, match=r"asks us to wait 120 s, more than this run may still wait \(100 s\)"):
        ask(make_door(speaker.url, budget_s=100))
    assert clock.now() == NOW
    assert len(speaker.heard) == 1


def test_the_waiting_budget_is_one_for_all_doors_of_a_run(speaker: Speaker, make_door: MakeDoor) -> None:
    budget = WaitingBudget(100)
    speaker.says(Said(status=429, headers={"Retry-After": "60"}), said({}), Said(status=429, headers={"Retry-After": "60"}))
    ask(make_door(speaker.url, budget=budget))
    with pytest.raises(BudgetSpent, match=r"\(40 s\)"):
        ask(make_door(speaker.url, budget=budget))


def test_when_nothing_is_left_of_the_limit_the_next_request_to_the_host_waits(
    speaker: Speaker, make_door: MakeDoor, clock: InjectedClock
) -> None:
    hosts = Hosts()
    speaker.says(said({}, X_RateLimit_Remaining="0", X_RateLimit_Reset=IN_90_S.isoformat()), said({}))
    ask(make_door(speaker.url, hosts=hosts))
    assert clock.now() == NOW
    ask(make_door(speaker.url, hosts=hosts))
    assert clock.now() == IN_90_S


@pytest.mark.parametrize("reset", ["inf", "1e300", "99999999999999999999", "9999-12-31T23:59:59-12:00"])
def test_a_mad_reset_is_refused_by_the_budget_and_breaks_nothing(speaker: Speaker, make_door: MakeDoor, reset: str) -> None:
    hosts = Hosts()
    speaker.says(said({}, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))
    ask(make_door(speaker.url, hosts=hosts))
    if reset == "inf":
        ask(make_door(speaker.url, hosts=hosts))
    else:
        with pytest.raises(BudgetSpent):
            ask(make_door(speaker.url, hosts=hosts))


def test_no_more_requests_are_under_way_than_the_platform_allows(speaker: Speaker, make_door: MakeDoor) -> None:
    inside, most, lock, pair = 0, 0, threading.Lock(), threading.Barrier(LIMITS.concurrent)

    def say(_: Heard) -> Said:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        pair.wait(10)
        with lock:
            inside -= 1
        return Said()

    speaker.answers(say)
    hosts = Hosts()
    doors = [make_door(speaker.url, hosts=hosts) for _ in range(3 * LIMITS.concurrent)]
    with ThreadPoolExecutor(len(doors)) as pool:
        list(pool.map(ask, doors))
    assert most == LIMITS.concurrent


def test_an_answer_that_is_too_large_is_left(speaker: Speaker, make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 2**20)
    speaker.says(Said(b'"' + b"x" * 3 * 2**20 + b'"'))
    with pytest.raises(PermanentFailure, match="larger than 1 MB"):
        ask(make_door(speaker.url))
    assert len(speaker.heard) == 1


def test_an_answer_that_swells_when_unpacked_is_left(speaker: Speaker, make_door: MakeDoor) -> None:
    bomb = gzip.compress(b"[" + b" " * (wire.MAX_ANSWER_BYTES + 2**20) + b"]", 6)
    assert len(bomb) < 2**20
    speaker.says(Said(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(PermanentFailure, match="larger than 64 MB"):
        ask(make_door(speaker.url))


def test_a_packed_answer_is_read(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(Said(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"}))
    assert ask(make_door(speaker.url)) == {"a": 1}
    assert "gzip" in speaker.heard[0].headers["Accept-Encoding"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_does_not_go_along(speaker: Speaker, make_door: MakeDoor, status: int) -> None:
    with speaking() as elsewhere:
        speaker.says(Said(status=status, headers={"Location": f"{elsewhere.url}/v1"}))
        with pytest.raises(PermanentFailure):
            ask(make_door(speaker.url))
        assert elsewhere.heard == []
    assert len(speaker.heard) == 1


def test_the_sandbox_that_redirects_is_not_followed_either(sandbox: Running, make_door: MakeDoor) -> None:
    sandbox.forget_requests()
    sandbox.faults([{"path": "/mastodon/", "kind": "redirect"}])
    with pytest.raises(PermanentFailure, match="answered 307"):
        ask(make_door(f"{sandbox.url}/mastodon"), "/api/v1/accounts/1")
    assert [(entry["status"], entry["host"]) for entry in sandbox.requests()] == [(307, "127.0.0.1")]


@pytest.mark.parametrize(
    "other", ["http://localhost:{port}/v1", "https://127.0.0.1:{port}/v1", "http://127.0.0.1/v1", "ftp://127.0.0.1/v1"]
)
def test_an_address_elsewhere_is_not_asked(speaker: Speaker, make_door: MakeDoor, other: str) -> None:
    """A link to the next page may lead to another host, or from HTTPS to HTTP: the token goes to neither."""
    door = make_door(speaker.url)
    with pytest.raises(PermanentFailure, match="the token must not go along"):
        door.get(Request(other.format(port=speaker.url.rpartition(":")[2])))
    assert speaker.heard == []
    assert door.requests_sent == 0


NOT_JSON = {
    "a page for people": Said(b"<!doctype html><html><body>Sedang pemeliharaan</body></html>", headers={"Content-Type": "text/html"}),
    "an object cut short": Said(b'{"data": [{"id": "1"}, {"i'),
    "a list cut short": Said(b'[{"id": "1"}, {"i'),
    "less than was promised": Said(b'{"data": []}', promised=500),
    "cut short without a promise": Said(b'[{"id": "1"}, ', promised=-1),
    "nothing": Said(b""),
    "a number": Said(b"17"),
    "a wrong packing": Said(b"this is no gzip", headers={"Content-Encoding": "gzip"}),
    "a reset connection": Said(is_cut=True),
    "a nesting without end": Said(b"[" * 200_000),
}


@pytest.mark.parametrize("answer", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_an_answer_that_is_not_whole_json_is_asked_for_again(speaker: Speaker, make_door: MakeDoor, answer: Said) -> None:
    speaker.says(answer, answer, said({"ok": True}))
    assert ask(make_door(speaker.url)) == {"ok": True}
    speaker.says(answer)
    with pytest.raises(TemporaryFailure):
        ask(make_door(speaker.url))
    assert len(speaker.heard) == ATTEMPTS


@pytest.mark.parametrize("kind", ["reset", "truncate", "html"])
def test_the_sandbox_that_stumbles_twice_is_asked_a_third_time(sandbox: Running, make_door: MakeDoor, kind: str) -> None:
    sandbox.faults([{"path": "/mastodon/", "kind": kind, "times": 2}])
    account = make_door(f"{sandbox.url}/mastodon")._account
    known = Account(**{name: getattr(account, name) for name in account.__slots__} | {"token": Secret("sandbox-mastodon-token")})
    door = make_door(known)
    assert isinstance(ask(door, "/api/v1/accounts/109400000000000001"), dict)
    assert door.requests_sent == 3


def test_where_nobody_listens_it_asks_five_times(make_door: MakeDoor) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        door = make_door(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(TemporaryFailure, match="could not be made or broke off"):
            ask(door)
    assert door.requests_sent == ATTEMPTS


def test_an_answer_that_does_not_come_is_not_waited_for(speaker: Speaker, make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "READ_TIMEOUT_S", 0.05)
    is_over = threading.Event()

    def say(_: Heard) -> Said:
        is_over.wait(10)
        return Said(is_cut=True)

    speaker.answers(say)
    try:
        with pytest.raises(TemporaryFailure, match="no answer in time"):
            ask(make_door(speaker.url))
    finally:
        is_over.set()


@pytest.mark.parametrize("address", ["http://[::1", "http://:0", "not an address", ""])
def test_an_impossible_address_is_a_failure_of_its_own(make_door: MakeDoor, make_account: MakeAccount, address: str) -> None:
    with pytest.raises(DoorError):
        make_door(make_account(address)).get(Request(address + "/v1"))


# --- what it never tells


ECHOES = [
    said({"error": f"the token {TOKEN} is not known", "title": TOKEN, "code": TOKEN}, 401),
    said({"title": f"x {TOKEN}"}, 403),
    said({"title": TOKEN}, 404),
    said({"error": TOKEN}, 500, Retry_After="1", X_Echo=TOKEN),
    Said(TOKEN.encode(), headers={"X-Echo": TOKEN}),
    Said(status=302, headers={"Location": f"https://elsewhere.example/?access_token={TOKEN}"}),
    Said(is_cut=True),
]


@pytest.mark.parametrize("answer", ECHOES, ids=lambda answer: f"{answer.status} {answer.body[:9]!r}")
def test_the_token_is_in_no_message_whatever_the_platform_echoes(
    speaker: Speaker, make_door: MakeDoor, caplog: pytest.LogCaptureFixture, answer: Said
) -> None:
    caplog.set_level(logging.DEBUG)
    speaker.says(answer)
    door = make_door(speaker.url)
    with pytest.raises(DoorError) as caught:
        ask(door)
    told = "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value) + caplog.text
    told += repr(door._account) + repr(vars(door)) + f"{door._account.token}"
    assert TOKEN not in told
    assert speaker.heard[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("token", ["abc\ndef", "abc\r\nX-Evil: 1", "abc def", "abc…", "a\x00b"])
def test_a_token_that_was_copied_badly_is_refused_in_words_and_not_sent(
    speaker: Speaker, make_door: MakeDoor, make_account: MakeAccount, token: str
) -> None:
    """Python's HTTP client would put it into its complaint."""
    with pytest.raises(NotPermitted, match="holds a character that no token has") as caught:
        ask(make_door(make_account(speaker.url, token=Secret(token))))
    assert token not in "".join(traceback.format_exception(caught.value))
    assert speaker.heard == []


def test_without_a_token_no_credentials_are_sent_not_even_those_of_a_netrc_file(
    speaker: Speaker, make_door: MakeDoor, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask(make_door(make_account(speaker.url, token=Secret(""))))
    ask(make_door(speaker.url))
    assert [heard.headers.get("Authorization") for heard in speaker.heard] == [None, f"Bearer {TOKEN}"]


# --- broken characters


def test_a_byte_that_is_no_character_costs_itself_and_not_the_page(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(Said(b'[{"id": "1", "text": "caf\xe9"}, {"id": "2"}]'))
    assert ask(make_door(speaker.url)) == [{"id": "1", "text": "caf\ufffd"}, {"id": "2"}]


def test_half_of_a_surrogate_pair_costs_itself_and_not_the_page(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(Said(rb'{"data": [{"text": "\ud83d"}, {"text": "\ude00 \ud83d\ude00 \\ud83d"}]}'))
    assert ask(make_door(speaker.url)) == {"data": [{"text": "\ufffd"}, {"text": "\ufffd \U0001f600 \\ud83d"}]}


@given(st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps))
def test_good_characters_are_never_mended(text: str) -> None:
    assert http._without_lone_surrogates(text.encode()) == text.encode()


@given(st.text(st.characters(categories=["Cs", "So", "L", "P"]), max_size=30).map(json.dumps))
def test_after_mending_every_text_can_be_read(text: str) -> None:
    mended = msgspec.json.decode(http._without_lone_surrogates(text.encode()), type=str)
    assert mended.replace("\ufffd", "") == json.loads(text).encode(errors="ignore").decode().replace("\ufffd", "")


def test_the_system_clock_tells_utc() -> None:
    from connectors.clock import SystemClock  # noqa: PLC0415 used here alone

    assert SystemClock().now().tzinfo is UTC
    assert isinstance(SystemClock().now(), datetime)
