"""A receiver of webhooks: a notice is at most a reason to poll a job now.

The services sign nothing and cannot log in, so the only protection is a secret in the path. Even a notice with the
right secret is not believed: if it is about a watched job, it causes one GET within the budget. Only that GET decides
the job's status. Topaz drops a notice for good after a 4xx and repeats it after a 5xx, so every request with the right
secret is answered 204.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from ..errors import ConfigurationError
from .lifespan import ClientDep

LARGEST_BODY: Final = 1 << 16
"""Bytes of a notice that are held, at most. The services' notices have a few thousand, signed links included."""
BODY_PATIENCE: Final = 5.0
"""Seconds within which a body must arrive."""
_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{16,}")


def webhook_router(*, secret: str) -> APIRouter:
    """Make the route ``POST /{secret}``, which receives the services' webhooks for the client of the app's lifespan.

    The secret is best taken from a variable, such as ``WEBHOOK_SECRET``:

        app.include_router(webhook_router(secret=os.environ["WEBHOOK_SECRET"]), prefix="/webhooks")

    Submit jobs with ``webhook_url=https://…/webhooks/<secret>``. Do not put the router behind a login, because the
    services cannot log in. A wrong secret gets the same 404 as any unknown path.

    The secret is in no log and no ``repr`` of this library. But it is in the path, and servers log paths. So switch
    the access log off for it (``uvicorn --no-access-log``, or a filter), here and in every proxy on the way.

    Args:
        secret: at least 16 letters, digits or ``-._~``: ``python -c "import secrets; print(secrets.token_urlsafe())"``.

    Raises:
        ConfigurationError: the secret is too short, or has characters that a path would escape.
    """
    if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
        raise ConfigurationError("a webhook's secret has at least 16 characters, each a letter, a digit or one of -._~")
    known = secret.encode()
    router = APIRouter()

    @router.post("/{given}", status_code=204, include_in_schema=False)
    async def take_notice(given: str, request: Request, client: ClientDep) -> Response:
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known):
            raise HTTPException(404)
        body = await _body_of(request)
        if body is not None:
            client.notify(body)
        return Response(status_code=204)

    return router


async def _body_of(request: Request) -> bytes | None:
    """Read the body; return ``None`` if it is too large, too slow, or cut short."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            async for piece in request.stream():
                if len(body) + len(piece) > LARGEST_BODY:
                    return None
                body += piece
    except (TimeoutError, ClientDisconnect):
        return None
    return bytes(body)
