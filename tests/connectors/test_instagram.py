"""Instagram's streams as they come through the door from the sandbox, and what each of its errors makes the door do.

Not here: halving refused metrics (test_metrics_refused.py), the sandbox's own words (tests/sandbox/), what the numbers mean (tests/assets/).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.clock import InjectedClock
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.instagram import CONNECTOR, MEDIA_METRICS, STORY_METRICS
from connectors.metrics import Metric
from connectors.privacy import PSEUDONYM, Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, LongLived, Snapshot, Stream, Window, days_floor, tile_days
from connectors.tokens import Grant, SelfRenewing
from sandbox.instagram import TOKEN
from sandbox.server import Running
from sandbox.world import INSTAGRAM, Post, World
from tests.connectors.conftest import NOW, MakeAccount
from tests.connectors.served import Heard, Said, Speaker, said

Record = dict[str, Any]
Read = Callable[..., tuple[list[Fetched], list[Record]]]
LISTS = ("posts", "stories", "comments", "mentions")
DAYS = ("insights_day", "followers_day", "insights_week", "insights_28d", "totals_day")
MEDIUM = {"id": "3", "media_product_type": "FEED", "media_type": "IMAGE", "timestamp": "2026-01-14T05:00:00+0000", "like_count": 4}


@pytest.fixture
def ours(sandbox: Running, clock: InjectedClock, the_world: World) -> Account:
    """The institution's account at the sandbox, the sandbox's clock being the test's."""
    sandbox.set_now(clock.now())
    sandbox.forget_requests()
    return Account(
        "cahaya",
        "instagram",
        INSTAGRAM.id,
        INSTAGRAM.handle,
        f"{sandbox.url}/instagram",
        Secret(TOKEN),
        options={"api_version": CONNECTOR.api_version},
        own_ids=frozenset({INSTAGRAM.id}),
        own_handles=frozenset({INSTAGRAM.handle}),
        staff_ids=frozenset({the_world.staff["instagram"].instagram_id}),
    )


@pytest.fixture
def served(speaker: Speaker, make_account: MakeAccount) -> Account:
    """An account at a server that says what the test tells it to."""
    return make_account(speaker.url, platform="instagram", options={"api_version": "v26.0"})


@pytest.fixture
def read(clock: InjectedClock, pseudonyms: Pseudonyms) -> Iterator[Read]:
    """Read a stream of an account up to now, window by window; returns what became of each, and the records."""
    doors: list[Door] = []

    def run(
        stream: Stream, account: Account, days: int = 30, budget_s: float = 10_000, hosts: Hosts | None = None, only: Window | None = None
    ) -> Any:
        door = Door(account, CONNECTOR.limits, hosts or Hosts(), clock, WaitingBudget(budget_s), judge=CONNECTOR.judge)
        doors.append(door)
        lines = bytearray()
        asked = [only] if only else windows(stream, clock.now(), days)
        told = [fetch_window(stream, account, window, door, pseudonyms, clock, lines.extend) for window in asked]
        return told, [json.loads(line)["payload"] for line in lines.splitlines()]

    yield run
    for door in doors:
        door.close()


def windows(stream: Stream, now: datetime, days: int) -> list[Window]:
    if stream.day_zone is None:
        return [Window(now - timedelta(days=days), now)]
    start, end = (days_floor(one, stream.day_zone) for one in (now - timedelta(days=days), now))
    return list(tile_days(start, end, stream.window.days, stream.day_zone))


def small(stream: Stream, size: int) -> Stream:
    """The stream with that many things on a page, and in each list inside one."""

    def shrunk(text: str) -> str:
        return text.replace("limit(50)", f"limit({size})")

    params = {name: str(size) if name == "limit" else shrunk(value) for name, value in stream.params.items()}
    nested = stream.nested
    if nested is not None and nested.inner is not None:
        inner = replace(nested.inner, params={**nested.inner.params, "limit": str(size)})
        nested = replace(nested, params={"fields": shrunk(nested.params["fields"]), "limit": str(size)}, inner=inner)
    beside = replace(stream.beside, at_most=size) if stream.beside else None
    return replace(stream, params=params, nested=nested, beside=beside)


