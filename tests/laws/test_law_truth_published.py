"""Every published number of the two goals is what the simulated world says it must be, by arithmetic that shares no code with the transforms."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from sandbox.facts import PLATFORMS
from sandbox.truth import Expected, Key, expected
from sandbox.world import World
from tests.support.played import PlayedHome

pytestmark = pytest.mark.slow
AS_OF = date(2026, 4, 30)
KEY = "indicator_key, population_id, level, platform, account_id, period_type, period_start, cohort"
FIGURES = "value, status, numerator, denominator, n, coverage, is_provisional, period_end"


@pytest.fixture(scope="module")
def published(full_demo: PlayedHome) -> dict[Key, Expected]:
    with duckdb.connect(str(full_demo.published), read_only=True) as reader:
        found = reader.execute(
            f"SELECT {KEY}, {FIGURES} FROM mart.indicator_values WHERE scope = 'all' AND dimension = 'all' AND dimension_value = 'all'"
        ).fetchall()
        everything = reader.execute("SELECT count(*) FROM mart.indicator_values").fetchall()
    assert everything == [(len(found),)]
    return {Key(*row[:8]): Expected(*row[8:]) for row in found}


@pytest.fixture(scope="module")
def truth(the_world: World) -> dict[Key, Expected]:
    return expected(the_world, AS_OF, platforms=PLATFORMS)


def test_the_published_series_are_exactly_those_that_must_be_there(published: dict[Key, Expected], truth: dict[Key, Expected]) -> None:
    assert len(truth) > 120_000
    assert published.keys() == truth.keys()


def test_every_value_and_status_is_the_worlds(published: dict[Key, Expected], truth: dict[Key, Expected]) -> None:
    wrong = {
        key: (found.value, found.status, must.value, must.status)
        for key, must in truth.items()
        if (found := published[key]).status != must.status or not _same(found.value, must.value)
    }
    assert not wrong, list(wrong.items())[:5]


def test_every_ratio_carries_the_worlds_parts(published: dict[Key, Expected], truth: dict[Key, Expected]) -> None:
    parts = {key: must for key, must in truth.items() if must.numerator is not None or must.denominator is not None}
    assert len(parts) > 10_000
    wrong = {
        key: must
        for key, must in parts.items()
        if (published[key].numerator, published[key].denominator) != (must.numerator, must.denominator)
    }
    assert not wrong, list(wrong.items())[:5]


def test_the_units_behind_the_values_their_coverage_and_their_youth_are_the_worlds(
    published: dict[Key, Expected], truth: dict[Key, Expected]
) -> None:
    wrong = {
        key: (found, must)
        for key, must in truth.items()
        if (found := published[key]).is_provisional != must.is_provisional
        or found.period_end != must.period_end
        or (must.n is not None and found.n != must.n)
        # Where nothing is expected the world says 0 and the table NULL.
        or not (_same(found.coverage, must.coverage) or (found.coverage is None and must.coverage == 0))
    }
    assert not wrong, list(wrong.items())[:5]


def _same(found: float | None, must: float | None) -> bool:
    """Equal, or apart by less than the last bits of one division."""
    if found is None or must is None:
        return found is must
    return abs(found - must) <= 1e-12 * max(1.0, abs(must))
