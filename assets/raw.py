"""Lands pages untouched: plans what is asked, fetches everything at once, writes it to landing/, merges it into raw.

Not here: what a payload means (staging/), and HTTP itself (connectors/).
"""

from __future__ import annotations

import gzip
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from assets.forget import clean, suppressed
from connectors.budget import Allowance, DayBudget
from connectors.fetch import MAX_RECORD_BYTES, Fetched, fetch_window, red_reason, resume_at
from connectors.fitness import is_red
from connectors.http import Door, Hosts, WaitingBudget
from connectors.registry import platforms
from connectors.streams import Account, Connector, Daily, Event, Snapshot, Stream, Window, floor, free, tile, uncovered
from pipelines.tables import Table, key
from pipelines.warehouse import Column, ensure, first, mark, transaction

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.privacy import Pseudonyms

LOGGER = logging.getLogger("tolok")
SNAPSHOT_SHIFT = timedelta(hours=12)
# Enough to keep both of today's platforms busy at once; each host has its own, lower, limit.
THREADS = 16
# The instants stand on every line for whoever reads the file; all of a window are the manifest's, and reading them costs 0.4 s a million.
LINE_COLUMNS = "{payload: 'JSON'}"
ASIDE_COLUMNS = "{requested_at: 'TIMESTAMPTZ', observed_at: 'TIMESTAMPTZ', field: 'VARCHAR', reason: 'VARCHAR', payload: 'JSON'}"
# Which records were paid for is remembered as long as a platform's day can last anywhere.
PAID_FOR = timedelta(days=2)
# A record and what stands around it on its line.
MAX_LINE_BYTES = MAX_RECORD_BYTES + 4096
# A million new records land in it at 340 MB for the whole process, and no slower than in 1 GB (measured); a million that stand there do not.
LEAN_MEMORY = "160MB"
LARGE_BYTES = 32 * 2**20
# 4 packs a night's lines in a fifth of the time of the default 9 and leaves a tenth more (measured; 1: an eighth, a quarter more).
PACKING = 4

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
        key("rejected", "BIGINT", "Records that could not be placed, set aside in meta.quarantine"),
        Column(
            "blanked", "BIGINT", "Records with a value that is no count: set aside too, the value read as not given; NULL = not looked at"
        ),
        key("rows_new", "BIGINT", "Rows that were new to raw"),
        key("rows_changed", "BIGINT", "Rows that replaced another"),
        key("denied_fields", "VARCHAR[]", "Fields that the token may not read"),
        Column(
            "resume_from", "VARCHAR", "What asks for the rest where a budget ended the list; NULL = nothing is left, or it is asked anew"
        ),
    ),
    key=("institution_id", "platform", "account_id", "stream", "run_id", "window_start", "window_end"),
    day="day",
    unstamped=frozenset({"run_id", "requested_at", "rows_new", "rows_changed"}),
)
SPENDING = Table(
    "meta.spending",
    "One row per window that was asked for: what it took of the day's allowance.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The platform's id of the account"),
        key("stream", "VARCHAR", "The stream"),
        key("run_id", "VARCHAR", "The run that asked"),
        key("window_start", "TIMESTAMPTZ", "Start of the span asked for"),
        key("window_end", "TIMESTAMPTZ", "End of the span asked for, exclusive"),
        key("requested_at", "TIMESTAMPTZ", "When it was asked"),
        key("requests", "BIGINT", "Requests sent, repeated ones included"),
        key("cost_usd", "DECIMAL(12,4)", "What the records cost by the declared price, each once a day; an estimate, not the bill"),
    ),
    key=("institution_id", "platform", "account_id", "stream", "run_id", "window_start", "window_end"),
)
PAID_RECORD = Table(
    "meta.paid_record",
    "One row per record that was paid for in the last two days: read again within the platform's day it costs nothing.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("stream", "VARCHAR", "The stream"),
        key("record_key", "VARCHAR", "The platform's id of the record"),
        key("paid_at", "TIMESTAMPTZ", "When it was read last"),
    ),
    key=("institution_id", "platform", "stream", "record_key", "paid_at"),
)
QUARANTINE = Table(
    "meta.quarantine",
    "One row per record and thing that was wrong with it: set aside as it came, less the persons, with the reason.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The platform's id of the account that was asked about"),
        key("stream", "VARCHAR", "The stream"),
        key("day", "DATE", "Snapshot day on which it came first"),
        key("observed_at", "TIMESTAMPTZ", "When it came first"),
        key("field", "VARCHAR", "Where it is wrong; empty = the record as a whole"),
        key("reason", "VARCHAR", "What is wrong, in words"),
        Column("record_key", "VARCHAR", "The platform's id of the record; NULL = it has none"),
        Column("payload", "JSON", "The record; NULL = it could not be read, and so not freed of persons"),
        key("payload_hash", "VARCHAR", "MD5 of the payload; of an unreadable record that of nothing"),
        key("run_id", "VARCHAR", "The run that set it aside"),
    ),
    key=("institution_id", "platform", "account_id", "stream", "field", "payload_hash"),
    day="day",
)
FIELD = Table(
    "meta.field",
    "One row per member that a stream's records were seen to have: a new one is told when it comes.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("stream", "VARCHAR", "The stream"),
        key("field", "VARCHAR", "Name of the member, dotted"),
        key("first_seen_at", "TIMESTAMPTZ", "When it came first"),
    ),
    key=("institution_id", "platform", "stream", "field"),
)
LEDGERS = (FETCH, SPENDING, PAID_RECORD, QUARANTINE, FIELD)


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
class Wish:
    """What an institution wants to be asked: its accounts, its zone, how far back the first time, and its bounds by platform."""

    accounts: Sequence[Account]
    zone: str
    history: timedelta
    allowances: Mapping[str, Allowance]


