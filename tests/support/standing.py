"""A stand-in that a test holds in its own process, so that it can be made to say other things: its clock, its world, its retired metrics.

Not here: the sandbox in a process of its own (sandbox/server.py) and servers that say what a test writes (tests/connectors/served.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route


@contextmanager
def standing(routes: Sequence[Route]) -> Iterator[str]:
    """Serve routes on a free port of loopback while the block lasts; gives the address."""
    config = uvicorn.Config(Starlette(routes=list(routes)), port=0, ws="none", lifespan="off", log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < end, "the stand-in did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
