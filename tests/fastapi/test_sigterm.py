"""A server in a process of its own, as its users start it, is asked to end while a thousand streams are open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp
import pytest
from harness import until
from serving import allow_many_files, events_of

from topaz_status.testing import Simulator

STREAMS, POLLS = 1000, 50


async def started(service: str, loop: str) -> tuple[Process, str]:
    """Start uvicorn without a word about how long it may take to end; gives its URL."""
    keys = {"TOPAZ_API_KEY": "k", "PIXELCUT_API_KEY": "k", "TOPAZ_API_URL": service, "PIXELCUT_API_URL": service}
    arguments = ["app_for_sigterm:app", "--port", "0", "--app-dir", str(Path(__file__).parent), "--loop", loop]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", *arguments, "--no-access-log", "--backlog", "4096",
        env={**os.environ, **keys}, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async for line in process.stderr:
        if b"running on" in line:
            return process, line.decode().split("running on ")[1].split()[0]
    raise AssertionError("the server did not start")


async def watched(http: aiohttp.ClientSession) -> int:
    """Count the jobs that the server watches."""
    async with http.get("/stats") as response:
        watches: dict[str, int] = (await response.json())["watches"]
        return sum(watches.values())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_sigterm_ends_a_thousand_streams_and_the_server(loop: str) -> None:
    """Each stream ends whole and says when to come back, each long poll is answered, and the log holds no traceback."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    allow_many_files()
    simulator, open_streams = Simulator(), 0

    async def stream(http: aiohttp.ClientSession, path: str) -> int | None:
        nonlocal open_streams
        async with http.get(path) as response:
            open_streams += 1
            return [event.retry async for event in events_of(response)][-1]

    async def poll(http: aiohttp.ClientSession, path: str) -> int:
        async with http.get(path) as response:
            return response.status

    async with simulator.serve() as service:
        jobs = [simulator.add_image(duration=3600.0).id for _ in range(10)]
        others = [simulator.add_image(duration=3600.0).id for _ in range(POLLS)]
        process, url = await started(service, loop)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as http:
            streams = [asyncio.create_task(stream(http, f"/jobs/image/{jobs[n % 10]}/events")) for n in range(STREAMS)]
            streams += [asyncio.create_task(stream(http, "/jobs/events"))]
            await until(lambda: open_streams == STREAMS + 1)
            polls = [asyncio.create_task(poll(http, f"/jobs/image/{job}/wait?timeout=60")) for job in others]
            while await watched(http) < len(jobs) + POLLS:  # noqa: ASYNC110  # no event says when all have begun to wait
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert set(await asyncio.gather(*streams)) == {1000}
            assert set(await asyncio.gather(*polls)) == {202}
            _, log = await process.communicate()
    assert process.returncode in {0, -signal.SIGTERM}
    assert b"Finished server process" in log
    assert b"Traceback" not in log
    assert b"rror" not in log
