"""What the schedule promises, whatever the services say and in whatever order."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status.core.lifetimes import EDGES, LifeTable, Lifetimes
from topaz_status.core.looks import JobLook, Look, PageLook
from topaz_status.core.policy import PollPolicy
from topaz_status.core.schedule import GUARD, Schedule
from topaz_status.core.sighting import Sighting
from topaz_status.core.value import gap_worth, worth
from topaz_status.models.state import JobKind, JobRef

KINDS = tuple(JobKind)
POLICY = PollPolicy()


def job(number: int, kind: JobKind = JobKind.TRY_ON) -> JobRef:
    return JobRef(kind, f"job-{number}")


def alive(ref: JobRef, **told: float) -> Sighting:
    return Sighting(ref, terminal=False, running=True, **told)  # type: ignore[arg-type]


def ended(ref: JobRef) -> Sighting:
    return Sighting(ref, terminal=True, running=False)


class World:
    """A service and a bucket of ``rate`` in virtual time; it never jumps but to a time the schedule named."""

    def __init__(
        self, rate: float = 10.0, pages: dict[JobKind, int] | None = None, policy: PollPolicy = POLICY
    ) -> None:
        self.schedule = Schedule(policy, pages=pages or {})
        self.rate = rate
        self.now = 0.0
        self.ends: dict[JobRef, float] = {}
        self.looked: dict[JobRef, list[float]] = {}
        self.found: dict[JobRef, float] = {}
        self.log: list[tuple[float, object]] = []
        self.listed: list[JobRef] = []
        self.told: dict[JobRef, dict[str, float]] = {}

    def add(self, ref: JobRef, lasts: float, *, listed: bool = True) -> None:
        self.ends[ref] = self.now + lasts
        self.looked[ref] = [self.now]
        if listed:
            self.listed.append(ref)
        self.schedule.add(ref, self.now)

    def sight(self, ref: JobRef) -> Sighting:
        if self.now >= self.ends[ref]:
            return ended(ref)
        return alive(ref, **self.told.get(ref, {}))

    def answer(self, look: object) -> None:
        if isinstance(look, JobLook):
            self.note(look.job)
            self.schedule.saw(look, self.now, [self.sight(look.job)])
            return
        assert isinstance(look, PageLook)
        refs = [ref for ref in reversed(self.listed) if ref.kind is look.kind]
        begin = int(look.cursor or 0)
        shown = refs[begin : begin + look.limit]
        for ref in shown:
            self.note(ref)
        cursor = str(begin + look.limit) if begin + look.limit < len(refs) else None
        self.schedule.saw(look, self.now, [self.sight(ref) for ref in shown], next_cursor=cursor)

    def note(self, ref: JobRef) -> None:
        if ref not in self.found:
            self.looked[ref].append(self.now)
            if self.now >= self.ends[ref]:
                self.found[ref] = self.now

    def run(self, until: float) -> None:
        while True:
            at = self.schedule.next_at(self.now, KINDS)
            if at > until:
                self.now = until
                return
            self.now = at
            look = self.schedule.pick(self.now, KINDS)
            assert look is not None, "next_at named a time at which nothing was due"
            self.log.append((self.now, look))
            self.answer(look)
            self.now += 1.0 / self.rate


# -- worth ------------------------------------------------------------------------------------------------------------


def constant(hazard: float) -> LifeTable:
    return LifeTable(lambda x: math.exp(-hazard * x), 1e9)


@given(st.floats(0.001, 1.0), st.floats(0.02, 1.0))
def test_a_constant_hazard_gives_keller_s_square_root(hazard: float, price: float) -> None:
    """Where jobs end at a constant rate, looks are sqrt(2 price / hazard) apart, while that is well below a lifetime."""
    curve = LifeTable(lambda x: math.exp(-min(hazard * x, 600.0)), 1e9).curve
    gap = gap_worth(price, curve, 0.0, 0.0, 1.0, most=1e5)
    assert worth(gap, hazard * gap) == pytest.approx(price, rel=0.05)
    if hazard * gap < 0.3:
        assert gap == pytest.approx(math.sqrt(2.0 * price / hazard), rel=0.12)


def test_scale_free_lives_are_looked_at_with_the_square_root_of_the_age() -> None:
    """Where the hazard falls as 1 / age, a job four times as old is looked at half as often."""
    curve = LifeTable(lambda x: 1.0 / (1.0 + x), 1e9).curve
    gaps = [gap_worth(0.1, curve, age, curve.hazard_before(age), 1.0, most=1e5) for age in (100.0, 400.0, 1600.0)]
    assert gaps[1] / gaps[0] == pytest.approx(2.0, rel=0.05)
    assert gaps[2] / gaps[1] == pytest.approx(2.0, rel=0.05)


@given(st.floats(0.0, 50.0), st.floats(0.05, 20.0), st.floats(0.02, 5.0))
def test_the_gap_is_where_the_worth_is_reached(start: float, scale: float, price: float) -> None:
    """The gap that is worked out is the one at which a look is worth what was asked for."""
    curve = Lifetimes().table(JobKind.IMAGE, 1, scale).curve  # type: ignore[arg-type]
    before, rate = curve.hazard_before(start), 1.0 / scale
    gap = gap_worth(price, curve, start, before, rate, most=1e4)
    if gap < 1e4:
        assert worth(gap, curve.hazard_before(start + gap * rate) - before) == pytest.approx(price, rel=0.15)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.booleans()), max_size=200))
def test_a_curve_only_rises(lives: list[tuple[float, float, bool]]) -> None:
    """Whatever is learned, no hazard is negative and survival never grows."""
    table = LifeTable(lambda x: 1.0 / (1.0 + x), 2.0)
    for x0, more, died in lives:
        (table.died if died else table.lived)(x0, x0 + more)
    assert all(h >= 0.0 for h in table.curve.slope)
    assert all(a <= b for a, b in zip(table.curve.total, table.curve.total[1:], strict=False))


def test_a_table_learns_a_law_with_its_survivors() -> None:
    """Jobs seen only up to an age count as survivors: the early finishers of a burst do not bias the law."""
    table = LifeTable(lambda x: (1.0 + x / 20.0) ** -0.8, 2.0)
    for _ in range(60):
        table.died(0.0, 5.0)
    for _ in range(940):
        table.lived(0.0, 10.0)
    assert math.exp(-table.curve.hazard_before(9.0)) == pytest.approx(0.94, abs=0.02)


def test_edges_are_sorted() -> None:
    """The bins follow one another."""
    assert list(EDGES) == sorted(set(EDGES))


# -- guarantees -------------------------------------------------------------------------------------------------------

lives = st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0.1, 400.0), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(lives, st.floats(1.0, 20.0), st.booleans())
def test_looks_are_apart_by_no_more_than_the_bound(
    jobs: list[tuple[JobKind, float, bool]], rate: float, paged: bool
) -> None:
    """No job is unseen for longer than its longest gap and the time the guard takes to come round."""
    world = World(rate, {JobKind.IMAGE: 10, JobKind.VIDEO: 5} if paged else None)
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    world.run(800.0)
    slack = (GUARD * (len(jobs) + 10) + 20) / rate
    for times in world.looked.values():
        for before, after in pairwise(times):
            assert after - before <= POLICY.longest_gap(after) + slack


@settings(max_examples=60, deadline=None)
@given(lives, st.floats(1.0, 20.0))
def test_every_job_that_ends_is_found(jobs: list[tuple[JobKind, float, bool]], rate: float) -> None:
    """Listed or not, early or late: each end is met, and looking stops with it."""
    world = World(rate, {JobKind.IMAGE: 10, JobKind.VIDEO: 5})
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    world.run(3_000.0)
    assert set(world.found) == set(world.ends)
    assert len(world.schedule) == 0
    assert world.schedule.next_at(world.now, KINDS) == math.inf or not world.schedule.pick(1e9, KINDS)


@settings(max_examples=30, deadline=None)
@given(lives)
def test_the_same_observations_give_the_same_decisions(jobs: list[tuple[JobKind, float, bool]]) -> None:
    """Two schedules told the same ask for the same."""
    logs = []
    for _ in range(2):
        world = World(5.0, {JobKind.IMAGE: 10, JobKind.VIDEO: 5})
        for number, (kind, lasts, listed) in enumerate(jobs):
            world.add(job(number, kind), lasts, listed=listed)
        world.run(300.0)
        logs.append(world.log)
    assert logs[0] == logs[1]


class Chaos(World):
    """Does what it is told in any order: answers late, loses answers, drops, nudges, jumps ahead."""

    def __init__(self, data: st.DataObject) -> None:
        super().__init__(10.0, {JobKind.IMAGE: 4, JobKind.VIDEO: 3})
        self.data = data
        self.flights: list[Look] = []

    def step(self, number: int) -> None:
        action = self.data.draw(
            st.sampled_from(["come", "pick", "pick", "land", "miss", "refuse", "go", "notice", "wait"])
        )
        getattr(self, action)(number)
        for ref in self.ends:
            self.schedule.explain(ref, self.now)

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
            look = self.schedule.pick(at, kinds)
            assert look is not None
            assert look.kind in kinds
            self.flights.append(look)

    def landing(self) -> Look | None:
        return self.flights.pop(self.data.draw(st.integers(0, len(self.flights) - 1))) if self.flights else None

    def land(self, _number: int) -> None:
        if look := self.landing():
            self.answer(look)

    def miss(self, _number: int) -> None:
        if look := self.landing():
            self.schedule.missed(look, self.now, self.now + self.data.draw(st.floats(0.0, 10.0)))

    def refuse(self, _number: int) -> None:
        look = self.landing()
        if isinstance(look, PageLook):
            self.schedule.refused(look, self.now)
        elif look:
            self.answer(look)

    def go(self, _number: int) -> None:
        if self.ends:
            self.schedule.drop(self.data.draw(st.sampled_from(sorted(self.ends))))

    def notice(self, _number: int) -> None:
        if self.ends:
            self.schedule.nudge(self.data.draw(st.sampled_from(sorted(self.ends))), self.now)

    def wait(self, _number: int) -> None:
        self.now += self.data.draw(st.floats(0.0, 30.0))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_next_at_never_lies(data: st.DataObject) -> None:
    """At the time that was named something is picked, and nothing before it."""
    world = Chaos(data)
    for number in range(data.draw(st.integers(1, 60))):
        world.step(number)


# -- single rules -----------------------------------------------------------------------------------------------------


def test_a_new_job_is_looked_at_soon() -> None:
    """Nothing is known of it: it may be over already."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 100.0)
    assert 100.0 < schedule.next_at(100.0, KINDS) < 101.5


