"""Approved tables into the analysts' file: one file per institution, built beside, counted, swapped in whole, or not at all.

Not here: who approves (checks/) and what the tables mean (their rooms). Whoever calls `publish`, it asks for the stamps itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from assets.dictionary import CHANGELOG, DATA_DICTIONARY, SCHEMA_VERSION, SCHEMA_VERSION_TABLE, changelog_rows, dictionary_rows
from assets.goals.tables import SCORECARD, goal_tables
from assets.indicators import family_tables
from assets.indicators.leaderboard import CONTENT_LEADERBOARD
from assets.indicators.measures import POST_MEASURES
from assets.indicators.values import KEY_COLUMNS, VALUE_COLUMNS, VALUE_KEY
from assets.reference import ACCOUNT, INDICATOR, LOCAL_DAY, REFERENCE
from assets.staging.things import ACCOUNT_DAYS, COVERAGE, MENTION_HOURS, POST_DAYS, POSTS
from pipelines.stamps import Stamp, current, unapproved
from pipelines.tables import Column, Table, key
from pipelines.warehouse import comment, ensure, first, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME = "tolok.duckdb"
# Duckdb 1.2's format: what older DuckDBs, BI drivers and the browser build can open (measured, design notes of the stack).
STORAGE_VERSION = "v1.2.0"
KEPT_RUNS = 14
EXCERPT_CHARS = 80

FIRST_PUBLISHED = Table(
    "meta.first_published",
    "One row per value of a complete period that was ever published: what it was the first time. Only ever added to.",
    (*KEY_COLUMNS, key("first_published_value", "DOUBLE", "The value"), key("first_published_at", "TIMESTAMPTZ", "When")),
    key=VALUE_KEY,
)
FIRST_VALUE = Column(
    "first_published_value", "DOUBLE", "The value when the complete period was published first; NULL = not yet, or no value then"
)


@dataclass(frozen=True)
class Product:
    """One published table: what it is called there, the query that fills it, and the warehouse's tables that must be approved for it.

    The query has one parameter, `$institution_id`.
    """

    table: Table
    query: str
    sources: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one institution's file."""

    institution_id: str
    outcome: str
    path: Path
    rows: Mapping[str, int] = field(default_factory=dict)
    refused: Sequence[Stamp] = ()

    @property
    def is_refused(self) -> bool:
        return self.outcome == "refused"


def _renamed(table: Table, name: str, *more: Column, less: Iterable[str] = ()) -> Table:
    """The table as it is published: under another name, with columns added before `as_of` or left out."""
    left_out = set(less)
    kept = [column for column in table.columns if column.name not in left_out]
    at = next((place for place, column in enumerate(kept) if column.name == "as_of"), len(kept))
    columns = (*kept[:at], *more, *kept[at:])
    return Table(name, table.description, columns, key=table.key, day=table.day, unstamped=table.unstamped)


def _copy(table: Table, name: str) -> Product:
    return Product(
        _renamed(table, name), f"SELECT {', '.join(table.names)} FROM {table.name} WHERE institution_id = $institution_id", (table,)
    )


_POSTS = Table(
    "mart.posts",
    "One row per post of the institution's own, parts of threads taken together: what it is, and its counters at the age of 7 days.",
    (
        *(
            column
            for column in POSTS.columns
            if column.name in {"institution_id", "platform", "account_id", "post_id", "day", "created_at"}
        ),
        key("post_type", "VARCHAR", "post, quote, reply (to somebody else) or repost"),
        Column("url", "VARCHAR", "Where it stands; NULL = it was deleted"),
        Column(
            "excerpt",
            "VARCHAR",
            "First 80 characters of its text, without other people's handles; NULL = no text of ours, or it was deleted",
        ),
        *(column for column in POSTS.columns if column.name in {"hashtags", "language", "is_giveaway", "deleted_at"}),
        *(
            Column(column.name, column.type, f"{column.comment}; NULL also for replies and reposts", nullable=True)
            for column in POST_MEASURES.columns
            if column.name not in {"institution_id", "platform", "account_id", "post_id", "day", "created_at", "post_type"}
        ),
    ),
    key=("institution_id", "platform", "account_id", "post_id"),
    day="day",
)


