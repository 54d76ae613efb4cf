"""Many nights of the past, one after another on an injected clock, landed together: what lands is what it would be night by night.

Not here: what a night fetches (assets/asking.py) and how several runs are taken in at once (assets/raw.py). A night of today is night.py's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from assets import asking, raw
from assets.ledgers import FETCH, LEDGERS, snapshot_day
from connectors.streams import Snapshot
from pipelines.night import everything, wish
from pipelines.persons import informed
from pipelines.warehouse import ensure, first

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.house import House
    from pipelines.settings import Institution

# A landing costs nearly the same for one night as for many: four of 30 nights took 12.6 CPU-s, one of 117 took 9.5. Until then the nights
# stand in files, which a run that was stopped lands at its end, and one that was killed leaves to the next.
NIGHTS = 120


def fetch_and_land(
    house: House, institutions: Mapping[str, Institution], nights: Sequence[tuple[str, datetime]], turn: Callable[[datetime], None]
) -> int:
    """Fetch up to `NIGHTS` of the nights (run and instant), then land them in one go; returns how many.

    `turn` puts the clock to a night's instant. It ends before a night whose questions depend on what landing the others would tell.
    """
    wishes = {key: wish(house, one) for key, one in institutions.items()}
    with house.warehouse.open() as connection:
        raw.land(connection, house.landing_path, None)
        pseudonyms = informed(connection, house.pseudonyms())
        copy = _Ledger(connection, wishes)
    fetched = 0
    try:
        with house.words():
            for run_id, instant in nights[:NIGHTS]:
                if not copy.knows_enough(instant):
                    break
                turn(instant)
                jobs = asking.plan(copy.connection, wishes, instant, everything, ahead=copy.until)
                asking.fetch_all(jobs, house.landing_path / "incoming", run_id, pseudonyms, house.clock, house.waiting_s, lambda _: None)
                copy.add(jobs, house.landing_path / "incoming" / run_id, instant)
                fetched += 1
    finally:
        copy.connection.close()
        with house.warehouse.open() as connection:
            raw.land(connection, house.landing_path, None)
    return fetched


class _Ledger:
    """The ledgers as they stood at the last landing, in memory, and what is known of the nights fetched since."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, wishes: Mapping[str, asking.Wish]) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.connection.execute("SET TimeZone='UTC'")
        self.connection.execute("CREATE SCHEMA meta")
        for table in LEDGERS:
            ensure(connection, table)
            ensure(self.connection, table)
            self.connection.register("there", connection.sql(f"FROM {table.name}").pl())
            self.connection.execute(f"INSERT INTO {table.name} BY NAME FROM there")
            self.connection.unregister("there")
        found = first(connection, f"SELECT max(requested_at) FROM {FETCH.name}")
        self._last: datetime | None = found[0] if found else None
        self._wishes = wishes
        self._is_sure = True
        # Until when each stream was read, and how late that must be, before the next night, to decide nothing of it.
        self.until: dict[asking.Who, datetime] = {}
        self._reach: dict[asking.Who, timedelta] = {}

    def knows_enough(self, now: datetime) -> bool:
        """Whether landing first would change no question of a night at this instant.

        So it is where each night that waits came whole, the night is on another snapshot day and in another day of every allowance than
        they, and where they ended lies within the lookback of each stream.
        """
        return not self.until or (
            self._is_sure and self._is_apart(now) and all(self.until[who] >= now - self._reach[who] for who in self._reach)
        )

    def add(self, jobs: Sequence[asking.Job], folder: Path, now: datetime) -> None:
        """Take note of a night that was fetched."""
        told = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
        # A metric that was refused tonight is not asked for tomorrow: the ledger must know of it first.
        is_whole = all(one["is_complete"] and not one["rejected"] and not one["refusals"] for one in told) and not any(
            due.is_extra for job in jobs for due in job.due
        )
        self._is_sure = self._is_sure and is_whole and self._is_apart(now)
        self._last = now
        for job in jobs:
            self.until[job.who] = max(due.window.end for due in job.due)
            if not isinstance(job.stream.kind, Snapshot):
                self._reach[job.who] = job.stream.lookback

    def _is_apart(self, now: datetime) -> bool:
        """Whether an instant lies on a later day than the last night, as counters and as allowances count."""
        if self._last is None:
            return True
        last, zones = self._last, {one.zone for one in self._wishes.values()}
        allowances = [one.allowance(account.platform) for one in self._wishes.values() for account in one.accounts]
        return all(snapshot_day(now, zone) > snapshot_day(last, zone) for zone in zones) and all(
            allowance.day_began(now) > last for allowance in allowances
        )


__all__ = ["NIGHTS", "fetch_and_land"]
