"""Free space, against what the home uses and a night writes.

Not here: whether the home can be written to (home.py).
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator

from assets.publish import FILE_NAME
from pipelines.doctor.finding import Finding, State, in_gb, size_of
from pipelines.doctor.patient import Patient

# What a small institution's night writes beside the files that it makes anew.
NIGHT_BYTES = 200 * 2**20


def disk(patient: Patient) -> Iterator[Finding]:
    """Free space, against what the home uses and a night writes."""
    home = patient.house.home
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    used, seen = 0, set()
    for path in home.rglob("*") if home.is_dir() else ():
        try:
            info = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(info.st_mode) and info.st_ino not in seen:
            # The kept published files are second names of the same bytes.
            seen.add(info.st_ino)
            used += info.st_size
    warehouse = size_of(patient.house.warehouse.path)
    published = max((size_of(path) for path in patient.house.published_path.glob(f"*/latest/{FILE_NAME}")), default=0)
    # The files are made anew beside the old ones, and a table that changes is written before its old pages are free.
    needed = NIGHT_BYTES + warehouse // 2 + 2 * published * max(1, len(patient.institutions))
    free = shutil.disk_usage(there).free
    told = f"{in_gb(free)} free; the home uses {in_gb(used)}, a night needs about {in_gb(needed)}"
    if free < needed:
        yield Finding("disk", State.RED, told, f"make room on the disk of {there}, or move the home and set TOLOK_HOME")
    elif free < 3 * needed:
        yield Finding("disk", State.AMBER, told, f"make room on the disk of {there} soon")
    else:
        yield Finding("disk", State.GREEN, told)
