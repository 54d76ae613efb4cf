"""Instagram's records as they land become the common things: kinds, counters, days; what was not given is NULL and never 0.

Not here: rules that hold for every platform (test_staging_platforms.py) and how the records come (tests/connectors/).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets import raw
from assets.ledgers import raw_table
from assets.staging import mappings, things, transforms
from connectors.clock import InjectedClock
from connectors.fetch import fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.instagram import CONNECTOR
from connectors.privacy import Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Window, days_floor, tile_days
from pipelines import engine
from pipelines.tables import Table
from pipelines.warehouse import ensure, read
from sandbox.instagram import TOKEN
from sandbox.server import Running
from sandbox.world import INSTAGRAM, Post, World
from tests.support.hand import Hand, at, day
from tests.support.landing import arrive, rows, warehouse

# Nights are landed and the whole world is reckoned: each alone is quick, all of them take a minute.
pytestmark = pytest.mark.slow

Record = dict[str, Any]
Arrival = tuple[str, datetime, list[Record]]
Gather = Callable[[datetime, str], list[Record]]
OWN = f"instagram/{INSTAGRAM.id}"
STREAMS = ("accounts", "posts", "stories", "comments", "mentions")
KINDS = {"post": "post", "carousel": "carousel", "reel": "reel", "story": "story"}
NIGHT = datetime(2026, 2, 4, 19, tzinfo=UTC)
CALIFORNIA = "America/Los_Angeles"


@pytest.fixture
def gather(sandbox: Running, the_world: World) -> Gather:
    """The records of a stream as the door writes them at an instant."""

    def gathered(now: datetime, name: str) -> list[Record]:
        sandbox.set_now(now)
        account = Account(
            "i", "instagram", INSTAGRAM.id, INSTAGRAM.handle, f"{sandbox.url}/instagram", Secret(TOKEN),
            options={"api_version": CONNECTOR.api_version}, own_ids=frozenset({INSTAGRAM.id}), own_handles=frozenset({INSTAGRAM.handle}),
            staff_ids=frozenset({the_world.staff["instagram"].instagram_id}),
        )  # fmt: skip
        clock, stream, lines = InjectedClock(now), CONNECTOR.stream(name), bytearray()
        door = Door(account, CONNECTOR.limits, Hosts(), clock, WaitingBudget(100), judge=CONNECTOR.judge)
        windows = [Window(now - timedelta(days=30), now)]
        if stream.day_zone is not None:
            start, end = (days_floor(one, stream.day_zone) for one in (now - timedelta(days=12), now))
            windows = list(tile_days(start, end, stream.window.days, stream.day_zone))
        for window in windows:
            told = fetch_window(stream, account, window, door, Pseudonyms(Secret("a key of the tests, long enough")), clock, lines.extend)
            assert told.is_complete, told.reason
        door.close()
        return [json.loads(line)["payload"] for line in lines.splitlines()]

    return gathered


def staged(output: Table, hand: Hand, landing: Path, *arrivals: Arrival) -> pl.DataFrame:
    """A staging table from arrivals `(stream, instant, records)` of the hand's account, landed one after the other."""
    ((_, account), *_) = hand.accounts
    transform = next(one for one in transforms() if one.output.name == output.name)
    with warehouse() as connection:
        for stream, when, records in arrivals:
            arrive(landing, "instagram", stream, when, records, account=account)
            raw.land(connection, landing, when)
        for source in transform.inputs:
            ensure(connection, source.table)
        frames = {
            source.name: read(connection, source.table, "i", json_types=source.json_types)
            if source.json_types
            else hand.make(source.table).lazy()
            for source in transform.inputs
        }
        return engine.collect(transform, frames).filter(pl.col("platform") == "instagram")


def own_hand(*nights: str) -> Hand:
    hand = Hand(OWN)
    hand.night(*nights, streams=STREAMS)
    return hand


def world_posts(world: World, now: datetime) -> list[Post]:
    feeds = (world.timelines[INSTAGRAM.id], world.stories[INSTAGRAM.id])
    since = (now - timedelta(days=30)).timestamp()
    return [one.post for feed in feeds for one in feed.visible(int(now.timestamp())) if one.start >= since]


# --- as the sandbox gives them