def _posts() -> Product:
    measured = [column.name for column in _POSTS.columns if column.name in POST_MEASURES.names and column.name not in POSTS.names]
    query = f"""
        SELECT p.institution_id, p.platform, p.account_id, p.post_id, p.day, p.created_at, p.post_type,
               CASE WHEN p.deleted_at IS NULL THEN replace(a.post_url, '{{post_id}}', p.version_id) END AS url,
               CASE WHEN p.deleted_at IS NULL THEN left(regexp_replace(p.text, '\\s+', ' ', 'g'), {EXCERPT_CHARS}) END AS excerpt,
               p.hashtags, p.language, p.is_giveaway, p.deleted_at, {", ".join(f"m.{name}" for name in measured)}
        FROM {POSTS.name} AS p
        JOIN {ACCOUNT.name} AS a USING (institution_id, platform, account_id)
        LEFT JOIN {POST_MEASURES.name} AS m USING (institution_id, platform, account_id, post_id)
        WHERE p.institution_id = $institution_id AND p.post_type <> 'thread_part'
    """
    return Product(_POSTS, f"SELECT {', '.join(_POSTS.names)} FROM ({query})", (POSTS, POST_MEASURES, ACCOUNT))


def _values() -> Product:
    families = tuple(family_tables().values())
    table = Table(
        "mart.indicator_values",
        "One row per indicator, population, level, account and period: the long table of every value, with its status. The truth.",
        (*KEY_COLUMNS, *VALUE_COLUMNS[:-2], FIRST_VALUE, *VALUE_COLUMNS[-2:]),
        key=VALUE_KEY,
        day="period_end",
    )
    union = " UNION ALL BY NAME ".join(f"FROM {family.name}" for family in families)
    now_first = "CASE WHEN v.is_complete_period AND v.status = 'ok' THEN v.value END"
    query = f"""
        SELECT v.*, coalesce(f.first_published_value, {now_first}) AS first_published_value
        FROM ({union}) AS v LEFT JOIN {FIRST_PUBLISHED.name} AS f USING ({", ".join(VALUE_KEY)})
        WHERE v.institution_id = $institution_id
    """
    return Product(table, f"SELECT {', '.join(table.names)} FROM ({query})", families)


def _scorecard(name: str, description: str, where: str) -> Product:
    source = _renamed(SCORECARD, name, FIRST_VALUE)
    table = Table(source.name, description, source.columns, key=source.key, day=source.day)
    query = f"""
        SELECT s.*, coalesce(f.first_published_value, CASE WHEN s.is_complete_period AND s.status = 'ok' THEN s.value END) AS first_published_value
        FROM {SCORECARD.name} AS s JOIN {INDICATOR.name} AS d USING (institution_id, indicator_key) LEFT JOIN {FIRST_PUBLISHED.name} AS f
          ON f.institution_id = s.institution_id AND f.indicator_key = coalesce(d.alias_of, s.indicator_key) AND f.population_id = s.population_id
         AND f.level = 'institution' AND f.dimension = 'all' AND f.scope = 'all' AND f.period_type = s.period_type
         AND f.period_start = s.period_start AND f.paid_scope = s.paid_scope
        WHERE s.institution_id = $institution_id AND {where}
    """
    return Product(table, f"SELECT {', '.join(table.names)} FROM ({query})", (SCORECARD, INDICATOR))


