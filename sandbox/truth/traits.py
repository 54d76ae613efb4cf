"""What each platform gives: one table. Lives here: which measures come of which streams. Does not live here: any rule."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from sandbox.facts import Account, Counters, Platform, Post, PostType

COUNTER_OF: Final[Mapping[str, Callable[[Counters], int]]] = {
    "reactions": lambda counters: counters.like,
    "shares": lambda counters: counters.share + counters.quote + counters.send,
    "saves": lambda counters: counters.save,
    "views": lambda counters: counters.view,
    "impressions": lambda counters: counters.impression,
    "link_clicks": lambda counters: counters.link_click,
    "reach": lambda counters: counters.reach,
}
# Those whose differences are added; reach is a count of people, and is not.
SUMMED: Final = tuple(name for name in COUNTER_OF if name != "reach")
ENGAGEMENT_COUNTERS: Final = ("reactions", "shares", "saves")
REACH_OF: Final[Mapping[str, str]] = {"day": "reach", "week": "reach_7d", "trailing_28d": "reach_28d"}

POSTS: Final = ("posts",)
LISTS: Final = ("posts", "stories")
META_REACH: Final = ("reach", "reach_7d", "reach_28d")


NOTHING_LACKS: Final[Mapping[str, tuple[PostType, ...]]] = {}


class Traits(NamedTuple):
    """One platform: its counters, and the streams that must have been read for a day of each; its comments, its account's days.

    `comments` is the stream that comments come of, `mentions` that of mentions ("": none). With `has_conversations` everything below a
    post of ours belongs to it, however deep. `hourly`: the streams that are fetched between the nights too. `lacking`: the types of
    posts that have no such counter. `flows` are asked for `flows_back`
    days back, and for `flows_restated` days they may change.
    """

    counters: Mapping[str, tuple[str, ...]]
    comments: str
    mentions: str
    has_conversations: bool
    hourly: tuple[str, ...]
    lacking: Mapping[str, tuple[PostType, ...]] = NOTHING_LACKS
    flows: tuple[str, ...] = ()
    flows_back: int = 3
    flows_restated: int = 3
    withdrawn: tuple[str, ...] = ()


TRAITS: Final[Mapping[Platform, Traits]] = {
    "mastodon": Traits({"reactions": POSTS, "shares": POSTS}, "mentions", "mentions", has_conversations=False, hourly=("mentions",)),
    "x": Traits(
        {"reactions": POSTS, "shares": POSTS, "saves": POSTS, "impressions": POSTS, "link_clicks": POSTS},
        "mentions",
        "mentions",
        has_conversations=True,
        hourly=("mentions",),
    ),
    "instagram": Traits(
        {"reactions": POSTS, "shares": LISTS, "saves": POSTS, "views": LISTS, "reach": LISTS},
        "comments",
        "mentions",
        has_conversations=True,
        hourly=("stories", "comments", "mentions"),
        lacking={"reactions": ("story",), "saves": ("story",)},
        withdrawn=("impressions",),
        flows=(*META_REACH, "views", "followers_gained", "profile_views", "link_clicks"),
    ),
    "facebook": Traits(
        {"reactions": POSTS, "shares": POSTS, "views": POSTS, "reach": POSTS, "link_clicks": POSTS},
        "comments",
        "mentions",
        has_conversations=True,
        hourly=("comments", "mentions"),
        lacking={"link_clicks": ("reel",)},
        withdrawn=("impressions",),
        flows=(*META_REACH, "views", "followers_gained", "followers_lost", "profile_views"),
    ),
    "threads": Traits(
        {"reactions": POSTS, "shares": POSTS, "views": POSTS},
        "comments",
        "mentions",
        has_conversations=True,
        hourly=("mentions",),
        flows=("profile_views",),
    ),
    "youtube": Traits(
        {"reactions": POSTS, "views": POSTS},
        "comments",
        "",
        has_conversations=True,
        hourly=("comments",),
        flows=("views", "engaged_views", "followers_gained", "followers_lost", "shares", "watch_minutes"),
        flows_back=7,
        flows_restated=7,
    ),
}


def has(account: Account, measure: str) -> bool:
    """Tell whether the account's platform has a counter."""
    return measure in TRAITS[account.platform].counters


def counts(post: Post, measure: str) -> bool:
    """Tell whether a post of ours has a counter, by its platform and its type."""
    traits = TRAITS[post.platform]
    return measure in traits.counters and post.post_type not in traits.lacking.get(measure, ())


def gives_reach(account: Account) -> bool:
    """Tell whether the account's platform tells how many people its days reached."""
    return "reach" in TRAITS[account.platform].flows


def stream_of(post: Post) -> str:
    """Return the stream that lists a post of ours."""
    return "stories" if post.post_type == "story" else "posts"


def is_counted_post(post: Post) -> bool:
    """Tell whether a post of ours is one in `posts` and in rates: first of its thread, no story, no repost."""
    return post.kind == "root" and post.post_type != "story"
