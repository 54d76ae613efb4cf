"""The command line as a person meets it: what they type, what they read, the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.backfill import span_of
from pipelines.cli import BUSY, UNUSABLE, WRONG, app
from pipelines.house import House
from pipelines.settings import Institution
from tests.support.whole import working_in

ROOT = Path(__file__).parents[2]


def typed(*words: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code and everything that was printed, folded lines joined."""
    result = CliRunner().invoke(app, list(words), env={"TOLOK_HMAC_KEY": "", "NO_COLOR": "1", "COLUMNS": "400", **(environ or {})})
    return result.exit_code, " ".join(result.output.split())


def test_init_writes_a_file_that_loads_and_refuses_to_overwrite_it(tmp_path: Path) -> None:
    code, said = typed("init", "lazis", "--home", str(tmp_path))
    path = tmp_path / "institutions" / "lazis.toml"
    assert code == 0
    assert "TOLOK_LAZIS_X_TOKEN" in said
    assert list(House(tmp_path, environ={}).institutions()[0]) == ["lazis"]
    before = path.read_bytes()
    code, said = typed("init", "lazis", "--home", str(tmp_path))
    assert code == WRONG
    assert "is already there and was left as it is" in said
    assert path.read_bytes() == before


def test_init_refuses_a_key_that_cannot_be_a_file_name(tmp_path: Path) -> None:
    code, said = typed("init", "../Lazis", "--home", str(tmp_path))
    assert code == WRONG
    assert "Nothing was written" in said
    assert not list(tmp_path.rglob("*.toml"))


def test_init_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("", encoding="utf-8")
    code, said = typed("init", "lazis", "--home", str(tmp_path / "a file"))
    assert code == UNUSABLE
    assert "could not be written (Not a directory). Give another folder with --home or TOLOK_HOME." in said


def test_run_without_an_institution_says_how_to_begin(tmp_path: Path) -> None:
    code, said = typed("run", "--home", str(tmp_path))
    assert code == WRONG
    assert "`tolok init NAME` writes a file to begin with" in said


def test_run_without_an_hmac_key_fetches_nothing(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    code, said = typed("run", "--home", str(tmp_path))
    assert code == WRONG
    assert "Nothing was fetched: there is no key" in said
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_run_names_an_unknown_platform(tmp_path: Path) -> None:
    code, said = typed("run", "--only", "friendster", "--home", str(tmp_path))
    assert code == WRONG
    assert "There is no platform friendster; there are: facebook, instagram, mastodon, threads, x, youtube" in said


def test_a_second_run_in_the_same_home_says_who_is_there_and_stops_with_its_own_code(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    with working_in(tmp_path):
        code, said = typed("run", "--home", str(tmp_path), environ={"TOLOK_HMAC_KEY": "k" * 32})
    assert code == BUSY
    assert "another run works in" in said
    assert "since 20" in said


def test_a_warehouse_in_other_hands_is_a_sentence_and_a_code(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    with House(tmp_path, environ={}).warehouse.open():
        pass
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "warehouse.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"
        code, said = typed("publish", "--home", str(tmp_path))
        assert stranger.stdin is not None
        stranger.stdin.close()
    assert code == UNUSABLE
    assert "another process holds" in said


def test_the_schema_is_printed_as_json() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert json.loads(result.stdout)["title"] == "Institution"


TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to", "2026-01-01"], "--to alone says no beginning"),
        (["--from", "yesterday"], "--from 'yesterday' is not a day"),
        (["--from", "2026-01-03", "--to", "2026-01-02"], "--from 2026-01-03 comes after --to 2026-01-02"),
        (["--from", f"{TODAY + timedelta(days=2)}"], "lies in the future"),
        (["--institution", "laz"], "There is no usable institution laz; there are: lazis"),
    ],
)
def test_a_backfill_that_cannot_be_is_refused_in_words_before_anything_is_done(tmp_path: Path, words: list[str], sentence: str) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    code, said = typed("run", *words, "--home", str(tmp_path), environ={"TOLOK_HMAC_KEY": "k" * 32})
    assert code == WRONG
    assert sentence in said
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_a_backfill_is_asked_for_by_tags_and_says_what_cannot_be_asked_for() -> None:
    institution = Institution.model_validate(
        {
            "id": "lazis", "name": "Lazis", "zone": "WIB", "goals": {"fundraising": {}},
            "accounts": [{"platform": "x", "id": "1", "handle": "lazis"}],
        }
    )  # fmt: skip
    now = datetime(2026, 3, 31, 20, tzinfo=UTC)
    assert span_of(None, None, now, [institution], []).tags == {}
    span = span_of("2026-03-01", "2026-03-31", now, [institution], [])
    assert span.tags == {"tolok/from": "2026-03-01", "tolok/to": "2026-03-31"}
    assert "x mention_hours cannot be asked for days before 2026-03-26" in span.remarks[0]
    # In Jakarta it is April already.
    assert span_of("2026-04-01", None, now, [institution], ["x"]).tags == {"tolok/from": "2026-04-01"}


@pytest.mark.parametrize("command", ["demo", "init", "run", "publish", "ui", "schema", "doctor"])
def test_every_command_explains_itself(command: str) -> None:
    code, said = typed(command, "--help")
    assert code == 0
    assert "Usage" in said
