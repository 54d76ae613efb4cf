"""Threads' API as far as the pipeline asks it: a profile, its threads, the answers below them, mentions, insights, the token's renewal.

Lives here: Threads' words, pages and errors. Does not live here: what happened (`world`), who holds which token (`server`).

Sources: the vendor's pages as `platforms.md` and the documentation tell them. Mentions come without a `next`: only the cursor leads on.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from hashlib import blake2b
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.facts import Counters
from sandbox.feeds import Feed
from sandbox.graph import GraphError, Json, cursor_of, insight, iso, not_there, order_of
from sandbox.standins import StandIn
from sandbox.world import DAY, THREADS, Clock, Post, World, day_start, platform_day

PREFIX: Final = "/threads"
VERSION: Final = "v1.0"
TOKEN: Final = "sandbox-threads-token"  # noqa: S105 a made-up token that opens nothing but the sandbox
RENEWAL: Final = f"{PREFIX}/refresh_access_token"
LIFETIME: Final = 60 * DAY
DEFAULT, LARGEST = 25, 100
# Of lists, of insights, of the profile's days: before, the platform refuses to be asked.
FIRST_THREAD: Final = 1_688_540_400
FIRST_INSIGHT: Final = 1_712_991_600

MEDIA_TYPES: Final = {"post": "TEXT_POST", "carousel": "CAROUSEL_ALBUM", "video": "VIDEO"}
FACADE: Final = "REPOST_FACADE"
THREAD_METRICS: Final[Mapping[str, Callable[[Counters], int]]] = {
    "views": lambda counted: counted.view,
    "likes": lambda counted: counted.like,
    "replies": lambda counted: counted.reply,
    "reposts": lambda counted: counted.share,
    "quotes": lambda counted: counted.quote,
    "shares": lambda counted: counted.send,
}
PROFILE_METRICS: Final = ("views", "followers_count")
PROFILE_FIELDS: Final = ("id", "username", "name", "threads_biography", "threads_profile_picture_url", "is_verified")
MEDIA_FIELDS: Final = (
    "id", "media_product_type", "media_type", "media_url", "permalink", "owner", "username", "text", "timestamp", "shortcode",
    "thumbnail_url", "children", "is_quote_post", "alt_text", "link_attachment_url", "has_replies", "reply_audience", "quoted_post",
    "reposted_post",
)  # fmt: skip
ANSWER_FIELDS: Final = (*MEDIA_FIELDS, "root_post", "replied_to", "is_reply", "is_reply_owned_by_me", "hide_status")


def unauthorized() -> Response:
    """Return the answer to a missing, unknown or ended token."""
    return JSONResponse(GraphError("Error validating access token: Session has expired.", 190, 463).body, 400)


def failure(status: int, title: str) -> Response:
    """Return an error of a status, with the code that goes with it."""
    codes: Mapping[int, tuple[int, int | None]] = {401: (190, 463), 403: (10, None), 404: (803, None), 410: (100, 33), 429: (4, None)}
    code, subcode = codes.get(status, (2, None))
    more = {"is_transient": True} if code in (2, 4) else {}
    return JSONResponse(GraphError(f"(#{code}) {title}", code, subcode, more=more).body, status)


# -- tokens -----------------------------------------------------------------------------------------------------------------------


def successor(now: int) -> str:
    """Return the token that a renewal gives at an instant; it tells itself until when it lives."""
    return f"{TOKEN}-until-{now + LIFETIME}"


def lives(token: str, now: int) -> bool:
    """Tell whether a token opens anything: the first one always, a renewed one for its sixty days."""
    _, is_renewed, until = token.partition(f"{TOKEN}-until-")
    return token == TOKEN or (bool(is_renewed) and until.isdecimal() and now < int(until))


# -- pages ------------------------------------------------------------------------------------------------------------------------


def _moment(parameters: QueryParams, name: str, first: int) -> int | None:
    value = parameters.get(name)
    if not value:
        return None
    if not value.isdecimal() or int(value) < first:
        message = f"(#100) Param {name} must be a UNIX timestamp greater than or equal to {first}"
        raise GraphError(message)
    return int(value)


def _listed(parameters: QueryParams, name: str) -> list[str]:
    return [part for part in (one.strip() for one in parameters.get(name, "").split(",")) if part]


def _fields(parameters: QueryParams, known: Iterable[str], node: str) -> list[str]:
    wanted = _listed(parameters, "fields")
    for name in wanted:
        if name not in known:
            message = f"(#100) Tried accessing nonexisting field ({name}) on node type ({node})"
            raise GraphError(message)
    return ["id", *(name for name in wanted if name != "id")]


def _metrics(parameters: QueryParams, known: Iterable[str]) -> list[str]:
    wanted = _listed(parameters, "metric")
    if not wanted:
        message = "(#100) The parameter metric is required"
        raise GraphError(message)
    for place, name in enumerate(wanted):
        if name not in known:
            message = f"(#100) metric[{place}] must be one of the following values: {', '.join(known)}"
            raise GraphError(message)
    return wanted


class ThreadsApi:
    """The routes of Threads' API over the simulated world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Begin with nothing asked."""
        self.world = world
        self.clock = clock
        self._below: dict[str, Feed] = {}

    def routes(self) -> list[Route]:
        """Return the routes, under `/threads`."""
        paths: dict[str, Callable[[Request], Json]] = {
            "/{id}": self.node,
            "/{id}/threads": self.threads,
            "/{id}/threads_insights": self.profile_insights,
            "/{id}/mentions": self.mentions,
            "/{id}/insights": self.thread_insights,
            "/{id}/conversation": self.conversation,
        }
        renewal = Route(RENEWAL, self._guarded(self.renew), methods=["GET"])
        return [renewal, *(Route(f"{PREFIX}/{{version}}{path}", self._guarded(one), methods=["GET"]) for path, one in paths.items())]

    def _guarded(self, endpoint: Callable[[Request], Json]) -> Callable[[Request], Any]:
        """Turn what is refused into Threads' answer to it."""

        async def answer(request: Request) -> Response:
            if request.path_params.get("version", VERSION) != VERSION:
                return JSONResponse(GraphError("(#2635) You are calling a deprecated version of the API.", 2635).body, 400)
            try:
                body = endpoint(request)
            except GraphError as refused:
                return JSONResponse(refused.body, 400)
            return JSONResponse(body, headers={"X-App-Usage": '{"call_count":1,"total_cputime":1,"total_time":1}'})

        return answer

    def renew(self, request: Request) -> Json:
        """Answer a token that lives with its successor; the former one lives on to its own end."""
        parameters = request.query_params
        if parameters.get("grant_type") != "th_refresh_token":
            message = "(#100) Param grant_type must be one of {TH_REFRESH_TOKEN}"
            raise GraphError(message)
        if not lives(parameters.get("access_token", ""), self.clock.ts):
            message = "Error validating access token: Session has expired."
            raise GraphError(message, 190, 463)
        return {"access_token": successor(self.clock.ts), "token_type": "bearer", "expires_in": LIFETIME}

    # -- the endpoints ------------------------------------------------------------------------------------------------------------

    def node(self, request: Request) -> Json:
        """Answer a profile or one thing that stands."""
        if request.path_params["id"] in (THREADS.id, "me"):
            wanted = _fields(request.query_params, PROFILE_FIELDS, "ThreadsUser")
            whole = {
                "id": THREADS.id, "username": THREADS.handle, "name": THREADS.name, "threads_biography": "Amanah.",
                "threads_profile_picture_url": "https://gambar.example/cahaya.png", "is_verified": False,
            }  # fmt: skip
            return {name: whole[name] for name in wanted}
        post = self._standing(request)
        return self._media(post, _fields(request.query_params, ANSWER_FIELDS, "ThreadsMedia"))

    def threads(self, request: Request) -> Json:
        """Answer a page of the account's threads and reposts, newest first."""
        self._account(request)
        return self._page(request, self.world.timelines[THREADS.id], MEDIA_FIELDS)

    def mentions(self, request: Request) -> Json:
        """Answer a page of what names the account, newest first, which never says that there is a next one."""
        self._account(request)
        return self._page(request, self.world.mentions[THREADS.id], ANSWER_FIELDS, says_next=False)

    def conversation(self, request: Request) -> Json:
        """Answer a page of all that was said below a thread, however deep, newest first."""
        root = self._ours(request)
        if root.id not in self._below:
            below = self.world.comments[THREADS.id].showings
            self._below[root.id] = Feed(showing for showing in below if showing.post.conversation_id == root.id)
        return self._page(request, self._below[root.id], ANSWER_FIELDS)

    def thread_insights(self, request: Request) -> Json:
        """Answer the lifetime numbers of a thread; of a repost, which is somebody else's, there are none."""
        post = self._ours(request)
        wanted = _metrics(request.query_params, tuple(THREAD_METRICS))
        if post.kind == "repost":
            return {"data": []}
        counted = self.world.counters(post, self.clock.ts)
        numbers = {name: THREAD_METRICS[name](counted) for name in wanted}
        return {"data": [insight(f"{post.id}/insights", name, "lifetime", values=[{"value": number}]) for name, number in numbers.items()]}

    def profile_insights(self, request: Request) -> Json:
        """Answer the visits of the profile by day, of the days that are told by now, and the followers of this moment."""
        self._account(request)
        parameters = request.query_params
        wanted = _metrics(parameters, PROFILE_METRICS)
        since, until = (_moment(parameters, name, FIRST_INSIGHT) for name in ("since", "until"))
        if (since is None) != (until is None) or (since or 0) > (until or 0):
            message = "(#100) Params since and until must both be given, since before until"
            raise GraphError(message)
        today = platform_day("threads", self.clock.ts)
        first = today - timedelta(days=1) if since is None else platform_day("threads", since + DAY - 1)
        end = today + timedelta(days=1) if until is None else platform_day("threads", until)
        told = [self._insight_of(name, first, end) for name in wanted]
        return {"data": told, "paging": {"previous": "https://graph.threads.net/…", "next": "https://graph.threads.net/…"}}

    def _insight_of(self, name: str, first: date, end: date) -> Json:
        if name == "followers_count":
            followers = self.world.followers_shown(THREADS.id, self.clock.ts)
            return insight(f"{THREADS.id}/insights", name, "day", total_value={"value": followers})
        days = (first + timedelta(days=step) for step in range(max(0, (end - first).days)))
        values = [
            {"value": visits, "end_time": iso(day_start("threads", day + timedelta(days=1)))}
            for day in days
            if (visits := self.world.account_day(THREADS, day, self.clock.ts).profile_views) is not None
        ]
        return insight(f"{THREADS.id}/insights", name, "day", values=values)

    # -- what is asked about ------------------------------------------------------------------------------------------------------

    def _account(self, request: Request) -> None:
        identity = request.path_params["id"]
        if identity not in (THREADS.id, "me"):
            raise not_there(identity)

    def _standing(self, request: Request) -> Post:
        identity = request.path_params["id"]
        post = self.world.by_id.get(identity)
        if post is None or post.platform != "threads" or post.version_at(self.clock.ts) is None:
            raise not_there(identity)
        return post

    def _ours(self, request: Request) -> Post:
        post = self._standing(request)
        if post.author_id != THREADS.id:
            message = "(#10) Application does not have permission for this action"
            raise GraphError(message, 10)
        return post

    # -- pages --------------------------------------------------------------------------------------------------------------------

    def _page(self, request: Request, feed: Feed, known: Iterable[str], *, says_next: bool = True) -> Json:
        parameters = request.query_params
        limit = parameters.get("limit", str(DEFAULT))
        if not limit.isdecimal() or not 1 <= int(limit) <= LARGEST:
            message = f"(#100) Param limit must be between 1 and {LARGEST}"
            raise GraphError(message)
        wanted, now = _fields(parameters, known, "ThreadsMedia"), self.clock.ts
        since, until = (_moment(parameters, name, FIRST_THREAD) for name in ("since", "until"))
        span = feed.span(now, below=order_of(parameters.get("after")), start=since, end=until)
        shown, has_more = feed.newest(now, span, int(limit), lambda _: True)
        body: Json = {"data": [self._media(showing.post, wanted) for showing in shown]}
        if shown:
            body["paging"] = {"cursors": {"before": cursor_of(shown[0].order), "after": cursor_of(shown[-1].order)}}
            if has_more and says_next:
                following = request.url.include_query_params(access_token="…", after=cursor_of(shown[-1].order))  # noqa: S106 no token
                body["paging"]["next"] = str(following)
        return body

    # -- wording ------------------------------------------------------------------------------------------------------------------

    def _media(self, post: Post, wanted: Iterable[str]) -> Json:
        """Return a thread or an answer with the fields asked for; what it does not have is left out."""
        whole = self._whole(post)
        return {name: whole[name] for name in wanted if whole.get(name) is not None}

    def _whole(self, post: Post) -> Json:
        shortcode = urlsafe_b64encode(blake2b(post.id.encode(), digest_size=8).digest()).decode().rstrip("=")
        handle = self.world.handle_of("threads", post.author_id)
        is_ours, is_repost = post.author_id == THREADS.id, post.kind == "repost"
        body: Json = {
            "id": post.id,
            "media_product_type": "THREADS",
            "media_type": FACADE if is_repost else MEDIA_TYPES[post.post_type],
            "permalink": f"https://www.threads.com/@{handle}/post/{shortcode}",
            "username": handle,
            "text": post.text,
            "timestamp": iso(post.ts),
            "shortcode": shortcode,
            "is_quote_post": post.reference is not None and post.reference.kind == "quoted",
            "has_replies": bool(self.world.answers_to(post.id, self.clock.ts)),
            "reply_audience": "EVERYONE",
            "is_reply": post.reply_to_id is not None,
            "is_reply_owned_by_me": is_ours and post.reply_to_id is not None,
        }
        if is_ours:
            body["owner"] = {"id": THREADS.id}
        if post.post_type == "carousel":
            body["children"] = {"data": [{"id": f"{post.id}{place}"} for place in range(2)]}
        if is_repost and post.reference is not None:
            body["reposted_post"] = {"id": post.reference.id}
        if post.reply_to_id is not None:
            body |= {"root_post": {"id": post.conversation_id}, "replied_to": {"id": post.reply_to_id}, "hide_status": "NOT_HUSHED"}
        return body


STAND_IN: Final = StandIn(
    platform="threads",
    prefixes=(PREFIX,),
    tokens=(TOKEN,),
    routes=lambda world, clock: ThreadsApi(world, clock).routes(),
    unauthorized=unauthorized,
    failure=failure,
    renewal=RENEWAL,
    lives=lives,
)
