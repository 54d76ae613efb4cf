"""Runs the declarations: asks a stream window by window and page by page, minimises each record, hands on lines of JSON.

Not here: sessions and retries (http.py), which windows are due (assets/asking.py), and any database.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from connectors import fitness
from connectors.beside import Completer, refused_of
from connectors.failures import BudgetSpent, DoorError, Gone, MetricRefused, NotPermitted, PagingLoop, PermanentFailure, TemporaryFailure
from connectors.metrics import Refusal, Register
from connectors.paging import Answer, Request
from connectors.privacy import Pseudonyms, is_by_erased, minimise
from connectors.streams import Event

if TYPE_CHECKING:
    from connectors.budget import DayBudget
    from connectors.clock import Clock
    from connectors.http import Door
    from connectors.streams import Account, Stream, Window

Write = Callable[[bytes], object]
# What an error may tell of itself: words, never what a platform might echo into them.
PLAIN_TITLE = re.compile(r"[A-Za-z][A-Za-z '-]{0,60}")
PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,60}")
# A circle of pages is far shorter than this, and a million remembered records weigh 90 MB (measured).
REMEMBERED = 100_000
# Larger than anything that a platform calls a post by a factor of ten; whoever reads the lines keeps a buffer of twice this per file.
MAX_RECORD_BYTES = 2 * 2**20
UNREADABLE = fitness.Unfit("", "the record is no object that can be read, or larger than 2 MB", is_whole=True)
NOT_AUTHORISED = "/not-authorized-for-resource"
NOT_AUTHORISED_FOR_FIELD = "/not-authorized-for-field"


class Fate(Enum):
    """What becomes of a record that is not written: it is older than the window, it is not this list's, or it is set aside."""

    OLDER = auto()
    LEFT_OUT = auto()
    SET_ASIDE = auto()


@dataclass(slots=True)
class Fetched:
    """What became of one window of one stream of one account.

    `is_complete` is True when the list was read to its end; only then do absent records mean deleted ones.
    `reason` says, in the user's words, why it is not complete; `denied_fields` are fields that the token may not read, `retired_fields` such as
    the platform gives no more. `refusals` are the metrics that it refused this time.
    `rejected` records could not be placed, of others single `blanked` values were no counts; both are set aside, with the reason.
    `reached` and `resume_from` are there when a budget ended the list on the way: how far down it was read, and what asks for the rest.
    `fields` are the names of all that the records held.
    """

    window: Window
    requested_at: datetime
    observed_at: datetime
    is_complete: bool = False
    ledger_status: str = "fetched"
    reason: str | None = None
    records: int = 0
    rejected: int = 0
    blanked: int = 0
    pages: int = 0
    cost_usd: Decimal = Decimal(0)
    denied_fields: set[str] = field(default_factory=set)
    retired_fields: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)
    is_budget_spent: bool = False
    reached: datetime | None = None
    resume_from: str | None = None


def places(stream: Stream, account: Account, window: Window) -> dict[str, str]:
    """What is filled into the addresses and parameters of a stream, by name."""
    zone = ZoneInfo(stream.day_zone or "UTC")
    options = {name: str(account.options.get(name, "")) for name in ("api_version",)}
    return {
        "account_id": quote(account.account_id, safe=""),
        "window_start": _iso(window.start),
        "window_end": _iso(window.end),
        "window_start_s": str(int(window.start.timestamp())),
        "window_end_s": str(int(window.end.timestamp())),
        "first_day": window.start.astimezone(zone).date().isoformat(),
        "last_day": (window.end - timedelta(seconds=1)).astimezone(zone).date().isoformat(),
        "handle": account.handle,
        **options,
    }


def first_request(stream: Stream, account: Account, window: Window, resume_from: str | None = None) -> Request:
    """The request that opens a window: the declaration with its places filled in, below `resume_from` where a list is gone on with."""
    filled = places(stream, account, window)
    path = stream.request.removeprefix("GET ").format(**filled)
    params = {name: value.format(**filled) for name, value in {**stream.params, **stream.account_params(account)}.items()}
    if stream.resume is not None and resume_from is not None:
        params[stream.resume.param] = resume_from
    return Request(account.address(stream.api) + path, tuple(params.items()))


def resume_at(stream: Stream, end: datetime) -> str | None:
    """What asks a stream for a span that ended in the past: only lists that take a time can be asked so."""
    return _iso(end) if stream.resume is not None and stream.resume.is_time else None


