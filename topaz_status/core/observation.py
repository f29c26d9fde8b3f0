"""What one answer says about one job, in the client's own clock: the only thing the schedule learns from."""

from __future__ import annotations

import attrs

from ..models.job import JobRef


@attrs.define
class Observation:
    """One job as one answer showed it. Every time is a span in seconds as of the moment the service answered.

    The class is not frozen: one is made for each status, and making a frozen one takes four times as long.
    """

    job: JobRef
    terminal: bool
    running: bool
    """False while the service still queues the job."""
    progress: float | None = None
    """0.0 to 1.0, or ``None`` when the service gave none."""
    remaining: float | None = None
    """Seconds until the end, by the service's own ``eta``; negative when overdue, ``None`` without a usable one."""
    estimate: float | None = None
    """Seconds the whole run should take from its start (middle of video ``estimates.time``)."""
    age: float | None = None
    """Seconds since the job was made, by the service's clock."""
    ended_ago: float | None = None
    """Seconds since the job's end, by the service's clock; only on a terminal observation, and whole seconds at
    best."""
    ran: float | None = None
    """Seconds since the work began, by the service's clock; only in a list that reports no progress."""
