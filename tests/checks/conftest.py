"""A warehouse of two small institutions, written by hand and true to every promise.

Not here: sabotage, and what the gate makes of it (test_promises.py, test_gate.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets import reference
from assets.goals.tables import SCORECARD, goal_tables
from assets.indicators import family_tables
from assets.indicators.by_post import POST_MEASURES
from assets.staging import things
from pipelines.tables import Table
from pipelines.warehouse import Warehouse, ensure, replace, transaction
from tests.support.hand import STREAMS, Hand, at, span

NOW = datetime(2026, 2, 8, 19, 5, tzinfo=UTC)
LAST_DAY = "2026-02-08"
INSTITUTIONS = ("alfa", "beta")
JUDGED = (
    things.POSTS,
    things.POST_DAYS,
    things.ACCOUNT_DAYS,
    things.COVERAGE,
    POST_MEASURES,
    *family_tables().values(),
    goal_tables()["community_engagement"],
    goal_tables()["fundraising"],
    SCORECARD,
)
TABLES = {table.name: table for table in JUDGED}


def _institution() -> Hand:
    """Nineteen nights over the turn of a month, one lost; two platforms; five posts on X, of which one answers another."""
    hand = Hand("x/main", "mastodon/cahaya")
    days = span("2026-01-21", LAST_DAY)
    hand.night(*(day for day in days if day != "2026-01-28"))
    for account, start in (("x/main", 1000), ("mastodon/cahaya", 200)):
        hand.followers(account, {day: start + 3 * number for number, day in enumerate(days) if day != "2026-01-28"})
    for number, created in enumerate(("2026-01-22", "2026-01-24", "2026-01-26", "2026-01-30", "2026-02-02"), 1):
        hand.post(
            "x/main",
            f"p{number}",
            at(created),
            text="Terima kasih, salam dari @main",
            **({"root_id": "p1", "post_type": "thread_part"} if number == 2 else {}),
        )
        seen = [day for day in days if day >= created and day != "2026-01-28"]
        hand.seen(f"p{number}", {day: {"reactions": 20 * age, "shares": age, "impressions": 100 * age} for age, day in enumerate(seen, 1)})
    hand.post("mastodon/cahaya", "m1", at("2026-01-23"), text="Salam")
    hand.seen("m1", {day: 5 for day in days if day >= "2026-01-23" and day != "2026-01-28"})
    hand.comment("p3", at("2026-01-27"), "c1")
    hand.mention("mastodon/cahaya", at("2026-02-03"), "n1")
    return hand


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with both institutions, nothing approved yet."""
    path = tmp_path_factory.mktemp("checks") / "warehouse.duckdb"
    hand = _institution()
    written: tuple[Table, ...] = (*JUDGED, *reference.REFERENCE, things.POST_SNAPSHOTS)
    with Warehouse(path).open() as connection:
        for table in written:
            ensure(connection, table)
            rows = hand.make(table)
            if table is reference.STREAM:
                rows = rows.filter(pl.col("stream").is_in(STREAMS))
            for name in INSTITUTIONS:
                with transaction(connection):
                    replace(connection, table, name, rows.with_columns(institution_id=pl.lit(name)))
    return path


@pytest.fixture
def warehouse(made_file: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the file, open."""
    shutil.copy(made_file, tmp_path / "warehouse.duckdb")
    with Warehouse(tmp_path / "warehouse.duckdb").open() as connection:
        yield connection
