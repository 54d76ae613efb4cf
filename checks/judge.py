"""Hands one small frame and its expectations to Great Expectations and brings back what was expected and found, in plain types.

Not here: which promises there are (promises.py), what is read (summaries.py) and what follows (gate.py). Nothing else imports the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

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


class Answer(Protocol):
    """What of the library's result is looked at."""

    success: bool
    result: Mapping[str, Any]
    exception_info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A frame and what is expected of it.

    Args:
        names: the columns by which a broken line is named.
        is_quoted: a message may repeat values; not so where it would carry what it warns of.
    """

    frame: pd.DataFrame
    expectations: Sequence[Expectation]
    names: Sequence[str]
    is_quoted: bool = True


def judge(questions: Sequence[Question]) -> list[list[Outcome]]:
    """The outcomes of each question, one per expectation.

    The library takes 10 ms for an expectation, whatever the frame. So summaries of which the same is expected are laid together and asked
    once; only where that fails is each asked for itself.
    """
    alike: dict[object, list[int]] = {}
    for at, question in enumerate(questions):
        alike.setdefault(_likeness(question) or at, []).append(at)
    holding = {at for group in alike.values() if len(group) > 1 and _holds([questions[one] for one in group]) for at in group}
    return [
        [_as_expected(each, _rows(question.frame)) for each in question.expectations] if at in holding else _judge(question)
        for at, question in enumerate(questions)
    ]


def _likeness(question: Question) -> object | None:
    """What two questions must have in common to be asked together; None for rows, which are many."""
    if "what" not in question.frame.columns or question.frame.empty:
        return None
    columns = _columns(question)
    return (
        columns,
        *(repr(each) for each in question.expectations),
        *(str(question.frame[name].dtype) for name in columns if name in question.frame.columns),
    )


def _columns(question: Question) -> tuple[str, ...]:
    arguments = (each.arguments.get(name) for each in question.expectations for name in ("column", "column_A", "column_B"))
    return tuple(dict.fromkeys(name for name in arguments if name is not None))


def _holds(questions: Sequence[Question]) -> bool:
    import pandas as pd  # noqa: PLC0415 only where something is judged

    try:
        together = pd.concat([question.frame[list(_columns(question))] for question in questions], ignore_index=True)
    except KeyError:
        return False
    answers = _answers(together, dict(enumerate(questions[0].expectations)), "BOOLEAN_ONLY")
    return all(map(_is_success, answers.values()))


def _is_success(answer: Answer | str) -> bool:
    return not isinstance(answer, str) and answer.success


def _judge(question: Question) -> list[Outcome]:
    frame, expectations = question.frame, question.expectations
    if frame.empty:
        return [nothing_to_judge(each) for each in expectations]
    holds = _answers(frame, dict(enumerate(expectations)), "BOOLEAN_ONLY")
    # To be told which lines break a promise takes twice the time, so that is asked only where one is broken.
    broken = {at: each for at, each in enumerate(expectations) if not isinstance(holds[at], str) and not _is_success(holds[at])}
    why = _answers(frame, broken, {"result_format": "SUMMARY", "unexpected_index_column_names": list(question.names)}) if broken else {}
    return [_outcome(each, why.get(at, holds[at]), question) for at, each in enumerate(expectations)]


def _rows(frame: pd.DataFrame) -> int:
    """The rows behind the lines."""
    return int(frame["rows"].sum()) if "rows" in frame.columns else len(frame)


def _answers(frame: pd.DataFrame, expectations: Mapping[int, Expectation], result_format: object) -> dict[int, Answer | str]:
    """The library's result per expectation, or the message of what it could not even take."""
    library, whole_frame = _library()
    built: list[Any] = []
    answers: dict[int, Answer | str] = {}
    for at, each in expectations.items():
        try:
            built.append(getattr(library.expectations, each.type)(**each.arguments, meta={"at": at}))
        except (AttributeError, TypeError, ValueError) as fault:
            answers[at] = f"{type(fault).__name__}: {fault}"
    suite = library.ExpectationSuite(name="promises", expectations=built)
    validated = whole_frame.get_batch({"dataframe": frame}).validate(suite, result_format=result_format)
    return answers | {result.expectation_config.meta["at"]: result for result in validated.results}


