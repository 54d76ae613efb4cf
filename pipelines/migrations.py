"""Brings a warehouse of an older layout forward, step by step, all of it in one transaction.

A step is written once, with names and types as they were then, and is not changed later: declarations move on, old files do not.
Not here: the copy that is kept of the old file and who may open it (warehouse.py), and what the tables mean (their rooms).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

Work = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What brings a warehouse from the layout before to `version`: a sentence, and the work. Working twice does no harm."""

    version: int
    sentence: str
    work: Sequence[Work]


def add_columns(table_name: str, columns: Sequence[tuple[str, str, str]]) -> Work:
    """Adds to a table those of the columns (name, type, comment) that it lacks, NULL in every row. A table that is not there is left to its room."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        there = _columns(connection, table_name)
        for name, type_, comment in columns if there else ():
            if name not in there:
                connection.execute(f"ALTER TABLE {table_name} ADD COLUMN {name} {type_}")
                quoted = comment.replace("'", "''")
                connection.execute(f"COMMENT ON COLUMN {table_name}.{name} IS '{quoted}'")

    return work


def fill(table_name: str, statement: str) -> Work:
    """Runs a statement on a table, if it is there."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        if _columns(connection, table_name):
            connection.execute(statement)

    return work


def _columns(connection: duckdb.DuckDBPyConnection, table_name: str) -> set[str]:
    schema, _, name = table_name.partition(".")
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
        [schema, name],
    ).fetchall()
    return {str(column) for (column,) in found}


