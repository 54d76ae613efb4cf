"""The dictionary of indicators: every definition as data, read once and validated.

Not here: how a value is computed (assets/indicators/*.py) and which goal asks for it (assets/goals/).
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

# The C parser reads the ten files in a tenth of the time; both know nothing but plain data.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Method = Literal[
    "activity_sum",
    "stock",
    "net_change",
    "growth_rate",
    "reach",
    "reach_lower",
    "reach_upper",
    "event_count",
    "cohort_ratio",
    "score_index",
    "unavailable",
]
Measure = Literal[
    "reactions",
    "comments_audience",
    "shares",
    "saves",
    "views",
    "impressions",
    "link_clicks",
    "reach",
    "account_reach",
    "exposures",
    "followers",
    "followers_at_publication",
    "posts",
    "mentions",
    "conversation_items",
    "site_sessions",
]


class Strict(BaseModel):
    """What is not declared is refused: a misspelt entry must not pass as a missing one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(Strict):
    """A text in Indonesian and English."""

    id: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Authority(Strict):
    """Where a definition comes from. `evidence` is the tag of the specification: S article, V verified, K background, D house rule."""

    title: str
    evidence: Literal["S", "V", "K", "D"]
    url: str | None = None


class Compute(Strict):
    """How the engine obtains a value: a method of assets/indicators and the measures that it reads.

    A cohort ratio is `scale` * sum(numerator) / sum(denominator) over the posts of the window.
    """

    method: Method
    numerator: tuple[Measure, ...] = ()
    denominator: Measure | None = None
    scale: int = 1
    of: str | None = None


class Indicator(Strict):
    """One indicator as `ref.indicator` publishes it."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    family: str
    label: Bilingual
    formula: Bilingual
    unit: str
    decimals: int = Field(ge=0, le=6)
    direction: Literal["higher", "lower", "range", "none"]
    additivity: Literal["additive", "stock", "unique", "ratio", "quantile"]
    cohort: Literal["activity", "publication_d7"]
    amec_level: Literal["input", "activity", "output", "out-take", "outcome", "impact"]
    null_rule: Bilingual
    limits: Bilingual
    authority: tuple[Authority, ...] = Field(min_length=1)
    needs: Literal["social", "site", "desk", "hiring", "giving", "workplace", "listening", "survey", "finance"]
    dimensions: tuple[str, ...] = ()
    min_support: int | None = None
    scale_min: float | None = None
    alias_of: str | None = None
    compute: Compute | None = None
    version: int = 1
    valid_from: date = date(2026, 1, 1)

    @property
    def is_computed(self) -> bool:
        return self.compute is not None

    @model_validator(mode="after")
    def _ratio_names_its_parts(self) -> Indicator:
        if self.compute and self.compute.method == "cohort_ratio" and not (self.compute.numerator and self.compute.denominator):
            message = f"{self.key}: a cohort ratio needs a numerator and a denominator"
            raise ValueError(message)
        return self


FAMILIES = ("audience", "engagement", "conversation", "site", "conversion", "service", "hiring", "crisis", "workplace", "giving")


@cache
def indicators() -> dict[str, Indicator]:
    """All indicators by key, in the order of the files.

    Raises:
        ValueError: two entries share a key, or an alias points nowhere (the sentence names file and key).
    """
    found: dict[str, Indicator] = {}
    for family in FAMILIES:
        path = Path(__file__).with_name(f"{family}.yaml")
        entries = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 a safe loader, in C where there is one
        for key, entry in (entries or {}).items():
            if key in found:
                message = f"{path.name}: the indicator {key!r} is defined twice"
                raise ValueError(message)
            found[key] = Indicator(key=key, family=family, **entry)
    for entry in found.values():
        if entry.alias_of is not None and entry.alias_of not in found:
            message = f"{entry.family}.yaml: {entry.key} is an alias of {entry.alias_of!r}, which is not defined"
            raise ValueError(message)
    return found
