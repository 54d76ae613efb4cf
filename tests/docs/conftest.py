"""The published file that the documentation speaks of.

Not here: how it comes about (`make demo`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.played import PlayedHome


@pytest.fixture(scope="session")
def published_file(request: pytest.FixtureRequest) -> Path:
    """The file that TOLOK_PUBLISHED_FILE names, else that of a demo played for the tests."""
    named = os.environ.get("TOLOK_PUBLISHED_FILE")
    if named:
        return Path(named)
    played: PlayedHome = request.getfixturevalue("full_demo")
    return played.published
