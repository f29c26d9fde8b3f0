"""A Starlette app, ``GET /jobs/{job}?wait=30``: ``uvicorn topaz_status.examples.starlette_handler:app``.

Watch out:

- Open the client in the app's lifespan: one for the process, on the server's own loop. One for each request would
  have a budget of its own each time.
- A web client may give up before the job ends, and proxies cut silent requests. So the wait is short, and the answer to
  a job that goes on is 202, with the seconds after which to ask again.
- A thousand requests for one job cost the polls of one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from topaz_status import JobRef, StatusClient, TopazStatusError, WatchTimeoutError

LONGEST = 30.0
"""Seconds for which a request waits at most."""


class State(TypedDict):
    """What the lifespan hands to the requests."""

    client: StatusClient


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[State]:
    """Open the client with the app, and close it with the app."""
    async with StatusClient(rate=20) as client:
        yield {"client": client}


async def wait(request: Request) -> JSONResponse:
    """Answer with a job's state, once it has ended or after 30 s."""
    client: StatusClient = request.state.client
    try:
        job, seconds = JobRef.parse(request.path_params["job"]), float(request.query_params.get("wait", LONGEST))
    except ValueError as error:  # a ConfigurationError is one
        return JSONResponse({"error": str(error)}, 400)
    try:
        async with client.watch(job, timeout=max(0.0, min(seconds, LONGEST))) as watch:
            status = await watch
    except WatchTimeoutError as error:
        last = error.last_status
        return JSONResponse({"state": last and last.state}, 202, {"Retry-After": "1"})
    except TopazStatusError as error:  # the text holds no key and no link
        return JSONResponse({"error": str(error)}, 502)
    return JSONResponse({"state": status.state, "progress": status.progress})


app = Starlette(routes=[Route("/jobs/{job}", wait)], lifespan=lifespan)
