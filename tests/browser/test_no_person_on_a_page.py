"""Law 9 on the page: what Dagster shows of a run names no person, no token and no key."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from pipelines.demo import ENVIRON

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from sandbox.world import World
    from tests.browser.conftest import Ui

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
PATIENCE_S = 60
ATTRIBUTES = ("name", "handle", "mastodon_id", "x_id", "email", "phone", "avatar", "acct")


def test_a_runs_page_shows_no_person_and_no_secret(ui: Ui, chromium: Chrome, the_world: World) -> None:
    run_id = ui.ask(RUNS)["runsOrError"]["results"][0]["runId"]
    chromium.get(f"{ui.url}/runs/{run_id}")
    shown = ""
    for _ in range(PATIENCE_S * 2):
        shown = str(chromium.execute_script("return document.body.innerText"))
        if "STEP_SUCCESS" in shown:
            break
        time.sleep(0.5)
    assert "STEP_SUCCESS" in shown
    text = f"{shown}\n{chromium.page_source}".lower()
    words = set(re.findall(r"\w+", text))
    wanted = [*ENVIRON.values(), *(str(getattr(person, name)) for person in the_world.persons for name in ATTRIBUTES)]
    told = [one for one in map(str.lower, wanted) if set(re.findall(r"\w+", one)) <= words and one in text]
    assert told == []
