"""Learns from a signal that the process is to end, and passes the signal on to its previous handler.

On SIGTERM, a server such as uvicorn waits until its connections are closed; only then does it shut the lifespan down.
An open stream would block that for ever, and ASGI has no way to notify the stream. So while the lifespan runs, this
module's handler replaces the server's. It ends the streams, then calls the server's handler.
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

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def on_signal(call: Callable[[], None]) -> Iterator[None]:
    """Call ``call`` on the running loop when a signal asks the process to end; then call the previous handler.

    It does nothing in threads other than the main one, where Python receives no signals. It ignores a signal that has
    no handler in Python: without a server that handles it, the signal ends the process as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        for number in SIGNALS:
            stack.enter_context(_before(number, loop, call))
        yield


@contextlib.contextmanager
def _before(number: signal.Signals, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> Iterator[None]:
    """Install the listener before the previous handler of one signal, if that handler is in Python."""
    previous = signal.getsignal(number)
    if not callable(previous):
        yield
        return
    listener = _Listener(loop, call, previous)
    handler = listener.handle  # one object for both uses: each access makes a new bound method
    signal.signal(number, handler)
    try:
        yield
    finally:
        listener.listening = False
        if signal.getsignal(number) is handler:  # else a later handler has replaced ours, and still calls it
            signal.signal(number, previous)


@attrs.define(eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    call: Callable[[], None]
    previous: Callable[[int, FrameType | None], Any]
    listening: bool = True

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.listening:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self.call)
        self.previous(number, frame)
