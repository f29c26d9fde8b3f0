"""What the tests of the client share: a simulator in virtual time, and a check of what is left when a test is over."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec

import aiohttp
import attrs

from topaz_status import JobKind, JobRef, PollPolicy, StatusClient
from topaz_status.session.engine import Engine
from topaz_status.session.http.transport import Transport
from topaz_status.session.settings import Settings
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator, run_virtual

PATIENCE = 120.0
"""Seconds of real time after which what a test waits for counts as never coming."""

P = ParamSpec("P")
TOPAZ_KEY = "topaz-key-0123456789"
PIXELCUT_KEY = "pixelcut-key-9876543210"
SINGLY = PollPolicy(sweep=False)
"""Every poll asks for one job by itself."""
A_HAIR = 1e-9
"""Seconds: what float arithmetic may cost."""
HANDSHAKE_FAILED = "Error on transport creation for incoming connection"
"""What asyncio's debug mode says for a test's own server whose client hung up, as it does on a bad certificate."""


async def settle(steps: int = 50) -> None:
    """Let everything that is ready run."""
    for _ in range(steps):
        await asyncio.sleep(0)


def free_port() -> int:
    """A port that a server may take, also one of a cluster, which takes the port 10,000 above as well.

    It is below those that systems give to connections, so that no connection takes it before the server does. Tests in
    other processes draw from the same ten thousand.
    """
    drawn = random.SystemRandom()
    while True:
        port = drawn.randrange(12_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


async def until(condition: Callable[[], object], *, step: float = 0.005) -> None:
    """Wait for what no event reports; what never comes is a failure and not a test that hangs."""
    give_up_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up_at, "it never came"
        await asyncio.sleep(step)


async def _checked(test: Coroutine[Any, Any, None]) -> None:
    """Run a test and make sure that it leaves no task and no complaint behind."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 3_600.0  # asyncio's debug mode warns of a slow step: a busy machine is no fault here
    loop.set_exception_handler(
        lambda _, context: complaints.append(f"{context['message']} {context.get('exception')!r}")
    )
    gc.freeze()  # only what the test itself makes is of interest
    try:
        await test
        await settle()
        gc.collect()
        await settle()
    finally:
        gc.unfreeze()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"
    complaints = [text for text in complaints if not text.startswith(HANDSHAKE_FAILED)]
    assert not complaints, complaints


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in virtual time; whatever it leaves behind is a failure."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(_checked(test(*args, **kwargs)))

    return run


