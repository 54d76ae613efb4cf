"""Landing: which of several snapshots is kept, to which day it belongs, and that the order of arrival does not matter.

Not here: what is asked (windows_due is tried at the end) and what a payload means (test_staging_*.py).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import asking, ledgers, raw
from connectors.registry import platforms
from tests.support.hand import at, day
from tests.support.landing import arrive, rows, warehouse

X_POSTS = platforms()["x"].stream("posts")
X_MENTIONS = platforms()["x"].stream("mentions")


def likes(identity: str, count: int) -> dict[str, object]:
    return {"id": identity, "created_at": "2026-01-01T00:00:00Z", "public_metrics": {"like_count": count}}


@pytest.mark.parametrize(
    ("clock", "closed"),
    [("02:00", "01-01"), ("10:00", "01-01"), ("11:59", "01-01"), ("12:00", "01-02"), ("23:00", "01-02")],
)
def test_a_snapshot_belongs_to_the_local_date_twelve_hours_before(clock: str, closed: str) -> None:
    assert ledgers.snapshot_day(at("01-02", clock), "Asia/Jakarta") == day(closed)


def test_the_same_instant_closes_another_day_in_another_zone() -> None:
    noon_in_jayapura = datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert ledgers.snapshot_day(noon_in_jayapura, "Asia/Jayapura") == date(2026, 1, 2)
    assert ledgers.snapshot_day(noon_in_jayapura, "Asia/Jakarta") == date(2026, 1, 1)


def test_a_rerun_at_ten_does_not_replace_the_snapshot_of_two(tmp_path: Path) -> None:
    with warehouse() as connection:
        for clock, count in (("02:00", 5), ("10:00", 9)):
            arrive(tmp_path, "x", "posts", at("01-02", clock), [likes("p", count)])
            raw.land(connection, tmp_path, at("01-02", clock))
        kept = rows(connection, "x", "posts")
    assert kept["day"].to_list() == [day("01-01")]
    assert '"like_count":5' in kept["payload"][0].replace(" ", "")


def test_the_snapshot_nearest_to_the_end_of_the_day_replaces_one_further_off(tmp_path: Path) -> None:
    with warehouse() as connection:
        for when, count in ((at("01-01", "18:00"), 3), (at("01-01", "23:30"), 4), (at("01-02", "02:00"), 5)):
            arrive(tmp_path, "x", "posts", when, [likes("p", count)])
            raw.land(connection, tmp_path, when)
        kept = rows(connection, "x", "posts")
    assert kept["day"].to_list() == [day("01-01")]
    assert kept["observed_at"].to_list() == [at("01-01", "23:30")]


def test_what_brings_nothing_new_leaves_no_row_no_ledger_and_no_file(tmp_path: Path) -> None:
    with warehouse() as connection:
        arrive(tmp_path, "x", "posts", at("01-02", "02:00"), [likes("p", 5)])
        raw.land(connection, tmp_path, at("01-02", "02:00"))
        files = sorted(path for path in tmp_path.rglob("*.gz"))
        arrive(tmp_path, "x", "posts", at("01-02", "10:00"), [likes("p", 9)])
        landed, gaps = raw.land(connection, tmp_path, at("01-02", "10:00"))
        ledger = connection.sql("SELECT count(*) FROM meta.fetch").fetchall()
    assert [(one.new, one.changed) for one in landed] == [(0, 0)]
    assert not gaps
    assert ledger == [(1,)]
    assert sorted(path for path in tmp_path.rglob("*.gz")) == files


def test_of_an_event_the_latest_version_wins_and_it_keeps_one_row(tmp_path: Path) -> None:
    with warehouse() as connection:
        for when, words in ((at("01-02", "02:00"), 3), (at("01-03", "02:00"), 4)):
            arrive(tmp_path, "x", "mentions", when, [{"id": "m", "created_at": "2026-01-01T16:30:00Z", "flags": {"word_count": words}}])
            raw.land(connection, tmp_path, when)
        kept = rows(connection, "x", "mentions")
    assert kept.height == 1
    assert '"word_count":4' in kept["payload"][0].replace(" ", "")


def test_an_event_at_half_past_eleven_at_night_stays_on_its_local_day(tmp_path: Path) -> None:
    """23:30 WIB is 16:30 UTC of the same date; 00:30 WIT is 15:30 UTC of the date before."""
    with warehouse() as connection:
        arrive(tmp_path, "x", "mentions", at("01-03"), [{"id": "wib", "created_at": "2026-01-02T16:30:00Z"}])
        arrive(
            tmp_path,
            "x",
            "mentions",
            at("01-03"),
            [{"id": "wit", "created_at": "2026-01-02T15:30:00Z"}],
            institution="timur",
            zone="Asia/Jayapura",
        )
        raw.land(connection, tmp_path, at("01-03"))
        found = dict(rows(connection, "x", "mentions").select("record_key", "day").iter_rows())
    assert found == {"wib": day("01-02"), "wit": day("01-03")}


def test_records_without_key_or_time_are_rejected_and_counted(tmp_path: Path) -> None:
    with warehouse() as connection:
        arrive(tmp_path, "x", "mentions", at("01-03"), [{"id": "m", "created_at": "soon"}, {"created_at": "2026-01-02T16:30:00Z"}])
        raw.land(connection, tmp_path, at("01-03"))
        assert rows(connection, "x", "mentions").is_empty()
        assert connection.sql("SELECT rejected, records FROM meta.fetch").fetchall() == [(2, 2)]


def test_a_failure_is_entered_once_however_often_it_is_tried(tmp_path: Path) -> None:
    with warehouse() as connection:
        for clock in ("02:00", "03:00", "04:00"):
            arrive(tmp_path, "x", "posts", at("01-02", clock), [], reason="X answered 503.", status="missing")
            _, gaps = raw.land(connection, tmp_path, at("01-02", clock))
            assert [(gap.stream, gap.day, gap.status) for gap in gaps] == [("posts", day("01-01"), "missing")]
        assert connection.sql("SELECT count(*) FROM meta.fetch").fetchall() == [(1,)]


def test_a_replay_takes_the_runs_in_the_order_in_which_they_asked_whatever_their_names(tmp_path: Path) -> None:
    """The run that failed at two is named after the one that healed it at eight; both stand in the ledger."""
    with warehouse() as connection:
        arrive(tmp_path, "x", "accounts", at("01-02", "02:00"), [], run_id="z", reason="X answered 503.", status="missing")
        raw.land(connection, tmp_path, at("01-02", "02:00"))
        arrive(tmp_path, "x", "accounts", at("01-02", "08:00"), [{"id": "main"}], run_id="a")
        raw.land(connection, tmp_path, at("01-02", "08:00"))
        live = connection.sql("FROM meta.fetch ORDER BY requested_at").fetchall()
    with warehouse() as connection:
        raw.replay(connection, tmp_path, at("01-02", "08:00"))
        again = connection.sql("FROM meta.fetch ORDER BY requested_at").fetchall()
    assert len(live) == 2
    assert again == live


def test_a_file_of_lines_without_its_manifest_was_cut_short_and_is_not_read(tmp_path: Path) -> None:
    with warehouse() as connection:
        arrive(tmp_path, "x", "posts", at("01-02", "02:00"), [likes("p", 5)])
        next(tmp_path.rglob("*.json")).unlink()
        landed, _ = raw.land(connection, tmp_path, at("01-02", "02:00"))
    assert landed == []


INSTANTS = [at("01-01", "13:00") + timedelta(hours=step) for step in range(0, 80, 3)]
SNAPSHOTS = st.lists(
    st.tuples(st.sampled_from(INSTANTS), st.sampled_from(["p", "q"]), st.integers(0, 3)),
    min_size=1,
    max_size=7,
    unique_by=lambda one: one[:2],
)


@settings(max_examples=8, deadline=None)
@given(data=st.data(), snapshots=SNAPSHOTS)
def test_the_order_in_which_snapshots_arrive_does_not_matter(data: st.DataObject, snapshots: list[tuple[datetime, str, int]]) -> None:
    """Any order, any grouping into landings, duplicates: the same raw rows, each the nearest to its day's end."""
    shuffled = data.draw(st.permutations([*snapshots, *data.draw(st.lists(st.sampled_from(snapshots), max_size=3))]))
    cuts = data.draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    in_order = _landed(sorted(snapshots), [True] * len(snapshots))
    assert _landed(shuffled, cuts).equals(in_order)


