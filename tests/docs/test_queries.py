"""The queries of docs/queries.md run as they are written there, on a published file, with today's DuckDB and with 1.4.

Not here: whether the numbers are right (the end-to-end test compares them with the sandbox's ground truth).
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "queries.md"
OLDER_DUCKDB = ROOT / ".venv-duckdb14" / "bin" / "python"
# In the order of the page: what each question is called, and the columns that its text explains.
ASKED = {
    "engagement-by-week": (
        *("week", "platform", "rate_by_views", "rate_by_views_status", "rate_by_followers", "rate_by_followers_status"),
        *("rate_by_reach", "rate_by_reach_status", "posts_used", "is_provisional"),
    ),
    "growth-by-month": ("month", "platform", "followers_at_end", "net_new_followers", "growth_rate", "growth_status", "state"),
    "fundraising-last-month": (
        *("position", "label_id", "indicator_key", "month", "value", "unit", "status", "target", "attainment", "rag"),
        *("previous_value", "coverage", "is_provisional"),
    ),
    "missing-figures": ("goal_key", "indicator_key", "label_en", "status", "coverage", "why", "null_rule_en"),
    "not-fetched": ("platform", "account_id", "stream", "status", "first_day", "last_day", "days", "reason"),
    "best-posts": (
        *("engagement_rate_followers", "engagement_count", "followers_at_publication", "platform", "published", "place"),
        *("posts_compared", "is_giveaway", "excerpt", "url"),
    ),
}
# Run by another interpreter: all it knows is DuckDB.
ASK = """
import json, sys, duckdb
reader = duckdb.connect(sys.argv[1], read_only=True)
answers = []
for query in json.load(sys.stdin):
    answer = reader.execute(query)
    names = [column[0] for column in answer.description]
    answers.append([names, [[None if value is None else str(value) for value in row] for row in answer.fetchall()]])
json.dump([duckdb.__version__, answers], sys.stdout)
"""


@dataclass(frozen=True)
class Answer:
    names: tuple[str, ...]
    rows: list[dict[str, object]]


def queries() -> dict[str, str]:
    """The page's SQL blocks under the names given to them here."""
    blocks = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(ASKED), "docs/queries.md has gained or lost a query; name it in ASKED"
    return dict(zip(ASKED, blocks, strict=True))


def answers(published: Path) -> dict[str, Answer]:
    """What today's DuckDB answers."""
    found = {}
    with duckdb.connect(str(published), read_only=True) as reader:
        for name, query in queries().items():
            asked = reader.execute(query)
            names = tuple(column[0] for column in asked.description or ())
            found[name] = Answer(names, [dict(zip(names, row, strict=True)) for row in asked.fetchall()])
    return found


@pytest.mark.parametrize("name", ASKED)
def test_the_query_gives_rows_with_the_columns_that_the_page_explains(name: str, published_file: Path) -> None:
    answer = answers(published_file)[name]
    assert answer.names == ASKED[name]
    assert answer.rows


def test_a_rate_is_there_exactly_where_its_status_is_ok(published_file: Path) -> None:
    rows = answers(published_file)["engagement-by-week"].rows
    for rate in ("rate_by_reach", "rate_by_views", "rate_by_followers"):
        assert all((row[rate] is not None) == (row[f"{rate}_status"] == "ok") for row in rows)
        assert "ok" in {row[f"{rate}_status"] for row in rows}


def test_the_eight_terms_of_the_article_are_nine_rows_in_its_order(published_file: Path) -> None:
    rows = answers(published_file)["fundraising-last-month"].rows
    assert [row["position"] for row in rows] == list(range(1, 10))
    assert [row["indicator_key"] for row in rows[1:3]] == ["engagement_count", "engagement_rate"]
    assert len({row["month"] for row in rows}) == 1


def test_a_missing_figure_is_told_in_words(published_file: Path) -> None:
    assert all(row["why"] and row["why"] != row["status"] for row in answers(published_file)["missing-figures"].rows)


def test_the_ten_best_posts_are_ten_and_the_best_comes_first(published_file: Path) -> None:
    rates = [row["engagement_rate_followers"] for row in answers(published_file)["best-posts"].rows]
    assert len(rates) == 10
    assert rates == sorted(rates, key=lambda rate: -float(str(rate)))


def test_an_older_duckdb_gives_the_same_answers(published_file: Path) -> None:
    if not OLDER_DUCKDB.is_file():
        pytest.skip("no .venv-duckdb14: `make test` makes it")
    told = subprocess.run(
        [OLDER_DUCKDB, "-c", ASK, published_file],
        input=json.dumps(list(queries().values())),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    version, found = json.loads(told.stdout)
    assert version.startswith("1.4.")
    for (name, ours), (names, rows) in zip(answers(published_file).items(), found, strict=True):
        assert tuple(names) == ours.names
        assert rows == [[None if value is None else str(value) for value in row.values()] for row in ours.rows], name


def test_every_table_of_the_file_is_on_the_page_about_publishing(published_file: Path) -> None:
    page = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
    with duckdb.connect(str(published_file), read_only=True) as reader:
        tables = [name for (name,) in reader.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
    assert [name for name in tables if f"`{name}`" not in page] == []
