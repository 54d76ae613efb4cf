"""Instagram as the sandbox plays it: the shapes and refusals of its recorded answers, pages, expiry, days told late, batches.

The recorded answers are compared by shape alone: nothing of them stands here. Those tests skip where the answers are absent.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.graph import cursor_of, order_of
from sandbox.instagram import TOKEN
from sandbox.world import DAY, INSTAGRAM, Post, World, day_start, platform_day

RECORDED = Path(__file__).parents[2].parent / "shared/data/instagram_api"
recorded_only = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recorded answers are not at {RECORDED}")
ROOT = "/instagram/v26.0"
OWN = f"{ROOT}/{INSTAGRAM.id}"
MEDIA = (
    "id,ig_id,caption,comments_count,is_comment_enabled,like_count,media_type,media_product_type,media_url,owner,permalink,shortcode,"
    "thumbnail_url,timestamp,username,children"
)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def ask(client: Any) -> Any:
    """A question to the sandbox at an instant (the last night, if none), as JSON with its status."""

    def get(path: str, at: datetime | None = None, **query: str) -> tuple[int, Any]:
        if at is not None:
            client.set_now(at)
        answer = client.get(path, params=query, headers=HEADERS)
        return answer.status_code, answer.json()

    return get


def instant(ts: int) -> datetime:
    return datetime.fromtimestamp(ts, UTC)


def refusal(answer: tuple[int, Any]) -> tuple[int, int, str]:
    """Status, code and words of an error; its members must be Meta's."""
    status, body = answer
    assert set(body) == {"error"}
    assert {"message", "type", "code", "fbtrace_id"} <= set(body["error"]) <= {
        "message", "type", "code", "error_subcode", "is_transient", "fbtrace_id",
    }  # fmt: skip
    return status, body["error"]["code"], body["error"]["message"]


# --- the shapes of the recorded answers


