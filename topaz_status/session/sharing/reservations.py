"""Reservations: the tokens of the account, fetched from the shared server before they are needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NoReturn

import attrs

from ...coordination import Bus, BusError
from ...core.budget.shared_budget import SharedBudget
from ..timing.clock import Clock

EXPIRY_CHECK: Final = 0.25
"""Seconds after which tokens at hand are checked for expiry."""
SOONEST_QUESTION: Final = 0.001
"""Shortest wait, in seconds, for the time to ask."""


@attrs.define(eq=False)
class Reservations:
    """Asks the server for what the budget wants, one question at a time, and reports 429s and pauses to it."""

    _clock: Clock
    _bus: Bus
    _budget: SharedBudget
    _granted: Callable[[], object]
    """Called after each answer."""
    _deposed: Callable[[], object]
    """Called if the server says that this member's epoch is no longer in force."""
    _woken: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _reported: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Consider again what to ask for, and what to report."""
        self._woken.set()
        self._reported.set()

    async def reserve(self) -> NoReturn:
        """Fetch tokens until canceled."""
        while True:
            now = self._clock.now()
            want = self._budget.reserve(now)
            if want is None:
                at = self._reconsiders_at(now)
                await self._clock.wait(self._woken, max(at, now + SOONEST_QUESTION))
                continue
            try:
                grants = await self._bus.reserve(want)
            except Exception as error:
                self._budget.failed(self._clock.now())
                if not isinstance(error, BusError):
                    raise
            else:
                self._budget.granted(grants, self._clock.now())
                if not grants.epoch_ok:
                    self._deposed()
            self._granted()

    def _reconsiders_at(self, now: float) -> float:
        """Return when to ask next, or when to see whether the tokens at hand have been used in time."""
        at = self._budget.reserves_at(now)
        return min(at, now + EXPIRY_CHECK) if self._budget.tokens(now) else at

    async def report(self) -> NoReturn:
        """Report to the server what answers have said, until canceled; a report that fails is lost."""
        while True:
            await self._reported.wait()
            self._reported.clear()
            for report in self._budget.reports():
                with contextlib.suppress(BusError):
                    await self._bus.slow_down(report.kind, limited=report.limited, hold=report.hold)
