"""Waiting in a handler, until the client disconnects or the server goes away.

Neither of the two interrupts a handler that awaits. So the functions here listen for both during the wait.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from fastapi import HTTPException
from fastapi.requests import Request

from ..models import JobStatus
from ..watch import Watch
from .app_state import AppState
from .lifespan import app_state_of
from .problems import leaving

T = TypeVar("T")
S = TypeVar("S", bound=JobStatus)


class Cut(enum.Enum):
    """Why a wait ended before its work was done."""

    LATE = "its time ran out"
    CLOSING = "the server goes away"


class ClientLeftError(HTTPException):
    """The client has disconnected, so nobody reads the answer; status 499, by custom, for the log."""

    def __init__(self) -> None:
        super().__init__(499, "the client has left")


async def wait_or_disconnect(request: Request, watch: Watch[S]) -> S:
    """Await a watch in a handler, for as long as the handler's client stays connected.

    The handler's own request is the first argument, so that a disconnect is noticed:

        @app.get("/orders/{order_id}/image")
        async def image(order_id: str, request: Request, client: ClientDep) -> ImageStatus:
            return await wait_or_disconnect(request, client.image.watch(process_id_of(order_id), timeout=30))

    The watch is dropped when the wait is over, however it ends; a store keeps the job. Read the request's body, if any,
    before the call: the unread part is lost.

    Raises:
        ClientLeftError: the client has disconnected (an ``HTTPException``: FastAPI drops the answer silently).
        Problem: 503, the server is going away.
        TopazStatusError: the error that awaiting the watch raises.
    """
    try:
        status = await attend(request, app_state_of(request), watch.result)
    finally:
        watch.drop()
    return going_away() if isinstance(status, Cut) else status


def going_away() -> NoReturn:
    """Refuse a request because the server is about to end.

    Raises:
        Problem: 503, always.
    """
    raise leaving()


async def attend(
    request: Request,
    app_state: AppState,
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    timeout: float | None = None,
    most: int | None = None,
) -> T | Cut:
    """Do some work for ``timeout`` seconds at most, while its client is connected and the server stays.

    Args:
        request: the request whose client wants the work.
        app_state: the state of the app that serves the request.
        work: makes the coroutine that does the work.
        timeout: seconds; ``None`` for no limit.
        most: requests that may wait in the app at once; ``None`` for no limit.

    Raises:
        ClientLeftError: the client has disconnected.
        Problem: 503, ``most`` requests wait already.
        Exception: the error that the work raises.
    """
    closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with app_state.wait(lambda: None if closing.done() else closing.set_result(None), most=most):
        return await _first(asyncio.create_task(work()), asyncio.create_task(_disconnect(request)), closing, timeout)


async def _first(
    work: asyncio.Task[T], disconnect: asyncio.Task[None], closing: asyncio.Future[None], timeout: float | None
) -> T | Cut:
    """Wait for the first of the work, the disconnect, the closing and the timeout; then end both tasks."""
    try:
        ends: set[asyncio.Future[Any]] = {work, disconnect, closing}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if disconnect.done():
            raise ClientLeftError
        return Cut.CLOSING if closing.done() else Cut.LATE
    finally:
        await _end(work)
        await _end(disconnect)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; an error that it raises meanwhile is marked as retrieved."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _disconnect(request: Request) -> None:
    """Return once the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
