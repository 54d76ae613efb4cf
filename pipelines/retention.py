"""What is too old is taken away, day by day: the platforms' answers first, single comments and mentions later, sums never.

Not here: that transforms leave alone what can no longer be made again (horizon.py), and the erasure of one person (erase/).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from assets.ledgers import QUARANTINE, raw_table
from assets.staging.things import COMMENTS, MENTIONS
from connectors.registry import platforms
from pipelines import horizon
from pipelines.night import all_transforms
from pipelines.rewrite import compact
from pipelines.settings import EVENT_MONTHS, RAW_DAYS
from pipelines.tables import Table, key
from pipelines.warehouse import Column, due, ensure, first, transaction

if TYPE_CHECKING:
    import duckdb

    from connectors.streams import Connector, Stream
    from pipelines.house import House
    from pipelines.settings import Institution

EVENTS = (COMMENTS, MENTIONS)
LOG = Table(
    "meta.retention_log",
    "One row per run of the retention and thing that it looked at: what was taken, up to which day, and what was held back. Only ever added to.",
    (
        key("taken_at", "TIMESTAMPTZ", "When"),
        key("run_id", "VARCHAR", "The run"),
        key("institution_id", "VARCHAR", "The institution"),
        key("thing", "VARCHAR", "The table, or landing/<platform>/<stream> for files"),
        key("kept_from", "DATE", "What is older than this day was to go"),
        key("taken", "BIGINT", "Rows, or files, that went"),
        Column("held_back", "VARCHAR", "Why nothing was taken although it was due; NULL = nothing was held back"),
    ),
    key=("run_id", "institution_id", "thing"),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the retention did, or would do, to one thing of one institution."""

    institution_id: str
    thing: str
    kept_from: date
    taken: int
    held_back: str | None = None


def raw_from(stream: Stream, connector: Connector, institution: Institution, today: date) -> date:
    """The first day of receipt whose answers are kept: the shortest of the limits, but no shorter than the stream asks again."""
    wished = min(RAW_DAYS, institution.retention.raw_days or RAW_DAYS)
    days = min(max(wished, stream.lookback.days), connector.raw_days or RAW_DAYS)
    return today - timedelta(days=days)


def events_from(connector: Connector, institution: Institution, today: date) -> date:
    """The first day whose single comments and mentions are kept."""
    months = min(EVENT_MONTHS, institution.retention.event_months or EVENT_MONTHS)
    day = months_before(today, months)
    return day if connector.event_days is None else max(day, today - timedelta(days=connector.event_days))


