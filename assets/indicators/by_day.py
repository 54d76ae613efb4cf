"""What formulas are made of, by the day: each account's day in counts, each with a status that says why one is missing.

Not here: posts at the age of seven days (by_post.py), formulas (formulas.py) and periods (values.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from assets.indicators.measures import (
    COUNTED_TYPES,
    COUNTER_MEASURES,
    DAY_MEASURES_NAMES,
    ITEM_MEASURES,
    REACH_MEASURES,
    STOCK_MEASURES,
    WHO,
    given,
    has_type,
    streams_of,
)
from assets.indicators.populations import account_is_in, post_population
from assets.indicators.values import ALL, RANK, rank, status_of
from pipelines.tables import Column, Table, key

# What the ledger says of a day that is the status of what is missing on it.
TOLD_STATUSES = ("not_permitted", "lost", "retired")
_WHAT = {
    "reactions": "Reactions gained",
    "shares": "Shares gained",
    "saves": "Saves gained",
    "views": "Views gained",
    "impressions": "Impressions gained",
    "link_clicks": "Link clicks gained",
    "comments_audience": "Comments by others, spam left out",
    "posts": "Posts published: threads once, no stories, replies or reposts",
    "mentions": "Items that mention the account, spam and reshares left out",
    "conversation_items": "Distinct items that are a comment or a mention",
    "followers": "Followers at the end of the day",
    "account_reach": "Distinct accounts reached on the platform's day",
    "account_reach_7d": "Distinct accounts reached in the 7 platform days up to this one",
    "account_reach_28d": "Distinct accounts reached in the 28 platform days up to this one",
}
DAY_MEASURES = Table(
    "indicators.day_measures",
    "One row per population, account and day (for mentions and conversation also per platform, items taken once): counts and why one is missing.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("population_id", "VARCHAR", "The population"),
        key("level", "VARCHAR", "account or platform"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The account; all at the level of the platform"),
        key("day", "DATE", "The local day"),
        key("as_of_day", "DATE", "The institution's last snapshot day"),
        key("is_started", "BOOLEAN", "The institution's snapshots had begun on that day"),
        *(
            column
            for name in DAY_MEASURES_NAMES
            for column in (
                Column(name, "BIGINT", f"{_WHAT[name]}; NULL exactly when the status is not ok"),
                key(f"{name}_status", "VARCHAR", "ok, or why there is no value"),
            )
        ),
    ),
    key=("institution_id", "population_id", "level", "platform", "account_id", "day"),
    day="day",
    unstamped=frozenset({"as_of_day"}),
)


def day_measures(  # noqa: PLR0913 each is a table
    post_days: pl.LazyFrame,
    posts_: pl.LazyFrame,
    roots: pl.LazyFrame,
    comments: pl.LazyFrame,
    mentions: pl.LazyFrame,
    account_days: pl.LazyFrame,
    coverage: pl.LazyFrame,
    accounts_: pl.LazyFrame,
    populations: pl.LazyFrame,
    availability: pl.LazyFrame,
    streams: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per population, account and day; items also per platform."""
    belonging = post_population(posts_, roots, populations)
    days = _account_days(coverage, accounts_)
    has = given(availability, DAY_MEASURES_NAMES)
    where = ["institution_id", "platform"]
    by = ["institution_id", "population_id", "platform", "account_id", "day"]
    counters = (
        post_days.filter(pl.col("delta_days").is_not_null())
        .join(belonging, on=[*WHO, "post_id"])
        .join(has, on=where)
        .group_by(by)
        .agg(
            # One post whose movement is not known leaves the day's unknown: a part of a sum is not the sum.
            *(_whole_sum(pl.col(name).filter(has_type(name))).alias(name) for name in COUNTER_MEASURES),
            moved_posts=pl.len(),
        )
    )
    published = (
        belonging.filter((pl.col("post_id") == pl.col("root_id")) & pl.col("post_type").is_in(COUNTED_TYPES))
        .group_by(by)
        .agg(posts=pl.len().cast(pl.Int64))
    )
    items = _counted_items(comments, mentions, belonging, populations)
    commented = items.filter("is_comment").group_by(by).agg(comments_audience=pl.col("item_id").n_unique().cast(pl.Int64))
    mentioned = items.filter("is_mention").group_by(by).agg(mentions=pl.col("item_id").n_unique().cast(pl.Int64))
    conversed = items.group_by(by).agg(conversation_items=pl.col("item_id").n_unique().cast(pl.Int64))
    stocks = account_days.select(*WHO, "day", "followers", **{name: name.removeprefix("account_") for name in REACH_MEASURES})
    full = _in_populations(days, populations)
    for part in (counters, published, commented, mentioned, conversed):
        full = full.join(part, on=by, how="left")
    full = (
        full.join(stocks, on=[*WHO, "day"], how="left")
        .join(_states(days, coverage, streams, availability), on=[*WHO, "day"], how="left")
        .join(has, on=where, how="left")
        .join(accounts_.select(*WHO, "unasked_fields"), on=WHO, how="left")
    )
    accounts_level = _judged(full)
    return pl.concat([accounts_level, _platform_items(accounts_level, items)]).select(DAY_MEASURES.names)


