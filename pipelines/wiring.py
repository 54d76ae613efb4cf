"""Dagster's view of the house: one asset per stream, thing, family and goal, the audit, the publishing, and the checks.

Not here: what the steps do (night.py and the rooms), when they run (schedules.py).
Dagster reads the annotations of its functions as objects, so this module does not postpone them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

import dagster as dg

from assets.draft import Product
from assets.ledgers import FETCH, raw_table
from assets.publish import Published, audited, publish
from assets.raw import Gap
from assets.reference import REFERENCE
from assets.staging.things import COVERAGE
from assets.transform import Transform
from checks import gate
from connectors.registry import platforms
from pipelines import engine, night
from pipelines.backfill import FROM_TAG, TO_TAG
from pipelines.discretion import discreet
from pipelines.house import House
from pipelines.night import RUN, all_transforms, only
from pipelines.reference import write_reference
from pipelines.settings import Institution
from pipelines.stamps import session
from pipelines.tables import Table
from pipelines.warehouse import count, ensure

# A run can be confined to some institutions: "tolok/institutions" names them, "tolok/zone" takes those of one time zone.
INSTITUTIONS_TAG = "tolok/institutions"
ZONE_TAG = "tolok/zone"
GROUPS = {
    "raw": "raw",
    "ref": "reference",
    "staging": "staging",
    "meta": "staging",
    "indicators": "indicators",
    "goals": "goals",
}
APPROVAL_KEY = dg.AssetKey(["checks", "approval"])
PUBLISH_KEY = dg.AssetKey(["publish", "tolok_duckdb"])
CLOSING_KEY = dg.AssetKey(["publish", "closing"])
REFERENCE_KEY = dg.AssetKey(["ref", "settings"])
EQUALS = "what is found equals what must be, line by line"
Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def asset_key(table: Table) -> dg.AssetKey:
    """The table's own name, except that all tables of reference are one asset."""
    if table.schema_name == "ref":
        return REFERENCE_KEY
    return dg.AssetKey([table.schema_name, table.short_name])


def column_schema(table: Table) -> dg.TableSchema:
    """The declared columns, as the UI shows them."""
    return dg.TableSchema(
        [
            dg.TableColumn(column.name, column.type, column.comment, dg.TableColumnConstraints(nullable=column.nullable))
            for column in table.columns
        ]
    )


def institutions_of(context: Context, house: House) -> dict[str, Institution]:
    """The institutions that this run is for. Files that cannot be used are named in the log and left out; the others go on.

    Raises:
        Failure: no institution is left.
    """
    usable, faults = house.institutions()
    for fault in faults:
        context.log.error(str(fault))
    tags = context.run.tags
    chosen = {
        key: institution
        for key, institution in usable.items()
        if (INSTITUTIONS_TAG not in tags or key in tags[INSTITUTIONS_TAG].split(","))
        and tags.get(ZONE_TAG, institution.zone) == institution.zone
    }
    if not chosen:
        message = f"There is no institution to work for under {house.institutions_path}. `tolok init` writes a file to begin with."
        raise dg.Failure(message, allow_retries=False)
    return chosen


