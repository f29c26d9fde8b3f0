"""The services' endpoints: one typed method for each.

Paths and answers are the vendors' own: see :mod:`.core.wire.requests`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeVar

import attrs

from .core.wire import requests
from .core.wire.decode import (
    decode_deleted_count,
    decode_download,
    decode_history,
    decode_image,
    decode_image_list,
    decode_image_page,
    decode_try_on,
    decode_video,
    parse_json,
)
from .core.wire.responses import Response, may_be_json
from .errors import ConfigurationError, DecodeError
from .errors_base import bare
from .models import Download, ImagePage, ImageStatus, JobStatus, TryOnStatus, VideoStatus
from .models.job import JobKind, JobRef
from .watch import Watch

if TYPE_CHECKING:
    from .models import VideoRecord

S = TypeVar("S", bound=JobStatus)
Read = Callable[[Response], Any]
Call = Callable[[requests.Request, Read], Awaitable[Any]]
T = TypeVar("T")
MOST_PER_PAGE: Final = 100
_List = list  # inside ImageEndpoint, list names a method


MOST_PAGES_WITHOUT_NEW: Final = 10
"""A list is taken to have ended after so many pages in a row without a new job."""


class Unset(enum.Enum):
    """The type of :data:`UNSET`, which means "as the policy says" where ``None`` has a meaning of its own."""

    UNSET = "as the policy says"


UNSET: Final = Unset.UNSET


@attrs.define
class CursorGuard:
    """Remembers the cursors and jobs of a sweep, to end it if the cursors of the list repeat or never end."""

    _cursors: set[str | None] = attrs.field(factory=lambda: {None})
    _ids: set[str] = attrs.field(factory=set)
    _pages_without_new: int = 0

    def has_next(self, cursor: str | None, ids: Iterable[str]) -> bool:
        """Return whether to ask for the page at ``cursor``, after a page that held ``ids`` and named that cursor."""
        before = len(self._ids)
        self._ids.update(ids)
        self._pages_without_new = self._pages_without_new + 1 if len(self._ids) == before else 0
        if cursor in self._cursors or self._pages_without_new >= MOST_PAGES_WITHOUT_NEW:
            return False
        self._cursors.add(cursor)
        return True


class StartWatch(Protocol):
    """A function that starts a watch."""

    def __call__(
        self,
        job: JobRef,
        *,
        timeout: float | Unset | None,
        tag: Any,
        submitted_at: float | None,
        eta: float | None,
    ) -> Watch[Any]:
        """See :meth:`StatusClient.watch`."""


@attrs.define(eq=False)
class Endpoint(Generic[S]):
    """The part that the endpoints of all kinds share."""

    kind: ClassVar[JobKind]
    _call: Call
    _start_watch: StartWatch

    def watch(
        self,
        job: JobRef | str,
        *,
        timeout: float | Unset | None = UNSET,
        tag: Any = None,
        submitted_at: float | None = None,
        eta: float | None = None,
    ) -> Watch[S]:
        """Start to watch a job; see :meth:`StatusClient.watch`."""
        return self._start_watch(self._ref(job), timeout=timeout, tag=tag, submitted_at=submitted_at, eta=eta)

    def _ref(self, job: JobRef | str) -> JobRef:
        """Return the reference to a job that is given as a :class:`JobRef`, as its text or as a bare id.

        Raises:
            ConfigurationError: the job is of another kind, or ``job`` names no job.
        """
        if isinstance(job, str):
            prefix = job.partition(":")[0]
            job = JobRef.parse(job) if prefix in set(JobKind) and prefix != job else JobRef(self.kind, job)
        if not isinstance(job, JobRef):
            return JobRef(self.kind, job)
        if job.kind is not self.kind:
            raise ConfigurationError(f"{job} is no {self.kind.value} job")
        return job

    async def _get(self, request: requests.Request, decode: Callable[[object], T]) -> T:
        """Send a request and decode its answer; a ``DecodeError`` is raised without the answer in its traceback."""
        try:
            return decode(await self._call(request, _read_json))
        except DecodeError as error:
            failure = bare(error)
        raise failure


class ImageEndpoint(Endpoint[ImageStatus]):
    """Topaz Image, API 1.2.0."""

    kind = JobKind.IMAGE

    async def get(self, job: JobRef | str) -> ImageStatus:
        """Ask for one job: ``GET /image/v1/status/{id}``.

        Raises:
            ServiceError: 400, 401, 403, 404, 429 or 5xx, each as its own exception.
            TransportError: no usable answer came, after all retries.
            DecodeError: the answer is no status, or the status of another job.
        """
        ref = self._ref(job)
        return await self._get(requests.get_status(ref), lambda data: decode_image(data, ref))

    async def page(self, cursor: str | None = None, limit: int = 50) -> ImagePage:
        """Ask for one page of the account's jobs of the last 7 days; ``limit`` is 1 to 100.

        Raises:
            ConfigurationError: ``limit`` is out of range, or ``cursor`` is no text.
            TopazStatusError: as for :meth:`get`.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_PER_PAGE:
            raise ConfigurationError(f"a page holds 1 to {MOST_PER_PAGE} statuses, not {limit!r}")
        if cursor is not None and (not isinstance(cursor, str) or not cursor):
            raise ConfigurationError("a cursor is the next_cursor of an earlier page, or None for the first")
        return await self._get(requests.image_page(cursor, limit), decode_image_page)

    async def list(self, page_size: int = 100) -> AsyncIterator[ImageStatus]:
        """Yield all jobs of the account, page by page, until the cursors end or lead to no new jobs.

        Raises:
            TopazStatusError: as for :meth:`page`.
        """
        cursor: str | None = None
        guard = CursorGuard()
        while True:
            page = await self.page(cursor, page_size)
            for status in page.statuses:
                yield status
            cursor = page.next_cursor
            if not guard.has_next(cursor, (status.process_id for status in page.statuses)):
                return

    async def list_all(self) -> _List[ImageStatus]:
        """Return all jobs of the account in one answer without pages. It "may be slow or fail": prefer :meth:`list`.

        Raises:
            TopazStatusError: as for :meth:`get`.
        """
        return await self._get(requests.image_list(), decode_image_list)

    async def delete(self, job: JobRef | str) -> None:
        """Remove the record of one job; this cancels nothing. The request is never sent twice.

        Raises:
            ConflictError: 409, the job's state does not allow it.
            DecodeError: a 200 that did not come from the service, such as a captive portal's page.
            TopazStatusError: as for :meth:`get`.
        """
        await self._call(requests.delete_image(self._ref(job)), _read_deletion)

    async def delete_all(self) -> int | None:
        """Remove the records of all jobs, and return their number, ``None`` if the service does not state it.

        The request is never sent twice.

        Raises:
            TopazStatusError: as for :meth:`delete`.
        """
        return decode_deleted_count(await self._call(requests.delete_images(), _read_deletion))

    async def download_link(self, job: JobRef | str) -> Download:
        """Ask for a link to a finished job's result. It expires after an hour, and each call makes a new one.

        Raises:
            ConflictError: 409, the job has not ended.
            TopazStatusError: as for :meth:`get`.
        """
        return await self._get(requests.image_download(self._ref(job)), decode_download)


