"""YouTube's records become the common things: as the sandbox gives them, night after night, and as they may be odd.

Not here: how they are fetched (tests/connectors/test_youtube.py).
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.ledgers import raw_table
from assets.staging import transforms
from assets.staging.youtube import MAPPING
from connectors.clock import InjectedClock
from connectors.youtube import CONNECTOR
from pipelines import engine, night
from pipelines.house import House
from pipelines.reference import write_reference
from pipelines.warehouse import ensure, read
from sandbox.institution import settings_toml
from sandbox.server import Running
from sandbox.world import YOUTUBE, World, days, title_and_description
from tests.connectors.served import Heard, Said, said, speaking
from tests.support.hand import at, day, frame
from tests.support.landing import warehouse
from tests.support.nights import HMAC_KEY, INSTITUTION, TOKENS, copy_home, instant, institutions_of, play, put_clock

# Nights are landed and the whole world is reckoned: each alone is quick, all of them take a minute.
pytestmark = pytest.mark.slow

FIRST = 8
WEEK = (date(2026, 1, 3), date(2026, 1, 9))
ALL = night.only([("youtube", stream.name) for stream in CONNECTOR.streams])
Record = dict[str, Any]


def make_home(home: Path, url: str, analytics: str = "") -> House:
    """A home of the simulated institution with its YouTube channel, its clock before night FIRST."""
    (home / "institutions").mkdir(parents=True)
    text = settings_toml(url, platforms=("mastodon", "x", "youtube"))
    if analytics:
        text = text.replace(f'"{url}/youtube_analytics"', f'"{analytics}"')
        assert analytics in text
    (home / "institutions" / f"{INSTITUTION}.toml").write_text(text, encoding="utf-8")
    tokens = {**TOKENS, "YOUTUBE": "sandbox-youtube-token"}
    environ = {f"TOLOK_{INSTITUTION.upper()}_{platform}_TOKEN": token for platform, token in tokens.items()}
    return House(home, {"TOLOK_HMAC_KEY": HMAC_KEY} | environ, InjectedClock(instant(FIRST)))


def stage(house: House, run_id: str) -> None:
    """Bring the common things up to date, and nothing that is made of them."""
    institutions = institutions_of(house)
    with house.warehouse.open() as connection:
        write_reference(connection, institutions[INSTITUTION])
        for transform in transforms():
            engine.run(connection, transform, institutions, run_id)


def table(house: House, name: str) -> pl.DataFrame:
    with house.warehouse.open(read_only=True) as connection:
        found: pl.DataFrame = connection.sql(f"SELECT * FROM {name} WHERE platform = 'youtube'").pl()
        return found


@pytest.fixture(scope="module")
def two_nights(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> tuple[House, House]:
    """The home after its first night and after its second."""
    one_sandbox.faults([])
    folder = tmp_path_factory.mktemp("youtube")
    first = make_home(folder / "first", one_sandbox.url)
    assert play(first, one_sandbox, instant(FIRST), "first", ALL).gaps == []
    stage(first, "first")
    second = copy_home(first, folder / "second")
    assert play(second, one_sandbox, instant(FIRST + 1), "second", ALL).gaps == []
    stage(second, "second")
    return first, second


# --- as the sandbox gives them


def test_a_films_counters_are_the_worlds_and_what_youtube_does_not_have_is_null(two_nights: tuple[House, House], the_world: World) -> None:
    rows = table(two_nights[1], "staging.post_snapshots").filter(pl.col("observed_at") == instant(FIRST + 1))
    now = int(instant(FIRST + 1).timestamp())
    expected = {
        one.post.id
        for one in the_world.timelines[YOUTUBE.id].visible(now)
        if one.post.created_at >= instant(FIRST + 1) - timedelta(days=30)
    }
    assert set(rows["post_id"]) == expected
    for row in rows.iter_rows(named=True):
        counters = the_world.counters(the_world.by_id[row["post_id"]], now)
        assert (row["reactions"], row["comments_platform"], row["views"]) == (counters.like, counters.reply, counters.view)
        assert [row[name] for name in ("shares", "saves", "impressions", "link_clicks", "reach")] == [None] * 5
        assert row["stream"] == "posts"


def test_films_are_videos_shorts_and_live_streams_with_the_worlds_words(two_nights: tuple[House, House], the_world: World) -> None:
    rows = table(two_nights[1], "staging.posts")
    assert set(rows["post_type"]) >= {"video", "short"}
    for row in rows.iter_rows(named=True):
        post = the_world.by_id[row["post_id"]]
        assert row["post_type"] == post.post_type
        assert row["created_at"] == post.created_at
        assert row["text"].startswith(title_and_description(post)[0])
        assert row["hashtags"] == [tag.lower() for tag in dict.fromkeys(post.hashtags)]
        assert row["language"] == "id"


def test_a_film_that_was_deleted_between_the_nights_is_marked_and_its_views_stay_in_the_days(
    two_nights: tuple[House, House], the_world: World
) -> None:
    gone = the_world.planted("deleted/youtube")
    first, second = (table(house, "staging.posts") for house in two_nights)
    assert first["deleted_at"].null_count() == len(first)
    assert second.filter(pl.col("deleted_at").is_not_null())["post_id"].to_list() == [gone.id]
    day_of = date(2026, 1, 4)
    films = the_world.film_views(YOUTUBE, day_of, int(instant(FIRST + 1).timestamp()))
    assert gone.id not in films
    assert _views(table(two_nights[1], "staging.account_days"), day_of) == sum(films.values())


def test_comments_are_counted_for_their_films_and_ours_are_known_as_ours(two_nights: tuple[House, House], the_world: World) -> None:
    rows = table(two_nights[1], "staging.comments")
    begun = instant(FIRST) - timedelta(days=30)
    nights = [int(instant(number).timestamp()) for number in (FIRST, FIRST + 1)]
    # What was said below the film that is gone was said.
    standing = [one.post for now in nights for one in the_world.comments[YOUTUBE.id].visible(now)]
    expected = {post.id: post for post in standing if post.created_at >= begun}
    assert set(rows["item_id"]) == set(expected)
    known = set(table(two_nights[1], "staging.posts")["post_id"])
    for row in rows.iter_rows(named=True):
        post = expected[row["item_id"]]
        assert row["post_id"] == (post.conversation_id if post.conversation_id in known else None)
        assert row["is_own"] is (post.author_id == YOUTUBE.id)
        assert row["created_at"] == post.created_at
        assert row["is_spam"] is post.is_spam
    assert rows["is_own"].any()


def test_youtube_has_no_mentions(two_nights: tuple[House, House]) -> None:
    assert table(two_nights[1], "staging.mentions").is_empty()


def test_the_subscribers_are_those_that_youtube_shows(two_nights: tuple[House, House], the_world: World) -> None:
    rows = table(two_nights[1], "staging.account_days").filter(pl.col("followers").is_not_null()).sort("day")
    assert rows["followers"].to_list() == [
        the_world.followers_shown(YOUTUBE.id, int(instant(number).timestamp())) for number in (FIRST, FIRST + 1)
    ]
    assert rows["following"].null_count() == len(rows)


def test_a_late_restatement_replaces_and_what_is_not_told_yet_stays_null(two_nights: tuple[House, House], the_world: World) -> None:
    first, second = (table(house, "staging.account_days").sort("day") for house in two_nights)
    for rows, number in ((first, FIRST), (second, FIRST + 1)):
        now = int(instant(number).timestamp())
        told = {row["day"]: row for row in rows.iter_rows(named=True)}
        for one in days(*WEEK):
            world = the_world.account_day(YOUTUBE, one, now)
            row = told.get(one, {})
            names = ("views", "engaged_views", "followers_gained", "followers_lost", "shares", "watch_minutes")
            assert [row.get(name) for name in names] == [getattr(world, name) for name in names], one
            assert [row.get(name) for name in ("reach", "reach_7d", "reach_28d", "profile_views", "link_clicks")] == [None] * 5
    moved = {one for one in days(*WEEK) if _views(first, one) != _views(second, one)}
    assert {one for one in moved if _views(first, one) is not None}, "nothing was restated"
    assert set(second["day_basis"]) == {"pacific"}


def _views(rows: pl.DataFrame, one: date) -> int | None:
    found = rows.filter(pl.col("day") == one)["views"].to_list()
    return found[0] if found else None


def test_what_youtube_restates_outside_the_lookback_is_not_taken(sandbox: Running, tmp_path: Path) -> None:
    """Its Analytics API here tells each night another value of every day: that of the night."""
    tonight = [1]

    def say(heard: Heard) -> Said:
        first, last = (date.fromisoformat(heard.query[name]) for name in ("startDate", "endDate"))
        names = heard.query["metrics"].split(",")
        headers = [{"name": "day", "columnType": "DIMENSION"}, *({"name": name, "columnType": "METRIC"} for name in names)]
        return said({"columnHeaders": headers, "rows": [[one.isoformat(), *(tonight[0] for _ in names)] for one in days(first, last)]})

    with speaking() as speaker:
        speaker.answers(say)
        house = make_home(tmp_path / "home", sandbox.url, speaker.url)
        for number in (1, 2):
            tonight[0] = number
            assert play(house, sandbox, instant(FIRST + number), f"night-{number}", night.only([("youtube", "insights_day")])).gaps == []
        stage(house, "night-2")
    rows = table(house, "staging.account_days").sort("day")
    values = dict(zip(rows["day"], rows["views"], strict=True))
    last = max(values)
    assert last == date(2026, 1, 10)
    assert {one for one, value in values.items() if value == 2} == set(days(last - timedelta(days=6), last))
    assert len({one for one, value in values.items() if value == 1}) > 20


def test_a_backfill_brings_what_the_span_held_and_run_again_asks_for_nothing(sandbox: Running, tmp_path: Path, the_world: World) -> None:
    """The days are those of California that end inside the span."""
    house = make_home(tmp_path / "home", sandbox.url)
    span = (date(2026, 1, 5), date(2026, 1, 12))
    for run_id in ("one", "two"):
        put_clock(house, instant(40))
        sandbox.set_now(instant(40))
        sandbox.forget_requests()
        arrival = night.fetch_and_land(house, institutions_of(house), run_id, ALL, span=span)
        assert arrival.gaps == []
        assert bool(sandbox.requests()) is (run_id == "one")
    with house.warehouse.open(read_only=True) as connection:
        films, comments, told = (
            connection.sql(f"SELECT record_key, payload FROM raw.youtube__{name}").fetchall()
            for name in ("posts", "comments", "insights_day")
        )
    begun, now = at("01-05", "00:00"), int(instant(40).timestamp())
    standing = {one.post.id: one.post for one in the_world.timelines[YOUTUBE.id].visible(now)}
    said_below = {one.post.id: one.post for one in the_world.comments[YOUTUBE.id].visible(now)}
    assert {key for key, post in standing.items() if begun <= post.created_at < at("01-13", "00:00")} <= {key for key, _ in films}
    assert {key for key, post in said_below.items() if begun <= post.created_at < at("01-13", "00:00")} <= {key for key, _ in comments}
    values = {key: json.loads(payload)["value"] for key, payload in told}
    assert {key.rpartition("/")[2] for key in values} == {one.isoformat() for one in days(date(2026, 1, 4), date(2026, 1, 11))}
    assert all(values[f"views/day/{one}"] == the_world.settled_day(YOUTUBE, one).views for one in days(date(2026, 1, 5), date(2026, 1, 11)))


# --- as they may be odd


def parsed(stream: str, *payloads: Record) -> pl.DataFrame:
    """What the module makes of records of one stream, each typed as the warehouse types it."""
    declared = CONNECTOR.stream(stream)
    source = next(one for sources in MAPPING.sources.values() for one in sources if one.stream == stream)
    wanted = next(one for transform in transforms() for one in transform.inputs if one.name == f"youtube__{stream}")
    raw = raw_table(CONNECTOR, declared)
    with warehouse() as connection:
        ensure(connection, raw)
        for number, payload in enumerate(payloads):
            row = frame(
                raw,
                {
                    "account_id": YOUTUBE.id, "record_key": str(number), "day": day("01-02"), "requested_at": at("01-02"),
                    "observed_at": at("01-02"), "window_start": at("01-01"), "window_end": at("01-02"), "changed_at": at("01-02"),
                    "payload": json.dumps(payload), "payload_hash": str(number),
                },
            )  # fmt: skip
            connection.register("row", row)
            connection.execute(f"INSERT INTO {raw.name} BY NAME FROM row")
            connection.unregister("row")
        return source.read(read(connection, wanted.table, "i", json_types=wanted.json_types)).collect()


def film(**more: Any) -> Record:
    snippet = {"publishedAt": "2026-01-02T03:00:00Z", "title": "Salam", "description": "", "liveBroadcastContent": "none"}
    return {
        "id": "a", "snippet": snippet | more.pop("snippet", {}), "statistics": {"viewCount": "7"}, "contentDetails": {"duration": "PT9M"},
    } | more  # fmt: skip


COUNTED = ("reactions", "comments_platform", "views", "shares", "saves", "impressions", "link_clicks", "reach")


@pytest.mark.parametrize(
    ("statistics", "told"),
    [
        ({"viewCount": "7", "likeCount": "0", "commentCount": "12"}, (0, 12, 7)),
        ({"viewCount": "7"}, (None, None, 7)),
        ({"viewCount": None, "likeCount": None, "commentCount": "3"}, (None, 3, None)),
        ({}, (None, None, None)),
        (None, (None, None, None)),
        ({"viewCount": 7, "likeCount": 8.0}, (8, None, 7)),
        ({"viewCount": "9007199254740993"}, (None, None, 9_007_199_254_740_993)),
    ],
)
def test_a_counter_that_is_not_given_is_null_and_never_zero(statistics: Record | None, told: tuple[int | None, ...]) -> None:
    row = parsed("posts", film(statistics=statistics)).row(0, named=True)
    assert tuple(row[name] for name in COUNTED) == (*told, None, None, None, None, None)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"contentDetails": {"duration": "PT59S"}}, "short"),
        ({"contentDetails": {"duration": "PT3M"}}, "short"),
        ({"contentDetails": {"duration": "PT3M1S"}}, "video"),
        ({"contentDetails": {"duration": "PT1H"}}, "video"),
        ({"contentDetails": {"duration": "P1DT2H"}}, "video"),
        ({"contentDetails": {"duration": "P0D"}}, "video"),
        ({"contentDetails": {"duration": "soon"}}, "video"),
        ({"contentDetails": {}}, "video"),
        ({"contentDetails": None}, "video"),
        ({"liveStreamingDetails": {"actualStartTime": "2026-01-02T03:00:00Z"}}, "live"),
        ({"liveStreamingDetails": {"actualStartTime": "2026-01-02T03:00:00Z"}, "contentDetails": {"duration": "PT40S"}}, "live"),
        ({"liveStreamingDetails": {}, "contentDetails": {"duration": "PT40S"}}, "short"),
        ({"snippet": {"liveBroadcastContent": "live"}, "contentDetails": {"duration": "P0D"}}, "live"),
        ({"snippet": {"liveBroadcastContent": None}}, "video"),
    ],
)
def test_the_length_and_the_stream_tell_what_a_film_is(more: Record, kind: str) -> None:
    assert parsed("posts", film(**more))["kind"].to_list() == [kind]


@pytest.mark.parametrize(
    ("snippet", "text", "tags"),
    [
        ({"title": "Salam #Zakat", "description": "Baca #Sedekah_2026"}, "Salam #Zakat\nBaca #Sedekah_2026", ["zakat", "sedekah_2026"]),
        ({"title": "Salam", "description": None}, "Salam", []),
        ({"title": None, "description": None}, None, None),
    ],
)
def test_title_and_description_are_one_text(snippet: Record, text: str | None, tags: list[str] | None) -> None:
    row = parsed("posts", film(snippet=snippet)).row(0, named=True)
    assert row["text"] in ((text,) if text else (None, ""))
    assert row["hashtags"] in ((tags,) if tags is not None else (None, []))


@pytest.mark.parametrize(
    ("statistics", "followers"),
    [
        ({"subscriberCount": "4310", "hiddenSubscriberCount": False, "videoCount": "9"}, 4310),
        ({"subscriberCount": "4310"}, 4310),
        ({"subscriberCount": "0", "hiddenSubscriberCount": True}, None),
        ({"hiddenSubscriberCount": True}, None),
        ({"subscriberCount": "0", "hiddenSubscriberCount": False}, 0),
        (None, None),
    ],
)
def test_hidden_subscribers_are_null(statistics: Record | None, followers: int | None) -> None:
    found = parsed("accounts", {"id": YOUTUBE.id, "snippet": {"publishedAt": "2019-03-11T02:00:00.5Z"}, "statistics": statistics})
    assert found["followers"].to_list() == [followers]
    assert found["created_at"].to_list() == [datetime(2019, 3, 11, 2, 0, 0, 500_000, tzinfo=UTC)]


def value(name: str, told: object) -> Record:
    return {
        "key": f"{name}/day/2026-01-02",
        "name": name,
        "period": "day",
        "day": "2026-01-02",
        "at": "2026-01-02T08:00:00+00:00",
        "value": told,
    }


def test_a_days_values_keep_null_and_zero_apart_and_what_has_no_place_is_left_out() -> None:
    found = parsed(
        "insights_day",
        value("views", 0),
        value("shares", None),
        value("estimatedMinutesWatched", 12.0),
        value("engagedViews", 5),
        value("odd", 5),
    )
    assert sorted(found.select("metric", "value").rows()) == [
        ("engaged_views", 5), ("shares", None), ("views", 0), ("watch_minutes", 12),
    ]  # fmt: skip
    assert found["platform_day"].unique().to_list() == [date(2026, 1, 2)]


def test_a_comment_without_an_author_or_a_film_is_still_one() -> None:
    flags = {"mentions_us": False, "by_us": False, "by_staff": False, "question": True, "emoji_only": False, "spam": False, "word_count": 3}
    found = parsed(
        "comments",
        {"id": "Ugx", "published_at": "2026-01-02T03:00:00Z", "author_id": None, "video_id": None, "parent_id": None, "flags": flags},
    )
    row = found.row(0, named=True)
    assert (row["item_id"], row["author_key"], row["conversation_id"], row["parent_id"], row["is_reshare"]) == (
        "Ugx",
        None,
        None,
        None,
        False,
    )
    assert row["flags"]["question"] is True
