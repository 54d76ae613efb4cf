"""What the sandbox answers as YouTube, held against Google's discovery documents (skipped where these are absent) and against the world.

Not here: what the pipeline makes of it (tests/connectors/test_youtube.py).
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from connectors.clock import InjectedClock
from connectors.fetch import fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.privacy import Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Window
from connectors.youtube import CONNECTOR
from sandbox.server import Running
from sandbox.standins import platform_of, stand_ins
from sandbox.world import YOUTUBE, Post, World, day_start
from sandbox.youtube import UPLOADS, length
from tests.sandbox.conftest import Client

CONTRACTS = Path(__file__).parents[2].parent / "shared/data/contracts"
needs_contracts = pytest.mark.skipif(not CONTRACTS.is_dir(), reason=f"the vendor's discovery documents are not at {CONTRACTS}")
TOKEN = {"Authorization": "Bearer sandbox-youtube-token"}
DATA, REPORTS = "/youtube/youtube/v3", "/youtube_analytics/v2/reports"
CHANNEL = f"channel=={YOUTUBE.id}"
Json = dict[str, Any]
Get = Callable[..., Any]


@pytest.fixture
def get(client: Client) -> Get:
    """Ask with YouTube's token; returns status and body."""

    def ask(path: str, **query: object) -> tuple[int, Json]:
        answer = client.get(path, params={name: str(value) for name, value in query.items()}, headers=TOKEN)
        return answer.status_code, answer.json()

    return ask


def shown(world: World) -> list[Post]:
    """The films that stand at the last night, newest first."""
    now = int(world.nights[-1].timestamp())
    return [one.post for one in world.timelines[YOUTUBE.id].visible(now)][::-1]


# -- the contract -------------------------------------------------------------------------------------------------------------------


@cache
def discovery(name: str) -> Any:
    return json.loads((CONTRACTS / name).read_text(encoding="utf-8"))


def schema(told: Json) -> Json:
    """A discovery schema as JSON Schema: what it does not name is refused."""
    if "$ref" in told:
        return {"$ref": f"#/$defs/{told['$ref']}"}
    if told.get("type") == "object" and "properties" in told:
        return {
            "type": "object",
            "properties": {name: schema(one) for name, one in told["properties"].items()},
            "additionalProperties": False,
        }
    if told.get("type") == "object":
        return {"type": "object", "additionalProperties": schema(told.get("additionalProperties", {"type": "any"}))}
    if told.get("type") == "array":
        return {"type": "array", "items": schema(told["items"])}
    if told.get("type") == "any":
        return {}
    found: Json = {name: told[name] for name in ("type", "enum") if name in told}
    if told.get("format") in {"uint64", "int64"}:
        found["pattern"] = r"^-?\d+$" if told["format"] == "int64" else r"^\d+$"
    if told.get("format") == "date-time":
        found["pattern"] = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
    if told.get("format") == "uint32":
        found["minimum"] = 0
    return found


def faults_of(document: str, name: str, body: object) -> list[str]:
    whole = {"$ref": f"#/$defs/{name}", "$defs": {key: schema(one) for key, one in discovery(document)["schemas"].items()}}
    assert validator_for(whole, default=Draft202012Validator) is Draft202012Validator
    return [f"{'/'.join(map(str, one.path))}: {one.message[:160]}" for one in Draft202012Validator(whole).iter_errors(body)]


ANSWERS: list[tuple[str, str, Json]] = [
    ("ChannelListResponse", "channels", {"part": "snippet,statistics,contentDetails", "id": YOUTUBE.id}),
    ("ChannelListResponse", "channels", {"part": "statistics", "id": "UCnobody"}),
    ("PlaylistItemListResponse", "playlistItems", {"part": "snippet,contentDetails", "playlistId": UPLOADS, "maxResults": 50}),
    (
        "CommentThreadListResponse",
        "commentThreads",
        {"part": "snippet,replies", "allThreadsRelatedToChannelId": YOUTUBE.id, "maxResults": 100},
    ),
]


