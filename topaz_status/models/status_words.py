"""The services' status words as data: one table for each service, because the same word may differ in meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .job import JobKind, JobState

IMAGE_WORDS: Final[Mapping[str, JobState]] = {
    "pending": JobState.QUEUED,
    "processing": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "cancelled": JobState.CANCELED,
    "failed": JobState.FAILED,
}
"""Topaz Image API 1.2.0, ``StatusResponse.status``."""

VIDEO_WORDS: Final[Mapping[str, JobState]] = {
    "requested": JobState.QUEUED,
    "accepted": JobState.QUEUED,
    "initializing": JobState.RUNNING,
    "preprocessing": JobState.RUNNING,
    "processing": JobState.RUNNING,
    "postprocessing": JobState.RUNNING,
    "canceling": JobState.RUNNING,
    "complete": JobState.COMPLETED,
    "canceled": JobState.CANCELED,
    "failed": JobState.FAILED,
}
"""Topaz Video API 1.0.0, ``StatusResponse.status``; a ``canceling`` job is on its way to ``canceled``."""

TRY_ON_WORDS: Final[Mapping[str, JobState]] = {
    "pending": JobState.QUEUED,
    "running": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
}
"""Pixelcut Try-On Job Status (beta), ``status``."""

TRY_ON_FAILURES: Final[Mapping[str, JobState]] = {
    "job_cancelled": JobState.CANCELED,
    "job_expired": JobState.EXPIRED,
}
"""The codes of a ``failed`` try-on that was canceled or expired: the service has no status words for these."""

WORDS: Final = {JobKind.IMAGE: IMAGE_WORDS, JobKind.VIDEO: VIDEO_WORDS, JobKind.TRY_ON: TRY_ON_WORDS}


def state_of(word: str, words: Mapping[str, JobState]) -> JobState:
    """Return the state for a whole status word, whatever its case and the spaces around it; else ``UNKNOWN``."""
    return words.get(word) or words.get(word.strip().lower(), JobState.UNKNOWN)
