"""Mastodon's API as the institution's server answers it: accounts, statuses, mention notifications, the instance.

Lives here: Mastodon's words, pages and headers. Does not live here: what happened (`world`), tokens and faults (`server`).
"""

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.standins import StandIn
from sandbox.world import (
    MASTODON,
    MASTODON_HOST,
    REMOTE_HOST,
    TOKEN_PATTERN,
    Clock,
    Feed,
    Person,
    Post,
    Showing,
    World,
    number_of,
)

Json = dict[str, Any]
Keep = Callable[[Post], bool]

PREFIX: Final = "/mastodon"
HOME: Final = f"https://{MASTODON_HOST}"
LIMIT: Final = 40
RATE_LIMIT: Final = 300
STATUSES_DEFAULT: Final = 20
TRUE: Final = ("true", "1", "on")
PAGING: Final = ("max_id", "min_id", "since_id")


def iso(moment: datetime) -> str:
    """Return an instant as Mastodon writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def failure(status: int, message: str) -> JSONResponse:
    """Return an error in Mastodon's shape."""
    return JSONResponse({"error": message}, status)


def rate_headers(clock: Clock) -> dict[str, str]:
    """Return the rate-limit headers: 300 requests in 5 minutes, the reset in ISO 8601."""
    reset = iso(clock.now + timedelta(minutes=5))
    return {"X-RateLimit-Limit": str(RATE_LIMIT), "X-RateLimit-Remaining": str(RATE_LIMIT - 1), "X-RateLimit-Reset": reset}


def unauthorized() -> JSONResponse:
    """Return the answer to a missing or unknown token."""
    return failure(401, "The access token is invalid")


