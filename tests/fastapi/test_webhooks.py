"""The receiver of webhooks: a secret in the path, any body at all, and a poll as the only effect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from harness import client_of, now, options, polls_of, until, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status import ConfigurationError, JobRef, JobState, PollPolicy, StatusClient
from topaz_status.fastapi.lifespan import ClientDep, get_client, status_lifespan
from topaz_status.fastapi.webhooks import BODY_PATIENCE, LARGEST_BODY, webhook_router
from topaz_status.testing import Simulator, run_virtual

SECRET = "s3cret-_.~abcdefghij"
URL = f"/hooks/{SECRET}"
Receive = Callable[[], Awaitable[dict[str, Any]]]


def app_of(client: StatusClient) -> FastAPI:
    """An app with nothing but the receiver, for a client that is open."""
    app = FastAPI()
    app.include_router(webhook_router(secret=SECRET), prefix="/hooks")

    async def the_client() -> StatusClient:
        return client

    app.dependency_overrides[get_client] = the_client
    return app


@contextlib.asynccontextmanager
async def vendor(client: StatusClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client that posts to the app."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(client)), base_url="http://test") as posting:
        yield posting


def notice(job: JobRef, status: str = "Completed") -> dict[str, Any]:
    """The body of an image's webhook, as documented."""
    links = dict.fromkeys(("download_url", "head_url", "input_download_url", "input_head_url"), "https://x.test/y?z=1")
    times = {"creation_time": 1, "modification_time": 2, "progress": 100}
    return {"notification_id": "01JD", "process_id": job.id, "status": status, **times, **links}


async def post(app: FastAPI, receive: Receive, path: str = URL) -> int:
    """Post a body piece by piece, as a server hands it on; the status of the answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    return int(sent[0]["status"])


@virtual
async def test_the_lag_is_one_round_trip() -> None:
    """A notice about a watched job's end brings its result after the time of one answer, whatever was planned."""
    simulator = Simulator(delay=0.2)
    job = simulator.add_image(duration=1000, eta="absent")
    async with client_of(simulator, policy=PollPolicy(price=50)) as client, vendor(client) as posting:
        watch = client.watch(job)
        await asyncio.sleep(simulator.truth(job).ends_at - now() + 0.0001)
        assert not watch.done()
        heard_at = now()
        assert (await posting.post(URL, json=notice(job))).status_code == 204
        assert (await watch).state is JobState.COMPLETED
        assert now() - heard_at == pytest.approx(0.2)


@virtual
async def test_forged_repeated_and_late_ones_change_nothing() -> None:
    """What a notice says is not believed, and a storm of them costs no more than one poll each ``min_interval``."""
    simulator = Simulator(delay=0.01)
    job = simulator.add_image(duration=1000, eta="absent")
    async with client_of(simulator, policy=PollPolicy(price=50, min_interval=1.0)) as client, vendor(client) as posting:
        watch = client.watch(job)
        await asyncio.sleep(100)
        before = len(polls_of(simulator, job))
        for status in ("Completed", "Failed", "Cancelled", "Processing", "Completed") * 40:
            assert (await posting.post(URL, json=notice(job, status))).status_code == 204
        await asyncio.sleep(5)
        assert len(polls_of(simulator, job)) == before + 1
        assert not watch.done()
        assert watch.status is not None
        assert watch.status.state is JobState.RUNNING
        watch.cancel()


@virtual
async def test_a_job_that_nobody_watches() -> None:
    """A notice about a job that is not watched costs nothing: no request goes out for a stranger's word."""
    simulator = Simulator()
    job = simulator.add_image()
    async with client_of(simulator) as client, vendor(client) as posting:
        assert (await posting.post(URL, json=notice(job))).status_code == 204
        await asyncio.sleep(10)
        assert simulator.log == ()


@pytest.mark.parametrize("path", ["/hooks/wrong", "/hooks/" + SECRET[:-1], "/hooks/" + SECRET.upper(), "/hooks/é%00"])
@virtual
async def test_a_wrong_secret(path: str) -> None:
    """A wrong secret is answered as a path that does not exist, its body is not read, and nothing is polled."""
    simulator = Simulator()
    job = simulator.add_image(duration=1000, eta="absent")
    async with client_of(simulator, policy=PollPolicy(price=50)) as client, vendor(client) as posting:
        watch = client.watch(job)
        await asyncio.sleep(100)
        before = len(simulator.log)
        answer = await posting.post(path, json=notice(job))
        elsewhere = await posting.post("/nowhere/at/all")
        assert (answer.status_code, answer.content) == (404, elsewhere.content)
        assert answer.headers.keys() == elsewhere.headers.keys()
        await asyncio.sleep(1)
        assert len(simulator.log) == before
        watch.cancel()

        async def receive() -> dict[str, Any]:
            raise AssertionError("the body was asked for")

        assert await post(app_of(client), receive, path) == 404


