"""Deadlines of one length, any number under one loop timer: the first to begin is the first to run out."""

from __future__ import annotations

import asyncio
from itertools import takewhile
from types import TracebackType
from typing import Self

import attrs

from .cancel_scope import CancelScope
from .clock import Clock
from .timers import TIMER_GRAIN


@attrs.define(eq=False)
class Deadlines:
    """All running deadlines, each ``seconds`` long. The timer is set for the first, and fires even if that ended."""

    clock: Clock
    _seconds: float
    running: dict[Deadline, float] = attrs.field(factory=dict, init=False)
    """When each deadline runs out, in that order."""
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def begin(self, deadline: Deadline) -> None:
        """Start a deadline, which runs out ``seconds`` from now."""
        clock = self.clock
        at = self.running[deadline] = clock.now() + self._seconds
        if self._timer is None:
            self._timer = clock.loop.call_at(at, self._fire)

    def close(self) -> None:
        """Let no deadline run out any more."""
        self.running.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        now = self.clock.now()
        over = [deadline for deadline, _ in takewhile(lambda item: item[1] <= now, self.running.items())]
        for deadline in over:
            del self.running[deadline]
            deadline.end()
        for at in self.running.values():
            self._timer = self.clock.loop.call_at(max(at, now + TIMER_GRAIN), self._fire)
            break


@attrs.define(eq=False)
class Deadline(CancelScope):
    """``with Deadline(TimeoutError, deadlines):`` ends the enclosed work with ``TimeoutError()`` when time is up."""

    _deadlines: Deadlines

    def __enter__(self) -> Self:
        self._deadlines.begin(self)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._deadlines.running.pop(self, None)
        if self._ended:
            super().__exit__(kind, error, traceback)
