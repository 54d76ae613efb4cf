"""The rules that hold for every platform: what is known of which day, threads, edits, deletions, differences, who answered whom.

Not here: how one platform's JSON is read (its own module) and anything that is an indicator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from assets.staging.mapping import SHAPES, STAMP, Given, PlatformMapping
from assets.staging.things import (
    ACCOUNT_DAYS,
    ACCOUNT_KEY,
    ACCOUNTS,
    COMMENTS,
    COUNTERS,
    COVERAGE,
    FLOWS,
    MENTION_HOURS,
    MENTIONS,
    NOT_ENDED,
    POST_DAYS,
    POST_SNAPSHOTS,
    POSTS,
)
from connectors.text import GIVEAWAY

WHO = list(ACCOUNT_KEY)
DIFFERENCED = [name for name in COUNTERS if name != "reach"]
# A difference never spans more than this [D]: after a longer gap a post starts anew.
MAX_DELTA_DAYS = 35
# A post of ours that answers a post of ours within a day continues it; 2^5 links are followed [D].
THREAD_LINK = pl.duration(hours=24)
THREAD_ROUNDS = 5
# What a failed fetch tells of a day that is worth more than that it is missing.
TELLING = ("not_permitted", "unavailable", "retired")


def raw_name(platform: str, stream: str) -> str:
    """The name under which a transform gets a stream's typed raw table."""
    return f"{platform}__{stream}"


