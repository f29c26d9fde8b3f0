"""Observing a status: it becomes an observation for the schedule. Only this module turns Unix times into spans.

Every function takes ``service_now``, the service's own Unix time at that answer (its ``Date``), so its clock and the
local one need not agree. A time that gives an absurd span counts as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...models import ImageStatus, JobRef, JobState, JobStatus, VideoEstimates, VideoStatus
from ..observation import Observation
from ..policy import WEEK

if TYPE_CHECKING:
    from ...models import VideoRecord

CLOCK_SLACK: Final = 60.0
"""Seconds by which a past time may seem to lie ahead: ``Date`` has whole seconds, and a service has several clocks."""


def observe_status(status: JobStatus, *, job: JobRef, service_now: float) -> Observation:
    """Observe one status of ``job``, in spans of seconds as of ``service_now`` (Unix seconds, the service's clock)."""
    state = status.state
    terminal = state.is_terminal
    progress = status.progress
    share = None if progress is None else progress / 100.0
    running = _running(state)
    if not isinstance(status, ImageStatus):
        estimate = _middle(status.estimates) if isinstance(status, VideoStatus) else None
        return Observation(job, terminal, running, share, None, estimate)
    return Observation(
        job,
        terminal,
        running,
        share,
        until(status.eta, service_now),
        None,
        since(status.creation_time, service_now),
        since(status.modification_time, service_now) if terminal else None,
    )


def observe_record(record: VideoRecord, *, job: JobRef, service_now: float) -> Observation:
    """Observe one entry of the video history for ``job``, in spans of seconds as of ``service_now``."""
    state = record.state
    made_at = record.ts.get("requested", record.ts.get("accepted"))
    ended_at = record.ts.get(record.status.strip().lower(), record.last_event_at) if state.is_terminal else None
    return Observation(
        job=job,
        terminal=state.is_terminal,
        running=_running(state),
        estimate=_middle(record.estimates),
        age=since(made_at, service_now),
        ended_ago=since(ended_at, service_now),
        ran=since(record.ts.get("initializing"), service_now),
    )


def _running(state: JobState) -> bool:
    """Return True if the work has begun and not ended; a job in an unknown state counts as begun."""
    return state is not JobState.QUEUED and not state.is_terminal


def until(at: float | None, now: float) -> float | None:
    """Return the seconds until ``at``, negative if it is past; ``None`` for an absurd span (an ``at`` of 0)."""
    return at - now if at is not None and -WEEK <= at - now <= WEEK else None


def since(at: float | None, now: float) -> float | None:
    """Return the seconds since ``at``, 0 if it seems to lie just ahead; ``None`` for an absurd span."""
    return max(now - at, 0.0) if at is not None and -CLOCK_SLACK <= now - at <= WEEK else None


def _middle(estimates: VideoEstimates | None) -> float | None:
    """Return the middle of the bounds of ``estimates.time``, in seconds; ``None`` if they are missing or absurd."""
    bounds: Sequence[float] = estimates.time if estimates else ()
    if not bounds or min(bounds) < 0:
        return None
    middle = (min(bounds) + max(bounds)) / 2.0
    return middle if 0 < middle <= WEEK else None
