"""The registry of a client with a coordinator: it also has the pollers of jobs that only other members watch."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

import attrs

from ...models.job import JobKind, JobRef, canonical_id
from ..polling.poller import Handle, Poller
from ..polling.registry import PollerRegistry
from .remote import Remote, RemotePoller, has_own

if TYPE_CHECKING:
    from ..durable.stored_row import StoredRow


class Watchlist(Protocol):
    """What hears which jobs this process watches."""

    def began(self, poller: Poller, now: float, age: float, remaining: float | None, unseen: float) -> None:
        """Note a job that this process watches and wants polled."""

    def over(self, poller: Poller) -> None:
        """Note that this process no longer watches a job."""

    def expects(self, poller: Poller) -> None:
        """Note that the time at which a job's first watch times out may have changed."""


@attrs.define(eq=False)
class SharedRegistry(PollerRegistry):
    """All pollers of one client: those of its own handles, and those of other members' registrations."""

    watchlist: Watchlist | None = attrs.field(default=None, init=False)
    _own: dict[Poller, None] = attrs.field(factory=dict, init=False)
    """The pollers with handles of this process, in the order in which they began."""

    def is_awaited_here(self, poller: Poller) -> bool:
        """See :meth:`PollerRegistry.is_awaited_here`."""
        return has_own(poller)

    def watched_here(self) -> Collection[Poller]:
        """See :meth:`PollerRegistry.watched_here`."""
        return self._own.keys()

    def join(
        self,
        job: JobRef,
        handle: Handle,
        *,
        now: float,
        age: float = 0.0,
        remaining: float | None = None,
        deadline: float | None = None,
        since: float = 0.0,
        stored_row: StoredRow | None = None,
    ) -> Poller:
        """See :meth:`PollerRegistry.join`."""
        known = self.find(job)
        is_foreign = known is not None and known.ending is None and known not in self._own
        needs_row = is_foreign and stored_row is not None and type(known) in {Poller, RemotePoller}
        remotes = self._take_apart(known) if known is not None and needs_row else ()
        poller = super().join(
            job, handle, now=now, age=age, remaining=remaining, deadline=deadline, since=since, stored_row=stored_row
        )
        for remote in remotes:
            self._add_remote(poller, remote, now)
        self._own[poller] = None
        if self.watchlist is not None and poller is known:
            if is_foreign:
                self.watchlist.began(poller, now, age, remaining, 0.0)
            else:
                self.watchlist.expects(poller)
        return poller

    def join_remote(self, remote: Remote, *, now: float, age: float, remaining: float | None, unseen: float) -> Poller:
        """Give another member's registration the poller of its job; a poller for others alone has no coroutine."""
        poller = self.find(remote.job)
        if poller is None or poller.ending is not None:
            poller = RemotePoller(remote.job, now - age)
            self._pollers[remote.job.kind][canonical_id(remote.job)] = poller
            self._note_kinds(remote.job.kind)
            if remote.deadline is not None:
                poller.expect_by(remote.deadline)
            poller.add(remote)
            super()._plan(poller, now, age, remaining, unseen=unseen)
        else:
            self._add_remote(poller, remote, now)
        return poller

    def expect_by(self, remote: Remote, deadline: float | None) -> None:
        """Note when the first of a member's own handles times out."""
        poller = self.find(remote.job)
        if poller is None or remote.deadline == deadline:
            return
        if remote.deadline is not None:
            poller.expect_no_more(remote.deadline)
        if deadline is not None:
            poller.expect_by(deadline)
        remote.deadline = deadline
        self._schedule.expect_by(poller.job, poller.deadline, self._clock.now())

    def leave(self, poller: Poller, handle: Handle, deadline: float | None) -> None:
        """See :meth:`PollerRegistry.leave`."""
        super().leave(poller, handle, deadline)
        if poller not in self._own:
            return
        if not has_own(poller):
            self._disown(poller)
        elif self.watchlist is not None:
            self.watchlist.expects(poller)

    def _add_remote(self, poller: Poller, remote: Remote, now: float) -> None:
        if remote.deadline is not None:
            poller.expect_by(remote.deadline)
            self._schedule.expect_by(poller.job, poller.deadline, now)
        poller.add(remote)

    def _take_apart(self, poller: Poller) -> tuple[Remote, ...]:
        """End a poller that only others wait for, and return their handles: the next one has a stored row."""
        self._forget(poller)
        remotes = tuple(handle for handle in poller.handles if isinstance(handle, Remote))
        for remote in remotes:
            poller.remove(remote)
        poller.end(poller.ended(None, self._clock))
        return remotes

    def _plan(self, poller: Poller, now: float, age: float, remaining: float | None, *, unseen: float) -> None:
        super()._plan(poller, now, age, remaining, unseen=unseen)
        if self.watchlist is not None and (poller in self._own or not poller.handles):
            self.watchlist.began(poller, now, age, remaining, unseen)

    def _forget(self, poller: Poller) -> None:
        super()._forget(poller)
        self._disown(poller)

    def _disown(self, poller: Poller) -> None:
        if self._own.pop(poller, self) is None and self.watchlist is not None:
            self.watchlist.over(poller)

    def count_here(self, kind: JobKind) -> int:
        """See :meth:`PollerRegistry.count_here`."""
        return sum(poller.job.kind is kind for poller in self._own)
