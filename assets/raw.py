"""Lands pages untouched: merges what was fetched into raw, enters it into the ledgers, and files it under its day.

Not here: what is asked (asking.py), the tables (ledgers.py), what a payload means (staging/), and HTTP itself (connectors/).
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from assets.forget import clean, suppressed
from assets.ledgers import FETCH, FIELD, LEDGERS, METRIC, PAID_RECORD, QUARANTINE, SPENDING, raw_table, snapshot_day
from connectors.fetch import MAX_RECORD_BYTES, red_reason
from connectors.fitness import is_red
from connectors.registry import platforms
from connectors.streams import Connector, Daily, Event, Snapshot, Stream, free
from pipelines.tables import Table
from pipelines.warehouse import ensure, first, mark, transaction

# The instants stand on every line for whoever reads the file; all of a window are the manifest's, so they are never selected. Named all the
# same: members that no column is named for make DuckDB 2.0 four times slower with small files, a third with large ones (measured).
LINE_COLUMNS = "{requested_at: 'VARCHAR', observed_at: 'VARCHAR', payload: 'JSON'}"
ASIDE_COLUMNS = "{requested_at: 'TIMESTAMPTZ', observed_at: 'TIMESTAMPTZ', field: 'VARCHAR', reason: 'VARCHAR', payload: 'JSON'}"
# Which records were paid for is remembered as long as a platform's day can last anywhere.
PAID_FOR = timedelta(days=2)
# A record and what stands around it on its line.
MAX_LINE_BYTES = MAX_RECORD_BYTES + 4096
# A million new records land in it at 340 MB for the whole process, and no slower than in 1 GB (measured); a million that stand there do not.
LEAN_MEMORY = "160MB"
LARGE_BYTES = 32 * 2**20
# 4 packs a night's lines in a fifth of the time of the default 9 and leaves a tenth more (measured; 1: an eighth, a quarter more).
PACKING = 4


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was asked for and did not come whole."""

    institution_id: str
    platform: str
    account_id: str
    stream: str
    day: date
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Landed:
    """What a landing did to one raw table."""

    table: str
    received: int
    new: int
    changed: int
    set_aside: int = 0
    requests: int = 0
    cost_usd: Decimal = Decimal(0)
    new_fields: tuple[str, ...] = ()


def land(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime | None) -> tuple[list[Landed], list[Gap]]:
    """Merge everything under `landing/incoming/` (a dead run's leftovers too), then file what was new under its day.

    Several runs are taken in as if they had been landed one after another, in the order in which they asked; without `now` each as of then.
    What brought nothing new leaves no trace. Returns what was done per table, and the gaps.
    """
    incoming = landing / "incoming"
    manifests = sorted(incoming.glob("*/*.json"))
    clean(manifests, suppressed(connection))
    landed: list[Landed] = []
    gaps: list[Gap] = []
    by_table: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for ledger in LEDGERS:
        ensure(connection, ledger)
    _account(connection, manifests)
    for manifest in manifests:
        platform, stream, _ = manifest.name.split("__")
        by_table[platform, stream].append(manifest)
    for (platform, stream_name), paths in by_table.items():
        connector = platforms()[platform]
        done, missing, kept = _merge_lean(connection, connector, connector.stream(stream_name), paths, now)
        landed.append(done)
        gaps.extend(missing)
        for path in paths:
            _file(path, kept.get(path), landing)
    for folder in incoming.glob("*"):
        shutil.rmtree(folder)
    return landed, gaps


def replay(connection: duckdb.DuckDBPyConnection, landing: Path, now: datetime) -> list[Landed]:
    """Rebuild raw and its ledger from the files of `landing/`, run by run in the order of the nights.

    Leaves the files as they are, less those who were erased.
    """
    by_run: dict[tuple[str, str, str, str], list[Path]] = defaultdict(list)
    begun: dict[tuple[str, str, str, str], str] = {}
    clean(sorted(landing.glob("*/*/*/*.json")), suppressed(connection))
    for manifest in sorted(landing.glob("*/*/*/*.json")):
        platform, stream, _ = manifest.name.split("__")
        one = manifest.parts[-3], manifest.parts[-2], platform, stream
        by_run[one].append(manifest)
        # A run's id tells nothing about when it was; two runs of one day are told apart by the instant of asking.
        begun[one] = min(json.loads(manifest.read_text(encoding="utf-8"))["requested_at"], begun.get(one, "~"))
    for ledger in LEDGERS:
        ensure(connection, ledger)
    return [
        _merge(connection, platforms()[one[2]], platforms()[one[2]].stream(one[3]), by_run[one], now)[0]
        for one in sorted(by_run, key=lambda one: (begun[one], one))
    ]


