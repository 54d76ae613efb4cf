"""Reach: people are never added. The platform's own windows where it gives them, bounds where not, and why there is neither.

Not here: reach of single posts, the denominator of the engagement rate (test_indicators_cohort.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.hand import STREAMS, Hand, span

GIVEN = ("account_reach", "account_reach_7d", "account_reach_28d")
MONTH = span("01-01", "01-31")
Told = tuple[Any, ...]


def told(hand: Hand, indicator: str, period: str, start: str, of: str = "all", population: str = "all") -> Told:
    """Value, status, coverage and n of one row."""
    row = hand.value(indicator, period, start, of=of, population=population)
    assert row["numerator"] == row["value"]
    return row["value"], row["status"], row["coverage"], row["n"]


def insights(*accounts: str, nights: list[str], by: tuple[str, ...] = ("x",), **more: object) -> Hand:
    """Accounts of which the platforms in `by` tell the reach of each day, of 7 days and of 28."""
    hand = Hand(*accounts, **more)  # type: ignore[arg-type]
    for platform in by:
        hand.stream(platform, "insights_day", "daily", lookback_days=3)
        hand.give(*GIVEN, by=platform, streams=["insights_day"], needs_field="reach")
    for account in accounts:
        own = (*STREAMS, "insights_day") if account.partition("/")[0] in by else STREAMS
        hand.night(*nights, account=account, streams=own)
    return hand


def reached(
    hand: Hand, account: str, days: Mapping[str, int], week: Mapping[str, int] | None = None, weeks: Mapping[str, int] | None = None
) -> None:
    for column, counts in (("reach", days), ("reach_7d", week or {}), ("reach_28d", weeks or {})):
        for one, count in counts.items():
            hand.account_day(account, one, **{column: count})


def one_account(nights: list[str] = MONTH) -> Hand:
    """January of one account: 10 a day, 40 in the week to the 11th, 90 in the 28 days to the 31st."""
    hand = insights("x/main", nights=nights)
    reached(hand, "x/main", dict.fromkeys(MONTH, 10), {"01-11": 40}, {"01-31": 90})
    return hand


def test_a_day_a_week_and_28_days_have_the_platforms_own_count_of_that_window() -> None:
    hand = one_account()
    assert told(hand, "reach", "day", "01-08", "x/main") == (10, "ok", 1.0, 1)
    assert told(hand, "reach", "week", "01-05", "x/main") == (40, "ok", 1.0, 1)
    assert told(hand, "reach", "trailing_28d", "01-04", "x/main") == (90, "ok", 1.0, 1)


def test_a_month_has_no_reach_because_no_platform_counts_it_but_it_has_bounds() -> None:
    hand = one_account()
    assert told(hand, "reach", "month", "01-01", "x/main") == (None, "not_applicable", None, None)
    assert told(hand, "reach_lower", "month", "01-01", "x/main") == (10, "ok", 1.0, 31)
    assert told(hand, "reach_upper", "month", "01-01", "x/main") == (310, "ok", 1.0, 31)


def test_where_the_window_is_counted_both_bounds_are_that_count() -> None:
    hand = one_account()
    for indicator in ("reach_lower", "reach_upper"):
        assert told(hand, indicator, "week", "01-05", "x/main") == (40, "ok", 1.0, 7)
        assert told(hand, indicator, "day", "01-08", "x/main") == (10, "ok", 1.0, 1)


def test_where_it_is_not_counted_the_bounds_are_the_largest_day_and_all_days_together() -> None:
    hand = insights("x/main", nights=MONTH)
    reached(hand, "x/main", {one: number for number, one in enumerate(span("01-05", "01-11"), 1)})
    assert told(hand, "reach", "week", "01-05", "x/main") == (None, "missing_input", 0.0, 0)
    assert told(hand, "reach_lower", "week", "01-05", "x/main") == (7, "ok", 1.0, 7)
    assert told(hand, "reach_upper", "week", "01-05", "x/main") == (28, "ok", 1.0, 7)


def test_one_day_that_is_not_known_leaves_the_bounds_unknown() -> None:
    hand = insights("x/main", nights=MONTH)
    reached(hand, "x/main", dict.fromkeys(span("01-05", "01-10"), 10))
    assert told(hand, "reach_lower", "week", "01-05", "x/main") == (None, "missing_input", pytest.approx(6 / 7), 6)
    assert told(hand, "reach_upper", "week", "01-05", "x/main") == (None, "missing_input", pytest.approx(6 / 7), 6)


def test_days_before_the_first_that_was_asked_for_are_insufficient_history() -> None:
    hand = Hand("x/main")
    hand.stream("x", "insights_day", "daily", lookback_days=3)
    hand.give(*GIVEN, by="x", streams=["insights_day"])
    hand.night("01-01", "02-15")
    hand.night("02-15", streams=["insights_day"])
    assert told(hand, "reach", "day", "01-01", "x/main")[:2] == (None, "insufficient_history")
    assert told(hand, "reach_upper", "month", "01-01", "x/main")[:2] == (None, "missing_input")


def test_reach_of_one_account_stands_for_its_platform_and_institution_and_of_two_for_nobody() -> None:
    alone = one_account()
    assert told(alone, "reach", "week", "01-05", "x") == told(alone, "reach", "week", "01-05") == (40, "ok", 1.0, 1)
    two = insights("x/main", "x/program", nights=MONTH)
    reached(two, "x/main", {}, {"01-11": 40})
    reached(two, "x/program", {}, {"01-11": 25})
    for level in ("x", "all"):
        assert told(two, "reach", "week", "01-05", level) == (None, "not_applicable", None, None)
        assert told(two, "reach_lower", "week", "01-05", level) == (40, "ok", 1.0, 14)
        assert told(two, "reach_upper", "week", "01-05", level) == (65, "ok", 1.0, 14)


def test_bounds_leave_out_platforms_without_reach_and_tell_how_much_of_the_others_is_known() -> None:
    hand = insights("x/main", "x/program", "mastodon/m", nights=MONTH)
    reached(hand, "x/main", {}, {"01-11": 40})
    reached(hand, "x/program", dict.fromkeys(span("01-05", "01-07"), 9))
    assert told(hand, "reach", "week", "01-05", "mastodon/m") == (None, "not_applicable", None, None)
    assert told(hand, "reach_upper", "week", "01-05", "mastodon") == (None, "not_applicable", None, None)
    assert told(hand, "reach_lower", "week", "01-05") == (40, "ok", pytest.approx(10 / 14), 10)
    assert told(hand, "reach_upper", "week", "01-05") == (40, "ok", pytest.approx(10 / 14), 10)


def test_bounds_over_two_platforms_are_the_larger_and_both_together() -> None:
    hand = insights("x/main", "mastodon/m", nights=MONTH, by=("x", "mastodon"))
    reached(hand, "x/main", {"01-08": 40})
    reached(hand, "mastodon/m", {"01-08": 3})
    assert told(hand, "reach_lower", "day", "01-08") == (40, "ok", 1.0, 2)
    assert told(hand, "reach_upper", "day", "01-08") == (43, "ok", 1.0, 2)
    assert told(hand, "reach", "day", "01-08", "mastodon") == (3, "ok", 1.0, 1)


def test_a_goal_of_one_account_has_that_accounts_reach() -> None:
    goals: dict[str, dict[str, object]] = {
        "community_engagement": {},
        "fundraising": {"accounts": ["x/main"], "posts": {"hashtags": ["zakat"]}},
    }
    hand = insights("x/main", "x/program", nights=MONTH, goals=goals)
    reached(hand, "x/main", {}, {"01-11": 40})
    assert told(hand, "reach", "week", "01-05", population="fundraising") == (40, "ok", 1.0, 1)


def test_a_week_that_runs_has_no_count_of_its_own_and_is_provisional() -> None:
    hand = insights("x/main", nights=span("01-01", "01-08"))
    reached(hand, "x/main", dict.fromkeys(span("01-05", "01-08"), 10), {"01-08": 33})
    assert told(hand, "reach", "week", "01-05", "x/main") == (None, "missing_input", 0.0, 0)
    assert told(hand, "reach_upper", "week", "01-05", "x/main") == (40, "ok", 1.0, 4)
    assert hand.value("reach_upper", "week", "01-05")["is_provisional"] is True


@pytest.mark.parametrize(("as_of", "is_provisional"), [("01-13", True), ("01-14", False)])
def test_reach_stays_provisional_as_long_as_the_platform_restates_it(as_of: str, *, is_provisional: bool) -> None:
    hand = one_account(span("01-01", as_of))
    assert hand.value("reach", "week", "01-05")["is_provisional"] is is_provisional


@pytest.mark.parametrize(("how", "status"), [("denied_fields", "not_permitted"), ("retired_fields", "retired")])
def test_reach_that_may_not_be_read_or_is_given_no_more_says_so(how: str, status: str) -> None:
    hand = insights("x/main", nights=MONTH)
    hand.deny("reach", stream="insights_day", how=how)
    assert told(hand, "reach", "day", "01-08")[:2] == (None, status)
    assert told(hand, "reach", "week", "01-05")[:2] == (None, status)
    assert told(hand, "reach_upper", "month", "01-01")[:2] == (None, status)


@pytest.mark.parametrize("status", ["not_permitted", "retired"])
def test_a_stream_that_was_refused_whole_gives_its_status(status: str) -> None:
    hand = insights("x/main", nights=["01-01"])
    hand.night("01-20", streams=STREAMS)
    hand.night("01-20", streams=["insights_day"], failed=status)
    assert told(hand, "reach", "day", "01-20")[:2] == (None, status)
    assert told(hand, "reach", "day", "01-10")[:2] == (None, "missing_input")


def test_without_a_platform_that_gives_reach_it_is_not_applicable_everywhere() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-11"))
    for indicator in ("reach", "reach_lower", "reach_upper"):
        for period, start in (("day", "01-08"), ("week", "01-05"), ("month", "01-01")):
            assert told(hand, indicator, period, start) == (None, "not_applicable", None, None)
        assert hand.value(indicator, "week", "01-05")["is_provisional"] is False
