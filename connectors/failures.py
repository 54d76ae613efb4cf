"""The vocabulary of failure at the door: each kind says whether asking again can help.

Not here: how often is asked again (http.py) and what the ledger makes of it (assets/raw.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class DoorError(Exception):
    """Something was not fetched. The message says what did not happen, why, and what to do; it never holds a token or a person."""

    ledger_status = "missing"


class TemporaryFailure(DoorError):
    """The platform may answer later: time-out, reset, 429, 5xx, an answer cut short.

    `retry_after_s` is the server's hint, None without one.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooSlow(TemporaryFailure):
    """The answer trickled in and was left at its deadline. Each attempt costs minutes, so it is asked for once more and no oftener."""


class PermanentFailure(DoorError):
    """Asking the same again cannot help: the request is wrong, or the thing is gone. It does not mean that the account is."""

    ledger_status = "unavailable"


class MetricRefused(PermanentFailure):
    """One of the metrics that were asked for does not exist any more, or not for this kind of thing."""


class Gone(PermanentFailure):
    """The one thing that was asked about is not there any more."""


class NotPermitted(DoorError):
    """The token is missing, expired, or may not read this."""

    ledger_status = "not_permitted"


class BudgetSpent(DoorError):
    """The run's allowance of waiting is used up. What was fetched is kept; the next night goes on from there."""


class PagingLoop(DoorError):
    """The platform led us in a circle, or further than the stream's limit of pages."""


class Reaction(StrEnum):
    """What a platform's own error code asks of us."""

    RETRY = "retry"
    """It may answer in a moment."""
    WAIT = "wait"
    """Too many requests: it may answer when the hint says, or later."""
    DAY_SPENT = "day_spent"
    """The day's quota is used up: nothing more of the platform today."""
    METRIC = "metric"
    """One of the metrics asked for is not given: the others can be."""
    NOTHING = "nothing"
    """There is nothing to tell: an audience too small, an item from before. An empty answer."""
    GONE = "gone"
    """The thing asked about is no longer there."""
    DENIED = "denied"
    """This account's token may not read it, or is dead."""
    PLATFORM = "platform"
    """The app or the version of the API is no longer served: nothing of the platform can be asked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means; `told` is the platform's own code, in a few characters that name nobody. `wait_s`: its hint in the body."""

    reaction: Reaction
    told: str = ""
    wait_s: float | None = None


# From the status and the decoded body of an answer that is none; None = judged by the status alone.
Judge = Callable[[int, Mapping[str, Any]], Verdict | None]
