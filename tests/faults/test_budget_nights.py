"""At the end of a budget a stream stops, keeps what it has and records the gap; the next run goes on where it stopped, never from the start.

The sandbox's lists are read in pages of five, so that a budget ends in their midst. Not here: the budget itself (tests/connectors/).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets import asking
from assets.staging.things import COVERAGE
from connectors.registry import platforms
from connectors.streams import Window, uncovered
from pipelines import night
from pipelines.house import House
from pipelines.night import Arrival
from sandbox.server import Running
from tests.support.nights import INSTITUTION, derive, instant, institutions_of, make_home, play, put_clock

pytestmark = pytest.mark.slow
POSTS = {platform: night.only([(platform, "posts")]) for platform in ("mastodon", "x")}
RESUMED = {"mastodon": "max_id=", "x": "end_time="}
TODAY = 20
Bound = Callable[[House, str], None]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both platforms' lists in pages of five records."""
    for name, connector in dict(platforms()).items():
        streams = tuple(
            replace(
                stream,
                page_size=5 if stream.paging else 1,
                params={key: "5" if key in {"limit", "max_results"} else value for key, value in stream.params.items()},
            )
            for stream in connector.streams
        )
        monkeypatch.setitem(platforms(), name, replace(connector, streams=streams))


def bound(house: House, platform: str, line: str) -> None:
    """Write a line into the institution's settings of a platform, in place of the bound that stands there."""
    path = house.institutions_path / f"{INSTITUTION}.toml"
    lines = [one for one in path.read_text(encoding="utf-8").splitlines() if not one.startswith("max_")]
    lines.insert(lines.index(f"[platforms.{platform}]") + 1, line)
    path.write_text("\n".join(lines), encoding="utf-8")


def keys(house: House, platform: str) -> set[str]:
    with house.warehouse.open() as connection:
        return {key for (key,) in connection.sql(f"SELECT DISTINCT record_key FROM raw.{platform}__posts").fetchall()}


def ledger(house: House, query: str) -> list[tuple[Any, ...]]:
    with house.warehouse.open() as connection:
        return connection.sql(query).fetchall()


def of_account(sandbox: Running, platform: str) -> list[str]:
    return [one["path"] for one in sandbox.requests() if one["platform"] == platform]


@pytest.fixture
def first_night(sandbox: Running, tmp_path: Path) -> Callable[[str, str], tuple[House, Arrival]]:
    """A first night that reads posts alone, within a bound."""

    def play_it(platform: str, line: str) -> tuple[House, Arrival]:
        house = make_home(tmp_path / "home", sandbox.url)
        bound(house, platform, line)
        sandbox.forget_requests()
        return house, play(house, sandbox, instant(TODAY), "first", POSTS[platform])

    return play_it


@pytest.fixture
def unbounded(sandbox: Running, tmp_path: Path) -> Callable[[str], set[str]]:
    """The keys of all posts that one night without a bound reads."""

    def play_it(platform: str) -> set[str]:
        house = make_home(tmp_path / "unbounded", sandbox.url)
        play(house, sandbox, instant(TODAY), "whole", POSTS[platform])
        return keys(house, platform)

    return play_it


@pytest.mark.parametrize("platform", ["mastodon", "x"])
def test_the_next_night_goes_on_where_the_budget_ended(
    first_night: Callable[[str, str], tuple[House, Arrival]],
    unbounded: Callable[[str], set[str]],
    sandbox: Running,
    platform: str,
) -> None:
    house, arrival = first_night(platform, "max_requests_per_day = 2")
    assert len(of_account(sandbox, platform)) == 2
    assert arrival.gaps
    assert {gap.status for gap in arrival.gaps} == {"missing"}
    assert all("the day's allowance is used up (2 of 2 requests). What came so far is kept" in gap.reason for gap in arrival.gaps)
    had = keys(house, platform)
    assert 5 <= len(had) <= 10
    whole = unbounded(platform)
    assert had < whole
    bound(house, platform, "max_requests_per_day = 1000")
    sandbox.forget_requests()
    arrival = play(house, sandbox, instant(TODAY + 1), "second", POSTS[platform])
    assert arrival.gaps == []
    assert RESUMED[platform] in of_account(sandbox, platform)[0] or any(
        RESUMED[platform] in path for path in of_account(sandbox, platform)[:2]
    )
    assert whole <= keys(house, platform)
    sandbox.forget_requests()
    play(house, sandbox, instant(TODAY + 2), "third", POSTS[platform])
    lists = [path for path in of_account(sandbox, platform) if "pagination_token" not in path and "max_id" not in path]
    assert not any("end_time" in path for path in lists), "the rest was asked for again"


