"""What an answer says of an image job that goes on, read no further than the schedule and the news need.

Most answers say that a job is still at work, and nobody reads the other twenty fields before the next one comes. So
they are decoded when somebody asks for them, from the bytes kept for that. A glimpse is taken only of an answer in
which everything looked at is as the documents promise; of any other, and of every end, there is none, and it is decoded
in full. Where there is one, decoding will succeed and :func:`.sight.sight` of the outcome is :attr:`Glimpse.seen`.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from ..models.state import JobRef
from .coerce import LATEST
from .sight import since, until
from .sighting import Sighting

_WORDS: Final = {"Pending": ("Pending", False), "Processing": ("Processing", True)}
"""For each word of a job that goes on, as the documents spell it: one copy of it for all, and whether it runs."""
_WHOLE: Final = 100.0
_PERCENTS: Final = {percent: (float(percent), percent / _WHOLE) for percent in range(101)}
"""One copy of each whole percentage and of the share that it is."""
_NUMBERS: Final = frozenset({int, float})
"""``True`` is none."""


@attrs.define
class Glimpse:
    """The service's word, its progress (0 to 100, or ``None``), and what the schedule learns."""

    word: str
    progress: float | None
    seen: Sighting


def glimpse(data: Any, job: JobRef, service_now: float) -> Glimpse | None:
    """Read what a parsed answer, or an item of a page, says of ``job``; ``None`` when it must be decoded in full."""
    if type(data) is not dict or data.get("process_id") != job.id or type(word := data.get("status")) is not str:
        return None
    known = _WORDS.get(word)
    progress, eta, made_at = data.get("progress"), data.get("eta"), data.get("creation_time")
    if (
        known is None
        or not (progress is None or (type(progress) in _NUMBERS and 0.0 <= progress <= _WHOLE))
        or not (eta is None or (type(eta) in _NUMBERS and -LATEST <= eta <= LATEST))
        or not (made_at is None or (type(made_at) in _NUMBERS and -LATEST <= made_at <= LATEST))
    ):
        return None
    word, running = known
    percent, share = (None, None) if progress is None else _PERCENTS.get(progress) or (progress, progress / _WHOLE)
    remaining, age = until(eta, service_now), since(made_at, service_now)
    seen = Sighting(job, terminal=False, running=running, progress=share, remaining=remaining, age=age)
    return Glimpse(word, percent, seen)
