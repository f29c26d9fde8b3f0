"""A light model of one client and its services, in discrete events: for rivals that need no HTTP to be understood.

The services are the simulator's own: the same lives, drawn from the same seed, on the same lists. What is left out is
aiohttp, JSON and asyncio. A request takes ``RTT`` seconds, the service looks in the middle of it, and one bucket holds
as many tokens as come in a second.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from typing import Final, Protocol

import attrs
from traces import Trace

from topaz_status import JobKind, JobRef, JobState
from topaz_status.core.budget.token_bucket import TokenBucket
from topaz_status.testing.simulator.account import SimulatedAccount
from topaz_status.testing.simulator.clock import SimulatedClock
from topaz_status.testing.simulator.job_life import Life

RTT: Final = 0.1
EPOCH: Final = 1_800_000_000.37
"""Unix time at which a trace begins: not on a whole second, for the services tell whole ones."""
PAGE: Final = 100


@attrs.frozen
class Run:
    """What came of one policy on one trace."""

    trace: str
    policy: str
    rate: float
    seed: int
    lags: tuple[float, ...]
    """Seconds from each job's true end to its detection, in rising order. A job may end before its first look."""
    requests: int
    pages: int
    """The part of the requests that read a page of a list."""
    jobs: int
    """Jobs watched, stuck ones among them."""
    refused: int = 0
    """Requests answered 429: above zero, the budget was not kept."""

    @property
    def mean(self) -> float:
        """The mean lag."""
        return sum(self.lags) / len(self.lags)

    @property
    def per_job(self) -> float:
        """Requests for each job watched."""
        return self.requests / self.jobs

    def quantile(self, share: float) -> float:
        """The lag that this share of the jobs stays below."""
        return self.lags[min(int(share * len(self.lags)), len(self.lags) - 1)]


@attrs.frozen
class Look:
    """One request: for a job, for a page after a cursor, or for a page that is known to hold some jobs."""

    jobs: tuple[Life, ...] = ()
    cursor: str | None = None

    @property
    def is_page(self) -> bool:
        """Whether it reads a list."""
        return len(self.jobs) != 1


@attrs.frozen
class Seen:
    """What an answer tells of one job."""

    life: Life
    ended: bool
    remaining: float | None
    """Seconds until the end, as the service has it; negative for a time that is past."""


class Policy(Protocol):
    """Decides which look to spend a token on."""

    def add(self, life: Life, now: float) -> None:
        """A job is submitted, and waited for from now on."""

    def next_at(self, now: float) -> float:
        """When there is something to look at; infinite for never."""

    def pick(self, now: float) -> Look | None:
        """The look for a token that is there now, or ``None``."""

    def saw(self, look: Look, seen: Sequence[Seen], cursor: str | None, now: float) -> None:
        """An answer has arrived."""


@attrs.define
class Stopwatch(SimulatedClock):
    """The services' clock, set by hand."""

    moment: float = 0.0

    def now(self) -> float:
        """Seconds since the trace began."""
        return self.moment


@attrs.define
class Services:
    """The three services, and the jobs of a trace."""

    trace: Trace
    account: SimulatedAccount
    watched: list[Life]

    @classmethod
    def of(cls, trace: Trace, seed: int) -> Services:
        """Submit a trace's jobs."""
        account = SimulatedAccount(Stopwatch(), seed, trace.order)
        refs = account.add(trace.population)
        return cls(trace, account, [account.lives[ref.kind][ref.id] for ref in refs])

    def answer(self, look: Look, now: float) -> tuple[list[Seen], str | None]:
        """What the service says at ``now``, and the cursor of the next page."""
        if look.jobs:
            return [_seen(life, now) for life in look.jobs], None
        clock = self.account.clock
        assert isinstance(clock, Stopwatch)
        clock.moment = now
        page = self.account.listing(JobKind.IMAGE).page(look.cursor, PAGE)
        return [_seen(life, now) for life in page.lives if not life.plan.foreign], page.next_cursor


def _seen(life: Life, now: float) -> Seen:
    """Progress, estimates and ETA as a caller would put them together; whole seconds as the service gives them."""
    if now >= life.ends_at:
        return Seen(life, ended=True, remaining=None)
    remaining = None
    if life.ref.kind is JobKind.IMAGE:
        eta = life.eta(now, EPOCH + now)
        remaining = None if eta is None else int(eta) - (EPOCH + now)
    elif life.ref.kind is JobKind.VIDEO and life.state(now) is not JobState.QUEUED:
        remaining = sum(life.estimates()) / 2.0 * (1.0 - life.percent(now) / 100.0)
    return Seen(life, ended=False, remaining=remaining)


def play(trace: Trace, seed: int, policy: Policy, services: Services, name: str) -> Run:
    """Run a policy until it has detected the end of every job that has one."""
    bucket = TokenBucket(trace.rate, max(trace.rate, 1.0))
    submits = sorted(services.watched, key=lambda life: life.submitted_at)
    waiting = {life.ref for life in submits if life.ends_at < math.inf}
    flights: list[tuple[float, int, Look, list[Seen], str | None]] = []
    order = itertools.count()
    lags: list[float] = []
    now, submitted, requests, pages = 0.0, 0, 0, 0
    while True:
        while submitted < len(submits) and submits[submitted].submitted_at <= now:
            policy.add(submits[submitted], now)
            submitted += 1
        while flights and flights[0][0] <= now:
            _, _, look, seen, cursor = heapq.heappop(flights)
            policy.saw(look, seen, cursor, now)
            lags += _detect(seen, waiting, now)
        if not waiting:
            break
        while bucket.ready_at <= now and (next_look := policy.pick(now)) is not None:
            bucket.take(now)
            requests += 1
            pages += next_look.is_page
            heapq.heappush(flights, (now + RTT, next(order), next_look, *services.answer(next_look, now + RTT / 2)))
        now = max(now, _next_event(policy.next_at(now), bucket.ready_at, flights, submits, submitted))
    return Run(trace.name, name, trace.rate, seed, tuple(sorted(lags)), requests, pages, len(submits))


def _detect(seen: Sequence[Seen], waiting: set[JobRef], now: float) -> list[float]:
    ended = [one.life for one in seen if one.ended and one.life.ref in waiting]
    waiting.difference_update(life.ref for life in ended)
    return [now - life.ends_at for life in ended]


def _next_event(
    wanted_at: float,
    ready_at: float,
    flights: Sequence[tuple[float, int, Look, list[Seen], str | None]],
    submits: Sequence[Life],
    submitted: int,
) -> float:
    at = max(wanted_at, ready_at)
    if flights:
        at = min(at, flights[0][0])
    if submitted < len(submits):
        at = min(at, submits[submitted].submitted_at)
    if at == math.inf:
        raise RuntimeError("the policy has given up on jobs that will end")
    return at
