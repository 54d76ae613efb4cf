"""A real HTTP server that says what a test tells it to, and remembers what it heard.

Not here: what is said (each test its own), and platforms as a whole (sandbox/ and tests/counterparts/).
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it came over the wire."""

    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `promised` is the length that the header names when it is not the body's; `is_cut` resets the connection instead."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    is_cut: bool = False


def said(content: object, status: int = 200, **headers: str) -> Said:
    """An answer in JSON; a header's underscores stand for hyphens."""
    return Said(json.dumps(content).encode(), status, {name.replace("_", "-"): value for name, value in headers.items()})


class Speaker:
    """The server: `say` decides each answer, `heard` holds the requests."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.say: Callable[[Heard], Said] = lambda _: Said()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.speaker = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def says(self, *answers: Said) -> None:
        """Give these answers in turn, the last one for ever; what was heard before is forgotten."""
        self.heard.clear()
        left = list(answers)
        self.say = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def answers(self, say: Callable[[Heard], Said]) -> None:
        """Ask `say` for each answer; what was heard before is forgotten."""
        self.heard.clear()
        self.say = say

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    speaker: Speaker

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left early is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        heard = Heard(self.path, dict(self.headers.items()), body)
        self.server.speaker.heard.append(heard)
        answer = self.server.speaker.say(heard)
        self.close_connection = True
        if answer.is_cut:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        # Without a length the end of the connection is the end of the answer.
        if answer.promised != -1:
            self.send_header("Content-Length", str(len(answer.body) if answer.promised is None else answer.promised))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def speaking() -> Iterator[Speaker]:
    """A server while the block lasts."""
    speaker = Speaker()
    try:
        yield speaker
    finally:
        speaker.stop()