LAST_COMPLETE = f"""
    (s.period_type, s.period_end) IN (
        SELECT (period_type, max(period_end)) FROM {SCORECARD.name}
        WHERE institution_id = $institution_id AND is_complete_period GROUP BY period_type)
"""
SOURCE_HEALTH = Table(
    "meta.source_health",
    "One row per account and stream: how fresh it is, and until when its API is promised.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The account"),
        key("stream", "VARCHAR", "The stream"),
        Column("last_known_day", "DATE", "Last day that is known whole; NULL = none"),
        key("as_of_day", "DATE", "The institution's last snapshot day"),
        Column("days_behind", "BIGINT", "Days between the two; NULL = never known"),
        key("days_missing", "BIGINT", "Days of the last 28 that are not known"),
        Column("last_reason", "VARCHAR", "Why the last missing day of these 28 is missing; NULL = none is"),
        key("api_version", "VARCHAR", "Version of the API that is asked"),
        Column("sunset", "DATE", "Last day of that version; NULL = none announced"),
    ),
    key=("institution_id", "platform", "account_id", "stream"),
)
_HEALTH_QUERY = f"""
    WITH last AS (SELECT max(day) AS as_of_day FROM {COVERAGE.name} WHERE institution_id = $institution_id)
    SELECT c.institution_id, c.platform, c.account_id, c.stream,
           max(c.day) FILTER (c.is_known) AS last_known_day, any_value(l.as_of_day) AS as_of_day,
           date_diff('day', max(c.day) FILTER (c.is_known), any_value(l.as_of_day)) AS days_behind,
           count(*) FILTER (NOT c.is_known AND c.day > l.as_of_day - 28) AS days_missing,
           max_by(c.reason, c.day) FILTER (NOT c.is_known AND c.day > l.as_of_day - 28) AS last_reason,
           any_value(p.api_version) AS api_version, any_value(p.sunset) AS sunset
    FROM {COVERAGE.name} AS c CROSS JOIN last AS l JOIN ref.platform AS p USING (institution_id, platform)
    WHERE c.institution_id = $institution_id GROUP BY ALL
"""


@cache
def products() -> tuple[Product, ...]:
    """Every published table whose content must be approved."""
    return (
        _values(),
        *(_copy(table, f"mart.{table.short_name}") for table in goal_tables().values()),
        _scorecard("mart.goal_scorecard", SCORECARD.description, "true"),
        _scorecard("mart.latest_scorecard", "One row per goal and indicator for the last complete week, month and 28 days.", LAST_COMPLETE),
        _posts(),
        _copy(POST_DAYS, "mart.post_days"),
        _copy(ACCOUNT_DAYS, "mart.account_days"),
        _copy(MENTION_HOURS, "mart.mention_hours"),
        _copy(CONTENT_LEADERBOARD, "mart.content_leaderboard"),
        *(_copy(table, table.name) for table in REFERENCE if table is not LOCAL_DAY),
        _copy(COVERAGE, COVERAGE.name),
    )


@cache
def audited() -> Mapping[str, Table]:
    """The warehouse's tables whose stamps publish asks for, by name."""
    return {source.name: source for product in products() for source in product.sources}


def publish(
    connection: duckdb.DuckDBPyConnection,
    published: Path,
    institution_id: str,
    now: datetime,
    companions: Sequence[Product] = (),
) -> Published:
    """Publish one institution's tables if every stamp is approved and something is new.

    Args:
        connection: the warehouse, open for writing.
        published: the folder `published/` of the home.
        companions: tables about the run itself (runs, checks); they come along, but alone they are no reason to publish.

    Returns:
        `published` with the rows per table; `unchanged` when the file already says all this; `refused` with the stamps that are not
        approved: then the last approved file stands, marked stale in `status.json`.
    """
    folder = published / institution_id
    target = folder / "latest" / FILE_NAME
    for table in audited().values():
        ensure(connection, table)
    missing = unapproved(connection, audited().values(), institution_id)
    status = _status(folder)
    if missing:
        _write_status(
            folder, status | {"is_stale": True, "stale_since": status.get("stale_since") or now.isoformat(), "refused": _named(missing)}
        )
        return Published(institution_id, "refused", target, refused=missing)
    fingerprint = _fingerprint(connection, institution_id)
    if status.get("fingerprint") == fingerprint and target.exists():
        if status.get("is_stale"):
            _write_status(folder, _fresh(status, fingerprint))
        return Published(institution_id, "unchanged", target)
    _remember_first_values(connection, institution_id, now)
    draft = folder / "latest" / f"{FILE_NAME}.draft"
    draft.parent.mkdir(parents=True, exist_ok=True)
    rows = _build(connection, draft, institution_id, (*products(), *_about(), *companions))
    _verify(draft, rows)
    extras = _write_scorecard_files(draft, folder / "latest")
    as_of = first(connection, f"SELECT max(day) FROM {COVERAGE.name} WHERE institution_id = ?", [institution_id])
    # The database first: what lies beside it is made from it.
    for source, final in ((draft, target), *extras):
        _sync(source)
        source.replace(final)
    _sync(target.parent)
    _keep_run(folder, target, as_of[0] if as_of and as_of[0] else now.date())
    _write_sums(target.parent)
    _write_status(folder, _fresh(status | {"published_at": now.isoformat()}, fingerprint))
    return Published(institution_id, "published", target, rows)


