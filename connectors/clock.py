"""The clock that everything asks for the time, so that a test or the demo can bring its own.

Not here: schedules (pipelines/schedules.py) and calendars.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What is asked for the time, and waited with."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, fewer when it is woken."""
        ...

    def wake(self) -> None:
        """End every sleep at once, also those to come: the run was told to stop."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        self._woken.wait(seconds)

    def wake(self) -> None:
        self._woken.set()


class InjectedClock:
    """A clock that stands where it is put. Sleeping moves it on at once, so waiting costs a test nothing."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def set(self, now: datetime) -> None:
        with self._lock:
            self._now = now.astimezone(UTC)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)

    def wake(self) -> None:
        """Nobody sleeps by this clock."""
