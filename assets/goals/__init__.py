"""The goals: one module each says which indicators judge it. A new goal is one file here, named as its key.

Not here: definitions of indicators (assets/indicators/registry), how the tables are made (tables.py).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from assets.goals.goal import Goal


@cache
def goals() -> dict[str, Goal]:
    """All goals by key, in the order of their numbers. A module of this package that declares `GOAL` is a goal."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    declared = [goal for module in modules if isinstance(goal := getattr(module, "GOAL", None), Goal)]
    return {goal.key: goal for goal in sorted(declared, key=lambda goal: goal.number)}
