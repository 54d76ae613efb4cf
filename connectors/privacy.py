"""No person leaves the door: which fields are dropped, which replaced by a keyed HMAC, which text becomes flags.

Not here: the lists of fields (each stream's own declaration) and the rules for texts (text.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.text import flags, named, plain, redact

if TYPE_CHECKING:
    from connectors.secret import Secret
    from connectors.streams import Account

Record = dict[str, Any]
MIN_KEY_BYTES = 16
PSEUDONYM = re.compile(r"[0-9a-f]{6}:[0-9a-f]{32}")
# What stands in a record of somebody else's, or of ours, where an erased person was named.
ERASED = "erased"


class NoKeyError(Exception):
    """A key is missing, or too short to resist guessing. Nothing is fetched without it."""


@dataclass(frozen=True, slots=True)
class Private:
    """What of a record may pass. Paths are dotted; `[]` stands for each element of a list.

    Args:
        keep: an allow-list, for other people's items: everything else is dropped.
        drop: a deny-list, for our own items, so that a new field of the platform's arrives too.
        pseudonym: ids of people, replaced by HMAC-SHA256 unless they are the institution's own.
        redact: our own text: kept, without other people's handles, addresses and numbers.
        names: where names stand of those whom our own text names in full (Facebook's tags): these are taken out of it too.
        flags_from: other people's text: replaced by the member `flags` of the record, and dropped.
        mentions: where the ids or handles of those who are @mentioned stand; gives `flags.mentions_us`.
        author: where the id of the author stands; gives `flags.by_us` and `flags.by_staff`.
        author_handle: where the author's handle stands beside the id, for platforms whose ids of people are not those of their accounts.
        own: a member that is true where the platform says that the record is ours, whatever our name is by now; gives `flags.by_us` too.
        is_mention: every record of the list mentions the account, whether its text does or not (the platform's own list of tags).
        is_foreign_text: says of a record of ours that its text is somebody else's (a repost): then the text is dropped.
        items_of: pairs of paths, a person's id and the ids of items by that person: with the person these are erased too.
    """

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    pseudonym: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    flags_from: str | None = None
    mentions: tuple[str, ...] = ()
    author: str | None = None
    author_handle: str | None = None
    own: str | None = None
    is_mention: bool = False
    is_foreign_text: Callable[[Record], bool] | None = None
    items_of: tuple[tuple[str, str], ...] = ()


def suppression(pseudonym: str) -> str:
    """What is kept of an erased person: it tells the pseudonym again when it comes, and cannot be turned back into it."""
    return hashlib.sha256(f"tolok suppression {pseudonym}".encode()).hexdigest()


def key_id(key: bytes) -> str:
    """How a pseudonym names its key: six hexadecimal digits that tell nothing about it."""
    return hmac.digest(key, b"tolok key id", "sha256").hex()[:6]


class Pseudonyms:
    """Turns a person's id into `<key id>:<hmac>`; the platform is part of the message, so two platforms' pseudonyms never meet.

    A person who is known under a former key keeps that pseudonym: rows of before and after a change of keys are one person's, and what is
    read again is what stands there. Everybody else gets the current key's.

    Args:
        key: the current key.
        former: earlier keys, the latest first.
        known: pseudonyms under former keys that stand in the warehouse.
        erased: `suppression` of the pseudonyms of those who were erased.

    Raises:
        NoKeyError: the key is absent, or a key is shorter than 16 bytes.
    """

    def __init__(
        self, key: Secret | None, former: Sequence[Secret] = (), known: Collection[str] = frozenset(), erased: Collection[str] = frozenset()
    ) -> None:
        if key is None or len(key.reveal().encode()) < MIN_KEY_BYTES:
            message = (
                "Nothing was fetched: there is no key to hide people's ids with (or it is shorter than 16 bytes). "
                "Set TOLOK_HMAC_KEY, or TOLOK_HMAC_KEY_FILE to a file that holds it; `tolok init` shows how to make one."
            )
            raise NoKeyError(message)
        for place, one in enumerate(former, 1):
            if len(one.reveal().encode()) < MIN_KEY_BYTES:
                message = (
                    f"Nothing was fetched: line {place} of TOLOK_HMAC_KEYS_FORMER is shorter than 16 bytes. One whole key stands on a line."
                )
                raise NoKeyError(message)
        self._key = key
        self._former = tuple(one for one in former if one.reveal() != key.reveal())
        self._known = frozenset(known)
        self._erased = frozenset(erased)
        self.key_id = key_id(key.reveal().encode())
        self.former_ids = tuple(key_id(one.reveal().encode()) for one in self._former)
        # Named once: to name a key for each of a million persons took 15 s (measured).
        self._named = tuple(zip((self._key, *self._former), (self.key_id, *self.former_ids), strict=True))

    def __repr__(self) -> str:
        return f"Pseudonyms({', '.join((self.key_id, *self.former_ids))})"

    def __reduce__(self) -> str:
        message = "Keys are not written anywhere."
        raise TypeError(message)

    def informed(self, known: Collection[str], erased: Collection[str]) -> Pseudonyms:
        """The same keys, told who is known under a former one, and who was erased."""
        return Pseudonyms(self._key, self._former, known, erased)

    def of(self, platform: str, person_id: str) -> str:
        """The person's pseudonym: the oldest under which they are known, else the current key's."""
        if self._known:
            for named in reversed(self._named[1:]):
                if (earlier := _pseudonym_by(*named, platform, person_id)) in self._known:
                    return earlier
        return _pseudonym_by(*self._named[0], platform, person_id)

    def every(self, platform: str, person_id: str) -> tuple[str, ...]:
        """The person's pseudonyms under all keys, the current one's first."""
        return tuple(_pseudonym_by(*named, platform, person_id) for named in self._named)

    def is_erased(self, platform: str, person_id: str) -> bool:
        return bool(self._erased) and any(suppression(one) in self._erased for one in self.every(platform, person_id))


def _pseudonym_by(key: Secret, name: str, platform: str, person_id: str) -> str:
    return f"{name}:{hmac.digest(key.reveal().encode(), f'{platform}:{person_id}'.encode(), 'sha256').hex()[:32]}"


def is_by_erased(record: Record, private: Private, account: Account, pseudonyms: Pseudonyms) -> bool:
    """Says of a record as the platform gave it that its author was erased: then nothing of it is landed."""
    authors = [author for path in (private.author, private.author_handle) if path for author in _values(record, path.split("."))]
    return any(pseudonyms.is_erased(account.platform, str(author)) for author in authors)


def minimise(record: Record, private: Private, account: Account, pseudonyms: Pseudonyms) -> Record:
    """The record as it may be landed. Flags are taken before anything is dropped or replaced."""
    found = _flags(record, private, account)
    names = sorted({str(name) for path in private.names for name in _values(record, path.split(".")) if name}, key=len, reverse=True)
    if private.keep:
        record = _kept(record, private.keep)
    for path in private.drop:
        _edit(record, path.split("."), None)
    if private.is_foreign_text is not None and private.is_foreign_text(record):
        for path in private.redact:
            _edit(record, path.split("."), None)
    for path in private.redact:
        _edit(record, path.split("."), lambda text: redact(_without(plain(str(text)), names), _own_handles(account)))
    for path in private.pseudonym:
        _edit(record, path.split("."), lambda person: _pseudonym(person, account, pseudonyms))
    if private.items_of:
        _erase_items(record, private)
    if found is not None:
        record["flags"] = found
    return record


def _without(text: str, names: Sequence[str]) -> str:
    """The text without these names, whatever their case."""
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "@…", text, flags=re.IGNORECASE)
    return text


def _own_handles(account: Account) -> frozenset[str]:
    """The institution's handles, also as they are written from another server: `cahaya`, `cahaya@server.example`."""
    return _handles(account.own_handles, account.base_url)


@lru_cache(maxsize=64)
def _handles(own_handles: frozenset[str], base_url: str) -> frozenset[str]:
    host = urlsplit(base_url).hostname
    return own_handles | {f"{handle}@{host}" for handle in own_handles}


def _pseudonym(person: object, account: Account, pseudonyms: Pseudonyms) -> object:
    if person is None or str(person) in account.own_ids:
        return person
    return ERASED if pseudonyms.is_erased(account.platform, str(person)) else pseudonyms.of(account.platform, str(person))


def forget(record: Record, private: Private, is_erased: Callable[[str], bool]) -> Record | None:
    """A landed record without what `is_erased`; None when its author is. The record itself is changed.

    `is_erased` hears each text of the record: pseudonyms, and ids of items where these are known.
    """
    if private.author and any(is_erased(str(author)) for author in _values(record, private.author.split("."))):
        return None
    _put(record, is_erased)
    _erase_items(record, private)
    return record


def _erase_items(record: Record, private: Private) -> None:
    """Where a person was erased, the ids of that person's items go too, wherever they stand in the record."""
    items: set[str] = set()
    for person, item in private.items_of:
        if ERASED in _values(record, person.split(".")):
            items |= {str(value) for value in _values(record, item.split("."))}
    if items:
        _put(record, items.__contains__)


def _put(value: object, is_erased: Callable[[str], bool]) -> object:
    """Put `ERASED` in the place of each text that `is_erased`."""
    if isinstance(value, str):
        return ERASED if is_erased(value) else value
    if isinstance(value, dict):
        for name, inner in value.items():
            value[name] = _put(inner, is_erased)
    elif isinstance(value, list):
        value[:] = [_put(inner, is_erased) for inner in value]
    return value


def _flags(record: Record, private: Private, account: Account) -> dict[str, bool | int] | None:
    if private.flags_from is None:
        return None
    text = plain(" ".join(str(value) for value in _values(record, private.flags_from.split(".")) if value))
    found = flags(text, _own_handles(account))
    # Where the platform lists who is meant, that decides: a text shows `@cahaya` for the namesake on another server too.
    listed = {str(value).lower() for path in private.mentions for value in _values(record, path.split("."))}
    found["mentions_us"] = not {account.account_id.lower(), account.handle.lower()}.isdisjoint(listed or named(text)) or private.is_mention
    author = next((str(value) for value in _values(record, private.author.split("."))), None) if private.author else None
    # Some platforms name the author of a comment by the handle alone.
    handles = {str(value).lower() for path in (private.author, private.author_handle) if path for value in _values(record, path.split("."))}
    found["by_us"] = author in account.own_ids or not handles.isdisjoint(account.own_handles)
    found["by_us"] |= private.own is not None and any(value is True for value in _values(record, private.own.split(".")))
    found["by_staff"] = author is not None and author in account.staff_ids
    return found


def _values(value: object, path: list[str]) -> list[object]:
    if not path:
        return [value]
    name, rest = path[0].removesuffix("[]"), path[1:]
    if not isinstance(value, dict) or value.get(name) is None:
        return []
    inner = value[name]
    items: Collection[object] = inner if path[0].endswith("[]") and isinstance(inner, list) else [inner]
    return [found for item in items for found in _values(item, rest)]


def _edit(value: object, path: list[str], change: Callable[[object], object] | None) -> None:
    """Replace the value at each place of the path by `change(value)`, or remove it when `change` is None."""
    if not isinstance(value, dict):
        return
    name, is_list, rest = path[0].removesuffix("[]"), path[0].endswith("[]"), path[1:]
    if name not in value:
        return
    if rest:
        for item in value[name] if is_list and isinstance(value[name], list) else [value[name]]:
            _edit(item, rest, change)
    elif change is None:
        del value[name]
    elif value[name] is not None:
        value[name] = [change(item) for item in value[name]] if is_list and isinstance(value[name], list) else change(value[name])


def _kept(record: Record, paths: tuple[str, ...]) -> Record:
    """A copy of the record that holds the given paths and nothing else."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for part in path.split("."):
            node = node.setdefault(part, {})
    return _pruned(record, tree)


def _pruned(value: Record, tree: dict[str, Any]) -> Record:
    kept: Record = {}
    for part, below in tree.items():
        name = part.removesuffix("[]")
        if name not in value:
            continue
        inner = value[name]
        if not below:
            kept[name] = inner
        elif part.endswith("[]") and isinstance(inner, list):
            kept[name] = [_pruned(item, below) for item in inner if isinstance(item, dict)]
        elif isinstance(inner, dict):
            kept[name] = _pruned(inner, below)
        else:
            kept[name] = None if inner is None else {}
    return kept
