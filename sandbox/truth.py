"""The numbers that must come out: plain arithmetic over the simulated world, after docs/numbers.md and nothing else.

Lives here: what each published number of the two goals is at an as-of day, given the nights that ran. Does not live here: any code of
the pipeline; the two know each other only through the tests that compare them.

One rule a function, in the order of docs/numbers.md, so that a difference can be settled by reading. Where that page leaves a choice,
the docstring says `Reading:`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final, NamedTuple

from sandbox.world import DAY, Account, Counters, Platform, Post, World, days, local_day, nights_run, wib

HALF_DAY: Final = DAY // 2
POSTS_BACK: Final = 30 * DAY
EVENTS_BACK: Final = 7 * DAY
FIRST_BACK: Final = 30 * DAY
LONGEST_STEP: Final = 35
COHORT_AGE: Final = 7 * DAY
COHORT_REACH: Final = 2 * DAY
RESTATED_DAYS: Final = 7
INDEX_WEEKS, INDEX_LEAST = 12, 4
FUNDRAISING_TAGS: Final = frozenset({"zakat", "sedekah", "wakaf", "donasi"})
TELLING: Final = (
    "not_permitted", "lost", "missing_input", "insufficient_history", "zero_denominator", "below_min_n", "suppressed_by_platform",
    "retired", "not_connected", "not_applicable",
)  # fmt: skip


class Key(NamedTuple):
    """What identifies one published number; 'all' stands where a part does not apply."""

    indicator_key: str
    population_id: str
    level: str
    platform: str
    account_id: str
    period_type: str
    period_start: date
    cohort: str


class Expected(NamedTuple):
    """One published number: `value` is there exactly when `status` is ok; `coverage` is a share from 0 to 1."""

    value: float | None
    status: str
    numerator: int | None
    denominator: int | None
    n: int | None
    coverage: float
    is_provisional: bool
    period_end: date


class Period(NamedTuple):
    """A span of local days, both ends included."""

    type: str
    start: date
    end: date


class Part(NamedTuple):
    """What one account gives to one number; `known` of `total` (account, day) pairs, posts or accounts were known as needed."""

    value: int | None
    status: str
    known: int
    total: int


class Share(NamedTuple):
    """What one account gives to one ratio."""

    numerator: int
    denominator: int
    used: int
    total: int
    status: str


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts, and the hashtags that one of theirs must carry for a post to belong; None takes every post."""

    id: str
    accounts: tuple[Account, ...]
    tags: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Scope:
    """One level of one population: the accounts whose numbers are put together."""

    level: str
    platform: str
    account_id: str
    accounts: tuple[Account, ...]


@dataclass(slots=True)
class CohortPost:
    """One root at age 7 days; None where that input is not known."""

    post: Post
    day: date
    reactions: int | None = None
    shares: int | None = None
    saves: int | None = None
    impressions: int | None = None
    comments: int | None = None
    followers: int | None = None
    is_young: bool = False

    def engagement(self) -> int | None:
        """Return reactions + comments + shares + saves, saves only where the platform has them."""
        if self.reactions is None or self.shares is None or self.comments is None:
            return None
        return self.reactions + self.shares + self.comments + (self.saves or 0)


COUNTER_OF: Final[Mapping[str, Callable[[Counters], int]]] = {
    "reactions": lambda counters: counters.like,
    "shares": lambda counters: counters.share + counters.quote,
    "saves": lambda counters: counters.save,
    "impressions": lambda counters: counters.impression,
    "link_clicks": lambda counters: counters.link_click,
}
X_ONLY: Final = frozenset({"saves", "impressions", "link_clicks"})
NOT_APPLICABLE: Final = ("views", "reach", "reach_lower", "reach_upper")
ENGAGEMENT_COUNTERS: Final = ("reactions", "shares", "saves")


def has(account: Account, measure: str) -> bool:
    """Tell whether the account's platform has a measure."""
    return account.platform == "x" or measure not in X_ONLY


