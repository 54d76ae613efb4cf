"""Runs Dagster's own jobs in this process, for the command line and the demo: the same assets as in the UI, never a second path.

Not here: what the jobs hold (wiring.py) and what is printed (cli.py).
"""

from __future__ import annotations

import logging
import signal
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from pipelines import discretion
from pipelines.definitions import build_definitions
from pipelines.exits import Exit, code_of_steps
from pipelines.logs import told_by
from pipelines.signals import Signals, watching
from pipelines.warehouse import HomeUnusableError, unusable

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.house import House

# Telemetry off: nothing leaves the machine. No sign-up window over the UI. One run at a time, and a cancelled run gives its place back.
# No pools: the place of a run that was killed is never given back, and the next one waits for it for ever (tried). The home's lock is the guard.
DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 0
  retry_on_asset_or_op_failure: false
"""

# What SQLite says of a file that is none of its own, or no more.
DAMAGED = ("file is not a database", "database disk image is malformed", "unsupported file format", "no such table", "no such column")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the failed steps with their sentences, each check's verdict, and the exit code that says it all."""

    run_id: str
    is_success: bool
    failures: Mapping[str, str]
    checks_passed: int
    checks_failed: Sequence[str]
    published: Mapping[str, str]
    exit_code: Exit


@contextmanager
def instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance under the home, made with our settings where there is none."""
    prepare_instance(folder)
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


def prepare_instance(folder: Path) -> None:
    """Write dagster.yaml where there is none; an operator's own stays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dagster.yaml"
    if not path.exists():
        path.write_text(DAGSTER_YAML, encoding="utf-8")


def run_job(
    house: House,
    job_name: str = "night",
    *,
    selection: Sequence[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Outcome:
    """Run a job to its end in this process, recorded in the home's Dagster instance.

    `progress` hears each step as it begins, with its number and how many there are. Ctrl-C and SIGTERM end the step that runs and start no
    other; what was committed stays.

    Raises:
        HomeUnusableError: the disk takes nothing more, or Dagster's own history is damaged.
    """
    with _history_in_words(house):
        return _run_job(house, job_name, selection, tags, progress)


@contextmanager
def _history_in_words(house: House) -> Iterator[None]:
    """Dagster keeps its history in SQLite; what that cannot do ends the run wherever it stands."""
    try:
        with house.words():
            yield
    except (SQLAlchemyError, sqlite3.Error) as failure:
        sentence = unusable(failure, house.home)
        if sentence is None and any(said in str(failure) for said in DAMAGED):
            sentence = (
                f"The history of runs under {house.dagster_path} is damaged, so nothing could be run. No numbers stand in it. "
                f"Move {house.dagster_path} away and run again: it is made anew."
            )
        if sentence is None:
            raise
        raise HomeUnusableError(sentence) from failure


def _run_job(
    house: House,
    job_name: str,
    selection: Sequence[dg.AssetKey] | None,
    tags: Mapping[str, str] | None,
    progress: Callable[[str, int, int], None],
) -> Outcome:
    job = build_definitions(house).resolve_job_def(job_name)
    if selection:
        job = job.get_subset(asset_selection=set(selection))
    steps = len(job.nodes)
    run_id = str(uuid.uuid4())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # An interruption can meet a connection of Dagster's records while it is closed: the pool tells of it in a traceback, and goes on.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    discretion.install()
    with watching() as signals, instance(house.dagster_path) as recorder:
        recorder.add_event_listener(run_id, _Steps(progress, steps, signals))
        result = job.execute_in_process(
            instance=recorder,
            raise_on_error=False,
            run_id=run_id,
            tags=dict(tags or {}),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        return _outcome(result, run_id, signals.first)


class _Steps:
    """Counts the steps as they begin."""

    def __init__(self, progress: Callable[[str, int, int], None], steps: int, signals: Signals) -> None:
        self._progress = progress
        self._steps = steps
        self._signals = signals
        self._begun = 0

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.event_type is not dg.DagsterEventType.STEP_START or not event.step_key:
            return
        self._begun += 1
        self._progress(event.step_key.replace("__", "/", 1), self._begun, self._steps)
        if (came := self._signals.first) is not None:
            # A library can swallow the interruption of a step; the next one is not to run all the same.
            signal.raise_signal(came)


def _outcome(result: dg.ExecuteInProcessResult, run_id: str, stopped_by: signal.Signals | None) -> Outcome:
    failures: dict[str, str] = {}
    published: dict[str, str] = {}
    kinds: list[str] = []
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key:
            names, failures[event.step_key] = told_by(event.step_failure_data)
            kinds += names
        if event.event_type == dg.DagsterEventType.RESOURCE_INIT_FAILURE:
            # Before any step: the home could not be taken, or a fault of ours.
            names, failures["start"] = told_by(event.engine_event_data)
            kinds += names
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and "outcomes" in event.materialization.metadata:
            table = event.materialization.metadata["outcomes"].value
            published |= {str(record.data["institution"]): str(record.data["outcome"]) for record in getattr(table, "records", [])}
    checks = result.get_asset_check_evaluations()
    failed = [f"{check.asset_key.to_user_string()} {check.check_name}" for check in checks if not check.passed]
    code = Exit.WELL if result.success else max(code_of_steps(kinds), Exit.NOT_WHOLE)
    if stopped_by is not None:
        code = Exit(128 + stopped_by)
        what = "Ctrl-C" if stopped_by is signal.SIGINT else "SIGTERM"
        failures = {"stopped": f"The run was stopped by {what}. What came until then is kept; the next run goes on from there."}
    return Outcome(run_id, result.success, failures, len(checks) - len(failed), failed, published, code)
