"""On real sockets: nothing is left open, nothing is sent to hosts that it does not concern, nothing is sent twice."""

# ruff: noqa: SIM117  # a server and its client are two things

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from harness import (
    PIXELCUT_KEY,
    TOPAZ_KEY,
    Axe,
    Heard,
    RawServer,
    at_every_await,
    http,
    options,
    real,
    sockets,
    until,
)

from topaz_status import ClientClosedError, JobRef, JobState, PollPolicy, ServiceError, StatusClient, TransportError
from topaz_status.testing import Simulator

DONE = b'{"process_id": "a", "status": "Completed"}'
RUNNING = b'{"process_id": "a", "status": "Processing"}'


@pytest.mark.parametrize("fault", ["delay", "hang", "slow"])
@real
async def test_closing_in_full_flight(fault: str) -> None:
    """Closing with requests on the wire ends watches, calls and connections at once."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(60)]
    before = sockets()
    async with simulator.serve() as url:
        listening = sockets()
        async with StatusClient(**options(topaz_url=url, max_in_flight=20)) as client:
            await client.image.get(jobs[0])
            simulator.add_fault(fault, seconds=30.0)
            watches = [client.watch(job) for job in jobs]
            calls = [asyncio.create_task(client.image.get(job)) for job in jobs]
            await until(lambda: simulator.stats().in_flight >= 20)
            started = time.monotonic()
        assert time.monotonic() - started < 2.0
        assert all(watch.done() for watch in watches)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {ClientClosedError}
        await until(lambda: not simulator.stats().in_flight)
        assert sockets() == listening
    assert sockets() == before


def test_closing_canceled_on_real_sockets() -> None:
    """A closing that is canceled half-way leaves no connection open either."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator(delay=0.02)
        jobs = [simulator.add_image(duration=1000) for _ in range(3)]
        async with simulator.serve() as url:
            listening = sockets()
            client = await StatusClient(**options(topaz_url=url)).open()
            watches = [client.watch(job) for job in jobs]
            await client.image.get(jobs[0])
            await asyncio.sleep(0.01)
            await axe.fall_on(client.aclose())
            await client.aclose()
            assert all(watch.done() for watch in watches)
            for _ in range(100):
                if sockets() == listening:
                    break
                await asyncio.sleep(0.005)
            assert sockets() == listening

    at_every_await(scenario, least=2, run=lambda main: asyncio.run(main, debug=True))


@real
async def test_a_callers_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's session is used and never closed; what it holds for others is not sent, its settings do not matter."""
    server = RawServer(lambda _: http(DONE))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login them password theirs")
    monkeypatch.setenv("NETRC", str(netrc))
    async with server.serve() as url:
        for settings in (
            {"headers": {"Authorization": "Bearer theirs", "X-API-Key": "theirs", "Cookie": "a=theirs"}},
            {"cookies": {"session": "theirs"}, "raise_for_status": True, "trust_env": True},
            {"base_url": "http://127.0.0.1:9/", "timeout": aiohttp.ClientTimeout(total=1e-9), "auto_decompress": False},
        ):
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar, **settings) as session:
                async with StatusClient(**options(topaz_url=url, session=session)) as client:
                    assert (await client.image.watch("a")).is_terminal
                    assert (await client.image.get("a")).is_terminal
                assert not session.closed
                async with session.get(url + "/mine", timeout=aiohttp.ClientTimeout(5)) as answer:
                    assert answer.status == 200
    for request in server.heard:
        if request.path != "/mine":
            assert request.headers["x-api-key"] == TOPAZ_KEY
            assert "theirs" not in str(request.headers)
            assert not {"authorization", "cookie"} & request.headers.keys()


@real
async def test_a_callers_closed_session() -> None:
    """A caller's session that was closed is an error at the next poll, not a wait for ever."""
    session = aiohttp.ClientSession()
    await session.close()
    async with StatusClient(**options(topaz_url="http://127.0.0.1:9", session=session)) as client:
        outcome = await client.image.watch("a").outcome()
        assert "session is closed" in str(outcome.error)


@real
async def test_keys_go_to_their_own_host_only() -> None:
    """Each key goes to its own service, and neither to where results are stored."""
    topaz, pixelcut = Simulator(), Simulator()
    jobs = [topaz.add_image(duration=0.1), topaz.add_video(duration=0.1), pixelcut.add_try_on(duration=0.1)]
    async with topaz.serve() as topaz_url, pixelcut.serve() as pixelcut_url:
        async with StatusClient(**options(topaz_url=topaz_url, pixelcut_url=pixelcut_url)) as client:
            for job in jobs:
                assert (await client.watch(job)).state is JobState.COMPLETED
                assert (await client.result(job)).url
    assert topaz.stats().keys == {TOPAZ_KEY}
    assert pixelcut.stats().keys == {PIXELCUT_KEY}


