"""The examples of the pages for contributors are real: they load, fit their declarations, and give what the page says.

Not here: the queries (test_queries.py).
"""

from __future__ import annotations

import json
import re
import types
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml

from assets.indicators.registry import Indicator
from assets.staging.common import given, raw_name
from assets.staging.mapping import SHAPES, PlatformMapping
from connectors.streams import Connector

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def loaded(text: str, name: str) -> types.ModuleType:
    """The text as a module, as if it stood in a file."""
    module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def platform() -> tuple[Connector, PlatformMapping]:
    door, meaning = blocks("add-a-platform.md", "python")
    connector, mapping = loaded(door, "door").CONNECTOR, loaded(meaning, "meaning").MAPPING
    assert isinstance(connector, Connector)
    assert isinstance(mapping, PlatformMapping)
    return connector, mapping


def test_the_platform_of_the_example_has_the_streams_that_its_meaning_reads(platform: tuple[Connector, PlatformMapping]) -> None:
    connector, mapping = platform
    assert connector.platform == mapping.platform
    assert {source.stream for sources in mapping.sources.values() for source in sources} == {stream.name for stream in connector.streams}


def test_the_platform_of_the_example_gives_the_common_shapes(platform: tuple[Connector, PlatformMapping]) -> None:
    _, mapping = platform
    payload = json.dumps(
        {"id": "7", "created_at": "2026-01-02T03:04:05Z", "followers_count": 5, "favourites_count": 3, "tags": [{"name": "Zakat"}]}
    )
    for shape, (source,) in mapping.sources.items():
        relation = duckdb.sql(
            "SELECT 'i' AS institution_id, 'a' AS account_id, DATE '2026-01-02' AS day, TIMESTAMPTZ '2026-01-02 19:00:00Z' AS observed_at, "
            "json_transform($payload, $types) AS p",
            params={"payload": payload, "types": json.dumps(source.json_types)},
        )
        assert relation is not None
        typed = relation.pl().with_columns(pl.col("observed_at").dt.convert_time_zone("UTC"))
        rows = given(shape, [mapping], {raw_name(mapping.platform, source.stream): typed.lazy()}).collect()
        assert rows.height == 1
        assert set(SHAPES[shape]) < set(rows.columns)


def test_the_indicator_of_the_example_is_a_valid_entry() -> None:
    (block,) = blocks("add-an-indicator.md", "yaml")
    ((key, entry),) = yaml.safe_load(block).items()
    assert Indicator(key=key, family="engagement", **entry).is_computed


def test_the_tests_of_the_example_pass() -> None:
    (block,) = blocks("add-an-indicator.md", "python")
    tests = [value for name, value in vars(loaded(block, "example")).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path) if path else page
        if not found.exists():
            lost.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor not in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}:
                lost.append(target)
    assert lost == []
