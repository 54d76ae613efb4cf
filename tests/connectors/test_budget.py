"""The day's allowance: never passed, shared by threads, a record paid for once a day, and a day that ends where the platform's does.

Not here: what a night makes of its end (tests/faults/test_budget_nights.py).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.budget import Allowance, DayBudget
from connectors.failures import BudgetSpent

CENT = Decimal("0.01")


def budget(requests: int | None = None, cost_usd: str | None = None, **before: object) -> DayBudget:
    return DayBudget("lazis, X", Allowance(requests, Decimal(cost_usd) if cost_usd else None), **before)  # type: ignore[arg-type]


def test_no_request_is_sent_beyond_the_days_allowance_whatever_the_threads() -> None:
    day = budget(requests=50)

    def ask(_: int) -> bool:
        try:
            day.request()
        except BudgetSpent:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(200))) == 50


def test_what_earlier_runs_of_the_day_used_counts() -> None:
    day = DayBudget("lazis, X", Allowance(requests=10), requests=9)
    day.request()
    with pytest.raises(BudgetSpent, match=r"lazis, X: the day's allowance is used up \(10 of 10 requests\)"):
        day.request()


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 100)), max_size=40), st.integers(0, 300))
def test_the_money_spent_never_passes_the_bound(pages: list[tuple[int, int]], bound_cents: int) -> None:
    bound = CENT * bound_cents
    day = DayBudget("lazis, X", Allowance(cost_usd=bound))
    spent = Decimal(0)
    for number, (size, came) in enumerate(pages):
        try:
            reserved = day.reserve(CENT, size)
        except BudgetSpent:
            continue
        spent += day.settle(reserved, CENT, "posts", [f"{number}-{at}" for at in range(min(came, size))])
    assert spent <= bound


def test_a_record_is_paid_for_once_a_day() -> None:
    day = DayBudget("lazis, X", Allowance(cost_usd=Decimal(1)), read_keys=[("posts", "a")])
    assert day.settle(day.reserve(CENT, 3), CENT, "posts", ["a", "b"]) == CENT
    assert day.settle(day.reserve(CENT, 3), CENT, "posts", ["a", "b"], unnamed=1) == CENT
    assert day.settle(day.reserve(CENT, 3), CENT, "mentions", ["a"]) == CENT


def test_a_page_that_could_cost_more_than_is_left_is_not_asked_for() -> None:
    day = budget(cost_usd="0.05")
    day.settle(day.reserve(CENT, 3), CENT, "posts", ["a", "b", "c"])
    with pytest.raises(BudgetSpent, match=r"0\.03 of 0\.05 USD"):
        day.reserve(CENT, 3)


def test_lists_that_are_read_at_once_wait_for_each_other_and_none_is_refused_while_money_is_left() -> None:
    """Sixteen pages of a hundred could cost eight times what is left; they hold one record each."""
    day = budget(cost_usd="2")

    def read(number: int) -> Decimal:
        reserved = day.reserve(CENT, 100)
        time.sleep(0.002)
        return day.settle(reserved, CENT, "posts", [str(number)])

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(read, range(64))) == CENT * 64


def test_without_bounds_nothing_is_refused() -> None:
    day = budget()
    for _ in range(1000):
        day.request()
    assert day.reserve(Decimal(100), 100) == Decimal(10_000)


@pytest.mark.parametrize(
    ("zone", "began"), [("UTC", datetime(2026, 7, 1, tzinfo=UTC)), ("America/Los_Angeles", datetime(2026, 6, 30, 7, tzinfo=UTC))]
)
def test_the_day_begins_where_the_platform_says(zone: str, began: datetime) -> None:
    assert Allowance(zone=zone).day_began(datetime(2026, 7, 1, 3, tzinfo=UTC)) == began
