"""The tables that answer for a goal: one wide table each, and the scorecard over all of them.

Not here: which indicators judge a goal (one module each) and how a value is computed (assets/indicators).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, partial

import polars as pl

from assets.goals import goals
from assets.goals.goal import Goal
from assets.indicators import family_tables
from assets.indicators.registry import Indicator, indicators
from assets.indicators.values import ALL, KEY_COLUMNS
from assets.reference import ACCOUNT, AVAILABILITY, DEFINITION_BREAK, GOAL_CHOICE, GOAL_INDICATOR, GOAL_POPULATION, INDICATOR, TARGET
from assets.transform import Input, Transform
from pipelines.tables import Column, Table, key

WIDE_KEY_COLUMNS = tuple(column for column in KEY_COLUMNS if column.name != "indicator_key")
WIDE_KEY = [column.name for column in WIDE_KEY_COLUMNS]
SCORE_PERIODS = ("week", "month", "trailing_28d")
TREND_PERIODS = 12
# Fewer known periods than this among the last 12 say nothing of a direction [D].
TREND_MIN_KNOWN = 8
BENCHMARK_MIN_KNOWN = 4
# A week with one lost night is still compared, half a month is not [D]. Of followers every account must be there.
COMPARABLE_COVERAGE = 0.8
ATTAINMENT_CAP = 1.2
GREEN_FROM, AMBER_FROM = 1.0, 0.8
# A measure that is made of others changes its meaning with them.
MADE_OF = {
    "exposures": ("views", "impressions"),
    "followers_at_publication": ("followers",),
    "account_reach": ("account_reach_7d", "account_reach_28d"),
    "conversation_items": ("comments_audience", "mentions"),
}
# Twelve months, the longest reach back of a trend, and the month before them.
SCORE_LOOKBACK_DAYS = 430


def _resolved(key_: str) -> Indicator:
    entry = indicators()[key_]
    return indicators()[entry.alias_of] if entry.alias_of else entry


def goal_table(goal: Goal) -> Table:
    """`goals.goal_<key>`: the key of the long table less the indicator, and for each indicator its value, status and, for ratios, parts."""
    columns: list[Column] = []
    for key_ in goal.indicator_keys:
        entry = indicators()[key_]
        columns += [
            Column(key_, "DOUBLE", f"{entry.label.en} ({entry.unit}); NULL exactly when the status is not ok"),
            key(f"{key_}_status", "VARCHAR", f"{entry.label.en}: ok, or why there is no value"),
        ]
        if entry.additivity == "ratio":
            columns += [
                Column(f"{key_}_numerator", "BIGINT", f"{entry.label.en}: what is divided; NULL = not known"),
                Column(f"{key_}_denominator", "BIGINT", f"{entry.label.en}: what it is divided by; NULL = not known"),
            ]
    return Table(
        f"goals.goal_{goal.key}",
        f"One row per level, account and period for the goal '{goal.label_en}': every indicator that judges it, with its status.",
        (
            *WIDE_KEY_COLUMNS,
            key("period_end", "DATE", "Last day of the period by the calendar"),
            key("is_provisional", "BOOLEAN", "At least one of the values may still change by itself"),
            key("is_complete_period", "BOOLEAN", "The period has ended by the calendar"),
            *columns,
            key("as_of", "DATE", "Last snapshot day when the row last changed; the file's own is in meta.source_health"),
            key("run_id", "VARCHAR", "Run that wrote the row last"),
        ),
        key=tuple(WIDE_KEY),
        day="period_end",
    )


def _status_without_row(entry: Indicator) -> pl.Expr:
    """Why a wide row has no value for an indicator that has no row there: nobody computes it yet, or it stands elsewhere."""
    return pl.lit("not_applicable" if entry.is_computed else "not_connected")


def wide(goal: Goal, choices: pl.LazyFrame, **families: pl.LazyFrame) -> pl.LazyFrame:
    """The goal's indicators side by side, over the population by which the institution judges the goal."""
    chosen = choices.filter(pl.col("goal_key") == goal.key).select("institution_id", "population_id")
    computed = {key_: _resolved(key_) for key_ in goal.indicator_keys if _resolved(key_).is_computed}
    wanted = sorted({entry.key for entry in computed.values()})
    values = _all_values(families).filter(pl.col("indicator_key").is_in(wanted)).join(chosen, on=["institution_id", "population_id"])
    picked = []
    for key_, entry in computed.items():
        here = pl.col("indicator_key") == entry.key
        picked += [pl.col("value").filter(here).first().alias(key_), pl.col("status").filter(here).first().alias(f"{key_}_status")]
        if indicators()[key_].additivity == "ratio":
            picked += [pl.col(part).filter(here).first().alias(f"{key_}_{part}") for part in ("numerator", "denominator")]
    table = goal_table(goal)
    rows = values.group_by(WIDE_KEY).agg(
        pl.col("period_end").first(),
        pl.col("is_provisional").any(),
        pl.col("is_complete_period").first(),
        *picked,
        pl.col("as_of").max(),
        run_id=pl.lit(""),
    )
    have = {expression.meta.output_name() for expression in picked}
    have |= {*WIDE_KEY, "period_end", "is_provisional", "is_complete_period", "as_of", "run_id"}
    missing = [
        _status_without_row(indicators()[column.name.removesuffix("_status")]).alias(column.name)
        if column.name.endswith("_status")
        else pl.lit(None, table.polars_schema[column.name]).alias(column.name)
        for column in table.columns
        if column.name not in have
    ]
    statuses = [pl.col(f"{key_}_status").fill_null(_status_without_row(entry)) for key_, entry in computed.items()]
    return rows.with_columns(*missing).with_columns(*statuses).select(table.names)


