"""Some clients of one account, each as in a process of its own, with one simulator and one shared server in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from harness import engine_of, options, until

from topaz_status import Shared, StatusClient
from topaz_status.session.sharing.sharing import Sharing
from topaz_status.testing import MEMORY_URL, MemoryConnector, MemoryCoordinator, MemoryHub, Simulator

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}


@contextlib.asynccontextmanager
async def member_of(
    simulator: Simulator,
    hub: MemoryHub,
    *,
    setting: dict[str, Any] | None = None,
    connector: MemoryConnector | None = None,
    **settings: Any,
) -> AsyncIterator[StatusClient]:
    """One client of the account; ``setting`` are arguments of its coordinator."""
    urls = {"topaz_url": MEMORY_URL, "pixelcut_url": MEMORY_URL}
    coordinator = MemoryCoordinator(hub, **(setting or {}))
    connector = connector or MemoryConnector(simulator, latency=0.01)
    async with aiohttp.ClientSession(connector=connector) as session:
        arguments = options(**{**urls, "session": session, "coordinator": coordinator, **BUDGET, **settings})
        async with StatusClient(**arguments) as client:
            yield client
    await asyncio.sleep(1.0)  # the simulator's ends of the connections


@contextlib.asynccontextmanager
async def account_of(
    simulator: Simulator, hub: MemoryHub, members: int, **settings: Any
) -> AsyncIterator[list[StatusClient]]:
    """So many clients; the first one leads, and the others have registered with it."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(member_of(simulator, hub, **settings)) for _ in range(members)]
        await until(lambda: shared_of(clients[0]).members == members, step=0.1)
        yield clients


def shared_of(client: StatusClient) -> Shared:
    """What a client says of the others."""
    shared = client.stats().shared
    assert shared is not None
    return shared


def sharing_of(client: StatusClient) -> Sharing:
    """The place of a client among the others."""
    sharing = engine_of(client).sharing
    assert sharing is not None
    return sharing


def role_of(client: StatusClient) -> str:
    """What a client is."""
    return shared_of(client).role


def held_by(client: StatusClient) -> int:
    """How many registrations of others a client holds."""
    return len(sharing_of(client).desk)


def die(client: StatusClient, hub: MemoryHub) -> None:
    """Let a process die: nothing of it runs any more, and nobody hears of it but by its operating system."""
    hub.kill(shared_of(client).member)
    engine_of(client).gate.close()
    sharing_of(client).abandon()