@cache
def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def shape(value: Any) -> Any:
    """The types of a value, member by member; a list is the shapes of its elements, once each."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return sorted({json.dumps(shape(one)) for one in value})
    return type(value).__name__


def types_of(things: list[Any], but: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """Of many things, which types each member has."""
    found: dict[str, set[str]] = {}
    for thing in things:
        for name, value in thing.items():
            if name not in but:
                found.setdefault(name, set()).add(json.dumps(shape(value)))
    return found


@recorded_only
@pytest.mark.parametrize("name", ["media", "media_for_reels", "media_for_general_media"])
def test_media_have_the_recorded_members_and_types(ask: Any, name: str) -> None:
    _, page = ask(f"{OWN}/media", fields=MEDIA, limit="100")
    ours, theirs = types_of(page["data"], ("children",)), types_of(recorded(name)["data"], ("children",))
    assert {member: types for member, types in theirs.items() if member not in ours or not types <= ours[member]} == {}
    children = [shape(one["children"]) for one in page["data"] if "children" in one]
    assert children
    assert all(shape(one["children"]) in children for one in recorded(name)["data"] if "children" in one)


@recorded_only
def test_stories_have_the_recorded_members_and_types(ask: Any, world: World) -> None:
    at = instant(world.planted("story/seen").ts + 3_600)
    _, page = ask(f"{OWN}/stories", at, fields=MEDIA)
    ours, theirs = types_of(page["data"]), types_of(recorded("stories")["data"], ("thumbnail_url",))
    assert {member: types for member, types in theirs.items() if ours.get(member) != types} == {}


@recorded_only
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("post", "media_insights_for_general_media"),
        ("reel", "media_insights_for_reels"),
        ("story", "story_insights_for_story_insights_happy_path"),
    ],
)
def test_insights_have_the_recorded_shape(ask: Any, world: World, kind: str, name: str) -> None:
    post = next(one for one in posts(world, kind) if one.gone_ts > one.ts + 7_200)
    metric = {"post": "reach,saved", "reel": "reach,ig_reels_avg_watch_time", "story": "reach,replies"}[kind]
    _, found = ask(f"{ROOT}/{post.id}/insights", instant(post.ts + 7_200), metric=metric)
    assert {json.dumps(shape(one)) for one in found["data"]} == {json.dumps(shape(one)) for one in recorded(name)["data"]}
    assert {one["period"] for one in found["data"]} == {one["period"] for one in recorded(name)["data"]}
    assert all(one["id"] == f"{post.id}/insights/{one['name']}/lifetime" for one in found["data"])


@recorded_only
def test_the_account_has_the_recorded_members_and_types(ask: Any) -> None:
    theirs = recorded("users")["data"][0]
    _, ours = ask(OWN, fields=",".join(theirs))
    assert shape(ours) == shape(theirs)


@recorded_only
def test_a_total_stands_where_the_recorded_one_stands(ask: Any) -> None:
    since, until = span_of_day(7)
    _, ours = ask(f"{OWN}/insights", metric="views", period="day", metric_type="total_value", since=since, until=until)
    assert ours["data"][0].keys() == recorded("user_lifetime_insights")["data"][0].keys()
    assert isinstance(ours["data"][0]["total_value"]["value"], int)


@recorded_only
def test_a_right_that_is_missing_is_told_as_it_was_recorded(ask: Any, client: Any) -> None:
    answer = client.http.post("/_sandbox/faults", json=[{"path": "/insights$", "kind": "status", "status": 403}])
    assert answer.status_code == 200
    theirs = recorded("media_insights_for_error_with_wrong_permissions_code_10")["error"]
    status, body = ask(f"{OWN}/insights", metric="reach")
    assert {name: body["error"][name] for name in ("message", "type", "code")} == {
        name: theirs[name] for name in ("message", "type", "code")
    }
    assert (status, body["error"].keys()) == (400, theirs.keys())


# --- lists


def posts(world: World, kind: str = "") -> list[Post]:
    feeds = (world.timelines[INSTAGRAM.id], world.stories[INSTAGRAM.id])
    return [one.post for feed in feeds for one in feed.showings if not kind or one.post.post_type == kind]


def pages(ask: Any, path: str, limit: int, **query: str) -> list[Any]:
    found: list[Any] = []
    after: dict[str, str] = {}
    for _ in range(200):
        status, page = ask(path, limit=str(limit), **query, **after)
        assert status == 200
        found.append(page)
        if "next" not in page.get("paging", {}):
            return found
        after = {"after": page["paging"]["cursors"]["after"]}
    raise AssertionError


@pytest.mark.parametrize("limit", [7, 50, 100])
def test_the_media_come_newest_first_and_once_each_whatever_the_page(ask: Any, world: World, limit: int) -> None:
    found = [one for page in pages(ask, f"{OWN}/media", limit, fields="id,timestamp") for one in page["data"]]
    now = int(world.nights[-1].timestamp())
    assert [one["id"] for one in found] == [one.post.id for one in world.timelines[INSTAGRAM.id].visible(now)][::-1]
    assert [one["timestamp"] for one in found] == sorted((one["timestamp"] for one in found), reverse=True)


def test_the_last_page_has_cursors_and_no_next_and_an_empty_one_has_neither(ask: Any) -> None:
    last = pages(ask, f"{OWN}/media", 50, fields="id")[-1]
    assert set(last["paging"]) == {"cursors"}
    assert ask(f"{OWN}/media", fields="id", after=cursor_of(0)) == (200, {"data": []})


def test_a_next_page_is_an_address_that_holds_the_token(ask: Any) -> None:
    """As Meta's does: whoever follows it instead of the cursor carries the token into his notes."""
    _, page = ask(f"{OWN}/media", fields="id", limit="1")
    assert f"access_token={TOKEN}" in page["paging"]["next"]


def test_a_story_stands_for_a_day_and_its_numbers_go_with_it(ask: Any, world: World) -> None:
    story = world.planted("story/seen")
    for age, is_there in ((60, True), (DAY - 60, True), (DAY + 60, False)):
        _, page = ask(f"{OWN}/stories", instant(story.ts + age), fields="id")
        assert (story.id in [one["id"] for one in page["data"]]) == is_there
        status, _ = ask(f"{ROOT}/{story.id}/insights", metric="views")
        assert (status == 200) == is_there or age < 3_600
    assert refusal(ask(f"{ROOT}/{story.id}/insights", metric="views"))[:2] == (400, 100)


