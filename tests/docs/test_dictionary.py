"""Every published table and column says what it is, in English and in Bahasa Indonesia, in the dictionary and in the comment.

Not here: whether the words are right; people read them.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml

import assets.dictionary
from assets.dictionary import CHANGELOG, DATA_DICTIONARY, SCHEMA_VERSION_TABLE, dictionary_rows
from assets.goals.tables import goal_tables
from assets.indicators.registry import indicators
from assets.publish import SOURCE_HEALTH, products
from pipelines.tables import Table
from pipelines.wiring import companions

TABLES: tuple[Table, ...] = (
    *(product.table for product in (*products(), *companions())),
    SOURCE_HEALTH,
    DATA_DICTIONARY,
    SCHEMA_VERSION_TABLE,
    CHANGELOG,
)
ENDINGS = ("_status", "_numerator", "_denominator", "")


def texts() -> dict[str, dict[str, str]]:
    path = Path(assets.dictionary.__file__).with_name("dictionary.yaml")
    found: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def named(row: dict[str, object]) -> str:
    return f"{row['table_name']}.{row['column_name']}".removesuffix(".")


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_table_and_column_is_described_in_the_language(language: str) -> None:
    untold = [named(row) for row in dictionary_rows(TABLES) if not str(row[f"description_{language}"] or "").strip()]
    assert not untold, f"no text in {language!r} for: {', '.join(untold)}"


def test_a_placeholder_of_a_template_never_reaches_a_reader() -> None:
    left = [named(row) for row in dictionary_rows(TABLES) if any(mark in str(row["description_id"]) for mark in ("{label}", "{unit}"))]
    assert not left


def test_an_indicators_column_is_told_with_the_indicators_own_label() -> None:
    """A plain entry under the indicator's name would speak for it; such names stand as `table.column`."""
    plain = [
        name
        for name in texts()["columns"]
        if "." not in name and any(name.removesuffix(ending) in indicators() for ending in ENDINGS if name.endswith(ending))
    ]
    assert not plain
    labels = {key: entry.label.id for key, entry in indicators().items()}
    rows = {named(row): row["description_id"] for row in dictionary_rows(TABLES)}
    for table in goal_tables().values():
        for name in (name for name in table.names if name in labels):
            assert str(rows[f"mart.{table.short_name}.{name}"]).startswith(labels[name])


def test_no_text_is_left_of_a_table_or_column_that_is_gone() -> None:
    tables = {table.name for table in TABLES}
    columns = {column for table in TABLES for column in table.names} | {
        f"{table.name}.{column}" for table in TABLES for column in table.names
    }
    found = texts()
    assert set(found["tables"]) <= tables
    assert set(found["columns"]) <= columns


def test_the_published_file_carries_every_text_as_comment_and_in_its_dictionary(published_file: Path) -> None:
    with duckdb.connect(str(published_file), read_only=True) as reader:
        silent = reader.execute(
            """
            SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal AND coalesce(comment, '') = ''
            UNION ALL
            SELECT c.schema_name || '.' || c.table_name || '.' || c.column_name FROM duckdb_columns() AS c
            WHERE NOT c.internal AND coalesce(c.comment, '') = ''
            """
        ).fetchall()
        untold = reader.execute(
            """
            SELECT c.schema_name || '.' || c.table_name || '.' || c.column_name
            FROM duckdb_columns() AS c
            LEFT JOIN meta.data_dictionary AS d
              ON d.table_name = c.schema_name || '.' || c.table_name AND d.column_name = c.column_name
            WHERE NOT c.internal AND (d.description_en IS NULL OR d.description_id IS NULL)
            """
        ).fetchall()
    assert silent == []
    assert untold == []
