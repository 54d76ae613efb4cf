"""Facebook's Graph API as a page's own token sees it: the page, its posts, comments, posts that tag it, insights, batches.

Lives here: Meta's words, field selection, cursors and error bodies. Does not live here: what happened (`world`), tokens and faults (`server`).
Numbers come when the world tells them: a page's day a day late and corrected for another, a retired metric fails its whole request.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.facts import NEVER
from sandbox.standins import StandIn
from sandbox.world import DAY, FACEBOOK, Clock, Feed, Post, World, day_start, number_of, platform_day

Json = dict[str, Any]
Answer = tuple[int, Any]

PREFIX: Final = "/facebook"
TOKEN: Final = "sandbox-facebook-token"  # noqa: S105 of the sandbox
VERSION: Final = re.compile(r"v\d+\.\d+")
HOME: Final = "https://www.facebook.com"
MOST: Final = 100
IN_A_BATCH: Final = 50
SPAN: Final = 90 * DAY
KEPT: Final = 2 * 365 * DAY
# A page with fewer likes has no insights.
LEAST_LIKES: Final = 100
PAGE_FIELDS: Final = frozenset({"id", "name", "username", "about", "link", "followers_count", "fan_count"})
POST_FIELDS: Final = frozenset(
    {
        "id",
        "created_time",
        "message",
        "message_tags",
        "permalink_url",
        "status_type",
        "attachments",
        "shares",
        "comments",
        "reactions",
        "from",
    }
)
COMMENT_FIELDS: Final = frozenset({"id", "created_time", "message", "from", "parent", "like_count", "is_hidden", "permalink_url"})
DEFAULT_FIELDS: Final = "id,created_time,message"

# By the period: the measure of an account's day that a metric tells.
PAGE_METRICS: Final[Mapping[str, Mapping[str, str]]] = {
    "page_media_view": {"day": "views"},
    "page_total_media_view_unique": {"day": "reach", "week": "reach_7d", "days_28": "reach_28d"},
    "page_daily_follows": {"day": "followers_gained"},
    "page_daily_follows_unique": {"day": "followers_gained"},
    "page_daily_unfollows_unique": {"day": "followers_lost"},
    "page_views_total": {"day": "profile_views"},
    "page_post_engagements": {"day": "engagements"},
    "page_impressions_unique": {"day": "reach", "week": "reach_7d", "days_28": "reach_28d"},
}
POST_METRICS: Final = frozenset(
    {
        *("post_media_view", "post_total_media_view_unique", "post_clicks", "post_clicks_by_type", "post_reactions_like_total"),
        "post_impressions_unique",
    }
)
REEL_METRICS: Final = frozenset({"fb_reels_total_plays", "post_impressions_unique"})
SECOND_WAVE: Final = date(2026, 6, 15)
# Pages and posts alike, on all versions. Of reels people reached go on under the old name.
RETIRED: Final[Mapping[str, date]] = {"page_impressions_unique": SECOND_WAVE, "post_impressions_unique": SECOND_WAVE}


NOTHING: Final[Mapping[str, object]] = {}


class GraphError(Exception):
    """An error as the API words it."""

    def __init__(
        self, message: str, code: int = 100, subcode: int | None = None, type_: str = "OAuthException", more: Mapping[str, object] = NOTHING
    ) -> None:
        """Keep the body."""
        super().__init__(message)
        told = {"message": message, "type": type_, "code": code, **({"error_subcode": subcode} if subcode else {}), **more}
        self.body = {"error": {**told, "fbtrace_id": "A" + urlsafe_b64encode(str(number_of(message)).encode()).decode()[:22]}}


def not_there(identity: str) -> GraphError:
    """Return the error for a thing that is not there, or not for this token."""
    message = (
        f"Unsupported get request. Object with ID '{identity}' does not exist, cannot be loaded due to missing permissions, or does not "
        "support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api"
    )
    return GraphError(message, subcode=33, type_="GraphMethodException")


def bad_metric() -> GraphError:
    """Return the error for a metric that does not exist, or no more; it names none."""
    return GraphError("(#100) The value must be a valid insights metric")


def unauthorized() -> Response:
    """Return the answer to a missing or unknown token."""
    return failure(401, "Invalid OAuth access token - Cannot parse access token")


def failure(status: int, message: str) -> Response:
    """Return an error in Meta's shape: nearly everything is a 400, the code says what it is."""
    codes = {401: (190, None), 403: (200, None), 404: (100, 33), 410: (100, 33), 429: (80001, 2446079)}
    code, subcode = codes.get(status, (2 if status >= 500 else 1, None))  # noqa: PLR2004 the HTTP classes
    more = {"is_transient": True} if status >= 500 else NOTHING  # noqa: PLR2004
    error = GraphError(message if status == 401 else f"(#{code}) {message}", code, subcode, more=more)  # noqa: PLR2004
    return JSONResponse(error.body, status if status >= 500 else 400)  # noqa: PLR2004


