"""Does each account's platform answer, and may the token read?

Not here: the asking (reach.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.failures import DoorError, NotPermitted, PermanentFailure
from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient


def reachability(patient: Patient) -> Iterator[Finding]:
    """One cheap request for each account: does the platform answer, and may the token read?"""
    if patient.is_offline:
        yield Finding("platforms", State.GREEN, "not asked (--offline)")
        return
    for label, one in sorted(patient.answers.items()):
        failure = one.failure
        if failure is None:
            yield Finding("platforms", State.GREEN, f"{label} answered in {one.seconds:.1f} s")
        elif isinstance(failure, NotPermitted):
            yield Finding(
                "platforms", State.RED, f"{label}: {_said(failure, label)}", "make a new token with the scopes that docs/start.md names"
            )
        elif isinstance(failure, PermanentFailure):
            yield Finding(
                "platforms", State.RED, f"{label}: {_said(failure, label)}", "check the account's id and base_url in the settings"
            )
        else:
            yield Finding(
                "platforms",
                State.AMBER,
                f"{label}: {_said(failure, label)}",
                "look at the network here and the platform's status page; ask again",
            )


def _said(failure: DoorError, label: str) -> str:
    """The failure's sentence without the account, which the line names already."""
    return str(failure).removeprefix(f"{label.partition(' ')[2]}: ").rstrip(".")
