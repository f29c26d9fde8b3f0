"""How long to wait before asking again: the one place that knows ``backoff``, rolls dice and sleeps."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Iterator
from typing import Final

POLL_FACTOR: Final = 0.5
"""Seconds before the second look at a job whose first one failed; it doubles with each failure."""
POLL_CEILING: Final = 30.0
"""Seconds between looks at a job that keeps failing, at most."""
PROBE_FACTOR: Final = 1.0
"""Seconds before the first probe of a service that is down; it doubles with each that fails."""
PROBE_CEILING: Final = 15.0
"""Seconds between probes, at most: below :data:`POLL_CEILING`, so that no job is asked about twice in a row."""
CALL_TRIES: Final = 6
"""Attempts of one direct GET."""
LAG: Final = 30.0
"""Seconds that a result is waited for which should be there: it may come a little after the status that tells of it."""
LAG_CEILING: Final = 4.0
"""Seconds between requests for it, at most."""


def _expo(factor: float, ceiling: float) -> Iterator[float]:
    """The delays of ``backoff.expo``, past the empty value that its decorators swallow."""
    import backoff  # noqa: PLC0415  # loaded with the first client, not with the package

    delays = backoff.expo(base=2, factor=factor, max_value=ceiling)
    next(delays)
    return delays


@functools.cache
def _first(count: int, factor: float, ceiling: float) -> tuple[float, ...]:
    return tuple(itertools.islice(_expo(factor, ceiling), count))


class Backoff:
    """Delays that no two clients share: the upper half of each step of the exponential, evenly spread.

    A ``Retry-After`` is never shortened: jitter is added above it.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._poll_delays = _first(8, POLL_FACTOR, POLL_CEILING)
        self._probe_delays = _first(6, PROBE_FACTOR, PROBE_CEILING)

    def poll_delay(self, failures: int) -> float:
        """Seconds until the next look at a job after ``failures`` failed ones in a row (1 or more)."""
        return self._spread(self._poll_delays[min(failures, len(self._poll_delays)) - 1])

    def probe_delay(self, probes: int) -> float:
        """Seconds until a service that is down is probed, after ``probes`` in a row that failed."""
        return self._spread(self._probe_delays[min(probes, len(self._probe_delays) - 1)])

    def call_delays(self) -> Iterator[float]:
        """Seconds before each further attempt of a direct call; ends when it has been tried often enough."""
        delays = _expo(POLL_FACTOR, POLL_CEILING)
        return (self._spread(delay) for delay in itertools.islice(delays, CALL_TRIES - 1))

    def lag_delays(self) -> Iterator[float]:
        """Seconds before each further request for a result that lags; together they are :data:`LAG`."""
        left = LAG
        for delay in _expo(POLL_FACTOR, LAG_CEILING):
            step = min(self._spread(delay), left)
            left -= step
            yield step
            if left <= 0.0:
                return

    def above(self, delay: float) -> float:
        """A little more than ``delay``, so that those told the same do not come back together."""
        return delay + self._random.uniform(0.0, min(1.0, 0.1 * delay))

    def _spread(self, delay: float) -> float:
        return self._random.uniform(delay / 2.0, delay)


async def pause(delay: float) -> None:
    """Sleep. Nothing that others could use (a slot, a token) is held meanwhile."""
    await asyncio.sleep(delay)
