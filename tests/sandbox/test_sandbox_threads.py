"""What the sandbox's Threads answers, held against a schema written from the contract (shared/design/platforms.md, 3) and against the world.

Not here: how it is asked and read (tests/connectors/test_threads.py).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.threads import FIRST_INSIGHT, LIFETIME, RENEWAL, THREAD_METRICS, TOKEN, lives, successor
from sandbox.world import THREADS, World, day_start

V1 = "/threads/v1.0"
OURS = f"{V1}/{THREADS.id}"
METRICS = ",".join(THREAD_METRICS)
MEDIA = (
    "id,media_type,media_product_type,permalink,timestamp,text,shortcode,is_quote_post,has_replies,owner,username,children,reposted_post"
)
ANSWER = "id,text,timestamp,username,replied_to,root_post,is_reply_owned_by_me"

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$"}
ID: dict[str, Any] = {"type": "string", "pattern": r"^\d+$"}
REFERENCE = {"type": "object", "properties": {"id": ID}, "required": ["id"], "additionalProperties": False}
COUNT = {"type": ["integer", "null"], "minimum": 0}


def object_of(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


CURSORS = object_of(["before", "after"], before=TEXT, after=TEXT)
PAGING = object_of(["cursors"], cursors=CURSORS, next=TEXT, previous=TEXT)
MEDIUM = object_of(
    ["id"],
    id=ID, media_type={"enum": ["TEXT_POST", "IMAGE", "VIDEO", "CAROUSEL_ALBUM", "AUDIO", "REPOST_FACADE"]},
    media_product_type={"const": "THREADS"}, permalink=TEXT, timestamp=TIME, text={"type": "string"}, shortcode=TEXT, username=TEXT,
    is_quote_post={"type": "boolean"}, has_replies={"type": "boolean"}, owner=REFERENCE, children={"type": "object"},
    reposted_post=REFERENCE, root_post=REFERENCE, replied_to=REFERENCE, is_reply_owned_by_me={"type": "boolean"},
)  # fmt: skip
LIST = object_of(["data"], data={"type": "array", "items": MEDIUM}, paging=PAGING)
VALUE = object_of(["value"], value=COUNT, end_time=TIME)
INSIGHT = {
    **object_of(
        ["name", "period", "title", "description", "id"],
        name=TEXT, period={"enum": ["day", "lifetime"]}, values={"type": "array", "items": VALUE}, total_value=object_of(["value"], value=COUNT),
        title=TEXT, description=TEXT, id=TEXT,
    ),
    "oneOf": [{"required": ["values"]}, {"required": ["total_value"]}],
}  # fmt: skip
INSIGHTS = object_of(["data"], data={"type": "array", "items": INSIGHT}, paging=object_of([], previous=TEXT, next=TEXT))
PROFILE = object_of(
    ["id"], id=ID, username=TEXT, name=TEXT, threads_biography=TEXT, threads_profile_picture_url=TEXT, is_verified={"type": "boolean"}
)
ERROR = object_of(
    ["error"],
    error=object_of(
        ["message", "type", "code", "fbtrace_id"],
        message=TEXT, type=TEXT, code={"type": "integer"}, error_subcode={"type": "integer"}, is_transient={"type": "boolean"}, fbtrace_id=TEXT,
    ),
)  # fmt: skip
RENEWED = object_of(
    ["access_token", "token_type", "expires_in"], access_token=TEXT, token_type={"const": "bearer"}, expires_in={"type": "integer"}
)


def faults_of(schema: dict[str, Any], body: object) -> list[str]:
    return [f"{'/'.join(map(str, fault.path))}: {fault.message[:200]}" for fault in Draft202012Validator(schema).iter_errors(body)]


class Threads:
    """The sandbox's Threads in this process, with its token."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def get(self, path: str, token: str | None = TOKEN, **params: str) -> Any:
        return self.client.get(path, params=params, headers={"Authorization": f"Bearer {token}"} if token else {})

    def body(self, path: str, **params: str) -> Any:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, path: str, **params: str) -> list[Any]:
        """All pages of a list, led on by the cursor alone."""
        found: list[Any] = []
        after = ""
        while True:
            page = self.body(path, **params, **({"after": after} if after else {}))
            if not page["data"]:
                return found
            found.append(page)
            after = page["paging"]["cursors"]["after"]


