"""Who leads: one member's view by a column of times, and many members' over the rules of a server."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.coordination import PRIORITIES, Lead, Member, Pulse
from topaz_status.core.sharing.membership import Change, Membership
from topaz_status.models.job import JobKind
from topaz_status.testing.sharing.account_data import AccountData

LEASE = 3.0
RTT = 0.01
START = 1_800_000_000.0


def member(name: str = "a1", **facts: Any) -> Member:
    return Member(id=name, **facts)


def joined(name: str = "a1", lead: Lead = "auto", at: float = 0.0) -> Membership:
    return Membership(member(name, priority=PRIORITIES[lead]), lead, LEASE, at)


def pulse(holder: str | None, epoch: int = 7, *, left: float = LEASE, others: tuple[Member, ...] = ()) -> Pulse:
    return Pulse(now=START, holder=holder, epoch=epoch, lease_left=left, members=(member(), *others))


def hear(membership: Membership, now: float, answer: Pulse | None) -> Change:
    """Beat at a time; the answer, or the failure, comes one round trip later."""
    membership.beat(now)
    if answer is None:
        return membership.failed(now + RTT)
    return membership.heard(answer, now, now + RTT)


def test_a_leader_beats_three_times_in_a_lease() -> None:
    """And polls until a lease after its last beat was sent, by its own clock."""
    one = joined()
    assert one.beat(0.0).wants == "stand"
    assert one.heard(pulse("a1"), 0.0, RTT) == Change("follower", "leader")
    assert one.beats_at == RTT + 1.0
    assert one.leads(2.999)
    assert not one.leads(3.0)
    assert one.wakes_at == one.beats_at


def test_a_follower_beats_often_and_stands_when_the_lease_ends() -> None:
    """So a leader that is proved dead is soon found; without proof, the lease's end is awaited."""
    one = joined()
    assert hear(one, 0.0, pulse("b2")) == Change("follower", "follower", register=True)
    assert one.beats_at == RTT + 0.3
    assert hear(one, 0.3, pulse("b2", left=0.1)) == Change("follower", "follower")
    assert one.beats_at == pytest.approx(0.3 + RTT + 0.1 + 0.005)
    assert one.beat(0.4).wants == "stand"


def test_a_follower_registers_with_each_new_leader() -> None:
    """Once an epoch, and again after it has been alone."""
    one = joined()
    found = [hear(one, at, pulse("b2", epoch)).register for at, epoch in ((0.0, 7), (0.3, 7), (0.6, 8), (0.9, 8))]
    assert found == [True, False, True, False]
    for at in (1.0, 2.0, 3.0, 3.9, 4.2):
        last = hear(one, at, None)
    assert last.after == "alone"
    assert hear(one, 5.0, pulse("b2", 8)) == Change("alone", "follower", register=True)


def test_a_leader_whose_mail_is_of_another_version_is_not_followed() -> None:
    """A member polls for itself until one leads that it understands; it would lead if nobody did."""
    one, other = joined(), member("b2", mail=2)
    assert hear(one, 0.0, pulse("b2", others=(other,))) == Change("follower", "alone")
    assert not one.understands_leader
    assert one.leader == "b2"
    assert one.beat(0.4).wants == "stand"
    assert one.heard(pulse("c3", 8, others=(other, member("c3"))), 0.4, 0.4 + RTT) == Change("alone", "follower", True)
    assert hear(one, 0.8, pulse("b2", 9, others=(other,))).after == "alone"
    assert hear(one, 1.2, None).after == "alone"
    assert one.leader is None
    assert hear(one, 1.6, pulse("a1", 10, others=(other,))) == Change("alone", "leader")


def test_without_answers_a_member_goes_alone_after_a_lease() -> None:
    """Not sooner, and it comes back with the first answer."""
    one = joined()
    hear(one, 0.0, pulse("b2"))
    changes = [hear(one, at, None).after for at in (0.5, 1.5, 2.9)]
    assert changes == ["follower"] * 3
    assert one.wakes_at == RTT + LEASE
    assert one.pass_time(RTT + LEASE) == Change("follower", "alone")
    assert (one.alone_since, one.outages, one.leader) == (RTT + LEASE, 1, None)
    assert hear(one, 9.0, pulse("a1")) == Change("alone", "leader")
    assert one.alone_since is None


