"""What lies beside the analysts' file: Parquet per table and month, the scorecard as CSV and XLSX, the data package's description, checksums.

Not here: the file itself (draft.py) and when it is published (publish.py). All of it is made from the published file, and only what changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl

from assets.dictionary import SCHEMA_VERSION
from assets.draft import DICTIONARY, WHOLE, in_periods
from assets.made import Content, File, as_recorded, look_at, write_whole
from pipelines.disk import move, sync
from pipelines.tables import Table

PACKAGE = "datapackage.json"
SUMS = "SHA256SUMS"
# As far back as a monthly report draws its trend.
WORKBOOK_SPAN = "-13mo"
PARQUET = "parquet"
SCORECARD_FILES = ("scorecard.csv", "scorecard.xlsx")
SCORECARD_TABLES = ("mart.goal_scorecard", "ref.indicator")
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
# Data package's names for the types.
FIELD_TYPES = {
    "VARCHAR": "string",
    "JSON": "object",
    "BIGINT": "integer",
    "INTEGER": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "datetime",
    "VARCHAR[]": "array",
}


def expected(content: Content, layout: str) -> dict[str, str]:
    """Every file made from rows, by its path in `latest/`, with the text that says of which content it must be."""
    files = {parquet_path(name, period): f"{layout} {one}" for name, periods in content.items() for period, one in periods.items()}
    files |= {parquet_path(table.name, WHOLE): layout for table in DICTIONARY}
    # An empty table is told by the package's description; a table without days has its file all the same.
    of_card = " ".join([layout, *(json.dumps(content[name], sort_keys=True) for name in SCORECARD_TABLES)])
    return files | dict.fromkeys(SCORECARD_FILES, of_card)


def parquet_path(name: str, period: str) -> str:
    """`parquet/<schema>.<table>/month=YYYY-MM.parquet`, or one file for a table without days."""
    return f"{PARQUET}/{name}.parquet" if period == WHOLE else f"{PARQUET}/{name}/month={period}.parquet"


def stray(latest: Path, files: Iterable[str]) -> list[Path]:
    """Parquet of months that vanished, and what a killed publish left."""
    wanted = {latest / name for name in files}
    return [path for path in sorted((latest / PARQUET).rglob("*")) if path.is_file() and path not in wanted]


def is_whole(latest: Path, wanted: Mapping[str, str], recorded: Mapping[str, File]) -> bool:
    """Everything beside the file is there, as it was written, and made of this content."""
    names = (*wanted, PACKAGE, SUMS)
    return (
        all(as_recorded(latest / name, recorded.get(name)) for name in names)
        and all(recorded[name].content == of for name, of in wanted.items())
        and not stray(latest, wanted)
    )


def write(  # noqa: PLR0913 where, whose, what and what there is
    latest: Path,
    database: Path,
    institution_id: str,
    tables: Sequence[Table],
    wanted: Mapping[str, str],
    recorded: Mapping[str, File],
) -> dict[str, File]:
    """Write what is not there as it must be; returns the record of everything in `latest/`, the database included.

    Each file is written beside and moved into place; the checksums come last, so that whoever finds them fitting has a whole set.
    """
    files = {database.name: recorded[database.name]}
    due: list[str] = []
    for name, of in wanted.items():
        found = as_recorded(latest / name, recorded.get(name))
        if found and found.content == of:
            files[name] = found
        else:
            due.append(name)
    if due:
        with _view(database) as reader:
            for name in due:
                files[name] = _write_one(reader, latest, name, tables, wanted[name])
    for folder in sorted({(latest / name).parent for name in due}):
        sync(folder)
    write_whole(latest / PACKAGE, package(institution_id, tables, files))
    gone = stray(latest, wanted)
    for path in gone:
        path.unlink()
    for folder in {path.parent for path in gone} - {latest / PARQUET}:
        if not any(folder.iterdir()):
            folder.rmdir()
    files[PACKAGE] = look_at(latest / PACKAGE, "")
    write_whole(latest / SUMS, "".join(f"{file.sha256}  {name}\n" for name, file in sorted(files.items())))
    files[SUMS] = look_at(latest / SUMS, "")
    return files


@contextmanager
def _view(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file under a name of its own: where this process still reads the old one, DuckDB would give that one again."""
    view = database.with_name(f"{database.name}.view")
    view.unlink(missing_ok=True)
    os.link(database, view)
    try:
        with duckdb.connect(str(view), read_only=True) as reader:
            # The same rows give the same bytes: one thread, one order, one zone.
            for setting in ("TimeZone='UTC'", "threads=1", "enable_progress_bar=false", "preserve_insertion_order=true"):
                reader.execute(f"SET {setting}")
            yield reader
    finally:
        view.unlink()


