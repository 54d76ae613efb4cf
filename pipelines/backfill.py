"""Which days a run is to fetch again, as a person asks for them: checked before anything is done.

Not here: which windows follow, and where a backfill goes on after its budget's end (assets/asking.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.registry import platforms
from connectors.streams import Snapshot, Stream
from pipelines.settings import Institution, SettingsError

# A run with these tags is a backfill of the days between them, both included, in each institution's zone.
FROM_TAG = "tolok/from"
TO_TAG = "tolok/to"


@dataclass(frozen=True, slots=True)
class Span:
    """The tags of the run, none for a usual night, and what is to be said beforehand."""

    tags: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def span_of(begin: str | None, end: str | None, now: datetime, institutions: Iterable[Institution], only: Collection[str]) -> Span:
    """The span from `begin` to `end`, both days included.

    Raises:
        SettingsError: a day is none, the order is wrong, it lies in the future, or no platform can be asked for it any more.
    """
    used = list(institutions)
    if begin is None and end is None:
        return Span()
    if begin is None:
        message = "--to alone says no beginning; give --from too. Nothing was done."
        raise SettingsError(message)
    # The latest zone in use: where it is tomorrow already, tomorrow can be asked for.
    today = max(now.astimezone(ZoneInfo(institution.zone)).date() for institution in used)
    first, last = _day("--from", begin), _day("--to", end) if end else today
    for name, day in (("--from", first), ("--to", last)):
        if day > today:
            message = f"{name} {day} lies in the future (today is {today}). Nothing was done."
            raise SettingsError(message)
    if first > last:
        message = f"--from {first} comes after --to {last}. Nothing was done."
        raise SettingsError(message)
    asked = {account.platform for institution in used for account in institution.accounts} & set(only or platforms())
    streams = [(name, stream) for name in sorted(asked) for stream in platforms()[name].streams if not isinstance(stream.kind, Snapshot)]
    reached = {f"{name} {stream.name}": _reaches(stream, today) for name, stream in streams}
    too_late = {name: day for name, day in reached.items() if day is not None and day > first}
    if all(day is not None and day > last for day in reached.values()):
        told = "; ".join(f"{name} from {day} on" for name, day in reached.items()) or "no list of the past at all"
        message = f"No platform can be asked for {first} to {last} any more (it gives: {told}). Nothing was done."
        raise SettingsError(message)
    remarks = [f"{name} cannot be asked for days before {day}; it is asked from then on." for name, day in too_late.items()]
    remarks.append("Followers and counters of the past cannot be asked for: posts of those days come with today's counters.")
    return Span({FROM_TAG: first.isoformat()} | ({TO_TAG: last.isoformat()} if end else {}), tuple(remarks))


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{name} {text!r} is not a day; write it as 2026-01-31. Nothing was done."
        raise SettingsError(message) from None


def _reaches(stream: Stream, today: date) -> date | None:
    """The first whole day that the platform still gives; None where it names no end."""
    return None if stream.retention is None else today - timedelta(days=stream.retention.days)
