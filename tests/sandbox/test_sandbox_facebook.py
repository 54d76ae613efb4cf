"""Facebook's stand-in says what the contract says (platforms.md, part 1): shapes, cursors, days, errors; and its numbers are the world's."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from openapi_schema_validator import OAS31Validator

from sandbox.facebook import Facebook, film_id, permalink
from sandbox.graph import Asked, selection
from sandbox.world import FACEBOOK, Clock, Post, World, day_start, wib
from tests.sandbox.conftest import Client

HEADERS = {"Authorization": "Bearer sandbox-facebook-token"}
PAGE = f"/facebook/v26.0/{FACEBOOK.id}"
POST_FIELDS = (
    "id,created_time,message,permalink_url,status_type,attachments{media_type,type,target{id}},shares,"
    "comments.filter(stream).limit(0).summary(true),reactions.limit(0).summary(true)"
)
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$"}
COUNT = {"type": "integer", "minimum": 0}
ID = {"type": "string", "pattern": r"^\d+(_\d+)?$"}


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these members and no others."""
    return {"type": "object", "properties": required | optional, "required": list(required), "additionalProperties": False}


def listed(record: dict[str, Any]) -> dict[str, Any]:
    cursors = closed({"before": {"type": "string"}, "after": {"type": "string"}})
    return closed({"data": {"type": "array", "items": record}}, paging=closed({"cursors": cursors}, next={"type": "string"}))


def insights(values: dict[str, Any]) -> dict[str, Any]:
    told = {name: {"type": "string"} for name in ("name", "title", "description", "id")}
    one = closed({**told, "period": {"enum": ["day", "week", "days_28", "lifetime"]}, "values": {"type": "array", "items": values}})
    links = closed({"previous": {"type": "string"}, "next": {"type": "string"}})
    return closed({"data": {"type": "array", "items": one}}, paging=links)


TOTAL = closed({"data": {"type": "array", "maxItems": 0}, "summary": {"type": "object", "properties": {"total_count": COUNT}}})
POST = closed(
    {"id": ID, "created_time": TIME, "permalink_url": {"type": "string"}, "comments": TOTAL, "reactions": TOTAL},
    message={"type": "string"},
    status_type={"type": "string"},
    shares=closed({"count": {"type": "integer", "minimum": 1}}),
    attachments=closed({"data": {"type": "array", "items": {"type": "object", "required": ["media_type", "type"]}}}),
)
FROM = closed({"id": ID}, name={"type": "string"})
COMMENT = closed({"id": ID, "created_time": TIME}, message={"type": "string"}, parent={"type": "object"}, **{"from": FROM})
TAGGED = closed({"id": ID, "created_time": TIME}, message={"type": "string"}, **{"from": FROM})
ACCOUNT = closed({"id": ID, "followers_count": COUNT, "fan_count": COUNT})
DAYS = insights(closed({"value": COUNT, "end_time": TIME}))
LIFETIME = insights(closed({"value": {"anyOf": [COUNT, {"type": "object", "additionalProperties": COUNT}]}}))
ERROR = closed(
    {
        "error": closed(
            {"message": {"type": "string"}, "type": {"type": "string"}, "code": {"type": "integer"}, "fbtrace_id": {"type": "string"}},
            error_subcode={"type": "integer"}, is_transient={"type": "boolean"}, error_user_title={"type": "string"},
            error_user_msg={"type": "string"},
        )
    }
)  # fmt: skip


@pytest.fixture
def ask(client: Client) -> Callable[..., Any]:
    """Ask by path and parameters; the answer must have the status and keep the schema."""
    client.set_now(datetime(2026, 2, 10, 19, tzinfo=UTC))

    def asked(path: str, schema: dict[str, Any], status: int = 200, **parameters: str) -> Any:
        answer = client.http.get(f"{path}?{urlencode(parameters)}", headers=HEADERS)
        body = answer.json()
        assert answer.status_code == status, body
        assert [error.message[:200] for error in OAS31Validator(schema).iter_errors(body)] == []
        return body

    return asked


def now(client: Client) -> int:
    return int(datetime.fromisoformat(client.http.get("/_sandbox/now").json()["now"]).timestamp())


def every(ask: Callable[..., Any], path: str, record: dict[str, Any], **parameters: str) -> Iterator[dict[str, Any]]:
    """The records of a list over its pages."""
    while True:
        body = ask(path, listed(record), **parameters)
        yield from body["data"]
        if "next" not in body.get("paging", {}):
            return
        parameters["after"] = body["paging"]["cursors"]["after"]


