"""What ends a watch, and what does not.

An answer is evidence about a job or a key only if it is recognisably *the service's own*. A 4xx is the service's own if
its body is a JSON object with the documented fields. Its ``Content-Type``, if it has one, must be JSON.
:mod:`..wire.responses` reads the fields. They are ``message`` and perhaps ``code`` (Topaz Image), ``message`` and
perhaps ``errorCode`` (Topaz Video), ``error`` and ``error_code`` (Pixelcut). Any other 4xx comes from something in
front of the service, and is transient. Every 4xx that the documents show for a status or list has a body, so an empty
4xx is transient as well. Waiting longer costs little; a watch that is ended wrongly loses a job.

=======================================  ==================================  ========================================
what a poll of the job brings            what it means                       what ends the watch, and when
=======================================  ==================================  ========================================
200 with a terminal status               the job has ended                   that, at once: :func:`failure`
200 with any other status, known or not  the job goes on                     nothing
200 that is no status of the job         a failure in transit                ``DecodeError`` after ``give_up_after``
own 400, 402, 403, 412                   the service refuses, for good       that error, at once
the same, in a wave (:mod:`.wave`)       something in front of the service   ``TransportError`` after ``give_up_after``
                                         refuses
own 404 within ``not_found_grace``       the record is not there yet         nothing
own 404 later                            the record may be deleted           nothing; one more such 404 decides
a second one ``GONE_TWICE_APART`` later  it is deleted, unless many jobs     ``JobLostError``, at once;
                                         are missing                         ``NotFoundError`` if it was never seen
own 404s of a wave (:mod:`.wave`)        an outage of the service            ``TransportError`` after ``give_up_after``
own 401                                  the key may be bad                  ``AuthenticationError`` after
                                                                             ``give_up_after``
own 401s of two jobs                     the key is bad (:class:`KeyTrust`)  ``AuthenticationError`` at once, of all
                                                                             watches with the key
own 409, any other own 4xx               it says nothing of the end          that error after ``give_up_after``
4xx that is not the service's own        a failure in transit                ``GatewayError`` after ``give_up_after``
408, 425, 429, 3xx, 5xx, own or not      a failure in transit                that error after ``give_up_after``
no answer                                a failure in transit                ``TransportError`` after ``give_up_after``
nothing: it could not be sent            it says nothing                     nothing
=======================================  ==================================  ========================================

``give_up_after`` counts the seconds of failed polls without a usable answer. Time in which no poll could be sent does
not count. An end is final only if the service itself states it of the job (:func:`is_final`). Any other end leaves a
durable watch open, and it can be resumed.
"""

from __future__ import annotations

import copy
import math
from http import HTTPStatus
from typing import Final

import attrs

from ...errors import (
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
from ...errors_base import bare
from ...models import JobStatus
from ...models.job import JobRef, JobState
from ..policy import PollPolicy
from .wave import Wave

NEVER_HEALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PRECONDITION_FAILED,
    }
)
GONE_TWICE_APART: Final = 1.0
"""Seconds between the two 404s that together mean that the job was deleted."""
LONGEST_SUSPICION: Final = 300.0
"""Seconds within which a second 401, about another job, confirms the first one."""


def failure(status: JobStatus) -> TopazStatusError | None:
    """Return what awaiting a job with this terminal status raises; ``None`` if the job is completed."""
    kind = _FAILURES.get(status.state)
    return None if kind is None else kind(status.job, status, status.reason)


def never_heals(error: TopazStatusError) -> bool:
    """Return True for an answer of the service's own that no later answer will change."""
    return is_about_job(error) and isinstance(error, ServiceError) and error.status_code in NEVER_HEALS


_FAILURES: Final = {
    JobState.FAILED: JobFailedError,
    JobState.CANCELED: JobCanceledError,
    JobState.EXPIRED: JobExpiredError,
}


def is_final(status: JobStatus | None, error: TopazStatusError | None) -> bool:
    """Return True for an end that says what became of the job, False for an end of the wait alone.

    A watch with an end of the wait can be resumed. Such ends are timeouts, a refused key, the client's closing, and a
    service without a usable answer for too long. A redirect, a gateway's page or a wave of 404s that goes on for too
    long also ends only the wait.
    """
    if isinstance(error, ServiceError):
        return isinstance(error, NotFoundError) or never_heals(error)
    if error is None:
        return status is not None and status.is_terminal
    return isinstance(error, JobError)


