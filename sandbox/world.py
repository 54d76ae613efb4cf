"""The simulated world: one fictional zakat agency, its posts, its public, and every counter at every instant.

Lives here: what is true, as pure functions of a seed. Does not live here: the stories that it is made of (`story_first`, `story_four`),
how an API words it (`mastodon`, `x`, …), how the numbers are computed from it (`truth`).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sandbox.facts import (
    ACCOUNTS,
    CRISIS_DAYS,
    DAY,
    FACEBOOK,
    FIRST_ACCOUNTS,
    FIRST_DAY,
    FIRST_NIGHT,
    FOUR,
    GIVEAWAY_DAY,
    INSTAGRAM,
    LAST_DAY,
    MASTODON,
    MASTODON_HOST,
    NEVER,
    NIGHTS,
    PLATFORMS,
    QUIET_WEEK,
    RAMADAN,
    REMOTE_HOST,
    THREADS,
    TOKEN_PATTERN,
    X_MAIN,
    X_PROGRAM,
    YOUTUBE,
    ZONE,
    Account,
    Clock,
    Counters,
    Person,
    Platform,
    Post,
    Sizes,
    Version,
    days,
    local_day,
    number_of,
    wib,
)
from sandbox.feeds import Feed, Showing
from sandbox.flows import AccountDay, Flows, day_start, platform_day
from sandbox.pen import Pen
from sandbox.story_first import FirstStory
from sandbox.story_four import FourStory

__all__ = [
    "ACCOUNTS", "CRISIS_DAYS", "DAY", "FACEBOOK", "FIRST_ACCOUNTS", "FIRST_DAY", "FIRST_NIGHT", "FOUR", "GIVEAWAY_DAY", "INSTAGRAM",
    "LAST_DAY", "MASTODON", "MASTODON_HOST", "NEVER", "NIGHTS", "PLATFORMS", "QUIET_WEEK", "RAMADAN", "REMOTE_HOST", "THREADS",
    "TOKEN_PATTERN", "X_MAIN", "X_PROGRAM", "YOUTUBE", "ZONE", "Account", "AccountDay", "Clock", "Counters", "Feed", "Person", "Platform",
    "Post", "Showing", "Sizes", "Version", "World", "day_start", "days", "local_day", "nights_run", "number_of", "platform_day",
    "title_and_description", "wib",
]  # fmt: skip

MISSED_NIGHT: Final = datetime(2026, 3, 11, 2, tzinfo=ZONE)
# These count every answer below a post, not only those to the post itself.
COUNTING_DEEP: Final = frozenset({"instagram", "facebook", "youtube"})
ROUNDED_FROM: Final = 1_000


class World(Pen):
    """Everything that is true of the simulated institution, by seed."""

    def __init__(self, seed: int = 7) -> None:
        """Tell both stories, then sort what the APIs page through."""
        super().__init__(seed)
        self.zone = ZONE
        self.nights: tuple[datetime, ...] = tuple(FIRST_NIGHT + timedelta(days=k) for k in range(NIGHTS))
        self.missed_nights: tuple[datetime, ...] = (MISSED_NIGHT,)
        FirstStory(self).tell()
        FourStory(self).tell()
        self._index()

    # -- looking things up --------------------------------------------------------------------------------------------------------

    def _index(self) -> None:
        """Sort what the APIs page through, and the times of answers and quotes that the counters count.

        `timelines`: our posts and reposts (on Mastodon and X our replies too), without stories. `stories` and `comments` (our own
        answers among them) are of the four; `mentions` of all, where YouTube's are none.
        """
        everything = sorted(self.posts(), key=lambda post: post.ts)
        self._answers: dict[str, list[Post]] = {}
        self._replies: dict[str, list[int]] = {}
        self._quotes: dict[str, list[int]] = {}
        for post in everything:
            if post.reply_to_id:
                answered = self.by_id[post.reply_to_id].id
                self._answers.setdefault(answered, []).append(post)
                self._replies.setdefault(answered, []).append(post.ts)
                if post.platform in COUNTING_DEEP and answered != post.conversation_id:
                    self._replies.setdefault(post.conversation_id, []).append(post.ts)
            if post.kind == "quote" and post.reference:
                self._quotes.setdefault(self.by_id[post.reference.id].id, []).append(post.ts)
        own = {account.id: [post for post in everything if post.author_id == account.id and _is_listed(post)] for account in ACCOUNTS}
        self.timelines = {key: self._feed(post for post in posts if post.post_type != "story") for key, posts in own.items()}
        self.stories = {account.id: self._feed(post for post in own[account.id] if post.post_type == "story") for account in FOUR}
        self.comments = {account.id: self._feed(self._below(account, everything)) for account in FOUR}
        self.mentions = {account.id: self._feed(self._mentioning(account, everything)) for account in ACCOUNTS}
        self._follower_steps = {account.id: self._follower_walk(account) for account in FIRST_ACCOUNTS}
        self._flows = Flows(
            self, {account.id: [post for post in own[account.id] if post.kind == "root"] for account in FOUR}, self.counters
        )

    def _mentioning(self, account: Account, everything: Iterable[Post]) -> Iterator[Post]:
        """Yield what carries an @mention of the account, by anybody but itself."""
        for post in everything:
            if post.platform == account.platform and account.id in post.mentions and post.author_id != account.id:
                yield post

    def _below(self, account: Account, everything: Iterable[Post]) -> Iterator[Post]:
        """Yield what anybody wrote below the account's posts."""
        for post in everything:
            if post.platform == account.platform and post.reply_to_id and self.by_id[post.conversation_id].author_id == account.id:
                yield post

    def _feed(self, posts: Iterable[Post]) -> Feed:
        return Feed(showing for post in posts for showing in self._showings(post))

    def _showings(self, post: Post) -> Iterator[Showing]:
        ends = [version.ts for version in post.versions[1:]] + [post.gone_ts]
        for version, end in zip(post.versions, ends, strict=True):
            yield Showing(version.order, version.ts, min(end, post.gone_ts), post, version)

    def answers_to(self, identity: str, ts: int) -> list[Post]:
        """Return what answers a post or comment directly and stands at an instant, oldest first."""
        return [post for post in self._answers.get(identity, ()) if post.ts <= ts < post.gone_ts]

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
            reply=bisect_right(self._replies.get(post.id, ()), ts) + sizes.message * age // scale,
            share=sizes.share * age // scale,
            quote=sizes.quote * age // scale + bisect_right(self._quotes.get(post.id, ()), ts),
            save=sizes.save * age // scale,
            impression=sizes.impression * age // scale,
            link_click=sizes.link_click * age // scale,
            profile_click=sizes.profile_click * age // scale,
            view=sizes.view * age // scale,
            reach=sizes.reach * age // scale,
            navigation=sizes.navigation * age // scale,
            send=sizes.send * age // scale,
            photo_click=sizes.photo_click * age // scale,
            other_click=sizes.other_click * age // scale,
        )

    def clicks(self, post: Post, ts: int) -> dict[str, int]:
        """Return Facebook's clicks by type, in its words: an object, where other metrics are numbers. Their sum is all clicks."""
        counted = self.counters(post, ts)
        return {"link clicks": counted.link_click, "photo view": counted.photo_click, "other clicks": counted.other_click}

    # -- accounts -----------------------------------------------------------------------------------------------------------------

    def account_day(self, account: Account, day: date, now: int) -> AccountDay:
        """Return what is told at an instant of one of the platform's days of an account of the four."""
        return self._flows.told(account, day, now)

    def settled_day(self, account: Account, day: date) -> AccountDay:
        """Return what that day comes to in the end."""
        return self._flows.settled(account, day)

    def film_views(self, account: Account, day: date, now: int) -> dict[str, int]:
        """Return YouTube's views of a day by film; '' stands for films that are gone by now, and for old ones."""
        return self._flows.film_views(account, day, now)

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
        """Return the followers at an instant.

        On Mastodon and X they step once a day, at 08:00 in Jakarta; on the four they move evenly through the platform's day, by those
        that its `account_day` won and lost.
        """
        if account_id not in self._follower_steps:
            return self._flows.followers(self.account(account_id), ts)
        walk = self._follower_steps[account_id]
        step = (ts - wib(FIRST_DAY, 8)) // DAY + 1
        return walk[min(max(step, 0), len(walk) - 1)]

    def followers_shown(self, account_id: str, ts: int) -> int:
        """Return the followers as the platform shows them: YouTube rounds down to three figures."""
        found = self.followers(account_id, ts)
        if self.account(account_id) is not YOUTUBE or found < ROUNDED_FROM:
            return found
        step = 10 ** (len(str(found)) - 3)
        return int(found // step * step)

    def posts_count(self, account_id: str, ts: int) -> int:
        """Return how many posts, replies and reposts the account's profile shows at an instant; no stories."""
        return sum(1 for _ in self.timelines[account_id].visible(ts))


def _is_listed(post: Post) -> bool:
    """Tell whether a post of ours stands in its account's own list: on the four our answers to comments do not."""
    return post.kind != "reply" or post.platform in ("mastodon", "x")


def title_and_description(post: Post) -> tuple[str, str]:
    """Return a film's text as YouTube holds it: the title ends where hashtags and links begin."""
    title, mark, rest = post.text.partition(" #")
    return title, f"#{rest}" if mark else ""


def nights_run(world: World) -> Sequence[datetime]:
    """Return the nights that the institution's pipeline ran: all but the missed one."""
    return [night for night in world.nights if night not in world.missed_nights]