def test_a_leader_that_is_cut_off_stops_when_its_lease_ends() -> None:
    """It polls for nobody from then on, and for itself as soon as others may have given it up."""
    one = joined()
    hear(one, 0.0, pulse("a1"))
    assert [hear(one, at, None).after for at in (1.0, 2.0)] == ["leader", "leader"]
    assert one.wakes_at < LEASE
    assert hear(one, 2.98, None).after == "leader"
    assert one.wakes_at == LEASE
    assert one.pass_time(LEASE).after == "follower"
    assert one.pass_time(LEASE + RTT).after == "alone"


def test_a_leader_whose_loop_stood_still_follows_until_a_beat_says_more() -> None:
    """Its lease has ended by its own clock, before it has sent anything."""
    one = joined()
    hear(one, 0.0, pulse("a1"))
    assert not one.leads(10.0)
    assert one.pass_time(10.0) == Change("leader", "follower")
    assert hear(one, 10.0, pulse("b2", 8)) == Change("follower", "follower", register=True)


def test_while_nobody_stands_each_member_goes_alone() -> None:
    """Members that never lead, and whose leader is gone, poll for themselves."""
    one = joined(lead="never")
    assert hear(one, 0.0, pulse("b2")).after == "follower"
    changes = [hear(one, 0.5 + 0.3 * step, pulse(None)).after for step in range(12)]
    assert changes[:8] == ["follower"] * 8
    assert changes[-1] == "alone"
    assert one.beat(9.0).wants == "follow"
    assert one.beats_at == math.inf
    assert one.heard(pulse(None), 9.0, 9.01).after == "alone"
    assert one.beats_at == 9.01 + 0.3


def test_a_member_gives_way_to_one_that_stands() -> None:
    """For a minute, then two; its next beat is due at once. It stands sooner if nobody else does any more."""
    one, other = joined(), member("b2")
    hear(one, 0.0, pulse("a1"))
    assert not one.give_way(0.5)
    hear(one, 1.0, pulse("a1", others=(other,)))
    assert one.give_way(1.5)
    assert one.beats_at == 1.5
    assert one.leads(1.5)
    gone = one.beat(1.5)
    assert (gone.wants, gone.member.stands) == ("follow", False)
    assert one.heard(pulse(None, others=(other,)), 1.5, 1.6) == Change("leader", "follower")
    assert one.beat(61.0).wants == "follow"
    assert one.beat(62.0).wants == "stand"
    one.heard(pulse("a1", 9, others=(other,)), 62.0, 62.01)
    assert one.give_way(62.0)
    assert one.beat(181.0).wants == "follow"
    one.heard(pulse(None, 9), 181.0, 181.01)
    assert one.beat(181.5).wants == "stand"


def test_a_member_gives_way_only_to_one_that_can_do_its_work() -> None:
    """One that lacks the key of a kind in use is no help; neither is one that has given way itself."""
    one = joined()
    others = (member("b2", kinds=frozenset({JobKind.IMAGE})), member("c3", stands=False), member("d4", priority=0))
    hear(one, 0.0, pulse("a1", others=others))
    assert not one.give_way(0.5, frozenset({JobKind.VIDEO}))
    assert one.give_way(0.5, frozenset({JobKind.IMAGE}))


def test_a_leader_whose_loop_is_often_blocked_gives_way() -> None:
    """Three late beats within half a minute; fewer, or a follower's, mean nothing."""
    one, late = joined(), 0.3
    answer = pulse("a1", others=(member("b2"),))
    hear(one, 0.0, answer)
    hear(one, one.beats_at + late, answer)
    hear(one, one.beats_at + 0.2, answer)
    hear(one, one.beats_at + late, answer)
    beat = one.beat(one.beats_at + late)
    assert beat.wants == "follow"
    assert beat.member.loop_lag == pytest.approx(late)


