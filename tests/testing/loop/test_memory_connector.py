"""aiohttp through memory: no sockets, virtual time, the simulator's clock."""

from __future__ import annotations

import asyncio
import io

import aiohttp
import pytest
from aiohttp import web

import topaz_status.testing
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator, run_virtual


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=await request.content.read(), headers={"X-Peer": str(request.remote)})


@pytest.mark.virtual_time
async def test_latency_is_paid_each_way_and_once_more_to_connect() -> None:
    """A first request takes two round trips, the next one on the same connection takes one."""
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=MemoryConnector(web.Server(_echo), latency=0.05)) as session:
        for expected in (0.2, 0.3):
            async with session.post(MEMORY_URL, data=b"hello") as response:
                assert await response.read() == b"hello"
            assert loop.time() == pytest.approx(expected)


@pytest.mark.virtual_time
async def test_large_bodies_pass_whole() -> None:
    """Ten megabytes go through flow control both ways, unchanged; every host leads to the one server."""
    data = bytes(range(256)) * 40_000
    server = web.Server(_echo)
    async with aiohttp.ClientSession(connector=MemoryConnector(server, latency=0.01)) as session:
        async with session.post("http://example.invalid/", data=io.BytesIO(data)) as response:
            assert await response.read() == data
        assert len(server.connections) == 1


@pytest.mark.virtual_time
async def test_connecting_can_time_out() -> None:
    """A connection whose round trip is longer than the client waits is a timeout."""
    timeout = aiohttp.ClientTimeout(sock_connect=1.0)
    connector = MemoryConnector(web.Server(_echo), latency=2.0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        with pytest.raises(TimeoutError):
            await session.get(MEMORY_URL)


@pytest.mark.virtual_time
async def test_closing_the_session_closes_the_servers_end() -> None:
    """After the client has gone, no connection is left on the server."""
    server = web.Server(_echo)
    async with aiohttp.ClientSession(connector=MemoryConnector(server)) as session:
        await asyncio.gather(*(session.get(MEMORY_URL) for _ in range(5)))
        assert server.connections
    await asyncio.sleep(1.0)
    assert not server.connections


def test_jobs_added_before_the_loop_runs_begin_with_it() -> None:
    """A simulator's clock begins when it is first used on a loop, and goes on there."""
    simulator = Simulator()
    job = simulator.add_image(duration=10.0)

    async def main() -> str:
        async with simulator.session(headers={"X-API-Key": "k"}) as session:
            await asyncio.sleep(9.0)
            async with session.get(f"{simulator.base_url}/image/v1/status/{job.id}") as response:
                first = (await response.json())["status"]
            await asyncio.sleep(10.0)
            async with session.get(f"{simulator.base_url}/image/v1/status/{job.id}") as response:
                return f"{first}, {(await response.json())['status']}"

    assert run_virtual(main(), start=500.0) == "Processing, Completed"
    assert simulator.truth(job).ends_at == 519.0
    assert repr(simulator) == "<Simulator now=10.000 jobs=1 requests=2 in_flight=0 rate_limited=0>"


def test_public_names() -> None:
    """Every public name is there, in order, and found where it is imported on demand."""
    names = topaz_status.testing.__all__
    assert set(names) == set(topaz_status.testing._HOMES)
    assert all(getattr(topaz_status.testing, name) is not None for name in names)
    assert set(names) <= set(dir(topaz_status.testing))
    with pytest.raises(AttributeError, match="nothing"):
        topaz_status.testing.nothing  # noqa: B018
