"""Routes through which an app's own clients, above all browsers, get the status of jobs.

=================================  ====================================================================================
``GET /jobs/{kind}/{id}``          the status now: from the watch if there is one, else by one request to the service
``GET /jobs/{kind}/{id}/wait``     a long poll: 200 with the terminal status; 202 with the last one and ``Retry-After``
                                   when ``timeout`` runs out or the server goes away
``GET /jobs/{kind}/{id}/events``   server-sent events: each change, until the end (see :mod:`.sse_events`)
``GET /jobs/events?job=…&job=…``   the same for many jobs on one stream; 204 if ``Last-Event-ID`` says that all ends are
                                   reported already: then a browser stops connecting again
``GET /jobs/events``               all jobs that this client watches, in ``event: statuses`` with many each, and
                                   ``event: stats`` with its statistics every 2 s
``GET /stats``                     the statistics
``GET /metrics``                   the same and more for Prometheus, if ``metrics`` is set
``GET /``                          the live page, fed by ``jobs/events``
=================================  ====================================================================================

A browser's ``EventSource`` cannot send an ``Authorization`` header: let ``authorize`` take a cookie, or use ``fetch``.
"""

# Annotations are not postponed in this module: they hold the limits of each router.

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, params
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ..errors import ConfigurationError
from ..models import ImageStatus, TryOnStatus, VideoStatus
from ..models.job import JobKind, JobRef
from ..session.statistics import Stats
from .lifespan import AppStateDep
from .live_page import add_page
from .problems import RETRY_AFTER, Problem, ProblemRoute, documented
from .sse_streams import StreamLimits, fleet_stream, job_stream
from .waiting import Cut, attend, going_away

if TYPE_CHECKING:
    from ..prometheus import PrometheusMetrics

AnyStatus = ImageStatus | VideoStatus | TryOnStatus
Events = AsyncIterator[ServerSentEvent]
JobId = Annotated[str, Path(pattern=r"^[!-~]{1,256}$", description="the service's own id of the job")]
LastEventId = Annotated[str | None, Header(description="the id of the last event that was received")]

_STATUS_RESPONSES: Final = documented(400, 404, 422, 429, 500, 502, 503, 504)
_STREAM_RESPONSES: Final = {204: {"description": "Nothing is left to report"}, **documented(422, 500, 503)}


async def PUBLIC() -> None:  # noqa: N802  # callers use it as a constant
    """Authorize anyone: ``status_router(authorize=PUBLIC)``."""


def status_router(
    *,
    authorize: Callable[..., Any] | params.Depends,
    max_jobs: int = 100,
    max_fleet: int = 10_000,
    max_waiting: int = 10_000,
    max_wait: float = 60.0,
    max_stream: float = 3600.0,
    heartbeat: float = 15.0,
    page: bool = True,
    metrics: "PrometheusMetrics | None" = None,
) -> APIRouter:
    """Make the routes, for the client of the app's lifespan: ``app.include_router(status_router(authorize=…))``.

    Args:
        authorize: the dependency that lets a request in or raises, such as an ``HTTPException`` 401 or 403. What it
            reads is up to it: a cookie, the request, the path's ``kind`` and ``id`` in ``request.path_params``, the
            ``job`` of the query. :data:`PUBLIC` lets everybody in. Each request for a status may cost a request of
            the budget, and statuses hold links to results.
        max_jobs: jobs on one stream; more are a 422.
        max_fleet: jobs on the stream of all watched jobs: those that have been watched longest.
        max_waiting: streams, long polls and requests for a status at once, in the whole app; more are a 503.
        max_wait: seconds of a long poll; a longer one is a 422. A request for a status that takes longer is a 504.
        max_stream: seconds after which a stream ends; browsers connect again by themselves.
        heartbeat: seconds of silence after which a stream shows that it is alive.
        page: serve the live page at ``/`` as well (see :mod:`.live_page`). It holds no data, and ``authorize`` does
            not apply to it: a browser opens a page without an ``Authorization`` header.
        metrics: serve these metrics at ``/metrics`` as well. The client must record them:
            ``status_lifespan(telemetry=metrics)``. ``authorize`` applies to them.

    Raises:
        ConfigurationError: an argument is unusable.
    """
    limits = StreamLimits(max_jobs, max_fleet, max_waiting, max_wait, max_stream, heartbeat)
    for name, value in (("max_jobs", max_jobs), ("max_fleet", max_fleet), ("max_waiting", max_waiting)):
        if not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name} is a whole number above 0, not {value!r}")
    for name, seconds in (("max_wait", max_wait), ("max_stream", max_stream), ("heartbeat", heartbeat)):
        if not seconds > 0:
            raise ConfigurationError(f"{name} is a number of seconds above 0, not {seconds!r}")
    guarded = APIRouter(dependencies=[_dependency(authorize)], route_class=ProblemRoute, tags=["jobs"])
    _add_status(guarded, limits)
    _add_events(guarded, limits)
    _add_stats(guarded)
    if metrics is not None:
        _add_metrics(guarded, metrics)
    router = APIRouter()
    if page:
        add_page(router)
    router.include_router(guarded)
    return router


