"""The gate: judges what changed since it was approved, notes every outcome, and approves or refuses the tables.

Not here: the promises (promises.py), Great Expectations (judge.py), and what becomes of a refused table (assets/publish.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from checks.judge import Outcome, judge
from checks.promises import PROMISES, WITHHOLD, Promise, Severity
from checks.summaries import query
from pipelines import stamps
from pipelines.tables import Table, key
from pipelines.warehouse import ensure, rows, transaction

if TYPE_CHECKING:
    import duckdb
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
        key("rows_judged", "BIGINT", "Rows, or lines of the summary, that were judged: those of the changed months"),
        key("rows_failed", "BIGINT", "Of these, those that broke the promise"),
        key("checked_at", "TIMESTAMPTZ", "When it was judged"),
        key("run_id", "VARCHAR", "The run that judged it"),
    ),
    key=("institution_id", "table_name", "promise"),
    unstamped=frozenset({"checked_at", "run_id"}),
)
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


def audit(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table], institution_ids: Iterable[str], now: datetime, run_id: str
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
        for table in tables.values():
            asked = [promise for promise in PROMISES if promise.is_about(table.name)]
            last = _last_outcomes(connection, table, institution_id)
            months = _months_to_judge(connection, table, institution_id, asked, last)
            if not months:
                verdicts += last
                continue
            asking = _Asking(connection, table, institution_id, months, now)
            judged, broken = asking.ask_all(asked)
            _settle(connection, table, institution_id, judged, is_fit=not broken and not _withheld(judged), now=now, run_id=run_id)
            verdicts += judged
            faults += broken
    if faults:
        raise BrokenCheckError(faults, verdicts)
    return verdicts


def _withheld(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.severity == WITHHOLD and not verdict.passed for verdict in verdicts)


def _months_to_judge(
    connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, asked: Sequence[Promise], last: Sequence[Verdict]
) -> list[date]:
    """Months whose content nobody approved; all months when the promises are not those by which it was approved."""
    now_asked = {(promise.slug, promise.sentence, promise.severity) for promise in asked}
    if now_asked != {(verdict.promise, verdict.sentence, verdict.severity) for verdict in last}:
        return [stamp.month for stamp in stamps.current(connection, table, institution_id)]
    return [stamp.month for stamp in stamps.unapproved(connection, [table], institution_id)]


def _last_outcomes(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> list[Verdict]:
    found = rows(
        connection,
        f"SELECT {', '.join(_RECORDED)} FROM {CHECK_RESULT.name} WHERE institution_id = ? AND table_name = ? ORDER BY promise",
        [institution_id, table.name],
    )
    return [Verdict(**row, unchanged=True) for row in found]  # type: ignore[arg-type] the table's columns are the verdict's fields


@dataclass(frozen=True, slots=True)
class _Asking:
    """One table of one institution, and the months of it that are to be judged."""

    connection: duckdb.DuckDBPyConnection
    table: Table
    institution_id: str
    months: list[date]
    now: datetime

    def ask_all(self, promises: Sequence[Promise]) -> tuple[list[Verdict], list[str]]:
        """The verdicts, and a sentence for each promise that could not be judged. What is read alike is read and judged together."""
        together: dict[tuple[str, bool], list[Promise]] = {}
        for promise in promises:
            together.setdefault((query(promise.over, self.table), promise.is_quoted), []).append(promise)
        verdicts: list[Verdict] = []
        faults: list[str] = []
        for (text, _), group in together.items():
            for promise, outcomes in self._ask(text, group):
                errors = [outcome.error for outcome in outcomes if outcome.error is not None]
                if errors:
                    faults.append(f"{promise.slug} on {self.table.name} ({self.institution_id}): {errors[0]}")
                else:
                    verdicts.append(self._verdict(promise, outcomes))
        return verdicts, faults

    def _ask(self, text: str, group: Sequence[Promise]) -> list[tuple[Promise, list[Outcome]]]:
        try:
            frame = self._read(text)
        except Exception as fault:  # noqa: BLE001 whatever keeps a promise from being judged is a broken check, reported as such
            lost = Outcome(passed=False, expected="", found="not judged", rows_judged=0, rows_failed=0, error=f"{type(fault).__name__}: {fault}")
            return [(promise, [lost]) for promise in group]
        wanted = [promise.expectations(self.table) for promise in group]
        names = ["what"] if "what" in frame.columns else [name for name in self.table.key if name in frame.columns and name != "institution_id"]
        outcomes = iter(judge(frame, [each for part in wanted for each in part], names, is_quoted=group[0].is_quoted))
        return [(promise, [next(outcomes) for _ in part]) for promise, part in zip(group, wanted, strict=True)]

    def _read(self, text: str) -> pd.DataFrame:
        parameters = {"institution_id": self.institution_id, "months": self.months, "now": self.now}
        return self.connection.execute(text, parameters).df()

    def _verdict(self, promise: Promise, outcomes: Sequence[Outcome]) -> Verdict:
        failed = [outcome for outcome in outcomes if not outcome.passed]
        told = failed or outcomes[:1]
        return Verdict(
            self.institution_id,
            self.table.name,
            promise.slug,
            promise.sentence,
            promise.severity,
            passed=not failed,
            expected="; ".join(outcome.expected for outcome in (failed or outcomes)),
            found="; ".join(outcome.found for outcome in told),
            rows_judged=max(outcome.rows_judged for outcome in outcomes),
            rows_failed=max(outcome.rows_failed for outcome in outcomes),
        )


def _settle(  # noqa: PLR0913 the outcome and who, what, when
    connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str, verdicts: Sequence[Verdict], *, is_fit: bool, now: datetime, run_id: str
) -> None:
    """Note the outcomes, then approve or refuse: should the process die in between, the table is judged again."""
    marks = ", ".join("?" for _ in CHECK_RESULT.names)
    with transaction(connection):
        connection.execute(f"DELETE FROM {CHECK_RESULT.name} WHERE institution_id = ? AND table_name = ?", [institution_id, table.name])
        for verdict in verdicts:
            values = [getattr(verdict, name) for name in _RECORDED]
            connection.execute(f"INSERT INTO {CHECK_RESULT.name} ({', '.join((*_RECORDED, 'checked_at', 'run_id'))}) VALUES ({marks})", [*values, now, run_id])
    if is_fit:
        stamps.approve(connection, table, institution_id, now, run_id)
    else:
        stamps.refuse(connection, table, institution_id)


__all__ = ["CHECK_RESULT", "BrokenCheckError", "Verdict", "audit"]
