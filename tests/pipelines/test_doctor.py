"""The doctor: each fault is found, told with its remedy, and nothing is disturbed by looking.

Not here: how a night fails of these faults (tests/faults).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from assets.draft import STORAGE_VERSION
from assets.ledgers import SPENDING
from connectors import registry
from connectors.clock import InjectedClock, SystemClock
from pipelines import night
from pipelines.cli import app
from pipelines.doctor import Finding, Patient, State, examine
from pipelines.doctor.checks import ORDER, apis, checks, versions
from pipelines.doctor.checks.disk import NIGHT_BYTES
from pipelines.doctor.checks.published import OLD_READER, storage_of
from pipelines.house import House
from pipelines.warehouse import ensure
from sandbox.server import Running
from tests.support.nights import HMAC_KEY, TOKENS, copy_home, make_home

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('held', flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> House:
    """What each test's home is a copy of: to write the settings anew takes a second."""
    return make_home(tmp_path_factory.mktemp("pattern") / "home", "http://127.0.0.1:9")


@pytest.fixture
def house(pattern: House, tmp_path: Path) -> House:
    """A home with an institution and its secrets, whose platforms nobody asks."""
    return replace(copy_home(pattern, tmp_path / "home"), clock=SystemClock())


def told(house: House, check: str, *, is_offline: bool = True) -> list[Finding]:
    return [finding for finding in examine(house, is_offline=is_offline) if finding.check == check]


def worst(house: House, check: str, *, is_offline: bool = True) -> Finding:
    order = (State.RED, State.AMBER, State.GREEN)
    return min(told(house, check, is_offline=is_offline), key=lambda finding: order.index(finding.state))


def typed(house: House, *words: str) -> tuple[int, str]:
    environ = {"NO_COLOR": "1", "COLUMNS": "400", **house.environ}
    result = CliRunner().invoke(app, ["doctor", "--home", str(house.home), *words], env=environ)
    return result.exit_code, result.output


@pytest.fixture
def a_night(house: House) -> House:
    """A warehouse in which a night has ended an hour ago."""
    at = datetime.now(UTC) - timedelta(hours=1)
    with house.warehouse.open() as connection:
        night.begin_run(connection, "night-1", at, "night")
        connection.execute("UPDATE meta.run SET ended_at = ? WHERE run_id = 'night-1'", [at + timedelta(minutes=1)])
    return house


