"""A derived home whose tables somebody approved without judging them: what the laws about publishing start from.

Not here: the audit (tests/checks) and whole nights through Dagster (played.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from assets.publish import Published, audited, publish
from checks.gate import CHECK_RESULT
from pipelines import stamps
from pipelines.night import RUN
from pipelines.warehouse import ensure
from pipelines.wiring import companions
from tests.support.nights import INSTITUTION

NOW = datetime(2026, 1, 12, tzinfo=UTC)


def approve(connection: duckdb.DuckDBPyConnection) -> None:
    """Approve every table as it stands."""
    for table in audited().values():
        stamps.approve(connection, table, INSTITUTION, NOW, "approved")


def publish_approved(connection: duckdb.DuckDBPyConnection, folder: Path) -> Published:
    """Approve everything and publish it into `folder`."""
    for table in (*audited().values(), RUN, CHECK_RESULT):
        ensure(connection, table)
    approve(connection)
    return publish(connection, folder, INSTITUTION, NOW, companions())


def shown(path: Path) -> tuple[dict[str, pl.DataFrame], list[tuple[str, ...]]]:
    """All rows of a published file by table, in one order, and its columns with types and comments."""
    with duckdb.connect(str(path), read_only=True) as reader:
        reader.execute("SET TimeZone='UTC'")
        names = reader.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        rows = {name: reader.sql(f"FROM {name} ORDER BY ALL").pl() for (name,) in names}
        described = reader.execute(
            "SELECT schema_name, table_name, '', '', comment FROM duckdb_tables() UNION ALL "
            "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
    return rows, described
