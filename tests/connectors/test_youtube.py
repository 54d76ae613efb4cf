"""YouTube as the sandbox plays it, and as it may go wrong: every stream against the world, every error with its reaction.

Not here: the sandbox's own answers (tests/sandbox/test_sandbox_youtube.py) and what the records mean (tests/assets/test_staging_youtube.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from connectors.budget import Allowance, DayBudget
from connectors.clock import InjectedClock
from connectors.fetch import Fetched, fetch_window
from connectors.http import Door, Hosts, WaitingBudget
from connectors.privacy import PSEUDONYM, Pseudonyms
from connectors.secret import Secret
from connectors.streams import Account, Stream, Window
from connectors.youtube import CONNECTOR, DAY_METRICS, REACTIONS, judge, report_rows
from sandbox.server import TOKENS, Running
from sandbox.world import YOUTUBE, Post, World, day_start, days
from tests.connectors.conftest import NOW
from tests.connectors.served import Heard, Said, Speaker, said

ACCOUNTS, POSTS, COMMENTS, DAYS = (CONNECTOR.stream(name) for name in ("accounts", "posts", "comments", "insights_day"))
Record = dict[str, Any]
MakeAccount = Callable[..., Account]


@dataclass
class Run:
    """Fetches a stream for a span that ends now; what is heard of waiting and of the day's end is kept."""

    account: Account
    clock: InjectedClock
    pseudonyms: Pseudonyms
    hosts: Hosts = field(default_factory=Hosts)
    aside: list[Record] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    waiting_s: float = 10_000
    allowance: Allowance = CONNECTOR.allowance

    def __call__(self, stream: Stream, days: float = 30, resume_from: str | None = None) -> tuple[Fetched, list[Record]]:
        budget = DayBudget("i, YouTube", self.allowance)
        self.doors.append(
            Door(
                self.account, CONNECTOR.limits, self.hosts, self.clock, WaitingBudget(self.waiting_s),
                spend=budget.request, exhaust=budget.exhaust, judge=CONNECTOR.judge,
            )
        )  # fmt: skip
        lines, left, begun = bytearray(), bytearray(), self.clock.now()
        if stream.day_zone:
            begun = datetime.fromtimestamp(day_start("youtube", (begun - timedelta(hours=9)).date()), UTC)
        told = fetch_window(
            stream, self.account, Window(begun - timedelta(days=days), begun), self.doors[-1], self.pseudonyms, self.clock, lines.extend,
            budget=budget, set_aside=left.extend, resume_from=resume_from,
        )  # fmt: skip
        self.aside = [json.loads(line) for line in left.splitlines()]
        return told, [json.loads(line)["payload"] for line in lines.splitlines()]

    @property
    def sent(self) -> int:
        return self.doors[-1].requests_sent

    def close(self) -> None:
        for door in self.doors:
            door.close()


@pytest.fixture
def run(sandbox: Running, clock: InjectedClock, pseudonyms: Pseudonyms) -> Any:
    """Fetches from the sandbox, whose clock is the test's."""
    sandbox.set_now(clock.now())
    sandbox.forget_requests()
    account = Account(
        "cahaya", "youtube", YOUTUBE.id, YOUTUBE.handle, f"{sandbox.url}/youtube", Secret(TOKENS["youtube"][0]),
        own_ids=frozenset({YOUTUBE.id}), own_handles=frozenset({YOUTUBE.handle}),
        more_base_urls={"analytics": f"{sandbox.url}/youtube_analytics"},
    )  # fmt: skip
    found = Run(account, clock, pseudonyms)
    yield found
    found.close()


@pytest.fixture
def told(speaker: Speaker, make_account: MakeAccount, clock: InjectedClock, pseudonyms: Pseudonyms) -> Any:
    """Fetches from a server that says what it is told to."""
    account = make_account(speaker.url, "youtube", account_id=YOUTUBE.id, more_base_urls={"analytics": f"{speaker.url}/analytics"})
    found = Run(account, clock, pseudonyms)
    yield found
    found.close()


