"""The door of the sandbox: tokens, the simulated instant, faults on order, the log of requests, and the process that holds them.

Lives here: the ASGI application and `start`, which runs it in a second process. Does not live here: what the platforms say (one module each,
`standins` finds them) and how an answer is spoilt (`faults`).
The sandbox listens on loopback alone, and its log never holds a token.
"""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox import faults, grants
from sandbox.standins import platform_of, stand_ins
from sandbox.world import Clock, World

TOKENS: Final = {one.platform: one.tokens for one in stand_ins().values()}
SECRET_PARAMETERS: Final = ("access_token", "token", "bearer_token")
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Desk:
    """What the control paths change and every request reads: the instant, the faults, the log."""

    def __init__(self, world: World) -> None:
        """Begin at the first night, with no faults and an empty log."""
        self.world = world
        self.clock = Clock(world.nights[0].astimezone(UTC))
        self.faults: list[faults.Fault] = []
        self.log: list[dict[str, Any]] = []
        self.grants = grants.Grants(self.clock)

    def routes(self) -> list[Route]:
        """Return the control paths."""
        return [
            Route("/_sandbox/now", self.now, methods=["GET", "POST"]),
            Route("/_sandbox/faults", self.trouble, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/requests", self.requests, methods=["GET", "DELETE"]),
            Route("/_sandbox/sign_in", self.sign_in, methods=["GET", "POST"]),
        ]

    async def now(self, request: Request) -> Response:
        """Set or tell the simulated instant."""
        if request.method == "POST":
            try:
                moment = datetime.fromisoformat((await request.json())["now"])
            except (ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": f"now must be an ISO 8601 instant: {error}"}, 400)
            if moment.tzinfo is None:
                return JSONResponse({"error": "now needs a zone, for example 2026-01-01T19:00:00Z"}, 400)
            self.clock.now = moment.astimezone(UTC)
        return JSONResponse({"now": self.clock.now.isoformat()})

    async def trouble(self, request: Request) -> Response:
        """Add faults, or forget them all; answers how many are left."""
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            entries = await request.json()
            try:
                self.faults.extend(faults.read(entry) for entry in (entries if isinstance(entries, list) else [entries]))
            except (ValueError, TypeError, AttributeError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"faults": sum(fault.times != 0 for fault in self.faults)})

    async def requests(self, request: Request) -> Response:
        """Tell or forget the requests so far, oldest first."""
        if request.method == "DELETE":
            self.log.clear()
        return JSONResponse(self.log)

    async def sign_in(self, request: Request) -> Response:
        """Hand out a refresh token as to somebody who signs in to X by hand; the former ones end. Tells how many were issued since."""
        if request.method == "GET":
            return JSONResponse({"issued": self.grants.issued})
        token = (await request.json()).get("refresh_token")
        if not isinstance(token, str) or not token:
            return JSONResponse({"error": "refresh_token must be a text"}, 400)
        self.grants.sign_in(token)
        return JSONResponse({"issued": self.grants.issued})

    def note(self, request: Request, status: int | None) -> None:
        """Write one request into the log; status None means that the connection was cut."""
        pairs = [
            (name, "…" if name in SECRET_PARAMETERS else value) for name, value in parse_qsl(request.url.query, keep_blank_values=True)
        ]
        query = f"?{urlencode(pairs, safe='[]:,@')}" if pairs else ""
        self.log.append(
            {
                "method": request.method,
                "path": f"{request.url.path}{query}",
                "status": status,
                "platform": platform_of(request.url.path),
                "host": request.url.hostname,
                "has_token": "authorization" in request.headers,
            }
        )


class Door:
    """The ASGI application: it looks at tokens and faults before a platform answers, and writes the log after."""

    def __init__(self, world: World) -> None:
        """Put all platforms and the control paths behind one door."""
        self.desk = Desk(world)
        renewal = Route(grants.PATH, self.desk.grants.renew, methods=["POST"])
        platforms = [route for one in stand_ins().values() for route in one.routes(world, self.desk.clock)]
        self._platforms: faults.App = Starlette(routes=[*platforms, renewal])
        self._control: faults.App = Starlette(routes=self.desk.routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self._control(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        self.desk.note(request, answer.status_code if answer else None)
        if answer:
            await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        fault = next((fault for fault in self.desk.faults if fault.meets(request.url.path, request.url.query)), None)
        if fault is not None and fault.kind in ("expire", "revoke"):
            (self.desk.grants.expire if fault.kind == "expire" else self.desk.grants.revoke)()
        elif fault is not None:
            return await faults.spoil(fault, self._known_only, request)
        return await faults.whole(self._known_only, request)

    async def _known_only(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let those with the platform's token pass."""
        request = Request(scope, receive)
        platform = platform_of(request.url.path)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        one = stand_ins()[platform] if platform else None
        is_known = one is not None and (token in one.tokens or one.lives(token, self.desk.clock.ts))
        is_known = is_known or (platform == "x" and self.desk.grants.is_known(token))
        if one and not (is_known and scheme.lower() == "bearer") and request.url.path not in (grants.PATH, one.renewal):
            await one.unauthorized()(scope, receive, send)
            return
        await self._platforms(scope, receive, send)


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol that lets the application see its transport, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that says in one line of JSON where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = (sockets or [])[0].getsockname()[1]
        sys.stdout.write(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}"}) + "\n")
        sys.stdout.flush()


def serve(host: str = "127.0.0.1", port: int = 0, seed: int = 7, *, follow_stdin: bool = False) -> None:
    """Serve the sandbox until it is told to stop; with `follow_stdin`, until whoever started it is gone."""
    if host not in LOOPBACK:
        message = f"The sandbox listens on loopback alone; {host} was refused and nothing was started."
        raise ValueError(message)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    door = Door(World(seed))
    config = uvicorn.Config(door, http=_Protocol, ws="none", lifespan="off", log_level="critical", access_log=False)
    server = _Server(config)
    if follow_stdin:
        threading.Thread(target=_stop_with_stdin, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


def _stop_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


class Running:
    """A sandbox in a second process, and the few things that a test or the demo asks of it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        """Keep the process and where it listens."""
        self.process = process
        self.url = url

    def set_now(self, moment: datetime) -> None:
        """Set the simulated instant; a moment without a zone is refused."""
        if moment.tzinfo is None:
            message = "the simulated instant needs a zone"
            raise ValueError(message)
        self._ask("POST", "/_sandbox/now", {"now": moment.astimezone(UTC).isoformat()})

    def faults(self, entries: Sequence[dict[str, Any]]) -> None:
        """Replace the faults on order; an empty list clears them."""
        self._ask("DELETE", "/_sandbox/faults")
        self._ask("POST", "/_sandbox/faults", list(entries))

    def requests(self) -> list[dict[str, Any]]:
        """Return the log of requests, oldest first."""
        log: list[dict[str, Any]] = self._ask("GET", "/_sandbox/requests")
        return log

    def forget_requests(self) -> None:
        """Empty the log of requests."""
        self._ask("DELETE", "/_sandbox/requests")

    def sign_in(self, refresh_token: str) -> None:
        """Make X hand out this refresh token, as to somebody who signs in by hand."""
        self._ask("POST", "/_sandbox/sign_in", {"refresh_token": refresh_token})

    def issued(self) -> int:
        """Tell how many tokens X issued since the last sign-in by hand."""
        return int(self._ask("GET", "/_sandbox/sign_in")["issued"])

    def stop(self) -> None:
        """End the process and whatever it started; safe to call twice."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def _ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 JSON, of which each caller knows the kind
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request(method, path, json.dumps(body).encode() if body is not None else None)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ValueError(content["error"])
        return content

    def __enter__(self) -> Self:
        """Give the running sandbox."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it."""
        self.stop()


def start(seed: int = 7, port: int = 0) -> Running:
    """Start the sandbox in a second process (on a free port, unless one is named) and wait until it listens; it ends with its parent."""
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--seed", str(seed), "--follow-stdin"]
    process = subprocess.Popen(  # noqa: S603 this interpreter and this package; nothing comes from outside
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=Path(__file__).parents[1]
    )
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        process.wait()
        message = f"The sandbox did not start (exit code {process.returncode}); run `python -m sandbox` to see why."
        raise RuntimeError(message)
    return Running(process, json.loads(line)["url"])
