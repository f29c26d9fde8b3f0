"""The only file that imports aiohttp: one request out, one bounded answer in, every failure translated.

A key goes to its own host only, set per request. Redirects are not followed. aiohttp itself sends nothing twice: it
would repeat a GET or DELETE when a kept-alive connection drops unanswered, so that failure leaves :func:`_once` as an
error aiohttp does not know. aiohttp's own exceptions carry the request with its headers, so none is kept as a cause or
context.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Final

import aiohttp
import attrs
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import AddrInfoType
from yarl import URL

from ..core.wire import Request, Response, tidy
from ..errors import ConfigurationError, TopazStatusError, TransportError
from ..models.state import JobKind, JobRef
from .alarms import Alarms
from .interrupt import Deadline
from .settings import Settings

KEEP_ALIVE: Final = 330.0
"""Seconds an idle connection is kept: longer than the longest default gap between looks."""
UNBOUNDED: Final = aiohttp.ClientTimeout(total=None)
"""For aiohttp: the bound is ours, one timer for all."""
PIECE: Final = 1 << 16
"""Bytes read from a plain socket at a time."""
KEY_HEADER: Final = "X-API-Key"
SHORTEST_SECRET: Final = 8
"""Characters: a shorter key is a stand-in, and may be part of any word of an error message."""


class _Socket(socket.socket):
    """A plain socket that is read in pieces the allocator keeps at hand.

    asyncio asks for 256 KiB at a time, which glibc takes from the kernel and gives back on every answer.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See :meth:`socket.socket.recv`."""
        return super().recv(min(bufsize, PIECE), flags)


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    return _Socket(family, kind, protocol)


class _Lost(Exception):  # noqa: N818  # never leaves this file
    """A connection dropped before an answer came; aiohttp must not know, or it would send again."""


async def _once(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send as it stands, once, with nothing on board that a caller's session holds for others."""
    for header in (aiohttp.hdrs.COOKIE, aiohttp.hdrs.AUTHORIZATION):
        request.headers.pop(header, None)
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(type(error).__name__) from None


@attrs.define(eq=False)
class Transport:
    """Sends requests through its own connection pool, or through a caller's session, which it never closes."""

    _settings: Settings
    _theirs: aiohttp.ClientSession | None = None
    _ours: aiohttp.ClientSession | None = attrs.field(default=None, init=False)
    _alarms: Alarms = attrs.field(init=False)

    def open(self, alarms: Alarms) -> None:
        """Make the pool; needs the running loop."""
        self._alarms = alarms
        if self._theirs is None:
            self._ours = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._settings.max_in_flight, keepalive_timeout=KEEP_ALIVE, socket_factory=_socket
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
            )

    async def close(self) -> None:
        """Close the pool and every connection in it."""
        ours, self._ours = self._ours, None
        if ours is not None:
            await ours.close()

    def check_key(self, kind: JobKind) -> None:
        """Raise ConfigurationError at the door where there is no key for a kind of job."""
        self._settings.key(kind)

    async def send(self, request: Request) -> Response:
        """Make one exchange, ``request_timeout`` seconds at most.

        Raises:
            TransportError: no usable answer came.
            ConfigurationError: there is no key for this kind of job, or the caller's session is closed.
        """
        key = self._settings.key(request.kind)
        session = self._session()
        try:
            with Deadline(TimeoutError, self._alarms, self._settings.request_timeout):
                return await self._exchange(session, request, key)
        except Exception as error:  # noqa: BLE001  # anything may come out of a hostile answer
            failure = _translate(error, request.job)
        raise failure

    async def _exchange(self, session: aiohttp.ClientSession, request: Request, key: str) -> Response:
        async with session.request(
            request.method,
            URL(self._settings.url(request.kind) + request.path, encoded=True),
            headers={KEY_HEADER: key, "Accept": "application/json"},
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=True,
            timeout=UNBOUNDED,
            middlewares=(_once,),
        ) as answer:
            body = await _read(answer, request.max_bytes)
        if answer.status != HTTPStatus.OK and len(key) >= SHORTEST_SECRET:
            body = body.replace(key.encode(), b"[key]")
        return Response(answer.status, answer.headers, body)

    @contextlib.asynccontextmanager
    async def stream(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Fetch a result file. No key goes along; redirects between storage hosts are followed.

        ``request_timeout`` bounds each silence, not the whole.

        Raises:
            TransportError: no answer came.
        """
        session = self._session()
        silence = self._settings.request_timeout
        failure: TransportError | None = None
        try:
            answer = await session.get(
                URL(url, encoded=True),
                headers={"Accept-Encoding": "identity", **headers},
                raise_for_status=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=silence, sock_read=silence),
                middlewares=(_once,),
            )
        except Exception as error:  # noqa: BLE001  # as above
            failure = _translate(error, None)
        if failure is not None:
            raise failure
        async with answer:
            yield Stream(answer)

    def _session(self) -> aiohttp.ClientSession:
        session = self._theirs or self._ours
        if session is None or session.closed:
            raise ConfigurationError("the aiohttp session is closed" if session else "the client is not open")
        return session


@attrs.define(eq=False)
class Stream:
    """The answer to :meth:`Transport.stream`: its status and headers, and the body piece by piece."""

    _answer: aiohttp.ClientResponse

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up in any case."""
        return self._answer.headers

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


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, decompressed as it comes, never more than ``max_bytes`` of it."""
    body = await answer.content.readany()
    pieces, size = [body], len(body)
    while size <= max_bytes and (piece := await answer.content.readany()):
        pieces.append(piece)
        size += len(piece)
    if size > max_bytes:
        answer.close()
        raise TransportError(f"the answer is larger than {max_bytes} bytes")
    return body if len(pieces) == 1 else b"".join(pieces)


def _translate(error: Exception, job: JobRef | None) -> TransportError:
    """Whatever aiohttp, the sockets or the codecs raise, as one of ours."""
    match error:
        case TopazStatusError():
            return TransportError(str(error), job=job)
        case _Lost():
            return TransportError(f"the connection was lost before an answer came ({error})", job=job)
        case TimeoutError():
            return TransportError("no complete answer in time", job=job)
        case aiohttp.ClientConnectorError():
            return TransportError(f"cannot connect to {error.host}: {error.os_error}", maybe_sent=False, job=job)
    return TransportError(f"no usable answer ({type(error).__name__}: {tidy(_text(error))})", job=job)


def _text(error: Exception) -> str:
    return str(getattr(error, "message", "")) or str(error) or "no details"
