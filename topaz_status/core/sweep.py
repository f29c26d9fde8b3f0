"""One page of a list, as a sweep reads it: the items as they came, and where the list goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from ..models.state import JobKind
from .listing import listed, pagination, usable_cursor

PAGE_SIZES: Final[Mapping[JobKind, int]] = {JobKind.IMAGE: 100, JobKind.VIDEO: 50}
"""Statuses a page holds at most, of the kinds that have a list (Image API 1.2.0, Video API 1.0.0)."""
_IDS: Final = {JobKind.IMAGE: "process_id", JobKind.VIDEO: "id"}


@attrs.frozen
class SweptPage:
    """Items with the ids they name; whatever names none is left out."""

    kind: JobKind
    items: list[Any]
    next_cursor: str | None

    def __iter__(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Give each item's index, the job that it names, and itself."""
        name = _IDS[self.kind]
        for index, item in enumerate(self.items):
            if type(item) is dict and type(job_id := item.get(name)) is str:
                yield index, job_id, item


def read_sweep(kind: JobKind, data: object) -> SweptPage:
    """Find the items of a page of ``kind``.

    Raises:
        DecodeError: there is no list.
    """
    body = data if type(data) is dict else {}
    if kind is JobKind.IMAGE:
        items, _ = listed(data, "data")
        return SweptPage(kind, items, pagination(body.get("pagination"))[1])
    items, _ = listed(data, "result")
    return SweptPage(kind, items, usable_cursor(body.get("nextCursor")))
