"""A disk that is full, or read-only, or another user's, at each stage of a night: a sentence, a code, and nothing lost.

The disk is a small one of the test's own where it may mount one; the limit of a file's size and a stranger's folder need no permission.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assets import asking, raw
from pipelines import engine
from pipelines.house import House
from pipelines.warehouse import HomeUnusableError
from sandbox.server import Running
from tests.faults.conftest import Copy
from tests.support import whole
from tests.support.nights import INSTITUTION, copy_home
from tests.support.whole import ROOT, assert_same, clean, environment, published_file, runs, signature, steps, typed

pytestmark = pytest.mark.slow

DISK_BYTES = 256 * 2**20
FULL = "is full: nothing more could be written"


def mounted(*words: str) -> None:
    told = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip(f"no disk may be mounted here: {told.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of the test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tolok-test", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Leave not a byte free."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


def filling(original: Callable[..., Any], disk: Path, *, after: int = 0) -> Callable[..., Any]:
    """The function, with the disk filled in the moment of its call, or of a later one."""
    left = after

    def filled(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left == 0:
            fill(disk)
        left -= 1
        return original(*args, **kwargs)

    return filled


STAGES: dict[str, tuple[Any, str, int]] = {
    "while landing": (asking, "fetch_window", 2),
    "while merging": (raw, "_decide", 1),
    "while filing": (raw, "_file", 1),
    "while deriving": (engine, "replace", 3),
    "while publishing": (whole, "publish", 0),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_fills_up_stops_the_night_with_a_sentence_and_when_there_is_room_nothing_is_missing(
    stage: str, night_due: House, undisturbed: House, at_last: Running, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del at_last
    house = copy_home(night_due, disk / "home")
    place, name, after = STAGES[stage]
    with monkeypatch.context() as patched:
        patched.setattr(place, name, filling(getattr(place, name), disk, after=after))
        with pytest.raises(HomeUnusableError) as told:
            steps(house, "full")
    assert f"The disk that holds {house.home} {FULL}" in str(told.value)
    old = signature(published_file(night_due, INSTITUTION))
    assert signature(published_file(house, INSTITUTION)) == old
    (disk / "ballast").unlink()
    steps(house, "rerun")
    assert_same(house, undisturbed)
    assert runs(house)["full"] == (None, "died")


def test_a_command_on_a_full_disk_says_so_and_ends_with_code_four(night_due: House, at_last: Running, disk: Path) -> None:
    house = copy_home(night_due, disk / "home")
    fill(disk)
    at_last.forget_requests()
    told = typed(house, "run")
    assert told.returncode == 4, told.stdout + told.stderr
    assert f"The disk that holds {house.home} {FULL}" in clean(told.stderr)
    assert "Traceback" not in told.stderr
    assert at_last.requests() == []


def limited() -> None:
    """No file may grow beyond a hundred kilobytes: as a quota does, this hits in the middle of the work."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def test_a_limit_of_the_size_of_files_stops_the_night_with_a_sentence_and_without_it_nothing_is_missing(
    night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    del at_last
    house = copy(night_due)
    script = (
        "import sys; from pipelines.house import House; from pipelines.warehouse import WarehouseError; from tests.support.whole import steps\n"
        "try: steps(House.from_environment(), 'limited')\nexcept WarehouseError as told: print(told); sys.exit(4)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(house), capture_output=True, text=True, check=False, preexec_fn=limited
    )
    assert told.returncode == 4, told.stdout + told.stderr
    assert f"A file under {house.home} may not grow further" in clean(told.stdout)
    steps(house, "rerun")
    assert_same(house, undisturbed)


def test_a_read_only_home_is_told_of_before_anything_is_fetched(night_due: House, at_last: Running, copy: Copy) -> None:
    house = copy(night_due)
    before = house.warehouse.path.read_bytes()
    mounted("--bind", str(house.home), str(house.home))
    try:
        mounted("-o", "remount,ro,bind", str(house.home))
        at_last.forget_requests()
        told = typed(house, "run")
        again = typed(house, "publish")
    finally:
        subprocess.run(["umount", str(house.home)], check=True)
    assert (told.returncode, again.returncode) == (4, 4), told.stderr + again.stderr
    assert f"{house.home} can only be read: its disk is mounted read-only" in clean(told.stderr)
    assert at_last.requests() == []
    assert house.warehouse.path.read_bytes() == before


def test_a_home_of_another_user_is_told_of_with_the_number_of_the_user_that_may_not(night_due: House, copy: Copy) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    house = copy(night_due)
    # All is imported while it may still be read: the interpreter may lie where the other user may not look.
    script = (
        "import os; from pipelines import cli, runner, definitions; cli._require_institutions.__name__; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); cli.app(['run'])"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment(house), capture_output=True, text=True, check=False)
    assert told.returncode == 4, told.stdout + told.stderr
    assert f"{house.home} may not be written by the user that runs Tolok (number 65534)" in clean(told.stderr)


@pytest.mark.parametrize("word", ["run", "publish"])
def test_a_home_that_is_not_there_or_is_a_file_is_a_sentence_with_the_path(word: str, night_due: House, tmp_path: Path) -> None:
    gone = House(tmp_path / "gone", night_due.environ, night_due.clock)
    told = typed(gone, word)
    assert told.returncode == 4
    assert f"the home {gone.home} is not there. If it is on a disk of its own, mount that" in clean(told.stderr)
    assert not gone.home.exists()
    gone.home.write_text("a file", encoding="utf-8")
    told = typed(gone, word)
    assert told.returncode == 4
    assert f"{gone.home} is a file, where the folder of the home must be" in clean(told.stderr)
    assert gone.home.read_text(encoding="utf-8") == "a file"


def test_without_dagsters_history_the_next_night_runs_and_gives_the_same_numbers(
    night_due: House, undisturbed: House, at_last: Running, copy: Copy
) -> None:
    """The instance is wiped while the warehouse stays."""
    del at_last
    house = copy(night_due)
    assert typed(house, "publish").returncode == 0
    assert (house.dagster_path / "history").exists()
    shutil.rmtree(house.dagster_path)
    told = typed(house, "run")
    assert told.returncode == 0, told.stderr
    assert_same(house, undisturbed)


@pytest.mark.parametrize("how", ["not a database", "cut short"])
def test_a_damaged_history_of_dagster_is_a_sentence_that_says_what_to_do_and_doing_it_helps(
    how: str, undisturbed: House, copy: Copy
) -> None:
    house = copy(undisturbed)
    assert typed(house, "publish").returncode == 0
    for path in house.dagster_path.rglob("*.db"):
        if how == "not a database":
            path.write_bytes(b"tolok" * 5000)
        else:
            os.truncate(path, path.stat().st_size // 2)
    told = typed(house, "publish")
    assert told.returncode == 4, told.stdout + told.stderr
    assert f"The history of runs under {house.dagster_path} is damaged" in clean(told.stderr)
    house.dagster_path.rename(house.home / "dagster.damaged")
    assert typed(house, "publish").returncode == 0
    shutil.rmtree(house.home / "dagster.damaged")
    assert_same(house, undisturbed)
