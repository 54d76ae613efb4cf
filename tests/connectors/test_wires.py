"""The wires of a run: an account's lists share one, two accounts never do, and nothing of one exchange is found in another.

Not here: what one exchange leaves, and when (test_wire.py), and the threads that ask (tests/assets/test_asking_pools.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors import wire
from connectors.clock import InjectedClock
from connectors.failures import PermanentFailure
from connectors.http import Door, Hosts, WaitingBudget
from connectors.paging import Request
from connectors.secret import Secret
from connectors.streams import Account, Limits
from connectors.wire import IDLE_WIRES, Wire, Wires
from tests.connectors.conftest import LIMITS, NOW, MakeAccount

THREADS = 8


@dataclass
class Kept:
    """A server that keeps its connections, and what it heard: the connection, the path, the credentials, the cookies."""

    url: str
    heard: list[tuple[int, str, str, str]] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    says: Callable[[str], tuple[int, dict[str, str], bytes]] = lambda path: (200, {}, b'{"path": "%s"}' % path.encode())

    @property
    def connections(self) -> set[int]:
        return {port for port, *_ in self.heard}


@pytest.fixture
def kept() -> Iterator[Kept]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            port = self.client_address[1]
            told.heard.append((port, self.path, self.headers.get("Authorization", ""), self.headers.get("Cookie", "")))
            status, headers, body = told.says(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def finish(self) -> None:
            super().finish()
            told.closed.add(self.client_address[1])

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that left early is what a test is about."""

    server = Server(("127.0.0.1", 0), Handler)
    told = Kept(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def door(account: Account, shared: Wire, limits: Limits = LIMITS) -> Door:
    return Door(account, limits, Hosts(), InjectedClock(NOW), WaitingBudget(0), wire=shared)


def wait_until(holds: Callable[[], bool]) -> bool:
    for _ in range(500):
        if holds():
            return True
        threading.Event().wait(0.01)
    return False


def test_the_lists_of_an_account_share_one_connection_and_count_their_own_requests(kept: Kept, make_account: MakeAccount) -> None:
    account = make_account(kept.url)
    sent = []
    with Wires() as wires:
        for lists in (1, 2, 3):
            with wires.of(account) as shared:
                one = door(account, shared)
                for _ in range(lists):
                    one.get(Request(f"{kept.url}/v1"))
                one.close()
                sent.append(one.requests_sent)
    assert sent == [1, 2, 3]
    assert len(kept.connections) == 1


def test_two_accounts_share_no_connection_and_each_sends_its_own_token(kept: Kept, make_account: MakeAccount) -> None:
    accounts = [make_account(kept.url, account_id=name, token=Secret(f"token-of-{name}")) for name in ("77", "78")]
    with Wires() as wires:
        for account in (*accounts, *accounts):
            with wires.of(account) as shared:
                door(account, shared).get(Request(f"{kept.url}/v1"))
    first, second, first_again, second_again = kept.heard
    assert first[0] == first_again[0] != second[0] == second_again[0]
    assert [one[2] for one in kept.heard] == ["Bearer token-of-77", "Bearer token-of-78"] * 2


@pytest.mark.parametrize("other", ["institution_id", "platform", "account_id"])
def test_accounts_that_differ_in_anything_have_wires_of_their_own(other: str) -> None:
    one = Account("i", "x", "77", "cahaya", "https://m.example", Secret("t"))
    changed: dict[str, Any] = {other: "another"}
    another = replace(one, **changed)
    with Wires() as wires, wires.of(one) as wire_of_one, wires.of(another) as wire_of_another, wires.of(one) as wire_of_one_again:
        assert wire_of_one is wire_of_one_again
        assert wire_of_one is not wire_of_another


def test_no_credentials_stay_in_a_wire(kept: Kept, make_account: MakeAccount) -> None:
    account = make_account(kept.url)
    with Wires() as wires, wires.of(account) as shared:
        door(account, shared).get(Request(f"{kept.url}/with"))
        door(make_account(kept.url, token=Secret("")), shared).get(Request(f"{kept.url}/without"))
    assert [bool(credentials) for _, _, credentials, _ in kept.heard] == [True, False]


def test_a_redirect_is_not_followed_over_a_shared_wire_either(kept: Kept, make_account: MakeAccount) -> None:
    account = make_account(kept.url)
    kept.says = lambda _: (302, {"Location": f"{kept.url}/elsewhere"}, b"{}")
    with Wires() as wires, wires.of(account) as shared, pytest.raises(PermanentFailure, match="answered 302"):
        door(account, shared).get(Request(f"{kept.url}/v1"))
    assert [path for _, path, _, _ in kept.heard] == ["/v1"]


def test_a_cookie_of_one_list_is_not_sent_with_the_next(kept: Kept, make_account: MakeAccount) -> None:
    account = make_account(kept.url)
    kept.says = lambda _: (200, {"Set-Cookie": "who=77; Path=/"}, b"{}")
    with Wires() as wires, wires.of(account) as shared:
        for _ in range(2):
            door(account, shared).get(Request(f"{kept.url}/v1"))
    assert [cookies for *_, cookies in kept.heard] == ["", ""]


def test_what_is_left_of_one_answer_is_not_read_as_the_next(kept: Kept, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 100)
    account = make_account(kept.url)
    whole = kept.says
    kept.says = lambda path: (200, {}, b'{"path": "/other"}' + b" " * 200_000) if path == "/large" else whole(path)
    with Wires() as wires, wires.of(account) as shared:
        with pytest.raises(PermanentFailure, match="larger than"):
            door(account, shared).get(Request(f"{kept.url}/large"))
        assert door(account, shared).get(Request(f"{kept.url}/small")).member("path") == "/small"


def test_threads_that_use_one_wire_at_once_each_get_their_own_answer(kept: Kept, make_account: MakeAccount) -> None:
    together = threading.Barrier(THREADS)
    accounts = [make_account(kept.url, token=Secret(f"token-{number}")) for number in range(THREADS)]

    def ask(number: int) -> list[object]:
        with wires.of(accounts[number]) as shared:
            one = door(accounts[number], shared)
            together.wait(20)
            return [one.get(Request(f"{kept.url}/{number}/{page}")).member("path") for page in range(20)]

    with Wires() as wires, ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, range(THREADS)))
    assert found == [[f"/{number}/{page}" for page in range(20)] for number in range(THREADS)]
    assert all(credentials == f"Bearer token-{path.split('/')[1]}" for _, path, credentials, _ in kept.heard)
    assert len(kept.connections) <= THREADS


