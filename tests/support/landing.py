"""Files as a fetch leaves them under landing/incoming/, written by hand, so that landing can be tested without a platform.

Not here: fetching (the sandbox does that in nights.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from assets import ledgers
from connectors.registry import platforms
from pipelines.warehouse import Warehouse


def arrive(
    landing: Path,
    platform: str,
    stream: str,
    observed_at: datetime,
    records: Sequence[Mapping[str, object]],
    *,
    run_id: str | None = None,
    account: str = "main",
    institution: str = "i",
    zone: str = "Asia/Jakarta",
    back: timedelta = timedelta(days=30),
    reason: str | None = None,
    status: str = "fetched",
) -> None:
    """One window of a stream as it comes from the door; with a `reason` it did not come whole."""
    run = run_id or f"run-{observed_at:%Y%m%dT%H%M%S}"
    folder = landing / "incoming" / run
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.json")))
    stem = folder / f"{platform}__{stream}__{number:04}_00"
    told = {"requested_at": observed_at.isoformat(), "observed_at": observed_at.isoformat()}
    stem.with_suffix(".ndjson").write_text(
        "".join(json.dumps(told | {"payload": dict(record)}) + "\n" for record in records), encoding="utf-8"
    )
    manifest: dict[str, Any] = {
        "institution_id": institution, "platform": platform, "account_id": account, "stream": stream, "zone": zone, "run_id": run,
        "is_last": True, "is_complete": reason is None, "ledger_status": status, "reason": reason, "records": len(records), "rejected": 0,
        "pages": 1, "denied_fields": [], "window_start": (observed_at - back).isoformat(), "window_end": observed_at.isoformat(), **told,
    }  # fmt: skip
    stem.with_suffix(".json").write_text(json.dumps(manifest), encoding="utf-8")


@contextmanager
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET python_enable_replacements=false")
        Warehouse(Path(":memory:"))._prepare(connection)
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, platform: str, stream: str) -> pl.DataFrame:
    """A raw table in the columns that make up its content, ordered by key."""
    table = ledgers.raw_table(platforms()[platform], platforms()[platform].stream(stream))
    found: pl.DataFrame = connection.sql(f"SELECT {', '.join(table.stamped)} FROM {table.name}").pl()
    return found.sort(table.key)