def _dependency(authorize: Callable[..., Any] | params.Depends) -> Any:
    if isinstance(authorize, params.Depends):
        return authorize
    if not callable(authorize):
        raise ConfigurationError(f"authorize is a dependency, or PUBLIC for anyone, not {authorize!r}")
    return Depends(authorize)


def _add_status(router: APIRouter, limits: StreamLimits) -> None:
    @router.get("/jobs/{kind}/{id}", response_model=AnyStatus, responses=_STATUS_RESPONSES)
    async def status_now(kind: JobKind, id: JobId, request: Request, app_state: AppStateDep) -> Any:  # noqa: A002
        """The status of a job now."""
        job = JobRef(kind, id)
        if (known := app_state.client.last_status(job)) is not None:
            return known
        get = lambda: app_state.client.get(job)  # noqa: E731  # short, and used once
        found = await attend(request, app_state, get, timeout=limits.wait, most=limits.waiting)
        if found is Cut.LATE:
            raise Problem(504, "timeout", f"the service has not answered about {job} within {limits.wait:g} s")
        return going_away() if found is Cut.CLOSING else found

    @router.get(
        "/jobs/{kind}/{id}/wait",
        response_model=AnyStatus | None,
        responses=_STATUS_RESPONSES
        | documented(410)
        | {202: {"description": "The job goes on; its last status, null before the first", "model": AnyStatus | None}},
    )
    async def wait(
        *,
        kind: JobKind,
        id: JobId,  # noqa: A002
        request: Request,
        response: Response,
        app_state: AppStateDep,
        timeout: Annotated[float, Query(ge=0, le=limits.wait, description="seconds")] = min(25.0, limits.wait),
    ) -> Any:
        """Wait for the end of a job."""
        watch = app_state.client.watch(JobRef(kind, id))
        async with watch:
            found = await attend(request, app_state, watch.outcome, timeout=timeout, most=limits.waiting)
            if isinstance(found, Cut):
                response.status_code = 202
                response.headers["Retry-After"] = str(RETRY_AFTER)
                return watch.status
        if found.state is None and found.error is not None:
            raise found.error
        return found.status


def _add_events(router: APIRouter, limits: StreamLimits) -> None:
    async def of_one(
        kind: JobKind,
        id: JobId,  # noqa: A002
        app_state: AppStateDep,
        last_event_id: LastEventId = None,
    ) -> AsyncIterator[Events]:
        async with job_stream(app_state, limits, [JobRef(kind, id)], last_event_id) as events:
            yield events

    async def of_many(
        app_state: AppStateDep,
        job: Annotated[list[JobRef], Query(max_length=limits.jobs, description="KIND:ID; none for all")] = [],  # noqa: B006
        last_event_id: LastEventId = None,
    ) -> AsyncIterator[Events]:
        if job:
            opened = job_stream(app_state, limits, list(dict.fromkeys(job)), last_event_id)
        else:
            opened = fleet_stream(app_state, limits)
        async with opened as events:
            yield events

    @router.get("/jobs/{kind}/{id}/events", response_class=EventSourceResponse, responses=_STREAM_RESPONSES)
    async def events_of_one(events: Annotated[Events, Depends(of_one)]) -> AsyncIterable[ServerSentEvent]:
        """Each change of one job, until its end."""
        async for event in events:
            yield event

    @router.get("/jobs/events", response_class=EventSourceResponse, responses=_STREAM_RESPONSES)
    async def events_of_many(events: Annotated[Events, Depends(of_many)]) -> AsyncIterable[ServerSentEvent]:
        """Each change of some jobs, until all have ended; or of all watched jobs, with the statistics."""
        async for event in events:
            yield event


def _add_stats(router: APIRouter) -> None:
    @router.get("/stats", responses=documented(503))
    async def stats(app_state: AppStateDep) -> Stats:
        """The statistics of this client."""
        return app_state.client.stats()


def _add_metrics(router: APIRouter, metrics: "PrometheusMetrics") -> None:
    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus(accept: Annotated[str, Header()] = "") -> Response:
        """The metrics for Prometheus."""
        body, media_type = metrics.render(accept)
        return Response(body, headers={"Content-Type": media_type})