def refusal(status: int, reason: str, message: str = "No.") -> Said:
    return said(
        {"error": {"code": status, "message": message, "errors": [{"message": message, "domain": "youtube", "reason": reason}]}}, status
    )


def small(stream: Stream, size: int) -> Stream:
    return replace(stream, params={**stream.params, "maxResults": str(size)})


def films(world: World, days_back: float = 30, now: datetime = NOW) -> dict[str, Post]:
    """The films that stand at an instant and were published in the days before."""
    shown = world.timelines[YOUTUBE.id].visible(int(now.timestamp()))
    return {one.post.id: one.post for one in shown if one.post.created_at >= now - timedelta(days=days_back)}


def said_below(world: World, days_back: float, now: datetime = NOW) -> dict[str, Post]:
    """What stands below the channel's films and was written in the days before."""
    shown = world.comments[YOUTUBE.id].visible(int(now.timestamp()))
    return {one.post.id: one.post for one in shown if one.post.created_at >= now - timedelta(days=days_back)}


def assert_nobody(world: World, text: str) -> None:
    for person in world.persons:
        assert not any(told in text for told in (person.name, person.handle, person.email, person.phone, person.youtube_id, person.avatar))


# --- every stream against the world


def test_the_channel_comes_with_its_rounded_subscribers_and_nobodys_name(run: Run, the_world: World) -> None:
    told, (record,) = run(ACCOUNTS)
    assert (told.is_complete, told.rejected) == (True, 0)
    assert record["id"] == YOUTUBE.id
    assert record["statistics"]["subscriberCount"] == str(the_world.followers_shown(YOUTUBE.id, int(NOW.timestamp())))
    assert not {"title", "description", "customUrl", "thumbnails", "localized"} & record["snippet"].keys()


