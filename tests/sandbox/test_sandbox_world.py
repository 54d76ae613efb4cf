"""The simulated world holds what its story promises, and says nothing before its time."""

import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.words import FUNDRAISING_TAGS, SPAM_WORDS
from sandbox.world import (
    ACCOUNTS,
    CRISIS_DAYS,
    DAY,
    FIRST_ACCOUNTS,
    FIRST_DAY,
    GIVEAWAY_DAY,
    MASTODON,
    NEVER,
    PLATFORMS,
    QUIET_WEEK,
    RAMADAN,
    THREADS,
    X_MAIN,
    X_PROGRAM,
    Post,
    World,
    local_day,
    wib,
)

X = "/x/2/users/{}"
POST = {"max_results": 100, "post.fields": "created_at,public_metrics,conversation_id", "expansions": "author_id,referenced_posts"}


def digest(world: World) -> list[Any]:
    return [(post, world.counters(post, post.ts + 5 * DAY)) for post in world.posts()]


def night_after(world: World, ts: int) -> int:
    return next(int(night.timestamp()) for night in world.nights if night.timestamp() >= ts)


def texts(client: Any, account_id: str, path: str = "tweets") -> dict[str, Any]:
    page = client.get(f"{X.format(account_id)}/{path}", params=POST).json()
    return {post["text"]: post for post in page.get("data", [])}


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world: World) -> None:
    assert digest(World(7)) == digest(world)
    assert digest(World(8)) != digest(world)


