"""Numbers that a platform gives by name: for which kind of thing, since when, until when, and which of them it has refused.

Not here: the names (each platform's own declaration), how a refusal is found (beside.py), and the ledger that remembers it (assets/).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date
from typing import Literal

Status = Literal["retired", "not_permitted"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of a platform's register.

    Args:
        name: as the platform calls it.
        kinds: the kinds of things for which it may be asked, as the stream's `kind_of` tells them; none = there are no kinds.
        introduced: first day on which it can be asked for; None = always.
        retired: first day on which it no longer can; None = it lives. It then stays in the register, for those who look for it.
        replaced_by: the metric that took its place.
        note: what a user must know about it.
    """

    name: str
    kinds: tuple[str, ...] = ()
    introduced: date | None = None
    retired: date | None = None
    replaced_by: str = ""
    note: str = ""

    @property
    def entry(self) -> str:
        """A fingerprint of the entry: what was refused is asked for again when the entry changes."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:12]

    def lives(self, today: date) -> bool:
        return (self.introduced is None or self.introduced <= today) and (self.retired is None or today < self.retired)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A metric that the platform does not give for a kind of thing, and the register's entry by which it was asked for."""

    metric: str
    kind: str
    status: Status
    entry: str


class Register:
    """What may be asked for in one window of one stream, and what the platform answered to that.

    Args:
        metrics: the stream's entries.
        today: which of them live.
        known: what earlier runs found to be retired.
    """

    def __init__(self, metrics: Iterable[Metric], today: date, known: Iterable[Refusal] = ()) -> None:
        self._metrics = tuple(metrics)
        self._living = tuple(metric for metric in self._metrics if metric.lives(today))
        self._refused: dict[tuple[str, str], Status] = {
            (one.metric, one.kind): one.status for one in known if one.entry == self._entry(one.metric, one.kind)
        }
        self._answered: set[str] = set()
        self._given: set[tuple[str, str]] = set()
        self.news: list[Refusal] = []
        living = {metric.name for metric in self._living}
        self._gone = {metric.name for metric in self._metrics if metric.retired is not None and metric.retired <= today} - living

    def _entry(self, name: str, kind: str) -> str | None:
        """The entry by which a metric is asked for, for things of a kind: a name may have one for each of several kinds."""
        return next((one.entry for one in self._metrics if one.name == name and (not one.kinds or kind in one.kinds)), None)

    def wanted(self, kind: str = "") -> tuple[str, ...]:
        """The metrics to ask for, for things of a kind."""
        return tuple(
            metric.name
            for metric in self._living
            if (not metric.kinds or kind in metric.kinds) and (metric.name, kind) not in self._refused
        )

    def refuse(self, metric: str, kind: str, status: Status) -> None:
        """The platform does not give it; it is not asked for again in this window."""
        self._refused[metric, kind] = status
        self.news.append(Refusal(metric, kind, status, self._entry(metric, kind) or ""))

    def answered(self, metrics: Iterable[str]) -> None:
        self._answered.update(metrics)

    def given(self, metrics: Iterable[str], kind: str) -> None:
        """A thing of the kind was told these."""
        self._given.update((metric, kind) for metric in metrics)

    def is_given(self, metric: str, kind: str) -> bool:
        """Another thing of the kind was told it in this window: what refuses it is one thing, not the platform."""
        return (metric, kind) in self._given

    @property
    def has_answers(self) -> bool:
        return bool(self._answered)

    def missing(self, status: Status) -> set[str]:
        """The metrics that are given for no kind of thing at all, for this reason."""
        by_metric: Mapping[str, set[Status]] = defaultdict(set)
        for (metric, _), found in self._refused.items():
            by_metric[metric].add(found)
        gone = self._gone if status == "retired" else set()
        return gone | {metric for metric, found in by_metric.items() if found == {status} and metric not in self._answered}
