"""What ends a watch, and what does not.

A terminal status ends it. So does an answer that never heals (400, 402, 403, 412), a 404 that is no lag, a 401 that is
confirmed, and ``give_up_after`` seconds of looks without one usable answer. Nothing else does: not an unknown word, not
a fault that passes, not time during which no look could be sent.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Final

import attrs

from ..errors import (
    AuthenticationError,
    JobCanceledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    ServiceError,
    TopazStatusError,
)
from ..models import JobStatus
from ..models.state import JobRef, JobState
from .policy import PollPolicy

NEVER_HEALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PRECONDITION_FAILED,
    }
)
GONE_TWICE_APART: Final = 1.0
"""Seconds between the two 404s that together mean "gone"."""


def failure(status: JobStatus) -> TopazStatusError | None:
    """What awaiting a job with this terminal status raises; ``None`` when it is completed."""
    kind = _FAILURES.get(status.state)
    return None if kind is None else kind(status.job, status, status.reason)


_FAILURES: Final = {
    JobState.FAILED: JobFailedError,
    JobState.CANCELED: JobCanceledError,
    JobState.EXPIRED: JobExpiredError,
}


def is_final(status: JobStatus | None, error: TopazStatusError | None) -> bool:
    """True for an end that tells what became of the job; False for one of the wait alone, which may be taken up again.

    Timeouts, a refused key, the client's closing and a service without any usable answer for too long are of the wait.
    """
    if isinstance(error, ServiceError):
        return not (error.is_transient or isinstance(error, AuthenticationError))
    if error is None:
        return status is not None and status.is_terminal
    return isinstance(error, JobError)


@attrs.define
class Case:
    """The evidence about one job. Times are seconds of the loop's clock."""

    started_at: float
    failures: int = 0
    """Looks in a row without a usable answer."""
    _outage: float = 0.0
    _retry_at: float = math.inf
    _failed_at: float = math.inf
    _missing_at: float | None = None

    def failed(
        self, error: TopazStatusError, policy: PollPolicy, *, last: JobStatus | None, sent_at: float, now: float
    ) -> TopazStatusError | None:
        """No usable answer came: the error that ends the watch, or ``None`` to go on."""
        self._count(sent_at, now)
        if isinstance(error, NotFoundError):
            return self._missing(error, policy, last, now)
        if isinstance(error, ServiceError) and error.status_code in NEVER_HEALS:
            return error
        return error if self._outage >= policy.give_up_after else None

    def retry_at(self, at: float) -> None:
        """The next look is due then; what it waits beyond that is not the service's fault."""
        self._retry_at = at

    def _count(self, sent_at: float, now: float) -> None:
        """Add the time from the last failure to this one, less what the look waited for its turn."""
        if self.failures:
            self._outage += max(0.0, min(self._retry_at, sent_at) - self._failed_at)
        self._outage += now - sent_at
        self.failures += 1
        self._failed_at = now

    def _missing(
        self, error: NotFoundError, policy: PollPolicy, last: JobStatus | None, now: float
    ) -> TopazStatusError | None:
        if now - self.started_at < policy.not_found_grace:
            return None
        if self._missing_at is None:
            self._missing_at = now
            return None
        if now - self._missing_at < GONE_TWICE_APART:
            return None
        return error if last is None or error.job is None else JobLostError(error.job, last)


@attrs.define
class KeyTrust:
    """One API key: a 401 about one job is a suspicion, a second one about another job is certainty."""

    suspect: JobRef | None = None
    _since: float = 0.0

    def refused(self, job: JobRef, now: float, *, alone: bool) -> bool:
        """A 401 came: True when it confirms an earlier one.

        Where no other job is watched with the key (``alone``), a second look at the same job must do, a second later.
        """
        confirmed = self.suspect is not None and (
            self.suspect != job or (alone and now - self._since >= GONE_TWICE_APART)
        )
        if confirmed:
            self.suspect = None
        elif self.suspect is None:
            self.suspect, self._since = job, now
        return confirmed

    def accepted(self) -> None:
        """The key was good enough for some answer."""
        self.suspect = None


def proves_key(error: TopazStatusError) -> bool:
    """True for an answer that a service gives only once it has accepted the key."""
    return isinstance(error, ServiceError) and not (
        isinstance(error, AuthenticationError) or error.is_transient or error.status_code < HTTPStatus.BAD_REQUEST
    )
