"""The published file that the documentation speaks of.

Not here: how it comes about (`make demo`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = Path("var/demo/published/cahaya/latest/tolok.duckdb")


@pytest.fixture(scope="session")
def published_file() -> Path:
    """The file that TOLOK_PUBLISHED_FILE names, else the demo's; without either the test is skipped."""
    named = os.environ.get("TOLOK_PUBLISHED_FILE")
    path = Path(named) if named else ROOT / PUBLISHED
    if not path.is_file():
        pytest.skip(f"no published file at {path}: run `make demo`, or set TOLOK_PUBLISHED_FILE")
    return path
