"""A DuckDB file written anew: nothing of what was deleted is left in it, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.rewrite import compact

NEEDLE = "a-word-that-stands-nowhere-else"


def test_what_was_deleted_is_in_no_byte_and_comments_sequences_macros_and_views_are_there(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        # Packed, the needle could not be seen in the bytes, though it would be there.
        connection.execute("PRAGMA force_compression = 'uncompressed'")
        connection.execute("CREATE SCHEMA meta")
        connection.execute("CREATE SEQUENCE meta.ids")
        connection.execute("CREATE TABLE meta.t (a BIGINT NOT NULL, b VARCHAR)")
        connection.execute("COMMENT ON TABLE meta.t IS 'rows'")
        connection.execute("COMMENT ON COLUMN meta.t.a IS 'a number'")
        connection.execute("CREATE MACRO meta.next_of(x) AS x + 1")
        connection.execute("CREATE VIEW meta.v AS FROM meta.t")
        for number in range(5):
            connection.execute("INSERT INTO meta.t VALUES (nextval('meta.ids'), ?)", [f"{NEEDLE}{number}"])
        connection.execute("INSERT INTO meta.t SELECT range + 100, range || md5(range::VARCHAR) FROM range(50000)")
        connection.execute("CHECKPOINT")
        connection.execute("DELETE FROM meta.t WHERE b LIKE 'a-word%'")
        connection.execute("CHECKPOINT")
        assert NEEDLE.encode() in path.read_bytes()
        compact(connection, path)
    assert NEEDLE.encode() not in path.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*), meta.next_of(1) FROM meta.v").fetchall() == [(50000, 2)]
        assert connection.execute("SELECT comment FROM duckdb_tables()").fetchall() == [("rows",)]
        comments = "SELECT comment, is_nullable FROM duckdb_columns() WHERE table_name = 't' ORDER BY column_index"
        assert connection.execute(comments).fetchall() == [("a number", False), (None, True)]
        assert connection.execute("SELECT nextval('meta.ids')").fetchall() == [(6,)]


def test_a_reader_of_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    path, work = tmp_path / "published.duckdb", tmp_path / "published.duckdb.part"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    work.write_bytes(path.read_bytes())
    with duckdb.connect(str(path), read_only=True) as reader:
        with duckdb.connect(str(work)) as connection:
            connection.execute("UPDATE t SET a = 2")
            compact(connection, work, "v1.2.0")
        work.replace(path)
        assert reader.execute("FROM t").fetchall() == [(1,)]
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute("FROM t").fetchall() == [(2,)]
