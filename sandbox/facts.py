"""What the simulated world is spoken of in: accounts, persons, posts, counters, the calendar of the story, and instants.

Lives here: words without a will. Does not live here: who writes what (`pen` and the stories), and what is true when (`world`).

Instants are whole seconds since the epoch (`ts`) inside, UTC datetimes at the edge.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

Platform = Literal["mastodon", "x", "instagram", "facebook", "threads", "youtube"]
PostType = Literal["post", "carousel", "reel", "story", "video", "short", "live"]
Kind = Literal["root", "part", "reply", "repost", "foreign", "comment", "mention", "reshare", "quote"]

ZONE: Final = ZoneInfo("Asia/Jakarta")
DAY: Final = 86_400
NEVER: Final = 1 << 40
FIRST_DAY: Final = date(2025, 12, 1)
LAST_DAY: Final = date(2026, 5, 10)
FIRST_NIGHT: Final = datetime(2026, 1, 2, 2, tzinfo=ZONE)
NIGHTS: Final = 120
RAMADAN: Final = (date(2026, 2, 18), date(2026, 3, 19))
QUIET_WEEK: Final = (date(2026, 4, 6), date(2026, 4, 12))
CRISIS_DAYS: Final = (date(2026, 4, 21), date(2026, 4, 22))
GIVEAWAY_DAY: Final = date(2026, 2, 5)
PERSONS: Final = 300
MASTODON_HOST: Final = "mas.cahaya.example"
REMOTE_HOST: Final = "ruang.example"


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the institution, with its pace: posts and mentions a day, followers, and how large its posts grow."""

    platform: Platform
    id: str
    handle: str
    name: str
    posts_per_day: float
    mentions_per_day: float
    comments_per_post: float
    followers: int
    growth_per_day: int
    scale: float


@dataclass(frozen=True, slots=True)
class Person:
    """One fictional person; every field but `index` is a thing that must never leave a connector."""

    index: int
    name: str
    handle: str
    mastodon_id: str
    x_id: str
    email: str
    phone: str
    bio: str
    avatar: str
    is_remote: bool
    instagram_id: str
    facebook_id: str
    threads_id: str
    youtube_id: str

    def id_on(self, platform: Platform) -> str:
        """Return the person's account id on one platform."""
        identity: str = getattr(self, f"{platform}_id")
        return identity

    @property
    def acct(self) -> str:
        """Return the person's Mastodon address as the institution's server writes it."""
        return f"{self.handle}@{REMOTE_HOST}" if self.is_remote else self.handle


class Version(NamedTuple):
    """One wording of a post: its own id, when it replaced the one before, and its place in feeds, which rises with time."""

    id: str
    ts: int
    text: str
    order: int


class Reference(NamedTuple):
    """A post that another one reposts or quotes; `kind` is X's word for it."""

    kind: Literal["retweeted", "quoted"]
    id: str


class Counters(NamedTuple):
    """Lifetime counters of a post at one instant, as whole numbers; `world` says which platform has which.

    `reply` of a story are the messages that answered it, which are nobody's comment. `send` is what Threads calls shares, beside its
    reposts (`share`) and quotes. `photo_click` and `other_click` are Facebook's, beside those on a link.
    """

    like: int
    reply: int
    share: int
    quote: int
    save: int
    impression: int
    link_click: int
    profile_click: int
    view: int
    reach: int
    navigation: int
    send: int
    photo_click: int
    other_click: int


class Drop(NamedTuple):
    """Likes that are taken back at one instant."""

    ts: int
    likes: int


class Sizes(NamedTuple):
    """What a post's counters grow towards, and `pace`: the seconds after which they are half-way."""

    like: int = 0
    share: int = 0
    quote: int = 0
    save: int = 0
    impression: int = 0
    link_click: int = 0
    profile_click: int = 0
    pace: int = 36_000
    view: int = 0
    reach: int = 0
    navigation: int = 0
    send: int = 0
    message: int = 0
    photo_click: int = 0
    other_click: int = 0


