"""A circuit for each service: what looks meet goes in, who may be looked at comes out, and the log hears of outages."""

from __future__ import annotations

import math
from collections.abc import Collection

import attrs

from ...core.budget.budget import Budget
from ...core.health.certificates import CertificateTrust
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
    """The circuits of one client, by kind of job: two kinds on one host fail separately.

    See :mod:`...core.health.circuit_breaker`.
    """

    _budget: Budget
    _telemetry: Telemetry
    _jitter: Backoff
    _patience: float
    _circuits: dict[JobKind, CircuitBreaker] = attrs.field(init=False)
    _trust: dict[JobKind, CertificateTrust] = attrs.field(init=False)
    _distrusted: set[JobKind] = attrs.field(factory=set, init=False)
    """Services whose certificate the latest poll found wrong, for certain."""
    _troubles: dict[JobKind, TopazStatusError] = attrs.field(factory=dict, init=False)
    """What the latest poll met, of services that have given no answer of use since."""
    down: set[JobKind] = attrs.field(factory=set, init=False)
    """Services found down and not back yet."""
    recovering: bool = attrs.field(default=False, init=False)
    """True while what an outage left undone may still be made up for; whoever finds it done says so."""

    def __attrs_post_init__(self) -> None:
        self._circuits = {kind: CircuitBreaker(self._patience) for kind in JobKind}
        self._trust = {kind: CertificateTrust() for kind in JobKind}

    # -- who may go ---------------------------------------------------------------------------------------------------

    def open_to(self, kinds: Collection[JobKind], now: float) -> Collection[JobKind]:
        """Those of ``kinds`` of which a look may go now."""
        return [kind for kind in kinds if self._circuits[kind].opens_at <= now]

    def opens_at(self, kind: JobKind) -> float:
        """The time from which a look of that kind may go."""
        return self._circuits[kind].opens_at

    def hopeless_at(self, kind: JobKind) -> float:
        """Watches of that kind are given up whose look came due by then, and was not sent since."""
        return math.inf if kind in self._distrusted else self._circuits[kind].hopeless_at

    def trouble_since(self, kind: JobKind, at: float) -> float:
        """Seconds since ``at`` for which looks of that kind met nothing but trouble."""
        return self._circuits[kind].trouble_since(at)

    # -- what looks meet ----------------------------------------------------------------------------------------------

    def sent(self, poll: Poll, now: float) -> None:
        """A look goes out; its token is not spent yet."""
        circuit = self._circuits[poll.kind]
        circuit.sent(poll, now, self._budget.ready_at(poll.kind) if circuit.about is not None else now)

    def unsent(self, poll: Poll) -> None:
        """A look was canceled before it told anything."""
        self._circuits[poll.kind].unsent(poll)

    def hurry(self, kind: JobKind) -> None:
        """A direct call was answered: if the service was down, it may be back."""
        if kind in self.down:
            self._circuits[kind].hurry()

    def used(self, kind: JobKind, now: float) -> None:
        """A usable answer came."""
        self._trust[kind].accepted()
        self._troubles.pop(kind, None)
        if (was_down := self._circuits[kind].used(now)) is not None:
            self._back(kind, was_down, now)

    def missed(self, poll: Poll, error: TopazStatusError, *, sent_at: float, now: float) -> None:
        """A look got no usable answer."""
        circuit = self._circuits[poll.kind]
        self._judge_certificate(poll.kind, error, sent_at, now)
        if isinstance(error, ConfigurationError):
            circuit.unsent(poll)
        elif isinstance(error, RateLimitedError):
            self._troubles[poll.kind] = bare(error)
            if (was_down := circuit.limited(poll, sent_at=sent_at, now=now)) is not None:
                self._back(poll.kind, was_down, now)
        elif is_about_job(error):
            self.used(poll.kind, now)
        else:
            self._troubles[poll.kind] = bare(error)
            self._failed(circuit, poll, error, sent_at, now)

    def _judge_certificate(self, kind: JobKind, error: TopazStatusError, sent_at: float, now: float) -> None:
        """Learn whether the service's certificate is wrong for certain; an answer, even an error, clears it."""
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
            if not isinstance(error, CertificateError):  # of which the log hears once it is certain
                self._telemetry.down(poll.kind, error)
        elif circuit.down_since is None or circuit.probes == probes:
            return
        circuit.probe_at(now + self._jitter.probe_delay(circuit.probes))

    def _back(self, kind: JobKind, was_down: float, now: float) -> None:
        """Back after an outage: those who waited go one by one at the budget's rate, not as the burst it has saved."""
        self.down.discard(kind)
        self.recovering = True
        self._budget.hold(kind, now, 0.0)
        self._telemetry.back(kind, was_down)

    # -- what can be told of it ---------------------------------------------------------------------------------------

    def down_for(self, kind: JobKind, now: float) -> float:
        """Seconds since the first of the looks by which the service was found down; 0 while it is not."""
        since = self._circuits[kind].down_since
        return 0.0 if since is None else now - since

    def trouble(self, kind: JobKind) -> TopazStatusError | None:
        """What the latest poll of that kind met, where nothing of use has come since."""
        return self._troubles.get(kind)

    def explain(self, known: Explanation, now: float) -> Explanation:
        """Add what an outage means for a job's next look."""
        circuit = self._circuits[known.job.kind]
        if circuit.down_since is None or known.due_in is None:
            return known
        wait = circuit.opens_at - now
        probe = "one look is on the wire to find out" if wait == math.inf else f"probed in {max(0.0, wait):.1f} s"
        reason = f"the {known.job.kind.value} service has been down for {now - circuit.down_since:.0f} s: {probe}"
        return attrs.evolve(known, reason=f"{reason}; {known.reason}")
