"""What a goal is: its names, where they come from, and the indicators by which it is judged.

Not here: the goals themselves (one module each, beside this file) and any figure.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

NamedBy = Literal["article", "earlier_article", "reconstructed", "practice"]
Provenance = Literal["article", "earlier_article", "reconstructed"]


class Goal(BaseModel):
    """One of the eleven goals (`indicators.md` section 1).

    `named` holds the indicators that the source names, in its order; `practice` those that practitioners add.
    A pair of count and rate that the source puts under one term stands as two neighbours in `named`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    number: int
    label_id: str
    label_en: str
    question_id: str
    question_en: str
    amec_level: str
    provenance: Provenance
    certainty: str
    source: str
    named: tuple[str, ...]
    practice: tuple[str, ...]

    @property
    def named_by(self) -> NamedBy:
        """Who names the indicators in `named`."""
        return self.provenance

    @property
    def indicator_keys(self) -> tuple[str, ...]:
        return (*self.named, *self.practice)
