"""Bad records on their way through a night: what is set aside where, what is still counted, what the ledger and the closing sentence say.

A made-up X answers with records of a test's choice. Not here: what makes a record unfit (tests/connectors/test_fitness.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.publish import audited
from assets.staging.things import COVERAGE, POST_SNAPSHOTS, POSTS
from checks import gate
from connectors.clock import InjectedClock
from pipelines import night
from pipelines.house import House
from pipelines.night import Arrival
from pipelines.warehouse import ensure
from tests.connectors.served import Heard, Said, Speaker, said, speaking
from tests.support.nights import HMAC_KEY, INSTITUTION, derive, instant, institutions_of, put_clock

pytestmark = pytest.mark.slow
ME = "2200000000000000001"
SETTINGS = """
name = "Lembaga"
zone = "WIB"
[platforms.x]
base_url = "{url}"
[[accounts]]
platform = "x"
id = "2200000000000000001"
handle = "lembaga"
[goals.community_engagement]
"""
POSTS_ONLY = night.only([("x", "posts")])
LIVES = Callable[[Sequence[object]], Arrival]


def post(identity: object, likes: object = 1, **more: object) -> dict[str, Any]:
    counters: dict[str, object] = dict.fromkeys(("repost_count", "reply_count", "quote_count", "bookmark_count", "impression_count"), 0)
    created = (instant(0) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"id": identity, "text": "Halo", "created_at": created, "public_metrics": counters | {"like_count": likes}} | more


def good(count: int) -> list[dict[str, Any]]:
    return [post(str(1000 + number)) for number in range(count)]


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking() as one:
        yield one


@pytest.fixture
def house(speaker: Speaker, tmp_path: Path) -> House:
    (tmp_path / "institutions").mkdir()
    (tmp_path / "institutions" / f"{INSTITUTION}.toml").write_text(SETTINGS.format(url=speaker.url), encoding="utf-8")
    return House(tmp_path, {"TOLOK_HMAC_KEY": HMAC_KEY, "TOLOK_CAHAYA_X_TOKEN": "t" * 20}, InjectedClock(instant(0)))


@pytest.fixture
def play(house: House, speaker: Speaker) -> Callable[..., Arrival]:
    """One night in which X gives these records as the account's posts, in pages of the given sizes."""

    def play_it(records: Sequence[object], number: int = 0, pages: Sequence[Sequence[object]] | None = None) -> Arrival:
        given = list(pages) if pages is not None else [records]

        def say(heard: Heard) -> Said:
            at = int(heard.query.get("pagination_token", "0"))
            meta: dict[str, object] = {"result_count": len(given[at])}
            if at + 1 < len(given):
                meta["next_token"] = str(at + 1)
            return said({"data": given[at], "meta": meta})

        speaker.answers(say)
        put_clock(house, instant(number))
        arrival = night.fetch_and_land(house, institutions_of(house), f"night-{number}", POSTS_ONLY)
        derive(house, f"night-{number}")
        return arrival

    return play_it


def asked(house: House, query: str) -> list[tuple[Any, ...]]:
    with house.warehouse.open() as connection:
        return connection.sql(query).fetchall()


def test_a_negative_counter_is_read_as_not_given_and_the_record_is_set_aside_with_its_reason(house: House, play: LIVES) -> None:
    arrival = play([*good(30), post("7", -3)])
    assert arrival.gaps == []
    assert asked(house, f"SELECT reactions FROM {POST_SNAPSHOTS.name} WHERE post_id = '7'") == [(None,)]
    assert asked(house, f"SELECT sum(reactions), count(reactions), count(*) FROM {POST_SNAPSHOTS.name}") == [(30, 30, 31)]
    ((account, stream, field, reason, key, payload),) = asked(
        house, "SELECT account_id, stream, field, reason, record_key, payload FROM meta.quarantine"
    )
    assert (account, stream, field, key) == (ME, "posts", "public_metrics.like_count", "7")
    assert reason == "public_metrics.like_count is a negative number; a count was expected"
    assert json.loads(payload)["public_metrics"]["like_count"] == -3
    assert asked(house, "SELECT rejected, blanked FROM meta.fetch") == [(0, 1)]


def test_a_number_as_text_counts_and_an_id_as_number_names_its_record(house: House, play: LIVES) -> None:
    play([*good(2), post(2**53 + 1, "12")])
    assert asked(house, f"SELECT post_id, reactions FROM {POST_SNAPSHOTS.name} WHERE reactions > 1") == [(str(2**53 + 1), 12)]
    assert asked(house, "SELECT count(*) FROM meta.quarantine") == [(0,)]


@pytest.mark.parametrize("identity", [2**53 + 1, 2**63 + 1, 2**64 + 1, str(2**70 + 1)])
def test_ids_beyond_what_a_float_holds_stay_exact(house: House, play: LIVES, identity: object) -> None:
    play([post(identity)])
    assert asked(house, "SELECT record_key FROM raw.x__posts") == [(str(identity),)]
    assert asked(house, f"SELECT post_id FROM {POSTS.name}") == [(str(identity),)]


