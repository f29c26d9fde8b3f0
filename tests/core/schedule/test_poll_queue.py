"""The agenda: who waits, who is due, and who goes first."""

from __future__ import annotations

import gc
import math
import weakref

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status.core.schedule.entry import COVERED, Entry, JobPoll
from topaz_status.core.schedule.poll_queue import ADMITTED, DUE_GRAIN, PollQueue
from topaz_status.models.job import JobKind, JobRef

POLL = JobPoll(JobRef(JobKind.IMAGE, "a"))


@attrs.define(eq=False)
class Item(Entry):
    """Its worth grows by ``slope`` a second from ``since`` on."""

    slope: float = 1.0
    since: float = 0.0
    urgent: bool = False
    due_at: float = 0.0
    remind_at: float = 0.0
    level: int = COVERED

    def send(self) -> JobPoll:
        return POLL

    def worth_at(self, now: float) -> float:
        return self.slope * (now - self.since)

    def reaches_at(self, worth: float, now: float) -> float:
        return max(self.since + worth / self.slope, now)


def new_queue(*, exact: bool = False) -> PollQueue:
    return PollQueue(0.1, lambda entry: entry.due_at + 10.0, exact=exact)


def served(queue: PollQueue, now: float) -> list[Entry]:
    """Take everything that is due, best first."""
    order = []
    while queue.due_by(now):
        order.append(queue.best())
        queue.remove(order[-1])
        queue.settle(now)
    return order


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.booleans()), max_size=40), st.booleans())
def test_nobody_is_due_before_its_time_or_missed_after_it(items: list[tuple[float, bool]], exact: bool) -> None:
    """``next_at`` names the first due time, nothing is due before it, and at the end all have been."""
    queue = new_queue(exact=exact)
    entries = [Item(urgent=urgent) for _, urgent in items]
    for entry, (at, _) in zip(entries, items, strict=True):
        queue.put(entry, at)
    seen: list[tuple[float, Entry]] = []
    while (at := queue.next_at()) < math.inf:
        assert at == min(entry.due_at for entry in entries if entry.level != COVERED)
        assert not queue.due_by(at - 1e-6)
        order = served(queue, at)
        assert order
        seen += [(at, entry) for entry in order]
    assert sorted(map(id, entries)) == sorted(id(entry) for _, entry in seen)
    assert all(entry.due_at == at for at, entry in seen)


def test_the_greatest_worth_goes_first_and_the_urgent_before_it() -> None:
    """An octave of worth is a level; within one level the first to come goes first."""
    queue = new_queue()
    small, large, twin, urgent = Item(1.0), Item(100.0), Item(100.0), Item(0.001, urgent=True)
    for entry in (small, large, twin, urgent):
        queue.put(entry, 5.0)
    assert served(queue, 5.0) == [urgent, large, twin, small]


def test_while_something_is_due_what_else_becomes_so_is_noticed_within_a_grain() -> None:
    """Not at each decision: it would cost more than the decision itself."""
    queue = new_queue()
    first, better = Item(1.0), Item(100.0)
    queue.put(first, 5.0)
    queue.put(better, 5.0 + DUE_GRAIN / 2.0)
    assert queue.due_by(5.0)
    assert queue.due_by(5.0 + DUE_GRAIN * 0.9)
    assert queue.best() is first
    assert queue.due_by(5.0 + DUE_GRAIN)
    assert queue.best() is better


def test_the_urgent_do_not_wait_for_the_grain() -> None:
    """A notice has come for it."""
    queue = new_queue()
    first, urgent = Item(100.0), Item(0.001, urgent=True)
    queue.put(first, 5.0)
    assert queue.due_by(5.0)
    queue.put(urgent, 5.0)
    assert queue.due_by(5.0)
    assert queue.best() is urgent


def test_a_burst_does_not_wait_for_the_grain() -> None:
    """Only a part of it becomes due in one step, the next part in the next step."""
    queue = new_queue()
    for _ in range(10 * ADMITTED):
        queue.put(Item(), 5.0)
    for step in range(1, 11):
        assert queue.due_by(5.0)
        assert len(queue) == step * ADMITTED


def test_a_burst_does_not_wait_for_a_grain_that_began_before_it() -> None:
    """At the last check, a moment ago, nothing of it was due."""
    queue = new_queue()
    queue.put(Item(), 5.0)
    assert len(served(queue, 5.0)) == 1
    for _ in range(3 * ADMITTED):
        queue.put(Item(), 5.0 + DUE_GRAIN / 4.0)
    for step in range(1, 4):
        assert queue.due_by(5.0 + DUE_GRAIN / 2.0)
        assert len(queue) == step * ADMITTED


def test_worth_that_grows_is_noticed() -> None:
    """Who overtakes others while all of them wait is served before them."""
    queue = new_queue()
    steady, growing = Item(1.0, since=0.0), Item(50.0, since=9.9)
    queue.put(steady, 10.0)
    queue.put(growing, 10.0)
    assert queue.due_by(10.0)
    queue.settle(10.0)
    assert queue.best() is steady
    assert queue.due_by(14.0)
    assert queue.best() is growing


def test_putting_again_replaces() -> None:
    """An entry is in one place only, whatever it was before."""
    queue = new_queue()
    entry = Item()
    for at in (50.0, 5.0, 20.0):
        queue.put(entry, at)
    assert queue.next_at() == 20.0
    assert not queue.due_by(19.0)
    assert served(queue, 20.0) == [entry]
    assert not queue.due_by(60.0)
    queue.put(entry, 70.0)
    queue.remove(entry)
    assert queue.next_at() == math.inf
    assert len(queue) == 0


def test_the_longest_overdue_is_known() -> None:
    """Of those that are due, whose limit passed first; who was served is not among them."""
    queue = new_queue()
    entries = [Item() for _ in range(3)]
    for entry, at in zip(entries, (7.0, 3.0, 5.0), strict=True):
        queue.put(entry, at)
    queue.due_by(8.0)
    queue.settle(8.0)
    queue.due_by(12.9)
    assert queue.first_late() == (math.inf, None)
    queue.due_by(18.0)
    assert queue.first_late() == (13.0, entries[1])
    queue.remove(entries[1])
    assert queue.first_late() == (15.0, entries[2])


def test_who_is_found_late_keeps_its_place_on_its_level() -> None:
    """It is not worth more for it."""
    queue = new_queue()
    first, second = Item(0.001), Item(0.001)
    queue.put(first, 5.0)
    queue.put(second, 6.0)
    for now in (6.0, 15.5):
        assert queue.due_by(now)
        queue.settle(now)
    assert queue.first_late() == (15.0, first)
    assert queue.best() is first


def test_who_was_due_is_let_go_with_the_last_of_them() -> None:
    """Not only when somebody is due again: that may be never."""
    queue, items = new_queue(), [Item(0.001) for _ in range(3)]
    for item in items:
        queue.put(item, 5.0)
    queue.due_by(5.0)
    queue.settle(5.0)
    for item in items:
        queue.remove(item)
    gone = [weakref.ref(item) for item in items]
    items.clear()
    del item
    gc.collect()
    assert not [one for one in gone if one() is not None]