def _all_values(families: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    return pl.concat([families[family] for family in family_tables()])


SCORECARD = Table(
    "goals.goal_scorecard",
    "One row per goal, indicator and period of an institution: the value beside its target, its past and its state.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("goal_key", "VARCHAR", "The goal"),
        key("indicator_key", "VARCHAR", "The indicator"),
        key("named_by", "VARCHAR", "Who names it: article, earlier_article, reconstructed or practice"),
        key("position", "INTEGER", "Place in the goal's list"),
        key("amec_level", "VARCHAR", "Level of the AMEC framework: a goal met on outputs alone is not met"),
        key("population_id", "VARCHAR", "Whose figures count"),
        key("period_type", "VARCHAR", "week, month or trailing_28d"),
        key("period_start", "DATE", "First day"),
        key("period_end", "DATE", "Last day"),
        Column("value", "DOUBLE", "The value; NULL exactly when the status is not ok"),
        key("unit", "VARCHAR", "Unit of the value"),
        Column("numerator", "BIGINT", "What was divided, or the count itself; NULL = not known"),
        Column("denominator", "BIGINT", "What it was divided by; NULL = not a ratio, or not known"),
        Column("n", "BIGINT", "Units behind the value; NULL = not known"),
        Column("ci_low", "DOUBLE", "Lower end of the 95 % interval; NULL = none is defined"),
        Column("ci_high", "DOUBLE", "Upper end of the 95 % interval; NULL = none is defined"),
        Column("target", "DOUBLE", "The value aimed at in this period, weighted by days where it changed; NULL = no target"),
        Column("target_type", "VARCHAR", "absolute, growth or benchmark; NULL = no target"),
        key("direction", "VARCHAR", "higher, lower, range or none is better"),
        Column(
            "attainment",
            "DOUBLE",
            "Value over target, or target over value where lower is better; 1 = reached; NULL = no target, disabled, or too little of the period is known",
        ),
        Column(
            "previous_value",
            "DOUBLE",
            "Value of the period before; NULL = none, too little of it is known, or a definition changed since it began",
        ),
        Column(
            "change_abs",
            "DOUBLE",
            "Value less the previous, for rates in the rate's own unit (0.01 = one percentage point); NULL = no pair, or the period runs",
        ),
        Column("change_pct", "DOUBLE", "The same over the previous value, as a fraction; NULL = no pair, previous 0, or a rate"),
        key("trend", "VARCHAR", "up, down or flat over the last 12 periods (Theil-Sen, 95 %), insufficient_history or definition_break"),
        Column(
            "benchmark",
            "DOUBLE",
            "Median of the institution's own last 12 complete periods, those before a change of definition left out; NULL = fewer than 4",
        ),
        Column("benchmark_source", "VARCHAR", "Where the benchmark comes from; NULL = none"),
        key("rag", "VARCHAR", "green from 1, amber from 0.8, red below; grey = no target, no value, or the period runs"),
        key("status", "VARCHAR", "ok, or why there is no value"),
        Column("coverage", "DOUBLE", "Share of what was expected that is behind the value; NULL = nothing was expected"),
        key("paid_scope", "VARCHAR", "organic, paid, total or unknown"),
        key("definition_version", "INTEGER", "Version of the indicator's definition"),
        key("is_provisional", "BOOLEAN", "May still change by itself"),
        key("is_complete_period", "BOOLEAN", "The period has ended by the calendar"),
        Column("notes", "VARCHAR", "What a reader must know beside the number; NULL = nothing"),
        key("as_of", "DATE", "Last snapshot day when the row last changed; the file's own is in meta.source_health"),
        key("run_id", "VARCHAR", "Run that wrote the row last"),
    ),
    key=("institution_id", "goal_key", "indicator_key", "period_type", "period_start"),
    day="period_end",
)
SERIES = ["institution_id", "goal_key", "indicator_key", "period_type"]


