"""The ids of what a person wrote, wherever a record tells them: raw, landing, and staging, which reaches back furthest.

Not here: their cleaning (landing.py, warehouse.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from assets import forget
from assets.ledgers import raw_table
from assets.staging.things import COMMENTS, MENTIONS
from connectors.privacy import ERASED
from connectors.registry import platforms
from pipelines.erase.database import rows_with
from pipelines.tables import Table
from pipelines.warehouse import ensure

if TYPE_CHECKING:
    from connectors.privacy import Private
    from connectors.streams import Stream

EVENTS = (COMMENTS, MENTIONS)


def streams_of(platform: str) -> Iterator[tuple[Stream, Private, Table]]:
    """The platform's lists that hold something of persons, with their raw tables."""
    connector = platforms()[platform]
    for stream in connector.streams:
        if stream.private is not None:
            yield stream, stream.private, raw_table(connector, stream)


def items_of(connection: duckdb.DuckDBPyConnection, landing: Path, platform: str, pseudonyms: frozenset[str]) -> frozenset[str]:
    """The ids of what the person wrote, wherever a record tells them: raw, landing, and staging, which reaches back furthest."""
    found: set[str] = set()
    for stream, private, table in streams_of(platform):
        ensure(connection, table)
        for _, _, payload in rows_with(connection, table, "payload", pseudonyms):
            found |= _items_in(msgspec.json.decode(payload.encode()), private, stream.kind.key, pseudonyms)
    for manifest in manifests(landing, platform):
        private = forget.private_of(manifest)
        kind = platforms()[platform].stream(manifest.name.split("__")[1]).kind
        for line in (line for path in forget.lines_of(manifest) for line in forget.read_lines(path)):
            record = forget.payload_of(line) if any(one.encode() in line for one in pseudonyms) else None
            if record is not None:
                found |= _items_in(record, private, kind.key, pseudonyms)
    for table in EVENTS:
        ensure(connection, table)
        found |= {
            str(item)
            for (item,) in connection.execute(
                f"SELECT item_id FROM {table.name} WHERE platform = ? AND list_contains(?, author_key)", [platform, list(pseudonyms)]
            ).fetchall()
        }
    return frozenset(found - {ERASED})


def _items_in(record: dict[str, object], private: Private, key_path: str, pseudonyms: frozenset[str]) -> set[str]:
    pairs = list(private.items_of)
    if private.author:
        pairs += [(private.author, key_path), (private.author, "id")]
    return {
        str(item)
        for person, item_path in pairs
        if pseudonyms & {str(one) for one in _values(record, person)}
        for item in _values(record, item_path)
    }


def _values(record: object, path: str) -> list[object]:
    values = [record]
    for part in path.split("."):
        inner = [value.get(part.removesuffix("[]")) for value in values if isinstance(value, dict)]
        values = [item for one in inner for item in (one if part.endswith("[]") and isinstance(one, list) else [one])]
    return [value for value in values if value is not None]


def manifests(landing: Path, platform: str) -> list[Path]:
    """What says of landing's files what they hold, also of a run that is not landed yet."""
    return sorted((*landing.glob(f"*/*/*/{platform}__*.json"), *landing.glob(f"incoming/*/{platform}__*.json")))
