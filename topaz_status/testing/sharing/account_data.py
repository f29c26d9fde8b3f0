"""What a shared server holds of one account, and the rules by which it changes: the reference for the Lua scripts.

Every method takes ``now``, whole microseconds of a clock that never goes back (:class:`SteadyClock`). ``seconds`` is
the server's Unix time, for texts. ``is_listening`` says whether a member's connection is open.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import attrs

from ...coordination import MAIL_LIFETIME, MOST_MESSAGES, Beat, Grants, Member, Pulse, Want
from .shared_bucket import SECOND, SharedBucket, micros


@attrs.define
class SteadyClock:
    """The server's clock without its steps back: while it stands behind an earlier reading, the difference is added."""

    _seen: int = 0
    _added: int = 0

    def now(self, reading: int) -> int:
        """Return the steady time for a reading of the server's clock."""
        now = reading + self._added
        if now < self._seen:
            self._added += self._seen - now
            now = self._seen
        self._seen = now
        return now


@attrs.define
class Lease:
    """Who leads, and how long still."""

    holder: str
    until: int
    priority: int
    heard: bool
    """True if the holder's connection was seen to be open when it last renewed; only then its absence proves much."""


@attrs.define
class Box:
    """The mail of one member, or of one epoch's leader."""

    messages: deque[tuple[int, bytes]] = attrs.field(factory=lambda: deque(maxlen=MOST_MESSAGES))
    expires_at: int = 0


@attrs.define
class AccountData:
    """The lease, the members, the bucket, the mail and the saved texts of one account."""

    clock: SteadyClock = attrs.field(factory=SteadyClock)
    epoch: int = 0
    lease: Lease | None = None
    members: dict[str, tuple[int, Member]] = attrs.field(factory=dict)
    """Each member, and when it is taken for gone."""
    bucket: SharedBucket = attrs.field(factory=SharedBucket)
    boxes: dict[str, Box] = attrs.field(factory=dict)
    saved: dict[str, bytes] = attrs.field(factory=dict)
    waiting: list[Callable[[], bool]] = attrs.field(factory=list)
    """Readers that wait for mail. Each says whether it waits no more."""
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))

    def beat(self, beat: Beat, now: int, seconds: float, is_listening: Callable[[str], bool]) -> Pulse:
        """Renew a membership, and take, keep or give up the lease."""
        member, until = beat.member, now + micros(beat.ttl)
        self.members[member.id] = (until, member)
        if beat.wants == "leave":
            del self.members[member.id]
        self.members = {name: (end, each) for name, (end, each) in self.members.items() if end > now}
        deposed = self._settle_lease(beat, now, until, is_listening)
        lease = self.lease
        return Pulse(
            now=seconds,
            holder=None if lease is None else lease.holder,
            epoch=self.epoch,
            lease_left=0.0 if lease is None else (lease.until - now) / SECOND,
            members=tuple(each for _, (_, each) in sorted(self.members.items())),
            deposed=deposed,
        )

    def _settle_lease(self, beat: Beat, now: int, until: int, is_listening: Callable[[str], bool]) -> bool:
        """Decide who holds the lease after a beat, and return whether it was taken from another holder."""
        member, stands = beat.member, beat.wants == "stand"
        if self.lease is not None and (self.lease.until <= now or self.epoch < beat.epoch):
            self.lease = None
        self.epoch = max(self.epoch, beat.epoch)
        lease = self.lease
        if lease is not None and lease.holder == member.id:
            self.lease = Lease(member.id, until, member.priority, is_listening(member.id)) if stands else None
            return False
        if not stands or (lease is not None and not _gives_way(lease, member, is_listening)):
            return False
        self.epoch = max(self.epoch + 1, now // 1000)
        self.lease = Lease(member.id, until, member.priority, is_listening(member.id))
        return lease is not None

    def reserve(self, want: Want, member: str, now: int, seconds: float) -> Grants:
        """Grant tokens, unless an epoch is named that is no longer in force."""
        leads = want.epoch is not None
        if want.epoch is not None and not self.is_in_force(want.epoch, now, member):
            return Grants(now=seconds, epoch_ok=False)
        return self.bucket.reserve(want, now, seconds, leads=leads)

    def is_in_force(self, epoch: int, now: int, member: str) -> bool:
        """Return whether a member leads, in that epoch."""
        lease = self.lease
        return lease is not None and lease.until > now and self.epoch == epoch and lease.holder == member

    def post(self, box: str, body: bytes, now: int) -> None:
        """Put a message into a box."""
        found = self.boxes.setdefault(box, Box())
        if found.expires_at <= now:
            found.messages.clear()
        found.expires_at = now + micros(MAIL_LIFETIME)
        found.messages.append((next(self._numbers), body))

    def read(self, box: str, after: str | None, most: int, now: int) -> list[tuple[str, bytes]]:
        """Return the messages after one; an id that is later than all of them is of lost data, and starts anew."""
        found = self.boxes.get(box)
        if found is None or not found.messages or found.expires_at <= now:
            return []
        number = 0 if after is None else int(after)
        if number > found.messages[-1][0]:
            number = 0
        later = (message for message in found.messages if message[0] > number)
        return [(str(number), body) for number, body in itertools.islice(later, most)]

    def wake(self) -> None:
        """Let every reader check its box."""
        self.waiting = [check for check in self.waiting if not check()]

    def save(self, name: str, body: bytes, epoch: int, now: int, member: str) -> bool:
        """Save a text, if the member leads in that epoch."""
        if not self.is_in_force(epoch, now, member):
            return False
        self.saved[name] = body
        return True


def _gives_way(lease: Lease, member: Member, is_listening: Callable[[str], bool]) -> bool:
    """Return whether the holder of a lease is proved dead, or has a lower priority than a standing member."""
    return lease.priority < member.priority or (lease.heard and not is_listening(lease.holder))
