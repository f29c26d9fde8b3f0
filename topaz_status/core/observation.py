"""What one answer tells about one job, in the client's own clock: the only thing the schedule learns from."""

from __future__ import annotations

import attrs

from ..models.job import JobRef


@attrs.define
class Observation:
    """One job as one answer showed it. Every time is a span in seconds as of the moment the service spoke.

    A fact, though not frozen: one is made for each status, and it takes four times as long to make one that is.
    """

    job: JobRef
    terminal: bool
    running: bool
    """False while the service still queues the job."""
    progress: float | None = None
    """0.0 to 1.0, or ``None`` when the service gave none."""
    remaining: float | None = None
    """Until the end, by the service's own ``eta`` (may be negative: overdue); ``None`` without a usable one."""
    estimate: float | None = None
    """Seconds the whole run should take from its start (middle of video ``estimates.time``)."""
    age: float | None = None
    """Since the job was made, by the service's clock."""
    ended_ago: float | None = None
    """Since the job's end, by the service's clock; only on a terminal sighting, and whole seconds at best."""
