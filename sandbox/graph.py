"""Meta's Graph API as its stand-ins share it: errors, selections of fields, cursors, pages, insights, batches.

Lives here: Meta's words and shapes. Does not live here: the things and numbers of a platform (`facebook`, `instagram`, `threads`).
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.pen import letters

Json = dict[str, Any]
Query = Mapping[str, str]

LIMIT, LARGEST = 25, 100
IN_A_BATCH: Final = 50
NO_SUCH_OBJECT: Final = 33
TRANSIENT: Final = "An unexpected error has occurred. Please retry your request later."
NOTHING: Final[Mapping[str, object]] = {}

# -- errors -----------------------------------------------------------------------------------------------------------------------


class GraphError(Exception):
    """An error as the API words it; it names a trace."""

    def __init__(
        self, message: str, code: int = 100, subcode: int | None = None, type_: str = "OAuthException", more: Mapping[str, object] = NOTHING
    ) -> None:
        """Keep the body."""
        super().__init__(message)
        told = {"message": message, "type": type_, "code": code, **({"error_subcode": subcode} if subcode else {}), **more}
        self.body: Json = {"error": {**told, "fbtrace_id": letters(23, "trace", message)}}


def not_there(identity: str) -> GraphError:
    """Return the error for a thing that is not there, or not for this token."""
    message = (
        f"Unsupported get request. Object with ID '{identity}' does not exist, cannot be loaded due to missing permissions, or does not "
        "support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api"
    )
    return GraphError(message, subcode=NO_SUCH_OBJECT, type_="GraphMethodException")


def unauthorized() -> Response:
    """Return the answer to a missing or unknown token."""
    return JSONResponse(GraphError("Invalid OAuth access token - Cannot parse access token", 190).body, 400)


def failed(status: int, title: str, worded: Mapping[int, GraphError]) -> Response:
    """Return an error of a status: nearly everything is a 400, and the code tells. `worded` are the platform's own."""
    if status == 401:  # noqa: PLR2004 the HTTP statuses
        return unauthorized()
    if status in (404, 410):
        return JSONResponse(not_there("0").body, 400)
    if status >= 500:  # noqa: PLR2004 the HTTP classes
        return JSONResponse(GraphError(TRANSIENT, 2, more={"is_transient": True}).body, status)
    return JSONResponse(worded.get(status, GraphError(title)).body, 400)


def iso(ts: int) -> str:
    """Return an instant as Meta writes it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


# -- selections: id,comments.limit(50){id,replies{id}} ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """One field of a selection: `comments.filter(stream).limit(5){id}` has two modifiers and one field below."""

    name: str
    modifiers: Mapping[str, str]
    below: tuple["Asked", ...]


FIELD: Final = re.compile(r"\s*(\w+)((?:\.\w+\([^)]*\))*)\s*")
MODIFIER: Final = re.compile(r"\.(\w+)\(([^)]*)\)")


def selection(text: str) -> tuple[Asked, ...]:
    """Read a selection of fields; raise the API's syntax error where it is none."""
    found, end = _selection(text, 0)
    if end != len(text):
        message = f"(#2500) Syntax error \"Expected end of string instead of '{text[end]}'.\" at character {end}: {text}"
        raise GraphError(message, 2500)
    return found


def _selection(text: str, at: int) -> tuple[tuple[Asked, ...], int]:
    found: list[Asked] = []
    while True:
        match = FIELD.match(text, at)
        if match is None:
            message = f'(#2500) Syntax error "Expected name." at character {at}: {text}'
            raise GraphError(message, 2500)
        below: tuple[Asked, ...] = ()
        at = match.end()
        if text[at : at + 1] == "{":
            below, at = _selection(text, at + 1)
            if text[at : at + 1] != "}":
                message = f"(#2500) Syntax error \"Expected '}}'.\" at character {at}: {text}"
                raise GraphError(message, 2500)
            at += 1
        found.append(Asked(match[1], dict(MODIFIER.findall(match[2])), below))
        if text[at : at + 1] != ",":
            return tuple(found), at
        at += 1


