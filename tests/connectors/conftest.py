"""What the tests of the street door share: a server that says what it is told to, doors and accounts, and a clock that stands still.

Not here: the sandbox (tests/conftest.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from connectors.clock import InjectedClock
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.privacy import Pseudonyms
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account, Limits, Stream, Window
from tests.connectors.served import Said, Speaker, speaking

# How long an example takes says more about the machine than about the code.
settings.register_profile("no-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-clock")

NOW = datetime(2026, 1, 15, 19, tzinfo=UTC)
TOKEN = "tok-7f3a9c-never-shown"
LIMITS = Limits(requests=300, per=timedelta(minutes=5), remaining_header="X-RateLimit-Remaining", reset_header="X-RateLimit-Reset")
MakeAccount = Callable[..., Account]
MakeDoor = Callable[..., Door]


@pytest.fixture(scope="session")
def one_speaker() -> Iterator[Speaker]:
    with speaking() as speaker:
        yield speaker


@pytest.fixture
def speaker(one_speaker: Speaker) -> Speaker:
    """A server of the test's own; it says `{}` until it is told otherwise."""
    one_speaker.says(Said())
    return one_speaker


@pytest.fixture
def clock() -> InjectedClock:
    return InjectedClock(NOW)


@pytest.fixture
def make_account() -> MakeAccount:
    """An account of the institution at an address."""

    def make(base_url: str, platform: str = "mastodon", **more: Any) -> Account:
        own = {"account_id": "77", "handle": "cahaya", "own_ids": frozenset({"77"}), "own_handles": frozenset({"cahaya"})}
        return Account(institution_id="i", platform=platform, base_url=base_url, **{"token": Secret(TOKEN), **own, **more})

    return make


@pytest.fixture
def make_door(clock: InjectedClock, make_account: MakeAccount) -> Iterator[MakeDoor]:
    """A door to an address, closed after the test."""
    doors: list[Door] = []

    def make(where: str | Account, budget_s: float = 10_000, hosts: Hosts | None = None, limits: Limits = LIMITS, **more: Any) -> Door:
        account = where if isinstance(where, Account) else make_account(where)
        doors.append(Door(account, limits, hosts or Hosts(), clock, more.get("budget") or WaitingBudget(budget_s)))
        return doors[-1]

    yield make
    for door in doors:
        door.close()


@pytest.fixture(scope="session")
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(Secret("a key of the tests, long enough"))


@pytest.fixture
def fetch(make_door: MakeDoor, clock: InjectedClock, pseudonyms: Pseudonyms) -> Callable[..., tuple[Fetched, bytes]]:
    """Fetch a stream of an account for a span that ends now; returns what became of it, and the lines."""

    def run(stream: Stream, account: Account, days: int = 30, budget_s: float = 10_000) -> tuple[Fetched, bytes]:
        lines = bytearray()
        limits = platforms()[account.platform].limits
        window = Window(clock.now() - timedelta(days=days), clock.now())
        fetched = fetch_window(stream, account, window, make_door(account, budget_s, limits=limits), pseudonyms, clock, lines.extend)
        return fetched, bytes(lines)

    return run
