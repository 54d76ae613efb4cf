"""Real answers of X, replayed page by page over HTTP as an institution of their own, and figures counted from them with plain Python.

Not here: the simulated institution (tests/sandbox/). The answers hold texts of real people: nothing of them may be printed or copied, so
assertions compare numbers, or say how many of a list failed. Skipped where the answers are absent.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets import staging
from assets.publish import audited, publish
from checks import gate
from connectors.clock import InjectedClock
from pipelines import engine, night
from pipelines.house import House
from pipelines.reference import write_reference
from tests.connectors.served import Heard, Said, Speaker, said, speaking

Post = dict[str, Any]
DATA = Path(__file__).parents[2].parent / "shared/data/x_api"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason=f"the real answers are not at {DATA}")]
ENVIRON = {"TOLOK_HMAC_KEY": "a key of the tests, long enough", "TOLOK_NYATA_X_TOKEN": "a-token-of-the-tests"}
ID = "nyata"
PAGE = 30
SLICE = 30
# Shorter names can stand in any text by chance.
TELLING = 8


@dataclass
class Replay:
    """One account's answers: what X said of it, when, and a server that says it again."""

    profile: dict[str, Any]
    posts: list[Post]
    mentions: list[Post]
    at: datetime
    errors: list[dict[str, Any]] = field(default_factory=list)
    more_likes: int = 0

    def say(self, heard: Heard) -> Said:
        """Answer as X does; tokens of paging are positions."""
        own = f"/2/users/{self.profile['id']}"
        if heard.path == own:
            return said({"data": self.profile, "errors": self.errors} if self.errors else {"data": self.profile})
        if heard.path == "/2/tweets/counts/recent":
            return said({"data": self._hours(), "meta": {"total_tweet_count": len(self.mentions)}})
        listed = {f"{own}/tweets": self.posts, f"{own}/mentions": self.mentions}.get(heard.path)
        if listed is None:
            return said({"title": "Not Found Error", "type": "about:blank", "status": 404}, 404)
        start = int(heard.query.get("pagination_token", "0"))
        page = [self._liked(post) for post in listed[start : start + PAGE]]
        more: dict[str, str] = {"next_token": str(start + PAGE)} if start + PAGE < len(listed) else {}
        meta: dict[str, object] = {"result_count": len(page), **more}
        return said({"data": page, "meta": meta} if page else {"meta": meta})

    def _liked(self, post: Post) -> Post:
        metrics = post["public_metrics"]
        return {**post, "public_metrics": {**metrics, "like_count": metrics["like_count"] + self.more_likes}}

    def _hours(self) -> list[dict[str, Any]]:
        hours = Counter(post["created_at"][:13] for post in self.mentions)
        return [{"start": f"{hour}:00:00.000Z", "end": f"{hour}:59:59.000Z", "tweet_count": count} for hour, count in sorted(hours.items())]


