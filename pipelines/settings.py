"""What an institution chooses: its file `institutions/<id>.toml`, read and checked; secrets come from the environment alone.

Not here: what follows from the choices (reference.py turns them into tables) and definitions of indicators.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from assets.goals import goals
from assets.indicators.registry import indicators
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.tokens import Grant
from pipelines.places import Place, lines_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ID_PATTERN = r"^[a-z][a-z0-9_]{1,39}$"
# The house's rule how long what is kept; a platform's or an institution's own limit may only shorten it. Aggregates stay for ever.
RAW_DAYS = 30
EVENT_MONTHS = 13
INDONESIAN_ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


# Where something stands in a file: ("accounts", 1, "id"); and what is wrong there.
Problem = tuple[Place, str]


# A name that somebody misspelt is shorter, a token that was pasted in its place is longer: that is not repeated.
LONGEST_SHOWN = 32


class SettingsError(Exception):
    """An institution's file cannot be used. The message names file, place and remedy. Other institutions go on."""


# TOML tells numbers from texts: a number in quotation marks is a slip, and 1 is no yes.
Number = Annotated[float, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
YesNo = Annotated[bool, Field(strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


class PlatformSettings(_Strict):
    """How a platform is reached. Only Mastodon needs an address: its instances are many."""

    base_url: str | None = Field(default=None, description="Address of the API, without a path at its end", pattern=r"^https?://")
    fields_parameter: Literal["post.fields", "tweet.fields"] | None = Field(
        default=None, description="X only: how the API names the fields; its documents disagree"
    )
    analytics_base_url: str | None = Field(default=None, description="YouTube only: address of its Analytics API", pattern=r"^https?://")
    api_version: str | None = Field(
        default=None,
        description="Meta only: version of the Graph API, e.g. v26.0; the one that Tolok was made for without it",
        pattern=r"^v\d+\.\d+$",
    )
    login: Literal["facebook", "instagram"] | None = Field(
        default=None, description="Instagram only: by which login the token was made; facebook without it"
    )
    max_requests_per_day: Whole | None = Field(
        default=None, ge=1, description="Requests that one day may take; the platform's default without it"
    )
    max_cost_usd_per_day: Decimal | None = Field(
        default=None, gt=0, description="Money that one day's reading may cost where the platform bills it, in USD"
    )


class AccountSettings(_Strict):
    """One account of the institution's own."""

    platform: str = Field(description="Key of the platform, e.g. mastodon, x")
    id: str = Field(min_length=1, description="The platform's own id of the account, as text")
    handle: str = Field(min_length=1, description="The account's handle, without @")
    private_metrics: YesNo = Field(default=False, description="True when the token is the account's own and may read its link clicks (X)")
    token: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]+$",
        description="Name of the environment variable that holds the token, if not the usual one",
    )

    @field_validator("handle")
    @classmethod
    def _without_at(cls, handle: str) -> str:
        return handle.removeprefix("@")

    @property
    def ref(self) -> str:
        return f"{self.platform}/{self.id}"


class StaffSettings(_Strict):
    """An employee's account whose owner agreed to be counted. Never shown alone."""

    platform: str
    id: str
    consent: date = Field(description="Day on which the person agreed")


class PostRule(_Strict):
    """Which posts belong to a goal's population; a post that matches any of the lists belongs. No lists: all posts."""

    hashtags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    post_types: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return not (self.hashtags or self.keywords or self.post_types)


class GoalSettings(_Strict):
    """What the institution says of a goal that it pursues."""

    accounts: tuple[str, ...] = Field(default=(), description='Accounts that serve the goal, as "platform/id"; none = all')
    posts: PostRule = PostRule()
    population_version: Whole = Field(default=1, ge=1, description="Raise it when the accounts or the rule change")
    weights: Mapping[str, Number] = Field(default_factory=dict, description="Weight per indicator; 1 where none is given")
    disabled: tuple[str, ...] = Field(default=(), description="Indicators that the institution does not want judged")


class TargetSettings(_Strict):
    """A target for one indicator of one goal, from a day on."""

    goal: str
    indicator: str
    period: Literal["week", "month", "trailing_28d"]
    value: Number
    type: Literal["absolute", "growth", "benchmark"] = "absolute"
    valid_from: date


class Competitor(_Strict):
    """An institution whose public talk is counted beside ours."""

    name: str
    keywords: tuple[str, ...] = ()


class _UnknownNamesError(ValueError):
    """All that `Institution._problems` found: Pydantic hands one exception on."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(said for _, said in problems))
        self.problems = problems


class RetentionSettings(_Strict):
    """How long the institution keeps what may be kept longer: shorter than the house's rule, never longer."""

    raw_days: int | None = Field(default=None, ge=1, le=RAW_DAYS, description="Days that the platforms' answers are kept")
    event_months: int | None = Field(
        default=None, ge=1, le=EVENT_MONTHS, description="Months that single comments and mentions are kept, under pseudonyms"
    )


class Institution(_Strict):
    """One institution's file."""

    id: Annotated[str, Field(pattern=ID_PATTERN)]
    name: str = Field(min_length=1)
    language: Literal["id", "en"] = "id"
    zone: str = Field(description="IANA zone, or WIB, WITA, WIT")
    fiscal_year_start: str = Field(default="01-01", pattern=r"^\d\d-\d\d$", description="Month and day, MM-DD")
    history_days: Whole = Field(default=30, ge=1, le=365, description="How far back the first run asks")
    keywords: tuple[str, ...] = ()
    competitors: tuple[Competitor, ...] = ()
    platforms: Mapping[str, PlatformSettings] = Field(default_factory=dict)
    accounts: tuple[AccountSettings, ...] = Field(min_length=1)
    staff: tuple[StaffSettings, ...] = ()
    goals: Mapping[str, GoalSettings] = Field(min_length=1)
    targets: tuple[TargetSettings, ...] = ()
    retention: RetentionSettings = RetentionSettings()

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        name = INDONESIAN_ZONES.get(zone, zone)
        if name not in available_timezones():
            message = f"{_shown(zone)!r} is not a zone; write WIB, WITA, WIT or an IANA name such as Asia/Jakarta"
            raise ValueError(message)
        return name

    @field_validator("fiscal_year_start")
    @classmethod
    def _a_day_of_every_year(cls, text: str) -> str:
        try:
            date.fromisoformat(f"2025-{text}")
        except ValueError:
            message = f"{text!r} is not a day that every year has; write MM-DD, e.g. 01-01"
            raise ValueError(message) from None
        return text

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if problems := list(self._problems()):
            raise _UnknownNamesError(problems)
        return self

    def _problems(self) -> Iterator[Problem]:
        """What no field can know by itself: names that must be known elsewhere, things that may be there once."""
        known_platforms, known_indicators = platforms(), indicators()
        used: list[tuple[Place, str]] = [(("platforms", name), name) for name in self.platforms]
        used += [(("accounts", at, "platform"), account.platform) for at, account in enumerate(self.accounts)]
        used += [(("staff", at, "platform"), staff.platform) for at, staff in enumerate(self.staff)]
        for place, name in used:
            if name not in known_platforms:
                yield place, f"the platform {_shown(name)!r} is not known; there are: {', '.join(known_platforms)}"
        yield from self._problems_of_accounts()
        refs = {account.ref for account in self.accounts}
        for goal, wanted in self.goals.items():
            if goal not in goals():
                yield ("goals", goal), f"there is no such goal; there are: {', '.join(goals())}"
            for at, ref in enumerate(wanted.accounts):
                if ref not in refs:
                    yield ("goals", goal, "accounts", at), f"{_shown(ref)} is not among the accounts"
            judged: list[tuple[Place, str]] = [(("goals", goal, "weights", name), name) for name in wanted.weights]
            judged += [(("goals", goal, "disabled", at), name) for at, name in enumerate(wanted.disabled)]
            for place, name in judged:
                if name not in known_indicators:
                    yield place, f"the indicator {_shown(name)!r} is not known"
        yield from self._problems_of_targets()

    def _problems_of_accounts(self) -> Iterator[Problem]:
        refs = [account.ref for account in self.accounts]
        for at, account in enumerate(self.accounts):
            if account.ref in refs[:at]:
                yield ("accounts", at), f"{_shown(account.ref)} is listed twice"
            known = platforms().get(account.platform)
            chosen = self.platforms.get(account.platform)
            if known is not None and known.default_base_url is None and (chosen is None or chosen.base_url is None):
                yield (
                    ("accounts", at),
                    f"{_shown(account.ref)} needs platforms.{_shown(account.platform)}.base_url, the address of its server",
                )

    def _problems_of_targets(self) -> Iterator[Problem]:
        seen: set[tuple[str, str, str, date]] = set()
        for at, target in enumerate(self.targets):
            if target.goal not in self.goals:
                yield ("targets", at, "goal"), f"{_shown(target.goal)!r} is not among the goals of this file"
            elif target.goal in goals() and target.indicator not in goals()[target.goal].indicator_keys:
                yield ("targets", at, "indicator"), f"{_shown(target.indicator)!r} does not judge the goal {_shown(target.goal)}"
            mark = (target.goal, target.indicator, target.period, target.valid_from)
            if mark in seen:
                yield ("targets", at), f"a second target for {_shown(target.indicator)} ({target.period}) from {target.valid_from}"
            seen.add(mark)

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def population_of(self, goal: str) -> str:
        """`all`, or the goal's key where the goal names accounts or a rule of its own."""
        chosen = self.goals[goal]
        return "all" if not chosen.accounts and chosen.posts.is_open else goal


def load_institution(path: Path) -> Institution:
    """Read one institution's file.

    Raises:
        SettingsError: with the file, the field and its line for each fault, and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as failure:
        line = failure.object[: failure.start].count(b"\n") + 1
        message = f"{path}: the file is not UTF-8 (line {line}); save it as UTF-8."
        raise SettingsError(message) from None
    except OSError as failure:
        message = f"{path}: the file cannot be read ({type(failure).__name__})."
        raise SettingsError(message) from None
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as failure:
        said = "something is nested too deeply" if isinstance(failure, RecursionError) else str(failure)
        message = f"{path}: the file is not valid TOML: {said}."
        raise SettingsError(message) from None
    faults = _faults(path.stem, content)
    if isinstance(faults, Institution):
        return faults
    lines = lines_of(text)
    told = [f"  {_named(place) or 'file'}{_line(place, lines)}: {said}" for place, said in faults]
    message = "\n".join([f"{path}: the institution {path.stem!r} cannot be used:", *told])
    raise SettingsError(message)


def _faults(institution_id: str, content: Mapping[str, object]) -> Institution | list[Problem]:
    """The institution, or what is wrong with it."""
    if "id" in content:
        return [(("id",), "the file's name is the institution's key; remove this line")]
    try:
        return Institution.model_validate({**content, "id": institution_id})
    except ValidationError as failure:
        return [problem for error in failure.errors() for problem in _told(error)]


def _told(error: ErrorDetails) -> list[Problem]:
    """One of Pydantic's errors in the user's words."""
    place, said = error["loc"], error["msg"].removeprefix("Value error, ")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, _UnknownNamesError):
        return cause.problems
    if error["type"] == "extra_forbidden":
        said = "this key is not known"
        if re.search(r"token|secret|password|key", str(place[-1]), re.IGNORECASE):
            said += "; secrets never stand in this file, they come from the environment (docs/start.md)"
    elif place == ("id",):
        said = "the file's name is the institution's key: 2 to 40 lower case letters, digits or _, a letter first"
    elif place[-1:] == ("token",):
        said = "this is the name of an environment variable (capitals, digits, _), never the token itself (docs/start.md)"
    elif error["type"] == "missing":
        said = "this is missing"
    return [(place, said)]


def _shown(name: str) -> str:
    return name if len(name) <= LONGEST_SHOWN else f"{name[:4]}…"


def _named(place: Place) -> str:
    """How a place is written: `accounts[1].id`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in place).removeprefix(".")