def snapshot_day(ts: int) -> date:
    """Return the local date of an observation less twelve hours: 02:00 closes the day before."""
    return local_day(ts - HALF_DAY)


def day_end(day: date) -> int:
    """Return the midnight after a local day, in seconds."""
    return wib(day + timedelta(days=1), 0)


def worst(statuses: Iterable[str]) -> str:
    """Return the most telling of the statuses."""
    return min(statuses, key=TELLING.index)


# -- what the nights saw --------------------------------------------------------------------------------------------------------------


class Seen:
    """What the nights saw of one account: which days are known, measured and covered, and each post's kept snapshots."""

    def __init__(self, world: World, account: Account, nights: Sequence[int], as_of: date) -> None:
        """Walk the nights once; those whose snapshot day lies after the as-of day have not happened yet."""
        self.world, self.account, self.as_of = world, account, as_of
        self.fetches = sorted(ts for ts in nights if snapshot_day(ts) <= as_of)
        self.known = self._nearest(self.fetches)
        self.first_known = min(self.known, default=None)
        posts = [(ts - POSTS_BACK, ts) for ts in self.fetches]
        events = [(ts - (EVENTS_BACK if number else FIRST_BACK), ts) for number, ts in enumerate(self.fetches)]
        self.event_windows = events
        self.covered_posts = covered_days(posts, as_of)
        self.covered_events = covered_days(events, as_of)
        self.own = [post for post in world.posts() if post.author_id == account.id and post.kind != "repost"]
        self.snapshots = {post.id: self._snapshots(post) for post in self.own}

    def _nearest(self, observed: Iterable[int]) -> dict[date, int]:
        """Return per snapshot day the observation nearest to the midnight after it."""
        kept: dict[date, int] = {}
        for ts in observed:
            day = snapshot_day(ts)
            if day not in kept or abs(ts - day_end(day)) < abs(kept[day] - day_end(day)):
                kept[day] = ts
        return dict(sorted(kept.items()))

    def _snapshots(self, post: Post) -> dict[date, int]:
        """Return when the post was seen: the fetch must come after it, before its deletion, within 30 days of its standing version."""
        seen = [ts for ts in self.fetches if (version := post.version_at(ts)) and version.ts >= ts - POSTS_BACK]
        return self._nearest(seen)

    def is_measured(self, day: date) -> bool:
        """Tell whether the day is known and an earlier one is."""
        return day in self.known and self.first_known is not None and day > self.first_known

    def saw_event(self, ts: int) -> bool:
        """Tell whether any fetch's window held an event."""
        return any(start <= ts <= end for start, end in self.event_windows)

    def differences(self, post: Post, measure: str) -> Iterator[tuple[date, int]]:
        """Yield a post's difference per measured day; a post that was older when first seen has none on that day."""
        read = COUNTER_OF[measure]
        before: date | None = None
        for day, ts in self.snapshots[post.id].items():
            value = read(self.world.counters(post, ts))
            if before is not None and (day - before).days <= LONGEST_STEP:
                earlier = read(self.world.counters(post, self.snapshots[post.id][before]))
                yield day, value - earlier
            else:
                previous = max((fetch for known, fetch in self.known.items() if known < day), default=None)
                if previous is not None and post.ts > previous:
                    yield day, value
            before = day


