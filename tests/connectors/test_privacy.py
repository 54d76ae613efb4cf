"""No person leaves the door: what is dropped, what becomes a pseudonym, which flags are taken, and what a secret does not do.

Not here: the rules for texts (test_text.py).
"""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.privacy import NoKeyError, Private, Pseudonyms, minimise
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account
from connectors.x import is_repost

MakeAccount = Callable[..., Account]
KEY = "sixteen bytes or more"
ids = st.text(min_size=1, max_size=24)


@pytest.fixture
def account(make_account: MakeAccount) -> Account:
    return make_account(
        "https://server.example",
        own_ids=frozenset({"77", "78"}),
        own_handles=frozenset({"cahaya", "cahaya_jatim"}),
        staff_ids=frozenset({"500"}),
    )


# --- keys and pseudonyms


@pytest.mark.parametrize("key", [None, Secret(""), Secret("fifteen bytes!!"), Secret("short")], ids=["none", "empty", "15 bytes", "short"])
def test_without_a_good_key_nothing_is_fetched_and_the_message_says_so(key: Secret | None) -> None:
    with pytest.raises(NoKeyError, match=r"Nothing was fetched: there is no key .* shorter than 16 bytes.* Set TOLOK_HMAC_KEY"):
        Pseudonyms(key)


def test_a_key_is_measured_in_bytes() -> None:
    assert Pseudonyms(Secret("é" * 8)).key_id


@given(ids)
def test_a_pseudonym_is_the_same_each_time(person: str) -> None:
    assert Pseudonyms(Secret(KEY)).of("x", person) == Pseudonyms(Secret(KEY)).of("x", person)


@given(ids)
def test_pseudonyms_of_two_platforms_or_two_keys_never_meet(person: str) -> None:
    one, other = Pseudonyms(Secret(KEY)), Pseudonyms(Secret(KEY + "!"))
    made = {one.of("x", person), one.of("mastodon", person), other.of("x", person), other.of("mastodon", person)}
    assert len({pseudonym.partition(":")[2] for pseudonym in made}) == 4
    assert one.key_id != other.key_id


@given(st.sets(ids, min_size=2, max_size=50))
def test_two_people_have_two_pseudonyms_that_do_not_hold_their_ids(people: set[str]) -> None:
    pseudonyms = Pseudonyms(Secret(KEY))
    made = {person: pseudonyms.of("x", person) for person in people}
    assert len(set(made.values())) == len(people)
    for person, pseudonym in made.items():
        assert pseudonym.startswith(f"{pseudonyms.key_id}:")
        assert len(person) < 8 or person not in pseudonym


# --- secrets


def test_a_secret_is_in_no_text(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = Secret("hunter2-hunter2-hunter2")
    logging.getLogger("x").warning("%s %r", secret, {"token": secret})
    told = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), repr(account), str(Pseudonyms(secret)), caplog.text]
    assert not any("hunter2" in text for text in told)


