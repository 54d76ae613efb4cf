"""What a platform can do to a night: each fault of door_faults.toml, from the fetch to the closing step's sentence and the exit code.

Not here: the door by itself (tests/connectors) and faults of this machine (the other files of this folder).
"""

from __future__ import annotations

import re
import socket
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import typer

from assets.publish import audited
from assets.staging.things import COVERAGE
from connectors import wire
from pipelines import cli, discretion, engine, night, runner
from pipelines.house import House
from pipelines.stamps import approve
from pipelines.warehouse import ensure
from pipelines.wiring import closing_asset
from sandbox.grants import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH
from sandbox.server import Running
from tests.support.nights import INSTITUTION, TOKENS, copy_home, derive, instant, make_home, play

pytestmark = pytest.mark.slow

TABLE = Path(__file__).with_name("door_faults.toml")
NIGHT = 61
X_ID, MASTODON_ID = "2200000000000000001", "109400000000000001"
STREAMS = {
    "x mentions": ("x", X_ID, "mentions", f"^/x/2/users/{X_ID}/mentions"),
    "mastodon posts": ("mastodon", MASTODON_ID, "posts", f"^/mastodon/api/v1/accounts/{MASTODON_ID}/statuses"),
}
FIRST_PAGE = {"x mentions": 100, "mastodon posts": 40}
SIGNED_IN = {
    "TOLOK_CAHAYA_X_REFRESH_TOKEN": FIRST_REFRESH,
    "TOLOK_CAHAYA_X_CLIENT_ID": CLIENT_ID,
    "TOLOK_CAHAYA_X_CLIENT_SECRET": CLIENT_SECRET,
}
SECRETS = (*TOKENS.values(), *SIGNED_IN.values(), "sandbox-x-access-", "sandbox-x-refresh-")
FAULTS: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"]


@dataclass(frozen=True)
class Told:
    """What a night told: the ledger's and coverage's rows by stream, the closing step's sentence, the exit code, what was asked."""

    ledger: dict[tuple[str, str, str], dict[str, Any]]
    coverage: dict[tuple[str, str, str], tuple[str, str | None]]
    sentence: str
    exit_code: int
    asked: Counter[str]
    records: Counter[tuple[str, str, str]]