def covered_days(windows: Iterable[tuple[int, int]], as_of: date) -> frozenset[date]:
    """Return the local days, up to the as-of day, that the windows together hold whole."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    held: set[date] = set()
    for start, end in merged:
        candidates = days(local_day(start), min(local_day(end), as_of))
        held.update(day for day in candidates if start <= wib(day, 0) and day_end(day) <= end)
    return frozenset(held)


# -- the books: per account and day ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Books:
    """One population's daily figures per account id; the item sets hold ids of distinct items by local day."""

    counters: dict[tuple[str, str], dict[date, int]] = field(default_factory=dict)
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

    Reading: on X the whole conversation belongs to its root when that is ours, else to our answered post; on Mastodon an item belongs
    to the post that it answers (a thread's part: to the root; our reply to a commenter: to that reply, which is nobody's cohort).
    """
    answered = world.by_id[item.reply_to_id] if item.reply_to_id else None
    if answered is None:
        return None
    root = world.by_id[item.conversation_id]
    if item.platform == "x" and world.is_own(root.author_id):
        return Comment(item, root.author_id, root)
    if world.is_own(answered.author_id):
        return Comment(item, answered.author_id, world.by_id[answered.root_id] if answered.root_id else answered)
    return None


class Night:
    """Everything that is known at the end of one as-of day."""

    def __init__(self, world: World, as_of: date, nights: Mapping[Platform, Sequence[int]]) -> None:
        """See what the nights saw, for each account."""
        self.world, self.as_of = world, as_of
        self.seen = {account.id: Seen(world, account, nights[account.platform], as_of) for account in world.accounts}
        self.items = self._items()
        self.comments = [comment for item in self.items.values() if (comment := comment_on(world, item))]
        firsts = [seen.first_known for seen in self.seen.values() if seen.first_known]
        if not firsts:
            message = f"no night had run by {as_of}"
            raise ValueError(message)
        self.first_day = min(firsts)

    def _items(self) -> dict[str, Post]:
        """Return what names one of our accounts, may count, and was seen through that account's mentions."""
        found: dict[str, Post] = {}
        for account in self.world.accounts:
            for showing in self.world.mentions[account.id].showings:
                if is_counted(self.world, showing.post) and self.seen[account.id].saw_event(showing.start):
                    found[showing.post.id] = showing.post
        return found

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
        for measure in COUNTER_OF:
            daily: dict[date, int] = {}
            for post in members:
                for day, difference in seen.differences(post, measure):
                    daily[day] = daily.get(day, 0) + difference
            books.counters[account.id, measure] = daily
        roots = [post for post in members if post.kind == "root" and seen.snapshots[post.id]]
        books.roots[account.id] = [self.at_age(account, post) for post in roots if local_day(post.ts) <= self.as_of]

    # -- the publication cohort -------------------------------------------------------------------------------------------------------

    def at_age(self, account: Account, root: Post) -> CohortPost:
        """Return a root with its inputs at age 7 days, or younger as it stands."""
        seen, day = self.seen[account.id], local_day(root.ts)
        cohort = CohortPost(root, day, is_young=seen.fetches[-1] < root.ts + COHORT_AGE)
        counted = [self._counters_at_age(seen, part, is_young=cohort.is_young) for part in self._thread(seen, root)]
        known = [counters for counters in counted if counters]
        if len(known) == len(counted):
            cohort.reactions = sum(map(COUNTER_OF["reactions"], known))
            cohort.shares = sum(map(COUNTER_OF["shares"], known))
            if account.platform == "x":
                cohort.saves = sum(map(COUNTER_OF["saves"], known))
                cohort.impressions = sum(map(COUNTER_OF["impressions"], known))
        cohort.comments = self._comments_at_age(seen, root)
        if day in seen.known:
            cohort.followers = self.world.followers(account.id, seen.known[day])
        return cohort

    def _thread(self, seen: Seen, root: Post) -> list[Post]:
        return [post for post in seen.own if post.root_id == root.id]

    def _counters_at_age(self, seen: Seen, post: Post, *, is_young: bool) -> Counters | None:
        observed = list(seen.snapshots[post.id].values())
        if not observed:
            return None
        if is_young:
            return self.world.counters(post, observed[-1])
        wanted = post.ts + COHORT_AGE
        nearest = min(observed, key=lambda ts: abs(ts - wanted))
        return self.world.counters(post, nearest) if abs(nearest - wanted) <= COHORT_REACH else None

    def _comments_at_age(self, seen: Seen, root: Post) -> int | None:
        """Return the comments up to age 7 days; None unless each local day until then, or to the as-of day, is covered.

        Reading: of a younger post all comments known at the run, those of the two hours after midnight included.
        """
        last = root.ts + COHORT_AGE
        needed = days(local_day(root.ts), min(local_day(last), self.as_of))
        if not all(day in seen.covered_events for day in needed):
            return None
        return sum(1 for comment in self.comments if comment.post.id == root.id and comment.item.ts <= last)


