"""The simulated world: one fictional zakat agency, its posts, its public, and every counter at every instant.

Lives here: what is true, as pure functions of a seed. Does not live here: how an API words it (`mastodon`, `x`), how the numbers
are computed from it (`truth`).

Nothing reads the wall clock and nothing shares a random stream: each thing draws from its own generator, named by its key, so that
adding one thing leaves all others as they were. Instants are whole seconds since the epoch (`ts`) inside, UTC datetimes at the edge.
"""

import hashlib
import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sandbox import words

Platform = Literal["mastodon", "x"]
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

    def id_on(self, platform: Platform) -> str:
        """Return the person's account id on one platform."""
        return self.x_id if platform == "x" else self.mastodon_id

    @property
    def acct(self) -> str:
        """Return the person's Mastodon address as the institution's server writes it."""
        return f"{self.handle}@{REMOTE_HOST}" if self.is_remote else self.handle


class Version(NamedTuple):
    """One wording of a post: its own id, and when it replaced the one before."""

    id: str
    ts: int
    text: str


class Reference(NamedTuple):
    """A post that another one reposts or quotes; `kind` is X's word for it."""

    kind: Literal["retweeted", "quoted"]
    id: str


class Counters(NamedTuple):
    """Lifetime counters of a post at one instant, as whole numbers."""

    like: int
    reply: int
    share: int
    quote: int
    save: int
    impression: int
    link_click: int
    profile_click: int


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


@dataclass(frozen=True, slots=True)
class Post:
    """Anything somebody wrote: a post, reply or repost of ours, or an item by others. `root_id` is our thread root that it belongs to."""

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

    def version_at(self, ts: int) -> Version | None:
        """Return the version that stands at an instant; None before it was published and after it was deleted."""
        if ts >= self.deleted_ts:
            return None
        standing = [version for version in self.versions if version.ts <= ts]
        return standing[-1] if standing else None


class Showing(NamedTuple):
    """One place in a feed: visible from `start` until `end` (seconds), ordered by `order` (the id as a number)."""

    order: int
    start: int
    end: int
    post: Post
    version: Version


class Feed:
    """Showings in the order of their ids; pages are cut by bisection, so that a page costs its own length."""

    def __init__(self, showings: Iterable[Showing]) -> None:
        """Sort the showings; ids must be unique and rise with time."""
        self.showings = sorted(showings, key=lambda showing: showing.order)
        self._orders = [showing.order for showing in self.showings]
        self._starts = [showing.start for showing in self.showings]
        if len(set(self._orders)) != len(self._orders):
            message = "two items of a feed share an id; change the key of one of them"
            raise ValueError(message)

    def span(
        self, now: int, *, above: int | None = None, below: int | None = None, start: int | None = None, end: int | None = None
    ) -> tuple[int, int]:
        """Return the index range of what was published up to `now`: ids strictly between above and below, start <= time < end."""
        low, high = 0, bisect_right(self._starts, now)
        if above is not None:
            low = max(low, bisect_right(self._orders, above))
        if below is not None:
            high = min(high, bisect_left(self._orders, below))
        if start is not None:
            low = max(low, bisect_left(self._starts, start))
        if end is not None:
            high = min(high, bisect_left(self._starts, end))
        return low, max(low, high)

    def newest(self, now: int, span: tuple[int, int], limit: int, keep: Callable[[Post], bool]) -> tuple[list[Showing], bool]:
        """Return up to `limit` visible showings of the span, newest first, and whether more remain."""
        return self._take(now, range(span[1] - 1, span[0] - 1, -1), limit, keep)

    def oldest(self, now: int, span: tuple[int, int], limit: int, keep: Callable[[Post], bool]) -> tuple[list[Showing], bool]:
        """Return up to `limit` visible showings of the span, oldest first, and whether more remain."""
        return self._take(now, range(span[0], span[1]), limit, keep)

    def _take(self, now: int, places: range, limit: int, keep: Callable[[Post], bool]) -> tuple[list[Showing], bool]:
        taken: list[Showing] = []
        for place in places:
            showing = self.showings[place]
            if now >= showing.end or not keep(showing.post):
                continue
            if len(taken) == limit:
                return taken, True
            taken.append(showing)
        return taken, False

    def visible(self, now: int) -> Iterator[Showing]:
        """Yield all that is visible at an instant, oldest first."""
        for place in range(*self.span(now)):
            if now < self.showings[place].end:
                yield self.showings[place]


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
ACCOUNTS: Final = (MASTODON, X_MAIN, X_PROGRAM)

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


