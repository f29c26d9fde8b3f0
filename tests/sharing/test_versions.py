"""Members of several epochs and versions: late mail of a former reign, and a deployment that replaces the library."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version

import orjson
import pytest
from accounts import account_of, held_by, member_of, role_of, shared_of, sharing_of
from harness import until, virtual

from topaz_status import JobKind, JobState, StatusClient
from topaz_status.coordination import box_of, desk
from topaz_status.core.sharing.mail import Ended, Left, write_mail
from topaz_status.testing import JobPlan, MemoryHub, Simulator

LATE = 10**6
"""The number of a message: higher than all others."""
LINK = "topaz_status.session.sharing.link"


def post(hub: MemoryHub, box: str, body: bytes) -> None:
    """Put a message into a box."""
    (data,) = hub.accounts.values()
    data.post(box, body, hub.steady(data))
    data.wake()


@virtual
@pytest.mark.parametrize("is_late", [True, False])
async def test_mail_of_a_former_reign_is_dropped(is_late: bool) -> None:
    """A leader that leads again has mail under way from before; neither side acts on it, as both do on mail of today."""
    simulator, hub = Simulator(seed=1), MemoryHub()
    first, second = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=2, duration=600.0)])
    async with account_of(simulator, hub, 2) as (leader, follower):
        ended, left = follower.watch(first), follower.watch(second)
        await until(lambda: held_by(leader) == 2, step=0.1)
        former = shared_of(leader).epoch
        hub.forget()
        await until(lambda: shared_of(follower).epoch > former and held_by(leader) == 2, step=0.1)
        assert (role_of(leader), role_of(follower)) == ("leader", "follower")
        await asyncio.sleep(3.0)
        epoch = former if is_late else shared_of(leader).epoch
        jobs = sharing_of(follower).own_jobs._jobs
        numbers = {own.poller.job: own.registration for own in jobs.values()}
        done = orjson.dumps({"process_id": first.id, "status": "Completed"})
        end = Ended(first, numbers[first], done, 1.8e9, None)
        them, us = shared_of(leader).member, shared_of(follower).member
        post(hub, box_of(us), write_mail(epoch, them, LATE, 0.0, [end]))
        post(hub, desk(shared_of(leader).epoch), write_mail(epoch, us, LATE, 0.0, [Left(second, numbers[second])]))
        await asyncio.sleep(0.2)
        assert ended.done() is not is_late
        assert not left.done()
        assert held_by(leader) == (2 if is_late else 0)


@virtual
async def test_members_name_their_version_and_differ_only_within_it() -> None:
    """Digests of two versions may differ for equal settings, so a deployment is no reason for a warning."""
    simulator, hub = Simulator(seed=2), MemoryHub()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{LINK}.library_version", lambda: "0.0.1")
        patch.setattr(f"{LINK}.settings_digest", lambda _: "0ld")
        older = member_of(simulator, hub)
        first = await older.__aenter__()
    async with member_of(simulator, hub) as second, member_of(simulator, hub, burst=5.0) as third:
        await until(lambda: shared_of(first).members == 3, step=0.1)
        members = sharing_of(first).heartbeat._membership.members
        assert sorted(member.version for member in members) == sorted(["0.0.1", *[version("topaz-status")] * 2])
        await asyncio.sleep(1.0)
        assert shared_of(first).differs == ()
        assert shared_of(second).differs == (shared_of(third).member,)
        await older.__aexit__(None, None, None)


@virtual
async def test_a_deployment_of_another_kind_of_mail_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """While the old leader lives, new members poll for themselves, and say why; then one of them leads."""
    simulator, hub = Simulator(seed=3), MemoryHub()
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=3, duration=20.0) for kind in JobKind])
    other = simulator.add_jobs([JobPlan(kind=JobKind.IMAGE, count=3, duration=50.0)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{LINK}.MAIL_VERSION", 0)
        older = member_of(simulator, hub)
        old: StatusClient = await older.__aenter__()
    with caplog.at_level(logging.WARNING, logger="topaz_status"):
        async with member_of(simulator, hub) as one, member_of(simulator, hub) as two:
            late = [asyncio.ensure_future(client.outcomes(other)) for client in (one, two)]
            found = await asyncio.gather(*(client.outcomes(jobs) for client in (old, one, two)))
            assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 3
            assert [role_of(client) for client in (old, one, two)] == ["leader", "alone", "alone"]
            await older.__aexit__(None, None, None)
            await until(lambda: sorted(map(role_of, (one, two))) == ["follower", "leader"], step=0.1)
            found = await asyncio.gather(*late)
            assert [{outcome.state for outcome in each} for each in found] == [{JobState.COMPLETED}] * 2
    reasons = [record.getMessage() for record in caplog.records if "polling alone" in record.getMessage()]
    assert len(reasons) == 2
    assert all("mail differs" in reason for reason in reasons)
