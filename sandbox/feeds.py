"""Feeds: what stands in a list from when until when, and the pages that are cut from it.

Lives here: order, visibility, bisection. Does not live here: what belongs in which list (`world`) and how an API words a page.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sandbox.facts import Post, Version


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
