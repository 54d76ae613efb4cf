"""YouTube's quota of the day, from the answer to the next night: what came is kept, the rest is read first, no unit is spent twice.

Our own bounds on other platforms: test_budget_nights.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.clock import InjectedClock
from connectors.registry import platforms
from pipelines import night
from pipelines.house import House
from sandbox.institution import settings_toml
from sandbox.server import Running
from sandbox.world import YOUTUBE, World
from tests.support.nights import HMAC_KEY, INSTITUTION, TOKENS, instant, play

pytestmark = pytest.mark.slow
TODAY = 25
MESSAGE = "The request cannot be completed because you have exceeded your quota."
SPENT = {"error": {"code": 403, "message": MESSAGE, "errors": [{"message": MESSAGE, "domain": "youtube.quota", "reason": "quotaExceeded"}]}}
LISTS = {"posts": "/videos", "comments": "/commentThreads"}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists in pages of three, so that a quota ends in their midst."""
    connector = platforms()["youtube"]
    streams = tuple(
        replace(stream, params={name: "3" if name == "maxResults" else value for name, value in stream.params.items()})
        for stream in connector.streams
    )
    monkeypatch.setitem(platforms(), "youtube", replace(connector, streams=streams))


@pytest.fixture
def house(sandbox: Running, tmp_path: Path) -> House:
    """A home of the simulated institution with its YouTube channel."""
    (tmp_path / "institutions").mkdir()
    text = settings_toml(sandbox.url, platforms=("mastodon", "x", "youtube"))
    (tmp_path / "institutions" / f"{INSTITUTION}.toml").write_text(text, encoding="utf-8")
    tokens = {**TOKENS, "YOUTUBE": "sandbox-youtube-token"}
    environ = {f"TOLOK_{INSTITUTION.upper()}_{platform}_TOKEN": token for platform, token in tokens.items()}
    sandbox.forget_requests()
    return House(tmp_path, {"TOLOK_HMAC_KEY": HMAC_KEY} | environ, InjectedClock(instant(TODAY)))


def bound(house: House, line: str) -> None:
    """Write a bound of YouTube into the institution's settings, in place of the one that stands there."""
    path = house.institutions_path / f"{INSTITUTION}.toml"
    lines = [one for one in path.read_text(encoding="utf-8").splitlines() if not one.startswith("max_")]
    lines.insert(lines.index("[platforms.youtube]") + 1, line)
    path.write_text("\n".join(lines), encoding="utf-8")


def ask(house: House, query: str) -> list[tuple[Any, ...]]:
    with house.warehouse.open(read_only=True) as connection:
        return connection.sql(query).fetchall()


def keys(house: House, stream: str) -> set[str]:
    return {key for (key,) in ask(house, f"SELECT DISTINCT record_key FROM raw.youtube__{stream}")}


def below(world: World, stream: str, number: int) -> set[str]:
    """What the world shows at a night of the thirty days before it."""
    feed = world.timelines[YOUTUBE.id] if stream == "posts" else world.comments[YOUTUBE.id]
    begun = instant(number) - timedelta(days=30)
    return {one.post.id for one in feed.visible(int(instant(number).timestamp())) if one.post.created_at >= begun}