def standing(the_world: World, feed: str, now: datetime, since: datetime) -> list[Post]:
    """What stands in one of the world's feeds and was written since."""
    feeds = {"posts": the_world.timelines, "stories": the_world.stories, "comments": the_world.comments, "mentions": the_world.mentions}
    found = [one.post for one in feeds[feed][INSTAGRAM.id].visible(int(now.timestamp())) if one.start >= since.timestamp()]
    return [post for post in found if feed != "mentions" or post.kind == "mention"]


def numbers(record: Record) -> dict[str, int]:
    return {one["name"]: one["values"][0]["value"] for one in record["insights"]["data"]}


# --- from the sandbox, against the world


@pytest.mark.parametrize("name", LISTS)
def test_each_list_comes_whole_and_once_whatever_the_page_size(
    the_world: World, sandbox: Running, ours: Account, read: Read, clock: InjectedClock, name: str
) -> None:
    clock.set(datetime(2026, 2, 5, 5, tzinfo=UTC))
    sandbox.set_now(clock.now())
    expected = sorted(post.id for post in standing(the_world, name, clock.now(), clock.now() - timedelta(days=30)))
    assert len(expected) > 1
    contents = []
    for size in (50, 3, 1):
        (told,), records = read(small(CONNECTOR.stream(name), size), ours)
        assert (told.is_complete, told.rejected, told.blanked, told.reason) == (True, 0, 0, None)
        assert sorted(record["id"] for record in records) == expected
        contents.append(sorted(json.dumps(record, sort_keys=True) for record in records))
    assert contents[0] == contents[1] == contents[2]


def test_a_posts_counters_are_those_of_the_world(the_world: World, ours: Account, read: Read, clock: InjectedClock) -> None:
    _, records = read(CONNECTOR.stream("posts"), ours)
    for record in records:
        counted = the_world.counters(the_world.by_id[record["id"]], int(clock.now().timestamp()))
        found = numbers(record)
        assert (record["like_count"], record["comments_count"]) == (counted.like, counted.reply)
        assert [found[name] for name in ("likes", "shares", "saved", "views", "reach")] == [
            counted.like, counted.share, counted.save, counted.view, counted.reach,
        ]  # fmt: skip
        assert ("ig_reels_avg_watch_time" in found) == (record["media_product_type"] == "REELS")
        assert ("follows" in found) == (record["media_product_type"] == "FEED")


def test_a_storys_numbers_come_while_it_stands_and_a_fresh_one_has_none(
    the_world: World, sandbox: Running, ours: Account, read: Read, clock: InjectedClock
) -> None:
    story = the_world.planted("story/seen")
    for age, is_told in ((1, False), (50_000, True)):
        clock.set(datetime.fromtimestamp(story.ts + age, UTC))
        sandbox.set_now(clock.now())
        (told,), records = read(CONNECTOR.stream("stories"), ours, days=1)
        found = next(record for record in records if record["id"] == story.id)
        assert told.is_complete
        assert bool(found["insights"]) == is_told
    counted = the_world.counters(story, story.ts + 50_000)
    assert {name: value for name, value in numbers(found).items() if name in {"views", "reach", "replies", "shares", "navigation"}} == {
        "views": counted.view, "reach": counted.reach, "replies": counted.reply, "shares": counted.share, "navigation": counted.navigation,
    }  # fmt: skip


def test_the_insights_of_a_page_cost_one_request_a_type(ours: Account, read: Read, sandbox: Running) -> None:
    read(CONNECTOR.stream("posts"), ours)
    heard = [(entry["method"], entry["path"].partition("?")[0]) for entry in sandbox.requests()]
    assert heard == [("GET", f"/instagram/v26.0/{INSTAGRAM.id}/media"), *[("POST", "/instagram/v26.0")] * 2]


def test_what_is_older_than_the_window_is_not_asked_for_numbers(ours: Account, read: Read, sandbox: Running) -> None:
    """The last page reaches further back; each question counts against the hour's limit, in a batch too."""
    account = replace(ours, options={**ours.options, "login": "instagram"})
    (told,), records = read(CONNECTOR.stream("posts"), account, days=3)
    assert told.is_complete
    assert 0 < len(records) == sum("/insights" in entry["path"] for entry in sandbox.requests())