def _line(place: Place, lines: Mapping[Place, int]) -> str:
    """The line of a place, or of what it would stand in."""
    for end in range(len(place), 0, -1):
        if (line := lines.get(place[:end])) is not None:
            return f" (line {line})"
    return ""


def secret(name: str, environ: Mapping[str, str]) -> Secret | None:
    """The secret called `name`: from the variable itself, or from the file that `<name>_FILE` points to.

    Raises:
        SettingsError: the file that is pointed to cannot be read.
    """
    if value := environ.get(name, "").strip():
        return Secret(value)
    if pointed := environ.get(f"{name}_FILE", "").strip():
        try:
            return Secret(Path(pointed).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as failure:
            # Not chained: a decoding error carries the bytes that it could not read.
            message = f"{name}_FILE: the file it points to cannot be read ({type(failure).__name__})."
            raise SettingsError(message) from None
    return None


def token_name(institution: Institution, account: AccountSettings) -> str:
    """The variable that holds an account's token: the one that the file names, else TOLOK_<INSTITUTION>_<PLATFORM>_TOKEN."""
    return account.token or f"TOLOK_{institution.id}_{account.platform}_TOKEN".upper()


def grant(institution: Institution, account: AccountSettings, environ: Mapping[str, str]) -> Grant | None:
    """What renews the account's token: `…_REFRESH_TOKEN`, `…_CLIENT_ID`, `…_CLIENT_SECRET` beside the token's own variable; None without the first.

    Raises:
        SettingsError: a file that is pointed to cannot be read, or the app's id is missing.
    """
    own, shared = token_name(institution, account).removesuffix("_TOKEN"), f"TOLOK_{institution.id}_{account.platform}".upper()
    name = f"{own}_REFRESH_TOKEN"
    refresh_token = secret(name, environ)
    if refresh_token is None:
        return None
    client_id, client_secret = (
        secret(f"{own}_{part}", environ) or secret(f"{shared}_{part}", environ) for part in ("CLIENT_ID", "CLIENT_SECRET")
    )
    if client_id is None:
        message = f"{name} is set and {own}_CLIENT_ID is not: without the app's id the platform renews nothing."
        raise SettingsError(message)
    return Grant(name, refresh_token, client_id, client_secret)


@cache
def json_schema() -> str:
    """The schema of an institution's file, for editors (the id is the file's name)."""
    schema = Institution.model_json_schema()
    schema["properties"].pop("id")
    schema["required"] = [name for name in schema["required"] if name != "id"]
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