@pytest.mark.parametrize("size", [50, 5, 2])
def test_each_film_of_thirty_days_comes_once_with_the_worlds_counters(run: Run, the_world: World, size: int) -> None:
    told, records = run(small(POSTS, size))
    expected = films(the_world)
    assert (told.is_complete, told.rejected, told.blanked) == (True, 0, 0)
    assert [record["id"] for record in records] == sorted(expected, key=lambda one: -expected[one].ts)
    for record in records:
        counters = the_world.counters(expected[record["id"]], int(NOW.timestamp()))
        told_of = {name: int(value) for name, value in record["statistics"].items()}
        assert told_of == {"viewCount": counters.view, "likeCount": counters.like, "commentCount": counters.reply}
        assert "channelTitle" not in record["snippet"]
    assert told.pages == -(-len([*expected, "one that is older"]) // size) or told.pages == -(-len(expected) // size)


def test_a_film_costs_a_fiftieth_of_a_call_and_searches_are_never_made(run: Run, sandbox: Running) -> None:
    run(POSTS)
    assert run.sent == 2
    assert [one["path"].partition("?")[0] for one in sandbox.requests()] == [
        "/youtube/youtube/v3/playlistItems", "/youtube/youtube/v3/videos",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [100, 7])
def test_each_comment_and_reply_of_the_week_comes_once(run: Run, the_world: World, size: int) -> None:
    told, records = run(small(COMMENTS, size), days=7)
    expected = said_below(the_world, 7)
    assert (told.is_complete, told.rejected) == (True, 0)
    assert sorted(record["id"] for record in records) == sorted(expected)
    for record in records:
        post = expected[record["id"]]
        assert record["video_id"] == post.conversation_id
        assert record["parent_id"] == (post.reply_to_id if post.reply_to_id != post.conversation_id else None)
        assert record["published_at"] == post.created_at.isoformat().replace("+00:00", "Z")


def test_a_reply_to_a_comment_older_than_the_window_is_not_missed(run: Run, sandbox: Running, the_world: World) -> None:
    everything = [one.post for one in the_world.comments[YOUTUBE.id].showings]
    reply = next(
        one for one in everything if one.ts - the_world.by_id[one.reply_to_id or ""].ts > 7_200 and one.conversation_id != one.reply_to_id
    )
    now = reply.created_at + timedelta(minutes=1)
    run.clock.set(now)
    sandbox.set_now(now)
    told, records = run(COMMENTS, days=1 / 48)
    assert told.is_complete
    assert reply.id in {record["id"] for record in records} == set(said_below(the_world, 1 / 48, now))


def test_no_person_passes_the_door_and_our_own_answers_are_flagged(run: Run, the_world: World) -> None:
    _, records = run(COMMENTS, days=30)
    expected = said_below(the_world, 30)
    assert_nobody(the_world, json.dumps(records, ensure_ascii=False))
    for record in records:
        post = expected[record["id"]]
        assert record.keys() == {"id", "published_at", "video_id", "parent_id", "author_id", "flags"}
        is_ours = post.author_id == YOUTUBE.id
        assert record["flags"]["by_us"] is is_ours
        assert record["author_id"] == YOUTUBE.id if is_ours else PSEUDONYM.fullmatch(record["author_id"])
    assert any(record["flags"]["by_us"] for record in records)
    by_author = {expected[record["id"]].author_id: record["author_id"] for record in records}
    assert len(set(by_author.values())) == len(by_author)


def test_another_key_makes_other_pseudonyms(run: Run) -> None:
    _, first = run(COMMENTS)
    run.pseudonyms = Pseudonyms(Secret("quite another key of the tests"))
    _, second = run(COMMENTS)
    keyed = [[record["author_id"] for record in records if not record["flags"]["by_us"]] for records in (first, second)]
    assert len(keyed[0]) == len(keyed[1])
    assert not set(keyed[0]) & set(keyed[1])


def test_the_days_come_as_they_are_told_and_those_not_told_yet_are_absent(run: Run, the_world: World) -> None:
    told, records = run(DAYS, days=7)
    now = int(NOW.timestamp())
    names = {
        "views": "views", "engagedViews": "engaged_views", "likes": "likes", "comments": "comments", "shares": "shares",
        "subscribersGained": "followers_gained", "subscribersLost": "followers_lost", "estimatedMinutesWatched": "watch_minutes",
    }  # fmt: skip
    expected = {
        f"{name}/day/{day}": value
        for day in days(date(2026, 1, 8), date(2026, 1, 14))
        for name, ours in names.items()
        if (value := getattr(the_world.account_day(YOUTUBE, day, now), ours)) is not None
    }
    assert told.is_complete
    assert {record["key"]: record["value"] for record in records} == expected
    assert {record["day"] for record in records} == {"2026-01-08", "2026-01-09", "2026-01-10", "2026-01-11", "2026-01-12"} & {
        key.rpartition("/")[2] for key in expected
    }
    assert next(record["at"] for record in records if record["day"] == "2026-01-09") == "2026-01-09T08:00:00+00:00"


def test_a_report_without_rows_is_an_empty_answer(run: Run) -> None:
    told, records = run(DAYS, days=1)
    assert (told.is_complete, told.ledger_status, records) == (True, "fetched", [])


def test_the_views_of_a_deleted_film_stay_in_the_channels_days(run: Run, sandbox: Running, the_world: World) -> None:
    """It was deleted on 10 January; the fourth day had its views, and has them for ever. As a post it is gone."""
    gone, day = the_world.planted("deleted/youtube"), date(2026, 1, 4)
    values = []
    for now in (datetime(2026, 1, 10, 8, tzinfo=UTC), datetime(2026, 1, 12, 19, tzinfo=UTC)):
        run.clock.set(now)
        sandbox.set_now(now)
        _, posts = run(POSTS)
        _, records = run(DAYS, days=9)
        values.append(next(record["value"] for record in records if record["key"] == f"views/day/{day}"))
        assert (gone.id in {post["id"] for post in posts}) is (int(now.timestamp()) < gone.deleted_ts)
    assert values[0] == values[1] == the_world.settled_day(YOUTUBE, day).views
    assert gone.id not in the_world.film_views(YOUTUBE, day, int(NOW.timestamp()))
    assert values[1] > sum(count for film, count in the_world.film_views(YOUTUBE, day, int(NOW.timestamp())).items() if film)


# --- every error, with its reaction


def test_every_reason_has_the_reaction_that_the_contract_names() -> None:
    for reason, reaction in REACTIONS.items():
        verdict = judge(403, {"error": {"code": 403, "message": "No.", "errors": [{"reason": reason}]}})
        assert verdict is not None
        assert (verdict.reaction, verdict.told) == (reaction, reason)
    assert judge(403, {"error": {"code": 403, "message": "No.", "errors": [{"reason": "somethingNew"}]}}) is None
    assert judge(403, {"error": "no"}) is None
    assert judge(500, {"error": {"code": 500, "errors": "none"}}) is None
    assert judge(403, {"error": {"code": 403, "errors": [None]}}) is None


@pytest.mark.parametrize("name", ["accounts", "posts", "comments", "insights_day"])
@pytest.mark.parametrize(
    ("status", "reason", "ledger"),
    [
        (401, "authError", "not_permitted"),
        (403, "forbidden", "not_permitted"),
        (403, "insufficientPermissions", "not_permitted"),
        (403, "accessNotConfigured", "not_permitted"),
        (404, "playlistNotFound", "unavailable"),
        (404, "channelNotFound", "unavailable"),
        (403, "quotaExceeded", "missing"),
        (403, "dailyLimitExceeded", "missing"),
        (403, "rateLimitExceeded", "missing"),
        (503, "backendError", "missing"),
        (400, "processingFailure", "missing"),
        (403, "somethingNew", "not_permitted"),
        (400, "somethingNew", "unavailable"),
    ],
)
def test_an_error_in_place_of_the_first_answer_is_told_and_is_no_empty_list(
    told: Run, speaker: Speaker, name: str, status: int, reason: str, ledger: str
) -> None:
    speaker.says(refusal(status, reason, "Kata siti"))
    fetched, records = told(CONNECTOR.stream(name), days=6)
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, ledger, [])
    assert fetched.reason
    assert "siti" not in fetched.reason