def test_at_the_end_of_the_run_every_connection_is_closed(kept: Kept, make_account: MakeAccount) -> None:
    with Wires() as wires:
        for name in ("77", "78"):
            account = make_account(kept.url, account_id=name)
            with wires.of(account) as shared:
                door(account, shared).get(Request(f"{kept.url}/v1"))
        assert not kept.closed
    assert wait_until(lambda: kept.closed == kept.connections)


def test_a_thousand_accounts_do_not_hold_a_thousand_connections(kept: Kept, make_account: MakeAccount) -> None:
    more = 5
    with Wires() as wires:
        for number in range(IDLE_WIRES + more):
            account = make_account(kept.url, account_id=str(number))
            with wires.of(account) as shared:
                door(account, shared).get(Request(f"{kept.url}/v1"))
        # Those that were idle longest go first.
        assert wait_until(lambda: kept.closed == {port for port, *_ in kept.heard[:more]})


def test_a_proxy_of_the_environment_is_used_but_not_for_hosts_that_it_excepts(
    kept: Kept, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("http_proxy", kept.url)
    with Wires() as wires:
        for address in ("http://platform.example", kept.url):
            account = make_account(address)
            with wires.of(account) as shared:
                door(account, shared).get(Request(f"{address}/v1"))
    assert [path for _, path, _, _ in kept.heard] == ["http://platform.example/v1", "/v1"]


def test_the_environments_certificates_are_those_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    usual = Wire("x/77")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/own.pem")
    own = Wire("x/77")
    assert (usual._session.verify, own._session.verify) == (True, "/etc/own.pem")
