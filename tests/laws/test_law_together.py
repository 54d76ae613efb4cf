"""Laws 1 and 5: several nights landed together are what they would be one by one, to the row, the ledger, the mark, the stamp and the file.

Not here: that a rerun changes nothing (test_law_same_again.py).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from assets import ledgers, raw
from pipelines import together
from pipelines.house import House
from pipelines.tables import Table
from pipelines.warehouse import CHANGE
from sandbox.facts import FIRST_PLATFORMS, PLATFORMS, Platform
from sandbox.server import Running
from tests.laws.conftest import MISSED
from tests.laws.test_law_same_again import all_stamps
from tests.support.content import content, differences, raw_tables
from tests.support.landing import arrive, warehouse
from tests.support.nights import derive, instant, institutions_of, landing_files, make_home, play, put_clock

NIGHTS = [number for number in range(14) if number != MISSED]


def told(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that are there, all columns: who wrote it and when among them."""
    there = {name for (name,) in connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()}
    return {table.name: connection.execute(f"FROM {table.name} ORDER BY ALL").fetchall() for table in tables if table.name in there}


def marks(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """The notes of changes, each table's in their order; their numbers tell only that."""
    return connection.execute(
        f"SELECT table_name, institution_id, list(changed_from ORDER BY change_id) FROM {CHANGE.name} GROUP BY ALL ORDER BY ALL"
    ).fetchall()


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """All that a landing writes into the warehouse. Which of two accounts pays for a record that both read is chance: their sum counts."""
    tables = [table for table in (*raw_tables(), *ledgers.LEDGERS) if table is not ledgers.SPENDING]
    spent = connection.execute(
        "SELECT institution_id, stream, run_id, requested_at, sum(requests), sum(cost_usd) FROM meta.spending GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return told(connection, tables) | {"spent": spent, "marks": marks(connection)}


def files_of(house: House) -> dict[str, bytes]:
    """The files of landing/, less what each account paid."""
    return {name: re.sub(rb'"cost_usd": "[0-9.]+",?', b"", found) for name, found in landing_files(house).items()}


def one_by_one(sandbox: Running, home: Path, numbers: Sequence[int]) -> House:
    house = make_home(home, sandbox.url, platforms=PLATFORMS)
    for number in numbers:
        play(house, sandbox, instant(number), f"night-{number:03}")
    return house


def all_together(
    sandbox: Running, home: Path, nights: Sequence[tuple[str, datetime]], platforms: Sequence[Platform]
) -> tuple[House, list[int]]:
    """Returns also how many nights were landed at a time."""
    house = make_home(home, sandbox.url, platforms=platforms)

    def turn(at: datetime) -> None:
        put_clock(house, at)
        sandbox.set_now(at)

    counts: list[int] = []
    while sum(counts) < len(nights):
        counts.append(together.fetch_and_land(house, institutions_of(house), nights[sum(counts) :], turn))
    return house, counts


@pytest.mark.slow
def test_nights_landed_together_equal_nights_landed_one_by_one(sandbox: Running, tmp_path: Path) -> None:
    apart = one_by_one(sandbox, tmp_path / "apart", NIGHTS)
    house, counts = all_together(sandbox, tmp_path / "together", [(f"night-{number:03}", instant(number)) for number in NIGHTS], PLATFORMS)
    assert max(counts) >= 10
    with apart.warehouse.open() as one, house.warehouse.open() as other:
        assert everything(other) == everything(one)
    assert files_of(house) == files_of(apart)
    for each in (apart, house):
        derive(each, "derived")
    assert differences(content(house), content(apart)) == {}
    assert all_stamps(house) == all_stamps(apart)


@pytest.mark.slow
def test_a_night_that_depends_on_the_one_before_waits_for_its_landing(sandbox: Running, tmp_path: Path) -> None:
    """Twice on one day, after a platform that was down, and after more nights than a lookback holds: then the ledger is asked."""
    refusal = {"path": "^/x/2/users/2200000000000000001/mentions", "kind": "status", "status": 403, "times": 1}
    sandbox.faults([refusal])
    instants = [instant(0), instant(1), instant(1) + timedelta(hours=4), instant(2), instant(3), instant(20)]
    house, counts = all_together(sandbox, tmp_path / "together", [(f"night-{at}", one) for at, one in enumerate(instants)], FIRST_PLATFORMS)
    sandbox.faults([refusal])
    apart = make_home(tmp_path / "apart", sandbox.url)
    for at, one in enumerate(instants):
        play(apart, sandbox, one, f"night-{at}")
    assert counts == [1, 1, 1, 2, 1]
    with apart.warehouse.open() as left, house.warehouse.open() as right:
        assert everything(right) == everything(left)
    assert files_of(house) == files_of(apart)


def arrivals(seed: int) -> list[dict[str, object]]:
    """Runs as they could come: nights and reruns of a day, records twice in a run, changed and changed back, without key or time."""
    chance = random.Random(seed)
    begun = datetime(2026, 1, 10, 19, tzinfo=UTC)
    found: list[dict[str, object]] = []
    for run in range(chance.randint(2, 7)):
        begun += timedelta(hours=chance.choice((2, 5, 9, 24, 24, 48)))
        for window in range(chance.randint(1, 2)):
            found += [
                {
                    "platform": platform,
                    "stream": stream,
                    "observed_at": begun + timedelta(minutes=window),
                    "run_id": f"{chance.randint(0, 9)}-{run}",
                    "records": [record(chance, stream) for _ in range(chance.randint(0, 6))],
                    "account": chance.choice(("main", "other")),
                    "reason": chance.choice((None, None, None, "it broke off")),
                }
                for platform, stream in (("x", "posts"), ("x", "mentions"), ("mastodon", "accounts"))
            ]
        # One run has one name.
        for one in found[-6:]:
            one["run_id"] = f"{(run * 7) % 5}-{run}"
    return found


def record(chance: random.Random, stream: str) -> Mapping[str, object]:
    day = chance.randint(8, 10)
    key = {} if chance.random() < 0.05 else {"id": str(chance.randint(1, 4))}
    made = "never" if chance.random() < 0.05 else f"2026-01-{day:02}T05:00:00Z"
    return key | {"created_at": made, "text": chance.choice("ab"), "stream": stream}


def landed(folder: Path, runs: Sequence[dict[str, object]], *, is_together: bool) -> tuple[object, dict[str, bytes]]:
    """What the warehouse and landing/ hold after all runs."""
    with warehouse() as connection:
        if is_together:
            for one in runs:
                arrive(folder, **one)  # type: ignore[arg-type]
            raw.land(connection, folder, None)
        else:
            for run_id in dict.fromkeys(one["run_id"] for one in runs):
                for one in runs:
                    if one["run_id"] == run_id:
                        arrive(folder, **one)  # type: ignore[arg-type]
                raw.land(connection, folder, None)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        return everything(connection), files


@pytest.mark.parametrize("seed", range(12))
def test_runs_of_any_kind_landed_together_equal_one_after_another(tmp_path: Path, seed: int) -> None:
    runs = arrivals(seed)
    assert landed(tmp_path / "together", runs, is_together=True) == landed(tmp_path / "apart", runs, is_together=False)
