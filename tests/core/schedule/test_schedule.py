"""What the schedule promises, whatever the services say and in whatever order."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import KINDS, POLICY, Chaos, World, alive, ended, explain, job

from topaz_status.core.policy import PollPolicy
from topaz_status.core.schedule.entry import JobPoll
from topaz_status.core.schedule.expected_lag import ExpectedLag, mean_lag
from topaz_status.core.schedule.schedule import GUARD, Schedule
from topaz_status.models.job import JobKind, JobRef

PAGES = {JobKind.IMAGE: 10, JobKind.VIDEO: 5}


lives = st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0.1, 400.0), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=40)
@given(lives, st.floats(1.0, 20.0), st.booleans())
def test_polls_are_apart_by_no_more_than_the_bound(
    jobs: list[tuple[JobKind, float, bool]], rate: float, paged: bool
) -> None:
    """No job is unseen for longer than its longest gap and the time the guard takes to come round."""
    world = World(rate, PAGES if paged else None)
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    world.run(800.0)
    slack = (GUARD * (len(jobs) + 10) + 20) / rate
    for times in world.polled.values():
        for before, after in pairwise(times):
            assert after - before <= POLICY.longest_gap(after) + slack


@settings(max_examples=40)
@given(lives, st.floats(1.0, 20.0))
def test_every_job_that_ends_is_found(jobs: list[tuple[JobKind, float, bool]], rate: float) -> None:
    """Listed or not, early or late: each end is met, and polling stops with it."""
    world = World(rate, PAGES)
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    world.run(3_000.0)
    assert set(world.found) == set(world.ends)
    assert len(world.schedule) == 0
    assert world.schedule.next_at(world.now, KINDS) == math.inf or not world.schedule.pick(1e9, KINDS)


@settings(max_examples=20)
@given(lives)
def test_the_same_observations_give_the_same_decisions(jobs: list[tuple[JobKind, float, bool]]) -> None:
    """Two schedules that are given the same ask for the same."""
    logs = []
    for _ in range(2):
        world = World(5.0, PAGES)
        for number, (kind, lasts, listed) in enumerate(jobs):
            world.add(job(number, kind), lasts, listed=listed)
        world.run(300.0)
        logs.append(world.log)
    assert logs[0] == logs[1]


@settings(max_examples=20)
@given(lives, st.floats(0.5, 3.0))
def test_nothing_waits_while_there_is_a_token(jobs: list[tuple[JobKind, float, bool]], rate: float) -> None:
    """A poll is picked at the very time it is due, or as soon after as there is a token: none is saved up for later."""
    world = World(rate, PAGES)
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    world.run(200.0)
    times = [at for at, _ in world.log]
    assert all(later - earlier >= 1.0 / rate - 1e-9 for earlier, later in pairwise(times))
    assert world.schedule.due_now(world.now) <= len(jobs) + 10
    assert world.schedule.next_at(world.now, KINDS) >= world.now


@pytest.mark.parametrize("pages", [{}, {JobKind.IMAGE: 100}])
def test_nobody_starves(pages: dict[JobKind, int]) -> None:
    """While others would be worth every token, those of whom little is expected are polled in their turn, too."""
    world = World(2.0, pages, PollPolicy(max_interval=30.0))
    calm = [job(number, JobKind.IMAGE) for number in range(100)]
    for ref in calm:
        world.add(ref, 1e6, listed=False)
        world.reported[ref] = {"remaining": 5e5}
    for number in range(100, 1_300):
        world.add(job(number), 1.0 if number % 2 else 20.0)
        world.reported[job(number)] = {"remaining": 1.0}
        world.run(world.now + 1.0)
        if number >= 120:
            world.schedule.drop(job(number - 20))
    assert world.schedule.overdue(world.now) > 0.0
    late = sum(1 for _, poll in world.log if isinstance(poll, JobPoll) and poll.job in calm)
    assert late >= len(world.log) / GUARD - 1
    for ref in calm:
        times = [*world.polled[ref], world.now]
        assert max(later - earlier for earlier, later in pairwise(times)) <= 30.0 + GUARD * 150 / 2.0


@settings(max_examples=30)
@given(st.data())
def test_only_an_end_that_was_seen_is_an_end(data: st.DataObject) -> None:
    """Whatever lists fail to show, a job stays until an answer says that it is over, or its watch is dropped."""
    world = World(10.0, PAGES)
    number = data.draw(st.integers(1, 40))
    for index in range(number):
        kind = data.draw(st.sampled_from([JobKind.IMAGE, JobKind.VIDEO]))
        world.add(job(index, kind), 1e9, listed=data.draw(st.booleans()))
    for _ in range(5):
        world.run(world.now + 20.0)
        world.listed = [ref for ref in world.ends if data.draw(st.booleans())]
        assert len(world.schedule) == number
    assert not world.found
    for ref in world.ends:
        assert explain(world.schedule, ref, world.now) is not None


@settings(max_examples=20)
@given(lives, st.floats(0.3, 5.0))
def test_no_two_polls_of_one_job_are_close(jobs: list[tuple[JobKind, float, bool]], shortest: float) -> None:
    """``min_interval`` lies between any two polls of a job by itself, notices and failures notwithstanding."""
    world = World(50.0, PAGES, PollPolicy(min_interval=shortest, price=1e-4))
    for number, (kind, lasts, listed) in enumerate(jobs):
        world.add(job(number, kind), lasts, listed=listed)
    for step in range(1, 60):
        world.run(step * 0.5)
        for ref in list(world.ends)[:3]:
            world.schedule.nudge(ref, world.now)
    asked: dict[object, float] = {}
    for at, poll in world.log:
        if isinstance(poll, JobPoll):
            assert at - asked.get(poll.job, -math.inf) >= shortest - 1e-9
            asked[poll.job] = at


def test_a_notice_after_a_failed_poll_waits_for_min_interval() -> None:
    """A poll that brought nothing was a poll all the same."""
    schedule = Schedule(PollPolicy(min_interval=2.0), pages={})
    schedule.add(job(1), 0.0)
    poll = schedule.pick(5.0, KINDS)
    assert poll is not None
    schedule.missed(poll, 5.0, 35.0)
    schedule.nudge(job(1), 5.5)
    assert schedule.next_at(5.5, KINDS) == 7.0


@settings(max_examples=100)
@given(st.data())
def test_next_at_never_lies(data: st.DataObject) -> None:
    """At the time that was named something is picked, and nothing before it."""
    world = Chaos(data)
    for number in range(data.draw(st.integers(1, 60))):
        world.step(number)


# -- single rules -----------------------------------------------------------------------------------------------------


def test_a_new_job_is_polled_soon() -> None:
    """Nothing is known of it: it may be over already."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 100.0)
    assert 100.0 < schedule.next_at(100.0, KINDS) < 101.5