def _merge_lean(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, manifests: Sequence[Path], now: datetime | None
) -> tuple[Landed, list[Gap], dict[Path, date]]:
    """Merge a large batch in little memory; where that is too little, with as much as DuckDB takes by itself.

    Nothing was written when memory ends, so it begins anew. A small batch needs no bound, and each of its files a buffer of 32 MB.
    """
    if sum(_lines_of(path).stat().st_size for path in manifests) < LARGE_BYTES:
        return _merge(connection, connector, stream, manifests, now)
    connection.execute(f"SET memory_limit='{LEAN_MEMORY}'")
    connection.execute("SET preserve_insertion_order=false")
    try:
        return _merge(connection, connector, stream, manifests, now)
    except duckdb.OutOfMemoryException:
        connection.execute("RESET memory_limit")
        return _merge(connection, connector, stream, manifests, now)
    finally:
        connection.execute("RESET memory_limit")
        connection.execute("RESET preserve_insertion_order")


def _merge(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, manifests: Sequence[Path], now: datetime | None
) -> tuple[Landed, list[Gap], dict[Path, date]]:
    """One transaction: rows, ledger and marks together. Returns also, for each manifest that told something new, its day."""
    table = raw_table(connector, stream)
    ensure(connection, table)
    manifests, told = _in_order(manifests)
    with transaction(connection):
        _decide(connection, table, stream, told, now)
        counts = {line.lines: line for line in _counted(connection)}
        _write(connection, table, has_changes=any(line.changed for line in counts.values()))
        touched = [(one["turn"], counts[one["lines"]]) for one in told if one["lines"] in counts]
        _mark_turns(connection, table, [(turn, one.institution_id, one.first_day) for turn, one in touched if one.first_day is not None])
        entries = [_entry(stream, one, counts.get(one["lines"])) for one in told]
        informative = _enter(connection, connector.platform, stream, entries)
        _set_aside(connection, stream, entries, [_aside_of(path) for path in manifests])
        _note_paid(connection, connector, stream, told)
        _note_refusals(connection, stream, told, entries)
        new_fields = _note_fields(connection, connector, stream, told)
    kept = {path: entry["day"] for path, entry, is_kept in zip(manifests, entries, informative, strict=True) if is_kept}
    gaps = [
        Gap(*(entry[name] for name in ("institution_id", "platform", "account_id", "stream", "day", "ledger_status", "reason")))
        for entry in entries
        if not entry["is_complete"]
    ]
    landed = Landed(
        table.name,
        received=sum(entry["records"] for entry in entries),
        new=sum(entry["rows_new"] for entry in entries),
        changed=sum(entry["rows_changed"] for entry in entries),
        set_aside=sum(entry["rejected"] + (entry["blanked"] or 0) for entry in entries),
        requests=sum(one.get("requests", 0) for one in told),
        cost_usd=sum((Decimal(one.get("cost_usd", 0)) for one in told), Decimal(0)),
        new_fields=new_fields,
    )
    return landed, gaps, kept


def _in_order(manifests: Sequence[Path]) -> tuple[list[Path], list[dict[str, Any]]]:
    """The manifests and what they tell, each with its file of lines and the number of its run, in the order in which the runs asked."""
    read = [(path, json.loads(path.read_text(encoding="utf-8")) | {"lines": str(_lines_of(path))}) for path in manifests]
    begun: dict[str, datetime] = {}
    for _, one in read:
        asked = datetime.fromisoformat(one["requested_at"])
        begun[one["run_id"]] = min(asked, begun.get(one["run_id"], asked))
    turns = {run_id: turn for turn, run_id in enumerate(sorted(begun, key=lambda run_id: (begun[run_id], run_id)))}
    ordered = sorted(read, key=lambda one: turns[one[1]["run_id"]])
    return [path for path, _ in ordered], [one | {"turn": turns[one["run_id"]]} for _, one in ordered]


