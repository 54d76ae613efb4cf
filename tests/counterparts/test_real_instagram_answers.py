"""Recorded answers of Instagram, served again over HTTP to a whole night of an institution of their own, and sums counted with plain Python.

Not here: the simulated institution (tests/sandbox/). Nothing of the answers is printed or copied: assertions compare numbers and names of members.
Skipped where the answers are absent. Their times reach over four years, so the server moves them: seven hours from one post to the next.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from assets import staging
from assets.ledgers import METRIC
from connectors.clock import InjectedClock
from pipelines import engine, night
from pipelines.house import House
from pipelines.reference import write_reference
from sandbox.instagram import RETIRED
from tests.connectors.served import Heard, Said, Speaker, said, speaking

Record = dict[str, Any]
DATA = Path(__file__).parents[2].parent / "shared/data/instagram_api"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded answers are not at {DATA}")]
ENVIRON = {"TOLOK_HMAC_KEY": "a key of the tests, long enough", "TOLOK_NYATA_INSTAGRAM_TOKEN": "a-token-of-the-tests"}
ID = "nyata"
ACCOUNT = "17841400000000009"
PAGE = 30
STEP = timedelta(hours=7)
BEFORE, AFTER = datetime(2024, 6, 18, 19, tzinfo=UTC), datetime(2026, 11, 20, 19, tzinfo=UTC)
INSIGHTS = {
    "FEED": "media_insights_for_general_media",
    "REELS": "media_insights_for_reels",
    "STORY": "story_insights_for_story_insights_happy_path",
}
NO_PERMISSION = "media_insights_for_error_with_wrong_permissions_code_10"


@cache
def recorded(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@cache
def all_media() -> tuple[Record, ...]:
    """The recorded media, once each, newest first."""
    files = ("media", "media_for_reels", "media_for_general_media")
    once = {one["id"]: one for name in files for one in recorded(name)["data"]}
    return tuple(sorted(once.values(), key=lambda one: (one["timestamp"], one["id"]), reverse=True))


def values(product: str) -> dict[str, int]:
    """The recorded numbers of a kind of medium, by Instagram's names."""
    return {one["name"]: one["values"][0]["value"] for one in recorded(INSIGHTS[product])["data"]}


def denied() -> str:
    """The medium of which the recorded refusal is told: the newest of the feed."""
    return next(str(one["id"]) for one in all_media() if one["media_product_type"] == "FEED")


@dataclass
class Replay:
    """Answers as they were recorded, at the times of a clock; `of_today` refuses the names that have ended since, else those that were not recorded."""

    now: datetime
    of_today: bool
    asked_for: set[tuple[str, str]] = field(default_factory=set)

    def say(self, heard: Heard) -> Said:
        if heard.body:
            parts = [self._part(part["relative_url"]) for part in json.loads(heard.form["batch"])]
            return said([{"code": status, "body": json.dumps(body)} for status, body in parts])
        edge = heard.path.removeprefix(f"/v26.0/{ACCOUNT}").strip("/")
        answers: dict[str, Callable[[], Record]] = {
            "": lambda: recorded("users")["data"][0] | {"id": ACCOUNT},
            "media": lambda: self._media(heard),
            "stories": lambda: {"data": [self._at(recorded("stories")["data"][0], timedelta(hours=3))]},
            "tags": lambda: {"data": []},
            # Another total than the one asked for: by city, without a number of its own.
            "insights": lambda: recorded("user_lifetime_insights") if "metric_type" in heard.query else {"data": []},
        }
        return said(answers[edge]())

    def _at(self, medium: Record, age: timedelta) -> Record:
        return medium | {"timestamp": (self.now - age).strftime("%Y-%m-%dT%H:%M:%S+0000")}

    def _media(self, heard: Heard) -> Record:
        if "comments.limit" in heard.query["fields"]:
            return {"data": []}
        start = int(heard.query.get("after", "0"))
        page = [self._at(one, STEP * (place + 1)) for place, one in enumerate(all_media())][start : start + PAGE]
        more = {"next": "https://graph.example/next"} if start + PAGE < len(all_media()) else {}
        return {"data": page, "paging": {"cursors": {"before": str(start), "after": str(start + PAGE)}, **more}}

    def _part(self, relative_url: str) -> tuple[int, Record]:
        address = urlsplit(relative_url)
        identity, names = address.path.split("/")[1], parse_qs(address.query)["metric"][0].split(",")
        product = next((str(one["media_product_type"]) for one in all_media() if one["id"] == identity), "STORY")
        self.asked_for |= {(product, name) for name in names}
        if identity == denied():
            return 400, recorded(NO_PERMISSION)
        known = values(product)
        refused = (
            [name for name in names if name in (*RETIRED, "video_views")]
            if self.of_today
            else [name for name in names if name not in known]
        )
        if refused:
            message = f"(#100) The Media Insights API does not support the {', '.join(refused)} metric for this media product type."
            return 400, {"error": {"message": message, "type": "OAuthException", "code": 100}}
        return 200, {"data": [one for one in recorded(INSIGHTS[product])["data"] if one["name"] in names]}