def _nowhere(lines: bytes) -> None:
    del lines


def fetch_window(  # noqa: PLR0913 the things that a fetch needs, none of them derivable
    stream: Stream,
    account: Account,
    window: Window,
    door: Door,
    pseudonyms: Pseudonyms,
    clock: Clock,
    write: Write,
    *,
    budget: DayBudget | None = None,
    set_aside: Write = _nowhere,
    resume_from: str | None = None,
    refused: Iterable[Refusal] = (),
) -> Fetched:
    """Read one window to its end, writing one line per record: `{"requested_at", "observed_at", "payload"}`.

    What cannot be used goes to `set_aside`, likewise with `field` and `reason`. A failure in mid-window keeps what came and says so in the
    result; it is never raised. `refused` are metrics that earlier runs found to be retired.
    """
    begun = clock.now()
    fetched = Fetched(window, requested_at=begun, observed_at=begun)
    if account.fault is not None:
        fetched.ledger_status, fetched.reason = NotPermitted.ledger_status, account.fault
        return fetched
    register = Register(stream.metrics, begun.date(), refused)
    reading = _Reading(stream, account, pseudonyms, fetched, write, set_aside)
    asking = _Asking(stream, account, door, register, window)
    try:
        try:
            _read_pages(first_request(stream, account, window, resume_from), reading, asking, budget)
        except Gone:
            if resume_from is None or fetched.pages or stream.resume is None or not stream.resume.cursor:
                raise
            # The page's name did not live until tonight: the list is read from its beginning.
            _read_pages(first_request(stream, account, window), reading, asking, budget)
    except BudgetSpent as end:
        fetched.ledger_status, fetched.reason = end.ledger_status, str(end)
        fetched.is_budget_spent = True
        fetched.reached, fetched.resume_from = reading.place
        if not fetched.pages and resume_from is None:
            # Not begun at all: the whole span is left, and tomorrow's own begins a day later.
            fetched.resume_from = resume_at(stream, window.end)
    except DoorError as failure:
        fetched.ledger_status, fetched.reason = failure.ledger_status, str(failure)
    else:
        fetched.is_complete = True
        reading.judge()
    fetched.denied_fields |= register.missing("not_permitted")
    fetched.retired_fields |= register.missing("retired")
    fetched.refusals = register.news
    return fetched


