"""The methods by which indicators are computed from measures. An indicator names its method and measures in the registry.

Not here: the indicators (registry/), the measures (by_day.py, by_post.py), the families' tables (the package's `__init__`).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from assets.indicators.measures import COHORT_MEASURES, COUNTED_TYPES, given, has_type
from assets.indicators.populations import post_population
from assets.indicators.registry import Indicator
from assets.indicators.values import ALL, PERIOD, RANK, SERIES, expected_days, rank, status_of, windows
from assets.staging.things import ACCOUNT_KEY

INDEX_WEEKS = 12
INDEX_MIN_WEEKS = 4
BY = list(SERIES)
EVENT_MEASURES = ("comments_audience", "posts", "mentions", "conversation_items")
# What the formulas hand on; the package adds names, units and versions.
RESULT = (
    *SERIES,
    *PERIOD,
    "indicator_key",
    "value",
    "status",
    "numerator",
    "denominator",
    "n",
    "coverage",
    "is_provisional",
    "is_complete_period",
)

OK = RANK["ok"]
NOT_APPLICABLE = RANK["not_applicable"]
RETIRED = RANK["retired"]


def _coarser(accounts: pl.LazyFrame, aggregates: list[pl.Expr], more: Iterable[str] = ()) -> pl.LazyFrame:
    """The rows of accounts, and the same added up for platforms and the institution. Every aggregate adds or picks."""
    names = [*BY, *PERIOD, *more]
    parts = [accounts]
    for level, keep in (
        ("platform", ("institution_id", "population_id", "platform")),
        ("institution", ("institution_id", "population_id")),
    ):
        parts.append(
            accounts.group_by([*keep, *PERIOD, *more])
            .agg(aggregates)
            .with_columns(
                pl.lit(level).alias("level"),
                pl.lit(ALL).alias("account_id"),
                *([pl.lit(ALL).alias("platform")] if level == "institution" else []),
            )
        )
    columns = [*names, *(aggregate.meta.output_name() for aggregate in aggregates)]
    return pl.concat([part.select(columns) for part in parts])


def _add(name: str) -> pl.Expr:
    """The sum of what is there; NULL when nothing is."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)


def activity(indicator: Indicator, days: pl.LazyFrame, availability: pl.LazyFrame, restates: pl.LazyFrame) -> pl.LazyFrame:
    """A count over the days of a period, as the sum of its measures; each measure over the days on which it is known.

    `days` is indicators.day_measures. Items (mentions, conversation) are distinct within a platform, so its own rows are used there.
    """
    measures = indicator.compute.numerator if indicator.compute else ()
    until = given(availability, measures).select("institution_id", "platform", *(f"{name}_until" for name in measures))
    days = days.join(until, on=["institution_id", "platform"], how="left")
    is_items = set(measures) & {"mentions", "conversation_items"}
    accounts = _activity_windows(measures, days.filter(pl.col("level") == "account"))
    result = _activity_levels(accounts)
    if is_items:
        platforms = _activity_windows(measures, days.filter(pl.col("level") == "platform"))
        institution = _activity_levels(platforms).filter(pl.col("level") == "institution")
        columns = [*BY, *PERIOD, "value"]
        distinct = pl.concat(
            [result.filter(pl.col("level") == "account").select(columns), platforms.select(columns), institution.select(columns)]
        )
        result = result.drop("value").join(distinct, on=[*BY, *PERIOD], how="left")
    young = restates if set(measures) & set(EVENT_MEASURES) else restates.with_columns(restates_days=pl.lit(0))
    return _finished_count(indicator, result, young)


