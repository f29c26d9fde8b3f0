"""The parts of an opened client, put together for the loop that runs."""

from __future__ import annotations

import asyncio
from typing import Self

import attrs

from ..core.budget import LocalBudget
from ..core.schedule import Schedule
from ..core.sweep import PAGE_SIZES
from .alarms import Alarms
from .clock import Clock
from .exchange import Exchange
from .feed import Feed
from .findings import Findings
from .gate import Gate
from .journal import Journal
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

    @classmethod
    def start(cls, settings: Settings, transport: Transport) -> Self:
        """Build everything on the running loop."""
        clock, journal, jitter = Clock.of(asyncio.get_running_loop()), Journal(), Jitter()
        budget = LocalBudget(settings.rate, settings.burst, settings.service_rates)
        gate = Gate(clock, budget, settings.max_in_flight)
        alarms = Alarms(clock)
        transport.open(clock)
        exchange = Exchange(clock, gate, transport, journal, jitter)
        schedule = Schedule(settings.policy, pages=PAGE_SIZES if settings.policy.sweep else {})
        roster = Roster(clock, schedule)
        findings = Findings(clock, settings, roster, schedule, journal, jitter)
        feed = Feed(clock, settings, gate, journal, schedule, roster, exchange, findings)
        gate.serve(feed)
        return cls(clock, transport, gate, exchange, feed, alarms)

    async def close(self) -> None:
        """End every watch, turn away every call, close every connection."""
        self.gate.close()
        self.exchange.close()
        try:
            await self.feed.close()
        finally:
            await self.transport.close()
            self.alarms.close()
