"""The parts of an opened client, put together for the loop that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import attrs

from ..core.budget.budget import LocalBudget
from ..core.policy import PollPolicy
from ..core.schedule.schedule import Schedule
from ..core.wire.list_page import PAGE_SIZES
from .http.calls import Exchange
from .http.download_slots import Downloads
from .http.transport import Transport
from .polling.circuit_breakers import Circuits
from .polling.feed import Feed
from .polling.gate import Gate
from .polling.poll_results import Findings
from .polling.registry import Roster
from .settings import Settings
from .telemetry import Journal
from .timing.backoff_delays import Jitter
from .timing.clock import Clock
from .timing.timers import Alarms

if TYPE_CHECKING:
    from ..store.base import WatchStore
    from .durable.store_writer import Keeper


def _plan(policy: PollPolicy) -> Schedule:
    return Schedule(policy, pages=PAGE_SIZES if policy.sweep else {})


async def _open_keeper(clock: Clock, store: WatchStore, journal: Journal) -> Keeper:
    from .durable.store_writer import Keeper  # noqa: PLC0415  # loaded by clients with a store

    return await Keeper.open(clock, store, journal)


@attrs.frozen(eq=False)
class Engine:
    """What works between opening and closing: the parts, for all who need one of them."""

    settings: Settings
    clock: Clock
    journal: Journal
    transport: Transport
    gate: Gate
    exchange: Exchange
    schedule: Schedule
    roster: Roster
    circuits: Circuits
    feed: Feed
    alarms: Alarms
    downloads: Downloads
    keeper: Keeper | None
    _closing: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    @classmethod
    async def start(
        cls,
        settings: Settings,
        transport: Transport,
        store: WatchStore | None,
        *,
        plan: Callable[[PollPolicy], Schedule] = _plan,
    ) -> Self:
        """Build everything on the running loop; ``plan`` makes the schedule.

        Raises:
            StoreError: the store cannot be used; nothing is open then.
        """
        clock, journal, jitter = Clock.of(asyncio.get_running_loop()), Journal(), Jitter()
        keeper = None if store is None else await _open_keeper(clock, store, journal)
        budget = LocalBudget(settings.rate, settings.burst, settings.service_rates)
        gate = Gate(clock, budget, settings.max_in_flight)
        transport.open(clock, journal.answered)
        circuits = Circuits(budget, journal, jitter, settings.policy.give_up_after)
        exchange = Exchange(clock, gate, transport, journal, jitter, circuits.hurry)
        schedule = plan(settings.policy)
        roster = Roster(clock, schedule, keeper)
        findings = Findings(clock, settings, roster, schedule, journal, jitter, circuits)
        feed = Feed(clock, settings, gate, journal, schedule, roster, circuits, exchange, findings)
        gate.serve(feed)
        if keeper is not None:
            keeper.serve(gate.wake)
        return cls(
            settings=settings,
            clock=clock,
            journal=journal,
            transport=transport,
            gate=gate,
            exchange=exchange,
            schedule=schedule,
            roster=roster,
            circuits=circuits,
            feed=feed,
            alarms=Alarms(clock),
            downloads=Downloads(transport.download_slots()),
            keeper=keeper,
        )

    async def close(self) -> None:
        """End every watch, turn away every call, close every connection.

        Whoever calls this while another does waits for the same end; after one that was canceled, the next finishes.
        """
        self.gate.close()
        self.exchange.close()
        self.downloads.close()
        async with self._closing:
            try:
                await self.feed.close()
            finally:
                try:
                    await self.downloads.wait_closed()
                    await self.transport.close()
                    self.alarms.close()
                finally:
                    if self.keeper is not None:
                        await self.keeper.close()
