"""Nothing unapproved is published, from whichever door; a night with nothing new leaves everything as it was; readers keep reading.

Here the demo plays some nights through Dagster, as a real run does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets.publish import audited, products, publish
from pipelines import demo, night
from pipelines.house import House
from pipelines.runner import run_job
from pipelines.warehouse import transaction
from pipelines.wiring import PUBLISH_KEY, companions
from sandbox.facts import PLATFORMS
from tests.support.played import NIGHTS, PlayedHome, play

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> PlayedHome:
    """Played once, and not changed by any test."""
    return play(tmp_path_factory.mktemp("played") / "home")


@pytest.fixture
def played(once: PlayedHome, tmp_path: Path) -> Iterator[PlayedHome]:
    """A copy of it for a test to spoil."""
    home = tmp_path / "home"
    shutil.copytree(once.home, home)
    told = once.told
    yield PlayedHome(home, told, once.port)
    shutil.rmtree(home)


def published_file(home: Path) -> Path:
    return home / "published" / demo.INSTITUTION / "latest" / "tolok.duckdb"


def sabotage(house: House, statement: str = "UPDATE goals.goal_fundraising SET mentions = mentions + 1 WHERE mentions IS NOT NULL") -> None:
    """Change a table behind the audit's back."""
    with house.warehouse.open() as connection:
        connection.execute(statement)


def test_the_demo_publishes_and_all_its_checks_pass(once: PlayedHome) -> None:
    for outcome in once.told.outcomes:
        assert outcome.is_success, outcome.failures
        assert not outcome.checks_failed
        assert outcome.published == {demo.INSTITUTION: "published"}
    assert once.told.nights == NIGHTS


def test_a_sabotaged_table_is_refused_when_publish_is_called(played: PlayedHome) -> None:
    before = published_file(played.home).read_bytes()
    sabotage(played.house)
    with played.house.warehouse.open() as connection:
        outcome = publish(connection, played.house.published_path, demo.INSTITUTION, NOW, companions())
    assert outcome.is_refused
    assert {stamp.table_name for stamp in outcome.refused} == {"goals.goal_fundraising"}
    assert published_file(played.home).read_bytes() == before


def test_a_sabotaged_table_is_refused_when_publish_alone_is_selected_in_dagster(played: PlayedHome) -> None:
    before = published_file(played.home).read_bytes()
    sabotage(played.house)
    outcome = run_job(played.house, selection=[PUBLISH_KEY])
    assert not outcome.is_success
    assert "no institution's tables are approved" in next(iter(outcome.failures.values()))
    assert published_file(played.home).read_bytes() == before


