"""Tokens that expire and are renewed: when, by whom, and where the renewed ones are kept.

Not here: which variables hold the first ones (pipelines/settings.py), and what a platform's answers mean otherwise (http.py).

The platforms' refresh tokens serve once: each renewal gives the next one, and the former is void. So what came is stored before it is
used, one process renews at a time (the others read what it stored), and the former stays beside until the next has proved itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from connectors.failures import DoorError, NotPermitted, Reaction, TemporaryFailure
from connectors.http import ASK_AGAIN, hint_s
from connectors.secret import Secret
from connectors.wire import Reply, Wire

if TYPE_CHECKING:
    from connectors.clock import Clock
    from connectors.streams import LongLived, OAuth2

# Renewed this long before its end, so that no token dies between the asking and the answer; longer would void more tokens than needed.
EARLY = timedelta(minutes=5)
OK = 200
# What a server says of a refresh token that it will never take again (RFC 6749, 5.2); X says `invalid_request` for it.
VOID = frozenset({"invalid_grant", "invalid_request", "invalid_token"})


NOTHING = Secret("")


@dataclass(frozen=True, slots=True)
class Grant:
    """What the institution was given when it signed in: the first refresh token, and the app's identity. `name` is the token's variable."""

    name: str
    refresh_token: Secret
    client_id: Secret
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept on disk of one grant. `pending_since` stands while a renewal is under way; found later, it was cut off.

    `fingerprint` is a keyed hash of the first refresh token: another one in the environment is thereby seen.
    """

    salt: str
    fingerprint: str
    access_token: Secret = NOTHING
    refresh_token: Secret = NOTHING
    former_refresh_token: Secret = NOTHING
    expires_at: datetime | None = None
    renewed_at: datetime | None = None
    pending_since: datetime | None = None

    def is_of(self, grant: Grant) -> bool:
        """Whether this was made from the refresh token that the environment holds now."""
        return hmac.compare_digest(self.fingerprint, _fingerprint(self.salt, grant.refresh_token))


SECRETS = ("access_token", "refresh_token", "former_refresh_token")
TIMES = ("expires_at", "renewed_at", "pending_since")


def read(path: Path) -> Kept | None:
    """What is kept, None where there is nothing.

    Raises:
        NotPermitted: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        salt, fingerprint = str(bytes.fromhex(content["salt"]).hex()), str(content["fingerprint"])
        access, refresh, former = (Secret(str(content[name])) for name in SECRETS)
        times = (datetime.fromisoformat(content[name]).astimezone(UTC) if content[name] else None for name in TIMES)
        return Kept(salt, fingerprint, access, refresh, former, *times)
    except FileNotFoundError:
        return None
    except OSError as failure:
        message = f"{path}: the kept tokens cannot be read ({type(failure).__name__}). Nothing was asked; mend the file's rights."
        raise NotPermitted(message) from None
    except (ValueError, KeyError, TypeError):
        message = f"{path}: this is no file of kept tokens. Nothing was asked; remove it, sign in again, and set the new refresh token."
        raise NotPermitted(message) from None


def write(path: Path, kept: Kept) -> None:
    """Keep it, whole or not at all, readable by the owner alone, and on the disk when this returns.

    Raises:
        OSError: it could not be written; what was kept before stands.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    content: dict[str, str | None] = {"salt": kept.salt, "fingerprint": kept.fingerprint}
    content |= {name: getattr(kept, name).reveal() for name in SECRETS}
    content |= {name: instant.isoformat() if (instant := getattr(kept, name)) else None for name in TIMES}
    beside = path.with_name(f"{path.name}.part")
    beside.unlink(missing_ok=True)
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        json.dump(content, opened)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _fingerprint(salt: str, token: Secret) -> str:
    return hmac.new(bytes.fromhex(salt), token.reveal().encode(), hashlib.sha256).hexdigest()


