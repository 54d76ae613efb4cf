"""Whole nights, to the published file, without Dagster; the same night in a process of its own, which may be killed; and what a home holds.

Not here: where a night is killed (tests/faults/child.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from assets.publish import FILE_NAME, FIRST_PUBLISHED, audited, publish
from checks import gate
from pipelines import night
from pipelines.house import House
from pipelines.stamps import STAMP
from pipelines.warehouse import due, ensure
from pipelines.wiring import companions
from tests.support.content import content, differences, every_table
from tests.support.nights import institutions_of, put_clock

if TYPE_CHECKING:
    from sandbox.server import Running
    from tests.support.content import Content

ROOT = Path(__file__).parents[2]
# What a run leaves while it works, and must not leave when it has ended.
PASSING = (".part", ".draft", ".new", ".tmp", ".wal", ".probe")
SIGNATURE = (
    "SELECT string_agg(told, ' ' ORDER BY told) FROM ("
    "SELECT 'values ' || count(*) || ' ' || sum(hash(institution_id, indicator_key, period_start, value, status)) AS told FROM mart.indicator_values "
    "UNION ALL SELECT 'posts ' || count(*) || ' ' || coalesce(sum(hash(post_id, day)), 0) FROM mart.posts "
    "UNION ALL SELECT 'coverage ' || count(*) || ' ' || max(day) FROM meta.coverage)"
)


def steps(house: House, run_id: str, *, publishes: bool = True) -> dict[str, str]:
    """A night's steps at the home's own instant, all or those before the audit; what became of each institution's file."""
    institutions = institutions_of(house)
    with house.lock():
        with house.warehouse.open() as connection:
            night.begin_run(connection, run_id, house.clock.now(), "night")
        arrival = night.fetch_and_land(house, institutions, run_id)
        with house.warehouse.open() as connection:
            night.note_arrival(connection, run_id, house.clock.now(), arrival)
            night.derive(connection, institutions, run_id)
            outcomes = []
            if publishes:
                gate.audit(connection, audited(), institutions, house.clock.now(), run_id)
                outcomes = [publish(connection, house.published_path, one, house.clock.now(), companions()) for one in institutions]
            night.end_run(connection, run_id, house.clock.now(), "whole")
    return {one.institution_id: one.outcome for one in outcomes}


def whole_night(house: House, sandbox: Running, at: datetime, run_id: str) -> dict[str, str]:
    """The same, with the home's clock and the sandbox's put to an instant first."""
    put_clock(house, at)
    sandbox.set_now(at)
    return steps(house, run_id)


def command(*words: str, killed_at: str | None = None) -> list[str]:
    """What is typed to run Tolok in a process of its own, killed at a point or not."""
    if killed_at is not None:
        return [sys.executable, "-m", "tests.faults.child", killed_at, *words]
    return [sys.executable, "-c", "from pipelines.cli import app; app()", *words]


def environment(house: House) -> dict[str, str]:
    """What a process needs to know of a home: where it is, its secrets, and the instant."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOLOK_", "DAGSTER_"))}
    return kept | dict(house.environ) | {"TOLOK_HOME": str(house.home), "TOLOK_NOW": house.clock.now().isoformat(), "COLUMNS": "400"}


def typed(
    house: House, *words: str, killed_at: str | None = None, seconds: float = 300, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of Tolok's in a process of its own, to its end; `before` is done in it first, by the parent's code."""
    # Files, not pipes: a process that is killed leaves children of Dagster's behind, which would hold a pipe open.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        told = subprocess.run(
            command(*words, killed_at=killed_at),
            cwd=ROOT,
            env=environment(house),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            check=False,
            timeout=seconds,
            preexec_fn=before,
        )
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(told.args, told.returncode, out.read(), err.read())


def holdings(house: House, institution_id: str | None = None) -> Content:
    """Everything that is true in the warehouse: all tables that hold data, the stamps, the verdicts, the first published values."""
    tables = (*every_table(), STAMP, gate.CHECK_RESULT, FIRST_PUBLISHED)
    with house.warehouse.open() as connection:
        for table in tables:
            ensure(connection, table)
    return content(house, institution_id, tables)


def published_file(house: House, institution_id: str) -> Path:
    """The analysts' file."""
    return house.published_path / institution_id / "latest" / FILE_NAME


