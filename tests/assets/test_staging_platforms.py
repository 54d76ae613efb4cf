"""From the platforms' JSON to the common things: threads, edits, reposts, dialects, answers and mentions.

Not here: what a day knows (test_staging_days.py) and figures of periods (test_indicators_*.py).
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from assets.ledgers import raw_table
from assets.staging import mappings, things, transforms
from assets.staging.things import COVERAGE
from connectors.registry import platforms
from pipelines import engine
from pipelines.tables import Table
from pipelines.warehouse import ensure, read
from tests.support.hand import Hand, at, day, frame
from tests.support.landing import warehouse

RAW = {
    (platform, source.stream): raw_table(platforms()[platform], platforms()[platform].stream(source.stream))
    for platform, mapping in mappings().items()
    for sources in mapping.sources.values()
    for source in sources
}
Record = dict[str, Any]


def staged(output: Table, hand: Hand, *records: tuple[str, str, str, Record]) -> pl.DataFrame:
    """A staging table from raw records `(platform/account, stream, night MM-DD, payload)`, each seen at 02:00 after the night's day."""
    transform = next(one for one in transforms() if one.output.name == output.name)
    with warehouse() as connection:
        for source in transform.inputs:
            ensure(connection, source.table)
        for at_account, stream, night, payload in records:
            platform, account = at_account.split("/")
            table = RAW[platform, stream]
            when = payload.get("created_at") or payload.get("status", {}).get("created_at")
            key = payload.get("id") or payload["status"]["id"]
            if stream == "mentions":
                key = payload["status"]["id"] if "status" in payload else key
            shown = connection.sql("SELECT (?::TIMESTAMPTZ AT TIME ZONE 'Asia/Jakarta')::DATE", params=[when]).fetchall()[0][0]
            row = frame(
                table,
                {
                    "account_id": account, "record_key": key, "day": shown if stream == "mentions" else day(night), "requested_at": at(night),
                    "observed_at": at(night, "23:59"), "window_start": at(night), "window_end": at(night), "changed_at": at(night),
                    "payload": json.dumps(payload), "payload_hash": key,
                },
            )  # fmt: skip
            connection.register("row", row)
            connection.execute(f"INSERT INTO {table.name} BY NAME FROM row")
            connection.unregister("row")
        frames = {
            source.name: read(connection, source.table, "i", json_types=source.json_types)
            if source.json_types
            else hand.make(source.table).lazy()
            for source in transform.inputs
        }
        return engine.collect(transform, frames)


def x_post(identity: str, created: str, **more: Any) -> Record:
    counters = {"like_count": 4, "reply_count": 3, "repost_count": 2, "quote_count": 1, "bookmark_count": 5, "impression_count": 600}
    return {"id": identity, "created_at": created, "text": "Salam", "public_metrics": counters, "edit_history_post_ids": [identity]} | more


def toot(identity: str, created: str, **more: Any) -> Record:
    counters = {"favourites_count": 4, "replies_count": 3, "reblogs_count": 2}
    return {"id": identity, "created_at": created, "content": "Salam", "in_reply_to_id": None, "tags": [], **counters} | more


MORNING = "2026-01-02T03:00:00Z"


def test_on_x_shares_are_reposts_and_quotes_and_clicks_stay_null_without_the_private_metrics() -> None:
    row = staged(things.POST_SNAPSHOTS, Hand(), ("x/main", "posts", "01-02", x_post("1", MORNING))).row(0, named=True)
    assert {name: row[name] for name in things.COUNTERS} == {
        "reactions": 4, "comments_platform": 3, "shares": 3, "saves": 5, "views": None, "impressions": 600, "link_clicks": None, "reach": None,
    }  # fmt: skip


def test_both_dialects_of_x_give_the_same_numbers() -> None:
    old = x_post("1", MORNING)
    old["public_metrics"] = {"retweet_count" if name == "repost_count" else name: n for name, n in old["public_metrics"].items()}
    old["edit_history_tweet_ids"] = old.pop("edit_history_post_ids")
    new = staged(things.POST_SNAPSHOTS, Hand(), ("x/main", "posts", "01-02", x_post("1", MORNING)))
    assert staged(things.POST_SNAPSHOTS, Hand(), ("x/main", "posts", "01-02", old)).equals(new)


