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
from typing import Final, Protocol, TypeAlias

import attrs
from traces import Trace

from topaz_status import JobKind, JobRef, JobState
from topaz_status.core.budget.token_bucket import TokenBucket
from topaz_status.core.wire.list_page import PAGE_SIZES
from topaz_status.testing.simulator.account import SimulatedAccount
from topaz_status.testing.simulator.job_life import Life
from topaz_status.testing.simulator.rate_limit import Bucket
from topaz_status.testing.simulator.simulated_clock import SimulatedClock

RTT: Final = 0.1
EPOCH: Final = 1_800_000_000.37
"""Unix time at which a trace begins. It is not a whole second, because the services report whole seconds."""
MOST: Final = 0.8
"""The use of an unknown limit is measured until this share of the jobs have ended: until then polls are due always."""


@attrs.frozen
class Run:
    """The result of one policy on one trace."""

    trace: str
    policy: str
    rate: float
    seed: int
    lags: tuple[float, ...]
    """Seconds from each job's true end to its detection, in rising order. A job may end before its first poll.

    The lag of a job that has ended before it is watched begins with its watch."""
    requests: int
    pages: int
    """Requests that read a page of a list; they are counted in ``requests`` too."""
    jobs: int
    """Jobs watched, stuck ones included."""
    refused: int = 0
    """Requests answered 429. Where the client knows the limit, one of them means that it exceeded the budget."""
    used: float | None = None
    """The share of the service's limit that was used; ``None`` where the client knows the limit."""
    computed: float | None = None
    """The mean lag of a bound that is computed, not played: it has no lags."""

    @property
    def mean(self) -> float:
        """The mean lag."""
        if self.computed is not None:
            return self.computed
        return sum(self.lags) / len(self.lags)

    @property
    def per_job(self) -> float:
        """Requests for each job watched."""
        return self.requests / self.jobs

    def quantile(self, share: float) -> float:
        """Return the lag below which this share of the jobs stays; not a number where the mean is computed."""
        if not self.lags:
            return math.nan
        return self.lags[min(int(share * len(self.lags)), len(self.lags) - 1)]


@attrs.frozen
class Poll:
    """One request: for a job, for the page after a cursor, or for a page known to contain certain jobs."""

    jobs: tuple[Life, ...] = ()
    cursor: str | None = None
    kind: JobKind = JobKind.IMAGE
    """The kind of job whose list is read after ``cursor``."""

    @property
    def is_page(self) -> bool:
        """Whether the request reads a list."""
        return len(self.jobs) != 1

    @property
    def settles(self) -> bool:
        """Whether the answer has all that a caller needs of an ended job: the video history has no result URL."""
        return bool(self.jobs) or self.kind is not JobKind.VIDEO


@attrs.frozen
class Observation:
    """What an answer says of one job."""

    life: Life
    ended: bool
    remaining: float | None
    """Seconds until the end, as the service estimates it; negative for a time in the past."""


_Answer: TypeAlias = tuple[list[Observation], str | None]
"""What an answer says of jobs, and the cursor of the next page."""
_Flight: TypeAlias = tuple[float, int, Poll, _Answer | None]
"""When the answer arrives, a tie-breaker, the request and its answer; ``None`` for a 429."""


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

    def refused(self, poll: Poll, now: float) -> None:
        """Process a 429 that has arrived."""


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
        account = SimulatedAccount(Stopwatch(), seed, trace.order, trace.history_order)
        refs = account.add(trace.population)
        return cls(trace, account, [account.lives[ref.kind][ref.id] for ref in refs])

    def answer(self, poll: Poll, now: float) -> _Answer:
        """Return the service's answer at ``now``, and the cursor of the next page."""
        if poll.jobs:
            return [_observe(life, now) for life in poll.jobs], None
        clock = self.account.clock
        assert isinstance(clock, Stopwatch)
        clock.moment = now
        page = self.account.listing(poll.kind).page(poll.cursor, PAGE_SIZES[poll.kind])
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


def limit_used(limit: float, accepted: Sequence[float], ends: Sequence[float]) -> float:
    """Return the share of the requests that a service would have accepted, from time 0 until most jobs have ended."""
    until = sorted(ends)[int(MOST * len(ends))]
    return sum(at <= until for at in accepted) / (limit * until + max(limit, 1.0))


def play(trace: Trace, seed: int, policy: Policy, services: Services, name: str) -> Run:
    """Run a policy until it has detected the end of every job that has one."""
    bucket = TokenBucket(trace.rate, max(trace.rate, 1.0))
    limit = Bucket(trace.limit or trace.rate, max(trace.limit or trace.rate, 1.0))
    submits = sorted(services.watched, key=lambda life: life.submitted_at)
    waiting = {life.ref: max(life.ends_at, 0.0) for life in submits if life.ends_at < math.inf}
    flights: list[_Flight] = []
    order = itertools.count()
    lags: list[float] = []
    now, submitted, pages = 0.0, 0, 0
    accepted: list[float] = []
    refused = 0
    while True:
        while submitted < len(submits) and submits[submitted].submitted_at <= now:
            policy.add(submits[submitted], now)
            submitted += 1
        while flights and flights[0][0] <= now:
            _, _, poll, answer = heapq.heappop(flights)
            if answer is None:
                policy.refused(poll, now)
                continue
            policy.saw(poll, *answer, now)
            if poll.settles:
                lags += _detect(answer[0], waiting, now)
        if not waiting:
            break
        while bucket.ready_at <= now and (next_poll := policy.pick(now)) is not None:
            bucket.take(now)
            pages += next_poll.is_page
            answer = None
            if trace.limit is None or limit.has_token(now):
                limit.take()
                accepted.append(now)
                answer = services.answer(next_poll, now + RTT / 2)
            refused += answer is None
            heapq.heappush(flights, (now + RTT, next(order), next_poll, answer))
        now = max(now, _next_event(policy.next_at(now), bucket.ready_at, flights, submits, submitted))
    used = trace.limit and limit_used(trace.limit, accepted, [life.ends_at for life in submits])
    requests = len(accepted) + refused
    return Run(trace.name, name, trace.rate, seed, tuple(sorted(lags)), requests, pages, len(submits), refused, used)


def _detect(seen: Sequence[Observation], waiting: dict[JobRef, float], now: float) -> list[float]:
    """Return the lags of the jobs that have just been seen to have ended, and wait for them no longer."""
    return [now - waiting.pop(one.life.ref) for one in seen if one.ended and one.life.ref in waiting]


def _next_event(
    wanted_at: float,
    ready_at: float,
    flights: Sequence[_Flight],
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
