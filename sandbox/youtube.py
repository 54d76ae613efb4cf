"""YouTube's Data API v3 and Analytics API v2 as far as the pipeline asks them: a channel, its films, the comments on them, its days.

Lives here: Google's words, parts, pages and errors. Does not live here: what happened (`world`), who holds which token (`server`).
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.pen import letters
from sandbox.standins import StandIn
from sandbox.world import YOUTUBE, AccountDay, Clock, Feed, Post, World, days, title_and_description

Json = dict[str, Any]
Keep = Callable[[Post], bool]

DATA: Final = "/youtube"
ANALYTICS: Final = "/youtube_analytics"
UPLOADS: Final = f"UU{YOUTUBE.id.removeprefix('UC')}"
FOUNDED: Final = "2019-03-11T02:00:00Z"
IDS_A_CALL: Final = 50
# YouTube puts up to five replies into a thread; here so few that the rest must be asked for.
REPLIES_INSIDE: Final = 1
PARTS: Final = {
    "channels": {"id", "snippet", "statistics", "contentDetails"},
    "playlistItems": {"id", "snippet", "contentDetails"},
    "videos": {"id", "snippet", "statistics", "contentDetails", "liveStreamingDetails", "status"},
    "commentThreads": {"id", "snippet", "replies"},
    "comments": {"id", "snippet"},
}
METRICS: Final[dict[str, Callable[[AccountDay], int | None]]] = {
    "views": lambda day: day.views,
    "engagedViews": lambda day: day.engaged_views,
    "likes": lambda day: day.likes,
    "comments": lambda day: day.comments,
    "shares": lambda day: day.shares,
    "subscribersGained": lambda day: day.followers_gained,
    "subscribersLost": lambda day: day.followers_lost,
    "estimatedMinutesWatched": lambda day: day.watch_minutes,
}
REPORTS: Final = "https://developers.google.com/youtube/analytics/v2/available_reports"
REASONS: Final = {401: "authError", 403: "forbidden", 404: "notFound", 429: "rateLimitExceeded"}


@dataclass(frozen=True, slots=True)
class Word:
    """How Google refuses: the status, its reason, where it lies, and the words."""

    status: int
    reason: str
    message: str
    domain: str = "youtube.parameter"
    parameter: str | None = None

    def answer(self) -> Response:
        """Return the body in which it stands."""
        place = {"location": self.parameter, "locationType": "parameter"} if self.parameter else {}
        inner = {"message": self.message, "domain": self.domain, "reason": self.reason, **place}
        return JSONResponse({"error": {"code": self.status, "message": self.message, "errors": [inner]}}, self.status)


class RefusedError(Exception):
    """A request that YouTube would not answer."""

    def __init__(self, word: Word) -> None:
        """Keep the words for the answer."""
        super().__init__(word.message)
        self.word = word


def failure(status: int, message: str) -> Response:
    """Return an error in Google's shape."""
    return Word(status, REASONS.get(status, "backendError" if status >= 500 else "badRequest"), message, "global").answer()  # noqa: PLR2004


def unauthorized() -> Response:
    """Return the answer to a missing or unknown token."""
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid credential."
    return Word(401, "authError", message, "global", "Authorization").answer()


