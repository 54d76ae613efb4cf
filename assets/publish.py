"""Approved tables into the analysts' file: one file per institution, built beside, counted, swapped in whole, or not at all.

Not here: who approves (checks/) and what the tables mean (their rooms). Whoever calls `publish`, it asks for the stamps itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from assets import draft, export, made
from assets.dictionary import SCHEMA_VERSION
from assets.draft import Product
from assets.goals.tables import SCORECARD, goal_tables
from assets.indicators import family_tables
from assets.indicators.by_post import POST_MEASURES
from assets.indicators.leaderboard import CONTENT_LEADERBOARD
from assets.indicators.values import KEY_COLUMNS, VALUE_COLUMNS, VALUE_KEY
from assets.made import Content, Made
from assets.reference import ACCOUNT, INDICATOR, LOCAL_DAY, REFERENCE
from assets.staging.things import ACCOUNT_DAYS, CONTENT_GROUPS, COVERAGE, MENTION_HOURS, POST_DAYS, POSTS
from pipelines import disk
from pipelines.stamps import Seen, Stamp, current, unapproved
from pipelines.tables import Column, Table, key
from pipelines.warehouse import consume, due, ensure, first, transaction

FILE_NAME = "tolok.duckdb"
KEPT_RUNS = 14
EXCERPT_CHARS = 80

FIRST_PUBLISHED = Table(
    "meta.first_published",
    "One row per value of a complete period that was ever published: what it was the first time. Only ever added to.",
    (*KEY_COLUMNS, key("first_published_value", "DOUBLE", "The value"), key("first_published_at", "TIMESTAMPTZ", "When")),
    key=VALUE_KEY,
)
JOURNAL_VERSION = 1
LONGEST_PERIOD_DAYS = 31
FIRST_VALUE = Column(
    "first_published_value", "DOUBLE", "The value when the complete period was published first; NULL = not yet, or no value then"
)


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
    query = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE institution_id = $institution_id"
    return Product(_renamed(table, name), query, (table,), is_copy=True)


_POSTS = Table(
    "mart.posts",
    "One row per post of the institution's own, parts of threads taken together: what it is, and its counters at the age of 7 days.",
    (
        *(
            column
            for column in POSTS.columns
            if column.name in {"institution_id", "platform", "account_id", "post_id", "day", "created_at"}
        ),
        key("post_type", "VARCHAR", "post, quote, reel, short, video, live, carousel, story, reply (to somebody else) or repost"),
        Column(
            "content_group_id",
            "VARCHAR",
            "platform/post_id of the earliest post that says the same in another account within a day, or its own; NULL for replies and reposts",
        ),
        Column("url", "VARCHAR", "Where it stands; NULL = it was deleted"),
        Column(
            "excerpt",
            "VARCHAR",
            "First 80 characters of its text, without other people's handles; NULL = no text of ours, or it was deleted",
        ),
        *(column for column in POSTS.columns if column.name in {"hashtags", "language", "is_giveaway", "deleted_at"}),
        *(
            Column(column.name, column.type, f"{column.comment}; NULL also for stories, replies and reposts", nullable=True)
            for column in POST_MEASURES.columns
            if column.name
            not in {"institution_id", "platform", "account_id", "post_id", "day", "created_at", "post_type", "not_permitted", "retired"}
        ),
    ),
    key=("institution_id", "platform", "account_id", "post_id"),
    day="day",
)


def _posts() -> Product:
    measured = [column.name for column in _POSTS.columns if column.name in POST_MEASURES.names and column.name not in POSTS.names]
    query = f"""
        SELECT p.institution_id, p.platform, p.account_id, p.post_id, p.day, p.created_at, p.post_type,
               g.content_group_id,
               CASE WHEN p.deleted_at IS NULL THEN replace(a.post_url, '{{post_id}}', p.version_id) END AS url,
               CASE WHEN p.deleted_at IS NULL THEN left(regexp_replace(p.text, '\\s+', ' ', 'g'), {EXCERPT_CHARS}) END AS excerpt,
               p.hashtags, p.language, p.is_giveaway, p.deleted_at, {", ".join(f"m.{name}" for name in measured)}
        FROM {POSTS.name} AS p
        JOIN {ACCOUNT.name} AS a USING (institution_id, platform, account_id)
        LEFT JOIN {POST_MEASURES.name} AS m USING (institution_id, platform, account_id, post_id)
        LEFT JOIN {CONTENT_GROUPS.name} AS g USING (institution_id, platform, account_id, post_id)
        WHERE p.institution_id = $institution_id AND p.post_type <> 'thread_part'
    """
    return Product(_POSTS, f"SELECT {', '.join(_POSTS.names)} FROM ({query})", (POSTS, POST_MEASURES, CONTENT_GROUPS, ACCOUNT))


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


def publish(  # noqa: PLR0913 from where to where, whose, when, and what goes along
    connection: duckdb.DuckDBPyConnection,
    published: Path,
    institution_id: str,
    now: datetime,
    companions: Sequence[Product] = (),
    seen: Seen | None = None,
) -> Published:
    """Publish one institution's tables if every stamp is approved and something is new.

    Args:
        connection: the warehouse, open for writing.
        published: the folder `published/` of the home.
        companions: tables about the run itself (runs, checks); they come along, but alone they are no reason to publish.
        seen: the stamps that the run has computed, inside a `stamps.session`.

    Returns:
        `published` with the rows per table; `mended` when the file said all this already and only what lies beside it was not whole;
        `unchanged` when nothing had to be written; `refused` with the stamps that are not approved: then the last approved file stands,
        marked stale in `status.json`.

    Raises:
        DraftError: a draft does not hold what was written; the published file stays as it was.
    """
    folder = published / institution_id
    target = folder / "latest" / FILE_NAME
    seen = seen or Seen()
    for table in audited().values():
        ensure(connection, table)
    missing = unapproved(connection, audited().values(), institution_id, seen)
    status = _status(folder)
    if missing:
        _write_status(
            folder, status | {"is_stale": True, "stale_since": status.get("stale_since") or now.isoformat(), "refused": _named(missing)}
        )
        return Published(institution_id, "refused", target, refused=missing)
    stamps = {name: current(connection, table, institution_id, seen) for name, table in audited().items()}
    fingerprint = _fingerprint(stamps)
    wanted = (*products(), *_about(), *companions)
    layout = f"{draft.layout((*products(), *_about()))}:{draft.layout(companions)}"
    last = made.recall(folder, FILE_NAME)
    # Other companions are no reason to publish; but what is missing beside the file can be made only with those that it holds.
    if last and last.fingerprint == fingerprint and last.layout.partition(":")[0] == layout.partition(":")[0]:
        if _stands(folder, last):
            return Published(institution_id, "unchanged", target)
        if last.layout == layout:
            _finish(folder, institution_id, wanted, last)
            return Published(institution_id, "mended", target, draft.row_counts(last.tables))
    _remember_first_values(connection, institution_id, now)
    content = draft.content(connection, wanted, institution_id, stamps)
    base = last if last and last.layout == layout else None
    drafted = folder / "latest" / f"{FILE_NAME}.draft"
    drafted.parent.mkdir(parents=True, exist_ok=True)
    as_of = first(connection, f"SELECT max(day) FROM {COVERAGE.name} WHERE institution_id = ?", [institution_id])
    day = as_of[0] if as_of and as_of[0] else now.date()
    new = Made(layout, fingerprint, now.isoformat(), day.isoformat(), tables=content, files=last.files if last else {})
    new = _draft(connection, drafted, target, institution_id, wanted, new, base)
    new = replace(new, files={**new.files, FILE_NAME: made.look_at(drafted, fingerprint)})
    # Should the process die from here on, one of the two records fits the database that stands, and the next publish goes on from there.
    made.note(folder / made.NEXT_NAME, new)
    disk.move(drafted, target)
    disk.sync(target.parent)
    _finish(folder, institution_id, wanted, new)
    return Published(institution_id, "published", target, draft.row_counts(content))


def _stands(folder: Path, last: Made) -> bool:
    """All that lies beside the database is there too, and finished; then its status is fresh again."""
    status = _status(folder)
    is_finished = status.get("fingerprint") == last.fingerprint and not (folder / made.NEXT_NAME).exists()
    if not is_finished or not export.is_whole(folder / "latest", export.expected(last.tables, last.layout), last.files):
        return False
    if status.get("is_stale"):
        _write_status(folder, _fresh(status, last))
    return True


def _finish(folder: Path, institution_id: str, wanted: Sequence[Product], new: Made) -> None:
    """All that comes after the database; each step may be done twice."""
    latest = folder / "latest"
    _keep_run(folder, latest / FILE_NAME, date.fromisoformat(new.day))
    tables = [product.table for product in wanted]
    files = export.write(latest, latest / FILE_NAME, institution_id, tables, export.expected(new.tables, new.layout), new.files)
    made.note(folder / made.NAME, replace(new, files=files))
    _write_status(folder, _fresh(_status(folder), new))
    (folder / made.NEXT_NAME).unlink(missing_ok=True)


def _draft(  # noqa: PLR0913 from where to where, whose, what, and from what
    connection: duckdb.DuckDBPyConnection,
    drafted: Path,
    target: Path,
    institution_id: str,
    wanted: Sequence[Product],
    new: Made,
    base: Made | None,
) -> Made:
    """Build the draft from the file that stands where that fits and does not waste too much space, else whole; returns `new` with its size."""
    tables = [product.table for product in wanted]
    rows = sum(draft.row_counts(new.tables).values())
    if base:
        periods = draft.touched(new.tables, base.tables)
        draft.build_from(connection, target, drafted, institution_id, wanted, periods)
        if not draft.is_spacious(drafted.stat().st_size, rows, base) and _is_verified(drafted, tables, new.tables, periods):
            return replace(new, whole_bytes=base.whole_bytes, whole_rows=base.whole_rows)
    draft.build_whole(connection, drafted, institution_id, wanted)
    draft.verify(drafted, tables, new.tables, draft.touched(new.tables, {}))
    return replace(new, whole_bytes=drafted.stat().st_size, whole_rows=rows)


def _is_verified(drafted: Path, tables: Sequence[Table], content: Content, periods: Mapping[str, set[str]]) -> bool:
    """What is wrong with a draft that was made from the last file may be that file's fault: then it is built whole."""
    try:
        draft.verify(drafted, tables, content, periods)
    except (draft.DraftError, duckdb.Error):
        return False
    return True


