"""Laws 1, 5 and 10: a rerun changes nothing, landing is enough to make everything again, and increments equal the whole.

Not here: that a platform's failure heals (test_law_one_platform.py).
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from assets import ledgers, raw
from connectors.clock import InjectedClock
from pipelines import night, stamps
from pipelines.house import House
from sandbox.server import Running
from tests.laws.conftest import LAST, Copy
from tests.support.content import content, derived, differences, every_table, raw_tables, rows_of
from tests.support.frames import Frames, compute_all, inputs_of
from tests.support.landing import warehouse
from tests.support.nights import INSTITUTION, derive, instant, institutions_of, landing_files, make_home, play

pytestmark = pytest.mark.slow


def all_stamps(house: House) -> list[stamps.Stamp]:
    """The stamps of every table as it stands."""
    with house.warehouse.open() as connection:
        return [stamp for table in every_table() for stamp in stamps.current(connection, table, INSTITUTION)]


def rebuilt(house: House, home: Path) -> House:
    """A home made from another's settings and landing files alone."""
    (home / "institutions").mkdir(parents=True)
    shutil.copytree(house.institutions_path, home / "institutions", dirs_exist_ok=True)
    shutil.copytree(house.landing_path, home / "landing")
    new = House(home, house.environ, InjectedClock(house.clock.now()))
    with new.warehouse.open() as connection:
        raw.replay(connection, new.landing_path, new.clock.now())
        night.derive(connection, institutions_of(new), "rebuild")
    return new


def test_a_rerun_changes_no_table_no_stamp_and_no_landing_file(undisturbed: House, sandbox: Running, copy: Copy) -> None:
    house = copy(undisturbed)
    before, stamped, files = content(house), all_stamps(house), landing_files(house)
    arrival = play(house, sandbox, instant(LAST), "rerun")
    assert arrival.gaps == []
    assert (arrival.rows_new, arrival.rows_changed) == (0, 0)
    assert sum(table.received for table in arrival.landed) > 100
    assert derive(house, "rerun") == []
    assert differences(before, content(house)) == {}
    assert all_stamps(house) == stamped
    assert landing_files(house) == files


def test_a_rerun_at_ten_in_the_morning_moves_no_counter(undisturbed: House, sandbox: Running, copy: Copy, frames: Frames) -> None:
    """Comments and posts may have come since; what the counters and followers of the closed day were stays."""
    house = copy(undisturbed)
    before = content(house)
    arrival = play(house, sandbox, instant(LAST) + timedelta(hours=8), "rerun")
    assert arrival.rows_new > 0
    moved = differences(derived(frames), derived(compute_all(inputs_of(house, INSTITUTION))))
    assert moved.keys() & {"staging.account_days", "staging.post_days"} == set()
    raw_now = content(house)
    assert all(raw_now[name].equals(before[name]) for name in ("raw.x__accounts", "raw.mastodon__accounts"))


def test_landing_is_enough_to_make_raw_and_its_ledger_again_bit_for_bit(six: House) -> None:
    with warehouse() as connection:
        raw.replay(connection, six.landing_path, six.clock.now())
        again = {table.name: rows_of(connection, table) for table in (*raw_tables(), ledgers.FETCH)}
    assert differences({name: frame for name, frame in content(six).items() if name in again}, again) == {}


def test_an_increment_equals_the_whole_bit_for_bit(undisturbed: House, sandbox: Running, copy: Copy) -> None:
    """Derived after one night, then again after the night after the next; the whole is computed in memory, from the beginning."""
    house = copy(undisturbed)
    play(house, sandbox, instant(LAST + 2), "night-after-next")
    assert derive(house, "night-after-next") != []
    now = content(house)
    whole = derived(compute_all(inputs_of(house, INSTITUTION)))
    assert differences({name: now[name] for name in whole}, whole) == {}


def test_a_replay_into_what_is_there_already_changes_nothing(undisturbed: House, copy: Copy) -> None:
    house = copy(undisturbed)
    before = content(house)
    with house.warehouse.open() as connection:
        landed = raw.replay(connection, house.landing_path, house.clock.now())
    assert {(one.new, one.changed) for one in landed} == {(0, 0)}
    assert derive(house, "replay") == []
    assert differences(before, content(house)) == {}


@pytest.mark.slow
def test_nights_taken_in_one_by_one_equal_all_taken_in_at_once(sandbox: Running, tmp_path: Path) -> None:
    """A missed night, a platform that is down and heals late, and a change of goals and targets lie in between."""
    house = make_home(tmp_path / "home", sandbox.url)
    for number in range(14):
        if number == 4:
            continue
        sandbox.faults([{"path": "^/x", "kind": "status", "status": 503}] if number in (7, 8) else [])
        play(house, sandbox, instant(number), f"night-{number:03}")
        if number == 10:
            change_settings(house)
        derive(house, f"night-{number:03}")
        if number == 7:
            sandbox.faults([])
            play(house, sandbox, instant(number) + timedelta(hours=6), "late", lambda connector, _: connector.platform == "x")
            derive(house, "late")
    assert differences(content(house), content(rebuilt(house, tmp_path / "rebuilt"))) == {}


def change_settings(house: House) -> None:
    """Another rule of posts, another target, a disabled indicator."""
    path = house.institutions_path / f"{INSTITUTION}.toml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace('posts.hashtags = ["zakat", ', 'population_version = 2\ndisabled = ["shares"]\nposts.hashtags = [').replace(
        "value = 60", "value = 45"
    )
    assert changed.count("population_version") == 1
    assert "value = 45" in changed
    path.write_text(changed, encoding="utf-8")