def test_first_polls_hasten_when_jobs_prove_to_be_over() -> None:
    """Where the jobs that are watched anew have ended, each is asked for at once."""
    schedule = Schedule(POLICY, pages={})
    for number in range(50):
        schedule.add(job(number), 0.0)
        schedule.saw(JobPoll(job(number)), 0.3, [ended(job(number))])
    schedule.add(job(99), 10.0)
    assert schedule.next_at(10.0, KINDS) - 10.0 < 0.3


def test_no_job_is_polled_before_min_interval() -> None:
    """A nudge goes before everything else, and yet keeps the distance."""
    schedule = Schedule(PollPolicy(min_interval=2.0), pages={})
    schedule.add(job(1), 0.0)
    schedule.saw(JobPoll(job(1)), 5.0, [alive(job(1), remaining=0.1)])
    schedule.nudge(job(1), 5.5)
    assert schedule.next_at(5.5, KINDS) == 7.0
    assert schedule.pick(7.0, KINDS) == JobPoll(job(1))


def test_a_nudge_goes_first() -> None:
    """Of many that are due the nudged one is picked."""
    schedule = Schedule(POLICY, pages={})
    for number in range(100):
        schedule.add(job(number), 0.0)
    schedule.nudge(job(77), 50.0)
    assert schedule.pick(50.0, KINDS) == JobPoll(job(77))


