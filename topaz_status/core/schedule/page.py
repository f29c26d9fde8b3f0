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

from ...models.job import JobKind
from .entry import COVERED, IN_FLIGHT, Entry, PagePoll
from .power_law import CLOSE, STRIDE, UNKNOWN, PowerLaw
from .tracked_job import TrackedJob

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
SHORTEST_PAGE_GAP: Final = 0.05
LEAST_WORTH: Final = 1e-9
NEARLY: Final = 2.0
"""What is worth so many times the price is about worth it."""
STRIDES: Final = 12
"""Strides until a gap counts as far enough for any worth."""
_SEEN_AT: Final = attrgetter("seen_at")
_LAST_AT: Final = attrgetter("last_at")
_BORN_AT: Final = attrgetter("born_at")


class PageMembers:
    """Jobs of one page, in the order in which they came."""

    __slots__ = ("chance", "known", "members", "page", "walked")

    def __init__(self, page: PageEntry, *, known: bool, chance: float = 1.0) -> None:
        self.page = page
        self.known = known
        self.chance = chance
        self.members: dict[TrackedJob, None] = {}
        self.walked: set[str | None] = set()
        """The cursors at which these jobs were looked for in vain: a walk meets none twice."""

    def add(self, job: TrackedJob) -> None:
        """Take a job out of its group into this one."""
        if job.group is not self:
            if job.group is not None:
                del job.group.members[job]
            job.group = self
            self.members[job] = None

    @property
    def is_crowded(self) -> bool:
        """True for jobs expected on a page that is likely to show them, and so many that its poll costs less."""
        return not self.known and self.chance >= LIKELY and len(self.members) > self.page.gets

    def discard(self, job: TrackedJob) -> None:
        """Let a job go."""
        del self.members[job]
        job.group = None


