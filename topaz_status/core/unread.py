"""Answers about image jobs that nobody has read in full yet: most never are, for the next one comes before."""

from __future__ import annotations

from typing import TypeAlias

from ..models import JobStatus
from ..models.state import JobKind, JobRef
from .decode import decode_image, pack, parse_json
from .list_page import read_sweep


class UnreadPage:
    """A page for all whom it shows, in one piece until one of them is asked for; then each item has its own bytes."""

    __slots__ = ("_held",)

    def __init__(self, body: bytes) -> None:
        """Take the body of a page that has been parsed before."""
        self._held: bytes | list[object] = body

    def item(self, index: int) -> object:
        """Parse one item."""
        held = self._held
        if isinstance(held, bytes):
            items = read_sweep(JobKind.IMAGE, parse_json(held)).items
            held = self._held = [packed(item) or item for item in items]
        item = held[index]
        return parse_json(item) if isinstance(item, bytes) else item


Told: TypeAlias = JobStatus | bytes | tuple[UnreadPage, int]
"""A status; or unread, of an image job, a body or the item of a page with that index."""


def read_told(told: Told | None, job: JobRef) -> JobStatus | None:
    """Read what was told of ``job`` in full.

    Raises:
        DecodeError: it cannot be read; never where :func:`.glimpse.glimpse` found something in it.
    """
    if isinstance(told, bytes):
        return decode_image(parse_json(told), job)
    if isinstance(told, tuple):
        page, index = told
        return decode_image(page.item(index), job)
    return told


def packed(item: object) -> bytes | None:
    """Write an item in fewest bytes; ``None`` where it is nested deeper than can be written."""
    try:
        return pack(item)
    except TypeError:
        return None
