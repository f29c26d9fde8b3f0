"""Statistics: what a client is doing, as frozen numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self

import attrs

from ..coordination import Shared
from ..core.schedule.explanation import Explanation
from ..core.wire.list_page import PAGE_SIZES
from ..models.job import JobKind, JobRef
from ..models.pydantic_schema import PydanticSchema
from .listener import Gauges

if TYPE_CHECKING:
    from .durable.store_writer import StoreWriter
    from .engine import Engine


@attrs.frozen(kw_only=True)
class Lag(PydanticSchema):
    """Upper bounds of the detection lag: seconds from the last poll sent before an end to the answer with the end.

    The figures cover the last 10,000 ended jobs. A job that had ended before its first poll does not count.
    """

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, lags: Iterable[float]) -> Self | None:
        """Summarize lags; return ``None`` if there are no lags."""
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
class StoreStats(PydanticSchema):
    """The numbers of a client's store of durable watches.

    Example:
        >>> async with StatusClient(store=MemoryStore()) as durable:
        ...     durable.stats().store == StoreStats(waiting=0, down=0.0, taken_over=0, claimed=0)
        True
    """

    waiting: int
    """Rows that are not written yet."""
    down: float
    """Seconds for which the store has failed in a way that may pass; 0 while it works. Watching goes on meanwhile, and
    no outcome is handed out before it is stored. The log has the reason."""
    taken_over: int
    """Watches of this client that other clients have taken over."""
    claimed: int
    """Watches and outcomes that this client has taken over from others."""


@attrs.frozen(kw_only=True)
class Stats(PydanticSchema):
    """The numbers of one client at one time. Times are seconds, rates requests/s."""

    watches: Mapping[JobKind, int]
    """Jobs being watched."""
    in_flight: int
    """Requests on the wire now."""
    peak_in_flight: int
    requests: Mapping[JobKind, Mapping[str, int]]
    """Requests by HTTP status (``"200"``); ``"none"`` counts those without a usable answer."""
    tokens: float
    """Tokens in the shared bucket."""
    rates: Mapping[JobKind, float]
    """Requests/s that each kind may send: its ceiling, or less for a while after 429s."""
    held: Mapping[JobKind, float]
    """Seconds for which each kind sends nothing, because its service asked for a pause."""
    down: Mapping[JobKind, float]
    """Seconds for which each service has been down, and probed by single polls; 0 for a service that is up."""
    lag: Lag | None
    expected_lag: float | None
    """Mean seconds by which future ends will be detected late at this load, without the time of an answer; ``None``
    with no watch. The estimate uses a sample of the jobs, the polls that will be planned for them and the budget
    (:mod:`topaz_status.core.schedule.expected_lag`)."""
    sweeps: Mapping[JobKind, int]
    """List pages read, of the kinds that have a list."""
    swept_statuses: int
    """Statuses of watched jobs that list pages brought; each saved a request."""
    overdue: float
    """Most seconds by which a poll exceeds its longest allowed gap: above 0, the budget is too small for the jobs.
    Services that are down do not count."""
    store: StoreStats | None = None
    """The store of durable watches; ``None`` without one."""

    shared: Shared | None = None
    """The processes that share the account; ``None`` without a coordinator."""

    @property
    def total_requests(self) -> int:
        """All requests so far."""
        return sum(sum(answers.values()) for answers in self.requests.values())


def explain_watch(engine: Engine, job: JobRef, *, ended: bool) -> Explanation:
    """Explain why, and when, a job is polled next."""
    now, budget = engine.clock.now(), engine.gate.budget
    tokens = budget.tokens(now)
    rates = {kind: budget.rate(kind) for kind in JobKind}
    idle_at = budget.idle_at(job.kind, now)
    known = None if ended else engine.schedule.explain(job, now, rates=rates, tokens=tokens, idle_at=idle_at)
    if known is not None:
        known = engine.circuits.explain(known, now)
        return known if engine.sharing is None else engine.sharing.explain(known)
    reason = "the watch has ended" if ended else "what is known of it is on its way to the disk"
    return Explanation.of_none(job, tokens, reason)


def take_stats(engine: Engine) -> Stats:
    """Return the numbers of a client now."""
    now = engine.clock.now()
    gate, budget = engine.gate, engine.gate.budget
    requests: dict[JobKind, dict[str, int]] = {kind: {} for kind in JobKind}
    for (kind, status), count in engine.telemetry.requests.items():
        requests[kind]["none" if status is None else str(status)] = count
    rates = {kind: budget.rate(kind) for kind in JobKind}
    return Stats(
        watches={kind: engine.registry.count_here(kind) for kind in JobKind},
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
        shared=None if engine.sharing is None else engine.sharing.shared(),
        store=None if engine.store_writer is None else _store_stats(engine.store_writer),
    )


def _store_stats(store_writer: StoreWriter) -> StoreStats:
    return StoreStats(
        waiting=store_writer.waiting,
        down=store_writer.down_for,
        taken_over=store_writer.taken_over,
        claimed=store_writer.claimed,
    )


def take_gauges(engine: Engine) -> Gauges:
    """Return what a client holds now; any thread may call this."""
    now, budget, store_writer = engine.clock.now(), engine.gate.budget, engine.store_writer
    return Gauges(
        watched_jobs={kind: engine.registry.count(kind) for kind in JobKind},
        in_flight=engine.gate.in_flight,
        tokens=budget.tokens(now),
        rates={kind: budget.rate(kind) for kind in JobKind},
        held={kind: budget.held_for(kind, now) for kind in JobKind},
        down={kind: kind in engine.circuits.down for kind in JobKind},
        store_backlog=0 if store_writer is None else store_writer.waiting,
        role=None if engine.sharing is None else engine.sharing.role,
    )


def estimate_lag(engine: Engine) -> float | None:
    """Return :attr:`Stats.expected_lag` alone."""
    rates = {kind: engine.gate.budget.rate(kind) for kind in JobKind}
    return engine.schedule.expected_lag(engine.clock.now(), rates)
