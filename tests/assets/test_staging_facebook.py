"""Facebook's JSON as the common things: kinds and counters of nights that the stand-in tells, odd records, late days, a metric that dies.

Not here: what is asked and what passes the door (tests/connectors/test_facebook.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from assets import raw
from assets.ledgers import METRIC
from assets.staging import facebook, things, transforms
from assets.staging.mapping import FLAGS_JSON
from connectors.clock import InjectedClock
from connectors.facebook import PAGE_METRICS, POST_METRICS
from pipelines import engine, night
from pipelines.house import House
from pipelines.reference import write_reference
from pipelines.tables import Table
from pipelines.warehouse import ensure, read
from sandbox.facebook import Facebook
from sandbox.world import FACEBOOK, AccountDay, Clock, World, platform_day
from tests.support.hand import Hand, at
from tests.support.landing import arrive, warehouse
from tests.support.nights import HMAC_KEY, instant, institutions_of, put_clock
from tests.support.standing import standing

# Nights are landed and the whole world is reckoned: each alone is quick, all of them take a minute.
pytestmark = pytest.mark.slow

SETTINGS = """\
name = "Lembaga Amil Zakat Cahaya"
language = "id"
zone = "Asia/Jakarta"

[platforms.facebook]
base_url = "{url}/facebook"

[[accounts]]
platform = "facebook"
id = "{account.id}"
handle = "{account.handle}"

[[staff]]
platform = "facebook"
id = "{staff}"
consent = 2026-01-01

[goals.community_engagement]
"""
FLOWS = {
    "reach": "reach", "reach_7d": "reach_7d", "reach_28d": "reach_28d", "views": "views", "followers_gained": "followers_gained",
    "followers_lost": "followers_lost", "profile_views": "profile_views",
}  # fmt: skip
Record = dict[str, Any]


# -- nights of the stand-in -----------------------------------------------------------------------------------------------------------


@dataclass
class Home:
    """A home with one page, and the stand-in's clock."""

    house: House
    clock: Clock
    page: Facebook

    def play(self, number: int) -> list[str]:
        """Fetch and land the sandbox's night of this number; returns its gaps, as they are told."""
        put_clock(self.house, instant(number))
        self.clock.now = instant(number)
        night.fetch_and_land(self.house, institutions_of(self.house), f"night-{number:03}")
        with self.house.warehouse.open() as connection:
            told = connection.execute(
                "SELECT DISTINCT stream || ': ' || reason FROM meta.fetch WHERE NOT is_complete AND run_id = ?", [f"night-{number:03}"]
            ).fetchall()
        return [one[0] for one in told]

    def stage(self) -> None:
        """Bring the staging tables up to date."""
        institutions = institutions_of(self.house)
        with self.house.warehouse.open() as connection:
            for institution in institutions.values():
                write_reference(connection, institution)
            for transform in transforms():
                engine.run(connection, transform, institutions, "staging")

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.house.warehouse.open() as connection:
            return connection.execute(query, list(values)).fetchall()


@contextmanager
def home_at(path: Path, world: World, retired: Mapping[str, date] | None = None) -> Iterator[Home]:
    """A new home, whose page is played by a stand-in in this process."""
    clock = Clock(instant(0))
    page = Facebook(world, clock, retired)
    with standing(page.routes()) as url:
        (path / "institutions").mkdir(parents=True)
        text = SETTINGS.format(url=url, account=FACEBOOK, staff=world.staff["facebook"].facebook_id)
        (path / "institutions" / "cahaya.toml").write_text(text, encoding="utf-8")
        environ = {"TOLOK_HMAC_KEY": HMAC_KEY, "TOLOK_CAHAYA_FACEBOOK_TOKEN": "sandbox-facebook-token"}
        yield Home(House(path, environ, InjectedClock(instant(0))), clock, page)


NIGHTS = (20, 21, 22)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, the_world: World) -> Iterator[Home]:
    """Three nights of January; no test changes them."""
    with home_at(tmp_path_factory.mktemp("facebook") / "home", the_world) as played:
        assert [gap for number in NIGHTS for gap in played.play(number)] == []
        played.stage()
        yield played


