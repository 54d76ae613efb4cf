"""Exit codes: every failure of ours has one, from one table, and the pages for users tell the same.

Not here: the commands that end with them (test_cli.py, test_run.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assets
import checks
import connectors
import pipelines
from pipelines.cli import app
from pipelines.exits import CODES, MEANINGS, Exit, code_of, code_of_steps
from pipelines.settings import SettingsError
from pipelines.warehouse import WarehouseError

ROOT = Path(__file__).parents[2]
# Classes that never reach a command: caught where they arise, or the cleaned shape of an error that is not ours.
WITHIN = {"_UnknownNamesError", "ConcealedError", "LockedError"}


def failures() -> list[type[BaseException]]:
    """Every class of exceptions that a module of ours defines."""
    found: set[type[BaseException]] = set()
    for package in (connectors, assets, checks, pipelines):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name == "pipelines.demo":
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == module.name:
                    found.add(value)
    return sorted(found, key=lambda one: one.__name__)


@pytest.mark.parametrize("kind", failures(), ids=lambda kind: kind.__name__)
def test_every_failure_of_ours_has_an_exit_code(kind: type[BaseException]) -> None:
    assert kind.__name__ in WITHIN or next((CODES[one] for one in kind.__mro__ if one in CODES), None), (
        f"{kind.__name__} has no exit code: give it one in pipelines/exits.py, or derive it from a class that has one"
    )


def test_a_subclass_has_the_code_of_the_nearest_class() -> None:
    class FullError(WarehouseError): ...

    assert code_of(FullError()) is Exit.UNUSABLE
    assert code_of(SettingsError()) is Exit.WRONG
    assert code_of(KeyError()) is None
    assert code_of_steps(["FullError"]) is Exit.UNUSABLE


def test_what_stopped_the_run_outweighs_a_part_that_is_missing() -> None:
    assert code_of_steps([]) is Exit.WELL
    assert code_of_steps(["ZeroDivisionError"]) is Exit.NOT_WHOLE
    assert code_of_steps(["TransformError", "WarehouseError"]) is Exit.UNUSABLE


@pytest.mark.parametrize("place", ["README.md", "docs/when-something-fails.md", "docs/mulai.md"])
def test_the_pages_name_every_code(place: str) -> None:
    rows = [line.split("|")[1] for line in (ROOT / place).read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert {str(code.value) for code in Exit} <= {cell.strip() for row in rows for cell in row.split(",")}


def test_the_help_names_every_code() -> None:
    for words in (["--help"], ["run", "--help"], ["publish", "--help"]):
        said = " ".join(CliRunner().invoke(app, words, env={"COLUMNS": "400"}).output.split())
        assert all(f"{code.value} {meaning}" in said for code, meaning in MEANINGS.items())
