"""StatusClient, the class that a program starts from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, overload

from . import completions
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
from .session.listener import Listener, as_listeners
from .session.secret import secret
from .session.settings import Account, make_settings
from .session.statistics import Stats, estimate_lag, take_gauges, take_stats
from .watch import Watch

if TYPE_CHECKING:  # our own modules are imported at their first use: a program that never uses them does not load them
    from ssl import SSLContext

    import aiohttp

    from .coordination import Coordinator
    from .durable.resume import Durable
    from .overview import Fleet
    from .session.engine import Engine
    from .store.base import WatchStore

T = TypeVar("T")


class StatusClient:
    """Awaits jobs of Topaz Image, Topaz Video and Pixelcut Try-On, thousands at once, under one request budget.

    Example:
        >>> async with StatusClient() as client:
        ...     status = await client.image.watch(image.id)
        ...     async for outcome in client.as_completed([video, "try-on:" + try_on.id]):
        ...         assert outcome.state is JobState.COMPLETED, outcome.error
        >>> status.state.value
        'completed'

    The constructor needs no running loop. ``async with``, or :meth:`open` and :meth:`aclose`, ties the client to the
    running loop.

    Args:
        topaz_api_key: for image and video jobs; by default from ``TOPAZ_API_KEY``. It is needed at the first such job.
        pixelcut_api_key: for try-on jobs; by default from ``PIXELCUT_API_KEY``.
        topaz_url: scheme, host and optional path prefix; by default from ``TOPAZ_API_URL``, else the public host.
        pixelcut_url: the same for try-on jobs, ``PIXELCUT_API_URL``.
        allow_plain_http: accept ``http://`` for hosts other than this machine's loopback.
        rate: requests/s that all endpoints share, retries included.
        burst: tokens saved while requests are few: at most ``burst + rate × t`` requests are sent in any ``t`` seconds.
        service_rates: ceilings per kind below ``rate``, requests/s, merged over ``{JobKind.TRY_ON: 5.0}``; ``None``
            removes a ceiling.
        max_in_flight: requests to the services on the wire at once, without downloads. Direct calls hold at most three
            quarters of them, so that long answers, such as ``image.list_all``, delay no poll.
        max_downloads: result files that :meth:`save` fetches at once, over connections of their own; further ones
            wait in line. A few fill most networks. Each download takes a connection, a megabyte of memory and at times
            a thread. Through a caller's ``session``, downloads take at most half of its connector's ``limit`` and
            ``limit_per_host``.
        request_timeout: seconds for one HTTP exchange.
        policy: when to poll, and for how long.
        proxy: the URL of an HTTP proxy, ``"http://user:password@host:3128"`` or ``https://…``, for the services and for
            downloads. Hosts of this machine's loopback are reached directly. ``https://`` requests pass the proxy
            encrypted.
        trust_env: without a ``proxy``, take for each host the one that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``
            and ``NO_PROXY`` (on macOS and Windows also the system's settings) name; ``.netrc`` is not read. Off by
            default, as with aiohttp: variables that were set for other programs do not decide where a key is sent.
        ssl: an ``ssl.SSLContext`` with the trusted authorities and the client certificate to send. It must verify
            servers and host names, as ``ssl.create_default_context(cafile="ca.pem")`` does. It applies to the services,
            to downloads and to an ``https://`` proxy. The default trusts the system's authorities, or those that
            ``SSL_CERT_FILE`` named when aiohttp was imported.
        telemetry: one or more listeners to what the client does, such as ``topaz_status.otel.OpenTelemetry()``.
        store: where watches are stored, so that they outlive this client, such as ``SQLiteStore("watches.db")``. It is
            opened and closed together with the client.
        coordinator: how this process joins the others of the same account, such as ``RedisCoordinator("rediss://…")``.
            Then ``rate``, ``burst`` and ``service_rates`` are those of the account, one process polls for all, and
            another takes over if it dies. Once the client is open, no failure of the shared server is raised anywhere.
        session: the caller's own ``aiohttp.ClientSession``. The client never closes it, and does not send its
            cookies and ``Authorization``, which are meant for others. Its own proxy and TLS settings apply; ``proxy``,
            ``trust_env`` and ``ssl`` are refused together with it.

    Raises:
        ConfigurationError: an argument or an environment variable is unusable.
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
        coordinator: Coordinator | None = None,
        session: aiohttp.ClientSession | None = None,
        telemetry: Listener | Iterable[Listener] = (),
    ) -> None:
        keys = {Account.TOPAZ: secret(topaz_api_key), Account.PIXELCUT: secret(pixelcut_api_key)}
        hidden_proxy = secret(proxy)
        del topaz_api_key, pixelcut_api_key, proxy  # the traceback of a later error holds this function's variables
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
        self._coordinator = coordinator
        self._listeners = as_listeners(telemetry)
        self._engine: Engine | None = None
        self._durable: Durable | None = None
        self._opening = False
        self._closed_engine: Engine | None = None
        self._closed = False
        self.image: Final = ImageEndpoint(self._call, self._start_watch)
        """Topaz Image: one method per endpoint, and typed watches."""
        self.video: Final = VideoEndpoint(self._call, self._start_watch)
        """Topaz Video: the same for its endpoints."""
        self.try_on: Final = TryOnEndpoint(self._call, self._start_watch)
        """Pixelcut Try-On: the same for its endpoints."""

    def __repr__(self) -> str:
        state = "closed" if self._closed else "new" if self._engine is None else "open"
        return f"<StatusClient {state} rate={self._settings.rate:g}/s burst={self._settings.burst:g}>"

    # -- opening and closing ------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Tie the client to the running loop. The first client of a process also loads the engine: some 30 ms of CPU.

        Raises:
            ConfigurationError: the client was opened before.
            StoreError: its store cannot be used.
            CoordinatorError: the shared server cannot be used.
            ClientClosedError: the client was closed meanwhile.
        """
        if self._engine is not None or self._closed or self._opening:
            raise ConfigurationError("a client is opened once; make another one")
        self._opening = True
        try:
            from .session.engine import Engine  # noqa: PLC0415  # see the top

            engine = await Engine.start(
                self._settings, self._transport, self._store, self._listeners, coordinator=self._coordinator
            )
        finally:
            self._opening = False
        if self._closed:
            await engine.close()
            raise ClientClosedError("the client was closed while it was being opened")
        self._engine = engine
        if engine.telemetry.announcer is not None:
            engine.telemetry.announcer.open(partial(take_gauges, engine), partial(estimate_lag, engine))
        if engine.store_writer is not None:
            from .durable.resume import Durable  # noqa: PLC0415  # see the top

            check = lambda row: self._settings.key(row.job.kind)  # noqa: E731  # short, and used once
            self._durable = Durable(engine, engine.store_writer, check)
        return self

    async def aclose(self) -> None:
        """End every watch, every task and every connection. The watches raise ``ClientClosedError``.

        Raises:
            ConfigurationError: this process was forked from the client's; nothing of that process is touched.
        """
        if self._engine is not None and self._engine.clock.is_forked():
            raise ConfigurationError(f"the client {self._engine.clock.why_not_here()}")
        self._closed = True
        self._closed_engine = self._engine or self._closed_engine
        self._engine = None
        if self._closed_engine is not None:
            await self._closed_engine.close()

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
            tag: any value of the caller's, handed back with the outcome; with a store it must be JSON.
            submitted_at: Unix seconds at which the job was submitted.
            eta: Unix seconds at which it should end, as the answer to its submission said.

        Raises:
            ConfigurationError: the client is not open on the running loop, there is no key for this kind of job, or an
                argument is unusable.

        Example:
            >>> watch = client.watch("image:" + image.id, timeout=600, tag="order 7")
            >>> status: JobStatus = await watch
            >>> status.job == image, (await watch.outcome()).tag
            (True, 'order 7')
        """
        return self._start_watch(as_ref(job), timeout=timeout, tag=tag, submitted_at=submitted_at, eta=eta)

    def as_completed(
        self,
        jobs: Iterable[JobRef | str] | AsyncIterable[JobRef | str],
        *,
        timeout: float | Unset | None = UNSET,
    ) -> Completions:
        """Watch many jobs and yield the outcome of each distinct job once, in the order in which they end.

        Args:
            jobs: any iterable, which is read at once, or an async iterable, which is read ahead by at most 1,000 jobs.
                An item of an async iterable that names no job gives an outcome with a ``ConfigurationError``.
            timeout: seconds for each job, from when it is read; ``None`` is no limit; by default ``policy.timeout``.

        Raises:
            ConfigurationError: as for :meth:`watch`, or an item names no job. Nothing is watched in either case.

        Example:
            >>> completions: Completions = client.as_completed([image, video, try_on])
            >>> async for outcome in completions:
            ...     assert outcome.error is None
            >>> len(completions.watches)
            0
        """
        engine = self._live()
        start = lambda job: self._start_watch(job, timeout=timeout)  # noqa: E731  # short, and used once
        return completions.completions(engine.clock, start, jobs, engine.registry.adopt)

    def resume(self, *, follow: bool = False, timeout: float | Unset | None = UNSET) -> Completions:
        """Take up all unfinished watches in the store and all unacknowledged outcomes, as of this call.

        Outcomes come as from :meth:`as_completed`, and are acknowledged in the same way. An outcome that was handed out
        before has ``redelivered`` set. The status in it has no link to a result; :meth:`result` asks for one. Jobs that
        this client watches already are included.

        A resumed watch continues with its age and its deadline. If its deadline passed meanwhile, its job is polled
        once more. If its timeout was already reported, the timeout begins anew.

        In a store that clients share, this takes the rows of clients that have closed the store, or whose lease has
        lapsed. Rows of living clients stay theirs. If another client takes over a watch of this one, its outcome has a
        :class:`StoreError` that says who did.

        Args:
            follow: go on taking what other clients leave, until the client or the iterator is closed; only for a
                store that clients share.
            timeout: seconds for each job, from when it is taken up; ``None`` is no limit; by default what is left of
                the watch's own timeout. The row keeps its own timeout for the next ``resume()``.

        Raises:
            ConfigurationError: the client has no store, or is not open on the running loop, or ``follow`` needs a
                store that clients share.
            StoreError: raised from the iteration: the store cannot be read. With ``follow``, a failure that may pass
                is not raised.

        Example:
            >>> store: WatchStore = MemoryStore()  # or SQLiteStore("watches.db")
            >>> async with StatusClient(store=store) as earlier:
            ...     watch = earlier.watch(image, tag="order 7")
            >>> async with StatusClient(store=store) as later:
            ...     async for outcome in later.resume():
            ...         print(outcome.tag, outcome.state.value)
            order 7 completed
        """
        self._live()
        if self._durable is None:
            raise ConfigurationError("there is nothing to resume without a store: StatusClient(store=…)")
        limit = timeout if isinstance(timeout, Unset) else optional_seconds("timeout", timeout)
        return self._durable.resume(follow=follow, timeout=limit)

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

        The failure that comes first in time is raised, and the handles on the other jobs are dropped. With
        ``return_exceptions``, failures are returned in the places of their jobs instead.

        Raises:
            TopazStatusError: what awaiting the first job that failed raises.
            ConfigurationError: as for :meth:`as_completed`.
        """
        refs = as_refs(jobs)
        return await completions.gather(
            self.as_completed(refs, timeout=timeout), refs, return_exceptions=return_exceptions
        )

    async def outcomes(self, jobs: Iterable[JobRef | str], *, timeout: float | Unset | None = UNSET) -> list[Outcome]:
        """Watch many jobs and return their outcomes in the order given; no job's failure is raised.

        Raises:
            ConfigurationError: as for :meth:`as_completed`.
        """
        refs = as_refs(jobs)
        return await completions.outcomes(self.as_completed(refs, timeout=timeout), refs)

    def notify(self, job_or_payload: object) -> JobRef | None:
        """Poll a job now, within the budget, because a webhook came or for any other reason.

        Any object may be passed in: a job, or a webhook's body as text, as bytes or parsed. Its claim is never believed
        without a poll. This method never raises, and may be called from any thread. It returns the job that will be
        polled, or ``None`` if the body names no watched job.

        Notices may be lost, so polling goes on beside them. If a poll finds exactly the change of ``status`` that a
        body claimed, the gaps between polls of that job double, until a change comes without a notice.
        """
        engine = self._engine
        if engine is None or engine.clock.is_forked():
            return None
        from .webhook import parse_notice  # noqa: PLC0415  # see the top

        for notice in parse_notice(job_or_payload):
            is_watched = engine.registry.find(notice.job) is not None
            if is_watched or engine.sharing is not None:  # another process may watch it
                engine.clock.soon(partial(engine.feed.notify, notice.job), notice.word)
            if is_watched:
                return notice.job
        return None

    def last_status(self, job: JobRef | str) -> JobStatus | None:
        """Return the last known status of a watched job; ``None`` before its first poll, and if nobody watches it.

        It costs no request, and it does not matter which part of the program watches the job.

        Raises:
            ConfigurationError: the client is not open, or ``job`` names no job.
        """
        poller = self._live().registry.find(as_ref(job))
        return None if poller is None else poller.status

    def fleet(self, *, limit: int = 1000) -> Fleet:
        """Return an overview of all watched jobs, for readers without handles; it follows at most ``limit`` at a time.

        Raises:
            ConfigurationError: the client is not open.
        """
        from .overview import Fleet  # noqa: PLC0415  # see the top

        return Fleet(self._live(), limit)

    def stats(self) -> Stats:
        """Return what the client is doing, in numbers.

        Raises:
            ConfigurationError: the client is not open.

        Example:
            >>> status = await client.image.watch(image.id)
            >>> stats: Stats = client.stats()
            >>> stats.in_flight, sum(stats.watches.values()), stats.total_requests > 1
            (0, 0, True)
            >>> isinstance(stats.lag, Lag), stats.lag.count
            (True, 1)
        """
        return take_stats(self._live())

    # -- direct calls for a job of any kind ---------------------------------------------------------------------------

    async def get(self, job: JobRef | str) -> JobStatus:
        """Ask once for the status of a job of any kind.

        Raises:
            TopazStatusError: as for ``get`` of the endpoints.
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
        """Ask for the link to the result of a finished job of any kind.

        Raises:
            ConflictError: the image job has not ended (409).
            ResultUnavailableError: the video or try-on job has not ended, or its service names no URL.
            JobFailedError, JobCanceledError, JobExpiredError: it ended without a result.
            TopazStatusError: as for the endpoints.
        """
        from .download import fetch  # noqa: PLC0415  # see the top

        ref = as_ref(job)
        match ref.kind:
            case JobKind.IMAGE:
                return await self.image.download_link(ref)
            case JobKind.VIDEO:
                return fetch.link_of(await self.video.get(ref))
            case JobKind.TRY_ON:
                return fetch.link_of(await self.try_on.get(ref))

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

        The file is streamed to a temporary name, and resumed when the connection is cut. It takes its own name once it
        is complete, and replaces a file of that name. At most ``max_downloads`` files are fetched at a time; the others
        wait before they ask for their links.

        The result may appear later than the status that says ``COMPLETED``. A link or file that is not there yet is
        asked for again for up to 30 s. An image service also answers 404 or 409 for a job that has not ended:
        :meth:`save` then asks for the status, once, and waits only if the job has completed. If the storage refuses a
        link, for example because it has expired, a fresh link replaces it. If the storage refuses that one, too,
        before any more of the file has come, :meth:`save` gives up.

        Args:
            job: a :class:`JobRef`, or its text.
            folder: where the file goes.
            name: a plain file name; by default the job's kind and id with the file's own suffix.
            max_bytes: the largest size of the file, in bytes; by default there is no limit. If the storage sends the
                file compressed (``gzip`` or ``deflate``), the decompressed bytes count.
            progress: called in the loop's thread with two numbers: the bytes fetched so far, and the size of the whole
                file, which is ``None`` until the storage states it. The first falls if the file must be fetched anew.

        Raises:
            ConfigurationError: ``name`` could lead out of the folder, or ``max_bytes`` is no number of bytes.
            ResultTooLargeError: the file is larger than ``max_bytes``; no part of it remains on disk.
            ResultUnavailableError: the storage sends the file in a content coding that cannot be decoded.
            TransportError: the file did not arrive whole, or the storage refused fresh links.
            ClientClosedError: the client was closed meanwhile.
            OSError: the folder cannot be written to.
            TopazStatusError: as for :meth:`result`.
        """
        from .download import fetch  # noqa: PLC0415  # see the top
        from .session.http.links import Links  # noqa: PLC0415  # see the top

        ref = as_ref(job)
        downloads = self._live().downloads
        request = fetch.DownloadRequest(ref, Path(folder), name, max_bytes, progress)
        request.check()
        links = Links(lambda: self.result(ref), lambda: self.get(ref))
        return await downloads.run(lambda: fetch.save(self._transport, links, request, downloads.idle))

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request, read: Callable[[Response], T]) -> T:
        engine = self._live()
        answer = await engine.calls.call(request, read)
        if request.method == "DELETE":
            engine.feed.deleted(request.job)
        return answer

    def _live(self) -> Engine:
        """Return the engine of an open client that is used on its own loop.

        Raises:
            ConfigurationError: the client is not open, or was opened on another loop or before a fork.
        """
        engine = self._engine
        if engine is None:
            state = "closed" if self._closed else "not open: use 'async with client:' or 'await client.open()'"
            raise ConfigurationError(f"the client is {state}")
        if problem := engine.clock.why_not_here():
            raise ConfigurationError(f"the client {problem}")
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
