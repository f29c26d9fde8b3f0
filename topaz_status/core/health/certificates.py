"""When a certificate that cannot be trusted ends the watches that need it.

A wrong certificate or host name does not heal while one waits, so its watches end after seconds, not after
``give_up_after``. One poll proves little, because one of several servers may have it, or somebody is replacing it. So
``FEWEST`` polls in a row must meet it, each sent after the one before had failed, over ``CONFIRMED_AFTER`` seconds.
One answer of any kind clears the suspicion.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

FEWEST: Final = 4
"""Polls in a row."""
CONFIRMED_AFTER: Final = 4.0
"""Seconds from the first poll that failed so to the sending of the one that confirms it."""
LONGEST_CERTIFICATE_DOUBT: Final = 300.0
"""Seconds without another such failure after which a suspicion is forgotten."""


@attrs.define
class CertificateTrust:
    """The evidence about one service's certificates. Times are seconds of the loop's clock."""

    _refusals: int = attrs.field(default=0, init=False)
    """In a row."""
    _refused_at: float = attrs.field(default=-math.inf, init=False)
    _latest: float = attrs.field(default=-math.inf, init=False)

    def refused(self, *, sent_at: float, now: float) -> bool:
        """A poll met a certificate that cannot be trusted: True when that is certain by now."""
        if not self._refusals or now - self._latest > LONGEST_CERTIFICATE_DOUBT:
            self._refusals, self._refused_at = 1, now
        elif sent_at > self._latest:
            self._refusals += 1
        self._latest = now
        return self._refusals >= FEWEST and sent_at - self._refused_at >= CONFIRMED_AFTER

    def accepted(self) -> None:
        """An answer came."""
        self._refusals = 0
