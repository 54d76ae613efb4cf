"""Facebook as it is read: every stream of the sandbox against the world, each of the platform's errors, and what real answers may hold.

Not here: what the numbers mean (tests/assets/test_staging_facebook.py) and the stand-in itself (tests/sandbox/test_sandbox_facebook.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from assets.asking import windows_due
from connectors.clock import InjectedClock
from connectors.facebook import CONNECTOR, PAGE_METRICS, POST_METRICS, insights_path, kind_of
from connectors.fetch import Fetched, fetch_window, first_request
from connectors.graph import PACIFIC
from connectors.http import Door, Hosts, WaitingBudget
from connectors.metrics import Refusal, Register
from connectors.privacy import PSEUDONYM, Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Stream, Window
from sandbox.facebook import TOKEN, film_id
from sandbox.server import Running
from sandbox.world import FACEBOOK, Post, World, day_start
from tests.connectors.conftest import NOW
from tests.connectors.served import Heard, Said, Speaker, said

NAMES = [stream.name for stream in CONNECTOR.streams]
LISTS = ("posts", "comments", "mentions")
SERIES = ("insights_day", "insights_week", "insights_28d")
TS = int(NOW.timestamp())
DAY_S = 86_400
Record = dict[str, Any]
Read = Callable[..., tuple[Fetched, list[Record]]]


def page_at(url: str, account_id: str = FACEBOOK.id) -> Account:
    return Account(
        "cahaya", "facebook", account_id, FACEBOOK.handle, url, Secret(TOKEN), options={"api_version": "v26.0"},
        own_ids=frozenset({FACEBOOK.id}), own_handles=frozenset({FACEBOOK.handle}),
    )  # fmt: skip


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture
def read(clock: InjectedClock, pseudonyms: Pseudonyms, hosts: Hosts) -> Read:
    """Read a stream's windows up to now; returns what became of the last one, and the records of all."""

    def run(
        stream: Stream | str, account: Account, *, days: int = 30, refused: tuple[Refusal, ...] = (), budget_s: float = 10_000,
        aside: bytearray | None = None,
    ) -> tuple[Fetched, list[Record]]:  # fmt: skip
        stream = CONNECTOR.stream(stream) if isinstance(stream, str) else stream
        door = Door(account, CONNECTOR.limits, hosts, clock, WaitingBudget(budget_s), judge=CONNECTOR.judge)
        lines, left = bytearray(), aside if aside is not None else bytearray()
        now = clock.now()
        windows = windows_due(stream, now, None, timedelta(days=days)) if stream.day_zone else (Window(now - timedelta(days=days), now),)
        for window in windows:
            fetched = fetch_window(stream, account, window, door, pseudonyms, clock, lines.extend, refused=refused, set_aside=left.extend)
        door.close()
        assert TOKEN not in lines.decode()
        assert TOKEN not in (fetched.reason or "")
        return fetched, [json.loads(line)["payload"] for line in lines.splitlines()]

    return run


@pytest.fixture
def page(sandbox: Running, clock: InjectedClock) -> Account:
    """The sandbox's page, its clock being the test's."""
    sandbox.set_now(clock.now())
    sandbox.forget_requests()
    return page_at(f"{sandbox.url}/facebook")


def sized(name: str, size: int) -> Stream:
    """A stream whose pages, and those of the comments inside, are of this size."""
    stream = CONNECTOR.stream(name)
    params = {one: value.replace("limit(100)", f"limit({size})") for one, value in stream.params.items()}
    nested = stream.nested and replace(stream.nested, params={**stream.nested.params, "limit": str(size)})
    return replace(stream, params={**params, "limit": str(size)}, nested=nested)


def standing(world: World, days: int = 30, ts: int = TS) -> list[Post]:
    return [one.post for one in world.timelines[FACEBOOK.id].visible(ts) if one.start >= ts - days * DAY_S]


def values(record: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["values"][0]["value"] for one in record["insights"]["data"]}


# -- the sandbox's streams, against the world -----------------------------------------------------------------------------------------


