"""What formulas are made of: each account's day in counts with their statuses, and each post at the age of seven days.

Not here: formulas (formulas.py) and periods (values.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from assets.indicators.values import ALL, RANK, rank, status_of
from assets.staging.things import ACCOUNT_KEY
from pipelines.tables import Column, Table, key

COUNTER_MEASURES = ("reactions", "shares", "saves", "views", "impressions", "link_clicks")
ITEM_MEASURES = ("mentions", "conversation_items")
# Of an account, for the platform's own windows that end on the day; the columns of staging.account_days without the first word.
REACH_MEASURES = ("account_reach", "account_reach_7d", "account_reach_28d")
STOCK_MEASURES = ("followers", *REACH_MEASURES)
DAY_MEASURES_NAMES = (*COUNTER_MEASURES, "comments_audience", "posts", *ITEM_MEASURES, *STOCK_MEASURES)
COHORT_MEASURES = (*COUNTER_MEASURES, "reach", "exposures", "comments_audience", "followers_at_publication")
# Those that a stream of posts gives of each one.
LISTED_MEASURES = (*COUNTER_MEASURES, "reach", "exposures")
# Stories are a type of their own, and no posts in rates.
COUNTED_TYPES = ("post", "quote", "reel", "short", "video", "live", "carousel")
# What the ledger says of a day that is the status of what is missing on it.
TOLD_STATUSES = ("not_permitted", "lost", "retired")
COHORT_AGE = pl.duration(days=7)
COHORT_AGE_DAYS = 7
# Later than this a snapshot is never the one at the age of 7 days, of no part of a thread. An edit may bring a version's age a little forward.
AT_AGE_AT_MOST = "observed_at <= created_at + INTERVAL 10 DAY"
# A snapshot further than this from the age of 7 days says nothing about it [D].
COHORT_TOLERANCE = pl.duration(hours=48)
WHO = list(ACCOUNT_KEY)

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
POST_MEASURES = Table(
    "indicators.post_measures",
    "One row per post (a thread is one; no stories, replies, reposts): its counters at the age of 7 days, or the latest while it is younger.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The account"),
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Local date of publication"),
        key("created_at", "TIMESTAMPTZ", "Time of publication"),
        key("post_type", "VARCHAR", "post, quote, reel, short, video, live or carousel"),
        Column("observed_at", "TIMESTAMPTZ", "When the counters were seen; NULL = no snapshot near that age"),
        key("is_mature", "BOOLEAN", "The post was 7 days old at the account's last snapshot"),
        *(
            Column(name, "BIGINT", f"{what} at the age of 7 days; NULL = not known, or the platform has no such thing")
            for name, what in (
                ("reactions", "Reactions"), ("shares", "Shares"), ("saves", "Saves"), ("views", "Views"), ("impressions", "Impressions"),
                ("link_clicks", "Link clicks"), ("reach", "Reach"), ("exposures", "Views, or impressions where there are no views"),
                ("comments_audience", "Comments by others"),
            )
        ),
        Column("followers_at_publication", "BIGINT", "Followers on the day of publication; NULL = not known"),
        key("not_permitted", "VARCHAR[]", "Measures that the token was not allowed to read of it"),
        key("retired", "VARCHAR[]", "Measures that the platform gave no more of it"),
    ),
    key=(*ACCOUNT_KEY, "post_id"),
    day="day",
)  # fmt: skip


def post_population(posts_: pl.LazyFrame, roots: pl.LazyFrame, populations: pl.LazyFrame) -> pl.LazyFrame:
    """One row per population and post (parts of threads and replies too) that belongs to it: a part belongs where its first post does.

    `roots` are posts among which the first ones of all threads are found.
    """
    roots = roots.filter(pl.col("post_id") == pl.col("root_id"))
    wanted = populations.rename({"hashtags": "hashtags_wanted"})
    pairs = roots.join(wanted, on="institution_id").filter(_account_is_in())
    by_rule = (
        pl.col("is_open")
        | (pl.col("hashtags").list.set_intersection(pl.col("hashtags_wanted")).list.len() > 0)
        | pl.col("post_types").list.contains(pl.col("post_type"))
    )
    by_word = pl.col("text").str.to_lowercase().str.contains(pl.col("keywords"), literal=True)
    columns = [*WHO, "population_id", "post_id"]
    belonging = (
        pl.concat([pairs.filter(by_rule).select(columns), pairs.explode("keywords").filter(by_word).select(columns)])
        .unique()
        .rename({"post_id": "root_id"})
    )
    return posts_.join(belonging, on=[*WHO, "root_id"]).select(*WHO, "population_id", "post_id", "root_id", "post_type", "day")


def _account_is_in() -> pl.Expr:
    return (pl.col("accounts").list.len() == 0) | pl.col("accounts").list.contains(pl.col("platform") + "/" + pl.col("account_id"))


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
        .filter(_account_is_in())
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
        .filter(_account_is_in())
        .join(in_population, on=[*WHO, "population_id", "post_id"], how="left")
        .filter(pl.col("is_open") | pl.col("is_of_population").is_not_null())
        .select(*columns[:-2], is_comment=pl.lit(value=True), is_mention=pl.lit(value=False))
    )
    named = (
        mentions.filter(counts)
        .join(scope, on="institution_id")
        .filter(_account_is_in())
        .select(*columns[:-2], is_comment=pl.lit(value=False), is_mention=pl.lit(value=True))
    )
    return pl.concat([on_posts, named])


def given(availability: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Per platform `<measure>_given`, `_field`, `_types` (of posts that have it), `_since` and `_until`."""

    def first(column: str, name: str) -> pl.Expr:
        return pl.col(column).filter((pl.col("measure") == name) & pl.col("is_given")).first()

    return availability.group_by(["institution_id", "platform"]).agg(
        expression
        for name in names
        for expression in (
            pl.col("is_given").filter(pl.col("measure") == name).any().alias(f"{name}_given"),
            first("needs_field", name).alias(f"{name}_field"),
            pl.col("post_type").filter((pl.col("measure") == name) & pl.col("is_given")).alias(f"{name}_types"),
            first("valid_from", name).alias(f"{name}_since"),
            first("valid_to", name).alias(f"{name}_until"),
        )
    )


