"""Faults on order: what can go wrong between a pipeline and a platform, a given number of times, on given paths.

Lives here: which answer is spoilt and how. Does not live here: good answers (`mastodon`, `x`), the door (`server`).
"""

import asyncio
import gzip
import json
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from sandbox import x
from sandbox.standins import platform_of, stand_ins

Kind = Literal[
    "status",
    "reset",
    "truncate",
    "html",
    "slow",
    "late",
    "partial_error",
    "same_page",
    "endless",
    "redirect",
    "loop",
    "drip",
    "stall",
    "short_promise",
    "malformed",
    "coding",
    "bomb",
    "large",
    "expire",
    "revoke",
]
Message = MutableMapping[str, Any]
App = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

ENDLESS: Final = "endless"
# No post of the simulated world has an id below the one or above the other: invented pages count on from them.
OLDEST_ID: Final = 10_000_000
NEWEST_ID: Final = 9_000_000_000_000_000_000
TEXTS: Final = re.compile(rb'("(?:text|content|name|display_name|note|description)":\s*")')
PAGING: Final = ("pagination_token", "next_token", "max_id", "min_id", "since_id")


@dataclass(slots=True)
class Fault:
    """One kind of trouble for the requests whose path (with or without its query) the pattern finds."""

    path: re.Pattern[str]
    kind: Kind
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    times: int | None = None
    after: int = 0
    seconds: float = 1.0
    megabytes: int = 200

    def meets(self, path: str, query: str) -> bool:
        """Tell whether this request is to be spoilt, and count it."""
        if self.times == 0 or not (self.path.search(path) or self.path.search(f"{path}?{query}")):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


def read(entry: Mapping[str, Any]) -> Fault:
    """Read one fault as it was posted; raise ValueError where it cannot be meant."""
    if entry.get("kind") not in get_args(Kind):
        message = f"kind must be one of {', '.join(get_args(Kind))}, not {entry.get('kind')!r}"
        raise ValueError(message)
    try:
        pattern = re.compile(entry["path"])
    except (KeyError, TypeError, re.error) as error:
        message = f"path must be a regular expression: {error}"
        raise ValueError(message) from error
    known = {"status", "headers", "body", "times", "after", "seconds", "megabytes"}
    unknown = entry.keys() - known - {"path", "kind"}
    if unknown:
        message = f"a fault has no {', '.join(sorted(unknown))}"
        raise ValueError(message)
    default = {"status": {"html": 200, "redirect": 307, "loop": 307, "partial_error": 200}.get(entry["kind"], 503)}
    return Fault(path=pattern, kind=entry["kind"], **{**default, **{name: entry[name] for name in known & entry.keys()}})


async def spoil(fault: Fault, app: App, request: Request) -> Response | None:
    """Answer a request in the way of the fault; None means that the connection was cut and nothing more is to be sent."""
    if fault.kind == "reset":
        cut(request)
        return None
    alone: dict[str, Callable[[Fault, Request], Response]] = {
        "status": _status,
        "html": _page,
        "redirect": _away,
        "loop": _away,
        "bomb": _huge,
        "large": _huge,
    }
    if fault.kind in alone:
        return alone[fault.kind](fault, request)
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return await whole(app, request)
    if fault.kind == "late":
        # What the request changes is changed; the answer to it comes when nobody may be there any more.
        answer = await whole(app, request)
        await asyncio.sleep(fault.seconds)
        return answer
    return await _on_pages(fault, app, request)


async def _on_pages(fault: Fault, app: App, request: Request) -> Response | None:
    if fault.kind == "same_page":
        return await _same_page(app, request)
    if fault.kind == "endless":
        return await _endless(app, request)
    answer = await whole(app, request)
    if fault.kind == "partial_error":
        return _partial(fault, request, answer)
    if fault.kind == "malformed":
        return _malformed(answer)
    if fault.kind == "coding":
        return _packed(answer, str(fault.body))
    await _by_hand(fault, request, answer)
    return None


