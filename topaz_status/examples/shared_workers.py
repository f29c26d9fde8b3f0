"""Workers that share an account: ``TOPAZ_STATUS_REDIS_URL=redis://127.0.0.1 uvicorn --workers 4 …shared_workers:app``.

One worker polls for all of them. A job that was submitted in one worker is streamed by any other.
"""

import os

from fastapi import FastAPI

from topaz_status.examples.submitting import submit
from topaz_status.fastapi import PUBLIC, ClientDep, status_lifespan, status_router
from topaz_status.redis import RedisCoordinator

app = FastAPI(lifespan=status_lifespan(rate=20, coordinator=RedisCoordinator()))  # the rate of all workers together
app.include_router(status_router(authorize=PUBLIC), prefix="/status")  # your app decides who may see which job


@app.post("/images", status_code=202)
async def image(client: ClientDep) -> dict[str, str]:
    """Submit a job, and answer with the URL of its events, which any worker serves."""
    job = await submit(duration=2.0)
    client.watch(job)
    return {"events": f"status/jobs/{job.kind}/{job.id}/events"}


@app.get("/worker")
async def worker(client: ClientDep) -> dict[str, str | int]:
    """Answer which worker this is, and what it is for the others."""
    shared = client.stats().shared
    return {"process": os.getpid(), "role": "" if shared is None else shared.role}
