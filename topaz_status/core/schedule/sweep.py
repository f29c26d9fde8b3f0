"""The walk through one service's list: which pages there are, and which jobs each of them answers for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection
from operator import attrgetter
from typing import Final

from ...models.job import JobKind
from ..policy import PollPolicy
from .entry import COVERED, IN_FLIGHT, REMOVED, PagePoll
from .page import CHANCE, GETS, LIKELY, SLIM, PageEntry, PageMembers
from .poll_queue import PollQueue
from .tracked_job import TrackedJob

LEARNING: Final = 0.2
"""The weight of the newest look in what is learned of a list."""
BARE: Final = 0.05
"""What a status is worth, as a share of that of a look at the job, on a list that tells no progress and no result."""
LONGEST_PAUSE: Final = 300.0
"""Seconds until a list that does not answer is tried again, or a job looked for that it did not show, at most."""
FIRST_PAUSE: Final = 4.0
"""Seconds until a job is looked for again that the list did not show; each further time it is so many times longer."""
HOPE: Final = 0.125
"""How far cursors are trusted, at least, when jobs are looked for again."""
FRONTIER_PATIENCE: Final = 0.05
"""Seconds before and after the time at which the next cursor of a long walk should arrive: other looks wait for it."""


class Sweep:
    """The pages of one kind of job."""

    __slots__ = (
        "_chance",
        "_changed",
        "_count",
        "_depth",
        "_flight",
        "_frontier",
        "_frontier_at",
        "_gets",
        "_pages",
        "_policy",
        "_retries",
        "_weight",
        "kind",
        "queue",
        "size",
    )

    def __init__(self, kind: JobKind, size: int, policy: PollPolicy, *, bare: bool = False, gets: float = GETS) -> None:
        self.kind = kind
        self.size = size
        self._weight = BARE if bare else 1.0
        self._gets = gets
        self.queue = PollQueue(policy.price, attrgetter("last_at"), exact=True)
        self._policy = policy
        self._pages: dict[str | None, PageEntry] = {}
        self._changed: dict[PageEntry, None] = {}
        self._chance = CHANCE
        """That a new job is met on the first page."""
        self._depth = 1.0
        """How far cursors are trusted: halved when one is refused."""
        self._retries: list[tuple[float, int, list[TrackedJob]]] = []
        """Jobs that were not found, and when they are to be looked for again: lists lag, and fail for a while."""
        self._count = 0
        self._frontier: PageEntry | None = None
        """The page on the wire whose answer names the cursor that many more jobs wait for."""
        self._frontier_at = -math.inf
        """When it was sent."""
        self._flight = 0.0
        """Seconds until such a page arrives, learned."""

    def presume(self, job: TrackedJob, now: float) -> None:
        """Expect a new job on the first page."""
        page = self._first(now)
        page.expected.add(job)
        self._touch(page)

    def retry(self, now: float) -> None:
        """Expect those on the first page again who were not found some time ago, and are still on their own."""
        while self._retries and self._retries[0][0] <= now:
            page = self._first(now)
            for job in heapq.heappop(self._retries)[2]:
                if job.group is None and job.level not in {COVERED, REMOVED}:
                    page.expected.add(job)
            self._touch(page)
            self._depth = max(self._depth, HOPE)

    def leave(self, job: TrackedJob) -> None:
        """Let a job go that is watched no more."""
        if job.group is not None:
            page = job.group.page
            job.group.discard(job)
            self._touch(page)

    def polled(self, job: TrackedJob) -> None:
        """Note that a look at a job was sent or has landed: where a page has few jobs, that changes its worth."""
        if job.group is not None and (job.group.known or job.group.page.extra):
            self._changed[job.group.page] = None

    def sent(self, page: PageEntry, now: float) -> None:
        """Note that a page is about to be sent; it is the last poll of the jobs on it whose watches time out by now."""
        if page.last_at <= now:
            for job in page.members():
                if job.last_at <= now:
                    job.last_at = math.inf
        if len(page.expected.members) > page.room:
            self._frontier, self._frontier_at = page, now

    def yields_until(self, at: float) -> float:
        """Give the time, ``at`` at the earliest, at which another look does not hold up a long walk.

        A list is walked one cursor after the other, so with thousands yet to be met the next page is worth more than
        what else there is, and a token that is spent just before it is known keeps it for the time of one more token.
        """
        if self._frontier is None or not self._flight:
            return at
        patience = min(FRONTIER_PATIENCE, self._flight / 2.0)
        arrives_at = self._frontier_at + self._flight
        return arrives_at + patience if arrives_at - patience <= at < arrives_at + patience else at

    def to_be_met(self) -> int:
        """Count the jobs that pages are likely to show before their own turn comes."""
        drifts = (page.expected for page in self._pages.values())
        return sum(len(drift.members) for drift in drifts if drift.chance >= LIKELY)

    def settle(self, now: float) -> list[TrackedJob]:
        """Work out when the pages are due whose members have changed.

        Give the jobs that are to be looked at by themselves besides: those for which a page is hardly worth its cost.
        """
        if not self._changed:
            return []
        aside: list[TrackedJob] = []
        for page in self._changed:
            if not page and page.level != IN_FLIGHT:
                self._remove(page)
            elif page.level != IN_FLIGHT:
                self._plan(page, now)
                if page.extra:
                    aside += page.known.members
        self._changed.clear()
        return aside

    def read(
        self,
        poll: PagePoll,
        alive: Collection[TrackedJob],
        ended: Collection[TrackedJob],
        cursor: str | None,
        now: float,
    ) -> list[TrackedJob]:
        """Learn what a page showed and what it names as its successor; give the jobs that no page answers for now."""
        page = self._landed(poll, now)
        page.read = True
        page.failures, page.seen_at, page.not_before = 0, now, now
        was, drift = len(page.known.members), page.asked
        expected = min(len(drift.members), page.room)
        known, kept = page.known, 0
        for job in ended:
            kept += job.group is known
            self.leave(job)
        for job in alive:
            job.misses = 0
            if job.group is known:
                kept += 1
            else:
                before = None if job.group is None else job.group.page
                known.add(job)
                if before is not None:
                    self._touch(before)
        hits = len(alive) + len(ended) - kept
        if was:
            page.keeps += LEARNING * (kept / was - page.keeps)
        if poll.cursor is not None:
            self._depth = min(1.0, self._depth * 2.0)
        elif expected:
            weight = min(expected, 10) / 10 * LEARNING
            self._chance += weight * (min(hits / expected, 1.0) - self._chance)
        missing = [] if kept == was else [job for job in known.members if job.seen_at != now]
        page.settled = True
        self._move_on(page, missing, cursor, now, found=hits / expected if expected else drift.chance)
        self._changed[page] = None
        return missing

    def missed(self, poll: PagePoll, now: float, retry_at: float) -> list[TrackedJob]:
        """Do without a page for a while; give the jobs that are on their own now."""
        page = self._landed(poll, now)
        page.failures += 1
        page.not_before = max(retry_at, now + min(2.0 ** min(page.failures, 9), LONGEST_PAUSE))
        unassigned = list(page.known.members)
        for job in [*page.asked.members, *unassigned]:
            page.expected.add(job)
        self._changed[page] = None
        return unassigned

    def refused(self, poll: PagePoll, now: float) -> list[TrackedJob]:
        """Give up a cursor: its jobs are looked for from the first page on, and on their own meanwhile."""
        if poll.cursor is None:
            return self.missed(poll, now, now + LONGEST_PAUSE)
        page = self._landed(poll, now)
        self._depth /= 2.0
        first = self._first(now)
        unassigned = list(page.known.members)
        for job in [*unassigned, *page.asked.members, *page.expected.members]:
            first.expected.add(job)
        self._remove(page)
        self._changed[first] = None
        return unassigned

    # -- inside -------------------------------------------------------------------------------------------------------

    def _touch(self, page: PageEntry) -> None:
        if page.level == COVERED or page.differs():
            self._changed[page] = None

    def _first(self, now: float) -> PageEntry:
        page = self._pages.get(None)
        if page is None:
            page = self._pages[None] = self._new(None, now)
        return page

    def _new(self, cursor: str | None, now: float) -> PageEntry:
        price = self._policy.price
        return PageEntry(self.kind, cursor, self.size, now, price=price, gets=self._gets, weight=self._weight)

    def _landed(self, poll: PagePoll, now: float) -> PageEntry:
        page = self._pages.get(poll.cursor)
        if page is None:
            page = self._pages[poll.cursor] = self._new(poll.cursor, now)
        if page is self._frontier:
            flight = now - self._frontier_at
            self._flight += LEARNING * (flight - self._flight) if self._flight else flight
            self._frontier = None
        if page.level == IN_FLIGHT:
            self.queue.remove(page)
        return page

    def _move_on(
        self, page: PageEntry, missing: list[TrackedJob], cursor: str | None, now: float, *, found: float
    ) -> None:
        """What was not on the page is on the next one, if there is one worth going to."""
        drift = page.asked
        page.asked = page.expected
        if page.cursor is None:
            page.expected.chance = self._chance
        drift.walked.add(page.cursor)
        ends = cursor is None or cursor in drift.walked
        drift.chance = (drift.chance + min(found, 1.0)) / 2.0
        drift.chance = min(drift.chance, self._depth)
        if ends or drift.chance * min(len(drift.members), self.size) < SLIM:
            self._dissolve(drift, now)
        if ends:
            for job in missing:
                page.known.discard(job)
            self._lose(missing, now)
            return
        next_page = self._follow(page, cursor, now, wanted=bool(missing or drift.members))
        if next_page is None or next_page is page:
            self._dissolve(drift, now)
            return
        if not (missing or drift.members):
            return
        next_page = self._with_room(next_page)
        for job in missing:
            drift.add(job)
        other = next_page.expected
        if len(other.members) > len(drift.members):
            drift, other = other, drift
        for job in list(other.members):
            drift.add(job)
        drift.page, next_page.expected = next_page, drift
        self._changed[next_page] = None

    def _follow(self, page: PageEntry, cursor: str | None, now: float, *, wanted: bool) -> PageEntry | None:
        """Give the page that comes after: the known one under its newest cursor, or a new one if it is wanted."""
        known = self._pages.get(cursor)
        if known is None:
            known = page.next_page
            if (
                known is not None
                and known is not page
                and known.cursor is not None
                and known.level != IN_FLIGHT
                and known
            ):
                self._pages.pop(known.cursor, None)
                known.cursor = cursor
                known.settled = False
                self._pages[cursor] = known
            elif wanted:
                known = self._pages[cursor] = self._new(cursor, now)
            else:
                known = None
        page.next_page = known
        return known

    def _dissolve(self, group: PageMembers, now: float) -> None:
        """Leave those to themselves who were not found."""
        jobs = list(group.members)
        group.members = {}
        for job in jobs:
            job.group = None
        self._lose(jobs, now)

    def _lose(self, jobs: list[TrackedJob], now: float) -> None:
        """Note when to look for jobs again that are on their own from now on."""
        if not jobs:
            return
        for job in jobs:
            job.misses += 1
        pause = min(FIRST_PAUSE ** min(job.misses for job in jobs), LONGEST_PAUSE)
        self._count += 1
        heapq.heappush(self._retries, (now + pause, self._count, jobs))

    def _remove(self, page: PageEntry) -> None:
        self.queue.remove(page)
        page.next_page = None
        if page.cursor is not None and self._pages.get(page.cursor) is page:
            del self._pages[page.cursor]

    def _plan(self, page: PageEntry, now: float) -> None:
        if page.level == IN_FLIGHT:
            return
        earliest = page.earliest(self._policy.min_interval)
        page.changed()
        page.last_at = math.inf
        if not page.extra:
            page.last_at = page.first_late_at(now, self._policy.longest_gap)
        at = page.last_at
        if at > earliest:
            at = min(at, page.reaches_at(self._policy.price, max(earliest, now)))
        self.queue.put(page, max(at, earliest))

    def _with_room(self, page: PageEntry) -> PageEntry:
        """Give the first page from here on that has room for more than the jobs that were on it.

        A page that was given up is still named by its predecessor until that is read anew: it leads nowhere.
        """
        passed = {page}
        while page.full and (following := page.next_page) is not None and following not in passed:
            if self._pages.get(following.cursor) is not following:
                break
            page = following
            passed.add(page)
        return page