@given(st.binary(max_size=200) | st.text().map(str.encode) | st.dictionaries(st.text(), st.text()).map(json.dumps))
@settings(max_examples=60)
def test_rubbish_with_the_right_secret(body: bytes | str) -> None:
    """Any bytes at all are answered 204: a 4xx would have the vendor drop its notices for good."""

    async def main() -> None:
        async with client_of(Simulator()) as client, vendor(client) as posting:
            answer = await posting.post(URL, content=body)
            assert (answer.status_code, answer.content) == (204, b"")

    run_virtual(main())


@virtual
async def test_a_body_without_end() -> None:
    """No more than the bound is kept of a body, however long it goes on; the answer does not wait for the rest."""
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 4096, "more_body": True}

    async with client_of(Simulator()) as client:
        assert await post(app_of(client), receive) == 204
    assert pieces == LARGEST_BODY // 4096 + 1


@virtual
async def test_a_body_that_does_not_come() -> None:
    """A body that stops on the way is waited for a few seconds, and one whose sender has gone not at all."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async with client_of(Simulator()) as client:
        assert await post(app_of(client), receive) == 204
        assert now() == pytest.approx(BODY_PATIENCE)
        messages.append({"type": "http.disconnect"})
        assert await post(app_of(client), receive) == 204
        assert now() == pytest.approx(BODY_PATIENCE)


@virtual
async def test_the_largest_notice_that_is_read() -> None:
    """A notice just within the bound is read, one a byte larger is not."""
    simulator = Simulator()
    job = simulator.add_image(duration=1000, eta="absent")
    async with client_of(simulator, policy=PollPolicy(price=50)) as client, vendor(client) as posting:
        watch = client.watch(job)
        await asyncio.sleep(100)
        for size, expected in ((LARGEST_BODY + 1, 0), (LARGEST_BODY, 1)):
            before = len(simulator.log)
            await posting.post(URL, content=json.dumps(notice(job)).ljust(size).encode())
            await asyncio.sleep(1)
            assert len(simulator.log) - before == expected
        watch.cancel()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "a" * 15,
        "has a space in it now",
        "a/path/of/segments",
        "ünïcödé-sécrét-ab",
        "a" * 20 + "\n",
        None,
        1 << 80,
    ],
)
def test_a_secret_that_is_none(secret: Any) -> None:
    """A secret that could be guessed, or would not stand in a path as it is, is refused, and not repeated."""
    with pytest.raises(ConfigurationError, match="at least 16 characters") as raised:
        webhook_router(secret=secret)
    if secret:
        assert str(secret) not in str(raised.value)


async def test_the_secret_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a ``repr``, nor the schema, nor a log of this library has the secret in it."""
    simulator = Simulator()
    job = simulator.add_image(duration=1)
    with caplog.at_level(logging.DEBUG, logger="topaz_status"):
        async with client_of(simulator) as client:
            app = app_of(client)
            watch = client.watch(job)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as posting:
                await posting.post(URL, json=notice(job))
                schema = (await posting.get("/openapi.json")).text
            await watch
    router = webhook_router(secret=SECRET)
    reported = [repr(router), *map(repr, router.routes), *(repr(vars(route)) for route in router.routes), schema]
    assert caplog.records
    reported += [record.getMessage() for record in caplog.records]
    assert not [text for text in reported if SECRET in text]
    assert "/hooks/" not in schema


async def test_on_a_real_server() -> None:
    """Behind a real server, too, bodies of any size are answered 204, the wrong secret 404, and the watch goes on."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.5)
    async with simulator.serve() as upstream:
        app = FastAPI(lifespan=status_lifespan(**options(topaz_url=upstream, pixelcut_url=upstream)))
        app.include_router(webhook_router(secret=SECRET), prefix="/hooks")

        @app.get("/result")
        async def result(client: ClientDep) -> JobState:
            status = await client.image.watch(job)
            return status.state

        async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=60) as posting:
            waiting = asyncio.create_task(posting.get("/result"))
            for body in (b"x" * 5_000_000, json.dumps(notice(job)).encode(), b"", b"\xff"):
                assert (await posting.post(URL, content=body)).status_code == 204
            assert (await posting.post("/hooks/" + "x" * 30, content=b"x" * 5_000_000)).status_code == 404
            assert (await waiting).json() == "completed"


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an app on a socket of this loop; gives the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
