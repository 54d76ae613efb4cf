"""A made-up past for the benchmarks of the night: raw and its ledger as so many nights would have left them, written by SQL.

Not here: what is measured on it (night.py). Nothing is fetched: the rows have the shape of what the two platforms answer, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from assets.ledgers import FETCH, raw_table
from connectors.clock import InjectedClock
from connectors.registry import platforms
from pipelines.house import House
from pipelines.warehouse import ensure, mark, transaction

if TYPE_CHECKING:
    import duckdb

ZONE = "Asia/Jakarta"
# The calendar of ref.local_day begins in 2018 and ends in 2031; the last night of every history is this one.
LAST_DAY = date(2026, 3, 31)
LISTED_DAYS = 30
MENTIONS_DAYS = 7
SETTINGS = """\
name = "Benchmark"
language = "id"
zone = "Asia/Jakarta"
fiscal_year_start = "01-01"
keywords = ["zakat", "sedekah"]

[platforms.mastodon]
base_url = "http://127.0.0.1:9"

{accounts}

[goals.community_engagement]

[goals.fundraising]
posts.hashtags = ["zakat", "sedekah"]

[[targets]]
goal = "fundraising"
indicator = "mentions"
period = "month"
value = 120
valid_from = 2018-06-01

[[targets]]
goal = "community_engagement"
indicator = "conversation_volume"
period = "week"
value = 60
valid_from = 2018-06-01
"""
# Per stream of a platform: how far back its window reaches.
STREAMS = {
    "mastodon": {"accounts": 0, "posts": LISTED_DAYS, "mentions": MENTIONS_DAYS},
    "x": {"accounts": 0, "posts": LISTED_DAYS, "mentions": MENTIONS_DAYS, "mention_hours": 2},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How much an institution does: accounts on each of the two platforms, posts and mentions of each a day, nights in the past."""

    accounts: int
    posts: int
    mentions: int
    nights: int
    institution: str = "bench"

    @property
    def snapshots(self) -> int:
        """Post snapshots in all, near enough: one in a hundred posts is deleted early."""
        return 2 * self.accounts * self.posts * LISTED_DAYS * self.nights


def make_home(home: Path, shapes: list[Shape]) -> House:
    """A home with the institutions' settings and nothing else."""
    (home / "institutions").mkdir(parents=True, exist_ok=True)
    for shape in shapes:
        text = SETTINGS.format(accounts="\n".join(_account(platform, at) for platform in STREAMS for at in range(shape.accounts)))
        (home / "institutions" / f"{shape.institution}.toml").write_text(text, encoding="utf-8")
    return House(home, {"TOLOK_HMAC_KEY": "a key of the benchmarks alone, 32+"}, InjectedClock(at_night(LAST_DAY)))


def _account(platform: str, at: int) -> str:
    more = "private_metrics = true\n" if platform == "x" else ""
    return f'[[accounts]]\nplatform = "{platform}"\nid = "{platform}-{at}"\nhandle = "{platform}{at}"\n{more}'


def at_night(day: date) -> datetime:
    """The night that closes a day: two o'clock on the next."""
    return datetime.combine(day + timedelta(days=1), time(2), ZoneInfo(ZONE)).astimezone(UTC)


def land_past(connection: duckdb.DuckDBPyConnection, shape: Shape, last: date = LAST_DAY) -> None:
    """All nights up to `last`, as if each had been landed in its turn."""
    _land(connection, shape, last - timedelta(days=shape.nights - 1), last)


def land_day(connection: duckdb.DuckDBPyConnection, shape: Shape, day: date) -> None:
    """One more night."""
    _land(connection, shape, day, day)