@pytest.mark.parametrize(
    ("broken", "field", "reason"),
    [
        ({"created_at": "2026-01-01T10:00:00"}, "created_at", "created_at is a text that is no time with a zone"),
        ({"created_at": None}, "created_at", "created_at is missing"),
        ({"id": None}, "id", "id is missing"),
    ],
)
def test_a_record_that_cannot_be_placed_is_set_aside_and_the_others_count(
    house: House, play: LIVES, broken: dict[str, Any], field: str, reason: str
) -> None:
    arrival = play([*good(30), post("7", **broken)])
    assert arrival.gaps == []
    assert asked(house, f"SELECT count(*) FROM {POSTS.name}") == [(30,)]
    ((where, why),) = asked(house, "SELECT field, reason FROM meta.quarantine")
    assert where == field
    assert why.startswith(reason)


def test_when_the_platform_drops_a_field_that_is_needed_the_stream_is_red_and_says_why(house: House, play: LIVES) -> None:
    arrival = play([*good(18), *(post(str(number), created_at=None) for number in range(2))])
    (gap,) = arrival.gaps
    assert gap.reason.startswith("posts: 2 of 20 records could not be used (mostly: created_at is missing; a time with a zone is needed).")
    assert "Above 5% a stream counts as not arrived" in gap.reason
    assert asked(house, f"SELECT is_known, status, reason FROM {COVERAGE.name}") == [(False, "expected", gap.reason)]
    assert asked(house, "SELECT count(*) FROM raw.x__posts") == [(18,)]
    assert asked(house, "SELECT count(*) FROM meta.quarantine") == [(2,)]


def test_the_same_bad_record_is_set_aside_once_however_often_it_comes(house: House, play: Callable[..., Arrival]) -> None:
    for number in range(3):
        play([*good(30), post("7", -3)], number)
    assert asked(house, "SELECT count(*), min(day)::VARCHAR FROM meta.quarantine") == [(1, "2026-01-01")]


def test_a_post_that_came_broken_one_night_is_not_taken_for_deleted(house: House, play: Callable[..., Arrival]) -> None:
    play([*good(30), post("7")], 0)
    play([*good(30), post("7", created_at=None)], 1)
    assert asked(house, f"SELECT deleted_at FROM {POSTS.name} WHERE post_id = '7'") == [(None,)]
    play(good(30), 2)
    assert asked(house, f"SELECT deleted_at IS NOT NULL FROM {POSTS.name} WHERE post_id = '7'") == [(True,)]


def test_a_member_not_seen_before_is_kept_and_told(house: House, play: Callable[..., Arrival]) -> None:
    arrival = play(good(3), 0)
    assert [table.new_fields for table in arrival.landed] == [()]
    arrival = play([*good(3), post("7", community_note={"rating": 3})], 1)
    assert [table.new_fields for table in arrival.landed] == [("community_note", "community_note.rating")]
    assert asked(house, "SELECT payload->>'$.community_note.rating' FROM raw.x__posts WHERE record_key = '7'") == [("3",)]
    arrival = play([*good(3), post("7", community_note={"rating": 4})], 2)
    assert [table.new_fields for table in arrival.landed] == [()]


def test_a_record_that_stands_on_two_pages_is_one(house: House, play: Callable[..., Arrival]) -> None:
    records = good(7)
    play([], 0, pages=[records[:4], records[3:6], records[5:]])
    assert asked(house, "SELECT count(*), count(DISTINCT record_key) FROM raw.x__posts") == [(7, 7)]


def test_an_empty_account_is_a_whole_answer(house: House, play: LIVES) -> None:
    arrival = play([])
    assert arrival.gaps == []
    assert asked(house, f"SELECT is_known FROM {COVERAGE.name}") == [(True,)]


def test_a_counter_that_falls_by_nine_tenths_keeps_its_value_and_breaks_a_promise(house: House, play: Callable[..., Arrival]) -> None:
    """A purge, or an error of the platform: the fall is told, not hidden, and not turned into a negative flow without a word."""
    play([*good(3), post("7", 1000)], 0)
    play([*good(3), post("7", 100)], 1)
    assert asked(house, f"SELECT reactions FROM {POST_SNAPSHOTS.name} WHERE post_id = '7' ORDER BY day") == [(1000,), (100,)]
    with house.warehouse.open() as connection:
        for table in audited().values():
            ensure(connection, table)
        verdicts = gate.audit(connection, audited(), institutions_of(house), house.clock.now(), "night-1")
    (told,) = [one for one in verdicts if one.promise == "counter-not-fallen"]
    assert (told.passed, told.severity) == (False, gate.WARN)
    assert "deepest -0.9" in told.found