def months_before(day: date, months: int) -> date:
    """The same day some months earlier; the month's last where it has no such day.

    >>> months_before(date(2026, 3, 31), 13)
    datetime.date(2025, 2, 28)
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day  # noqa: PLR2004 December
    return date(year, month + 1, min(day.day, last))


def run(
    connection: duckdb.DuckDBPyConnection, house: House, institutions: Mapping[str, Institution], run_id: str, *, dry: bool = False
) -> list[Taken]:
    """Take away what is too old, table by table, each in one transaction with its horizon; with `dry` only tell.

    Raises:
        duckdb.Error: the warehouse cannot be written. What was taken before is noted.
    """
    now = house.clock.now()
    for table in (LOG, horizon.HORIZON, QUARANTINE, *EVENTS):
        ensure(connection, table)
    taken = [
        one
        for institution in institutions.values()
        for one in (
            *_raw(connection, institution, now, dry=dry),
            *_events(connection, institution, now, dry=dry),
            *_landing(house.landing_path, institution, now, dry=dry),
        )
    ]
    if not dry:
        for one in taken:
            connection.execute(
                f"INSERT INTO {LOG.name} VALUES (?, ?, ?, ?, ?, ?, ?)",
                [now, run_id, one.institution_id, one.thing, one.kept_from, one.taken, one.held_back],
            )
    return taken


def compact_if_worthwhile(house: House) -> bool:
    """Write the warehouse anew where more than a fifth of it is free blocks: DuckDB leaves in them what was deleted."""
    with house.warehouse.open() as connection:
        connection.execute("CHECKPOINT")
        found = first(connection, "SELECT total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = current_database()")
        if not found or found[1] * 5 <= found[0]:
            return False
        compact(connection, house.warehouse.path)
    return True


def _streams() -> Iterator[tuple[Connector, Stream]]:
    return ((connector, stream) for connector in platforms().values() for stream in connector.streams)


def _raw(connection: duckdb.DuckDBPyConnection, institution: Institution, now: datetime, *, dry: bool) -> Iterator[Taken]:
    today = now.astimezone(institution.tzinfo).date()
    for connector, stream in _streams():
        table = raw_table(connector, stream)
        ensure(connection, table)
        day = raw_from(stream, connector, institution, today)
        begin = datetime.combine(day, time(), institution.tzinfo).astimezone(UTC)
        where = "institution_id = ? AND requested_at < ?"
        count = _count(connection, table, where, [institution.id, begin])
        waiting = _waiting(connection, table, institution.id) if count else None
        if waiting is not None:
            # What was not taken in yet would be lost: a night that derives again makes it due.
            yield Taken(institution.id, table.name, day, 0, f"{count} rows wait: {waiting} has not taken them in yet")
        else:
            if count and not dry:
                with transaction(connection):
                    connection.execute(f"DELETE FROM {table.name} WHERE {where}", [institution.id, begin])
                    horizon.advance(connection, table, institution.id, day, now)
            yield Taken(institution.id, table.name, day, count)
        aside = "institution_id = ? AND platform = ? AND stream = ? AND day < ?"
        chosen = [institution.id, connector.platform, stream.name, day]
        set_aside = _count(connection, QUARANTINE, aside, chosen)
        if set_aside:
            if not dry:
                connection.execute(f"DELETE FROM {QUARANTINE.name} WHERE {aside}", chosen)
            yield Taken(institution.id, f"{QUARANTINE.name}/{connector.platform}/{stream.name}", day, set_aside)


def _waiting(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> str | None:
    """The first derived table that has not taken in all changes of `table`; None: all have."""
    for transform in all_transforms():
        if all(source.table.name != table.name for source in transform.inputs):
            continue
        ensure(connection, transform.output)
        changed, _ = due(connection, transform.output, [table.name], institution_id, transform.version)
        if changed:
            return transform.output.name
    return None


def _events(connection: duckdb.DuckDBPyConnection, institution: Institution, now: datetime, *, dry: bool) -> Iterator[Taken]:
    today = now.astimezone(institution.tzinfo).date()
    for table in EVENTS:
        days = {connector.platform: events_from(connector, institution, today) for connector in platforms().values()}
        counts = {
            platform: _count(connection, table, "institution_id = ? AND platform = ? AND day < ?", [institution.id, platform, day])
            for platform, day in days.items()
        }
        waiting = _waiting(connection, table, institution.id) if any(counts.values()) else None
        if waiting is not None:
            yield Taken(institution.id, table.name, max(days.values()), 0, f"rows wait: {waiting} has not taken them in yet")
            continue
        if any(counts.values()) and not dry:
            with transaction(connection):
                for platform, day in days.items():
                    connection.execute(
                        f"DELETE FROM {table.name} WHERE institution_id = ? AND platform = ? AND day < ?", [institution.id, platform, day]
                    )
                # One horizon a table: sums of before the shortest limit are not made again for any platform.
                gone_to = max(day for platform, day in days.items() if counts[platform])
                horizon.advance(connection, table, institution.id, gone_to, now)
        yield Taken(institution.id, table.name, max(days.values()), sum(counts.values()))


def _landing(landing: Path, institution: Institution, now: datetime, *, dry: bool) -> Iterator[Taken]:
    today = now.astimezone(institution.tzinfo).date()
    begins = {
        (connector.platform, stream.name): raw_from(stream, connector, institution, today) for connector, stream in _streams()
    }  # fmt: skip
    counts = dict.fromkeys(begins, 0)
    own = landing / institution.id
    for manifest in sorted(own.glob("*/*/*.json")):
        told = json.loads(manifest.read_text(encoding="utf-8"))
        of = (told["platform"], told["stream"])
        begin = begins.get(of, today - timedelta(days=RAW_DAYS))
        if datetime.fromisoformat(told["requested_at"]).astimezone(institution.tzinfo).date() >= begin:
            continue
        counts[of] = counts.get(of, 0) + 1
        if not dry:
            # The manifest last: lines without one are not read, a manifest without lines would be a fault.
            for path in (*manifest.parent.glob(f"{manifest.stem}.*ndjson.gz"), manifest):
                path.unlink()
    if not dry:
        _sweep(own)
    for (platform, stream_name), count in counts.items():
        if count:
            yield Taken(institution.id, f"landing/{platform}/{stream_name}", begins.get((platform, stream_name), today), count)


def _sweep(folder: Path) -> None:
    """Remove what a kill left of a file without its manifest, and folders in which nothing is left."""
    for run_folder in sorted(folder.glob("*/*")):
        if run_folder.is_dir() and not any(run_folder.glob("*.json")):
            shutil.rmtree(run_folder)
    for day_folder in sorted(folder.glob("*")):
        if day_folder.is_dir() and not any(day_folder.iterdir()):
            day_folder.rmdir()


def _count(connection: duckdb.DuckDBPyConnection, table: Table, where: str, parameters: Iterable[object]) -> int:
    found = first(connection, f"SELECT count(*) FROM {table.name} WHERE {where}", list(parameters))
    return int(found[0]) if found else 0
