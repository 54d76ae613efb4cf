"""Nights whose token for X lives two hours: Tolok renews it by itself, and nothing of it stands anywhere but in the home's tokens/.

Not here: when and how a token is renewed (tests/connectors/test_tokens.py).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from connectors.secret import Secret
from connectors.tokens import read
from pipelines.house import House
from sandbox.grants import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH, PATH
from sandbox.server import Running
from tests.support.nights import INSTITUTION, instant, make_home, play

pytestmark = pytest.mark.slow

NIGHTS = range(30, 33)
KEPT = "tolok_cahaya_x_refresh_token.json"


@pytest.fixture
def house(sandbox: Running, tmp_path: Path) -> House:
    """A home whose X token is renewed, without another token for X."""
    made = make_home(tmp_path / "home", sandbox.url)
    signed_in = {"REFRESH_TOKEN": FIRST_REFRESH, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}
    environ = dict(made.environ) | {f"TOLOK_CAHAYA_X_{name}": value for name, value in signed_in.items()}
    del environ["TOLOK_CAHAYA_X_TOKEN"]
    sandbox.sign_in(FIRST_REFRESH)
    sandbox.forget_requests()
    return House(made.home, environ, made.clock)


def issued_to(house: House) -> list[Secret]:
    kept = read(house.tokens_path / KEPT)
    assert kept is not None
    return [kept.access_token, kept.refresh_token, kept.former_refresh_token]


def test_each_night_renews_once_and_reads_the_accounts_own_figures(house: House, sandbox: Running) -> None:
    for number in NIGHTS:
        assert play(house, sandbox, instant(number), f"night-{number}").gaps == []
    assert sum(request["path"] == PATH for request in sandbox.requests()) == len(NIGHTS)
    with house.warehouse.open(read_only=True) as connection:
        found = connection.execute(
            "SELECT run_id, count(*) FROM raw.x__posts WHERE payload->>'$.non_public_metrics.url_link_clicks' IS NOT NULL "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert [run_id for run_id, count in found if count > 10] == [f"night-{number}" for number in NIGHTS]


def test_the_tokens_stand_in_their_own_folder_and_nowhere_else_in_the_home(house: House, sandbox: Running) -> None:
    play(house, sandbox, instant(30), "night")
    secrets = [secret.reveal().encode() for secret in issued_to(house)]
    secrets += [FIRST_REFRESH.encode(), CLIENT_SECRET.encode()]
    assert all(secrets)
    files = {path: path.read_bytes() for path in house.home.rglob("*") if path.is_file()}
    texts = {path: gzip.decompress(content) if path.suffix == ".gz" else content for path, content in files.items()}
    holding = {path.relative_to(house.home).as_posix() for path, content in texts.items() if any(secret in content for secret in secrets)}
    assert holding == {f"tokens/{KEPT}"}


def test_an_institution_that_signed_in_again_goes_on_and_the_gap_is_filled(house: House, sandbox: Running) -> None:
    play(house, sandbox, instant(30), "night-30")
    sandbox.sign_in("signed-in-again")
    arrival = play(house, sandbox, instant(31), "night-31")
    assert {(gap.platform, gap.status) for gap in arrival.gaps} == {("x", "not_permitted")}
    assert all("Sign in again and put the new refresh token into TOLOK_CAHAYA_X_REFRESH_TOKEN" in gap.reason for gap in arrival.gaps)
    again = House(house.home, dict(house.environ) | {"TOLOK_CAHAYA_X_REFRESH_TOKEN": "signed-in-again"}, house.clock)
    assert play(again, sandbox, instant(31), "night-31-again").gaps == []


def test_two_accounts_of_one_sign_in_share_what_is_kept(house: House) -> None:
    usable, _ = house.institutions()
    accounts = [account for account in house.accounts(usable[INSTITUTION]) if account.platform == "x"]
    assert len(accounts) == 2
    assert all(account.tokens is not None and not account.token for account in accounts)
    assert all(account.tokens is None for account in house.accounts(usable[INSTITUTION]) if account.platform != "x")
