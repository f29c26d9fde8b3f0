"""The timer wheel: what is put in comes out in the order of times, and what is stale does not."""

from __future__ import annotations

import math
from operator import attrgetter, itemgetter

import attrs
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.schedule.timer_wheel import TICKS, TimerWheel

Item = tuple[float, int]
"""When it is due, and which it is."""
TIMES = st.floats(0.0, 2.0) | st.integers(0, 64).map(lambda half: half / TICKS / 2.0)
"""In many a tick, and on their edges."""


def new_wheel(gone: set[int] | None = None) -> TimerWheel[Item]:
    return TimerWheel(itemgetter(0), lambda _, item: gone is None or item[1] not in gone)


def taken(wheel: TimerWheel[Item], by: float = 1e6) -> list[Item]:
    """What is due by then; when the first of it is, is known before."""
    at = wheel.first_at(by)
    out = list(wheel.due(by))
    assert [at for at, _ in out[:1]] == [at] * (at <= by)
    return out


@given(st.lists(TIMES))
def test_what_is_put_in_comes_out_in_the_order_of_times_and_then_of_coming(times: list[float]) -> None:
    """Whatever ticks they fall into."""
    wheel = new_wheel()
    items = [(at, number) for number, at in enumerate(times)]
    for item in items:
        wheel.put(item[0], item)
    assert taken(wheel) == sorted(items)
    assert not wheel


@given(st.lists(st.tuples(st.lists(TIMES, max_size=8), st.floats(0.0, 0.5))))
def test_what_is_put_in_while_others_come_out_takes_its_place_among_them(
    steps: list[tuple[list[float], float]],
) -> None:
    """Also in a tick that is at hand, or past; and nothing comes out before its time."""
    wheel, now, number, waiting = new_wheel(), 0.0, 0, list[Item]()
    for delays, pause in steps:
        for delay in delays:
            number += 1
            item = now + delay, number
            wheel.put(item[0], item)
            waiting.append(item)
        now += pause
        due = [item for item in waiting if item[0] <= now]
        assert taken(wheel, now) == sorted(due)
        waiting = [item for item in waiting if item[0] > now]
    assert taken(wheel) == sorted(waiting)


@given(st.lists(TIMES, min_size=1, max_size=8), st.lists(TIMES, max_size=8))
def test_what_is_put_in_for_later_while_something_is_taken_out_comes_out_after_it(
    times: list[float], delays: list[float]
) -> None:
    """As a promoted entry does that plans its next promotion; a caller who stops taking leaves the rest in place."""
    wheel, expected = new_wheel(), [(at, number) for number, at in enumerate(times)]
    for item in expected:
        wheel.put(item[0], item)
    out, later = [], iter(delays)
    for at, number in wheel.due(8.0):
        out.append((at, number))
        if (delay := next(later, None)) is not None:
            item = at + delay, len(expected)
            expected.append(item)
            wheel.put(item[0], item)
        if len(out) == len(times):
            break
    assert out + taken(wheel) == sorted(expected)


@given(st.lists(TIMES, min_size=1), st.data())
def test_what_turned_stale_is_passed_over_wherever_it_waits(times: list[float], data: st.DataObject) -> None:
    """In a tick to come, in the one at hand, and in what was put into it since; a sweep changes nothing of that."""
    gone: set[int] = set()
    wheel = new_wheel(gone)
    items = [(at, number) for number, at in enumerate(times)]
    half = data.draw(st.integers(0, len(items)))
    for item in items[:half]:
        wheel.put(item[0], item)
    wheel.first_at()
    for item in items[half:]:
        wheel.put(item[0], item)
    gone |= data.draw(st.sets(st.sampled_from(range(len(items)))))
    if data.draw(st.booleans()):
        wheel.sweep()
    assert taken(wheel) == [item for item in sorted(items) if item[1] not in gone]


@attrs.define(eq=False)
class Moving:
    """An item that is put in again and again, and counts for the last time only."""

    at: float = 0.0


def moving_wheel() -> TimerWheel[Moving]:
    return TimerWheel(attrgetter("at"), lambda at, item: item.at == at)


@given(st.lists(st.tuples(st.integers(0, 3), TIMES), min_size=1), st.booleans(), st.booleans())
def test_what_is_put_in_again_comes_out_at_its_last_time(
    puts: list[tuple[int, float]], at_hand: bool, swept: bool
) -> None:
    """Whether that is sooner or later than before, in the same tick or in another, which may be at hand."""
    wheel, items = moving_wheel(), [Moving() for _ in range(4)]
    for number, at in puts:
        items[number].at = at
        wheel.put(at, items[number])
        if at_hand:
            wheel.first_at()
    if swept:
        wheel.sweep()
    out = []
    for item in wheel.due(8.0):
        out.append((item.at, items.index(item)))
        item.at = -1.0
    assert sorted(out) == sorted((at, number) for number, at in dict(puts).items())
    assert [at for at, _ in out] == sorted(at for at, _ in out)


def test_a_sweep_keeps_of_what_was_put_in_again_the_last_only() -> None:
    """Or a wheel would keep as many as were put in until their ticks come."""
    wheel, item = moving_wheel(), Moving()
    for at in range(1_000, 1_300):
        item.at = float(at)
        wheel.put(item.at, item)
    wheel.sweep()
    item.at = 1_000.0  # had it been kept there, it would count again
    assert list(wheel.due(1_200.0)) == []


def test_what_is_to_come_out_at_no_time_does_not() -> None:
    """Whether or not it was swept."""
    for swept in (False, True):
        wheel, never, other = moving_wheel(), Moving(), Moving()
        for item in (never, other):
            item.at = 5.0
            wheel.put(item.at, item)
        never.at = math.inf
        if swept:
            wheel.sweep()
        assert list(wheel.due(9.0)) == [other]


def test_a_sweep_lets_go_of_what_is_stale_before_its_tick_comes() -> None:
    """Or a wheel of far times would keep whatever was ever put in."""
    gone: set[int] = set()
    wheel = new_wheel(gone)
    for number in range(300):
        if number == 200:
            wheel.first_at()  # brings the first hundred to hand
        at = 1_000.0 if number % 2 else 2_000.0
        wheel.put(at, (at, number))
    gone |= set(range(300)) - {99, 100, 299}
    wheel.sweep()
    gone.clear()  # entries that are still in there count again
    assert taken(wheel) == [(1_000.0, 99), (1_000.0, 299), (2_000.0, 100)]
