"""Lists that lie in every way: no job waits, no sweep goes on for ever, and the same answers give the same polls."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import pytest
from hostile_lists import VICES, EmptyForUs, HostileList
from hypothesis import given, settings
from hypothesis import strategies as st
from world import POLICY

from topaz_status.core.schedule.entry import JobPoll
from topaz_status.core.schedule.schedule import GUARD
from topaz_status.models.job import JobKind, JobRef

LISTED: Final = st.sampled_from([JobKind.IMAGE, JobKind.VIDEO])
FOREVER: Final = 1e9
SOME: Final = settings(max_examples=40)
"""Each example is a minute or more of virtual time."""


@st.composite
def hostile_lists(draw: st.DrawFn, vices: frozenset[str] = frozenset()) -> HostileList:
    """Draw a list with a few vices, and jobs to watch that never end."""
    drawn = draw(st.sets(st.sampled_from(VICES), min_size=0 if vices else 1, max_size=5))
    world = HostileList(
        draw(LISTED),
        vices | drawn,
        draw(st.integers(0, 1_000_000)),
        often=draw(st.sampled_from([0.3, 1.0])),
        flight=draw(st.sampled_from([0.0, 0.1, 2.0])),
    )
    world.watch(draw(st.sampled_from([1, 3, 12, 40])), lasts=FOREVER, age=draw(st.sampled_from([0.0, 5.0, 200.0])))
    return world


def longest_excess(world: HostileList) -> float:
    """Return by how many seconds a job's gap between two polls, its own or a page's, exceeded the longest gap."""
    return max(
        end - begin - POLICY.longest_gap(end - world.born[ref])
        for ref, polled in world.polled.items()
        for begin, end in pairwise([*polled, world.now])
    )


@SOME
@given(world=hostile_lists())
def test_every_job_is_polled_in_time(world: HostileList) -> None:
    """By itself or by a page, one longest gap after the last answer: later only by the wait for tokens and answers."""
    world.run(150.0)
    waiting = GUARD * len(world.ends) / world.rate
    assert longest_excess(world) <= waiting + 2.0 * world.slowest_flight


@SOME
@given(world=hostile_lists())
def test_no_job_and_no_page_has_two_polls_in_flight(world: HostileList) -> None:
    """And a job's own polls are ``min_interval`` apart: no answer makes the schedule ask more than it may."""
    world.run(60.0)
    assert world.most_in_flight <= 1
    alone: dict[JobRef, list[float]] = {}
    for at, poll in world.log:
        if isinstance(poll, JobPoll):
            alone.setdefault(poll.job, []).append(at)
    gaps = [later - earlier for times in alone.values() for earlier, later in pairwise(times)]
    assert min(gaps, default=1.0) >= POLICY.min_interval - 1e-9
    assert all(later - earlier >= 1.0 / world.rate - 1e-9 for (earlier, _), (later, _) in pairwise(world.log))


@SOME
@given(data=st.data(), seed=st.integers(0, 1_000_000), vices=st.sets(st.sampled_from(VICES), min_size=1, max_size=5))
def test_the_same_answers_give_the_same_polls(data: st.DataObject, seed: int, vices: set[str]) -> None:
    """No decision depends on chance, however odd the list."""
    kind, count = data.draw(LISTED), data.draw(st.sampled_from([3, 40]))
    logs: list[Sequence[tuple[float, object]]] = []
    for _ in range(2):
        world = HostileList(kind, frozenset(vices), seed, often=0.5, flight=0.1)
        world.watch(count, lasts=FOREVER)
        world.run(60.0)
        logs.append(world.log)
    assert logs[0] == logs[1]


@SOME
@given(world=hostile_lists(frozenset({"hides jobs"})))
def test_a_list_without_our_jobs_takes_few_polls(world: HostileList) -> None:
    """However many cursors it has, and whatever its ages promise."""
    world.hides_all = True
    world.run(300.0)
    assert world.vain_pages <= 40 + len(world.log) // 10