def test_an_account_of_instagrams_own_login_is_asked_post_by_post(ours: Account, read: Read, sandbox: Running) -> None:
    account = replace(ours, options={**ours.options, "login": "instagram"})
    _, records = read(CONNECTOR.stream("posts"), account)
    asked = [entry for entry in sandbox.requests() if "/insights" in entry["path"]]
    assert len(asked) == len(records)
    assert {entry["method"] for entry in sandbox.requests()} == {"GET"}


def test_the_account_is_one_record_without_its_names(the_world: World, ours: Account, read: Read, clock: InjectedClock) -> None:
    (told,), (record,) = read(CONNECTOR.stream("accounts"), ours)
    assert told.is_complete
    now = int(clock.now().timestamp())
    assert record == {
        "id": INSTAGRAM.id, "followers_count": the_world.followers(INSTAGRAM.id, now), "follows_count": 212,
        "media_count": the_world.posts_count(INSTAGRAM.id, now),
    }  # fmt: skip


FLOWS = {
    ("reach", "day"): "reach", ("reach", "week"): "reach_7d", ("reach", "days_28"): "reach_28d", ("follower_count", "day"): "followers_gained",
    ("views", "day"): "views", ("profile_views", "day"): "profile_views", ("website_clicks", "day"): "link_clicks",
}  # fmt: skip


@pytest.mark.parametrize("name", DAYS)
def test_each_day_of_the_account_comes_once_as_far_as_it_is_told(
    the_world: World, ours: Account, read: Read, clock: InjectedClock, name: str
) -> None:
    told, records = read(CONNECTOR.stream(name), ours, days=29)
    assert all(one.is_complete for one in told)
    assert len({record["key"] for record in records}) == len(records)
    stream = CONNECTOR.stream(name)
    for record in records:
        day = the_world.account_day(INSTAGRAM, date.fromisoformat(record["day"]), int(clock.now().timestamp()))
        assert record["value"] == getattr(day, FLOWS[record["name"], record["period"]])
        assert record["key"] == f"{record['name']}/{record['period']}/{record['day']}"
        assert datetime.fromisoformat(record["at"]) == days_floor(datetime.fromisoformat(record["at"]), "America/Los_Angeles")
    assert {record["name"] for record in records} == {metric.name for metric in stream.metrics}
    # The day before the last ended 12 hours ago and is not told yet.
    assert len(records) == 28 * len(stream.metrics)


def test_windows_that_hold_the_end_of_summer_time_are_not_too_long(
    sandbox: Running, ours: Account, read: Read, clock: InjectedClock
) -> None:
    """That day has 25 hours, and Instagram refuses more than 30 days of 24."""
    clock.set(datetime(2026, 11, 20, 19, tzinfo=UTC))
    sandbox.set_now(clock.now())
    for name in DAYS[:-1]:
        told, _ = read(CONNECTOR.stream(name), ours, days=29)
        assert all(one.is_complete for one in told), name


@pytest.mark.parametrize("name", DAYS)
def test_the_oldest_day_that_is_ever_asked_for_is_one_that_instagram_answers(ours: Account, read: Read, name: str) -> None:
    stream = CONNECTOR.stream(name)
    assert stream.retention is not None
    assert stream.day_zone is not None
    oldest = days_floor(NOW - stream.retention, stream.day_zone)
    (first, *_) = tile_days(oldest, days_floor(NOW, stream.day_zone), stream.window.days, stream.day_zone)
    (told,), _ = read(stream, ours, only=first)
    assert told.is_complete, told.reason
    (told,), _ = read(stream, ours, only=Window(first.start - timedelta(days=3), first.start - timedelta(days=2)))
    assert (told.ledger_status, told.refusals, told.retired_fields) == ("unavailable", [], set())


def test_likes_that_the_account_hides_are_absent_and_never_0(
    the_world: World, sandbox: Running, ours: Account, read: Read, clock: InjectedClock
) -> None:
    post = the_world.planted("hidden_likes")
    clock.set(datetime.fromtimestamp(post.hidden[0].start + 3_600, UTC))
    sandbox.set_now(clock.now())
    _, records = read(CONNECTOR.stream("posts"), ours)
    record = next(record for record in records if record["id"] == post.id)
    assert "like_count" not in record
    assert "likes" not in numbers(record)
    assert numbers(record)["views"] > 0