class Mastodon:
    """The routes of one simulated server."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Sort the mention notifications once; they have ids of their own."""
        self.world = world
        self.clock = clock
        self._still: dict[str, Json] = {}
        self.notifications = Feed(
            Showing(showing.start * 1_000_000 + number_of(world.seed, "notice", showing.post.key) % 1_000_000, *showing[1:])
            for showing in world.mentions[MASTODON.id].showings
        )

    def routes(self) -> list[Route]:
        """Return the routes, under `/mastodon`."""
        paths: dict[str, Callable[[Request], Any]] = {
            "/api/v1/accounts/lookup": self.lookup,
            "/api/v1/accounts/{id}": self.account,
            "/api/v1/accounts/{id}/statuses": self.statuses,
            "/api/v1/notifications": self.mention_notifications,
            "/api/v1/instance": self.instance,
        }
        return [Route(f"{PREFIX}{path}", endpoint, methods=["GET"]) for path, endpoint in paths.items()]

    def _answer(self, body: object, headers: Mapping[str, str] | None = None) -> Response:
        return JSONResponse(body, headers={**rate_headers(self.clock), **(headers or {})})

    # -- the endpoints ------------------------------------------------------------------------------------------------------------

    async def lookup(self, request: Request) -> Response:
        """Answer an account by its address."""
        acct = request.query_params.get("acct", "").lstrip("@")
        if acct in (MASTODON.handle, f"{MASTODON.handle}@{MASTODON_HOST}"):
            return self._answer(self.own_account())
        person = next((person for person in self.world.persons if acct in (person.acct, f"{person.handle}@{MASTODON_HOST}")), None)
        return self._answer(person_json(person)) if person else failure(404, "Record not found")

    async def account(self, request: Request) -> Response:
        """Answer an account by its id."""
        found = self._account_json(request.path_params["id"])
        return self._answer(found) if found else failure(404, "Record not found")

    async def statuses(self, request: Request) -> Response:
        """Answer a page of the institution's statuses."""
        identity = request.path_params["id"]
        if identity != MASTODON.id:
            known = self.world.person_of("mastodon", identity)
            return self._answer([]) if known else failure(404, "Record not found")
        parameters = request.query_params
        hide_reblogs = parameters.get("exclude_reblogs", "") in TRUE
        hide_replies = parameters.get("exclude_replies", "") in TRUE

        def keep(post: Post) -> bool:
            is_hidden_reply = hide_replies and post.reply_to_author not in (None, MASTODON.id)
            return not (hide_reblogs and post.kind == "repost") and not is_hidden_reply

        return self._page(request, self.world.timelines[MASTODON.id], keep, self.status, STATUSES_DEFAULT)

    async def mention_notifications(self, request: Request) -> Response:
        """Answer a page of notifications; the simulated server keeps mentions only."""
        types = request.query_params.getlist("types[]") + request.query_params.getlist("types")
        excluded = request.query_params.getlist("exclude_types[]") + request.query_params.getlist("exclude_types")
        is_wanted = (not types or "mention" in types) and "mention" not in excluded
        return self._page(request, self.notifications, lambda _: is_wanted, self._notification, LIMIT)

    async def instance(self, _: Request) -> Response:
        """Answer what the server says of itself."""
        return self._answer(instance_json(self.world.posts_count(MASTODON.id, self.clock.ts)))

    # -- pages --------------------------------------------------------------------------------------------------------------------

    def _page(self, request: Request, feed: Feed, keep: Keep, word: Callable[[Showing], Json], default: int) -> Response:
        """Answer newest first; with `min_id` the page nearest above it, as Mastodon walks forward."""
        parameters = request.query_params
        try:
            limit = max(1, min(LIMIT, int(parameters.get("limit", default))))
            ids = {name: int(parameters[name]) for name in PAGING if parameters.get(name)}
        except ValueError:
            return failure(400, "Invalid paging parameter")
        now = self.clock.ts
        above = max((ids[name] for name in ("min_id", "since_id") if name in ids), default=None)
        span = feed.span(now, above=above, below=ids.get("max_id"))
        shown = feed.oldest(now, span, limit, keep)[0][::-1] if "min_id" in ids else feed.newest(now, span, limit, keep)[0]
        headers = {"Link": self._links(request, shown, limit)} if shown else {}
        return self._answer([word(showing) for showing in shown], headers)

    def _links(self, request: Request, shown: list[Showing], limit: int) -> str:
        """Return Mastodon's Link header: `next` (older) where the page was full, `prev` (newer) always."""
        rest = [(name, value) for name, value in request.query_params.multi_items() if name not in PAGING]
        links = []
        if len(shown) == limit:
            links.append(("next", [*rest, ("max_id", str(shown[-1].order))]))
        links.append(("prev", [*rest, ("min_id", str(shown[0].order))]))
        place = request.url.replace(query="")
        return ", ".join(f'<{place}?{urlencode(query, safe="[]")}>; rel="{relation}"' for relation, query in links)

    # -- wording ------------------------------------------------------------------------------------------------------------------

    def own_account(self) -> Json:
        """Return the institution's account as it stands now."""
        now = self.clock.ts
        counts = (self.world.followers(MASTODON.id, now), 87, self.world.posts_count(MASTODON.id, now))
        note = "<p>Lembaga Amil Zakat Cahaya. Akun simulasi.</p>"
        return account_json(MASTODON.id, MASTODON.handle, MASTODON.handle, MASTODON.name, note, f"{HOME}/avatar.png", counts)

    def _account_json(self, identity: str) -> Json | None:
        if identity == MASTODON.id:
            return self.own_account()
        person = self.world.person_of("mastodon", identity)
        return person_json(person) if person else None

    def status(self, showing: Showing) -> Json:
        """Return one status with its counters at this instant."""
        return self._status(showing.post)

    def _status(self, post: Post) -> Json:
        still = self._still.get(post.key)
        if still is None:
            still = self._still[post.key] = still_json(self.world, post)
        is_reblog = post.kind == "repost" and post.reference is not None
        counters = self.world.counters(post, self.clock.ts)
        reblog = self._status(self.world.by_id[post.reference.id]) if is_reblog and post.reference else None
        return still | {
            "account": self._account_json(post.author_id),
            "favourites_count": 0 if is_reblog else counters.like,
            "reblogs_count": 0 if is_reblog else counters.share,
            "replies_count": 0 if is_reblog else counters.reply,
            "quotes_count": 0 if is_reblog else counters.quote,
            "reblog": reblog,
        }

    def _notification(self, showing: Showing) -> Json:
        status = self._status(showing.post)
        return {
            "id": str(showing.order),
            "type": "mention",
            "created_at": status["created_at"],
            "group_key": f"ungrouped-{showing.order}",
            "account": status["account"],
            "status": status,
        }


def person_url(person: Person) -> str:
    """Return a fictional person's profile address."""
    return f"https://{REMOTE_HOST if person.is_remote else MASTODON_HOST}/@{person.handle}"


def person_json(person: Person) -> Json:
    """Return a fictional person's account, with everything that a real one gives away."""
    counts = (person.index * 3 + 5, person.index + 11, person.index * 7 + 1)
    entity = account_json(person.mastodon_id, person.handle, person.acct, person.name, f"<p>{person.bio}</p>", person.avatar, counts)
    return entity | {"url": person_url(person), "uri": person_url(person)}