def test_the_page_comes_as_one_record_without_its_names(read: Read, page: Account, the_world: World) -> None:
    fetched, records = read("accounts", page)
    followers = the_world.followers(FACEBOOK.id, TS)
    assert records == [{"id": FACEBOOK.id, "followers_count": followers, "fan_count": followers * 94 // 100}]
    assert (fetched.is_complete, fetched.rejected, fetched.blanked) == (True, 0, 0)


@pytest.mark.parametrize("size", [50, 4, 3])
def test_each_post_of_the_last_thirty_days_comes_once_with_the_worlds_numbers(
    read: Read, page: Account, the_world: World, size: int
) -> None:
    fetched, records = read(sized("posts", size), page)
    assert fetched.is_complete
    assert [one["id"] for one in records] == [post.id for post in reversed(standing(the_world))]
    for one in records:
        post, counted = the_world.by_id[one["id"]], the_world.counters(the_world.by_id[one["id"]], TS)
        assert one["reactions"]["summary"]["total_count"] == counted.like
        assert one["comments"]["summary"]["total_count"] == counted.reply
        assert kind_of(one) == post.post_type
        told = values(one)
        if post.post_type == "reel":
            assert told == {"fb_reels_total_plays": counted.view, "post_impressions_unique": counted.reach}
        else:
            assert told["post_media_view"] == counted.view
            assert told["post_total_media_view_unique"] == counted.reach
            assert told["post_clicks_by_type"] == the_world.clicks(post, TS)


def test_the_numbers_of_a_page_of_posts_take_one_batch_for_each_kind(read: Read, sandbox: Running, page: Account) -> None:
    read("posts", page)
    assert [(one["method"], one["path"].partition("?")[0]) for one in sandbox.requests()] == [
        ("GET", f"/facebook/v26.0/{FACEBOOK.id}/published_posts"), *[("POST", "/facebook/v26.0")] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [100, 2, 1])
def test_each_comment_and_answer_of_the_window_comes_once(read: Read, page: Account, the_world: World, size: int) -> None:
    """Below posts that may be older than the window, over pages of posts and of comments."""
    fetched, records = read(sized("comments", size), page, days=7)
    expected = {one.post.id: one.post for one in the_world.comments[FACEBOOK.id].visible(TS) if one.start >= TS - 7 * DAY_S}
    assert fetched.is_complete
    assert len(records) == len(expected) > 5
    assert {one["id"] for one in records} == set(expected)
    for one in records:
        comment = expected[one["id"]]
        assert one["post_id"] == comment.conversation_id
        assert one["parent_id"] == (None if comment.reply_to_id == comment.conversation_id else comment.reply_to_id)
        assert one["flags"]["by_us"] == (comment.author_id == FACEBOOK.id)
        assert one["flags"]["spam"] or not comment.is_spam


def test_the_pages_own_answers_are_flagged_and_people_have_keyed_pseudonyms(read: Read, page: Account, the_world: World) -> None:
    _, records = read("comments", page)
    ours = [one for one in records if one["flags"]["by_us"]]
    assert ours
    assert {one["author_id"] for one in ours} == {FACEBOOK.id}
    assert all(PSEUDONYM.fullmatch(one["author_id"]) for one in records if not one["flags"]["by_us"])
    people = {the_world.by_id[one["id"]].author_id: one["author_id"] for one in records if not one["flags"]["by_us"]}
    assert len(set(people.values())) == len(people)


@pytest.mark.parametrize("size", [50, 1])
def test_each_post_that_tags_the_page_comes_once_and_is_a_mention(read: Read, page: Account, the_world: World, size: int) -> None:
    fetched, records = read(sized("mentions", size), page)
    expected = [one.post for one in the_world.mentions[FACEBOOK.id].visible(TS) if one.start >= TS - 30 * DAY_S]
    assert fetched.is_complete
    assert [one["id"] for one in records] == [post.id.rpartition("_")[2] for post in reversed(expected)]
    assert all(one["flags"]["mentions_us"] and PSEUDONYM.fullmatch(one["from"]["id"]) for one in records)


def test_a_tagging_posts_id_does_not_name_its_author(read: Read, page: Account, the_world: World) -> None:
    """As Facebook gives it, the author's number stands before the post's."""
    _, records = read("mentions", page)
    assert records
    assert not any(person.facebook_id in json.dumps(records) for person in the_world.persons)


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        (
            "insights_day",
            {
                "page_media_view": "views", "page_total_media_view_unique": "reach", "page_daily_follows_unique": "followers_gained",
                "page_daily_unfollows_unique": "followers_lost", "page_views_total": "profile_views", "page_post_engagements": "engagements",
            },
        ),
        ("insights_week", {"page_total_media_view_unique": "reach_7d"}),
        ("insights_28d", {"page_total_media_view_unique": "reach_28d"}),
    ],
)  # fmt: skip
def test_each_day_of_california_that_is_told_comes_once(
    read: Read, page: Account, the_world: World, name: str, measures: dict[str, str]
) -> None:
    fetched, records = read(name, page)
    assert fetched.is_complete
    assert len({one["key"] for one in records}) == len(records)
    days = [date(2025, 12, 16) + timedelta(days=step) for step in range(29)]  # that of the 14th is not told yet
    found = {(one["name"], one["day"]): one["value"] for one in records if one["name"] in measures}
    told = {day: the_world.account_day(FACEBOOK, day, TS) for day in days}
    assert found == {(metric, day.isoformat()): getattr(told[day], measure) for metric, measure in measures.items() for day in days}
    assert all(
        one["at"] == datetime.fromtimestamp(day_start("facebook", date.fromisoformat(one["day"])), UTC).isoformat() for one in records
    )