def test_a_days_quota_is_not_asked_for_twice_and_ends_the_platform_for_today(told: Run, speaker: Speaker) -> None:
    speaker.says(refusal(403, "quotaExceeded"))
    fetched, _ = told(POSTS)
    assert (fetched.is_budget_spent, told.sent) == (True, 1)
    assert "quota of the day is used up" in str(fetched.reason)


def test_a_day_that_is_told_of_in_words_alone_is_a_day_too(told: Run, speaker: Speaker) -> None:
    """As YouTube began to say in May 2026 (googleapis/google-api-python-client#2753)."""
    words = "Quota exceeded for quota metric 'Queries' and limit 'Queries per day' of service 'youtube.googleapis.com' for consumer 'project_number:1'."
    speaker.says(refusal(429, "rateLimitExceeded", words))
    fetched, _ = told(POSTS)
    assert (fetched.is_budget_spent, told.sent) == (True, 1)


def test_a_minutes_quota_is_waited_for_by_the_minute_and_within_the_runs_budget(told: Run, speaker: Speaker) -> None:
    answer = said({"items": [{"id": YOUTUBE.id, "statistics": {"subscriberCount": "12"}}]})
    speaker.says(refusal(403, "rateLimitExceeded"), refusal(429, "userRateLimitExceeded"), answer)
    begun = told.clock.now()
    fetched, records = told(ACCOUNTS)
    assert (fetched.is_complete, len(records)) == (True, 1)
    assert told.clock.now() - begun == timedelta(minutes=2)
    speaker.says(refusal(403, "rateLimitExceeded"))
    told.waiting_s = 90
    fetched, _ = told(ACCOUNTS)
    assert (fetched.is_budget_spent, told.sent) == (True, 2)


def test_a_failure_of_theirs_is_asked_again(told: Run, speaker: Speaker) -> None:
    speaker.says(refusal(500, "internalError"), refusal(503, "backendError"), said({"items": [{"id": YOUTUBE.id}]}))
    fetched, records = told(ACCOUNTS)
    assert (fetched.is_complete, len(records), told.sent) == (True, 1, 3)