@pytest.fixture(scope="module")
def base(one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home with one whole night behind it, everything derived and approved."""
    one_sandbox.faults([])
    house = make_home(tmp_path_factory.mktemp("base") / "home", one_sandbox.url)
    play(house, one_sandbox, instant(NIGHT - 1), "before")
    derive(house, "before")
    return house


@pytest.fixture(scope="module")
def whole(base: House, one_sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The night as it goes without a fault."""
    one_sandbox.faults([])
    return night_of(copy_home(base, tmp_path_factory.mktemp("whole") / "home"), one_sandbox)


def night_of(house: House, sandbox: Running) -> Told:
    """Fetch, land, bring coverage up to date and close, as a run does; what is derived otherwise stands as it was approved."""
    sandbox.forget_requests()
    play(house, sandbox, instant(NIGHT), "night")
    asked = Counter(request["path"].partition("?")[0] for request in sandbox.requests())
    transform = next(one for one in night.all_transforms() if one.output is COVERAGE)
    with house.warehouse.open() as connection:
        engine.run(connection, transform, [INSTITUTION], "night")
        for table in audited().values():
            # What the checks say of the tables is not what is tried here.
            ensure(connection, table)
            approve(connection, table, INSTITUTION, instant(NIGHT), "night")
        columns = "platform, account_id, stream, ledger_status, is_complete, reason, records"
        # A list that a budget ended has two rows: what was read, and, later in this order, what was not.
        rows = connection.execute(f"SELECT {columns} FROM meta.fetch WHERE run_id = 'night' ORDER BY is_complete DESC").fetchall()
        days = connection.execute(
            "SELECT platform, account_id, stream, status, reason FROM meta.coverage WHERE day = (SELECT max(day) FROM meta.coverage)"
        ).fetchall()
    # As every run does before its first step: the institution's own account ids may be told.
    discretion.install({account for _, account, _ in (row[:3] for row in rows)})
    result = dg.materialize([closing_asset()], resources={"house": house}, raise_on_error=False)
    outcome = runner._outcome(result, "night", None)
    return Told(
        {row[:3]: dict(zip(("ledger", "is_complete", "reason"), row[3:6], strict=True)) for row in rows},
        {row[:3]: (row[3], row[4]) for row in days},
        "\n".join(outcome.failures.values()),
        exit_code_of(outcome),
        asked,
        sum((Counter({row[:3]: row[6]}) for row in rows), Counter()),
    )


def exit_code_of(outcome: runner.Outcome) -> int:
    try:
        cli._tell(outcome, as_json=True)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


@contextmanager
def place(kind: str) -> Iterator[str]:
    """An address where nobody listens, or where somebody listens who takes no call."""
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{here.getsockname()[1]}"
        if kind == "nobody listens":
            yield address
            return
        here.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for caller in waiting:
            caller.setblocking(False)
            caller.connect_ex(here.getsockname())
        try:
            yield address
        finally:
            for caller in waiting:
                caller.close()


def ordered(fault: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The sandbox's orders, with the places filled in."""
    later = instant(NIGHT) + timedelta(seconds=90)
    hints = {
        "{in 90 s, HTTP date}": format_datetime(later, usegmt=True),
        "{in 90 s, epoch}": str(int(later.timestamp())),
        "{in 90 s, epoch ms}": str(int(later.timestamp() * 1000)),
        "{in 90 s, ISO 8601}": later.isoformat().replace("+00:00", ".000Z"),
    }
    return [
        {**order, "path": order["path"].replace("{path}", path)}
        | ({"headers": {name: hints.get(value, value) for name, value in order["headers"].items()}} if "headers" in order else {})
        for order in fault.get("order", [])
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["name"] for fault in FAULTS])
def test_the_night_says_what_the_table_says(
    fault: dict[str, Any], base: House, whole: Told, sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, account, stream, path = STREAMS[fault["stream"]]
    key = (platform, account, stream)
    environ = dict(base.environ) | (SIGNED_IN if fault.get("sign_in") else {}) | fault.get("environ", {})
    copied = copy_home(base, tmp_path / "home")
    house = House(copied.home, environ, copied.clock, fault.get("waiting_s", copied.waiting_s))
    for name, value in fault.get("limits", {}).items():
        monkeypatch.setattr(wire, name, value)
    sandbox.sign_in(FIRST_REFRESH)
    sandbox.faults(ordered(fault, path))
    with place(fault.get("place", "nobody listens")) as elsewhere:
        if "place" in fault:
            settings = house.institutions_path / f"{INSTITUTION}.toml"
            text = settings.read_text(encoding="utf-8")
            settings.write_text(text.replace(f'"{sandbox.url}/{platform}"', f'"{elsewhere}"'), encoding="utf-8")
        told = night_of(house, sandbox)

    expected = {"ledger": fault["ledger"], "is_complete": fault["is_complete"]}
    found = told.ledger[key]
    assert {name: found[name] for name in expected} == expected, found["reason"]
    assert told.records[key] == {"all": whole.records[key], "first page": FIRST_PAGE[fault["stream"]], "none": 0}[fault["kept"]]
    status, reason = told.coverage[key]
    assert status == fault["coverage"]
    assert told.exit_code == fault["exit_code"]
    assert fault["says"] in str(found["reason"])
    assert bool(fault["says"]) == (found["reason"] is not None) == fault["do"].endswith(".")
    if fault["exit_code"]:
        assert fault["says"] in str(reason)
        assert f"{INSTITUTION}: {platform}/{account} {stream} is {status}: {reason}" in told.sentence
    else:
        assert (reason, told.sentence) == (None, "")
        assert told.coverage == whole.coverage
    if fault.get("others", True):
        for other in whole.ledger.keys() - {key}:
            assert told.ledger[other] == whole.ledger[other]
            assert told.records[other] == whole.records[other]
    else:
        assert {row["ledger"] for (where, _, _), row in told.ledger.items() if where != platform} == {"fetched"}
    if "asked" in fault:
        assert sum(count for asked, count in told.asked.items() if re.match(path, asked)) == fault["asked"]
    assert not [secret for secret in SECRETS if secret in told.sentence + str(told.ledger) + str(told.coverage)]


def test_the_night_without_a_fault_is_whole(whole: Told) -> None:
    assert (whole.exit_code, whole.sentence) == (0, "")
    assert {row["ledger"] for row in whole.ledger.values()} == {"fetched"}
    assert all(whole.records[STREAMS[name][:3]] > FIRST_PAGE[name] for name in STREAMS)
