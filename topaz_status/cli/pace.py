"""How fast something goes on: events per second over the last few seconds."""

from __future__ import annotations

from collections import deque

import attrs


@attrs.define(eq=False)
class Pace:
    """The pace of a count that grows, over a window of the last ``window`` seconds."""

    window: float
    _samples: deque[tuple[float, float]] = attrs.field(factory=deque, init=False)

    def measure(self, now: float, count: int) -> float:
        """Take the count of the time ``now``, in seconds, and return the events per second; 0 at first.

        The count at the beginning of the window is interpolated between the samples around it.
        """
        self._samples.append((now, count))
        while len(self._samples) > 2 and self._samples[1][0] <= now - self.window:  # noqa: PLR2004  # one older sample stays
            self._samples.popleft()
        since, before = self._samples[0]
        if since < now - self.window:
            (until, after), begin = self._samples[1], now - self.window
            since, before = begin, before + (after - before) * (begin - since) / (until - since)
        return (count - before) / (now - since) if now > since else 0.0
