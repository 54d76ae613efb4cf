"""Each platform's API: its version, and until when that is promised.

Not here: whether it answers (reachability.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from connectors.registry import platforms
from pipelines.doctor.finding import Finding, State, ending
from pipelines.doctor.patient import Patient

SUNSET_WARNING = timedelta(days=60)


def apis(patient: Patient) -> Iterator[Finding]:
    """Each platform's API: its version, and until when that is promised."""
    used = {account.platform for account in patient.accounts} or set(platforms())
    today = patient.now.date()
    for name in sorted(used):
        connector = platforms()[name]
        told = f"{connector.label} API {connector.api_version}"
        if connector.sunset is None:
            yield Finding("API", State.GREEN, f"{told}: no end is announced")
        else:
            left = _midnight(connector.sunset) - _midnight(today)
            yield ending("API", told, left, f"ends on {connector.sunset}", "update Tolok", SUNSET_WARNING)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
