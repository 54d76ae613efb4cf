"""A file that was made from the last one holds what a file built whole holds; and what lies beside it is made from it, byte for byte.

Not here: whether something may be published (test_law_published.py), and what a killed publish leaves (test_law_published_killed.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import duckdb
import polars as pl
import pytest
from jsonschema import Draft7Validator

from assets import draft, export, made
from assets.publish import products
from pipelines.house import House
from tests.laws.conftest import Copy
from tests.support.approved import publish_approved, shown
from tests.support.nights import INSTITUTION

pytestmark = pytest.mark.slow

# What may happen between two publishes: each a statement or some, in the order of a history.
HISTORY = {
    "the first publish": [],
    "late data of an old day": ["UPDATE staging.post_days SET reactions = coalesce(reactions, 0) + 3 WHERE day = DATE '2026-01-02'"],
    "a month before all others": [
        "INSERT INTO staging.account_days BY NAME SELECT * REPLACE (DATE '2025-11-30' AS day) FROM staging.account_days WHERE day = DATE '2026-01-05'",
        "INSERT INTO staging.post_days BY NAME SELECT * REPLACE (day - 60 AS day) FROM staging.post_days",
        (
            "INSERT INTO goals.goal_fundraising BY NAME SELECT * REPLACE (period_start - 90 AS period_start, period_end - 90 AS period_end) "
            "FROM goals.goal_fundraising WHERE period_type = 'day'"
        ),
    ],
    "rows that are deleted": [
        "DELETE FROM staging.post_days WHERE hash(post_id) % 3 = 0",
        "DELETE FROM indicators.engagement WHERE period_type = 'week' AND hash(indicator_key) % 2 = 0",
    ],
    "a month that vanishes": ["DELETE FROM staging.account_days WHERE day < DATE '2025-12-01'"],
    "settings that change": [
        "UPDATE ref.account SET post_url = post_url || '?x=1'",
        "UPDATE ref.indicator SET label_en = label_en || ' (new)'",
        "DELETE FROM ref.target",
    ],
    "counters of posts alone": ["UPDATE indicators.post_measures SET reactions = reactions + 1 WHERE reactions IS NOT NULL"],
    "who wrote a row, when another row changes": [
        "UPDATE indicators.audience SET run_id = 'another', as_of = as_of + 1",
        "UPDATE goals.goal_scorecard SET n = n + 1 WHERE n IS NOT NULL AND period_type = 'week'",
    ],
    "values that were restated": ["UPDATE indicators.engagement SET value = value + 1 WHERE value IS NOT NULL AND is_complete_period"],
    "the last period, so that another is the latest": [
        "DELETE FROM goals.goal_scorecard WHERE period_end = (SELECT max(period_end) FROM goals.goal_scorecard WHERE is_complete_period)"
    ],
    "a table without rows": ["DELETE FROM staging.mention_hours", "DELETE FROM indicators.content_leaderboard"],
}


@pytest.fixture
def connection(undisturbed: House, copy: Copy) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of a derived home, to be changed."""
    with copy(undisturbed).warehouse.open() as connection:
        yield connection


def file_of(folder: Path) -> Path:
    return folder / INSTITUTION / "latest" / "tolok.duckdb"


def beside(folder: Path) -> dict[str, bytes]:
    latest = folder / INSTITUTION / "latest"
    return {
        str(path.relative_to(latest)): path.read_bytes()
        for path in sorted(latest.rglob("*"))
        if path.is_file() and path.name not in {"tolok.duckdb", "SHA256SUMS", "status.json"}
    }


