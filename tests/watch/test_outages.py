"""A service that is down is probed, not asked about every job; the others go on; and it comes back without a stampede."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest
from harness import client_of, until, virtual

from topaz_status import JobKind, JobState, PollPolicy, ServerError, TopazStatusError
from topaz_status.session import engine
from topaz_status.session.timing.backoff_delays import Backoff
from topaz_status.testing import JobPlan, Simulator

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}
FAULTS = ["503", "reset", "html", "hang"]


def arrivals(simulator: Simulator, kind: JobKind, since: float, until: float) -> list[float]:
    """When requests about jobs of a kind came in."""
    return [exchange.at for exchange in simulator.log if exchange.service == kind and since <= exchange.at < until]


@pytest.mark.parametrize("fault", FAULTS)
@virtual
async def test_a_service_that_is_down_is_probed(fault: str) -> None:
    """A few polls a minute, however many jobs wait, until it is back; then all come out, one after the other."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=300, duration=100))
    simulator.add_fault(fault, since=50, until=350)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert len(arrivals(simulator, JobKind.VIDEO, 90, 350)) <= 40
    back = arrivals(simulator, JobKind.VIDEO, 350, 1e9)
    assert back[0] <= 350 + 15 + 30 * (fault == "hang")
    assert min(later - earlier for earlier, later in pairwise(back[:30])) > 0.09, "a burst after the outage"
    assert max(outcome.waited for outcome in outcomes) < 350 + 45 + 300 / 10 + 5


async def mean_lag_beside(fault: str | None) -> float:
    """Return how late the ends of images and try-ons are known, on average, beside 200 videos whose service may fail."""
    simulator = Simulator(delay=0.1)
    videos = simulator.add_jobs(JobPlan(kind="video", count=200, duration=300))
    lasting = {"lognormal": [40, 0.3]}
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=20, duration=lasting) for kind in ("image", "try-on")])
    if fault is not None:
        simulator.add_fault(fault, service="video", until=300)
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in videos]
        lags = []
        for outcome in await client.outcomes(jobs):
            assert outcome.state is JobState.COMPLETED
            assert outcome.job
            lags.append(outcome.detected_at - simulator.truth(outcome.job).ends_unix)
        assert (client.stats().down[JobKind.VIDEO] > 0, client.stats().down[JobKind.IMAGE]) == (fault is not None, 0)
        for watch in watches:
            watch.cancel()
    return sum(lags) / len(lags)


@pytest.mark.parametrize("fault", FAULTS)
@virtual
async def test_other_services_go_on_undisturbed(fault: str) -> None:
    """While one service is down, jobs of the others are seen to end about as soon as ever."""
    assert await mean_lag_beside(fault) < 1.5 * await mean_lag_beside(None)


@virtual
async def test_it_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """``stats()`` and ``explain()`` say that a service is down, the log says so once an outage, and when it is back."""
    caplog.set_level(logging.INFO)
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=50, duration=400))
    simulator.add_fault("503", since=20, until=120)
    simulator.add_fault("503", since=200, until=300)
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(80)
        assert 50 < client.stats().down[JobKind.IMAGE] <= 60
        assert "the image service has been down for" in str([watch.explain() for watch in watches])
        assert client.stats().overdue == 0.0, "it is not the budget that is too small"
        await asyncio.sleep(80)
        assert client.stats().down[JobKind.IMAGE] == 0.0
        assert "has been down" not in str([watch.explain() for watch in watches])
        await asyncio.gather(*watches)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text for text in warnings if "503" not in text] == []
    assert [text.partition(" (")[0] for text in warnings] == ["image service is down"] * 2
    assert len([record for record in caplog.records if "is back after" in record.getMessage()]) == 2


