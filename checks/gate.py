"""The gate: judges what changed since it was approved, notes every outcome, and approves or refuses the tables.

Not here: the promises (promises.py), Great Expectations (judge.py), and what becomes of a refused table (assets/publish.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb

from checks.judge import Outcome, Question, judge, not_judged, nothing_to_judge
from checks.promises import PROMISES, WARN, WITHHOLD, Promise, Severity
from checks.summaries import query, speaks_of_absence
from pipelines import stamps
from pipelines.tables import Table, key
from pipelines.warehouse import ensure, transaction

if TYPE_CHECKING:
    import pandas as pd

CHECK_RESULT = Table(
    "meta.check_result",
    "One row per institution, table and promise: what came of it when it was judged last.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("table_name", "VARCHAR", "The table that was judged"),
        key("promise", "VARCHAR", "Short name of the promise"),
        key("sentence", "VARCHAR", "The promise in words"),
        key("severity", "VARCHAR", "withhold = a breach keeps the table from being published; warn = it is told"),
        key("passed", "BOOLEAN", "The promise held"),
        key("expected", "VARCHAR", "What was expected"),
        key("found", "VARCHAR", "What was found; up to three examples"),
        key("rows_judged", "BIGINT", "Rows or values that were judged: those of the changed months, or all where a promise needs them"),
        key("rows_failed", "BIGINT", "Rows, or lines of their summary, that broke the promise"),
        key("checked_at", "TIMESTAMPTZ", "When it was judged"),
        key("run_id", "VARCHAR", "The run that judged it"),
    ),
    key=("institution_id", "table_name", "promise"),
    unstamped=frozenset({"checked_at", "run_id"}),
)
# In the order of a verdict's fields.
_RECORDED = tuple(name for name in CHECK_RESULT.names if name not in CHECK_RESULT.unstamped)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one promise about one table of one institution. `unchanged`: it is the last outcome; nothing was judged again."""

    institution_id: str
    table_name: str
    promise: str
    sentence: str
    severity: Severity
    passed: bool
    expected: str
    found: str
    rows_judged: int
    rows_failed: int
    unchanged: bool = False


class BrokenCheckError(Exception):
    """A promise could not be judged. It does not say that the data are bad; the tables concerned are refused all the same.

    `verdicts` holds what was judged besides.
    """

    def __init__(self, faults: Sequence[str], verdicts: list[Verdict]) -> None:
        super().__init__("These checks are broken, so their tables cannot be approved; the data may be good. " + " | ".join(faults))
        self.faults = list(faults)
        self.verdicts = verdicts


def audit(  # noqa: PLR0913 what, whose, when, by which run, and what the run has seen
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, Table],
    institution_ids: Iterable[str],
    now: datetime,
    run_id: str,
    seen: stamps.Seen | None = None,
) -> list[Verdict]:
    """Judge the tables whose content or promises are not those that were approved, institution by institution.

    A table is approved when no promise that withholds was broken, else refused. What stands as it was approved is not judged again,
    and where that holds for all, Great Expectations is not even imported.

    Raises:
        BrokenCheckError: a promise could not be judged. All others were, and their outcomes stand.
    """
    ensure(connection, CHECK_RESULT)
    verdicts: list[Verdict] = []
    faults: list[str] = []
    for institution_id in institution_ids:
        asking = _Asking(connection, institution_id, now)
        due: list[Table] = []
        for table in tables.values():
            asked = [promise for promise in PROMISES if promise.is_about(table.name)]
            last = _last_outcomes(connection, table, institution_id)
            new = _to_judge(connection, table, institution_id, asked, last, seen)
            if new:
                due.append(table)
                asking.ask(table, new, asked)
            else:
                verdicts += last
        judged, broken = asking.answers()
        for table in due:
            about = [verdict for verdict in judged if verdict.table_name == table.name]
            is_fit = table.name not in broken and not _withheld(about)
            _settle(connection, table, institution_id, about, is_fit=is_fit, now=now, run_id=run_id, seen=seen)
        verdicts += judged
        faults += [fault for told in broken.values() for fault in told]
    if faults:
        raise BrokenCheckError(faults, verdicts)
    return verdicts


def _withheld(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.severity == WITHHOLD and not verdict.passed for verdict in verdicts)


def _to_judge(  # noqa: PLR0913 what, whose, by which promises, and what the run has seen
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    institution_id: str,
    asked: Sequence[Promise],
    last: Sequence[Verdict],
    seen: stamps.Seen | None,
) -> list[stamps.Stamp]:
    """The months whose content nobody approved; all of them when the promises are not those by which it was approved."""
    now_asked = {(promise.slug, promise.sentence, promise.severity) for promise in asked}
    if now_asked != {(verdict.promise, verdict.sentence, verdict.severity) for verdict in last}:
        return stamps.current(connection, table, institution_id, seen)
    return stamps.unapproved(connection, [table], institution_id, seen)


