"""Law 9, the keys: they rotate, and nobody is counted twice or taken for another.

Not here: the rule for one pseudonym (tests/connectors/test_keys.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.clock import InjectedClock
from connectors.privacy import NoKeyError
from pipelines.house import House
from sandbox.server import Running
from tests.laws.conftest import LAST, Copy
from tests.support.content import content, differences
from tests.support.nights import HMAC_KEY, derive, instant, landing_files, play

pytestmark = pytest.mark.slow
NEW_KEY = "another key of the tests, 32 bytes +"


def rotated(house: House, **more: str) -> House:
    """The same home with a new key, and the former one where `more` says."""
    environ = {name: house.environ[name] for name in house.environ if name != "TOLOK_HMAC_KEY"}
    return House(house.home, environ | {"TOLOK_HMAC_KEY": NEW_KEY} | more, InjectedClock(house.clock.now()))


def authors(house: House) -> dict[str, str]:
    """Who wrote what, by item."""
    with house.warehouse.open(read_only=True) as connection:
        return dict(connection.sql("SELECT platform || item_id, author_key FROM staging.comments WHERE NOT is_own").fetchall())


def test_a_rerun_after_the_keys_rotated_changes_nothing(undisturbed: House, sandbox: Running, copy: Copy) -> None:
    house = rotated(copy(undisturbed), TOLOK_HMAC_KEYS_FORMER=HMAC_KEY)
    before, files = content(house), landing_files(house)
    arrival = play(house, sandbox, instant(LAST), "rerun")
    assert (arrival.rows_new, arrival.rows_changed) == (0, 0)
    assert derive(house, "rerun") == []
    assert differences(before, content(house)) == {}
    assert landing_files(house) == files


def test_later_nights_know_the_same_persons_and_new_ones_by_the_new_key(
    undisturbed: House, sandbox: Running, copy: Copy, tmp_path: Path
) -> None:
    house = rotated(copy(undisturbed), TOLOK_HMAC_KEYS_FORMER_FILE=str(tmp_path / "former"))
    (tmp_path / "former").write_text(f"{HMAC_KEY}\n", encoding="utf-8")
    before = authors(house)
    play(house, sandbox, instant(LAST + 2), "later")
    derive(house, "later")
    rotated_authors = authors(house)
    assert {item: rotated_authors[item] for item in before} == before
    other = House(tmp_path / "other", undisturbed.environ, InjectedClock(instant(LAST)))
    other = copy_to(undisturbed, other)
    play(other, sandbox, instant(LAST + 2), "later")
    derive(other, "later")
    without = authors(other)
    assert rotated_authors.keys() == without.keys()
    # One person here is one person there: the pairs are one to one.
    pairs = {(without[item], rotated_authors[item]) for item in without}
    assert len(pairs) == len({one for one, _ in pairs}) == len({two for _, two in pairs})
    assert len({two[:6] for _, two in pairs}) == 2


def copy_to(house: House, other: House) -> House:
    from tests.support.nights import copy_home  # noqa: PLC0415 one test alone needs a second copy

    return copy_home(house, other.home)


def test_without_the_former_key_an_erased_person_would_come_back_so_nothing_is_fetched(
    undisturbed: House, sandbox: Running, copy: Copy
) -> None:
    from pipelines.erase import erase  # noqa: PLC0415

    house = copy(undisturbed)
    erase(house, "x", "1234567890123")
    with pytest.raises(NoKeyError, match=r"Nothing was fetched: 1 erased persons are known by keys that are not given"):
        play(rotated(house), sandbox, instant(LAST), "refused")
    play(rotated(house, TOLOK_HMAC_KEYS_FORMER=HMAC_KEY), sandbox, instant(LAST), "known")