def _landed(snapshots: list[tuple[datetime, str, int]], cuts: list[bool]) -> pl.DataFrame:
    """The raw rows after the snapshots have arrived in this order; a cut is where a landing comes between."""
    with TemporaryDirectory() as folder, warehouse() as connection:
        for number, ((when, identity, count), cut) in enumerate(zip(snapshots, cuts, strict=True)):
            arrive(Path(folder), "x", "posts", when, [likes(identity, count)], run_id=f"run-{number}")
            if cut:
                raw.land(connection, Path(folder), when)
        raw.land(connection, Path(folder), INSTANTS[-1])
        return rows(connection, "x", "posts")


def test_of_two_snapshots_equally_near_the_earlier_is_kept_in_whatever_order_they_arrive() -> None:
    evening, night = (at("01-01", "23:00"), "p", 1), (at("01-02", "01:00"), "p", 2)
    for pair in ([evening, night], [night, evening]):
        for cuts in ([True, True], [False, False]):
            assert _landed(pair, cuts)["observed_at"].to_list() == [evening[0]]


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_order_in_which_versions_of_an_event_arrive_does_not_matter(data: st.DataObject) -> None:
    versions = data.draw(st.permutations([(at("01-02", "02:00"), 1), (at("01-03", "02:00"), 2), (at("01-04", "02:00"), 3)]))
    with TemporaryDirectory() as folder, warehouse() as connection:
        for when, words in versions:
            arrive(Path(folder), "x", "mentions", when, [{"id": "m", "created_at": "2026-01-01T16:30:00Z", "flags": {"word_count": words}}])
            raw.land(connection, Path(folder), when)
        kept = rows(connection, "x", "mentions")
    assert kept.height == 1
    assert '"word_count":3' in kept["payload"][0].replace(" ", "")


