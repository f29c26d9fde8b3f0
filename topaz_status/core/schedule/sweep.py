"""The walk through one service's list: which pages there are, and which jobs each of them answers for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection
from operator import attrgetter
from typing import Final

from ...models.job import JobKind
from ..policy import PollPolicy
from .entry import FLYING, GONE, PARKED, PageLook
from .page import CHANCE, GETS, LIKELY, SLIM, Group, Page
from .poll_queue import Agenda
from .tracked_job import Tracked

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
PATIENCE: Final = 0.05
"""Seconds before and after the time at which the next cursor of a long walk should arrive: other looks wait for it."""


class Walk:
    """The pages of one kind of job."""

    __slots__ = (
        "_chance",
        "_changed",
        "_count",
        "_depth",
        "_flight",
        "_gets",
        "_leader",
        "_led_at",
        "_pages",
        "_policy",
        "_strays",
        "_weight",
        "agenda",
        "kind",
        "size",
    )

    def __init__(self, kind: JobKind, size: int, policy: PollPolicy, *, bare: bool = False, gets: float = GETS) -> None:
        self.kind = kind
        self.size = size
        self._weight = BARE if bare else 1.0
        self._gets = gets
        self.agenda = Agenda(policy.price, attrgetter("last_at"), exact=True)
        self._policy = policy
        self._pages: dict[str | None, Page] = {}
        self._changed: dict[Page, None] = {}
        self._chance = CHANCE
        """That a new job is met on the first page."""
        self._depth = 1.0
        """How far cursors are trusted: halved when one is refused."""
        self._strays: list[tuple[float, int, list[Tracked]]] = []
        """Jobs that were not found, and when they are to be looked for again: lists lag, and fail for a while."""
        self._count = 0
        self._leader: Page | None = None
        """The page on the wire whose answer names the cursor that many more jobs wait for."""
        self._led_at = -math.inf
        """When it was sent."""
        self._flight = 0.0
        """Seconds until such a page arrives, learned."""

    def presume(self, job: Tracked, now: float) -> None:
        """Expect a new job on the first page."""
        page = self._first(now)
        page.drifting.add(job)
        self._touch(page)

    def retry(self, now: float) -> None:
        """Expect those on the first page again who were not found some time ago, and are still on their own."""
        while self._strays and self._strays[0][0] <= now:
            page = self._first(now)
            for job in heapq.heappop(self._strays)[2]:
                if job.group is None and job.rung not in {PARKED, GONE}:
                    page.drifting.add(job)
            self._touch(page)
            self._depth = max(self._depth, HOPE)

    def leave(self, job: Tracked) -> None:
        """Let a job go that is watched no more."""
        if job.group is not None:
            page = job.group.page
            job.group.discard(job)
            self._touch(page)

    def looked(self, job: Tracked) -> None:
        """Note that a look at a job was sent or has landed: where a page has few jobs, that changes its worth."""
        if job.group is not None and (job.group.placed or job.group.page.extra):
            self._changed[job.group.page] = None

    def sent(self, page: Page, now: float) -> None:
        """Note that a page is about to be sent; it is the last poll of the jobs on it whose watches time out by now."""
        if page.last_at <= now:
            for job in page.members():
                if job.last_at <= now:
                    job.last_at = math.inf
        if len(page.drifting.members) > page.room:
            self._leader, self._led_at = page, now

    def gives_way_at(self, at: float) -> float:
        """Give the time, ``at`` at the earliest, at which another look does not hold up a long walk.

        A list is walked one cursor after the other, so with thousands yet to be met the next page is worth more than
        what else there is, and a token that is spent just before it is known keeps it for the time of one more token.
        """
        if self._leader is None or not self._flight:
            return at
        patience = min(PATIENCE, self._flight / 2.0)
        arrives_at = self._led_at + self._flight
        return arrives_at + patience if arrives_at - patience <= at < arrives_at + patience else at

    def to_be_met(self) -> int:
        """Count the jobs that pages are likely to show before their own turn comes."""
        drifts = (page.drifting for page in self._pages.values())
        return sum(len(drift.members) for drift in drifts if drift.chance >= LIKELY)

    def settle(self, now: float) -> list[Tracked]:
        """Work out when the pages are due whose members have changed.

        Give the jobs that are to be looked at by themselves besides: those for which a page is hardly worth its cost.
        """
        if not self._changed:
            return []
        aside: list[Tracked] = []
        for page in self._changed:
            if not page and page.rung != FLYING:
                self._remove(page)
            elif page.rung != FLYING:
                self._plan(page, now)
                if page.extra:
                    aside += page.placed.members
        self._changed.clear()
        return aside

    def read(
        self, look: PageLook, alive: Collection[Tracked], ended: Collection[Tracked], cursor: str | None, now: float
    ) -> list[Tracked]:
        """Learn what a page showed and what it names as its successor; give the jobs that no page answers for now."""
        page = self._landed(look, now)
        page.read = True
        page.failures, page.seen_at, page.not_before = 0, now, now
        was, drift = len(page.placed.members), page.asked
        expected = min(len(drift.members), page.room)
        placed, kept = page.placed, 0
        for job in ended:
            kept += job.group is placed
            self.leave(job)
        for job in alive:
            job.vain = 0
            if job.group is placed:
                kept += 1
            else:
                before = None if job.group is None else job.group.page
                placed.add(job)
                if before is not None:
                    self._touch(before)
        hits = len(alive) + len(ended) - kept
        if was:
            page.keeps += LEARNING * (kept / was - page.keeps)
        if look.cursor is not None:
            self._depth = min(1.0, self._depth * 2.0)
        elif expected:
            weight = min(expected, 10) / 10 * LEARNING
            self._chance += weight * (min(hits / expected, 1.0) - self._chance)
        astray = [] if kept == was else [job for job in placed.members if job.seen_at != now]
        page.settled = True
        self._move_on(page, astray, cursor, now, found=hits / expected if expected else drift.chance)
        self._changed[page] = None
        return astray

    def missed(self, look: PageLook, now: float, retry_at: float) -> list[Tracked]:
        """Do without a page for a while; give the jobs that are on their own now."""
        page = self._landed(look, now)
        page.failures += 1
        page.not_before = max(retry_at, now + min(2.0 ** min(page.failures, 9), LONGEST_PAUSE))
        loose = list(page.placed.members)
        for job in [*page.asked.members, *loose]:
            page.drifting.add(job)
        self._changed[page] = None
        return loose

    def refused(self, look: PageLook, now: float) -> list[Tracked]:
        """Give up a cursor: its jobs are looked for from the first page on, and on their own meanwhile."""
        if look.cursor is None:
            return self.missed(look, now, now + LONGEST_PAUSE)
        page = self._landed(look, now)
        self._depth /= 2.0
        first = self._first(now)
        loose = list(page.placed.members)
        for job in [*loose, *page.asked.members, *page.drifting.members]:
            first.drifting.add(job)
        self._remove(page)
        self._changed[first] = None
        return loose

    # -- inside -------------------------------------------------------------------------------------------------------

    def _touch(self, page: Page) -> None:
        if page.rung == PARKED or page.differs():
            self._changed[page] = None

    def _first(self, now: float) -> Page:
        page = self._pages.get(None)
        if page is None:
            page = self._pages[None] = self._new(None, now)
        return page

    def _new(self, cursor: str | None, now: float) -> Page:
        price = self._policy.price
        return Page(self.kind, cursor, self.size, now, price=price, gets=self._gets, weight=self._weight)

    def _landed(self, look: PageLook, now: float) -> Page:
        page = self._pages.get(look.cursor)
        if page is None:
            page = self._pages[look.cursor] = self._new(look.cursor, now)
        if page is self._leader:
            flight = now - self._led_at
            self._flight += LEARNING * (flight - self._flight) if self._flight else flight
            self._leader = None
        if page.rung == FLYING:
            self.agenda.remove(page)
        return page

    def _move_on(self, page: Page, astray: list[Tracked], cursor: str | None, now: float, *, found: float) -> None:
        """What was not on the page is on the next one, if there is one worth going to."""
        drift = page.asked
        page.asked = page.drifting
        if page.cursor is None:
            page.drifting.chance = self._chance
        drift.walked.add(page.cursor)
        ends = cursor is None or cursor in drift.walked
        drift.chance = (drift.chance + min(found, 1.0)) / 2.0
        drift.chance = min(drift.chance, self._depth)
        if ends or drift.chance * min(len(drift.members), self.size) < SLIM:
            self._dissolve(drift, now)
        if ends:
            for job in astray:
                page.placed.discard(job)
            self._lose(astray, now)
            return
        follower = self._follow(page, cursor, now, wanted=bool(astray or drift.members))
        if follower is None or follower is page:
            self._dissolve(drift, now)
            return
        if not (astray or drift.members):
            return
        follower = self._with_room(follower)
        for job in astray:
            drift.add(job)
        other = follower.drifting
        if len(other.members) > len(drift.members):
            drift, other = other, drift
        for job in list(other.members):
            drift.add(job)
        drift.page, follower.drifting = follower, drift
        self._changed[follower] = None

    def _follow(self, page: Page, cursor: str | None, now: float, *, wanted: bool) -> Page | None:
        """Give the page that comes after: the known one under its newest cursor, or a new one if it is wanted."""
        known = self._pages.get(cursor)
        if known is None:
            known = page.follower
            if known is not None and known is not page and known.cursor is not None and known.rung != FLYING and known:
                self._pages.pop(known.cursor, None)
                known.cursor = cursor
                known.settled = False
                self._pages[cursor] = known
            elif wanted:
                known = self._pages[cursor] = self._new(cursor, now)
            else:
                known = None
        page.follower = known
        return known

    def _dissolve(self, group: Group, now: float) -> None:
        """Leave those to themselves who were not found."""
        jobs = list(group.members)
        group.members = {}
        for job in jobs:
            job.group = None
        self._lose(jobs, now)

    def _lose(self, jobs: list[Tracked], now: float) -> None:
        """Note when to look for jobs again that are on their own from now on."""
        if not jobs:
            return
        for job in jobs:
            job.vain += 1
        pause = min(FIRST_PAUSE ** min(job.vain for job in jobs), LONGEST_PAUSE)
        self._count += 1
        heapq.heappush(self._strays, (now + pause, self._count, jobs))

    def _remove(self, page: Page) -> None:
        self.agenda.remove(page)
        page.follower = None
        if page.cursor is not None and self._pages.get(page.cursor) is page:
            del self._pages[page.cursor]

    def _plan(self, page: Page, now: float) -> None:
        if page.rung == FLYING:
            return
        earliest = page.earliest(self._policy.min_interval)
        page.changed()
        page.last_at = math.inf
        if not page.extra:
            page.last_at = page.first_late_at(now, self._policy.longest_gap)
        at = page.last_at
        if at > earliest:
            at = min(at, page.reaches_at(self._policy.price, max(earliest, now)))
        self.agenda.put(page, max(at, earliest))

    def _with_room(self, page: Page) -> Page:
        """Give the first page from here on that has room for more than the jobs that were on it.

        A page that was given up is still named by its predecessor until that is read anew: it leads nowhere.
        """
        passed = {page}
        while page.full and (following := page.follower) is not None and following not in passed:
            if self._pages.get(following.cursor) is not following:
                break
            page = following
            passed.add(page)
        return page
