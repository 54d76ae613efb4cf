"""X API v2: what it tells about an account, its posts, who mentions it, and how often.

Not here: what the numbers mean (assets/staging/x.py).
Source: the vendor's OpenAPI 2.167. It names the fields `post.fields` and `repost_count`; the prose documentation of the same day still
says `tweet.fields` and `retweet_count`. The institution's file chooses (`fields_parameter`); answers of both kinds are read.
Posts bill per read; the timeline gives 3,200 posts, non-public metrics those of the last 30 days.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from connectors.budget import Allowance
from connectors.paging import body_cursor
from connectors.privacy import Private
from connectors.streams import Account, Connector, Daily, Event, Limits, OAuth2, Params, Resume, Snapshot, Stream

# X refuses an end nearer than ten seconds to now, so a request names its beginning alone, and all of it is one window.
ONE_WINDOW = timedelta(days=10 * 366)
POST_DIALECT = "post.fields"
POST_FIELDS = {
    "post.fields": "created_at,conversation_id,public_metrics,entities,attachments,lang",
    "tweet.fields": "created_at,conversation_id,public_metrics,entities,attachments,lang,author_id,in_reply_to_user_id,referenced_tweets",
}
EXPANSIONS = {
    "post.fields": "author_id,in_reply_to_user_id,referenced_posts,edit_history_post_ids",
    "tweet.fields": "author_id,in_reply_to_user_id,referenced_tweets.id,edit_history_tweet_ids",
}
# Lists are gone on with by time: the end is exclusive.
BELOW = Resume("end_time", "created_at", is_time=True)
# Prices as of October 2026, in USD per record and UTC day (docs.x.com, pricing): an owner's own lists cost less than other people's.
USER_USD = Decimal("0.010")
POST_USD = Decimal("0.005")
OWNED_USD = Decimal("0.001")
# How the two dialects name a post that is somebody else's, shared on.
REPOST_TYPES = frozenset({"reposted", "retweeted"})
# The person answered, and the posts of theirs that are referred to: with the person these are erased.
ANSWERED = (("in_reply_to_user_id", "referenced_posts[].id"), ("in_reply_to_user_id", "referenced_tweets[].id"))


def _dialect(account: Account) -> str:
    return str(account.options.get("fields_parameter", POST_DIALECT))


def mention_fields(account: Account) -> Params:
    """What is asked about somebody else's post, in the institution's dialect."""
    dialect = _dialect(account)
    return {dialect: POST_FIELDS[dialect], "expansions": EXPANSIONS[dialect]}


def own_post_fields(account: Account) -> Params:
    """As for mentions; with a token of the account's own (`private_metrics = true`) also the link clicks."""
    params = dict(mention_fields(account))
    if account.options.get("private_metrics"):
        params[_dialect(account)] += ",non_public_metrics"
    return params


def user_price_usd(account: Account) -> Decimal:
    """One profile."""
    del account
    return USER_USD


def post_price_usd(account: Account) -> Decimal:
    """One post or mention: the owner's price where the token is the account's own."""
    return OWNED_USD if account.options.get("private_metrics") else POST_USD


def is_repost(record: dict[str, Any]) -> bool:
    """By its references; a text that begins as reposts do is somebody else's also where these are absent."""
    found = record.get("referenced_posts") or record.get("referenced_tweets")
    types = [reference.get("type") for reference in found if isinstance(reference, dict)] if isinstance(found, list) else []
    return any(type_ in REPOST_TYPES for type_ in types) or str(record.get("text", "")).startswith("RT @")


