"""Which platforms the sandbox plays: every module of this package that declares `STAND_IN`. A new one is one file here.

Lives here: what a stand-in tells of itself. Does not live here: what the platforms say (one module each).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

import sandbox
from sandbox.facts import Clock
from sandbox.world import World

DOORS: Final = ("server", "standins", "__main__", "faults")


def _none_lives(token: str, now: int) -> bool:
    del token, now
    return False


@dataclass(frozen=True, slots=True)
class StandIn:
    """One platform: the paths that are its own, the tokens that it knows, its routes, how it refuses a token and words an error.

    `renewal` is a path that is asked without a token in the header; `lives` knows those that were issued, at an instant in seconds.
    """

    platform: str
    prefixes: tuple[str, ...]
    tokens: tuple[str, ...]
    routes: Callable[[World, Clock], list[Route]]
    unauthorized: Callable[[], Response]
    failure: Callable[[int, str], Response]
    renewal: str = ""
    lives: Callable[[str, int], bool] = _none_lives


@cache
def stand_ins() -> Mapping[str, StandIn]:
    """All stand-ins by platform, in alphabetical order."""
    modules = (import_module(f"sandbox.{found.name}") for found in iter_modules(sandbox.__path__) if found.name not in DOORS)
    found = (one for module in modules if isinstance(one := getattr(module, "STAND_IN", None), StandIn))
    return {one.platform: one for one in sorted(found, key=lambda one: one.platform)}


def platform_of(path: str) -> str | None:
    """Return the platform that a path belongs to."""
    for one in stand_ins().values():
        if any(path.startswith(f"{prefix}/") or path == prefix for prefix in one.prefixes):
            return one.platform
    return None
