"""The page of what each platform gives is that of today's modules, and tells types of post and days."""

from __future__ import annotations

from datetime import date

import pytest

from assets import matrix
from assets.indicators.registry import indicators
from assets.staging.mapping import Gives, PlatformMapping


def test_the_page_is_current() -> None:
    assert matrix.PAGE.read_text(encoding="utf-8") == matrix.page(), "What platforms give has changed: run python -m assets.matrix"


GIVES = {
    "reactions": Gives(metric="likes"),
    "saves": Gives(post_types=("reel", "post"), since=date(2025, 1, 1)),
    "reach": Gives(post_types=("post", "carousel"), until=date(2026, 6, 15)),
    "views": Gives(until=date(2026, 8, 23)),
    "exposures": Gives(),
    "followers": Gives(),
}


@pytest.mark.parametrize(
    ("indicator", "told"),
    [
        ("reactions", "all"),
        ("saves", "post reel, since 2025-01-01"),
        ("views", "all, until 2026-08-23"),
        ("engagement_rate", "carousel post, until 2026-06-15"),
        ("engagement_rate_followers", "all"),
        ("applause_rate", "all"),
        ("comment_score_index", "no"),
        ("shares", "no"),
    ],
)
def test_a_cell_tells_the_types_of_post_and_the_days(indicator: str, told: str) -> None:
    assert matrix.cell(indicators()[indicator], GIVES) == told


def test_a_measure_tells_the_platforms_own_number() -> None:
    page = matrix.page(
        {"made_up": PlatformMapping("made_up", {}, {"saves": Gives("insights", metric="saved", version=2, paid_scope="organic")})}
    )
    assert "| `saves` | made_up | `saved` | 2 | organic | `insights` | all |" in page
    assert "| `saves` | all |" in page
    assert "| `reactions` | no |" in page
