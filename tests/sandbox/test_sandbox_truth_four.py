"""The ground truth of six platforms, by hand: reach, stories, comments of a stream of their own, what is late, hidden, gone or not there."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import pytest

from sandbox.truth import Expected, Key, account_flows, expected
from sandbox.world import (
    DAY,
    FACEBOOK,
    FOUR,
    INSTAGRAM,
    MASTODON,
    PLATFORMS,
    THREADS,
    YOUTUBE,
    Account,
    Platform,
    Post,
    World,
    local_day,
    wib,
)

# Nights are landed and the whole world is reckoned: each alone is quick, all of them take a minute.
pytestmark = pytest.mark.slow

LAST = date(2026, 2, 15)
MONDAY = date(2026, 1, 19)
Truth = dict[Key, Expected]


@pytest.fixture(scope="module")
def nights(world: World) -> Sequence[datetime]:
    return world.nights[: (LAST - date(2026, 1, 1)).days + 1]


@pytest.fixture(scope="module")
def six(world: World, nights: Sequence[datetime]) -> Truth:
    return expected(world, LAST, nights, PLATFORMS)


@pytest.fixture(scope="module")
def flows(world: World, nights: Sequence[datetime]) -> dict[tuple[str, date, str], int]:
    return account_flows(world, LAST, nights, PLATFORMS)


def at(
    truth: Truth, indicator: str, where: Account | Platform | None, start: date, period: str = "day", cohort: str = "activity"
) -> Expected:
    place = ("institution", "all", "all")
    if isinstance(where, Account):
        place = ("account", where.platform, where.id)
    elif where is not None:
        place = ("platform", where, "all")
    return truth[Key(indicator, "all", *place, period, start, cohort)]


def night_of(day: date) -> int:
    """The night that closes a day."""
    return wib(day + timedelta(days=1), 2)


def listed(world: World, account: Account, ts: int) -> Iterator[Post]:
    """What a night sees of an account's posts and stories."""
    for showing in world.timelines[account.id].visible(ts):
        if showing.post.kind != "repost" and showing.start >= ts - 30 * DAY:
            yield showing.post
    if account.id in world.stories:
        yield from (showing.post for showing in world.stories[account.id].visible(ts))


# -- the whole ------------------------------------------------------------------------------------------------------------------------


def test_a_value_is_present_exactly_when_its_status_is_ok(six: Truth) -> None:
    assert all((found.value is not None) == (found.status == "ok") for found in six.values())
    assert all(0 <= found.coverage <= 1 for found in six.values())
    assert {key.platform for key in six} == {"all", *PLATFORMS}


def test_connecting_four_more_leaves_every_number_of_the_two_as_it_was(world: World, nights: Sequence[datetime], six: Truth) -> None:
    two = expected(world, LAST, nights, ("mastodon", "x"))
    shared = [key for key in two if key.level != "institution"]
    assert len(shared) > 5_000
    assert [key for key in shared if two[key] != six[key]] == []


def test_one_platform_alone_can_be_reckoned(world: World, nights: Sequence[datetime], six: Truth) -> None:
    alone = expected(world, LAST, nights, ("youtube",))
    assert {key.population_id for key in alone} == {"all", "fundraising"}
    assert at(alone, "views", YOUTUBE, MONDAY, "week") == at(six, "views", YOUTUBE, MONDAY, "week")


# -- counters -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", FOUR)
def test_a_days_reactions_and_views_are_the_differences_of_two_nights(world: World, six: Truth, account: Account) -> None:
    day = date(2026, 1, 22)
    before = {post.id: world.counters(post, night_of(day) - DAY) for post in listed(world, account, night_of(day) - DAY)}
    reactions, views = 0, 0
    for post in listed(world, account, night_of(day)):
        now, then = world.counters(post, night_of(day)), before.get(post.id)
        reactions += now.like - (then.like if then else 0)
        views += now.view - (then.view if then else 0)
    assert at(six, "reactions", account, day).value == reactions
    assert at(six, "views", account, day).value == views
    assert views > 0


def test_a_storys_views_count_and_it_is_no_post(world: World, six: Truth) -> None:
    story = world.planted("story/seen")
    day = local_day(story.ts)
    seen = list(listed(world, INSTAGRAM, night_of(day)))
    assert story.key in {post.key for post in seen}
    roots = [post for post in seen if local_day(post.ts) == day and post.post_type != "story"]
    assert at(six, "posts", INSTAGRAM, day).value == len(roots)


