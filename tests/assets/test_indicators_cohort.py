"""The edges of rates over posts: which snapshot stands for the age of 7 days, what stays out, and that sums are divided once.

Not here: counts of a period (test_indicators_activity.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.indicators import formulas
from assets.indicators.by_post import POST_MEASURES
from assets.indicators.registry import indicators
from tests.support.hand import Hand, Row, at, day, span

WEEK = "01-05"


def aged(hand: Hand, post: str = "p") -> Row:
    """A post at the age of 7 days."""
    return hand.make(POST_MEASURES).row(by_predicate=pl.col("post_id") == post, named=True)


def watched(*known: str, created: str = "09:00", accounts: Sequence[str] = ("x/main",)) -> Hand:
    """A post of 6 January at the first account, whose followers are 100 on that day, with the nights that ran."""
    hand = Hand(*accounts)
    hand.night(*known)
    hand.followers(accounts[0], {"01-06": 100})
    hand.post(accounts[0], "p", at("01-06", created))
    return hand


EVERY = span("01-01", "01-20")


@pytest.mark.parametrize(("created", "nearest"), [("09:00", 12), ("13:59", 12), ("14:01", 13), ("20:00", 13)])
def test_the_snapshot_nearest_to_the_age_of_seven_days_stands_for_it(created: str, nearest: int) -> None:
    """Snapshots are taken at 02:00, so up to 14:00 the one of the night before is nearer."""
    hand = watched(*EVERY, created=created)
    hand.seen("p", {one: int(one[-2:]) for one in span("01-06", "01-20")})
    assert aged(hand)["reactions"] == nearest


@pytest.mark.parametrize(("created", "reactions"), [("02:00", 10), ("02:01", None)])
def test_a_snapshot_more_than_forty_eight_hours_off_says_nothing(created: str, reactions: int | None) -> None:
    """The nights that close 11 to 14 January were missed; the last before is that of 11 January at 02:00."""
    hand = watched(*span("01-01", "01-10"), *span("01-15", "01-20"), created=created)
    hand.seen("p", {"01-10": 10, "01-15": 15})
    assert aged(hand)["reactions"] == reactions


def test_a_post_younger_than_seven_days_stands_as_it_was_last_seen_and_is_provisional() -> None:
    hand = watched(*span("01-01", "01-11"))
    hand.seen("p", {"01-06": 5, "01-11": 9})
    row = hand.value("applause_rate", "week", WEEK)
    assert (row["value"], row["status"], row["is_provisional"], row["is_complete_period"]) == (9, "ok", True, True)
    assert aged(hand)["is_mature"] is False


@pytest.mark.parametrize(("last", "is_provisional"), [("01-12", True), ("01-13", False)])
def test_a_rate_of_counters_is_final_once_the_youngest_post_was_seven_days_old_at_a_night(last: str, *, is_provisional: bool) -> None:
    hand = watched(*span("01-01", last))
    hand.seen("p", dict.fromkeys(span("01-06", last), 5))
    assert hand.value("applause_rate", "week", WEEK)["is_provisional"] is is_provisional


def test_a_post_deleted_before_its_seventh_day_stays_out_and_lowers_the_coverage() -> None:
    hand = watched(*EVERY)
    hand.seen("p", {"01-06": 5, "01-07": 6})
    hand.post("x/main", "q", at("01-06", "09:00"))
    hand.seen("q", dict.fromkeys(span("01-06", "01-20"), 8))
    row = hand.value("applause_rate", "week", WEEK)
    assert (row["value"], row["numerator"], row["denominator"], row["n"], row["coverage"]) == (8, 8, 1, 1, 0.5)


def test_when_no_post_is_usable_the_input_is_missing_and_nothing_is_divided() -> None:
    hand = watched(*EVERY)
    hand.seen("p", {"01-06": 5})
    row = hand.value("applause_rate", "week", WEEK)
    assert (row["value"], row["status"], row["numerator"], row["denominator"], row["coverage"]) == (None, "missing_input", None, None, 0.0)


def test_a_week_without_posts_has_a_zero_denominator_and_whole_coverage() -> None:
    row = watched(*EVERY).value("applause_rate", "week", "01-12")
    assert (row["value"], row["status"], row["numerator"], row["denominator"], row["coverage"]) == (None, "zero_denominator", 0, 0, 1.0)


def threaded() -> Hand:
    hand = watched(*EVERY)
    hand.post("x/main", "part", at("01-06", "09:05"), post_type="thread_part", root_id="p")
    hand.seen("p", {"01-12": 10})
    return hand


def test_a_thread_is_one_post_and_has_the_sum_of_its_parts() -> None:
    hand = threaded()
    hand.seen("part", {"01-12": 4})
    row = hand.value("applause_rate", "week", WEEK)
    assert (row["value"], row["n"]) == (14, 1)


def test_a_thread_of_which_a_part_is_unknown_is_unknown() -> None:
    hand = threaded()
    hand.seen("part", {"01-06": 4})
    assert hand.value("applause_rate", "week", WEEK)["status"] == "missing_input"


@pytest.mark.parametrize("kind", ["reply", "repost"])
def test_replies_and_reposts_belong_to_no_cohort(kind: str) -> None:
    hand = watched(*EVERY)
    hand.seen("p", {"01-12": 10})
    hand.post("x/main", "other", at("01-06"), post_type=kind)
    row = hand.value("applause_rate", "week", WEEK)
    assert (row["value"], row["denominator"], row["coverage"]) == (10, 1, 1.0)


def test_a_post_of_a_day_whose_followers_are_unknown_stays_out_of_rates_by_followers_alone() -> None:
    hand = watched(*EVERY)
    hand.post("x/main", "q", at("01-08"))
    for post in ("p", "q"):
        hand.seen(post, {"01-12": 10, "01-14": 10})
    by_followers = hand.value("engagement_rate_followers", "week", WEEK)
    assert (by_followers["value"], by_followers["n"], by_followers["coverage"]) == (0.1, 1, 0.5)
    assert hand.value("applause_rate", "week", WEEK)["n"] == 2


def test_comments_count_up_to_the_age_of_seven_days() -> None:
    hand = watched(*EVERY)
    hand.comment("p", at("01-13", "09:00"), "in time")
    hand.comment("p", at("01-13", "09:01"), "late")
    assert aged(hand)["comments_audience"] == 1


@pytest.mark.parametrize("flag", ["is_own", "is_spam", "is_reshare"])
def test_our_own_comments_spam_and_reshares_are_not_counted(flag: str) -> None:
    hand = watched(*EVERY)
    hand.comment("p", at("01-07"), "theirs")
    hand.comment("p", at("01-07"), "not counted", **{flag: True})
    hand.mention("x/main", at("01-07"), "not counted", **{flag: True})
    assert aged(hand)["comments_audience"] == 1
    assert hand.value("comments_audience", "week", WEEK)["value"] == 1
    assert hand.value("conversation_volume", "week", WEEK)["value"] == 1
    assert hand.value("mentions", "week", WEEK)["value"] == 0


def test_a_post_of_which_a_day_of_comments_is_not_covered_stays_out_of_rates_of_comments() -> None:
    """Nothing ran between the 7th and the 20th, which reaches back to the 13th: the 8th to the 12th are not covered."""
    hand = watched(*span("01-01", "01-07"), "01-20")
    hand.comment("p", at("01-07"), "c")
    assert aged(hand)["comments_audience"] is None
    row = hand.value("conversation_rate", "week", WEEK)
    assert (row["status"], row["coverage"]) == ("missing_input", 0.0)


def test_a_covered_post_that_nobody_answered_has_zero_comments() -> None:
    hand = watched(*EVERY)
    row = hand.value("conversation_rate", "week", WEEK)
    assert (row["value"], row["status"]) == (0, "ok")


def test_a_ratio_over_accounts_divides_the_sums_and_never_averages() -> None:
    hand = Hand("x/main", "x/program")
    hand.night(*EVERY)
    for account, post, reactions, impressions in (("x/main", "p", 10, 100), ("x/program", "q", 90, 9900)):
        hand.post(account, post, at("01-06", "09:00"))
        hand.seen(post, {"01-12": {"reactions": reactions, "impressions": impressions}})
    parts = [hand.value("engagement_rate_views", "week", WEEK, of=of)["value"] for of in ("x/main", "x/program")]
    assert parts == [0.1, pytest.approx(90 / 9900)]
    assert hand.value("engagement_rate_views", "week", WEEK)["value"] == 100 / 10_000


def test_a_ratio_uses_only_posts_of_which_both_parts_are_known() -> None:
    hand = watched(*EVERY)
    hand.post("x/main", "q", at("01-06", "09:00"))
    hand.seen("p", {"01-12": {"reactions": 10, "impressions": 100}})
    hand.seen("q", {"01-12": {"reactions": 90, "impressions": None}})
    row = hand.value("engagement_rate_views", "week", WEEK)
    assert (row["value"], row["numerator"], row["denominator"], row["coverage"]) == (0.1, 10, 100, 0.5)


def test_impressions_of_nobody_are_a_zero_denominator() -> None:
    hand = watched(*EVERY)
    hand.seen("p", {"01-12": {"reactions": 10, "impressions": 0}})
    row = hand.value("engagement_rate_views", "week", WEEK)
    assert (row["value"], row["status"], row["numerator"], row["denominator"]) == (None, "zero_denominator", 10, 0)


@pytest.mark.parametrize(("reach", "value", "status"), [(99, None, "below_min_n"), (100, 0.1, "ok")])
def test_a_rate_by_reach_is_given_from_a_hundred_reached_on(reach: int, value: float | None, status: str) -> None:
    hand = watched(*EVERY)
    hand.give("reach")
    hand.seen("p", {"01-12": {"reactions": 10, "reach": reach}})
    row = hand.value("engagement_rate", "week", WEEK)
    assert (row["value"], row["status"], row["denominator"]) == (value, status, reach)


def test_the_comment_score_counts_followers_once_per_post() -> None:
    hand = watched(*EVERY)
    hand.post("x/main", "q", at("01-06", "10:00"))
    hand.comment("p", at("01-07"), "c")
    row = hand.value("comment_score", "week", WEEK)
    assert (row["value"], row["numerator"], row["denominator"]) == (1000 * 1 / 200, 1, 200)


def indexed(scores: Sequence[float | None], period: str = "week", start: str = "03-30") -> Row:
    """The index of a period with the score 3, after weeks with these scores, the youngest last; None is a week without one."""
    series = dict.fromkeys(("population_id", "level", "platform", "account_id"), "all") | {"institution_id": "i"}
    rest = {
        "numerator": 1,
        "denominator": 1,
        "n": 1,
        "coverage": 1.0,
        "is_provisional": False,
        "is_complete_period": True,
        "indicator_key": "s",
    }
    weeks = [day("03-30") - timedelta(days=7 * back) for back in range(len(scores), 0, -1)]
    values = [("week", monday, score) for monday, score in zip(weeks, scores, strict=True)] + [(period, day(start), 3.0)]
    rows = [
        {**series, **rest, "period_type": kind, "period_start": first, "period_end": end_of(kind, first), "value": score,
         "status": "zero_denominator" if score is None else "ok"}
        for kind, first, score in values
    ]  # fmt: skip
    found = formulas.score_index(
        indicators()["comment_score_index"], pl.LazyFrame(rows).with_columns(pl.col("value").cast(pl.Float64))
    ).collect()
    return found.row(by_predicate=(pl.col("period_type") == period) & (pl.col("period_start") == day(start)), named=True)


def end_of(kind: str, first: date) -> date:
    return first + timedelta(days={"week": 6, "month": 30, "trailing_28d": 27}[kind])


@pytest.mark.parametrize(
    ("scores", "value", "status"),
    [
        ([1, 2, 2, 5], 150, "ok"),
        ([1, 2, 2], None, "insufficient_history"),
        ([1, 2, None, 2], None, "insufficient_history"),
        ([0, 0, 0, 5], None, "zero_denominator"),
        ([100, *[6] * 12], 50, "ok"),  # the thirteenth week back is not among the twelve
        ([1, 2, 4, 5, None], 100, "ok"),
    ],
)
def test_the_index_is_the_score_over_the_median_of_the_last_twelve_complete_weeks(
    scores: list[float | None], value: float | None, status: str
) -> None:
    row = indexed(scores)
    assert (row["value"], row["status"], row["numerator"], row["denominator"]) == (value, status, None, None)


def test_the_weeks_of_an_index_end_before_its_period_begins() -> None:
    """The month of 1 March: the weeks that end on 1 March or later are not among them."""
    assert indexed([2, 2, 2, 2, 9, 9, 9, 9, 9], "month", "03-01")["value"] == pytest.approx(150)


COUNTS = st.tuples(st.sampled_from(["x/main", "x/program", "mastodon/m"]), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 6))


@settings(max_examples=10, deadline=None)
@given(posts=st.lists(COUNTS, min_size=1, max_size=8))
def test_the_ratio_of_the_institution_is_the_ratio_of_the_sums_of_its_parts(posts: list[tuple[str, int, int, int]]) -> None:
    hand = Hand("x/main", "x/program", "mastodon/m")
    hand.night(*EVERY)
    for number, (account, reactions, shares, weekday) in enumerate(posts):
        created = at("01-05", "09:00") + timedelta(days=weekday)
        hand.post(account, f"p{number}", created)
        hand.seen(f"p{number}", {(day("01-11") + timedelta(days=weekday)).isoformat(): {"reactions": reactions, "shares": shares}})
    for indicator in ("applause_rate", "amplification_rate"):
        found = hand.values(indicator).filter((pl.col("period_type") == "week") & (pl.col("period_start") == day(WEEK)))
        sums = found.group_by("level").agg(pl.col("numerator").sum(), pl.col("denominator").sum(), pl.col("n").sum())
        assert sums.select("numerator", "denominator", "n").n_unique() == 1
        assert sums["denominator"][0] == len(posts)
        whole = found.row(by_predicate=pl.col("level") == "institution", named=True)
        assert whole["value"] == whole["numerator"] / whole["denominator"]


# -- what platforms give, refuse and give no more ---------------------------------------------------------------------------------------


def by_reach(*posts: tuple[str, str, Row], **given_: object) -> Hand:
    """Posts (id, type, counters at every night) of 6 January, of a platform that tells the reach of each."""
    hand = Hand("x/main")
    hand.night(*EVERY)
    hand.give("reach", needs_field="insights", **given_)  # type: ignore[arg-type]
    for identity, kind, counters in posts:
        hand.post("x/main", identity, at("01-06", "09:00"), post_type=kind)
        hand.seen(identity, dict.fromkeys(span("01-06", "01-20"), counters))
    return hand


def rated(hand: Hand, indicator: str = "engagement_rate") -> tuple[Any, ...]:
    row = hand.value(indicator, "week", WEEK)
    return row["value"], row["status"], row["numerator"], row["denominator"], row["n"], row["coverage"]


def test_engagement_by_reach_divides_by_the_reach_of_the_posts_that_told_theirs() -> None:
    hand = by_reach(
        ("a", "reel", {"reactions": 20, "reach": 400}), ("b", "carousel", {"reactions": 5, "reach": 100}), ("c", "post", {"reactions": 9})
    )
    assert rated(hand) == (0.05, "ok", 25, 500, 2, pytest.approx(2 / 3))


def test_a_type_of_post_that_has_no_reach_is_none_of_the_cohort_and_a_story_never_is() -> None:
    posts = (("a", "reel", {"reactions": 20, "reach": 400}), ("b", "live", {"reactions": 5}), ("s", "story", {"reactions": 9, "reach": 50}))
    assert rated(by_reach(*posts, post_types=("reel", "story"))) == (0.05, "ok", 20, 400, 1, 1.0)


def test_a_type_of_post_that_lacks_a_part_of_the_numerator_counts_without_it() -> None:
    hand = by_reach(("a", "reel", {"reactions": 20, "saves": None, "reach": 400}))
    hand.give("saves", post_types=("carousel",))
    assert rated(hand) == (0.05, "ok", 20, 400, 1, 1.0)


@pytest.mark.parametrize(("how", "status"), [("denied_fields", "not_permitted"), ("retired_fields", "retired")])
def test_a_rate_of_which_everything_is_refused_says_so(how: str, status: str) -> None:
    hand = by_reach(("a", "reel", {"reactions": 20, "reach": None}))
    hand.deny("insights", how=how)
    assert aged(hand, "a")[status] == ["reach"]
    assert hand.value("engagement_rate", "week", WEEK)["status"] == status
    assert hand.value("applause_rate", "week", WEEK)["status"] == "ok"


def test_a_rate_that_is_partly_retired_and_partly_not_there_is_missing() -> None:
    hand = by_reach(("a", "reel", {"reactions": 20, "reach": None}), post_types=("reel", "post"))
    hand.deny("insights", how="retired_fields")
    hand.post("x/main", "b", at("01-07", "09:00"))
    assert hand.value("engagement_rate", "week", WEEK)["status"] == "missing_input"


def test_reach_of_posts_after_its_last_day_is_retired() -> None:
    hand = by_reach(("a", "reel", {"reactions": 20, "reach": None}), valid_to=day("01-10"))
    assert hand.value("engagement_rate", "week", WEEK)["status"] == "retired"


def test_comments_of_a_post_are_known_by_the_stream_that_brings_them() -> None:
    hand = Hand("x/main")
    hand.stream("x", "comments", "event", lookback_days=7)
    hand.give("comments_audience", streams=["comments"])
    hand.night(*EVERY, streams=("accounts", "posts", "comments"))
    hand.post("x/main", "p", at("01-06", "09:00"))
    hand.comment("p", at("01-07"), "c")
    assert aged(hand)["comments_audience"] == 1
