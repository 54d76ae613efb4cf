"""Which platforms there are, and that each is declared whole.

Not here: what a platform answers (tests/sandbox/, tests/counterparts/).
"""

from __future__ import annotations

from pathlib import Path

import pytest

import connectors
from connectors.registry import platforms
from connectors.streams import Connector

ALL = platforms().values()


def test_a_platform_is_a_module_that_declares_a_connector() -> None:
    files = {
        path.stem for path in Path(connectors.__path__[0]).glob("*.py") if "CONNECTOR = Connector(" in path.read_text(encoding="utf-8")
    }
    assert {"mastodon", "x"} <= set(platforms()) == files
    assert list(platforms()) == sorted(platforms())


@pytest.mark.parametrize("connector", ALL, ids=lambda connector: connector.platform)
def test_a_platform_is_declared_whole(connector: Connector) -> None:
    names = [stream.name for stream in connector.streams]
    assert len(names) == len(set(names))
    assert connector.docs_url.startswith("https://")
    assert connector.default_base_url is None or connector.default_base_url.startswith("https://")
    assert connector.limits.requests > 0
    assert connector.limits.concurrent > 0
    assert connector.auth.scopes


@pytest.mark.parametrize("connector", ALL, ids=lambda connector: connector.platform)
def test_every_stream_of_people_says_what_may_pass(connector: Connector) -> None:
    """Only counts without people may pass as they are."""
    open_streams = {stream.name for stream in connector.streams if stream.private is None}
    assert open_streams <= {"mention_hours", "insights_day", "followers_day", "insights_week", "insights_28d", "totals_day"}


def test_the_registry_is_read_once() -> None:
    assert platforms() is platforms()