def has_type(name: str) -> pl.Expr:
    """The row's type of post has the measure, beside the columns of `given`. A part of a thread is what its first post is."""
    post_type = pl.when(pl.col("post_type") == "thread_part").then(pl.lit("post")).otherwise(pl.col("post_type"))
    types = pl.col(f"{name}_types")
    return (types.list.contains(pl.lit(ALL)) | types.list.contains(post_type)).fill_null(value=False)


def _streams_of(availability: pl.LazyFrame) -> pl.LazyFrame:
    """One row per platform, measure and stream that must have been read for a day of it to be known."""
    columns = ["institution_id", "platform", "measure", "stream", "needs_field"]
    return availability.filter("is_given").explode("streams").rename({"streams": "stream"}).select(columns).unique()


def _states(days: pl.LazyFrame, coverage: pl.LazyFrame, streams: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Per account and day of each measure `_state` (the rank of ok, or of the status that its streams give), `_is_denied`, `_is_retired`."""
    where, by = ["institution_id", "platform"], [*WHO, "stream"]
    named = _streams_of(availability)
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
    counted = pl.lit(0, pl.Int64)
    return frame.select(
        "institution_id",
        "population_id",
        pl.lit("account").alias("level"),
        "platform",
        "account_id",
        "day",
        "as_of_day",
        "is_started",
        *(
            expression
            for name in DAY_MEASURES_NAMES
            for expression in (
                # The 0 is a finding here, not a filler: the status has just said that the day was read.
                pl.when(pl.col(f"{name}_status") == "ok").then(pl.coalesce(pl.col(name), counted)).alias(name),
                pl.col(f"{name}_status"),
            )
        ),
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
    full = states.join(distinct, on=series, how="left")
    return full.select(
        "institution_id",
        "population_id",
        pl.lit("platform").alias("level"),
        "platform",
        pl.lit(ALL).alias("account_id"),
        "day",
        "as_of_day",
        "is_started",
        *(
            expression
            for name in DAY_MEASURES_NAMES
            for expression in (
                pl.when(pl.col(f"{name}_rank") == 0).then(pl.coalesce(pl.col(name), pl.lit(0, pl.Int64))).alias(name)
                if name in ITEM_MEASURES
                else pl.lit(None, pl.Int64).alias(name),
                status_of(pl.col(f"{name}_rank")).alias(f"{name}_status")
                if name in ITEM_MEASURES
                else pl.lit("not_applicable").alias(f"{name}_status"),
            )
        ),
    )


def post_measures(  # noqa: PLR0913 each is a table
    snapshots: pl.LazyFrame,
    posts_: pl.LazyFrame,
    comments: pl.LazyFrame,
    account_days: pl.LazyFrame,
    coverage: pl.LazyFrame,
    local_days: pl.LazyFrame,
    accounts_: pl.LazyFrame,
    availability: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per counted post: its counters at the age of 7 days, summed over the parts of a thread."""
    counted = posts_.filter((pl.col("post_id") == pl.col("root_id")) & pl.col("post_type").is_in(COUNTED_TYPES)).select(
        *WHO, "post_id", "day", "created_at", "post_type", "stream"
    )
    by_stream = [*WHO, "stream"]
    last_seen = coverage.filter("is_known").group_by(by_stream).agg(last_at=pl.col("observed_at").max())
    aged = (
        counted.join(last_seen, on=by_stream, how="left")
        .with_columns(target=pl.col("created_at") + COHORT_AGE)
        .with_columns(is_mature=(pl.col("target") <= pl.col("last_at")).fill_null(value=False))
    )
    measured = (
        _at_age(aged, snapshots, posts_)
        .join(_comments_at_age(aged, comments, coverage, local_days, availability), on=[*WHO, "post_id"], how="left")
        .join(account_days.select(*WHO, "day", followers_at_publication="followers"), on=[*WHO, "day"], how="left")
        .with_columns(exposures=pl.coalesce("views", "impressions"))
    )
    return _with_refusals(measured, coverage, accounts_, availability).select(POST_MEASURES.names)


def _with_refusals(measured: pl.LazyFrame, coverage: pl.LazyFrame, accounts_: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `not_permitted` and `retired`: measures of which the ledger of the snapshot's day says why they are not there."""
    seen = coverage.select(*WHO, "stream", "denied_fields", "retired_fields", seen_day="day")

    def among(fields: str, name: str) -> pl.Expr:
        return pl.col(fields).list.contains(pl.col(f"{name}_field")).fill_null(value=False)

    denied = {name: among("denied_fields", name) | among("unasked_fields", name) for name in LISTED_MEASURES}
    over = {
        name: among("retired_fields", name) | (pl.col("seen_day") > pl.col(f"{name}_until")).fill_null(value=False)
        for name in LISTED_MEASURES
    }

    def named(told: Mapping[str, pl.Expr]) -> pl.Expr:
        return pl.concat_list(pl.when(has_type(name) & is_so).then(pl.lit(name)) for name, is_so in told.items()).list.drop_nulls()

    return (
        measured.join(seen, on=[*WHO, "stream", "seen_day"], how="left")
        .join(accounts_.select(*WHO, "unasked_fields"), on=WHO, how="left")
        .join(given(availability, LISTED_MEASURES), on=["institution_id", "platform"], how="left")
        .with_columns(not_permitted=named(denied), retired=named(over))
    )


def _at_age(aged: pl.LazyFrame, snapshots: pl.LazyFrame, posts_: pl.LazyFrame) -> pl.LazyFrame:
    """Adds the counters of the snapshot nearest to the target, for each part of a thread; a part without one leaves the whole unknown."""
    counters = [name for name in COHORT_MEASURES if name in COUNTER_MEASURES or name == "reach"]
    parts = posts_.filter(pl.col("post_type") != "reply").select(*WHO, part_id=pl.col("post_id"), post_id=pl.col("root_id"))
    distance = (pl.col("observed_at") - pl.col("target")).abs()
    nearest = (
        aged.join(parts, on=[*WHO, "post_id"])
        .join(snapshots.rename({"day": "seen_day"}).drop("stream", "created_at"), left_on=[*WHO, "part_id"], right_on=[*WHO, "post_id"], how="left")
        .with_columns(distance=distance)
        .with_columns(is_near=pl.col("observed_at").is_not_null() & (~pl.col("is_mature") | (pl.col("distance") <= COHORT_TOLERANCE)))
        .sort("distance", "observed_at", nulls_last=True)
        .group_by([*WHO, "post_id", "part_id"], maintain_order=True)
        .agg(pl.col("is_near").first(), *(
            pl.when("is_near").then(pl.col(name)).first().alias(name) for name in ("observed_at", "seen_day", *counters)
        ))
    )  # fmt: skip
    whole = nearest.group_by([*WHO, "post_id"]).agg(
        *(pl.when(pl.col("is_near").all()).then(pl.col(name).max()).alias(name) for name in ("observed_at", "seen_day")),
        # Reach is a count of people: over the parts of a thread it cannot be added.
        *(
            pl.when((pl.col(name).null_count() == 0) & ((name != "reach") | (pl.len() == 1))).then(pl.col(name).sum()).alias(name)
            for name in counters
        ),
    )
    return aged.join(whole, on=[*WHO, "post_id"], how="left")


def _comments_at_age(
    aged: pl.LazyFrame, comments: pl.LazyFrame, coverage: pl.LazyFrame, local_days: pl.LazyFrame, availability: pl.LazyFrame
) -> pl.LazyFrame:
    """Comments up to the age of 7 days, where every local day until then (or until the as-of day) is covered."""
    by = [*WHO, "post_id"]
    counts = ~pl.col("is_own") & ~pl.col("is_spam") & ~pl.col("is_reshare")
    counted = (
        comments.filter(counts & pl.col("post_id").is_not_null())
        .select(*by, "item_id", commented_at=pl.col("created_at"))
        .join(aged.select(*by, "target"), on=by)
        .filter(pl.col("commented_at") <= pl.col("target"))
        .group_by(by)
        .agg(comments_audience=pl.col("item_id").n_unique().cast(pl.Int64))
    )
    where = ["institution_id", "platform"]
    named = _streams_of(availability).filter(pl.col("measure") == "comments_audience").select(*where, "stream", needed=pl.len().over(where))
    ledger = (
        coverage.join(named, on=[*where, "stream"])
        .group_by([*WHO, "day"])
        .agg(is_known=pl.col("is_known").all() & (pl.len() == pl.col("needed").first()))
        .sort(*WHO, "day")
    )
    upto = ledger.select(*WHO, "day", covered=pl.col("is_known").cast(pl.Int64).cum_sum().over(WHO))
    as_of = ledger.group_by(WHO).agg(as_of_day=pl.col("day").max())
    days = local_days.select("institution_id", target_day=pl.col("day"), begin="starts_at").sort("begin")
    spans = (
        aged.select(*by, "day", "target")
        .sort("target")
        .join_asof(days, left_on="target", right_on="begin", by="institution_id", check_sortedness=False)
        .join(as_of, on=WHO)
        .with_columns(before=pl.col("day") - pl.duration(days=1), last=pl.min_horizontal("target_day", "as_of_day"))
        .join(upto.rename({"day": "before", "covered": "covered_before"}), on=[*WHO, "before"], how="left")
        .join(upto.rename({"day": "last", "covered": "covered_last"}), on=[*WHO, "last"], how="left")
    )
    # Before the ledger's first day nothing was covered; a post of that first day itself has nothing before it.
    first = ledger.group_by(WHO).agg(first_day=pl.col("day").min())
    is_covered = (pl.col("covered_last") - pl.col("covered_before").fill_null(0)) == (pl.col("last") - pl.col("day")).dt.total_days() + 1
    return (
        spans.join(first, on=WHO)
        .filter((pl.col("day") >= pl.col("first_day")) & is_covered)
        .join(counted, on=by, how="left")
        # A post that was watched on every day and was not answered has 0 comments.
        .select(*by, comments_audience=pl.coalesce("comments_audience", pl.lit(0, pl.Int64)))
    )
