"""Pages of a list: one request that answers for a hundred jobs, as an entry that competes with polls of single jobs.

The worth of a page is the worth of polls of all its watched, pending members, less its cost beyond one such poll. So no
rule has to choose between list and single polls: one job is polled singly, two thousand by pages.

Two groups of jobs belong to a page. The *known* jobs were on it when it was last read. The *expected* jobs should be on
it: new jobs are expected on the first page, and a job missing from a page is expected on the page after it. Expected
jobs count by the learned chance that such jobs are found. They also stay in the jobs' own poll queue, so a job that no
list ever shows is simply polled by itself. The last known job of a page stays in that queue, too.

A page that nobody has read yet gets a *bonus*, because the first status of a job also predicts its end. Without it, the
worth favours pages that have predictions: one job that is surely over is worth more than two that are over by half a
chance each. Under a heavy load such pages would be read again before others are read once.

The list of videos is *bare*: it reports states, but neither progress nor results. A video that it reports as over still
needs a poll of its own. That poll costs the same whenever the page is read, so the worth of a bare page is the same
sum. The poll goes before all others: it is sure to find an end, while any other may find none. Under load this is what
a bare page is for: one token turns many doubtful polls into sure ones. For a job that is almost surely over there is
nothing to turn, so it counts less the surer it is (:data:`SURE`). A bare page predicts little, so its jobs also stay in
the jobs' own poll queue (see :mod:`.lane`).

No service documents the order of a list, a snapshot, or how long a cursor lasts. Nothing here relies on any of these. A
page is a position in the sweep, and its cursor is the one that its predecessor named last. Absence from a list says
nothing about a job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import chain, islice
from operator import attrgetter
from typing import Final

from ...models.job import JobKind
from ..prediction.worth import worth as worth_of
from .entry import COVERED, IN_FLIGHT, Entry, PagePoll
from .list_map import Stretch
from .list_marks import WHOLE_SECOND
from .power_law import CLOSE, STRIDE, UNFITTED, PowerLaw
from .tracked_job import TrackedJob

GETS: Final = 2.0
"""How many polls of one job a page costs: one request, and dozens of statuses to transfer. A page saves as many polls
as it has pending jobs; the rest of its cost, times the price, is subtracted from its worth."""
CHANCE: Final = 0.8
"""The first belief about the chance that an expected job is found."""
FULL: Final = 0.9
"""From this share of known jobs on, a page has no room for expected ones."""
SURE: Final = 1.5
"""If more hazard than this is spent, a bare page is worth less for a job: it is over with a chance of 78 %, and its own
poll would show that as well. Each further unit of hazard divides the worth by e, as it divides the chance that the own
poll would be in vain. With 1 or 2, worlds of videos cost the same within half a per cent; with no such bound, jobs that
ended long before a busy client came to them waited for page after page."""
ALL_BUT_SURE: Final = 0.9
"""If the chance to find jobs on an unread page is at least this, it gets the bonus. With less, single polls would have
to get it, too: they show the same."""
BONUS: Final = 1.5
"""What first statuses predict is worth this, times the gap, times the squared chance that the job is over. With a
hundred thousand images at once, 1 takes half of the gain, and 2 no more than 1.5."""
LIKELY: Final = 0.5
"""If the chance to find a job on a page is at least this, the page is polled in the job's place."""
LEAST_EXPECTED: Final = 0.5
"""A page should show at least so many expected jobs to be worth polling.

A sweep goes on while the next page should show one job, or the one that is left by this chance: otherwise a poll of the
job alone shows as much."""
LEAST_STEP: Final = 0.25
"""A page leads a sweep on if it reaches farther by this share of what it shows."""
SHORTEST_PAGE_GAP: Final = 0.05
LEAST_WORTH: Final = 1e-9
NEARLY: Final = 2.0
"""A worth of up to this many times the price counts as about the price."""
STRIDES: Final = 12
"""Strides after which a gap is long enough for any worth."""
_SEEN_AT: Final = attrgetter("seen_at")
_LAST_AT: Final = attrgetter("last_at")
_BORN_AT: Final = attrgetter("born_at")


