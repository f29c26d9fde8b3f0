"""Webhooks: submit with ``webhook_url=https://your.host/hooks/<WEBHOOK_SECRET>``; a job's end is known at once.

To play the service: ``curl -d '{"process_id": "…"}' http://127.0.0.1:8000/hooks/$WEBHOOK_SECRET``.
"""

import os

from fastapi import FastAPI, Request

from topaz_status import ImageStatus
from topaz_status.fastapi import (
    ClientDep,
    add_exception_handlers,
    status_lifespan,
    wait_or_disconnect,
    webhook_router,
)

app = FastAPI(lifespan=status_lifespan(rate=20))
add_exception_handlers(app)
app.include_router(webhook_router(secret=os.environ["WEBHOOK_SECRET"]), prefix="/hooks")


@app.get("/images/{process_id}")
async def image(process_id: str, request: Request, client: ClientDep) -> ImageStatus:
    """Wait for the end of one image job."""
    return await wait_or_disconnect(request, client.image.watch(process_id, timeout=600))