CONNECTOR = Connector(
    platform="x",
    label="X",
    api_version="2",
    sunset=None,
    docs_url="https://docs.x.com/x-api",
    post_url="https://x.com/i/status/{post_id}",
    default_base_url="https://api.x.com",
    # Some 5,000 of the account's own posts and mentions: ten times what a busy agency needs in a day.
    allowance=Allowance(cost_usd=Decimal(5)),
    auth=OAuth2(
        scopes=("users.read", "tweet.read", "offline.access"), renewal_url="{base_url}/2/oauth2/token", lifetime=timedelta(hours=2)
    ),
    limits=Limits(requests=900, per=timedelta(minutes=15), remaining_header="x-rate-limit-remaining", reset_header="x-rate-limit-reset"),
    streams=(
        Stream(
            "accounts",
            "GET /2/users/{account_id}",
            params={"user.fields": "created_at,public_metrics,protected"},
            records="data",
            kind=Snapshot(key="id"),
            description="One row per account and snapshot day, as X described the account.",
            counts=tuple(f"public_metrics.{name}_count" for name in ("followers", "following", "post", "tweet")),
            price_usd=user_price_usd,
            partial_errors="errors",
            private=Private(
                drop=("name", "username", "description", "location", "url", "profile_image_url", "profile_banner_url", "entities")
            ),
        ),
        Stream(
            "posts",
            "GET /2/users/{account_id}/tweets",
            params={"max_results": "100", "start_time": "{window_start}"},
            account_params=own_post_fields,
            paging=body_cursor("meta.next_token", "pagination_token"),
            records="data",
            kind=Snapshot(key="id"),
            description="One row per post and snapshot day, for posts of the last 30 days; reposts included, without their text.",
            times=("created_at",),
            counts=(
                *(f"public_metrics.{name}_count" for name in ("like", "reply", "repost", "retweet", "quote", "bookmark", "impression")),
                "non_public_metrics.url_link_clicks",
            ),
            resume=BELOW,
            page_size=100,
            price_usd=post_price_usd,
            lookback=timedelta(days=30),
            window=ONE_WINDOW,
            partial_errors="errors",
            private=Private(
                drop=(
                    *("entities.mentions", "entities.urls", "entities.annotations", "context_annotations", "geo", "source", "username"),
                    *("note_post", "note_tweet", "article"),
                ),
                pseudonym=("author_id", "in_reply_to_user_id"),
                items_of=ANSWERED,
                redact=("text",),
                is_foreign_text=is_repost,
            ),
        ),
        Stream(
            "mentions",
            "GET /2/users/{account_id}/mentions",
            params={"max_results": "100", "start_time": "{window_start}"},
            account_params=mention_fields,
            paging=body_cursor("meta.next_token", "pagination_token"),
            records="data",
            kind=Event(key="id", at="created_at"),
            description="One row per post by somebody else that mentions or answers the account: times, ids and flags, no text.",
            resume=BELOW,
            page_size=100,
            price_usd=post_price_usd,
            lookback=timedelta(days=7),
            restates=timedelta(days=7),
            window=ONE_WINDOW,
            partial_errors="errors",
            hourly=True,
            private=Private(
                keep=(
                    "id",
                    "created_at",
                    "conversation_id",
                    "author_id",
                    "in_reply_to_user_id",
                    "lang",
                    "entities.hashtags[].tag",
                    "referenced_posts[].type",
                    "referenced_posts[].id",
                    "referenced_tweets[].type",
                    "referenced_tweets[].id",
                    "edit_history_post_ids",
                    "edit_history_tweet_ids",
                ),
                pseudonym=("author_id", "in_reply_to_user_id"),
                items_of=ANSWERED,
                flags_from="text",
                mentions=("entities.mentions[].username", "entities.mentions[].id"),
                author="author_id",
            ),
        ),
        Stream(
            "mention_hours",
            "GET /2/tweets/counts/recent",
            params={"query": "@{handle}", "granularity": "hour", "start_time": "{window_start}"},
            paging=body_cursor("meta.next_token", "next_token"),
            records="data",
            kind=Daily(key="start", at="start"),
            description="One row per account and hour: how many posts mentioned it, counted by X without reading them.",
            counts=("post_count", "tweet_count"),
            lookback=timedelta(days=2),
            restates=timedelta(days=1),
            retention=timedelta(days=6, hours=23),
            align=timedelta(hours=1),
            partial_errors="errors",
            hourly=True,
        ),
    ),
)
