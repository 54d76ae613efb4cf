"""One post, many names: which posts of the institution's accounts say the same within a day, or point at each other.

Not here: their counters, which stay each account's own.
"""

from __future__ import annotations

import polars as pl

from assets.staging.things import ACCOUNT_KEY, CONTENT_GROUPS

WHO = list(ACCOUNT_KEY)
# Posts further apart are two posts [D].
NEAR = pl.duration(hours=24)
# Of the words of both posts so many must be in both; of fewer words than these nothing is said [D].
LEAST_ALIKE = 0.8
LEAST_WORDS = 4
# A shorter id may stand in a link by chance [D].
LEAST_ID = 6
# 2^2 links are followed, each of a day at most: a group looks back four days and one for the date line.
ROUNDS = 2
LOOKBACK_DAYS = 5
LINK = r"https?://\S+"
NO_WORDS = rf"{LINK}|[#@][\w.]+"


def content_groups(posts_: pl.LazyFrame) -> pl.LazyFrame:
    """One row per post that is no reply, repost or part of a thread: the group of the earliest post that it repeats, directly or by another."""
    own = _own(posts_)
    points = _repeats(own)
    up = own.join(points, on=[*WHO, "post_id"], how="left").select(
        *WHO, "post_id", "day", "name", first=pl.coalesce("first", pl.col("name"))
    )
    for _ in range(ROUNDS):
        # Two of our accounts may list one post.
        above = up.group_by("institution_id", first="name").agg(above=pl.col("first").min())
        up = up.join(above, on=["institution_id", "first"], how="left").with_columns(first=pl.coalesce("above", "first")).drop("above")
    return up.rename({"first": "content_group_id"}).select(CONTENT_GROUPS.names)


def _own(posts_: pl.LazyFrame) -> pl.LazyFrame:
    """The posts with their `name`, their `words`, the id by which they are linked (`link_id`) and the parts of the links in their text (`linked`)."""
    text = pl.col("text").fill_null("")
    return posts_.filter((pl.col("post_id") == pl.col("root_id")) & ~pl.col("post_type").is_in(["reply", "repost"])).select(
        *WHO,
        "post_id",
        "day",
        "created_at",
        name=pl.col("platform") + "/" + pl.col("post_id"),
        words=text.str.to_lowercase().str.replace_all(NO_WORDS, " ").str.extract_all(r"\w+").list.unique(),
        link_id=pl.when(pl.col("version_id").str.len_chars() >= LEAST_ID).then("version_id"),
        linked=text.str.extract_all(LINK).list.join(" ").str.extract_all(r"[\w-]+"),
    )


def _repeats(own: pl.LazyFrame) -> pl.LazyFrame:
    """Of each post that repeats one of another account the `first` that it does: the earliest of the day before it."""
    columns = ["created_at", "platform", "account_id", "name", "words", "link_id"]
    earlier = own.select("institution_id", *(pl.col(name).alias(f"{name}_before") for name in columns), near="day")
    # Of two posts within a day the dates are the same, or follow each other.
    days = own.with_columns(near=pl.concat_list(pl.col("day"), pl.col("day") - pl.duration(days=1))).explode("near")
    pairs = days.join(earlier, on=["institution_id", "near"]).filter(
        (pl.concat_str(["platform", "account_id"], separator="/") != pl.concat_str(["platform_before", "account_id_before"], separator="/"))
        & pl.col("created_at_before").is_between(pl.col("created_at") - NEAR, pl.col("created_at"))
        & ((pl.col("created_at_before") < pl.col("created_at")) | (pl.col("name_before") < pl.col("name")))
    )
    both = pl.col("words").list.set_intersection("words_before").list.len()
    either = pl.col("words").list.set_union("words_before").list.len()
    is_alike = (pl.min_horizontal(pl.col("words").list.len(), pl.col("words_before").list.len()) >= LEAST_WORDS) & (
        both >= LEAST_ALIKE * either
    )
    is_linked = pl.col("linked").list.contains(pl.col("link_id_before")).fill_null(value=False)
    return (
        pairs.filter(is_alike | is_linked)
        .sort("created_at_before", "name_before")
        .group_by([*WHO, "post_id"], maintain_order=True)
        .agg(first=pl.col("name_before").first())
    )
