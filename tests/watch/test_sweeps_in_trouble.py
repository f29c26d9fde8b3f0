"""Lists that fail, lag or lead nowhere: without them all goes on, and they are gone by again once they are of use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import client_of, virtual
from scripted import Topaz, image

from topaz_status import JobKind, JobState
from topaz_status.testing import JobPlan, Simulator

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}
IDS = [f"00000000-0000-4000-8000-0000000000{number:02d}" for number in range(30)]
A = IDS[0]


def pages(simulator: Simulator) -> list[float]:
    """When a page of a list was asked for."""
    return [exchange.at for exchange in simulator.log if exchange.endpoint == "image.list"]


@pytest.mark.parametrize("fault", ["500", "hang", "malformed", "html", "reset", "401", "403", "404", "400"])
@virtual
async def test_a_list_that_fails(fault: str) -> None:
    """Without a list the jobs are polled by themselves, and the list is tried again later, ever more rarely."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=30))
    late = simulator.add_jobs(JobPlan(kind="image", count=100, duration=900, eta="absent"))
    simulator.add_fault(fault, endpoint="image.list", until=400)
    async with client_of(simulator, request_timeout=10.0, **BUDGET) as client:
        watches = [client.watch(job) for job in late]
        outcomes = await client.outcomes(jobs)
        assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
        assert max(outcome.waited for outcome in outcomes) < 70
        assert not client.stats().sweeps[JobKind.IMAGE]
        await asyncio.gather(*watches)
        assert client.stats().sweeps[JobKind.IMAGE] > 3
    assert 1 <= len([at for at in pages(simulator) if at < 400]) <= 12


@pytest.mark.parametrize("fault", ["500", "hang", "403", "html"])
@virtual
async def test_a_list_that_breaks(fault: str) -> None:
    """Jobs for which a page answered are polled by themselves as soon as the page fails them."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=60, duration=60, eta="absent"))
    simulator.add_fault(fault, endpoint="image.list", since=20)
    async with client_of(simulator, request_timeout=5.0, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(19)
        assert all(watch.explain().via_page for watch in watches)
        outcomes = await asyncio.gather(*(watch.outcome() for watch in watches))
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 80


@pytest.mark.parametrize("lag", [1.0, 5.0])
@virtual
async def test_a_list_that_lags(lag: float) -> None:
    """Jobs that the list does not show yet are searched for there again: one page in vain is no reason to do without."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=500, duration=60, visible_after=lag))
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 65
    assert len(simulator.log) < 0.5 * len(jobs)


@virtual
async def test_a_list_that_is_empty_for_a_while() -> None:
    """A list that shows nothing for a minute ends nothing, and is gone by again soon after it has come back."""
    topaz = Topaz({name: image(name) for name in IDS}, image_list=[image(name) for name in IDS])
    async with client_of(topaz.server(), **BUDGET) as client:
        watches = [client.watch(f"image:{name}") for name in IDS]
        await asyncio.sleep(20)
        shown, topaz.image_list = topaz.image_list, []
        await asyncio.sleep(60)
        assert not any(watch.explain().via_page for watch in watches)
        topaz.image_list = shown
        await asyncio.sleep(120)
        assert all(watch.explain().via_page for watch in watches)
        assert not any(watch.done() for watch in watches)
        for watch in watches:
            watch.cancel()


@pytest.mark.parametrize("fault", ["same_cursor", "no_cursor", "empty_page"])
@virtual
async def test_cursors_that_lead_nowhere(fault: str) -> None:
    """A cursor that repeats, one that is missing, and pages without items end the sweep; no job is lost by it."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=250, duration=60))
    simulator.add_fault(fault)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert len(pages(simulator)) < 0.2 * len(simulator.log)


@virtual
async def test_a_cursor_that_is_refused() -> None:
    """A 400 for a cursor ends neither a watch nor the sweeping: its jobs are met on the way from the first page again."""
    names = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(300)]
    topaz = Topaz({name: image(name) for name in names}, image_list=[image(name) for name in names])
    async with client_of(topaz.server(), **BUDGET) as client:
        watches = [client.watch(f"image:{name}") for name in names]
        await asyncio.sleep(20)
        assert all(watch.explain().via_page for watch in watches)
        topaz.cursors_refused = True
        await asyncio.sleep(60)
        assert len(topaz.times(names[100:])) >= 200, "the rest was not polled singly"
        assert len(topaz.times("image.list?")) < 40
        topaz.cursors_refused = False
        await asyncio.sleep(300)
        assert all(watch.explain().via_page for watch in watches)
        assert not any(watch.done() for watch in watches)
        topaz.image_list = [image(name, "Completed") for name in names]
        assert {(await watch).state for watch in watches} == {JobState.COMPLETED}


@virtual
async def test_items_that_are_none() -> None:
    """Items that cannot be read, name nobody or come twice are stepped over; the others on the page count."""
    topaz = Topaz(images={name: image(name) for name in IDS})
    good = [image(name, "Completed") for name in IDS[1:]]
    topaz.image_list = [None, 7, [], {}, {"process_id": 5}, {"process_id": A, "status": 7, "progress": []}, *good * 2]
    async with client_of(topaz.server(), **BUDGET) as client:
        watches = [client.watch(f"image:{name}") for name in IDS]
        assert {(await watch).state for watch in watches[1:]} == {JobState.COMPLETED}
        assert not watches[0].done()
        topaz.images[A] = image(A, "Completed")
        await watches[0]
    assert [name for _, name in topaz.asked if name not in {A, "image.list"}] == []


@virtual
async def test_an_array() -> None:
    """A list that is a bare array is a page without a successor."""
    topaz = Topaz({name: image(name) for name in IDS}, array=True)
    topaz.image_list = [image(name, "Completed") for name in IDS]
    async with client_of(topaz.server(), **BUDGET) as client:
        await client.gather([f"image:{name}" for name in IDS])
    assert len(topaz.asked) < 10


@virtual
async def test_a_list_refused_by_401_confirms_nothing() -> None:
    """A 401 of the list has a job polled at once; with one job's 401 it makes no confirmation, however often it comes."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=40, duration=60, eta="absent"))
    simulator.add_fault("401", endpoint="image.list")
    simulator.add_fault("401", job=jobs[7], count=1)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    singles = [exchange.at for exchange in simulator.log if exchange.endpoint == "image.status"]
    assert len(pages(simulator)) >= 2
    for at in pages(simulator):
        if at < 50:
            assert any(at < single <= at + 0.5 for single in singles), "the key was not tested"
