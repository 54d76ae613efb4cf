"""X's API v2 as far as the pipeline asks it: users, timelines, mentions, recent counts, posts by id, in both of its dialects.

Lives here: X's words, pages, errors and headers. Does not live here: what happened (`world`), who holds which token (`server`).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.grants import ACCESS
from sandbox.standins import StandIn
from sandbox.world import ACCOUNTS, DAY, TOKEN_PATTERN, Account, Clock, Feed, Person, Post, Showing, Version, World

Json = dict[str, Any]

PREFIX: Final = "/x"
PROBLEMS: Final = "https://api.x.com/2/problems"
USER_TOKEN: Final = "sandbox-x-user-token"  # noqa: S105 a made-up token that opens nothing but the sandbox
SMALLEST, LARGEST = 5, 100
PRIVATE_DAYS: Final = 30
COUNT_DAYS: Final = 7
HOUR: Final = 3_600
COUNT_QUERY: Final = re.compile(r"@(?P<handle>\w+)(?P<no_reposts>\s+-is:(?:retweet|repost))?")
LIMITS: Final = {"users": 900, "tweets": 900, "mentions": 300, "counts": 300, "lookup": 5_000}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names that differ between X's current specification (`post`) and its older documentation (`tweet`)."""

    fields: str
    edits: str
    references: str
    expand_references: str
    shares: str
    posts: str
    includes: str
    total: str


POST: Final = Dialect(
    "post.fields",
    "edit_history_post_ids",
    "referenced_posts",
    "referenced_posts",
    "repost_count",
    "post_count",
    "posts",
    "total_post_count",
)
TWEET: Final = Dialect(
    "tweet.fields", "edit_history_tweet_ids", "referenced_tweets", "referenced_tweets.id", "retweet_count", "tweet_count", "tweets",
    "total_tweet_count",
)  # fmt: skip


class BadRequestError(Exception):
    """A parameter that X would refuse; not a missing record and not a missing right."""

    def __init__(self, parameter: str, value: str, detail: str) -> None:
        """Keep what X names in its answer."""
        super().__init__(detail)
        self.parameter, self.value, self.detail = parameter, value, detail


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks to see, and in which dialect."""

    dialect: Dialect
    fields: frozenset[str]
    expansions: frozenset[str]
    user_fields: frozenset[str]
    may_read_private: bool

    def has(self, name: str) -> bool:
        """Tell whether a field was asked for, by field list or by expansion."""
        return name in self.fields or name in self.expansions


def iso(ts: int) -> str:
    """Return an instant as X writes it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def problem(status: int, kind: str, title: str, detail: str, **more: object) -> Response:
    """Return an error in X's problem shape."""
    body = {"title": title, "detail": detail, "type": f"{PROBLEMS}/{kind}" if kind else "about:blank", "status": status, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


def unauthorized() -> Response:
    """Return the answer to a missing or unknown token."""
    return problem(401, "", "Unauthorized", "Unauthorized")


def not_found(kind: str, identity: str, parameter: str) -> Json:
    """Return the partial error for a record that is not there."""
    return {
        "value": identity,
        "detail": f"Could not find {kind} with {parameter}: [{identity}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": identity,
        "type": f"{PROBLEMS}/resource-not-found",
    }


def not_authorized(identity: str, field: str) -> Json:
    """Return the partial error for a field that the token may not read on one post."""
    return {
        "resource_id": identity,
        "parameter": "id",
        "resource_type": "post",
        "section": "data",
        "title": "Field Authorization Error",
        "value": identity,
        "detail": f"Sorry, you are not authorized to access '{field}' on the Post with id : [{identity}].",
        "field": field,
        "type": f"{PROBLEMS}/not-authorized-for-field",
    }


def wanted(request: Request) -> Wanted:
    """Read the field and expansion lists of a request."""
    parameters = request.query_params
    expansions = _listed(parameters, "expansions")
    is_tweet = "tweet.fields" in parameters or any("tweet" in name for name in expansions)
    dialect = TWEET if is_tweet and "post.fields" not in parameters else POST
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    is_user = token == USER_TOKEN or token.startswith(ACCESS)
    return Wanted(dialect, _listed(parameters, dialect.fields), expansions, _listed(parameters, "user.fields"), is_user)


def _listed(parameters: QueryParams, name: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in parameters.get(name, "").split(","))))


