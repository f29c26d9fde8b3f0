"""The leader's desk: it holds the registrations of the other members, and reports to each of them on its jobs.

Statuses are sent as they come: a change of the status word at once, anything else at most once a second a job. The
newest replaces one that was not sent yet. An end is sent again until the member has sent its receipt, because mail may
be lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

import attrs

from ...core.sharing.digest import Digest, fingerprint
from ...core.sharing.mail import (
    Anew,
    Answered,
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
from ...core.wire.lazy import LazyStatus
from ...errors import ClientClosedError, ConfigurationError
from ...models.job import JobKind, JobRef
from ..polling.poller import Ending, Poller
from ..timing.clock import Clock
from .mail_values import write_body, write_end
from .remote import Remote
from .shared_registry import SharedRegistry

REPORT_INTERVAL: Final = 1.0
"""Least seconds between two statuses of one job that a member gets, unless the status word has changed."""
DROPS_AT_ONCE: Final = 500
"""Registrations that are dropped in one turn of the loop."""
_REMEMBERED: Final = 256
"""Numbers of messages that are remembered, to recognise one that comes twice."""


class DeskActions(Protocol):
    """What the desk asks of the client."""

    def service_now(self, kind: JobKind) -> float:
        """Return the present time of a service's clock, in Unix seconds."""

    def notify(self, job: JobRef, word: str | None) -> None:
        """Poll a job as soon as possible."""

    def deleted(self, job: JobRef | None) -> None:
        """Note that the record of an image job, or all records, were deleted."""

    def replan(self) -> None:
        """Consider again what is to be polled next: jobs have come, or gone."""

    def has_key(self, kind: JobKind) -> bool:
        """Return whether jobs of that kind can be polled here."""

    def lacks_key(self, kind: JobKind) -> None:
        """Let another member lead, because jobs of that kind cannot be polled here."""


@attrs.define(eq=False)
class Subscriber:
    """One member, as the leader sees it."""

    id: str
    _desk: Desk
    remotes: dict[JobRef, Remote] = attrs.field(factory=dict, init=False)
    digest: Digest = attrs.field(factory=Digest, init=False)
    unconfirmed: dict[tuple[JobRef, int], Item] = attrs.field(factory=dict, init=False)
    """Ends for which no receipt has come."""
    to_send: dict[Remote, None] = attrs.field(factory=dict, init=False)
    """Registrations with a status to send now."""
    later: dict[Remote, None] = attrs.field(factory=dict, init=False)
    """Registrations with a status to send with the next beat."""
    ends: deque[Item] = attrs.field(factory=deque, init=False)
    """Ends to send now."""
    summary: Held | None = attrs.field(default=None, init=False)
    """What the leader holds, to send now."""
    read: int = attrs.field(default=0, init=False)
    """The highest number of the member's messages."""
    stale: set[tuple[JobRef, int]] | None = attrs.field(default=None, init=False)
    """While the member registers everything anew: what it has not registered again yet."""
    _seen: deque[int] = attrs.field(factory=lambda: deque(maxlen=_REMEMBERED), init=False)

    def is_new(self, number: int) -> bool:
        """Note the number of a message; return False for a message that came before."""
        if number in self._seen:
            return False
        self._seen.append(number)
        self.read = max(self.read, number)
        return True

    def ended(self, remote: Remote, ending: Ending) -> None:
        """See :class:`.remote.Subscription`."""
        if self.remotes.get(remote.job) is not remote:
            return
        self.forget(remote)
        self._desk.ended(self, remote, ending)

    def forget(self, remote: Remote) -> None:
        """Hold a registration no more."""
        del self.remotes[remote.job]
        self.digest.remove(fingerprint(remote.job, remote.registration))
        self.to_send.pop(remote, None)
        self.later.pop(remote, None)