@dataclass(frozen=True, slots=True)
class Due:
    """One window that is to be asked for.

    `resume_from`: below what an earlier run read. `is_last`: with it the stream is read up to now. `is_extra`: the rest of an earlier
    list, or a backfill: its ledger row tells that it is done, whatever it brings.
    """

    window: Window
    resume_from: str | None = None
    is_last: bool = False
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One stream of one account, and the windows that are due."""

    connector: Connector
    stream: Stream
    account: Account
    zone: str
    due: tuple[Due, ...]
    budget: DayBudget

    @property
    def is_rest(self) -> bool:
        """It goes on with lists that an earlier run left, or is a backfill."""
        return all(due.is_extra for due in self.due)


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
    set_aside: int = 0
    requests: int = 0
    cost_usd: Decimal = Decimal(0)
    new_fields: tuple[str, ...] = ()


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


def backfill_due(stream: Stream, first: datetime, end: datetime, now: datetime, known: Iterable[Window]) -> tuple[Due, ...]:
    """The windows between two instants that no complete answer covers yet, oldest first: run again, it goes on where it stopped.

    A single record tells nothing of the past, and what the platform no longer gives is left out.
    """
    if stream.paging is None:
        return ()
    if stream.retention is not None:
        first = max(first, now - stream.retention)
    if stream.align is not None:
        first = floor(first, stream.align)
    left = uncovered(Window(first, min(end, now)), known) if first < min(end, now) else []
    if not left:
        return ()
    if not _takes_an_end(stream):
        # Each of several windows would be read from its beginning up to now, or from now down to it.
        left = [Window(left[0].start, left[-1].end)]
    pieces = [piece for one in left for piece in tile(one.start, one.end, stream.window)] if _takes_an_end(stream) else left
    return tuple(Due(piece, resume_at(stream, piece.end) if piece.end < now else None, is_extra=True) for piece in pieces)


def _takes_an_end(stream: Stream) -> bool:
    return (stream.resume is not None and stream.resume.is_time) or any("{window_end}" in value for value in stream.params.values())


def plan(
    connection: duckdb.DuckDBPyConnection,
    wishes: Mapping[str, Wish],
    now: datetime,
    selected: Callable[[Connector, Stream], bool],
    span: tuple[date, date] | None = None,
) -> list[Job]:
    """What is to be asked of whom, from the ledger of what came before.

    Args:
        connection: the warehouse, for its ledgers.
        wishes: by institution id.
        now: the instant of asking.
        selected: which streams.
        span: first and last day of a backfill, in each institution's zone; None: a night.
    """
    for table in LEDGERS:
        ensure(connection, table)
    until, rests = _read_until(connection), _rests(connection)
    jobs = []
    for institution_id, wish in wishes.items():
        budgets = {
            platform: _budget(connection, institution_id, platform, wish, now) for platform in {one.platform for one in wish.accounts}
        }
        for account in wish.accounts:
            connector = platforms()[account.platform]
            for stream in (stream for stream in connector.streams if selected(connector, stream)):
                who = (institution_id, account.platform, account.account_id, stream.name)
                if span is not None:
                    last = min(span[1], now.date() + timedelta(days=1))
                    first, end = (datetime.combine(day, time(), ZoneInfo(wish.zone)) for day in (span[0], last + timedelta(days=1)))
                    due = backfill_due(stream, first.astimezone(UTC), end.astimezone(UTC), now, _complete(connection, who))
                else:
                    due = _night_due(stream, wish, now, until.get(who), rests.get(who, []))
                # What an earlier run left is a job of its own, so that it comes before everybody's newest.
                pieces = ([one for one in due if one.is_extra], [one for one in due if not one.is_extra])
                jobs += [Job(connector, stream, account, wish.zone, tuple(piece), budgets[account.platform]) for piece in pieces if piece]
    return jobs


Who = tuple[str, str, str, str]
WHO = "institution_id, platform, account_id, stream"


class _Rest(NamedTuple):
    """What a budget's end left of a list."""

    window: Window
    resume_from: str
    is_last: bool
    day: date


