"""Law 9, erasure: a person goes from every byte under the home, does not come back, and numbers stay.

Not here: what of one record goes (tests/connectors/test_keys.py).
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from unittest.mock import patch

import duckdb
import pytest

from assets import raw
from connectors.clock import InjectedClock
from pipelines import erase as room
from pipelines.erase import ErasureRefused, erase
from pipelines.erase.items import items_of
from pipelines.house import House
from sandbox.server import Running
from sandbox.world import World
from tests.laws.conftest import LAST, Copy
from tests.laws.test_law_persons import bytes_of
from tests.support.content import content, differences
from tests.support.landing import warehouse
from tests.support.nights import derive, instant, institutions_of, landing_files, play

pytestmark = pytest.mark.slow
PLATFORM = "mastodon"


@pytest.fixture(scope="module")
def subject(undisturbed: House, the_world: World) -> str:
    """The id of a person who wrote several items, is in other records too, and is no employee."""
    keys = undisturbed.pseudonyms()
    staff = {one.id for institution in institutions_of(undisturbed).values() for one in institution.staff}
    with undisturbed.warehouse.open(read_only=True) as connection:
        payloads = "".join(
            str(text)
            for table in ("raw.mastodon__mentions", "raw.mastodon__posts")
            for (text,) in connection.sql(f"SELECT payload::VARCHAR FROM {table}").fetchall()
        )
        written = dict(
            connection.sql(f"SELECT author_key, count(*) FROM staging.comments WHERE platform = '{PLATFORM}' GROUP BY 1").fetchall()
        )
    counts = Counter(re.findall(r"[0-9a-f]{6}:[0-9a-f]{32}", payloads))
    named = {
        person.mastodon_id: counts[keys.of(PLATFORM, person.mastodon_id)] - written.get(keys.of(PLATFORM, person.mastodon_id), 0)
        for person in the_world.persons
        if person.mastodon_id not in staff and written.get(keys.of(PLATFORM, person.mastodon_id), 0) > 1
    }
    return max(named, key=lambda one: named[one])


def marks_of(house: House, subject: str) -> set[str]:
    """Everything by which the person stands in the home."""
    keys = frozenset(house.pseudonyms().every(PLATFORM, subject))
    with house.warehouse.open() as connection:
        return set(keys) | items_of(connection, house.landing_path, PLATFORM, keys)


def places(house: House, marks: set[str]) -> list[str]:
    wanted = [mark.encode() for mark in marks]
    return sorted(name for name, text in bytes_of(house.home).items() if any(mark in text for mark in wanted))


def test_nothing_of_the_person_is_left_and_the_numbers_stay(undisturbed: House, copy: Copy, subject: str) -> None:
    house = copy(undisturbed)
    marks = marks_of(house, subject)
    assert len(marks) > 2
    found = places(house, marks)
    assert any(name.startswith("landing/") for name in found)
    assert {"table raw.mastodon__mentions", "table staging.comments"} <= set(found)
    before = content(house)
    erased = erase(house, PLATFORM, subject)
    assert erased.counts["raw"] > 0
    assert erased.counts["landing"] > 0
    assert places(house, marks) == []
    moved = differences(before, content(house))
    assert set(moved) <= {
        "raw.mastodon__mentions", "raw.mastodon__posts", "staging.comments", "staging.mentions", "staging.posts", "meta.fetch",
    }  # fmt: skip
    with house.warehouse.open(read_only=True) as connection:
        evidence = connection.sql("SELECT platform, ended_at IS NOT NULL, counts FROM meta.erasure").fetchall()
        comments = connection.sql("SELECT comment FROM duckdb_tables() WHERE schema_name = 'staging' AND comment IS NULL").fetchall()
    assert len(evidence) == 1
    assert evidence[0][:2] == (PLATFORM, True)
    assert comments == []


def test_the_next_pull_does_not_bring_the_person_back_and_writes_nothing(
    undisturbed: House, sandbox: Running, copy: Copy, subject: str
) -> None:
    house = copy(undisturbed)
    marks = marks_of(house, subject)
    erase(house, PLATFORM, subject)
    before = content(house)
    arrival = play(house, sandbox, instant(LAST), "rerun")
    assert (arrival.rows_new, arrival.rows_changed) == (0, 0)
    assert differences(before, content(house)) == {}
    play(house, sandbox, instant(LAST + 2), "later")
    derive(house, "later")
    assert places(house, {next(iter(house.pseudonyms().every(PLATFORM, subject)))} | marks) == []


def test_landing_is_still_enough_and_a_restored_copy_of_it_is_cleaned(undisturbed: House, copy: Copy, subject: str) -> None:
    house = copy(undisturbed)
    restored = landing_files(house)
    marks = marks_of(house, subject)
    erase(house, PLATFORM, subject)
    erased = content(house)
    with warehouse() as connection:
        raw.replay(connection, house.landing_path, house.clock.now())
        fetches = connection.sql("SELECT run_id, stream, account_id, records FROM meta.fetch ORDER BY ALL").fetchall()
    with house.warehouse.open(read_only=True) as connection:
        assert fetches == connection.sql("SELECT run_id, stream, account_id, records FROM meta.fetch ORDER BY ALL").fetchall()
    for name, text in restored.items():
        (house.landing_path / name).write_bytes(text)
    with house.warehouse.open() as connection:
        raw.replay(connection, house.landing_path, house.clock.now())
    keys = {mark for mark in marks if ":" in mark}
    assert places(house, keys) == []
    assert content(house)["raw.mastodon__mentions"].height == erased["raw.mastodon__mentions"].height


@pytest.mark.parametrize("where", ["clean_landing", "other_files", "clean_warehouse", "compact"])
def test_cut_short_anywhere_it_is_healed_by_typing_it_again(undisturbed: House, copy: Copy, subject: str, where: str) -> None:
    house = copy(undisturbed)
    marks = marks_of(house, subject)
    with patch.object(room, where, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        erase(house, PLATFORM, subject)
    erase(house, PLATFORM, subject)
    assert places(house, marks) == []
    before = content(house)
    again = erase(house, PLATFORM, subject)
    assert sum(again.counts.values()) == 0
    assert differences(before, content(house)) == {}
    with house.warehouse.open(read_only=True) as connection:
        assert connection.sql("SELECT count(DISTINCT suppression_id), count(*) FROM meta.suppression").fetchall() == [(1, 1)]


def test_published_files_runs_workbooks_and_dagsters_records_are_cleaned_under_a_readers_eyes(
    undisturbed: House, copy: Copy, subject: str
) -> None:
    """None of them holds a person by law; should one, it is found there too."""
    house = copy(undisturbed)
    mark = house.pseudonyms().of(PLATFORM, subject)
    latest = house.published_path / "cahaya" / "latest"
    latest.mkdir(parents=True)
    house.dagster_path.mkdir()
    with duckdb.connect(str(latest / "tolok.duckdb")) as connection:
        connection.execute("CREATE SCHEMA mart")
        connection.execute("CREATE TABLE mart.t AS SELECT ? AS who, 3 AS n UNION ALL SELECT 'somebody else', 4", [mark])
        connection.execute("COMMENT ON TABLE mart.t IS 'kept'")
        connection.execute(f"COPY mart.t TO '{latest / 't.parquet'}'")
    (latest / "note.csv").write_text(f"who,n\n{mark},3\n", encoding="utf-8")
    (latest / "SHA256SUMS").write_text("0  note.csv\n", encoding="utf-8")
    with closing(sqlite3.connect(house.dagster_path / "event.db")) as log:
        log.execute("CREATE TABLE event_logs (event TEXT)")
        log.execute("INSERT INTO event_logs VALUES (?)", [f'{{"said": "{mark}"}}'])
        log.commit()
    with duckdb.connect(str(latest / "tolok.duckdb"), read_only=True) as reader:
        erased = erase(house, PLATFORM, subject)
        assert reader.sql("SELECT count(*) FROM mart.t").fetchall() == [(2,)]
    assert erased.counts["published"] >= 3
    assert erased.counts["dagster"] == 1
    assert places(house, {mark}) == []
    with duckdb.connect(str(latest / "tolok.duckdb"), read_only=True) as reader:
        assert reader.sql("SELECT who, n FROM mart.t ORDER BY n").fetchall() == [("erased", 3), ("somebody else", 4)]
        assert reader.sql("SELECT comment FROM duckdb_tables()").fetchall() == [("kept",)]
    assert not (latest / "SHA256SUMS").read_text(encoding="utf-8").startswith("0 ")
    with duckdb.connect() as reader:
        assert reader.execute(f"SELECT who FROM '{latest / 't.parquet'}' WHERE n = 3").fetchall() == [("erased",)]


def test_what_was_approved_stays_approved_without_the_person(undisturbed: House, copy: Copy, subject: str) -> None:
    from assets.publish import audited  # noqa: PLC0415
    from pipelines import stamps  # noqa: PLC0415

    house = copy(undisturbed)
    with house.warehouse.open() as connection:
        for table in audited().values():
            stamps.approve(connection, table, "cahaya", house.clock.now(), "approval")
    erase(house, PLATFORM, subject)
    with house.warehouse.open() as connection:
        assert stamps.unapproved(connection, audited().values(), "cahaya") == []


@pytest.mark.parametrize(
    ("platform", "who"), [("friendster", "1"), (PLATFORM, ""), (PLATFORM, " 1"), (PLATFORM, "own"), (PLATFORM, "staff")]
)
def test_who_cannot_be_erased_is_refused_without_being_named(undisturbed: House, platform: str, who: str) -> None:
    institution = institutions_of(undisturbed)["cahaya"]
    own = next(account.id for account in institution.accounts if account.platform == PLATFORM)
    staff = next((one.id for one in institution.staff if one.platform == PLATFORM), own)
    person = {"own": own, "staff": staff}.get(who, who)
    with pytest.raises(ErasureRefused, match="Nothing was erased") as refused:
        erase(House(undisturbed.home, undisturbed.environ, InjectedClock(undisturbed.clock.now())), platform, person)
    assert len(person) < 3 or person not in str(refused.value)
