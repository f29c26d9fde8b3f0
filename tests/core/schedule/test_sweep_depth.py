"""Lists that are deep, reversed or shuffled, in virtual time: a sweep finds jobs anywhere, if there are enough."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import POLICY, World, alive, job

from topaz_status.core.observation import Observation
from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.core.schedule.page import GETS, PageEntry
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind, JobRef

OWN: Final = 150
OTHERS: Final = 1_000


class ListWorld(World):
    """A list in the order of ``items``, jobs of others among them, that reports the ages of its items."""

    def __init__(self) -> None:
        super().__init__(10.0, {JobKind.IMAGE: 100}, POLICY)
        self.items: list[tuple[float, JobRef | None]] = []

    def age(self, born_at: float) -> float:
        """Return the age that the list reports."""
        return self.now - born_at

    def answer(self, poll: object) -> None:
        if isinstance(poll, JobPoll):
            super().answer(poll)
            return
        assert isinstance(poll, PagePoll)
        begin = int(poll.cursor or 0)
        shown = self.items[begin : begin + poll.limit]
        refs = [ref for _, ref in shown if ref is not None]
        for ref in refs:
            self.note(ref)
        cursor = str(begin + poll.limit) if begin + poll.limit < len(self.items) else None
        ages = [self.age(born_at) for born_at, _ in shown[::9]]
        self.schedule.saw(poll, self.now, [self.observation(ref) for ref in refs], next_cursor=cursor, ages=ages)


class DeepWorld(ListWorld):
    """A list with a thousand items of others, made within 20 s, that reports the ages of its items."""

    def __init__(self, order: str, *, own_are_newest: bool) -> None:
        super().__init__()
        others: list[tuple[float, JobRef | None]] = [(-1.0 - number / 50.0, None) for number in range(OTHERS)]
        own_born_at = 0.0 if own_are_newest else -25.0
        own: list[tuple[float, JobRef | None]] = [(own_born_at, job(number, JobKind.IMAGE)) for number in range(OWN)]
        self.items = sorted(others + own, key=lambda item: item[0], reverse=order == "newest")
        if order == "none":
            random.Random(1).shuffle(self.items)
        for born_at, ref in own:
            assert ref is not None
            self.ends[ref], self.polled[ref] = 60.0, [0.0]
            self.schedule.add(ref, 0.0, age=-born_at)


@pytest.mark.parametrize(("order", "own_are_newest"), [("newest", False), ("oldest", True), ("none", True)])
def test_jobs_are_found_anywhere_on_a_list(order: str, own_are_newest: bool) -> None:
    """All jobs end at 60 s, the first that ever ended. Single polls at 10 a second would take 15 s to learn it."""
    world = DeepWorld(order, own_are_newest=own_are_newest)
    world.run(90.0)
    assert len(world.found) == OWN
    assert sum(at - 60.0 for at in world.found.values()) / OWN < 5.0


class LateWorld(ListWorld):
    """Watches of jobs that were submitted ten minutes ago, without a word of it. The newest item is a minute old."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.births = {job(number, JobKind.IMAGE): -600.0 - number / 10.0 for number in range(OWN)}
        others: list[tuple[float, JobRef | None]] = [(-60.0 - number, None) for number in range(OTHERS)]
        self.items = sorted(
            [*others, *((born_at, ref) for ref, born_at in self.births.items())],
            key=lambda item: item[0],
            reverse=order == "newest",
        )
        for ref in self.births:
            self.ends[ref], self.polled[ref] = 60.0, [0.0]
            self.schedule.add(ref, 0.0)

    def observation(self, ref: JobRef) -> Observation:
        seen = super().observation(ref)
        seen.age = self.age(self.births[ref])
        return seen


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_jobs_of_unknown_age_are_found(order: str) -> None:
    """The first answers show how old such jobs are, so the others are sought at that depth."""
    world = LateWorld(order)
    world.run(5.0)
    assert all(len(polled) > 1 for polled in world.polled.values())
    assert len(world.log) < OWN / 5