def test_every_snapshot_of_a_post_has_the_worlds_counters_and_null_where_facebook_counts_nothing(home: Home, the_world: World) -> None:
    names = ("reactions", "comments_platform", "shares", "saves", "views", "impressions", "link_clicks", "reach")
    found = home.ask(f"SELECT post_id, observed_at, {', '.join(names)} FROM staging.post_snapshots")
    seen: set[tuple[str, datetime]] = set()
    for post_id, observed_at, *given in found:
        post, ts = the_world.by_id[post_id], int(observed_at.timestamp())
        counted, is_reel = the_world.counters(post, ts), the_world.by_id[post_id].post_type == "reel"
        assert given == [
            counted.like, counted.reply, counted.share, None, counted.view, None, None if is_reel else counted.link_click, counted.reach,
        ]  # fmt: skip
        seen.add((post_id, observed_at))
    assert seen == {
        (one.post.id, instant(number))
        for number in NIGHTS
        for one in the_world.timelines[FACEBOOK.id].visible(int(instant(number).timestamp()))
        if one.start >= int((instant(number) - timedelta(days=30)).timestamp())
    }


def test_each_post_has_the_type_of_the_world(home: Home, the_world: World) -> None:
    found = dict(home.ask("SELECT post_id, post_type FROM staging.posts"))
    assert found == {post_id: the_world.by_id[post_id].post_type for post_id in found}
    assert set(found.values()) == {"post", "video", "reel"}


def test_comments_and_answers_belong_to_their_post_and_ours_are_our_own(home: Home, the_world: World) -> None:
    found = home.ask("SELECT item_id, post_id, is_own, is_staff, is_spam, is_mention, author_key FROM staging.comments")
    last = int(instant(NIGHTS[-1]).timestamp())
    first = int((instant(NIGHTS[0]) - timedelta(days=30)).timestamp())
    assert {row[0] for row in found} >= {one.post.id for one in the_world.comments[FACEBOOK.id].visible(last) if one.start >= first}
    for item_id, post_id, is_own, is_staff, is_spam, is_mention, author_key in found:
        comment = the_world.by_id[item_id]
        known = None if comment.ts < first or the_world.by_id[comment.conversation_id].ts < first else comment.conversation_id
        assert post_id == known
        assert is_own == (comment.author_id == FACEBOOK.id)
        assert is_staff == (comment.author_id == the_world.staff["facebook"].facebook_id)
        assert is_spam >= comment.is_spam
        assert not is_mention
        assert author_key
    assert any(row[2] for row in found)


def test_posts_that_tag_the_page_are_mentions_and_no_comments(home: Home, the_world: World) -> None:
    found = home.ask("SELECT item_id, created_at, is_comment FROM staging.mentions")
    last, first = int(instant(NIGHTS[-1]).timestamp()), int((instant(NIGHTS[0]) - timedelta(days=30)).timestamp())
    expected = [one.post for one in the_world.mentions[FACEBOOK.id].visible(last) if one.start >= first]
    assert {row[0] for row in found} == {post.id.rpartition("_")[2] for post in expected}
    assert {row[1] for row in found} == {post.created_at for post in expected}
    assert not any(row[2] for row in found)


def test_an_accounts_days_are_californian_and_hold_what_the_last_night_was_told(home: Home, the_world: World) -> None:
    last = int(instant(NIGHTS[-1]).timestamp())
    found = home.ask(f"SELECT day, followers, day_basis, {', '.join(FLOWS)} FROM staging.account_days ORDER BY day")
    for day, followers, basis, *given in found:
        told = the_world.account_day(FACEBOOK, day, last)
        assert given == [getattr(told, measure) for measure in FLOWS.values()], day
        assert basis == "pacific"
        assert (followers is not None) == (day in {instant(number).date() for number in NIGHTS})
    empty = [day for day, _, _, *given in found if set(given) == {None}]
    assert empty == [platform_day("facebook", last) - timedelta(days=back) for back in (1, 0)]
    assert home.ask("SELECT count(*) FROM staging.account_days WHERE shares IS NOT NULL OR link_clicks IS NOT NULL") == [(0,)]


# -- days that are told late ----------------------------------------------------------------------------------------------------------