@pytest.mark.parametrize(("fault", "seed"), [*((fault, 1) for fault in FAULTS), ("503", 14), ("503", 30), ("503", 32)])
@virtual
async def test_an_outage_that_lasts_ends_every_watch(fault: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches of a service that stays down end about ``give_up_after`` later, also those whose polls were withheld.

    By some dice a job is the one to be probed when its poll has long been due: that time counts as well.
    """
    monkeypatch.setattr(engine, "Backoff", lambda: Backoff(seed))
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="try-on", count=300, duration=5000))
    simulator.add_fault(fault, since=100)
    async with client_of(simulator, policy=PollPolicy(give_up_after=200, max_interval=60), **BUDGET) as client:
        late: list[Any] = []
        asyncio.get_running_loop().call_later(150, lambda: late.append(client.watch(simulator.add_try_on(duration=9))))
        outcomes = await client.outcomes(jobs)
        late.append(await late[0].outcome())
    for outcome in outcomes:
        assert isinstance(outcome.error, TopazStatusError)
        assert outcome.job == getattr(outcome.error, "job", None)
        assert 300 - 60 <= outcome.waited <= 100 + 60 + 200 + 30 + 2 * 45
    assert 200 <= late[1].waited <= 200 + 30 + 2 * 45
    assert len(simulator.log) < 600 + 3 * 300


@virtual
async def test_outages_shorter_than_the_patience_end_nothing() -> None:
    """However often, and although nearly every poll of many a job met one."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="try-on", count=200, duration={"lognormal": [500, 0.8]}))
    for since in range(50, 2000, 150):
        simulator.add_fault("503" if since % 100 else "hang", since=since, until=since + 95)
    async with client_of(simulator, policy=PollPolicy(give_up_after=100), **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}


@virtual
async def test_a_direct_call_is_not_held_up() -> None:
    """It goes out while the service is down, and when it is answered the watches need not wait for the next probe."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=30, duration=100))
    simulator.add_fault("503", since=20, until=200)
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(150)
        with pytest.raises(ServerError):
            await client.video.get(jobs[0])
        assert simulator.now < 180
        await asyncio.sleep(200.0001 - simulator.now)  # back, and no probe has had the time to find out
        assert client.stats().down[JobKind.VIDEO]
        await client.video.get(jobs[0])
        await asyncio.sleep(0.5)
        assert not client.stats().down[JobKind.VIDEO]
        await asyncio.gather(*watches)


@virtual
async def test_one_job_that_fails_does_not_hold_up_the_others() -> None:
    """A record at which the service chokes is its own trouble: another job's first poll is as soon as ever."""
    simulator = Simulator(delay=0.1)
    poison = simulator.add_video(duration=50)
    simulator.add_fault("500", job=poison, until=300)
    simulator.add_fault("500", endpoint="video.history")
    async with client_of(simulator, policy=PollPolicy(sweep=False), **BUDGET) as client:
        watch = client.watch(poison)
        await asyncio.sleep(60)
        assert client.stats().down[JobKind.VIDEO] > 0
        assert (await client.watch(simulator.add_video(duration=0.0)).outcome()).waited < 1.0
        assert (await watch).is_terminal


@virtual
async def test_a_probe_whose_watch_leaves() -> None:
    """A probe on the wire whose watch is canceled still counts as evidence, and the next one goes out in its time."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=20, duration=100))
    simulator.add_fault("hang", until=90)
    async with client_of(simulator, request_timeout=5.0, **BUDGET) as client:
        watches = {job: client.watch(job) for job in jobs}
        await asyncio.sleep(30)
        for _ in range(40):
            await asyncio.sleep(0.7)
            for job, watch in list(watches.items()):
                if len(watches) > 2 and watch.explain().in_flight:
                    watches.pop(job).cancel()
        outcomes = [await watch.outcome() for watch in watches.values()]
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 90 + 5 + 15 + 15


@virtual
async def test_an_outage_over_an_empty_house() -> None:
    """Watches that begin after all others have gone are polled by one probe at once."""
    simulator = Simulator(delay=0.1)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=20, duration=100))
    simulator.add_fault("503", until=90)
    async with client_of(simulator, **BUDGET) as client:
        for watch in [client.watch(job) for job in jobs]:
            asyncio.get_running_loop().call_later(60, watch.cancel)
        await asyncio.sleep(1000)
        assert client.stats().down[JobKind.VIDEO]
        started = simulator.now
        await client.gather(jobs)
        assert simulator.now - started < 5.0


@virtual
async def test_a_probe_whose_task_is_canceled() -> None:
    """A probe that somebody cancels from outside is no probe any more: the next one goes out, and all ends well."""
    simulator = Simulator(delay=1.0)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=20, duration=100))
    simulator.add_fault("503", until=90)
    async with client_of(simulator, **BUDGET) as client:
        collecting = asyncio.create_task(client.outcomes(jobs))
        await asyncio.sleep(50)
        assert client.stats().down[JobKind.VIDEO]
        await until(lambda: client.stats().in_flight == 1)
        for task in asyncio.all_tasks():
            if "Feed._work" in str(task.get_coro()):
                task.cancel()
        outcomes = await collecting
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 120