def backfill_of(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """First and last day of the backfill that a run's tags ask for; None: it is a night. Without the second it reaches up to now.

    Raises:
        Failure: a tag is no day.
    """
    if FROM_TAG not in tags:
        return None
    try:
        first = date.fromisoformat(tags[FROM_TAG])
        return first, date.fromisoformat(tags[TO_TAG]) if TO_TAG in tags else date.max - timedelta(days=1)
    except ValueError:
        message = f"Nothing was fetched: the run's tags {FROM_TAG} and {TO_TAG} must be days such as 2026-01-31."
        raise dg.Failure(message, allow_retries=False) from None


def raw_asset() -> dg.AssetsDefinition:
    """One subsettable asset per stream of every platform, fetched all at once. Each selected stream yields a result, and its gaps fail `arrived`."""
    streams = [(connector, stream, raw_table(connector, stream)) for connector in platforms().values() for stream in connector.streams]
    specs = [
        dg.AssetSpec(
            asset_key(table),
            description=stream.description,
            group_name="raw",
            kinds={connector.platform, "duckdb"},
            metadata={
                "dagster/column_schema": column_schema(table),
                "api version": connector.api_version,
                "documentation": dg.MetadataValue.url(connector.docs_url),
            },
        )
        for connector, stream, table in streams
    ]
    names = {asset_key(table): (connector.platform, stream.name, table) for connector, stream, table in streams}

    @dg.multi_asset(
        name="raw",
        specs=specs,
        can_subset=True,
        check_specs=[
            dg.AssetCheckSpec("arrived", asset=spec.key, description="All accounts' lists were read to their end.") for spec in specs
        ],
    )
    @discreet
    def raw(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> Iterator[dg.MaterializeResult[None]]:
        institutions = institutions_of(context, house)
        selected = {(platform, stream) for key, (platform, stream, _) in names.items() if key in context.selected_asset_keys}
        span = backfill_of(context.run.tags)
        with house.warehouse.open() as connection:
            night.begin_run(connection, context.run.run_id, house.clock.now(), "backfill" if span else context.run.job_name)
        arrival = night.fetch_and_land(house, institutions, context.run.run_id, only(selected), context.log.info, span)
        with house.warehouse.open() as connection:
            night.note_arrival(connection, context.run.run_id, house.clock.now(), arrival)
            counts = {key: count(connection, table) for key, (_, _, table) in names.items() if key in context.selected_asset_keys}
        landed = {table.table: table for table in arrival.landed}
        for key in sorted(context.selected_asset_keys):
            platform, stream, table = names[key]
            gaps = [gap for gap in arrival.gaps if (gap.platform, gap.stream) == (platform, stream)]
            done = landed.get(table.name)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "dagster/row_count": counts[key],
                    "records received": done.received if done else 0,
                    "rows new": done.new if done else 0,
                    "rows changed": done.changed if done else 0,
                    "records set aside": done.set_aside if done else 0,
                    "members not seen before": ", ".join(done.new_fields) if done and done.new_fields else "none",
                    "requests sent": done.requests if done else 0,
                    "cost in USD, estimated": float(done.cost_usd) if done else 0.0,
                    "gaps": _gap_table(gaps),
                },
                check_results=[
                    dg.AssetCheckResult(check_name="arrived", asset_key=key, passed=not gaps, metadata={"gaps": _gap_table(gaps)})
                ],
            )

    return raw


def _gap_table(gaps: Sequence[Gap]) -> dg.TableMetadataValue:
    columns = ("institution", "account", "day", "status", "reason")
    records = [
        dg.TableRecord(
            dict(zip(columns, (gap.institution_id, f"{gap.platform}/{gap.account_id}", str(gap.day), gap.status, gap.reason), strict=True))
        )
        for gap in gaps
    ]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))


def reference_asset() -> dg.AssetsDefinition:
    """The settings and registries as tables."""

    @dg.asset(
        key=REFERENCE_KEY,
        group_name="reference",
        kinds={"duckdb"},
        description="One row per thing that was chosen or defined: institutions, accounts, goals, indicators, populations, targets, days.",
    )
    @discreet
    def settings(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        with house.warehouse.open() as connection:
            for institution in institutions_of(context, house).values():
                write_reference(connection, institution)
            counts = {table.short_name: count(connection, table) for table in REFERENCE}
        return dg.MaterializeResult(
            metadata={"dagster/row_count": sum(counts.values()), **{f"rows {name}": rows for name, rows in counts.items()}}
        )

    return settings


def transform_asset(transform: Transform) -> dg.AssetsDefinition:
    """A derived table as an asset: read, the pure function, write, metadata."""
    table = transform.output
    deps = {
        REFERENCE_KEY if source.table.schema_name == "ref" else asset_key(source.table)
        for source in transform.inputs
        if source.table is not FETCH
    }
    if any(source.table is FETCH for source in transform.inputs):
        deps |= {asset_key(raw_table(connector, stream)) for connector in platforms().values() for stream in connector.streams}

    @dg.asset(
        key=asset_key(table),
        deps=sorted(deps),
        group_name=GROUPS[table.schema_name],
        description=table.description,
        kinds={"polars", "duckdb"},
        metadata={
            "dagster/column_schema": column_schema(table),
            "split by": ", ".join(transform.split_by),
            "looks back": "to the beginning" if transform.lookback_days is None else f"{transform.lookback_days} days",
        },
        code_version=str(transform.version),
    )
    @discreet
    def derived(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        with house.warehouse.open() as connection:
            made = engine.run(connection, transform, institutions_of(context, house), context.run.run_id)
            rows = count(connection, table)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows, **_made_metadata(made)})

    return derived