def _night_due(stream: Stream, wish: Wish, now: datetime, until: datetime | None, rests: Sequence[_Rest]) -> tuple[Due, ...]:
    """First what earlier runs left, then the night's own windows. On the same snapshot day the rest alone makes the day whole."""
    begins = now - stream.retention if stream.retention is not None else None
    left = [rest._replace(window=Window(max(rest.window.start, begins), rest.window.end)) if begins is not None else rest for rest in rests]
    left = [rest for rest in left if rest.window.start < rest.window.end]
    is_todays = isinstance(stream.kind, Snapshot) and any(rest.is_last and rest.day == snapshot_day(now, wish.zone) for rest in left)
    extra = tuple(Due(rest.window, rest.resume_from, is_last=is_todays and rest.is_last, is_extra=True) for rest in left)
    if is_todays:
        return extra
    windows = windows_due(stream, now, until, wish.history)
    return (*extra, *(Due(window, is_last=at + 1 == len(windows)) for at, window in enumerate(windows)))


def _read_until(connection: duckdb.DuckDBPyConnection) -> dict[Who, datetime]:
    found = connection.execute(f"SELECT {WHO}, max(window_end) FROM meta.fetch WHERE is_complete GROUP BY ALL").fetchall()
    return {(row[0], row[1], row[2], row[3]): row[4] for row in found}


def _rests(connection: duckdb.DuckDBPyConnection) -> dict[Who, list[_Rest]]:
    """What budgets' ends left and nothing has read since, oldest first. Of a rest that was shortened again the latest counts."""
    found = connection.execute(
        f"""
        SELECT {WHO}, window_start, window_end, resume_from, is_last, day FROM meta.fetch AS r
        WHERE NOT is_complete AND resume_from IS NOT NULL AND NOT EXISTS (
            FROM meta.fetch AS c WHERE (c.institution_id, c.platform, c.account_id, c.stream) = (r.institution_id, r.platform, r.account_id, r.stream)
             AND c.requested_at >= r.requested_at AND c.run_id <> r.run_id AND c.window_start <= r.window_start
             AND ((c.is_complete AND c.window_end >= r.window_end) OR (c.resume_from IS NOT NULL AND c.window_start = r.window_start)))
        ORDER BY window_start, window_end
        """
    ).fetchall()
    by_stream: dict[Who, list[_Rest]] = defaultdict(list)
    for *who, start, end, resume_from, is_last, day in found:
        by_stream[who[0], who[1], who[2], who[3]].append(_Rest(Window(start, end), resume_from, is_last, day))
    return by_stream


def _complete(connection: duckdb.DuckDBPyConnection, who: Who) -> list[Window]:
    found = connection.execute(
        f"SELECT window_start, window_end FROM meta.fetch WHERE is_complete AND ({WHO}) = (?, ?, ?, ?)", list(who)
    ).fetchall()
    return [Window(*row) for row in found]


def _budget(connection: duckdb.DuckDBPyConnection, institution_id: str, platform: str, wish: Wish, now: datetime) -> DayBudget:
    """What is left of the platform's day, after what earlier runs of the same day used."""
    allowance = wish.allowances.get(platform, platforms()[platform].allowance)
    of_today = [institution_id, platform, allowance.day_began(now)]
    spent = first(
        connection,
        "SELECT coalesce(sum(requests), 0), coalesce(sum(cost_usd), 0) FROM meta.spending "
        "WHERE institution_id = ? AND platform = ? AND requested_at >= ?",
        of_today,
    )
    paid = connection.execute(
        "SELECT DISTINCT stream, record_key FROM meta.paid_record WHERE institution_id = ? AND platform = ? AND paid_at >= ?", of_today
    ).fetchall()
    requests, cost_usd = spent or (0, Decimal(0))
    return DayBudget(
        f"{institution_id}, {platforms()[platform].label}", allowance, int(requests), Decimal(cost_usd), [(a, b) for a, b in paid]
    )


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
    LOGGER.info("fetch", extra={"facts": {"streams": len(jobs)}})
    rests, others = ([(number, job) for number, job in enumerate(jobs) if job.is_rest is is_rest] for is_rest in (True, False))
    with ThreadPoolExecutor(THREADS, thread_name_prefix="tolok-fetch") as pool:
        try:
            # Two rounds: were all asked at once, one account's newest could use up the day's budget, night after night, before another's rest.
            for round_ in (rests, others):
                futures = {
                    pool.submit(_fetch_job, job, folder, number, run_id, pseudonyms, clock, hosts, budget): job for number, job in round_
                }
                for future in as_completed(futures):
                    job = futures[future]
                    if (bug := future.exception()) is not None:
                        if not isinstance(bug, Exception):
                            raise bug  # noqa: TRY301 whatever ends the loop ends the others
                        bugs.append(bug)
                    progress(f"{job.account.label} {job.stream.name}")
        except BaseException:
            # Told to stop: no list is begun, those under way end at their next page, and what came is landed.
            budget.stop()
            clock.wake()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if bugs:
        message = "Some streams could not be fetched because of a fault in Tolok; the others were."
        raise ExceptionGroup(message, bugs)


