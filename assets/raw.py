"""Lands pages untouched: plans what is asked, fetches everything at once, writes it to landing/, merges it into raw.

Not here: what a payload means (staging/), and HTTP itself (connectors/).
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.registry import platforms
from connectors.streams import Account, Connector, Daily, Event, Snapshot, Stream, Window, floor, tile
from pipelines.tables import Table, key
from pipelines.warehouse import Column, ensure, first, mark, rows, transaction

if TYPE_CHECKING:
    import duckdb

    from connectors.clock import Clock
    from connectors.privacy import Pseudonyms

SNAPSHOT_SHIFT = timedelta(hours=12)
# Enough to keep both of today's platforms busy at once; each host has its own, lower, limit.
THREADS = 16
LINE_COLUMNS = "{requested_at: 'TIMESTAMPTZ', observed_at: 'TIMESTAMPTZ', payload: 'JSON'}"
MAX_RECORD_BYTES = 16 * 2**20

FETCH = Table(
    "meta.fetch",
    "One row per window of a stream that was asked for and brought something to know: what came, or why it did not.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The platform's id of the account"),
        key("stream", "VARCHAR", "The stream"),
        key("run_id", "VARCHAR", "The run that asked"),
        key("window_start", "TIMESTAMPTZ", "Start of the span asked for"),
        key("window_end", "TIMESTAMPTZ", "End of the span asked for, exclusive"),
        key("requested_at", "TIMESTAMPTZ", "When it was asked"),
        key("observed_at", "TIMESTAMPTZ", "The instant that its snapshots stand for"),
        key("day", "DATE", "Snapshot day: the institution-local date of observed_at - 12 h"),
        key("is_complete", "BOOLEAN", "The list was read to its end"),
        key("is_last", "BOOLEAN", "The youngest window of its run: with it the stream was read up to the time of asking"),
        key("ledger_status", "VARCHAR", "fetched, missing, not_permitted or unavailable"),
        Column("reason", "VARCHAR", "Why it is not complete, in words; NULL when it is"),
        key("records", "BIGINT", "Records received"),
        key("rejected", "BIGINT", "Records without key or time, left out"),
        key("rows_new", "BIGINT", "Rows that were new to raw"),
        key("rows_changed", "BIGINT", "Rows that replaced another"),
        key("denied_fields", "VARCHAR[]", "Fields that the token may not read"),
    ),
    key=("institution_id", "platform", "account_id", "stream", "run_id", "window_start"),
    day="day",
    unstamped=frozenset({"run_id", "requested_at", "rows_new", "rows_changed"}),
)


def raw_table(connector: Connector, stream: Stream) -> Table:
    """`raw.<platform>__<stream>`, as every stream's table looks."""
    keys = ("institution_id", "account_id", "record_key", *(("day",) if isinstance(stream.kind, Snapshot) else ()))
    return Table(
        f"raw.{connector.platform}__{stream.name}",
        stream.description,
        (
            key("institution_id", "VARCHAR", "The institution"),
            key("account_id", "VARCHAR", "The platform's id of the account that was asked about"),
            key("record_key", "VARCHAR", "The platform's id of the record"),
            key("day", "DATE", "Snapshot day for counters; the institution-local date of the event for events"),
            key("requested_at", "TIMESTAMPTZ", "When it was asked for"),
            key("observed_at", "TIMESTAMPTZ", "The instant that the record stands for"),
            key("window_start", "TIMESTAMPTZ", "Start of the span asked for"),
            key("window_end", "TIMESTAMPTZ", "End of the span asked for, exclusive"),
            key("run_id", "VARCHAR", "The run that wrote the row last"),
            key("changed_at", "TIMESTAMPTZ", "When the row was written last"),
            key("payload", "JSON", "The record as the platform gave it, less the persons"),
            key("payload_hash", "VARCHAR", "MD5 of the payload, to tell changed from same"),
        ),
        key=keys,
        day="day",
        unstamped=frozenset({"run_id", "requested_at", "changed_at", "window_start", "window_end"}),
    )


def snapshot_day(observed_at: datetime, zone: str) -> date:
    """The local day that a snapshot closes: 02:00 closes the day before.

    >>> snapshot_day(datetime(2026, 1, 1, 19, tzinfo=UTC), "Asia/Jakarta")  # 02:00 WIB on 2 January
    datetime.date(2026, 1, 1)
    """
    return (observed_at - SNAPSHOT_SHIFT).astimezone(ZoneInfo(zone)).date()