@needs_contracts
@pytest.mark.parametrize(("name", "path", "query"), ANSWERS)
def test_an_answer_keeps_the_discovery_document(get: Get, name: str, path: str, query: Json) -> None:
    status, body = get(f"{DATA}/{path}", **query)
    assert (status, faults_of("youtube.v3.json", name, body)) == (200, [])


@needs_contracts
def test_films_and_replies_keep_the_discovery_document(get: Get, world: World) -> None:
    ids = [post.id for post in shown(world)]
    for begin in range(0, len(ids), 50):
        parts = "snippet,statistics,contentDetails,liveStreamingDetails,status"
        status, body = get(f"{DATA}/videos", part=parts, id=",".join(ids[begin : begin + 50]))
        assert (status, faults_of("youtube.v3.json", "VideoListResponse", body)) == (200, [])
        for film in body["items"]:
            named = discovery("youtube.v3.json")["schemas"]["VideoSnippet"]["properties"]["liveBroadcastContent"].get("enum")
            assert not named or film["snippet"]["liveBroadcastContent"] in named
    _, body = get(f"{DATA}/commentThreads", part="snippet,replies", allThreadsRelatedToChannelId=YOUTUBE.id, maxResults=100)
    parent = next(one["id"] for one in body["items"] if one["snippet"]["totalReplyCount"] > 1)
    status, body = get(f"{DATA}/comments", part="snippet", parentId=parent)
    assert (status, faults_of("youtube.v3.json", "CommentListResponse", body)) == (200, [])
    assert body["items"]


@needs_contracts
@pytest.mark.parametrize(("first", "last"), [("2026-04-20", "2026-04-30"), ("2026-04-29", "2026-04-30"), ("2026-06-01", "2026-06-02")])
def test_a_report_keeps_the_discovery_document(get: Get, first: str, last: str) -> None:
    status, body = get(REPORTS, ids=CHANNEL, startDate=first, endDate=last, metrics="views,subscribersLost", dimensions="day")
    assert (status, faults_of("youtubeAnalytics.v2.json", "QueryResponse", body)) == (200, [])
    assert ("rows" in body) is (first == "2026-04-20")


@needs_contracts
def test_the_discovery_document_refuses_what_is_wrong() -> None:
    """Otherwise the tests above would prove nothing."""
    wrong = {"items": [{"id": 5, "statistics": {"viewCount": 7, "likeCount": "many"}, "colour": "red"}]}
    assert len(faults_of("youtube.v3.json", "VideoListResponse", wrong)) == 4
    assert faults_of("youtubeAnalytics.v2.json", "QueryResponse", {"rows": [5]})


def complaints(target: str) -> list[str]:
    """What a discovery document says against a request."""
    address = urlsplit(target)
    is_data = address.path.startswith("/youtube/")
    document = discovery("youtube.v3.json" if is_data else "youtubeAnalytics.v2.json")
    path = address.path.removeprefix("/youtube/" if is_data else "/youtube_analytics/")
    methods = [one for resource in document["resources"].values() for one in resource.get("methods", {}).values()]
    method = next(one for one in methods if one["path"] == path and one["httpMethod"] == "GET")
    found, sent = [], dict(parse_qsl(address.query, keep_blank_values=True))
    found += [f"{name} is required" for name, one in method["parameters"].items() if one.get("required") and name not in sent]
    for name, value in sent.items():
        told = method["parameters"].get(name)
        if told is None:
            found.append(f"{name} is not declared")
            continue
        if told.get("enum") and value not in told["enum"]:
            found.append(f"{name}: {value} is not one of {told['enum']}")
        if told["type"] == "integer" and not int(told.get("minimum", 0)) <= int(value) <= int(told.get("maximum", 10**9)):
            found.append(f"{name}: {value} is out of bounds")
        pattern = re.search(r'pattern: "?(\S+)$', told.get("description", ""))
        if pattern and not re.fullmatch(pattern[1], value):
            found.append(f"{name}: {value} is not {pattern[1]}")
        if name == "id" and value.count(",") >= 50:
            found.append("id: more than 50")
    return found


