"""What ends a watch, and what does not.

A terminal status ends it. So does an answer that never heals (400, 402, 403, 412), a 404 that is no lag, a 401 that is
confirmed, and ``give_up_after`` seconds of looks without one usable answer. Nothing else does: not an unknown word, not
a fault that passes, not time during which no look could be sent.
"""

from __future__ import annotations

import copy
import math
from http import HTTPStatus
from typing import Final

import attrs

from ..errors import (
    AuthenticationError,
    DecodeError,
    JobCanceledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    ServiceError,
    TopazStatusError,
    TransportError,
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
LONGEST_SUSPICION: Final = 300.0
"""Seconds within which a second 401, about another job, confirms a first one."""


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
    retry_at: float = math.inf
    """When the next look is due; what it waits beyond that is not the service's fault, unless it is down."""
    outage: float = 0.0
    """Seconds for which they have gone on."""
    _failed_at: float = math.inf
    _missing_at: float | None = None

    def failed(
        self,
        error: TopazStatusError,
        policy: PollPolicy,
        *,
        last: JobStatus | None,
        sent_at: float,
        now: float,
        withheld: float = 0.0,
    ) -> TopazStatusError | None:
        """No usable answer came: the error that ends the watch, or ``None`` to go on.

        ``withheld`` is for how much of the time since the look was due other looks met nothing but trouble.
        """
        silence = self._count(sent_at, now, withheld)
        if isinstance(error, NotFoundError):
            return self._missing(error, policy, last, now)
        if isinstance(error, ServiceError) and error.status_code in NEVER_HEALS:
            return error
        return error if silence >= policy.give_up_after else None

    def left(self, policy: PollPolicy) -> float:
        """Seconds until a look that fails as well ends the watch."""
        return policy.give_up_after - self.outage

    def _count(self, sent_at: float, now: float, withheld: float) -> float:
        """Add the time from the last failure to this one, less what the look waited for its turn for other reasons.

        Gives what it had come to when the look was sent: trouble that passes while a look hangs has passed.
        """
        if self.failures:
            self.outage += max(0.0, min(self.retry_at, sent_at) - self._failed_at)
        self.outage += withheld
        silence = self.outage
        self.outage += now - sent_at
        self.failures += 1
        self._failed_at = now
        return silence

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
        A suspicion into which nothing has looked for ``LONGEST_SUSPICION`` seconds has gone stale.
        """
        since = now - self._since
        if self.suspect == job:
            confirmed = alone and since >= GONE_TWICE_APART
        else:
            confirmed = self.suspect is not None and since <= LONGEST_SUSPICION
            if not confirmed:
                self.suspect, self._since = job, now
        if confirmed:
            self.suspect = None
        return confirmed

    def accepted(self) -> None:
        """The key was good enough for some answer."""
        self.suspect = None


def about(error: TopazStatusError, job: JobRef) -> TopazStatusError:
    """The same error, said of ``job``: what one look met stands for others that were not sent."""
    same = copy.copy(error)
    if isinstance(same, ServiceError | TransportError | DecodeError):
        same.job = job
    return same


def is_about_job(error: TopazStatusError) -> bool:
    """True for an answer that a service gives only while it is at work: about the job, or about the key."""
    return isinstance(error, ServiceError) and not (error.is_transient or error.status_code < HTTPStatus.BAD_REQUEST)


def proves_key(error: TopazStatusError) -> bool:
    """True for an answer that a service gives only once it has accepted the key."""
    return is_about_job(error) and not isinstance(error, AuthenticationError)
