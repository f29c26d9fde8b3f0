"""Checks of what callers pass in: names of jobs, and Unix times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .core.policy import WEEK, is_number
from .errors import ConfigurationError
from .models.job import JobRef
from .models.redact import quoted

_MILLISECONDS: Final = 1e11
"""Unix times in seconds stay below this for another thousand years; a larger value is taken for milliseconds."""


def as_ref(job: object) -> JobRef:
    """Return the reference to a job that is given as a :class:`JobRef` or as its text.

    Raises:
        ConfigurationError: ``job`` names no job.
    """
    if isinstance(job, JobRef):
        return job
    if isinstance(job, str):
        return JobRef.parse(job)
    raise ConfigurationError(f"a job is a JobRef or a text such as 'image:ID', not {quoted(job)}")


def as_refs(jobs: Iterable[object]) -> list[JobRef]:
    """Return the references to a collection of jobs.

    Raises:
        ConfigurationError: ``jobs`` is no collection, or one of its items names no job.
    """
    if isinstance(jobs, str | bytes | JobRef) or not isinstance(jobs, Iterable):
        raise ConfigurationError(f"jobs is an iterable of jobs, not {quoted(jobs)}")
    return [as_ref(job) for job in jobs]


def _unix_seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        raise ConfigurationError(f"{name} is a Unix time in seconds, not {value!r}")
    if value >= _MILLISECONDS:
        raise ConfigurationError(f"{name} is a Unix time in seconds; {value!r} seems to be in milliseconds")
    return float(value)


def age_of(submitted_at: object, wall: float) -> float:
    """Return the seconds from a job's submission to the Unix time ``wall``; 0 if ``submitted_at`` is ``None``.

    The age is at least 0 and at most a week.

    Raises:
        ConfigurationError: ``submitted_at`` is no Unix time in seconds.
    """
    at = _unix_seconds("submitted_at", submitted_at)
    return 0.0 if at is None else min(max(0.0, wall - at), WEEK)


def remaining_of(eta: object, wall: float) -> float | None:
    """Return the seconds from the Unix time ``wall`` to a job's expected end, negative once it is past.

    ``None`` without an ``eta``. An ``eta`` more than a week away from ``wall`` is ignored, and gives ``None`` as well.

    Raises:
        ConfigurationError: ``eta`` is no Unix time in seconds.
    """
    at = _unix_seconds("eta", eta)
    return None if at is None or abs(at - wall) > WEEK else at - wall
