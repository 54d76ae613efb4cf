"""One institution worked out by hand on paper: every indicator that is computed, with the value that must come out.

Not here: the edges of each rule (test_indicators_activity.py, test_indicators_cohort.py).
"""

from __future__ import annotations

import pytest

from assets.indicators.registry import indicators
from tests.support.hand import Hand, at, span

WEEK = "01-05"


@pytest.fixture(scope="module")
def hand() -> Hand:
    """Three accounts, every night from 1 to 20 January; the week of 5 January is looked at."""
    hand = Hand("x/main", "x/program", "mastodon/m")
    hand.night(*span("01-01", "01-20"))
    hand.followers("x/main", {"01-04": 1000, "01-06": 1000, "01-11": 1030})
    hand.followers("x/program", {"01-04": 500, "01-11": 480})
    hand.followers("mastodon/m", {"01-04": 100, "01-07": 105, "01-11": 110})
    # At the age of 7 days, on 13 January at 09:00, the nearest snapshot is the one that closes the 12th, 7 hours before.
    hand.post("x/main", "p1", at("01-06", "09:00"))
    hand.seen("p1", {"01-06": {"reactions": 10, "shares": 2, "saves": 1, "impressions": 500, "link_clicks": 5}})
    hand.seen("p1", {"01-11": {"reactions": 16, "shares": 3, "saves": 2, "impressions": 800, "link_clicks": 8}})
    hand.seen("p1", {"01-12": {"reactions": 20, "shares": 4, "saves": 2, "impressions": 1000, "link_clicks": 10}})
    hand.seen("p1", {"01-20": {"reactions": 25, "shares": 9, "saves": 7, "impressions": 2000, "link_clicks": 30}})
    # Here it is the one that closes the 13th.
    hand.post("mastodon/m", "p2", at("01-07"))
    hand.seen(
        "p2", {"01-07": {"reactions": 3, "shares": 1}, "01-11": {"reactions": 5, "shares": 1}, "01-13": {"reactions": 6, "shares": 2}}
    )
    hand.comment("p1", at("01-06", "20:00"), "c1")
    hand.comment("p1", at("01-11", "23:30"), "c2", is_mention=True)
    hand.comment("p1", at("01-12", "00:30"), "c3")
    hand.comment("p2", at("01-08"), "c4")
    hand.comment("p2", at("01-16"), "c5")
    hand.comment("p1", at("01-08"), "own", is_own=True)
    hand.comment("p1", at("01-08"), "spam", is_spam=True)
    hand.mention("x/main", at("01-11", "23:30"), "c2", is_comment=True)
    hand.mention("x/main", at("01-09"), "m1")
    hand.mention("x/program", at("01-09"), "m1")
    hand.mention("x/main", at("01-09"), "reshare", is_reshare=True)
    hand.mention("mastodon/m", at("01-10"), "m2")
    return hand


# Per indicator at the institution: value, status, numerator, denominator, n, coverage.
COUNTED = 21  # three accounts, seven days
WORKED = {
    "reactions": (16 + 5, "ok", 21, None, COUNTED, 1.0),
    "shares": (3 + 1, "ok", 4, None, COUNTED, 1.0),
    "saves": (2, "ok", 2, None, 14, 1.0),
    "impressions": (800, "ok", 800, None, 14, 1.0),
    "link_clicks": (8, "ok", 8, None, 14, 1.0),
    "views": (None, "not_applicable", None, None, None, None),
    "comments_audience": (3, "ok", 3, None, COUNTED, 1.0),
    "posts": (2, "ok", 2, None, COUNTED, 1.0),
    "engagement_count": (21 + 4 + 2 + 3, "ok", 30, None, COUNTED, 1.0),
    "mentions": (2 + 1, "ok", 3, None, COUNTED, 1.0),
    "mentions_tagged": (2 + 1, "ok", 3, None, COUNTED, 1.0),
    "mentions_untagged": (None, "not_connected", None, None, None, None),
    "conversation_volume": (3 + 2, "ok", 5, None, COUNTED, 1.0),
    "followers": (1030 + 480 + 110, "ok", 1620, None, 3, 1.0),
    "net_new_followers": (30 - 20 + 10, "ok", 20, None, 3, 1.0),
    "audience_growth_rate": (20 / 1600, "ok", 20, 1600, 3, 1.0),
    "reach": (None, "not_applicable", None, None, None, None),
    "reach_lower": (None, "not_applicable", None, None, None, None),
    "reach_upper": (None, "not_applicable", None, None, None, None),
    "engagement_rate": (None, "not_applicable", None, None, None, None),
    "engagement_rate_views": ((20 + 3 + 4 + 2) / 1000, "ok", 29, 1000, 1, 1.0),
    "engagement_rate_followers": ((29 + 9) / (1000 + 105), "ok", 38, 1105, 2, 1.0),
    "applause_rate": ((20 + 6) / 2, "ok", 26, 2, 2, 1.0),
    "amplification_rate": ((4 + 2) / 2, "ok", 6, 2, 2, 1.0),
    "conversation_rate": ((3 + 1) / 2, "ok", 4, 2, 2, 1.0),
    "comment_score": (1000 * 4 / 1105, "ok", 4, 1105, 2, 1.0),
    "comment_score_index": (None, "insufficient_history", None, None, 2, 1.0),
    "bounce_rate": (None, "not_connected", None, None, None, None),
    "bounced_sessions": (None, "not_connected", None, None, None, None),
}