def _activity_windows(measures: Iterable[str], days: pl.LazyFrame) -> pl.LazyFrame:
    """Per series and period: each measure's sum and rank, the days on which all are known. Measures that the platform lacks are left out.

    Of a platform that withdrew all of them on a known day nothing is expected after it; the status says which of the two it is. What it
    refuses since some night is still expected: its coverage tells that the sum is without it.
    """
    measures = list(measures)
    ranked = days.with_columns(rank(pl.col(f"{name}_status")).alias(f"{name}_rank") for name in measures)
    lacks = {name: pl.col(f"{name}_rank") == NOT_APPLICABLE for name in measures}
    ranked = ranked.with_columns(
        is_known=pl.all_horizontal((pl.col(f"{name}_rank") == OK) | lacks[name] for name in measures) & ~pl.all_horizontal(lacks.values()),
        is_lacking=pl.all_horizontal(
            lacks[name] | ((pl.col(f"{name}_rank") == RETIRED) & (pl.col("day") > pl.col(f"{name}_until")).fill_null(value=False))
            for name in measures
        ),
    )
    found = windows(
        ranked,
        BY,
        [
            *(_add(name) for name in measures),
            *(pl.col(f"{name}_rank").min() for name in measures),
            pl.col("is_known").sum().cast(pl.Int64).alias("known_days"),
            pl.col("is_lacking").all(),
            pl.col("is_started").any(),
            pl.col("as_of_day").last(),
        ],
    ).filter("is_started")
    given = [pl.when(pl.col(f"{name}_rank") != NOT_APPLICABLE).then(pl.col(f"{name}_rank")) for name in measures]
    is_whole = pl.all_horizontal(
        (pl.col(f"{name}_rank") == OK) | (pl.col(f"{name}_rank") == NOT_APPLICABLE) for name in measures
    ) & ~pl.col("is_lacking")
    worst = pl.min_horizontal(pl.when(rank_ > OK).then(rank_) for rank_ in given)
    return found.with_columns(
        value=pl.when(is_whole).then(pl.sum_horizontal(measures, ignore_nulls=True)),
        rank=pl.when("is_lacking")
        .then(pl.min_horizontal(f"{name}_rank" for name in measures))
        .when(is_whole)
        .then(pl.lit(OK, pl.Int8))
        .otherwise(worst)
        .cast(pl.Int8),
        expected=pl.when(~pl.col("is_lacking")).then(expected_days()),
        known_days=pl.when(~pl.col("is_lacking")).then(pl.col("known_days")),
    ).select(*BY, *PERIOD, "value", "rank", "expected", "known_days", "as_of_day")


def _activity_levels(series: pl.LazyFrame) -> pl.LazyFrame:
    sums = [
        _add("value"),
        pl.col("rank").min(),
        _add("expected"),
        _add("known_days"),
        pl.col("as_of_day").max(),
    ]
    return _coarser(series, sums)


def _finished_count(indicator: Indicator, result: pl.LazyFrame, restates: pl.LazyFrame) -> pl.LazyFrame:
    value = pl.when(pl.col("rank") == OK).then(pl.col("value"))
    return (
        result.join(restates, on="institution_id")
        .with_columns(is_complete_period=pl.col("period_end") <= pl.col("as_of_day"))
        .select(
            *BY,
            *PERIOD,
            pl.lit(indicator.key).alias("indicator_key"),
            value.cast(pl.Float64).alias("value"),
            status_of(pl.col("rank")).alias("status"),
            value.cast(pl.Int64).alias("numerator"),
            pl.lit(None, pl.Int64).alias("denominator"),
            pl.col("known_days").cast(pl.Int64).alias("n"),
            (pl.col("known_days") / pl.col("expected")).alias("coverage"),
            (~pl.col("is_complete_period") | (_is_within(pl.col("restates_days")) & (pl.col("rank") != NOT_APPLICABLE))).alias(
                "is_provisional"
            ),
            "is_complete_period",
        )
    )


def _is_within(days: pl.Expr) -> pl.Expr:
    """The period ended less than so many days before the as-of day: its events may still change."""
    return pl.col("period_end") > pl.col("as_of_day") - pl.duration(days=days)


