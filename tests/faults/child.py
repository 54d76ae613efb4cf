"""`python -m tests.faults.child POINT run` is `tolok run` in a process that is killed at a point, by patching one function of it.

Not here: what must hold afterwards (test_killed.py). Nothing of this is known to the product.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

When = Callable[..., bool]


def die() -> None:
    """As the power goes: no handler, no `finally`, nothing flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def always(*_: Any, **__: Any) -> bool:
    return True


def patched(place: str, *, nth: int = 1, when: When = always, after: bool = False) -> None:
    """Let the process die before (or after) the nth call of a function for which `when` holds."""
    owner_name, _, name = place.rpartition(".")
    owner = _found(owner_name)
    original = getattr(owner, name)
    seen = 0

    @wraps(original)
    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal seen
        is_here = when(*args, **kwargs)
        seen += is_here
        if is_here and seen == nth and not after:
            die()
        result = original(*args, **kwargs)
        if is_here and seen == nth and after:
            die()
        return result

    setattr(owner, name, dying)


def _found(place: str) -> Any:
    """A module, or a class in one."""
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError:
        module, _, name = place.rpartition(".")
        return getattr(importlib.import_module(module), name)


def in_the_middle_of_a_page() -> None:
    """Half of a page's bytes are on the disk."""
    asking: Any = importlib.import_module("assets.asking")
    original = asking.fetch_window
    names = inspect.signature(original)

    @wraps(original)
    def cut(*args: Any, **kwargs: Any) -> Any:
        bound = names.bind(*args, **kwargs)
        whole = bound.arguments["write"]

        def write(content: bytes) -> None:
            if len(content) > 1:
                whole(content[: len(content) // 2])
                whole.__self__.flush()
                die()
            whole(content)

        if bound.arguments["stream"].name == "posts":
            bound.arguments["write"] = write
        return original(*bound.args, **bound.kwargs)

    asking.fetch_window = cut


def brings(_: Any, landing: Path, *__: Any, **___: Any) -> bool:
    """Is there anything to land?"""
    return any((landing / "incoming").glob("*/*.json"))


def table(name: str) -> When:
    return lambda _, written, *__, **___: written.name == name


def moved_to(name: str) -> When:
    return lambda _, target, **__: Path(target).name == name and Path(target).parent.name == "latest"


POINTS: dict[str, Callable[[], None]] = {
    "mid-page": in_the_middle_of_a_page,
    "after-landing": lambda: patched("assets.raw.land", when=brings),
    "mid-merge": lambda: patched("assets.raw._counted", nth=2, after=True),
    "after-merge": lambda: patched("assets.raw._file", nth=2),
    "mid-filing": lambda: patched("pathlib.Path.unlink", when=lambda path, **_: path.suffix == ".ndjson", nth=2),
    "mid-staging": lambda: patched("pipelines.engine.consume", when=table("staging.posts")),
    "mid-goal": lambda: patched("pipelines.engine.consume", when=table("goals.goal_fundraising")),
    "mid-audit": lambda: patched("pipelines.stamps.approve", nth=3),
    "before-publish": lambda: patched("pipelines.wiring.publish"),
    "mid-copy": lambda: patched("assets.draft.in_periods", nth=4),
    "before-swap": lambda: patched("os.replace", when=moved_to("tolok.duckdb")),
    "after-swap": lambda: patched("os.replace", when=moved_to("tolok.duckdb"), after=True),
    "mid-parquet": lambda: patched("os.replace", when=lambda _, target, **__: Path(target).suffix == ".parquet", nth=5),
    "before-sums": lambda: patched("os.replace", when=moved_to("SHA256SUMS")),
    "before-status": lambda: patched("os.replace", when=moved_to("status.json")),
}


def main() -> None:
    """Arm the point, then do as the command line does."""
    POINTS[sys.argv[1]]()
    from pipelines.cli import app  # noqa: PLC0415 after the point is armed

    app(sys.argv[2:])


if __name__ == "__main__":
    main()
