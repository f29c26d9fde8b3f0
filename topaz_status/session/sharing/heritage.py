"""What a leader has learned of lifetimes, left to the leaders after it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, NoReturn

import attrs

from ...coordination import Bus, BusError
from ...core.prediction.life_tables import Lifetimes
from ...core.prediction.saved_tables import dump_lifetimes, merge_lifetimes
from ...core.sharing.membership import Membership
from ..timing.backoff_delays import pause

SAVE_INTERVAL: Final = 60.0
"""Seconds between two savings of the leader's life tables."""
LIFETIMES: Final = "lifetimes"


@attrs.define(eq=False)
class Heritage:
    """Loads saved life tables when this member begins to lead, and saves them while it leads."""

    _bus: Bus
    _membership: Membership
    _lifetimes: Lifetimes
    _leading: asyncio.Event
    """Set while this member leads."""

    async def keep(self) -> NoReturn:
        """Load and save until canceled. A failure of the server means that nothing is loaded, or saved, this time."""
        while True:
            await self._leading.wait()
            with contextlib.suppress(BusError):
                if (saved := await self._bus.load(LIFETIMES)) is not None:
                    merge_lifetimes(self._lifetimes, saved)
            while self._leading.is_set():
                await pause(SAVE_INTERVAL)
                with contextlib.suppress(BusError):
                    if self._leading.is_set():
                        await self._bus.save(LIFETIMES, dump_lifetimes(self._lifetimes), self._membership.epoch)
