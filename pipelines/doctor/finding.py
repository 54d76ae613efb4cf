"""What a check finds: one line with a state, and the words that lines are made of.

Not here: the checks (checks/), and how findings are printed (cli.py).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class State(StrEnum):
    """How well something is. Red keeps a night from being whole; amber will, or may."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Finding(NamedTuple):
    """One line: which check, how it stands, what was found, and what mends it."""

    check: str
    state: State
    found: str
    fix: str | None = None


def ending(check: str, what: str, left: timedelta, when: str, fix: str, warning: timedelta) -> Finding:  # noqa: PLR0913 the line's parts
    """What ends: red when it has, amber when it will within `warning`. `when` begins with the word ends."""
    if left <= timedelta(0):
        return Finding(check, State.RED, f"{what} {when.replace('ends', 'ended')}", fix)
    told = f"{what} {when}, in {counted(left.days, 'day')}"
    return Finding(check, State.AMBER, told, fix) if left <= warning else Finding(check, State.GREEN, told)


def size_of(path: Path) -> int:
    """Bytes; 0 where there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def in_gb(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"


def moment(instant: datetime | None) -> str:
    """To the minute, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if instant else "unknown"


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
