"""Four workers of one server share an account: one polls, each streams any job, and a killed one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import aiohttp
import pytest
from real_servers import NEEDS_ONE, executables, running
from serving import events_of

from topaz_status.testing import Simulator

pytestmark = NEEDS_ONE
WORKERS = 4


@contextlib.asynccontextmanager
async def server(service: str, url: str) -> AsyncIterator[str]:
    """Start uvicorn with some workers, as its users do; gives its URL."""
    environment = os.environ | {"TOPAZ_API_KEY": "k", "PIXELCUT_API_KEY": "k", "TOPAZ_STATUS_REDIS_URL": url}
    environment |= {"TOPAZ_API_URL": service, "PIXELCUT_API_URL": service}
    arguments = ["topaz_status.examples.shared_workers:app", "--port", "0", "--workers", str(WORKERS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", *arguments, "--no-access-log", env=environment, stderr=PIPE
    )
    assert process.stderr is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        async for line in process.stderr:
            if b"running on" in line:
                break
        drain = asyncio.ensure_future(process.stderr.read())
        yield line.decode().split("running on ")[1].split()[0]
    finally:
        await stopped(process)
        assert drain is None or b"Traceback" not in await drain


async def stopped(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    await process.wait()


async def asked(url: str, path: str) -> dict[str, object]:
    """Ask over a connection of its own: any worker may answer."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/{path}") as response:
        answer: dict[str, object] = await response.json()
        return answer


async def all_roles(url: str) -> dict[object, object]:
    """The role of each worker; every one of them answers if it is asked often enough."""
    roles: dict[object, object] = {}
    for _ in range(100):
        with contextlib.suppress(aiohttp.ClientError):  # no worker listens yet
            answer = await asked(url, "worker")
            roles[answer["process"]] = answer["role"]
    return roles


async def streamed(url: str, path: str) -> list[str]:
    """The states that a stream sends, over a connection of its own."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/{path}") as response:
        return [event.data["state"] async for event in events_of(response) if event.event == "status"]


@pytest.mark.skipif(sys.platform == "win32", reason="uvicorn's workers share a socket")
async def test_workers_share_one_account() -> None:
    """Each worker streams a job that another one submitted; the requests are one poller's; the leader may die."""
    simulator = Simulator(seed=1)
    with running(next(iter(executables().values()))) as real:
        async with asyncio.timeout(60), simulator.serve() as service, server(service, real.url) as url:
            roles: dict[object, object] = {}

            async def all_there() -> bool:
                roles.update(await all_roles(url))
                return sorted(map(str, roles.values())) == ["follower"] * (WORKERS - 1) + ["leader"]

            while not await all_there():
                roles.clear()
            async with aiohttp.ClientSession() as http, http.post(f"{url}/images") as response:
                path = (await response.json())["events"]
            found = await asyncio.gather(*(streamed(url, path) for _ in range(20)))
            assert {states[-1] for states in found} == {"completed"}
            assert len(simulator.log) < 20
            [leader] = [process for process, role in roles.items() if role == "leader"]
            assert isinstance(leader, int)
            async with aiohttp.ClientSession() as http, http.post(f"{url}/images") as response:
                path = (await response.json())["events"]
            os.kill(leader, signal.SIGKILL)  # uvicorn starts another one
            while True:
                with contextlib.suppress(aiohttp.ClientError):  # the stream was the killed worker's
                    assert (await streamed(url, path))[-1] == "completed"
                    break
            assert not [exchange for exchange in simulator.log if exchange.status == 429]