def _mark_turns(connection: duckdb.DuckDBPyConnection, table: Table, touched: Iterable[tuple[int, str, date]]) -> None:
    """Note for each run in its turn from which day on it changed an institution's rows."""
    earliest: dict[str, dict[int, date]] = defaultdict(dict)
    for turn, institution_id, day in touched:
        earliest[institution_id][turn] = min(day, earliest[institution_id].get(turn, day))
    for institution_id, days in sorted(earliest.items()):
        mark(connection, table.name, institution_id, *(day for _, day in sorted(days.items())))


def _set_aside(connection: duckdb.DuckDBPyConnection, stream: Stream, entries: Sequence[Mapping[str, Any]], files: Sequence[Path]) -> None:
    """Keep what could not be used, each record once: what the door set aside, and what landing finds without key or time."""
    if not any(entry["rejected"] or entry["blanked"] for entry in entries):
        return
    names = ("institution_id", "platform", "account_id", "stream", "run_id", "day")
    placed = [{"file": str(path), "lines": entry["lines"]} for entry, path in zip(entries, files, strict=True)]
    manifests = pl.DataFrame([one | {name: entry[name] for name in names} for one, entry in zip(placed, entries, strict=True)])
    there = [str(path) for path in files if path.exists()]
    sources = [
        "SELECT lines, observed_at, 'record' AS field, 'without key or time' AS reason, payload FROM decided WHERE action = 'unkeyed'"
    ]
    if there:
        sources.append(
            "SELECT m.lines, a.observed_at, a.field, a.reason, a.payload FROM read_json($files, format = 'newline_delimited', "
            f"columns = {ASIDE_COLUMNS}, filename = true, maximum_object_size = {MAX_LINE_BYTES}) AS a JOIN manifests AS m ON m.file = a.filename"
        )
    connection.register("manifests", manifests)
    connection.execute(
        f"""
        INSERT INTO {QUARANTINE.name} BY NAME
        SELECT DISTINCT ON ({", ".join(QUARANTINE.key)}) * FROM (
            SELECT m.* EXCLUDE (file, lines), a.observed_at, a.field, a.reason, json_extract_string(a.payload, $key_path) AS record_key,
                   nullif(a.payload::VARCHAR, 'null')::JSON AS payload, md5(coalesce(a.payload::VARCHAR, '')) AS payload_hash
            FROM ({" UNION ALL BY NAME ".join(sources)}) AS a JOIN manifests AS m USING (lines)
        ) AS n WHERE NOT EXISTS (FROM {QUARANTINE.name} AS q WHERE {" AND ".join(f"q.{name} = n.{name}" for name in QUARANTINE.key)})
        ORDER BY observed_at, reason
        """,
        {"key_path": f"$.{stream.kind.key}"} | ({"files": there} if there else {}),
    )
    connection.unregister("manifests")


def _account(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Path]) -> None:
    """Enter what was used of the day's allowance; landed twice it is entered once."""
    names = ("institution_id", "platform", "account_id", "stream", "run_id", "window_start", "window_end", "requested_at")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
    used = [
        {name: one[name] for name in names} | {"requests": one["requests"], "cost_usd": Decimal(one["cost_usd"])}
        for one in told
        if one.get("requests")
    ]
    if not used:
        return
    connection.register("used", pl.DataFrame(used, schema_overrides={"cost_usd": pl.Decimal(12, 4)}))
    times = ", ".join(f"{name}::TIMESTAMPTZ AS {name}" for name in names[-3:])
    with transaction(connection):
        connection.execute(
            f"INSERT INTO {SPENDING.name} BY NAME SELECT u.* FROM (SELECT * REPLACE ({times}) FROM used) AS u "
            f"ANTI JOIN {SPENDING.name} USING ({', '.join(SPENDING.key)})"
        )
    connection.unregister("used")


def _note_paid(connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, told: Sequence[Mapping[str, Any]]) -> None:
    """Remember which records were paid for, as long as they may be read again on the same day."""
    if stream.price_usd is free:
        return
    latest = max(datetime.fromisoformat(one["requested_at"]) for one in told)
    connection.execute(f"DELETE FROM {PAID_RECORD.name} WHERE paid_at < ?", [latest - PAID_FOR])
    connection.execute(
        f"INSERT INTO {PAID_RECORD.name} SELECT DISTINCT institution_id, ?, ?, record_key, requested_at FROM decided WHERE record_key IS NOT NULL "
        f"AND requested_at >= ? EXCEPT FROM {PAID_RECORD.name}",
        [connector.platform, stream.name, latest - PAID_FOR],
    )