def _moment(parameters: QueryParams, name: str) -> int | None:
    value = parameters.get(name)
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadRequestError(name, value, f"{name} is not an RFC 3339 date-time") from error
    if moment.tzinfo is None:
        raise BadRequestError(name, value, f"{name} has no zone")
    return -int(-moment.timestamp() // 1)


def _identity(parameters: QueryParams, name: str) -> int | None:
    value = parameters.get(name)
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", value):
        raise BadRequestError(name, value, f"{name} is not a post id")
    return int(value)


def token_of(order: int) -> str:
    """Return an opaque paging token that stands for a post id."""
    return f"7140{order:x}"


def _from_token(parameters: QueryParams) -> int | None:
    value = parameters.get("pagination_token")
    if not value:
        return None
    try:
        return int(value.removeprefix("7140"), 16)
    except ValueError as error:
        raise BadRequestError("pagination_token", value, "pagination_token is not one of ours") from error


class X:
    """The routes of X's API over the simulated world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Begin with nothing worded."""
        self.world = world
        self.clock = clock
        self._still: dict[str, Json] = {}

    def routes(self) -> list[Route]:
        """Return the routes, under `/x`."""
        paths: dict[str, Callable[[Request], Response]] = {
            "/2/users/{id}": self.user,
            "/2/users/{id}/tweets": self.tweets,
            "/2/users/{id}/mentions": self.mentions,
            "/2/tweets/counts/recent": self.counts,
            "/2/tweets": self.lookup,
        }
        return [Route(f"{PREFIX}{path}", self._guarded(endpoint), methods=["GET"]) for path, endpoint in paths.items()]

    def _guarded(self, endpoint: Callable[[Request], Response]) -> Callable[[Request], Any]:
        """Turn a refused parameter into X's answer to it."""

        async def answer(request: Request) -> Response:
            try:
                return endpoint(request)
            except BadRequestError as error:
                faults = [{"parameters": {error.parameter: [error.value]}, "message": error.detail}]
                return problem(400, "invalid-request", "Invalid Request", error.detail, errors=faults)

        return answer

    def _answer(self, body: Mapping[str, object], limit: str) -> Response:
        allowed = LIMITS[limit]
        reset = self.clock.ts + 900
        headers = {"x-rate-limit-limit": str(allowed), "x-rate-limit-remaining": str(allowed - 1), "x-rate-limit-reset": str(reset)}
        return JSONResponse(dict(body), headers=headers)

    # -- the endpoints ------------------------------------------------------------------------------------------------------------

    def user(self, request: Request) -> Response:
        """Answer a profile."""
        asked = wanted(request)
        found = self._user(request.path_params["id"], asked)
        missing = not_found("user", request.path_params["id"], "id")
        return self._answer({"data": found} if found else {"errors": [missing]}, "users")

    def tweets(self, request: Request) -> Response:
        """Answer a page of an account's own posts, newest first; an edited post stands once, in its last wording."""
        hidden = _listed(request.query_params, "exclude")

        def keep(post: Post) -> bool:
            is_hidden_repost = "retweets" in hidden and post.kind == "repost"
            return not is_hidden_repost and not ("replies" in hidden and post.reply_to_id is not None)

        return self._page(request, self.world.timelines, keep, "tweets")

    def mentions(self, request: Request) -> Response:
        """Answer a page of what names an account, newest first."""
        return self._page(request, self.world.mentions, lambda _: True, "mentions")

    def lookup(self, request: Request) -> Response:
        """Answer posts by id, in the order asked; an older version of an edited post is answered as it was."""
        ids = [part for part in unquote(request.query_params.get("ids", "")).split(",") if part]
        if not 1 <= len(ids) <= LARGEST:
            raise BadRequestError("ids", ",".join(ids)[:99], "ids: between 1 and 100 are needed")
        found, errors = [], []
        for identity in ids:
            post = self.world.by_id.get(identity)
            version = next((version for version in post.versions if version.id == identity), None) if post else None
            is_there = post and post.platform == "x" and version and version.ts <= self.clock.ts < post.deleted_ts
            if post and version and is_there:
                found.append(Showing(int(identity), version.ts, post.deleted_ts, post, version))
            else:
                errors.append(not_found("post", identity, "ids"))
        return self._answer(self._body(found, wanted(request), errors), "lookup")

    def counts(self, request: Request) -> Response:
        """Answer how many posts named one of our accounts in each hour of the last seven days at most."""
        parameters = request.query_params
        match = COUNT_QUERY.fullmatch(parameters.get("query", "").strip())
        account = next((account for account in ACCOUNTS if match and account.platform == "x" and account.handle == match["handle"]), None)
        if match is None or account is None:
            raise BadRequestError("query", parameters.get("query", ""), "the sandbox counts @handle of its own accounts only")
        if parameters.get("granularity", "hour") != "hour":
            raise BadRequestError("granularity", parameters["granularity"], "the sandbox counts by the hour only")
        now = self.clock.ts
        start, end = self._count_window(parameters, now)
        times = [
            showing.start
            for showing in self.world.mentions[account.id].visible(now)
            if start <= showing.start < end and not (match["no_reposts"] and showing.post.kind == "reshare")
        ]
        dialect = wanted(request).dialect
        buckets = [
            {"start": iso(hour), "end": iso(hour + HOUR), dialect.posts: bisect_left(times, hour + HOUR) - bisect_left(times, hour)}
            for hour in range(start // HOUR * HOUR, end, HOUR)
        ]
        return self._answer({"data": buckets, "meta": {dialect.total: len(times)}}, "counts")

    def _count_window(self, parameters: QueryParams, now: int) -> tuple[int, int]:
        start = _moment(parameters, "start_time")
        end = _moment(parameters, "end_time") or now
        if start is not None and start < now - COUNT_DAYS * DAY:
            raise BadRequestError("start_time", parameters["start_time"], "start_time lies more than 7 days back")
        if end > now:
            raise BadRequestError("end_time", parameters["end_time"], "end_time lies in the future")
        return now - COUNT_DAYS * DAY if start is None else start, end

    # -- pages --------------------------------------------------------------------------------------------------------------------

    def _page(self, request: Request, feeds: Mapping[str, Feed], keep: Callable[[Post], bool], limit: str) -> Response:
        identity = request.path_params["id"]
        account = next((account for account in ACCOUNTS if account.platform == "x" and account.id == identity), None)
        if account is None:
            if self.world.person_of("x", identity):
                return self._answer({"meta": {"result_count": 0}}, limit)
            return self._answer({"errors": [not_found("user", identity, "id")]}, limit)
        parameters = request.query_params
        size = self._size(parameters)
        bounds = [bound for bound in (_from_token(parameters), _identity(parameters, "until_id")) if bound is not None]
        feed, now = feeds[account.id], self.clock.ts
        span = feed.span(
            now,
            above=_identity(parameters, "since_id"),
            below=min(bounds, default=None),
            start=_moment(parameters, "start_time"),
            end=_moment(parameters, "end_time"),
        )
        shown, has_more = feed.newest(now, span, size, keep)
        body = self._body(shown, wanted(request), [])
        meta: Json = {"result_count": len(shown)}
        if shown:
            meta |= {"newest_id": str(shown[0].order), "oldest_id": str(shown[-1].order)}
        if has_more:
            meta["next_token"] = token_of(shown[-1].order)
        return self._answer(body | {"meta": meta}, limit)

    def _size(self, parameters: QueryParams) -> int:
        value = parameters.get("max_results", "10")
        if not value.isdecimal() or not SMALLEST <= int(value) <= LARGEST:
            raise BadRequestError("max_results", value, f"The `max_results` query parameter value [{value}] is not between 5 and 100")
        return int(value)

    def _body(self, shown: list[Showing], asked: Wanted, errors: list[Json]) -> Json:
        """Return data, includes and errors; each is left out where it is empty."""
        data = [self._post(showing.post, showing.version, asked, errors) for showing in shown]
        includes = self._includes([showing.post for showing in shown], asked)
        body = {"data": data, "includes": includes, "errors": errors}
        return {name: value for name, value in body.items() if value}

    def _includes(self, posts: list[Post], asked: Wanted) -> Json:
        users: dict[str, None] = {}
        if "author_id" in asked.expansions:
            users |= dict.fromkeys(post.author_id for post in posts)
        if "in_reply_to_user_id" in asked.expansions:
            users |= dict.fromkeys(post.reply_to_author for post in posts if post.reply_to_author)
        if "entities.mentions.username" in asked.expansions:
            users |= dict.fromkeys(identity for post in posts for identity in post.mentions)
        profiles = [profile for identity in users if (profile := self._user(identity, asked))]
        referenced: list[Json] = []
        if asked.dialect.expand_references in asked.expansions:
            ids = dict.fromkeys(identity for post in posts for _, identity in _references(post))
            referenced = [found for identity in ids if (found := self._referenced(identity, asked))]
        return {name: value for name, value in (("users", profiles), (asked.dialect.includes, referenced)) if value}

    def _referenced(self, identity: str, asked: Wanted) -> Json | None:
        post = self.world.by_id[identity]
        version = post.version_at(self.clock.ts)
        return self._post(post, version, asked, None) if version else None

    # -- wording ------------------------------------------------------------------------------------------------------------------

    def _post(self, post: Post, version: Version, asked: Wanted, errors: list[Json] | None) -> Json:
        """Return one post with the fields asked for; a private metric that may not be read goes to `errors` instead."""
        still = self._still.get(version.id)
        if still is None:
            still = self._still[version.id] = still_json(self.world, post, version)
        dialect = asked.dialect
        history = [known.id for known in post.versions if known.ts <= self.clock.ts]
        body: Json = {"id": version.id, "text": version.text, dialect.edits: history}
        body |= {name: value for name, value in still.items() if name in asked.fields}
        if asked.has("author_id"):
            body["author_id"] = post.author_id
        if asked.has("in_reply_to_user_id") and post.reply_to_author:
            body["in_reply_to_user_id"] = post.reply_to_author
        if (asked.has(dialect.references) or asked.has(dialect.expand_references)) and (references := _references(post)):
            body[dialect.references] = [{"type": kind, "id": identity} for kind, identity in references]
        if "public_metrics" in asked.fields:
            body["public_metrics"] = self._public(post, dialect)
        if "non_public_metrics" in asked.fields and errors is not None:
            if self._has_private(post, version, asked):
                body["non_public_metrics"] = self._private(post)
            else:
                errors.append(not_authorized(version.id, "non_public_metrics"))
        return body

    def _has_private(self, post: Post, version: Version, asked: Wanted) -> bool:
        """Only the author's own token reads them, only on posts of its own words, and only for 30 days."""
        is_own_words = self.world.is_own(post.author_id) and post.kind != "repost"
        return asked.may_read_private and is_own_words and self.clock.ts - version.ts < PRIVATE_DAYS * DAY

    def _public(self, post: Post, dialect: Dialect) -> Json:
        counters = self.world.counters(post, self.clock.ts)
        return {
            dialect.shares: counters.share,
            "reply_count": counters.reply,
            "like_count": counters.like,
            "quote_count": counters.quote,
            "bookmark_count": counters.save,
            "impression_count": counters.impression,
        }

    def _private(self, post: Post) -> Json:
        counters = self.world.counters(post, self.clock.ts)
        return {
            "impression_count": counters.impression,
            "url_link_clicks": counters.link_click,
            "user_profile_clicks": counters.profile_click,
        }

    def _user(self, identity: str, asked: Wanted) -> Json | None:
        account = next((account for account in ACCOUNTS if account.platform == "x" and account.id == identity), None)
        person = self.world.person_of("x", identity)
        if account is None and person is None:
            return None
        profile = self._own_profile(account, asked.dialect) if account else _person_profile(person, asked.dialect)
        return {name: value for name, value in profile.items() if name in asked.user_fields or name in ("id", "name", "username")}

    def _own_profile(self, account: Account, dialect: Dialect) -> Json:
        now = self.clock.ts
        metrics = _user_metrics(dialect, self.world.followers(account.id, now), 212, self.world.posts_count(account.id, now))
        image = f"https://gambar.example/{account.handle}.png"
        return _profile(account.id, account.name, account.handle, "Akun simulasi Lembaga Amil Zakat Cahaya", image, metrics)


def _person_profile(person: Person | None, dialect: Dialect) -> Json:
    if person is None:
        return {}
    metrics = _user_metrics(dialect, person.index * 3 + 5, person.index + 11, person.index * 7 + 1)
    return _profile(person.x_id, person.name, person.handle, person.bio, person.avatar, metrics)


def _user_metrics(dialect: Dialect, followers: int, following: int, posts: int) -> Json:
    counts = {"followers_count": followers, "following_count": following, "listed_count": followers // 90}
    return counts | {dialect.posts: posts, "like_count": posts // 3, "media_count": posts // 4}


def _profile(  # noqa: PLR0913 the fields in which profiles differ
    identity: str, name: str, username: str, description: str, image: str, metrics: Json
) -> Json:
    return {
        "id": identity,
        "name": name,
        "username": username,
        "created_at": "2017-05-02T03:00:00.000Z",
        "description": description,
        "location": "Indonesia",
        "profile_image_url": image,
        "protected": False,
        "verified": False,
        "public_metrics": metrics,
    }


def _references(post: Post) -> list[tuple[str, str]]:
    """Return the posts that a post refers to; both dialects use `retweeted`, as the contract does."""
    references = [("replied_to", post.reply_to_id)] if post.reply_to_id else []
    return [*references, (post.reference.kind, post.reference.id)] if post.reference else references


def still_json(world: World, post: Post, version: Version) -> Json:
    """Return the fields of a version that do not change."""
    edits = len(post.versions) - 1
    return {
        "created_at": iso(version.ts),
        "conversation_id": post.conversation_id,
        "lang": "in",
        "possibly_sensitive": False,
        "reply_settings": "everyone",
        "source": "Twitter Web App",
        "edit_controls": {"edits_remaining": 5 - edits, "is_edit_eligible": False, "editable_until": iso(post.ts + 1_800)},
        "entities": entities(world, version.text),
    }


def entities(world: World, text: str) -> Json:
    """Return the mentions, hashtags and links of a text with their places, counted in characters."""
    found: dict[str, list[Json]] = {"mentions": [], "hashtags": [], "urls": []}
    for match in TOKEN_PATTERN.finditer(text):
        place = {"start": match.start(), "end": match.end()}
        if match["tag"]:
            found["hashtags"].append(place | {"tag": match["tag"]})
        elif match["url"]:
            found["urls"].append(place | {"url": match["url"], "expanded_url": match["url"], "display_url": match["url"][8:]})
        elif identity := world.identity("x", match["handle"]):
            found["mentions"].append(place | {"username": match["handle"], "id": identity})
    return {name: values for name, values in found.items() if values}


def _failure(status: int, title: str) -> Response:
    return problem(status, "", title, title)


STAND_IN: Final = StandIn(
    platform="x",
    prefixes=(PREFIX,),
    tokens=("sandbox-x-user-token", "sandbox-x-app-token"),
    routes=lambda world, clock: X(world, clock).routes(),
    unauthorized=unauthorized,
    failure=_failure,
)
