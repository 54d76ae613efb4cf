"""Mastodon: what an instance tells about an account, its posts and who speaks to it.

Not here: what the numbers mean (assets/staging/mastodon.py).
Source: the instance's API documentation, OpenAPI 4.7; limits 300 requests in 5 minutes, reset in ISO 8601.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.fitness import member
from connectors.paging import link_header
from connectors.privacy import Private
from connectors.streams import Bearer, Connector, Event, Limits, Resume, Snapshot, Stream

# Lists are gone on with below the last id that was read; ids are opaque, and no list takes a time.
BELOW = Resume("max_id", "id")


def is_not_a_post(record: Mapping[str, Any]) -> bool:
    """A boost, which some servers list however asked, or a private message to somebody, which the account's own token lists too."""
    return record.get("reblog") is not None or record.get("visibility") == "direct"


def is_not_a_mention(record: Mapping[str, Any]) -> bool:
    """Servers that do not know the filter, or drop it from their links, list favourites and follows too. A private message is no public talk."""
    return record.get("type") != "mention" or member(record, "status.visibility") == "direct"


CONNECTOR = Connector(
    platform="mastodon",
    label="Mastodon",
    api_version="v1",
    sunset=None,
    docs_url="https://docs.joinmastodon.org/api/",
    post_url="{base_url}/@{handle}/{post_id}",
    default_base_url=None,
    auth=Bearer(scopes=("read:accounts", "read:statuses", "read:notifications")),
    limits=Limits(requests=300, per=timedelta(minutes=5), remaining_header="X-RateLimit-Remaining", reset_header="X-RateLimit-Reset"),
    streams=(
        Stream(
            "accounts",
            "GET /api/v1/accounts/{account_id}",
            kind=Snapshot(key="id"),
            description="One row per account and snapshot day, as the instance described the account.",
            counts=("followers_count", "following_count", "statuses_count"),
            private=Private(
                drop=(
                    "username",
                    "acct",
                    "display_name",
                    "note",
                    "avatar",
                    "avatar_static",
                    "avatar_description",
                    "header",
                    "header_static",
                    "header_description",
                    "fields",
                    "emojis",
                    "url",
                    "uri",
                    "moved",
                    "source",
                    "role",
                    "roles",
                    "pleroma",
                    "akkoma",
                    "fqn",
                )
            ),
        ),
        Stream(
            "posts",
            "GET /api/v1/accounts/{account_id}/statuses",
            params={"limit": "40", "exclude_reblogs": "true"},
            paging=link_header(),
            kind=Snapshot(key="id"),
            description="One row per post and snapshot day, for posts of the last 30 days.",
            lookback=timedelta(days=30),
            newest_first="created_at",
            resume=BELOW,
            counts=("favourites_count", "replies_count", "reblogs_count", "quotes_count"),
            leave_out=is_not_a_post,
            private=Private(
                drop=(
                    *(
                        "account",
                        "application",
                        "card",
                        "emojis",
                        "text",
                        "reblog",
                        "quote",
                        "url",
                        "uri",
                        "spoiler_text",
                        "poll",
                        "filtered",
                    ),
                    *("media_attachments[].description", "media_attachments[].url", "media_attachments[].preview_url"),
                    *("media_attachments[].remote_url", "mentions[].username", "mentions[].acct", "mentions[].url", "tags[].url"),
                    # What other servers with this API add, with people in it.
                    *("pleroma", "akkoma", "emoji_reactions", "reactions", "quoted_status"),
                ),
                pseudonym=("in_reply_to_account_id", "mentions[].id"),
                items_of=(("in_reply_to_account_id", "in_reply_to_id"),),
                redact=("content",),
            ),
        ),
        Stream(
            "mentions",
            "GET /api/v1/notifications",
            params={"types[]": "mention", "limit": "40"},
            paging=link_header(),
            kind=Event(key="status.id", at="status.created_at"),
            description="One row per post by somebody else that mentions or answers the account: times, ids and flags, no text.",
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            newest_first="created_at",
            resume=BELOW,
            leave_out=is_not_a_mention,
            hourly=True,
            private=Private(
                keep=(
                    "id",
                    "type",
                    "created_at",
                    "account.id",
                    "status.id",
                    "status.created_at",
                    "status.edited_at",
                    "status.in_reply_to_id",
                    "status.in_reply_to_account_id",
                    "status.visibility",
                    "status.language",
                    "status.tags[].name",
                    "status.mentions[].id",
                ),
                pseudonym=("account.id", "status.in_reply_to_account_id", "status.mentions[].id"),
                items_of=(("status.in_reply_to_account_id", "status.in_reply_to_id"),),
                flags_from="status.content",
                mentions=("status.mentions[].id",),
                author="account.id",
            ),
        ),
    ),
)
