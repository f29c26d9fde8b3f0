"""An answer that is kept unread says, whenever it is read, what it would have said at once."""

from __future__ import annotations

import json
from typing import Any

from documented_bodies import IMAGE
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.core.decode import decode_image
from topaz_status.core.unread import UnreadPage, packed, read_told

JOBS = [JobRef(JobKind.IMAGE, f"d7b3e7a1-0000-4000-8000-{number:012x}") for number in range(8)]
NESTED: Any = json.loads("[" * 280 + "]" * 280)
"""It can be parsed, and not written."""


def items_of(surprises: list[object]) -> list[dict[str, Any]]:
    return [
        {**IMAGE, "process_id": job.id, "progress": number, "surprise": surprise}
        for number, (job, surprise) in enumerate(zip(JOBS, surprises, strict=False))
    ]


@given(
    surprises=st.lists(st.sampled_from([None, "ü", {"a": []}, 2**70, NESTED]), min_size=1, max_size=len(JOBS)),
    bare=st.booleans(),
    asked=st.lists(st.integers(0, len(JOBS) - 1), max_size=12),
)
def test_an_item_of_a_page(surprises: list[object], bare: bool, asked: list[int]) -> None:
    """Whichever is asked for first, and however often."""
    items = items_of(surprises)
    page = UnreadPage(json.dumps(items if bare else {"data": ["no job", *items]}).encode())
    for number in asked:
        if number < len(items):
            index = number if bare else number + 1
            assert read_told((page, index), JOBS[number]) == decode_image(items[number], JOBS[number])


@given(surprise=st.sampled_from([None, "ü", NESTED]))
def test_an_item_by_itself(surprise: object) -> None:
    """It is written where it can be."""
    [item] = items_of([surprise])
    own = packed(item)
    assert (own is None) is (surprise is NESTED)
    assert own is None or read_told(own, JOBS[0]) == decode_image(item, JOBS[0])