# The same as SQL: of a year's rows one in nine.
SCORED = f"level = 'institution' AND dimension = '{ALL}' AND scope = '{ALL}' AND period_type IN ({', '.join(repr(name) for name in SCORE_PERIODS)})"


def scorecard(  # noqa: PLR0913 each is a table
    choices: pl.LazyFrame,
    goal_indicators: pl.LazyFrame,
    definitions: pl.LazyFrame,
    targets: pl.LazyFrame,
    breaks: pl.LazyFrame,
    populations: pl.LazyFrame,
    accounts_: pl.LazyFrame,
    availability: pl.LazyFrame,
    since: date = date.min,
    **families: pl.LazyFrame,
) -> pl.LazyFrame:
    """Every indicator of every goal that the institution pursues, in every period: also those that have no value, with the reason."""
    listed = _listed(choices, goal_indicators, definitions)
    values = _all_values(families).filter(
        (pl.col("level") == "institution")
        & (pl.col("dimension") == ALL)
        & (pl.col("scope") == ALL)
        & pl.col("period_type").is_in(SCORE_PERIODS)
    )
    periods = values.group_by(["institution_id", "population_id", "period_type", "period_start"]).agg(
        pl.col("period_end").first(), pl.col("is_complete_period").first(), pl.col("as_of").max()
    )
    measured = values.select(
        "institution_id", "population_id", "period_type", "period_start", computed_key="indicator_key",
        value="value", status="status", numerator="numerator", denominator="denominator", n="n", ci_low="ci_low", ci_high="ci_high",
        coverage="coverage", paid_scope="paid_scope", is_provisional="is_provisional",
    )  # fmt: skip
    rows = (
        listed.join(periods, on=["institution_id", "population_id"])
        .join(measured, on=["institution_id", "population_id", "period_type", "period_start", "computed_key"], how="left")
        .with_columns(
            status=pl.col("status").fill_null("not_connected"),
            paid_scope=pl.col("paid_scope").fill_null("unknown"),
            is_provisional=pl.col("is_provisional").fill_null(~pl.col("is_complete_period")),
        )
        .sort(*SERIES, "period_start")
    )
    broken = _breaks(breaks, populations, accounts_, availability)
    return _judged(_with_targets(_with_past(rows, broken, since), targets)).with_columns(run_id=pl.lit("")).select(SCORECARD.names)


def _listed(choices: pl.LazyFrame, goal_indicators: pl.LazyFrame, definitions: pl.LazyFrame) -> pl.LazyFrame:
    defined = definitions.select(
        "institution_id",
        "indicator_key",
        "unit",
        "direction",
        "amec_level",
        "additivity",
        "scale_min",
        "alias_of",
        definition_version="version",
    )
    return (
        choices.join(goal_indicators, on=["institution_id", "goal_key"])
        .join(defined, on=["institution_id", "indicator_key"])
        .with_columns(computed_key=pl.coalesce("alias_of", "indicator_key"))
    )