def iso(ts: int) -> str:
    """Return an instant as YouTube writes it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def length(seconds: int) -> str:
    """Return a film's length as YouTube writes it; one that is not known yet is of no days."""
    hours, rest = divmod(seconds, 3_600)
    told = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (rest // 60, "M"), (rest % 60, "S")) if number)
    return f"PT{told}" if told else "P0D"


def token_of(order: int) -> str:
    """Return an opaque paging token that stands for a place in a list."""
    return urlsafe_b64encode(f"PT:{order}".encode()).decode().rstrip("=")


def _place(parameters: QueryParams) -> int | None:
    value = parameters.get("pageToken")
    if not value:
        return None
    try:
        told = urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
        return int(told.removeprefix("PT:"))
    except (binascii.Error, ValueError) as error:
        raise RefusedError(Word(400, "invalidPageToken", "The request specifies an invalid page token.", parameter="pageToken")) from error


def _limit(parameters: QueryParams, default: int, smallest: int, largest: int) -> int:
    value = parameters.get("maxResults", str(default))
    if not value.isdecimal() or not smallest <= int(value) <= largest:
        message = f"Invalid value '{value}'. Values must be within the range: [{smallest}, {largest}]"
        raise RefusedError(Word(400, "invalidParameter", message, "global", "maxResults"))
    return int(value)


def _needed(parameters: QueryParams, *names: str) -> str:
    """Return the value of the one filter that a list takes."""
    found = [parameters[name] for name in names if parameters.get(name)]
    if len(found) != 1:
        message = f"No filter selected. Expected one of: {', '.join(names)}"
        raise RefusedError(Word(400, "missingRequiredParameter", message, parameter="parameters."))
    return found[0]


def _parts(parameters: QueryParams, resource: str) -> frozenset[str]:
    wanted = frozenset(filter(None, parameters.get("part", "").split(",")))
    if not wanted:
        raise RefusedError(Word(400, "required", "Required parameter: part", "global", "part"))
    if unknown := sorted(wanted - PARTS[resource]):
        raise RefusedError(Word(400, "unknownPart", f"'{unknown[0]}'", "youtube.part", "part"))
    return wanted


def _etag(*parts: object) -> str:
    return letters(27, "etag", *parts)


class YouTube:
    """The routes of both APIs over the simulated world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Take the world and the clock."""
        self.world = world
        self.clock = clock

    def routes(self) -> list[Route]:
        """Return the routes, under `/youtube` and `/youtube_analytics`."""
        paths: dict[str, Callable[[QueryParams], Json]] = {
            f"{DATA}/youtube/v3/channels": self.channels,
            f"{DATA}/youtube/v3/playlistItems": self.playlist_items,
            f"{DATA}/youtube/v3/videos": self.videos,
            f"{DATA}/youtube/v3/commentThreads": self.comment_threads,
            f"{DATA}/youtube/v3/comments": self.comments,
            f"{ANALYTICS}/v2/reports": self.reports,
        }
        return [Route(path, self._guarded(endpoint), methods=["GET"]) for path, endpoint in paths.items()]

    def _guarded(self, endpoint: Callable[[QueryParams], Json]) -> Callable[[Request], Any]:
        """Turn a refusal into YouTube's answer to it."""

        async def answer(request: Request) -> Response:
            try:
                return JSONResponse(endpoint(request.query_params))
            except RefusedError as refused:
                return refused.word.answer()

        return answer

    # -- the endpoints ------------------------------------------------------------------------------------------------------------

    def channels(self, parameters: QueryParams) -> Json:
        """Answer channels by id; those that are not there are left out, and without any there is no list."""
        parts = _parts(parameters, "channels")
        found = [self._channel() for identity in _needed(parameters, "id").split(",") if identity == YOUTUBE.id]
        told = _list("channel", [_cut(one, parts) for one in found], len(found), 5)
        return told if found else {name: value for name, value in told.items() if name != "items"}

    def playlist_items(self, parameters: QueryParams) -> Json:
        """Answer a page of the uploads, newest first."""
        parts = _parts(parameters, "playlistItems")
        if _needed(parameters, "playlistId") != UPLOADS:
            message = "The playlist identified with the request's <code>playlistId</code> parameter cannot be found."
            raise RefusedError(Word(404, "playlistNotFound", message, "youtube.playlistItem", "playlistId"))
        word = lambda post: _cut(_pointer(post), parts)  # noqa: E731
        return self._page("playlistItem", parameters, self.world.timelines[YOUTUBE.id], lambda _: True, word, (5, 0, 50))

    def videos(self, parameters: QueryParams) -> Json:
        """Answer films by id, in the order asked; those that are gone are left out."""
        parts = _parts(parameters, "videos")
        ids = _needed(parameters, "id").split(",")
        if len(ids) > IDS_A_CALL:
            raise RefusedError(Word(400, "invalidFilters", "The request specifies an invalid filter parameter.", parameter="parameters."))
        posts = [post for one in dict.fromkeys(ids) if (post := self.world.by_id.get(one)) and post.author_id == YOUTUBE.id]
        found = [_cut(self._film(post), parts) for post in posts if post.kind == "root" and post.ts <= self.clock.ts < post.gone_ts]
        return _list("video", found, len(found), len(found))

    def comment_threads(self, parameters: QueryParams) -> Json:
        """Answer a page of the threads below the channel's films, or below one, newest first."""
        parts = _parts(parameters, "commentThreads")
        about = _needed(parameters, "allThreadsRelatedToChannelId", "videoId")
        film = self.world.by_id.get(about)
        is_there = film and film.platform == "youtube" and film.kind == "root" and film.ts <= self.clock.ts < film.gone_ts
        if about != YOUTUBE.id and not is_there:
            kind = "channel" if about.startswith("UC") else "video"
            message = f"The {kind} identified by the request's parameters could not be found."
            raise RefusedError(Word(404, f"{kind}NotFound", message, "youtube.commentThread"))

        def keep(post: Post) -> bool:
            return post.reply_to_id == post.conversation_id and about in (YOUTUBE.id, post.conversation_id)

        return self._page(
            "commentThread", parameters, self.world.comments[YOUTUBE.id], keep, lambda post: _cut(self._thread(post), parts), (20, 1, 100)
        )

    def comments(self, parameters: QueryParams) -> Json:
        """Answer a page of the replies to a comment, newest first; which film they belong to is not said."""
        parts = _parts(parameters, "comments")
        parent = self.world.by_id.get(_needed(parameters, "parentId"))
        if parent is None or parent.reply_to_id is None or not parent.ts <= self.clock.ts < parent.gone_ts:
            message = "The specified comment could not be found."
            raise RefusedError(Word(404, "commentNotFound", message, "youtube.comment", "parentId"))

        def word(post: Post) -> Json:
            comment = self._comment(post)
            del comment["snippet"]["videoId"]
            return _cut(comment, parts)

        feed = self.world.comments[YOUTUBE.id]
        return self._page("comment", parameters, feed, lambda post: post.reply_to_id == parent.id, word, (20, 1, 100))

    def reports(self, parameters: QueryParams) -> Json:
        """Answer the channel's days: those that are told by now, in whole or in part. Where there are none, neither are `rows`."""
        if parameters.get("ids") not in (f"channel=={YOUTUBE.id}", "channel==MINE"):
            raise RefusedError(Word(403, "forbidden", "Forbidden", "global"))
        first, last = (_day(parameters, name) for name in ("startDate", "endDate"))
        names = [name for name in parameters.get("metrics", "").split(",") if name]
        if not names:
            raise RefusedError(Word(400, "required", "Required parameter: metrics", "global", "metrics"))
        if unknown := next((name for name in names if name not in METRICS), None):
            message = f"Unknown identifier ({unknown}) given in field parameters.metrics."
            raise RefusedError(Word(400, "badRequest", message, "global", "metrics"))
        if parameters.get("dimensions") != "day":
            message = f"The query is not supported. Check the documentation at {REPORTS} for supported queries."
            raise RefusedError(Word(400, "badRequest", message, "global"))
        told = ((day, self.world.account_day(YOUTUBE, day, self.clock.ts)) for day in days(first, min(last, self._today())))
        rows = [[day.isoformat(), *(METRICS[name](one) for name in names)] for day, one in told if one.views is not None]
        headers = [_header("day", "DIMENSION", "STRING"), *(_header(name, "METRIC", "INTEGER") for name in names)]
        return {"kind": "youtubeAnalytics#resultTable", "columnHeaders": headers, **({"rows": rows} if rows else {})}

    def _today(self) -> date:
        return (self.clock.now + timedelta(days=1)).date()

    # -- pages --------------------------------------------------------------------------------------------------------------------

    def _page(  # noqa: PLR0913 what lists differ in
        self, kind: str, parameters: QueryParams, feed: Feed, keep: Keep, word: Callable[[Post], Json], limits: tuple[int, int, int]
    ) -> Json:
        """Answer newest first; `limits` are how many without being asked, the fewest and the most."""
        limit, now = _limit(parameters, *limits), self.clock.ts
        shown, is_more = feed.newest(now, feed.span(now, below=_place(parameters)), limit, keep)
        total = sum(keep(showing.post) for showing in feed.visible(now))
        token = token_of(shown[-1].order) if is_more and shown else None
        return _list(kind, [word(showing.post) for showing in shown], total, limit, token)

    # -- wording ------------------------------------------------------------------------------------------------------------------

    def _channel(self) -> Json:
        now = self.clock.ts
        films = [showing.post for showing in self.world.timelines[YOUTUBE.id].visible(now)]
        description = "Lembaga Amil Zakat Cahaya. Kanal simulasi."
        return {
            "kind": "youtube#channel",
            "etag": _etag(YOUTUBE.id, now),
            "id": YOUTUBE.id,
            "snippet": {
                "title": YOUTUBE.name,
                "description": description,
                "customUrl": f"@{YOUTUBE.handle}",
                "publishedAt": FOUNDED,
                "thumbnails": _thumbnails(YOUTUBE.id),
                "localized": {"title": YOUTUBE.name, "description": description},
                "country": "ID",
            },
            "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": UPLOADS}},
            "statistics": {
                "viewCount": str(sum(self.world.counters(post, now).view for post in films)),
                "subscriberCount": str(self.world.followers_shown(YOUTUBE.id, now)),
                "hiddenSubscriberCount": False,
                "videoCount": str(len(films)),
            },
        }

    def _film(self, post: Post) -> Json:
        now = self.clock.ts
        title, description = title_and_description(post)
        counters = self.world.counters(post, now)
        is_live = post.post_type == "live"
        is_on_air = is_live and now < post.ts + post.seconds
        likes = {} if post.hides("like", now) else {"likeCount": str(counters.like)}
        ended = {} if is_on_air else {"actualEndTime": iso(post.ts + post.seconds)}
        return {
            "kind": "youtube#video",
            "etag": _etag(post.key, now),
            "id": post.id,
            "snippet": {
                "publishedAt": iso(post.ts),
                "channelId": YOUTUBE.id,
                "title": title,
                "description": description,
                "thumbnails": _thumbnails(post.id),
                "channelTitle": YOUTUBE.name,
                "tags": list(post.hashtags),
                "categoryId": "29",
                "liveBroadcastContent": "live" if is_on_air else "none",
                "localized": {"title": title, "description": description},
                "defaultAudioLanguage": "id",
            },
            "contentDetails": {
                "duration": length(0 if is_on_air else post.seconds),
                "dimension": "2d",
                "definition": "hd",
                "caption": "false",
                "licensedContent": False,
                "contentRating": {},
                "projection": "rectangular",
            },
            "status": {
                "uploadStatus": "processed",
                "privacyStatus": "public",
                "license": "youtube",
                "embeddable": True,
                "publicStatsViewable": True,
                "madeForKids": False,
            },
            "statistics": {"viewCount": str(counters.view), **likes, "favoriteCount": "0", "commentCount": str(counters.reply)},
            **({"liveStreamingDetails": {"actualStartTime": iso(post.ts), **ended}} if is_live else {}),
        }

    def _thread(self, post: Post) -> Json:
        replies = self.world.answers_to(post.id, self.clock.ts)
        inside = [self._comment(reply) for reply in replies[-REPLIES_INSIDE:]]
        return {
            "kind": "youtube#commentThread",
            "etag": _etag("thread", post.key, len(replies)),
            "id": post.id,
            "snippet": {
                "channelId": YOUTUBE.id,
                "videoId": post.conversation_id,
                "topLevelComment": self._comment(post),
                "canReply": True,
                "totalReplyCount": len(replies),
                "isPublic": True,
            },
            **({"replies": {"comments": inside}} if inside else {}),
        }

    def _comment(self, post: Post) -> Json:
        person = self.world.person_of("youtube", post.author_id)
        handle = f"@{person.handle if person else YOUTUBE.handle}"
        parent = {"parentId": post.reply_to_id} if post.reply_to_id != post.conversation_id else {}
        return {
            "kind": "youtube#comment",
            "etag": _etag("comment", post.key),
            "id": post.id,
            "snippet": {
                "channelId": YOUTUBE.id,
                "videoId": post.conversation_id,
                "textDisplay": post.text,
                "textOriginal": post.text,
                **parent,
                "authorDisplayName": handle,
                "authorProfileImageUrl": person.avatar if person else "https://gambar.example/cahaya.png",
                "authorChannelUrl": f"http://www.youtube.com/{handle}",
                "authorChannelId": {"value": post.author_id},
                "canRate": True,
                "viewerRating": "none",
                "likeCount": self.world.counters(post, self.clock.ts).like,
                "publishedAt": iso(post.ts),
                "updatedAt": iso(post.ts),
            },
        }


