"""Clients that share a store: what one leaves another takes up, and what is taken from it ends for it alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from databases import PostgresServer
from harness import client_of, settle, until, virtual
from replicas import LEASE, Replicas
from stores import A_DAY, Spy

from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    JobState,
    MemoryStore,
    Outcome,
    StatusClient,
    StoreError,
    WatchTimeoutError,
)
from topaz_status.testing import Simulator

STEP = 5.0
"""Seconds of virtual time between two questions to the server, where much of it passes."""


@pytest.fixture
def replicas(postgres: PostgresServer) -> Replicas:
    return Replicas(postgres)


def summary(outcomes: list[Outcome]) -> list[tuple[Any, bool, JobState | None]]:
    return sorted((outcome.tag, outcome.redelivered, outcome.state) for outcome in outcomes)


@virtual
async def test_what_a_closed_client_leaves_another_resumes(replicas: Replicas) -> None:
    """Unfinished watches and outcomes nobody acknowledged, with their tags and marks."""
    jobs = [replicas.simulator.add_image(duration=duration) for duration in (1.0, 1.0, 90.0)]
    async with replicas.one("a") as a:
        watches = [a.watch(job, tag=tag) for tag, job in enumerate(jobs)]
        await watches[0]
        await until(lambda: replicas.marks() == {True, False, None})
    async with replicas.one("b") as b:
        outcomes = [outcome async for outcome in b.resume()]
        assert summary(outcomes) == [(tag, tag == 0, JobState.COMPLETED) for tag in range(3)]
        stats = b.stats().store
        assert stats is not None
        assert (stats.claimed, stats.taken_over) == (3, 0)
    assert replicas.rows() == {}


@virtual
async def test_a_living_clients_watches_are_not_resumed_by_others(replicas: Replicas) -> None:
    """Its job cannot be registered a second time, either: the error names who watches it."""
    job = replicas.simulator.add_image(duration=50.0)
    async with replicas.one("a") as a, replicas.one("b") as b:
        watch = a.watch(job)
        await until(lambda: replicas.rows() == {str(job): "a"})
        assert [outcome async for outcome in b.resume()] == []
        with pytest.raises(StoreError, match=f"{job} is being watched by a") as refused:
            await b.watch(job)
        assert refused.value.taken_over_by == "a"
        assert (await watch).state is JobState.COMPLETED


@virtual
async def test_a_watch_that_was_taken_over_ends_for_its_former_owner_alone(replicas: Replicas) -> None:
    """Its handles end with an error that says who has it; others of that client go on, and the job ends once."""
    first, second = (replicas.simulator.add_image(duration=1e4) for _ in range(2))
    async with replicas.one("a") as a, replicas.one("b") as b:
        taken, untagged = a.watch(first, tag="first"), a.watch(first)
        await until(lambda: replicas.rows() == {str(first): "a"})
        with replicas.asleep("a"):
            resumed = b.resume()
            waiting = asyncio.create_task(anext(resumed))
            await until(lambda: replicas.rows() == {str(first): "b"})
        other = a.watch(second)
        for watch in (taken, untagged):
            with pytest.raises(StoreError, match=f"{first} has been taken over by b"):
                await watch
        assert not waiting.done(), "they waited for the job's end"
        assert (await waiting).tag == "first"
        assert (await other).state is JobState.COMPLETED
        stats = a.stats().store
        assert stats is not None
        assert stats.taken_over == 1
        assert [outcome async for outcome in resumed] == []


@virtual
async def test_a_lease_is_renewed_while_nothing_is_written(replicas: Replicas) -> None:
    """A client that merely waits keeps its watches."""
    job = replicas.simulator.add_image(duration=1e6)
    async with replicas.one("a") as a:
        watch = a.watch(job, timeout=None)
        await until(lambda: replicas.rows() == {str(job): "a"})
        with replicas.asleep("a"):
            pass
        await asyncio.sleep(LEASE / 2)
        async with replicas.one("b") as b:
            assert [outcome async for outcome in b.resume()] == []
        assert not watch.done()


@virtual
async def test_following_goes_on_taking(replicas: Replicas) -> None:
    """What others leave later, too; it ends when its client is closed, with what is open and without an error."""
    early, late, still = (replicas.simulator.add_image(duration=duration) for duration in (1.0, 60.0, 1e6))
    outcomes: list[Outcome] = []

    async def follow(client: StatusClient) -> None:
        async for outcome in client.resume(follow=True):
            outcomes.append(outcome)  # noqa: PERF401  # as they come

    async with replicas.one("b") as b:
        following = asyncio.create_task(follow(b))
        for job in (early, late, still):
            async with replicas.one("a") as a:
                a.watch(job, tag=str(job))
                await until(lambda: str(job) in replicas.rows())  # noqa: B023  # awaited here
        await until(lambda: len(outcomes) == 2, step=STEP)
        await until(lambda: replicas.rows() == {str(still): "b"}, step=STEP)
        assert not following.done()
        await settle()
    await following
    assert [(outcome.tag, outcome.state) for outcome in outcomes[:2]] == [
        (str(early), JobState.COMPLETED),
        (str(late), JobState.COMPLETED),
    ]
    assert [type(outcome.error) for outcome in outcomes[2:]] == [ClientClosedError]
    assert list(replicas.rows()) == [str(still)]


@virtual
async def test_following_outlives_an_outage(replicas: Replicas) -> None:
    """A server that is down when it begins, or later, is asked again; what is known of the jobs is not lost."""
    jobs = [replicas.simulator.add_image(duration=3000.0) for _ in range(2)]
    async with replicas.one("a") as a:
        for job in jobs:
            a.watch(job)
        await until(lambda: len(replicas.rows()) == 2)
    async with replicas.one("b") as b:
        replicas.server.stop()
        try:
            outcomes = b.resume(follow=True)
            first = asyncio.create_task(anext(outcomes))
            await asyncio.sleep(60.0)
            assert not first.done()
        finally:
            replicas.server.start()
        await until(lambda: set(replicas.rows().values()) == {"b"}, step=STEP)
        replicas.server.stop()
        try:
            await asyncio.sleep(6000.0)
            assert not first.done()
        finally:
            replicas.server.start()
        assert {(await first).state, (await anext(outcomes)).state} == {JobState.COMPLETED}
        await outcomes.aclose()


@virtual
async def test_what_is_not_readable_is_reported_at_once_without_following(replicas: Replicas) -> None:
    """A plain ``resume()`` is asked for what is there, and cannot say."""
    async with replicas.one("b") as b:
        replicas.server.stop()
        try:
            with pytest.raises(StoreError, match="postgresql://"):
                await anext(b.resume())
        finally:
            replicas.server.start()


@virtual
@pytest.mark.parametrize("steps", [0, 1, 5])
async def test_a_resume_that_was_dropped_fails_without_a_complaint(replicas: Replicas, steps: int) -> None:
    """Nobody is left to hear that the store could not be read."""
    async with replicas.one("b") as b:
        replicas.server.stop()
        try:
            resumed = b.resume()
            await settle(steps)
            await resumed.aclose()
            del resumed
            await asyncio.sleep(1.0)
        finally:
            replicas.server.start()


@virtual
async def test_an_outcome_that_was_taken_before_it_is_handed_out_comes_as_an_error(replicas: Replicas) -> None:
    """The loop goes on with the next one; what another client has is that client's to handle."""
    jobs = [replicas.simulator.add_image(duration=1.0) for _ in range(2)]
    async with replicas.one("a") as a, replicas.one("b") as b:
        async with a.as_completed(jobs) as outcomes:
            await until(lambda: replicas.marks() == {False})
            with replicas.asleep("a"):
                assert len([outcome async for outcome in b.resume()]) == 2
            errors = [(outcome.error, outcome.receipt) async for outcome in outcomes]
        assert sorted(str(error) for error, _ in errors) == sorted(
            f"{job} has been taken over by another client, which has finished it" for job in jobs
        )
        assert {receipt for _, receipt in errors} == {None}