def _whole_sum(values: pl.Expr) -> pl.Expr:
    return pl.when(values.null_count() == 0).then(values.sum())


def _account_days(coverage: pl.LazyFrame, accounts_: pl.LazyFrame) -> pl.LazyFrame:
    """Every day that the ledger knows of, for each account."""
    listed = accounts_.select(*WHO)
    spans = coverage.join(listed, on=WHO, how="semi").group_by(WHO).agg(start=pl.col("day").min())
    ends = coverage.group_by("institution_id").agg(as_of_day=pl.col("day").max())
    started = coverage.filter(pl.col("kind") == "snapshot").select("institution_id", "day", is_started=pl.lit(value=True)).unique()
    days = spans.join(ends, on="institution_id").with_columns(day=pl.date_ranges("start", "as_of_day")).explode("day")
    return (
        days.join(started, on=["institution_id", "day"], how="left")
        .with_columns(pl.col("is_started").fill_null(value=False))
        .select(*WHO, "day", "as_of_day", "is_started")
    )


def _in_populations(days: pl.LazyFrame, populations: pl.LazyFrame) -> pl.LazyFrame:
    return (
        days.join(populations, on="institution_id")
        .filter(account_is_in())
        .select("institution_id", "population_id", "platform", "account_id", "day", "as_of_day", "is_started")
    )


def _counted_items(comments: pl.LazyFrame, mentions: pl.LazyFrame, belonging: pl.LazyFrame, populations: pl.LazyFrame) -> pl.LazyFrame:
    """Per population: each counted comment at its post's account, each counted mention at the account it names."""
    counts = ~pl.col("is_own") & ~pl.col("is_spam") & ~pl.col("is_reshare")
    scope = populations.select("institution_id", "population_id", "accounts", "is_open")
    columns = ["institution_id", "population_id", *WHO[1:], "day", "item_id", "is_comment", "is_mention"]
    in_population = belonging.select(*WHO, "population_id", "post_id").unique().with_columns(is_of_population=pl.lit(value=True))
    on_posts = (
        comments.filter(counts)
        .join(scope, on="institution_id")
        .filter(account_is_in())
        .join(in_population, on=[*WHO, "population_id", "post_id"], how="left")
        .filter(pl.col("is_open") | pl.col("is_of_population").is_not_null())
        .select(*columns[:-2], is_comment=pl.lit(value=True), is_mention=pl.lit(value=False))
    )
    named = (
        mentions.filter(counts)
        .join(scope, on="institution_id")
        .filter(account_is_in())
        .select(*columns[:-2], is_comment=pl.lit(value=False), is_mention=pl.lit(value=True))
    )
    return pl.concat([on_posts, named])


