"""One job's coroutine: await the next news, until there is no more to come.

The feed tells it what each look saw (:meth:`Poller.tell`, :meth:`Poller.fail`: one synchronous step each, in which
everything is decided); the coroutine then wakes, passes the news on to the handles, and ends with the job.
"""

from __future__ import annotations

import asyncio
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
    status: JobStatus | None = None
    polls: int = 0
    """Looks that were answered, with or without use."""
    looked_at: float | None = None
    """When the last usable look was sent, by the loop's clock."""
    ending: Ending | None = None
    handles: dict[Handle, None] = attrs.field(factory=dict)
    task: asyncio.Task[None] | None = None
    _wake: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Pass news on to the handles until the ending, which goes to all of them."""
        loop = asyncio.get_running_loop()
        while self.ending is None:
            self._wake = loop.create_future()
            await self._wake
            for handle in tuple(self.handles):
                handle.changed()
        self.settle()

    def settle(self) -> None:
        """Give every handle the ending."""
        if self.ending is not None:
            for handle in tuple(self.handles):
                handle.settle(self.ending)

    def tell(self, status: JobStatus, *, sent_at: float) -> None:
        """A look, sent at ``sent_at``, saw this status."""
        self.polls += 1
        self.case.usable()
        before, self.status, self.looked_at = self.status, status, sent_at
        if before is None or news(before) != news(status):
            self._call()

    def fail(
        self, error: TopazStatusError, policy: PollPolicy, *, sent_at: float, now: float
    ) -> TopazStatusError | None:
        """A look got no usable answer: the error that ends the watch, or ``None`` to go on."""
        self.polls += 1
        return self.case.failed(error, policy, last=self.status, sent_at=sent_at, now=now)

    def end(self, ending: Ending) -> None:
        """Let the coroutine finish."""
        if self.ending is None:
            self.ending = ending
            self._call()

    def _call(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def news(status: JobStatus) -> tuple[object, ...]:
    """What makes a status worth telling: the state, the word, the progress, the result's URL."""
    return status.state, status.status, status.progress, status.result_url
