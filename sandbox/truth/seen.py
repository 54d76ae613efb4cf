"""What the nights saw of one account: which days are known, measured and covered, each post's kept snapshots, the account's days.

Lives here: the windows that were asked for. Does not live here: what is counted of it (`books`, `numbers`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from sandbox.facts import DAY, Account, Post, days, local_day, wib
from sandbox.truth.traits import COUNTER_OF, TRAITS, stream_of
from sandbox.world import AccountDay, World, day_start, platform_day

HALF_DAY: Final = DAY // 2
LISTED_BACK: Final = {"posts": 30 * DAY, "stories": DAY}
EVENTS_BACK: Final = 7 * DAY
FIRST_BACK: Final = 30 * DAY
LONGEST_STEP: Final = 35
SNAPSHOTS: Final = ("posts", "accounts", "stories")
EXPIRING: Final = ("stories",)
EVENTS: Final = ("comments", "mentions")


def snapshot_day(ts: int) -> date:
    """Return the local date of an observation less twelve hours: 02:00 closes the day before."""
    return local_day(ts - HALF_DAY)


def day_end(day: date) -> int:
    """Return the midnight after a local day, in seconds."""
    return wib(day + timedelta(days=1), 0)


class Seen:
    """One account, as the fetches up to the as-of day saw it."""

    def __init__(self, world: World, account: Account, nights: Sequence[int], hours: Sequence[int], as_of: date) -> None:
        """Walk the fetches once; those whose snapshot day lies after the as-of day have not happened yet."""
        self.world, self.account, self.as_of = world, account, as_of
        self.fetches = sorted(ts for ts in nights if snapshot_day(ts) <= as_of)
        self.quick_fetches = sorted({*self.fetches, *(ts for ts in hours if snapshot_day(ts) <= as_of)})
        self.known = {stream: self._kept(stream, self._fetches_of(stream)) for stream in SNAPSHOTS}
        self.firsts = {stream: min(known, default=None) for stream, known in self.known.items()}
        posts = [(ts - LISTED_BACK["posts"], ts) for ts in self.fetches]
        self.event_windows = {stream: event_windows(self._fetches_of(stream)) for stream in EVENTS}
        self.covered_posts = covered_days(posts, as_of)
        self.covered_events = {stream: covered_days(windows, as_of) for stream, windows in self.event_windows.items()}
        self.flow_windows = list(self._flow_windows())
        self._told: dict[date, AccountDay] = {}
        self.own = self._own()
        self.snapshots = {post.id: self._snapshots(post) for post in self.own}

    def _fetches_of(self, stream: str) -> list[int]:
        return self.quick_fetches if stream in TRAITS[self.account.platform].hourly else self.fetches

    def _kept(self, stream: str, observed: Iterable[int]) -> dict[date, int]:
        """Return per snapshot day the observation nearest to the midnight after it; of a list whose things expire the last one."""
        by_day: dict[date, list[int]] = {}
        for ts in sorted(observed):
            by_day.setdefault(snapshot_day(ts), []).append(ts)
        if stream in EXPIRING:
            return {day: seen[-1] for day, seen in by_day.items()}
        return {day: min(seen, key=lambda ts: abs(ts - day_end(day))) for day, seen in by_day.items()}

    def first_known(self, streams: Iterable[str] = ("posts",)) -> date | None:
        """Return the first day on which all of the streams were known."""
        firsts = [self.firsts[stream] for stream in streams]
        there = [first for first in firsts if first is not None]
        return max(there) if len(there) == len(firsts) else None

    def is_known(self, day: date, streams: Iterable[str]) -> bool:
        """Tell whether all of the streams were fetched to their end on a day."""
        return all(day in self.known[stream] for stream in streams)

    def is_measured(self, day: date, streams: tuple[str, ...]) -> bool:
        """Tell whether the day is known and an earlier one is."""
        first = self.first_known(streams)
        return first is not None and day > first and self.is_known(day, streams)

    # -- posts and stories ------------------------------------------------------------------------------------------------------------

    def _own(self) -> list[Post]:
        """Return what the account's lists hold of its own: no reposts, whose counters are the original's."""
        feeds = [self.world.timelines[self.account.id], *filter(None, [self.world.stories.get(self.account.id)])]
        found = {showing.post.key: showing.post for feed in feeds for showing in feed.showings}
        return [post for post in found.values() if post.kind != "repost"]

    def _snapshots(self, post: Post) -> dict[date, int]:
        """Return when the post was seen: the fetch must come after it, before it was gone, within the list's reach of its standing version."""
        stream = stream_of(post)
        back = LISTED_BACK[stream]
        seen = (ts for ts in self._fetches_of(stream) if (version := post.version_at(ts)) and version.ts >= ts - back)
        return self._kept(stream, seen)

    def value(self, post: Post, measure: str, ts: int) -> int | None:
        """Return a counter as it was given at an instant; None while it is hidden."""
        if measure == "reactions" and post.hides("like", ts):
            return None
        return COUNTER_OF[measure](self.world.counters(post, ts))

    def differences(self, post: Post, measure: str) -> Iterator[tuple[date, int | None]]:
        """Yield a post's difference per measured day; a post that was older when first seen has none on that day.

        What was not given is not known on that day (None); it is compared with the last that was. A fetch after the one that closes the
        day may see a post that came between them: that waits for the next day.
        """
        closed = self.known[stream_of(post)]
        last: tuple[date, int] | None = None
        is_first = True
        for day, ts in self.snapshots[post.id].items():
            if post.ts > closed[day]:
                continue
            value = self.value(post, measure, ts)
            if last is not None and (day - last[0]).days <= LONGEST_STEP:
                yield day, None if value is None else value - last[1]
            elif is_first or last is not None:
                previous = max((fetch for known, fetch in closed.items() if known < day), default=None)
                if previous is not None and post.ts > previous:
                    yield day, value
            else:
                yield day, None
            is_first = False
            last = last if value is None else (day, value)

    # -- events -----------------------------------------------------------------------------------------------------------------------

    def saw_event(self, item: Post, ts: int, stream: str) -> bool:
        """Tell whether any fetch's window held an event, while it was still there."""
        return any(start <= ts <= end < item.gone_ts for start, end in self.event_windows[stream])

    # -- the account's days -----------------------------------------------------------------------------------------------------------

    def _flow_windows(self) -> Iterator[tuple[int, int]]:
        """Yield from which beginning on each night asked for the platform's days; it begins at whole days, by UTC."""
        traits = TRAITS[self.account.platform]
        back, unsettled = traits.flows_back * DAY, (traits.flows_restated - 1) * DAY
        before: int | None = None
        for ts in self.fetches:
            start = ts - max(back, FIRST_BACK) if before is None else min(ts - back, before - unsettled)
            yield start // DAY * DAY, ts
            before = ts

    def asked_days(self) -> list[date]:
        """Return the platform's days that were ever asked for."""
        if not TRAITS[self.account.platform].flows or not self.flow_windows:
            return []
        platform, (first, _), (_, last) = self.account.platform, self.flow_windows[0], self.flow_windows[-1]
        every = days(platform_day(platform, first), platform_day(platform, last))
        return [day for day in every if first <= day_start(platform, day) < last]

    def flow(self, day: date, measure: str) -> int | None:
        """Return what the last night that asked for one of the platform's days was told of it."""
        if day not in self._told:
            begins = day_start(self.account.platform, day)
            asked = [ts for start, ts in self.flow_windows if start <= begins < ts]
            self._told[day] = self.world.account_day(self.account, day, asked[-1]) if asked else AccountDay()
        value: int | None = getattr(self._told[day], measure)
        return value

    def why_no_flow(self, day: date) -> str:
        """Return why there is no value of one of the platform's days."""
        first = self.flow_windows[0][0] if self.flow_windows else None
        return "insufficient_history" if first is None or day_start(self.account.platform, day) < first else "missing_input"


def event_windows(fetches: Sequence[int]) -> list[tuple[int, int]]:
    """Return what fetches asked for of a list of events: the look-back, and at first what came before."""
    return [(ts - (EVENTS_BACK if number else FIRST_BACK), ts) for number, ts in enumerate(fetches)]


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
