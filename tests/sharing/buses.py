"""Servers for the suite of buses: the same questions to the one in memory and to real ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import attrs

from topaz_status.coordination import Beat, Bus
from topaz_status.testing import MemoryBus, MemoryCoordinator, MemoryHub


class Server(Protocol):
    """A server whose faults a test scripts."""

    async def join(self, member: str, *, account: str = "account") -> Bus: ...
    async def pass_time(self, seconds: float) -> None: ...
    async def until_heard(self, bus: Bus, beat: Beat) -> None: ...
    async def kill(self, bus: Bus) -> None: ...
    async def forget(self) -> None: ...
    async def stop(self) -> None: ...
    async def start(self) -> None: ...
    def hanging(self) -> contextlib.AbstractAsyncContextManager[None]: ...
    async def close(self) -> None: ...


@attrs.define(eq=False)
class InMemory:
    """The server in memory."""

    hub: MemoryHub = attrs.field(factory=MemoryHub)

    async def join(self, member: str, *, account: str = "account") -> Bus:
        return await MemoryCoordinator(self.hub).connect(account, member)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until_heard(self, bus: Bus, beat: Beat) -> None:
        """In memory the connection is seen from the start."""

    async def kill(self, bus: Bus) -> None:
        assert isinstance(bus, MemoryBus)
        self.hub.kill(bus.member)

    async def forget(self) -> None:
        self.hub.forget()

    async def stop(self) -> None:
        self.hub.stop()

    async def start(self) -> None:
        self.hub.start()

    @contextlib.asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        self.hub.pause()
        yield
        self.hub.resume()

    async def close(self) -> None:
        for member in list(self.hub.buses):
            self.hub.kill(member)
