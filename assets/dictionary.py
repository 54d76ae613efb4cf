"""The data dictionary: what every published table and column says, in both languages, and how the schema has changed.

Not here: the English comments (each table's own declaration). The Indonesian ones stand in dictionary.yaml, by column name.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipelines.tables import Column, Table, key

# Semantic: a column gone or with another meaning raises the first number, a column more the second, a text the third.
SCHEMA_VERSION = "1.1.0"

DATA_DICTIONARY = Table(
    "meta.data_dictionary",
    "One row per table (column_name = '') and column of this file: what it says, in English and Bahasa Indonesia.",
    (
        key("table_name", "VARCHAR", "The table, with its schema"),
        key("column_name", "VARCHAR", "The column; empty for the table itself"),
        key("position", "INTEGER", "Place of the column, from 1; 0 for the table"),
        Column("data_type", "VARCHAR", "Type; NULL for the table"),
        key("is_key", "BOOLEAN", "Part of the key that names a row"),
        key("is_nullable", "BOOLEAN", "May be NULL"),
        key("description_en", "VARCHAR", "Meaning, unit and what NULL says, in English"),
        Column("description_id", "VARCHAR", "The same in Bahasa Indonesia; NULL = not translated yet"),
    ),
    key=("table_name", "column_name"),
)
SCHEMA_VERSION_TABLE = Table(
    "meta.schema_version",
    "One row: the semantic version of this file's tables.",
    (key("institution_id", "VARCHAR", "The institution"), key("version", "VARCHAR", "Version: breaking.added.text")),
    key=("institution_id",),
)
CHANGELOG = Table(
    "meta.changelog",
    "One row per change of the schema or of a definition.",
    (
        key("version", "VARCHAR", "Schema version that brought it"),
        key("position", "INTEGER", "Place within the version"),
        key("change", "VARCHAR", "What changed, in English"),
        key("change_id", "VARCHAR", "What changed, in Bahasa Indonesia"),
    ),
    key=("version", "position"),
)


@cache
def _texts() -> dict[str, dict[str, str]]:
    path = Path(__file__).with_name("dictionary.yaml")
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {"tables": found.get("tables", {}), "columns": found.get("columns", {}), "goal_columns": found.get("goal_columns", {})}


def dictionary_rows(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """One row per table and column. An Indonesian text is looked up as `table.column`, then as `column`, then by the column's ending."""
    rows: list[dict[str, Any]] = []
    for table in tables:
        rows.append(
            {
                "table_name": table.name,
                "column_name": "",
                "position": 0,
                "data_type": None,
                "is_key": False,
                "is_nullable": False,
                "description_en": table.description,
                "description_id": _texts()["tables"].get(table.name),
            }
        )
        rows += [
            {
                "table_name": table.name,
                "column_name": column.name,
                "position": place,
                "data_type": column.type,
                "is_key": column.name in table.key,
                "is_nullable": column.nullable,
                "description_en": column.comment,
                "description_id": _indonesian(table, column),
            }
            for place, column in enumerate(table.columns, 1)
        ]
    return rows


def _indonesian(table: Table, column: Column) -> str | None:
    columns = _texts()["columns"]
    return columns.get(f"{table.name}.{column.name}") or columns.get(column.name) or _goal_column(table, column)


def _goal_column(table: Table, column: Column) -> str | None:
    """A goal table's columns are made of an indicator's key and an ending."""
    from assets.indicators.registry import indicators  # noqa: PLC0415 only goal tables need it

    if not table.short_name.startswith("goal_"):
        return None
    for ending in ("_status", "_numerator", "_denominator", ""):
        entry = indicators().get(column.name.removesuffix(ending)) if column.name.endswith(ending) else None
        text = _texts()["goal_columns"].get(ending or "value")
        if entry is not None and text:
            return text.format(label=entry.label.id, unit=entry.unit)
    return None


def changelog_rows() -> list[dict[str, Any]]:
    """The schema's history."""
    told = {
        "1.0.0": [("First published schema.", "Skema pertama yang diterbitkan.")],
        "1.1.0": [
            (
                "mart.account_days: what flowed on the platform's own day (reach, views, ...) and day_basis; such a day may have no snapshot.",
                "mart.account_days: yang mengalir pada hari milik platform (reach, views, ...) dan day_basis; hari itu boleh tanpa potret.",
            ),
            (
                "mart.posts: content_group_id, and the types reel, short, video, live, carousel and story.",
                "mart.posts: content_group_id, dan jenis reel, short, video, live, carousel, dan story.",
            ),
            (
                "ref.availability: streams, metric, definition_version, paid_scope; ref.stream: expires_hours; meta.coverage: retired_fields.",
                "ref.availability: streams, metric, definition_version, paid_scope; ref.stream: expires_hours; meta.coverage: retired_fields.",
            ),
            (
                "reach, reach_lower and reach_upper are computed where a platform gives them.",
                "reach, reach_lower, dan reach_upper dihitung bila platform memberikannya.",
            ),
            (
                "mart.goal_scorecard: no trend, previous value or benchmark crosses a day of ref.definition_break.",
                "mart.goal_scorecard: tren, nilai sebelumnya, dan tolok banding tidak melewati hari di ref.definition_break.",
            ),
        ],
    }
    return [
        {"version": version, "position": place, "change": change, "change_id": change_id}
        for version, changes in told.items()
        for place, (change, change_id) in enumerate(changes, 1)
    ]