def test_a_story_between_two_nights_counts_only_where_an_hourly_run_saw_it(world: World, nights: Sequence[datetime], six: Truth) -> None:
    story = world.planted("story/between")
    day = local_day(story.ts)
    hour = datetime.fromtimestamp(story.ts + 6 * 3_600, world.zone)
    hourly = expected(world, LAST, nights, ("instagram",), hourly=[hour])
    without, with_it = at(six, "views", INSTAGRAM, day).value, at(hourly, "views", INSTAGRAM, day).value
    assert without is not None
    assert with_it == without + world.counters(story, int(hour.timestamp())).view
    assert at(hourly, "comments_audience", INSTAGRAM, day) == at(six, "comments_audience", INSTAGRAM, day)
    assert at(hourly, "reactions", INSTAGRAM, day) == at(six, "reactions", INSTAGRAM, day)


def test_a_story_of_the_morning_counts_with_the_last_hour_that_saw_it(world: World, nights: Sequence[datetime], six: Truth) -> None:
    """The night at 02:00 saw what it had by then; the reading of its last minutes has the rest of the same day."""
    story = world.planted("story/seen")
    day, last = local_day(story.ts), story.ts + DAY - 600
    hourly = expected(world, LAST, nights, ("instagram",), hourly=[datetime.fromtimestamp(last, world.zone)])
    more = 0
    for showing in world.stories[INSTAGRAM.id].visible(last):
        by_night = world.counters(showing.post, night_of(day)).view if showing.post.ts <= night_of(day) else 0
        more += world.counters(showing.post, last).view - by_night
    without, with_it = at(six, "views", INSTAGRAM, day).value, at(hourly, "views", INSTAGRAM, day).value
    assert without is not None
    assert more > world.counters(story, last).view - world.counters(story, night_of(day)).view - 1 > 0
    assert with_it == without + more
    assert at(hourly, "reactions", INSTAGRAM, day) == at(six, "reactions", INSTAGRAM, day)


def test_while_a_films_likes_are_hidden_the_days_reactions_are_not_known_and_then_they_catch_up(world: World, six: Truth) -> None:
    film = world.planted("hidden_likes_film")
    days = [local_day(film.ts) + timedelta(days=k) for k in range(5)]
    statuses = [at(six, "reactions", YOUTUBE, day).status for day in days]
    assert statuses == ["ok", "ok", "missing_input", "missing_input", "ok"]
    assert at(six, "views", YOUTUBE, days[2]).status == "ok"
    assert at(six, "engagement_count", YOUTUBE, days[2]).status == "missing_input"
    night = night_of(days[4])
    late = world.counters(film, night).like - world.counters(film, night - 3 * DAY).like
    others = sum(
        world.counters(post, night).like - (world.counters(post, night - DAY).like if post.ts < night - DAY else 0)
        for post in listed(world, YOUTUBE, night)
        if post.key != film.key
    )
    assert at(six, "reactions", YOUTUBE, days[4]).value == late + others


def test_likes_that_instagram_hides_are_unknown_while_they_are_hidden(world: World, six: Truth) -> None:
    reel = world.planted("hidden_likes")
    days = [local_day(reel.ts) + timedelta(days=k) for k in range(5)]
    assert [at(six, "reactions", INSTAGRAM, day).status for day in days] == ["ok", "ok", "missing_input", "missing_input", "ok"]


def test_what_a_platform_lacks_is_not_applicable_and_never_nought(six: Truth) -> None:
    lacking = {
        YOUTUBE: ("shares", "saves", "impressions", "link_clicks", "mentions", "mentions_tagged", "reach", "reach_lower"),
        THREADS: ("saves", "impressions", "link_clicks", "reach", "reach_upper"),
        FACEBOOK: ("saves",),
        INSTAGRAM: ("link_clicks",),
    }
    for account, indicators in lacking.items():
        for indicator in indicators:
            assert at(six, indicator, account, MONDAY, "week").status == "not_applicable"
    for account in (FACEBOOK, INSTAGRAM):
        assert at(six, "impressions", account, MONDAY, "week").status == "retired"
    for indicator in ("engagement_rate", "amplification_rate"):
        assert at(six, indicator, YOUTUBE, MONDAY, "week", "publication_d7").status == "not_applicable"
    assert at(six, "amplification_rate", THREADS, MONDAY, "week", "publication_d7").status == "ok"
    assert at(six, "views", MASTODON, MONDAY, "week").status == "not_applicable"


def test_threads_shares_are_reposts_quotes_and_sends(world: World, six: Truth) -> None:
    day, total = date(2026, 1, 22), 0
    for post in listed(world, THREADS, night_of(day)):
        now = world.counters(post, night_of(day))
        then = world.counters(post, max(night_of(day) - DAY, post.ts))
        total += now.share + now.quote + now.send - then.share - then.quote - then.send
    assert at(six, "shares", THREADS, day).value == total