def _fetch_job(  # noqa: PLR0913
    job: Job, folder: Path, number: int, run_id: str, pseudonyms: Pseudonyms, clock: Clock, hosts: Hosts, budget: WaitingBudget
) -> None:
    door = Door(job.account, job.connector.limits, hosts, clock, budget, spend=job.budget.request)
    begun, done = monotonic(), list[Fetched]()
    try:
        for at, due in enumerate(job.due):
            stem = folder / f"{job.connector.platform}__{job.stream.name}__{number:04}_{at:02}"
            before = door.requests_sent
            fetched = _fetch_due(job, due, stem, door, pseudonyms, clock)
            done.append(fetched)
            requests = door.requests_sent - before
            for part, piece, is_last in parts(fetched, due):
                here = stem.with_name(f"{stem.name}{part}")
                here.with_suffix(".ndjson").touch()
                spent = (0, Decimal(0)) if part else (requests, fetched.cost_usd)
                _write_manifest(
                    here.with_suffix(".json"), job, piece, run_id, is_last=is_last, is_extra=due.is_extra or bool(part), spent=spent
                )
            # What an earlier night left may be gone for good; tonight's counters are not to be lost for it.
            if not fetched.is_complete and (fetched.is_budget_spent or not due.is_extra):
                return
    finally:
        door.close()
        _tell(job, done, door.requests_sent, monotonic() - begun)


def _tell(job: Job, done: Sequence[Fetched], requests: int, seconds: float) -> None:
    """Tell whoever listens (pipelines/logs.py) how one stream of one account ended."""
    facts: dict[str, object] = {
        "institution": job.account.institution_id,
        "platform": job.connector.platform,
        "account": job.account.account_id,
        "stream": job.stream.name,
        "records": sum(one.records for one in done),
        "rejected": sum(one.rejected for one in done),
        "pages": sum(one.pages for one in done),
        "requests": requests,
        "seconds": round(seconds, 3),
    }
    gaps = [{"gap": one.ledger_status, "reason": one.reason} for one in done if not one.is_complete]
    LOGGER.log(logging.WARNING if gaps else logging.INFO, "stream", extra={"facts": facts | (gaps[0] if gaps else {})})


def _fetch_due(  # noqa: PLR0913
    job: Job, due: Due, stem: Path, door: Door, pseudonyms: Pseudonyms, clock: Clock
) -> Fetched:
    """Read one window into its file of lines, and what cannot be used into another, which is there only when it holds something."""
    lines, aside = stem.with_suffix(".ndjson.part"), stem.with_suffix(".aside.ndjson.part")
    with lines.open("wb") as file, aside.open("wb") as left:
        fetched = fetch_window(
            job.stream, job.account, due.window, door, pseudonyms, clock, file.write,
            budget=job.budget, set_aside=left.write, resume_from=due.resume_from,
        )  # fmt: skip
    if aside.stat().st_size:
        aside.rename(stem.with_suffix(".aside.ndjson"))
    else:
        aside.unlink()
    lines.rename(stem.with_suffix(".ndjson"))
    return fetched


def parts(fetched: Fetched, due: Due) -> list[tuple[str, Fetched, bool]]:
    """A window as the ledger has it: whole; or, where a budget ended the list, what was read and what is left of it.

    Returns for each part the ending of its file's name, what became of it, and whether the stream was read up to now with it.
    """
    if fetched.reached is None:
        return [("", fetched, due.is_last)]
    window = fetched.window
    # The second in which the reading stopped may hold more.
    cut = min(max(fetched.reached.replace(microsecond=0) + timedelta(seconds=1), window.start), window.end)
    read = replace(
        fetched, window=Window(cut, window.end), is_complete=True, ledger_status="fetched", reason=None, reached=None, resume_from=None
    )
    left = replace(fetched, window=Window(window.start, cut), records=0, rejected=0, blanked=0, pages=0, fields=set())
    return [("", read, False), ("_rest", left, due.is_last)]


