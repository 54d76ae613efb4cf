"""Who works in the home, and whether somebody else has the warehouse open.

Not here: taking the lock (pipelines/lock.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assets.publish import FILE_NAME
from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient


def locks(patient: Patient) -> Iterator[Finding]:
    """Who works in the home, and whether somebody else has the warehouse open."""
    note, pid = patient.note, _number(patient.note.get("pid"))
    since = note.get("since", "unknown")
    if patient.is_running:
        yield Finding("lock", State.GREEN, f"a run works here (process {pid or 'unknown'}, since {since}); it is alive")
    elif pid and Path(f"/proc/{pid}").exists() and any(holder.pid == pid for holder in patient.holders):
        yield Finding(
            "lock", State.AMBER, f"process {pid} has the warehouse open without the home's lock", "wait until it ends, or stop it"
        )
    elif pid:
        yield Finding("lock", State.GREEN, f"free; the last holder (process {pid}, since {since}) has let go")
    else:
        yield Finding("lock", State.GREEN, "free")
    ours = {pid} if patient.is_running else set()
    strangers = [holder for holder in patient.holders if holder.pid not in ours]
    if strangers:
        told = ", ".join(f"process {holder.pid} ({holder.name})" for holder in strangers)
        fix = f"close it; analysts open published/<institution>/latest/{FILE_NAME}"
        yield Finding("warehouse lock", State.RED, f"{told} has the warehouse open: no night can write", fix)
    elif patient.warehouse.state == "held" and not patient.is_running:
        fix = f"find and close it (fuser {patient.house.warehouse.path})"
        yield Finding("warehouse lock", State.RED, "a process that could not be named has the warehouse open: no night can write", fix)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
