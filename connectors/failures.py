"""The vocabulary of failure at the door: each kind says whether asking again can help.

Not here: how often is asked again (http.py) and what the ledger makes of it (assets/raw.py).
"""

from __future__ import annotations


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


class NotPermitted(DoorError):
    """The token is missing, expired, or may not read this."""

    ledger_status = "not_permitted"


class BudgetSpent(DoorError):
    """The run's allowance of waiting is used up. What was fetched is kept; the next night goes on from there."""


class PagingLoop(DoorError):
    """The platform led us in a circle, or further than the stream's limit of pages."""
