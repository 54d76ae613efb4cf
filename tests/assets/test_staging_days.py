"""What is known of which day, and how counters become movements: the ledger and staging.post_days, by hand.

Not here: platforms' JSON (test_staging_platforms.py).
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.ledgers import FETCH
from assets.reference import ACCOUNT, LOCAL_DAY, STREAM
from assets.staging.common import coverage
from assets.staging.things import COVERAGE, POST_DAYS
from tests.support.hand import Hand, at, day, span


def moved(hand: Hand, post: str = "p", measure: str = "reactions") -> dict[str, tuple[int | None, int | None]]:
    """Per day (MM-DD) of a post: how many days the movement spans, and the movement."""
    rows = hand.make(POST_DAYS).filter(pl.col("post_id") == post).select("day", "delta_days", measure).rows()
    return {f"{one:%m-%d}": (days, change) for one, days, change in rows}


def known(hand: Hand, stream: str, column: str = "status") -> dict[str, object]:
    """Per day of the ledger of a stream: its status, or another column."""
    return {
        f"{one:%m-%d}": said
        for one, said in hand.make(COVERAGE).filter(pl.col("stream") == stream).sort("day").select("day", column).rows()
    }


def test_a_new_post_starts_from_zero_and_its_movements_sum_to_its_last_counter() -> None:
    hand = Hand()
    hand.night(*span("01-01", "01-04"))
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": 5, "01-03": 9, "01-04": 12})
    assert moved(hand) == {"01-02": (1, 5), "01-03": (1, 4), "01-04": (1, 3)}


def test_a_post_that_was_older_when_first_seen_has_no_first_movement_and_the_rest_sum_to_last_less_baseline() -> None:
    hand = Hand()
    hand.night(*span("01-01", "01-03"))
    hand.post("x/main", "p", at("2025-12-20"))
    hand.seen("p", {"01-01": 100, "01-02": 104, "01-03": 103})
    assert moved(hand) == {"01-01": (None, None), "01-02": (1, 4), "01-03": (1, -1)}


def test_a_post_seen_late_though_the_account_was_fetched_before_has_no_first_movement() -> None:
    """It is older than the account's previous fetch, so where it stood then is not known."""
    hand = Hand()
    hand.night(*span("01-01", "01-04"))
    hand.post("x/main", "p", at("01-01", "09:00"))
    hand.seen("p", {"01-03": 50, "01-04": 51})
    assert moved(hand) == {"01-03": (None, None), "01-04": (1, 1)}


def test_after_a_missed_night_the_movement_spans_two_days_and_is_not_spread() -> None:
    hand = Hand()
    hand.night("01-01", "01-02", "01-04")
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": 5, "01-04": 12})
    assert moved(hand) == {"01-02": (1, 5), "01-04": (2, 7)}


def test_a_post_published_during_a_missed_night_starts_from_zero_over_two_days() -> None:
    hand = Hand()
    hand.night("01-01", "01-03")
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-03": 8})
    assert moved(hand) == {"01-03": (2, 8)}


def test_a_negative_movement_is_legitimate() -> None:
    hand = Hand()
    hand.night(*span("01-01", "01-03"))
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": 10, "01-03": 4})
    assert moved(hand)["01-03"] == (1, -6)


@pytest.mark.parametrize(("gap", "movement"), [(35, (35, 7)), (36, (None, None))])
def test_a_movement_spans_at_most_thirty_five_days(gap: int, movement: tuple[int | None, int | None]) -> None:
    back = (day("01-02") + timedelta(days=gap)).isoformat()
    hand = Hand()
    hand.night("01-01", "01-02", back)
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": 5, back: 12})
    assert moved(hand)[back[5:]] == movement


def test_a_snapshot_of_a_fetch_that_did_not_come_whole_moves_nothing() -> None:
    hand = Hand()
    hand.night("01-01", "01-02", "01-04")
    hand.night("01-03", failed="missing")
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": 5, "01-03": 6, "01-04": 12})
    assert moved(hand) == {"01-02": (1, 5), "01-04": (2, 7)}


def test_a_post_that_came_after_the_day_was_closed_belongs_to_the_next_even_if_a_rerun_saw_it() -> None:
    hand = Hand()
    hand.night("01-01", "01-02")
    hand.night("01-02", clock="10:00")
    hand.night("01-03")
    hand.post("x/main", "p", at("01-03", "08:00"))
    hand.seen("p", {"01-02": 5}, clock="10:00")
    hand.seen("p", {"01-03": 9})
    assert moved(hand) == {"01-03": (1, 9)}


def test_a_counter_that_is_not_given_for_a_day_moves_to_null_and_its_movement_comes_late_but_whole() -> None:
    hand = Hand()
    hand.night(*span("01-01", "01-05"))
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": {"saves": 3}, "01-03": {"saves": None}, "01-04": {"saves": 8}, "01-05": {"saves": 9}})
    assert moved(hand, measure="saves") == {"01-02": (1, 3), "01-03": (1, None), "01-04": (1, 5), "01-05": (1, 1)}


