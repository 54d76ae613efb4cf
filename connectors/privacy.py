"""No person leaves the door: which fields are dropped, which replaced by a keyed HMAC, which text becomes flags.

Not here: the lists of fields (each stream's own declaration) and the rules for texts (text.py).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.text import flags, named, plain, redact

if TYPE_CHECKING:
    from connectors.secret import Secret
    from connectors.streams import Account

Record = dict[str, Any]
MIN_KEY_BYTES = 16


class NoKeyError(Exception):
    """There is no HMAC key, or one too short to resist guessing. Nothing is fetched without it."""


@dataclass(frozen=True, slots=True)
class Private:
    """What of a record may pass. Paths are dotted; `[]` stands for each element of a list.

    Args:
        keep: an allow-list, for other people's items: everything else is dropped.
        drop: a deny-list, for our own items, so that a new field of the platform's arrives too.
        pseudonym: ids of people, replaced by HMAC-SHA256 unless they are the institution's own.
        redact: our own text: kept, without other people's handles, addresses and numbers.
        flags_from: other people's text: replaced by the member `flags` of the record, and dropped.
        mentions: where the ids or handles of those who are @mentioned stand; gives `flags.mentions_us`.
        author: where the id of the author stands; gives `flags.by_us` and `flags.by_staff`.
        is_foreign_text: says of a record of ours that its text is somebody else's (a repost): then the text is dropped.
    """

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    pseudonym: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    flags_from: str | None = None
    mentions: tuple[str, ...] = ()
    author: str | None = None
    is_foreign_text: Callable[[Record], bool] | None = None


class Pseudonyms:
    """Turns a person's id into `<key id>:<hmac>`; the platform is part of the message, so two platforms' pseudonyms never meet.

    Raises:
        NoKeyError: the key is absent or shorter than 16 bytes.
    """

    def __init__(self, key: Secret | None) -> None:
        if key is None or len(key.reveal().encode()) < MIN_KEY_BYTES:
            message = (
                "Nothing was fetched: there is no key to hide people's ids with (or it is shorter than 16 bytes). "
                "Set TOLOK_HMAC_KEY, or TOLOK_HMAC_KEY_FILE to a file that holds it; `tolok init` shows how to make one."
            )
            raise NoKeyError(message)
        self._key = key.reveal().encode()
        self.key_id = hmac.new(self._key, b"tolok key id", hashlib.sha256).hexdigest()[:6]

    def of(self, platform: str, person_id: str) -> str:
        digest = hmac.new(self._key, f"{platform}:{person_id}".encode(), hashlib.sha256).hexdigest()
        return f"{self.key_id}:{digest[:32]}"


def minimise(record: Record, private: Private, account: Account, pseudonyms: Pseudonyms) -> Record:
    """The record as it may be landed. Flags are taken before anything is dropped or replaced."""
    found = _flags(record, private, account)
    if private.keep:
        record = _kept(record, private.keep)
    for path in private.drop:
        _edit(record, path.split("."), None)
    if private.is_foreign_text is not None and private.is_foreign_text(record):
        for path in private.redact:
            _edit(record, path.split("."), None)
    for path in private.redact:
        _edit(record, path.split("."), lambda text: redact(plain(str(text)), _own_handles(account)))
    for path in private.pseudonym:
        _edit(record, path.split("."), lambda person: _pseudonym(person, account, pseudonyms))
    if found is not None:
        record["flags"] = found
    return record


def _own_handles(account: Account) -> set[str]:
    """The institution's handles, also as they are written from another server: `cahaya`, `cahaya@server.example`."""
    host = urlsplit(account.base_url).hostname
    return {*account.own_handles, *(f"{handle}@{host}" for handle in account.own_handles)}


def _pseudonym(person: object, account: Account, pseudonyms: Pseudonyms) -> object:
    if person is None or str(person) in account.own_ids:
        return person
    return pseudonyms.of(account.platform, str(person))


def _flags(record: Record, private: Private, account: Account) -> dict[str, bool | int] | None:
    if private.flags_from is None:
        return None
    text = plain(" ".join(str(value) for value in _values(record, private.flags_from.split(".")) if value))
    found = flags(text, _own_handles(account))
    # Where the platform lists who is meant, that decides: a text shows `@cahaya` for the namesake on another server too.
    listed = {str(value).lower() for path in private.mentions for value in _values(record, path.split("."))}
    found["mentions_us"] = not {account.account_id.lower(), account.handle.lower()}.isdisjoint(listed or named(text))
    author = next((str(value) for value in _values(record, private.author.split("."))), None) if private.author else None
    found["by_us"] = author is not None and author in account.own_ids
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
