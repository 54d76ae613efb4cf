"""The pen: chance, the persons of the world, and how anything written becomes known.

Lives here: what all stories share. Does not live here: what is written (`story_first`, `story_four`), and what is true when (`world`).

Nothing reads the wall clock and nothing shares a random stream: each thing draws from its own generator, named by its key, so that
adding one thing leaves all others as they were.
"""

import random
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import Final

from sandbox import words
from sandbox.facts import ACCOUNTS, PLATFORMS, TOKEN_PATTERN, Account, Kind, Person, Platform, Post, Version, number_of

PERSONS: Final = 300
X_EPOCH_MS: Final = 1_288_834_974_657
EPOCH: Final = int(datetime(2025, 11, 1, tzinfo=UTC).timestamp())
STAFF: Final[dict[Platform, int]] = {"x": 0, "mastodon": 1, "instagram": 2, "facebook": 3, "threads": 4, "youtube": 5}
META_PREFIX: Final = {"instagram": "179", "threads": "180", "facebook": "1221"}


def letters(length: int, *parts: object) -> str:
    """Return letters as YouTube's ids have them, which depend on the parts alone."""
    return urlsafe_b64encode(blake2b("/".join(map(str, parts)).encode(), digest_size=32).digest()).decode()[:length]


class Pen:
    """Writes into one world, by its seed."""

    def __init__(self, seed: int) -> None:
        """Make the persons; nothing is written yet."""
        self.seed = seed
        self.accounts = ACCOUNTS
        self.persons: tuple[Person, ...] = tuple(self._person(index) for index in range(PERSONS))
        self.staff: dict[Platform, Person] = {platform: self.persons[index] for platform, index in STAFF.items()}
        self.by_id: dict[str, Post] = {}
        self._by_handle = {person.handle: person for person in self.persons}
        self._accounts_by_id = {account.id: account for account in self.accounts}

    # -- chance -------------------------------------------------------------------------------------------------------------------

    def chance(self, *parts: object) -> random.Random:
        """Return the generator that belongs to one thing."""
        return random.Random(number_of(self.seed, *parts))  # noqa: S311 the same chances each time are the point

    def count(self, rate: float, *parts: object) -> int:
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
            instagram_id=str(17_841_500_000_000_000 + index * 104_729 + number_of("i", self.seed) % 104_729),
            facebook_id=str(24_100_000_000_000_000 + index * 104_729 + number_of("f", self.seed) % 104_729),
            threads_id=str(25_100_000_000_000_000 + index * 104_729 + number_of("t", self.seed) % 104_729),
            youtube_id=f"UC{letters(22, 'channel', self.seed, index)}",
        )

    def person_of(self, platform: Platform, identity: str) -> Person | None:
        """Return the person with an account id on a platform, None for others."""
        return self._persons_by_id.get((platform, identity))

    @cached_property
    def _persons_by_id(self) -> dict[tuple[str, str], Person]:
        return {(platform, person.id_on(platform)): person for person in self.persons for platform in PLATFORMS}

    def identity(self, platform: Platform, handle: str) -> str | None:
        """Return the account id behind a handle on a platform, None where nobody has it."""
        for account in self.accounts:
            if account.platform == platform and account.handle == handle:
                return account.id
        person = self._by_handle.get(handle)
        return person.id_on(platform) if person else None

    def handle_of(self, platform: Platform, identity: str) -> str:
        """Return the handle behind an account id on a platform."""
        if identity in self._accounts_by_id:
            return self._accounts_by_id[identity].handle
        person = self.person_of(platform, identity)
        if person is None:
            message = f"nobody on {platform} has the id {identity}"
            raise KeyError(message)
        return person.handle

    def is_own(self, identity: str) -> bool:
        """Tell whether an account id is one of the institution's."""
        return identity in self._accounts_by_id

    def account(self, identity: str) -> Account:
        """Return an account of the institution by its id."""
        return self._accounts_by_id[identity]

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def version(  # noqa: PLR0913 what the six platforms make an id of
        self, key: str, platform: Platform, author_id: str, kind: Kind, ts: int, text: str, root_id: str = "", parent_id: str = ""
    ) -> Version:
        """Return a first wording, with an id as the platform makes it; its order rises with time.

        X and Mastodon have milliseconds in the high bits. Facebook puts the page, or of a comment the post, before the number;
        YouTube draws letters, of which an answer repeats those of the comment above it.
        """
        if platform == "x":
            order = ((ts * 1000 - X_EPOCH_MS) << 22) | (number_of(self.seed, "id", key) & 0x3FFFFF)
            return Version(str(order), ts, text, order)
        if platform == "mastodon":
            order = (ts * 1000 << 16) | (number_of(self.seed, "id", key) & 0xFFFF)
            return Version(str(order), ts, text, order)
        order = (ts - EPOCH) * 1_000_000 + number_of(self.seed, "id", key) % 1_000_000
        if platform == "youtube":
            return Version(self._film_id(key, kind, parent_id), ts, text, order)
        number = f"{META_PREFIX[platform]}{order:014d}"
        if platform == "facebook":
            number = f"{root_id.rpartition('_')[2] if root_id else author_id}_{number}"
        return Version(number, ts, text, order)

    def _film_id(self, key: str, kind: Kind, parent_id: str) -> str:
        if kind == "root":
            return letters(11, "film", self.seed, key)
        if parent_id.startswith("Ugx"):
            return f"{parent_id.partition('.')[0]}.{letters(22, 'answer', self.seed, key)}"
        return f"Ugx{letters(16, 'comment', self.seed, key)}4AaABAg"

    def write(  # noqa: PLR0913 what every post has
        self, key: str, platform: Platform, author_id: str, kind: Kind, ts: int, text: str, **more: object
    ) -> Post:
        """Make a post known to the world; mentions and hashtags are read from its text, which is how the platforms do it."""
        conversation_id, parent_id = (str(more.get(name) or "") for name in ("conversation_id", "reply_to_id"))
        version = self.version(key, platform, author_id, kind, ts, text, conversation_id, parent_id)
        tokens = list(TOKEN_PATTERN.finditer(text)) if "@" in text or "#" in text else []
        mentioned = (self.identity(platform, match["handle"]) for match in tokens if match["handle"])
        post = Post(
            key=key,
            platform=platform,
            author_id=author_id,
            kind=kind,
            versions=(version,),
            conversation_id=version.id,
            mentions=tuple(dict.fromkeys(found for found in mentioned if found)),
            hashtags=tuple(match["tag"] for match in tokens if match["tag"]),
            root_id=version.id if kind == "root" else None,
        )
        return self.keep(replace(post, **more))  # type: ignore[arg-type]

    def keep(self, post: Post) -> Post:
        """Make known a post, or a new state of a known one."""
        if post.id in self.by_id and self.by_id[post.id].key != post.key:
            message = f"{post.key} and {self.by_id[post.id].key} share the id {post.id}"
            raise ValueError(message)
        for version in post.versions:
            self.by_id[version.id] = post
        return post

    def posts(self) -> list[Post]:
        """Return everything ever written, once each, in the order of the story."""
        return list({post.key: post for post in self.by_id.values()}.values())

    def planted(self, name: str) -> Post:
        """Return a post of the script by its name, such as `giveaway` or `thread/x/1`."""
        return next(post for post in self.posts() if post.key == f"planted/{name}")