def _note_refusals(
    connection: duckdb.DuckDBPyConnection, stream: Stream, told: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]
) -> None:
    """Remember which metrics the platform refused, and since when. Of another status or another entry the former row goes."""
    if not stream.metrics:
        return
    for one, entry in zip(told, entries, strict=True):
        who = [entry[name] for name in ("institution_id", "platform", "account_id", "stream")]
        for refusal in one.get("refusals", ()):
            named = [*who, refusal["metric"], refusal["kind"]]
            connection.execute(
                f"DELETE FROM {METRIC.name} WHERE (institution_id, platform, account_id, stream, metric, kind) = (?, ?, ?, ?, ?, ?) "
                "AND (status, entry) <> (?, ?)",
                [*named, refusal["status"], refusal["entry"]],
            )
            connection.execute(
                f"INSERT INTO {METRIC.name} SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (FROM {METRIC.name} "
                "WHERE (institution_id, platform, account_id, stream, metric, kind) = (?, ?, ?, ?, ?, ?))",
                [*named, refusal["status"], entry["day"], refusal["entry"], *named],
            )


def _note_fields(
    connection: duckdb.DuckDBPyConnection, connector: Connector, stream: Stream, told: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Remember which members records have, and return those that are new in a stream that was known already."""
    where = [connector.platform, stream.name]
    known = {
        (institution_id, field)
        for institution_id, field in connection.execute(
            f"SELECT institution_id, field FROM {FIELD.name} WHERE platform = ? AND stream = ?", where
        ).fetchall()
    }
    new = {(one["institution_id"], field): one["observed_at"] for one in reversed(told) for field in one.get("fields", ())}
    new = {pair: at for pair, at in new.items() if pair not in known}
    if not new:
        return ()
    connection.executemany(
        f"INSERT INTO {FIELD.name} VALUES (?, ?, ?, ?, ?)", [[one, *where, field, at] for (one, field), at in sorted(new.items())]
    )
    begun = {institution_id for institution_id, _ in known}
    return tuple(sorted({field for institution_id, field in new if institution_id in begun}))


def _write(connection: duckdb.DuckDBPyConnection, table: Table, *, has_changes: bool) -> None:
    """Bring what was decided into the table. What is all new is only added: merging it costs a fifth more, and 300 MB a million (measured)."""
    names = ", ".join(table.names)
    if not has_changes:
        connection.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM decided WHERE action = 'new' AND stays")
        return
    values = ", ".join(f"b.{name}" for name in table.names)
    updates = ", ".join(f"{name} = b.{name}" for name in table.names if name not in table.key)
    connection.execute(
        f"MERGE INTO {table.name} AS t USING (FROM decided WHERE action IN ('new', 'changed') AND stays) AS b ON {_same_key(table)} "
        f"WHEN MATCHED THEN UPDATE SET {updates} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )


class _Counted(NamedTuple):
    """What was decided for one file of lines; `first_day` is the earliest that it touches, None when it touches none."""

    lines: str
    institution_id: str
    new: int
    changed: int
    unkeyed: int
    first_day: date | None


def _counted(connection: duckdb.DuckDBPyConnection) -> list[_Counted]:
    found = connection.execute(
        "SELECT lines, institution_id, count(*) FILTER (action = 'new'), count(*) FILTER (action = 'changed'), "
        "count(*) FILTER (action = 'unkeyed'), min(day) FILTER (action IN ('new', 'changed')) FROM decided GROUP BY ALL"
    ).fetchall()
    return [_Counted(*row) for row in found]


INSTANTS = ("requested_at", "observed_at", "window_start", "window_end")
# What stands beside a record of which no number was given.
NO_NUMBERS = ("null", "{}", '{"data":[]}')


def _distance(stream: Stream, row: str, zone: str) -> str:
    """How far a reading is from the one that its day would best have, as SQL that compares: the least is kept.

    A thing that expires may be gone between the list and the question for its numbers: such a reading replaces none that has them.
    """
    if not isinstance(stream.kind, Snapshot):
        return f"-epoch({row}observed_at)"
    if stream.expires_after is None:
        return f"abs(epoch({row}observed_at) - epoch((({row}day + 1)::TIMESTAMP) AT TIME ZONE {zone}))"
    numbers = "'numbers'" if stream.beside is None else f"coalesce(json_extract({row}payload, '$.{stream.beside.into}')::VARCHAR, 'null')"
    return f"{{'has_none': {numbers} IN {NO_NUMBERS}, 'd': -epoch({row}observed_at)}}"


def _decide(
    connection: duckdb.DuckDBPyConnection, table: Table, stream: Stream, told: Sequence[Mapping[str, Any]], now: datetime | None
) -> None:
    """Leave the temporary table `decided`: each record of the batch and what to do with it: new, changed, same, or unkeyed.

    `stays` is false where a later run of the batch changes the row again.
    Of several snapshots on one day the one nearest to the day's end is kept, so that a later rerun shifts nothing. Of a thing that
    expires it is the latest: its last hours would be lost when they end between midnight and noon, and no later day has them.
    Nearly no batch holds a record twice. Ranking those that do costs a million records 700 MB and a third of the time (measured), so
    it is counted first, and ranked only where it must be.
    """
    is_snapshot = isinstance(stream.kind, Snapshot)
    at_path = f"$.{stream.kind.at}" if isinstance(stream.kind, Event | Daily) else "$"
    manifests = pl.DataFrame(
        [{name: one[name] for name in ("lines", "turn", "institution_id", "account_id", "zone", "run_id", *INSTANTS)} for one in told]
    )
    day = "((observed_at - INTERVAL 12 HOUR) AT TIME ZONE zone)::DATE" if is_snapshot else "(happened_at AT TIME ZONE zone)::DATE"
    distance, kept_distance = _distance(stream, "", "zone"), _distance(stream, "t.", "b.zone")
    # Of two equally near the earlier stays, so that the order in which they arrive does not matter.
    spot, kept_spot = "(b.distance, b.observed_at)", f"({kept_distance}, t.observed_at)"
    is_nearer = f"{spot} < {kept_spot}" if is_snapshot else "false"
    is_as_near = f"{spot} = {kept_spot}" if is_snapshot else "b.observed_at >= t.observed_at"
    keys, instants = ", ".join(table.key), ", ".join(f"m.{name}::TIMESTAMPTZ AS {name}" for name in INSTANTS)
    is_of_one_run = told[0]["turn"] == told[-1]["turn"]
    held = "" if is_of_one_run else f", t.payload_hash AS held_hash, t.observed_at AS held_at, {kept_distance} AS held_distance"
    connection.register("manifests", manifests)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE decided AS
        WITH cut AS (
            SELECT m.* REPLACE ({instants}), l.payload, coalesce($now::TIMESTAMPTZ, m.requested_at::TIMESTAMPTZ) AS changed_at,
                   json_extract_string(l.payload, $key_path) AS record_key, md5(l.payload::VARCHAR) AS payload_hash,
                   try_cast(json_extract_string(l.payload, $at_path) AS TIMESTAMPTZ) AS happened_at
            FROM read_json($files, format = 'newline_delimited', columns = {LINE_COLUMNS}, filename = true,
                           maximum_object_size = {MAX_LINE_BYTES}) AS l
            JOIN manifests AS m ON m.lines = l.filename
        ), dated AS (SELECT *, {day} AS day FROM cut
        ), far AS (SELECT *, {distance} AS distance FROM dated
        )
        SELECT b.*, CASE WHEN b.record_key IS NULL OR b.day IS NULL THEN 'unkeyed'
                         WHEN t.record_key IS NULL THEN 'new'
                         WHEN {is_nearer} OR ({is_as_near} AND t.payload_hash <> b.payload_hash) THEN 'changed' ELSE 'same' END AS action, true AS stays
               {held}
        FROM far AS b LEFT JOIN {table.name} AS t ON {_same_key(table)}
        """,
        {"now": now, "key_path": f"$.{stream.kind.key}", "at_path": at_path, "files": [one["lines"] for one in told]},
    )
    connection.unregister("manifests")
    if not is_of_one_run:
        _decide_in_turn(connection, keys, is_snapshot=is_snapshot)
        return
    found = first(connection, f"SELECT count(*), count(DISTINCT hash({keys})) FROM decided WHERE action <> 'unkeyed'")
    if found and found[0] != found[1]:
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE decided AS
            SELECT * EXCLUDE (place) REPLACE (CASE WHEN place > 1 AND action <> 'unkeyed' THEN 'same' ELSE action END AS action) FROM (
                SELECT *, row_number() OVER (PARTITION BY {keys}, action = 'unkeyed' ORDER BY distance, observed_at, payload_hash) AS place
                FROM decided)
            """
        )


def _decide_in_turn(connection: duckdb.DuckDBPyConnection, keys: str, *, is_snapshot: bool) -> None:
    """Decide each run's records beside what the runs before it leave, not beside the table alone; of a run the same one counts as ever.

    Runs follow each other, so of events whoever says something else than the one before replaces it; of snapshots whoever is nearer
    (`_distance`) than all before.
    """
    spot, held = "{'d': distance, 'o': observed_at}", "CASE WHEN held_hash IS NOT NULL THEN {'d': held_distance, 'o': held_at} END"
    nearest = f"least(min({spot}) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), {held})"
    if is_snapshot:
        counts, known = "true", f"{nearest} IS NOT NULL"
        said = "coalesce(lag(payload_hash) OVER (w_at), CASE WHEN held_at = observed_at THEN held_hash END)"
        replaces = f"{spot} < {nearest} OR ({spot} = {nearest} AND payload_hash <> {said})"
    else:
        counts, known = "observed_at >= coalesce(held_at, observed_at)", "coalesce(lag(payload_hash) OVER w, held_hash) IS NOT NULL"
        replaces = "payload_hash <> coalesce(lag(payload_hash) OVER w, held_hash)"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE decided AS
        WITH placed AS (
            SELECT *, row_number() OVER (PARTITION BY {keys}, turn, action = 'unkeyed' ORDER BY distance, observed_at, payload_hash) AS place
            FROM decided
        ), chosen AS (SELECT *, place = 1 AND action <> 'unkeyed' AND {counts} AS is_chosen FROM placed
        ), acted AS (
            SELECT * REPLACE (CASE WHEN action = 'unkeyed' THEN action WHEN NOT is_chosen THEN 'same'
                                   WHEN NOT ({known}) THEN 'new' WHEN {replaces} THEN 'changed' ELSE 'same' END AS action)
            FROM chosen
            WINDOW w AS (PARTITION BY {keys}, is_chosen ORDER BY turn),
                   w_at AS (PARTITION BY {keys}, is_chosen, observed_at ORDER BY turn)
        )
        SELECT * EXCLUDE (place, is_chosen, held_hash, held_at, held_distance)
               REPLACE (turn = max(turn) FILTER (action IN ('new', 'changed')) OVER (PARTITION BY {keys}) AS stays)
        FROM acted
        """
    )


