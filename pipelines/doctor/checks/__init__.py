"""The doctor's checks: each is a module of this package with one function of its name. A new check is one file here.

Not here: what they look at (patient.py) and what they say (finding.py).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from pipelines.doctor.patient import Check

# The order in which they are told; one that is not named here comes last.
ORDER = (
    *("versions", "disk", "home", "zones", "locks", "layout", "settings", "hmac_key", "tokens", "apis", "reachability", "clock"),
    *("published", "dagster", "last_night", "quotas"),
)


@cache
def checks() -> tuple[Check, ...]:
    """All checks, in the order in which they are told."""
    others = sorted({found.name for found in iter_modules(__path__)} - {*ORDER})
    return tuple(getattr(import_module(f"{__name__}.{name}"), name) for name in (*ORDER, *others))
