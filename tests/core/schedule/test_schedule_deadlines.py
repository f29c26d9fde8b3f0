"""A watch that times out is polled once more just before, and that poll is worth more than waiting."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import KINDS, POLICY, World, alive, explain, job

from topaz_status.core.policy import PollPolicy
from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.core.schedule.tracked_job import LEAD
from topaz_status.models.job import JobKind

IMAGE = JobKind.IMAGE


@settings(max_examples=60)
@given(st.floats(0.1, 5_000.0), st.floats(0.5, 500.0), st.sampled_from(KINDS))
def test_the_last_poll_goes_just_before_the_deadline(lasts: float, timeout: float, kind: JobKind) -> None:
    """Whatever is expected of a job: it is polled within its shortest interval of the time that was asked for."""
    world = World()
    world.add(job(1, kind), lasts)
    world.schedule.expect_by(job(1, kind), timeout, 0.0)
    world.run(timeout + 1.0)
    last_at = timeout - LEAD
    polls = [at for at, _ in world.log]
    assert job(1, kind) in world.found or any(last_at <= at <= last_at + POLICY.min_interval for at in polls)


def test_a_deadline_costs_one_poll() -> None:
    """Before and after it the job is polled as ever."""
    costs = []
    for deadline in (math.inf, 300.0):
        world = World()
        world.add(job(1), 1e6)
        world.reported[job(1)] = {"remaining": 5e5}
        world.schedule.expect_by(job(1), deadline, 0.0)
        world.run(1_000.0)
        costs.append(len(world.log))
    assert costs[1] - costs[0] <= 1


def test_a_last_poll_goes_before_what_only_waits() -> None:
    """Where tokens are scarce, a job about to time out is polled before those that can wait."""
    world = World(rate=2.0)
    for number in range(400):
        world.add(job(number), 1e6)
    world.schedule.expect_by(job(399), 60.0, 0.0)
    world.run(70.0)
    assert any(60.0 - LEAD <= at <= 62.0 for at in world.polled[job(399)])


def test_jobs_on_a_page_have_their_last_poll_with_it() -> None:
    """A hundred that time out together cost pages, not a hundred polls."""
    world = World(pages={IMAGE: 100})
    refs = [job(number, IMAGE) for number in range(100)]
    for ref in refs:
        world.add(ref, 1e6)
        world.reported[ref] = {"remaining": 5e5}
    for ref in refs:
        world.schedule.expect_by(ref, 200.0, 0.0)
    world.run(199.0)
    asked = len(world.log)
    world.run(203.0)
    last = world.log[asked:]
    assert 1 <= len(last) <= 5
    assert isinstance(last[0][1], PagePoll)
    assert last[0][0] == pytest.approx(200.0 - LEAD, abs=0.01)


def test_whether_a_last_poll_is_to_come() -> None:
    """It is while it is due or on the wire, and no longer once it has been answered, or failed."""
    world = World()
    schedule = world.schedule
    schedule.add(job(1), 0.0, deadline=10.0)
    poll = schedule.pick_first(0.0, KINDS)
    assert poll is not None
    schedule.saw(poll, 0.1, [alive(job(1), remaining=1e5)])
    assert not schedule.polls_by(job(1), 9.0)
    assert schedule.polls_by(job(1), 12.0)
    assert schedule.next_at(1.0, KINDS) == pytest.approx(10.0 - LEAD)
    poll = schedule.pick(10.0, KINDS)
    assert poll == JobPoll(job(1))
    assert schedule.polls_by(job(1), 10.0)
    schedule.missed(poll, 10.2, 11.0)
    assert not schedule.polls_by(job(1), 12.0)
    assert not schedule.polls_by(job(2), 12.0)


def test_the_shortest_interval_holds_before_a_deadline_too() -> None:
    """No two polls of a job are closer together than the policy allows."""
    world = World(policy=PollPolicy(min_interval=5.0))
    world.schedule.add(job(1), 0.0, deadline=8.0)
    first = world.schedule.pick_first(7.0, KINDS)
    assert first is not None
    world.schedule.saw(first, 7.0, [alive(job(1))])
    assert world.schedule.next_at(7.0, KINDS) == 12.0


def test_explain_speaks_of_a_last_poll() -> None:
    """The reason names the timeout."""
    world = World()
    world.schedule.add(job(1), 0.0, deadline=100.0)
    first = world.schedule.pick_first(0.0, KINDS)
    assert first is not None
    world.schedule.saw(first, 0.1, [alive(job(1), remaining=1e5)])
    world.schedule.expect_by(job(1), 5.0, 1.0)
    explanation = explain(world.schedule, job(1), 1.0)
    assert explanation is not None
    assert "times out" in explanation.reason


def test_a_poll_that_failed_puts_off_no_last_poll() -> None:
    """Whatever the backoff: the job is polled once more just before its watch times out."""
    schedule = World().schedule
    schedule.add(job(1), 0.0, deadline=10.0)
    poll = schedule.pick_first(0.0, KINDS)
    assert poll is not None
    schedule.missed(poll, 1.0, 25.0)
    assert schedule.next_at(1.0, KINDS) == pytest.approx(10.0 - LEAD)