def of_type(world: World, post_type: str, ts: int) -> Post:
    return next(one.post for one in world.timelines[FACEBOOK.id].visible(ts) if one.post.post_type == post_type)


# -- the page and its lists -----------------------------------------------------------------------------------------------------------


def test_the_page_tells_the_followers_of_the_world(ask: Callable[..., Any], client: Client, world: World) -> None:
    body = ask(PAGE, ACCOUNT, fields="id,followers_count,fan_count")
    assert body["followers_count"] == world.followers(FACEBOOK.id, now(client))


@pytest.mark.parametrize("limit", ["3", "100"])
def test_the_posts_come_once_each_newest_first_over_cursors(ask: Callable[..., Any], client: Client, world: World, limit: str) -> None:
    found = list(every(ask, f"{PAGE}/published_posts", POST, fields=POST_FIELDS, limit=limit))
    standing = [showing.post for showing in world.timelines[FACEBOOK.id].visible(now(client))]
    assert [one["id"] for one in found] == [post.id for post in reversed(standing)]
    for one in found:
        counted = world.counters(world.by_id[one["id"]], now(client))
        assert one["reactions"]["summary"]["total_count"] == counted.like
        assert one["comments"]["summary"]["total_count"] == counted.reply
        assert one.get("shares", {"count": 0})["count"] == counted.share


def test_without_the_stream_filter_answers_to_comments_are_not_counted(ask: Callable[..., Any], client: Client, world: World) -> None:
    deep, flat = (
        {
            one["id"]: one["comments"]["summary"]["total_count"]
            for one in every(ask, f"{PAGE}/published_posts", POST, fields=POST_FIELDS.replace(".filter(stream)", filtered), limit="100")
        }
        for filtered in (".filter(stream)", "")
    )
    assert all(flat[identity] <= deep[identity] for identity in deep)
    assert sum(flat.values()) < sum(deep.values())
    assert flat == {identity: len(world.answers_to(identity, now(client))) for identity in flat}


def test_a_post_that_nobody_shared_has_no_shares(client: Client, ask: Callable[..., Any], world: World) -> None:
    post = next(showing.post for showing in world.timelines[FACEBOOK.id].showings)
    client.set_now(datetime.fromtimestamp(post.ts + 1, UTC))
    (found,) = ask(f"{PAGE}/published_posts", listed(POST), fields=POST_FIELDS, limit="1")["data"]
    assert "shares" not in found


def test_films_are_told_apart_by_address_and_attachment(ask: Callable[..., Any], world: World) -> None:
    found = {one["id"]: one for one in every(ask, f"{PAGE}/published_posts", POST, fields=POST_FIELDS, limit="100")}
    for identity, one in found.items():
        post_type = world.by_id[identity].post_type
        media = one.get("attachments", {"data": [{}]})["data"][0].get("media_type")
        assert ("/reel/" in one["permalink_url"]) == (post_type == "reel")
        assert (media == "video") == (post_type in ("reel", "video"))
    assert any("attachments" not in one for one in found.values())


def test_what_is_deleted_is_in_no_list_and_asked_about_it_is_not_there(ask: Callable[..., Any], client: Client, world: World) -> None:
    flash = world.planted("flash")
    client.set_now(datetime.fromtimestamp(flash.gone_ts - 1, UTC))
    assert ask(f"{PAGE}/published_posts", listed(POST), fields=POST_FIELDS)["data"][0]["id"] == flash.id
    client.set_now(datetime.fromtimestamp(flash.gone_ts, UTC))
    assert ask(f"{PAGE}/published_posts", listed(POST), fields=POST_FIELDS)["data"][0]["id"] != flash.id
    body = ask(f"/facebook/v26.0/{flash.id}/insights", ERROR, 400, metric="post_media_view")
    assert (body["error"]["code"], body["error"]["error_subcode"]) == (100, 33)