def _breaks(breaks: pl.LazyFrame, populations: pl.LazyFrame, accounts_: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Per population and computed indicator the days on which a platform of its accounts changed what one of the indicator's measures means."""
    where = ["institution_id", "platform"]
    platforms = (
        accounts_.join(populations.select("institution_id", "population_id", "accounts"), on="institution_id")
        .filter((pl.col("accounts").list.len() == 0) | pl.col("accounts").list.contains(pl.col("platform") + "/" + pl.col("account_id")))
        .select(*where, "population_id")
        .unique()
    )
    made_of = [(entry.key, measure) for entry in indicators().values() for measure in sorted(_measures(entry))]
    measures = pl.LazyFrame(made_of, schema={"computed_key": pl.String(), "measure": pl.String()}, orient="row")
    # What a platform does not give cannot have changed there.
    given = availability.filter("is_given").select(*where, "measure").unique().join(measures, on="measure")
    one = breaks.select(*where, "measure", "note", broken=pl.col("day"))
    named = given.join(one, on=[*where, "measure"])
    whole = given.join(one.filter(pl.col("measure") == "*").drop("measure"), on=where)
    return (
        pl.concat([part.select(*where, "computed_key", "broken", "note") for part in (named, whole)])
        .unique()
        .join(platforms, on=where)
        .sort("broken", "platform", "note")
        .group_by(["institution_id", "population_id", "computed_key", "broken"], maintain_order=True)
        .agg(told=pl.format("{} {}: {}", "platform", "broken", "note").str.join("; "))
    )


def _measures(entry: Indicator) -> set[str]:
    """What platforms give that an indicator is made of."""
    if entry.compute is None:
        return set()
    if entry.compute.of:
        return _measures(indicators()[entry.compute.of])
    named = {*entry.compute.numerator, *([entry.compute.denominator] if entry.compute.denominator else [])}
    return named.union(*(MADE_OF.get(name, ()) for name in named))


def _with_breaks(rows: pl.LazyFrame, broken: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `last_break`, the last one up to the period's end, and `break_told`: those since the period before began, in words."""
    by = ["institution_id", "population_id", "computed_key"]
    upto = (
        rows.select(*by, *SERIES[1:], "period_start", "period_end", "before")
        .join(broken, on=by)
        .filter(pl.col("broken") <= pl.col("period_end"))
        .sort("broken")
        .group_by([*SERIES, "period_start"], maintain_order=True)
        .agg(last_break=pl.col("broken").last(), break_told=pl.col("told").filter(pl.col("broken") > pl.col("before")).str.join("; "))
    )
    is_told = pl.col("break_told").str.len_chars() > 0
    return rows.join(upto, on=[*SERIES, "period_start"], how="left").with_columns(break_told=pl.when(is_told).then("break_told"))


def _with_past(rows: pl.LazyFrame, broken: pl.LazyFrame, since: date) -> pl.LazyFrame:
    """The rows from `since` on with the previous period's value, the own benchmark and the trend. Trailing windows are compared 28 days apart.

    Only periods of which enough is known are compared with: a third of a month is no base for the next. Nor is one from before a break.
    """
    least = pl.when(pl.col("additivity") == "stock").then(1.0).otherwise(COMPARABLE_COVERAGE)
    rows = rows.with_columns(is_comparable=(pl.col("coverage") >= least).fill_null(value=False))
    before = (
        pl.when(pl.col("period_type") == "month")
        .then(pl.col("period_start").dt.offset_by("-1mo"))
        .when(pl.col("period_type") == "week")
        .then(pl.col("period_start").dt.offset_by("-7d"))
        .otherwise(pl.col("period_start").dt.offset_by("-28d"))
    )
    past = rows.filter("is_comparable", "is_complete_period").select(*SERIES, before=pl.col("period_start"), previous_value="value")
    known = rows
    rows = (
        _with_breaks(rows.filter(pl.col("period_end") >= since).with_columns(before=before), broken)
        .join(past, on=[*SERIES, "before"], how="left")
        .with_columns(previous_value=pl.when(pl.col("break_told").is_null()).then("previous_value"))
    )
    is_usual = (pl.col("step") > 0) & ~pl.col("is_broken")
    is_point = pl.col("past_value").is_not_null() & (pl.col("step") < TREND_PERIODS)
    history = _history(rows, known).group_by([*SERIES, "period_start"]).agg(
        benchmark=pl.when((pl.col("past_value").is_not_null() & is_usual).sum() >= BENCHMARK_MIN_KNOWN).then(
            pl.col("past_value").filter(is_usual).median()
        ),
        points=pl.struct("step", "past_value", "is_broken").filter(is_point),
    ).with_columns(trend=pl.col("points").map_elements(_trend, return_dtype=pl.String)).drop("points")  # fmt: skip
    return rows.join(history, on=[*SERIES, "period_start"], how="left").with_columns(
        trend=pl.when("is_complete_period")
        .then(pl.col("trend").fill_null("insufficient_history"))
        .otherwise(pl.lit("insufficient_history"))
    )


def _history(rows: pl.LazyFrame, known: pl.LazyFrame) -> pl.LazyFrame:
    """For each row the values of itself (step 0) and of the 12 comparable periods before it that are complete, from what is known.

    `is_broken`: a definition changed since that period began.
    """
    known = known.filter("is_complete_period", "is_comparable").select(*SERIES, past_start=pl.col("period_start"), past_value="value")
    steps = pl.LazyFrame({"step": range(TREND_PERIODS + 1)}, schema={"step": pl.Int64})
    at = (
        pl.when(pl.col("period_type") == "month")
        .then(pl.col("period_start").dt.offset_by(pl.format("-{}mo", "step")))
        .when(pl.col("period_type") == "week")
        .then(pl.col("period_start") - pl.duration(days=pl.col("step") * 7))
        .otherwise(pl.col("period_start") - pl.duration(days=pl.col("step") * 28))
    )
    return (
        rows.select(*SERIES, "period_start", "last_break")
        .join(steps, how="cross")
        .with_columns(past_start=at)
        .join(known, on=[*SERIES, "past_start"])
        .with_columns(is_broken=(pl.col("past_start") < pl.col("last_break")).fill_null(value=False))
    )


def _trend(points: Sequence[Mapping[str, float]] | pl.Series) -> str:
    """Direction of the Theil-Sen slope when its 95 % interval leaves 0 out; none is drawn across a break."""
    if len(points) < TREND_MIN_KNOWN:
        return "insufficient_history"
    if any(point["is_broken"] for point in points):
        return "definition_break"
    # A quarter of what a night imports, 0.7 CPU-s; a night on which nothing changed draws no trend.
    from scipy.stats import theilslopes  # noqa: PLC0415

    _, _, low, high = theilslopes([point["past_value"] for point in points], [-point["step"] for point in points], 0.95)
    return "up" if low > 0 else "down" if high < 0 else "flat"


def _with_targets(rows: pl.LazyFrame, targets: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `target`, resolved to the indicator's unit: a target that changed inside the period counts by its days."""
    last = pl.min_horizontal("period_end", pl.col("valid_to").fill_null(pl.col("period_end")))
    share = (last - pl.max_horizontal("period_start", "valid_from")).dt.total_days() + 1
    resolved = (
        pl.when(pl.col("target_type") == "growth")
        .then(pl.when(pl.col("previous_value") > 0).then(pl.col("previous_value") * (1 + pl.col("target"))))
        .when(pl.col("target_type") == "benchmark")
        .then(pl.when(pl.col("benchmark") > 0).then(pl.col("benchmark") * pl.col("target")))
        .otherwise(pl.col("target"))
    )
    aimed = (
        rows.select(*SERIES, "period_start", "period_end", "previous_value", "benchmark")
        .join(targets, on=SERIES)
        .with_columns(days=share, resolved=resolved)
        .filter(pl.col("days") > 0)
        .sort("valid_from")
        .group_by([*SERIES, "period_start"])
        .agg(
            target=pl.when(pl.col("resolved").null_count() == 0).then((pl.col("resolved") * pl.col("days")).sum() / pl.col("days").sum()),
            target_type=pl.col("target_type").last(),
        )
    )
    return rows.join(aimed, on=[*SERIES, "period_start"], how="left")


def _judged(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Adds attainment, change and the traffic light."""
    value, target = pl.col("value"), pl.col("target")
    is_signed = pl.col("scale_min").is_not_null()
    is_off = pl.col("weight") == 0
    attainment = (
        pl.when(is_off | ~pl.col("is_comparable") | value.is_null() | target.is_null() | (~is_signed & (target <= 0)))
        .then(None)
        .when(pl.col("direction") == "lower")
        .then(pl.when(value == 0).then(ATTAINMENT_CAP).otherwise(target / value))
        .when(is_signed & (pl.col("direction") == "higher"))
        .then((value - pl.col("scale_min")) / (target - pl.col("scale_min")))
        .when(pl.col("direction") == "higher")
        .then(value / target)
    )
    # Half a week is not compared with a whole one.
    change = pl.when("is_complete_period").then(value - pl.col("previous_value"))
    is_rate = pl.col("additivity") == "ratio"
    told = (
        pl.when(is_off)
        .then(pl.lit("disabled by the institution: not judged"))
        .when(value.is_not_null() & ~pl.col("is_comparable"))
        .then(pl.lit("too little of the period is known: neither judged nor compared with"))
        .when(pl.col("alias_of").is_not_null())
        .then(pl.format("the same measure as {}", "alias_of"))
    )
    rows = (
        rows.with_columns(attainment=attainment, change_abs=change)
        .with_columns(
            change_pct=pl.when(~is_rate & (pl.col("previous_value") != 0)).then(pl.col("change_abs") / pl.col("previous_value").abs()),
            benchmark_source=pl.when(pl.col("benchmark").is_not_null()).then(pl.lit("own_trailing_median_12")),
            notes=pl.concat_str(
                told,
                pl.format("a definition changed, not compared with the period before ({})", "break_told"),
                separator="; ",
                ignore_nulls=True,
            ),
        )
        .with_columns(notes=pl.when(pl.col("notes") != "").then("notes"))
    )
    return rows.with_columns(
        rag=pl.when(pl.col("attainment").is_null() | ~pl.col("is_complete_period"))
        .then(pl.lit("grey"))
        .when(pl.col("attainment") >= GREEN_FROM)
        .then(pl.lit("green"))
        .when(pl.col("attainment") >= AMBER_FROM)
        .then(pl.lit("amber"))
        .otherwise(pl.lit("red"))
    )


@cache
def goal_tables() -> dict[str, Table]:
    """The goals' tables by the goal's key."""
    return {key_: goal_table(goal) for key_, goal in goals().items()}


@cache
def transforms() -> tuple[Transform, ...]:
    """A table per goal, then the scorecard."""
    families = tuple(Input(family, table) for family, table in family_tables().items())
    choices, definitions = Input("choices", GOAL_CHOICE), Input("definitions", INDICATOR)
    by_institution = ("institution_id",)
    return (
        *(
            Transform(
                goal_table(goal),
                (*families, choices, definitions),
                partial(_wide, goal.key),
                by_institution,
                concerns=partial(_is_pursued, goal.key),
            )
            for goal in goals().values()
        ),
        Transform(
            SCORECARD,
            (
                *(Input(family, table, where=SCORED) for family, table in family_tables().items()),
                *(choices, Input("goal_indicators", GOAL_INDICATOR), definitions, Input("targets", TARGET)),
                *(Input("breaks", DEFINITION_BREAK), Input("populations", GOAL_POPULATION), Input("accounts_", ACCOUNT)),
                Input("availability", AVAILABILITY),
            ),
            scorecard,
            by_institution,
            lookback_days=SCORE_LOOKBACK_DAYS,
            takes_since=True,
            version=2,
        ),
    )


def _is_pursued(goal_key: str, inputs: Mapping[str, pl.LazyFrame]) -> bool:
    """Nobody's figures are computed for a goal that is not pursued."""
    return not inputs["choices"].filter(pl.col("goal_key") == goal_key).collect().is_empty()


def _wide(goal_key: str, definitions: pl.LazyFrame, **inputs: pl.LazyFrame) -> pl.LazyFrame:
    """The definitions are an input so that a change of them makes the table anew; their content is the registry's."""
    del definitions
    return wide(goals()[goal_key], **inputs)
