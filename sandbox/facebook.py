"""Facebook's Graph API as a page's own token sees it: the page, its posts, comments, posts that tag it, insights, batches.

Lives here: a page's things and numbers. Does not live here: what Meta's stand-ins share (`graph`), what happened (`world`), tokens and faults
(`server`).
Numbers come when the world tells them: a page's day a day late and corrected for another, a retired metric fails its whole request.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import graph
from sandbox.facts import NEVER
from sandbox.graph import (
    Asked,
    GraphError,
    Json,
    Query,
    insight,
    iso,
    known_only,
    limit_of,
    link_to,
    metrics_of,
    not_there,
    order_of,
    page_of,
    selection,
)
from sandbox.standins import StandIn
from sandbox.world import DAY, FACEBOOK, Clock, Feed, Post, World, day_start, number_of, platform_day

PREFIX: Final = "/facebook"
TOKEN: Final = "sandbox-facebook-token"  # noqa: S105 of the sandbox
VERSION: Final = re.compile(r"v\d+\.\d+")
HOME: Final = "https://www.facebook.com"
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


def bad_metric() -> GraphError:
    """Return the error for a metric that does not exist, or no more; it names none."""
    return GraphError("(#100) The value must be a valid insights metric")


def failure(status: int, message: str) -> Response:
    """Return an error of a status, with the code that goes with it."""
    return graph.failed(
        status, message, {403: GraphError(f"(#200) {message}", 200), 429: GraphError(f"(#80001) {message}", 80001, 2446079)}
    )


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
        return JSONResponse(body, status, graph.usage(FACEBOOK.id, "pages"))

    async def batch(self, request: Request) -> Response:
        """Answer many questions in one."""
        base = str(request.base_url).rstrip("/")
        return await graph.batch(
            request, lambda path, query: self.answer(path, query, f"{base}{PREFIX}/{path}"), graph.usage(FACEBOOK.id, "pages")
        )

    def answer(self, path: str, parameters: Query, place: str) -> tuple[int, Json]:
        """Return status and body; `place` is the address, for links to more."""
        version, _, rest = path.strip("/").partition("/")
        node, _, edge = rest.partition("/")
        if not VERSION.fullmatch(version):
            return 400, GraphError(f"Unknown path components: /{path}", 2500).body
        try:
            return 200, self._node(node, edge, parameters, place)
        except GraphError as error:
            return 400, error.body

    def _node(self, node: str, edge: str, parameters: Query, place: str) -> Json:
        if node == FACEBOOK.id:
            edges: Mapping[str, Callable[[Query, str], Json]] = {
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

    def page(self, parameters: Query, _: str) -> Json:
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
        asked = known_only(selection(parameters.get("fields", "id,name")), PAGE_FIELDS, "Page")
        return {**{one.name: whole[one.name] for one in asked}, "id": FACEBOOK.id}

    def _likes(self) -> int:
        return self.world.followers(FACEBOOK.id, self.clock.ts) * 94 // 100

    def published(self, parameters: Query, place: str) -> Json:
        """Return a page of the page's posts, newest first."""
        return self._page(self.world.timelines[FACEBOOK.id], parameters, place)

    def tagged(self, parameters: Query, place: str) -> Json:
        """Return a page of the posts by others that tag the page, newest first."""
        return self._page(self.world.mentions[FACEBOOK.id], parameters, place)

    def _page(self, feed: Feed, parameters: Query, place: str) -> Json:
        asked = known_only(selection(parameters.get("fields", DEFAULT_FIELDS)), POST_FIELDS, "Post")
        limit, now = limit_of(parameters), self.clock.ts
        since, until = (_seconds(parameters.get(name)) for name in ("since", "until"))
        span = feed.span(now, below=order_of(parameters.get("after")), start=since, end=until)
        shown, has_more = feed.newest(now, span, limit, lambda _: True)
        return page_of([(showing.order, self._post(showing.post, asked)) for showing in shown], place, parameters, TOKEN, has_more=has_more)

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
        limit = limit_of(asked.modifiers)
        after = order_of(asked.modifiers.get("after"))
        left = [one for one in standing if after is None or one.versions[0].order > after]
        fields = known_only(asked.below or selection(DEFAULT_FIELDS), COMMENT_FIELDS, "Comment")
        own = {name: value for name, value in asked.modifiers.items() if name in ("fields", "filter", "limit")}
        shown = [(one.versions[0].order, self._comment(one, fields)) for one in left[:limit]]
        found = page_of(shown, place, own, TOKEN, has_more=len(left) > limit)
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

    def page_insights(self, parameters: Query, place: str) -> Json:
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
                data += [insight(f"{FACEBOOK.id}/insights", name, period, values=values)] if values else []
        links = {
            "previous": link_to(place, parameters, TOKEN, since=str(2 * since - until), until=str(since)),
            "next": link_to(place, parameters, TOKEN, since=str(until), until=str(2 * until - since)),
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

    def _lifetime(self, post: Post, node: str, edge: str, known: frozenset[str], parameters: Query) -> Json:
        """Return a post's numbers since it was published."""
        names = self._metrics(parameters, known, is_reel=edge == "video_insights")
        data = [insight(f"{node}/{edge}", name, "lifetime", values=[{"value": self._value(post, name)}]) for name in names]
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

    def _metrics(self, parameters: Query, known: Iterable[str], *, is_reel: bool = False) -> Sequence[str]:
        """Return the metrics that are asked for; one that is unknown or retired fails them all."""
        names = metrics_of(parameters)
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


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) >= NEVER:
        message = "(#100) Invalid timestamp"
        raise GraphError(message)
    return int(text)


STAND_IN: Final = StandIn(
    platform="facebook",
    prefixes=(PREFIX,),
    tokens=(TOKEN,),
    routes=lambda world, clock: Facebook(world, clock).routes(),
    unauthorized=graph.unauthorized,
    failure=failure,
)