def test_two_years_come_in_windows_that_no_clock_change_makes_longer_than_ninety_days(read: Read, sandbox: Running, page: Account) -> None:
    """Ninety Californian days that hold the end of summer time are 90 days and an hour, which the platform refuses."""
    fetched, records = read("insights_day", page, days=720)
    assert fetched.is_complete, fetched.reason
    spans = [dict(parse_qsl(urlsplit(one["path"]).query)) for one in sandbox.requests()]
    assert len(spans) == 9
    assert all(0 < int(one["until"]) - int(one["since"]) <= 90 * DAY_S for one in spans)
    assert all(one["until"] == after["since"] for one, after in pairwise(spans))
    midnights = {datetime.fromtimestamp(int(one["since"]), ZoneInfo(PACIFIC)).hour for one in spans}
    assert midnights == {0}
    assert min(one["day"] for one in records) < "2024-02-01"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_person_and_none_of_their_words_passes(read: Read, page: Account, the_world: World, name: str) -> None:
    """Even where the platform tells more than was asked for."""
    stream = CONNECTOR.stream(name)
    more = {"fields": stream.params["fields"].replace("from{{id}}", "from,permalink_url")} if "fields" in stream.params else {}
    fetched, records = read(replace(stream, params={**stream.params, **more}), page)
    assert fetched.is_complete
    text = json.dumps(records, ensure_ascii=False)
    assert records
    for person in the_world.persons:
        assert not any(one in text for one in (person.name, person.handle, person.facebook_id, person.email, person.phone))
    theirs = [one.post.text for feed in (the_world.comments, the_world.mentions) for one in feed[FACEBOOK.id].visible(TS)]
    assert not any(words in text for words in theirs if len(words) > 25)


def test_what_is_deleted_before_the_night_is_never_seen(read: Read, page: Account, the_world: World) -> None:
    _, posts = read("posts", page)
    _, comments = read("comments", page)
    flash = the_world.planted("flash")
    assert flash.ts < TS
    assert flash.id not in {one["id"] for one in posts} | {one["post_id"] for one in comments}


@pytest.mark.parametrize("name", [*LISTS, *SERIES])
def test_every_request_names_only_what_the_contract_has(read: Read, sandbox: Running, page: Account, name: str) -> None:
    """The stand-in refuses unknown fields, metrics, cursors and spans; these are the parameters of platforms.md."""
    fetched, _ = read(sized(name, 3) if name in LISTS else name, page)
    assert fetched.is_complete, fetched.reason
    for one in sandbox.requests():
        address = urlsplit(one["path"])
        known = {"metric", "period", "since", "until"} if address.path.endswith("insights") else {"fields", "limit", "after", "filter"}
        assert set(dict(parse_qsl(address.query))) <= known
        assert "access_token" not in address.query


# -- the platform's errors ------------------------------------------------------------------------------------------------------------


def error(code: int, message: str = "…", subcode: int | None = None, **more: Any) -> dict[str, Any]:
    told = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    return {"error": told | ({"error_subcode": subcode} if subcode else {}) | more}


