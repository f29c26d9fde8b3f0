"""What web clients do not see is in the operator's log: at ERROR, with the remedy, once per cause, without secrets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from harness import options, real, until
from serving import served

from topaz_status import (
    AuthenticationError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    GatewayError,
    JobRef,
    PermissionDeniedError,
    StatusClient,
    StoreError,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.fastapi import (
    PUBLIC,
    ClientDep,
    add_exception_handlers,
    end_streams,
    status_lifespan,
    status_router,
    webhook_router,
)
from topaz_status.testing import Simulator

SECRET = "a-secret-of-sixteen-letters"
JOB = JobRef.parse("image:a")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator has been shown so far, by this library."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "topaz_status" and record.levelno >= logging.ERROR
    ]


def browser(app: FastAPI) -> httpx.AsyncClient:
    """A web client of an app whose lifespan nobody runs."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://app")


def app_that_needs_a_client() -> FastAPI:
    """An app with every way to a client."""
    app = FastAPI(lifespan=status_lifespan(**options()))

    @app.get("/handler")
    async def handler(client: ClientDep) -> float:
        return client.stats().tokens

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, client: ClientDep) -> None:
        await websocket.accept()

    app.include_router(status_router(authorize=PUBLIC))
    app.include_router(webhook_router(secret=SECRET), prefix="/hooks")
    return app


@pytest.mark.parametrize("handlers", [True, False])
@pytest.mark.parametrize("path", ["/handler", "/stats", "/jobs/image/a", "/jobs/image/a/events", f"/hooks/{SECRET}"])
@real
async def test_an_app_whose_lifespan_never_ran_says_so(
    caplog: pytest.LogCaptureFixture, path: str, *, handlers: bool
) -> None:
    """Mounted in another, by each way to a client, with handlers for errors and without; and says it once."""
    inner, outer = app_that_needs_a_client(), FastAPI()
    if handlers:
        add_exception_handlers(inner)
    outer.mount("/sub", inner)
    async with browser(outer) as http:
        for _ in range(3):
            call = http.post if "hooks" in path else http.get
            answer = await call(f"/sub{path}")
            assert answer.status_code == 500
            assert "lifespan" not in answer.text
    [reported] = errors(caplog)
    assert "Give lifespan=status_lifespan(…) to the outermost app" in reported
    assert SECRET not in caplog.text


@pytest.mark.parametrize("handlers", [True, False])
@real
async def test_a_websocket_that_has_no_client_says_so_and_is_refused(
    caplog: pytest.LogCaptureFixture, *, handlers: bool
) -> None:
    """Its client hears that something is wrong, and no more."""
    app = app_that_needs_a_client()
    if handlers:
        add_exception_handlers(app)
    outer = FastAPI()
    outer.mount("/sub", app)
    async with served(outer) as url, aiohttp.ClientSession(url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect("/sub/socket")
    assert len(errors(caplog)) == 1


async def raised_in_a_websocket(app: FastAPI, error: Exception) -> aiohttp.WSMessage:
    """Raise an error in a socket that was accepted; gives what its client receives."""

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, client: ClientDep) -> None:
        await websocket.accept()
        raise error

    async with served(app) as url, aiohttp.ClientSession(url) as http, http.ws_connect("/socket") as heard:
        return await heard.receive()


@real
async def test_a_websocket_is_closed_with_a_code_that_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """1011 for a fault, 1013 for a server that cannot at the moment; the detail is the operator's."""
    for error, code in ((ConfigurationError("no key"), 1011), (StoreError("full", path="/srv/private.db"), 1013)):
        app = FastAPI(lifespan=status_lifespan(**options()))
        add_exception_handlers(app)
        message = await raised_in_a_websocket(app, error)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)
        assert "private" not in str(message.extra)
    assert ["no key" in errors(caplog)[0], "/srv/private.db: full" in errors(caplog)[1]] == [True, True]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ConfigurationError("no API key for image jobs: set TOPAZ_API_KEY"), "set TOPAZ_API_KEY"),
        (StoreError("the disk is full", path="/srv/watches.db"), "/srv/watches.db: the disk is full; check the disk"),
        (AuthenticationError(401, "key sk-123 is wrong", job=JOB), "check TOPAZ_API_KEY"),
        (AuthenticationError(401, "key sk-123 is wrong"), "check TOPAZ_API_KEY or PIXELCUT_API_KEY"),
        (PermissionDeniedError(402, "sk-123", job=JOB), "check the account's credits"),
        (PermissionDeniedError(403, "sk-123", job=JobRef.parse("try-on:a")), "check what the key in PIXELCUT_API_KEY"),
        (
            GatewayError(403, "sk-123", job=JOB),
            "the image service answers 403 instead of it: check the proxy, the firewall and TOPAZ_API_URL",
        ),
        (GatewayError(404, "sk-123"), "in front of the service answers 404 instead of it: check the proxy"),
        (
            CertificateError("cannot connect to api.test: its certificate cannot be trusted (expired)", job=JOB),
            "no answer from the image service: cannot connect to api.test: its certificate cannot be trusted (expired)",
        ),
        (TransportError("cannot connect to the proxy 10.0.0.1:3128: refused", maybe_sent=False), "proxy 10.0.0.1:3128"),
        (TransportError("the proxy 10.0.0.1:3128 asks for credentials (407)"), "the proxy 10.0.0.1:3128 asks"),
        (TransportError("cannot resolve the host name a.test: unknown", maybe_sent=False), "the host name a.test"),
        (
            WatchTimeoutError("late", job=JOB, last_error=TransportError("the proxy p.test:1 asks for credentials")),
            "the proxy p.test:1 asks",
        ),
    ],
)
@pytest.mark.parametrize("where", ["handler", "background", "body"])
@real
async def test_what_web_clients_do_not_see_is_in_the_log(
    caplog: pytest.LogCaptureFixture, error: Exception, remedy: str, where: str
) -> None:
    """Raised in a handler, in a background task or in the body of a stream, though nobody handles it."""
    app = FastAPI(lifespan=status_lifespan(**options()))

    async def fail() -> None:
        raise error

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        await fail()

    @app.get("/handler")
    async def handler(client: ClientDep) -> None:
        await fail()

    @app.get("/background")
    async def background(client: ClientDep, tasks: BackgroundTasks) -> None:
        tasks.add_task(fail)

    @app.get("/body")
    async def stream(client: ClientDep) -> StreamingResponse:
        return StreamingResponse(body())

    async with app.router.lifespan_context(app), browser(app) as http:
        for _ in range(2):
            await http.get(f"/{where}")
    [reported] = errors(caplog)
    assert remedy in reported
    assert "sk-123" not in reported


