"""Threads' JSON as the common things: what the sandbox gives against the world, odd records, and days that are told late.

Not here: how it is fetched (tests/connectors/test_threads.py) and the rules common to all platforms (test_staging_platforms.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets import asking, raw
from assets.ledgers import raw_table
from assets.reference import ACCOUNT
from assets.staging import common, things
from assets.staging.mapping import SHAPES, Given
from assets.staging.threads import MAPPING
from connectors.clock import InjectedClock
from connectors.streams import Window
from connectors.threads import CONNECTOR
from pipelines.house import House
from pipelines.night import derive as derive_all
from pipelines.warehouse import ensure, read
from sandbox.server import Running
from sandbox.threads import TOKEN
from sandbox.world import DAY, THREADS, Post, World
from tests.support.hand import Hand, at, day, frame
from tests.support.landing import arrive, rows, warehouse
from tests.support.nights import HMAC_KEY, derive, instant, institutions_of, play

# Nights are landed and the whole world is reckoned: each alone is quick, all of them take a minute.
pytestmark = pytest.mark.slow

Record = dict[str, Any]
FLAGS = {"mentions_us": False, "by_us": False, "by_staff": False, "question": True, "emoji_only": False, "spam": False, "word_count": 3}
COUNTERS = ("reactions", "comments_platform", "shares", "saves", "views", "impressions", "link_clicks", "reach")
ABSENT = ("saves", "impressions", "link_clicks", "reach")


def typed(stream: str, *records: Record) -> pl.LazyFrame:
    """A stream's raw rows as a transform gets them: typed by DuckDB, in the order of the records."""
    (source,) = (one for sources in MAPPING.sources.values() for one in sources if one.stream == stream)
    table = raw_table(CONNECTOR, CONNECTOR.stream(stream))
    with warehouse() as connection:
        ensure(connection, table)
        for number, payload in enumerate(records):
            row = frame(
                table,
                {
                    "account_id": THREADS.id, "record_key": str(number), "day": day("01-02"), "requested_at": at("01-02"),
                    "observed_at": at("01-02"), "window_start": at("01-02"), "window_end": at("01-02"), "changed_at": at("01-02"),
                    "payload": json.dumps(payload), "payload_hash": str(number),
                },
            )  # fmt: skip
            connection.register("row", row)
            connection.execute(f"INSERT INTO {table.name} BY NAME FROM row")
            connection.unregister("row")
        return read(connection, table, "i", json_types=json.dumps(source.json_types)).collect().sort("record_key").lazy()


def as_shape(shape: Given, stream: str, *records: Record) -> list[Record]:
    """What the module makes of records of a stream."""
    source = next(one for one in MAPPING.sources[shape] if one.stream == stream)
    made = source.read(typed(stream, *records)).select(pl.col(name).cast(dtype) for name, dtype in SHAPES[shape].items())
    return made.collect().rows(named=True)


def insight(name: str, value: object) -> Record:
    return {"name": name, "period": "lifetime", "values": [{"value": value}]}


def thread(*insights: Record, **more: Any) -> Record:
    told = {"id": "1", "timestamp": "2026-01-02T03:00:00+0000", "text": "Salam", "media_type": "TEXT_POST", "is_quote_post": False}
    return told | {"insights": {"data": list(insights)}} | more


def whole(**changed: object) -> list[Record]:
    numbers: Mapping[str, object] = {"views": 900, "likes": 40, "replies": 5, "reposts": 3, "quotes": 2, "shares": 1} | changed
    return [insight(name, value) for name, value in numbers.items()]


def one_post(record: Record) -> Record:
    (found,) = as_shape("post_snapshots", "posts", record)
    return found


# --- records by hand


def test_a_threads_numbers_become_the_common_counters_and_what_threads_does_not_have_is_null() -> None:
    found = one_post(thread(*whole()))
    assert {name: found[name] for name in COUNTERS} == {
        "reactions": 40, "comments_platform": 5, "shares": 6, "saves": None, "views": 900, "impressions": None, "link_clicks": None, "reach": None,
    }  # fmt: skip
    assert found["created_at"] == at("01-02", "10:00")


@pytest.mark.parametrize(
    ("media_type", "is_quote", "kind"),
    [
        ("TEXT_POST", False, "post"), ("IMAGE", False, "post"), ("VIDEO", False, "video"), ("CAROUSEL_ALBUM", False, "carousel"),
        ("AUDIO", False, "post"), ("TEXT_POST", True, "quote"), ("VIDEO", True, "quote"), ("REPOST_FACADE", False, "repost"),
        ("REPOST_FACADE", True, "repost"), ("SOMETHING_NEW", False, "post"), (None, None, "post"), ("TEXT_POST", None, "post"),
    ],
)  # fmt: skip
def test_each_type_of_a_thread_is_known(media_type: str | None, is_quote: bool | None, kind: str) -> None:
    assert one_post(thread(*whole(), media_type=media_type, is_quote_post=is_quote))["kind"] == kind
    assert kind in things.POST_TYPES


