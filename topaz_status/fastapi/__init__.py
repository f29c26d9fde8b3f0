"""Jobs in a FastAPI app: ``pip install "topaz-status[fastapi]"``.

With these lines, an app has a handler that waits for a job, and the routes for browsers:

    app = FastAPI(lifespan=status_lifespan())
    add_exception_handlers(app)
    app.include_router(status_router(authorize=signed_in), prefix="/status")

    @app.get("/images/{process_id}")
    async def image(process_id: str, request: Request, client: ClientDep) -> ImageStatus:
        return await wait_or_disconnect(request, client.image.watch(process_id, timeout=30))

- :mod:`.lifespan`: one client for each app.
- :mod:`topaz_status.models.pydantic_schema`: statuses and outcomes as response models.
- :mod:`.router`: routes for a status, a long poll and server-sent events.
- :mod:`.problems`: errors as problem details.
- :mod:`.webhooks`: a receiver of webhooks.
- :mod:`.live_page`: a live page.
- :mod:`.waiting`: a waiting handler ends when its client disconnects.
- :mod:`.signals`: a waiting handler ends when a signal asks the process to end.
"""

from __future__ import annotations

from .lifespan import ClientDep, client_of, end_streams, get_client, status_lifespan
from .live_page import add_page
from .problems import Problem, add_exception_handlers
from .router import PUBLIC, status_router
from .waiting import ClientLeftError, wait_or_disconnect
from .webhooks import webhook_router

__all__ = [
    "PUBLIC",
    "ClientDep",
    "ClientLeftError",
    "Problem",
    "add_exception_handlers",
    "add_page",
    "client_of",
    "end_streams",
    "get_client",
    "status_lifespan",
    "status_router",
    "wait_or_disconnect",
    "webhook_router",
]
