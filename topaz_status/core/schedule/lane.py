"""One kind of job in the schedule: the queue of its jobs, the sweep of its list, and the first polls yet to be sent.

A kind without a list has no sweep, and each of its jobs is polled by itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from ...models.job import JobKind
from ..observation import Observation
from ..policy import PollPolicy
from ..prediction.sources import Source
from .entry import COVERED, IN_FLIGHT, REMOVED, Entry, PagePoll, Poll
from .expected_lag import ServedWorth
from .page import PageEntry
from .poll_queue import PollQueue
from .sweep import Sweep
from .tracked_job import TrackedJob

CALM: Final = 0.05
"""Seconds without a new job after which a page is worth polling for the sake of new jobs."""
BARE_LISTS: Final = frozenset({JobKind.VIDEO})
"""Kinds whose list reports neither progress nor result. Pages of such a list are polled in addition to the jobs, not
instead of them. If the list reports a job's end, a poll of the job confirms it."""

RENEWED: Final = 2.0
"""A bare list puts off a job's own poll, which shows its progress, by so many longest gaps at most."""


class Lane:
    """What the schedule stores for one kind, apart from the jobs themselves."""

    __slots__ = ("_came_at", "_policy", "_unpolled", "is_bare", "kind", "queue", "served_worth", "sweep")

    def __init__(self, kind: JobKind, policy: PollPolicy, page_size: int | None, gets: float) -> None:
        self.kind = kind
        self.is_bare = kind in BARE_LISTS
        self._policy = policy
        self.queue = PollQueue(policy.price, self._last_at)
        """The jobs that are polled by themselves."""
        self.sweep = None if page_size is None else Sweep(kind, page_size, policy, bare=self.is_bare, gets=gets)
        self.served_worth = ServedWorth(policy.price)
        self._unpolled: deque[TrackedJob] = deque()
        """Jobs in the order of arrival; a job polled meanwhile is dropped once it is the first."""
        self._came_at = -math.inf
        """When the latest job arrived."""

    @property
    def queues(self) -> tuple[PollQueue, ...]:
        """Return the queue of the jobs, and the queue of the pages."""
        return (self.queue,) if self.sweep is None else (self.queue, self.sweep.queue)

    # -- jobs arrive, change and leave --------------------------------------------------------------------------------

    def add(self, tracked: TrackedJob, now: float) -> None:
        """Plan the polls of a new job."""
        if self.sweep is not None:
            self.sweep.presume(tracked, now)
        self._plan(tracked, now)
        self._drop_polled()
        self._unpolled.append(tracked)
        self._came_at = now

    def replan(self, tracked: TrackedJob, now: float) -> None:
        """Plan the polls of a job anew: it was observed, or its polls are worth more or less than before."""
        self._plan(tracked, now)
        if self.sweep is not None:
            self.sweep.polled(tracked)

    def saw(self, tracked: TrackedJob, now: float) -> None:
        """Plan the polls of a job that its own poll found alive."""
        self.replan(tracked, now)
        if self.sweep is not None:
            self.sweep.retry(now)

    def learn_age(self, tracked: TrackedJob, seen: Observation, now: float) -> None:
        """Learn from the first answer for a job how old it is, if the answer reports that."""
        if self.sweep is not None and seen.age is not None and not tracked.over:
            self.sweep.learn_age(tracked, seen.age, now)

    def nudge(self, tracked: TrackedJob, now: float) -> None:
        """Poll a job before all others, no sooner than ``min_interval`` after its last poll."""
        if not tracked.urgent:
            tracked.urgent = True
            self._plan(tracked, now)

    def missed(self, tracked: TrackedJob, now: float, retry_at: float) -> None:
        """Poll a job again at ``retry_at``: the poll in flight had no usable answer."""
        if tracked.level == IN_FLIGHT:
            tracked.not_before = now + self._policy.min_interval
            at = max(retry_at, now)
            if now < tracked.last_at < at:  # the last poll before a timeout waits for no backoff
                at = max(tracked.last_at, tracked.not_before)
            self.queue.put(tracked, at)

    def forget(self, tracked: TrackedJob) -> None:
        """Remove a job."""
        self.queue.remove(tracked, REMOVED)
        if self.sweep is not None:
            self.sweep.leave(tracked)

    # -- answers to page polls ----------------------------------------------------------------------------------------

    def read_page(
        self,
        poll: PagePoll,
        alive: Collection[TrackedJob],
        ended: Collection[TrackedJob],
        next_cursor: str | None,
        now: float,
        *,
        ages: Sequence[float] = (),
    ) -> None:
        """Plan anew after a page that showed jobs alive and ended.

        ``ages`` are those of some items of the page, in seconds and in the order of the list.

        Unless the list is bare, the ended jobs are removed.
        """
        if self.sweep is None:
            return
        unassigned = self.sweep.read(poll, alive, ended, next_cursor, now, ages=ages)
        if self.is_bare:
            for tracked in alive:
                self._plan(tracked, now)
            for tracked in ended:
                self.nudge(tracked, now)
        else:
            for tracked in alive:
                if tracked.level > COVERED and not tracked.urgent:
                    self.queue.remove(tracked)
            for tracked in ended:
                self.forget(tracked)
        for tracked in unassigned:
            if tracked.level == COVERED:
                self._plan(tracked, now)

    def missed_page(self, poll: PagePoll, now: float, retry_at: float) -> None:
        """Poll the page's jobs by themselves until the page can be polled again."""
        if self.sweep is not None:
            self._plan_all(self.sweep.missed(poll, now, retry_at), now)

    def refused_page(self, poll: PagePoll, now: float) -> None:
        """Give up a cursor that the service refuses."""
        if self.sweep is not None:
            self._plan_all(self.sweep.refused(poll, now), now)

    # -- what is due --------------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Plan the pages whose jobs have changed, and the jobs that are few on their pages."""
        if self.sweep is None:
            return
        for tracked in self.sweep.settle(now):
            if tracked.level == COVERED and not self.is_bare:
                self._plan_alone(tracked, now)

    def due(self, now: float) -> list[PollQueue]:
        """Return the queues in which something is due, the pages' queue first; empty while a long sweep goes first."""
        due: list[PollQueue] = []
        if self.sweep is not None:
            self.settle(now)
            if self.sweep.yields_until(now) > now:
                return due
            if self.sweep.queue.due_by(now):
                due.append(self.sweep.queue)
        if self.queue.due_by(now):
            due.append(self.queue)
        return due

    def next_at(self, now: float) -> float:
        """Return the time, ``now`` at the earliest, at which a poll is to be sent; infinite for never."""
        if self.sweep is None:
            return max(self.queue.next_at(), now)
        self.settle(now)
        return self.sweep.yields_until(max(min(self.sweep.queue.next_at(), self.queue.next_at()), now))

    def send(self, entry: Entry, now: float) -> Poll:
        """Mark an entry as polled, and return the poll."""
        if self.sweep is not None and isinstance(entry, PageEntry):
            self.sweep.queue.remove(entry, IN_FLIGHT)
            self.sweep.sent(entry, now)
        elif isinstance(entry, TrackedJob):
            self.queue.remove(entry, IN_FLIGHT)
            if entry.last_at <= now:
                entry.last_at = math.inf
            if self.sweep is not None:
                self.sweep.polls_singly(entry)
        return entry.send()

    def instead_of(self, entry: Entry, now: float) -> Entry:
        """Return the page to be polled in place of a job, if there is one (see :mod:`.unordered_list`)."""
        if self.sweep is None or not isinstance(entry, TrackedJob) or entry.urgent:
            return entry
        page = self.sweep.read_instead(entry, now)
        return entry if page is None else page

    def expected_due(self) -> float:
        """Count the polls that are due; a page counts once for all the jobs that it should show."""
        due = float(len(self.queue))
        if self.sweep is not None:
            due += len(self.sweep.queue) - min(self.sweep.likely_on_pages(), due) * (1.0 - 1.0 / self.sweep.size)
        return due

    # -- first polls --------------------------------------------------------------------------------------------------

    def first(self, now: float) -> Entry | None:
        """Return the entry for the first poll of the job that arrived first: its page, or the job itself.

        Return ``None`` while a page is in flight that may show the job.
        """
        self._drop_polled()
        unpolled = self._unpolled
        if not unpolled or is_covered(unpolled[0]):
            return None
        tracked = unpolled[0]
        if self.sweep is None or self.is_bare or tracked.group is None or not tracked.group.is_crowded:
            return tracked
        self.settle(now)
        page = tracked.group.page
        return page if page.level > COVERED else None

    def goes_at(self, first: Entry) -> float:
        """Return the time from which a first poll may go: a page waits until no more jobs arrive."""
        if not isinstance(first, PageEntry):
            return -math.inf
        return max(self._came_at + CALM, first.earliest(self._policy.min_interval))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _drop_polled(self) -> None:
        """Drop the jobs at the head that were polled. Nobody asks for first polls while more is due than is served."""
        unpolled = self._unpolled
        while unpolled and not unpolled[0].is_unpolled:
            unpolled.popleft()

    def _last_at(self, entry: Entry) -> float:
        """Return the time by which a due job must be polled: its longest gap ends, or its watch times out."""
        if not isinstance(entry, TrackedJob):
            return math.inf
        at = entry.seen_at + self._policy.longest_gap(entry.due_at - entry.born_at)
        return at if at < entry.last_at else entry.last_at

    def _plan_all(self, jobs: Collection[TrackedJob], now: float) -> None:
        for tracked in jobs:
            self._plan(tracked, now)

    def _plan(self, tracked: TrackedJob, now: float) -> None:
        """Plan a job's next poll, unless a page answers for the job or a poll of it is in flight."""
        if tracked.level == IN_FLIGHT:
            return
        if tracked.urgent:
            shortest = self._policy.min_interval if tracked.known else 0.0
            self.queue.put(tracked, max(now, tracked.seen_at + shortest, tracked.not_before))
        elif tracked.group is not None and tracked.group.known and not self.is_bare:
            self.queue.remove(tracked)
        else:
            self._plan_alone(tracked, now)

    def _plan_alone(self, tracked: TrackedJob, now: float) -> None:
        """Plan the next poll of a job by itself.

        A bare list answers whether the job is over, which is what most polls are for. But only a poll of the job shows
        its progress, so the list does not put that poll off for long.
        """
        policy = self._policy
        longest = policy.longest_gap(now - tracked.born_at)
        gap = tracked.gap_worth(policy.price, longest)
        if self.is_bare and tracked.asked_at < tracked.seen_at:
            gap = min(gap, self._renewed_at(tracked, RENEWED * longest) - tracked.seen_at)
        if tracked.known and gap < policy.min_interval:  # there is no shortest gap before the first poll
            gap = policy.min_interval
        due_at = tracked.seen_at + gap
        if tracked.last_at < due_at:
            due_at = max(tracked.last_at, tracked.seen_at + policy.min_interval if tracked.known else 0.0)
        self.queue.put(tracked, due_at if due_at > tracked.not_before else tracked.not_before)

    def _renewed_at(self, tracked: TrackedJob, most: float) -> float:
        """Return when a poll is to renew the prediction of a job that a bare list shows alive.

        That is when the poll would be worth a token, had the list not been read since the job's last own poll. A token
        is worth the price or, under load, the worth at which polls are served. Where the last poll showed no progress,
        there is nothing to renew, and the next poll comes ``most`` seconds after the last.
        """
        if tracked.source >= Source.OVERDUE or tracked.basis_at < tracked.asked_at:
            return tracked.asked_at + most
        return tracked.renewed_at(max(self._policy.price, self.served_worth.worth), most)


def is_covered(tracked: TrackedJob) -> bool:
    """Return whether a page is in flight that may show the job."""
    group = tracked.group
    return group is not None and group.page.level == IN_FLIGHT and group is not group.page.expected
