"""The engine: the parts of an opened client, built on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import attrs

from ..core.policy import PollPolicy
from ..core.schedule.schedule import Schedule
from ..core.wire.list_page import PAGE_SIZES
from .announcer import Announcer, servers_of
from .http.calls import Calls
from .http.download_slots import Downloads
from .http.transport import Transport
from .kit import PLAIN_KIT, Kit, Parts
from .listener import Listener
from .polling.circuit_breakers import CircuitBreakers
from .polling.feed import Feed
from .polling.gate import Gate
from .polling.registry import PollerRegistry
from .settings import Settings
from .telemetry import Telemetry
from .timing.backoff_delays import Backoff
from .timing.clock import Clock
from .timing.timers import Timers

if TYPE_CHECKING:
    from ..coordination import Coordinator
    from ..store.base import WatchStore
    from .durable.store_writer import StoreWriter
    from .sharing.link import Link
    from .sharing.sharing import Sharing


def _plan(policy: PollPolicy) -> Schedule:
    return Schedule(policy, pages=PAGE_SIZES if policy.sweep else {})


async def _open_store_writer(clock: Clock, store: WatchStore, telemetry: Telemetry) -> StoreWriter:
    from .durable.store_writer import StoreWriter  # noqa: PLC0415  # loaded by clients with a store

    return await StoreWriter.open(clock, store, telemetry)


async def _connect(
    clock: Clock, settings: Settings, coordinator: Coordinator, store_writer: StoreWriter | None
) -> tuple[Kit, Link]:
    """Connect to the other processes of the account; close the store if that fails."""
    from .sharing.link import SHARED_KIT, Link  # noqa: PLC0415  # loaded by clients with a coordinator

    try:
        return SHARED_KIT, await Link.connect(coordinator, settings, clock.now())
    except BaseException:
        if store_writer is not None:
            await store_writer.close()
        raise


@attrs.frozen(eq=False)
class Engine:
    """The parts of a client between opening and closing."""

    settings: Settings
    clock: Clock
    telemetry: Telemetry
    transport: Transport
    gate: Gate
    calls: Calls
    schedule: Schedule
    registry: PollerRegistry
    circuits: CircuitBreakers
    feed: Feed
    timers: Timers
    downloads: Downloads
    store_writer: StoreWriter | None
    sharing: Sharing | None
    """The place among the processes of the account; ``None`` without a coordinator."""
    _closing: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    @classmethod
    async def start(
        cls,
        settings: Settings,
        transport: Transport,
        store: WatchStore | None,
        listeners: tuple[Listener, ...] = (),
        *,
        coordinator: Coordinator | None = None,
        plan: Callable[[PollPolicy], Schedule] = _plan,
    ) -> Self:
        """Build everything on the running loop; ``listeners`` hear its events, ``plan`` makes the schedule.

        Raises:
            StoreError: the store cannot be used; nothing is left open.
            CoordinatorError: the shared server cannot be used; nothing is left open.
        """
        clock, telemetry, jitter = Clock.of(asyncio.get_running_loop()), Telemetry(), Backoff()
        if listeners:
            telemetry.announcer = Announcer(listeners, servers_of(settings), clock.now, telemetry.warn_once)
        store_writer = None if store is None else await _open_store_writer(clock, store, telemetry)
        kit, link = PLAIN_KIT, None
        if coordinator is not None:
            kit, link = await _connect(clock, settings, coordinator, store_writer)
        budget = kit.budget(settings.rate, settings.burst, settings.service_rates)
        gate = kit.gate(clock, budget, settings.max_in_flight)
        transport.open(clock, telemetry.answered)
        circuits = kit.circuits(budget, telemetry, jitter, settings.policy.give_up_after)
        calls = Calls(clock, gate, transport, telemetry, jitter, circuits.hurry)
        schedule = plan(settings.policy)
        registry = kit.registry(clock, schedule, store_writer)
        results = kit.results(clock, settings, registry, schedule, telemetry, jitter, circuits)
        feed = kit.feed(clock, settings, gate, telemetry, schedule, registry, circuits, calls, results)
        parts = Parts(gate, registry, results, feed, circuits)
        gate.serve(feed)
        if store_writer is not None:
            store_writer.serve(gate.wake, registry.lose)
        engine = cls(
            settings=settings,
            clock=clock,
            telemetry=telemetry,
            transport=transport,
            gate=gate,
            calls=calls,
            schedule=schedule,
            registry=registry,
            circuits=circuits,
            feed=feed,
            timers=Timers(clock),
            downloads=Downloads(transport.download_slots()),
            store_writer=store_writer,
            sharing=None if link is None else link.share(clock, schedule, telemetry, parts),
        )
        await engine._join_account()
        return engine

    async def _join_account(self) -> None:
        """Begin to share the account, if there is a coordinator; close everything if that fails."""
        if self.sharing is not None:
            try:
                await self.sharing.open()
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """End every watch, refuse every call, close every connection.

        A second call at the same time waits for the same end. If a call was canceled, the next call finishes the work.
        """
        self.gate.close()
        self.calls.close()
        self.downloads.close()
        if self.store_writer is not None:
            self.store_writer.stop_waiting()
        async with self._closing:
            try:
                await self.feed.close()
            finally:
                try:
                    if self.sharing is not None:
                        await self.sharing.close()
                    await self.downloads.wait_closed()
                    await self.transport.close()
                    self.timers.close()
                finally:
                    if self.store_writer is not None:
                        await self.store_writer.close()
                    if self.telemetry.announcer is not None:
                        self.telemetry.announcer.close()
