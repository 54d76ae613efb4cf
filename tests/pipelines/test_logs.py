"""What a log may hold, and what it tells: the second line before every handler, and one line of JSON an event.

Not here: a whole night's log (test_run.py), and the search of every byte under a home (tests/laws/test_law_persons.py).
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import secret as secrets_room
from connectors.secret import Secret
from pipelines import discretion, logs
from pipelines.discretion import DISCRETION, Discretion, discreet

SECRET = Secret("sk-live/0a+B=c d%41")
PLANTED = [
    SECRET.reveal(),
    "Authorization: Bearer abc.def-ghi",
    "authorization='Basic dXNlcjpwYXNz'",
    "Bearer abcdefghijkl",
    "https://x.example/?access_token=abcDEF123&a=1",
    '{"refresh_token": "abcDEF123"}',
    "siti.aminah@contoh.example",
    "3201234567890001",
    "+6281234567890",
    "0812-3456-7890",
]
TELLTALES = ["sk-live", "abc.def", "dXNlcjpwYXNz", "abcdefghijkl", "abcDEF123", "siti", "3201234567890001", "81234567890", "3456-7890"]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """The factory of records is the process's own: each test gives it back."""
    make, own = logging.getLogRecordFactory(), DISCRETION.own
    yield
    logging.setLogRecordFactory(make)
    DISCRETION.own = own


def heard(name: str) -> tuple[logging.Logger, io.StringIO]:
    """A logger of somebody's with a plain handler of their own."""
    stream = io.StringIO()
    logger = logging.getLogger(name)
    logger.handlers = [logging.StreamHandler(stream)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    return logger, stream


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("name", ["urllib3.connectionpool", "requests", "dagster", "tolok", "somebody"])
def test_no_logger_of_the_process_lets_it_pass(planted: str, name: str) -> None:
    discretion.install()
    logger, stream = heard(name)
    try:
        raise ValueError(planted)  # noqa: TRY301 it is to be caught here
    except ValueError:
        logger.exception("while asking %s", planted, stack_info=True)
    said = stream.getvalue()
    assert "Traceback" in said
    assert not [telltale for telltale in TELLTALES if telltale in said.replace(repr(planted), "")], said


def test_a_known_secret_is_hidden_as_it_stands_and_as_an_address_holds_it() -> None:
    assert DISCRETION.clean(f"a {SECRET.reveal()} b") == "a … b"
    assert DISCRETION.clean("q=sk-live%2F0a%2BB%3Dc%20d%2541") == "q=…"


def test_what_is_no_secret_stays() -> None:
    said = "2026-01-04 19:00:00 run 61e2fd3d-8a6c-47a2-80f3-123456789012: 12,345 records in 0.123456789012 s; x/2200000000000000001 (401)"
    assert Discretion(own={"2200000000000000001"}).clean(said) == said
    for sentence in ("the token holds a character that no token has", "The platform refuses the token (401).", "it bears no token at all"):
        assert DISCRETION.clean(sentence) == sentence


@given(st.text(), st.text(), st.sampled_from(PLANTED))
def test_whatever_stands_around_it_it_is_hidden_and_cleaning_twice_changes_nothing(before: str, after: str, planted: str) -> None:
    cleaned = DISCRETION.clean(f"{before} {planted} {after}")
    assert not [telltale for telltale in TELLTALES if telltale in cleaned and telltale not in before + after]
    assert DISCRETION.clean(cleaned) == cleaned


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=8, max_size=60), st.text())
def test_every_secret_is_hidden_wherever_it_stands(value: str, text: str) -> None:
    secret = Secret(value)
    try:
        assert secret.reveal() not in DISCRETION.clean(f"{text}{value}{text}") or value in discretion.HIDDEN * 60
    finally:
        # Such words as "00000000" are not to be hidden from the other tests.
        secrets_room._known.discard(value)


@given(st.text(), st.one_of(st.none(), st.tuples(st.text()), st.tuples(st.integers(), st.text())))
def test_a_record_whose_words_do_not_fit_is_told_and_stops_nobody(words: str, values: tuple[object, ...] | None) -> None:
    record = logging.LogRecord("a", logging.INFO, "p", 1, words, values, None)
    assert DISCRETION.filter(record)
    assert isinstance(record.getMessage(), str)


def test_an_error_is_cleaned_with_all_that_it_came_from_before_dagster_keeps_it() -> None:
    @dg.asset
    @discreet
    def leaky() -> None:
        try:
            raise ValueError(PLANTED[0])  # noqa: TRY301 it is to be caught here
        except ValueError as cause:
            message = f"asked with {PLANTED[1]}"
            raise RuntimeError(message) from cause

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([leaky], instance=instance, raise_on_error=False)
        stored = str(instance.all_logs(result.run_id))
    assert "RuntimeError" in stored
    assert "asked with Authorization: …" in stored
    assert not [telltale for telltale in TELLTALES if telltale in stored]


def test_an_error_that_keeps_its_own_words_is_replaced_by_what_may_be_told() -> None:
    @discreet
    def open_it() -> None:
        Path("/nowhere/siti.aminah@contoh.example").read_text(encoding="utf-8")

    with pytest.raises(discretion.ConcealedError, match=r"FileNotFoundError.*nowhere") as told:
        open_it()
    assert "siti" not in str(told.value)


def test_a_line_is_json_with_time_level_event_and_its_facts(tmp_path: Path) -> None:
    with logs.listening(logs.DayFiles(tmp_path)):
        logs.tell("stream", records=3, account="2200000000000000001", gap=None, reason="write to siti.aminah@contoh.example")
        logs.tell("step", logging.DEBUG)
    (path,) = tmp_path.iterdir()
    (line,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert datetime.fromisoformat(line.pop("time")).date().isoformat() == path.stem
    assert line == {"level": "info", "event": "stream", "records": 3, "account": "2200000000000000001", "reason": "write to …"}


def test_old_days_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    old, kept = (tmp_path / f"{today - timedelta(days=days)}.jsonl" for days in (logs.KEPT_DAYS + 1, logs.KEPT_DAYS))
    for path in (old, kept, tmp_path / "notes.jsonl", tmp_path / "2020-01-01.txt"):
        path.touch()
    with logs.listening(logs.DayFiles(tmp_path)):
        logs.tell("begin")
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, "notes.jsonl", "2020-01-01.txt", f"{today}.jsonl"}


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").touch()
    with logs.listening(logs.DayFiles(tmp_path / "logs")):
        logs.tell("begin")
        logs.tell("end")
    assert capsys.readouterr().err.count("The log cannot be written to") == 1