@pytest.mark.parametrize("stream", ["posts", "comments"])
def test_the_next_night_goes_on_below_what_the_quota_left(house: House, sandbox: Running, the_world: World, stream: str) -> None:
    selected = night.only([("youtube", stream)])
    sandbox.faults([{"path": LISTS[stream], "kind": "status", "status": 403, "body": SPENT, "after": 2}])
    arrival = play(house, sandbox, instant(TODAY), "first", selected)
    (gap,) = arrival.gaps
    assert gap.status == "missing"
    assert "the platform's quota of the day is used up (403, 'quotaExceeded'). What came so far is kept" in gap.reason
    had, whole = keys(house, stream), below(the_world, stream, TODAY)
    assert had
    assert had < whole
    ((rest,),) = ask(house, f"SELECT resume_from FROM meta.fetch WHERE stream = '{stream}' AND NOT is_complete")
    assert rest
    asked = [one["path"] for one in sandbox.requests()]
    assert ask(house, "SELECT sum(requests) FROM meta.spending WHERE platform = 'youtube'") == [(len(asked),)]

    sandbox.faults([])
    sandbox.forget_requests()
    assert play(house, sandbox, instant(TODAY + 1), "second", selected).gaps == []
    paths = [one["path"] for one in sandbox.requests()]
    assert f"pageToken={rest}" in paths[0]
    assert whole <= keys(house, stream)
    known = "is_complete AND window_end > window_start AND window_end <= " + f"TIMESTAMPTZ '{instant(TODAY).isoformat()}'"
    ((windows,),) = ask(house, f"SELECT count(*) FROM meta.fetch WHERE stream = '{stream}' AND {known}")
    # Of films a span is whole as soon as it is read; a reply may hang on the list's last thread.
    assert windows == (2 if stream == "posts" else 1)
    assert ask(house, "SELECT sum(requests) FROM meta.spending WHERE platform = 'youtube'") == [(len(asked) + len(paths),)]

    sandbox.forget_requests()
    assert play(house, sandbox, instant(TODAY + 2), "third", selected).gaps == []
    assert "pageToken" not in sandbox.requests()[0]["path"], "the rest was asked for again"


def test_nothing_more_of_the_platform_is_asked_after_it_said_that_the_day_is_over(house: House, sandbox: Running) -> None:
    """The others may have sent a request each before they hear of it; retries there are none."""
    sandbox.faults([{"path": "^/youtube", "kind": "status", "status": 403, "body": SPENT}])
    streams = [("youtube", stream.name) for stream in platforms()["youtube"].streams]
    arrival = play(house, sandbox, instant(TODAY), "first", night.only(streams))
    assert len(sandbox.requests()) <= len(streams)
    assert {gap.stream for gap in arrival.gaps} == {name for _, name in streams}
    assert all("quota of the day" in gap.reason for gap in arrival.gaps)
    sandbox.faults([])
    assert play(house, sandbox, instant(TODAY + 1), "second", night.only(streams)).gaps == []


def test_a_page_whose_name_died_meanwhile_is_no_gap_for_ever(house: House, sandbox: Running, the_world: World) -> None:
    selected = night.only([("youtube", "posts")])
    bound(house, "max_requests_per_day = 4")
    assert play(house, sandbox, instant(TODAY), "first", selected).gaps
    bound(house, "max_requests_per_day = 10000")
    message = "The request specifies an invalid page token."
    body = {
        "error": {
            "code": 400,
            "message": message,
            "errors": [{"message": message, "domain": "youtube.parameter", "reason": "invalidPageToken"}],
        }
    }
    sandbox.faults([{"path": "/playlistItems.*pageToken", "kind": "status", "status": 400, "body": body, "times": 1}])
    assert play(house, sandbox, instant(TODAY + 1), "second", selected).gaps == []
    assert below(the_world, "posts", TODAY) <= keys(house, "posts")
    assert ask(house, "SELECT count(*) FROM meta.fetch WHERE NOT is_complete AND requested_at > TIMESTAMPTZ '2026-01-27 20:00:00Z'") == [
        (0,)
    ]


def test_our_own_bound_of_units_counts_every_list_call_and_begins_anew_at_midnight_in_california(house: House, sandbox: Running) -> None:
    selected = night.only([("youtube", "posts")])
    bound(house, "max_requests_per_day = 4")
    play(house, sandbox, instant(TODAY), "first", selected)
    assert len(sandbox.requests()) == 4
    assert ask(house, "SELECT sum(requests) FROM meta.spending WHERE platform = 'youtube'") == [(4,)]
    # 02:00 in Jakarta is 11:00 in California: thirteen hours are left of the day.
    for hours, asked in ((12, 4), (14, 8)):
        play(house, sandbox, instant(TODAY) + timedelta(hours=hours), f"after {hours}", selected)
        assert len(sandbox.requests()) == asked
