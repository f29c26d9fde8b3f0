"""Streams of jobs: each job has a watch, and a coroutine that passes its changes to the stream."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs
from fastapi import HTTPException
from fastapi.sse import ServerSentEvent

from ..errors import ClientClosedError, TopazStatusError
from ..models.job import JobRef
from ..overview import View
from ..watch import Watch
from .app_state import AppState
from .broadcaster import OverviewBroadcaster
from .conflating_queue import ConflatingQueue
from .operators import Operator
from .sse_events import PACK, DeliveredMarks, EncodedView, status_event, statuses_event

T = TypeVar("T")

STILL_HERE: Final = ServerSentEvent(comment="still here")
RECONNECT_AFTER: Final = 1000
"""Milliseconds after which a browser should connect again, to another process, once this server has ended."""


@attrs.frozen
class StreamLimits:
    """What one router allows its clients."""

    jobs: int
    """Jobs on one stream."""
    fleet: int
    """Jobs on the stream of all watched jobs."""
    waiting: int
    """Streams and long polls at once, in the whole app."""
    wait: float
    """Seconds that a long poll takes at most."""
    stream: float
    """Seconds after which a stream ends."""
    heartbeat: float
    """Seconds of silence after which a stream shows that it is alive."""


@contextlib.asynccontextmanager
async def job_stream(
    app_state: AppState, limits: StreamLimits, jobs: list[JobRef], last_event_id: str | None
) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Open a stream for the jobs whose end ``last_event_id`` does not yet report.

    Raises:
        HTTPException: 204, nothing is left to report; a browser does not connect again after a 204.
        Problem: 503, too many requests wait already.
        ConfigurationError: one of the jobs cannot be watched.
    """
    delivered, queue = DeliveredMarks.read(jobs, last_event_id), ConflatingQueue[View](limits.heartbeat)
    if not delivered.open:
        raise HTTPException(204)
    with _limited(app_state, limits, queue):
        async with _following(app_state, delivered.open, queue):
            yield _events(app_state, queue, 1, functools.partial(_named, delivered))


@contextlib.asynccontextmanager
async def fleet_stream(app_state: AppState, limits: StreamLimits) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Open a stream of all watched jobs.

    Raises:
        Problem: 503, too many requests wait already.
    """
    queue = ConflatingQueue[EncodedView | ServerSentEvent](limits.heartbeat)
    broadcaster = app_state.broadcasters.setdefault(limits.fleet, OverviewBroadcaster(app_state.client, limits.fleet))
    with _limited(app_state, limits, queue), broadcaster.show(queue):
        yield _events(app_state, queue, PACK, _packed)


@contextlib.contextmanager
def _limited(app_state: AppState, limits: StreamLimits, queue: ConflatingQueue[Any]) -> Iterator[None]:
    """Count a stream while inside; close its queue when the server goes away or the stream's time is over."""
    with app_state.wait(queue.close, most=limits.waiting):
        timer = asyncio.get_running_loop().call_later(limits.stream, queue.close)
        try:
            yield
        finally:
            timer.cancel()


async def _events(
    app_state: AppState, queue: ConflatingQueue[T], most: int, encode: Callable[[list[T]], Iterable[ServerSentEvent]]
) -> AsyncIterator[ServerSentEvent]:
    """Take up to ``most`` items at a time, and encode them only as they are sent; each silence has a sign of life."""
    while not queue.is_over:
        if items := await queue.take(most):
            for event in encode(items):
                yield event
        elif not queue.is_over:
            yield STILL_HERE
    if app_state.closing:
        yield ServerSentEvent(comment="the server goes away", retry=RECONNECT_AFTER)


def _named(delivered: DeliveredMarks, views: Iterable[View]) -> Iterator[ServerSentEvent]:
    """Yield an event for each view that adds to what was sent; its id covers that, not what is still queued."""
    for view in views:
        if (event_id := delivered.record(view)) is not None:
            yield status_event(view, event_id=event_id)


def _packed(items: Sequence[EncodedView | ServerSentEvent]) -> Iterator[ServerSentEvent]:
    """Pack the views: thousands of jobs are a few events, and a slow reader gets only the latest of each."""
    if views := [item for item in items if isinstance(item, EncodedView)]:
        yield statuses_event(views)
    for item in items:
        if isinstance(item, ServerSentEvent):
            yield item


@contextlib.asynccontextmanager
async def _following(app_state: AppState, jobs: Iterable[JobRef], queue: ConflatingQueue[View]) -> AsyncIterator[None]:
    """Put each change of each job into the queue while inside; close the queue when all jobs have ended."""
    with contextlib.ExitStack() as handles:
        watches = []
        for job in jobs:
            watches.append(app_state.client.watch(job))
            handles.callback(watches[-1].drop)
        task = asyncio.create_task(_follow_all(watches, queue, app_state.operator), name="topaz_status stream")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _follow_all(watches: Iterable[Watch[Any]], queue: ConflatingQueue[View], operator: Operator) -> None:
    """Follow all watches to their ends; then close the queue, even after a failure, or its reader would never end."""
    try:
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(_follow(watch, queue, operator))
    except Exception as error:  # noqa: BLE001  # a bug, in a task whose exception nobody reads
        operator.log_bug("a stream of jobs", error)
    finally:
        queue.close()


async def _follow(watch: Watch[Any], queue: ConflatingQueue[View], operator: Operator) -> None:
    """Put each change and the outcome into the queue; a closed client does not mean that the job has ended."""
    with contextlib.suppress(TopazStatusError):  # the outcome holds the error
        async for status in watch.updates():
            if not status.is_terminal:
                queue.put(watch.job, View.of_watch(watch))
    outcome = await watch.outcome()
    if outcome.error is not None:
        operator.log_error(outcome.error)
    if not isinstance(outcome.error, ClientClosedError):
        queue.put(watch.job, View.of_outcome(watch.job, outcome))
