"""A circuit breaker for each service: it counts failed polls, says which kinds may be polled, and logs outages."""

from __future__ import annotations

import math
from collections.abc import Collection

import attrs

from ...core.budget.budget import Budget
from ...core.health.certificate_trust import CertificateTrust
from ...core.health.circuit_breaker import CircuitBreaker
from ...core.health.ending import is_about_job
from ...core.schedule.entry import Poll
from ...core.schedule.explanation import Explanation
from ...errors import (
    CertificateError,
    ConfigurationError,
    DecodeError,
    RateLimitedError,
    ServiceError,
    TopazStatusError,
)
from ...errors_base import bare
from ...models.job import JobKind
from ..telemetry import Telemetry
from ..timing.backoff_delays import Backoff


@attrs.define(eq=False)
class CircuitBreakers:
    """The circuit breakers of one client, by kind of job: two kinds on one host fail separately.

    See :mod:`...core.health.circuit_breaker`.
    """

    _budget: Budget
    _telemetry: Telemetry
    _jitter: Backoff
    _patience: float
    _circuits: dict[JobKind, CircuitBreaker] = attrs.field(init=False)
    _trust: dict[JobKind, CertificateTrust] = attrs.field(init=False)
    _distrusted: set[JobKind] = attrs.field(factory=set, init=False)
    """Kinds for which the latest poll proved that the service's certificate is wrong."""
    _troubles: dict[JobKind, TopazStatusError] = attrs.field(factory=dict, init=False)
    """Error of the latest failed poll, by kind, of services that have given no usable answer since."""
    down: set[JobKind] = attrs.field(factory=set, init=False)
    """Kinds whose service was found down and is not back yet."""
    recovering: bool = attrs.field(default=False, init=False)
    """True while polls that an outage delayed may still be overdue; the feed clears it once they are not."""

    def __attrs_post_init__(self) -> None:
        self._circuits = {kind: CircuitBreaker(self._patience) for kind in JobKind}
        self._trust = {kind: CertificateTrust() for kind in JobKind}

    # -- which kinds may be polled ------------------------------------------------------------------------------------

    def pollable(self, kinds: Collection[JobKind], now: float) -> Collection[JobKind]:
        """Return those of ``kinds`` that may be polled now."""
        return [kind for kind in kinds if self._circuits[kind].allows_at <= now]

    def pollable_at(self, kind: JobKind) -> float:
        """Return the time from which that kind may be polled."""
        return self._circuits[kind].allows_at

    def given_up_due_by(self, kind: JobKind) -> float:
        """Return the time for giving up: a watch ends if its poll was due by then and has not been sent since."""
        return math.inf if kind in self._distrusted else self._circuits[kind].gives_up_before

    def trouble_since(self, kind: JobKind, at: float) -> float:
        """Return for how many seconds since ``at`` polls of that kind met nothing but trouble."""
        return self._circuits[kind].trouble_since(at)

    # -- results of polls ---------------------------------------------------------------------------------------------

    def sent(self, poll: Poll, now: float) -> None:
        """Note that a poll is sent; its token is not spent yet."""
        circuit = self._circuits[poll.kind]
        circuit.sent(poll, now, self._budget.ready_at(poll.kind) if circuit.about is not None else now)

    def unsent(self, poll: Poll) -> None:
        """Note that a poll was canceled before it brought a result."""
        self._circuits[poll.kind].unsent(poll)

    def hurry(self, kind: JobKind) -> None:
        """Probe a service that is down at once, for example because it has answered a direct call."""
        if kind in self.down:
            self._circuits[kind].hurry()

    def used(self, kind: JobKind, now: float) -> None:
        """Note a usable answer."""
        if kind in self._troubles:
            self._trust[kind].accepted()
            del self._troubles[kind]
        if (was_down := self._circuits[kind].used(now)) is not None:
            self._recovered(kind, was_down, now)

    def missed(self, poll: Poll, error: TopazStatusError, *, sent_at: float, now: float) -> None:
        """Note a poll that got no usable answer."""
        circuit = self._circuits[poll.kind]
        self._judge_certificate(poll.kind, error, sent_at, now)
        if isinstance(error, ConfigurationError):
            circuit.unsent(poll)
        elif isinstance(error, RateLimitedError):
            self._troubles[poll.kind] = bare(error)
            if (was_down := circuit.limited(poll, sent_at=sent_at, now=now)) is not None:
                self._recovered(poll.kind, was_down, now)
        elif is_about_job(error):
            self.used(poll.kind, now)
        else:
            self._troubles[poll.kind] = bare(error)
            self._failed(circuit, poll, error, sent_at, now)

    def _judge_certificate(self, kind: JobKind, error: TopazStatusError, sent_at: float, now: float) -> None:
        """Check whether the service's certificate is wrong for certain; any answer, even an error, clears it."""
        self._distrusted.discard(kind)
        if isinstance(error, ServiceError | DecodeError):
            self._trust[kind].accepted()
        elif isinstance(error, CertificateError) and self._trust[kind].refused(sent_at=sent_at, now=now):
            self._distrusted.add(kind)
            self._telemetry.warn_once(f"certificate {kind}", f"watches of {kind.value} jobs end: {error.args[0]}")

    def _failed(self, circuit: CircuitBreaker, poll: Poll, error: TopazStatusError, sent_at: float, now: float) -> None:
        probes = circuit.probes
        if circuit.failed(poll, sent_at=sent_at, now=now):
            self.down.add(poll.kind)
            if not isinstance(error, CertificateError):  # logged elsewhere, once it is certain
                self._telemetry.down(poll.kind, error)
        elif circuit.down_since is None or circuit.probes == probes:
            return
        circuit.probe_at(now + self._jitter.probe_delay(circuit.probes))

    def _recovered(self, kind: JobKind, was_down: float, now: float) -> None:
        """Note the end of an outage: waiting polls go one by one at the budget's rate, not as a burst."""
        self.down.discard(kind)
        self.recovering = True
        self._budget.hold(kind, now, 0.0)
        self._telemetry.back(kind, was_down)

    # -- what is known of outages -------------------------------------------------------------------------------------

    def down_for(self, kind: JobKind, now: float) -> float:
        """Return the seconds since the first failed poll of the current outage was sent; 0 while the service is up."""
        since = self._circuits[kind].down_since
        return 0.0 if since is None else now - since

    def trouble(self, kind: JobKind) -> TopazStatusError | None:
        """Return the error of the latest failed poll of that kind; ``None`` once a usable answer has come."""
        return self._troubles.get(kind)

    def explain(self, known: Explanation, now: float) -> Explanation:
        """Add what an outage means for a job's next poll."""
        circuit = self._circuits[known.job.kind]
        if circuit.down_since is None or known.due_in is None:
            return known
        wait = circuit.allows_at - now
        probe = "one poll is on the wire to find out" if wait == math.inf else f"probed in {max(0.0, wait):.1f} s"
        reason = f"the {known.job.kind.value} service has been down for {now - circuit.down_since:.0f} s: {probe}"
        return attrs.evolve(known, reason=f"{reason}; {known.reason}")