def _last_outcomes(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> list[Verdict]:
    found = connection.execute(
        f"SELECT {', '.join(_RECORDED)} FROM {CHECK_RESULT.name} WHERE institution_id = ? AND table_name = ? ORDER BY promise",
        [institution_id, table.name],
    ).fetchall()
    return [replace(Verdict(*row), unchanged=True) for row in found]


class _Asking:
    """The questions about one institution's tables, asked together at the end."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, institution_id: str, now: datetime) -> None:
        self._connection = connection
        self._institution_id = institution_id
        self._now = now
        self._asked: list[tuple[Table, Promise, Question | list[Outcome]]] = []

    def ask(self, table: Table, new: Sequence[stamps.Stamp], promises: Sequence[Promise]) -> None:
        """Read what the promises are judged over. Without rows there is nothing that could break a promise about rows."""
        months = [stamp.month for stamp in new]
        has_rows = any(stamp.row_count for stamp in new)
        frames: dict[str, pd.DataFrame | str] = {}
        for promise in promises:
            expectations = promise.expectations(table)
            if not has_rows and not speaks_of_absence(promise.over):
                self._asked.append((table, promise, [nothing_to_judge(each) for each in expectations]))
                continue
            text = query(promise.over, table)
            if text not in frames:
                frames[text] = self._read(text, months)
            frame = frames[text]
            if isinstance(frame, str):
                self._asked.append((table, promise, [not_judged(each, frame) for each in expectations]))
            else:
                names = ["what"] if "what" in frame.columns else [name for name in table.key if name != "institution_id"] or table.key
                self._asked.append((table, promise, Question(frame, expectations, names, promise.is_quoted)))

    def _read(self, text: str, months: list[date]) -> pd.DataFrame | str:
        """The frame, or why there is none."""
        try:
            return self._connection.execute(text, {"institution_id": self._institution_id, "months": months, "now": self._now}).df()
        except duckdb.Error as fault:
            return f"{type(fault).__name__}: {fault}"

    def answers(self) -> tuple[list[Verdict], dict[str, list[str]]]:
        """The verdicts, and per table a sentence for each promise that could not be judged."""
        judged = iter(judge([question for _, _, question in self._asked if isinstance(question, Question)]))
        verdicts: list[Verdict] = []
        broken: dict[str, list[str]] = {}
        for table, promise, question in self._asked:
            outcomes = next(judged) if isinstance(question, Question) else question
            errors = [outcome.error for outcome in outcomes if outcome.error is not None]
            if errors:
                broken.setdefault(table.name, []).append(f"{promise.slug} on {table.name} ({self._institution_id}): {errors[0]}")
            else:
                verdicts.append(self._verdict(table, promise, outcomes))
        return verdicts, broken

    def _verdict(self, table: Table, promise: Promise, outcomes: Sequence[Outcome]) -> Verdict:
        failed = [outcome for outcome in outcomes if not outcome.passed]
        return Verdict(
            self._institution_id,
            table.name,
            promise.slug,
            promise.sentence,
            promise.severity,
            passed=not failed,
            expected="; ".join(outcome.expected for outcome in failed or outcomes),
            found="; ".join(outcome.found for outcome in failed or outcomes[:1]),
            rows_judged=max(outcome.rows_judged for outcome in outcomes),
            rows_failed=max(outcome.rows_failed for outcome in outcomes),
        )


def _settle(  # noqa: PLR0913 the outcome and who, what, when
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    institution_id: str,
    verdicts: Sequence[Verdict],
    *,
    is_fit: bool,
    now: datetime,
    run_id: str,
    seen: stamps.Seen | None,
) -> None:
    """Note the outcomes, then approve or refuse: should the process die in between, the table is judged again."""
    columns = (*_RECORDED, "checked_at", "run_id")
    insert = f"INSERT INTO {CHECK_RESULT.name} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"
    with transaction(connection):
        connection.execute(f"DELETE FROM {CHECK_RESULT.name} WHERE institution_id = ? AND table_name = ?", [institution_id, table.name])
        for verdict in verdicts:
            connection.execute(insert, [*(getattr(verdict, name) for name in _RECORDED), now, run_id])
    if is_fit:
        stamps.approve(connection, table, institution_id, now, run_id, seen)
    else:
        stamps.refuse(connection, table, institution_id)


__all__ = ["CHECK_RESULT", "WARN", "WITHHOLD", "BrokenCheckError", "Severity", "Verdict", "audit"]