NO_OBJECT = "Unsupported get request. Object with ID '7' does not exist, cannot be loaded due to missing permissions"
BAD_METRIC = error(100, "(#100) The value must be a valid insights metric")
ANOTHERS = error(190, "(#190) This method must be called with a Page Access Token", 2069032)
# What is answered, and: the ledger's word, and how often is asked.
ERRORS: dict[str, tuple[dict[str, Any], int, str, int]] = {
    "a token that expired": (error(190, "Error validating access token: Session has expired", 463), 400, "not_permitted", 1),
    "a token that was taken back": (error(190, "Error validating access token", 460), 400, "not_permitted", 1),
    "a token of another account": (ANOTHERS, 400, "not_permitted", 1),
    "a token without the permission": (error(200, "(#200) Requires pages_read_engagement permission"), 403, "not_permitted", 1),
    "an app without the permission": (error(10, "(#10) This endpoint requires the 'read_insights' permission"), 400, "not_permitted", 1),
    "a page that is gone, or not for this token": (error(100, NO_OBJECT, 33), 400, "unavailable", 1),
    "a page that was renamed in an address": (error(803, "(#803) Some of the aliases you requested do not exist"), 404, "unavailable", 1),
    "a field that does not exist": (error(100, "(#100) Tried accessing nonexisting field (x)"), 400, "unavailable", 1),
    "a fault of theirs": (error(2, "An unexpected error has occurred.", is_transient=True), 500, "missing", 5),
    "too much data": (error(1, "Please reduce the amount of data you're asking for, then retry your request"), 500, "missing", 5),
    "transient whatever the code": (error(100, "try later", is_transient=True), 400, "missing", 5),
    "requests of the app": (error(4, "(#4) Application request limit reached"), 400, "missing", 5),
    "requests of the user": (error(17, "(#17) User request limit reached"), 400, "missing", 5),
    "requests of the page": (error(32, "(#32) Page request limit reached"), 400, "missing", 5),
    "calls too quick": (error(613, "(#613) Calls to this api have exceeded the rate limit."), 400, "missing", 5),
    "requests of the business use case": (error(80001, "There have been too many calls to this Page account.", 2446079), 400, "missing", 5),
    "an app that is blocked": (error(101, "Error validating application"), 400, "not_permitted", 1),
    "a version that is over": (error(2635, "You are calling a deprecated version"), 400, "not_permitted", 1),
    "no error of theirs": ({"oops": True}, 502, "missing", 5),
}


@pytest.mark.parametrize("name", ["accounts", "posts", "comments", "mentions", "insights_day"])
@pytest.mark.parametrize(("body", "status", "told", "asked"), ERRORS.values(), ids=ERRORS.keys())
def test_each_error_has_its_reaction(
    read: Read, speaker: Speaker, name: str, body: dict[str, Any], status: int, told: str, asked: int
) -> None:
    speaker.says(said(body, status))
    fetched, records = read(name, page_at(speaker.url))
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, told, [])
    assert len(speaker.heard) == asked
    assert fetched.reason
    assert not fetched.refusals
    assert "Siti" not in fetched.reason
    assert body.get("error", {}).get("message", "…") not in fetched.reason


@pytest.mark.parametrize("code", [101, 2635])
def test_an_app_or_a_version_that_is_over_stops_the_platform_and_a_dead_token_only_its_account(
    read: Read, speaker: Speaker, code: int
) -> None:
    speaker.says(said(error(code), 400))
    read("accounts", page_at(speaker.url))
    fetched, _ = read("posts", page_at(speaker.url, "2"))
    assert (len(speaker.heard), fetched.ledger_status) == (1, "not_permitted")
    assert "api_version" in (fetched.reason or "")


def test_a_dead_token_of_one_account_does_not_stop_another(read: Read, speaker: Speaker) -> None:
    speaker.says(said(error(190), 400), said({"id": FACEBOOK.id, "followers_count": 1}))
    read("accounts", page_at(speaker.url, "2"))
    fetched, _ = read("accounts", page_at(speaker.url))
    assert fetched.is_complete


USAGE = {"type": "pages", "call_count": 100, "total_cputime": 25, "total_time": 25, "estimated_time_to_regain_access": 7}


def test_the_wait_is_the_one_that_the_usage_header_names_in_minutes(read: Read, speaker: Speaker, clock: InjectedClock) -> None:
    usage = json.dumps({FACEBOOK.id: [USAGE]})
    speaker.says(said(error(80001), 400, X_Business_Use_Case_Usage=usage), said({"id": FACEBOOK.id, "followers_count": 1}))
    fetched, _ = read("accounts", page_at(speaker.url))
    assert fetched.is_complete
    assert timedelta(minutes=7) <= clock.now() - NOW < timedelta(minutes=15)


