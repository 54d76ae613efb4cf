"""An account's days as the platforms tell them: reach, views, followers won and lost; late, and corrected upwards until they settle.

Lives here: what each day comes to, and how much of it is told when. Does not live here: the posts that it is made of (`world`).

A platform's day is its own: Pacific for Instagram, Facebook and YouTube, UTC for Threads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.facts import CRISIS_DAYS, FIRST_DAY, LAST_DAY, RAMADAN, Account, Counters, Platform, Post, days
from sandbox.pen import Pen

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
HOUR: Final = 3_600
# The walk of followers begins here; before, nobody came or went.
FLOWS_FROM: Final = FIRST_DAY - timedelta(days=60)


@dataclass(frozen=True, slots=True)
class AccountDay:
    """What a platform tells of one of its days; None = not told yet, or it has no such thing."""

    reach: int | None = None
    reach_7d: int | None = None
    reach_28d: int | None = None
    views: int | None = None
    followers_gained: int | None = None
    followers_lost: int | None = None
    profile_views: int | None = None
    link_clicks: int | None = None
    shares: int | None = None
    watch_minutes: int | None = None
    engaged_views: int | None = None
    likes: int | None = None
    comments: int | None = None
    engagements: int | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """How a platform tells its days: by whose clock, what, from when after the day's end, and until when it corrects itself."""

    zone: ZoneInfo
    measures: tuple[str, ...]
    late: int
    settled: int


META_REACH: Final = ("reach", "reach_7d", "reach_28d")
TELLINGS: Final[Mapping[Platform, Telling]] = {
    "instagram": Telling(PACIFIC, (*META_REACH, "views", "followers_gained", "profile_views", "link_clicks"), 24 * HOUR, 48 * HOUR),
    "facebook": Telling(
        PACIFIC,
        (*META_REACH, "views", "followers_gained", "followers_lost", "profile_views", "engagements"),
        24 * HOUR,
        48 * HOUR,
    ),
    "threads": Telling(ZoneInfo("UTC"), ("profile_views",), 24 * HOUR, 48 * HOUR),
    "youtube": Telling(
        PACIFIC,
        ("views", "engaged_views", "likes", "comments", "shares", "followers_gained", "followers_lost", "watch_minutes"),
        60 * HOUR,
        120 * HOUR,
    ),
}


def day_start(platform: Platform, day: date) -> int:
    """Return when one of the platform's days begins."""
    return int(datetime.combine(day, time(), TELLINGS[platform].zone).timestamp())


def platform_day(platform: Platform, ts: int) -> date:
    """Return the platform's date at an instant."""
    return datetime.fromtimestamp(ts, UTC).astimezone(TELLINGS[platform].zone).date()