class Hidden(NamedTuple):
    """A counter that its owner hides for a while: lists do not give it. Instagram's insights tell the owner all the same."""

    counter: Literal["like"]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Post:
    """Anything somebody wrote: a post, reply or repost of ours, or an item by others. `root_id` is our thread root that it belongs to.

    `expires_ts` is when a story is over by itself, `seconds` the length of a film (0: none).
    """

    key: str
    platform: Platform
    author_id: str
    kind: Kind
    versions: tuple[Version, ...]
    conversation_id: str
    mentions: tuple[str, ...] = ()
    reply_to_id: str | None = None
    reply_to_author: str | None = None
    reference: Reference | None = None
    root_id: str | None = None
    hashtags: tuple[str, ...] = ()
    deleted_ts: int = NEVER
    sizes: Sizes = field(default_factory=Sizes)
    drops: tuple[Drop, ...] = ()
    is_spam: bool = False
    post_type: PostType = "post"
    expires_ts: int = NEVER
    seconds: int = 0
    hidden: tuple[Hidden, ...] = ()

    @property
    def id(self) -> str:
        """Return the id of the first version: the name by which the world knows the post."""
        return self.versions[0].id

    @property
    def ts(self) -> int:
        """Return when the first version was published, in seconds since the epoch."""
        return self.versions[0].ts

    @property
    def text(self) -> str:
        """Return the last wording."""
        return self.versions[-1].text

    @property
    def created_at(self) -> datetime:
        """Return when the first version was published, in UTC."""
        return datetime.fromtimestamp(self.ts, UTC)

    @property
    def gone_ts(self) -> int:
        """Return when it is no longer there: deleted, or over by itself."""
        return min(self.deleted_ts, self.expires_ts)

    def hides(self, counter: str, ts: int) -> bool:
        """Tell whether its owner hides a counter at an instant."""
        return any(one.counter == counter and one.start <= ts < one.end for one in self.hidden)

    def version_at(self, ts: int) -> Version | None:
        """Return the version that stands at an instant; None before it was published and once it is gone."""
        if ts >= self.gone_ts:
            return None
        standing = [version for version in self.versions if version.ts <= ts]
        return standing[-1] if standing else None


@dataclass(slots=True)
class Clock:
    """The one simulated instant that all answers share."""

    now: datetime

    @property
    def ts(self) -> int:
        """Return the instant in whole seconds since the epoch."""
        return int(self.now.timestamp())


MASTODON: Final = Account("mastodon", "109400000000000001", "cahaya", "LAZ Cahaya", 1.0, 1.1, 2.2, 640, 2, 0.35)
X_MAIN: Final = Account("x", "2200000000000000001", "lazcahaya", "LAZ Cahaya", 1.5, 4.5, 3.5, 8200, 12, 1.0)
X_PROGRAM: Final = Account("x", "2200000000000000002", "cahayapeduli", "Cahaya Peduli", 0.6, 1.4, 1.8, 2350, 3, 0.45)
INSTAGRAM: Final = Account("instagram", "17841400000000001", "lazcahaya_id", "LAZ Cahaya", 0.6, 0.35, 1.5, 12_400, 14, 1.0)
FACEBOOK: Final = Account("facebook", "100000000000001", "lazcahayapage", "LAZ Cahaya", 0.55, 0.25, 1.4, 9_300, 6, 0.7)
THREADS: Final = Account("threads", "25000000000000001", "lazcahaya_id", "LAZ Cahaya", 0.6, 0.35, 1.2, 2_100, 4, 0.4)
YOUTUBE: Final = Account("youtube", "UCcahaya00000000000000AA", "cahayatv", "Cahaya TV", 0.35, 0.0, 1.6, 4_310, 4, 0.8)
FIRST_ACCOUNTS: Final = (MASTODON, X_MAIN, X_PROGRAM)
FOUR: Final = (INSTAGRAM, FACEBOOK, THREADS, YOUTUBE)
ACCOUNTS: Final = (*FIRST_ACCOUNTS, *FOUR)
# Those that the institution lists for the goal; the second account on X serves another.
FUNDRAISING: Final = (MASTODON, X_MAIN, *FOUR)
# Those that most tests play; the demo plays all.
FIRST_PLATFORMS: Final[tuple[Platform, ...]] = ("mastodon", "x")
PLATFORMS: Final[tuple[Platform, ...]] = ("mastodon", "x", "instagram", "facebook", "threads", "youtube")

TOKEN_PATTERN: Final = re.compile(r"(?<![\w.])@(?P<handle>\w+)|#(?P<tag>\w+)|(?P<url>https://[^\s]+[\w/])")


def wib(day: date, hour: int, minute: int = 0, second: int = 0) -> int:
    """Return an instant given by the clock in Jakarta, in seconds since the epoch."""
    return int(datetime.combine(day, time(hour, minute, second), ZONE).timestamp())


def local_day(ts: int) -> date:
    """Return the institution's date at an instant."""
    return datetime.fromtimestamp(ts, ZONE).date()


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days from first to last, both included."""
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)


def number_of(*parts: object) -> int:
    """Return a 64-bit number that depends on the parts alone, the same on every machine."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big")