class PageEntry(Entry):
    """One place in the walk through a list."""

    __slots__ = (
        "_kind",
        "asked",
        "cursor",
        "expected",
        "failures",
        "gets",
        "is_stale",
        "keeps",
        "known",
        "last_at",
        "law",
        "next_page",
        "not_before",
        "place",
        "planned_for",
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
        self.level = COVERED
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
        self.law = UNKNOWN
        """How the worth of a look grows with the gap since the page was seen."""
        self.is_stale = True
        """True while the law is that of other members, or from before they were seen."""
        self.place = 0.0
        """The gap after which a look was worth about its price, the last time that it was worked out; 0 for unknown."""
        self.planned_for = 0
        self.settled = False
        """True once it was read at its present cursor."""
        self.read = False
        """True once it was on the wire."""
        self.next_page: PageEntry | None = None
        self.keeps = 1.0
        """The share of the placed jobs that such a look meets again."""
        self.known = PageMembers(self, known=True)
        self.expected = PageMembers(self, known=False, chance=CHANCE)
        self.asked = self.expected
        """The drifting jobs that the look on the wire may meet: those that came while it flew are not among them."""

    def __bool__(self) -> bool:
        return bool(self.known.members or self.expected.members or self.asked.members)

    def __len__(self) -> int:
        return len(self.known.members) + len(self.expected.members)

    @property
    def kind(self) -> JobKind:
        """See :attr:`Entry.kind`."""
        return self._kind

    def send(self) -> PagePoll:
        """See :meth:`Entry.send`."""
        self.asked = self.expected
        self.expected = PageMembers(self, known=False, chance=self.asked.chance)
        return PagePoll(self.kind, self.cursor, self.size)

    @property
    def full(self) -> bool:
        """True when it has hardly room for others than those that were on it."""
        return self.room <= (1.0 - FULL) * self.size

    @property
    def room(self) -> int:
        """How many jobs it may show besides those that were on it; all, while it was not read at this cursor."""
        return max(self.size - len(self.known.members), 0) if self.settled else self.size

    @property
    def extra(self) -> float:
        """What it costs beyond the looks that it spares, in seconds of waiting; 0 unless hardly anybody is on it."""
        return max(self.gets - len(self), 0.0) * self.price

    def members(self) -> Iterable[TrackedJob]:
        """Give all its jobs."""
        return chain(self.known.members, self.expected.members)

    def expected_members(self) -> Iterable[TrackedJob]:
        """Give the drifting jobs it should show: none, unless they are worth walking to.

        Of these no more than a page holds, first those who came first: thousands of new jobs drift at once, and each
        has a place of its own in the agenda beside.
        """
        expected = self.expected
        if expected.chance * min(len(expected.members), self.room) < SLIM:
            return ()
        return islice(expected.members, self.size)

    def first_late_at(self, now: float, longest_gap: Callable[[float], float]) -> float:
        """Give the time at which, at the earliest, the longest gap of a job that it should show ends.

        The last poll before a watch times out ends it, too. The placed were all seen when the page was read, but for
        the few that were polled since: the gap of the youngest is the first to end.
        """
        at = math.inf
        if known := self.known.members:
            at = min(map(_SEEN_AT, known)) + longest_gap(now - max(map(_BORN_AT, known)))
            at = min(at, *map(_LAST_AT, known))
        for job in self.expected_members():
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
        self.is_stale = True
        if self.expected.members or self.extra:
            self.place = 0.0
        self.planned_for = len(self)

    def differs(self) -> bool:
        """Tell whether the members are so many more or fewer that the page should be planned anew."""
        return not 0.75 * self.planned_for <= len(self) <= 1.1 * self.planned_for

    def worth_at(self, now: float) -> float:
        """See :meth:`Entry.worth_at`: read off between two gaps at which it was worked out."""
        gap = max(now - self.seen_at, SHORTEST_PAGE_GAP)
        return self._law_for(gap).worth_at(gap)

    def reaches_at(self, worth: float, now: float) -> float:
        """See :meth:`Entry.reaches_at`; the worth is no less than the price."""
        gap = max(now - self.seen_at, SHORTEST_PAGE_GAP)
        law = self._law_for(gap)
        if law.worth_at(gap) < worth:
            for _ in range(STRIDES):
                if law.far_worth >= worth:
                    break
                law = law.farther(self._worth_after)
            self.law = law
            reached = min(law.gap_of(worth), law.far_gap)
            if worth <= self.price * NEARLY:
                self.place = reached
            gap = max(gap, reached)
        return self.seen_at + gap

    def gap_worth(self, worth: float, most: float) -> float:
        """Give about the gap after which a look is worth that much, ``most`` at most, by what is worked out so far."""
        law = self.law
        return min(law.gap_of(worth) if worth > 0.0 and law.near_worth > 0.0 else law.near_gap, most)

    # -- working it out -----------------------------------------------------------------------------------------------

    def _law_for(self, gap: float) -> PowerLaw:
        """Give the law that holds at ``gap``.

        After a reading the worth is summed up where it was worth the price the last time: as a rule it is so again,
        give or take a little, and as far as that the power is as it was. A gap that is shorter goes by the same power
        unless a look is worth much more than the price already.
        """
        law = self.law
        if self.is_stale:
            is_close = gap <= self.place * CLOSE
            law = law.shifted(self.place, self._worth_after) if is_close else PowerLaw.begin(gap, self._worth_after)
        while gap > law.far_gap:
            is_next = gap <= law.far_gap * STRIDE
            law = law.farther(self._worth_after) if is_next else PowerLaw.begin(gap, self._worth_after)
        while gap < law.near_gap and law.near_worth > self.price * NEARLY:
            law = law.nearer(self._worth_after)
        self.law, self.is_stale = law, False
        return law

    def _worth_after(self, gap: float) -> float:
        """Sum the looks at the members, as far as they are likely to be met."""
        now = self.seen_at + gap
        known = self.known.members
        value = self.keeps * _news_worth(islice(known, self.size), now)
        expected = self.expected.members
        room = self.room
        if expected and room > 0:
            value += self.expected.chance * _news_worth(islice(reversed(expected), room), now)
        return max(value * self.weight - self.extra, LEAST_WORTH)


def _news_worth(jobs: Iterable[TrackedJob], now: float) -> float:
    """Sum what news of jobs is worth, but for those that are polled just now, or were seen after ``now``."""
    return sum(job.news_worth_at(now) for job in jobs if job.seen_at < now and job.level != IN_FLIGHT)


def page_of(tracked: TrackedJob) -> PageEntry | None:
    """Give the page that answers for a job in its place."""
    return tracked.group.page if tracked.level == COVERED and tracked.group is not None else None
