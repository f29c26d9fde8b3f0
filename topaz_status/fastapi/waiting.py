"""Waiting in a handler: a handler that awaits is not told when its client leaves or its server goes away.

So whoever waits here listens for both beside what is waited for.
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
    """Why a wait ended without what it waited for."""

    LATE = "its time ran out"
    CLOSING = "the server goes away"


class ClientLeftError(HTTPException):
    """Nobody is there to read the answer; 499, by custom, for the log."""

    def __init__(self) -> None:
        super().__init__(499, "the client has left")


async def wait_or_disconnect(request: Request, watch: Watch[S]) -> S:
    """Await a watch in a handler, for as long as the handler's client does.

    ::

        @app.get("/orders/{order_id}/image")
        async def image(order_id: str, request: Request, client: ClientDep) -> ImageStatus:
            return await wait_or_disconnect(request, client.image.watch(process_id_of(order_id), timeout=30))

    The handle is given up when the wait is over, however it ends; a store keeps the job. The request's body, if any, is
    to be read before: what of it has not been read is lost.

    Raises:
        ClientLeftError: the client has gone (an ``HTTPException``: FastAPI drops the answer without a word).
        Problem: 503, the server is going away.
        TopazStatusError: what awaiting the watch raises.
    """
    try:
        status = await attend(request, app_state_of(request), watch.result)
    finally:
        watch.drop()
    return going_away() if isinstance(status, Cut) else status


def going_away() -> NoReturn:
    """Turn a request away because the server is about to end.

    Raises:
        Problem: 503.
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
    """Do some work for as long as somebody wants it: no longer than ``timeout`` seconds, as one of ``most`` at a time.

    Raises:
        ClientLeftError: the client has gone.
        Problem: 503, there are too many already.
        Exception: what the work raises.
    """
    closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with app_state.wait(lambda: None if closing.done() else closing.set_result(None), most=most):
        return await _first(asyncio.create_task(work()), asyncio.create_task(_gone(request)), closing, timeout)


async def _first(
    work: asyncio.Task[T], gone: asyncio.Task[None], closing: asyncio.Future[None], timeout: float | None
) -> T | Cut:
    try:
        ends: set[asyncio.Future[Any]] = {work, gone, closing}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise ClientLeftError
        return Cut.CLOSING if closing.done() else Cut.LATE
    finally:
        await _end(work)
        await _end(gone)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it off; what it raises meanwhile is nobody's any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