@needs_contracts
@pytest.mark.parametrize("name", ["accounts", "posts", "comments", "insights_day"])
def test_every_request_of_the_connector_keeps_the_discovery_document(one_sandbox: Running, name: str) -> None:
    now = datetime.fromtimestamp(day_start("youtube", date(2026, 4, 1)), UTC)
    one_sandbox.faults([])
    one_sandbox.set_now(now)
    one_sandbox.forget_requests()
    account = Account(
        "i", "youtube", YOUTUBE.id, YOUTUBE.handle, f"{one_sandbox.url}/youtube", Secret("sandbox-youtube-token"),
        more_base_urls={"analytics": f"{one_sandbox.url}/youtube_analytics"},
    )  # fmt: skip
    clock = InjectedClock(now)
    door = Door(account, CONNECTOR.limits, Hosts(), clock, WaitingBudget(60), judge=CONNECTOR.judge)
    stream, window = CONNECTOR.stream(name), Window(now - timedelta(days=90), now)
    small = replace(stream, params={**stream.params} | {name: "5" for name in stream.params if name == "maxResults"})
    for one in (stream, small):
        told = fetch_window(one, account, window, door, Pseudonyms(Secret("a key of the tests, long enough")), clock, lambda _: None)
        assert told.is_complete, told.reason
    door.close()
    targets = [one["path"] for one in one_sandbox.requests()]
    assert {target: complaints(target) for target in targets if complaints(target)} == {}
    assert name not in {"posts", "comments"} or any("pageToken" in target for target in targets)


@needs_contracts
@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (f"{DATA}/videos?id=a", "part is required"),
        (f"{DATA}/playlistItems?part=id&maxResults=51", "maxResults: 51 is out of bounds"),
        (f"{DATA}/commentThreads?part=id&order=newest", "order: newest is not one of"),
        (f"{DATA}/videos?part=id&ids=a", "ids is not declared"),
        (f"{REPORTS}?startDate=yesterday", "startDate: yesterday is not"),
    ],
)
def test_the_discovery_document_refuses_what_is_asked_wrongly(target: str, complaint: str) -> None:
    assert [one for one in complaints(target) if one.startswith(complaint)]


# -- pages, parts, errors -----------------------------------------------------------------------------------------------------------


def test_both_apis_are_one_platform() -> None:
    assert {platform_of(path) for path in (f"{DATA}/videos", REPORTS)} == {"youtube"}
    assert stand_ins()["youtube"].tokens == ("sandbox-youtube-token",)


@pytest.mark.parametrize("path", [f"{DATA}/channels", f"{DATA}/nothing", REPORTS])
def test_without_the_token_nothing_is_told(client: Client, path: str) -> None:
    answer = client.get(path, headers={})
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"


@pytest.mark.parametrize("size", [50, 7, 1])
def test_the_pages_of_the_uploads_hold_each_film_once_newest_first(get: Get, world: World, size: int) -> None:
    found: list[str] = []
    more: Json = {}
    for _ in range(200):
        _, body = get(f"{DATA}/playlistItems", part="contentDetails", playlistId=UPLOADS, maxResults=size, **more)
        found += [one["contentDetails"]["videoId"] for one in body["items"]]
        if "nextPageToken" not in body:
            break
        more = {"pageToken": body["nextPageToken"]}
    assert found == [post.id for post in shown(world)]
    assert body["pageInfo"]["totalResults"] == len(found)


