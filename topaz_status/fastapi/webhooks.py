"""A receiver of webhooks: at most a reason to look at a job now.

The services sign nothing and cannot log in, so the one guard is a secret in the path, and whatever passes it is still
not believed: a notice about a watched job brings one GET, within the budget, and that GET tells how the job fares.
Topaz drops a notice for good after a 4xx and repeats it after a 5xx: whoever knows the secret is answered 204.
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
"""Bytes; the services' notices are a few thousand, signed links and all. No more than this is ever kept of one."""
BODY_PATIENCE: Final = 5.0
"""Seconds for a body to arrive."""
_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{16,}")


def webhook_router(*, secret: str) -> APIRouter:
    """Take the services' webhooks at ``POST /{secret}``, for the client of the app's lifespan.

    ::

        app.include_router(webhook_router(secret=os.environ["WEBHOOK_SECRET"]), prefix="/webhooks")

    and ``webhook_url=https://…/webhooks/<secret>`` when a job is submitted. Do not put the router behind a login: the
    services have none. A wrong secret is a 404 like that of any other path.

    The secret is in no log and no ``repr`` of this library, but it is in the path, and servers log paths: switch the
    access log off for it (``uvicorn --no-access-log``, or a filter), here and in every proxy on the way.

    Args:
        secret: at least 16 letters, digits or ``-._~``: ``python -c "import secrets; print(secrets.token_urlsafe())"``.

    Raises:
        ConfigurationError: the secret is too short, or would not stand in a path as it is.
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
    """Read the body; ``None`` for one that is too large, too slow, or cut short."""
    kept = bytearray()
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            async for piece in request.stream():
                if len(kept) + len(piece) > LARGEST_BODY:
                    return None
                kept += piece
    except (TimeoutError, ClientDisconnect):
        return None
    return bytes(kept)
