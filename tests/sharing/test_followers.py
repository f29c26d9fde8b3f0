"""A client that follows does all that a client does, though another process polls for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from accounts import account_of, die, held_by, member_of, role_of, shared_of, sharing_of
from harness import PIXELCUT_KEY, client_of, engine_of, now, until, virtual

from topaz_status import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    CoordinatorError,
    JobFailedError,
    JobKind,
    JobLostError,
    JobRef,
    JobState,
    MemoryStore,
    PollPolicy,
    StatusClient,
    WatchTimeoutError,
)
from topaz_status.testing import JobPlan, MemoryCoordinator, MemoryHub, Simulator


def jobs_of(simulator: Simulator, count: int = 5, **plan: Any) -> list[JobRef]:
    """So many jobs of each kind."""
    return simulator.add_jobs([JobPlan(kind=kind, count=count, **{"duration": 20.0, **plan}) for kind in JobKind])


@virtual
async def test_the_same_jobs_cost_one_process_s_requests() -> None:
    """Four processes that watch the same jobs send as many requests as one, and all of them hear every end."""
    alone = Simulator(seed=1)
    jobs = jobs_of(alone, 10)
    async with client_of(alone, rate=10.0, burst=10.0) as client:
        await client.outcomes(jobs)
    together = Simulator(seed=1)
    jobs = jobs_of(together, 10)
    async with account_of(together, MemoryHub(), 4) as clients:
        found = await asyncio.gather(*(client.outcomes(jobs) for client in clients))
        assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 4
        assert [client.stats().total_requests > 0 for client in clients] == [True, False, False, False]
    assert len(together.log) <= 1.05 * len(alone.log) + 2


@virtual
async def test_a_follower_sees_each_change() -> None:
    """Updates come with every field that the service sent, and the last is the end, with its link."""
    simulator = Simulator(seed=2)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.VIDEO, count=1, duration=20.0)])
    async with account_of(simulator, MemoryHub(), 2) as (leader, follower):
        seen = [status async for status in follower.watch(job).updates()]
        assert len(seen) >= 3
        assert seen[-1].state is JobState.COMPLETED
        assert seen[-1].result_url is not None
        assert seen[-1].to_dict() == (await leader.get(job)).to_dict()
        assert shared_of(follower).news_lag is not None


@virtual
async def test_failures_and_lost_jobs_are_heard_as_errors() -> None:
    """Awaiting raises in a follower what it would raise in the process that polls."""
    simulator = Simulator(seed=3)
    (failed,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=5.0, outcome=JobState.FAILED)])
    (deleted,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=60.0)])
    async with account_of(simulator, MemoryHub(), 2) as (leader, follower):
        watches = [follower.watch(failed), follower.watch(deleted)]
        with pytest.raises(JobFailedError) as ended:
            await watches[0]
        assert ended.value.status is not None
        await until(lambda: watches[1].status, step=0.1)
        simulator.remove(deleted)
        with pytest.raises(JobLostError) as lost:
            await watches[1]
        assert lost.value.status == watches[1].status
        await until(lambda: not held_by(leader), step=0.1)


@virtual
async def test_the_leader_stops_when_nobody_watches() -> None:
    """A handle that leaves ends the polling elsewhere as it would here."""
    simulator = Simulator(seed=4)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=60.0)])
    async with account_of(simulator, MemoryHub(), 3) as (leader, *followers):
        watches = [follower.watch(job) for follower in followers]
        await until(lambda: held_by(leader) == 2, step=0.1)
        watches[0].cancel()
        await until(lambda: held_by(leader) == 1, step=0.1)
        assert len(engine_of(leader).registry) == 1
        watches[1].drop()
        await until(lambda: not held_by(leader), step=0.1)
        assert len(engine_of(leader).registry) == 0
        asked = len(simulator.log)
        await asyncio.sleep(30.0)
        assert len(simulator.log) == asked


@virtual
async def test_a_job_watched_anew_gets_a_fresh_answer() -> None:
    """A job that has ended and is watched again is asked for again."""
    simulator = Simulator(seed=5)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=2.0)])
    async with account_of(simulator, MemoryHub(), 2) as (_, follower):
        await follower.watch(job)
        asked = len(simulator.log)
        await follower.watch(job)
        assert len(simulator.log) > asked


@virtual
async def test_a_timeout_is_the_follower_s_own() -> None:
    """It comes in its time, after a last poll that the leader sends just before."""
    simulator = Simulator(seed=6)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, count=1, duration=600.0)])
    async with account_of(simulator, MemoryHub(), 2) as (leader, follower):
        began = now()
        with pytest.raises(WatchTimeoutError) as ended:
            await follower.watch(job, timeout=47.0)
        assert 47.0 <= now() - began <= 48.0
        assert ended.value.last_status is not None
        assert 46.5 <= max(exchange.at for exchange in simulator.log) - began <= 47.5
        await until(lambda: not held_by(leader), step=0.1)


@virtual
async def test_notices_reach_the_leader() -> None:
    """A webhook may come to any process: to one that watches the job, and to one that does not."""
    simulator = Simulator(seed=7)
    first, second = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, count=2, duration=600.0)])
    async with account_of(simulator, MemoryHub(), 3) as (leader, watching, other):
        watches = [watching.watch(first), watching.watch(second)]
        await until(lambda: all(watch.status for watch in watches), step=0.1)
        await asyncio.sleep(20.0)
        asked = len(simulator.log)
        body = json.dumps({"job_id": first.id, "status": "running"}).encode()
        assert watching.notify(body) == first
        assert other.notify(second) is None
        await asyncio.sleep(1.0)
        assert {exchange.job for exchange in simulator.log[asked:]} == {first.id, second.id}
        assert leader.stats().shared is not None


@virtual
async def test_what_is_shown_is_of_this_process() -> None:
    """Numbers, the overview and the explanation speak of this process's watches, and of who polls for them."""
    simulator = Simulator(seed=8)
    jobs = jobs_of(simulator, 2, duration=60.0)
    async with account_of(simulator, MemoryHub(), 2) as (leader, follower):
        mine = leader.watch(jobs[0])
        watches = [follower.watch(job) for job in jobs]
        await until(lambda: held_by(leader) == len(jobs), step=0.1)
        await asyncio.sleep(10.0)
        assert sum(leader.stats().watches.values()) == 1
        assert sum(follower.stats().watches.values()) == len(jobs)
        assert shared_of(leader).jobs == len(jobs)
        assert shared_of(follower).jobs is None
        overview = leader.fleet()
        assert [view.job for view in overview.changes()] == [jobs[0]]
        assert shared_of(leader).member[:6] in str(watches[1].explain())
        assert "last seen" in str(watches[1].explain())
        assert "polled by" not in str(mine.explain())