class Flows:
    """The days of the accounts of the four."""

    def __init__(self, pen: Pen, posts: Mapping[str, Sequence[Post]], counters: Callable[[Post, int], Counters]) -> None:
        """Take each account's own posts and stories, and their counters; each day is reckoned when it is asked for, once."""
        self.pen = pen
        self._posts = posts
        self._counters = counters
        self._settled: dict[tuple[str, date], AccountDay] = {}
        self._reaches: dict[tuple[str, date], int] = {}
        self._walks: dict[str, list[int]] = {}

    def told(self, account: Account, day: date, now: int) -> AccountDay:
        """Return what is told at an instant of one of the platform's days: nothing at first, then too little, then all."""
        telling = TELLINGS[account.platform]
        age = now - day_start(account.platform, day + timedelta(days=1))
        if age < telling.late:
            return AccountDay()
        settled = self.settled(account, day)
        if age >= telling.settled:
            return settled
        share = 900 + 100 * (age - telling.late) // (telling.settled - telling.late)
        amounts = {name: value * share // 1000 for name in telling.measures if (value := getattr(settled, name)) is not None}
        return replace(settled, **amounts)

    def settled(self, account: Account, day: date) -> AccountDay:
        """Return what a day comes to in the end."""
        known = self._settled.get((account.id, day))
        if known is None:
            whole = self._whole(account, day)
            given = TELLINGS[account.platform].measures
            known = AccountDay(**{one.name: getattr(whole, one.name) for one in fields(whole) if one.name in given})
            self._settled[account.id, day] = known
        return known

    # -- what a day comes to ------------------------------------------------------------------------------------------------------

    def _whole(self, account: Account, day: date) -> AccountDay:
        chance = self.pen.chance("account day", account.id, day)
        moved = self._moved(account, day)
        views = sum(counters.view for _, counters in moved) + self._old_views(account, day)
        likes = sum(counters.like for _, counters in moved)
        answers = sum(counters.reply for _, counters in moved)
        watched = sum(counters.view * post.seconds for post, counters in moved) * 2 // 5
        gained, lost = self._came_and_went(account, day)
        return AccountDay(
            reach=self._reach_kept(account, day),
            reach_7d=self._reach_over(account, day, 7, 45),
            reach_28d=max(self._reach_over(account, day, 28, 30), self._reach_over(account, day, 7, 45)),
            views=views,
            followers_gained=gained,
            followers_lost=lost,
            profile_views=account.followers // 60 + chance.randint(0, account.followers // 80),
            link_clicks=chance.randint(0, account.followers // 900),
            shares=views // 120 + chance.randint(0, 2),
            watch_minutes=watched // 60 + self._old_views(account, day) * 2,
            engaged_views=views * 8 // 10,
            likes=likes,
            comments=answers,
            engagements=likes + answers + sum(c.share + c.link_click + c.photo_click + c.other_click for _, c in moved),
        )

    def _moved(self, account: Account, day: date) -> list[tuple[Post, Counters]]:
        """Return how the counters of each post moved on a day, until it was gone."""
        start, end = (day_start(account.platform, one) for one in (day, day + timedelta(days=1)))
        moved = []
        for post in self._posts[account.id]:
            if post.ts < end and start < post.gone_ts:
                before, after = self._counters(post, start), self._counters(post, min(end, post.gone_ts))
                moved.append((post, Counters(*(max(0, b - a) for a, b in zip(before, after, strict=True)))))
        return moved

    def _old_views(self, account: Account, day: date) -> int:
        """Return the views of what was published before the world began."""
        return account.followers // 40 + self.pen.chance("old views", account.id, day).randint(0, account.followers // 60)

    def _reach(self, account: Account, day: date) -> int:
        views = sum(counters.view for _, counters in self._moved(account, day))
        return views * 7 // 10 + account.followers // 20 + self.pen.chance("reach", account.id, day).randint(0, account.followers // 30)

    def _reach_over(self, account: Account, day: date, span: int, overlap: int) -> int:
        """Return how many the days up to this one reached together: at least the largest of them, at most their sum."""
        if "reach" not in TELLINGS[account.platform].measures:
            return 0
        daily = [self._reach_kept(account, day - timedelta(days=back)) for back in range(span)]
        return max(daily) + (sum(daily) - max(daily)) * overlap // 100

    def _reach_kept(self, account: Account, day: date) -> int:
        key = (account.id, day)
        if key not in self._reaches:
            self._reaches[key] = self._reach(account, day)
        return self._reaches[key]

    def film_views(self, account: Account, day: date, now: int) -> dict[str, int]:
        """Return YouTube's views of a day by film, as far as it is told; those of films gone by now, and of old ones, have no id: ''."""
        told, settled = self.told(account, day, now).views, self.settled(account, day).views
        if told is None or not settled:
            return {}
        found: dict[str, int] = {}
        for post, counters in self._moved(account, day):
            if counters.view and now < post.gone_ts:
                found[post.id] = counters.view * told // settled
        found[""] = told - sum(found.values())
        return found

    # -- followers ----------------------------------------------------------------------------------------------------------------

    def _came_and_went(self, account: Account, day: date) -> tuple[int, int]:
        if not FLOWS_FROM <= day <= LAST_DAY:
            return 0, 0
        chance = self.pen.chance("came and went", account.id, day)
        gained = chance.randint(account.growth_per_day // 2, 3 * account.growth_per_day)
        lost = chance.randint(0, 2 * account.growth_per_day)
        if RAMADAN[0] <= day <= RAMADAN[1]:
            gained += account.growth_per_day
        if day in CRISIS_DAYS:
            lost += account.followers // 120
        return gained, lost

    def followers(self, account: Account, ts: int) -> int:
        """Return the followers at an instant: those at the day's beginning, and evenly through the day those who came less those who went."""
        walk = self._walk(account)
        day = platform_day(account.platform, ts)
        step = (day - FLOWS_FROM).days
        if not 0 <= step < len(walk) - 1:
            return walk[0] if step < 0 else walk[-1]
        gained, lost = self._came_and_went(account, day)
        start, end = (day_start(account.platform, one) for one in (day, day + timedelta(days=1)))
        passed = ts - start
        return walk[step] + gained * passed // (end - start) - lost * passed // (end - start)

    def _walk(self, account: Account) -> list[int]:
        if account.id not in self._walks:
            walk = [account.followers]
            for day in days(FLOWS_FROM, LAST_DAY):
                gained, lost = self._came_and_went(account, day)
                walk.append(walk[-1] + gained - lost)
            self._walks[account.id] = walk
        return self._walks[account.id]
