"""A service, its lists and a bucket, as the schedule sees them: in virtual time, without asyncio."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from topaz_status.core.observation import Observation
from topaz_status.core.policy import PollPolicy
from topaz_status.core.schedule.entry import JobPoll, PagePoll, Poll
from topaz_status.core.schedule.explanation import Explanation
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.models.job import JobKind, JobRef

KINDS = tuple(JobKind)
POLICY = PollPolicy()


def job(number: int, kind: JobKind = JobKind.TRY_ON) -> JobRef:
    """Name a job."""
    return JobRef(kind, f"job-{number}")


def alive(ref: JobRef, **reported: float) -> Observation:
    """See that a job goes on."""
    return Observation(ref, terminal=False, running=True, **reported)


def ended(ref: JobRef) -> Observation:
    """See that a job is over."""
    return Observation(ref, terminal=True, running=False)


def explain(schedule: Schedule, ref: JobRef, now: float) -> Explanation | None:
    """Ask a schedule that has 10 requests/s and a full bucket."""
    return schedule.explain(ref, now, rates=dict.fromkeys(KINDS, 10.0), tokens=10.0)


class World:
    """A service and a bucket of ``rate`` in virtual time; it never jumps but to a time the schedule named."""

    def __init__(
        self, rate: float = 10.0, pages: dict[JobKind, int] | None = None, policy: PollPolicy = POLICY
    ) -> None:
        self.schedule = Schedule(policy, pages=pages or {})
        self.rate = rate
        self.now = 0.0
        self.ends: dict[JobRef, float] = {}
        self.polled: dict[JobRef, list[float]] = {}
        self.found: dict[JobRef, float] = {}
        self.log: list[tuple[float, object]] = []
        self.listed: list[JobRef] = []
        self.reported: dict[JobRef, dict[str, float]] = {}

    def add(self, ref: JobRef, lasts: float, *, listed: bool = True) -> None:
        self.ends[ref] = self.now + lasts
        self.polled[ref] = [self.now]
        if listed:
            self.listed.append(ref)
        self.schedule.add(ref, self.now)

    def observation(self, ref: JobRef) -> Observation:
        if self.now >= self.ends[ref]:
            return ended(ref)
        return alive(ref, **self.reported.get(ref, {}))

    def answer(self, poll: object) -> None:
        if isinstance(poll, JobPoll):
            self.note(poll.job)
            self.schedule.saw(poll, self.now, [self.observation(poll.job)])
            return
        assert isinstance(poll, PagePoll)
        refs = [ref for ref in reversed(self.listed) if ref.kind is poll.kind]
        begin = int(poll.cursor or 0)
        shown = refs[begin : begin + poll.limit]
        for ref in shown:
            self.note(ref)
        cursor = str(begin + poll.limit) if begin + poll.limit < len(refs) else None
        self.schedule.saw(poll, self.now, [self.observation(ref) for ref in shown], next_cursor=cursor)

    def note(self, ref: JobRef) -> None:
        if ref not in self.found:
            self.polled[ref].append(self.now)
            if self.now >= self.ends[ref]:
                self.found[ref] = self.now

    def run(self, until: float) -> None:
        while True:
            at = self.schedule.next_at(self.now, KINDS)
            if at > until:
                self.now = until
                return
            self.now = at
            poll = self.schedule.pick(self.now, KINDS)
            assert poll is not None, "next_at named a time at which nothing was due"
            self.log.append((self.now, poll))
            self.answer(poll)
            self.now += 1.0 / self.rate


class Chaos(World):
    """Calls the schedule in any order: answers late, loses answers, drops, nudges, jumps ahead."""

    def __init__(self, data: st.DataObject) -> None:
        super().__init__(10.0, {JobKind.IMAGE: 4, JobKind.VIDEO: 3})
        self.data = data
        self.flights: list[Poll] = []

    def step(self, number: int) -> None:
        action = self.data.draw(
            st.sampled_from(
                ["come", "pick", "pick", "first", "land", "miss", "refuse", "go", "notice", "expect", "wait"]
            )
        )
        getattr(self, action)(number)
        for ref in self.ends:
            explain(self.schedule, ref, self.now)

    def come(self, number: int) -> None:
        self.add(
            job(number, self.data.draw(st.sampled_from(KINDS))),
            self.data.draw(st.floats(0.1, 60.0)),
            listed=self.data.draw(st.booleans()),
        )

    def pick(self, _number: int) -> None:
        kinds = sorted(self.data.draw(st.sets(st.sampled_from(KINDS), min_size=1)))
        at = self.schedule.next_at(self.now, kinds)
        if at > self.now:
            between = min((self.now + at) / 2, self.now + 1e6)
            assert between == at or self.schedule.pick(between, kinds) is None
        if at < math.inf:
            self.now = at
            poll = self.schedule.pick(at, kinds)
            assert poll is not None
            assert poll.kind in kinds
            self.flights.append(poll)

    def first(self, _number: int) -> None:
        kinds = sorted(self.data.draw(st.sets(st.sampled_from(KINDS), min_size=1)))
        there = any(self.schedule.first_at(kind, self.now) <= self.now for kind in kinds)
        poll = self.schedule.pick_first(self.now, kinds)
        assert (poll is not None) == there
        if poll is not None:
            assert poll.kind in kinds
            self.flights.append(poll)

    def expect(self, _number: int) -> None:
        if self.ends:
            ref = self.data.draw(st.sampled_from(sorted(self.ends)))
            self.schedule.expect_by(ref, self.now + self.data.draw(st.floats(-5.0, 60.0)), self.now)

    def landing(self) -> Poll | None:
        return self.flights.pop(self.data.draw(st.integers(0, len(self.flights) - 1))) if self.flights else None

    def land(self, _number: int) -> None:
        if poll := self.landing():
            self.answer(poll)

    def miss(self, _number: int) -> None:
        if poll := self.landing():
            self.schedule.missed(poll, self.now, self.now + self.data.draw(st.floats(0.0, 10.0)))

    def refuse(self, _number: int) -> None:
        poll = self.landing()
        if isinstance(poll, PagePoll):
            self.schedule.refused(poll, self.now)
        elif poll:
            self.answer(poll)

    def go(self, _number: int) -> None:
        if self.ends:
            self.schedule.drop(self.data.draw(st.sampled_from(sorted(self.ends))))

    def notice(self, _number: int) -> None:
        if self.ends:
            self.schedule.nudge(self.data.draw(st.sampled_from(sorted(self.ends))), self.now)

    def wait(self, _number: int) -> None:
        self.now += self.data.draw(st.floats(0.0, 30.0))