def known_only(asked: Sequence[Asked], known: Collection[str], node: str) -> Sequence[Asked]:
    """Return what was asked for; raise GraphError for a field that such a thing does not have."""
    for one in asked:
        if one.name not in known:
            message = f"(#100) Tried accessing nonexisting field ({one.name}) on node type ({node})"
            raise GraphError(message)
    return asked


def limit_of(parameters: Query, least: int = 0) -> int:
    """Return how many things of a list are wanted, as a parameter or a modifier says."""
    text = parameters.get("limit", str(LIMIT))
    if not text.isdecimal() or int(text) < least:
        message = f"(#100) Param limit must be a {'positive' if least else 'non-negative'} integer"
        raise GraphError(message)
    return min(LARGEST, int(text))


# -- cursors and pages ------------------------------------------------------------------------------------------------------------


def cursor_of(order: int) -> str:
    """Return an opaque cursor that stands for a place in a list."""
    return urlsafe_b64encode(f"QVFI{order}".encode()).decode().rstrip("=")


def order_of(cursor: str | None) -> int | None:
    """Return the place that a cursor stands for; raise GraphError for one that is not ours."""
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removeprefix("QVFI"))
    except (NotBase64, ValueError) as error:
        message = "(#100) Invalid cursors values"
        raise GraphError(message) from error


def page_of(things: Sequence[tuple[int, Json]], place: str, parameters: Query, token: str, *, has_more: bool) -> Json:
    """Return a page of things in their order, with cursors, and the next page's address where there is one. An empty page has neither."""
    if not things:
        return {"data": []}
    cursors = {"before": cursor_of(things[0][0]), "after": cursor_of(things[-1][0])}
    more = {"next": link_to(place, parameters, token, after=cursors["after"])} if has_more else {}
    return {"data": [thing for _, thing in things], "paging": {"cursors": cursors, **more}}


def link_to(place: str, parameters: Query, token: str, **changed: str) -> str:
    """Return an address as Meta's answers hold it: with the token in it."""
    return f"{place}?{urlencode({'access_token': token, **parameters, **changed})}"


# -- insights, usage, batches -----------------------------------------------------------------------------------------------------


def metrics_of(parameters: Query) -> list[str]:
    """Return the metrics that are asked for."""
    return [name for name in parameters.get("metric", "").split(",") if name]


def insight(of: str, name: str, period: str, **numbers: object) -> Json:
    """Return one number, or a series of it, with the words around it. `of` is the address at which it was asked."""
    title = name.replace("_", " ").capitalize()
    words = {"title": title, "description": f"{title}, sebagaimana dihitung oleh Meta.", "id": f"{of}/{name}/{period}"}
    return {"name": name, "period": period, **numbers, **words}


def usage(account_id: str, kind: str) -> dict[str, str]:
    """Return the headers that tell how much of the limits is used: hardly anything."""
    use = {"type": kind, "call_count": 3, "total_cputime": 1, "total_time": 2, "estimated_time_to_regain_access": 0}
    return {"X-Business-Use-Case-Usage": json.dumps({account_id: [use]}), "facebook-api-version": "v26.0"}


async def batch(request: Request, answer: Callable[[str, Query], tuple[int, Json]], headers: Mapping[str, str]) -> Response:
    """Answer many questions in one: each has a status and a body, as text, of its own."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    try:
        parts = [urlsplit(part["relative_url"]) for part in json.loads(form.get("batch", ""))]
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse(GraphError("(#100) param batch must be an array.").body, 400, headers)
    if len(parts) > IN_A_BATCH:
        error = GraphError(f"Too many requests in batch message. Maximum batch size is {IN_A_BATCH}", type_="GraphBatchException")
        return JSONResponse(error.body, 400, headers)
    answers = [answer(part.path, dict(parse_qsl(part.query, keep_blank_values=True))) for part in parts]
    return JSONResponse([{"code": status, "body": json.dumps(body)} for status, body in answers], headers=headers)
