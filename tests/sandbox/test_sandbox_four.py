"""Instagram, Facebook, Threads and YouTube in the simulated world: what was planted is there, and an account's days are told late."""

import re
from collections import Counter
from datetime import date, timedelta
from itertools import combinations, pairwise

import pytest

from sandbox.feeds import Feed
from sandbox.flows import TELLINGS
from sandbox.world import (
    ACCOUNTS,
    DAY,
    FACEBOOK,
    FOUR,
    INSTAGRAM,
    QUIET_WEEK,
    THREADS,
    YOUTUBE,
    Account,
    Post,
    World,
    day_start,
    local_day,
    nights_run,
    platform_day,
    title_and_description,
    wib,
)

TYPES = {
    "instagram": {"post", "carousel", "reel"},
    "facebook": {"post", "video", "reel"},
    "threads": {"post", "carousel"},
    "youtube": {"video", "short", "live"},
}
IDS = {
    "instagram": (r"17\d{15}", r"17\d{15}"),
    "facebook": (r"100000000000001_\d{18}", r"\d{18}_\d{18}"),
    "threads": (r"18\d{15}", r"18\d{15}"),
    "youtube": (r"[\w-]{11}", r"Ugx[\w-]{16}4AaABAg(\.[\w-]{22})?"),
}
ANY_DAY = date(2026, 2, 3)


def ours(world: World, account: Account) -> list[Post]:
    return [showing.post for showing in world.timelines[account.id].showings]


def night_stamps(world: World) -> list[int]:
    return [int(night.timestamp()) for night in nights_run(world)]


def sees(feed: Feed, post: Post, ts: int) -> bool:
    return any(showing.post.key == post.key for showing in feed.visible(ts))


def everything_below(world: World) -> list[Post]:
    return [showing.post for account in FOUR for showing in world.comments[account.id].showings]


# -- posts ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", FOUR)
def test_each_platform_has_posts_of_its_own_types_and_at_its_pace(world: World, account: Account) -> None:
    roots = [post for post in ours(world, account) if post.kind == "root"]
    assert {post.post_type for post in roots} == TYPES[account.platform]
    assert 0.3 < len(roots) / 154 < 0.9
    assert [post.key for post in roots if QUIET_WEEK[0] <= local_day(post.ts) <= QUIET_WEEK[1]] == []
    assert all((post.seconds > 0) == (post.post_type in ("reel", "video", "short", "live")) for post in roots)


@pytest.mark.parametrize("account", FOUR)
def test_ids_look_as_the_platform_makes_them_and_places_rise_with_time(world: World, account: Account) -> None:
    post, comment = IDS[account.platform]
    for one in ours(world, account):
        assert re.fullmatch(post, one.id)
    for one in [showing.post for showing in world.comments[account.id].showings]:
        assert re.fullmatch(comment, one.id)
    for feed in (world.timelines[account.id], world.comments[account.id], world.mentions[account.id], world.stories[account.id]):
        assert all(a.order < b.order and a.start <= b.start for a, b in pairwise(feed.showings))


def test_shorts_and_films_are_told_apart_by_their_length(world: World) -> None:
    films = [post for post in ours(world, YOUTUBE) if post.kind == "root"]
    assert all((post.seconds <= 60) == (post.post_type == "short") for post in films)
    title, description = title_and_description(world.planted("linked/youtube"))
    assert (title, description) == ("Laporan tahunan Cahaya: ke mana setiap rupiah pergi", "#sedekah")


def test_one_text_stands_on_four_platforms_within_two_hours(world: World) -> None:
    posts = [world.planted(f"cross/{account.platform}") for account in FOUR]
    assert len({re.sub(r"\s*#\w+", "", post.text) for post in posts}) == 1
    assert len({post.text for post in posts}) == 4
    assert max(post.ts for post in posts) - min(post.ts for post in posts) <= 7_200
    assert {post.post_type for post in posts} == {"reel", "post", "short"}


