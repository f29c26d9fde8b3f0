"""Clients that share both an account and a database: one of them polls, and each hands out the outcomes of its own rows."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from accounts import die, held_by, member_of, role_of
from databases import PostgresServer
from harness import now, until, virtual
from replicas import Replicas

from topaz_status import Completions, JobRef, JobState, Outcome, StatusClient, StoreError
from topaz_status.testing import MemoryHub

STEP = 0.5
"""Seconds of virtual time between two questions to the server."""
RUNTIME = 300.0
"""Seconds of virtual time that a long job takes."""
HAS_ENDED = "NEW.detected_at IS NOT NULL"


@attrs.define
class Members(Replicas):
    """Clients with one database and one coordinator: the first one that comes leads."""

    hub: MemoryHub = attrs.field(factory=MemoryHub)

    @contextlib.asynccontextmanager
    async def one(self, name: str, **store: Any) -> AsyncIterator[StatusClient]:
        """One of them; ``store`` are further arguments of its store."""
        async with member_of(self.simulator, self.hub, store=self.store(name, **store)) as client:
            yield client

    def jobs(self, count: int, *, duration: float = 20.0) -> list[JobRef]:
        """So many images."""
        return [self.simulator.add_image(duration=duration) for _ in range(count)]


@pytest.fixture
def members(postgres: PostgresServer) -> Members:
    return Members(postgres)


async def ends_of(outcomes: Completions) -> collections.Counter[tuple[JobRef | None, JobState | None, bool]]:
    """Each outcome that was handed out, and how often."""
    return collections.Counter([(each.job, each.state, each.redelivered) async for each in outcomes])


def once(jobs: list[JobRef], *, redelivered: bool = False) -> dict[tuple[JobRef | None, JobState | None, bool], int]:
    """Every job completed, and handed out a single time."""
    return dict.fromkeys(((job, JobState.COMPLETED, redelivered) for job in jobs), 1)


@virtual
async def test_one_member_polls_and_each_handle_hears_its_outcome_once(members: Members) -> None:
    """Both have rows in the one table; the follower sends no request, and no row is left."""
    jobs = members.jobs(6)
    async with members.one("a") as a, members.one("b") as b:
        loops = [a.as_completed(jobs[:3]), b.as_completed(jobs[3:]), b.as_completed(jobs[3:])]
        counting = [asyncio.create_task(ends_of(loop)) for loop in loops]
        await until(lambda: len(members.rows()) == len(jobs), step=STEP)
        assert collections.Counter(members.rows().values()) == {"a": 3, "b": 3}
        assert (role_of(a), role_of(b)) == ("leader", "follower")
        assert await asyncio.gather(*counting) == [once(jobs[:3]), once(jobs[3:]), once(jobs[3:])]
        assert b.stats().total_requests == 0
        assert [outcome async for outcome in b.resume()] == []
        await until(lambda: not members.rows(), step=STEP)


@virtual
async def test_one_job_belongs_to_one_member_of_each_consumer(members: Members) -> None:
    """Two consumers hear of it, each once; a second member of the same consumer gets an error that names the first."""
    (job,) = members.jobs(1)
    async with members.one("a") as a, members.one("b") as b, members.one("c", consumer="audit") as c:
        counting = [asyncio.create_task(ends_of(client.as_completed([job]))) for client in (a, c)]
        await until(lambda: len(members.rows()) == 1 and held_by(a) == 1, step=STEP)
        with pytest.raises(StoreError, match=f"{job} is being watched by a") as refused:
            await b.watch(job)
        assert refused.value.taken_over_by == "a"
        assert await asyncio.gather(*counting) == [once([job])] * 2
        assert (b.stats().total_requests, c.stats().total_requests) == (0, 0)


@virtual
async def test_a_followers_outcome_is_stored_before_it_is_handed_out(members: Members) -> None:
    """What the leader reports waits while the follower's row cannot be written, though the leader has polled the end."""
    (job,) = members.jobs(1)
    async with members.one("a") as a, members.one("b") as b:
        watch = b.watch(job, timeout=None)
        await until(lambda: held_by(a) == 1 and members.rows() == {str(job): "b"}, step=STEP)
        with members.refusing("53100", HAS_ENDED):
            await asyncio.sleep(300.0)
            assert not watch.done()
            assert members.marks() == {None}
            stats = b.stats().store
            assert stats is not None
            assert (stats.waiting, stats.down > 0.0) == (1, True)
        outcome = await watch.outcome()
        assert outcome.state is JobState.COMPLETED
        assert members.marks() <= {False, True}
        await outcome.ack()
        assert members.rows() == {}


@pytest.mark.parametrize(("former", "later"), [("a", "b"), ("b", "a")], ids=["of the leader", "of a follower"])
@virtual
async def test_a_row_that_is_taken_over_ends_its_former_handle(members: Members, former: str, later: str) -> None:
    """The new owner hands out the outcome, once, and the former owner's other watches go on. The leader stays."""
    taken, second = members.jobs(2, duration=RUNTIME)
    began = now()
    async with members.one("a") as a, members.one("b") as b:
        clients = {"a": a, "b": b}
        watch = clients[former].watch(taken)
        await until(lambda: members.rows() == {str(taken): former}, step=STEP)
        with members.asleep(former):
            resumed = clients[later].resume()
            waiting = asyncio.create_task(anext(resumed))
            await until(lambda: members.rows() == {str(taken): later}, step=STEP)
        other = clients[former].watch(second)
        with pytest.raises(StoreError, match=f"{taken} has been taken over by {later}") as refused:
            await watch
        assert refused.value.taken_over_by == later
        assert now() - began < RUNTIME, "the error waited for the job's end"
        first: Outcome = await waiting
        assert (first.job, first.state, first.redelivered) == (taken, JobState.COMPLETED, False)
        assert [outcome async for outcome in resumed] == []
        assert (await other).state is JobState.COMPLETED
        assert (role_of(a), role_of(b)) == ("leader", "follower")
        assert b.stats().total_requests == 0


@virtual
async def test_what_a_dead_leader_had_is_polled_and_handed_out_by_its_successor(members: Members) -> None:
    """The lease of the account ends at once, those of the rows when they lapse; each outcome comes a single time."""
    lost, own = members.jobs(3, duration=120.0), members.jobs(2, duration=120.0)
    async with members.one("a") as a, members.one("b") as b:
        watches = [a.watch(job) for job in lost]
        watching = asyncio.create_task(ends_of(b.as_completed(own)))
        await until(lambda: len(members.rows()) == len(lost + own), step=STEP)
        die(a, members.hub)
        with members.asleep("a"):
            assert await ends_of(b.resume()) == once(lost + own), "a client resumes its own watches as well"
            assert await watching == once(own)
        assert role_of(b) == "leader"
        assert len(watches) == len(lost)
    assert members.rows() == {}
