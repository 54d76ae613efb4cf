"""Each published file: readable by an older DuckDB, and not stale.

Not here: what stands in it (checks/ of the house).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.draft import STORAGE_VERSION
from assets.publish import FILE_NAME
from pipelines.doctor.finding import Finding, State, in_gb
from pipelines.doctor.patient import Patient

# The number that DuckDB writes into a file's header for the storage version that we ask for; what is greater asks for a newer DuckDB.
OLD_READER = {"v1.2.0": 65}[STORAGE_VERSION]
DUCKDB_MAGIC, MAGIC_AT = b"DUCK", 8


def published(patient: Patient) -> Iterator[Finding]:
    """Each published file: readable by an older DuckDB, and not stale."""
    for name in patient.institutions:
        folder = patient.house.published_path / name / "latest"
        path = folder / FILE_NAME
        if not path.exists():
            yield Finding("published", State.AMBER, f"{name}: nothing is published yet", "tolok run")
            continue
        storage = storage_of(path)
        status = _status(folder / "status.json")
        if storage is None:
            yield Finding(
                "published",
                State.RED,
                f"{path} is no DuckDB file",
                f"remove it and run `tolok publish`; older ones are under runs/ of {name}",
            )
        elif storage > OLD_READER:
            found = f"{name}: written in DuckDB's storage {storage}; an older DuckDB reads {OLD_READER} at most"
            yield Finding("published", State.RED, found, "remove the file and run `tolok publish`")
        elif status.get("is_stale"):
            found = f"{name}: stale since {str(status.get('stale_since', 'unknown'))[:16]}, not approved: {', '.join(map(str, status.get('refused', ())))}"
            yield Finding("published", State.AMBER, found, "the checks of these tables say which promise is broken (tolok ui)")
        else:
            yield Finding("published", State.GREEN, f"{name}: readable from DuckDB 1.2 on, {in_gb(path.stat().st_size)}")


def storage_of(path: Path) -> int | None:
    """The storage version in a DuckDB file's header; None where it is no such file."""
    with path.open("rb") as file:
        header = file.read(MAGIC_AT + 12)
    if header[MAGIC_AT : MAGIC_AT + 4] != DUCKDB_MAGIC:
        return None
    return int.from_bytes(header[MAGIC_AT + 4 : MAGIC_AT + 12], "little")


def _status(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
