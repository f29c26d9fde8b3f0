"""One job's coroutine: await the terminal state, and resolve every handle with it.

The feed tells it what each look saw (:meth:`Poller.tell`, :meth:`Poller.fail`: one synchronous step each, in which
everything is decided and the readers are woken); the coroutine awaits the ending and resolves whoever waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import attrs

from ..core.policy import PollPolicy
from ..core.verdict import Case
from ..errors import TopazStatusError
from ..models import JobStatus
from ..models.state import JobRef


@attrs.frozen
class Ending:
    """How a watch ended: with a status, with an error, or with both (a job that failed)."""

    status: JobStatus | None
    error: TopazStatusError | None
    at: float
    """Seconds of the loop's clock."""
    detected_at: float
    """Unix seconds."""


class Handle(Protocol):
    """What a poller tells its news to."""

    def changed(self) -> None:
        """There is a new status."""

    def settle(self, ending: Ending) -> None:
        """There will be no more."""


@attrs.define(eq=False)
class Poller:
    """One stream of looks at one job, for any number of handles."""

    job: JobRef
    started_at: float
    """Seconds of the loop's clock."""
    over: asyncio.Future[Ending]
    task: asyncio.Task[None] | None = None
    status: JobStatus | None = None
    polls: int = 0
    """Looks that were answered, with or without use."""
    looked_at: float | None = None
    """When the last usable look was sent, by the loop's clock."""
    _case: Case | None = None
    """The evidence, while there is something wrong."""
    _handles: Handle | dict[Handle, None] | None = None
    """Mostly there is one: a dictionary of one would be a tenth of what a watch weighs."""

    @property
    def ending(self) -> Ending | None:
        """How it ended, ``None`` while it is at work."""
        return self.over.result() if self.over.done() and not self.over.cancelled() else None

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
    def case(self) -> Case:
        """The evidence against the job."""
        if self._case is None:
            self._case = Case(self.started_at)
        return self._case

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

    def tell(self, status: JobStatus, *, sent_at: float) -> None:
        """A look, sent at ``sent_at``, saw this status."""
        self.polls += 1
        self._case = None
        before, self.status, self.looked_at = self.status, status, sent_at
        if before is None or news(before) != news(status):
            for handle in self.handles:
                handle.changed()

    def listed(self, *, ended: bool, sent_at: float) -> None:
        """A list without statuses, asked for at ``sent_at``, named the job as going on, or as ``ended``.

        An end is not believed before a look at the job has confirmed it: until then nothing usable has come.
        """
        self.polls += 1
        if not ended:
            self._case = None
            self.looked_at = sent_at

    def fail(
        self, error: TopazStatusError, policy: PollPolicy, *, sent_at: float, now: float
    ) -> TopazStatusError | None:
        """A look got no usable answer: the error that ends the watch, or ``None`` to go on."""
        self.polls += 1
        return self.case.failed(error, policy, last=self.status, sent_at=sent_at, now=now)

    def end(self, ending: Ending) -> None:
        """Let the coroutine finish."""
        if not self.over.done():
            self.over.set_result(ending)


def news(status: JobStatus) -> tuple[object, ...]:
    """What makes a status worth telling: the word (and so the state), the progress, the result's URL."""
    return status.status, status.progress, status.result_url
