"""What publishing costs: the first time, after one new day, with nothing new; with a short and a long history behind it.

    .venv/bin/python bench/publish.py                       # 30 and 300 days; 1 M and 10 M rows of staging.post_days
    .venv/bin/python bench/publish.py --before ../older     # the same with the code of another checkout beside it
    .venv/bin/python bench/publish.py --growth 200          # how the file grows when its newest month is replaced again and again

Rows are made up and written straight into the warehouse, as many a day as the sandbox's institution has. Measured is the end of a night
without Great Expectations: the stamps are asked for by the audit, by its checks and by the closing step, and publish runs in between, each
with the warehouse opened anew. CPU seconds of the process, all threads. Everything lies in a temporary folder that is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

ROOT = Path(__file__).parents[1]
INSTITUTION = "bench"
NOW = datetime(2026, 1, 12, tzinfo=UTC)
LAST_DAY = date(2026, 1, 11)
LIFE_DAYS = 30
FIRST = 299
# Rows a day as the sandbox's institution has them; tables that are not named here have 20 a day, or 30 in all.
ROWS_A_DAY = {
    "staging.post_days": 150,
    "staging.posts": 6,
    "indicators.post_measures": 5,
    "indicators.content_leaderboard": 4,
    "staging.account_days": 4,
    "meta.coverage": 16,
    "staging.mention_hours": 48,
    "indicators.audience": 120,
    "indicators.engagement": 360,
    "indicators.conversation": 160,
    "indicators.site": 90,
    "goals.goal_scorecard": 90,
}
CASES = ((30, 0), (300, 0), (300, 1_000_000), (300, 10_000_000))


def columns(table: object, day: str) -> str:
    """Made-up values: keys that differ, measures that look like counts."""
    made = []
    for column in table.columns:  # type: ignore[attr-defined]
        kinds = {
            "BIGINT": "hash(i, d) % 500",
            "INTEGER": "1",
            "DOUBLE": "(hash(i, d) % 1000) / 8.0",
            "BOOLEAN": "hash(i, d) % 7 > 0",
            "DATE": day,
            "TIMESTAMPTZ": f"{day}::TIMESTAMPTZ + INTERVAL 1 HOUR * (i % 24)",
            "VARCHAR[]": "['zakat', 'infak']",
            "VARCHAR": "'k' || i" if column.name in table.key else "CASE WHEN hash(i, d) % 5 = 0 THEN 'missing_input' ELSE 'ok' END",  # type: ignore[attr-defined]
        }
        value = kinds[column.type]
        if column.name == "institution_id":
            value = f"'{INSTITUTION}'"
        elif column.name == "period_type":
            value = "CASE WHEN d % 7 = 0 AND i % 4 = 0 THEN 'week' ELSE 'trailing_28d' END"
        elif column.name == "platform":
            value = "CASE WHEN i % 2 = 0 THEN 'x' ELSE 'mastodon' END"
        elif column.name == "account_id":
            value = "(1000000 + i % 4)::VARCHAR"
        elif column.name == "post_id":
            # A post has rows for as many days as it lives, where the table has rows for days.
            value = f"(110000000000000000 + i * 1000 + d // {LIFE_DAYS if table.name == 'staging.post_days' else 1})::VARCHAR"  # type: ignore[attr-defined]
        made.append(f"({value})::{column.type} AS {column.name}")
    return ", ".join(made)


def fill(connection: duckdb.DuckDBPyConnection, first_day: int, days: int, post_days_a_day: int) -> None:
    """Rows of `days` days from `first_day` on, counted from the beginning; on the first the tables without days too."""
    from assets.publish import audited  # noqa: PLC0415 of the checkout that is measured
    from pipelines.warehouse import ensure  # noqa: PLC0415

    for name, table in audited().items():
        ensure(connection, table)
        rows = post_days_a_day if name == "staging.post_days" and post_days_a_day else ROWS_A_DAY.get(name, 20)
        if table.day:
            day = f"(DATE '{LAST_DAY}' - {FIRST} + d::INTEGER)"
            source = f"range({first_day}, {first_day + days}) AS days(d), range({rows}) AS numbers(i)"
        elif first_day == 0:
            day, source = f"DATE '{LAST_DAY}'", "range(30) AS numbers(i), range(1) AS days(d)"
        else:
            continue
        connection.execute(f"INSERT INTO {name} SELECT {columns(table, day)} FROM {source}")


@contextmanager
def measured(told: dict[str, list[float]], name: str) -> Iterator[None]:
    """Adds wall and CPU seconds under a name."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    told[name] = [round(time.perf_counter() - wall, 2), round(time.process_time() - cpu, 2)]


