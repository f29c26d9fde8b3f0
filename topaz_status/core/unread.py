"""Answers about image jobs that nobody has read in full yet: most never are, for the next one comes before."""

from __future__ import annotations

from typing import TypeAlias

from ..models import JobStatus
from ..models.state import JobKind, JobRef
from .decode import decode_image, pack, parse_json
from .sweep import read_sweep


class UnreadPage:
    """A page for all whom it shows, in one piece until one of them is asked for; then each item has its own bytes."""

    __slots__ = ("_body", "_items")

    def __init__(self, body: bytes) -> None:
        """Take the body of a page that has been parsed before."""
        self._body = body
        self._items: list[object] = []

    def item(self, index: int) -> object:
        """Parse one item."""
        if self._body:
            self._items = [packed(item) for item in read_sweep(JobKind.IMAGE, parse_json(self._body)).items]
            self._body = b""
        item = self._items[index]
        return parse_json(item) if isinstance(item, bytes) else item


Unread: TypeAlias = bytes | tuple[UnreadPage, int]
"""A body, or the item of a page with that index."""


def read_told(told: JobStatus | Unread | None, job: JobRef) -> JobStatus | None:
    """Read what was told of ``job`` in full: where it is unread, that is an image job.

    Raises:
        DecodeError: it cannot be read; never where :func:`.glimpse.glimpse` found something in it.
    """
    if isinstance(told, bytes):
        return decode_image(parse_json(told), job)
    if isinstance(told, tuple):
        page, index = told
        return decode_image(page.item(index), job)
    return told


def packed(item: object) -> bytes | object:
    """Write an item in fewest bytes, or give it back where it is nested deeper than can be written."""
    try:
        return pack(item)
    except TypeError:
        return item
