"""The client that people write by hand: one coroutine per job, a fixed interval, a semaphore, aiolimiter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs

from topaz_status import JobKind, JobRef

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

PATHS: Final = {
    JobKind.IMAGE: "/image/v1/status/{}",
    JobKind.VIDEO: "/video/{}/status",
    JobKind.TRY_ON: "/v1/try-on/job/{}",
}
TERMINAL: Final = frozenset({"completed", "complete", "failed", "cancelled", "canceled"})
SLOTS: Final = 32
TRY_ON_RATE: Final = 5.0


def limiter(rate: float, burst: float) -> AsyncLimiter:
    """Make a limiter of at most ``burst`` requests at once and ``rate`` requests per second."""
    from aiolimiter import AsyncLimiter  # noqa: PLC0415  # the benchmarks' tests run without it

    return AsyncLimiter(burst, burst / rate)


@attrs.define(eq=False)
class PlainClient:
    """Polls each job by itself until its status is terminal. A failed poll is retried an interval later."""

    session: aiohttp.ClientSession
    url: str
    limit: AsyncLimiter
    interval: float = 5.0
    decode: Callable[[Any], Any] | None = None
    """Called with the parsed JSON of each body, if given."""
    polls: int = 0
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(SLOTS), init=False)
    _try_ons: AsyncLimiter = attrs.field(factory=lambda: limiter(TRY_ON_RATE, TRY_ON_RATE), init=False)

    async def wait(self, job: JobRef) -> dict[str, Any]:
        """Poll until the job's status is terminal, and return that status."""
        url = self.url + PATHS[job.kind].format(job.id)
        while True:
            status = await (self._poll_slowly(url) if job.kind is JobKind.TRY_ON else self.poll(url))
            if status is not None and status["status"].lower() in TERMINAL:
                return status
            await asyncio.sleep(self.interval)

    async def poll(self, url: str) -> dict[str, Any] | None:
        """Send one request once the limits permit it; return the status, or ``None`` without one."""
        async with self._slots, self.limit:
            try:
                async with self.session.get(url) as response:
                    self.polls += 1
                    if response.status != 200:
                        return None
                    status: dict[str, Any] = await response.json()
            except (aiohttp.ClientError, TimeoutError):
                return None
        if self.decode is not None:
            self.decode(status)
        return status

    async def _poll_slowly(self, url: str) -> dict[str, Any] | None:
        async with self._try_ons:
            return await self.poll(url)


def plain_session() -> aiohttp.ClientSession:
    """Make a session with aiohttp's defaults and the API key in its headers."""
    return aiohttp.ClientSession(headers={"X-API-Key": "sim"})
