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