def test_names_that_instagram_gives_no_more_are_found_by_themselves(ours: Account, read: Read) -> None:
    """As if the register had not known that impressions and plays have ended."""
    living = tuple(replace(metric, retired=None) for metric in MEDIA_METRICS)
    (told,), records = read(replace(CONNECTOR.stream("posts"), metrics=living), ours)
    assert told.is_complete
    gone = {"impressions", "plays", "video_views", "clips_replays_count", "ig_reels_aggregated_all_plays_count", "engagement"}
    assert told.retired_fields == gone
    assert {one.metric for one in told.refusals} == gone
    assert {one.status for one in told.refusals} == {"retired"}
    assert all({"reach", "views", "saved"} <= numbers(record).keys() for record in records)


@pytest.mark.parametrize("metrics", [MEDIA_METRICS, STORY_METRICS])
def test_a_metric_that_is_asked_for_is_one_that_the_vendors_kit_names(metrics: tuple[Metric, ...]) -> None:
    """The enumeration of the official SDK 26.0.3 (platforms.md 2)."""
    named = {
        "comments", "crossposted_views", "facebook_views", "follows", "ig_reels_avg_watch_time", "ig_reels_video_view_total_time", "impressions",
        "likes", "link_clicks", "navigation", "profile_activity", "profile_visits", "reach", "reels_skip_rate", "replies", "reposts", "saved",
        "shares", "total_comments", "total_interactions", "total_likes", "total_views", "views",
    }  # fmt: skip
    assert {metric.name for metric in metrics if metric.lives(NOW.date())} <= named


PARAMETERS = {
    "media": {"fields", "limit", "after"}, "stories": {"fields", "limit", "after"}, "tags": {"fields", "limit", "after"},
    "insights": {"metric", "period", "since", "until", "metric_type"}, "comments": {"fields", "limit", "after"},
    "replies": {"fields", "limit", "after"}, INSTAGRAM.id: {"fields"},
}  # fmt: skip


def test_only_parameters_that_the_contract_names_are_sent_and_never_the_token(ours: Account, read: Read, sandbox: Running) -> None:
    """Those of platforms.md 2; the vendor publishes no contract that could be read by a machine."""
    for stream in CONNECTOR.streams:
        read(small(stream, 1), ours, days=5)
    addresses = [urlsplit(entry["path"]) for entry in sandbox.requests() if entry["method"] == "GET"]
    sent = {(one.path.rsplit("/", 1)[-1], name) for one in addresses for name in parse_qs(one.query)}
    assert {edge for edge, _ in sent} == PARAMETERS.keys() - {"replies"} | ({"replies"} & {edge for edge, _ in sent})
    assert {(edge, name) for edge, name in sent if name not in PARAMETERS[edge]} == set()
    assert all(one.path.startswith("/instagram/v26.0/") for one in addresses)


def test_a_token_of_instagrams_own_login_is_renewed_with_itself(
    ours: Account, sandbox: Running, clock: InjectedClock, tmp_path: Path
) -> None:
    auth = CONNECTOR.auth
    assert isinstance(auth, LongLived)
    tokens = SelfRenewing(tmp_path / "t.json", Grant("NAME", Secret(TOKEN), Secret("")), auth, ours.base_url, ours.label, clock)
    assert tokens.current().reveal() == TOKEN
    assert sandbox.requests() == []
    clock.set(NOW + timedelta(hours=25))
    assert tokens.current().reveal() == TOKEN
    (asked,) = sandbox.requests()
    assert asked["path"].startswith("/instagram/refresh_access_token?grant_type=ig_refresh_token")
    assert asked["status"] == 200
    assert TOKEN not in asked["path"]


# --- no person passes


@pytest.fixture
def everything(ours: Account, read: Read) -> str:
    """All records of all streams, as text."""
    return "\n".join(json.dumps(record) for stream in CONNECTOR.streams for record in read(stream, ours, days=29)[1])


