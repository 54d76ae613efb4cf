"""Erases one person from everything under a home, and sees to it that the next pull does not bring them back.

Not here: what of a record goes (connectors/privacy.py), what is kept to know them again (assets/forget.py), and old rows (retention.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import polars as pl

from assets import forget
from assets.draft import STORAGE_VERSION
from assets.ledgers import FETCH, QUARANTINE, raw_table
from assets.publish import audited
from assets.staging.things import COMMENTS, MENTIONS
from connectors.privacy import ERASED, suppression
from connectors.privacy import forget as forget_record
from connectors.registry import platforms
from pipelines import stamps
from pipelines.persons import informed
from pipelines.rewrite import compact
from pipelines.settings import SettingsError
from pipelines.tables import Table, key
from pipelines.warehouse import Column, ensure, first, rows, transaction

if TYPE_CHECKING:
    from connectors.privacy import Private
    from connectors.streams import Stream
    from pipelines.house import House

EVENTS = (COMMENTS, MENTIONS)
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
# Words of a text that could be an id or a pseudonym.
WORD = r"[0-9A-Za-z_:-]+"
TEXT_TYPES = ("VARCHAR", "JSON", "VARCHAR[]")


class ErasureRefused(SettingsError):
    """The person cannot be erased as things stand. Nothing was done. The message does not name them."""


@dataclass(frozen=True)
class Marks:
    """What may be found of a person: pseudonyms under every known key, and the ids of what they wrote."""

    pseudonyms: frozenset[str]
    items: frozenset[str] = frozenset()

    def __contains__(self, text: object) -> bool:
        return text in self.pseudonyms or text in self.items

    def may_hold(self, text: str) -> bool:
        return any(word in self for word in re.findall(WORD, text))

    def without(self, text: str) -> str:
        """The text with `erased` in their place."""
        return re.sub(WORD, lambda found: ERASED if found.group(0) in self else found.group(0), text)


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
        marks = Marks(pseudonyms, _items(connection, house.landing_path, platform, pseudonyms))
        _clean_landing(connection, house.landing_path, platform, marks, erased.counts)
        for path in _other_files(house):
            if _clean_file(path, marks, erased.counts, path.relative_to(house.home).parts[0]):
                _sum_again(path)
        _clean_warehouse(connection, platform, marks, erased.counts)
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
        for _, _, table in _streams(platform):
            ensure(connection, table)
            count = len(_rows_with(connection, table, "payload", pseudonyms))
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


# -- what there is of the person ------------------------------------------------------------------------------------------------------


def _streams(platform: str) -> Iterator[tuple[Stream, Private, Table]]:
    connector = platforms()[platform]
    for stream in connector.streams:
        if stream.private is not None:
            yield stream, stream.private, raw_table(connector, stream)


def _items(connection: duckdb.DuckDBPyConnection, landing: Path, platform: str, pseudonyms: frozenset[str]) -> frozenset[str]:
    """The ids of what the person wrote, wherever a record tells them: raw, landing, and staging, which reaches back furthest."""
    found: set[str] = set()
    for stream, private, table in _streams(platform):
        ensure(connection, table)
        for _, _, payload in _rows_with(connection, table, "payload", pseudonyms):
            found |= _items_in(msgspec.json.decode(payload.encode()), private, stream.kind.key, pseudonyms)
    for manifest in _manifests(landing, platform):
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


def _manifests(landing: Path, platform: str) -> list[Path]:
    return sorted((*landing.glob(f"*/*/*/{platform}__*.json"), *landing.glob(f"incoming/*/{platform}__*.json")))


# -- landing and the warehouse --------------------------------------------------------------------------------------------------------


def _clean_landing(connection: duckdb.DuckDBPyConnection, landing: Path, platform: str, marks: Marks, counts: Counter[str]) -> None:
    for manifest in _manifests(landing, platform):
        counts["landing"] += forget.clean_file(manifest, marks.__contains__, marks.may_hold)
    # Lines without a manifest are a dead run's, and never read: their bytes are the person's all the same.
    for path in landing.glob(f"incoming/*/{platform}__*.ndjson*"):
        if not (path.parent / f"{path.name.split('.')[0]}.json").exists() and marks.may_hold(path.read_text(errors="replace")):
            path.unlink()
            counts["landing"] += 1
    ensure(connection, FETCH)
    by = ("institution_id", "platform", "account_id", "stream", "run_id", "window_start")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in _manifests(landing, platform)]
    if told:
        # The ledger counts what landing holds, so that it can be made again from there.
        connection.register("told", pl.DataFrame([{name: one[name] for name in (*by, "window_end", "records")} for one in told]))
        same = " AND ".join(f"f.{name} = t.{name}" for name in by if name != "window_start")
        connection.execute(
            f"UPDATE {FETCH.name} AS f SET records = t.records FROM told AS t WHERE {same} AND f.records > t.records "
            "AND f.window_start = t.window_start::TIMESTAMPTZ AND f.window_end = t.window_end::TIMESTAMPTZ"
        )
        connection.unregister("told")


def _clean_warehouse(connection: duckdb.DuckDBPyConnection, platform: str, marks: Marks, counts: Counter[str]) -> None:
    """One transaction: rows of the person's go, other rows lose them, and what was approved is approved as it now stands."""
    for table in (*audited().values(), stamps.STAMP, QUARANTINE):
        ensure(connection, table)
    ids = [str(one) for (one,) in connection.execute("SELECT DISTINCT institution_id FROM meta.stamp").fetchall()]
    fit = [(table, one) for one in ids for table in audited().values() if not stamps.unapproved(connection, [table], one)]
    with transaction(connection):
        for stream, private, table in _streams(platform):
            counts["raw"] += _clean_raw(connection, table, private, marks)
            aside = f"platform = '{platform}' AND stream = '{stream.name}'"
            counts["set aside"] += _clean_raw(connection, QUARANTINE, private, marks, aside)
        for table in EVENTS:
            counts["staging"] += _changed(
                connection,
                f"DELETE FROM {table.name} WHERE platform = ? AND (list_contains(?, author_key) OR list_contains(?, item_id))",
                [platform, list(marks.pseudonyms), list(marks.items)],
            )
        counts["other tables"] += _clean_database(connection, marks, platform)
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
    for row_id, _, payload in _rows_with(connection, table, "payload", marks.pseudonyms | marks.items, where):
        record = forget_record(msgspec.json.decode(payload.encode()), private, marks.__contains__)
        if record is None:
            connection.execute(f"DELETE FROM {table.name} WHERE rowid = ?", [row_id])
        else:
            text = msgspec.json.encode(record).decode()
            connection.execute(f"UPDATE {table.name} SET payload = ?, payload_hash = md5(?) WHERE rowid = ?", [text, text, row_id])
        touched += 1
    return touched


