"""What answers for a goal: the wide table with a status beside each value, and the scorecard with target, past and state.

Not here: the values themselves (test_indicators_*.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from assets.goals import goals, tables
from assets.goals.tables import SCORECARD, goal_tables
from assets.indicators import family_tables
from assets.indicators.registry import indicators
from assets.reference import ACCOUNT, AVAILABILITY, DEFINITION_BREAK, GOAL_POPULATION
from pipelines import engine
from tests.support.hand import Hand, Row, at, day, frame, span

GOAL = "community_engagement"
BREAK_INPUTS = {"breaks": DEFINITION_BREAK, "populations": GOAL_POPULATION, "accounts_": ACCOUNT, "availability": AVAILABILITY}
Key = tuple[str, str, str]
Values = Mapping[Key, float | None]


def end_of(period: str, start: date) -> date:
    if period == "month":
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return start + timedelta(days={"week": 6, "trailing_28d": 27}[period])


def families(values: Values, as_of: str, population: str = "all", coverage: Mapping[Key, float] | None = None) -> dict[str, pl.DataFrame]:
    """The families' tables with these values at the institution; None is a value that is missing."""
    rows: dict[str, list[Row]] = {family: [] for family in family_tables()}
    for (indicator, period, start), value in values.items():
        entry, end = indicators()[indicator], end_of(period, day(start))
        rows[entry.family].append(
            {
                "indicator_key": indicator, "population_id": population, "scope": "all", "level": "institution", "platform": "all",
                "account_id": "all", "dimension": "all", "dimension_value": "all", "period_type": period, "period_start": day(start),
                "period_end": end, "cohort": entry.cohort, "paid_scope": "unknown", "value": value, "unit": entry.unit,
                "status": "missing_input" if value is None else "ok", "is_complete_period": end <= day(as_of), "as_of": day(as_of),
                "definition_version": 1, "coverage": (coverage or {}).get((indicator, period, start), 1.0),
            }
        )  # fmt: skip
    return {family: frame(table, *rows[family]) for family, table in family_tables().items()}


def scored(
    values: Values,
    targets: Sequence[Mapping[str, Any]] = (),
    as_of: str = "12-31",
    coverage: Mapping[Key, float] | None = None,
    breaks: Sequence[tuple[str, str, str]] = (),
    **goal: object,
) -> list[Row]:
    """The scorecard of the goal for these values; `breaks` are platform, measure and day."""
    hand = Hand("x/main", "mastodon/m", goals={GOAL: goal}, targets=[{"goal": GOAL} | dict(target) for target in targets])
    for platform, measure, one in breaks:
        hand.put(DEFINITION_BREAK, platform=platform, measure=measure, day=day(one), note="counts otherwise")
    transform = next(one for one in tables.transforms() if one.output.name == SCORECARD.name)
    known = families(values, as_of, population=hand.institution.population_of(GOAL), coverage=coverage)
    inputs = {source.name: known[source.name] if source.name in known else hand.make(source.table) for source in transform.inputs}
    return engine.collect(transform, {name: one.lazy() for name, one in inputs.items()}).to_dicts()


def score(
    values: Values, targets: Sequence[Mapping[str, Any]] = (), as_of: str = "12-31", at_key: tuple[str, str, str] | None = None
) -> Row:
    """The scorecard's row of the last of these values, or of another."""
    indicator, period, start = at_key or list(values)[-1]
    found = [
        row
        for row in scored(values, targets, as_of)
        if (row["indicator_key"], row["period_type"], row["period_start"]) == (indicator, period, day(start))
    ]
    assert len(found) == 1
    return found[0]


def target(indicator: str, value: float, valid_from: str = "01-01", period: str = "month", kind: str = "absolute") -> dict[str, object]:
    return {"indicator": indicator, "period": period, "value": value, "type": kind, "valid_from": day(valid_from)}


REACTIONS = ("reactions", "month", "03-01")


@pytest.mark.parametrize(
    ("value", "attainment", "rag"), [(100, 1.0, "green"), (150, 1.5, "green"), (80, 0.8, "amber"), (79, 0.79, "red"), (0, 0.0, "red")]
)
def test_where_higher_is_better_attainment_is_the_value_over_the_target(value: float, attainment: float, rag: str) -> None:
    row = score({REACTIONS: value}, [target("reactions", 100)])
    assert (row["target"], row["target_type"], row["attainment"], row["rag"]) == (100, "absolute", attainment, rag)


