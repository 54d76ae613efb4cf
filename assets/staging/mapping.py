"""What a platform's module declares: which of its streams becomes what, how its JSON is typed, which measures it gives.

Not here: the modules (one a platform) and the rules that hold for all of them (common.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

Given = Literal["account_snapshots", "post_snapshots", "items", "mention_hours"]

# The columns that a module's function returns for each of the four, beside institution_id, account_id, day and observed_at.
SHAPES: dict[Given, dict[str, pl.DataType]] = {
    "account_snapshots": {
        "created_at": pl.Datetime("us", "UTC"),
        "followers": pl.Int64(),
        "following": pl.Int64(),
        "posts_total": pl.Int64(),
    },
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
    """One stream as one of the four: the JSON's types (as DuckDB's `json_transform` takes them) and the function that reads it."""

    stream: str
    json_types: Mapping[str, object]
    read: Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class PlatformMapping:
    """A platform's module in one object.

    Args:
        gives: measures that the platform has, each with the field that the token must be allowed to read ("" = none in particular).
    """

    platform: str
    sources: Mapping[Given, Source]
    gives: Mapping[str, str]


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
