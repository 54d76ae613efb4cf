"""Homes that sandbox nights are played into, without Dagster and without the wall clock.

Not here: what stands in the tables afterwards (content.py) and figures written by hand (hand.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.clock import InjectedClock
from pipelines import night
from pipelines.house import House
from sandbox.facts import FIRST_PLATFORMS, Platform
from sandbox.institution import settings_toml
from sandbox.world import FIRST_NIGHT

if TYPE_CHECKING:
    from pipelines.night import Arrival, Selection
    from pipelines.settings import Institution
    from sandbox.server import Running

INSTITUTION = "cahaya"
HMAC_KEY = "a key that only the tests know, 32+"
TOKENS = {
    "MASTODON": "sandbox-mastodon-token",
    "X": "sandbox-x-user-token",
    **{platform.upper(): f"sandbox-{platform}-token" for platform in ("instagram", "facebook", "threads", "youtube")},
}


def instant(number: int) -> datetime:
    """When the sandbox's night `number` runs: 02:00 WIB, the first on 2 January 2026."""
    return (FIRST_NIGHT + timedelta(days=number)).astimezone(UTC)


def make_home(home: Path, url: str, institutions: Iterable[str] = (INSTITUTION,), platforms: Sequence[Platform] = FIRST_PLATFORMS) -> House:
    """A home whose institutions all have the simulated institution's accounts on the platforms, with its clock before the first night."""
    environ = {"TOLOK_HMAC_KEY": HMAC_KEY}
    (home / "institutions").mkdir(parents=True)
    for name in institutions:
        (home / "institutions" / f"{name}.toml").write_text(settings_toml(url, platforms=platforms), encoding="utf-8")
        environ |= {f"TOLOK_{name.upper()}_{platform}_TOKEN": token for platform, token in TOKENS.items()}
    return House(home, environ, InjectedClock(instant(0)))


def copy_home(house: House, home: Path) -> House:
    """The same home at another place, as it stands."""
    shutil.copytree(house.home, home)
    return House(home, house.environ, InjectedClock(house.clock.now()))


def institutions_of(house: House) -> dict[str, Institution]:
    """The home's institutions; one that cannot be read is a fault of the test."""
    usable, faults = house.institutions()
    assert not faults
    return usable


def put_clock(house: House, at: datetime) -> None:
    """Put the home's clock to an instant."""
    assert isinstance(house.clock, InjectedClock)
    house.clock.set(at)


def play(house: House, sandbox: Running, at: datetime, run_id: str, selected: Selection = night.everything) -> Arrival:
    """Fetch and land at an instant, in the home and in the sandbox alike."""
    put_clock(house, at)
    sandbox.set_now(at)
    return night.fetch_and_land(house, institutions_of(house), run_id, selected)


def derive(house: House, run_id: str) -> list[str]:
    """Bring the derived tables up to date; returns the names of those of which rows changed."""
    with house.warehouse.open() as connection:
        made = night.derive(connection, institutions_of(house), run_id)
    tables = [transform.output.name for transform in night.all_transforms() for _ in institutions_of(house)]
    return [name for name, one in zip(tables, made, strict=True) if one.written.changed_from is not None]


def nights(house: House, sandbox: Running, first: int, count: int, skip: Collection[int] = (), *, derive_each: bool = False) -> None:
    """Play the sandbox's nights `first` to `first + count - 1`, less those in `skip`; derive after each, or once at the end."""
    played = [number for number in range(first, first + count) if number not in skip]
    for number in played:
        play(house, sandbox, instant(number), f"night-{number:03}")
        if derive_each or number == played[-1]:
            derive(house, f"night-{number:03}")


def landing_files(house: House) -> dict[str, bytes]:
    """Every file under landing/, by its path there."""
    return {
        str(path.relative_to(house.landing_path)): path.read_bytes() for path in sorted(house.landing_path.rglob("*")) if path.is_file()
    }
