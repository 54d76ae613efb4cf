"""All platforms are asked at once: whom one makes wait holds up nobody else, what was left comes first, and a stop ends them all.

Not here: what is asked (test_raw_landing.py), HTTP (tests/connectors/), and a stopped run as a whole (tests/pipelines/test_run.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets import asking
from assets.asking import Due, Job
from connectors.budget import Allowance, DayBudget
from connectors.clock import InjectedClock
from connectors.http import Door, WaitingBudget
from connectors.privacy import Pseudonyms
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account, Window
from connectors.wire import Wire

NOW = datetime(2026, 1, 10, 19, tzinfo=UTC)
PATIENCE_S = 20


def job(platform: str, account_id: str, *, is_rest: bool = False) -> Job:
    """One stream of an account, on its platform's own host."""
    connector = platforms()[platform]
    account = Account(
        "i", platform, account_id, f"@{account_id}", connector.default_base_url or "https://m.example", Secret("t"),
        own_ids=frozenset(), own_handles=frozenset(),
    )  # fmt: skip
    due = Due(Window(NOW - timedelta(days=1), NOW), is_last=True, is_extra=is_rest)
    return Job(connector, connector.streams[0], account, "Asia/Jakarta", (due,), DayBudget("i", Allowance()))


@dataclass
class Watched:
    """Stands in for the fetch of a job: notes when each begins, and does what the test says."""

    does: Callable[[Job, WaitingBudget], None]
    begun: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, one: Job, folder: Path, number: int, run_id: str, *others: object) -> None:
        del folder, number, run_id
        self.begun.append((one.connector.platform, one.account.account_id))
        budget = others[-1]
        assert isinstance(budget, WaitingBudget)
        self.does(one, budget)


def fetch(tmp_path: Path, jobs: list[Job], progress: Callable[[str], None] = lambda _: None) -> None:
    asking.fetch_all(jobs, tmp_path, "run", Pseudonyms(Secret("k" * 32)), InjectedClock(NOW), 0, progress)


def test_a_platform_that_makes_wait_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty lists of X wait until all of Mastodon have been read."""
    others_are_done = threading.Barrier(2)
    left = threading.Semaphore(0)

    def does(one: Job, budget: WaitingBudget) -> None:
        del budget
        if one.connector.platform == "mastodon":
            left.release()
        elif one.account.account_id == "0":
            assert all(left.acquire(timeout=PATIENCE_S) for _ in range(5))
            others_are_done.wait(PATIENCE_S)
        elif one.account.account_id == "1":
            others_are_done.wait(PATIENCE_S)

    monkeypatch.setattr(asking, "_fetch_job", Watched(does))
    fetch(tmp_path, [*(job("x", str(number)) for number in range(40)), *(job("mastodon", str(number)) for number in range(5))])


def test_no_host_is_asked_by_more_threads_than_it_lets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, under_way, lock = 0, 0, threading.Lock()

    def does(one: Job, budget: WaitingBudget) -> None:
        nonlocal most, under_way
        del one, budget
        with lock:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.01)
        with lock:
            under_way -= 1

    monkeypatch.setattr(asking, "_fetch_job", Watched(does))
    fetch(tmp_path, [job("x", str(number)) for number in range(12)])
    assert most == platforms()["x"].limits.concurrent


def test_what_was_left_comes_before_the_newest_of_its_platform_and_of_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mastodon_came = threading.Event()
    ended: list[str] = []

    def does(one: Job, budget: WaitingBudget) -> None:
        del budget
        if one.connector.platform == "mastodon":
            mastodon_came.set()
        elif one.is_rest:
            assert mastodon_came.wait(PATIENCE_S)
            ended.append(one.account.account_id)
        else:
            assert ended == ["rest"]

    monkeypatch.setattr(asking, "_fetch_job", watched := Watched(does))
    fetch(tmp_path, [job("x", "newest"), job("x", "rest", is_rest=True), job("mastodon", "newest")])
    assert sorted(watched.begun) == [("mastodon", "newest"), ("x", "newest"), ("x", "rest")]


def test_a_fault_of_ours_is_told_after_all_others_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def does(one: Job, budget: WaitingBudget) -> None:
        del budget
        if one.is_rest:
            message = "ours"
            raise ZeroDivisionError(message)

    monkeypatch.setattr(asking, "_fetch_job", watched := Watched(does))
    with pytest.raises(ExceptionGroup, match="fault in Tolok") as raised:
        fetch(tmp_path, [job("x", "rest", is_rest=True), job("x", "newest"), job("mastodon", "newest")])
    assert [str(one) for one in raised.value.exceptions] == ["ours"]
    assert len(watched.begun) == 3


def test_an_accounts_lists_share_a_wire_that_is_closed_even_after_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is asked over what, and closed: noted where the door is made."""
    asked: list[tuple[str, Wire]] = []
    closed: list[Wire] = []

    def make_door(account: Account, *_: object, wire: Wire, **__: object) -> Door:
        asked.append((account.account_id, wire))
        message = "ours"
        raise ZeroDivisionError(message)

    def close(wire: Wire) -> None:
        closed.append(wire)

    monkeypatch.setattr(asking, "Door", make_door)
    monkeypatch.setattr(Wire, "close", close)
    with pytest.raises(ExceptionGroup, match="fault in Tolok"):
        fetch(tmp_path, [job("x", account_id) for account_id in ("1", "1", "2", "1", "2")])
    wires = {account_id: {wire for asked_of, wire in asked if asked_of == account_id} for account_id in ("1", "2")}
    assert [len(found) for found in wires.values()] == [1, 1]
    assert wires["1"] != wires["2"]
    assert len(closed) == 2
    assert set(closed) == wires["1"] | wires["2"]


def test_a_stop_begins_nothing_more_on_any_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those under way hear of it at their next page: the budget gives nothing more."""
    is_stopped = threading.Event()

    def does(one: Job, budget: WaitingBudget) -> None:
        if one.account.account_id != "0":
            assert is_stopped.wait(PATIENCE_S)
            while not budget._is_stopped:
                threading.Event().wait(0.001)

    def stop(_: str) -> None:
        is_stopped.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(asking, "_fetch_job", watched := Watched(does))
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, [job(platform, str(number)) for number in range(20) for platform in ("x", "mastodon")], stop)
    assert len(watched.begun) <= 8
