"""Lists, pages and cursors."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.testing import JobPlan
from topaz_status.testing.simulator.job_life import Life, lay_down
from topaz_status.testing.simulator.list_pages import CursorError, Listing, encode_cursor

PLAN = JobPlan(kind=JobKind.IMAGE)


def life(name: str, at: float = 0.0) -> Life:
    return lay_down(PLAN, JobRef(JobKind.IMAGE, name), at, 0, random.Random(name))


def read_all(listing: Listing, size: int) -> list[str]:
    names: list[str] = []
    page = listing.page(None, size)
    while True:
        assert len(page.lives) <= size
        names += [found.ref.id for found in page.lives]
        if page.next_cursor is None:
            return names
        page = listing.page(page.next_cursor, size)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=3, alphabet="abc"), st.integers(0, 5))), st.integers(1, 7))
def test_the_pages_together_are_the_list(jobs: list[tuple[str, int]], size: int) -> None:
    """Following the cursors shows every job once, newest first, whatever the page size."""
    lives = list({name: life(name, float(at)) for name, at in jobs}.values())
    listing = Listing()
    for index, each in enumerate(lives):
        if index % 2:
            listing.add(each)
        else:
            listing.extend([each])
    names = read_all(listing, size)
    assert names == [found.ref.id for found in listing]
    assert names == [found.ref.id for found in sorted(lives, key=lambda each: (-each.submitted_at, each.ref.id))]


def test_cursors_are_keysets() -> None:
    """A cursor goes on where its page ended, although newer jobs came and the last one shown went."""
    listing = Listing()
    lives = [life(str(number), float(number)) for number in range(10)]
    listing.extend(lives)
    first = listing.page(None, 3)
    assert [found.ref.id for found in first.lives] == ["9", "8", "7"]
    listing.add(life("newer", 99.0))
    listing.remove(lives[7])
    assert [found.ref.id for found in listing.page(first.next_cursor, 3).lives] == ["6", "5", "4"]


def test_the_last_page_has_no_cursor() -> None:
    """A list that ends with its page says so at once."""
    listing = Listing()
    listing.extend([life("a"), life("b")])
    assert listing.page(None, 2).next_cursor is None
    assert listing.page(None, 1).next_cursor is not None


@pytest.mark.parametrize("order", ["uuid", "random"])
def test_other_orders(order: str) -> None:
    """A list by uuid or in random order does not follow the time of submission."""
    listing = Listing(order)
    listing.extend(life(str(number), float(number)) for number in range(10))
    names = read_all(listing, 3)
    assert sorted(names) == [str(number) for number in range(10)]
    assert (names == sorted(names)) is (order == "uuid")


def test_oldest_first_is_newest_first_reversed() -> None:
    """A list that begins with its oldest job takes a new one at its end: the last page, not the first, shows it."""
    lives = [life(str(number), float(number)) for number in (3, 1, 0, 2)]
    newest, oldest = Listing(), Listing("oldest")
    newest.extend(lives)
    oldest.extend(lives)
    assert read_all(oldest, 3) == read_all(newest, 3)[::-1] == ["0", "1", "2", "3"]
    first = oldest.page(None, 3)
    oldest.add(life("newer", 99.0))
    assert [found.ref.id for found in oldest.page(first.next_cursor, 3).lives] == ["3", "newer"]


@pytest.mark.parametrize("text", ["nonsense!", "", "AAAA", "é", encode_cursor(("text", "id")), "W10", "bnVsbA"])
def test_foreign_cursors_are_refused(text: str) -> None:
    """A cursor that this list never gave out is a CursorError."""
    listing = Listing()
    listing.extend([life("a"), life("b")])
    with pytest.raises(CursorError):
        listing.page(text, 10)
