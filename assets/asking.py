"""What is asked of whom: the windows that are due, the budgets that bound them, and the fetch of them all at once into files.

Not here: HTTP itself (connectors/) and what becomes of the files (raw.py).
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from assets.ledgers import LEDGERS, METRIC, snapshot_day
from connectors.budget import Allowance, DayBudget
from connectors.fetch import Fetched, fetch_window, resume_at
from connectors.http import Door, Hosts, WaitingBudget
from connectors.metrics import Refusal
from connectors.registry import platforms
from connectors.streams import Account, Connector, Snapshot, Stream, Window, days_floor, floor, tile, tile_days, uncovered
from connectors.wire import Wires
from pipelines.warehouse import ensure, first

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.privacy import Pseudonyms

LOGGER = logging.getLogger("tolok")
Who = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What an institution wants to be asked: its accounts, its zone, how far back the first time, and its bounds by platform."""

    accounts: Sequence[Account]
    zone: str
    history: timedelta
    allowances: Mapping[str, Allowance]

    def allowance(self, platform: str) -> Allowance:
        """The bounds on a platform: the institution's own, else the platform's."""
        return self.allowances.get(platform, platforms()[platform].allowance)


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
    """One stream of one account, the windows that are due, and the metrics that the platform was found to have retired."""

    connector: Connector
    stream: Stream
    account: Account
    zone: str
    due: tuple[Due, ...]
    budget: DayBudget
    refused: tuple[Refusal, ...] = ()

    @property
    def who(self) -> Who:
        return self.account.institution_id, self.connector.platform, self.account.account_id, self.stream.name

    @property
    def is_rest(self) -> bool:
        """It goes on with lists that an earlier run left, or is a backfill."""
        return all(due.is_extra for due in self.due)


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
        if stream.day_zone is not None:
            # Of the last days too little was told then, or nothing: the nights that were missed would have asked for them again.
            start = min(start, fetched_until - stream.restates + timedelta(days=1))
    start = max(start, _begins(stream, now))
    if stream.align is not None:
        start = floor(start, stream.align)
    if stream.day_zone is not None:
        return _whole_days(stream, stream.day_zone, start, now)
    if stream.newest_first is not None or stream.paging is None:
        return (Window(start, now),)
    return tuple(tile(start, now, stream.window))


def _begins(stream: Stream, now: datetime) -> datetime:
    """The instant before which the platform gives nothing."""
    kept = now - stream.retention if stream.retention is not None else datetime.min.replace(tzinfo=UTC)
    return max(kept, stream.earliest) if stream.earliest is not None else kept


def _whole_days(stream: Stream, zone: str, start: datetime, end: datetime) -> tuple[Window, ...]:
    """The windows between two instants by whole days that have ended; at least the last of them, so that every night asks."""
    end = days_floor(end, zone)
    return tuple(tile_days(min(days_floor(start, zone), days_floor(end - timedelta(hours=1), zone)), end, stream.window.days, zone))


def backfill_due(stream: Stream, first: datetime, end: datetime, now: datetime, known: Iterable[Window]) -> tuple[Due, ...]:
    """The windows between two instants that no complete answer covers yet, oldest first: run again, it goes on where it stopped.

    A single record tells nothing of the past, and what the platform no longer gives is left out.
    """
    if stream.paging is None:
        return ()
    first = max(first, _begins(stream, now))
    if stream.align is not None:
        first = floor(first, stream.align)
    if stream.day_zone is not None:
        first, end = days_floor(first, stream.day_zone), days_floor(min(end, now), stream.day_zone)
    left = uncovered(Window(first, min(end, now)), known) if first < min(end, now) else []
    if not left:
        return ()
    if stream.day_zone is not None:
        whole = (piece for one in left for piece in _whole_days(stream, stream.day_zone, one.start, one.end))
        return tuple(Due(piece, is_extra=True) for piece in whole)
    if not _takes_an_end(stream):
        # Each of several windows would be read from its beginning up to now, or from now down to it.
        left = [Window(left[0].start, left[-1].end)]
    pieces = [piece for one in left for piece in tile(one.start, one.end, stream.window)] if _takes_an_end(stream) else left
    return tuple(Due(piece, resume_at(stream, piece.end) if piece.end < now else None, is_extra=True) for piece in pieces)