def _about() -> tuple[Product, ...]:
    return (Product(SOURCE_HEALTH, _HEALTH_QUERY, (COVERAGE,)),)


def _remember_first_values(connection: duckdb.DuckDBPyConnection, institution_id: str, now: datetime) -> None:
    """Add what is about to be published for the first time to the journal. Before the swap: a value may not be published and forgotten.

    What changed since it was looked through last is looked through again, as for any table that is made of others.
    """
    ensure(connection, FIRST_PUBLISHED)
    families = {table.name: table for table in family_tables().values()}
    changed, change_id = due(connection, FIRST_PUBLISHED, families, institution_id, JOURNAL_VERSION)
    if not changed:
        return
    keys = ", ".join(VALUE_KEY)
    with transaction(connection):
        for name, since in changed.items():
            # A period begins at most a month before it ends: of eight years' journal no more is compared.
            connection.execute(
                f"INSERT INTO {FIRST_PUBLISHED.name} SELECT {keys}, value, $now FROM {name} AS v "
                f"WHERE institution_id = $institution_id AND {families[name].day} >= $since AND is_complete_period AND status = 'ok' "
                f"AND NOT EXISTS (FROM {FIRST_PUBLISHED.name} AS f WHERE f.period_start >= $since::DATE - INTERVAL {LONGEST_PERIOD_DAYS} DAY "
                f"AND {' AND '.join(f'f.{column} = v.{column}' for column in VALUE_KEY)})",
                {"institution_id": institution_id, "now": now, "since": since},
            )
        consume(connection, FIRST_PUBLISHED, institution_id, change_id, JOURNAL_VERSION)