@virtual
async def test_an_acknowledgement_by_a_former_owner_fails_and_says_who_has_it(replicas: Replicas) -> None:
    """By hand and on leaving the block of a watch; a loop's last one passes over it, as its others do."""
    jobs = [replicas.simulator.add_image(duration=1.0) for _ in range(3)]
    async with replicas.one("a") as a, replicas.one("b") as b:
        by_hand = await a.watch(jobs[0]).outcome()
        loop = a.as_completed([jobs[1]])
        await anext(loop)
        again: list[Outcome] = []

        async def slow_work() -> None:
            async with a.watch(jobs[2]) as watch:
                await watch
                with replicas.asleep("a"):
                    again.extend([outcome async for outcome in b.resume().unacknowledged()])

        with pytest.raises(StoreError, match=f"{jobs[2]} has been taken over by b"):
            await slow_work()
        assert [outcome.redelivered for outcome in again] == [True] * 3
        with pytest.raises(StoreError, match=f"{jobs[0]} has been taken over by b"):
            await by_hand.ack()
        assert [outcome async for outcome in loop] == []
        assert set(replicas.rows().values()) == {"b"}


@virtual
async def test_following_needs_a_store_that_is_shared() -> None:
    """With any other there is never anybody to follow."""
    async with client_of(Simulator(), store=MemoryStore()) as client:
        with pytest.raises(ConfigurationError, match="PostgresStore"):
            client.resume(follow=True)


# -- a timeout of its own ---------------------------------------------------------------------------------------------


@virtual
async def test_resumed_watches_may_have_a_timeout_of_their_own() -> None:
    """For each job from when it is taken up; the row keeps its own timeout for the next one."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=500.0)
    async with client_of(simulator, store=store) as client:
        client.watch(job)
        await until(lambda: store.seen(job))
    before = store.jobs()[str(job)].deadline
    async with client_of(simulator, store=store) as client:
        (outcome,) = [outcome async for outcome in client.resume(timeout=30.0)]
        assert isinstance(outcome.error, WatchTimeoutError)
        assert store.jobs()[str(job)].deadline == before
        (outcome,) = [outcome async for outcome in client.resume(timeout=None)]
        assert outcome.state is JobState.COMPLETED
        with pytest.raises(ConfigurationError, match="timeout"):
            client.resume(timeout=-1.0)


@virtual
async def test_a_timeout_of_its_own_outlasts_that_of_the_row() -> None:
    """A row whose deadline has passed is then resumed for as long as it is asked for, and begins anew afterwards."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1e5)
    async with client_of(simulator, store=store) as client:
        client.watch(job, timeout=10.0)
        await until(lambda: store.seen(job))
    await asyncio.sleep(20.0)
    async with client_of(simulator, store=store) as client:
        began = asyncio.get_running_loop().time()
        (outcome,) = [outcome async for outcome in client.resume(timeout=60.0)]
        assert isinstance(outcome.error, WatchTimeoutError)
        assert 60.0 <= asyncio.get_running_loop().time() - began < A_DAY
        await until(lambda: store.jobs()[str(job)].deadline is None)