@real
async def test_storage_sees_no_key(tmp_path: Path) -> None:
    """The one who stores the results is shown neither a key nor what a caller's session holds."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0), simulator.add_video(duration=0.0), simulator.add_try_on(duration=0.0)]
    async with simulator.serve() as url, aiohttp.ClientSession(headers={"Authorization": "theirs"}) as session:
        async with StatusClient(**options(topaz_url=url, pixelcut_url=url, session=session)) as client:
            for job in jobs:
                assert (await client.save(job, tmp_path)).read_bytes() == simulator.result_bytes(job)
    assert simulator.stats().leaked_keys == 0
    assert simulator.stats().by_service["storage"] == 3


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
)
@real
async def test_no_redirect_is_followed(status: str) -> None:
    """A redirect of the service is never followed: the key would go along."""
    elsewhere = RawServer(lambda _: http(DONE))
    async with elsewhere.serve() as there:
        server = RawServer(lambda _: http(b"", status, f"Location: {there}/image/v1/status/a"))
        async with server.serve() as url, StatusClient(**options(topaz_url=url)) as client:
            with pytest.raises(ServiceError) as raised:
                await client.image.get("a")
            assert raised.value.status_code == int(status[:3])
            with pytest.raises(ServiceError):
                await client.image.delete("a")
    assert not elsewhere.heard
    assert [request.method for request in server.heard] == ["GET", "DELETE"]


def every_second(answer: bytes) -> Callable[[Heard], bytes | None]:
    """Answer the first request on each connection, and drop the connection upon the next."""
    served: set[int] = set()

    def reply(request: Heard) -> bytes | None:
        if request.connection in served:
            return None
        served.add(request.connection)
        return answer

    return reply


@real
async def test_a_delete_is_not_sent_again() -> None:
    """A DELETE that met a dropped connection arrives once, neither repeated by us nor by aiohttp."""
    server = RawServer(every_second(http(DONE)))
    async with server.serve() as url, StatusClient(**options(topaz_url=url)) as client:
        await client.image.get("a")
        for call in (client.image.delete("a"), client.image.delete_all()):
            with pytest.raises(TransportError) as raised:
                await call
            assert raised.value.maybe_sent
            await client.image.get("a")
    assert [request.method for request in server.heard] == ["GET", "DELETE", "GET", "DELETE", "GET"]


@real
async def test_a_get_is_not_sent_behind_our_back() -> None:
    """Each GET that arrives is one that we counted and spent a token on, even when connections drop."""
    server = RawServer(every_second(http(RUNNING)))
    async with server.serve() as url:
        async with StatusClient(**options(topaz_url=url, policy=PollPolicy(min_interval=0.01, price=1e-5))) as client:
            with pytest.raises(TimeoutError):
                await client.image.watch("a", timeout=1.2)
            await client.image.get("a")
            requests = client.stats().requests[JobRef("image", "a").kind]
            assert requests["none"] >= 2
            assert sum(requests.values()) == len(server.heard)


@real
async def test_nobody_there() -> None:
    """Where nobody listens, a DELETE never left and is tried again; a watch says so after ``give_up_after``."""
    server = RawServer(lambda _: http(b"", "204 No Content"))
    async with server.serve() as url:
        pass
    async with StatusClient(**options(topaz_url=url, policy=PollPolicy(give_up_after=0.1))) as client:
        with pytest.raises(TransportError, match="cannot connect") as raised:
            await client.image.watch("a")
        assert not raised.value.maybe_sent
        deleting = asyncio.create_task(client.image.delete("a"))
        await asyncio.sleep(0.1)
        assert not deleting.done()
        back = await asyncio.start_server(server._serve, "127.0.0.1", int(url.rpartition(":")[2]))
        async with back:
            await deleting
            await client.aclose()
    assert [request.method for request in server.heard] == ["DELETE"]


async def endless(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    """An answer that does not end."""
    yield head
    while True:
        yield piece


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 65536),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b" " * 0x8000 + b"\r\n"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536),
        (b"HTTP/1.1 200 ", b"x" * 65536),
    ],
)
@real
async def test_bodies_are_bounded(head: bytes, piece: bytes) -> None:
    """An answer that does not end is cut short: no memory is filled and nobody waits for its end."""
    server = RawServer(lambda _: endless(head, piece))
    async with server.serve() as url, StatusClient(**options(topaz_url=url, request_timeout=5)) as client:
        started = time.monotonic()
        with pytest.raises(TransportError) as raised:
            await client.image.delete("a")
        assert time.monotonic() - started < 4.0
        assert len(str(raised.value)) < 700