def test_an_api_that_is_not_switched_on_stops_the_platform(told: Run, speaker: Speaker) -> None:
    speaker.says(refusal(403, "accessNotConfigured"))
    told(ACCOUNTS)
    fetched, _ = told(POSTS)
    assert (fetched.ledger_status, told.sent) == ("not_permitted", 0)


def test_a_metric_that_youtube_gives_no_more_costs_itself_alone(told: Run, speaker: Speaker) -> None:
    def say(heard: Heard) -> Said:
        names = heard.query["metrics"].split(",")
        if "shares" in names:
            return refusal(400, "badRequest", "Unknown identifier (shares) given in field parameters.metrics.")
        return said(report([["2026-01-10", *range(len(names))]], *names))

    speaker.answers(say)
    fetched, records = told(DAYS)
    assert (fetched.is_complete, fetched.retired_fields) == (True, {"shares"})
    assert {record["name"] for record in records} == {metric.name for metric in DAY_METRICS} - {"shares"}
    assert {(one.metric, one.status) for one in fetched.refusals} == {("shares", "retired")}


def test_metrics_that_cannot_be_asked_for_together_are_asked_for_apart_and_none_is_called_retired(told: Run, speaker: Speaker) -> None:
    def say(heard: Heard) -> Said:
        names = heard.query["metrics"].split(",")
        if len(names) > 4:
            return refusal(400, "badRequest", "The query is not supported. Check the documentation.")
        return said(report([["2026-01-10", *range(len(names))]], *names))

    speaker.answers(say)
    fetched, records = told(DAYS)
    assert (fetched.is_complete, fetched.retired_fields, len(records)) == (True, set(), len(DAY_METRICS))


def test_a_metric_older_than_its_introduction_is_not_asked_for(told: Run, speaker: Speaker) -> None:
    told.clock.set(datetime(2025, 4, 1, tzinfo=UTC))
    speaker.says(said(report([], "views")))
    told(DAYS)
    assert "engagedViews" not in speaker.heard[0].query["metrics"]


# --- bad input


def report(rows: list[list[Any]], *names: str, **more: Any) -> Record:
    headers = [{"name": "day", "columnType": "DIMENSION", "dataType": "STRING"}]
    headers += [{"name": name, "columnType": "METRIC", "dataType": "INTEGER"} for name in names]
    return {"kind": "youtubeAnalytics#resultTable", "columnHeaders": headers, **({"rows": rows} if rows else {}), **more}


def film(identity: str, day: int = 10, **more: Any) -> Record:
    told = {"publishedAt": f"2026-01-{day:02}T05:00:00Z", "title": "Judul", "liveBroadcastContent": "none"}
    return {"id": identity, "snippet": told | more.pop("snippet", {}), "statistics": {"viewCount": "7"}, **more}


def listed(speaker: Speaker, pointers: list[Any], *videos: Record) -> None:
    """A list of uploads, and what stands behind it."""

    def say(heard: Heard) -> Said:
        if heard.path.endswith("/playlistItems"):
            return said({"items": pointers})
        wanted = heard.query["id"].split(",")
        return said({"items": [one for one in videos if one["id"] in wanted]})

    speaker.answers(say)


def pointer(identity: str) -> Record:
    return {"contentDetails": {"videoId": identity}}


def test_rows_without_a_video_id_are_no_posts(told: Run, speaker: Speaker) -> None:
    listed(
        speaker, [pointer("a"), {"contentDetails": {}}, {}, {"contentDetails": {"videoId": None}}, pointer("b")], film("a"), film("b", 9)
    )
    fetched, records = told(POSTS)
    assert (fetched.is_complete, fetched.rejected, [record["id"] for record in records]) == (True, 0, ["a", "b"])


def test_a_film_that_is_deleted_between_the_list_and_its_numbers_is_left_out(told: Run, speaker: Speaker) -> None:
    listed(speaker, [pointer("a"), pointer("gone"), pointer("b")], film("a"), film("b", 9))
    fetched, records = told(POSTS)
    assert (fetched.is_complete, [record["id"] for record in records]) == (True, ["a", "b"])


