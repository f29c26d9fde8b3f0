"""A Django project in one file, with an async view: ``uvicorn topaz_status.examples.django_view:application``.

Watch out:

- Django has no lifespan, so ``application`` answers the server's. Without it nobody would close the client.
- Serve it by ASGI. Under WSGI, or in ``runserver`` without an ASGI server, each async view has a loop of its own, and
  a client belongs to one loop. There, call from a thread as the page on callers that are not async shows.
- Django's ORM calls belong before or after the wait, not around it: a transaction would stay open as long as the job.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from topaz_status import JobError, StatusClient, WatchTimeoutError

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only for this example")  # noqa: S106
client = StatusClient(rate=20)  # made without a loop; opened on the server's


async def image(_: HttpRequest, process_id: UUID) -> JsonResponse:
    """Wait for an image job for at most 30 s."""
    try:
        status = await client.image.watch(str(process_id), timeout=30)
    except WatchTimeoutError:
        return JsonResponse({"state": None}, status=202, headers={"Retry-After": "1"})
    except JobError as error:
        return JsonResponse({"error": str(error)}, status=410)
    return JsonResponse({"state": status.state, "width": status.output_width})


urlpatterns = [path("images/<uuid:process_id>", image)]
django = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Open the client when the server starts, close it when the server stops, and leave requests to Django."""
    if scope["type"] != "lifespan":
        await django(scope, receive, send)
        return
    while (await receive())["type"] == "lifespan.startup":
        await client.open()
        await send({"type": "lifespan.startup.complete"})
    await client.aclose()
    await send({"type": "lifespan.shutdown.complete"})
