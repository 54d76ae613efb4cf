"""One exchange over the wire: time-outs, a deadline for the whole answer, a limit of size, no redirects, nothing of a .netrc file.

Not here: what is asked again and how long is waited (http.py), and where tokens come from (tokens.py).
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ReadTimeoutError

from connectors.failures import DoorError, PermanentFailure, TemporaryFailure, TooSlow

if TYPE_CHECKING:
    from urllib3.poolmanager import PoolManager

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
# From the request to the answer's last byte. The largest answer that is taken still fits at 1.8 Mbit/s; without it a server that
# gives a byte now and then, each within the time-out, would hold a thread for ever.
ANSWER_DEADLINE_S = 300.0
MAX_ANSWER_BYTES = 64 * 2**20
CHUNK_BYTES = 2**16
# What the standard library unpacks, named in every request, so that the answers do not depend on what else is installed.
CODINGS = ("gzip", "deflate")


class _Clocked(io.RawIOBase):
    """What comes from a socket, until the deadline: each wait for bytes may last as long as is left, and no longer than the time-out."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._until = time.monotonic() + ANSWER_DEADLINE_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 as io declares it
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(min(left_s, READ_TIMEOUT_S))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _ClockedResponse(HTTPResponse):
    """The standard library's response; status line, headers and body all come through the clocked reader."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:  # noqa: ANN401 handed on as they are
        super().__init__(sock, *args, **more)
        self.fp = io.BufferedReader(_Clocked(self.fp.detach(), sock), CHUNK_BYTES)


class _Connection(HTTPConnection):
    response_class = _ClockedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _ClockedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """The session's usual adapter over connections whose answers have a deadline, through a proxy too."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 handed on as they are
        super().init_poolmanager(*args, **more)
        _clocked(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:  # noqa: ANN401 handed on as they are
        manager = super().proxy_manager_for(proxy, **more)
        _clocked(manager)
        return manager


def _clocked(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A session with one host on behalf of one account, whose `label` stands in every message.

    Redirects are not followed: an API that sends a client elsewhere has moved, and the credentials must not go along.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        self._session.headers.update(
            {"Accept": "application/json", "Accept-Encoding": ", ".join(CODINGS), "User-Agent": "tolok/0.1 (+institutional analytics)"}
        )

    def exchange(
        self,
        method: str,
        url: str,
        auth: AuthBase,
        params: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and read its answer to the end. An explicit `auth` keeps requests from looking into a .netrc file.

        Raises:
            TemporaryFailure: no connection, no answer in time, or an answer that broke off.
            PermanentFailure: the request cannot be sent, or the answer is too large or packed in an unknown way.
        """
        begun = time.monotonic()
        try:
            with self._session.request(
                method,
                url,
                params=list(params) or None,
                data=dict(form) if form is not None else None,
                auth=auth,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Reply(response.status_code, response.headers, self._read(response))
        except requests.RequestException as failure:
            raise self._failure(failure, time.monotonic() - begun) from None

    def close(self) -> None:
        self._session.close()

    def _failure(self, failure: requests.RequestException, seconds: float) -> DoorError:
        """What it means that the exchange failed after so many seconds; the library's own words may hold addresses and tokens."""
        if isinstance(failure, requests.ConnectTimeout):
            said = "no connection in time"
        elif isinstance(failure, requests.exceptions.ContentDecodingError):
            said = "the answer could not be unpacked"
        elif not isinstance(failure, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
            return PermanentFailure(f"{self._label}: the request could not be sent ({type(failure).__name__}).")
        elif seconds >= ANSWER_DEADLINE_S:
            return TooSlow(f"{self._label}: the answer came too slowly and was left after {ANSWER_DEADLINE_S:.0f} s.")
        elif isinstance(failure, requests.Timeout):
            said = "no answer in time"
        elif any(isinstance(cause, ReadTimeoutError) for cause in failure.args):
            said = "the answer stopped half-way, and the rest did not come in time"
        else:
            said = "the connection could not be made or broke off"
        return TemporaryFailure(f"{self._label}: {said}.")

    def _read(self, response: requests.Response) -> bytes:
        """The body, unpacked as it streams: no more than a chunk at once, so that a small packet that unpacks to much stays small."""
        coding = response.headers.get("Content-Encoding", "").strip().lower()
        if coding not in {"", "identity", "x-gzip", *CODINGS}:
            if response.status_code >= 300:  # noqa: PLR2004 the HTTP classes
                return b""
            message = f"{self._label}: the answer is packed in a way that was not asked for ({coding[:20]!r}) and was left."
            raise PermanentFailure(message)
        promised = response.headers.get("Content-Length", "")
        if promised.isascii() and promised.isdecimal() and int(promised[:20]) > MAX_ANSWER_BYTES:
            raise self._too_large()
        body = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> PermanentFailure:
        return PermanentFailure(f"{self._label}: the answer is larger than {MAX_ANSWER_BYTES >> 20} MB and was left.")
