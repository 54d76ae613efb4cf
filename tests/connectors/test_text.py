"""What is kept of texts: flags of other people's, and our own without other people's handles, addresses and numbers.

Not here: which fields hold text (test_privacy.py).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.text import SPAM_WORDS, flags, is_emoji_only, is_spam, named, plain, redact

OWN = {"cahaya", "cahaya_jatim", "cahaya@a.example"}
PERSONS = {
    "a handle": "Terima kasih @siti!",
    "a handle in brackets": "Terima kasih (@siti)",
    "a handle after a full stop": ".@siti terima kasih",
    "a handle after a stop without space": "Selesai.@siti",
    "a handle after a slash": "Ani/@siti",
    "a handle with a wide @": "Terima kasih \uff20siti",
    "a doubled @": "Terima kasih @@siti",
    "a handle of another server": "Terima kasih @siti@server.example",
    "a handle with dots": "Terima kasih @siti.nur",
    "a handle at the end of HTML": plain("<p>Halo <a href='https://a.example/@siti'>@<span>siti</span></a></p>"),
    "a namesake of ours on another server": "Halo @cahaya@siti.example",
    "an e-mail": "Tulis ke siti.nur+zakat@contoh.co.id ya",
    "a profile at X": "Lihat https://x.com/siti/status/1",
    "a profile at X without scheme": "Lihat x.com/siti",
    "a profile at Twitter": "Lihat http://www.twitter.com/siti?s=20",
    "a profile at Mastodon": "Lihat https://server.example/@siti/1142",
    "a profile at Mastodon without scheme": "Lihat server.example/@siti",
    "a profile deeper in a path": "Lihat https://server.example/web/@siti",
    "a profile at Instagram": "Lihat instagram.com/siti",
    "a profile at Facebook": "Lihat https://m.facebook.com/siti.nur",
    "a profile at Telegram": "Lihat t.me/siti",
}


@pytest.mark.parametrize("text", PERSONS.values(), ids=PERSONS.keys())
def test_other_people_are_not_in_our_own_text(text: str) -> None:
    assert "siti" in text
    assert "siti" not in redact(text, OWN)


NUMBERS = {
    "a mobile number": "0812-3456-7890",
    "an international number": "+62 812 3456 7890",
    "an international number in brackets": "+62 (812) 3456-7890",
    "a fixed line": "(021) 555-1234",
    "a number with no-break spaces": "0812\u00a03456\u00a07890",
    "a number with dashes": "0812\u20133456\u20137890",
    "a number right after a word": "WA08123456789",
    "a NIK": "3201234567890001",
    "a bank account": "rek. 123-00-0987654-3",
    "a number in a link": "https://wa.me/628123456789",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_of_nine_digits_or_more_are_not_in_our_own_text(number: str) -> None:
    kept = redact(f"Hubungi {number} segera", OWN)
    assert sum(char.isdigit() for char in kept) < 4
    assert kept.startswith("Hubungi ")
    assert kept.endswith(" segera")


@pytest.mark.parametrize(
    "text",
    [
        "Salam dari @cahaya, @Cahaya_Jatim dan @cahaya@a.example!",
        "Zakat 2,5 % sebelum 31-12-2026, pukul 19.30; kuota 1.250 orang",
        "Baca https://t.co/AbC123 dan www.cahaya.example/program",
        "Bersama #zakat #sedekah2026 🙏",
        "",
    ],
)
def test_what_names_nobody_stays_as_it_is(text: str) -> None:
    assert redact(text, OWN) == text


handles = st.from_regex(r"[A-Za-z0-9_]{3,15}", fullmatch=True).filter(lambda name: name.lower() not in OWN)


@given(st.text(max_size=30), handles, st.text(max_size=30))
def test_a_handle_is_redacted_wherever_it_stands(before: str, handle: str, after: str) -> None:
    kept = redact(f"{before} @{handle} {after}", {"our_own_handle"})
    assert f"@{handle}" not in kept


@given(st.text(alphabet="ab1@./:-_ ＠\n", max_size=200))  # noqa: RUF001 the wide @ is what is tried
def test_redaction_is_done_at_once(text: str) -> None:
    once = redact(text, OWN)
    assert redact(once, OWN) == once


@pytest.mark.parametrize("text", ["a." * 20_000, "@" * 50_000, "a" * 50_000, "1 " * 20_000, "https://" + "a/" * 20_000, "a@" * 20_000])
def test_a_hostile_text_is_read_to_its_end(text: str) -> None:
    assert flags(text[:5_000], OWN)["spam"] is False
    assert isinstance(redact(text[:5_000], OWN), str)


def test_handles_in_links_are_not_named() -> None:
    assert named("Lihat https://server.example/@siti dan .@Budi, @ani@b.example") == {"budi", "ani@b.example"}


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Satu</p><p>Dua<br>Tiga</p>", "Satu\nDua\nTiga"),
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("<p>Halo <span class='h-card'><a href='https://a/@siti'>@<span>siti</span></a></span></p>", "Halo @siti"),
        ("polos", "polos"),
        ("1 < 2 dan 3 > 2", "1 < 2 dan 3 > 2"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert plain(html) == text


@given(st.text())
def test_any_text_can_be_flagged(text: str) -> None:
    found = flags(plain(text), OWN)
    assert set(found) == {"question", "emoji_only", "word_count", "spam", "spam_rule", "giveaway"}
    assert isinstance(found["word_count"], int)
    assert found["word_count"] >= 0


@pytest.mark.parametrize(
    ("text", "is_only"),
    [
        ("🙏", True), ("🙏🙏 ❤️!", True), ("👍🏽", True), ("👨‍👩‍👧", True), ("🇮🇩", True),
        ("", False), ("!!!", False), ("🙏 amin", False), ("100", False),
    ],
)  # fmt: skip
def test_emoji_alone_is_told_from_words(text: str, is_only: bool) -> None:
    assert is_emoji_only(text) is is_only
    assert flags(f"@cahaya {text}", OWN)["emoji_only"] is is_only


SPAM_CASES = [
    ("Main slot gacor di https://judi.example", True),
    ("MAXWIN! togel www.x.example", True),
    ("slot gacor", False),
    ("slot https://a.example", False),
    ("Kenapa iklan judi online muncul? https://a.example", False),
    ("Terima kasih https://slot-gacor.example", False),
]


@pytest.mark.parametrize(("text", "is_it"), SPAM_CASES)
def test_spam_is_two_of_the_words_and_a_link(text: str, is_it: bool) -> None:
    assert is_spam(text) is is_it
    assert (flags(text, OWN)["spam"], flags(text, OWN)["spam_rule"]) == (is_it, 1)


@given(st.sets(st.sampled_from(sorted(SPAM_WORDS)), min_size=2), st.booleans())
def test_without_a_link_no_words_are_spam(words: set[str], has_link: bool) -> None:
    assert is_spam(" ".join(words) + (" https://a.example" if has_link else "")) is has_link


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("Ikut #giveaway kami", True),
        ("Tag 3 teman kamu", True),
        ("tag 10 akun", True),
        ("@ani @budi @citra ikut yuk", True),
        ("@ani @budi @cahaya ikut yuk", False),
        ("@ani @ani @ani ikut yuk", False),
        ("Berbagi hadiah", False),
    ],
)
def test_a_giveaway_is_known_by_its_name_or_by_three_others_tagged(text: str, is_it: bool) -> None:
    assert flags(text, OWN)["giveaway"] is is_it


@pytest.mark.parametrize(
    ("text", "words", "asks"),
    [
        ("@cahaya kapan donasi disalurkan?", 3, True),
        ("anak-anak senang sekali", 3, False),
        ("lihat https://a.example/apa?b=c", 1, False),
        ("", 0, False),
    ],
)
def test_handles_and_links_are_no_words_and_no_questions(text: str, words: int, asks: bool) -> None:
    found = flags(text, OWN)
    assert (found["word_count"], found["question"]) == (words, asks)