def _land(connection: duckdb.DuckDBPyConnection, shape: Shape, first: date, last: date) -> None:
    streams = [(platform, stream, back) for platform, named in STREAMS.items() for stream, back in named.items()]
    tables = {(platform, name): raw_table(platforms()[platform], platforms()[platform].stream(name)) for platform, name, _ in streams}
    for table in (FETCH, *tables.values()):
        ensure(connection, table)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE night AS SELECT day::DATE AS day, ((day + INTERVAL 26 HOUR) AT TIME ZONE $zone) AS moment "
        "FROM range($first::TIMESTAMP, $last::TIMESTAMP + INTERVAL 1 DAY, INTERVAL 1 DAY) AS each(day)",
        {"zone": ZONE, "first": first, "last": last},
    )
    rows = {
        ("mastodon", "accounts"): _ACCOUNTS.format(payload=_MASTODON_ACCOUNT),
        ("x", "accounts"): _ACCOUNTS.format(payload=_X_ACCOUNT),
        ("mastodon", "posts"): _POSTS.format(payload=_MASTODON_POST, days=LISTED_DAYS),
        ("x", "posts"): _POSTS.format(payload=_X_POST, days=LISTED_DAYS),
        ("mastodon", "mentions"): _MENTIONS.format(payload=_MASTODON_MENTION),
        ("x", "mentions"): _MENTIONS.format(payload=_X_MENTION),
        ("x", "mention_hours"): _HOURS,
    }
    with transaction(connection):
        for platform, stream, back in streams:
            table = tables[platform, stream]
            given = {
                "institution": shape.institution,
                "platform": platform,
                "accounts": shape.accounts,
                "posts": shape.posts,
                "mentions": shape.mentions,
                "back": back,
            }
            query = rows[platform, stream]
            used = {name: value for name, value in given.items() if f"${name}" in query + _STAMPED}
            connection.execute(
                f"INSERT INTO {table.name} BY NAME SELECT account_id, record_key, day, payload, {_STAMPED} FROM ({query}) AS made "
                "ORDER BY day, account_id, record_key",
                used,
            )
            mark(connection, table.name, shape.institution, first)
            connection.execute(
                f"""
                INSERT INTO {FETCH.name} BY NAME
                SELECT $institution AS institution_id, $platform AS platform, $platform || '-' || one AS account_id, $stream AS stream,
                    'night-' || day AS run_id, moment - to_days($back::INTEGER) AS window_start, moment AS window_end, moment AS requested_at,
                    moment AS observed_at, day, true AS is_complete, true AS is_last, 'fetched' AS ledger_status, NULL AS reason,
                    1 AS records, 0 AS rejected, 1 AS rows_new, 0 AS rows_changed, []::VARCHAR[] AS denied_fields
                FROM night, range($accounts) AS account(one) ORDER BY day, account_id
                """,
                {name: given[name] for name in ("institution", "platform", "accounts", "back")} | {"stream": stream},
            )
        mark(connection, FETCH.name, shape.institution, first)


