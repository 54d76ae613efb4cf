"""Is a record what its stream declares: a key, a time with a zone, counters that are whole numbers and never negative.

Not here: what becomes of one that is not (fetch.py sets it aside), and whether a counter fell (checks/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.streams import Daily, Event

if TYPE_CHECKING:
    from connectors.streams import Stream

# Above this share of unfit records a stream has not arrived: the platform's answers have changed, not one record [house rule].
RED_SHARE = 0.05
_DIGITS = re.compile(r"[0-9]{1,18}")
# Names that may be told: a member that is named after a person or a text is no field.
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
MAX_COUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Unfit:
    """One thing that is wrong with a record: where, and what. `is_whole`: the record cannot be placed without it."""

    field: str
    reason: str
    is_whole: bool


def member(record: Mapping[str, Any], path: str) -> object:
    """The value at a dotted path; None where any part of it is absent."""
    value: object = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def instant(value: object) -> datetime | None:
    """The instant that a text names; None when it names none, or has no zone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def key_of(record: Mapping[str, Any], path: str) -> str | None:
    """The record's key as text: a text or a whole number of any size; None for anything else."""
    value = member(record, path)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def unfit(record: Mapping[str, Any], stream: Stream, *, is_unfolded: bool = False) -> list[Unfit]:
    """Everything that is wrong with a record, in the order of the declaration. Unfolded records hold the list's own order no more."""
    found = []
    if key_of(record, stream.kind.key) is None:
        found.append(Unfit(stream.kind.key, f"{stream.kind.key} is {_told(member(record, stream.kind.key))}; it names the record", True))  # noqa: FBT003
    times = dict.fromkeys((*([stream.newest_first] if stream.newest_first and not is_unfolded else ()), *_at(stream), *stream.times))
    found += [
        Unfit(path, f"{path} is {_told(member(record, path), 'a text that is no time with a zone')}; a time with a zone is needed", True)  # noqa: FBT003
        for path in times
        if instant(member(record, path)) is None
    ]
    for declared in stream.counts:
        for path, value in (
            _places(record, declared) if declared.endswith(("]", "}")) or "[]." in declared else ((declared, member(record, declared)),)
        ):
            if value is not None and not _is_count(value):
                found.append(Unfit(path, f"{declared} is {_told(value, 'a text')}; a count was expected", False))  # noqa: FBT003
    return found


def _places(record: Mapping[str, Any], path: str) -> list[tuple[str, object]]:
    """The values at a path, each with its own: `a[].b` becomes `a[0].b`, `a[1].b`. `a{}` stands for `a` itself or, of an object, its members."""
    found: list[tuple[str, object]] = [("", record)]
    for part in path.split("."):
        name = part.removesuffix("[]").removesuffix("{}")
        below = [(f"{at}.{name}".removeprefix("."), value.get(name)) for at, value in found if isinstance(value, dict)]
        if part.endswith("[]"):
            below = [(f"{at}[{place}]", one) for at, value in below if isinstance(value, list) for place, one in enumerate(value)]
        if part.endswith("{}"):
            below = [
                inner
                for at, value in below
                for inner in ([(f"{at}.{member}", one) for member, one in value.items()] if isinstance(value, dict) else [(at, value)])
            ]
        found = below
    return found


def blank(record: dict[str, Any], path: str) -> None:
    """Make the value at a dotted path null, so that it counts as not given. `a[1].b` is the second of a list; a name may hold dots itself."""
    parts = path.split(".")
    value: Any = record
    while len(parts) > 1:
        inner, _, place = parts[0].removesuffix("]").partition("[")
        if not isinstance(value.get(inner), dict | list):
            break
        value = value[inner][int(place)] if place else value[inner]
        del parts[0]
    value[".".join(parts)] = None


def shape_of(record: Mapping[str, Any]) -> tuple[object, ...]:
    """What `field_names` depends on: records of one stream have few shapes, and a million records one each."""
    return (*record, *(tuple(value) for value in record.values() if isinstance(value, dict)))


def field_names(record: Mapping[str, Any]) -> set[str]:
    """The names of a record's members and of their members, dotted: what the platform gives, whatever the values."""
    names = set()
    for name, value in record.items():
        if _FIELD.fullmatch(name):
            names.add(name)
            if isinstance(value, dict):
                names |= {f"{name}.{inner}" for inner in value if _FIELD.fullmatch(inner)}
    return names


def is_red(unfit_records: int, all_records: int) -> bool:
    """True when so many records were unfit that the stream counts as not arrived."""
    return unfit_records > RED_SHARE * all_records


def _at(stream: Stream) -> tuple[str, ...]:
    return (stream.kind.at,) if isinstance(stream.kind, Event | Daily) else ()


def _is_count(value: object) -> bool:
    """Whole, not negative, and small enough for a column; also as text, for some APIs write numbers as strings."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return _DIGITS.fullmatch(value) is not None
    return isinstance(value, int | float) and 0 <= value <= MAX_COUNT and value == int(value)


def _told(value: object, text: str = "an empty text") -> str:
    """What stands there, without quoting it: a text may name a person."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a negative number" if value < 0 else "a number"
    return text if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


__all__ = ["RED_SHARE", "Unfit", "blank", "field_names", "instant", "is_red", "key_of", "member", "unfit"]
