"""Connections to the services and to storage hosts: sockets, pools, sessions, and the headers that each sends.

A key goes to its own host only: in a session of ours for that host, or set per request. Through a proxy the key is
always set per request, because aiohttp sends a session's headers to the proxy with CONNECT. aiohttp must not send a
request twice. By itself it repeats a GET or DELETE when a kept-alive connection drops before an answer. So
:func:`_once` turns that failure into an error that aiohttp does not know.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

import aiohttp
import attrs
from aiohttp import hdrs
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType
from aiohttp.tracing import Trace
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from ...errors import CertificateError, ConfigurationError
from ...models.job import JobKind
from ..secret import Secret
from ..settings import ACCOUNTS, Account, Settings
from .network import Network, Proxy
from .translation import LONGEST_HEADER, LostError, problem_of

KEEP_ALIVE: Final = 330.0
"""Seconds for which an idle connection stays open: longer than the longest default gap between polls."""
UNBOUNDED: Final = aiohttp.ClientTimeout(total=None)
"""No timeout in aiohttp: the library's own deadline, one timer for all, bounds each request."""
PIECE: Final = 1 << 16
"""Most bytes read from a plain socket at a time."""
MOST_HEADERS: Final = 512
"""Most response headers in one answer; aiohttp's own limit is 128."""
HEADERS_READ: Final[Mapping[str, Any]] = {
    "max_line_size": LONGEST_HEADER,
    "max_field_size": LONGEST_HEADER,
    "max_headers": MOST_HEADERS,
}
IDLE_UNTIL_PROBED: Final = 60
"""Seconds after which TCP asks an idle connection for a sign of life: sooner than gateways forget it."""
KEY_HEADER: Final = "X-API-Key"
SHORTEST_SECRET: Final = 8
"""A key of fewer characters is a stand-in. It is not masked: it may be part of any word of an error message."""
CLOSED: Final = "the aiohttp session is closed"
_NOT_OPEN: Final = "the client is not open"


class _Socket(socket.socket):
    """A plain socket that is read in pieces small enough for the allocator to reuse.

    asyncio asks for 256 KiB at a time, which glibc takes from the kernel and gives back on every answer.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See :meth:`socket.socket.recv`."""
        return super().recv(min(bufsize, PIECE), flags)


def _socket(address: AddrInfoType) -> socket.socket:
    """Make a socket for any connection, TLS or not, with TCP keep-alive (RFC 9293 §3.8.4)."""
    family, kind, protocol, _, _ = address
    made = _Socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # the latter on macOS
    if idle is not None:
        made.setsockopt(socket.IPPROTO_TCP, idle, IDLE_UNTIL_PROBED)
    return made


class _Connector(aiohttp.TCPConnector):
    """A pool that also bounds the wait for a proxy's answer to CONNECT, for which aiohttp has no limit of its own."""

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        async with asyncio.timeout(timeout.sock_connect):
            return await super()._create_connection(req, traces, timeout)


class _Request(aiohttp.ClientRequest):
    """A request that takes its session's headers unchanged if they name the host: such a session has one host only.

    aiohttp would put the same headers together for each request, piece by piece.
    """

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Take the copy of the headers that the session has made for this request."""
        if isinstance(headers, CIMultiDict) and hdrs.HOST in headers:
            self.headers = headers
        else:
            super().update_headers(headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add aiohttp's own headers where they are missing."""
        if hdrs.USER_AGENT not in self.headers:
            super().update_auto_headers(skip_auto_headers)