def test_a_correction_inside_the_look_back_replaces_and_one_outside_does_not(tmp_path: Path, the_world: World) -> None:
    """Both days are corrected between the nights; the second night asks for the last three."""
    last = platform_day("facebook", int(instant(20).timestamp())) - timedelta(days=1)
    inside, outside = last - timedelta(days=1), last - timedelta(days=3)
    told = the_world.account_day

    def corrected(account: Any, day: date, now: int) -> AccountDay:
        found = told(account, day, now)
        is_later = now >= int(instant(21).timestamp()) and found.reach is not None
        return replace(found, reach=found.reach + 1_000_000) if is_later and found.reach is not None else found

    def reach(home: Home) -> dict[date, int]:
        home.stage()
        return dict(home.ask("SELECT day, reach FROM staging.account_days WHERE reach IS NOT NULL"))

    with home_at(tmp_path / "home", the_world) as home, patch.object(the_world, "account_day", corrected):
        assert home.play(20) == []
        before = reach(home)
        assert home.play(21) == []
        after = reach(home)
        rows = home.ask("SELECT count(*), count(DISTINCT record_key) FROM raw.facebook__insights_day")
    settled = the_world.settled_day(FACEBOOK, inside).reach or 0
    assert before[inside] < settled
    assert after[inside] == settled + 1_000_000
    assert after[outside] == before[outside] == the_world.settled_day(FACEBOOK, outside).reach
    assert rows[0][0] == rows[0][1]


def test_after_missed_nights_each_day_is_settled(tmp_path: Path, the_world: World) -> None:
    with home_at(tmp_path / "home", the_world) as home:
        for number in (20, 26, 29):
            assert home.play(number) == []
        home.stage()
        found = dict(home.ask("SELECT day, views FROM staging.account_days"))
    last = platform_day("facebook", int(instant(29).timestamp())) - timedelta(days=3)
    days = [last - timedelta(days=back) for back in range(30)]
    assert {day: found[day] for day in days} == {day: the_world.settled_day(FACEBOOK, day).views for day in days}


# -- metrics that die -----------------------------------------------------------------------------------------------------------------

DEATHS = {"page_views_total": date(2026, 1, 23), "post_clicks_by_type": date(2026, 1, 23)}
RETIRED = "SELECT metric, kind, status, since FROM meta.metric WHERE metric IN ('page_views_total', 'post_clicks_by_type') ORDER BY ALL"
FIELDS = "SELECT stream, retired_fields FROM meta.fetch WHERE run_id = ? AND stream IN ('posts', 'insights_day') ORDER BY stream"


def test_a_metric_that_dies_is_told_with_its_date_costs_itself_alone_and_is_not_asked_for_again(tmp_path: Path, the_world: World) -> None:
    """From the night of 23 January on the platform refuses two living metrics, of the page and of its posts."""
    asked: list[str] = []
    answer = Facebook.answer

    def listening(self: Facebook, path: str, parameters: Mapping[str, str], place: str) -> Any:
        asked.append(parameters.get("metric", ""))
        return answer(self, path, parameters, place)

    with patch.object(Facebook, "answer", listening), home_at(tmp_path / "home", the_world, DEATHS) as home:
        assert home.play(21) == []
        assert home.ask(f"SELECT count(*) FROM {METRIC.name}") == [(0,)]
        assert home.play(22) == []
        refused = home.ask(RETIRED)
        asked.clear()
        assert home.play(23) == []
        again = home.ask(RETIRED)
        fields = {number: dict(home.ask(FIELDS, f"night-{number:03}")) for number in (21, 22, 23)}
        home.stage()
        snapshots = home.ask(
            "SELECT s.day, post_type, count(views), count(reactions), count(link_clicks) FROM staging.post_snapshots AS s "
            "JOIN staging.posts USING (post_id) GROUP BY ALL ORDER BY ALL"
        )
        flows = dict(home.ask("SELECT day, profile_views FROM staging.account_days WHERE views IS NOT NULL"))
        statuses = home.ask("SELECT status FROM meta.coverage WHERE stream IN ('posts', 'insights_day') AND day = DATE '2026-01-22'")
    day = instant(22).date()
    assert refused == again == [
        ("page_views_total", "", "retired", day), ("post_clicks_by_type", "post", "retired", day), ("post_clicks_by_type", "video", "retired", day),
    ]  # fmt: skip
    assert not any(name in names.split(",") for names in asked for name in DEATHS)
    for number, dead in ((21, False), (22, True), (23, True)):
        assert ("page_views_total" in fields[number]["insights_day"]) is dead
        assert ("post_clicks_by_type" in fields[number]["posts"]) is dead
    for seen, post_type, views, reactions, clicks in snapshots:
        assert views == reactions > 0
        assert clicks == (views if seen < day and post_type != "reel" else 0)
    # The night before had the days up to the 20th; those that it did not have yet have views, and no visits any more.
    assert {told: visits is not None for told, visits in flows.items()} == {told: told <= date(2026, 1, 20) for told in flows}
    assert max(flows) == date(2026, 1, 22)
    assert statuses == [("fetched",)] * 2


