"""The warehouse without the person: rows of theirs go, other rows lose them, and what was approved stays approved.

Not here: the texts of tables that are nobody's in particular (database.py).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import duckdb
import msgspec

from assets.ledgers import QUARANTINE
from assets.publish import audited
from connectors.privacy import forget as forget_record
from pipelines import stamps
from pipelines.erase.database import clean_database, rows_with
from pipelines.erase.items import EVENTS, streams_of
from pipelines.erase.marks import Marks
from pipelines.tables import Table
from pipelines.warehouse import ensure, first, transaction

if TYPE_CHECKING:
    from connectors.privacy import Private


def clean_warehouse(connection: duckdb.DuckDBPyConnection, platform: str, marks: Marks, counts: Counter[str]) -> None:
    """One transaction: rows of the person's go, other rows lose them, and what was approved is approved as it now stands."""
    for table in (*audited().values(), stamps.STAMP, QUARANTINE):
        ensure(connection, table)
    ids = [str(one) for (one,) in connection.execute("SELECT DISTINCT institution_id FROM meta.stamp").fetchall()]
    fit = [(table, one) for one in ids for table in audited().values() if not stamps.unapproved(connection, [table], one)]
    with transaction(connection):
        for stream, private, table in streams_of(platform):
            counts["raw"] += _clean_raw(connection, table, private, marks)
            aside = f"platform = '{platform}' AND stream = '{stream.name}'"
            counts["set aside"] += _clean_raw(connection, QUARANTINE, private, marks, aside)
        for table in EVENTS:
            counts["staging"] += _changed(
                connection,
                f"DELETE FROM {table.name} WHERE platform = ? AND (list_contains(?, author_key) OR list_contains(?, item_id))",
                [platform, list(marks.pseudonyms), list(marks.items)],
            )
        counts["other tables"] += clean_database(connection, marks, platform)
    for table, institution_id in fit:
        if stamps.unapproved(connection, [table], institution_id):
            _approve_again(connection, table, institution_id)


def _approve_again(connection: duckdb.DuckDBPyConnection, table: Table, institution_id: str) -> None:
    told = first(
        connection,
        f"SELECT max(approved_at), max_by(run_id, approved_at) FROM {stamps.STAMP.name} WHERE table_name = ? AND institution_id = ?",
        [table.name, institution_id],
    )
    if told and told[0] is not None:
        stamps.approve(connection, table, institution_id, told[0], told[1])


def _clean_raw(connection: duckdb.DuckDBPyConnection, table: Table, private: Private, marks: Marks, where: str = "true") -> int:
    touched = 0
    for row_id, _, payload in rows_with(connection, table, "payload", marks.pseudonyms | marks.items, where):
        record = forget_record(msgspec.json.decode(payload.encode()), private, marks.__contains__)
        if record is None:
            connection.execute(f"DELETE FROM {table.name} WHERE rowid = ?", [row_id])
        else:
            text = msgspec.json.encode(record).decode()
            connection.execute(f"UPDATE {table.name} SET payload = ?, payload_hash = md5(?) WHERE rowid = ?", [text, text, row_id])
        touched += 1
    return touched


def _changed(connection: duckdb.DuckDBPyConnection, query: str, parameters: list[object]) -> int:
    found = connection.execute(query, parameters).fetchall()
    return int(found[0][0]) if found else 0
