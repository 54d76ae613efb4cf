"""One side of the night's benchmark, in a process of its own: fills a home, plays, measures, prints one line of JSON.

Not here: which sides there are and the table (night.py).
"""

# ruff: noqa: T201 a folder of commands that print
from __future__ import annotations

import cProfile
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.night_history import LAST_DAY, Shape, at_night, land_day, land_past, make_home
from connectors.clock import InjectedClock
from pipelines.house import House
from sandbox.facts import PLATFORMS
from sandbox.institution import settings_toml

# New days played on each past; the median stands in the table.
NEW_DAYS = 3
# Nights of the sandbox that are landed before the commands are measured, the two measured ones included.
LANDED_NIGHTS = 40
MB = 2**20


def main(folder: Path, kind: str, *arguments: str) -> None:
    """Measure and print."""
    if kind == "commands":
        told = commands(folder)
    else:
        nights, accounts, posts, mentions = (int(one) for one in arguments[:4])
        shape = Shape(accounts, posts, mentions, nights)
        told = {"history": history, "first": _first, "new": _new}[kind](folder, shape)
    print(json.dumps(told))


def cpu_s() -> float:
    """CPU seconds of this process so far, threads of DuckDB and Polars included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """The most memory that this process ever held, as the kernel counts it (Linux: KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def history(folder: Path, shape: Shape) -> dict[str, Any]:
    """A past landed at once and taken in whole (in a process of its own, so that its memory is not the new day's), then some new days."""
    house = make_home(folder, [shape])
    first = _in_a_child(folder, "first", shape)
    return {"snapshots": shape.snapshots, "warehouse_mb": house.warehouse.path.stat().st_size / MB, "first": first} | _in_a_child(
        folder, "new", shape
    )


def _in_a_child(folder: Path, kind: str, shape: Shape) -> dict[str, Any]:
    """A process that is started, not forked: Polars does not survive a fork (a child hung)."""
    arguments = map(str, (folder, kind, shape.nights, shape.accounts, shape.posts, shape.mentions))
    done = subprocess.run(  # noqa: S603 our own module
        [sys.executable, "-m", "bench.night_side", *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _first(folder: Path, shape: Shape) -> dict[str, Any]:
    house = make_home(folder, [shape])
    with house.warehouse.open() as connection:
        land_past(connection, shape)
    began, wall = cpu_s(), time.monotonic()
    steps = _night(house, "night-first")
    return {"cpu": cpu_s() - began, "wall": time.monotonic() - wall, "peak_mb": peak_mb(), "steps": steps}


def _new(folder: Path, shape: Shape) -> dict[str, Any]:
    house = make_home(folder, [shape])
    steps: list[dict[str, float]] = []
    walls: list[float] = []
    _warm()
    for number in range(1, NEW_DAYS + 1):
        day = LAST_DAY + timedelta(days=number)
        house.clock.set(at_night(day))  # type: ignore[attr-defined]
        used: dict[str, float] = {}
        wall = time.monotonic()
        with house.warehouse.open() as connection, _measured(used, "land"):
            land_day(connection, shape, day)
        used |= _night(house, f"night-{day}")
        steps.append(used)
        walls.append(time.monotonic() - wall)
    median = {name: statistics.median(one[name] for one in steps) for name in steps[0]}
    return {"steps": _by_room(median), "tables": median, "wall": statistics.median(walls), "peak_mb": peak_mb()}


def _warm() -> None:
    """What is imported once a process belongs to the command, not to a table's day."""
    from checks import judge  # noqa: PLC0415 the benchmark's own time of importing
    from pipelines import night  # noqa: PLC0415 likewise

    night.all_transforms()
    judge._library()  # noqa: SLF001 the import that costs 7 CPU-seconds


def _by_room(used: Mapping[str, float]) -> dict[str, float]:
    rooms = {"ref": "staging", "staging": "staging", "meta": "staging"}
    found: dict[str, float] = {}
    for name, seconds in used.items():
        room = name.partition(".")[0]
        found[rooms.get(room, room)] = found.get(rooms.get(room, room), 0) + seconds
    return found


@contextmanager
def _measured(used: dict[str, float], name: str) -> Iterator[None]:
    began = cpu_s()
    yield
    used[name] = cpu_s() - began


def _night(house: House, run_id: str) -> dict[str, float]:
    """Everything after landing, step by step as Dagster calls it: each step opens the warehouse for itself. CPU seconds by step."""
    from assets.publish import audited, publish  # noqa: PLC0415 only where a night is played
    from checks import gate  # noqa: PLC0415 likewise
    from pipelines import engine, night  # noqa: PLC0415 likewise
    from pipelines.reference import write_reference  # noqa: PLC0415 likewise
    from pipelines.warehouse import ensure  # noqa: PLC0415 likewise
    from pipelines.wiring import companions  # noqa: PLC0415 likewise

    used: dict[str, float] = {}
    institutions = house.institutions()[0]
    with _measured(used, "ref"), house.warehouse.open() as connection:
        for institution in institutions.values():
            write_reference(connection, institution)
    for transform in night.all_transforms():
        with _measured(used, transform.output.name), house.warehouse.open() as connection:
            engine.run(connection, transform, institutions, run_id)
    with _measured(used, "audit"), house.warehouse.open() as connection:
        for table in (*audited().values(), night.RUN, gate.CHECK_RESULT):
            ensure(connection, table)
        verdicts = gate.audit(connection, audited(), institutions, house.clock.now(), run_id)
    broken = sorted({f"{one.table_name} {one.promise}: {one.found}" for one in verdicts if not one.passed and one.severity == "withhold"})
    if broken:
        sys.exit("The made-up past breaks promises: " + "; ".join(broken))
    with _measured(used, "publish"), house.warehouse.open() as connection:
        outcomes = [publish(connection, house.published_path, one, house.clock.now(), companions()).outcome for one in institutions]
    if set(outcomes) != {"published"}:
        sys.exit(f"Nothing was published: {outcomes}")
    return used


def commands(folder: Path) -> dict[str, Any]:
    """`tolok run` in processes of its own, against the sandbox in this one: a night with a new day, then the same night again."""
    from pipelines import demo, night  # noqa: PLC0415 the parent alone needs them
    from sandbox.server import start  # noqa: PLC0415 likewise

    instants = demo.nights()[:LANDED_NIGHTS]
    with start(demo.SEED, 0) as sandbox:
        (folder / "institutions").mkdir()
        (folder / "institutions" / f"{demo.INSTITUTION}.toml").write_text(
            settings_toml(sandbox.url, demo.SEED, PLATFORMS), encoding="utf-8"
        )
        clock = InjectedClock(instants[0])
        house = House(folder, demo.ENVIRON, clock)
        for instant in instants[:-2]:
            clock.set(instant)
            sandbox.set_now(instant)
            night.fetch_and_land(house, house.institutions()[0], f"night-{instant:%Y%m%dT%H%M}")
        told = {}
        for label, instant in (("the first of all", instants[-2]), ("a new day", instants[-1]), ("nothing changed", instants[-1])):
            sandbox.set_now(instant)
            told[label] = _command(folder, {"TOLOK_NOW": instant.isoformat(), **demo.ENVIRON})
    return told


def _command(home: Path, more: Mapping[str, str]) -> dict[str, float]:
    environ = {**os.environ, **more, "TOLOK_HOME": str(home)}
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", "from pipelines.cli import app; app()", "run"], env=environ, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"`tolok run` ended with {child.returncode}.")
    return {"cpu": used.ru_utime + used.ru_stime, "wall": time.monotonic() - began, "peak_mb": used.ru_maxrss / 1024}


if __name__ == "__main__":
    if profile := os.environ.get("TOLOK_BENCH_PROFILE"):
        cProfile.run("main(Path(sys.argv[1]), *sys.argv[2:])", profile)
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