def pages(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def posts_of(page: dict[str, Any]) -> list[Post]:
    data = page["data"]
    return list(data) if isinstance(data, list) else [data]


def asked_at(page: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(page["__twarc"]["retrieved_at"])


def kind_of(post: Post) -> str:
    """What a post is, by X's documentation: a repost before a reply, a reply before a quote."""
    types = {reference["type"] for reference in post.get("referenced_tweets", [])}
    named = {"retweeted": "repost", "replied_to": "reply", "quoted": "quote"}
    return next((name for type_, name in named.items() if type_ in types), "post")


def names_in(post: Post, key: str = "username") -> set[str]:
    return {str(one.get(key)).lower() for one in post.get("entities", {}).get("mentions", [])}


def say_one_of(replays: list[Replay]) -> Callable[[Heard], Said]:
    """Each account is answered by its own replay; hours of mentions, which name no account's id, by the first."""

    def say(heard: Heard) -> Said:
        return next((one for one in replays if heard.path.startswith(f"/2/users/{one.profile['id']}")), replays[0]).say(heard)

    return say


def house_of(home: Path, speaker: Speaker, *replays: Replay) -> House:
    """A home whose one institution has the replayed accounts, its clock at the time of the last answers."""
    speaker.answers(say_one_of(list(replays)))
    accounts = "\n".join(
        f'[[accounts]]\nplatform = "x"\nid = "{one.profile["id"]}"\nhandle = "{one.profile["username"]}"' for one in replays
    )
    (home / "institutions").mkdir(parents=True)
    (home / "institutions" / f"{ID}.toml").write_text(
        f"""
        name = "Lembaga Nyata"
        zone = "WIB"
        [platforms.x]
        base_url = "{speaker.url}"
        fields_parameter = "tweet.fields"
        {accounts}
        [goals.community_engagement]
        [goals.brand_awareness]
        """,
        encoding="utf-8",
    )
    return House(home, ENVIRON, InjectedClock(max(one.at for one in replays)))


def play(house: House, run_id: str) -> night.Arrival:
    """One night's fetching and landing."""
    institutions, faults = house.institutions()
    assert not faults
    return night.fetch_and_land(house, institutions, run_id)


def stage(house: House) -> None:
    """Bring the common things up to date, and nothing beyond."""
    institutions, _ = house.institutions()
    with house.warehouse.open() as connection:
        write_reference(connection, institutions[ID])
        for transform in staging.transforms():
            engine.run(connection, transform, [ID], "one")


def asked(house: House, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with house.warehouse.open(read_only=True) as connection:
        return connection.execute(query, parameters).fetchall()


# --- an account's own 100 posts, and 100 posts by others as its mentions


@pytest.fixture(scope="module")
def timeline() -> dict[str, Any]:
    return pages("timeline_one_author")[0]


@pytest.fixture(scope="module")
def strangers() -> dict[str, Any]:
    return pages("brexit")[0]


@pytest.fixture(scope="module")
def replay(timeline: dict[str, Any], strangers: dict[str, Any]) -> Replay:
    posts = posts_of(timeline)
    profile = next(user for user in timeline["includes"]["users"] if user["id"] == posts[0]["author_id"])
    return Replay(profile, posts, posts_of(strangers), asked_at(timeline))


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with speaking() as one:
        yield one


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, speaker: Speaker, replay: Replay) -> House:
    """Two nights; in the second every post has three likes more. Then audited and published."""
    house = house_of(tmp_path_factory.mktemp("nyata") / "home", speaker, replay)
    assert play(house, "one").gaps == []
    replay.more_likes = 3
    assert isinstance(house.clock, InjectedClock)
    house.clock.set(replay.at + timedelta(days=1))
    assert play(house, "two").gaps == []
    replay.more_likes = 0
    with house.warehouse.open() as connection:
        night.derive(connection, house.institutions()[0], "two")
        verdicts = gate.audit(connection, audited(), [ID], house.clock.now(), "two")
        assert [verdict.promise for verdict in verdicts if not verdict.passed] == []
        assert publish(connection, house.published_path, ID, house.clock.now()).outcome == "published"
    return house


@pytest.fixture(scope="module")
def ours(timeline: dict[str, Any]) -> list[Post]:
    """The posts whose counters are the account's own."""
    return [post for post in posts_of(timeline) if kind_of(post) != "repost"]


def total(posts: list[Post], *names: str) -> int:
    return sum(post["public_metrics"][name] for post in posts for name in names)


def test_posts_are_counted_by_what_they_are(house: House, timeline: dict[str, Any]) -> None:
    expected = Counter(kind_of(post) for post in posts_of(timeline))
    assert expected == {"post": 38, "quote": 14, "reply": 6, "repost": 42}
    found = dict(asked(house, "SELECT replace(post_type, 'thread_part', 'reply'), count(*) FROM staging.posts GROUP BY 1"))
    assert found == expected


def test_counters_are_those_of_our_own_posts_alone(house: House, ours: list[Post]) -> None:
    """A repost carries the counters of the original, which are thousands: they are nobody's here."""
    sums = "sum(reactions)::BIGINT, sum(shares)::BIGINT, sum(comments_platform)::BIGINT, count(*)"
    first_day, second_day = asked(house, f"SELECT day, {sums} FROM staging.post_snapshots GROUP BY day ORDER BY day")
    likes = total(ours, "like_count")
    rest = (total(ours, "retweet_count", "quote_count"), total(ours, "reply_count"), len(ours))
    assert first_day[1:] == (likes, *rest)
    assert second_day[1:] == (likes + 3 * len(ours), *rest)
    assert len(ours) == 58


def test_reposts_have_no_counters_and_no_text(house: House) -> None:
    assert asked(house, "SELECT count(*), count(text) FROM staging.posts WHERE post_type = 'repost'") == [(42, 0)]
    reposts = "SELECT post_id FROM staging.posts WHERE post_type = 'repost'"
    assert asked(house, f"SELECT count(*) FROM staging.post_snapshots WHERE post_id IN ({reposts})") == [(0,)]
    texts = "json_extract_string(payload, '$.text') IS NOT NULL"
    assert asked(house, f"SELECT count(*) FROM raw.x__posts WHERE {texts} AND record_key IN ({reposts})") == [(0,)]


def test_a_days_reactions_are_the_difference_of_two_nights(house: House, ours: list[Post]) -> None:
    found = asked(
        house, "SELECT reactions, shares FROM indicators.day_measures WHERE level = 'account' AND day = as_of_day AND population_id = 'all'"
    )
    assert found == [(3 * len(ours), 0)]
    value = (
        "SELECT value, status FROM indicators.engagement WHERE indicator_key = 'reactions' AND level = 'account' AND period_type = 'day' "
    )
    assert asked(house, value + "ORDER BY period_start DESC LIMIT 1") in ([(3.0 * len(ours), "ok")], [])


def test_what_the_answers_do_not_hold_is_missing_and_never_0(house: House, timeline: dict[str, Any]) -> None:
    """These answers are from before X told bookmarks and impressions."""
    assert not any({"bookmark_count", "impression_count"} & post["public_metrics"].keys() for post in posts_of(timeline))
    assert asked(house, "SELECT count(saves), count(impressions), count(views), count(reach) FROM staging.post_snapshots") == [(0, 0, 0, 0)]
    measured = "SELECT saves, saves_status, impressions, impressions_status, views_status, link_clicks_status FROM indicators.day_measures "
    found = asked(house, measured + "WHERE level = 'account' AND day = as_of_day AND population_id = 'all'")
    assert found == [(None, "missing_input", None, "missing_input", "not_applicable", "not_permitted")]
    values = "SELECT count(*) FROM indicators.engagement WHERE indicator_key IN ('saves', 'impressions') AND value IS NOT NULL"
    assert asked(house, values) == [(0,)]


def test_followers_are_those_of_the_profile(house: House, replay: Replay) -> None:
    metrics = replay.profile["public_metrics"]
    expected = (metrics["followers_count"], metrics["following_count"], metrics["tweet_count"])
    assert asked(house, "SELECT DISTINCT followers, following, posts_total FROM staging.account_days") == [expected]


def test_posts_of_strangers_that_do_not_name_us_are_no_mentions(house: House, strangers: dict[str, Any], replay: Replay) -> None:
    """The server gave them as mentions; who is listed in them decides. All are kept in raw, without their words."""
    name = replay.profile["username"].lower()
    expected = sum(name in names_in(post) or replay.profile["id"] in names_in(post, "id") for post in posts_of(strangers))
    assert asked(house, "SELECT count(*) FROM staging.mentions") == [(expected,)]
    assert asked(house, "SELECT count(*) FROM raw.x__mentions") == [(len(posts_of(strangers)),)]


def test_the_lists_came_over_several_pages_in_the_classic_dialect(house: House, speaker: Speaker, replay: Replay) -> None:
    del house
    asked_for = [heard for heard in speaker.heard if heard.path.endswith("/tweets")]
    assert [heard.query.get("pagination_token") for heard in asked_for] == [None, "30", "60", "90"] * 2
    assert all("tweet.fields" in heard.query and "post.fields" not in heard.query for heard in asked_for)
    assert {heard.headers["Authorization"] for heard in speaker.heard} == {f"Bearer {ENVIRON['TOLOK_NYATA_X_TOKEN']}"}
    assert replay.posts


# --- no person leaves the door


def texts_of(page: dict[str, Any], author: str) -> list[str]:
    """The texts in an answer that are not the author's own: by others, or reposted."""
    posts = [*posts_of(page), *page.get("includes", {}).get("tweets", [])]
    return [post["text"] for post in posts if post["author_id"] != author or kind_of(post) == "repost"]


def slices(texts: list[str], but: str) -> list[str]:
    """Pieces of the texts, from each at several places; what also stands in our own words tells nothing."""
    found = {text[start : start + SLICE] for text in texts for start in range(5, max(6, len(text) - SLICE), 37)}
    return sorted(piece for piece in found if len(piece) == SLICE and piece not in but)


def assert_none(content: str, pieces: list[str]) -> None:
    """None of the pieces stands in the content. A failure tells how many do, never which, and shows no content: they are people's."""
    found = sum(piece in content for piece in pieces)
    assert found == 0


def everything_in(path: Path) -> str:
    """Every value of every table of a DuckDB file as text, then the file's own bytes."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        cells = [str(connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()) for schema, table in tables]
    return "\n".join(cells) + path.read_bytes().decode("latin-1")


@pytest.fixture(scope="module")
def stored(house: House) -> dict[str, str]:
    """What stands on the disk, room by room."""
    landed = [gzip.decompress(path.read_bytes()).decode() for path in house.landing_path.rglob("*.gz")]
    manifests = [path.read_text(encoding="utf-8") for path in house.landing_path.rglob("*.json")]
    assert len(landed) == len(manifests) > 4
    return {
        "landing": "\n".join([*landed, *manifests]),
        "warehouse": everything_in(house.warehouse.path),
        "published": everything_in(house.published_path / ID / "latest" / "tolok.duckdb"),
    }


ROOMS = pytest.mark.parametrize("room", ["landing", "warehouse", "published"])


@ROOMS
def test_no_words_of_other_people_are_stored(
    stored: dict[str, str], room: str, timeline: dict[str, Any], strangers: dict[str, Any], replay: Replay
) -> None:
    author = replay.profile["id"]
    own_words = "\n".join(post["text"] for post in posts_of(timeline) if kind_of(post) != "repost")
    pieces = slices([*texts_of(timeline, author), *texts_of(strangers, author)], own_words)
    assert len(pieces) > 300
    assert_none(stored[room], sorted({*pieces, *(json.dumps(piece)[1:-1] for piece in pieces)}))


@ROOMS
def test_no_names_of_other_people_are_stored(
    stored: dict[str, str], room: str, timeline: dict[str, Any], strangers: dict[str, Any], replay: Replay
) -> None:
    users = [*timeline["includes"]["users"], *strangers["includes"]["users"]]
    named = {user["username"] for user in users} | {
        one["username"] for post in [*posts_of(timeline), *posts_of(strangers)] for one in post.get("entities", {}).get("mentions", [])
    }
    # A hashtag may be spelt as a name is.
    posts = [*posts_of(timeline), *posts_of(strangers)]
    hashtags = {tag["tag"].lower() for post in posts for tag in post.get("entities", {}).get("hashtags", [])}
    telling = {name.lower() for name in named if len(name) >= TELLING} - {replay.profile["username"].lower()} - hashtags
    own_prose = " ".join(word for post in posts_of(timeline) for word in post["text"].split() if "@" not in word).lower()
    telling = {name for name in telling if name not in own_prose}
    assert len(telling) > 100
    assert_none(stored[room].lower(), sorted(telling))


@ROOMS
def test_no_ids_of_other_people_are_stored(stored: dict[str, str], room: str, strangers: dict[str, Any], replay: Replay) -> None:
    ids = {post["author_id"] for post in posts_of(strangers)} - {replay.profile["id"]}
    assert len(ids) > 90
    # A short number can stand in any other; quoted it is an id.
    assert_none(stored[room], sorted(id_ if len(id_) > 14 else f'"{id_}"' for id_ in ids))


@ROOMS
def test_no_secret_is_stored(stored: dict[str, str], room: str) -> None:
    assert_none(stored[room], [ENVIRON["TOLOK_NYATA_X_TOKEN"], ENVIRON["TOLOK_HMAC_KEY"]])


def test_our_own_words_are_stored(house: House, ours: list[Post]) -> None:
    found = asked(house, "SELECT version_id FROM staging.posts WHERE text <> '' ORDER BY 1")
    assert found == sorted((post["id"],) for post in ours)


def test_the_published_file_tells_the_same(house: House, timeline: dict[str, Any], ours: list[Post], replay: Replay) -> None:
    """What an analyst reads is what was counted from the answers."""
    with duckdb.connect(str(house.published_path / ID / "latest" / "tolok.duckdb"), read_only=True) as connection:
        tables = {name for (name,) in connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()}
        posts = connection.execute("SELECT count(*) FROM mart.posts").fetchall()
        moved = connection.execute("SELECT sum(reactions), sum(shares) FROM mart.post_days WHERE delta_days = 1").fetchall()
        followers = connection.execute("SELECT DISTINCT followers FROM mart.account_days").fetchall()
    assert {"mart.posts", "mart.account_days", "mart.post_days"} <= tables
    parts = asked(house, "SELECT count(*) FROM staging.posts WHERE post_type = 'thread_part'")[0][0]
    assert posts == [(len(posts_of(timeline)) - parts,)]
    assert moved == [(3 * len(ours), 0)]
    assert followers == [(replay.profile["public_metrics"]["followers_count"],)]


# --- who is named by others


@pytest.fixture(scope="module")
def named_by_others(tmp_path_factory: pytest.TempPathFactory, strangers: dict[str, Any]) -> Iterator[tuple[House, Replay]]:
    """The account that posts by others name most, reposts left aside; it has no posts of its own."""
    posts = posts_of(strangers)
    known = {user["username"].lower(): user for user in strangers["includes"]["users"]}
    counts = Counter(name for post in posts if kind_of(post) != "repost" for name in names_in(post) if name in known)
    name = max(sorted(counts), key=lambda one: counts[one])
    # The letters of the handle in the settings need not be those of X.
    profile = {**known[name], "username": known[name]["username"].swapcase()}
    replay = Replay(profile, [], posts, asked_at(strangers))
    with speaking() as speaker:
        house = house_of(tmp_path_factory.mktemp("disebut") / "home", speaker, replay)
        assert play(house, "one").gaps == []
        stage(house)
        yield house, replay


def test_mentions_are_counted_without_reshares(named_by_others: tuple[House, Replay]) -> None:
    house, replay = named_by_others
    name, own_id = replay.profile["username"].lower(), replay.profile["id"]
    naming = [post for post in replay.mentions if name in names_in(post) or own_id in names_in(post, "id")]
    naming_itself = [post for post in naming if kind_of(post) != "repost" and post["author_id"] != own_id]
    assert len(naming) > len(naming_itself) > 2
    counted = "SELECT count(*), count(*) FILTER (NOT is_reshare AND NOT is_own AND NOT is_spam) FROM staging.mentions"
    assert asked(house, counted) == [(len(naming), len(naming_itself))]


def test_comments_are_answers_to_the_account(named_by_others: tuple[House, Replay]) -> None:
    house, replay = named_by_others
    answers = [post for post in replay.mentions if post.get("in_reply_to_user_id") == replay.profile["id"] and kind_of(post) != "repost"]
    assert answers
    assert asked(house, "SELECT count(*) FROM staging.comments WHERE NOT is_reshare") == [(len(answers),)]


def test_the_hours_of_mentions_add_up(named_by_others: tuple[House, Replay]) -> None:
    house, replay = named_by_others
    hours = {post["created_at"][:13] for post in replay.mentions}
    assert asked(house, "SELECT count(*), sum(mentions) FROM staging.mention_hours") == [(len(hours), len(replay.mentions))]


def test_an_account_without_posts_has_measured_nothing_and_is_not_missing(named_by_others: tuple[House, Replay]) -> None:
    house, _ = named_by_others
    assert asked(house, "SELECT count(*) FROM staging.posts") == [(0,)]
    assert asked(house, "SELECT DISTINCT status FROM meta.coverage WHERE stream IN ('posts', 'accounts')") == [("fetched",)]


# --- odd cases, each as an institution of its own


ODD = {
    "quoted_edit": "reply",
    "cotweet": "post",
    "cashtags": "post",
    "many_urls": "reply",
    "media_tweet": "post",
    "geo_tweets": "post",
    "geo_tweets#1": "reply",
    "two_tweets": "repost",
    "mentions_tweet": "repost",
}


def odd_page(name: str) -> dict[str, Any]:
    file, _, number = name.partition("#")
    return pages(file)[int(number or 0)]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One night of all accounts that wrote an odd post; of the edited one both versions are listed."""
    edited = odd_page("edited")
    listed = [(edited, post) for post in {post["id"]: post for post in [*edited["includes"]["tweets"], *posts_of(edited)]}.values()]
    listed += [(page, post) for page in map(odd_page, ODD) for post in posts_of(page)]
    replays: dict[str, Replay] = {}
    for page, post in listed:
        profile = next(user for user in page["includes"]["users"] if user["id"] == post["author_id"])
        counted = {"public_metrics": {"followers_count": 1, "following_count": 2, "tweet_count": 3}, **profile}
        replays.setdefault(profile["id"], Replay(counted, [], [], asked_at(page))).posts.append(post)
    with speaking() as speaker:
        house = house_of(tmp_path_factory.mktemp("ganjil") / "home", speaker, *replays.values())
        assert play(house, "one").gaps == []
        stage(house)
        yield house


def test_of_an_edited_post_the_latest_edit_is_the_post(odd: House) -> None:
    """Both versions stand in the list: one post, the first version's id, the last version's counters."""
    latest = posts_of(odd_page("edited"))[0]
    first, last = latest["edit_history_tweet_ids"]
    found = asked(odd, "SELECT post_id, version_id, post_type FROM staging.posts WHERE post_id IN (?, ?)", first, last)
    assert found == [(first, last, "post")]
    counted = asked(odd, "SELECT post_id, reactions FROM staging.post_snapshots WHERE post_id IN (?, ?)", first, last)
    assert counted == [(first, latest["public_metrics"]["like_count"])]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_post_is_read_for_what_it_is(odd: House, name: str) -> None:
    (post,) = posts_of(odd_page(name))
    id_, kind, metrics = post["id"], ODD[name], post["public_metrics"]
    assert kind_of(post) == kind
    (told,) = asked(odd, "SELECT post_type, text IS NOT NULL, len(hashtags) FROM staging.posts WHERE post_id = ?", id_)
    tags = {tag["tag"].lower() for tag in post.get("entities", {}).get("hashtags", [])}
    assert told == (kind, kind != "repost", len(tags))
    found = asked(odd, "SELECT reactions, shares, comments_platform, impressions FROM staging.post_snapshots WHERE post_id = ?", id_)
    counters = (
        metrics["like_count"],
        metrics["retweet_count"] + metrics["quote_count"],
        metrics["reply_count"],
        metrics.get("impression_count"),
    )
    assert found == ([] if kind == "repost" else [counters])


def test_our_own_words_are_stored_without_the_handles_of_others(odd: House) -> None:
    """The handles of the institution's own accounts stay: here all who wrote an odd post are its accounts."""
    own = {handle.lower() for (handle,) in asked(odd, "SELECT handle FROM ref.account")}
    naming = [post for page in map(odd_page, ODD) for post in posts_of(page) if kind_of(post) != "repost" and names_in(post) - own]
    kept, leaked = 0, 0
    for post in naming:
        (text,) = asked(odd, "SELECT text FROM staging.posts WHERE post_id = ?", post["id"])[0]
        kept += "@…" in text
        leaked += sum(name in text.lower() for name in names_in(post) - own)
    assert naming
    assert (kept, leaked) == (len(naming), 0)


def test_no_place_is_stored(odd: House) -> None:
    landed = "\n".join(gzip.decompress(path.read_bytes()).decode() for path in odd.landing_path.rglob("*.gz"))
    for (text,) in asked(odd, "SELECT text FROM staging.posts WHERE text IS NOT NULL"):
        landed = landed.replace(json.dumps(text, ensure_ascii=False)[1:-1], "")
    telling = {'"geo"', '"coordinates"', '"place_id"'}
    for page in (odd_page("geo_tweets"), odd_page("geo_tweets#1")):
        for post in posts_of(page):
            telling |= {part for part in re.findall(r"[\w.-]+", json.dumps(post["geo"])) if sum(char.isdigit() for char in part) > 4}
        telling |= {place[key] for place in page["includes"].get("places", []) for key in ("full_name", "name", "id") if key in place}
    assert len(telling) > 5
    assert_none(landed, sorted(telling))


def test_errors_about_single_things_leave_the_answer_whole(tmp_path: Path, speaker: Speaker) -> None:
    """X's answer about 96 users with eight errors: things that are gone or hidden are no gap."""
    page = pages("users")[0]
    assert len(page["errors"]) == 8
    replay = Replay(page["data"][0], [], [], asked_at(page), errors=page["errors"])
    house = house_of(tmp_path / "home", speaker, replay)
    assert play(house, "one").gaps == []
    stage(house)
    assert asked(house, "SELECT followers FROM staging.account_days") == [(replay.profile["public_metrics"]["followers_count"],)]
    assert asked(house, "SELECT DISTINCT denied_fields FROM meta.fetch") == [([],)]
