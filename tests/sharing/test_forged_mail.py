"""Mail that anybody with access to the server may write: it raises nothing, ends nothing and does not pile up."""

from __future__ import annotations

import asyncio
import logging
import random

import orjson
import pytest
from accounts import account_of, held_by, shared_of, sharing_of
from harness import engine_of, until, virtual

from topaz_status import JobKind, JobRef, JobState
from topaz_status.coordination import box_of, desk
from topaz_status.core.sharing.digest import Summary
from topaz_status.core.sharing.mail import Answered, Ended, Held, Item, Left, Noticed, Registered, write_mail
from topaz_status.testing import JobPlan, MemoryHub, Simulator

DONE = orjson.dumps({"process_id": "x", "status": "Completed"})


def forged_items(dice: random.Random, jobs: list[JobRef]) -> list[Item]:
    """Items about watched jobs under numbers that nobody gave, and about jobs that nobody watches."""
    job = dice.choice([*jobs, JobRef(JobKind.IMAGE, f"unknown-{dice.random()}")])
    number = dice.randrange(10**6, 2**40)
    body = orjson.dumps({"process_id": job.id, "id": job.id, "job_id": job.id, "status": "complete"})
    return [
        Answered(job, number, body, 1.8e9, 0.0),
        Ended(job, number, DONE, 1.8e9, None),
        Ended(job, number, None, 1.8e9, dice.choice(["", "{}", "7", '{"type":"TransportError"}'])),
        Left(job, number),
        Noticed(job, "done"),
        Held(dice.randrange(9), Summary(dice.randrange(9), dice.randrange(2**63)), {JobKind.IMAGE: 1e9}),
    ]


def forged(dice: random.Random, epoch: int, sender: str, jobs: list[JobRef]) -> bytes:
    """One message, well or badly made."""
    proper = write_mail(epoch, sender, dice.randrange(10**6), 0.0, forged_items(dice, jobs))
    return dice.choice(
        [
            proper,
            proper[: dice.randrange(len(proper))],
            dice.randbytes(50),
            orjson.dumps([1, epoch, sender, -1, "x", [[], ["w"], ["s", "image"], 7]]),
            orjson.dumps([1, epoch, sender, 1, 0.0, [["e", "image", "x", 1, {"status": {}}, 0, "{}"]] * 500]),
        ]
    )


@virtual
async def test_forged_mail_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs end as they do without it, and both sides agree again once it stops."""
    dice, simulator, hub = random.Random(1), Simulator(seed=1), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=4, duration=30.0) for kind in JobKind])
    with caplog.at_level(logging.WARNING, logger="topaz_status"):
        async with account_of(simulator, hub, 3) as (leader, *followers):
            watching = [asyncio.ensure_future(follower.outcomes(jobs)) for follower in followers]
            (data,) = hub.accounts.values()
            while not all(task.done() for task in watching):
                await asyncio.sleep(0.05)
                members = [shared_of(client).member for client in (leader, *followers)]
                now = hub.steady(data)
                for box in (desk(data.epoch), *map(box_of, members)):
                    sender = dice.choice([*members, "nobody"])
                    data.post(box, forged(dice, data.epoch + dice.choice([0, 0, -1, 1]), sender, jobs), now)
                data.wake()
            assert [{outcome.state for outcome in task.result()} for task in watching] == [{JobState.COMPLETED}] * 2
            await until(lambda: not held_by(leader) and len(sharing_of(leader).desk.subscribers) == 2, step=0.1)
            assert all(shared_of(client).bad_mail for client in (leader, *followers))
            assert all(len(engine_of(client).registry) == 0 for client in (leader, *followers))
    assert not [record.message for record in caplog.records if "bug" in record.message or "failed" in record.message]


@virtual
async def test_jobs_that_a_stranger_registers_are_polled_no_longer_than_a_lease() -> None:
    """A sender that is no member is forgotten at the leader's next beat."""
    simulator, hub = Simulator(seed=2), MemoryHub()
    job = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=1, duration=500.0)])[0]
    async with account_of(simulator, hub, 2) as (leader, _):
        (data,) = hub.accounts.values()
        data.post(
            desk(data.epoch), write_mail(data.epoch, "nobody", 1, 0.0, [Registered(job, 1, 0.0, None, 0.0, None)]), 0
        )
        data.wake()
        await asyncio.sleep(3.0)
        assert not held_by(leader)
        assert len(engine_of(leader).registry) == 0