def test_a_page_whose_films_are_all_gone_does_not_end_the_list(told: Run, speaker: Speaker) -> None:
    def say(heard: Heard) -> Said:
        if heard.path.endswith("/playlistItems"):
            is_first = "pageToken" not in heard.query
            return said({"items": [pointer("gone" if is_first else "a")], **({"nextPageToken": "CAU"} if is_first else {})})
        return said({"items": [film("a")] if heard.query["id"] == "a" else []})

    speaker.answers(say)
    fetched, records = told(POSTS)
    assert (fetched.is_complete, [record["id"] for record in records]) == (True, ["a"])


def test_films_that_come_in_another_order_do_not_end_the_list_early(told: Run, speaker: Speaker) -> None:
    """The oldest of a page, given last, would read as the end of the window."""

    def say(heard: Heard) -> Said:
        is_first = "pageToken" not in heard.query
        if heard.path.endswith("/playlistItems"):
            return said(
                {"items": [pointer("pinned"), pointer("a")] if is_first else [pointer("b")], **({"nextPageToken": "x"} if is_first else {})}
            )
        old = film("pinned", snippet={"publishedAt": "2020-01-01T00:00:00Z"})
        return said({"items": [film("b", 9)] if heard.query["id"] == "b" else [film("a"), old]})

    speaker.answers(say)
    fetched, records = told(POSTS)
    assert (fetched.is_complete, [record["id"] for record in records]) == (True, ["a", "b"])


def test_drafts_and_what_is_planned_are_no_posts_yet(told: Run, speaker: Speaker) -> None:
    draft = film("draft", status={"privacyStatus": "private"})
    planned = film("planned", snippet={"liveBroadcastContent": "upcoming"})
    unlisted = film("unlisted", status={"privacyStatus": "unlisted"})
    listed(speaker, [pointer(one) for one in ("draft", "planned", "unlisted")], draft, planned, unlisted)
    _, records = told(POSTS)
    assert [record["id"] for record in records] == ["unlisted"]


def test_hidden_counts_null_and_absent_are_not_given_and_words_are_set_aside(told: Run, speaker: Speaker) -> None:
    hidden = film("hidden", statistics={"viewCount": "7"})
    null = film("null", 9, statistics={"viewCount": "7", "likeCount": None})
    worded = film("worded", 8, statistics={"viewCount": "many", "likeCount": "-1", "commentCount": 3})
    listed(speaker, [pointer(one) for one in ("hidden", "null", "worded")], hidden, null, worded)
    fetched, records = told(POSTS)
    assert [record["statistics"] for record in records] == [
        {"viewCount": "7"}, {"viewCount": "7", "likeCount": None}, {"viewCount": None, "likeCount": None, "commentCount": 3},
    ]  # fmt: skip
    assert fetched.blanked == 1
    assert {one["field"] for one in told.aside} == {"statistics.viewCount", "statistics.likeCount"}


def test_another_accounts_token_reads_what_is_public_and_no_days(run: Run, sandbox: Running) -> None:
    """The sandbox's token is the channel's; a channel that is not its own is refused as YouTube refuses it."""
    run.account = replace(run.account, account_id="UCsomebodyElse0000000000")
    fetched, records = run(DAYS)
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "not_permitted", [])
    assert "Renew it, or give it the permission" in str(fetched.reason)
    assert len(sandbox.requests()) == 1


def test_a_deleted_channel_is_unavailable_and_no_empty_one(run: Run) -> None:
    run.account = replace(run.account, account_id="UCsomebodyElse0000000000")
    for stream in (ACCOUNTS, POSTS, COMMENTS):
        fetched, records = run(stream)
        assert (stream.name, fetched.is_complete, fetched.ledger_status, records) == (stream.name, False, "unavailable", [])


def test_a_renamed_channel_is_the_same_one(run: Run) -> None:
    run.account = replace(run.account, handle="another")
    fetched, (record,) = run(ACCOUNTS)
    assert (fetched.is_complete, record["id"]) == (True, YOUTUBE.id)


