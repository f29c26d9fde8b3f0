"""What every bus does, in memory and on a server: who leads, who is there, tokens, mail and saved texts."""

from __future__ import annotations

import asyncio

import pytest
from buses import Server

from topaz_status.coordination import PRIORITIES, Beat, BusError, Lead, Member, Pulse, Terms, Want, Wants, box_of, desk
from topaz_status.models.job import JobKind

TERMS = Terms(rate=50.0, burst=10.0)
AGES = 600.0
"""Seconds: on a real server, no test takes as long, however busy the machine is."""


def beat(member: str, wants: Wants = "stand", *, ttl: float = AGES, lead: Lead = "auto", epoch: int = 0) -> Beat:
    return Beat(member=Member(id=member, priority=PRIORITIES[lead]), ttl=ttl, wants=wants, epoch=epoch)


def who(pulse: Pulse) -> tuple[str | None, list[str]]:
    """The holder and the members."""
    return pulse.holder, [member.id for member in pulse.members]


class BusRules:
    """The rules, over the ``server`` of the class that inherits them."""

    async def test_the_first_to_stand_leads(self, server: Server) -> None:
        """Others see it, and do not take the lease; its own beats keep the epoch."""
        one, two = await server.join("a1"), await server.join("b2")
        first = await one.beat(beat("a1"))
        assert who(first) == ("a1", ["a1"])
        other = await two.beat(beat("b2"))
        assert who(other) == ("a1", ["a1", "b2"])
        assert 0.0 < other.lease_left <= AGES
        again = await one.beat(beat("a1"))
        assert (again.epoch, again.deposed) == (first.epoch, False)
        assert first.epoch == other.epoch > 1_000_000_000_000

    async def test_what_a_member_says_of_itself_reaches_the_others(self, server: Server) -> None:
        """All of it, as it was said."""
        one, two = await server.join("a1"), await server.join("b2")
        member = Member(
            id="a1", priority=2, stands=False, kinds=frozenset({JobKind.TRY_ON, JobKind.IMAGE}), settings="5e77",
            version="0.1.0", mail=2, loop_lag=0.125, latency=0.0005,
        )  # fmt: skip
        await one.beat(Beat(member=member, ttl=AGES, wants="follow"))
        assert (await two.beat(beat("b2"))).members[0] == member

    async def test_a_leader_that_follows_gives_the_lease_up(self, server: Server) -> None:
        """The next to stand leads, in a later epoch, and the member stays a member."""
        one, two = await server.join("a1"), await server.join("b2")
        first = await one.beat(beat("a1"))
        assert (await one.beat(beat("a1", "follow"))).holder is None
        then = await two.beat(beat("b2"))
        assert who(then) == ("b2", ["a1", "b2"])
        assert then.epoch > first.epoch

    async def test_a_member_that_leaves_is_gone_at_once(self, server: Server) -> None:
        """With its lease, if it leads."""
        one, two = await server.join("a1"), await server.join("b2")
        await one.beat(beat("a1"))
        await one.beat(beat("a1", "leave"))
        assert who(await two.beat(beat("b2"))) == ("b2", ["b2"])

    async def test_a_lease_that_is_not_renewed_ends(self, server: Server) -> None:
        """So does the membership."""
        one, two = await server.join("a1"), await server.join("b2")
        await one.beat(beat("a1", ttl=0.05))
        await server.pass_time(0.1)
        pulse = await two.beat(beat("b2"))
        assert who(pulse) == ("b2", ["b2"])
        assert not pulse.deposed

    async def test_a_preferred_member_takes_over(self, server: Server) -> None:
        """From a leader with a lower priority; two of the same do not take over from each other."""
        one, two, three = [await server.join(name) for name in ("a1", "b2", "c3")]
        first = await one.beat(beat("a1"))
        then = await two.beat(beat("b2", lead="prefer"))
        assert (then.holder, then.deposed) == ("b2", True)
        assert then.epoch > first.epoch
        assert (await three.beat(beat("c3", lead="prefer"))).holder == "b2"
        assert (await one.beat(beat("a1"))).holder == "b2"

    async def test_a_member_that_does_not_stand_never_leads(self, server: Server) -> None:
        """Not even when nobody else does."""
        one = await server.join("a1")
        pulse = await one.beat(beat("a1", "follow"))
        assert (pulse.holder, pulse.lease_left) == (None, 0.0)

    async def test_a_killed_leader_is_replaced_at_the_next_beat(self, server: Server) -> None:
        """Its closed connection proves it dead, once the server has seen it open at a renewal."""
        one, two = await server.join("a1"), await server.join("b2")
        await one.beat(beat("a1"))
        await server.until_heard(one, beat("a1"))
        assert (await two.beat(beat("b2"))).holder == "a1"
        await server.kill(one)
        async with asyncio.timeout(AGES / 2):
            while (pulse := await two.beat(beat("b2"))).holder == "a1":
                await server.pass_time(0.01)
        assert (pulse.holder, pulse.deposed) == ("b2", True)

    async def test_epochs_grow_though_all_is_lost(self, server: Server) -> None:
        """A member that has seen a higher epoch makes the next one higher still, and ends a lower lease."""
        one, two = await server.join("a1"), await server.join("b2")
        seen = (await one.beat(beat("a1"))).epoch + 3_600_000  # of a server whose clock was an hour ahead
        await server.forget()
        assert (await two.beat(beat("b2"))).epoch < seen
        pulse = await one.beat(beat("a1", epoch=seen))
        assert (pulse.holder, pulse.epoch) == ("a1", seen + 1)
        assert (await two.beat(beat("b2"))).holder == "a1"

    async def test_polls_are_fenced_at_the_bucket(self, server: Server) -> None:
        """Only the leader gets tokens in the name of its epoch; anybody gets them for direct calls."""
        one, two = await server.join("a1"), await server.join("b2")
        epoch = (await one.beat(beat("a1"))).epoch
        assert (await one.reserve(Want(terms=TERMS, shared=1, epoch=epoch))).shared == (0.0,)
        for bus, stale in ((one, epoch - 1), (one, epoch + 1), (two, epoch)):
            refused = await bus.reserve(Want(terms=TERMS, shared=1, epoch=stale))
            assert (refused.epoch_ok, refused.shared) == (False, ())
        await one.beat(beat("a1", "follow"))
        assert not (await one.reserve(Want(terms=TERMS, shared=1, epoch=epoch))).epoch_ok
        assert len((await two.reserve(Want(terms=TERMS, shared=1, horizon=0.5))).shared) == 1

    async def test_members_share_one_bucket(self, server: Server) -> None:
        """Slots of several members are those of one bucket, and 429s, holds and limits are reported to all."""
        one, two = await server.join("a1"), await server.join("b2")
        epoch = (await one.beat(beat("a1"))).epoch
        terms = Terms(rate=0.5, burst=1.0, kinds={JobKind.TRY_ON: 0.125})
        want = Want(terms=terms, shared=2, kinds={JobKind.TRY_ON: 2}, horizon=2.4, epoch=epoch)
        mine = await one.reserve(want)
        assert mine.shared[0] == 0.0
        assert 1.99 < mine.shared[1] <= 2.0
        assert len(mine.kinds[JobKind.TRY_ON]) == 1
        theirs = await two.reserve(Want(terms=TERMS, shared=1))
        assert theirs.shared == ()
        assert 2.0 < theirs.next_in <= 4.0
        assert 4.0 < theirs.kinds_next_in[JobKind.TRY_ON] <= 8.0
        assert theirs.rates == {JobKind.TRY_ON: 0.125}
        await two.slow_down(JobKind.VIDEO, limited=True, hold=40.0)
        granted = await one.reserve(Want(terms=terms, shared=0, epoch=epoch))
        assert granted.limited == {JobKind.VIDEO: 1}
        assert 20.0 < granted.held[JobKind.VIDEO] <= 40.0

    async def test_mail_comes_in_order_to_its_box(self, server: Server) -> None:
        """From any sender, read from any point on, and any bytes."""
        one, two = await server.join("a1"), await server.join("b2")
        bodies = [bytes([number, 0, 255, 10, 13]) for number in range(5)]
        await one.post([(box_of("b2"), body) for body in bodies] + [(desk(7), b"other")])
        mail = await two.read(box_of("b2"), None, most=3, wait=0.0)
        assert [body for _, body in mail] == bodies[:3]
        rest = await two.read(box_of("b2"), mail[-1][0], most=10, wait=0.0)
        assert [body for _, body in rest] == bodies[3:]
        assert await two.read(box_of("b2"), rest[-1][0], most=10, wait=0.0) == []
        assert [body for _, body in await one.read(desk(7), None, most=9, wait=0.0)] == [b"other"]
        await one.post([])

    async def test_a_reader_waits_for_mail(self, server: Server) -> None:
        """It gets the message when it comes, and nothing when its wait is over; other calls go on meanwhile."""
        one, two = await server.join("a1"), await server.join("b2")
        reader = asyncio.ensure_future(two.read(box_of("b2"), None, most=9, wait=AGES))
        await server.pass_time(0.05)
        await two.beat(beat("b2"))
        assert not reader.done()
        await one.post([(box_of("b2"), b"update")])
        [(number, body)] = await reader
        assert body == b"update"
        assert await two.read(box_of("b2"), number, most=9, wait=0.05) == []

    async def test_mail_after_a_loss_of_data_is_read(self, server: Server) -> None:
        """Though its ids may be lower than those that were read before."""
        one, two = await server.join("a1"), await server.join("b2")
        await one.post([(box_of("b2"), b"old")] * 3)
        after = (await two.read(box_of("b2"), None, most=9, wait=0.0))[-1][0]
        await server.forget()
        await one.post([(box_of("b2"), b"new")])
        later = f"{int(after.partition('-')[0]) + 3_600_000}-0" if "-" in after else after
        found = await two.read(box_of("b2"), later, most=9, wait=0.05)
        found = found or await two.read(box_of("b2"), later, most=9, wait=0.05)
        assert [body for _, body in found] == [b"new"]

    async def test_a_box_is_bounded(self, server: Server) -> None:
        """It holds its latest messages, a few thousand at most."""
        one = await server.join("a1")
        for start in range(0, 2_500, 500):
            await one.post([("to:b2", b"%d" % number) for number in range(start, start + 500)])
        left = await one.read("to:b2", None, most=9_999, wait=0.0)
        assert 1_900 <= len(left) <= 2_200
        assert left[-1][1] == b"2499"

    async def test_saved_texts_are_fenced(self, server: Server) -> None:
        """The leader alone saves; anybody loads."""
        one, two = await server.join("a1"), await server.join("b2")
        epoch = (await one.beat(beat("a1"))).epoch
        assert await two.load("lifetimes") is None
        assert await one.save("lifetimes", b"\x00\xff", epoch)
        assert not await one.save("lifetimes", b"stale", epoch - 1)
        assert not await two.save("lifetimes", b"theirs", epoch)
        assert await two.load("lifetimes") == b"\x00\xff"

    async def test_accounts_do_not_meet(self, server: Server) -> None:
        """One server holds many; each has its own leader, bucket and mail."""
        one, two = await server.join("a1", account="left"), await server.join("b2", account="right")
        assert who(await one.beat(beat("a1"))) == ("a1", ["a1"])
        assert who(await two.beat(beat("b2"))) == ("b2", ["b2"])
        await one.post([("to:b2", b"update")])
        assert await two.read("to:b2", None, most=9, wait=0.0) == []

    async def test_a_canceled_call_disturbs_no_other(self, server: Server) -> None:
        """The answer to a call that nobody waits for is never taken for another's."""
        one = await server.join("a1")
        for _ in range(20):
            call = asyncio.ensure_future(one.beat(beat("a1")))
            await asyncio.sleep(0)
            call.cancel()
            assert await one.load("nothing") is None
            assert (await one.beat(beat("a1"))).holder == "a1"

    async def test_a_server_that_hangs_fails_each_call_in_time(self, server: Server) -> None:
        """And it answers again as soon as it is back."""
        one = await server.join("a1")
        await one.beat(beat("a1"))
        async with server.hanging():
            with pytest.raises(BusError):
                await one.beat(beat("a1"))
            with pytest.raises(BusError):
                await one.post([("to:b2", b"update")])
        assert (await one.beat(beat("a1"))).holder == "a1"

    async def test_a_server_that_restarts_is_joined_again(self, server: Server) -> None:
        """Calls fail while it is away, and succeed afterwards."""
        one = await server.join("a1")
        await one.beat(beat("a1"))
        await server.stop()
        with pytest.raises(BusError):
            await one.beat(beat("a1"))
        await server.start()
        await server.forget()
        assert (await one.beat(beat("a1"))).holder == "a1"

    async def test_a_closed_bus_fails_every_call(self, server: Server) -> None:
        """Also those under way; closing twice is fine."""
        one = await server.join("a1")
        reader = asyncio.ensure_future(one.read("to:a1", None, most=9, wait=AGES))
        await server.pass_time(0.02)
        await one.close()
        with pytest.raises(BusError):
            await reader
        with pytest.raises(BusError):
            await one.beat(beat("a1"))
        await one.close()
