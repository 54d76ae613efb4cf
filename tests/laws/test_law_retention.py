"""Laws 1 and 9: what is too old goes, and what was made of it stays, whatever is made again.

Not here: how long what is kept by which limit (tests/pipelines/test_retention.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipelines import engine, night, retention
from pipelines.house import House
from pipelines.retention import LOG
from pipelines.warehouse import first
from sandbox.server import Running
from tests.laws.conftest import LAST, Copy
from tests.laws.test_law_same_again import change_settings
from tests.support.content import content, differences
from tests.support.nights import derive, instant, institutions_of, landing_files, play, put_clock

pytestmark = pytest.mark.slow
# So long after the first night that the answers of the first seven are too old.
LATER = timedelta(days=36)


def retain(house: House, run_id: str = "retention", *, dry: bool = False) -> list[retention.Taken]:
    with house.warehouse.open() as connection:
        return retention.run(connection, house, institutions_of(house), run_id, dry=dry)


@pytest.fixture
def old(undisturbed: House, copy: Copy) -> House:
    """The home of eleven nights, five weeks after the first."""
    house = copy(undisturbed)
    put_clock(house, instant(0) + LATER)
    return house


def derived_tables(house: House) -> dict[str, object]:
    return {name: frame for name, frame in content(house).items() if not name.startswith("raw.") and name != "meta.quarantine"}


def test_old_answers_go_and_everything_made_of_them_stays(old: House) -> None:
    before, files = content(old), landing_files(old)
    told = retain(old, dry=True)
    assert sum(one.taken for one in told) > 0
    assert differences(before, content(old)) == {}
    assert landing_files(old) == files
    assert [(one.thing, one.taken) for one in retain(old)] == [(one.thing, one.taken) for one in told]
    now = content(old)
    first_kept = (old.clock.now() - timedelta(days=30)).date()
    assert 0 < now["raw.mastodon__posts"].height < before["raw.mastodon__posts"].height
    gone = set(differences(before, now))
    assert gone
    assert all(name.startswith("raw.") or name == "meta.quarantine" for name in gone)
    with old.warehouse.open(read_only=True) as connection:
        assert (first(connection, "SELECT min(requested_at)::DATE FROM raw.mastodon__posts") or (None,))[0] >= first_kept - timedelta(
            days=1
        )
        assert first(connection, f"SELECT sum(taken) > 0, count(*) FILTER (held_back IS NOT NULL) FROM {LOG.name}") == (True, 0)
    assert 0 < len(landing_files(old)) < len(files)


def test_a_second_run_takes_nothing_and_a_rerun_of_the_night_changes_nothing(old: House) -> None:
    retain(old)
    before, files = content(old), landing_files(old)
    assert {one.taken for one in retain(old, "again")} == {0}
    assert derive(old, "rerun") == []
    assert differences(before, content(old)) == {}
    assert landing_files(old) == files


def test_history_survives_a_change_of_settings_and_all_transforms_versions_raised(old: House) -> None:
    retain(old)
    before = content(old)
    with old.warehouse.open() as connection:
        for transform in night.all_transforms():
            engine.run(connection, replace(transform, version=transform.version + 1), institutions_of(old), "new version")
    assert differences(before, content(old)) == {}
    change_settings(old)
    derive(old, "settings")
    after = content(old)
    moved = differences(before, after)
    assert not [name for name in moved if name.startswith("staging.") or name == "meta.coverage"], moved
    assert after["indicators.day_measures"]["day"].min() == before["indicators.day_measures"]["day"].min()


def test_what_raw_still_holds_is_made_anew_and_what_it_holds_no_more_is_left(old: House) -> None:
    retain(old)
    with old.warehouse.open() as connection:
        kept_from = (first(connection, "SELECT max(kept_from) FROM meta.retention WHERE table_name = 'raw.mastodon__accounts'") or (None,))[
            0
        ]
        assert isinstance(kept_from, date)
        connection.execute("UPDATE staging.account_days SET followers = -1 WHERE platform = 'mastodon'")
        transform = next(one for one in night.all_transforms() if one.output.name == "staging.account_days")
        engine.run(connection, replace(transform, version=transform.version + 1), institutions_of(old), "new version")
        spoiled = connection.execute("SELECT DISTINCT day FROM staging.account_days WHERE followers = -1 ORDER BY 1").fetchall()
        mended = connection.execute(
            "SELECT DISTINCT day FROM staging.account_days WHERE platform = 'mastodon' AND followers >= 0"
        ).fetchall()
    assert spoiled
    assert mended
    assert max(day for (day,) in spoiled) < kept_from <= min(day for (day,) in mended)


def test_nights_after_it_go_on_as_if_nothing_had_gone(undisturbed: House, sandbox: Running, copy: Copy) -> None:
    """The same later night with and without a retention before it: the derived tables are the same."""
    house = copy(undisturbed)
    later = LAST + 26
    play(house, sandbox, instant(later - 1), "a")
    derive(house, "a")
    bare = copy_of(house)
    retain(house)
    for one in (house, bare):
        play(one, sandbox, instant(later), "b")
        derive(one, "b")
    with_it, without = content(house), content(bare)
    names = [name for name in without if not name.startswith("raw.") and name != "meta.quarantine"]
    assert differences({name: with_it[name] for name in names}, {name: without[name] for name in names}) == {}
    assert with_it["raw.x__posts"].height < without["raw.x__posts"].height


def copy_of(house: House) -> House:
    from tests.support.nights import copy_home  # noqa: PLC0415 one test alone needs a second copy

    return copy_home(house, house.home.with_name("bare"))


def test_single_comments_go_after_thirteen_months_and_their_sums_stay(old: House) -> None:
    before = content(old)
    put_clock(old, instant(6) + timedelta(days=397))
    retain(old)
    with old.warehouse.open() as connection:
        left = first(connection, "SELECT count(*), min(day) FROM staging.mentions")
        kept_from = first(connection, "SELECT kept_from FROM meta.retention WHERE table_name = 'staging.mentions'")
    assert left is not None
    assert kept_from is not None
    assert 0 < left[0] < before["staging.mentions"].height
    assert left[1] >= kept_from[0]
    change_settings(old)
    derive(old, "settings")
    with old.warehouse.open() as connection:
        for transform in night.all_transforms():
            engine.run(connection, replace(transform, version=transform.version + 1), institutions_of(old), "new version")
    now, then = (tables["indicators.day_measures"].filter(population_id="all") for tables in (content(old), before))
    assert now.select("day", "account_id", "comments_audience", "mentions").equals(
        then.select("day", "account_id", "comments_audience", "mentions")
    )


def test_what_staging_has_not_taken_in_is_held_back_and_said(undisturbed: House, sandbox: Running, copy: Copy) -> None:
    house = copy(undisturbed)
    play(house, sandbox, instant(LAST + 1), "landed only")
    put_clock(house, instant(0) + LATER)
    before = content(house)
    told = [one for one in retain(house) if one.held_back]
    assert "raw.mastodon__posts" in {one.thing for one in told}
    assert all("has not taken them in yet" in str(one.held_back) for one in told)
    assert content(house)["raw.mastodon__posts"].equals(before["raw.mastodon__posts"])
    derive(house, "late")
    assert not [one for one in retain(house, "next") if one.held_back]
