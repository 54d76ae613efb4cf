"""Dagster's UI in a process of its own on the demo's home, and Chromium to look at it.

Not here: what is looked at. Pictures are kept under var/pictures/.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.support.played import PlayedHome, free_port

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "var" / "pictures"
START_S = 120


@dataclass(frozen=True)
class Ui:
    """A running UI."""

    url: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer to a GraphQL request.

        Raises:
            AssertionError: the answer holds errors.
        """
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data


@pytest.fixture(scope="session")
def ui(full_demo: PlayedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """`tolok ui --sandbox` on a copy of the demo's home."""
    home = tmp_path_factory.mktemp("ui") / "home"
    shutil.copytree(full_demo.home, home)
    port = free_port()
    command = [sys.executable, "-c", "from pipelines.cli import app; app()", "ui", "--sandbox", "--home", str(home), "--port", str(port)]
    log = (home / "ui.log").open("wb")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DAGSTER"))}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/server_info", home / "ui.log")
        yield Ui(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(START_S * 2):
        if process.poll() is not None:
            pytest.fail(f"the UI ended at once: {log.read_text(errors='replace')[-2000:]}")
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    pytest.fail(f"the UI did not answer within {START_S} s: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium that asks nobody but the page's own server."""
    browser = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("there is no Chromium with its driver on this machine")
    options = Options()
    options.binary_location = browser
    quiet = ("disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync")
    for flag in ("headless", "no-sandbox", *quiet, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    found = Chrome(options=options, service=Service(driver))
    found.set_window_size(1600, 1000)
    try:
        yield found
    finally:
        found.quit()
