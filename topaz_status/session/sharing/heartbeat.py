"""Beats: they keep this member in the account, and its role up to date."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from ...coordination import Bus, BusError, Percentiles, Pulse
from ...core.sharing.membership import Change, Membership
from ..telemetry import logger
from ..timing.backoff_delays import Backoff
from ..timing.clock import Clock

MOST_LATENCIES: Final = 200


def percentiles(values: deque[float]) -> Percentiles | None:
    """Return the median and the 95th percentile; ``None`` without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Percentiles(p50=ordered[len(ordered) // 2], p95=ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))])


@attrs.define(eq=False)
class Heartbeat:
    """Sends beats when they are due, by the loop that also polls: a loop that stands still must lose the lease."""

    _clock: Clock
    _bus: Bus
    _membership: Membership
    _jitter: Backoff
    _changed: Callable[[Change, Pulse | None], None]
    """Called with what a beat, or the time, has changed; with the answer of a beat that succeeded."""
    latencies: deque[float] = attrs.field(factory=lambda: deque(maxlen=MOST_LATENCIES), init=False)
    ahead: float = attrs.field(default=0.0, init=False)
    """By how many seconds the server's Unix time is ahead of the loop's clock."""
    _woken: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _beat: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    def wake(self) -> None:
        """Consider again when the next beat is due."""
        self._woken.set()

    def hurry(self) -> None:
        """Beat at once: who leads has changed, or may."""
        self._membership.hurry(self._clock.now())
        self.wake()

    async def run(self) -> None:
        """Beat until canceled."""
        try:
            while True:
                now = self._clock.now()
                if self._beat is None and now >= self._membership.beats_at:
                    self._beat = self._clock.loop.create_task(self._send(), name="topaz_status beat")
                self._changed(self._membership.pass_time(now), None)
                await self._wait(now)
        finally:
            if self._beat is not None:
                self._beat.cancel()

    async def first(self) -> None:
        """Send the first beat, and learn from it who leads.

        Raises:
            BusError: it failed.
        """
        await self._send(must_succeed=True)

    async def _wait(self, now: float) -> None:
        at = self._membership.wakes_at
        if at > now:
            await self._clock.wait(self._woken, at)
        elif self._beat is not None:  # its end wakes
            await self._clock.wait(self._woken, math.inf)

    async def _send(self, *, must_succeed: bool = False) -> None:
        clock, membership = self._clock, self._membership
        sent_at = clock.now()
        median = percentiles(self.latencies)
        try:
            pulse = await self._bus.beat(membership.beat(sent_at, 0.0 if median is None else median.p50))
        except Exception as error:
            if must_succeed:
                raise
            if not isinstance(error, BusError):  # a bug must not end the beats
                logger.warning("a beat failed in a way that is a bug: %s", type(error).__name__)
            self._changed(membership.failed(clock.now()), None)
        else:
            now = clock.now()
            self.latencies.append(now - sent_at)
            self.ahead = pulse.now - (sent_at + now) / 2.0
            self._changed(membership.heard(pulse, sent_at, now, self._jitter.share()), pulse)
        finally:
            self._beat = None
            self._woken.set()
