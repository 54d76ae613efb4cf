"""Which platform gives which indicator, of which posts, since when and until when. `python -m assets.matrix` writes it to docs/availability.md.

Not here: what each platform gives (its module in staging/) and the same as a table (`ref.availability`, pipelines/reference.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from assets.indicators.registry import Indicator, indicators
from assets.staging import mappings
from assets.staging.mapping import Gives, PlatformMapping
from connectors.registry import platforms

PAGE = Path(__file__).parents[1] / "docs" / "availability.md"
NOTHING = "no"
# What is there where the other is.
SAME_AS = {"followers_at_publication": "followers"}
HEAD = """# What each platform gives

Made by `python -m assets.matrix` from the platforms' modules (`assets/staging/`) and the registry; a test compares. In the published file: `ref.availability`.

## Indicators
A cell names the types of post that have it (all = whatever the account has), and the days between which the platform gives it.
no = the platform has no such thing: `not_applicable`.
A type of post that lacks a part of a sum counts without it; one that lacks the denominator of a rate is left out of the rate. Stories are in no rate.
"""
MEASURES = """
## Measures
From which number of the platform's own each is made, in which version of its meaning, whether what was paid for is in it, and what the token must be allowed.
"""


def page(known: Mapping[str, PlatformMapping] | None = None) -> str:
    """The page as it stands in the docs."""
    given = {name: one.gives for name, one in sorted((mappings() if known is None else known).items())}
    labels = [platforms()[name].label if name in platforms() else name for name in given]
    matrix = [[f"`{entry.key}`", *(cell(entry, gives) for gives in given.values())] for entry in _social()]
    measures = [
        [
            f"`{measure}`",
            name,
            f"`{one.metric}`",
            str(one.version),
            one.paid_scope,
            f"`{one.field}`" if one.field else "",
            _scope([one]),
        ]
        for name, gives in zip(labels, given.values(), strict=True)
        for measure, one in sorted(gives.items())
    ]
    told = ["measure", "platform", "its number", "version", "paid scope", "needs", "posts"]
    return "\n".join([HEAD, *_table(["indicator", *labels], matrix), MEASURES, *_table(told, sorted(measures)), ""])


def cell(entry: Indicator, gives: Mapping[str, Gives]) -> str:
    """Of which posts a platform that gives this has the indicator, and when."""
    compute = entry.compute
    while compute is not None and compute.of:
        compute = indicators()[compute.of].compute
    if compute is None:
        return NOTHING
    parts = [gives[name] for name in compute.numerator if name in gives]
    below = [] if compute.denominator in {None, "posts"} else [SAME_AS.get(str(compute.denominator), str(compute.denominator))]
    if not parts or any(name not in gives for name in below):
        return NOTHING
    return _scope(parts, gives[below[0]] if below else Gives())


def _scope(parts: Sequence[Gives], below: Gives | None = None) -> str:
    """The types of post of which one of the parts is there, and what is below with it, and the days on which that is so."""
    below = below or Gives()
    every: set[str] | None = None if any(not one.post_types for one in parts) else {name for one in parts for name in one.post_types}
    also = set(below.post_types) or None
    types = every & also if every is not None and also is not None else every or also
    since = _last([_first(one.since for one in parts), below.since])
    until = _first([_last([one.until for one in parts], is_open=True), below.until], is_open=True)
    days = [*([f"since {since}"] if since else []), *([f"until {until}"] if until else [])]
    return ", ".join([" ".join(sorted(types)) if types else "all", *days])


def _first(days: Iterable[date | None], *, is_open: bool = False) -> date | None:
    """The earliest; without a day it is always, or with `is_open` never."""
    found = list(days)
    known = [day for day in found if day is not None]
    return min(known, default=None) if is_open or len(known) == len(found) else None


def _last(days: Iterable[date | None], *, is_open: bool = False) -> date | None:
    found = list(days)
    known = [day for day in found if day is not None]
    return max(known, default=None) if not is_open or len(known) == len(found) else None


def _social() -> list[Indicator]:
    return [entry for entry in indicators().values() if entry.compute is not None and entry.compute.method != "unavailable"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["--"] * len(head), *rows)]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
