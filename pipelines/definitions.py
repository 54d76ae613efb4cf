"""Everything that Dagster sees, put together. Policy stands here, once.

Not here: assets (wiring.py), times (schedules.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta

import dagster as dg

from connectors.clock import SystemClock
from pipelines import logs
from pipelines.house import HomeBusyError, House
from pipelines.night import end_run
from pipelines.retention_asset import retention_asset, retention_job
from pipelines.schedules import hourly_job, night_job, schedules
from pipelines.warehouse import WarehouseError
from pipelines.wiring import all_assets, promise_checks

# A table that was not made for a day and a half has missed a night.
STALE_AFTER = timedelta(hours=36)


def build_definitions(house: House | None = None) -> dg.Definitions:
    """Everything that Dagster sees. Tests pass a house of their own; otherwise TOLOK_HOME names it."""
    home = house or House.from_environment()
    institutions, _ = home.institutions()
    return dg.Definitions(
        assets=dg.map_asset_specs(_with_freshness, [*all_assets(), retention_asset()]),
        asset_checks=[promise_checks()],
        jobs=[night_job(), hourly_job(), retention_job()],
        # The demo's platforms live in the past: nothing of it is due tonight.
        schedules=schedules((institution.zone for institution in institutions.values()), is_running=isinstance(home.clock, SystemClock)),
        resources={"house": occupied(home)},
        # In one process: a step costs 0.1 s there and 4 s in a process of its own, and what waits on the network overlaps inside its step.
        executor=dg.in_process_executor,
    )


def occupied(house: House) -> dg.ResourceDefinition:
    """The house for one run alone, with the home's log following it: whoever starts it, from anywhere, holds the home's lock until its end."""

    @dg.resource(description="The home and what is in it, for one run at a time.")
    def home(context: dg.InitResourceContext) -> Iterator[House]:
        try:
            stack = ExitStack()
            stack.enter_context(house.lock())
        except (HomeBusyError, WarehouseError) as refusal:
            raise dg.Failure(str(refusal), allow_retries=False) from None
        with stack:
            if context.run is not None and context.instance is not None:
                _bury(context.instance, context.run.run_id)
                logs.follow(house, context.instance, context.run)
            yield house
            # What would hinder this has failed a step of the run already.
            with suppress(WarehouseError), house.warehouse.open() as connection:
                if context.run is not None:
                    end_run(connection, context.run.run_id, house.clock.now(), "ended")

    return home


def _bury(instance: dg.DagsterInstance, run_id: str) -> None:
    """Runs that Dagster takes for running are dead: the lock is ours. Left so, the queue would wait for them for ever."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])):
        if run.run_id != run_id:
            instance.report_run_failed(run, "The run was killed, or the machine went off. The next run went on from there.")


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """All but raw, whose freshness is asked of the ledger: a fetch that brought nothing new is still fresh."""
    if spec.key.path[0] == "raw":
        return spec
    return spec.replace_attributes(freshness_policy=dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER))


defs = build_definitions()
