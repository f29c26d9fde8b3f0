"""When a job should end, by the best source: the service's own word, the job's pace, or how long such jobs lasted.

Each source is believed only as far as it has proved true. A prediction names its *source*, and the life table of that
source shows how the lives of earlier jobs compared with its predictions.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from ..observation import Observation
from ..policy import WEEK

SOONEST: Final = 0.5
"""A prediction below this many seconds counts as this many."""
FARTHEST: Final = WEEK
"""Seconds beyond which a prediction is ignored."""
LEAST_PROGRESS: Final = 0.02
"""The least progress between two polls from which a pace is computed."""
CLASS: Final = 6.0
"""The ratio between the predictions of one size class and those of the class below."""
_LOG_CLASS: Final = 1.0 / math.log(CLASS)


class Source(enum.IntEnum):
    """Where a prediction comes from, best first."""

    ETA = 0
    """The service's ``eta``."""
    PACE = 1
    """The progress made between polls, extrapolated."""
    PLAN = 2
    """The service's estimate of the whole run."""
    SHARE = 3
    """The age of the job and the share of the work that is done."""
    OVERDUE = 4
    """The predicted end has passed: a late job is expected to be late by as much again."""
    QUEUE = 5
    """Only the age; the job has not begun to run."""
    AGE = 6
    """Only the age."""

    @property
    def words(self) -> str:
        """Return the source in words, for a person."""
        return _WORDS[self]


_WORDS: Final = {
    Source.ETA: "the service's eta",
    Source.PACE: "the pace of its progress",
    Source.PLAN: "the service's estimate",
    Source.SHARE: "its age and the share done",
    Source.OVERDUE: "how long it is overdue",
    Source.QUEUE: "its age in the queue",
    Source.AGE: "its age",
}


def size_class(remaining: float) -> int:
    """Return the size class of a prediction: predictions of seconds, minutes and hours err differently."""
    return math.floor(math.log(remaining) * _LOG_CLASS)


def class_bounds(size: int) -> tuple[float, float]:
    """Return the bounds of a size class in seconds: its shortest prediction, and the limit that all stay below."""
    return max(math.pow(CLASS, size), SOONEST), min(math.pow(CLASS, size + 1), FARTHEST)


def predict(seen: Observation, age: float, since: float, progress0: float) -> tuple[Source, float]:
    """Return the source and the seconds that remain; for ``QUEUE`` and ``AGE`` the seconds mean nothing.

    Args:
        seen: the observation made of the answer.
        age: seconds since the job was made.
        since: seconds since the first poll that found it running.
        progress0: the progress at that poll, or above 1 when there was none.
    """
    eta = seen.remaining
    if eta is not None and -age < eta <= FARTHEST:
        return (Source.ETA, eta) if eta >= SOONEST else (Source.OVERDUE, max(-eta, SOONEST))
    progress = seen.progress
    if progress is not None and progress - progress0 >= LEAST_PROGRESS and progress < 1.0:
        return Source.PACE, min(max(since * (1.0 - progress) / (progress - progress0), SOONEST), FARTHEST)
    if seen.estimate is not None and progress is not None and seen.running and progress < 1.0:
        left = seen.estimate * (1.0 - progress)
        return Source.PLAN, min(max(left, SOONEST), FARTHEST)
    if seen.estimate is not None and seen.ran is not None and seen.running:
        left = seen.estimate - seen.ran
        return (Source.PLAN, min(left, FARTHEST)) if left >= SOONEST else (Source.OVERDUE, max(-left, SOONEST))
    if progress is not None and 0.0 < progress < 1.0:
        return Source.SHARE, min(max(age * (1.0 - progress) / progress, SOONEST), FARTHEST)
    return (Source.AGE if seen.running else Source.QUEUE), 1.0