def assert_sums(folder: Path) -> None:
    latest = folder / INSTITUTION / "latest"
    asked = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    told = subprocess.run(asked, cwd=latest, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    named = {line.split("  ", 1)[1] for line in (latest / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    there = {str(path.relative_to(latest)) for path in latest.rglob("*") if path.is_file()}
    assert there - named == {"SHA256SUMS", "status.json"}


def test_a_history_of_increments_equals_the_whole_row_by_row_with_all_comments(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for step, (what, statements) in enumerate(HISTORY.items()):
        for statement in statements:
            connection.execute(statement)
        with patch.object(draft, "build_whole", wraps=draft.build_whole) as build:
            assert publish_approved(connection, tmp_path / "increments").outcome == "published", what
        assert build.called == (step == 0), what
        whole = tmp_path / f"whole-{step}"
        assert publish_approved(connection, whole).outcome == "published"
        rows, described = shown(file_of(tmp_path / "increments"))
        expected, expected_described = shown(file_of(whole))
        assert described == expected_described, what
        assert rows.keys() == expected.keys()
        differing = [name for name in expected if not rows[name].equals(expected[name])]
        assert differing == [], what
        assert beside(tmp_path / "increments") == beside(whole), what
        assert_sums(tmp_path / "increments")
        assert publish_approved(connection, tmp_path / "increments").outcome == "unchanged", what


def wipe(folder: Path) -> None:
    file_of(folder).unlink()


def edit(folder: Path) -> None:
    with duckdb.connect(str(file_of(folder))) as editor:
        editor.execute("UPDATE mart.post_days SET reactions = 0")


def truncate(folder: Path) -> None:
    os.truncate(file_of(folder), 100)


def older(folder: Path) -> None:
    kept = min((folder / INSTITUTION / "runs").iterdir()) / "tolok.duckdb.older"
    shutil.copy2(kept, file_of(folder))


def forget(folder: Path) -> None:
    (folder / INSTITUTION / made.NAME).unlink()


def garble(folder: Path) -> None:
    (folder / INSTITUTION / made.NAME).write_text('{"files": {"tolok', encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "is_new"),
    [(wipe, False), (edit, False), (edit, True), (truncate, True), (older, False), (older, True), (forget, False), (garble, True)],
)
def test_a_file_that_is_not_the_last_one_is_built_whole(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, spoil: Callable[[Path], None], is_new: bool
) -> None:
    folder = tmp_path / "published"
    publish_approved(connection, folder)
    run = min((folder / INSTITUTION / "runs").iterdir())
    shutil.copy2(file_of(folder), run / "tolok.duckdb.older")
    connection.execute("UPDATE staging.post_days SET reactions = coalesce(reactions, 0) + 1 WHERE day = DATE '2026-01-03'")
    publish_approved(connection, folder)
    spoil(folder)
    if is_new:
        connection.execute("UPDATE staging.post_days SET shares = coalesce(shares, 0) + 1 WHERE day = DATE '2026-01-04'")
    with patch.object(draft, "build_whole", wraps=draft.build_whole) as build:
        assert publish_approved(connection, folder).outcome == "published"
    assert build.called
    assert publish_approved(connection, folder).outcome == "unchanged"
    publish_approved(connection, tmp_path / "whole")
    assert all(
        one.equals(other) for one, other in zip(*(shown(file_of(at))[0].values() for at in (folder, tmp_path / "whole")), strict=True)
    )
    assert_sums(folder)


def test_a_home_that_was_moved_needs_no_new_file(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    publish_approved(connection, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copy)
    inode = file_of(tmp_path / "there").stat().st_ino
    assert publish_approved(connection, tmp_path / "there").outcome == "unchanged"
    assert file_of(tmp_path / "there").stat().st_ino == inode


def test_only_what_changed_is_written_again(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    connection.execute("INSERT INTO staging.post_days BY NAME SELECT * REPLACE (day - 60 AS day) FROM staging.post_days")
    publish_approved(connection, tmp_path)
    latest = tmp_path / INSTITUTION / "latest"
    before = {path: path.stat().st_ino for path in latest.rglob("*") if path.is_file()}
    connection.execute("UPDATE staging.post_days SET reactions = coalesce(reactions, 0) + 1 WHERE day = DATE '2026-01-03'")
    publish_approved(connection, tmp_path)
    changed = {str(path.relative_to(latest)) for path, inode in before.items() if path.stat().st_ino != inode}
    assert changed == {"tolok.duckdb", "parquet/mart.post_days/month=2026-01.parquet", "datapackage.json", "SHA256SUMS", "status.json"}


@pytest.mark.parametrize(
    "name",
    [
        "scorecard.csv",
        "datapackage.json",
        "SHA256SUMS",
        "status.json",
        "parquet/ref.goal.parquet",
        "parquet/mart.posts/month=2026-01.parquet",
    ],
)
def test_what_is_missing_beside_the_file_is_made_again_and_the_file_stays(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str
) -> None:
    publish_approved(connection, tmp_path)
    before, inode = beside(tmp_path), file_of(tmp_path).stat().st_ino
    (tmp_path / INSTITUTION / "latest" / name).unlink()
    (tmp_path / INSTITUTION / "latest" / "parquet" / "mart.posts" / "month=1999-01.parquet").write_bytes(b"stray")
    assert publish_approved(connection, tmp_path).outcome == "mended"
    assert beside(tmp_path) == before
    assert file_of(tmp_path).stat().st_ino == inode
    assert_sums(tmp_path)


def test_a_file_that_grew_too_far_is_built_whole(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    publish_approved(connection, tmp_path)
    connection.execute("UPDATE staging.post_days SET reactions = coalesce(reactions, 0) + 1")
    with (
        patch.object(draft, "SPARE_BYTES", 0),
        patch.object(draft, "SPARE_SHARE", 0.5),
        patch.object(draft, "build_whole", wraps=draft.build_whole) as build,
    ):
        assert publish_approved(connection, tmp_path).outcome == "published"
    assert build.called


def test_the_parquet_files_hold_the_rows_of_the_database(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    publish_approved(connection, tmp_path)
    rows, _ = shown(file_of(tmp_path))
    latest = tmp_path / INSTITUTION / "latest"
    described = json.loads((latest / "datapackage.json").read_text(encoding="utf-8"))
    assert {resource["name"] for resource in described["resources"]} == {name for name, frame in rows.items() if frame.height}
    for resource in described["resources"]:
        paths = [str(latest / part["path"]) for part in resource["parts"]]
        with duckdb.connect() as reader:
            reader.execute("SET TimeZone='UTC'")
            there = reader.execute("SELECT count(*) FROM read_parquet(?, hive_partitioning = false)", [paths]).fetchall()
            found: pl.DataFrame = reader.sql("FROM read_parquet(?, hive_partitioning = false) ORDER BY ALL", params=[paths]).pl()
        assert there == [(rows[resource["name"]].height,)]
        assert found.equals(rows[resource["name"]]), resource["name"]


# The rules of https://datapackage.org/profiles/2.0 for the members that we write.
PATH_RULE = {"type": "string", "pattern": r"^((?=[^./~])(?!file:)((?!\/\.\.\/)(?!\\)(?!:\/\/).)*|(http|ftp)s?:\/\/.*)$"}
HASH_RULE = {"type": "string", "pattern": r"^([^:]+:[a-fA-F0-9]+|[a-fA-F0-9]{32}|)$"}
FIELD_RULE = {
    "type": "object",
    "required": ["name", "type", "description"],
    "properties": {
        "name": {"type": "string"},
        "type": {"enum": ["string", "number", "integer", "date", "datetime", "boolean", "object", "array"]},
        "description": {"type": "string", "minLength": 3},
        "constraints": {"type": "object", "properties": {"required": {"type": "boolean"}}},
    },
}
PACKAGE_RULE = {
    "type": "object",
    "required": ["resources"],
    "properties": {
        "$schema": {"const": "https://datapackage.org/profiles/2.0/datapackage.json"},
        "name": {"type": "string"},
        "version": {"type": "string"},
        "resources": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "path", "bytes", "schema", "description"],
                "properties": {
                    "name": {"type": "string"},
                    "path": {"oneOf": [PATH_RULE, {"type": "array", "minItems": 1, "items": PATH_RULE}]},
                    "mediatype": {"type": "string", "pattern": "^(.+)/(.+)$"},
                    "bytes": {"type": "integer"},
                    "hash": HASH_RULE,
                    "parts": {"type": "array", "items": {"properties": {"path": PATH_RULE, "hash": HASH_RULE}}},
                    "schema": {
                        "type": "object",
                        "required": ["fields", "primaryKey"],
                        "properties": {
                            "fields": {"type": "array", "minItems": 1, "items": FIELD_RULE},
                            "primaryKey": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}


def test_the_data_package_is_one_and_says_what_is_there(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    publish_approved(connection, tmp_path)
    latest = tmp_path / INSTITUTION / "latest"
    described = json.loads((latest / "datapackage.json").read_text(encoding="utf-8"))
    assert [str(fault) for fault in Draft7Validator(PACKAGE_RULE).iter_errors(described)] == []
    declared = {product.table.name: product.table for product in products()}
    on_disk = {str(path.relative_to(latest)) for path in (latest / "parquet").rglob("*.parquet")}
    named: set[str] = set()
    for resource in described["resources"]:
        paths = [resource["path"]] if isinstance(resource["path"], str) else resource["path"]
        named |= set(paths)
        assert resource["bytes"] == sum((latest / path).stat().st_size for path in paths)
        assert [part["hash"] for part in resource["parts"]] == [f"sha256:{made.look_at(latest / path, '').sha256}" for path in paths]
        if resource["name"] in declared:
            table = declared[resource["name"]]
            assert [field["name"] for field in resource["schema"]["fields"]] == list(table.names)
            assert resource["schema"]["primaryKey"] == list(table.key)
    assert named == on_disk
    assert all(re.fullmatch(r"parquet/[a-z_.]+(/month=\d{4}-\d{2})?\.parquet", path) for path in named)
    assert export.SUMS not in named
