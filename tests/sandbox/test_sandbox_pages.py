"""Paging, tokens, faults, the log: the sandbox's manners."""

import json
import re
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http.client import IncompleteRead
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.institution import settings_toml
from sandbox.server import Running, start
from sandbox.world import ACCOUNTS, MASTODON, PLATFORMS, X_MAIN, World

pytestmark = pytest.mark.slow

X = "/x/2/users/2200000000000000001"
STATUSES = f"/mastodon/api/v1/accounts/{MASTODON.id}/statuses"
NOTIFICATIONS = "/mastodon/api/v1/notifications"
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def link(answer: Any, relation: str) -> str | None:
    found = re.search(rf'<([^>]+)>; rel="{relation}"', answer.headers.get("link", ""))
    return found[1] if found else None


def x_pages(client: Any, path: str, **query: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = client.get(path, params=query | token).json()
        records.extend(page.get("data", []))
        assert page["meta"]["result_count"] == len(page.get("data", []))
        if "next_token" not in page["meta"]:
            return records
        token = {"pagination_token": page["meta"]["next_token"]}


def mastodon_pages(client: Any, path: str, relation: str, **query: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    answer = client.get(path, params=query)
    while answer.json():
        records.extend(answer.json())
        following = link(answer, relation)
        if following is None:
            break
        answer = client.get(following.removeprefix("http://testserver"))
    return records


@QUICK
@given(size=st.integers(5, 100))
def test_a_timeline_of_x_is_paged_without_loss_or_repetition(client: Any, world: World, size: int) -> None:
    got = [post["id"] for post in x_pages(client, f"{X}/tweets", max_results=size)]
    now = int(world.nights[-1].timestamp())
    assert got == [showing.version.id for showing in world.timelines[X_MAIN.id].visible(now)][::-1]


@QUICK
@given(size=st.integers(5, 100), days=st.integers(1, 20))
def test_mentions_of_x_between_two_instants_are_paged_without_loss_or_repetition(client: Any, world: World, size: int, days: int) -> None:
    end = world.nights[40]
    start = end - timedelta(days=days)
    query = {"start_time": start.astimezone(UTC).isoformat(), "end_time": end.astimezone(UTC).isoformat()}
    got = [item["id"] for item in x_pages(client, f"{X}/mentions", max_results=size, **query)]
    spans = [showing for showing in world.mentions[X_MAIN.id].showings if start.timestamp() <= showing.start < end.timestamp()]
    assert got == [showing.version.id for showing in spans][::-1]


@QUICK
@given(limit=st.integers(7, 40))
def test_statuses_are_paged_backwards_by_max_id_without_loss_or_repetition(client: Any, world: World, limit: int) -> None:
    got = [status["id"] for status in mastodon_pages(client, STATUSES, "next", limit=limit)]
    now = int(world.nights[-1].timestamp())
    assert got == [showing.version.id for showing in world.timelines[MASTODON.id].visible(now)][::-1]


@QUICK
@given(limit=st.integers(7, 40), place=st.integers(0, 100))
def test_notifications_are_paged_forwards_by_min_id_without_loss_or_repetition(client: Any, limit: int, place: int) -> None:
    everything = [notice["id"] for notice in mastodon_pages(client, NOTIFICATIONS, "next", limit=40)][::-1]
    got = mastodon_pages(client, NOTIFICATIONS, "prev", limit=limit, min_id=everything[place])
    assert sorted((notice["id"] for notice in got), key=int) == everything[place + 1 :]


def test_min_id_gives_the_oldest_page_and_since_id_the_newest(client: Any) -> None:
    everything = [status["id"] for status in mastodon_pages(client, STATUSES, "next", limit=40)]
    oldest = client.get(STATUSES, params={"limit": 5, "min_id": everything[-1]}).json()
    newest = client.get(STATUSES, params={"limit": 5, "since_id": everything[-1]}).json()
    assert [status["id"] for status in oldest] == everything[-6:-1]
    assert [status["id"] for status in newest] == everything[:5]


def test_a_limit_above_forty_is_cut_to_forty(client: Any) -> None:
    assert len(client.get(STATUSES, params={"limit": 400}).json()) == 40


def test_reblogs_and_replies_can_be_left_out(client: Any) -> None:
    shown = mastodon_pages(client, STATUSES, "next", limit=40, exclude_reblogs="true", exclude_replies="true")
    assert all(status["reblog"] is None and status["in_reply_to_account_id"] in (None, MASTODON.id) for status in shown)
    posts = x_pages(client, f"{X}/tweets", max_results=100, exclude="replies,retweets", **{"tweet.fields": "referenced_tweets"})
    assert {reference["type"] for post in posts for reference in post.get("referenced_tweets", [])} == {"quoted"}


def test_the_two_dialects_of_x_say_the_same_in_other_words(client: Any) -> None:
    new = x_pages(client, f"{X}/tweets", max_results=100, **{"post.fields": "public_metrics", "expansions": "author_id,referenced_posts"})
    old = x_pages(client, f"{X}/tweets", max_results=100, **{"tweet.fields": "public_metrics,author_id,referenced_tweets"})
    renamed = json.dumps(new).replace("repost_count", "retweet_count").replace("_post_ids", "_tweet_ids").replace("_posts", "_tweets")
    assert json.loads(renamed) == old


def test_x_gives_no_field_that_was_not_asked_for(client: Any) -> None:
    page = client.get(f"{X}/tweets").json()
    assert all(post.keys() == {"id", "text", "edit_history_post_ids"} for post in page["data"])
    assert len(page["data"]) == 10


def test_an_empty_page_of_x_has_no_data(client: Any) -> None:
    assert client.get(f"{X}/tweets", params={"start_time": "2026-04-30T18:59:59Z"}).json() == {"meta": {"result_count": 0}}


def test_private_metrics_are_a_partial_error_for_an_app_token_and_for_old_posts_and_for_reposts(client: Any, world: World) -> None:
    query = {"post.fields": "created_at,non_public_metrics", "expansions": "referenced_posts", "max_results": 100}
    by_app = client.get(f"{X}/tweets", params=query, headers={"Authorization": "Bearer sandbox-x-app-token"})
    assert by_app.status_code == 200
    assert len(by_app.json()["errors"]) == len(by_app.json()["data"])
    refused = {error["resource_id"] for error in client.get(f"{X}/tweets", params=query).json()["errors"]}
    month_ago = (world.nights[-1] - timedelta(days=30)).astimezone(UTC).isoformat()
    for post in client.get(f"{X}/tweets", params=query).json()["data"]:
        is_repost = any(reference["type"] == "retweeted" for reference in post.get("referenced_posts", []))
        is_old = post["created_at"].replace("Z", "+00:00") <= month_ago
        assert (post["id"] in refused) == (is_repost or is_old) == ("non_public_metrics" not in post)


def test_hourly_counts_add_up_to_the_mentions_of_the_week(client: Any, world: World) -> None:
    answer = client.get("/x/2/tweets/counts/recent", params={"query": "@lazcahaya", "granularity": "hour"}).json()
    now = int(world.nights[-1].timestamp())
    wanted = sum(now - 7 * 86_400 <= showing.start < now for showing in world.mentions[X_MAIN.id].visible(now))
    assert answer["meta"] == {"total_post_count": wanted}
    assert sum(bucket["post_count"] for bucket in answer["data"]) == wanted
    assert len(answer["data"]) == 168


def test_counts_further_back_than_seven_days_are_refused(client: Any) -> None:
    answer = client.get("/x/2/tweets/counts/recent", params={"query": "@lazcahaya", "start_time": "2026-04-01T00:00:00Z"})
    assert answer.status_code == 400


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer sandbox-mastodon-token"])
def test_x_refuses_a_token_that_is_not_its_own(client: Any, token: str | None) -> None:
    answer = client.get(X, headers={"Authorization": token} if token else {})
    assert answer.status_code == 401
    assert answer.json() == {"title": "Unauthorized", "detail": "Unauthorized", "type": "about:blank", "status": 401}


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer sandbox-x-user-token"])
def test_mastodon_refuses_a_token_that_is_not_its_own(client: Any, token: str | None) -> None:
    answer = client.get(STATUSES, headers={"Authorization": token} if token else {})
    assert (answer.status_code, answer.json()) == (401, {"error": "The access token is invalid"})


def test_each_platform_names_its_rate_limit_in_its_own_way(client: Any) -> None:
    assert client.get(STATUSES).headers["X-RateLimit-Reset"] == "2026-04-30T19:05:00.000Z"
    assert client.get(X).headers["x-rate-limit-reset"] == str(int(datetime(2026, 4, 30, 19, 15, tzinfo=UTC).timestamp()))


# -- faults ---------------------------------------------------------------------------------------------------------------------------


def order(client: Any, **fault: Any) -> None:
    assert client.http.post("/_sandbox/faults", json=[{"path": "/tweets", **fault}]).status_code == 200


def test_a_status_fault_is_over_after_its_times_and_begins_after_its_after(client: Any) -> None:
    order(client, kind="status", status=503, times=2, after=1, headers={"Retry-After": "7"})
    answers = [client.get(f"{X}/tweets") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["retry-after"] == "7"


def test_a_fault_without_times_lasts_until_it_is_deleted(client: Any) -> None:
    order(client, kind="status", status=500)
    assert {client.get(f"{X}/tweets").status_code for _ in range(5)} == {500}
    client.http.delete("/_sandbox/faults")
    assert client.get(f"{X}/tweets").status_code == 200


def test_a_fault_on_one_platform_leaves_the_other_alone(client: Any) -> None:
    client.http.post("/_sandbox/faults", json=[{"path": "^/x/", "kind": "status", "status": 503}])
    assert client.get(X).status_code == 503
    assert client.get(STATUSES).status_code == 200


def test_an_html_fault_is_a_page_for_people(client: Any) -> None:
    order(client, kind="html")
    answer = client.get(f"{X}/tweets")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_partial_error_leaves_a_record_out_and_says_so(client: Any) -> None:
    order(client, kind="partial_error", times=1)
    spoilt, good = client.get(f"{X}/tweets").json(), client.get(f"{X}/tweets").json()
    assert spoilt["data"] == good["data"][:-1]
    assert spoilt["errors"][0]["resource_id"] == good["data"][-1]["id"]


@pytest.mark.parametrize("path", [f"{X}/tweets", f"{X}/mentions", STATUSES, NOTIFICATIONS])
def test_same_page_leads_to_itself(client: Any, path: str) -> None:
    client.http.post("/_sandbox/faults", json=[{"path": ".", "kind": "same_page"}])
    first = client.get(path)
    if path.startswith("/x"):
        second = client.get(path, params={"pagination_token": first.json()["meta"]["next_token"]})
    else:
        second = client.get(str(link(first, "next")).removeprefix("http://testserver"))
    assert second.json() == first.json()


@pytest.mark.parametrize("path", [f"{X}/tweets", STATUSES, NOTIFICATIONS])
def test_endless_pages_name_ever_new_ones(client: Any, path: str) -> None:
    client.http.post("/_sandbox/faults", json=[{"path": ".", "kind": "endless"}])
    seen = set()
    answer = client.get(path)
    for _ in range(6):
        if path.startswith("/x"):
            following = answer.json()["meta"]["next_token"]
            answer = client.get(path, params={"pagination_token": following})
        else:
            following = str(link(answer, "next"))
            answer = client.get(following.removeprefix("http://testserver"))
        assert following not in seen
        seen.add(following)
        assert not (answer.json().get("data") if path.startswith("/x") else answer.json())


def test_a_redirect_leads_to_another_name_of_the_host(client: Any) -> None:
    order(client, kind="redirect")
    answer = client.get(f"{X}/tweets")
    assert (answer.status_code, answer.headers["location"]) == (307, f"http://localhost{X}/tweets")


@pytest.mark.parametrize(
    "fault", [{"path": "(", "kind": "status"}, {"path": ".", "kind": "flood"}, {"path": ".", "kind": "slow", "tmies": 1}]
)
def test_a_fault_that_cannot_be_meant_is_refused(client: Any, fault: dict[str, Any]) -> None:
    assert client.http.post("/_sandbox/faults", json=[fault]).status_code == 400


def fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": "Bearer sandbox-x-user-token"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def test_a_reset_cuts_the_connection_and_the_next_request_is_well(running: Running) -> None:
    running.faults([{"path": "/tweets", "kind": "reset", "times": 1}])
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        fetch(f"{running.url}{X}/tweets")
    assert json.loads(fetch(f"{running.url}{X}/tweets"))["data"]


def test_a_truncated_answer_ends_in_the_middle(running: Running) -> None:
    running.faults([{"path": "/tweets", "kind": "truncate", "times": 1}])
    with pytest.raises(IncompleteRead):
        fetch(f"{running.url}{X}/tweets")
    assert json.loads(fetch(f"{running.url}{X}/tweets"))["data"]


def test_a_slow_answer_is_whole_and_late(running: Running) -> None:
    running.faults([{"path": "/tweets", "kind": "slow", "times": 1, "seconds": 0.2}])
    before = time.monotonic()
    assert json.loads(fetch(f"{running.url}{X}/tweets"))["data"]
    assert time.monotonic() - before >= 0.2


# -- the log and the process ----------------------------------------------------------------------------------------------------------


def test_the_log_names_each_request_and_never_a_token(client: Any) -> None:
    client.get(f"{X}/tweets", params={"max_results": "5", "access_token": "sandbox-x-user-token"})
    client.get(STATUSES, headers={})
    log = client.http.get("/_sandbox/requests").json()
    assert [(entry["method"], entry["status"], entry["platform"], entry["has_token"]) for entry in log] == [
        ("GET", 200, "x", True),
        ("GET", 401, "mastodon", False),
    ]
    assert log[0]["path"].startswith(f"{X}/tweets?max_results=5")
    assert "sandbox-x" not in json.dumps(log)
    client.http.delete("/_sandbox/requests")
    assert client.http.get("/_sandbox/requests").json() == []


@pytest.mark.parametrize("now", ["yesterday", "2026-01-01T00:00:00", None])
def test_an_instant_without_a_zone_or_sense_is_refused(client: Any, now: str | None) -> None:
    assert client.http.post("/_sandbox/now", json={"now": now}).status_code == 400


def test_the_sandbox_refuses_to_listen_beyond_loopback() -> None:
    refused = subprocess.run([sys.executable, "-m", "sandbox", "--host", "0.0.0.0"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "loopback alone" in refused.stderr


def test_two_processes_answer_the_same_bytes(running: Running) -> None:
    paths = (f"{X}/tweets?max_results=100&post.fields=public_metrics,entities,created_at,lang", f"{X}/mentions?expansions=author_id")
    running.faults([])
    with start() as other:
        for process in (running, other):
            process.set_now(datetime(2026, 3, 1, 19, tzinfo=UTC))
        for path in paths:
            assert fetch(running.url + path) == fetch(other.url + path)


def test_a_stopped_sandbox_is_gone() -> None:
    with start(seed=8) as running:
        process = running.process
    assert process.poll() is not None
    running.stop()


def test_the_settings_name_what_the_sandbox_serves(client: Any) -> None:
    settings = tomllib.loads(settings_toml("http://127.0.0.1:9/"))
    assert settings["platforms"]["mastodon"]["base_url"] == "http://127.0.0.1:9/mastodon"
    for account in settings["accounts"]:
        if account["platform"] == "x":
            assert client.get(f"/x/2/users/{account['id']}").json()["data"]["username"] == account["handle"]
        else:
            assert client.get(f"/mastodon/api/v1/accounts/{account['id']}").json()["username"] == account["handle"]
    assert {entry["platform"] for entry in settings["staff"]} == {"x", "mastodon"}
    assert len(settings["goals"]["fundraising"]["accounts"]) == 2


def test_the_settings_name_all_six_platforms_when_they_are_asked_to() -> None:
    settings = tomllib.loads(settings_toml("http://127.0.0.1:9/", platforms=PLATFORMS))
    assert list(settings["platforms"]) == [*PLATFORMS]
    assert settings["platforms"]["youtube"]["analytics_base_url"] == "http://127.0.0.1:9/youtube_analytics"
    assert [(one["platform"], one["id"]) for one in settings["accounts"]] == [(one.platform, one.id) for one in ACCOUNTS]
    assert {one["platform"] for one in settings["staff"]} == set(PLATFORMS)