async def whole(app: App, request: Request, query: str | None = None) -> Response:
    """Let the platform answer, perhaps to another query, and keep the answer in hand."""
    started: list[Message] = []
    chunks: list[bytes] = []

    async def catch(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            chunks.append(message.get("body", b""))

    scope = dict(request.scope)
    if query is not None:
        scope["query_string"] = query.encode()
    await app(scope, request.receive, catch)
    answer = Response(b"".join(chunks), started[0]["status"])
    answer.raw_headers = list(started[0]["headers"])
    return answer


def _status(fault: Fault, request: Request) -> Response:
    if fault.body is not None:
        body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        return Response(body, fault.status, fault.headers, media_type="application/json")
    words = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 410: "Gone", 429: "Too Many Requests", 503: "Service Unavailable"}
    title = words.get(fault.status, "Internal Server Error")
    answer = stand_ins()[platform_of(request.url.path) or "mastodon"].failure(fault.status, title)
    answer.headers.update(fault.headers)
    return answer


def _page(fault: Fault, _: Request) -> Response:
    return HTMLResponse(fault.body or "<!doctype html><html><body><h1>Sedang pemeliharaan</h1></body></html>", fault.status, fault.headers)


def _away(fault: Fault, request: Request) -> Response:
    location = _elsewhere(request) if fault.kind == "redirect" else str(request.url)
    return Response(status_code=fault.status, headers={"location": location, **_lowered(fault.headers)})


def _elsewhere(request: Request) -> str:
    """Return the same address under another name of this host, so that a client that carries its token along is caught."""
    return str(request.url.replace(hostname="localhost"))


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _transport(request: Request) -> asyncio.Transport:
    transport: asyncio.Transport = request.scope["state"]["transport"]
    return transport


def cut(request: Request) -> None:
    """Reset the connection: no answer, no farewell."""
    transport = _transport(request)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _by_hand(fault: Fault, request: Request, answer: Response) -> None:
    """Write the answer onto the wire in another way than was promised, and close."""
    body = bytes(answer.body)
    half = len(body) // 2
    headers = dict(answer.raw_headers)
    if fault.kind == "short_promise":
        headers[b"content-length"] = str(half).encode()
    transport = _transport(request)
    head = b"".join(b"%s: %s\r\n" % pair for pair in headers.items())
    transport.write(b"HTTP/1.1 %d OK\r\n%s\r\n" % (answer.status_code, head))
    if fault.kind == "drip":
        for at in range(len(body)):
            if transport.is_closing():
                break
            transport.write(body[at : at + 1])
            await asyncio.sleep(fault.seconds)
    else:
        transport.write(body if fault.kind == "short_promise" else body[:half])
        await asyncio.sleep(fault.seconds if fault.kind == "stall" else 0)
    transport.close()


def _malformed(answer: Response) -> Response:
    """Put a byte that is no character before each text."""
    fresh = Response(TEXTS.sub(rb"\1" + b"\xe9", bytes(answer.body)), answer.status_code)
    return _with_headers(fresh, answer)


def _packed(answer: Response, coding: str) -> Response:
    """Pack the answer; a coding that the standard library does not have is named, and what follows is not JSON."""
    body = bytes(answer.body)
    ways: dict[str, Callable[[], bytes]] = {
        "gzip": lambda: gzip.compress(body),
        "deflate": lambda: zlib.compress(body),
        "raw deflate": lambda: zlib.compress(body, wbits=-zlib.MAX_WBITS),
    }
    fresh = Response(ways[coding]() if coding in ways else b"\x1b\x02" + body[::-1], answer.status_code)
    fresh.headers["content-encoding"] = coding.removeprefix("raw ")
    return _with_headers(fresh, answer)


def _with_headers(fresh: Response, answer: Response) -> Response:
    for name, value in answer.raw_headers:
        if name.lower() != b"content-length":
            fresh.headers[name.decode()] = value.decode()
    return fresh