def test_comments_and_their_answers_come_oldest_first_whatever_the_page(ask: Callable[..., Any], client: Client, world: World) -> None:
    deepest = max(
        (showing.post for showing in world.timelines[FACEBOOK.id].visible(now(client))),
        key=lambda post: world.counters(post, now(client)).reply,
    )
    fields = "id,created_time,message,from{id},parent{id}"
    path = f"/facebook/v26.0/{deepest.id}/comments"
    found = list(every(ask, path, COMMENT, fields=fields, filter="stream", limit="2"))
    assert [one["id"] for one in found] == [one["id"] for one in ask(path, listed(COMMENT), fields=fields, filter="stream")["data"]]
    assert len(found) == world.counters(deepest, now(client)).reply
    for one in found:
        comment = world.by_id[one["id"]]
        assert one["from"] == {"id": comment.author_id}
        assert one.get("parent", {"id": deepest.id})["id"] == comment.reply_to_id
    nested = ask(f"{PAGE}/published_posts", {}, fields=f"id,comments.filter(stream).limit(2){{{fields}}}", limit="100")
    (held,) = [one["comments"] for one in nested["data"] if one["id"] == deepest.id]
    assert [one["id"] for one in held["data"]] == [one["id"] for one in found[:2]]
    assert dict(parse_qsl(urlsplit(held["paging"]["next"]).query))["after"] == held["paging"]["cursors"]["after"]


def test_posts_that_tag_the_page_name_their_authors(ask: Callable[..., Any], client: Client, world: World) -> None:
    found = list(every(ask, f"{PAGE}/tagged", TAGGED, fields="id,created_time,message,from", limit="2"))
    standing = [showing.post for showing in world.mentions[FACEBOOK.id].visible(now(client))]
    assert [one["id"] for one in found] == [post.id for post in reversed(standing)]
    assert all(one["from"]["name"] and one["id"].startswith(one["from"]["id"]) for one in found)


# -- insights -------------------------------------------------------------------------------------------------------------------------


def test_a_days_value_ends_at_the_next_midnight_in_california(ask: Callable[..., Any], world: World) -> None:
    """The contract: asked since 1 January, the first value ends on 2 January at 08:00 GMT; in summer at 07:00."""
    since = day_start("facebook", date(2026, 1, 1))
    body = ask(f"{PAGE}/insights", DAYS, metric="page_total_media_view_unique,page_media_view", period="day", since=str(since),
               until=str(day_start("facebook", date(2026, 1, 4))))  # fmt: skip
    reach, views = body["data"]
    assert [one["end_time"] for one in reach["values"]] == [f"2026-01-0{day}T08:00:00+0000" for day in (2, 3, 4)]
    assert [one["value"] for one in reach["values"]] == [world.settled_day(FACEBOOK, date(2026, 1, day)).reach for day in (1, 2, 3)]
    assert [one["value"] for one in views["values"]] == [world.settled_day(FACEBOOK, date(2026, 1, day)).views for day in (1, 2, 3)]


def test_in_summer_the_day_ends_an_hour_earlier(ask: Callable[..., Any], client: Client) -> None:
    client.set_now(datetime(2026, 4, 10, 19, tzinfo=UTC))
    spans = (str(day_start("facebook", date(2026, 3, day))) for day in (7, 10))
    (views,) = ask(f"{PAGE}/insights", DAYS, metric="page_media_view", period="day", **dict(zip(("since", "until"), spans, strict=True)))[
        "data"
    ]
    assert [one["end_time"][5:16] for one in views["values"]] == ["03-08T08:00", "03-09T07:00", "03-10T07:00"]


def test_a_day_is_told_a_day_late_and_corrected_until_it_settles(ask: Callable[..., Any], client: Client, world: World) -> None:
    day = date(2026, 1, 20)
    ended = day_start("facebook", day + timedelta(days=1))
    told = []
    for hours in (23, 24, 36, 48, 200):
        client.set_now(datetime.fromtimestamp(ended + hours * 3_600, UTC))
        body = ask(f"{PAGE}/insights", DAYS, metric="page_views_total", period="day", since=str(ended - 86_400), until=str(ended))
        told.append([one["value"] for data in body["data"] for one in data["values"]])
    whole = world.settled_day(FACEBOOK, day).profile_views
    assert told[0] == []
    assert told[1] < told[2] < told[3] == told[4] == [whole]


def test_reach_over_seven_and_twenty_eight_days_comes_by_period(ask: Callable[..., Any], world: World) -> None:
    span = {"since": str(day_start("facebook", date(2026, 2, 1))), "until": str(day_start("facebook", date(2026, 2, 2)))}
    values = {
        period: ask(f"{PAGE}/insights", DAYS, metric="page_total_media_view_unique", period=period, **span)["data"][0]["values"][0]["value"]
        for period in ("day", "week", "days_28")
    }
    settled = world.settled_day(FACEBOOK, date(2026, 2, 1))
    assert values == {"day": settled.reach, "week": settled.reach_7d, "days_28": settled.reach_28d}
    assert ask(f"{PAGE}/insights", DAYS, metric="page_views_total", period="week", **span)["data"] == []


