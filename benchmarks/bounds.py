"""Bounds for :mod:`model`: policies that know what nobody could know."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import attrs
from model import RTT, Observation, Poll, Services

from topaz_status import JobKind, JobRef
from topaz_status.core.wire.list_page import PAGE_SIZES
from topaz_status.testing.simulator.job_life import Life
from topaz_status.testing.simulator.list_pages import canonical_id


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
            order = "oldest" if account.order == "newest" else account.order
            listed.sort(key=lambda life: canonical_id(life, order))
            self._page_of = {life.ref: place // PAGE_SIZES[JobKind.IMAGE] for place, life in enumerate(listed)}

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

    def refused(self, poll: Poll, now: float) -> None:
        """See :class:`Policy`: the bounds know the limit."""
        raise AssertionError(f"a clairvoyant policy exceeded a limit that it knows: {poll} at {now}")
