"""Each institution's file: is it one?

Not here: how it is read (pipelines/settings.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.doctor.finding import Finding, State, counted
from pipelines.doctor.patient import Patient


def settings(patient: Patient) -> Iterator[Finding]:
    """Each institution's file."""
    for fault in patient.faults:
        first, _, rest = str(fault).partition("\n")
        yield Finding(
            "settings",
            State.RED,
            first + (f" {' '.join(rest.split())}" if rest else ""),
            "mend what the line names; the others run meanwhile",
        )
    for name, one in patient.institutions.items():
        yield Finding("settings", State.GREEN, f"{name}: {counted(len(one.accounts), 'account')}, {counted(len(one.goals), 'goal')}")
    if not patient.institutions and not patient.faults:
        yield Finding("settings", State.AMBER, f"no institution in {patient.house.institutions_path}", "tolok init NAME")