def _about() -> tuple[Product, ...]:
    return (Product(SOURCE_HEALTH, _HEALTH_QUERY, (COVERAGE,)),)


def _build(connection: duckdb.DuckDBPyConnection, draft: Path, institution_id: str, wanted: Sequence[Product]) -> dict[str, int]:
    """Fill a new file beside the published one; rows per table."""
    draft.unlink(missing_ok=True)
    connection.execute(f"ATTACH '{str(draft).replace(chr(39), chr(39) * 2)}' AS draft (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        for schema in ("mart", "ref", "meta"):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS draft.{schema}")
        rows: dict[str, int] = {}
        for product in wanted:
            name = f"draft.{product.table.name}"
            order = ", ".join(product.table.key)
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM ({product.query}) ORDER BY {order}", {"institution_id": institution_id}
            )
            comment(connection, name, product.table)
            rows[product.table.name] = _count(connection, name)
        for table, content in _written_by_us([product.table for product in wanted], institution_id):
            name = f"draft.{table.name}"
            connection.register("content", content)
            connection.execute(f"CREATE TABLE {name} AS FROM content")
            connection.unregister("content")
            comment(connection, name, table)
            rows[table.name] = content.height
        connection.execute("CHECKPOINT draft")
    finally:
        connection.execute("DETACH draft")
    return rows


def _written_by_us(tables: Sequence[Table], institution_id: str) -> Iterator[tuple[Table, pl.DataFrame]]:
    own = (DATA_DICTIONARY, SCHEMA_VERSION_TABLE, CHANGELOG)
    contents: tuple[tuple[Table, list[dict[str, Any]]], ...] = (
        (DATA_DICTIONARY, dictionary_rows((*tables, *own))),
        (SCHEMA_VERSION_TABLE, [{"version": SCHEMA_VERSION, "institution_id": institution_id}]),
        (CHANGELOG, changelog_rows()),
    )
    for table, content in contents:
        yield table, pl.DataFrame(content, schema=table.polars_schema, orient="row").sort(table.key)


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    found = first(connection, f"SELECT count(*) FROM {name}")
    return int(found[0]) if found else 0


def _verify(draft: Path, rows: Mapping[str, int]) -> None:
    """Open the draft as a reader would and count again.

    Raises:
        RuntimeError: a table does not hold what was written; the published file stays as it was.
    """
    with duckdb.connect(str(draft), read_only=True) as reader:
        for name, expected in rows.items():
            found = _count(reader, name)
            if found != expected:
                message = f"The draft was not published: {name} holds {found} rows, {expected} were written."
                raise RuntimeError(message)


def _remember_first_values(connection: duckdb.DuckDBPyConnection, institution_id: str, now: datetime) -> None:
    """Add what is about to be published for the first time to the journal. Before the swap: a value may not be published and forgotten."""
    ensure(connection, FIRST_PUBLISHED)
    keys = ", ".join(VALUE_KEY)
    with transaction(connection):
        for table in family_tables().values():
            connection.execute(
                f"INSERT INTO {FIRST_PUBLISHED.name} SELECT {keys}, value, $now FROM {table.name} AS v "
                f"WHERE institution_id = $institution_id AND is_complete_period AND status = 'ok' "
                f"AND NOT EXISTS (FROM {FIRST_PUBLISHED.name} AS f WHERE {' AND '.join(f'f.{name} = v.{name}' for name in VALUE_KEY)})",
                {"institution_id": institution_id, "now": now},
            )


