"""What a value of an indicator looks like: the long table's columns, the statuses, and the cut into periods.

Not here: measures (by_day.py, by_post.py) and formulas (formulas.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.tables import Column, Table, key

# From the most to the least telling: where no account has a value, the first of these among them stands (docs/numbers.md).
STATUSES = (
    "ok",
    "not_permitted",
    "lost",
    "missing_input",
    "insufficient_history",
    "zero_denominator",
    "below_min_n",
    "suppressed_by_platform",
    "retired",
    "not_reached",
    "not_connected",
    "not_applicable",
)
RANK = {status: rank for rank, status in enumerate(STATUSES)}
ALL = "all"
TRAILING_DAYS = 28
SERIES = ("institution_id", "population_id", "level", "platform", "account_id")
PERIOD = ("period_type", "period_start", "period_end")

KEY_COLUMNS = (
    key("institution_id", "VARCHAR", "The institution"),
    key("indicator_key", "VARCHAR", "The indicator (ref.indicator)"),
    key("population_id", "VARCHAR", "Whose figures count (ref.goal_population); all = every account and post"),
    key("scope", "VARCHAR", "all, internal or external"),
    key("level", "VARCHAR", "institution, platform or account"),
    key("platform", "VARCHAR", "The platform; all at the level of the institution"),
    key("account_id", "VARCHAR", "The account; all above the level of the account"),
    key("dimension", "VARCHAR", "What the value is broken down by; all = not broken down"),
    key("dimension_value", "VARCHAR", "The part; all = not broken down"),
    key("period_type", "VARCHAR", "day, week (ISO), month or trailing_28d"),
    key("period_start", "DATE", "First day of the period"),
    key("cohort", "VARCHAR", "activity = what happened in the period; publication_d7 = posts of the period at the age of 7 days"),
    key("paid_scope", "VARCHAR", "organic, paid, total or unknown"),
)
VALUE_COLUMNS = (
    key("period_end", "DATE", "Last day of the period by the calendar"),
    Column("value", "DOUBLE", "The value in the indicator's unit; NULL exactly when the status is not ok"),
    key("status", "VARCHAR", "ok, or why there is no value"),
    key("unit", "VARCHAR", "Unit of the value"),
    Column("numerator", "BIGINT", "What was divided, or the count itself; NULL = not known"),
    Column("denominator", "BIGINT", "What it was divided by; NULL = not a ratio, or not known"),
    Column("n", "BIGINT", "Units behind the value: posts, accounts or days; NULL = not known"),
    Column("ci_low", "DOUBLE", "Lower end of the 95 % interval; NULL = none is defined"),
    Column("ci_high", "DOUBLE", "Upper end of the 95 % interval; NULL = none is defined"),
    Column("coverage", "DOUBLE", "Share of what was expected that is behind the value, 0 to 1; NULL = nothing was expected"),
    key("is_provisional", "BOOLEAN", "May still change by itself: the period runs, or data are young"),
    key("is_complete_period", "BOOLEAN", "The period has ended by the calendar"),
    key("definition_version", "INTEGER", "Version of the indicator's definition"),
    key("as_of", "DATE", "Last snapshot day when the row last changed; the file's own is in meta.source_health"),
    key("run_id", "VARCHAR", "Run that wrote the row last"),
)
VALUE_KEY = tuple(column.name for column in KEY_COLUMNS)


def values_table(family: str, description: str) -> Table:
    """The long table of one family of indicators."""
    return Table(f"indicators.{family}", description, (*KEY_COLUMNS, *VALUE_COLUMNS), key=VALUE_KEY, day="period_end")


def rank(status: pl.Expr) -> pl.Expr:
    """The place of a status among `STATUSES`; 0 is ok."""
    return status.replace_strict(RANK, return_dtype=pl.Int8)


def status_of(rank_: pl.Expr) -> pl.Expr:
    """The status at a place."""
    return rank_.replace_strict({place: status for status, place in RANK.items()}, return_dtype=pl.String)


def windows(days: pl.LazyFrame, by: Sequence[str], aggregates: Sequence[pl.Expr]) -> pl.LazyFrame:
    """Aggregate a dense frame of days into all periods that end on or hold them.

    `days` has one row per key in `by` and `day`, without holes. Result: `by`, `period_type, period_start, period_end`, the aggregates.
    """
    day = pl.col("day")
    starts = {"day": day, "week": day.dt.truncate("1w"), "month": day.dt.truncate("1mo")}
    ends = {
        "day": pl.col("period_start"),
        "week": pl.col("period_start").dt.offset_by("6d"),
        "month": pl.col("period_start").dt.month_end(),
    }
    calendar = [
        days.with_columns(period_start=start)
        .group_by([*by, "period_start"])
        .agg(aggregates)
        .with_columns(period_type=pl.lit(name), period_end=ends[name])
        for name, start in starts.items()
    ]
    trailing = (
        days.sort("day")
        .rolling(index_column="day", period=f"{TRAILING_DAYS}d", closed="right", group_by=list(by))
        .agg(aggregates)
        .with_columns(
            period_type=pl.lit("trailing_28d"), period_end=pl.col("day"), period_start=pl.col("day") - pl.duration(days=TRAILING_DAYS - 1)
        )
        .drop("day")
    )
    columns = [*by, *PERIOD, *(aggregate.meta.output_name() for aggregate in aggregates)]
    return pl.concat([part.select(columns) for part in (*calendar, trailing)])


def expected_days() -> pl.Expr:
    """Days of the period up to the as-of day."""
    return (pl.min_horizontal("period_end", "as_of_day") - pl.col("period_start")).dt.total_days() + 1
