"""Digests: whether two processes hold the same set of watched jobs, in sixteen bytes.

A *registration* is one poller of one member, sent to the leader; it is named by the job and a number of the member's. A
digest is the number of registrations and the XOR of their 64-bit hashes, so that adding and removing cost the same.

A member *claims* its registrations by mail. While mail is under way, both sides differ without anything being wrong. So
the leader says up to which message it has read, and :class:`Claims` knows what the messages after that one will change.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Final

import attrs

from ...models.job import JobRef, canonical_id

DISAGREEMENTS: Final = 2
"""Digests in a row that must disagree before a member claims everything anew: one may be a matter of timing."""
MOST_UNREAD: Final = 4_096
"""Messages that a leader has not acknowledged, beyond which a member no longer knows what they change."""


def fingerprint(job: JobRef, registration: int) -> int:
    """Return the 64-bit hash of one registration, the same in every process."""
    text = f"{job.kind.value}\0{canonical_id(job)}\0{registration}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


@attrs.frozen
class Summary:
    """A digest at one moment."""

    count: int
    xor: int


@attrs.define
class Digest:
    """The digest of a changing set. Each registration is added once and removed once."""

    count: int = 0
    xor: int = 0

    def add(self, mark: int) -> None:
        """Add the fingerprint of a registration."""
        self.count += 1
        self.xor ^= mark

    def remove(self, mark: int) -> None:
        """Remove the fingerprint of a registration that was added."""
        self.count -= 1
        self.xor ^= mark

    def summary(self) -> Summary:
        """Return the digest as it is now."""
        return Summary(self.count, self.xor)


@attrs.define
class Claims:
    """What a member has claimed, and whether the leader's digest agrees with it."""

    _held: Digest = attrs.field(factory=Digest)
    """What the leader will hold once it has read all messages, unless a job ends before."""
    _change: Digest = attrs.field(factory=Digest)
    """What the message that is being written changes."""
    _unread: deque[tuple[int, Summary]] = attrs.field(factory=deque)
    """What each message that the leader has not acknowledged changes, by the number of the message."""
    _disagreed: int = 0

    def claim(self, mark: int) -> None:
        """Note that the message being written claims a registration."""
        self._held.add(mark)
        self._change.add(mark)

    def give_up(self, mark: int) -> None:
        """Note that the message being written gives up a registration that the leader still holds."""
        self._held.remove(mark)
        self._change.remove(mark)

    def heard_end(self, mark: int) -> None:
        """Note that the leader has ended a registration: it holds it no more."""
        self._held.remove(mark)

    def seal(self, number: int) -> None:
        """Note that the message being written is complete and has this number, greater than any before."""
        if self._change.count or self._change.xor:
            self._unread.append((number, self._change.summary()))
            self._change = Digest()
        if len(self._unread) > MOST_UNREAD:
            self._unread.popleft()

    def forget(self) -> None:
        """Begin anew: nothing is claimed."""
        self._held, self._change, self._disagreed = Digest(), Digest(), 0
        self._unread.clear()

    def agrees(self, read: int, held: Summary) -> bool:
        """Return whether the leader, having read up to message ``read``, holds what was claimed.

        One disagreement is no proof: a job may have ended while mail about it was under way. The answer is false from
        the second one in a row on.
        """
        while self._unread and self._unread[0][0] <= read:
            self._unread.popleft()
        count, xor = self._held.count - self._change.count, self._held.xor ^ self._change.xor
        for _, change in self._unread:
            count, xor = count - change.count, xor ^ change.xor
        self._disagreed = 0 if held == Summary(count, xor) else self._disagreed + 1
        return self._disagreed < DISAGREEMENTS
