"""The only file that imports aiohttp: one request out, one bounded answer in, every failure translated.

A key goes to its own host only: in a session of ours for that host, or set per request. Redirects are not followed.
Through a proxy it is always set per request, because aiohttp sends a session's headers to the proxy with CONNECT.
aiohttp itself sends nothing twice: it would repeat a GET or DELETE when a kept-alive connection drops unanswered, so
that failure leaves :func:`_once` as an error aiohttp does not know. aiohttp's own exceptions carry the request with its
headers, and their tracebacks the variables of what sent it, so none is kept as a cause or context: what is raised here
is made here, and no function that it passes has a key, a signed URL or an answer's body in a variable.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import attrs
from aiohttp import hdrs
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType
from aiohttp.http_exceptions import LineTooLong
from aiohttp.tracing import Trace
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from ..core.requests import Request
from ..core.responses import Response
from ..errors import CertificateError, ConfigurationError, TopazStatusError, TransportError
from ..models.download import Download
from ..models.redact import shown
from ..models.state import JobKind, JobRef
from .certificates import certificate_problem
from .clock import Clock
from .deadline import Deadline, Deadlines
from .network import Network, Proxy
from .secret import Secret
from .settings import ACCOUNTS, Account, Settings

KEEP_ALIVE: Final = 330.0
"""Seconds an idle connection is kept: longer than the longest default gap between looks."""
UNBOUNDED: Final = aiohttp.ClientTimeout(total=None)
"""For aiohttp: the bound is ours, one timer for all."""
PIECE: Final = 1 << 16
"""Bytes read from a plain socket at a time."""
LONGEST_HEADER: Final = 1 << 16
"""Bytes of one response header, or of the status line; aiohttp's own limit is 8,190."""
MOST_HEADERS: Final = 512
"""Response headers in one answer; aiohttp's own limit is 128."""
_HEADERS_READ: Final[Mapping[str, Any]] = {
    "max_line_size": LONGEST_HEADER,
    "max_field_size": LONGEST_HEADER,
    "max_headers": MOST_HEADERS,
}
IDLE_UNTIL_PROBED: Final = 60
"""Seconds after which TCP asks an idle connection for a sign of life: sooner than gateways forget it."""
KEY_HEADER: Final = "X-API-Key"
SHORTEST_SECRET: Final = 8
"""Characters: a shorter key is a stand-in, and may be part of any word of an error message."""
_CLOSED: Final = "the aiohttp session is closed"
_NOT_OPEN: Final = "the client is not open"


class _Socket(socket.socket):
    """A plain socket that is read in pieces the allocator keeps at hand.

    asyncio asks for 256 KiB at a time, which glibc takes from the kernel and gives back on every answer.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See :meth:`socket.socket.recv`."""
        return super().recv(min(bufsize, PIECE), flags)


def _socket(address: AddrInfoType) -> socket.socket:
    """A socket for any connection, TLS or not, with TCP keep-alive (RFC 9293 §3.8.4)."""
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
    """A request with its session's headers as they stand, where they name the host: the only one that is asked.

    aiohttp would put the same together for each request, piece by piece.
    """

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Take the copy that the session has made for it."""
        if isinstance(headers, CIMultiDict) and hdrs.HOST in headers:
            self.headers = headers
        else:
            super().update_headers(headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add what is missing, if anything is."""
        if hdrs.USER_AGENT not in self.headers:
            super().update_auto_headers(skip_auto_headers)


class _Lost(Exception):  # noqa: N818  # never leaves this file
    """A connection dropped before an answer came; aiohttp must not know, or it would send again."""


async def _once(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send as it stands, once."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        problem = _certificate_problem(error)
        if problem is not None:
            raise CertificateError(f"cannot talk to {request.url.host}: {problem}") from None
        raise _Lost(type(error).__name__) from None


_ALWAYS: Final = frozenset({"host", "user-agent", "accept", "accept-encoding"})


def _with_these_alone(headers: Iterable[str]) -> ClientMiddlewareType:
    """Send nothing along that a caller's session holds for others: cookies, credentials, headers of its own."""
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
    **_HEADERS_READ,
    "middlewares": (_with_these_alone([KEY_HEADER]),),
}
"""What a request in a caller's session sets for itself, whatever the session would have it be."""


