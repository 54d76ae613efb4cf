"""What a platform's module declares: which of its streams becomes what, how its JSON is typed, which measures it gives.

Not here: the modules (one a platform) and the rules that hold for all of them (common.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from assets.staging.things import POST_TYPES

Given = Literal["account_snapshots", "account_flows", "post_snapshots", "items", "mention_hours"]
PaidScope = Literal["organic", "paid", "total", "unknown"]

# The columns that a module's function returns for each of the five, beside institution_id, account_id, day and observed_at.
SHAPES: dict[Given, dict[str, pl.DataType]] = {
    "account_snapshots": {
        "created_at": pl.Datetime("us", "UTC"),
        "followers": pl.Int64(),
        "following": pl.Int64(),
        "posts_total": pl.Int64(),
    },
    # One number of the platform's own day; `metric` is a flow column of staging.account_days.
    "account_flows": {"platform_day": pl.Date(), "metric": pl.String(), "value": pl.Int64()},
    "post_snapshots": {
        "post_id": pl.String(),
        "version_id": pl.String(),
        "created_at": pl.Datetime("us", "UTC"),
        "kind": pl.String(),
        "parent_id": pl.String(),
        "text": pl.String(),
        "hashtags": pl.List(pl.String()),
        "language": pl.String(),
        **{
            name: pl.Int64()
            for name in ("reactions", "comments_platform", "shares", "saves", "views", "impressions", "link_clicks", "reach")
        },
    },
    "items": {
        "item_id": pl.String(),
        "created_at": pl.Datetime("us", "UTC"),
        "author_key": pl.String(),
        "conversation_id": pl.String(),
        "parent_id": pl.String(),
        "answers_account_id": pl.String(),
        "is_reshare": pl.Boolean(),
        "flags": pl.Struct(
            {name: pl.Boolean() for name in ("mentions_us", "by_us", "by_staff", "question", "emoji_only", "spam", "giveaway")}
            | {"word_count": pl.Int32()}
        ),
    },
    "mention_hours": {"hour_start": pl.Datetime("us", "UTC"), "mentions": pl.Int64()},
}
FLAGS_JSON = {
    **dict.fromkeys(("mentions_us", "by_us", "by_staff", "question", "emoji_only", "spam", "giveaway"), "BOOLEAN"),
    "word_count": "INTEGER",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One stream as one of the five: the JSON's types (as DuckDB's `json_transform` takes them) and the function that reads it."""

    stream: str
    json_types: Mapping[str, object]
    read: Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Gives:
    """A measure as a platform gives it.

    Args:
        field: what stands in the ledger's `denied_fields` or `retired_fields` when it is refused; "" = nothing in particular.
        streams: those of which the coverage says whether a day is known; all of them must be.
        metric: the platform's own name of the number.
        version: raised when the platform changes what it means.
        paid_scope: whether what was paid for is in it.
        post_types: types of posts that have it; empty = all.
        since: first day; None = always.
        until: last day; None = until further notice.
        is_private: the field is asked for only of accounts whose settings say `private_metrics`.
    """

    field: str = ""
    streams: tuple[str, ...] = ("posts",)
    metric: str = ""
    version: int = 1
    paid_scope: PaidScope = "unknown"
    post_types: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class PlatformMapping:
    """A platform's module in one object.

    Args:
        sources: several streams may become one shape; the rows keep the name of theirs.
        gives: measures that the platform has. What is not named here, it lacks.

    Raises:
        ValueError: a shape reads one stream twice, or a measure names a type of post that there is not.
    """

    platform: str
    sources: Mapping[Given, tuple[Source, ...]]
    gives: Mapping[str, Gives]

    def __post_init__(self) -> None:
        for shape, sources in self.sources.items():
            if len({source.stream for source in sources}) < len(sources):
                message = f"{self.platform}: {shape} reads one stream twice"
                raise ValueError(message)
        for measure, given in self.gives.items():
            if unknown := {*given.post_types} - {*POST_TYPES}:
                message = f"{self.platform}: {measure} names types of post that there are not: {sorted(unknown)}"
                raise ValueError(message)

    @property
    def private_fields(self) -> tuple[str, ...]:
        """The fields that are not asked for of every account, sorted."""
        return tuple(sorted({one.field for one in self.gives.values() if one.is_private}))


def field(path: str) -> pl.Expr:
    """A member of the typed payload, by dotted path."""
    expression = pl.col("p")
    for part in path.split("."):
        expression = expression.struct.field(part)
    return expression


def absent(dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """A measure that the platform does not have: NULL, never 0."""
    return pl.lit(None, dtype)


STAMP = ("institution_id", "account_id", "day", "observed_at")