def test_a_refusal_by_the_bucket_ends_the_reign() -> None:
    """It polls no more in that epoch, and asks at once who leads."""
    one = joined()
    hear(one, 0.0, pulse("a1"))
    assert one.deposed(0.5) == Change("leader", "follower")
    assert one.beats_at == 0.5


def test_a_wish_for_haste_outlives_the_beat_under_way() -> None:
    """That beat may have been carried out before the leader left."""
    one = joined()
    one.beat(0.0)
    one.hurry(0.005)
    one.heard(pulse("b2"), 0.0, RTT)
    assert one.beats_at == 0.005


def test_a_member_that_leaves_polls_for_nobody() -> None:
    """Its last beat gives up lease and membership."""
    one = joined()
    hear(one, 0.0, pulse("a1"))
    assert one.parting().wants == "leave"
    assert not one.leads(0.1)


# -- many members over the rules of a server ---------------------------------------------------------------------------


@attrs.define
class World:
    """Members that beat over one server; each beat, or its answer, may be lost."""

    count: int
    now: float = 0.0
    data: AccountData = attrs.field(factory=AccountData)
    clock_error: float = 0.0
    members: list[Membership] = attrs.field(init=False)
    epochs: list[int] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.members = [joined(f"m{number}") for number in range(self.count)]

    def serve(self, one: Membership, fate: str) -> None:
        """Let one member beat now; ``fate`` says what becomes of the request and of its answer."""
        sent_at = self.now
        beat = one.beat(sent_at)
        answer = None
        if fate != "lost":
            reading = START + self.now + self.clock_error
            steady = self.data.clock.now(int(reading * 1e6))
            answer = self.data.beat(beat, steady, reading, lambda _: True)
            self.epochs.append(answer.epoch)
        self.now += RTT
        if answer is None or fate == "unheard":
            one.failed(self.now)
        else:
            one.heard(answer, sent_at, self.now, jitter=0.5)

    def step(self, fate: str = "heard") -> None:
        """Pass the time until something is due, and do it."""
        one = min(self.members, key=lambda each: each.wakes_at)
        self.now = max(self.now, one.wakes_at)
        if one.beats_at <= self.now:
            self.serve(one, fate)
        else:
            one.pass_time(self.now)

    def leaders(self) -> list[Membership]:
        return [one for one in self.members if one.leads(self.now)]


fates = st.lists(st.sampled_from(["heard", "heard", "heard", "lost", "unheard"]), max_size=150)


@given(st.integers(1, 5), fates)
def test_two_never_lead_at_once(count: int, found: list[str]) -> None:
    """Whatever beats are lost, while the server keeps its data and nobody is deposed."""
    world = World(count)
    for fate in found:
        world.step(fate)
        assert len(world.leaders()) <= 1
        assert all((one.role == "leader") == one.leads(world.now) or one.wakes_at <= world.now for one in world.members)
    assert world.epochs == sorted(world.epochs)


@given(st.integers(1, 5), fates, st.lists(st.tuples(st.integers(0, 150), st.floats(-7_200.0, 7_200.0)), max_size=3))
def test_one_leads_soon_after_all_troubles(count: int, found: list[str], losses: list[tuple[int, float]]) -> None:
    """Beats lost, data lost, the server's clock set: a second after a lease one leads, and all others follow it."""
    world = World(count)
    for number, fate in enumerate(found):
        for at, jump in losses:
            if at == number:
                world.data, world.clock_error = AccountData(), world.clock_error + jump
        before = {one.member.id: one.epoch for one in world.members}
        world.step(fate)
        assert all(one.epoch >= before[one.member.id] for one in world.members)
    healed_at = world.now
    while world.now < healed_at + LEASE + 1.0:
        world.step()
    [leader] = world.leaders()
    others = [one for one in world.members if one is not leader]
    assert {(one.role, one.leader, one.epoch) for one in others} <= {("follower", leader.member.id, leader.epoch)}