def test_posts_have_the_worlds_kinds_texts_and_tags(the_world: World, gather: Gather, tmp_path: Path) -> None:
    hand = own_hand("02-03", "02-04")
    found = staged(things.POSTS, hand, tmp_path, *((name, NIGHT, gather(NIGHT, name)) for name in ("posts", "stories")))
    expected = {post.id: post for post in world_posts(the_world, NIGHT)}
    assert {KINDS[post.post_type] for post in expected.values()} == {"post", "carousel", "reel", "story"}
    assert dict(found.select("post_id", "post_type").iter_rows()) == {key: KINDS[post.post_type] for key, post in expected.items()}
    assert dict(found.select("post_id", "stream").iter_rows()) == {
        key: "stories" if post.post_type == "story" else "posts" for key, post in expected.items()
    }
    assert dict(found.select("post_id", "text").iter_rows()) == {key: post.text for key, post in expected.items()}
    assert dict(found.select("post_id", "created_at").iter_rows()) == {key: post.created_at for key, post in expected.items()}
    assert {key: set(tags) for key, tags in found.select("post_id", "hashtags").iter_rows()} == {
        key: {tag.lower() for tag in post.hashtags} for key, post in expected.items()
    }
    assert found.filter(pl.col("root_id") != pl.col("post_id")).is_empty()


def test_snapshots_have_the_worlds_counters_and_null_where_there_are_none(the_world: World, gather: Gather, tmp_path: Path) -> None:
    found = staged(
        things.POST_SNAPSHOTS, own_hand(), tmp_path, *((name, NIGHT, gather(NIGHT, name)) for name in ("posts", "stories"))
    )  # fmt: skip
    assert {row["post_id"] for row in found.to_dicts()} == {post.id for post in world_posts(the_world, NIGHT)}
    for row in found.to_dicts():
        post = the_world.by_id[row["post_id"]]
        counted, is_story = the_world.counters(post, int(NIGHT.timestamp())), post.post_type == "story"
        assert {name: row[name] for name in things.COUNTERS if name != "comments_platform"} == {
            "reactions": None if is_story else counted.like, "shares": counted.share, "saves": None if is_story else counted.save,
            "views": counted.view, "reach": counted.reach, "impressions": None, "link_clicks": None,
        }  # fmt: skip
        assert is_story or row["comments_platform"] == counted.reply


def test_the_sums_over_a_night_are_the_worlds(the_world: World, gather: Gather, tmp_path: Path) -> None:
    found = staged(things.POST_SNAPSHOTS, own_hand(), tmp_path, ("posts", NIGHT, gather(NIGHT, "posts")))
    counted = [the_world.counters(post, int(NIGHT.timestamp())) for post in world_posts(the_world, NIGHT) if post.post_type != "story"]
    sums = found.select("reactions", "shares", "saves", "views").sum().row(0)
    assert sums == tuple(sum(getattr(one, name) for one in counted) for name in ("like", "share", "save", "view"))
    assert min(sums) > 0


def test_likes_that_are_hidden_are_null(the_world: World, gather: Gather, tmp_path: Path) -> None:
    post = the_world.planted("hidden_likes")
    hidden = datetime.fromtimestamp(post.hidden[0].start + 3_600, UTC)
    found = staged(things.POST_SNAPSHOTS, own_hand(), tmp_path, ("posts", hidden, gather(hidden, "posts")))
    row = found.row(by_predicate=pl.col("post_id") == post.id, named=True)
    assert row["reactions"] is None
    assert row["views"] > 0


def test_comments_are_those_of_the_world_with_ours_and_the_staffs_marked(the_world: World, gather: Gather, tmp_path: Path) -> None:
    hand = own_hand("02-03", "02-04")
    for post in world_posts(the_world, NIGHT):
        hand.post(OWN, post.id, post.created_at)
    found = staged(things.COMMENTS, hand, tmp_path, ("comments", NIGHT, gather(NIGHT, "comments")))
    listed = {post.id for post in world_posts(the_world, NIGHT)}
    expected = {
        one.post.id: one.post
        for one in the_world.comments[INSTAGRAM.id].visible(int(NIGHT.timestamp()))
        if one.start >= (NIGHT - timedelta(days=30)).timestamp() and one.post.conversation_id in listed
    }
    assert dict(found.select("item_id", "post_id").iter_rows()) == {key: post.conversation_id for key, post in expected.items()}
    assert set(found.filter("is_own")["item_id"]) == {key for key, post in expected.items() if the_world.is_own(post.author_id)}
    staff = the_world.staff["instagram"].instagram_id
    assert set(found.filter("is_staff")["item_id"]) == {key for key, post in expected.items() if post.author_id == staff}
    assert set(found.filter("is_spam")["item_id"]) == {key for key, post in expected.items() if post.is_spam}
    assert found["is_own"].any()


