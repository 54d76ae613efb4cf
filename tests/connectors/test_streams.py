"""Windows tile time without hole or overlap, and what the platforms declare holds together.

Not here: which windows are due (tests/assets/).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.raw import windows_due
from connectors.registry import platforms
from connectors.streams import Connector, Stream, Window, floor, tile

instants = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 the strategy adds the zone
steps = st.timedeltas(timedelta(seconds=1), timedelta(days=90))
STREAMS = [(connector, stream) for connector in platforms().values() for stream in connector.streams]
BY_NAME = pytest.mark.parametrize(("connector", "stream"), STREAMS, ids=[f"{c.platform}/{s.name}" for c, s in STREAMS])


@given(instants, st.timedeltas(timedelta(0), timedelta(days=400)), st.timedeltas(timedelta(hours=12), timedelta(days=500)))
def test_windows_tile_time_without_hole_or_overlap(start: datetime, span: timedelta, size: timedelta) -> None:
    end = start + span
    windows = list(tile(start, end, size))
    assert bool(windows) == (span > timedelta(0))
    for window in windows:
        assert window.start < window.end <= window.start + size
    for one, other in pairwise(windows):
        assert one.end == other.start
    if windows:
        assert (windows[0].start, windows[-1].end) == (start, end)


@given(instants, steps)
def test_the_floor_is_the_last_multiple_that_is_not_later(instant: datetime, step: timedelta) -> None:
    found = floor(instant, step)
    assert found <= instant < found + step
    assert (found - datetime(1970, 1, 1, tzinfo=UTC)) % step == timedelta(0)
    assert floor(found, step) == found


@BY_NAME
def test_a_stream_that_is_not_told_where_to_end_has_one_window(connector: Connector, stream: Stream) -> None:
    """Otherwise each of its windows would be read up to now: five times over for a year's history, and X bills each read."""
    del connector
    now = datetime(2026, 1, 15, 19, tzinfo=UTC)
    if not any("{window_end}" in value for value in stream.params.values()):
        assert len(windows_due(stream, now, None, timedelta(days=365))) == 1
        assert len(windows_due(stream, now, now - timedelta(days=400), timedelta(days=365))) == 1


@BY_NAME
def test_a_windows_begin_is_a_multiple_where_the_platform_counts_in_buckets(connector: Connector, stream: Stream) -> None:
    del connector
    for window in windows_due(stream, datetime(2026, 1, 15, 19, 23, 11, tzinfo=UTC), None, timedelta(days=30)):
        if stream.align is not None:
            assert floor(window.start, stream.align) == window.start


@BY_NAME
def test_what_can_restate_is_asked_again_for_as_long(connector: Connector, stream: Stream) -> None:
    del connector
    assert stream.lookback >= stream.restates


@BY_NAME
def test_a_stream_says_in_a_sentence_what_its_rows_are(connector: Connector, stream: Stream) -> None:
    assert stream.description.startswith("One row per ")
    assert stream.description.endswith(".")
    assert stream.request.startswith("GET /")
    assert connector.stream(stream.name) is stream


def test_a_window_is_two_instants() -> None:
    now = datetime(2026, 1, 15, tzinfo=UTC)
    assert Window(now, now) == Window(now, now)