@pytest.fixture
def threads(client: Any) -> Threads:
    return Threads(client)


def last_thread(world: World, kind: str = "root") -> str:
    now = int(world.nights[-1].timestamp())
    return [one.post for one in world.timelines[THREADS.id].visible(now) if one.post.kind == kind][-1].id


@pytest.mark.parametrize(
    ("path", "params", "schema"),
    [
        (OURS, {}, PROFILE),
        (OURS, {"fields": "id,username,name,threads_biography,threads_profile_picture_url,is_verified"}, PROFILE),
        (f"{V1}/me", {"fields": "id"}, PROFILE),
        (f"{OURS}/threads", {}, LIST),
        (f"{OURS}/threads", {"fields": MEDIA, "limit": "100"}, LIST),
        (f"{OURS}/mentions", {"fields": ANSWER, "limit": "100"}, LIST),
        (f"{OURS}/threads_insights", {"metric": "views"}, INSIGHTS),
        (f"{OURS}/threads_insights", {"metric": "views,followers_count", "since": "1775000000", "until": "1776000000"}, INSIGHTS),
    ],
)
def test_an_answer_keeps_the_contract(threads: Threads, path: str, params: dict[str, str], schema: dict[str, Any]) -> None:
    body = threads.body(path, **params)
    assert faults_of(schema, body) == []
    assert body.get("data", [1])


def test_what_belongs_to_one_thread_keeps_the_contract(threads: Threads, world: World) -> None:
    now = int(world.nights[-1].timestamp())
    root = [showing.post.conversation_id for showing in world.comments[THREADS.id].visible(now)][-1]
    for path, params, schema in (
        (f"{V1}/{root}", {"fields": MEDIA}, MEDIUM),
        (f"{V1}/{root}/insights", {"metric": METRICS}, INSIGHTS),
        (f"{V1}/{root}/conversation", {"fields": ANSWER}, LIST),
    ):
        body = threads.body(path, **params)
        assert faults_of(schema, body) == []
        assert body.get("data", [1])


def test_the_schema_refuses_what_is_wrong() -> None:
    """Otherwise the tests above would prove nothing."""
    assert faults_of(LIST, {"data": [{"id": 5}]})
    assert faults_of(LIST, {"data": [{"id": "5", "favourites": 1}]})
    assert faults_of(INSIGHTS, {"data": [{"name": "views", "period": "day", "title": "t", "description": "d", "id": "i"}]})
    assert faults_of(INSIGHTS, {"data": [{"name": "views", "values": [{"value": -1}]}]})
    assert faults_of(ERROR, {"error": "no"})


# --- lists


