"""`tolok run` in a process of its own: what it tells meanwhile, and how it ends when it is told to.

Not here: kills without a warning (tests/faults), and what is typed wrong (test_cli.py).
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.house import House
from sandbox.server import Running
from tests.support.nights import instant, make_home

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TOLOK = [sys.executable, "-c", "from pipelines.cli import app; app()"]
# A platform that asks for patience: whoever waits for it can be told to stop.
PATIENCE = {"kind": "status", "path": "/mentions$", "status": 429, "headers": {"Retry-After": "1200"}}
END_S = 60


def environ_of(house: House, night: int) -> dict[str, str]:
    # A clock that stands still cannot be waited with: the machine's own is used where the run has to wait.
    return {**os.environ, **house.environ, "TOLOK_NOW": instant(night).isoformat(), "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}


def lines_of(house: House) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted((house.home / "logs").iterdir()) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_night_is_told_from_its_begin_to_its_end_on_standard_error_and_in_the_home(tmp_path: Path, sandbox: Running) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    sandbox.set_now(instant(3))
    sandbox.forget_requests()
    command = [*TOLOK, "run", "--home", str(house.home), "--log-format", "json", "--json"]
    ended = subprocess.run(command, cwd=ROOT, env=environ_of(house, 3), capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    kept = lines_of(house)
    assert ended.returncode == json.loads(ended.stdout)["exit_code"] == kept[-1]["exit_code"], ended.stderr
    assert told == kept
    events = [line["event"] for line in kept]
    assert (events[0], events[-1]) == ("begin", "end")
    assert {"fetch", "stream", "landed", "table", "audit", "publish"} <= set(events)
    assert {line["run"] for line in kept} == {json.loads(ended.stdout)["run"]}
    streams = [line for line in kept if line["event"] == "stream"]
    assert len(streams) == next(line for line in kept if line["event"] == "fetch")["streams"]
    facts = {"institution", "platform", "account", "stream", "records", "pages", "requests", "seconds"}
    assert all(facts <= line.keys() for line in streams)
    assert sum(int(str(line["requests"])) for line in streams) == len(sandbox.requests())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_told_to_stop_keeps_what_came_and_the_next_one_goes_on(
    number: signal.Signals, code: int, tmp_path: Path, sandbox: Running
) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    sandbox.set_now(instant(3))
    sandbox.faults([PATIENCE])
    environ = environ_of(house, 3)
    del environ["TOLOK_NOW"]
    command = [*TOLOK, "run", "--home", str(house.home)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + END_S
        while time.monotonic() < until and sum(1 for _ in house.home.glob("landing/incoming/*/*.json")) < 7:
            time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=END_S)
    assert process.returncode == code
    assert "The run was stopped by" in said
    assert "Traceback" not in said
    with house.lock(), house.warehouse.open(read_only=True) as connection:
        known = dict(connection.execute("SELECT stream, bool_or(is_complete) FROM meta.fetch GROUP BY 1").fetchall())
        reasons = {reason for (reason,) in connection.execute("SELECT DISTINCT reason FROM meta.fetch WHERE NOT is_complete").fetchall()}
        runs = connection.execute("SELECT ended_at IS NULL FROM meta.run").fetchall()
    assert known["accounts"]
    assert not known["mentions"] or reasons
    # The other account was not waited for: the two together ask for more patience than a run has.
    assert any("the run was stopped" in reason for reason in reasons)
    assert all("the run was stopped" in reason or "more than this run may still wait" in reason for reason in reasons)
    assert len(runs) == 1
    last = lines_of(house)[-1]
    assert (last["event"], last["outcome"]) == ("end", "stopped")
    sandbox.faults([])
    again = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert again.returncode in {0, 1}
    with house.warehouse.open(read_only=True) as connection:
        missing = connection.execute("SELECT account_id, stream FROM meta.fetch GROUP BY ALL HAVING NOT bool_or(is_complete)").fetchall()
    assert missing == []


def test_on_a_terminal_the_bar_names_the_step_of_how_many_and_elsewhere_nothing_is_drawn(tmp_path: Path, sandbox: Running) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    sandbox.set_now(instant(3))
    # Long enough for the bar, which is drawn ten times a second, to show the fetching.
    sandbox.faults([{"kind": "slow", "path": "/statuses$", "seconds": 2}])
    master, slave = pty.openpty()
    command = [*TOLOK, "run", "--home", str(house.home)]
    environ = environ_of(house, 3) | {"TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    shown = b""
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        while process.poll() is None or select.select([master], [], [], 0.2)[0]:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:
                    break
        assert process.stdout is not None
        plain = process.stdout.read().decode()
    os.close(master)
    text = shown.decode(errors="replace")
    assert "lists" in text
    assert "records" in text
    assert "publish/closing" in text
    steps = next(word for word in text.split() if word.startswith("1/"))
    assert f"{int(steps[2:]) - 1}/{steps[2:]}" in text, "the last step begins when all others are done"
    assert "\x1b" not in plain