def _fingerprint(connection: duckdb.DuckDBPyConnection, institution_id: str) -> str:
    stamps = [stamp for table in audited().values() for stamp in current(connection, table, institution_id)]
    told = json.dumps([SCHEMA_VERSION, *(str(stamp) for stamp in stamps)])
    return hashlib.sha256(told.encode()).hexdigest()


def _write_scorecard_files(draft: Path, folder: Path) -> list[tuple[Path, Path]]:
    """The scorecard as CSV and XLSX beside the draft; pairs of the file written and the name it gets."""
    with duckdb.connect(str(draft), read_only=True) as reader:
        reader.execute("SET TimeZone='UTC'")
        card = reader.sql("FROM mart.goal_scorecard ORDER BY goal_key, period_type, period_start DESC, position").pl()
        labels = reader.sql("SELECT indicator_key, label_id, label_en FROM ref.indicator").pl()
    named = card.join(labels, on="indicator_key", how="left", maintain_order="left").select(
        "goal_key", "label_id", "label_en", pl.exclude("goal_key", "label_id", "label_en")
    )
    csv, xlsx = folder / "scorecard.csv.draft", folder / "scorecard.xlsx.draft"
    named.write_csv(csv)
    latest = named.filter("is_complete_period").filter(pl.col("period_end") == pl.col("period_end").max().over("period_type"))
    # Trailing windows have a row for each day: they stand in the CSV; a workbook is for people.
    _write_workbook(xlsx, {"latest": latest, "weeks and months": named.filter(pl.col("period_type") != "trailing_28d")})
    return [(csv, folder / "scorecard.csv"), (xlsx, folder / "scorecard.xlsx")]


def _write_workbook(path: Path, sheets: Mapping[str, pl.DataFrame]) -> None:
    from xlsxwriter import Workbook  # noqa: PLC0415 only a publish needs it

    # The same content gives the same bytes: no time of making.
    with Workbook(str(path), {"remove_timezone": True}) as book:
        book.set_properties({"title": "Tolok scorecard", "created": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        for name, frame in sheets.items():
            frame.write_excel(book, name, freeze_panes=(1, 4), autofit=True, table_style="Table Style Light 1", float_precision=4)


def _keep_run(folder: Path, target: Path, day: date) -> None:
    """Keep the published file as the run's, by a second name for the same bytes, and drop the oldest."""
    kept = folder / "runs" / day.isoformat()
    kept.mkdir(parents=True, exist_ok=True)
    link = kept / f"{FILE_NAME}.new"
    link.unlink(missing_ok=True)
    os.link(target, link)
    link.replace(kept / FILE_NAME)
    for old in sorted((folder / "runs").iterdir())[:-KEPT_RUNS]:
        shutil.rmtree(old)


def _write_sums(folder: Path) -> None:
    names = (FILE_NAME, "scorecard.csv", "scorecard.xlsx")
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    _write_whole(folder / "SHA256SUMS", "".join(lines))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(folder: Path) -> dict[str, Any]:
    path = folder / "latest" / "status.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _fresh(status: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    kept = {name: value for name, value in status.items() if name not in {"stale_since", "refused"}}
    return kept | {"is_stale": False, "fingerprint": fingerprint}


def _named(stamps: Sequence[Stamp]) -> list[str]:
    return sorted({stamp.table_name for stamp in stamps})


def _write_status(folder: Path, status: Mapping[str, Any]) -> None:
    (folder / "latest").mkdir(parents=True, exist_ok=True)
    _write_whole(folder / "latest" / "status.json", json.dumps(status, indent=1, sort_keys=True) + "\n")


def _write_whole(path: Path, text: str) -> None:
    """Write beside, then move: a reader sees the old text or the new one. Unchanged text is not written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