def test_comments_that_are_switched_off_are_an_empty_answer(told: Run, speaker: Speaker) -> None:
    speaker.says(refusal(403, "commentsDisabled"))
    fetched, records = told(COMMENTS)
    assert (fetched.is_complete, records) == (True, [])


def comment(identity: str, day: int = 10, **more: Any) -> Record:
    told = {"publishedAt": f"2026-01-{day:02}T05:00:00Z", "textOriginal": "halo", "authorChannelId": {"value": "UCsiti"}, "videoId": "v"}
    return {"id": identity, "snippet": told | more}


def thread(identity: str, replies: int, *inside: Record, day: int = 10) -> Record:
    held = {"replies": {"comments": list(inside)}} if inside else {}
    return {"id": identity, "snippet": {"topLevelComment": comment(identity, day), "totalReplyCount": replies, "videoId": "v"}, **held}


def test_the_replies_of_a_long_thread_are_read_to_their_end(told: Run, speaker: Speaker) -> None:
    def say(heard: Heard) -> Said:
        if heard.path.endswith("/commentThreads"):
            return said({"items": [thread("a", 250, comment("a.1")), thread("b", 1, comment("b.1"))]})
        begin = int(heard.query.get("pageToken", "0"))
        assert heard.query["parentId"] == "a"
        replies = [comment(f"a.{number}", parentId="a", videoId=None) for number in range(begin, min(begin + 100, 250))]
        return said({"items": replies, **({"nextPageToken": str(begin + 100)} if begin < 200 else {})})

    speaker.answers(say)
    fetched, records = told(COMMENTS)
    assert fetched.is_complete
    assert sorted(record["id"] for record in records) == sorted(["a", "b", "b.1", *(f"a.{number}" for number in range(250))])
    assert {record["video_id"] for record in records} == {"v"}
    assert len(speaker.heard) == 4


@pytest.mark.parametrize(("status", "reason"), [(404, "commentNotFound"), (404, "commentThreadNotFound"), (403, "commentsDisabled")])
def test_a_thread_that_is_deleted_before_its_replies_are_read_keeps_what_came_with_it(
    told: Run, speaker: Speaker, status: int, reason: str
) -> None:
    def say(heard: Heard) -> Said:
        return said({"items": [thread("a", 9, comment("a.1"))]}) if heard.path.endswith("/commentThreads") else refusal(status, reason)

    speaker.answers(say)
    fetched, records = told(COMMENTS)
    assert fetched.is_complete
    assert {"a"} <= {record["id"] for record in records} <= {"a", "a.1"}


def test_a_comment_whose_author_is_gone_has_none_and_odd_ones_are_set_aside(told: Run, speaker: Speaker) -> None:
    nobody = thread("a", 0)
    del nobody["snippet"]["topLevelComment"]["snippet"]["authorChannelId"]
    odd = [thread("b", 2, {"id": "b.1"}, comment("b.2")), *(thread(f"c{number}", 0) for number in range(30))]
    speaker.says(said({"items": [nobody, *odd]}))
    fetched, records = told(COMMENTS)
    by_id = {record["id"]: record for record in records}
    assert (fetched.is_complete, fetched.rejected, len(records)) == (True, 1, 33)
    assert by_id["a"]["author_id"] is None
    assert by_id["a"]["flags"]["by_us"] is False
    assert PSEUDONYM.fullmatch(by_id["b.2"]["author_id"])


def test_of_a_report_only_measures_become_records_and_null_stays_null() -> None:
    rows: list[Any] = [["2026-03-08", 5, None], ["2026-03-09"], "odd", ["yesterday", 4, 4]]
    body = report(rows, "views", "likes")
    body["columnHeaders"].insert(1, {"name": "video", "columnType": "DIMENSION"})
    body["rows"][0].insert(1, "")
    found = list(report_rows(body, Window(NOW, NOW)))
    assert [(one["key"], one["value"], one["at"]) for one in found if one["key"]] == [
        ("views/day/2026-03-08", 5, "2026-03-08T08:00:00+00:00"), ("likes/day/2026-03-08", None, "2026-03-08T08:00:00+00:00"),
    ]  # fmt: skip
    assert all(one["at"] is None for one in found if not one["key"])