def test_a_nudge_goes_before_a_burst() -> None:
    """However many are due before it."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    for number in range(5_000):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    schedule.nudge(job(4_999, JobKind.IMAGE), 50.0)
    assert schedule.pick(50.0, KINDS) == JobPoll(job(4_999, JobKind.IMAGE))


def test_a_nudge_while_a_poll_is_on_the_wire_asks_for_another() -> None:
    """The notice may know newer things than the poll will find."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    poll = schedule.pick(5.0, KINDS)
    assert poll is not None
    schedule.nudge(job(1), 5.05)
    assert schedule.next_at(5.05, KINDS) == math.inf
    schedule.saw(poll, 5.1, [alive(job(1), remaining=500.0)])
    assert schedule.next_at(5.1, KINDS) == 5.1 + POLICY.min_interval


def test_only_kinds_with_a_token_are_picked() -> None:
    """A service that is held back holds back nobody else."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1, JobKind.IMAGE), 0.0)
    schedule.add(job(2, JobKind.VIDEO), 0.0)
    poll = schedule.pick(60.0, [JobKind.VIDEO])
    assert poll == JobPoll(job(2, JobKind.VIDEO))
    assert schedule.pick(60.0, [JobKind.VIDEO]) is None
    assert schedule.next_at(60.0, [JobKind.VIDEO]) == math.inf


def test_a_missed_poll_is_retried_when_it_was_promised() -> None:
    """No sooner than ``retry_at``."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    poll = schedule.pick(5.0, KINDS)
    assert poll is not None
    schedule.missed(poll, 5.1, 9.25)
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
    """The watch may end while the poll is on the wire."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0)
    poll = schedule.pick(10.0, KINDS)
    assert poll is not None
    schedule.drop(job(1))
    schedule.saw(poll, 10.1, [alive(job(1))])
    schedule.missed(poll, 10.1, 11.0)
    assert schedule.next_at(10.1, KINDS) == math.inf


@pytest.mark.parametrize("age", [0.0, 100.0, 5000.0])
def test_an_explanation_says_when_and_why(age: float) -> None:
    """A person can read what the schedule thinks."""
    schedule = Schedule(POLICY, pages={})
    schedule.add(job(1), 0.0, age=age, remaining=40.0)
    explanation = explain(schedule, job(1), 0.5)
    assert explanation is not None
    assert explanation.due_in == pytest.approx(schedule.next_at(0.5, KINDS) - 0.5)
    assert explanation.predicted_end_in == pytest.approx(39.5)
    assert explanation.longest_gap == POLICY.longest_gap(age + 0.5)
    assert "eta" in str(explanation)
    assert explain(schedule, job(2), 1.0) is None
    assert explanation.source == "the service's eta"
    assert explanation.tokens == 10.0
    assert explanation.expected_lag is not None
    assert 0.0 < explanation.expected_lag < explanation.longest_gap


@pytest.mark.parametrize("others", [0, 200])
def test_an_eta_that_always_says_now_is_not_believed_for_ever(others: int) -> None:
    """Said again and again without an end, it is taken for a job that is overdue: polls grow rarer, although other jobs' predictions are right."""
    world = World(10.0)
    liar = job(0, JobKind.IMAGE)
    world.add(liar, 1e9)
    world.reported[liar] = {"remaining": 0.3}
    for number in range(1, others + 1):
        ref = job(number, JobKind.IMAGE)
        world.add(ref, 20.0)
        world.reported[ref] = {"remaining": 10.0}
        world.run(world.now + 2.0)
    world.run(600.0)
    times = world.polled[liar]
    assert len(times) < 200
    assert times[-1] - times[-2] > 4.0


def test_an_eta_that_comes_true_is_believed_to_the_end() -> None:
    """One that counts down, however long the job, says something new each time: the end is met at once."""
    world = World(10.0)
    ref = job(1, JobKind.IMAGE)
    world.add(ref, 2_000.0)
    while ref not in world.found:
        world.reported[ref] = {"remaining": world.ends[ref] - world.now}
        world.run(world.now + 0.1)
    assert world.found[ref] - 2_000.0 < 1.0


