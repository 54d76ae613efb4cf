"""The retention in Dagster's view: one asset, one job, one schedule, and what it took as metadata.

Not here: what is too old (retention.py). Dagster reads the annotations of its functions as objects, so this module does not postpone them.
"""

from functools import cache

import dagster as dg

from pipelines import retention
from pipelines.house import House
from pipelines.wiring import institutions_of

RETENTION_KEY = dg.AssetKey(["meta", "retention"])
# After the night, before people come; by itself, so that a night that fails keeps nothing longer.
RETENTION_CRON = "30 4 * * *"


@cache
def retention_asset() -> dg.AssetsDefinition:
    """What is too old goes, with an audit row."""

    @dg.asset(
        key=RETENTION_KEY,
        group_name="privacy",
        kinds={"duckdb"},
        description="One row per table from which old rows were taken: the platforms' answers after 30 days, single comments after 13 months.",
    )
    def run_retention(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        with house.warehouse.open() as connection:
            taken = retention.run(connection, house, institutions_of(context, house), context.run.run_id)
        is_compacted = retention.compact_if_worthwhile(house)
        held = [one for one in taken if one.held_back]
        for one in held:
            context.log.warning(f"{one.institution_id}: nothing was taken from {one.thing}: {one.held_back}.")
        columns = ("institution", "thing", "kept from", "taken", "held back")
        records = [
            dg.TableRecord(
                dict(
                    zip(columns, (one.institution_id, one.thing, str(one.kept_from), one.taken, one.held_back or ""), strict=True),
                )
            )
            for one in taken
            if one.taken or one.held_back
        ]
        return dg.MaterializeResult(
            metadata={
                "taken": sum(one.taken for one in taken),
                "held back": len(held),
                "written anew": is_compacted,
                "what": dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns])),
            }
        )

    return run_retention


@cache
def retention_job() -> "dg.UnresolvedAssetJobDefinition":
    """The retention alone."""
    return dg.define_asset_job(
        "retention",
        dg.AssetSelection.assets(RETENTION_KEY),
        description="Takes away what is older than the house, a platform or the institution lets it be, and notes what went.",
    )


def retention_schedule(zone: str, *, is_running: bool) -> dg.ScheduleDefinition:
    """Each day at half past four."""
    return dg.ScheduleDefinition(
        name="retention",
        job=retention_job(),
        cron_schedule=RETENTION_CRON,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED,
        description="What is too old goes, at half past four.",
    )