@attrs.define(eq=False)
class Desk:
    """All registrations of other members at the leader; empty at all other members."""

    _clock: Clock
    _registry: SharedRegistry
    _actions: DeskActions
    _links: bool
    _wake: Callable[[], object]
    """Called when there is something to send."""
    subscribers: dict[str, Subscriber] = attrs.field(factory=dict, init=False)
    _dropped: deque[Remote] = attrs.field(factory=deque, init=False)
    """Registrations that are void and whose pollers go on until the next turns of the loop."""
    _written: list[Remote] = attrs.field(factory=list, init=False)
    """Registrations with a status that is being sent."""

    def __len__(self) -> int:
        """Return the number of registrations."""
        return sum(len(subscriber.remotes) for subscriber in self.subscribers.values())

    # -- mail of members ----------------------------------------------------------------------------------------------

    def read(self, mail: Mail) -> None:
        """Act on one message of a member."""
        subscriber = self._subscriber(mail.sender)
        if not subscriber.is_new(mail.number):
            return
        now = self._clock.now()  # one object for all jobs of the message
        for item in mail.items:
            match item:
                case Registered():
                    self._register(subscriber, item, now)
                case Left():
                    self._leave(subscriber, item)
                case Noticed():
                    self._actions.notify(item.job, item.word)
                case Deleted():
                    self._actions.deleted(item.job)
                case Anew():
                    subscriber.stale = {(job, remote.registration) for job, remote in subscriber.remotes.items()}
                    subscriber.stale.update(subscriber.unconfirmed)
                case Complete():
                    self._drop_stale(subscriber)
                case _:
                    pass  # an item for a member that follows
        self._actions.replan()

    def _subscriber(self, member: str) -> Subscriber:
        subscriber = self.subscribers.get(member)
        if subscriber is None:
            subscriber = self.subscribers[member] = Subscriber(member, self)
        return subscriber

    def _register(self, subscriber: Subscriber, item: Registered, now: float) -> None:
        job = item.job
        key = job, item.registration
        if subscriber.stale is not None:
            subscriber.stale.discard(key)
        if (end := subscriber.unconfirmed.get(key)) is not None:
            subscriber.ends.append(end)
            self._wake()
            return
        deadline = None if item.left is None else now + item.left
        known = subscriber.remotes.get(job)
        if known is not None:
            if known.registration == item.registration:
                self._registry.expect_by(known, deadline)
            if known.registration >= item.registration:
                return
            self._drop(subscriber, known)
        if not self._actions.has_key(job.kind):
            self._actions.lacks_key(job.kind)
            return
        known_poller = self._registry.find(job)
        if known_poller is not None and known_poller.job == job:
            job = known_poller.job  # one object for all members
        remote = subscriber.remotes[job] = Remote(job, item.registration, subscriber, deadline)
        subscriber.digest.add(fingerprint(*key))
        poller = self._registry.join_remote(
            remote, now=now, age=item.age, remaining=item.remaining, unseen=min(item.unseen, item.age)
        )
        if poller.last is not None:
            subscriber.to_send[remote] = None
            self._wake()

    def _leave(self, subscriber: Subscriber, item: Left) -> None:
        subscriber.unconfirmed.pop((item.job, item.registration), None)
        remote = subscriber.remotes.get(item.job)
        if remote is not None and remote.registration == item.registration:
            self._drop(subscriber, remote)

    def _drop(self, subscriber: Subscriber, remote: Remote) -> None:
        """Hold a registration no more, and let its poller go if nobody else waits for the job."""
        subscriber.forget(remote)
        poller = self._registry.find(remote.job)
        if poller is not None and remote in poller.handles:
            self._registry.leave(poller, remote, remote.deadline)

    def _drop_stale(self, subscriber: Subscriber) -> None:
        """Drop what the member has not registered again."""
        stale, subscriber.stale = subscriber.stale or set(), None
        for job, registration in stale:
            self._leave(subscriber, Left(job, registration))

    # -- members come and go ------------------------------------------------------------------------------------------

    def keep(self, members: Collection[str]) -> None:
        """Note who is alive: each gets a digest, and the registrations of all others are dropped."""
        for member in members:
            self._subscriber(member)
        for member in [member for member in self.subscribers if member not in members]:
            self._dismiss(self.subscribers.pop(member))

    def close(self) -> None:
        """Drop all registrations: this member leads no more. No end is reported."""
        for subscriber in self.subscribers.values():
            self._dismiss(subscriber)
        self.subscribers.clear()

    def _dismiss(self, subscriber: Subscriber) -> None:
        begins = not self._dropped
        self._dropped.extend(subscriber.remotes.values())
        subscriber.remotes.clear()
        if begins and self._dropped:
            self._drop_some()

    def _drop_some(self) -> None:
        """Let the pollers of some dropped registrations go, and of the others in the next turn of the loop."""
        for _ in range(min(DROPS_AT_ONCE, len(self._dropped))):
            remote = self._dropped.popleft()
            poller = self._registry.find(remote.job)
            if poller is not None and remote in poller.handles:
                self._registry.leave(poller, remote, remote.deadline)
        if self._dropped:
            self._clock.loop.call_soon(self._drop_some)

    # -- what members hear -------------------------------------------------------------------------------------------

    def answered(self, poller: Poller) -> None:
        """Report a usable answer to the members that wait for the job."""
        last = poller.last
        if last is None or not self.subscribers:
            return
        now = self._clock.now()
        for remote in poller.handles:
            if not isinstance(remote, Remote) or not isinstance(subscriber := remote.subscription, Subscriber):
                continue
            if remote.word != last.word or now - remote.reported_at >= REPORT_INTERVAL:
                subscriber.to_send[remote] = None
                self._wake()
            else:
                subscriber.later[remote] = None

    def ended(self, subscriber: Subscriber, remote: Remote, ending: Ending) -> None:
        """Report to a member how its watches of a job have ended, if the ending is about the job."""
        item = self._end_item(remote, ending)
        if item is not None:
            subscriber.unconfirmed[remote.job, remote.registration] = item
            subscriber.ends.append(item)
            self._wake()
        elif isinstance(ending.error, ConfigurationError):
            self._actions.lacks_key(remote.job.kind)
        elif not isinstance(ending.error, ClientClosedError):
            self._clock.loop.call_soon(self._poll_on, subscriber, remote, self._clock.now())

    def _poll_on(self, subscriber: Subscriber, remote: Remote, ended_at: float) -> None:
        """Register a job again whose poller ended for a reason of this process, such as a store that failed."""
        if self.subscribers.get(subscriber.id) is subscriber and remote.job not in subscriber.remotes:
            left = None if remote.deadline is None else remote.deadline - ended_at
            again = Registered(remote.job, remote.registration, 0.0, None, 0.0, left)
            self._register(subscriber, again, self._clock.now())

    def _end_item(self, remote: Remote, ending: Ending) -> Item | None:
        """Return what to report of an ending; ``None`` if it is a matter of this process alone."""
        job, status = remote.job, ending.status
        is_terminal = status is not None and status.is_terminal
        error = None if is_terminal else write_end(ending.error)
        if error is None and not is_terminal:
            return None
        body = None if status is None else write_body(job, LazyStatus.of(status), links=self._links)
        return Ended(job, remote.registration, body, self._actions.service_now(job.kind), error)

    def repeat_ends(self) -> None:
        """Report every end again for which no receipt has come."""
        for subscriber in self.subscribers.values():
            waiting = set(map(id, subscriber.ends))
            subscriber.ends.extend(item for item in subscriber.unconfirmed.values() if id(item) not in waiting)

    def summarize(self, down: dict[JobKind, float]) -> None:
        """Report to every member what is held for it, and which services are down for how many seconds."""
        for subscriber in self.subscribers.values():
            subscriber.to_send.update(subscriber.later)
            subscriber.later.clear()
            subscriber.summary = Held(subscriber.read, subscriber.digest.summary(), down)
        if self.subscribers:
            self._wake()

    def write(self) -> Iterable[tuple[str, list[Item]]]:
        """Yield what there is to report to each member; it counts as reported."""
        for subscriber in self.subscribers.values():
            items: list[Item] = list(subscriber.ends)
            subscriber.ends.clear()
            items += filter(None, map(self._status_item, subscriber.to_send))
            subscriber.to_send.clear()
            if subscriber.summary is not None:
                items.append(subscriber.summary)
                subscriber.summary = None
            if items:
                yield subscriber.id, items

    def was_sent(self) -> None:
        """Note that what was written last is on its way."""
        self._written.clear()

    def was_lost(self) -> None:
        """Note that what was written last may be lost: statuses go again with the next beat; ends do anyway."""
        for remote in self._written:
            subscriber = self.subscribers.get(remote.subscription.id)
            if subscriber is not None and subscriber.remotes.get(remote.job) is remote:
                subscriber.later[remote] = None
        self._written.clear()

    def _status_item(self, remote: Remote) -> Item | None:
        poller, now = self._registry.find(remote.job), self._clock.now()
        if poller is None or (last := poller.last) is None:
            return None
        remote.word, remote.reported_at = last.word, now
        self._written.append(remote)
        body = write_body(remote.job, last, links=self._links)
        ago = 0.0 if poller.polled_at is None else max(0.0, now - poller.polled_at)
        return Answered(remote.job, remote.registration, body, self._actions.service_now(remote.job.kind), ago)
