"""Turns the settings and the registries into the tables of reference, which then are inputs like any other.

Not here: the tables' columns (assets/reference.py) and the reading of files (settings.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
from hijridate import Gregorian
from holidays import country_holidays

from assets import reference
from assets.goals import goals
from assets.indicators.measures import COHORT_MEASURES, DAY_MEASURES_NAMES
from assets.indicators.registry import Indicator, indicators
from assets.staging import mappings
from connectors.registry import platforms
from connectors.streams import Daily, Event, Snapshot
from pipelines.warehouse import ensure, replace, transaction

if TYPE_CHECKING:
    import duckdb

    from pipelines.settings import Institution
    from pipelines.tables import Table

# A calendar long enough for any post that an API still gives, and for the years to come.
FIRST_DAY = date(2018, 1, 1)
LAST_DAY = date(2031, 12, 31)
KINDS = {Snapshot: "snapshot", Event: "event", Daily: "daily"}
WEEKDAYS_ID = ("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu")
MONTHS_ID = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember",
)  # fmt: skip
# What formulas read, also what no platform gives.
MEASURES = {*DAY_MEASURES_NAMES, *COHORT_MEASURES} - {"followers_at_publication"}
Row = dict[str, Any]


def write_reference(connection: duckdb.DuckDBPyConnection, institution: Institution) -> None:
    """Bring the institution's tables of reference up to date; only what differs is written and marked."""
    for table in reference.REFERENCE:
        ensure(connection, table)
    with transaction(connection):
        for table, rows in reference_rows(institution).items():
            replace(connection, table, institution.id, _frame(table, institution.id, rows))


def _frame(table: Table, institution_id: str, rows: Iterable[Row]) -> pl.DataFrame:
    full = [{"institution_id": institution_id} | row for row in rows]
    return pl.DataFrame(full, schema=table.polars_schema, orient="row").sort(table.key)


def reference_rows(institution: Institution) -> Mapping[Table, Iterable[Row]]:
    """All rows of reference of one institution, without the column `institution_id`."""
    used = {account.platform: platforms()[account.platform] for account in institution.accounts}
    return {
        reference.INSTITUTION: [
            {
                "name": institution.name,
                "language": institution.language,
                "zone": institution.zone,
                "fiscal_year_start": institution.fiscal_year_start,
            }
        ],
        reference.ACCOUNT: _accounts(institution),
        reference.STREAM: [
            {
                "platform": platform,
                "stream": stream.name,
                "kind": KINDS[type(stream.kind)],
                "lookback_days": stream.lookback.days,
                "restates_days": stream.restates.days,
                "expires_hours": stream.expires_after and stream.expires_after // timedelta(hours=1),
            }
            for platform, connector in used.items()
            for stream in connector.streams
        ],
        reference.LOCAL_DAY: _local_days(institution.tzinfo),
        reference.GOAL_POPULATION: _populations(institution),
        reference.GOAL_CHOICE: [{"goal_key": key, "population_id": institution.population_of(key)} for key in institution.goals],
        reference.TARGET: _targets(institution),
        reference.GOAL: _goals(institution),
        reference.INDICATOR: list(_indicators()),
        reference.GOAL_INDICATOR: list(_goal_indicators(institution)),
        reference.PLATFORM: [
            {
                "platform": platform,
                "label": connector.label,
                "api_version": connector.api_version,
                "sunset": connector.sunset,
                "day_basis": connector.day_basis,
                "docs_url": connector.docs_url,
            }
            for platform, connector in used.items()
        ],
        reference.AVAILABILITY: list(_availability(used)),
        reference.DATE: _dates(),
        reference.DEFINITION_BREAK: [
            {"platform": platform, "measure": one.measure, "day": one.day, "note": one.note}
            for platform, connector in used.items()
            for one in connector.breaks
        ],
    }


def _accounts(institution: Institution) -> Iterator[Row]:
    for account in institution.accounts:
        platform = institution.platforms.get(account.platform)
        base_url = (platform.base_url if platform else None) or platforms()[account.platform].default_base_url or ""
        url = platforms()[account.platform].post_url.replace("{base_url}", base_url).replace("{handle}", account.handle)
        yield {
            "platform": account.platform,
            "account_id": account.id,
            "handle": account.handle,
            "post_url": url,
            "unasked_fields": [] if account.private_metrics else list(mappings()[account.platform].private_fields),
        }


@cache
def _days() -> tuple[date, ...]:
    return tuple(FIRST_DAY + timedelta(days=at) for at in range((LAST_DAY - FIRST_DAY).days + 1))


@cache
def _local_days(zone: ZoneInfo) -> tuple[Row, ...]:
    starts = [datetime.combine(day, time(), zone).astimezone(UTC) for day in (*_days(), LAST_DAY + timedelta(days=1))]
    return tuple({"day": day, "starts_at": start, "ends_at": end} for day, (start, end) in zip(_days(), pairwise(starts), strict=True))


