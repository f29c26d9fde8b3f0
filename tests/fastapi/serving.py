"""A real server on loopback with a simulator behind it, and what its clients see."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import attrs
import uvicorn
from fastapi import FastAPI
from harness import options, until

from topaz_status import StatusClient
from topaz_status.fastapi import PUBLIC, add_exception_handlers, end_streams, status_lifespan, status_router
from topaz_status.fastapi.app_state import AppState
from topaz_status.testing import Simulator


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve an app on this loop; gives its base URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on", backlog=4096))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        end_streams(app)
        server.should_exit = True
        await task


@attrs.define
class World:
    """An app, the services behind it and a client in front of it."""

    simulator: Simulator
    app: FastAPI
    http: aiohttp.ClientSession

    @property
    def app_state(self) -> AppState:
        app_state: AppState = self.app.state.topaz_status
        return app_state

    @property
    def client(self) -> StatusClient:
        return self.app_state.client

    async def get(self, path: str, **headers: str) -> Answer:
        """Ask and read the answer."""
        async with self.http.get(path, headers=headers) as response:
            body = await response.read()
        answer = json.loads(body) if "json" in response.headers.get("content-type", "") else body.decode()
        return Answer(response.status, response.headers, answer)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a stream of events."""
        async with self.http.get(path, headers=headers) as response:
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield events_of(response)

    async def events(self, path: str, **headers: str) -> list[Event]:
        """Read a stream to its end."""
        async with self.stream(path, **headers) as events:
            return [event async for event in events]


@attrs.frozen
class Answer:
    """What the server said."""

    status: int
    headers: Any
    body: Any


@attrs.frozen
class Event:
    """One event as it came over the wire."""

    event: str | None = None
    data: Any = None
    id: str | None = None
    comment: str | None = None
    retry: int | None = None


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    fields: dict[str, Any] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif value:
            fields["comment"] = value
        elif line.startswith(b": "):
            fields["comment"] = ""
        else:
            data = json.loads(fields["data"]) if "data" in fields else None
            retry = int(fields["retry"]) if "retry" in fields else None
            yield Event(fields.get("event"), data, fields.get("id"), fields.get("comment"), retry)
            fields = {}


@contextlib.asynccontextmanager
async def world(
    app: FastAPI | None = None, *, router: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[World]:
    """Serve the routes, open to anyone, with ``router``'s settings; the others are the client's."""
    allow_many_files()
    simulator = Simulator(seed=1)
    async with simulator.serve() as service:
        urls = {"topaz_url": service, "pixelcut_url": service}
        app = app or FastAPI()
        app.router.lifespan_context = status_lifespan(**options(**urls, **settings))
        add_exception_handlers(app)
        app.include_router(status_router(**{"authorize": PUBLIC, **(router or {})}))
        async with served(app) as url:
            connector, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=60)
            async with aiohttp.ClientSession(url, connector=connector, timeout=patience) as http:
                yield World(simulator, app, http)
            await until(lambda: not app.state.topaz_status.waiting)


def allow_many_files() -> None:
    """A thousand streams are two thousand sockets where client and server are one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 8192:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