def test_a_deleted_post_is_in_no_list_and_has_no_insights(ask: Any, world: World) -> None:
    post = world.planted("deleted/instagram")
    _, before = ask(f"{OWN}/media", instant(post.deleted_ts - 60), fields="id")
    _, after = ask(f"{OWN}/media", instant(post.deleted_ts + 60), fields="id")
    assert post.id in [one["id"] for one in before["data"]]
    assert post.id not in [one["id"] for one in after["data"]]
    status, body = ask(f"{ROOT}/{post.id}/insights", metric="reach")
    assert (status, body["error"]["code"], body["error"]["error_subcode"], body["error"]["type"]) == (400, 100, 33, "GraphMethodException")


def test_likes_that_are_hidden_are_absent_and_not_0(ask: Any, world: World) -> None:
    post = world.planted("hidden_likes")
    hidden = instant(post.hidden[0].start + 60)
    _, node = ask(f"{ROOT}/{post.id}", hidden, fields="id,like_count,comments_count")
    assert set(node) == {"id", "comments_count"}
    _, found = ask(f"{ROOT}/{post.id}/insights", metric="likes,reach")
    assert [one["name"] for one in found["data"]] == ["reach"]
    _, node = ask(f"{ROOT}/{post.id}", instant(post.hidden[0].end + 60), fields="like_count")
    assert node["like_count"] > 0


def test_tags_are_posts_of_others_and_no_comments(ask: Any, world: World) -> None:
    found = [one for page in pages(ask, f"{OWN}/tags", 50, fields="id,caption,timestamp,username,owner") for one in page["data"]]
    assert found
    assert {world.by_id[one["id"]].kind for one in found} == {"mention"}
    assert all("owner" not in one and one["username"] != INSTAGRAM.handle for one in found)


def test_comments_stand_below_their_post_and_answers_below_the_comment(ask: Any, world: World) -> None:
    now = int(world.nights[-1].timestamp())
    fields = "id,comments.limit(3){id,from,username,parent_id,replies.limit(2){id,parent_id}}"
    _, page = ask(f"{OWN}/media", fields=fields, limit="100")
    assert all("comments" not in one for one in page["data"] if not world.answers_to(one["id"], now))
    for node in page["data"]:
        listed = node.get("comments", {"data": []})["data"]
        below = sorted(world.answers_to(node["id"], now), key=lambda one: one.versions[0].order, reverse=True)
        assert [one["id"] for one in listed] == [one.id for one in below[:3]]
        assert ("next" in node.get("comments", {}).get("paging", {})) == (len(below) > 3)
        for comment in listed:
            assert "parent_id" not in comment
            assert all(one["parent_id"] == comment["id"] for one in comment.get("replies", {"data": []})["data"])
    busy = max(page["data"], key=lambda node: len(world.answers_to(node["id"], now)))
    every = [one["id"] for part in pages(ask, f"{ROOT}/{busy['id']}/comments", 1, fields="id") for one in part["data"]]
    assert sorted(every) == sorted(one.id for one in world.answers_to(busy["id"], now))
    assert len(every) > 3


# --- numbers by name


@pytest.mark.parametrize(
    ("kind", "metric", "words"),
    [
        ("post", "reach,impressions", "Starting from version v22.0 and above, the impressions metric is no longer supported"),
        ("reel", "plays", "no longer supported"),
        ("reel", "follows,reach", "does not support the follows metric for this media product type"),
        ("post", "replies", "does not support the replies metric"),
        ("post", "reach,luck", "metric[1] must be one of the following values"),
        ("post", "", "metric[0] must be one of"),
    ],
)
def test_one_metric_that_is_not_given_refuses_them_all(ask: Any, world: World, kind: str, metric: str, words: str) -> None:
    status, code, message = refusal(ask(f"{ROOT}/{posts(world, kind)[-20].id}/insights", metric=metric))
    assert (status, code) == (400, 100)
    assert words in message


