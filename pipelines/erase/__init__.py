"""Erases one person from everything under a home, and sees to it that the next pull does not bring them back.

Not here: how each kind of place is cleaned (landing.py, warehouse.py, files.py), what of a record goes (connectors/privacy.py), what is kept
to know them again (assets/forget.py), and old rows (retention.py).
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from assets import forget
from connectors.privacy import suppression
from connectors.registry import platforms
from pipelines.erase.database import rows_with
from pipelines.erase.files import clean_file, other_files, sum_again
from pipelines.erase.items import EVENTS, items_of, streams_of
from pipelines.erase.landing import clean_landing
from pipelines.erase.marks import Marks
from pipelines.erase.warehouse import clean_warehouse
from pipelines.persons import informed
from pipelines.rewrite import compact
from pipelines.settings import SettingsError
from pipelines.tables import Table, key
from pipelines.warehouse import Column, ensure, first, rows, transaction

if TYPE_CHECKING:
    from pipelines.house import House

ERASURE = Table(
    "meta.erasure",
    "One row per erasure that was asked for: when, of which platform, and how many places were cleaned. It says nothing of who it was.",
    (
        key("erasure_id", "VARCHAR", "The erasure, by a random number"),
        key("platform", "VARCHAR", "The platform"),
        key("begun_at", "TIMESTAMPTZ", "Begin"),
        Column("ended_at", "TIMESTAMPTZ", "End; NULL = it was cut short, and is to be typed again"),
        Column("counts", "VARCHAR", "How much was cleaned where, as JSON; NULL = it was cut short"),
    ),
    key=("erasure_id",),
)


class ErasureRefused(SettingsError):
    """The person cannot be erased as things stand. Nothing was done. The message does not name them."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was cleaned, by place."""

    erasure_id: str
    counts: Counter[str] = field(default_factory=Counter)


def erase(house: House, platform: str, person_id: str) -> Erased:
    """Erase a person of a platform, under the home's lock. Run again after a kill, it goes through everything once more.

    The suppression is written first and the warehouse cleaned last, because it is what tells the ids of the person's items. Numbers that
    were counted stay: they name nobody. The tables that were approved stay approved, less the person.

    Raises:
        ErasureRefused: there is no such platform, or the id is the institution's own or an employee's in its file.
        NoKeyError: there is no key, or somebody was erased under keys that are not given.
        HomeBusyError, WarehouseError: another run or program is at work; nothing was done.
    """
    _refuse(house, platform, person_id)
    keys = house.pseudonyms()
    pseudonyms = frozenset(keys.every(platform, person_id))
    with house.lock(), house.warehouse.open() as connection:
        informed(connection, keys)
        erased = Erased(_begin(connection, house, platform, pseudonyms))
        marks = Marks(pseudonyms, items_of(connection, house.landing_path, platform, pseudonyms))
        clean_landing(connection, house.landing_path, platform, marks, erased.counts)
        for path in other_files(house):
            if clean_file(path, marks, erased.counts, path.relative_to(house.home).parts[0]):
                sum_again(path)
        clean_warehouse(connection, platform, marks, erased.counts)
        connection.execute(
            f"UPDATE {ERASURE.name} SET ended_at = ?, counts = ? WHERE erasure_id = ?",
            [house.clock.now(), json.dumps(dict(sorted(erased.counts.items()))), erased.erasure_id],
        )
        # Deleted rows stay in the file's free blocks: it is written anew, also when nothing was found, for a kill may have come before.
        compact(connection, house.warehouse.path)
    return erased


def kept_of(house: House, platform: str, person_id: str) -> list[dict[str, object]]:
    """What is kept of a person, item by item, for a person who asks: nothing is changed. Reads as long as no run works.

    Raises:
        ErasureRefused, NoKeyError, HomeBusyError, WarehouseError: as for `erase`.
    """
    _refuse(house, platform, person_id)
    pseudonyms = list(house.pseudonyms().every(platform, person_id))
    found: list[dict[str, object]] = []
    with house.lock(), house.warehouse.open() as connection:
        for table in EVENTS:
            ensure(connection, table)
            own = f"FROM {table.name} WHERE platform = ? AND list_contains(?, author_key) ORDER BY created_at"
            found += [
                {"kept in": table.name} | row for row in rows(connection, f"SELECT * EXCLUDE (author_key) {own}", [platform, pseudonyms])
            ]
        for _, _, table in streams_of(platform):
            ensure(connection, table)
            count = len(rows_with(connection, table, "payload", pseudonyms))
            if count:
                found.append({"kept in": table.name, "records that hold the pseudonym": count})
    return found


def _refuse(house: House, platform: str, person_id: str) -> None:
    if platform not in platforms():
        message = f"There is no platform {platform}; there are: {', '.join(platforms())}. Nothing was erased."
        raise ErasureRefused(message)
    if not person_id or person_id != person_id.strip() or "\n" in person_id:
        message = (
            "The id is empty, or has spaces or lines around it. Nothing was erased; give the platform's own id of the person, as text."
        )
        raise ErasureRefused(message)
    for institution in house.institutions()[0].values():
        if any((account.platform, account.id) == (platform, person_id) for account in institution.accounts):
            message = f"That id is an account of the institution {institution.id} itself. Nothing was erased; it is no person's."
            raise ErasureRefused(message)
        if any((staff.platform, staff.id) == (platform, person_id) for staff in institution.staff):
            message = f"That id stands under [[staff]] in institutions/{institution.id}.toml. Nothing was erased: take it out there, then type this again."
            raise ErasureRefused(message)


def _begin(connection: duckdb.DuckDBPyConnection, house: House, platform: str, pseudonyms: Iterable[str]) -> str:
    """Suppress the person under every known key, and note that an erasure began."""
    for table in (ERASURE, forget.SUPPRESSION):
        ensure(connection, table)
    hashes = {one[:6]: suppression(one) for one in pseudonyms}
    now, erasure_id = house.clock.now(), str(uuid.uuid4())
    with transaction(connection):
        known = first(
            connection, f"SELECT min(suppression_id) FROM {forget.SUPPRESSION.name} WHERE list_contains(?, hash)", [list(hashes.values())]
        )
        suppression_id = (known and known[0]) or str(uuid.uuid4())
        for key_id, one in hashes.items():
            connection.execute(
                f"INSERT INTO {forget.SUPPRESSION.name} SELECT ?, ?, ?, ? WHERE NOT EXISTS (FROM {forget.SUPPRESSION.name} WHERE hash = ?)",
                [suppression_id, key_id, one, now, one],
            )
        connection.execute(f"INSERT INTO {ERASURE.name} VALUES (?, ?, ?, NULL, NULL)", [erasure_id, platform, now])
    return erasure_id


__all__ = ["ERASURE", "Erased", "ErasureRefused", "erase", "kept_of"]