def test_a_field_that_x_leaves_out_is_null_and_not_zero() -> None:
    partial = x_post("1", MORNING, public_metrics={"like_count": 4, "quote_count": 1})
    row = staged(things.POST_SNAPSHOTS, Hand(), ("x/main", "posts", "01-02", partial)).row(0, named=True)
    assert (row["reactions"], row["saves"], row["shares"], row["impressions"]) == (4, None, None, None)


@pytest.mark.parametrize(("more", "shares"), [({}, 2), ({"quotes_count": 3}, 5), ({"quotes_count": None}, 2)])
def test_on_mastodon_quotes_are_added_to_the_shares_where_the_server_gives_them(more: Record, shares: int) -> None:
    row = staged(things.POST_SNAPSHOTS, Hand("mastodon/m"), ("mastodon/m", "posts", "01-02", toot("1", MORNING, **more))).row(0, named=True)
    assert (row["reactions"], row["comments_platform"], row["shares"]) == (4, 3, shares)
    assert [row[name] for name in ("saves", "views", "impressions", "link_clicks", "reach")] == [None] * 5


def test_an_edited_post_is_one_post_named_by_its_first_version_and_its_latest_version_wins() -> None:
    first = x_post("100", MORNING, text="Salah")
    second = x_post("101", "2026-01-02T03:20:00Z", text="Benar", edit_history_post_ids=["100", "101"])
    records = (("x/main", "posts", "01-02", first), ("x/main", "posts", "01-02", second))
    hand = Hand()
    hand.night("01-01", "01-02")
    post = staged(things.POSTS, hand, *records)
    snapshot = staged(things.POST_SNAPSHOTS, hand, *records)
    assert post.select("post_id", "version_id", "text").rows() == [("100", "101", "Benar")]
    assert post["created_at"].to_list() == [at("01-02", "10:00")]
    assert snapshot["post_id"].to_list() == ["100"]


def test_the_latest_version_is_the_one_with_the_greater_number_not_the_later_text() -> None:
    records = [
        ("x/main", "posts", "01-02", x_post(version, MORNING, edit_history_post_ids=["9", "10"], public_metrics={"like_count": likes}))
        for version, likes in (("9", 1), ("10", 2))
    ]
    assert staged(things.POST_SNAPSHOTS, Hand(), *records)["reactions"].to_list() == [2]


def test_a_repost_is_known_as_one_and_its_counters_are_never_taken() -> None:
    repost = x_post("1", MORNING, referenced_posts=[{"type": "reposted", "id": "999"}])
    hand = Hand()
    hand.night("01-01", "01-02")
    assert staged(things.POST_SNAPSHOTS, hand, ("x/main", "posts", "01-02", repost)).is_empty()
    assert staged(things.POSTS, hand, ("x/main", "posts", "01-02", repost))["post_type"].to_list() == ["repost"]


def test_a_quote_is_a_post_of_ours_with_its_own_counters() -> None:
    quote = x_post("1", MORNING, referenced_posts=[{"type": "quoted", "id": "999"}])
    hand = Hand()
    hand.night("01-01", "01-02")
    assert staged(things.POSTS, hand, ("x/main", "posts", "01-02", quote))["post_type"].to_list() == ["quote"]
    assert staged(things.POST_SNAPSHOTS, hand, ("x/main", "posts", "01-02", quote))["reactions"].to_list() == [4]


def test_the_parts_of_a_thread_belong_to_its_first_post_and_a_later_answer_to_oneself_does_not() -> None:
    posts = [
        x_post("1", "2026-01-02T03:00:00Z"),
        x_post("2", "2026-01-02T03:05:00Z", referenced_posts=[{"type": "replied_to", "id": "1"}]),
        x_post("3", "2026-01-02T03:10:00Z", referenced_posts=[{"type": "replied_to", "id": "2"}]),
        x_post("4", "2026-01-04T03:10:00Z", referenced_posts=[{"type": "replied_to", "id": "3"}]),
        x_post("5", "2026-01-04T03:20:00Z", referenced_posts=[{"type": "replied_to", "id": "777"}]),
    ]
    hand = Hand()
    hand.night("01-03", "01-04")
    found = staged(things.POSTS, hand, *[("x/main", "posts", "01-04", post) for post in posts]).sort("post_id")
    assert found.select("post_id", "root_id", "post_type").rows() == [
        ("1", "1", "post"), ("2", "1", "thread_part"), ("3", "1", "thread_part"), ("4", "4", "reply"), ("5", "5", "reply"),
    ]  # fmt: skip


