"""What the warehouse tells the doctor: its layout, its last night, what is open and what was spent.

Not here: when it may be asked (patient.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from pipelines import night
from pipelines.warehouse import first


@dataclass(frozen=True)
class Warehouse:
    """What the warehouse told, or why it was not asked."""

    state: str
    layout: int | None = None
    last: tuple[datetime, datetime | None, str, int | None] | None = None
    newest: datetime | None = None
    gaps: tuple[tuple[str, ...], ...] = ()
    # Institution, platform, instant of asking, requests, dollars: what was used in the last two days.
    spent: tuple[tuple[str, str, datetime, int, Decimal], ...] = ()


def asked(connection: duckdb.DuckDBPyConnection, institution_ids: list[str]) -> Warehouse:
    """All that the checks need of an open warehouse; nothing where a table is not there yet."""

    def one(query: str) -> tuple[Any, ...] | None:
        try:
            return first(connection, query)
        except duckdb.CatalogException:
            return None

    layout = one("SELECT max(version) FROM meta.format")
    last = one("SELECT started_at, ended_at, kind, gaps FROM meta.run WHERE kind <> 'hourly' ORDER BY started_at DESC LIMIT 1")
    newest = one("SELECT max(started_at) FROM meta.run")
    try:
        gaps = tuple(night.open_gaps(connection, institution_ids))
    except duckdb.CatalogException:
        gaps = ()
    return Warehouse("read", layout[0] if layout else None, last, newest[0] if newest else None, gaps, _spent(connection))


def _spent(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str, datetime, int, Decimal], ...]:
    """What the youngest two days of asking used; nothing where nothing was entered yet."""
    try:
        found = connection.execute(
            "SELECT institution_id, platform, requested_at, sum(requests), sum(cost_usd) FROM meta.spending "
            "WHERE requested_at > (SELECT max(requested_at) - INTERVAL 2 DAY FROM meta.spending) GROUP BY ALL"
        ).fetchall()
    except duckdb.CatalogException:
        return ()
    return tuple((one, platform, at, int(requests), Decimal(cost)) for one, platform, at, requests, cost in found)
