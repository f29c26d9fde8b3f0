"""A light discrete-event model of one client and its services, for rival policies that need no HTTP.

The services are the simulator's own: the same jobs, drawn from the same seed, on the same lists. The model leaves out
aiohttp, JSON and asyncio. A request takes ``RTT`` seconds; its answer shows the job's state in the middle of them.
One token bucket holds the tokens of one second.
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
from topaz_status.testing.simulator.job_life import Life
from topaz_status.testing.simulator.simulated_clock import SimulatedClock

RTT: Final = 0.1
EPOCH: Final = 1_800_000_000.37
"""Unix time at which a trace begins. It is not a whole second, because the services report whole seconds."""
PAGE: Final = 100


@attrs.frozen
class Run:
    """The result of one policy on one trace."""

    trace: str
    policy: str
    rate: float
    seed: int
    lags: tuple[float, ...]
    """Seconds from each job's true end to its detection, in rising order. A job may end before its first poll."""
    requests: int
    pages: int
    """Requests that read a page of a list; they are counted in ``requests`` too."""
    jobs: int
    """Jobs watched, stuck ones included."""
    refused: int = 0
    """Requests answered 429: above zero, the policy exceeded the budget."""

    @property
    def mean(self) -> float:
        """The mean lag."""
        return sum(self.lags) / len(self.lags)

    @property
    def per_job(self) -> float:
        """Requests for each job watched."""
        return self.requests / self.jobs

    def quantile(self, share: float) -> float:
        """Return the lag below which this share of the jobs stays."""
        return self.lags[min(int(share * len(self.lags)), len(self.lags) - 1)]


@attrs.frozen
class Poll:
    """One request: for a job, for the page after a cursor, or for a page known to contain certain jobs."""

    jobs: tuple[Life, ...] = ()
    cursor: str | None = None

    @property
    def is_page(self) -> bool:
        """Whether the request reads a list."""
        return len(self.jobs) != 1


@attrs.frozen
class Observation:
    """What an answer says of one job."""

    life: Life
    ended: bool
    remaining: float | None
    """Seconds until the end, as the service estimates it; negative for a time in the past."""


class Policy(Protocol):
    """Decides on which poll to spend a token."""

    def add(self, life: Life, now: float) -> None:
        """Begin to wait for a job that was just submitted."""

    def next_at(self, now: float) -> float:
        """Return when the next poll is due; infinite for never."""

    def pick(self, now: float) -> Poll | None:
        """Return the poll for a token that is available now, or ``None``."""

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:
        """Process an answer that has arrived."""


@attrs.define
class Stopwatch(SimulatedClock):
    """The services' clock, which the model sets."""

    moment: float = 0.0

    def now(self) -> float:
        """Return the seconds since the trace began."""
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

    def answer(self, poll: Poll, now: float) -> tuple[list[Observation], str | None]:
        """Return the service's answer at ``now``, and the cursor of the next page."""
        if poll.jobs:
            return [_observe(life, now) for life in poll.jobs], None
        clock = self.account.clock
        assert isinstance(clock, Stopwatch)
        clock.moment = now
        page = self.account.listing(JobKind.IMAGE).page(poll.cursor, PAGE)
        return [_observe(life, now) for life in page.lives if not life.plan.foreign], page.next_cursor


def _observe(life: Life, now: float) -> Observation:
    """Combine progress, estimates and ETA as a caller would; times are whole seconds, as the service gives them."""
    if now >= life.ends_at:
        return Observation(life, ended=True, remaining=None)
    remaining = None
    if life.ref.kind is JobKind.IMAGE:
        eta = life.eta(now, EPOCH + now)
        remaining = None if eta is None else int(eta) - (EPOCH + now)
    elif life.ref.kind is JobKind.VIDEO and life.state(now) is not JobState.QUEUED:
        remaining = sum(life.estimates()) / 2.0 * (1.0 - life.percent(now) / 100.0)
    return Observation(life, ended=False, remaining=remaining)


def play(trace: Trace, seed: int, policy: Policy, services: Services, name: str) -> Run:
    """Run a policy until it has detected the end of every job that has one."""
    bucket = TokenBucket(trace.rate, max(trace.rate, 1.0))
    submits = sorted(services.watched, key=lambda life: life.submitted_at)
    waiting = {life.ref for life in submits if life.ends_at < math.inf}
    flights: list[tuple[float, int, Poll, list[Observation], str | None]] = []
    order = itertools.count()
    lags: list[float] = []
    now, submitted, requests, pages = 0.0, 0, 0, 0
    while True:
        while submitted < len(submits) and submits[submitted].submitted_at <= now:
            policy.add(submits[submitted], now)
            submitted += 1
        while flights and flights[0][0] <= now:
            _, _, poll, seen, cursor = heapq.heappop(flights)
            policy.saw(poll, seen, cursor, now)
            lags += _detect(seen, waiting, now)
        if not waiting:
            break
        while bucket.ready_at <= now and (next_poll := policy.pick(now)) is not None:
            bucket.take(now)
            requests += 1
            pages += next_poll.is_page
            heapq.heappush(flights, (now + RTT, next(order), next_poll, *services.answer(next_poll, now + RTT / 2)))
        now = max(now, _next_event(policy.next_at(now), bucket.ready_at, flights, submits, submitted))
    return Run(trace.name, name, trace.rate, seed, tuple(sorted(lags)), requests, pages, len(submits))


def _detect(seen: Sequence[Observation], waiting: set[JobRef], now: float) -> list[float]:
    ended = [one.life for one in seen if one.ended and one.life.ref in waiting]
    waiting.difference_update(life.ref for life in ended)
    return [now - life.ends_at for life in ended]


def _next_event(
    wanted_at: float,
    ready_at: float,
    flights: Sequence[tuple[float, int, Poll, list[Observation], str | None]],
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