def test_the_last_page_of_an_oldest_first_list_is_read_while_jobs_come() -> None:
    """It shows those that came first. Those that came last are not worth a poll yet, and are on a page behind it."""
    world, dice = ListWorld(), random.Random(1)
    world.rate = 5.0
    for number in range(1_500):
        world.run(max(number / 30.0, world.now))
        ref = job(number, JobKind.IMAGE)
        world.add(ref, 8.0 * dice.lognormvariate(0.0, 0.12))
        world.items.append((world.now, ref))
    world.run(world.now + 60.0)
    assert len(world.found) == 1_500
    assert sum(at - world.ends[ref] for ref, at in world.found.items()) / 1_500 < 0.5


class CrowdedWorld(ListWorld):
    """Waves of jobs, each among many times as many items of others that were made within the same second or two.

    Ages are whole seconds, so they hardly show where an item lies.
    """

    def __init__(self, own: int, foreign: int, waves: int = 1, lasts: float = 60.0) -> None:
        super().__init__()
        dice, count = random.Random(1), 0
        for wave in range(waves):
            self.run(max(100.0 * wave, self.now))
            others: list[tuple[float, JobRef | None]] = [(self.now + dice.random(), None) for _ in range(foreign)]
            for _ in range(own):
                ref, count = job(count, JobKind.IMAGE), count + 1
                self.add(ref, lasts)
                self.items.append((self.now + 0.1 * dice.random(), ref))
            self.items = sorted([*self.items, *others], key=lambda item: -item[0])
            self.run(self.now + 90.0)

    def age(self, born_at: float) -> float:
        return float(int(self.now - born_at))


@pytest.mark.parametrize(("own", "foreign", "waves"), [(1_000, 7_000, 1), (250, 1_500, 4)])
def test_jobs_are_found_among_thousands_of_the_same_second(own: int, foreign: int, waves: int) -> None:
    """A sweep gets through them, in each wave: single polls of all jobs would take as many tokens as there are jobs."""
    world = CrowdedWorld(own, foreign, waves)
    lags = [world.found[ref] - end for ref, end in world.ends.items() if ref in world.found]
    assert len(lags) == own * waves
    assert sum(lags) / len(lags) < own / 10.0 / 4.0


def test_the_next_page_of_a_sweep_is_not_waited_for() -> None:
    """Its jobs have waited since the page before was sent: it goes when its cursor arrives."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    for number in range(1_000):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    first = schedule.pick(1.0, [JobKind.IMAGE])
    assert isinstance(first, PagePoll)
    schedule.saw(first, 1.1, [alive(job(number, JobKind.IMAGE)) for number in range(100)], next_cursor="second")
    assert schedule.next_at(1.1, [JobKind.IMAGE]) == 1.1
    assert schedule.pick(1.1, [JobKind.IMAGE]) == PagePoll(JobKind.IMAGE, "second", 100)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_page_is_worth_what_it_can_show(order: str) -> None:
    """Of 200 expected jobs it shows the last 100 that came or, if the list begins with the oldest, the first 100."""
    page, lifetimes = PageEntry(JobKind.IMAGE, "cursor", 100, 0.0, price=0.1, gets=GETS), Lifetimes()
    page.lists_oldest_first = order == "oldest"
    for number in range(200):
        tracked = TrackedJob(job(number, JobKind.IMAGE), float(number), float(number))
        tracked.believe(Source.AGE, 1.0, float(number), lifetimes)
        page.expected.add(tracked)
    jobs = list(page.expected.members)
    shown = jobs[:100] if order == "oldest" else jobs[100:]
    assert page.worth_at(250.0) == pytest.approx(page.expected.chance * sum(one.worth_at(250.0) for one in shown))


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_groups_that_meet_are_expected_together(ours: int, theirs: int, chance: float, other_chance: float) -> None:
    """A page should show as many of both as of each: hundreds of which few are expected do not hide a few that are."""
    page, other_page = (PageEntry(JobKind.IMAGE, name, 100, 0.0, price=0.1, gets=GETS) for name in ("one", "other"))
    group, other = page.expected, other_page.expected
    for number in range(ours + theirs):
        (group if number < ours else other).add(TrackedJob(job(number, JobKind.IMAGE), 0.0, 0.0))
    group.chance, other.chance = chance, other_chance
    hits = group.hits_expected + other.hits_expected
    group.merge(other)
    assert len(group.members) == ours + theirs
    assert not other.members
    assert group.hits_expected == pytest.approx(min(hits, 100.0), abs=1e-9)
    assert 0.0 <= group.listed <= 1.0
