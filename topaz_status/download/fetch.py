"""Fetches the result of a finished job: streamed, resumed when cut, limited in size, complete or not there."""

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
_INFORMATIVE: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})
"""Statuses of answers that say something about the file."""
_HAS_FILE: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_HTML_SUFFIXES: Final = (".html", ".htm", ".xhtml")
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and the size of the file: ``None`` until the storage has said it."""


def link_of(status: VideoStatus | TryOnStatus) -> Download:
    """Return the link that a video or try-on status holds.

    Raises:
        JobFailedError, JobCanceledError, JobExpiredError: the job ended without a result.
        ResultUnavailableError: the job has not ended, or the service names no URL.
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
    """The result to fetch, its file and its limits."""

    job: JobRef
    folder: Path
    name: str | None = None
    max_bytes: int | None = None
    progress: Progress | None = None

    def check(self) -> None:
        """Check the arguments, before anything is sent.

        Raises:
            ConfigurationError: ``name`` is no plain file name, or ``max_bytes`` is no number of bytes.
        """
        limit = self.max_bytes
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ConfigurationError(f"max_bytes is a whole number of bytes, not {limit!r}")
        if self.name is not None:
            file_name(self.name)


@attrs.define(eq=False)
class Transfer:
    """One file on its way to disk: the part that is there, and what is known of the whole."""

    request: DownloadRequest
    _idle: Pause = pause
    _file: PartialFile | None = attrs.field(default=None, init=False)
    """Made at the first answer about the file: many downloads may wait, and a process may open only few files."""
    at: int = 0
    total: int | None = None
    version: Version = attrs.field(factory=Version)
    content_type: str | None = None
    whole: bool = False
    restarts: int = 0
    """How often received bytes were discarded."""
    _pieces: bytearray = attrs.field(factory=bytearray, init=False)

    @property
    def file(self) -> PartialFile:
        """The file that the bytes go to.

        Raises:
            OSError: the folder cannot be written to.
        """
        if self._file is None:  # not in a thread: it could make the file after a cancellation, for nobody to remove
            self._file = PartialFile.make(self.request.folder)
        return self._file

    async def wait(self, delay: float) -> None:
        """Wait for ``delay`` seconds; the download gives up its slot meanwhile if it has no file yet."""
        await (self._idle if delay and self._file is None else pause)(delay)

    def discard(self) -> None:
        """Remove the partial file."""
        if self._file is not None:
            self._file.discard()

    def headers(self) -> dict[str, str]:
        """Return the headers that ask only for the missing part, and only of the same version of the file."""
        condition = self.version.condition
        if not self.at or condition is None:
            return {}
        return {"Range": f"bytes={self.at}-", "If-Range": condition}

    async def restart(self) -> None:
        """Discard the bytes that are there, and start from the beginning of the file."""
        if self.at:
            self.restarts += 1
        self.at, self.total, self.version = 0, None, Version()
        await asyncio.to_thread(self.file.rewind)
        self._report()

    async def accept(self, stream: Stream) -> None:
        """Write one answer to the file, at the position where the answer begins.

        Raises:
            ResultTooLargeError: the file is larger than the request allows, or its headers say so.
            ResultUnavailableError: the answer has a content coding that cannot be decoded.
            TransportError: the answer broke off, or is no part of this file.
        """
        if stream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            await self._handle_416(stream.headers)
        else:
            await self._write_part(stream, self._decoder(stream.headers), part_of(stream.status, stream.headers))

    def _decoder(self, headers: Mapping[str, str]) -> Decoder:
        names = codings(headers)
        decoder = decoder_for(names)
        if decoder is None:
            unknown = quoted(", ".join(names))
            raise ResultUnavailableError(self.request.job, None, f"the storage sent it in the content coding {unknown}")
        return decoder

    async def _handle_416(self, headers: Mapping[str, str]) -> None:
        """Handle a 416, which means that the file is complete, or that our bytes are of another version."""
        part = Part(self.at, None, ends_at(headers), version_of(headers))
        if self.at and part.total == self.at and part.continues(self.at, self.total, self.version):
            self._complete()
        else:
            await self.restart()

    async def _write_part(self, stream: Stream, decoder: Decoder, part: Part) -> None:
        announced = max(part.end or 0, part.total or 0)
        self._check(announced, announced)
        await self._begin_part(part)
        self.content_type = stream.headers.get("Content-Type")
        self._report()
        await self._copy(stream, decoder, part.end)
        is_all = stream.status == HTTPStatus.OK if self.total is None else self.at == self.total
        if not is_all:
            of = "" if self.total is None else f" of {self.total}"
            raise TransportError(f"the file broke off after {self.at}{of} bytes")
        self._complete()

    async def _begin_part(self, part: Part) -> None:
        """Prepare for a part; restart if it does not follow the bytes that are there.

        Raises:
            TransportError: the part does not begin at the position that was asked for.
        """
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
            self._report()

    def _check(self, size: int, announced: int | None = None) -> None:
        limit = self.request.max_bytes
        if limit is not None and size > limit:
            raise ResultTooLargeError(self.request.job, limit, announced)

    def _report(self) -> None:
        if self.request.progress is not None:
            self.request.progress(self.at, self.total)

    async def _copy(self, stream: Stream, decoder: Decoder, end: int | None) -> None:
        """Write the body as it arrives; if it breaks off, the bytes that arrived are written all the same."""
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
            self.version = Version()  # so that the next request does not continue this version
            raise TransportError("the storage sent more bytes than it announced")
        self._pieces += piece
        if len(self._pieces) >= _CHUNK:
            await self._write()

    async def _write(self) -> None:
        if self._pieces:
            data, self._pieces = bytes(self._pieces), bytearray()
            await asyncio.to_thread(self.file.write, data)
            self.at += len(data)
            self._report()