@pytest.mark.parametrize("limit", ["100", "7", "1"])
def test_each_thread_stands_once_whatever_the_page_size_and_newest_first(threads: Threads, world: World, limit: str) -> None:
    pages = threads.pages(f"{OURS}/threads", fields="id,timestamp", limit=limit)
    found = [one for page in pages for one in page["data"]]
    expected = [one.post.id for one in world.timelines[THREADS.id].visible(int(world.nights[-1].timestamp()))]
    assert [one["id"] for one in found] == expected[::-1]
    assert ["next" in page["paging"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_mentions_never_say_that_there_is_a_next_page(threads: Threads, world: World) -> None:
    pages = threads.pages(f"{OURS}/mentions", limit="10")
    assert len(pages) > 3
    assert not any("next" in page["paging"] for page in pages)
    assert sum(len(page["data"]) for page in pages) == sum(1 for _ in world.mentions[THREADS.id].visible(int(world.nights[-1].timestamp())))


def test_a_conversation_holds_answers_to_answers_and_is_the_threads_own(threads: Threads, world: World) -> None:
    now = int(world.nights[-1].timestamp())
    below = [showing.post for showing in world.comments[THREADS.id].visible(now)]
    deep = next(post for post in below if post.reply_to_id != post.conversation_id)
    answers = threads.body(f"{V1}/{deep.conversation_id}/conversation", fields=ANSWER, limit="100")["data"]
    assert {one["id"] for one in answers} == {post.id for post in below if post.conversation_id == deep.conversation_id}
    told = next(one for one in answers if one["id"] == deep.id)
    assert (told["replied_to"]["id"], told["root_post"]["id"]) == (deep.reply_to_id, deep.conversation_id)
    owned = {post.id for post in below if post.author_id == THREADS.id}
    assert owned
    assert {one["id"] for one in answers if one["is_reply_owned_by_me"]} == owned & {one["id"] for one in answers}


def test_only_the_fields_that_were_asked_for_are_given_and_the_id_always(threads: Threads) -> None:
    assert {frozenset(one) for one in threads.body(f"{OURS}/threads")["data"]} == {frozenset({"id"})}
    assert {frozenset(one) for one in threads.body(f"{OURS}/threads", fields="text")["data"]} == {frozenset({"id", "text"})}


def test_what_is_asked_from_and_to_an_instant_lies_between_them(threads: Threads, world: World) -> None:
    since, until = (int(night.timestamp()) for night in world.nights[50:71:20])
    found = threads.body(f"{OURS}/threads", fields="timestamp", since=str(since), until=str(until), limit="100")["data"]
    times = [datetime.fromisoformat(one["timestamp"]).timestamp() for one in found]
    assert times
    assert all(since <= time < until for time in times)


# --- numbers


def test_a_threads_numbers_are_the_worlds_at_that_instant(threads: Threads, world: World) -> None:
    identity = last_thread(world)
    body = threads.body(f"{V1}/{identity}/insights", metric=METRICS)
    told = {one["name"]: one["values"][0]["value"] for one in body["data"]}
    counted = world.counters(world.by_id[identity], int(world.nights[-1].timestamp()))
    assert told == {
        "views": counted.view, "likes": counted.like, "replies": counted.reply, "reposts": counted.share, "quotes": counted.quote,
        "shares": counted.send,
    }  # fmt: skip


def test_a_repost_of_somebody_elses_has_an_empty_list_of_numbers(threads: Threads, world: World) -> None:
    identity = last_thread(world, "repost")
    assert threads.body(f"{V1}/{identity}/insights", metric="views") == {"data": []}
    assert threads.body(f"{V1}/{identity}", fields="media_type")["media_type"] == "REPOST_FACADE"


def test_the_days_of_the_profile_are_told_late_then_restated_and_then_stand(threads: Threads, client: Any, world: World) -> None:
    day = date(2026, 2, 3)
    start, end = (day_start("threads", one) for one in (day, day + timedelta(days=1)))
    told: list[int | None] = []
    for hours in (12, 30, 50, 200):
        client.set_now(datetime.fromtimestamp(end + hours * 3_600, UTC))
        (insight,) = threads.body(f"{OURS}/threads_insights", metric="views", since=str(start), until=str(end))["data"]
        told.append(insight["values"][0]["value"] if insight["values"] else None)
        assert all(value["end_time"] == "2026-02-04T00:00:00+0000" for value in insight["values"])
    settled = world.settled_day(THREADS, day).profile_views
    assert settled
    assert told[0] is None
    assert 0 < (told[1] or 0) < settled
    assert told[2:] == [settled, settled]


def test_followers_are_those_of_now_whatever_span_is_asked_for(threads: Threads, world: World) -> None:
    span = {"since": str(FIRST_INSIGHT), "until": str(FIRST_INSIGHT + 86_400)}
    for params in ({}, span):
        (told,) = threads.body(f"{OURS}/threads_insights", metric="followers_count", **params)["data"]
        assert told["total_value"]["value"] == world.followers(THREADS.id, int(world.nights[-1].timestamp()))


# --- refusals


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        (f"{OURS}/threads", {"fields": "favourites"}, 100),
        (f"{OURS}/threads", {"limit": "101"}, 100),
        (f"{OURS}/threads", {"limit": "0"}, 100),
        (f"{OURS}/threads", {"after": "%%%"}, 100),
        (f"{OURS}/threads", {"since": "1688540399"}, 100),
        (f"{OURS}/threads_insights", {"metric": "views,impressions"}, 100),
        (f"{OURS}/threads_insights", {"metric": "views", "since": str(FIRST_INSIGHT - 1), "until": "1775000000"}, 100),
        (f"{OURS}/threads_insights", {"metric": "views", "since": "1775000000"}, 100),
        (f"{OURS}/threads_insights", {}, 100),
        (f"{V1}/123456", {}, 100),
        (f"{V1}/123456/threads", {}, 100),
        (f"{V1}/123456/insights", {"metric": "views"}, 100),
        (f"/threads/v0.9/{THREADS.id}", {}, 2635),
        (RENEWAL, {"grant_type": "ig_refresh_token", "access_token": TOKEN}, 100),
        (RENEWAL, {"grant_type": "th_refresh_token", "access_token": "another"}, 190),
    ],
)
def test_a_refusal_is_a_400_with_the_platforms_code(threads: Threads, path: str, params: dict[str, str], code: int) -> None:
    answer = threads.get(path, **params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert faults_of(ERROR, answer.json()) == []


def test_a_metric_that_does_not_exist_refuses_the_whole_question_and_says_so(threads: Threads, world: World) -> None:
    answer = threads.get(f"{V1}/{last_thread(world)}/insights", metric="views,impressions")
    assert "metric[1] must be one of" in answer.json()["error"]["message"]


def test_the_numbers_of_somebody_elses_thread_are_not_permitted(threads: Threads, world: World) -> None:
    mention = [one.post for one in world.mentions[THREADS.id].visible(int(world.nights[-1].timestamp()))][-1]
    answer = threads.get(f"{V1}/{mention.id}/insights", metric="views")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 10)


