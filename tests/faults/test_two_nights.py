"""One writer in a home, from whichever door it comes; readers and strangers neither delay a night nor lose anything of it.

Not here: a holder that dies in the middle of its work (test_killed.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from pipelines.house import House
from pipelines.lock import LockedError, locked
from sandbox.server import Running
from tests.faults.conftest import LAST, Copy
from tests.support.nights import INSTITUTION, instant, make_home
from tests.support.whole import (
    ROOT,
    SIGNATURE,
    asked,
    assert_same,
    clean,
    command,
    environment,
    holding,
    published_file,
    runs,
    signature,
    steps,
    typed,
    whole_night,
    working_in,
)

pytestmark = pytest.mark.slow

JOB = ["launch", "--job", "night"]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


@contextmanager
def at_work(house: House, sandbox: Running, line: list[str], seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A night in a process of its own, in the middle of its fetching: the platform lets it wait so many seconds."""
    sandbox.faults([{"path": "accounts|tweets|users", "kind": "slow", "seconds": seconds, "times": 2}])
    environ = environment(house) | {"DAGSTER_HOME": str(house.dagster_path)}
    house.dagster_path.mkdir(exist_ok=True)
    process = subprocess.Popen(line, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: any((house.landing_path / "incoming").glob("*/*")))
        yield process
    finally:
        sandbox.faults([])
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def dg(*words: str) -> list[str]:
    """Dagster's own command, as the page and the schedules start runs: Tolok's command line is not passed."""
    return [str(Path(sys.executable).with_name("dg")), *words]


def test_a_second_night_at_the_command_line_says_who_works_and_when_that_one_dies_the_next_takes_over(
    night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    """The first comes by Dagster's own door, the second by ours, the third after the first was killed."""
    house = copy(night_due)
    with at_work(house, at_last, dg(*JOB), seconds=60) as first:
        second = typed(house, "run")
        assert first.poll() is None
        note = json.loads((house.home / "lock.json").read_text(encoding="utf-8"))
    assert second.returncode == 3, second.stdout + second.stderr
    assert f"Nothing was done: another run works in {house.home} (process {note['pid']}, since {note['since']})" in clean(second.stderr)
    assert len(runs(house)) == len(runs(night_due)) + 1
    steps(house, "rerun")
    assert_same(house, undisturbed)


def test_a_night_that_dagster_starts_beside_one_of_the_command_line_fails_with_the_same_sentence_and_touches_nothing(
    night_due: House, at_last: Running, copy: Copy
) -> None:
    house = copy(night_due)
    with working_in(house.home):
        before = house.warehouse.path.read_bytes()
        environ = environment(house) | {"DAGSTER_HOME": str(house.dagster_path)}
        house.dagster_path.mkdir(exist_ok=True)
        at_last.forget_requests()
        told = subprocess.run(dg(*JOB), cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert house.warehouse.path.read_bytes() == before
    assert told.returncode != 0
    assert f"Nothing was done: another run works in {house.home} (process" in clean(told.stdout + told.stderr)
    assert at_last.requests() == []
    assert runs(house) == runs(night_due)


def test_a_reader_that_holds_the_published_file_all_night_sees_one_version_and_hinders_nothing(
    night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    house = copy(night_due)
    path = published_file(house, INSTITUTION)
    old = signature(path)
    with holding(path, read_only=True) as analyst:
        first = asked(analyst, SIGNATURE)
        assert whole_night(house, at_last, instant(LAST), "night") == {INSTITUTION: "published"}
        assert asked(analyst, SIGNATURE) == first == str([(old,)])
    assert signature(path) == signature(published_file(undisturbed, INSTITUTION)) != old


def test_a_stranger_that_holds_the_warehouse_before_the_night_is_told_of_before_anything_is_fetched(
    night_due: House, at_last: Running, copy: Copy
) -> None:
    house = copy(night_due)
    at_last.forget_requests()
    with holding(house.warehouse.path):
        told = typed(house, "run")
    assert told.returncode == 4
    assert f"another process holds {house.warehouse.path}" in clean(told.stderr)
    assert "Close the other program, then run again" in clean(told.stderr)
    assert at_last.requests() == []
    assert runs(house) == runs(night_due)


def test_what_was_fetched_while_a_stranger_took_the_warehouse_is_merged_the_next_time(
    night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    house = copy(night_due)
    with at_work(house, at_last, command("run"), seconds=8) as night, _held(house.warehouse.path):
        assert night.wait(120) == 4
    fetched = sorted((house.landing_path / "incoming").glob("*/*.json"))
    assert len(fetched) > 3
    steps(house, "rerun")
    assert_same(house, undisturbed)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """A stranger that takes the warehouse as soon as it is free."""
    end = time.monotonic() + 30
    while True:
        try:
            stranger = duckdb.connect(str(path))
            break
        except duckdb.IOException:
            assert time.monotonic() < end
            time.sleep(0.02)
    with stranger:
        yield


def test_the_lock_of_a_process_that_was_killed_is_free_and_its_note_is_not_believed(tmp_path: Path) -> None:
    with working_in(tmp_path) as process:
        note = json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))
        assert note["pid"] == process.pid
        process.kill()
        process.wait()
    assert json.loads((tmp_path / "lock.json").read_text(encoding="utf-8")) == note
    with House(tmp_path, environ={}).lock():
        assert json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))["pid"] == os.getpid()
    assert (tmp_path / "lock.json").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    "note",
    [
        "",
        "half a no",
        json.dumps({"pid": os.getpid(), "since": "2020-01-01T00:00:00+00:00", "process": "another-boot 4711"}),
        json.dumps({"pid": 2**22 + 1, "since": "2020-01-01T00:00:00+00:00", "process": "x 1"}),
        json.dumps({"pid": os.getpid(), "since": "2020-01-01T00:00:00+00:00"}),
    ],
    ids=["none", "cut short", "the number was given again", "nobody has the number", "of an older Tolok"],
)
def test_a_stale_note_is_never_told_as_the_truth(note: str, tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with path.open("a+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        path.write_text(note, encoding="utf-8")
        with pytest.raises(LockedError, match=r"^which one could not be told$"), locked(path):
            pass


def test_within_one_process_the_lock_may_be_taken_again_and_is_given_up_at_the_end_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    script = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"

    def is_free() -> bool:
        return subprocess.run([sys.executable, "-c", script, str(path)], stderr=subprocess.DEVNULL, check=False).returncode == 0

    with locked(path) as first:
        with locked(path) as second:
            assert (first, second) == (True, False)
        assert not is_free()
    assert is_free()


def test_a_home_that_two_processes_begin_at_once_is_begun_once(sandbox: Running, tmp_path: Path) -> None:
    """Whoever comes second is refused or, when the first has ended, finds a home like any other."""
    house = make_home(tmp_path / "home", sandbox.url)
    script = (
        "import sys; from pathlib import Path; from pipelines.house import House, HomeBusyError\n"
        "try:\n with House(Path(sys.argv[1]), environ={}).lock(): pass\n"
        "except HomeBusyError: sys.exit(3)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(house.home)], cwd=ROOT) for _ in range(2)]
    assert {process.wait(60) for process in both} in ({0}, {0, 3})
