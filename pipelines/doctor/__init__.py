"""`tolok doctor`: looks at everything that a night needs, and says of each fault what mends it. It changes nothing.

Not here: the checks (one file each in checks/), the mending, and how the findings are printed (cli.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING

import duckdb

from pipelines.doctor.checks import checks as known
from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Check, Patient

if TYPE_CHECKING:
    from pipelines.house import House


def examine(house: House, *, is_offline: bool = False, checks: Iterable[Check] | None = None) -> list[Finding]:
    """All findings. What the system refuses to show is a finding too, and keeps no other check from its turn."""
    patient = Patient(house, is_offline)
    found: list[Finding] = []
    for check in known() if checks is None else checks:
        try:
            found += check(patient)
        except (OSError, ValueError, duckdb.Error, sqlite3.Error) as failure:
            name = check.__name__.replace("_", " ")
            reason = getattr(failure, "strerror", None) or type(failure).__name__
            found.append(Finding(name, State.RED, f"could not be looked at ({reason})", "mend the rights of the home, then ask again"))
    return found


__all__ = ["Finding", "Patient", "State", "examine"]
