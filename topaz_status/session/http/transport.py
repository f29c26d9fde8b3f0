"""The transport: it sends one request, reads one bounded answer, and translates every failure.

Redirects are not followed. An error never passes a function that has a key, a signed URL or an answer's body in a
variable. This file, :mod:`.connections`, :mod:`.stream` and :mod:`.translation` are the only ones that import aiohttp.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
import attrs
from yarl import URL

from ...core.wire.requests import Request
from ...core.wire.responses import Response
from ...errors import ConfigurationError, TransportError
from ...models.download_link import Download
from ...models.job import JobKind
from ..settings import ACCOUNTS, Settings
from ..timing.clock import Clock
from ..timing.deadline import Deadline, Deadlines
from .connections import CLOSED, HEADERS_READ, Connections, through, with_these_alone
from .network import Proxy
from .stream import Stream
from .translation import check_passed, translate

OnAnswered = Callable[[Request, int | None, Exception | None, float], None]
"""Called with a request, the status and no error, or with ``None`` and the error, and with when it was sent."""


@attrs.define(eq=False)
class Transport:
    """Sends requests through its own connection pool, or through a caller's session, which it never closes."""

    _settings: Settings
    _connections: Connections
    _deadlines: Deadlines = attrs.field(init=False)
    _clock: Clock = attrs.field(init=False)
    _answered: OnAnswered = attrs.field(init=False)

    def open(self, clock: Clock, answered: OnAnswered) -> None:
        """Make the pool; needs the running loop.

        ``answered`` is called for each request that has ended.
        """
        self._clock = clock
        self._answered = answered
        self._deadlines = Deadlines(clock, self._settings.request_timeout)
        self._connections.open()

    def download_slots(self) -> int:
        """See :meth:`Connections.download_slots`."""
        return self._connections.download_slots()

    async def close(self) -> None:
        """Close the pools and every connection in them."""
        await self._connections.close()
        self._deadlines.close()

    def check_key(self, kind: JobKind) -> None:
        """Raise ConfigurationError, before any request, if there is no key for a kind of job."""
        self._settings.key(kind)

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer, within ``request_timeout`` seconds.

        Raises:
            TransportError: no usable answer came.
            ConfigurationError: there is no key for this kind of job, or the caller's session is closed.
        """
        connections = self._connections
        account = connections.accounts.get(ACCOUNTS[request.kind]) or connections.open_account(request.kind)
        if account.session.closed:
            del account  # it holds the key
            raise ConfigurationError(CLOSED)
        answer, sent_at = None, self._clock.now()
        try:
            with Deadline(TimeoutError, self._deadlines):
                answer = await account.session.request(
                    request.method, account.url(request.path), allow_redirects=False, **account.options
                )
                size = request.max_bytes
                body = _whole(answer, size) if answer.closed else await _read(answer, size)
                check_passed(answer.status, account.proxy)
        except Exception as error:  # noqa: BLE001  # anything may come out of a hostile answer
            failure = translate(error, request.job, account.cleaned, account.proxy)
            del account, answer  # they hold the key
        else:
            self._answered(request, answer.status, None, sent_at)
            return Response(answer.status, answer.headers, account.without_key(body))
        self._answered(request, None, failure, sent_at)
        raise failure

    @contextlib.asynccontextmanager
    async def stream(self, link: Download, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Fetch a result file. No key is sent; redirects between storage hosts are followed.

        ``request_timeout`` bounds each silence, not the whole download.

        Raises:
            TransportError: no answer came.
        """
        session = self._connections.storage
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
                    middlewares=(with_these_alone(headers),),
                    **HEADERS_READ,
                    **through(proxy),
                )
            )
        except Exception as error:  # noqa: BLE001  # as above
            failure = translate(error, None, proxy=proxy)
        if failure is not None:
            raise failure
        async with stream:
            check_passed(stream.status, proxy)
            yield stream

    async def _proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy for a storage host; a thread asks the system, which may resolve names."""
        network = self._connections.network
        if network.trust_env:
            return await asyncio.to_thread(network.proxy_for, url)
        return network.proxy_for(url)


def _whole(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body of a closed answer: all of it is there, or its stream raises the reason of the close."""
    body = answer.content.read_nowait()
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read the body, decompressed as it comes, and refuse more than ``max_bytes``.

    At the end of the body the connection returns to the pool by itself, unless it was upgraded. If reading stops
    earlier, the connection is of no more use, and is closed.
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