class PageMembers:
    """Jobs of one page, in the order of arrival."""

    __slots__ = (
        "chance",
        "found",
        "known",
        "listed",
        "members",
        "page",
        "pages_ahead",
        "pages_paid",
        "reached",
        "stalled",
        "visited",
    )

    def __init__(self, page: PageEntry, *, known: bool, chance: float = 1.0) -> None:
        self.page = page
        self.known = known
        self.chance = chance
        """The chance that a poll of the page shows one of them, while they are no more than a page can show."""
        self.listed = chance
        """The chance that they are on the list."""
        self.found = 0
        """How many jobs the sweep for these jobs has found so far."""
        self.members: dict[TrackedJob, None] = {}
        self.pages_ahead = math.inf
        """About how many pages the sweep has yet to read to show these jobs; infinite unless they may lie ahead."""
        self.pages_paid = 0
        """How many more pages of the sweep are read whatever they show (see :mod:`.distant_jobs`)."""
        self.visited: set[str | None] = set()
        """The cursors at which these jobs were not found: a sweep visits no cursor twice."""
        self.reached = -math.inf
        """The farthest place on the list to which the sweep for these jobs has come."""
        self.stalled = 0
        """How many pages in a row have led the sweep hardly any farther."""

    def add(self, job: TrackedJob) -> None:
        """Move a job from its group into this one."""
        if job.group is not self:
            if job.group is not None:
                del job.group.members[job]
            job.group = self
            self.members[job] = None

    def leads_on(self, stretch: Stretch, hits: int, patience: float) -> bool:
        """Return whether the sweep for these jobs still gets on, after a page that shows ``stretch`` and ``hits`` jobs.

        A list may show the same items again and again, under cursors that never end. Then the ages say nothing of what
        lies ahead. So ``patience`` is how many pages in a row may lead the sweep hardly any farther.
        """
        if hits:
            self.stalled = 0
        if stretch.end >= self.reached + max(WHOLE_SECOND, LEAST_STEP * (stretch.end - stretch.begin)):
            self.reached, self.stalled = stretch.end, 0
        else:
            self.stalled += 1
        return self.stalled <= patience

    @property
    def is_crowded(self) -> bool:
        """Return whether these jobs are expected, likely to be shown, and enough to make the page's poll cheaper."""
        return not self.known and self.chance >= LIKELY and len(self.members) > self.page.gets

    @property
    def most_hits(self) -> int:
        """Return how many of these jobs a page can show."""
        return min(len(self.members), self.page.size)

    @property
    def hits_expected(self) -> float:
        """Return how many of these jobs a poll of the page should show."""
        return self.chance * self.most_hits

    def expect(self, hits: float) -> None:
        """Expect a poll of the page to show so many of these jobs."""
        if self.members:
            self.chance = min(hits / self.most_hits, 1.0)

    def merge(self, other: PageMembers) -> None:
        """Take over the jobs of another group: a poll should show as many of them as of both."""
        if other.members:
            self.pages_paid += other.pages_paid
            other.pages_paid = 0
            hits = self.hits_expected + other.hits_expected
            self.listed += (other.listed - self.listed) * len(other.members) / (len(self.members) + len(other.members))
            for job in list(other.members):
                self.add(job)
            self.expect(hits)

    def discard(self, job: TrackedJob) -> None:
        """Remove a job."""
        del self.members[job]
        job.group = None