class _Asking:
    """The questions of one window: its pages, with the metrics that may be asked for, and what completes their records."""

    def __init__(self, stream: Stream, account: Account, door: Door, register: Register, window: Window) -> None:
        self._stream = stream
        self._door = door
        self._register = register
        self._filled = places(stream, account, window)
        self._since = window.start - stream.parents_back
        self._completer = Completer(stream, account, door, register)
        self._is_by_name = bool(stream.metrics) and stream.beside is None

    def page(self, request: Request) -> list[Answer]:
        """The answer to one page's request; several where a refused metric made it two."""
        if not self._is_by_name:
            return [self._door.get(request)]
        metrics = self._register.wanted()
        return self._named(request, metrics) if metrics else []

    def _named(self, request: Request, metrics: Sequence[str]) -> list[Answer]:
        answers: list[Answer] = []

        def ask(some: Sequence[str]) -> DoorError | None:
            try:
                answers.append(self._door.get(request.with_params(**{self._stream.metrics_param: ",".join(some)})))
            except MetricRefused as failure:
                return failure
            self._register.answered(some)
            return None

        if (failure := ask(metrics)) is not None:
            found = refused_of(metrics, ask)
            if len(found) == len(metrics) > 1:
                raise failure
            for metric, status in found.items():
                self._register.refuse(metric, "", status)
        return answers

    def completed(self, records: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """The page's records with what is asked beside them. What cannot be read, or is older than the window, stays as it is."""
        stream = self._stream
        if stream.beside is None and stream.by_id is None and stream.nested is None:
            return records
        decoded = [(raw, _decoded(raw)) for raw in records]
        if stream.by_id is not None:
            unreadable = [raw for raw, record in decoded if record is None]
            whole = self._completer.complete([record for _, record in decoded if record is not None], self._filled)
            return [*unreadable, *(msgspec.Raw(msgspec.json.encode(record)) for record in whole)]
        wanted = {place: record for place, (_, record) in enumerate(decoded) if record is not None and not self._is_older(record)}
        self._completer.complete(list(wanted.values()), self._filled)
        # In the list's own order: at its last record it is left.
        return [msgspec.Raw(msgspec.json.encode(wanted[place])) if place in wanted else raw for place, raw in enumerate(records)]

    def _is_older(self, record: Mapping[str, Any]) -> bool:
        """It will not be written, so its numbers need not be asked for."""
        happened = fitness.instant(fitness.member(record, self._stream.newest_first)) if self._stream.newest_first else None
        return happened is not None and happened < self._since


def _read_pages(request: Request | None, reading: _Reading, asking: _Asking, budget: DayBudget | None) -> None:
    """Follow the pages; a request that was made before, or more pages than the stream allows, is a loop."""
    stream, fetched = reading.stream, reading.fetched
    asked: set[Request] = set()
    while request is not None:
        if request in asked or len(asked) >= stream.max_pages:
            message = f"{stream.name}: the platform's paging goes in a circle (after {len(asked)} pages). What came is kept."
            raise PagingLoop(message)
        asked.add(request)
        answer, records = _one_page(request, reading, asking, budget)
        if answer is None:
            return
        _note_partial_errors(answer, records, stream, fetched)
        if reading.is_past_the_window or stream.paging is None:
            return
        request = stream.paging(request, replace(answer, records=len(records)))
        reading.mark_page(answer)


def _one_page(request: Request, reading: _Reading, asking: _Asking, budget: DayBudget | None) -> tuple[Answer | None, list[msgspec.Raw]]:
    """One answer, its records written; its price is set aside before it is asked for, and settled whatever comes of it.

    Returns no answer where nothing of what the list gives may be asked for any more.
    """
    stream, fetched = reading.stream, reading.fetched
    price_usd = stream.price_usd(reading.account)
    reserved_usd = budget.reserve(price_usd, stream.page_size) if budget else Decimal(0)
    reading.turn_page()
    try:
        answers = asking.page(request)
        fetched.pages += 1
        cut = [record for answer in answers for record in _cut(answer, stream)]
        reading.take(asking.completed(cut))
    finally:
        if budget:
            fetched.cost_usd += budget.settle(reserved_usd, price_usd, stream.name, reading.keys, reading.unnamed)
    return answers[0] if answers else None, cut


def _cut(answer: Answer, stream: Stream) -> list[msgspec.Raw]:
    """The records of a page, undecoded. A list that is absent is an empty one; a single record is a list of one.

    Raises:
        TemporaryFailure: where a list was asked for stands something else, which some platforms answer with a 200 when they fail.
    """
    message = f"{stream.name}: the platform answered with something else than what was asked for."
    if stream.records:
        if stream.records not in answer.top and "error" in answer.top:
            raise TemporaryFailure(message)
        raw = answer.top.get(stream.records, msgspec.Raw(b"null"))
        start = bytes(raw).lstrip()[:1]
        return msgspec.json.decode(raw, type=list[msgspec.Raw]) if start == b"[" else [raw] if start == b"{" else []
    if answer.items is not None:
        return answer.items
    if stream.unfold is not None:
        return [msgspec.Raw(answer.body)]
    if stream.paging is not None or stream.kind.key.partition(".")[0] not in answer.top:
        raise TemporaryFailure(message)
    return [msgspec.Raw(answer.body)]


def _note_partial_errors(answer: Answer, records: list[msgspec.Raw], stream: Stream, fetched: Fetched) -> None:
    """Read what a 200 says that it could not give. Single things may be gone or hidden: then the list is whole without them.

    Raises:
        NotPermitted, PermanentFailure: the errors stand in place of the list, or of the one record that was asked for.
        TemporaryFailure: an error that names no single thing, beside records: some may be missing.
    """
    found = answer.member(stream.partial_errors) if stream.partial_errors else None
    errors = [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []
    types = [str(error.get("type", "")) for error in errors]
    for error, type_ in zip(errors, types, strict=True):
        if type_.endswith(NOT_AUTHORISED_FOR_FIELD):
            name = str(error.get("field") or error.get("parameter")).partition(".")[0]
            fetched.denied_fields.add(name if PLAIN_NAME.fullmatch(name) else "unnamed")
    if not records and (stream.paging is None or (errors and stream.records not in answer.top and "meta" not in answer.top)):
        said = "".join(sorted({f" ({error['title']})" for error in errors if PLAIN_TITLE.fullmatch(str(error.get("title") or ""))}))
        message = f"{stream.name}: the platform gave nothing of what was asked for{said}."
        raise NotPermitted(message) if any(type_.endswith(NOT_AUTHORISED) for type_ in types) else PermanentFailure(message)
    if any(not {"resource_id", "resource_type", "value"} & error.keys() for error in errors):
        message = f"{stream.name}: the platform says that it could not give everything. What came is kept."
        raise TemporaryFailure(message)


class _Reading:
    """One window while it is read: its records become lines, and what cannot be used is set aside."""

    def __init__(  # noqa: PLR0913
        self, stream: Stream, account: Account, pseudonyms: Pseudonyms, fetched: Fetched, write: Write, set_aside: Write
    ) -> None:
        self.stream = stream
        self.account = account
        self.fetched = fetched
        self.keys: list[str] = []
        self.unnamed = 0
        self.is_past_the_window = False
        self.place: tuple[datetime | None, str | None] = (None, None)
        self._reached: datetime | None = None
        self._pseudonyms = pseudonyms
        self._write = write
        self._set_aside = set_aside
        self._seen: set[int] = set()
        self._shapes: set[tuple[object, ...]] = set()
        self._reasons: Counter[str] = Counter()
        self._unfit = 0
        self._stamp = b'"requested_at":"%s","observed_at":"%s"' % (
            _iso(fetched.requested_at).encode(),
            _iso(fetched.observed_at).encode(),
        )
        self._is_untouched = (
            stream.private is None and stream.newest_first is None and stream.leave_out is None and not stream.counts and not stream.unfold
        )

    def turn_page(self) -> None:
        """Forget which records the last page named."""
        self.keys, self.unnamed = [], 0

    def take(self, records: list[msgspec.Raw]) -> None:
        """Write the page's lines, and see whether a newest-first list has left the window: its last record is older.

        Raises:
            PagingLoop: nothing on the page is new.
        """
        if self._is_untouched:
            written, last = list(map(bytes, records)), None
            if written and max(map(len, written)) > MAX_RECORD_BYTES:
                for _ in range(sum(len(payload) > MAX_RECORD_BYTES for payload in written)):
                    self._note(None, [UNREADABLE])
                written = [payload for payload in written if len(payload) <= MAX_RECORD_BYTES]
        else:
            found = list(map(self._payloads, records))
            payloads = [payload for one in found for payload in one]
            written, last = (
                [payload for payload in payloads if not isinstance(payload, Fate)],
                found[-1][-1] if found and found[-1] else None,
            )
        if len(self._seen) > REMEMBERED:
            self._seen.clear()
        before = len(self._seen)
        self._seen.update(map(hash, written))
        if written and len(self._seen) == before:
            message = f"{self.stream.name}: the platform gave the same page again under another address. What came is kept."
            raise PagingLoop(message)
        # NDJSON: inside JSON strings a bare newline is not allowed, so those between tokens are all there are.
        self._write(
            b"".join(b'{%s,"payload":%s}\n' % (self._stamp, payload.replace(b"\n", b" ").replace(b"\r", b" ")) for payload in written)
        )
        self.fetched.records += len(written)
        self.is_past_the_window = last is Fate.OLDER

    def judge(self) -> None:
        """Of a list that was read to its end: so many unfit records that it has not arrived after all?"""
        told = self.fetched
        if fitness.is_red(self._unfit, told.records + told.rejected):
            most, _ = self._reasons.most_common(1)[0]
            told.is_complete, told.ledger_status = False, TemporaryFailure.ledger_status
            told.reason = red_reason(self.stream.name, self._unfit, told.records + told.rejected, most)

    def mark_page(self, answer: Answer) -> None:
        """Where pages are named by a cursor, the next one's name is what asks for the rest."""
        resume = self.stream.resume
        if resume is not None and resume.cursor:
            cursor = answer.member(resume.cursor)
            # What is unfolded may be younger than what it hangs on: until the list's end no span of it is whole.
            reached = self.fetched.window.end if self.stream.parents_back and self._reached is not None else self._reached
            self.place = (reached, str(cursor)) if cursor and reached is not None else (None, None)

    def _payloads(self, raw: msgspec.Raw) -> list[bytes | Fate]:
        """The records that one thing of the list becomes, as they are written, or why they are not."""
        stream = self.stream
        record = None if len(memoryview(raw)) > MAX_RECORD_BYTES else _decoded(raw)
        if record is None:
            self.unnamed += 1
            self._note(None, [UNREADABLE])
            return [Fate.SET_ASIDE]
        if stream.unfold is None:
            return [self._payload(record)]
        happened = self._happened(record)
        if happened is not None and happened < self.fetched.window.start - stream.parents_back:
            return [Fate.OLDER]
        self._mark_place(record)
        found = [self._payload(one, is_unfolded=True) for one in stream.unfold(record, self.fetched.window)]
        return [Fate.LEFT_OUT if one is Fate.OLDER else one for one in found]

    def _happened(self, record: dict[str, Any]) -> datetime | None:
        return fitness.instant(fitness.member(record, self.stream.newest_first)) if self.stream.newest_first else None

    def _payload(self, record: dict[str, Any], *, is_unfolded: bool = False) -> bytes | Fate:
        """The record as it is written, or why it is not."""
        stream = self.stream
        self._name(record)
        happened = fitness.instant(fitness.member(record, stream.kind.at)) if is_unfolded and isinstance(stream.kind, Event) else None
        happened = happened if is_unfolded else self._happened(record)
        if happened is not None and happened < self.fetched.window.start:
            return Fate.OLDER
        if stream.leave_out is not None and stream.leave_out(record):
            return Fate.LEFT_OUT
        if stream.private is not None and is_by_erased(record, stream.private, self.account, self._pseudonyms):
            return Fate.LEFT_OUT
        faults = fitness.unfit(record, stream, is_unfolded=is_unfolded)
        if not is_unfolded and not any(fault.is_whole for fault in faults):
            self._mark_place(record)
        if stream.private is not None:
            record = minimise(record, stream.private, self.account, self._pseudonyms)
        self._note_fields(record)
        if faults:
            self._note(record, faults)
            if any(fault.is_whole for fault in faults):
                return Fate.SET_ASIDE
            for fault in faults:
                fitness.blank(record, fault.field)
        return msgspec.json.encode(record)

    def _note_fields(self, record: dict[str, Any]) -> None:
        if (shape := fitness.shape_of(record)) not in self._shapes:
            self._shapes.add(shape)
            self.fetched.fields |= fitness.field_names(record)

    def _name(self, record: dict[str, Any]) -> None:
        key = fitness.key_of(record, self.stream.kind.key)
        if key is None:
            self.unnamed += 1
        else:
            self.keys.append(key)

    def _note(self, record: dict[str, Any] | None, faults: list[fitness.Unfit]) -> None:
        """Set the record aside, less the persons, once for each thing that is wrong with it."""
        payload = msgspec.json.encode(record)
        self._unfit += 1
        for fault in faults:
            self._reasons[fault.reason] += 1
            told = msgspec.json.encode({"field": fault.field, "reason": fault.reason})[1:-1]
            self._set_aside(b'{%s,%s,"payload":%s}\n' % (self._stamp, told, payload))
        is_lost = any(fault.is_whole for fault in faults)
        self.fetched.rejected += is_lost
        self.fetched.blanked += not is_lost

    def _mark_place(self, record: dict[str, Any]) -> None:
        """Remember how far down the list was read, and what would ask for the rest."""
        resume = self.stream.resume
        if resume is None:
            return
        if resume.cursor:
            self._reached = fitness.instant(fitness.member(record, resume.field)) or self._reached
            return
        value = fitness.member(record, resume.field)
        reached = fitness.instant(fitness.member(record, resume.field if resume.is_time else self.stream.newest_first or ""))
        if value is not None and reached is not None:
            self.place = reached, _iso(_next_second(reached)) if resume.is_time else str(value)


def red_reason(stream_name: str, unfit_records: int, all_records: int, most: str) -> str:
    """Why a list that was read to its end has not arrived."""
    return (
        f"{stream_name}: {unfit_records:,} of {all_records:,} records could not be used (mostly: {most}). They are set aside in "
        f"meta.quarantine. Above {fitness.RED_SHARE:.0%} a stream counts as not arrived; the platform may have changed its answers."
    )


def _decoded(raw: msgspec.Raw) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _next_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def _iso(instant: datetime) -> str:
    """UTC, whole seconds, with Z: the form that every API of the house accepts."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