def _write_manifest(  # noqa: PLR0913
    path: Path, job: Job, fetched: Fetched, run_id: str, *, is_last: bool, is_extra: bool, spent: tuple[int, Decimal]
) -> None:
    """The manifest is written last and whole: a file of lines without one was cut short, and is not read."""
    content = {
        "institution_id": job.account.institution_id,
        "platform": job.connector.platform,
        "account_id": job.account.account_id,
        "stream": job.stream.name,
        "zone": job.zone,
        "run_id": run_id,
        "is_last": is_last,
        "is_extra": is_extra,
        **asdict(fetched),
        "window_start": fetched.window.start,
        "window_end": fetched.window.end,
        "denied_fields": sorted(fetched.denied_fields),
        "fields": sorted(fetched.fields),
        "requests": spent[0],
        "cost_usd": spent[1],
    }
    for name in ("window", "reached", "is_budget_spent"):
        del content[name]
    text = json.dumps(content, default=_as_text, indent=1)
    part = path.with_suffix(".json.part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


def _as_text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def land(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime) -> tuple[list[Landed], list[Gap]]:
    """Merge everything under `landing/incoming/` (a dead run's leftovers too), then file what was new under its day.

    What brought nothing new leaves no trace. Returns what was done per table, and the gaps.
    """
    incoming = landing / "incoming"
    manifests = sorted(incoming.glob("*/*.json"))
    clean(manifests, suppressed(connection))
    landed: list[Landed] = []
    gaps: list[Gap] = []
    by_table: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for ledger in LEDGERS:
        ensure(connection, ledger)
    _account(connection, manifests)
    for manifest in manifests:
        platform, stream, _ = manifest.name.split("__")
        by_table[platform, stream].append(manifest)
    for (platform, stream_name), paths in by_table.items():
        connector = platforms()[platform]
        done, missing, kept = _merge_lean(connection, connector, connector.stream(stream_name), paths, now)
        landed.append(done)
        gaps.extend(missing)
        for path in paths:
            _file(path, kept.get(path), landing)
    for folder in incoming.glob("*"):
        shutil.rmtree(folder)
    return landed, gaps


def replay(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime) -> list[Landed]:
    """Rebuild raw and its ledger from the files of `landing/`, run by run in the order of the nights.

    Leaves the files as they are, less those who were erased.
    """
    by_run: dict[tuple[str, str, str, str], list[Path]] = defaultdict(list)
    begun: dict[tuple[str, str, str, str], str] = {}
    clean(sorted(landing.glob("*/*/*/*.json")), suppressed(connection))
    for manifest in sorted(landing.glob("*/*/*/*.json")):
        platform, stream, _ = manifest.name.split("__")
        one = manifest.parts[-3], manifest.parts[-2], platform, stream
        by_run[one].append(manifest)
        # A run's id tells nothing about when it was; two runs of one day are told apart by the instant of asking.
        begun[one] = min(json.loads(manifest.read_text(encoding="utf-8"))["requested_at"], begun.get(one, "~"))
    for ledger in LEDGERS:
        ensure(connection, ledger)
    return [
        _merge(connection, platforms()[one[2]], platforms()[one[2]].stream(one[3]), by_run[one], now)[0]
        for one in sorted(by_run, key=lambda one: (begun[one], one))
    ]


def _merge_lean(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, manifests: Sequence[Path], now: datetime
) -> tuple[Landed, list[Gap], dict[Path, date]]:
    """Merge a large batch in little memory; where that is too little, with as much as DuckDB takes by itself.

    Nothing was written when memory ends, so it begins anew. A small batch needs no bound, and each of its files a buffer of 32 MB.
    """
    if sum(_lines_of(path).stat().st_size for path in manifests) < LARGE_BYTES:
        return _merge(connection, connector, stream, manifests, now)
    connection.execute(f"SET memory_limit='{LEAN_MEMORY}'")
    connection.execute("SET preserve_insertion_order=false")
    try:
        return _merge(connection, connector, stream, manifests, now)
    except duckdb.OutOfMemoryException:
        connection.execute("RESET memory_limit")
        return _merge(connection, connector, stream, manifests, now)
    finally:
        connection.execute("RESET memory_limit")
        connection.execute("RESET preserve_insertion_order")


def _merge(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, manifests: Sequence[Path], now: datetime
) -> tuple[Landed, list[Gap], dict[Path, date]]:
    """One transaction: rows, ledger and marks together. Returns also, for each manifest that told something new, its day."""
    table = raw_table(connector, stream)
    ensure(connection, table)
    told = [json.loads(path.read_text(encoding="utf-8")) | {"lines": str(_lines_of(path))} for path in manifests]
    with transaction(connection):
        _decide(connection, table, stream, told, now)
        counts = {line.lines: line for line in _counted(connection)}
        _write(connection, table, has_changes=any(line.changed for line in counts.values()))
        for institution_id in sorted({line.institution_id for line in counts.values()}):
            days = [line.first_day for line in counts.values() if line.institution_id == institution_id and line.first_day is not None]
            if days:
                mark(connection, table.name, institution_id, min(days))
        entries = [_entry(stream, one, counts.get(one["lines"])) for one in told]
        informative = _enter(connection, connector.platform, stream, entries)
        _set_aside(connection, stream, entries, [_aside_of(path) for path in manifests])
        _note_paid(connection, connector, stream, told)
        new_fields = _note_fields(connection, connector, stream, told)
    kept = {path: entry["day"] for path, entry, is_kept in zip(manifests, entries, informative, strict=True) if is_kept}
    gaps = [
        Gap(*(entry[name] for name in ("institution_id", "platform", "account_id", "stream", "day", "ledger_status", "reason")))
        for entry in entries
        if not entry["is_complete"]
    ]
    landed = Landed(
        table.name,
        received=sum(entry["records"] for entry in entries),
        new=sum(entry["rows_new"] for entry in entries),
        changed=sum(entry["rows_changed"] for entry in entries),
        set_aside=sum(entry["rejected"] + (entry["blanked"] or 0) for entry in entries),
        requests=sum(one.get("requests", 0) for one in told),
        cost_usd=sum((Decimal(one.get("cost_usd", 0)) for one in told), Decimal(0)),
        new_fields=new_fields,
    )
    return landed, gaps, kept


def _set_aside(connection: duckdb.DuckDBPyConnection, stream: Stream, entries: Sequence[Mapping[str, Any]], files: Sequence[Path]) -> None:
    """Keep what could not be used, each record once: what the door set aside, and what landing finds without key or time."""
    if not any(entry["rejected"] or entry["blanked"] for entry in entries):
        return
    names = ("institution_id", "platform", "account_id", "stream", "run_id", "day")
    placed = [{"file": str(path), "lines": entry["lines"]} for entry, path in zip(entries, files, strict=True)]
    manifests = pl.DataFrame([one | {name: entry[name] for name in names} for one, entry in zip(placed, entries, strict=True)])
    there = [str(path) for path in files if path.exists()]
    sources = [
        "SELECT lines, observed_at, 'record' AS field, 'without key or time' AS reason, payload FROM decided WHERE action = 'unkeyed'"
    ]
    if there:
        sources.append(
            "SELECT m.lines, a.observed_at, a.field, a.reason, a.payload FROM read_json($files, format = 'newline_delimited', "
            f"columns = {ASIDE_COLUMNS}, filename = true, maximum_object_size = {MAX_LINE_BYTES}) AS a JOIN manifests AS m ON m.file = a.filename"
        )
    connection.register("manifests", manifests)
    connection.execute(
        f"""
        INSERT INTO {QUARANTINE.name} BY NAME
        SELECT DISTINCT ON ({", ".join(QUARANTINE.key)}) * FROM (
            SELECT m.* EXCLUDE (file, lines), a.observed_at, a.field, a.reason, json_extract_string(a.payload, $key_path) AS record_key,
                   nullif(a.payload::VARCHAR, 'null')::JSON AS payload, md5(coalesce(a.payload::VARCHAR, '')) AS payload_hash
            FROM ({" UNION ALL BY NAME ".join(sources)}) AS a JOIN manifests AS m USING (lines)
        ) AS n WHERE NOT EXISTS (FROM {QUARANTINE.name} AS q WHERE {" AND ".join(f"q.{name} = n.{name}" for name in QUARANTINE.key)})
        ORDER BY ALL
        """,
        {"key_path": f"$.{stream.kind.key}"} | ({"files": there} if there else {}),
    )
    connection.unregister("manifests")


def _account(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Path]) -> None:
    """Enter what was used of the day's allowance; landed twice it is entered once."""
    names = ("institution_id", "platform", "account_id", "stream", "run_id", "window_start", "window_end", "requested_at")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
    used = [
        {name: one[name] for name in names} | {"requests": one["requests"], "cost_usd": Decimal(one["cost_usd"])}
        for one in told
        if one.get("requests")
    ]
    if not used:
        return
    connection.register("used", pl.DataFrame(used, schema_overrides={"cost_usd": pl.Decimal(12, 4)}))
    times = ", ".join(f"{name}::TIMESTAMPTZ AS {name}" for name in names[-3:])
    with transaction(connection):
        connection.execute(
            f"INSERT INTO {SPENDING.name} BY NAME SELECT u.* FROM (SELECT * REPLACE ({times}) FROM used) AS u "
            f"ANTI JOIN {SPENDING.name} USING ({', '.join(SPENDING.key)})"
        )
    connection.unregister("used")


