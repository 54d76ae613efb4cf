"""Runs the declarations: asks a stream window by window and page by page, minimises each record, hands on lines of JSON.

Not here: sessions and retries (http.py), which windows are due (assets/raw.py), and any database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from connectors.failures import DoorError, NotPermitted, PagingLoop, PermanentFailure, TemporaryFailure
from connectors.paging import Answer, Request
from connectors.privacy import Pseudonyms, minimise

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.http import Door
    from connectors.streams import Account, Stream, Window

Write = Callable[[bytes], object]
NOT_AUTHORISED = "/not-authorized-for-resource"
NOT_AUTHORISED_FOR_FIELD = "/not-authorized-for-field"


class Fate(Enum):
    """What becomes of a record that is not written: it is older than the window, it is not this list's, or it cannot be read."""

    OLDER = auto()
    LEFT_OUT = auto()
    REJECTED = auto()


@dataclass(slots=True)
class Fetched:
    """What became of one window of one stream of one account.

    `is_complete` is True when the list was read to its end; only then do absent records mean deleted ones.
    `reason` says, in the user's words, why it is not complete; `denied_fields` are fields that the token may not read.
    """

    window: Window
    requested_at: datetime
    observed_at: datetime
    is_complete: bool = False
    ledger_status: str = "fetched"
    reason: str | None = None
    records: int = 0
    rejected: int = 0
    pages: int = 0
    denied_fields: set[str] = field(default_factory=set)


def first_request(stream: Stream, account: Account, window: Window) -> Request:
    """The request that opens a window: the declaration with its places filled in."""
    path = stream.request.removeprefix("GET ").format(account_id=quote(account.account_id, safe=""))
    places = {"window_start": _iso(window.start), "window_end": _iso(window.end), "handle": account.handle}
    params = {**stream.params, **stream.account_params(account)}
    return Request(account.base_url.rstrip("/") + path, tuple((name, value.format(**places)) for name, value in params.items()))


def fetch_window(  # noqa: PLR0913 the six things that a fetch needs, none of them derivable
    stream: Stream, account: Account, window: Window, door: Door, pseudonyms: Pseudonyms, clock: Clock, write: Write
) -> Fetched:
    """Read one window to its end, writing one line per record: `{"requested_at", "observed_at", "payload"}`.

    A failure in mid-window keeps what came and says so in the result; it is never raised.
    """
    begun = clock.now()
    fetched = Fetched(window, requested_at=begun, observed_at=begun)
    if account.fault is not None:
        fetched.ledger_status, fetched.reason = NotPermitted.ledger_status, account.fault
        return fetched
    seen_ids: set[bytes] = set()
    try:
        for answer, records in _pages(first_request(stream, account, window), stream, door, fetched):
            lines, reached_end = _lines(records, stream, account, pseudonyms, fetched, seen_ids)
            write(b"".join(lines))
            fetched.records += len(lines)
            _note_partial_errors(answer, records, stream, fetched)
            if reached_end:
                break
    except DoorError as failure:
        fetched.ledger_status = failure.ledger_status
        fetched.reason = str(failure)
    else:
        fetched.is_complete = True
    return fetched


def _pages(request: Request | None, stream: Stream, door: Door, fetched: Fetched) -> Iterator[tuple[Answer, list[msgspec.Raw]]]:
    """Follow the pages; a request that was made before, or more pages than the stream allows, is a loop."""
    asked: set[Request] = set()
    while request is not None:
        if request in asked or len(asked) >= stream.max_pages:
            message = f"{stream.name}: the platform's paging goes in a circle (after {len(asked)} pages). What came is kept."
            raise PagingLoop(message)
        asked.add(request)
        answer = door.get(request)
        fetched.pages += 1
        records = _cut(answer, stream)
        yield answer, records
        request = stream.paging(request, replace(answer, records=len(records))) if stream.paging else None


def _cut(answer: Answer, stream: Stream) -> list[msgspec.Raw]:
    """The records of a page, undecoded. A list that is absent is an empty one; a single record is a list of one.

    Raises:
        TemporaryFailure: where a list was asked for stands something else, which some platforms answer with a 200 when they fail.
    """
    if stream.records:
        raw = answer.top.get(stream.records, msgspec.Raw(b"null"))
        start = bytes(raw).lstrip()[:1]
        return msgspec.json.decode(raw, type=list[msgspec.Raw]) if start == b"[" else [raw] if start == b"{" else []
    if answer.items is not None:
        return answer.items
    if stream.paging is not None or stream.kind.key.partition(".")[0] not in answer.top:
        message = f"{stream.name}: the platform answered with something else than what was asked for."
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
            fetched.denied_fields.add(str(error.get("field") or error.get("parameter") or "unnamed").partition(".")[0])
    if not records and (stream.paging is None or (errors and stream.records not in answer.top and "meta" not in answer.top)):
        said = "".join(sorted({f" ({error['title']})" for error in errors if isinstance(error.get("title"), str)}))
        message = f"{stream.name}: the platform gave nothing of what was asked for{said}."
        raise NotPermitted(message) if any(type_.endswith(NOT_AUTHORISED) for type_ in types) else PermanentFailure(message)
    if any(not {"resource_id", "resource_type", "value"} & error.keys() for error in errors):
        message = f"{stream.name}: the platform says that it could not give everything. What came is kept."
        raise TemporaryFailure(message)


def _lines(  # noqa: PLR0913
    records: list[msgspec.Raw], stream: Stream, account: Account, pseudonyms: Pseudonyms, fetched: Fetched, seen: set[bytes]
) -> tuple[list[bytes], bool]:
    """The page's lines, and whether a newest-first list has left the window: its last record is older."""
    prefix = b'{"requested_at":"%s","observed_at":"%s","payload":' % (
        _iso(fetched.requested_at).encode(),
        _iso(fetched.observed_at).encode(),
    )
    lines: list[bytes] = []
    fresh = 0
    payload: bytes | Fate | None = None
    for raw in records:
        payload = _payload(raw, stream, account, pseudonyms, fetched.window)
        if isinstance(payload, Fate):
            fetched.rejected += payload is Fate.REJECTED
            continue
        fresh += payload not in seen
        seen.add(payload)
        # NDJSON: inside JSON strings a bare newline is not allowed, so those between tokens are all there are.
        lines.append(prefix + payload.replace(b"\n", b" ").replace(b"\r", b" ") + b"}\n")
    if lines and not fresh:
        message = f"{stream.name}: the platform gave the same page again under another address. What came is kept."
        raise PagingLoop(message)
    return lines, payload is Fate.OLDER


def _payload(raw: msgspec.Raw, stream: Stream, account: Account, pseudonyms: Pseudonyms, window: Window) -> bytes | Fate:
    """The record as it is written, or why it is not."""
    if stream.private is None and stream.newest_first is None and stream.leave_out is None:
        return bytes(raw)
    record = _decoded(raw)
    happened = _instant(record.get(stream.newest_first)) if record and stream.newest_first else None
    if record is None or (stream.newest_first and happened is None):
        return Fate.REJECTED
    if happened is not None and happened < window.start:
        return Fate.OLDER
    if stream.leave_out is not None and stream.leave_out(record):
        return Fate.LEFT_OUT
    if stream.private is not None:
        record = minimise(record, stream.private, account, pseudonyms)
    return msgspec.json.encode(record)


def _decoded(raw: msgspec.Raw) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None


def _iso(instant: datetime) -> str:
    """UTC, whole seconds, with Z: the form that every API of the house accepts."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
