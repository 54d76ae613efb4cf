"""Tokens that are their own successor's credential: taken as they stand, renewed after a day and then weekly, once, and never lost.

Not here: tokens with a refresh token (test_tokens.py).
"""

from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import instagram, threads
from connectors.clock import InjectedClock
from connectors.failures import DoorError, NotPermitted, TemporaryFailure
from connectors.fetch import Fetched
from connectors.paging import Request
from connectors.secret import Secret
from connectors.streams import Account, LongLived
from connectors.tokens import Grant, Kept, SelfRenewing, read
from pipelines.discretion import DISCRETION
from pipelines.house import House
from sandbox.server import Running
from sandbox.threads import RENEWAL, TOKEN
from sandbox.world import THREADS
from tests.connectors.conftest import NOW, MakeAccount, MakeDoor
from tests.connectors.served import Said, Speaker, said

assert isinstance(threads.CONNECTOR.auth, LongLived)
AUTH = threads.CONNECTOR.auth
NAME = "TOLOK_I_THREADS_TOKEN"
DAY, WEEK = timedelta(days=1), timedelta(days=7)
LIFE = timedelta(days=60)
Make = Callable[..., SelfRenewing]
# A second process: says that it is ready, waits for the starting signal, asks for a token, tells it.
ASKING = """
import sys, time
from datetime import datetime
from pathlib import Path
from connectors.clock import InjectedClock
from connectors.secret import Secret
from connectors.threads import CONNECTOR
from connectors.tokens import Grant, SelfRenewing
path, url, token, now, go = sys.argv[1:]
grant = Grant("TOLOK_I_THREADS_TOKEN", Secret(token), Secret(""))
tokens = SelfRenewing(Path(path), grant, CONNECTOR.auth, url, "threads/77", InjectedClock(datetime.fromisoformat(now)))
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
    """The token of one account at an address."""

    def tokens(url: str, token: str = TOKEN, auth: LongLived = AUTH) -> SelfRenewing:
        return SelfRenewing(path, Grant(NAME, Secret(token), Secret("")), auth, url, "threads/77", clock)

    return tokens


class Platform:
    """The sandbox's Threads, whose clock is the test's."""

    def __init__(self, sandbox: Running, clock: InjectedClock) -> None:
        self.sandbox, self.clock = sandbox, clock
        self.url = f"{sandbox.url}/threads"

    def passes(self, time: timedelta) -> None:
        self.clock.sleep(time.total_seconds())
        self.sandbox.set_now(self.clock.now())

    def renewals(self) -> int:
        return sum(request["path"].startswith(RENEWAL) for request in self.sandbox.requests())


@pytest.fixture
def platform(sandbox: Running, clock: InjectedClock) -> Platform:
    sandbox.set_now(clock.now())
    sandbox.forget_requests()
    return Platform(sandbox, clock)


def kept_at(path: Path) -> Kept:
    kept = read(path)
    assert kept is not None
    return kept


def renewed(token: str = "next", **more: Any) -> Said:
    return said({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944} | more)


def graph_error(code: int, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "prose that names somebody", "type": "OAuthException", "code": code, "fbtrace_id": "A"} | more}


# --- when


def test_the_first_token_is_taken_as_it_stands_and_nothing_is_asked(platform: Platform, make: Make, path: Path) -> None:
    assert make(platform.url).current().reveal() == TOKEN
    kept = kept_at(path)
    assert (kept.access_token.reveal(), kept.renewed_at, kept.expires_at) == (TOKEN, NOW, NOW + LIFE)
    assert platform.renewals() == 0


def test_it_is_renewed_when_a_day_has_passed_and_then_every_week(platform: Platform, make: Make) -> None:
    """A token of less than a day is refused, and nobody knows how old the first one was: it may end any day."""
    told = []
    for hours in (0, 23, 24, 24 + 6 * 24, 24 + 7 * 24, 24 + 14 * 24):
        platform.passes(NOW + timedelta(hours=hours) - platform.clock.now())
        told.append((make(platform.url).current().reveal(), platform.renewals()))
    assert [renewals for _, renewals in told] == [0, 0, 1, 1, 2, 3]
    assert [one == TOKEN for one, _ in told] == [True, True, False, False, False, False]
    assert len({one for one, _ in told}) == 4


def test_what_was_renewed_opens_the_platform(
    platform: Platform, make: Make, make_account: MakeAccount, fetch: Callable[..., tuple[Fetched, bytes]]
) -> None:
    tokens = make(platform.url)
    tokens.current()
    platform.passes(DAY)
    account = make_account(platform.url, "threads", account_id=THREADS.id, tokens=tokens, options={"api_version": "v1.0"})
    fetched, _ = fetch(threads.CONNECTOR.stream("posts"), account, days=3)
    assert fetched.is_complete
    assert tokens.current().reveal() != TOKEN
    assert platform.renewals() == 1


def test_what_was_renewed_is_kept_with_its_end_and_the_former_one_beside_it(
    speaker: Speaker, make: Make, path: Path, clock: InjectedClock
) -> None:
    make(speaker.url).current()
    clock.sleep(DAY.total_seconds())
    speaker.says(renewed())
    assert make(speaker.url).current().reveal() == "next"
    kept = kept_at(path)
    assert (kept.access_token.reveal(), kept.refresh_token.reveal(), kept.former_refresh_token.reveal()) == ("next", "next", TOKEN)
    assert (kept.renewed_at, kept.expires_at) == (NOW + DAY, NOW + DAY + timedelta(seconds=5_183_944))
    (heard,) = speaker.heard
    assert (heard.path, heard.query) == ("/refresh_access_token", {"grant_type": "th_refresh_token", "access_token": TOKEN})
    assert "Authorization" not in heard.headers


@pytest.mark.parametrize("expires_in", [None, "soon", -5, 0, 10**30, 1.5, []])
def test_a_lifetime_that_cannot_be_meant_is_the_platforms_usual_one(
    speaker: Speaker, make: Make, path: Path, clock: InjectedClock, expires_in: object
) -> None:
    make(speaker.url).current()
    clock.sleep(DAY.total_seconds())
    speaker.says(renewed(expires_in=expires_in))
    make(speaker.url).current()
    assert kept_at(path).expires_at == NOW + DAY + LIFE


def test_a_new_token_in_the_environment_wins_over_the_kept_one(platform: Platform, make: Make, path: Path) -> None:
    make(platform.url).current()
    platform.passes(DAY)
    make(platform.url).current()
    assert make(platform.url, "made anew by hand").current().reveal() == "made anew by hand"
    assert kept_at(path).access_token.reveal() == "made anew by hand"
    assert platform.renewals() == 1


def test_instagrams_own_login_renews_at_its_own_address(speaker: Speaker, make: Make, clock: InjectedClock) -> None:
    auth = instagram.CONNECTOR.auth
    assert isinstance(auth, LongLived)
    make(speaker.url, "IGAA", auth).current()
    clock.sleep(DAY.total_seconds())
    speaker.says(renewed("IGAA-next"))
    assert make(speaker.url, "IGAA", auth).current().reveal() == "IGAA-next"
    assert (speaker.heard[0].path, speaker.heard[0].query) == (
        "/refresh_access_token",
        {"grant_type": "ig_refresh_token", "access_token": "IGAA"},
    )


# --- by one


@pytest.mark.slow
def test_of_several_processes_that_start_at_once_one_renews_and_all_get_the_same_token(
    platform: Platform, make: Make, path: Path, tmp_path: Path
) -> None:
    make(platform.url).current()
    platform.passes(DAY)
    go = tmp_path / "go"
    arguments = [str(path), platform.url, TOKEN, platform.clock.now().isoformat(), str(go)]
    processes = [
        subprocess.Popen([sys.executable, "-c", ASKING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        go.touch()
        told = [process.communicate(timeout=30) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [errors for _, errors in told] == [""] * 4
    assert len({token for token, _ in told}) == 1
    assert platform.renewals() == 1


def test_of_ten_threads_and_two_accounts_one_renews(platform: Platform, make: Make) -> None:
    make(platform.url).current()
    platform.passes(DAY)
    both = [make(platform.url), make(platform.url)]
    with ThreadPoolExecutor(10) as pool:
        found = set(pool.map(lambda at: both[at % 2].current().reveal(), range(10)))
    assert len(found) == 1
    assert platform.renewals() == 1


# --- what is kept


def test_what_is_kept_is_the_owners_alone_and_no_part_of_it_is_left_lying(platform: Platform, make: Make, path: Path) -> None:
    make(platform.url).current()
    platform.passes(DAY)
    make(platform.url).current()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert sorted(file.name for file in path.parent.iterdir()) == ["one.json", "one.json.lock"]


def test_a_file_that_holds_something_else_is_left_and_named(speaker: Speaker, make: Make, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(NotPermitted, match=r"one\.json: this is no file of kept tokens"):
        make(speaker.url).current()
    assert path.read_text(encoding="utf-8") == "{}"


def test_where_nothing_can_be_kept_it_is_said(speaker: Speaker, make: Make, path: Path) -> None:
    path.parent.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(NotPermitted, match=r"cannot be (kept|read)"):
        make(speaker.url).current()
    assert speaker.heard == []


# --- refusals

REFUSALS = {
    "a token that ended": said(graph_error(190, error_subcode=463), 400),
    "a token that was withdrawn": said(graph_error(190, error_subcode=458), 401),
    "a parameter": said(graph_error(100), 400),
    "no permission": said(graph_error(10), 403),
    "an address that is not there": Said(b"<html>", 404),
    "another address": Said(b"", 302, {"Location": "https://elsewhere.example/"}),
    "words alone": said({"error": "no"}, 400),
    "nothing": Said(b"", 400),
}
DELAYS = {
    "too many requests": said(graph_error(4), 400),
    "a passing fault": said(graph_error(2, is_transient=True), 500),
    "a passing fault as a 400": said(graph_error(1), 400),
    "429": Said(status=429, headers={"Retry-After": "7"}),
    "503": Said(status=503),
    "a page": Said(b"<html>"),
    "no token": said({"token_type": "bearer"}),
    "a cut": Said(is_cut=True),
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_renewal_changes_nothing_while_the_token_lives(
    speaker: Speaker, make: Make, path: Path, clock: InjectedClock, answer: Said
) -> None:
    make(speaker.url).current()
    clock.sleep(DAY.total_seconds())
    speaker.says(answer)
    for _ in range(3):
        assert make(speaker.url).current().reveal() == TOKEN
    assert len(speaker.heard) == 1
    assert (kept_at(path).access_token.reveal(), kept_at(path).expires_at) == (TOKEN, NOW + LIFE)
    clock.sleep(DAY.total_seconds())
    speaker.says(renewed())
    assert make(speaker.url).current().reveal() == "next"


@pytest.mark.parametrize("answer", DELAYS.values(), ids=DELAYS.keys())
def test_a_renewal_that_may_come_later_is_asked_for_once_a_run_while_the_token_lives(
    speaker: Speaker, make: Make, clock: InjectedClock, answer: Said
) -> None:
    """Each request of a run asks for the token; a platform in trouble is not asked for a new one each time."""
    make(speaker.url).current()
    clock.sleep(DAY.total_seconds())
    speaker.says(answer)
    tokens = make(speaker.url)
    assert [tokens.current().reveal() for _ in range(5)] == [TOKEN] * 5
    assert len(speaker.heard) == 1
    speaker.says(renewed())
    assert make(speaker.url).current().reveal() == "next"


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_dead_token_says_what_to_do_and_is_not_asked_about_again_in_the_run(
    speaker: Speaker, make: Make, clock: InjectedClock, answer: Said
) -> None:
    make(speaker.url).current()
    clock.sleep(LIFE.total_seconds())
    speaker.says(answer)
    tokens = make(speaker.url)
    for _ in range(3):
        with pytest.raises(NotPermitted) as caught:
            tokens.current()
        assert str(caught.value).startswith("threads/77: the platform does not renew the token any more (")
        assert str(caught.value).endswith(f"Make a new one and put it into {NAME} (docs/platforms).")
    assert len(speaker.heard) == 1
    assert make(speaker.url, "made anew").current().reveal() == "made anew"


@pytest.mark.parametrize("answer", DELAYS.values(), ids=DELAYS.keys())
def test_a_dead_token_is_asked_about_again_while_the_platform_says_neither_yes_nor_no(
    speaker: Speaker, make: Make, clock: InjectedClock, answer: Said
) -> None:
    make(speaker.url).current()
    clock.sleep(LIFE.total_seconds())
    speaker.says(answer)
    tokens = make(speaker.url)
    with pytest.raises(TemporaryFailure, match="threads/77: the token could not be renewed"):
        tokens.current()
    speaker.says(renewed())
    assert tokens.current().reveal() == "next"


def test_a_platform_that_renews_no_dead_token_leaves_the_account_without_one(platform: Platform, make: Make) -> None:
    make(platform.url).current()
    platform.passes(DAY)
    make(platform.url).current()
    platform.passes(LIFE)
    with pytest.raises(NotPermitted, match=r"'code 190/463'"):
        make(platform.url).current()


def test_the_door_renews_on_a_401_and_asks_again(speaker: Speaker, make: Make, make_account: MakeAccount, make_door: MakeDoor) -> None:
    door = make_door(make_account(speaker.url, "threads", tokens=make(speaker.url)))
    speaker.answers(
        lambda heard: renewed() if "refresh" in heard.path else said({}, 200 if heard.headers["Authorization"].endswith("next") else 401)
    )
    assert door.get(Request(f"{speaker.url}/v1.0/77")).status == 200
    assert [heard.path for heard in speaker.heard] == ["/v1.0/77", "/refresh_access_token", "/v1.0/77"]


# --- what is told to whom


@pytest.mark.parametrize(
    "answer",
    [
        said({"error": {"message": TOKEN, "code": 190, "type": TOKEN}}, 400),
        said({"error": TOKEN}, 400),
        said({"error": TOKEN}, 500),
        Said(TOKEN.encode()),
        Said(b"", 302, {"Location": f"https://elsewhere.example/?access_token={TOKEN}"}),
        Said(is_cut=True),
    ],
    ids=range(6),
)
def test_the_token_is_in_no_message_and_no_log_though_it_stands_in_the_address(
    speaker: Speaker, make: Make, path: Path, clock: InjectedClock, caplog: pytest.LogCaptureFixture, answer: Said
) -> None:
    caplog.set_level(logging.DEBUG)
    make(speaker.url).current()
    clock.sleep(LIFE.total_seconds())
    speaker.says(answer)
    tokens = make(speaker.url)
    with pytest.raises(DoorError) as caught:
        tokens.current()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(tokens) + repr(vars(tokens)) + repr(read(path))
    assert TOKEN not in told
    # urllib3 writes addresses into its log; the filter before every log of a run knows all secrets.
    assert TOKEN not in DISCRETION.clean(caplog.text)


# --- which accounts have one

SETTINGS = """\
name = "I"
zone = "Asia/Jakarta"

