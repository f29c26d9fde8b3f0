"""Runs a command on an event loop of its own, and ends it in order on Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

from .exit_codes import INTERRUPTED, TERMINATED

_CODES: Final = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}

Work = Callable[[], Coroutine[Any, Any, int]]


def run(work: Work) -> int:
    """Run a command and return its exit code. A signal cancels it: it cleans up, reports and ends."""
    return asyncio.run(_supervised(work))


async def _supervised(work: Work) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    stopped: list[int] = []

    def stop(code: int) -> None:
        stopped.append(code)
        if task is not None:
            task.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        for number, code in _CODES.items():
            loop.add_signal_handler(number, stop, code)
    try:
        return await work()
    except asyncio.CancelledError:
        if not stopped:
            raise
        return stopped[0]
