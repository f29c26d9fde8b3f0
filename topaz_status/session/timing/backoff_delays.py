"""Delays before another try: the only module that uses ``backoff``, draws random numbers and sleeps."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Iterator
from typing import Final

POLL_FACTOR: Final = 0.5
"""Seconds before the second poll of a job whose first poll failed; the delay doubles with each failure."""
POLL_CEILING: Final = 30.0
"""Most seconds between polls of a job whose polls fail again and again."""
PROBE_FACTOR: Final = 1.0
"""Seconds before the first probe of a service that is down; the delay doubles with each failed probe."""
PROBE_CEILING: Final = 15.0
"""Most seconds between probes: below :data:`POLL_CEILING`, so that no job is polled twice in a row."""
STORE_FACTOR: Final = 0.2
"""Seconds before a store that failed is tried again; the delay doubles with each failure."""
STORE_CEILING: Final = 5.0
"""Most seconds between two tries of a store."""
CALL_TRIES: Final = 6
"""Most attempts of one direct GET."""
LAG: Final = 30.0
"""Seconds of waiting for a result that should be there: it may come a little after the status that announces it."""
LAG_CEILING: Final = 4.0
"""Most seconds between requests for such a result."""


def _expo(factor: float, ceiling: float) -> Iterator[float]:
    """Return the delays of ``backoff.expo``, without the empty first value that its decorators swallow."""
    import backoff  # noqa: PLC0415  # loaded with the first client, not with the package

    delays = backoff.expo(base=2, factor=factor, max_value=ceiling)
    next(delays)
    return delays


@functools.cache
def _first(count: int, factor: float, ceiling: float) -> tuple[float, ...]:
    return tuple(itertools.islice(_expo(factor, ceiling), count))


class Backoff:
    """Delays that differ between clients: evenly spread over the upper half of each exponential step.

    Jitter never shortens a ``Retry-After``; it is added on top.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._poll_delays = _first(8, POLL_FACTOR, POLL_CEILING)
        self._probe_delays = _first(6, PROBE_FACTOR, PROBE_CEILING)
        self._store_delays = _first(6, STORE_FACTOR, STORE_CEILING)

    def poll_delay(self, failures: int) -> float:
        """Return the seconds until the next poll of a job, after ``failures`` failed polls in a row (1 or more)."""
        return self._spread(self._poll_delays[min(failures, len(self._poll_delays)) - 1])

    def probe_delay(self, probes: int) -> float:
        """Return the seconds until a service that is down is probed, after ``probes`` failed probes in a row."""
        return self._spread(self._probe_delays[min(probes, len(self._probe_delays) - 1)])

    def store_delay(self, failures: int) -> float:
        """Return the seconds until a store is tried again, after ``failures`` failures in a row (1 or more)."""
        return self._spread(self._store_delays[min(failures, len(self._store_delays)) - 1])

    def call_delays(self) -> Iterator[float]:
        """Return the seconds before each further attempt of a direct call, :data:`CALL_TRIES` attempts in all."""
        delays = _expo(POLL_FACTOR, POLL_CEILING)
        return (self._spread(delay) for delay in itertools.islice(delays, CALL_TRIES - 1))

    def lag_delays(self) -> Iterator[float]:
        """Yield the seconds before each further request for a result that lags; their sum is :data:`LAG`."""
        left = LAG
        for delay in _expo(POLL_FACTOR, LAG_CEILING):
            step = min(self._spread(delay), left)
            left -= step
            yield step
            if left <= 0.0:
                return

    def share(self) -> float:
        """Return a number from 0 to 1."""
        return self._random.random()

    def above(self, delay: float) -> float:
        """Return a little more than ``delay``, so that requests with one ``Retry-After`` do not return together."""
        return delay + self._random.uniform(0.0, min(1.0, 0.1 * delay))

    def _spread(self, delay: float) -> float:
        return self._random.uniform(delay / 2.0, delay)


def random_name() -> str:
    """Return a name of 24 characters that no other process draws, however its random numbers were seeded."""
    return f"{random.SystemRandom().getrandbits(96):024x}"


async def pause(delay: float) -> None:
    """Sleep. The caller holds no slot and no token meanwhile, because others could use them."""
    await asyncio.sleep(delay)
