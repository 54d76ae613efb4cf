"""What formulas are made of, by the post: each post's counters at the age of seven days.

Not here: days (by_day.py) and formulas (formulas.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from assets.indicators.measures import (
    COHORT_MEASURES,
    COUNTED_TYPES,
    COUNTER_MEASURES,
    LISTED_MEASURES,
    WHO,
    given,
    has_type,
    streams_of,
)
from assets.staging.things import ACCOUNT_KEY
from pipelines.tables import Column, Table, key

COHORT_AGE = pl.duration(days=7)
COHORT_AGE_DAYS = 7
# Later than this a snapshot is never the one at the age of 7 days, of no part of a thread. An edit may bring a version's age a little forward.
AT_AGE_AT_MOST = "observed_at <= created_at + INTERVAL 10 DAY"
# A snapshot further than this from the age of 7 days says nothing about it [D].
COHORT_TOLERANCE = pl.duration(hours=48)
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
    named = streams_of(availability).filter(pl.col("measure") == "comments_audience").select(*where, "stream", needed=pl.len().over(where))
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
