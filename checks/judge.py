"""Hands one small frame and its expectations to Great Expectations and brings back what was expected and found, in plain types.

Not here: which promises there are (promises.py), what is read (summaries.py) and what follows (gate.py). Nothing else imports the library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expectation of Great Expectations: the name of its class and its arguments."""

    type: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one expectation. `error` is the library's message when it could not judge; then `passed` says nothing."""

    passed: bool
    expected: str
    found: str
    rows_judged: int
    rows_failed: int
    error: str | None = None


def judge(frame: pd.DataFrame, expectations: Sequence[Expectation], names: Sequence[str], *, is_quoted: bool = True) -> list[Outcome]:
    """One outcome per expectation, in their order. `names` are the columns by which a broken line is named.

    With `is_quoted=False` no value is repeated: a message must not carry what it warns of.
    """
    if frame.empty and not any(expectation.type.startswith("ExpectTable") for expectation in expectations):
        # Nothing was found that could break the promise; most goal tables have no rows, and asking costs 13 ms each.
        return [Outcome(passed=True, expected=in_words(each), found="no rows", rows_judged=0, rows_failed=0) for each in expectations]
    library, whole_frame = _library()
    built: list[Any] = []
    faults: dict[int, str] = {}
    for at, each in enumerate(expectations):
        try:
            built.append(getattr(library.expectations, each.type)(**each.arguments, meta={"at": at}))
        except (AttributeError, TypeError, ValueError) as fault:
            faults[at] = f"{type(fault).__name__}: {fault}"
    suite = library.ExpectationSuite(name="promises", expectations=built)
    wanted = {"result_format": "SUMMARY", "unexpected_index_column_names": list(names)}
    validated = whole_frame.get_batch({"dataframe": frame}).validate(suite, result_format=wanted)
    by_place = {result.expectation_config.meta["at"]: result for result in validated.results}
    return [
        _broken(each, faults[at]) if at in faults else _outcome(each, by_place[at], names, len(frame), is_quoted=is_quoted)
        for at, each in enumerate(expectations)
    ]


@cache
def _library() -> tuple[Any, Any]:
    """The library and a place to put frames. Importing costs 6-9 CPU-seconds, so it happens once, and only when something is to be judged."""
    import great_expectations  # noqa: PLC0415 see above

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return great_expectations, asset.add_batch_definition_whole_dataframe("whole")


def _broken(expectation: Expectation, message: str) -> Outcome:
    return Outcome(passed=False, expected=in_words(expectation), found="not judged", rows_judged=0, rows_failed=0, error=message)


def _outcome(expectation: Expectation, result: Any, names: Sequence[str], rows: int, *, is_quoted: bool) -> Outcome:
    message = _error(result.exception_info)
    if message is not None:
        return _broken(expectation, message)
    details = result.result
    failed = int(details.get("unexpected_count", 0 if result.success else rows))
    judged = int(details.get("element_count", rows)) - (0 if expectation.type.endswith("NotBeNull") else int(details.get("missing_count") or 0))
    lines = details.get("partial_unexpected_index_list") or []
    if result.success:
        # `mostly` is not used: a promise holds for all rows or it does not hold.
        return Outcome(passed=True, expected=in_words(expectation), found=f"{judged} of {judged} hold", rows_judged=judged, rows_failed=failed)
    told = "; ".join(_line(line, names, is_quoted=is_quoted) for line in lines[:EXAMPLES])
    found = f"{failed} of {judged} do not" + (f": {told}" if told else "") + ("; …" if len(lines) > EXAMPLES else "")
    if not lines and "observed_value" in details:
        found = _plain(details["observed_value"])
    return Outcome(passed=False, expected=in_words(expectation), found=found, rows_judged=judged, rows_failed=failed)


def _error(info: Mapping[str, Any]) -> str | None:
    """The message of an expectation that could not be judged; it comes either flat or by metric, and always as `success=False`."""
    for part in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if part.get("raised_exception"):
            return str(part.get("exception_message"))
    return None


def _line(line: Mapping[str, Any], names: Iterable[str], *, is_quoted: bool) -> str:
    """One broken line: what names it, then the values that were looked at."""
    names = list(names)
    key = " ".join(_plain(line[name]) for name in names if name in line)
    values = ", ".join(f"{name} {_plain(value)}" for name, value in line.items() if name not in names) if is_quoted else ""
    return f"{key} ({values})" if values else key


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if value == datetime.combine(value.date(), datetime.min.time(), value.tzinfo) else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return "NULL" if value is None or value != value else str(value)  # noqa: PLR0124 NaN alone differs from itself


def in_words(expectation: Expectation) -> str:
    """What an expectation asks for, short."""
    given = expectation.arguments
    match expectation.type:
        case "ExpectCompoundColumnsToBeUnique":
            return f"({', '.join(given['column_list'])}) unique"
        case "ExpectColumnValuesToNotBeNull":
            return f"{given['column']} present"
        case "ExpectColumnValuesToBeInSet":
            return f"{given['column']} one of {', '.join(map(str, given['value_set']))}"
        case "ExpectColumnValuesToBeBetween":
            low, high = given.get("min_value"), given.get("max_value")
            bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
            return f"{given['column']} {' and '.join(bounds)}"
        case "ExpectColumnPairValuesToBeEqual":
            return f"{given['column_A']} = {given['column_B']}"
        case "ExpectColumnPairValuesAToBeGreaterThanB":
            return f"{given['column_A']} {'>=' if given.get('or_equal') else '>'} {given['column_B']}"
        case "ExpectColumnValuesToNotMatchRegex":
            return f"{given['column']} without {given['regex']}"
        case other:
            return f"{other} {dict(given)}"