def audience(indicator: Indicator, days: pl.LazyFrame, restates: pl.LazyFrame) -> pl.LazyFrame:
    """Followers at the end of a period, their change, or the change over the start: from the two snapshots at its ends."""
    del restates
    method = indicator.compute.method if indicator.compute else "stock"
    accounts = days.filter(pl.col("level") == "account")
    periods = windows(accounts, BY, [pl.col("as_of_day").last(), pl.col("is_started").any()]).filter("is_started").drop("is_started")
    seen = accounts.select(*BY, "day", "followers", rank_=rank(pl.col("followers_status")))
    early = pl.lit(RANK["insufficient_history"], pl.Int8)
    placed = (
        periods.with_columns(last=pl.min_horizontal("period_end", "as_of_day"), before=pl.col("period_start") - pl.duration(days=1))
        .join(seen.rename({"day": "last", "followers": "end", "rank_": "end_rank"}), on=[*BY, "last"], how="left")
        .join(seen.rename({"day": "before", "followers": "start", "rank_": "start_rank"}), on=[*BY, "before"], how="left")
        .with_columns(end_rank=pl.coalesce("end_rank", early), start_rank=pl.coalesce("start_rank", early))
    )
    if method == "stock":
        placed = placed.with_columns(start_rank=pl.lit(OK, pl.Int8), start=pl.lit(0, pl.Int64))
    worst = pl.min_horizontal(*(pl.when(pl.col(name) > OK).then(pl.col(name)) for name in ("end_rank", "start_rank")))
    accounts_level = placed.with_columns(rank=pl.coalesce(worst, pl.lit(OK, pl.Int8)).cast(pl.Int8)).with_columns(
        numerator=pl.when(pl.col("rank") == OK).then(pl.col("end") - pl.col("start")),
        denominator=pl.when(pl.col("rank") == OK).then(pl.col("start")),
        used=(pl.col("rank") == OK).cast(pl.Int64),
        listed=pl.lit(1, pl.Int64),
    )
    levels = _coarser(
        accounts_level,
        [
            _add("numerator"),
            _add("denominator"),
            pl.col("used").sum(),
            pl.col("listed").sum(),
            pl.col("rank").min(),
            pl.col("as_of_day").max(),
        ],
    )
    is_rate = method == "growth_rate"
    is_zero = pl.lit(value=is_rate) & (pl.col("denominator") == 0)
    status = (
        pl.when(pl.col("rank") != OK).then(status_of(pl.col("rank"))).when(is_zero).then(pl.lit("zero_denominator")).otherwise(pl.lit("ok"))
    )
    share = pl.col("numerator") / pl.col("denominator") if is_rate else pl.col("numerator").cast(pl.Float64)
    return levels.with_columns(status=status, is_complete_period=pl.col("period_end") <= pl.col("as_of_day")).select(
        *BY,
        *PERIOD,
        pl.lit(indicator.key).alias("indicator_key"),
        pl.when(pl.col("status") == "ok").then(share).alias("value"),
        "status",
        "numerator",
        pl.col("denominator") if is_rate else pl.lit(None, pl.Int64).alias("denominator"),
        n=pl.col("used"),
        coverage=pl.col("used") / pl.col("listed"),
        is_provisional=~pl.col("is_complete_period"),
        is_complete_period="is_complete_period",
    )


def reach(indicator: Indicator, days: pl.LazyFrame, restates: pl.LazyFrame) -> pl.LazyFrame:
    """Distinct accounts reached, as the platform counted them over the very window; coarser, the one account's or nothing.

    A day has its own count, a week that of the 7 days up to its end, the trailing window that of 28; a month has none anywhere.
    """
    accounts = _with_window_reach(days).with_columns(
        is_given=pl.col("is_given") & (pl.col("period_type") != "month"),
        rank=pl.when(pl.col("period_type") == "month").then(pl.lit(NOT_APPLICABLE, pl.Int8)).otherwise("rank"),
        accounts=pl.lit(1, pl.Int64),
    )
    levels = _coarser(
        accounts,
        [_add("value"), pl.col("rank").min(), pl.col("accounts").sum(), pl.col("is_given").any(), pl.col("as_of_day").max()],
    ).with_columns(
        # People are not added: of several accounts nobody knows who is counted twice.
        rank=pl.when(pl.col("accounts") == 1).then("rank").otherwise(pl.lit(NOT_APPLICABLE, pl.Int8)),
        is_given=pl.col("is_given") & (pl.col("accounts") == 1) & (pl.col("rank") != NOT_APPLICABLE),
    )
    counted = levels.with_columns(
        expected=pl.when("is_given").then(1), known_days=pl.when("is_given").then((pl.col("rank") == OK).cast(pl.Int64))
    )
    return _finished_count(indicator, counted, restates)