STEPS: tuple[Step, ...] = (
    Step(
        2,
        "The ledger of runs says how each ended; the ledger of fetches, what was set aside and where a list that a budget ended goes on.",
        (
            add_columns(
                "meta.fetch",
                [
                    (
                        "blanked",
                        "BIGINT",
                        "Records with a value that is no count: set aside too, the value read as not given; NULL = not looked at",
                    ),
                    (
                        "resume_from",
                        "VARCHAR",
                        "What asks for the rest where a budget ended the list; NULL = nothing is left, or it is asked anew",
                    ),
                ],
            ),
            add_columns(
                "meta.run",
                [("outcome", "VARCHAR", "whole, not whole, ended (before its last step) or died (it was killed); NULL = it runs")],
            ),
            # Of those before, nobody noted more than the end.
            fill("meta.run", "UPDATE meta.run SET outcome = CASE WHEN ended_at IS NULL THEN 'died' ELSE 'ended' END WHERE outcome IS NULL"),
        ),
    ),
    # The tables are not dropped: staging is older than what raw could make of it.
    Step(
        3,
        "The ledger says what a platform gives no more; accounts have days of the platform's own; posts say which stream lists them.",
        (
            add_columns(
                "meta.fetch",
                [
                    ("retired_fields", "VARCHAR[]", "Fields that the platform gives no more; NULL = not looked at"),
                ],
            ),
            add_columns(
                "meta.coverage",
                [
                    ("retired_fields", "VARCHAR[]", "Fields that the platform gives no more"),
                ],
            ),
            fill("meta.coverage", "UPDATE meta.coverage SET retired_fields = [] WHERE retired_fields IS NULL"),
            add_columns(
                "ref.stream",
                [
                    ("expires_hours", "INTEGER", "Hours after which the platform shows a thing no more; NULL = it stays"),
                ],
            ),
            add_columns(
                "ref.availability",
                [
                    ("streams", "VARCHAR[]", "Streams of which the coverage says whether a day of it is known; empty = it is not given"),
                    ("metric", "VARCHAR", "The platform's own name of the number; NULL = it is not given"),
                    ("definition_version", "INTEGER", "Raised when the platform changes what it means; NULL = it is not given"),
                    (
                        "paid_scope",
                        "VARCHAR",
                        "organic, paid, total or unknown: whether what was paid for is in it; NULL = it is not given",
                    ),
                ],
            ),
            fill("ref.availability", "UPDATE ref.availability SET streams = [] WHERE streams IS NULL"),
            add_columns(
                "staging.account_days",
                [
                    (
                        "reach",
                        "BIGINT",
                        "Distinct accounts that saw anything of the account on the platform's day, as the platform gives it; never added; NULL = not given",
                    ),
                    (
                        "reach_7d",
                        "BIGINT",
                        "Distinct accounts that saw anything in the 7 platform days up to this one; never added; NULL = not given",
                    ),
                    (
                        "reach_28d",
                        "BIGINT",
                        "Distinct accounts that saw anything in the 28 platform days up to this one; never added; NULL = not given",
                    ),
                    (
                        "views",
                        "BIGINT",
                        "Times that anything of the account was played or displayed on the platform's day; NULL = not given",
                    ),
                    ("followers_gained", "BIGINT", "Accounts that began to follow on the platform's day; NULL = not given"),
                    ("followers_lost", "BIGINT", "Accounts that ceased to follow on the platform's day; NULL = not given"),
                    ("profile_views", "BIGINT", "Times that the profile was looked at on the platform's day; NULL = not given"),
                    ("link_clicks", "BIGINT", "Clicks on the profile's link to the site on the platform's day; NULL = not given"),
                    ("shares", "BIGINT", "Times that anything of the account was shared on the platform's day; NULL = not given"),
                    (
                        "engaged_views",
                        "BIGINT",
                        "Views on the platform's day as YouTube counted them before 24 August 2026; NULL = not given",
                    ),
                    ("watch_minutes", "BIGINT", "Minutes for which videos were watched on the platform's day; NULL = not given"),
                    ("day_basis", "VARCHAR", "Whose days the flows follow: institution, utc or pacific"),
                ],
            ),
            fill("staging.account_days", "ALTER TABLE staging.account_days ALTER COLUMN observed_at DROP NOT NULL"),
            fill("staging.account_days", "UPDATE staging.account_days SET day_basis = 'institution' WHERE day_basis IS NULL"),
            add_columns(
                "staging.posts",
                [
                    ("stream", "VARCHAR", "The stream that lists it"),
                ],
            ),
            fill("staging.posts", "UPDATE staging.posts SET stream = 'posts' WHERE stream IS NULL"),
            add_columns(
                "staging.post_snapshots",
                [
                    ("stream", "VARCHAR", "The stream that listed it"),
                ],
            ),
            fill("staging.post_snapshots", "UPDATE staging.post_snapshots SET stream = 'posts' WHERE stream IS NULL"),
            add_columns(
                "indicators.day_measures",
                [
                    ("account_reach", "BIGINT", "Distinct accounts reached on the platform's day; NULL exactly when the status is not ok"),
                    ("account_reach_status", "VARCHAR", "ok, or why there is no value"),
                    (
                        "account_reach_7d",
                        "BIGINT",
                        "Distinct accounts reached in the 7 platform days up to this one; NULL exactly when the status is not ok",
                    ),
                    ("account_reach_7d_status", "VARCHAR", "ok, or why there is no value"),
                    (
                        "account_reach_28d",
                        "BIGINT",
                        "Distinct accounts reached in the 28 platform days up to this one; NULL exactly when the status is not ok",
                    ),
                    ("account_reach_28d_status", "VARCHAR", "ok, or why there is no value"),
                ],
            ),
            *(
                fill("indicators.day_measures", f"UPDATE indicators.day_measures SET {name} = 'not_applicable' WHERE {name} IS NULL")
                for name in ("account_reach_status", "account_reach_7d_status", "account_reach_28d_status")
            ),
            add_columns(
                "indicators.post_measures",
                [
                    ("not_permitted", "VARCHAR[]", "Measures that the token was not allowed to read of it"),
                    ("retired", "VARCHAR[]", "Measures that the platform gave no more of it"),
                ],
            ),
            fill("indicators.post_measures", "UPDATE indicators.post_measures SET not_permitted = [], retired = [] WHERE retired IS NULL"),
        ),
    ),
)
FIRST = 1
LATEST = STEPS[-1].version


def steps_from(version: int) -> Iterator[Step]:
    """The steps that a warehouse of that layout has before it, in order."""
    return (step for step in STEPS if step.version > version)


def forward(connection: duckdb.DuckDBPyConnection, version: int) -> list[str]:
    """Take every step that is left, or none; returns their sentences. A process that dies in between leaves the old layout."""
    told = []
    connection.begin()
    try:
        for step in steps_from(version):
            for work in step.work:
                work(connection)
            connection.execute("UPDATE meta.format SET version = ?", [step.version])
            told.append(step.sentence)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return told


__all__ = ["FIRST", "LATEST", "STEPS", "Step", "add_columns", "fill", "forward", "steps_from"]
