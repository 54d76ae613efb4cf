"""The numbers that are published are the numbers that are true: held against the sandbox's own arithmetic, which shares no code with them.

Not here: hand-worked cases (tests/assets), and the 120 nights of the demo (test_law_truth_published.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.indicators import family_tables
from pipelines import night
from pipelines.house import House
from sandbox.facts import PLATFORMS
from sandbox.server import Running
from sandbox.truth import Expected, Key, expected
from sandbox.world import World
from tests.laws.conftest import LAST, MISSED
from tests.support.content import Content, content
from tests.support.nights import derive, instant, make_home, play

# Ten nights are landed and all of them derived first.
pytestmark = pytest.mark.slow

FIELDS = ("value", "status", "numerator", "denominator", "n", "coverage", "is_provisional", "period_end")


def published(tables: Content) -> dict[Key, tuple[Any, ...]]:
    """Every value of every family by what identifies it."""
    return {
        Key(**{name: row[name] for name in Key._fields}): tuple(row[name] for name in FIELDS)
        for table in family_tables().values()
        for row in tables[table.name].iter_rows(named=True)
    }


def disagreements(true: Mapping[Key, Expected], found: Mapping[Key, tuple[Any, ...]]) -> Counter[tuple[str, str]]:
    """How often which field of which indicator differs. The truth gives no parts of plain counts, and 0 coverage where nothing is expected."""
    differ: Counter[tuple[str, str]] = Counter()
    for key, right in true.items():
        for name, want, got in zip(FIELDS, right, found[key], strict=True):
            is_untold = (name in {"numerator", "denominator"} and right.numerator is None and right.denominator is None) or (
                name == "n" and right.n is None
            )
            if is_untold or (name == "coverage" and got is None and want == 0.0):
                continue
            if want != got and not (isinstance(want, float) and got == pytest.approx(want, rel=1e-12)):
                differ[key.indicator_key, name] += 1
    return differ


def test_after_eleven_nights_every_published_number_is_the_true_one(undisturbed: House, the_world: World) -> None:
    played = [instant(number) for number in range(LAST + 1) if number != MISSED]
    true = expected(the_world, (instant(LAST) - timedelta(hours=5)).date(), played)
    found = published(content(undisturbed))
    assert len(true) > 4000
    assert true.keys() == found.keys()
    assert disagreements(true, found) == Counter()


@pytest.mark.slow
def test_after_ten_nights_of_six_platforms_every_published_number_is_the_true_one(six: House, the_world: World) -> None:
    played = [instant(number) for number in range(LAST + 1) if number != MISSED]
    true = expected(the_world, (instant(LAST) - timedelta(hours=5)).date(), played, PLATFORMS)
    found = published(content(six))
    assert len(true) > 10_000
    assert true.keys() == found.keys()
    assert disagreements(true, found) == Counter()


def test_with_hours_between_the_nights_every_published_number_is_the_true_one(sandbox: Running, the_world: World, tmp_path: Path) -> None:
    """Stories that end between midnight and noon, that no night saw, and that the last hour saw after the night had closed its day."""
    sandbox.faults([])
    house = make_home(tmp_path / "home", sandbox.url, platforms=("instagram",))
    nights, hours = [instant(number) for number in (5, 6, 7, 8)], [instant(number) + timedelta(hours=5) for number in (6, 7, 8)]
    hours += [instant(6) + timedelta(hours=12), instant(7) + timedelta(hours=14)]
    for at in sorted([*nights, *hours]):
        play(house, sandbox, at, f"run-{at:%d%H}", night.everything if at in nights else lambda _, stream: stream.hourly)
    derive(house, "run")
    as_of = (nights[-1] - timedelta(hours=5)).date()
    true, without = (expected(the_world, as_of, nights, ("instagram",), hourly=seen) for seen in (hours, []))
    found = published(content(house))
    assert any(true[key].value != without[key].value for key in true if (key.indicator_key, key.period_start) == ("views", as_of))
    assert true.keys() == found.keys()
    assert disagreements(true, found) == Counter()