def reach_bound(indicator: Indicator, days: pl.LazyFrame, restates: pl.LazyFrame) -> pl.LazyFrame:
    """Between what and what the reach lies: of the days (where the window itself is not counted) and of the accounts the largest, or the sum."""
    is_upper = indicator.compute is not None and indicator.compute.method == "reach_upper"
    daily = days.filter(pl.col("level") == "account").with_columns(rank_=rank(pl.col("account_reach_status")))
    value, worst = pl.col("account_reach"), pl.col("rank_")
    parts = windows(
        daily,
        BY,
        [
            (value.sum() if is_upper else value.max()).alias("bound"),
            pl.when(worst > OK).then(worst).min().alias("worst"),
            (worst == OK).sum().cast(pl.Int64).alias("known_days"),
        ],
    )
    is_whole = pl.col("worst").is_null() & (pl.col("known_days") == pl.col("expected"))
    early = pl.lit(RANK["insufficient_history"], pl.Int8)
    accounts = (
        _with_window_reach(days)
        .join(parts, on=[*BY, *PERIOD], how="left")
        .with_columns(expected=expected_days(), is_counted=pl.col("rank") == OK)
        .with_columns(is_whole=is_whole)
        .select(
            *BY,
            *PERIOD,
            value=pl.when("is_counted").then("value").when("is_whole").then("bound"),
            rank=pl.when(pl.col("is_counted") | pl.col("is_whole"))
            .then(pl.lit(OK, pl.Int8))
            .when("is_given")
            .then(pl.coalesce("worst", early))
            .otherwise(pl.lit(NOT_APPLICABLE, pl.Int8)),
            expected=pl.when("is_given").then("expected"),
            known_days=pl.when("is_given").then(pl.when("is_counted").then("expected").otherwise("known_days")),
            as_of_day="as_of_day",
        )
    )
    bound = _add("value") if is_upper else pl.col("value").max()
    sums = [bound, pl.col("rank").min(), _add("expected"), _add("known_days"), pl.col("as_of_day").max()]
    return _finished_count(indicator, _coarser(accounts, sums), restates)


def _with_window_reach(days: pl.LazyFrame) -> pl.LazyFrame:
    """Per account and period `value` and `rank` of the platform's own count of the window, `is_given` and `as_of_day`."""
    accounts = days.filter(pl.col("level") == "account")
    periods = windows(accounts, BY, [pl.col("as_of_day").last(), pl.col("is_started").any()]).filter("is_started").drop("is_started")
    by_type = {"day": "account_reach", "week": "account_reach_7d", "trailing_28d": "account_reach_28d"}
    counted = pl.concat(
        accounts.select(
            *BY, pl.col("day").alias("period_end"), pl.lit(kind).alias("period_type"), value=name, rank=rank(pl.col(f"{name}_status"))
        )
        for kind, name in by_type.items()
    )
    gives = accounts.group_by(BY).agg(is_given=(pl.col("account_reach_status") != "not_applicable").any())
    # A week that runs has no window of its own yet.
    absent = pl.lit(RANK["missing_input"], pl.Int8)
    return (
        periods.join(counted, on=[*BY, "period_type", "period_end"], how="left")
        .join(gives, on=BY, how="left")
        .with_columns(rank=pl.when("is_given").then(pl.coalesce("rank", absent)).otherwise(pl.lit(NOT_APPLICABLE, pl.Int8)))
    )


