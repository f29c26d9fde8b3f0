"""Download slots: a bounded number of downloads at a time, in the order of arrival; all end with the client."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

from ...errors import ClientClosedError
from ..timing.backoff_delays import pause
from ..timing.cancel_scope import CancelScope

T = TypeVar("T")


@attrs.define(eq=False)
class Downloads:
    """Grants slots. Joining the line, taking a slot and leaving take constant time, however long the line is."""

    slots: int
    taken: int = attrs.field(default=0, init=False)
    _line: OrderedDict[asyncio.Future[None], None] = attrs.field(factory=OrderedDict, init=False)
    _returning: OrderedDict[asyncio.Future[None], None] = attrs.field(factory=OrderedDict, init=False)
    """The line of downloads that gave their slot back to wait: they go first, because they came first."""
    _holders: set[asyncio.Task[object] | None] = attrs.field(factory=set, init=False)
    """The tasks that have a slot."""
    _under_way: set[CancelScope] = attrs.field(factory=set, init=False)
    """The scopes of all downloads that run or wait."""
    _closed: bool = attrs.field(default=False, init=False)
    _ended: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Wait for a slot, then do ``work`` in it.

        Raises:
            ClientClosedError: the client was closed before the end.
        """
        if self._closed:
            raise _error()
        with CancelScope(_error) as scope:
            self._under_way.add(scope)
            try:
                await self._take(self._line)
                try:
                    return await work()
                finally:
                    self._give_back()
            finally:
                self._under_way.discard(scope)
                if not self._under_way:
                    self._ended.set()

    async def idle(self, delay: float) -> None:
        """Wait ``delay`` seconds without the slot, then wait for a slot again; only ``work`` calls this."""
        self._give_back()
        await pause(delay)
        await self._take(self._returning)

    def close(self) -> None:
        """End all downloads that run or wait."""
        self._closed = True
        for scope in tuple(self._under_way):
            scope.end()

    async def wait_closed(self) -> None:
        """Wait until each download has cleaned up."""
        while self._under_way:
            self._ended.clear()
            await self._ended.wait()

    async def _take(self, line: OrderedDict[asyncio.Future[None], None]) -> None:
        """Take a slot for the running task, waiting in ``line`` if none is free."""
        if self.taken < self.slots:
            self.taken += 1
        else:
            await self._wait(line)
        self._holders.add(asyncio.current_task())

    def _give_back(self) -> None:
        """Give back the running task's slot, if it has one."""
        task = asyncio.current_task()
        if task in self._holders:
            self._holders.remove(task)
            self._release()

    async def _wait(self, line: OrderedDict[asyncio.Future[None], None]) -> None:
        turn = asyncio.get_running_loop().create_future()
        line[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            line.pop(turn, None)
            if not turn.cancelled():  # granted, never used
                self._release()
            raise

    def _release(self) -> None:
        """Give a slot to the first in line that still waits; if none waits, the slot is free."""
        for line in (self._returning, self._line):
            while line:
                turn, _ = line.popitem(last=False)
                if not turn.done():
                    turn.set_result(None)
                    return
        self.taken -= 1


def _error() -> ClientClosedError:
    return ClientClosedError("the client was closed while a result was being saved")
