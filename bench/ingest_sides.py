"""The sides of the ingest benchmark that run in Tolok's own environment: Tolok's path, and the floor under any path.

Not here: the peer (ingest_dlt.py, in an environment of its own) and the comparison (ingest.py).
Each side is started as a process: `python -m bench.ingest_sides SIDE URL RECORDS FOLDER`; its last line tells what it did.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import requests

from bench.ingest_pages import NEWEST

MAX_PAGES = 20_000
# A day after the newest record; it stands still, so that two runs write the same.
NOW = NEWEST + timedelta(days=1)


class Page(msgspec.Struct):
    """A page of the benchmark's server, its records uncut."""

    data: list[msgspec.Raw]
    meta: dict[str, msgspec.Raw]


def tolok(url: str, records: int, folder: Path, *, is_private: bool) -> dict[str, object]:
    """Plan aside, what a night does with one stream: fetch_all, then land. The stream is declared here, for this run alone."""
    from assets import asking, raw  # noqa: PLC0415 the floor must not pay for it
    from connectors.budget import Allowance, DayBudget  # noqa: PLC0415
    from connectors.clock import InjectedClock  # noqa: PLC0415
    from connectors.paging import body_cursor  # noqa: PLC0415
    from connectors.privacy import Private, Pseudonyms  # noqa: PLC0415
    from connectors.registry import platforms  # noqa: PLC0415
    from connectors.secret import Secret  # noqa: PLC0415
    from connectors.streams import Account, Bearer, Connector, Event, Limits, Stream, Window  # noqa: PLC0415
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    stream = Stream(
        "records",
        "GET /records",
        kind=Event(key="id", at="created_at"),
        description="One row per record of the benchmark.",
        paging=body_cursor("meta.next_token", "pagination_token"),
        records="data",
        max_pages=MAX_PAGES,
        # As X's and Mastodon's posts have it: fields dropped, an id replaced, a text without other people's handles.
        private=Private(drop=("author.username",), pseudonym=("author.id",), redact=("text",)) if is_private else None,
    )
    connector = Connector(
        platform="bench",
        label="Benchmark",
        api_version="1",
        sunset=None,
        docs_url="",
        default_base_url=None,
        auth=Bearer(scopes=()),
        limits=Limits(requests=10**9, per=timedelta(minutes=1), remaining_header="", reset_header=""),
        streams=(stream,),
        post_url="",
    )
    platforms()["bench"] = connector
    account = Account("bench", "bench", "1", "bench", url, Secret(""))
    window = Window(NOW - timedelta(days=60), NOW)
    job = asking.Job(
        connector, stream, account, "Asia/Jakarta", (asking.Due(window, is_last=True),), DayBudget("the benchmark", Allowance())
    )
    warehouse = Warehouse(folder / "warehouse.duckdb")
    landing = folder / "landing"
    clock, pseudonyms = InjectedClock(NOW), Pseudonyms(Secret("a key of the benchmark's own"))
    told: dict[str, object] = {}
    times = [time.monotonic()]
    asking.fetch_all([job], landing / "incoming", f"run-{time.time_ns()}", pseudonyms, clock, 0, lambda _: None)
    times.append(time.monotonic())
    with warehouse.open() as connection:
        (landed,), gaps = raw.land(connection, landing, NOW)
        if gaps:
            message = f"The records did not come whole: {gaps[0].reason}"
            raise RuntimeError(message)
        told |= {"received": landed.received, "new": landed.new, "changed": landed.changed}
        (told["rows"],) = connection.execute("SELECT count(*) FROM raw.bench__records").fetchone() or (0,)
    times.append(time.monotonic())
    kept = sum(path.stat().st_size for path in landing.rglob("*.gz"))
    check(told, records)
    return told | {"fetch_s": times[1] - times[0], "land_s": times[2] - times[1], "kept_bytes": kept}


def floor(url: str, records: int, folder: Path) -> dict[str, object]:
    """Download, cut, NDJSON, read_json, MERGE: no retry, no limit, no guard, no evidence kept, no ledger. Nothing with these tools is less."""
    lines = folder / "lines.ndjson"
    times = [time.monotonic()]
    decode = msgspec.json.Decoder(Page).decode
    received = 0
    with requests.Session() as session, lines.open("wb") as file:
        token = None
        while True:
            page = decode(session.get(f"{url}/records", params={"pagination_token": token} if token else None, timeout=60).content)
            file.write(b"\n".join(page.data) + b"\n")
            received += len(page.data)
            if "next_token" not in page.meta:
                break
            token = msgspec.json.decode(page.meta["next_token"])
    times.append(time.monotonic())
    told: dict[str, object] = {"received": received}
    with duckdb.connect(str(folder / "floor.duckdb")) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("CREATE TABLE IF NOT EXISTS records (id VARCHAR, payload JSON)")
        connection.execute(
            "MERGE INTO records AS t USING (SELECT json_extract_string(json, '$.id') AS id, json AS payload FROM read_json_objects($path, "
            "format = 'newline_delimited')) AS b ON t.id = b.id "
            "WHEN MATCHED AND t.payload IS DISTINCT FROM b.payload THEN UPDATE SET payload = b.payload "
            "WHEN NOT MATCHED THEN INSERT VALUES (b.id, b.payload)",
            {"path": str(lines)},
        )
        (told["rows"],) = connection.execute("SELECT count(*) FROM records").fetchone() or (0,)
    lines.unlink()
    times.append(time.monotonic())
    check(told, records)
    return told | {"fetch_s": times[1] - times[0], "land_s": times[2] - times[1]}


def check(told: dict[str, object], records: int) -> None:
    """Refuse a figure of work that was not done.

    Raises:
        RuntimeError: other records came, or stand in the table, than were served.
    """
    if (told["received"], told["rows"]) != (records, records):
        message = f"{records} records were served; {told}"
        raise RuntimeError(message)


SIDES: dict[str, Callable[[str, int, Path], dict[str, object]]] = {
    "floor": floor,
    "tolok": lambda url, records, folder: tolok(url, records, folder, is_private=False),
    "tolok-private": lambda url, records, folder: tolok(url, records, folder, is_private=True),
}

if __name__ == "__main__":
    side, url, records, folder = sys.argv[1:]
    sys.stdout.write(json.dumps(SIDES[side](url, int(records), Path(folder)) | {"at": datetime.now(UTC).isoformat()}) + "\n")
