"""One exchange over the wire: what is left, when, and with how much memory.

Not here: what is asked again (test_http.py), and what a night makes of it (tests/faults/test_door_faults.py).
"""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from connectors import wire
from connectors.failures import PermanentFailure, TemporaryFailure, TooSlow
from connectors.http import SLOW_ATTEMPTS
from connectors.paging import Request
from connectors.wire import ANSWER_DEADLINE_S, MAX_ANSWER_BYTES, READ_TIMEOUT_S
from tests.connectors.conftest import MakeDoor
from tests.connectors.served import Said, Speaker, said

# Deadlines are waited for, a dozen times over.
pytestmark = pytest.mark.slow

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB_MB = 200
# A second process asks for what it is told to and says how much memory that took at its peak, in MB.
PEAK = """
import re, sys
from pathlib import Path
from requests.auth import AuthBase
from connectors.failures import DoorError
from connectors.wire import Wire
class NoAuth(AuthBase):
    def __call__(self, request): return request
# What getrusage tells begins with the peak of the process that started this one.
def peak(): return int(re.search("VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
wire = Wire("x/77")
wire.exchange("GET", sys.argv[1] + "/small", NoAuth())
before = peak()
try:
    wire.exchange("GET", sys.argv[1] + "/large", NoAuth())
except DoorError as failure:
    print(peak() - before, failure)
"""