class VideoEndpoint(Endpoint[VideoStatus]):
    """Topaz Video, API 1.0.0, as both of its documents describe it."""

    kind = JobKind.VIDEO

    async def get(self, job: JobRef | str) -> VideoStatus:
        """Ask for one job: ``GET /video/{id}/status``.

        Raises:
            TopazStatusError: as for :meth:`ImageEndpoint.get`.
        """
        ref = self._ref(job)
        return await self._get(requests.get_status(ref), lambda data: decode_video(data, ref))

    async def history(self) -> AsyncIterator[VideoRecord]:
        """Yield all jobs of the last 7 days, newest first, except those still ``requested``: ``GET /video/history``.

        Raises:
            TopazStatusError: as for :meth:`get`.
        """
        cursor: str | None = None
        guard = CursorGuard()
        while True:
            page = await self._get(requests.video_history(cursor), decode_history)
            for record in page.records:
                yield record
            cursor = page.next_cursor
            if not guard.has_next(cursor, (record.id for record in page.records)):
                return


class TryOnEndpoint(Endpoint[TryOnStatus]):
    """Pixelcut Try-On (beta), API 0.0.2."""

    kind = JobKind.TRY_ON

    async def get(self, job: JobRef | str) -> TryOnStatus:
        """Ask for one job: ``GET /v1/try-on/job/{id}``.

        Raises:
            TopazStatusError: as for :meth:`ImageEndpoint.get`.
        """
        ref = self._ref(job)
        return await self._get(requests.get_status(ref), lambda data: decode_try_on(data, ref))


def _read_json(response: Response) -> object:
    return parse_json(response.body)


def _read_deletion(response: Response) -> object:
    """Read the answer to a DELETE: a 204, or a 200 with a JSON object or an empty body (Topaz Image API 1.2.0).

    Raises:
        DecodeError: the answer is anything else, such as a captive portal's page, which deletes nothing.
    """
    if response.status == HTTPStatus.NO_CONTENT or not response.body.strip():
        return None
    if not may_be_json(response.headers):
        raise DecodeError([("$", "is a web page or text, so the service may not have deleted anything")])
    data = parse_json(response.body)
    if not isinstance(data, dict):
        raise DecodeError([("$", "is no JSON object, so the service may not have deleted anything")])
    return data
