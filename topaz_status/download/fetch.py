"""From a finished job to its file: streamed, resumed when cut, bounded, complete or not there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from ..core.health.ending import failure
from ..core.wire.byte_ranges import Part, Version, ends_at, part_of, version_of
from ..core.wire.content_coding import Decoder, codings, decoder_for
from ..errors import CertificateError, ConfigurationError, ResultTooLargeError, ResultUnavailableError, TransportError
from ..models import Download, TryOnStatus, VideoStatus
from ..models.job import JobRef, JobState
from ..models.redact import quoted, shown
from ..session.http.download_patience import REFUSED, STALE, Patience
from ..session.http.links import Links, Pause
from ..session.http.stream import Stream
from ..session.http.transport import Transport
from ..session.timing.backoff_delays import pause
from .files import PartialFile, default_name, file_name

_CHUNK: Final = 1 << 20
_TELLING: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})
"""What tells something of the file."""
_FILE: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_PAGE_NAMES: Final = (".html", ".htm", ".xhtml")
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
class DownloadRequest:
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
class Transfer:
    """One file on its way to disk: what is there of it, and what is known of the whole."""

    order: DownloadRequest
    _idle: Pause = pause
    _file: PartialFile | None = attrs.field(default=None, init=False)
    """Made with the first answer that tells of it: many may wait, and each open file is one of the process's few."""
    at: int = 0
    total: int | None = None
    version: Version = attrs.field(factory=Version)
    content_type: str | None = None
    whole: bool = False
    restarts: int = 0
    """How often bytes that had come were thrown away."""
    _pieces: bytearray = attrs.field(factory=bytearray, init=False)

    @property
    def file(self) -> PartialFile:
        """Where the bytes go to.

        Raises:
            OSError: the folder cannot be written to.
        """
        if self._file is None:  # not made in a thread: a cancellation would lose the file that it goes on to make
            self._file = PartialFile.make(self.order.folder)
        return self._file

    async def wait(self, delay: float) -> None:
        """Let so many seconds pass; without the download's slot, where there is no file yet."""
        await (self._idle if delay and self._file is None else pause)(delay)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.discard()

    def headers(self) -> dict[str, str]:
        """Ask for the rest only, and for the same version of the file."""
        condition = self.version.condition
        if not self.at or condition is None:
            return {}
        return {"Range": f"bytes={self.at}-", "If-Range": condition}

    async def restart(self) -> None:
        """Throw away what is there."""
        if self.at:
            self.restarts += 1
        self.at, self.total, self.version = 0, None, Version()
        await asyncio.to_thread(self.file.rewind)
        self._tell()

    async def accept(self, stream: Stream) -> None:
        """Take one answer in, from where it begins.

        Raises:
            ResultTooLargeError: it is larger than the order allows, or says so.
            ResultUnavailableError: it comes in a content coding that cannot be undone.
            TransportError: it broke off, or is no part of this file.
        """
        if stream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            await self._end(stream.headers)
        else:
            await self._take_in(stream, self._decoder(stream.headers), part_of(stream.status, stream.headers))

    def _decoder(self, headers: Mapping[str, str]) -> Decoder:
        names = codings(headers)
        decoder = decoder_for(names)
        if decoder is None:
            told = quoted(", ".join(names))
            raise ResultUnavailableError(self.order.job, None, f"the storage sent it in the content coding {told}")
        return decoder

    async def _end(self, headers: Mapping[str, str]) -> None:
        """Nothing follows what is there: all of it is, or it is none of this file."""
        part = Part(self.at, None, ends_at(headers), version_of(headers))
        if self.at and part.total == self.at and part.continues(self.at, self.total, self.version):
            self._complete()
        else:
            await self.restart()

    async def _take_in(self, stream: Stream, decoder: Decoder, part: Part) -> None:
        announced = max(part.end or 0, part.total or 0)
        self._check(announced, announced)
        await self._place(part)
        self.content_type = stream.headers.get("Content-Type")
        self._tell()
        await self._copy(stream, decoder, part.end)
        is_all = stream.status == HTTPStatus.OK if self.total is None else self.at == self.total
        if not is_all:
            of = "" if self.total is None else f" of {self.total}"
            raise TransportError(f"the file broke off after {self.at}{of} bytes")
        self._complete()

    async def _place(self, part: Part) -> None:
        """Get ready for a part: begin anew where it does not follow what is there."""
        if not part.continues(self.at, self.total, self.version):
            await self.restart()
            if part.first != 0:
                raise TransportError("the storage sent another part of the file than was asked for")
        if self.at == 0:
            self.version, self.total = part.version, part.total
        elif part.total is not None:
            self.total = part.total

    def _complete(self) -> None:
        self.whole = True
        if self.total is None:
            self.total = self.at
            self._tell()

    def _check(self, size: int, announced: int | None = None) -> None:
        most = self.order.max_bytes
        if most is not None and size > most:
            raise ResultTooLargeError(self.order.job, most, announced)

    def _tell(self) -> None:
        if self.order.progress is not None:
            self.order.progress(self.at, self.total)

    async def _copy(self, stream: Stream, decoder: Decoder, end: int | None) -> None:
        """Write the body as it comes; what had come when it broke off is kept."""
        try:
            while data := await stream.read():
                for piece in decoder.decode(data):
                    await self._add(piece, end)
            decoder.finish()
        except TransportError:
            await self._write()
            raise
        await self._write()

    async def _add(self, piece: bytes, end: int | None) -> None:
        size = self.at + len(self._pieces) + len(piece)
        self._check(size)
        if end is not None and size > end:
            self.version = Version()  # not to be gone on with
            raise TransportError("the storage sent more bytes than it announced")
        self._pieces += piece
        if len(self._pieces) >= _CHUNK:
            await self._write()

    async def _write(self) -> None:
        if self._pieces:
            data, self._pieces = bytes(self._pieces), bytearray()
            await asyncio.to_thread(self.file.write, data)
            self.at += len(data)
            self._tell()


