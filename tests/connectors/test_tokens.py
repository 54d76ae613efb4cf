"""Tokens that are renewed: when, once, by one process; what is kept, what a lost answer leaves behind, and what is never told.

Not here: nights that renew by themselves (tests/faults/test_door_tokens.py) and the names of the variables (tests/pipelines/test_settings.py).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import tokens as tokens_module
from connectors.clock import InjectedClock
from connectors.failures import DoorError, NotPermitted, TemporaryFailure
from connectors.paging import Request
from connectors.secret import Secret
from connectors.streams import OAuth2
from connectors.tokens import EARLY, Grant, Kept, Tokens, read, write
from sandbox.grants import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH, PATH
from sandbox.server import Running
from tests.connectors.conftest import LIMITS, NOW, TOKEN, MakeAccount, MakeDoor
from tests.connectors.served import Heard, Said, Speaker, said

AUTH = OAuth2(scopes=("read",), renewal_url="{base_url}/2/oauth2/token", lifetime=timedelta(hours=2))
Make = Callable[..., Tokens]
# A second process: waits for the starting signal, asks for a token, tells it.
ASKING = """
import sys, time
from datetime import datetime, timedelta
from pathlib import Path
from connectors.clock import InjectedClock
from connectors.secret import Secret
from connectors.streams import OAuth2
from connectors.tokens import Grant, Tokens
path, url, refresh, client_id, client_secret, now, go = sys.argv[1:]
auth = OAuth2(("read",), "{base_url}/2/oauth2/token", timedelta(hours=2))
grant = Grant("TOLOK_I_X_REFRESH_TOKEN", Secret(refresh), Secret(client_id), Secret(client_secret))
tokens = Tokens(Path(path), grant, auth, url, "x/77", InjectedClock(datetime.fromisoformat(now)))
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.002)
print(tokens.current().reveal(), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens" / "one.json"


@pytest.fixture
def make(path: Path, clock: InjectedClock) -> Make:
    """The tokens of one sign-in at an address."""

    def tokens(url: str, refresh: str = FIRST_REFRESH, client_id: str = CLIENT_ID, client_secret: str | None = CLIENT_SECRET) -> Tokens:
        given = Grant("TOLOK_I_X_REFRESH_TOKEN", Secret(refresh), Secret(client_id), Secret(client_secret) if client_secret else None)
        return Tokens(path, given, AUTH, url, "x/77", clock)

    return tokens


@pytest.fixture
def platform(sandbox: Running) -> Iterator[str]:
    """The sandbox's X, where somebody has just signed in."""
    sandbox.set_now(NOW)
    sandbox.sign_in(FIRST_REFRESH)
    sandbox.forget_requests()
    yield f"{sandbox.url}/x"
    sandbox.faults([])


def renewals(sandbox: Running) -> int:
    return sum(request["path"] == PATH for request in sandbox.requests())


def kept_at(path: Path) -> Kept:
    kept = read(path)
    assert kept is not None
    return kept


def asking(path: Path, url: str, go: Path, refresh: str = FIRST_REFRESH) -> subprocess.Popen[str]:
    arguments = [str(path), url, refresh, CLIENT_ID, CLIENT_SECRET, NOW.isoformat(), str(go)]
    return subprocess.Popen([sys.executable, "-c", ASKING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)


# --- when


def test_the_first_token_is_got_with_the_refresh_token_of_the_environment(platform: str, sandbox: Running, make: Make, path: Path) -> None:
    token = make(platform).current()
    kept = kept_at(path)
    assert kept.access_token.reveal() == token.reveal()
    assert kept.refresh_token.reveal() != FIRST_REFRESH
    assert kept.former_refresh_token.reveal() == FIRST_REFRESH
    assert (kept.expires_at, kept.renewed_at, kept.pending_since) == (NOW + timedelta(hours=2), NOW, None)
    assert renewals(sandbox) == 1


def test_a_token_that_lives_is_used_as_it_is_by_others_too(platform: str, sandbox: Running, make: Make, clock: InjectedClock) -> None:
    """Each renewal voids a refresh token; those that are not needed are not made."""
    first = make(platform).current()
    clock.sleep((timedelta(hours=2) - EARLY).total_seconds() - 1)
    assert make(platform).current().reveal() == first.reveal()
    assert renewals(sandbox) == 1


def test_a_token_that_ends_within_minutes_is_renewed_before_it_is_used(
    platform: str, sandbox: Running, make: Make, clock: InjectedClock
) -> None:
    tokens = make(platform)
    first = tokens.current()
    clock.sleep((timedelta(hours=2) - EARLY).total_seconds())
    assert tokens.current().reveal() != first.reveal()
    assert renewals(sandbox) == 2


def test_a_token_that_lives_is_used_when_the_renewal_ahead_of_time_fails(
    platform: str, sandbox: Running, make: Make, clock: InjectedClock
) -> None:
    tokens = make(platform)
    first = tokens.current()
    clock.sleep((timedelta(hours=2) - EARLY).total_seconds())
    sandbox.faults([{"path": PATH, "kind": "status", "status": 503}])
    assert tokens.current().reveal() == first.reveal()
    clock.sleep(EARLY.total_seconds())
    with pytest.raises(TemporaryFailure, match="x/77: the token could not be renewed: the platform answered 503"):
        tokens.current()


def test_the_door_renews_once_on_a_401_and_asks_again(
    platform: str, sandbox: Running, make: Make, make_account: MakeAccount, make_door: MakeDoor
) -> None:
    account = make_account(platform, "x", tokens=make(platform))
    door = make_door(account)
    request = Request(f"{platform}/2/users/2200000000000000001")
    assert door.get(request).status == 200
    sandbox.faults([{"path": "/2/users", "kind": "expire", "times": 1}])
    assert door.get(request).status == 200
    assert renewals(sandbox) == 2
    sandbox.faults([{"path": "/2/users", "kind": "status", "status": 401}])
    for _ in range(3):
        with pytest.raises(NotPermitted, match=r"refuses the token \(401, 'Unauthorized'\)"):
            door.get(request)
    assert renewals(sandbox) <= 3


def test_every_request_that_is_sent_is_told_to_who_counts_them(speaker: Speaker, make_account: MakeAccount, clock: InjectedClock) -> None:
    from connectors.failures import BudgetSpent  # noqa: PLC0415 used here alone
    from connectors.http import Door, Hosts, WaitingBudget  # noqa: PLC0415

    spent = 0

    def spend() -> None:
        nonlocal spent
        if spent == 4:
            message = "nothing is left"
            raise BudgetSpent(message)
        spent += 1

    speaker.says(Said(status=503), Said(status=503), said({}))
    door = Door(make_account(speaker.url), LIMITS, Hosts(), clock, WaitingBudget(10_000), spend=spend)
    door.get(Request(f"{speaker.url}/v1"))
    assert (spent, door.requests_sent, len(speaker.heard)) == (3, 3, 3)
    door.get(Request(f"{speaker.url}/v1"))
    with pytest.raises(BudgetSpent):
        door.get(Request(f"{speaker.url}/v1"))
    assert (door.requests_sent, len(speaker.heard)) == (4, 4)
    door.close()


# --- by one


@pytest.mark.slow
def test_of_ten_processes_that_start_at_once_one_renews_and_all_get_the_same_token(
    platform: str, sandbox: Running, path: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    processes = [asking(path, platform, go) for _ in range(10)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        go.touch()
        told = [process.communicate(timeout=30) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [errors for _, errors in told] == [""] * 10
    assert len({token for token, _ in told}) == 1
    assert renewals(sandbox) == 1


def test_of_ten_threads_and_two_accounts_one_renews(platform: str, sandbox: Running, make: Make) -> None:
    both = [make(platform), make(platform)]
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda at: both[at % 2].current().reveal(), range(10)))
    assert len(set(found)) == 1
    assert renewals(sandbox) == 1


def test_threads_whose_token_was_refused_renew_it_once(platform: str, sandbox: Running, make: Make) -> None:
    tokens = make(platform)
    old = tokens.current()
    with ThreadPoolExecutor(10) as pool:
        found = set(pool.map(lambda _: tokens.current(refused=old).reveal(), range(10)))
    assert len(found) == 1
    assert old.reveal() not in found
    assert renewals(sandbox) == 2


# --- what is kept


def test_what_is_kept_is_the_owners_alone(platform: str, make: Make, path: Path) -> None:
    os.umask(0)
    try:
        make(platform).current()
    finally:
        os.umask(0o022)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert sorted(file.name for file in path.parent.iterdir()) == ["one.json", "one.json.lock"]


def test_the_first_refresh_token_is_kept_as_a_fingerprint_that_tells_another_apart(platform: str, make: Make, path: Path) -> None:
    make(platform).current()
    make(platform)._renew(kept_at(path))
    assert FIRST_REFRESH not in path.read_text(encoding="utf-8")
    first, other = (Grant("N", Secret(token), Secret("c")) for token in (FIRST_REFRESH, "another"))
    assert kept_at(path).is_of(first)
    assert not kept_at(path).is_of(other)


def test_a_refresh_token_that_was_renewed_by_hand_wins_over_the_kept_one(platform: str, sandbox: Running, make: Make, path: Path) -> None:
    old = make(platform).current()
    sandbox.sign_in("signed-in-again")
    new = make(platform, "signed-in-again").current()
    assert new.reveal() != old.reveal()
    assert kept_at(path).former_refresh_token.reveal() == "signed-in-again"
    assert renewals(sandbox) == 2


def test_the_environments_token_which_is_void_by_now_is_not_sent_again(speaker: Speaker, make: Make, clock: InjectedClock) -> None:
    """X ends every token of a sign-in when one that was replaced is sent again."""
    answers = iter(("one", "two", "three"))
    speaker.answers(lambda _: said({"access_token": f"a-{(name := next(answers))}", "refresh_token": f"r-{name}", "expires_in": 7200}))
    for _ in range(3):
        make(speaker.url).current()
        clock.sleep(7200)
    assert [heard.form["refresh_token"] for heard in speaker.heard] == [FIRST_REFRESH, "r-one", "r-two"]


def test_the_former_refresh_token_is_tried_when_the_present_one_is_refused(
    speaker: Speaker, make: Make, path: Path, clock: InjectedClock
) -> None:
    make_kept(path, refresh_token="present", former_refresh_token="former")
    speaker.answers(lambda heard: said({"access_token": "a"}) if heard.form["refresh_token"] == "former" else refusal())
    assert make(speaker.url).current().reveal() == "a"
    assert [heard.form["refresh_token"] for heard in speaker.heard] == ["present", "former"]
    kept = kept_at(path)
    assert (kept.refresh_token.reveal(), kept.former_refresh_token.reveal()) == ("former", "")
    assert kept.expires_at == clock.now() + AUTH.lifetime


def make_kept(path: Path, **more: str) -> None:
    salt = "00" * 16
    first = tokens_module._fingerprint(salt, Secret(FIRST_REFRESH))
    write(path, Kept(salt, first, **{name: Secret(value) for name, value in more.items()}))  # type: ignore[arg-type]


def refusal(code: str = "invalid_grant", status: int = 400) -> Said:
    return said({"error": code, "error_description": "prose"}, status)


@pytest.mark.parametrize("kept", ["", "{}", "[]", "nothing", '{"salt": "zz", "fingerprint": ""}', "null", '{"salt": 1}'])
def test_a_file_that_holds_something_else_is_left_and_named(speaker: Speaker, make: Make, path: Path, kept: str) -> None:
    path.parent.mkdir()
    path.write_text(kept, encoding="utf-8")
    with pytest.raises(NotPermitted, match=r"one\.json: this is no file of kept tokens"):
        make(speaker.url).current()
    assert speaker.heard == []
    assert path.read_text(encoding="utf-8") == kept


def test_where_nothing_can_be_kept_no_refresh_token_is_used_up(speaker: Speaker, make: Make, path: Path) -> None:
    path.parent.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(NotPermitted, match=r"cannot be (kept|read)"):
        make(speaker.url).current()
    assert speaker.heard == []


# --- what is lost


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_renews_leaves_a_lock_that_is_free_and_a_token_that_serves(
    speaker: Speaker, make: Make, path: Path, tmp_path: Path
) -> None:
    """The platform had not answered: what is kept is what was kept before, and the next one goes on with it."""
    is_asked, is_over = threading.Event(), threading.Event()

    def say(_: Heard) -> Said:
        is_asked.set()
        is_over.wait(20)
        return Said(is_cut=True)

    speaker.answers(say)
    (go := tmp_path / "go").touch()
    process = asking(path, speaker.url, go)
    try:
        assert is_asked.wait(20)
        killed(process)
    finally:
        is_over.set()
    assert kept_at(path).pending_since == NOW
    speaker.says(said({"access_token": "a", "refresh_token": "r"}))
    assert make(speaker.url).current().reveal() == "a"
    assert kept_at(path).pending_since is None


@pytest.mark.slow
def test_a_renewal_whose_answer_was_lost_is_said_to_have_been_cut_off_night_after_night(
    platform: str, sandbox: Running, make: Make, path: Path, tmp_path: Path
) -> None:
    """The platform gave the next refresh token to a process that died: nobody knows it, and the former is void."""
    sandbox.faults([{"path": PATH, "kind": "late", "seconds": 4, "times": 1}])
    (go := tmp_path / "go").touch()
    process = asking(path, platform, go)
    until = time.monotonic() + 20
    while (read(path) is None or sandbox.issued() == 0) and time.monotonic() < until:
        time.sleep(0.01)
    killed(process)
    for _ in range(2):
        with pytest.raises(NotPermitted) as caught:
            make(platform).current()
        assert "A renewal was cut off on 2026-01-15 at 19:00 UTC" in str(caught.value)
        assert "Sign in again and put the new refresh token into TOLOK_I_X_REFRESH_TOKEN" in str(caught.value)
    sandbox.sign_in("signed-in-again")
    assert make(platform, "signed-in-again").current()
    assert kept_at(path).pending_since is None


@pytest.mark.slow
def test_whenever_a_process_is_killed_what_is_kept_is_whole(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from connectors.secret import Secret; from connectors.tokens import Kept, write\n"
        "for number in range(10**6):\n"
        "    write(Path(sys.argv[1]), Kept('00', '00', Secret('a' * 4096), Secret(str(number)), Secret('c' * 4096)))\n"
        "    number or print('begun', flush=True)\n"
    )
    for round_ in range(8):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.003 * round_)
        killed(process)
        assert len(kept_at(path).access_token.reveal()) == 4096
    write(path, Kept("00", "00"))
    assert [file.name for file in path.parent.iterdir()] == ["one.json"]


# --- refusals


def test_a_refused_renewal_says_what_to_do_and_is_not_asked_again_in_the_same_run(speaker: Speaker, make: Make) -> None:
    speaker.says(refusal("invalid_request"))
    tokens = make(speaker.url)
    for _ in range(3):
        with pytest.raises(NotPermitted, match=r"x/77: the platform does not renew the token any more \('invalid_request'\)"):
            tokens.current()
    assert len(speaker.heard) == 1


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized_client"), (401, "invalid_client"), (403, None), (404, None), (307, None)])
def test_an_app_that_is_refused_is_told_from_a_token_that_is(speaker: Speaker, make: Make, status: int, code: str | None) -> None:
    speaker.says(refusal(code, status) if code else Said(b"", status))
    with pytest.raises(NotPermitted, match=r"for this app.*Check TOLOK_I_X_CLIENT_ID and TOLOK_I_X_CLIENT_SECRET"):
        make(speaker.url).current()


@pytest.mark.parametrize(
    "answer",
    [Said(status=500), Said(status=429, headers={"Retry-After": "7"}), Said(b"<html>"), said([]), said({"token": 1}), Said(is_cut=True)],
)
def test_an_answer_that_says_neither_yes_nor_no_may_come_later(speaker: Speaker, make: Make, answer: Said) -> None:
    speaker.says(answer)
    tokens = make(speaker.url)
    with pytest.raises(TemporaryFailure, match="x/77: the token could not be renewed") as caught:
        tokens.current()
    assert caught.value.retry_after_s == (7 if answer.status == 429 else None)
    speaker.says(said({"access_token": "a", "refresh_token": "r"}))
    assert tokens.current().reveal() == "a"


@pytest.mark.parametrize("expires_in", [None, "soon", -5, 0, 10**30, 1.5, []])
def test_a_lifetime_that_cannot_be_meant_is_the_platforms_usual_one(speaker: Speaker, make: Make, path: Path, expires_in: object) -> None:
    speaker.says(said({"access_token": "a", "refresh_token": "r", "expires_in": expires_in}))
    make(speaker.url).current()
    assert kept_at(path).expires_at == NOW + AUTH.lifetime


# --- what is told to whom


def test_an_app_with_a_secret_names_itself_by_basic_authentication_and_one_without_in_the_form(speaker: Speaker, make: Make) -> None:
    speaker.says(refusal())
    for client_secret in ("geheim:+ /", None):
        with pytest.raises(NotPermitted):
            make(speaker.url, client_id="id", client_secret=client_secret).current()
    confidential, public = speaker.heard
    assert confidential.headers["Authorization"] == "Basic " + base64.b64encode(b"id:geheim%3A%2B+%2F").decode()
    assert "client_id" not in confidential.form
    assert "Authorization" not in public.headers
    assert public.form == {"grant_type": "refresh_token", "refresh_token": FIRST_REFRESH, "client_id": "id"}


def test_no_netrc_file_is_looked_into(speaker: Speaker, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    speaker.says(refusal())
    with pytest.raises(NotPermitted):
        make(speaker.url, client_secret=None).current()
    assert "Authorization" not in speaker.heard[0].headers


@pytest.mark.parametrize(
    "answer",
    [
        refusal(FIRST_REFRESH),
        refusal(TOKEN, 401),
        Said(status=302, headers={"Location": f"https://elsewhere.example/?refresh_token={FIRST_REFRESH}"}),
        Said(FIRST_REFRESH.encode()),
        said({"error": {"message": FIRST_REFRESH}}, 500),
    ],
    ids=range(5),
)
def test_no_secret_is_in_a_message_or_a_log_whatever_the_platform_echoes(
    speaker: Speaker, make: Make, path: Path, caplog: pytest.LogCaptureFixture, answer: Said
) -> None:
    caplog.set_level(logging.DEBUG)
    speaker.says(answer)
    tokens = make(speaker.url)
    with pytest.raises(DoorError) as caught:
        tokens.current()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text + repr(tokens) + repr(vars(tokens))
    told += repr(read(path))
    assert not [secret for secret in (FIRST_REFRESH, TOKEN, CLIENT_SECRET) if secret in told]


def test_the_file_holds_what_it_is_read_for_and_nothing_else(platform: str, make: Make, path: Path) -> None:
    make(platform).current()
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert set(content) == {
        *("salt", "fingerprint", "access_token", "refresh_token", "former_refresh_token"),
        *("expires_at", "renewed_at", "pending_since"),
    }