@settings(max_examples=25, deadline=None)
@given(
    counters=st.lists(st.one_of(st.none(), st.integers(0, 10**12)), min_size=2, max_size=8),
    is_new=st.booleans(),
)
def test_the_movements_of_a_post_sum_to_its_last_counter_less_its_baseline(counters: list[int | None], is_new: bool) -> None:
    """None stands for a missed night; a new post's baseline is 0, an older one's its first counter."""
    days = span("01-02", "01-09")[: len(counters)]
    hand = Hand()
    hand.night("01-01")
    hand.night(*(one for one, count in zip(days, counters, strict=True) if count is not None))
    hand.post("x/main", "p", at("01-02", "09:00") if is_new else at("2025-12-25"))
    present = {one: count for one, count in zip(days, counters, strict=True) if count is not None}
    hand.seen("p", present)
    values = list(present.values())
    if not values:
        assert hand.make(POST_DAYS).is_empty()
        return
    changes = [change for _, change in moved(hand).values() if change is not None]
    assert sum(changes) == values[-1] - (0 if is_new else values[0])
    assert sum(days for days, _ in moved(hand).values() if days is not None) == (
        (day(list(present)[-1]) - (day("01-01") if is_new else day(next(iter(present))))).days
    )


def test_a_missed_night_is_lost_and_the_as_of_day_is_only_expected() -> None:
    hand = Hand()
    hand.night("01-01", "01-03")
    hand.night("01-04", streams=["accounts"])
    assert known(hand, "posts") == {"01-01": "fetched", "01-02": "lost", "01-03": "fetched", "01-04": "expected"}
    assert known(hand, "accounts")["01-02"] == "lost"


def test_a_day_that_failed_is_lost_once_a_later_day_was_asked_for_and_keeps_its_reason() -> None:
    hand = Hand()
    hand.night("01-01")
    hand.night("01-02", failed="missing")
    assert known(hand, "posts")["01-02"] == "expected"
    hand.night("01-03")
    assert known(hand, "posts")["01-02"] == "lost"
    assert known(hand, "posts", "reason")["01-02"] == "missing"


@pytest.mark.parametrize("why", ["not_permitted", "unavailable"])
def test_a_day_that_was_refused_says_so_for_ever(why: str) -> None:
    hand = Hand()
    hand.night("01-01")
    hand.night("01-02", failed=why)
    hand.night("01-03")
    assert known(hand, "posts")["01-02"] == why


def test_a_rerun_of_the_same_day_is_marked_revised_and_the_nearer_fetch_counts() -> None:
    hand = Hand()
    hand.night("01-01")
    hand.night("01-01", clock="10:00")
    assert known(hand, "posts")["01-01"] == "revised"
    assert known(hand, "posts", "observed_at")["01-01"] == at("01-02", "02:00")


def test_events_of_a_missed_night_heal_the_next_night_and_snapshots_do_not() -> None:
    hand = Hand()
    hand.night("01-01", "01-03")
    assert known(hand, "mentions", "is_known")["01-02"] is True
    assert known(hand, "posts", "is_known")["01-02"] is False


def test_events_are_covered_once_complete_windows_together_hold_the_whole_local_day() -> None:
    """The last window ends at 02:00, so the day that has just begun is not covered."""
    hand = Hand()
    hand.night("01-01", "01-02")
    covered = known(hand, "mentions", "is_known")
    assert covered["01-02"] is True
    assert "01-03" not in covered


def test_events_that_no_window_reaches_back_to_stay_uncovered() -> None:
    hand = Hand()
    hand.night("01-01", "01-12")
    covered = known(hand, "mentions", "is_known")
    assert [one for one, is_known in covered.items() if not is_known] == [f"01-{n:02}" for n in range(2, 7)]
    assert known(hand, "mentions")["01-03"] == "expected"


def test_a_window_that_begins_inside_a_day_does_not_cover_it() -> None:
    hand = Hand()
    hand.night("01-01")
    assert next(iter(known(hand, "mentions"))) == "12-04"
    assert known(hand, "mentions", "is_known")["12-04"] is True


def test_an_incomplete_window_covers_nothing() -> None:
    hand = Hand()
    hand.night("01-01")
    hand.night("01-02", failed="missing")
    assert known(hand, "mentions", "is_known")["01-02"] is False
    assert known(hand, "mentions", "reason")["01-02"] == "missing"


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(8)))
def test_the_ledger_does_not_depend_on_the_order_of_its_rows(order: list[int]) -> None:
    hand = Hand("x/main")
    hand.night("01-01", "01-02", "01-04")
    hand.night("01-05", failed="missing")
    before = hand.make(COVERAGE)
    rows = hand._rows[FETCH.name]
    hand._rows[FETCH.name] = [rows[n] for n in order] + rows[8:]
    hand._made.clear()
    assert hand.make(COVERAGE).equals(before)


def test_nothing_is_expected_of_an_account_after_it_was_taken_off_the_list() -> None:
    hand = Hand("x/main", "x/gone")
    hand.night("01-01", "01-02")
    hand.accounts = hand.accounts[:1]
    hand.night("01-03")
    ledger, listed = hand.make(FETCH), hand.make(ACCOUNT).filter(pl.col("account_id") == "main")
    told = coverage(ledger.lazy(), hand.make(STREAM).lazy(), hand.make(LOCAL_DAY).lazy(), listed.lazy()).collect()
    days = {name: told.filter((pl.col("account_id") == name) & (pl.col("stream") == "posts")).height for name in ("main", "gone")}
    assert days == {"main": 3, "gone": 2}
    assert "lost" not in told["status"].to_list()
