"""A poller: the coroutine of one job, which awaits the terminal state and settles every handle with it.

Each poll's result reaches it in one synchronous step (:meth:`Poller.take` or :meth:`Poller.fail`). The step decides
everything and wakes the readers. The coroutine awaits the ending and gives it to every handle.
"""

from __future__ import annotations

import asyncio
import copy
import math
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs

from ...core.health.ending import FailureRecord
from ...core.health.wave import Wave
from ...core.policy import PollPolicy
from ...core.webhook_claim import WebhookClaim
from ...core.wire.lazy import LazyStatus
from ...errors import TopazStatusError, WatchError
from ...models import JobStatus
from ...models.job import JobRef
from ..timing.clock import Clock

E = TypeVar("E", bound=TopazStatusError)


@attrs.define(eq=False)
class Ending:
    """How a watch ended: with a status, with an error, or with both (a job that failed)."""

    _last: LazyStatus | None
    error: TopazStatusError | None
    """The error as it was made; callers get a :meth:`fresh` copy."""
    at: float
    """Seconds of the loop's clock."""
    detected_at: float
    """Unix seconds."""

    @property
    def status(self) -> JobStatus | None:
        """The status that the last usable poll observed."""
        return None if self._last is None else self._last.get()

    def fresh(self, error: E) -> E:
        """Return a new copy of an error, with the last status: an error that is raised collects frames."""
        same = copy.copy(error)
        if isinstance(same, WatchError):
            same.last_status = self.status
        return same


class Handle(Protocol):
    """What a poller notifies of changes."""

    def changed(self) -> None:
        """Note that there is a new status."""

    def settle(self, ending: Ending) -> None:
        """Note the ending; no change follows."""


