"""When a job should end, by the best word at hand: the service's, its pace, or how long such jobs lasted before.

Every word is believed only as far as it has proved true: a prediction names its *source*, and the life table of that
source says how the lives of earlier jobs compared with what it had predicted.
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
"""What is predicted beyond this is no prediction."""
LEAST_PROGRESS: Final = 0.02
"""The least progress between two looks from which a pace is taken."""
CLASS: Final = 6.0
"""How many times longer the predictions of one size are than those of the size below."""
_LOG_CLASS: Final = 1.0 / math.log(CLASS)


class Source(enum.IntEnum):
    """Where a prediction comes from, best first."""

    ETA = 0
    """The service's ``eta``."""
    PACE = 1
    """The progress made between looks, carried on."""
    PLAN = 2
    """The service's estimate of the whole run."""
    SHARE = 3
    """The age of the job and the share of the work that is done."""
    OVERDUE = 4
    """The predicted end has passed: what is late by some time is expected to be late by as much again."""
    QUEUE = 5
    """Nothing but the age; the job has not begun to run."""
    AGE = 6
    """Nothing but the age."""

    @property
    def words(self) -> str:
        """Say it to a person."""
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
    """Tell apart predictions of seconds, minutes and hours: they err differently."""
    return math.floor(math.log(remaining) * _LOG_CLASS)


def class_bounds(size: int) -> tuple[float, float]:
    """Give the shortest prediction of a size, and what all are shorter than, in seconds."""
    return max(math.pow(CLASS, size), SOONEST), min(math.pow(CLASS, size + 1), FARTHEST)


def predict(seen: Observation, age: float, since: float, progress0: float) -> tuple[Source, float]:
    """Give the source and the seconds that remain; for ``QUEUE`` and ``AGE`` the seconds mean nothing.

    Args:
        seen: what the answer told.
        age: seconds since the job was made.
        since: seconds since the first look that found it running.
        progress0: the progress at that look, or above 1 when there was none.
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
    if progress is not None and 0.0 < progress < 1.0:
        return Source.SHARE, min(max(age * (1.0 - progress) / progress, SOONEST), FARTHEST)
    return (Source.AGE if seen.running else Source.QUEUE), 1.0