@virtual
async def test_the_last_status_comes_at_once() -> None:
    """A member that watches a job that is polled already hears what is known, without a request."""
    simulator = Simulator(seed=9)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, count=1, duration=600.0)])
    async with account_of(simulator, MemoryHub(), 2) as (leader, follower):
        await anext(leader.watch(job).updates())
        await asyncio.sleep(10.0)
        asked = len(simulator.log)
        status = await anext(follower.watch(job).updates())
        assert status.state is JobState.RUNNING
        assert len(simulator.log) == asked


@virtual
async def test_signed_links_stay_out_of_mail_if_they_should() -> None:
    """With ``links=False`` a follower's status has no link; ``result`` asks for one."""
    simulator = Simulator(seed=10)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.VIDEO, count=1, duration=3.0)])
    hub = MemoryHub()
    async with account_of(simulator, hub, 2, setting={"links": False}) as (_, follower):
        status = await follower.watch(job)
        assert status.result_url is None
        assert (await follower.result(job)).url
        boxes = [box for data in hub.accounts.values() for box in data.boxes.values()]
        assert not [body for box in boxes for _, body in box.messages if b"://" in body]


@virtual
async def test_stored_watches_follow_as_well() -> None:
    """A follower's outcome is on disk before it is handed out, and is acknowledged in its own store."""
    simulator = Simulator(seed=11)
    jobs = jobs_of(simulator, 2)
    hub = MemoryHub()
    store = MemoryStore()
    async with member_of(simulator, hub) as leader:
        async with member_of(simulator, hub, store=store) as follower:
            watches = [follower.watch(job) for job in jobs]
            await until(lambda: held_by(leader) == len(jobs), step=0.1)
            assert len(watches) == len(jobs)
        async with member_of(simulator, hub, store=store) as follower:
            outcomes = [outcome async for outcome in follower.resume()]
            assert {outcome.job for outcome in outcomes} == set(jobs)
            assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
        assert role_of(leader) == "leader"
        async with member_of(simulator, hub, store=store) as follower:
            assert [outcome async for outcome in follower.resume()] == []