def _list(kind: str, items: Sequence[Json], total: int, a_page: int, token: str | None = None) -> Json:
    """Return a list as YouTube answers it."""
    return {
        "kind": f"youtube#{kind}ListResponse",
        "etag": _etag(kind, *(one["etag"] for one in items)),
        **({"nextPageToken": token} if token else {}),
        "pageInfo": {"totalResults": total, "resultsPerPage": a_page},
        "items": list(items),
    }


def _cut(resource: Json, parts: Iterable[str]) -> Json:
    """Return a resource with the parts that were asked for."""
    return {name: value for name, value in resource.items() if name in {"kind", "etag", "id", *parts}}


def _pointer(post: Post) -> Json:
    title, description = title_and_description(post)
    return {
        "kind": "youtube#playlistItem",
        "etag": _etag("item", post.key),
        "id": urlsafe_b64encode(f"{UPLOADS}.{post.id}".encode()).decode().rstrip("="),
        "snippet": {
            "publishedAt": iso(post.ts),
            "channelId": YOUTUBE.id,
            "title": title,
            "description": description,
            "thumbnails": _thumbnails(post.id),
            "channelTitle": YOUTUBE.name,
            "playlistId": UPLOADS,
            "resourceId": {"kind": "youtube#video", "videoId": post.id},
        },
        "contentDetails": {"videoId": post.id, "videoPublishedAt": iso(post.ts)},
    }


def _thumbnails(identity: str) -> Json:
    return {"default": {"url": f"https://gambar.example/vi/{identity}/default.jpg", "width": 120, "height": 90}}


def _header(name: str, column: str, kind: str) -> Json:
    return {"name": name, "columnType": column, "dataType": kind}


def _day(parameters: QueryParams, name: str) -> date:
    value = parameters.get(name)
    if not value:
        raise RefusedError(Word(400, "required", f"Required parameter: {name}", "global", name))
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        message = f"Invalid value '{value}'. Values must match the following regular expression: '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"
        raise RefusedError(Word(400, "invalidParameter", message, "global", name)) from error


STAND_IN: Final = StandIn(
    platform="youtube",
    prefixes=(DATA, ANALYTICS),
    tokens=("sandbox-youtube-token",),
    routes=lambda world, clock: YouTube(world, clock).routes(),
    unauthorized=unauthorized,
    failure=failure,
)