@pytest.mark.parametrize("post_type", ["post", "video"])
def test_a_posts_numbers_are_the_worlds_and_its_clicks_an_object(
    ask: Callable[..., Any], client: Client, world: World, post_type: str
) -> None:
    post = of_type(world, post_type, now(client))
    metric = "post_media_view,post_total_media_view_unique,post_clicks_by_type"
    body = ask(f"/facebook/v26.0/{post.id}/insights", LIFETIME, metric=metric)
    counted = world.counters(post, now(client))
    assert {one["name"]: one["values"][0]["value"] for one in body["data"]} == {
        "post_media_view": counted.view,
        "post_total_media_view_unique": counted.reach,
        "post_clicks_by_type": world.clicks(post, now(client)),
    }


def test_a_reel_has_no_insights_and_its_numbers_stand_at_the_video(ask: Callable[..., Any], client: Client, world: World) -> None:
    reel = of_type(world, "reel", now(client))
    ask(f"/facebook/v26.0/{reel.id}/insights", ERROR, 400, metric="post_media_view")
    assert permalink(reel).endswith(f"/reel/{film_id(reel)}/")
    body = ask(f"/facebook/v26.0/{film_id(reel)}/video_insights", LIFETIME, metric="fb_reels_total_plays,post_impressions_unique")
    counted = world.counters(reel, now(client))
    assert [one["values"][0]["value"] for one in body["data"]] == [counted.view, counted.reach]


# -- batches --------------------------------------------------------------------------------------------------------------------------


def batch(client: Client, *paths: str) -> Any:
    parts = json.dumps([{"method": "GET", "relative_url": path} for path in paths])
    return client.http.post("/facebook/v26.0", headers=HEADERS, data={"batch": parts, "include_headers": "false"})


def test_a_batch_answers_part_by_part_each_with_its_own_status(client: Client, world: World) -> None:
    post = of_type(world, "post", int(world.nights[-1].timestamp()))
    paths = (f"v26.0/{post.id}/insights?metric=post_media_view", f"v26.0/{post.id}/insights?metric=post_engaged_users", "v26.0/7/insights")
    answer = batch(client, *paths)
    assert answer.status_code == 200
    assert [part["code"] for part in answer.json()] == [200, 400, 400]
    assert json.loads(answer.json()[0]["body"])["data"][0]["name"] == "post_media_view"
    assert json.loads(answer.json()[1]["body"])["error"]["message"] == "(#100) The value must be a valid insights metric"


def test_a_batch_holds_fifty_questions(client: Client) -> None:
    assert batch(client, *[f"v26.0/{FACEBOOK.id}"] * 50).status_code == 200
    assert batch(client, *[f"v26.0/{FACEBOOK.id}"] * 51).status_code == 400
    assert client.http.post("/facebook/v26.0", headers=HEADERS, data={"batch": "[nonsense"}).status_code == 400


# -- errors ---------------------------------------------------------------------------------------------------------------------------

SINCE = str(wib(date(2026, 1, 1), 12))