@pytest.mark.parametrize("token", [None, "", "another", f"{TOKEN}-until-soon"])
def test_without_the_token_nothing_is_told(threads: Threads, token: str | None) -> None:
    answer = threads.get(f"{OURS}/threads", token=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 190)
    assert faults_of(ERROR, answer.json()) == []


# --- renewal


def test_a_token_is_renewed_without_a_header_and_the_new_one_opens_until_its_end(threads: Threads, client: Any, world: World) -> None:
    answer = threads.get(RENEWAL, token=None, grant_type="th_refresh_token", access_token=TOKEN)
    assert answer.status_code == 200
    assert faults_of(RENEWED, answer.json()) == []
    token = answer.json()["access_token"]
    assert token != TOKEN
    assert threads.get(OURS, token=token).status_code == 200
    client.set_now(world.nights[-1] + timedelta(seconds=LIFETIME))
    assert threads.get(OURS, token=token).status_code == 400
    assert threads.get(RENEWAL, token=None, grant_type="th_refresh_token", access_token=token).status_code == 400


def test_a_renewed_token_lives_for_sixty_days() -> None:
    token = successor(1_000_000)
    assert [lives(token, now) for now in (0, 1_000_000, 1_000_000 + LIFETIME - 1, 1_000_000 + LIFETIME)] == [True, True, True, False]


def test_the_log_of_requests_holds_no_token(threads: Threads, client: Any) -> None:
    threads.get(RENEWAL, token=None, grant_type="th_refresh_token", access_token=TOKEN)
    log = client.get("/_sandbox/requests").text
    assert RENEWAL in log
    assert TOKEN not in log
