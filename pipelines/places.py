"""Where each thing of a TOML file stands, so that a fault can be named with its line.

Not here: what the things mean (settings.py). The standard library's parser tells no lines, and neither does tomlkit; this scanner reads
only what that parser has accepted, so it need not judge, only follow.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping

Place = tuple[str | int, ...]
# Each place is a path; of a key with thousands of parts they would fill the memory, and no setting stands so deep.
DEEPEST = 50

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_TEXT = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|"(?:[^"\\\n]|\\.)*"''' + r"""|'''(?:[^']|'{1,2}(?!'))*'{3,5}|'[^'\n]*'""", re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


def lines_of(text: str) -> Mapping[Place, int]:
    r"""The line, from 1, on which each table, key and element of a list begins. `text` must be valid TOML.

    >>> lines_of("[[accounts]]\nid = 1")["accounts", 0, "id"]
    2
    """
    scanner = _Scanner(text)
    try:
        scanner.scan()
    except (ValueError, RecursionError, IndexError):
        # A line is a help for the eye; what was found until here is kept.
        return scanner.lines
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}
        self._breaks = [at for at, character in enumerate(text) if character == "\n"]

    def scan(self) -> None:
        table: Place = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                self.at += 2
                *within, last = self._key()
                many = self._note((*self._inside(within), last))
                self._counts[many] = self._counts.get(many, 0) + 1
                table = self._note((*many, self._counts[many] - 1))
                self.at += 2
            elif self.text[self.at] == "[":
                self.at += 1
                *within, last = self._key()
                table = self._note((*self._inside(within), last))
                self.at += 1
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _pair(self, table: Place) -> None:
        place = table
        begun = self.at
        for part in self._key():
            place = (*place, part)
            self._note(place, begun)
        self.at += 1
        self._value(place)

    def _value(self, place: Place) -> None:
        self._skip(_BLANK)
        if self.text[self.at] == "[":
            self.at += 1
            self._elements(place)
        elif self.text[self.at] == "{":
            self.at += 1
            self._members(place)
        elif self.text[self.at] in "\"'":
            self._skip(_TEXT)
        else:
            self._skip(_SCALAR)

    def _elements(self, place: Place) -> None:
        count = 0
        self._skip(_BLANK)
        while self.text[self.at] != "]":
            self._note((*place, count))
            self._value((*place, count))
            count += 1
            self._past_comma()
        self.at += 1

    def _members(self, place: Place) -> None:
        self._skip(_BLANK)
        while self.text[self.at] != "}":
            self._pair(place)
            self._past_comma()
        self.at += 1

    def _past_comma(self) -> None:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)

    def _key(self) -> list[str]:
        begun = self.at
        self._skip(_KEY_PART)
        while self.text[self.at] == ".":
            self.at += 1
            self._skip(_KEY_PART)
        parts: list[str] = []
        value: object = tomllib.loads(f"{self.text[begun : self.at]} = 0")
        while isinstance(value, dict):
            parts.append(next(iter(value)))
            value = value[parts[-1]]
        if len(parts) > DEEPEST:
            raise ValueError
        return parts

    def _inside(self, key: list[str]) -> Place:
        """The table that a header stands in: of a list of tables, its last one."""
        place: Place = ()
        for part in key:
            place = (*place, part)
            if place in self._counts:
                place = (*place, self._counts[place] - 1)
        return place

    def _note(self, place: Place, at: int | None = None) -> Place:
        self.lines.setdefault(place, bisect_left(self._breaks, self.at if at is None else at) + 1)
        return place

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if (found := pattern.match(self.text, self.at)) is not None:
            self.at = found.end()