@real
async def test_a_cause_is_reported_once_whatever_its_requests_ask_for(caplog: pytest.LogCaptureFixture) -> None:
    """Ids that nobody can use are one cause, and another app has a log of its own."""
    for _ in range(2):
        app = FastAPI()
        add_exception_handlers(app)

        @app.get("/{job}")
        async def handler(job: str) -> None:
            JobRef.parse(job)

        async with browser(app) as http:
            for number in range(20):
                assert (await http.get(f"/picture{number}:1")).status_code == 500
    assert len(errors(caplog)) == 2


@pytest.mark.parametrize(
    "error",
    [
        TransportError("no complete answer in time through the proxy p.test:1"),
        TransportError("the connection was lost before an answer came"),
        ClientClosedError("closed"),
        WatchTimeoutError("late", job=JOB),
        WatchTimeoutError("late", job=JOB, last_error=TransportError("no complete answer in time")),
    ],
)
@real
async def test_what_nobody_can_act_on_is_no_error(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    """An ordinary timeout passes, and a server may go away: neither is for an operator to mend."""
    app = FastAPI()
    add_exception_handlers(app)

    @app.get("/")
    async def handler() -> None:
        raise error

    async with browser(app) as http:
        assert (await http.get("/")).status_code in {502, 503, 504}
    assert not errors(caplog)


@real
async def test_a_client_that_is_closed_as_the_app_ends_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A client that comes that late is asked to come back."""
    app = FastAPI(lifespan=status_lifespan(**options()))
    add_exception_handlers(app)

    @app.get("/")
    async def handler(client: ClientDep) -> float:
        await client.aclose()
        return client.stats().tokens

    async with app.router.lifespan_context(app), browser(app) as http:
        end_streams(app)
        answer = await http.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert not errors(caplog)


@real
async def test_a_stream_says_no_more_than_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The end of a watch by a refused key or a store is an event without the detail; the operator has it."""
    simulator = Simulator(seed=1)
    job = simulator.add_image(duration=60.0)
    simulator.revoke("wrong")
    async with simulator.serve() as service:
        app = FastAPI(lifespan=status_lifespan(**options(topaz_url=service, topaz_api_key="wrong")))
        app.include_router(status_router(authorize=PUBLIC))
        path = f"/jobs/image/{job.id}/events"
        async with served(app) as url, aiohttp.ClientSession(url) as http, http.get(path) as stream:
            text = (await stream.content.read()).decode()
    assert "refuses this server's key" in text
    assert "check TOPAZ_API_KEY" in errors(caplog)[0]


class OddClient(StatusClient):
    """A client with a bug."""

    def watch(self, *_: Any, **__: Any) -> Any:
        watch = super().watch("image:a")
        return _Odd(watch)


class _Odd:
    """A handle that fails where no handle should."""

    def __init__(self, watch: Any) -> None:
        self.drop: Callable[[], None] = watch.drop
        self.job = watch.job

    async def updates(self) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield


@real
async def test_a_stream_that_fails_midway_ends_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Its reader does not wait for a change that cannot come."""
    simulator = Simulator(seed=1)
    async with simulator.serve() as service:
        app = FastAPI(lifespan=status_lifespan(OddClient, **options(topaz_url=service)))
        app.include_router(status_router(authorize=PUBLIC))
        async with served(app) as url, aiohttp.ClientSession(url) as http:
            async with http.get("/jobs/image/a/events") as stream:
                assert await stream.content.read() == b""
            await until(lambda: not app.state.topaz_status.waiting)
    [reported] = errors(caplog)
    assert "ZeroDivisionError" in reported