def account_json(  # noqa: PLR0913 the fields in which accounts differ
    identity: str, username: str, acct: str, name: str, note: str, avatar: str, counts: tuple[int, int, int]
) -> Json:
    """Return an account entity; counts are followers, following, statuses."""
    header = f"{HOME}/header.png"
    return {
        "id": identity,
        "username": username,
        "acct": acct,
        "display_name": name,
        "locked": False,
        "bot": False,
        "discoverable": True,
        "indexable": True,
        "group": False,
        "created_at": "2022-11-20T00:00:00.000Z",
        "note": note,
        "url": f"{HOME}/@{username}",
        "uri": f"{HOME}/users/{username}",
        "avatar": avatar,
        "avatar_static": avatar,
        "header": header,
        "header_static": header,
        "followers_count": counts[0],
        "following_count": counts[1],
        "statuses_count": counts[2],
        "last_status_at": None,
        "hide_collections": None,
        "noindex": False,
        "emojis": [],
        "roles": [],
        "fields": [],
    }


def still_json(world: World, post: Post) -> Json:
    """Return what does not change of a status: all but its account and counters."""
    account = MASTODON if post.author_id == MASTODON.id else world.person_of("mastodon", post.author_id)
    handle = account.handle if account else ""
    original = world.by_id[post.reference.id] if post.kind == "repost" and post.reference else post
    is_quote = post.kind == "quote" and post.reference is not None
    return {
        "id": post.id,
        "created_at": iso(post.created_at),
        "in_reply_to_id": post.reply_to_id,
        "in_reply_to_account_id": post.reply_to_author,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "public",
        "language": "id",
        "uri": f"{HOME}/users/{handle}/statuses/{post.id}",
        "url": f"{HOME}/@{handle}/{post.id}",
        "edited_at": None,
        "content": content(world, original.text),
        "quote": {"state": "accepted", "quoted_status_id": post.reference.id} if is_quote and post.reference else None,
        "media_attachments": [],
        "mentions": [mention_json(world, identity) for identity in original.mentions],
        "tags": [{"name": tag.lower(), "url": f"{HOME}/tags/{tag.lower()}"} for tag in original.hashtags],
        "emojis": [],
        "card": None,
        "poll": None,
    }


def mention_json(world: World, identity: str) -> Json:
    """Return a mentioned account as a status lists it."""
    person = world.person_of("mastodon", identity)
    if person is None:
        return {"id": identity, "username": MASTODON.handle, "acct": MASTODON.handle, "url": f"{HOME}/@{MASTODON.handle}"}
    return {"id": identity, "username": person.handle, "acct": person.acct, "url": person_url(person)}


def content(world: World, text: str) -> str:
    """Return a text as Mastodon's HTML, with anchors for mentions, hashtags and links."""
    return f"<p>{TOKEN_PATTERN.sub(partial(_anchor, world), html.escape(text, quote=False))}</p>"


def _anchor(world: World, match: re.Match[str]) -> str:
    if match["tag"]:
        tag = match["tag"]
        return f'<a href="{HOME}/tags/{tag.lower()}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
    if match["url"]:
        url = match["url"]
        shown = f'<span class="invisible">https://</span><span class="">{url.removeprefix("https://")}</span>'
        return f'<a href="{url}" target="_blank" rel="nofollow noopener noreferrer" translate="no">{shown}</a>'
    identity = world.identity("mastodon", match["handle"])
    if identity is None:
        return match[0]
    mention = mention_json(world, identity)
    anchor = f'<a href="{mention["url"]}" class="u-url mention">@<span>{mention["username"]}</span></a>'
    return f'<span class="h-card" translate="no">{anchor}</span>'


def instance_json(statuses: int) -> Json:
    """Return what the simulated server says of itself."""
    return {
        "uri": MASTODON_HOST,
        "title": "Cahaya",
        "short_description": "Server simulasi",
        "description": "Server simulasi dari sandbox; tidak ada orang sungguhan di sini.",
        "email": "admin@mas.cahaya.example",
        "version": "4.5.0",
        "urls": {"streaming_api": f"wss://{MASTODON_HOST}"},
        "stats": {"user_count": 1, "status_count": statuses, "domain_count": 2},
        "thumbnail": None,
        "languages": ["id"],
        "registrations": False,
        "approval_required": False,
        "invites_enabled": False,
        "configuration": {
            "accounts": {"max_featured_tags": 10},
            "statuses": {"max_characters": 500, "max_media_attachments": 4, "characters_reserved_per_url": 23},
            "media_attachments": {
                "supported_mime_types": ["image/png"],
                "image_size_limit": 16_777_216,
                "image_matrix_limit": 33_177_600,
                "video_size_limit": 103_809_024,
                "video_frame_rate_limit": 120,
                "video_matrix_limit": 8_294_400,
            },
            "polls": {"max_options": 4, "max_characters_per_option": 50, "min_expiration": 300, "max_expiration": 2_629_746},
        },
        "contact_account": None,
        "rules": [],
    }


STAND_IN: Final = StandIn(
    platform="mastodon",
    prefixes=(PREFIX,),
    tokens=("sandbox-mastodon-token",),
    routes=lambda world, clock: Mastodon(world, clock).routes(),
    unauthorized=unauthorized,
    failure=failure,
)
