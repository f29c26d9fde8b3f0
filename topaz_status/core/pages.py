"""Pages of a list: one request that answers for a hundred jobs, as an entry that competes with looks at one.

A page is worth what looks at its watched, pending members are worth together, less what it costs beyond a look at one,
so whether to list or to get needs no rule: two jobs are asked for singly, two thousand by pages. Two groups of jobs
belong to a page. The *placed* were on it when it was last read. The *drifting* should be: new jobs are presumed on the
first page, and what is missing from a page has slid down to the one after it. Drifting jobs count by the chance,
learned, that such jobs are met; they keep their own place in the agenda beside, so that a job that no list ever shows
is simply looked at by itself. So do the placed jobs of a page with hardly anybody on it.

No order of a list is documented, nor a snapshot, nor that a cursor lasts. Nothing here relies on any: a page is a place
in the walk, its cursor is whatever its predecessor named last, and being absent from a list says nothing about a job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import chain, islice
from operator import attrgetter
from typing import Final

from ..models.state import JobKind
from .entry import FLYING, PARKED, Entry, PageLook
from .tracked import Tracked

GETS: Final = 3.5
"""A page is about as much work as so many looks at one job: a query of a list, and dozens of statuses on the wire. It
spares as many as it has pending jobs; what is left of its cost, times the price, is taken off its worth."""
CHANCE: Final = 0.8
"""At first, the chance that a drifting job is met."""
FULL: Final = 0.9
"""The share of placed jobs from which a page has no room for drifting ones."""
LIKELY: Final = 0.5
"""With this chance to meet a job on a page, the page will do in its place."""
SLIM: Final = 0.5
"""A page expected to show fewer drifting jobs than this is not worth walking to."""
SHORTEST: Final = 0.05
NOTHING: Final = 1e-9
STRIDE: Final = 3.0
"""How much longer each gap is at which the worth of a page is worked out."""
CLOSE: Final = 1.25
"""How much longer than before the gap may be for the worth to be told from one."""
NEARLY: Final = 2.0
"""What is worth so many times the price is about worth it."""
STRIDES: Final = 12
MOST_OCTAVES: Final = 64.0
_STRIDES_LOG: Final = 1.0 / math.log(STRIDE)
_SEEN_AT: Final = attrgetter("seen_at")
_LAST_AT: Final = attrgetter("last_at")
_BORN_AT: Final = attrgetter("born_at")


class Group:
    """Jobs of one page, in the order in which they came."""

    __slots__ = ("chance", "members", "page", "placed", "walked")

    def __init__(self, page: Page, *, placed: bool, chance: float = 1.0) -> None:
        self.page = page
        self.placed = placed
        self.chance = chance
        self.members: dict[Tracked, None] = {}
        self.walked: set[str | None] = set()
        """The cursors at which these jobs were looked for in vain: a walk meets none twice."""

    def add(self, job: Tracked) -> None:
        """Take a job out of its group into this one."""
        if job.group is not self:
            if job.group is not None:
                del job.group.members[job]
            job.group = self
            self.members[job] = None

    @property
    def is_crowded(self) -> bool:
        """True for jobs expected on a page that is likely to show them, and so many that its poll costs less."""
        return not self.placed and self.chance >= LIKELY and len(self.members) > self.page.gets

    def discard(self, job: Tracked) -> None:
        """Let a job go."""
        del self.members[job]
        job.group = None


class Page(Entry):
    """One place in the walk through a list."""

    __slots__ = (
        "_kind",
        "asked",
        "cursor",
        "drifting",
        "failures",
        "far_gap",
        "far_worth",
        "follower",
        "gets",
        "keeps",
        "last_at",
        "near_gap",
        "near_worth",
        "not_before",
        "place",
        "placed",
        "planned_for",
        "power",
        "price",
        "read",
        "seen_at",
        "settled",
        "size",
        "weight",
    )

    def __init__(
        self, kind: JobKind, cursor: str | None, size: int, now: float, *, price: float, gets: float, weight: float
    ) -> None:
        self.due_at = now
        self.remind_at = now
        self.rung = PARKED
        self.urgent = False
        self._kind = kind
        self.cursor = cursor
        self.size = size
        self.price = price
        self.gets = gets
        self.weight = weight
        self.seen_at = now
        self.not_before = now
        self.last_at = math.inf
        """When the longest gap of one of its members ends."""
        self.failures = 0
        self.near_gap = self.far_gap = self.near_worth = self.far_worth = self.power = 0.0
        self.place = 0.0
        """The gap after which a look was worth about its price, the last time that it was worked out; 0 for unknown."""
        self.planned_for = 0
        self.settled = False
        """True once it was read at its present cursor."""
        self.read = False
        """True once it was on the wire."""
        self.follower: Page | None = None
        self.keeps = 1.0
        """The share of the placed jobs that such a look meets again."""
        self.placed = Group(self, placed=True)
        self.drifting = Group(self, placed=False, chance=CHANCE)
        self.asked = self.drifting
        """The drifting jobs that the look on the wire may meet: those that came while it flew are not among them."""

    def __bool__(self) -> bool:
        return bool(self.placed.members or self.drifting.members or self.asked.members)

    def __len__(self) -> int:
        return len(self.placed.members) + len(self.drifting.members)

    @property
    def kind(self) -> JobKind:
        """See :attr:`Entry.kind`."""
        return self._kind

    def send(self) -> PageLook:
        """See :meth:`Entry.send`."""
        self.asked = self.drifting
        self.drifting = Group(self, placed=False, chance=self.asked.chance)
        return PageLook(self.kind, self.cursor, self.size)

    @property
    def full(self) -> bool:
        """True when it has hardly room for others than those that were on it."""
        return self.room <= (1.0 - FULL) * self.size

    @property
    def room(self) -> int:
        """How many jobs it may show besides those that were on it; all, while it was not read at this cursor."""
        return max(self.size - len(self.placed.members), 0) if self.settled else self.size

    @property
    def extra(self) -> float:
        """What it costs beyond the looks that it spares, in seconds of waiting; 0 unless hardly anybody is on it."""
        return max(self.gets - len(self), 0.0) * self.price

    def members(self) -> Iterable[Tracked]:
        """Give all its jobs."""
        return chain(self.placed.members, self.drifting.members)

    def expected_drifting(self) -> Iterable[Tracked]:
        """Give the drifting jobs it should show: none, unless they are worth walking to.

        Of these no more than a page holds, first those who came first: thousands of new jobs drift at once, and each
        has a place of its own in the agenda beside.
        """
        drifting = self.drifting
        if drifting.chance * min(len(drifting.members), self.room) < SLIM:
            return ()
        return islice(drifting.members, self.size)

    def first_late_at(self, now: float, longest_gap: Callable[[float], float]) -> float:
        """Give the time at which, at the earliest, the longest gap of a job that it should show ends.

        The last poll before a watch times out ends it, too. The placed were all seen when the page was read, but for
        the few that were polled since: the gap of the youngest is the first to end.
        """
        at = math.inf
        if placed := self.placed.members:
            at = min(map(_SEEN_AT, placed)) + longest_gap(now - max(map(_BORN_AT, placed)))
            at = min(at, *map(_LAST_AT, placed))
        for job in self.expected_drifting():
            at = min(at, job.seen_at + longest_gap(now - job.born_at), job.last_at)
        return at

    def earliest(self, min_interval: float) -> float:
        """Give the time before which it is not to be polled."""
        return max(self.seen_at + min_interval, self.not_before) if self.read else self.not_before

    def changed(self) -> None:
        """Forget what was worked out: there are other members, or they were seen.

        Where a look was worth its price is remembered as long as the gaps of all members begin with the page's own:
        as theirs grows, so does the worth, smoothly.
        """
        self.far_gap = 0.0
        if self.drifting.members or self.extra:
            self.place = 0.0
        self.planned_for = len(self)

    def differs(self) -> bool:
        """Tell whether the members are so many more or fewer that the page should be planned anew."""
        return not 0.75 * self.planned_for <= len(self) <= 1.1 * self.planned_for

    def worth_at(self, now: float) -> float:
        """See :meth:`Entry.worth_at`: read off between two gaps at which it was worked out."""
        gap = max(now - self.seen_at, SHORTEST)
        self._work_out(gap)
        return self.near_worth * math.pow(gap / self.near_gap, self.power)

    def reaches_at(self, worth: float, now: float) -> float:
        """See :meth:`Entry.reaches_at`; the worth is no less than the price."""
        gap = max(now - self.seen_at, SHORTEST)
        if self.worth_at(now) < worth:
            for _ in range(STRIDES):
                if self.far_worth >= worth:
                    break
                self._stride_out()
            reached = min(self._gap_of(worth), self.far_gap)
            if worth <= self.price * NEARLY:
                self.place = reached
            gap = max(gap, reached)
        return self.seen_at + gap

    def gap_worth(self, worth: float, most: float) -> float:
        """Give about the gap after which a look is worth that much, ``most`` at most, by what is worked out so far."""
        return min(self._gap_of(worth) if worth > 0.0 and self.near_worth > 0.0 else self.near_gap, most)

    def _gap_of(self, worth: float) -> float:
        octaves = math.log2(worth / self.near_worth) / self.power
        return self.near_gap * math.pow(2.0, min(octaves, MOST_OCTAVES))

    # -- working it out -----------------------------------------------------------------------------------------------
    # The worth is summed up at two gaps only, one stride apart; between them it goes as a power of the gap, about the
    # square. After a reading it is summed up where it was worth the price the last time: as a rule it is so again, give
    # or take a little, and as far as that the power is as it was. A gap that is shorter goes by the same power unless a
    # look is worth much more than the price already.

    def _work_out(self, gap: float) -> None:
        """See that the two gaps are right for ``gap``."""
        if not self.far_gap:
            if gap <= self.place * CLOSE:
                self._return()
            else:
                self._begin(gap)
        while gap > self.far_gap:
            if gap <= self.far_gap * STRIDE:
                self._stride_out()
            else:
                self._begin(gap)
        while gap < self.near_gap and self.near_worth > self.price * NEARLY:
            self._stride_in()

    def _return(self) -> None:
        self.near_gap, self.near_worth = self.place, self._worth_after(self.place)
        self.far_gap, self.far_worth = self.near_gap * CLOSE, self.near_worth * math.pow(CLOSE, self.power)

    def _begin(self, gap: float) -> None:
        self.near_gap, self.near_worth = gap, self._worth_after(gap)
        self._look_far()

    def _stride_out(self) -> None:
        if self.far_gap == self.near_gap * STRIDE:
            self.near_gap, self.near_worth = self.far_gap, self.far_worth
        self._look_far()

    def _look_far(self) -> None:
        self.far_gap = self.near_gap * STRIDE
        self._between(self._worth_after(self.far_gap))

    def _stride_in(self) -> None:
        far_worth = self.near_worth
        self.near_gap /= STRIDE
        self.far_gap = self.near_gap * STRIDE
        self.near_worth = self._worth_after(self.near_gap)
        self._between(far_worth)

    def _between(self, far_worth: float) -> None:
        """Draw the power through the worth at both gaps."""
        self.far_worth = max(far_worth, self.near_worth * 1.01)
        self.power = math.log(self.far_worth / self.near_worth) * _STRIDES_LOG

    def _worth_after(self, gap: float) -> float:
        """Sum the looks at the members, as far as they are likely to be met."""
        now = self.seen_at + gap
        placed = self.placed.members
        value = self.keeps * _news_worth(islice(placed, self.size), now)
        drifting = self.drifting.members
        room = self.room
        if drifting and room > 0:
            value += self.drifting.chance * _news_worth(islice(reversed(drifting), room), now)
        return max(value * self.weight - self.extra, NOTHING)


def _news_worth(jobs: Iterable[Tracked], now: float) -> float:
    """Sum what news of jobs is worth, but for those that are polled just now, or were seen after ``now``."""
    return sum(job.news_worth_at(now) for job in jobs if job.seen_at < now and job.rung != FLYING)


def page_of(tracked: Tracked) -> Page | None:
    """Give the page that answers for a job in its place."""
    return tracked.group.page if tracked.rung == PARKED and tracked.group is not None else None
