"""One client for each app: from before its own lifespan begins until after it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from harness import real, until
from serving import served, world

from topaz_status import ConfigurationError, Stats, StatusClient
from topaz_status.fastapi import ClientDep, client_of, end_streams, get_client, status_lifespan
from topaz_status.fastapi.signals import on_signal


@real
async def test_the_app_has_a_lifespan_of_its_own() -> None:
    """The client is open around it, and what it yields is the requests' state."""
    steps = []

    @contextlib.asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        client = app.state.topaz_status.client
        client.stats()
        steps.append("begun")
        yield {"db": "the database"}
        client.stats()
        steps.append("ended")

    app = FastAPI(lifespan=status_lifespan(inner=own))
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        assert state["db"] == "the database"
        assert steps == ["begun"]
        client = app.state.topaz_status.client
    assert steps == ["begun", "ended"]
    with pytest.raises(ConfigurationError, match="closed"):
        client.stats()


@real
async def test_an_app_that_starts_again_has_a_new_client() -> None:
    """A client is opened once; the app may be, any number of times, with settings from the environment each time."""
    made: list[StatusClient] = []

    def factory(**settings: Any) -> StatusClient:
        made.append(StatusClient(**settings))
        return made[-1]

    app = FastAPI(lifespan=status_lifespan(factory, rate=3))
    for _ in range(2):
        async with app.router.lifespan_context(app):
            assert app.state.topaz_status.client is made[-1]
        end_streams(app)
    assert len(made) == 2
    assert "rate=3/s" in repr(made[0])


@real
async def test_a_client_that_cannot_be_made_stops_the_app() -> None:
    """Settings that are unusable are reported when the app starts, not when somebody comes."""
    app = FastAPI(lifespan=status_lifespan(rate=-1))
    with pytest.raises(ConfigurationError, match="rate"):
        async with app.router.lifespan_context(app):
            pass


@real
async def test_an_app_within_an_app_has_the_same_client() -> None:
    """A mounted app has no lifespan; another dependency may stand in for the client, as for any."""
    outer, inner = FastAPI(), FastAPI()

    @inner.get("/same")
    async def same(request: Request, client: ClientDep) -> bool:
        return client is client_of(request)

    @inner.get("/numbers")
    async def numbers(client: ClientDep) -> Stats:
        return client.stats()

    outer.mount("/inner", inner)
    async with world(outer) as w:
        assert (await w.get("/inner/same")).body is True
        assert (await w.get("/inner/numbers")).status == 200
        inner.dependency_overrides[get_client] = lambda: None
        assert (await w.get("/inner/same")).body is False


@real
async def test_without_its_lifespan_an_app_has_no_client() -> None:
    """And says what is missing."""
    app = FastAPI()
    reported: list[str] = []

    @app.get("/")
    async def handler(request: Request) -> None:
        try:
            client_of(request)
        except ConfigurationError as error:
            reported.append(str(error))

    async with served(app) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert "lifespan=status_lifespan" in reported[0]


@contextlib.contextmanager
def handled(calls: list[str]) -> Iterator[None]:
    """A server's own way with SIGTERM."""
    before = signal.signal(signal.SIGTERM, lambda *_: calls.append("server"))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@real
async def test_a_signal_reaches_every_app_and_then_the_server() -> None:
    """Whatever the order in which they leave, those that are left hear it, and the server gets its handler back."""
    calls: list[str] = []
    with handled(calls):
        server = signal.getsignal(signal.SIGTERM)
        first, second = on_signal(lambda: calls.append("first")), on_signal(lambda: calls.append("second"))
        first.__enter__()
        second.__enter__()
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(calls) == 3)
        assert calls[0] == "server"  # ours only leave a word with the loop
        assert set(calls[1:]) == {"first", "second"}
        first.__exit__(None, None, None)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(calls) == 5)
        assert sorted(calls[3:]) == ["second", "server"]
        second.__exit__(None, None, None)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(calls) == 6)
        assert calls[5] == "server"
        signal.signal(signal.SIGTERM, server)


@real
async def test_a_loop_that_listens_for_signals_itself_goes_on_to_hear_them() -> None:
    """Some servers use ``loop.add_signal_handler``: that is not taken away from them."""
    calls: list[str] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, calls.append, "server")
    try:
        with on_signal(lambda: calls.append("ours")):
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: len(calls) == 2)
        assert set(calls) == {"server", "ours"}
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@real
async def test_a_signal_that_nobody_handles_is_left_alone() -> None:
    """Without a server that handles it, SIGTERM ends the process as ever."""
    with on_signal(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_in_another_thread_there_are_no_signals() -> None:
    """An app runs there all the same."""
    ended: list[str] = []

    async def play() -> None:
        app = FastAPI(lifespan=status_lifespan())
        async with app.router.lifespan_context(app):
            ended.append("ran")

    thread = threading.Thread(target=lambda: asyncio.run(play()))
    thread.start()
    thread.join()
    assert ended == ["ran"]
