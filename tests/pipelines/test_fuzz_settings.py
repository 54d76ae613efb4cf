"""Settings that nobody would write: what comes out is an institution or a SettingsError in words, never anything else.

Not here: the faults that people make (test_settings.py). The number of examples is fixed, so that the time is.
"""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.places import DEEPEST, Place, lines_of
from pipelines.settings import Institution, SettingsError, load_institution
from pipelines.template import institution_template
from sandbox.institution import settings_toml

pytestmark = pytest.mark.slow

FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
SECRET = "s3cr3t-value-never-shown-1234567890abcdefgh"
GOOD = (institution_template("contoh"), settings_toml("http://127.0.0.1:1"))
SCALARS = (
    *("1", "-1", "0", "1.5", "nan", "inf", "-inf", "1e400", "9" * 40, "9" * 5000, "0x" + "f" * 900, "true", "false", '""', "''"),
    *("2026-01-01", "2026-02-30", "07:00:00", "1979-05-27T07:32:00-08:00", f'"{SECRET}"', '"\\ud800"', '"\\u0000"', '"x/2"', '"WIB"'),
    *("[]", "{}", "[[]]", "[1, 'a', 2026-01-01]", "{ a = { b = 1 } }", '"""\n\n"""', "[\n1,\n# c\n2,\n]"),
    *("[" * 30 + "]" * 30, "[" * 3000 + "]" * 3000, "{a=" * 500 + "1" + "}" * 500),
)
KEYS = (
    *("name", "zone", "id", "token", "access_token", "api_key", "accounts", "goals", "targets", "value", "platforms", "staff", "posts"),
    *("a.b.c", '"odd key"', "'x'", '""', "\u00e9", "accounts.id", "goals.fundraising.weights.mentions", "competitors"),
)
HEADERS = (
    "[accounts]",
    "[[accounts]]",
    "[goals]",
    "[goals.fundraising]",
    "[[goals]]",
    "[a.b]",
    "[[targets]]",
    "[[targets.x]]",
    "[",
    "[[",
    "[]",
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A good file, spoilt line by line."""
    lines = draw(st.sampled_from(GOOD)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        way = draw(st.integers(0, 5))
        if way == 0 and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw(st.sampled_from(SCALARS))}"
        elif way == 1:
            lines.insert(at, f"{draw(st.sampled_from(KEYS))} = {draw(st.sampled_from(SCALARS))}")
        elif way == 2:
            lines.insert(at, draw(st.sampled_from(HEADERS)))
        elif way == 3:
            del lines[at]
            lines = lines or [""]
        elif way == 4:
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
        else:
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(st.text(string.printable + "\u00e9\ud7ff\x00", max_size=4)) + lines[at][place:]
    return "\n".join(lines)


def load(folder: Path, content: bytes) -> Institution | str:
    path = folder / "uji.toml"
    path.write_bytes(content)
    try:
        return load_institution(path)
    except SettingsError as refused:
        return str(refused)


def held(told: Institution | str, folder: Path) -> None:
    """Either an institution, or a sentence that names the file and none of its secrets."""
    if isinstance(told, str):
        assert told.startswith(f"{folder / 'uji.toml'}: ")
        assert SECRET not in told
        assert len(told) < 20_000
        assert "Traceback" not in told


@FUZZ
@given(text=texts())
def test_a_spoilt_file_is_an_institution_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    held(load(folder, text.encode(errors="surrogatepass")), folder)


@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes_are_an_institution_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    held(load(folder, content), folder)
    held(load(folder, GOOD[1].encode() + b"\n" + content), folder)


@pytest.mark.parametrize(
    "opening", ["a = " + "[" * 20_000, "a = " + "{a=" * 20_000, "[" + "a." * 2_000 + "a]", "a." * 2_000 + "a = 1", "[[" * 20_000]
)
def test_nesting_without_end_is_refused(tmp_path: Path, opening: str) -> None:
    for text in (opening, f"{opening}\n{GOOD[0]}"):
        told = load(tmp_path, text.encode())
        assert isinstance(told, str)
        held(told, tmp_path)


def places(content: Any, place: Place = ()) -> dict[Place, Any]:
    """Every place of a document, as the standard library reads it."""
    found: dict[Place, Any] = {place: content} if place else {}
    members = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in members:
        found |= places(value, (*place, key))
    return found


@FUZZ
@given(text=texts())
def test_the_scanner_finds_every_place_that_the_parser_finds_on_a_line_that_tells_of_it(text: str) -> None:
    try:
        parsed = places(tomllib.loads(text))
    except (ValueError, RecursionError):
        return
    if any(len(place) > DEEPEST for place in parsed):
        return
    lines, written = lines_of(text), text.split("\n")
    # A table that only stands in the headers of others has no line of its own.
    assert set(lines) <= set(parsed)
    assert {place for place, value in parsed.items() if not isinstance(value, dict) or not value} <= set(lines)
    for place, line in lines.items():
        if isinstance(place[-1], str) and re.fullmatch(r"[a-z_]+", place[-1]):
            assert place[-1] in written[line - 1]


@settings(FUZZ, max_examples=60)
@given(spoilt=st.sampled_from(("zone", "handle", "indicator", "value", "period")), blank=st.lists(st.integers(0, 40), max_size=5))
def test_however_the_file_is_spaced_the_line_is_that_of_the_fault(
    tmp_path_factory: pytest.TempPathFactory, spoilt: str, blank: list[int]
) -> None:
    lines = GOOD[1].splitlines()
    for at in blank:
        lines.insert(at, "# zone = 1, handle, [[accounts]]")
    candidates = [number for number, line in enumerate(lines) if line.startswith(f"{spoilt} =")]
    lines[candidates[-1]] = f"{spoilt} = []"
    told = load(tmp_path_factory.getbasetemp(), "\n".join(lines).encode())
    assert isinstance(told, str)
    assert f"(line {candidates[-1] + 1})" in told