async def save(transport: Transport, links: Links, request: DownloadRequest, idle: Pause = pause) -> Path:
    """Fetch a job's result and return the path of its file.

    ``idle`` waits while the result is late and has no file yet.

    Raises:
        ConfigurationError: the link is no URL.
        ResultTooLargeError: the file is larger than the request allows.
        ResultUnavailableError: the storage sends the file in a content coding that cannot be decoded.
        TransportError: the file did not arrive whole, after all retries.
        OSError: the folder cannot be written to.
        TopazStatusError: as for :meth:`.Links.fresh`.
    """
    await asyncio.to_thread(request.folder.mkdir, parents=True, exist_ok=True)
    patience = Patience.new()
    transfer = Transfer(request, idle)
    first = await links.fresh(patience.lags, transfer.wait)
    try:
        last = await _fetch(transport, links, first, transfer, patience)
        target = request.folder / (request.name or default_name(request.job, last.url, transfer.content_type))
        await asyncio.to_thread(transfer.file.finish, target)
        return target
    finally:
        transfer.discard()


async def _fetch(
    transport: Transport, links: Links, link: Download, transfer: Transfer, patience: Patience
) -> Download:
    """Try until the file is whole, and return the link that it came from. A link that has expired is replaced."""
    while True:
        status = None
        try:
            status = await _attempt(transport, link, transfer)
            trouble = TransportError(_answered(status))
        except CertificateError:
            raise
        except TransportError as error:
            trouble = error
        if transfer.whole:
            return link
        delay = patience.after(status, transfer.at, transfer.restarts)
        if delay is None:
            raise trouble
        await transfer.wait(delay)
        if status in STALE:
            link = await links.fresh(patience.lags, transfer.wait)


async def _attempt(transport: Transport, link: Download, transfer: Transfer) -> int:
    """Fetch the missing part, and return the status of the storage's answer."""
    _check_web(link)
    async with transport.stream(link, transfer.headers()) as stream:
        if stream.status in _INFORMATIVE:
            _check_page(link, stream)
            await transfer.accept(stream)
        return stream.status


def _check_page(link: Download, stream: Stream) -> None:
    """Refuse a web page that came in place of the result: a captive portal, a login page or a maintenance page.

    An empty file passes: the storage says that the result has no bytes, and nothing contradicts it.

    Raises:
        TransportError: the storage sent HTML, and the link does not name an HTML file.
    """
    kind = stream.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if (
        stream.status in _HAS_FILE
        and kind in _HTML_TYPES
        and not urlsplit(link.url).path.lower().endswith(_HTML_SUFFIXES)
    ):
        raise TransportError(
            f"the storage answered with a web page ({kind}) instead of the result: "
            "check the proxy, firewall or captive portal on the way to it"
        )


def _answered(status: int) -> str:
    also = " to a fresh link, too" if status in REFUSED else ""
    return f"the storage answered {status}{also}"


def _check_web(link: Download) -> None:
    """Refuse a link that is no web address.

    Raises:
        ConfigurationError: the link is no ``http`` or ``https`` URL.
    """
    if not _is_web(link.url):
        raise ConfigurationError("the service names a result that is no web address")


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        return False