def test_first_looks_hasten_when_jobs_prove_to_be_over() -> None:
    """Where the jobs that are watched anew have ended, each is asked for at once."""
    schedule = Schedule(POLICY, pages={})
    for number in range(50):
        schedule.add(job(number), 0.0)
        schedule.saw(JobLook(job(number)), 0.3, [ended(job(number))])
    schedule.add(job(99), 10.0)
    assert schedule.next_at(10.0, KINDS) - 10.0 < 0.3


def test_no_job_is_looked_at_before_min_interval() -> None:
    """A nudge goes before everything else, and yet keeps the distance."""
    schedule = Schedule(PollPolicy(min_interval=2.0), pages={})
    schedule.add(job(1), 0.0)
    schedule.saw(JobLook(job(1)), 5.0, [alive(job(1), remaining=0.1)])
    schedule.nudge(job(1), 5.5)
    assert schedule.next_at(5.5, KINDS) == 7.0
    assert schedule.pick(7.0, KINDS) == JobLook(job(1))


def test_a_nudge_goes_first() -> None:
    """Of many that are due the nudged one is picked."""
    schedule = Schedule(POLICY, pages={})
    for number in range(100):
        schedule.add(job(number), 0.0)
    schedule.nudge(job(77), 50.0)
    assert schedule.pick(50.0, KINDS) == JobLook(job(77))


