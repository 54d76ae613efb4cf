"""`tolok doctor`: looks at everything that a night needs, and says of each fault what mends it. It changes nothing.

A check is one function and one entry in `CHECKS`. Not here: the mending, and how the findings are printed (cli.py).
"""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cached_property
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
from packaging.requirements import Requirement

from assets.draft import STORAGE_VERSION
from assets.publish import FILE_NAME
from connectors.clock import SystemClock
from connectors.failures import DoorError, NotPermitted, PermanentFailure
from connectors.fetch import first_request
from connectors.http import Door, Hosts, WaitingBudget
from connectors.privacy import NoKeyError
from connectors.registry import platforms
from connectors.streams import Window
from pipelines import night
from pipelines.settings import SettingsError, secret, token_name
from pipelines.warehouse import FORMAT_VERSION

if TYPE_CHECKING:
    from connectors.streams import Account
    from pipelines.house import House
    from pipelines.settings import Institution

SHOWN_PACKAGES = ("tolok", "dagster", "duckdb", "polars", "great-expectations")
# What a small institution's night writes beside the files that it makes anew.
NIGHT_BYTES = 200 * 2**20
TOKEN_WARNING = timedelta(days=30)
SUNSET_WARNING = timedelta(days=60)
# A snapshot belongs to a day: some minutes move none, hours do.
SKEW_AMBER, SKEW_RED = timedelta(minutes=1), timedelta(minutes=10)
NIGHT_OVERDUE = timedelta(hours=26)
NEARLY_SPENT = Decimal("0.8")
REACH_S = 30
# Reading the pages of a larger file takes longer than a doctor may.
CHECKED_SQLITE_BYTES = 100 * 2**20
# The number that DuckDB writes into a file's header for the storage version that we ask for; what is greater asks for a newer DuckDB.
OLD_READER = {"v1.2.0": 65}[STORAGE_VERSION]
DUCKDB_MAGIC, MAGIC_AT = b"DUCK", 8
OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


