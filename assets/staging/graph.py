"""What Meta's platforms share: insights beside a post, numbers of the platform's days.

Not here: the platforms themselves (one module each) and what is asked (connectors/graph.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from assets.staging.mapping import STAMP, field

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
