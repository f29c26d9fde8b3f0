"""What an answer says of an image job that goes on, read no further than the schedule and the news need.

Most answers say that a job is still at work, and nobody reads the other twenty fields before the next one comes. So
they are decoded when somebody asks for them, from the bytes kept for that. A glimpse is taken only of an answer in
which everything looked at is as the documents promise; of any other, and of every end, there is none, and it is decoded
in full. Where there is one, decoding will succeed, and :func:`.sight.sight` of the outcome says the same.
"""

from __future__ import annotations

import math
from typing import Any, Final

import attrs

from ..models.state import JobRef, JobState
from .coerce import LATEST
from .policy import WEEK
from .sight import since, until
from .sighting import Sighting
from .unread import Told

_WORDS: Final = {"Pending": ("Pending", False), "Processing": ("Processing", True)}
"""For each word of a job that goes on, as the documents spell it: one copy of it for all, and whether it runs."""
_WHOLE: Final = 100.0
_PERCENTS: Final[dict[float, tuple[float, float]]] = {
    percent: (float(percent), percent / _WHOLE) for percent in range(101)
}
"""One copy of each whole percentage and of the share that it is."""
_NUMBERS: Final = frozenset({int, float})
"""``True`` is none."""
_LATEST_NOW: Final = LATEST - WEEK
"""Where the service's clock stands later, what is within a week of it may be no time at all."""


@attrs.define
class Glimpse(Sighting):
    """What the schedule learns, and the service's word and progress for those who wait."""

    word: str = ""
    percent: float | None = None
    """0 to 100, or ``None``."""
    told: Told | None = None
    """What it was read from, where that is kept."""

    @property
    def state(self) -> JobState:
        """The neutral word."""
        return JobState.RUNNING if self.running else JobState.QUEUED


def glimpse(data: Any, job: JobRef, service_now: float) -> Glimpse | None:
    """Read what a parsed answer, or an item of a page, says of ``job``; ``None`` when it must be decoded in full.

    Numbers are whole and times near, as a rule: what is not is looked at more closely.
    """
    if type(data) is not dict or data.get("process_id") != job.id or type(word := data.get("status")) is not str:
        return None
    known = _WORDS.get(word)
    progress, eta, made_at = data.get("progress"), data.get("eta"), data.get("creation_time")
    percents = _PERCENTS.get(progress) if type(progress) is int else _uneven(progress)
    if known is None or percents is None or service_now > _LATEST_NOW:
        return None
    left = eta - service_now if type(eta) is int else math.inf
    lived = service_now - made_at if type(made_at) is int else math.inf
    remaining: float | None = left
    age: float | None = lived
    if not (-WEEK <= left <= WEEK and 0.0 <= lived <= WEEK):
        if not (_is_time(eta) and _is_time(made_at)):
            return None
        remaining, age = until(eta, service_now), since(made_at, service_now)
    word, running = known
    percent, share = percents
    return Glimpse(job, False, running, share, remaining, None, age, None, word, percent)  # noqa: FBT003  # faster


def _uneven(progress: object) -> tuple[float | None, float | None] | None:
    """Give the percentage and the share of what is no whole number; ``None`` where it is no percentage."""
    if progress is None:
        return None, None
    if type(progress) is float and 0.0 <= progress <= _WHOLE:
        return _PERCENTS.get(progress) or (progress, progress / _WHOLE)
    return None


def _is_time(raw: Any) -> bool:
    """Tell whether something is a time as the documents promise it, or is not told."""
    return raw is None or (type(raw) in _NUMBERS and -LATEST <= raw <= LATEST)
