"""What a list does not tell by itself: numbers beside each record, things behind ids, lists inside records.

Not here: the list's own pages (fetch.py) and which numbers there are (each platform's register).
A refused metric never costs the others: on one thing the request is halved until the refused ones are known, then they are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from connectors import fitness
from connectors.failures import DoorError, Gone, MetricRefused, NotPermitted, PermanentFailure, TemporaryFailure
from connectors.metrics import Register, Status
from connectors.paging import Answer, Paging, Request

if TYPE_CHECKING:
    from connectors.http import Door
    from connectors.streams import Account, Stream

Record = dict[str, Any]
# A platform may answer parts of a batch and not others: those are asked again so often.
ROUNDS = 4
# So many things refused alike, and none given: it is the token, or the question, and not the things.
ALL_ALIKE = 3


def _no_kind(record: Record) -> str:
    del record
    return ""


def _always(record: Record) -> bool:
    del record
    return True


def _everywhere(account: Account) -> bool:
    del account
    return True


@dataclass(frozen=True, slots=True)
class Beside:
    """A second question about each record of a page; the answer becomes its member `into`.

    Args:
        path: the address below the platform's own, `{id}` is filled in; made from the record where some kinds are asked elsewhere.
        into: the record's new member. None stands there when nothing was given; it is absent where nothing was asked.
        kind_of: by which the stream's metrics are chosen.
        params: fixed parameters, beside the metrics.
        batch: the path to which many questions are sent as one (Meta's batch); None = one request each. `batched` says whether
            the account's address takes them.
        at_most: questions in a batch.
        asked: of which records it is asked.
    """

    path: str | Callable[[Record], str]
    into: str
    kind_of: Callable[[Record], str] = _no_kind
    params: Mapping[str, str] = field(default_factory=dict)
    batch: str | None = None
    batched: Callable[[Account], bool] = _everywhere
    at_most: int = 50
    asked: Callable[[Record], bool] = _always


@dataclass(frozen=True, slots=True)
class ById:
    """The things behind a page's records, many ids a call, in the list's order; what is not given is left out (deleted or hidden meanwhile)."""

    path: str
    id_of: str
    params: Mapping[str, str] = field(default_factory=dict)
    param: str = "id"
    at_most: int = 50
    records: str = "items"


@dataclass(frozen=True, slots=True)
class Nested:
    """A list inside each record that may have more pages: it is read to its end, by an address of its own.

    Args:
        into: the record's member that holds the list: `{"data": [...], "paging": {...}}`; `items` is its name where it is not `data`.
        path: the list's own address, `{id}` is filled in.
        params: its parameters.
        paging: how its next page is asked for, from the member as the answer.
        inner: a list inside the things of this one.
    """

    into: str
    path: str
    paging: Paging
    params: Mapping[str, str] = field(default_factory=dict)
    inner: Nested | None = None
    items: str = "data"


class Completer:
    """Completes the records of one window's pages. Temporary failures are raised: a page without its numbers is not complete."""

    def __init__(self, stream: Stream, account: Account, door: Door, register: Register) -> None:
        self._stream = stream
        self._account = account
        self._door = door
        self._register = register

    def complete(self, records: Sequence[Record], filled: Mapping[str, str]) -> list[Record]:
        """The page's records, completed in place or replaced. `filled` are the values of the places in addresses."""
        found = list(records)
        if self._stream.by_id is not None:
            found = self._things(self._stream.by_id, found, filled)
        if self._stream.beside is not None:
            self._numbers(self._stream.beside, found, filled)
        if self._stream.nested is not None:
            for record in found:
                self._read_on(self._stream.nested, record, filled)
        return found

    def _address(self, path: str, filled: Mapping[str, str]) -> str:
        return self._account.address(self._stream.api) + path.format(**filled)

    # -- things behind ids ---------------------------------------------------------------------------------------------------------

    def _things(self, by_id: ById, pointers: Sequence[Record], filled: Mapping[str, str]) -> list[Record]:
        ids = list(dict.fromkeys(str(value) for one in pointers if (value := fitness.member(one, by_id.id_of)) is not None))
        things: list[Record] = []
        for start in range(0, len(ids), by_id.at_most):
            wanted = ids[start : start + by_id.at_most]
            request = Request(self._address(by_id.path, filled), (*by_id.params.items(), (by_id.param, ",".join(wanted))))
            given = self._door.get(request).member(by_id.records)
            place = {identity: at for at, identity in enumerate(wanted)}
            found = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
            # A list that is newest first is left at its last thing, so the order is not left to the platform.
            things += sorted(found, key=lambda one: place.get(str(fitness.member(one, self._stream.kind.key)), len(place)))
        return things

    # -- numbers beside records ----------------------------------------------------------------------------------------------------

    def _numbers(self, beside: Beside, records: Sequence[Record], filled: Mapping[str, str]) -> None:
        """Ask for each kind of thing, and put what came into the records."""
        by_kind: dict[str, list[Record]] = {}
        for record in records:
            if beside.asked(record):
                by_kind.setdefault(beside.kind_of(record), []).append(record)
        given_none: dict[str, MetricRefused] = {}
        for kind, of_kind in by_kind.items():
            try:
                self._of_kind(beside, kind, of_kind, filled)
            except MetricRefused as failure:
                given_none[kind] = failure
        self._leave_out(beside, by_kind, given_none)

    def _of_kind(self, beside: Beside, kind: str, records: list[Record], filled: Mapping[str, str]) -> None:
        """Ask round by round, each time without what was found to be refused.

        Raises:
            MetricRefused: none of the numbers is given of this kind of thing.
            TemporaryFailure: numbers are refused, and which ones does not become known.
        """
        left, odd = records, set[str]()
        for _ in range(ROUNDS * 2):
            metrics = self._asked_for(kind, odd)
            if self._stream.metrics and not metrics:
                for record in left:
                    record[beside.into] = None
                return
            left = self._round(beside, kind, left, metrics, filled)
            if not left:
                return
            if metrics == self._asked_for(kind, odd):
                odd |= self._learn(beside, kind, left[0], metrics, filled)
        message = f"{self._stream.name}: the platform refuses numbers and does not say which. What came is kept."
        raise TemporaryFailure(message)

    def _leave_out(self, beside: Beside, by_kind: Mapping[str, list[Record]], given_none: Mapping[str, MetricRefused]) -> None:
        """One kind of thing of which no number is given costs the others nothing; where no kind has any, something else is wrong.

        Raises:
            MetricRefused: nothing was answered of any kind.
        """
        for kind, failure in given_none.items():
            if not self._register.has_answers:
                raise failure
            for metric in self._register.wanted(kind):
                self._register.refuse(metric, kind, "retired")
            for record in by_kind[kind]:
                record.setdefault(beside.into, None)

    def _asked_for(self, kind: str, odd: Collection[str]) -> tuple[str, ...]:
        return tuple(metric for metric in self._register.wanted(kind) if metric not in odd)

    def _round(
        self, beside: Beside, kind: str, records: Sequence[Record], metrics: Sequence[str], filled: Mapping[str, str]
    ) -> list[Record]:
        """One question about each record; those without an answer are returned. Where all are denied, so is the kind of thing.

        Raises:
            PermanentFailure: the question is wrong for every one of them.
        """
        fates: Counter[str] = Counter()
        is_batched = beside.batch is not None and beside.batched(self._account)
        for record, reply in self._replies(beside, records, metrics, filled):
            fates[self._fate(beside, kind, record, reply, metrics)] += 1
            # The answers of a batch are there already; one by one, the others need not be asked.
            if not is_batched and fates["denied"] == ALL_ALIKE == fates.total():
                break
            # One post may be odd by its nature, and the only one of its kind; several, and nothing else answered, are no accident.
            if fates["odd"] == len(records) >= ALL_ALIKE and isinstance(reply, DoorError) and not self._register.has_answers:
                raise reply
        if fates["denied"] and not fates["given"] and not fates["refused"]:
            for metric in metrics:
                self._register.refuse(metric, kind, "not_permitted")
        return [one for one in records if beside.into not in one]

    def _fate(self, beside: Beside, kind: str, record: Record, reply: Record | DoorError, metrics: Sequence[str]) -> str:
        """Put an answer into its record, and say what it was."""
        if isinstance(reply, MetricRefused):
            return "refused"
        if isinstance(reply, NotPermitted | PermanentFailure):
            if not metrics and not isinstance(reply, Gone):
                raise reply
            record[beside.into] = None
            return "gone" if isinstance(reply, Gone) else "denied" if isinstance(reply, NotPermitted) else "odd"
        if isinstance(reply, DoorError):
            raise reply
        record[beside.into] = reply
        self._register.answered(metrics)
        if reply:
            self._register.given(metrics, kind)
        return "given" if reply else "nothing"

    def _learn(self, beside: Beside, kind: str, record: Record, metrics: Sequence[str], filled: Mapping[str, str]) -> set[str]:
        """Find by halves which of the metrics are refused. Returns those that other things of the kind are given: of them nothing is remembered."""

        def ask(some: Sequence[str]) -> DoorError | None:
            ((_, reply),) = self._replies(beside, [record], some, filled)
            return reply if isinstance(reply, DoorError) else None

        found = refused_of(metrics, ask)
        odd = {metric for metric in found if self._register.is_given(metric, kind)}
        if len(found) == len(metrics) > 1 and not odd:
            message = f"{self._stream.name}: the platform gives none of the numbers that were asked for. What came is kept."
            raise MetricRefused(message)
        for metric in found.keys() - odd:
            self._register.refuse(metric, kind, found[metric])
        return odd

    def _replies(
        self, beside: Beside, records: Sequence[Record], metrics: Sequence[str], filled: Mapping[str, str]
    ) -> Iterator[tuple[Record, Record | DoorError]]:
        """Each record with the answer to its question, or why there is none."""
        params = (*beside.params.items(), *([(self._stream.metrics_param, ",".join(metrics))] if metrics else []))
        if beside.batch is None or not beside.batched(self._account):
            for record in records:
                yield record, self._single(Request(self._address(self._path(beside, record), filled), params))
            return
        for start in range(0, len(records), beside.at_most):
            some = records[start : start + beside.at_most]
            paths = [f"{self._path(beside, record).format(**filled).lstrip('/')}?{urlencode(params, safe=',')}" for record in some]
            yield from zip(some, self._batch(self._address(beside.batch, filled), paths), strict=True)

    def _path(self, beside: Beside, record: Record) -> str:
        path = beside.path if isinstance(beside.path, str) else beside.path(record)
        return path.replace("{id}", quote(str(fitness.key_of(record, self._stream.kind.key) or record.get("id")), safe=""))

    def _single(self, request: Request) -> Record | DoorError:
        try:
            answer = self._door.get(request)
        except (NotPermitted, PermanentFailure) as failure:
            return failure
        return _object(answer.body)

    def _batch(self, url: str, paths: Sequence[str]) -> list[Record | DoorError]:
        """The answers to many questions sent as one. A part that may be answered later is asked again; the others are not."""
        replies: dict[int, Record | DoorError] = {}
        for round_ in range(ROUNDS):
            left = [at for at in range(len(paths)) if isinstance(replies.get(at, TemporaryFailure("")), TemporaryFailure)]
            if not left:
                break
            if round_:
                self._door.rest(round_)
            parts = json.dumps([{"method": "GET", "relative_url": paths[at]} for at in left], separators=(",", ":"))
            answer = self._door.get(Request(url, form=(("batch", parts), ("include_headers", "false"))))
            for at, part in zip(left, _parts(answer, len(left)), strict=True):
                replies[at] = self._judged(part)
        return [replies[at] for at in range(len(paths))]

    def _judged(self, part: Mapping[str, Any] | None) -> Record | DoorError:
        code = part.get("code") if part is not None else None
        if part is None or not isinstance(code, int):
            return TemporaryFailure(f"{self._account.label}: a part of a batch was not answered.")
        body = str(part.get("body", "")).encode()
        # An error that means nothing to tell is an empty answer, not the error's words.
        return self._door.failure_of(code, body) or (_object(body) if code < 300 else {})  # noqa: PLR2004 the HTTP classes

    # -- lists inside records ------------------------------------------------------------------------------------------------------

    def _read_on(self, nested: Nested, record: Record, filled: Mapping[str, str]) -> None:
        held = record.get(nested.into)
        if not isinstance(held, dict) or not isinstance(held.get(nested.items), list):
            return
        key = str(fitness.key_of(record, "id"))
        request = Request(self._address(nested.path.replace("{id}", quote(key, safe="")), filled), tuple(nested.params.items()))
        last = _answer_of(held)
        for _ in range(self._stream.max_pages):
            following = nested.paging(request, last)
            if following is None:
                break
            try:
                last = self._door.get(following)
            except Gone:
                # Deleted since the list was read: what the list held of it is all there is.
                break
            if not isinstance(data := last.member(nested.items), list):
                message = f"{self._stream.name}: the platform answered with something else than what was asked for."
                raise TemporaryFailure(message)
            held[nested.items] += data
            request = following
        held.pop("paging", None)
        if nested.inner is not None:
            for one in held[nested.items]:
                if isinstance(one, dict):
                    self._read_on(nested.inner, one, filled)


def refused_of(metrics: Sequence[str], ask: Callable[[Sequence[str]], DoorError | None]) -> dict[str, Status]:
    """Which of the metrics are refused, found by halves. `ask` says why a question about some of them was not answered; None = it was.

    Raises:
        DoorError: something else than a metric was refused.
    """
    if len(metrics) == 1:
        return {metrics[0]: "retired"}
    found: dict[str, Status] = {}
    middle = len(metrics) // 2
    for half in (metrics[:middle], metrics[middle:]):
        failure = ask(half)
        if isinstance(failure, MetricRefused):
            found |= refused_of(half, ask)
        elif failure is not None:
            raise failure
    return found


def _parts(answer: Answer, wanted: int) -> list[Mapping[str, Any] | None]:
    decoded = [msgspec.json.decode(one) for one in answer.items or []]
    parts = [one if isinstance(one, dict) else None for one in decoded]
    return [*parts[:wanted], *([None] * (wanted - len(parts)))]


def _object(body: bytes) -> Record | DoorError:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        found = None
    return found if isinstance(found, dict) else TemporaryFailure("A part of the answer cannot be read. What came is kept.")


def _answer_of(member: Mapping[str, Any]) -> Answer:
    """A member of a record as if it were an answer of its own, so that paging reads it."""
    body = msgspec.json.encode(member)
    return Answer(200, {}, body, msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
