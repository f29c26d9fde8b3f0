"""The scripts on real servers do what their references in Python do, on any sequence of calls and clock readings."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_servers import NEEDS_ONE, executables, running

from topaz_status.coordination import PRIORITIES, Beat, Grants, Lead, Member, Pulse, Terms, Want, Wants
from topaz_status.models.job import JobKind
from topaz_status.redis.scripts import script
from topaz_status.redis.values import beat_arguments, read_grants, read_pulse, reserve_arguments, slow_down_arguments
from topaz_status.testing.sharing.account_data import AccountData

pytestmark = NEEDS_ONE
START = 1_800_000_000_000_000
_accounts = itertools.count()

Answer: TypeAlias = Pulse | Grants | bool | None


@pytest.fixture(scope="module", params=sorted(executables()))
def server(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A connection to a server of each sort that is here."""
    with running(executables()[request.param]) as real, redis.Redis(port=real.port, protocol=2) as client:
        yield client


@attrs.define
class Scripts:
    """The scripts for one account, with the clock's reading given."""

    client: redis.Redis
    account: int = attrs.field(factory=lambda: next(_accounts))

    def run(self, name: str, keys: list[str], arguments: list[Any]) -> Any:
        """Run a script as the bus does; servers of every age take it without flags."""
        text = script(name, flags=False).text
        return self.client.eval(text, len(keys), *[f"test:{{{self.account}}}:{key}" for key in keys], *arguments)

    def beat(self, beat: Beat, reading: int) -> Pulse:
        pulse, heard = read_pulse(self.run("beat", ["state", "members"], [*beat_arguments(beat), "", reading]))
        assert not heard
        return pulse

    def reserve(self, want: Want, member: str, reading: int) -> Grants:
        arguments = reserve_arguments(want, member)
        arguments[7] = reading
        return read_grants(self.run("reserve", ["state"], arguments), want.kinds)

    def slow_down(self, kind: JobKind, limited: bool, hold: float, reading: int) -> None:
        self.run("slow_down", ["state"], [*slow_down_arguments(kind, limited=limited, hold=hold), reading])


@attrs.frozen
class BeatCall:
    """A beat of some member."""

    member: str
    wants: Wants
    lead: Lead
    ttl: float
    ahead: int
    """By how much the member's highest epoch exceeds the one in force."""


@attrs.frozen
class ReserveCall:
    """A wish of some member, with the epoch in force, an old one, or none."""

    member: str
    epoch: str
    terms: Terms
    shared: int
    kinds: dict[JobKind, int]
    horizon: float


@attrs.frozen
class SlowDownCall:
    """A report of some answer."""

    kind: JobKind
    limited: bool
    hold: float


members = st.sampled_from(["a1", "b2", "c3"])
kinds = st.sampled_from(list(JobKind))
rates = st.floats(0.05, 300.0)
terms = st.builds(
    Terms, rate=rates, burst=st.floats(1.0, 30.0), kinds=st.dictionaries(kinds, st.floats(0.05, 10.0), max_size=2)
)
beats = st.builds(
    BeatCall,
    member=members,
    wants=st.sampled_from(["stand", "stand", "follow", "leave"]),
    lead=st.sampled_from(["auto", "auto", "prefer"]),
    ttl=st.floats(0.5, 5.0),
    ahead=st.sampled_from([0, 0, 0, 0, -1, 3]),
)
wishes = st.builds(
    ReserveCall,
    member=members,
    epoch=st.sampled_from(["none", "now", "now", "old"]),
    terms=terms,
    shared=st.integers(0, 12),
    kinds=st.dictionaries(kinds, st.integers(0, 4), max_size=3),
    horizon=st.sampled_from([0.0, 0.1, 0.6, 9.0]),
)
reports = st.builds(
    SlowDownCall, kind=kinds, limited=st.booleans(), hold=st.sampled_from([0.0, 0.0, 1.5, 20.0, 4_000.0])
)
pauses = st.one_of(st.integers(0, 400_000), st.integers(-3_000_000, 6_000_000))
sequences = st.lists(st.tuples(pauses, st.one_of(beats, wishes, wishes, reports)), max_size=40)