def _huge(fault: Fault, _: Request) -> Response:
    """Answer an empty list with so many megabytes of blanks in it, plain or packed to a thousandth."""
    blanks = b" " * 2**20
    if fault.kind == "large":
        return StreamingResponse((blanks for _ in range(fault.megabytes)), media_type="application/json")
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    body = b"".join((packer.compress(b"["), *(packer.compress(blanks) for _ in range(fault.megabytes)), packer.compress(b"]")))
    return Response(body + packer.flush(), headers={"content-encoding": "gzip"}, media_type="application/json")


def _partial(fault: Fault, request: Request, answer: Response) -> Response:
    """Answer 200 with an error inside: X leaves the last record out and says so; Mastodon has no such shape and answers an error alone."""
    if fault.body is not None:
        return JSONResponse(fault.body, fault.status, fault.headers)
    if platform_of(request.url.path) != "x":
        return JSONResponse({"error": "Remote data could not be fetched"}, fault.status, fault.headers)
    body = json.loads(bytes(answer.body))
    data = body.get("data")
    lost = data.pop() if isinstance(data, list) and data else {}
    body["errors"] = [*body.get("errors", []), x.not_found("post", lost.get("id", "0"), "id")]
    if "meta" in body and "result_count" in body["meta"]:
        body["meta"]["result_count"] = len(data or [])
    return _rewritten(answer, body)


def _rewritten(answer: Response, body: object, link: str | None = None) -> Response:
    skipped = (b"content-length", b"link") if link is not None else (b"content-length",)
    fresh = JSONResponse(body, answer.status_code)
    for name, value in answer.raw_headers:
        if name.lower() not in (*skipped, b"content-type"):
            fresh.headers[name.decode()] = value.decode()
    if link is not None:
        fresh.headers["link"] = link
    return fresh


async def _same_page(app: App, request: Request) -> Response:
    """Answer a page whose next page is itself."""
    if platform_of(request.url.path) == "x":
        query = "&".join(part for part in request.url.query.split("&") if part.split("=")[0] not in PAGING[:2])
        answer = await whole(app, request, query)
        body = json.loads(bytes(answer.body))
        body.setdefault("meta", {})["next_token"] = "7140same"  # noqa: S105 a paging token, no secret
        return _rewritten(answer, body)
    answer = await whole(app, request)
    return _rewritten(answer, json.loads(bytes(answer.body)), f'<{request.url}>; rel="next", <{request.url}>; rel="prev"')


async def _endless(app: App, request: Request) -> Response:
    """Answer pages without end: the first is real, those after it are empty, each names another next one."""
    step = _endless_step(request)
    if platform_of(request.url.path) == "x":
        if step:
            query = "&".join(part for part in request.url.query.split("&") if part.split("=")[0] not in PAGING[:2])
            answer = await whole(app, request, query)
            return _rewritten(answer, {"meta": {"result_count": 0, "next_token": f"7140{ENDLESS}{step + 1}"}})
        answer = await whole(app, request)
        body = json.loads(bytes(answer.body))
        body.setdefault("meta", {})["next_token"] = f"7140{ENDLESS}1"
        return _rewritten(answer, body)
    answer = await whole(app, request)
    older = request.url.remove_query_params(list(PAGING)).include_query_params(max_id=OLDEST_ID - step)
    newer = request.url.remove_query_params(list(PAGING)).include_query_params(min_id=NEWEST_ID + step + 1)
    link = f'<{older}>; rel="next", <{newer}>; rel="prev"'
    return _rewritten(answer, [] if step else json.loads(bytes(answer.body)), link)


def _endless_step(request: Request) -> int:
    """Return how many invented pages lie behind this request."""
    parameters = request.query_params
    token = parameters.get("pagination_token") or parameters.get("next_token") or ""
    if ENDLESS in token:
        return int(token.rpartition(ENDLESS)[2])
    if parameters.get("max_id", "").isdecimal() and int(parameters["max_id"]) <= OLDEST_ID:
        return OLDEST_ID + 1 - int(parameters["max_id"])
    if parameters.get("min_id", "").isdecimal() and int(parameters["min_id"]) >= NEWEST_ID:
        return int(parameters["min_id"]) - NEWEST_ID
    return 0
