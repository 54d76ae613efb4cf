"""The edges of what happened in a period: partial coverage, statuses, tokens that may not, starts of histories, populations.

Not here: rates of posts (test_indicators_cohort.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import pytest

from tests.support.hand import STREAMS, Hand, at, day, span

UTC = ZoneInfo("UTC")


def told(
    hand: Hand, indicator: str, period: str, start: str, of: str = "all", population: str = "all"
) -> tuple[float | None, str, float | None]:
    """Value, status and coverage of one row."""
    row = hand.value(indicator, period, start, of=of, population=population)
    return row["value"], row["status"], row["coverage"]


def one_post(*accounts: str, known: list[str], counters: Mapping[str, int]) -> Hand:
    """A post of 2 January at the first account, and its likes."""
    hand = Hand(*accounts)
    hand.night(*known)
    hand.post(hand.institution.accounts[0].ref, "p", at("01-02", "09:00"))
    hand.seen("p", counters)
    return hand


def test_the_first_known_day_is_a_baseline() -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters={"01-02": 5, "01-03": 9})
    assert told(hand, "reactions", "day", "01-01") == (None, "insufficient_history", 0.0)
    assert told(hand, "reactions", "day", "01-02") == (5, "ok", 1.0)


def test_a_day_that_was_measured_and_on_which_nothing_moved_counts_zero() -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters={"01-02": 5})
    assert told(hand, "reactions", "day", "01-03") == (0, "ok", 1.0)


def test_a_missed_night_is_lost_as_a_day_and_lowers_the_coverage_of_its_week_while_its_movement_is_kept() -> None:
    hand = one_post("x/main", known=["01-05", "01-06", "01-08", "01-09", "01-10", "01-11"], counters={"01-06": 5, "01-08": 12})
    hand.night("01-04")
    assert told(hand, "reactions", "day", "01-07") == (None, "lost", 0.0)
    assert told(hand, "reactions", "day", "01-08") == (7, "ok", 1.0)
    value, status, coverage = told(hand, "reactions", "week", "01-05")
    assert (value, status) == (7, "ok")
    assert coverage == pytest.approx(6 / 7)
    assert hand.value("reactions", "week", "01-05")["n"] == 6


def test_a_day_that_failed_is_missing_while_it_is_the_as_of_day_and_lost_afterwards() -> None:
    hand = one_post("x/main", "mastodon/m", known=["01-01"], counters={"01-02": 5})
    hand.night("01-02", account="mastodon/m")
    hand.night("01-02", account="x/main", failed="missing")
    assert told(hand, "reactions", "day", "01-02", "x") == (None, "missing_input", 0.0)
    assert told(hand, "reactions", "day", "01-02") == (0, "ok", 0.5)
    hand.night("01-03")
    assert told(hand, "reactions", "day", "01-02", "x") == (None, "lost", 0.0)


def test_a_week_with_nothing_measured_is_lost_when_a_day_of_it_is() -> None:
    hand = one_post("x/main", known=["01-01", "01-02", "01-12"], counters={"01-02": 5})
    assert told(hand, "reactions", "week", "01-05") == (None, "lost", 0.0)


def test_the_week_in_which_the_first_known_day_is_the_last_has_insufficient_history() -> None:
    hand = one_post("x/main", known=["01-04", "01-05"], counters={"01-05": 5})
    assert told(hand, "reactions", "week", "2025-12-29") == (None, "insufficient_history", 0.0)


def test_events_of_a_missed_night_are_whole_the_next_night() -> None:
    hand = one_post("x/main", known=["01-01", "01-02", "01-04"], counters={"01-02": 5})
    hand.comment("p", at("01-03"), "c")
    assert told(hand, "comments_audience", "day", "01-03") == (1, "ok", 1.0)
    assert told(hand, "reactions", "day", "01-03") == (None, "lost", 0.0)
    assert told(hand, "engagement_count", "day", "01-03") == (None, "lost", 0.0)


def test_events_of_a_longer_gap_than_the_lookback_stay_missing() -> None:
    hand = one_post("x/main", known=["01-01", "01-02", "01-20"], counters={"01-02": 5})
    assert told(hand, "comments_audience", "day", "01-05") == (None, "missing_input", 0.0)
    assert told(hand, "conversation_volume", "day", "01-05") == (None, "missing_input", 0.0)


@pytest.mark.parametrize(
    ("clock", "zone", "local"),
    [("16:30", "Asia/Jakarta", "01-03"), ("15:30", "Asia/Jayapura", "01-04"), ("14:30", "Asia/Jayapura", "01-03")],
)
def test_a_comment_counts_on_its_local_day_in_every_zone(clock: str, zone: str, local: str) -> None:
    """16:30 UTC is 23:30 in Jakarta; 15:30 UTC is half past midnight of the next day in Jayapura."""
    hand = Hand("x/main", zone=zone)
    hand.night(*span("01-01", "01-05"))
    hand.post("x/main", "p", at("01-02"))
    hand.comment("p", at("01-03", clock, UTC), "c")
    days = {one: told(hand, "comments_audience", "day", one)[0] for one in ("01-02", "01-03", "01-04")}
    assert days == {one: float(one == local) for one in days}


def test_posts_count_threads_once_and_neither_replies_nor_reposts() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-03"))
    for identity, kind, root in (
        ("p", "post", "p"), ("part", "thread_part", "p"), ("q", "quote", "q"), ("reply", "reply", "reply"), ("r", "repost", "r"),
    ):  # fmt: skip
        hand.post("x/main", identity, at("01-02"), post_type=kind, root_id=root)
    assert told(hand, "posts", "day", "01-02") == (2, "ok", 1.0)


def test_the_movements_of_a_threads_parts_and_of_our_replies_are_added() -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters={"01-02": 5})
    hand.post("x/main", "part", at("01-02", "09:05"), post_type="thread_part", root_id="p")
    hand.post("x/main", "reply", at("01-02", "10:00"), post_type="reply")
    hand.seen("part", {"01-02": 3})
    hand.seen("reply", {"01-02": 1})
    assert told(hand, "reactions", "day", "01-02") == (9, "ok", 1.0)


def test_posts_of_days_before_the_first_night_are_known_as_far_as_it_reached_back() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-05", "01-06"))
    hand.post("x/main", "p", at("01-02"))
    assert told(hand, "posts", "month", "01-01") == (1, "ok", 1.0)


def test_link_clicks_that_the_token_may_not_read_are_not_permitted() -> None:
    hand = Hand("x/main", private_metrics=False)
    hand.night(*span("01-01", "01-03"))
    hand.post("x/main", "p", at("01-02"))
    hand.seen("p", {"01-02": {"link_clicks": None}})
    assert told(hand, "link_clicks", "day", "01-02")[:2] == (None, "not_permitted")
    assert told(hand, "reactions", "day", "01-02")[:2] == (0, "ok")


def test_link_clicks_that_the_platform_refuses_are_not_permitted() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-03"))
    hand.deny("non_public_metrics")
    hand.post("x/main", "p", at("01-02"))
    hand.seen("p", {"01-02": {"link_clicks": None}})
    assert told(hand, "link_clicks", "day", "01-02")[:2] == (None, "not_permitted")


def test_a_counter_that_the_answer_leaves_out_is_missing_and_so_is_what_needs_it() -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters={})
    hand.seen("p", {"01-02": {"reactions": 4, "saves": None}})
    assert told(hand, "saves", "day", "01-02")[:2] == (None, "missing_input")
    assert told(hand, "reactions", "day", "01-02")[:2] == (4, "ok")
    assert told(hand, "engagement_count", "day", "01-02")[:2] == (None, "missing_input")


def test_engagement_leaves_out_what_the_platform_lacks() -> None:
    hand = one_post("mastodon/m", known=span("01-01", "01-03"), counters={"01-02": 4})
    assert told(hand, "engagement_count", "day", "01-02") == (4, "ok", 1.0)
    assert told(hand, "saves", "day", "01-02") == (None, "not_applicable", None)


def test_of_the_statuses_of_the_accounts_the_most_telling_stands() -> None:
    hand = one_post("x/main", "x/program", known=["01-01"], counters={"01-02": 5})
    hand.night("01-02", account="x/program", failed="not_permitted")
    hand.night("01-02", account="x/main", failed="missing")
    assert told(hand, "reactions", "day", "01-02", "x/main")[1] == "missing_input"
    assert told(hand, "reactions", "day", "01-02", "x/program")[1] == "not_permitted"
    assert told(hand, "reactions", "day", "01-02")[1] == "not_permitted"


def test_views_are_added_where_a_platform_gives_them() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-03"))
    hand.give("views")
    hand.post("x/main", "p", at("01-02", "09:00"))
    hand.seen("p", {"01-02": {"views": 40}, "01-03": {"views": 70}})
    assert told(hand, "views", "week", "2025-12-29")[:2] == (70, "ok")


# -- what platforms give, refuse and give no more ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("counters", [{"01-02": 5, "01-03": 9}, {}])
def test_a_measure_that_the_platform_gives_no_more_is_retired_and_neither_zero_nor_missing(counters: Mapping[str, int]) -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters=counters)
    hand.give("saves", needs_field="saved")
    hand.deny("saved", how="retired_fields")
    assert told(hand, "saves", "day", "01-03")[:2] == (None, "retired")
    assert told(hand, "engagement_count", "day", "01-03")[:2] == (None, "retired")
    assert told(hand, "reactions", "day", "01-03")[1] == "ok"


def test_a_measure_is_not_applicable_before_its_first_day_and_retired_after_its_last() -> None:
    hand = one_post("x/main", known=span("01-01", "01-05"), counters={"01-02": 5})
    hand.give("saves", valid_from=day("01-03"), valid_to=day("01-04"))
    days = {one: told(hand, "saves", "day", one)[1] for one in span("01-02", "01-05")}
    assert [*days.values()] == ["not_applicable", "ok", "ok", "retired"]


def test_a_type_of_post_that_lacks_a_measure_does_not_leave_the_days_sum_unknown() -> None:
    hand = one_post("x/main", known=span("01-01", "01-03"), counters={"01-02": 5})
    hand.give("saves", post_types=("post", "carousel"))
    hand.post("x/main", "r", at("01-02", "10:00"), post_type="reel")
    hand.seen("r", {"01-02": {"reactions": 1, "saves": None}})
    assert told(hand, "saves", "day", "01-02") == (0, "ok", 1.0)
    assert told(hand, "reactions", "day", "01-02") == (6, "ok", 1.0)


@pytest.mark.parametrize("kind", ["reel", "short", "video", "live", "carousel", "quote"])
def test_every_type_of_post_counts_but_stories_are_none(kind: str) -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-03"))
    hand.post("x/main", "p", at("01-02"), post_type=kind)
    hand.post("x/main", "s", at("01-02"), post_type="story")
    assert told(hand, "posts", "day", "01-02") == (1, "ok", 1.0)


def with_comments(*, comments: list[str], mentions: list[str]) -> Hand:
    """An account whose comments come by a stream of their own, with the nights of each stream; the posts' nights are the comments'."""
    hand = Hand("x/main")
    hand.stream("x", "comments", "event", lookback_days=7)
    hand.give("comments_audience", streams=["comments"])
    hand.give("conversation_items", streams=["comments", "mentions"])
    hand.night(*comments, streams=["accounts", "posts", "comments"])
    hand.night(*mentions, streams=["mentions"])
    hand.post("x/main", "p", at("01-14", "09:00"))
    hand.comment("p", at("01-14"), "c")
    hand.mention("x/main", at("01-14"), "m")
    return hand


def test_comments_are_known_by_the_stream_that_brings_them_and_conversation_by_both() -> None:
    hand = with_comments(comments=span("01-01", "01-20"), mentions=["01-01"])
    assert told(hand, "comments_audience", "day", "01-14") == (1, "ok", 1.0)
    assert told(hand, "mentions", "day", "01-14")[:2] == (None, "missing_input")
    assert told(hand, "conversation_volume", "day", "01-14")[:2] == (None, "missing_input")
    other = with_comments(comments=["01-01", "01-20"], mentions=span("01-01", "01-20"))
    assert told(other, "comments_audience", "day", "01-10")[:2] == (None, "missing_input")
    assert told(other, "mentions", "day", "01-14") == (1, "ok", 1.0)
    whole = with_comments(comments=span("01-01", "01-20"), mentions=span("01-01", "01-20"))
    assert told(whole, "conversation_volume", "day", "01-14") == (2, "ok", 1.0)


def test_a_platform_without_mentions_has_a_conversation_of_its_comments() -> None:
    hand = Hand("x/main")
    hand.stream("x", "comments", "event", lookback_days=7)
    hand.give("comments_audience", "conversation_items", streams=["comments"])
    hand.give("mentions", is_given=False, streams=[])
    hand.night(*span("01-01", "01-20"), streams=["accounts", "posts", "comments"])
    hand.post("x/main", "p", at("01-14", "09:00"))
    hand.comment("p", at("01-14"), "c")
    for level in ("x/main", "x", "all"):
        assert told(hand, "conversation_volume", "day", "01-14", level) == (1, "ok", 1.0)
        assert told(hand, "mentions", "day", "01-14", level)[1] == "not_applicable"
    assert hand.value("conversation_volume", "week", "01-12")["is_provisional"] is True


def test_a_day_needs_every_stream_that_its_measure_names() -> None:
    hand = Hand("x/main")
    hand.stream("x", "stories", "snapshot", lookback_days=1, expires_hours=24)
    hand.give("reactions", streams=["posts", "stories"])
    hand.night("01-01", "01-02", "01-04", streams=[*STREAMS, "stories"])
    hand.night("01-03")
    assert [told(hand, "reactions", "day", one)[1] for one in span("01-01", "01-04")] == ["insufficient_history", "ok", "lost", "ok"]
    assert told(hand, "shares", "day", "01-03")[1] == "ok"


# -- audience -------------------------------------------------------------------------------------------------------------------------


def audience(counts: Mapping[str, Mapping[str, int | None]], *known: str) -> Hand:
    """Accounts with their followers at the end of days; all nights of `known` ran."""
    hand = Hand(*counts)
    hand.night(*known)
    for account, followers in counts.items():
        hand.followers(account, followers)
    return hand


def test_growth_is_the_change_over_the_start_which_is_the_day_before_the_period() -> None:
    hand = audience({"x/main": {"01-04": 200, "01-11": 210}}, *span("01-04", "01-11"))
    row = hand.value("audience_growth_rate", "week", "01-05")
    assert (row["value"], row["numerator"], row["denominator"], row["n"], row["coverage"]) == (0.05, 10, 200, 1, 1.0)


def test_growth_from_nothing_has_no_rate_but_a_number() -> None:
    hand = audience({"x/main": {"01-04": 0, "01-11": 10}}, *span("01-04", "01-11"))
    assert told(hand, "audience_growth_rate", "week", "01-05") == (None, "zero_denominator", 1.0)
    assert told(hand, "net_new_followers", "week", "01-05") == (10, "ok", 1.0)


def test_a_start_before_the_first_known_day_is_insufficient_history() -> None:
    hand = audience({"x/main": {"01-06": 200, "01-11": 210}}, *span("01-06", "01-11"))
    assert told(hand, "net_new_followers", "week", "01-05") == (None, "insufficient_history", 0.0)
    assert told(hand, "followers", "week", "01-05") == (210, "ok", 1.0)


def test_a_start_or_an_end_in_a_missed_night_is_lost() -> None:
    hand = audience({"x/main": {"01-03": 200, "01-11": 210}}, "01-03", "01-05", "01-11", "01-13")
    assert told(hand, "net_new_followers", "week", "01-05") == (None, "lost", 0.0)
    assert told(hand, "followers", "day", "01-12") == (None, "lost", 0.0)


def test_an_end_that_is_the_as_of_day_and_failed_is_missing() -> None:
    hand = audience({"x/main": {"01-04": 200}}, "01-04")
    hand.night("01-05", failed="missing")
    assert told(hand, "followers", "week", "01-05") == (None, "missing_input", 0.0)


def test_followers_that_were_not_given_are_missing_and_not_zero() -> None:
    hand = audience({"x/main": {"01-04": 200, "01-05": None}}, "01-04", "01-05")
    assert told(hand, "followers", "day", "01-05") == (None, "missing_input", 0.0)


def test_over_several_accounts_growth_uses_only_those_with_both_ends() -> None:
    counts = {"x/main": {"01-04": 1000, "01-11": 1100}, "x/program": {"01-11": 900}, "mastodon/m": {"01-04": 100, "01-11": 100}}
    hand = audience(counts, *span("01-04", "01-11"))
    row = hand.value("audience_growth_rate", "week", "01-05")
    assert (row["numerator"], row["denominator"], row["n"]) == (100, 1100, 2)
    assert row["coverage"] == pytest.approx(2 / 3)
    assert hand.value("followers", "week", "01-05")["value"] == 2100


def test_while_a_period_runs_its_end_is_the_as_of_day_and_it_is_provisional() -> None:
    hand = audience({"x/main": {"01-04": 200, "01-07": 206}}, *span("01-04", "01-07"))
    row = hand.value("net_new_followers", "week", "01-05")
    assert (row["value"], row["is_provisional"], row["is_complete_period"]) == (6, True, False)


@pytest.mark.parametrize(("as_of", "is_provisional"), [("01-17", True), ("01-18", False)])
def test_counts_of_events_stay_provisional_for_a_week_after_the_period_and_counters_do_not(as_of: str, *, is_provisional: bool) -> None:
    hand = one_post("x/main", known=span("01-01", as_of), counters={"01-06": 5})
    assert hand.value("comments_audience", "week", "01-05")["is_provisional"] is is_provisional
    assert hand.value("engagement_count", "week", "01-05")["is_provisional"] is is_provisional
    assert hand.value("reactions", "week", "01-05")["is_provisional"] is False


# -- goal populations -----------------------------------------------------------------------------------------------------------------

GIVING = {"community_engagement": {}, "fundraising": {"accounts": ["x/main"], "posts": {"hashtags": ["#Zakat"], "keywords": ["Wakaf"]}}}


@pytest.fixture(scope="module")
def giving() -> Hand:
    """A goal judged by one account's posts that carry a hashtag or a word; the other posts and the other account are not its."""
    hand = Hand("x/main", "x/program", goals=GIVING)
    hand.night(*span("01-01", "01-20"))
    hand.followers("x/main", {"01-04": 100, "01-06": 100, "01-11": 120})
    posts: tuple[tuple[str, str, list[str], str], ...] = (
        ("tag", "x/main", ["zakat"], ""),
        ("word", "x/main", [], "Mari BERWAKAF"),
        ("none", "x/main", [], "Salam"),
        ("far", "x/program", ["zakat"], ""),
    )
    for number, (identity, account, hashtags, text) in enumerate(posts):
        hand.post(account, identity, at("01-06", "09:00"), hashtags=hashtags, text=text)
        hand.seen(identity, {"01-06": 10**number, "01-12": 2 * 10**number})
        hand.comment(identity, at("01-07"), f"on {identity}")
    hand.post("x/main", "part", at("01-06", "09:05"), post_type="thread_part", root_id="tag", text="tanpa tagar")
    hand.seen("part", {"01-06": 10_000, "01-12": 20_000})
    hand.mention("x/main", at("01-07"), "on tag", is_comment=True)
    hand.mention("x/main", at("01-07"), "m")
    hand.mention("x/program", at("01-07"), "n")
    return hand