@pytest.mark.parametrize("kind", [JobKind.IMAGE, JobKind.VIDEO])
@pytest.mark.parametrize("count", [100, 1_000])
@pytest.mark.parametrize("ages", ["same page", "step of one item", "younger each time", "same second", "none"])
def test_cursors_that_never_end_take_few_polls(kind: JobKind, count: int, ages: str) -> None:
    """The ages say that the jobs lie ahead, but no page leads there. Polls of a thousand jobs take thousands."""
    world = EmptyForUs(kind, count, ages)
    world.run(600.0)
    assert world.pages <= 130 + count // 5


@pytest.mark.parametrize("count", [12, 40])
@pytest.mark.parametrize(
    "vices", [("cursor renewed", "cursor leads back", "no ages"), ("endless", "cursor leads back")]
)
def test_cursors_that_lead_round_in_circles_find_nothing_new(count: int, vices: tuple[str, ...]) -> None:
    """Each page shows jobs that another page has shown, under a cursor that was never seen."""
    world = HostileList(JobKind.IMAGE, frozenset(vices), 1521, often=1.0, flight=0.1)
    world.watch(count, lasts=FOREVER)
    world.run(400.0)
    assert world.pages <= len(world.log) // 2


@pytest.mark.parametrize("count", [100, 1_000])
def test_a_list_of_known_length_may_grow_endless(count: int) -> None:
    """It was swept to its end, in no order. Later its cursors never end, and the jobs are gone.

    They may return, so the list is swept now and then: as far as it was long, and hardly farther.
    """
    world = EmptyForUs(JobKind.IMAGE, count, "shuffled", shows_until=30.0)
    world.run(600.0)
    assert world.vain_pages <= 7 * (count // 10 + 16)


@SOME
@given(world=hostile_lists())
def test_what_is_remembered_of_a_list_is_bounded(world: HostileList) -> None:
    """Pages, cursors and groups are few, and hardly more after a long time."""
    world.run(100.0)
    earlier = remembered(world)
    world.run(400.0)
    later = remembered(world)
    assert later["PageEntry"] <= 2 * len(world.ends) + 40
    assert later["PageMembers"] <= 3 * later["PageEntry"] + len(world.ends)
    assert later["str"] <= 2 * earlier["str"] + 200


@pytest.mark.parametrize(("jumps", "seed"), [("cursor jumps", 1), ("cursor leads back", 1445)])
def test_pages_that_are_gone_leave_nothing_in_the_queue(jumps: str, seed: int) -> None:
    """Each renewed cursor is a new page, planned for a time that it does not live to see."""
    world = HostileList(JobKind.IMAGE, frozenset((jumps, "cursor renewed", "shuffles")), seed, often=1.0, flight=0.1)
    world.watch(40, lasts=FOREVER)
    world.run(4_000.0)
    assert remembered(world)["PageEntry"] <= 120


@SOME
@given(world=hostile_lists())
def test_nothing_is_remembered_of_jobs_that_left(world: HostileList) -> None:
    """One new job later, a list that thousands of answers described is as small as a new one."""
    world.run(100.0)
    for ref in world.ends:
        world.schedule.drop(ref)
    world.land_all()
    world.run(world.now + 700.0)
    world.ends.clear()
    world.watch(1, lasts=FOREVER)
    world.run(world.now + 100.0)
    assert remembered(world)["PageEntry"] <= 40
    assert remembered(world)["TrackedJob"] <= 1


def remembered(world: HostileList) -> Counter[str]:
    """Count the objects that the schedule holds, by the names of their types."""
    found, seen, left = Counter[str](), set[int](), list[object]([world.schedule])
    while left:
        one = left.pop()
        if id(one) not in seen and not isinstance(one, type) and not callable(one):
            seen.add(id(one))
            found[type(one).__name__] += 1
            left += gc.get_referents(one)
    return found