def test_the_nights_are_120_at_two_in_the_morning_and_one_is_missed(world: World) -> None:
    assert len(world.nights) == 120
    assert world.nights[0] == datetime(2026, 1, 2, 2, tzinfo=world.zone)
    assert {local_day(int(night.timestamp()) - DAY // 2) for night in world.nights} == {
        date(2026, 1, 1) + timedelta(days=k) for k in range(120)
    }
    assert world.missed_nights == (datetime(2026, 3, 11, 2, tzinfo=world.zone),)


def test_ids_are_unique_and_rise_with_time(world: World) -> None:
    for platform in ("mastodon", "x"):
        versions = sorted((version for post in world.posts() if post.platform == platform for version in post.versions), key=lambda v: v.ts)
        ids = [int(version.id) for version in versions]
        assert len(set(ids)) == len(ids)
        assert all(a < b or first.ts == second.ts for (a, b), (first, second) in zip(pairwise(ids), pairwise(versions), strict=True))


def test_no_post_of_ours_falls_on_the_full_hour_where_two_snapshots_would_be_equally_near(world: World) -> None:
    for post in world.posts():
        if world.is_own(post.author_id):
            assert post.ts % 3600 != 0


def test_the_accounts_post_at_their_pace(world: World) -> None:
    quiet = 7
    for account, least, most in ((MASTODON, 0.8, 1.5), (X_MAIN, 1.2, 2.2), (X_PROGRAM, 0.4, 0.95)):
        roots = [post for post in world.posts() if post.kind == "root" and post.author_id == account.id]
        assert least < len(roots) / (161 - quiet) < most


def test_ramadan_has_more_posts_more_zakat_and_more_engagement(world: World) -> None:
    roots = [post for post in world.posts() if post.kind == "root" and post.author_id == X_MAIN.id and not post.key.startswith("planted")]
    inside = [post for post in roots if RAMADAN[0] <= local_day(post.ts) <= RAMADAN[1]]
    outside = [post for post in roots if FIRST_DAY + timedelta(days=30) <= local_day(post.ts) < RAMADAN[0]]
    assert len(inside) / 30 > 1.3 * len(outside) / 49
    assert sum("zakat" in post.hashtags and "ramadan" in post.hashtags for post in inside) > len(inside) / 2

    def likes(posts: list[Post]) -> float:
        return sum(world.counters(post, post.ts + 7 * DAY).like for post in posts) / len(posts)

    assert likes(inside) > 1.5 * likes(outside)


def test_in_the_quiet_week_no_account_writes_anything(world: World) -> None:
    assert (QUIET_WEEK[0].weekday(), QUIET_WEEK[1].weekday()) == (0, 6)
    own = [post for post in world.posts() if world.is_own(post.author_id)]
    assert [post.key for post in own if QUIET_WEEK[0] <= local_day(post.ts) <= QUIET_WEEK[1]] == []


def test_the_giveaway_draws_a_spike_of_comments_that_tag_friends(world: World) -> None:
    post = world.planted("giveaway")
    comments = [item for item in world.posts() if item.reply_to_id == post.id and local_day(item.ts) <= GIVEAWAY_DAY + timedelta(days=2)]
    assert "tag 3 teman" in post.text.lower()
    assert len(comments) > 120
    assert sum(len(item.mentions) >= 4 for item in comments) > 120


def test_the_crisis_lasts_two_days(world: World) -> None:
    daily = Counter(local_day(showing.start) for showing in world.mentions[X_MAIN.id].showings)
    usual = sorted(daily.values())[len(daily) // 2]
    assert all(daily[day] > 5 * usual for day in CRISIS_DAYS)
    assert daily[CRISIS_DAYS[0] - timedelta(days=1)] < 3 * usual
    assert daily[CRISIS_DAYS[1] + timedelta(days=1)] < 3 * usual


@pytest.mark.parametrize("account", [X_MAIN, MASTODON])
def test_a_counter_falls_between_two_nights(world: World, account: Any) -> None:
    post = world.planted(f"unliked/{account.handle}")
    after = night_after(world, post.drops[0].ts)
    assert world.counters(post, after).like < world.counters(post, after - DAY).like


@pytest.mark.parametrize("account", [X_MAIN, MASTODON])
@pytest.mark.parametrize(("name", "is_young"), [("deleted_young", True), ("deleted_old", False)])
def test_a_post_is_seen_by_some_nights_and_then_deleted_mid_week(world: World, account: Any, name: str, is_young: bool) -> None:
    post = world.planted(f"{name}/{account.handle}")
    assert (post.deleted_ts - post.ts < 7 * DAY) == is_young
    assert local_day(post.deleted_ts).weekday() in (2, 3)
    assert post.version_at(night_after(world, post.ts)) is not None
    assert post.version_at(night_after(world, post.deleted_ts)) is None


@pytest.mark.parametrize("account", [X_MAIN, MASTODON])
def test_a_deleted_post_is_gone_from_the_timeline(client: Any, world: World, account: Any) -> None:
    post = world.planted(f"deleted_young/{account.handle}")
    path = f"{X.format(account.id)}/tweets" if account is X_MAIN else f"/mastodon/api/v1/accounts/{account.id}/statuses"
    for ts, is_there in ((post.ts + DAY, True), (post.deleted_ts + 60, False)):
        client.set_now(datetime.fromtimestamp(ts, world.zone))
        assert (post.id in client.get(path).text) == is_there


@pytest.mark.parametrize("platform", ["x", "mastodon"])
def test_a_thread_has_three_parts_that_answer_one_another(world: World, platform: str) -> None:
    root = world.planted(f"thread/{platform}/1")
    parts = [post for post in world.posts() if post.root_id == root.id and post.kind in ("root", "part")]
    assert [part.reply_to_id for part in parts] == [None, parts[0].id, parts[1].id]
    assert {part.conversation_id for part in parts} == {root.id}
    assert {part.author_id for part in parts} == {root.author_id}


def test_an_edited_post_shows_its_first_wording_one_night_and_its_second_the_next(client: Any, world: World) -> None:
    first, second = world.planted("edited").versions
    assert second.ts - first.ts < 1_800
    for ts, shown, history in ((first.ts + 900, first, [first.id]), (second.ts + DAY, second, [first.id, second.id])):
        client.set_now(datetime.fromtimestamp(ts, world.zone))
        found = [post for post in texts(client, X_MAIN.id).values() if post["id"] in (first.id, second.id)]
        assert [(post["id"], post["text"], post["edit_history_post_ids"]) for post in found] == [(shown.id, shown.text, history)]
    assert first.ts < world.nights[53].timestamp() < second.ts
    old = client.get("/x/2/tweets", params={"ids": first.id}).json()["data"][0]
    assert old["text"] == first.text


def test_a_repost_of_ours_shows_the_counters_of_the_original(client: Any, world: World) -> None:
    repost = next(post for post in world.posts() if post.kind == "repost" and post.platform == "x" and post.ts > wib(date(2026, 4, 20), 0))
    original = world.by_id[repost.reference.id]  # type: ignore[union-attr]
    page = client.get("/x/2/tweets", params={"ids": f"{repost.id},{original.id}", **POST}).json()["data"]
    assert page[0]["public_metrics"] == page[1]["public_metrics"]
    assert page[0]["referenced_posts"] == [{"type": "retweeted", "id": original.id}]
    assert world.person_of("x", original.author_id)


def test_both_x_accounts_and_threads_repost_and_mastodon_reblogs(world: World) -> None:
    reposting = {account.id for account in (*FIRST_ACCOUNTS, THREADS)}
    assert {post.author_id for post in world.posts() if post.kind == "repost"} == reposting


def test_our_replies_name_the_person_they_answer(world: World) -> None:
    replies = [post for post in world.posts() if post.key.startswith("reply/") and post.platform in ("x", "mastodon")]
    assert {post.platform for post in replies} == {"x", "mastodon"}
    for reply in replies:
        assert f"@{world.handle_of(reply.platform, str(reply.reply_to_author))}" in reply.text


def test_spam_is_unambiguous(world: World) -> None:
    pattern = re.compile("|".join(SPAM_WORDS), re.IGNORECASE)
    spam = [post for post in world.posts() if post.is_spam]
    assert len(spam) > 50
    for post in world.posts():
        words = {word for word in SPAM_WORDS if word in re.sub(r"https://\S+", "", post.text).split()}
        assert (len(words) >= 2 and "https://" in post.text) == post.is_spam
        assert post.is_spam or not pattern.search(post.text)


def test_the_public_also_asks_quotes_reshares_and_answers_with_emoji(world: World) -> None:
    kinds = Counter(post.kind for post in world.posts())
    assert min(kinds["quote"], kinds["reshare"]) > 20
    comments = [post.text.partition(" ")[2] for post in world.posts() if post.kind == "comment"]
    assert sum(text.endswith("?") for text in comments) > 100
    assert sum(bool(text) and not any(letter.isalnum() for letter in text) for text in comments) > 100


def test_quotes_and_reshares_name_us(world: World) -> None:
    for post in world.posts():
        if post.kind in ("quote", "reshare"):
            assert any(world.is_own(identity) for identity in post.mentions)


def test_some_items_name_both_x_accounts(world: World) -> None:
    both = [post for post in world.posts() if {X_MAIN.id, X_PROGRAM.id} <= set(post.mentions) and not world.is_own(post.author_id)]
    assert len(both) > 20


def test_some_comments_answer_another_commenter_below_our_post(world: World) -> None:
    deep = [post for post in world.posts() if re.fullmatch(r"deep/(m?\d+|names_\w+/\d+)/b", post.key)]
    for post in deep:
        assert not world.is_own(str(post.reply_to_author))
        assert world.is_own(world.by_id[post.conversation_id].author_id)
    assert {post.kind for post in deep if post.platform == "x"} == {"comment"}
    assert {post.kind for post in deep if post.platform == "mastodon"} == {"mention"}
    named_elsewhere = [post for post in deep if world.by_id[post.conversation_id].author_id not in post.mentions]
    assert {world.by_id[post.conversation_id].author_id for post in named_elsewhere} == {X_MAIN.id, X_PROGRAM.id}


def test_some_comments_answer_a_reply_of_ours_in_a_conversation_of_others(world: World) -> None:
    abroad = [post for post in world.posts() if re.fullmatch(r"abroad/[\d-]+/theirs", post.key)]
    assert len(abroad) == 2
    for post in abroad:
        assert post.reply_to_author == X_MAIN.id
        assert not world.is_own(world.by_id[post.conversation_id].author_id)


def test_our_second_account_comments_on_our_first(world: World) -> None:
    sister = [post for post in world.posts() if post.author_id == X_PROGRAM.id and X_MAIN.id in post.mentions]
    assert len(sister) > 5


def test_there_are_items_on_both_sides_of_midnight_and_of_month_and_week_ends(world: World) -> None:
    edges = {(local_day(post.ts), (post.ts + 7 * 3600) % DAY // 60) for post in world.posts() if post.key.startswith("edge")}
    assert {(date(2026, 1, 31), 1410), (date(2026, 2, 1), 30), (date(2026, 4, 5), 1410), (date(2026, 4, 6), 30)} <= edges


def test_staff_comment_and_mention(world: World) -> None:
    for platform, person in world.staff.items():
        kinds = {post.kind for post in world.posts() if post.platform == platform and post.author_id == person.id_on(platform)}
        assert ({"comment", "mention"} if platform != "youtube" else {"comment"}) <= kinds


def test_hashtags_vary_also_in_case_and_in_lookalikes(world: World) -> None:
    tags = Counter(tag for post in world.posts() if post.kind == "root" for tag in post.hashtags)
    assert all(tags[tag] for tag in FUNDRAISING_TAGS)
    assert tags["zakatfitrah"]
    assert any(tag != tag.lower() for tag in tags)
    assert any(not post.hashtags for post in world.posts() if post.kind == "root")


def test_followers_can_fall(world: World) -> None:
    for account in ACCOUNTS:
        nightly = [world.followers(account.id, int(night.timestamp())) for night in world.nights]
        assert any(after < before for before, after in pairwise(nightly))
        assert nightly[-1] > nightly[0]


def test_reply_counters_count_the_answers_that_exist_ours_included(world: World) -> None:
    post = max((post for post in world.posts() if post.kind == "root"), key=lambda post: world.counters(post, NEVER).reply)
    for ts in (post.ts, post.ts + 3_600, post.ts + DAY, post.ts + 30 * DAY):
        answers = [item for item in world.posts() if item.reply_to_id in [version.id for version in post.versions] and item.ts <= ts]
        assert world.counters(post, ts).reply == len(answers)


def test_counters_only_grow_where_nothing_is_taken_back(world: World) -> None:
    for post in [post for post in world.posts() if post.kind == "root" and not post.drops and len(post.versions) == 1][:60]:
        values = [world.counters(post, post.ts + hours * 3_600) for hours in (0, 5, 24, 200, 900)]
        for before, after in pairwise(values):
            assert all(a <= b for a, b in zip(before, after, strict=True))


def test_persons_are_many_made_up_and_told_apart(world: World) -> None:
    assert len(world.persons) == 300
    ids = tuple(f"{platform}_id" for platform in PLATFORMS)
    for name in ("name", "handle", "email", "phone", "avatar", *ids):
        assert len({getattr(person, name) for person in world.persons}) == 300
    everything = json.dumps([post.text for post in world.posts()]) + "".join(person.bio for person in world.persons)
    assert any(person.phone in everything for person in world.persons)
    assert any(person.email in everything for person in world.persons)


INSTANTS = st.integers(wib(date(2025, 12, 1), 0), wib(date(2026, 5, 9), 0))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ts=INSTANTS)
def test_nothing_newer_than_now_is_visible(client: Any, world: World, ts: int) -> None:
    now = datetime.fromtimestamp(ts, world.zone)
    client.set_now(now)
    stamps = []
    for path in (f"{X.format(X_MAIN.id)}/tweets", f"{X.format(X_PROGRAM.id)}/mentions"):
        stamps += re.findall(r'"created_at":"([^"]+)"', client.get(path, params=POST).text)
    for path in (f"/mastodon/api/v1/accounts/{MASTODON.id}/statuses", "/mastodon/api/v1/notifications"):
        stamps += re.findall(r'"created_at":"([^"]+)"', client.get(path, params={"limit": 40}).text)
    assert all(datetime.fromisoformat(stamp) <= now for stamp in stamps)
