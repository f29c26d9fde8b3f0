"""Which poll is worth the next token, and when.

Each job has a life table and each poll a worth (see :mod:`..prediction.life_tables` and :mod:`..prediction.worth`). A
poll is *due* when its worth reaches ``policy.price``, no sooner than ``min_interval`` and no later than the longest gap
after the last. If nothing is due, nothing is sent, and the request is saved. If more is due than there are tokens, each
token goes to the greatest worth; the last ones are saved for polls that are worth them (:mod:`..budget.last_tokens`).

Serving by due time alone performs badly under load, because most due polls find no change. Serving by worth alone
starves jobs of which little is expected (Kolobov et al., NeurIPS 2019, require of a crawler that no page starves). So
one token in eight goes to what has passed its longest gap, first found first. Polls of a job are therefore at most
``longest gap + GUARD * late ones / rate`` apart. On a list in no order, each of its pages may go before. The load never
changes the price, because such a feedback would run away.

A job without an answered poll may be in any state, for example after its page was reloaded or its client restarted. So
the first poll of each job goes at once while tokens are idle (:meth:`Schedule.pick_first`), and by its worth when they
are not. A watch that is about to time out is polled once more just before (:data:`.tracked_job.LEAD`).

The same observations give the same decisions: nothing here reads a clock or uses randomness, and in a tie the first to
arrive wins.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final

from ...models.job import JobKind, JobRef
from ..observation import Observation
from ..policy import PollPolicy
from ..prediction.life_tables import Lifetimes
from ..prediction.sources import FARTHEST, SOONEST, Source
from ..prediction.worth import worth
from ..wire.list_page import PAGE_SIZES
from .entry import COVERED, IN_FLIGHT, REMOVED, Entry, JobPoll, PagePoll, Poll
from .expected_lag import SAMPLE, QueueDelay, forecast, mean_lag, present_gap
from .explanation import Explanation, explain
from .lane import Lane, is_covered
from .page import GETS, LIKELY, PageEntry, page_of
from .poll_queue import TOP, PollQueue
from .renewal import Renewal
from .tracked_job import LEAD, UNNOTICED, TrackedJob

GUARD: Final = 8
"""One token in so many goes to what was first found late, when more is due than can be served."""
SAMPLED: Final = 4
"""Where there is no choice, one poll in so many updates the average worth of served polls."""
MANY_ENDS: Final = 4.0
"""A page goes before a poll that is sure to find an end if it is worth more than so many such polls. With one, mixed
worlds under load lost up to 4 %; two and four gained the same."""
UNKNOWN_ALLOWED: Final = 4.0
"""If more seconds of a job's life than this are unknown, its first poll does not show how long it lasted."""
_ALL: Final = tuple(JobKind)


