"""What a member reports to the leader of its jobs, and how it takes the reports of the leader: one side, without a bus."""

from __future__ import annotations

import asyncio
import math

import attrs
from harness import virtual

from topaz_status import JobKind, JobRef
from topaz_status.core.sharing.digest import Digest, fingerprint
from topaz_status.core.sharing.mail import Anew, Answered, Complete, Ended, Held, Item, Left, Mail, Registered
from topaz_status.session.polling.poller import Poller
from topaz_status.session.sharing.own_jobs import ITEMS_AT_ONCE, MOST_AHEAD, OwnJobs
from topaz_status.session.timing.clock import Clock

JOB = JobRef(JobKind.IMAGE, "job")
BODY = b'{"process_id":"job","status":"Processing"}'


@attrs.define(eq=False)
class Ears:
    """What was heard."""

    heard_of: list[tuple[Poller, float]] = attrs.field(factory=list)
    ends: list[Poller] = attrs.field(factory=list)

    def heard(self, poller: Poller, _body: bytes, _service_now: float, sent_at: float) -> None:
        """Note a status."""
        self.heard_of.append((poller, sent_at))

    def heard_end(self, poller: Poller, _body: bytes | None, _service_now: float, _text: str) -> None:
        """Note an end."""
        self.ends.append(poller)


@attrs.define(eq=False)
class Member:
    """One side of the mail."""

    ears: Ears = attrs.field(factory=Ears)
    jobs: OwnJobs = attrs.field(init=False)
    number: int = 0
    last_heard: int = 0

    def __attrs_post_init__(self) -> None:
        self.jobs = OwnJobs(Clock.of(asyncio.get_running_loop()), self.ears, lambda: None)

    def watch(self, job: JobRef = JOB, *, age: float = 0.0) -> Poller:
        """Begin a watch."""
        loop = asyncio.get_running_loop()
        poller = Poller(job, loop.time(), loop.create_future())
        self.jobs.began(poller, loop.time(), age, None, age)
        return poller

    def sent(self) -> list[Item]:
        """What the next message says."""
        items = self.jobs.write(self.number + 1)
        self.number += bool(items)
        return items

    def hear(self, *items: Item, number: int | None = None) -> None:
        """Take one message of the leader."""
        self.last_heard = self.last_heard + 1 if number is None else number
        self.jobs.read(Mail(1, "leader", self.last_heard, 0.0, items))


def registered(items: list[Item]) -> list[Registered]:
    """The registrations among some items."""
    return [item for item in items if isinstance(item, Registered)]


@virtual
async def test_a_new_leader_hears_of_everything() -> None:
    """All registrations come between two marks, in messages of a bounded length."""
    member = Member()
    pollers = [member.watch(JobRef(JobKind.IMAGE, f"job-{n}"), age=float(n)) for n in range(2 * ITEMS_AT_ONCE)]
    assert member.sent() == []
    member.jobs.follow()
    messages = []
    while items := member.sent():
        messages.append(items)
    reported = [item for items in messages for item in items]
    assert (reported[0], reported[-1]) == (Anew(), Complete())
    assert [item.job for item in registered(reported)] == [poller.job for poller in pollers]
    assert [item.age for item in registered(reported)] == [float(n) for n in range(len(pollers))]
    assert max(map(len, messages)) <= ITEMS_AT_ONCE


@virtual
async def test_a_leader_that_is_behind_is_not_flooded() -> None:
    """A box holds a bounded number of messages; the rest of a round waits until the leader has read some."""
    member = Member()
    for n in range((MOST_AHEAD + 50) * ITEMS_AT_ONCE):
        member.watch(JobRef(JobKind.IMAGE, f"job-{n}"))
    member.jobs.follow()
    while member.sent():
        pass
    assert member.number == MOST_AHEAD
    member.hear(Held(member.number, Digest().summary(), {}))
    while items := member.sent():
        last = items[-1]
    assert last == Complete()
    assert member.jobs.resyncs == 0


@virtual
async def test_only_the_registration_in_force_is_heard() -> None:
    """A status or an end of an earlier watch of the job touches no later one, and is answered with a receipt."""
    member = Member()
    first = member.watch()
    member.jobs.follow()
    (old,) = registered(member.sent())
    member.jobs.over(first)
    second = member.watch()
    left, *rest = member.sent()
    (new,) = registered(rest)
    assert left == Left(JOB, old.registration)
    assert new.registration > old.registration
    member.hear(Answered(JOB, old.registration, BODY, 0.0, 0.0), Ended(JOB, old.registration, BODY, 0.0, None))
    assert not member.ears.heard_of
    assert member.sent() == [Left(JOB, old.registration)] * 2
    member.hear(Answered(JOB, new.registration, BODY, 0.0, 0.0))
    assert [poller for poller, _ in member.ears.heard_of] == [second]


@virtual
async def test_a_status_that_was_overtaken_means_nothing() -> None:
    """Mail that comes late, or twice, does not set a status back; an end in it still counts."""
    member = Member()
    member.watch()
    member.jobs.follow()
    (item,) = registered(member.sent())
    member.hear(Answered(JOB, item.registration, BODY, 0.0, 0.0), number=5)
    member.hear(Answered(JOB, item.registration, BODY, 0.0, 0.0), number=4)
    member.hear(Answered(JOB, item.registration, BODY, 0.0, 0.0), number=5)
    assert len(member.ears.heard_of) == 1
    member.hear(Ended(JOB, item.registration, None, 0.0, "{}"), number=3)
    assert len(member.ears.ends) == 1


@virtual
async def test_a_leader_that_holds_something_else_hears_all_anew() -> None:
    """Two digests in a row that disagree start a new round; digests that agree do not."""
    member = Member()
    member.watch()
    member.jobs.follow()
    (item,) = registered(member.sent())
    holds = Digest()
    holds.add(fingerprint(JOB, item.registration))
    for _ in range(5):
        member.hear(Held(member.number, holds.summary(), {}))
    assert member.jobs.resyncs == 0
    for _ in range(2):
        member.hear(Held(member.number, Digest().summary(), {}))
    assert member.jobs.resyncs == 1
    assert Anew() in member.sent()


@virtual
async def test_a_lost_last_message_is_found_out() -> None:
    """A leader that does not know of a message that was sent long before has never got it."""
    member = Member()
    member.jobs.follow()
    member.sent()
    member.hear(Held(member.number, Digest().summary(), {}))
    member.watch()
    assert registered(member.sent())
    for _ in range(5):
        member.hear(Held(member.number - 1, Digest().summary(), {}))
    assert member.jobs.resyncs == 1


@virtual
async def test_who_does_not_follow_reports_nothing() -> None:
    """While a member leads or goes alone, nothing piles up for a leader."""
    member = Member()
    poller = member.watch()
    member.jobs.stop()
    member.jobs.notify(JOB, "done")
    member.jobs.deleted(None)
    member.jobs.expects(poller)
    member.jobs.over(poller)
    assert member.sent() == []
    assert member.jobs.heard_at == -math.inf
