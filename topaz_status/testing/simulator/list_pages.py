"""Lists in order and their pages: a sorted index with keyset cursors."""

from __future__ import annotations

import base64
import binascii
import bisect
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import attrs
import orjson

from .job_life import Life

Key: TypeAlias = tuple[float | str, str]

ORDERS: Final = frozenset({"newest", "oldest", "uuid", "random"})


class CursorError(ValueError):
    """A cursor that this service never issued."""


def canonical_id(life: Life, order: str) -> Key:
    """Return a job's sort key in a list: lists show ascending keys."""
    if order == "newest":
        return (-life.submitted_at, life.ref.id)
    if order == "oldest":
        return (life.submitted_at, life.ref.id)
    return (life.ref.id if order == "uuid" else life.order, life.ref.id)


def encode_cursor(key: Key) -> str:
    """Make the opaque text that names the last item of a page; it stays valid when that item is removed."""
    text = orjson.dumps({"process_id": key[1], "after": key[0]})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode_cursor(text: str) -> Key:
    """Read a cursor.

    Raises:
        CursorError: this service did not issue the cursor.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        fields: Any = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place, job_id = fields["after"], fields["process_id"]
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError, KeyError, TypeError):
        raise CursorError("Invalid cursor") from None
    if not isinstance(job_id, str) or not isinstance(place, str | float | int):
        raise CursorError("Invalid cursor")
    return place, job_id


@attrs.frozen
class ListedPage:
    """Some jobs in order, and the cursor of the next page, if there is one."""

    lives: list[Life]
    next_cursor: str | None


@attrs.define
class Listing:
    """Jobs in the order of a list: finding a page takes O(log n), reading it O(page size).

    Args:
        order: ``"newest"`` first, ``"oldest"`` first, by ``"uuid"``, or in ``"random"`` order.
    """

    order: str = attrs.field(default="newest", validator=attrs.validators.in_(ORDERS))
    _keys: list[Key] = attrs.field(factory=list, init=False)
    _lives: dict[str, Life] = attrs.field(factory=dict, init=False)

    def add(self, life: Life) -> None:
        """Add one job in order."""
        if life.ref.id not in self._lives:
            self._lives[life.ref.id] = life
            bisect.insort(self._keys, canonical_id(life, self.order))

    def extend(self, lives: Iterable[Life]) -> None:
        """Add many jobs in order at once."""
        fresh = [life for life in lives if life.ref.id not in self._lives]
        self._lives.update((life.ref.id, life) for life in fresh)
        self._keys += [canonical_id(life, self.order) for life in fresh]
        self._keys.sort()

    def remove(self, life: Life) -> None:
        """Remove one job, if the list has it."""
        if self._lives.pop(life.ref.id, None) is not None:
            del self._keys[bisect.bisect_left(self._keys, canonical_id(life, self.order))]

    def clear(self) -> None:
        """Remove all jobs."""
        self._keys.clear()
        self._lives.clear()

    def page(self, cursor: str | None, size: int) -> ListedPage:
        """Return up to ``size`` jobs after the cursor.

        Raises:
            CursorError: this service did not issue the cursor.
        """
        start = 0
        if cursor is not None:
            try:
                start = bisect.bisect_right(self._keys, decode_cursor(cursor))
            except TypeError:
                raise CursorError("Invalid cursor") from None
        keys = self._keys[start : start + size]
        more = start + size < len(self._keys)
        return ListedPage([self._lives[key[1]] for key in keys], encode_cursor(keys[-1]) if more and keys else None)

    def __iter__(self) -> Iterator[Life]:
        return (self._lives[key[1]] for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)
