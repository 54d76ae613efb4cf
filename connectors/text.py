"""What is kept of other people's words: flags, counted at the door. The words themselves are not.

Not here: sentiment and topics, and the rule which fields hold text (the platforms' declarations).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from html.parser import HTMLParser

SPAM_RULE_VERSION = 1
# Rule v1: the vocabulary of Indonesian gambling and loan spam; two of the words and a link. One word alone also stands in honest complaints.
SPAM_WORDS = frozenset({"slot", "gacor", "maxwin", "judi", "pinjol", "togel", "jackpot", "judol", "rtp", "scatter"})
GIVEAWAY = re.compile(r"#?\bgiveaway\b|\btag\s+\d+\s+(?:teman|akun|orang)\b", re.IGNORECASE)
GIVEAWAY_TAGS = 3

_WORD = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*", re.UNICODE)
_URL = re.compile(r"https?://\S+|\bwww\.\S+", re.IGNORECASE)
# Also after a full stop (".@siti", X's way to answer in public) and a slash; both @ of Unicode; `@siti@server.example` is one.
_HANDLE = re.compile(r"(?<![\w@\uff20])[@\uff20]+([A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*(?:[@\uff20]+[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*)*)")
_PROFILE_URL = re.compile(
    r"(?:https?://)?\b(?:\w+\.)?(?:(?:twitter|x|instagram|facebook|fb|threads)\.(?:com|net)/(?!i/)|(?:t|wa)\.me/|linkedin\.com/in/)@?[\w.]+\S*"
    r"|(?:https?://)?(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?::\d+)?/(?:\S{0,200}/)?@\S+"
    r"|(?:https?://)?(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?::\d+)?/(?:users|profile|c|user)/[\w.:-]+\S*",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"(?<![\w.+@\uff20-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Indonesian mobile and fixed numbers, account numbers and NIK (16 digits): nine digits or more, with the usual separators.
_LONG_NUMBER = re.compile(r"(?<!\d)\+?\d(?:[ \u00a0.()/\u2010-\u2015-]{0,3}\d){8,}(?!\d)")
_BLOCKS = frozenset({"p", "br", "div", "li"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain(html: str) -> str:
    r"""The text of a piece of HTML, blocks on lines of their own.

    >>> plain("<p>Terima kasih <a href='#'>@<span>siti</span></a></p><p>Salam</p>")
    'Terima kasih @siti\nSalam'
    """
    if "<" not in html and "&" not in html:
        return html.strip()
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts).strip()


def redact(text: str, own_handles: Collection[str]) -> str:
    """Our own text without other people's handles, addresses and numbers.

    >>> redact("Terima kasih @siti, tulis ke @cahaya atau 0812-3456-7890", {"cahaya"})
    'Terima kasih @…, tulis ke @cahaya atau …'
    """
    own = {handle.lower() for handle in own_handles}
    text = _HANDLE.sub(lambda found: found.group(0) if found.group(1).lower() in own else "@…", _PROFILE_URL.sub("…", text))
    return _LONG_NUMBER.sub("…", _EMAIL.sub("…", text))


def named(text: str) -> set[str]:
    """The handles that a text names, in lower case; those of another server with it (`siti@server.example`).

    >>> sorted(named("Halo @Siti dan .@budi@server.example"))
    ['budi@server.example', 'siti']
    """
    return {found.group(1).lower() for found in _HANDLE.finditer(_URL.sub(" ", text))}


def is_emoji_only(text: str) -> bool:
    """True when there is a pictograph and nothing but pictographs, their modifiers, space and punctuation."""
    categories = [unicodedata.category(char) for char in text]
    return "So" in categories and all(
        category in {"So", "Sk", "Mn", "Me", "Cf", "Zs", "Cc"} or category[0] == "P" for category in categories
    )


def is_spam(text: str) -> bool:
    """Rule v1: at least two words of `SPAM_WORDS` and a link."""
    words = {word.lower() for word in _WORD.findall(_URL.sub(" ", text))}
    return len(words & SPAM_WORDS) >= 2 and _URL.search(text) is not None  # noqa: PLR2004 the rule's own number


def flags(text: str, own_handles: Collection[str]) -> dict[str, bool | int]:
    """What is kept of a text: `question, emoji_only, word_count, spam, spam_rule, giveaway`. Handles and links are no words."""
    own = {handle.lower() for handle in own_handles}
    bare = _HANDLE.sub(" ", _URL.sub(" ", text))
    return {
        "question": "?" in bare,
        "emoji_only": is_emoji_only(bare.strip()),
        "word_count": len(_WORD.findall(bare)),
        "spam": is_spam(text),
        "spam_rule": SPAM_RULE_VERSION,
        "giveaway": GIVEAWAY.search(text) is not None or len(named(text) - own) >= GIVEAWAY_TAGS,
    }
