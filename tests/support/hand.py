"""Institutions written by hand: a few accounts, nights, posts and items in plain words, run through the real transforms in memory.

Not here: JSON of platforms (the tests of staging write their own) and the sandbox (nights.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import polars as pl

from assets import indicators as indicator_room
from assets import reference
from assets.indicators import family_tables
from assets.indicators.registry import indicators
from assets.ledgers import FETCH
from assets.staging import things
from assets.transform import Transform
from pipelines import engine
from pipelines.night import all_transforms
from pipelines.reference import reference_rows
from pipelines.settings import Institution
from pipelines.tables import Table

WIB = ZoneInfo("Asia/Jakarta")
PLACEHOLDER: dict[str, object] = {"VARCHAR": "", "BOOLEAN": False, "BIGINT": 0, "INTEGER": 0, "VARCHAR[]": [], "DOUBLE": 0.0}
X, MASTODON = "x", "mastodon"
STREAMS = ("accounts", "posts", "mentions")
LOOKBACK = {"accounts": timedelta(0), "posts": timedelta(days=30), "mentions": timedelta(days=7)}
BASE_URL = "http://mastodon.example"
Row = dict[str, Any]


def frame(table: Table, *rows: Mapping[str, object]) -> pl.DataFrame:
    """Rows of a table, the institution `i` and harmless values where nothing is said (NULL where NULL is allowed)."""
    defaults: Row = {column.name: None if column.nullable else PLACEHOLDER.get(column.type) for column in table.columns}
    if "institution_id" in table.names:
        defaults["institution_id"] = "i"
    for row in rows:
        assert not row.keys() - defaults.keys(), f"{table.name} has no {row.keys() - defaults.keys()}"
    return pl.DataFrame([defaults | dict(row) for row in rows], schema=table.polars_schema, orient="row")


def day(text: str) -> date:
    """A day of 2026 as MM-DD, or any day as YYYY-MM-DD."""
    return date.fromisoformat(text if len(text) > len("MM-DD") else f"2026-{text}")


def at(text: str, clock: str = "12:00", zone: ZoneInfo = WIB) -> datetime:
    """An instant by the clock of the institution."""
    return datetime.combine(day(text), time.fromisoformat(clock), zone).astimezone(UTC)


def span(first: str, last: str) -> list[str]:
    """The days from first to last, both included, in ISO form."""
    return [(day(first) + timedelta(days=step)).isoformat() for step in range((day(last) - day(first)).days + 1)]


@cache
def local_days(zone: str) -> pl.DataFrame:
    """The days around those that tests use, as ref.local_day holds them."""
    tz = ZoneInfo(zone)
    days = [date(2024, 1, 1) + timedelta(days=step) for step in range(1200)]
    bounds = [datetime.combine(one, time(), tz).astimezone(UTC) for one in [*days, days[-1] + timedelta(days=1)]]
    rows = [{"day": one, "starts_at": bounds[n], "ends_at": bounds[n + 1]} for n, one in enumerate(days)]
    return frame(reference.LOCAL_DAY, *rows)


REGISTERED = (reference.INDICATOR.name, reference.DATE.name, reference.DEFINITION_BREAK.name)


@cache
def _registry() -> dict[str, pl.DataFrame]:
    """The tables of reference that do not depend on the institution's choices."""
    return {table.name: frame(table, *rows) for table, rows in reference_rows(Hand().institution).items() if table.name in REGISTERED}