def test_a_post_belongs_by_hashtag_or_by_word_and_a_part_of_a_thread_with_its_first(giving: Hand) -> None:
    assert told(giving, "reactions", "day", "01-06", population="fundraising") == (1 + 10 + 10_000, "ok", 1.0)
    assert told(giving, "reactions", "day", "01-06") == (11_111, "ok", 1.0)
    assert told(giving, "posts", "week", "01-05", population="fundraising")[0] == 2
    assert giving.value("applause_rate", "week", "01-05", population="fundraising")["numerator"] == 2 + 20 + 20_000


def test_comments_of_a_goal_are_those_on_its_posts_and_mentions_stay_whole(giving: Hand) -> None:
    assert told(giving, "comments_audience", "day", "01-07", population="fundraising")[0] == 2
    assert told(giving, "mentions", "day", "01-07", population="fundraising")[0] == 2
    assert told(giving, "conversation_volume", "day", "01-07", population="fundraising")[0] == 3
    assert told(giving, "conversation_volume", "day", "01-07")[0] == 4 + 2


def test_followers_of_a_goal_are_those_of_its_accounts_whole(giving: Hand) -> None:
    assert told(giving, "followers", "day", "01-11", population="fundraising") == (120, "ok", 1.0)
    assert "x/program" not in {
        f"{row['platform']}/{row['account_id']}"
        for row in giving.values("followers").iter_rows(named=True)
        if row["population_id"] == "fundraising"
    }
