"""One polite HTTP session: retries with jitter, the server's hints, a budget of waiting, a token that is renewed in time.

Not here: which addresses are asked (the platforms' declarations), how pages follow each other (fetch.py), time-outs and limits (wire.py).
"""

from __future__ import annotations

import math
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from connectors.failures import (
    BudgetSpent,
    DoorError,
    Gone,
    Judge,
    MetricRefused,
    NotPermitted,
    PermanentFailure,
    Reaction,
    TemporaryFailure,
    TooSlow,
    Verdict,
)
from connectors.paging import Answer, Request
from connectors.wire import Reply, Wire

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.secret import Secret
    from connectors.streams import Account, Limits

ATTEMPTS = 5
SLOW_ATTEMPTS = 2
# A reset hint is an epoch (in seconds, or milliseconds), or seconds from now; no API asks for a wait of 30 years.
EPOCH_FROM = 1_000_000_000
EPOCH_MS_FROM = 100_000_000_000
LONGEST_HINT_S = 366 * 86_400.0
# Asking again can help: the request came too late or too early, too many of them, or the fault is the server's.
TOO_MANY = 429
REFUSED = 401
ASK_AGAIN = frozenset({408, 425, TOO_MANY})
# Half of a surrogate pair, escaped: servers that cut texts by UTF-16 units send it, and it is no character.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][0-9a-fA-F]{2}(?<!\\u[dD][89abAB]..\\u[dD]...))"
)


class WaitingBudget:
    """How many seconds all streams of one run together may spend waiting for platforms."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds
        self._is_stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Nothing more is to be asked or waited for: somebody stopped the run."""
        self._is_stopped = True

    def take(self, seconds: float, what: str) -> None:
        """Reserve the seconds.

        Raises:
            BudgetSpent: not that much is left, or the run was stopped.
        """
        if self._is_stopped:
            message = (
                f"{what}: the run was stopped before this list was read to its end. What came is kept; the next run goes on from there."
            )
            raise BudgetSpent(message)
        with self._lock:
            if seconds > self._left_s:
                message = (
                    f"{what} asks us to wait {seconds:.0f} s, more than this run may still wait ({self._left_s:.0f} s). "
                    "What came so far is kept; the next run goes on from there."
                )
                raise BudgetSpent(message)
            self._left_s -= seconds