@attrs.define(eq=False, weakref_slot=False)
class Poller:
    """One stream of polls of one job, for any number of handles."""

    job: JobRef
    started_at: float
    """Seconds of the loop's clock."""
    over: asyncio.Future[Ending]
    task: asyncio.Task[None] | None = None
    last: LazyStatus | None = None
    """The status that the last usable poll observed."""
    polls: int = 0
    """Polls that were answered, usably or not."""
    polled_at: float | None = None
    """When the last usable poll was sent, by the loop's clock."""
    claim: WebhookClaim | None = None
    """What the latest notice of the job claimed, until a poll has answered."""
    _case: FailureRecord | None = None
    """The record of failures; ``None`` while nothing is wrong."""
    _on_poll: tuple[Callable[[], None], ...] = ()
    """Callbacks for the next answered poll; each is called once."""
    _deadlines: float | list[float] = math.inf
    """When the handles time out: usually one time, else a sorted list."""
    _handles: Handle | dict[Handle, None] | None = None
    """Usually one handle, else a dictionary: a dictionary of one would be a tenth of a watch's memory."""

    @property
    def ending(self) -> Ending | None:
        """How the job's watches ended; ``None`` while the poller is at work."""
        return self.over.result() if self.over.done() and not self.over.cancelled() else None

    @property
    def is_at_work(self) -> bool:
        """True until the ending is known."""
        return not self.over.done()

    async def run(self, torn_down: Callable[[Poller], None]) -> None:
        """Await the ending and give it to every handle; call ``torn_down`` if this is canceled from outside."""
        try:
            await self.over
        except asyncio.CancelledError:
            torn_down(self)
            raise
        self.settle()

    def settle(self) -> None:
        """Give every handle the ending."""
        if (ending := self.ending) is not None:
            for handle in self.handles:
                handle.settle(ending)

    @property
    def case(self) -> FailureRecord:
        """The record of the job's failures, made when it is first needed."""
        if self._case is None:
            self._case = FailureRecord(self.started_at)
        return self._case

    @property
    def outage(self) -> float:
        """Seconds for which polls of the job have brought no usable answer."""
        return 0.0 if self._case is None else self._case.outage

    @property
    def trouble(self) -> TopazStatusError | None:
        """The error of the latest poll; ``None`` while nothing is wrong."""
        return None if self._case is None else self._case.error

    @property
    def handles(self) -> tuple[Handle, ...]:
        """The handles that are notified of the job."""
        if isinstance(self._handles, dict):
            return tuple(self._handles)
        return () if self._handles is None else (self._handles,)

    def add(self, handle: Handle) -> None:
        """Add a handle, to be notified of the job."""
        if self._handles is None:
            self._handles = handle
        elif isinstance(self._handles, dict):
            self._handles[handle] = None
        else:
            self._handles = {self._handles: None, handle: None}

    def remove(self, handle: Handle) -> None:
        """Remove a handle, which is notified no more."""
        if isinstance(self._handles, dict):
            self._handles.pop(handle, None)
        elif self._handles is handle:
            self._handles = None

    @property
    def deadline(self) -> float:
        """When the first of the handles times out; infinite for never."""
        return self._deadlines[0] if isinstance(self._deadlines, list) else self._deadlines

    def expect_by(self, deadline: float) -> None:
        """Note that a handle times out at ``deadline``."""
        if isinstance(self._deadlines, list):
            insort(self._deadlines, deadline)
        elif self._deadlines == math.inf:
            self._deadlines = deadline
        else:
            self._deadlines = sorted((self._deadlines, deadline))

    def expect_no_more(self, deadline: float) -> None:
        """Note that the handle that times out at ``deadline`` has left."""
        if not isinstance(self._deadlines, list):
            self._deadlines = math.inf
            return
        del self._deadlines[bisect_left(self._deadlines, deadline)]
        if len(self._deadlines) == 1:
            self._deadlines = self._deadlines[0]

    def after_poll(self, call: Callable[[], None]) -> None:
        """Have ``call`` called once, when the next poll of the job has been answered, usably or not."""
        if call not in self._on_poll:
            self._on_poll = (*self._on_poll, call)

    def _answered(self) -> None:
        """Count an answered poll, and call the callbacks that wait for it."""
        self.polls += 1
        if self._on_poll:
            on_poll, self._on_poll = self._on_poll, ()
            for call in on_poll:
                call()

    @property
    def status(self) -> JobStatus | None:
        """The status that the last usable poll observed."""
        if (ending := self.ending) is not None:
            return ending.status
        return None if self.last is None else self.last.get()

    @property
    def word(self) -> str | None:
        """The service's status word, as the last usable poll observed it."""
        return None if self.last is None else self.last.word

    @property
    def progress(self) -> float | None:
        """The progress that the last usable poll observed, 0 to 100."""
        return None if self.last is None else self.last.progress

    def take(self, status: LazyStatus, sent_at: float) -> None:
        """Set the status that a poll, sent at ``sent_at``, observed.

        The handles are notified if the status word, the progress or the result's URL is new.
        """
        self._answered()
        self._case = None
        last, self.last, self.polled_at = self.last, status, sent_at
        if last is not None and not status.differs(last):
            return
        if isinstance(self._handles, dict):
            for handle in self.handles:
                handle.changed()
        elif self._handles is not None:
            self._handles.changed()

    def listed(self, sent_at: float, *, ended: bool) -> None:
        """Note that a list without statuses, asked for at ``sent_at``, named the job as going on or as ``ended``.

        An end does not count as a usable answer until a poll of the job has confirmed it.
        """
        self._answered()
        if not ended:
            self._case = None
            self.polled_at = sent_at

    @property
    def is_known(self) -> bool:
        """True once the service has shown the job, to this client or to an earlier one that stored its status."""
        return self.word is not None or self.polled_at is not None

    def fail(
        self,
        error: TopazStatusError,
        policy: PollPolicy,
        *,
        sent_at: float,
        now: float,
        withheld: float,
        wave: Wave | None,
        in_company: bool,
    ) -> TopazStatusError | None:
        """Note a poll without a usable answer; return the error that ends the watch, or ``None`` to go on."""
        self._answered()
        return self.case.failed(
            error,
            policy,
            last=self.status,
            sent_at=sent_at,
            now=now,
            withheld=withheld,
            wave=wave,
            in_company=in_company,
        )

    def ended(self, error: TopazStatusError | None, clock: Clock) -> Ending:
        """Return the ending of a wait that ends now; the poller may go on for other handles.

        Without handles the status is released, because nothing can ask for it.
        """
        last = self.last if self.handles else None
        return Ending(last, error, clock.now(), clock.wall())

    def end(self, ending: Ending) -> None:
        """Set the ending, so that the coroutine finishes."""
        if not self.over.done():
            self.over.set_result(ending)
