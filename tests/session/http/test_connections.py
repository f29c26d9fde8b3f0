"""On real sockets: what each host is sent, through sessions of our own and through one that a caller brings."""

# ruff: noqa: SIM117  # a server and its client are two things

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from harness import PIXELCUT_KEY, TOPAZ_KEY, Heard, RawServer, http, options, patient_session, real

from topaz_status import ConfigurationError, StatusClient, TopazStatusError, TransportError
from topaz_status.core.wire.requests import STATUS_BYTES

PLAIN = {"host", "accept", "accept-encoding", "user-agent"}
COOKIES = "Set-Cookie: theirs=1; Path=/"


def services(storage_url: str) -> RawServer:
    """Any of the services: every job is done, and its file lies elsewhere."""

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/image/v1/download"):
            body: dict[str, Any] = {"download_url": f"{storage_url}/image?sig=1"}
        elif request.path.startswith("/v1"):
            body = {"job_id": "a", "status": "completed", "result_url": f"{storage_url}/try-on?sig=1"}
        else:
            body = {"process_id": "a", "status": "Completed"}
        return http(orjson.dumps(body), "200 OK", COOKIES)

    return RawServer(reply)


def storage() -> RawServer:
    """A storage host that sends each request on to itself once, and sets cookies."""

    def reply(request: Heard) -> bytes:
        if "again" in request.path:
            return http(b"file", "200 OK", COOKIES)
        return http(b"", "302 Found", f"Location: {request.path}&again=1", COOKIES)

    return RawServer(reply)


def sessions() -> Iterator[dict[str, Any] | None]:
    """None at all, and callers' sessions that hold what is nobody else's business."""
    yield None
    yield {}
    headers = {"X-API-Key": "theirs", "x-secret": "theirs", "Cookie": "a=theirs", "Proxy-Authorization": "theirs"}
    yield {"headers": headers | {"Range": "bytes=7-", "If-Range": "theirs", "Transfer-Encoding": "theirs"}}
    yield {"headers": {"Authorization": "Bearer theirs"}, "cookies": {"session": "theirs"}}
    yield {"raise_for_status": True, "skip_auto_headers": ["Accept-Encoding"]}
    yield {"base_url": "http://127.0.0.1:9/", "timeout": aiohttp.ClientTimeout(total=1e-9), "auto_decompress": False}