class PageEntry(Entry):
    """One page of the sweep through a list."""

    __slots__ = (
        "_kind",
        "bonus",
        "cursor",
        "expected",
        "failures",
        "gets",
        "is_bare",
        "is_stale",
        "known",
        "last_at",
        "law",
        "lists_oldest_first",
        "named_cursor",
        "next_page",
        "not_before",
        "planned_for",
        "price",
        "price_gap",
        "read",
        "seen_at",
        "settled",
        "size",
        "sought",
        "stay_share",
    )

    def __init__(
        self,
        kind: JobKind,
        cursor: str | None,
        size: int,
        now: float,
        *,
        price: float,
        gets: float,
        bare: bool = False,
        bonus: float = 0.0,
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
        self.is_bare = bare
        """True for a page of a list that reports neither progress nor results."""
        self.bonus = bonus
        """What first statuses predict is worth (see :data:`BONUS`)."""
        self.seen_at = now
        self.not_before = now
        self.last_at = math.inf
        """When the first longest gap among its members ends."""
        self.failures = 0
        self.law = UNFITTED
        """How the worth of a poll grows with the gap since the page was read."""
        self.is_stale = True
        """True while the law is that of other members, or of an earlier reading."""
        self.price_gap = 0.0
        """The gap after which a poll was last computed to be worth about its price; 0 for unknown."""
        self.planned_for = 0
        self.settled = False
        """True once the page was read at its present cursor."""
        self.read = False
        """True once a poll of the page was answered."""
        self.next_page: PageEntry | None = None
        self.stay_share = 1.0
        """The share of the known jobs that a poll finds again."""
        self.known = PageMembers(self, known=True)
        self.expected = PageMembers(self, known=False, chance=CHANCE)
        self.lists_oldest_first = False
        """True if the list begins with its oldest items: a page then shows those jobs that came first."""
        self.named_cursor: str | None = None
        """The next cursor that the page named when it was last read."""
        self.sought = self.expected
        """The expected jobs that the poll in flight may show; jobs that came after it was sent are not among them."""

    def __bool__(self) -> bool:
        return bool(self.known.members or self.expected.members or self.sought.members)

    def __len__(self) -> int:
        return len(self.known.members) + len(self.expected.members)

    @property
    def kind(self) -> JobKind:
        """See :attr:`Entry.kind`."""
        return self._kind

    def send(self) -> PagePoll:
        """See :meth:`Entry.send`."""
        self.sought = self.expected
        self.expected = PageMembers(self, known=False, chance=self.sought.chance)
        return PagePoll(self.kind, self.cursor, self.size)

    @property
    def full(self) -> bool:
        """Return whether the page has hardly any room for jobs that were not on it."""
        return self.room <= (1.0 - FULL) * self.size

    @property
    def room(self) -> int:
        """Return how many jobs it may show besides its known ones; its whole size until it is read at this cursor."""
        return max(self.size - len(self.known.members), 0) if self.settled else self.size

    @property
    def extra(self) -> float:
        """Return its cost beyond the polls that it saves, in seconds of waiting; 0 unless it has very few jobs.

        This is what is subtracted from the worth of its members. A page of a bare list saves polls of known jobs only.
        It saves enough of them once it has more known jobs than it costs polls.
        """
        if self.is_bare:
            return max(self.gets - 1.0, 0.0) * self.price if len(self.known.members) <= self.gets else 0.0
        return max(self.gets - len(self), 0.0) * self.price

    @property
    def is_thin(self) -> bool:
        """Return whether its known jobs are so few that they are polled by themselves as well.

        A job that is only expected does not count: the page may not show it.
        """
        return len(self.known.members) < self.gets

    def members(self) -> Iterable[TrackedJob]:
        """Return all its jobs."""
        return chain(self.known.members, self.expected.members)

    def expected_members(self) -> Iterable[TrackedJob]:
        """Return the expected jobs that it should show, or no jobs if they are not worth a poll of the page.

        The result is no longer than a page, in the order of arrival. Thousands of new jobs are expected at once, and
        each also has its own entry in the jobs' poll queue.
        """
        expected = self.expected
        if expected.chance * min(len(expected.members), self.room) < LEAST_EXPECTED:
            return ()
        return islice(expected.members, self.size)

    def first_late_at(self, now: float, longest_gap: Callable[[float], float]) -> float:
        """Return the earliest end of a longest gap among the jobs that the page should show.

        The last poll before a watch times out ends a gap, too. The known jobs were all observed when the page was read,
        except the few that were polled since. So the longest gap of the youngest job ends first.
        """
        at = math.inf
        if known := self.known.members:
            at = min(map(_SEEN_AT, known)) + longest_gap(now - max(map(_BORN_AT, known)))
            at = min(at, *map(_LAST_AT, known))
        for job in self.expected_members():
            at = min(at, job.seen_at + longest_gap(now - job.born_at), job.last_at)
        return at

    def earliest(self, min_interval: float) -> float:
        """Return the time before which it must not be polled."""
        return max(self.seen_at + min_interval, self.not_before) if self.read else self.not_before

    def begin(self, now: float, min_interval: float) -> None:
        """Forget the time of an earlier poll, because its members are new: their gaps begin now."""
        self.not_before = self.earliest(min_interval)
        self.seen_at, self.read = now, False

    def changed(self) -> None:
        """Mark the law as stale: the members have changed, or were observed.

        ``price_gap`` remains valid while the gaps of all members begin together with the page's own gap. The page's
        worth then grows as smoothly as the worth of its members, unless a cost is subtracted from it.
        """
        self.is_stale = True
        if self.expected.members or self.extra or self.is_bare:
            self.price_gap = 0.0
        self.planned_for = len(self)

    def differs(self) -> bool:
        """Return whether the number of members has changed so much that the page should be planned anew."""
        return not 0.75 * self.planned_for <= len(self) <= 1.1 * self.planned_for

    def worth_at(self, now: float) -> float:
        """See :meth:`Entry.worth_at`. The worth is interpolated between two gaps at which it was computed."""
        gap = max(now - self.seen_at, SHORTEST_PAGE_GAP)
        return max(self._law_for(gap).worth_at(gap) - self.extra, LEAST_WORTH)

    def reaches_at(self, worth: float, now: float) -> float:
        """See :meth:`Entry.reaches_at`; the worth is no less than the price.

        If a page after the first has that worth from the start, the time is ``now``: its jobs have waited since the
        page before it was sent. On the first page, new jobs wait a moment for those that come with them.
        """
        gap = max(now - self.seen_at, SHORTEST_PAGE_GAP)
        law = self._law_for(gap)
        worth += self.extra
        if law.worth_at(gap) >= worth:
            return self.seen_at + gap if self.cursor is None else now
        for _ in range(STRIDES):
            if law.far_worth >= worth:
                break
            law = law.farther(self._worth_after)
        self.law = law
        reached = min(law.gap_of(worth), law.far_gap)
        if worth <= self.price * NEARLY:
            self.price_gap = reached
        return self.seen_at + max(gap, reached)

    def gap_worth(self, worth: float, most: float) -> float:
        """Return about the gap after which a poll is worth ``worth``, ``most`` at most, by the law computed so far."""
        law = self.law
        worth += self.extra
        return min(law.gap_of(worth) if worth > 0.0 and law.near_worth > 0.0 else law.near_gap, most)

    # -- computing the worth ------------------------------------------------------------------------------------------

    def _law_for(self, gap: float) -> PowerLaw:
        """Return the law that holds at ``gap``.

        After a reading the worth is computed at ``price_gap``, because a poll is usually worth about the price there
        again. The power remains unchanged up to that gap. The law is drawn anew for a shorter gap only if a poll at its
        near end is worth much more than the price.
        """
        law = self.law
        if self.is_stale:
            is_close = gap <= self.price_gap * CLOSE
            law = law.shifted(self.price_gap, self._worth_after) if is_close else PowerLaw.begin(gap, self._worth_after)
        while gap > law.far_gap:
            is_next = gap <= law.far_gap * STRIDE
            law = law.farther(self._worth_after) if is_next else PowerLaw.begin(gap, self._worth_after)
        while gap < law.near_gap and law.near_worth > (self.price + self.extra) * NEARLY:
            law = law.nearer(self._worth_after)
        self.law, self.is_stale = law, False
        return law

    def _worth_after(self, gap: float) -> float:
        """Add up the worth of polls of the members, weighted by the chance that they are found, whatever they cost."""
        now = self.seen_at + gap
        known = self.known.members
        add_up = _bare_worth if self.is_bare else _change_worth
        value = self.stay_share * add_up(islice(known, self.size), now)
        room = self.room
        if self.expected.members and room > 0:
            value += self.expected.chance * add_up(self._expected_first(room), now)
            if self.bonus and not self.settled and self.expected.chance >= ALL_BUT_SURE:
                value += self.bonus * _prediction_worth(self._expected_first(room), now)
        return max(value, LEAST_WORTH)

    def _expected_first(self, count: int) -> Iterable[TrackedJob]:
        """Return those of the expected jobs that the page shows first."""
        jobs = self.expected.members
        return islice(jobs if self.lists_oldest_first else reversed(jobs), count)


def _change_worth(jobs: Iterable[TrackedJob], now: float) -> float:
    """Add up what learning of the jobs' changes is worth, without jobs in flight and jobs observed after ``now``."""
    return sum(job.change_worth_at(now) for job in jobs if job.seen_at < now and job.level != IN_FLIGHT)


def _bare_worth(jobs: Iterable[TrackedJob], now: float) -> float:
    """Add up what learning from a bare list of the jobs' changes is worth; the same jobs count."""
    pending = ((job, job.spent_by(now)) for job in jobs if job.seen_at < now and job.level != IN_FLIGHT)
    return sum(
        worth_of(now - job.seen_at, spent) * job.weight * math.exp(min(SURE - spent, 0.0)) for job, spent in pending
    )


def _prediction_worth(jobs: Iterable[TrackedJob], now: float) -> float:
    """Add up what the predictions of jobs without a status are worth, before the bonus; the same jobs count."""
    new = (job for job in jobs if not job.known and job.seen_at < now and job.level != IN_FLIGHT)
    return sum(job.weight * (now - job.seen_at) * math.expm1(-job.spent_by(now)) ** 2 for job in new)


def page_of(tracked: TrackedJob) -> PageEntry | None:
    """Return the page that answers for a job in its place."""
    return tracked.group.page if tracked.level == COVERED and tracked.group is not None else None


def bare_page_of(tracked: TrackedJob) -> PageEntry | None:
    """Return the page of a bare list that shows whether the job is over, between polls of the job itself."""
    group = tracked.group
    return group.page if group is not None and group.known and group.page.is_bare else None
