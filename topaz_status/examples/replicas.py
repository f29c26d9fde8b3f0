"""Completion in the background for any number of replicas: what a replica leaves, another one finishes.

The watches are in the PostgreSQL database that ``DATABASE_URL`` names. ``LEASE`` is how many seconds a replica may be
silent before the others take over its orders.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from topaz_status import ClientClosedError, JobRef, Outcome, PostgresStore, StatusClient, StoreError
from topaz_status.examples.submitting import submit
from topaz_status.fastapi import ClientDep, client_of, status_lifespan

orders: dict[int, str] = {}  # in your app, a table that all replicas share, with one row an order
tasks: set[asyncio.Task[None]] = set()


def record(outcome: Outcome) -> None:
    """Record the outcome of an order; an outcome may come twice, so this may run twice."""
    error = outcome.error
    if isinstance(error, ClientClosedError):  # the app closes: another replica goes on
        return
    if isinstance(error, StoreError) and error.taken_over_by:  # that replica records it
        return
    orders[outcome.tag["order"]] = outcome.state or str(error)


async def finish(client: StatusClient, order: int, job: JobRef) -> None:
    """Wait for the end of a new job, and record it."""
    with suppress(StoreError):  # it was not acknowledged: another replica has it, or a later resume() brings it again
        async with client.watch(job, tag={"order": order}) as watch:
            record(await watch.outcome())  # leaving the block without an exception acknowledges the outcome


async def follow(client: StatusClient) -> None:
    """Finish what other replicas have left, for as long as the app runs."""
    async for outcome in client.resume(follow=True):
        record(outcome)  # asking for the next one acknowledges it


def in_background(work: Coroutine[None, None, None]) -> None:
    """Run ``work`` beside the handlers; it ends by itself when the client is closed."""
    tasks.add(task := asyncio.create_task(work))
    task.add_done_callback(tasks.discard)


@asynccontextmanager
async def at_startup(app: FastAPI) -> AsyncIterator[None]:
    """Take over what other replicas have left, now and later."""
    in_background(follow(client_of(app)))
    yield


def new_client() -> StatusClient:
    """Make the client; called each time the app starts."""
    store = PostgresStore(os.environ["DATABASE_URL"], consumer="orders", lease=float(os.environ.get("LEASE", "30")))
    return StatusClient(rate=10, store=store)


app = FastAPI(lifespan=status_lifespan(new_client, inner=at_startup))


@app.post("/orders/{order}", status_code=202)
async def submit_order(order: int, client: ClientDep) -> None:
    """Submit a job, and answer before it has ended."""
    orders[order] = "submitted"
    in_background(finish(client, order, await submit(duration=2.0)))


@app.get("/orders/{order}")
async def order_status(order: int) -> str:
    """Answer with the state of an order that this replica has recorded."""
    return orders.get(order, "unknown")