@dataclass
class Night:
    """A home after one night, and what was asked in it."""

    house: House
    speaker: Speaker
    replay: Replay

    def asked(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.house.warehouse.open(read_only=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def play(self, run_id: str) -> night.Arrival:
        institutions, faults = self.house.institutions()
        assert not faults
        self.speaker.answers(self.replay.say)
        self.replay.asked_for.clear()
        arrival = night.fetch_and_land(self.house, institutions, run_id)
        with self.house.warehouse.open() as connection:
            write_reference(connection, institutions[ID])
            for transform in staging.transforms():
                engine.run(connection, transform, [ID], run_id)
        return arrival


# As it was when it was recorded; then with a register that does not know what has ended since; then as it is.
WAYS = {"as recorded": (BEFORE, False), "refused, and not foreseen": (BEFORE, True), "ended, and known": (AFTER, True)}


@pytest.fixture(scope="module", params=list(WAYS.values()), ids=list(WAYS))
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    now, of_today = request.param
    home = tmp_path_factory.mktemp("nyata") / "home"
    (home / "institutions").mkdir(parents=True)
    with speaking() as speaker:
        (home / "institutions" / f"{ID}.toml").write_text(
            f"""
            name = "Lembaga Nyata"
            zone = "WIB"
            [platforms.instagram]
            base_url = "{speaker.url}"
            [[accounts]]
            platform = "instagram"
            id = "{ACCOUNT}"
            handle = "nyata"
            [goals.community_engagement]
            """,
            encoding="utf-8",
        )
        one = Night(House(home, ENVIRON, InjectedClock(now)), speaker, Replay(now, of_today))
        assert one.play("one").gaps == []
        yield one


def test_media_are_counted_by_what_they_are(played: Night) -> None:
    found = dict(played.asked("SELECT post_type, count(*) FROM staging.posts GROUP BY 1"))
    assert found == {"post": 89, "video": 1, "carousel": 1, "reel": 9, "story": 1}
    products = Counter(one["media_product_type"] for one in all_media())
    assert (found["reel"], found["post"] + found["video"] + found["carousel"]) == (products["REELS"], products["FEED"])


def test_counters_are_the_sums_of_the_recorded_ones(played: Night) -> None:
    feed, reels = 91 - 1, 9
    # 90 of the feed at 8,000 and 9 reels at 2,006 people; of the one that is not ours to read nothing is known.
    assert (feed * values("FEED")["reach"], reels * values("REELS")["reach"]) == (720_000, 18_054)
    expected = {
        measure: feed * values("FEED")[name] + reels * values("REELS")[name]
        for measure, name in {"reach": "reach", "saves": "saved", "shares": "shares"}.items()
    }
    assert expected == {"reach": 738_054, "saves": 18_063, "shares": 2_259}
    sums = "sum(reach)::BIGINT, sum(saves)::BIGINT, sum(shares)::BIGINT, count(reach), count(*)"
    assert played.asked(f"SELECT {sums} FROM staging.post_snapshots WHERE stream = 'posts'") == [(*expected.values(), 99, 100)]


def test_likes_and_comments_are_those_of_the_media_themselves(played: Night) -> None:
    """The recorded insights tell other likes, for they were made up for another medium: the medium's own are taken."""
    likes, comments = (sum(one[name] for one in all_media()) for name in ("like_count", "comments_count"))
    found = played.asked("SELECT sum(reactions)::BIGINT, sum(comments_platform)::BIGINT FROM staging.post_snapshots WHERE stream = 'posts'")
    assert found == [(likes, comments)]


def test_what_was_displayed_or_played_is_not_taken_for_views(played: Night) -> None:
    """Impressions and plays came where they still lived; they are another measure."""
    assert played.asked("SELECT count(views), count(impressions), count(link_clicks) FROM staging.post_snapshots") == [(0, 0, 0)]


def test_a_story_has_its_recorded_numbers_and_no_likes(played: Night) -> None:
    story = values("STORY")
    found = played.asked("SELECT reach, shares, reactions, saves FROM staging.post_snapshots WHERE stream = 'stories'")
    assert found == [(story["reach"], story["shares"], None, None)]
    assert (story["reach"], story["shares"]) == (105, 0)


def test_followers_are_those_of_the_profile(played: Night) -> None:
    assert played.asked("SELECT followers, following, posts_total FROM staging.account_days WHERE followers IS NOT NULL") == [
        (1230, 15, 260)
    ]


def test_a_medium_that_is_not_ours_to_read_is_told_apart_from_the_rest(played: Night) -> None:
    assert played.asked("SELECT reach, saves, reactions IS NOT NULL FROM staging.post_snapshots WHERE post_id = ?", denied()) == [
        (None, None, True)
    ]
    assert played.asked("SELECT count(*) FROM meta.fetch WHERE len(denied_fields) > 0") == [(0,)]


def test_a_total_by_city_is_no_number_of_ours(played: Night) -> None:
    assert played.asked("SELECT count(views), count(profile_views), count(link_clicks) FROM staging.account_days") == [(0, 0, 0)]


# --- nothing that could be a person's is stored


def test_names_addresses_and_cities_are_not_stored(played: Night) -> None:
    landed = "\n".join(gzip.decompress(path.read_bytes()).decode() for path in played.house.landing_path.rglob("*.gz"))
    assert len(landed) > 10_000
    payloads = [json.loads(line)["payload"] for line in landed.splitlines() if line]
    members = {name for payload in payloads for name in payload}
    assert members.isdisjoint(
        {"username", "owner", "media_url", "thumbnail_url", "children", "biography", "website", "profile_picture_url"}
    )
    profile = recorded("users")["data"][0]
    cities = [
        one["dimension_values"][0] for one in recorded("user_lifetime_insights")["data"][0]["total_value"]["breakdowns"][0]["results"]
    ]
    pieces = [*cities, profile["biography"], profile["profile_picture_url"], profile["website"], ENVIRON["TOLOK_NYATA_INSTAGRAM_TOKEN"]]
    assert len(cities) > 40
    assert sum(piece in landed for piece in pieces) == 0


def test_the_token_went_to_the_account_alone_and_in_no_address(played: Night) -> None:
    token = ENVIRON["TOLOK_NYATA_INSTAGRAM_TOKEN"]
    assert {heard.headers["Authorization"] for heard in played.speaker.heard} == {f"Bearer {token}"}
    assert not any(token in heard.target or token.encode() in heard.body for heard in played.speaker.heard)


# --- a second night, so it stands last


def test_what_is_refused_is_remembered_and_not_asked_for_again(played: Night) -> None:
    found = set(played.asked(f"SELECT stream, metric, kind FROM {METRIC.name} WHERE status = 'retired'"))
    reels = {"plays", "clips_replays_count", "ig_reels_aggregated_all_plays_count"}
    unknown_then = {("posts", name, kind) for name in ("views", "total_interactions") for kind in ("FEED", "REELS")}
    expected = {
        (BEFORE, False): unknown_then | {("stories", name, "STORY") for name in ("views", "navigation")},
        (BEFORE, True): {("posts", name, "FEED") for name in ("impressions", "video_views")}
        | {("posts", name, "REELS") for name in reels}
        | {("stories", "impressions", "STORY")},
        (AFTER, True): set(),
    }
    assert found == expected[played.replay.now, played.replay.of_today]
    assert isinstance(played.house.clock, InjectedClock)
    played.house.clock.set(played.replay.now + timedelta(days=1))
    played.replay.now += timedelta(days=1)
    assert played.play("two").gaps == []
    assert ("FEED", "reach") in played.replay.asked_for
    assert {(kind, metric) for _, metric, kind in found}.isdisjoint(played.replay.asked_for)
    assert played.asked("SELECT count(*) FROM staging.post_snapshots WHERE stream = 'posts' AND reach IS NOT NULL") == [(2 * 99,)]