def _made_metadata(made: Iterable[engine.Made]) -> dict[str, dg.MetadataValue]:
    columns = ("institution", "made anew from", "rows new", "rows changed")
    records = [
        dg.TableRecord(
            {
                "institution": one.institution_id,
                "made anew from": str(one.since) if one.since else "nothing had changed",
                "rows new": one.written.inserted,
                "rows changed": one.written.changed,
            }
        )
        for one in made
    ]
    return {"windows": dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))}


def approval_asset() -> dg.AssetsDefinition:
    """The audit: judges what changed, and stamps what holds."""

    @dg.asset(
        key=APPROVAL_KEY,
        deps=sorted({asset_key(table) for table in audited().values()}),
        group_name="checks",
        kinds={"great_expectations"},
        description="One stamp per table, institution and month whose promises hold. What has no stamp is not published, from whichever door.",
    )
    @discreet
    def approval(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        verdicts = _audit(context, house)
        broken = [verdict for verdict in verdicts if not verdict.passed]
        judged = [verdict for verdict in verdicts if not verdict.unchanged]
        return dg.MaterializeResult(
            metadata={"promises judged": len(judged), "promises unchanged": len(verdicts) - len(judged), "broken": verdict_table(broken)}
        )

    return approval


def _audit(context: Context, house: House) -> list[gate.Verdict]:
    institutions = institutions_of(context, house)
    with session(house.warehouse, house.seen) as connection:
        for table in audited().values():
            ensure(connection, table)
        try:
            return gate.audit(connection, audited(), institutions, house.clock.now(), context.run.run_id, house.seen)
        except gate.BrokenCheckError as broken:
            # Its tables are refused, and the closing step names them; the other institutions are published.
            context.log.error(str(broken))  # noqa: TRY400 the sentence says it; its traceback names nothing of ours
            return broken.verdicts


def promise_checks() -> dg.AssetChecksDefinition:
    """One check per audited table: its promises with what was expected and what was found. Not blocking: the stamp is the gate."""
    tables: dict[dg.AssetKey, list[str]] = {}
    for table in audited().values():
        tables.setdefault(asset_key(table), []).append(table.name)
    specs = [
        dg.AssetCheckSpec(
            "promises",
            asset=key,
            additional_deps=[APPROVAL_KEY],
            description=f"What must hold before {names[0] if len(names) == 1 else 'these tables'} may be published.",
        )
        for key, names in tables.items()
    ]

    @dg.multi_asset_check(name="promises", specs=specs, can_subset=True)
    @discreet
    def promises(context: dg.AssetCheckExecutionContext, house: dg.ResourceParam[House]) -> Iterator[dg.AssetCheckResult]:
        verdicts = _audit(context, house)
        for check_key in sorted(context.selected_asset_check_keys):
            found = [verdict for verdict in verdicts if verdict.table_name in tables[check_key.asset_key]]
            broken = [verdict for verdict in found if not verdict.passed]
            withheld = any(verdict.severity == gate.WITHHOLD for verdict in broken)
            yield dg.AssetCheckResult(
                check_name=check_key.name,
                asset_key=check_key.asset_key,
                passed=not broken,
                severity=dg.AssetCheckSeverity.ERROR if withheld else dg.AssetCheckSeverity.WARN,
                metadata={"promises": verdict_table(found), "broken": len(broken), "judged": len(found)},
            )

    return promises


def verdict_table(verdicts: Iterable[gate.Verdict]) -> dg.TableMetadataValue:
    """What was promised, expected and found."""
    columns = ("institution", "table", "promise", "held", "expected", "found")
    records = [
        dg.TableRecord(
            {
                "institution": verdict.institution_id,
                "table": verdict.table_name,
                "promise": verdict.sentence,
                "held": "yes" if verdict.passed else "NO",
                "expected": EQUALS if verdict.expected == "found = expected" else verdict.expected,
                "found": f"{verdict.found} ({verdict.rows_judged:,} rows)" if verdict.rows_judged else verdict.found,
            }
        )
        for verdict in verdicts
    ]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))


