"""What the services say, as plain frozen facts."""

from __future__ import annotations

from .base import Fact
from .download import Download
from .history import (
    VideoBackend,
    VideoError,
    VideoFile,
    VideoHistoryPage,
    VideoPipeline,
    VideoRecord,
    VideoTransaction,
)
from .image import ImagePage, ImageStatus
from .state import JobKind, JobRef, JobState
from .try_on import TryOnError, TryOnStatus
from .video import VideoChunk, VideoDownload, VideoEstimates, VideoStatus

JobStatus = ImageStatus | VideoStatus | TryOnStatus

__all__ = [
    "Download",
    "Fact",
    "ImagePage",
    "ImageStatus",
    "JobKind",
    "JobRef",
    "JobState",
    "JobStatus",
    "TryOnError",
    "TryOnStatus",
    "VideoBackend",
    "VideoChunk",
    "VideoDownload",
    "VideoError",
    "VideoEstimates",
    "VideoFile",
    "VideoHistoryPage",
    "VideoPipeline",
    "VideoRecord",
    "VideoStatus",
    "VideoTransaction",
]