def published_content(house: House, institution_id: str) -> Mapping[str, str]:
    """Each table of the published file in one line: rows and a sum over what they say; runs are left out, which differ by their nature."""
    told: dict[str, str] = {}
    with duckdb.connect(str(published_file(house, institution_id)), read_only=True) as reader:
        for (name,) in reader.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal AND schema_name || '.' || table_name <> 'meta.run'"
        ).fetchall():
            columns = [column for column, *_ in reader.execute(f"DESCRIBE {name}").fetchall() if column not in {"run_id", "as_of"}]
            told[name] = str(reader.execute(f"SELECT count(*), sum(hash({', '.join(columns)})::HUGEINT)::VARCHAR FROM {name}").fetchall())
    return told


def landed_names(house: House) -> list[str]:
    """The files of landing/ without the runs that brought them."""
    paths = [path.relative_to(house.landing_path) for path in house.landing_path.rglob("*") if path.is_file()]
    return sorted("/".join((*path.parts[:2], path.name)) for path in paths)


def leftovers(house: House) -> list[str]:
    """Files that a run leaves only while it works, and folders of runs that have not been merged."""
    found = [path for path in house.home.rglob("*") if path.is_file() and any(mark in path.name for mark in PASSING)]
    found += list((house.landing_path / "incoming").glob("*"))
    return sorted(str(path.relative_to(house.home)) for path in found if "dagster" not in path.parts)


def owed(house: House) -> list[str]:
    """The derived tables that have not taken in everything that changed."""
    with house.warehouse.open() as connection:
        return [
            transform.output.name
            for transform in night.all_transforms()
            for one in institutions_of(house)
            if due(connection, transform.output, [source.table.name for source in transform.inputs], one, transform.version)[0]
        ]


def assert_same(house: House, undisturbed: House) -> None:
    """Both homes hold the same, to the row and stamp, published and not, and nothing is left lying about."""
    assert differences(holdings(house), holdings(undisturbed)) == {}
    assert owed(house) == []
    for one in institutions_of(house):
        assert published_content(house, one) == published_content(undisturbed, one)
        assert status(house, one) == status(undisturbed, one)
    assert landed_names(house) == landed_names(undisturbed)
    assert leftovers(house) == []


def status(house: House, institution_id: str) -> dict[str, object]:
    """What stands beside the published file about it."""
    path = published_file(house, institution_id).with_name("status.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def runs(house: House) -> dict[str, tuple[object, object]]:
    """Each run's end and outcome."""
    with house.warehouse.open() as connection:
        return {run: (ended, how) for run, ended, how in connection.execute("SELECT run_id, ended_at, outcome FROM meta.run").fetchall()}


def signature(path: Path) -> str:
    """A published version in one line, as the reader in its own process tells it."""
    with duckdb.connect(str(path), read_only=True) as reader:
        return str(reader.execute(SIGNATURE).fetchall()[0][0])


@dataclass
class Reading:
    """What a second process saw that read the published file in a loop."""

    reads: int = 0
    versions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


READER = """
import duckdb, json, sys, threading
path, query = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
told = {"reads": 0, "versions": [], "errors": []}
print("ready", flush=True)
while True:
    try:
        with duckdb.connect(path, read_only=True) as reader:
            version = str(reader.execute(query).fetchall()[0][0])
        told["reads"] += 1
        if version not in told["versions"]:
            told["versions"].append(version)
    except Exception as error:
        told["errors"].append(f"{type(error).__name__}: {error}")
    if stop.wait(0.2):
        break
print(json.dumps(told))
"""


@contextmanager
def reader(path: Path) -> Iterator[Reading]:
    """A second process that opens and reads the file again and again; what it saw is filled in at the end."""
    told = Reading()
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path), SIGNATURE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield told
        finally:
            out, _ = process.communicate()
            for name, value in json.loads(out).items():
                setattr(told, name, value)


@contextmanager
def holding(path: Path, *, read_only: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A stranger's process that has a DuckDB file open."""
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True'); print('held', flush=True)\n"
        "for line in sys.stdin: print(c.execute(line).fetchall(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(read_only)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.stdin.close()


WORKER = (
    "import sys; from pathlib import Path; from pipelines.house import House\n"
    "with House(Path(sys.argv[1]), environ={}).lock(): print('works', flush=True); sys.stdin.read()"
)


@contextmanager
def working_in(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another run in the home: a process that holds its lock until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "works\n"
        try:
            yield process
        finally:
            process.stdin.close()


def asked(process: subprocess.Popen[str], query: str) -> str:
    """What a stranger's process (`holding`) answers to a query, in one line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(" ".join(query.split()) + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def clean(words: Sequence[str] | str) -> str:
    """What was printed, with folded lines joined."""
    return " ".join((words if isinstance(words, str) else " ".join(words)).split())
