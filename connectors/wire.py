"""One exchange over the wire: time-outs, a deadline for the whole answer, a limit of size, no redirects, no cookies, nothing of a .netrc file.

Not here: what is asked again and how long is waited (http.py), and where tokens come from (tokens.py).
"""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ReadTimeoutError

from connectors.failures import DoorError, PermanentFailure, TemporaryFailure, TooSlow

if TYPE_CHECKING:
    from types import TracebackType

    from urllib3.poolmanager import PoolManager

    from connectors.streams import Account

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
# From the request to the answer's last byte. The largest answer that is taken still fits at 1.8 Mbit/s; without it a server that
# gives a byte now and then, each within the time-out, would hold a thread for ever.
ANSWER_DEADLINE_S = 300.0
MAX_ANSWER_BYTES = 64 * 2**20
CHUNK_BYTES = 2**16
# What the standard library unpacks, named in every request, so that the answers do not depend on what else is installed.
CODINGS = ("gzip", "deflate")
HEADERS = {
    "User-Agent": "tolok/0.1 (+institutional analytics)",
    "Accept-Encoding": ", ".join(CODINGS),
    "Accept": "application/json",
    "Connection": "keep-alive",
}
# Of accounts of which nothing is under way so many keep their connections: a plan has an account's lists one after another, and a run of
# a thousand accounts must not hold a thousand sockets.
IDLE_WIRES = 32


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
    """A session with one platform on behalf of one account, whose `label` stands in every message. Threads may use it at once.

    It holds connections and nothing else: credentials come with each exchange, cookies are refused, and redirects are not followed, for
    an API that sends a client elsewhere has moved, and the credentials must not go along.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # The environment's proxies and certificates hold, but are looked up once for each host: for each request it took a seventh of
        # the exchange's time (measured).
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._proxies: dict[str, dict[str, str]] = {}

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
            request = requests.PreparedRequest()
            request.prepare(
                method, url, headers=HEADERS, params=list(params) or None, data=dict(form) if form is not None else None, auth=auth
            )
            with self._session.send(
                request,
                proxies=self._proxies_to(url),
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Reply(response.status_code, response.headers, self._read(response))
        except requests.RequestException as failure:
            raise self._failure(failure, time.monotonic() - begun) from None

    def _proxies_to(self, url: str) -> dict[str, str]:
        host = urlsplit(url).netloc
        if host not in self._proxies:
            self._proxies[host] = get_environ_proxies(url, no_proxy=None)
        return self._proxies[host]

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


class Wires:
    """The wires of one run: one for each account, lent to all of its lists, closed when the run ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lent: dict[tuple[str, ...], tuple[Wire, int]] = {}
        self._idle: OrderedDict[tuple[str, ...], Wire] = OrderedDict()

    @contextmanager
    def of(self, account: Account) -> Iterator[Wire]:
        """The account's wire, for as long as one of its lists is read."""
        whose = account.institution_id, account.platform, account.account_id, account.base_url
        with self._lock:
            if whose not in self._lent:
                self._lent[whose] = self._idle.pop(whose) if whose in self._idle else Wire(account.label), 0
            wire, readers = self._lent[whose]
            self._lent[whose] = wire, readers + 1
        try:
            yield wire
        finally:
            with self._lock:
                wire, readers = self._lent.pop(whose)
                if readers > 1:
                    self._lent[whose] = wire, readers - 1
                else:
                    self._idle[whose] = wire
                left = [self._idle.popitem(last=False)[1] for _ in range(len(self._idle) - IDLE_WIRES)]
            for one in left:
                one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what nobody reads from any more: whoever lent them has waited for the readers."""
        with self._lock:
            idle = list(self._idle.values())
            self._idle.clear()
        for wire in idle:
            wire.close()