@virtual
async def test_a_leader_stores_its_own_watch_of_a_job_that_others_watch() -> None:
    """A job that is polled for others already gets its row, and the others hear on."""
    simulator = Simulator(seed=12)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=20.0)])
    hub, store = MemoryHub(), MemoryStore()
    async with member_of(simulator, hub, store=store) as leader, member_of(simulator, hub) as follower:
        theirs = follower.watch(job)
        await until(lambda: theirs.status, step=0.1)
        watch = leader.watch(job)
        outcome = await watch.outcome()
        assert outcome.state is JobState.COMPLETED
        assert (await theirs.outcome()).state is JobState.COMPLETED
        await outcome.ack()
        await until(lambda: not held_by(leader), step=0.1)


@virtual
async def test_a_canceled_stored_watch_is_forgotten_though_others_watch() -> None:
    """The row goes with this process's last handle; the polling goes on for the others."""
    simulator = Simulator(seed=13)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=20.0)])
    hub, store = MemoryHub(), MemoryStore()
    async with member_of(simulator, hub, store=store) as leader, member_of(simulator, hub) as follower:
        watch = leader.watch(job)
        theirs = follower.watch(job)
        await until(lambda: held_by(leader), step=0.1)
        watch.cancel()
        assert (await theirs.outcome()).state is JobState.COMPLETED
    async with member_of(simulator, MemoryHub(), store=store) as later:
        assert [outcome async for outcome in later.resume()] == []


# -- who leads ------------------------------------------------------------------------------------------------------------


@virtual
async def test_a_dead_leader_is_replaced_in_a_beat() -> None:
    """The next member polls within half a second, for its own jobs and for those of the others."""
    simulator = Simulator(seed=14)
    jobs = jobs_of(simulator, 3, duration=30.0)
    hub = MemoryHub()
    async with account_of(simulator, hub, 3) as (leader, *others):
        watches = [other.watch(job) for other in others for job in jobs]
        await asyncio.sleep(10.0)
        die(leader, hub)
        died = now()
        await until(lambda: any(role_of(other) == "leader" for other in others), step=0.01)
        assert now() - died <= 0.5
        assert {(await watch.outcome()).state for watch in watches} == {JobState.COMPLETED}


@virtual
async def test_a_leader_that_closes_gives_up_the_lease() -> None:
    """Without waiting for its lease to end, the next one leads; what the first one knew last has been reported."""
    simulator = Simulator(seed=15)
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=30.0)])
    hub = MemoryHub(probes=False)
    async with member_of(simulator, hub) as first, member_of(simulator, hub) as second:
        watch = second.watch(job)
        await until(lambda: watch.status, step=0.1)
        await first.aclose()
        closed = now()
        await until(lambda: role_of(second) == "leader", step=0.01)
        assert now() - closed <= 0.35
        assert (await watch).state is JobState.COMPLETED


@virtual
async def test_a_member_alone_polls_for_itself_and_comes_back() -> None:
    """Without the server each polls its own jobs; afterwards one leads again, and there was one warning an outage."""
    simulator = Simulator(seed=16)
    jobs = jobs_of(simulator, 2, duration=60.0)
    hub = MemoryHub()
    async with account_of(simulator, hub, 2) as clients:
        watches = [client.watch(job) for client in clients for job in jobs]
        await asyncio.sleep(10.0)
        hub.stop()
        await asyncio.sleep(5.0)
        assert [role_of(client) for client in clients] == ["alone", "alone"]
        assert all(shared_of(client).alone_for > 0.0 for client in clients)
        asked = len(simulator.log)
        await asyncio.sleep(10.0)
        assert len(simulator.log) > asked
        hub.start()
        await asyncio.sleep(2.0)
        assert sorted(role_of(client) for client in clients) == ["follower", "leader"]
        assert [shared_of(client).outages for client in clients] == [1, 1]
        assert {(await watch.outcome()).state for watch in watches} == {JobState.COMPLETED}


