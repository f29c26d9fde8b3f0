"""A job's life, as pure functions of time.

Times are seconds on the simulator's clock. A job's life is drawn when the job is submitted.
Only a cancellation changes it later::

    submitted ── queue ──> started ── duration ──> ended
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ...models.job import JobKind, JobRef, JobState
from .job_plan import JobPlan

VIDEO_QUEUE: Final = ((0.1, "requested"), (1.0, "accepted"))
VIDEO_WORK: Final = ((0.03, "initializing"), (0.08, "preprocessing"), (0.95, "processing"), (1.0, "postprocessing"))
"""A video's status words; each lasts until this share of the queueing time, or of the work, is over."""

CANCELING_TIME: Final = 2.0
"""Seconds that a video takes from ``canceling`` to ``canceled``."""

_STUCK_AT: Final = 0.999
_LAST_STEP: Final = 1e-4
"""The last share of the work: the progress shows it only once the job ends. A video's progress has such steps."""
_STALL_AT: Final = 0.4
_BACK_AT: Final = 0.6


@attrs.define(kw_only=True)
class Life:
    """One job from its submission to its end."""

    ref: JobRef
    plan: JobPlan
    outcome: JobState
    submitted_at: float
    queue: float  # seconds of queueing, drawn even for a job that never starts
    started_at: float
    ends_at: float
    nominal: float  # seconds of work, drawn even for a job that never ends
    luck: float  # -1..1, the factor of every error of this job's estimates
    order: float  # 0..1, the job's position in a randomly ordered list
    canceled_at: float | None = None
    removed: bool = False
    looks: int = 0

    def state(self, now: float) -> JobState:
        """Return the neutral state at ``now``."""
        if now >= self.ends_at:
            return self.outcome
        return JobState.RUNNING if now >= self.started_at else JobState.QUEUED

    @property
    def due_at(self) -> float:
        """When the service expects the job to end. A stuck job does not end then."""
        return self.submitted_at + self.queue + self.nominal

    @property
    def visible_at(self) -> float:
        """When the service begins to know the job."""
        return self.submitted_at + max(0.0, self.plan.visible_after)

    @property
    def deleted_at(self) -> float:
        """When the job's record is removed; infinite if never."""
        return math.inf if self.plan.deleted_after is None else self.submitted_at + self.plan.deleted_after

    @property
    def listed_at(self) -> float:
        """When lists begin to show the job: a video appears once it is no longer ``requested``."""
        if not self.plan.listed:
            return math.inf
        if self.ref.kind is JobKind.VIDEO:
            return max(self.visible_at, self.word_times()["accepted"])
        return self.visible_at

    def fraction(self, now: float) -> float:
        """Return the share of the work that is done: 0..1, and below 1 until the end."""
        if now >= self.ends_at and self.outcome is JobState.COMPLETED:
            return 1.0
        worked = min(now, self.ends_at) - self.started_at
        most = _STUCK_AT if self.plan.stuck else 1.0 - _LAST_STEP
        return min(max(worked / self.nominal, 0.0), most) if self.nominal > 0 else 0.0

    def percent(self, now: float) -> float:
        """Return the progress that the service reports: 0..100."""
        done = self.fraction(now)
        if done >= 1.0:
            return 100.0
        law = self.plan.progress
        if law == "stall":
            return 99.0 * min(1.0, done / _STALL_AT)
        if law == "jump":
            return 0.0 if done < _STALL_AT else 100.0
        shown: float = done**self.plan.gamma
        if law == "backwards" and done >= _BACK_AT:
            shown = shown - _BACK_AT**self.plan.gamma / 2
        return 100.0 * min(max(0.0, shown), 1.0 - _LAST_STEP)

    def changed_at(self, now: float) -> float:
        """Return when the body last changed; a running job's body changes all the time."""
        if now >= self.ends_at:
            return self.ends_at
        return now if now >= self.started_at else self.submitted_at

    def eta(self, now: float, unix: float) -> float | None:
        """Return the Unix time at which the service expects an image to end; ``unix`` is the Unix time of ``now``."""
        fixed = {"absent": None, "zero": 0.0, "past": unix - 3600.0, "absurd": unix + 3.15e11}
        law = self.plan.eta
        if law in fixed:
            return fixed[law]
        if now >= self.due_at:
            return unix + (self.due_at - now)
        return unix + self._left(law, now, self.due_at)

    def _left(self, law: str, now: float, ends: float) -> float:
        error = self.plan.eta_error
        if law == "noisy":
            return (ends - now) * max(0.0, 1.0 + self._error_at(now, ends) * self.luck)
        if law == "scaled":
            return (ends - now) * error
        if law == "frozen":
            return (self.submitted_at - now) + (ends - self.submitted_at) * max(0.0, 1.0 + error * self.luck)
        return ends - now

    def _error_at(self, now: float, ends: float) -> float:
        first, last = self.plan.eta_error, self.plan.eta_error_late
        if last is None or ends <= self.submitted_at:
            return first
        return first + (last - first) * (now - self.submitted_at) / (ends - self.submitted_at)

    def estimates(self) -> tuple[float, float]:
        """Return a video's ``(lo, hi)`` estimates, in seconds of work."""
        if self.plan.estimates is not None:
            return self.plan.estimates
        error = self.plan.estimate_error
        middle = self.nominal * (1.0 + error * self.luck)
        return middle * (1.0 - error), middle * (1.0 + error)

    def word_times(self) -> dict[str, float]:
        """Return when each of a video's status words begins; if several begin together, the last one is shown."""
        times = {}
        for begins, length, words in (
            (self.submitted_at, self.queue, VIDEO_QUEUE),
            (self.started_at, self.nominal, VIDEO_WORK),
        ):
            share = 0.0
            for until, word in words:
                times[word] = begins + (share * length if share else 0.0)
                share = until
        return times

    def video_word(self, now: float) -> str:
        """Return the service's status word for a video at ``now``."""
        if now >= self.ends_at:
            return {JobState.COMPLETED: "complete", JobState.CANCELED: "canceled"}.get(self.outcome, "failed")
        if self.canceled_at is not None and now >= self.canceled_at:
            return "canceling"
        word = "requested"
        for name, since in self.word_times().items():
            if now < since:
                break
            word = name
        return word

    def cancel(self, now: float) -> bool:
        """Cancel the job; return False when it has ended or is being canceled already. A video ends a little later."""
        if now >= self.ends_at or self.canceled_at is not None:
            return False
        self.canceled_at = now
        self.outcome = JobState.CANCELED
        self.ends_at = now + (CANCELING_TIME if self.ref.kind is JobKind.VIDEO else 0.0)
        self.started_at = min(self.started_at, self.ends_at)
        return True


def lay_down(plan: JobPlan, ref: JobRef, submitted_at: float, index: int, dice: random.Random) -> Life:
    """Draw a job's life: its times and its luck."""
    queue = plan.queue.draw(dice, index)
    nominal = plan.duration.draw(dice, index)
    failed = dice.random() < plan.failure_rate and plan.outcome is JobState.COMPLETED
    started_at = math.inf if plan.stuck_in_queue else submitted_at + queue
    return Life(
        ref=ref,
        plan=plan,
        outcome=JobState.FAILED if failed else plan.outcome,
        submitted_at=submitted_at,
        queue=queue,
        started_at=started_at,
        ends_at=math.inf if plan.stuck else started_at + nominal,
        nominal=nominal,
        luck=dice.uniform(-1.0, 1.0),
        order=dice.random(),
    )


def overlaid(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body in which a plan's own fields replace the usual ones."""
    return {**body, **extra} if extra else body
