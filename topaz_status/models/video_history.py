"""The history of Topaz Video: its records of past jobs (Video API 1.0.0, newer text, ``VideoRequestRecord``)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .fields import ServiceObject, Unit, failure_reason, holding, required, sent
from .job import JobKind, JobRef, JobState
from .status_words import VIDEO_WORDS, state_of
from .video import VideoDownload, VideoEstimates


@attrs.frozen(kw_only=True, repr=False)
class VideoError(ServiceObject):
    """Why a video job failed."""

    message: str | None = sent(Unit.TEXT)
    error_code: str | None = sent(Unit.TEXT, "errorCode")
    """Such as ``PROCESSING_FAILURE``; the list is open."""


@attrs.frozen(kw_only=True, repr=False)
class VideoTransaction(ServiceObject):
    """One movement of credits."""

    operation: str | None = sent(Unit.TEXT)
    """``reserve``, ``commit`` or ``rollback``."""
    amount: float | None = sent(Unit.NUMBER)
    """Credits."""


@attrs.frozen(kw_only=True, repr=False)
class VideoFile(ServiceObject):
    """The source or the result of a job; everything beside the link is in ``extra``."""

    download: VideoDownload | None = attrs.field(default=None, metadata=holding(VideoDownload))


@attrs.frozen(kw_only=True, repr=False)
class VideoBackend(ServiceObject):
    """A note of the generative pipeline."""

    last_updated_at: float | None = sent(Unit.MILLISECONDS, "lastUpdated")
    """Unix seconds of its last report."""


@attrs.frozen(kw_only=True, repr=False)
class VideoPipeline(ServiceObject):
    """Bookkeeping of the processing pipeline: empty except for generative jobs."""

    topserving: VideoBackend | None = attrs.field(default=None, metadata=holding(VideoBackend))


@attrs.frozen(kw_only=True, repr=False)
class VideoRecord(ServiceObject):
    """One entry of the history of video jobs.

    Example:
        >>> status = await client.video.watch(video.id)
        >>> async for record in client.video.history():
        ...     isinstance(record, VideoRecord), record.job == video, record.status
        (True, True, 'complete')
    """

    id: str = attrs.field(metadata=required(Unit.ID))
    status: str = attrs.field(metadata=required(Unit.WORD))
    """The service's own word, verbatim."""
    ts: Mapping[str, float] = sent(Unit.MOMENTS)
    """When the job reached each of its states so far: the service's word, and Unix seconds."""
    last_event_at: float | None = sent(Unit.MILLISECONDS, "lastEventTs")
    """Unix seconds."""
    estimates: VideoEstimates | None = attrs.field(default=None, metadata=holding(VideoEstimates))
    error: VideoError | None = attrs.field(default=None, metadata=holding(VideoError))
    """Set only for a failed job."""
    source: VideoFile | None = attrs.field(default=None, metadata=holding(VideoFile))
    destination: VideoFile | None = attrs.field(default=None, metadata=holding(VideoFile))
    transactions: tuple[VideoTransaction, ...] = sent(Unit.OBJECTS, of=VideoTransaction)
    processing: VideoPipeline | None = attrs.field(default=None, metadata=holding(VideoPipeline))
    version: str | None = sent(Unit.TEXT)
    """The client that made the job, such as ``api``."""
    user_id: int | None = sent(Unit.INTEGER, "userId")
    admin_id: int | None = sent(Unit.INTEGER, "adminId")
    """Not zero if the vendor's staff made the job."""

    @property
    def job(self) -> JobRef:
        """The job that this record is about."""
        return JobRef(JobKind.VIDEO, self.id)

    @property
    def state(self) -> JobState:
        """The neutral state for :attr:`status`."""
        return state_of(self.status, VIDEO_WORDS)

    @property
    def is_terminal(self) -> bool:
        """True when the job will never change again."""
        return self.state.is_terminal

    @property
    def result_url(self) -> str | None:
        """The signed link to the video, or ``None``."""
        return self.destination.download.url if self.destination and self.destination.download else None

    @property
    def reason(self) -> str | None:
        """The service's message and code for a failure, without URLs, or ``None``."""
        return failure_reason(self.error.message, self.error.error_code) if self.error else None


@attrs.frozen(kw_only=True)
class VideoHistoryPage:
    """One page of the history of video jobs, newest first."""

    records: tuple[VideoRecord, ...] = ()
    next_cursor: str | None = None
    """The cursor of the next page, or ``None`` at the end (always ``None`` by the older text)."""
