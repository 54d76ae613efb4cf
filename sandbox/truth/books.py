"""The books of one as-of day: per account and day what its posts won and which items answered or named it, and each post at age 7 days.

Lives here: what belongs to whom. Does not live here: periods, levels and statuses (`numbers`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from sandbox.facts import DAY, Account, Post, days, local_day
from sandbox.feeds import Feed
from sandbox.truth.periods import Population
from sandbox.truth.seen import Seen
from sandbox.truth.traits import COUNTER_OF, ENGAGEMENT_COUNTERS, SUMMED, TRAITS, counts, is_counted_post
from sandbox.world import World

COHORT_AGE: Final = 7 * DAY
COHORT_REACH: Final = 2 * DAY


@dataclass(slots=True)
class CohortPost:
    """One root at age 7 days; what its platform or its type lacks is not in `counters`, and what is not known is None."""

    post: Post
    day: date
    counters: dict[str, int | None] = field(default_factory=dict)
    comments: int | None = None
    followers: int | None = None
    is_young: bool = False

    def engagement(self) -> int | None:
        """Return reactions + comments + shares + saves, each only where the platform has them."""
        parts = [self.comments, *(self.counters[name] for name in ENGAGEMENT_COUNTERS if name in self.counters)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def exposures(self) -> int | None:
        """Return the views, or the impressions where the platform counts those."""
        return self.counters.get("views", self.counters.get("impressions"))


@dataclass(slots=True)
class Books:
    """One population's daily figures per account id; the item sets hold ids of distinct items by local day.

    A day's counter is None where the movement of one of the posts is not known: a part of a sum is not the sum.
    """

    counters: dict[tuple[str, str], dict[date, int | None]] = field(default_factory=dict)
    comments: dict[str, dict[date, set[str]]] = field(default_factory=dict)
    mentions: dict[str, dict[date, set[str]]] = field(default_factory=dict)
    roots: dict[str, list[CohortPost]] = field(default_factory=dict)


def belongs(world: World, post: Post, tags: frozenset[str] | None) -> bool:
    """Tell whether a post of ours belongs to a population; a part of a thread follows its root.

    Reading: our replies to comments are posts too (their counters count in the population of every post), and belong to a ruled
    population only by their own hashtags.
    """
    root = world.by_id[post.root_id] if post.root_id else post
    return tags is None or any(tag.lower() in tags for tag in root.hashtags)


class Comment(NamedTuple):
    """An item that answers us: who wrote it when, the account that it counts for, the post that it is about."""

    item: Post
    account_id: str
    post: Post


def is_counted(world: World, item: Post) -> bool:
    """Tell whether an item may count at all: not ours, not a pure reshare, not spam."""
    return not (world.is_own(item.author_id) or item.kind == "reshare" or item.is_spam)


def comment_on(world: World, item: Post) -> Comment | None:
    """Return what an item answers of ours, None where it is no comment.

    Reading: where the platform has conversations, the whole one belongs to its root when that is ours, else to our answered post; on
    Mastodon an item belongs to the post that it answers (a thread's part: to the root; our reply to a commenter: to that reply, which is
    nobody's cohort).
    """
    answered = world.by_id[item.reply_to_id] if item.reply_to_id else None
    if answered is None:
        return None
    root = world.by_id[item.conversation_id]
    if TRAITS[item.platform].has_conversations and world.is_own(root.author_id):
        return Comment(item, root.author_id, root)
    if world.is_own(answered.author_id):
        return Comment(item, answered.author_id, world.by_id[answered.root_id] if answered.root_id else answered)
    return None


class Night:
    """Everything that is known at the end of one as-of day."""

    def __init__(self, world: World, as_of: date, seen: Mapping[str, Seen]) -> None:
        """Take what was seen of each connected account, and gather the items."""
        self.world, self.as_of, self.seen = world, as_of, seen
        self.items = self._mentions()
        answers = self._comments()
        self.comments = [comment for item in (self.items | answers).values() if (comment := comment_on(world, item))]
        firsts = [first for one in seen.values() if (first := one.first_known()) is not None]
        if not firsts:
            message = f"no night had run by {as_of}"
            raise ValueError(message)
        self.first_day = min(firsts)

    def _mentions(self) -> dict[str, Post]:
        """Return what names one of our accounts, may count, and was seen through that account's mentions."""
        return {
            post.id: post
            for account_id, seen in self.seen.items()
            for post in self._counted(seen, self.world.mentions[account_id], TRAITS[seen.account.platform].mentions)
        }

    def _comments(self) -> dict[str, Post]:
        """Return what was seen through the streams of comments, where the platform has such."""
        return {
            post.id: post
            for account_id, seen in self.seen.items()
            if TRAITS[seen.account.platform].comments == "comments"
            for post in self._counted(seen, self.world.comments[account_id], "comments")
        }

    def _counted(self, seen: Seen, feed: Feed, stream: str) -> Iterator[Post]:
        """Yield what may count of a list and was seen; nothing where the platform has no such list."""
        for showing in feed.showings if stream else ():
            if is_counted(self.world, showing.post) and seen.saw_event(showing.post, showing.start, stream):
                yield showing.post

    def books(self, population: Population) -> Books:
        """Write one population's books."""
        books = Books()
        for account in population.accounts:
            self._count_posts(books, population, account)
            books.comments[account.id] = {}
            books.mentions[account.id] = {}
        for comment in self.comments:
            if comment.account_id in books.comments and belongs(self.world, comment.post, population.tags):
                books.comments[comment.account_id].setdefault(local_day(comment.item.ts), set()).add(comment.item.id)
        for item in self.items.values():
            for account_id in item.mentions:
                if account_id in books.mentions:
                    books.mentions[account_id].setdefault(local_day(item.ts), set()).add(item.id)
        return books

    def _count_posts(self, books: Books, population: Population, account: Account) -> None:
        seen = self.seen[account.id]
        members = [post for post in seen.own if belongs(self.world, post, population.tags)]
        for measure in SUMMED:
            daily: dict[date, int | None] = {}
            for post in [post for post in members if counts(post, measure)]:
                for day, difference in seen.differences(post, measure):
                    before = daily.get(day, 0)
                    daily[day] = None if before is None or difference is None else before + difference
            books.counters[account.id, measure] = daily
        roots = [post for post in members if is_counted_post(post) and seen.snapshots[post.id]]
        books.roots[account.id] = [self.at_age(account, post) for post in roots if local_day(post.ts) <= self.as_of]

    # -- the publication cohort -------------------------------------------------------------------------------------------------------

    def at_age(self, account: Account, root: Post) -> CohortPost:
        """Return a root with its inputs at age 7 days, or younger as it stands. Reach is not added over the parts of a thread."""
        seen, day = self.seen[account.id], local_day(root.ts)
        cohort = CohortPost(root, day, is_young=seen.fetches[-1] < root.ts + COHORT_AGE)
        thread = self._thread(seen, root)
        instants = [self._instant_at_age(seen, part, is_young=cohort.is_young) for part in thread]
        for measure in [measure for measure in COUNTER_OF if counts(root, measure)]:
            values = [
                None if ts is None or (measure == "reach" and len(thread) > 1) else seen.value(part, measure, ts)
                for part, ts in zip(thread, instants, strict=True)
            ]
            known = [value for value in values if value is not None]
            cohort.counters[measure] = sum(known) if len(known) == len(values) else None
        cohort.comments = self._comments_at_age(seen, root)
        if day in seen.known["accounts"]:
            cohort.followers = self.world.followers_shown(account.id, seen.known["accounts"][day])
        return cohort

    def _thread(self, seen: Seen, root: Post) -> list[Post]:
        return [post for post in seen.own if post.root_id == root.id]

    def _instant_at_age(self, seen: Seen, post: Post, *, is_young: bool) -> int | None:
        observed = list(seen.snapshots[post.id].values())
        if not observed:
            return None
        if is_young:
            return observed[-1]
        wanted = post.ts + COHORT_AGE
        nearest = min(observed, key=lambda ts: abs(ts - wanted))
        return nearest if abs(nearest - wanted) <= COHORT_REACH else None

    def _comments_at_age(self, seen: Seen, root: Post) -> int | None:
        """Return the comments up to age 7 days; None unless each local day until then, or to the as-of day, is covered.

        Reading: of a younger post all comments known at the run, those of the two hours after midnight included.
        """
        last = root.ts + COHORT_AGE
        needed = days(local_day(root.ts), min(local_day(last), self.as_of))
        covered = seen.covered_events[TRAITS[seen.account.platform].comments]
        if not all(day in covered for day in needed):
            return None
        return sum(1 for comment in self.comments if comment.post.id == root.id and comment.item.ts <= last)
