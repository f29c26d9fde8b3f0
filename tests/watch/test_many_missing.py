"""404s of the service's own about many jobs at once are an outage; about one or a few they are the end."""

from __future__ import annotations

import asyncio
import logging

import pytest
from harness import client_of, now, virtual

from topaz_status import (
    JobKind,
    JobLostError,
    JobRef,
    JobState,
    MemoryStore,
    NotFoundError,
    Outcome,
    PollPolicy,
    StatusClient,
    TransportError,
)
from topaz_status.session import engine
from topaz_status.session.timing.backoff_delays import Backoff
from topaz_status.testing import JobPlan, Simulator

POLICY = PollPolicy(not_found_grace=1.0)
BUDGET = {"rate": 10.0, "burst": 10.0}


def nobody(count: int) -> list[JobRef]:
    """Jobs that there never were."""
    return [JobRef(JobKind.IMAGE, f"00000000-0000-4000-8000-{index:012}") for index in range(count)]


def lost(outcomes: list[Outcome]) -> list[Outcome]:
    """Those that ended otherwise than as completed."""
    return [outcome for outcome in outcomes if outcome.state is not JobState.COMPLETED]


@pytest.mark.parametrize("sweep", [True, False])
@pytest.mark.parametrize("seconds", [5, 40, 300])
@pytest.mark.parametrize("count", [3, 30, 300])
@virtual
async def test_all_jobs_at_once(count: int, seconds: int, *, sweep: bool) -> None:
    """However long all jobs of a service are answered 404, and whether or not they are listed meanwhile, none is lost."""
    simulator, store = Simulator(delay=0.05), MemoryStore()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=count, duration=50 + seconds))
    simulator.add_fault("404", endpoint=None if sweep else "image.status", since=40, until=40 + seconds)
    policy = PollPolicy(not_found_grace=1.0, sweep=sweep)
    async with client_of(simulator, policy=policy, store=store, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert not lost(outcomes)
    assert max(outcome.waited for outcome in outcomes) < 50 + seconds + 45 + count / 10


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [3, 10, 60])
@virtual
async def test_half_of_the_answers(count: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While half of a service's replicas answer 404 about every job, for a minute and a half, none is lost."""
    monkeypatch.setattr(engine, "Backoff", lambda: Backoff(seed))
    simulator = Simulator(delay=0.05, seed=seed)
    jobs = simulator.add_jobs(JobPlan(kind="try-on", count=count, duration={"lognormal": [90, 0.3]}))
    simulator.add_fault("404", probability=0.5, since=20, until=110)
    async with client_of(simulator, policy=POLICY, **BUDGET) as client:
        assert not lost(await client.outcomes(jobs))


@virtual
async def test_one_service_alone() -> None:
    """Services fail separately: while all videos are missing, a deleted image is lost as soon as ever."""
    simulator = Simulator()
    videos = simulator.add_jobs(JobPlan(kind="video", count=20, duration=300))
    images = simulator.add_jobs(JobPlan(kind="image", count=20, duration=300))
    simulator.add_fault("404", service="video", since=40, until=120)
    async with client_of(simulator, policy=POLICY) as client:
        watches = [client.watch(job) for job in [*images, *videos]]
        await asyncio.sleep(60)
        simulator.remove(images[0])
        assert type((await watches[0].outcome()).error) is JobLostError
        assert now() < 60 + 60
        assert not lost([await watch.outcome() for watch in watches[1:]])


MIXED = [(2, 2, 0), (2, 2, 2), (1, 1, 1), (0, 2, 1), (10, 2, 0), (30, 1, 1), (2, 40, 2)]


@pytest.mark.parametrize("sweep", [True, False])
@pytest.mark.parametrize("seconds", [8, 100])
@pytest.mark.parametrize("counts", MIXED)
@virtual
async def test_a_few_jobs_of_each_kind(counts: tuple[int, int, int], seconds: int, *, sweep: bool) -> None:
    """However few jobs of a kind there are, none is lost while those of all kinds are missing."""
    simulator, store = Simulator(delay=0.05), MemoryStore()
    jobs: list[JobRef] = []
    for kind, count in zip(JobKind, counts, strict=True):
        if count:
            jobs += simulator.add_jobs(JobPlan(kind=kind.value, count=count, duration=50 + seconds))
    simulator.add_fault("404", since=20, until=20 + seconds)
    policy = PollPolicy(not_found_grace=1.0, sweep=sweep)
    async with client_of(simulator, policy=policy, store=store, **BUDGET) as client:
        assert not lost(await client.outcomes(jobs))


@virtual
async def test_a_kind_alone_beside_many_of_another() -> None:
    """Three images that are all missing are in an outage all the same for fifty videos that are not."""
    simulator = Simulator(delay=0.05)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=3, duration=100))
    jobs += simulator.add_jobs(JobPlan(kind="video", count=50, duration=100))
    simulator.add_fault("404", service="image", since=20, until=60)
    async with client_of(simulator, policy=POLICY, **BUDGET) as client:
        assert not lost(await client.outcomes(jobs))


@pytest.mark.parametrize("others", [0, 1, 5, 50])
@virtual
async def test_one_of_few_is_lost_soon(others: int) -> None:
    """One of two images is known to be lost within seconds, whether or not videos are watched as well."""
    simulator = Simulator()
    gone = simulator.add_image(duration=1000, deleted_after=60.0)
    jobs = [gone, simulator.add_image(duration=1000)]
    if others:
        jobs += simulator.add_jobs(JobPlan(kind="video", count=others, duration=1000))
    async with client_of(simulator, policy=PollPolicy(sweep=False)) as client:
        watches = [client.watch(job) for job in jobs]
        outcome = await watches[0].outcome()
    assert type(outcome.error) is JobLostError
    missing = [exchange.at for exchange in simulator.log if exchange.status == 404]
    assert outcome.waited - missing[0] < 20