def test_a_wait_longer_than_the_run_has_left_ends_the_list_and_is_told(read: Read, speaker: Speaker) -> None:
    usage = json.dumps({FACEBOOK.id: [USAGE]})
    speaker.says(said(error(80001), 400, X_Business_Use_Case_Usage=usage))
    fetched, _ = read("posts", page_at(speaker.url), budget_s=60)
    assert (fetched.ledger_status, fetched.is_budget_spent, len(speaker.heard)) == ("missing", True, 1)


@pytest.mark.parametrize("usage", ["", "[]", "no json", '{"1": 7}', '{"1": [{"call_count": "many"}]}', '{"call_count": 12}'])
def test_a_usage_header_that_asks_for_no_peace_delays_nothing(read: Read, speaker: Speaker, clock: InjectedClock, usage: str) -> None:
    speaker.says(said({"id": FACEBOOK.id, "followers_count": 1}, X_Business_Use_Case_Usage=usage, X_App_Usage=usage))
    for _ in range(2):
        assert read("accounts", page_at(speaker.url))[0].is_complete
    assert clock.now() == NOW


@pytest.mark.parametrize("kind", ["status", "reset", "truncate", "html"])
def test_a_failure_in_mid_list_keeps_what_came(read: Read, sandbox: Running, page: Account, kind: str) -> None:
    sandbox.faults([{"path": "published_posts", "kind": kind, "after": 2}])
    fetched, records = read(sized("comments", 3), page)
    assert (fetched.is_complete, fetched.ledger_status) == (False, "missing")
    assert records
    assert fetched.reason


# -- metrics that die -----------------------------------------------------------------------------------------------------------------


def serve(posts: list[Record], numbers: Callable[[str, list[str]], tuple[int, Any] | None]) -> Callable[[Heard], Said]:
    """Serve a list of posts, and in batches what `numbers` says of an id and metrics; None = that part is not answered."""

    def part(relative: str) -> dict[str, Any] | None:
        address = urlsplit(relative)
        answer = numbers(address.path.split("/")[-2], parse_qs(address.query)["metric"][0].split(","))
        return None if answer is None else {"code": answer[0], "body": json.dumps(answer[1])}

    def say(heard: Heard) -> Said:
        if "batch" in heard.form:
            return said([part(one["relative_url"]) for one in json.loads(heard.form["batch"])])
        return said({"data": posts})

    return say


def numbers_of(*names: str, value: Any = 7) -> tuple[int, Any]:
    return 200, {"data": [{"name": name, "period": "lifetime", "values": [{"value": value}], "title": "Judul"} for name in names]}


def post(number: int, kind: str = "post", **more: Any) -> Record:
    told = {
        "id": f"{FACEBOOK.id}_{number}", "created_time": f"2026-01-{number:02}T05:00:00+0000", "message": "Salam",
        "permalink_url": f"https://www.facebook.com/reel/55{number}/" if kind == "reel" else f"https://www.facebook.com/{number}",
        "comments": {"data": [], "summary": {"total_count": 1}}, "reactions": {"data": [], "summary": {"total_count": 2}},
    }  # fmt: skip
    return told | ({"attachments": {"data": [{"media_type": "video"}]}} if kind == "video" else {}) | more


def test_a_retired_metric_costs_itself_alone_and_is_not_asked_for_again(read: Read, speaker: Speaker) -> None:
    asked: list[list[str]] = []

    def numbers(_: str, names: list[str]) -> tuple[int, Any]:
        asked.append(names)
        return (400, BAD_METRIC) if "post_clicks_by_type" in names else numbers_of(*names)

    speaker.answers(serve([post(12), post(11, "video"), post(10, "reel")], numbers))
    fetched, records = read("posts", page_at(speaker.url))
    assert fetched.is_complete
    assert [("post_media_view" in values(one), "fb_reels_total_plays" in values(one)) for one in records] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip
    assert "post_clicks_by_type" in fetched.retired_fields
    assert {(one.metric, one.kind, one.status) for one in fetched.refusals} == {
        ("post_clicks_by_type", "post", "retired"), ("post_clicks_by_type", "video", "retired"),
    }  # fmt: skip
    asked.clear()
    again, _ = read("posts", page_at(speaker.url), refused=tuple(fetched.refusals))
    assert not any("post_clicks_by_type" in names for names in asked)
    assert "post_clicks_by_type" in again.retired_fields
    assert not again.refusals