def test_a_run_reaches_back_as_far_as_the_stream_looks_back() -> None:
    now = at("01-20", "02:00")
    (window,) = asking.windows_due(X_MENTIONS, now, now - timedelta(days=1), timedelta(days=30))
    assert window.start == now - timedelta(days=7)


def test_after_a_long_silence_events_are_asked_from_where_they_ended() -> None:
    now = at("02-20", "02:00")
    windows = asking.windows_due(X_MENTIONS, now, at("01-20", "02:00"), timedelta(days=30))
    assert windows[0].start == at("01-20", "02:00")
    assert windows[-1].end == now


def test_days_of_which_too_little_was_told_before_a_silence_are_asked_for_again() -> None:
    """A night asks for the day before it in vain, for it is told a day late: the nights after it do, whenever they come."""
    stream = platforms()["facebook"].stream("insights_day")
    until = asking.windows_due(stream, at("01-20", "02:00"), at("01-18", "15:00"), timedelta(days=30))[-1].end
    for night in ("01-21", "01-22", "01-23", "01-30"):
        window = asking.windows_due(stream, at(night, "02:00"), until, timedelta(days=30))[0]
        assert window.start == until - timedelta(days=2)
    assert until == at("01-19", "15:00")


def test_after_a_long_silence_days_of_the_platform_that_were_told_late_are_asked_for_again() -> None:
    """On the night of the 20th it had told the 17th in part, and the 18th and 19th not at all."""
    stream = platforms()["threads"].stream("insights_day")
    last = datetime(2026, 1, 20, tzinfo=UTC)
    windows = asking.windows_due(stream, datetime(2026, 2, 20, 19, tzinfo=UTC), last, timedelta(days=30))
    assert windows[0].start == last - stream.restates + timedelta(days=1)
    assert windows[-1].end == datetime(2026, 2, 20, tzinfo=UTC)


def test_counters_of_the_past_are_not_asked_for_after_a_long_silence() -> None:
    now = at("03-20", "02:00")
    (window,) = asking.windows_due(X_POSTS, now, at("01-20", "02:00"), timedelta(days=30))
    assert window.start == now - timedelta(days=30)


def test_the_first_run_asks_for_the_history_that_the_institution_wants() -> None:
    now = at("03-20", "02:00")
    windows = asking.windows_due(X_MENTIONS, now, None, timedelta(days=60))
    assert windows[0].start == now - timedelta(days=60)


def test_what_the_platform_no_longer_gives_is_not_asked_for() -> None:
    now = at("03-20", "02:00")
    windows = asking.windows_due(platforms()["x"].stream("mention_hours"), now, None, timedelta(days=60))
    assert now - timedelta(days=7) < windows[0].start < now - timedelta(days=6)


def test_a_night_after_an_hourly_fetch_is_entered_though_nobody_spoke_in_between(tmp_path: Path) -> None:
    """An hourly fetch at noon does not reach the day's end; the night does, and says so even when it brings nothing."""
    with warehouse() as connection:
        for when in (at("01-01", "15:15"), at("01-01", "16:15"), at("01-02", "02:00"), at("01-02", "10:00")):
            arrive(tmp_path, "x", "mentions", when, [], back=timedelta(days=7))
            raw.land(connection, tmp_path, when)
        ends = connection.sql("SELECT window_end FROM meta.fetch ORDER BY ALL").fetchall()
    assert [end for (end,) in ends] == [at("01-01", "15:15"), at("01-02", "02:00")]


def test_a_twin_without_a_time_does_not_push_out_the_event(tmp_path: Path) -> None:
    """Whatever the order of their hashes: the one that can be placed is kept, the other set aside."""
    for number in range(6):
        with warehouse() as connection:
            event = {"id": "m", "created_at": "2026-01-02T16:30:00Z", "n": number}
            arrive(tmp_path / str(number), "x", "mentions", at("01-03"), [event, {"id": "m", "created_at": "soon", "n": number}])
            raw.land(connection, tmp_path / str(number), at("01-03"))
            assert rows(connection, "x", "mentions")["record_key"].to_list() == ["m"]


def test_too_little_memory_is_asked_for_again_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "LEAN_MEMORY", "1MB")
    monkeypatch.setattr(raw, "LARGE_BYTES", 1)
    with warehouse() as connection:
        arrive(tmp_path, "x", "posts", at("01-02", "02:00"), [likes(f"p{number}", number) for number in range(20_000)])
        landed, _ = raw.land(connection, tmp_path, at("01-02", "02:00"))
        assert [(one.received, one.new) for one in landed] == [(20_000, 20_000)]
        assert rows(connection, "x", "posts").height == 20_000
        ((limit,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    assert "GiB" in limit
