"""What it costs to load the definitions, to check them, and to open the UI; beside an empty Dagster project of the same version.

    .venv/bin/python -m bench.definitions

Tolok's home has one institution, as `tolok init` writes it; the floor's project has one trivial asset. Both run the same commands of the same
environment: an import in a fresh interpreter, `dg check defs`, and what `tolok ui` starts, until GraphQL tells the assets and /assets is
served. Memory is the sum of Pss of all the processes (shared pages are counted once). Not here: a browser's time to draw the page.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import ROOT, TICKS, end_group, machine, say, table, versions

BIN = Path(sys.executable).parent
LIMIT_S = 150.0
MB = 2**20
ASSETS = {"query": "{ assetNodes { assetKey { path } } }"}
PREPARE = "import sys; from pathlib import Path; from pipelines.runner import prepare_instance; prepare_instance(Path(sys.argv[1]))"
PROJECT = """\
[project]
name = "empty"
version = "0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "empty"
code_location_target_module = "empty.definitions"
"""
DEFINITIONS = """\
import dagster as dg


@dg.asset
def one() -> int:
    return 1


defs = dg.Definitions(assets=[one])
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A project: its folder, its module, and what its processes find in the environment."""

    name: str
    folder: Path
    module: str
    environ: dict[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """The UI's first page: seconds until it was there, the processes' CPU seconds until then, their memory, and how many assets it told."""

    wall_s: float
    cpu_s: float
    pss_bytes: int
    assets: int
    processes: int


def tolok(folder: Path) -> Side:
    """A home of one institution, with the instance that `tolok ui` prepares."""
    dagster_home = folder / "dagster"
    # In other processes: a child's peak memory is counted from its parent's, so this one has to stay small.
    for code, arguments in (
        ("from pipelines.cli import app; app()", ("init", "bench", "--home", str(folder))),
        (PREPARE, (str(dagster_home),)),
    ):
        subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True)  # noqa: S603 our own code
    environ = {**os.environ, "DAGSTER_HOME": str(dagster_home), "TOLOK_HOME": str(folder)}
    return Side("tolok", ROOT, "pipelines.definitions", environ)


def empty(folder: Path) -> Side:
    """A project of one asset, with an instance of its own, its telemetry off as Tolok's is."""
    (folder / "empty").mkdir(parents=True)
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "empty" / "__init__.py").touch()
    (folder / "empty" / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    environ = {**os.environ, "DAGSTER_HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    return Side("empty project", folder, "empty.definitions", environ)


def group(leader: int) -> list[Path]:
    """The folders in /proc of the processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader:
            found.append(entry)
    return found


def used(processes: list[Path]) -> tuple[float, int]:
    """CPU seconds, those of ended children included, and the sum of Pss in bytes."""
    ticks = pss = 0
    for entry in processes:
        try:
            ticks += sum(int(field) for field in (entry / "stat").read_text().rpartition(")")[2].split()[11:15])
            lines = (entry / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pss += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return ticks / TICKS, pss


def end(process: int) -> None:
    """End one process, if it is still there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def asked(port: int, path: str, body: object = None) -> bytes | None:
    """What the UI answers with 200; None when it does not yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        head = {"Content-Type": "application/json"} if body else {"Accept": "text/html"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, head)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return content if answer.status == http.client.OK else None


def opened(side: Side) -> Opened:
    """Start the UI, wait for its first page, measure, and end the whole session.

    Raises:
        RuntimeError: there was no first page within the limit.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(BIN / "dg"), "dev", "--host", "127.0.0.1", "--port", str(port)]
    begun = time.monotonic()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603 our own command
            command, cwd=side.folder, env=side.environ, stdout=words, stderr=words, start_new_session=True
        )
        try:
            while time.monotonic() < begun + LIMIT_S and process.poll() is None:
                told = json.loads(asked(port, "/graphql", ASSETS) or b"{}")
                nodes = (told.get("data") or {}).get("assetNodes")
                if nodes and asked(port, "/assets"):
                    wall_s = time.monotonic() - begun
                    processes = group(process.pid)
                    return Opened(wall_s, *used(processes), len(nodes), len(processes))
                time.sleep(0.2)
            words.seek(0)
            message = f"{side.name}: no first page in {LIMIT_S:.0f} s: {words.read()[-1500:].decode(errors='replace')}"
            raise RuntimeError(message)
        finally:
            # Its servers may be in process groups of their own, but not in sessions of their own.
            for entry in group(process.pid):
                end(int(entry.name))
            end_group(process.pid)
            process.wait()


def rows(side: Side) -> list[list[str]]:
    """The three figures of a side."""
    found = []
    commands = {"import": [sys.executable, "-c", f"import {side.module}"], "dg check defs": [str(BIN / "dg"), "check", "defs"]}
    run(commands["import"], side)  # Once before: modules are compiled, files are warm.
    for name, command in commands.items():
        one = run(command, side)
        found.append([side.name, name, f"{one[0]:.1f}", f"{one[1]:.1f}", f"{one[2] / MB:.0f}", "", ""])
    page = opened(side)
    figures = [f"{page.wall_s:.1f}", f"{page.cpu_s:.1f}", f"{page.pss_bytes / MB:.0f}", str(page.assets), str(page.processes)]
    found.append([side.name, "first page", *figures])
    return found


def run(command: list[str], side: Side) -> tuple[float, float, int]:
    """Wall and CPU seconds and peak bytes of a command that prints no JSON."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603 our own command
            command, cwd=side.folder, env=side.environ, stdout=words, stderr=words, start_new_session=True
        )
        try:
            _, status, spent = os.wait4(process.pid, 0)
        finally:
            end_group(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            message = f"{side.name}: ended with {process.returncode}: {words.read()[-1500:].decode(errors='replace')}"
            raise RuntimeError(message)
    return time.monotonic() - begun, spent.ru_utime + spent.ru_stime, spent.ru_maxrss * 1024


def main() -> None:
    """Measure both sides and print the table."""
    say(machine())
    say(versions("dagster", "dagster-dg-cli", "dagster-webserver"))
    with tempfile.TemporaryDirectory() as folder:
        sides = (empty(Path(folder) / "empty"), tolok(Path(folder) / "tolok"))
        found = [row for side in sides for row in rows(side)]
    say(table(("side", "what", "wall s", "CPU s", "MB", "assets", "processes"), found))


if __name__ == "__main__":
    main()