def test_youtubes_engagement_is_its_likes_and_comments(six: Truth) -> None:
    parts = [at(six, name, YOUTUBE, MONDAY, "week").value for name in ("reactions", "comments_audience")]
    assert at(six, "engagement_count", YOUTUBE, MONDAY, "week").value == sum(part for part in parts if part is not None)


def test_a_film_that_was_deleted_was_published_and_one_that_no_night_saw_was_not(world: World, six: Truth) -> None:
    film, flash = world.planted("deleted/youtube"), world.planted("flash")
    for post, account, seen in ((film, YOUTUBE, 1), (flash, FACEBOOK, 0)):
        day = local_day(post.ts)
        others = [one for one in listed(world, account, night_of(day)) if local_day(one.ts) == day and one.key != post.key]
        assert at(six, "posts", account, day).value == len(others) + seen


def test_a_facade_is_no_post(world: World, six: Truth) -> None:
    day = local_day(world.planted("facade").ts)
    roots = [post for post in listed(world, THREADS, night_of(day)) if local_day(post.ts) == day]
    assert at(six, "posts", THREADS, day).value == len(roots)


# -- comments and mentions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", FOUR)
def test_comments_are_all_that_others_wrote_below_our_posts_but_spam(world: World, six: Truth, account: Account) -> None:
    week = range(7)
    inside = {MONDAY + timedelta(days=k) for k in week}
    below = [showing.post for showing in world.comments[account.id].showings if local_day(showing.start) in inside]
    counted = [item for item in below if item.author_id != account.id and not item.is_spam]
    found = at(six, "comments_audience", account, MONDAY, "week")
    assert (found.value, found.coverage) == (len(counted), 1.0)
    assert len(counted) > 2


def test_youtubes_conversation_is_its_comments_and_elsewhere_mentions_join_it(six: Truth) -> None:
    for account in FOUR:
        comments, mentions, volume = (
            at(six, name, account, MONDAY, "week").value for name in ("comments_audience", "mentions", "conversation_volume")
        )
        assert volume == (comments or 0) + (mentions or 0)
    whole = at(six, "mentions", None, MONDAY, "week")
    assert whole.value == sum(at(six, "mentions", platform, MONDAY, "week").value or 0 for platform in PLATFORMS)
    assert whole.coverage == 1.0


def test_a_comment_that_went_with_its_post_before_any_night_is_not_counted(world: World, nights: Sequence[datetime], six: Truth) -> None:
    comment = world.planted("flash_comment")
    day = local_day(comment.ts)
    below = [showing for showing in world.comments[FACEBOOK.id].showings if local_day(showing.start) == day]
    counted = [showing for showing in below if showing.post.author_id != FACEBOOK.id and not showing.post.is_spam]
    standing = [showing for showing in counted if showing.end > night_of(day)]
    assert at(six, "comments_audience", FACEBOOK, day).value == len(standing)
    hour = comment.deleted_ts - 60
    hourly = expected(world, LAST, nights, ("facebook",), hourly=[datetime.fromtimestamp(hour, world.zone)])
    assert at(hourly, "comments_audience", FACEBOOK, day).value == len(standing) + sum(
        one.start <= hour < one.end < hour + 61 for one in counted
    )
    assert len(counted) > len(standing)


# -- reach ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [INSTAGRAM, FACEBOOK])
def test_reach_is_the_platforms_own_count_of_the_window(world: World, six: Truth, account: Account) -> None:
    sunday = MONDAY + timedelta(days=6)
    settled = world.settled_day(account, sunday)
    assert at(six, "reach", account, sunday).value == settled.reach
    assert at(six, "reach", account, MONDAY, "week").value == settled.reach_7d
    assert at(six, "reach", account, sunday - timedelta(days=27), "trailing_28d").value == settled.reach_28d
    assert at(six, "reach", account.platform, MONDAY, "week") == at(six, "reach", account, MONDAY, "week")
    assert at(six, "reach", account, date(2026, 1, 1), "month").status == "not_applicable"
    assert at(six, "reach", None, MONDAY, "week").status == "not_applicable"


def test_reach_lies_between_the_larger_accounts_and_the_sum_of_both(six: Truth) -> None:
    both = [at(six, "reach", account, MONDAY, "week").value or 0 for account in (INSTAGRAM, FACEBOOK)]
    lower, upper = (at(six, name, None, MONDAY, "week") for name in ("reach_lower", "reach_upper"))
    assert (lower.value, upper.value) == (max(both), sum(both))
    assert (lower.coverage, lower.status) == (1.0, "ok")
    for name in ("reach_lower", "reach_upper"):
        assert at(six, name, INSTAGRAM, MONDAY, "week").value == both[0]


