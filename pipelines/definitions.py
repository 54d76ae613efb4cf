"""Everything that Dagster sees, put together. Policy stands here, once.

Not here: assets (wiring.py), times (schedules.py).
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from connectors.clock import SystemClock
from pipelines import logs
from pipelines.house import House
from pipelines.schedules import hourly_job, night_job, schedules
from pipelines.wiring import all_assets, promise_checks

# A table that was not made for a day and a half has missed a night.
STALE_AFTER = timedelta(hours=36)


def build_definitions(house: House | None = None) -> dg.Definitions:
    """Everything that Dagster sees. Tests pass a house of their own; otherwise TOLOK_HOME names it."""
    home = house or House.from_environment()
    institutions, _ = home.institutions()
    return dg.Definitions(
        assets=dg.map_asset_specs(_with_freshness, all_assets()),
        asset_checks=[promise_checks()],
        jobs=[night_job(), hourly_job()],
        # The demo's platforms live in the past: nothing of it is due tonight.
        schedules=schedules((institution.zone for institution in institutions.values()), is_running=isinstance(home.clock, SystemClock)),
        resources={"house": attended(home)},
        # In one process: a step costs 0.1 s there and 4 s in a process of its own, and what waits on the network overlaps inside its step.
        executor=dg.in_process_executor,
    )


def attended(house: House) -> dg.ResourceDefinition:
    """The house for one run, with the home's log following it, whoever started it."""

    @dg.resource(description="The home and what is in it, for one run.")
    def home(context: dg.InitResourceContext) -> House:
        if context.run is not None and context.instance is not None:
            logs.follow(house, context.instance, context.run)
        return house

    return home


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """All but raw, whose freshness is asked of the ledger: a fetch that brought nothing new is still fresh."""
    if spec.key.path[0] == "raw":
        return spec
    return spec.replace_attributes(freshness_policy=dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER))


defs = build_definitions()
