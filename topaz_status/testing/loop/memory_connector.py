"""An aiohttp connector that reaches an in-process server without a socket, on any event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp

from . import memory_transport as pipe

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

MEMORY_URL: Final = "http://127.0.0.1:1"
"""A base URL for a :class:`MemoryConnector`. No socket is ever opened; the loopback host permits plain http."""

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class MemoryServer(Protocol):
    """Anything that serves connections in memory, such as a ``Simulator``."""

    def memory_protocol(self) -> asyncio.BaseProtocol:
        """Return the server's end of a new connection."""


class MemoryConnector(aiohttp.BaseConnector):
    """Connects every request, whatever its host, to one in-process server.

    Args:
        server: an ``aiohttp.web.Server``, any other factory of server protocols, or a ``Simulator``.
        latency: seconds that data travels, each way. A new connection first costs one round trip.
        limit: most connections at once, as for aiohttp's own connectors; 0 means no limit.
        keepalive_timeout: seconds for which an idle connection stays open for the next request.
        force_close: close each connection after its request.
    """

    def __init__(
        self,
        server: ProtocolFactory | MemoryServer,
        *,
        latency: float = 0.0,
        limit: int = 100,
        keepalive_timeout: float = 3600.0,
        force_close: bool = False,
    ) -> None:
        settings: dict[str, Any] = {"force_close": True} if force_close else {"keepalive_timeout": keepalive_timeout}
        super().__init__(limit=limit, **settings)
        self._accept: ProtocolFactory = server if callable(server) else server.memory_protocol
        self._latency = latency
        self._ports = itertools.count(49_152)

    async def _create_connection(
        self,
        req: ClientRequest,  # noqa: ARG002
        traces: list[Trace],  # noqa: ARG002
        timeout: aiohttp.ClientTimeout,
    ) -> ResponseHandler:
        if self._latency > 0:
            async with asyncio.timeout(timeout.sock_connect):
                await asyncio.sleep(2 * self._latency)
        protocol: ResponseHandler = self._factory()
        pipe.connect(self._loop, protocol, self._accept(), latency=self._latency, port=next(self._ports))
        return protocol