@pytest.mark.parametrize(("value", "attainment", "rag"), [(0.4, 1.0, "green"), (0.5, 0.8, "amber"), (0.8, 0.5, "red"), (0, 1.2, "green")])
def test_where_lower_is_better_attainment_is_the_target_over_the_value_and_nothing_reaches_the_cap(
    value: float, attainment: float, rag: str
) -> None:
    row = score({("bounce_rate", "month", "03-01"): value}, [target("bounce_rate", 0.4)])
    assert (row["direction"], row["attainment"], row["rag"]) == ("lower", pytest.approx(attainment), rag)


def test_on_a_signed_scale_attainment_counts_from_its_lower_end() -> None:
    rows = pl.LazyFrame(
        {"value": [0.0, -1.0], "target": [0.5, 0.5], "scale_min": [-1.0, -1.0], "direction": ["higher"] * 2, "previous_value": [None, 0.5],
         "additivity": ["ratio"] * 2, "benchmark": [None, None], "alias_of": [None, None],
         "is_complete_period": [True] * 2, "weight": [1.0] * 2, "is_comparable": [True] * 2, "break_told": [None, None]},
        schema_overrides={"break_told": pl.String, "previous_value": pl.Float64, "benchmark": pl.Float64, "alias_of": pl.String},
    )  # fmt: skip
    assert tables._judged(rows).collect()["attainment"].to_list() == [pytest.approx(1 / 1.5), 0.0]


@pytest.mark.parametrize(
    ("values", "targets", "as_of"),
    [
        ({REACTIONS: 5}, [], "12-31"),
        ({REACTIONS: None}, [target("reactions", 100)], "12-31"),
        ({REACTIONS: 5}, [target("reactions", 0)], "12-31"),
    ],
)
def test_without_target_or_value_and_for_a_target_of_nothing_the_light_is_grey(
    values: Values, targets: list[dict[str, object]], as_of: str
) -> None:
    row = score(values, targets, as_of)
    assert (row["attainment"], row["rag"]) == (None, "grey")


def test_a_period_that_runs_has_its_attainment_but_no_light() -> None:
    row = score({REACTIONS: 120}, [target("reactions", 100)], as_of="03-20")
    assert (row["attainment"], row["rag"], row["is_complete_period"]) == (1.2, "grey", False)


def test_a_target_that_changed_inside_the_period_counts_by_its_days() -> None:
    """March has 31 days: 10 under the old target, 21 under the new one."""
    row = score({REACTIONS: 100}, [target("reactions", 100), target("reactions", 131, "03-11")])
    assert row["target"] == pytest.approx((10 * 100 + 21 * 131) / 31)


def test_a_target_holds_from_its_day_on_and_only_for_its_kind_of_period() -> None:
    assert score({REACTIONS: 100}, [target("reactions", 100, "04-01")])["target"] is None
    assert score({REACTIONS: 100}, [target("reactions", 100, "03-31")])["target"] == 100
    assert score({REACTIONS: 100}, [target("reactions", 100, period="week")])["target"] is None


def test_a_growth_target_is_over_the_previous_period() -> None:
    before = {("reactions", "month", "02-01"): 200.0}
    row = score(before | {REACTIONS: 210}, [target("reactions", 0.1, kind="growth")])
    assert (row["target"], row["target_type"], row["attainment"]) == (pytest.approx(220), "growth", pytest.approx(210 / 220))
    assert score({REACTIONS: 210}, [target("reactions", 0.1, kind="growth")])["target"] is None


def test_a_benchmark_target_is_over_the_median_of_the_own_past() -> None:
    past = {("reactions", "month", f"2025-{month:02}-01"): float(month) for month in (9, 10, 11, 12)}
    row = score(past | {("reactions", "month", "01-01"): 21}, [target("reactions", 2, kind="benchmark")])
    assert (row["benchmark"], row["benchmark_source"], row["target"], row["attainment"]) == (10.5, "own_trailing_median_12", 21, 1)


