"""What formulas are made of: each account's day in counts with their statuses, and each post at the age of seven days.

Not here: formulas (formulas.py) and periods (values.py).
"""

from __future__ import annotations

import polars as pl

from assets.indicators.values import ALL, rank, status_of
from assets.staging.things import ACCOUNT_KEY
from pipelines.tables import Column, Table, key

COUNTER_MEASURES = ("reactions", "shares", "saves", "views", "impressions", "link_clicks")
ITEM_MEASURES = ("mentions", "conversation_items")
DAY_MEASURES_NAMES = (*COUNTER_MEASURES, "comments_audience", "posts", *ITEM_MEASURES, "followers")
COHORT_MEASURES = (*COUNTER_MEASURES, "reach", "exposures", "comments_audience", "followers_at_publication")
COUNTED_TYPES = ("post", "quote")
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
    "posts": "Posts published: threads once, no replies, no reposts",
    "mentions": "Items that mention the account, spam and reshares left out",
    "conversation_items": "Distinct items that are a comment or a mention",
    "followers": "Followers at the end of the day",
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
    "One row per post (a thread is one; no replies, no reposts): its counters at the age of 7 days, or the latest while it is younger.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The account"),
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Local date of publication"),
        key("created_at", "TIMESTAMPTZ", "Time of publication"),
        key("post_type", "VARCHAR", "post or quote"),
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
    grid = _grid(coverage, accounts_, populations)
    by = ["institution_id", "population_id", "platform", "account_id", "day"]
    counters = post_days.filter(pl.col("delta_days").is_not_null()).join(belonging, on=[*WHO, "post_id"]).group_by(by).agg(
        # One post whose movement is not known leaves the day's unknown: a part of a sum is not the sum.
        *(pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name) for name in COUNTER_MEASURES), moved_posts=pl.len()
    )  # fmt: skip
    published = (
        belonging.filter((pl.col("post_id") == pl.col("root_id")) & pl.col("post_type").is_in(COUNTED_TYPES))
        .group_by(by)
        .agg(posts=pl.len().cast(pl.Int64))
    )
    items = _counted_items(comments, mentions, belonging, populations)
    commented = items.filter("is_comment").group_by(by).agg(comments_audience=pl.col("item_id").n_unique().cast(pl.Int64))
    mentioned = items.filter("is_mention").group_by(by).agg(mentions=pl.col("item_id").n_unique().cast(pl.Int64))
    conversed = items.group_by(by).agg(conversation_items=pl.col("item_id").n_unique().cast(pl.Int64))
    followers = account_days.select(*WHO, "day", "followers")
    full = grid
    for part in (counters, published, commented, mentioned, conversed):
        full = full.join(part, on=by, how="left")
    full = full.join(followers, on=[*WHO, "day"], how="left")
    full = _with_availability(_with_stream_states(full, coverage, streams), accounts_, availability)
    accounts_level = _judged(full)
    return pl.concat([accounts_level, _platform_items(accounts_level, items)]).select(DAY_MEASURES.names)