def _note_paid(connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, told: Sequence[Mapping[str, Any]]) -> None:
    """Remember which records were paid for, as long as they may be read again on the same day."""
    if stream.price_usd is free:
        return
    latest = max(datetime.fromisoformat(one["requested_at"]) for one in told)
    connection.execute(f"DELETE FROM {PAID_RECORD.name} WHERE paid_at < ?", [latest - PAID_FOR])
    connection.execute(
        f"INSERT INTO {PAID_RECORD.name} SELECT DISTINCT institution_id, ?, ?, record_key, requested_at FROM decided WHERE record_key IS NOT NULL "
        f"EXCEPT FROM {PAID_RECORD.name}",
        [connector.platform, stream.name],
    )


def _note_fields(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, told: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Remember which members records have, and return those that are new in a stream that was known already."""
    where = [connector.platform, stream.name]
    known = {
        (institution_id, field)
        for institution_id, field in connection.execute(
            f"SELECT institution_id, field FROM {FIELD.name} WHERE platform = ? AND stream = ?", where
        ).fetchall()
    }
    new = {(one["institution_id"], field): one["observed_at"] for one in told for field in one.get("fields", ())}
    new = {pair: at for pair, at in new.items() if pair not in known}
    if not new:
        return ()
    connection.executemany(
        f"INSERT INTO {FIELD.name} VALUES (?, ?, ?, ?, ?)", [[one, *where, field, at] for (one, field), at in sorted(new.items())]
    )
    begun = {institution_id for institution_id, _ in known}
    return tuple(sorted({field for institution_id, field in new if institution_id in begun}))


def _write(connection: duckdb.DuckDBPyConnection, table: Table, *, has_changes: bool) -> None:
    """Bring what was decided into the table. What is all new is only added: merging it costs a fifth more, and 300 MB a million (measured)."""
    names = ", ".join(table.names)
    if not has_changes:
        connection.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM decided WHERE action = 'new'")
        return
    values = ", ".join(f"b.{name}" for name in table.names)
    updates = ", ".join(f"{name} = b.{name}" for name in table.names if name not in table.key)
    connection.execute(
        f"MERGE INTO {table.name} AS t USING (FROM decided WHERE action IN ('new', 'changed')) AS b ON {_same_key(table)} "
        f"WHEN MATCHED THEN UPDATE SET {updates} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )


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


INSTANTS = ("requested_at", "observed_at", "window_start", "window_end")


def _decide(connection: duckdb.DuckDBPyConnection, table: Table, stream: Stream, told: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Leave the temporary table `decided`: each record of the batch and what to do with it: new, changed, same, or unkeyed.

    Of several snapshots on one day the one nearest to the day's end is kept, so that a later rerun shifts nothing.
    Nearly no batch holds a record twice. Ranking those that do costs a million records 700 MB and a third of the time (measured), so
    it is counted first, and ranked only where it must be.
    """
    is_snapshot = isinstance(stream.kind, Snapshot)
    at_path = f"$.{stream.kind.at}" if isinstance(stream.kind, Event | Daily) else "$"
    manifests = pl.DataFrame(
        [{name: one[name] for name in ("lines", "institution_id", "account_id", "zone", "run_id", *INSTANTS)} for one in told]
    )
    day = "((observed_at - INTERVAL 12 HOUR) AT TIME ZONE zone)::DATE" if is_snapshot else "(happened_at AT TIME ZONE zone)::DATE"
    distance = "abs(epoch(observed_at) - epoch(((day + 1)::TIMESTAMP) AT TIME ZONE zone))" if is_snapshot else "-epoch(observed_at)"
    # Of two equally near the earlier stays, so that the order in which they arrive does not matter.
    kept_distance = "abs(epoch(t.observed_at) - epoch(((t.day + 1)::TIMESTAMP) AT TIME ZONE b.zone))"
    is_nearer = f"(b.distance, b.observed_at) < ({kept_distance}, t.observed_at)" if is_snapshot else "false"
    is_as_near = f"b.observed_at {'=' if is_snapshot else '>='} t.observed_at"
    keys, instants = ", ".join(table.key), ", ".join(f"m.{name}::TIMESTAMPTZ AS {name}" for name in INSTANTS)
    connection.register("manifests", manifests)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE decided AS
        WITH cut AS (
            SELECT m.* REPLACE ({instants}), l.payload, $now::TIMESTAMPTZ AS changed_at,
                   json_extract_string(l.payload, $key_path) AS record_key, md5(l.payload::VARCHAR) AS payload_hash,
                   try_cast(json_extract_string(l.payload, $at_path) AS TIMESTAMPTZ) AS happened_at
            FROM read_json($files, format = 'newline_delimited', columns = {LINE_COLUMNS}, filename = true,
                           maximum_object_size = {MAX_LINE_BYTES}) AS l
            JOIN manifests AS m ON m.lines = l.filename
        ), dated AS (SELECT *, {day} AS day FROM cut
        ), far AS (SELECT *, {distance} AS distance FROM dated
        )
        SELECT b.*, CASE WHEN b.record_key IS NULL OR b.day IS NULL THEN 'unkeyed'
                         WHEN t.record_key IS NULL THEN 'new'
                         WHEN {is_nearer} OR ({is_as_near} AND t.payload_hash <> b.payload_hash) THEN 'changed' ELSE 'same' END AS action
        FROM far AS b LEFT JOIN {table.name} AS t ON {_same_key(table)}
        """,
        {"now": now, "key_path": f"$.{stream.kind.key}", "at_path": at_path, "files": [one["lines"] for one in told]},
    )
    connection.unregister("manifests")
    found = first(connection, f"SELECT count(*), count(DISTINCT hash({keys})) FROM decided WHERE action <> 'unkeyed'")
    if found and found[0] != found[1]:
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE decided AS
            SELECT * EXCLUDE (place) REPLACE (CASE WHEN place > 1 AND action <> 'unkeyed' THEN 'same' ELSE action END AS action) FROM (
                SELECT *, row_number() OVER (PARTITION BY {keys}, action = 'unkeyed' ORDER BY distance, observed_at, payload_hash) AS place
                FROM decided)
            """
        )