class Schedule:
    """Watched jobs, what is known of them, and the order of polls.

    Three parts can be exchanged, to measure what each is worth. ``lifetimes`` is what is learned. One in ``guard``
    tokens goes to what was first found late. ``gets`` is what a page costs (see :data:`.page.GETS`).
    """

    def __init__(
        self,
        policy: PollPolicy,
        *,
        pages: Mapping[JobKind, int] = PAGE_SIZES,
        lifetimes: Lifetimes | None = None,
        guard: float = GUARD,
        gets: float = GETS,
    ) -> None:
        self._policy = policy
        self._guard = guard
        self._jobs: dict[JobRef, TrackedJob] = {}
        self._lanes = {kind: Lane(kind, policy, pages.get(kind), gets) for kind in JobKind}
        self._lifetimes = lifetimes or Lifetimes()
        self._renewal = Renewal(self._lifetimes)
        self._turn = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def lifetimes(self) -> Lifetimes:
        """What is learned of how long jobs last."""
        return self._lifetimes

    # -- watches begin and end ----------------------------------------------------------------------------------------

    def add(
        self,
        job: JobRef,
        now: float,
        *,
        age: float = 0.0,
        remaining: float | None = None,
        unseen: float = 0.0,
        deadline: float = math.inf,
    ) -> None:
        """Begin to watch a job that was submitted ``age`` seconds ago.

        The submit answer predicted ``remaining`` seconds. Nothing is known of the job's last ``unseen`` seconds: it may
        have ended. At ``deadline`` its watch times out.
        """
        self.drop(job)
        tracked = self._jobs[job] = TrackedJob(job, now - age if age else now, now)
        if unseen:
            tracked.seen_at = now - min(unseen, age, self._policy.longest_gap(age))
            tracked.lifetime_known = unseen <= UNKNOWN_ALLOWED
        tracked.last_at = deadline - LEAD
        if remaining is not None and SOONEST <= remaining <= FARTHEST:
            tracked.believe(Source.ETA, remaining, now, self._lifetimes)
        else:
            tracked.believe(Source.AGE, 1.0, tracked.born_at, self._lifetimes)
        tracked.renew(self._lifetimes)
        self._lanes[job.kind].add(tracked, now)

    def expect_by(self, job: JobRef, deadline: float, now: float) -> None:
        """Poll a job once more just before ``deadline``, the next time at which a watch of it times out."""
        tracked = self._jobs.get(job)
        if tracked is not None and deadline > now and tracked.last_at != deadline - LEAD:
            tracked.last_at = deadline - LEAD
            self._lanes[job.kind].replan(tracked, now)

    def drop(self, job: JobRef) -> None:
        """Remove a job whose watch is over, if it is known."""
        if tracked := self._jobs.pop(job, None):
            self._lanes[job.kind].forget(tracked)

    def nudge(self, job: JobRef, now: float) -> None:
        """Poll a job before all others, no sooner than ``min_interval`` after its last poll."""
        if tracked := self._jobs.get(job):
            self._lanes[job.kind].nudge(tracked, now)

    def rely(self, job: JobRef, now: float, *, noticed: bool) -> None:
        """Poll a job less often while notices of its changes come and prove true; see :mod:`..webhook_claim`.

        Its gaps become about twice as long, but no longer than the longest gap, so polls still find every change.
        """
        tracked = self._jobs.get(job)
        weight = UNNOTICED if noticed else 1.0
        if tracked is not None and tracked.weight != weight:
            tracked.weight = weight
            self._lanes[job.kind].replan(tracked, now)

    # -- polls --------------------------------------------------------------------------------------------------------

    def pick(self, now: float, kinds: Collection[JobKind]) -> Poll | None:
        """Return the poll most worth a token of one of ``kinds`` and count it as sent; ``None`` if nothing is due."""
        queues = [queue for kind in kinds for queue in self._lanes[kind].due(now)]
        if not queues:
            return None
        entry = self._choose(queues, now)
        poll = self._lanes[entry.kind].send(entry, now)
        for queue in queues:
            queue.settle(now)
        return poll

    def most_worth(self, now: float, kinds: Collection[JobKind]) -> float:
        """Return the worth of the due poll of ``kinds`` that is worth the most, divided by the price of a request.

        It is infinite where a poll should not wait: it is urgent, or has passed its longest gap. So it is where nothing
        is due.
        """
        queues = [queue for kind in kinds for queue in self._lanes[kind].due(now)]
        for queue in queues:
            queue.settle(now)
        best = [queue.best() for queue in queues]
        if any(entry.level == TOP for entry in best) or any(queue.first_late()[1] is not None for queue in queues):
            return math.inf
        return max((entry.worth_at(now) for entry in best), default=math.inf) / self._policy.price

    def first_at(self, kind: JobKind, now: float) -> float:
        """Return the time, ``now`` at the earliest, at which :meth:`pick_first` finds a poll; infinite for never."""
        lane = self._lanes[kind]
        entry = lane.first(now)
        return math.inf if entry is None else max(lane.goes_at(entry), now)

    def pick_first(self, now: float, kinds: Collection[JobKind]) -> Poll | None:
        """Return the first poll of a job of one of ``kinds``, due or not, and count it as sent; ``None`` without one.

        Idle tokens are spent this way. Where several such jobs are expected on a page, the poll of the page is
        returned.
        """
        for kind in kinds:
            lane = self._lanes[kind]
            entry = lane.first(now)
            if entry is not None and lane.goes_at(entry) <= now:
                return lane.send(entry, now)
        return None

    def next_at(self, now: float, kinds: Collection[JobKind]) -> float:
        """Return the time, ``now`` at the earliest, at which :meth:`pick` finds a poll; infinite for never."""
        return min((self._lanes[kind].next_at(now) for kind in kinds), default=math.inf)

    def saw(
        self,
        poll: Poll,
        now: float,
        observations: Collection[Observation],
        *,
        next_cursor: str | None = None,
        ages: Sequence[float] = (),
    ) -> None:
        """Learn from a usable answer, whatever jobs it named, and plan the next polls of them.

        The answer to a page also names the next cursor. ``ages`` are those of some of its items, watched or not, in
        seconds and in the order of the list.
        """
        if isinstance(poll, PagePoll):
            self._saw_page(poll, now, observations, next_cursor, ages)
        else:
            self._saw_job(poll, now, observations)
        for outdated in self._renewal.renew(self._jobs.values()):
            self._lanes[outdated.kind].replan(outdated, now)

    def _saw_job(self, poll: JobPoll, now: float, observations: Collection[Observation]) -> None:
        """Learn from the answer to a poll of one job."""
        sent_for = poll.entry if isinstance(poll.entry, TrackedJob) else self._jobs.get(poll.job)
        if sent_for is not None and sent_for.level == IN_FLIGHT:
            sent_for.level = COVERED
        for observation in observations:
            about = sent_for if observation.job is poll.job else None
            if about is None or about.level == REMOVED:
                about = self._jobs.get(observation.job)
            if about is not None:
                self._saw_one(about, observation, now)

    def missed(self, poll: Poll, now: float, retry_at: float) -> None:
        """Plan the same poll again at ``retry_at``, because no usable answer came."""
        lane = self._lanes[poll.kind]
        if isinstance(poll, PagePoll):
            lane.missed_page(poll, now, retry_at)
        elif tracked := self._jobs.get(poll.job):
            lane.missed(tracked, now, retry_at)

    def refused(self, poll: PagePoll, now: float) -> None:
        """Move the jobs of a refused cursor back to the first page."""
        self._lanes[poll.kind].refused_page(poll, now)

    # -- inspection ---------------------------------------------------------------------------------------------------

    def explain(
        self, job: JobRef, now: float, *, rates: Mapping[JobKind, float], tokens: float, idle_at: float = math.inf
    ) -> Explanation | None:
        """Explain a job's next poll; return ``None`` when the job is not watched.

        ``rates`` are the requests/s of each kind that are allowed now, ``tokens`` what is left in the bucket. From
        ``idle_at`` on the tokens are idle for jobs of this kind.
        """
        tracked = self._jobs.get(job)
        if tracked is None:
            return None
        lag = present_gap(tracked, now, self._delays(rates)[job.kind]).lag
        page = page_of(tracked)
        return explain(tracked, page, self._policy, now, tokens=tokens, idle_at=idle_at, expected_lag=lag)

    def expected_lag(self, now: float, rates: Mapping[JobKind, float]) -> float | None:
        """Estimate how late ends will be known, in seconds, at ``rates`` requests/s; ``None`` when nothing is watched.

        A sample of the jobs represents all; see :mod:`.expected_lag`.
        """
        for lane in self._lanes.values():
            lane.settle(now)
        delays = self._delays(rates)
        sample = islice(self._jobs.values(), None, None, len(self._jobs) // SAMPLE + 1)
        return mean_lag(
            forecast(tracked, now, delays[tracked.job.kind], self._policy, self._lifetimes) for tracked in sample
        )

    def _delays(self, rates: Mapping[JobKind, float]) -> dict[JobKind, QueueDelay]:
        """Return how long a poll of each kind waits for its own budget and the shared one."""
        due = {kind: lane.expected_due() for kind, lane in self._lanes.items()}
        shared = sum(due.values()) / max(rates.values())
        return {
            kind: QueueDelay(max(count / rates[kind], shared), self._lanes[kind].served_worth.worth)
            for kind, count in due.items()
        }

    def due_now(self, now: float, kinds: Collection[JobKind] = _ALL) -> int:
        """Count the due polls of ``kinds``, of jobs and of pages."""
        return sum(len(queue) for queue in self._queues_at(now, kinds))

    def overdue(self, now: float, kinds: Collection[JobKind] = _ALL) -> float:
        """Return the most seconds by which a due entry of ``kinds`` exceeds its longest gap; 0 if no entry does."""
        queues = self._queues_at(now, kinds)
        for queue in queues:
            queue.settle(now)
        return max(now - min((queue.late_since() for queue in queues), default=math.inf), 0.0)

    def _queues_at(self, now: float, kinds: Collection[JobKind]) -> list[PollQueue]:
        """Return all queues of ``kinds``, after moving what is due by ``now`` into their levels."""
        for kind in kinds:
            self._lanes[kind].due(now)
        return [queue for kind in kinds for queue in self._lanes[kind].queues]

    def due_at(self, job: JobRef) -> float:
        """Return when a job's next poll is due, by itself or by its page; infinite while one is in flight."""
        tracked = self._jobs.get(job)
        if tracked is None:
            return math.inf
        entry: Entry = page_of(tracked) or tracked
        return math.inf if entry.level in {IN_FLIGHT, COVERED} else entry.due_at

    def was_due_at(self, job: JobRef) -> float:
        """Return when the job's poll in flight came due; infinite if no poll is in flight."""
        tracked = self._jobs.get(job)
        return tracked.due_at if tracked is not None and tracked.level == IN_FLIGHT else math.inf

    def polls_by(self, job: JobRef, by: float) -> bool:
        """Return whether the last poll of a job before its watch times out is in flight, or due by ``by``."""
        tracked = self._jobs.get(job)
        if tracked is None:
            return False
        entry: Entry = page_of(tracked) or tracked
        if entry.level == IN_FLIGHT or is_covered(tracked):
            return True
        return (tracked.urgent or tracked.last_at < math.inf) and entry.due_at <= by

    def is_over(self, job: JobRef) -> bool:
        """Return whether a list has reported the end of a job, which a poll of the job must still confirm."""
        tracked = self._jobs.get(job)
        return tracked is not None and tracked.over

    # -- inside -------------------------------------------------------------------------------------------------------

    def _choose(self, queues: list[PollQueue], now: float) -> Entry:
        """Return the entry of greatest worth or, when there is a choice, every so often the first found late."""
        self._turn += 1
        if self._turn % self._guard == 0 and (late := self._latest(queues)):
            return self._lanes[late.kind].instead_of(late, now)
        entry = queues[0].best()
        if len(queues) > 1:
            entry = _best([queue.best() for queue in queues], now)
        elif self._turn % SAMPLED:
            return self._lanes[entry.kind].instead_of(entry, now)
        lane = self._lanes[entry.kind]
        if entry.level < TOP:
            lane.served_worth.served(entry.worth_at(now))
        return lane.instead_of(entry, now)

    def _latest(self, queues: list[PollQueue]) -> Entry | None:
        """Return the entry that was first found late, or the page on which such a job is likely to be found.

        A page of a bare list does not come before the polls of jobs that the list has reported as over.
        """
        over = {best.kind for best in (queue.best() for queue in queues) if _is_over(best)}
        late = [queue.first_late() for queue in queues]
        _, entry = min((one for one in late if not _is_bare(one[1], over)), key=itemgetter(0), default=(math.inf, None))
        if isinstance(entry, TrackedJob) and entry.group is not None and entry.group.chance >= LIKELY:
            page = entry.group.page
            if page.level >= 0 and not _is_bare(page, over):
                return page
        return entry

    def _saw_one(self, tracked: TrackedJob, seen: Observation, now: float) -> None:
        if not tracked.known:
            self._lanes[tracked.kind].learn_age(tracked, seen, now)
        if seen.terminal:
            tracked.saw_end(seen, now, self._lifetimes)
            self.drop(tracked.job)
        else:
            tracked.saw_alive(seen, now, self._lifetimes)
            tracked.asked_at = now
            self._lanes[tracked.job.kind].saw(tracked, now)

    def _saw_page(
        self,
        poll: PagePoll,
        now: float,
        observations: Collection[Observation],
        next_cursor: str | None,
        ages: Sequence[float],
    ) -> None:
        alive, ended = self._learn_page(observations, now)
        lane = self._lanes[poll.kind]
        lane.read_page(poll, alive, ended, next_cursor, now, ages=ages)
        if not lane.is_bare:
            for tracked in ended:
                self._jobs.pop(tracked.job, None)

    def _learn_page(
        self, observations: Collection[Observation], now: float
    ) -> tuple[list[TrackedJob], list[TrackedJob]]:
        """Return the watched jobs that a page showed alive, and those that it showed over."""
        alive, ended = [], []
        jobs, lifetimes = self._jobs, self._lifetimes
        for seen in observations:
            tracked = jobs.get(seen.job)
            if tracked is None:
                continue
            if not tracked.known:
                self._lanes[tracked.kind].learn_age(tracked, seen, now)
            if seen.terminal:
                tracked.saw_end(seen, now, lifetimes)
                ended.append(tracked)
            else:
                tracked.saw_alive(seen, now, lifetimes)
                alive.append(tracked)
        return alive, ended


def _best(entries: Collection[Entry], now: float) -> Entry:
    """Return the entry of greatest worth. A level means a different worth in each queue.

    An urgent entry goes first. But a poll of a job that a list reported as over resolves one watch, and a page may
    resolve a hundred. So a page that is worth much more goes before such a poll. A page of a bare list resolves none.
    """
    urgent = [entry for entry in entries if entry.level == TOP]
    best = max(urgent or entries, key=lambda entry: entry.worth_at(now))
    if not (urgent and isinstance(best, TrackedJob) and all(_is_over(entry) for entry in urgent)):
        return best
    pages = [entry for entry in entries if isinstance(entry, PageEntry) and not entry.is_bare]
    page = max(pages, key=lambda entry: entry.worth_at(now), default=None)
    least = MANY_ENDS * worth(now - best.seen_at, math.inf)
    return page if page is not None and page.worth_at(now) > least else best


def _is_over(entry: Entry) -> bool:
    """Return whether a list has reported the end of a job."""
    return isinstance(entry, TrackedJob) and entry.over


def _is_bare(entry: Entry | None, kinds: Collection[JobKind]) -> bool:
    """Return whether an entry is a page of a bare list of one of these kinds."""
    return isinstance(entry, PageEntry) and entry.is_bare and entry.kind in kinds
