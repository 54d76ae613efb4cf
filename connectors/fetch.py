"""Runs the declarations: asks a stream window by window and page by page, minimises each record, hands on lines of JSON.

Not here: sessions and retries (http.py), which windows are due (assets/raw.py), and any database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.failures import DoorError, PagingLoop, TemporaryFailure
from connectors.paging import Answer, Request
from connectors.privacy import Pseudonyms, minimise

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.http import Door
    from connectors.streams import Account, Stream, Window

Write = Callable[[bytes], None]
NOT_AUTHORISED_FOR_FIELD = "not-authorized-for-field"


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
    path = stream.request.removeprefix("GET ").format(account_id=account.account_id)
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
    seen_ids: set[bytes] = set()
    try:
        for answer in _pages(first_request(stream, account, window), stream, door, fetched):
            records = _cut(answer, stream)
            _note_partial_errors(answer, stream, fetched)
            lines, reached_end = _lines(records, stream, account, pseudonyms, fetched, seen_ids)
            write(b"".join(lines))
            fetched.records += len(lines)
            if reached_end:
                break
    except DoorError as failure:
        fetched.ledger_status = failure.ledger_status
        fetched.reason = str(failure)
    else:
        fetched.is_complete = True
    return fetched


def _pages(request: Request | None, stream: Stream, door: Door, fetched: Fetched) -> Iterator[Answer]:
    """Follow the pages; a request that was made before, or more pages than the stream allows, is a loop."""
    asked: set[Request] = set()
    while request is not None:
        if request in asked or len(asked) >= stream.max_pages:
            message = f"{stream.name}: the platform's paging goes in a circle (after {len(asked)} pages). What came is kept."
            raise PagingLoop(message)
        asked.add(request)
        answer = door.get(request)
        fetched.pages += 1
        yield answer
        request = stream.paging(request, answer) if stream.paging else None


def _cut(answer: Answer, stream: Stream) -> list[msgspec.Raw]:
    """The records of a page, undecoded. A list that is absent is an empty one; a single record is a list of one."""
    try:
        if stream.records:
            raw = answer.top.get(stream.records)
            if raw is None:
                return []
            return msgspec.json.decode(raw, type=list[msgspec.Raw]) if bytes(raw).lstrip()[:1] == b"[" else [raw]
        if answer.body.lstrip()[:1] == b"[":
            return msgspec.json.decode(answer.body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = f"{stream.name}: the answer is not JSON (cut short)."
        raise TemporaryFailure(message) from None
    return [msgspec.Raw(answer.body)]


def _note_partial_errors(answer: Answer, stream: Stream, fetched: Fetched) -> None:
    errors = answer.member(stream.partial_errors) if stream.partial_errors else None
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict) and str(error.get("type", "")).endswith(NOT_AUTHORISED_FOR_FIELD):
            fetched.denied_fields.add(str(error.get("field") or error.get("parameter") or "unnamed"))


def _lines(  # noqa: PLR0913
    records: list[msgspec.Raw], stream: Stream, account: Account, pseudonyms: Pseudonyms, fetched: Fetched, seen: set[bytes]
) -> tuple[list[bytes], bool]:
    """The page's lines, and whether a newest-first list has left the window."""
    prefix = b'{"requested_at":"%s","observed_at":"%s","payload":' % (
        _iso(fetched.requested_at).encode(),
        _iso(fetched.observed_at).encode(),
    )
    lines: list[bytes] = []
    fresh = 0
    for raw in records:
        payload, is_older = _payload(raw, stream, account, pseudonyms, fetched)
        if is_older:
            return lines, True
        if payload is None:
            fetched.rejected += 1
            continue
        fresh += payload not in seen
        seen.add(payload)
        # NDJSON: inside JSON strings a bare newline is not allowed, so those between tokens are all there are.
        lines.append(prefix + payload.replace(b"\n", b" ").replace(b"\r", b" ") + b"}\n")
    if lines and not fresh:
        message = f"{stream.name}: the platform gave the same page again under another address. What came is kept."
        raise PagingLoop(message)
    return lines, False


def _payload(raw: msgspec.Raw, stream: Stream, account: Account, pseudonyms: Pseudonyms, fetched: Fetched) -> tuple[bytes | None, bool]:
    if stream.private is None and stream.newest_first is None:
        return bytes(raw), False
    record: Any = msgspec.json.decode(raw)
    if not isinstance(record, dict):
        return None, False
    if stream.newest_first is not None:
        happened = _instant(record.get(stream.newest_first))
        if happened is None:
            return None, False
        if happened < fetched.window.start:
            return None, True
    if stream.private is not None:
        record = minimise(record, stream.private, account, pseudonyms)
    return msgspec.json.encode(record), False


def _instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None


def _iso(instant: datetime) -> str:
    """UTC, whole seconds, with Z: the form that every API of the house accepts."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