def _grid(coverage: pl.LazyFrame, accounts_: pl.LazyFrame, populations: pl.LazyFrame) -> pl.LazyFrame:
    """Every day that the ledger knows of, for each account of each population."""
    listed = accounts_.select(*WHO)
    spans = coverage.join(listed, on=WHO, how="semi").group_by(WHO).agg(start=pl.col("day").min())
    ends = coverage.group_by("institution_id").agg(as_of_day=pl.col("day").max())
    started = coverage.filter(pl.col("kind") == "snapshot").select("institution_id", "day", is_started=pl.lit(value=True)).unique()
    days = spans.join(ends, on="institution_id").with_columns(day=pl.date_ranges("start", "as_of_day")).explode("day")
    return (
        days.join(started, on=["institution_id", "day"], how="left")
        .with_columns(pl.col("is_started").fill_null(value=False))
        .join(populations, on="institution_id")
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


def _with_stream_states(frame: pl.LazyFrame, coverage: pl.LazyFrame, streams: pl.LazyFrame) -> pl.LazyFrame:
    """Adds for each of the three streams the state of the day: ok, or the status that its absence gives."""
    on = [*WHO, "day"]
    absent = (
        pl.when(pl.col("status") == "not_permitted")
        .then(pl.lit("not_permitted"))
        .when(pl.col("status") == "lost")
        .then(pl.lit("lost"))
        .otherwise(pl.lit("missing_input"))
    )
    state = pl.when("is_known").then(pl.lit("ok")).otherwise(absent)
    for stream, name in (("posts", "posts_state"), ("mentions", "items_state"), ("accounts", "accounts_state")):
        days = coverage.filter(pl.col("stream") == stream).select(
            *on,
            state.alias(name),
            *([pl.col("previous_day").is_not_null().alias("has_previous"), pl.col("denied_fields")] if stream == "posts" else []),
        )
        frame = frame.join(days, on=on, how="left")
    lookback = streams.filter(pl.col("stream") == "posts").select("institution_id", "platform", "lookback_days")
    read = coverage.filter((pl.col("stream") == "posts") & pl.col("is_known")).select(*WHO, read_day=pl.col("day")).sort("read_day")
    frame = frame.join(lookback, on=["institution_id", "platform"], how="left").sort("day")
    frame = frame.join_asof(read, left_on="day", right_on="read_day", by=WHO, strategy="forward", check_sortedness=False)
    early = pl.lit("insufficient_history")
    was_listed = (pl.col("read_day") - pl.col("day")).dt.total_days() < pl.col("lookback_days")
    return frame.with_columns(
        counters_state=pl.when((pl.col("posts_state") == "ok") & ~pl.col("has_previous"))
        .then(early)
        .otherwise(pl.col("posts_state").fill_null(early)),
        listing_state=pl.when(was_listed).then(pl.lit("ok")).otherwise(pl.col("posts_state").fill_null(early)),
        items_state=pl.col("items_state").fill_null("insufficient_history"),
        accounts_state=pl.col("accounts_state").fill_null("insufficient_history"),
    )


def _with_availability(frame: pl.LazyFrame, accounts_: pl.LazyFrame, availability: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `<measure>_given`, `<measure>_field` and `unasked_fields`: what the platform gives, and what the account's token may read."""
    on = ["institution_id", "platform"]
    given = availability.group_by(on).agg(
        *(pl.col("is_given").filter(pl.col("measure") == name).any().alias(f"{name}_given") for name in DAY_MEASURES_NAMES),
        *(pl.col("needs_field").filter(pl.col("measure") == name).first().alias(f"{name}_field") for name in DAY_MEASURES_NAMES),
    )
    return frame.join(given, on=on, how="left").join(accounts_.select(*WHO, "unasked_fields"), on=WHO, how="left")


def _judged(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Each measure's status, and its value where that is ok. A day that was read and on which nothing moved counts 0."""
    judged = []
    for name in DAY_MEASURES_NAMES:
        state = {"comments_audience": "items_state", "posts": "listing_state", "followers": "accounts_state"}.get(
            name, "items_state" if name in ITEM_MEASURES else "counters_state"
        )
        is_denied = pl.col("denied_fields").list.contains(pl.col(f"{name}_field")).fill_null(value=False)
        nothing_given = (
            pl.col(name).is_null() & (pl.col("moved_posts").is_not_null() | is_denied) if name in COUNTER_MEASURES else pl.lit(value=False)
        )
        if name == "followers":
            nothing_given = pl.col(name).is_null()
        status = (
            pl.when(~pl.col(f"{name}_given").fill_null(value=False))
            .then(pl.lit("not_applicable"))
            .when(pl.col("unasked_fields").list.contains(pl.col(f"{name}_field")).fill_null(value=False))
            .then(pl.lit("not_permitted"))
            .when(pl.col(state) != "ok")
            .then(pl.col(state))
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
    covered = accounts_level.filter(pl.col("mentions_status") == "ok").select(*series, "account_id")
    distinct = (
        items.join(covered, on=[*series, "account_id"], how="semi")
        .group_by(series)
        .agg(
            conversation_items=pl.col("item_id").n_unique().cast(pl.Int64),
            mentions=pl.col("item_id").filter("is_mention").n_unique().cast(pl.Int64),
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
) -> pl.LazyFrame:
    """One row per counted post: its counters at the age of 7 days, summed over the parts of a thread."""
    counted = posts_.filter((pl.col("post_id") == pl.col("root_id")) & pl.col("post_type").is_in(COUNTED_TYPES)).select(
        *WHO, "post_id", "day", "created_at", "post_type"
    )
    last_seen = coverage.filter((pl.col("stream") == "posts") & pl.col("is_known")).group_by(WHO).agg(last_at=pl.col("observed_at").max())
    aged = (
        counted.join(last_seen, on=WHO, how="left")
        .with_columns(target=pl.col("created_at") + COHORT_AGE)
        .with_columns(is_mature=(pl.col("target") <= pl.col("last_at")).fill_null(value=False))
    )
    return (
        _at_age(aged, snapshots, posts_)
        .join(_comments_at_age(aged, comments, coverage, local_days), on=[*WHO, "post_id"], how="left")
        .join(account_days.select(*WHO, "day", followers_at_publication="followers"), on=[*WHO, "day"], how="left")
        .with_columns(exposures=pl.coalesce("views", "impressions"))
        .select(POST_MEASURES.names)
    )


def _at_age(aged: pl.LazyFrame, snapshots: pl.LazyFrame, posts_: pl.LazyFrame) -> pl.LazyFrame:
    """Adds the counters of the snapshot nearest to the target, for each part of a thread; a part without one leaves the whole unknown."""
    counters = [name for name in COHORT_MEASURES if name in COUNTER_MEASURES or name == "reach"]
    parts = posts_.filter(pl.col("post_type") != "reply").select(*WHO, part_id=pl.col("post_id"), post_id=pl.col("root_id"))
    distance = (pl.col("observed_at") - pl.col("target")).abs()
    nearest = (
        aged.join(parts, on=[*WHO, "post_id"])
        .join(snapshots.drop("day", "created_at"), left_on=[*WHO, "part_id"], right_on=[*WHO, "post_id"], how="left")
        .with_columns(distance=distance)
        .with_columns(is_near=pl.col("observed_at").is_not_null() & (~pl.col("is_mature") | (pl.col("distance") <= COHORT_TOLERANCE)))
        .sort("distance", "observed_at", nulls_last=True)
        .group_by([*WHO, "post_id", "part_id"], maintain_order=True)
        .agg(pl.col("is_near").first(), pl.when("is_near").then(pl.col("observed_at")).first().alias("observed_at"), *(
            pl.when("is_near").then(pl.col(name)).first().alias(name) for name in counters
        ))
    )  # fmt: skip
    whole = nearest.group_by([*WHO, "post_id"]).agg(
        pl.when(pl.col("is_near").all()).then(pl.col("observed_at").max()).alias("observed_at"),
        # Reach is a count of people: over the parts of a thread it cannot be added.
        *(
            pl.when((pl.col(name).null_count() == 0) & ((name != "reach") | (pl.len() == 1))).then(pl.col(name).sum()).alias(name)
            for name in counters
        ),
    )
    return aged.join(whole, on=[*WHO, "post_id"], how="left")


def _comments_at_age(aged: pl.LazyFrame, comments: pl.LazyFrame, coverage: pl.LazyFrame, local_days: pl.LazyFrame) -> pl.LazyFrame:
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
    ledger = coverage.filter(pl.col("stream") == "mentions").sort(*WHO, "day")
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