def test_fewer_than_four_known_periods_are_no_benchmark() -> None:
    past: dict[tuple[str, str, str], float | None] = {("reactions", "month", f"2025-{month:02}-01"): 1.0 for month in (10, 11, 12)}
    past["reactions", "month", "2025-09-01"] = None
    row = score(past | {("reactions", "month", "01-01"): 21})
    assert (row["benchmark"], row["benchmark_source"]) == (None, None)


@pytest.mark.parametrize(
    ("period", "before", "now"),
    [("month", "02-01", "03-01"), ("month", "2025-12-01", "01-01"), ("week", "02-23", "03-02"), ("trailing_28d", "02-01", "03-01")],
)
def test_the_previous_value_is_that_of_the_period_before(period: str, before: str, now: str) -> None:
    row = score({("reactions", period, before): 40, ("reactions", period, now): 50})
    assert (row["previous_value"], row["change_abs"], row["change_pct"]) == (40, 10, 0.25)


def test_a_change_from_nothing_has_no_percentage_and_a_rates_change_is_in_points() -> None:
    row = score({("reactions", "month", "02-01"): 0, REACTIONS: 50})
    assert (row["change_abs"], row["change_pct"]) == (50, None)
    row = score({("audience_growth_rate", "month", "02-01"): 0.02, ("audience_growth_rate", "month", "03-01"): 0.05})
    assert (row["change_abs"], row["change_pct"]) == (pytest.approx(0.03), None)


def test_without_a_value_on_either_side_there_is_no_change() -> None:
    row = score({("reactions", "month", "02-01"): None, REACTIONS: 50})
    assert (row["previous_value"], row["change_abs"], row["change_pct"]) == (None, None, None)


WEEKS = [(day("01-05") + timedelta(days=7 * n)).isoformat() for n in range(12)]


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        (list(range(12)), "up"),
        (list(range(12, 0, -1)), "down"),
        ([5, 6] * 6, "flat"),
        ([7] * 12, "flat"),
        ([None] * 5 + list(range(7)), "insufficient_history"),
        ([None] * 4 + list(range(8)), "up"),
    ],
)
def test_a_trend_needs_eight_known_periods_of_twelve_and_a_slope_that_leaves_zero_out(values: list[float | None], trend: str) -> None:
    given: Values = {("reactions", "week", week): value for week, value in zip(WEEKS, values, strict=True)}
    assert score(given)["trend"] == trend


def test_a_period_that_runs_has_no_trend() -> None:
    given = {("reactions", "week", week): float(number) for number, week in enumerate(WEEKS)}
    assert score(given, as_of=WEEKS[-1])["trend"] == "insufficient_history"


def test_the_scorecard_holds_every_indicator_of_the_goal_also_those_without_a_value() -> None:
    rows = scored({REACTIONS: 5})
    assert [row["indicator_key"] for row in sorted(rows, key=lambda row: row["position"])] == list(goals()[GOAL].indicator_keys)
    by_key = {row["indicator_key"]: row for row in rows}
    assert (by_key["net_sentiment"]["value"], by_key["net_sentiment"]["status"]) == (None, "not_connected")
    assert by_key["bounce_rate"]["named_by"] == "earlier_article"
    assert by_key["reactions"]["named_by"] == "practice"


def test_another_name_of_a_measure_shows_its_value_and_says_so() -> None:
    rows = scored({("shares", "month", "03-01"): 7})
    by_key = {row["indicator_key"]: row for row in rows}
    assert (by_key["amplification"]["value"], by_key["amplification"]["notes"]) == (7, "the same measure as shares")


def test_only_goals_that_are_pursued_are_scored() -> None:
    assert {row["goal_key"] for row in scored({REACTIONS: 5})} == {GOAL}


# -- the wide table -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide() -> pl.DataFrame:
    """The goal's table of an institution with one post, by its own rule of posts."""
    hand = Hand("x/main", "mastodon/m", goals={GOAL: {"posts": {"hashtags": ["zakat"]}}})
    hand.night(*span("01-01", "01-20"))
    hand.post("x/main", "p", at("01-06", "09:00"), hashtags=["zakat"])
    hand.post("x/main", "q", at("01-06", "09:00"))
    hand.seen("p", {"01-06": 5, "01-12": 8})
    hand.seen("q", {"01-06": 50, "01-12": 80})
    return hand.make(goal_tables()[GOAL])