@pytest.mark.parametrize(
    "write",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode],
    ids=["pickled", "copied", "deep-copied", "json", "msgspec"],
)
def test_a_secret_cannot_be_written(write: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        write(Secret("hunter2-hunter2"))
    assert "hunter2" not in str(caught.value)


def test_an_account_with_its_token_cannot_be_written(account: Account) -> None:
    with pytest.raises(TypeError, match="A secret is not written anywhere"):
        pickle.dumps(account)


def test_an_empty_secret_is_none() -> None:
    assert (bool(Secret("")), bool(Secret("x"))) == (False, True)


# --- what passes


def run(private: Private, record: dict[str, Any], account: Account) -> dict[str, Any]:
    return minimise(copy.deepcopy(record), private, account, Pseudonyms(Secret(KEY)))


def test_an_allow_list_drops_everything_else(account: Account) -> None:
    record = {"id": "1", "name": "Siti", "a": {"id": "2", "name": "Siti"}, "tags": [{"name": "zakat", "by": "Siti"}, "Siti"], "b": "Siti"}
    kept = run(Private(keep=("id", "a.id", "tags[].name", "b.id", "absent.id")), record, account)
    assert kept == {"id": "1", "a": {"id": "2"}, "tags": [{"name": "zakat"}], "b": {}}


def test_a_deny_list_keeps_everything_else_also_what_is_new(account: Account) -> None:
    record = {
        "id": "1",
        "acct": "siti",
        "a": {"name": "Siti", "id": "2"},
        "m": [{"acct": "siti", "id": "3"}, None],
        "new_field": {"x": [1]},
    }
    kept = run(Private(drop=("acct", "a.name", "m[].acct", "absent", "new_field.y")), record, account)
    assert kept == {"id": "1", "a": {"id": "2"}, "m": [{"id": "3"}, None], "new_field": {"x": [1]}}


def test_ids_of_people_become_pseudonyms_and_our_own_stay(account: Account) -> None:
    record = {"author_id": "9", "to": "77", "absent": None, "m": [{"id": "78"}, {"id": 9}, {"id": None}]}
    kept = run(Private(pseudonym=("author_id", "to", "absent", "m[].id", "nowhere.id")), record, account)
    siti = Pseudonyms(Secret(KEY)).of("mastodon", "9")
    assert kept == {"author_id": siti, "to": "77", "absent": None, "m": [{"id": "78"}, {"id": siti}, {"id": None}]}


def test_a_list_of_ids_becomes_a_list_of_pseudonyms(account: Account) -> None:
    pseudonyms = Pseudonyms(Secret(KEY))
    private = Private(pseudonym=("people[]",))
    assert run(private, {"people": ["9", "77"]}, account) == {"people": [pseudonyms.of("mastodon", "9"), "77"]}
    assert run(private, {"people": "9"}, account) == {"people": pseudonyms.of("mastodon", "9")}


def test_our_own_text_is_kept_without_other_people(account: Account) -> None:
    record = {"content": "<p>Terima kasih @siti &amp; @cahaya_jatim, @cahaya@server.example, hubungi 0812-3456-7890</p>"}
    kept = run(Private(redact=("content",)), record, account)
    assert kept == {"content": "Terima kasih @… & @cahaya_jatim, @cahaya@server.example, hubungi …"}


def test_a_text_of_somebody_elses_in_our_list_is_dropped(account: Account) -> None:
    private = Private(redact=("text",), is_foreign_text=lambda record: record.get("kind") == "repost")
    assert run(private, {"kind": "repost", "text": "Kata Siti"}, account) == {"kind": "repost"}
    assert run(private, {"kind": "post", "text": "Kata kami"}, account) == {"kind": "post", "text": "Kata kami"}


MENTION = Private(
    keep=("id", "author.id"), pseudonym=("author.id",), flags_from="text", mentions=("to[].id", "to[].username"), author="author.id"
)


def flags_of(account: Account, private: Private = MENTION, **record: Any) -> dict[str, Any]:
    found: dict[str, Any] = run(private, record, account)["flags"]
    return found


def test_other_peoples_text_becomes_flags_and_is_dropped(account: Account) -> None:
    kept = run(MENTION, {"id": "1", "author": {"id": "9", "name": "Siti"}, "text": "@cahaya kapan disalurkan?"}, account)
    assert set(kept) == {"id", "author", "flags"}
    assert kept["flags"]["question"] is True
    assert "disalurkan" not in json.dumps(kept)
    assert "Siti" not in json.dumps(kept)


@pytest.mark.parametrize("to", [[{"id": "77"}], [{"username": "CAHAYA"}], [{"id": "9"}, {"id": "77", "username": "Cahaya"}]])
def test_who_is_listed_as_mentioned_is_mentioned_in_any_case_of_letters(account: Account, to: list[dict[str, str]]) -> None:
    assert flags_of(account, text="halo", to=to)["mentions_us"] is True


@pytest.mark.parametrize(
    ("text", "to", "is_us"),
    [
        ("halo @Cahaya!", [], True),
        ("halo .@cahaya", [], True),
        ("halo @cahaya_jatim", [], False),
        ("halo @cahaya2", [], False),
        ("halo cahaya", [], False),
        ("lihat https://x.example/@cahaya", [], False),
        ("halo @cahaya", [{"id": "9", "username": "cahaya@other.example"}], False),
        ("halo @cahaya_jatim, cahaya dunia", [], False),
    ],
)
def test_the_text_tells_who_is_mentioned_only_where_the_platform_does_not(
    account: Account, text: str, to: list[dict[str, str]], is_us: bool
) -> None:
    """A mention of our other account is no mention of this one; nor is one of a namesake elsewhere."""
    assert flags_of(account, text=text, to=to)["mentions_us"] is is_us


@pytest.mark.parametrize(
    ("author", "by_us", "by_staff"),
    [("77", True, False), ("78", True, False), ("500", False, True), ("9", False, False), (None, False, False)],
)
def test_it_is_noted_whether_we_or_our_staff_wrote_it(account: Account, author: str | None, by_us: bool, by_staff: bool) -> None:
    found = flags_of(account, text="halo", author={"id": author})
    assert (found["by_us"], found["by_staff"]) == (by_us, by_staff)


@pytest.mark.parametrize(("own", "by_us"), [(True, True), (False, False), (None, False), ("true", False), (1, False)])
def test_where_the_platform_says_that_a_record_is_ours_it_is_whatever_our_name(account: Account, own: object, by_us: bool) -> None:
    private = Private(flags_from="text", author="username", own="is_ours", keep=("id",))
    record = {"id": "1", "text": "halo", "username": "our_former_name", "is_ours": own}
    assert minimise(record, private, account, Pseudonyms(Secret("k" * 16)))["flags"]["by_us"] is by_us


def test_a_record_without_the_text_has_flags_all_the_same(account: Account) -> None:
    found = flags_of(account, id="1")
    assert (found["mentions_us"], found["question"], found["word_count"]) == (False, False, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "text", "to", "username", "author", "a"]), inner, max_size=4)
    ),
    max_leaves=20,
)
records = st.dictionaries(st.sampled_from(["id", "text", "to", "author", "a", "entities", "status", "account", "mentions"]), json_values)
EVERY_PRIVATE = [stream.private for connector in platforms().values() for stream in connector.streams if stream.private]


