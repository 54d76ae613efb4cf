"""The night: what it costs when nothing changed, when a day is new, and how far that grows with the past.

    .venv/bin/python -m bench.night            # all of it, half an hour on two cores
    .venv/bin/python -m bench.night commands   # an empty and a changed night as the operator runs them
    .venv/bin/python -m bench.night days       # one new day on 30, 300 and 3,000 days of history
    .venv/bin/python -m bench.night snapshots  # one new day on 1 M and on 10 M post snapshots

Each side runs in a process of its own, so that its CPU seconds and its peak memory are its own. Not here: the made-up past
(night_history.py) and the measuring of one side (night_side.py).
"""

# ruff: noqa: T201 a folder of commands that print
from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Nights in the past, accounts on each of two platforms, posts and mentions of each a day.
DAYS = {"30 days": (30, 2, 3, 5), "300 days": (300, 2, 3, 5), "3,000 days": (3000, 2, 3, 5)}
# The same institution's nights, ten times as many of them: a new day brings 3,300 snapshots to either.
SNAPSHOTS = {"1 M snapshots": (300, 4, 14, 20), "10 M snapshots": (3000, 4, 14, 20)}
STEPS = ("land", "staging", "indicators", "goals", "audit", "publish")


def main(wanted: Sequence[str]) -> None:
    """Measure what is named (all by default) and print it."""
    print(machine())
    if not wanted or "commands" in wanted:
        print_commands(side("commands"))
    for name, shapes in (("days", DAYS), ("snapshots", SNAPSHOTS)):
        if not wanted or name in wanted:
            print_history({label: side("history", *map(str, shape)) for label, shape in shapes.items()})


def machine() -> str:
    """Processor, cores, versions: a figure without them says nothing."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if "model name" in line), ""
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "dagster", "great-expectations"))
    return f"{model or platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}\n"


def side(*arguments: str) -> Any:  # noqa: ANN401 what the side measured, as it says it
    """Run one side in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tolok-bench-") as folder:
        done = subprocess.run(  # noqa: S603 our own module
            [sys.executable, "-m", "bench.night_side", folder, *arguments], stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def print_commands(nights: dict[str, dict[str, float]]) -> None:
    """`tolok run` as the operator starts it."""
    print(f"{'`tolok run`':22}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}")
    for label, told in nights.items():
        print(f"{label:22}{told['cpu']:9.2f}{told['wall']:9.2f}{told['peak_mb']:9.0f}")
    print()


def print_history(sides: dict[str, dict[str, Any]]) -> None:
    """A new day, step by step, in CPU seconds; the median of its repetitions."""
    print(f"{'one new day on':18}{'snapshots':>12}{'warehouse':>11}" + "".join(f"{step:>12}" for step in STEPS))
    for label, told in sides.items():
        steps = "".join(f"{told['steps'][step]:12.2f}" for step in STEPS)
        print(f"{label:18}{told['snapshots']:12,}{told['warehouse_mb']:8,.0f} MB{steps}")
    print(f"\n{'':18}{'CPU s in all':>13}{'wall s':>9}{'peak MB':>9}   the first time, from nothing: CPU s, wall s, peak MB")
    for label, told in sides.items():
        whole = told["first"]
        print(
            f"{label:18}{sum(told['steps'].values()):13.2f}{told['wall']:9.2f}{told['peak_mb']:9.0f}"
            f"   {whole['cpu']:.1f}, {whole['wall']:.1f}, {whole['peak_mb']:.0f}"
        )
    totals = [sum(told["steps"].values()) for told in sides.values()]
    print(f"the longest past over the shortest: {totals[-1] / totals[0]:.2f}; over the one before: {totals[-1] / totals[-2]:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
