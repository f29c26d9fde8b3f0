"""What a client is doing, as frozen numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self

import attrs

from ..core.schedule.explanation import Explanation
from ..core.wire.list_page import PAGE_SIZES
from ..models.job import JobKind, JobRef
from ..models.pydantic_schema import PydanticSchema

if TYPE_CHECKING:
    from .engine import Engine


@attrs.frozen(kw_only=True)
class Lag(PydanticSchema):
    """Seconds from the sending of a look to the answer of the next, which told the end: at most so late was it known.

    Over the last 10,000 ended jobs. A job that had ended before its first look counts for nothing.
    """

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, lags: Iterable[float]) -> Self | None:
        """Summarize; ``None`` for nothing."""
        ordered = sorted(lags)
        if not ordered:
            return None

        def quantile(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

        return cls(
            count=len(ordered),
            mean=sum(ordered) / len(ordered),
            p50=quantile(0.50),
            p95=quantile(0.95),
            p99=quantile(0.99),
            max=ordered[-1],
        )


@attrs.frozen(kw_only=True)
class Stats(PydanticSchema):
    """A moment of one client. Times are seconds, rates requests/s."""

    watches: Mapping[JobKind, int]
    """Jobs being watched."""
    in_flight: int
    """Requests on the wire now."""
    peak_in_flight: int
    requests: Mapping[JobKind, Mapping[str, int]]
    """Exchanges by HTTP status (``"200"``); ``"none"`` where no usable answer came."""
    tokens: float
    """Tokens in the shared bucket."""
    rates: Mapping[JobKind, float]
    """What each kind may send: its ceiling, or less while 429s are being digested."""
    held: Mapping[JobKind, float]
    """How much longer each kind is left alone because its service asked for it."""
    down: Mapping[JobKind, float]
    """For how long each service has been found down and probed by single looks; 0 for one that is not."""
    lag: Lag | None
    expected_lag: float | None
    """How late the ends to come will be known on average at this load, the time an answer takes aside; ``None`` with
    no watch. An estimate, from what is known of a sample of the jobs, the looks that will be planned for them and the
    budget there is (:mod:`topaz_status.core.schedule.expected_lag`)."""
    sweeps: Mapping[JobKind, int]
    """Pages read, of the kinds that have a list."""
    swept_statuses: int
    """Statuses of watched jobs that pages brought; each of them saved a request."""
    overdue: float
    """By how much the longest allowed gap is exceeded where it is worst: above 0, the budget is too small for the
    jobs. Services that are down do not count."""

    @property
    def total_requests(self) -> int:
        """All exchanges so far."""
        return sum(sum(answers.values()) for answers in self.requests.values())


def explain_watch(engine: Engine, job: JobRef, *, ended: bool) -> Explanation:
    """Tell why, and when, a job is looked at next."""
    now, budget = engine.clock.now(), engine.gate.budget
    tokens = budget.tokens(now)
    rates = {kind: budget.rate(kind, now) for kind in JobKind}
    idle_at = budget.idle_at(job.kind, now)
    known = None if ended else engine.schedule.explain(job, now, rates=rates, tokens=tokens, idle_at=idle_at)
    if known is not None:
        return engine.circuits.explain(known, now)
    reason = "the watch has ended" if ended else "what is known of it is on its way to the disk"
    return Explanation.of_none(job, tokens, reason)


def take_stats(engine: Engine) -> Stats:
    """Read the numbers."""
    now = engine.clock.now()
    gate, budget = engine.gate, engine.gate.budget
    requests: dict[JobKind, dict[str, int]] = {kind: {} for kind in JobKind}
    for (kind, status), count in engine.telemetry.requests.items():
        requests[kind]["none" if status is None else str(status)] = count
    rates = {kind: budget.rate(kind, now) for kind in JobKind}
    return Stats(
        watches={kind: engine.registry.count(kind) for kind in JobKind},
        in_flight=gate.in_flight,
        peak_in_flight=gate.peak_in_flight,
        requests={kind: dict(sorted(answers.items())) for kind, answers in requests.items()},
        tokens=budget.tokens(now),
        rates=rates,
        held={kind: budget.held_for(kind, now) for kind in JobKind},
        down={kind: engine.circuits.down_for(kind, now) for kind in JobKind},
        lag=Lag.of(engine.telemetry.lags),
        expected_lag=engine.schedule.expected_lag(now, rates),
        sweeps={kind: engine.telemetry.sweeps[kind] for kind in PAGE_SIZES},
        swept_statuses=engine.telemetry.swept_statuses,
        overdue=engine.schedule.overdue(now, set(JobKind) - engine.circuits.down),
    )