# -- periods and levels ---------------------------------------------------------------------------------------------------------------


def periods(first_day: date, as_of: date) -> Iterator[Period]:
    """Yield the periods from the one that holds the first snapshot day to the one that holds the as-of day."""
    for day in days(first_day, as_of):
        yield Period("day", day, day)
        yield Period("trailing_28d", day - timedelta(days=27), day)
    monday = first_day - timedelta(days=first_day.weekday())
    while monday <= as_of:
        yield Period("week", monday, monday + timedelta(days=6))
        monday += timedelta(days=7)
    month = first_day.replace(day=1)
    while month <= as_of:
        following = (month + timedelta(days=31)).replace(day=1)
        yield Period("month", month, following - timedelta(days=1))
        month = following


def scopes(population: Population) -> Iterator[Scope]:
    """Yield a population's institution, platform and account levels."""
    yield Scope("institution", "all", "all", population.accounts)
    for platform in dict.fromkeys(account.platform for account in population.accounts):
        together = tuple(account for account in population.accounts if account.platform == platform)
        yield Scope("platform", platform, "all", together)
        for account in together:
            yield Scope("account", platform, account.id, (account,))


# -- the numbers ----------------------------------------------------------------------------------------------------------------------


class Reckoning:
    """The numbers of one population at one as-of day."""

    def __init__(self, night: Night, population: Population) -> None:
        """Write the population's books."""
        self.night, self.population, self.as_of = night, population, night.as_of
        self.books = night.books(population)
        self._scores: dict[tuple[str, str, str, date], float | None] = {}

    def rows(self) -> Iterator[tuple[Key, Expected]]:
        """Yield every number of the population."""
        for scope in scopes(self.population):
            for period in periods(self.night.first_day, self.as_of):
                for indicator, expected in self.activity(scope, period):
                    yield self._key(indicator, scope, period, "activity"), expected
                if period.type != "day":
                    for indicator, expected in self.publication(scope, period):
                        yield self._key(indicator, scope, period, "publication_d7"), expected

    def _key(self, indicator: str, scope: Scope, period: Period, cohort: str) -> Key:
        place = (scope.level, scope.platform, scope.account_id)
        return Key(indicator, self.population.id, *place, period.type, period.start, cohort)

    def _days(self, period: Period) -> list[date]:
        return list(days(period.start, min(period.end, self.as_of)))

    def _is_running(self, period: Period) -> bool:
        return period.end > self.as_of

    def _is_restated(self, period: Period) -> bool:
        """Tell whether events of the period may still come in."""
        return period.end > self.as_of - timedelta(days=RESTATED_DAYS)

    # -- activity ---------------------------------------------------------------------------------------------------------------------

    def activity(self, scope: Scope, period: Period) -> Iterator[tuple[str, Expected]]:
        """Yield what happened in a period, to any post."""
        for measure in COUNTER_OF:
            parts = [self._counter(account, measure, period) for account in scope.accounts if has(account, measure)]
            yield measure, self._sum(parts, period, is_event=False)
        for indicator in NOT_APPLICABLE:
            yield indicator, self._constant("not_applicable", period)
        yield "comments_audience", self._sum([self._comments(account, period) for account in scope.accounts], period, is_event=True)
        yield "engagement_count", self._sum([self._engagement(account, period) for account in scope.accounts], period, is_event=True)
        yield "posts", self._sum([self._posts(account, period) for account in scope.accounts], period, is_event=True)
        yield "conversation_volume", self._distinct(scope, period, [self.books.comments, self.books.mentions])
        for indicator in ("mentions", "mentions_tagged"):
            yield indicator, self._distinct(scope, period, [self.books.mentions])
        yield "mentions_untagged", self._constant("not_connected", period)
        if scope.level == "institution":
            for indicator in ("bounce_rate", "bounced_sessions"):
                yield indicator, self._constant("not_connected", period)
        yield from self._audience(scope, period)

    def _constant(self, status: str, period: Period) -> Expected:
        return Expected(None, status, None, None, None, 0.0, self._is_running(period), period.end)

    def _sum(self, parts: list[Part], period: Period, *, is_event: bool) -> Expected:
        """Add the accounts' parts; those that lack the measure were left out before."""
        if not parts:
            return self._constant("not_applicable", period)
        values = [part.value for part in parts if part.value is not None]
        status = "ok" if values else worst(part.status for part in parts)
        coverage = sum(part.known for part in parts) / sum(part.total for part in parts)
        is_provisional = self._is_running(period) or (is_event and self._is_restated(period))
        return Expected(float(sum(values)) if values else None, status, None, None, None, coverage, is_provisional, period.end)

    def _counter(self, account: Account, measure: str, period: Period) -> Part:
        """Return the sum of a counter's differences over the measured days."""
        seen, span = self.night.seen[account.id], self._days(period)
        measured = [day for day in span if seen.is_measured(day)]
        if measured:
            daily = self.books.counters[account.id, measure]
            return Part(sum(daily.get(day, 0) for day in measured), "ok", len(measured), len(span))
        return Part(None, self._why_unmeasured(seen, span), 0, len(span))

    def _why_unmeasured(self, seen: Seen, span: list[date]) -> str:
        if seen.first_known is None or all(day <= seen.first_known for day in span):
            return "insufficient_history"
        return "lost" if any(day not in seen.known and day < self.as_of for day in span) else "missing_input"

    def _comments(self, account: Account, period: Period) -> Part:
        """Return the audience's comments of the covered days."""
        span = self._days(period)
        covered = [day for day in span if day in self.night.seen[account.id].covered_events]
        if not covered:
            return Part(None, "missing_input", 0, len(span))
        daily = self.books.comments[account.id]
        return Part(sum(len(daily.get(day, ())) for day in covered), "ok", len(covered), len(span))

    def _posts(self, account: Account, period: Period) -> Part:
        """Return the roots published on the days that the posts stream covered.

        Reading: a post is an event of its stream, whose window is 30 days; deleted posts that were seen once were published.
        """
        span = self._days(period)
        covered = {day for day in span if day in self.night.seen[account.id].covered_posts}
        if not covered:
            return Part(None, "missing_input", 0, len(span))
        return Part(sum(root.day in covered for root in self.books.roots[account.id]), "ok", len(covered), len(span))

    def _engagement(self, account: Account, period: Period) -> Part:
        """Return reactions + comments + shares + saves; all that the platform has must be there."""
        parts = [self._counter(account, measure, period) for measure in ENGAGEMENT_COUNTERS if has(account, measure)]
        parts.append(self._comments(account, period))
        seen, span = self.night.seen[account.id], self._days(period)
        both = sum(seen.is_measured(day) and day in seen.covered_events for day in span)
        missing = [part.status for part in parts if part.value is None]
        if missing:
            return Part(None, worst(missing), both, len(span))
        return Part(sum(part.value for part in parts if part.value is not None), "ok", both, len(span))

    def _distinct(self, scope: Scope, period: Period, books: list[dict[str, dict[date, set[str]]]]) -> Expected:
        """Count distinct items: an item that names two of our accounts counts once at platform level."""
        span = self._days(period)
        found: set[tuple[str, str]] = set()
        known = 0
        for account in scope.accounts:
            covered = [day for day in span if day in self.night.seen[account.id].covered_events]
            known += len(covered)
            found.update(
                (account.platform, item) for daily in books for day in covered for item in daily[account.id].get(day, ())
            )  # fmt: skip
        total = len(span) * len(scope.accounts)
        part = Part(len(found), "ok", known, total) if known else Part(None, "missing_input", 0, total)
        return self._sum([part], period, is_event=True)

    # -- audience ---------------------------------------------------------------------------------------------------------------------

    def _audience(self, scope: Scope, period: Period) -> Iterator[tuple[str, Expected]]:
        """Yield followers, net new followers and the growth rate; ends and starts are single snapshots."""
        last = min(period.end, self.as_of)
        ends = {account.id: self._followers(account, last) for account in scope.accounts}
        starts = {account.id: self._followers(account, period.start - timedelta(days=1)) for account in scope.accounts}
        there = [value for value, _ in ends.values() if value is not None]
        why = worst(status for _, status in ends.values()) if not there else "ok"
        yield "followers", self._stock(float(sum(there)) if there else None, why, None, None, len(there), scope, period)
        pairs = [(starts[key][0], ends[key][0]) for key in ends]
        both = [(start, end) for start, end in pairs if start is not None and end is not None]
        if not both:
            why = worst(self._why_no_change(starts[key][1], ends[key][1]) for key in ends)
            yield "net_new_followers", self._stock(None, why, None, None, 0, scope, period)
            yield "audience_growth_rate", self._stock(None, why, None, None, 0, scope, period)
            return
        base = sum(start for start, _ in both)
        net = sum(end for _, end in both) - base
        yield "net_new_followers", self._stock(float(net), "ok", None, None, len(both), scope, period)
        rate = net / base if base else None
        yield "audience_growth_rate", self._stock(rate, "ok" if base else "zero_denominator", net, base, len(both), scope, period)

    def _followers(self, account: Account, day: date) -> tuple[int | None, str]:
        seen = self.night.seen[account.id]
        if day in seen.known:
            return self.night.world.followers(account.id, seen.known[day]), "ok"
        if seen.first_known is None or day < seen.first_known:
            return None, "insufficient_history"
        return None, "lost" if day < self.as_of else "missing_input"

    def _why_no_change(self, start: str, end: str) -> str:
        return worst(status for status in (start, end) if status != "ok")

    def _stock(  # noqa: PLR0913 the columns of a stock
        self, value: float | None, status: str, numerator: int | None, denominator: int | None, used: int, scope: Scope, period: Period
    ) -> Expected:
        coverage = used / len(scope.accounts)
        return Expected(value, status, numerator, denominator, used, coverage, self._is_running(period), period.end)

    # -- the publication cohort -------------------------------------------------------------------------------------------------------

    def publication(self, scope: Scope, period: Period) -> Iterator[tuple[str, Expected]]:
        """Yield the rates of the posts published in a period, each at age 7 days.

        Reading: a post stays out of a rate when an input of that rate is unknown; inputs that the rate does not use do not matter.
        """
        yield "engagement_rate", self._constant("not_applicable", period)
        on_x = tuple(account for account in scope.accounts if account.platform == "x")
        views = self._ratio(on_x, period, lambda post: _pair(post.engagement(), post.impressions), is_event=True)
        yield "engagement_rate_views", views
        every = scope.accounts
        yield "engagement_rate_followers", self._ratio(every, period, lambda post: _pair(post.engagement(), post.followers), is_event=True)
        yield "applause_rate", self._ratio(every, period, lambda post: _pair(post.reactions, 1), is_event=False)
        yield "amplification_rate", self._ratio(every, period, lambda post: _pair(post.shares, 1), is_event=False)
        yield "conversation_rate", self._ratio(every, period, lambda post: _pair(post.comments, 1), is_event=True)
        score = self._score(scope, period)
        yield "comment_score", score
        yield "comment_score_index", self._index(scope, period, score)

    def _score(self, scope: Scope, period: Period) -> Expected:
        return self._ratio(scope.accounts, period, lambda post: _pair(post.comments, post.followers), is_event=True, scale=1000)

    def _cohort(self, account: Account, period: Period) -> list[CohortPost]:
        return [root for root in self.books.roots[account.id] if period.start <= root.day <= period.end]

    def _ratio(
        self,
        accounts: tuple[Account, ...],
        period: Period,
        read: Callable[[CohortPost], tuple[int, int] | None],
        *,
        is_event: bool,
        scale: int = 1,
    ) -> Expected:
        """Divide the sums over the accounts' posts."""
        if not accounts:
            return self._constant("not_applicable", period)
        shares = [self._share(self._cohort(account, period), read) for account in accounts]
        usable = [share for share in shares if share.status == "ok"]
        used, total = sum(share.used for share in shares), sum(share.total for share in shares)
        coverage = used / total if total else 1.0
        is_young = any(root.is_young for account in accounts for root in self._cohort(account, period))
        is_provisional = self._is_running(period) or is_young or (is_event and self._is_restated(period))
        if not usable:
            status = worst(share.status for share in shares)
            above, below = (sum(share.numerator for share in shares), 0) if status == "zero_denominator" else (None, None)
            return Expected(None, status, above, below, used, coverage, is_provisional, period.end)
        numerator, denominator = sum(share.numerator for share in usable), sum(share.denominator for share in usable)
        return Expected(scale * numerator / denominator, "ok", numerator, denominator, used, coverage, is_provisional, period.end)

    def _share(self, cohort: list[CohortPost], read: Callable[[CohortPost], tuple[int, int] | None]) -> Share:
        pairs = [pair for post in cohort if (pair := read(post)) is not None]
        numerator, denominator = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
        if cohort and not pairs:
            return Share(0, 0, 0, len(cohort), "missing_input")
        return Share(numerator, denominator, len(pairs), len(cohort), "ok" if denominator else "zero_denominator")

    def _index(self, scope: Scope, period: Period, score: Expected) -> Expected:
        """Compare a score with the median of the weeks before; 100 is usual.

        Reading: the last 12 complete calendar weeks that stand, of which those with a score are used; at least 4 must have one.
        """
        if score.value is None:
            return score._replace(numerator=None, denominator=None)
        scores = [found for monday in self._weeks_before(period.start) if (found := self._week_score(scope, monday)) is not None]
        usual = median(scores) if len(scores) >= INDEX_LEAST else None
        status = "insufficient_history" if usual is None else ("ok" if usual else "zero_denominator")
        value = 100 * score.value / usual if usual else None
        return score._replace(value=value, status=status, numerator=None, denominator=None)

    def _weeks_before(self, start: date) -> Iterator[date]:
        monday = start - timedelta(days=start.weekday() + 7)
        first = self.night.first_day - timedelta(days=self.night.first_day.weekday())
        for back in range(INDEX_WEEKS):
            if monday - timedelta(days=7 * back) >= first:
                yield monday - timedelta(days=7 * back)

    def _week_score(self, scope: Scope, monday: date) -> float | None:
        key = (scope.level, scope.platform, scope.account_id, monday)
        if key not in self._scores:
            self._scores[key] = self._score(scope, Period("week", monday, monday + timedelta(days=6))).value
        return self._scores[key]