def test_a_story_that_few_saw_has_no_numbers(ask: Any, world: World) -> None:
    story = world.planted("story/seen")
    assert world.counters(story, story.ts).reach < 5
    status, code, message = refusal(ask(f"{ROOT}/{story.id}/insights", instant(story.ts), metric="views"))
    assert (status, code) == (400, 10)
    assert "Not enough viewers" in message


def test_counters_are_those_of_the_world(ask: Any, world: World) -> None:
    now = int(world.nights[-1].timestamp())
    post = posts(world, "carousel")[-20]
    counted = world.counters(post, now)
    _, node = ask(f"{ROOT}/{post.id}", fields="like_count,comments_count")
    _, found = ask(f"{ROOT}/{post.id}/insights", metric="reach,views,saved,shares,likes,total_interactions")
    values = {one["name"]: one["values"][0]["value"] for one in found["data"]}
    assert (node["like_count"], node["comments_count"]) == (counted.like, counted.reply)
    assert values == {
        "reach": counted.reach, "views": counted.view, "saved": counted.save, "shares": counted.share, "likes": counted.like,
        "total_interactions": counted.like + counted.reply + counted.save + counted.share,
    }  # fmt: skip


# --- days


def span_of_day(back: int) -> tuple[str, str]:
    """The seconds in which a platform's day begins and ends, so many days before that of the last night."""
    last = platform_day("instagram", int(datetime(2026, 4, 30, 19, tzinfo=UTC).timestamp()))
    day = last - timedelta(days=back)
    return str(day_start("instagram", day)), str(day_start("instagram", day + timedelta(days=1)))


def test_a_series_ends_each_day_at_midnight_in_california_and_leaves_out_what_is_not_told(ask: Any, world: World) -> None:
    now = datetime(2026, 3, 12, 19, tzinfo=UTC)
    since, until = (day_start("instagram", (now + timedelta(days=back)).date()) for back in (-7, 0))
    _, found = ask(f"{OWN}/insights", now, metric="reach", period="day", since=str(since), until=str(until))
    values = found["data"][0]["values"]
    assert [one["end_time"][11:] for one in values] == ["08:00:00+0000"] * 3 + ["07:00:00+0000"] * 3  # summer time began on the 8th
    days = [platform_day("instagram", int(datetime.fromisoformat(one["end_time"]).timestamp()) - 1) for one in values]
    assert [one["value"] for one in values] == [world.account_day(INSTAGRAM, day, int(now.timestamp())).reach for day in days]
    assert len(values) == 6  # the seventh ended 12 hours ago


def test_a_day_that_is_not_told_is_an_empty_list_and_not_0(ask: Any) -> None:
    since, until = span_of_day(1)
    for more in ({"metric": "reach"}, {"metric": "views", "metric_type": "total_value"}):
        assert ask(f"{OWN}/insights", period="day", since=since, until=until, **more) == (200, {"data": []})


def test_a_day_is_told_too_low_at_first(ask: Any, world: World) -> None:
    day = platform_day("instagram", int(datetime(2026, 3, 2, 20, tzinfo=UTC).timestamp()))
    since, ends = (day_start("instagram", day + timedelta(days=step)) for step in (0, 1))
    found = []
    for age in (25, 47, 49, 500):
        _, body = ask(f"{OWN}/insights", instant(ends + age * 3_600), metric="reach", period="week", since=str(since), until=str(ends))
        found.append(body["data"][0]["values"][0]["value"])
    assert found[0] < found[1] < found[2] == found[3] == world.settled_day(INSTAGRAM, day).reach_7d


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metric": "views"}, "should be specified with parameter metric_type=total_value"),
        ({"metric": "impressions"}, "metric[0] must be one of the following values"),
        ({"metric": "follower_count", "period": "week"}, "Incompatible metrics (follower_count) with period week"),
        ({"metric": "follower_count", "metric_type": "total_value"}, "incompatible with the metric type"),
        ({"metric": "reach", "back": "31"}, "There cannot be more than 30 days (2592000 s) between since and until"),
        ({"metric": "reach", "from": "731"}, "since param is not valid. Metrics data is available for the last 2 years"),
        ({"metric": "reach,follower_count", "from": "31"}, "only supports querying data for the last 30 days excluding the current day"),
    ],
)
def test_what_cannot_be_asked_of_the_account_is_refused(ask: Any, query: dict[str, str], words: str) -> None:
    back = int(query.pop("back", "1"))
    start = int(query.pop("from", str(back)))
    since, _ = span_of_day(start)
    answer = ask(f"{OWN}/insights", **{"period": "day", **query}, since=since, until=str(int(since) + back * DAY))
    status, code, message = refusal(answer)
    assert (status, code) == (400, 100)
    assert words in message