async def _once(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once, unchanged."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        problem = problem_of(error)
        if problem is not None:
            raise CertificateError(f"cannot talk to {request.url.host}: {problem}") from None
        raise LostError(type(error).__name__) from None


_ALWAYS: Final = frozenset({"host", "user-agent", "accept", "accept-encoding"})


def with_these_alone(headers: Iterable[str]) -> ClientMiddlewareType:
    """Make a middleware that removes what a caller's session adds for others: cookies, credentials, own headers."""
    known = _ALWAYS | {name.lower() for name in headers}

    async def send(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        for name in [name for name in request.headers if name.lower() not in known]:
            request.headers.popall(name, None)
        return await _once(request, handler)

    return send


_BY_ITSELF: Final = {
    "raise_for_status": False,
    "auto_decompress": True,
    "timeout": UNBOUNDED,
    **HEADERS_READ,
    "middlewares": (with_these_alone([KEY_HEADER]),),
}
"""Options that a request in a caller's session sets for itself, whatever the session's own are."""


@attrs.frozen(eq=False)
class AccountConnection:
    """Access to one account's host: a session, and the options that each request sets for itself."""

    session: aiohttp.ClientSession
    base: URL
    key: Secret
    options: Mapping[str, Any] = attrs.field(repr=False)
    proxy: Proxy | None = None
    _folder: str = attrs.field(init=False)
    """The prefix of every request's path."""

    @_folder.default
    def _folder_of_base(self) -> str:
        return self.base.raw_path.rstrip("/")

    def without_key(self, body: bytes) -> bytes:
        """Return what the service sent, with ``[key]`` in place of our key if the service repeats it."""
        key: bytes = self.key.reveal()
        if len(key) >= SHORTEST_SECRET and body.rfind(key) >= 0:  # faster than from the front
            return body.replace(key, b"[key]")
        return body

    def cleaned(self, text: str) -> str:
        """Return an error's text about an answer, without our key."""
        return self.without_key(text.encode(errors="replace")).decode()

    def url(self, path: str) -> URL:
        """Return the URL of a path, which is percent-encoded and may hold a query."""
        base = self.base
        if "?" not in path:
            return base.with_path(self._folder + path, encoded=True)
        path, _, query = path.partition("?")
        authority = base.raw_authority
        return URL.build(
            scheme=base.scheme, authority=authority, path=self._folder + path, query_string=query, encoded=True
        )


@attrs.define(eq=False)
class Connections:
    """Pools and sessions of our own, or a caller's session, which is never closed.

    We have one session for each account, and one for storage hosts. So a session's headers can hold the key, which
    costs least. In a caller's session every request sets everything for itself.
    """

    _settings: Settings
    theirs: aiohttp.ClientSession | None = None
    network: Network = attrs.field(factory=Network)
    """Settings of our own connections; a caller's session has settings of its own."""
    ours: list[aiohttp.ClientSession] = attrs.field(factory=list, init=False)
    accounts: dict[Account, AccountConnection] = attrs.field(factory=dict, init=False)
    """Access to each account's host, once it was opened."""
    _pool: aiohttp.TCPConnector | None = attrs.field(default=None, init=False)
    _storage_pool: aiohttp.TCPConnector | None = attrs.field(default=None, init=False)
    """For downloads alone: however long they last, no poll waits for their connections."""
    _storage: aiohttp.ClientSession | None = attrs.field(default=None, init=False)

    def open(self) -> None:
        """Make the pools; needs the running loop."""
        self._storage = self.theirs
        if self.theirs is None:
            self._pool = self._connector(self._settings.max_in_flight, keepalive_timeout=KEEP_ALIVE)
            self._storage_pool = self._connector(0)  # the download slots set the limit
            self._storage = self._session(self._storage_pool, {})

    async def close(self) -> None:
        """Close the pools and every connection in them."""
        pools, self._pool, self._storage_pool = (self._pool, self._storage_pool), None, None
        self.accounts.clear()
        for session in self.ours:
            await session.close()
        for pool in pools:
            if pool is not None:
                await pool.close()

    def download_slots(self) -> int:
        """Return how many downloads may run at a time: ``max_downloads``, but at most half of a caller's connections.

        The other half is for polls. A single connection is shared: polls and downloads use it in turn.
        """
        connector = None if self.theirs is None else self.theirs.connector
        limits = () if connector is None else (connector.limit, connector.limit_per_host)
        return min([self._settings.max_downloads, *(max(1, limit // 2) for limit in limits if limit)])

    @property
    def storage(self) -> aiohttp.ClientSession:
        """The session for storage hosts: it holds no key.

        Raises:
            ConfigurationError: the session is closed, or was never opened.
        """
        session = self._storage
        if session is None or session.closed:
            raise ConfigurationError(CLOSED if session else _NOT_OPEN)
        return session

    def open_account(self, kind: JobKind) -> AccountConnection:
        """Open access to the host of a kind of job.

        Raises:
            ConfigurationError: there is no key for the kind, or there are no pools.
        """
        key, session, options = self._settings.key(kind), self.theirs, dict(_BY_ITSELF)
        base = URL(self._settings.url(kind), encoded=True)
        proxy = self.network.proxy_for(self._settings.url(kind))
        if session is not None:
            options["headers"] = _headers(key)
        elif self._pool is None:
            raise ConfigurationError(_NOT_OPEN)
        elif proxy is None:
            session, options = self._session(self._pool, _every_header(base, key)), {}
        else:
            session, options = self._session(self._pool, {}), {"headers": _every_header(base, key), **through(proxy)}
        account = self.accounts[ACCOUNTS[kind]] = AccountConnection(
            session, base, Secret(key.reveal().encode()), options, proxy
        )
        return account

    def _connector(self, limit: int, **settings: Any) -> aiohttp.TCPConnector:
        """Make a pool of ``limit`` connections, 0 for any number, with the settings of every connection."""
        return _Connector(
            limit=limit,
            **settings,
            socket_factory=_socket,
            ssl=True if self.network.ssl is None else self.network.ssl,
        )

    def _session(self, pool: aiohttp.TCPConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
        """Make a session on the pool, for requests that set nothing for themselves."""
        session = aiohttp.ClientSession(
            connector=pool,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=UNBOUNDED,
            middlewares=(_once,),
            **HEADERS_READ,
            request_class=_Request,
        )
        self.ours.append(session)
        return session


def through(proxy: Proxy | None) -> dict[str, Any]:
    """Return the options that a request through a proxy sets for itself."""
    return {} if proxy is None else {"proxy": URL(proxy.url.reveal(), encoded=True)}


def _every_header(base: URL, key: Secret) -> Mapping[str, str]:
    """Return the headers of each request to a host: our own, and those that aiohttp adds."""
    return aiohttp.ClientRequest("GET", base, headers=_headers(key)).headers


def _headers(key: Secret) -> dict[str, str]:
    return {KEY_HEADER: key.reveal(), "Accept": "application/json"}