def cohort(  # noqa: PLR0913 each is a table
    indicator: Indicator,
    days: pl.LazyFrame,
    post_measures: pl.LazyFrame,
    posts_: pl.LazyFrame,
    populations: pl.LazyFrame,
    availability: pl.LazyFrame,
    restates: pl.LazyFrame,
) -> pl.LazyFrame:
    """A ratio over the posts published in a period, each at the age of 7 days: scale * sum(numerator) / sum(denominator).

    Only posts of which both are known; `coverage` is their share. A measure that the platform, or the type of post, lacks is left out of the
    numerator; a post that lacks the denominator is none of the cohort.
    """
    compute = indicator.compute
    if compute is None or compute.denominator is None:
        message = f"{indicator.key} declares no ratio"
        raise ValueError(message)
    parts = [name for name in compute.numerator if name in COHORT_MEASURES]
    needed = sorted({*parts, compute.denominator})
    # Followers on the day of posting are there where followers are; posts always.
    sources: dict[str, str] = {name: {"followers_at_publication": "followers"}.get(name, name) for name in needed if name != "posts"}
    has = given(availability, sources.values())
    belonging = post_population(posts_, posts_, populations).filter(
        (pl.col("post_id") == pl.col("root_id")) & pl.col("post_type").is_in(COUNTED_TYPES)
    )
    rated = (
        belonging.select(*ACCOUNT_KEY, "population_id", "post_id")
        .join(post_measures, on=[*ACCOUNT_KEY, "post_id"])
        .join(has, on=["institution_id", "platform"], how="left")
        .with_columns(_has(source).alias(f"has_{name}") for name, source in sources.items())
        .filter(pl.any_horizontal(f"has_{name}" for name in parts))
    )
    if compute.denominator != "posts":
        rated = rated.filter(f"has_{compute.denominator}")
    known = pl.all_horizontal((pl.col(name).is_not_null() | ~pl.col(f"has_{name}")) for name in parts)
    denominator = pl.lit(1, pl.Int64) if compute.denominator == "posts" else pl.col(compute.denominator)
    is_usable = known & denominator.is_not_null()
    numerator = pl.sum_horizontal(pl.when(pl.col(f"has_{name}")).then(pl.col(name)) for name in parts)
    refusals = {
        name: pl.any_horizontal(pl.col(name).list.contains(pl.lit(one)) & pl.col(f"has_{one}") for one in sources)
        for name in ("not_permitted", "retired")
    }
    by_day = rated.group_by([*ACCOUNT_KEY, "population_id", "day"]).agg(
        numerator=pl.when(is_usable).then(numerator).sum(),
        denominator=pl.when(is_usable).then(denominator).sum(),
        used=is_usable.sum().cast(pl.Int64),
        posts=pl.len().cast(pl.Int64),
        young=(~pl.col("is_mature")).sum().cast(pl.Int64),
        **{name: (~is_usable & is_so).sum().cast(pl.Int64) for name, is_so in refusals.items()},
    )
    sums = ["numerator", "denominator", "used", "posts", "young", *refusals]
    grid = days.filter(pl.col("level") == "account").select(*BY, "day", "as_of_day", "is_started")
    full = grid.join(by_day, on=["institution_id", "population_id", "platform", "account_id", "day"], how="left").with_columns(
        # A day without posts adds nothing to sums over posts.
        pl.col(sums).fill_null(0)
    )
    found = (
        windows(full, BY, [*(pl.col(name).sum() for name in sums), pl.col("as_of_day").last(), pl.col("is_started").any()])
        .filter(pl.col("is_started") & (pl.col("period_type") != "day"))
        .join(has, on=["institution_id", "platform"], how="left")
    )
    is_given = pl.any_horizontal(pl.col(f"{sources[name]}_given") for name in parts)
    if compute.denominator != "posts":
        is_given = is_given & pl.col(f"{sources[compute.denominator]}_given")
    found = found.with_columns(is_given=is_given.fill_null(value=False)).with_columns(pl.when("is_given").then(pl.col(sums)))
    levels = _coarser(found, [*(_add(name) for name in sums), pl.col("is_given").any(), pl.col("as_of_day").max()])
    young = restates if set(parts) & set(EVENT_MEASURES) else restates.with_columns(restates_days=pl.lit(0))
    return _finished_ratio(indicator, levels.join(young, on="institution_id"))


def _has(name: str) -> pl.Expr:
    """The row's post has the measure: its type does, and did when it was published."""
    return has_type(name) & (pl.col("day") >= pl.col(f"{name}_since")).fill_null(value=True)


