"""The sweep through one service's list: which pages there are, and which jobs each of them answers for."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Final

from ...models.job import JobKind
from ..policy import PollPolicy
from .distant_jobs import DistantJobs
from .entry import COVERED, IN_FLIGHT, PagePoll
from .frontier import Frontier
from .list_map import ListMap, Stretch
from .list_order import AgeOrder
from .list_search import Shown, learn_chance, presumed_chance
from .page import BONUS, CHANCE, GETS, LEAST_EXPECTED, LIKELY, PageEntry, PageMembers
from .poll_queue import PollQueue
from .retries import Retries
from .tracked_job import TrackedJob
from .unordered_list import UnorderedList

LEARNING: Final = 0.2
"""The weight of the newest poll in what is learned of a list."""
LONGEST_PAUSE: Final = 300.0
"""Seconds until a failing list is tried again, at most."""
VAIN: Final = 0.5
"""If a page that should have shown so many jobs shows none, its cursor is forgotten."""
LEAST_TRUST: Final = 0.125
"""How far cursors are trusted, at least. With less, no page would be worth a poll, and none could be accepted again."""


class Sweep:
    """The pages of one kind of job."""

    __slots__ = (
        "_bare",
        "_bonus",
        "_chance",
        "_changed",
        "_cursor_trust",
        "_distant",
        "_frontier",
        "_gets",
        "_given_up",
        "_map",
        "_pages",
        "_policy",
        "_retries",
        "_unordered",
        "kind",
        "queue",
        "size",
    )

    def __init__(self, kind: JobKind, size: int, policy: PollPolicy, *, bare: bool = False, gets: float = GETS) -> None:
        self.kind = kind
        self.size = size
        self._gets = gets
        self._bonus = 0.0 if bare else BONUS
        self._bare = bare
        self.queue = PollQueue(policy.price, attrgetter("last_at"), exact=True)
        self._policy = policy
        self._map = ListMap(size)
        self._pages: dict[str | None, PageEntry] = {}
        self._changed: dict[PageEntry, None] = {}
        self._chance = CHANCE
        """The chance that a new job is found on the first page."""
        self._cursor_trust = 1.0
        """How far cursors are trusted: halved when one is refused."""
        self._given_up = 0
        """Sweeps given up since a page last showed a job that was not known to be on it."""
        self._retries = Retries()
        self._distant = DistantJobs()
        self._frontier = Frontier()
        self._unordered = UnorderedList()

    def presume(self, job: TrackedJob, now: float) -> None:
        """Expect a new job where the list shows jobs of its age, by default on the first page."""
        turn = self._next_in_turn
        page = self._page(self._map.seek(self._map.nearest_birth(job)), now) if turn is None else turn
        group = page.expected
        if turn is None and self._reads_in_turn:
            self._unordered.group = group
        if not group.members:
            self._refund(group)
            group.chance = group.listed = self._chance
            if not page:
                page.begin(now, self._policy.min_interval)
        group.add(job)
        self._distant.discard(job)
        self._touch(page)

    def learn_age(self, job: TrackedJob, age: float, now: float) -> None:
        """Learn a job's age from its first answer. If it is older than any before, missing jobs may lie deeper, too."""
        if self._map.prior_ages.learn(age - (now - job.born_at)):
            for missing in self._retries.due(math.inf):
                self.presume(missing, now)

    def retry(self, now: float) -> None:
        """Expect jobs on the list again that have no page: those not found some time ago, and distant ones.

        The lane calls this after each single poll that found its job alive.
        """
        for job in self._retries.due(now):
            self.presume(job, now)
        distant, pages = self._distant.due(self._price)
        for job in distant:
            self.presume(job, now)
        groups = [job.group for job in distant if job.group is not None]
        if groups:
            self._pay(max(groups, key=lambda group: len(group.members)), pages)

    def leave(self, job: TrackedJob) -> None:
        """Remove a job that is no longer watched."""
        self._distant.discard(job)
        self._unordered.forget(job)
        if job.group is not None:
            page = job.group.page
            job.group.discard(job)
            self._touch(page)

    def polled(self, job: TrackedJob) -> None:
        """Note that a poll of a job was sent or answered: on a page with few jobs this changes the page's worth."""
        if job.group is not None and (job.group.known or job.group.page.is_thin):
            self._changed[job.group.page] = None

    def polls_singly(self, job: TrackedJob) -> None:
        """Note that a poll of a job by itself is sent now."""
        self.polled(job)
        group = job.group
        if job in self._distant:
            self._distant.polled()
        elif group is not None and not group.pages_paid and group.pages_ahead < math.inf:
            self._distant.polled()
            if self._distant.affords(group.pages_ahead * self._price):
                self._pay(group, group.pages_ahead)

    def sent(self, page: PageEntry, now: float) -> None:
        """Note that a page is sent now. It is the last poll of its jobs whose watches time out by now."""
        if page.last_at <= now:
            for job in page.members():
                if job.last_at <= now:
                    job.last_at = math.inf
        self._frontier.sent(page, now)

    def yields_until(self, at: float) -> float:
        """See :meth:`.Frontier.yields_until`."""
        return self._frontier.yields_until(at)

    def read_instead(self, job: TrackedJob, now: float) -> PageEntry | None:
        """Return the page that is polled in place of a job that may be anywhere on a list in no order."""
        group = job.group
        if group is None or group.known or job.last_at <= now:
            return None
        page = self._next_in_turn
        if page is not group.page or page.level <= IN_FLIGHT or page.earliest(self._policy.min_interval) > now:
            return None
        return page if group.hits_expected + len(page.known.members) >= self._unordered.least_shown else None

    def likely_on_pages(self) -> int:
        """Count the jobs that pages are likely to show before their own turn comes."""
        groups = (page.expected for page in self._pages.values())
        return sum(len(group.members) for group in groups if group.chance >= LIKELY)

    def settle(self, now: float) -> list[TrackedJob]:
        """Plan the pages whose members have changed.

        Return the jobs that are to be polled by themselves as well, because they are few on their page.
        """
        if not self._changed:
            return []
        singly: list[TrackedJob] = []
        for page in self._changed:
            if not page and page.level != IN_FLIGHT:
                self._remove(page)
            elif page.level != IN_FLIGHT:
                self._plan(page, now)
                if page.is_thin:
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
        *,
        ages: Sequence[float] = (),
    ) -> list[TrackedJob]:
        """Learn what a page showed and which cursor comes next; return the jobs that no page answers for now."""
        page = self._landed(poll, now)
        page.read = True
        page.failures, page.seen_at, page.not_before = 0, now, now
        known_before, group = len(page.known.members), page.sought
        expected, likely = min(len(group.members), page.room), group.hits_expected
        known, stayed, moved = page.known, 0, 0
        for job in ended:
            if job.group is known:
                stayed += 1
            elif job.group is not None and job.group.known:
                moved += 1
            self.leave(job)
        for job in alive:
            job.misses = 0
            if job.group is known:
                stayed += 1
            else:
                before = None
                if job.group is not None:
                    before, moved = job.group.page, moved + job.group.known
                known.add(job)
                self._distant.discard(job)
                if before is not None:
                    self._touch(before)
        hits = len(alive) + len(ended) - stayed - moved
        if known_before:
            page.stay_share += LEARNING * (stayed / known_before - page.stay_share)
        if poll.cursor is not None:
            self._cursor_trust = min(1.0, self._cursor_trust * 2.0)
        missing = [] if stayed == known_before else [job for job in known.members if job.seen_at != now]
        stretch = self._learn_places(page, cursor, ages, now)
        shown = Shown(hits, expected, likely, stretch)
        self._go_on(page, shown, missing, cursor, now, vain=page.cursor if not (alive or ended) else None)
        self._changed[page] = None
        return missing

    def missed(self, poll: PagePoll, now: float, retry_at: float) -> list[TrackedJob]:
        """Delay a page that failed; return the jobs that no page answers for now."""
        page = self._landed(poll, now)
        page.failures += 1
        page.not_before = max(retry_at, now + min(2.0 ** min(page.failures, 9), LONGEST_PAUSE))
        unassigned = list(page.known.members)
        self._refund(page.sought)
        if page.sought is self._unordered.group:
            self._unordered.group = page.expected
        for job in [*page.sought.members, *unassigned]:
            page.expected.add(job)
        self._changed[page] = None
        return unassigned

    def refused(self, poll: PagePoll, now: float) -> list[TrackedJob]:
        """Give up a refused cursor: its jobs are expected on the first page, and polled by themselves meanwhile."""
        if poll.cursor is None:
            return self.missed(poll, now, now + LONGEST_PAUSE)
        page = self._landed(poll, now)
        self._cursor_trust = max(self._cursor_trust / 2.0, LEAST_TRUST)
        self._map.forget(poll.cursor)
        first = self._page(None, now)
        unassigned = list(page.known.members)
        for group in (page.sought, page.expected):
            self._refund(group)
        for job in [*unassigned, *page.sought.members, *page.expected.members]:
            first.expected.add(job)
        self._remove(page)
        self._changed[first] = None
        return unassigned

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _price(self) -> float:
        """How many single polls pay for a page: twice as many after each sweep in vain."""
        return 2.0 ** min(self._given_up, 16)

    @property
    def _reads_in_turn(self) -> bool:
        """Return whether the pages are read in turn. On a bare list they are not: pages save no polls of its jobs."""
        return self._map.order is AgeOrder.NONE and not self._bare

    @property
    def _next_in_turn(self) -> PageEntry | None:
        """Return the page that comes next in turn, if there is one."""
        group = self._unordered.group
        if group is None or not self._reads_in_turn or self._pages.get(group.page.cursor) is not group.page:
            return None
        return group.page

    def _touch(self, page: PageEntry) -> None:
        if page.level == COVERED or page.differs():
            self._changed[page] = None

    def _page(self, cursor: str | None, now: float) -> PageEntry:
        page = self._pages.get(cursor)
        if page is None:
            page = self._pages[cursor] = self._new(cursor, now)
        return page

    def _new(self, cursor: str | None, now: float) -> PageEntry:
        price = self._policy.price
        return PageEntry(
            self.kind, cursor, self.size, now, price=price, gets=self._gets, bare=self._bare, bonus=self._bonus
        )

    def _landed(self, poll: PagePoll, now: float) -> PageEntry:
        page = self._page(poll.cursor, now)
        self._frontier.landed(page, now)
        if page.level == IN_FLIGHT:
            self.queue.remove(page)
        return page

    def _learn_places(self, page: PageEntry, cursor: str | None, ages: Sequence[float], now: float) -> Stretch | None:
        """Learn which part of the list a page shows, and where the cursor that it names leads."""
        if page.named_cursor is not None and page.named_cursor != cursor:
            self._map.forget(page.named_cursor)
        stretch = self._map.learn(page.cursor, ages, now, next_cursor=cursor, is_new=not page.settled)
        page.settled, page.named_cursor = True, cursor
        return stretch

    def _learn(self, group: PageMembers, shown: Shown, vain: str | None) -> None:
        """Learn from a page whether the list shows the jobs of a group; ``vain`` is a cursor that showed no jobs."""
        if not shown.expected:
            return
        if shown.hits:
            self._given_up = 0
        due = learn_chance(group, shown, self._map, self._given_up)
        if self._bare:  # where no sweep saves single polls, they pay for none
            group.pages_ahead = math.inf
        group.chance = min(group.chance, self._cursor_trust)
        if not group.visited and due:
            self._chance += min(due, 10.0) / 10.0 * LEARNING * (shown.share_of(due) - self._chance)
            if vain is not None and due >= VAIN:
                self._map.forget(vain)

    def _advance(
        self, page: PageEntry, missing: list[TrackedJob], cursor: str | None, stretch: Stretch | None, now: float
    ) -> None:
        """Expect the jobs missing from this page on the next page, if that page is worth a poll."""
        group = page.sought
        page.sought = page.expected
        group.visited.add(page.cursor)
        ends = cursor is None or cursor in group.visited
        if cursor is None:
            self._map.ends(group.visited)
        if page.cursor is None:
            page.expected.chance = page.expected.listed = self._chance
        if ends:
            self._dissolve(group, now)
            self._give_up(page.known, missing, now)
            return
        self._weigh(group, now)
        ahead = None if missing or stretch is None else self._skip(group, stretch)
        next_page = self._next_page(page, cursor, now, wanted=bool(missing or group.members) and ahead is None)
        if ahead is not None:
            next_page = self._page(ahead, now)
            group.visited.discard(None)  # pages were left out: how many the list has is not learned
        if next_page is None or next_page is page:
            self._dissolve(group, now)
            return
        if not (missing or group.members):
            return
        next_page = self._with_room(next_page)
        for job in missing:
            group.add(job)
        self._expect_on(next_page, group)

    def _go_on(
        self,
        page: PageEntry,
        shown: Shown,
        missing: list[TrackedJob],
        cursor: str | None,
        now: float,
        *,
        vain: str | None,
    ) -> None:
        """Expect the jobs that a page did not show elsewhere; ``vain`` is its cursor if it showed no jobs at all."""
        if self._reads_in_turn:
            self._read_in_turn(page, shown, missing, cursor, now)
        else:
            self._learn(page.sought, shown, vain)
            self._advance(page, missing, cursor, shown.stretch, now)

    def _read_in_turn(
        self, page: PageEntry, shown: Shown, missing: list[TrackedJob], cursor: str | None, now: float
    ) -> None:
        """Expect the jobs that a page of a list in no order did not show on the page that comes next in turn.

        A page may also be read out of turn, for its known jobs. Those that are missing have probably moved to the page
        after it, because other items have come before them.
        """
        group, arrived, unordered = page.sought, page.expected, self._unordered
        self._refund(group)  # paid for before the list was known to be in no order
        group.pages_ahead = math.inf
        is_in_turn = group is unordered.group
        first_is_next = is_in_turn and unordered.learn(page, cursor, shown.hits, shown.likely)
        page.sought = arrived
        if is_in_turn:
            if arrived is not group:
                group.merge(arrived)
            self._give_up(group, unordered.sought_everywhere(group), now)
        elsewhere = None if is_in_turn else self._next_in_turn
        if first_is_next and group.members:
            elsewhere = self._page(None, now)
        wanted = bool(missing or (group.members and elsewhere is None))
        following = None if cursor is None else self._next_page(page, cursor, now, wanted=wanted)
        self._expect_moved(missing, following, group)
        if group.members:
            next_page = following if elsewhere is None else elsewhere
            next_page = self._page(None, now) if next_page is None else next_page
            unordered.group = self._expect_on(self._with_room(next_page), group)

    def _expect_moved(self, missing: list[TrackedJob], following: PageEntry | None, group: PageMembers) -> None:
        """Expect jobs that are missing from their page on the page after it or, without one, with a group of others."""
        if following is None:
            for job in missing:
                group.add(job)
        elif missing:
            moved = PageMembers(following, known=False, chance=CHANCE)
            for job in missing:
                moved.add(job)
            self._expect_on(self._with_room(following), moved)

    def _expect_on(self, page: PageEntry, group: PageMembers) -> PageMembers:
        """Expect a group on a page, with the jobs that are expected there already; return the group of both."""
        other = page.expected
        if len(other.members) > len(group.members):
            group, other = other, group
        if other is not group:
            group.merge(other)
        if self._unordered.group is other:
            self._unordered.group = group
        group.page, page.expected = page, group
        self._changed[page] = None
        return group

    def _weigh(self, group: PageMembers, now: float) -> None:
        """Release the jobs of a group unless the next page is worth a poll for them, or is paid for.

        If they lie ahead, and only are too few, a sweep for them is put off. Until the order of the list is known, it
        is not: the next sweep would read the same pages again.
        """
        pages = group.pages_ahead
        if group.pages_paid and pages < math.inf:
            group.pages_paid -= 1
            group.chance = min(group.listed, self._cursor_trust)
        elif group.hits_expected < min(1.0, LEAST_EXPECTED * len(group.members)):
            if pages < math.inf and self._map.order is not AgeOrder.UNKNOWN:
                self._distant.add(self._release(group), pages)
            else:
                self._dissolve(group, now)

    def _pay(self, group: PageMembers, pages: float) -> None:
        """Let the sweep for a group read so many pages whatever they show, if single polls have cost as much."""
        group.pages_paid += self._distant.pay(pages)
        group.chance = min(group.listed, self._cursor_trust)
        self._changed[group.page] = None

    def _refund(self, group: PageMembers) -> None:
        """Take back what was paid for a group whose sweep does not go on."""
        self._distant.refund(group.pages_paid)
        group.pages_paid = 0

    def _skip(self, group: PageMembers, stretch: Stretch) -> str | None:
        """Return a cursor that leads a sweep for a group farther than the next one, but past none of its jobs."""
        if not group.members:
            return None
        cursor = self._map.skip(stretch, map(self._map.nearest_birth, group.members))
        return None if cursor in group.visited else cursor

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

    def _give_up(self, group: PageMembers, jobs: list[TrackedJob], now: float) -> None:
        """Release jobs of a group that a sweep to the end of the list has not shown."""
        for job in jobs:
            group.discard(job)
        self._retries.later(jobs, now)

    def _dissolve(self, group: PageMembers, now: float) -> None:
        """Release the jobs of a group that were not found.

        That says little of the list while a sweep for more jobs goes on: it may still find them.
        """
        groups = (page.expected for page in self._pages.values())
        if group.members and not any(one.visited and len(one.members) > len(group.members) for one in groups):
            self._given_up += 1
        self._retries.later(self._release(group), now)

    def _release(self, group: PageMembers) -> list[TrackedJob]:
        self._refund(group)
        jobs = list(group.members)
        group.members = {}
        for job in jobs:
            job.group = None
        return jobs

    def _remove(self, page: PageEntry) -> None:
        self._refund(page.expected)
        self.queue.remove(page)
        page.next_page = None
        if page.cursor is not None and self._pages.get(page.cursor) is page:
            del self._pages[page.cursor]

    def _plan(self, page: PageEntry, now: float) -> None:
        if page.level == IN_FLIGHT:
            return
        earliest = page.earliest(self._policy.min_interval)
        self._presume_chance(page.expected)
        page.lists_oldest_first = self._map.order is AgeOrder.OLDEST
        page.changed()
        page.last_at = math.inf
        if not page.is_thin:
            page.last_at = page.first_late_at(now, self._policy.longest_gap)
        at = earliest if page.expected.pages_paid else page.last_at
        if at > earliest:
            at = min(at, page.reaches_at(self._policy.price, max(earliest, now)))
        self.queue.put(page, max(at, earliest))

    def _presume_chance(self, group: PageMembers) -> None:
        """Set the chance of jobs on a list in no order."""
        if not self._reads_in_turn:
            chance = presumed_chance(group, self._map)
            group.chance = group.chance if chance is None else chance
        elif group is self._unordered.group:
            group.expect(self._unordered.hits_expected(group))
            group.chance = min(group.chance, self._cursor_trust)

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