_STAMPED = (
    "$institution AS institution_id, moment AS requested_at, moment AS observed_at, moment - to_days($back::INTEGER) AS window_start, "
    "moment AS window_end, 'night-' || day AS run_id, moment AS changed_at, md5(payload::VARCHAR) AS payload_hash"
)
_TIME = "'%Y-%m-%dT%H:%M:%S.000Z'"
_ACCOUNTS = """
    SELECT $platform || '-' || one AS account_id, account_id AS record_key, day, moment,
        date_diff('day', DATE '2017-01-01', day) * 3 + hash(one, day) % 5 AS followers, {payload}::JSON AS payload
    FROM night, range($accounts) AS account(one)
"""
_MASTODON_ACCOUNT = (
    "json_object('id', account_id, 'created_at', '2017-01-01T00:00:00.000Z', 'followers_count', followers, "
    "'following_count', 10, 'statuses_count', 100, 'locked', false, 'bot', false)"
)
_X_ACCOUNT = (
    "json_object('id', account_id, 'created_at', '2017-01-01T00:00:00.000Z', 'public_metrics', json_object('followers_count', followers, "
    "'following_count', 10, 'post_count', 100, 'listed_count', 3), 'protected', false)"
)
# A post is listed for 30 nights; one in a hundred is deleted after ten days, one in fifty is edited after five.
_POSTS = """
    SELECT account_id, record_key, day, moment, {payload}::JSON AS payload
    FROM (
        SELECT $platform || '-' || one AS account_id, day, moment, age, luck,
            format('1{{:05}}{{:02}}{{:04}}', date_diff('day', DATE '2017-01-01', day - age), one, number) AS record_key,
            strftime((day - age)::TIMESTAMP + to_minutes((luck % 1000)::INTEGER), {time}) AS created,
            age * (20 - age // 4) * (1 + luck % 7) // 4 + 1 AS likes, age // 2 + luck % 3 AS replies, age // 3 AS shares,
            'Laporan zakat dan sedekah hari ini, nomor ' || record_key || ': terima kasih atas kepercayaan para donatur. '
                || repeat('Kabar dari lapangan. ', (luck % 5)::INTEGER) || if(age > 5 AND luck % 50 = 1, 'Ralat.', '') AS said,
            if(luck % 3 = 0, 'zakat', 'kabar') AS tag
        FROM night, range($accounts) AS account(one), range($posts) AS post(number), range({days}) AS past(ago),
            LATERAL (SELECT ago::INTEGER AS age, hash(one, number, day - ago::INTEGER) % 100000 AS luck)
        WHERE NOT (luck % 100 = 0 AND age > 10)
    )
""".replace("{time}", _TIME)
_MASTODON_POST = (
    "json_object('id', record_key, 'created_at', created, 'in_reply_to_id', NULL, 'content', said, 'language', 'id', "
    "'visibility', 'public', 'sensitive', false, 'tags', [json_object('name', tag)], 'favourites_count', likes, 'replies_count', replies, "
    "'reblogs_count', shares, 'quotes_count', 0, 'media_attachments', [])"
)
_X_POST = (
    "json_object('id', record_key, 'created_at', created, 'text', said, 'lang', 'id', 'edit_history_post_ids', [record_key], "
    "'conversation_id', record_key, 'entities', json_object('hashtags', [json_object('start', 0, 'end', 5, 'tag', tag)]), "
    "'public_metrics', json_object('like_count', likes, 'reply_count', replies, 'repost_count', shares, 'quote_count', 0, "
    "'bookmark_count', age // 5, 'impression_count', likes * 40), 'non_public_metrics', json_object('url_link_clicks', age))"
)
# Most speak to a post of the last days, one in ten to one that is up to a year old, one in five to the account alone.
_MENTIONS = """
    SELECT account_id, record_key, day, moment, {payload}::JSON AS payload
    FROM (
        SELECT $platform || '-' || one AS account_id, day, moment,
            format('9{{:05}}{{:02}}{{:04}}', date_diff('day', DATE '2017-01-01', day), one, number) AS record_key,
            strftime(day::TIMESTAMP + to_minutes((luck % 1000)::INTEGER), {time}) AS created,
            CASE WHEN luck % 5 = 0 THEN NULL ELSE format('1{{:05}}{{:02}}{{:04}}',
                date_diff('day', DATE '2017-01-01', day) - if(luck % 10 = 1, luck % 365, luck % 9), one, luck % $posts) END AS answered,
            sha256('somebody ' || luck % 500) AS author, luck
        FROM night, range($accounts) AS account(one), range($mentions) AS item(number),
            LATERAL (SELECT hash(one, number, day, 'mention') % 100000 AS luck)
    )
""".replace("{time}", _TIME)
_FLAGS = (
    "json_object('mentions_us', luck % 2 = 0, 'by_us', false, 'by_staff', false, 'question', luck % 4 = 0, 'emoji_only', false, "
    "'spam', luck % 40 = 0, 'giveaway', false, 'word_count', luck % 30)"
)
_MASTODON_MENTION = (
    "json_object('id', 'n' || record_key, 'type', 'mention', 'account', json_object('id', author), 'status', json_object('id', record_key, "
    f"'created_at', created, 'in_reply_to_id', answered, 'in_reply_to_account_id', NULL, 'language', 'id'), 'flags', {_FLAGS})"
)
_X_MENTION = (
    "json_object('id', record_key, 'created_at', created, 'author_id', author, 'conversation_id', coalesce(answered, record_key), "
    "'lang', 'id', 'edit_history_post_ids', [record_key], 'referenced_posts', if(answered IS NULL, []::JSON[], "
    f"[json_object('type', 'replied_to', 'id', answered)]), 'flags', {_FLAGS})"
)
_HOURS = """
    SELECT $platform || '-' || one AS account_id, strftime(start, '%Y-%m-%dT%H:%M:%S.000Z') AS record_key, day, moment,
        json_object('start', record_key, 'end', strftime(start + INTERVAL 1 HOUR, '%Y-%m-%dT%H:%M:%S.000Z'), 'post_count', hash(one, start) % 4)
            ::JSON AS payload
    FROM night, range($accounts) AS account(one), range(24) AS clock(hour), LATERAL (SELECT day::TIMESTAMP + to_hours(hour - 7) AS start)
"""