def companions() -> tuple[Product, ...]:
    """The tables about runs and checks that go along with a published file."""
    result = gate.CHECK_RESULT
    return (
        Product(RUN, f"SELECT * FROM {RUN.name} WHERE $institution_id IS NOT NULL", ()),
        Product(result, f"SELECT {', '.join(result.names)} FROM {result.name} WHERE institution_id = $institution_id", ()),
    )


def publish_asset() -> dg.AssetsDefinition:
    """The analysts' file of each institution whose tables are approved."""

    @dg.asset(
        key=PUBLISH_KEY,
        deps=[APPROVAL_KEY],
        group_name="publish",
        kinds={"duckdb"},
        description="One file per institution with its approved tables, swapped in whole. What was not approved leaves yesterday's file standing.",
    )
    @discreet
    def tolok_duckdb(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        with session(house.warehouse, house.seen) as connection:
            for table in (RUN, gate.CHECK_RESULT):
                ensure(connection, table)
            outcomes = [
                publish(connection, house.published_path, institution_id, house.clock.now(), companions(), house.seen)
                for institution_id in institutions_of(context, house)
            ]
        for outcome in outcomes:
            if outcome.is_refused:
                told = f"{outcome.institution_id}: not published, because these are not approved: {', '.join(_refused_tables([outcome]))}."
                context.log.error(f"{told} Its last approved file stands.")
        columns = ("institution", "outcome", "file", "rows")
        records = [
            dg.TableRecord(dict(zip(columns, (one.institution_id, one.outcome, str(one.path), sum(one.rows.values())), strict=True)))
            for one in outcomes
        ]
        table_of_outcomes = dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))
        if all(outcome.is_refused for outcome in outcomes):
            message = (
                f"Nothing was published: no institution's tables are approved (not approved: {', '.join(_refused_tables(outcomes))}). "
                "The checks of these tables say which promise is broken."
            )
            raise dg.Failure(message, metadata={"outcomes": table_of_outcomes}, allow_retries=False)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(sum(one.rows.values()) for one in outcomes),
                "outcomes": table_of_outcomes,
            }
        )

    return tolok_duckdb


def _refused_tables(outcomes: Iterable[Published]) -> list[str]:
    return sorted({stamp.table_name for outcome in outcomes for stamp in outcome.refused})


def closing_asset() -> dg.AssetsDefinition:
    """The end of the night: red when something is missing, after everything that could be published was."""

    @dg.asset(
        key=CLOSING_KEY,
        deps=[PUBLISH_KEY],
        group_name="publish",
        description="The night's last step: it fails when a gap is open or an institution was refused, so that somebody looks.",
    )
    @discreet
    def closing(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]) -> dg.MaterializeResult[None]:
        institutions = institutions_of(context, house)
        _, faults = house.institutions()
        with session(house.warehouse, house.seen) as connection:
            ensure(connection, COVERAGE)
            gaps = night.open_gaps(connection, institutions)
            refused = night.refused(connection, audited().values(), institutions, house.seen)
        told = [
            f"{institution}: {platform}/{account} {stream} is {status}: {reason}"
            for institution, platform, account, stream, status, reason in gaps
        ]
        told += [f"{institution} was not published: {', '.join(tables)} is not approved" for institution, tables in refused.items()]
        told += [str(fault) for fault in faults]
        with house.warehouse.open() as connection:
            night.end_run(connection, context.run.run_id, house.clock.now(), "not whole" if told else "whole")
        if told:
            raise dg.Failure("The night is not whole:\n" + "\n".join(told), metadata={"open": len(told)}, allow_retries=False)
        return dg.MaterializeResult(metadata={"open gaps": 0})

    return closing


def all_assets() -> list[dg.AssetsDefinition]:
    """Every asset, in walking order."""
    return [
        raw_asset(),
        reference_asset(),
        *(transform_asset(transform) for transform in all_transforms()),
        approval_asset(),
        publish_asset(),
        closing_asset(),
    ]


def streams_by_key() -> Mapping[dg.AssetKey, tuple[str, str]]:
    """Each raw asset's platform and stream."""
    return {
        asset_key(raw_table(connector, stream)): (connector.platform, stream.name)
        for connector in platforms().values()
        for stream in connector.streams
    }
