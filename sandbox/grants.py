"""X's tokens that expire: issued for a refresh token, replaced with each renewal, void when somebody withdraws them.

Lives here: who holds which token. Does not live here: what a token may read (`x`), and the tokens that never end (`server`).
"""

import base64
import binascii
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.world import Clock

FIRST_REFRESH: Final = "sandbox-x-refresh-token"
CLIENT_ID: Final = "sandbox-x-client"
CLIENT_SECRET: Final = "sandbox-x-client-secret"  # noqa: S105 a made-up secret that opens nothing but the sandbox
LIFETIME_S: Final = 7_200
PATH: Final = "/x/2/oauth2/token"
ACCESS: Final = "sandbox-x-access-"


class Grants:
    """The sign-ins of one world: one family of tokens per refresh token that was handed out by hand."""

    def __init__(self, clock: Clock) -> None:
        """Begin with the first refresh token, as if somebody had just signed in."""
        self.clock = clock
        self.issued = 0
        self._count = 0
        self._refresh: set[str] = set()
        self._access: dict[str, int] = {}
        self.sign_in(FIRST_REFRESH)

    def sign_in(self, refresh_token: str) -> None:
        """Hand out a refresh token as to somebody who signed in by hand; what was handed out before ends."""
        self._refresh, self._access, self.issued = {refresh_token}, {}, 0

    def expire(self) -> None:
        """End the access tokens before their time; the refresh token stays."""
        self._access = {}

    def revoke(self) -> None:
        """End everything, as when the permission is withdrawn."""
        self._refresh, self._access = set(), {}

    def is_known(self, token: str) -> bool:
        """Tell whether an access token lives."""
        return self._access.get(token, 0) > self.clock.ts

    async def renew(self, request: Request) -> Response:
        """Answer a refresh token with the next pair; each serves once."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        if not self._knows_app(request, form):
            return _refusal(401, "unauthorized_client", "Missing valid authorization header")
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") not in self._refresh:
            return _refusal(400, "invalid_request", "Value passed for the token was invalid.")
        self.issued += 1
        self._count += 1
        access, refresh = f"{ACCESS}{self._count}", f"sandbox-x-refresh-{self._count}"
        self._refresh = {refresh}
        self._access[access] = self.clock.ts + LIFETIME_S
        scope = "users.read tweet.read offline.access"
        return JSONResponse(
            {"token_type": "bearer", "expires_in": LIFETIME_S, "access_token": access, "scope": scope, "refresh_token": refresh}
        )

    def _knows_app(self, request: Request, form: dict[str, str]) -> bool:
        """By Basic authentication, as X asks of apps that can keep a secret; one that cannot names itself in the form."""
        scheme, _, packed = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return form.get("client_id") == CLIENT_ID
        try:
            told = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return scheme.lower() == "basic" and told == f"{CLIENT_ID}:{CLIENT_SECRET}"


def _refusal(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