def end_of_night(home: Path, told: dict[str, list[float]], step: str) -> None:
    """Audit without judging, checks, publish, closing."""
    from assets.publish import audited, publish  # noqa: PLC0415
    from pipelines import stamps  # noqa: PLC0415
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    warehouse = Warehouse(home / "warehouse.duckdb")
    seen: tuple[Any, ...] = (stamps.Seen(),) if hasattr(stamps, "Seen") else ()
    opened: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]] = (
        (lambda: stamps.session(warehouse, *seen)) if seen else warehouse.open
    )
    with measured(told, f"{step}: audit"), opened() as connection:
        for table in audited().values():
            if stamps.unapproved(connection, [table], INSTITUTION, *seen):
                stamps.approve(connection, table, INSTITUTION, NOW, "bench", *seen)
    with measured(told, f"{step}: checks"), opened() as connection:
        assert not stamps.unapproved(connection, audited().values(), INSTITUTION, *seen)  # noqa: S101
    with measured(told, f"{step}: publish"), opened() as connection:
        publish(connection, home / "published", INSTITUTION, NOW, (), *seen)
    with measured(told, f"{step}: closing"), opened() as connection:
        assert not stamps.unapproved(connection, audited().values(), INSTITUTION, *seen)  # noqa: S101


def nights(home: Path, days: int, post_days: int) -> None:
    """One case in a process of its own; the figures go to standard output."""
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    told: dict[str, list[float]] = {}
    warehouse = Warehouse(home / "warehouse.duckdb")
    a_day = post_days // days
    with warehouse.open() as connection:
        fill(connection, 0, days - 1, a_day)
    end_of_night(home, told, "first")
    with warehouse.open() as connection:
        fill(connection, days - 1, 1, a_day)
    end_of_night(home, told, "one new day")
    end_of_night(home, told, "nothing new")
    latest = home / "published" / INSTITUTION / "latest"
    told["MB of the file; of Parquet"] = [
        round((latest / "tolok.duckdb").stat().st_size / 1e6, 1),
        round(sum(path.stat().st_size for path in latest.rglob("*.parquet")) / 1e6, 1),
    ]
    print(json.dumps(told))  # noqa: T201


def growth(home: Path, times: int) -> None:
    """Publish again and again, each time with a newest month of which other rows changed."""
    from assets import draft  # noqa: PLC0415
    from assets.publish import audited, publish  # noqa: PLC0415
    from pipelines import stamps  # noqa: PLC0415
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    whole, sizes = 0, []
    real = draft.build_whole

    def counted(*arguments: Any) -> None:  # noqa: ANN401 handed on
        nonlocal whole
        whole += 1
        real(*arguments)

    setattr(draft, "build_whole", counted)  # noqa: B010 patched for the count
    warehouse = Warehouse(home / "warehouse.duckdb")
    with warehouse.open() as connection:
        fill(connection, 0, 300, 3_000)
        connection.execute("CREATE TEMP TABLE last AS SELECT max(day) - 40 AS day FROM staging.post_days")
        for number in range(times):
            connection.execute(
                "UPDATE staging.post_days SET reactions = reactions + 1 "
                f"WHERE day > (SELECT day FROM last) AND hash(post_id, {number}) % 3 = 0"
            )
            connection.execute(f"UPDATE indicators.engagement SET value = value + 1 WHERE hash(indicator_key, {number}) % 50 = 0")
            for table in audited().values():
                stamps.approve(connection, table, INSTITUTION, NOW, "bench")
            publish(connection, home / "published", INSTITUTION, NOW)
            sizes.append((home / "published" / INSTITUTION / "latest" / "tolok.duckdb").stat().st_size / 1e6)
        publish(connection, home / "whole", INSTITUTION, NOW)
    fresh = (home / "whole" / INSTITUTION / "latest" / "tolok.duckdb").stat().st_size / 1e6
    print(  # noqa: T201
        f"{times} publishes: {sizes[0]:.1f} MB at first, {max(sizes):.1f} MB at most, {sizes[-1]:.1f} MB at last; "
        f"built whole now: {fresh:.1f} MB; built whole {whole - 1} times on the way, the first one included"
    )


def main() -> None:
    """Run the cases, each with the code of each checkout, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout to measure in the same run")
    parser.add_argument("--growth", type=int, default=0, help="publish so often, and tell the file's size")
    parser.add_argument("--most", type=int, default=10_000_000, help="leave out cases with more rows of post_days")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        nights(Path(asked.child[0]), int(asked.child[1]), int(asked.child[2]))
        return
    if asked.growth:
        with tempfile.TemporaryDirectory() as folder:
            growth(Path(folder), asked.growth)
        return
    versions = f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, Polars {pl.__version__}"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {versions}")  # noqa: T201
    checkouts = {"before": asked.before.resolve()} if asked.before else {}
    checkouts["now"] = ROOT
    for days, post_days in CASES:
        if post_days > asked.most:
            continue
        found: dict[str, dict[str, list[float]]] = {}
        for name, checkout in checkouts.items():
            home = Path(tempfile.mkdtemp())
            command = [sys.executable, __file__, "--child", str(home), str(days), str(post_days)]
            environ = {**os.environ, "PYTHONPATH": str(checkout)}
            told = subprocess.run(command, env=environ, cwd=checkout, capture_output=True, text=True, check=True)  # noqa: S603 ourselves
            found[name] = json.loads(told.stdout.splitlines()[-1])
            shutil.rmtree(home)
        print(f"\n{days} days, {post_days or days * ROWS_A_DAY['staging.post_days']:,} rows of post_days: seconds (wall, CPU)")  # noqa: T201
        for step in found["now"]:
            print("  ".join([f"{step:28}", *(f"{name} {one[step][0]:8.2f} {one[step][1]:8.2f}" for name, one in found.items())]))  # noqa: T201


if __name__ == "__main__":
    main()
