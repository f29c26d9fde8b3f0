"""Who leads, and who gives way: a leader that cannot poll, members that never lead, and the budget of them all."""

from __future__ import annotations

import asyncio
from typing import Any

from accounts import account_of, die, held_by, member_of, role_of, shared_of, sharing_of
from fastapi import FastAPI
from harness import now, options, until, virtual
from invariants import beyond_budget

from topaz_status import JobKind, JobState
from topaz_status.core.prediction.saved_tables import merge_lifetimes
from topaz_status.fastapi import client_of, status_lifespan
from topaz_status.session.sharing.heritage import LIFETIMES
from topaz_status.testing import MEMORY_URL, JobPlan, MemoryConnector, MemoryCoordinator, MemoryHub, Simulator


class Cuttable(MemoryConnector):
    """Reaches the server until it is cut off from it."""

    is_cut = False

    async def _create_connection(self, *arguments: Any, **settings: Any) -> Any:
        if self.is_cut:
            raise OSError(113, "no route to host")
        return await super()._create_connection(*arguments, **settings)


@virtual
async def test_a_leader_that_reaches_no_service_gives_way() -> None:
    """It sees the shared server and not the service; another member polls after ten seconds and a beat."""
    simulator, hub = Simulator(seed=1), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=4, duration=40.0)])
    connector = Cuttable(simulator, latency=0.01, force_close=True)
    async with member_of(simulator, hub, connector=connector) as first, member_of(simulator, hub) as second:
        watching = [asyncio.ensure_future(client.outcomes(jobs)) for client in (first, second)]
        await asyncio.sleep(5.0)
        assert role_of(first) == "leader"
        connector.is_cut = True
        cut_at = now()
        await until(lambda: role_of(second) == "leader", step=0.1)
        assert now() - cut_at <= 30.0
        found = await asyncio.gather(*watching)
        assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 2
        assert role_of(first) == "follower"


@virtual
async def test_a_leader_without_the_key_of_a_kind_gives_way_to_one_that_has_it() -> None:
    """It cannot poll what another member watches, so it lets that one lead; each hears the ends of its own jobs."""
    simulator, hub = Simulator(seed=11), MemoryHub()
    (image,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=30.0)])
    (try_on,) = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, count=1, duration=30.0)])
    setting = {"account": "orders"}
    async with (
        member_of(simulator, hub, setting=setting, pixelcut_api_key=None) as lacking,
        member_of(simulator, hub, setting=setting) as having,
    ):
        first = asyncio.ensure_future(lacking.watch(image, timeout=120.0).result())
        await until(lambda: shared_of(lacking).members == 2, step=0.1)
        assert role_of(lacking) == "leader"
        assert (await having.watch(try_on, timeout=120.0)).state is JobState.COMPLETED
        assert (await first).state is JobState.COMPLETED
        assert (role_of(lacking), role_of(having)) == ("follower", "leader")


@virtual
async def test_a_dead_follower_s_jobs_are_polled_no_longer_than_a_lease() -> None:
    """Its membership ends with its last lease, and its registrations at the leader's next beat."""
    simulator, hub = Simulator(seed=12), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=3, duration=600.0)])
    async with account_of(simulator, hub, 2) as (leader, follower):
        watches = [follower.watch(job) for job in jobs]
        await until(lambda: held_by(leader) == len(watches), step=0.1)
        die(follower, hub)
        await asyncio.sleep(3.0 + 1.5)
        assert not held_by(leader)
        asked = len(simulator.log)
        await asyncio.sleep(60.0)
        assert len(simulator.log) == asked


@virtual
async def test_an_outage_of_the_service_ends_nobody_s_watch() -> None:
    """Where no member fares better, the lead goes round without harm, and all hear the end once the service is back."""
    simulator, hub = Simulator(seed=2), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=3, duration=20.0)])
    simulator.add_fault("reset", since=10.0, until=100.0)
    async with account_of(simulator, hub, 3) as clients:
        found = await asyncio.gather(*(client.outcomes(jobs) for client in clients))
        assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 3
        assert now() < 150.0


@virtual
async def test_a_follower_shows_what_is_down_for_the_leader() -> None:
    """The circuit breakers of the leader are seen in the numbers of every member."""
    simulator, hub = Simulator(seed=3), MemoryHub()
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, count=1, duration=60.0)])
    async with account_of(simulator, hub, 2) as (leader, follower):
        watch = follower.watch(job)
        await until(lambda: watch.status, step=0.1)
        simulator.add_fault("503", since=0.0, until=100.0)
        await until(lambda: leader.stats().down[JobKind.TRY_ON] > 5.0, step=0.5)
        await asyncio.sleep(2.0)
        assert follower.stats().down[JobKind.TRY_ON] > 5.0
        assert "down" in str(watch.explain())
        assert (await watch).state is JobState.COMPLETED