def test_what_was_retired_is_asked_for_again_when_the_registers_entry_changes(tmp_path: Path, the_world: World) -> None:
    with home_at(tmp_path / "home", the_world, {"page_views_total": date(2026, 1, 1)}) as home:
        assert home.play(21) == []
        home.page.retired.pop("page_views_total")
        assert home.play(22) == []
        assert home.ask("SELECT count(*) FROM raw.facebook__insights_day WHERE starts_with(record_key, 'page_views_total')") == [(0,)]
        home.ask(f"UPDATE {METRIC.name} SET entry = 'of another day'")
        assert home.play(23) == []
        (told,) = [fields for stream, fields in home.ask(FIELDS, "night-023") if stream == "insights_day"]
        assert "page_views_total" not in told
        assert home.ask("SELECT count(*) > 0 FROM raw.facebook__insights_day WHERE starts_with(record_key, 'page_views_total')") == [
            (True,)
        ]


# -- records as they may come ---------------------------------------------------------------------------------------------------------


PAGE = "facebook/main"
INSIGHTS = {"data": [{"name": "post_media_view", "period": "lifetime", "values": [{"value": 900}]},
                     {"name": "post_total_media_view_unique", "period": "lifetime", "values": [{"value": 700}]},
                     {"name": "post_clicks_by_type", "period": "lifetime", "values": [{"value": {"link clicks": 5, "other clicks": 3}}]}]}  # fmt: skip


def staged(output: Table, tmp_path: Path, stream: str, *records: Record) -> list[Record]:
    """A staging table from raw records as they were landed on the night of 2 January."""
    transform = next(one for one in transforms() if one.output.name == output.name)
    hand = Hand(PAGE)
    hand.night("01-01", "01-02")
    arrive(tmp_path, "facebook", stream, at("01-03", "02:00"), records)
    with warehouse() as connection:
        raw.land(connection, tmp_path, at("01-03", "02:00"))
        for source in transform.inputs:
            ensure(connection, source.table)
        frames = {
            source.name: read(connection, source.table, "i", json_types=source.json_types)
            if source.json_types
            else hand.make(source.table).lazy()
            for source in transform.inputs
        }
        return engine.collect(transform, frames).to_dicts()


def post(**more: Any) -> Record:
    told = {
        "id": "1_2", "created_time": "2026-01-02T03:00:00+0000", "message": "Salam #Zakat", "permalink_url": "https://www.facebook.com/1/posts/2",
        "shares": {"count": 4}, "comments": {"summary": {"total_count": 3}}, "reactions": {"summary": {"total_count": 20}}, "insights": INSIGHTS,
    }  # fmt: skip
    return {name: value for name, value in (told | more).items() if value is not ...}


def counters(tmp_path: Path, **more: Any) -> Record:
    (found,) = staged(things.POST_SNAPSHOTS, tmp_path, "posts", post(**more))
    return {name: found[name] for name in things.COUNTERS}


def insights(**values: Any) -> Record:
    return {"data": [{"name": name, "period": "lifetime", "values": [{"value": value}]} for name, value in values.items()]}


WHOLE = {
    "reactions": 20, "comments_platform": 3, "shares": 4, "saves": None, "views": 900, "impressions": None, "link_clicks": 5, "reach": 700,
}  # fmt: skip