def test_a_nudge_goes_before_a_burst() -> None:
    """However many are due before it."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    for number in range(5_000):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    schedule.nudge(job(4_999, JobKind.IMAGE), 50.0)
    assert schedule.pick(50.0, KINDS) == JobLook(job(4_999, JobKind.IMAGE))


def test_a_nudge_while_a_look_is_on_the_wire_asks_for_another() -> None:
    """What the notice tells may be newer than what the look will see."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    look = schedule.pick(5.0, KINDS)
    assert look is not None
    schedule.nudge(job(1), 5.05)
    assert schedule.next_at(5.05, KINDS) == math.inf
    schedule.saw(look, 5.1, [alive(job(1), remaining=500.0)])
    assert schedule.next_at(5.1, KINDS) == 5.1 + POLICY.min_interval


def test_only_kinds_with_a_token_are_picked() -> None:
    """A service that is held back holds back nobody else."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1, JobKind.IMAGE), 0.0)
    schedule.add(job(2, JobKind.VIDEO), 0.0)
    look = schedule.pick(60.0, [JobKind.VIDEO])
    assert look == JobLook(job(2, JobKind.VIDEO))
    assert schedule.pick(60.0, [JobKind.VIDEO]) is None
    assert schedule.next_at(60.0, [JobKind.VIDEO]) == math.inf


def test_many_jobs_are_asked_for_by_page() -> None:
    """A burst is met by the list, not one by one."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(1000):
        world.add(job(number, JobKind.IMAGE), 30.0 + number % 7)
    world.run(60.0)
    count = Counter(type(look).__name__ for _, look in world.log)
    assert len(world.found) == 1000
    assert count["PageLook"] > 10 * count["JobLook"]