def given(shape: Given, mappings: Iterable[PlatformMapping], frames: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """All streams' frames of one shape, one below the other, with `platform` and `stream`. `frames` are named as `raw_name` says."""
    types = SHAPES[shape]
    columns = {"institution_id": pl.String(), "account_id": pl.String(), "day": pl.Date(), "observed_at": pl.Datetime("us", "UTC")}
    # Where no platform has the shape it has no rows.
    none = pl.LazyFrame(schema=columns | {"platform": pl.String(), "stream": pl.String()} | types)
    parts = [
        source.read(frames[raw_name(mapping.platform, source.stream)]).select(
            *STAMP,
            pl.lit(mapping.platform).alias("platform"),
            pl.lit(source.stream).alias("stream"),
            *(pl.col(name).cast(dtype) for name, dtype in types.items()),
        )
        for mapping in mappings
        for source in mapping.sources.get(shape, ())
    ]
    return pl.concat(parts or [none])


def account_days(snapshots: pl.LazyFrame, flows: pl.LazyFrame, bases: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and day that has a snapshot, or a sum of the platform's own day, which may be another span of hours.

    `bases` says of each platform whose days its sums follow.
    """
    by_day = [*WHO, "day"]
    wide = (
        flows.with_columns(day=pl.col("platform_day"))
        .sort("observed_at", "stream")
        .group_by(by_day)
        .agg(pl.col("value").filter(pl.col("metric") == name).last().alias(name) for name in FLOWS)
    )
    return snapshots.drop("stream").join(wide, on=by_day, how="full", coalesce=True).join(bases, on="platform").select(ACCOUNT_DAYS.names)


def accounts(parsed: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account, as it was last seen."""
    return (
        parsed.sort("day")
        .group_by(WHO)
        .agg(pl.col("created_at").last(), first_day=pl.col("day").min(), last_day=pl.col("day").max())
        .select(ACCOUNTS.names)
    )


def _latest_version(parsed: pl.LazyFrame) -> pl.LazyFrame:
    """Of the versions of an edited post on one day the latest: ids are numbers of growing length, compared as text."""
    by_age = [pl.col("version_id").str.len_chars(), pl.col("version_id")]
    return parsed.sort(*by_age, "stream").unique([*WHO, "post_id", "day"], keep="last", maintain_order=True)


def post_snapshots(parsed: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post and snapshot day. Reposts are left out."""
    return _latest_version(parsed.filter(pl.col("kind") != "repost")).select(POST_SNAPSHOTS.names)


def posts(
    parsed: pl.LazyFrame, coverage: pl.LazyFrame, streams: pl.LazyFrame, local_days: pl.LazyFrame, fetches: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per post: its latest version, its thread, and since when it is gone."""
    by_age = [pl.col("day"), pl.col("version_id").str.len_chars(), pl.col("version_id")]
    latest = (
        parsed.sort(*by_age, "stream")
        .group_by([*WHO, "post_id"])
        .agg(
            # The first version tells when it was published, the last what it says.
            pl.col("created_at").first(),
            *(pl.col(name).last() for name in ("version_id", "kind", "parent_id", "text", "hashtags", "language", "stream")),
            first_seen_at=pl.col("observed_at").min(),
            last_day=pl.col("day").max(),
        )
    )
    dated = _with_local_day(latest, local_days)
    rooted = _with_roots(dated)
    return (
        _with_deletion(rooted, coverage, streams, fetches)
        .with_columns(
            post_type=pl.when(pl.col("root_id") != pl.col("post_id")).then(pl.lit("thread_part")).otherwise(pl.col("kind")),
            in_reply_to_id=pl.col("parent_id"),
            hashtags=pl.col("hashtags").fill_null([]).list.unique(maintain_order=True),
            is_giveaway=pl.col("text").str.contains(f"(?i){GIVEAWAY.pattern}").fill_null(value=False),
        )
        .select(POSTS.names)
    )


def _with_local_day(frame: pl.LazyFrame, local_days: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `day`, the institution-local date of `created_at`."""
    days = local_days.select("institution_id", "day", "starts_at").sort("starts_at")
    return (
        frame.sort("created_at")
        .join_asof(days, left_on="created_at", right_on="starts_at", by="institution_id", check_sortedness=False)
        .drop("starts_at")
    )


def _with_roots(posts_: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `root_id`: the first post of the thread. Pointers are doubled, so 5 rounds follow 32 links."""
    own = posts_.select(*WHO, "post_id", "parent_id", "created_at")
    versions = posts_.select(*WHO, parent_id=pl.col("version_id"), parent_post=pl.col("post_id"), parent_created=pl.col("created_at"))
    by_first = posts_.select(*WHO, parent_id=pl.col("post_id"), parent_post=pl.col("post_id"), parent_created=pl.col("created_at"))
    parents = pl.concat([by_first, versions]).unique([*WHO, "parent_id"])
    is_near = pl.col("created_at").is_between(pl.col("parent_created"), pl.col("parent_created") + THREAD_LINK)
    up = own.join(parents, on=[*WHO, "parent_id"], how="left").select(
        *WHO, "post_id", root_id=pl.when(is_near).then(pl.col("parent_post")).otherwise(pl.col("post_id"))
    )
    for _ in range(THREAD_ROUNDS):
        above = up.select(*WHO, root_id=pl.col("post_id"), above=pl.col("root_id"))
        up = up.join(above, on=[*WHO, "root_id"], how="left").select(*WHO, "post_id", root_id=pl.coalesce("above", "root_id"))
    return posts_.join(up, on=[*WHO, "post_id"], how="left")


def _with_deletion(posts_: pl.LazyFrame, coverage: pl.LazyFrame, streams: pl.LazyFrame, fetches: pl.LazyFrame) -> pl.LazyFrame:
    """Adds `deleted_at`: the first complete fetch after the last sighting that reached back to the post and did not hold it.

    A fetch of which records could not be placed says nothing about posts that it does not hold: one of them may be it.
    """
    by_stream = [*WHO, "stream"]
    unsure = fetches.filter(pl.col("rejected") > 0).select(*by_stream, "day").unique()
    known = (
        coverage.filter((pl.col("kind") == "snapshot") & pl.col("is_known"))
        .join(unsure, on=[*by_stream, "day"], how="anti")
        .join(
            streams.select("institution_id", "platform", "stream", "lookback_days"),
            on=["institution_id", "platform", "stream"],
        )
        .select(*by_stream, fetched_day=pl.col("day"), fetched_at=pl.col("observed_at"), lookback_days="lookback_days")
        .sort("fetched_day")
    )
    after = posts_.with_columns(next_day=pl.col("last_day") + pl.duration(days=1)).sort("next_day")
    joined = after.join_asof(known, left_on="next_day", right_on="fetched_day", by=by_stream, strategy="forward", check_sortedness=False)
    reached = pl.col("created_at") >= pl.col("fetched_at") - pl.duration(days=pl.col("lookback_days"))
    return joined.with_columns(deleted_at=pl.when(reached).then(pl.col("fetched_at"))).drop(
        "next_day", "fetched_day", "fetched_at", "lookback_days"
    )


def post_days(snapshots: pl.LazyFrame, coverage: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post and known snapshot day: the change since the post's previous known snapshot.

    A post created since the account's previous complete fetch starts from 0; one that was older when first seen has NULL.
    So the differences of a post sum to last - baseline.
    """
    known = coverage.filter((pl.col("kind") == "snapshot") & pl.col("is_known")).select(
        *WHO, "stream", "day", account_day=pl.col("previous_day"), account_at=pl.col("previous_at"), closed_at=pl.col("observed_at")
    )
    by_post = [*WHO, "post_id"]
    lined_up = (
        snapshots.join(known, on=[*WHO, "stream", "day"])
        # A rerun later in the morning also sees posts that came after the day was closed: they belong to the next.
        .filter(pl.col("created_at") <= pl.col("closed_at"))
        .sort(*by_post, "day")
        .with_columns(
            before=pl.col("day").shift(1).over(by_post),
            # A counter that was not given for a day is compared with the last that was: its movement is late, not lost.
            **{f"{name}_before": pl.col(name).forward_fill().shift(1).over(by_post) for name in DIFFERENCED},
            **{
                f"{name}_day": pl.when(pl.col(name).is_not_null()).then("day").forward_fill().shift(1).over(by_post) for name in DIFFERENCED
            },
        )
        .with_columns(is_followed=(pl.col("day") - pl.col("before")).dt.total_days() <= MAX_DELTA_DAYS)
        .with_columns(is_born=pl.col("is_followed").is_null() & (pl.col("created_at") > pl.col("account_at")))
    )
    since = pl.when("is_followed").then(pl.col("before")).when("is_born").then(pl.col("account_day"))
    return lined_up.select(
        *WHO,
        "post_id",
        "day",
        delta_days=(pl.col("day") - since).dt.total_days().cast(pl.Int32),
        **{
            name: pl.when((pl.col("day") - pl.col(f"{name}_day")).dt.total_days() <= MAX_DELTA_DAYS)
            .then(pl.col(name) - pl.col(f"{name}_before"))
            .when("is_born")
            .then(pl.col(name))
            for name in DIFFERENCED
        },
    ).select(POST_DAYS.names)


def _items(parsed: pl.LazyFrame, posts_: pl.LazyFrame, accounts_: pl.LazyFrame) -> pl.LazyFrame:
    """Each item of each account's stream with its flags, whose post it answers, and which."""

    def flag(name: str) -> pl.Expr:
        return pl.col("flags").struct.field(name).fill_null(value=False)

    own = posts_.filter(pl.col("post_type") != "repost").select(
        "institution_id", "platform", own_post=pl.col("post_id"), post_id=pl.col("root_id"), owner=pl.col("account_id")
    )
    own = pl.concat([own, posts_.filter(pl.col("version_id") != pl.col("post_id")).select(
        "institution_id", "platform", own_post=pl.col("version_id"), post_id=pl.col("root_id"), owner=pl.col("account_id"))
    ]).unique(["institution_id", "platform", "own_post"])  # fmt: skip
    listed = accounts_.select("institution_id", "platform", answers_account_id=pl.col("account_id"), answered=pl.col("account_id"))
    where = ["institution_id", "platform"]
    return (
        parsed.join(own, left_on=[*where, "conversation_id"], right_on=[*where, "own_post"], how="left")
        .join(own, left_on=[*where, "parent_id"], right_on=[*where, "own_post"], how="left", suffix="_of_parent")
        .join(listed, on=[*where, "answers_account_id"], how="left")
        .with_columns(
            post_id=pl.coalesce("post_id", "post_id_of_parent"),
            owner=pl.coalesce("owner", "owner_of_parent", "answered"),
            is_own=flag("by_us"),
            is_staff=flag("by_staff"),
            is_spam=flag("spam"),
            is_question=flag("question"),
            is_emoji_only=flag("emoji_only"),
            is_giveaway=flag("giveaway"),
            mentions_us=flag("mentions_us"),
            word_count=pl.col("flags").struct.field("word_count").fill_null(0),
            is_reshare=pl.col("is_reshare"),
        )
    )


def comments(parsed: pl.LazyFrame, posts_: pl.LazyFrame, accounts_: pl.LazyFrame) -> pl.LazyFrame:
    """One row per item that answers a post of ours, at the account that owns the post. An item in two accounts' streams is one."""
    by_item = ["institution_id", "platform", "item_id"]
    return (
        _items(parsed, posts_, accounts_)
        # Of two streams that hold the item one may not say whom it names, or which post it answers.
        .with_columns(account_id=pl.col("owner"), is_mention=pl.col("mentions_us").any().over(by_item))
        .filter(pl.col("owner").is_not_null())
        .sort("account_id", pl.col("post_id").is_null(), "day", "observed_at", "stream")
        .unique(by_item, keep="first", maintain_order=True)
        .select(COMMENTS.names)
    )


def mentions(parsed: pl.LazyFrame, posts_: pl.LazyFrame, accounts_: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and item that mentions it."""
    return (
        _items(parsed, posts_, accounts_)
        # Of two streams that hold the item one may not say what it answers.
        .with_columns(is_comment=pl.col("owner").is_not_null().any().over("institution_id", "platform", "item_id"))
        .filter(pl.col("mentions_us"))
        .sort("day", "observed_at", "stream")
        .unique([*WHO, "item_id"], keep="first", maintain_order=True)
        .select(MENTIONS.names)
    )


def mention_hours(parsed: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and hour."""
    return parsed.select(MENTION_HOURS.names)


def coverage(fetches: pl.LazyFrame, streams: pl.LazyFrame, local_days: pl.LazyFrame, accounts_: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account, stream and day from the first attempt to the as-of day: known, or why not.

    Of an account that is no longer listed nothing is expected after its last fetch.
    """
    kinds = streams.select("institution_id", "platform", "stream", "kind", "expires_hours")
    told = fetches.join(kinds, on=["institution_id", "platform", "stream"])
    # An hourly fetch of mentions or stories at noon does not begin a new day: the nights' snapshots do.
    as_of = (
        told.filter((pl.col("kind") == "snapshot") & pl.col("expires_hours").is_null())
        .group_by("institution_id")
        .agg(as_of=pl.col("day").max())
    )
    listed = accounts_.select(*WHO, is_listed=pl.lit(value=True))
    ends = told.group_by(WHO).agg(last=pl.col("day").max()).join(as_of, on="institution_id").join(listed, on=WHO, how="left")
    as_of = ends.select(*WHO, as_of=pl.when("is_listed").then("as_of").otherwise(pl.min_horizontal("last", "as_of")))
    return pl.concat([_snapshot_coverage(told, as_of, local_days), _event_coverage(told, as_of, local_days)]).select(COVERAGE.names)


def _grid(told: pl.LazyFrame, first_day: pl.Expr, as_of: pl.LazyFrame, local_days: pl.LazyFrame) -> pl.LazyFrame:
    by_stream = [*WHO, "stream", "kind", "expires_hours"]
    return (
        told.group_by(by_stream)
        .agg(first_day=first_day)
        .join(as_of, on=WHO)
        .with_columns(day=pl.date_ranges("first_day", "as_of"))
        .explode("day")
        .join(local_days, on=["institution_id", "day"])
    )


def _failures(told: pl.LazyFrame) -> pl.LazyFrame:
    """Per stream and day the last failure: its status and reason."""
    return (
        told.filter(~pl.col("is_complete"))
        .sort("observed_at", "window_start")
        .group_by([*WHO, "stream", "day"])
        .agg(failure=pl.col("ledger_status").last(), reason=pl.col("reason").last())
    )


def _snapshot_coverage(told: pl.LazyFrame, as_of: pl.LazyFrame, local_days: pl.LazyFrame) -> pl.LazyFrame:
    told = told.filter(pl.col("kind") == "snapshot")
    by_day = [*WHO, "stream", "day"]
    whole = told.filter(pl.col("is_complete") & pl.col("is_last")).join(
        local_days.select("institution_id", "day", "ends_at"), on=["institution_id", "day"]
    )
    off = pl.col("observed_at") - pl.col("ends_at")
    kept = (
        # As in raw: the fetch nearest to the day's end closes it, and the last one where things expire.
        whole.sort(pl.when(pl.col("expires_hours").is_null()).then(off.abs()).otherwise(-off), "observed_at")
        .group_by(by_day, maintain_order=True)
        .agg(pl.col("observed_at").first(), pl.col("denied_fields").first(), pl.col("retired_fields").first(), times=pl.len())
    )
    seen = kept.sort(by_day).select(
        *by_day,
        previous_day=pl.col("day").shift(1).over([*WHO, "stream"]),
        previous_at=pl.col("observed_at").shift(1).over([*WHO, "stream"]),
    )
    never = (
        pl.when(pl.col("expires_hours").is_null())
        .then(pl.lit("No run asked for it on this day, and counters of the past cannot be asked for."))
        .otherwise(pl.format("No run asked for it on this day, and what is shown for {} hours is gone.", "expires_hours"))
    )
    gone = pl.when((pl.col("expires_hours") > 0) & (pl.col("day") < pl.col("as_of"))).then(
        pl.format("{} What is shown for {} hours is gone.", "reason", "expires_hours")
    )
    return (
        _grid(told, pl.col("day").min(), as_of, local_days)
        .join(kept, on=by_day, how="left")
        .join(seen, on=by_day, how="left")
        .join(_failures(told), on=by_day, how="left")
        .with_columns(is_known=pl.col("observed_at").is_not_null())
        .with_columns(
            status=pl.when("is_known")
            .then(pl.when(pl.col("times") > 1).then(pl.lit("revised")).otherwise(pl.lit("fetched")))
            .when(pl.col("failure").is_in(TELLING))
            .then(pl.col("failure"))
            .when(pl.col("day") < pl.col("as_of"))
            .then(pl.lit("lost"))
            .otherwise(pl.lit("expected")),
            reason=pl.when(~pl.col("is_known")).then(pl.coalesce(gone, pl.col("reason"), never)),
            denied_fields=pl.col("denied_fields").fill_null([]),
            retired_fields=pl.col("retired_fields").fill_null([]),
        )
        .select(COVERAGE.names)
    )


def _event_coverage(told: pl.LazyFrame, as_of: pl.LazyFrame, local_days: pl.LazyFrame) -> pl.LazyFrame:
    told = told.filter(pl.col("kind") != "snapshot")
    by_stream = [*WHO, "stream"]
    starts = local_days.select("institution_id", first_day=pl.col("day"), begin="starts_at").sort("begin")
    told = told.sort("window_start").join_asof(
        starts, left_on="window_start", right_on="begin", by="institution_id", check_sortedness=False
    )
    spans = (
        told.filter("is_complete")
        .sort(*by_stream, "window_start")
        .with_columns(reached=pl.col("window_end").cum_max().shift(1).over(by_stream))
        .with_columns(span=(pl.col("window_start") > pl.col("reached")).fill_null(value=True).cum_sum().over(by_stream))
        .group_by([*by_stream, "span"])
        .agg(span_start=pl.col("window_start").min(), span_end=pl.col("window_end").max())
        .sort("span_start")
    )
    return (
        _grid(told, pl.col("first_day").min() + pl.duration(days=1), as_of, local_days)
        .sort("starts_at")
        .join_asof(spans, left_on="starts_at", right_on="span_start", by=by_stream, check_sortedness=False)
        .join(_failures(told), on=[*by_stream, "day"], how="left")
        .join(_refused(told), on=[*by_stream, "day"], how="left")
        .join(_read_to_the_end(told), on=[*by_stream, "day"], how="left")
        .with_columns(
            is_known=(pl.col("span_end") >= pl.col("ends_at")).fill_null(value=False), is_read=pl.col("is_read").fill_null(value=False)
        )
        .with_columns(
            status=pl.when("is_known")
            .then(pl.lit("fetched"))
            .when(pl.col("failure").is_in(TELLING))
            .then(pl.col("failure"))
            .otherwise(pl.lit("expected")),
            reason=pl.when(~pl.col("is_known")).then(
                pl.coalesce(
                    pl.col("reason"),
                    pl.when("is_read").then(pl.lit(NOT_ENDED)).otherwise(pl.lit("No complete answer covers the day yet.")),
                )
            ),
            observed_at=pl.lit(None, pl.Datetime("us", "UTC")),
            previous_day=pl.lit(None, pl.Date),
            previous_at=pl.lit(None, pl.Datetime("us", "UTC")),
            denied_fields=pl.col("denied_fields").fill_null([]),
            retired_fields=pl.col("retired_fields").fill_null([]),
        )
        .select(COVERAGE.names)
    )


def _read_to_the_end(told: pl.LazyFrame) -> pl.LazyFrame:
    """The streams and nights of which all that the platform had of its own days by then was read."""
    whole = told.filter((pl.col("kind") == "daily") & pl.col("is_complete") & pl.col("is_last"))
    return whole.select(*WHO, "stream", "day", is_read=pl.lit(value=True)).unique()


def _refused(told: pl.LazyFrame) -> pl.LazyFrame:
    """Per stream of events or sums and day the fields that the last complete fetch whose window touched the day was refused.

    A night's window ends in the morning after the day that it closes; that morning is left to the fetches of its own day.
    """
    return (
        told.filter("is_complete")
        .select(
            *WHO, "stream", "observed_at", "window_start", "denied_fields", "retired_fields", touched=pl.date_ranges("first_day", "day")
        )
        .explode("touched")
        .sort("observed_at", "window_start")
        .group_by([*WHO, "stream", pl.col("touched").alias("day")])
        .agg(pl.col("denied_fields").last(), pl.col("retired_fields").last())
    )
