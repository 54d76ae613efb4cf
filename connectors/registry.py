"""Which platforms there are: every module of this package that declares `CONNECTOR`. A new platform is one file here.

Not here: which platforms an institution uses (its own file).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import connectors
from connectors.streams import Connector


@cache
def platforms() -> dict[str, Connector]:
    """All connectors by platform, in alphabetical order."""
    modules = (import_module(f"connectors.{found.name}") for found in iter_modules(connectors.__path__) if found.name != "registry")
    found = (connector for module in modules if isinstance(connector := getattr(module, "CONNECTOR", None), Connector))
    return {connector.platform: connector for connector in sorted(found, key=lambda connector: connector.platform)}