@pytest.mark.parametrize(
    "insights",
    [{"data": []}, {"data": None}, {}, None, "absent", {"data": [{"name": "views"}]}, {"data": [insight("views", None)]}],
    ids=str,
)
def test_numbers_that_were_not_given_are_null_and_never_zero(insights: object) -> None:
    record = thread()
    if insights == "absent":
        del record["insights"]
    else:
        record["insights"] = insights
    assert {one_post(record)[name] for name in COUNTERS} == {None}


@pytest.mark.parametrize("missing", ["reposts", "quotes", "shares"])
def test_shares_of_which_a_part_was_not_given_are_not_given(missing: str) -> None:
    assert one_post(thread(*whole(**{missing: None})))["shares"] is None
    assert one_post(thread(*(one for one in whole() if one["name"] != missing)))["shares"] is None


def test_zero_is_zero() -> None:
    found = one_post(thread(*whole(views=0, likes=0, replies=0, reposts=0, quotes=0, shares=0)))
    assert [found[name] for name in ("views", "reactions", "comments_platform", "shares")] == [0, 0, 0, 0]


@pytest.mark.parametrize("value", [{"a": 1}, [7], "7", 7.0])
def test_a_value_of_another_type_than_the_others_does_not_spoil_them(value: object) -> None:
    first, second = as_shape("post_snapshots", "posts", thread(*whole(views=value)), thread(*whole(), id="2"))
    assert first["views"] in ((None,) if isinstance(value, dict | list) else (7, None))
    assert (first["reactions"], second["views"], second["reactions"]) == (40, 900, 40)


def test_hashtags_are_read_from_our_own_text_and_there_are_none_without_one() -> None:
    assert one_post(thread(text="Zakat #Ramadan dan #zakat_fitrah, #sedekah."))["hashtags"] == ["ramadan", "zakat_fitrah", "sedekah"]
    assert not one_post(thread(text=None))["hashtags"]


def test_a_total_and_a_series_of_one_are_read_alike() -> None:
    total = {"id": THREADS.id, "insights": {"data": [{"name": "followers_count", "period": "day", "total_value": {"value": 12}}]}}
    series = {"id": THREADS.id, "insights": {"data": [{"name": "followers_count", "period": "day", "values": [{"value": 13}]}]}}
    none: list[Record] = [{"id": THREADS.id, "insights": None}, {"id": THREADS.id, "insights": {"data": []}}]
    found = as_shape("account_snapshots", "accounts", total, series, *none)
    assert [one["followers"] for one in found] == [12, 13, None, None]
    assert {one[name] for one in found for name in ("following", "posts_total", "created_at")} == {None}


def test_a_day_of_the_profile_is_its_visits_and_other_numbers_are_left_out() -> None:
    records = [{"name": name, "day": "2026-01-02", "value": value} for name, value in (("views", 31), ("views", None), ("clicks", 4))]
    assert as_shape("account_flows", "insights_day", *records) == [
        {"platform_day": date(2026, 1, 2), "metric": "profile_views", "value": value} for value in (31, None)
    ]


def test_an_answer_keeps_the_thread_that_it_belongs_to_and_the_one_that_it_answers() -> None:
    record = {
        "id": "9", "timestamp": "2026-01-03T03:00:00+0000", "author_id": "k:a", "thread_id": "1", "parent_id": "8", "flags": FLAGS,
    }  # fmt: skip
    (found,) = as_shape("items", "comments", record)
    assert (found["item_id"], found["conversation_id"], found["parent_id"], found["author_key"]) == ("9", "1", "8", "k:a")
    assert (found["flags"]["question"], found["flags"]["giveaway"], found["is_reshare"]) == (True, None, False)


def test_a_mention_belongs_to_no_conversation_of_ours() -> None:
    record = {"id": "9", "timestamp": "2026-01-03T03:00:00+0000", "username": "k:a", "flags": FLAGS | {"mentions_us": True}}
    (found,) = as_shape("items", "mentions", record)
    assert (found["item_id"], found["author_key"], found["conversation_id"], found["parent_id"]) == ("9", "k:a", None, None)


