"""Six platforms asked at once, beside the slowest of them alone: a night is to last as long as its slowest platform, not as their sum.

    .venv/bin/python -m bench.platforms

A loopback server plays six made-up platforms of 20 accounts each, declared here alone; each answer takes 50 ms. Each side is a process of
its own that fetches and lands: each platform alone, all together, and all together in the way not taken, one pool of 16 threads for all hosts. Three runs, the
median. Not here: real platforms' limits, which are far lower, and what a night does after landing (night.py).
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.measuring import background, machine, measure, say, table, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.asking import Job

LATENCY_S = 0.05
ACCOUNTS = 20
# Pages of comments of each account, by platform: they are not equally talkative.
PAGES = {"able": 1, "baker": 2, "charlie": 2, "dog": 3, "easy": 3, "fox": 5}
STREAMS = ("accounts", "posts", "comments", "insights")
RECORDS = 50
RUNS = 3
LIMIT_S = 300.0
ONE_POOL = 16
NOW = datetime(2026, 1, 15, 19, tzinfo=UTC)
AIM_RATIO, AIM_MB = 1.3, 500


def page(stream: str, account: str, number: int, pages: int) -> bytes:
    """One answer: records of some 300 bytes, with a person in each comment."""
    count = 1 if stream == "accounts" else RECORDS
    records = [
        {
            "id": f"{account}{number:03}{at:03}",
            "created_at": f"2026-01-14T{at % 24:02}:00:00Z",
            "author": {"id": str(at * 7919), "username": f"someone_{at}"},
            "text": f"Terima kasih @sahabat_{at}, semoga berkah untuk semua warga yang ikut",
            "counts": {"like": at, "reply": at % 7, "share": at % 3, "view": at * 100},
        }
        for at in range(count)
    ]
    following = {"next_token": str(number + 1)} if number + 1 < pages else {}
    body = json.dumps({"data": records, "meta": {"result_count": count} | following}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def serve() -> None:
    """One port a platform; says them in one line of JSON, then answers until it is ended."""

    async def listen(pages: int) -> int:
        ready: dict[tuple[str, str, int], bytes] = {}

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while heard := await reader.readuntil(b"\r\n\r\n"):
                    stream, account = heard.split(b" ")[1].decode().partition("?")[0].strip("/").split("/")
                    number = int(heard.partition(b"pagination_token=")[2].split(b" ")[0].split(b"&")[0] or 0)
                    of_stream = pages if stream == "comments" else 1
                    key = stream, account, number
                    ready.setdefault(key, page(stream, account, number, of_stream))
                    await asyncio.sleep(LATENCY_S)
                    writer.write(ready[key])
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    say(json.dumps({name: f"http://127.0.0.1:{await listen(pages)}" for name, pages in PAGES.items()}))
    await asyncio.Event().wait()


def jobs_of(urls: dict[str, str]) -> list[Job]:
    """Declare the platforms, for this process alone; one job for each stream of each account, in the order in which a plan has them."""
    from assets.asking import Due, Job  # noqa: PLC0415 the server must not pay for it
    from connectors.budget import Allowance, DayBudget  # noqa: PLC0415
    from connectors.paging import body_cursor  # noqa: PLC0415
    from connectors.privacy import Private  # noqa: PLC0415
    from connectors.registry import platforms  # noqa: PLC0415
    from connectors.secret import Secret  # noqa: PLC0415
    from connectors.streams import Account, Bearer, Connector, Event, Limits, Snapshot, Stream, Window  # noqa: PLC0415

    found = []
    for name, url in urls.items():
        streams = tuple(
            Stream(
                stream,
                f"GET /{stream}/{{account_id}}",
                kind=Event(key="id", at="created_at") if stream == "comments" else Snapshot(key="id"),
                description="One row per record of the benchmark.",
                paging=body_cursor("meta.next_token", "pagination_token"),
                records="data",
                counts=tuple(f"counts.{count}" for count in ("like", "reply", "share", "view")),
                private=Private(drop=("author.username",), pseudonym=("author.id",), redact=("text",)) if stream == "comments" else None,
            )
            for stream in STREAMS
        )
        limits = Limits(requests=10**9, per=timedelta(minutes=1), remaining_header="", reset_header="")
        connector = Connector(
            name, name, "1", None, docs_url="", default_base_url=None, auth=Bearer(scopes=()), limits=limits, streams=streams, post_url=""
        )
        platforms()[name] = connector
        budget = DayBudget("the benchmark", Allowance())
        due = (Due(Window(NOW - timedelta(days=7), NOW), is_last=True),)
        for number in range(ACCOUNTS):
            account = Account("bench", name, f"{number:02}", "bench", url, Secret(""))
            found += [Job(connector, stream, account, "Asia/Jakarta", due, budget) for stream in streams]
    return found


def side(urls: dict[str, str], folder: Path, *, is_one_pool: bool) -> dict[str, object]:
    """Fetch everything at once, then land it."""
    from assets import asking, raw  # noqa: PLC0415
    from connectors.clock import InjectedClock  # noqa: PLC0415
    from connectors.privacy import Pseudonyms  # noqa: PLC0415
    from connectors.secret import Secret  # noqa: PLC0415
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    jobs = jobs_of(urls)
    pseudonyms = Pseudonyms(Secret("a key of the benchmark's own"))
    times = [time.monotonic()]
    with one_pool() if is_one_pool else nullcontext():
        asking.fetch_all(jobs, folder / "incoming", "run", pseudonyms, InjectedClock(NOW), 0, lambda _: None)
    times.append(time.monotonic())
    with Warehouse(folder / "warehouse.duckdb").open() as connection:
        landed, gaps = raw.land(connection, folder, NOW)
    times.append(time.monotonic())
    expected = ACCOUNTS * sum(1 + RECORDS * (2 + PAGES[name]) for name in urls)
    rows = sum(one.new for one in landed)
    if gaps or rows != expected:
        message = f"{rows} rows landed instead of {expected}; gaps: {gaps[:1]}"
        raise RuntimeError(message)
    requests = sum(one.requests for one in landed)
    return {"fetch_s": times[1] - times[0], "land_s": times[2] - times[1], "rows": rows, "requests": requests}


@contextmanager
def one_pool() -> Iterator[None]:
    """The way not taken: the threads of all hosts in one pool."""
    from assets import asking  # noqa: PLC0415

    with ThreadPoolExecutor(ONE_POOL) as pool:
        asking.Pools.of = lambda *_: pool  # type: ignore[method-assign]
        yield


def main() -> None:
    """Measure every side and print the table."""
    say(f"{machine()}; {versions('duckdb', 'requests', 'msgspec')}")
    rows, medians = [], {}
    with background([sys.executable, "-m", "bench.platforms", "serve"]) as server:
        urls = json.loads(server.stdout.readline() if server.stdout else "{}")
        sides = {name: {name: url} for name, url in urls.items()} | {"all six": urls, "all six, one pool of 16": urls}
        for name, asked in sides.items():
            measured = []
            for _ in range(RUNS):
                with tempfile.TemporaryDirectory() as folder:
                    command = [sys.executable, "-m", "bench.platforms", "side", json.dumps(asked), folder, str("pool" in name)]
                    measured.append(measure(command, LIMIT_S))
            medians[name] = median(float(one.told["fetch_s"]) for one in measured)
            land_s, cpu_s = median(float(one.told["land_s"]) for one in measured), median(one.cpu_s for one in measured)
            peak_mb = max(one.peak_bytes for one in measured) / 2**20
            told = measured[0].told
            rows.append(
                [
                    name,
                    f"{told['requests']:,}",
                    f"{told['rows']:,}",
                    f"{medians[name]:.1f}",
                    f"{land_s:.1f}",
                    f"{cpu_s:.1f}",
                    f"{peak_mb:.0f}",
                ]
            )
    say(table(("side", "requests", "records", "fetch s", "land s", "CPU s", "peak MB"), rows))
    slowest = max(medians[name] for name in urls)
    total = sum(medians[name] for name in urls)
    say(
        f"All six take {medians['all six'] / slowest:.2f} times the slowest alone (aim: {AIM_RATIO}), {medians['all six'] / total:.2f} of the "
        f"sum; in one pool {medians['all six, one pool of 16'] / slowest:.2f} times. Aim of memory: {AIM_MB} MB."
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(serve())
        case ["side", urls, folder, is_one_pool]:
            say(json.dumps(side(json.loads(urls), Path(folder), is_one_pool=is_one_pool == "True")))
        case _:
            main()
