"""What callers pass in, checked: names of jobs, and Unix times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .core.policy import WEEK, is_number
from .errors import ConfigurationError
from .models.job import JobRef
from .models.redact import quoted

_MILLISECONDS: Final = 1e11
"""A Unix time in seconds stays below this for another thousand years."""


def as_ref(job: object) -> JobRef:
    """Take a job named by a :class:`JobRef` or by its text.

    Raises:
        ConfigurationError: it names no job.
    """
    if isinstance(job, JobRef):
        return job
    if isinstance(job, str):
        return JobRef.parse(job)
    raise ConfigurationError(f"a job is a JobRef or a text such as 'image:ID', not {quoted(job)}")


def as_refs(jobs: Iterable[object]) -> list[JobRef]:
    """Take a collection of jobs.

    Raises:
        ConfigurationError: it is no collection, or one of them names no job.
    """
    if isinstance(jobs, str | bytes | JobRef) or not isinstance(jobs, Iterable):
        raise ConfigurationError(f"jobs is an iterable of jobs, not {quoted(jobs)}")
    return [as_ref(job) for job in jobs]


def _unix(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        raise ConfigurationError(f"{name} is a Unix time in seconds, not {value!r}")
    if value >= _MILLISECONDS:
        raise ConfigurationError(f"{name} is a Unix time in seconds; {value!r} looks like milliseconds")
    return float(value)


def age_of(submitted_at: object, wall: float) -> float:
    """Give the seconds since a job was submitted, at the Unix time ``wall``; 0 where nothing is said of it.

    Raises:
        ConfigurationError: ``submitted_at`` is no Unix time in seconds.
    """
    at = _unix("submitted_at", submitted_at)
    return 0.0 if at is None else min(max(0.0, wall - at), WEEK)


def remaining_of(eta: object, wall: float) -> float | None:
    """Give the seconds until a job's end, at the Unix time ``wall``; an ``eta`` that is out of all bounds is no hint.

    Raises:
        ConfigurationError: ``eta`` is no Unix time in seconds.
    """
    at = _unix("eta", eta)
    return None if at is None or abs(at - wall) > WEEK else at - wall
