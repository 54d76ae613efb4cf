"""Keys rotate and erased persons stay away: what the door does with former keys and suppressions.

Not here: where keys come from (tests/laws/test_law_keys.py) and what else a record loses (test_privacy.py).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.privacy import ERASED, NoKeyError, Private, Pseudonyms, forget, is_by_erased, minimise, suppression
from connectors.registry import platforms
from connectors.secret import Environ, Secret
from connectors.streams import Account

MakeAccount = Callable[..., Account]
NEW, OLD, OLDEST = (Secret(f"a key of sixteen bytes or more, {name}") for name in ("new", "old", "oldest"))
ids = st.text(min_size=1, max_size=24)
PRIVATE = Private(
    keep=("id", "author", "answered", "answered_item", "root", "mentions[].id"),
    pseudonym=("author", "answered", "mentions[].id"),
    author="author",
    items_of=(("answered", "answered_item"),),
)


def erased(*persons: str, key: Secret = NEW) -> frozenset[str]:
    return frozenset(suppression(Pseudonyms(key).of("x", person)) for person in persons)


def record(**more: Any) -> dict[str, Any]:
    return {"id": "9", "author": "1", "answered": "2", "answered_item": "7", "root": "7", "mentions": [{"id": "2"}, {"id": "3"}]} | more


@given(ids)
def test_who_is_known_under_a_former_key_keeps_that_pseudonym_and_nobody_else_gets_one(person: str) -> None:
    before = Pseudonyms(OLD).of("x", person)
    keys = Pseudonyms(NEW, [OLD])
    assert keys.of("x", person) == Pseudonyms(NEW).of("x", person) != before
    told = keys.informed({before}, frozenset())
    assert told.of("x", person) == before
    assert told.of("mastodon", person) == Pseudonyms(NEW).of("mastodon", person)


def test_the_oldest_pseudonym_that_is_known_holds() -> None:
    known = {Pseudonyms(key).of("x", "1") for key in (OLD, OLDEST)}
    assert Pseudonyms(NEW, [OLD, OLDEST], known).of("x", "1") == Pseudonyms(OLDEST).of("x", "1")


def test_the_current_key_among_the_former_ones_is_not_a_former_one() -> None:
    assert Pseudonyms(NEW, [NEW, OLD]).former_ids == (Pseudonyms(OLD).key_id,)


def test_a_short_former_key_is_named_by_its_line_and_nothing_is_fetched() -> None:
    with pytest.raises(NoKeyError, match=r"Nothing was fetched: line 2 of TOLOK_HMAC_KEYS_FORMER is shorter than 16 bytes"):
        Pseudonyms(NEW, [OLD, Secret("short")])


@pytest.mark.parametrize("key", [NEW, OLD])
def test_whoever_was_erased_under_any_key_writes_nothing_more(key: Secret, make_account: MakeAccount) -> None:
    keys = Pseudonyms(NEW, [OLD], erased=erased("1", key=key))
    account = make_account("https://server.example", platform="x")
    assert is_by_erased(record(), PRIVATE, account, keys)
    assert not is_by_erased(record(author="2"), PRIVATE, account, keys)
    assert not is_by_erased(record(), PRIVATE, account, Pseudonyms(NEW, [OLD]))


def test_where_an_erased_person_is_named_the_id_and_their_items_ids_go(make_account: MakeAccount) -> None:
    keys = Pseudonyms(NEW, erased=erased("2"))
    kept = minimise(record(), PRIVATE, make_account("https://server.example", platform="x"), keys)
    one, three = (keys.of("x", person) for person in ("1", "3"))
    assert kept == {
        "id": "9", "author": one, "answered": ERASED, "answered_item": ERASED, "root": ERASED, "mentions": [{"id": ERASED}, {"id": three}],
    }  # fmt: skip


def test_a_landed_record_forgets_as_the_door_would_have(make_account: MakeAccount) -> None:
    account, keys = make_account("https://server.example", platform="x"), Pseudonyms(NEW)
    landed = minimise(record(), PRIVATE, account, keys)
    assert forget(landed, PRIVATE, lambda text: text == keys.of("x", "2")) == minimise(
        record(), PRIVATE, account, Pseudonyms(NEW, erased=erased("2"))
    )
    assert forget(minimise(record(), PRIVATE, account, keys), PRIVATE, lambda text: text == keys.of("x", "1")) is None


def test_every_stream_that_names_an_author_hides_that_author() -> None:
    """Else an erased person's items would be known by nothing."""
    for connector in platforms().values():
        for stream in connector.streams:
            private = stream.private or Private()
            assert private.author is None or private.author in private.pseudonym, stream.name
            assert all(person in private.pseudonym for person, _ in private.items_of), stream.name


@pytest.mark.parametrize("held", [Pseudonyms(NEW, [OLD]), Environ({"TOLOK_HMAC_KEY": NEW.reveal()})], ids=["pseudonyms", "environ"])
def test_what_holds_keys_shows_none_and_is_not_pickled(held: object) -> None:
    assert "sixteen" not in f"{held!r} {held}"
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(held)


def test_an_environment_gives_a_value_to_who_asks_by_name() -> None:
    environ = Environ({"NAME": "value"})
    assert (environ["NAME"], environ.get("OTHER"), list(environ), len(environ)) == ("value", None, ["NAME"], 1)
    assert Environ(environ)["NAME"] == "value"
