"""Plays a server's part in an ASGI app's lifespan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any


@contextlib.asynccontextmanager
async def lifespan_of(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Start the app, give the state that its lifespan hands to requests, and stop the app."""
    state: dict[str, Any] = {}
    to_app, from_app = asyncio.Queue[dict[str, str]](), asyncio.Queue[dict[str, str]]()
    task = asyncio.create_task(app({"type": "lifespan", "state": state}, to_app.get, from_app.put))

    async def send(event: str) -> None:
        await to_app.put({"type": f"lifespan.{event}"})
        assert (await from_app.get())["type"] == f"lifespan.{event}.complete"

    await send("startup")
    yield state
    await send("shutdown")
    await task
