"""Ages of a page's items: a sample in the order of the list, tolerant of every item."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.wire.list_ages import AGES_SAMPLED, sampled_ages
from topaz_status.core.wire.list_page import ListPage
from topaz_status.models.job import JobKind

NOW = 1_800_000_000.0
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ts", "creation_time"]), inner),
    max_leaves=8,
)


def page(kind: JobKind, items: list[Any]) -> ListPage:
    """Make a page of items."""
    return ListPage(kind, items, None)


def test_the_ages_of_a_page_are_in_its_order() -> None:
    """A sample from the first to the last item, in seconds by the service's clock."""
    items = [{"creation_time": NOW - number} for number in range(100)]
    ages = sampled_ages(page(JobKind.IMAGE, items), NOW)
    assert len(ages) == AGES_SAMPLED
    assert (ages[0], ages[-1]) == (0.0, 99.0)
    assert ages == sorted(ages)


@pytest.mark.parametrize("word", ["requested", "accepted"])
def test_a_video_is_as_old_as_its_first_state(word: str) -> None:
    """The history has milliseconds."""
    assert sampled_ages(page(JobKind.VIDEO, [{"ts": {word: (NOW - 7.5) * 1_000.0}}]), NOW) == [7.5]


@given(kind=st.sampled_from([JobKind.IMAGE, JobKind.VIDEO]), items=st.lists(JSON, max_size=120))
def test_whatever_a_list_has_its_ages_are_plausible(kind: JobKind, items: list[Any]) -> None:
    """An item without a usable time is left out."""
    ages = sampled_ages(page(kind, items), NOW)
    assert len(ages) <= AGES_SAMPLED
    assert all(0.0 <= age <= 7 * 86_400.0 for age in ages)
