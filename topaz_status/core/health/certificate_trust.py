"""When a certificate that cannot be trusted ends the watches that need it.

Waiting does not heal a wrong certificate or host name, so the watches end after seconds, not after ``give_up_after``.
One poll proves little: perhaps one of several servers has the wrong certificate, or it is being replaced. So ``FEWEST``
polls in a row must meet it over ``CONFIRMED_AFTER`` seconds, each sent after the one before had failed. One answer of
any kind clears the suspicion.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

FEWEST: Final = 4
"""Polls in a row that must meet the certificate."""
CONFIRMED_AFTER: Final = 4.0
"""Seconds from the first such failure to the sending of the poll that confirms it."""
LONGEST_CERTIFICATE_DOUBT: Final = 300.0
"""A suspicion is forgotten after this many seconds without another such failure."""


@attrs.define
class CertificateTrust:
    """The evidence about one service's certificates. Times are seconds of the loop's clock."""

    _refusals: int = attrs.field(default=0, init=False)
    """Refused certificates in a row."""
    _refused_at: float = attrs.field(default=-math.inf, init=False)
    _latest: float = attrs.field(default=-math.inf, init=False)

    def refused(self, *, sent_at: float, now: float) -> bool:
        """Count a poll that met a certificate that cannot be trusted; return True once the evidence is certain."""
        if not self._refusals or now - self._latest > LONGEST_CERTIFICATE_DOUBT:
            self._refusals, self._refused_at = 1, now
        elif sent_at > self._latest:
            self._refusals += 1
        self._latest = now
        return self._refusals >= FEWEST and sent_at - self._refused_at >= CONFIRMED_AFTER

    def accepted(self) -> None:
        """Clear the suspicion, because an answer came."""
        self._refusals = 0
