"""From a finished job to its file: streamed, resumed when cut, bounded, complete or not there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from .core.verdict import failure
from .errors import CertificateError, ConfigurationError, ResultTooLargeError, ResultUnavailableError, TransportError
from .files import Partial, default_name, file_name
from .models import Download, TryOnStatus, VideoStatus
from .models.redact import shown
from .models.state import JobRef, JobState
from .session.retry import Jitter, pause
from .session.transport import Stream, Transport

_CHUNK: Final = 1 << 20
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
_GOOD: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_STALE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})

Link = Callable[[], Awaitable[Download]]
Progress = Callable[[int, int | None], None]
"""Told the bytes that are there, and how many there will be: ``None`` while the storage has not said."""


def link_of(status: VideoStatus | TryOnStatus) -> Download:
    """The link that a video or try-on status holds.

    Raises:
        JobFailedError, JobCanceledError, JobExpiredError: the job ended without a result.
        ResultUnavailableError: it has not ended, or the service names no URL.
    """
    error = failure(status)
    if error is not None:
        raise error
    if status.state is not JobState.COMPLETED:
        raise ResultUnavailableError(status.job, status, f"it is still {shown(status.status)!r}")
    if status.result_url is None:
        raise ResultUnavailableError(status.job, status, "the service names no URL")
    expires_at = status.download.expires_at if isinstance(status, VideoStatus) and status.download else None
    return Download(status.result_url, None, expires_at)


@attrs.frozen
class Order:
    """What is to be fetched, and on which terms."""

    job: JobRef
    folder: Path
    name: str | None = None
    max_bytes: int | None = None
    progress: Progress | None = None

    def check(self) -> None:
        """Refuse what can be refused before anything is sent.

        Raises:
            ConfigurationError: ``name`` is no plain file name, or ``max_bytes`` no number of bytes.
        """
        most = self.max_bytes
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
            raise ConfigurationError(f"max_bytes is a whole number of bytes, not {most!r}")
        if self.name is not None:
            file_name(self.name)


@attrs.define(eq=False)
class Saving:
    """One file on its way to disk: what is there of it, and what is known of the whole."""

    order: Order
    file: Partial
    at: int = 0
    total: int | None = None
    etag: str | None = None
    content_type: str | None = None

    def headers(self) -> dict[str, str]:
        """Ask for the rest only, and for the same file."""
        if not self.at or self.etag is None:
            return {}
        return {"Range": f"bytes={self.at}-", "If-Range": self.etag}

    async def restart(self) -> None:
        """Throw away what is there."""
        self.at, self.total, self.etag = 0, None, None
        await asyncio.to_thread(self.file.rewind)
        self._tell()

    async def accept(self, stream: Stream) -> None:
        """Take one answer in, from where it begins."""
        start = _first_byte(stream.status, stream.headers)
        if start != self.at:
            await self.restart()
            if start:
                raise TransportError("the storage sent another part of the file than was asked for")
        length = stream.headers.get("Content-Length", "")
        self.total = self.at + int(length) if _LENGTH.fullmatch(length) else None
        self._check(self.total or 0)
        etag = stream.headers.get("ETag", "")
        self.etag = etag if etag.startswith('"') else None
        self.content_type = stream.headers.get("Content-Type")
        self._tell()
        await self._copy(stream)
        if self.total is not None and self.at != self.total:
            raise TransportError(f"the file broke off after {self.at} of {self.total} bytes")

    def _check(self, size: int) -> None:
        most = self.order.max_bytes
        if most is not None and size > most:
            raise ResultTooLargeError(self.order.job, most, self.total)

    def _tell(self) -> None:
        if self.order.progress is not None:
            self.order.progress(self.at, self.total)

    async def _copy(self, stream: Stream) -> None:
        pieces = bytearray()
        try:
            while piece := await stream.read():
                self._check(self.at + len(pieces) + len(piece))
                pieces += piece
                if len(pieces) >= _CHUNK:
                    await self._write(pieces)
        finally:
            await self._write(pieces)

    async def _write(self, pieces: bytearray) -> None:
        if pieces:
            data = bytes(pieces)
            pieces.clear()
            await asyncio.to_thread(self.file.write, data)
            self.at += len(data)
            self._tell()


async def save(transport: Transport, link: Link, order: Order) -> Path:
    """Fetch a job's result.

    Raises:
        ConfigurationError: the order is no good, or the link no URL.
        ResultTooLargeError: there is more of it than was allowed.
        TransportError: the file did not arrive whole, however often tried.
        OSError: the folder cannot be written to.
    """
    order.check()
    await asyncio.to_thread(order.folder.mkdir, parents=True, exist_ok=True)
    first = await link()
    file = Partial.make(order.folder)  # not in a thread: a cancellation would lose the file that it goes on to make
    try:
        saving = Saving(order, file)
        last = await _fetch(transport, link, first, saving)
        target = order.folder / (order.name or default_name(order.job, last.url, saving.content_type))
        await asyncio.to_thread(file.finish, target)
        return target
    finally:
        file.discard()


async def _fetch(transport: Transport, renew: Link, link: Download, saving: Saving) -> Download:
    """Try until the file is whole.

    A link that went stale meanwhile is asked for anew. Where the storage finds nothing at the place from which the
    file is to be resumed, it is fetched from the start, once.
    """
    jitter = Jitter()
    delays = iter(jitter.call_delays())
    furthest, stale, anew = 0, False, False
    while True:
        try:
            link = await renew() if stale else link
            status = await _attempt(transport, link, saving)
        except CertificateError:
            raise
        except TransportError as error:
            trouble, stale = error, False
        else:
            if status in _GOOD:
                return link
            trouble, stale = TransportError(f"the storage answered {status}"), status in _STALE
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if anew or not saving.at:
                    raise trouble
                anew = True
                await saving.restart()
                continue
        if saving.at > furthest:
            furthest, delays = saving.at, iter(jitter.call_delays())
        delay = next(delays, None)
        if delay is None:
            raise trouble
        await pause(delay)


async def _attempt(transport: Transport, link: Download, saving: Saving) -> int:
    """Fetch what is missing; gives the storage's status."""
    _check_web(link)
    async with transport.stream(link, saving.headers()) as stream:
        if stream.status in _GOOD:
            await saving.accept(stream)
        return stream.status


def _check_web(link: Download) -> None:
    """Refuse a link that leads elsewhere than to the web."""
    if not _is_web(link.url):
        raise ConfigurationError("the service names a result that is no web address")


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        return False


def _first_byte(status: int, headers: Mapping[str, str]) -> int:
    """Where in the file the body begins; -1 where a partial answer does not say."""
    if status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    part = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return int(part[1]) if part else -1
