"""Which look is worth the next token, and when.

Each job has a life table and each look a worth (see :mod:`.lifetimes` and :mod:`.value`): a look is *due* when its
worth reaches ``policy.price``, no sooner than ``min_interval`` and no later than the longest gap after the last.
Nothing due: nothing is asked, and the request is saved. More due than tokens: each token goes to the greatest worth.

Serving by due time alone would be served ill under load, for most of what is due brings no news; serving by worth alone
starves those of whom little is expected (Kolobov et al., NeurIPS 2019, ask of a crawler that no page starves). So one
token in eight goes to what has passed its longest gap, first found first. Looks at a job are therefore at most
``longest gap + GUARD * late ones / rate`` apart. The price is never changed by the load: such a loop runs away.

Of a job that no poll has answered for yet, anything may be true: its page was reloaded, its client restarted. So the
first poll of each goes at once while tokens are idle (:meth:`Schedule.pick_first`), and by its worth when they are not.
A watch that is about to time out is polled once more just before (:data:`.tracked.LEAD`).

The same observations give the same decisions: nothing here reads a clock or rolls dice, and ties go to who came first.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping
from itertools import islice
from operator import itemgetter
from typing import Final

from ..models.state import JobKind, JobRef
from .agenda import TOP, Agenda
from .entry import FLYING, GONE, PARKED, Entry, Look, PageLook
from .expected_lag import SAMPLE, GoingRate, Queue, mean_lag, present_gap, prospect
from .explanation import Explanation, explain
from .lifetimes import Lifetimes
from .list_page import PAGE_SIZES
from .pages import GETS, LIKELY, Page, page_of
from .policy import PollPolicy
from .predict import FARTHEST, SOONEST, Source
from .sighting import Sighting
from .tracked import LEAD, UNNOTICED, Tracked
from .walk import Walk

GUARD: Final = 8
"""When more is due than can be served, one token in so many goes to what was first found late."""
SAMPLED: Final = 4
"""One look in so many, where there is no choice, tells what looks are worth of late."""
CALM: Final = 0.05
"""Seconds since the latest job came after which a page is worth reading for the sake of new ones."""
UNNOTED: Final = 4.0
"""Seconds: where nothing is known of so much of a job's life, its first poll does not tell how long it lasted."""
BARE_LISTS: Final = frozenset({JobKind.VIDEO})
"""Kinds whose list tells neither progress nor result: its looks are beside those at the jobs, not in their place, and
the end of a job that it tells is confirmed by a look at the job."""


