"""Writes a DuckDB file anew, so that nothing of what was deleted is left in its free blocks.

Not here: what is deleted (erase/, retention.py). Comments, sequences, macros, views and indexes come along (tried with DuckDB 2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.disk import move, sync
from pipelines.warehouse import literal

if TYPE_CHECKING:
    import duckdb


def compact(connection: duckdb.DuckDBPyConnection, path: Path, storage_version: str | None = None) -> None:
    """Put a fresh copy of the open database `path` in its place. Nothing more may be written through `connection`.

    Whoever holds the old file goes on reading it; a kill leaves the old file, or the new one.
    """
    fresh = path.with_name(f"{path.name}.rewrite")
    for left in (fresh, Path(f"{fresh}.wal")):
        left.unlink(missing_ok=True)
    own = str(connection.execute("SELECT current_database()").fetchall()[0][0])
    connection.execute("CHECKPOINT")
    version = f" (STORAGE_VERSION '{storage_version}')" if storage_version else ""
    connection.execute(f"ATTACH {literal(str(fresh))} AS fresh{version}")
    name = own.replace('"', '""')
    connection.execute(f'COPY FROM DATABASE "{name}" TO fresh')
    connection.execute("CHECKPOINT fresh")
    connection.execute("DETACH fresh")
    fresh.chmod(path.stat().st_mode & 0o777)
    move(fresh, path)
    sync(path.parent)