def test_no_person_and_no_word_of_others_passes_the_door(the_world: World, everything: str) -> None:
    persons = [value for one in the_world.persons for value in (one.name, one.handle, one.instagram_id, one.email, one.phone)]
    assert [value for value in persons if value in everything] == []
    texts = {post.text for name in ("comments", "mentions") for post in standing(the_world, name, NOW, NOW - timedelta(days=29))}
    own = "\n".join(post.text for name in ("posts", "stories") for post in standing(the_world, name, NOW, NOW - timedelta(days=29)))
    assert [
        text for text in texts if len(text) > 12 and text not in own and (text in everything or json.dumps(text)[1:-1] in everything)
    ] == []
    assert INSTAGRAM.handle not in everything.replace("www.instagram.com/stories/" + INSTAGRAM.handle, "")


def test_no_token_and_no_address_of_a_next_page_is_kept(everything: str) -> None:
    assert TOKEN not in everything
    assert "paging" not in everything
    assert "access_token" not in everything


def test_pseudonyms_are_keyed_and_our_own_answers_and_the_staffs_are_flagged(
    the_world: World, ours: Account, read: Read, pseudonyms: Pseudonyms
) -> None:
    _, records = read(CONNECTOR.stream("comments"), ours)
    for record in records:
        comment = the_world.by_id[record["id"]]
        is_own = comment.author_id == INSTAGRAM.id
        assert record["flags"]["by_us"] == is_own
        assert record["flags"]["by_staff"] == (comment.author_id == the_world.staff["instagram"].instagram_id)
        assert record["author_id"] == (INSTAGRAM.id if is_own else pseudonyms.of("instagram", comment.author_id))
        assert record["media_id"] == comment.conversation_id
        assert record["parent_id"] == (None if comment.reply_to_id == comment.conversation_id else comment.reply_to_id)
        assert set(record) == {"id", "timestamp", "media_id", "parent_id", "author_id", "flags"}
    assert {record["flags"]["by_us"] for record in records} == {True, False}


def test_those_who_tag_us_are_known_by_a_pseudonym_of_their_name(
    the_world: World, ours: Account, read: Read, pseudonyms: Pseudonyms
) -> None:
    """A tag names its author by the handle alone: who tags and comments is two persons here."""
    _, records = read(CONNECTOR.stream("mentions"), ours)
    for record in records:
        handle = the_world.handle_of("instagram", the_world.by_id[record["id"]].author_id)
        assert record["username"] == pseudonyms.of("instagram", handle)
        assert PSEUDONYM.fullmatch(record["username"])
        assert record["flags"]["mentions_us"]
        assert set(record) == {"id", "timestamp", "username", "flags"}


# --- each error of the contract, and what the door does


def error(code: int, message: str = "(#0) Words", subcode: int | None = None, **more: object) -> Said:
    """An error in Meta's shape; nearly all of them are a 400."""
    body = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "trace", **more}
    return said({"error": body | ({} if subcode is None else {"error_subcode": subcode})}, int(str(more.pop("status", 400))))


PAGE = said({"data": [MEDIUM], "paging": {"cursors": {"before": "a", "after": "a"}}})
INSIGHTS = said([{"code": 200, "body": json.dumps({"data": [{"name": "reach", "period": "lifetime", "values": [{"value": 7}]}]})}])
USAGE = {"X_Business_Use_Case_Usage": json.dumps({"77": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 7}]})}

FINAL = {
    "a dead token": (error(190, "Error validating access token: Session has expired", 463), "not_permitted", "refuses the token"),
    "a permission that is missing": (error(10, "(#10) Application does not have permission for this action"), "not_permitted", "refuses the token"),
    "a permission that was withdrawn": (error(200, "(#200) Requires instagram_basic permission"), "not_permitted", "refuses the token"),
    "a token of another account": (error(100, "Unsupported get request. Object does not exist", 33), "unavailable", "not the token's to see"),
    "an alias that is none": (error(803, "(#803) Some of the aliases you requested do not exist"), "unavailable", "is not there"),
    "a parameter that is wrong": (error(100, "(#100) Param limit must be a positive integer"), "unavailable", "will not be asked again"),
    "a version that is served no more": (error(2635, "(#2635) You are calling a deprecated version"), "not_permitted", "serves the app or this version"),
    "an app that is switched off": (error(101, "Error validating application"), "not_permitted", "serves the app or this version"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "status", "words"), FINAL.values(), ids=FINAL.keys())
