"""Bad records: what is set aside with which reason, what is still used, and when the whole stream is red.

Not here: what landing keeps of them (tests/faults/test_bad_records.py).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import fitness
from connectors.registry import platforms
from connectors.streams import Stream

X_POSTS = platforms()["x"].stream("posts")
POST = {"id": "1", "created_at": "2026-01-10T00:00:00.000Z", "public_metrics": {"like_count": 3}}


def faults(record: dict[str, Any], stream: Stream = X_POSTS) -> list[tuple[str, str, bool]]:
    return [(one.field, one.reason, one.is_whole) for one in fitness.unfit(record, stream)]


def likes(value: object) -> dict[str, Any]:
    return POST | {"public_metrics": {"like_count": value}}


@pytest.mark.parametrize("value", [0, 3, None, "12", 12.0, 2**53 + 1, "0"])
def test_a_count_may_be_a_number_a_number_as_text_or_not_given(value: object) -> None:
    assert faults(likes(value)) == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-5, "a negative number"),
        ("banyak", "a text"),
        ("-5", "a text"),
        ("", "a text"),
        (1.5, "a number"),
        (2**63, "a number"),
        (True, "true or false"),
        ([3], "a list"),
        ({"count": 3}, "an object"),
    ],
)
def test_another_value_is_no_count_and_is_not_quoted(value: object, told: str) -> None:
    assert faults(likes(value)) == [("public_metrics.like_count", f"public_metrics.like_count is {told}; a count was expected", False)]


@pytest.mark.parametrize(
    ("value", "told"), [(None, "missing"), ("", "an empty text"), (True, "true or false"), (1.5, "a number"), ({}, "an object")]
)
def test_a_record_without_a_key_cannot_be_used(value: object, told: str) -> None:
    assert faults(POST | {"id": value}) == [("id", f"id is {told}; it names the record", True)]


@pytest.mark.parametrize("value", [7, 2**53 + 1, 2**64 + 1, "01J9Z"])
def test_a_key_is_a_text_or_a_whole_number_of_any_size(value: object) -> None:
    assert faults(POST | {"id": value}) == []
    assert fitness.key_of({"id": value}, "id") == str(value)


@pytest.mark.parametrize("value", ["2026-01-10T00:00:00", "yesterday", "", None, 1_767_225_600])
def test_a_time_without_a_zone_is_no_time(value: object) -> None:
    ((field, reason, is_whole),) = faults(POST | {"created_at": value})
    assert (field, is_whole) == ("created_at", True)
    assert reason.startswith("created_at is ")
    assert reason.endswith("; a time with a zone is needed")


def test_a_required_member_in_the_depth_is_named_by_its_path() -> None:
    mentions = platforms()["mastodon"].stream("mentions")
    found = faults({"id": "1", "created_at": "2026-01-10T00:00:00Z", "status": {"id": "9"}}, mentions)
    assert [field for field, _, _ in found] == ["status.created_at"]
    assert [field for field, _, _ in faults({"id": "1", "created_at": "2026-01-10T00:00:00Z", "status": "gone"}, mentions)] == [
        "status.id",
        "status.created_at",
    ]


def test_a_stream_is_red_above_five_percent() -> None:
    assert not fitness.is_red(0, 0)
    assert not fitness.is_red(5, 100)
    assert fitness.is_red(6, 100)
    assert fitness.is_red(1, 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "created_at", "status", "like_count", "x"]), inner),
    max_leaves=8,
)
STREAMS = [stream for connector in platforms().values() for stream in connector.streams]


@given(st.dictionaries(st.sampled_from(["id", "created_at", "status", "public_metrics", "start", "type", "siti@x.example"]), JSON))
def test_any_object_is_judged_and_what_is_wrong_is_told_without_its_value(record: dict[str, Any]) -> None:
    for stream in STREAMS:
        for one in fitness.unfit(record, stream):
            assert one.field in {stream.kind.key, stream.newest_first, getattr(stream.kind, "at", None), *stream.counts, *stream.times}
            if not one.is_whole:
                fitness.blank(record, one.field)
        assert all(one.is_whole for one in fitness.unfit(record, stream))
        if stream.leave_out is not None:
            assert stream.leave_out(record) in {True, False}
    assert "siti@x.example" not in fitness.field_names(record)
    json.dumps(record)
