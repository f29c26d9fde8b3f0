"""Timeouts by the hundred thousand under one timer of the loop."""

from __future__ import annotations

import asyncio
import heapq
from typing import Final, Protocol

import attrs

from .clock import Clock

TIMER_GRAIN: Final = 0.01
"""Seconds: alarms this close together ring together, and no timer spins on one that is a hair away."""
_FEW: Final = 64


class Sleeper(Protocol):
    """Whom an alarm is for."""

    def ring(self) -> None:
        """The time has come."""


@attrs.define(eq=False, weakref_slot=False)
class Timer:
    """One timeout: rings for whom it is set at ``at``, unless that is nobody by then."""

    at: float
    sleeper: Sleeper | None

    def __lt__(self, other: Timer) -> bool:
        return self.at < other.at


@attrs.define(eq=False)
class Timers:
    """A heap of alarms. Those switched off are swept out once they are the majority."""

    _clock: Clock
    _heap: list[Timer] = attrs.field(factory=list, init=False)
    _off: int = attrs.field(default=0, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def set(self, at: float, sleeper: Sleeper) -> Timer:
        """Ring at ``at``, seconds of the loop's clock."""
        timer = Timer(at, sleeper)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._arm()
        return timer

    def after(self, delay: float, sleeper: Sleeper) -> Timer:
        """Ring in ``delay`` seconds."""
        return self.set(self._clock.now() + delay, sleeper)

    def switch_off(self, timer: Timer) -> None:
        """Let an alarm not ring; what it would have called is let go at once."""
        if timer.sleeper is None:
            return
        timer.sleeper = None
        self._off += 1
        if self._off > max(_FEW, len(self._heap) // 2):
            self._heap = [timer for timer in self._heap if timer.sleeper is not None]
            heapq.heapify(self._heap)
            self._off = 0

    def close(self) -> None:
        """Ring nothing any more."""
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
            sleeper, timer.sleeper = timer.sleeper, None
            if sleeper is None:
                self._off -= 1
            else:
                sleeper.ring()
        self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