@virtual
async def test_one_of_many_is_lost_soon() -> None:
    """One job whose record is deleted is known to be lost a few seconds after the first 404 about it."""
    for count in (2, 3, 10, 100):
        simulator = Simulator()
        gone = simulator.add_image(duration=1000, deleted_after=60.0)
        others = simulator.add_jobs(JobPlan(kind="image", count=count - 1, duration=1000))
        async with client_of(simulator, policy=PollPolicy(sweep=False)) as client:
            watches = [client.watch(job) for job in [gone, *others]]
            outcome = await watches[0].outcome()
        assert type(outcome.error) is JobLostError
        missing = [exchange.at for exchange in simulator.log if exchange.status == 404]
        assert outcome.waited - missing[0] < (1.5 if count in {2, 100} else 20)


@virtual
async def test_three_of_ten_are_lost_after_a_minute() -> None:
    """Records that a colleague deleted are lost once the others have gone on being shown for a long minute."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=10, duration=1000))
    async with client_of(simulator, policy=POLICY) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(60)
        for job in jobs[:3]:
            simulator.remove(job)
        outcomes = [await watch.outcome() for watch in watches[:3]]
        assert {type(outcome.error) for outcome in outcomes} == {JobLostError}
        assert 60 + 60 <= max(outcome.waited for outcome in outcomes) <= 60 + 60 + 60
        assert not lost([await watch.outcome() for watch in watches[3:]])


@virtual
async def test_records_deleted_through_this_client() -> None:
    """That they are missing is no surprise: the watches end with two 404s, however many they are."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=30, duration=1000))
    async with client_of(simulator, policy=POLICY) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(60)
        await client.image.delete_all()
        outcomes = [await watch.outcome() for watch in watches]
    assert {type(outcome.error) for outcome in outcomes} == {JobLostError}
    assert max(outcome.waited for outcome in outcomes) < 60 + 25


async def ended_at_the_patience(client: StatusClient, jobs: list[JobRef]) -> None:
    """All wait for ``give_up_after``, and learn how many they are."""
    outcomes = await client.outcomes(jobs)
    assert {type(outcome.error) for outcome in outcomes} == {TransportError}
    assert {outcome.state for outcome in outcomes} == {None}
    assert {str(outcome.error) for outcome in outcomes} == {
        f"{job}: answered 404, but so are {len(jobs)} jobs that had been seen before: taken for an outage of the service"
        for job in jobs
    }
    assert min(outcome.waited for outcome in outcomes) >= 100


@virtual
async def test_a_wave_that_stays_ends_the_wait_alone() -> None:
    """With a store the jobs are taken up again once the service knows them."""
    simulator, store = Simulator(), MemoryStore()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=10, duration=500))
    simulator.add_fault("404", since=40, until=400)
    policy = PollPolicy(not_found_grace=1.0, give_up_after=100.0)
    async with client_of(simulator, policy=policy, store=store) as client:
        await ended_at_the_patience(client, jobs)
        await asyncio.sleep(401 - simulator.now)
        again = [outcome async for outcome in client.resume()]
    assert len(again) == 10
    assert not lost(again)


@virtual
async def test_wrong_ids_are_reported_as_quickly_as_ever() -> None:
    """Jobs that were never seen are no wave, however many they are, also beside jobs that are there."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=5, duration=100))
    async with client_of(simulator) as client:
        outcomes = await client.outcomes([*nobody(50), *jobs])
    assert {type(outcome.error) for outcome in outcomes[:50]} == {NotFoundError}
    assert max(outcome.waited for outcome in outcomes[:50]) <= 20
    assert not lost(outcomes[50:])


@virtual
async def test_what_was_never_seen_is_not_reported_during_a_wave() -> None:
    """A job that is watched for the first time while all others are missing may be there as they are."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=10, duration=300))
    simulator.add_fault("404", since=40, until=120)
    async with client_of(simulator, policy=POLICY) as client:
        watches = [client.watch(job) for job in jobs[:8]]
        await asyncio.sleep(60)
        watches += [client.watch(job) for job in jobs[8:]]
        wrong = client.watch(nobody(1)[0])
        assert not lost([await watch.outcome() for watch in watches])
        assert type((await wrong.outcome()).error) is NotFoundError


@virtual
async def test_jobs_seen_before_a_restart_are_known() -> None:
    """Their rows hold a status: when all are missing after a restart, that is a wave as well."""
    simulator, store = Simulator(), MemoryStore()
    jobs = simulator.add_jobs(JobPlan(kind="video", count=8, duration=300))
    simulator.add_fault("404", since=40, until=60)
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job)
        await asyncio.sleep(39)
    async with client_of(simulator, store=store) as client:
        outcomes = [outcome async for outcome in client.resume()]
    assert len(outcomes) == 8
    assert not lost(outcomes)


@virtual
async def test_a_wave_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """One warning for each: what happens, and what to check."""
    caplog.set_level(logging.WARNING)
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="try-on", count=20, duration=600))
    simulator.add_fault("404", since=40, until=90)
    simulator.add_fault("404", probability=0.5, since=300, until=400)
    async with client_of(simulator, policy=POLICY) as client:
        await client.gather(jobs)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert all(text.startswith("try-on service answers 404 for 3 jobs at once") for text in texts)
    assert all("check the base URL and the account" in text for text in texts)
