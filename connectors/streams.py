"""What a platform declares: its streams, their keys, windows, personal fields, limits and dates.

Not here: the platforms themselves (one file each, beside this one) and the engine that runs the declarations (fetch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from connectors.budget import Allowance
from connectors.metrics import Metric

if TYPE_CHECKING:
    from connectors.beside import Beside, ById, Nested
    from connectors.failures import Judge
    from connectors.paging import Paging
    from connectors.privacy import Private
    from connectors.secret import Secret
    from connectors.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters as they stand now: one row kept per `key` and snapshot day. Yesterday's cannot be asked for today."""

    key: str


@dataclass(frozen=True, slots=True)
class Event:
    """Things that happened at the time in the field `at`: one row kept per `key`, the latest version wins."""

    key: str
    at: str


@dataclass(frozen=True, slots=True)
class Daily:
    """Aggregates that the platform makes per bucket of time: one row kept per `key`, restated values replace."""

    key: str
    at: str


Kind = Snapshot | Event | Daily


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, `start <= t < end`, both UTC."""

    start: datetime
    end: datetime


def floor(instant: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` since the epoch that is not after `instant`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (instant - epoch) // step * step


def tile(start: datetime, end: datetime, size: timedelta) -> Iterator[Window]:
    """Cut `start..end` into windows of at most `size`, oldest first, without hole or overlap."""
    while start < end:
        stop = min(start + size, end)
        yield Window(start, stop)
        start = stop


def days_floor(instant: datetime, zone: str) -> datetime:
    """The last midnight of a zone that is not after `instant`, in UTC."""
    local = instant.astimezone(ZoneInfo(zone))
    return datetime.combine(local.date(), time(), ZoneInfo(zone)).astimezone(UTC)


def tile_days(start: datetime, end: datetime, days: int, zone: str) -> Iterator[Window]:
    """As `tile`, by whole days of a zone: `start` and `end` are midnights there, and a day may have 23 or 25 hours."""
    while start < end:
        date_ = start.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)
        stop = min(datetime.combine(date_, time(), ZoneInfo(zone)).astimezone(UTC), end)
        yield Window(start, stop)
        start = stop


def uncovered(window: Window, known: Iterable[Window]) -> list[Window]:
    """What of a window lies in none of the known ones, oldest first."""
    left = []
    reached = window.start
    for one in sorted(known, key=lambda one: one.start):
        if one.start > reached:
            left.append(Window(reached, min(one.start, window.end)))
        reached = max(reached, one.end)
        if reached >= window.end:
            break
    return [one for one in (*left, Window(reached, window.end)) if one.start < one.end]


@dataclass(frozen=True, slots=True)
class Resume:
    """How a newest-first list is gone on with below what was read: the parameter, and the field of the last record that it takes.

    A field of times (`is_time`) also serves to ask for a span that ended in the past. The end is exclusive, so one second is read twice.
    Where pages are named by a `cursor` (its place in the answer), that is what is asked with, and `field` is the time down to which was read.
    """

    param: str
    field: str
    is_time: bool = False
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer <token>`. `scopes` is what the token must be allowed, for people who make one."""

    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OAuth2:
    """As `Bearer`; besides, a token of the account's own expires, and a refresh token gets its successor (tokens.py).

    `renewal_url` is where, `{base_url}` is filled in; `lifetime` is what a token lives where the answer does not say.
    """

    scopes: tuple[str, ...]
    renewal_url: str
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class LongLived:
    """As `Bearer`; besides, the token itself is what its successor is asked with, as long as it lives (Instagram's own login, Threads).

    `option`: only accounts of which the platform's settings say so (`login = "instagram"`) have such tokens; None = all. Those are asked at
    `base_url`, where the settings name no other address. `judge` reads a refusal to renew.
    """

    scopes: tuple[str, ...]
    renewal_url: str
    grant_type: str
    judge: Judge
    lifetime: timedelta = timedelta(days=60)
    # A token that is younger is refused.
    least_age: timedelta = timedelta(hours=24)
    renewed_every: timedelta = timedelta(days=7)
    option: tuple[str, str] | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """A day from which on a platform means something else by a measure of ours (`*` = by all)."""

    measure: str
    day: date
    note: str


def _no_peace(headers: Mapping[str, str]) -> float | None:  # noqa: ARG001 as all that read headers
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the platform allows, and where it says how much is left.

    `peace_s` reads from an answer's headers for how many seconds the platform wants to be left alone; None = it does not say so.
    """

    requests: int
    per: timedelta
    remaining_header: str = ""
    reset_header: str = ""
    concurrent: int = 2
    peace_s: Callable[[Mapping[str, str]], float | None] = _no_peace


@dataclass(frozen=True, slots=True)
class Account:
    """One account of an institution, as the door needs it. `own_ids` and `own_handles` are of the same platform.

    `fault` says, in the user's words, why nothing can be asked for this account (a token file that cannot be read); None = nothing is wrong.
    `tokens` renews the token; None = `token` stands as it is. `more_base_urls` are the addresses of the platform's other APIs, by name.
    """

    institution_id: str
    platform: str
    account_id: str
    handle: str
    base_url: str
    token: Secret
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    own_ids: frozenset[str] = frozenset()
    own_handles: frozenset[str] = frozenset()
    staff_ids: frozenset[str] = frozenset()
    fault: str | None = None
    tokens: Tokens | None = None
    more_base_urls: Mapping[str, str] = field(default_factory=dict)

    def address(self, api: str = "") -> str:
        """Where one of the platform's APIs is, without a slash at the end."""
        return (self.more_base_urls[api] if api else self.base_url).rstrip("/")

    @property
    def label(self) -> str:
        """How messages name the account: by platform and id, which are the institution's own."""
        return f"{self.platform}/{self.account_id}"