def test_a_metric_that_one_kind_has_and_another_has_not_is_not_retired_as_a_whole(read: Read, speaker: Speaker) -> None:
    def numbers(_: str, names: list[str]) -> tuple[int, Any]:
        return (400, BAD_METRIC) if {"post_clicks_by_type", "post_media_view"} <= set(names) else numbers_of(*names)

    def of_videos(identity: str, names: list[str]) -> tuple[int, Any]:
        return (400, BAD_METRIC) if identity.endswith("_11") and "post_clicks_by_type" in names else numbers_of(*names)

    speaker.answers(serve([post(12), post(11, "video")], of_videos))
    fetched, records = read("posts", page_at(speaker.url))
    assert {(one.metric, one.kind) for one in fetched.refusals} == {("post_clicks_by_type", "video")}
    assert "post_clicks_by_type" not in fetched.retired_fields
    assert "post_clicks_by_type" in values(records[0])
    # Where each half alone is answered no metric is to blame, and none is called retired.
    speaker.answers(serve([post(12)], numbers))
    fetched, _ = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, fetched.refusals) == (False, [])


@pytest.mark.parametrize("order", [(12, 11), (11, 12)])
def test_a_kind_of_which_no_number_is_given_any_more_costs_the_others_nothing(read: Read, speaker: Speaker, order: tuple[int, int]) -> None:
    """The two names for reels are the least certain of all."""

    def numbers(identity: str, names: list[str]) -> tuple[int, Any]:
        return (400, BAD_METRIC) if identity.startswith("55") else numbers_of(*names)

    speaker.answers(serve([post(order[0]), post(order[1], "reel")], numbers))
    fetched, records = read("posts", page_at(speaker.url))
    assert fetched.is_complete
    assert [one["insights"] and "post_media_view" in values(one) for one in records] == [True, None]
    assert {(one.metric, one.kind) for one in fetched.refusals} == {("fb_reels_total_plays", "reel"), ("post_impressions_unique", "reel")}
    assert "fb_reels_total_plays" in fetched.retired_fields
    assert "post_impressions_unique" not in fetched.retired_fields


def test_where_no_kind_is_given_any_number_something_else_is_wrong(read: Read, speaker: Speaker) -> None:
    speaker.answers(serve([post(12), post(11, "reel")], lambda _, __: (400, BAD_METRIC)))
    fetched, _ = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, fetched.ledger_status, fetched.refusals) == (False, "unavailable", [])


def test_people_reached_die_of_posts_and_live_on_of_reels() -> None:
    """One name, two entries: which one is asked by, and remembered, is told by the kind of thing."""
    before, after = (Register(POST_METRICS, day) for day in (date(2026, 6, 14), date(2026, 6, 15)))
    assert "post_impressions_unique" in before.wanted("post")
    assert "post_impressions_unique" not in after.wanted("post")
    assert "post_impressions_unique" in after.wanted("reel")
    assert "post_impressions_unique" not in after.missing("retired")
    before.refuse("post_impressions_unique", "post", "retired")
    entries = {one.entry for one in POST_METRICS if one.name == "post_impressions_unique" and "reel" not in one.kinds}
    assert {one.entry for one in before.news} == entries
    again = Register(POST_METRICS, date(2026, 6, 14), before.news)
    assert "post_impressions_unique" not in again.wanted("post")
    assert "post_impressions_unique" in again.wanted("reel")


@pytest.mark.parametrize("metrics", [POST_METRICS, PAGE_METRICS])
def test_the_register_knows_the_waves_in_which_metrics_died(metrics: tuple[Any, ...]) -> None:
    dated = {(one.name, one.retired) for one in metrics if one.retired and "impressions" in one.name}
    first, second = date(2025, 11, 15), date(2026, 6, 15)
    assert {day for name, day in dated if name.endswith("_unique")} == {second}
    assert {day for name, day in dated if not name.endswith("_unique")} == {first}


def test_a_series_without_the_metric_that_died(read: Read, sandbox: Running, page: Account) -> None:
    sandbox.faults([{"path": r"insights\?.*page_views_total", "kind": "status", "status": 400, "body": BAD_METRIC}])
    fetched, records = read("insights_day", page)
    assert fetched.is_complete
    assert {one["name"] for one in records} == {one.name for one in PAGE_METRICS if one.lives(NOW.date())} - {"page_views_total"}
    assert "page_views_total" in fetched.retired_fields
    assert [(one.metric, one.kind, one.status) for one in fetched.refusals] == [("page_views_total", "", "retired")]


# -- what real answers may hold -------------------------------------------------------------------------------------------------------