def test_tags_are_mentions_and_no_comments(the_world: World, gather: Gather, tmp_path: Path) -> None:
    found = staged(things.MENTIONS, own_hand("02-03", "02-04"), tmp_path, ("mentions", NIGHT, gather(NIGHT, "mentions")))
    expected = {
        one.post.id
        for one in the_world.mentions[INSTAGRAM.id].visible(int(NIGHT.timestamp()))
        if one.post.kind == "mention" and one.start >= (NIGHT - timedelta(days=30)).timestamp()
    }
    assert set(found["item_id"]) == expected
    assert not found["is_comment"].any()
    assert found["author_key"].str.contains(r"^[0-9a-f]{6}:[0-9a-f]{32}$").all()


FLOW_STREAMS = ("insights_day", "followers_day", "insights_week", "insights_28d", "totals_day")


def test_the_accounts_days_are_as_they_were_told_and_the_untold_is_null(the_world: World, gather: Gather, tmp_path: Path) -> None:
    arrivals = [(name, NIGHT, gather(NIGHT, name)) for name in ("accounts", *FLOW_STREAMS)]
    found = staged(things.ACCOUNT_DAYS, own_hand(), tmp_path, *arrivals)
    told = {row["day"]: row for row in found.to_dicts()}
    # Its two last days in California are not told yet; the snapshot of the institution's own day stands.
    assert max(told) == day("02-04")
    assert told[day("02-04")]["followers"] == the_world.followers(INSTAGRAM.id, int(NIGHT.timestamp()))
    assert [told[day("02-04")][name] for name in things.FLOWS] == [None] * len(things.FLOWS)
    flowing = [one for one in told if one != day("02-04")]
    assert len(flowing) == 11
    for one in flowing:
        expected = the_world.account_day(INSTAGRAM, one, int(NIGHT.timestamp()))
        assert {name: told[one][name] for name in things.FLOWS} == {name: getattr(expected, name) for name in things.FLOWS}
        assert told[one]["followers"] is None
    assert set(found["day_basis"]) == {"pacific"}
    assert found["followers_lost"].is_null().all()


# --- late, and restated


def test_a_night_that_tells_more_of_a_day_inside_the_lookback_replaces_it_and_one_outside_never_asks(
    the_world: World, gather: Gather, tmp_path: Path
) -> None:
    """The first night hears a day too low; the second asks three days back, and keeps what it is told of those alone."""
    first, second = NIGHT, NIGHT + timedelta(days=1)
    stream = CONNECTOR.stream("insights_day")
    begins = days_floor(second - stream.lookback, CALIFORNIA)
    inside = [one for one in gather(second, "insights_day") if datetime.fromisoformat(one["at"]) >= begins]
    before = gather(first, "insights_day")
    # Were the whole list asked for again, a day outside would have been found changed too.
    outside = min(one["day"] for one in before)
    meddled = [one | {"value": 1} if one["day"] == outside else one for one in before]
    found = staged(things.ACCOUNT_DAYS, own_hand(), tmp_path, ("insights_day", first, meddled), ("insights_day", second, inside))
    reach = dict(found.select("day", "reach").iter_rows())
    changed = [
        date.fromisoformat(one["day"]) for one in before for two in inside if one["key"] == two["key"] and one["value"] != two["value"]
    ]
    assert len(changed) == 1
    told_first = {one["day"]: one["value"] for one in before}
    assert reach[changed[0]] == the_world.settled_day(INSTAGRAM, changed[0]).reach
    assert reach[changed[0]] > told_first[changed[0].isoformat()]
    assert reach[date.fromisoformat(outside)] == 1
    assert len(reach) == len(before) + 1


def test_the_second_night_asks_no_further_back_than_the_lookback() -> None:
    from assets.asking import windows_due  # noqa: PLC0415 what this one test is about

    stream = CONNECTOR.stream("insights_day")
    windows = windows_due(stream, NIGHT + timedelta(days=1), NIGHT, timedelta(days=30))
    assert windows[0].start >= days_floor(NIGHT + timedelta(days=1) - timedelta(days=stream.lookback.days + 1), CALIFORNIA)
    assert windows[-1].end == days_floor(NIGHT + timedelta(days=1), CALIFORNIA)