def _same_key(table: Table) -> str:
    return " AND ".join(f"t.{name} = b.{name}" for name in table.key)


def _entry(stream: Stream, told: Mapping[str, Any], counted: _Counted | None) -> dict[str, Any]:
    """The ledger's row for one manifest."""
    times = {name: datetime.fromisoformat(told[name]) for name in ("window_start", "window_end", "requested_at", "observed_at")}
    entry = {name: told.get(name) for name in (*FETCH.names, "lines", "turn")} | times | {"retired_fields": told.get("retired_fields", [])}
    day = snapshot_day(times["observed_at"], told["zone"])
    unkeyed = counted.unkeyed if counted else 0
    if told["is_complete"] and unkeyed and is_red(unkeyed, told["records"]):
        reason = red_reason(stream.name, unkeyed, told["records"], "without key or time")
        entry |= {"is_complete": False, "ledger_status": "missing", "reason": reason}
    return entry | {
        "day": day,
        "day_end": datetime.combine(day + timedelta(days=1), time(), ZoneInfo(told["zone"])),
        "is_extra": told.get("is_extra", False),
        "rejected": told["rejected"] + unkeyed,
        "rows_new": counted.new if counted else 0,
        "rows_changed": counted.changed if counted else 0,
    }


def _enter(connection: duckdb.DuckDBPyConnection, platform: str, stream: Stream, entries: Sequence[dict[str, Any]]) -> list[bool]:
    """Write those rows into the ledger that tell something which it did not know; say for each whether it did.

    The ledger is read once for all windows of the stream: a question for each of eleven windows cost a tenth of a night's landing (measured).
    """
    there = _entered(connection, platform, stream, entries)
    news: list[dict[str, Any]] = []
    told = []
    for entry in entries:
        said = there[entry["institution_id"], entry["account_id"], entry["day"]]
        # A run that died between the commit and the filing: its files are still to be kept.
        is_entered = any(all(entry[name] == one[name] for name in ("run_id", "window_start", "window_end")) for one in said)
        is_news = not is_entered and _tells_something(stream, entry, said)
        if is_news:
            said.append(entry)
            news.append(entry)
        told.append(is_entered or is_news)
    if news:
        # One statement: one for each row cost a fifth of the landing of thirty nights (measured).
        rows = pl.DataFrame([{name: entry[name] for name in FETCH.names} for entry in news], infer_schema_length=None)
        connection.register("news", rows)
        connection.execute(f"INSERT INTO {FETCH.name} BY NAME FROM news")
        connection.unregister("news")
        _mark_turns(connection, FETCH, [(entry["turn"], entry["institution_id"], entry["day"]) for entry in news])
    return told