@virtual
async def test_a_refused_key_gives_way_to_one_that_is_accepted() -> None:
    """Where members may have different keys, one whose key is refused lets another one lead; no watch ends."""
    simulator = Simulator(seed=17, keys=["good", PIXELCUT_KEY])
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=4, duration=20.0)])
    hub, setting = MemoryHub(), {"account": "orders"}
    async with (
        member_of(simulator, hub, setting=setting, topaz_api_key="bad") as refused,
        member_of(simulator, hub, setting=setting, topaz_api_key="good") as accepted,
    ):
        await until(lambda: shared_of(refused).members == 2, step=0.1)
        found = await asyncio.gather(refused.outcomes(jobs), accepted.outcomes(jobs))
        assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 2
        assert (role_of(refused), role_of(accepted)) == ("follower", "leader")


@virtual
async def test_a_key_that_nobody_has_ends_the_watches_everywhere() -> None:
    """Members with one and the same key all raise what the service said."""
    simulator = Simulator(seed=18, keys=["good", PIXELCUT_KEY])
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=2, duration=20.0)])
    async with account_of(simulator, MemoryHub(), 2, topaz_api_key="bad") as clients:
        found = await asyncio.gather(*(client.outcomes(jobs) for client in clients))
        assert {type(outcome.error) for each in found for outcome in each} == {AuthenticationError}
        assert now() < 30.0


# -- opening and closing --------------------------------------------------------------------------------------------------


@virtual
async def test_without_a_server_the_client_does_not_open() -> None:
    """Opening says what is missing and leaves nothing behind, also with a store."""
    hub = MemoryHub()
    hub.stop()
    client = StatusClient(topaz_api_key="key", coordinator=MemoryCoordinator(hub), store=MemoryStore())
    with pytest.raises(CoordinatorError):
        await client.open()
    hub.start()
    hub.loss = 1.0
    client = StatusClient(topaz_api_key="key", coordinator=MemoryCoordinator(hub), store=MemoryStore())
    began = now()
    with pytest.raises(CoordinatorError):
        await client.open()
    assert now() - began <= 6.0


@virtual
async def test_closing_never_waits_for_a_server_that_hangs() -> None:
    """A client closes within its patience, whatever the server does."""
    simulator, hub = Simulator(seed=19), MemoryHub()
    (job,) = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=60.0)])
    async with member_of(simulator, hub) as client:
        watch = client.watch(job)
        hub.pause()
        began = now()
        await client.aclose()
        assert now() - began <= 3.0
        with pytest.raises(ClientClosedError):
            await watch


@virtual
async def test_what_members_set_differently_is_reported() -> None:
    """Each member names those whose settings differ from its own."""
    simulator, hub = Simulator(seed=20), MemoryHub()
    async with member_of(simulator, hub) as one, member_of(simulator, hub, policy=PollPolicy(price=1.0)) as other:
        await asyncio.sleep(2.0)
        assert shared_of(one).differs == (shared_of(other).member,)
        assert shared_of(other).differs == (shared_of(one).member,)


@virtual
async def test_two_accounts_never_mix() -> None:
    """Processes with other keys share nothing, though they share a server."""
    simulator, hub = Simulator(seed=21), MemoryHub()
    async with member_of(simulator, hub) as one, member_of(simulator, hub, topaz_api_key="another") as other:
        await asyncio.sleep(1.0)
        assert (role_of(one), role_of(other)) == ("leader", "leader")
        assert (shared_of(one).members, shared_of(other).members) == (1, 1)
        assert sharing_of(one) is not sharing_of(other)
        with pytest.raises(ConfigurationError):
            one.watch("sound:x")
