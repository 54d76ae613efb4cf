"""Law 10 on a long past: what is left out when a day is new would have changed nothing, however the ledger moves.

Not here: nights of the sandbox (test_law_same_again.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import reference
from assets.ledgers import FETCH
from assets.staging import transforms
from assets.staging.things import COVERAGE
from bench.night_history import LAST_DAY, Shape, land_day, land_past, make_home
from pipelines import engine, night
from pipelines.house import House
from pipelines.reference import reference_rows
from pipelines.tables import Table
from pipelines.warehouse import EARLIEST, KEPT_MARKS, due, ensure, mark, read, transaction
from pipelines.warehouse import replace as replace_rows
from tests.laws.conftest import Copy
from tests.support.content import content, derived, differences
from tests.support.frames import compute_all, inputs_of
from tests.support.hand import Hand, frame
from tests.support.landing import warehouse
from tests.support.nights import institutions_of

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Asia/Jakarta")
BEGIN = date(2026, 1, 5)
STREAMS = {"accounts": 0, "posts": 30, "mentions": 7}


def test_a_new_day_on_a_past_longer_than_every_lookback_equals_the_whole(tmp_path: Path) -> None:
    shape = Shape(accounts=1, posts=1, mentions=2, nights=450)
    house = make_home(tmp_path / "home", [shape])
    with house.warehouse.open() as connection:
        land_past(connection, shape)
        night.derive(connection, institutions_of(house), "past")
        for number in (1, 2, 4):
            land_day(connection, shape, LAST_DAY + timedelta(days=number))
            made = night.derive(connection, institutions_of(house), f"new-{number}")
            starts = {transform.output.name: one.since for transform, one in zip(night.all_transforms(), made, strict=True)}
            assert all(
                since is None or since > LAST_DAY - timedelta(days=80) for name, since in starts.items() if name != "staging.accounts"
            )
    now, whole = content(house), derived(compute_all(inputs_of(house, shape.institution)))
    assert differences({name: now[name] for name in whole}, whole) == {}


def test_what_is_made_in_stretches_equals_what_is_made_at_once(undisturbed: House, copy: Copy) -> None:
    house = copy(undisturbed)
    before = content(house)
    stretched = [transform for transform in night.all_transforms() if transform.stretch_days is not None]
    assert stretched
    with house.warehouse.open() as connection:
        for transform in stretched:
            connection.execute(f"DELETE FROM {transform.output.name}")
            connection.execute("DELETE FROM meta.consumed WHERE table_name = ?", [transform.output.name])
            engine.run(connection, replace(transform, stretch_days=2), institutions_of(house), "stretches")
    assert differences(before, content(house)) == {}


def test_a_change_that_says_no_more_than_a_later_one_is_forgotten_and_nobody_misses_a_day() -> None:
    with warehouse() as connection:
        consumed = due(connection, COVERAGE, ["t"], "i", 1)
        assert consumed == ({}, -1)
        days = [date(2026, 1, 1) + timedelta(days=step) for step in range(3 * KEPT_MARKS)]
        for day in days:
            mark(connection, "t", "i", day)
        held = connection.execute("SELECT count(*), min(changed_from) FROM meta.change").fetchall()[0]
        assert held[0] <= 2 * KEPT_MARKS
        assert held[1] == days[0]
        mark(connection, "t", "i", days[-2])
        mark(connection, "t", "other", days[-1])
        assert due(connection, COVERAGE, ["t"], "i", 1)[0] == {"t": EARLIEST}
        connection.execute(
            "INSERT INTO meta.consumed SELECT 'meta.coverage', 'i', max(change_id) - 3, 1 FROM meta.change WHERE institution_id = 'i'"
        )
        assert due(connection, COVERAGE, ["t"], "i", 1)[0] == {"t": days[-2]}


# What becomes of a stream in a night: asked and read to its end, cut short, refused, or not asked at all.
OUTCOMES = st.sampled_from(("fetched", "fetched", "fetched", "missing", "not_permitted", "absent"))
NIGHTS = st.lists(
    st.tuples(st.integers(min_value=0, max_value=45), st.fixed_dictionaries(dict.fromkeys(STREAMS, OUTCOMES)), st.booleans()),
    min_size=2,
    max_size=7,
)


@settings(max_examples=10, deadline=None)
@given(nights=NIGHTS)
def test_a_coverage_that_grows_night_by_night_is_that_of_all_nights(nights: list[tuple[int, dict[str, str], bool]]) -> None:
    """Nights lie up to 45 days apart; streams fail, are left out and heal, the second account is listed no more."""
    transform = transforms()[0]
    assert transform.output is COVERAGE
    with warehouse() as connection:
        connection.execute("SET python_enable_replacements=false")
        connection.execute("SET threads=1")
        _refer(connection)
        ensure(connection, FETCH)
        day, until = BEGIN, dict[tuple[str, str], datetime]()
        for number, (gap, outcomes, both) in enumerate(nights):
            day += timedelta(days=gap)
            for account in ("main", "gone") if both else ("main",):
                _ask(connection, number, day, account, outcomes, until)
            engine.run(connection, transform, ["i"], f"night-{number}")
        frames = {source.name: read(connection, source.table, "i") for source in transform.inputs}
        whole = engine.collect(transform, frames)
        assert differences({"coverage": read(connection, COVERAGE, "i").collect().sort(COVERAGE.key)}, {"coverage": whole}) == {}


@cache
def _reference() -> dict[Table, pl.DataFrame]:
    rows = reference_rows(Hand("x/main").institution)
    near = [one for one in rows[reference.LOCAL_DAY] if date(2025, 11, 1) < one["day"] < date(2027, 1, 1)]
    return {
        reference.LOCAL_DAY: frame(reference.LOCAL_DAY, *near),
        **{table: frame(table, *rows[table]) for table in (reference.STREAM, reference.ACCOUNT)},
    }


def _refer(connection: duckdb.DuckDBPyConnection) -> None:
    for table, rows in _reference().items():
        ensure(connection, table)
        with transaction(connection):
            replace_rows(connection, table, "i", rows)


def _ask(  # what a night leaves in the ledger
    connection: duckdb.DuckDBPyConnection,
    number: int,
    day: date,
    account: str,
    outcomes: dict[str, str],
    until: dict[tuple[str, str], datetime],
) -> None:
    at = datetime.combine(day + timedelta(days=1), time(2), ZONE).astimezone(UTC) + timedelta(minutes=number)
    for stream, back in STREAMS.items():
        status = outcomes[stream]
        if status == "absent":
            continue
        last = until.get((account, stream))
        start = at - timedelta(days=back) if stream != "mentions" or last is None else min(at - timedelta(days=back), last)
        if status == "fetched":
            until[account, stream] = at
        row = frame(FETCH, {
            "platform": "x", "account_id": account, "stream": stream, "run_id": f"night-{number}", "window_start": start, "window_end": at,
            "requested_at": at, "observed_at": at, "day": day, "is_complete": status == "fetched", "is_last": True, "ledger_status": status,
            "reason": None if status == "fetched" else f"reason {number}",
        })  # fmt: skip
        with transaction(connection):
            connection.register("row", row)
            connection.execute(f"INSERT INTO {FETCH.name} BY NAME FROM row")
            connection.unregister("row")
            mark(connection, FETCH.name, "i", day)
