"""The bus in memory keeps the rules of every bus, and its network can be made as bad as a test likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bus_rules import BusRules, beat
from buses import InMemory

from topaz_status.coordination import CALL_TIMEOUT, BusError
from topaz_status.errors import CoordinatorError
from topaz_status.testing import MemoryCoordinator, MemoryHub


@pytest.mark.virtual_time
class TestMemoryBus(BusRules):
    """The rules in memory, in virtual time."""

    @pytest.fixture
    async def server(self) -> AsyncIterator[InMemory]:
        server = InMemory()
        yield server
        await server.close()


@pytest.mark.virtual_time
class TestMemoryHub:
    """What a test can do to the network and the server."""

    async def test_latency_is_counted_there_and_back(self) -> None:
        """A call takes twice the latency."""
        loop = asyncio.get_running_loop()
        bus = await MemoryCoordinator(MemoryHub(latency=0.25)).connect("account", "a1")
        started = loop.time()
        await bus.beat(beat("a1"))
        assert loop.time() - started == 0.5

    async def test_a_member_that_is_cut_off_hears_nothing(self) -> None:
        """Its calls fail once their time is over; others go on, and it is not taken for dead at once."""
        hub = MemoryHub()
        one, two = [await MemoryCoordinator(hub).connect("account", name) for name in ("a1", "b2")]
        await one.beat(beat("a1"))
        hub.cut("a1")
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(BusError):
            await one.beat(beat("a1"))
        assert loop.time() - started == pytest.approx(CALL_TIMEOUT)
        assert (await two.beat(beat("b2"))).holder == "a1"
        hub.heal()
        assert (await one.beat(beat("a1"))).holder == "a1"

    async def test_requests_to_a_hanging_server_are_carried_out_later(self) -> None:
        """Though nobody waits for them any more."""
        hub = MemoryHub()
        bus = await MemoryCoordinator(hub).connect("account", "a1")
        hub.pause()
        with pytest.raises(BusError):
            await bus.post([("to:a1", b"late")])
        hub.resume()
        assert [body for _, body in await bus.read("to:a1", None, most=9, wait=0.0)] == [b"late"]

    async def test_the_clock_may_be_set(self) -> None:
        """Back: a lease lasts longer by the time since the last call at most. Forward: leases end."""
        hub = MemoryHub()
        one, two = [await MemoryCoordinator(hub).connect("account", name) for name in ("a1", "b2")]
        await one.beat(beat("a1", ttl=3.0))
        hub.jump(-3_600.0)
        assert (await two.beat(beat("b2"))).lease_left == pytest.approx(3.0)
        await asyncio.sleep(3.0)
        assert (await two.beat(beat("b2"))).holder == "b2"
        hub.jump(3_600.0)
        assert (await one.beat(beat("a1"))).holder == "a1"

    async def test_mail_may_be_lost_or_doubled(self) -> None:
        """As often as the hub is set to, and always in the same way for the same seed."""
        found = []
        for _ in range(2):
            bus = await MemoryCoordinator(MemoryHub(seed=7, mail_loss=0.2, duplicates=0.3)).connect("account", "a1")
            await bus.post([("to:a1", b"%d" % number) for number in range(100)])
            found.append([body for _, body in await bus.read("to:a1", None, most=999, wait=0.0)])
        assert found[0] == found[1]
        assert 60 < len(set(found[0])) < 95
        assert len(found[0]) > len(set(found[0])) + 10

    async def test_lost_requests_fail_in_time(self) -> None:
        """A call whose request or answer is lost raises, and may have been carried out."""
        hub = MemoryHub(seed=1, loss=0.5)
        bus = await MemoryCoordinator(hub).connect("account", "a1")
        results = await asyncio.gather(*(bus.post([("to:a1", b"x")]) for _ in range(40)), return_exceptions=True)
        failed = sum(isinstance(result, BusError) for result in results)
        hub.loss = 0.0
        came = len(await bus.read("to:a1", None, most=99, wait=0.0))
        assert 40 - failed < came < 40

    async def test_a_stopped_server_cannot_be_joined(self) -> None:
        """Opening says so."""
        hub = MemoryHub()
        hub.stop()
        with pytest.raises(CoordinatorError):
            await MemoryCoordinator(hub).connect("account", "a1")
