"""What may be found of a person in a text: pseudonyms, and the ids of what they wrote.

Not here: which ids those are (items.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.privacy import ERASED

# Words of a text that could be an id or a pseudonym.
WORD = r"[0-9A-Za-z_:-]+"


@dataclass(frozen=True)
class Marks:
    """What may be found of a person: pseudonyms under every known key, and the ids of what they wrote."""

    pseudonyms: frozenset[str]
    items: frozenset[str] = frozenset()

    def __contains__(self, text: object) -> bool:
        return text in self.pseudonyms or text in self.items

    def may_hold(self, text: str) -> bool:
        return any(word in self for word in re.findall(WORD, text))

    def without(self, text: str) -> str:
        """The text with `erased` in their place."""
        return re.sub(WORD, lambda found: ERASED if found.group(0) in self else found.group(0), text)