def test_nothing_else_is_nearly_the_same_on_two_platforms_within_a_day(world: World) -> None:
    def tokens(post: Post) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", re.sub(r"https://\S+|[#@]\w+", "", post.text.lower())))

    roots = [post for account in ACCOUNTS for post in ours(world, account) if post.kind == "root" and post.platform in TYPES]
    near = [
        (a.key, b.key)
        for a, b in combinations(sorted(roots, key=lambda post: post.ts), 2)
        if a.platform != b.platform and b.ts - a.ts <= DAY and len(tokens(a) & tokens(b)) >= 0.7 * len(tokens(a) | tokens(b))
    ]
    assert len(near) == 6
    assert all("cross/" in a and "cross/" in b for a, b in near)


def test_a_post_on_threads_links_to_a_film(world: World) -> None:
    film, post = world.planted("linked/youtube"), world.planted("linked/threads")
    assert f"https://www.youtube.com/watch?v={film.id}" in post.text
    assert 0 < post.ts - film.ts < DAY


def test_a_facade_is_a_post_of_ours_that_is_somebody_elses(world: World) -> None:
    facade = world.planted("facade")
    original = world.by_id[facade.reference.id]  # type: ignore[union-attr]
    assert (facade.author_id, facade.kind, facade.text) == (THREADS.id, "repost", original.text)
    assert world.person_of("threads", original.author_id)
    assert sees(world.timelines[THREADS.id], facade, facade.ts + DAY)


def test_the_other_planted_posts_are_what_their_names_say(world: World) -> None:
    types = {name: (world.planted(name).platform, world.planted(name).post_type) for name in ("facebook_reel", "live", "short")}
    assert types == {"facebook_reel": ("facebook", "reel"), "live": ("youtube", "live"), "short": ("youtube", "short")}
    assert {local_day(world.planted(f"late/{account.platform}").ts) for account in FOUR} == {date(2026, 1, 31)}
    split = world.planted("split_clicks")
    clicks = world.clicks(split, split.ts + 5 * DAY)
    assert set(clicks) == {"link clicks", "photo view", "other clicks"}
    assert min(clicks.values()) > 0
    assert sum(world.clicks(world.planted("facebook_reel"), split.ts).values()) == 0


# -- what is gone ---------------------------------------------------------------------------------------------------------------------


def test_a_story_is_up_for_a_day_and_stands_in_no_timeline(world: World) -> None:
    story = world.planted("story/seen")
    feed = world.stories[INSTAGRAM.id]
    assert [sees(feed, story, story.ts + age) for age in (-1, 0, DAY - 1, DAY)] == [False, True, True, False]
    assert not any(post.post_type == "story" for post in ours(world, INSTAGRAM))
    counted = world.counters(story, story.ts + DAY - 1)
    assert min(counted.view, counted.reach, counted.navigation) > 0
    assert (counted.like, counted.save) == (0, 0)
    assert any(world.counters(showing.post, showing.end).reply for showing in feed.showings)
    assert not any(world.answers_to(showing.post.id, showing.start + 3_600) for showing in feed.showings)


@pytest.mark.parametrize("name", ["between", "lost_night"])
def test_two_stories_are_seen_by_no_night_that_ran_and_by_an_hourly_run(world: World, name: str) -> None:
    story, feed = world.planted(f"story/{name}"), world.stories[INSTAGRAM.id]
    assert not any(sees(feed, story, ts) for ts in night_stamps(world))
    assert sees(feed, story, story.ts + 3_600)
    missed = int(world.missed_nights[0].timestamp())
    assert sees(feed, story, missed) == (name == "lost_night")


@pytest.mark.parametrize(("name", "nights"), [("deleted/instagram", 2), ("deleted/youtube", 7), ("flash", 0)])
def test_a_deleted_post_is_seen_by_some_nights_and_takes_its_comments_with_it(world: World, name: str, nights: int) -> None:
    post = world.planted(name)
    seen = [ts for ts in night_stamps(world) if sees(world.timelines[post.author_id], post, ts)]
    assert len(seen) == nights
    below = [showing for showing in world.comments[post.author_id].showings if showing.post.conversation_id == post.id]
    assert all(showing.start < showing.end == post.deleted_ts for showing in below)