def _same_key(table: Table) -> str:
    return " AND ".join(f"t.{name} = b.{name}" for name in table.key)


def _entry(stream: Stream, told: Mapping[str, Any], counted: _Counted | None) -> dict[str, Any]:
    """The ledger's row for one manifest."""
    times = {name: datetime.fromisoformat(told[name]) for name in ("window_start", "window_end", "requested_at", "observed_at")}
    entry = {name: told.get(name) for name in (*FETCH.names, "lines")} | times
    day = snapshot_day(times["observed_at"], told["zone"])
    unkeyed = counted.unkeyed if counted else 0
    if told["is_complete"] and unkeyed and is_red(unkeyed, told["records"]):
        reason = red_reason(stream.name, unkeyed, told["records"], "without key or time")
        entry |= {"is_complete": False, "ledger_status": "missing", "reason": reason}
    return entry | {
        "day": day,
        "day_end": datetime.combine(day + timedelta(days=1), time(), ZoneInfo(told["zone"])),
        "is_extra": told.get("is_extra", False),
        "rejected": told["rejected"] + unkeyed,
        "rows_new": counted.new if counted else 0,
        "rows_changed": counted.changed if counted else 0,
    }


def _enter(connection: duckdb.DuckDBPyConnection, platform: str, stream: Stream, entries: Sequence[dict[str, Any]]) -> list[bool]:
    """Write those rows into the ledger that tell something which it did not know; say for each whether it did.

    The ledger is read once for all windows of the stream: a question for each of eleven windows cost a tenth of a night's landing (measured).
    """
    there = _entered(connection, platform, stream, entries)
    news: list[dict[str, Any]] = []
    told = []
    for entry in entries:
        said = there[entry["institution_id"], entry["account_id"], entry["day"]]
        # A run that died between the commit and the filing: its files are still to be kept.
        is_entered = any(all(entry[name] == one[name] for name in ("run_id", "window_start", "window_end")) for one in said)
        is_news = not is_entered and _tells_something(stream, entry, said)
        if is_news:
            said.append(entry)
            news.append(entry)
        told.append(is_entered or is_news)
    if news:
        places = ", ".join(f"${name}" for name in FETCH.names)
        insert = f"INSERT INTO meta.fetch ({', '.join(FETCH.names)}) VALUES ({places})"
        for entry in news:
            connection.execute(insert, {name: entry[name] for name in FETCH.names})
        for institution_id in sorted({entry["institution_id"] for entry in news}):
            mark(connection, FETCH.name, institution_id, min(entry["day"] for entry in news if entry["institution_id"] == institution_id))
    return told


