"""The clock, against the last run and the platforms' own.

Not here: zones (zones.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pipelines.doctor.finding import Finding, State, moment
from pipelines.doctor.patient import Patient

# A snapshot belongs to a day: some minutes move none, hours do.
SKEW_AMBER, SKEW_RED = timedelta(minutes=1), timedelta(minutes=10)


def clock(patient: Patient) -> Iterator[Finding]:
    """The clock against the last run, and against the platforms' own."""
    newest = patient.warehouse.newest
    if newest is not None and newest - patient.now > SKEW_RED:
        found = f"it is {moment(patient.now)}, but a run began on {moment(newest)}: the clock went backwards"
        yield Finding("clock", State.RED, found, "set the clock (timedatectl set-ntp true), then run again")
        return
    skews = [(abs(one.at - one.date), label) for label, one in patient.answers.items() if one.date and one.at]
    if not skews:
        yield Finding(
            "clock", State.GREEN, f"it is {moment(patient.now)}; no later run is known{'' if patient.is_offline else ', no platform asked'}"
        )
        return
    skew, label = min(skews)
    told = f"it is {moment(datetime.now(UTC))}; {round(skew.total_seconds())} s off the clock of {label}"
    state = State.RED if skew > SKEW_RED else State.AMBER if skew > SKEW_AMBER else State.GREEN
    yield Finding("clock", state, told, None if state is State.GREEN else "set the clock (timedatectl set-ntp true)")
