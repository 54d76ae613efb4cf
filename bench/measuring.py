"""How a side of a benchmark is measured: as a whole process of its own, with its wall time, its CPU seconds and its peak memory.

Not here: what is measured (the benchmarks, beside this file).
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One process from its start to its end, its children included; `peak_bytes` is that of the largest of them.

    `told` is what it printed as its last line, in JSON. A process that was ended by its time limit has `is_whole` False.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    told: Mapping[str, Any]
    is_whole: bool = True


def say(line: str = "") -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def measure(command: Sequence[str], limit_s: float, environ: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end, or to the limit, in a process group of its own that does not survive it.

    Raises:
        RuntimeError: it ended with an error; its last words are in the message.
    """
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as answer:
        begun = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 our own commands
            command, stdout=answer, stderr=words, cwd=ROOT, env={**os.environ, **(environ or {})}, start_new_session=True
        )
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, end)
        timer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            timer.cancel()
        wall_s = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        end_group(process.pid)
        cpu_s, peak_bytes = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        if is_late.is_set():
            return Measured(wall_s, cpu_s, peak_bytes, {}, is_whole=False)
        if process.returncode != 0:
            words.seek(0)
            message = f"{' '.join(command[:4])} ended with {process.returncode}: {words.read()[-2000:].decode(errors='replace')}"
            raise RuntimeError(message)
        answer.seek(0)
        lines = answer.read().decode().splitlines()
    return Measured(wall_s, cpu_s, peak_bytes, json.loads(lines[-1]) if lines else {})


def end_group(leader: int) -> None:
    """End every process of a group, if there is one left."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def background(
    command: Sequence[str], environ: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, its standard output a pipe (or written to `log`); the whole group is ended afterwards."""
    with (log or Path(os.devnull)).open("w", encoding="utf-8") as words:
        process = subprocess.Popen(  # noqa: S603 our own commands
            command,
            stdout=words if log else subprocess.PIPE,
            stderr=words if log else None,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # A terminated dg dev ends its own servers in order; what does not listen is killed.
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
            end_group(process.pid)
            process.wait()
            if process.stdout:
                process.stdout.close()


def machine() -> str:
    """One sentence: processors, memory, system, and how busy it was with other work when the benchmark began."""
    about = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name")]
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{models[0] if models else platform.machine()}, {cores} cores, {memory_gb:.0f} GB, {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}; load at the beginning {os.getloadavg()[0]:.1f}"
    )


def versions(*names: str) -> str:
    """`name version` of each distribution in this interpreter."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for people who read it in a terminal."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines)
