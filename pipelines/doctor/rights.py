"""Files that hold secrets: may others read them?

Not here: the secrets themselves, which are never shown.
"""

from __future__ import annotations

import stat
from pathlib import Path

from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient
from pipelines.settings import secret

OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def file_mode(check: str, name: str, patient: Patient) -> list[Finding]:
    """A finding where the file that holds a secret can be read by others."""
    environ = patient.house.environ
    pointed = environ.get(f"{name}_FILE", "").strip()
    if environ.get(name, "").strip() or not pointed or secret(name, environ) is None:
        return []
    mode = Path(pointed).stat().st_mode
    if not mode & OTHERS_MAY_READ:
        return []
    return [Finding(check, State.AMBER, f"{pointed}: others may read it (mode {stat.S_IMODE(mode):03o})", f"chmod 600 {pointed}")]