def only(wide: pl.DataFrame, **where: object) -> Row:
    key = {"level": "institution", "period_type": "week", "period_start": day("01-05")} | where
    rows = wide.filter(pl.all_horizontal(pl.col(name) == pl.lit(value) for name, value in key.items())).to_dicts()
    assert len(rows) == 1
    return rows[0]


def test_the_wide_table_counts_the_goals_own_population(wide: pl.DataFrame) -> None:
    assert set(wide["population_id"]) == {GOAL}
    assert only(wide, cohort="activity")["reactions"] == 5
    row = only(wide, cohort="publication_d7")
    assert (row["applause_rate"], row["applause_rate_numerator"], row["applause_rate_denominator"]) == (8, 8, 1)


def test_every_indicator_of_the_goal_has_a_status_in_every_row(wide: pl.DataFrame) -> None:
    for key in goals()[GOAL].indicator_keys:
        assert wide[f"{key}_status"].null_count() == 0
        assert wide.filter(pl.col(key).is_null() == (pl.col(f"{key}_status") == "ok")).is_empty()
    assert only(wide, cohort="activity")["net_sentiment_status"] == "not_connected"
    assert only(wide, cohort="activity")["bounce_rate_status"] == "not_connected"
    assert only(wide, cohort="activity", level="platform", platform="mastodon")["saves_status"] == "not_applicable"


def test_an_alias_stands_beside_its_original_with_the_same_value(wide: pl.DataFrame) -> None:
    row = only(wide, cohort="activity")
    assert (row["amplification"], row["amplification_status"]) == (0, "ok")


def test_a_goal_that_is_not_pursued_has_an_empty_table() -> None:
    hand = Hand("x/main")
    hand.night(*span("01-01", "01-03"))
    assert hand.make(goal_tables()["recruitment"]).is_empty()


def test_a_period_of_which_too_little_is_known_is_neither_judged_nor_compared_with() -> None:
    february, march, april = (("reactions", "month", f"0{month}-01") for month in (2, 3, 4))
    rows = scored({february: 100, march: 20, april: 110}, [target("reactions", 0.1, kind="growth")], coverage={march: 0.3})
    by_start = {row["period_start"].month: row for row in rows if row["indicator_key"] == "reactions" and row["period_type"] == "month"}
    assert (by_start[3]["attainment"], by_start[3]["rag"]) == (None, "grey")
    assert by_start[3]["notes"] == "too little of the period is known: neither judged nor compared with"
    assert (by_start[4]["previous_value"], by_start[4]["target"], by_start[4]["change_abs"]) == (None, None, None)


def test_a_week_with_one_lost_night_is_still_judged() -> None:
    week = ("reactions", "week", "03-02")
    rows = scored({week: 80}, [target("reactions", 100, period="week")], coverage={week: 6 / 7})
    assert next(row for row in rows if row["indicator_key"] == "reactions" and row["period_type"] == "week")["rag"] == "amber"


def test_followers_with_an_account_missing_are_not_compared() -> None:
    march, april = (("followers", "month", f"0{month}-01") for month in (3, 4))
    rows = scored({march: 100, april: 60}, coverage={april: 0.5})
    row = next(row for row in rows if row["indicator_key"] == "followers" and row["period_start"].month == 4)
    assert row["notes"] == "too little of the period is known: neither judged nor compared with"


def test_a_running_period_is_not_compared_with_a_whole_one() -> None:
    march, april = (("reactions", "month", f"0{month}-01") for month in (3, 4))
    row = next(row for row in scored({march: 100, april: 10}, as_of="04-03") if row["period_start"].month == 4 and row["value"] == 10)
    assert (row["previous_value"], row["change_abs"], row["change_pct"], row["rag"]) == (100, None, None, "grey")


def test_growth_from_a_loss_sets_no_target_and_a_target_below_zero_judges_nothing() -> None:
    march, april = (("net_new_followers", "month", f"0{month}-01") for month in (3, 4))
    aims = [target("net_new_followers", 0.05, kind="growth")]
    assert score({march: -8, april: -20}, aims)["target"] is None
    assert score({april: -20}, [target("net_new_followers", -10)])["attainment"] is None