def test_every_computed_indicator_has_been_worked_out_by_hand() -> None:
    assert WORKED.keys() == {key for key, entry in indicators().items() if entry.is_computed}


@pytest.mark.parametrize("indicator", WORKED)
def test_the_value_of_the_institution_is_the_one_worked_out_by_hand(indicator: str, hand: Hand) -> None:
    row = hand.value(indicator, "week", WEEK)
    value, *rest = WORKED[indicator]
    assert row["value"] == (None if value is None else pytest.approx(value))
    assert [row[name] for name in ("status", "numerator", "denominator", "n", "coverage")] == rest
    assert row["unit"] == indicators()[indicator].unit
    assert (row["is_complete_period"], row["definition_version"]) == (True, indicators()[indicator].version)


BY_ACCOUNT = [
    ("reactions", "x/main", 16), ("reactions", "x/program", 0), ("reactions", "x", 16), ("reactions", "mastodon", 5),
    ("engagement_count", "x/main", 16 + 3 + 2 + 2), ("engagement_count", "mastodon/m", 5 + 1 + 1),
    ("conversation_volume", "x/main", 3), ("conversation_volume", "x/program", 1), ("conversation_volume", "x", 3),
    ("mentions", "x/main", 2), ("mentions", "x/program", 1), ("mentions", "x", 2), ("mentions", "mastodon", 1),
    ("followers", "x", 1510), ("net_new_followers", "x/program", -20), ("audience_growth_rate", "x", 10 / 1500),
    ("applause_rate", "x", 20), ("applause_rate", "mastodon/m", 6), ("comment_score", "x/main", 1000 * 3 / 1000),
]  # fmt: skip


@pytest.mark.parametrize(("indicator", "of", "value"), BY_ACCOUNT)
def test_the_value_of_a_platform_or_account_is_the_one_worked_out_by_hand(indicator: str, of: str, value: float, hand: Hand) -> None:
    """An item that names two of our accounts counts at each, and once on the platform."""
    row = hand.value(indicator, "week", WEEK, of=of)
    assert (row["value"], row["status"]) == (pytest.approx(value), "ok")


@pytest.mark.parametrize(
    ("indicator", "of", "status"),
    [("saves", "mastodon", "not_applicable"), ("link_clicks", "mastodon/m", "not_applicable"), ("engagement_rate_views", "mastodon", "not_applicable"),
     ("applause_rate", "x/program", "zero_denominator"), ("comment_score", "x/program", "zero_denominator")],
)  # fmt: skip
def test_a_platform_without_the_measure_and_an_account_without_posts_have_no_value_and_say_why(
    indicator: str, of: str, status: str, hand: Hand
) -> None:
    row = hand.value(indicator, "week", WEEK, of=of)
    assert (row["value"], row["status"]) == (None, status)


def test_the_count_of_a_month_holds_more_than_that_of_its_week(hand: Hand) -> None:
    assert hand.value("reactions", "month", "01-01")["value"] == 25 + 6
    assert hand.value("comments_audience", "month", "01-01")["value"] == 5
    assert hand.value("followers", "trailing_28d", "2025-12-15")["value"] == 1030 + 480 + 110


def test_rates_of_posts_are_not_given_for_single_days(hand: Hand) -> None:
    assert "day" not in set(hand.values("applause_rate")["period_type"])
    assert "day" in set(hand.values("reactions")["period_type"])
