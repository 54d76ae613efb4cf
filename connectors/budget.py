"""What one institution may use of one platform in a day: requests, and money where the platform bills per record read.

Not here: the bounds themselves (the platform's declaration and the institution's file), waiting (http.py), and the record of what was
spent on other runs of the day (assets/ledgers.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.failures import BudgetSpent

ROUNDED = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Allowance:
    """The bounds of a day; None = none of ours. The day ends at midnight in `zone`, where the platform's own count begins anew."""

    requests: int | None = None
    cost_usd: Decimal | None = None
    zone: str = "UTC"

    def day_began(self, now: datetime) -> datetime:
        """The instant, in UTC, at which the day of `now` began."""
        local = now.astimezone(ZoneInfo(self.zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


class DayBudget:
    """What is left of an allowance. All streams of the institution's accounts on the platform share it, from several threads.

    Args:
        who: institution and platform, for messages.
        allowance: the bounds.
        requests: how many were sent earlier in the day.
        cost_usd: what was spent earlier in the day.
        read_keys: per stream, keys of the records that were paid for earlier in the day; platforms bill a record once a day.
    """

    def __init__(
        self,
        who: str,
        allowance: Allowance,
        requests: int = 0,
        cost_usd: Decimal = Decimal(0),
        read_keys: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._who = who
        self._allowance = allowance
        self._requests = requests
        self._cost_usd = cost_usd
        self._reserved_usd = Decimal(0)
        self._read = set(read_keys)
        self._exhausted: str | None = None
        self._lock = threading.Condition()

    def request(self) -> None:
        """Count one request that is about to be sent.

        Raises:
            BudgetSpent: the day's requests are used up, by our count or the platform's; it is not to be sent.
        """
        with self._lock:
            if self._exhausted is not None:
                raise BudgetSpent(self._exhausted)
            bound = self._allowance.requests
            if bound is not None and self._requests >= bound:
                raise BudgetSpent(self._spent(f"{self._requests:,} of {bound:,} requests", "max_requests_per_day"))
            self._requests += 1

    def exhaust(self, reason: str) -> None:
        """The platform itself said that its day's quota is used up: nothing more is sent in this run."""
        with self._lock:
            self._exhausted = self._exhausted or reason

    def reserve(self, price_usd: Decimal, records: int) -> Decimal:
        """Set aside the price of a page of at most `records`; returns what was set aside, to be handed to `settle`.

        Where other lists have set aside what would be needed, it waits for them: few of their pages are full.

        Raises:
            BudgetSpent: a full page could cost more than is left.
        """
        wanted = price_usd * records
        with self._lock:
            bound = self._allowance.cost_usd
            if bound is not None:
                self._lock.wait_for(lambda: self._cost_usd + wanted > bound or self._cost_usd + self._reserved_usd + wanted <= bound)
            if bound is not None and self._cost_usd + wanted > bound:
                # Rounded down: what is spent never reads as more than it is.
                told = f"{self._cost_usd.quantize(ROUNDED, 'ROUND_FLOOR')} of {bound.quantize(ROUNDED)} USD"
                raise BudgetSpent(self._spent(told, "max_cost_usd_per_day"))
            self._reserved_usd += wanted
        return wanted

    def settle(self, reserved_usd: Decimal, price_usd: Decimal, stream: str, keys: Collection[str], unnamed: int = 0) -> Decimal:
        """Put what a page cost in place of what was set aside. Records already paid for today cost nothing; `unnamed` ones have no key."""
        with self._lock:
            self._reserved_usd -= reserved_usd
            new = {(stream, key) for key in keys} - self._read if price_usd else set()
            self._read |= new
            cost = price_usd * (len(new) + (unnamed if price_usd else 0))
            self._cost_usd += cost
            self._lock.notify_all()
            return cost

    def _spent(self, told: str, setting: str) -> str:
        return (
            f"{self._who}: the day's allowance is used up ({told}). What came so far is kept; the next night goes on from there. "
            f"Raise {setting} in the institution's file if this happens every night."
        )