async def save(transport: Transport, links: Links, order: DownloadRequest, idle: Pause = pause) -> Path:
    """Fetch a job's result. ``idle`` waits for one that lags, while there is no file of it.

    Raises:
        ConfigurationError: the link is no URL.
        ResultTooLargeError: there is more of it than was allowed.
        ResultUnavailableError: it comes in a content coding that cannot be undone.
        TransportError: the file did not arrive whole, however often tried.
        OSError: the folder cannot be written to.
        TopazStatusError: as for :meth:`.Links.fresh`.
    """
    await asyncio.to_thread(order.folder.mkdir, parents=True, exist_ok=True)
    patience = Patience.new()
    saving = Transfer(order, idle)
    first = await links.fresh(patience.lags, saving.wait)
    try:
        last = await _fetch(transport, links, first, saving, patience)
        target = order.folder / (order.name or default_name(order.job, last.url, saving.content_type))
        await asyncio.to_thread(saving.file.finish, target)
        return target
    finally:
        saving.discard()


async def _fetch(transport: Transport, links: Links, link: Download, saving: Transfer, patience: Patience) -> Download:
    """Try until the file is whole; gives the link that brought it. One that is no good any more is asked for anew."""
    while True:
        status = None
        try:
            status = await _attempt(transport, link, saving)
            trouble = TransportError(_answered(status))
        except CertificateError:
            raise
        except TransportError as error:
            trouble = error
        if saving.whole:
            return link
        delay = patience.after(status, saving.at, saving.restarts)
        if delay is None:
            raise trouble
        await saving.wait(delay)
        if status in STALE:
            link = await links.fresh(patience.lags, saving.wait)


async def _attempt(transport: Transport, link: Download, saving: Transfer) -> int:
    """Fetch what is missing; gives the storage's status."""
    _check_web(link)
    async with transport.stream(link, saving.headers()) as stream:
        if stream.status in _TELLING:
            _check_page(link, stream)
            await saving.accept(stream)
        return stream.status


def _check_page(link: Download, stream: Stream) -> None:
    """Refuse a web page in place of the result: that of a captive portal, a login or a maintenance.

    An empty file passes: the storage says that the result has no bytes, and nothing contradicts it.

    Raises:
        TransportError: the storage sent HTML, and the link does not name an HTML file.
    """
    kind = stream.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if stream.status in _FILE and kind in _PAGES and not urlsplit(link.url).path.lower().endswith(_PAGE_NAMES):
        raise TransportError(
            f"the storage answered with a web page ({kind}) instead of the result: "
            "check the proxy, firewall or captive portal on the way to it"
        )


def _answered(status: int) -> str:
    also = " to a fresh link, too" if status in REFUSED else ""
    return f"the storage answered {status}{also}"


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
