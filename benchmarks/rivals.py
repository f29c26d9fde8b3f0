"""Policies for :mod:`model`: the loops that people write by hand, and clairvoyant bounds that nobody could write."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from model import PAGE, RTT, Observation, Poll, Services

from topaz_status import JobKind, JobRef
from topaz_status.testing.simulator.job_life import Life

INTERVAL: Final = 5.0
"""Seconds: the fixed interval of the vendors' examples and of most loops."""


@attrs.define
class Loop:
    """A loop for each job: poll, sleep, poll again. The loop that has waited longest for a token gets it.

    ``gap`` gives the seconds to sleep, from the observation and the number of polls so far.
    """

    gap: Callable[[Observation, int], float]
    _due: list[tuple[float, int, Life]] = attrs.field(factory=list)
    _order: itertools.count[int] = attrs.field(factory=itertools.count)
    _polls: Counter[JobRef] = attrs.field(factory=Counter)

    def add(self, life: Life, now: float) -> None:
        """See :class:`Policy`: the first poll is due at once."""
        heapq.heappush(self._due, (now, next(self._order), life))

    @property
    def first_at(self) -> float:
        """When the first loop wants or wanted a token; infinite without loops."""
        return self._due[0][0] if self._due else math.inf

    def next_at(self, now: float) -> float:
        """See :class:`Policy`."""
        return max(self.first_at, now)

    def pick(self, now: float) -> Poll | None:
        """See :class:`Policy`."""
        if not self._due or self._due[0][0] > now:
            return None
        return Poll((heapq.heappop(self._due)[2],))

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:  # noqa: ARG002
        """See :class:`Policy`."""
        for one in seen:
            if not one.ended:
                self._polls[one.life.ref] += 1
                gap = self.gap(one, self._polls[one.life.ref])
                heapq.heappush(self._due, (now + gap, next(self._order), one.life))


def fixed(_seen: Observation, _polls: int) -> float:
    """Sleep for 5 s."""
    return INTERVAL


def backoff(_seen: Observation, polls: int) -> float:
    """Sleep 1.5 times as long after each poll, for 30 s at most."""
    return min(1.5 ** min(polls, 20), 30.0)


def until_eta(seen: Observation, _polls: int) -> float:
    """Sleep until the end that the service estimates, at least a second; for 5 s without an estimate."""
    return INTERVAL if seen.remaining is None else max(seen.remaining, 1.0)


@attrs.define
class SweepAll:
    """Reads the list's pages one after the other every 5 s, until each job was found; polls unlisted jobs in loops.

    When both want tokens, sweep and loops take turns.
    """

    _loop: Loop = attrs.field(factory=lambda: Loop(fixed))
    _listed: dict[JobRef, tuple[Life, float]] = attrs.field(factory=dict)
    """Images expected on some page, and since when."""
    _missing: set[JobRef] = attrs.field(factory=set)
    """The expected images that the current sweep has not found yet."""
    _began_at: float = -math.inf
    _next_at: float = 0.0
    _cursor: str | None = None
    _in_flight: bool = False
    _swept_last: bool = False

    def add(self, life: Life, now: float) -> None:
        """See :class:`Policy`."""
        if life.ref.kind is JobKind.IMAGE:
            self._listed[life.ref] = life, now
        else:
            self._loop.add(life, now)

    def next_at(self, now: float) -> float:
        """See :class:`Policy`."""
        swept_at = max(self._next_at, now) if self._listed and not self._in_flight else math.inf
        return min(swept_at, self._loop.next_at(now))

    def pick(self, now: float) -> Poll | None:
        """See :class:`Policy`."""
        wanted = self._listed and not self._in_flight and now >= self._next_at
        if not wanted or (self._swept_last and self._loop.first_at <= now):
            self._swept_last = False
            return self._loop.pick(now)
        self._swept_last = True
        if self._cursor is None:
            self._began_at, self._missing = now, set(self._listed)
        self._in_flight = True
        return Poll(cursor=self._cursor)

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:
        """See :class:`Policy`."""
        if poll.jobs:
            self._loop.saw(poll, seen, cursor, now)
            return
        self._in_flight = False
        for one in seen:
            self._missing.discard(one.life.ref)
            if one.ended:
                self._listed.pop(one.life.ref, None)
        self._cursor = cursor if self._missing else None
        if self._cursor is None:
            self._next_at = max(self._began_at + INTERVAL, now)
            for ref in self._missing & self._listed.keys():
                self._loop.add(self._listed.pop(ref)[0], now)


@attrs.define
class Clairvoyant:
    """Knows when each job ends, and polls it just in time for the answer to report the end.

    With ``pages`` it also knows the page of each image and has every cursor: it reads the page with most undetected
    ends. While no job has ended, it sends nothing.

    Single polls in order of the ends have the least possible mean lag. Reading the page with most ends first is greedy:
    its mean is hard to beat, but it proves no bound, and its slowest jobs are late on purpose.
    """

    services: Services
    pages: bool
    _ends: list[tuple[float, int, Life]] = attrs.field(factory=list)
    _order: itertools.count[int] = attrs.field(factory=itertools.count)
    _page_of: dict[JobRef, int] = attrs.field(factory=dict)
    _ended: dict[JobRef, Life] = attrs.field(factory=dict)
    _on_page: defaultdict[int, dict[JobRef, Life]] = attrs.field(factory=lambda: defaultdict(dict))

    def __attrs_post_init__(self) -> None:
        if self.pages:
            account = self.services.account
            listed = [life for life in account.lives[JobKind.IMAGE].values() if life.plan.listed]
            by_id = account.order == "uuid"
            listed.sort(key=lambda life: life.ref.id if by_id else (life.submitted_at, life.ref.id))
            self._page_of = {life.ref: place // PAGE for place, life in enumerate(listed)}

    def add(self, life: Life, now: float) -> None:
        """See :class:`Policy`."""
        if life.ends_at < math.inf:
            heapq.heappush(self._ends, (max(life.ends_at - RTT / 2, now), next(self._order), life))

    def next_at(self, now: float) -> float:
        """See :class:`Policy`."""
        if self._ended:
            return now
        return max(self._ends[0][0], now) if self._ends else math.inf

    def pick(self, now: float) -> Poll | None:
        """See :class:`Policy`."""
        while self._ends and self._ends[0][0] <= now:
            life = heapq.heappop(self._ends)[2]
            self._ended[life.ref] = life
            if life.ref in self._page_of:
                self._on_page[self._page_of[life.ref]][life.ref] = life
        if not self._ended:
            return None
        page = max(self._on_page.values(), key=len, default={})
        jobs = tuple(page.values()) if len(page) > 1 else (next(iter(self._ended.values())),)
        for life in jobs:
            del self._ended[life.ref]
            if life.ref in self._page_of:
                del self._on_page[self._page_of[life.ref]][life.ref]
        return Poll(jobs)

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:
        """See :class:`Policy`: the answer adds nothing that was not known."""


RIVALS: Final[Mapping[str, Callable[[Services], Loop | SweepAll | Clairvoyant]]] = {
    "fixed": lambda _: Loop(fixed),
    "backoff": lambda _: Loop(backoff),
    "eta": lambda _: Loop(until_eta),
    "sweep": lambda _: SweepAll(),
    "bound-single": lambda services: Clairvoyant(services, pages=False),
    "bound-pages": lambda services: Clairvoyant(services, pages=True),
}
