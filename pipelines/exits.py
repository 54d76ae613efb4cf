"""How a command ended, as the number that a script reads: one table from each kind of failure to its code.

Not here: the sentences (each failure has its own) and what the command prints (cli.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from assets.draft import DraftError
from checks.gate import BrokenCheckError
from connectors.failures import DoorError
from connectors.privacy import NoKeyError
from pipelines.engine import TransformError
from pipelines.house import HomeBusyError
from pipelines.settings import SettingsError
from pipelines.warehouse import WarehouseError


class Exit(IntEnum):
    """The exit codes of `tolok`. A run that a signal ended says which, as shells do: 128 + its number."""

    WELL = 0
    NOT_WHOLE = 1
    WRONG = 2
    BUSY = 3
    UNUSABLE = 4
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Mapping[Exit, str] = {
    Exit.WELL: "all well",
    Exit.NOT_WHOLE: "the night is not whole (a gap, a refused institution, a broken step); everything else was published. doctor: something is red",
    Exit.WRONG: "the command, a setting or a key is wrong; nothing was done",
    Exit.BUSY: "another run works in the same home; nothing was done",
    Exit.UNUSABLE: "the warehouse or the home cannot be used: held by another program, written by a newer Tolok, disk full, read-only",
    Exit.INTERRUPTED: "Ctrl-C ended the run in order; what came is kept, and the next run goes on",
    Exit.TERMINATED: "SIGTERM ended the run in order; likewise",
}

# A subclass has the code of the nearest class that stands here.
CODES: Mapping[type[BaseException], Exit] = {
    # One platform's or one table's trouble: the night goes on without it.
    DoorError: Exit.NOT_WHOLE,
    TransformError: Exit.NOT_WHOLE,
    BrokenCheckError: Exit.NOT_WHOLE,
    DraftError: Exit.NOT_WHOLE,
    SettingsError: Exit.WRONG,
    NoKeyError: Exit.WRONG,
    HomeBusyError: Exit.BUSY,
    WarehouseError: Exit.UNUSABLE,
}


def code_of(failure: BaseException) -> Exit | None:
    """The code of a failure of ours; None of any other."""
    return next((CODES[kind] for kind in type(failure).__mro__ if kind in CODES), None)


def code_of_steps(failed: Iterable[str]) -> Exit:
    """The code of a run from the names of the classes that failed its steps: what stopped the whole run outweighs a part that is missing."""
    names = list(failed)
    if not names:
        return Exit.WELL
    known = _names()
    return max((code for name in names if (code := known.get(name)) is not None), default=Exit.NOT_WHOLE)


def _names() -> dict[str, Exit]:
    """The codes by the classes' names, subclasses included: Dagster tells of a failure in words, not as an object."""
    found: dict[str, Exit] = {}
    left: list[type[BaseException]] = list(CODES)
    while left:
        kind = left.pop()
        found[kind.__name__] = next(CODES[one] for one in kind.__mro__ if one in CODES)
        left += [*kind.__subclasses__()]
    return found


def help_text() -> str:
    """The codes in one line, for `--help`."""
    return "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."
