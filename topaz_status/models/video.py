"""The models of Topaz Video (Video API 1.0.0, in its older and its newer text).

The service sends milliseconds and camelCase. The models have seconds and snake_case; ``to_dict()`` converts back.
"""

from __future__ import annotations

import attrs

from .fields import ServiceObject, Unit, failure_reason, holding, required, sent
from .job import JobKind, JobRef, JobState
from .status_words import VIDEO_WORDS, state_of


@attrs.frozen(kw_only=True, repr=False)
class VideoEstimates(ServiceObject):
    """Lower and upper bounds (``RequestEstimates``).

    Example:
        >>> status = VideoStatus(id="a", status="processing", estimates=VideoEstimates(cost=(2, 3), time=(60, 90)))
        >>> status.estimates.time
        (60, 90)
    """

    cost: tuple[float, ...] = sent(Unit.NUMBERS)
    """Credits."""
    time: tuple[float, ...] = sent(Unit.NUMBERS)
    """Seconds from the receipt of the source to the end, if the queue is empty."""


@attrs.frozen(kw_only=True, repr=False)
class VideoDownload(ServiceObject):
    """A signed link to a file (``EnhancedDownloadSignedUrlResponse``).

    Example:
        >>> VideoDownload(url="https://storage.example/a?signature=b", expires_at=1_800_000_000.0)  # no link is shown
        VideoDownload(url=<url>, expires_at=1800000000.0)
    """

    url: str | None = sent(Unit.URL)
    expires_in: float | None = sent(Unit.MILLISECONDS, "expiresIn")
    """Seconds for which the link is valid: a day by the older text, seven days by the newer."""
    expires_at: float | None = sent(Unit.MILLISECONDS, "expiresAt")
    """Unix seconds."""


@attrs.frozen(kw_only=True, repr=False)
class VideoChunk(ServiceObject):
    """One piece of a video in progress (``ProcessingStatIntermediate``): its status is never the job's.

    Example:
        >>> chunks = [VideoChunk(chunk_index=0, status="complete"), VideoChunk(chunk_index=1, status="processing")]
        >>> status = VideoStatus(id="a", status="processing", processing_jobs=tuple(chunks))
        >>> [chunk.status for chunk in status.processing_jobs], status.state.value
        (['complete', 'processing'], 'running')
    """

    chunk_id: str | None = sent(Unit.TEXT, "chunkId")
    chunk_index: int | None = sent(Unit.INTEGER, "chunkIndex")
    """From 0."""
    task_index: int | None = sent(Unit.INTEGER, "taskIndex")
    """From 0."""
    status: str | None = sent(Unit.TEXT)
    """``queued``, ``processing``, ``complete``, ``canceled`` or ``failed``."""
    progress: float | None = sent(Unit.PERCENT)
    """0 to 100."""
    average_fps: float | None = sent(Unit.NUMBER, "averageFps")
    """Frames a second of the node (newer text)."""
    average_gpu_utilization: float | None = sent(Unit.NUMBER, "averageGpuUtilization")
    """Percent (newer text)."""
    average_gpu_memory_utilization: float | None = sent(Unit.NUMBER, "averageGpuMemoryUtilization")
    """Percent (newer text)."""
    fps: float | None = sent(Unit.NUMBER)
    """Frames a second of the node (older text)."""
    gpu_utilization: float | None = sent(Unit.NUMBER, "gpuUtilization")
    """Percent (older text)."""
    gpu_memory_utilization: float | None = sent(Unit.NUMBER, "gpuMemoryUtilization")
    """Percent (older text)."""
    sample_count: int | None = sent(Unit.INTEGER, "sampleCount")
    """Number of records in the averages (older text)."""
    current_frame: int | None = sent(Unit.INTEGER, "currentFrame")
    expected_output_frames: int | None = sent(Unit.INTEGER, "expectedOutputFrames")
    latest_log_at: float | None = sent(Unit.MILLISECONDS, "latestLogTs")
    """Unix seconds of the latest record (older text)."""
    current_size: int | None = sent(Unit.INTEGER, "currentSize")
    """Bytes (older text)."""


@attrs.frozen(kw_only=True, repr=False)
class VideoStatus(ServiceObject):
    """The status of one video job. The documents promise no field; here ``status`` is required.

    Example:
        >>> status = await client.video.watch(video.id)
        >>> isinstance(status, VideoStatus), status.status, status.state.value, status.progress
        (True, 'complete', 'completed', 100.0)
    """

    id: str
    """The requested id: the body has none."""
    status: str = attrs.field(metadata=required(Unit.WORD))
    """The service's own word, verbatim."""
    progress: float | None = sent(Unit.PERCENT)
    """0 to 100, with fractions."""
    message: str | None = sent(Unit.TEXT)
    error_code: str | None = sent(Unit.TEXT, "errorCode")
    """Such as ``PROCESSING_FAILURE``, on a failed job (newer text); the list is open."""
    estimates: VideoEstimates | None = attrs.field(default=None, metadata=holding(VideoEstimates))
    output_size: str | None = sent(Unit.TEXT, "outputSize")
    """Text for people, such as ``10 GB``."""
    average_fps: float | None = sent(Unit.NUMBER, "averageFps")
    """Frames a second of each node."""
    combined_fps: float | None = sent(Unit.NUMBER, "combinedFps")
    """Frames a second of all nodes."""
    processing_jobs: tuple[VideoChunk, ...] = sent(Unit.OBJECTS, "processingJobs", of=VideoChunk)
    download: VideoDownload | None = attrs.field(default=None, metadata=holding(VideoDownload))
    upload_id: str | None = sent(Unit.TEXT, "uploadId")
    """Set only until the source is uploaded (newer text)."""
    urls: tuple[str, ...] = sent(Unit.URLS)
    """Upload links for the source, until it is uploaded (newer text)."""
    comparison_tool: str | None = sent(Unit.URL, "comparisonTool")
    """A view of before and after, for free renders (newer text)."""

    @property
    def job(self) -> JobRef:
        """The job that this status is about."""
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
        return self.download.url if self.download else None

    @property
    def reason(self) -> str | None:
        """The service's message and code for a failed or canceled job, without URLs, or ``None``."""
        if self.state not in {JobState.FAILED, JobState.CANCELED}:
            return None
        return failure_reason(self.message, self.error_code)