def _stream(world: World, kind: JobKind, every: float, *, reported: bool) -> tuple[float, float]:
    """Give the true mean lag of a stream of jobs, and the mean of what was expected, once it is steady.

    Where it is ``reported``, each has an ETA that counts down to its end, and errs by up to 30 % of what is left.
    """
    dice, refs, expected = random.Random(1), [], []
    error: dict[JobRef, float] = {}
    rates = dict.fromkeys(KINDS, world.rate)
    steps = math.ceil(every)

    def pass_by(*, steady: bool) -> None:
        for _ in range(steps):
            if reported:
                running = world.ends.keys() - world.found.keys()
                world.reported = {one: {"remaining": (world.ends[one] - world.now) * error[one]} for one in running}
            world.run(world.now + every / steps)
            if steady:
                expected.append(world.schedule.expected_lag(world.now, rates))

    for number in range(800):
        ref = job(number, kind)
        lasts = dice.lognormvariate(3.0, 0.5)
        world.add(ref, lasts)
        error[ref] = dice.uniform(0.7, 1.3)
        pass_by(steady=number >= 300)
        if number >= 300:
            refs.append(ref)
    while len(world.found) < len(world.ends):
        pass_by(steady=False)
    lags = [world.found[ref] - world.ends[ref] for ref in refs]
    known = [one for one in expected if one is not None]
    return sum(lags) / len(lags), sum(known) / len(known)


@pytest.mark.parametrize(
    ("kind", "every", "rate", "reported"),
    [
        (JobKind.TRY_ON, 1.0, 20.0, False),
        (JobKind.TRY_ON, 0.25, 10.0, False),
        (JobKind.IMAGE, 0.1, 10.0, False),
        (JobKind.VIDEO, 0.25, 10.0, True),
        (JobKind.VIDEO, 0.1, 10.0, True),
        (JobKind.IMAGE, 0.1, 10.0, True),
        (JobKind.VIDEO, 2.0, 10.0, True),
    ],
    ids=["idle", "saturated", "pages", "saturated-eta", "overrun-eta", "pages-eta", "idle-eta"],
)
def test_the_lag_that_is_expected_comes_about(kind: JobKind, every: float, rate: float, reported: bool) -> None:
    """Within a factor of two or little more: where tokens are left or short, ends foretold or not, and with pages.

    Where ends are foretold and tokens are short, the best polls wait less than the average: the lag is overrated most.
    """
    true, expected = _stream(World(rate, {JobKind.IMAGE: 100}), kind, every, reported=reported)
    assert true / 2.0 < expected < true * 2.25


def test_jobs_that_a_page_should_show_do_not_wait_for_each_other() -> None:
    """While a sweep goes to 5,000 images, 50 pages are before the last of them, not 5,000 polls."""
    world, dice = World(10.0, {JobKind.IMAGE: 100}), random.Random(1)
    for number in range(5_000):
        world.add(job(number, JobKind.IMAGE), dice.lognormvariate(3.4, 0.6))
    world.run(3.0)
    expected = world.schedule.expected_lag(world.now, dict.fromkeys(KINDS, world.rate))
    world.run(2_000.0)
    assert len(world.found) == 5_000
    true = sum(world.found[ref] - end for ref, end in world.ends.items()) / 5_000
    assert expected is not None
    assert true / 2.0 < expected < true * 2.0


def test_long_jobs_do_not_speak_for_the_many_that_end_meanwhile() -> None:
    """Jobs that last a hundred times as long are met a hundred times as often: each counts by how soon it makes way."""
    assert mean_lag(
        [ExpectedLag(lag=10.0, lifetime=1000.0)] * 100 + [ExpectedLag(lag=1.0, lifetime=10.0)]
    ) == pytest.approx(5.5)


def test_nothing_watched_no_lag() -> None:
    """There is no end to come."""
    assert Schedule(POLICY).expected_lag(1.0, dict.fromkeys(KINDS, 1.0)) is None


@pytest.mark.parametrize("age", [1.0, 13.0, 3600.0])
def test_a_job_nobody_polled_is_not_taken_for_one_just_seen(age: float) -> None:
    """Its end may have been missed, so the first poll is due at once; and nothing counts as late before it could go."""
    schedule = Schedule(POLICY)
    schedule.add(job(1, JobKind.VIDEO), 5000.0, age=age, unseen=age)
    assert schedule.next_at(5000.0, KINDS) <= 5001.0
    assert schedule.overdue(5001.0) <= 1.0