def test_what_cannot_be_helped_is_asked_once_and_told(
    speaker: Speaker, served: Account, read: Read, answer: Said, status: str, words: str
) -> None:
    speaker.says(answer)
    (told,), records = read(CONNECTOR.stream("posts"), served)
    assert (told.is_complete, told.ledger_status, records, len(speaker.heard)) == (False, status, [], 1)
    assert words in (told.reason or "")


PASSING = {
    "too many requests of the app": error(4, "(#4) Application request limit reached"),
    "too many of the user": error(17, "(#17) User request limit reached"),
    "too many of the page": error(32, "(#32) Page request limit reached"),
    "too many in a short time": error(613, "(#613) Calls to this api have exceeded the rate limit."),
    "too many of the business": error(80002, "(#80002) There have been too many calls to this Instagram account."),
    "an unknown error": error(1, "An unknown error occurred"),
    "a service that is away": error(2, "An unexpected error has occurred. Please retry your request later.", is_transient=True),
    "any error that says it passes": error(9999, "Try later", is_transient=True),
    "a server that fails": Said(b"<html>", 503),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING.keys())
def test_what_passes_is_asked_again(speaker: Speaker, served: Account, read: Read, answer: Said) -> None:
    speaker.says(answer, PAGE, INSIGHTS)
    (told,), records = read(CONNECTOR.stream("posts"), served)
    assert (told.is_complete, len(records)) == (True, 1)
    assert numbers(records[0]) == {"reach": 7}


def test_where_the_platform_says_how_long_it_is_left_alone_that_long(
    speaker: Speaker, served: Account, read: Read, clock: InjectedClock
) -> None:
    limited = said({"error": {"message": "(#80002) too many", "code": 80002}}, 400, **USAGE)
    speaker.says(limited, PAGE, INSIGHTS)
    (told,), _ = read(CONNECTOR.stream("posts"), served)
    assert told.is_complete
    assert clock.now() - NOW >= timedelta(minutes=7)


def test_a_wait_that_the_run_does_not_have_ends_the_list_and_what_came_is_kept(speaker: Speaker, served: Account, read: Read) -> None:
    first = said({"data": [MEDIUM | {"id": "4"}], "paging": {"cursors": {"after": "a"}, "next": "https://x/"}})
    limited = said({"error": {"message": "(#80002) too many", "code": 80002}}, 400, **USAGE)
    speaker.says(first, INSIGHTS, limited)
    (told,), records = read(CONNECTOR.stream("posts"), served, budget_s=60)
    assert (told.is_complete, told.ledger_status, [record["id"] for record in records]) == (False, "missing", ["4"])
    assert told.is_budget_spent
    assert told.resume_from == "a"


def test_a_list_whose_next_page_has_lost_its_name_is_read_from_the_beginning(
    speaker: Speaker, served: Account, clock: InjectedClock, pseudonyms: Pseudonyms
) -> None:
    """A night later the cursor that a budget's end left may be dead."""
    speaker.says(error(100, "(#100) Invalid cursors values"), PAGE, INSIGHTS)
    door = Door(served, CONNECTOR.limits, Hosts(), clock, WaitingBudget(100), judge=CONNECTOR.judge)
    window, lines = Window(NOW - timedelta(days=30), NOW), bytearray()
    told = fetch_window(CONNECTOR.stream("posts"), served, window, door, pseudonyms, clock, lines.extend, resume_from="dead")
    door.close()
    assert (told.is_complete, told.records) == (True, 1)
    assert [heard.query.get("after") for heard in speaker.heard[:2]] == ["dead", None]


def test_nearly_all_of_the_limit_used_lets_the_platform_rest(speaker: Speaker, served: Account, read: Read, clock: InjectedClock) -> None:
    usage = json.dumps({"77": [{"call_count": 99, "estimated_time_to_regain_access": 0}]})
    page = said({"data": [MEDIUM], "paging": {}}, 200, X_Business_Use_Case_Usage=usage)
    speaker.says(page, INSIGHTS)
    (told,), _ = read(CONNECTOR.stream("posts"), served)
    assert told.is_complete
    assert clock.now() > NOW


