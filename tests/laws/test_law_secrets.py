"""Law 9, through Dagster: no token, no key and no person in any byte that a night leaves or says, also where everything fails.

Not here: a night that goes well (test_law_persons.py).
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from connectors import fetch
from pipelines.house import House
from pipelines.runner import run_job
from sandbox.facts import PLATFORMS
from sandbox.server import Running
from sandbox.world import Person, World
from tests.laws.test_law_persons import PERSONAL, WORD, Everything, bytes_of, places
from tests.support.nights import HMAC_KEY, TOKENS, instant, make_home, put_clock

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FORMER_KEY = "a former key that only this test knows"
BUG = "a bug of ours, in the middle of a night"


class _Kept(logging.Handler):
    """Every record of every logger, as a file would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def troubles(person: Person) -> list[dict[str, Any]]:
    """A token refused, a page for people and an error, all of them with a person in what they say."""
    told = f"{person.name} ({person.acct}, {person.email}, {person.phone})"
    return [
        {"path": "^/x.*mentions", "kind": "status", "status": 401, "body": {"title": "Unauthorized", "detail": f"not for {told}"}},
        {"path": "^/mastodon.*notifications", "kind": "status", "status": 200, "body": f"<html><p>{told}</p></html>"},
        {"path": "^/instagram.*/stories", "kind": "status", "status": 400, "body": {"error": {"code": 1, "message": told}}},
        {
            "path": "^/youtube.*/commentThreads",
            "kind": "status",
            "status": 403,
            "body": {"error": {"errors": [{"reason": "forbidden"}], "message": told}},
        },
        {"path": "^/x.*counts", "kind": "status", "status": 503, "body": {"error": "try later", "error_description": told}},
    ]


@pytest.fixture(scope="module")
def said(one_sandbox: Running, the_world: World, tmp_path_factory: pytest.TempPathFactory) -> Everything:
    """All that two nights left: one from the command line among failing platforms, one in this process with a bug of ours."""
    home = tmp_path_factory.mktemp("secrets") / "home"
    house = make_home(home, one_sandbox.url, platforms=PLATFORMS)
    environ = {name: house.environ[name] for name in house.environ} | {"TOLOK_HMAC_KEYS_FORMER": FORMER_KEY}
    one_sandbox.faults(troubles(next(iter(the_world.persons))))
    found: dict[str, bytes] = {}
    found["output of the command"] = _typed(home, environ, one_sandbox)
    one_sandbox.faults([])
    found |= _with_a_bug(House(home, environ, house.clock), one_sandbox)
    found |= bytes_of(home)
    return {name: (content.lower(), set(WORD.findall(content.lower()))) for name, content in found.items()}


def _typed(home: Path, environ: Mapping[str, str], sandbox: Running) -> bytes:
    sandbox.set_now(instant(0))
    told = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TOLOK_HOME": str(home), "TOLOK_NOW": instant(0).isoformat()}
    command = [sys.executable, "-c", "from pipelines.cli import app; app()", "run"]
    result = subprocess.run(command, cwd=ROOT, env=told | dict(environ), capture_output=True, check=False)
    assert result.returncode == 1, result.stderr.decode()
    return result.stdout + result.stderr


def _with_a_bug(house: House, sandbox: Running) -> dict[str, bytes]:
    put_clock(house, instant(1))
    sandbox.set_now(instant(1))
    kept = _Kept()
    logging.getLogger().addHandler(kept)
    try:
        with patch.object(fetch, "minimise", side_effect=RuntimeError(BUG)):
            outcome = run_job(house)
            raised = _raised(house)
    finally:
        logging.getLogger().removeHandler(kept)
    assert not outcome.is_success
    return {"what the run told": str(outcome).encode(), "log": "\n".join(kept.lines).encode(), "traceback": raised.encode()}


def _raised(house: House) -> str:
    from pipelines import night  # noqa: PLC0415

    try:
        night.fetch_and_land(house, house.institutions()[0], "raised")
    except ExceptionGroup as bugs:
        return "".join(traceback.format_exception(bugs)) + repr(vars(bugs)) + repr(house)
    pytest.fail("the bug was swallowed")


def test_the_walk_sees_what_failed(said: Everything) -> None:
    """A search that finds nothing is worth nothing unless it would find something."""
    assert b"refuses the token" in said["output of the command"][0]
    assert BUG.encode() in said["traceback"][0]
    assert any(name.startswith("dagster/") and b"refuses the token" in content for name, (content, _) in said.items())
    # Dagster tells of a group of errors how many there are; that it failed there is on its record.
    assert any(name.startswith("dagster/") and b"because of a fault in tolok" in content for name, (content, _) in said.items())


def test_no_token_and_no_key_is_said_or_kept(said: Everything) -> None:
    assert places(said, [*TOKENS.values(), HMAC_KEY, FORMER_KEY], but="tokens/") == {}


@pytest.mark.parametrize("attribute", PERSONAL)
def test_no_person_is_said_or_kept(attribute: str, said: Everything, the_world: World) -> None:
    assert places(said, [getattr(person, attribute) for person in the_world.persons]) == {}


def test_no_file_of_tokens_lies_outside_their_folder(said: Everything) -> None:
    """This home renews none; that a renewed one stands in `tokens/` alone, and who may read it, is tried in test_door_tokens and test_tokens."""
    assert not any(re.match(r"(?!tokens/).*token.*\.json$", name) for name in said)