@contextmanager
def dripping(first: bytes, drops: Sequence[bytes], every_s: float = 0.02) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives the first bytes at once and then drop after drop; yields its address and the calls."""
    is_over = threading.Event()
    calls: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        # The caller hangs up in the midst of it: that is what is tried.
        with connection, suppress(OSError):
            calls.append(connection.recv(65536))
            connection.sendall(first)
            for drop in drops:
                if is_over.wait(every_s):
                    return
                connection.sendall(drop)

    def accept() -> None:
        while not is_over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", calls
        finally:
            is_over.set()
            listener.shutdown(socket.SHUT_RDWR)


DRIPS = {
    "in the status line": (b"", [bytes([byte]) for byte in HEAD] * 50),
    "in the headers": (HEAD, [b"X-Pad: 1\r\n"] * 90 + [b"X"] * 5000),
    "in the body": (HEAD + b"Content-Length: 5000\r\n\r\n", [b" "] * 5000),
    "in a body without a length": (HEAD + b"\r\n", [b" "] * 5000),
    "in a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n", [b" "] * 5000),
    "in the length of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", [b"0"] * 5000),
    "between chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", [b"1\r\n \r\n"] * 5000),
    "in the name of what is packed": (HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + bytes(6), [b"x"] * 5000),
}


@pytest.mark.parametrize(("first", "drops"), DRIPS.values(), ids=DRIPS.keys())
def test_an_answer_that_trickles_is_left_at_its_deadline_wherever_it_trickles(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch, first: bytes, drops: list[bytes]
) -> None:
    monkeypatch.setattr(wire, "ANSWER_DEADLINE_S", 0.4)
    with dripping(first, drops) as (url, calls):
        with pytest.raises(TooSlow, match="the answer came too slowly and was left after 0 s"):
            make_door(url).get(Request(f"{url}/v1"))
        assert len(calls) == SLOW_ATTEMPTS


def test_the_deadline_is_longer_than_the_time_out_and_lets_the_largest_answer_through() -> None:
    assert ANSWER_DEADLINE_S > READ_TIMEOUT_S
    assert MAX_ANSWER_BYTES * 8 / ANSWER_DEADLINE_S < 2_000_000


def test_a_slow_answer_that_comes_in_time_is_taken(make_door: MakeDoor) -> None:
    body = b'{"a": 1}'
    with dripping(HEAD + b"Content-Length: %d\r\n\r\n" % len(body), [body[at : at + 1] for at in range(len(body))]) as (url, _):
        assert make_door(url).get(Request(f"{url}/v1")).body == body


def test_the_connection_is_kept_for_the_next_request_and_a_new_deadline_begins(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ANSWER_DEADLINE_S", 1.0)
    answer = HEAD + b"Content-Length: 2\r\n\r\n{}"
    asked = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while received := connection.recv(65536):
                asked.append(received)
                threading.Event().wait(0.3)
                connection.sendall(answer)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        door = make_door(url)
        thread = threading.Thread(target=lambda: serve(listener.accept()[0]), daemon=True)
        thread.start()
        # Five times 0.3 s is more than one deadline; all five come over the one connection that is accepted.
        for _ in range(5):
            assert door.get(Request(f"{url}/v1")).body == b"{}"
        door.close()
        thread.join(5)
    assert len(asked) == 5


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a process's own peak of memory is told by Linux alone")
@pytest.mark.parametrize("way", ["gzip", "gzip in chunks", "deflate", "raw deflate", "plain", "plain in chunks"])
def test_two_hundred_megabytes_cost_no_more_memory_than_an_answer_may_have(speaker: Speaker, way: str) -> None:
    packer = zlib.compressobj(9, wbits={"gzip": 31, "deflate": 15, "raw deflate": -15}.get(way.removesuffix(" in chunks"), 31))
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(BOMB_MB)) + packer.flush()
    assert len(packed) < 2**18
    coding = {} if way.startswith("plain") else {"Content-Encoding": "gzip" if way.startswith("gzip") else "deflate"}
    body = b" " * BOMB_MB * 2**20 if way.startswith("plain") else packed
    large = Said(body, headers=coding, promised=-1 if way.endswith("chunks") else None)
    speaker.answers(lambda heard: large if heard.path == "/large" else said({}))
    told = subprocess.run([sys.executable, "-c", PEAK, speaker.url], capture_output=True, text=True, timeout=60, check=True).stdout
    megabytes, _, failure = told.partition(" ")
    assert failure.strip() == "x/77: the answer is larger than 64 MB and was left."
    assert int(megabytes) < 2 * MAX_ANSWER_BYTES >> 20


def test_an_answer_that_promises_too_much_is_not_even_begun(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(Said(b"", promised=MAX_ANSWER_BYTES + 1))
    with pytest.raises(PermanentFailure, match="larger than 64 MB"):
        make_door(speaker.url).get(Request(f"{speaker.url}/v1"))
    assert len(speaker.heard) == 1


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip under its old name": ("x-gzip", gzip.compress),
    "gzip in capitals": ("GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", lambda body: zlib.compress(body, wbits=-15)),
    "not at all": ("identity", bytes),
}


@pytest.mark.parametrize(("coding", "pack"), PACKED.values(), ids=PACKED.keys())
def test_what_was_asked_for_is_unpacked(speaker: Speaker, make_door: MakeDoor, coding: str, pack: Callable[[bytes], bytes]) -> None:
    speaker.says(Said(pack(b'{"a": 1}'), headers={"Content-Encoding": coding}))
    assert make_door(speaker.url).get(Request(f"{speaker.url}/v1")).body == b'{"a": 1}'
    assert speaker.heard[0].headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "gzip, br", "x" * 500, "\u00e9"])
def test_another_packing_is_left_unread_and_not_asked_for_again(speaker: Speaker, make_door: MakeDoor, coding: str) -> None:
    speaker.says(Said(gzip.compress(b"{}"), headers={"Content-Encoding": coding}))
    with pytest.raises(PermanentFailure, match="packed in a way that was not asked for"):
        make_door(speaker.url).get(Request(f"{speaker.url}/v1"))
    assert len(speaker.heard) == 1


def test_an_error_page_in_another_packing_still_tells_its_status(speaker: Speaker, make_door: MakeDoor) -> None:
    speaker.says(Said(b"\x1b\x02", 503, headers={"Content-Encoding": "br"}))
    with pytest.raises(TemporaryFailure, match="answered 503"):
        make_door(speaker.url).get(Request(f"{speaker.url}/v1"))


def test_through_a_proxy_answers_have_a_deadline_too(monkeypatch: pytest.MonkeyPatch, make_door: MakeDoor) -> None:
    monkeypatch.setattr(wire, "ANSWER_DEADLINE_S", 0.3)
    with dripping(HEAD, [b"X"] * 5000) as (url, _):
        monkeypatch.setenv("http_proxy", url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        address = "http://platform.example"
        with pytest.raises(TooSlow):
            make_door(address).get(Request(f"{address}/v1"))