@pytest.mark.parametrize(("name", "post_type"), [("hidden_likes", "reel"), ("hidden_likes_film", "video")])
def test_likes_are_hidden_for_two_nights_and_then_shown_again(world: World, name: str, post_type: str) -> None:
    post = world.planted(name)
    hidden = [ts for ts in night_stamps(world) if post.hides("like", ts)]
    assert len(hidden) == 2
    assert hidden[0] - post.ts > DAY
    assert post.post_type == post_type


def test_counters_fall_only_where_that_was_planted(world: World) -> None:
    fallen = set()
    for account in FOUR:
        for feed in (world.timelines[account.id], world.stories[account.id]):
            for post in [showing.post for showing in feed.showings if showing.post.kind == "root"]:
                values = [world.counters(post, post.ts + 9_000 * step) for step in range(0, 80, 4)]
                for before, after in pairwise(values):
                    fallen |= {post.key for a, b in zip(before, after, strict=True) if b < a}
                assert all(counted.reach <= counted.view for counted in values)
    assert fallen == {"planted/unliked/instagram"}


# -- what others write ----------------------------------------------------------------------------------------------------------------


def test_below_our_posts_are_comments_answers_of_others_our_own_and_spam(world: World) -> None:
    for account in FOUR:
        below = [showing.post for showing in world.comments[account.id].showings]
        assert Counter(post.kind for post in below)["reply"] > 5
        assert sum(post.is_spam for post in below) > 3
        assert sum(post.reply_to_id != post.conversation_id and post.kind == "comment" for post in below) > 5
        deepest = max(depth(world, post) for post in below)
        assert deepest == (3 if account is THREADS else 2)
        staff = world.staff[account.platform].id_on(account.platform)
        assert any(post.author_id == staff for post in below)


def depth(world: World, post: Post) -> int:
    return 0 if post.reply_to_id is None else 1 + depth(world, world.by_id[post.reply_to_id])


def test_whatever_is_said_below_a_post_is_said_within_a_week(world: World) -> None:
    assert all(0 < item.ts - world.by_id[item.conversation_id].ts < 7 * DAY - 7_200 for item in everything_below(world))


def test_comments_name_none_of_our_accounts_and_posts_that_tag_us_answer_nothing(world: World) -> None:
    assert not any(world.is_own(identity) for item in everything_below(world) for identity in item.mentions)
    for account in FOUR:
        tagging = [showing.post for showing in world.mentions[account.id].showings]
        assert len(tagging) > 30 or account is YOUTUBE
        assert all(post.kind == "mention" and post.reply_to_id is None for post in tagging)
    assert not world.mentions[YOUTUBE.id].showings


@pytest.mark.parametrize("account", FOUR)
def test_reply_counters_count_whole_conversations_but_on_threads_the_direct_answers(world: World, account: Account) -> None:
    post = max(ours(world, account), key=lambda post: world.counters(post, wib(date(2026, 5, 1), 0)).reply)
    for ts in (post.ts + 3_600, post.ts + DAY, post.ts + 9 * DAY):
        below = [item for item in everything_below(world) if item.conversation_id == post.id and item.ts <= ts]
        direct = [item for item in below if item.reply_to_id == post.id]
        assert world.counters(post, ts).reply == len(direct if account is THREADS else below)
        assert world.answers_to(post.id, ts) == sorted(direct, key=lambda item: item.ts)


# -- an account's days ----------------------------------------------------------------------------------------------------------------


def test_a_days_beginning_is_the_platforms_and_follows_its_clock() -> None:
    assert day_start("threads", ANY_DAY) == wib(ANY_DAY, 7)
    assert day_start("instagram", ANY_DAY) == wib(ANY_DAY, 15)
    assert day_start("youtube", date(2026, 3, 10)) == wib(date(2026, 3, 10), 14)
    summer = date(2026, 3, 8)
    assert day_start("facebook", summer + timedelta(days=1)) - day_start("facebook", summer) == 23 * 3_600
    assert platform_day("instagram", wib(ANY_DAY, 14, 59)) == ANY_DAY - timedelta(days=1)