def _pair(numerator: int | None, denominator: int | None) -> tuple[int, int] | None:
    return None if numerator is None or denominator is None else (numerator, denominator)


def populations(world: World) -> tuple[Population, Population]:
    """Return the populations of the institution's two goals."""
    fundraising = tuple(account for account in world.accounts if account.handle in ("cahaya", "lazcahaya"))
    return Population("all", world.accounts, None), Population("fundraising", fundraising, FUNDRAISING_TAGS)


def expected(
    world: World, as_of_day: date, nights: Sequence[datetime] | Mapping[Platform, Sequence[datetime]] | None = None
) -> dict[Key, Expected]:
    """Return what every published number of the two goals must be at the end of an as-of day.

    `nights` are the instants at which complete fetches ran, for all platforms or per platform; by default all but the missed one.
    """
    chosen = nights_run(world) if nights is None else nights
    by_platform: dict[Platform, Sequence[datetime]] = (
        dict(chosen) if isinstance(chosen, Mapping) else {account.platform: chosen for account in world.accounts}
    )
    seconds = {platform: [int(moment.timestamp()) for moment in moments] for platform, moments in by_platform.items()}
    night = Night(world, as_of_day, seconds)
    return {key: value for population in populations(world) for key, value in Reckoning(night, population).rows()}