def test_a_sabotaged_table_is_refused_at_the_command_line(played: PlayedHome) -> None:
    before = published_file(played.home).read_bytes()
    sabotage(played.house)
    command = [sys.executable, "-c", "from pipelines.cli import app; app()", "publish", "--home", str(played.home)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "Nothing was published" in told.stderr
    assert published_file(played.home).read_bytes() == before


def test_a_refused_institutions_last_file_stands_marked_stale_and_is_fresh_again_after_mending(played: PlayedHome) -> None:
    status = published_file(played.home).with_name("status.json")
    sabotage(played.house, "UPDATE goals.goal_scorecard SET n = n + 1")
    with played.house.warehouse.open() as connection:
        publish(connection, played.house.published_path, demo.INSTITUTION, NOW)
    told = json.loads(status.read_text(encoding="utf-8"))
    assert told["is_stale"] is True
    assert told["refused"] == ["goals.goal_scorecard"]
    sabotage(played.house, "UPDATE goals.goal_scorecard SET n = n - 1")
    with played.house.warehouse.open() as connection:
        outcome = publish(connection, played.house.published_path, demo.INSTITUTION, NOW)
    assert outcome.outcome == "unchanged"
    assert json.loads(status.read_text(encoding="utf-8"))["is_stale"] is False


def test_rows_that_vanish_are_noticed_too(played: PlayedHome) -> None:
    sabotage(played.house, "DELETE FROM staging.account_days")
    with played.house.warehouse.open() as connection:
        assert publish(connection, played.house.published_path, demo.INSTITUTION, NOW).is_refused


def test_each_source_of_a_published_table_must_be_approved(played: PlayedHome) -> None:
    with played.house.warehouse.open() as connection:
        for name in audited():
            with transaction(connection):
                connection.execute("CREATE OR REPLACE TEMP TABLE kept AS FROM meta.stamp WHERE table_name = ?", [name])
                connection.execute("DELETE FROM meta.stamp WHERE table_name = ?", [name])
            found = publish(connection, played.house.published_path, demo.INSTITUTION, NOW)
            assert found.is_refused, name
            connection.execute("INSERT INTO meta.stamp FROM kept")
        assert publish(connection, played.house.published_path, demo.INSTITUTION, NOW).outcome == "unchanged"


def test_a_second_demo_says_that_nothing_was_new_and_leaves_even_the_inode(played: PlayedHome) -> None:
    again = demo.play(played.home, count=NIGHTS)
    assert again.is_unchanged
    assert again.nights == 1
    assert (again.rows_new, again.rows_changed) == (0, 0)
    assert again.outcomes[-1].is_success, again.outcomes[-1].failures
    assert again.outcomes[-1].published == {demo.INSTITUTION: "unchanged"}


def test_a_reader_who_holds_the_file_keeps_reading_the_old_one(played: PlayedHome) -> None:
    with duckdb.connect(str(published_file(played.home)), read_only=True) as reader:
        before = reader.execute("SELECT count(*), max(period_end) FROM mart.indicator_values").fetchall()
        inode = published_file(played.home).stat().st_ino
        told = demo.play(played.home, count=NIGHTS + 1)
        assert told.outcomes[-1].published == {demo.INSTITUTION: "published"}
        assert reader.execute("SELECT count(*), max(period_end) FROM mart.indicator_values").fetchall() == before
    assert published_file(played.home).stat().st_ino != inode
    with duckdb.connect(str(published_file(played.home)), read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM mart.indicator_values").fetchall() > [(before[0][0],)]


def test_every_published_table_and_column_carries_its_comment(once: PlayedHome) -> None:
    with duckdb.connect(str(published_file(once.home)), read_only=True) as reader:
        bare = reader.execute(
            "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL UNION ALL "
            "SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
        ).fetchall()
        tables = {f"{schema}.{name}" for schema, name in reader.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()}
    assert bare == []
    assert tables >= {product.table.name for product in products()} | {"meta.run", "meta.check_result", "meta.data_dictionary"}


def test_published_keys_are_unique(once: PlayedHome) -> None:
    with duckdb.connect(str(published_file(once.home)), read_only=True) as reader:
        for product in products():
            keys = ", ".join(product.table.key)
            twice = reader.execute(f"SELECT {keys} FROM {product.table.name} GROUP BY ALL HAVING count(*) > 1 LIMIT 1").fetchall()
            assert twice == [], product.table.name


def test_the_published_file_opens_with_a_duckdb_of_years_ago(once: PlayedHome) -> None:
    older = ROOT / ".venv-duckdb14" / "bin" / "python"
    if not older.exists():
        pytest.skip("there is no .venv-duckdb14 (make test sets it up)")
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(duckdb.__version__, c.execute('SELECT count(*) FROM mart.goal_fundraising').fetchone()[0], "
        "c.execute(\"SELECT count(comment) FROM duckdb_columns() WHERE table_name = 'goal_fundraising'\").fetchone()[0])"
    )
    told = subprocess.run(
        [str(older), "-c", script, str(published_file(once.home))], capture_output=True, text=True, check=True
    ).stdout.split()
    assert told[0].startswith("1.4")
    assert int(told[1]) > 0
    assert int(told[2]) > 50


def test_the_scorecard_is_there_as_a_workbook_with_the_same_figures(once: PlayedHome) -> None:
    path = published_file(once.home)
    with duckdb.connect(str(path), read_only=True) as reader:
        card = reader.sql("FROM mart.latest_scorecard").pl()
    book = pl.read_excel(path.with_name("scorecard.xlsx"), sheet_name="latest")
    assert book.height > 0
    on = ["goal_key", "indicator_key", "period_type"]
    both = book.select(*on, value_in_book="value").join(card.select(*on, "value"), on=on)
    assert both.height == book.height
    known = both.filter(pl.col("value").is_not_null())
    assert known.height > 0
    assert known.select((pl.col("value_in_book").cast(pl.Float64) - pl.col("value")).abs().max()).item() < 1e-9
    assert both.filter(pl.col("value").is_null() & pl.col("value_in_book").is_not_null()).is_empty()


def test_the_checksums_are_those_of_the_files(once: PlayedHome) -> None:
    folder = published_file(once.home).parent
    told = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_published_file_is_kept_per_run_without_a_second_copy_of_its_bytes(once: PlayedHome) -> None:
    kept = sorted((once.home / "published" / demo.INSTITUTION / "runs").iterdir())
    assert [folder.name for folder in kept] == ["2026-01-08", "2026-01-09"]
    assert (kept[-1] / "tolok.duckdb").samefile(published_file(once.home))


def test_the_first_published_value_of_a_complete_period_is_remembered(once: PlayedHome) -> None:
    with duckdb.connect(str(published_file(once.home)), read_only=True) as reader:
        wrong = reader.execute(
            "SELECT count(*) FROM mart.indicator_values WHERE is_complete_period AND status = 'ok' AND first_published_value IS NULL"
        ).fetchall()
        early = reader.execute("SELECT count(first_published_value) FROM mart.indicator_values WHERE NOT is_complete_period").fetchall()
    assert wrong == [(0,)]
    assert early == [(0,)]


def test_the_columns_of_the_published_tables_are_the_frozen_ones() -> None:
    frozen = json.loads((ROOT / "tests" / "laws" / "frozen_columns.json").read_text(encoding="utf-8"))
    now = {product.table.name: [f"{column.name} {column.type}" for column in product.table.columns] for product in products()}
    assert now == frozen, "The published schema changed: raise SCHEMA_VERSION, enter the change into the changelog, then freeze anew."


def test_one_platform_down_is_published_with_its_gap_and_healed_by_fetching_it_alone(played: PlayedHome) -> None:
    running, house = demo.open_sandbox(played.home)
    with running:
        instant = demo.nights()[NIGHTS]
        demo._turn(house, running, instant)
        running.faults([{"path": "/x/", "kind": "status", "status": 503, "times": None}])
        outcome = run_job(house)
        assert not outcome.is_success
        assert "x/2200000000000000001 posts is expected" in outcome.failures["publish__closing"]
        assert outcome.published == {demo.INSTITUTION: "published"}
        with duckdb.connect(str(published_file(played.home)), read_only=True) as reader:
            there = (
                "SELECT platform, status FROM mart.indicator_values WHERE indicator_key = 'reactions' AND population_id = 'all' "
                "AND level = 'platform' AND period_type = 'day' AND period_start = '2026-01-10' ORDER BY 1"
            )
            assert reader.execute(there).fetchall() == [(name, "missing_input" if name == "x" else "ok") for name in sorted(PLATFORMS)]
            assert reader.execute("SELECT DISTINCT status FROM meta.coverage WHERE platform = 'x' AND day = '2026-01-10'").fetchall() == [
                ("expected",)
            ]
        running.faults([])
        with house.warehouse.open():
            pass
        healed = night.fetch_and_land(house, house.institutions()[0], "heal", lambda connector, _: connector.platform == "x")
        assert not healed.gaps
        outcome = run_job(house)
        assert outcome.is_success, outcome.failures
        with duckdb.connect(str(published_file(played.home)), read_only=True) as reader:
            assert reader.execute(there).fetchall() == [(name, "ok") for name in sorted(PLATFORMS)]
