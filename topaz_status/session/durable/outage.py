"""An outage of a store: since when it fails in a way that may pass, and when it is tried again."""

from __future__ import annotations

from typing import Final

import attrs

from ...errors import StoreError
from ..telemetry import Telemetry
from ..timing.backoff_delays import Backoff
from ..timing.clock import Clock

FAILURES_WORTH_A_WARNING: Final = 2
"""A connection that was cut costs one failure, and the next try succeeds."""


@attrs.define(eq=False)
class Outage:
    """Counts the failures of a store in a row. One success ends the outage."""

    _clock: Clock
    _telemetry: Telemetry
    _jitter: Backoff = attrs.field(factory=Backoff)
    error: StoreError | None = None
    """The latest failure; ``None`` while the store works."""
    _began_at: float = 0.0
    _failures: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the first failure; 0 while the store works."""
        return 0.0 if self.error is None else self._clock.now() - self._began_at

    def failed(self, error: StoreError) -> float:
        """Note a failure; return the seconds until the store is tried again."""
        if self.error is None:
            self._began_at, self._failures = self._clock.now(), 0
        self.error = error
        self._failures += 1
        if self._failures == FAILURES_WORTH_A_WARNING:
            self._telemetry.store_down(error)
        return self._jitter.store_delay(self._failures)

    def over(self) -> None:
        """Note a success."""
        if self.error is not None and self._failures >= FAILURES_WORTH_A_WARNING:
            self._telemetry.store_back(self.seconds)
        self.error = None