class Tokens:
    """The access token of one grant, always one that lives. Safe to ask from several threads and processes at once.

    Args:
        path: the file that keeps it; beside it stands the lock.
        grant: what the environment holds.
        auth: how the platform renews.
        base_url: the platform's address.
        label: how messages name the account.
        clock: tells what has expired.
    """

    def __init__(  # noqa: PLR0913 what a renewal needs, none of it derivable
        self, path: Path, grant: Grant, auth: OAuth2 | LongLived, base_url: str, label: str, clock: Clock
    ) -> None:
        self._path = path
        self._grant = grant
        self._auth = auth
        self._url = auth.renewal_url.format(base_url=base_url.rstrip("/"))
        self._label = label
        self._clock = clock
        self._turn = threading.Lock()
        self._refusal: str | None = None
        self._rescued: Secret | None = None

    def current(self, refused: Secret | None = None) -> Secret:
        """A token that lives, renewed first where it ends within minutes, or where it is the one that the platform refused.

        Raises:
            NotPermitted: the platform does not renew it any more, or it cannot be kept.
            TemporaryFailure: the platform could not be asked to renew it; it may be later.
        """
        if refused is not None and self._rescued is not None and refused.reveal() == self._rescued.reveal():
            # A new token is refused as the old one was: it is not the token, and renewing on would only use up refresh tokens.
            return refused
        kept = read(self._path)
        if (token := self._living(kept, refused, EARLY)) is not None:
            return token
        with self._turn:
            if self._refusal is not None:
                raise NotPermitted(self._refusal)
            with self._locked():
                kept = read(self._path)
                if (token := self._living(kept, refused, EARLY)) is not None:
                    return token
                try:
                    token = self._renew(kept)
                except NotPermitted as failure:
                    # The run's other streams need not be told no by the platform once each.
                    self._refusal = str(failure)
                    raise
                except TemporaryFailure:
                    if (token := self._living(kept, refused, timedelta(0))) is None:
                        raise
                if refused is not None:
                    self._rescued = token
                return token

    def _living(self, kept: Kept | None, refused: Secret | None, early: timedelta) -> Secret | None:
        if kept is None or not kept.access_token or kept.expires_at is None or not kept.is_of(self._grant):
            return None
        if refused is not None and refused.reveal() == kept.access_token.reveal():
            return None
        return kept.access_token if self._clock.now() + early < kept.expires_at else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One renewal at a time among all processes. The kernel frees the lock of a process that died."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as failure:
            raise self._not_kept(failure) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _renew(self, kept: Kept | None) -> Secret:
        """Ask for the next token, with each refresh token that may still serve, and keep what comes."""
        if kept is None or not kept.is_of(self._grant):
            # The first time, or the institution signed in again: what was kept before belongs to the former sign-in.
            salt = secrets.token_hex(16)
            kept = Kept(salt, _fingerprint(salt, self._grant.refresh_token), refresh_token=self._grant.refresh_token)
        was_cut_off = kept.pending_since
        now = self._clock.now()
        # Written first: it says afterwards that a renewal was cut off, and it shows that the folder can be written to.
        kept = self._keep(kept, pending_since=was_cut_off or now)
        answer: dict[str, Any] | None = None
        said, token = "", NOTHING
        for token in (token for token in (kept.refresh_token, kept.former_refresh_token) if token):
            # A failure on the way leaves the mark: nobody can tell whether the platform answered.
            reply = self._ask(token)
            try:
                answer, said = self._judge(reply)
            except DoorError:
                self._keep(kept, pending_since=was_cut_off)
                raise
            if answer is not None:
                break
        if answer is None:
            self._keep(kept, pending_since=was_cut_off)
            raise NotPermitted(self._sentence(said, was_cut_off))
        seconds = answer.get("expires_in")
        lifetime = timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < 10**9 else self._auth.lifetime
        following = answer.get("refresh_token")
        is_next = isinstance(following, str) and following and following != token.reveal()
        return self._keep(
            kept,
            access_token=Secret(str(answer["access_token"])),
            refresh_token=Secret(str(following)) if is_next else token,
            former_refresh_token=token if is_next else NOTHING,
            expires_at=now + lifetime,
            renewed_at=now,
            pending_since=None,
        ).access_token

    def _keep(self, kept: Kept, **changed: Any) -> Kept:  # noqa: ANN401 the fields of Kept
        values = {name: getattr(kept, name) for name in Kept.__slots__} | changed
        try:
            write(self._path, following := Kept(**values))
        except OSError as failure:
            raise self._not_kept(failure) from None
        return following

    def _not_kept(self, failure: OSError) -> NotPermitted:
        return NotPermitted(
            f"{self._label}: renewed tokens cannot be kept in {self._path.parent} ({type(failure).__name__}). "
            "Make room there or mend its rights, and run again; if the platform then refuses the refresh token, sign in again."
        )

    def _ask(self, token: Secret) -> Reply:
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        auth: AuthBase = _NoAuth()
        if self._grant.client_secret:
            auth = HTTPBasicAuth(quote_plus(self._grant.client_id.reveal()), quote_plus(self._grant.client_secret.reveal()))
        else:
            form["client_id"] = self._grant.client_id.reveal()
        wire = Wire(f"{self._label}: the token could not be renewed")
        try:
            return wire.exchange("POST", self._url, auth, form=form)
        finally:
            wire.close()

    def _judge(self, reply: Reply) -> tuple[dict[str, Any] | None, str]:
        """The platform's answer to one refresh token, None with its own code where it is refused.

        Raises:
            TemporaryFailure: it did not say either.
            NotPermitted: it knows the app no more, or the address is not the one that renews.
        """
        answer = _decoded(reply.body)
        code = answer.get("error")
        said = code if isinstance(code, str) and code.isascii() and code.replace("_", "").isalpha() else ""
        if reply.status == OK and isinstance(answer.get("access_token"), str):
            return answer, ""
        if reply.status in {400, 401, 403} and said in VOID:
            return None, said
        if reply.status == OK or reply.status in ASK_AGAIN or reply.status >= 500:  # noqa: PLR2004 the HTTP classes
            what = "its answer cannot be read" if reply.status == OK else f"the platform answered {reply.status}"
            message = f"{self._label}: the token could not be renewed: {what}."
            raise TemporaryFailure(message, hint_s(reply.headers, "", self._clock.now()))
        message = (
            f"{self._label}: the platform does not renew the token for this app ({reply.status}{f', {said!r}' if said else ''}). "
            f"Check {self._variable('CLIENT_ID')} and {self._variable('CLIENT_SECRET')}."
        )
        raise NotPermitted(message)

    def _variable(self, what: str) -> str:
        return self._grant.name.removesuffix("REFRESH_TOKEN") + what

    def _sentence(self, said: str, was_cut_off: datetime | None) -> str:
        known = (
            f"A renewal was cut off on {was_cut_off.astimezone(UTC):%Y-%m-%d at %H:%M} UTC: the platform may have given a new refresh token "
            "then that never arrived here, and no other is known. "
            if was_cut_off
            else ""
        )
        return (
            f"{self._label}: the platform does not renew the token any more ({said!r}): it expired, was withdrawn, or was used elsewhere. "
            f"{known}Sign in again and put the new refresh token into {self._grant.name} (docs/start.md)."
        )


