"""The demo: 120 nights of the sandbox institution on one injected clock, the last two of them as real nights with checks and publishing.

Not here: the sandbox (its own package) and the steps of a night (night.py, wiring.py). It is the one module that knows the sandbox.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets import raw
from assets.publish import FILE_NAME
from assets.reference import ACCOUNT
from assets.staging.things import COVERAGE
from connectors.clock import InjectedClock
from pipelines import together
from pipelines.house import House
from pipelines.night import RUN
from pipelines.runner import Outcome, run_job
from pipelines.stamps import STAMP
from pipelines.warehouse import ensure, first
from sandbox.facts import PLATFORMS
from sandbox.institution import settings_toml
from sandbox.server import Running, start
from sandbox.standins import stand_ins
from sandbox.world import World, nights_run

if TYPE_CHECKING:
    import duckdb

INSTITUTION = "cahaya"
SEED = 7
# A fixed port, because the address stands in the institution's file and so in the published links.
PORT = 18437
REAL_NIGHTS = 2
# The sandbox's own tokens and a key for a world without real persons: no secrets.
ENVIRON = {
    "TOLOK_HMAC_KEY": "the-sandbox-has-no-real-persons",
    **{f"TOLOK_CAHAYA_{one.platform.upper()}_TOKEN": one.tokens[0] for one in stand_ins().values()},
}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """What must not move when nothing is new: landing, raw, stamps and the published file's inode."""

    landing: str
    raw: str
    stamps: str
    inode: int | None


@dataclass(frozen=True, slots=True)
class Played:
    """What the demo did, for the table at its end."""

    nights: int
    outcomes: tuple[Outcome, ...]
    rows_new: int
    rows_changed: int
    gaps: int
    days_lost: int
    platforms: Mapping[str, int]
    before: Mark
    after: Mark
    published: Path

    @property
    def is_unchanged(self) -> bool:
        return self.before == self.after and self.before.inode is not None


def open_sandbox(home: Path, port: int | None = None) -> tuple[Running, House]:
    """Start the sandbox and write its institution's file; the house's clock stands at the last night.

    The port is the one that the file names already, so that links stay as they are; where it is taken, any other.
    """
    path = home / "institutions" / f"{INSTITUTION}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    named = re.search(r"http://127\.0\.0\.1:(\d+)/", before)
    try:
        running = start(SEED, port or (int(named.group(1)) if named else PORT))
    except RuntimeError:
        running = start(SEED, 0)
    text = settings_toml(running.url, SEED, PLATFORMS)
    if before != text:
        path.write_text(text, encoding="utf-8")
    clock = InjectedClock(nights()[-1])
    running.set_now(clock.now())
    return running, House(home, environ=ENVIRON, clock=clock)


def nights() -> list[datetime]:
    """The instants at which the demo's nights run: all but the one that the institution's machine was off."""
    return [instant.astimezone(UTC) for instant in nights_run(World(SEED))]


def play(home: Path, progress: Progress = lambda *_: None, count: int | None = None, port: int | None = None) -> Played:
    """Play what has not been played yet; when all has, play the last night again to show that nothing is new.

    Args:
        home: the demo's own home.
        progress: hears a name, the step and the number of steps.
        count: how many nights there are; all by default. Tests play fewer.
        port: where the sandbox listens.
    """
    running, house = open_sandbox(home, port)
    with running, house.lock():
        planned = nights()[:count]
        last = _last_landed(house)
        before = mark(house)
        left = [instant for instant in planned if instant > last] or planned[-1:]
        past, real = ([one for one in left if (one in planned[-REAL_NIGHTS:]) is is_real] for is_real in (False, True))

        def begin(instant: datetime) -> None:
            _turn(house, running, instant)
            progress(f"{instant:%d %b %Y}", past.index(instant), len(left))

        landed = 0
        while landed < len(past):
            waiting = [(f"night-{instant:%Y%m%dT%H%M}", instant) for instant in past[landed:]]
            landed += together.fetch_and_land(house, house.institutions()[0], waiting, begin)
        outcomes: list[Outcome] = []
        for step, instant in enumerate(real, len(past)):
            _turn(house, running, instant)
            outcomes.append(run_job(house, progress=lambda name, *_, step=step: progress(name, step, len(left))))
            progress(f"{instant:%d %b %Y}", step + 1, len(left))
        return _told(house, len(left), tuple(outcomes), before)


def _turn(house: House, running: Running, instant: datetime) -> None:
    clock = house.clock
    if isinstance(clock, InjectedClock):
        clock.set(instant)
    running.set_now(instant)


def _last_landed(house: House) -> datetime:
    """The last night; what a demo that was stopped has fetched and not landed is landed first."""
    with house.warehouse.open() as connection:
        raw.land(connection, house.landing_path, None)
        found = first(connection, "SELECT max(observed_at) FROM meta.fetch")
    return found[0] if found and found[0] else datetime.min.replace(tzinfo=UTC)


def _told(house: House, played: int, outcomes: tuple[Outcome, ...], before: Mark) -> Played:
    with house.warehouse.open() as connection:
        for table in (RUN, COVERAGE, ACCOUNT):
            ensure(connection, table)
        run_id = outcomes[-1].run_id if outcomes else ""
        last = first(connection, "SELECT rows_new, rows_changed, gaps FROM meta.run WHERE run_id = ?", [run_id]) or (0, 0, 0)
        lost = first(connection, "SELECT count(DISTINCT day) FROM meta.coverage WHERE status = 'lost'") or (0,)
        platforms = dict(
            connection.execute("SELECT platform, count(DISTINCT account_id) FROM ref.account GROUP BY 1 ORDER BY 1").fetchall()
        )
    rows_new, rows_changed, gaps = (int(value or 0) for value in last)
    published = house.published_path / INSTITUTION / "latest" / FILE_NAME
    return Played(played, outcomes, rows_new, rows_changed, gaps, int(lost[0]), platforms, before, mark(house), published)


def mark(house: House) -> Mark:
    """The state of everything that a night with nothing new must leave alone."""
    published = house.published_path / INSTITUTION / "latest" / FILE_NAME
    with house.warehouse.open() as connection:
        ensure(connection, STAMP)
        return Mark(
            _landing(house.landing_path), _raw(connection), _stamps(connection), published.stat().st_ino if published.exists() else None
        )


def _landing(folder: Path) -> str:
    told = hashlib.sha256()
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = Path(root, name)
            told.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns} {path.stat().st_size}\n".encode())
    return told.hexdigest()


def _raw(connection: duckdb.DuckDBPyConnection) -> str:
    tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY 1").fetchall()
    return " ".join(str(first(connection, f'SELECT count(*), sum(hash(t)::HUGEINT) FROM raw."{name}" AS t')) for (name,) in tables)


def _stamps(connection: duckdb.DuckDBPyConnection) -> str:
    return str(first(connection, f"SELECT count(*), sum(hash(table_name, institution_id, month, content_hash)::HUGEINT) FROM {STAMP.name}"))


__all__ = ["ENVIRON", "INSTITUTION", "Mark", "Played", "mark", "nights", "open_sandbox", "play"]
