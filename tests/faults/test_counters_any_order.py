"""Counters that fall, nights that are missed, answers that come twice, late or in another order: the same differences all the same.

Not here: single rules of differences (tests/assets/test_staging_days.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import ledgers, raw, staging
from assets.staging import things
from pipelines import engine
from pipelines.reference import write_reference
from tests.support.content import rows_of
from tests.support.hand import Hand, at
from tests.support.landing import arrive, warehouse

pytestmark = pytest.mark.slow
POSTS = ("p", "q", "r")
BORN = {"p": at("01-01", "06:00"), "q": at("01-03", "06:00"), "r": at("01-04", "23:30")}
WANTED = (things.COVERAGE.name, things.POST_SNAPSHOTS.name, things.POST_DAYS.name)
TRANSFORMS = [transform for transform in staging.transforms() if transform.output.name in WANTED]
Night = tuple[datetime, dict[str, int]]


@st.composite
def nights(draw: st.DrawFn) -> list[Night]:
    """Up to seven nights, some missed, some with a second fetch in the morning; each counter goes where it wants, also down."""
    found = []
    for number in range(2, 9):
        for hour in draw(st.sampled_from([(), ("02:00",), ("02:00",), ("02:00",), ("02:00", "10:00"), ("03:30",)])):
            when = at(f"01-{number:02}", hour)
            found.append((when, {one: draw(st.integers(0, 50)) for one in POSTS if when >= BORN[one] and draw(st.integers(0, 9))}))
    return found or [(at("01-02", "02:00"), {"p": 1})]


def post_days(arrivals: Sequence[Night], cuts: Sequence[bool], *, derive_each: bool) -> pl.DataFrame:
    """The differences after the nights have arrived in this order; a cut is where a landing comes between."""
    hand = Hand("x/main")
    with TemporaryDirectory() as folder, warehouse() as connection:
        write_reference(connection, hand.institution)
        for number, ((when, counters), cut) in enumerate(zip(arrivals, cuts, strict=True)):
            records = [
                {"id": one, "created_at": BORN[one].isoformat(), "public_metrics": {"like_count": count}} for one, count in counters.items()
            ]
            arrive(Path(folder), "x", "posts", when, records, run_id=f"run-{number:02}", institution="institution", back=timedelta(days=30))
            if cut or number + 1 == len(arrivals):
                raw.land(connection, Path(folder), when)
                if derive_each or number + 1 == len(arrivals):
                    for transform in TRANSFORMS:
                        engine.run(connection, transform, ["institution"], f"run-{number:02}")
        return rows_of(connection, things.POST_DAYS)


@settings(max_examples=10, deadline=None)
@given(nights(), st.data())
def test_the_same_differences_whatever_the_order_of_arrival(played: list[Night], data: st.DataObject) -> None:
    in_order = post_days(played, [True] * len(played), derive_each=True)
    shuffled = data.draw(st.permutations([*played, *data.draw(st.lists(st.sampled_from(played), max_size=3))]))
    cuts = data.draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    assert post_days(shuffled, cuts, derive_each=data.draw(st.booleans())).equals(in_order)


@settings(max_examples=10, deadline=None)
@given(nights())
def test_the_differences_of_a_post_add_up_to_its_last_counter_less_its_first(played: list[Night]) -> None:
    found = post_days(played, [True] * len(played), derive_each=False)
    closed: dict[date, datetime] = {}
    closing: dict[date, dict[str, int]] = {}
    for when, counters in played:
        # Of two snapshots of a post on a day the one nearest to the day's end counts: the earlier. What is younger than that waits.
        day = ledgers.snapshot_day(when, "Asia/Jakarta")
        closes, kept = closed.setdefault(day, when), closing.setdefault(day, {})
        kept |= {one: count for one, count in counters.items() if one not in kept and BORN[one] <= closes}
    for one in POSTS:
        seen = [counters[one] for _, counters in sorted(closing.items()) if one in counters]
        moved = found.filter(pl.col("post_id") == one)["reactions"]
        if not seen:
            assert moved.is_empty()
        elif moved.null_count():
            assert moved.drop_nulls().sum() == seen[-1] - seen[0]
        else:
            assert moved.sum() == seen[-1]
