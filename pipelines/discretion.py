"""The second line before every log: secrets, addresses of people and long numbers do not get into one, whoever writes it.

The first line is that no message of ours holds any. Not here: where logs go (logs.py).
"""

from __future__ import annotations

import inspect
import logging
import re
import traceback
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

from connectors.secret import known_secrets

HIDDEN = "…"
# A shorter secret also stands in innocent words; no platform gives one.
SHORTEST_SECRET = 8
_AUTHORIZATION = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;}]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}")
_PARAMETER = re.compile(
    r"(?i)(?<![a-z0-9])((?:[a-z]+[_-])*(?:token|secret|password|api[_-]?key|signature)[\"']?\s*(?:=|:\s*[\"'])\s*[\"']?)([^\s&\"'<>,;)}\]]+)"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Ids, phone, account and identity numbers; not a fraction's digits, nor a part of a run's id.
_DIGITS = re.compile(r"(?<![\w.-])\+?\d{9,}(?![\w-])")
_PHONE = re.compile(r"(?<![\w.-])(?:\+62|62|0)[ .-]?8\d(?:[ .-]?\d){6,11}(?!\w)")

P = ParamSpec("P")
R = TypeVar("R")


class ConcealedError(Exception):
    """An error whose own words held what no log may: this is what may be told of it."""


class Discretion(logging.Filter):
    """Cleans records in place and lets every one pass.

    Args:
        own: numbers that may stand: the institution's own account ids.
    """

    def __init__(self, own: Collection[str] = ()) -> None:
        super().__init__()
        self.own = frozenset(own)
        self._compiled: tuple[frozenset[str], re.Pattern[str] | None] = (frozenset(), None)

    def clean(self, text: str) -> str:
        """The text without anything that no log may hold. Cleaning twice changes nothing."""
        pattern = self._secrets()
        if pattern is not None:
            text = pattern.sub(HIDDEN, text)
        text = _AUTHORIZATION.sub(lambda found: found.group(1) + HIDDEN, text)
        text = _BEARER.sub(lambda found: found.group(1) + found.group(2) + HIDDEN, text)
        text = _PARAMETER.sub(lambda found: found.group(1) + HIDDEN, text)
        text = _EMAIL.sub(HIDDEN, text)
        for numbers in (_DIGITS, _PHONE):
            text = numbers.sub(lambda found: found.group(0) if found.group(0) in self.own else HIDDEN, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # The words and their values do not fit together: told all the same, but cleaned.
            text = f"{record.msg} {record.args}"
            record.msg, record.args = text, None
        if (cleaned := self.clean(text)) != text:
            record.msg, record.args = cleaned, None
        if record.exc_info and record.exc_info[1] is not None:
            told = record.exc_text or "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            if (cleaned := self.clean(told)) != told:
                record.exc_text, record.exc_info = cleaned, None
        elif record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        return True

    def _secrets(self) -> re.Pattern[str] | None:
        known = known_secrets()
        if known != self._compiled[0]:
            values = {value for value in known if len(value) >= SHORTEST_SECRET}
            values |= {quote(value, safe="") for value in values} | {repr(value)[1:-1] for value in values}
            longest_first = sorted(values, key=lambda value: (-len(value), value))
            self._compiled = known, re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        return self._compiled[1]


DISCRETION = Discretion()


class _Factory:
    """Makes records as before, and cleans each: so the filter holds for every logger and handler of the process, ours, Dagster's, urllib3's."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 whatever a record is made of
        record = self._make(*args, **kwargs)
        DISCRETION.filter(record)
        return record


def install(own: Collection[str] = ()) -> None:
    """Clean every record of this process from now on; `own` adds to the numbers that may stand. May be called again."""
    DISCRETION.own |= frozenset(own)
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))


def discreet(function: Callable[P, R]) -> Callable[P, R]:
    """A step whose errors, which Dagster writes into its event log with their chain of causes, are cleaned on their way out."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def stepwise(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            try:
                yield from function(*args, **kwargs)
            except Exception as failure:
                _cleaned(failure)
                raise

        return cast("Callable[P, R]", stepwise)

    @wraps(function)
    def whole(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as failure:
            _cleaned(failure)
            raise

    return whole


def _cleaned(failure: BaseException) -> None:
    """Clean the words of an error and of all that it came from.

    Raises:
        ConcealedError: the words of one of them cannot be changed (an OSError keeps its own): then only what may be told is told.
    """
    left: list[BaseException | None] = [failure]
    seen: set[int] = set()
    while left:
        error = left.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.args = tuple(DISCRETION.clean(part) if isinstance(part, str) else part for part in error.args)
        if hasattr(error, "__notes__"):
            error.__notes__ = [DISCRETION.clean(note) for note in error.__notes__]
        described = getattr(error, "description", None)
        if isinstance(described, str) and (cleaned := DISCRETION.clean(described)) != described:
            error.description = cleaned  # type: ignore[attr-defined]
        if (cleaned := DISCRETION.clean(str(error))) != str(error):
            message = f"{type(error).__name__}: {cleaned}"
            raise ConcealedError(message) from None
        left += [error.__cause__, error.__context__, *(error.exceptions if isinstance(error, BaseExceptionGroup) else ())]
