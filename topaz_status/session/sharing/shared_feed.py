"""The feed of a client with a coordinator: it polls only while this member leads, or goes alone."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

import attrs

from ...core.schedule.explanation import Explanation
from ...core.schedule.tracked_job import LEAD
from ...models.job import JobKind, JobRef
from ..polling.circuit_breakers import CircuitBreakers
from ..polling.feed import LAST_ANSWER, SLOW_ANSWER, Feed
from ..polling.poller import Poller


class Station(Protocol):
    """What this member's place among the others means for its polls."""

    def may_poll(self, now: float) -> bool:
        """Return whether this member polls by itself now."""

    def forward(self, job: JobRef, word: str | None) -> None:
        """Report a notice to the leader."""

    def forward_deleted(self, job: JobRef | None) -> None:
        """Report a deleted record to the leader, or that all were deleted."""

    @property
    def down(self) -> dict[JobKind, float]:
        """For how many seconds services have been down, as the leader reported last."""


@attrs.define(eq=False)
class SharedFeed(Feed):
    """The gate's source of polls; it has none while another member polls for this one."""

    station: Station | None = attrs.field(default=None, init=False)

    def _polls(self, now: float) -> bool:
        return self.station is None or self.station.may_poll(now)

    @property
    def kinds(self) -> Collection[JobKind]:
        """See :class:`~..polling.gate.Polls`."""
        return self._registry.kinds if self._polls(self._clock.now()) else ()

    def next_at(self, now: float, kind: JobKind) -> float:
        """See :class:`~..polling.gate.Polls`."""
        return super().next_at(now, kind) if self._polls(now) else math.inf

    def pick(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        """See :class:`~..polling.gate.Polls`."""
        return super().pick(now, kinds) if self._polls(now) else None

    def notify(self, job: JobRef, word: str | None = None) -> None:
        """See :meth:`Feed.notify`; the leader hears as well, of any job, because others may watch it."""
        super().notify(job, word)
        if self.station is not None:
            self.station.forward(job, word)

    def deleted(self, job: JobRef | None) -> None:
        """See :meth:`Feed.deleted`."""
        super().deleted(job)
        if self.station is not None:
            self.station.forward_deleted(job)

    def waits_until(self, poller: Poller, deadline: float) -> float:
        """See :meth:`Feed.waits_until`. The leader sends a follower's last poll, so its answer comes by mail."""
        station = self.station
        if station is None or station.may_poll(self._clock.now()):
            return super().waits_until(poller, deadline)
        if poller.polled_at is not None and poller.polled_at >= deadline - 2.0 * LEAD:
            return deadline  # that was the last poll
        if poller.job.kind not in station.down and (poller.polls == 0 or self._schedule.is_over(poller.job)):
            return deadline + self._settings.request_timeout
        return deadline + max(LAST_ANSWER, SLOW_ANSWER * self._telemetry.answer_times[poller.job.kind])


@attrs.define(eq=False)
class SharedCircuits(CircuitBreakers):
    """The circuit breakers of a client with a coordinator: a follower shows those of its leader."""

    station: Station | None = attrs.field(default=None, init=False)

    def down_for(self, kind: JobKind, now: float) -> float:
        """See :meth:`CircuitBreakers.down_for`."""
        if self.station is None or self.station.may_poll(now):
            return super().down_for(kind, now)
        return self.station.down.get(kind, 0.0)

    def explain(self, known: Explanation, now: float) -> Explanation:
        """See :meth:`CircuitBreakers.explain`."""
        if self.station is None or self.station.may_poll(now):
            return super().explain(known, now)
        since = self.station.down.get(known.job.kind)
        if since is None:
            return known
        reason = f"the {known.job.kind.value} service has been down for {since:.0f} s, as the leader says"
        return attrs.evolve(known, reason=f"{reason}; {known.reason}")