def test_a_day_that_a_later_night_is_told_again_is_one_row(gather: Gather, tmp_path: Path) -> None:
    with warehouse() as connection:
        for when in (NIGHT, NIGHT + timedelta(days=1)):
            arrive(tmp_path, "instagram", "totals_day", when, gather(when, "totals_day"))
            raw.land(connection, tmp_path, when)
        kept = rows(connection, "instagram", "totals_day")
    assert kept["record_key"].is_unique().all()
    assert kept["record_key"].len() == 3 * 12


# --- odd ones


def medium(identity: str = "1", **more: Any) -> Record:
    return {
        "id": identity, "timestamp": "2026-02-01T03:00:00+0000", "caption": "Salam #Zakat", "media_type": "IMAGE",
        "media_product_type": "FEED", "like_count": 4, "comments_count": 2,
    } | more  # fmt: skip


def told(**values: Any) -> Record:
    return {"data": [{"name": name, "period": "lifetime", "values": [{"value": value}]} for name, value in values.items()]}


def snapshot(landing: Path, record: Record, stream: str = "posts") -> Record:
    found = staged(things.POST_SNAPSHOTS, own_hand(), landing, (stream, NIGHT, [record]))
    (row,) = found.select(things.COUNTERS).to_dicts()
    return row


ABSENT: dict[str, Any] = {
    "asked and denied": {"insights": None},
    "asked and nothing told": {"insights": {}},
    "an empty list": {"insights": {"data": []}},
    "never asked": {},
    "a list in its place": {"insights": []},
    "a text in its place": {"insights": "later"},
    "a value of null": {"insights": told(views=None, reach=None, saved=None, shares=None)},
    "no value": {"insights": {"data": [{"name": "views", "values": []}, {"name": "reach"}]}},
    "an object where a number stood": {"insights": told(views={"follower": 3}, reach={"a": 1})},
}


@pytest.mark.parametrize("more", ABSENT.values(), ids=ABSENT.keys())
def test_insights_that_were_not_given_are_null_and_never_0(tmp_path: Path, more: Record) -> None:
    row = snapshot(tmp_path, medium(**more))
    assert (row["reactions"], row["comments_platform"]) == (4, 2)
    assert {name for name, value in row.items() if value is not None} == {"reactions", "comments_platform"}


def test_a_0_that_was_given_is_0(tmp_path: Path) -> None:
    row = snapshot(tmp_path, medium(like_count=0, insights=told(views=0, reach=0, saved=0, shares=0)))
    assert (row["reactions"], row["views"], row["reach"], row["saves"], row["shares"]) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("hidden", [{"like_count": None}, {}])
def test_hidden_likes_are_those_of_the_insights_where_these_tell_them(tmp_path: Path, hidden: Record) -> None:
    bare = {name: value for name, value in medium().items() if name != "like_count"} | hidden
    assert snapshot(tmp_path, bare | {"insights": told(likes=9)})["reactions"] == 9
    assert snapshot(tmp_path / "again", bare | {"insights": told(views=3)})["reactions"] is None


def test_a_number_may_stand_in_either_place(tmp_path: Path) -> None:
    """Some numbers come as a list of values, some as one total; a text of digits is one too."""
    data = [{"name": "views", "total_value": {"value": 12}}, {"name": "reach", "values": [{"value": "7"}]}]
    row = snapshot(tmp_path, medium(insights={"data": data}))
    assert (row["views"], row["reach"]) == (12, 7)


def test_old_names_are_not_taken_for_the_new_ones(tmp_path: Path) -> None:
    """Impressions and plays are not views: the definition broke, and what was is not what is."""
    row = snapshot(tmp_path, medium(insights=told(impressions=100, plays=50, video_views=40, engagement=9)))
    assert {name for name, value in row.items() if value is not None} == {"reactions", "comments_platform"}


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "post"),
        ({"media_type": "CAROUSEL_ALBUM"}, "carousel"),
        ({"media_type": "VIDEO"}, "video"),
        ({"media_type": "VIDEO", "media_product_type": "REELS"}, "reel"),
        ({"media_type": "VIDEO", "media_product_type": "STORY"}, "story"),
        ({"media_product_type": "AD"}, "post"),
        ({"media_product_type": None, "media_type": None}, "post"),
        ({"media_product_type": "HOLOGRAM"}, "post"),
    ],
)
def test_what_a_medium_is(tmp_path: Path, more: Record, kind: str) -> None:
    found = staged(things.POSTS, own_hand("02-03"), tmp_path, ("posts", NIGHT, [medium(**more)]))
    assert found["post_type"].to_list() == [kind]


