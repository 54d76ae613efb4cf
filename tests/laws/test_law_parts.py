"""Laws 12 and 13: an institution's numbers are its own, and every transform gives the same whole from parts.

Not here: what the numbers are.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from assets.transform import Transform
from pipelines.house import House
from pipelines.night import all_transforms
from sandbox.server import Running
from tests.support.content import content, differences
from tests.support.frames import Frames, compute, compute_all, inputs_of
from tests.support.nights import INSTITUTION, derive, instant, make_home, play

pytestmark = pytest.mark.slow

SECOND = "kedua"
PROGRAM = "2200000000000000002"


def second(first: Frames) -> Frames:
    """Another institution: fewer nights, an account less, one more of every counter on X."""
    until = date(2026, 1, 8)
    made: Frames = {}
    for name, frame in first.items():
        changed = frame.with_columns(institution_id=pl.lit(SECOND))
        if name.startswith("raw.") or name == "meta.fetch":
            changed = changed.filter(pl.col("day") <= until)
        if "account_id" in changed.columns:
            changed = changed.filter(pl.col("account_id") != PROGRAM)
        made[name] = changed
    return made


@pytest.fixture(scope="module")
def parts(undisturbed: House) -> dict[str, Frames]:
    """Each institution's inputs and results, computed alone."""
    own = inputs_of(undisturbed, INSTITUTION)
    return {INSTITUTION: compute_all(own), SECOND: compute_all(second(own))}


@pytest.fixture(scope="module")
def whole(parts: dict[str, Frames]) -> Frames:
    """Both institutions' tables, one below the other."""
    return {name: pl.concat([parts[INSTITUTION][name], parts[SECOND][name]]) for name in parts[INSTITUTION]}


def split(frames: Frames, key: str) -> list[Frames]:
    """The frames parted by the values of a key; a table without the key goes to every part whole."""
    found = {value for frame in frames.values() if key in frame.columns for value in frame[key].unique().to_list()}
    return [
        {name: frame.filter(pl.col(key) == value) if key in frame.columns else frame for name, frame in frames.items()}
        for value in sorted(found)
    ]


# That a table may be parted by institution is tried below, on tables that were made apart from the beginning.
CASES = [(transform, key) for transform in all_transforms() for key in transform.split_by if key != "institution_id"]


@pytest.mark.parametrize(("transform", "key"), CASES, ids=[f"{transform.output.name}-{key}" for transform, key in CASES])
def test_a_transform_gives_the_same_whole_from_parts(transform: Transform, key: str, whole: Frames) -> None:
    inputs = {source.table.name: whole[source.table.name] for source in transform.inputs}
    together = compute(transform, inputs)
    apart = pl.concat([compute(transform, one) for one in split(inputs, key)]).sort(transform.output.key)
    assert together.equals(apart)
    assert not differences({"table": together}, {"table": apart})


@pytest.mark.parametrize("transform", all_transforms(), ids=lambda transform: transform.output.name)
def test_two_institutions_together_have_the_numbers_that_each_has_alone(
    transform: Transform, parts: dict[str, Frames], whole: Frames
) -> None:
    """From the inputs up: the tables of both, computed from both, are those of each computed alone."""
    assert "institution_id" in transform.split_by
    inputs = {source.table.name: whole[source.table.name] for source in transform.inputs}
    assert compute(transform, inputs).equals(whole[transform.output.name].sort(transform.output.key))
    assert parts[SECOND].keys() == parts[INSTITUTION].keys()


def test_the_second_institution_is_another_one(parts: dict[str, Frames]) -> None:
    """If both were the same, a transform that mixed them up might pass."""
    for name in ("indicators.day_measures", "indicators.engagement", "goals.goal_scorecard", "staging.post_days"):
        first, other = parts[INSTITUTION][name], parts[SECOND][name]
        assert not other.is_empty()
        assert first.height > other.height


@pytest.mark.slow
def test_an_institutions_numbers_stay_when_another_moves_into_the_same_home(sandbox: Running, tmp_path: Path) -> None:
    alone, shared = make_home(tmp_path / "alone", sandbox.url), make_home(tmp_path / "shared", sandbox.url, [INSTITUTION, SECOND])
    other = shared.institutions_path / f"{SECOND}.toml"
    other.write_text(other.read_text(encoding="utf-8").replace("Asia/Jakarta", "Asia/Jayapura"), encoding="utf-8")
    for number in (0, 1, 3):
        for house in (alone, shared):
            play(house, sandbox, instant(number), f"night-{number}")
    for house in (alone, shared):
        derive(house, "night")
    assert differences(content(alone, INSTITUTION), content(shared, INSTITUTION)) == {}
    assert content(shared, SECOND)["goals.goal_scorecard"].height > 0
