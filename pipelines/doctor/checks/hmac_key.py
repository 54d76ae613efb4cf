"""The key that hides people's ids: there, long enough, and read by its owner alone.

Not here: what it hides (connectors/privacy.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.privacy import NoKeyError
from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient
from pipelines.doctor.rights import file_mode
from pipelines.settings import SettingsError


def hmac_key(patient: Patient) -> Iterator[Finding]:
    """The key that hides people's ids: there, long enough, and read by its owner alone. It is never shown."""
    fix = "set TOLOK_HMAC_KEY, or TOLOK_HMAC_KEY_FILE to a file that holds it; the same as ever (`tolok init` makes a first one)"
    try:
        patient.house.pseudonyms()
    except (NoKeyError, SettingsError) as failure:
        state = State.RED if patient.institutions else State.AMBER
        told = "TOLOK_HMAC_KEY is not set, or shorter than 16 bytes" if isinstance(failure, NoKeyError) else str(failure)
        yield Finding("HMAC key", state, told, fix)
        return
    yield from file_mode("HMAC key", "TOLOK_HMAC_KEY", patient) or [Finding("HMAC key", State.GREEN, "there, and long enough")]