# --- batches, fields, doors


def test_the_parts_of_a_batch_are_answered_each_for_itself(client: Any, world: World) -> None:
    post, reel = posts(world, "post")[-5], posts(world, "reel")[-5]
    asked = [
        f"v26.0/{post.id}/insights?metric=reach,follows",
        f"v26.0/{reel.id}/insights?metric=reach,follows",
        "v26.0/1/insights?metric=reach",
    ]
    parts = json.dumps([{"method": "GET", "relative_url": one} for one in asked])
    answer = client.http.post(ROOT, data={"batch": parts, "include_headers": "false"}, headers=HEADERS)
    found = answer.json()
    assert [(one["code"], "data" in json.loads(one["body"])) for one in found] == [(200, True), (400, False), (400, False)]
    assert set(found[0]) == {"code", "body"}


@pytest.mark.parametrize(
    "batch",
    [None, "no list", json.dumps([{"relative_url": f"v26.0/{number}"} for number in range(51)])],
    ids=["absent", "no list", "too many"],
)
def test_a_batch_that_cannot_be_read_is_refused(client: Any, batch: str | None) -> None:
    answer: httpx.Response = client.http.post(ROOT, data={"batch": batch} if batch else {}, headers=HEADERS)
    assert refusal((answer.status_code, answer.json()))[:2] == (400, 100)


def test_only_what_is_asked_for_is_answered(ask: Any) -> None:
    _, page = ask(f"{OWN}/media", limit="2")
    assert all(set(one) == {"id"} for one in page["data"])
    assert refusal(ask(f"{OWN}/media", fields="id,luck"))[2] == "(#100) Tried accessing nonexisting field (luck) on node type (IGMedia)"
    assert refusal(ask(f"{OWN}/luck"))[1] == 2500
    assert refusal(ask(f"{OWN}/media", after="zzz", fields="id"))[1] == 100
    assert refusal(ask(f"{OWN}/media", limit="0"))[1] == 100


def test_a_cursor_stands_for_a_place() -> None:
    assert order_of(cursor_of(12_345)) == 12_345


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (OWN, {}, 190),
        (OWN, {"Authorization": "Bearer of-somebody"}, 190),
        (f"{ROOT}/17841400000000002", HEADERS, 100),
        (f"/instagram/v12.0/{INSTAGRAM.id}", HEADERS, 2635),
    ],
)
def test_a_door_that_is_closed_says_why(client: Any, path: str, headers: dict[str, str], code: int) -> None:
    answer = client.get(path, headers=headers)
    assert refusal((answer.status_code, answer.json()))[:2] == (400, code)


def test_a_token_is_renewed_with_itself(client: Any) -> None:
    answer = client.http.get("/instagram/refresh_access_token", params={"grant_type": "ig_refresh_token", "access_token": TOKEN})
    assert answer.json() == {"access_token": TOKEN, "token_type": "bearer", "expires_in": 5_184_000}
    answer = client.http.get("/instagram/refresh_access_token", params={"grant_type": "ig_refresh_token", "access_token": "another"})
    assert answer.json()["error"]["code"] == 190


def test_each_answer_tells_how_much_of_the_limit_is_used(client: Any) -> None:
    headers = client.get(OWN, headers=HEADERS).headers
    assert json.loads(headers["X-Business-Use-Case-Usage"])[INSTAGRAM.id][0]["estimated_time_to_regain_access"] == 0
