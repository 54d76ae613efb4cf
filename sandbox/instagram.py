"""Instagram's Graph API as the connector asks it: the account, its media, stories, comments, tags and days, insights, and batches.

Lives here: an account's things, numbers and refusals. Does not live here: what Meta's stand-ins share (`graph`), what happened (`world`),
tokens and faults (`server`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import graph
from sandbox.graph import (
    Asked,
    GraphError,
    Json,
    Query,
    insight,
    iso,
    known_only,
    limit_of,
    metrics_of,
    not_there,
    order_of,
    page_of,
    selection,
)
from sandbox.pen import letters
from sandbox.standins import StandIn
from sandbox.world import DAY, INSTAGRAM, AccountDay, Clock, Feed, Post, Showing, World, day_start, number_of, platform_day

PREFIX: Final = "/instagram"
TOKEN: Final = "sandbox-instagram-token"  # noqa: S105 a made-up token that opens nothing but the sandbox
LIFE_S: Final = 60 * DAY
OLDEST_VERSION: Final = 22
LONGEST_S: Final = 30 * DAY
KEPT_DAYS: Final = 730
FOLLOWERS_KEPT_DAYS: Final = 30
FEW_FOLLOWERS: Final = 100
FEW_VIEWERS: Final = 5
MILLISECONDS_WATCHED: Final = 400

PRODUCTS: Final = {"post": "FEED", "carousel": "FEED", "reel": "REELS", "story": "STORY"}
TYPES: Final = {"post": "IMAGE", "carousel": "CAROUSEL_ALBUM", "reel": "VIDEO", "story": "IMAGE"}
# By what an insight of a medium may be asked, and of which products.
MEDIA_METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "reach": ("FEED", "REELS", "STORY"),
    "views": ("FEED", "REELS", "STORY"),
    "shares": ("FEED", "REELS", "STORY"),
    "total_interactions": ("FEED", "REELS", "STORY"),
    "saved": ("FEED", "REELS"),
    "likes": ("FEED", "REELS"),
    "comments": ("FEED", "REELS"),
    "follows": ("FEED", "STORY"),
    "profile_visits": ("FEED", "STORY"),
    "replies": ("STORY",),
    "navigation": ("STORY",),
    "ig_reels_avg_watch_time": ("REELS",),
    "ig_reels_video_view_total_time": ("REELS",),
}
SERIES: Final = {"day": ("reach", "follower_count"), "week": ("reach",), "days_28": ("reach",)}
TOTALS: Final = ("reach", "views", "profile_views", "website_clicks")
OF_A_DAY: Final = {
    ("reach", "day"): "reach",
    ("reach", "week"): "reach_7d",
    ("reach", "days_28"): "reach_28d",
    ("follower_count", "day"): "followers_gained",
    ("views", "day"): "views",
    ("profile_views", "day"): "profile_views",
    ("website_clicks", "day"): "link_clicks",
}
# Names that the API still knows, and gives no more.
RETIRED: Final = ("impressions", "plays", "clips_replays_count", "ig_reels_aggregated_all_plays_count")


COMMENT_DEFAULT: Final = "id,timestamp,text"
OF_ACCOUNT: Final = f"{INSTAGRAM.id}/insights"
Fields = Mapping[str, Asked]
WORDED: Final = {
    403: GraphError("(#10) Application does not have permission for this action", 10),
    429: GraphError("(#4) Application request limit reached", 4),
}


def failure(status: int, title: str) -> Response:
    """Return an error of a status, with the code that goes with it."""
    return graph.failed(status, title, WORDED)


def fields_of(query: Query, default: str = "id") -> Fields:
    """Return what is asked for of each thing, by name."""
    return {one.name: one for one in selection(query.get("fields", default))}


class Instagram:
    """The routes of Instagram's API over the simulated world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Sort the tags once: they are posts, where the world's mentions hold comments too."""
        self.world = world
        self.clock = clock
        self.tags = Feed(showing for showing in world.mentions[INSTAGRAM.id].showings if showing.post.kind == "mention")

    def routes(self) -> list[Route]:
        """Return the routes, under `/instagram`."""
        return [
            Route(f"{PREFIX}/refresh_access_token", self.refresh, methods=["GET"]),
            Route(f"{PREFIX}/{{version}}", self.batch, methods=["POST"]),
            Route(f"{PREFIX}/{{path:path}}", self.get, methods=["GET"]),
        ]

    # -- the doors --------------------------------------------------------------------------------------------------------------------

    async def refresh(self, request: Request) -> Response:
        """Answer a token for a token, sixty days more; the former one lives on."""
        if request.query_params.get("grant_type") != "ig_refresh_token" or request.query_params.get("access_token") != TOKEN:
            return graph.unauthorized()
        return JSONResponse({"access_token": TOKEN, "token_type": "bearer", "expires_in": LIFE_S})

    async def get(self, request: Request) -> Response:
        """Answer one question."""
        status, body = self._asked(request.path_params["path"], dict(request.query_params), str(request.base_url).rstrip("/"))
        return JSONResponse(body, status, graph.usage(INSTAGRAM.id, "instagram"))

    async def batch(self, request: Request) -> Response:
        """Answer many questions in one."""
        base = str(request.base_url).rstrip("/")
        return await graph.batch(request, lambda path, query: self._asked(path, query, base), graph.usage(INSTAGRAM.id, "instagram"))

    def _asked(self, path: str, query: Query, base: str) -> tuple[int, Json]:
        try:
            return 200, self._found(path.strip("/").split("/"), query, f"{base}{PREFIX}/{path.strip('/')}")
        except GraphError as refused:
            return 400, refused.body

    def _found(self, parts: Sequence[str], query: Query, url: str) -> Json:
        """Answer an address: a version, a thing, and one of its lists."""
        version = re.fullmatch(r"v(\d+)\.0", parts[0])
        if version is None or int(version[1]) < OLDEST_VERSION:
            message = "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version"
            raise GraphError(message, 2635)
        identity, edge = (parts[1] if len(parts) > 1 else ""), "/".join(parts[2:])
        if identity == INSTAGRAM.id:
            return self._of_account(edge, query, url)
        post = self._own(identity)
        if post is None:
            raise not_there(identity)
        edges: dict[str, Callable[[], Json]] = {
            "": lambda: self._node(post, fields_of(query), url),
            "insights": lambda: self._media_insights(post, query),
            "comments": lambda: self._below(post, query, url),
            "replies": lambda: self._below(post, query, url),
        }
        if edge not in edges or (edge == "insights" and post.kind != "root"):
            raise GraphError(_unknown_path(edge), 2500)
        return edges[edge]()

    def _own(self, identity: str) -> Post | None:
        """Return a post or story of ours, or a comment below one, that stands now."""
        post = self.world.by_id.get(identity)
        is_ours = post is not None and post.platform == "instagram" and post.kind != "mention"
        return post if is_ours and post and post.version_at(self.clock.ts) else None

    def _of_account(self, edge: str, query: Query, url: str) -> Json:
        lists = {
            "media": (self.world.timelines[INSTAGRAM.id], self._node),
            "stories": (self.world.stories[INSTAGRAM.id], self._node),
            "tags": (self.tags, self._tag),
        }
        if edge in lists:
            feed, word = lists[edge]
            fields = fields_of(query)
            return self._page(feed, query, url, lambda showing: word(showing.post, fields, url))
        if edge == "insights":
            return self._account_insights(query, url)
        if edge:
            raise GraphError(_unknown_path(edge), 2500)
        return self._account(fields_of(query))

    # -- pages ------------------------------------------------------------------------------------------------------------------------

    def _page(self, feed: Feed, query: Query, url: str, word: Callable[[Showing], Json]) -> Json:
        """Answer newest first, with the cursors of the first and the last."""
        below = order_of(query.get("after"))
        limit = limit_of(query, 1)
        now = self.clock.ts
        shown, has_more = feed.newest(now, feed.span(now, below=below), limit, lambda _: True)
        return page_of([(showing.order, word(showing)) for showing in shown], url, query, TOKEN, has_more=has_more)

    def _below(self, post: Post, query: Query, url: str) -> Json:
        """Answer what stands directly below a post or a comment, newest first."""
        fields = fields_of(query, COMMENT_DEFAULT)
        below = order_of(query.get("after"))
        return self._answers(post, fields, limit_of(query, 1), url, query, below)

    def _held(self, post: Post, asked: Asked, url: str) -> Json:
        """Answer the list inside a thing: its first page, and where its own address is."""
        fields = {one.name: one for one in asked.below or selection(COMMENT_DEFAULT)}
        return self._answers(post, fields, limit_of(asked.modifiers, 1), _beside(url, post, asked.name), {})

    def _answers(self, post: Post, fields: Fields, limit: int, url: str, query: Query, below: int | None = None) -> Json:  # noqa: PLR0913 by what a list is asked
        standing = sorted(self.world.answers_to(post.id, self.clock.ts), key=_order, reverse=True)
        left = [one for one in standing if below is None or _order(one) < below]
        shown = [(_order(one), self._comment(one, fields, url)) for one in left[:limit]]
        return page_of(shown, url, query, TOKEN, has_more=len(left) > limit)

    # -- nodes ------------------------------------------------------------------------------------------------------------------------

    def _account(self, fields: Fields) -> Json:
        now = self.clock.ts
        known = {
            "id": INSTAGRAM.id,
            "ig_id": number_of("ig", INSTAGRAM.id) % 10**10,
            "username": INSTAGRAM.handle,
            "name": INSTAGRAM.name,
            "biography": "Lembaga Amil Zakat Cahaya. Akun simulasi.",
            "website": "https://cahaya.example/",
            "profile_picture_url": "https://gambar.example/cahaya.png",
            "followers_count": self.world.followers(INSTAGRAM.id, now),
            "follows_count": 212,
            "media_count": self.world.posts_count(INSTAGRAM.id, now),
        }
        return _selected(known, fields, "IGUser")

    def _node(self, post: Post, fields: Fields, url: str) -> Json:
        """Word a post or story, or a comment where an id was asked that is one's."""
        if post.kind != "root":
            return self._comment(post, fields, url)
        now = self.clock.ts
        counted = self.world.counters(post, now)
        shortcode = letters(11, "shortcode", post.id)
        folder = f"stories/{INSTAGRAM.handle}" if post.post_type == "story" else "reel" if post.post_type == "reel" else "p"
        known: Json = {
            "id": post.id,
            "ig_id": str(number_of("ig", post.id)),
            "caption": post.text,
            "comments_count": counted.reply if post.post_type != "story" else 0,
            "is_comment_enabled": True,
            "like_count": counted.like,
            "media_type": TYPES[post.post_type],
            "media_product_type": PRODUCTS[post.post_type],
            "media_url": f"https://gambar.example/{shortcode}.bin",
            "owner": {"id": INSTAGRAM.id},
            "permalink": f"https://www.instagram.com/{folder}/{shortcode}/",
            "shortcode": shortcode,
            "timestamp": iso(post.ts),
            "username": INSTAGRAM.handle,
            **({"thumbnail_url": f"https://gambar.example/{shortcode}.jpg"} if post.post_type == "reel" else {}),
            **({"children": {"data": [{"id": f"18{order}"} for order in _children(post)]}} if post.post_type == "carousel" else {}),
        }
        if post.hides("like", now):
            del known["like_count"]
        if "comments" in fields and self.world.answers_to(post.id, now):
            known["comments"] = self._held(post, fields["comments"], url)
        return _selected(known, fields, "IGMedia", ("thumbnail_url", "children", "comments", "like_count"))

    def _comment(self, comment: Post, fields: Fields, url: str) -> Json:
        handle = self.world.handle_of("instagram", comment.author_id)
        known: Json = {
            "id": comment.id,
            "timestamp": iso(comment.ts),
            "text": comment.text,
            "username": handle,
            "from": {"id": comment.author_id, "username": handle},
            "hidden": False,
            "like_count": self.world.counters(comment, self.clock.ts).like,
        }
        if comment.reply_to_id != comment.conversation_id:
            known["parent_id"] = comment.reply_to_id
        if "replies" in fields and self.world.answers_to(comment.id, self.clock.ts):
            known["replies"] = self._held(comment, fields["replies"], url)
        return _selected(known, fields, "IGComment", ("parent_id", "replies"))

    def _tag(self, post: Post, fields: Fields, url: str) -> Json:
        """Word a post of somebody else's: who owns it is told by the name alone."""
        del url
        counted = self.world.counters(post, self.clock.ts)
        shortcode = letters(11, "shortcode", post.id)
        known: Json = {
            "id": post.id,
            "caption": post.text,
            "comments_count": counted.reply,
            "like_count": counted.like,
            "media_type": "IMAGE",
            "media_product_type": "FEED",
            "media_url": f"https://gambar.example/{shortcode}.bin",
            "permalink": f"https://www.instagram.com/p/{shortcode}/",
            "timestamp": iso(post.ts),
            "username": self.world.handle_of("instagram", post.author_id),
        }
        return _selected(known, fields, "IGMedia", ("owner",))

    # -- insights ---------------------------------------------------------------------------------------------------------------------

    def _media_insights(self, post: Post, query: Query) -> Json:
        """Answer all numbers that were asked for, or refuse all of them for the first that is not given."""
        product = PRODUCTS[post.post_type]
        names = metrics_of(query)
        for place, name in enumerate(names or [""]):
            if name in RETIRED:
                message = (
                    f"(#100) Starting from version v22.0 and above, the {name} metric is no longer supported for the queried media. "
                    "For more information, visit the changelog."
                )
                raise GraphError(message)
            if name not in MEDIA_METRICS:
                known = ", ".join(sorted((*RETIRED, *MEDIA_METRICS)))
                message = f"(#100) metric[{place}] must be one of the following values: {known}"
                raise GraphError(message)
        if refused := [name for name in names if product not in MEDIA_METRICS[name]]:
            message = f"(#100) The Media Insights API does not support the {', '.join(refused)} metric for this media product type."
            raise GraphError(message)
        values = self._media_values(post)
        if product == "STORY" and values["reach"] < FEW_VIEWERS:
            message = "(#10) Not enough viewers for the media to show insights"
            raise GraphError(message, 10)
        if post.hides("like", self.clock.ts):
            names = [name for name in names if name != "likes"]
        return {
            "data": [insight(f"{post.id}/insights", name, "lifetime", values=[{"value": values[name]}]) for name in dict.fromkeys(names)]
        }

    def _media_values(self, post: Post) -> dict[str, int]:
        counted = self.world.counters(post, self.clock.ts)
        watched = post.seconds * MILLISECONDS_WATCHED
        return {
            "reach": counted.reach,
            "views": counted.view,
            "shares": counted.share,
            "saved": counted.save,
            "likes": counted.like,
            "comments": counted.reply,
            "replies": counted.reply,
            "total_interactions": counted.like + counted.reply + counted.share + counted.save,
            "follows": counted.profile_click // 10,
            "profile_visits": counted.profile_click,
            "navigation": counted.navigation,
            "ig_reels_avg_watch_time": watched,
            "ig_reels_video_view_total_time": watched * counted.view,
        }

    def _account_insights(self, query: Query, url: str) -> Json:
        """Answer the days whose ends lie in the span, or one total of it; what is not told yet is left out, and never 0."""
        names = metrics_of(query)
        period = query.get("period", "day")
        since, until = self._span(query)
        is_total = query.get("metric_type") == "total_value"
        self._judge_metrics(names, period, is_total=is_total)
        if "follower_count" in names and since < self._today_start() - FOLLOWERS_KEPT_DAYS * DAY:
            message = "(#100) (follower_count) metric only supports querying data for the last 30 days excluding the current day"
            raise GraphError(message)
        if is_total:
            values = {name: self._total(name, since, until) for name in names}
            data = [insight(OF_ACCOUNT, name, period, total_value={"value": value}) for name, value in values.items() if value is not None]
            return {"data": data}
        found = [(name, self._series(name, period, since, until)) for name in names]
        data = [insight(OF_ACCOUNT, name, period, values=values) for name, values in found if values]
        step = until - since
        spans = {"previous": (since - step, since), "next": (until, until + step)}
        links = {name: f"{url}?{urlencode({**query, 'since': first, 'until': last})}" for name, (first, last) in spans.items()}
        return {"data": data, "paging": links} if data else {"data": []}

    def _span(self, query: Query) -> tuple[int, int]:
        now = self.clock.ts
        try:
            since, until = (int(query.get(name) or default) for name, default in (("since", now - DAY), ("until", now)))
        except ValueError:
            message = "(#100) since and until must be Unix timestamps"
            raise GraphError(message) from None
        if until - since > LONGEST_S:
            message = "(#100) There cannot be more than 30 days (2592000 s) between since and until"
            raise GraphError(message)
        if since > now or since < self._today_start() - (KEPT_DAYS - 1) * DAY:
            message = "(#100) since param is not valid. Metrics data is available for the last 2 years"
            raise GraphError(message)
        return since, until

    def _today_start(self) -> int:
        return day_start("instagram", platform_day("instagram", self.clock.ts))

    def _judge_metrics(self, names: Sequence[str], period: str, *, is_total: bool) -> None:
        known = {*TOTALS, *SERIES["day"]}
        for place, name in enumerate(names or [""]):
            if name not in known:
                message = f"(#100) metric[{place}] must be one of the following values: {', '.join(sorted(known))}"
                raise GraphError(message)
        if is_total and (wrong := [name for name in names if name not in TOTALS]):
            message = f"(#100) The following metrics ({','.join(wrong)}) are incompatible with the metric type (total_value)"
            raise GraphError(message)
        if not is_total and (wrong := [name for name in names if name not in SERIES["day"]]):
            message = f"(#100) The following metrics ({','.join(wrong)}) should be specified with parameter metric_type=total_value"
            raise GraphError(message)
        if not is_total and (wrong := [name for name in names if name not in SERIES.get(period, ())]):
            message = f"(#100) Incompatible metrics ({','.join(wrong)}) with period {period}"
            raise GraphError(message)

    def _told(self, day: date) -> AccountDay:
        return self.world.account_day(INSTAGRAM, day, self.clock.ts)

    def _series(self, name: str, period: str, since: int, until: int) -> list[Json]:
        """Return the values of the days that end after `since` and until `until`, oldest first."""
        if name == "follower_count" and self.world.followers(INSTAGRAM.id, self.clock.ts) < FEW_FOLLOWERS:
            return []
        values = []
        for day in _days(since, until):
            ends = day_start("instagram", day + timedelta(days=1))
            value = getattr(self._told(day), OF_A_DAY[name, period])
            if since < ends <= until and value is not None:
                values.append({"value": value, "end_time": iso(ends)})
        return values

    def _total(self, name: str, since: int, until: int) -> int | None:
        """Return the sum over the days that begin in the span, of those that are told. People are counted once: only a single day has reach."""
        begun = [day for day in _days(since, until) if since <= day_start("instagram", day) < until]
        told = [value for day in begun if (value := getattr(self._told(day), OF_A_DAY[name, "day"])) is not None]
        return max(told) if told and name == "reach" else sum(told) if told else None


