"""The order of a list: learned from ages, not believed at once, and not lost by a few lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.schedule.list_order import AgeOrder, ListOrder

AGES = st.lists(st.floats(0.0, 1e6), max_size=12)


def learned(*pages: list[float]) -> AgeOrder:
    """Learn from pages, and return the order."""
    order = ListOrder()
    for ages in pages:
        order.learn(ages)
    return order.order


def test_one_page_shows_the_order() -> None:
    """Ages that rise along the list make it newest first, ages that fall oldest first."""
    ages = [float(age) for age in range(12)]
    assert learned(ages) is AgeOrder.NEWEST
    assert learned(ages[::-1]) is AgeOrder.OLDEST
    assert learned([3.0, 9.0, 1.0, 7.0, 2.0, 8.0, 0.0, 5.0]) is AgeOrder.NONE


def test_equal_ages_show_nothing() -> None:
    """Hundreds of items made in one second are in no order that ages could show."""
    assert learned(*[[7.0] * 12] * 20) is AgeOrder.UNKNOWN


@given(place=st.integers(0, 11), lie=st.floats(0.0, 1e6))
def test_one_lying_item_changes_no_order(place: int, lie: float) -> None:
    """Two pages with one false age each are still in order."""
    ages = [10.0 * number for number in range(12)]
    lying = [*ages[:place], lie, *ages[place + 1 :]]
    assert learned(ages, lying, lying) is AgeOrder.NEWEST


@given(st.lists(AGES, max_size=30))
def test_a_service_that_turns_its_list_round_is_believed_in_the_end(before: list[list[float]]) -> None:
    """Whatever pages said before, forty pages of one order are enough."""
    ages = [float(age) for age in range(12)]
    assert learned(*before, *[ages[::-1]] * 40) is AgeOrder.OLDEST