def test_a_job_missing_from_the_list_is_not_finished() -> None:
    """Absence says nothing: the job is asked for by itself."""
    world = World(10.0, {JobKind.IMAGE: 10})
    for number in range(10):
        world.add(job(number, JobKind.IMAGE), 1e6, listed=number > 0)
    world.run(60.0)
    assert len(world.schedule) == 10
    assert JobLook(job(0, JobKind.IMAGE)) in [look for _, look in world.log]


def test_repeating_cursors_end_the_walk() -> None:
    """A list that names the same pages for ever is not walked for ever, and loses no job."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 10})
    refs = [job(number, JobKind.IMAGE) for number in range(50)]
    for ref in refs:
        schedule.add(ref, 0.0)
    now, pages = 0.0, 0
    cursors = {None: "a", "a": "b", "b": "a"}
    for _ in range(300):
        now = max(schedule.next_at(now, KINDS), now)
        look = schedule.pick(now, KINDS)
        assert look is not None
        now += 0.1
        if isinstance(look, PageLook):
            pages += 1
            schedule.saw(look, now, [], next_cursor=cursors[look.cursor])
        else:
            schedule.saw(look, now, [alive(look.job)])
    assert pages <= 3
    assert len(schedule) == 50


def test_endless_empty_pages_end_the_walk() -> None:
    """A list that always names a new page, with none of ours on it, is given up."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 10})
    for number in range(50):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    now, pages = 0.0, 0
    for step in range(300):
        now = max(schedule.next_at(now, KINDS), now)
        look = schedule.pick(now, KINDS)
        assert look is not None
        now += 0.1
        if isinstance(look, PageLook):
            pages += 1
            schedule.saw(look, now, [], next_cursor=f"page-{step}")
        else:
            schedule.saw(look, now, [alive(look.job)])
    assert pages <= 10


