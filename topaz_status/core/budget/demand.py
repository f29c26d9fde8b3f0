"""How many tokens to ask a shared server for, and when: what is wanted soon, and little more.

A token that is not used in time is lost to everybody. So tokens are asked for shortly before they are wanted, one at
first. As long as requests wait for tokens, each batch is twice as large as the last one.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from ...models.job import JobKind

HORIZON: Final = 0.1
"""Tokens are asked for up to so many seconds ahead of their slots, or two round trips, if these are longer."""
AHEAD: Final = 0.005
"""Tokens are asked for this many seconds, and a round trip, before they are wanted."""
SMOOTHING: Final = 0.2
"""The weight of the latest round trip in their mean."""
RETRY: Final = 0.25
"""Seconds until something is asked for after the server did not answer."""
LEAST_GAP: Final = 0.001
"""Shortest time, in seconds, from an answer to the next question."""


@attrs.define
class Demand:
    """What the gate wants, and how the server has answered. Times are seconds of the loop's clock."""

    batch: int = attrs.field(default=1, init=False)
    """Tokens that are wanted at a time, unless the gate names a larger number."""
    _wanted: dict[JobKind, tuple[float, int]] = attrs.field(factory=dict, init=False)
    """For each kind the time from which requests are wanted, and how many."""
    _round_trip: float | None = attrs.field(default=None, init=False)
    """The mean of the latest round trips to the server, in seconds."""
    _blocked_until: float = attrs.field(default=-math.inf, init=False)
    """Until then the server would grant nothing, or is not to be asked."""

    @property
    def horizon(self) -> float:
        """Return the seconds by which tokens are asked for ahead of their slots."""
        return max(HORIZON, 2.0 * (self._round_trip or 0.0))

    def want(self, kind: JobKind, at: float, count: int) -> None:
        """Note that ``count`` requests of a kind are wanted from ``at`` on; infinite for never."""
        self._wanted[kind] = (at, count)

    def wanted_at(self, kind: JobKind) -> float:
        """Return the time from which requests of a kind are wanted."""
        return self._wanted[kind][0] if kind in self._wanted else math.inf

    def count(self, kind: JobKind, at: float, now: float) -> int:
        """Return how many tokens there should be ``now`` for requests of a kind that may go from ``at`` on."""
        named = max(1, self._wanted[kind][1])
        return max(named, self.batch) if now >= at - self._lead else named

    def asks_at(self, at: float) -> float:
        """Return when to ask for tokens that are wanted ``at`` that time."""
        return max(at - self._lead, self._blocked_until)

    def resize(self, most: int, now: float) -> None:
        """Set the size of the next batch, ``most`` at most: it grows while requests wait."""
        waits = any(at <= now for at, _ in self._wanted.values())
        self.batch = min(most, 2 * self.batch) if waits else 1

    def answered(self, asked_at: float, now: float, *, next_at: float) -> None:
        """Note an answer. ``next_at`` is the next slot of what the server did not grant; past if nothing is missing."""
        mean = now - asked_at if self._round_trip is None else self._round_trip
        self._round_trip = mean + SMOOTHING * (now - asked_at - mean)
        self._blocked_until = max(next_at - self.horizon, now + LEAST_GAP)

    def failed(self, now: float) -> None:
        """Note that no usable answer came. The tokens may have been spent."""
        self._blocked_until = now + RETRY

    @property
    def _lead(self) -> float:
        return (self._round_trip or 0.0) + AHEAD
