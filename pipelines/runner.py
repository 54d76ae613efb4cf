"""Runs Dagster's own jobs in this process, for the command line and the demo: the same assets as in the UI, never a second path.

Not here: what the jobs hold (wiring.py) and what is printed (cli.py).
"""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from pipelines.definitions import build_definitions
from pipelines.night import ClockError
from pipelines.warehouse import HomeUnusableError, WarehouseError, unusable

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
UNUSABLE = frozenset(kind.__name__ for kind in (WarehouseError, HomeUnusableError, ClockError))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the failed steps with their sentences, and each check's verdict.

    `is_unusable`: a step failed because the home or the warehouse cannot be used, which is not the night's fault.
    """

    run_id: str
    is_success: bool
    failures: Mapping[str, str]
    checks_passed: int
    checks_failed: Sequence[str]
    published: Mapping[str, str]
    is_unusable: bool = False


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
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run a job to its end in this process, recorded in the home's Dagster instance. `progress` hears each step as it begins.

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
    house: House, job_name: str, selection: Sequence[dg.AssetKey] | None, tags: Mapping[str, str] | None, progress: Callable[[str], None]
) -> Outcome:
    job = build_definitions(house).resolve_job_def(job_name)
    run_id = str(uuid.uuid4())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with instance(house.dagster_path) as recorder:

        def hear(entry: dg.EventLogEntry) -> None:
            event = entry.dagster_event
            if event is not None and event.event_type == dg.DagsterEventType.STEP_START and event.step_key:
                progress(event.step_key.replace("__", "/", 1))

        recorder.add_event_listener(run_id, hear)
        result = job.execute_in_process(
            instance=recorder,
            raise_on_error=False,
            run_id=run_id,
            asset_selection=list(selection) if selection else None,
            tags=dict(tags or {}),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return _outcome(result, run_id)


def _outcome(result: dg.ExecuteInProcessResult, run_id: str) -> Outcome:
    failures: dict[str, str] = {}
    is_unusable = False
    published: dict[str, str] = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key:
            failures[event.step_key] = _sentence(event.step_failure_data)
            is_unusable |= not UNUSABLE.isdisjoint(_classes(event.step_failure_data))
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and "outcomes" in event.materialization.metadata:
            table = event.materialization.metadata["outcomes"].value
            published |= {str(record.data["institution"]): str(record.data["outcome"]) for record in getattr(table, "records", [])}
    checks = result.get_asset_check_evaluations()
    failed = [f"{check.asset_key.to_user_string()} {check.check_name}" for check in checks if not check.passed]
    return Outcome(run_id, result.success, failures, len(checks) - len(failed), failed, published, is_unusable)


def _classes(failure: object) -> Iterator[str]:
    """The kinds of error that a failed step tells of, from Dagster's own to the one that it began with."""
    error = getattr(failure, "error", None)
    while error is not None:
        yield str(error.cls_name)
        error = error.cause


def _sentence(failure: object) -> str:
    """What a failed step says to a person: the description of our own failures, else the error's last line."""
    described = getattr(getattr(failure, "user_failure_data", None), "description", None)
    if described:
        return str(described)
    error = getattr(failure, "error", None)
    while error is not None and getattr(error, "cause", None) is not None:
        error = error.cause
    return str(getattr(error, "message", "no reason given")).strip()
