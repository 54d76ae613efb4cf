"""The indicators: each published number of one population, per period and level. One rule a function, as docs/numbers.md has them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Final, NamedTuple

from sandbox.facts import Account
from sandbox.truth.books import CohortPost, Night
from sandbox.truth.periods import Period, Population, Scope, periods, scopes
from sandbox.truth.traits import ENGAGEMENT_COUNTERS, REACH_OF, SUMMED, TRAITS, gives_reach, has
from sandbox.world import days

RESTATED_DAYS: Final = 7
INDEX_WEEKS, INDEX_LEAST = 12, 4
REACH_LEAST: Final = 100
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


def worst(statuses: Iterable[str]) -> str:
    """Return the most telling of the statuses."""
    return min(statuses, key=TELLING.index)


class Reckoning:
    """The numbers of one population at one as-of day."""

    def __init__(self, night: Night, population: Population) -> None:
        """Write the population's books."""
        self.night, self.population, self.as_of = night, population, night.as_of
        self.books = night.books(population)
        self._given_days: dict[tuple[str, str], frozenset[date]] = {}
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

    def _is_restated(self, period: Period, restated_days: int) -> bool:
        """Tell whether the period runs, or what is counted of it may still change."""
        return period.end > self.as_of - timedelta(days=restated_days)

    # -- activity ---------------------------------------------------------------------------------------------------------------------

    def activity(self, scope: Scope, period: Period) -> Iterator[tuple[str, Expected]]:
        """Yield what happened in a period, to any post."""
        for measure in SUMMED:
            parts = [self._counter(account, measure, period) for account in scope.accounts if has(account, measure)]
            is_withdrawn = not parts and any(measure in TRAITS[account.platform].withdrawn for account in scope.accounts)
            yield measure, self._constant("retired", period) if is_withdrawn else self._sum(parts, period)
        yield "comments_audience", self._sum([self._comments(account, period) for account in scope.accounts], period, RESTATED_DAYS)
        yield "engagement_count", self._sum([self._engagement(account, period) for account in scope.accounts], period, RESTATED_DAYS)
        yield "posts", self._sum([self._posts(account, period) for account in scope.accounts], period, RESTATED_DAYS)
        yield "conversation_volume", self._distinct(scope, period, is_of_comments=True)
        for indicator in ("mentions", "mentions_tagged"):
            yield indicator, self._distinct(scope, period, is_of_comments=False)
        yield "mentions_untagged", self._constant("not_connected", period)
        if scope.level == "institution":
            for indicator in ("bounce_rate", "bounced_sessions"):
                yield indicator, self._constant("not_connected", period)
        yield from self._reach(scope, period)
        yield from self._audience(scope, period)

    def _constant(self, status: str, period: Period) -> Expected:
        return Expected(None, status, None, None, None, 0.0, self._is_running(period), period.end)

    def _sum(
        self, parts: list[Part], period: Period, restated_days: int = 0, put_together: Callable[[Sequence[int]], int] = sum
    ) -> Expected:
        """Add the accounts' parts; those that lack the measure were left out before."""
        if not parts:
            return self._constant("not_applicable", period)
        values = [part.value for part in parts if part.value is not None]
        status = "ok" if values else worst(part.status for part in parts)
        coverage = sum(part.known for part in parts) / sum(part.total for part in parts)
        is_provisional = self._is_restated(period, restated_days)
        return Expected(float(put_together(values)) if values else None, status, None, None, None, coverage, is_provisional, period.end)

    def _counter(self, account: Account, measure: str, period: Period) -> Part:
        """Return the sum of a counter's differences over the measured days."""
        span = self._days(period)
        all_given = self._given(account, measure)
        given = [day for day in span if day in all_given]
        if given:
            daily = self.books.counters[account.id, measure]
            return Part(sum(daily.get(day) or 0 for day in given), "ok", len(given), len(span))
        return Part(None, self._why_unmeasured(account, measure, span), 0, len(span))

    def _given(self, account: Account, measure: str) -> frozenset[date]:
        """Return the days that are measured and on which the movement of each post is known."""
        key = (account.id, measure)
        if key not in self._given_days:
            seen, daily, streams = self.night.seen[account.id], self.books.counters[key], TRAITS[account.platform].counters[measure]
            known = seen.known[streams[0]]
            self._given_days[key] = frozenset(day for day in known if seen.is_measured(day, streams) and daily.get(day, 0) is not None)
        return self._given_days[key]

    def _covered(self, account: Account, stream: str) -> frozenset[date]:
        return self.night.seen[account.id].covered_events[stream]

    def _why_unmeasured(self, account: Account, measure: str, span: list[date]) -> str:
        seen, streams = self.night.seen[account.id], TRAITS[account.platform].counters[measure]
        first = seen.first_known(streams)
        if first is None or all(day <= first for day in span):
            return "insufficient_history"
        return "lost" if any(not seen.is_known(day, streams) and day < self.as_of for day in span) else "missing_input"

    def _comments(self, account: Account, period: Period) -> Part:
        """Return the audience's comments of the covered days."""
        span = self._days(period)
        known = self._covered(account, TRAITS[account.platform].comments)
        covered = [day for day in span if day in known]
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
        measures = [measure for measure in ENGAGEMENT_COUNTERS if has(account, measure)]
        parts = [self._counter(account, measure, period) for measure in measures]
        parts.append(self._comments(account, period))
        span, commented = self._days(period), self._covered(account, TRAITS[account.platform].comments)
        both = sum(day in commented and all(day in self._given(account, measure) for measure in measures) for day in span)
        missing = [part.status for part in parts if part.value is None]
        if missing:
            return Part(None, worst(missing), both, len(span))
        return Part(sum(part.value for part in parts if part.value is not None), "ok", both, len(span))

    def _distinct(self, scope: Scope, period: Period, *, is_of_comments: bool) -> Expected:
        """Count distinct items: an item that names two of our accounts counts once at platform level.

        A platform without a list of mentions has only comments in its conversation, and no mentions.
        """
        span = self._days(period)
        found: set[tuple[str, str]] = set()
        known, total = 0, 0
        for account in scope.accounts:
            traits = TRAITS[account.platform]
            books = [self.books.mentions] if traits.mentions else []
            books += [self.books.comments] if is_of_comments else []
            streams = {*filter(None, [traits.mentions]), *([traits.comments] if is_of_comments else [])}
            covered = [day for day in span if all(day in self._covered(account, stream) for stream in streams)]
            known += len(covered) if books else 0
            total += len(span) if books else 0
            found.update((account.platform, item) for daily in books for day in covered for item in daily[account.id].get(day, ()))
        part = Part(len(found), "ok", known, total) if known else Part(None, "missing_input", 0, total)
        return self._sum([part] if total else [], period, RESTATED_DAYS)

    # -- reach ------------------------------------------------------------------------------------------------------------------------

    def _reach(self, scope: Scope, period: Period) -> Iterator[tuple[str, Expected]]:
        """Yield the people reached, as the platform counted them over the very window, and between what and what they lie.

        Unique counts are never added: coarser than an account there is reach only where the population has one account alone. A month
        has none anywhere. Reading: reach stays provisional for as long as the platform's own days are restated.
        """
        accounts = [account for account in scope.accounts if gives_reach(account)]
        restated = max((TRAITS[account.platform].flows_restated for account in accounts), default=0)
        is_counted = len(scope.accounts) == 1 and period.type in REACH_OF
        yield "reach", self._sum([self._window_reach(account, period) for account in accounts if is_counted], period, restated)
        for name, put_together in (("reach_lower", max), ("reach_upper", sum)):
            bounds = [self._reach_bound(account, period, put_together) for account in accounts]
            yield name, self._sum(bounds, period, restated, put_together)

    def _window_reach(self, account: Account, period: Period) -> Part:
        """Return the platform's own count of a window: that of its last day, looking back."""
        seen = self.night.seen[account.id]
        value = seen.flow(period.end, REACH_OF[period.type]) if period.type in REACH_OF and not self._is_running(period) else None
        if value is not None:
            return Part(value, "ok", 1, 1)
        return Part(None, seen.why_no_flow(period.end), 0, 1)

    def _reach_bound(self, account: Account, period: Period, put_together: Callable[[Sequence[int]], int]) -> Part:
        """Return the window's own count, else the largest, or the sum, of its days, when all are known."""
        seen, span = self.night.seen[account.id], self._days(period)
        window = self._window_reach(account, period)
        if window.value is not None:
            return Part(window.value, "ok", len(span), len(span))
        daily = [seen.flow(day, "reach") for day in span]
        known = [value for value in daily if value is not None]
        if len(known) == len(span):
            return Part(put_together(known), "ok", len(span), len(span))
        why = worst(seen.why_no_flow(day) for day, value in zip(span, daily, strict=True) if value is None)
        return Part(None, why, len(known), len(span))

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
        known, first = seen.known["accounts"], seen.first_known(("accounts",))
        if day in known:
            return self.night.world.followers_shown(account.id, known[day]), "ok"
        if first is None or day < first:
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
        by_reach = self._ratio(scope, period, lambda post: _pair(post.engagement(), post.counters["reach"]), needs=("reach",))
        yield "engagement_rate", _supported(by_reach, REACH_LEAST)
        by_views = self._ratio(scope, period, lambda post: _pair(post.engagement(), post.exposures()), needs=("views", "impressions"))
        yield "engagement_rate_views", by_views
        yield "engagement_rate_followers", self._ratio(scope, period, lambda post: _pair(post.engagement(), post.followers))
        reactions, shares = ("reactions",), ("shares",)
        applause = self._ratio(scope, period, lambda post: _pair(post.counters["reactions"], 1), needs=reactions, is_event=False)
        yield "applause_rate", applause
        amplification = self._ratio(scope, period, lambda post: _pair(post.counters["shares"], 1), needs=shares, is_event=False)
        yield "amplification_rate", amplification
        yield "conversation_rate", self._ratio(scope, period, lambda post: _pair(post.comments, 1))
        score = self._score(scope, period)
        yield "comment_score", score
        yield "comment_score_index", self._index(scope, period, score)

    def _score(self, scope: Scope, period: Period) -> Expected:
        return self._ratio(scope, period, lambda post: _pair(post.comments, post.followers), scale=1000)

    def _cohort(self, account: Account, period: Period, needs: tuple[str, ...]) -> list[CohortPost]:
        """Return the posts of a period; where some counter is needed, those whose type has one."""
        published = [root for root in self.books.roots[account.id] if period.start <= root.day <= period.end]
        return [root for root in published if not needs or any(name in root.counters for name in needs)]

    def _ratio(  # noqa: PLR0913 what makes one
        self,
        scope: Scope,
        period: Period,
        read: Callable[[CohortPost], tuple[int, int] | None],
        *,
        needs: tuple[str, ...] = (),
        is_event: bool = True,
        scale: int = 1,
    ) -> Expected:
        """Divide the sums over the posts of the accounts that have one of the needed counters."""
        accounts = [account for account in scope.accounts if not needs or any(has(account, name) for name in needs)]
        if not accounts:
            return self._constant("not_applicable", period)
        shares = [self._share(self._cohort(account, period, needs), read) for account in accounts]
        usable = [share for share in shares if share.status == "ok"]
        used, total = sum(share.used for share in shares), sum(share.total for share in shares)
        coverage = used / total if total else 1.0
        is_young = any(root.is_young for account in accounts for root in self._cohort(account, period, needs))
        is_provisional = is_young or self._is_restated(period, RESTATED_DAYS if is_event else 0)
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


def _supported(ratio: Expected, least: int) -> Expected:
    """Keep back a ratio over too few."""
    is_small = ratio.value is not None and ratio.denominator is not None and ratio.denominator < least
    return ratio._replace(value=None, status="below_min_n") if is_small else ratio


def _pair(numerator: int | None, denominator: int | None) -> tuple[int, int] | None:
    return None if numerator is None or denominator is None else (numerator, denominator)
