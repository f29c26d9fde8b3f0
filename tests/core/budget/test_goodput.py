"""The goodput: good answers per second, by the time at which their requests were sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.goodput import Goodput


def counted(times: list[float]) -> Goodput:
    """Return a goodput that has seen requests sent at these times."""
    goodput = Goodput()
    for sent_at in times:
        if sent_at < goodput.ends_at:
            goodput.count += 1
        else:
            goodput.begin(sent_at)
    return goodput


def test_it_is_the_fuller_one_of_two_windows() -> None:
    """A window that has just begun does not hide the one before it."""
    goodput = counted([0.0, 0.1, 0.2, 0.3, 1.1])
    assert goodput.at(1.2) == 4.0
    assert counted([0.0, 1.1, 1.2, 1.3]).at(1.4) == 3.0


def test_a_second_without_requests_is_forgotten_with_what_was_before_it() -> None:
    """What was admitted two seconds ago says nothing of now."""
    assert counted([0.0, 0.1, 0.2, 2.5]).at(2.6) == 1.0
    assert counted([0.0, 0.1, 0.2]).at(1.5) == 3.0
    assert counted([0.0, 0.1, 0.2]).at(2.5) == 0.0


@given(st.lists(st.floats(0.0, 100.0)), st.floats(0.0, 110.0))
def test_it_never_exceeds_what_one_second_held(times: list[float], at: float) -> None:
    """Whatever the order of the answers."""
    assert 0.0 <= counted(times).at(at) <= len(times)
    steady = counted(sorted(times))
    assert steady.at(at) <= max((sum(one <= other < one + 1.0 for other in times) for one in times), default=0)
