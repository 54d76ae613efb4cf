"""Periods and levels: over which days and which accounts a number stands. Does not live here: the numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from sandbox.facts import Account, days


class Period(NamedTuple):
    """A span of local days, both ends included."""

    type: str
    start: date
    end: date


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
