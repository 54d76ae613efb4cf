"""Zone data, and what time it is for each institution.

Not here: whether the clock is right (clock.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient


def zones(patient: Patient) -> Iterator[Finding]:
    """Zone data, and what time it is for each institution."""
    try:
        told = [f"{name} {patient.now.astimezone(one.tzinfo):%H:%M} {one.zone}" for name, one in patient.institutions.items()]
        ZoneInfo("Asia/Jayapura")
    except ZoneInfoNotFoundError as failure:
        yield Finding("zones", State.RED, f"no zone data for {failure.args[0] if failure.args else 'a zone'}", "make install")
    else:
        yield Finding("zones", State.GREEN, f"zone data is there{': ' if told else ''}{', '.join(told)}")
