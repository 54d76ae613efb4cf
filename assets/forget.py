"""Takes erased persons out of landed files, and remembers that they are not to come back.

Not here: rows of tables and everything else under the home (pipelines/erase/), and what of a record goes (connectors/privacy.py).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.privacy import PSEUDONYM, Private, forget, suppression
from connectors.registry import platforms
from pipelines.tables import Table, key
from pipelines.warehouse import ensure

if TYPE_CHECKING:
    import duckdb

SUPPRESSION = Table(
    "meta.suppression",
    "One row per erased person and key: a hash by which the door knows them again, and nothing else. It is kept for ever.",
    (
        key("suppression_id", "VARCHAR", "The person, by a random number"),
        key("key_id", "VARCHAR", "The key under which the hash was made"),
        key("hash", "VARCHAR", "SHA-256 of the person's pseudonym under that key"),
        key("since", "TIMESTAMPTZ", "When the person was erased first"),
    ),
    key=("suppression_id", "key_id"),
)
Erased = Callable[[str], bool]


def suppressed(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The hashes of all who were erased."""
    ensure(connection, SUPPRESSION)
    return frozenset(str(found) for (found,) in connection.execute(f"SELECT hash FROM {SUPPRESSION.name}").fetchall())


def is_suppressed(hashes: frozenset[str]) -> Erased:
    """Says of a text whether it is the pseudonym of one who was erased."""
    return lambda text: PSEUDONYM.fullmatch(text) is not None and suppression(text) in hashes


def clean(manifests: Iterable[Path], hashes: frozenset[str]) -> None:
    """Take everybody who was erased out of landed files: of a dead run's leftovers, of a restored copy."""
    if not hashes:
        return
    told = is_suppressed(hashes)
    for manifest in manifests:
        clean_file(manifest, told, lambda text: any(told(one) for one in PSEUDONYM.findall(text)))


def private_of(manifest: Path) -> Private:
    """What the stream of a manifest declares of persons."""
    platform, stream, _ = manifest.name.split("__")
    return platforms()[platform].stream(stream).private or Private()


def clean_file(manifest: Path, is_erased: Erased, may_hold: Erased) -> int:
    """Take what `is_erased` out of the lines of one manifest; returns how many lines went or changed.

    `may_hold` says of a whole line, quickly, whether it is worth decoding. The manifest's count falls by the lines that went. Each file is
    replaced whole, so a kill leaves the old one or the new one.
    """
    touched = 0
    for path in lines_of(manifest):
        kept, gone, changed = [], 0, 0
        for line in read_lines(path):
            cleaned = _cleaned(line, private_of(manifest), is_erased) if may_hold(line.decode(errors="replace")) else line
            gone += cleaned is None
            changed += cleaned is not None and cleaned != line
            if cleaned is not None:
                kept.append(cleaned)
        if gone or changed:
            # The count first: killed in between, the next try finds the lines still there and counts them again from the file.
            if ".aside" not in path.name:
                _write_count(manifest, len(kept))
            _write_lines(path, kept)
        touched += gone + changed
    return touched


def lines_of(manifest: Path) -> Iterator[Path]:
    """The files of lines that belong to a manifest, packed or not: what came, and what was set aside."""
    return (
        path for suffix in (".ndjson", ".ndjson.gz", ".aside.ndjson", ".aside.ndjson.gz") if (path := manifest.with_suffix(suffix)).exists()
    )


def read_lines(path: Path) -> list[bytes]:
    """The lines of a file, packed or not."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.split(b"\n")[:-1] if content.endswith(b"\n") else content.split(b"\n") if content else []


def payload_of(line: bytes) -> dict[str, Any] | None:
    """The record in a line of landing; None when there is none that can be read."""
    try:
        payload = msgspec.json.decode(line).get("payload")
    except (msgspec.DecodeError, AttributeError):
        return None
    return payload if isinstance(payload, dict) else None


def _cleaned(line: bytes, private: Private, is_erased: Erased) -> bytes | None:
    told = msgspec.json.decode(line)
    payload = told.get("payload")
    if not isinstance(payload, dict):
        return line
    record = forget(payload, private, is_erased)
    if record is None:
        return None
    return msgspec.json.encode(told | {"payload": record})


def _write_count(manifest: Path, records: int) -> None:
    told = json.loads(manifest.read_text(encoding="utf-8")) | {"records": records}
    part = manifest.with_suffix(".json.part")
    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    part.replace(manifest)


def _write_lines(path: Path, lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
                packed.write(content)
        else:
            file.write(content)
    part.replace(path)