def test_a_version_that_is_served_no_more_stops_the_platform(speaker: Speaker, served: Account, read: Read) -> None:
    speaker.says(error(2635, "(#2635) You are calling a deprecated version"))
    hosts = Hosts()
    told = [read(CONNECTOR.stream(name), served, hosts=hosts)[0][0] for name in ("posts", "accounts", "comments")]
    assert [one.ledger_status for one in told] == ["not_permitted"] * 3
    assert len(speaker.heard) == 1


def test_one_accounts_dead_token_does_not_stop_the_others(speaker: Speaker, served: Account, read: Read) -> None:
    def say(heard: Heard) -> Said:
        return error(190) if "/77/" in heard.path else said({"data": []})

    speaker.answers(say)
    hosts = Hosts()
    other = replace(served, account_id="78", own_ids=frozenset({"78"}))
    told = [read(CONNECTOR.stream("posts"), account, hosts=hosts)[0][0] for account in (served, other)]
    assert [one.is_complete for one in told] == [False, True]


# --- odd answers


def media(speaker: Speaker, *things: Record, insights: Callable[[str], tuple[int, Record]] | None = None) -> None:
    """Serve these media on one page, with what `insights` says of each."""

    def say(heard: Heard) -> Said:
        if not heard.body:
            return said({"data": list(things), "paging": {"cursors": {"after": "z"}}})
        parts = json.loads(heard.form["batch"])
        found = [(insights or (lambda _: (200, {"data": []})))(part["relative_url"]) for part in parts]
        return said([{"code": status, "body": json.dumps(body)} for status, body in found])

    speaker.answers(say)


NOTHING_TO_TELL = {
    "too few viewers": {"code": 10, "message": "(#10) Not enough viewers for the media to show insights"},
    "from before the account was professional": {"code": 100, "error_subcode": 2108006, "message": "(#100) Media posted before conversion"},
}


@pytest.mark.parametrize("told", NOTHING_TO_TELL.values(), ids=NOTHING_TO_TELL.keys())
def test_what_has_no_numbers_is_an_empty_answer(speaker: Speaker, served: Account, read: Read, told: Record) -> None:
    media(speaker, MEDIUM, insights=lambda _: (400, {"error": told}))
    (fetched,), (record,) = read(CONNECTOR.stream("posts"), served)
    assert fetched.is_complete
    assert record["insights"] == {}
    assert not fetched.denied_fields
    assert not fetched.refusals


def test_a_post_that_is_deleted_between_the_list_and_its_numbers_keeps_its_place(speaker: Speaker, served: Account, read: Read) -> None:
    gone = {"error": {"message": "Unsupported get request.", "code": 100, "error_subcode": 33}}
    media(speaker, MEDIUM, MEDIUM | {"id": "2"}, insights=lambda url: (400, gone) if "/3/" in url else (200, {"data": []}))
    (told,), records = read(CONNECTOR.stream("posts"), served)
    assert told.is_complete
    assert {record["id"]: record["insights"] for record in records} == {"3": None, "2": {"data": []}}


def test_a_metric_may_be_a_number_here_and_an_object_there(speaker: Speaker, served: Account, read: Read) -> None:
    values: dict[str, Any] = {"3": 12, "2": {"tap_forward": 4, "tap_back": 1}, "1": {"tap_forward": -4, "tap_back": 1}, "0": "many"}

    def insights(url: str) -> tuple[int, Record]:
        value = values[url.split("/")[1]]
        return 200, {"data": [{"name": "reach", "period": "lifetime", "values": [{"value": value}], "title": "Jangkauan"}]}

    media(speaker, *(MEDIUM | {"id": name} for name in values), insights=insights)
    (told,), records = read(CONNECTOR.stream("posts"), served)
    found = {record["id"]: record["insights"]["data"][0]["values"][0]["value"] for record in records}
    assert found == {"3": 12, "2": {"tap_forward": 4, "tap_back": 1}, "1": {"tap_forward": None, "tap_back": 1}, "0": None}
    assert (told.blanked, told.rejected) == (2, 0)


def test_a_count_that_is_null_stays_null_and_one_that_is_absent_stays_absent(speaker: Speaker, served: Account, read: Read) -> None:
    bare = {name: value for name, value in MEDIUM.items() if name != "like_count"}
    media(speaker, MEDIUM | {"like_count": None}, bare | {"id": "2"})
    _, records = read(CONNECTOR.stream("posts"), served)
    assert records[0]["like_count"] is None
    assert "like_count" not in records[1]