class Schedule:
    """Watched jobs, what is known of them, and the order of looks.

    Parts of it can be exchanged, to measure what each is worth: ``lifetimes`` for what is learned, one in ``guard``
    tokens for what was first found late, ``gets`` for what a page costs (see :data:`.pages.GETS`).
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
        self._jobs: dict[JobRef, Tracked] = {}
        self._agendas = {kind: Agenda(policy.price, self._last_at) for kind in JobKind}
        self._walks = {
            kind: Walk(kind, size, policy, bare=kind in BARE_LISTS, gets=gets) for kind, size in pages.items()
        }
        self._lifetimes = lifetimes or Lifetimes()
        self._unpolled: dict[JobKind, deque[Tracked]] = {kind: deque() for kind in JobKind}
        """Jobs in the order in which they came; what has been polled since is passed over when its turn comes."""
        self._came_at = dict.fromkeys(JobKind, -math.inf)
        """When the latest of each kind came."""
        self._turn = 0
        self._going = {kind: GoingRate(policy.price) for kind in JobKind}

    def __len__(self) -> int:
        return len(self._jobs)

    # -- watches come and go ------------------------------------------------------------------------------------------

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
        """Begin to watch a job that was submitted ``age`` seconds ago; ``remaining`` is what the submit answer told.

        Nothing is known of its last ``unseen`` seconds: it may have ended. At ``deadline`` its watch times out.
        """
        self.drop(job)
        tracked = self._jobs[job] = Tracked(job, now - age if age else now, now)
        if unseen:
            tracked.seen_at = now - min(unseen, age, self._policy.longest_gap(age))
            tracked.teaches = unseen <= UNNOTED
        tracked.last_at = deadline - LEAD
        if remaining is not None and SOONEST <= remaining <= FARTHEST:
            tracked.believe(Source.ETA, remaining, now, self._lifetimes)
        else:
            tracked.believe(Source.AGE, 1.0, tracked.born_at, self._lifetimes)
        tracked.before -= self._lifetimes.over_at_first(job.kind)
        if walk := self._walks.get(job.kind):
            walk.presume(tracked, now)
        self._plan(tracked, now)
        self._unpolled[job.kind].append(tracked)
        self._came_at[job.kind] = now

    def expect_by(self, job: JobRef, deadline: float, now: float) -> None:
        """Have a job polled once more just before ``deadline``, the next time at which a watch of it times out."""
        tracked = self._jobs.get(job)
        if tracked is not None and deadline > now and tracked.last_at != deadline - LEAD:
            tracked.last_at = deadline - LEAD
            self._plan(tracked, now)
            if walk := self._walks.get(job.kind):
                walk.looked(tracked)

    def drop(self, job: JobRef) -> None:
        """Forget a job whose watch is over; an unknown one is none."""
        if tracked := self._jobs.pop(job, None):
            self._forget(tracked)

    def nudge(self, job: JobRef, now: float) -> None:
        """Look at a job before all others, no sooner than ``min_interval`` after the last look at it."""
        tracked = self._jobs.get(job)
        if tracked is not None and not tracked.urgent:
            tracked.urgent = True
            self._plan(tracked, now)

    def rely(self, job: JobRef, now: float, *, noticed: bool) -> None:
        """Look at a job less often while notices of its changes come, and prove true; see :mod:`.claim`.

        Its gaps are about twice as long, and no longer than the longest: looks remain the net.
        """
        tracked = self._jobs.get(job)
        weight = UNNOTICED if noticed else 1.0
        if tracked is not None and tracked.weight != weight:
            tracked.weight = weight
            self._plan(tracked, now)
            if walk := self._walks.get(job.kind):
                walk.looked(tracked)

    # -- looks --------------------------------------------------------------------------------------------------------

    def pick(self, now: float, kinds: Collection[JobKind]) -> Look | None:
        """Give the look most worth a token of one of ``kinds``; it counts as sent. ``None`` when nothing is due."""
        agendas = self._due(now, kinds)
        if not agendas:
            return None
        agenda, entry = self._choose(agendas, now)
        poll = self._send(agenda, entry, now)
        for other in agendas:
            other.settle(now)
        return poll

    def first_at(self, kind: JobKind, now: float) -> float:
        """Give the time, ``now`` at the earliest, at which :meth:`pick_first` finds a poll; infinite for never."""
        entry = self._first(kind, now)
        return math.inf if entry is None else max(self._goes_at(entry), now)

    def pick_first(self, now: float, kinds: Collection[JobKind]) -> Look | None:
        """Give the first poll of a job of one of ``kinds``, due or not; it counts as sent. ``None`` for no such job.

        This is for tokens that are idle. Where several such jobs are expected on a page, it is the page's poll.
        """
        firsts = (self._first(kind, now) for kind in kinds)
        entry = next((first for first in firsts if first is not None and self._goes_at(first) <= now), None)
        if entry is None:
            return None
        agenda = self._walks[entry.kind].agenda if isinstance(entry, Page) else self._agendas[entry.kind]
        return self._send(agenda, entry, now)

    def next_at(self, now: float, kinds: Collection[JobKind]) -> float:
        """Give the time, ``now`` at the earliest, at which :meth:`pick` finds a look; infinite for never."""
        return min((self._next_of(kind, now) for kind in kinds), default=math.inf)

    def saw(self, look: Look, now: float, sightings: Collection[Sighting], *, next_cursor: str | None = None) -> None:
        """Learn from a usable answer, whatever jobs it named, and plan the next looks at them."""
        if isinstance(look, PageLook):
            self._saw_page(look, now, sightings, next_cursor)
            return
        sent_for = look.entry if isinstance(look.entry, Tracked) else self._jobs.get(look.job)
        if sent_for is not None and sent_for.rung == FLYING:
            sent_for.rung = PARKED
        for sighting in sightings:
            about = sent_for if sighting.job is look.job else None
            if about is None or about.rung == GONE:
                about = self._jobs.get(sighting.job)
            if about is not None:
                self._saw_one(about, sighting, now)

    def missed(self, look: Look, now: float, retry_at: float) -> None:
        """Note that no usable answer came: the same look is due again at ``retry_at``."""
        if isinstance(look, PageLook):
            for job in self._walks[look.kind].missed(look, now, retry_at):
                self._plan(job, now)
            return
        tracked = self._jobs.get(look.job)
        if tracked is not None and tracked.rung == FLYING:
            tracked.not_before = now + self._policy.min_interval
            self._agendas[look.kind].put(tracked, max(retry_at, now))

    def refused(self, look: PageLook, now: float) -> None:
        """Note that the service does not take a cursor: its jobs go back to the first page."""
        for job in self._walks[look.kind].refused(look, now):
            self._plan(job, now)

    # -- what can be told of it ---------------------------------------------------------------------------------------

    def explain(
        self, job: JobRef, now: float, *, rates: Mapping[JobKind, float], tokens: float, idle_at: float = math.inf
    ) -> Explanation | None:
        """Tell what is known of a job's next look; ``None`` when the job is not watched.

        ``rates`` are the requests/s of each kind that are allowed now, ``tokens`` what is left in the bucket. From
        ``idle_at`` on they are idle, for jobs of this kind.
        """
        tracked = self._jobs.get(job)
        if tracked is None:
            return None
        lag = present_gap(tracked, now, self._queues(rates)[job.kind]).lag
        page = page_of(tracked)
        return explain(tracked, page, self._policy, now, tokens=tokens, idle_at=idle_at, expected_lag=lag)

    def expected_lag(self, now: float, rates: Mapping[JobKind, float]) -> float | None:
        """Estimate how late ends will be known, in seconds, at ``rates`` requests/s; ``None`` when nothing is watched.

        A sample of the jobs speaks for all; see :mod:`.expected_lag`.
        """
        for walk in self._walks.values():
            self._settle(walk, now)
        queues = self._queues(rates)
        sample = islice(self._jobs.values(), None, None, len(self._jobs) // SAMPLE + 1)
        return mean_lag(
            prospect(tracked, now, queues[tracked.job.kind], self._policy, self._lifetimes) for tracked in sample
        )

    def _queues(self, rates: Mapping[JobKind, float]) -> dict[JobKind, Queue]:
        """Give how long a look of each kind waits for the budget: of its own kind, and the one that all share."""
        due: dict[JobKind, float] = {kind: len(agenda) for kind, agenda in self._agendas.items()}
        for kind, walk in self._walks.items():
            due[kind] += len(walk.agenda) - min(walk.to_be_met(), due[kind]) * (1.0 - 1.0 / walk.size)
        shared = sum(due.values()) / max(rates.values())
        return {kind: Queue(max(count / rates[kind], shared), self._going[kind].worth) for kind, count in due.items()}

    def due_now(self, now: float) -> int:
        """Count the looks, at jobs and at pages, that are due."""
        self._due(now, tuple(JobKind))
        return sum(len(agenda) for agenda in self._all_agendas())

    def overdue(self, now: float, kinds: Collection[JobKind] = tuple(JobKind)) -> float:
        """Give by how many seconds the longest gap of anything due of ``kinds`` is exceeded, at most; 0 for none."""
        self._due(now, kinds)
        agendas = self._all_agendas(kinds)
        for agenda in agendas:
            agenda.settle(now)
        return max(now - min((agenda.late_since() for agenda in agendas), default=math.inf), 0.0)

    def due_at(self, job: JobRef) -> float:
        """Give the time at which a job's next look is due, by itself or by its page; infinite while one flies."""
        tracked = self._jobs.get(job)
        if tracked is None:
            return math.inf
        entry: Entry = page_of(tracked) or tracked
        return math.inf if entry.rung in {FLYING, PARKED} else entry.due_at

    def was_due_at(self, job: JobRef) -> float:
        """Give the time at which the look at a job that flies came due; infinite where none does."""
        tracked = self._jobs.get(job)
        return tracked.due_at if tracked is not None and tracked.rung == FLYING else math.inf

    def polls_by(self, job: JobRef, by: float) -> bool:
        """Tell whether the last poll of a job before its watch times out is on the wire, or due until ``by``."""
        tracked = self._jobs.get(job)
        if tracked is None:
            return False
        entry: Entry = page_of(tracked) or tracked
        if entry.rung == FLYING or _is_covered(tracked):
            return True
        return (tracked.urgent or tracked.last_at < math.inf) and entry.due_at <= by

    def is_over(self, job: JobRef) -> bool:
        """Tell whether a list has told the end of a job, which a poll of the job is yet to confirm."""
        tracked = self._jobs.get(job)
        return tracked is not None and tracked.over

    # -- inside -------------------------------------------------------------------------------------------------------

    def _first(self, kind: JobKind, now: float) -> Entry | None:
        """Give what the first poll of the job that came first would ask for: its page, or the job itself.

        There is no such poll while a page is on the wire that may show the job.
        """
        unpolled = self._unpolled[kind]
        while unpolled and not unpolled[0].is_unpolled:
            unpolled.popleft()
        if not unpolled or _is_covered(unpolled[0]):
            return None
        tracked, walk = unpolled[0], self._walks.get(kind)
        if walk is None or kind in BARE_LISTS or tracked.group is None or not tracked.group.is_crowded:
            return tracked
        self._settle(walk, now)
        page = tracked.group.page
        return page if page.rung > PARKED else None

    def _goes_at(self, entry: Entry) -> float:
        """Give the time from which a first poll may go: a page waits until no more jobs are coming in."""
        if not isinstance(entry, Page):
            return -math.inf
        return max(self._came_at[entry.kind] + CALM, entry.earliest(self._policy.min_interval))

    def _send(self, agenda: Agenda, entry: Entry, now: float) -> Look:
        """Note that an entry is polled, and give the poll."""
        agenda.remove(entry, FLYING)
        if isinstance(entry, Page):
            self._walks[entry.kind].sent(entry, now)
        elif isinstance(entry, Tracked):
            if entry.last_at <= now:
                entry.last_at = math.inf
            if walk := self._walks.get(entry.job.kind):
                walk.looked(entry)
        return entry.send()

    def _all_agendas(self, kinds: Collection[JobKind] = tuple(JobKind)) -> list[Agenda]:
        walks = (self._walks[kind].agenda for kind in kinds if kind in self._walks)
        return [*(self._agendas[kind] for kind in kinds), *walks]

    def _last_at(self, entry: Entry) -> float:
        """Give the time by which a job that is due is to be polled: its longest gap ends, or its watch times out."""
        if not isinstance(entry, Tracked):
            return math.inf
        at = entry.seen_at + self._policy.longest_gap(entry.due_at - entry.born_at)
        return at if at < entry.last_at else entry.last_at

    def _next_of(self, kind: JobKind, now: float) -> float:
        """Give the time at which a look of one kind is to be sent."""
        walk = self._walks.get(kind)
        if walk is None:
            return max(self._agendas[kind].next_at(), now)
        self._settle(walk, now)
        return walk.gives_way_at(max(min(walk.agenda.next_at(), self._agendas[kind].next_at()), now))

    def _due(self, now: float, kinds: Collection[JobKind]) -> list[Agenda]:
        due = []
        for kind in kinds:
            if walk := self._walks.get(kind):
                self._settle(walk, now)
                if walk.gives_way_at(now) > now:
                    continue
                if walk.agenda.due_by(now):
                    due.append(walk.agenda)
            agenda = self._agendas[kind]
            if agenda.due_by(now):
                due.append(agenda)
        return due

    def _settle(self, walk: Walk, now: float) -> None:
        for tracked in walk.settle(now):
            if tracked.rung == PARKED and walk.kind not in BARE_LISTS:
                self._plan_alone(tracked, now)

    def _choose(self, agendas: list[Agenda], now: float) -> tuple[Agenda, Entry]:
        """Take the greatest worth, and when there is a choice every so often what was first found late."""
        self._turn += 1
        if self._turn % self._guard == 0 and (late := self._latest(agendas)):
            return late
        agenda = agendas[0]
        entry = agenda.best()
        if len(agendas) > 1:
            agenda, entry = max(((agenda, agenda.best()) for agenda in agendas), key=lambda pair: _rank(pair[1], now))
        elif self._turn % SAMPLED:
            return agenda, entry
        if entry.rung < TOP:
            self._going[entry.kind].served(entry.worth_at(now))
        return agenda, entry

    def _latest(self, agendas: list[Agenda]) -> tuple[Agenda, Entry] | None:
        """Give the entry that was first found late, or the page on which such a job is likely to be met."""
        _, entry, agenda = min(((*agenda.first_late(), agenda) for agenda in agendas), key=itemgetter(0))
        if entry is None:
            return None
        if isinstance(entry, Tracked) and entry.group is not None and entry.group.chance >= LIKELY:
            page = entry.group.page
            if page.rung >= 0 and page.weight == 1.0:
                return self._walks[page.kind].agenda, page
        return agenda, entry

    def _saw_one(self, tracked: Tracked, seen: Sighting, now: float) -> None:
        if seen.terminal:
            tracked.saw_end(seen, now, self._lifetimes)
            self.drop(tracked.job)
            return
        tracked.saw_alive(seen, now, self._lifetimes)
        self._plan(tracked, now)
        if walk := self._walks.get(tracked.job.kind):
            walk.looked(tracked)
            walk.retry(now)

    def _saw_page(self, look: PageLook, now: float, sightings: Collection[Sighting], next_cursor: str | None) -> None:
        alive, ended = self._learn_page(sightings, now)
        loose = self._walks[look.kind].read(look, alive, ended, next_cursor, now)
        if look.kind in BARE_LISTS:
            for tracked in ended:
                self.nudge(tracked.job, now)
        else:
            agenda = self._agendas[look.kind]
            for tracked in alive:
                if tracked.rung > PARKED and not tracked.urgent:
                    agenda.remove(tracked)
            for tracked in ended:
                self.drop(tracked.job)
        for tracked in loose:
            if tracked.rung == PARKED:
                self._plan(tracked, now)

    def _learn_page(self, sightings: Collection[Sighting], now: float) -> tuple[list[Tracked], list[Tracked]]:
        """Give the watched jobs that a page showed alive, and those that it showed over."""
        alive, ended = [], []
        jobs, lifetimes = self._jobs, self._lifetimes
        for seen in sightings:
            tracked = jobs.get(seen.job)
            if tracked is None:
                continue
            if seen.terminal:
                tracked.saw_end(seen, now, lifetimes)
                ended.append(tracked)
            else:
                tracked.saw_alive(seen, now, lifetimes)
                alive.append(tracked)
        return alive, ended

    def _plan(self, tracked: Tracked, now: float) -> None:
        """Work out when a job's next look is due, unless a page answers for it or one is on the wire."""
        if tracked.rung == FLYING:
            return
        agenda = self._agendas[tracked.job.kind]
        if tracked.urgent:
            shortest = self._policy.min_interval if tracked.known else 0.0
            agenda.put(tracked, max(now, tracked.seen_at + shortest, tracked.not_before))
            return
        if tracked.group is not None and tracked.group.placed and tracked.job.kind not in BARE_LISTS:
            agenda.remove(tracked)
            return
        self._plan_alone(tracked, now)

    def _plan_alone(self, tracked: Tracked, now: float) -> None:
        """Work out when a look at a job by itself is due."""
        policy = self._policy
        gap = tracked.gap_worth(policy.price, policy.longest_gap(now - tracked.born_at))
        if tracked.known and gap < policy.min_interval:  # there is no shortest gap before the first look
            gap = policy.min_interval
        due_at = tracked.seen_at + gap
        if tracked.last_at < due_at:
            due_at = max(tracked.last_at, tracked.seen_at + policy.min_interval if tracked.known else 0.0)
        self._agendas[tracked.job.kind].put(tracked, due_at if due_at > tracked.not_before else tracked.not_before)

    def _forget(self, tracked: Tracked) -> None:
        self._agendas[tracked.job.kind].remove(tracked, GONE)
        if tracked.group is not None:
            self._walks[tracked.job.kind].leave(tracked)


def _is_covered(tracked: Tracked) -> bool:
    """Tell whether a page is on the wire that may show the job."""
    group = tracked.group
    return group is not None and group.page.rung == FLYING and group is not group.page.drifting


def _rank(entry: Entry, now: float) -> tuple[bool, float]:
    """Compare by worth: rungs are of another height in each agenda."""
    return entry.rung == TOP, entry.worth_at(now)
