"""The home is a folder that can be written to.

Not here: how much room it has (disk.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient


def home(patient: Patient) -> Iterator[Finding]:
    """The home is a folder that can be written to. To ask for permission would not do: a read-only disk refuses root too."""
    folder = patient.house.home
    if not folder.exists():
        yield Finding(
            "home", State.AMBER, f"{folder} is not there yet", "`tolok init NAME` makes it; or point TOLOK_HOME to the right folder"
        )
        return
    if not folder.is_dir():
        yield Finding("home", State.RED, f"{folder} is a file", "move it away, or point TOLOK_HOME to a folder")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as failure:
        found = f"{folder} cannot be written to ({failure.strerror or type(failure).__name__})"
        yield Finding("home", State.RED, found, "give the folder to the user that runs Tolok; look at the disk (full? mounted read-only?)")
    else:
        yield Finding("home", State.GREEN, f"{folder} can be written to")
