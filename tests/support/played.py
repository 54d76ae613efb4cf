"""A home in which the demo has played some nights: what the tests of publishing, of the command line and of the UI look at.

Not here: shorter homes without Dagster (nights.py).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from pipelines import demo
from pipelines.house import House

NIGHTS = 9


@dataclass(frozen=True)
class PlayedHome:
    """The home, what the demo told, and the port of its sandbox."""

    home: Path
    told: demo.Played
    port: int

    @property
    def house(self) -> House:
        return House(self.home, environ=demo.ENVIRON)

    @property
    def published(self) -> Path:
        return self.told.published


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def play(home: Path, nights: int | None = NIGHTS) -> PlayedHome:
    """Play the demo's first nights (None: all) into `home`."""
    port = free_port()
    return PlayedHome(home, demo.play(home, count=nights, port=port), port)