def test_a_post_without_words_has_no_text_and_no_hashtags(tmp_path: Path) -> None:
    bare = {name: value for name, value in medium().items() if name != "caption"}
    found = staged(things.POSTS, own_hand("02-03"), tmp_path, ("posts", NIGHT, [bare, medium("2")]))
    assert found.sort("post_id").select("text", "hashtags").rows() == [(None, []), ("Salam #Zakat", ["zakat"])]


def test_a_story_that_is_seen_by_an_hour_alone_is_a_post_of_its_kind(tmp_path: Path) -> None:
    noon = NIGHT - timedelta(hours=14)
    story = medium(media_product_type="STORY", timestamp="2026-02-04T01:00:00+0000", insights=told(views=30, reach=20, replies=2))
    assert snapshot(tmp_path, story, "stories") | {"comments_platform": None} == {
        "reactions": None, "comments_platform": None, "shares": None, "saves": None, "views": 30, "impressions": None, "link_clicks": None,
        "reach": 20,
    }  # fmt: skip
    found = staged(things.POSTS, own_hand("02-03"), tmp_path / "again", ("stories", noon, [story]))
    assert found.select("post_type", "stream").rows() == [("story", "stories")]


def test_a_post_that_was_deleted_between_two_nights_is_gone_since_the_second(the_world: World, gather: Gather, tmp_path: Path) -> None:
    post = the_world.planted("deleted/instagram")
    nights = [datetime(2026, 1, number, 19, tzinfo=UTC) for number in (6, 7)]
    hand = own_hand("01-06", "01-07")
    found = staged(things.POSTS, hand, tmp_path, *(("posts", night, gather(night, "posts")) for night in nights))
    deleted = found.row(by_predicate=pl.col("post_id") == post.id, named=True)["deleted_at"]
    assert deleted == at("01-08", "02:00")
    assert found.filter(pl.col("post_id") != post.id)["deleted_at"].is_null().all()


def test_a_comment_without_an_author_stays_without_one(tmp_path: Path) -> None:
    hand = own_hand("02-03", "02-04")
    hand.post(OWN, "1", at("02-01"))
    flags = {
        "mentions_us": False,
        "by_us": False,
        "by_staff": False,
        "spam": False,
        "question": False,
        "emoji_only": False,
        "word_count": 2,
    }
    one = {"id": "c", "timestamp": "2026-02-03T03:00:00+0000", "media_id": "1", "parent_id": None, "author_id": None, "flags": flags}
    found = staged(things.COMMENTS, hand, tmp_path, ("comments", NIGHT, [one]))
    assert found.select("item_id", "post_id", "author_key", "is_own").rows() == [("c", "1", None, False)]


def test_a_day_whose_value_is_null_is_a_day_without_a_number(tmp_path: Path) -> None:
    key = {"name": "reach", "period": "day", "day": "2026-02-02", "at": "2026-02-02T08:00:00+00:00"}
    odd = {
        "name": "luck",
        "period": "day",
        "day": "2026-02-01",
        "at": "2026-02-01T08:00:00+00:00",
        "key": "luck/day/2026-02-01",
        "value": 3,
    }
    arrivals: Arrival = ("insights_day", NIGHT, [key | {"key": "reach/day/2026-02-02", "value": None}, odd])
    found = staged(things.ACCOUNT_DAYS, own_hand(), tmp_path, arrivals)
    assert found.select("day", "reach", "followers").rows() == [(day("02-02"), None, None)]


def test_every_stream_of_the_door_is_read_into_something() -> None:
    read_from = {source.stream for sources in mappings()["instagram"].sources.values() for source in sources}
    assert read_from == {stream.name for stream in CONNECTOR.streams}
    assert all(raw_table(CONNECTOR, stream).name == f"raw.instagram__{stream.name}" for stream in CONNECTOR.streams)


def test_what_is_said_to_be_given_comes_from_streams_and_metrics_that_are_asked_for() -> None:
    named = {metric.name for stream in CONNECTOR.streams for metric in stream.metrics}
    for measure, gives in mappings()["instagram"].gives.items():
        assert set(gives.streams) <= {stream.name for stream in CONNECTOR.streams}, measure
        assert not gives.field or gives.field in named, measure
