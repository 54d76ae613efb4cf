"""Imports point one way: each room knows only what stands before it. Read from the import graph, not from memory.

Not here: what the rooms do.
"""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("connectors", "assets", "checks", "pipelines", "sandbox")
WAREHOUSE = {"pipelines.disk", "pipelines.tables", "pipelines.warehouse", "pipelines.stamps"}
MAY = {
    "connectors": set[str](),
    "assets": {"connectors", *WAREHOUSE},
    "checks": WAREHOUSE,
    "pipelines": {"connectors", "assets", "checks"},
    "sandbox": set[str](),
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, include_external_packages=True, cache_dir=None)


def imports_of(graph: grimp.ImportGraph, room: str) -> set[tuple[str, str]]:
    """Who in the room imports whom outside it."""
    inside = [module for module in graph.modules if module.split(".")[0] == room]
    return {
        (module, other) for module in inside for other in graph.find_modules_directly_imported_by(module) if other.split(".")[0] != room
    }


def allowed(other: str, may: set[str]) -> bool:
    return other in may or other.split(".", maxsplit=1)[0] in may


@pytest.mark.parametrize("room", ["connectors", "assets", "checks", "sandbox"])
def test_a_room_knows_only_the_rooms_before_it(room: str, graph: grimp.ImportGraph) -> None:
    strangers = {pair for pair in imports_of(graph, room) if pair[1].split(".")[0] in ROOMS and not allowed(pair[1], MAY[room])}
    assert strangers == set()


def test_the_sandbox_is_known_by_the_demo_alone(graph: grimp.ImportGraph) -> None:
    known_by = {module for room in ROOMS[:-1] for module, other in imports_of(graph, room) if other.split(".")[0] == "sandbox"}
    assert known_by <= {"pipelines.demo"}


@pytest.mark.parametrize(
    ("room", "foreign"),
    [
        ("connectors", {"dagster", "duckdb", "polars", "pandas"}),
        ("assets", {"dagster"}),
        ("checks", {"dagster"}),
        ("sandbox", {"dagster", "duckdb", "polars", "pandas"}),
    ],
)
def test_a_room_stays_free_of_tools_that_are_not_its_own(room: str, foreign: set[str], graph: grimp.ImportGraph) -> None:
    assert {pair for pair in imports_of(graph, room) if pair[1].split(".")[0] in foreign} == set()


def test_the_graph_holds_every_module_of_every_room(graph: grimp.ImportGraph) -> None:
    files = {path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.name != "__init__.py"}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    assert modules - graph.modules == set()


def test_every_room_opens_with_a_plaque() -> None:
    bare = [
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert bare == []
