"""The world and the doors to it that the sandbox's tests share. Nothing here touches the network but loopback."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from sandbox.server import Door, Running, start
from sandbox.world import World

MASTODON_TOKEN = {"Authorization": "Bearer sandbox-mastodon-token"}
X_TOKEN = {"Authorization": "Bearer sandbox-x-user-token"}


@pytest.fixture(scope="session")
def world() -> World:
    """The world by its usual seed; it is never changed."""
    return World(7)


class Http:
    """Requests to an ASGI application in this process, one after the other; redirects are not followed."""

    def __init__(self, app: Any) -> None:
        self.transport = httpx.ASGITransport(app)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://testserver") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)


class Client:
    """A client of the door in this process."""

    def __init__(self, world: World) -> None:
        self.http = Http(Door(world))

    def set_now(self, moment: datetime) -> None:
        answer = self.http.post("/_sandbox/now", json={"now": moment.isoformat()})
        assert answer.status_code == 200

    def get(self, path: str, **more: Any) -> httpx.Response:
        headers = more.pop("headers", X_TOKEN if path.startswith("/x") else MASTODON_TOKEN)
        return self.http.get(path, headers=headers, **more)


@pytest.fixture
def client(world: World) -> Client:
    """A door at the last night."""
    client = Client(world)
    client.set_now(world.nights[-1])
    return client


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A sandbox in a second process."""
    with start() as running:
        yield running
