"""Posts beside each other at equal age: by engagement per follower, and only where everything is known."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from assets.indicators.by_post import POST_MEASURES
from assets.indicators.leaderboard import CONTENT_LEADERBOARD, content_leaderboard
from assets.reference import AVAILABILITY

GIVES = {"x": True, "mastodon": False}


def post(post_id: str, platform: str = "x", /, **changed: object) -> dict[str, object]:
    """A mature post with 10 reactions, 1 share, 2 comments, 3 saves (on X) and 100 followers."""
    counts = {
        "reactions": 10,
        "shares": 1,
        "comments_audience": 2,
        "saves": 3 if GIVES[platform] else None,
        "followers_at_publication": 100,
    }
    what = {"is_mature": True, "day": date(2026, 1, 5), "created_at": datetime(2026, 1, 5, 3, tzinfo=UTC), "post_type": "post"}
    who = {"institution_id": "i", "platform": platform, "account_id": "a", "post_id": post_id}
    return who | what | counts | changed


def board(*posts: dict[str, object]) -> dict[str, tuple[object, ...]]:
    """Engagement, rate and place by post."""
    measured = pl.LazyFrame([{name: one.get(name) for name in POST_MEASURES.names} for one in posts], schema=POST_MEASURES.polars_schema)
    given = [
        {"institution_id": "i", "platform": platform, "measure": measure, "post_type": "all", "is_given": measure != "saves" or has_saves}
        for platform, has_saves in GIVES.items()
        for measure in ("reactions", "shares", "saves")
    ]
    available = pl.LazyFrame([{name: one.get(name) for name in AVAILABILITY.names} for one in given], schema=AVAILABILITY.polars_schema)
    rows = content_leaderboard(measured, available).collect()
    assert rows.schema == CONTENT_LEADERBOARD.polars_schema
    return {row["post_id"]: (row["engagement_count"], row["engagement_rate_followers"], row["place"]) for row in rows.to_dicts()}


def test_posts_are_placed_by_engagement_per_follower() -> None:
    assert board(post("big", followers_at_publication=1000, reactions=50), post("small")) == {"small": (16, 0.16, 1), "big": (56, 0.056, 2)}


def test_equal_rates_share_a_place() -> None:
    assert [place for _, _, place in board(post("a"), post("b"), post("c", reactions=0)).values()] == [1, 1, 3]


def test_saves_count_where_the_platform_gives_them_and_are_not_missed_where_it_does_not() -> None:
    assert board(post("x"), post("m", "mastodon")) == {"x": (16, 0.16, 1), "m": (13, 0.13, 1)}


def test_a_post_with_an_unknown_part_is_not_placed() -> None:
    unknown = ("reactions", "shares", "comments_audience", "saves", "followers_at_publication")
    assert set(board(post("whole"), *(post(name, **{name: None}) for name in unknown))) == {"whole"}


def test_a_young_post_and_one_without_followers_are_not_placed() -> None:
    assert set(board(post("whole"), post("young", is_mature=False), post("nobody", followers_at_publication=0))) == {"whole"}


def test_months_and_platforms_have_places_of_their_own() -> None:
    february = {"day": date(2026, 2, 5)}
    assert [place for _, _, place in board(post("a"), post("b", **february), post("c", "mastodon")).values()] == [1, 1, 1]
