"""One client for each app: it opens and closes with the app, and every handler can get it.

A handler asks for it by its type, ``ClientDep``:

    app = FastAPI(lifespan=status_lifespan(rate=20))

    @app.get("/orders/{order_id}")
    async def order(order_id: str, client: ClientDep) -> ImageStatus:
        return await client.image.get(process_id_of(order_id))
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from ..client import StatusClient
from ..errors import ConfigurationError
from .app_state import AppState
from .operators import STATE, report
from .signals import on_signal

_NO_CLIENT: Final = (
    "the app has no client: no status_lifespan has run. Give lifespan=status_lifespan(…) to the outermost app: "
    "a server runs no lifespan of an app that is mounted in another, and none at all with --lifespan off"
)

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def status_lifespan(
    factory: Callable[..., StatusClient] = StatusClient, *, inner: Lifespan | None = None, **settings: Any
) -> Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Make a lifespan that opens one client for the app: ``FastAPI(lifespan=status_lifespan(rate=20))``.

    The client opens before the app's own lifespan begins and closes after it has ended. On SIGTERM or SIGINT, streams
    and long polls end by themselves. So the server need not wait for its connections, even if it sets no limit to that
    wait. A server that is stopped in another way must call :func:`end_streams` first. Examples are a server that
    runs in a thread other than the main one, and one that is stopped by a flag.

    Args:
        factory: makes the client each time the app starts; by default :class:`StatusClient`.
        inner: the app's own lifespan; the state that it yields becomes part of the app's state.
        settings: keyword arguments of ``factory``; settings that are left out come from the environment, as always.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with factory(**settings) as client:
            app_state = AppState(client)
            setattr(app.state, STATE, app_state)
            try:
                with on_signal(app_state.close):
                    async with _inner(inner, app) as state:
                        yield {**state, STATE: app_state}
            finally:
                app_state.close()
                delattr(app.state, STATE)

    return lifespan


@asynccontextmanager
async def _inner(lifespan: Lifespan | None, app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    if lifespan is None:
        yield {}
        return
    async with lifespan(app) as state:
        yield state or {}


def app_state_of(where: HTTPConnection | FastAPI) -> AppState:
    """Return the state of an app, of the app that serves a request, or of the app in which that one is mounted.

    Raises:
        ConfigurationError: the app has another lifespan, or its lifespan has not begun.
    """
    states = (where.state,) if isinstance(where, FastAPI) else (where.app.state, where.state)
    for state in states:
        if isinstance(app_state := getattr(state, STATE, None), AppState):
            return app_state
    raise ConfigurationError(_NO_CLIENT)


def client_of(where: HTTPConnection | FastAPI) -> StatusClient:
    """Return the client of an app, or of the app that serves a request; for code outside handlers (an inner lifespan).

    Raises:
        ConfigurationError: as for :func:`app_state_of`.
    """
    return app_state_of(where).client


Reported = Annotated[None, Depends(report)]


async def get_client(connection: HTTPConnection, _reported: Reported = None) -> StatusClient:
    """Return the client: the dependency of :data:`ClientDep`. ``app.dependency_overrides[get_client]`` replaces it."""
    return client_of(connection)


async def get_app_state(connection: HTTPConnection, _reported: Reported = None) -> AppState:
    """Return the app's state: the dependency of :data:`AppStateDep`."""
    return app_state_of(connection)


def end_streams(app: FastAPI) -> None:
    """End the app's streams and long polls, and each new one at once: for a server that is stopped without a signal.

    Call it on the app's event loop only. It does nothing if the lifespan has ended already.
    """
    if isinstance(app_state := getattr(app.state, STATE, None), AppState):
        app_state.close()


ClientDep = Annotated[StatusClient, Depends(get_client)]
"""The app's client, as a handler's parameter: ``async def handler(client: ClientDep)``."""
AppStateDep = Annotated[AppState, Depends(get_app_state)]
"""The app's state, as a handler's parameter."""
