"""How long what is kept: the shortest of the house's, the platform's and the institution's limits.

Not here: that what was made of it stays (tests/laws/test_law_retention.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.registry import platforms
from pipelines.retention import events_from, months_before, raw_from
from pipelines.settings import Institution, SettingsError, load_institution
from pipelines.template import institution_template

TODAY = date(2026, 3, 31)
X = platforms()["x"]


def institution(folder: Path, retention: str = "") -> Institution:
    path = folder / "lazis.toml"
    path.write_text(f"{institution_template('lazis')}\n[retention]\n{retention}\n", encoding="utf-8")
    return load_institution(path)


def days(name: str, one: Institution, raw_days: int | None = None) -> int:
    return (TODAY - raw_from(X.stream(name), replace(X, raw_days=raw_days), one, TODAY)).days


def test_answers_are_kept_thirty_days_and_comments_thirteen_months(tmp_path: Path) -> None:
    one = institution(tmp_path)
    assert days("mentions", one) == 30
    assert events_from(X, one, TODAY) == date(2025, 2, 28)


def test_an_institution_may_shorten_but_not_below_what_a_stream_asks_again(tmp_path: Path) -> None:
    one = institution(tmp_path, "raw_days = 3\nevent_months = 2")
    assert days("mentions", one) == 7
    assert days("posts", one) == 30
    assert events_from(X, one, TODAY) == date(2026, 1, 31)


@pytest.mark.parametrize("line", ["raw_days = 31", "event_months = 14", "raw_days = 0"])
def test_an_institution_may_not_lengthen(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="retention"):
        institution(tmp_path, line)


def test_a_stricter_platform_wins(tmp_path: Path) -> None:
    one = institution(tmp_path)
    short = replace(X, streams=tuple(stream for stream in X.streams if stream.lookback <= timedelta(days=7)), raw_days=9, event_days=40)
    assert raw_from(short.stream("mentions"), short, one, TODAY) == TODAY - timedelta(days=9)
    assert events_from(short, one, TODAY) == TODAY - timedelta(days=40)


def test_a_stream_that_asks_further_back_than_its_answers_may_be_kept_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match="posts asks 30 days back, but its answers may be kept 29 days"):
        replace(X, raw_days=29)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 40))
def test_months_before_is_a_day_of_the_month_so_many_earlier(day: date, months: int) -> None:
    before = months_before(day, months)
    assert (day.year * 12 + day.month) - (before.year * 12 + before.month) == months
    assert before.day == day.day or (before + timedelta(days=1)).day == 1
