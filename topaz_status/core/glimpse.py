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


@attrs.frozen
class Glimpse:
    """The service's word, its progress (0 to 100, or ``None``), and what the schedule learns."""

    word: str
    progress: float | None
    seen: Sighting


def glimpse(data: Any, job: JobRef, service_now: float) -> Glimpse | None:
    """Read what a parsed answer, or an item of a page, says of ``job``; ``None`` when it must be decoded in full."""
    if type(data) is not dict or data.get("process_id") != job.id or type(word := data.get("status")) is not str:
        return None
    get = data.get
    known = _WORDS.get(word)
    progress, eta, made_at = get("progress"), get("eta"), get("creation_time")
    if known is None or not (_is_number(progress, 0.0, _WHOLE) and _is_time(eta) and _is_time(made_at)):
        return None
    word, running = known
    share = None if progress is None else progress / _WHOLE
    remaining, age = until(eta, service_now), since(made_at, service_now)
    seen = Sighting(job, terminal=False, running=running, progress=share, remaining=remaining, age=age)
    return Glimpse(word, None if progress is None else float(progress), seen)


def _is_number(raw: object, least: float, most: float) -> bool:
    return raw is None or ((type(raw) is int or type(raw) is float) and least <= raw <= most)


def _is_time(raw: object) -> bool:
    return _is_number(raw, -LATEST, LATEST)
