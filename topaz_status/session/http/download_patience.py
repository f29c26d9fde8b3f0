"""How often one file is asked for, and the delays in between."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import attrs

from ..timing.backoff_delays import CALL_TRIES, Backoff

MOST_RESTARTS: Final = CALL_TRIES - 1
"""Most times that one file is begun anew although bytes of it are there."""
REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
"""Statuses with which storages answer an expired link; 400 is Google's and Amazon's ``ExpiredToken``."""
STALE: Final = REFUSED | {HTTPStatus.NOT_FOUND}
"""Statuses that a fresh link may mend."""


@attrs.define(eq=False)
class Patience:
    """How long to wait after an attempt that did not bring the whole file; ``None`` once it is time to give up.

    All tries are available anew whenever more of the file has arrived than ever before. Only the restarts, which throw
    bytes away, stay bounded.
    """

    lags: Iterator[float]
    """Seconds before each further request for a link or file that should be there and is not."""
    _jitter: Backoff
    _delays: Iterator[float]
    _furthest: int = 0
    _refused: bool = False
    _unsatisfied: bool = False

    @classmethod
    def new(cls) -> Patience:
        """Make the patience for one file."""
        jitter = Backoff()
        return cls(jitter.lag_delays(), jitter, jitter.call_delays())

    def after(self, status: int | None, at: int, restarts: int) -> float | None:
        """Return the seconds until the next attempt; ``None`` to give up.

        ``status`` is the storage's answer to the latest attempt, or ``None`` without an answer. ``at`` bytes are there,
        and the bytes that were there have been thrown away ``restarts`` times.

        A refused link is replaced once: if the service's new link is refused as well, another link will not help. If
        the file has no bytes at the position asked for, it is begun anew, once.
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