class SelfRenewing(Tokens):
    """The access token of an account that is its own successor's credential: renewed every week, long before it ends.

    The first one is taken as it stands in the environment. A renewal that fails changes nothing while the token lives.
    """

    _auth: LongLived
    # The platform could not be asked: the token that lives serves this run, and the next one asks again.
    _is_put_off: bool = False

    def _living(self, kept: Kept | None, refused: Secret | None, early: timedelta) -> Secret | None:
        token = super()._living(kept, refused, timedelta(0))
        if token is None or kept is None or kept.renewed_at is None or not early or self._is_put_off:
            return token
        is_first = kept.access_token.reveal() == self._grant.refresh_token.reveal()
        wait = self._auth.least_age if is_first else self._auth.renewed_every
        return token if self._clock.now() < kept.renewed_at + wait else None

    def _renew(self, kept: Kept | None) -> Secret:
        now = self._clock.now()
        if kept is None or not kept.is_of(self._grant):
            salt, token = secrets.token_hex(16), self._grant.refresh_token
            first = Kept(salt, _fingerprint(salt, token), token, token)
            return self._keep(first, expires_at=now + self._auth.lifetime, renewed_at=now).access_token
        try:
            answer, said = self._judge(self._ask(kept.access_token))
        except TemporaryFailure:
            self._is_put_off = True
            raise
        if answer is None:
            if kept.expires_at is not None and now < kept.expires_at:
                return self._keep(kept, renewed_at=now).access_token
            raise NotPermitted(self._sentence(said, None))
        seconds = answer.get("expires_in")
        lifetime = timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < 10**9 else self._auth.lifetime
        token = Secret(str(answer["access_token"]))
        return self._keep(
            kept, access_token=token, refresh_token=token, former_refresh_token=kept.access_token, expires_at=now + lifetime, renewed_at=now
        ).access_token

    def _ask(self, token: Secret) -> Reply:
        wire = Wire(f"{self._label}: the token could not be renewed")
        try:
            return wire.exchange("GET", self._url, _NoAuth(), (("grant_type", self._auth.grant_type), ("access_token", token.reveal())))
        finally:
            wire.close()

    def _judge(self, reply: Reply) -> tuple[dict[str, Any] | None, str]:
        """As for refresh tokens; besides, the platform's own codes say whether it will not, or not now."""
        if 300 <= reply.status < 500 and reply.status not in ASK_AGAIN:  # noqa: PLR2004 the HTTP classes
            verdict = self._auth.judge(reply.status, _decoded(reply.body))
            if verdict is None or verdict.reaction not in {Reaction.RETRY, Reaction.WAIT}:
                return None, verdict.told if verdict is not None else str(reply.status)
            message = f"{self._label}: the token could not be renewed: the platform answered {reply.status}, {verdict.told!r}."
            raise TemporaryFailure(message, hint_s(reply.headers, "", self._clock.now()))
        return super()._judge(reply)

    def _sentence(self, said: str, was_cut_off: datetime | None) -> str:
        del was_cut_off
        return (
            f"{self._label}: the platform does not renew the token any more ({said!r}): it ended or was withdrawn. "
            f"Make a new one and put it into {self._grant.name} (docs/platforms)."
        )


class _NoAuth(AuthBase):
    """An explicit auth object keeps requests from looking into a .netrc file."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