def _write_one(reader: duckdb.DuckDBPyConnection, latest: Path, name: str, tables: Sequence[Table], content: str) -> File:
    final = latest / name
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f"{final.name}.part")
    if name == "scorecard.csv":
        _card(reader).write_csv(part)
    elif name == "scorecard.xlsx":
        _write_workbook(part, _card(reader))
    else:
        _write_parquet(reader, part, name, tables)
    move(part, final)
    return look_at(final, content)


def _write_parquet(reader: duckdb.DuckDBPyConnection, part: Path, name: str, tables: Sequence[Table]) -> None:
    _, _, rest = name.partition("/")
    table_name, _, month = rest.removesuffix(".parquet").partition("/month=")
    table = next(table for table in (*tables, *DICTIONARY) if table.name == table_name)
    where = in_periods(table, [month]) if month else "true"
    path = str(part).replace("'", "''")
    query = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {where} ORDER BY {', '.join(table.key)}"
    reader.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def package(institution_id: str, tables: Sequence[Table], files: Mapping[str, File]) -> str:
    """The description of the Parquet files, as the Data Package standard has it (version 2): one resource a table, its months as parts."""
    resources = [_resource(table, files) for table in (*tables, *DICTIONARY)]
    described = {
        "$schema": PROFILE,
        "name": institution_id,
        "title": f"Tolok: what is published of {institution_id}",
        "version": SCHEMA_VERSION,
        "resources": [resource for resource in resources if resource["path"]],
    }
    # The standard library indents ten times as slowly: 0.4 CPU-s a publish (measured).
    return msgspec.json.format(msgspec.json.encode(described), indent=1).decode() + "\n"


def _resource(table: Table, files: Mapping[str, File]) -> dict[str, Any]:
    """A table of one part has its checksum as the standard says; one of several has them in `parts`, which is ours."""
    paths = sorted(name for name in files if name == parquet_path(table.name, WHOLE) or name.startswith(f"{PARQUET}/{table.name}/"))
    resource: dict[str, Any] = {
        "name": table.name,
        "description": table.description,
        "path": paths[0] if len(paths) == 1 else paths,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": sum(files[path].bytes for path in paths),
    }
    if len(paths) == 1:
        resource["hash"] = f"sha256:{files[paths[0]].sha256}"
    resource["parts"] = [{"path": path, "bytes": files[path].bytes, "hash": f"sha256:{files[path].sha256}"} for path in paths]
    resource["schema"] = {
        "fields": [
            {
                "name": column.name,
                "type": FIELD_TYPES[column.type],
                "description": column.comment,
                "constraints": {"required": not column.nullable},
            }
            for column in table.columns
        ],
        "primaryKey": list(table.key),
    }
    return resource


def _card(reader: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    card: pl.DataFrame = reader.sql("FROM mart.goal_scorecard ORDER BY goal_key, period_type, period_start DESC, position").pl()
    labels: pl.DataFrame = reader.sql("SELECT indicator_key, label_id, label_en FROM ref.indicator").pl()
    return card.join(labels, on="indicator_key", how="left", maintain_order="left").select(
        "goal_key", "label_id", "label_en", pl.exclude("goal_key", "label_id", "label_en")
    )


def _write_workbook(path: Path, card: pl.DataFrame) -> None:
    from xlsxwriter import Workbook  # noqa: PLC0415 only a publish needs it

    latest = card.filter("is_complete_period").filter(pl.col("period_end") == pl.col("period_end").max().over("period_type"))
    # Trailing windows, with a row for each day, and what is older stand in the CSV; a workbook is for people, and one of eight years took
    # 9.5 CPU-s a night (measured).
    is_shown = (pl.col("period_type") != "trailing_28d") & (pl.col("period_end") > pl.col("period_end").max().dt.offset_by(WORKBOOK_SPAN))
    sheets = {"latest": latest, "weeks and months": card.filter(is_shown)}
    # The same content gives the same bytes: no time of making.
    with Workbook(str(path), {"remove_timezone": True}) as book:
        book.set_properties({"title": "Tolok scorecard", "created": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        for name, frame in sheets.items():
            frame.write_excel(book, name, freeze_panes=(1, 4), autofit=True, table_style="Table Style Light 1", float_precision=4)
