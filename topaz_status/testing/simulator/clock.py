"""The simulator's clock: seconds since it was first used on an event loop, and the Unix time they stand for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs


@attrs.define
class SimulatedClock:
    """Follows the loop it is used on, in real or in virtual time; stands at zero until there is one.

    Args:
        skew: seconds by which the server's wall clock is ahead of the true one.
    """

    skew: float = 0.0
    _loop: asyncio.AbstractEventLoop | None = None
    _origin: float = 0.0
    _wall: float = attrs.field(factory=time.time)
    _last: float = 0.0

    def now(self) -> float:
        """Seconds since the simulator began."""
        if self._loop is None:
            self.follow_running_loop()
        if self._loop is not None:
            self._last = self._loop.time() - self._origin
        return self._last

    def follow_running_loop(self) -> None:
        """Begin, or go on, by the running loop's time, if there is a running loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is not self._loop:
            wall_time: Callable[[], float] = getattr(loop, "wall_time", time.time)
            self._loop, self._origin = loop, loop.time() - self._last
            self._wall = wall_time() - self._last

    def loop_time(self, when: float) -> float:
        """The loop's time of a moment on this clock."""
        return self._origin + when

    def true_unix(self, when: float) -> float:
        """The true Unix time of a moment on this clock."""
        return self._wall + when

    def unix(self, when: float) -> float:
        """The Unix time that the server believes it is at a moment on this clock."""
        return self._wall + when + self.skew
