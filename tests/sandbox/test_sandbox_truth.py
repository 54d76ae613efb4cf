"""The ground truth, checked by hand: once more from what the APIs answer, and against the edges that docs/numbers.md draws."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from sandbox.truth import Expected, Key, expected
from sandbox.words import SPAM_WORDS
from sandbox.world import MASTODON, QUIET_WEEK, X_MAIN, X_PROGRAM, World, local_day

AS_OF = date(2026, 4, 30)
TAGS = {"zakat", "sedekah", "wakaf", "donasi"}
LEVELS = {"institution": ("all", "all"), "x": ("x", "all"), "mastodon": ("mastodon", "all")}


@pytest.fixture(scope="session")
def truth(world: World) -> dict[Key, Expected]:
    return expected(world, AS_OF)


@cache
def short_truth(nights: tuple[datetime, ...], as_of: date) -> dict[Key, Expected]:
    return expected(World(7), as_of, nights)


def at(
    truth: dict[Key, Expected],
    indicator: str,
    level: str,
    start: date,
    period: str = "day",
    population: str = "all",
    cohort: str = "activity",
) -> Expected:
    place = (level, *LEVELS[level]) if level == "institution" else ("platform", *LEVELS[level]) if level in LEVELS else None
    if place is None:
        place = ("account", "mastodon" if level == MASTODON.id else "x", level)
    return truth[Key(indicator, population, *place, period, start, cohort)]


# -- once more, from the answers of the APIs ------------------------------------------------------------------------------------------


def statuses_at(client: Any, moment: datetime) -> dict[str, dict[str, Any]]:
    """Read the 30 days before an instant as a nightly run does; reblogs are not ours."""
    client.set_now(moment)
    found: dict[str, dict[str, Any]] = {}
    query: dict[str, Any] = {"limit": 40, "exclude_reblogs": "true"}
    while page := client.get(f"/mastodon/api/v1/accounts/{MASTODON.id}/statuses", params=query).json():
        found |= {status["id"]: status for status in page}
        query["max_id"] = page[-1]["id"]
    oldest = moment - timedelta(days=30)
    return {key: status for key, status in found.items() if datetime.fromisoformat(status["created_at"]) >= oldest}


def x_pages(client: Any, path: str, moment: datetime, since: datetime) -> Iterator[dict[str, Any]]:
    client.set_now(moment)
    fields = {"post.fields": "created_at,public_metrics,conversation_id,entities,text", "max_results": 100}
    query: dict[str, Any] = {**fields, "expansions": "author_id,referenced_posts,in_reply_to_user_id"}
    query["start_time"] = since.astimezone(UTC).isoformat()
    while True:
        page = client.get(f"/x/2/users/{path}", params=query).json()
        yield from page.get("data", [])
        if "next_token" not in page["meta"]:
            return
        query["pagination_token"] = page["meta"]["next_token"]


def is_kind(post: dict[str, Any], kind: str) -> bool:
    return any(reference["type"] == kind for reference in post.get("referenced_posts", []))


@pytest.mark.parametrize("day", [date(2026, 1, 25), date(2026, 2, 14)])
def test_the_reactions_of_a_mastodon_day_are_the_differences_of_two_nights(
    client: Any, world: World, truth: dict[Key, Expected], day: date
) -> None:
    night = next(night for night in world.nights if local_day(int(night.timestamp()) - 43_200) == day)
    before, after = statuses_at(client, night - timedelta(days=1)), statuses_at(client, night)
    total = sum(status["favourites_count"] - before.get(key, {"favourites_count": 0})["favourites_count"] for key, status in after.items())
    found = at(truth, "reactions", MASTODON.id, day)
    assert (found.value, found.status, found.coverage) == (total, "ok", 1.0)
    if day == date(2026, 1, 25):
        unliked = world.planted("unliked/cahaya").id
        assert after[unliked]["favourites_count"] < before[unliked]["favourites_count"]


def test_the_night_after_a_missed_one_holds_both_days(client: Any, world: World, truth: dict[Key, Expected]) -> None:
    night = datetime(2026, 3, 12, 2, tzinfo=world.zone)
    total = 0
    previous = night - timedelta(days=2)
    before = {
        post["id"]: post for post in x_pages(client, f"{X_MAIN.id}/tweets", previous, previous - timedelta(days=30))
    }  # fmt: skip
    for post in x_pages(client, f"{X_MAIN.id}/tweets", night, night - timedelta(days=30)):
        if not is_kind(post, "retweeted"):
            earlier = before.get(post["id"], {"public_metrics": {"impression_count": 0}})
            total += post["public_metrics"]["impression_count"] - earlier["public_metrics"]["impression_count"]
    assert at(truth, "impressions", X_MAIN.id, date(2026, 3, 11)).value == total
    missed = at(truth, "impressions", X_MAIN.id, date(2026, 3, 10))
    assert (missed.value, missed.status, missed.coverage) == (None, "lost", 0.0)


def test_the_mentions_and_comments_of_the_giveaway_day_are_those_of_the_mentions_answers(
    client: Any, world: World, truth: dict[Key, Expected]
) -> None:
    day = date(2026, 2, 5)
    night = datetime(2026, 2, 6, 2, tzinfo=world.zone)
    ours = {X_MAIN.id, X_PROGRAM.id}
    roots = {
        post["id"]: account_id
        for account_id in ours
        for post in x_pages(client, f"{account_id}/tweets", night, night - timedelta(days=60))
        if not is_kind(post, "replied_to")
    }
    items: dict[str, Any] = {}
    for account_id in ours:
        items |= {item["id"]: item for item in x_pages(client, f"{account_id}/mentions", night, night - timedelta(days=7))}
    mentions, comments = set(), set()
    for item in items.values():
        is_spam = "https://" in item["text"] and sum(word in item["text"].split() for word in SPAM_WORDS) > 1
        is_on_day = local_day(int(datetime.fromisoformat(item["created_at"]).timestamp())) == day
        if is_on_day and not is_spam and item["author_id"] not in ours and not is_kind(item, "retweeted"):
            mentions.add(item["id"])
            if item["conversation_id"] in roots or item.get("in_reply_to_user_id") in ours:
                comments.add(item["id"])
    assert len(comments) > 50
    assert at(truth, "mentions", "x", day).value == len(mentions)
    assert at(truth, "comments_audience", "x", day).value == len(comments)
    assert at(truth, "conversation_volume", "x", day).value == len(mentions | comments)


def test_the_applause_rate_of_a_mastodon_week_is_that_of_the_nights_nearest_to_age_seven_days(
    client: Any, world: World, truth: dict[Key, Expected]
) -> None:
    monday = date(2026, 3, 2)
    nights = [night for night in world.nights if date(2026, 3, 2) <= night.date() <= date(2026, 3, 19) and night not in world.missed_nights]
    answers = {night: statuses_at(client, night) for night in nights}
    statuses = {key: status for answer in answers.values() for key, status in answer.items()}
    parent = {key: status["in_reply_to_id"] for key, status in statuses.items() if status["in_reply_to_account_id"] == MASTODON.id}

    def at_seven_days(key: str) -> int | None:
        wanted = datetime.fromisoformat(statuses[key]["created_at"]) + timedelta(days=7)
        nearest = min((night for night in nights if key in answers[night]), key=lambda night: abs(night - wanted))
        likes: int = answers[nearest][key]["favourites_count"]
        return likes if abs(nearest - wanted) <= timedelta(hours=48) else None

    likes, posts, cohort = 0, 0, 0
    for key, status in statuses.items():
        day = local_day(int(datetime.fromisoformat(status["created_at"]).timestamp()))
        if not monday <= day <= monday + timedelta(days=6) or status["in_reply_to_account_id"]:
            continue
        cohort += 1
        thread = [key, *(part for part in parent if parent[part] == key or parent.get(parent[part]) == key)]
        values = [value for part in thread if (value := at_seven_days(part)) is not None]
        if len(values) == len(thread):
            likes, posts = likes + sum(values), posts + 1
    found = at(truth, "applause_rate", MASTODON.id, monday, "week", cohort="publication_d7")
    assert (found.numerator, found.denominator, found.n) == (likes, posts, posts)
    assert (found.value, found.coverage) == (likes / posts, posts / cohort)
    assert posts == cohort - 1


def test_the_comment_score_of_the_giveaway_week_is_that_of_the_answers(client: Any, world: World, truth: dict[Key, Expected]) -> None:
    monday, sunday_night = date(2026, 2, 2), datetime(2026, 2, 9, 2, tzinfo=world.zone)
    ours = {X_MAIN.id, X_PROGRAM.id}
    roots = {}
    for post in x_pages(client, f"{X_MAIN.id}/tweets", sunday_night, sunday_night - timedelta(days=8)):
        created = datetime.fromisoformat(post["created_at"])
        day = created.astimezone(world.zone).date()
        if monday <= day and day < sunday_night.date() and not is_kind(post, "retweeted") and not is_kind(post, "replied_to"):
            roots[post["id"]] = created
    items = {
        item["id"]: item
        for account_id in ours
        for item in x_pages(client, f"{account_id}/mentions", sunday_night + timedelta(days=9), sunday_night - timedelta(days=8))
    }
    comments = 0
    for item in items.values():
        is_spam = "https://" in item["text"] and sum(word in item["text"].split() for word in SPAM_WORDS) > 1
        root = roots.get(item["conversation_id"])
        is_in_time = root is not None and datetime.fromisoformat(item["created_at"]) <= root + timedelta(days=7)
        comments += is_in_time and not is_spam and item["author_id"] not in ours and not is_kind(item, "retweeted")
    followers = 0
    for created in roots.values():
        night = datetime.combine(created.astimezone(world.zone).date() + timedelta(days=1), sunday_night.timetz())
        client.set_now(night)
        profile = client.get(f"/x/2/users/{X_MAIN.id}", params={"user.fields": "public_metrics"}).json()
        followers += profile["data"]["public_metrics"]["followers_count"]
    found = at(truth, "comment_score", X_MAIN.id, monday, "week", cohort="publication_d7")
    assert (found.numerator, found.denominator, found.n, found.coverage) == (comments, followers, len(roots), 1.0)
    assert found.value == 1000 * comments / followers


# -- the edges ------------------------------------------------------------------------------------------------------------------------


def test_a_value_is_present_exactly_when_its_status_is_ok(truth: dict[Key, Expected]) -> None:
    assert all((found.value is not None) == (found.status == "ok") for found in truth.values())
    assert all(0 <= found.coverage <= 1 for found in truth.values())


def test_the_quiet_week_has_no_posts_and_no_rates(truth: dict[Key, Expected]) -> None:
    assert at(truth, "posts", "institution", QUIET_WEEK[0], "week").value == 0
    for indicator in ("applause_rate", "comment_score", "engagement_rate_views", "comment_score_index"):
        found = at(truth, indicator, "institution", QUIET_WEEK[0], "week", cohort="publication_d7")
        assert (found.status, found.value, found.coverage, found.n) == ("zero_denominator", None, 1.0, 0)
    assert at(truth, "reactions", "institution", QUIET_WEEK[0], "week").status == "ok"


def test_the_first_day_is_a_baseline(truth: dict[Key, Expected]) -> None:
    first = date(2026, 1, 1)
    assert at(truth, "reactions", "institution", first).status == "insufficient_history"
    assert at(truth, "engagement_count", "institution", first).status == "insufficient_history"
    assert at(truth, "net_new_followers", "institution", first).status == "insufficient_history"
    assert at(truth, "followers", "institution", first).n == 3
    assert at(truth, "comments_audience", "institution", first).status == "ok"
    assert at(truth, "comments_audience", "institution", date(2025, 12, 29), "week").coverage == 1.0
    assert at(truth, "reactions", "institution", date(2025, 12, 29), "week").coverage == pytest.approx(3 / 7)


def test_an_item_that_names_two_accounts_counts_once_for_the_platform(truth: dict[Key, Expected]) -> None:
    month = date(2026, 3, 1)
    whole = at(truth, "mentions", "x", month, "month").value
    parts = [at(truth, "mentions", account.id, month, "month").value for account in (X_MAIN, X_PROGRAM)]
    assert whole is not None
    assert whole < sum(part for part in parts if part is not None)


def test_levels_add_up_where_nothing_is_shared(truth: dict[Key, Expected]) -> None:
    for indicator in ("reactions", "shares", "comments_audience", "engagement_count", "posts"):
        values = [at(truth, indicator, level, date(2026, 2, 2), "week").value for level in ("institution", "x", "mastodon")]
        assert values[0] == sum(value for value in values[1:] if value is not None)
    assert at(truth, "saves", "mastodon", date(2026, 2, 2), "week").status == "not_applicable"


def test_days_add_up_to_their_week(truth: dict[Key, Expected]) -> None:
    for indicator in ("reactions", "mentions", "posts", "engagement_count"):
        days = [at(truth, indicator, "institution", date(2026, 2, 2) + timedelta(days=k)).value for k in range(7)]
        assert at(truth, indicator, "institution", date(2026, 2, 2), "week").value == sum(value for value in days if value is not None)


def test_a_trailing_window_of_four_weeks_is_their_sum(truth: dict[Key, Expected]) -> None:
    monday = date(2026, 2, 2)
    weeks = [at(truth, "shares", "institution", monday + timedelta(days=7 * k), "week").value for k in range(4)]
    assert at(truth, "shares", "institution", monday, "trailing_28d").value == sum(value for value in weeks if value is not None)


def test_a_ruled_population_has_fewer_posts_and_the_whole_audience(truth: dict[Key, Expected]) -> None:
    week = date(2026, 2, 2)
    for level in (X_MAIN.id, MASTODON.id):
        ruled, every = (at(truth, "posts", level, week, "week", population).value for population in ("fundraising", "all"))
        assert ruled is not None
        assert every is not None
        assert 0 < ruled < every
        for indicator in ("followers", "mentions"):
            assert at(truth, indicator, level, week, "week", "fundraising") == at(truth, indicator, level, week, "week")


def test_conversation_and_mentions_differ_where_a_comment_names_only_the_other_account(truth: dict[Key, Expected]) -> None:
    month = date(2026, 3, 1)
    volume, mentions = (at(truth, key, X_PROGRAM.id, month, "month").value for key in ("conversation_volume", "mentions"))
    main = [at(truth, key, X_MAIN.id, month, "month", "fundraising").value for key in ("conversation_volume", "mentions")]
    assert (volume, main[0]) >= (mentions, main[1])
    everywhere = [
        (at(truth, "conversation_volume", X_MAIN.id, start, "month").value, at(truth, "mentions", X_MAIN.id, start, "month").value)
        for start in (date(2026, 1, 1), date(2026, 2, 1), month, date(2026, 4, 1))
    ]
    assert any(volume != mentions for volume, mentions in everywhere)


def test_events_stay_provisional_for_seven_days_and_counters_do_not(truth: dict[Key, Expected]) -> None:
    assert at(truth, "mentions", "institution", date(2026, 4, 24)).is_provisional
    assert not at(truth, "mentions", "institution", date(2026, 4, 23)).is_provisional
    assert not at(truth, "reactions", "institution", AS_OF).is_provisional
    assert at(truth, "reactions", "institution", date(2026, 4, 27), "week").is_provisional


def test_the_index_needs_four_weeks(truth: dict[Key, Expected]) -> None:
    weeks = [date(2025, 12, 29) + timedelta(days=7 * k) for k in range(8)]
    found = [at(truth, "comment_score_index", "institution", week, "week", cohort="publication_d7").status for week in weeks]
    assert found == ["insufficient_history"] * 4 + ["ok"] * 4


def test_a_long_outage_leaves_days_lost_and_uncovered(world: World) -> None:
    nights = tuple(night for night in world.nights[:30] if not 5 <= (night - world.nights[0]).days < 15)
    truth = short_truth(nights, date(2026, 1, 30))
    lost = at(truth, "reactions", "institution", date(2026, 1, 8))
    assert (lost.status, lost.coverage) == ("lost", 0.0)
    statuses = {day: at(truth, "mentions", "institution", date(2026, 1, day)).status for day in range(5, 17)}
    assert [day for day, status in statuses.items() if status != "ok"] == [6, 7, 8, 9, 10]
    assert at(truth, "mentions", "institution", date(2026, 1, 5), "week").coverage == pytest.approx(2 / 7)
    assert at(truth, "posts", "institution", date(2026, 1, 8)).status == "ok"
    young = at(truth, "applause_rate", "institution", date(2025, 12, 29), "week", cohort="publication_d7")
    assert young.coverage < 1


def test_one_night_alone_gives_stocks_and_events_and_no_differences(world: World) -> None:
    truth = short_truth((world.nights[0],), date(2026, 1, 1))
    kinds = {key.indicator_key: found.status for key, found in truth.items() if key.level == "institution" and key.period_type == "month"}
    assert (kinds["followers"], kinds["mentions"], kinds["reactions"]) == ("ok", "ok", "insufficient_history")


def test_an_as_of_day_without_its_night_is_missing_until_it_is_past(world: World) -> None:
    truth = short_truth(tuple(world.nights[:10]), date(2026, 1, 11))
    assert at(truth, "followers", "institution", date(2026, 1, 11)).status == "missing_input"
    later = short_truth(tuple(world.nights[:10]), date(2026, 1, 12))
    assert at(later, "followers", "institution", date(2026, 1, 11)).status == "lost"


def test_a_second_run_on_the_same_day_shifts_nothing(world: World) -> None:
    nights = tuple(world.nights[:12])
    again = tuple(sorted([*nights, *(night + timedelta(hours=8) for night in nights[3:9])]))
    once, twice = short_truth(nights, date(2026, 1, 12)), short_truth(again, date(2026, 1, 12))
    stocks = [key for key in once if key.indicator_key in ("followers", "mentions", "audience_growth_rate")]
    assert all(once[key] == twice[key] for key in stocks)


def test_one_platform_without_its_nights_leaves_the_other_whole_and_the_coverage_tells(world: World) -> None:
    nights = world.nights[:20]
    truth = expected(world, date(2026, 1, 20), {"mastodon": nights, "x": nights[:10]})
    whole = expected(world, date(2026, 1, 20), nights)
    day = date(2026, 1, 15)
    assert at(truth, "reactions", MASTODON.id, day) == at(whole, "reactions", MASTODON.id, day)
    assert at(truth, "reactions", "x", day).status == "lost"
    assert at(truth, "reactions", "institution", day).coverage == pytest.approx(1 / 3)
    assert at(truth, "followers", "institution", day).n == 1
