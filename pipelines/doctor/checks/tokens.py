"""Each account's token, and what is kept of those that renew themselves.

Not here: whether the platform takes them (reachability.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pipelines.doctor.finding import Finding, State, ending, moment
from pipelines.doctor.patient import Patient
from pipelines.doctor.rights import OTHERS_MAY_READ, file_mode
from pipelines.settings import token_name

TOKEN_WARNING = timedelta(days=30)


def tokens(patient: Patient) -> Iterator[Finding]:
    """Each account's token: there, readable, read by its owner alone. And what is kept of those that renew themselves."""
    for institution in patient.institutions.values():
        for chosen, account in zip(institution.accounts, patient.house.accounts(institution), strict=True):
            name = token_name(institution, chosen)
            label = f"{institution.id} {account.label}"
            renews = account.tokens is not None
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
                yield from file_mode("tokens", name, patient) or [Finding("tokens", State.GREEN, told)]
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
            yield Finding("tokens", State.AMBER, f"{path.name}: a renewal was cut off on {moment(pending)}", fix)
        elif renews:
            renewed = f", last on {moment(times['renewed_at'])}" if times["renewed_at"] else ""
            yield Finding("tokens", State.GREEN, f"{path.name}: renews itself{renewed}")
        elif ends is None:
            yield Finding("tokens", State.GREEN, f"{path.name}: no end is known")
        else:
            yield ending("tokens", f"{path.name}: the token", ends - patient.now, f"ends on {moment(ends)}", "sign in again", TOKEN_WARNING)


def _is_a_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
