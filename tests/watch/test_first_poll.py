"""A watch is known within a round trip while tokens are idle, whatever its job was doing before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import SINGLY, client_of, engine_of, now, virtual

from topaz_status import JobKind, JobState, MemoryStore, StatusClient
from topaz_status.testing import JobPlan, Simulator

RTT = 0.1
BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("submitted", [None, 1.0, 3_600.0, 86_400.0])
@virtual
async def test_a_job_that_ended_long_ago_is_known_at_once(kind: JobKind, submitted: float | None) -> None:
    """A page reloaded, a job of yesterday: the first poll goes at once."""
    simulator = Simulator(delay=RTT)
    job = simulator.add(kind, after=-100_000.0, duration=10.0)
    async with client_of(simulator, **BUDGET) as client:
        wall = asyncio.get_running_loop().wall_time()  # type: ignore[attr-defined]
        submitted_at = None if submitted is None else wall - submitted
        outcome = await client.watch(job, submitted_at=submitted_at).outcome()
    assert outcome.state is JobState.COMPLETED
    assert outcome.waited <= 2 * RTT


@virtual
async def test_an_eta_that_lies_ahead_does_not_put_off_the_first_poll() -> None:
    """What the submit answer foretold may have come sooner."""
    simulator = Simulator(delay=RTT)
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, **BUDGET) as client:
        await asyncio.sleep(5.0)
        wall = asyncio.get_running_loop().wall_time()  # type: ignore[attr-defined]
        outcome = await client.watch(job, submitted_at=wall - 5.0, eta=wall + 600.0).outcome()
    assert outcome.waited <= 2 * RTT


@virtual
async def test_what_a_client_has_learned_does_not_put_off_the_first_poll() -> None:
    """A hundred jobs that were alive at first do not make the next one's page wait."""
    simulator = Simulator(delay=RTT)
    async with client_of(simulator, **BUDGET) as client:
        for _ in range(100):
            watch = client.watch(simulator.add_video(duration=600.0))
            await asyncio.sleep(1.0)
            watch.cancel()
        await asyncio.sleep(5.0)
        over = simulator.add_video(after=-1_000.0, duration=10.0)
        assert (await client.watch(over).outcome()).waited <= 2 * RTT


@virtual
async def test_a_hundred_images_cost_a_page() -> None:
    """A page of jobs reloaded is known within two round trips, for a few requests."""
    simulator = Simulator(delay=RTT)
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=100, after=-1_000.0, duration=10.0)])
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert max(outcome.waited for outcome in outcomes) <= 3 * RTT
    assert len(simulator.log) <= 8


@virtual
async def test_what_is_resumed_is_known_at_once() -> None:
    """A client restarted hears within a round trip what ended while nobody was there."""
    simulator, store = Simulator(delay=RTT), MemoryStore()
    jobs = [simulator.add_video(duration=60.0), simulator.add_try_on(duration=60.0), simulator.add_image(duration=60.0)]
    async with client_of(simulator, store=store, **BUDGET) as client:
        for job in jobs:
            client.watch(job, eta=asyncio.get_running_loop().wall_time() + 3_600.0)  # type: ignore[attr-defined]
        await asyncio.sleep(2.0)
    await asyncio.sleep(100.0)
    async with client_of(simulator, store=store, **BUDGET) as client:
        began = now()
        states = [outcome.state async for outcome in client.resume()]
        assert now() - began <= 5 * RTT
    assert states == [JobState.COMPLETED] * 3


async def _busy(client: StatusClient, simulator: Simulator) -> None:
    """Have the client send all that it may."""
    for _ in range(100):
        client.watch(simulator.add_try_on(duration=1e6))
    await asyncio.sleep(20.0)


@virtual
async def test_a_busy_client_polls_by_worth() -> None:
    """Where tokens are scarce a new job competes: its first poll takes nobody's turn."""
    simulator = Simulator(delay=RTT)
    async with client_of(simulator, policy=SINGLY, rate=4.0, burst=4.0) as client:
        await _busy(client, simulator)
        watch = client.watch(simulator.add_video(duration=1e6))
        assert engine_of(client).gate.budget.idle_at(JobKind.VIDEO, now()) > now()
        await asyncio.sleep(0.3)
        assert watch.status is None
        await asyncio.sleep(120.0)
        assert watch.status is not None


@virtual
async def test_idle_tokens_do_not_flood_a_service_that_fails() -> None:
    """A first poll that failed waits as every failed poll does."""
    simulator = Simulator(delay=RTT)
    simulator.add_fault("503")
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(simulator.add_video(duration=1e6)) for _ in range(3)]
        await asyncio.sleep(10.0)
        assert len(simulator.log) < 30
        assert not any(watch.done() for watch in watches)
