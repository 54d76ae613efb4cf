"""Each promise can be broken: for every one a sabotage that shows it failing, and what then becomes of the table.

Not here: the gate's own ways (test_gate.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.indicators.values import STATUSES
from assets.staging.common import MAX_DELTA_DAYS
from assets.staging.things import COVERAGE
from checks import promises
from checks.gate import audit
from checks.promises import PROMISES, WITHHOLD, Promise
from pipelines import stamps
from tests.checks.conftest import INSTITUTIONS, NOW, TABLES

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    import duckdb

    from checks.gate import Verdict

ENGAGEMENT, AUDIENCE, SITE, CONVERSATION = "indicators.engagement", "indicators.audience", "indicators.site", "indicators.conversation"
GOAL, SCORECARD = "goals.goal_community_engagement", "goals.goal_scorecard"
POSTS, POST_DAYS, ACCOUNT_DAYS, AT_AGE = "staging.posts", "staging.post_days", "staging.account_days", "indicators.post_measures"
LEDGER = COVERAGE.name
ONE_DAY = "period_type = 'day' AND period_start = DATE '2026-02-03'"

# Per promise: the table, what is done to alfa's rows ({alfa} stands for the condition that picks them), and a part of what must be found.
SABOTAGES: dict[str, tuple[str, str, str]] = {
    "key-unique": (ENGAGEMENT, "INSERT INTO {t} FROM {t} WHERE {alfa} AND indicator_key = 'saves' LIMIT 1", "saves"),
    "key-present": (
        ACCOUNT_DAYS,
        "ALTER TABLE {t} ALTER account_id DROP NOT NULL; UPDATE {t} SET account_id = NULL WHERE {alfa} AND followers = 1000",
        "account_id",
    ),
    "no-identifiers": (POSTS, "UPDATE {t} SET text = 'Tulis ke siti@example.org' WHERE {alfa} AND post_id = 'p1'", "1 not so: text"),
    "status-known": (
        ENGAGEMENT,
        "UPDATE {t} SET status = 'fine' WHERE {alfa} AND indicator_key = 'saves' AND status = 'not_applicable'",
        "fine",
    ),
    "value-when-ok": (GOAL, "UPDATE {t} SET reactions = NULL WHERE {alfa} AND reactions_status = 'ok'", "reactions (expected"),
    "finite": (GOAL, "UPDATE {t} SET reactions = 'NaN' WHERE {alfa} AND reactions_status = 'ok' AND {day}", "reactions"),
    "fraction-bounded": (
        SITE,
        "UPDATE {t} SET status = 'ok', value = 1.5 WHERE {alfa} AND indicator_key = 'bounce_rate' AND {day}",
        "bounce_rate (highest 1.5)",
    ),
    "growth-bounded": (
        AUDIENCE,
        "UPDATE {t} SET value = -1.5 WHERE {alfa} AND indicator_key = 'audience_growth_rate' AND status = 'ok'",
        "lowest -1.5",
    ),
    "scale-bounded": (
        CONVERSATION,
        "UPDATE {t} SET indicator_key = 'nps', value = 140, status = 'ok' WHERE {alfa} AND indicator_key = 'mentions'",
        "nps (ceiling 100",
    ),
    "count-not-negative": (
        AUDIENCE,
        "UPDATE {t} SET value = -1 WHERE {alfa} AND indicator_key = 'followers' AND status = 'ok'",
        "followers (lowest -1.0)",
    ),
    "loss-not-large": (
        AUDIENCE,
        "UPDATE {t} SET value = -500, numerator = -500 WHERE {alfa} AND indicator_key = 'impressions' AND status = 'ok' AND {day}",
        "impressions (lowest -500.0)",
    ),
    "ratio-has-denominator": (
        ENGAGEMENT,
        "UPDATE {t} SET denominator = 0 WHERE {alfa} AND indicator_key = 'applause_rate' AND status = 'ok'",
        "applause_rate (lowest 0)",
    ),
    "value-is-its-parts": (
        ENGAGEMENT,
        "UPDATE {t} SET value = value + 1e-9 WHERE {alfa} AND indicator_key = 'applause_rate'",
        "applause_rate (deviation",
    ),
    "nothing-over-zero": (
        SITE,
        "UPDATE {t} SET status = 'zero_denominator', numerator = 5, denominator = 0 WHERE {alfa} AND indicator_key = 'bounce_rate' AND {day}",
        "bounce_rate (expected 0, found 1)",
    ),
    "period-complete": (GOAL, "UPDATE {t} SET is_complete_period = NOT is_complete_period WHERE {alfa} AND {day}", "day"),
    "coverage-bounded": (
        ENGAGEMENT,
        "UPDATE {t} SET coverage = 1.5 WHERE {alfa} AND indicator_key = 'posts' AND {day}",
        "posts (highest 1.5)",
    ),
    "value-resolves": (
        SCORECARD,
        "UPDATE {t} SET definition_version = 99 WHERE {alfa} AND indicator_key = 'posts'",
        "posts (expected",
    ),
    "institution-is-sum": (
        ENGAGEMENT,
        "UPDATE {t} SET value = value + 1, numerator = numerator + 1 WHERE {alfa} AND indicator_key = 'posts' AND level = 'institution' AND {day}",
        "posts (expected",
    ),
    "platform-is-sum": (
        ENGAGEMENT,
        "UPDATE {t} SET value = value + 1, numerator = numerator + 1 WHERE {alfa} AND indicator_key = 'posts' AND level = 'account' AND {day}",
        "posts (expected",
    ),
    "trailing-windows": (
        AUDIENCE,
        "DELETE FROM {t} WHERE {alfa} AND indicator_key = 'followers' AND period_type = 'trailing_28d' AND period_end = DATE '2026-02-02'",
        "all followers (expected 19, found 18)",
    ),
    "column-resolves": (GOAL, "DELETE FROM ref.indicator WHERE {alfa} AND indicator_key = 'saves'", "saves (expected"),
    "goal-repeats-indicator": (
        GOAL,
        "UPDATE {t} SET reactions = reactions + 1 WHERE {alfa} AND reactions_status = 'ok' AND {day}",
        "reactions (expected",
    ),
    "named-all-there": (
        SCORECARD,
        "DELETE FROM {t} WHERE {alfa} AND indicator_key = 'bounce_rate' AND period_type = 'week'",
        "community_engagement week",
    ),
    "trend-known": (SCORECARD, "UPDATE {t} SET trend = 'sideways' WHERE {alfa} AND indicator_key = 'posts'", "sideways"),
    "light-known": (SCORECARD, "UPDATE {t} SET rag = 'blue' WHERE {alfa} AND indicator_key = 'posts'", "blue"),
    "light-follows-attainment": (
        SCORECARD,
        "UPDATE {t} SET rag = 'green' WHERE {alfa} AND indicator_key = 'posts'",
        "community_engagement (expected",
    ),
    "change-is-difference": (
        SCORECARD,
        "UPDATE {t} SET change_abs = 12345 WHERE {alfa} AND indicator_key = 'posts'",
        "community_engagement (expected",
    ),
    "post-type-known": (POSTS, "UPDATE {t} SET post_type = 'poem' WHERE {alfa} AND post_id = 'p5'", "poem"),
    "root-exists": (POSTS, "UPDATE {t} SET root_id = 'nowhere' WHERE {alfa} AND post_id = 'p2'", "thread_part (expected 1, found 0)"),
    "differences-sum": (
        POST_DAYS,
        "UPDATE {t} SET reactions = reactions + 1 WHERE {alfa} AND post_id = 'p3' AND day = DATE '2026-02-03'",
        "reactions (expected",
    ),
    "counter-not-fallen": (
        POST_DAYS,
        (
            "UPDATE staging.post_snapshots SET reactions = 1 WHERE {alfa} AND post_id = 'p5' AND day = DATE '2026-02-08'; "
            "UPDATE {t} SET reactions = 1 - 120 WHERE {alfa} AND post_id = 'p5' AND day = DATE '2026-02-08'"
        ),
        "reactions (deepest -0.99",
    ),
    "difference-spans-days": (
        POST_DAYS,
        "UPDATE {t} SET delta_days = 0 WHERE {alfa} AND post_id = 'p3' AND day = DATE '2026-02-03'",
        "x main p3 2026-02-03 (delta_days 0",
    ),
    "listing-usual": (
        POST_DAYS,
        "DELETE FROM {t} WHERE {alfa} AND platform = 'x' AND day = DATE '2026-02-08'",
        "x/main (expected 2.0, found 0)",
    ),
    "followers-not-negative": (
        ACCOUNT_DAYS,
        "UPDATE {t} SET followers = -5 WHERE {alfa} AND platform = 'x' AND day = DATE '2026-02-08'",
        "x main 2026-02-08 (followers -5",
    ),
    "followers-not-fallen": (
        ACCOUNT_DAYS,
        "UPDATE {t} SET followers = 500 WHERE {alfa} AND platform = 'x' AND day = DATE '2026-02-08'",
        "x/main (deepest -0.5",
    ),
    "fetched-is-there": (
        ACCOUNT_DAYS,
        "DELETE FROM {t} WHERE {alfa} AND platform = 'x' AND day = DATE '2026-02-05'",
        "x/main (expected 18, found 17)",
    ),
    "counter-not-negative": (AT_AGE, "UPDATE {t} SET reactions = -1 WHERE {alfa} AND post_id = 'p3'", "x main p3 (reactions -1"),
    "reach-below-views": (AT_AGE, "UPDATE {t} SET reach = exposures + 10 WHERE {alfa} AND post_id = 'p3'", "x main p3"),
    "no-synonyms": (AT_AGE, "UPDATE {t} SET views = 7 WHERE {alfa} AND post_id = 'p3'", "x (expected"),
    "ledger-status-known": (LEDGER, "UPDATE {t} SET status = 'perhaps' WHERE {alfa} AND NOT is_known", "perhaps"),
    "ledger-kind-known": (LEDGER, "UPDATE {t} SET kind = 'rumour' WHERE {alfa} AND stream = 'mentions'", "rumour"),
    "known-is-fetched": (LEDGER, "UPDATE {t} SET status = 'lost' WHERE {alfa} AND is_known AND day = DATE '2026-02-03'", "lost (expected"),
    "gap-has-reason": (LEDGER, "UPDATE {t} SET reason = NULL WHERE {alfa} AND NOT is_known", "lost (expected"),
    "every-stream-told": (
        LEDGER,
        "DELETE FROM {t} WHERE {alfa} AND platform = 'x' AND stream = 'mentions' AND day = DATE '2026-02-08'",
        "x/main mentions (expected 2026-02-08, found 2026-02-07)",
    ),
    "ledger-fresh": (LEDGER, "DELETE FROM {t} WHERE {alfa} AND day > DATE '2026-02-05'", "the ledger (nights 3)"),
}


def sabotage(connection: duckdb.DuckDBPyConnection, slug: str) -> str:
    """Break a promise for alfa; returns the table's name."""
    table, statements, _ = SABOTAGES[slug]
    for statement in statements.split("; "):
        connection.execute(statement.format(t=table, alfa="institution_id = 'alfa'", day=ONE_DAY))
    return table