@attrs.frozen(eq=False)
class _Door:
    """The way to one account's host: a session, and what each request sets for itself."""

    session: aiohttp.ClientSession
    base: URL
    key: Secret
    options: Mapping[str, Any] = attrs.field(repr=False)
    proxy: Proxy | None = None
    _folder: str = attrs.field(init=False)
    """With what the path of every request begins."""

    @_folder.default
    def _folder_of_base(self) -> str:
        return self.base.raw_path.rstrip("/")

    def without_key(self, body: bytes) -> bytes:
        """What the service sent, but for our key, should it repeat it."""
        key: bytes = self.key.reveal()
        if len(key) >= SHORTEST_SECRET and body.rfind(key) >= 0:  # faster than from the front
            return body.replace(key, b"[key]")
        return body

    def cleaned(self, text: str) -> str:
        """What an error says of an answer, without our key."""
        return self.without_key(text.encode(errors="replace")).decode()

    def url(self, path: str) -> URL:
        """The URL of a path, which is percent-encoded and may hold a query."""
        base = self.base
        if "?" not in path:
            return base.with_path(self._folder + path, encoded=True)
        path, _, query = path.partition("?")
        authority = base.raw_authority
        return URL.build(
            scheme=base.scheme, authority=authority, path=self._folder + path, query_string=query, encoded=True
        )


