"""The simulator's clock: seconds since its first use on an event loop, and their Unix time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs


@attrs.define
class SimulatedClock:
    """A clock that follows the running event loop, in real or virtual time; zero until there is a loop.

    Args:
        skew: seconds by which the server's wall clock is ahead of the true time.
    """

    skew: float = 0.0
    _loop: asyncio.AbstractEventLoop | None = None
    _origin: float = 0.0
    _wall: float = attrs.field(factory=time.time)
    _last: float = 0.0

    def now(self) -> float:
        """Return the seconds since the simulator began."""
        if self._loop is None:
            self.follow_running_loop()
        if self._loop is not None:
            self._last = self._loop.time() - self._origin
        return self._last

    def follow_running_loop(self) -> None:
        """Follow the running loop's time from the last reading on, if there is a running loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is not self._loop:
            wall_time: Callable[[], float] = getattr(loop, "wall_time", time.time)
            self._loop, self._origin = loop, loop.time() - self._last
            self._wall = wall_time() - self._last

    def loop_time(self, when: float) -> float:
        """Return the event loop's time of a moment on this clock."""
        return self._origin + when

    def true_unix(self, when: float) -> float:
        """Return the true Unix time of a moment on this clock."""
        return self._wall + when

    def unix(self, when: float) -> float:
        """Return the Unix time that the server's own clock shows at a moment on this clock."""
        return self._wall + when + self.skew
