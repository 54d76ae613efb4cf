"""Posts that say the same in several accounts within a day are one content; each keeps its own counters."""

from __future__ import annotations

from datetime import datetime

import pytest

from assets.staging.things import CONTENT_GROUPS
from tests.support.hand import Hand, at

SAME = "Salurkan zakat Anda bersama kami hari ini"
ACCOUNTS = ("x/main", "mastodon/m", "x/program")


def grouped(*posts: tuple[str, str, datetime, str]) -> dict[str, str]:
    """Per post the group, of posts (account, id, time, text)."""
    hand = Hand(*ACCOUNTS)
    for account, identity, created, text in posts:
        hand.post(account, identity, created, text=text)
    return dict(hand.make(CONTENT_GROUPS).select("post_id", "content_group_id").rows())


def test_the_same_words_in_two_accounts_within_a_day_are_one_content_named_by_the_earliest_post() -> None:
    tagged = f"{SAME.upper()}! #zakat @seseorang https://contoh.example/z"
    found = grouped(
        ("x/main", "1", at("01-02"), SAME), ("mastodon/m", "2", at("01-03", "11:59"), tagged), ("x/main", "3", at("01-02"), "Salam")
    )
    assert found == {"1": "x/1", "2": "x/1", "3": "x/3"}


@pytest.mark.parametrize(
    ("account", "created", "text"),
    [
        ("mastodon/m", at("01-03", "12:01"), SAME),
        ("mastodon/m", at("01-02", "13:00"), "Salurkan infak Anda bersama mereka hari ini"),
        ("x/main", at("01-02", "13:00"), SAME),
    ],
    ids=["a day later", "five words of nine", "the same account"],
)
def test_what_is_far_or_different_or_in_the_same_account_is_another_content(account: str, created: datetime, text: str) -> None:
    assert grouped(("x/main", "1", at("01-02"), SAME), (account, "2", created, text))["2"] == f"{account.partition('/')[0]}/2"


def test_one_word_of_nine_may_differ() -> None:
    text = f"{SAME} dan seterusnya"
    assert grouped(("x/main", "1", at("01-02"), text), ("mastodon/m", "2", at("01-02"), f"{text} ya"))["1"] == "mastodon/2"


def test_three_words_say_too_little_unless_one_post_links_to_the_other() -> None:
    short = ("x/main", "1234567", at("01-02"), "Zakat hari ini")
    assert grouped(short, ("mastodon/m", "2", at("01-02", "13:00"), "Zakat hari ini"))["2"] == "mastodon/2"
    for link in ("https://x.com/main/status/1234567.", "https://contoh.example/watch?v=1234567&t=1"):
        assert grouped(short, ("mastodon/m", "2", at("01-02", "13:00"), f"Lihat {link}"))["2"] == "x/1234567"
    assert grouped(short, ("mastodon/m", "2", at("01-02", "13:00"), "Lihat https://x.com/main/status/12345678"))["2"] == "mastodon/2"


def test_what_repeats_a_repeat_belongs_to_the_first() -> None:
    words = "satu dua tiga empat lima enam tujuh delapan sembilan sepuluh"
    posts = [
        ("x/main", "1", at("01-02", "09:00"), words),
        ("mastodon/m", "2", at("01-02", "10:00"), f"{words} sebelas duabelas"),
        ("x/program", "3", at("01-02", "11:00"), f"{words} sebelas duabelas tigabelas"),
    ]
    assert grouped(*posts) == {"1": "x/1", "2": "x/1", "3": "x/1"}


def test_a_post_without_text_stands_alone_and_replies_and_reposts_have_no_group() -> None:
    hand = Hand(*ACCOUNTS)
    for number, account in enumerate(("x/main", "mastodon/m")):
        hand.post(account, str(number), at("01-02"), text=None)
    hand.post("x/program", "r", at("01-02"), text=SAME, post_type="reply")
    assert dict(hand.make(CONTENT_GROUPS).select("post_id", "content_group_id").rows()) == {"0": "x/0", "1": "mastodon/1"}
