"""What ends a watch, and what does not.

An answer counts as the service's word on a job or a key only if it is recognisably *the service's own*. For a 4xx that
means a JSON object with the documented fields (:mod:`.wire` reads them; Topaz Image: ``message``, perhaps ``code``;
Topaz Video: ``message``, perhaps ``errorCode``; Pixelcut: ``error`` and ``error_code``), and a ``Content-Type`` that is
JSON, where there is one. Anything else with such a code comes from something in front of the service, and passes. No
4xx of a status or list is documented without a body, so an empty one passes as well: to wait longer costs little, and a
watch that is ended wrongly loses a job.

=======================================  ==================================  ========================================
what a poll of the job brings            what it means                       what ends the watch, and when
=======================================  ==================================  ========================================
200 with a terminal status               the job has ended                   that, at once: :func:`failure`
200 with any other status, known or not  the job goes on                     nothing
200 that is no status of the job         a failure in transit                ``DecodeError`` after ``give_up_after``
own 400, 402, 403, 412                   a refusal that never heals          that error, at once
own ones of a wave (:mod:`.wave`)        something in front of the service   ``TransportError`` after ``give_up_after``
own 404 within ``not_found_grace``       not written yet                     nothing
own 404 later                            perhaps gone                        nothing yet
a second one ``GONE_TWICE_APART`` later  gone, unless others are, too        ``JobLostError``, at once;
                                                                             ``NotFoundError`` if it was never seen
own 404s of a wave (:mod:`.wave`)        an outage of the service            ``TransportError`` after ``give_up_after``
own 401                                  perhaps a bad key                   ``AuthenticationError`` after
                                                                             ``give_up_after``
own 401s of two jobs (:class:`KeyTrust`)  a bad key                          ``AuthenticationError`` at once, of all
                                                                             watches with the key
own 409 and any other 4xx of its own     no word on the job's end            that error after ``give_up_after``
4xx that is not the service's own        a failure in transit                ``GatewayError`` after ``give_up_after``
408, 425, 429, 3xx, 5xx, whoever's       a failure in transit                that error after ``give_up_after``
no answer                                a failure in transit                ``TransportError`` after ``give_up_after``
nothing: it could not be sent            nothing                             nothing
=======================================  ==================================  ========================================

``give_up_after`` is seconds of failed polls without one usable answer; time in which no poll could be sent does not
count. Only an end that is the service's own word on the job is final (:func:`is_final`): any other leaves a durable
watch open, to be taken up again.
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
"""Seconds between the two 404s that together mean "gone"."""
LONGEST_SUSPICION: Final = 300.0
"""Seconds within which a second 401, about another job, confirms a first one."""


def failure(status: JobStatus) -> TopazStatusError | None:
    """What awaiting a job with this terminal status raises; ``None`` when it is completed."""
    kind = _FAILURES.get(status.state)
    return None if kind is None else kind(status.job, status, status.reason)


def never_heals(error: TopazStatusError) -> bool:
    """True for an answer of the service's own to which there will be no other."""
    return is_about_job(error) and isinstance(error, ServiceError) and error.status_code in NEVER_HEALS


_FAILURES: Final = {
    JobState.FAILED: JobFailedError,
    JobState.CANCELED: JobCanceledError,
    JobState.EXPIRED: JobExpiredError,
}


def is_final(status: JobStatus | None, error: TopazStatusError | None) -> bool:
    """True for an end that tells what became of the job; False for one of the wait alone, which may be taken up again.

    Timeouts, a refused key, the client's closing and a service without any usable answer for too long are of the wait.
    So is whatever ended a watch because it went on for too long: a redirect, a gateway's page, a wave of 404s.
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
    """Looks in a row without a usable answer."""
    retry_at: float = math.inf
    """When the next look is due; what it waits beyond that is not the service's fault, unless it is down."""
    outage: float = 0.0
    """Seconds for which they have gone on."""
    is_deleted: bool = False
    """True once the job's record was deleted through this client: then 404s are no surprise."""
    _failed_at: float = math.inf
    _missing_at: float = math.inf
    """When the first 404 or refusal came, and the latest 404 that counts."""
    _missed_at: float = -math.inf
    error: TopazStatusError | None = None
    """What the latest of them brought instead."""
    misses: int = 0
    """404s in a row, ``GONE_TWICE_APART`` from one to the next, with no answer of use between."""

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
        """No usable answer came: the error that ends the watch, or ``None`` to go on.

        Args:
            error: what came instead.
            policy: the times that count.
            last: the last status, ``None`` where there is none.
            sent_at: when the poll was sent.
            now: when it failed.
            withheld: for how much of the time since the poll was due other polls met nothing but trouble.
            wave: what is known of missing jobs of the kind, and of all; or of refused ones, where the job was seen.
            in_company: whether the job was ever seen, and enough others are watched to bear out that it is gone.
        """
        self.error = bare(error)
        silence = self._count(sent_at, now, withheld)
        if isinstance(error, NotFoundError):
            if now - self.started_at < policy.not_found_grace or not self._is_confirmed(now):
                return None
            if wave is None or self.is_deleted or self._is_believed(wave, now, in_company=in_company):
                return error if last is None or error.job is None else JobLostError(error.job, last)
            error = _doubted(error, wave)
        elif never_heals(error):
            self._missing_at = min(self._missing_at, now)
            if wave is None or wave.is_calm(self._missing_at, now):
                return error
            error = _doubted(error, wave)
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

    def _is_confirmed(self, now: float) -> bool:
        """A 404 came after the grace: whether it is one more, ``GONE_TWICE_APART`` after the first."""
        self._missing_at = min(self._missing_at, now)
        if now - self._missed_at >= GONE_TWICE_APART:
            self._missed_at = now
            self.misses += 1
        return self.misses > 1

    def _is_believed(self, wave: Wave, now: float, *, in_company: bool) -> bool:
        """Whether other jobs bear out the 404s or, where they cannot, at least do not speak against them."""
        return wave.believes(self.misses, self._missing_at, now) if in_company else wave.is_calm(self._missing_at, now)


def _doubted(error: TopazStatusError, wave: Wave) -> TransportError:
    """What an answer of a wave means: it tells of the service alone."""
    code = error.status_code if isinstance(error, ServiceError) else None
    return TransportError(_DOUBTED.format(code, wave.extent), job=getattr(error, "job", None))


_DOUBTED: Final = "answered {}, but so are {} jobs that had been seen before: taken for an outage of the service"


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


def about(error: TopazStatusError, job: JobRef | None) -> TopazStatusError:
    """The same error, said of ``job`` or of none: what one look met stands for others that were not sent."""
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