async def spy(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """A session's own middleware, which adds what it likes."""
    request.headers["Authorization"] = "Bearer theirs"
    response: aiohttp.ClientResponse = await handler(request)
    return response


@pytest.mark.parametrize("session", [pytest.param(one, id=str(n)) for n, one in enumerate(sessions())])
@pytest.mark.parametrize("nosy", [False, True])
@real
async def test_each_host_is_sent_its_own(session: dict[str, Any] | None, nosy: bool, tmp_path: Path) -> None:
    """Each service gets its key and no other, storage none; nothing of a caller's session goes to anybody."""
    store = storage()
    async with store.serve() as storage_url:
        topaz, pixelcut = services(storage_url), services(storage_url)
        async with topaz.serve() as topaz_url, pixelcut.serve() as pixelcut_url:
            settings = options(topaz_url=topaz_url, pixelcut_url=pixelcut_url)
            if session is None:
                await _use(StatusClient(**settings), tmp_path)
            else:
                more: dict[str, Any] = {"middlewares": (spy,)} if nosy else {}
                jar = aiohttp.CookieJar(unsafe=True)
                async with aiohttp.ClientSession(cookie_jar=jar, **session, **more) as theirs:
                    await _use(StatusClient(session=theirs, **settings), tmp_path)
    for server, key in ((topaz, TOPAZ_KEY), (pixelcut, PIXELCUT_KEY)):
        assert server.heard
        for request in server.heard:
            assert request.headers["x-api-key"] == key
            assert request.headers.keys() <= PLAIN | {"x-api-key", "content-length"}
            assert request.headers.get("content-length", "0") == "0"
            assert "theirs" not in str(request)
    assert len(store.heard) == 4
    for request in store.heard:
        assert request.headers.keys() <= PLAIN
        assert "user-agent" in request.headers
        assert "theirs" not in str(request)
        assert not {TOPAZ_KEY, PIXELCUT_KEY} & set(request.headers.values())


async def _use(client: StatusClient, folder: Path) -> None:
    """Everything that sends a request, each way twice, so that cookies would have come back."""
    async with client:
        for _ in range(2):
            assert (await client.image.watch("a")).is_terminal
            assert (await client.try_on.get("a")).is_terminal
        await client.image.delete("a")
        for job in ("image:a", "try-on:a"):
            assert (await client.save(job, folder)).read_bytes() == b"file"


@real
async def test_a_trace_that_breaks(tmp_path: Path) -> None:
    """A caller's own trace sees what its session sends, and what it raises is an error like any other, without it."""
    server = services("http://127.0.0.1:9")
    trace = aiohttp.TraceConfig()

    async def broken(*args: Any) -> None:
        raise RuntimeError(f"https://h/?sig={TOPAZ_KEY}")

    trace.on_request_start.append(broken)
    async with server.serve() as url, aiohttp.ClientSession(trace_configs=[trace]) as session:
        async with StatusClient(**options(topaz_url=url, session=session)) as client:
            with pytest.raises(TopazStatusError) as raised:
                await client.image.delete("a")
    assert TOPAZ_KEY not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert not server.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@real
async def test_a_request_has_the_headers_that_aiohttp_gives_it(host: str) -> None:
    """Each of them once, though a session of ours puts them together once for all; no request leaves one behind."""
    server = services("http://127.0.0.1:9")
    headers = {"X-API-Key": TOPAZ_KEY, "Accept": "application/json"}
    async with server.serve() as url:
        there = url.replace("127.0.0.1", host)
        async with StatusClient(**options(topaz_url=there)) as client:
            await client.image.get("a")
            await client.image.delete("a")
            await client.image.get("a")
        async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as plain:
            for request in tuple(server.heard):
                await plain.request(request.method, there + request.path)
    ours, theirs = server.heard[:3], server.heard[3:]
    assert [request.method for request in ours] == ["GET", "DELETE", "GET"]
    assert [request.headers for request in ours] == [request.headers for request in theirs]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("over", [0, 1], ids=["just within", "a byte over"])
@real
async def test_an_answer_has_a_bound(over: int, whole: bool) -> None:
    """It holds as well where a caller's session has read the whole before we see it."""
    body = b'{"process_id": "a", "status": "Completed"'.ljust(STATUS_BYTES + over - 1) + b"}"
    server = RawServer(lambda _: http(body))
    async with server.serve() as url, contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(patient_session()) if whole else None
        client = await stack.enter_async_context(StatusClient(**options(topaz_url=url, session=session)))
        if not over:
            assert (await client.image.get("a")).is_terminal
            return
        with pytest.raises(TransportError, match="larger than"):
            await client.image.delete("a")  # which is not sent again


@real
async def test_what_was_sent_when_a_caller_closed_the_session_may_have_been_done() -> None:
    """A caller who deletes must know: only a request that never left reports a closed session."""
    closing: list[asyncio.Task[None]] = []

    async def never(session: aiohttp.ClientSession) -> AsyncIterator[bytes]:
        closing.append(asyncio.create_task(session.close()))
        await asyncio.gather(*closing)
        yield b""

    session = aiohttp.ClientSession()
    server = RawServer(lambda _: never(session))
    async with server.serve() as url, StatusClient(**options(topaz_url=url, session=session)) as client:
        with pytest.raises(TransportError) as raised:
            await client.image.delete("a")
        assert raised.value.maybe_sent
        assert client.stats().total_requests == len(server.heard) == 1
        with pytest.raises(ConfigurationError, match="session is closed"):
            await client.image.delete("a")
    assert len(server.heard) == 1


@real
async def test_an_answer_that_claims_another_protocol_leaves_nothing_open() -> None:
    """Aiohttp hands the connection of a 101 to the one who asked; nobody did."""
    server = RawServer(lambda _: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    async with server.serve() as url, StatusClient(**options(topaz_url=url)) as client:
        with pytest.raises(TopazStatusError):
            await client.image.delete("a")


@real
async def test_proxies_of_the_environment_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through sessions of our own a key goes to its host itself: a proxy in the environment does not see it."""
    proxy = RawServer(lambda _: http(b"{}"))
    server = services("http://127.0.0.1:9")
    async with server.serve() as url, proxy.serve() as proxy_url:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy_url)
        async with StatusClient(**options(topaz_url=url)) as client:
            assert (await client.image.get("a")).is_terminal
    assert not proxy.heard
    assert len(server.heard) == 1
