"""What Meta's platforms share: insights beside a post, numbers of the platform's days, comments and mentions.

Not here: the platforms themselves (one module each) and what is asked (connectors/graph.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from assets.staging.mapping import FLAGS_JSON, STAMP, Source, absent, field

# A value is a number for some posts and an object for others, so it is read as it stands.
INSIGHTS_JSON = {"data": [{"name": "VARCHAR", "values": [{"value": "JSON"}], "total_value": {"value": "JSON"}}]}
FLOW_JSON = {"name": "VARCHAR", "day": "DATE", "value": "BIGINT"}


def insight(name: str, member: str | None = None) -> pl.Expr:
    """One of the numbers beside a record, or a member of one that is an object; NULL where it was not given."""
    ours = pl.element().filter(pl.element().struct.field("name") == name)
    found = field("insights.data").list.eval(ours).list.first()
    value = pl.coalesce(
        found.struct.field("values").list.first().struct.field("value"), found.struct.field("total_value").struct.field("value")
    )
    if member is not None:
        value = value.str.json_path_match(f"$['{member}']")
    # A text of digits is a count too, as the door takes it.
    return value.str.strip_chars('"').cast(pl.Int64, strict=False)


def hashtags(path: str) -> pl.Expr:
    """The hashtags in a text of ours, lower case; none where there is no text."""
    return field(path).str.extract_all(r"#[\p{L}\p{N}_]+").list.eval(pl.element().str.strip_chars_start("#").str.to_lowercase())


def flows(names: Mapping[str, str]) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """Reads one number a day; `names` are the platform's names by ours. What is not among them is left out."""

    def read(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.select(
            *STAMP, platform_day=field("day"), metric=field("name").replace_strict(dict(names), default=None), value=field("value")
        ).filter(pl.col("metric").is_not_null())

    return read


def comments(post: str, at: str = "timestamp", answered: pl.Expr | None = None) -> Source:
    """One row per comment or reply; the conversation is the post's id. `answered` = the account that it answers, where that is known."""
    types = {"id": "VARCHAR", at: "TIMESTAMPTZ", "author_id": "VARCHAR", post: "VARCHAR", "parent_id": "VARCHAR", "flags": FLAGS_JSON}
    return Source("comments", types, _items(at, field("author_id"), field(post), field("parent_id"), answered))


def mentions(author: str, at: str = "timestamp") -> Source:
    """One row per post by somebody else that tags or mentions the account. `author` is a dotted path."""
    first, *inner = author.split(".")
    typed: object = "VARCHAR"
    for part in reversed(inner):
        typed = {part: typed}
    return Source("mentions", {"id": "VARCHAR", at: "TIMESTAMPTZ", first: typed, "flags": FLAGS_JSON}, _items(at, field(author)))


def _items(
    at: str, author: pl.Expr, conversation: pl.Expr | None = None, parent: pl.Expr | None = None, answered: pl.Expr | None = None
) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    nobody = absent(pl.String)

    def read(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.select(
            *STAMP,
            item_id=field("id"),
            created_at=field(at),
            author_key=author,
            conversation_id=nobody if conversation is None else conversation,
            parent_id=nobody if parent is None else parent,
            answers_account_id=nobody if answered is None else answered,
            is_reshare=pl.lit(value=False),
            flags=field("flags"),
        )

    return read