def test_a_poll_that_was_sent_for_an_earlier_watch_answers_a_later_one_of_the_same_job() -> None:
    """It is about the job, not about the one who watches."""
    schedule, ref = Schedule(POLICY), job(1)
    schedule.add(ref, 0.0)
    schedule.nudge(ref, 0.0)
    poll = schedule.pick(0.0, KINDS)
    assert poll is not None
    schedule.add(ref, 1.0)
    schedule.saw(poll, 2.0, [alive(ref)])
    known = explain(schedule, ref, 5.0)
    assert known is not None
    assert known.looked_ago == 3.0


def test_what_is_overdue_is_known_while_nothing_may_be_sent() -> None:
    """A hold may last for minutes, and the statistics are asked for meanwhile."""
    schedule = Schedule(POLICY)
    for number in range(2):
        schedule.add(job(number), 0.0)
        schedule.nudge(job(number), 0.0)
    assert schedule.pick(0.0, KINDS) is not None
    assert schedule.overdue(1.0) == 0.0
    assert schedule.overdue(1_000.0) > 600.0


def test_a_poll_that_was_sent_for_an_earlier_watch_does_not_land_in_place_of_the_later_ones() -> None:
    """While that is on the wire, no other is planned."""
    schedule, ref, polls = Schedule(POLICY), job(1), []
    for now in (0.0, 1.0):
        schedule.add(ref, now)
        schedule.nudge(ref, now)
        polls.append(schedule.pick(now, KINDS))
    earlier, later = polls
    assert earlier is not None
    assert later is not None
    schedule.saw(earlier, 2.0, [alive(ref)])
    assert schedule.next_at(2.0, KINDS) == math.inf
    schedule.saw(later, 3.0, [alive(ref)])
    assert schedule.next_at(3.0, KINDS) < math.inf


def test_a_job_that_is_over_stays_so_whatever_else_an_answer_says_of_it() -> None:
    """Nothing is planned for a watch that is no more."""
    schedule, ref = Schedule(POLICY), job(1)
    schedule.add(ref, 0.0)
    schedule.nudge(ref, 0.0)
    poll = schedule.pick(0.0, KINDS)
    assert isinstance(poll, JobPoll)
    schedule.saw(poll, 1.0, [ended(poll.job), alive(poll.job)])
    assert len(schedule) == 0
    assert schedule.next_at(1.0, KINDS) == math.inf


def test_how_long_something_is_overdue_is_reported_of_the_longest() -> None:
    """Also of one that was found so after others: its poll had failed."""
    schedule = Schedule(POLICY)
    for number in range(3):
        schedule.add(job(number), 0.0)
    schedule.nudge(job(0), 0.0)
    poll = schedule.pick(0.0, KINDS)
    assert poll is not None
    for number in (1, 2):
        schedule.saw(JobPoll(job(number)), 500.0, [alive(job(number))])
    schedule.missed(poll, 600.0, 1_500.0)
    assert 0.0 < schedule.overdue(1_400.0) < 900.0
    assert schedule.overdue(1_510.0) > 1_200.0


def test_what_the_best_due_poll_is_worth_is_known_before_it_is_sent() -> None:
    """In prices of a request; what is urgent, or has passed its longest gap, is worth any token."""
    schedule = Schedule(POLICY)
    for number in range(3):
        schedule.add(job(number), 0.0)
    assert schedule.most_worth(0.0, KINDS) == math.inf  # nothing is due
    due_at = schedule.next_at(0.0, KINDS)
    assert schedule.most_worth(due_at, KINDS) == pytest.approx(1.0, abs=0.01)
    later = schedule.most_worth(due_at + 2.0, KINDS)
    assert 1.0 < later < math.inf
    assert schedule.most_worth(due_at + 2.0, [JobKind.IMAGE]) == math.inf
    schedule.nudge(job(0), due_at + 2.0)
    assert schedule.most_worth(due_at + 2.0, KINDS) == math.inf
    schedule.drop(job(0))
    assert schedule.most_worth(due_at + 2.0, KINDS) == later
    assert schedule.most_worth(POLICY.longest_gap(0.0) - 0.1, KINDS) < math.inf
    assert schedule.most_worth(POLICY.longest_gap(0.0) + 0.1, KINDS) == math.inf
