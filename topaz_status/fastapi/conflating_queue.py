"""What one stream has yet to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class ConflatingQueue(Generic[T]):
    """The newest letter about each subject, for a reader who may be slow: never more than there are subjects."""

    heartbeat: float
    """Seconds of silence after which the reader is given ``None``, to show that the stream is alive."""
    _letters: dict[object, T] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def put(self, about: object, letter: T) -> None:
        """Leave a letter; it takes the place of one about the same that has not been read."""
        self._letters[about] = letter
        self._news.set()

    def close(self) -> None:
        """There will be no more: the reader ends when what is there has been read."""
        self._closed = True
        self._news.set()

    async def letters(self) -> AsyncIterator[T | None]:
        """Give the letters as they come."""
        while True:
            while self._letters:
                yield self._letters.pop(next(iter(self._letters)))
            if self._closed:
                return
            self._news.clear()
            try:
                async with asyncio.timeout(self.heartbeat):
                    await self._news.wait()
            except TimeoutError:
                yield None