@virtual
async def test_one_that_never_leads_goes_alone_only_without_a_leader() -> None:
    """Web workers beside a leader of its own follow; if it dies, they poll for themselves until it is back."""
    simulator, hub = Simulator(seed=4), MemoryHub()
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=60.0)])
    async with member_of(simulator, hub, setting={"lead": "never"}) as worker:
        watch = worker.watch(job)
        await asyncio.sleep(10.0)
        assert role_of(worker) == "alone"
        assert watch.status is not None
        async with member_of(simulator, hub, setting={"lead": "prefer"}) as leader:
            await until(lambda: held_by(leader) == 1, step=0.1)
            assert (role_of(leader), role_of(worker)) == ("leader", "follower")
            assert (await watch).state is JobState.COMPLETED


@virtual
async def test_a_preferred_leader_takes_over_without_a_loss() -> None:
    """The former leader follows and registers its own jobs; each watch ends once."""
    simulator, hub = Simulator(seed=5), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=3, duration=30.0) for kind in JobKind])
    async with member_of(simulator, hub) as first:
        watching = asyncio.ensure_future(first.outcomes(jobs))
        await asyncio.sleep(10.0)
        async with member_of(simulator, hub, setting={"lead": "prefer"}) as second:
            await until(lambda: held_by(second) == len(jobs), step=0.1)
            assert role_of(first) == "follower"
            assert {outcome.state for outcome in await watching} == {JobState.COMPLETED}


@virtual
async def test_a_leader_that_leaves_calls_the_next_one() -> None:
    """No beat is awaited: the next one leads, and holds what the others watch, after some messages' time."""
    simulator, hub = Simulator(seed=9), MemoryHub(latency=0.005, probes=False)
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=3, duration=30.0)])
    async with account_of(simulator, hub, 4) as (first, *others):
        watches = [other.watch(job) for other in others for job in jobs]
        await until(lambda: held_by(first) == len(watches), step=0.01)
        await first.aclose()
        left_at = now()
        await until(lambda: sorted(map(role_of, others)) == ["follower", "follower", "leader"], step=0.001)
        [leader] = [other for other in others if role_of(other) == "leader"]
        await until(lambda: held_by(leader) == 2 * len(jobs), step=0.001)
        assert now() - left_at <= 20 * hub.latency
        assert {(await watch.outcome()).state for watch in watches} == {JobState.COMPLETED}


@virtual
async def test_a_leader_that_gives_way_calls_the_next_one() -> None:
    """The members hear of the vacancy, and of the next leader, before their beats are due."""
    simulator, hub = Simulator(seed=10), MemoryHub(latency=0.005)
    async with account_of(simulator, hub, 3) as (first, *others):
        assert sharing_of(first).gives_way("a test asks for it")
        asked_at = now()
        await until(lambda: sorted(map(role_of, others)) == ["follower", "leader"], step=0.001)
        [leader] = [other for other in others if role_of(other) == "leader"]
        members = (first, *others)
        await until(lambda: {shared_of(each).leader for each in members} == {shared_of(leader).member}, step=0.001)
        assert now() - asked_at <= 20 * hub.latency


@virtual
async def test_calls_and_polls_of_all_members_are_within_one_budget() -> None:
    """Direct calls of followers draw from the same bucket as the leader's polls."""
    simulator, hub = Simulator(seed=6), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=10, duration=20.0) for kind in JobKind])
    async with account_of(simulator, hub, 4) as clients:

        async def call(number: int) -> None:
            client = clients[number % 4]
            for turn in range(10):
                await client.get(jobs[(number + turn) % len(jobs)])

        await asyncio.gather(*(client.outcomes(jobs) for client in clients), *(call(number) for number in range(12)))
        assert beyond_budget([exchange.at for exchange in simulator.log], 10.0, 10.0) == 0
        assert sum(shared_of(client).grants for client in clients) >= len(simulator.log)


@virtual
async def test_what_a_leader_learned_is_left_to_the_next() -> None:
    """Life tables are saved while a member leads, and a new leader begins with them."""
    simulator, hub = Simulator(seed=7), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=20, duration=30.0)])
    async with member_of(simulator, hub) as first:
        await first.outcomes(jobs)
        await asyncio.sleep(61.0)
    (data,) = hub.accounts.values()
    assert LIFETIMES in data.saved
    async with member_of(simulator, hub) as second:
        await asyncio.sleep(1.0)
        lifetimes = sharing_of(second)._schedule.lifetimes
        assert list(lifetimes.learned())
        assert merge_lifetimes(lifetimes, data.saved[LIFETIMES]) == 0


@virtual
async def test_the_workers_of_an_app_share_the_account() -> None:
    """A lifespan takes the coordinator as it takes every other setting of the client."""
    simulator, hub = Simulator(seed=8), MemoryHub()
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=10.0)])
    async with simulator.session(latency=0.01) as one, simulator.session(latency=0.01) as other:
        arguments = options(topaz_url=MEMORY_URL, pixelcut_url=MEMORY_URL, coordinator=MemoryCoordinator(hub))
        apps = [FastAPI(lifespan=status_lifespan(**arguments, session=session)) for session in (one, other)]
        async with apps[0].router.lifespan_context(apps[0]), apps[1].router.lifespan_context(apps[1]):
            leader, follower = map(client_of, apps)
            assert (await follower.watch(job)).state is JobState.COMPLETED
            assert (role_of(leader), role_of(follower)) == ("leader", "follower")
            assert follower.stats().total_requests == 0
    await asyncio.sleep(1.0)