class Hosts:
    """What is known of each host while a run lasts: how many requests are under way, and until when it wants peace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, threading.BoundedSemaphore] = {}
        self._closed_until: dict[str, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
        self._stopped: dict[tuple[str, str], str] = {}

    @contextmanager
    def place(self, host: str, concurrent: int) -> Iterator[None]:
        with self._lock:
            gate = self._gates.setdefault(host, threading.BoundedSemaphore(concurrent))
        with gate:
            yield

    def close_until(self, host: str, instant: datetime) -> None:
        with self._lock:
            self._closed_until[host] = max(self._closed_until[host], instant)

    def wait_s(self, host: str, now: datetime) -> float:
        with self._lock:
            return max(0.0, (self._closed_until[host] - now).total_seconds())

    def stop(self, account: Account, reason: str) -> None:
        """Nothing more of the platform can be asked for the account's institution while the run lasts: the app is the institution's own."""
        with self._lock:
            self._stopped.setdefault((account.institution_id, account.platform), reason)

    def stopped(self, account: Account) -> str | None:
        with self._lock:
            return self._stopped.get((account.institution_id, account.platform))


@dataclass(frozen=True, slots=True)
class _BearerAuth(AuthBase):
    token: Secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return request


class Door:
    """Asks one platform on behalf of one account.

    `spend` is called before each request that is sent; it may raise BudgetSpent. `exhaust` hears, in words, that the platform gives nothing
    more today. `judge` reads the platform's own error codes. `wire` is the account's, where its doors share one; who lent it closes it.
    """

    def __init__(  # noqa: PLR0913 what a door needs, none of it derivable
        self,
        account: Account,
        limits: Limits,
        hosts: Hosts,
        clock: Clock,
        budget: WaitingBudget,
        *,
        spend: Callable[[], None] | None = None,
        exhaust: Callable[[str], None] | None = None,
        judge: Judge | None = None,
        wire: Wire | None = None,
    ) -> None:
        self._account = account
        self._limits = limits
        self._hosts = hosts
        self._clock = clock
        self._budget = budget
        self._spend = spend
        self._exhaust = exhaust
        self._judge_body = judge
        self._is_own_wire = wire is None
        self._wire = Wire(account.label) if wire is None else wire
        self.requests_sent = 0

    def get(self, request: Request) -> Answer:
        """The answer to one request, asked again where that can help.

        Raises:
            TemporaryFailure: five attempts failed (two, where each ran into the answer's deadline).
            PermanentFailure, NotPermitted: asking again cannot help.
            MetricRefused, Gone: as PermanentFailure, of one metric, or of the one thing asked about.
            BudgetSpent: the platform asks for a longer wait than the run has left, or the day's quota is used up.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TemporaryFailure),
            stop=_is_enough,
            wait=self._wait_s,
            sleep=self._sleep,
            reraise=True,
        )
        answer: Answer = retrying(self._once, request)
        return answer

    def get_once(self, request: Request) -> Answer:
        """As `get`, in one attempt: for a question whose answer tells how things stand."""
        return self._once(request)

    def rest(self, rounds: int) -> None:
        """Wait before parts of an answer are asked for again, longer each time.

        Raises:
            BudgetSpent: the run may not wait so long.
        """
        self._sleep(float(min(30, 2**rounds)))

    def close(self) -> None:
        if self._is_own_wire:
            self._wire.close()

    def _wait_s(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        hint = failure.retry_after_s if isinstance(failure, TemporaryFailure) else None
        return hint if hint is not None else float(wait_random_exponential(multiplier=1, max=30)(state))

    def _sleep(self, seconds: float) -> None:
        self._budget.take(seconds, self._account.label)
        self._clock.sleep(seconds)

    def _once(self, request: Request) -> Answer:
        self._budget.take(0, self._account.label)
        host = self._host(request)
        reply = self._sent(request, host, token := self._token())
        if reply.status == REFUSED and self._account.tokens is not None:
            # It expired on the way, or another process renewed it: once more with its successor.
            reply = self._sent(request, host, token := self._token(refused=token))
        if (failure := self._failure(reply, token)) is not None:
            raise failure
        if reply.status >= 300:  # noqa: PLR2004 the HTTP classes
            return Answer(reply.status, reply.headers, b"{}")
        return _cut(reply.status, reply.headers, reply.body, self._account.label)

    def failure_of(self, status: int, body: bytes) -> DoorError | None:
        """What a part of an answer means that has a status and a body of its own; None = it is an answer, perhaps an empty one."""
        return self._failure(Reply(status, {}, body), self._token())

    def _sent(self, request: Request, host: str, token: Secret) -> Reply:
        if (reason := self._hosts.stopped(self._account)) is not None:
            raise NotPermitted(reason)
        if (closed_s := max(self._hosts.wait_s(one, self._clock.now()) for one in (host, self._account.label))) > 0:
            self._sleep(closed_s)
        with self._hosts.place(host, self._limits.concurrent):
            if self._spend is not None:
                self._spend()
            self.requests_sent += 1
            form = dict(request.form) or None
            reply = self._wire.exchange("POST" if form else "GET", request.url, _BearerAuth(token), request.params, form=form)
        self._heed(host, reply.headers)
        return reply

    def _host(self, request: Request) -> str:
        """The request's host, which must be one of the account's own, by the same scheme."""
        try:
            scheme, host = _origin(request.url)
            own = {_origin(address) for address in (self._account.base_url, *self._account.more_base_urls.values())}
        except ValueError:
            message = f"{self._account.label}: base_url is no address. Nothing was asked; put it right in the institution's file."
            raise PermanentFailure(message) from None
        if (scheme, host) not in own:
            message = (
                f"{self._account.label}: the platform sent us on to another host. Nothing was asked there: the token must not go along."
            )
            raise PermanentFailure(message)
        return host

    def _token(self, refused: Secret | None = None) -> Secret:
        """The account's token, renewed where that is due or where the platform refused it."""
        tokens = self._account.tokens
        token = self._account.token if tokens is None else tokens.current(refused=refused)
        revealed = token.reveal()
        if not (revealed.isascii() and revealed.isprintable()) or " " in revealed:
            message = (
                f"{self._account.label}: the token holds a character that no token has. Nothing was asked; copy it again, on one line."
            )
            raise NotPermitted(message)
        return token

    def _heed(self, host: str, headers: Mapping[str, str]) -> None:
        if (peace_s := self._limits.peace_s(headers)) is not None:
            # Counted for the page or the account that was asked about, not for all that share the host.
            self._hosts.close_until(self._account.label, self._clock.now() + timedelta(seconds=peace_s))
        if headers.get(self._limits.remaining_header, "").strip() == "0":
            wait_s = hint_s(headers, self._limits.reset_header, self._clock.now())
            if wait_s is not None:
                self._hosts.close_until(host, self._clock.now() + timedelta(seconds=wait_s))

    def _failure(self, reply: Reply, token: Secret) -> DoorError | None:
        """What an answer means that is none; None = it is one, or stands for an empty one."""
        status, headers = reply.status, reply.headers
        if status < 300:  # noqa: PLR2004 the HTTP classes
            return None
        said = _said(reply.body, token)
        label = self._account.label
        verdict = self._judge_body(status, _decoded(reply.body)) if self._judge_body is not None else None
        if verdict is not None:
            return self._judged(verdict, status, headers)
        if status in ASK_AGAIN or status >= 500:  # noqa: PLR2004
            # The reset stands on every answer; only where the limit was reached does it say how long to wait.
            hint = hint_s(headers, self._limits.reset_header if status == TOO_MANY else "", self._clock.now())
            message = f"{label}: the platform answered {status}{said}."
            return TemporaryFailure(message, hint)
        if status in {REFUSED, 403}:
            return NotPermitted(_refused(label, status, said))
        message = f"{label}: the platform answered {status}{said}. The same question will not be asked again this run."
        return PermanentFailure(message)

    def _judged(self, verdict: Verdict, status: int, headers: Mapping[str, str]) -> DoorError | None:  # noqa: PLR0911 a row each
        """What the platform's own code asks of us."""
        label, said = self._account.label, f", {verdict.told!r}" if verdict.told else ""
        match verdict.reaction:
            case Reaction.NOTHING:
                return None
            case Reaction.RETRY | Reaction.WAIT:
                hint = verdict.wait_s if verdict.wait_s is not None else self._limits.peace_s(headers)
                hint = hint if hint is not None else hint_s(headers, self._limits.reset_header, self._clock.now())
                return TemporaryFailure(
                    f"{label}: the platform answered {status}{said}.", hint if verdict.reaction is Reaction.WAIT else None
                )
            case Reaction.DAY_SPENT:
                message = f"{label}: the platform's quota of the day is used up ({status}{said}). What came so far is kept; the next night goes on from there."
                if self._exhaust is not None:
                    self._exhaust(message)
                return BudgetSpent(message)
            case Reaction.METRIC:
                return MetricRefused(f"{label}: the platform does not give one of the numbers that were asked for ({status}{said}).")
            case Reaction.GONE:
                return Gone(
                    f"{label}: what was asked about is not there, or is not the token's to see ({status}{said}). "
                    "The same question will not be asked again this run."
                )
            case Reaction.DENIED:
                return NotPermitted(_refused(label, status, said))
            case Reaction.PLATFORM:
                message = (
                    f"{label}: the platform serves the app or this version of its API no more ({status}{said}). Nothing more was asked of it; "
                    "see api_version and the app's state in docs/platforms."
                )
                self._hosts.stop(self._account, message)
                return NotPermitted(message)


def _refused(label: str, status: int, said: str) -> str:
    return f"{label}: the platform refuses the token ({status}{said}). Renew it, or give it the permission that docs/platforms names."


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host of an address.

    Raises:
        ValueError: it is none.
    """
    address = urlsplit(url)
    return address.scheme.lower(), address.netloc.lower()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_enough(state: RetryCallState) -> bool:
    failure = state.outcome.exception() if state.outcome else None
    return stop_after_attempt(SLOW_ATTEMPTS if isinstance(failure, TooSlow) else ATTEMPTS)(state)


def hint_s(headers: Mapping[str, str], reset_header: str, now: datetime) -> float | None:
    """Seconds that the server asks us to wait: `Retry-After` (seconds or HTTP date), else the reset (epoch, seconds or ISO 8601).

    None without a hint, or with one that cannot be read. Never negative, never more than a year.
    """
    for name in ("Retry-After", reset_header):
        value = headers.get(name, "").strip()
        if not value:
            continue
        wait = _wait_of(value, now)
        if wait is not None:
            return min(max(0.0, wait), LONGEST_HINT_S)
    return None


def _wait_of(value: str, now: datetime) -> float | None:
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        if not math.isfinite(number):
            return None
        number /= 1000 if number > EPOCH_MS_FROM else 1
        return number - now.timestamp() if number > EPOCH_FROM else number
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            instant = parse(value)
        except (ValueError, OverflowError):
            continue
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return None


def _cut(status: int, headers: Mapping[str, str], body: bytes, label: str) -> Answer:
    """The answer with its outermost object or list cut, not decoded. A broken character costs itself, not the page."""
    if not body.isascii():
        body = body.decode(errors="replace").encode()
    for mend in (bytes, _without_lone_surrogates):
        whole = mend(body)
        try:
            if whole.lstrip()[:1] == b"[":
                return Answer(status, headers, whole, items=msgspec.json.decode(whole, type=list[msgspec.Raw]))
            return Answer(status, headers, whole, msgspec.json.decode(whole, type=dict[str, msgspec.Raw]))
        except (msgspec.DecodeError, RecursionError):
            continue
    message = f"{label}: the answer is not JSON (cut short, or a page for people)."
    raise TemporaryFailure(message)


def _without_lone_surrogates(body: bytes) -> bytes:
    return _LONE_SURROGATE.sub(rb"\1\\ufffd", body)


def _said(body: bytes, token: Secret) -> str:
    """The platform's own short code or title for an error; its prose is left out, for it may name people."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(error, dict):
        return ""
    code = error.get("title") or error.get("code") or error.get("error")
    if not isinstance(code, str) or (token and token.reveal() in code):
        return ""
    return f", {code[:80]!r}"
