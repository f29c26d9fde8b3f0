"""The simulator on an event loop in a thread, for tests that have no running event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from .simulator.simulator import Simulator


@contextmanager
def serve_in_thread(simulator: Simulator) -> Iterator[str]:
    """Serve on a loopback port from a thread and give the base URL.

    Meanwhile the calling thread may add jobs and faults to the simulator and read its truths.
    """
    url: Future[str] = Future()
    leave: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=_run, args=(simulator, url, leave), name="topaz-simulator", daemon=True)
    thread.start()
    try:
        yield url.result()
    finally:
        if url.exception() is None:
            loop, event = leave.result()
            loop.call_soon_threadsafe(event.set)
        thread.join()


def _run(
    simulator: Simulator, url: Future[str], leave: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:
    async def serve() -> None:
        async with simulator.serve() as address:
            event = asyncio.Event()
            leave.set_result((asyncio.get_running_loop(), event))
            url.set_result(address)
            await event.wait()

    try:
        asyncio.run(serve())
    except Exception as problem:  # noqa: BLE001 - the thread that waits for the URL raises it
        if not url.done():
            url.set_exception(problem)
