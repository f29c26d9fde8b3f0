"""What this process watches, as the leader hears it, and what the leader reports of it.

Each poller of this process has a registration, a number that is never used twice. The leader's answer to it is heard
only while the poller is at work. A message about any other registration is answered with a receipt, so that the leader
stops sending it.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import attrs

from ...core.sharing.digest import Claims, fingerprint
from ...core.sharing.mail import (
    Anew,
    Answered,
    BadMailError,
    Complete,
    Deleted,
    Ended,
    Held,
    Item,
    Left,
    Mail,
    Noticed,
    Registered,
)
from ...errors import DecodeError
from ...models.job import JobKind, JobRef, canonical_id
from ..polling.poller import Poller
from ..timing.clock import Clock

MOST_NOTICES: Final = 1_000
"""Notices that wait to be forwarded."""
ITEMS_AT_ONCE: Final = 500
"""Items that are written in one turn of the loop."""
MOST_AHEAD: Final = 100
"""Messages of a round that are sent before the leader has read the first: a box holds a bounded number."""
UNCONFIRMED: Final = 3
"""Digests in a row that know of no further message though one was sent, after which that one counts as lost."""


class Hearing(Protocol):
    """What acts on statuses and ends that came by mail."""

    def heard(self, poller: Poller, body: bytes, service_now: float, sent_at: float) -> None:
        """Act on a status. Raises DecodeError."""

    def heard_end(self, poller: Poller, body: bytes | None, service_now: float, text: str) -> None:
        """Act on an end. Raises DecodeError and BadMailError."""


@attrs.define(eq=False)
class OwnJob:
    """One poller of this process, as it is registered."""

    poller: Poller
    registration: int
    born_at: float
    """When the job was submitted, by the loop's clock."""
    ends_at: float | None
    """When it should end, as its submission predicted."""
    unseen_since: float
    """Since when nothing is known of it, as long as no poll has shown it."""
    round: int = 0
    """The round of registrations in which it was claimed last."""


@attrs.frozen
class _Outgoing:
    """An item to be sent, and what it changes of the claims."""

    item: Item
    claims: int = 0
    """1 for a new claim, -1 for one that is given up, 0 for no change."""
    mark: int = 0