def test_a_post_deleted_between_the_list_and_its_numbers_stays_without_them(read: Read, speaker: Speaker) -> None:
    def numbers(identity: str, names: list[str]) -> tuple[int, Any]:
        return (400, error(100, NO_OBJECT, 33)) if identity.endswith("_11") else numbers_of(*names)

    speaker.answers(serve([post(12), post(11), post(10)], numbers))
    fetched, records = read("posts", page_at(speaker.url))
    assert fetched.is_complete
    assert [one["insights"] and set(values(one)) > {"post_media_view"} for one in records] == [True, None, True]


def test_a_page_with_few_likes_has_empty_insights_and_that_is_no_failure(read: Read, speaker: Speaker) -> None:
    speaker.answers(serve([post(12)], lambda _, __: (200, {"data": []})))
    fetched, (record,) = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, record["insights"], fetched.refusals) == (True, {"data": []}, [])
    speaker.says(said({"data": [], "paging": {"previous": "https://x", "next": "https://x"}}))
    fetched, records = read("insights_day", page_at(speaker.url))
    assert (fetched.is_complete, records) == (True, [])


def test_too_few_viewers_are_an_empty_answer(read: Read, speaker: Speaker) -> None:
    speaker.answers(serve([post(12)], lambda _, __: (400, error(10, "(#10) Not enough viewers for the media to show insights"))))
    fetched, (record,) = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, record["insights"], fetched.denied_fields) == (True, {}, set())


def test_insights_that_the_token_may_not_read_leave_the_list_whole(read: Read, speaker: Speaker) -> None:
    speaker.answers(serve([post(12), post(11)], lambda _, __: (400, error(10, "(#10) Requires read_insights"))))
    fetched, records = read("posts", page_at(speaker.url))
    assert fetched.is_complete
    assert {"post_media_view", "post_total_media_view_unique"} <= fetched.denied_fields
    assert not fetched.retired_fields & {"post_media_view", "post_total_media_view_unique"}
    assert [one["insights"] for one in records] == [None, None]


@pytest.mark.parametrize("late", [None, (400, error(80001)), (500, error(2, is_transient=True))])
def test_a_part_of_a_batch_that_comes_later_is_asked_for_again_after_a_rest(
    read: Read, speaker: Speaker, clock: InjectedClock, late: tuple[int, Any] | None
) -> None:
    left = [late]

    def numbers(_: str, names: list[str]) -> tuple[int, Any] | None:
        return left.pop() if left else numbers_of(*names)

    speaker.answers(serve([post(12), post(11)], numbers))
    fetched, records = read("posts", page_at(speaker.url))
    assert fetched.is_complete
    assert all(values(one) for one in records)
    assert clock.now() > NOW
    batches = [json.loads(heard.form["batch"]) for heard in speaker.heard if "batch" in heard.form]
    assert [len(parts) for parts in batches] == [2, 1]


def test_a_batch_that_never_comes_whole_leaves_the_list_incomplete(read: Read, speaker: Speaker) -> None:
    """Posts without the numbers that they have would read as posts that have none."""
    speaker.answers(serve([post(12)], lambda _, __: None))
    fetched, records = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "missing", [])


def test_a_number_for_one_kind_and_an_object_for_another_are_kept_as_they_are(read: Read, speaker: Speaker) -> None:
    def numbers(identity: str, names: list[str]) -> tuple[int, Any]:
        return numbers_of(*names, value={"link clicks": 3, "other clicks": 0} if identity.endswith("_12") else 9)

    speaker.answers(serve([post(12), post(11)], numbers))
    fetched, records = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, fetched.blanked) == (True, 0)
    assert [values(one)["post_clicks_by_type"] for one in records] == [{"link clicks": 3, "other clicks": 0}, 9]


def test_counts_that_are_none_are_blanked_and_set_aside_and_the_post_stays(read: Read, speaker: Speaker) -> None:
    many = [post(number) for number in range(1, 28)][::-1]
    many[0]["reactions"]["summary"]["total_count"] = -4
    speaker.answers(serve(many, lambda _, names: numbers_of(*names)))
    aside = bytearray()
    fetched, records = read("posts", page_at(speaker.url), days=40, aside=aside)
    assert (fetched.is_complete, fetched.blanked, len(records)) == (True, 1, 27)
    assert records[0]["reactions"]["summary"]["total_count"] is None
    assert json.loads(aside)["field"] == "reactions.summary.total_count"