{platforms}

[[accounts]]
platform = "threads"
id = "1"
handle = "a"

[[accounts]]
platform = "instagram"
id = "2"
handle = "a"

[goals.community_engagement]
"""


def accounts_of(home: Path, clock: InjectedClock, platforms: str) -> dict[str, Account]:
    (home / "institutions").mkdir()
    (home / "institutions" / "ii.toml").write_text(SETTINGS.format(platforms=platforms), encoding="utf-8")
    environ = {"TOLOK_II_THREADS_TOKEN": "a-threads-token", "TOLOK_II_INSTAGRAM_TOKEN": "an-instagram-token"}
    house = House(home, environ, clock)
    institutions, faults = house.institutions()
    assert not faults
    return {account.platform: account for account in house.accounts(institutions["ii"])}


@pytest.mark.parametrize(
    ("login", "renewing"), [('[platforms.instagram]\nlogin = "instagram"', {"threads", "instagram"}), ("", {"threads"})]
)
def test_threads_tokens_renew_themselves_and_instagrams_only_with_its_own_login(
    tmp_path: Path, clock: InjectedClock, login: str, renewing: set[str]
) -> None:
    accounts = accounts_of(tmp_path, clock, login)
    assert {platform for platform, account in accounts.items() if isinstance(account.tokens, SelfRenewing)} == renewing
    tokens = accounts["threads"].tokens
    assert tokens is not None
    assert tokens.current().reveal() == "a-threads-token"
    content = json.loads((tmp_path / "tokens" / "tolok_ii_threads_token.json").read_text(encoding="utf-8"))
    assert content["access_token"] == "a-threads-token"
