"""Timers: hundreds of thousands of timeouts under one timer of the loop."""

from __future__ import annotations

import asyncio
import heapq
from typing import Final, Protocol

import attrs

from .clock import Clock

TIMER_GRAIN: Final = 0.01
"""Seconds: timers this close together fire together, and the loop's timer is never set for less than this."""
_FEW: Final = 64


class TimerTarget(Protocol):
    """The object that a timer calls."""

    def on_timer(self) -> None:
        """Act on the timer's end."""


@attrs.define(eq=False, weakref_slot=False)
class Timer:
    """A timer: calls its target's ``on_timer()`` at ``at`` unless switched off."""

    at: float
    target: TimerTarget | None

    def __lt__(self, other: Timer) -> bool:
        return self.at < other.at


@attrs.define(eq=False)
class Timers:
    """A heap of timers. Timers that are switched off are removed once they are the majority."""

    _clock: Clock
    _heap: list[Timer] = attrs.field(factory=list, init=False)
    _off: int = attrs.field(default=0, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def set(self, at: float, target: TimerTarget) -> Timer:
        """Set a timer for ``at``, in seconds of the loop's clock."""
        timer = Timer(at, target)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._arm()
        return timer

    def after(self, delay: float, target: TimerTarget) -> Timer:
        """Set a timer for ``delay`` seconds from now."""
        return self.set(self._clock.now() + delay, target)

    def switch_off(self, timer: Timer) -> None:
        """Switch a timer off; its target is released at once."""
        if timer.target is None:
            return
        timer.target = None
        self._off += 1
        if self._off > max(_FEW, len(self._heap) // 2):
            self._heap = [timer for timer in self._heap if timer.target is not None]
            heapq.heapify(self._heap)
            self._off = 0

    def close(self) -> None:
        """Switch every timer off."""
        for timer in self._heap:
            self.switch_off(timer)
        self._heap.clear()
        self._disarm()

    def _arm(self) -> None:
        self._disarm()
        if self._heap:
            at = max(self._heap[0].at, self._clock.now() + TIMER_GRAIN)
            self._timer = self._clock.loop.call_at(at, self._fire)

    def _fire(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0].at <= now:
            timer = heapq.heappop(self._heap)
            target, timer.target = timer.target, None
            if target is None:
                self._off -= 1
            else:
                target.on_timer()
        self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
