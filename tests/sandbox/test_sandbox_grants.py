"""The sandbox's X gives tokens as X does: for two hours, for a refresh token that serves once, to an app that it knows.

Not here: what the door makes of it (tests/connectors/test_tokens.py).
"""

from __future__ import annotations

import base64
from datetime import timedelta

import httpx
import pytest

from sandbox.grants import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH, LIFETIME_S, PATH
from sandbox.world import World
from tests.sandbox.conftest import Client

BASIC = {"Authorization": "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()}
PROFILE = "/x/2/users/2200000000000000001"


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


def renew(client: Client, token: str, headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
    return client.http.post(
        PATH, data={"grant_type": "refresh_token", "refresh_token": token, **more}, headers=BASIC if headers is None else headers
    )


def status_with(client: Client, token: str) -> int:
    return client.get(PROFILE, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_refresh_token_serves_once_and_gives_the_next(client: Client) -> None:
    first = renew(client, FIRST_REFRESH).json()
    assert first["expires_in"] == LIFETIME_S
    assert status_with(client, first["access_token"]) == 200
    again = renew(client, FIRST_REFRESH)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    second = renew(client, first["refresh_token"]).json()
    assert second["access_token"] != first["access_token"]
    assert status_with(client, second["access_token"]) == 200


def test_a_token_ends_after_two_hours_of_the_simulated_time(client: Client, world: World) -> None:
    token = renew(client, FIRST_REFRESH).json()["access_token"]
    client.set_now(world.nights[0] + timedelta(seconds=LIFETIME_S - 1))
    assert status_with(client, token) == 200
    client.set_now(world.nights[0] + timedelta(seconds=LIFETIME_S))
    assert status_with(client, token) == 401


def test_an_app_is_known_by_basic_authentication_or_by_its_name_in_the_form(client: Client) -> None:
    wrong = {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()}
    none: dict[str, str] = {}
    for headers in (wrong, none, {"Authorization": "Basic ???"}, {"Authorization": "Bearer x"}):
        refused = renew(client, FIRST_REFRESH, headers)
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized_client")
    assert renew(client, FIRST_REFRESH, {}, client_id=CLIENT_ID).status_code == 200


def test_faults_end_the_tokens_and_a_sign_in_by_hand_gives_new_ones(client: Client) -> None:
    pair = renew(client, FIRST_REFRESH).json()
    client.http.post("/_sandbox/faults", json={"path": PROFILE, "kind": "expire", "times": 1})
    assert status_with(client, pair["access_token"]) == 401
    pair = renew(client, pair["refresh_token"]).json()
    client.http.post("/_sandbox/faults", json={"path": PROFILE, "kind": "revoke", "times": 1})
    assert status_with(client, pair["access_token"]) == 401
    assert renew(client, pair["refresh_token"]).status_code == 400
    assert client.http.post("/_sandbox/sign_in", json={"refresh_token": ""}).status_code == 400
    client.http.post("/_sandbox/sign_in", json={"refresh_token": "by-hand"})
    assert renew(client, "by-hand").status_code == 200
    assert client.http.get("/_sandbox/sign_in").json() == {"issued": 1}


def test_such_a_token_reads_what_the_accounts_own_may_read_and_nothing_of_mastodon(client: Client, world: World) -> None:
    client.set_now(world.nights[40])
    token = renew(client, FIRST_REFRESH).json()["access_token"]
    asked = "?max_results=100&post.fields=non_public_metrics,created_at&exclude=retweets"
    page = client.get(f"{PROFILE}/tweets{asked}", headers={"Authorization": f"Bearer {token}"}).json()
    assert any("non_public_metrics" in post for post in page["data"])
    assert client.get("/mastodon/api/v1/accounts/109400000000000001", headers={"Authorization": f"Bearer {token}"}).status_code == 401