@pytest.mark.parametrize(
    "body", [{"rows": 7}, {}, {"columnHeaders": [], "errors": {"code": "INTERNAL_ERROR"}}, {"columnHeaders": [7], "rows": [[1]]}]
)
def test_a_report_that_is_none_is_no_empty_one(told: Run, speaker: Speaker, body: Mapping[str, Any]) -> None:
    speaker.says(said(dict(body)))
    fetched, records = told(DAYS)
    assert (fetched.is_complete, fetched.ledger_status, records) == (False, "missing", [])


@pytest.mark.parametrize("name", ["accounts", "posts", "comments"])
def test_an_error_with_a_200_is_no_empty_list(told: Run, speaker: Speaker, name: str) -> None:
    """Taken for an empty list it would turn every film into a deleted one."""
    speaker.says(said({"error": {"code": 500, "message": "No.", "errors": [{"reason": "backendError", "message": "No."}]}}))
    fetched, records = told(CONNECTOR.stream(name))
    assert (fetched.is_complete, records) == (False, [])


# --- the day's quota, and the name of a page


def test_a_quota_that_ends_in_mid_list_keeps_what_came_and_tells_where_to_go_on(run: Run, sandbox: Running, the_world: World) -> None:
    body = {
        "error": {"code": 403, "message": "Quota.", "errors": [{"reason": "quotaExceeded", "domain": "youtube.quota", "message": "Quota."}]}
    }
    sandbox.faults([{"path": "/videos", "kind": "status", "status": 403, "body": body, "after": 2}])
    told, first = run(small(POSTS, 3))
    expected = films(the_world)
    order = sorted(expected, key=lambda one: -expected[one].ts)
    assert (told.is_complete, told.is_budget_spent) == (False, True)
    assert [record["id"] for record in first] == order[:6]
    assert told.resume_from
    assert told.reached == expected[order[5]].created_at
    sandbox.faults([])
    sandbox.forget_requests()
    told, rest = run(small(POSTS, 3), resume_from=told.resume_from)
    assert told.is_complete
    assert [record["id"] for record in rest] == order[6:]
    assert "pageToken=" in sandbox.requests()[0]["path"]


def test_a_page_whose_name_died_overnight_is_looked_for_from_the_beginning(run: Run, the_world: World) -> None:
    told, records = run(POSTS, resume_from="of another day")
    assert told.is_complete
    assert {record["id"] for record in records} == set(films(the_world))
    assert run.sent == 3


def test_a_name_that_dies_on_the_way_ends_the_list_and_keeps_what_came(told: Run, speaker: Speaker) -> None:
    def say(heard: Heard) -> Said:
        if heard.path.endswith("/videos"):
            return said({"items": [film("a")]})
        return refusal(400, "invalidPageToken") if "pageToken" in heard.query else said({"items": [pointer("a")], "nextPageToken": "x"})

    speaker.answers(say)
    fetched, records = told(POSTS, resume_from=None)
    assert (fetched.is_complete, fetched.ledger_status, len(records)) == (False, "unavailable", 1)


def test_our_own_bound_of_units_ends_a_list_likewise(run: Run, sandbox: Running) -> None:
    run.allowance = Allowance(requests=3, zone=CONNECTOR.allowance.zone)
    told, records = run(small(POSTS, 3))
    assert (told.is_budget_spent, len(records), len(sandbox.requests())) == (True, 3, 3)
    assert "3 of 3 requests" in str(told.reason)


def test_the_days_units_begin_anew_at_midnight_in_california() -> None:
    began = CONNECTOR.allowance.day_began(datetime(2026, 7, 15, 6, 59, tzinfo=UTC))
    assert began == datetime(2026, 7, 14, 7, tzinfo=UTC)
    assert CONNECTOR.allowance.requests == 10_000
