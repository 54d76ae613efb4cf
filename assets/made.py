"""What the last publish made: each file with its size, time and checksum, and of which content it was made.

Not here: what is published (publish.py) and how it is written (draft.py, export.py). Nothing is believed of this record that the files
do not bear out: where it does not fit, everything is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.disk import move

NAME = "made.json"
# Written before the database is swapped in: one of the two records fits the file that stands, at whichever moment the process dies.
NEXT_NAME = "made.next.json"
# Per table and month (or WHOLE): its rows and the sum of their hashes.
Content = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class File:
    """A published file as it was written, and a short text that says of which content."""

    bytes: int
    mtime_ns: int
    inode: int
    sha256: str
    content: str


@dataclass(frozen=True)
class Made:
    """One publish. `layout` says by which code; `whole_bytes` and `whole_rows` are those of the last file that was built whole."""

    layout: str = ""
    fingerprint: str = ""
    published_at: str = ""
    day: str = ""
    whole_bytes: int = 0
    whole_rows: int = 0
    tables: Content = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)


def look_at(path: Path, content: str) -> File:
    """The file as it stands, read once for its checksum."""
    told = path.stat()
    with path.open("rb") as file:
        return File(told.st_size, told.st_mtime_ns, told.st_ino, hashlib.file_digest(file, "sha256").hexdigest(), content)


def as_recorded(path: Path, recorded: File | None) -> File | None:
    """The record of the file if it is still that one, else None. A copy of it (a home that was moved or restored) is told by its checksum."""
    if recorded is None or not path.is_file():
        return None
    told = path.stat()
    if told.st_size != recorded.bytes:
        return None
    if (told.st_mtime_ns, told.st_ino) == (recorded.mtime_ns, recorded.inode):
        return recorded
    found = look_at(path, recorded.content)
    return found if found.sha256 == recorded.sha256 else None


def recall(folder: Path, database: str) -> Made | None:
    """The record that fits the database file that stands in `latest/`; None when there is none."""
    for name in (NEXT_NAME, NAME):
        made = _read(folder / name)
        found = as_recorded(folder / "latest" / database, made.files.get(database)) if made else None
        if made and found:
            return replace(made, files={**made.files, database: found})
    return None


def _read(path: Path) -> Made | None:
    if not path.exists():
        return None
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = {name: File(**one) for name, one in told.pop("files").items()}
        return Made(**told, files=files)
    except (ValueError, TypeError, KeyError, AttributeError):
        # Half a file, or another version's: then there is no record, and everything is made anew.
        return None


def note(path: Path, made: Made) -> None:
    """Write the record, whole or not at all."""
    write_whole(path, json.dumps(asdict(made), sort_keys=True) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write beside, sync, then move: a reader sees the old text or the new one. Unchanged text is not written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    move(part, path)
