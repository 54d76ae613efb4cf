"""How many requests a night sends, beside the least that the platforms allow.

    .venv/bin/python -m bench.sent

Counted where they arrive, in the sandbox's log: a first night and a usual one of the simulated institution (one account on
Mastodon, two on X), played without Dagster. The least, for one stream, account and window: the records that came by what the platform gives in one answer,
rounded up, and one where nothing came. Not here: what the requests cost in seconds (ingest.py).
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from math import ceil
from pathlib import Path

from bench.measuring import machine, say, table
from sandbox import server
from tests.support.nights import instant, make_home, play

# What one answer holds at most, by the platforms' documentation; what is not named comes in one answer.
MOST = {("mastodon", "posts"): 40, ("mastodon", "mentions"): 80, ("x", "posts"): 100, ("x", "mentions"): 100}
PATHS = {
    ("mastodon", "accounts"): r"/api/v1/accounts/\d+$",
    ("mastodon", "posts"): r"/api/v1/accounts/\d+/statuses$",
    ("mastodon", "mentions"): r"/api/v1/notifications$",
    ("x", "accounts"): r"/2/users/\d+$",
    ("x", "posts"): r"/2/users/\d+/tweets$",
    ("x", "mentions"): r"/2/users/\d+/mentions$",
    ("x", "mention_hours"): r"/2/tweets/counts/recent$",
}
FIRST, USUAL = 30, 31


def sent(log: list[dict[str, str]]) -> Counter[tuple[str, str]]:
    """Requests per platform and stream; what belongs to none is told as other."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in log:
        path = entry["path"].partition("?")[0]
        names = (name for name, pattern in PATHS.items() if name[0] == entry["platform"] and re.search(pattern, path))
        found[next(names, (entry["platform"], "other"))] += 1
    return found


def main() -> None:
    """Play both nights and print the table."""
    say(machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder, server.start() as sandbox:
        house = make_home(Path(folder) / "home", sandbox.url)
        for night, number in (("first", FIRST), ("usual", USUAL)):
            sandbox.forget_requests()
            arrival = play(house, sandbox, instant(number), night)
            if arrival.gaps:
                message = f"The night is not whole: {arrival.gaps[0].reason}"
                raise RuntimeError(message)
            counted = sent(sandbox.requests())
            with house.warehouse.open() as connection:
                windows = connection.execute(
                    "SELECT platform, stream, account_id, records FROM meta.fetch WHERE run_id = ? ORDER BY ALL", [night]
                ).fetchall()
            least: Counter[tuple[str, str]] = Counter()
            came: Counter[tuple[str, str]] = Counter()
            for platform, stream, _, records in windows:
                most = MOST.get((platform, stream))
                least[platform, stream] += max(1, ceil(records / most)) if most else 1
                came[platform, stream] += records
            for name in sorted(counted | least):
                ratio = f"{counted[name] / least[name]:.2f}" if least[name] else ""
                rows.append([night, *name, str(came[name]), str(counted[name]), str(least[name]), ratio])
            total, fewest = counted.total(), least.total()
            rows.append([night, "all", "", str(came.total()), str(total), str(fewest), f"{total / fewest:.2f}"])
    say(table(("night", "platform", "stream", "records", "requests", "least", "ratio"), rows))


if __name__ == "__main__":
    main()