def test_an_advertisement_is_not_asked_for_numbers(speaker: Speaker, served: Account, read: Read) -> None:
    media(speaker, MEDIUM | {"media_product_type": "AD"})
    (told,), (record,) = read(CONNECTOR.stream("posts"), served)
    assert told.is_complete
    assert record["insights"] is None
    assert len(speaker.heard) == 1


def test_a_new_kind_of_medium_is_kept_without_numbers(speaker: Speaker, served: Account, read: Read) -> None:
    media(speaker, MEDIUM | {"media_product_type": "HOLOGRAM"}, {name: MEDIUM[name] for name in ("id", "timestamp")} | {"id": "2"})
    (told,), records = read(CONNECTOR.stream("posts"), served)
    assert told.is_complete
    assert {record["id"] for record in records} == {"2", "3"}


def comment(**more: Any) -> Record:
    return {"id": "c1", "timestamp": "2026-01-14T06:00:00+0000", "text": "Semoga berkah", "username": "siti", "from": {"id": "9"}} | more


@pytest.mark.parametrize(
    ("author", "is_ours"),
    [
        ({"from": {"id": "77"}, "username": "renamed"}, True),
        # An id that is made for the app names us otherwise than the account does.
        ({"from": {"id": "17999"}, "username": "Cahaya"}, True),
        ({"from": None, "username": "cahaya"}, True),
        ({"from": {"id": "9"}, "username": "cahaya_fans"}, False),
    ],
    ids=["renamed", "an id of the app's", "a name alone", "somebody else"],
)
def test_our_own_comments_are_known_by_id_or_by_name(speaker: Speaker, served: Account, read: Read, author: Record, is_ours: bool) -> None:
    media(speaker, MEDIUM | {"comments": {"data": [comment(**author)]}})
    _, (record,) = read(CONNECTOR.stream("comments"), served)
    assert record["flags"]["by_us"] == is_ours
    assert "author_handle" not in record


def test_a_comment_without_an_author_is_kept(speaker: Speaker, served: Account, read: Read) -> None:
    """Somebody who blocked us, or whose account is gone."""
    bare = {name: value for name, value in comment().items() if name not in {"from", "username"}}
    media(speaker, MEDIUM | {"comments": {"data": [bare]}})
    (told,), (record,) = read(CONNECTOR.stream("comments"), served)
    assert (told.is_complete, record["author_id"], record["flags"]["by_us"]) == (True, None, False)


def test_posts_without_comments_and_odd_lists_of_them_cost_nothing(speaker: Speaker, served: Account, read: Read) -> None:
    lists: list[Any] = [None, {}, {"data": None}, [], {"data": []}]
    media(speaker, *(MEDIUM | {"id": str(place), "comments": odd} for place, odd in enumerate(lists)), MEDIUM)
    (told,), records = read(CONNECTOR.stream("comments"), served)
    assert (told.is_complete, told.rejected, records) == (True, 0, [])


def test_an_account_without_a_post_a_story_or_a_told_day_is_empty_and_whole(speaker: Speaker, served: Account, read: Read) -> None:
    speaker.says(said({"data": []}))
    for stream in CONNECTOR.streams:
        if not (isinstance(stream.kind, Snapshot) and stream.paging is None):
            told, records = read(stream, served, days=3)
            assert (all(one.is_complete for one in told), records) == (True, [])
            assert not any(one.retired_fields - {metric.name for metric in stream.metrics if metric.retired} for one in told)


def test_a_days_value_that_is_null_or_no_number_is_not_given(speaker: Speaker, served: Account, read: Read) -> None:
    values = [{"value": value, "end_time": f"2026-01-1{day}T08:00:00+0000"} for day, value in ((2, None), (3, "many"), (4, -1), (5, 7))]
    speaker.says(said({"data": [{"name": "reach", "period": "day", "values": values}]}))
    (told,), records = read(CONNECTOR.stream("insights_day"), served, days=4)
    assert {record["day"]: record["value"] for record in records} == {
        "2026-01-11": None, "2026-01-12": None, "2026-01-13": None, "2026-01-14": 7,
    }  # fmt: skip
    assert told.blanked == 2