@given(st.sampled_from(EVERY_PRIVATE), records)
def test_a_record_of_any_shape_passes_without_breaking(private: Private, record: dict[str, Any]) -> None:
    """The platforms' own declarations, against records that no platform would send."""
    account = Account(
        "i", "x", "77", "cahaya", "https://a.example", Secret("t"), own_ids=frozenset({"77"}), own_handles=frozenset({"cahaya"})
    )
    kept = minimise(record, private, account, Pseudonyms(Secret(KEY)))
    msgspec.json.encode(kept)


@given(st.sampled_from(["referenced_posts", "referenced_tweets", "text"]), json_values)
def test_a_repost_of_any_shape_can_be_asked_for(name: str, value: Any) -> None:
    assert is_repost({name: value}) in {True, False}


@pytest.mark.parametrize(
    "record",
    [
        {"referenced_posts": [{"type": "reposted", "id": "1"}], "text": "x"},
        {"referenced_tweets": [{"type": "quoted", "id": "2"}, {"type": "retweeted", "id": "1"}], "text": "x"},
        {"text": "RT @siti: kata siti"},
    ],
)
def test_a_repost_is_known_in_either_dialect_and_by_its_text(record: dict[str, Any]) -> None:
    assert is_repost(record)
    assert not is_repost({"referenced_posts": [{"type": "quoted", "id": "1"}], "text": "kata kami"})
