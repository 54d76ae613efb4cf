"""A secret that does not show itself: not in a message, a log, a traceback or a dump.

Not here: where secrets come from (pipelines/settings.py).
"""

from __future__ import annotations

# Every secret that this process has held, so that a log's filter knows what to look for: also tokens that were renewed meanwhile.
_known: set[str] = set()


def known_secrets() -> frozenset[str]:
    """The values of all secrets that this process has held; for filters of logs alone."""
    return frozenset(_known)


class Secret:
    """A token or a key. `reveal()` is called where it goes onto the wire or into the HMAC, and nowhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if value:
            _known.add(value)

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        message = "A secret is not written anywhere."
        raise TypeError(message)