def iso(ts: int) -> str:
    """Return an instant as Meta writes it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


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


class Facebook:
    """The routes of one simulated page.

    `retired` adds metrics that die on a day of the simulated calendar, by name.
    """

    def __init__(self, world: World, clock: Clock, retired: Mapping[str, date] | None = None) -> None:
        """Sort the comments by post, and name the films."""
        self.world = world
        self.clock = clock
        self.retired = {**RETIRED, **(retired or {})}
        self._below: dict[str, list[Post]] = {}
        for showing in world.comments[FACEBOOK.id].showings:
            self._below.setdefault(showing.post.root_id or "", []).append(showing.post)
        posts = [showing.post for showing in world.timelines[FACEBOOK.id].showings]
        self._posts = {post.id: post for post in posts}
        self._films = {film_id(post): post for post in posts if post.seconds}

    def routes(self) -> list[Route]:
        """Return the routes, under `/facebook`."""
        return [
            Route(f"{PREFIX}/{{version}}", self.batch, methods=["POST"]),
            Route(f"{PREFIX}/{{path:path}}", self.single, methods=["GET"]),
        ]

    # -- the door -----------------------------------------------------------------------------------------------------------------

    async def single(self, request: Request) -> Response:
        """Answer one question."""
        status, body = self.answer(request.path_params["path"], dict(request.query_params), str(request.url.replace(query="")))
        return JSONResponse(body, status, self._usage())

    async def batch(self, request: Request) -> Response:
        """Answer many questions in one, each with a status of its own."""
        form = parse_qs((await request.body()).decode())
        try:
            parts = json.loads(form.get("batch", ["null"])[0])
        except ValueError:
            parts = None
        if not isinstance(parts, list) or not VERSION.fullmatch(request.path_params["version"]):
            error = GraphError("(#100) param batch must be an array.")
            return JSONResponse(error.body, 400, self._usage())
        if len(parts) > IN_A_BATCH:
            error = GraphError("Too many requests in batch message. Maximum batch size is 50", 100, type_="GraphBatchException")
            return JSONResponse(error.body, 400, self._usage())
        return JSONResponse([self._part(request, part) for part in parts], headers=self._usage())

    def _part(self, request: Request, part: Json) -> Json:
        address = urlsplit(str(part.get("relative_url", "")))
        place = str(request.url.replace(query="", path=f"{PREFIX}/{address.path}"))
        status, body = self.answer(address.path, dict(parse_qsl(address.query)), place)
        return {"code": status, "body": json.dumps(body)}

    def answer(self, path: str, parameters: Mapping[str, str], place: str) -> Answer:
        """Return status and body; `place` is the address, for links to more."""
        version, _, rest = path.strip("/").partition("/")
        node, _, edge = rest.partition("/")
        if not VERSION.fullmatch(version):
            return 400, GraphError(f"Unknown path components: /{path}", 2500).body
        try:
            return 200, self._node(node, edge, parameters, place)
        except GraphError as error:
            return 400, error.body

    def _usage(self) -> dict[str, str]:
        use = {"type": "pages", "call_count": 3, "total_cputime": 1, "total_time": 2, "estimated_time_to_regain_access": 0}
        return {"X-Business-Use-Case-Usage": json.dumps({FACEBOOK.id: [use]})}

    def _node(self, node: str, edge: str, parameters: Mapping[str, str], place: str) -> Json:
        if node == FACEBOOK.id:
            edges: Mapping[str, Callable[[Mapping[str, str], str], Json]] = {
                "": self.page,
                "published_posts": self.published,
                "tagged": self.tagged,
                "insights": self.page_insights,
            }
            if edge in edges:
                return edges[edge](parameters, place)
        post = self._standing(self._posts.get(node))
        if post is not None and edge == "comments":
            return self._comments(post, Asked("comments", parameters, selection(parameters.get("fields", DEFAULT_FIELDS))), place)
        if post is not None and edge == "insights":
            if post.post_type == "reel":
                message = "(#100) Tried accessing nonexisting field (insights) on node type (Video)"
                raise GraphError(message)
            return self._lifetime(post, node, edge, POST_METRICS, parameters)
        film = self._standing(self._films.get(node))
        if film is not None and edge == "video_insights":
            return self._lifetime(film, node, edge, REEL_METRICS if film.post_type == "reel" else frozenset(), parameters)
        raise not_there(node)

    def _standing(self, post: Post | None) -> Post | None:
        return post if post is not None and post.ts <= self.clock.ts < post.gone_ts else None

    # -- the page and its lists ---------------------------------------------------------------------------------------------------

    def page(self, parameters: Mapping[str, str], _: str) -> Json:
        """Return the page as it stands now."""
        followers = self.world.followers(FACEBOOK.id, self.clock.ts)
        whole = {
            "id": FACEBOOK.id,
            "name": FACEBOOK.name,
            "username": FACEBOOK.handle,
            "about": "Lembaga Amil Zakat Cahaya. Halaman simulasi.",
            "link": f"{HOME}/{FACEBOOK.handle}",
            "followers_count": followers,
            "fan_count": self._likes(),
        }
        asked = _known(selection(parameters.get("fields", "id,name")), PAGE_FIELDS, "Page")
        return {**{one.name: whole[one.name] for one in asked}, "id": FACEBOOK.id}

    def _likes(self) -> int:
        return self.world.followers(FACEBOOK.id, self.clock.ts) * 94 // 100

    def published(self, parameters: Mapping[str, str], place: str) -> Json:
        """Return a page of the page's posts, newest first."""
        return self._page(self.world.timelines[FACEBOOK.id], parameters, place)

    def tagged(self, parameters: Mapping[str, str], place: str) -> Json:
        """Return a page of the posts by others that tag the page, newest first."""
        return self._page(self.world.mentions[FACEBOOK.id], parameters, place)

    def _page(self, feed: Feed, parameters: Mapping[str, str], place: str) -> Json:
        asked = _known(selection(parameters.get("fields", DEFAULT_FIELDS)), POST_FIELDS, "Post")
        limit, now = _limit(parameters), self.clock.ts
        since, until = (_seconds(parameters.get(name)) for name in ("since", "until"))
        span = feed.span(now, below=_order(parameters.get("after")), start=since, end=until)
        shown, has_more = feed.newest(now, span, limit, lambda _: True)
        data = [self._post(showing.post, asked) for showing in shown]
        return {"data": data, **_paging([showing.order for showing in shown], parameters, place, has_more=has_more)}

    def _post(self, post: Post, asked: Iterable[Asked]) -> Json:
        ways: Mapping[str, Callable[[Asked], object]] = {
            "created_time": lambda _: iso(post.ts),
            "message": lambda _: post.text,
            "message_tags": lambda one: self._tags(post, one),
            "permalink_url": lambda _: permalink(post),
            "status_type": lambda _: status_type(post),
            "attachments": lambda one: attachments(post, one.below),
            "shares": lambda _: self._shares(post),
            "comments": lambda one: self._comments(post, one, f"{HOME}/{post.id}/comments"),
            "reactions": lambda one: self._reactions(post, one),
            "from": lambda one: self._from(post, one),
        }
        found = {one.name: value for one in asked if one.name != "id" and (value := ways[one.name](one)) is not None}
        return {**found, "id": post.id}

    def _shares(self, post: Post) -> Json | None:
        """Return nothing of a post that nobody shared, as Facebook does."""
        count = self.world.counters(post, self.clock.ts).share
        return {"count": count} if count else None

    def _tags(self, post: Post, asked: Asked) -> list[Json] | None:
        """Return whom a text tags; of one that tags nobody the field is not there."""
        names = {one.name for one in asked.below}
        found = []
        for identity in post.mentions:
            person = self.world.person_of("facebook", identity)
            name, handle = (person.name, person.handle) if person else (FACEBOOK.name, FACEBOOK.handle)
            at = post.text.find(f"@{handle}")
            kind = "user" if person else "page"
            whole = {"id": identity, "name": name, "type": kind, "offset": at, "length": len(handle) + 1}
            found.append({key: value for key, value in whole.items() if not names or key in names})
        return found or None

    def _reactions(self, post: Post, asked: Asked) -> Json:
        summary = {"total_count": self.world.counters(post, self.clock.ts).like, "viewer_reaction": "NONE"}
        return {"data": [], **({"summary": summary} if asked.modifiers.get("summary") else {})}

    def _from(self, post: Post, asked: Asked) -> Json:
        person = self.world.person_of("facebook", post.author_id)
        whole = {"id": post.author_id, "name": person.name if person else FACEBOOK.name}
        names = [one.name for one in asked.below] or list(whole)
        return {name: whole[name] for name in names if name in whole} | {"id": post.author_id}

    def _comments(self, post: Post, asked: Asked, place: str) -> Json:
        """Return a page of what stands below a post, oldest first: all of it (`stream`), or what answers the post itself."""
        is_whole = asked.modifiers.get("filter") == "stream"
        standing = [
            one for one in self._below.get(post.id, ()) if self._standing(one) is not None and (is_whole or one.reply_to_id == post.id)
        ]
        limit = _limit(asked.modifiers)
        after = _order(asked.modifiers.get("after"))
        left = [one for one in standing if after is None or one.versions[0].order > after]
        fields = _known(asked.below or selection(DEFAULT_FIELDS), COMMENT_FIELDS, "Comment")
        found: Json = {"data": [self._comment(one, fields) for one in left[:limit]]}
        if limit and left:
            orders = [one.versions[0].order for one in left[:limit]]
            own = {name: value for name, value in asked.modifiers.items() if name in ("fields", "filter", "limit")}
            found |= _paging(orders, own, place, has_more=len(left) > limit)
        if asked.modifiers.get("summary"):
            order = "chronological" if is_whole else "ranked"
            found["summary"] = {"order": order, "total_count": len(standing), "can_comment": True}
        return found

    def _comment(self, comment: Post, asked: Iterable[Asked]) -> Json:
        ways: Mapping[str, Callable[[Asked], object]] = {
            "created_time": lambda _: iso(comment.ts),
            "message": lambda _: comment.text,
            "from": lambda one: self._from(comment, one),
            "parent": lambda _: self._parent(comment),
            "like_count": lambda _: self.world.counters(comment, self.clock.ts).like,
            "is_hidden": lambda _: False,
            "permalink_url": lambda _: f"{HOME}/{comment.conversation_id}?comment_id={comment.id.rpartition('_')[2]}",
        }
        found = {one.name: value for one in asked if one.name != "id" and (value := ways[one.name](one)) is not None}
        return {**found, "id": comment.id}

    def _parent(self, comment: Post) -> Json | None:
        if comment.reply_to_id is None or comment.reply_to_id == comment.conversation_id:
            return None
        answered = self.world.by_id[comment.reply_to_id]
        return {"created_time": iso(answered.ts), "message": answered.text, "id": answered.id}

    # -- insights -----------------------------------------------------------------------------------------------------------------

    def page_insights(self, parameters: Mapping[str, str], place: str) -> Json:
        """Return the page's days whose end lies after `since`, up to `until`: what was told of them by now."""
        names, period = self._metrics(parameters, PAGE_METRICS), parameters.get("period", "day")
        until = _seconds(parameters.get("until")) or self.clock.ts
        since = _seconds(parameters.get("since")) or until - 2 * DAY
        if since >= until:
            message = "(#100) The since parameter must be before the until parameter"
            raise GraphError(message)
        if until - since > SPAN:
            message = f"(#100) There cannot be more than 90 days ({SPAN} s) between since and until"
            raise GraphError(message)
        data = []
        if self._likes() >= LEAST_LIKES:
            for name in names:
                values = list(self._days(PAGE_METRICS[name].get(period), since, until, name))
                data += [_insight(FACEBOOK.id, "insights", name, period, values)] if values else []
        links = {
            "previous": _link(place, parameters, since=str(2 * since - until), until=str(since)),
            "next": _link(place, parameters, since=str(until), until=str(2 * until - since)),
        }
        return {"data": data, "paging": links}

    def _days(self, measure: str | None, since: int, until: int, name: str) -> Iterator[Json]:
        """Yield the values of a span, oldest first; a day of which nothing is told yet has none."""
        day = platform_day("facebook", max(since, self.clock.ts - KEPT))
        last = min(until, self.clock.ts)
        while measure is not None and (ended := day_start("facebook", day + timedelta(days=1))) <= last:
            told = getattr(self.world.account_day(FACEBOOK, day, self.clock.ts), measure)
            if told is not None and ended > since:
                yield {"value": displayed(told) if name in RETIRED else told, "end_time": iso(ended)}
            day += timedelta(days=1)

    def _lifetime(self, post: Post, node: str, edge: str, known: frozenset[str], parameters: Mapping[str, str]) -> Json:
        """Return a post's numbers since it was published."""
        names = self._metrics(parameters, known, is_reel=edge == "video_insights")
        data = [_insight(node, edge, name, "lifetime", [{"value": self._value(post, name)}]) for name in names]
        return {"data": data if self._likes() >= LEAST_LIKES else []}

    def _value(self, post: Post, name: str) -> object:
        counted = self.world.counters(post, self.clock.ts)
        clicks = self.world.clicks(post, self.clock.ts)
        values = {
            "post_media_view": counted.view,
            "fb_reels_total_plays": counted.view,
            "post_total_media_view_unique": counted.reach,
            "post_impressions_unique": counted.reach if post.post_type == "reel" else displayed(counted.reach),
            "post_reactions_like_total": counted.like,
            "post_clicks": sum(clicks.values()),
            "post_clicks_by_type": clicks,
        }
        return values[name]

    def _metrics(self, parameters: Mapping[str, str], known: Iterable[str], *, is_reel: bool = False) -> Sequence[str]:
        """Return the metrics that are asked for; one that is unknown or retired fails them all."""
        names = [name for name in parameters.get("metric", "").split(",") if name]
        if not names:
            told = "No metric was specified to be fetched. Please specify one or more metrics to be fetched and try again."
            more = {"is_transient": False, "error_user_title": "No Metric Specified", "error_user_msg": told}
            message = "Invalid query"
            raise GraphError(message, 3001, 1504028, more=more)
        today = platform_day("facebook", self.clock.ts)
        retired = self.retired if not is_reel else {name: day for name, day in self.retired.items() if name not in RETIRED}
        if any(name not in known or today >= retired.get(name, date.max) for name in names):
            raise bad_metric()
        return names