def test_a_thread_of_thirty_three_posts_has_one_first_post() -> None:
    toots = [toot(f"{n:02}", f"2026-01-02T03:{n:02}:00Z", in_reply_to_id=f"{n - 1:02}" if n else None) for n in range(33)]
    hand = Hand("mastodon/m")
    hand.night("01-01", "01-02")
    found = staged(things.POSTS, hand, *[("mastodon/m", "posts", "01-02", one) for one in toots])
    assert found["root_id"].unique().to_list() == ["00"]


@pytest.mark.parametrize(("clock", "local"), [("16:59:59", "01-02"), ("17:00:00", "01-03")])
def test_a_post_belongs_to_the_local_date_of_its_publication(clock: str, local: str) -> None:
    hand = Hand()
    hand.night("01-02", "01-03")
    found = staged(things.POSTS, hand, ("x/main", "posts", "01-03", x_post("1", f"2026-01-02T{clock}Z")))
    assert found["day"].to_list() == [day(local)]


def test_a_post_that_a_complete_fetch_no_longer_holds_is_marked_deleted_from_that_fetch_on() -> None:
    hand = Hand()
    hand.night("01-01", "01-02", "01-03", "01-04")
    found = staged(things.POSTS, hand, ("x/main", "posts", "01-02", x_post("1", MORNING)))
    assert found["deleted_at"].to_list() == [at("01-04", "02:00")]


def test_a_post_that_a_failed_fetch_did_not_hold_is_not_taken_for_deleted() -> None:
    hand = Hand()
    hand.night("01-01", "01-02")
    hand.night("01-03", failed="missing")
    found = staged(things.POSTS, hand, ("x/main", "posts", "01-02", x_post("1", MORNING)))
    assert found["deleted_at"].to_list() == [None]
    hand.night("01-04")
    found = staged(things.POSTS, hand, ("x/main", "posts", "01-02", x_post("1", MORNING)))
    assert found["deleted_at"].to_list() == [at("01-05", "02:00")]


def test_a_post_that_grew_older_than_the_fetches_reach_is_not_taken_for_deleted() -> None:
    hand = Hand()
    hand.night("01-01", "02-01", "02-02")
    found = staged(things.POSTS, hand, ("x/main", "posts", "02-01", x_post("1", "2026-01-03T03:00:00Z")))
    assert found["deleted_at"].to_list() == [None]


FLAGS = {"mentions_us": False, "by_us": False, "by_staff": False, "question": False, "emoji_only": False, "spam": False, "word_count": 3}


def x_item(identity: str, created: str = "2026-01-03T03:00:00Z", **more: Any) -> Record:
    flags = FLAGS | more.pop("flags", {})
    return {"id": identity, "created_at": created, "author_id": "k:a", "conversation_id": identity, "flags": flags} | more


def with_post(*accounts: str) -> Hand:
    hand = Hand(*accounts)
    hand.post(accounts[0], "p", at("01-02"))
    return hand


def test_on_x_an_item_in_our_conversation_answers_the_root_even_when_it_replies_to_somebody_else() -> None:
    item = x_item("9", conversation_id="p", in_reply_to_user_id="k:b", referenced_posts=[{"type": "replied_to", "id": "8"}])
    found = staged(things.COMMENTS, with_post("x/main"), ("x/main", "mentions", "01-03", item))
    assert found.select("account_id", "post_id", "item_id").rows() == [("main", "p", "9")]


def test_on_x_an_answer_to_our_reply_in_anothers_conversation_is_a_comment_by_its_addressee() -> None:
    item = x_item("9", conversation_id="777", in_reply_to_user_id="main", referenced_posts=[{"type": "replied_to", "id": "778"}])
    found = staged(things.COMMENTS, with_post("x/main"), ("x/main", "mentions", "01-03", item))
    assert found.select("account_id", "post_id").rows() == [("main", None)]


