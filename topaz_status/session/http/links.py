"""Links to a job's result, asked for again if need be: the result may lag behind the status that announces it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import attrs

from ...errors import ConflictError, NotFoundError, ResultUnavailableError, TopazStatusError
from ...models import Download, JobStatus
from ...models.job import JobState
from ..timing.backoff_delays import pause

Pause = Callable[[float], Awaitable[None]]
"""Waits for some seconds; some pauses give the caller's slot back meanwhile."""


@attrs.define(eq=False)
class Links:
    """Asks for links to the result of one job."""

    _ask: Callable[[], Awaitable[Download]]
    _status: Callable[[], Awaitable[JobStatus]]
    _completed: bool = attrs.field(default=False, init=False)
    """True once the service has said that the job has completed."""

    async def fresh(self, lags: Iterator[float], idle: Pause = pause) -> Download:
        """Return a new link. If a completed job has none yet, ask again after each of ``lags``, in seconds.

        ``idle`` does the waiting.

        A 404 or 409 may also mean that the job has not ended, or does not exist. So the status of the job is asked for
        once, and decides.

        Raises:
            TopazStatusError: as for :meth:`.StatusClient.result`.
        """
        while True:
            try:
                return await self._ask()
            except (ConflictError, NotFoundError, ResultUnavailableError) as error:
                delay = next(lags, None) if await self._is_late(error) else None
                if delay is None:
                    raise
            await idle(delay)

    async def _is_late(self, error: TopazStatusError) -> bool:
        """Return whether the job has completed, so that only its result is missing."""
        if isinstance(error, ResultUnavailableError):
            return error.status is not None and error.status.state is JobState.COMPLETED
        if not self._completed:
            try:
                self._completed = (await self._status()).state is JobState.COMPLETED
            except TopazStatusError:
                return False
        return self._completed
