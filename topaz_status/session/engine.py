"""The parts of an opened client, put together for the loop that runs."""

from __future__ import annotations

import asyncio
from typing import Self

import attrs

from ..core.budget import LocalBudget
from ..core.schedule import Schedule
from ..core.sweep import PAGE_SIZES
from ..store.base import WatchStore
from .alarms import Alarms
from .clock import Clock
from .exchange import Exchange
from .feed import Feed
from .findings import Findings
from .gate import Gate
from .journal import Journal
from .keeper import Keeper
from .retry import Jitter
from .roster import Roster
from .settings import Settings
from .transport import Transport


@attrs.frozen(eq=False)
class Engine:
    """What works between opening and closing."""

    clock: Clock
    transport: Transport
    gate: Gate
    exchange: Exchange
    feed: Feed
    alarms: Alarms
    keeper: Keeper | None

    @classmethod
    async def start(cls, settings: Settings, transport: Transport, store: WatchStore | None) -> Self:
        """Build everything on the running loop.

        Raises:
            StoreError: the store cannot be used; nothing is open then.
        """
        clock, journal, jitter = Clock.of(asyncio.get_running_loop()), Journal(), Jitter()
        keeper = None if store is None else await Keeper.open(clock, store, journal)
        budget = LocalBudget(settings.rate, settings.burst, settings.service_rates)
        gate = Gate(clock, budget, settings.max_in_flight)
        alarms = Alarms(clock)
        transport.open(clock)
        exchange = Exchange(clock, gate, transport, journal, jitter)
        schedule = Schedule(settings.policy, pages=PAGE_SIZES if settings.policy.sweep else {})
        roster = Roster(clock, schedule, keeper)
        findings = Findings(clock, settings, roster, schedule, journal, jitter)
        feed = Feed(clock, settings, gate, journal, schedule, roster, exchange, findings)
        gate.serve(feed)
        if keeper is not None:
            keeper.serve(gate.wake)
        return cls(clock, transport, gate, exchange, feed, alarms, keeper)

    async def close(self) -> None:
        """End every watch, turn away every call, close every connection."""
        self.gate.close()
        self.exchange.close()
        try:
            await self.feed.close()
        finally:
            try:
                await self.transport.close()
                self.alarms.close()
            finally:
                if self.keeper is not None:
                    await self.keeper.close()
