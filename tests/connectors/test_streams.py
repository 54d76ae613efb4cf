"""Windows tile time without hole or overlap, and what the platforms declare holds together.

Not here: which windows are due (tests/assets/).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.asking import windows_due
from connectors.registry import platforms
from connectors.streams import Connector, Snapshot, Stream, Window, days_floor, floor, tile, uncovered

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
    if not any(place in value for value in stream.params.values() for place in ("{window_end", "{last_day}")):
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


# Twice a year Berlin's clocks jump and Jakarta's never: windows are made of instants, so neither shows in them.
ZONES = ("UTC", "Asia/Jakarta", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe")
anywhere = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.sampled_from([ZoneInfo(zone) for zone in ZONES]))  # noqa: DTZ001
spans = st.timedeltas(timedelta(minutes=1), timedelta(days=40))


@BY_NAME
@settings(max_examples=30)
@given(begun=anywhere, gaps=st.lists(spans, max_size=5), history=st.timedeltas(timedelta(days=1), timedelta(days=365)))
def test_run_after_run_the_windows_leave_no_hole_and_never_overlap_within_a_run(
    connector: Connector, stream: Stream, begun: datetime, gaps: list[timedelta], history: timedelta
) -> None:
    """Whatever the nights' distance, the zone of whoever asks, and the buckets in which the platform counts."""
    del connector
    now, until = begun.astimezone(UTC), None
    for gap in [timedelta(0), *gaps]:
        now += gap
        windows = windows_due(stream, now, until, history)
        for one, other in pairwise(windows):
            assert one.end == other.start
        assert all(timedelta(0) < window.end - window.start or stream.lookback == timedelta(0) for window in windows)
        assert windows[-1].end == (now if stream.day_zone is None else days_floor(now, stream.day_zone))
        assert windows[0].start <= now - stream.lookback or stream.retention is not None or stream.earliest is not None
        if until is not None and not isinstance(stream.kind, Snapshot):
            # What the platform still gives begins where the last run ended, or before.
            reachable = until if stream.retention is None else max(until, now - stream.retention)
            reachable = reachable if stream.earliest is None else max(reachable, stream.earliest)
            assert windows[0].start <= reachable
        if stream.align is not None:
            assert (windows[0].start - datetime(1970, 1, 1, tzinfo=UTC)) % stream.align == timedelta(0)
        until = windows[-1].end


@given(instants, st.timedeltas(timedelta(0), timedelta(days=50)), st.lists(st.tuples(st.integers(-40, 80), st.integers(0, 40)), max_size=8))
def test_what_is_known_and_what_is_left_are_the_whole_and_do_not_overlap(
    start: datetime, span: timedelta, known: list[tuple[int, int]]
) -> None:
    whole = Window(start, start + span)
    had = [Window(start + timedelta(days=at), start + timedelta(days=at + days)) for at, days in known]
    left = uncovered(whole, had)
    for one, other in pairwise(left):
        assert one.end <= other.start
    for hour in range(0, int(span.total_seconds()) // 3600, 7):
        at = start + timedelta(hours=hour)
        is_known = any(one.start <= at < one.end for one in had)
        assert is_known != any(one.start <= at < one.end for one in left)