@pytest.fixture
def stranger(a_night: House) -> Iterator[int]:
    """Another process that has the warehouse open, and its number."""
    command = [sys.executable, "-c", HOLD, str(a_night.warehouse.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.stdin.close()


def test_every_red_and_every_amber_line_says_what_mends_it(house: House) -> None:
    for finding in examine(House(house.home / "nowhere", environ={}), is_offline=True) + examine(house, is_offline=True):
        assert finding.state is State.GREEN or finding.fix, finding


def test_a_home_that_is_well_has_nothing_red_and_exit_code_0(a_night: House) -> None:
    code, said = typed(a_night, "--offline")
    assert code == 0, said
    assert "0 red" in said


def test_a_red_line_gives_exit_code_1_and_json_tells_the_same(house: House) -> None:
    (house.institutions_path / "salah.toml").write_text("name = [", encoding="utf-8")
    code, said = typed(house, "--offline", "--json")
    found = json.loads(said)
    assert code == 1
    assert found["red"] == 1
    assert [one["check"] for one in found["findings"] if one["state"] == "red"] == ["settings"]


def test_no_secret_is_shown(a_night: House) -> None:
    said = typed(a_night, "--offline")[1] + typed(a_night, "--offline", "--json")[1]
    assert not [secret for secret in (HMAC_KEY, *TOKENS.values()) if secret in said]


def test_without_a_home_or_an_institution_it_says_how_to_begin(tmp_path: Path) -> None:
    empty = House(tmp_path / "nowhere", environ={})
    found = examine(empty, is_offline=True)
    assert not [finding for finding in found if finding.state is State.RED]
    assert "tolok init" in str(worst(empty, "settings").fix)
    assert not empty.home.exists()


def test_a_home_that_is_a_file_is_red_and_no_check_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "home"
    path.write_text("", encoding="utf-8")
    assert worst(House(path, environ={}), "home").state is State.RED
    assert told(House(path, environ={}), "last night")


def test_a_missing_and_a_short_key_are_red(house: House) -> None:
    for environ in ({}, {"TOLOK_HMAC_KEY": "short"}):
        assert worst(replace(house, environ=environ), "HMAC key").state is State.RED


def test_a_key_file_that_others_may_read_is_amber(house: House, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(HMAC_KEY, encoding="utf-8")
    path.chmod(0o644)
    keyed = replace(house, environ={"TOLOK_HMAC_KEY_FILE": str(path)})
    assert worst(keyed, "HMAC key") == ("HMAC key", State.AMBER, f"{path}: others may read it (mode 644)", f"chmod 600 {path}")
    path.chmod(0o600)
    assert worst(keyed, "HMAC key").state is State.GREEN


def test_a_token_that_is_absent_is_amber_and_one_that_cannot_be_one_or_be_read_is_red(house: House, tmp_path: Path) -> None:
    assert worst(replace(house, environ={}), "tokens").state is State.AMBER
    assert worst(replace(house, environ={"TOLOK_CAHAYA_X_TOKEN": "two words"}), "tokens").state is State.RED
    missing = {"TOLOK_CAHAYA_X_TOKEN_FILE": str(tmp_path / "missing")}
    assert "cannot be read" in worst(replace(house, environ=missing), "tokens").found


@pytest.mark.parametrize(
    ("days", "state"), [(-1, State.RED), (29, State.AMBER), (90, State.GREEN)], ids=["past", "in less than 30 days", "later"]
)
def test_a_kept_token_that_ends_is_told_ahead(house: House, days: int, state: State) -> None:
    folder = house.home / "tokens"
    folder.mkdir()
    path = folder / "tolok_cahaya_x.json"
    ends = (house.clock.now() + timedelta(days=days, hours=1)).isoformat()
    path.write_text(json.dumps({"access_token": "must-not-be-shown", "expires_at": ends}), encoding="utf-8")
    path.chmod(0o600)
    found = next(finding for finding in told(house, "tokens") if path.name in finding.found)
    assert found.state is state
    assert "must-not-be-shown" not in found.found
    path.chmod(0o644)
    assert next(finding for finding in told(house, "tokens") if path.name in finding.found).state is State.RED


@pytest.mark.parametrize(("days", "state"), [(-1, State.RED), (0, State.RED), (59, State.AMBER), (61, State.GREEN)])
def test_the_end_of_an_api_is_told_60_days_ahead(house: House, days: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    today: date = house.clock.now().date()
    ending = {name: replace(one, sunset=today + timedelta(days=days)) for name, one in registry.platforms().items()}
    monkeypatch.setattr(apis, "platforms", lambda: ending)
    assert {finding.state for finding in told(house, "API")} == {state}


def test_a_stranger_with_the_warehouse_open_is_named(a_night: House, stranger: int) -> None:
    found = worst(a_night, "warehouse lock")
    assert found.state is State.RED
    assert f"process {stranger} (" in found.found


def test_our_own_night_is_no_fault_and_its_warehouse_is_not_opened(a_night: House) -> None:
    script = (
        "import sys; from pathlib import Path; from pipelines.house import House\n"
        "house = House(Path(sys.argv[1]), environ={})\n"
        "with house.lock(), house.warehouse.open():\n    print('works', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(a_night.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "works\n"
        found = examine(a_night, is_offline=True)
        process.stdin.close()
        process.wait()
    assert not [finding for finding in found if finding.state is State.RED]
    assert f"process {process.pid}" in next(finding for finding in found if finding.check == "lock").found
    assert process.returncode == 0


def test_looking_takes_the_lock_from_nobody(a_night: House) -> None:
    examine(a_night, is_offline=True)
    with (a_night.home / "lock.json").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_clock_that_went_backwards_is_red(a_night: House) -> None:
    behind = replace(a_night, clock=InjectedClock(datetime.now(UTC) - timedelta(days=2)))
    assert "went backwards" in worst(behind, "clock").found
    assert worst(a_night, "clock").state is State.GREEN


def test_a_night_that_is_overdue_or_never_ended_is_amber(a_night: House) -> None:
    assert worst(a_night, "last night").state is State.GREEN
    assert worst(replace(a_night, clock=InjectedClock(datetime.now(UTC) + timedelta(days=3))), "last night").state is State.AMBER
    with a_night.warehouse.open() as connection:
        night.begin_run(connection, "night-2", datetime.now(UTC), "night")
    assert "never said that it ended" in worst(a_night, "last night").found


def test_a_warehouse_that_is_no_file_of_duckdb_or_a_newer_one_is_red(a_night: House) -> None:
    with a_night.warehouse.open() as connection:
        connection.execute("UPDATE meta.format SET version = 999")
    assert "newer Tolok" in worst(a_night, "warehouse").found
    a_night.warehouse.path.write_bytes(b"x" * 100_000)
    assert worst(a_night, "warehouse").state is State.RED


def test_a_published_file_that_an_older_duckdb_cannot_read_is_red(house: House) -> None:
    path = house.published_path / "cahaya" / "latest" / "tolok.duckdb"
    path.parent.mkdir(parents=True)
    duckdb.connect(str(path)).close()
    assert worst(house, "published").state is State.RED
    path.unlink()
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("CREATE TABLE old.a AS SELECT 1; CHECKPOINT old")
    assert storage_of(path) == OLD_READER
    assert worst(house, "published").state is State.GREEN
    (path.parent / "status.json").write_text('{"is_stale": true, "refused": ["goals.a"]}', encoding="utf-8")
    assert "not approved: goals.a" in worst(house, "published").found
    path.write_bytes(b"no database")
    assert "no DuckDB file" in worst(house, "published").found


def test_records_of_dagster_that_are_not_sound_are_red(house: House) -> None:
    house.dagster_path.mkdir(parents=True)
    path = house.dagster_path / "runs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE a (b TEXT)")
    connection.close()
    assert worst(house, "Dagster").found.startswith(f"{house.dagster_path / 'dagster.yaml'} is missing")
    path.write_bytes(path.read_bytes()[:100] + os.urandom(4000))
    assert worst(house, "Dagster").state is State.RED


def test_a_library_of_another_version_is_red(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "requires", lambda _: ["duckdb ~=99.0"])
    assert "made for" in worst(house, "versions").found


def test_a_disk_with_little_room_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((NIGHT_BYTES // 2, State.RED), (NIGHT_BYTES * 2, State.AMBER), (NIGHT_BYTES * 9, State.GREEN)):
        usage = shutil.disk_usage(house.home)._replace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        assert worst(house, "disk").state is state


def test_one_request_for_each_account_tells_whether_its_token_may_read(tmp_path: Path, sandbox: Running) -> None:
    house = replace(make_home(tmp_path / "home", sandbox.url), clock=SystemClock())
    sandbox.forget_requests()
    assert {finding.state for finding in told(house, "platforms", is_offline=False)} == {State.GREEN}
    asked = sandbox.requests()
    assert len(asked) == len(house.accounts(house.institutions()[0]["cahaya"])) == 3
    wrong = replace(house, environ=dict(house.environ) | {"TOLOK_CAHAYA_X_TOKEN": "withdrawn-by-its-owner"})
    found = told(wrong, "platforms", is_offline=False)
    assert [finding.state for finding in found] == [State.GREEN, State.RED, State.RED]
    assert all("the platform refuses the token (401" in finding.found for finding in found[1:])
    assert "withdrawn-by-its-owner" not in str(found)


def test_a_platform_that_does_not_answer_is_amber(house: House) -> None:
    found = told(house, "platforms", is_offline=False)
    assert {finding.state for finding in found} == {State.AMBER}


def test_offline_asks_nobody(tmp_path: Path, sandbox: Running) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    sandbox.forget_requests()
    examine(house, is_offline=True)
    assert sandbox.requests() == []


def test_every_check_is_a_file_with_a_function_of_its_name_and_has_its_place_in_the_telling() -> None:
    files = {path.stem for path in Path(apis.__file__).parent.glob("*.py")} - {"__init__"}
    assert [check.__name__ for check in checks()] == [*ORDER]
    assert files == {*ORDER}


def test_a_check_is_one_function(house: House) -> None:
    def mood(patient: Patient) -> list[Finding]:
        return [Finding("mood", State.GREEN, f"{len(patient.institutions)} institution")]

    assert examine(house, checks=(mood,)) == [("mood", State.GREEN, "1 institution", None)]


def spend(house: House, platform: str, requests: int, cost_usd: str, hours_ago: float = 0.0) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    with house.warehouse.open() as connection:
        ensure(connection, SPENDING)
        connection.execute(
            "INSERT INTO meta.spending VALUES ('cahaya', ?, 'a', 'posts', 'night-1', ?, ?, ?, ?, ?::DECIMAL(12,4))",
            [platform, at, at, at, requests, cost_usd],
        )


def test_what_a_day_used_stands_beside_its_allowance_and_is_amber_when_little_is_left(a_night: House) -> None:
    assert told(a_night, "quotas") == []
    spend(a_night, "mastodon", 12, "0")
    spend(a_night, "x", 7, "1.5", hours_ago=60)
    assert [finding.found.partition(" since ")[0] for finding in told(a_night, "quotas")] == ["cahaya mastodon: 12 requests"]
    spend(a_night, "x", 40, "4.25")
    near = worst(a_night, "quotas")
    assert near.state is State.AMBER
    assert near.found.startswith("cahaya x: 40 requests, 4.25 of 5.00 USD since ")
    assert near.fix is not None
    spend(a_night, "youtube", 9_001, "0")
    assert any("youtube: 9,001 of 10,000 requests" in finding.found for finding in told(a_night, "quotas"))