def _takes_an_end(stream: Stream) -> bool:
    return (stream.resume is not None and stream.resume.is_time) or any(
        place in value for value in stream.params.values() for place in ("{window_end", "{last_day}")
    )


def plan(  # noqa: PLR0913
    connection: duckdb.DuckDBPyConnection,
    wishes: Mapping[str, Wish],
    now: datetime,
    selected: Callable[[Connector, Stream], bool],
    span: tuple[date, date] | None = None,
    ahead: Mapping[Who, datetime] | None = None,
) -> list[Job]:
    """What is to be asked of whom, from the ledger of what came before.

    Args:
        connection: the warehouse, for its ledgers.
        wishes: by institution id.
        now: the instant of asking.
        selected: which streams.
        span: first and last day of a backfill, in each institution's zone; None: a night.
        ahead: until when streams were read by fetches that the ledger does not know yet.
    """
    for table in LEDGERS:
        ensure(connection, table)
    until = _read_until(connection) | dict(ahead or {})
    rests, refused = _rests(connection), _refused(connection)
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
                jobs += [
                    Job(connector, stream, account, wish.zone, tuple(piece), budgets[account.platform], refused.get(who, ()))
                    for piece in pieces
                    if piece
                ]
    return jobs


WHO = "institution_id, platform, account_id, stream"


class _Rest(NamedTuple):
    """What a budget's end left of a list."""

    window: Window
    resume_from: str
    is_last: bool
    day: date


def _night_due(stream: Stream, wish: Wish, now: datetime, until: datetime | None, rests: Sequence[_Rest]) -> tuple[Due, ...]:
    """First what earlier runs left, then the night's own windows. On the same snapshot day the rest alone makes the day whole."""
    begins = _begins(stream, now)
    left = [rest._replace(window=Window(max(rest.window.start, begins), rest.window.end)) for rest in rests]
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


def _refused(connection: duckdb.DuckDBPyConnection) -> dict[Who, tuple[Refusal, ...]]:
    """The metrics that are not asked for again until the register's entry changes. What was not permitted is: somebody may have mended it."""
    found = connection.execute(f"SELECT {WHO}, metric, kind, entry FROM {METRIC.name} WHERE status = 'retired' ORDER BY ALL").fetchall()
    by_stream: dict[Who, list[Refusal]] = defaultdict(list)
    for *who, metric, kind, entry in found:
        by_stream[who[0], who[1], who[2], who[3]].append(Refusal(metric, kind, "retired", entry))
    return {who: tuple(refusals) for who, refusals in by_stream.items()}


def _complete(connection: duckdb.DuckDBPyConnection, who: Who) -> list[Window]:
    found = connection.execute(
        f"SELECT window_start, window_end FROM meta.fetch WHERE is_complete AND ({WHO}) = (?, ?, ?, ?)", list(who)
    ).fetchall()
    return [Window(*row) for row in found]