def real(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in real time, with asyncio's debug mode; whatever it leaves behind is a failure."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        before = sockets()
        asyncio.run(_checked(test(*args, **kwargs)), debug=True)
        assert sockets() <= before, "a socket is left open"

    return run


def sockets() -> set[str]:
    """The sockets this process has open."""
    names = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            names.add(str(path.readlink()))
    return {name for name in names if name.startswith("socket:")}


def engine_of(client: StatusClient) -> Engine:
    """The parts of an open client: tests reach them through here alone."""
    engine = client._engine
    assert engine is not None
    return engine


def settings_of(client: StatusClient) -> Settings:
    """What a client was made with, keys included: what must show none of them is tested by it."""
    return client._settings


def transport_of(client: StatusClient) -> Transport:
    """What sends a client's requests."""
    return client._transport


def options(**settings: Any) -> dict[str, Any]:
    """Settings of a client with keys and a budget that is never short, unless ``settings`` say so."""
    keys = {"topaz_api_key": TOPAZ_KEY, "pixelcut_api_key": PIXELCUT_KEY}
    plenty = {"rate": 1000.0, "burst": 1000.0, "service_rates": {JobKind.TRY_ON: None}}
    return {**keys, **plenty, **settings}


@contextlib.asynccontextmanager
async def client_of(
    simulator: Simulator | RawServer, *, latency: float = 0.0, **settings: Any
) -> AsyncIterator[StatusClient]:
    """A client of a server in memory."""
    urls = {"topaz_url": MEMORY_URL, "pixelcut_url": MEMORY_URL}
    async with aiohttp.ClientSession(connector=MemoryConnector(simulator, latency=latency)) as session:
        async with StatusClient(**options(**urls, session=session, **settings)) as client:
            yield client
        await settle()


def now() -> float:
    """Seconds of the running loop's clock."""
    return asyncio.get_running_loop().time()


def polls_of(simulator: Simulator, job: JobRef) -> list[float]:
    """When the service was asked for a job by itself."""
    return [exchange.at for exchange in simulator.log if exchange.job == job.id]


@attrs.define
class Axe:
    """Runs a coroutine in a task and cancels that at its ``at``-th await.

    While it waits there, or, with ``late``, when what it waited for has just come and it has not run on yet.
    """

    at: int
    late: bool
    struck: bool = False

    async def fall_on(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` to its end, which is a cancellation if there was an ``at``-th await."""
        task = asyncio.create_task(self._drive(work))
        await asyncio.wait([task])
        assert task.cancelled() or not self.struck, "a cancellation was swallowed"
        await settle()
        return task

    async def _drive(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await _Steps(self, work)


@attrs.define
class _Steps:
    axe: Axe
    work: Coroutine[Any, Any, Any]

    def __await__(self) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        count = 0
        while True:
            try:
                waits_for = self.work.send(None) if error is None else self.work.throw(error)
            except StopIteration as end:
                return end.value
            if count == self.axe.at and not self.axe.struck:
                self._strike(waits_for)
            count += 1
            error = None
            try:
                yield waits_for
            except BaseException as raised:  # noqa: BLE001
                error = raised

    def _strike(self, waits_for: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.axe.struck = True
        if self.axe.late and isinstance(waits_for, asyncio.Future):
            blocking, waits_for._asyncio_future_blocking = waits_for._asyncio_future_blocking, False
            waits_for.add_done_callback(lambda _: task.cancel())
            waits_for._asyncio_future_blocking = blocking
        else:
            task.cancel()


def at_every_await(
    scenario: Callable[[Axe], Coroutine[Any, Any, None]], *, least: int, run: Callable[..., None] = run_virtual
) -> None:
    """Play a scenario once for each await of what the axe falls on, both ways; there are at least so many."""
    for late in (False, True):
        at = 0
        while True:
            axe = Axe(at, late)
            run(_checked(scenario(axe)))
            if not axe.struck:
                break
            at += 1
        assert at >= least, "the scenario is not about as many awaits as it should be"


@attrs.define
class Heard:
    """One request as a raw server heard it; header names are in lower case, values of the same name are joined."""

    method: str
    path: str
    headers: Mapping[str, str]
    connection: int


@attrs.define(eq=False)
class RawServer:
    """Answers requests with whatever bytes ``reply`` gives; ``None`` drops the connection without a word.

    An answer whose list of bytes does not end is sent for as long as somebody reads.
    """

    reply: Callable[[Heard], bytes | AsyncIterator[bytes] | None]
    closing: bool = False
    """Close each connection after its first answer."""
    heard: list[Heard] = attrs.field(factory=list)
    connections: int = 0

    def memory_protocol(self) -> asyncio.BaseProtocol:
        """The server's end of a connection in memory."""
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._serve)

    @contextlib.asynccontextmanager
    async def serve(self, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Serve on loopback, over TLS if there is a context; gives the base URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            scheme = "http" if context is None else "https"
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers: dict[str, str] = {}
                for name, _, value in (line.partition(":") for line in head[1:] if line):
                    before = headers.get(name.lower())
                    headers[name.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
                request = Heard(method, path, headers, connection)
                self.heard.append(request)
                answer = self.reply(request)
                if answer is None:
                    break
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    async for piece in answer:
                        writer.write(piece)
                        await writer.drain()
                if self.closing:
                    break
        writer.close()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """An orderly answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def patient_session() -> aiohttp.ClientSession:
    """A caller's session that has read the whole of an answer before it hands it out."""

    async def read(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        await end.response.content.wait_eof()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(read)
    return aiohttp.ClientSession(trace_configs=[trace], read_bufsize=1 << 24)


class MendedResponse(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not know ``stream_writer``, which aiohttp 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)
