"""How often, and after what waits, one file is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import attrs

from ..timing.backoff_delays import CALL_TRIES, Backoff

MOST_RESTARTS: Final = CALL_TRIES - 1
"""How often one file is begun anew, at most, bytes of it being there."""
REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
"""What storages answer to a link that has expired; 400 is Google's and Amazon's ``ExpiredToken``."""
STALE: Final = REFUSED | {HTTPStatus.NOT_FOUND}
"""What a fresh link may mend."""


@attrs.define(eq=False)
class Patience:
    """How long to wait after an attempt that did not bring the whole file; ``None`` once it is time to give up.

    What had been used up is given back whenever more of the file is there than ever before: but for the bytes thrown
    away, of which there is an end.
    """

    lags: Iterator[float]
    """Seconds before a link or file is asked for again that is not there, and should be."""
    _jitter: Backoff
    _delays: Iterator[float]
    _furthest: int = 0
    _refused: bool = False
    _unsatisfied: bool = False

    @classmethod
    def new(cls) -> Patience:
        """For one file."""
        jitter = Backoff()
        return cls(jitter.lag_delays(), jitter, jitter.call_delays())

    def after(self, status: int | None, at: int, restarts: int) -> float | None:
        """Seconds until the next attempt, after one that the storage answered with ``status``, if with any.

        ``at`` bytes are there, and ``restarts`` times what was there has been thrown away.

        A refused link is replaced once: that the service's new one is refused, too, will not pass. A place in the file
        that is not there leads to its beginning, once.
        """
        if at > self._furthest:
            self._renew(at)
        if restarts > MOST_RESTARTS:
            return None
        if status == HTTPStatus.NOT_FOUND:
            return next(self.lags, None)
        if status in REFUSED:
            again, self._refused = self._refused, True
            return None if again else 0.0
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            again, self._unsatisfied = self._unsatisfied or not restarts, True
            return None if again else 0.0
        return next(self._delays, None)

    def _renew(self, at: int) -> None:
        self._furthest, self._refused = at, False
        self._delays, self.lags = self._jitter.call_delays(), self._jitter.lag_delays()