def judged(connection: duckdb.DuckDBPyConnection, table: str, institution: str = "alfa") -> dict[str, Verdict]:
    verdicts = audit(connection, {table: TABLES[table]}, [institution], NOW, "run")
    return {verdict.promise: verdict for verdict in verdicts}


def is_approved(connection: duckdb.DuckDBPyConnection, table: str, institution: str = "alfa") -> bool:
    return not stamps.unapproved(connection, [TABLES[table]], institution)


def test_every_promise_has_a_sabotage_and_a_name_of_its_own() -> None:
    slugs = [promise.slug for promise in PROMISES]
    assert sorted(slugs) == sorted(set(slugs))
    assert set(SABOTAGES) == set(slugs)


def test_every_table_is_judged_by_more_than_its_key() -> None:
    for name in TABLES:
        assert len([promise for promise in PROMISES if promise.is_about(name)]) > 3, name


def test_all_promises_hold_in_the_warehouse_as_it_was_written(warehouse: duckdb.DuckDBPyConnection) -> None:
    verdicts = audit(warehouse, TABLES, INSTITUTIONS, NOW, "run")
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    assert all(is_approved(warehouse, table, name) for table in TABLES for name in INSTITUTIONS)
    held = {verdict.promise for verdict in verdicts if verdict.rows_judged > 0}
    without_rows = {"scale-bounded", "fraction-bounded"}
    assert held >= {promise.slug for promise in PROMISES} - without_rows


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.slug)
def test_a_broken_promise_is_found_and_decides_the_stamp(promise: Promise, warehouse: duckdb.DuckDBPyConnection) -> None:
    table = sabotage(warehouse, promise.slug)
    assert promise.is_about(table)
    verdicts = judged(warehouse, table)
    verdict = verdicts[promise.slug]
    assert not verdict.passed
    assert SABOTAGES[promise.slug][2] in verdict.found
    assert verdict.expected
    assert 0 < verdict.rows_failed <= verdict.rows_judged
    assert verdict.severity == promise.severity
    if promise.severity == WITHHOLD:
        assert not is_approved(warehouse, table)
    else:
        assert {broken.severity for broken in verdicts.values() if not broken.passed} == {"warn"}
        assert is_approved(warehouse, table)


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("Hubungi 0812-3456-7890", True),
        ("Hubungi +62 812 3456 7890", True),
        ("NIK 3174012345678901", True),
        ("Terima kasih @siti_rahma!", True),
        ("Terima kasih @siti@mastodon.example", True),
        ("Terima kasih @…, salam dari @main dan @Cahaya@mastodon.example", False),
        ("Terkumpul Rp 150.000.000 dari 1.250 donatur sejak 10.08.2026", False),
        ("https://mastodon.example/@main/115671806050319664", False),
    ],
)
def test_what_names_a_person_is_told_from_what_does_not(text: str, is_told: bool, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(f"UPDATE {POSTS} SET text = ? WHERE institution_id = 'alfa' AND post_id = 'p1'", [text])
    verdict = judged(warehouse, POSTS)["no-identifiers"]
    assert verdict.passed is not is_told


def test_a_message_does_not_repeat_the_identifier(warehouse: duckdb.DuckDBPyConnection) -> None:
    sabotage(warehouse, "no-identifiers")
    assert "siti" not in judged(warehouse, POSTS)["no-identifiers"].found


def test_the_vocabulary_is_that_of_the_rooms() -> None:
    assert set(promises.STATUSES) == set(STATUSES)
    assert promises.MAX_DELTA_DAYS == MAX_DELTA_DAYS
    told = next(column.comment for column in COVERAGE.columns if column.name == "status")
    assert all(status in told for status in promises.LEDGER_STATUSES)
