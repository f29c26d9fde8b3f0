"""The simulator: three services under one base URL, with scripted jobs and faults. It knows the truth of each job."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import attrs
from aiohttp import web

from ...models.job import JobKind, JobRef
from ..loop.memory_connector import MEMORY_URL, MemoryConnector
from .account import RECORDS_LAST, SimulatedAccount, Truth
from .clock import SimulatedClock
from .control import Control
from .durations import DurationLike, Durations
from .faults.rules import Fault, FaultDeck
from .http_front import Front
from .job_plan import JobPlan
from .rate_limit import Bucket, Limiter, RateLimits, RetryAfter, limiter
from .request_log import Exchange, RequestLog, ServerStats
from .services import Services
from .storage import result_bytes

_SHUTDOWN: Final = 0.05
_BACKLOG: Final = 1024


class Simulator:
    """Simulates Topaz Image, Topaz Video and Pixelcut Try-On under one base URL.

    The simulator's clock follows the event loop that it runs on, real or virtual. It begins at the first use on a loop;
    jobs added earlier are submitted then. The same seed and the same requests at the same times give the same answers.

    Args:
        seed: the seed of everything drawn: ids, durations, luck, faults.
        rate: requests per second that all services together accept; ``None`` means no limit.
        burst: most requests accepted at once; by default those of one second.
        service_rates: ``{kind: (rate, burst)}`` for limits of single services, beside the shared one.
        retry_after: the ``Retry-After`` of a 429: ``None``, ``"auto"``, ``"date"``, a number of seconds, or any text.
        keys: the API keys that are valid; by default any that is not empty.
        order: the order of the image list: ``"newest"`` first, by ``"uuid"``, or ``"random"``.
        newer_video: True for video bodies in the newer form, False for the founding document's.
        history_paged: True for a video history in pages, False for the older document's single answer.
        history_page: records on a page of the video history.
        clock_skew: seconds by which the server's clock is ahead, in ``Date`` and in every time in a body.
        delay: seconds that an answer takes; the answer shows the job's state in the middle of them.
        retention: seconds after submission at which a record is removed.
        storage_url: the base URL of links to results; by default the simulator's own.
        keep_alive: seconds after which an idle connection is closed.
        log_size: most requests retained in :attr:`log`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        rate: float | None = None,
        burst: float | None = None,
        service_rates: Mapping[JobKind, tuple[float, float]] | None = None,
        retry_after: RetryAfter = None,
        keys: Collection[str] | None = None,
        order: str = "newest",
        newer_video: bool = True,
        history_paged: bool = True,
        history_page: int = 50,
        clock_skew: float = 0.0,
        delay: DurationLike = 0.0,
        retention: float = RECORDS_LAST,
        storage_url: str | None = None,
        keep_alive: float = 3600.0,
        log_size: int = 100_000,
    ) -> None:
        self.clock = SimulatedClock(clock_skew)
        self._seed, self._order, self._retention = seed, order, retention
        self._keep_alive, self._log_size = keep_alive, log_size
        self._web_server: web.Server | None = None
        buckets: dict[str, Limiter] = {kind.value: Bucket(*limit) for kind, limit in (service_rates or {}).items()}
        self.front = Front(
            services=Services(self._account(), newer_video, history_paged, history_page),
            deck=FaultDeck(seed),
            limits=RateLimits(limiter(rate, burst), buckets, retry_after),
            request_log=self._request_log(),
            control=Control(self).handle,
            keys=None if keys is None else frozenset(keys),
            delay=Durations.of(delay),
            dice=random.Random(f"{seed}/delay"),
            storage_url=storage_url,
        )

    def _account(self) -> SimulatedAccount:
        return SimulatedAccount(self.clock, self._seed, self._order, self._retention)

    def _request_log(self) -> RequestLog:
        return RequestLog(deque(maxlen=self._log_size), self.clock.now())

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<Simulator now={self.now:.3f} jobs={stats.jobs} requests={stats.requests} "
            f"in_flight={stats.in_flight} rate_limited={stats.rate_limited}>"
        )

    # Jobs.

    def add_jobs(self, plans: JobPlan | Iterable[JobPlan]) -> list[JobRef]:
        """Submit the jobs of one plan or of many, and return the jobs to watch, in order, without foreign ones.

        Raises:
            ValueError: an id already exists.
        """
        return self._jobs.add([plans] if isinstance(plans, JobPlan) else plans)

    def add(self, kind: JobKind | str, **fields: Any) -> JobRef:
        """Submit one job; ``fields`` are those of :class:`.JobPlan`."""
        return self._jobs.add_one(JobPlan(kind=JobKind(kind), **fields))

    def add_image(self, **fields: Any) -> JobRef:
        """Submit one image; ``fields`` are those of :class:`.JobPlan`."""
        return self.add(JobKind.IMAGE, **fields)

    def add_video(self, **fields: Any) -> JobRef:
        """Submit one video; ``fields`` are those of :class:`.JobPlan`."""
        return self.add(JobKind.VIDEO, **fields)

    def add_try_on(self, **fields: Any) -> JobRef:
        """Submit one try-on; ``fields`` are those of :class:`.JobPlan`."""
        return self.add(JobKind.TRY_ON, **fields)

    def cancel(self, job: JobRef) -> bool:
        """Cancel a job, as its owner might do elsewhere; return False when it has ended or is being canceled."""
        return self._jobs.lives[job.kind][job.id].cancel(self.clock.now())

    def remove(self, job: JobRef) -> None:
        """Remove a job's record, as another user of the account might: the service answers 404 from now on."""
        self._jobs.remove(self._jobs.lives[job.kind][job.id])

    @property
    def _jobs(self) -> SimulatedAccount:
        return self.front.services.account

    # Faults, limits and keys.

    def add_fault(self, name: str, **fields: Any) -> Fault:
        """Add one fault: its name or a status code, and the fields of :class:`.Fault`."""
        fault = Fault.of(name, **fields)
        self.front.deck.add([fault])
        return fault

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Add faults, after those added earlier."""
        self.front.deck.add(faults)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.front.deck.clear()

    def limit(
        self,
        rate: float | None,
        burst: float | None = None,
        retry_after: RetryAfter = None,
        *,
        window: float | None = None,
        sliding: bool = False,
    ) -> None:
        """Change the rate limit that all services share; ``None`` lifts it.

        With a ``window``, in seconds, requests are counted in fixed or ``sliding`` windows in place of a token bucket.
        """
        self.front.limits.shared = limiter(rate, burst, window=window, sliding=sliding)
        self.front.limits.retry_after = retry_after

    def revoke(self, key: str) -> None:
        """Answer 401 to this key from now on."""
        self.front.revoked.add(key)

    def restore(self, key: str) -> None:
        """Accept a revoked key again."""
        self.front.revoked.discard(key)

    # Truths, counters and the log.

    @property
    def now(self) -> float:
        """Seconds since the simulator began."""
        return self.clock.now()

    def truth(self, job: JobRef) -> Truth:
        """Return the truth of one job.

        Raises:
            KeyError: no such job was ever added.
        """
        return self._jobs.truth(self._jobs.lives[job.kind][job.id])

    def truths(self) -> dict[JobRef, Truth]:
        """Return the truth of every job so far, foreign ones too."""
        account = self._jobs
        return {life.ref: account.truth(life) for lives in account.lives.values() for life in lives.values()}

    def result_bytes(self, job: JobRef) -> bytes:
        """Return the bytes of a job's result file."""
        return result_bytes(job, self._jobs.lives[job.kind][job.id].plan.size)

    def stats(self) -> ServerStats:
        """Return the server's counters."""
        return self.front.request_log.stats(len(self._jobs))

    @property
    def log(self) -> tuple[Exchange, ...]:
        """The latest requests, in the order in which they were answered."""
        return tuple(self.front.request_log.log)

    def reset(self) -> None:
        """Remove all jobs, faults and revocations and set the counters to zero; settings and connections stay."""
        front = self.front
        front.services = attrs.evolve(front.services, account=self._account())
        front.request_log = self._request_log()
        front.deck.clear()
        front.revoked.clear()

    # Serving.

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve on a socket of the running loop and give the base URL.

        Args:
            host: the address to listen on; other machines can reach any address that is not loopback.
            port: the port to listen on; 0 for any free port.
        """
        self.clock.follow_running_loop()
        runner = web.ServerRunner(self._new_server(), shutdown_timeout=_SHUTDOWN)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
            address = runner.addresses[0]
            name = f"[{address[0]}]" if ":" in address[0] else address[0]
            yield f"http://{name}:{address[1]}"
        finally:
            await runner.cleanup()

    def _new_server(self) -> web.Server:
        return web.Server(
            self.front.handle, handler_cancellation=True, access_log=None, keepalive_timeout=self._keep_alive
        )

    base_url: Final = MEMORY_URL
    """The base URL for requests in memory."""

    def memory_protocol(self) -> Any:
        """Return the server's end of a new connection in memory, for :class:`.MemoryConnector`."""
        self.clock.follow_running_loop()
        if self._web_server is None:
            self._web_server = self._new_server()
        return self._web_server()

    def session(self, *, latency: float = 0.0, limit: int = 100, **settings: Any) -> aiohttp.ClientSession:
        """Make a client session that reaches this simulator in memory; close it like any other session.

        Args:
            latency: seconds that data travels, each way.
            limit: most connections at once.
            settings: other arguments of ``aiohttp.ClientSession``.
        """
        return aiohttp.ClientSession(connector=MemoryConnector(self, latency=latency, limit=limit), **settings)