@attrs.define(eq=False)
class OwnJobs:
    """All jobs that this process watches, and the mail about them."""

    _clock: Clock
    _hearing: Hearing
    _wake: Callable[[], object]
    """Called when there is something to send."""
    bad_mail: int = attrs.field(default=0, init=False)
    resyncs: int = attrs.field(default=0, init=False)
    down: Mapping[JobKind, float] = attrs.field(factory=dict, init=False)
    """For how many seconds services have been down, as the leader reported last."""
    heard_at: float = attrs.field(default=-math.inf, init=False)
    """When the leader's last message came."""
    is_following: bool = attrs.field(default=False, init=False)
    _jobs: dict[tuple[JobKind, str], OwnJob] = attrs.field(factory=dict, init=False)
    _claims: Claims = attrs.field(factory=Claims, init=False)
    _outgoing: deque[_Outgoing] = attrs.field(factory=deque, init=False)
    """What is to be sent."""
    _anew: Iterator[OwnJob] | None = attrs.field(default=None, init=False)
    """What is still to be registered in this round."""
    _round: int = attrs.field(default=0, init=False)
    _complete_at: float = attrs.field(default=math.inf, init=False)
    """The number of the message that completes the round."""
    _sent: int = attrs.field(default=0, init=False)
    """The number of the latest message."""
    _read: int = attrs.field(default=0, init=False)
    """The number of the latest message that the leader is known to have read."""
    _sent_before: int = attrs.field(default=0, init=False)
    """The same at the leader's digest before."""
    _unconfirmed: int = attrs.field(default=0, init=False)
    """How many digests in a row show that the leader has not read what was sent before the digest before."""
    _heard: int = attrs.field(default=0, init=False)
    """The highest number of the leader's messages."""
    _hearing_of: OwnJob | None = attrs.field(default=None, init=False)
    _registrations: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    # -- what this process watches ------------------------------------------------------------------------------------

    def began(self, poller: Poller, now: float, age: float, remaining: float | None, unseen: float) -> None:
        """See :class:`.shared_registry.Watchlist`."""
        ends_at = None if remaining is None else now + remaining
        own = OwnJob(poller, next(self._registrations), now - age, ends_at, now - unseen)
        self._jobs[_key(poller.job)] = own
        if self.is_following:
            self._register(own)

    def expects(self, poller: Poller) -> None:
        """See :class:`.shared_registry.Watchlist`."""
        own = self._jobs.get(_key(poller.job))
        if own is not None and own.poller is poller and self.is_following and own.round == self._round:
            self._send(_Outgoing(self._registered(own)))

    def over(self, poller: Poller) -> None:
        """See :class:`.shared_registry.Watchlist`."""
        own = self._jobs.get(_key(poller.job))
        if own is None or own.poller is not poller:
            return
        del self._jobs[_key(poller.job)]
        if self.is_following and own.round == self._round:
            mark, receipt = fingerprint(poller.job, own.registration), Left(poller.job, own.registration)
            if own is self._hearing_of:
                self._claims.heard_end(mark)
                self._send(_Outgoing(receipt))
            else:
                self._send(_Outgoing(receipt, -1, mark))

    def notify(self, job: JobRef, word: str | None) -> None:
        """Forward a notice to the leader."""
        if self.is_following and len(self._outgoing) < MOST_NOTICES:
            self._send(_Outgoing(Noticed(job, word)))

    def deleted(self, job: JobRef | None) -> None:
        """Report to the leader that the record of an image job was deleted here, or all records."""
        if self.is_following:
            self._send(_Outgoing(Deleted(job)))

    # -- the leader changes -------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Register everything with a leader that knows nothing yet."""
        self.is_following = True
        self.down = {}
        self._heard = 0
        self.heard_at = self._clock.now()
        self._begin_round()

    def stop(self) -> None:
        """Report nothing to anybody, because this member leads, or goes alone."""
        self.is_following = False
        self.down = {}
        self._outgoing.clear()
        self._anew = None

    def resync(self) -> None:
        """Register everything anew, because leader and member disagree, or mail was lost."""
        self.resyncs += 1
        self._begin_round()

    def _begin_round(self) -> None:
        self._round += 1
        self._outgoing.clear()
        self._claims.forget()
        self._anew = iter(list(self._jobs.values()))
        self._complete_at, self._unconfirmed, self._sent_before = math.inf, 0, 0
        self._read = self._sent
        self._send(_Outgoing(Anew()))

    def _register(self, own: OwnJob) -> None:
        own.round = self._round
        self._send(_Outgoing(self._registered(own), 1, fingerprint(own.poller.job, own.registration)))

    def _send(self, outgoing: _Outgoing) -> None:
        self._outgoing.append(outgoing)
        self._wake()

    def _registered(self, own: OwnJob) -> Registered:
        now, poller = self._clock.now(), own.poller
        remaining = None if own.ends_at is None or own.ends_at <= now else own.ends_at - now
        seen_at = own.unseen_since if poller.polled_at is None else poller.polled_at
        age = max(0.0, now - own.born_at)
        left = None if poller.deadline == math.inf else poller.deadline - now
        return Registered(poller.job, own.registration, age, remaining, min(max(0.0, now - seen_at), age), left)

    # -- mail to the leader -------------------------------------------------------------------------------------------

    def write(self, number: int) -> list[Item]:
        """Return what is to be sent in the message with this number."""
        self._go_on_registering(number)
        items: list[Item] = []
        while self._outgoing and len(items) < ITEMS_AT_ONCE:
            outgoing = self._outgoing.popleft()
            items.append(outgoing.item)
            if outgoing.claims > 0:
                self._claims.claim(outgoing.mark)
            elif outgoing.claims < 0:
                self._claims.give_up(outgoing.mark)
            elif isinstance(outgoing.item, Complete):
                self._complete_at = number
        if items:
            self._claims.seal(number)
            self._sent = number
        return items

    def _go_on_registering(self, number: int) -> None:
        """Write the next registrations of a round, unless the leader is far behind."""
        if number > self._read + MOST_AHEAD:
            return
        while self._anew is not None and len(self._outgoing) < ITEMS_AT_ONCE:
            own = next(self._anew, None)
            if own is None:
                self._anew = None
                self._send(_Outgoing(Complete()))
            elif own.round != self._round and self._jobs.get(_key(own.poller.job)) is own:
                self._register(own)

    @property
    def has_more(self) -> bool:
        """True while there is something to send."""
        return bool(self._outgoing) or self._anew is not None

    # -- mail of the leader -------------------------------------------------------------------------------------------

    def read(self, mail: Mail) -> None:
        """Act on one message of the leader in force."""
        is_late = mail.number <= self._heard
        self._heard = max(self._heard, mail.number)
        self.heard_at = self._clock.now()
        for item in mail.items:
            try:
                match item:
                    case Answered() | Ended():
                        self._hear(item, is_late=is_late)
                    case Held() if not is_late:
                        self._compare(item)
                    case _:
                        pass  # an item for the leader
            except (DecodeError, BadMailError):
                self.bad_mail += 1

    def _hear(self, item: Answered | Ended, *, is_late: bool) -> None:
        own = self._jobs.get(_key(item.job))
        if own is None or own.registration != item.registration:
            self._send(_Outgoing(Left(item.job, item.registration)))
            return
        self._hearing_of = own
        try:
            self._act(own.poller, item, is_late=is_late)
        finally:
            self._hearing_of = None

    def _act(self, poller: Poller, item: Answered | Ended, *, is_late: bool) -> None:
        """Act on what the leader reports of a job; a status that was overtaken by a later message means nothing."""
        now = self._clock.now()
        if isinstance(item, Answered):
            if not is_late:
                self._hearing.heard(poller, item.body, item.service_now, now - item.ago)
        elif item.error is not None:
            self._hearing.heard_end(poller, item.body, item.service_now, item.error)
        elif item.body is not None:
            self._hearing.heard(poller, item.body, item.service_now, now)

    def _compare(self, item: Held) -> None:
        """Compare what the leader holds with what was claimed, once it has read a whole round."""
        self.down = item.down
        is_stuck = item.read < self._sent_before and item.read <= self._read
        self._unconfirmed = self._unconfirmed + 1 if is_stuck else 0
        self._sent_before = self._sent
        if item.read > self._read:
            self._read = item.read
            self._wake()
        agrees = item.read < self._complete_at or self._claims.agrees(item.read, item.held)
        if self._unconfirmed >= UNCONFIRMED or not agrees:
            self.resync()


def _key(job: JobRef) -> tuple[JobKind, str]:
    return job.kind, canonical_id(job)
