"""The home on disk and what a run is given: its paths, clock, secrets, institutions and accounts.

Not here: what a run does with them (night.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from connectors.budget import Allowance
from connectors.clock import Clock, InjectedClock, SystemClock
from connectors.privacy import Pseudonyms
from connectors.registry import platforms
from connectors.secret import Environ, Secret
from connectors.streams import Account, LongLived, OAuth2
from connectors.tokens import Grant, SelfRenewing, Tokens
from pipelines.lock import LockedError, locked
from pipelines.settings import (
    AccountSettings,
    Institution,
    PlatformSettings,
    SettingsError,
    grant,
    load_institution,
    secret,
    token_name,
)
from pipelines.stamps import Seen
from pipelines.warehouse import HomeUnusableError, Warehouse, in_words

DEFAULT_HOME = "var"
LOCK_NAME = "lock.json"
DEFAULT_WAITING_S = 1800.0


class HomeBusyError(Exception):
    """Another run works in this home. The message says since when; nothing was done."""


@dataclass(frozen=True)
class House:
    """One home and how to reach everything in it.

    Args:
        home: the folder under which everything is written.
        environ: where secrets are read from.
        clock: the time; the demo and tests bring their own.
        waiting_s: how long one run may wait for platforms in all.
        trusts_clock: go on though the clock is behind what was fetched last.
    """

    home: Path
    environ: Mapping[str, str] = field(default_factory=lambda: Environ(os.environ), repr=False)
    clock: Clock = field(default_factory=SystemClock)
    waiting_s: float = DEFAULT_WAITING_S
    trusts_clock: bool = field(default_factory=lambda: os.environ.get("TOLOK_TRUST_CLOCK") == "1")

    def __post_init__(self) -> None:
        # A house stands in tracebacks, logs and Dagster's resources: what it holds must not show itself.
        object.__setattr__(self, "environ", Environ(self.environ))

    @staticmethod
    def from_environment() -> House:
        """The house that TOLOK_HOME names, `var/` without it. TOLOK_NOW (ISO 8601) stops its clock: for the demo, whose platforms live in the past."""
        pinned = os.environ.get("TOLOK_NOW")
        clock = InjectedClock(datetime.fromisoformat(pinned)) if pinned else SystemClock()
        return House(Path(os.environ.get("TOLOK_HOME", DEFAULT_HOME)).resolve(), clock=clock)

    @property
    def institutions_path(self) -> Path:
        return self.home / "institutions"

    @property
    def landing_path(self) -> Path:
        return self.home / "landing"

    @property
    def published_path(self) -> Path:
        return self.home / "published"

    @property
    def tokens_path(self) -> Path:
        """Where renewed tokens are kept, readable by the owner alone."""
        return self.home / "tokens"

    @property
    def dagster_path(self) -> Path:
        return self.home / "dagster"

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.home / "warehouse.duckdb")

    @cached_property
    def seen(self) -> Seen:
        """The stamps that this process has computed, as long as nobody else has written the warehouse."""
        return Seen()

    def institutions(self) -> tuple[dict[str, Institution], list[SettingsError]]:
        """The institutions that can be used, by id, and what is wrong with the others."""
        usable: dict[str, Institution] = {}
        faults: list[SettingsError] = []
        for path in sorted(self.institutions_path.glob("*.toml")):
            try:
                usable[path.stem] = load_institution(path)
            except SettingsError as fault:
                faults.append(fault)
        return usable, faults

    def pseudonyms(self) -> Pseudonyms:
        """The keyed HMAC for people's ids: the current key, and the former ones by which some are known.

        Raises:
            NoKeyError: there is no key, or one is too short.
        """
        former = secret("TOLOK_HMAC_KEYS_FORMER", self.environ)
        lines = [line.strip() for line in former.reveal().splitlines()] if former else []
        return Pseudonyms(secret("TOLOK_HMAC_KEY", self.environ), [Secret(line) for line in lines if line])

    def accounts(self, institution: Institution) -> list[Account]:
        """The institution's accounts as the door needs them. One without a token comes with an empty one: public lists need none."""
        return [self._account(institution, chosen) for chosen in institution.accounts]

    def allowances(self, institution: Institution) -> dict[str, Allowance]:
        """What the institution may use of each platform in a day: the platform's declaration, where its own file does not say otherwise."""
        bounds = {}
        for platform, connector in platforms().items():
            chosen = institution.platforms.get(platform, PlatformSettings())
            bounds[platform] = Allowance(
                chosen.max_requests_per_day or connector.allowance.requests,
                chosen.max_cost_usd_per_day or connector.allowance.cost_usd,
                connector.allowance.zone,
            )
        return bounds

    def _account(self, institution: Institution, chosen: AccountSettings) -> Account:
        connector = platforms()[chosen.platform]
        platform = institution.platforms.get(chosen.platform)
        siblings = [account for account in institution.accounts if account.platform == chosen.platform]
        options: dict[str, str | int | bool] = {"private_metrics": chosen.private_metrics}
        if platform and platform.fields_parameter:
            options["fields_parameter"] = platform.fields_parameter
        options["api_version"] = (platform and platform.api_version) or connector.api_version
        if platform and platform.login:
            options["login"] = platform.login
        more = dict(connector.more_base_urls)
        if platform and platform.analytics_base_url and "analytics" in more:
            more["analytics"] = platform.analytics_base_url
        renews = isinstance(connector.auth, LongLived) and _has(options, connector.auth)
        own_url = connector.auth.base_url if isinstance(connector.auth, LongLived) and renews else None
        base_url = (platform.base_url if platform and platform.base_url else own_url or connector.default_base_url) or ""
        token, tokens, fault = None, None, None
        try:
            token = secret(token_name(institution, chosen), self.environ)
            if isinstance(connector.auth, OAuth2) and (given := grant(institution, chosen, self.environ)) is not None:
                # By the variable's name: two accounts that share a sign-in share its renewals.
                path = self.tokens_path / f"{given.name.lower()}.json"
                tokens = Tokens(path, given, connector.auth, base_url, chosen.ref, self.clock)
            if token and isinstance(connector.auth, LongLived) and renews:
                name = token_name(institution, chosen)
                path = self.tokens_path / f"{name.lower()}.json"
                tokens = SelfRenewing(path, Grant(name, token, Secret("")), connector.auth, base_url, chosen.ref, self.clock)
        except SettingsError as unreadable:
            # One account's trouble stays its own: the ledger says what is wrong, the others are fetched.
            fault = f"{chosen.ref}: {unreadable} Nothing was asked for this account."
        return Account(
            institution_id=institution.id,
            platform=chosen.platform,
            account_id=chosen.id,
            handle=chosen.handle,
            base_url=base_url,
            more_base_urls=more,
            token=token or Secret(""),
            tokens=tokens,
            fault=fault,
            options=options,
            own_ids=frozenset(account.id for account in siblings),
            own_handles=frozenset(account.handle.lower() for account in siblings),
            staff_ids=frozenset(staff.id for staff in institution.staff if staff.platform == chosen.platform),
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer in a home at a time, in a home that can be used. Every run passes here, from whichever door it comes.

        A process that holds it may take it again. The kernel frees the lock of a process that died.

        Raises:
            HomeBusyError: another process holds it.
            WarehouseError: the home cannot be written, or the warehouse cannot be used.
        """
        with ExitStack() as stack:
            with self.words():
                self._usable()
                try:
                    is_outermost = stack.enter_context(locked(self.home / LOCK_NAME))
                except LockedError as holder:
                    message = f"Nothing was done: another run works in {self.home} ({holder}). Wait until it ends, or stop it."
                    raise HomeBusyError(message) from None
            if is_outermost:
                # What stands in the way is told before anything is asked of a platform.
                with self.warehouse.open():
                    pass
            yield

    @contextmanager
    def words(self) -> Iterator[None]:
        """Turns what the system says of a full disk, or of a folder that cannot be written, into a sentence."""
        with in_words(self.home):
            yield

    def require(self) -> None:
        """See to it that there is a home, and that it can be written.

        Raises:
            HomeUnusableError: there is none, it is a file, or it cannot be written.
        """
        with self.words():
            if not self.home.exists():
                message = (
                    f"Nothing was done: the home {self.home} is not there. If it is on a disk of its own, mount that; else point TOLOK_HOME "
                    "or --home to it. `tolok init NAME` begins a new one."
                )
                raise HomeUnusableError(message)
            self._usable()

    def _usable(self) -> None:
        if self.home.exists() and not self.home.is_dir():
            message = (
                f"Nothing was done: {self.home} is a file, where the folder of the home must be. Move it, or point TOLOK_HOME to a folder."
            )
            raise HomeUnusableError(message)
        self.home.mkdir(parents=True, exist_ok=True)
        # To ask for permission would not do: root is permitted what a read-only disk then refuses.
        probe = self.home / f".probe-{os.getpid()}"
        try:
            probe.write_bytes(b"\0")
        finally:
            probe.unlink(missing_ok=True)


def _has(options: Mapping[str, object], auth: LongLived) -> bool:
    """Whether the account's token is of the kind that renews itself."""
    return auth.option is None or options.get(auth.option[0]) == auth.option[1]
