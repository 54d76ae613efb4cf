"""What the world told of Mastodon and X before it knew other platforms is what it tells today, to the letter."""

import hashlib

from sandbox.world import Counters, Post, Sizes, World

FIRST = ("mastodon", "x")
COUNTERS = ("like", "reply", "share", "quote", "save", "impression", "link_click", "profile_click")
SIZES = ("like", "share", "quote", "save", "impression", "link_click", "profile_click", "pace")
PERSON = ("index", "name", "handle", "mastodon_id", "x_id", "email", "phone", "bio", "avatar", "is_remote")


def written(post: Post) -> list[object]:
    """A post's own fields, without those that came later."""
    fields = (
        "key",
        "platform",
        "author_id",
        "kind",
        "conversation_id",
        "mentions",
        "reply_to_id",
        "reply_to_author",
        "root_id",
        "hashtags",
    )
    versions = [tuple(version)[:3] for version in post.versions]
    reference = tuple(post.reference) if post.reference else None
    drops = [tuple(drop) for drop in post.drops]
    return [
        *(getattr(post, name) for name in fields),
        versions,
        reference,
        drops,
        post.deleted_ts,
        post.is_spam,
        numbers(post.sizes, SIZES),
    ]


def numbers(counted: Counters | Sizes, names: tuple[str, ...]) -> list[int]:
    return [getattr(counted, name) for name in names]


def test_mastodon_and_x_are_as_they_were_when_they_were_alone(world: World) -> None:
    told: list[object] = [[getattr(person, name) for name in PERSON] for person in world.persons]
    told += [
        (written(post), [numbers(world.counters(post, post.ts + days * 86_400), COUNTERS) for days in (1, 5, 40)])
        for post in world.posts()
        if post.platform in FIRST
    ]
    for account in [account for account in world.accounts if account.platform in FIRST]:
        told.append([world.followers(account.id, int(night.timestamp())) for night in world.nights])
        told += [[tuple(showing)[:3] for showing in feed.showings] for feed in (world.timelines[account.id], world.mentions[account.id])]
    told.append([world.staff[platform].index for platform in ("x", "mastodon")])
    assert hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest() == "c25fb7de3370dde5"
