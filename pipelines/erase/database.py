"""The texts of any DuckDB database, the warehouse or a file: which rows hold a word of the person's, and the cleaning of them.

Not here: rows that go as a whole (warehouse.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from pipelines.erase.marks import WORD, Marks
from pipelines.tables import Table

TEXT_TYPES = ("VARCHAR", "JSON", "VARCHAR[]")


def rows_with(
    connection: duckdb.DuckDBPyConnection, table: Table, column: str, wanted: Iterable[str], where: str = "true"
) -> list[tuple[int, str, str]]:
    """Row id, column and text of the rows that hold one of the words: one pass over the texts, however many words there are."""
    found = connection.execute(
        f"SELECT rowid, $name, {column}::VARCHAR FROM {table.name} WHERE {where} AND list_has_any(regexp_extract_all({column}::VARCHAR, $word), $wanted)",
        {"name": column, "word": WORD, "wanted": sorted(wanted)},
    ).fetchall()
    return [(int(row_id), str(name), str(text)) for row_id, name, text in found]


def clean_database(connection: duckdb.DuckDBPyConnection, marks: Marks, platform: str | None) -> int:
    """In every text of every table the person's marks become `erased`. A table that names platforms is searched where it names this one."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for name, column, type_ in connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND database_name = current_database() "
        "AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables() WHERE NOT temporary)"
    ).fetchall():
        columns.setdefault(str(name), []).append((str(column), str(type_)))
    touched = 0
    for name, all_columns in columns.items():
        own = "platform" in dict(all_columns) and platform is not None
        where = f"platform = '{platform}'" if own else "true"
        wanted = marks.pseudonyms | marks.items if own or platform is None else marks.pseudonyms
        for column, type_ in all_columns:
            if type_ not in TEXT_TYPES:
                continue
            for row_id, _, _ in rows_with(connection, Table(name, "", (), ()), column, wanted, where):
                value = connection.execute(f"SELECT {column} FROM {name} WHERE rowid = ?", [row_id]).fetchall()[0][0]
                cleaned = [marks.without(one) for one in value] if isinstance(value, list) else marks.without(str(value))
                connection.execute(f"UPDATE {name} SET {column} = ? WHERE rowid = ?", [cleaned, row_id])
                touched += 1
    return touched
