"""Every sentence that Tolok can say when something fails has a row in docs/when-something-fails.md.

A row is satisfied by any of the code spans of its first column: the constant parts of the sentence in their order, `…` where it varies.
Not here: whether the advice is good.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "when-something-fails.md"
ROOMS = ("connectors", "assets", "checks", "pipelines")
# What these say is for whoever changes the code or a definition, before any night runs; the demo has no user's data.
FOR_CONTRIBUTORS = {
    "assets/indicators/formulas.py",
    "assets/indicators/registry/__init__.py",
    "assets/staging/mapping.py",
    "connectors/secret.py",
    "pipelines/demo.py",
    "pipelines/discretion.py",
    "pipelines/exits.py",
    "pipelines/tables.py",
}
# Exceptions of the library and of Python that are raised for contributors; ours are all others whose name is one of a failure.
NOT_OURS = {"AssertionError", "AttributeError", "KeyError", "NotImplementedError", "TypeError"}
FAILURE = re.compile(r"(?:Error|Failure|Permitted|Spent|Loop|Slow)$")
SAYING = {"_refuse", "print"}
VARIES = "…"
SHORTEST = 12


def words(node: ast.expr | None) -> str:
    """The constant text of an expression, with `…` for what is filled in; empty where there is none."""
    if isinstance(node, ast.JoinedStr):
        return "".join(words(part) if isinstance(part, ast.Constant) else VARIES for part in node.values)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (words(node.left) or VARIES) + (words(node.right) or VARIES)
    return ""


def sentences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of whatever is raised, put into a message, or printed to standard error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            is_failure = FAILURE.search(name) is not None and name not in NOT_OURS
            is_said = name in SAYING and (name != "print" or ast.unparse(node.func) == "err.print")
            if (is_failure or is_said) and node.args:
                yield node.lineno, words(node.args[0])
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in {"message", "fault"}:
            yield node.lineno, words(node.value)
        elif isinstance(node, ast.Return) and (text := words(node.value)).rstrip().endswith("."):
            yield node.lineno, text


def said() -> list[tuple[str, str]]:
    """Place and text of every sentence for users."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place in FOR_CONTRIBUTORS:
            continue
        for line, text in sentences(ast.parse(path.read_text(encoding="utf-8"))):
            if len(text.replace(VARIES, "").strip()) >= SHORTEST and " " in text.strip():
                found.append((f"{place}:{line}", " ".join(text.split())))
    return found


def patterns() -> list[list[str]]:
    """The constant parts of every code span in the first column of the page's tables."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    spans = [span for row in rows for span in re.findall(r"(?<!`)`([^`]+)`(?!`)|``\s?(.+?)\s?``", row.split(" | ")[0])]
    return [[part.strip() for part in (one or other).split(VARIES) if part.strip()] for one, other in spans]


def is_told(text: str, rows: list[list[str]]) -> bool:
    """Some pattern's parts stand in the text, in their order."""
    return any(parts and re.search(".*".join(map(re.escape, parts)), text) for parts in rows)


@pytest.mark.parametrize(("place", "text"), said())
def test_every_sentence_is_explained(place: str, text: str) -> None:
    assert is_told(text, patterns()), (
        f"{place} can say {text!r}, and docs/when-something-fails.md has no row for it. "
        "Add one whose first column holds, in backticks, a part of it that does not vary."
    )


def test_the_collector_finds_sentences_and_a_row_of_other_words_does_not_explain_them() -> None:
    tree = ast.parse('message = f"{who}: the moon is down."\nraise Unrelated(message)\nraise MoonError(f"No {thing} " f"tonight, sorry.")')
    assert [text for _, text in sentences(tree)] == ["…: the moon is down.", "No … tonight, sorry."]
    assert is_told("…: the moon is down.", [["the moon", "down"]])
    assert not is_told("…: the moon is down.", [["the sun"], ["down", "the moon"], []])
    assert len(said()) > 40


def test_every_row_says_what_it_means_what_to_do_the_exit_code_and_what_the_ledger_shows() -> None:
    for row in (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 5, row
        assert all(cells[1:]), row
        assert re.fullmatch(r"[0-4](?: or [0-4])*|none", cells[3]), row
