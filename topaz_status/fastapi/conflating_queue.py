"""The queue of what one stream has yet to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class ConflatingQueue(Generic[T]):
    """Holds the latest item of each key, for a reader that may be slow: never more items than keys."""

    heartbeat: float
    """Seconds without an item after which the reader gets ``None``, to show that the stream is alive."""
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

    async def items(self) -> AsyncIterator[T | None]:
        """Yield the items as they come, and ``None`` after each silence of ``heartbeat`` seconds."""
        while True:
            while self._items:
                yield self._items.pop(next(iter(self._items)))
            if self._closed:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(self.heartbeat):
                    await self._changed.wait()
            except TimeoutError:
                yield None
