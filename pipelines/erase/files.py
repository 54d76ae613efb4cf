"""Every other file under the home without the person, by its kind: text, DuckDB, Parquet, SQLite, workbook.

Not here: landing (landing.py) and the warehouse itself (warehouse.py).
"""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from assets.draft import STORAGE_VERSION
from pipelines.erase.database import TEXT_TYPES, clean_database, rows_with
from pipelines.erase.marks import Marks
from pipelines.rewrite import compact
from pipelines.tables import Table
from pipelines.warehouse import first

if TYPE_CHECKING:
    from pipelines.house import House


def other_files(house: House) -> list[Path]:
    """All files but landing's, the warehouse, secrets and the institutions' own: published files, their runs, copies, Dagster's records, logs."""
    apart = {"landing", "institutions", "tokens"}
    return [
        path
        for path in sorted(house.home.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(house.home).parts[0] not in apart
        and not path.name.startswith(house.warehouse.path.name + ".rewrite")
        and path not in {house.warehouse.path, Path(f"{house.warehouse.path}.wal"), house.home / "lock.json"}
    ]


def clean_file(path: Path, marks: Marks, counts: Counter[str], place: str) -> bool:
    """Clean one file by its kind; says whether something stood in it."""
    with path.open("rb") as file:
        head = file.read(16)
    if path.suffix == ".parquet":
        touched = _clean_parquet(path, marks)
    elif head[8:12] == b"DUCK":
        touched = _clean_duckdb(path, marks)
    elif head.startswith(b"SQLite format 3"):
        touched = _clean_sqlite(path, marks)
    elif zipfile.is_zipfile(path):
        touched = _clean_zip(path, marks)
    elif path.name.endswith((".db-wal", ".db-shm", ".wal")):
        touched = 0
    else:
        touched = _clean_plain(path, marks)
    counts[place] += touched
    return touched > 0


def sum_again(path: Path) -> None:
    """The check sum of a published file that was cleaned, where sums stand beside it."""
    sums = path.with_name("SHA256SUMS")
    if not sums.exists():
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    lines = [
        f"{digest}  {path.name}" if line.endswith(f"  {path.name}") else line for line in sums.read_text(encoding="utf-8").splitlines()
    ]
    _replace(sums, "".join(f"{line}\n" for line in lines).encode())


def _clean_plain(path: Path, marks: Marks) -> int:
    content = path.read_bytes()
    cleaned = _cleaned_bytes(content, marks)
    if cleaned == content:
        return 0
    _replace(path, cleaned)
    return 1


def _cleaned_bytes(content: bytes, marks: Marks) -> bytes:
    """Latin-1 gives every byte back as it was, and the marks are ASCII."""
    return marks.without(content.decode("latin-1")).encode("latin-1")


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.chmod(path.stat().st_mode & 0o777)
    part.replace(path)


def _clean_duckdb(path: Path, marks: Marks) -> int:
    """A published file or a copy of the warehouse: looked through as a reader; only where something stands is it made anew and swapped."""
    with duckdb.connect(str(path), read_only=True) as reader:
        reader.execute("SET python_enable_replacements=false")
        names = reader.execute(
            "SELECT c.schema_name || '.' || c.table_name, column_name, data_type FROM duckdb_columns() AS c JOIN duckdb_tables() AS t "
            "USING (schema_name, table_name) WHERE NOT c.internal"
        ).fetchall()
        holds = any(
            rows_with(reader, Table(name, "", (), ()), column, marks.pseudonyms | marks.items)
            for name, column, type_ in names
            if type_ in TEXT_TYPES
        )
    if not holds:
        return 0
    # A second name for the same bytes (a kept run) keeps them: each name is given the new file for itself.
    work = path.with_name(f"{path.name}.part")
    work.write_bytes(path.read_bytes())
    with duckdb.connect(str(work)) as connection:
        connection.execute("SET python_enable_replacements=false")
        touched = clean_database(connection, marks, None)
        compact(connection, work, None if _is_warehouse(connection) else STORAGE_VERSION)
    work.chmod(path.stat().st_mode & 0o777)
    work.replace(path)
    return touched


def _is_warehouse(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(first(connection, "SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'raw' AND database_name = current_database()"))


def _clean_parquet(path: Path, marks: Marks) -> int:
    frame = pl.read_parquet(path)
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    found = [name for name in texts if any(marks.may_hold(text) for text in frame[name].drop_nulls().unique())]
    if not found:
        return 0
    part = path.with_name(f"{path.name}.part")
    frame.with_columns(pl.col(found).map_elements(marks.without, return_dtype=pl.String)).write_parquet(part, compression="zstd")
    part.replace(path)
    return 1


def _clean_sqlite(path: Path, marks: Marks) -> int:
    """Dagster's records: by SQLite's own locks, and with what it deletes overwritten."""
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.create_function("may_hold", 1, lambda text: isinstance(text, str) and marks.may_hold(text))
        connection.create_function("without", 1, marks.without)
        connection.execute("PRAGMA secure_delete = ON")
        touched = 0
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
            for column in [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall()]:
                done = connection.execute(f'UPDATE "{table}" SET "{column}" = without("{column}") WHERE may_hold("{column}")')
                touched += done.rowcount
        connection.commit()
        if touched:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return touched


def _clean_zip(path: Path, marks: Marks) -> int:
    """A workbook."""
    with zipfile.ZipFile(path) as packed:
        members = {info: packed.read(info) for info in packed.infolist()}
    cleaned = {info: _cleaned_bytes(content, marks) for info, content in members.items()}
    if cleaned == members:
        return 0
    part = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for info, content in cleaned.items():
            packed.writestr(info, content)
    part.replace(path)
    return 1
