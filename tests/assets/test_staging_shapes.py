"""Several streams as one shape, sums of the platform's own day, and stories that are gone after a day.

Not here: one platform's JSON (test_staging_platforms.py); the shapes of this page are made up.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from assets.ledgers import FETCH
from assets.reference import ACCOUNT, LOCAL_DAY, STREAM
from assets.staging import common, mappings, things
from assets.staging.mapping import SHAPES, STAMP, Given, Gives, PlatformMapping, Source
from assets.staging.things import ACCOUNT_DAYS, COVERAGE, POST_DAYS
from checks import promises
from connectors.registry import platforms
from pipelines.reference import MEASURES
from tests.support.hand import STREAMS, Hand, at, day

STORIES = {"lookback_days": 1, "expires_hours": 24}


def made_up(shape: Given, *streams: str) -> PlatformMapping:
    """A platform whose streams give the shape as it is."""

    def as_it_is(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw

    return PlatformMapping("made_up", {shape: tuple(Source(stream, {}, as_it_is) for stream in streams)}, {})


def rows(shape: Given, *given: dict[str, Any]) -> pl.LazyFrame:
    """Rows of a shape with their stamps, NULL where nothing is said."""
    types = {"institution_id": pl.String(), "account_id": pl.String(), "day": pl.Date(), "observed_at": pl.Datetime("us", "UTC")} | SHAPES[
        shape
    ]
    assert set(STAMP) < set(types)
    blank = dict.fromkeys(types) | {"institution_id": "i", "account_id": "a"}
    return pl.LazyFrame([blank | one for one in given], schema=types, orient="row")


def known(hand: Hand, stream: str, column: str = "status") -> dict[str, object]:
    found = hand.make(COVERAGE).filter(pl.col("stream") == stream).sort("day").select("day", column).rows()
    return {f"{one:%m-%d}": said for one, said in found}


def test_the_rows_of_a_shape_keep_the_stream_that_they_come_from() -> None:
    shape: Given = "post_snapshots"
    frames = {f"made_up__{stream}": rows(shape, {"post_id": stream}) for stream in ("posts", "stories")}
    found = common.given(shape, [made_up(shape, "posts", "stories")], frames).collect()
    assert found.select("platform", "stream", "post_id").rows() == [("made_up", "posts", "posts"), ("made_up", "stories", "stories")]


def test_a_shape_that_no_platform_has_has_no_rows() -> None:
    found = common.given("account_flows", [made_up("items", "mentions")], {}).collect()
    assert (found.height, {"platform", "stream", "metric"} <= {*found.columns}) == (0, True)


def test_a_shape_cannot_read_one_stream_twice() -> None:
    with pytest.raises(ValueError, match="made_up: items reads one stream twice"):
        made_up("items", "mentions", "mentions")


def test_a_measure_cannot_name_a_type_of_post_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"made_up: saves names types of post that there are not: \['reels'\]"):
        PlatformMapping("made_up", {}, {"saves": Gives(post_types=("reels", "post"))})


@pytest.mark.parametrize("platform", sorted(mappings()))
def test_what_a_platform_gives_is_known_to_formulas_and_comes_by_streams_that_it_has(platform: str) -> None:
    gives = mappings()[platform].gives
    assert set(gives) <= MEASURES
    assert {stream for one in gives.values() for stream in one.streams} <= {stream.name for stream in platforms()[platform].streams}


def test_the_promises_know_the_types_of_post() -> None:
    assert set(promises.POST_TYPES) == set(things.POST_TYPES)


def test_only_fields_that_are_not_asked_of_everybody_are_private() -> None:
    gives = {"reach": Gives("insights"), "link_clicks": Gives("clicks", is_private=True), "saves": Gives()}
    assert PlatformMapping("made_up", {}, gives).private_fields == ("clicks",)


# -- sums of the platform's own day ---------------------------------------------------------------------------------------------------


def account_days(snapshots: list[dict[str, Any]], flows: list[dict[str, Any]], basis: str = "pacific") -> pl.DataFrame:
    given: tuple[tuple[Given, list[dict[str, Any]]], ...] = (("account_snapshots", snapshots), ("account_flows", flows))
    parts = {shape: common.given(shape, [made_up(shape, "s")], {"made_up__s": rows(shape, *told)}) for shape, told in given}
    bases = pl.LazyFrame({"platform": ["made_up"], "day_basis": [basis]})
    return common.account_days(parts["account_snapshots"], parts["account_flows"], bases).collect().sort("day")


def flow(platform_day: str, metric: str, value: int | None, **more: Any) -> dict[str, Any]:
    return {
        "platform_day": day(platform_day),
        "metric": metric,
        "value": value,
        "day": day(platform_day),
        "observed_at": at("02-01"),
    } | more


def test_flows_stand_beside_the_snapshot_of_their_platform_day_even_where_raw_keeps_them_under_another() -> None:
    seen = {"day": day("01-02"), "observed_at": at("01-03", "02:00"), "followers": 7}
    found = account_days([seen], [flow("01-02", "reach", 40, day=day("01-01")), flow("01-02", "views", 90)])
    assert found.select("day", "observed_at", "followers", "reach", "views", "shares", "day_basis").rows() == [
        (day("01-02"), at("01-03", "02:00"), 7, 40, 90, None, "pacific")
    ]
    assert found.schema == ACCOUNT_DAYS.polars_schema


def test_a_day_of_flows_without_a_snapshot_and_one_of_a_snapshot_without_flows_are_days_too() -> None:
    seen = {"day": day("01-03"), "observed_at": at("01-04", "02:00"), "followers": 7}
    found = account_days([seen], [flow("01-02", "reach", 40)])
    assert found.select("day", "observed_at", "followers", "reach").rows() == [
        (day("01-02"), None, None, 40),
        (day("01-03"), at("01-04", "02:00"), 7, None),
    ]


def test_a_flow_that_the_platform_left_empty_is_null_and_what_was_seen_last_stands() -> None:
    found = account_days([], [flow("01-02", "reach", None), flow("01-02", "views", 1), flow("01-02", "views", 3, observed_at=at("02-02"))])
    assert found.select("reach", "views").rows() == [(None, 3)]


# -- stories --------------------------------------------------------------------------------------------------------------------------


def with_stories(*nights: str) -> Hand:
    """A night of everything; stories are asked for by the night and in between."""
    hand = Hand("x/main")
    hand.stream("x", "stories", "snapshot", **STORIES)
    hand.night(*nights, streams=(*STREAMS, "stories"))
    return hand


def test_stories_of_a_day_without_a_complete_fetch_are_lost_and_the_reason_says_that_they_are_gone() -> None:
    hand = with_stories("01-01", "01-04")
    hand.night("01-02", "01-03")
    hand.night("01-03", streams=["stories"], failed="missing")
    assert known(hand, "stories") == {"01-01": "fetched", "01-02": "lost", "01-03": "lost", "01-04": "fetched"}
    assert known(hand, "stories", "reason") == {
        "01-01": None,
        "01-02": "No run asked for it on this day, and what is shown for 24 hours is gone.",
        "01-03": "missing What is shown for 24 hours is gone.",
        "01-04": None,
    }


def test_stories_that_are_fetched_at_noon_do_not_begin_a_new_day() -> None:
    hand = with_stories("01-01", "01-02")
    hand.night("01-02", streams=["stories"], clock="14:00")
    assert max(known(hand, "posts")) == "01-02"
    assert known(hand, "posts")["01-02"] == "fetched"


def test_a_storys_counters_move_by_the_nights_of_stories_and_a_posts_by_those_of_posts() -> None:
    hand = with_stories("01-01")
    hand.night("01-02", streams=[*STREAMS])
    hand.night("01-03", streams=(*STREAMS, "stories"))
    for post, stream, kind in (("p", "posts", "post"), ("s", "stories", "story")):
        hand.post("x/main", post, at("01-02", "18:00"), post_type=kind, stream=stream)
        hand.seen(post, {"01-02": 5, "01-03": 9})
    moved = {
        post: hand.make(POST_DAYS).filter(pl.col("post_id") == post).select("day", "delta_days", "reactions").rows() for post in ("p", "s")
    }
    assert moved == {"p": [(day("01-02"), 1, 5), (day("01-03"), 1, 4)], "s": [(day("01-03"), 2, 9)]}


def test_a_story_whose_hours_are_over_is_not_taken_for_deleted() -> None:
    hand = with_stories("01-01", "01-02", "01-03")
    shape: Given = "post_snapshots"
    post = {"post_id": "s", "version_id": "s", "created_at": at("01-02", "18:00"), "kind": "story", "hashtags": []}
    seen = rows(shape, post | {"day": day("01-02"), "observed_at": at("01-03", "02:00"), "account_id": "main"})
    parsed = common.given(shape, [made_up(shape, "stories")], {"made_up__stories": seen}).with_columns(platform=pl.lit("x"))
    inputs = {
        name: hand.make(table).lazy()
        for name, table in (("coverage", COVERAGE), ("streams", STREAM), ("local_days", LOCAL_DAY), ("fetches", FETCH))
    }
    found = common.posts(parsed, **inputs).collect()
    assert found.select("post_type", "stream", "deleted_at").rows() == [("story", "stories", None)]


# -- what is refused ------------------------------------------------------------------------------------------------------------------


def test_the_ledger_tells_of_each_day_of_sums_what_the_last_window_that_held_it_was_refused() -> None:
    hand = Hand("x/main")
    hand.stream("x", "insights_day", "daily", lookback_days=3)
    hand.night("01-01", streams=(*STREAMS, "insights_day"))
    hand.deny("reach", stream="insights_day", how="retired_fields")
    hand.night("01-12", streams=(*STREAMS, "insights_day"))
    found = known(hand, "insights_day", "retired_fields")
    assert (found["12-31"], found["01-01"], found["01-07"], found["01-12"]) == (["reach"], ["reach"], [], [])
    assert known(hand, "insights_day")["01-12"] == "fetched"


def test_an_item_in_two_streams_is_a_mention_and_a_comment_wherever_it_says_so() -> None:
    shape: Given = "items"
    flags = dict.fromkeys(("by_us", "by_staff", "question", "emoji_only", "spam", "giveaway"), False) | {"word_count": 1}
    both = {
        "item_id": "9",
        "created_at": at("01-03"),
        "day": day("01-03"),
        "observed_at": at("01-04"),
        "is_reshare": False,
        "account_id": "main",
    }
    frames = {
        "made_up__comments": rows(shape, both | {"parent_id": "p", "flags": flags | {"mentions_us": False}}),
        "made_up__mentions": rows(shape, both | {"flags": flags | {"mentions_us": True}}),
    }
    parsed = common.given(shape, [made_up(shape, "comments", "mentions")], frames).with_columns(platform=pl.lit("x"))
    hand = Hand("x/main")
    hand.post("x/main", "p", at("01-02"))
    inputs = {"posts_": hand.make(things.POSTS).lazy(), "accounts_": hand.make(ACCOUNT).lazy()}
    assert common.mentions(parsed, **inputs).collect().select("item_id", "is_comment").rows() == [("9", True)]
    assert common.comments(parsed, **inputs).collect().select("item_id", "post_id", "is_mention").rows() == [("9", "p", True)]