def _fingerprint(stamps: Mapping[str, Sequence[Stamp]]) -> str:
    told = json.dumps([SCHEMA_VERSION, *(str(stamp) for name in audited() for stamp in stamps[name])])
    return hashlib.sha256(told.encode()).hexdigest()


def _keep_run(folder: Path, target: Path, day: date) -> None:
    """Keep the published file as the run's, by a second name for the same bytes, and drop the oldest."""
    kept = folder / "runs" / day.isoformat()
    kept.mkdir(parents=True, exist_ok=True)
    link = kept / f"{FILE_NAME}.new"
    link.unlink(missing_ok=True)
    os.link(target, link)
    link.replace(kept / FILE_NAME)
    # Two names of one file: moving the one over the other leaves both.
    link.unlink(missing_ok=True)
    for old in sorted((folder / "runs").iterdir())[:-KEPT_RUNS]:
        shutil.rmtree(old)


def _status(folder: Path) -> dict[str, Any]:
    path = folder / "latest" / "status.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _fresh(status: Mapping[str, Any], new: Made) -> dict[str, Any]:
    kept = {name: value for name, value in status.items() if name not in {"stale_since", "refused"}}
    return kept | {"is_stale": False, "fingerprint": new.fingerprint, "published_at": new.published_at}


def _named(stamps: Sequence[Stamp]) -> list[str]:
    return sorted({stamp.table_name for stamp in stamps})


def _write_status(folder: Path, status: Mapping[str, Any]) -> None:
    (folder / "latest").mkdir(parents=True, exist_ok=True)
    made.write_whole(folder / "latest" / "status.json", json.dumps(status, indent=1, sort_keys=True) + "\n")