def test_a_page_stands_where_it_stood_when_a_film_was_added_above_it(client: Client, get: Get, world: World) -> None:
    newest = shown(world)[0]
    client.set_now(newest.created_at - timedelta(minutes=1))
    _, before = get(f"{DATA}/playlistItems", part="contentDetails", playlistId=UPLOADS, maxResults=3)
    _, second = get(f"{DATA}/playlistItems", part="contentDetails", playlistId=UPLOADS, maxResults=3, pageToken=before["nextPageToken"])
    client.set_now(newest.created_at + timedelta(minutes=1))
    _, again = get(f"{DATA}/playlistItems", part="contentDetails", playlistId=UPLOADS, maxResults=3, pageToken=before["nextPageToken"])
    assert again["items"] == second["items"]


def test_only_the_parts_that_were_asked_for_are_told(get: Get, world: World) -> None:
    _, body = get(f"{DATA}/videos", part="statistics", id=shown(world)[0].id)
    assert body["items"][0].keys() == {"kind", "etag", "id", "statistics"}


def test_numbers_are_texts_and_hidden_likes_are_absent(get: Get, world: World) -> None:
    post = shown(world)[3]
    _, body = get(f"{DATA}/videos", part="statistics", id=post.id)
    counters = world.counters(post, int(world.nights[-1].timestamp()))
    assert body["items"][0]["statistics"] == {
        "viewCount": str(counters.view), "likeCount": str(counters.like), "favoriteCount": "0", "commentCount": str(counters.reply),
    }  # fmt: skip


def test_a_deleted_film_is_left_out_and_a_stream_is_live_while_it_lasts(client: Client, get: Get, world: World) -> None:
    gone, live = world.planted("deleted/youtube"), world.planted("live")
    _, body = get(f"{DATA}/videos", part="snippet", id=f"{gone.id},{live.id},nothing")
    assert [one["id"] for one in body["items"]] == [live.id]
    client.set_now(live.created_at + timedelta(minutes=5))
    _, body = get(f"{DATA}/videos", part="snippet,contentDetails,liveStreamingDetails", id=live.id)
    (film,) = body["items"]
    assert (film["snippet"]["liveBroadcastContent"], film["contentDetails"]["duration"]) == ("live", "P0D")
    assert film["liveStreamingDetails"].keys() == {"actualStartTime"}


@pytest.mark.parametrize(("seconds", "told"), [(0, "P0D"), (59, "PT59S"), (60, "PT1M"), (3_600, "PT1H"), (3_725, "PT1H2M5S")])
def test_a_length_is_written_as_youtube_does(seconds: int, told: str) -> None:
    assert length(seconds) == told


def test_threads_hold_first_comments_and_fewer_replies_than_there_are(get: Get, world: World) -> None:
    _, body = get(f"{DATA}/commentThreads", part="snippet,replies", allThreadsRelatedToChannelId=YOUTUBE.id, maxResults=100)
    now = int(world.nights[-1].timestamp())
    for thread in body["items"]:
        answers = world.answers_to(thread["id"], now)
        assert thread["snippet"]["totalReplyCount"] == len(answers)
        assert len(thread.get("replies", {}).get("comments", [])) == min(len(answers), 1)
        assert "parentId" not in thread["snippet"]["topLevelComment"]["snippet"]
    long = next(one for one in body["items"] if one["snippet"]["totalReplyCount"] > 1)
    _, first = get(f"{DATA}/comments", part="snippet", parentId=long["id"], maxResults=1)
    _, second = get(f"{DATA}/comments", part="snippet", parentId=long["id"], maxResults=1, pageToken=first["nextPageToken"])
    assert {first["items"][0]["id"], second["items"][0]["id"]} <= {post.id for post in world.answers_to(long["id"], now)}
    assert first["items"][0]["snippet"]["parentId"] == long["id"]


def test_of_one_film_its_own_threads_alone(get: Get, world: World) -> None:
    film = world.by_id[world.comments[YOUTUBE.id].showings[-40].post.conversation_id]
    _, body = get(f"{DATA}/commentThreads", part="snippet", videoId=film.id)
    assert {one["snippet"]["videoId"] for one in body["items"]} == {film.id}