def displayed(viewed: int) -> int:
    """Return to how many people something was displayed (the metric that died in June 2026), of how many viewed it: never fewer."""
    return viewed + viewed // 10


def film_id(post: Post) -> str:
    """Return the id of a post's film, which is another one than the post's."""
    return str(10**15 + number_of("film", post.key) % 10**15)


def permalink(post: Post) -> str:
    """Return a post's address; a reel is known by it."""
    if post.post_type == "reel":
        return f"{HOME}/reel/{film_id(post)}/"
    if post.seconds:
        return f"{HOME}/{post.author_id}/videos/{film_id(post)}/"
    return f"{HOME}/{post.author_id}/posts/{post.id.rpartition('_')[2]}"


def status_type(post: Post) -> str:
    """Return Facebook's word for what was published."""
    if post.seconds:
        return "added_video"
    return "shared_story" if "https://" in post.text else "added_photos" if _has_photo(post) else "mobile_status_update"


def attachments(post: Post, asked: Iterable[Asked]) -> Json | None:
    """Return what is attached to a post; of a mere text nothing is, and the field is not there."""
    if post.seconds:
        target = {"id": film_id(post), "url": permalink(post)}
        whole: Json = {"media_type": "video", "type": "video_inline", "target": target, "title": post.text, "url": permalink(post)}
    elif "https://" in post.text:
        url = re.search(r"https://\S+", post.text)
        whole = {"media_type": "link", "type": "share", "target": {"url": url[0] if url else ""}, "title": "Cahaya"}
    elif _has_photo(post):
        whole = {"media_type": "photo", "type": "photo", "target": {"id": str(10**15 + number_of("photo", post.key) % 10**15)}}
    else:
        return None
    names = [one.name for one in asked] or list(whole)
    below = {one.name: {inner.name for inner in one.below} for one in asked if one.below}
    cut = {name: whole[name] for name in names if name in whole}
    for name, wanted in below.items():
        if name in cut:
            cut[name] = {inner: value for inner, value in cut[name].items() if inner in wanted}
    return {"data": [cut]}


