"""Landing's files without the person, and the ledger that counts what they hold.

Not here: how one file is cleaned (assets/forget.py).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import duckdb
import polars as pl

from assets import forget
from assets.ledgers import FETCH
from pipelines.erase.items import manifests
from pipelines.erase.marks import Marks
from pipelines.warehouse import ensure


def clean_landing(connection: duckdb.DuckDBPyConnection, landing: Path, platform: str, marks: Marks, counts: Counter[str]) -> None:
    """Clean every file of the platform, and enter in the ledger how many records are left."""
    for manifest in manifests(landing, platform):
        counts["landing"] += forget.clean_file(manifest, marks.__contains__, marks.may_hold)
    # Lines without a manifest are a dead run's, and never read: their bytes are the person's all the same.
    for path in landing.glob(f"incoming/*/{platform}__*.ndjson*"):
        if not (path.parent / f"{path.name.split('.')[0]}.json").exists() and marks.may_hold(path.read_text(errors="replace")):
            path.unlink()
            counts["landing"] += 1
    ensure(connection, FETCH)
    by = ("institution_id", "platform", "account_id", "stream", "run_id", "window_start")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in manifests(landing, platform)]
    if told:
        # The ledger counts what landing holds, so that it can be made again from there.
        connection.register("told", pl.DataFrame([{name: one[name] for name in (*by, "window_end", "records")} for one in told]))
        same = " AND ".join(f"f.{name} = t.{name}" for name in by if name != "window_start")
        connection.execute(
            f"UPDATE {FETCH.name} AS f SET records = t.records FROM told AS t WHERE {same} AND f.records > t.records "
            "AND f.window_start = t.window_start::TIMESTAMPTZ AND f.window_end = t.window_end::TIMESTAMPTZ"
        )
        connection.unregister("told")
