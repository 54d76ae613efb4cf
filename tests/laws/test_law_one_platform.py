"""Laws 2 and 8: one platform's trouble stays its own, shows as coverage, and heals; what is missing stays missing.

Not here: retries and waiting (tests/connectors).
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from assets.indicators import family_tables
from assets.indicators.registry import indicators
from connectors.clock import InjectedClock
from pipelines import night
from pipelines.house import House
from sandbox.server import Running
from tests.laws.conftest import LAST, Copy
from tests.support.content import content, derived, differences, raw_tables
from tests.support.frames import Frames, compute_all, inputs_of
from tests.support.nights import INSTITUTION, instant, play

pytestmark = pytest.mark.slow

X_IS_DOWN = [{"path": "^/x", "kind": "status", "status": 503}]
KEY = ("indicator_key", "population_id", "level", "platform", "account_id", "period_type", "period_start")


def values(frames: Frames) -> pl.DataFrame:
    """All values of all families."""
    return pl.concat([frames[table.name].drop("run_id", "as_of") for table in family_tables().values()])


class StandingClock(InjectedClock):
    """Waiting moves nothing: what one platform is waited for must not date what another, asked at the same time, is seen at."""

    def sleep(self, seconds: float) -> None:
        """Come back at once."""


@pytest.fixture
def with_x_down(before_last: House, sandbox: Running, copy: Copy) -> House:
    """The last night as it goes when X answers 503 to everything."""
    house = replace(copy(before_last), clock=StandingClock(instant(LAST)))
    sandbox.faults(X_IS_DOWN)
    arrival = play(house, sandbox, instant(LAST), "night-down")
    sandbox.faults([])
    assert {gap.platform for gap in arrival.gaps} == {"x"}
    return house


def test_when_one_platform_is_down_the_numbers_of_the_other_are_all_there(with_x_down: House, frames: Frames) -> None:
    found = compute_all(inputs_of(with_x_down, INSTITUTION))
    others = [values(one).filter(pl.col("platform") == "mastodon").sort(KEY) for one in (found, frames)]
    assert others[0].height > 1000
    assert others[0].equals(others[1])


def test_when_one_platform_is_down_coverage_says_so_and_nothing_is_zero(with_x_down: House) -> None:
    found = compute_all(inputs_of(with_x_down, INSTITUTION))
    last = values(found).filter((pl.col("period_type") == "day") & (pl.col("population_id") == "all"))
    last = last.filter(pl.col("period_start") == last["period_start"].max())
    by_key = {(row["indicator_key"], row["level"], row["platform"]): row for row in last.iter_rows(named=True)}
    for key in ("reactions", "shares", "followers", "net_new_followers", "conversation_volume", "engagement_count"):
        row = by_key[key, "platform", "x"]
        assert (row["value"], row["status"], row["coverage"]) == (None, "missing_input", 0.0), key
        whole = by_key[key, "institution", "all"]
        assert (whole["status"], whole["coverage"]) == ("ok", pytest.approx(1 / 3)), key
    ledger = found["meta.coverage"].filter((pl.col("platform") == "x") & (pl.col("day") == last["period_start"][0]))
    assert set(ledger["is_known"]) == {False}
    assert all(reason and "503" in reason for reason in ledger.filter(pl.col("kind") == "snapshot")["reason"])


def test_rerunning_that_platform_alone_heals_it_as_if_nothing_had_been(
    with_x_down: House, undisturbed: House, sandbox: Running, frames: Frames
) -> None:
    of_x = night.only([("x", stream) for stream in ("accounts", "posts", "mentions", "mention_hours")])
    sandbox.forget_requests()
    arrival = play(with_x_down, sandbox, instant(LAST), "healing", of_x)
    assert arrival.gaps == []
    assert {request["platform"] for request in sandbox.requests()} == {"x"}
    assert differences(derived(compute_all(inputs_of(with_x_down, INSTITUTION))), derived(frames)) == {}
    assert differences(content(with_x_down, tables=raw_tables()), content(undisturbed, tables=raw_tables())) == {}


def without(frames: Frames, table: str, field: str) -> Frames:
    """The frames with a field of the payload's counters never given."""
    metrics = pl.col("p").struct.field("public_metrics")
    absent = metrics.struct.with_fields(pl.lit(None, pl.Int64).alias(field))
    return frames | {table: frames[table].with_columns(p=pl.col("p").struct.with_fields(absent.alias("public_metrics")))}


def test_a_field_that_the_platform_stops_giving_is_missing_wherever_it_is_needed_and_nowhere_zero(
    undisturbed: House, frames: Frames
) -> None:
    found = compute_all(without(inputs_of(undisturbed, INSTITUTION), "raw.x__posts", "bookmark_count"))
    on_x = pl.col("platform") == "x"
    assert found["staging.post_snapshots"].filter(on_x)["saves"].null_count() == found["staging.post_snapshots"].filter(on_x).height
    before, after = (values(one).filter(on_x).sort(KEY) for one in (frames, found))
    needs_saves = [entry.key for entry in indicators().values() if entry.compute and "saves" in entry.compute.numerator]
    assert {"saves", "engagement_count", "engagement_rate_views"} <= set(needs_saves)
    touched = pl.col("indicator_key").is_in(needs_saves)
    assert before.filter(~touched).equals(after.filter(~touched))
    was_ok = before.filter(touched & (pl.col("status") == "ok") & (pl.col("coverage") > 0)).join(after, on=KEY, suffix="_now")
    counts = was_ok.filter(pl.col("indicator_key").is_in(["saves", "engagement_count"]) & (pl.col("numerator") > 0))
    assert counts.height > 100
    assert set(counts["status_now"]) == {"missing_input", "lost"}  # lost: the period holds the missed night
    assert after.filter(touched)["value"].drop_nulls().is_empty()


def test_a_value_is_there_exactly_when_its_status_is_ok(frames: Frames) -> None:
    found = values(frames)
    assert found.filter(pl.col("value").is_null() == (pl.col("status") == "ok")).is_empty()
    assert found.filter(pl.col("value").is_nan() | pl.col("value").is_infinite()).is_empty()
    days = frames["indicators.day_measures"]
    for column in (name.removesuffix("_status") for name in days.columns if name.endswith("_status")):
        assert days.filter(pl.col(column).is_null() == (pl.col(f"{column}_status") == "ok")).is_empty(), column
    for name in (name for name in frames if name.startswith("goals.goal_") and name != "goals.goal_scorecard"):
        for column in (one.removesuffix("_status") for one in frames[name].columns if one.endswith("_status")):
            assert frames[name].filter(pl.col(column).is_null() == (pl.col(f"{column}_status") == "ok")).is_empty(), (name, column)
