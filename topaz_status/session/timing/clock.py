"""The two clocks: the loop's for every span, the wall's for times that people and services name."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Clock:
    """``now()`` is monotonic seconds of the loop, ``wall()`` Unix seconds: the only place where either is read."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    wall: Callable[[], float]

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Clock:
        """The clocks of a loop; a loop of virtual time brings a ``wall_time`` of its own."""
        return cls(loop, loop.time, getattr(loop, "wall_time", time.time))

    def is_running_here(self) -> bool:
        """True in code that runs on this loop."""
        return _running_loop() is self.loop

    def soon(self, call: Callable[[T], object], about: T) -> None:
        """Make a call on this loop: at once in code that runs there, else when it comes round."""
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