def _rows_with(
    connection: duckdb.DuckDBPyConnection, table: Table, column: str, wanted: Iterable[str], where: str = "true"
) -> list[tuple[int, str, str]]:
    """Row id, column and text of the rows that hold one of the words: one pass over the texts, however many words there are."""
    found = connection.execute(
        f"SELECT rowid, $name, {column}::VARCHAR FROM {table.name} WHERE {where} AND list_has_any(regexp_extract_all({column}::VARCHAR, $word), $wanted)",
        {"name": column, "word": WORD, "wanted": sorted(wanted)},
    ).fetchall()
    return [(int(row_id), str(name), str(text)) for row_id, name, text in found]


def _changed(connection: duckdb.DuckDBPyConnection, query: str, parameters: list[object]) -> int:
    found = connection.execute(query, parameters).fetchall()
    return int(found[0][0]) if found else 0


def _clean_database(connection: duckdb.DuckDBPyConnection, marks: Marks, platform: str | None) -> int:
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
            for row_id, _, _ in _rows_with(connection, Table(name, "", (), ()), column, wanted, where):
                value = connection.execute(f"SELECT {column} FROM {name} WHERE rowid = ?", [row_id]).fetchall()[0][0]
                cleaned = [marks.without(one) for one in value] if isinstance(value, list) else marks.without(str(value))
                connection.execute(f"UPDATE {name} SET {column} = ? WHERE rowid = ?", [cleaned, row_id])
                touched += 1
    return touched


# -- everything else under the home ---------------------------------------------------------------------------------------------------


def _other_files(house: House) -> list[Path]:
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


def _clean_file(path: Path, marks: Marks, counts: Counter[str], place: str) -> bool:
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


def _sum_again(path: Path) -> None:
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
            _rows_with(reader, Table(name, "", (), ()), column, marks.pseudonyms | marks.items)
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
        touched = _clean_database(connection, marks, None)
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


__all__ = ["ERASURE", "Erased", "ErasureRefused", "erase", "kept_of"]