def _populations(institution: Institution) -> Iterator[Row]:
    yield {
        "population_id": "all", "version": 1, "accounts": [], "hashtags": [], "keywords": [], "post_types": [], "is_open": True,
    }  # fmt: skip
    for key, chosen in institution.goals.items():
        if institution.population_of(key) == key:
            yield {
                "population_id": key,
                "version": chosen.population_version,
                "accounts": list(chosen.accounts),
                "hashtags": [tag.lower().removeprefix("#") for tag in chosen.posts.hashtags],
                "keywords": [word.lower() for word in chosen.posts.keywords],
                "post_types": list(chosen.posts.post_types),
                "is_open": chosen.posts.is_open,
            }


def _targets(institution: Institution) -> Iterator[Row]:
    by_series: dict[tuple[str, str, str], list[Any]] = {}
    for target in sorted(institution.targets, key=lambda target: target.valid_from):
        by_series.setdefault((target.goal, target.indicator, target.period), []).append(target)
    for series in by_series.values():
        for target, following in zip(series, [*series[1:], None], strict=True):
            yield {
                "goal_key": target.goal,
                "indicator_key": target.indicator,
                "period_type": target.period,
                "valid_from": target.valid_from,
                "valid_to": following.valid_from - timedelta(days=1) if following else None,
                "target": target.value,
                "target_type": target.type,
            }


def _goals(institution: Institution) -> Iterator[Row]:
    for key, goal in goals().items():
        fields = ("number", "label_id", "label_en", "question_id", "question_en", "amec_level", "provenance", "certainty", "source")
        yield {"goal_key": key, "is_enabled": key in institution.goals} | {name: getattr(goal, name) for name in fields}


def _indicators() -> Iterator[Row]:
    for key, entry in indicators().items():
        bilingual = {
            f"{name}_{language}": getattr(getattr(entry, name), language)
            for name in ("label", "formula", "null_rule", "limits")
            for language in ("id", "en")
        }
        plain = ("family", "unit", "decimals", "direction", "additivity", "cohort", "amec_level", "alias_of", "min_support", "scale_min")
        authority = "; ".join(f"{one.title}{f' ({one.url})' if one.url else ''} [{one.evidence}]" for one in entry.authority)
        yield (
            {"method": _method(entry)}
            | {"indicator_key": key, "authority": authority, "is_computed": entry.is_computed, "version": entry.version}
            | {"valid_from": entry.valid_from}
            | bilingual
            | {name: getattr(entry, name) for name in plain}
        )


def _method(entry: Indicator) -> str | None:
    """How the indicator is computed, in one line."""
    if entry.compute is None:
        return None
    parts = " + ".join(entry.compute.numerator) or (entry.compute.of or "")
    scale = f"{entry.compute.scale} x " if entry.compute.scale != 1 else ""
    below = f" / {entry.compute.denominator}" if entry.compute.denominator else ""
    return f"{entry.compute.method}: {scale}{parts}{below}" if parts else entry.compute.method


def _goal_indicators(institution: Institution) -> Iterator[Row]:
    for goal_key, goal in goals().items():
        chosen = institution.goals.get(goal_key)
        for position, key in enumerate(goal.indicator_keys, 1):
            disabled = chosen is not None and key in chosen.disabled
            weight = 0.0 if disabled else float(chosen.weights.get(key, 1.0)) if chosen else 1.0
            named_by = goal.named_by if key in goal.named else "practice"
            yield {"goal_key": goal_key, "indicator_key": key, "named_by": named_by, "position": position, "weight": weight}


def _availability(used: Iterable[str]) -> Iterator[Row]:
    measures = sorted({measure for mapping in mappings().values() for measure in mapping.gives} | MEASURES)
    for platform in used:
        gives = mappings()[platform].gives
        for measure in measures:
            given = gives.get(measure)
            for post_type in (given and given.post_types) or ("all",):
                yield {
                    "platform": platform,
                    "measure": measure,
                    "post_type": post_type,
                    "is_given": given is not None,
                    "needs_field": (given and given.field) or None,
                    "valid_from": given and given.since,
                    "valid_to": given and given.until,
                    "streams": list(given.streams) if given else [],
                    "metric": (given and given.metric) or None,
                    "definition_version": given and given.version,
                    "paid_scope": given and given.paid_scope,
                }


@cache
def _dates() -> tuple[Row, ...]:
    holidays = country_holidays("ID", language="id", years=range(FIRST_DAY.year, LAST_DAY.year + 1))
    return tuple(_date(day, holidays.get(day)) for day in _days())


def _date(day: date, holiday: str | None) -> Row:
    iso, hijri = day.isocalendar(), Gregorian(day.year, day.month, day.day).to_hijri()
    return {
        "day": day,
        "iso_year": iso.year,
        "iso_week": iso.week,
        "weekday_id": WEEKDAYS_ID[day.weekday()],
        "month_id": MONTHS_ID[day.month - 1],
        "hijri_year": hijri.year,
        "hijri_month": hijri.month,
        "hijri_day": hijri.day,
        "holiday_id": holiday,
    }
