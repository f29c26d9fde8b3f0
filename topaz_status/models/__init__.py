"""The models: what the services say, as frozen objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .download_link import Download
from .fields import ServiceObject
from .image import ImagePage, ImageStatus
from .job import JobKind, JobRef, JobState
from .try_on import TryOnError, TryOnStatus
from .video import VideoChunk, VideoDownload, VideoEstimates, VideoStatus

if TYPE_CHECKING:
    from .video_history import (
        VideoBackend,
        VideoError,
        VideoFile,
        VideoHistoryPage,
        VideoPipeline,
        VideoRecord,
        VideoTransaction,
    )

JobStatus = ImageStatus | VideoStatus | TryOnStatus

__all__ = [
    "Download",
    "ImagePage",
    "ImageStatus",
    "JobKind",
    "JobRef",
    "JobState",
    "JobStatus",
    "ServiceObject",
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


def __getattr__(name: str) -> Any:
    """Import the video history on first use: few clients read it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import video_history as history  # noqa: PLC0415

    found = globals()[name] = getattr(history, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
