"""Streams of jobs: a handle on each, and one coroutine for each that passes on what it hears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

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
from .sse_events import DeliveredMarks, status_event

COME_BACK: Final = 1000
"""Milliseconds after which a browser is to connect again, to another process, when the server has gone away."""


@attrs.frozen
class StreamLimits:
    """What one router lets its clients do."""

    jobs: int
    """On one stream."""
    fleet: int
    """Jobs on a stream of everything."""
    waiting: int
    """Streams and long polls at once, in the whole app."""
    wait: float
    """Seconds of a long poll."""
    stream: float
    """Seconds of a stream."""
    heartbeat: float
    """Seconds of silence on a stream."""


@contextlib.asynccontextmanager
async def job_stream(
    app_state: AppState, limits: StreamLimits, jobs: list[JobRef], last_event_id: str | None
) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Open a stream of some jobs: of those whose end ``last_event_id`` does not say has been told.

    Raises:
        HTTPException: 204, there is nothing left to tell: a browser that is told so does not connect again.
        Problem: 503, there are too many.
        ConfigurationError: one of the jobs cannot be watched.
    """
    told, queue = DeliveredMarks.read(jobs, last_event_id), ConflatingQueue[View](limits.heartbeat)
    if not told.open:
        raise HTTPException(204)
    with _seat(app_state, limits, queue):
        async with _following(app_state, told.open, queue):
            yield _events(app_state, queue, told)


@contextlib.asynccontextmanager
async def fleet_stream(app_state: AppState, limits: StreamLimits) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Open a stream of all that is watched.

    Raises:
        Problem: 503, there are too many.
    """
    queue = ConflatingQueue[ServerSentEvent](limits.heartbeat)
    board = app_state.boards.setdefault(limits.fleet, OverviewBroadcaster(app_state.client, limits.fleet))
    with _seat(app_state, limits, queue), board.show(queue):
        yield _events(app_state, queue, None)


@contextlib.contextmanager
def _seat(app_state: AppState, limits: StreamLimits, queue: ConflatingQueue[Any]) -> Iterator[None]:
    """A stream ends when the server goes away, and when its time is over."""
    with app_state.wait(queue.close, most=limits.waiting):
        timer = asyncio.get_running_loop().call_later(limits.stream, queue.close)
        try:
            yield
        finally:
            timer.cancel()


async def _events(
    app_state: AppState, queue: ConflatingQueue[View] | ConflatingQueue[ServerSentEvent], told: DeliveredMarks | None
) -> AsyncIterator[ServerSentEvent]:
    """Write letters as they are sent: an event's id speaks of what has been sent, not of what is still to be."""
    async for letter in queue.letters():
        if letter is None:
            yield ServerSentEvent(comment="still here")
        elif isinstance(letter, ServerSentEvent):
            yield letter
        elif told is not None and (event_id := told.tell(letter)) is not None:
            yield status_event(letter, event_id=event_id)
    if app_state.closing:
        yield ServerSentEvent(comment="the server goes away", retry=COME_BACK)


@contextlib.asynccontextmanager
async def _following(app_state: AppState, jobs: Iterable[JobRef], queue: ConflatingQueue[View]) -> AsyncIterator[None]:
    """While inside, leave each change of each job in the mailbox; it is closed when all of them have ended."""
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
    """Follow each to its end, and end the stream, also where something fails: its reader would wait for nothing."""
    try:
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(_follow(watch, queue, operator))
    except Exception as error:  # noqa: BLE001  # a bug, in a task whose exception nobody asks for
        operator.hear_bug("a stream of jobs", error)
    finally:
        queue.close()


async def _follow(watch: Watch[Any], queue: ConflatingQueue[View], operator: Operator) -> None:
    """Leave each change, and the end with what it is called; that the client was closed is no end of the job."""
    with contextlib.suppress(TopazStatusError):  # the outcome has it
        async for status in watch.updates():
            if not status.is_terminal:
                queue.put(watch.job, View.of_watch(watch))
    outcome = await watch.outcome()
    if outcome.error is not None:
        operator.hear(outcome.error)
    if not isinstance(outcome.error, ClientClosedError):
        queue.put(watch.job, View.of_outcome(watch.job, outcome))
