"""404 and 401: when a job is lost, and when a key is refused."""

from __future__ import annotations

import asyncio

import pytest
from harness import A_HAIR, SINGLY, TOPAZ_KEY, client_of, now, until, virtual

from topaz_status import (
    AuthenticationError,
    JobKind,
    JobLostError,
    JobState,
    NotFoundError,
    PollPolicy,
)
from topaz_status.testing import Simulator


@virtual
async def test_404_within_grace() -> None:
    """A 404 within the grace after the start of a watch means nothing: the record may not be written yet."""
    simulator = Simulator()
    job = simulator.add_image(duration=30, visible_after=9.5)
    async with client_of(simulator, policy=SINGLY) as client:
        assert (await client.watch(job)).is_terminal
    assert [exchange.status for exchange in simulator.log][:3] == [404, 404, 404]


@virtual
async def test_never_seen() -> None:
    """A job that was never seen ends, after the grace and a second 404 a second later, as not found."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        with pytest.raises(NotFoundError) as raised:
            await client.image.watch("00000000-0000-4000-8000-000000000000")
        assert 11.0 <= now() <= 20.0
    assert raised.value.status_code == 404
    late = [exchange.at for exchange in simulator.log if exchange.at >= 10.0]
    assert len(late) == 2
    assert late[1] - late[0] >= 1.0 - A_HAIR


@virtual
async def test_grace_is_configurable() -> None:
    """Without a grace the first 404 counts, and the second one ends the watch."""
    simulator = Simulator()
    async with client_of(simulator, policy=PollPolicy(not_found_grace=0.0)) as client:
        with pytest.raises(NotFoundError):
            await client.try_on.watch("none")
        assert 1.0 <= now() <= 4.0
    assert len(simulator.log) == 2


@pytest.mark.parametrize("kind", JobKind)
@virtual
async def test_lost(kind: JobKind) -> None:
    """A job that was seen and is gone at two polls a second apart is lost, and its last status is reported."""
    simulator = Simulator()
    job = simulator.add(kind, duration=1000, deleted_after=40.0)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        with pytest.raises(JobLostError) as raised:
            await watch
        assert watch.status is not None
        assert raised.value.status == watch.status
        assert raised.value.job == job
        outcome = await watch.outcome()
    assert (outcome.state, outcome.status) == (None, watch.status)
    missing = [exchange.at for exchange in simulator.log if exchange.status == 404]
    assert len(missing) == 2
    assert missing[1] - missing[0] >= 1.0 - A_HAIR


@virtual
async def test_404_with_a_200_between() -> None:
    """Two 404s with a status between them end nothing."""
    simulator = Simulator()
    job = simulator.add_image(duration=90, eta="absent")
    for since in (20, 40, 60):
        simulator.add_fault("404", since=since, count=1)
    async with client_of(simulator) as client:
        assert (await client.watch(job)).is_terminal
    assert simulator.stats().by_status[404] == 3


@virtual
async def test_404s_in_one_moment() -> None:
    """Two 404s less than a second apart are one: the second may be the same hiccup."""
    simulator = Simulator()
    job = simulator.add_image(duration=90, eta="absent")
    simulator.add_fault("404", since=20, count=3)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        await until(lambda: simulator.stats().by_status.get(404), step=0.05)
        for _ in range(16):
            client.notify(job)
            await asyncio.sleep(0.05)
        missing = [exchange.at for exchange in simulator.log if exchange.status == 404]
        assert len(missing) == 3
        assert missing[2] - missing[0] < 1.0
        assert (await watch).is_terminal


@virtual
async def test_401_ends_all_of_the_key() -> None:
    """A 401 that another job confirms ends every watch of that key at once, images and videos alike, and no other."""
    simulator = Simulator()
    topaz = [simulator.add_image(duration=5000) for _ in range(20)] + [
        simulator.add_video(duration=5000) for _ in range(20)
    ]
    other = simulator.add_try_on(duration=300)
    async with client_of(simulator) as client:
        survivor = client.watch(other)
        watches = []
        for job in topaz:
            watches.append(client.watch(job))
            await asyncio.sleep(0.37)
        await asyncio.sleep(60)
        assert not any(watch.done() for watch in watches)
        simulator.revoke(TOPAZ_KEY)
        outcomes = await asyncio.gather(*(watch.outcome() for watch in watches))
        assert {type(outcome.error) for outcome in outcomes} == {AuthenticationError}
        assert len({outcome.detected_at for outcome in outcomes}) == 1
        assert all(outcome.status is not None and outcome.state is None for outcome in outcomes)
        assert {outcome.error.job for outcome in outcomes} == set(topaz)  # type: ignore[union-attr]
        await asyncio.sleep(30)
        refused = [exchange.at for exchange in simulator.log if exchange.status == 401]
        assert len(refused) >= 2
        assert refused[-1] - refused[0] < 1.0, "no poll is sent after those that went together"
        assert (await survivor).is_terminal


@virtual
async def test_after_a_401_new_watches_try_again() -> None:
    """A key that was refused once is tried again by the watches that come later, without a grudge."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=60), simulator.add_video(duration=60)]
    simulator.revoke(TOPAZ_KEY)
    async with client_of(simulator) as client:
        for outcome in await client.outcomes(jobs):
            assert isinstance(outcome.error, AuthenticationError)
        for outcome in await client.outcomes(jobs):
            assert isinstance(outcome.error, AuthenticationError)
        simulator.restore(TOPAZ_KEY)
        simulator.add_fault("401", job=jobs[1], count=1)
        assert [status.is_terminal for status in await client.gather(jobs[1:])] == [True]
        assert [status.is_terminal for status in await client.gather(jobs)] == [True, True]


@virtual
async def test_401_of_one_job_alone() -> None:
    """Where no other job is there to confirm a 401, a second poll of the same job does, a second later."""
    simulator = Simulator()
    job = simulator.add_image(duration=60)
    simulator.revoke(TOPAZ_KEY)
    async with client_of(simulator, policy=SINGLY) as client:
        with pytest.raises(AuthenticationError) as raised:
            await client.watch(job)
        assert 1.0 <= now() <= 5.0
    assert raised.value.job == job
    assert simulator.stats().by_status == {401: 2}


@virtual
async def test_401_that_passes() -> None:
    """One 401 ends nothing, whether the job is alone or not."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=60) for _ in range(5)]
    alone = simulator.add_try_on(duration=60)
    simulator.add_fault("401", job=jobs[2], since=10, count=1)
    simulator.add_fault("401", job=alone, since=10, count=1)
    async with client_of(simulator, policy=SINGLY) as client:
        assert len(await client.gather([*jobs, alone])) == 6
    assert simulator.stats().by_status[401] == 2


@virtual
async def test_401_about_one_job_only() -> None:
    """A job that alone is answered 401 ends alone, once ``give_up_after`` has passed without a usable answer."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=400) for _ in range(3)]
    simulator.add_fault("401", job=jobs[0])
    async with client_of(simulator, policy=PollPolicy(give_up_after=60, sweep=False)) as client:
        refused, *others = await client.outcomes(jobs)
    assert isinstance(refused.error, AuthenticationError)
    assert 60 <= refused.waited <= 120
    assert [outcome.state for outcome in others] == [JobState.COMPLETED] * 2
