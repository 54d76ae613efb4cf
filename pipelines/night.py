"""The steps of a night as plain functions: fetch and land, derive, audit, publish. Dagster's assets and the demo call the same ones.

Not here: in which order and when (wiring.py, schedules.py), and what the steps do inside (assets/, checks/).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from assets import asking, ledgers, raw
from assets import indicators as indicator_room
from assets import staging as staging_room
from assets.goals import tables as goal_tables
from assets.raw import Gap, Landed
from assets.staging.things import NOT_ENDED
from pipelines import engine
from pipelines.persons import informed
from pipelines.reference import write_reference
from pipelines.stamps import Seen, unapproved
from pipelines.tables import Column, Table, key
from pipelines.warehouse import WarehouseError, ensure, first, transaction

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
        Column("outcome", "VARCHAR", "whole, not whole, ended (before its last step) or died (it was killed); NULL = it runs"),
    ),
    key=("run_id",),
)
# A clock that is set right by some minutes moves no counter to another day.
CLOCK_TOLERANCE = timedelta(minutes=10)
Selection = Callable[["Connector", "Stream"], bool]


class ClockError(WarehouseError):
    """The clock is behind what the warehouse has seen. Nothing was done; the message says what to do."""


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
        ClockError: the clock is behind what was fetched last; nothing was asked.
        WarehouseError: the warehouse is held by another process, or the disk takes nothing more.
    """
    pseudonyms = house.pseudonyms()
    now = house.clock.now()
    with house.warehouse.open() as connection:
        # What a run that was killed, or found the warehouse held, has left: it counts as of when it was asked for, and is not asked for again.
        raw.land(connection, house.landing_path, now)
        if not house.trusts_clock:
            _require_clock(connection, now)
        pseudonyms = informed(connection, pseudonyms)
        jobs = asking.plan(connection, {key_: wish(house, one) for key_, one in institutions.items()}, now, selected, span)
    try:
        with house.words():
            asking.fetch_all(jobs, house.landing_path / "incoming", run_id, pseudonyms, house.clock, house.waiting_s, progress)
    finally:
        with house.warehouse.open() as connection:
            landed, gaps = raw.land(connection, house.landing_path, now)
    return Arrival(landed, gaps)


def wish(house: House, institution: Institution) -> asking.Wish:
    """What the institution wants to be asked, with its accounts and bounds as the house knows them."""
    return asking.Wish(
        house.accounts(institution), institution.zone, timedelta(days=institution.history_days), house.allowances(institution)
    )


def _require_clock(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Counters are kept under the day that the clock says: with a clock that is behind, tonight's would stand under a day that is over.

    Raises:
        ClockError: the last fetch was later than the clock says that it is now.
    """
    ensure(connection, ledgers.FETCH)
    found = first(connection, "SELECT max(requested_at) FROM meta.fetch")
    last = found[0] if found else None
    if last is not None and last - now > CLOCK_TOLERANCE:
        message = (
            f"Nothing was fetched and no row was changed: this machine's clock says {now:%Y-%m-%d %H:%M} UTC, but the last fetch was on "
            f"{last:%Y-%m-%d %H:%M} UTC. Set the clock, then run again. If it is right now and was ahead then: nights go on by themselves "
            "after that time, or at once with TOLOK_TRUST_CLOCK=1."
        )
        raise ClockError(message)


def derive(connection: duckdb.DuckDBPyConnection, institutions: Mapping[str, Institution], run_id: str) -> list[engine.Made]:
    """Bring the reference tables and every derived table up to date."""
    for institution in institutions.values():
        write_reference(connection, institution)
    made: list[engine.Made] = []
    for transform in all_transforms():
        made += engine.run(connection, transform, institutions, run_id)
    return made


def begin_run(connection: duckdb.DuckDBPyConnection, run_id: str, started_at: datetime, kind: str) -> None:
    """Enter the run into meta.run; a second begin of the same run changes nothing.

    Whoever begins holds the home's lock: a run that has not said how it ended will not say it any more.
    """
    ensure(connection, RUN)
    with transaction(connection):
        connection.execute("UPDATE meta.run SET outcome = 'died', ended_at = NULL WHERE outcome IS NULL AND run_id <> ?", [run_id])
        connection.execute(
            "INSERT INTO meta.run (run_id, started_at, kind) SELECT ?, ?, ? WHERE NOT EXISTS (FROM meta.run WHERE run_id = ?)",
            [run_id, started_at, kind, run_id],
        )


def note_arrival(connection: duckdb.DuckDBPyConnection, run_id: str, at: datetime, arrival: Arrival) -> None:
    """Note what the run fetched. Should nothing follow, this was its end."""
    ensure(connection, RUN)
    connection.execute(
        "UPDATE meta.run SET ended_at = ?, rows_new = ?, rows_changed = ?, gaps = ? WHERE run_id = ?",
        [at, arrival.rows_new, arrival.rows_changed, len(arrival.gaps), run_id],
    )


def end_run(connection: duckdb.DuckDBPyConnection, run_id: str, ended_at: datetime, outcome: str) -> None:
    """Note the run's end, once: what its last step said of it stands."""
    ensure(connection, RUN)
    connection.execute(
        "UPDATE meta.run SET ended_at = ?, outcome = ? WHERE run_id = ? AND outcome IS NULL",
        [ended_at, outcome, run_id],
    )


def open_gaps(connection: duckdb.DuckDBPyConnection, institution_ids: Iterable[str]) -> list[tuple[str, ...]]:
    """What is still missing of the as-of day: institution, platform, account, stream, status, reason.

    A platform's day that had not ended is not missing: its next nights bring it.
    """
    found = connection.execute(
        """
        SELECT c.institution_id, c.platform, c.account_id, c.stream, c.status, c.reason
        FROM meta.coverage AS c
        JOIN (SELECT institution_id, max(day) AS day FROM meta.coverage GROUP BY institution_id) AS last USING (institution_id, day)
        WHERE NOT c.is_known AND list_contains(?, c.institution_id) AND NOT (c.status = 'expected' AND c.reason = ?)
        ORDER BY ALL
        """,
        [list(institution_ids), NOT_ENDED],
    ).fetchall()
    return [tuple(str(value) for value in row) for row in found]


def refused(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], institution_ids: Iterable[str], seen: Seen | None = None
) -> dict[str, list[str]]:
    """The institutions that cannot be published as they stand, with the tables that are not approved."""
    audited = list(tables)
    found = {key_: sorted({stamp.table_name for stamp in unapproved(connection, audited, key_, seen)}) for key_ in institution_ids}
    return {key_: names for key_, names in found.items() if names}


__all__ = [
    "RUN",
    "Arrival",
    "ClockError",
    "all_transforms",
    "begin_run",
    "derive",
    "end_run",
    "everything",
    "fetch_and_land",
    "note_arrival",
    "only",
    "open_gaps",
    "refused",
    "wish",
]