@attrs.define(eq=False)
class Transport:
    """Sends requests through its own connection pool, or through a caller's session, which it never closes.

    Of its own it has a session for each account and one for storage hosts, so that a session's headers, which cost
    least, can hold the key; in a caller's session every request sets all for itself.
    """

    _settings: Settings
    _theirs: aiohttp.ClientSession | None = None
    _network: Network = attrs.field(factory=Network)
    """For connections of our own; a caller's session has settings of its own."""
    _deadlines: Deadlines = attrs.field(init=False)
    _answered: Callable[[JobKind, int | None], None] = attrs.field(init=False)
    _pool: aiohttp.TCPConnector | None = attrs.field(default=None, init=False)
    _ours: list[aiohttp.ClientSession] = attrs.field(factory=list, init=False)
    _storage_pool: aiohttp.TCPConnector | None = attrs.field(default=None, init=False)
    """For downloads alone: however long they last, they keep no poll from its connection."""
    _storage: aiohttp.ClientSession | None = attrs.field(default=None, init=False)
    """The session for storage hosts: it holds no key."""
    _doors: dict[Account, _Door] = attrs.field(factory=dict, init=False)

    def open(self, clock: Clock, answered: Callable[[JobKind, int | None], None]) -> None:
        """Make the pool; needs the running loop.

        ``answered`` is told of each exchange: the kind of job, and the status, ``None`` where no usable answer came.
        """
        self._answered = answered
        self._deadlines = Deadlines(clock, self._settings.request_timeout)
        self._storage = self._theirs
        if self._theirs is None:
            self._pool = self._connector(self._settings.max_in_flight, keepalive_timeout=KEEP_ALIVE)
            self._storage_pool = self._connector(0)  # the slots are the bound
            self._storage = self._session(self._storage_pool, {})

    def download_slots(self) -> int:
        """How many downloads there may be at a time: ``max_downloads``, and half of a caller's connections at most.

        The other half is for polls. Of a single connection, each has all while it lasts.
        """
        connector = None if self._theirs is None else self._theirs.connector
        limits = () if connector is None else (connector.limit, connector.limit_per_host)
        return min([self._settings.max_downloads, *(max(1, limit // 2) for limit in limits if limit)])

    async def close(self) -> None:
        """Close the pools and every connection in them."""
        pools, self._pool, self._storage_pool = (self._pool, self._storage_pool), None, None
        self._doors.clear()
        for session in self._ours:
            await session.close()
        for pool in pools:
            if pool is not None:
                await pool.close()
        self._deadlines.close()

    def check_key(self, kind: JobKind) -> None:
        """Raise ConfigurationError at the door where there is no key for a kind of job."""
        self._settings.key(kind)

    async def send(self, request: Request) -> Response:
        """Make one exchange, ``request_timeout`` seconds at most.

        Raises:
            TransportError: no usable answer came.
            ConfigurationError: there is no key for this kind of job, or the caller's session is closed.
        """
        door = self._doors.get(ACCOUNTS[request.kind]) or self._open_door(request.kind)
        if door.session.closed:
            del door  # it knows the key
            raise ConfigurationError(_CLOSED)
        answer = None
        try:
            with Deadline(TimeoutError, self._deadlines):
                answer = await door.session.request(
                    request.method, door.url(request.path), allow_redirects=False, **door.options
                )
                size = request.max_bytes
                body = _whole(answer, size) if answer.closed else await _read(answer, size)
                _check_passed(answer.status, door.proxy)
        except Exception as error:  # noqa: BLE001  # anything may come out of a hostile answer
            failure = _translate(error, request.job, door.cleaned, door.proxy)
            del door, answer  # they know the key
        else:
            self._answered(request.kind, answer.status)
            return Response(answer.status, answer.headers, door.without_key(body))
        self._answered(request.kind, None)
        raise failure

    def _open_door(self, kind: JobKind) -> _Door:
        key, session, options = self._settings.key(kind), self._theirs, dict(_BY_ITSELF)
        base = URL(self._settings.url(kind), encoded=True)
        proxy = self._network.proxy_for(self._settings.url(kind))
        if session is not None:
            options["headers"] = _headers(key)
        elif self._pool is None:
            raise ConfigurationError(_NOT_OPEN)
        elif proxy is None:
            session, options = self._session(self._pool, _every_header(base, key)), {}
        else:
            session, options = self._session(self._pool, {}), {"headers": _every_header(base, key), **_through(proxy)}
        door = self._doors[ACCOUNTS[kind]] = _Door(session, base, Secret(key.reveal().encode()), options, proxy)
        return door

    def _connector(self, limit: int, **settings: Any) -> aiohttp.TCPConnector:
        """A pool of ``limit`` connections, 0 for any number; what holds for each connection is set here."""
        return _Connector(
            limit=limit,
            **settings,
            socket_factory=_socket,
            ssl=True if self._network.ssl is None else self._network.ssl,
        )

    def _session(self, pool: aiohttp.TCPConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
        """One more session on the pool, for requests that set nothing for themselves."""
        session = aiohttp.ClientSession(
            connector=pool,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=UNBOUNDED,
            middlewares=(_once,),
            **_HEADERS_READ,
            request_class=_Request,
        )
        self._ours.append(session)
        return session

    @contextlib.asynccontextmanager
    async def stream(self, link: Download, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Fetch a result file. No key goes along; redirects between storage hosts are followed.

        ``request_timeout`` bounds each silence, not the whole.

        Raises:
            TransportError: no answer came.
        """
        session = self._storage
        if session is None or session.closed:
            raise ConfigurationError(_CLOSED if session else _NOT_OPEN)
        silence = self._settings.request_timeout
        failure: TransportError | None = None
        proxy = await self._proxy_for(link.url)
        try:
            stream = Stream(
                await session.get(
                    URL(link.url, encoded=True),
                    headers={"Accept": "*/*", "Accept-Encoding": "identity", **headers},
                    raise_for_status=False,
                    auto_decompress=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=silence, sock_read=silence),
                    middlewares=(_with_these_alone(headers),),
                    **_HEADERS_READ,
                    **_through(proxy),
                )
            )
        except Exception as error:  # noqa: BLE001  # as above
            failure = _translate(error, None, proxy=proxy)
        if failure is not None:
            raise failure
        async with stream:
            _check_passed(stream.status, proxy)
            yield stream

    async def _proxy_for(self, url: str) -> Proxy | None:
        """The proxy for a storage host; in a thread where the system is asked, which may look up names."""
        if self._network.trust_env:
            return await asyncio.to_thread(self._network.proxy_for, url)
        return self._network.proxy_for(url)


@attrs.define(eq=False)
class Stream:
    """The answer to :meth:`Transport.stream`: its status and headers, and the body piece by piece."""

    _answer: aiohttp.ClientResponse = attrs.field(repr=False)
    """Not to be shown: it knows its URL."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._answer.__aexit__(kind, error, traceback)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up in any case; several of one name are joined (RFC 9110 §5.3)."""
        headers = self._answer.headers
        return CIMultiDict({name: ", ".join(headers.getall(name)) for name in headers})

    async def read(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            TransportError: the body broke off.
        """
        try:
            return await self._answer.content.readany()
        except Exception as error:  # noqa: BLE001  # as above
            failure = _translate(error, None)
        raise failure


def _whole(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body of an answer that is closed: all of it is there, or its stream raises what it was closed for."""
    body = answer.content.read_nowait()
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, decompressed as it comes, never more than ``max_bytes`` of it.

    At its end the connection has gone back to the pool by itself, but for one that is said to be upgraded; before it,
    there is no more use for it.
    """
    content = answer.content
    try:
        body = content.read_nowait() if content.is_eof() else await content.readany()
        pieces, size = [body], len(body)
        while size <= max_bytes and not content.at_eof() and (piece := await content.readany()):
            pieces.append(piece)
            size += len(piece)
    finally:
        if not answer.closed:
            answer.close()
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(pieces)


def _too_large(max_bytes: int) -> TransportError:
    return TransportError(f"the answer is larger than {max_bytes} bytes")


def _through(proxy: Proxy | None) -> dict[str, Any]:
    """What a request through a proxy sets for itself."""
    return {} if proxy is None else {"proxy": URL(proxy.url.reveal(), encoded=True)}


def _check_passed(status: int, proxy: Proxy | None) -> None:
    """A 407 is no service's answer: it is that of a proxy on the way of a plain ``http://`` request (RFC 9110)."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise TransportError(_refused_by(proxy, "407"))


def _refused_by(proxy: Proxy | None, answer: str) -> str:
    """What a proxy's refusal means."""
    name = "a proxy on the way" if proxy is None else f"the proxy {proxy.name}"
    if answer.startswith("407"):
        return f"{name} asks for credentials ({answer}): check user:password@ in its URL"
    return f"{name} does not connect us to the host ({answer})"


def _certificate_problem(error: Exception) -> str | None:
    """What is wrong with a certificate, if an error of aiohttp's is about one."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error.__cause__
    return certificate_problem(cause) if isinstance(cause, ssl.SSLError) else None


def _translate(
    error: Exception, job: JobRef | None, cleaned: Callable[[str], str] = str, proxy: Proxy | None = None
) -> TransportError:
    """Whatever aiohttp, the sockets or the codecs raise, as one of ours; ``cleaned`` hides what it must not tell."""
    through = "" if proxy is None else f" through the proxy {proxy.name}"
    match error:
        case CertificateError():
            return CertificateError(str(error), job=job)
        case aiohttp.ClientConnectorError():
            return _not_connected(error, job)
        case aiohttp.ClientHttpProxyError():
            answer = shown(cleaned(f"{error.status} {error.message}"))
            return TransportError(_refused_by(proxy, answer), maybe_sent=False, job=job)
        case TopazStatusError():
            text = str(error)
        case _Lost():
            text = f"the connection{through} was lost before an answer came ({error})"
        case TimeoutError():
            text = f"no complete answer in time{through}"
        case aiohttp.ClientResponseError(__cause__=Exception(__cause__=LineTooLong())):
            text = f"the answer has a header of more than {LONGEST_HEADER} bytes"
        case _:
            details = shown(cleaned(_text(error))) or "no details"
            text = f"no usable answer{through} ({type(error).__name__}: {details})"
    return TransportError(text, job=job)


def _not_connected(error: aiohttp.ClientConnectorError, job: JobRef | None) -> TransportError:
    """No connection to a service or to a proxy; nothing was sent."""
    what = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    if (problem := _certificate_problem(error)) is not None:
        return CertificateError(f"cannot connect to {what}{error.host}: {problem}", maybe_sent=False, job=job)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        text = f"cannot resolve the host name {error.host}: {error.os_error}"
    else:
        text = f"cannot connect to {what}{error.host}: {error.os_error}"
    return TransportError(text, maybe_sent=False, job=job)


def _text(error: Exception) -> str:
    """What an error says of itself, but for the URL that it is about."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return ""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message
    return str(getattr(error, "message", "")) or str(error)


def _every_header(base: URL, key: Secret) -> Mapping[str, str]:
    """What each request to a host has: our own headers, and those that aiohttp adds."""
    return aiohttp.ClientRequest("GET", base, headers=_headers(key)).headers


def _headers(key: Secret) -> dict[str, str]:
    return {KEY_HEADER: key.reveal(), "Accept": "application/json"}