@pytest.mark.parametrize(
    ("path", "parameters", "code", "words"),
    [
        (f"{PAGE}/insights", {"metric": "page_impressions"}, 100, "valid insights metric"),
        (f"{PAGE}/insights", {"metric": "page_media_view,page_fans"}, 100, "valid insights metric"),
        (f"{PAGE}/insights", {"metric": "page_media_view,made_up"}, 100, "valid insights metric"),
        (f"{PAGE}/insights", {}, 3001, "Invalid query"),
        (f"{PAGE}/insights", {"metric": "page_media_view", "since": "1", "until": str(2 + 90 * 86_400)}, 100, "more than 90 days"),
        (f"{PAGE}/insights", {"metric": "page_media_view", "since": SINCE, "until": SINCE}, 100, "before the until"),
        (f"{PAGE}/insights", {"metric": "page_media_view", "since": "yesterday"}, 100, "timestamp"),
        (PAGE, {"fields": "id,fans"}, 100, "nonexisting field (fans) on node type (Page)"),
        (f"{PAGE}/published_posts", {"fields": "id,comments{text}"}, 100, "nonexisting field (text) on node type (Comment)"),
        (f"{PAGE}/published_posts", {"fields": "id,comments{"}, 2500, "Syntax error"),
        (f"{PAGE}/published_posts", {"fields": "id)"}, 2500, "Syntax error"),
        (f"{PAGE}/published_posts", {"after": "bm90IGE"}, 100, "Invalid cursors values"),
        (f"{PAGE}/published_posts", {"limit": "many"}, 100, "limit"),
        (f"{PAGE}/stories", {}, 100, "Unsupported get request"),
        ("/facebook/v26.0/100000000000002", {}, 100, "does not exist, cannot be loaded due to missing permissions"),
        (f"/facebook/{FACEBOOK.id}", {}, 2500, "Unknown path components"),
    ],
)
def test_what_is_wrong_is_refused_in_the_platforms_words(
    ask: Callable[..., Any], path: str, parameters: dict[str, str], code: int, words: str
) -> None:
    error = ask(path, ERROR, 400, **parameters)["error"]
    assert error["code"] == code
    assert words in error["message"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sandbox-mastodon-token"}])
def test_a_missing_or_unknown_token_is_code_190(client: Client, headers: dict[str, str]) -> None:
    answer = client.http.get(PAGE, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 190)
    assert [error.message for error in OAS31Validator(ERROR).iter_errors(answer.json())] == []


@pytest.mark.parametrize(
    ("status", "told", "code"), [(401, 400, 190), (403, 400, 200), (404, 400, 100), (410, 400, 100), (429, 400, 80001), (503, 503, 2)]
)
def test_faults_on_order_come_in_the_platforms_shape(client: Client, status: int, told: int, code: int) -> None:
    client.http.post("/_sandbox/faults", json={"path": "^/facebook", "kind": "status", "status": status})
    answer = client.http.get(PAGE, headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (told, code)
    assert [error.message for error in OAS31Validator(ERROR).iter_errors(answer.json())] == []


def test_every_answer_says_how_much_of_the_limit_is_used(client: Client) -> None:
    answer = client.http.get(PAGE, headers=HEADERS)
    (use,) = json.loads(answer.headers["X-Business-Use-Case-Usage"])[FACEBOOK.id]
    assert use == {"type": "pages", "call_count": 3, "total_cputime": 1, "total_time": 2, "estimated_time_to_regain_access": 0}


# -- what can be set ------------------------------------------------------------------------------------------------------------------


def test_a_metric_can_be_made_to_die_on_a_day_of_the_calendar(world: World) -> None:
    clock = Clock(datetime(2026, 2, 3, 7, 59, tzinfo=UTC))
    page = Facebook(world, clock, {"page_views_total": date(2026, 2, 3)})
    path = f"v26.0/{FACEBOOK.id}/insights"
    assert page.answer(path, {"metric": "page_views_total"}, "")[0] == 200
    clock.now = datetime(2026, 2, 3, 8, tzinfo=UTC)
    assert page.answer(path, {"metric": "page_views_total"}, "")[0] == 400
    assert page.answer(path, {"metric": "page_media_view"}, "")[0] == 200


def test_the_second_wave_ends_people_reached_but_not_of_reels(world: World) -> None:
    page = Facebook(world, Clock(datetime(2026, 6, 15, 12, tzinfo=UTC)))
    reel, post = (of_type(world, kind, int(world.nights[-1].timestamp())) for kind in ("reel", "post"))
    asked = {"metric": "post_impressions_unique"}
    assert page.answer(f"v26.0/{post.id}/insights", asked, "")[0] == 400
    assert page.answer(f"v26.0/{film_id(reel)}/video_insights", asked, "")[0] == 200


def test_fields_are_read_with_their_modifiers_and_what_is_below() -> None:
    assert selection("id, comments.filter(stream).limit(5){from{id}},shares") == (
        Asked("id", {}, ()),
        Asked("comments", {"filter": "stream", "limit": "5"}, (Asked("from", {}, (Asked("id", {}, ()),)),)),
        Asked("shares", {}, ()),
    )
    (found,) = selection("comments.limit(50){id,replies.limit(2){id}}")
    assert found.below == (Asked("id", {}, ()), Asked("replies", {"limit": "2"}, (Asked("id", {}, ()),)))


def test_links_hold_the_token_as_metas_do(ask: Callable[..., Any]) -> None:
    """A client that follows or keeps them leaks it."""
    body = ask(f"{PAGE}/published_posts", listed(POST), fields=POST_FIELDS, limit="2")
    assert re.search(r"[?&]access_token=sandbox-facebook-token\b", body["paging"]["next"])