def test_a_post_as_facebook_tells_it(tmp_path: Path) -> None:
    assert counters(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        # Not there is nobody, for shares alone; what could not be read is not known.
        ({"shares": ...}, {"shares": 0}),
        ({"shares": {"count": None}}, {"shares": None}),
        ({"shares": ..., "reactions": ...}, {"shares": None, "reactions": None}),
        ({"comments": ...}, {"comments_platform": None}),
        ({"comments": None}, {"comments_platform": None}),
        ({"comments": {"data": []}}, {"comments_platform": None}),
        ({"reactions": {"summary": None}, "shares": {"count": 4}}, {"reactions": None}),
        # Nothing asked, nothing given, refused, deleted meanwhile: never 0.
        ({"insights": ...}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": None}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": {}}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": {"data": []}}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": {"data": [{"name": "post_media_view", "values": []}]}}, {"views": None, "link_clicks": None, "reach": None}),
        # A number where an object was, and the other way round.
        ({"insights": insights(post_media_view=900, post_clicks_by_type=8)}, {"link_clicks": None, "reach": None}),
        ({"insights": insights(post_media_view={"organic": 9, "paid": 1})}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": insights(post_clicks_by_type={})}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": insights(post_clicks_by_type={"photo view": 7})}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": insights(post_clicks_by_type={"link clicks": None})}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": insights(post_media_view=None)}, {"views": None, "link_clicks": None, "reach": None}),
        ({"insights": insights(post_media_view=0)}, {"views": 0, "link_clicks": None, "reach": None}),
        # The old name tells of a post to how many it was displayed, which is another thing.
        ({"insights": insights(post_impressions_unique=800)}, {"views": None, "link_clicks": None, "reach": None}),
    ],
)  # fmt: skip
def test_what_is_not_given_is_null_and_never_nought(tmp_path: Path, more: Record, changed: Record) -> None:
    assert counters(tmp_path, **more) == WHOLE | changed


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "post"),
        ({"permalink_url": None}, "post"),
        ({"permalink_url": ..., "message": ...}, "post"),
        ({"attachments": {"data": []}}, "post"),
        ({"attachments": None}, "post"),
        ({"attachments": {"data": [{"media_type": "album"}]}}, "post"),
        ({"attachments": {"data": [{"media_type": "video"}]}}, "video"),
        ({"permalink_url": "https://www.facebook.com/reel/77/"}, "reel"),
        ({"permalink_url": "https://www.facebook.com/reel/77/", "attachments": {"data": [{"media_type": "video"}]}}, "reel"),
    ],
)
def test_posts_are_told_apart(tmp_path: Path, more: Record, kind: str) -> None:
    (found,) = staged(things.POSTS, tmp_path, "posts", post(**more))
    assert (found["post_type"], found["created_at"]) == (kind, at("01-02", "10:00"))
    assert found["hashtags"] == ([] if more.get("message") is ... else ["zakat"])
    assert found["text"] == (None if more.get("message") is ... else "Salam #Zakat")


def test_a_reels_numbers_have_names_of_their_own(tmp_path: Path) -> None:
    reel = {"permalink_url": "https://www.facebook.com/reel/77/", "insights": insights(fb_reels_total_plays=50, post_impressions_unique=40)}
    assert counters(tmp_path, **reel) == WHOLE | {"views": 50, "reach": 40, "link_clicks": None}


def test_a_reel_that_only_has_other_posts_names_has_no_numbers(tmp_path: Path) -> None:
    assert counters(tmp_path, permalink_url="https://www.facebook.com/reel/77/") == WHOLE | {"views": None, "reach": None}


def test_days_of_the_page_keep_null_apart_from_nought(tmp_path: Path) -> None:
    def told(name: str, value: int | None) -> Record:
        return {
            "key": f"{name}/day/2026-01-01",
            "name": name,
            "period": "day",
            "day": "2026-01-01",
            "at": "2026-01-01T08:00:00+00:00",
            "value": value,
        }

    records = [told("page_media_view", 0), told("page_views_total", None), told("page_impressions_unique", 9), told("made_up", 8)]
    (found,) = staged(things.ACCOUNT_DAYS, tmp_path, "insights_day", *records)
    assert (found["day"], found["views"], found["profile_views"], found["reach"], found["followers"]) == (
        date(2026, 1, 1),
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(("given", "followers"), [({"followers_count": 7}, 7), ({"followers_count": None}, None), ({}, None)])
def test_the_followers_are_not_the_fans(tmp_path: Path, given: Record, followers: int | None) -> None:
    (found,) = staged(things.ACCOUNT_DAYS, tmp_path, "accounts", {"id": "main", "fan_count": 5, **given})
    assert found["followers"] == followers


def test_a_comment_without_an_author_is_kept(tmp_path: Path) -> None:
    """Without `pages_read_user_content` Facebook does not tell who wrote it."""
    flags = dict.fromkeys(FLAGS_JSON, False) | {"word_count": 2}
    record = {
        "id": "2_9",
        "created_time": "2026-01-02T05:00:00+0000",
        "post_id": "1_2",
        "parent_id": None,
        "author_id": None,
        "flags": flags,
    }
    (found,) = staged(things.COMMENTS, tmp_path, "comments", record)
    assert (found["item_id"], found["author_key"], found["is_own"], found["word_count"]) == ("2_9", None, False, 2)
    # Its post is not known here: it was deleted before a night, or is older than what is listed.
    assert (found["account_id"], found["post_id"]) == ("main", None)


def test_each_measure_names_its_source_and_what_facebook_lacks_is_not_among_them() -> None:
    gives = facebook.MAPPING.gives
    assert "saves" not in gives
    assert all(one.metric for one in gives.values())
    names = {one.name for one in (*PAGE_METRICS, *POST_METRICS)}
    assert {one.field for one in gives.values() if one.field} <= names
