"""The sweep through one service's list: which pages there are, and which jobs each of them answers for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection
from operator import attrgetter
from typing import Final

from ...models.job import JobKind
from ..policy import PollPolicy
from .entry import COVERED, IN_FLIGHT, REMOVED, PagePoll
from .page import CHANCE, GETS, LEAST_EXPECTED, LIKELY, PageEntry, PageMembers
from .poll_queue import PollQueue
from .tracked_job import TrackedJob

LEARNING: Final = 0.2
"""The weight of the newest poll in what is learned of a list."""
LONGEST_PAUSE: Final = 300.0
"""Seconds until a failing list is tried again, or a missing job is expected on it again, at most."""
FIRST_PAUSE: Final = 4.0
"""Seconds until a missing job is expected on the list again; each further pause is so many times longer."""
LEAST_TRUST: Final = 0.125
"""How far cursors are trusted, at least, when missing jobs are expected again."""
FRONTIER_MARGIN: Final = 0.05
"""Other polls wait for a long sweep's next cursor, this many seconds before and after its expected arrival."""


class Sweep:
    """The pages of one kind of job."""

    __slots__ = (
        "_bare",
        "_chance",
        "_changed",
        "_count",
        "_cursor_trust",
        "_flight_time",
        "_frontier",
        "_frontier_at",
        "_gets",
        "_pages",
        "_policy",
        "_retries",
        "kind",
        "queue",
        "size",
    )

    def __init__(self, kind: JobKind, size: int, policy: PollPolicy, *, bare: bool = False, gets: float = GETS) -> None:
        self.kind = kind
        self.size = size
        self._gets = gets
        self._bare = bare
        self.queue = PollQueue(policy.price, attrgetter("last_at"), exact=True)
        self._policy = policy
        self._pages: dict[str | None, PageEntry] = {}
        self._changed: dict[PageEntry, None] = {}
        self._chance = CHANCE
        """The chance that a new job is found on the first page."""
        self._cursor_trust = 1.0
        """How far cursors are trusted: halved when one is refused."""
        self._retries: list[tuple[float, int, list[TrackedJob]]] = []
        """Jobs that were not found, and when they are expected again: lists lag, and fail for a while."""
        self._count = 0
        self._frontier: PageEntry | None = None
        """The page in flight whose answer names the cursor that many more jobs wait for."""
        self._frontier_at = -math.inf
        """When the frontier's poll was sent."""
        self._flight_time = 0.0
        """Seconds until such an answer arrives, learned."""

    def presume(self, job: TrackedJob, now: float) -> None:
        """Expect a new job on the first page."""
        page = self._first(now)
        page.expected.add(job)
        self._touch(page)

    def retry(self, now: float) -> None:
        """Expect jobs on the first page again, if they were not found some time ago and still have no page."""
        while self._retries and self._retries[0][0] <= now:
            page = self._first(now)
            for job in heapq.heappop(self._retries)[2]:
                if job.group is None and job.level not in {COVERED, REMOVED}:
                    page.expected.add(job)
            self._touch(page)
            self._cursor_trust = max(self._cursor_trust, LEAST_TRUST)

    def leave(self, job: TrackedJob) -> None:
        """Remove a job that is no longer watched."""
        if job.group is not None:
            page = job.group.page
            job.group.discard(job)
            self._touch(page)

    def polled(self, job: TrackedJob) -> None:
        """Note that a poll of a job was sent or answered: on a page with few jobs this changes the page's worth."""
        if job.group is not None and (job.group.known or job.group.page.extra):
            self._changed[job.group.page] = None

    def sent(self, page: PageEntry, now: float) -> None:
        """Note that a page is sent now. It is the last poll of its jobs whose watches time out by now."""
        if page.last_at <= now:
            for job in page.members():
                if job.last_at <= now:
                    job.last_at = math.inf
        if len(page.expected.members) > page.room:
            self._frontier, self._frontier_at = page, now

    def yields_until(self, at: float) -> float:
        """Return the time, ``at`` at the earliest, at which another poll does not delay a long sweep.

        A list is swept one cursor after the other. With thousands of jobs yet to be found, the next page is worth more
        than any other poll. A token spent just before the cursor arrives delays that page until the next token comes.
        """
        if self._frontier is None or not self._flight_time:
            return at
        margin = min(FRONTIER_MARGIN, self._flight_time / 2.0)
        arrives_at = self._frontier_at + self._flight_time
        return arrives_at + margin if arrives_at - margin <= at < arrives_at + margin else at

    def likely_on_pages(self) -> int:
        """Count the jobs that pages are likely to show before their own turn comes."""
        groups = (page.expected for page in self._pages.values())
        return sum(len(group.members) for group in groups if group.chance >= LIKELY)

    def settle(self, now: float) -> list[TrackedJob]:
        """Plan the pages whose members have changed.

        Return the jobs that are to be polled by themselves as well, because their page is hardly worth its cost.
        """
        if not self._changed:
            return []
        singly: list[TrackedJob] = []
        for page in self._changed:
            if not page and page.level != IN_FLIGHT:
                self._remove(page)
            elif page.level != IN_FLIGHT:
                self._plan(page, now)
                if page.extra:
                    singly += page.known.members
        self._changed.clear()
        return singly

    def read(
        self,
        poll: PagePoll,
        alive: Collection[TrackedJob],
        ended: Collection[TrackedJob],
        cursor: str | None,
        now: float,
    ) -> list[TrackedJob]:
        """Learn what a page showed and which cursor comes next; return the jobs that no page answers for now."""
        page = self._landed(poll, now)
        page.read = True
        page.failures, page.seen_at, page.not_before = 0, now, now
        known_before, group = len(page.known.members), page.sought
        expected = min(len(group.members), page.room)
        known, stayed = page.known, 0
        for job in ended:
            stayed += job.group is known
            self.leave(job)
        for job in alive:
            job.misses = 0
            if job.group is known:
                stayed += 1
            else:
                before = None if job.group is None else job.group.page
                known.add(job)
                if before is not None:
                    self._touch(before)
        hits = len(alive) + len(ended) - stayed
        if known_before:
            page.stay_share += LEARNING * (stayed / known_before - page.stay_share)
        if poll.cursor is not None:
            self._cursor_trust = min(1.0, self._cursor_trust * 2.0)
        elif expected:
            weight = min(expected, 10) / 10 * LEARNING
            self._chance += weight * (min(hits / expected, 1.0) - self._chance)
        missing = [] if stayed == known_before else [job for job in known.members if job.seen_at != now]
        page.settled = True
        self._advance(page, missing, cursor, now, found=hits / expected if expected else group.chance)
        self._changed[page] = None
        return missing

    def missed(self, poll: PagePoll, now: float, retry_at: float) -> list[TrackedJob]:
        """Delay a page that failed; return the jobs that no page answers for now."""
        page = self._landed(poll, now)
        page.failures += 1
        page.not_before = max(retry_at, now + min(2.0 ** min(page.failures, 9), LONGEST_PAUSE))
        unassigned = list(page.known.members)
        for job in [*page.sought.members, *unassigned]:
            page.expected.add(job)
        self._changed[page] = None
        return unassigned

    def refused(self, poll: PagePoll, now: float) -> list[TrackedJob]:
        """Give up a refused cursor: its jobs are expected on the first page, and polled by themselves meanwhile."""
        if poll.cursor is None:
            return self.missed(poll, now, now + LONGEST_PAUSE)
        page = self._landed(poll, now)
        self._cursor_trust /= 2.0
        first = self._first(now)
        unassigned = list(page.known.members)
        for job in [*unassigned, *page.sought.members, *page.expected.members]:
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
        return PageEntry(self.kind, cursor, self.size, now, price=price, gets=self._gets, bare=self._bare)

    def _landed(self, poll: PagePoll, now: float) -> PageEntry:
        page = self._pages.get(poll.cursor)
        if page is None:
            page = self._pages[poll.cursor] = self._new(poll.cursor, now)
        if page is self._frontier:
            flight = now - self._frontier_at
            self._flight_time += LEARNING * (flight - self._flight_time) if self._flight_time else flight
            self._frontier = None
        if page.level == IN_FLIGHT:
            self.queue.remove(page)
        return page

    def _advance(
        self, page: PageEntry, missing: list[TrackedJob], cursor: str | None, now: float, *, found: float
    ) -> None:
        """Expect the jobs missing from this page on the next page, if that page is worth a poll."""
        group = page.sought
        page.sought = page.expected
        if page.cursor is None:
            page.expected.chance = self._chance
        group.visited.add(page.cursor)
        ends = cursor is None or cursor in group.visited
        group.chance = (group.chance + min(found, 1.0)) / 2.0
        group.chance = min(group.chance, self._cursor_trust)
        if ends or group.chance * min(len(group.members), self.size) < LEAST_EXPECTED:
            self._dissolve(group, now)
        if ends:
            for job in missing:
                page.known.discard(job)
            self._retry_later(missing, now)
            return
        next_page = self._next_page(page, cursor, now, wanted=bool(missing or group.members))
        if next_page is None or next_page is page:
            self._dissolve(group, now)
            return
        if not (missing or group.members):
            return
        next_page = self._with_room(next_page)
        for job in missing:
            group.add(job)
        other = next_page.expected
        if len(other.members) > len(group.members):
            group, other = other, group
        for job in list(other.members):
            group.add(job)
        group.page, next_page.expected = next_page, group
        self._changed[next_page] = None

    def _next_page(self, page: PageEntry, cursor: str | None, now: float, *, wanted: bool) -> PageEntry | None:
        """Return the page that comes next: the known one under its newest cursor, or a new one if it is wanted."""
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
        """Release the jobs of a group that were not found."""
        jobs = list(group.members)
        group.members = {}
        for job in jobs:
            job.group = None
        self._retry_later(jobs, now)

    def _retry_later(self, jobs: list[TrackedJob], now: float) -> None:
        """Set when jobs without a page from now on are expected on the list again."""
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
        """Return the first page from here on that has room for more than its known jobs.

        When a page is given up, its predecessor still names it until that predecessor is read anew. A page that was
        given up leads nowhere.
        """
        passed = {page}
        while page.full and (following := page.next_page) is not None and following not in passed:
            if self._pages.get(following.cursor) is not following:
                break
            page = following
            passed.add(page)
        return page
