"""Completion in the background: ``POST /orders/7`` answers at once; the job's end is recorded even after a crash.

The watches are in the file that ``WATCHES`` names, so that they go on after a restart, a crash or a deployment.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from fastapi import FastAPI

from topaz_status import ClientClosedError, JobRef, Outcome, SQLiteStore, StatusClient
from topaz_status.examples.submitting import submit
from topaz_status.fastapi import ClientDep, client_of, status_lifespan

orders: dict[int, str] = {}  # in your app, a table
tasks: set[asyncio.Task[None]] = set()


def record(outcome: Outcome) -> None:
    """Record the outcome of an order."""
    if not isinstance(outcome.error, ClientClosedError):  # the app closes: the next start resumes it
        orders[outcome.tag["order"]] = outcome.state or str(outcome.error)


async def finish(client: StatusClient, order: int, job: JobRef) -> None:
    """Wait for the end of a new job, and record it."""
    async with client.watch(job, tag={"order": order}) as watch:
        record(await watch.outcome())  # leaving the block without an exception acknowledges the outcome


async def resume(client: StatusClient) -> None:
    """Wait for the jobs of earlier runs, and record their ends."""
    async for outcome in client.resume():
        record(outcome)  # asking for the next one acknowledges it


def in_background(work: Coroutine[None, None, None]) -> None:
    """Run ``work`` beside the handlers; it ends by itself when the client is closed."""
    tasks.add(task := asyncio.create_task(work))
    task.add_done_callback(tasks.discard)


@asynccontextmanager
async def at_startup(app: FastAPI) -> AsyncIterator[None]:
    """Resume the watches of earlier runs."""
    in_background(resume(client_of(app)))
    yield


def new_client() -> StatusClient:
    """Make the client; called each time the app starts."""
    return StatusClient(rate=20, store=SQLiteStore(os.environ.get("WATCHES", "watches.db")))


app = FastAPI(lifespan=status_lifespan(new_client, inner=at_startup))


@app.post("/orders/{order}", status_code=202)
async def submit_order(order: int, client: ClientDep) -> None:
    """Submit a job, and answer before it has ended."""
    orders[order] = "submitted"
    in_background(finish(client, order, await submit(duration=2.0)))


@app.get("/orders/{order}")
async def order_status(order: int) -> str:
    """Answer with the recorded state of an order."""
    return orders.get(order, "unknown")
