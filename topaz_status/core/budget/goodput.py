"""The goodput: how many requests of one second were answered well. It is what a service is known to admit."""

from __future__ import annotations

import math
from typing import Final

import attrs

WINDOW: Final = 1.0
"""Seconds of one window."""


@attrs.define
class Goodput:
    """Counts good answers by the time at which their requests were sent, in windows of one second."""

    ends_at: float = -math.inf
    """The end of the window that is being counted."""
    count: int = 0
    """Good answers to requests of that window."""
    _previous: int = 0

    def begin(self, sent_at: float) -> None:
        """Begin a new window with the answer to a request that was sent after the end of the last one."""
        self._previous = self.count if sent_at < self.ends_at + WINDOW else 0
        self.ends_at, self.count = sent_at + WINDOW, 1

    def at(self, sent_at: float) -> float:
        """Return requests per second around ``sent_at``: of its window or, if that has more, of the window before."""
        if sent_at < self.ends_at:
            return max(self.count, self._previous) / WINDOW
        return self.count / WINDOW if sent_at < self.ends_at + WINDOW else 0.0
