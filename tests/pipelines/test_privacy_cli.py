"""The commands of privacy as a person meets them: what they type, what they read, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pipelines.cli import WRONG, app

PERSON = "1098765432101234567"


def typed(*words: str, said: str = "") -> tuple[int, str]:
    environ = {"TOLOK_HMAC_KEY": "k" * 32, "NO_COLOR": "1", "COLUMNS": "400"}
    result = CliRunner().invoke(app, list(words), input=said, env=environ)
    return result.exit_code, " ".join(result.output.split())


def bytes_under(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_an_id_is_read_from_standard_input_and_written_nowhere(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    code, said = typed("erase", "mastodon", "-", "--home", str(tmp_path), said=f"{PERSON}\n")
    assert code == 0
    assert "nothing was there; the person will not come in" in said
    assert PERSON not in said
    assert PERSON.encode() not in bytes_under(tmp_path)


def test_what_is_kept_of_a_person_is_told_and_left(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    code, said = typed("erase", "mastodon", "-", "--dry-run", "--home", str(tmp_path), said=f"{PERSON}\n")
    assert (code, json.loads(said)) == (0, [])


def test_an_account_of_ones_own_and_an_unknown_platform_are_refused(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    code, said = typed("erase", "mastodon", "1", "--home", str(tmp_path))
    assert code == WRONG
    assert "an account of the institution lazis itself. Nothing was erased" in said
    code, said = typed("erase", "friendster", PERSON, "--home", str(tmp_path))
    assert code == WRONG
    assert "There is no platform friendster; there are: facebook, instagram, mastodon, threads, x, youtube. Nothing was erased." in said
    assert PERSON not in said


def test_retention_tells_that_nothing_is_too_old(tmp_path: Path) -> None:
    typed("init", "lazis", "--home", str(tmp_path))
    for words in (("--dry-run",), (), ("--json",)):
        code, said = typed("retention", *words, "--home", str(tmp_path))
        assert code == 0
        assert "Nothing is too old." in said or json.loads(said)["taken"] == []