@attrs.define
class FailureRecord:
    """The evidence about one job. Times are seconds of the loop's clock."""

    started_at: float
    failures: int = 0
    """Polls in a row without a usable answer."""
    retry_at: float = math.inf
    """When the next poll is due. Waiting beyond that is not the service's fault, unless it is down."""
    outage: float = 0.0
    """Seconds for which these polls have failed."""
    is_deleted: bool = False
    """True once the job's record was deleted through this client: then 404s are no surprise."""
    _failed_at: float = math.inf
    """When the latest failed poll failed."""
    _refused_since: float = math.inf
    """When the first 404 or refusal came."""
    _missed_at: float = -math.inf
    """When the latest 404 that counts came."""
    error: TopazStatusError | None = None
    """The error of the latest failed poll."""
    misses: int = 0
    """404s in a row without a usable answer: each ``GONE_TWICE_APART`` or more after the one counted before."""

    def failed(
        self,
        error: TopazStatusError,
        policy: PollPolicy,
        *,
        last: JobStatus | None,
        sent_at: float,
        now: float,
        withheld: float = 0.0,
        wave: Wave | None = None,
        in_company: bool = False,
    ) -> TopazStatusError | None:
        """Count a poll without a usable answer; return the error that ends the watch, or ``None`` to go on.

        Args:
            error: what came instead.
            policy: the grace and the patience.
            last: the last status, or ``None``.
            sent_at: when the poll was sent.
            now: when the poll failed.
            withheld: seconds since the poll was due in which other polls met nothing but trouble.
            wave: the missing jobs, of the kind and of all kinds. If a job that was seen is refused: the refused jobs.
            in_company: True if the job was seen before, and enough others are watched to confirm that it was deleted.
        """
        self.error = bare(error)
        silence = self._count(sent_at, now, withheld)
        if isinstance(error, NotFoundError):
            if now - self.started_at < policy.not_found_grace or not self._is_confirmed(now):
                return None
            if wave is None or self.is_deleted or self._is_believed(wave, now, in_company=in_company):
                return error if last is None or error.job is None else JobLostError(error.job, last)
            error = _as_outage(error, wave)
        elif never_heals(error):
            self._refused_since = min(self._refused_since, now)
            if wave is None or wave.is_calm(self._refused_since, now):
                return error
            error = _as_outage(error, wave)
        return error if silence >= policy.give_up_after else None

    def left(self, policy: PollPolicy) -> float:
        """Return the seconds after which one more failed poll ends the watch."""
        return policy.give_up_after - self.outage

    def _count(self, sent_at: float, now: float, withheld: float) -> float:
        """Add the time from the last failure to this one, without the time that the poll waited past ``retry_at``.

        ``withheld`` seconds of that wait count all the same.

        Returns:
            The outage as of the sending of the poll: the trouble may be over already while the poll hangs.
        """
        if self.failures:
            self.outage += max(0.0, min(self.retry_at, sent_at) - self._failed_at)
        self.outage += withheld
        silence = self.outage
        self.outage += now - sent_at
        self.failures += 1
        self._failed_at = now
        return silence

    def _is_confirmed(self, now: float) -> bool:
        """Count a 404 after the grace; return True from the second on, ``GONE_TWICE_APART`` after the one before."""
        self._refused_since = min(self._refused_since, now)
        if now - self._missed_at >= GONE_TWICE_APART:
            self._missed_at = now
            self.misses += 1
        return self.misses > 1

    def _is_believed(self, wave: Wave, now: float, *, in_company: bool) -> bool:
        """Return True if other jobs confirm the 404s; where too few are watched, if no other job contradicts them."""
        since = self._refused_since
        return wave.believes(self.misses, since, now) if in_company else wave.is_calm(since, now)


def _as_outage(error: TopazStatusError, wave: Wave) -> TransportError:
    """Return the error that an answer of a wave stands for: it says something of the service, nothing of the job."""
    code = error.status_code if isinstance(error, ServiceError) else None
    return TransportError(_OUTAGE.format(code, wave.extent), job=getattr(error, "job", None))


_OUTAGE: Final = "answered {}, but so are {} jobs that had been seen before: taken for an outage of the service"


@attrs.define
class KeyTrust:
    """The evidence about one API key: one 401 is a suspicion, a second one about another job is certain."""

    suspect: JobRef | None = None
    _since: float = 0.0

    def refused(self, job: JobRef, now: float, *, alone: bool) -> bool:
        """Note a 401; return True if it confirms an earlier one.

        If no other job is watched with the key (``alone``), a second poll of the same job confirms it,
        ``GONE_TWICE_APART`` later. Another job's 401 confirms a suspicion that is at most ``LONGEST_SUSPICION`` seconds
        old, and replaces an older one.
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
        """Clear the suspicion, because the service accepted the key."""
        self.suspect = None


def about(error: TopazStatusError, job: JobRef | None) -> TopazStatusError:
    """Copy an error for ``job``, or for no job: the failure of one poll stands for others that were not sent."""
    same = copy.copy(error)
    if isinstance(same, ServiceError | TransportError | DecodeError):
        same.job = job
    return same


def is_about_job(error: TopazStatusError) -> bool:
    """Return True for an answer that only a working service gives: about the job, or about the key."""
    return isinstance(error, ServiceError) and not (error.is_transient or error.status_code < HTTPStatus.BAD_REQUEST)


def proves_key(error: TopazStatusError) -> bool:
    """Return True for an answer that a service gives only once it has accepted the key."""
    return is_about_job(error) and not isinstance(error, AuthenticationError)