class Hand:
    """One institution by hand. Accounts are `platform/id`; a night at 02:00 of a day's morrow closes that day."""

    def __init__(
        self,
        *accounts: str,
        goals: Mapping[str, Mapping[str, object]] | None = None,
        targets: Sequence[Mapping[str, object]] = (),
        private_metrics: bool = True,
        zone: str = "Asia/Jakarta",
    ) -> None:
        self.zone = zone
        self.accounts = [tuple(name.split("/")) for name in accounts or ("x/main",)]
        self.institution = Institution.model_validate(
            {
                "id": "institution",
                "name": "Institution",
                "zone": zone,
                "platforms": {"mastodon": {"base_url": BASE_URL}} if any(platform == MASTODON for platform, _ in self.accounts) else {},
                "accounts": [
                    {"platform": platform, "id": identity, "handle": identity, "private_metrics": private_metrics}
                    for platform, identity in self.accounts
                ],
                "goals": goals or {"community_engagement": {}},
                "targets": targets,
            }
        )
        self._rows: dict[str, list[Row]] = {}
        self._made: dict[str, pl.DataFrame] = {}

    # -- what happened ----------------------------------------------------------------------------------------------------------------

    def put(self, table: Table, **row: object) -> None:
        """One row of a table, as it is."""
        self._rows.setdefault(table.name, []).append(row)
        self._made.clear()

    def night(
        self, *days: str, account: str | None = None, streams: Sequence[str] = STREAMS, clock: str = "02:00", failed: str | None = None
    ) -> None:
        """A fetch of the streams of an account (None: of each) that closes each of the days; `failed` is the ledger's word for why not."""
        for platform, identity in self.accounts:
            if account in {None, f"{platform}/{identity}"}:
                for one in days:
                    self._fetch(platform, identity, day(one) + timedelta(days=1), streams, clock, failed)

    def _fetch(self, platform: str, identity: str, morrow: date, streams: Sequence[str], clock: str, failed: str | None) -> None:
        observed = datetime.combine(morrow, time.fromisoformat(clock), ZoneInfo(self.zone)).astimezone(UTC)
        for stream in streams:
            is_first = not any(
                (row["platform"], row["account_id"], row["stream"]) == (platform, identity, stream)
                for row in self._rows.get(FETCH.name, [])
            )
            back = timedelta(days=30) if is_first else LOOKBACK.get(stream, timedelta(days=7))
            self.put(
                FETCH, platform=platform, account_id=identity, stream=stream, run_id=f"r{observed:%m%d%H%M}",
                window_start=observed - back, window_end=observed, requested_at=observed, observed_at=observed,
                day=(observed - timedelta(hours=12)).astimezone(ZoneInfo(self.zone)).date(),
                is_complete=failed is None, is_last=True, ledger_status=failed or "fetched", reason=failed,
            )  # fmt: skip

    def give(self, *measures: str, by: str | None = None, post_types: Sequence[str] = ("all",), **more: object) -> None:
        """The platforms (None: all) give measures that they lack today, or give otherwise; `more` are columns of ref.availability."""
        asked = {"streams": ["posts"], "is_given": True} | more
        held = self._rows.pop(reference.AVAILABILITY.name, None) or list(reference_rows(self.institution)[reference.AVAILABILITY])
        for row in held:
            if row["measure"] not in measures or by not in {None, row["platform"]}:
                self.put(reference.AVAILABILITY, **row)
        for platform in sorted({platform for platform, _ in self.accounts} if by is None else {by}):
            for measure, post_type in product(measures, post_types):
                self.put(reference.AVAILABILITY, platform=platform, measure=measure, post_type=post_type, **asked)

    def stream(self, platform: str, name: str, kind: str, *, lookback_days: int, **more: object) -> None:
        """A stream that the platform does not have today; `more` are columns of ref.stream."""
        if reference.STREAM.name not in self._rows:
            self._rows[reference.STREAM.name] = list(reference_rows(self.institution)[reference.STREAM])
        given = {"lookback_days": lookback_days, "restates_days": 0 if kind == "snapshot" else lookback_days}
        self.put(reference.STREAM, platform=platform, stream=name, kind=kind, **(given | more))

    def deny(self, field: str, *, stream: str = "posts", how: str = "denied_fields") -> None:
        """All fetches of the stream so far were told that the token may not read the field, or that there is no such field any more."""
        for row in self._rows[FETCH.name]:
            if row["stream"] == stream:
                row[how] = [field]
        self._made.clear()

    def followers(self, account: str, counts: Mapping[str, int | None]) -> None:
        """Followers of an account at the end of days."""
        for one, count in counts.items():
            closes = datetime.combine(day(one) + timedelta(days=1), time(2), ZoneInfo(self.zone)).astimezone(UTC)
            self.account_day(account, one, observed_at=closes, followers=count)

    def account_day(self, account: str, one: str, **more: object) -> None:
        """What is known of an account's day; `more` are columns of staging.account_days."""
        platform, identity = account.split("/")
        named = {"platform": platform, "account_id": identity, "day": day(one)}
        rows = self._rows.setdefault(things.ACCOUNT_DAYS.name, [])
        held = next((row for row in rows if named.items() <= row.items()), None)
        if held is None:
            self.put(things.ACCOUNT_DAYS, **named, **more)
        else:
            held |= more
            self._made.clear()

    def post(self, account: str, identity: str, created: datetime, **more: object) -> None:
        """A post of ours; `more` are columns of staging.posts."""
        platform, account_id = account.split("/")
        local = created.astimezone(ZoneInfo(self.zone)).date()
        given: Row = {"post_type": "post", "root_id": identity, "version_id": identity, "hashtags": [], "text": "", "stream": "posts"}
        self.put(
            things.POSTS, platform=platform, account_id=account_id, post_id=identity, created_at=created, day=local,
            first_seen_at=created, **(given | more),
        )  # fmt: skip

    def seen(self, identity: str, days: Mapping[str, int | Mapping[str, int | None]], clock: str = "02:00") -> None:
        """A post's lifetime counters at the end of days; a bare number is its reactions, of which all else is 0."""
        post = next(row for row in self._rows[things.POSTS.name] if row["post_id"] == identity)
        zeros = {"reactions": 0, "shares": 0, "comments_platform": 0}
        if post["platform"] == X:
            zeros |= {"saves": 0, "impressions": 0, "link_clicks": 0}
        for one, counters in days.items():
            closes = datetime.combine(day(one) + timedelta(days=1), time.fromisoformat(clock), ZoneInfo(self.zone)).astimezone(UTC)
            self.put(
                things.POST_SNAPSHOTS, platform=post["platform"], account_id=post["account_id"], post_id=identity, day=day(one),
                observed_at=closes, created_at=post["created_at"], stream=post["stream"],
                **(zeros | ({"reactions": counters} if isinstance(counters, int) else dict(counters))),
            )  # fmt: skip

    def comment(self, post: str, created: datetime, identity: str, **more: object) -> None:
        """An answer by somebody to a post of ours; `more` are columns of staging.comments."""
        owner = next(row for row in self._rows[things.POSTS.name] if row["post_id"] == post)
        self._item(things.COMMENTS, owner["platform"], owner["account_id"], created, identity, post_id=post, **more)

    def mention(self, account: str, created: datetime, identity: str, **more: object) -> None:
        """An item by somebody that @mentions an account of ours."""
        platform, account_id = account.split("/")
        self._item(things.MENTIONS, platform, account_id, created, identity, **more)

    def _item(self, table: Table, platform: str, account_id: str, created: datetime, identity: str, **more: object) -> None:
        local = created.astimezone(ZoneInfo(self.zone)).date()
        self.put(table, platform=platform, account_id=account_id, item_id=identity, day=local, created_at=created, **more)

    # -- what comes of it -------------------------------------------------------------------------------------------------------------

    def make(self, table: Table) -> pl.DataFrame:
        """The table: as it was written by hand, from reference, or computed from its inputs (raw is empty here)."""
        if table.name not in self._made:
            self._made[table.name] = self._make(table)
        return self._made[table.name]

    def _make(self, table: Table) -> pl.DataFrame:
        if table.name in self._rows:
            return frame(table, *self._rows[table.name])
        if table.name == reference.LOCAL_DAY.name:
            return local_days(self.zone)
        if table.name in REGISTERED:
            return _registry()[table.name]
        if table.schema_name == "ref":
            return frame(table, *reference_rows(self.institution)[table])
        transform = _transform(table)
        if transform is None or any(source.json_types for source in transform.inputs):
            return frame(table)
        return engine.collect(transform, {source.name: self.make(source.table).lazy() for source in transform.inputs})

    def values(self, indicator: str) -> pl.DataFrame:
        """All values of one indicator, by the family's own transform with the other indicators left out."""
        entry = indicators()[indicator]
        needed = [indicators()[entry.compute.of], entry] if entry.compute and entry.compute.of else [entry]
        transform = _transform(family_tables()[entry.family])
        assert transform is not None
        inputs = {source.name: self.make(source.table).lazy() for source in transform.inputs}
        with patch.object(indicator_room, "computed_in", lambda _: needed):
            return engine.collect(transform, inputs).filter(pl.col("indicator_key") == indicator)

    def value(
        self,
        indicator: str,
        period: str,
        start: str,
        *,
        of: str = "all",
        population: str = "all",
    ) -> Row:
        """The one row of an indicator: `of` is all (the institution), a platform, or `platform/account`."""
        platform, _, account = of.partition("/")
        level = "account" if account else "institution" if of == "all" else "platform"
        found = self.values(indicator).filter(
            (pl.col("population_id") == population)
            & (pl.col("level") == level)
            & (pl.col("platform") == platform)
            & (pl.col("account_id") == (account or "all"))
            & (pl.col("period_type") == period)
            & (pl.col("period_start") == day(start))
        )
        assert found.height == 1, f"{indicator} {period} {start} {of}: {found.height} rows"
        return found.row(0, named=True)


@cache
def _transforms() -> dict[str, Transform]:
    return {transform.output.name: transform for transform in all_transforms()}


def _transform(table: Table) -> Transform | None:
    return _transforms().get(table.name)