def _unknown_path(edge: str) -> str:
    return f"Unknown path components: /{edge}"


def _order(post: Post) -> int:
    return post.versions[0].order


def _children(post: Post) -> Iterable[int]:
    return (number_of("child", post.id, place) % 10**15 for place in range(2 + number_of(post.id) % 4))


def _days(since: int, until: int) -> Iterable[date]:
    first, last = platform_day("instagram", since), platform_day("instagram", until)
    return (first + timedelta(days=step) for step in range((last - first).days + 1))


def _beside(url: str, post: Post, edge: str) -> str:
    """Return the address of a list below a thing, at the version that was asked."""
    base, _, path = url.partition(PREFIX)
    return f"{base}{PREFIX}/{path.strip('/').split('/')[0]}/{post.id}/{edge}"


def _selected(known: Json, fields: Fields, kind: str, perhaps: Sequence[str] = ()) -> Json:
    """Return what was asked for, the id always; raise GraphError for a field that there is not. `perhaps` are left out where there is none."""
    known_only([*fields.values()], {*known, *perhaps}, kind)
    return {name: known[name] for name in (*fields, "id") if name in known}


STAND_IN: Final = StandIn(
    platform="instagram",
    prefixes=(PREFIX,),
    tokens=(TOKEN,),
    routes=lambda world, clock: Instagram(world, clock).routes(),
    unauthorized=graph.unauthorized,
    failure=failure,
    renewal=f"{PREFIX}/refresh_access_token",
)
