"""A secret that does not show itself: not in a message, a log, a traceback or a dump.

Not here: where secrets come from (pipelines/settings.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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


class Environ(Mapping[str, str]):
    """The environment's variables, tokens among them: names can be seen, values are given to who asks for one by name, and never shown.

    >>> Environ({"TOLOK_HMAC_KEY": "not to be read"})
    Environ(1 names)
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: Secret(values[name]) for name in values}

    def __getitem__(self, name: str) -> str:
        return self._values[name].reveal()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Environ({len(self)} names)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        message = "An environment with secrets in it is not written anywhere."
        raise TypeError(message)