@pytest.mark.parametrize("platform", ["mastodon", "x"])
def test_however_small_the_budget_each_night_reads_on_and_the_list_is_read_to_its_end(
    first_night: Callable[[str, str], tuple[House, Arrival]], unbounded: Callable[[str], set[str]], sandbox: Running, platform: str
) -> None:
    house, _ = first_night(platform, "max_requests_per_day = 3")
    whole = unbounded(platform)
    for number in range(1, 40):
        play(house, sandbox, instant(TODAY + number), f"night-{number:02}", POSTS[platform])
        if whole <= keys(house, platform):
            break
    assert whole <= keys(house, platform)


def test_on_the_same_day_the_rest_alone_makes_the_day_whole(
    first_night: Callable[[str, str], tuple[House, Arrival]], unbounded: Callable[[str], set[str]], sandbox: Running
) -> None:
    house, _ = first_night("mastodon", "max_requests_per_day = 2")
    derive(house, "first")
    known = (
        f"SELECT is_known, status, reason FROM {COVERAGE.name} WHERE stream = 'posts' AND platform = 'mastodon' ORDER BY day DESC LIMIT 1"
    )
    ((is_known, status, reason),) = ledger(house, known)
    assert (is_known, status) == (False, "expected")
    assert "the day's allowance is used up" in reason
    whole = unbounded("mastodon")
    bound(house, "mastodon", "max_requests_per_day = 1000")
    sandbox.forget_requests()
    arrival = play(house, sandbox, instant(TODAY) + timedelta(hours=3), "later", POSTS["mastodon"])
    assert arrival.gaps == []
    assert "max_id=" in of_account(sandbox, "mastodon")[0]
    derive(house, "later")
    assert ledger(house, known) == [(True, "fetched", None)]
    assert keys(house, "mastodon") == whole


def test_money_ends_a_list_too_and_what_a_record_cost_is_entered(
    first_night: Callable[[str, str], tuple[House, Arrival]], sandbox: Running
) -> None:
    """The sandbox's X tokens are the accounts' own: a tenth of a cent a post."""
    house, arrival = first_night("x", "max_cost_usd_per_day = 0.012")
    assert any("of 0.01 USD" in gap.reason for gap in arrival.gaps)
    ((requests, cost, records),) = ledger(
        house,
        "SELECT (SELECT sum(requests) FROM meta.spending), (SELECT sum(cost_usd) FROM meta.spending), (SELECT sum(records) FROM meta.fetch)",
    )
    assert requests == len(of_account(sandbox, "x"))
    assert float(cost) == pytest.approx(records * 0.001)
    assert float(cost) <= 0.012


def test_a_rerun_on_the_same_day_has_only_what_is_left_and_pays_no_record_twice(
    first_night: Callable[[str, str], tuple[House, Arrival]], sandbox: Running
) -> None:
    house, _ = first_night("x", "max_cost_usd_per_day = 5")
    first = ledger(house, "SELECT sum(cost_usd) FROM meta.spending")[0][0]
    assert first > 0
    play(house, sandbox, instant(TODAY) + timedelta(minutes=5), "rerun", POSTS["x"])
    assert ledger(house, "SELECT sum(cost_usd) FROM meta.spending")[0][0] == first
    bound(house, "x", "max_requests_per_day = 1")
    sandbox.forget_requests()
    arrival = play(house, sandbox, instant(TODAY) + timedelta(minutes=9), "again", POSTS["x"])
    assert of_account(sandbox, "x") == []
    assert arrival.gaps