def test_every_field_that_may_be_refused_is_one_that_is_asked_for() -> None:
    asked = {metric.name for stream in CONNECTOR.streams for metric in stream.metrics}
    assert {given.field for given in MAPPING.gives.values() if given.field} <= asked
    streams = {stream.name for stream in CONNECTOR.streams}
    assert {stream for given in MAPPING.gives.values() for stream in given.streams} <= streams


# --- nights from the sandbox

SETTINGS = f"""\
name = "Lembaga Amil Zakat Cahaya"
zone = "Asia/Jakarta"

[platforms.threads]
base_url = "{{url}}/threads"

[[accounts]]
platform = "threads"
id = "{THREADS.id}"
handle = "{THREADS.handle}"

[goals.community_engagement]
"""
FIRST = 12


@pytest.fixture(scope="module")
def house(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home that has Threads alone, after two nights."""
    home = tmp_path_factory.mktemp("threads")
    (home / "institutions").mkdir()
    (home / "institutions" / "cahaya.toml").write_text(SETTINGS.format(url=one_sandbox.url), encoding="utf-8")
    house = House(home, {"TOLOK_HMAC_KEY": HMAC_KEY, "TOLOK_CAHAYA_THREADS_TOKEN": TOKEN}, InjectedClock(instant(FIRST)))
    one_sandbox.faults([])
    for number in (FIRST, FIRST + 1):
        play(house, one_sandbox, instant(number), f"night-{number:03}")
        derive(house, f"night-{number:03}")
    return house


def staged(house: House, table: str) -> pl.DataFrame:
    with house.warehouse.open() as connection:
        found: pl.DataFrame = connection.sql(f"SELECT * FROM {table}").pl()
        return found


def test_both_nights_came_whole(house: House) -> None:
    told = staged(house, "meta.fetch")
    assert set(told["stream"]) == {stream.name for stream in CONNECTOR.streams}
    assert told.filter(~pl.col("is_complete")).is_empty()


def test_counters_of_each_night_are_the_worlds(house: House, the_world: World) -> None:
    found = staged(house, things.POST_SNAPSHOTS.name)
    assert found["day"].n_unique() == 2
    for row in found.rows(named=True):
        counted = the_world.counters(the_world.by_id[row["post_id"]], int(row["observed_at"].timestamp()))
        assert (row["views"], row["reactions"], row["comments_platform"]) == (counted.view, counted.like, counted.reply)
        assert row["shares"] == counted.share + counted.quote + counted.send
        assert {row[name] for name in ABSENT} == {None}


def test_posts_are_the_worlds_by_type_and_a_repost_has_no_words(house: House, the_world: World) -> None:
    night = int(instant(FIRST + 1).timestamp())
    shown = [one.post for one in the_world.timelines[THREADS.id].visible(night) if one.start >= night - 31 * DAY]
    found = {row["post_id"]: row for row in staged(house, things.POSTS.name).rows(named=True)}
    expected = {post.id: "repost" if post.kind == "repost" else post.post_type for post in shown if post.id in found}
    assert {identity: row["post_type"] for identity, row in found.items()} == expected
    assert {"post", "carousel", "repost"} <= set(expected.values())
    assert {row["text"] for row in found.values() if row["post_type"] == "repost"} == {None}


def test_comments_are_those_of_the_world_under_their_threads(house: House, the_world: World) -> None:
    found = staged(house, things.COMMENTS.name)
    night = int(instant(FIRST + 1).timestamp())
    since = int(staged(house, "meta.fetch").filter(pl.col("stream") == "comments")["window_start"].min().timestamp())  # type: ignore[union-attr]
    below = [one.post for one in the_world.comments[THREADS.id].visible(night) if one.start >= since]
    told = {row["item_id"]: (row["post_id"], row["is_own"]) for row in found.rows(named=True)}
    known = set(staged(house, things.POSTS.name)["post_id"])

    def is_known(post: Post) -> bool:
        return post.conversation_id in known

    assert {identity: row for identity, row in told.items() if row[0] in known} == {
        post.id: (post.conversation_id, post.author_id == THREADS.id) for post in below if is_known(post)
    }
    assert len(told) > 10


def test_mentions_are_those_of_the_world(house: House, the_world: World) -> None:
    night = int(instant(FIRST + 1).timestamp())
    since = int(staged(house, "meta.fetch").filter(pl.col("stream") == "mentions")["window_start"].min().timestamp())  # type: ignore[union-attr]
    expected = {one.post.id for one in the_world.mentions[THREADS.id].visible(night) if one.start >= since}
    assert expected <= set(staged(house, things.MENTIONS.name)["item_id"])


def test_a_day_that_was_told_in_part_is_replaced_by_what_it_came_to(house: House, the_world: World) -> None:
    night = instant(FIRST + 1)
    days = staged(house, things.ACCOUNT_DAYS.name)
    told = {row["day"]: row["profile_views"] for row in days.rows(named=True) if row["profile_views"] is not None}
    for one, visits in told.items():
        assert visits == the_world.account_day(THREADS, one, int(night.timestamp())).profile_views
    restated = night.date() - timedelta(days=3)
    before = the_world.account_day(THREADS, restated, int(instant(FIRST).timestamp())).profile_views
    assert before is not None
    assert before < told[restated]
    assert max(told) == night.date() - timedelta(days=2)
    assert set(days["day_basis"]) == {"utc"}
    assert {value for name in ("reach", "views", "link_clicks") for value in days[name]} == {None}


def test_followers_are_those_of_the_night(house: House, the_world: World) -> None:
    days = staged(house, things.ACCOUNT_DAYS.name).filter(pl.col("observed_at").is_not_null())
    assert days.height == 2
    for row in days.rows(named=True):
        assert row["followers"] == the_world.followers(THREADS.id, int(row["observed_at"].timestamp()))


def test_a_second_derivation_changes_nothing(house: House) -> None:
    with house.warehouse.open() as connection:
        made = derive_all(connection, institutions_of(house), "again")
    assert [one for one in made if one.written.changed_from is not None] == []


# --- days that are restated


def told_within(window: Window, visits: Mapping[str, int]) -> list[Record]:
    """What the platform answers to a window, as the door hands it on."""
    return [
        {"key": f"views/day/{one}", "name": "views", "period": "day", "day": one, "at": f"{one}T00:00:00+00:00", "value": value}
        for one, value in visits.items()
        if window.start <= datetime.fromisoformat(one).replace(tzinfo=UTC) < window.end
    ]


def test_a_restatement_inside_the_lookback_replaces_and_one_outside_it_does_not(tmp_path: Path) -> None:
    stream = CONNECTOR.stream("insights_day")
    old, recent = "2026-01-10", "2026-01-13"
    nights = ((datetime(2026, 1, 14, 19, tzinfo=UTC), 5), (datetime(2026, 1, 15, 19, tzinfo=UTC), 9))
    until = None
    with warehouse() as connection:
        for now, value in nights:
            windows = asking.windows_due(stream, now, until, timedelta(days=30))
            records = [record for window in windows for record in told_within(window, {old: value, recent: value})]
            arrive(tmp_path, "threads", "insights_day", now, records, back=now - windows[0].start)
            raw.land(connection, tmp_path, now)
            until = windows[-1].end
        kept = {
            row["record_key"]: json.loads(row["payload"])["value"] for row in rows(connection, "threads", "insights_day").rows(named=True)
        }
    assert kept == {f"views/day/{old}": 5, f"views/day/{recent}": 9}


def test_the_days_of_threads_are_utc_and_lie_on_the_institutions_date_of_their_beginning(tmp_path: Path) -> None:
    now = datetime(2026, 1, 15, 19, tzinfo=UTC)
    with warehouse() as connection:
        arrive(tmp_path, "threads", "insights_day", now, told_within(Window(now - timedelta(days=9), now), {"2026-01-13": 5}))
        raw.land(connection, tmp_path, now)
        kept = rows(connection, "threads", "insights_day")
    assert kept["day"].to_list() == [date(2026, 1, 13)]


def test_an_answer_that_mentions_us_stands_in_both_lists_and_is_one_comment_and_one_mention() -> None:
    told = {"id": "9", "timestamp": "2026-01-03T03:00:00+0000"}
    answer = told | {"author_id": "k:a", "thread_id": "1", "parent_id": "1", "flags": FLAGS}
    mention = told | {"username": "k:a", "flags": FLAGS | {"mentions_us": True}}
    alone = mention | {"id": "10"}
    frames = {
        common.raw_name("threads", name): typed(name, *some) for name, some in (("comments", [answer]), ("mentions", [mention, alone]))
    }
    parsed = common.given("items", [MAPPING], frames)
    hand = Hand(f"threads/{THREADS.id}")
    hand.post(f"threads/{THREADS.id}", "1", at("01-02"))
    others = (hand.make(things.POSTS).lazy(), hand.make(ACCOUNT).lazy())
    comments = common.comments(parsed, *others).collect()
    mentions = common.mentions(parsed, *others).collect()
    assert comments.select("item_id", "post_id", "is_mention").rows() == [("9", "1", True)]
    assert sorted(mentions.select("item_id", "is_comment").rows()) == [("10", False), ("9", True)]