def on_reference(data: AccountData, call: BeatCall | ReserveCall | SlowDownCall, reading: int) -> Answer:
    """Make a call of the tables in Python."""
    now, seconds, epoch = data.clock.now(reading), reading / 1e6, data.epoch
    if isinstance(call, BeatCall):
        return data.beat(_beat(call, epoch), now, seconds, lambda _: False)
    if isinstance(call, ReserveCall):
        return data.reserve(_want(call, epoch), call.member, now, seconds)
    data.bucket.slow_down(call.kind, now, limited=call.limited, hold=call.hold)
    return None


def on_server(scripts: Scripts, epoch: int, call: BeatCall | ReserveCall | SlowDownCall, reading: int) -> Answer:
    """Make the same call of the scripts."""
    if isinstance(call, BeatCall):
        return scripts.beat(_beat(call, epoch), reading)
    if isinstance(call, ReserveCall):
        return scripts.reserve(_want(call, epoch), call.member, reading)
    scripts.slow_down(call.kind, call.limited, call.hold, reading)
    return None


def _beat(call: BeatCall, epoch: int) -> Beat:
    member = Member(id=call.member, priority=PRIORITIES[call.lead], settings="5e77")
    return Beat(member=member, ttl=call.ttl, wants=call.wants, epoch=max(0, epoch + call.ahead))


def _want(call: ReserveCall, epoch: int) -> Want:
    named = {"none": None, "now": epoch, "old": epoch - 1}[call.epoch]
    return Want(terms=call.terms, shared=call.shared, kinds=call.kinds, horizon=call.horizon, epoch=named)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(sequences)
def test_scripts_answer_as_their_references_do(
    server: redis.Redis, calls: list[tuple[int, BeatCall | ReserveCall | SlowDownCall]]
) -> None:
    """Lease, members, bucket, limits, holds and epochs: equal to the microsecond, though the clock steps back."""
    scripts, data, reading = Scripts(server), AccountData(), START
    for pause, call in calls:
        reading += pause
        epoch = data.epoch
        expected = on_reference(data, call, reading)
        assert on_server(scripts, epoch, call, reading) == expected


def test_a_server_holds_a_bounded_number_of_keys(server: redis.Redis) -> None:
    """And each of them ends by itself."""
    server.flushall()
    scripts = Scripts(server)
    for number in range(200):
        scripts.beat(Beat(member=Member(id=f"m{number}"), ttl=1.0, wants="stand"), START + 2_000_000 * number)
        scripts.reserve(Want(terms=Terms(rate=10.0, burst=5.0), shared=1), "m1", START + 2_000_000 * number)
    found = server.keys("*")
    assert isinstance(found, list)
    assert len(found) == 2
    assert all(0 < int(server.pttl(key)) <= 86_400_000 for key in found)
    assert server.hlen(f"test:{{{scripts.account}}}:members") == 1


def test_scripts_are_sent_again_to_a_server_that_forgot_them(server: redis.Redis) -> None:
    """After SCRIPT FLUSH, or a restart, the next call brings its script along."""

    class Client:
        """A client whose commands are noted."""

        sent: list[str] = []  # noqa: RUF012  # of this test alone

        async def execute_command(self, *args: Any) -> Any:
            self.sent.append(args[0])
            return server.execute_command(*args)  # type: ignore[no-untyped-call]

    server.script_flush()
    client = Client()
    for _ in range(3):
        asyncio.run(script("slow_down", flags=False).run(client, ["test:{flush}:state"], ["image", 1, 0]))
    assert client.sent == ["EVALSHA", "EVAL", "EVALSHA", "EVALSHA"]
