"""One writer in a home: a lock that the kernel frees when its holder dies, and a note beside it that says who holds it.

Not here: what the holder does, and whether the home can be used at all (house.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import TextIO

# The moment between a holder's taking the lock and its note; longer than that, and the note is somebody else's.
NOTE_S = 0.5
_held: dict[Path, int] = {}
_guard = RLock()


class LockedError(Exception):
    """Another process holds the lock. The message says which and since when, as far as that is known for certain."""


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock at `path`; True for the outermost holder. Within one process it may be taken again.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be made.
    """
    path = path.resolve()
    with _guard:
        is_outermost = path not in _held
        file = _take(path) if is_outermost else None
        _held[path] = _held.get(path, 0) + 1
    try:
        yield is_outermost
    finally:
        with _guard:
            _held[path] -= 1
            if not _held[path]:
                del _held[path]
            if file is not None:
                # Nobody reads of a holder that has gone; one that is killed leaves its note, which then speaks of no living process.
                file.truncate(0)
                file.close()


def _take(path: Path) -> TextIO:
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds"), "process": _process(os.getpid())}, file)
        file.flush()
    except BlockingIOError:
        file.close()
        raise LockedError(_told(path)) from None
    except BaseException:
        file.close()
        raise
    return file


def _told(path: Path) -> str:
    """Who holds the lock. A note of another boot, or of a process number that has been given again, is not believed."""
    until = time.monotonic() + NOTE_S
    while time.monotonic() < until:
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            if note["process"] == _process(int(note["pid"])):
                return f"process {note['pid']}, since {note['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            pass
        time.sleep(0.05)
    return "which one could not be told"


def _process(pid: int) -> str:
    """What tells a process from all others: the boot and the tick at which it began. Where the system does not say, the number alone."""
    proc = Path("/proc")
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The command's name, in brackets, may hold blanks; what follows does not.
        began = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return _by_number(pid)
    return f"{boot} {began}"


def _by_number(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass
    return str(pid)
