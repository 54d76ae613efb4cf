"""Which accounts and posts belong to the populations over which goals are judged.

Not here: how populations are declared (assets/reference.py).
"""

from __future__ import annotations

import polars as pl

from assets.indicators.measures import WHO


def post_population(posts_: pl.LazyFrame, roots: pl.LazyFrame, populations: pl.LazyFrame) -> pl.LazyFrame:
    """One row per population and post (parts of threads and replies too) that belongs to it: a part belongs where its first post does.

    `roots` are posts among which the first ones of all threads are found.
    """
    roots = roots.filter(pl.col("post_id") == pl.col("root_id"))
    wanted = populations.rename({"hashtags": "hashtags_wanted"})
    pairs = roots.join(wanted, on="institution_id").filter(account_is_in())
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


def account_is_in() -> pl.Expr:
    """The row's account is one of the population's; a population that names none has all."""
    return (pl.col("accounts").list.len() == 0) | pl.col("accounts").list.contains(pl.col("platform") + "/" + pl.col("account_id"))