Params = Mapping[str, str]


def no_params(account: Account) -> Params:
    """A stream whose parameters do not depend on the account."""
    del account
    return {}


def free(account: Account) -> Decimal:
    """A stream whose records cost nothing."""
    del account
    return Decimal(0)


@dataclass(frozen=True, slots=True)
class Stream:
    """One list that a platform gives.

    Args:
        name: the second half of the raw table's name, `raw.<platform>__<name>`.
        request: method and path; `{account_id}` is filled in, and whatever `account_params` names.
        params: fixed query parameters; `{window_start}`, `{window_end}` and `{handle}` are filled in (times in ISO 8601, UTC), also
            `{window_start_s}`, `{window_end_s}` (seconds since the epoch), and `{first_day}`, `{last_day}` of windows of whole days.
        api: the name of the platform's API that is asked, where it has several; "" = the one at `base_url`.
        kind: which rows are kept.
        paging: how the next page is asked for; None when the answer is one record.
        records: where the records stand in the answer; "" = the answer itself.
        lookback: how far back each run asks again, because the platform restates or because counters move on.
        restates: for how long a value may still change after its time; 0 for snapshots.
        window: the longest span that one series of pages may cover.
        retention: what is older cannot be asked for.
        align: windows begin at whole multiples of this since the epoch, because the platform counts in such buckets.
        newest_first: the field by which a list that takes no start time is left when it gets older than the window.
        leave_out: says of a record that it is none of this list's, though it stands in it: a boost, a private message.
        private: what of a record may pass the door.
        partial_errors: where a 200 lists what it could not give.
        times: where times stand without which a record cannot be placed, beside `newest_first` and the time of events.
        counts: where counters stand: whole numbers, never negative. Another value is set aside, and counts as not given.
        resume: how the list is gone on with after a budget's end; None: it is short enough to be read anew.
        page_size: how many records one answer can hold at most, for platforms that bill by the record.
        price_usd: what one record costs, once a day.
        hourly: also fetched by the hourly job.
        account_params: further parameters that depend on the account's options.
        max_pages: beyond this, the paging is taken for endless.
        day_zone: windows are whole days of this zone, the last one ended: for aggregates that the platform makes by such days.
        metrics: numbers that are asked for by name: with the parameter `metrics_param` of the list itself, or beside its records.
        beside: a second answer about each record of a page, which becomes a member of it.
        by_id: the list's records only point at the things, which are asked for by id and take their place.
        unfold: makes the records out of what the list gives; then the whole answer is one thing where `records` is empty.
        nested: how a list inside a record is read to its end, before it is unfolded.
        parents_back: how much older than the window a thing may be of which the unfolded records are asked for.
        earliest: there is nothing from before, and the platform refuses to be asked for it.
        expires_after: how long the platform shows a thing; what no run saw in that time is lost. Of a day's readings the last stands, and
            not the one nearest to midnight.
        description: one sentence about the rows, shown in the UI and as the table's comment.
    """

    name: str
    request: str
    kind: Kind
    description: str
    params: Params = field(default_factory=dict)
    paging: Paging | None = None
    records: str = ""
    lookback: timedelta = timedelta(0)
    restates: timedelta = timedelta(0)
    window: timedelta = timedelta(days=90)
    retention: timedelta | None = None
    align: timedelta | None = None
    newest_first: str | None = None
    leave_out: Callable[[Mapping[str, Any]], bool] | None = None
    private: Private | None = None
    partial_errors: str | None = None
    times: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    resume: Resume | None = None
    page_size: int = 1
    price_usd: Callable[[Account], Decimal] = free
    hourly: bool = False
    account_params: Callable[[Account], Params] = no_params
    max_pages: int = 500
    api: str = ""
    day_zone: str | None = None
    metrics: tuple[Metric, ...] = ()
    metrics_param: str = "metric"
    beside: Beside | None = None
    by_id: ById | None = None
    unfold: Callable[[Mapping[str, Any], Window], Iterable[dict[str, Any]]] | None = None
    nested: Nested | None = None
    parents_back: timedelta = timedelta(0)
    earliest: datetime | None = None
    expires_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    """A platform: its streams and what is known about its API, with dates that the UI and `ref.platform` show.

    `post_url` is how a post is linked: `{base_url}`, `{handle}` and `{post_id}` are filled in.
    `allowance` is what one institution may use in a day; its own file can say otherwise.
    `probe` is the stream whose one request tells cheapest whether the platform answers and the token may read.
    `raw_days` and `event_days` are how long the platform lets its answers, and what is known of single items, be kept; None = it sets no limit.
    `judge` reads the platform's own error codes. `more_base_urls` are the addresses of its other APIs. `breaks` are the days on which its
    measures changed their meaning.

    Raises:
        ValueError: a stream asks further back than its answers may be kept: what it brings could not be compared.
    """

    platform: str
    label: str
    api_version: str
    sunset: date | None
    docs_url: str
    default_base_url: str | None
    auth: Bearer | OAuth2 | LongLived
    limits: Limits
    streams: tuple[Stream, ...]
    post_url: str
    day_basis: Literal["institution", "utc", "pacific", "property"] = "institution"
    allowance: Allowance = field(default_factory=Allowance)
    probe: str = "accounts"
    raw_days: int | None = None
    event_days: int | None = None
    judge: Judge | None = None
    more_base_urls: Mapping[str, str] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()

    def __post_init__(self) -> None:
        for stream in self.streams:
            if self.raw_days is not None and stream.lookback.days > self.raw_days:
                message = f"{self.platform}: {stream.name} asks {stream.lookback.days} days back, but its answers may be kept {self.raw_days} days"
                raise ValueError(message)

    def stream(self, name: str) -> Stream:
        return next(stream for stream in self.streams if stream.name == name)