_TOLD = ("run_id", "window_start", "window_end", "is_complete", "is_last", "ledger_status", "reason", "denied_fields", "retired_fields")


def _entered(
    connection: duckdb.DuckDBPyConnection, platform: str, stream: Stream, entries: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str, date], list[dict[str, Any]]]:
    """What the ledger holds of the entries' days, by institution, account and day."""
    found = connection.execute(
        f"SELECT institution_id, account_id, day, {', '.join(_TOLD)} FROM meta.fetch WHERE platform = ? AND stream = ? AND list_contains(?, day)",
        [platform, stream.name, sorted({entry["day"] for entry in entries})],
    ).fetchall()
    there: dict[tuple[str, str, date], list[dict[str, Any]]] = defaultdict(list)
    for institution_id, account_id, day, *told in found:
        there[institution_id, account_id, day].append(dict(zip(_TOLD, told, strict=True)))
    return there


def _tells_something(stream: Stream, entry: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> bool:
    """New rows; or a day that was not known whole; or a failure that was not told yet."""
    if entry["is_extra"] or entry["rows_new"] + entry["rows_changed"] > 0:
        return True
    is_known = any(one["is_complete"] and _gave_as_much(entry, one) and _is_as_much(stream, entry, one) for one in said)
    is_told = any((one["ledger_status"], one["reason"]) == (entry["ledger_status"], entry["reason"]) for one in said)
    return not (is_known or (is_told and not entry["is_complete"]))


def _gave_as_much(entry: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """Nothing was withheld that the other had, nor the other way round."""
    return all((one[name] or []) == (entry[name] or []) for name in ("denied_fields", "retired_fields"))


def _is_as_much(stream: Stream, entry: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """A snapshot that was read to its end; or events up to the day's end: an hourly fetch at noon does not reach it."""
    if isinstance(stream.kind, Snapshot):
        return bool(one["is_last"])
    # Of a list that is read window by window, the one before says nothing about the next.
    reaches = one["window_end"] >= entry["day_end"] or (
        entry["window_end"] < entry["day_end"] and entry["window_start"] < one["window_end"]
    )
    return bool(one["window_start"] <= entry["window_start"] and reaches)


def _lines_of(manifest: Path) -> Path:
    """The file of lines that belongs to a manifest: plain while incoming, compressed when filed."""
    plain = manifest.with_suffix(".ndjson")
    return plain if plain.exists() else manifest.with_suffix(".ndjson.gz")


def _aside_of(manifest: Path) -> Path:
    """The file of what could not be used of a window; it need not be there."""
    plain = manifest.with_suffix(".aside.ndjson")
    return plain if plain.exists() else manifest.with_suffix(".aside.ndjson.gz")


def _file(manifest: Path, day: date | None, landing: Path) -> None:
    """Move a manifest and its lines to `landing/<institution>/<day>/<run>/`; drop them when they told nothing new (`day` None)."""
    files = [path for path in (_lines_of(manifest), _aside_of(manifest)) if path.exists()]
    if day is not None:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        folder = landing / told["institution_id"] / day.isoformat() / told["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            _pack(path, folder / f"{path.name}.gz")
        manifest.rename(folder / manifest.name)
    else:
        # Lines without a manifest are left over; a manifest without lines would be read.
        manifest.unlink()
    for path in files:
        path.unlink()


def _pack(path: Path, target: Path) -> None:
    """Compress a file. No time stamp inside, so that the same night gives the same bytes."""
    with (
        path.open("rb") as source,
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=PACKING, mtime=0, filename="") as packed,
    ):
        shutil.copyfileobj(source, packed)
