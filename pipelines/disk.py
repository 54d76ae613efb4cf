"""What makes a file safe: it is on the disk before it takes its place, and the old one stands until then.

Not here: what is written (each room its own).
"""

from __future__ import annotations

import os
from pathlib import Path


def move(part: Path, final: Path) -> None:
    """Put a finished file in its place: a reader sees the old one or the new one."""
    sync(part)
    part.replace(final)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