_TOLD = ("run_id", "window_start", "window_end", "is_complete", "is_last", "ledger_status", "reason", "denied_fields")


def _entered(
    connection: duckdb.DuckDBPyConnection, platform: str, stream: Stream, entries: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str, date], list[dict[str, Any]]]:
    """What the ledger holds of the entries' days, by institution, account and day."""
    found = connection.execute(
        f"SELECT institution_id, account_id, day, {', '.join(_TOLD)} FROM meta.fetch WHERE platform = ? AND stream = ? AND list_contains(?, day)",
        [platform, stream.name, sorted({entry["day"] for entry in entries})],
    ).fetchall()
    there: dict[tuple[str, str, date], list[dict[str, Any]]] = defaultdict(list)
    for institution_id, account_id, day, *told in found:
        there[institution_id, account_id, day].append(dict(zip(_TOLD, told, strict=True)))
    return there


def _tells_something(stream: Stream, entry: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> bool:
    """New rows; or a day that was not known whole; or a failure that was not told yet."""
    if entry["is_extra"] or entry["rows_new"] + entry["rows_changed"] > 0:
        return True
    is_known = any(
        one["is_complete"] and one["denied_fields"] == entry["denied_fields"] and _is_as_much(stream, entry, one) for one in said
    )
    is_told = any((one["ledger_status"], one["reason"]) == (entry["ledger_status"], entry["reason"]) for one in said)
    return not (is_known or (is_told and not entry["is_complete"]))


def _is_as_much(stream: Stream, entry: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """A snapshot that was read to its end; or events up to the day's end: an hourly fetch at noon does not reach it."""
    if isinstance(stream.kind, Snapshot):
        return bool(one["is_last"])
    reaches = one["window_end"] >= entry["day_end"] or entry["window_end"] < entry["day_end"]
    return bool(one["window_start"] <= entry["window_start"] and reaches)


def _lines_of(manifest: Path) -> Path:
    """The file of lines that belongs to a manifest: plain while incoming, compressed when filed."""
    plain = manifest.with_suffix(".ndjson")
    return plain if plain.exists() else manifest.with_suffix(".ndjson.gz")


def _aside_of(manifest: Path) -> Path:
    """The file of what could not be used of a window; it need not be there."""
    plain = manifest.with_suffix(".aside.ndjson")
    return plain if plain.exists() else manifest.with_suffix(".aside.ndjson.gz")


def _file(manifest: Path, day: date | None, landing: Path) -> None:
    """Move a manifest and its lines to `landing/<institution>/<day>/<run>/`; drop them when they told nothing new (`day` None)."""
    files = [path for path in (_lines_of(manifest), _aside_of(manifest)) if path.exists()]
    if day is not None:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        folder = landing / told["institution_id"] / day.isoformat() / told["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            _pack(path, folder / f"{path.name}.gz")
        shutil.copy2(manifest, folder / manifest.name)
    # Lines without a manifest are left over; a manifest without lines would be read.
    manifest.unlink()
    for path in files:
        path.unlink()


def _pack(path: Path, target: Path) -> None:
    """Compress a file. No time stamp inside, so that the same night gives the same bytes."""
    with (
        path.open("rb") as source,
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=PACKING, mtime=0, filename="") as packed,
    ):
        shutil.copyfileobj(source, packed)
