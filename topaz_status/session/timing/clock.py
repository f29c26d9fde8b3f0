"""The two clocks: the loop's for every duration, the wall clock for times that people and services name."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Clock:
    """``now()`` gives monotonic seconds of the loop, ``wall()`` Unix seconds; nothing else reads either clock."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    wall: Callable[[], float]
    pid: int = attrs.field(factory=os.getpid)
    """The process that the loop belongs to. One that is forked from it has only a copy of the loop."""

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Clock:
        """Return the clocks of a loop; a loop of virtual time has a ``wall_time`` of its own."""
        return cls(loop, loop.time, getattr(loop, "wall_time", time.time))

    def is_running_here(self) -> bool:
        """Return whether the caller runs on this loop."""
        return _running_loop() is self.loop

    def is_forked(self) -> bool:
        """Return whether the caller runs in a process that was forked from the loop's."""
        return os.getpid() != self.pid

    def why_not_here(self) -> str | None:
        """Return why the caller may not use what belongs to this loop; ``None`` if it may."""
        if self.is_forked():
            return f"belongs to process {self.pid}, from which this one was forked: open another client after the fork"
        return None if self.is_running_here() else "belongs to another event loop"

    async def wait(self, event: asyncio.Event, until: float) -> None:
        """Wait until an event is set, or until a time of ``now()``, which may be infinite; then clear the event."""
        timer = None if until == math.inf else self.loop.call_at(until, event.set)
        try:
            await event.wait()
        finally:
            event.clear()
            if timer is not None:
                timer.cancel()

    def soon(self, call: Callable[[T], object], about: T) -> None:
        """Make a call on this loop: at once if the caller runs there, else in a later turn of the loop."""
        if self.is_running_here():
            call(about)
            return
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(call, about)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
