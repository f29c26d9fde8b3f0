"""A handler that submits a job and answers once it has ended: ``curl -X POST http://127.0.0.1:8000/images``."""

from fastapi import FastAPI, Request

from topaz_status import ImageStatus
from topaz_status.examples.submitting import submit
from topaz_status.fastapi import ClientDep, add_exception_handlers, status_lifespan, wait_or_disconnect

app = FastAPI(lifespan=status_lifespan(rate=20))
add_exception_handlers(app)  # a failed or late job is answered with a problem document and its own HTTP status


@app.post("/images")
async def image(request: Request, client: ClientDep) -> ImageStatus:
    """Submit a job, wait for its end, and answer with its status."""
    job = await submit(duration=2.0)
    return await wait_or_disconnect(request, client.image.watch(job, timeout=60))