def _states(days: pl.LazyFrame, coverage: pl.LazyFrame, streams: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Per account and day of each measure `_state` (the rank of ok, or of the status that its streams give), `_is_denied`, `_is_retired`."""
    where, by = ["institution_id", "platform"], [*WHO, "stream"]
    named = streams_of(availability)
    read = coverage.filter("is_known").select(*by, read_day=pl.col("day")).sort("read_day")
    told = (
        days.select(*WHO, "day")
        .join(named.select(*where, "stream").unique(), on=where)
        .join(coverage, on=[*by, "day"], how="left")
        .join(streams.select(*where, "stream", "lookback_days"), on=[*where, "stream"], how="left")
        .sort("day")
        .join_asof(read, left_on="day", right_on="read_day", by=by, strategy="forward", check_sortedness=False)
    )
    early = pl.lit("insufficient_history")
    absent = pl.when(pl.col("status").is_in(TOLD_STATUSES)).then("status").otherwise(pl.lit("missing_input"))
    state = pl.when(pl.col("is_known").is_null()).then(early).when("is_known").then(pl.lit("ok")).otherwise(absent)
    was_listed = ((pl.col("read_day") - pl.col("day")).dt.total_days() < pl.col("lookback_days")).fill_null(value=False)
    is_first = (pl.col("is_known") & pl.col("previous_day").is_null()).fill_null(value=False)
    needed = (
        told.join(named, on=[*where, "stream"])
        .with_columns(
            state=rank(
                pl.when(pl.col("measure").is_in(COUNTER_MEASURES) & is_first)
                .then(early)
                .when((pl.col("measure") == "posts") & was_listed)
                .then(pl.lit("ok"))
                .otherwise(state)
            ),
            **{
                f"is_{name}": pl.col(f"{name}_fields").list.contains(pl.col("needs_field")).fill_null(value=False)
                for name in ("denied", "retired")
            },
        )
        # Of several streams the most telling one that is not ok; where all are, ok.
        .with_columns(worst=pl.when(pl.col("state") > 0).then("state"))
    )
    here = {name: pl.col("measure") == name for name in DAY_MEASURES_NAMES}
    return needed.group_by([*WHO, "day"]).agg(
        expression
        for name in DAY_MEASURES_NAMES
        for expression in (
            pl.coalesce(pl.col("worst").filter(here[name]).min(), pl.col("state").filter(here[name]).min()).alias(f"{name}_state"),
            pl.col("is_denied").filter(here[name]).any().alias(f"{name}_is_denied"),
            # Refused for stories alone it is still told of posts.
            (pl.col("is_retired").filter(here[name]).all() & here[name].any()).alias(f"{name}_is_retired"),
        )
    )


def _judged(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Each measure's status, and its value where that is ok. A day that was read and on which nothing moved counts 0."""
    judged = []
    for name in DAY_MEASURES_NAMES:
        value, is_denied = pl.col(name), pl.col(f"{name}_is_denied").fill_null(value=False)
        is_unasked = pl.col("unasked_fields").list.contains(pl.col(f"{name}_field")).fill_null(value=False)
        nothing_given = value.is_null() & is_denied
        if name in COUNTER_MEASURES:
            nothing_given = nothing_given | (value.is_null() & pl.col("moved_posts").is_not_null())
        if name in STOCK_MEASURES:
            nothing_given = value.is_null()
        is_before = (pl.col("day") < pl.col(f"{name}_since")).fill_null(value=False)
        is_over = (pl.col("day") > pl.col(f"{name}_until")).fill_null(value=False) | pl.col(f"{name}_is_retired").fill_null(value=False)
        state = status_of(pl.col(f"{name}_state").fill_null(RANK["insufficient_history"]))
        status = (
            pl.when(~pl.col(f"{name}_given").fill_null(value=False) | is_before)
            .then(pl.lit("not_applicable"))
            .when(is_unasked)
            .then(pl.lit("not_permitted"))
            .when(is_over)
            .then(pl.lit("retired"))
            .when(state != "ok")
            .then(state)
            .when(nothing_given)
            .then(pl.when(is_denied).then(pl.lit("not_permitted")).otherwise(pl.lit("missing_input")))
            .otherwise(pl.lit("ok"))
        )
        judged.append(status.alias(f"{name}_status"))
    frame = frame.with_columns(judged)
    # The 0 is a finding here, not a filler: the status has just said that the day was read.
    values = {name: _found(name, pl.col(f"{name}_status") == "ok") for name in DAY_MEASURES_NAMES}
    return _as_rows(frame, "account", pl.col("account_id"), values)


def _found(name: str, is_ok: pl.Expr) -> pl.Expr:
    """What was counted on a day that was read: of what there is none, 0."""
    return pl.when(is_ok).then(pl.coalesce(pl.col(name), pl.lit(0, pl.Int64)))


def _as_rows(frame: pl.LazyFrame, level: str, account: pl.Expr, values: Mapping[str, pl.Expr]) -> pl.LazyFrame:
    """The table's columns at a level, from `values` and the statuses that stand in the frame."""
    return frame.select(
        "institution_id",
        "population_id",
        pl.lit(level).alias("level"),
        "platform",
        account.alias("account_id"),
        "day",
        "as_of_day",
        "is_started",
        *(column for name, value in values.items() for column in (value.alias(name), pl.col(f"{name}_status"))),
    )


def _platform_items(accounts_level: pl.LazyFrame, items: pl.LazyFrame) -> pl.LazyFrame:
    """The platform's days of items: those of its covered accounts, an item that names two of them taken once."""
    series = ["institution_id", "population_id", "platform", "day"]
    covered = accounts_level.select(*series, "account_id", *(f"{name}_status" for name in ITEM_MEASURES))
    counted = {"mentions": pl.col("is_mention"), "conversation_items": pl.lit(value=True)}
    distinct = (
        items.join(covered, on=[*series, "account_id"])
        .group_by(series)
        .agg(
            pl.col("item_id").filter(is_counted & (pl.col(f"{name}_status") == "ok")).n_unique().cast(pl.Int64).alias(name)
            for name, is_counted in counted.items()
        )
    )
    states = accounts_level.group_by(series).agg(
        pl.col("as_of_day").first(),
        pl.col("is_started").first(),
        *(rank(pl.col(f"{name}_status")).min().alias(f"{name}_rank") for name in ITEM_MEASURES),
    )
    judged = {name: status_of(pl.col(f"{name}_rank")) if name in ITEM_MEASURES else pl.lit("not_applicable") for name in DAY_MEASURES_NAMES}
    full = states.join(distinct, on=series, how="left").with_columns(status.alias(f"{name}_status") for name, status in judged.items())
    values = {
        name: _found(name, pl.col(f"{name}_rank") == 0) if name in ITEM_MEASURES else pl.lit(None, pl.Int64) for name in DAY_MEASURES_NAMES
    }
    return _as_rows(full, "platform", pl.lit(ALL), values)