def _finished_ratio(indicator: Indicator, levels: pl.LazyFrame) -> pl.LazyFrame:
    scale = indicator.compute.scale if indicator.compute else 1
    status = (
        pl.when(~pl.col("is_given"))
        .then(pl.lit("not_applicable"))
        .when(pl.col("posts") == 0)
        .then(pl.lit("zero_denominator"))
        # Why there is none to be used: one that may not be read tells more than one that is gone for good.
        .when((pl.col("used") == 0) & (pl.col("not_permitted") > 0))
        .then(pl.lit("not_permitted"))
        .when((pl.col("used") == 0) & (pl.col("retired") == pl.col("posts")))
        .then(pl.lit("retired"))
        .when(pl.col("used") == 0)
        .then(pl.lit("missing_input"))
        .when(pl.col("denominator") == 0)
        .then(pl.lit("zero_denominator"))
    )
    if indicator.min_support is not None:
        status = status.when(pl.col("denominator") < indicator.min_support).then(pl.lit("below_min_n"))
    is_there = pl.col("is_given") & (pl.col("used") > 0)
    return levels.with_columns(
        status=status.otherwise(pl.lit("ok")), is_complete_period=pl.col("period_end") <= pl.col("as_of_day")
    ).select(
        *BY,
        *PERIOD,
        pl.lit(indicator.key).alias("indicator_key"),
        pl.when(pl.col("status") == "ok").then(scale * pl.col("numerator") / pl.col("denominator")).alias("value"),
        "status",
        numerator=pl.when(is_there | (pl.col("posts") == 0)).then(pl.col("numerator")),
        denominator=pl.when(is_there | (pl.col("posts") == 0)).then(pl.col("denominator")),
        n=pl.col("used"),
        coverage=pl.when(pl.col("posts") > 0).then(pl.col("used") / pl.col("posts")).when("is_given").then(1.0),
        is_provisional=~pl.col("is_complete_period") | (pl.col("is_given") & ((pl.col("young") > 0) | _is_within(pl.col("restates_days")))),
        is_complete_period="is_complete_period",
    )


def score_index(indicator: Indicator, scores: pl.LazyFrame) -> pl.LazyFrame:
    """100 * score / median of the scores of the last 12 complete weeks that end before the period (100 = usual)."""
    weeks = scores.filter((pl.col("period_type") == "week") & "is_complete_period" & (pl.col("status") == "ok")).select(
        *BY, week_end=pl.col("period_end"), week_score=pl.col("value"), week_young=pl.col("is_provisional")
    )
    span = pl.duration(days=7 * INDEX_WEEKS)
    usual = (
        scores.select(*BY, *PERIOD)
        .join(weeks, on=BY)
        .filter((pl.col("week_end") < pl.col("period_start")) & (pl.col("week_end") >= pl.col("period_start") - span))
        .group_by([*BY, *PERIOD])
        .agg(median=pl.col("week_score").median(), weeks=pl.len().cast(pl.Int64), young=pl.col("week_young").any())
    )
    status = (
        pl.when(pl.col("status") != "ok")
        .then(pl.col("status"))
        .when(pl.col("weeks").fill_null(0) < INDEX_MIN_WEEKS)
        .then(pl.lit("insufficient_history"))
        .when(pl.col("median") == 0)
        .then(pl.lit("zero_denominator"))
        .otherwise(pl.lit("ok"))
    )
    return (
        scores.join(usual, on=[*BY, *PERIOD], how="left")
        .with_columns(status=status)
        .with_columns(
            pl.lit(indicator.key).alias("indicator_key"),
            value=pl.when(pl.col("status") == "ok").then(100 * pl.col("value") / pl.col("median")),
            numerator=pl.lit(None, pl.Int64),
            denominator=pl.lit(None, pl.Int64),
            is_provisional=pl.col("is_provisional") | pl.col("young").fill_null(value=False),
        )
        .select(RESULT)
    )


def unavailable(indicator: Indicator, days: pl.LazyFrame, status: str, *, institution_only: bool) -> pl.LazyFrame:
    """Rows that say why there is no value: the platforms lack the measure, or no source of the kind is connected."""
    accounts = days.filter(pl.col("level") == "account")
    periods = windows(accounts, BY, [pl.col("as_of_day").last(), pl.col("is_started").any()]).filter("is_started").drop("is_started")
    levels = _coarser(periods, [pl.col("as_of_day").max()])
    if institution_only:
        levels = levels.filter(pl.col("level") == "institution")
    if indicator.cohort == "publication_d7":
        levels = levels.filter(pl.col("period_type") != "day")
    nothing = pl.lit(None, pl.Int64)
    return levels.with_columns(is_complete_period=pl.col("period_end") <= pl.col("as_of_day")).select(
        *BY,
        *PERIOD,
        pl.lit(indicator.key).alias("indicator_key"),
        pl.lit(None, pl.Float64).alias("value"),
        pl.lit(status).alias("status"),
        nothing.alias("numerator"),
        nothing.alias("denominator"),
        nothing.alias("n"),
        pl.lit(None, pl.Float64).alias("coverage"),
        is_provisional=~pl.col("is_complete_period"),
        is_complete_period="is_complete_period",
    )
