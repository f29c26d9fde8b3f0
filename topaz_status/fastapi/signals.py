"""Hearing that the process is to end, without taking the signal away from whoever handles it.

A server such as uvicorn waits on SIGTERM until its connections are closed, and only then shuts the lifespan down: an
open stream would hold it up for ever, and nothing in ASGI tells the stream. So while the lifespan runs, a handler of
ours stands before the server's, tells the streams, and calls the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import attrs

HEEDED: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def on_signal(call: Callable[[], None]) -> Iterator[None]:
    """Make ``call`` on the running loop when a signal asks the process to end; then whoever handled it goes on.

    Does nothing in a thread other than the main one, where Python hears no signals, and leaves a signal alone that has
    no handler in Python: without a server to handle it, it ends the process as ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        for number in HEEDED:
            stack.enter_context(_before(number, loop, call))
        yield


@contextlib.contextmanager
def _before(number: signal.Signals, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> Iterator[None]:
    previous = signal.getsignal(number)
    if not callable(previous):
        yield
        return
    listener = _Listener(loop, call, previous)
    handler = listener.heard  # one object: a bound method is made anew each time it is asked for
    signal.signal(number, handler)
    try:
        yield
    finally:
        listener.listening = False
        if signal.getsignal(number) is handler:  # else somebody stands before us now, and will go on calling us
            signal.signal(number, previous)


@attrs.define(eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    call: Callable[[], None]
    previous: Callable[[int, FrameType | None], Any]
    listening: bool = True

    def heard(self, number: int, frame: FrameType | None) -> None:
        if self.listening:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self.call)
        self.previous(number, frame)
