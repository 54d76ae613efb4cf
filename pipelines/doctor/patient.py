"""One home as the checks see it: what costs something is looked at once, and nothing is disturbed.

Not here: what is well and what is not (checks/).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from pipelines.doctor.finding import Finding
from pipelines.doctor.reach import Reached, reach
from pipelines.doctor.told import Warehouse, asked
from pipelines.settings import SettingsError

if TYPE_CHECKING:
    from connectors.streams import Account
    from pipelines.house import House
    from pipelines.settings import Institution


class Holder(NamedTuple):
    """A process that has the warehouse open."""

    pid: int
    name: str


@dataclass
class Patient:
    """One home as the checks see it; what costs something is looked at once."""

    house: House
    is_offline: bool = False
    institutions: dict[str, Institution] = field(default_factory=dict)
    faults: list[SettingsError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.institutions, self.faults = self.house.institutions()

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    @cached_property
    def accounts(self) -> list[Account]:
        return [account for institution in self.institutions.values() for account in self.house.accounts(institution)]

    @cached_property
    def is_running(self) -> bool:
        """A run holds the home's lock. Looking takes some microseconds and takes the lock from nobody."""
        path = self.house.home / "lock.json"
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @cached_property
    def note(self) -> dict[str, object]:
        """What the lock's holder wrote down."""
        try:
            found = json.loads((self.house.home / "lock.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def holders(self) -> list[Holder]:
        """Who has the warehouse open, as far as the system tells."""
        return openers(self.house.warehouse.path)

    @cached_property
    def warehouse(self) -> Warehouse:
        """What the warehouse tells. Read-only, once, for some milliseconds; not at all while somebody else has it open."""
        path = self.house.warehouse.path
        if not path.exists():
            return Warehouse("absent")
        if self.is_running or self.holders:
            return Warehouse("held")
        try:
            with duckdb.connect(str(path), read_only=True, config={"autoinstall_known_extensions": "false"}) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return asked(connection, list(self.institutions))
        except duckdb.Error as failure:
            return Warehouse("held" if "lock" in str(failure).lower() else f"broken ({type(failure).__name__})")

    @cached_property
    def answers(self) -> dict[str, Reached]:
        """What each account's platform answered to one cheap request, by the account's label."""
        return {} if self.is_offline else reach(self.accounts)


def openers(path: Path) -> list[Holder]:
    """The processes that have a file open. Empty where the system does not tell (no /proc, another user's process)."""
    found = []
    wanted = str(path)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_open = any(str(link.readlink()) == wanted for link in (folder / "fd").iterdir())
            if is_open:
                found.append(Holder(int(folder.name), (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()))
        except OSError:
            continue
    return sorted(found)


Check = Callable[[Patient], Iterable[Finding]]
