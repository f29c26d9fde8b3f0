"""The queue of what one stream has yet to send."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class ConflatingQueue(Generic[T]):
    """Holds the latest item of each key, for a reader that may be slow: never more items than keys."""

    heartbeat: float
    """Seconds without an item after which the reader gets no item, to show that the stream is alive."""
    _items: dict[object, T] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _changed: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def put(self, key: object, item: T) -> None:
        """Add an item; it replaces an unread one of the same key."""
        self._items[key] = item
        self._changed.set()

    def close(self) -> None:
        """Close the queue: the reader ends once it has read the remaining items."""
        self._closed = True
        self._changed.set()

    @property
    def is_over(self) -> bool:
        """True once the queue is closed and the reader has its last item."""
        return self._closed and not self._items

    async def take(self, most: int) -> list[T]:
        """Wait for items and remove up to ``most``, the longest waiting first.

        The list is empty after a silence of ``heartbeat`` seconds, and when the queue was closed without an item.
        """
        if not self._items and not self._closed:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.heartbeat):
                    await self._changed.wait()
        return [self._items.pop(key) for key in list(islice(self._items, most))]
