"""Dagster's records: its settings, and whether its files are sound.

Not here: making them (pipelines/engine.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pipelines.doctor.finding import Finding, State, counted, in_gb, size_of
from pipelines.doctor.patient import Patient

# Reading the pages of a larger file takes longer than a doctor may.
CHECKED_SQLITE_BYTES = 100 * 2**20


def dagster(patient: Patient) -> Iterator[Finding]:
    """Dagster's records: its settings, and whether its files are sound."""
    folder = patient.house.dagster_path
    if not folder.exists():
        yield Finding("Dagster", State.GREEN, "no records yet; the first run makes them")
        return
    fix = f"stop Tolok, move {folder} away, run again: the history of runs is lost, no figure is"
    if not (folder / "dagster.yaml").exists():
        yield Finding("Dagster", State.AMBER, f"{folder / 'dagster.yaml'} is missing", "the next run writes it")
    files = sorted(path for path in folder.rglob("*.db") if path.is_file())
    unsound = [path.name for path in files if path.stat().st_size <= CHECKED_SQLITE_BYTES and not _is_sound(path)]
    size = sum(size_of(path) for path in files)
    if unsound:
        yield Finding("Dagster", State.RED, f"not sound: {', '.join(unsound)}", fix)
    else:
        yield Finding("Dagster", State.GREEN, f"{counted(len(files), 'file')} of records, {in_gb(size)}, sound")


def _is_sound(path: Path) -> bool:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    except sqlite3.Error:
        return False
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError as busy:
        return "locked" in str(busy)
    except sqlite3.Error:
        return False
    finally:
        connection.close()