def test_a_month_is_bounded_by_its_days(world: World, six: Truth) -> None:
    month = date(2026, 1, 1)
    daily = [world.settled_day(FACEBOOK, month + timedelta(days=k)).reach or 0 for k in range(31)]
    assert at(six, "reach_lower", FACEBOOK, month, "month").value == max(daily)
    assert at(six, "reach_upper", FACEBOOK, month, "month").value == sum(daily)


def test_the_last_two_days_are_not_told_yet_and_the_one_before_is_too_low(
    world: World, six: Truth, flows: dict[tuple[str, date, str], int]
) -> None:
    late = [at(six, "reach", INSTAGRAM, LAST - timedelta(days=back)) for back in range(4)]
    assert [found.status for found in late] == ["missing_input", "missing_input", "ok", "ok"]
    assert [found.is_provisional for found in late] == [True, True, True, False]
    assert (late[2].value or 0) < (world.settled_day(INSTAGRAM, LAST - timedelta(days=2)).reach or 0)
    assert late[3].value == world.settled_day(INSTAGRAM, LAST - timedelta(days=3)).reach
    running = at(six, "reach_upper", INSTAGRAM, date(2026, 2, 1), "month")
    assert running.status == "missing_input"
    assert running.coverage == 13 / 15
    assert flows[INSTAGRAM.id, LAST - timedelta(days=2), "reach"] == late[2].value


def test_a_correction_that_a_night_asked_for_replaces_also_after_missed_nights_and_one_that_none_asked_for_does_not(world: World) -> None:
    day = date(2026, 1, 12)
    missed = [night for night in world.nights[:30] if night.date() not in {day + timedelta(days=4), day + timedelta(days=5)}]
    ended = [night for night in world.nights if night.date() <= day + timedelta(days=3)]
    settled = world.settled_day(INSTAGRAM, day).reach or 0
    for nights in (world.nights[:30], missed):
        assert account_flows(world, date(2026, 1, 30), nights, PLATFORMS)[INSTAGRAM.id, day, "reach"] == settled
    assert account_flows(world, date(2026, 1, 30), ended, PLATFORMS)[INSTAGRAM.id, day, "reach"] < settled


def test_youtubes_days_come_after_sixty_hours_and_settle_within_the_week(world: World, flows: dict[tuple[str, date, str], int]) -> None:
    told = sorted(day for account_id, day, measure in flows if (account_id, measure) == (YOUTUBE.id, "views"))
    assert told[-1] == LAST - timedelta(days=4)
    old = LAST - timedelta(days=8)
    assert flows[YOUTUBE.id, old, "views"] == world.settled_day(YOUTUBE, old).views
    assert told[0] == date(2025, 12, 2)


# -- rates ----------------------------------------------------------------------------------------------------------------------------


def test_the_engagement_rate_is_by_reach_at_seven_days_of_the_posts_that_have_it(world: World, six: Truth) -> None:
    engagement, reach, posts = 0, 0, 0
    for account in (INSTAGRAM, FACEBOOK):
        for showing in world.timelines[account.id].showings:
            post = showing.post
            if MONDAY <= local_day(post.ts) <= MONDAY + timedelta(days=6):
                closest = min(
                    (wib(local_day(post.ts) + timedelta(days=k), 2) for k in range(6, 10)), key=lambda ts: abs(ts - post.ts - 7 * DAY)
                )
                counted = world.counters(post, closest)
                below = [one.post for one in world.comments[account.id].showings if one.post.conversation_id == post.id]
                comments = sum(item.author_id != account.id and not item.is_spam for item in below)
                engagement += counted.like + counted.share + counted.save + comments
                reach += counted.reach
                posts += 1
    found = at(six, "engagement_rate", None, MONDAY, "week", "publication_d7")
    assert (found.numerator, found.denominator, found.n, found.coverage) == (engagement, reach, posts, 1.0)
    assert found.value == engagement / reach


def test_the_rate_by_views_takes_impressions_where_there_are_no_views(six: Truth) -> None:
    whole = at(six, "engagement_rate_views", None, MONDAY, "week", "publication_d7")
    parts = [at(six, "engagement_rate_views", platform, MONDAY, "week", "publication_d7") for platform in PLATFORMS]
    assert whole.denominator == sum(part.denominator or 0 for part in parts)
    assert parts[0].status == "not_applicable"
    assert all(part.status == "ok" for part in parts[1:])


def test_youtubes_followers_are_those_it_shows(world: World, six: Truth) -> None:
    assert at(six, "followers", YOUTUBE, MONDAY).value == world.followers_shown(YOUTUBE.id, night_of(MONDAY))
    assert at(six, "followers", INSTAGRAM, MONDAY).value == world.followers(INSTAGRAM.id, night_of(MONDAY))