def test_the_budget_is_new_on_the_platforms_next_day(first_night: Callable[[str, str], tuple[House, Arrival]], sandbox: Running) -> None:
    house, _ = first_night("mastodon", "max_requests_per_day = 2")
    sandbox.forget_requests()
    play(house, sandbox, instant(TODAY) + timedelta(hours=4), "same", POSTS["mastodon"])
    assert of_account(sandbox, "mastodon") == []
    play(house, sandbox, instant(TODAY) + timedelta(hours=6), "next", POSTS["mastodon"])
    assert len(of_account(sandbox, "mastodon")) == 2


# --- a backfill is resumed the same way


def backfill(house: House, sandbox: Running, run_id: str, first: date, last: date, platform: str) -> Arrival:
    put_clock(house, instant(40))
    sandbox.set_now(instant(40))
    sandbox.forget_requests()
    return night.fetch_and_land(house, institutions_of(house), run_id, POSTS[platform], span=(first, last))


@pytest.mark.parametrize("platform", ["mastodon", "x"])
def test_a_backfill_that_is_run_again_asks_for_nothing_that_it_has(sandbox: Running, tmp_path: Path, platform: str) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    first, last = date(2026, 1, 5), date(2026, 1, 12)
    arrival = backfill(house, sandbox, "one", first, last, platform)
    assert arrival.gaps == []
    assert arrival.rows_new > 0
    asked = len(of_account(sandbox, platform))
    assert asked > 1
    backfill(house, sandbox, "two", first, last, platform)
    assert of_account(sandbox, platform) == []
    backfill(house, sandbox, "three", first, last + timedelta(days=2), platform)
    assert len(of_account(sandbox, platform)) > 0
    if platform == "x":
        assert len(of_account(sandbox, platform)) < asked
    assert ledger(house, "SELECT count(*) FROM meta.fetch WHERE is_last") == [(0,)]


def test_a_backfill_reads_what_was_published_in_the_span_and_claims_no_days_counters(sandbox: Running, tmp_path: Path) -> None:
    house = make_home(tmp_path / "home", sandbox.url)
    backfill(house, sandbox, "one", date(2026, 1, 5), date(2026, 1, 12), "x")
    created = ledger(house, "SELECT min(payload->>'created_at'), max(payload->>'created_at') FROM raw.x__posts")
    assert created[0][0] >= "2026-01-04T17:00"
    assert created[0][1] < "2026-01-12T17:00"
    derive(house, "one")
    assert ledger(house, f"SELECT count(*) FROM {COVERAGE.name} WHERE is_known AND stream = 'posts'") == [(0,)]


spans = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)


@given(spans, st.lists(spans, max_size=6))
def test_what_is_left_of_a_window_and_what_is_known_make_up_the_whole(wanted: list[int], known: list[list[int]]) -> None:
    def window(pair: list[int]) -> Window:
        return Window(*(instant(0) + timedelta(hours=hour) for hour in pair))

    left = uncovered(window(wanted), [window(pair) for pair in known])
    hours = {at for at in range(*wanted) if not any(start <= at < end for start, end in known)}
    found = [at for at in range(60) for one in left if one.start <= instant(0) + timedelta(hours=at) < one.end]
    assert sorted(found) == sorted(hours)
    assert all(one.start < one.end for one in left)


def test_a_backfill_of_what_the_platform_no_longer_gives_asks_for_nothing() -> None:
    hours = platforms()["x"].stream("mention_hours")
    now = instant(40)
    assert asking.backfill_due(hours, instant(0), instant(5), now, []) == ()
    assert asking.backfill_due(platforms()["x"].stream("accounts"), instant(0), instant(5), now, []) == ()