def _has_photo(post: Post) -> bool:
    return number_of("photo", post.key) % 3 > 0


def _known(asked: Sequence[Asked], known: frozenset[str], node: str) -> Sequence[Asked]:
    for one in asked:
        if one.name not in known:
            message = f"(#100) Tried accessing nonexisting field ({one.name}) on node type ({node})"
            raise GraphError(message)
    return asked


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", "25")
    if not text.isdecimal():
        message = "(#100) param limit must be a non-negative integer"
        raise GraphError(message)
    return min(MOST, int(text))


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) >= NEVER:
        message = "(#100) Invalid timestamp"
        raise GraphError(message)
    return int(text)


def _cursor(order: int) -> str:
    return urlsafe_b64encode(f"QVFI{order}".encode()).decode().rstrip("=")


def _order(cursor: str | None) -> int | None:
    """Return the place that a cursor names."""
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removeprefix("QVFI"))
    except (NotBase64, ValueError) as error:
        message = "(#100) Invalid cursors values"
        raise GraphError(message) from error


def _paging(orders: Sequence[int], parameters: Mapping[str, str], place: str, *, has_more: bool) -> Json:
    """Return cursors, and the address of the next page where there is one; an empty page has none of it."""
    if not orders:
        return {}
    paging: Json = {"cursors": {"before": _cursor(orders[0]), "after": _cursor(orders[-1])}}
    if has_more:
        paging["next"] = _link(place, parameters, after=_cursor(orders[-1]))
    return {"paging": paging}


def _link(place: str, parameters: Mapping[str, str], **changed: str) -> str:
    """Return an address as Meta's answers hold it: with the token in it."""
    return f"{place}?{urlencode({'access_token': TOKEN, **parameters, **changed})}"


def _insight(node: str, edge: str, name: str, period: str, values: Sequence[Json]) -> Json:
    title = name.replace("_", " ").capitalize()
    described = f"{title}, sebagaimana dihitung oleh Facebook."
    told = {"title": title, "description": described, "id": f"{node}/{edge}/{name}/{period}"}
    return {"name": name, "period": period, "values": list(values), **told}


STAND_IN: Final = StandIn(
    platform="facebook",
    prefixes=(PREFIX,),
    tokens=(TOKEN,),
    routes=lambda world, clock: Facebook(world, clock).routes(),
    unauthorized=unauthorized,
    failure=failure,
)
