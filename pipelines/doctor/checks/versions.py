"""The interpreter and the libraries, against what this Tolok was made for.

Not here: the versions of the platforms' APIs (apis.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from pipelines.doctor.finding import Finding, State
from pipelines.doctor.patient import Patient

SHOWN_PACKAGES = ("tolok", "dagster", "duckdb", "polars", "great-expectations")


def versions(patient: Patient) -> Iterator[Finding]:
    """The interpreter and the libraries, against what this Tolok was made for."""
    del patient
    shown, wrong = [f"Python {sys.version.split()[0]}"], []
    for name in SHOWN_PACKAGES:
        try:
            shown.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
    try:
        wanted = [Requirement(text) for text in requires("tolok") or ()]
    except PackageNotFoundError:
        wanted = []
    for requirement in wanted:
        try:
            if not requirement.specifier.contains(version(requirement.name)):
                wrong.append(f"{requirement.name} is {version(requirement.name)}, made for {requirement.specifier}")
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
    if wrong:
        yield Finding("versions", State.RED, f"{', '.join(shown)}; {'; '.join(dict.fromkeys(wrong))}", "make install")
    else:
        yield Finding("versions", State.GREEN, ", ".join(shown))
