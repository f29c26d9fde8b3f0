"""StatusClient: the front door."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, overload

from . import completions as collect
from .arguments import age_of, as_ref, as_refs, remaining_of
from .completions import Completions
from .core.policy import PollPolicy, optional_seconds
from .core.wire.requests import Request
from .core.wire.responses import Response
from .endpoints import UNSET, ImageEndpoint, TryOnEndpoint, Unset, VideoEndpoint
from .errors import ClientClosedError, ConfigurationError
from .models import Download, JobStatus
from .models.job import JobKind, JobRef
from .outcome import Outcome
from .session.http.connections import Connections
from .session.http.network import make_network
from .session.http.transport import Transport
from .session.secret import secret
from .session.settings import Account, make_settings
from .session.statistics import Stats, take_stats
from .watch import Watch

if TYPE_CHECKING:  # ours are imported where they are used: a program that makes no use of them does not load them
    from ssl import SSLContext

    import aiohttp

    from .durable.resume import Durable
    from .overview import Fleet
    from .session.engine import Engine
    from .store.base import WatchStore

T = TypeVar("T")


class StatusClient:
    """Awaits jobs of Topaz Image, Topaz Video and Pixelcut Try-On, thousands at once, under one request budget.

    ::

        async with StatusClient() as client:
            status = await client.image.watch(process_id)
            async for outcome in client.as_completed(jobs):
                print(outcome.job, outcome.state, outcome.waited)

    Making one needs no running loop; ``async with``, or :meth:`open` and :meth:`aclose`, ties it to the one that runs.

    Args:
        topaz_api_key: for image and video jobs; by default from ``TOPAZ_API_KEY``. Needed once such a job is asked for.
        pixelcut_api_key: for try-on jobs; by default from ``PIXELCUT_API_KEY``.
        topaz_url: scheme, host and optional path prefix; by default from ``TOPAZ_API_URL``, else the public host.
        pixelcut_url: the same for try-on jobs, ``PIXELCUT_API_URL``.
        allow_plain_http: accept ``http://`` for hosts other than this machine's loopback.
        rate: requests/s that all endpoints share, retries included.
        burst: tokens kept for a moment of need: at most ``burst + rate × t`` requests in any ``t`` seconds.
        service_rates: ceilings per kind below ``rate``, requests/s, merged over ``{JobKind.TRY_ON: 5.0}``; ``None``
            lifts one.
        max_in_flight: requests to the services on the wire at once; downloads are not among them. Direct calls hold
            three quarters at most, so that long answers, such as ``image.list_all``, hold up no poll.
        max_downloads: result files fetched at once by :meth:`save`, over connections of their own; further ones wait in
            line. A few fill most networks; each more takes a connection, a megabyte of memory and at times a thread.
            Through a caller's ``session`` they take at most half of its connector's ``limit`` and ``limit_per_host``.
        request_timeout: seconds for one HTTP exchange.
        policy: when to look, and for how long.
        proxy: the URL of an HTTP proxy, ``"http://user:password@host:3128"`` or ``https://…``, for the services and for
            downloads; hosts of this machine's loopback are reached directly. ``https://`` requests pass it encrypted.
        trust_env: where no ``proxy`` is given, take the one that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and
            ``NO_PROXY`` (on macOS and Windows also the system's settings) name for each host; ``.netrc`` is not read.
            Off by default, as with aiohttp: variables that were set for other programs decide nothing about a key.
        ssl: whom to trust and which client certificate to show: an ``ssl.SSLContext`` that verifies servers and host
            names, such as ``ssl.create_default_context(cafile="ca.pem")``; it holds for services, downloads and an
            ``https://`` proxy. By default the system's authorities, or those in ``SSL_CERT_FILE`` when aiohttp was
            imported.
        store: where watches are kept, so that they outlive this client: ``SQLiteStore("watches.db")``. Opened with the
            client and closed with it.
        session: a caller's own ``aiohttp.ClientSession``; it is never closed, and nothing it holds for others (cookies,
            ``Authorization``) is sent. Its own proxy and TLS settings hold; ``proxy``, ``trust_env`` and ``ssl`` are
            refused beside it.

    Raises:
        ConfigurationError: an argument, or a variable of the environment, is unusable.
    """

    def __init__(
        self,
        *,
        topaz_api_key: str | None = None,
        pixelcut_api_key: str | None = None,
        topaz_url: str | None = None,
        pixelcut_url: str | None = None,
        allow_plain_http: bool = False,
        rate: float = 10.0,
        burst: float = 10.0,
        service_rates: Mapping[JobKind | str, float | None] | None = None,
        max_in_flight: int = 32,
        max_downloads: int = 8,
        request_timeout: float = 30.0,
        policy: PollPolicy | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSLContext | None = None,
        store: WatchStore | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        keys = {Account.TOPAZ: secret(topaz_api_key), Account.PIXELCUT: secret(pixelcut_api_key)}
        hidden_proxy = secret(proxy)
        del topaz_api_key, pixelcut_api_key, proxy  # an error about another argument keeps this function's variables
        self._settings = make_settings(
            keys=keys,
            urls={Account.TOPAZ: topaz_url, Account.PIXELCUT: pixelcut_url},
            allow_plain_http=allow_plain_http,
            rate=rate,
            burst=burst,
            service_rates=service_rates,
            max_in_flight=max_in_flight,
            max_downloads=max_downloads,
            request_timeout=request_timeout,
            policy=policy if policy is not None else PollPolicy(),
        )
        network = make_network(
            proxy=hidden_proxy,
            trust_env=trust_env,
            context=ssl,
            has_session=session is not None,
            urls=self._settings.urls.values(),
        )
        self._transport = Transport(self._settings, Connections(self._settings, session, network))
        self._store = store
        self._engine: Engine | None = None
        self._durable: Durable | None = None
        self._opening = False
        self._ended: Engine | None = None
        self._closed = False
        self.image: Final = ImageEndpoint(self._call, self._start_watch)
        """Topaz Image: one call per endpoint, and typed watches."""
        self.video: Final = VideoEndpoint(self._call, self._start_watch)
        """Topaz Video."""
        self.try_on: Final = TryOnEndpoint(self._call, self._start_watch)
        """Pixelcut Try-On."""

    def __repr__(self) -> str:
        state = "closed" if self._closed else "new" if self._engine is None else "open"
        return f"<StatusClient {state} rate={self._settings.rate:g}/s burst={self._settings.burst:g}>"

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Tie the client to the running loop. The first one of a process also loads the engine, in some 30 ms of CPU.

        Raises:
            ConfigurationError: it was opened before.
            StoreError: its store cannot be used.
        """
        if self._engine is not None or self._closed or self._opening:
            raise ConfigurationError("a client is opened once; make another one")
        self._opening = True
        try:
            from .session.engine import Engine  # noqa: PLC0415  # see the top

            engine = await Engine.start(self._settings, self._transport, self._store)
        finally:
            self._opening = False
        if self._closed:
            await engine.close()
            raise ClientClosedError("the client was closed while it was being opened")
        self._engine = engine
        if engine.store_writer is not None:
            from .durable.resume import Durable  # noqa: PLC0415  # see the top

            check = lambda row: self._settings.key(row.job.kind)  # noqa: E731  # short, and used once
            self._durable = Durable(engine, engine.store_writer, check)
        return self

    async def aclose(self) -> None:
        """End every watch (they raise ``ClientClosedError``), every task and every connection."""
        self._closed = True
        self._ended = self._engine or self._ended
        self._engine = None
        if self._ended is not None:
            await self._ended.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- watching -----------------------------------------------------------------------------------------------------

    def watch(
        self,
        job: JobRef | str,
        *,
        timeout: float | Unset | None = UNSET,
        tag: Any = None,
        submitted_at: float | None = None,
        eta: float | None = None,
    ) -> Watch[Any]:
        """Start to watch a job of any kind; not a coroutine: ``await`` what it returns.

        Args:
            job: a :class:`JobRef`, or its text such as ``"image:d7b3…"``.
            timeout: seconds from now; ``None`` is no limit; by default ``policy.timeout``.
            tag: the caller's own, handed back with the outcome; with a store it is JSON.
            submitted_at: Unix seconds at which the job was submitted.
            eta: Unix seconds at which it should end, as the answer to the submit told.

        Raises:
            ConfigurationError: the client is not open on the running loop, there is no key for this kind of job, or an
                argument is unusable.
        """
        return self._start_watch(as_ref(job), timeout=timeout, tag=tag, submitted_at=submitted_at, eta=eta)

    def as_completed(
        self,
        jobs: Iterable[JobRef | str] | AsyncIterable[JobRef | str],
        *,
        timeout: float | Unset | None = UNSET,
    ) -> Completions:
        """Watch many jobs and hand out each distinct one's outcome once, in the order in which they end.

        Args:
            jobs: any iterable, read at once; or an async one, read ahead by at most 1,000 jobs. An item of an async
                iterable that names no job comes out as an outcome with a ``ConfigurationError``.
            timeout: seconds for each job from when it is taken; ``None`` is no limit; by default ``policy.timeout``.

        Raises:
            ConfigurationError: as for :meth:`watch`, or an item names no job; nothing is watched then.
        """
        engine = self._live()
        start = lambda job: self._start_watch(job, timeout=timeout)  # noqa: E731  # short, and used once
        return collect.completions(engine.clock, start, jobs, engine.registry.adopt)

    def resume(self) -> Completions:
        """Take up all unfinished watches in the store, and all outcomes that nobody acknowledged, as of this call.

        Outcomes come as from :meth:`as_completed`, and are acknowledged in the same way. One that had been handed out
        before has ``redelivered`` set; its status has no link to a result, :meth:`result` asks for one. What this
        client watches already is among them. A watch goes on with its age and its deadline; one whose time ran out
        meanwhile is looked at once more; one whose timeout has been told begins it anew.

        Raises:
            ConfigurationError: the client has no store, or is not open on the running loop.
            StoreError: where the outcomes are taken: the store cannot be read.
        """
        self._live()
        if self._durable is None:
            raise ConfigurationError("there is nothing to resume without a store: StatusClient(store=…)")
        return self._durable.resume()

    @overload
    async def gather(
        self,
        jobs: Iterable[JobRef | str],
        *,
        timeout: float | Unset | None = ...,
        return_exceptions: Literal[False] = ...,
    ) -> list[JobStatus]: ...

    @overload
    async def gather(
        self, jobs: Iterable[JobRef | str], *, timeout: float | Unset | None = ..., return_exceptions: bool
    ) -> list[JobStatus | Exception]: ...

    async def gather(
        self,
        jobs: Iterable[JobRef | str],
        *,
        timeout: float | Unset | None = UNSET,
        return_exceptions: bool = False,
    ) -> Any:
        """Watch many jobs and return their statuses in the order given.

        The first failure in time is raised, and the other jobs are let go; with ``return_exceptions`` failures stand in
        their jobs' places instead.

        Raises:
            TopazStatusError: what awaiting the first job that failed raises.
            ConfigurationError: as for :meth:`as_completed`.
        """
        refs = as_refs(jobs)
        return await collect.gather(self.as_completed(refs, timeout=timeout), refs, return_exceptions=return_exceptions)

    async def outcomes(self, jobs: Iterable[JobRef | str], *, timeout: float | Unset | None = UNSET) -> list[Outcome]:
        """Watch many jobs and return their outcomes in the order given; no job's failure is raised.

        Raises:
            ConfigurationError: as for :meth:`as_completed`.
        """
        refs = as_refs(jobs)
        return await collect.outcomes(self.as_completed(refs, timeout=timeout), refs)

    def notify(self, job_or_payload: object) -> JobRef | None:
        """A webhook came, or any other reason to look at a job now: look, within the budget.

        Anything may be passed in: a job, or a webhook's body as text, bytes or parsed. It is never believed by itself
        and never raises, whatever thread it is called from. Returns the job that will be looked at, ``None`` where the
        body names none that is watched.

        Looks go on beside notices, which may be lost. Where one finds the very change of ``status`` that a body told
        of, the gaps between looks at that job double, until a change comes without a notice.
        """
        engine = self._engine
        if engine is None:
            return None
        from .webhook import readings  # noqa: PLC0415  # see the top

        for notice in readings(job_or_payload):
            if engine.registry.find(notice.job):
                engine.clock.soon(partial(engine.feed.notify, notice.job), notice.word)
                return notice.job
        return None

    def last_status(self, job: JobRef | str) -> JobStatus | None:
        """What is known of a job that is being watched, by whoever; ``None`` for any other, and before its first look.

        Costs no request.

        Raises:
            ConfigurationError: the client is not open, or ``job`` names none.
        """
        poller = self._live().registry.find(as_ref(job))
        return None if poller is None else poller.status

    def fleet(self, *, limit: int = 1000) -> Fleet:
        """All jobs that are being watched, by whoever, for one who only wants to see them; at most ``limit`` at a time.

        Raises:
            ConfigurationError: the client is not open.
        """
        from .overview import Fleet  # noqa: PLC0415  # see the top

        return Fleet(self._live(), limit)

    def stats(self) -> Stats:
        """What the client is doing, in numbers.

        Raises:
            ConfigurationError: the client is not open.
        """
        return take_stats(self._live())

    # -- direct calls for a job of any kind ---------------------------------------------------------------------------

    async def get(self, job: JobRef | str) -> JobStatus:
        """Ask for the status of a job of any kind, once.

        Raises:
            TopazStatusError: as for the endpoints.
        """
        ref = as_ref(job)
        match ref.kind:
            case JobKind.IMAGE:
                return await self.image.get(ref)
            case JobKind.VIDEO:
                return await self.video.get(ref)
            case JobKind.TRY_ON:
                return await self.try_on.get(ref)

    async def result(self, job: JobRef | str) -> Download:
        """Where the result of a finished job of any kind lies.

        Raises:
            ConflictError: the image job has not ended (409).
            ResultUnavailableError: the video or try-on job has not ended, or its service names no URL.
            JobFailedError, JobCanceledError, JobExpiredError: it ended without a result.
            TopazStatusError: as for the endpoints.
        """
        from .download import fetch as results  # noqa: PLC0415  # see the top

        ref = as_ref(job)
        match ref.kind:
            case JobKind.IMAGE:
                return await self.image.download_link(ref)
            case JobKind.VIDEO:
                return results.link_of(await self.video.get(ref))
            case JobKind.TRY_ON:
                return results.link_of(await self.try_on.get(ref))

    async def save(
        self,
        job: JobRef | str,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Path:
        """Fetch the result of a finished job into ``folder``, which is made if it is missing.

        The file is streamed to a temporary name, resumed when the connection is cut, and takes its own name once it is
        complete. A file of that name is replaced. At most ``max_downloads`` files are fetched at a time: the others
        wait before they ask for their links.

        The result may lag behind the status that says ``COMPLETED``. A link or file that is not there yet is asked for
        again for up to 30 s. An image service answers 404 or 409 also for a job that has not ended: :meth:`save` then
        asks for the status, once, and waits only if the job has completed. A link that the storage refuses, such as an
        expired one, is replaced by a fresh one, once for each stretch of the file that it brought.

        Args:
            job: a :class:`JobRef`, or its text.
            folder: where to.
            name: a plain file name; by default the kind and id of the job with the file's own suffix.
            max_bytes: most that the file may weigh; by default there is no limit. Of a file that the storage sends
                compressed (``gzip`` or ``deflate``) the decompressed bytes count.
            progress: called, in the loop's thread, with the bytes that are there and those there will be, ``None``
                while the storage has not said; the former fall back where the file must be fetched anew.

        Raises:
            ConfigurationError: ``name`` could lead out of the folder, or ``max_bytes`` is no number of bytes.
            ResultTooLargeError: the file is larger than ``max_bytes``; nothing of it is kept.
            ResultUnavailableError: the storage sends the file in a content coding that cannot be undone.
            TransportError: the file did not arrive whole, or the storage refused fresh links.
            ClientClosedError: the client was closed meanwhile.
            OSError: the folder cannot be written to.
            TopazStatusError: as for :meth:`result`.
        """
        from .download import fetch as results  # noqa: PLC0415  # see the top
        from .session.http.links import Links  # noqa: PLC0415  # see the top

        ref = as_ref(job)
        downloads = self._live().downloads
        order = results.DownloadRequest(ref, Path(folder), name, max_bytes, progress)
        order.check()
        links = Links(lambda: self.result(ref), lambda: self.get(ref))
        return await downloads.run(lambda: results.save(self._transport, links, order, downloads.idle))

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request, read: Callable[[Response], T]) -> T:
        engine = self._live()
        answer = await engine.calls.call(request, read)
        if request.method == "DELETE":
            engine.feed.deleted(request.job)
        return answer

    def _live(self) -> Engine:
        """The engine of an open client, on its own loop."""
        engine = self._engine
        if engine is None:
            state = "closed" if self._closed else "not open: use 'async with client:' or 'await client.open()'"
            raise ConfigurationError(f"the client is {state}")
        if not engine.clock.is_running_here():
            raise ConfigurationError("the client was opened on another event loop than the one that runs here")
        return engine

    def _start_watch(
        self,
        job: JobRef,
        *,
        timeout: float | Unset | None = UNSET,
        tag: Any = None,
        submitted_at: float | None = None,
        eta: float | None = None,
    ) -> Watch[Any]:
        engine = self._live()
        self._settings.key(job.kind)
        limit = self._settings.policy.timeout if timeout is UNSET else optional_seconds("timeout", timeout)
        wall = engine.clock.wall()
        age, remaining = age_of(submitted_at, wall), remaining_of(eta, wall)
        if self._durable is None:
            return Watch(engine, job, tag).start(timeout=limit, age=age, remaining=remaining)
        from .store.base import Row  # noqa: PLC0415  # see the top

        row = Row(number=0, job=job, started_at=wall, submitted_at=submitted_at, eta=eta)
        return self._durable.watch(row, tag=tag, timeout=limit, age=age, remaining=remaining)