class World:
    """Everything that is true of the simulated institution, by seed."""

    def __init__(self, seed: int = 7) -> None:
        """Build the persons, then our posts, then what others wrote, then our answers to them."""
        self.seed = seed
        self.zone = ZONE
        self.accounts = ACCOUNTS
        self.nights: tuple[datetime, ...] = tuple(FIRST_NIGHT + timedelta(days=k) for k in range(NIGHTS))
        self.missed_nights: tuple[datetime, ...] = (datetime(2026, 3, 11, 2, tzinfo=ZONE),)
        self.persons: tuple[Person, ...] = tuple(self._person(index) for index in range(PERSONS))
        self.staff: dict[Platform, Person] = {"x": self.persons[0], "mastodon": self.persons[1]}
        self._by_handle = {person.handle: person for person in self.persons}
        self.by_id: dict[str, Post] = {}
        self._story()

    # -- chance -------------------------------------------------------------------------------------------------------------------

    def chance(self, *parts: object) -> random.Random:
        """Return the generator that belongs to one thing."""
        return random.Random(number_of(self.seed, *parts))  # noqa: S311 the same chances each time are the point

    def _count(self, rate: float, *parts: object) -> int:
        """Return a whole number whose mean is `rate`, spread between none and twice as many."""
        chance = self.chance("count", *parts)
        wanted = rate * 2 * chance.random()
        return int(wanted) + (chance.random() < wanted % 1)

    # -- persons ------------------------------------------------------------------------------------------------------------------

    def _person(self, index: int) -> Person:
        chance = self.chance("person", index)
        first = words.FIRST_NAMES[index % len(words.FIRST_NAMES)]
        last = words.LAST_NAMES[index // len(words.FIRST_NAMES)]
        handle = f"{first[:5]}{last[:5]}".lower() + f"_{number_of(self.seed, index) % 900 + 100}"
        email = f"{handle}@surel.example"
        phone = f"0812-5550-{index:04d}"
        return Person(
            index=index,
            name=f"{first} {last}",
            handle=handle,
            mastodon_id=str(109_500_000_000_000_000 + index * 7_919 + number_of("m", self.seed) % 7_919),
            x_id=str(1_500_000_000_000_000_000 + index * 104_729 + number_of("x", self.seed) % 104_729),
            email=email,
            phone=phone,
            bio=chance.choice(words.BIOS).format(email=email, phone=phone),
            avatar=f"https://gambar.example/{number_of('avatar', self.seed, index):016x}.png",
            is_remote=index % 2 == 1,
        )

    def person_of(self, platform: Platform, identity: str) -> Person | None:
        """Return the person with an account id on a platform, None for others."""
        return self._persons_by_id.get((platform, identity))

    @cached_property
    def _persons_by_id(self) -> dict[tuple[str, str], Person]:
        platforms: tuple[Platform, ...] = ("mastodon", "x")
        return {(platform, person.id_on(platform)): person for person in self.persons for platform in platforms}

    def identity(self, platform: Platform, handle: str) -> str | None:
        """Return the account id behind a handle on a platform, None where nobody has it."""
        for account in self.accounts:
            if account.platform == platform and account.handle == handle:
                return account.id
        person = self._by_handle.get(handle)
        return person.id_on(platform) if person else None

    def is_own(self, identity: str) -> bool:
        """Tell whether an account id is one of the institution's."""
        return any(account.id == identity for account in self.accounts)

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def _post_id(self, platform: Platform, key: str, ts: int) -> str:
        """Return an id as the platform makes it: milliseconds in the high bits, so that ids rise with time."""
        if platform == "x":
            return str(((ts * 1000 - 1_288_834_974_657) << 22) | (number_of(self.seed, "id", key) & 0x3FFFFF))
        return str((ts * 1000 << 16) | (number_of(self.seed, "id", key) & 0xFFFF))

    def _write(  # noqa: PLR0913 what every post has
        self, key: str, platform: Platform, author_id: str, kind: Kind, ts: int, text: str, **more: object
    ) -> Post:
        """Make a post known to the world; mentions and hashtags are read from its text, which is how the platforms do it."""
        identity = self._post_id(platform, key, ts)
        tokens = list(TOKEN_PATTERN.finditer(text))
        mentioned = (self.identity(platform, match["handle"]) for match in tokens if match["handle"])
        post = Post(
            key=key,
            platform=platform,
            author_id=author_id,
            kind=kind,
            versions=(Version(identity, ts, text),),
            conversation_id=identity,
            mentions=tuple(dict.fromkeys(found for found in mentioned if found)),
            hashtags=tuple(match["tag"] for match in tokens if match["tag"]),
            root_id=identity if kind == "root" else None,
        )
        return self._keep(replace(post, **more))  # type: ignore[arg-type]

    def _keep(self, post: Post) -> Post:
        if post.id in self.by_id and self.by_id[post.id].key != post.key:
            message = f"{post.key} and {self.by_id[post.id].key} share the id {post.id}"
            raise ValueError(message)
        for version in post.versions:
            self.by_id[version.id] = post
        return post

    def _sizes(self, key: str, account: Account, factor: float) -> Sizes:
        """Return how large one post grows: a long-tailed multiple of the account's usual."""
        chance = self.chance("sizes", key)
        size = account.scale * factor * (0.35 + chance.random() ** 3 * 3)
        likes = int(size * chance.randint(40, 80))
        if account.platform == "mastodon":
            return Sizes(like=likes, share=likes // 3, quote=likes // 12, pace=chance.randint(20_000, 60_000))
        return Sizes(
            like=likes,
            share=int(size * chance.randint(6, 16)),
            quote=int(size * chance.randint(0, 4)),
            save=int(size * chance.randint(1, 8)),
            impression=int(size * chance.randint(2_500, 5_500)) + 40,
            link_click=int(size * chance.randint(5, 40)),
            profile_click=int(size * chance.randint(2, 15)),
            pace=chance.randint(20_000, 60_000),
        )

    # -- the story ----------------------------------------------------------------------------------------------------------------

    def _story(self) -> None:
        for account in self.accounts:
            self._regular_posts(account)
        self._planted_posts()
        self._reposts_and_quotes()
        for post in [post for post in self.posts() if post.kind in ("root", "part")]:
            self._comments(post)
        self._giveaway_comments()
        for account in self.accounts:
            self._mentions(account)
        self._planted_items()
        for item in [post for post in self.posts() if post.kind == "comment"]:
            self._answer(item)
        self._index()

    def posts(self) -> list[Post]:
        """Return everything ever written, once each, in the order of the story."""
        return list({post.key: post for post in self.by_id.values()}.values())

    def _regular_posts(self, account: Account) -> None:
        for day in days(FIRST_DAY, LAST_DAY):
            is_campaign = RAMADAN[0] <= day <= RAMADAN[1]
            if QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            rate = account.posts_per_day * (1.7 if is_campaign else 1.0)
            for number in range(self._count(rate, account.id, day)):
                self._regular_post(account, day, number, is_campaign=is_campaign)

    def _regular_post(self, account: Account, day: date, number: int, *, is_campaign: bool) -> None:
        key = f"{account.handle}/{day}/{number}"
        chance = self.chance("post", key)
        ts = wib(day, chance.randint(5, 22), chance.randint(0, 59), chance.randint(1, 59))
        parts = [chance.choice(words.CAMPAIGN_POSTS if is_campaign else words.POSTS)]
        if chance.random() < 0.5:
            parts.append(words.LINK.format(slug=f"{number_of(key):x}"[:7]))
        parts.extend(f"#{tag}" for tag in self._tags(chance, is_campaign=is_campaign))
        sizes = self._sizes(key, account, 2.0 if is_campaign else 1.0)
        self._write(key, account.platform, account.id, "root", ts, " ".join(parts), sizes=sizes)

    def _tags(self, chance: random.Random, *, is_campaign: bool) -> list[str]:
        if is_campaign:
            return ["zakat", "ramadan"] if chance.random() < 0.8 else ["ramadan"]
        tags = [chance.choice(words.PLAIN_TAGS)] if chance.random() < 0.6 else []
        if chance.random() < 0.4:
            tag = chance.choice(words.FUNDRAISING_TAGS)
            tags.append(tag.capitalize() if chance.random() < 0.2 else tag)
        return tags

    def _plant(self, key: str, account: Account, ts: int, text: str, factor: float = 1.0, **more: object) -> Post:
        """Write one post of the script, large enough to be seen."""
        sizes = Sizes(*(value + 1 for value in self._sizes(key, account, factor)))
        return self._write(f"planted/{key}", account.platform, account.id, "root", ts, text, sizes=sizes, **more)

    def _planted_posts(self) -> None:
        january, march = date(2026, 1, 1), date(2026, 3, 1)
        for account, day in ((X_MAIN, date(2026, 1, 20)), (MASTODON, date(2026, 1, 21))):
            ts = wib(day, 9, 12, 5)
            drop = Drop(ts + 4 * DAY + 11_000, 40 if account is X_MAIN else 25)
            self._plant(f"unliked/{account.handle}", account, ts, f"{words.UNLIKED} #sedekah", 4.0, drops=(drop,))
        for account, month, first in ((X_MAIN, january, 26), (MASTODON, march, 2)):
            early, late = month.replace(day=first), month.replace(day=first + 1)
            young, old = wib(early + timedelta(days=3), 15), wib(late + timedelta(days=15), 15)
            self._plant(f"deleted_young/{account.handle}", account, wib(early, 10, 3, 7), f"{words.DELETED} #zakat", deleted_ts=young)
            self._plant(f"deleted_old/{account.handle}", account, wib(late, 10, 4, 9), words.DELETED, deleted_ts=old)
        self._thread("x", X_MAIN, wib(date(2026, 3, 6), 10, 1, 3))
        self._thread("mastodon", MASTODON, wib(date(2026, 3, 7), 10, 2, 4))
        self._plant("giveaway", X_MAIN, wib(GIVEAWAY_DAY, 19, 0, 1), f"{words.GIVEAWAY} #kabarcahaya", 5.0)
        self._edited()
        for account in ACCOUNTS:
            self._plant(f"late/{account.handle}", account, wib(date(2026, 1, 31), 23, 30, 11), f"{words.POSTS[6]} #donasi")
            self._plant(f"early/{account.handle}", account, wib(date(2026, 2, 2), 0, 30, 12), f"{words.POSTS[6]} #wakaf")
        self._plant("sister", X_MAIN, wib(date(2026, 1, 15), 11, 7, 8), words.SISTER_POST.format(account=X_PROGRAM.handle))

    def _thread(self, name: str, account: Account, ts: int) -> None:
        root = self._plant(f"thread/{name}/1", account, ts, f"{words.THREAD[0]} #zakat", 2.0)
        before = root
        for number, text in enumerate(words.THREAD[1:], start=2):
            key = f"planted/thread/{name}/{number}"
            before = self._write(
                key, account.platform, account.id, "part", ts + (number - 1) * 120, text,
                conversation_id=root.id, reply_to_id=before.id, reply_to_author=account.id, root_id=root.id,
                sizes=self._sizes(key, account, 1.0),
            )  # fmt: skip

    def _edited(self) -> None:
        """X allows an edit within 30 minutes, so only a post shortly before the night is seen in both wordings."""
        day = date(2026, 2, 24)
        post = self._plant("edited", X_MAIN, wib(day, 1, 45, 2), f"{words.EDITED[0]} #ramadan #zakat", 3.0)
        edited_ts = wib(day, 2, 10, 3)
        second = Version(self._post_id("x", "planted/edited/2", edited_ts), edited_ts, f"{words.EDITED[1]} #ramadan #zakat")
        self._keep(replace(post, versions=(*post.versions, second)))

    def _reposts_and_quotes(self) -> None:
        for number, day in enumerate(days(date(2025, 12, 5), LAST_DAY)):
            if number % 6 or QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            self._repost(X_MAIN if number % 12 else X_PROGRAM, day, f"{number}")
            if number % 24 == 0:
                self._repost(MASTODON, day, f"m{number}")
        self._repost_of_sister(date(2026, 2, 10))
        for day in (date(2026, 1, 12), date(2026, 3, 24)):
            self._own_quote(day)

    def _foreign(self, platform: Platform, key: str, ts: int, *, tag: str = "") -> Post:
        """Write a post of somebody else that does not speak of us."""
        person = self.chance("foreign", key).choice(self.persons)
        text = f"{self.chance('foreign text', key).choice(words.FOREIGN)}{tag}"
        sizes = self._sizes(key, X_MAIN if platform == "x" else MASTODON, 6.0)
        return self._write(f"foreign/{key}", platform, person.id_on(platform), "foreign", ts, text, sizes=sizes)

    def _repost(self, account: Account, day: date, key: str) -> None:
        original = self._foreign(account.platform, f"repost/{key}", wib(day, 6, 20, 9), tag=" #zakat")
        self._reshare_ours(account, f"repost/{key}", wib(day, 12, 21, 8), original)

    def _repost_of_sister(self, day: date) -> None:
        original = next(post for post in self.posts() if post.author_id == X_PROGRAM.id and local_day(post.ts) >= day - timedelta(days=3))
        self._reshare_ours(X_MAIN, "repost/sister", original.ts + 9_000, original)

    def _reshare_ours(self, account: Account, key: str, ts: int, original: Post) -> None:
        handle = self.handle_of(account.platform, original.author_id)
        self._write(
            key, account.platform, account.id, "repost", ts, f"RT @{handle}: {original.text}",
            reference=Reference("retweeted", original.id),
        )  # fmt: skip

    def _own_quote(self, day: date) -> None:
        original = self._foreign("x", f"quoted/{day}", wib(day, 7, 1, 1))
        post = self._plant(f"own_quote/{day}", X_MAIN, wib(day, 9, 31, 1), f"{words.OWN_QUOTE} #sedekah")
        self._keep(replace(post, reference=Reference("quoted", original.id)))

    def handle_of(self, platform: Platform, identity: str) -> str:
        """Return the handle behind an account id on a platform."""
        for account in self.accounts:
            if account.id == identity:
                return account.handle
        person = self.person_of(platform, identity)
        if person is None:
            message = f"nobody on {platform} has the id {identity}"
            raise KeyError(message)
        return person.handle

    # -- what others write --------------------------------------------------------------------------------------------------------

    def _comments(self, post: Post) -> None:
        account = self.account(post.author_id)
        factor = 2.0 if RAMADAN[0] <= local_day(post.ts) <= RAMADAN[1] else 1.0
        for number in range(self._count(account.comments_per_post * factor, "comments", post.key)):
            key = f"comment/{post.key}/{number}"
            delay = int(60 + 80_000 * self.chance("delay", key).expovariate(1.0))
            ts = post.versions[-1].ts + min(delay, 10 * DAY)
            if ts < post.deleted_ts:
                self._comment(key, account, post, ts)

    def _comment(self, key: str, account: Account, post: Post, ts: int, text: str | None = None) -> Post:
        """Write an answer to a post of ours; the platforms put the answered handle before it."""
        chance = self.chance("comment", key)
        person = self.staff[account.platform] if chance.random() < 0.03 else chance.choice(self.persons)
        body, is_spam = (text, False) if text else self._comment_text(chance, person)
        return self._write(
            key, account.platform, person.id_on(account.platform), "comment", ts, f"@{account.handle} {body}",
            conversation_id=post.conversation_id, reply_to_id=post.versions[-1].id, reply_to_author=account.id,
            root_id=post.root_id, is_spam=is_spam, sizes=Sizes(like=chance.randint(0, 4), impression=chance.randint(5, 200)),
        )  # fmt: skip

    def _comment_text(self, chance: random.Random, person: Person) -> tuple[str, bool]:
        draw = chance.random()
        if draw < 0.05:
            return chance.choice(words.SPAM).format(n=chance.randint(10, 99)), True
        if draw < 0.17:
            return chance.choice(words.EMOJI), False
        if draw < 0.45:
            return chance.choice(words.QUESTIONS).format(phone=person.phone, email=person.email), False
        return chance.choice(words.PRAISE), False

    def _giveaway_comments(self) -> None:
        post = self.planted("giveaway")
        for number in range(160):
            key = f"giveaway/{number}"
            chance = self.chance(key)
            a, b, c = (person.handle for person in chance.sample(self.persons, 3))
            delay = int(30 + 20_000 * chance.expovariate(1.0))
            self._comment(key, X_MAIN, post, post.ts + min(delay, 2 * DAY), words.GIVEAWAY_COMMENT.format(a=a, b=b, c=c))

    def _mentions(self, account: Account) -> None:
        for day in days(FIRST_DAY, LAST_DAY):
            for number in range(self._count(account.mentions_per_day, "mentions", account.id, day)):
                self._mention(account, day, f"mention/{account.handle}/{day}/{number}")
            if account is X_MAIN and day.toordinal() % 5 == 0:
                self._reshare_by_others(day)

    def _mention(self, account: Account, day: date, key: str, text: str | None = None) -> Post:
        chance = self.chance(key)
        person = self.staff[account.platform] if chance.random() < 0.04 else chance.choice(self.persons)
        ts = wib(day, chance.randint(0, 23), chance.randint(0, 59), chance.randint(1, 59))
        draw = chance.random()
        if text is None and draw < 0.06:
            body = f"@{account.handle} {chance.choice(words.SPAM).format(n=chance.randint(10, 99))}"
            return self._item(key, account, person, "mention", ts, body, is_spam=True)
        if text is None and draw < 0.14:
            quoted = self._recent_post(account, ts)
            if quoted is not None:
                body = chance.choice(words.QUOTES).format(account=account.handle)
                return self._item(key, account, person, "quote", ts, body, reference=Reference("quoted", quoted.versions[-1].id))
        template = text or chance.choice(words.MENTIONS)
        return self._item(key, account, person, "mention", ts, template.format(account=account.handle, phone=person.phone))

    def _item(  # noqa: PLR0913 what every item has
        self, key: str, account: Account, person: Person, kind: Kind, ts: int, text: str, **more: object
    ) -> Post:
        sizes = Sizes(like=number_of(key) % 7, impression=number_of(key) % 300)
        return self._write(key, account.platform, person.id_on(account.platform), kind, ts, text, sizes=sizes, **more)

    def _recent_post(self, account: Account, ts: int) -> Post | None:
        """Return the youngest root of the account that is at least an hour old and never deleted."""
        found = [post for post in self._roots_of[account.id] if post.versions[-1].ts < ts - 3600 and post.deleted_ts == NEVER]
        return found[-1] if found else None

    @cached_property
    def _roots_of(self) -> dict[str, list[Post]]:
        roots = sorted((post for post in self.posts() if post.kind == "root"), key=lambda post: post.ts)
        return {account.id: [post for post in roots if post.author_id == account.id] for account in self.accounts}

    def _reshare_by_others(self, day: date) -> None:
        """X lists a repost of a post of ours among our mentions, since its text begins with our handle."""
        chance = self.chance("reshare", day)
        ts = wib(day, 20, chance.randint(0, 59), 30)
        original = self._recent_post(X_MAIN, ts)
        if original is not None:
            text = f"RT @{X_MAIN.handle}: {original.text}"
            person = chance.choice(self.persons)
            self._item(f"reshare/{day}", X_MAIN, person, "reshare", ts, text, reference=Reference("retweeted", original.versions[-1].id))

    def _planted_items(self) -> None:
        for account in (X_MAIN, MASTODON):
            for day in CRISIS_DAYS:
                for number in range(70 if account is X_MAIN else 14):
                    key = f"crisis/{account.handle}/{day}/{number}"
                    self._mention(account, day, key, words.CRISIS[number % len(words.CRISIS)])
        for number, day in enumerate(days(date(2025, 12, 8), LAST_DAY)):
            if number % 6 == 0:
                text = words.BOTH_MENTION.format(one=X_MAIN.handle, two=X_PROGRAM.handle)
                self._mention(X_MAIN, day, f"both/{day}", text)
        self._edge_items()
        self._deep_items()
        for day in (date(2026, 1, 18), date(2026, 3, 28)):
            self._answer_abroad(day)

    def _deep_items(self) -> None:
        for number, post in enumerate(self._roots_of[X_MAIN.id][::20]):
            self._deep(X_MAIN, post, f"deep/{number}")
            self._sister_comment(post, f"sister_comment/{number}")
        for number, post in enumerate(self._roots_of[MASTODON.id][::20]):
            self._deep(MASTODON, post, f"deep/m{number}")
        for number, post in enumerate(self._roots_of[X_PROGRAM.id][10:30:10]):
            self._deep(X_PROGRAM, post, f"deep/names_main/{number}", named=X_MAIN)
        for number, post in enumerate([post for post in self._roots_of[X_MAIN.id] if "zakat" in post.hashtags][::12]):
            self._deep(X_MAIN, post, f"deep/names_program/{number}", named=X_PROGRAM)

    def _edge_items(self) -> None:
        for account in ACCOUNTS:
            for day in (date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 31), date(2026, 4, 5)):
                late = words.EDGE_LATE.format(account=account.handle)
                early = words.EDGE_EARLY.format(account=account.handle)
                for name, ts, text in (("late", wib(day, 23, 30), late), ("early", wib(day + timedelta(days=1), 0, 30), early)):
                    person = self.chance("edge", name, account.id, day).choice(self.persons)
                    self._item(f"edge/{name}/{account.handle}/{day}", account, person, "mention", ts, text)

    def _deep(self, account: Account, post: Post, key: str, named: Account | None = None) -> None:
        """Write a comment below our post, and one that answers it; on Mastodon the second is a mention only."""
        first = self._comment(f"{key}/a", account, post, post.ts + 5_000, words.QUESTIONS[1])
        answered = self.handle_of(account.platform, first.author_id)
        chance = self.chance(key)
        person = chance.choice([person for person in self.persons if person.handle != answered])
        text = f"@{answered} @{(named or account).handle} {chance.choice(words.DEEP)}"
        self._item(
            f"{key}/b", account, person, "comment" if account.platform == "x" else "mention", first.ts + 1_800, text,
            conversation_id=post.conversation_id, reply_to_id=first.id, reply_to_author=first.author_id,
            root_id=post.root_id if account.platform == "x" else None,
        )  # fmt: skip

    def _sister_comment(self, post: Post, key: str) -> None:
        """Our second account answers a post of our first: an item by ourselves, in its timeline and in the first's mentions."""
        ts = post.versions[-1].ts + 7_300
        if QUIET_WEEK[0] <= local_day(ts) <= QUIET_WEEK[1]:
            return
        self._write(
            key, "x", X_PROGRAM.id, "reply", ts, words.SISTER_COMMENT.format(account=X_MAIN.handle),
            conversation_id=post.conversation_id, reply_to_id=post.versions[-1].id, reply_to_author=X_MAIN.id,
            sizes=Sizes(like=3, impression=120),
        )  # fmt: skip

    def _answer_abroad(self, day: date) -> None:
        """We answer somebody's own post, and that person answers us: a comment whose conversation is not ours."""
        root = self._foreign("x", f"abroad/{day}", wib(day, 8, 0, 9))
        person = self.person_of("x", root.author_id)
        if person is None:
            return
        text = words.FOREIGN_ANSWER.format(person=person.handle)
        ours = self._write(
            f"abroad/{day}/ours", "x", X_MAIN.id, "reply", root.ts + 4_000, text, conversation_id=root.id,
            reply_to_id=root.id, reply_to_author=root.author_id, sizes=Sizes(like=2, impression=90),
        )  # fmt: skip
        self._item(
            f"abroad/{day}/theirs", X_MAIN, person, "comment", ours.ts + 3_000, f"@{X_MAIN.handle} {words.PRAISE[2]}",
            conversation_id=root.id, reply_to_id=ours.id, reply_to_author=X_MAIN.id,
        )  # fmt: skip

    # -- our answers --------------------------------------------------------------------------------------------------------------

    def _answer(self, item: Post) -> None:
        """Answer every third question or so; a few of these are answered in turn."""
        chance = self.chance("answer", item.key)
        ts = item.ts + chance.randint(1_200, 30_000)
        is_quiet = QUIET_WEEK[0] <= local_day(ts) <= QUIET_WEEK[1]
        if "?" not in item.text or item.is_spam or is_quiet or chance.random() > 0.35 or item.reply_to_author is None:
            return
        if not self.is_own(item.reply_to_author):
            return
        account = self.account(item.reply_to_author)
        text = chance.choice(words.OWN_REPLIES).format(person=self.handle_of(account.platform, item.author_id))
        ours = self._write(
            f"reply/{item.key}", account.platform, account.id, "reply", ts, text, conversation_id=item.conversation_id,
            reply_to_id=item.id, reply_to_author=item.author_id,
            sizes=Sizes(like=chance.randint(0, 3), impression=chance.randint(10, 90)),
        )  # fmt: skip
        if chance.random() < 0.25:
            root_id = item.root_id if account.platform == "x" else None
            self._write(
                f"thanks/{item.key}", account.platform, item.author_id, "comment", ts + chance.randint(600, 9_000),
                f"@{account.handle} {chance.choice(words.PRAISE)}", conversation_id=item.conversation_id,
                reply_to_id=ours.id, reply_to_author=account.id, root_id=root_id,
            )  # fmt: skip

    # -- looking things up --------------------------------------------------------------------------------------------------------

    def _index(self) -> None:
        """Sort what the APIs page through, and the times of answers and quotes that the counters count."""
        self._replies: dict[str, list[int]] = {}
        self._quotes: dict[str, list[int]] = {}
        for post in sorted(self.posts(), key=lambda post: post.ts):
            if post.reply_to_id:
                self._replies.setdefault(self.by_id[post.reply_to_id].id, []).append(post.ts)
            if post.kind == "quote" and post.reference:
                self._quotes.setdefault(self.by_id[post.reference.id].id, []).append(post.ts)
        self.timelines = {account.id: self._feed(post for post in self.posts() if post.author_id == account.id) for account in ACCOUNTS}
        self.mentions = {account.id: self._feed(self._mentioning(account)) for account in ACCOUNTS}
        self._follower_steps = {account.id: self._follower_walk(account) for account in ACCOUNTS}

    def _mentioning(self, account: Account) -> Iterator[Post]:
        """Yield what carries an @mention of the account, by anybody but itself."""
        for post in self.posts():
            if post.platform == account.platform and account.id in post.mentions and post.author_id != account.id:
                yield post

    def _feed(self, posts: Iterable[Post]) -> Feed:
        return Feed(showing for post in posts for showing in self._showings(post))

    def _showings(self, post: Post) -> Iterator[Showing]:
        ends = [version.ts for version in post.versions[1:]] + [post.deleted_ts]
        for version, end in zip(post.versions, ends, strict=True):
            yield Showing(int(version.id), version.ts, min(end, post.deleted_ts), post, version)

    def account(self, identity: str) -> Account:
        """Return an account of the institution by its id."""
        return next(account for account in self.accounts if account.id == identity)

    def planted(self, name: str) -> Post:
        """Return a post of the script by its name, such as `giveaway` or `thread/x/1`."""
        return next(post for post in self.posts() if post.key == f"planted/{name}")

    # -- counters -----------------------------------------------------------------------------------------------------------------

    def counters(self, post: Post, ts: int) -> Counters:
        """Return a post's lifetime counters at an instant; a repost shows its original's.

        Each grows as size * age / (age + pace), in whole numbers; an edited X post counts its standing version alone, as X does.
        """
        if post.kind == "repost" and post.reference:
            return self.counters(self.by_id[post.reference.id], ts)
        standing = max((version.ts for version in post.versions if version.ts <= ts), default=ts)
        age = ts - standing
        sizes = post.sizes
        scale = age + sizes.pace
        unliked = sum(drop.likes for drop in post.drops if drop.ts <= ts)
        return Counters(
            like=max(0, sizes.like * age // scale - unliked),
            reply=bisect_right(self._replies.get(post.id, ()), ts),
            share=sizes.share * age // scale,
            quote=sizes.quote * age // scale + bisect_right(self._quotes.get(post.id, ()), ts),
            save=sizes.save * age // scale,
            impression=sizes.impression * age // scale,
            link_click=sizes.link_click * age // scale,
            profile_click=sizes.profile_click * age // scale,
        )

    def _follower_walk(self, account: Account) -> list[int]:
        """Return the followers after each day's step, from the world's first day on."""
        walk = [account.followers]
        for day in days(FIRST_DAY, LAST_DAY):
            chance = self.chance("followers", account.id, day)
            step = chance.randint(-account.growth_per_day, 3 * account.growth_per_day)
            walk.append(max(0, walk[-1] + step + self._follower_shock(account, day)))
        return walk

    def _follower_shock(self, account: Account, day: date) -> int:
        if day in CRISIS_DAYS:
            return -account.followers // 120
        if account.platform == "x" and day == date(2026, 3, 15):
            return -account.followers // 90
        if account is X_MAIN and day == GIVEAWAY_DAY + timedelta(days=1):
            return 140
        return account.growth_per_day if RAMADAN[0] <= day <= RAMADAN[1] else 0

    def followers(self, account_id: str, ts: int) -> int:
        """Return the followers at an instant; they step once a day, at 08:00 in Jakarta."""
        walk = self._follower_steps[account_id]
        step = (ts - wib(FIRST_DAY, 8)) // DAY + 1
        return walk[min(max(step, 0), len(walk) - 1)]

    def posts_count(self, account_id: str, ts: int) -> int:
        """Return how many posts, replies and reposts the account's profile shows at an instant."""
        return sum(1 for _ in self.timelines[account_id].visible(ts))


def nights_run(world: World) -> Sequence[datetime]:
    """Return the nights that the institution's pipeline ran: all but the missed one."""
    return [night for night in world.nights if night not in world.missed_nights]
