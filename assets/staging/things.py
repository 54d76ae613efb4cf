"""The common things: what every platform's answers become. Columns, units, keys, and what NULL means.

Not here: how a platform's JSON is read (one module each, beside this one) and the rules common to all (common.py).
"""

from __future__ import annotations

from pipelines.tables import Column, Table, key

WHO = (
    key("institution_id", "VARCHAR", "The institution"),
    key("platform", "VARCHAR", "The platform, e.g. mastodon, x"),
    key("account_id", "VARCHAR", "The platform's own id of the account"),
)
ACCOUNT_KEY = ("institution_id", "platform", "account_id")

COUNTERS = ("reactions", "comments_platform", "shares", "saves", "views", "impressions", "link_clicks", "reach")
COUNTER_COMMENTS = {
    "reactions": "Likes and reactions of all types",
    "comments_platform": "Replies as the platform counts them, the institution's own included",
    "shares": "Reposts and quotes",
    "saves": "Bookmarks and saves",
    "views": "Times played or displayed, where the platform calls it views",
    "impressions": "Times displayed, where the platform calls it impressions",
    "link_clicks": "Clicks on the outbound link",
    "reach": "Distinct accounts that saw the post, as the platform gives it; never added",
}
NULL_COUNTER = "NULL = the platform has no such measure, or did not give it"
FLOWS = {
    "reach": "Distinct accounts that saw anything of the account on the platform's day, as the platform gives it; never added",
    "reach_7d": "Distinct accounts that saw anything in the 7 platform days up to this one; never added",
    "reach_28d": "Distinct accounts that saw anything in the 28 platform days up to this one; never added",
    "views": "Times that anything of the account was played or displayed on the platform's day",
    "followers_gained": "Accounts that began to follow on the platform's day",
    "followers_lost": "Accounts that ceased to follow on the platform's day",
    "profile_views": "Times that the profile was looked at on the platform's day",
    "link_clicks": "Clicks on the profile's link to the site on the platform's day",
    "shares": "Times that anything of the account was shared on the platform's day",
    "engaged_views": "Views on the platform's day as YouTube counted them before 24 August 2026",
    "watch_minutes": "Minutes for which videos were watched on the platform's day",
}
POST_TYPES = ("post", "quote", "reel", "short", "video", "live", "carousel", "story", "thread_part", "reply", "repost")

