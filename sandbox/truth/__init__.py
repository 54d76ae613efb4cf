"""The numbers that must come out: plain arithmetic over the simulated world, after docs/numbers.md and nothing else.

Lives here: what each published number of the two goals is at an as-of day, given the nights that ran. Does not live here: any code of
the pipeline; the two know each other only through the tests that compare them.

One rule a function, in the order of docs/numbers.md, so that a difference can be settled by reading. Where that page leaves a choice,
the docstring says `Reading:`. The rooms: `traits` (what each platform gives), `periods`, `seen` (what the nights saw), `books` (items and
posts per account), `numbers` (the indicators).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from sandbox.facts import FIRST_PLATFORMS, FUNDRAISING, Account, Platform
from sandbox.truth.books import Night
from sandbox.truth.numbers import Expected, Key, Reckoning
from sandbox.truth.periods import Population
from sandbox.truth.seen import Seen
from sandbox.truth.traits import TRAITS
from sandbox.world import World, nights_run

__all__ = ["Expected", "Key", "account_flows", "expected", "populations"]

FUNDRAISING_TAGS = frozenset({"zakat", "sedekah", "wakaf", "donasi"})
Nights = Sequence[datetime] | Mapping[Platform, Sequence[datetime]]


def populations(world: World, platforms: Sequence[Platform] = FIRST_PLATFORMS) -> tuple[Population, Population]:
    """Return the populations of the institution's two goals, of the connected platforms' accounts."""
    every = tuple(account for account in world.accounts if account.platform in platforms)
    fundraising = tuple(account for account in FUNDRAISING if account in every)
    return Population("all", every, None), Population("fundraising", fundraising, FUNDRAISING_TAGS)


def expected(
    world: World,
    as_of_day: date,
    nights: Nights | None = None,
    platforms: Sequence[Platform] = FIRST_PLATFORMS,
    hourly: Sequence[datetime] = (),
) -> dict[Key, Expected]:
    """Return what every published number of the two goals must be at the end of an as-of day.

    `nights` are the instants at which complete fetches ran, for all platforms or per platform; by default all but the missed one.
    `platforms` are those that are connected; at the instants of `hourly` comments, mentions and stories alone were fetched.
    """
    every, fundraising = populations(world, platforms)
    hours = _seconds(hourly)
    seen = {account.id: Seen(world, account, moments, hours, as_of_day) for account, moments in _by_account(every, world, nights)}
    night = Night(world, as_of_day, seen)
    chosen = [population for population in (every, fundraising) if population.accounts]
    return {key: value for population in chosen for key, value in Reckoning(night, population).rows()}


def account_flows(
    world: World, as_of_day: date, nights: Nights | None = None, platforms: Sequence[Platform] = FIRST_PLATFORMS
) -> dict[tuple[str, date, str], int]:
    """Return what stands of the accounts' days: per account id, platform's day and measure the value that was told last."""
    every, _ = populations(world, platforms)
    found: dict[tuple[str, date, str], int] = {}
    for account, moments in _by_account(every, world, nights):
        seen = Seen(world, account, moments, (), as_of_day)
        for day in seen.asked_days():
            for measure in TRAITS[account.platform].flows:
                value = seen.flow(day, measure)
                if value is not None:
                    found[account.id, day, measure] = value
    return found


def _by_account(population: Population, world: World, nights: Nights | None) -> Iterator[tuple[Account, list[int]]]:
    chosen = nights_run(world) if nights is None else nights
    for account in population.accounts:
        yield account, _seconds(chosen[account.platform] if isinstance(chosen, Mapping) else chosen)


def _seconds(moments: Sequence[datetime]) -> list[int]:
    return [int(moment.timestamp()) for moment in moments]
