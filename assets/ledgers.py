"""The tables of raw: one per stream, and the ledgers of what was asked for, what it took, what was set aside and what is new.

Not here: what is asked (asking.py) and how it is landed (raw.py).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.streams import Connector, Snapshot, Stream
from pipelines.tables import Column, Table, key

SNAPSHOT_SHIFT = timedelta(hours=12)
_WHOSE = (
    key("institution_id", "VARCHAR", "The institution"),
    key("platform", "VARCHAR", "The platform"),
)
_ACCOUNT = key("account_id", "VARCHAR", "The platform's id of the account that was asked about")
_STREAM = key("stream", "VARCHAR", "The stream")
# What was asked of whom by which run.
_ASKED = (
    *_WHOSE,
    _ACCOUNT,
    _STREAM,
    key("run_id", "VARCHAR", "The run that asked"),
    key("window_start", "TIMESTAMPTZ", "Start of the span asked for"),
    key("window_end", "TIMESTAMPTZ", "End of the span asked for, exclusive"),
    key("requested_at", "TIMESTAMPTZ", "When it was asked"),
)
_ASKED_KEY = ("institution_id", "platform", "account_id", "stream", "run_id", "window_start", "window_end")

FETCH = Table(
    "meta.fetch",
    "One row per window of a stream that was asked for and brought something to know: what came, or why it did not.",
    (
        *_ASKED,
        key("observed_at", "TIMESTAMPTZ", "The instant that its snapshots stand for"),
        key("day", "DATE", "Snapshot day: the institution-local date of observed_at - 12 h"),
        key("is_complete", "BOOLEAN", "The list was read to its end"),
        key("is_last", "BOOLEAN", "The youngest window of its run: with it the stream was read up to the time of asking"),
        key("ledger_status", "VARCHAR", "fetched, missing, not_permitted or unavailable"),
        Column("reason", "VARCHAR", "Why it is not complete, in words; NULL when it is"),
        key("records", "BIGINT", "Records received"),
        key("rejected", "BIGINT", "Records that could not be placed, set aside in meta.quarantine"),
        Column(
            "blanked", "BIGINT", "Records with a value that is no count: set aside too, the value read as not given; NULL = not looked at"
        ),
        key("rows_new", "BIGINT", "Rows that were new to raw"),
        key("rows_changed", "BIGINT", "Rows that replaced another"),
        key("denied_fields", "VARCHAR[]", "Fields that the token may not read"),
        Column("retired_fields", "VARCHAR[]", "Fields that the platform gives no more; NULL = not looked at"),
        Column(
            "resume_from", "VARCHAR", "What asks for the rest where a budget ended the list; NULL = nothing is left, or it is asked anew"
        ),
    ),
    key=_ASKED_KEY,
    day="day",
    unstamped=frozenset({"run_id", "requested_at", "rows_new", "rows_changed"}),
)
SPENDING = Table(
    "meta.spending",
    "One row per window that was asked for: what it took of the day's allowance.",
    (
        *_ASKED,
        key("requests", "BIGINT", "Requests sent, repeated ones included"),
        key("cost_usd", "DECIMAL(12,4)", "What the records cost by the declared price, each once a day; an estimate, not the bill"),
    ),
    key=_ASKED_KEY,
)
PAID_RECORD = Table(
    "meta.paid_record",
    "One row per record that was paid for in the last two days: read again within the platform's day it costs nothing.",
    (
        *(*_WHOSE, _STREAM),
        key("record_key", "VARCHAR", "The platform's id of the record"),
        key("paid_at", "TIMESTAMPTZ", "When it was read last"),
    ),
    key=("institution_id", "platform", "stream", "record_key", "paid_at"),
)
QUARANTINE = Table(
    "meta.quarantine",
    "One row per record and thing that was wrong with it: set aside as it came, less the persons, with the reason.",
    (
        *(*_WHOSE, _ACCOUNT, _STREAM),
        key("day", "DATE", "Snapshot day on which it came first"),
        key("observed_at", "TIMESTAMPTZ", "When it came first"),
        key("field", "VARCHAR", "Where it is wrong; empty = the record as a whole"),
        key("reason", "VARCHAR", "What is wrong, in words"),
        Column("record_key", "VARCHAR", "The platform's id of the record; NULL = it has none"),
        Column("payload", "JSON", "The record; NULL = it could not be read, and so not freed of persons"),
        key("payload_hash", "VARCHAR", "MD5 of the payload; of an unreadable record that of nothing"),
        key("run_id", "VARCHAR", "The run that set it aside"),
    ),
    key=("institution_id", "platform", "account_id", "stream", "field", "payload_hash"),
    day="day",
)
FIELD = Table(
    "meta.field",
    "One row per member that a stream's records were seen to have: a new one is told when it comes.",
    (
        *(*_WHOSE, _STREAM),
        key("field", "VARCHAR", "Name of the member, dotted"),
        key("first_seen_at", "TIMESTAMPTZ", "When it came first"),
    ),
    key=("institution_id", "platform", "stream", "field"),
)
LEDGERS = (FETCH, SPENDING, PAID_RECORD, QUARANTINE, FIELD)


def raw_table(connector: Connector, stream: Stream) -> Table:
    """`raw.<platform>__<stream>`, as every stream's table looks."""
    keys = ("institution_id", "account_id", "record_key", *(("day",) if isinstance(stream.kind, Snapshot) else ()))
    return Table(
        f"raw.{connector.platform}__{stream.name}",
        stream.description,
        (
            key("institution_id", "VARCHAR", "The institution"),
            key("account_id", "VARCHAR", "The platform's id of the account that was asked about"),
            key("record_key", "VARCHAR", "The platform's id of the record"),
            key("day", "DATE", "Snapshot day for counters; the institution-local date of the event for events"),
            key("requested_at", "TIMESTAMPTZ", "When it was asked for"),
            key("observed_at", "TIMESTAMPTZ", "The instant that the record stands for"),
            key("window_start", "TIMESTAMPTZ", "Start of the span asked for"),
            key("window_end", "TIMESTAMPTZ", "End of the span asked for, exclusive"),
            key("run_id", "VARCHAR", "The run that wrote the row last"),
            key("changed_at", "TIMESTAMPTZ", "When the row was written last"),
            key("payload", "JSON", "The record as the platform gave it, less the persons"),
            key("payload_hash", "VARCHAR", "MD5 of the payload, to tell changed from same"),
        ),
        key=keys,
        day="day",
        unstamped=frozenset({"run_id", "requested_at", "changed_at", "window_start", "window_end"}),
    )


def snapshot_day(observed_at: datetime, zone: str) -> date:
    """The local day that a snapshot closes: 02:00 closes the day before.

    >>> snapshot_day(datetime(2026, 1, 1, 19, tzinfo=UTC), "Asia/Jakarta")  # 02:00 WIB on 2 January
    datetime.date(2026, 1, 1)
    """
    return (observed_at - SNAPSHOT_SHIFT).astimezone(ZoneInfo(zone)).date()