@pytest.mark.parametrize("given", [{}, {"comments": None, "reactions": None, "shares": None}, {"comments": {}, "reactions": {"data": []}}])
def test_counters_that_are_null_or_absent_are_no_fault(read: Read, speaker: Speaker, given: Record) -> None:
    bare = {name: value for name, value in post(12).items() if name not in ("comments", "reactions")} | given
    speaker.answers(serve([bare], lambda _, names: numbers_of(*names)))
    fetched, (record,) = read("posts", page_at(speaker.url))
    assert (fetched.is_complete, fetched.rejected, fetched.blanked) == (True, 0, 0)
    assert all(record.get(name) == given.get(name) or not record[name].get("summary") for name in ("comments", "reactions", "shares"))


def test_comments_without_author_or_text_are_kept_without(read: Read, speaker: Speaker) -> None:
    """Without `pages_read_user_content`, or of somebody who left, Facebook gives no `from`."""
    comments = [
        {"id": f"12_{number}", "created_time": "2026-01-13T00:00:00+0000", **more} for number, more in enumerate(({}, {"from": None}))
    ]
    speaker.says(said({"data": [{"id": "1_12", "created_time": "2026-01-12T00:00:00+0000", "comments": {"data": comments}}]}))
    fetched, records = read("comments", page_at(speaker.url))
    assert fetched.is_complete
    assert [(one["author_id"], one["flags"]["by_us"]) for one in records] == [(None, False), (None, False)]


@pytest.mark.parametrize("held", [None, {}, {"data": []}, {"data": None}, [], "x"])
def test_a_post_without_comments_has_none(read: Read, speaker: Speaker, held: object) -> None:
    speaker.says(said({"data": [{"id": "1_12", "created_time": "2026-01-12T00:00:00+0000", "comments": held}]}))
    fetched, records = read("comments", page_at(speaker.url))
    assert (fetched.is_complete, records) == (True, [])


def test_people_who_are_tagged_in_our_text_by_name_are_taken_out_of_it(read: Read, speaker: Speaker) -> None:
    """A tag on Facebook shows the full name without an @, so that only the list of tags tells who is meant."""
    tags = [{"name": "Siti Rahma"}, {"name": "Siti"}, {"name": None}]
    text = "Terima kasih Siti Rahma dan SITI, situs kami: lazcahaya.example"
    speaker.answers(serve([post(12, message=text, message_tags=tags)], lambda _, names: numbers_of(*names)))
    _, (record,) = read("posts", page_at(speaker.url))
    assert record["message"] == "Terima kasih @… dan @…, situs kami: lazcahaya.example"
    assert "message_tags" not in record


@pytest.mark.parametrize(
    ("record", "kind", "path"),
    [
        (post(1, "reel"), "reel", "/{api_version}/551/video_insights"),
        ({"id": "1_2", "permalink_url": "https://www.facebook.com/reel/oops"}, "reel", "/{api_version}/{id}/video_insights"),
        (post(1, "video"), "video", "/{api_version}/{id}/insights"),
        ({"id": "1_2", "permalink_url": None, "attachments": None}, "post", "/{api_version}/{id}/insights"),
        ({"id": "1_2", "attachments": {"data": []}}, "post", "/{api_version}/{id}/insights"),
        ({"id": "1_2", "attachments": {"data": ["x"]}}, "post", "/{api_version}/{id}/insights"),
        ({"id": "1_2", "attachments": {"data": [{"media_type": "album"}]}}, "post", "/{api_version}/{id}/insights"),
    ],
)
def test_the_kind_of_a_post_and_where_its_numbers_stand(record: Record, kind: str, path: str) -> None:
    assert (kind_of(record), insights_path(record)) == (kind, path)


def test_a_reels_film_has_another_number_than_its_post(the_world: World) -> None:
    reel = the_world.planted("facebook_reel")
    assert (
        insights_path({"permalink_url": f"https://www.facebook.com/reel/{film_id(reel)}/"})
        == f"/{{api_version}}/{film_id(reel)}/video_insights"
    )
    assert film_id(reel) not in reel.id


def test_the_version_is_the_settings_own(page: Account) -> None:
    request = first_request(CONNECTOR.stream("posts"), replace(page, options={"api_version": "v27.0"}), Window(NOW, NOW))
    assert request.url.endswith(f"/v27.0/{FACEBOOK.id}/published_posts")
    assert "message_tags{name}" in dict(request.params)["fields"]
