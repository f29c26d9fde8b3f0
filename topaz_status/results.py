"""From a finished job to its file: streamed, resumed when cut, complete or not there."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import attrs

from .core.verdict import failure
from .errors import ConfigurationError, ResultUnavailableError, TransportError
from .models import Download, TryOnStatus, VideoStatus
from .models.state import JobRef, JobState
from .session.retry import Jitter, pause
from .session.transport import Stream, Transport

_CHUNK: Final = 1 << 20
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
_STALE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


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
        raise ResultUnavailableError(status.job, status, f"it is still {status.status!r}")
    if status.result_url is None:
        raise ResultUnavailableError(status.job, status, "the service names no URL")
    expires_at = status.download.expires_at if isinstance(status, VideoStatus) and status.download else None
    return Download(status.result_url, None, expires_at)


def file_name(name: str) -> str:
    """Let a plain file name pass.

    Raises:
        ConfigurationError: it could lead out of the folder, or is no name.
    """
    if not isinstance(name, str) or not name or name in {".", ".."} or re.search(r"[/\\:\x00-\x1f]", name):
        raise ConfigurationError(f"name must be a plain file name without folders, not {name!r}")
    return name


def default_name(job: JobRef, url: str, content_type: str | None) -> str:
    """``image-ID.jpeg``: one name for each job, whatever the service calls its file."""
    suffix = Path(urlsplit(url).path).suffix
    if not _SUFFIX.fullmatch(suffix):
        suffix = mimetypes.guess_extension((content_type or "").partition(";")[0].strip()) or ""
    return f"{job.kind.value}-{re.sub(r'[^A-Za-z0-9._-]', '_', job.id)}{suffix.lower()}"


@attrs.define(eq=False)
class Saving:
    """One file on its way to disk: what is there of it, and what is known of the whole."""

    file: BinaryIO
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
        """Forget what is there: the next request asks for the whole file."""
        self.at, self.etag = 0, None
        await asyncio.to_thread(_rewind, self.file)

    async def accept(self, stream: Stream) -> None:
        """Take one answer in, from where it begins."""
        start = _first_byte(stream.status, stream.headers)
        if start != self.at:
            self.at = 0
            await asyncio.to_thread(_rewind, self.file)
            if start:
                raise TransportError("the storage sent another part of the file than was asked for")
        length = stream.headers.get("Content-Length", "")
        self.total = self.at + int(length) if length.isdecimal() else None
        etag = stream.headers.get("ETag", "")
        self.etag = etag if etag.startswith('"') else None
        self.content_type = stream.headers.get("Content-Type")
        await self._copy(stream)
        if self.total is not None and self.at != self.total:
            raise TransportError(f"the file broke off after {self.at} of {self.total} bytes")

    async def _copy(self, stream: Stream) -> None:
        pieces = bytearray()
        try:
            while piece := await stream.read():
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


async def save(
    transport: Transport, link: Callable[[], Awaitable[Download]], job: JobRef, folder: Path, name: str | None
) -> Path:
    """Fetch a job's result into ``folder``.

    Raises:
        ConfigurationError: ``name`` is no plain file name, or the link no URL.
        TransportError: the file did not arrive whole, however often tried.
        OSError: the folder cannot be written to.
    """
    wanted = None if name is None else file_name(name)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    url = (await link()).url
    file = _temporary(folder)  # not in a thread: a cancellation would lose the file that it goes on to make
    try:
        saving = Saving(file)
        url = await _fetch(transport, link, url, saving)
        target = folder / (wanted or default_name(job, url, saving.content_type))
        await asyncio.to_thread(_finish, file, target)
        return target
    finally:
        _discard(file)


async def _fetch(transport: Transport, link: Callable[[], Awaitable[Download]], url: str, saving: Saving) -> str:
    """Try until the file is whole; a link that went stale meanwhile is asked for anew."""
    jitter = Jitter()
    delays = iter(jitter.call_delays())
    furthest = 0
    while True:
        try:
            async with transport.stream(_web(url), saving.headers()) as stream:
                if stream.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                    await saving.accept(stream)
                    return url
                status = stream.status
            trouble = TransportError(f"the storage answered {status}", job=None)
            if status in _STALE:
                url = (await link()).url
            elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                await saving.restart()
        except TransportError as error:
            trouble = error
        if saving.at > furthest:
            furthest, delays = saving.at, iter(jitter.call_delays())
        delay = next(delays, None)
        if delay is None:
            raise trouble
        await pause(delay)


def _web(url: str) -> str:
    try:
        is_web = urlsplit(url).scheme in {"http", "https"} and url.isprintable() and " " not in url
    except ValueError:
        is_web = False
    if not is_web:
        raise ConfigurationError("the service names a result that is no web address")
    return url


def _first_byte(status: int, headers: Mapping[str, str]) -> int:
    """Where in the file the body begins; -1 where a partial answer does not say."""
    if status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    part = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return int(part[1]) if part else -1


def _temporary(folder: Path) -> BinaryIO:
    handle, path = tempfile.mkstemp(prefix=".topaz-", suffix=".part", dir=folder)
    os.close(handle)
    return Path(path).open("wb")  # closed by whoever asked for it


def _rewind(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _finish(file: BinaryIO, target: Path) -> None:
    """From here on the file is there, whole; before, it is not."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    Path(file.name).chmod(0o666 & ~_umask())
    Path(file.name).replace(target)


def _discard(file: BinaryIO) -> None:
    """Leave nothing behind; quick enough to be done even while a cancellation is on its way."""
    try:
        file.close()
    finally:  # closing flushes, which a full disk refuses
        Path(file.name).unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
