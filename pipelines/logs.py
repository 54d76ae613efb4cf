"""What is told of a run while it goes on: one line of JSON an event, into `<home>/logs/<day>.jsonl` and to whoever listens.

Every run passes here, from the command line, the page or the daemon, because its home comes from one resource (definitions.py).
Not here: what must not stand in a log (discretion.py), and what a person reads at the end (cli.py).
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import dagster as dg

from pipelines import discretion
from pipelines.exits import Exit, code_of_steps

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.house import House

LOGGER = logging.getLogger("tolok")
KEPT_DAYS = 90
# Facts that are the institution's own keys, not words: a long account id stays what it is.
NAMES = frozenset({"run", "institution", "platform", "account", "stream", "table", "step"})
INTERRUPTIONS = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})
ENDS = {
    dg.DagsterEventType.RUN_SUCCESS: "whole",
    dg.DagsterEventType.RUN_FAILURE: "not whole",
    dg.DagsterEventType.RUN_CANCELED: "stopped",
}


def tell(event: str, level: int = logging.INFO, **facts: object) -> None:
    """Tell one event with its facts. What is None is left out."""
    LOGGER.log(level, event, extra={"facts": _told(facts)})


def _told(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if value is not None}


class JsonLines(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `event`, then the event's own facts.

    >>> JsonLines().format(logging.makeLogRecord({"msg": "stream", "levelno": 20, "created": 0.0, "facts": {"records": 3}}))
    '{"time": "1970-01-01T00:00:00.000Z", "level": "info", "event": "stream", "records": 3}'
    """

    def format(self, record: logging.LogRecord) -> str:
        instant = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, Any] = {
            "time": f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z",
            "level": logging.getLevelName(record.levelno).lower(),
            "event": discretion.DISCRETION.clean(record.getMessage()),
        }
        if record.exc_text or record.exc_info:
            told["error"] = discretion.DISCRETION.clean(record.exc_text or self.formatException(record.exc_info or (None, None, None)))
        facts = getattr(record, "facts", {})
        told |= {name: value if name in NAMES else _clean(value) for name, value in facts.items()}
        return json.dumps(told, ensure_ascii=False, default=str)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return discretion.DISCRETION.clean(value)
    if isinstance(value, Mapping):
        return {str(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    return value


class DayFiles(logging.Handler):
    """Appends to one file a day (UTC) and drops those older than `kept_days`. A line is one write: two processes do not mix theirs.

    A log that cannot be written stops no night: that is said once, to standard error.
    """

    def __init__(self, folder: Path, kept_days: int = KEPT_DAYS) -> None:
        super().__init__(logging.INFO)
        self._folder = folder
        self._kept_days = kept_days
        self._day: date | None = None
        self._has_failed = False
        self.setFormatter(JsonLines())
        self.addFilter(discretion.DISCRETION)

    def emit(self, record: logging.LogRecord) -> None:
        day = datetime.fromtimestamp(record.created, UTC).date()
        try:
            if day != self._day:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._drop_old(day)
                self._day = day
            with (self._folder / f"{day}.jsonl").open("ab", buffering=0) as file:
                file.write((self.format(record) + "\n").encode())
        except OSError as failure:
            if not self._has_failed:
                sys.stderr.write(f"The log cannot be written to {self._folder} ({type(failure).__name__}); the run goes on without it.\n")
            self._has_failed = True

    def _drop_old(self, today: date) -> None:
        oldest = today - timedelta(days=self._kept_days)
        for path in self._folder.glob("*.jsonl"):
            with suppress(ValueError):
                if date.fromisoformat(path.stem) < oldest:
                    path.unlink(missing_ok=True)


class _Run(logging.Filter):
    """Puts the run's id before the facts of each event."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def filter(self, record: logging.LogRecord) -> bool:
        record.facts = {"run": self._run_id, **getattr(record, "facts", {})}
        return True


@contextmanager
def listening(handler: logging.Handler) -> Iterator[None]:
    """Hand every event of this process to the handler as well."""
    before = LOGGER.level
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)


def to_stream(stream: TextIO) -> logging.Handler:
    """A handler for `--log-format json`."""
    handler: logging.Handler = logging.StreamHandler(stream)
    handler.setLevel(logging.INFO)
    handler.setFormatter(JsonLines())
    handler.addFilter(discretion.DISCRETION)
    return handler


def follow(house: House, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Write a run's events into the home's log until it ends. The run is told by Dagster's own events, heard as they are stored.

    Dagster takes a run's resources down before it says how the run ended, so the log closes itself with that event.
    """
    institutions, _ = house.institutions()
    discretion.install({account.id for institution in institutions.values() for account in institution.accounts})
    _Teller.begin(house, run)
    instance.add_event_listener(run.run_id, _Teller.now)


class _Teller:
    """Hears Dagster's events of one run and tells those that an operator asks about. There is one run at a time in a process."""

    now: ClassVar[Callable[[dg.EventLogEntry], None]]
    _open: ClassVar[ExitStack] = ExitStack()

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._tables: list[dict[str, object]] = []
        self._failed: list[str] = []

    @classmethod
    def begin(cls, house: House, run: dg.DagsterRun) -> None:
        # A run before it may never have said that it ended.
        cls._open.close()
        mark = _Run(run.run_id)
        LOGGER.addFilter(mark)
        cls._open.callback(LOGGER.removeFilter, mark)
        cls._open.enter_context(listening(DayFiles(house.home / "logs")))
        told = {name.removeprefix("tolok/"): value for name, value in run.tags.items() if name.startswith("tolok/")}
        tell("begin", job=run.job_name, asked=told or None)
        cls.now = cls()

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            if _level(entry.level) >= logging.WARNING:
                tell("note", _level(entry.level), step=_step(entry.step_key), text=entry.user_message)
            return
        kind, step = event.event_type, _step(event.step_key)
        if kind is dg.DagsterEventType.STEP_START:
            self._tables = []
            tell("step", logging.DEBUG, step=step)
        elif kind is dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._tables += _materialised(event)
        elif kind is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _tell_check(event)
        elif kind is dg.DagsterEventType.STEP_SUCCESS:
            seconds = round((event.step_success_data.duration_ms or 0) / 1000, 3)
            for table in self._tables:
                LOGGER.info(table.pop("event"), extra={"facts": {**_told(table), "seconds": seconds}})
            self._tables = []
        elif kind is dg.DagsterEventType.STEP_FAILURE:
            names, sentence = told_by(event.step_failure_data)
            self._failed += names
            tell("failure", logging.ERROR, step=step, kind=names[-1] if names else None, text=sentence)
        elif kind in ENDS:
            # Which signal it was, and so the code, is known to the process that was told to stop.
            is_stopped = not INTERRUPTIONS.isdisjoint(self._failed)
            code = code_of_steps(self._failed) if self._failed or kind is dg.DagsterEventType.RUN_SUCCESS else Exit.NOT_WHOLE
            tell(
                "end",
                outcome="stopped" if is_stopped else ENDS[kind],
                exit_code=None if is_stopped else int(code),
                seconds=round(time.monotonic() - self._begun, 3),
            )
            self._open.close()


def told_by(failure: object) -> tuple[list[str], str]:
    """Of a failed step: the names of the classes of its error and what caused it, and what it says to a person.

    That is the description of our own failures, else the words of the first cause.
    """
    described = getattr(getattr(failure, "user_failure_data", None), "description", None)
    error = getattr(failure, "error", None)
    names: list[str] = []
    words = "no reason given"
    while error is not None:
        names.append(str(error.cls_name))
        words = str(error.message).strip()
        error = error.cause
    if described:
        return names, str(described)
    if not INTERRUPTIONS.isdisjoint(names):
        return names, "Stopped in the middle of the step; what it had not finished was undone."
    return names, words


def _level(level: int | str) -> int:
    return level if isinstance(level, int) else logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def _step(key: str | None) -> str | None:
    return key.replace("__", "/", 1) if key else None


def _materialised(event: dg.DagsterEvent) -> list[dict[str, object]]:
    """What one materialization tells: a raw table, a derived table, the audit, or what was published per institution."""
    found = event.materialization
    facts = {name: getattr(value, "value", None) for name, value in found.metadata.items()}
    table = ".".join(found.asset_key.path)
    if (outcomes := _records(facts.get("outcomes"))) is not None:
        return [{"event": "publish", **_picked(one, institution="institution", outcome="outcome", rows="rows")} for one in outcomes]
    if (windows := _records(facts.get("windows"))) is not None:
        return [
            {
                "event": "table",
                "table": table,
                **_picked(one, institution="institution", since="made anew from", rows_new="rows new", rows_changed="rows changed"),
            }
            for one in windows
        ]
    if "promises judged" in facts:
        broken = _records(facts.get("broken")) or []
        return [{"event": "audit", "judged": facts["promises judged"], "unchanged": facts["promises unchanged"], "broken": len(broken)}]
    if "records received" in facts:
        counts = _picked(facts, records="records received", rows_new="rows new", rows_changed="rows changed", rows="dagster/row_count")
        return [{"event": "landed", "table": table, **counts, "gaps": len(_records(facts.get("gaps")) or [])}]
    return [{"event": "table", "table": table, "rows": facts.get("dagster/row_count")}]


def _records(table: object) -> list[Mapping[str, object]] | None:
    found = getattr(table, "records", None) if not isinstance(table, list) else table
    return None if found is None else [record.data for record in found]


def _picked(source: Mapping[str, object], **wanted: str) -> dict[str, object]:
    return {name: source.get(there) for name, there in wanted.items()}


def _tell_check(event: dg.DagsterEvent) -> None:
    check = event.asset_check_evaluation_data
    if not check.passed:
        tell("check failed", logging.WARNING, table=".".join(check.asset_key.path), check=check.check_name, severity=check.severity.value)
