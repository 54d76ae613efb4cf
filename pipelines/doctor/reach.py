"""One cheap request to the platform of each account: does it answer, and what time is it there?

Not here: what the answers are worth (checks/reachability.py, checks/clock.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TYPE_CHECKING

from connectors.clock import SystemClock
from connectors.failures import DoorError
from connectors.fetch import first_request
from connectors.http import Door, Hosts, WaitingBudget
from connectors.registry import platforms
from connectors.streams import Window

if TYPE_CHECKING:
    from connectors.streams import Account

REACH_S = 30


@dataclass(frozen=True, slots=True)
class Reached:
    """How one request to an account's platform went: the failure, or how long it took and the platform's own time."""

    failure: DoorError | None = None
    seconds: float = 0.0
    date: datetime | None = None
    at: datetime | None = None


def reach(accounts: Iterable[Account]) -> dict[str, Reached]:
    """Ask for each account, at once, what its platform's declaration calls the cheapest request. One attempt each."""
    hosts = Hosts()
    pool = ThreadPoolExecutor(8, thread_name_prefix="tolok-doctor")
    pending: dict[Future[Reached], str] = {
        pool.submit(_reach, account, hosts): f"{account.institution_id} {account.label}" for account in accounts if account.fault is None
    }
    done, late = wait(pending, timeout=REACH_S)
    pool.shutdown(wait=False, cancel_futures=True)
    slow = DoorError(f"no answer within {REACH_S} s")
    return {pending[future]: future.result() for future in done} | {pending[future]: Reached(slow) for future in late}


def _reach(account: Account, hosts: Hosts) -> Reached:
    connector = platforms()[account.platform]
    clock = SystemClock()
    door = Door(account, connector.limits, hosts, clock, WaitingBudget(0), judge=connector.judge)
    began, at = monotonic(), clock.now()
    try:
        answer = door.get_once(first_request(connector.stream(connector.probe), account, Window(at - timedelta(days=1), at)))
    except DoorError as failure:
        return Reached(failure)
    finally:
        door.close()
    told = next((value for name, value in answer.headers.items() if name.lower() == "date"), "")
    try:
        instant = parsedate_to_datetime(told)
    except ValueError:
        instant = None
    return Reached(None, monotonic() - began, instant, clock.now())