def test_a_refused_cursor_sends_its_jobs_to_the_first_page() -> None:
    """The jobs of a page that cannot be had are looked for from the first page, and by themselves."""
    world = World(10.0, {JobKind.IMAGE: 10})
    for number in range(30):
        world.add(job(number, JobKind.IMAGE), 1e6)
    world.run(3.0)
    while True:
        world.now = world.schedule.next_at(world.now, KINDS)
        look = world.schedule.pick(world.now, KINDS)
        if isinstance(look, PageLook) and look.cursor:
            break
        world.answer(look)
    world.schedule.refused(look, world.now)
    world.run(60.0)
    assert all(times[-1] > 30.0 for times in world.looked.values())


def test_a_list_that_fails_is_done_without() -> None:
    """While the list does not answer, the jobs are asked for by themselves, and the list is tried ever more rarely."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    for number in range(100):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    now, tried, seen = 0.0, [], set()
    while now < 300.0:
        now = max(schedule.next_at(now, KINDS), now)
        look = schedule.pick(now, KINDS)
        assert look is not None
        now += 0.1
        if isinstance(look, PageLook):
            tried.append(now)
            schedule.missed(look, now, now + 1.0)
        else:
            seen.add(look.job)
            schedule.saw(look, now, [alive(look.job)])
    assert len(seen) == 100
    assert 2 <= len(tried) <= 10


def test_the_end_of_a_video_in_its_history_is_confirmed_by_a_look() -> None:
    """The history has no download link: it is a reason to look at once, not an end."""
    schedule = Schedule(POLICY, pages={JobKind.VIDEO: 50})
    refs = [job(number, JobKind.VIDEO) for number in range(3)]
    for ref in refs:
        schedule.add(ref, 0.0)
        schedule.saw(JobLook(ref), 1.0, [alive(ref, progress=0.01)])
    schedule.saw(PageLook(JobKind.VIDEO, None, 50), 2.0, [alive(refs[0]), ended(refs[1]), alive(refs[2])])
    assert len(schedule) == 3
    at = schedule.next_at(2.0, KINDS)
    assert at <= 2.0 + POLICY.min_interval
    assert schedule.pick(at, KINDS) == JobLook(refs[1])


def test_a_foreign_job_is_nothing() -> None:
    """Lists show other people's jobs: they are not taken up."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    schedule.add(job(1, JobKind.IMAGE), 0.0)
    schedule.saw(PageLook(JobKind.IMAGE, None, 100), 1.0, [alive(job(2, JobKind.IMAGE)), ended(job(3, JobKind.IMAGE))])
    assert len(schedule) == 1


def test_a_missed_look_is_retried_when_it_was_told() -> None:
    """No sooner than ``retry_at``."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    look = schedule.pick(5.0, KINDS)
    assert look is not None
    schedule.missed(look, 5.1, 9.25)
    assert schedule.next_at(5.1, KINDS) == 9.25


def test_dropping_what_is_unknown_does_nothing() -> None:
    """Also twice."""
    schedule = Schedule(POLICY, pages={})
    schedule.drop(job(1))
    schedule.add(job(1), 0.0)
    schedule.drop(job(1))
    schedule.drop(job(1))
    assert schedule.next_at(0.0, KINDS) == math.inf


def test_an_answer_for_a_dropped_job_is_ignored() -> None:
    """The watch may end while the look is on the wire."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    look = schedule.pick(10.0, KINDS)
    assert look is not None
    schedule.drop(job(1))
    schedule.saw(look, 10.1, [alive(job(1))])
    schedule.missed(look, 10.1, 11.0)
    assert schedule.next_at(10.1, KINDS) == math.inf


@pytest.mark.parametrize("age", [0.0, 100.0, 5000.0])
def test_an_explanation_says_when_and_why(age: float) -> None:
    """A person can read what the schedule thinks."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0, age=age, remaining=40.0)
    told = schedule.explain(job(1), 0.5)
    assert told is not None
    assert told.due_in == pytest.approx(schedule.next_at(0.5, KINDS) - 0.5)
    assert told.predicted_end_in == pytest.approx(39.5)
    assert told.longest_gap == POLICY.longest_gap(age + 0.5)
    assert "eta" in str(told)
    assert schedule.explain(job(2), 1.0) is None