def test_a_day_is_told_late_then_too_low_then_as_it_stays(client: Client, get: Get, world: World) -> None:
    day = date(2026, 3, 8)  # 23 hours long in California
    end = day_start("youtube", day + timedelta(days=1))
    values: list[Any] = []
    for hours in (59, 61, 90, 121, 500):
        client.set_now(datetime.fromtimestamp(end + hours * 3_600, UTC))
        _, body = get(REPORTS, ids=CHANNEL, startDate=day, endDate=day, metrics="views", dimensions="day", sort="day")
        values.append(body["rows"][0][1] if "rows" in body else None)
    settled = world.settled_day(YOUTUBE, day).views
    assert values[0] is None
    assert values[1:] == sorted(values[1:])
    assert len(set(values)) == 4
    assert values[3] == values[4] == settled


TOO_MANY = ",".join("abcdefghijk" for _ in range(51))
REFUSALS: list[tuple[str, Json, int, str]] = [
    (f"{DATA}/channels", {"id": YOUTUBE.id}, 400, "required"),
    (f"{DATA}/channels", {"part": "statistics"}, 400, "missingRequiredParameter"),
    (f"{DATA}/channels", {"part": "colour", "id": YOUTUBE.id}, 400, "unknownPart"),
    (f"{DATA}/playlistItems", {"part": "id", "playlistId": "UUnobody"}, 404, "playlistNotFound"),
    (f"{DATA}/playlistItems", {"part": "id", "playlistId": UPLOADS, "maxResults": 51}, 400, "invalidParameter"),
    (f"{DATA}/playlistItems", {"part": "id", "playlistId": UPLOADS, "maxResults": "x"}, 400, "invalidParameter"),
    (f"{DATA}/playlistItems", {"part": "id", "playlistId": UPLOADS, "pageToken": "?"}, 400, "invalidPageToken"),
    (
        f"{DATA}/playlistItems",
        {"part": "id", "playlistId": UPLOADS, "pageToken": urlsafe_b64encode(b"\xff").decode()},
        400,
        "invalidPageToken",
    ),
    (f"{DATA}/videos", {"part": "id", "id": TOO_MANY}, 400, "invalidFilters"),
    (f"{DATA}/commentThreads", {"part": "id", "allThreadsRelatedToChannelId": "UCnobody"}, 404, "channelNotFound"),
    (f"{DATA}/commentThreads", {"part": "id", "videoId": "nothing"}, 404, "videoNotFound"),
    (f"{DATA}/comments", {"part": "id", "parentId": "nothing"}, 404, "commentNotFound"),
    (REPORTS, {"ids": "channel==UCnobody"}, 403, "forbidden"),
    (REPORTS, {"ids": CHANNEL, "endDate": "2026-01-01"}, 400, "required"),
    (REPORTS, {"ids": CHANNEL, "startDate": "today", "endDate": "2026-01-01"}, 400, "invalidParameter"),
    (REPORTS, {"ids": CHANNEL, "startDate": "2026-01-01", "endDate": "2026-01-01"}, 400, "required"),
    (
        REPORTS,
        {"ids": CHANNEL, "startDate": "2026-01-01", "endDate": "2026-01-01", "metrics": "views,dislikez", "dimensions": "day"},
        400,
        "badRequest",
    ),
    (
        REPORTS,
        {"ids": CHANNEL, "startDate": "2026-01-01", "endDate": "2026-01-01", "metrics": "views", "dimensions": "week"},
        400,
        "badRequest",
    ),
]


@pytest.mark.parametrize(("path", "query", "status", "reason"), REFUSALS)
def test_what_youtube_refuses_is_refused_in_its_shape(get: Get, path: str, query: Json, status: int, reason: str) -> None:
    told, body = get(path, **query)
    assert (told, body["error"]["code"], body["error"]["errors"][0]["reason"]) == (status, status, reason)
    assert body["error"].keys() == {"code", "message", "errors"}
    assert body["error"]["errors"][0]["message"] == body["error"]["message"]
