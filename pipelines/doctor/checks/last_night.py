"""When the last night was, how it ended, and what is still open.

Not here: what a night is (pipelines/night.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pipelines.doctor.finding import Finding, State, counted, moment
from pipelines.doctor.patient import Patient

NIGHT_OVERDUE = timedelta(hours=26)
GAPS_SHOWN = 3


def last_night(patient: Patient) -> Iterator[Finding]:
    """When the last night was, how it ended, and what is still open."""
    told = patient.warehouse
    if told.state != "read":
        yield Finding("last night", State.GREEN, "not known now" if told.state != "absent" else "none yet")
        return
    if told.last is None:
        yield Finding("last night", State.AMBER, "no night has run yet", "tolok run")
        return
    began, ended, kind, _ = told.last
    when = f"{kind} of {moment(began)}"
    if ended is None:
        yield Finding(
            "last night",
            State.AMBER,
            f"{when} never said that it ended: it was killed, or the machine stopped",
            "tolok run: it goes on from there",
        )
    elif patient.now - began > NIGHT_OVERDUE:
        yield Finding(
            "last night", State.AMBER, f"{when}: none since", "is `tolok ui` (or cron) running? Followers of a missed day are lost"
        )
    else:
        yield Finding("last night", State.GREEN, f"{when}, ended {moment(ended)}")
    if told.gaps:
        shown = "; ".join(f"{one[0]} {one[1]}/{one[2]} {one[3]}: {one[5]}" for one in told.gaps[:GAPS_SHOWN])
        more = f"; and {len(told.gaps) - GAPS_SHOWN} more" if len(told.gaps) > GAPS_SHOWN else ""
        yield Finding(
            "gaps",
            State.AMBER,
            f"{counted(len(told.gaps), 'list')} open: {shown}{more}",
            "docs/when-something-fails.md, by the sentence; then `tolok run`",
        )
    else:
        yield Finding("gaps", State.GREEN, "none open")
