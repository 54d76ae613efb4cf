"""Clocks: one that goes back between two nights moves no counter to another day; and days of 23 and 25 hours are days like others.

Not here: the order in which counters arrive (test_counters_any_order.py).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import given
from hypothesis import strategies as st

from assets.asking import windows_due
from assets.ledgers import snapshot_day
from connectors.registry import platforms
from connectors.streams import Stream
from pipelines.house import House
from pipelines.night import ClockError
from pipelines.reference import _local_days
from pipelines.schedules import NIGHT_CRON
from sandbox.server import Running
from tests.faults.conftest import LAST, Copy
from tests.support.content import differences
from tests.support.nights import INSTITUTION, instant, make_home, play, put_clock
from tests.support.nights import derive as derive_all
from tests.support.whole import assert_same, clean, holdings, runs, steps, typed, whole_night

STREAMS = [stream for connector in platforms().values() for stream in connector.streams]
# Zones whose clocks are changed at 02:00, at midnight, by half an hour, or never.
ZONES = ["Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Jakarta"]
CHANGES = {"Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)), "America/New_York": (date(2026, 3, 8), date(2026, 11, 1))}
INSTANTS = st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


@pytest.mark.slow
@pytest.mark.parametrize("back", [timedelta(hours=5), timedelta(days=2)], ids=["hours", "days"])
def test_with_a_clock_that_went_back_nothing_is_fetched_and_the_next_right_night_is_as_ever(
    back: timedelta, night_due: House, undisturbed: House, sandbox: Running, copy: Copy
) -> None:
    house = copy(night_due)
    before = holdings(house)
    sandbox.set_now(instant(LAST))
    sandbox.forget_requests()
    put_clock(house, instant(LAST - 1) - back)
    with pytest.raises(ClockError) as told:
        steps(house, "behind")
    assert "Nothing was fetched and no row was changed" in str(told.value)
    assert f"{instant(LAST - 1):%Y-%m-%d %H:%M} UTC. Set the clock, then run again" in str(told.value)
    assert sandbox.requests() == []
    assert differences(holdings(house), before) == {}
    whole_night(house, sandbox, instant(LAST), "right")
    assert_same(house, undisturbed)
    assert runs(house)["right"][1] == "whole"


@pytest.mark.slow
def test_at_the_command_line_a_clock_that_went_back_is_code_four_and_may_be_overruled(
    night_due: House, sandbox: Running, copy: Copy
) -> None:
    house = copy(night_due)
    put_clock(house, instant(LAST - 1) - timedelta(hours=3))
    sandbox.set_now(house.clock.now())
    told = typed(house, "run")
    assert told.returncode == 4, told.stdout + told.stderr
    assert "this machine's clock says" in clean(told.stderr)
    trusted = House(house.home, {**house.environ, "TOLOK_TRUST_CLOCK": "1"}, house.clock)
    told = typed(trusted, "run")
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.slow
def test_a_clock_that_is_set_right_by_a_few_minutes_stops_no_night(night_due: House, sandbox: Running, copy: Copy) -> None:
    house = copy(night_due)
    arrival = play(house, sandbox, instant(LAST - 1) - timedelta(minutes=5), "a-little-back")
    assert arrival.gaps == []
    before = holdings(night_due)
    after = holdings(house)
    # The snapshot that is nearer to the day's end is kept, whichever came first; nothing else moves.
    moved = {name for name in differences(before, after) if name.startswith("raw.") and not name.endswith(("accounts", "posts"))}
    assert moved == set()


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
@given(now=INSTANTS, ahead=st.timedeltas(timedelta(days=-400), timedelta(days=400)), history=st.integers(1, 365))
def test_windows_never_end_before_they_begin_wherever_the_clock_was_before(
    stream: Stream, now: datetime, ahead: timedelta, history: int
) -> None:
    for until in (None, now + ahead):
        windows = windows_due(stream, now, until, timedelta(days=history))
        assert windows
        assert all(window.start <= window.end <= now for window in windows)
        assert all(one.end == other.start for one, other in pairwise(windows))


@pytest.mark.parametrize("zone", ZONES)
def test_local_days_tile_time_and_the_changed_ones_are_an_hour_shorter_and_longer(zone: str) -> None:
    days = _local_days(ZoneInfo(zone))
    assert all(one["ends_at"] == other["starts_at"] for one, other in pairwise(days))
    hours = {row["day"]: (row["ends_at"] - row["starts_at"]) / timedelta(hours=1) for row in days if row["day"].year == 2026}
    assert sum(hours.values()) == 365 * 24
    if zone in CHANGES:
        short, long = CHANGES[zone]
        assert (hours.pop(short), hours.pop(long)) == (23, 25)
        assert set(hours.values()) == {24}


@pytest.fixture(scope="module")
def sql() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone='UTC'")
    return connection


@given(observed_at=INSTANTS, zone=st.sampled_from(ZONES))
def test_the_snapshot_day_is_the_same_in_the_ledger_and_in_raw(observed_at: datetime, zone: str, sql: duckdb.DuckDBPyConnection) -> None:
    found = sql.execute("SELECT ((?::TIMESTAMPTZ - INTERVAL 12 HOUR) AT TIME ZONE ?)::DATE", [observed_at, zone]).fetchall()
    assert found == [(snapshot_day(observed_at, zone),)]


def nights_of(zone: str, first: date, count: int) -> list[datetime]:
    """When Dagster starts the nights of a zone."""
    start = datetime.combine(first, time(), ZoneInfo(zone)).timestamp()
    return [tick.astimezone(UTC) for tick in islice(schedule_execution_time_iterator(start, NIGHT_CRON, zone), count)]


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_of_a_year_is_closed_by_exactly_one_night_though_two_oclock_is_missing_or_comes_twice(zone: str) -> None:
    nights = nights_of(zone, date(2026, 1, 2), 365)
    assert [snapshot_day(night, zone) for night in nights] == [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert all(timedelta(hours=22) <= other - one <= timedelta(hours=26) for one, other in pairwise(nights))


@pytest.mark.parametrize(
    ("zone", "changed"), [("Europe/Berlin", "2026-03-29T03:00:00+02:00"), ("America/New_York", "2026-03-08T03:00:00-04:00")]
)
def test_the_night_whose_two_oclock_does_not_exist_runs_an_hour_later_by_the_clock(zone: str, changed: str) -> None:
    day = datetime.fromisoformat(changed)
    assert nights_of(zone, day.date(), 1) == [day.astimezone(UTC)]


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "short"), [("Europe/Berlin", date(2026, 3, 29))])
def test_over_the_change_of_clocks_every_day_is_covered_and_its_hours_are_those_it_has(
    zone: str, short: date, sandbox: Running, tmp_path: Path
) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    path = house.institutions_path / f"{INSTITUTION}.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace('zone = "Asia/Jakarta"', f'zone = "{zone}"\nhistory_days = 5'), encoding="utf-8"
    )
    first = short - timedelta(days=1)
    for number, at in enumerate(nights_of(zone, first, 4)):
        assert play(house, sandbox, at, f"night-{number}").gaps == []
    derive_all(house, "night-3")
    closed = [first - timedelta(days=1) + timedelta(days=number) for number in range(4)]
    with house.warehouse.open() as connection:
        known = connection.execute(
            "SELECT kind, account_id, stream, list(day ORDER BY day) FROM meta.coverage WHERE is_known AND day BETWEEN ? AND ? GROUP BY ALL",
            [closed[0], closed[-1]],
        ).fetchall()
        hours = dict(
            connection.execute(
                "SELECT day, count(*) // count(DISTINCT account_id) FROM staging.mention_hours WHERE day BETWEEN ? AND ? GROUP BY day",
                [closed[1], closed[2]],
            ).fetchall()
        )
        outside = connection.execute(
            "SELECT count(*) FROM staging.mention_hours AS m JOIN ref.local_day AS d USING (institution_id, day) "
            "WHERE m.hour_start < d.starts_at OR m.hour_start >= d.ends_at"
        ).fetchall()
    assert len(known) > 5
    assert all(days == closed for kind, _, _, days in known if kind == "snapshot")
    assert all(short in days for kind, _, _, days in known)
    assert hours == {closed[1]: 24, closed[2]: 23}
    assert outside == [(0,)]