ACCOUNTS = Table(
    "staging.accounts",
    "One row per account, as it was last seen.",
    (
        *WHO,
        Column("created_at", "TIMESTAMPTZ", "When the account was made; NULL = not given"),
        key("first_day", "DATE", "First snapshot day"),
        key("last_day", "DATE", "Last snapshot day"),
    ),
    key=ACCOUNT_KEY,
)
ACCOUNT_DAYS = Table(
    "staging.account_days",
    "One row per account and day, as the platform reported it: counters as they stood, and what flowed on the platform's own day.",
    (
        *WHO,
        key("day", "DATE", "Snapshot day of the counters; the platform's own day of the flows"),
        Column("observed_at", "TIMESTAMPTZ", "When the counters were seen; NULL = there is no snapshot of this day"),
        Column("followers", "BIGINT", "Followers; NULL = not given"),
        Column("following", "BIGINT", "Accounts followed; NULL = not given"),
        Column("posts_total", "BIGINT", "Posts that the platform counts, reposts included; NULL = not given"),
        *(Column(name, "BIGINT", f"{text}; NULL = not given") for name, text in FLOWS.items()),
        key("day_basis", "VARCHAR", "Whose days the flows follow: institution, utc or pacific"),
    ),
    key=(*ACCOUNT_KEY, "day"),
    day="day",
)
POSTS = Table(
    "staging.posts",
    "One row per post of the institution's own, replies and reposts included, as it was last seen.",
    (
        *WHO,
        key("post_id", "VARCHAR", "The platform's id of the post; of an edited one, the first version's"),
        key("day", "DATE", "Institution-local date of publication"),
        key("created_at", "TIMESTAMPTZ", "Time of publication"),
        key(
            "post_type",
            "VARCHAR",
            "post, quote, reel, short, video, live, carousel, story, thread_part, reply (to somebody else) or repost",
        ),
        key("root_id", "VARCHAR", "The post that this one is counted with: itself, or the first of its thread"),
        Column("in_reply_to_id", "VARCHAR", "The post that it answers; NULL = none"),
        key("version_id", "VARCHAR", "The platform's id of the latest edit"),
        Column("text", "VARCHAR", "The institution's own text, without other people's handles and numbers; NULL = no text of ours"),
        key("hashtags", "VARCHAR[]", "Hashtags, lower case"),
        Column("language", "VARCHAR", "Language as the platform detects it; NULL = unknown"),
        key("is_giveaway", "BOOLEAN", "The text announces a giveaway"),
        key("first_seen_at", "TIMESTAMPTZ", "First snapshot"),
        Column("deleted_at", "TIMESTAMPTZ", "First complete fetch that no longer held it; NULL = not known to be deleted"),
        key("stream", "VARCHAR", "The stream that lists it"),
    ),
    key=(*ACCOUNT_KEY, "post_id"),
    day="day",
)
POST_SNAPSHOTS = Table(
    "staging.post_snapshots",
    "One row per post and snapshot day: its lifetime counters as they stood. Reposts carry none: theirs are the original's.",
    (
        *WHO,
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Snapshot day"),
        key("observed_at", "TIMESTAMPTZ", "When it was seen"),
        key("created_at", "TIMESTAMPTZ", "Time of publication"),
        *(Column(name, "BIGINT", f"{COUNTER_COMMENTS[name]}, since publication; {NULL_COUNTER}") for name in COUNTERS),
        key("stream", "VARCHAR", "The stream that listed it"),
    ),
    key=(*ACCOUNT_KEY, "post_id", "day"),
    day="day",
)
POST_DAYS = Table(
    "staging.post_days",
    "One row per post and snapshot day: how its counters moved since its previous snapshot. May be negative.",
    (
        *WHO,
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Snapshot day on which the movement was seen"),
        Column("delta_days", "INTEGER", "Days that the movement spans; more than 1 after a missed night; NULL = first seen when older"),
        *(
            Column(name, "BIGINT", f"{COUNTER_COMMENTS[name]}: change; NULL = first seen when older, or not given")
            for name in COUNTERS
            if name != "reach"
        ),
    ),
    key=(*ACCOUNT_KEY, "post_id", "day"),
    day="day",
)
ITEM_COLUMNS = (
    key("item_id", "VARCHAR", "The platform's id of the item"),
    key("day", "DATE", "Institution-local date of the item"),
    key("created_at", "TIMESTAMPTZ", "Time of the item"),
    Column("author_key", "VARCHAR", "Keyed pseudonym of the author; NULL = not given"),
    key("is_own", "BOOLEAN", "Written by an account of the institution"),
    key("is_staff", "BOOLEAN", "Written by an opt-in account of an employee"),
    key("is_reshare", "BOOLEAN", "A share without words of its own"),
    key("is_spam", "BOOLEAN", "Spam by rule v1"),
    key("is_question", "BOOLEAN", "Holds a question mark"),
    key("is_emoji_only", "BOOLEAN", "Pictographs only"),
    key("is_giveaway", "BOOLEAN", "Takes part in a giveaway"),
    key("word_count", "INTEGER", "Words, without handles and links"),
)
COMMENTS = Table(
    "staging.comments",
    "One row per answer to a post of the institution's: whose post, when, and flags; no text.",
    (
        *WHO,
        *ITEM_COLUMNS,
        Column("post_id", "VARCHAR", "The post (the first of a thread) that it belongs to; NULL = a post that is not known here"),
        key("is_mention", "BOOLEAN", "Also mentions one of the institution's accounts"),
    ),
    key=("institution_id", "platform", "item_id"),
    day="day",
)
MENTIONS = Table(
    "staging.mentions",
    "One row per account and item by somebody that @mentions it: when, and flags; no text.",
    (*WHO, *ITEM_COLUMNS, key("is_comment", "BOOLEAN", "Is also an answer to a post of ours")),
    key=(*ACCOUNT_KEY, "item_id"),
    day="day",
)
MENTION_HOURS = Table(
    "staging.mention_hours",
    "One row per account and hour: how many posts mentioned it as the platform counts, reshares, spam and our own included; not to be compared with mentions.",
    (
        *WHO,
        key("hour_start", "TIMESTAMPTZ", "Start of the hour"),
        key("day", "DATE", "Institution-local date of the hour"),
        Column("mentions", "BIGINT", "Posts that mention the account; NULL = not given"),
    ),
    key=(*ACCOUNT_KEY, "hour_start"),
    day="day",
)
# Of a day of the platform's own that ends after the night no answer can be whole yet: it was asked for, and nothing is missing.
NOT_ENDED = "The platform's own day had not ended yet when it was asked for."
COVERAGE = Table(
    "meta.coverage",
    "One row per account, stream and day: was what was expected fetched, and if not, why. The ledger of what is missing.",
    (
        *WHO,
        key("stream", "VARCHAR", "The stream"),
        key("kind", "VARCHAR", "snapshot, event or daily"),
        key("day", "DATE", "Snapshot day, or local date for events"),
        key("status", "VARCHAR", "expected, fetched, revised, unavailable, not_permitted, retired or lost"),
        key("is_known", "BOOLEAN", "Fetched to its end (snapshots), or covered whole by complete windows (events, sums of a day)"),
        Column("observed_at", "TIMESTAMPTZ", "When the kept snapshot was taken; NULL for events and for days not known"),
        Column("previous_day", "DATE", "The account's known day before this one; NULL = none, or not known"),
        Column("previous_at", "TIMESTAMPTZ", "When that one was taken; NULL likewise"),
        Column("reason", "VARCHAR", "Why it is not there, in words; NULL when it is"),
        key("denied_fields", "VARCHAR[]", "Fields that the token may not read"),
        key("retired_fields", "VARCHAR[]", "Fields that the platform gives no more"),
    ),
    key=(*ACCOUNT_KEY, "stream", "day"),
    day="day",
)
CONTENT_GROUPS = Table(
    "staging.content_groups",
    "One row per post of the institution's own (no replies, no reposts): the group of posts that say the same in several accounts.",
    (
        *WHO,
        key("post_id", "VARCHAR", "The post"),
        key("day", "DATE", "Institution-local date of publication"),
        key("content_group_id", "VARCHAR", "platform/post_id of the group's earliest post; its own where it stands alone"),
    ),
    key=(*ACCOUNT_KEY, "post_id"),
    day="day",
)
THINGS = (ACCOUNTS, ACCOUNT_DAYS, POSTS, POST_SNAPSHOTS, POST_DAYS, COMMENTS, MENTIONS, MENTION_HOURS, CONTENT_GROUPS, COVERAGE)