def test_a_disabled_indicator_keeps_its_value_and_is_not_judged() -> None:
    rows = scored({REACTIONS: 100}, [target("reactions", 100)], disabled=["reactions"])
    row = next(row for row in rows if row["indicator_key"] == "reactions" and row["period_type"] == "month")
    assert (row["value"], row["attainment"], row["rag"], row["notes"]) == (100, None, "grey", "disabled by the institution: not judged")


# -- changes of definition ------------------------------------------------------------------------------------------------------------


def over(indicator: str, *breaks: tuple[str, str, str], **goal: Any) -> dict[str, Row]:
    """The months of 2026 of an indicator that rises by ten a month, by MM, with days on which definitions changed."""
    values = {(indicator, "month", f"{month:02}-01"): 10.0 * month for month in range(1, 13)}
    return {f"{row['period_start']:%m}": row for row in scored(values, breaks=breaks, **goal) if row["indicator_key"] == indicator}


def test_no_change_no_benchmark_and_no_trend_cross_a_day_on_which_a_platform_changed_what_a_measure_means() -> None:
    rows = over("link_clicks", ("x", "link_clicks", "08-24"))
    assert (rows["07"]["change_abs"], rows["07"]["notes"]) == (10, None)
    told = "a definition changed, not compared with the period before (x 2026-08-24: counts otherwise)"
    for month in ("08", "09"):
        assert [rows[month][name] for name in ("value", "previous_value", "change_abs", "change_pct", "benchmark", "notes")] == [
            10.0 * int(month), None, None, None, None, told,
        ]  # fmt: skip
    assert (rows["10"]["change_abs"], rows["10"]["notes"]) == (10, None)
    assert rows["12"]["benchmark"] is None
    assert {month: row["trend"] for month, row in rows.items() if row["trend"] != "insufficient_history"} == dict.fromkeys(
        ("08", "09", "10", "11", "12"), "definition_break"
    )


def test_a_change_on_the_first_day_of_a_period_parts_it_from_the_one_before_alone() -> None:
    rows = over("link_clicks", ("x", "link_clicks", "08-01"))
    assert [rows[month]["change_abs"] for month in ("07", "08", "09")] == [10, None, 10]


def test_a_change_before_all_points_of_the_trend_leaves_it_be() -> None:
    assert over("link_clicks", ("x", "link_clicks", "01-01"))["12"]["trend"] == "up"


@pytest.mark.parametrize(
    ("indicator", "broken", "is_flagged"),
    [
        ("impressions", ("x", "*", "08-24"), True),
        ("engagement_rate_views", ("x", "impressions", "08-24"), True),
        ("comment_score_index", ("mastodon", "followers", "08-24"), True),
        ("conversation_volume", ("mastodon", "mentions", "08-24"), True),
        ("impressions", ("x", "views", "08-24"), False),
        ("impressions", ("mastodon", "*", "08-24"), False),
        ("impressions", ("x", "reactions", "08-24"), False),
    ],
)
def test_a_change_concerns_the_indicators_that_are_made_of_what_the_platform_gives(
    indicator: str, broken: tuple[str, str, str], *, is_flagged: bool
) -> None:
    goal = next(key for key, one in goals().items() if indicator in one.indicator_keys)
    hand = Hand("x/main", "mastodon/m", goals={goal: {}})
    hand.put(DEFINITION_BREAK, platform=broken[0], measure=broken[1], day=day(broken[2]), note="counts otherwise")
    tables_of = {name: hand.make(table).lazy() for name, table in BREAK_INPUTS.items()}
    found = tables._breaks(**tables_of).filter(pl.col("computed_key") == indicator).collect()
    assert found["broken"].to_list() == ([day("08-24")] if is_flagged else [])


def test_a_change_on_a_platform_whose_accounts_do_not_count_for_the_goal_is_none_of_its() -> None:
    own: dict[str, Any] = {"accounts": ["mastodon/m"]}
    assert over("engagement_count", ("x", "reactions", "08-24"), **own)["08"]["notes"] is None
    assert over("engagement_count", ("mastodon", "reactions", "08-24"), **own)["08"]["notes"] is not None
