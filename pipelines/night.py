"""The steps of a night as plain functions: fetch and land, derive, audit, publish. Dagster's assets and the demo call the same ones.

Not here: in which order and when (wiring.py, schedules.py), and what the steps do inside (assets/, checks/).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from assets import indicators as indicator_room
from assets import raw
from assets import staging as staging_room
from assets.goals import tables as goal_tables
from assets.raw import Gap, Landed
from pipelines import engine
from pipelines.reference import write_reference
from pipelines.stamps import unapproved
from pipelines.tables import Column, Table, key
from pipelines.warehouse import ensure

if TYPE_CHECKING:
    import duckdb

    from assets.transform import Transform
    from connectors.streams import Connector, Stream
    from pipelines.house import House
    from pipelines.settings import Institution

RUN = Table(
    "meta.run",
    "One row per run: when it began and ended, and how.",
    (
        key("run_id", "VARCHAR", "The run"),
        key("started_at", "TIMESTAMPTZ", "Begin"),
        Column("ended_at", "TIMESTAMPTZ", "End; NULL = it runs, or it died"),
        key("kind", "VARCHAR", "night, hourly, backfill or single steps"),
        Column("rows_new", "BIGINT", "Rows new to raw; NULL = nothing was fetched in it"),
        Column("rows_changed", "BIGINT", "Rows of raw that replaced another; NULL likewise"),
        Column("gaps", "BIGINT", "Streams that did not come whole; NULL likewise"),
    ),
    key=("run_id",),
)
Selection = Callable[["Connector", "Stream"], bool]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a run fetched: per raw table what was landed, and what is missing."""

    landed: list[Landed]
    gaps: list[Gap]

    @property
    def rows_new(self) -> int:
        return sum(table.new for table in self.landed)

    @property
    def rows_changed(self) -> int:
        return sum(table.changed for table in self.landed)


def everything(connector: Connector, stream: Stream) -> bool:
    """Select all streams."""
    del connector, stream
    return True


def only(names: Collection[tuple[str, str]]) -> Selection:
    """Select the streams whose (platform, stream) is among `names`."""
    return lambda connector, stream: (connector.platform, stream.name) in names


def all_transforms() -> tuple[Transform, ...]:
    """Every derived table, in an order in which each finds its inputs ready."""
    return (*staging_room.transforms(), *indicator_room.transforms(), *goal_tables.transforms())


def fetch_and_land(  # noqa: PLR0913
    house: House,
    institutions: Mapping[str, Institution],
    run_id: str,
    selected: Selection = everything,
    progress: Callable[[str], None] = lambda _: None,
    span: tuple[date, date] | None = None,
) -> Arrival:
    """Ask all selected streams at once with the database closed, then land what came. With a `span` of days: a backfill of these.

    Raises:
        NoKeyError: there is no HMAC key; nothing was asked.
        WarehouseError: the warehouse is held by another process.
    """
    pseudonyms = house.pseudonyms()
    now = house.clock.now()
    with house.warehouse.open() as connection:
        jobs = raw.plan(connection, {key_: _wish(house, one) for key_, one in institutions.items()}, now, selected, span)
    try:
        raw.fetch_all(jobs, house.landing_path / "incoming", run_id, pseudonyms, house.clock, house.waiting_s, progress)
    finally:
        with house.warehouse.open() as connection:
            landed, gaps = raw.land(connection, house.landing_path, now)
    return Arrival(landed, gaps)


def _wish(house: House, institution: Institution) -> raw.Wish:
    return raw.Wish(house.accounts(institution), institution.zone, timedelta(days=institution.history_days), house.allowances(institution))


def derive(connection: duckdb.DuckDBPyConnection, institutions: Mapping[str, Institution], run_id: str) -> list[engine.Made]:
    """Bring the reference tables and every derived table up to date."""
    for institution in institutions.values():
        write_reference(connection, institution)
    made: list[engine.Made] = []
    for transform in all_transforms():
        made += engine.run(connection, transform, institutions, run_id)
    return made


def begin_run(connection: duckdb.DuckDBPyConnection, run_id: str, started_at: datetime, kind: str) -> None:
    """Enter the run into meta.run; a second begin of the same run changes nothing."""
    ensure(connection, RUN)
    connection.execute(
        "INSERT INTO meta.run (run_id, started_at, kind) SELECT ?, ?, ? WHERE NOT EXISTS (FROM meta.run WHERE run_id = ?)",
        [run_id, started_at, kind, run_id],
    )


def end_run(connection: duckdb.DuckDBPyConnection, run_id: str, ended_at: datetime, arrival: Arrival | None = None) -> None:
    """Note the run's end, and what it fetched where it fetched."""
    ensure(connection, RUN)
    connection.execute("UPDATE meta.run SET ended_at = ? WHERE run_id = ?", [ended_at, run_id])
    if arrival is not None:
        connection.execute(
            "UPDATE meta.run SET rows_new = ?, rows_changed = ?, gaps = ? WHERE run_id = ?",
            [arrival.rows_new, arrival.rows_changed, len(arrival.gaps), run_id],
        )


def open_gaps(connection: duckdb.DuckDBPyConnection, institution_ids: Iterable[str]) -> list[tuple[str, ...]]:
    """What is still missing of the as-of day: institution, platform, account, stream, status, reason."""
    found = connection.execute(
        """
        SELECT c.institution_id, c.platform, c.account_id, c.stream, c.status, c.reason
        FROM meta.coverage AS c
        JOIN (SELECT institution_id, max(day) AS day FROM meta.coverage GROUP BY institution_id) AS last USING (institution_id, day)
        WHERE NOT c.is_known AND list_contains(?, c.institution_id)
        ORDER BY ALL
        """,
        [list(institution_ids)],
    ).fetchall()
    return [tuple(str(value) for value in row) for row in found]


def refused(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], institution_ids: Iterable[str]) -> dict[str, list[str]]:
    """The institutions that cannot be published as they stand, with the tables that are not approved."""
    audited = list(tables)
    found = {key_: sorted({stamp.table_name for stamp in unapproved(connection, audited, key_)}) for key_ in institution_ids}
    return {key_: names for key_, names in found.items() if names}


__all__ = [
    "RUN",
    "Arrival",
    "all_transforms",
    "begin_run",
    "derive",
    "end_run",
    "everything",
    "fetch_and_land",
    "only",
    "open_gaps",
    "refused",
]
