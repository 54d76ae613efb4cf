"""Ingest over loopback into DuckDB, merged by key: Tolok's path, dlt's rest_api source, and the floor, one after another in one run.

    .venv/bin/python -m bench.ingest --records 1000000 --page-size 1000 --dlt-records 50000

Not here: the sides themselves (ingest_sides.py, ingest_dlt.py) and the server (ingest_pages.py). A peer that is given fewer records is
compared with Tolok at that number. Prints a Markdown table; nothing is asserted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from bench.measuring import ROOT, background, machine, measure, say, table, versions

PEER = ROOT / "var" / "bench" / "dlt-venv"
OURS = ("floor", "tolok", "tolok-private")
THEIRS = ("dlt", "dlt-tuned")
UNCHANGED = 10**9


def peer_python() -> Path:
    """The peer's own environment, made with the newest versions where there is none."""
    python = PEER / "bin" / "python"
    if not python.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(PEER)], check=True)  # noqa: S603 our own locked tool
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "dlt[duckdb,parquet]"], check=True)  # noqa: S603
    return python


def download_s(url: str, pages: int) -> float:
    """How long the server alone takes: every page read and thrown away."""
    begun = time.monotonic()
    with requests.Session() as session:
        for page in range(pages):
            session.get(f"{url}/records", params={"pagination_token": str(page)}, timeout=60).raise_for_status()
    return time.monotonic() - begun


def compare(records: int, page_size: int, sides: tuple[str, ...], limit_s: float) -> list[list[str]]:
    """One row per side."""
    server = [sys.executable, "-m", "bench.ingest_pages", str(records), str(page_size), str(UNCHANGED)]
    rows: list[list[str]] = []
    with background(server) as running:
        port = running.stdout.readline().split()[0] if running.stdout else ""
        url = f"http://127.0.0.1:{port}"
        say(f"{records:,} records in pages of {page_size:,}: downloading alone {download_s(url, -(-records // page_size)):.1f} s")
        for side in sides:
            command = [str(peer_python()), "-m", "bench.ingest_dlt"] if side in THEIRS else [sys.executable, "-m", "bench.ingest_sides"]
            with tempfile.TemporaryDirectory(prefix="tolok-bench-") as folder:
                used = measure([*command, side, url, str(records), folder], limit_s)
            wall = f"{used.wall_s:.1f}" if used.is_whole else f"> {used.wall_s:.0f} (ended)"
            rows.append([side, f"{records:,}", f"{page_size:,}", wall, f"{used.cpu_s:.1f}", f"{used.peak_bytes / 1e6:.0f}"])
            say("  ".join(rows[-1]))
    return rows


def main() -> None:
    """Run what the command line asks for."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--records", type=int, default=1_000_000)
    ask.add_argument("--page-size", type=int, nargs="+", default=[100, 1000])
    ask.add_argument("--dlt-records", type=int, default=200_000, help="how many the peer is given; 0 leaves it out")
    ask.add_argument("--limit-s", type=float, default=900, help="a side that takes longer is ended, and the table says so")
    told = ask.parse_args()
    about = f"{machine()}; {versions('duckdb', 'requests', 'msgspec')}"
    rows: list[list[str]] = []
    for page_size in told.page_size:
        same = told.dlt_records == told.records
        rows += compare(told.records, page_size, (*OURS, *(THEIRS if same else ())), told.limit_s)
        if told.dlt_records and not same:
            rows += compare(told.dlt_records, page_size, ("floor", "tolok", *THEIRS), told.limit_s)
    if told.dlt_records:
        shown = [str(peer_python()), "-c", "import dlt, duckdb; print(f'peer: dlt {dlt.__version__}, duckdb {duckdb.__version__}')"]
        about += "; " + subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    say(about + "\n\n" + table(["side", "records", "page", "wall s", "CPU s", "peak MB"], rows))


if __name__ == "__main__":
    main()