def _budget(connection: duckdb.DuckDBPyConnection, institution_id: str, platform: str, wish: Wish, now: datetime) -> DayBudget:
    """What is left of the platform's day, after what earlier runs of the same day used."""
    allowance = wish.allowance(platform)
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
    """Fetch every job, all platforms at once, each job into files of its own under `incoming/<run_id>/`. No database is open meanwhile.

    Raises:
        ExceptionGroup: faults of ours (not of a platform), after every other job has ended and its files are safe.
    """
    folder = incoming / run_id
    folder.mkdir(parents=True, exist_ok=True)
    hosts, budget = Hosts(), WaitingBudget(waiting_s)
    bugs: list[Exception] = []
    LOGGER.info("fetch", extra={"facts": {"streams": len(jobs)}})
    # First what earlier runs left: one account's newest could use up the platform's day, night after night, before another's rest.
    rests = Counter(job.connector.platform for job in jobs if job.is_rest)
    held = [(number, job) for number, job in enumerate(jobs) if rests[job.connector.platform] and not job.is_rest]
    begun = [(number, job) for number, job in enumerate(jobs) if job.is_rest or not rests[job.connector.platform]]
    running: dict[Future[None], Job] = {}
    with Wires() as wires, Pools() as pools:
        try:
            while begun or running:
                for number, job in begun:
                    running[pools.of(job).submit(_fetch_job, job, folder, number, run_id, pseudonyms, clock, wires, hosts, budget)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    if (bug := future.exception()) is not None:
                        if not isinstance(bug, Exception):
                            raise bug  # noqa: TRY301 whatever ends the loop ends the others
                        bugs.append(bug)
                    rests[job.connector.platform] -= job.is_rest
                    progress(f"{job.account.label} {job.stream.name}")
                begun = [(number, job) for number, job in held if not rests[job.connector.platform]]
                held = [(number, job) for number, job in held if rests[job.connector.platform]]
        except BaseException:
            # Told to stop: no list is begun, those under way end at their next page, and what came is landed.
            budget.stop()
            clock.wake()
            pools.cancel()
            raise
    if bugs:
        message = "Some streams could not be fetched because of a fault in Tolok; the others were."
        raise ExceptionGroup(message, bugs)


class Pools(ExitStack):
    """Threads for each host of a platform, as many as it lets through: whom one makes wait holds no thread of another."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[tuple[str, str], ThreadPoolExecutor] = {}

    def of(self, job: Job) -> ThreadPoolExecutor:
        where = job.connector.platform, job.account.base_url
        if where not in self._pools:
            threads = ThreadPoolExecutor(job.connector.limits.concurrent, thread_name_prefix=f"tolok-fetch-{job.connector.platform}")
            self._pools[where] = self.enter_context(threads)
        return self._pools[where]

    def cancel(self) -> None:
        """Begin nothing more."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _fetch_job(  # noqa: PLR0913
    job: Job,
    folder: Path,
    number: int,
    run_id: str,
    pseudonyms: Pseudonyms,
    clock: Clock,
    wires: Wires,
    hosts: Hosts,
    budget: WaitingBudget,
) -> None:
    with wires.of(job.account) as wire:
        door = Door(
            job.account, job.connector.limits, hosts, clock, budget,
            spend=job.budget.request, exhaust=job.budget.exhaust, judge=job.connector.judge, wire=wire,
        )  # fmt: skip
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
                    if part:
                        here.with_suffix(".ndjson").touch()
                    spent = (0, Decimal(0)) if part else (requests, fetched.cost_usd)
                    _write_manifest(
                        here.with_suffix(".json"), job, piece, run_id, is_last=is_last, is_extra=due.is_extra or bool(part), spent=spent
                    )
                # What an earlier night left may be gone for good; tonight's counters are not to be lost for it.
                if not fetched.is_complete and (fetched.is_budget_spent or not due.is_extra):
                    return
        finally:
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
    with lines.open("wb") as file, _Late(aside) as left:
        fetched = fetch_window(
            job.stream, job.account, due.window, door, pseudonyms, clock, file.write,
            budget=job.budget, set_aside=left.write, resume_from=due.resume_from, refused=job.refused,
        )  # fmt: skip
    if left.is_begun:
        aside.rename(stem.with_suffix(".aside.ndjson"))
    lines.rename(stem.with_suffix(".ndjson"))
    return fetched


class _Late(ExitStack):
    """A file that is there only once something is written into it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: BinaryIO | None = None

    @property
    def is_begun(self) -> bool:
        return self._file is not None

    def write(self, lines: bytes) -> None:
        if self._file is None:
            self._file = self.enter_context(self._path.open("wb"))
        self._file.write(lines)


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
        **{one.name: getattr(fetched, one.name) for one in fields(fetched)},
        "window_start": fetched.window.start,
        "window_end": fetched.window.end,
        "denied_fields": sorted(fetched.denied_fields),
        "retired_fields": sorted(fetched.retired_fields),
        "refusals": [asdict(one) for one in fetched.refusals],
        "fields": sorted(fetched.fields),
        "requests": spent[0],
        "cost_usd": spent[1],
    }
    for name in ("window", "reached", "is_budget_spent"):
        del content[name]
    part = path.with_suffix(".json.part")
    part.write_bytes(msgspec.json.format(json.dumps(content, default=_as_text).encode(), indent=1))
    part.rename(path)


def _as_text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
