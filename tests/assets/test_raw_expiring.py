"""What expires keeps its last reading: stories are read each hour, and of a day's readings the latest is the one that is kept.

Not here: what stays (test_raw_landing.py), and days that nobody saw (test_staging_shapes.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import raw
from assets.ledgers import FETCH
from assets.staging import things, transforms
from pipelines import engine
from pipelines.tables import Table
from pipelines.warehouse import ensure, read
from tests.support.hand import Hand, at, day
from tests.support.landing import arrive, rows, warehouse

OWNER = "main"
Reading = tuple[datetime, dict[str, int | None]]


def story(identity: str, posted: datetime, views: int | None) -> dict[str, Any]:
    """A story as the door writes it; `views` None: it was listed, and gone before its numbers were asked for."""
    given = None if views is None else {"data": [{"name": "views", "values": [{"value": views}]}]}
    return {"id": identity, "timestamp": posted.isoformat(), "media_type": "IMAGE", "media_product_type": "STORY", "insights": given}


def hours(first: datetime, last: datetime) -> list[datetime]:
    """A reading each hour, the last included."""
    return [first + timedelta(hours=step) for step in range((last - first) // timedelta(hours=1) + 1)]


def of(posted: datetime, observed: Iterable[datetime], identity: str = "s") -> list[Reading]:
    """Readings of one story, whose views are the minutes that it has been up."""
    return [(when, {identity: (when - posted) // timedelta(minutes=1)}) for when in observed]


class Read:
    """Stories as they were read, landed one reading after the other, and what staging makes of them."""

    def __init__(self, landing: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.landing, self.connection, self.posted = landing, connection, dict[str, datetime]()
        self.hand = Hand(f"instagram/{OWNER}")

    def see(self, readings: Sequence[Reading], *, reason: str | None = None) -> list[raw.Landed]:
        """Land them, each a run of its own."""
        done = []
        for when, seen in readings:
            records = [story(identity, self.posted[identity], views) for identity, views in seen.items()]
            status = "missing" if reason else "fetched"
            arrive(self.landing, "instagram", "stories", when, records, account=OWNER, back=timedelta(days=1), reason=reason, status=status)
            done += raw.land(self.connection, self.landing, when)[0]
        return done

    def night(self, *mornings: str) -> None:
        """The account is read at 02:00 of each: with it the day before is the last that is told of."""
        for morning in mornings:
            arrive(self.landing, "instagram", "accounts", at(morning, "02:00"), [{"id": OWNER}], account=OWNER)
            raw.land(self.connection, self.landing, at(morning, "02:00"))

    def make(self, table: Table) -> pl.DataFrame:
        """A table of staging from what has landed."""
        transform = next((one for one in transforms() if one.output.name == table.name), None)
        if transform is None:
            return self.hand.make(table)
        inputs = {}
        for source in transform.inputs:
            if source.json_types or source.table.name == FETCH.name:
                ensure(self.connection, source.table)
                inputs[source.name] = read(self.connection, source.table, "i", json_types=source.json_types)
            else:
                inputs[source.name] = self.make(source.table).lazy()
        return engine.collect(transform, inputs).filter(pl.col("platform") == "instagram")

    def views(self, identity: str = "s") -> dict[str, int | None]:
        """Its views as they stand by snapshot day."""
        found = self.make(things.POST_SNAPSHOTS).filter(pl.col("post_id") == identity).sort("day")
        return {f"{one:%m-%d}": views for one, views in found.select("day", "views").iter_rows()}

    def moved(self, identity: str = "s") -> dict[str, int | None]:
        """How its views moved by snapshot day."""
        found = self.make(things.POST_DAYS).filter(pl.col("post_id") == identity).sort("day")
        return {f"{one:%m-%d}": views for one, views in found.select("day", "views").iter_rows()}

    def ledger(self, column: str) -> dict[str, object]:
        """What the ledger says of the stories of each day."""
        found = self.make(things.COVERAGE).filter(pl.col("stream") == "stories").sort("day")
        return {f"{one:%m-%d}": said for one, said in found.select("day", column).iter_rows()}


def test_a_story_of_the_morning_keeps_what_it_had_won_when_it_vanished_the_next(tmp_path: Path) -> None:
    """Of the nearest to midnight the hours from 00:15 to 08:15 would be lost: no later day has them."""
    posted = at("01-02", "09:00")
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = posted
        told.see([(at("01-01", "02:00"), {})])
        told.see(of(posted, hours(at("01-02", "09:15"), at("01-03", "08:15"))))
        told.night("01-01", "01-02", "01-03")
        assert told.views() == {"01-01": 135, "01-02": 1395}
        assert told.moved() == {"01-01": 135, "01-02": 1260}
        assert rows(connection, "instagram", "stories")["observed_at"].to_list() == [at("01-02", "11:15"), at("01-03", "08:15")]


def test_a_story_of_the_afternoon_has_two_days_and_the_second_ends_with_its_last_reading(tmp_path: Path) -> None:
    posted = at("01-02", "15:00")
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = posted
        told.see(of(posted, hours(at("01-02", "15:15"), at("01-03", "14:15"))))
        assert told.views() == {"01-02": 1215, "01-03": 1395}


def test_a_story_from_just_before_midnight_belongs_to_the_day_that_its_night_closes(tmp_path: Path) -> None:
    posted = at("01-02", "23:50")
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = posted
        told.see([(at("01-01", "23:15"), {}), (at("01-02", "23:15"), {})])
        told.see(of(posted, hours(at("01-03", "00:15"), at("01-03", "23:15"))))
        told.night("01-03", "01-04")
        assert told.views() == {"01-02": 685, "01-03": 1405}
        assert told.moved() == {"01-02": 685, "01-03": 720}


def test_where_hours_are_missed_the_last_reading_that_there_was_stands(tmp_path: Path) -> None:
    posted = at("01-02", "09:00")
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = posted
        told.see([(at("01-02", "02:00"), {})])
        told.see(of(posted, [at("01-03", "02:00"), at("01-03", "05:15")]))
        told.night("01-02", "01-03")
        assert told.views() == told.moved() == {"01-02": 1215}


def test_a_rerun_at_ten_takes_what_is_still_up_and_leaves_what_is_gone(tmp_path: Path) -> None:
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted |= {"up": at("01-02", "11:00"), "gone": at("01-02", "09:30")}
        told.see([(at("01-03", "02:00"), {"up": 5, "gone": 7}), (at("01-03", "10:00"), {"up": 9})])
        assert told.views("up") == {"01-02": 9}
        assert told.views("gone") == {"01-02": 7}


def test_the_same_reading_once_more_changes_nothing(tmp_path: Path) -> None:
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = at("01-02", "11:00")
        told.see([(at("01-03", "02:00"), {"s": 5}), (at("01-03", "10:00"), {"s": 9})])
        before, files = rows(connection, "instagram", "stories"), sorted(tmp_path.rglob("*.gz"))
        again = told.see([(at("01-03", "10:00"), {"s": 9}), (at("01-03", "02:00"), {"s": 5})])
        assert [(one.new, one.changed) for one in again] == [(0, 0), (0, 0)]
        assert rows(connection, "instagram", "stories").equals(before)
        assert sorted(tmp_path.rglob("*.gz")) == files


def test_a_later_reading_marks_the_day_that_it_changes_and_one_that_comes_late_marks_none(tmp_path: Path) -> None:
    def marks() -> list[tuple[object, ...]]:
        return connection.sql("SELECT change_id, changed_from FROM meta.change WHERE table_name = 'raw.instagram__stories'").fetchall()

    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = at("01-02", "11:00")
        told.see([(at("01-03", "02:00"), {"s": 5})])
        first = marks()
        told.see([(at("01-03", "10:00"), {"s": 9})])
        second = marks()
        told.see([(at("01-03", "04:15"), {"s": 6})])
        assert [when for _, when in first] == [when for _, when in second] == [day("01-02")]
        assert first != second == marks()


def test_a_story_that_vanished_before_its_numbers_were_asked_for_keeps_those_of_the_hour_before(tmp_path: Path) -> None:
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted |= {"s": at("01-02", "09:15"), "new": at("01-03", "09:14")}
        told.see([(at("01-03", "08:15"), {"s": 40}), (at("01-03", "09:15"), {"s": None, "new": None})])
        assert told.views("s") == {"01-02": 40}
        # Of what has none at all the row still tells that it was there.
        assert told.views("new") == {"01-02": None}


def test_a_story_that_was_up_between_the_night_and_noon_alone_counts(tmp_path: Path) -> None:
    """It belongs to the day whose last reading saw it, not to none."""
    posted = at("01-03", "08:00")
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = posted
        told.see([(at("01-02", "02:00"), {}), (at("01-03", "02:00"), {})])
        told.see(of(posted, [at("01-03", "09:15"), at("01-03", "10:15")]))
        told.night("01-02", "01-03")
        assert told.moved() == {"01-02": 135}


def test_a_day_of_stories_is_closed_by_its_last_complete_reading(tmp_path: Path) -> None:
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.posted["s"] = at("01-02", "09:00")
        told.see(of(told.posted["s"], [at("01-02", "23:15"), at("01-03", "02:00"), at("01-03", "06:15")]))
        told.see([(at("01-03", "07:15"), {})], reason="Instagram answered 503.")
        told.night("01-03")
        assert told.ledger("observed_at") == {"01-02": at("01-03", "06:15")}


def test_what_was_up_only_while_nobody_looked_for_a_day_is_lost(tmp_path: Path) -> None:
    """Read at 02:15 of the 3rd and again at 13:15 of the 4th: a story from 03:00 to 03:00 was never seen."""
    with warehouse() as connection:
        told = Read(tmp_path, connection)
        told.see([(at("01-03", "02:15"), {}), (at("01-04", "13:15"), {})])
        told.night("01-03", "01-04", "01-05")
        assert told.ledger("status") == {"01-02": "fetched", "01-03": "lost", "01-04": "fetched"}


POSTED = {"s": at("01-02", "09:00"), "t": at("01-02", "23:50")}
INSTANTS = hours(at("01-02", "10:15"), at("01-03", "08:15"))
READINGS = st.dictionaries(st.sampled_from(INSTANTS), st.dictionaries(st.sampled_from("st"), st.sampled_from([None, 0, 1, 2])), max_size=6)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), drawn=READINGS)
def test_whatever_the_order_of_arrival_the_last_reading_with_numbers_stands(
    data: st.DataObject, drawn: dict[datetime, dict[str, int | None]]
) -> None:
    """Any order, any grouping into landings, some twice: of each story and day the same row."""
    once = sorted(drawn.items())
    again = data.draw(st.lists(st.sampled_from(once), max_size=2)) if once else []
    shuffled = data.draw(st.permutations([*once, *again]))
    cuts = data.draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    kept: dict[tuple[str, str], tuple[bool, datetime, int | None]] = {}
    for when, seen in once:
        for identity, views in seen.items():
            of_day = f"{(when + timedelta(hours=7) - timedelta(hours=12)):%m-%d}"
            reading = (views is not None, when, views)
            kept[identity, of_day] = max(kept.get((identity, of_day), reading), reading, key=lambda one: one[:2])
    with TemporaryDirectory() as folder, warehouse() as connection:
        for number, ((when, seen), cut) in enumerate(zip(shuffled, cuts, strict=True)):
            records = [story(identity, POSTED[identity], views) for identity, views in seen.items()]
            arrive(Path(folder), "instagram", "stories", when, records, run_id=f"run-{number}")
            if cut:
                raw.land(connection, Path(folder), when)
        raw.land(connection, Path(folder), INSTANTS[-1])
        found = rows(connection, "instagram", "stories") if once else pl.DataFrame()
    assert {(row["record_key"], f"{row['day']:%m-%d}"): row["observed_at"] for row in found.to_dicts()} == {
        key: when for key, (_, when, _) in kept.items()
    }
