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
    case: Case
    over: asyncio.Future[Ending]
    status: JobStatus | None = None
    polls: int = 0
    """Looks that were answered, with or without use."""
    looked_at: float | None = None
    """When the last usable look was sent, by the loop's clock."""
    handles: dict[Handle, None] = attrs.field(factory=dict)

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
            for handle in tuple(self.handles):
                handle.settle(ending)

    def tell(self, status: JobStatus, *, sent_at: float) -> None:
        """A look, sent at ``sent_at``, saw this status."""
        self.polls += 1
        if self.case.failures:
            self.case.usable()
        before, self.status, self.looked_at = self.status, status, sent_at
        if before is None or news(before) != news(status):
            for handle in self.handles:
                handle.changed()

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
