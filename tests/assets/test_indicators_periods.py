"""Periods: days become days, ISO weeks, months and trailing 28 days, without hole or overlap.

Not here: what is counted in them.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.indicators.values import RANK, STATUSES, windows

ONE = [pl.len().cast(pl.Int64).alias("days"), pl.col("count").sum()]


def cut(first: date, number: int) -> pl.DataFrame:
    """The periods of a run of days, each day counting its own number."""
    days = pl.LazyFrame({"who": "a", "day": [first + timedelta(days=n) for n in range(number)], "count": range(number)})
    return windows(days, ["who"], ONE).collect()


def one(found: pl.DataFrame, period: str, **where: date) -> dict[str, object]:
    """The one row of a period type."""
    (row,) = found.filter(pl.col("period_type") == period, **where).iter_rows(named=True)
    return row


@pytest.mark.parametrize(
    ("inside", "start", "end"),
    [
        (date(2027, 1, 3), date(2026, 12, 28), date(2027, 1, 3)),  # ISO week 53 of 2026
        (date(2026, 1, 1), date(2025, 12, 29), date(2026, 1, 4)),  # week 1 begins in December
        (date(2024, 2, 29), date(2024, 2, 26), date(2024, 3, 3)),
    ],
)
def test_a_week_runs_from_monday_to_sunday_over_the_ends_of_years_and_february(inside: date, start: date, end: date) -> None:
    row = one(cut(inside, 1), "week")
    assert (row["period_start"], row["period_end"]) == (start, end)


@pytest.mark.parametrize(
    ("inside", "end"),
    [(date(2024, 2, 29), date(2024, 2, 29)), (date(2026, 2, 1), date(2026, 2, 28)), (date(2026, 12, 31), date(2026, 12, 31))],
)
def test_a_month_ends_on_its_last_day_also_in_a_leap_year(inside: date, end: date) -> None:
    row = one(cut(inside, 1), "month")
    assert (row["period_start"], row["period_end"]) == (inside.replace(day=1), end)


def test_the_twenty_ninth_of_february_is_a_day_of_its_own() -> None:
    row = one(cut(date(2024, 2, 28), 3), "day", period_start=date(2024, 2, 29))
    assert (row["period_end"], row["days"], row["count"]) == (date(2024, 2, 29), 1, 1)


def test_a_trailing_window_ends_on_each_day_and_holds_twenty_eight() -> None:
    found = cut(date(2024, 2, 1), 40).filter(pl.col("period_type") == "trailing_28d").sort("period_end")
    assert found.height == 40
    assert found["days"].to_list() == [*range(1, 28), *[28] * 13]
    assert ((found["period_end"] - found["period_start"]).dt.total_days() == 27).all()
    assert found.row(39, named=True)["count"] == sum(range(12, 40))


@settings(max_examples=20, deadline=None)
@given(first=st.dates(date(2019, 12, 20), date(2028, 3, 5)), number=st.integers(1, 130))
def test_days_weeks_and_months_tile_the_days_without_hole_or_overlap(first: date, number: int) -> None:
    found = cut(first, number)
    for period in ("day", "week", "month"):
        rows = found.filter(pl.col("period_type") == period).sort("period_start")
        starts, ends = rows["period_start"].to_list(), rows["period_end"].to_list()
        assert starts[0] <= first <= ends[0]
        assert starts[-1] <= first + timedelta(days=number - 1) <= ends[-1]
        assert all(start == end + timedelta(days=1) for end, start in zip(ends, starts[1:], strict=False))
        assert rows["days"].sum() == number
        assert rows["count"].sum() == sum(range(number))


def test_ok_is_the_first_status_and_not_applicable_the_last() -> None:
    assert (RANK["ok"], RANK["not_applicable"]) == (0, len(STATUSES) - 1)
    assert STATUSES[1:6] == ("not_permitted", "lost", "missing_input", "insufficient_history", "zero_denominator")
