"""The gate: what is judged, what is noted, what is approved.

Not here: what each promise finds (test_promises.py).
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from assets.reference import REFERENCE
from checks import gate
from checks.gate import CHECK_RESULT, BrokenCheckError, audit
from checks.judge import Expectation
from checks.promises import PROMISES, expect, promise
from checks.summaries import Rows, Summary
from tests.checks.conftest import INSTITUTIONS, NOW, TABLES
from tests.checks.test_promises import ACCOUNT_DAYS, POSTS, is_approved, judged, sabotage

if TYPE_CHECKING:
    import duckdb

    from checks.promises import Promise

ROOT = Path(__file__).parents[2]
FEW = {name: TABLES[name] for name in (POSTS, ACCOUNT_DAYS)}


def test_one_institutions_failure_leaves_the_others_approval(warehouse: duckdb.DuckDBPyConnection) -> None:
    table = sabotage(warehouse, "followers-not-negative")
    audit(warehouse, FEW, INSTITUTIONS, NOW, "run")
    assert not is_approved(warehouse, table, "alfa")
    assert is_approved(warehouse, table, "beta")
    assert is_approved(warehouse, POSTS, "alfa")


def test_a_refused_table_is_approved_again_after_mending(warehouse: duckdb.DuckDBPyConnection) -> None:
    audit(warehouse, FEW, ["alfa"], NOW, "one")
    table = sabotage(warehouse, "followers-not-negative")
    audit(warehouse, FEW, ["alfa"], NOW, "two")
    assert not is_approved(warehouse, table)
    warehouse.execute(f"UPDATE {table} SET followers = 1054 WHERE institution_id = 'alfa' AND followers = -5")
    verdicts = audit(warehouse, FEW, ["alfa"], NOW, "three")
    assert is_approved(warehouse, table)
    assert {verdict.table_name for verdict in verdicts if not verdict.unchanged} == {table}


def test_what_stands_as_approved_is_not_judged_again_and_changes_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    first = audit(warehouse, FEW, INSTITUTIONS, NOW, "one")
    told = warehouse.execute(f"FROM {CHECK_RESULT.name} ORDER BY ALL").fetchall()
    again = audit(warehouse, FEW, INSTITUTIONS, NOW + timedelta(days=1), "two")
    assert not any(verdict.unchanged for verdict in first)
    assert all(verdict.unchanged for verdict in again)
    assert len(again) == len(first)
    assert warehouse.execute(f"FROM {CHECK_RESULT.name} ORDER BY ALL").fetchall() == told


def test_a_warning_is_told_again_while_nothing_changes(warehouse: duckdb.DuckDBPyConnection) -> None:
    table = sabotage(warehouse, "fetched-is-there")
    first, again = judged(warehouse, table)["fetched-is-there"], judged(warehouse, table)["fetched-is-there"]
    assert (again.passed, again.found, again.unchanged) == (False, first.found, True)


def test_only_the_changed_months_are_judged(warehouse: duckdb.DuckDBPyConnection) -> None:
    whole = judged(warehouse, ACCOUNT_DAYS)["followers-not-negative"]
    warehouse.execute(f"UPDATE {ACCOUNT_DAYS} SET posts_total = 1 WHERE institution_id = 'alfa' AND day = DATE '2026-02-03'")
    part = judged(warehouse, ACCOUNT_DAYS)["followers-not-negative"]
    assert (whole.rows_judged, part.rows_judged) == (36, 16)


def test_a_row_of_a_changed_month_is_compared_with_its_twin_in_another(warehouse: duckdb.DuckDBPyConnection) -> None:
    judged(warehouse, POSTS)
    warehouse.execute(
        f"INSERT INTO {POSTS} SELECT * REPLACE (DATE '2026-02-01' AS day) FROM {POSTS} WHERE institution_id = 'alfa' AND post_id = 'p1'"
    )
    verdict = judged(warehouse, POSTS)["key-unique"]
    assert (verdict.passed, verdict.rows_failed) == (False, 2)


def test_rows_that_exclusive_or_would_confuse_are_judged_anew(warehouse: duckdb.DuckDBPyConnection) -> None:
    """{1, 1, 2} and {2, 5, 5} have the same exclusive or of hashes; their sums differ."""
    where = "WHERE institution_id = 'alfa' AND platform = 'x' AND day BETWEEN DATE '2026-02-01' AND DATE '2026-02-03'"
    for followers in ([1001, 1001, 1002], [1002, 1005, 1005]):
        for day, count in enumerate(followers, 1):
            warehouse.execute(f"UPDATE {ACCOUNT_DAYS} SET followers = ? {where} AND day = make_date(2026, 2, ?)", [count, day])
        assert not is_approved(warehouse, ACCOUNT_DAYS)
        assert not judged(warehouse, ACCOUNT_DAYS)["key-unique"].unchanged
        assert is_approved(warehouse, ACCOUNT_DAYS)


def test_a_promise_made_since_the_approval_is_asked(warehouse: duckdb.DuckDBPyConnection) -> None:
    judged(warehouse, ACCOUNT_DAYS)
    new = promise(
        ACCOUNT_DAYS,
        "many",
        "Everybody is followed.",
        expect("ExpectColumnValuesToBeBetween", column="followers", min_value=1e6),
        over=Rows(("followers",)),
    )
    with patch.object(gate, "PROMISES", (*PROMISES, new)):
        assert not judged(warehouse, ACCOUNT_DAYS)["many"].passed
    assert not is_approved(warehouse, ACCOUNT_DAYS)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            promise(
                ACCOUNT_DAYS,
                "broken",
                "No such column.",
                expect("ExpectColumnValuesToNotBeNull", column="nobody"),
                over=Rows(("followers",)),
            ),
            "nobody",
        ),
        (
            promise(
                ACCOUNT_DAYS, "broken", "No such expectation.", expect("ExpectMiracles", column="followers"), over=Rows(("followers",))
            ),
            "ExpectMiracles",
        ),
        (
            promise(
                ACCOUNT_DAYS,
                "broken",
                "No such table.",
                expect("ExpectColumnValuesToNotBeNull", column="what"),
                over=Summary("FROM nowhere"),
            ),
            "nowhere",
        ),
        (
            promise(
                ACCOUNT_DAYS,
                "broken",
                "A line without its figure.",
                expect("ExpectColumnValuesToNotBeNull", column="figure"),
                over=Summary("SELECT 'a' AS what"),
            ),
            "figure",
        ),
    ],
    ids=["column", "expectation", "query", "summary"],
)
def test_a_broken_check_is_not_bad_data(broken: Promise, told: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    with (
        patch.object(gate, "PROMISES", (broken, *PROMISES)),
        pytest.raises(BrokenCheckError, match=f"broken on {ACCOUNT_DAYS}.*{told}") as raised,
    ):
        audit(warehouse, FEW, INSTITUTIONS, NOW, "run")
    assert len(raised.value.faults) == len(INSTITUTIONS)
    # All others were judged, here and there, and nothing says that the data are bad.
    assert all(verdict.passed for verdict in raised.value.verdicts)
    assert {verdict.table_name for verdict in raised.value.verdicts} == set(FEW)
    assert warehouse.execute(f"SELECT count(*) FROM {CHECK_RESULT.name} WHERE promise = 'broken' OR NOT passed").fetchall() == [(0,)]
    assert not is_approved(warehouse, ACCOUNT_DAYS)
    assert is_approved(warehouse, POSTS)


def test_the_last_outcome_of_each_promise_is_noted(warehouse: duckdb.DuckDBPyConnection) -> None:
    table = sabotage(warehouse, "followers-not-negative")
    verdicts = judged(warehouse, table)
    noted = warehouse.execute(
        f"SELECT promise, sentence, severity, passed, expected, found, rows_judged, rows_failed, checked_at, run_id FROM {CHECK_RESULT.name} "
        "WHERE institution_id = 'alfa' AND table_name = ?",
        [table],
    ).fetchall()
    assert {row[0]: row[1:] for row in noted} == {
        slug: (one.sentence, one.severity, one.passed, one.expected, one.found, one.rows_judged, one.rows_failed, NOW, "run")
        for slug, one in verdicts.items()
    }


def test_a_table_without_rows_is_approved(warehouse: duckdb.DuckDBPyConnection) -> None:
    verdicts = judged(warehouse, "goals.goal_fundraising")
    assert {(verdict.passed, verdict.rows_judged) for verdict in verdicts.values()} == {(True, 0)}
    assert is_approved(warehouse, "goals.goal_fundraising")


def test_tables_of_reference_are_judged_by_their_keys(warehouse: duckdb.DuckDBPyConnection) -> None:
    tables = {table.name: table for table in REFERENCE}
    assert all(verdict.passed for verdict in audit(warehouse, tables, ["alfa"], NOW, "run"))
    warehouse.execute("INSERT INTO ref.institution FROM ref.institution WHERE institution_id = 'alfa'")
    failed = [verdict for verdict in audit(warehouse, tables, ["alfa"], NOW, "run") if not verdict.passed]
    assert [(verdict.table_name, verdict.promise) for verdict in failed] == [("ref.institution", "key-unique")]


@pytest.mark.parametrize(("table", "slug"), [("goals.goal_scorecard", "named-all-there"), ("indicators.audience", "trailing-windows")])
def test_a_table_that_lost_all_its_rows_is_refused(table: str, slug: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(f"DELETE FROM {table} WHERE institution_id = 'alfa'")
    assert not judged(warehouse, table)[slug].passed
    assert not is_approved(warehouse, table)


def test_unchanged_stamps_do_not_import_the_library(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    audit(warehouse, FEW, INSTITUTIONS, NOW, "run")
    warehouse.close()
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from checks.gate import audit
        from pipelines.warehouse import Warehouse
        from tests.checks.conftest import INSTITUTIONS, NOW, TABLES
        few = {{name: TABLES[name] for name in {tuple(FEW)!r}}}
        with Warehouse(Path({str(tmp_path / "warehouse.duckdb")!r})).open() as connection:
            verdicts = audit(connection, few, INSTITUTIONS, NOW, "again")
        assert verdicts and all(verdict.unchanged for verdict in verdicts)
        assert not [name for name in sys.modules if name.split(".")[0] == "great_expectations"]
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_an_expectation_is_told_in_words() -> None:
    from checks.judge import in_words  # noqa: PLC0415 beside its only use

    told = [
        in_words(each) for one in PROMISES for each in one.expectations(next(table for name, table in TABLES.items() if one.is_about(name)))
    ]
    assert all(told)
    assert not [text for text in told if text.startswith("Expect")]
    assert in_words(Expectation("ExpectMiracles", {"column": "a"})) == "ExpectMiracles {'column': 'a'}"