@pytest.mark.parametrize("account", FOUR)
def test_a_day_is_told_late_then_too_low_and_then_for_good(world: World, account: Account) -> None:
    telling = TELLINGS[account.platform]
    end = day_start(account.platform, ANY_DAY + timedelta(days=1))
    assert telling.late >= 86_400
    assert all(value is None for value in values(world, account, end + telling.late - 1))
    told = [values(world, account, end + age) for age in range(telling.late, telling.settled + 7_200, 3_600)]
    for before, after in pairwise(told):
        assert all(a <= b for a, b in zip(before, after, strict=True))
    assert told[0] != told[-1]
    assert told[-1] == values(world, account, end + 40 * DAY)
    assert world.account_day(account, ANY_DAY, end + 40 * DAY) == world.settled_day(account, ANY_DAY)


def values(world: World, account: Account, now: int) -> list[int]:
    told = world.account_day(account, ANY_DAY, now)
    return [getattr(told, name) for name in TELLINGS[account.platform].measures]


@pytest.mark.parametrize("account", [INSTAGRAM, FACEBOOK])
def test_a_windows_reach_lies_between_its_largest_day_and_the_sum_of_its_days(world: World, account: Account) -> None:
    for day in (date(2026, 1, 4), ANY_DAY, date(2026, 3, 15)):
        settled = world.settled_day(account, day)
        daily = [world.settled_day(account, day - timedelta(days=back)).reach or 0 for back in range(28)]
        assert max(daily[:7]) <= (settled.reach_7d or 0) <= sum(daily[:7])
        assert max(*daily, settled.reach_7d or 0) <= (settled.reach_28d or 0) <= sum(daily)


@pytest.mark.parametrize("account", FOUR)
def test_followers_move_by_those_who_came_less_those_who_went(world: World, account: Account) -> None:
    for step in range(100):
        day = date(2026, 1, 1) + timedelta(days=step)
        start, end = (day_start(account.platform, one) for one in (day, day + timedelta(days=1)))
        gained, lost = world._flows._came_and_went(account, day)
        assert world.followers(account.id, end) - world.followers(account.id, start) == gained - lost
        settled = world.settled_day(account, day)
        assert settled.followers_gained in (gained, None)
        assert settled.followers_lost in (lost, None)
    assert world.settled_day(YOUTUBE, ANY_DAY).followers_lost is not None


def test_youtube_shows_its_followers_in_three_figures(world: World) -> None:
    ts = wib(ANY_DAY, 2)
    exact, shown = world.followers(YOUTUBE.id, ts), world.followers_shown(YOUTUBE.id, ts)
    assert shown % 10 == 0
    assert 0 <= exact - shown < 10
    assert world.followers_shown(INSTAGRAM.id, ts) == world.followers(INSTAGRAM.id, ts)


def test_a_deleted_films_views_stay_in_the_channels_days_without_its_id(world: World) -> None:
    film = world.planted("deleted/youtube")
    day = platform_day("youtube", film.ts)
    while_up, later = film.deleted_ts - 60, film.deleted_ts + 5 * DAY
    assert world.account_day(YOUTUBE, day, while_up).views == world.account_day(YOUTUBE, day, later).views
    before, after = world.film_views(YOUTUBE, day, while_up), world.film_views(YOUTUBE, day, later)
    assert before[film.id] > 0
    assert film.id not in after
    assert after[""] == before[""] + before[film.id]
    assert sum(after.values()) == sum(before.values()) == world.settled_day(YOUTUBE, day).views


def test_a_channels_day_holds_what_its_films_won(world: World) -> None:
    start, end = day_start("youtube", ANY_DAY), day_start("youtube", ANY_DAY + timedelta(days=1))
    won = sum(world.counters(post, end).view - world.counters(post, start).view for post in ours(world, YOUTUBE) if post.deleted_ts > end)
    settled = world.settled_day(YOUTUBE, ANY_DAY)
    assert 0 < won < (settled.views or 0)
    assert 0 < (settled.engaged_views or 0) < (settled.views or 0)
