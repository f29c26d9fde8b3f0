"""One job's coroutine: await the terminal state, and resolve every handle with it.

The feed gives it what each look saw (:meth:`Poller.take`, :meth:`Poller.fail`: one synchronous step each, in which
everything is decided and the readers are woken); the coroutine awaits the ending and resolves whoever waits for it.
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
    """As it was made; it is handed out :meth:`fresh`."""
    at: float
    """Seconds of the loop's clock."""
    detected_at: float
    """Unix seconds."""

    @property
    def status(self) -> JobStatus | None:
        """What the last usable look saw."""
        return None if self._last is None else self._last.get()

    def fresh(self, error: E) -> E:
        """Give an error that knows the last status, a new one each time: one that is raised collects frames."""
        same = copy.copy(error)
        if isinstance(same, WatchError):
            same.last_status = self.status
        return same


class Handle(Protocol):
    """What a poller tells its news to."""

    def changed(self) -> None:
        """There is a new status."""

    def settle(self, ending: Ending) -> None:
        """There will be no more."""


@attrs.define(eq=False, weakref_slot=False)
class Poller:
    """One stream of looks at one job, for any number of handles."""

    job: JobRef
    started_at: float
    """Seconds of the loop's clock."""
    over: asyncio.Future[Ending]
    task: asyncio.Task[None] | None = None
    last: LazyStatus | None = None
    """What the last usable look saw."""
    polls: int = 0
    """Looks that were answered, with or without use."""
    polled_at: float | None = None
    """When the last usable look was sent, by the loop's clock."""
    claim: WebhookClaim | None = None
    """What the latest notice of it said, until a look has answered."""
    _case: FailureRecord | None = None
    """The evidence, while there is something wrong."""
    _on_poll: tuple[Callable[[], None], ...] = ()
    """To be called, once, when a poll has been answered."""
    _deadlines: float | list[float] = math.inf
    """When its handles time out: mostly there is one, or a sorted list."""
    _handles: Handle | dict[Handle, None] | None = None
    """Mostly there is one: a dictionary of one would be a tenth of what a watch weighs."""

    @property
    def ending(self) -> Ending | None:
        """How it ended, ``None`` while it is at work."""
        return self.over.result() if self.over.done() and not self.over.cancelled() else None

    @property
    def is_at_work(self) -> bool:
        """True until its end is known."""
        return not self.over.done()

    async def run(self, torn_down: Callable[[Poller], None]) -> None:
        """Await the ending and give it to every handle; tell ``torn_down`` where somebody cancels this from outside."""
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
        """The evidence against the job."""
        if self._case is None:
            self._case = FailureRecord(self.started_at)
        return self._case

    @property
    def outage(self) -> float:
        """Seconds for which the looks at the job have brought nothing of use."""
        return 0.0 if self._case is None else self._case.outage

    @property
    def trouble(self) -> TopazStatusError | None:
        """What the latest poll brought instead of a status; ``None`` where there is no trouble."""
        return None if self._case is None else self._case.error

    @property
    def handles(self) -> tuple[Handle, ...]:
        """Who wants to hear of the job."""
        if isinstance(self._handles, dict):
            return tuple(self._handles)
        return () if self._handles is None else (self._handles,)

    def add(self, handle: Handle) -> None:
        """Somebody wants to hear of the job."""
        if self._handles is None:
            self._handles = handle
        elif isinstance(self._handles, dict):
            self._handles[handle] = None
        else:
            self._handles = {self._handles: None, handle: None}

    def remove(self, handle: Handle) -> None:
        """Somebody wants to hear no more."""
        if isinstance(self._handles, dict):
            self._handles.pop(handle, None)
        elif self._handles is handle:
            self._handles = None

    @property
    def deadline(self) -> float:
        """When the first of its handles times out; infinite for never."""
        return self._deadlines[0] if isinstance(self._deadlines, list) else self._deadlines

    def expect_by(self, deadline: float) -> None:
        """A handle times out at ``deadline``."""
        if isinstance(self._deadlines, list):
            insort(self._deadlines, deadline)
        elif self._deadlines == math.inf:
            self._deadlines = deadline
        else:
            self._deadlines = sorted((self._deadlines, deadline))

    def expect_no_more(self, deadline: float) -> None:
        """The handle that times out at ``deadline`` has gone."""
        if not isinstance(self._deadlines, list):
            self._deadlines = math.inf
            return
        del self._deadlines[bisect_left(self._deadlines, deadline)]
        if len(self._deadlines) == 1:
            self._deadlines = self._deadlines[0]

    def after_poll(self, call: Callable[[], None]) -> None:
        """Have ``call`` made, once, when the next poll of the job has been answered, with or without use."""
        if call not in self._on_poll:
            self._on_poll = (*self._on_poll, call)

    def _answered(self) -> None:
        """Count a poll."""
        self.polls += 1
        if self._on_poll:
            on_poll, self._on_poll = self._on_poll, ()
            for call in on_poll:
                call()

    @property
    def status(self) -> JobStatus | None:
        """What the last usable look saw."""
        if (ending := self.ending) is not None:
            return ending.status
        return None if self.last is None else self.last.get()

    @property
    def word(self) -> str | None:
        """The service's own, as the last usable look saw it."""
        return None if self.last is None else self.last.word

    @property
    def progress(self) -> float | None:
        """The progress that the last usable look saw, 0 to 100."""
        return None if self.last is None else self.last.progress

    def take(self, status: LazyStatus, sent_at: float) -> None:
        """Keep the status that a look, sent at ``sent_at``, saw.

        The handles hear of it when word, progress or result's URL are new.
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
        """A list without statuses, asked for at ``sent_at``, named the job as going on, or as ``ended``.

        An end is not believed before a look at the job has confirmed it: until then nothing usable has come.
        """
        self._answered()
        if not ended:
            self._case = None
            self.polled_at = sent_at

    @property
    def is_known(self) -> bool:
        """True once the service has shown the job, to this client or to an earlier one that kept its status."""
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
        """A look got no usable answer: the error that ends the watch, or ``None`` to go on."""
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
        """Give the ending of a wait that ends now; the poller may go on for others.

        When there is nobody left to ask for the status, it is let go.
        """
        last = self.last if self.handles else None
        return Ending(last, error, clock.now(), clock.wall())

    def end(self, ending: Ending) -> None:
        """Let the coroutine finish."""
        if not self.over.done():
            self.over.set_result(ending)