class State(StrEnum):
    """How well something is. Red keeps a night from being whole; amber will, or may."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Finding(NamedTuple):
    """One line: which check, how it stands, what was found, and what mends it."""

    check: str
    state: State
    found: str
    fix: str | None = None


class Holder(NamedTuple):
    """A process that has the warehouse open."""

    pid: int
    name: str


@dataclass(frozen=True)
class Warehouse:
    """What the warehouse told, or why it was not asked."""

    state: str
    layout: int | None = None
    last: tuple[datetime, datetime | None, str, int | None] | None = None
    newest: datetime | None = None
    gaps: tuple[tuple[str, ...], ...] = ()
    # Institution, platform, instant of asking, requests, dollars: what was used in the last two days.
    spent: tuple[tuple[str, str, datetime, int, Decimal], ...] = ()


@dataclass
class Patient:
    """One home as the checks see it; what costs something is looked at once."""

    house: House
    is_offline: bool = False
    institutions: dict[str, Institution] = field(default_factory=dict)
    faults: list[SettingsError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.institutions, self.faults = self.house.institutions()

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    @cached_property
    def accounts(self) -> list[Account]:
        return [account for institution in self.institutions.values() for account in self.house.accounts(institution)]

    @cached_property
    def is_running(self) -> bool:
        """A run holds the home's lock. Looking takes some microseconds and takes the lock from nobody."""
        path = self.house.home / "lock.json"
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @cached_property
    def note(self) -> dict[str, object]:
        """What the lock's holder wrote down."""
        try:
            found = json.loads((self.house.home / "lock.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def holders(self) -> list[Holder]:
        """Who has the warehouse open, as far as the system tells."""
        return openers(self.house.warehouse.path)

    @cached_property
    def warehouse(self) -> Warehouse:
        """What the warehouse tells. Read-only, once, for some milliseconds; not at all while somebody else has it open."""
        path = self.house.warehouse.path
        if not path.exists():
            return Warehouse("absent")
        if self.is_running or self.holders:
            return Warehouse("held")
        try:
            with duckdb.connect(str(path), read_only=True, config={"autoinstall_known_extensions": "false"}) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return _asked(connection, list(self.institutions))
        except duckdb.Error as failure:
            return Warehouse("held" if "lock" in str(failure).lower() else f"broken ({type(failure).__name__})")

    @cached_property
    def answers(self) -> dict[str, Reached]:
        """What each account's platform answered to one cheap request, by the account's label."""
        return {} if self.is_offline else reach(self.accounts)


def _asked(connection: duckdb.DuckDBPyConnection, institution_ids: list[str]) -> Warehouse:
    def one(query: str) -> tuple[object, ...] | None:
        try:
            found = connection.execute(query).fetchall()
        except duckdb.CatalogException:
            return None
        return found[0] if found else None

    layout = one("SELECT max(version) FROM meta.format")
    last = one("SELECT started_at, ended_at, kind, gaps FROM meta.run WHERE kind <> 'hourly' ORDER BY started_at DESC LIMIT 1")
    newest = one("SELECT max(started_at) FROM meta.run")
    try:
        gaps = tuple(night.open_gaps(connection, institution_ids))
    except duckdb.CatalogException:
        gaps = ()
    return Warehouse("read", layout[0] if layout else None, last, newest[0] if newest else None, gaps, _spent(connection))  # type: ignore[arg-type]


def _spent(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str, datetime, int, Decimal], ...]:
    """What the youngest two days of asking used; nothing where nothing was entered yet."""
    try:
        found = connection.execute(
            "SELECT institution_id, platform, requested_at, sum(requests), sum(cost_usd) FROM meta.spending "
            "WHERE requested_at > (SELECT max(requested_at) - INTERVAL 2 DAY FROM meta.spending) GROUP BY ALL"
        ).fetchall()
    except duckdb.CatalogException:
        return ()
    return tuple((one, platform, at, int(requests), Decimal(cost)) for one, platform, at, requests, cost in found)


def openers(path: Path) -> list[Holder]:
    """The processes that have a file open. Empty where the system does not tell (no /proc, another user's process)."""
    found = []
    wanted = str(path)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_open = any(str(link.readlink()) == wanted for link in (folder / "fd").iterdir())
            if is_open:
                found.append(Holder(int(folder.name), (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()))
        except OSError:
            continue
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Reached:
    """How one request to an account's platform went: the failure, or how long it took and the platform's own time."""

    failure: DoorError | None = None
    seconds: float = 0.0
    date: datetime | None = None
    at: datetime | None = None


def reach(accounts: Iterable[Account]) -> dict[str, Reached]:
    """Ask for each account, at once, what its platform's declaration calls the cheapest request. One attempt each."""
    hosts = Hosts()
    pool = ThreadPoolExecutor(8, thread_name_prefix="tolok-doctor")
    pending: dict[Future[Reached], str] = {
        pool.submit(_reach, account, hosts): f"{account.institution_id} {account.label}" for account in accounts if account.fault is None
    }
    done, late = wait(pending, timeout=REACH_S)
    pool.shutdown(wait=False, cancel_futures=True)
    slow = DoorError(f"no answer within {REACH_S} s")
    return {pending[future]: future.result() for future in done} | {pending[future]: Reached(slow) for future in late}


def _reach(account: Account, hosts: Hosts) -> Reached:
    connector = platforms()[account.platform]
    clock = SystemClock()
    door = Door(account, connector.limits, hosts, clock, WaitingBudget(0), judge=connector.judge)
    began, at = monotonic(), clock.now()
    try:
        answer = door.get_once(first_request(connector.stream(connector.probe), account, Window(at - timedelta(days=1), at)))
    except DoorError as failure:
        return Reached(failure)
    finally:
        door.close()
    told = next((value for name, value in answer.headers.items() if name.lower() == "date"), "")
    try:
        instant = parsedate_to_datetime(told)
    except ValueError:
        instant = None
    return Reached(None, monotonic() - began, instant, clock.now())


# The checks, in the order in which they are told.


def versions(patient: Patient) -> Iterator[Finding]:
    """The interpreter and the libraries, against what this Tolok was made for."""
    del patient
    shown, wrong = [f"Python {sys.version.split()[0]}"], []
    for name in SHOWN_PACKAGES:
        try:
            shown.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
    try:
        wanted = [Requirement(text) for text in requires("tolok") or ()]
    except PackageNotFoundError:
        wanted = []
    for requirement in wanted:
        try:
            if not requirement.specifier.contains(version(requirement.name)):
                wrong.append(f"{requirement.name} is {version(requirement.name)}, made for {requirement.specifier}")
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
    if wrong:
        yield Finding("versions", State.RED, f"{', '.join(shown)}; {'; '.join(dict.fromkeys(wrong))}", "make install")
    else:
        yield Finding("versions", State.GREEN, ", ".join(shown))


def disk(patient: Patient) -> Iterator[Finding]:
    """Free space, against what the home uses and a night writes."""
    home = patient.house.home
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    used, seen = 0, set()
    for path in home.rglob("*") if home.is_dir() else ():
        try:
            info = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(info.st_mode) and info.st_ino not in seen:
            # The kept published files are second names of the same bytes.
            seen.add(info.st_ino)
            used += info.st_size
    warehouse = _size(patient.house.warehouse.path)
    published = max((_size(path) for path in patient.house.published_path.glob(f"*/latest/{FILE_NAME}")), default=0)
    # The files are made anew beside the old ones, and a table that changes is written before its old pages are free.
    needed = NIGHT_BYTES + warehouse // 2 + 2 * published * max(1, len(patient.institutions))
    free = shutil.disk_usage(there).free
    told = f"{_gb(free)} free; the home uses {_gb(used)}, a night needs about {_gb(needed)}"
    if free < needed:
        yield Finding("disk", State.RED, told, f"make room on the disk of {there}, or move the home and set TOLOK_HOME")
    elif free < 3 * needed:
        yield Finding("disk", State.AMBER, told, f"make room on the disk of {there} soon")
    else:
        yield Finding("disk", State.GREEN, told)


def home(patient: Patient) -> Iterator[Finding]:
    """The home is a folder that can be written to. To ask for permission would not do: a read-only disk refuses root too."""
    folder = patient.house.home
    if not folder.exists():
        yield Finding(
            "home", State.AMBER, f"{folder} is not there yet", "`tolok init NAME` makes it; or point TOLOK_HOME to the right folder"
        )
        return
    if not folder.is_dir():
        yield Finding("home", State.RED, f"{folder} is a file", "move it away, or point TOLOK_HOME to a folder")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as failure:
        found = f"{folder} cannot be written to ({failure.strerror or type(failure).__name__})"
        yield Finding("home", State.RED, found, "give the folder to the user that runs Tolok; look at the disk (full? mounted read-only?)")
    else:
        yield Finding("home", State.GREEN, f"{folder} can be written to")


def zones(patient: Patient) -> Iterator[Finding]:
    """Zone data, and what time it is for each institution."""
    try:
        told = [f"{name} {patient.now.astimezone(one.tzinfo):%H:%M} {one.zone}" for name, one in patient.institutions.items()]
        ZoneInfo("Asia/Jayapura")
    except ZoneInfoNotFoundError as failure:
        yield Finding("zones", State.RED, f"no zone data for {failure.args[0] if failure.args else 'a zone'}", "make install")
    else:
        yield Finding("zones", State.GREEN, f"zone data is there{': ' if told else ''}{', '.join(told)}")


def clock(patient: Patient) -> Iterator[Finding]:
    """The clock against the last run, and against the platforms' own."""
    newest = patient.warehouse.newest
    if newest is not None and newest - patient.now > SKEW_RED:
        found = f"it is {_when(patient.now)}, but a run began on {_when(newest)}: the clock went backwards"
        yield Finding("clock", State.RED, found, "set the clock (timedatectl set-ntp true), then run again")
        return
    skews = [(abs(one.at - one.date), label) for label, one in patient.answers.items() if one.date and one.at]
    if not skews:
        yield Finding(
            "clock", State.GREEN, f"it is {_when(patient.now)}; no later run is known{'' if patient.is_offline else ', no platform asked'}"
        )
        return
    skew, label = min(skews)
    told = f"it is {_when(datetime.now(UTC))}; {round(skew.total_seconds())} s off the clock of {label}"
    state = State.RED if skew > SKEW_RED else State.AMBER if skew > SKEW_AMBER else State.GREEN
    yield Finding("clock", state, told, None if state is State.GREEN else "set the clock (timedatectl set-ntp true)")


def locks(patient: Patient) -> Iterator[Finding]:
    """Who works in the home, and whether somebody else has the warehouse open."""
    note, pid = patient.note, _number(patient.note.get("pid"))
    since = note.get("since", "unknown")
    if patient.is_running:
        yield Finding("lock", State.GREEN, f"a run works here (process {pid or 'unknown'}, since {since}); it is alive")
    elif pid and Path(f"/proc/{pid}").exists() and any(holder.pid == pid for holder in patient.holders):
        yield Finding(
            "lock", State.AMBER, f"process {pid} has the warehouse open without the home's lock", "wait until it ends, or stop it"
        )
    elif pid:
        yield Finding("lock", State.GREEN, f"free; the last holder (process {pid}, since {since}) has let go")
    else:
        yield Finding("lock", State.GREEN, "free")
    ours = {pid} if patient.is_running else set()
    strangers = [holder for holder in patient.holders if holder.pid not in ours]
    if strangers:
        told = ", ".join(f"process {holder.pid} ({holder.name})" for holder in strangers)
        fix = f"close it; analysts open published/<institution>/latest/{FILE_NAME}"
        yield Finding("warehouse lock", State.RED, f"{told} has the warehouse open: no night can write", fix)
    elif patient.warehouse.state == "held" and not patient.is_running:
        fix = f"find and close it (fuser {patient.house.warehouse.path})"
        yield Finding("warehouse lock", State.RED, "a process that could not be named has the warehouse open: no night can write", fix)


def settings(patient: Patient) -> Iterator[Finding]:
    """Each institution's file."""
    for fault in patient.faults:
        first, _, rest = str(fault).partition("\n")
        yield Finding(
            "settings",
            State.RED,
            first + (f" {' '.join(rest.split())}" if rest else ""),
            "mend what the line names; the others run meanwhile",
        )
    for name, one in patient.institutions.items():
        yield Finding("settings", State.GREEN, f"{name}: {_count(len(one.accounts), 'account')}, {_count(len(one.goals), 'goal')}")
    if not patient.institutions and not patient.faults:
        yield Finding("settings", State.AMBER, f"no institution in {patient.house.institutions_path}", "tolok init NAME")


def hmac_key(patient: Patient) -> Iterator[Finding]:
    """The key that hides people's ids: there, long enough, and read by its owner alone. It is never shown."""
    fix = "set TOLOK_HMAC_KEY, or TOLOK_HMAC_KEY_FILE to a file that holds it; the same as ever (`tolok init` makes a first one)"
    try:
        patient.house.pseudonyms()
    except (NoKeyError, SettingsError) as failure:
        state = State.RED if patient.institutions else State.AMBER
        told = "TOLOK_HMAC_KEY is not set, or shorter than 16 bytes" if isinstance(failure, NoKeyError) else str(failure)
        yield Finding("HMAC key", state, told, fix)
        return
    yield from _file_mode("HMAC key", "TOLOK_HMAC_KEY", patient) or [Finding("HMAC key", State.GREEN, "there, and long enough")]


def tokens(patient: Patient) -> Iterator[Finding]:
    """Each account's token: there, readable, read by its owner alone. And what is kept of those that renew themselves."""
    for institution in patient.institutions.values():
        for chosen, account in zip(institution.accounts, patient.house.accounts(institution), strict=True):
            name = token_name(institution, chosen)
            label = f"{institution.id} {account.label}"
            renews = getattr(account, "tokens", None) is not None
            if account.fault is not None:
                yield Finding("tokens", State.RED, account.fault, f"mend the path or the rights of the file that {name}_FILE names")
            elif not account.token and not renews:
                yield Finding(
                    "tokens",
                    State.AMBER,
                    f"{label}: no token; what is public alone can be asked",
                    f"set {name} or {name}_FILE (docs/start.md)",
                )
            elif account.token and not _is_a_token(account.token.reveal()):
                yield Finding("tokens", State.RED, f"{label}: the token holds a character that no token has", "copy it again, on one line")
            else:
                told = f"{label}: {'renews itself' if renews else f'{name} is set; its end is not known to Tolok'}"
                yield from _file_mode("tokens", name, patient) or [Finding("tokens", State.GREEN, told)]
    yield from _kept_tokens(patient)


def _kept_tokens(patient: Patient) -> Iterator[Finding]:
    for path in sorted((patient.house.home / "tokens").glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            times = {name: _instant(kept.get(name)) for name in ("expires_at", "renewed_at", "pending_since")}
            renews = bool(kept.get("refresh_token"))
        except (OSError, ValueError, AttributeError) as failure:
            fix = "mend the file's rights; or remove it, sign in again, and set the new refresh token"
            yield Finding("tokens", State.RED, f"{path.name}: cannot be read ({type(failure).__name__})", fix)
            continue
        if path.stat().st_mode & OTHERS_MAY_READ:
            yield Finding("tokens", State.RED, f"{path.name}: others may read it", f"chmod 600 {path}")
            continue
        ends, pending = times["expires_at"], times["pending_since"]
        if pending is not None and not patient.is_running:
            fix = "run a night: if it is refused, sign in again and set the new refresh token"
            yield Finding("tokens", State.AMBER, f"{path.name}: a renewal was cut off on {_when(pending)}", fix)
        elif renews:
            renewed = f", last on {_when(times['renewed_at'])}" if times["renewed_at"] else ""
            yield Finding("tokens", State.GREEN, f"{path.name}: renews itself{renewed}")
        elif ends is None:
            yield Finding("tokens", State.GREEN, f"{path.name}: no end is known")
        else:
            yield _ending("tokens", f"{path.name}: the token", ends - patient.now, f"ends on {_when(ends)}", "sign in again", TOKEN_WARNING)


def apis(patient: Patient) -> Iterator[Finding]:
    """Each platform's API: its version, and until when that is promised."""
    used = {account.platform for account in patient.accounts} or set(platforms())
    today = patient.now.date()
    for name in sorted(used):
        connector = platforms()[name]
        told = f"{connector.label} API {connector.api_version}"
        if connector.sunset is None:
            yield Finding("API", State.GREEN, f"{told}: no end is announced")
        else:
            left = _midnight(connector.sunset) - _midnight(today)
            yield _ending("API", told, left, f"ends on {connector.sunset}", "update Tolok", SUNSET_WARNING)


def reachability(patient: Patient) -> Iterator[Finding]:
    """One cheap request for each account: does the platform answer, and may the token read?"""
    if patient.is_offline:
        yield Finding("platforms", State.GREEN, "not asked (--offline)")
        return
    for label, one in sorted(patient.answers.items()):
        failure = one.failure
        if failure is None:
            yield Finding("platforms", State.GREEN, f"{label} answered in {one.seconds:.1f} s")
        elif isinstance(failure, NotPermitted):
            yield Finding(
                "platforms", State.RED, f"{label}: {_said(failure, label)}", "make a new token with the scopes that docs/start.md names"
            )
        elif isinstance(failure, PermanentFailure):
            yield Finding(
                "platforms", State.RED, f"{label}: {_said(failure, label)}", "check the account's id and base_url in the settings"
            )
        else:
            yield Finding(
                "platforms",
                State.AMBER,
                f"{label}: {_said(failure, label)}",
                "look at the network here and the platform's status page; ask again",
            )


def published(patient: Patient) -> Iterator[Finding]:
    """Each published file: readable by an older DuckDB, and not stale."""
    for name in patient.institutions:
        folder = patient.house.published_path / name / "latest"
        path = folder / FILE_NAME
        if not path.exists():
            yield Finding("published", State.AMBER, f"{name}: nothing is published yet", "tolok run")
            continue
        storage = storage_of(path)
        status = _status(folder / "status.json")
        if storage is None:
            yield Finding(
                "published",
                State.RED,
                f"{path} is no DuckDB file",
                f"remove it and run `tolok publish`; older ones are under runs/ of {name}",
            )
        elif storage > OLD_READER:
            found = f"{name}: written in DuckDB's storage {storage}; an older DuckDB reads {OLD_READER} at most"
            yield Finding("published", State.RED, found, "remove the file and run `tolok publish`")
        elif status.get("is_stale"):
            found = f"{name}: stale since {str(status.get('stale_since', 'unknown'))[:16]}, not approved: {', '.join(map(str, status.get('refused', ())))}"
            yield Finding("published", State.AMBER, found, "the checks of these tables say which promise is broken (tolok ui)")
        else:
            yield Finding("published", State.GREEN, f"{name}: readable from DuckDB 1.2 on, {_gb(path.stat().st_size)}")


def storage_of(path: Path) -> int | None:
    """The storage version in a DuckDB file's header; None where it is no such file."""
    with path.open("rb") as file:
        header = file.read(MAGIC_AT + 12)
    if header[MAGIC_AT : MAGIC_AT + 4] != DUCKDB_MAGIC:
        return None
    return int.from_bytes(header[MAGIC_AT + 4 : MAGIC_AT + 12], "little")


def dagster(patient: Patient) -> Iterator[Finding]:
    """Dagster's records: its settings, and whether its files are sound."""
    folder = patient.house.dagster_path
    if not folder.exists():
        yield Finding("Dagster", State.GREEN, "no records yet; the first run makes them")
        return
    fix = f"stop Tolok, move {folder} away, run again: the history of runs is lost, no figure is"
    if not (folder / "dagster.yaml").exists():
        yield Finding("Dagster", State.AMBER, f"{folder / 'dagster.yaml'} is missing", "the next run writes it")
    files = sorted(path for path in folder.rglob("*.db") if path.is_file())
    unsound = [path.name for path in files if path.stat().st_size <= CHECKED_SQLITE_BYTES and not _is_sound(path)]
    size = sum(_size(path) for path in files)
    if unsound:
        yield Finding("Dagster", State.RED, f"not sound: {', '.join(unsound)}", fix)
    else:
        yield Finding("Dagster", State.GREEN, f"{_count(len(files), 'file')} of records, {_gb(size)}, sound")


def _is_sound(path: Path) -> bool:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    except sqlite3.Error:
        return False
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError as busy:
        return "locked" in str(busy)
    except sqlite3.Error:
        return False
    finally:
        connection.close()


def layout(patient: Patient) -> Iterator[Finding]:
    """The warehouse can be opened, and its layout is one that this Tolok knows."""
    told, path = patient.warehouse, patient.house.warehouse.path
    if told.state == "absent":
        yield Finding("warehouse", State.GREEN, "none yet; the first run makes it")
    elif told.state == "held":
        state = State.GREEN if patient.is_running else State.AMBER
        yield Finding(
            "warehouse", state, "not looked at: a run works with it" if patient.is_running else "not looked at: another process has it open"
        )
    elif told.state != "read":
        fix = f"keep a copy of {path}, put back the last good one, and report it with this line"
        yield Finding("warehouse", State.RED, f"{path} cannot be read: {told.state}", fix)
    elif told.layout is not None and told.layout > FORMAT_VERSION:
        found = f"written by a newer Tolok (layout {told.layout}; this one knows {FORMAT_VERSION})"
        yield Finding("warehouse", State.RED, found, "update Tolok, or point TOLOK_HOME to another folder")
    elif told.layout is not None and told.layout < FORMAT_VERSION:
        yield Finding("warehouse", State.GREEN, f"layout {told.layout}; the next run brings it to {FORMAT_VERSION} and keeps a copy")
    else:
        yield Finding(
            "warehouse", State.GREEN, f"layout {told.layout if told.layout is not None else 'not written yet'}, {_gb(_size(path))}"
        )


def last_night(patient: Patient) -> Iterator[Finding]:
    """When the last night was, how it ended, and what is still open."""
    told = patient.warehouse
    if told.state != "read":
        yield Finding("last night", State.GREEN, "not known now" if told.state != "absent" else "none yet")
        return
    if told.last is None:
        yield Finding("last night", State.AMBER, "no night has run yet", "tolok run")
        return
    began, ended, kind, _ = told.last
    when = f"{kind} of {_when(began)}"
    if ended is None:
        yield Finding(
            "last night",
            State.AMBER,
            f"{when} never said that it ended: it was killed, or the machine stopped",
            "tolok run: it goes on from there",
        )
    elif patient.now - began > NIGHT_OVERDUE:
        yield Finding(
            "last night", State.AMBER, f"{when}: none since", "is `tolok ui` (or cron) running? Followers of a missed day are lost"
        )
    else:
        yield Finding("last night", State.GREEN, f"{when}, ended {_when(ended)}")
    if told.gaps:
        shown = "; ".join(f"{one[0]} {one[1]}/{one[2]} {one[3]}: {one[5]}" for one in told.gaps[:3])
        more = f"; and {len(told.gaps) - 3} more" if len(told.gaps) > 3 else ""  # noqa: PLR2004
        yield Finding(
            "gaps",
            State.AMBER,
            f"{_count(len(told.gaps), 'list')} open: {shown}{more}",
            "docs/when-something-fails.md, by the sentence; then `tolok run`",
        )
    else:
        yield Finding("gaps", State.GREEN, "none open")


def quotas(patient: Patient) -> Iterator[Finding]:
    """What each institution used of each platform in the platform's day, beside its allowance."""
    if patient.warehouse.state != "read":
        yield Finding("quotas", State.GREEN, "not known now")
        return
    for name, institution in patient.institutions.items():
        for platform, allowance in sorted(patient.house.allowances(institution).items()):
            began = allowance.day_began(patient.now)
            of_today = [one for one in patient.warehouse.spent if one[:2] == (name, platform) and one[2] >= began]
            if not of_today:
                continue
            requests, cost_usd = sum(one[3] for one in of_today), sum((one[4] for one in of_today), Decimal(0))
            bounds: list[tuple[Decimal, Decimal | int | None]] = [(Decimal(requests), allowance.requests), (cost_usd, allowance.cost_usd)]
            is_near = any(bound is not None and used >= NEARLY_SPENT * bound for used, bound in bounds)
            told = f"{requests:,} of {allowance.requests:,} requests" if allowance.requests else _count(requests, "request")
            told += f", {cost_usd:.2f} of {allowance.cost_usd:.2f} USD" if allowance.cost_usd else ""
            yield Finding(
                "quotas",
                State.AMBER if is_near else State.GREEN,
                f"{name} {platform}: {told} since {_when(began)}",
                "nothing: lists that end are gone on with tomorrow; if it is so every day, see max_requests_per_day" if is_near else None,
            )


Check = Callable[[Patient], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (
    versions,
    disk,
    home,
    zones,
    locks,
    layout,
    settings,
    hmac_key,
    tokens,
    apis,
    reachability,
    clock,
    published,
    dagster,
    last_night,
    quotas,
)


def examine(house: House, *, is_offline: bool = False, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """All findings. What the system refuses to show is a finding too, and keeps no other check from its turn."""
    patient = Patient(house, is_offline)
    found: list[Finding] = []
    for check in checks:
        try:
            found += check(patient)
        except (OSError, ValueError, duckdb.Error, sqlite3.Error) as failure:
            name = check.__name__.replace("_", " ")
            reason = getattr(failure, "strerror", None) or type(failure).__name__
            found.append(Finding(name, State.RED, f"could not be looked at ({reason})", "mend the rights of the home, then ask again"))
    return found


def _ending(check: str, what: str, left: timedelta, when: str, fix: str, warning: timedelta) -> Finding:  # noqa: PLR0913 the line's parts
    if left <= timedelta(0):
        return Finding(check, State.RED, f"{what} {when.replace('ends', 'ended')}", fix)
    told = f"{what} {when}, in {_count(left.days, 'day')}"
    return Finding(check, State.AMBER, told, fix) if left <= warning else Finding(check, State.GREEN, told)


def _file_mode(check: str, name: str, patient: Patient) -> list[Finding]:
    """A finding where the file that holds a secret can be read by others."""
    environ = patient.house.environ
    pointed = environ.get(f"{name}_FILE", "").strip()
    if environ.get(name, "").strip() or not pointed or secret(name, environ) is None:
        return []
    mode = Path(pointed).stat().st_mode
    if not mode & OTHERS_MAY_READ:
        return []
    return [Finding(check, State.AMBER, f"{pointed}: others may read it (mode {stat.S_IMODE(mode):03o})", f"chmod 600 {pointed}")]


def _is_a_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _said(failure: DoorError, label: str) -> str:
    """The failure's sentence without the account, which the line names already."""
    return str(failure).removeprefix(f"{label.partition(' ')[2]}: ").rstrip(".")


def _status(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _gb(size: int) -> str:
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"


def _when(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if instant else "unknown"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
