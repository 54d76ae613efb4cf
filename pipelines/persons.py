"""What the door must know of persons before it opens: who is known under a former key, and who was erased.

Not here: the keys (house.py) and the pseudonyms themselves (connectors/privacy.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assets.forget import SUPPRESSION, suppressed
from assets.ledgers import raw_table
from assets.staging.things import COMMENTS, MENTIONS
from connectors.privacy import NoKeyError, Pseudonyms
from connectors.registry import platforms
from pipelines.tables import Table
from pipelines.warehouse import ensure

if TYPE_CHECKING:
    import duckdb


def informed(connection: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms) -> Pseudonyms:
    """The pseudonyms, told what stands in the warehouse.

    Looking for former pseudonyms reads every payload that can hold one, and only while `TOLOK_HMAC_KEYS_FORMER` names a key.

    Raises:
        NoKeyError: somebody was erased under keys of which none is given: they would come back unseen.
    """
    hashes = suppressed(connection)
    if hashes:
        _require_keys(connection, {pseudonyms.key_id, *pseudonyms.former_ids})
    known: set[str] = set()
    if pseudonyms.former_ids:
        known = {one for table in person_tables(connection) for one in _pseudonyms_in(connection, *table, pseudonyms.former_ids)}
    return pseudonyms.informed(known, hashes)


def key_ids_in_use(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many pseudonyms stand under each key id: a former key is needed until none does, and nobody was erased under it alone."""
    counts: dict[str, int] = {}
    for table, column in person_tables(connection):
        for one in _pseudonyms_in(connection, table, column):
            counts[one[:6]] = counts.get(one[:6], 0) + 1
    return counts


def person_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Table, str]]:
    """The tables, made where they are missing, and the columns in which pseudonyms stand."""
    for connector in platforms().values():
        for stream in connector.streams:
            if stream.private is not None and stream.private.pseudonym:
                table = raw_table(connector, stream)
                ensure(connection, table)
                yield table, "payload::VARCHAR"
    for table in (COMMENTS, MENTIONS):
        ensure(connection, table)
        yield table, "author_key"


def _pseudonyms_in(connection: duckdb.DuckDBPyConnection, table: Table, column: str, key_ids: tuple[str, ...] = ()) -> Iterator[str]:
    prefix = "|".join(key_ids) or "[0-9a-f]{6}"
    found = connection.execute(
        f"SELECT DISTINCT unnest(regexp_extract_all({column}, $pattern)) FROM {table.name} WHERE regexp_matches({column}, $pattern)",
        {"pattern": f"(?:{prefix}):[0-9a-f]{{32}}"},
    ).fetchall()
    return (str(one) for (one,) in found)


def _require_keys(connection: duckdb.DuckDBPyConnection, known_ids: set[str]) -> None:
    found = connection.execute(f"SELECT list(key_id) FROM {SUPPRESSION.name} GROUP BY suppression_id").fetchall()
    unknown = [sorted(ids) for (ids,) in found if not known_ids & set(ids)]
    if unknown:
        message = (
            f"Nothing was fetched: {len(unknown)} erased persons are known by keys that are not given (for one of them: {', '.join(unknown[0])}), "
            "so they would come back. Put the former keys into TOLOK_HMAC_KEYS_FORMER (docs/privacy.md)."
        )
        raise NoKeyError(message)
