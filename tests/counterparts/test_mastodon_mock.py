"""A second opinion on Mastodon: `mastodon_mock`, written by others after Mastodon's own behaviour, as a second process.

Not here: our own stand-in (tests/sandbox/). The mock stamps the real present, so the nights are now and a day later; no assertion asks
which day that is.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.clock import InjectedClock
from pipelines import night
from pipelines.house import House
from tests.connectors.served import Heard, Said, said, speaking

pytestmark = pytest.mark.slow

PEOPLE = ("siti", "budi", "citra", "dewi")
ID = "lembaga"
X_ID = "900"
KEY = "a key of the tests, long enough"
SEED = """
mocked_version = "4.7.0"
[database]
path = "{path}"
"""
ACCOUNT = """
[[seed.accounts]]
username = "{name}"
access_token = "{name}-token"
"""


@dataclass(frozen=True)
class Mock:
    """The mock in a second process, and what its users do there."""

    url: str

    def ask(self, method: str, path: str, by: str | None = None, **content: Any) -> Any:
        headers = {"Authorization": f"Bearer {by}-token"} if by else {}
        answer = requests.request(method, f"{self.url}/api/v1/{path}", headers=headers, json=content or None, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def id_of(self, name: str) -> str:
        return str(self.ask("GET", f"accounts/lookup?acct={name}")["id"])

    def post(self, by: str, text: str, **more: Any) -> str:
        return str(self.ask("POST", "statuses", by, status=text, **more)["id"])

    def act(self, by: str, verb: str, status: str) -> None:
        self.ask("POST", f"statuses/{status}/{verb}", by)

    def fault(self, path: str, kind: str, count: int | None = None, **effect: Any) -> None:
        self.ask("POST", "_mock/faults", match={"path_regex": path}, effect={"type": kind, **effect}, count=count)

    def heal(self) -> None:
        self.ask("DELETE", "_mock/faults")


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    folder = tmp_path_factory.mktemp("mock")
    names = (ID, *PEOPLE)
    config = folder / "mock.toml"
    config.write_text(SEED.format(path=folder / "mock.sqlite") + "".join(ACCOUNT.format(name=name) for name in names), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mastodon_mock", "serve", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder
    ) as process:
        assert process.stderr is not None
        try:
            told = list(takewhile(lambda line: "running on" not in line, process.stderr))
            if process.poll() is not None:
                pytest.fail(f"mastodon_mock did not start: {''.join(told)[-2000:]}")
            # Whatever it tells from here on is read, so that it never waits for a reader.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Mock(f"http://127.0.0.1:{port}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def say_x(heard: Heard) -> Said:
    """The other platform: an account with one post and no mentions."""
    if heard.path == f"/2/users/{X_ID}":
        return said({"data": {"id": X_ID, "public_metrics": {"followers_count": 11, "following_count": 1, "post_count": 1}}})
    if heard.path.endswith("/tweets"):
        metrics = {"like_count": 5, "reply_count": 0, "repost_count": 1, "quote_count": 1, "bookmark_count": 2, "impression_count": 90}
        post = {"id": "1", "text": "halo", "created_at": datetime.now(UTC).isoformat(), "author_id": X_ID, "public_metrics": metrics}
        return said({"data": [post], "meta": {"result_count": 1}})
    return said({"meta": {"result_count": 0}})


@pytest.fixture(scope="module")
def x_url() -> Iterator[str]:
    with speaking() as speaker:
        speaker.answers(say_x)
        yield speaker.url


def home_of(home: Path, mock: Mock, x_url: str, token: str = f"{ID}-token") -> House:
    """A home of an institution in Makassar with an account at the mock and one at X."""
    (home / "institutions").mkdir(parents=True)
    (home / "institutions" / f"{ID}.toml").write_text(
        f"""
        name = "Lembaga Uji"
        zone = "WITA"
        [platforms.mastodon]
        base_url = "{mock.url}"
        [platforms.x]
        base_url = "{x_url}"
        [[accounts]]
        platform = "mastodon"
        id = "{mock.id_of(ID)}"
        handle = "@{ID}"
        [[accounts]]
        platform = "x"
        id = "{X_ID}"
        handle = "{ID}"
        [goals.community_engagement]
        """,
        encoding="utf-8",
    )
    environ = {"TOLOK_HMAC_KEY": KEY, "TOLOK_LEMBAGA_MASTODON_TOKEN": token, "TOLOK_LEMBAGA_X_TOKEN": "an-x-token"}
    return House(home, environ, InjectedClock(datetime.now(UTC)))


def play(house: House, run_id: str, at: datetime, selected: night.Selection = night.everything) -> night.Arrival:
    institutions, faults = house.institutions()
    assert not faults
    assert isinstance(house.clock, InjectedClock)
    house.clock.set(at)
    return night.fetch_and_land(house, institutions, run_id, selected)


def derive(house: House, run_id: str) -> None:
    with house.warehouse.open() as connection:
        night.derive(connection, house.institutions()[0], run_id)


def asked(house: House, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with house.warehouse.open(read_only=True) as connection:
        return connection.execute(query, parameters).fetchall()


@dataclass(frozen=True)
class Played:
    """Two nights, and the ids of the posts that something happened to."""

    house: House
    first: night.Arrival
    second: night.Arrival
    liked: str
    unliked: str
    deleted: str
    edited: str
    new: str
    thanks: str


PLAIN = 44
CALLS = 41


@pytest.fixture(scope="module")
def played(mock: Mock, x_url: str, tmp_path_factory: pytest.TempPathFactory) -> Played:
    house = home_of(tmp_path_factory.mktemp("lembaga") / "home", mock, x_url)
    for person in ("siti", "budi"):
        mock.ask("POST", f"accounts/{mock.id_of(ID)}/follow", person)
    # The mock drops the filters from its links to the next page: what must not come in stands there.
    mock.act(ID, "reblog", mock.post("siti", "Kata Siti sendiri"))
    mock.post(ID, "@siti rahasia kita", visibility="direct")
    liked, unliked, deleted, edited = (mock.post(ID, f"Kabar utama {number} #Zakat") for number in range(4))
    thanks = mock.post(ID, "Terima kasih @siti! Hubungi 0812-3456-7890 atau @lembaga")
    for number in range(PLAIN - 4):
        mock.post(ID, f"Kabar {number}")
    for person in ("siti", "budi"):
        mock.act(person, "favourite", liked)
    mock.act("citra", "favourite", unliked)
    mock.act("budi", "reblog", liked)
    asked_us = mock.post("siti", "@lembaga kapan zakat disalurkan?", in_reply_to_id=liked)
    mock.post(ID, "@siti besok", in_reply_to_id=asked_us)
    for number in range(CALLS):
        mock.post("dewi", f"Halo @lembaga, salam ke-{number}")
    first = datetime.now(UTC)
    one = play(house, "one", first)

    for person in ("citra", "dewi"):
        mock.act(person, "favourite", liked)
    mock.act("budi", "unfavourite", liked)
    mock.act("citra", "unfavourite", unliked)
    mock.act("dewi", "reblog", liked)
    mock.ask("DELETE", f"statuses/{deleted}", ID)
    mock.ask("PUT", f"statuses/{edited}", ID, status="Kabar yang dibetulkan #Zakat #Infak")
    new = mock.post(ID, "Kabar baru")
    mock.act("siti", "favourite", new)
    mock.post("budi", "@lembaga amin 🙏", in_reply_to_id=unliked)
    mock.ask("POST", f"accounts/{mock.id_of(ID)}/follow", "dewi")
    two = play(house, "two", first + timedelta(days=1))
    derive(house, "two")
    return Played(house, one, two, liked, unliked, deleted, edited, new, thanks)


def test_both_nights_came_whole(played: Played) -> None:
    assert (played.first.gaps, played.second.gaps) == ([], [])


def test_every_page_is_read_and_nothing_else_comes_in(played: Played) -> None:
    """Boosts and private messages stand on the later pages, where the mock forgets what was asked for."""
    kinds = asked(played.house, "SELECT post_type, count(*) FROM staging.posts WHERE platform = 'mastodon' GROUP BY ALL ORDER BY ALL")
    assert kinds == [("post", PLAIN + 2), ("reply", 1)]
    assert asked(played.house, "SELECT DISTINCT records FROM meta.fetch WHERE platform = 'mastodon' AND stream = 'posts'") == [(PLAIN + 2,)]
    assert asked(played.house, "SELECT sum(rejected) FROM meta.fetch") == [(0,)]


def test_each_posts_reactions_are_the_difference_of_the_nights(played: Played) -> None:
    """Two more and one less are one; one taken back is minus one; a new post starts from nothing."""
    moved = "SELECT post_id, reactions, shares, delta_days FROM staging.post_days WHERE platform = 'mastodon' AND (reactions <> 0 OR shares <> 0)"
    found = {post: (reactions, shares, days) for post, reactions, shares, days in asked(played.house, moved) if days is not None}
    assert found == {played.liked: (1, 1, 1), played.unliked: (-1, 0, 1), played.new: (1, 0, 1)}


def test_counters_stand_as_the_server_told_them(played: Played) -> None:
    stood = "SELECT reactions, shares, comments_platform FROM staging.post_snapshots WHERE post_id = ? ORDER BY day"
    assert asked(played.house, stood, played.liked) == [(2, 1, 1), (3, 2, 1)]
    assert asked(played.house, stood, played.unliked) == [(1, 0, 0), (0, 0, 1)]
    assert asked(played.house, stood, played.deleted) == [(0, 0, 0)]
    assert asked(played.house, stood, played.new) == [(1, 0, 0)]


def test_what_mastodon_has_not_is_not_applicable(played: Played) -> None:
    absent = "SELECT count(saves), count(views), count(impressions), count(link_clicks), count(reach) FROM staging.post_snapshots "
    assert asked(played.house, absent + "WHERE platform = 'mastodon'") == [(0, 0, 0, 0, 0)]
    measured = (
        "SELECT DISTINCT saves_status, impressions_status FROM indicators.day_measures WHERE platform = 'mastodon' AND level = 'account'"
    )
    assert asked(played.house, measured) == [("not_applicable", "not_applicable")]


def test_the_last_days_measures_are_the_sums_over_the_posts(played: Played) -> None:
    last = "SELECT reactions, reactions_status, shares, followers FROM indicators.day_measures WHERE level = 'account' AND day = as_of_day "
    assert asked(played.house, last + "AND population_id = 'all' AND platform = 'mastodon'") == [(1, "ok", 1, 3)]
    assert asked(played.house, "SELECT followers FROM staging.account_days WHERE platform = 'mastodon' ORDER BY day") == [(2,), (3,)]


def test_comments_and_mentions_are_those_of_others(played: Played) -> None:
    answers = "SELECT post_id, is_question, is_mention, is_own FROM staging.comments WHERE platform = 'mastodon' ORDER BY created_at"
    assert asked(played.house, answers) == [(played.liked, True, True, False), (played.unliked, False, True, False)]
    everyone = "SELECT count(*), count(*) FILTER (is_comment), count(DISTINCT author_key) FROM staging.mentions WHERE platform = 'mastodon'"
    assert asked(played.house, everyone) == [(CALLS + 2, 2, 3)]
    counted = "SELECT sum(comments_audience), sum(mentions), sum(conversation_items) FROM indicators.day_measures WHERE level = 'account' "
    assert asked(played.house, counted + "AND population_id = 'all' AND platform = 'mastodon'") == [(2, CALLS + 2, CALLS + 2)]


def test_a_post_that_is_gone_leaves_a_tombstone_and_no_other_does(played: Played) -> None:
    assert asked(played.house, "SELECT post_id FROM staging.posts WHERE deleted_at IS NOT NULL") == [(played.deleted,)]


def test_an_edited_post_says_what_it_says_last(played: Played) -> None:
    found = asked(played.house, "SELECT text, hashtags FROM staging.posts WHERE post_id = ?", played.edited)
    assert [text for text, _ in found] == ["Kabar yang dibetulkan #Zakat #Infak"]


def test_other_people_are_not_stored(played: Played, mock: Mock) -> None:
    assert asked(played.house, "SELECT text FROM staging.posts WHERE post_id = ?", played.thanks) == [
        ("Terima kasih @…! Hubungi … atau @lembaga",)
    ]
    raw = "".join(str(asked(played.house, f"SELECT payload FROM raw.mastodon__{stream}")) for stream in ("accounts", "posts", "mentions"))
    told = [name for name in (*PEOPLE, *map(mock.id_of, PEOPLE), "rahasia", "disalurkan", "sendiri") if re.search(rf"\b{name}\b", raw)]
    assert told == []


def test_the_other_platform_stands_beside(played: Played) -> None:
    stood = "SELECT reactions, shares, saves, impressions FROM staging.post_snapshots WHERE platform = 'x' ORDER BY day"
    assert asked(played.house, stood) == [(5, 2, 2, 90)] * 2


# --- the mock's trouble stays its own


def statuses(house: House) -> set[tuple[str, str, str]]:
    return set(asked(house, "SELECT platform, stream, ledger_status FROM meta.fetch"))


X_WHOLE = {("x", stream, "fetched") for stream in ("accounts", "posts", "mentions", "mention_hours")}


def test_a_dead_token_is_not_permitted_and_the_rest_comes(mock: Mock, x_url: str, tmp_path: Path) -> None:
    """The mock shows public lists to anybody; mentions are for the account alone."""
    house = home_of(tmp_path / "home", mock, x_url, token="a-dead-token")
    arrival = play(house, "one", datetime.now(UTC))
    assert [(gap.platform, gap.stream, gap.status) for gap in arrival.gaps] == [("mastodon", "mentions", "not_permitted")]
    assert "Renew it" in arrival.gaps[0].reason
    assert "a-dead-token" not in arrival.gaps[0].reason
    assert statuses(house) == X_WHOLE | {
        ("mastodon", "accounts", "fetched"),
        ("mastodon", "posts", "fetched"),
        ("mastodon", "mentions", "not_permitted"),
    }


def test_an_account_that_is_not_there_is_unavailable(mock: Mock, x_url: str, tmp_path: Path) -> None:
    house = home_of(tmp_path / "home", mock, x_url)
    settings = house.institutions_path / f"{ID}.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(mock.id_of(ID), "404404404"), encoding="utf-8")
    arrival = play(house, "one", datetime.now(UTC))
    assert {(gap.platform, gap.stream, gap.status) for gap in arrival.gaps} == {
        ("mastodon", "accounts", "unavailable"),
        ("mastodon", "posts", "unavailable"),
    }
    assert statuses(house) >= X_WHOLE


def test_stumbling_is_waited_out_and_a_gap_is_filled_by_asking_again(mock: Mock, x_url: str, tmp_path: Path) -> None:
    house = home_of(tmp_path / "home", mock, x_url)
    begun = datetime.now(UTC)
    mock.fault("/statuses$", "ratelimit", count=1)
    mock.fault(f"/accounts/{mock.id_of(ID)}$", "malformed", count=2)
    mock.fault("/notifications$", "status", status=503)
    try:
        arrival = play(house, "one", begun)
    finally:
        mock.heal()
    # The limit asked for 300 seconds, and the clock that stands still was moved on by as much.
    assert house.clock.now() >= begun + timedelta(seconds=300)
    assert [(gap.platform, gap.stream, gap.status) for gap in arrival.gaps] == [("mastodon", "mentions", "missing")]
    again = play(house, "again", house.clock.now(), night.only({("mastodon", "mentions")}))
    assert again.gaps == []
    assert again.rows_new > 0
    assert statuses(house) >= X_WHOLE | {("mastodon", stream, "fetched") for stream in ("accounts", "posts", "mentions")}


def test_a_limit_that_asks_for_too_much_ends_in_a_gap(mock: Mock, x_url: str, tmp_path: Path) -> None:
    house = home_of(tmp_path / "home", mock, x_url)
    patient = House(house.home, house.environ, house.clock, waiting_s=100)
    mock.fault("/statuses$", "ratelimit")
    try:
        arrival = play(patient, "one", datetime.now(UTC))
    finally:
        mock.heal()
    assert ("mastodon", "posts", "missing") in {(gap.platform, gap.stream, gap.status) for gap in arrival.gaps}
    assert any("more than this run may still wait" in gap.reason for gap in arrival.gaps)
    assert statuses(house) >= X_WHOLE
