"""When things run: a night per time zone in use, and an hourly fetch of what expires or alarms.

Not here: what runs (wiring.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import dagster as dg

from assets.ledgers import raw_table
from connectors.registry import platforms
from pipelines.retention_asset import RETENTION_KEY, retention_schedule
from pipelines.wiring import ZONE_TAG, asset_key

NIGHT_CRON = "0 2 * * *"
HOURLY_CRON = "15 * * * *"
DEFAULT_ZONE = "Asia/Jakarta"


@cache
def night_job() -> dg.UnresolvedAssetJobDefinition:
    """Everything, from the street door to the published file."""
    return dg.define_asset_job(
        "night",
        dg.AssetSelection.all() - dg.AssetSelection.assets(RETENTION_KEY),
        description="Fetches what every platform reports, brings all tables up to date, checks them and publishes what holds.",
    )


@cache
def hourly_job() -> dg.UnresolvedAssetJobDefinition:
    """The streams that expire or alarm, and what follows from them, published where it holds."""
    keys = [asset_key(raw_table(connector, stream)) for connector in platforms().values() for stream in connector.streams if stream.hourly]
    return dg.define_asset_job(
        "hourly",
        dg.AssetSelection.assets(*keys).downstream(),
        description="Fetches mentions and their hourly counts, and brings what follows from them up to date.",
    )


def schedules(zones: Iterable[str], *, is_running: bool = True) -> list[dg.ScheduleDefinition]:
    """02:00 in every zone in use: the hour at which the day there is over and the platforms are quiet. And each hour, a quarter past."""
    night, hourly = night_job(), hourly_job()
    status = dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED
    used = sorted(set(zones)) or [DEFAULT_ZONE]
    return [
        *(
            dg.ScheduleDefinition(
                name=f"night_{_slug(zone)}",
                job=night,
                cron_schedule=NIGHT_CRON,
                execution_timezone=zone,
                tags={ZONE_TAG: zone},
                default_status=status,
                description=f"The night of the institutions in {zone}, at 02:00 there.",
            )
            for zone in used
        ),
        dg.ScheduleDefinition(
            name="hourly",
            job=hourly,
            cron_schedule=HOURLY_CRON,
            execution_timezone=used[0],
            default_status=status,
            description="What expires or alarms, a quarter past each hour.",
        ),
        retention_schedule(used[0], is_running=is_running),
    ]


def _slug(zone: str) -> str:
    return zone.lower().replace("/", "_").replace("-", "_").replace("+", "_")