def nothing_to_judge(expectation: Expectation) -> Outcome:
    """The outcome where there is no line: nothing breaks the promise. The library would say the same, 10 ms later."""
    return Outcome(passed=True, expected=in_words(expectation), found="no rows", rows_judged=0, rows_failed=0)


def not_judged(expectation: Expectation, message: str) -> Outcome:
    """The outcome where the question itself failed."""
    return Outcome(passed=False, expected=in_words(expectation), found="not judged", rows_judged=0, rows_failed=0, error=message)


@cache
def _library() -> tuple[Any, Any]:
    """The library and a place to put frames. Importing costs 6-9 CPU-seconds, so it happens once, and only when something is to be judged."""
    import great_expectations

    context: Any = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return great_expectations, asset.add_batch_definition_whole_dataframe("whole")


def _as_expected(expectation: Expectation, rows: int) -> Outcome:
    return Outcome(passed=True, expected=in_words(expectation), found="as expected", rows_judged=rows, rows_failed=0)


def _outcome(expectation: Expectation, result: Answer | str, question: Question) -> Outcome:
    expected, rows = in_words(expectation), _rows(question.frame)
    if isinstance(result, str):
        return not_judged(expectation, result)
    if (message := _error(result.exception_info)) is not None:
        return not_judged(expectation, message)
    if result.success:
        return _as_expected(expectation, rows)
    failed = int(result.result["unexpected_count"])
    lines = result.result["partial_unexpected_index_list"]
    told = "; ".join(_line(line, question.names, is_quoted=question.is_quoted) for line in lines[:EXAMPLES]) + (
        "; …" if failed > EXAMPLES else ""
    )
    return Outcome(passed=False, expected=expected, found=f"{failed} not so: {told}", rows_judged=rows, rows_failed=failed)


def _error(info: Mapping[str, Any]) -> str | None:
    """The message of an expectation that could not be judged; it comes either flat or by metric, and always as `success=False`."""
    for part in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if part.get("raised_exception"):
            return str(part.get("exception_message"))
    return None


def _line(line: Mapping[str, Any], names: Iterable[str], *, is_quoted: bool) -> str:
    """One broken line: what names it, then the values that were looked at, sorted: the library gives them in any order."""
    names = list(names)
    key = " ".join(_plain(line[name]) for name in names if name in line)
    values = ", ".join(f"{name} {_plain(value)}" for name, value in sorted(line.items()) if name not in names) if is_quoted else ""
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
    told = _WORDS.get(expectation.type)
    return told(given) if told else f"{expectation.type} {dict(given)}"


def _between(given: Mapping[str, Any]) -> str:
    ends = ((word, given.get(end)) for word, end in (("at least", "min_value"), ("at most", "max_value")))
    return f"{given['column']} {' and '.join(f'{word} {end}' for word, end in ends if end is not None)}"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "ExpectCompoundColumnsToBeUnique": lambda given: f"({', '.join(given['column_list'])}) unique",
    "ExpectColumnValuesToBeUnique": lambda given: f"{given['column']} unique",
    "ExpectColumnValuesToBeInSet": lambda given: f"{given['column']} one of {', '.join(map(str, given['value_set']))}",
    "ExpectColumnValuesToBeBetween": _between,
    "ExpectColumnPairValuesToBeEqual": lambda given: f"{given['column_A']} = {given['column_B']}",
    "ExpectColumnPairValuesAToBeGreaterThanB": lambda given: (
        f"{given['column_A']} {'>=' if given.get('or_equal') else '>'} {given['column_B']}"
    ),
    "ExpectColumnValuesToNotMatchRegex": lambda given: f"{given['column']} without {given['regex']}",
}