@dataclass(frozen=True, slots=True)
class Job:
    """One stream of one account, and the windows that are due."""

    connector: Connector
    stream: Stream
    account: Account
    zone: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was asked for and did not come whole."""

    institution_id: str
    platform: str
    account_id: str
    stream: str
    day: date
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Landed:
    """What a landing did to one raw table."""

    table: str
    received: int
    new: int
    changed: int


def windows_due(stream: Stream, now: datetime, fetched_until: datetime | None, history: timedelta) -> tuple[Window, ...]:
    """The windows to ask for: the lookback, what was never fetched since, and on the first run the history.

    Counters of the past cannot be asked for, so a snapshot stream never reaches further back than its lookback after the first run.
    """
    if fetched_until is None:
        start = now - max(stream.lookback, history)
    elif isinstance(stream.kind, Snapshot):
        start = now - stream.lookback
    else:
        start = min(now - stream.lookback, fetched_until)
    if stream.retention is not None:
        start = max(start, now - stream.retention)
    if stream.align is not None:
        start = floor(start, stream.align)
    if stream.newest_first is not None or stream.paging is None:
        return (Window(start, now),)
    return tuple(tile(start, now, stream.window))


def plan(  # noqa: PLR0913 the ledger, the clock, and three facts by institution
    connection: duckdb.DuckDBPyConnection,
    accounts: Mapping[str, Sequence[Account]],
    zones: Mapping[str, str],
    history: Mapping[str, timedelta],
    now: datetime,
    selected: Callable[[Connector, Stream], bool],
) -> list[Job]:
    """What is to be asked of whom, from the ledger of what came before. All mappings are by institution id."""
    ensure(connection, FETCH)
    until = {
        (row["institution_id"], row["platform"], row["account_id"], row["stream"]): row["until"]
        for row in rows(
            connection,
            "SELECT institution_id, platform, account_id, stream, max(window_end) AS until FROM meta.fetch WHERE is_complete GROUP BY ALL",
        )
    }
    jobs = []
    for institution_id, own in accounts.items():
        for account in own:
            connector = platforms()[account.platform]
            for stream in (stream for stream in connector.streams if selected(connector, stream)):
                fetched_until = until.get((institution_id, account.platform, account.account_id, stream.name))
                due = windows_due(stream, now, fetched_until if isinstance(fetched_until, datetime) else None, history[institution_id])
                jobs.append(Job(connector, stream, account, zones[institution_id], due))
    return jobs


def fetch_all(  # noqa: PLR0913
    jobs: Sequence[Job],
    incoming: Path,
    run_id: str,
    pseudonyms: Pseudonyms,
    clock: Clock,
    waiting_s: float,
    progress: Callable[[str], None],
) -> None:
    """Fetch every job at once, each into files of its own under `incoming/<run_id>/`. No database is open meanwhile.

    Raises:
        ExceptionGroup: faults of ours (not of a platform), after every other job has ended and its files are safe.
    """
    folder = incoming / run_id
    folder.mkdir(parents=True, exist_ok=True)
    hosts, budget = Hosts(), WaitingBudget(waiting_s)
    bugs: list[Exception] = []
    with ThreadPoolExecutor(THREADS, thread_name_prefix="tolok-fetch") as pool:
        futures = {
            pool.submit(_fetch_job, job, folder, number, run_id, pseudonyms, clock, hosts, budget): job for number, job in enumerate(jobs)
        }
        for future in as_completed(futures):
            job = futures[future]
            if (bug := future.exception()) is not None:
                if not isinstance(bug, Exception):
                    raise bug
                bugs.append(bug)
            progress(f"{job.account.label} {job.stream.name}")
    if bugs:
        message = "Some streams could not be fetched because of a fault in Tolok; the others were."
        raise ExceptionGroup(message, bugs)


def _fetch_job(  # noqa: PLR0913
    job: Job, folder: Path, number: int, run_id: str, pseudonyms: Pseudonyms, clock: Clock, hosts: Hosts, budget: WaitingBudget
) -> None:
    door = Door(job.account, job.connector.limits, hosts, clock, budget)
    try:
        for at, window in enumerate(job.windows):
            stem = folder / f"{job.connector.platform}__{job.stream.name}__{number:04}_{at:02}"
            with stem.with_suffix(".ndjson.part").open("wb") as file:
                fetched = fetch_window(job.stream, job.account, window, door, pseudonyms, clock, file.write)
            stem.with_suffix(".ndjson.part").rename(stem.with_suffix(".ndjson"))
            _write_manifest(stem.with_suffix(".json"), job, fetched, run_id, is_last=at + 1 == len(job.windows))
            if not fetched.is_complete:
                return
    finally:
        door.close()


def _write_manifest(path: Path, job: Job, fetched: Fetched, run_id: str, *, is_last: bool) -> None:
    """The manifest is written last and whole: a file of lines without one was cut short, and is not read."""
    content = {
        "institution_id": job.account.institution_id,
        "platform": job.connector.platform,
        "account_id": job.account.account_id,
        "stream": job.stream.name,
        "zone": job.zone,
        "run_id": run_id,
        "is_last": is_last,
        **asdict(fetched),
        "window_start": fetched.window.start,
        "window_end": fetched.window.end,
        "denied_fields": sorted(fetched.denied_fields),
    }
    del content["window"]
    text = json.dumps(content, default=lambda instant: instant.astimezone(UTC).isoformat(), indent=1)
    part = path.with_suffix(".json.part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


def land(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime) -> tuple[list[Landed], list[Gap]]:
    """Merge everything under `landing/incoming/` (a dead run's leftovers too), then file what was new under its day.

    What brought nothing new leaves no trace. Returns what was done per table, and the gaps.
    """
    incoming = landing / "incoming"
    manifests = sorted(incoming.glob("*/*.json"))
    landed: list[Landed] = []
    gaps: list[Gap] = []
    by_table: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for manifest in manifests:
        platform, stream, _ = manifest.name.split("__")
        by_table[platform, stream].append(manifest)
    for (platform, stream_name), paths in by_table.items():
        connector = platforms()[platform]
        done, missing, kept = _merge(connection, connector, connector.stream(stream_name), paths, now)
        landed.append(done)
        gaps.extend(missing)
        for path in paths:
            _file(path, kept.get(path), landing)
    for folder in incoming.glob("*"):
        shutil.rmtree(folder)
    return landed, gaps


def replay(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime) -> list[Landed]:
    """Rebuild raw and its ledger from the files of `landing/`, run by run in the order of the nights. Leaves the files as they are."""
    by_run: dict[tuple[str, str, str, str], list[Path]] = defaultdict(list)
    begun: dict[tuple[str, str, str, str], str] = {}
    for manifest in sorted(landing.glob("*/*/*/*.json")):
        platform, stream, _ = manifest.name.split("__")
        one = manifest.parts[-3], manifest.parts[-2], platform, stream
        by_run[one].append(manifest)
        # A run's id tells nothing about when it was; two runs of one day are told apart by the instant of asking.
        begun[one] = min(json.loads(manifest.read_text(encoding="utf-8"))["requested_at"], begun.get(one, "~"))
    return [
        _merge(connection, platforms()[one[2]], platforms()[one[2]].stream(one[3]), by_run[one], now)[0]
        for one in sorted(by_run, key=lambda one: (begun[one], one))
    ]


def _merge(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, manifests: Sequence[Path], now: datetime
) -> tuple[Landed, list[Gap], dict[Path, date]]:
    """One transaction: rows, ledger and marks together. Returns also, for each manifest that told something new, its day."""
    table = raw_table(connector, stream)
    ensure(connection, table)
    ensure(connection, FETCH)
    told = [json.loads(path.read_text(encoding="utf-8")) | {"lines": str(_lines_of(path))} for path in manifests]
    values = ", ".join(f"b.{name}" for name in table.names)
    updates = ", ".join(f"{name} = b.{name}" for name in table.names if name not in table.key)
    with transaction(connection):
        _decide(connection, table, stream, told, now)
        connection.execute(
            f"MERGE INTO {table.name} AS t USING (FROM decided WHERE action IN ('new', 'changed')) AS b ON {_same_key(table)} "
            f"WHEN MATCHED THEN UPDATE SET {updates} WHEN NOT MATCHED THEN INSERT ({', '.join(table.names)}) VALUES ({values})"
        )
        counts = {line.lines: line for line in _counted(connection)}
        for institution_id in sorted({line.institution_id for line in counts.values()}):
            days = [line.first_day for line in counts.values() if line.institution_id == institution_id and line.first_day is not None]
            if days:
                mark(connection, table.name, institution_id, min(days))
        entries = [_entry(one, counts.get(one["lines"])) for one in told]
        informative = [_enter(connection, stream, entry) for entry in entries]
    kept = {path: entry["day"] for path, entry, is_kept in zip(manifests, entries, informative, strict=True) if is_kept}
    gaps = [
        Gap(*(entry[name] for name in ("institution_id", "platform", "account_id", "stream", "day", "ledger_status", "reason")))
        for entry in entries
        if not entry["is_complete"]
    ]
    totals = (sum(entry[name] for entry in entries) for name in ("records", "rows_new", "rows_changed"))
    return Landed(table.name, *totals), gaps, kept


class _Counted(NamedTuple):
    """What was decided for one file of lines; `first_day` is the earliest that it touches, None when it touches none."""

    lines: str
    institution_id: str
    new: int
    changed: int
    unkeyed: int
    first_day: date | None


def _counted(connection: duckdb.DuckDBPyConnection) -> list[_Counted]:
    found = connection.execute(
        "SELECT lines, institution_id, count(*) FILTER (action = 'new'), count(*) FILTER (action = 'changed'), "
        "count(*) FILTER (action = 'unkeyed'), min(day) FILTER (action IN ('new', 'changed')) FROM decided GROUP BY ALL"
    ).fetchall()
    return [_Counted(*row) for row in found]


def _decide(connection: duckdb.DuckDBPyConnection, table: Table, stream: Stream, told: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Leave the temporary table `decided`: each record of the batch and what to do with it: new, changed, same, or unkeyed.

    Of several snapshots on one day the one nearest to the day's end is kept, so that a later rerun shifts nothing.
    One statement, because a night has seven of these and a statement costs more than its few hundred rows (measured).
    """
    is_snapshot = isinstance(stream.kind, Snapshot)
    at_path = f"$.{stream.kind.at}" if isinstance(stream.kind, Event | Daily) else "$"
    manifests = pl.DataFrame(
        [
            {name: one[name] for name in ("lines", "institution_id", "account_id", "zone", "run_id", "window_start", "window_end")}
            for one in told
        ]
    )
    day = "((observed_at - INTERVAL 12 HOUR) AT TIME ZONE zone)::DATE" if is_snapshot else "(happened_at AT TIME ZONE zone)::DATE"
    distance = "abs(epoch(observed_at) - epoch(((day + 1)::TIMESTAMP) AT TIME ZONE zone))" if is_snapshot else "-epoch(observed_at)"
    # Of two equally near the earlier stays, so that the order in which they arrive does not matter.
    kept_distance = "abs(epoch(t.observed_at) - epoch(((t.day + 1)::TIMESTAMP) AT TIME ZONE b.zone))"
    is_nearer = f"(b.distance, b.observed_at) < ({kept_distance}, t.observed_at)" if is_snapshot else "false"
    is_as_near = f"b.observed_at {'=' if is_snapshot else '>='} t.observed_at"
    connection.register("manifests", manifests)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE decided AS
        WITH cut AS (
            SELECT m.* EXCLUDE (window_start, window_end), m.window_start::TIMESTAMPTZ AS window_start, m.window_end::TIMESTAMPTZ AS window_end,
                   l.requested_at, l.observed_at, l.payload, $now::TIMESTAMPTZ AS changed_at,
                   json_extract_string(l.payload, $key_path) AS record_key, md5(l.payload::VARCHAR) AS payload_hash,
                   try_cast(json_extract_string(l.payload, $at_path) AS TIMESTAMPTZ) AS happened_at
            FROM read_json($files, format = 'newline_delimited', columns = {LINE_COLUMNS}, filename = true,
                           maximum_object_size = {MAX_RECORD_BYTES}) AS l
            JOIN manifests AS m ON m.lines = l.filename
        ), dated AS (SELECT *, {day} AS day FROM cut
        ), far AS (SELECT *, {distance} AS distance FROM dated
        ), placed AS (
            SELECT *, row_number() OVER (PARTITION BY {", ".join(table.key)} ORDER BY distance, observed_at, payload_hash) AS place FROM far
        )
        SELECT b.*, CASE WHEN b.record_key IS NULL OR b.day IS NULL THEN 'unkeyed'
                         WHEN b.place > 1 THEN 'same'
                         WHEN t.record_key IS NULL THEN 'new'
                         WHEN {is_nearer} OR ({is_as_near} AND t.payload_hash <> b.payload_hash) THEN 'changed' ELSE 'same' END AS action
        FROM placed AS b LEFT JOIN {table.name} AS t ON {_same_key(table)}
        """,
        {"now": now, "key_path": f"$.{stream.kind.key}", "at_path": at_path, "files": [one["lines"] for one in told]},
    )
    connection.unregister("manifests")


def _same_key(table: Table) -> str:
    return " AND ".join(f"t.{name} = b.{name}" for name in table.key)


def _entry(told: Mapping[str, Any], counted: _Counted | None) -> dict[str, Any]:
    """The ledger's row for one manifest."""
    times = {name: datetime.fromisoformat(told[name]) for name in ("window_start", "window_end", "requested_at", "observed_at")}
    entry = {name: told[name] for name in FETCH.names if name in told} | times
    day = snapshot_day(times["observed_at"], told["zone"])
    return entry | {
        "day": day,
        "day_end": datetime.combine(day + timedelta(days=1), time(), ZoneInfo(told["zone"])),
        "rejected": told["rejected"] + (counted.unkeyed if counted else 0),
        "rows_new": counted.new if counted else 0,
        "rows_changed": counted.changed if counted else 0,
    }


def _enter(connection: duckdb.DuckDBPyConnection, stream: Stream, entry: dict[str, Any]) -> bool:
    """Write the row into the ledger if it tells something that the ledger did not know; say whether it did."""
    is_entered = first(
        connection,
        "SELECT 1 FROM meta.fetch WHERE institution_id = $institution_id AND platform = $platform AND account_id = $account_id "
        "AND stream = $stream AND run_id = $run_id AND window_start = $window_start",
        {name: entry[name] for name in ("institution_id", "platform", "account_id", "stream", "run_id", "window_start")},
    )
    if is_entered:
        # A run that died between the commit and the filing: its files are still to be kept.
        return True
    found = connection.execute(
        # Of events the ledger knows enough once a complete window reaches the day's end: an hourly fetch at noon does not.
        "SELECT is_complete, is_last, ledger_status, reason, denied_fields, "
        "window_start <= $window_start AND (window_end >= $day_end OR $window_end < $day_end) "
        "FROM meta.fetch WHERE institution_id = $institution_id AND platform = $platform AND account_id = $account_id AND stream = $stream AND day = $day",
        {
            name: entry[name]
            for name in ("window_start", "window_end", "day_end", "institution_id", "platform", "account_id", "stream", "day")
        },
    ).fetchall()
    is_whole = isinstance(stream.kind, Snapshot)
    known = any(
        complete and denied == entry["denied_fields"] and (is_last if is_whole else covers)
        for complete, is_last, _, _, denied, covers in found
    )
    said = any((status, reason) == (entry["ledger_status"], entry["reason"]) for _, _, status, reason, _, _ in found)
    is_news = entry["rows_new"] + entry["rows_changed"] > 0 or not (known or (said and not entry["is_complete"]))
    if is_news:
        places = ", ".join(f"${name}" for name in FETCH.names)
        connection.execute(
            f"INSERT INTO meta.fetch ({', '.join(FETCH.names)}) VALUES ({places})", {name: entry[name] for name in FETCH.names}
        )
        mark(connection, FETCH.name, entry["institution_id"], entry["day"])
    return is_news


def _lines_of(manifest: Path) -> Path:
    """The file of lines that belongs to a manifest: plain while incoming, compressed when filed."""
    plain = manifest.with_suffix(".ndjson")
    return plain if plain.exists() else manifest.with_suffix(".ndjson.gz")


def _file(manifest: Path, day: date | None, landing: Path) -> None:
    """Move a manifest and its lines to `landing/<institution>/<day>/<run>/`; drop them when they told nothing new (`day` None)."""
    lines = _lines_of(manifest)
    if day is not None:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        folder = landing / told["institution_id"] / day.isoformat() / told["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{lines.name}.gz"
        # No time stamp inside, so that the same night gives the same bytes.
        with lines.open("rb") as source, target.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
            shutil.copyfileobj(source, packed)
        shutil.copy2(manifest, folder / manifest.name)
    lines.unlink()
    manifest.unlink()
