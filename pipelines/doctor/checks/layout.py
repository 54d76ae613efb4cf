"""The warehouse can be opened, and its layout is one that this Tolok knows.

Not here: bringing it to a new layout (pipelines/migrations.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.doctor.finding import Finding, State, in_gb, size_of
from pipelines.doctor.patient import Patient
from pipelines.warehouse import FORMAT_VERSION


def layout(patient: Patient) -> Iterator[Finding]:
    """The warehouse can be opened, and its layout is one that this Tolok knows."""
    told, path = patient.warehouse, patient.house.warehouse.path
    if told.state == "absent":
        yield Finding("warehouse", State.GREEN, "none yet; the first run makes it")
    elif told.state == "held":
        state = State.GREEN if patient.is_running else State.AMBER
        yield Finding(
            "warehouse", state, "not looked at: a run works with it" if patient.is_running else "not looked at: another process has it open"
        )
    elif told.state != "read":
        fix = f"keep a copy of {path}, put back the last good one, and report it with this line"
        yield Finding("warehouse", State.RED, f"{path} cannot be read: {told.state}", fix)
    elif told.layout is not None and told.layout > FORMAT_VERSION:
        found = f"written by a newer Tolok (layout {told.layout}; this one knows {FORMAT_VERSION})"
        yield Finding("warehouse", State.RED, found, "update Tolok, or point TOLOK_HOME to another folder")
    elif told.layout is not None and told.layout < FORMAT_VERSION:
        yield Finding("warehouse", State.GREEN, f"layout {told.layout}; the next run brings it to {FORMAT_VERSION} and keeps a copy")
    else:
        yield Finding(
            "warehouse", State.GREEN, f"layout {told.layout if told.layout is not None else 'not written yet'}, {in_gb(size_of(path))}"
        )