def test_an_item_that_merely_names_us_is_a_mention_and_no_comment() -> None:
    hand = with_post("x/main")
    record = ("x/main", "mentions", "01-03", x_item("9", flags={"mentions_us": True}))
    assert staged(things.COMMENTS, hand, record).is_empty()
    assert staged(things.MENTIONS, hand, record).select("item_id", "is_comment").rows() == [("9", False)]


def test_a_comment_that_names_us_is_both() -> None:
    hand = with_post("x/main")
    record = ("x/main", "mentions", "01-03", x_item("9", conversation_id="p", flags={"mentions_us": True}))
    assert staged(things.COMMENTS, hand, record).select("item_id", "is_mention").rows() == [("9", True)]
    assert staged(things.MENTIONS, hand, record).select("item_id", "is_comment").rows() == [("9", True)]


def test_an_item_in_the_streams_of_two_accounts_is_one_comment_at_the_owner_of_the_post_and_two_mentions() -> None:
    hand = with_post("x/main", "x/program")
    item = x_item("9", conversation_id="p", flags={"mentions_us": True})
    records = [(f"x/{account}", "mentions", "01-03", item) for account in ("main", "program")]
    assert staged(things.COMMENTS, hand, *records).select("account_id", "item_id").rows() == [("main", "9")]
    assert staged(things.MENTIONS, hand, *records).select("account_id", "item_id").rows() == [("main", "9"), ("program", "9")]


def test_an_item_that_is_edited_after_midnight_stays_on_the_day_of_its_first_version() -> None:
    first = x_item("100", "2026-01-02T16:50:00Z", flags={"mentions_us": True}, edit_history_post_ids=["100"])
    second = x_item("101", "2026-01-02T17:10:00Z", flags={"mentions_us": True}, edit_history_post_ids=["100", "101"])
    records = [("x/main", "mentions", night, item) for night, item in (("01-02", first), ("01-03", second))]
    assert staged(things.MENTIONS, with_post("x/main"), *records).select("item_id", "day").rows() == [("100", day("01-02"))]


def toot_item(identity: str, **status: Any) -> Record:
    flags = FLAGS | status.pop("flags", {})
    created = status.pop("created_at", "2026-01-03T03:00:00Z")
    return {"account": {"id": "k:a"}, "status": {"id": identity, "created_at": created} | status, "flags": flags}


def test_on_mastodon_an_item_answers_the_post_that_it_replies_to_and_a_thread_part_counts_for_the_first() -> None:
    hand = with_post("mastodon/m")
    hand.post("mastodon/m", "part", at("01-02", "12:05"), post_type="thread_part", root_id="p")
    records = [
        ("mastodon/m", "mentions", "01-03", toot_item("1", in_reply_to_id="p")),
        ("mastodon/m", "mentions", "01-03", toot_item("2", in_reply_to_id="part")),
        ("mastodon/m", "mentions", "01-03", toot_item("3", in_reply_to_id="unknown", in_reply_to_account_id="m")),
        ("mastodon/m", "mentions", "01-03", toot_item("4", in_reply_to_id="unknown", in_reply_to_account_id="k:b")),
    ]
    found = staged(things.COMMENTS, hand, *records).sort("item_id")
    assert found.select("item_id", "post_id").rows() == [("1", "p"), ("2", "p"), ("3", None)]


def test_who_wrote_an_item_and_what_it_is_are_kept_as_flags() -> None:
    item = x_item(
        "9", conversation_id="p", referenced_posts=[{"type": "reposted", "id": "1"}], flags={"by_us": True, "spam": True, "by_staff": True}
    )
    row = staged(things.COMMENTS, with_post("x/main"), ("x/main", "mentions", "01-03", item)).row(0, named=True)
    assert [row[name] for name in ("is_own", "is_spam", "is_staff", "is_reshare", "word_count")] == [True, True, True, True, 3]


def test_the_ledger_is_the_same_table_for_every_platform() -> None:
    hand = Hand("x/main", "mastodon/m")
    hand.night("01-01")
    found = hand.make(COVERAGE)
    assert set(found["platform"]) == {"x", "mastodon"}
    assert found.filter(pl.col("kind") == "snapshot")["is_known"].all()
