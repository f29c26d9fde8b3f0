"""A virtual-time event loop: hours pass in milliseconds.

The laws of :class:`VirtualLoop`:

1. Time stands still while anything is ready to run; it never passes by itself.
2. When nothing is ready, time jumps exactly to the next timer: a timer never fires early.
3. While a thread works (``run_in_executor``), the loop really waits for it, and no virtual time passes.
4. When nothing is ready and nothing can ever happen, :class:`DeadlockError` says which tasks were waiting, and where.

Do not use sockets or processes on a virtual loop: they run in real time.
Use :class:`.memory_connector.MemoryConnector` instead.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

EPOCH: Final = 1_800_000_000.0
"""Unix time, in seconds, at which a virtual loop's clock reads zero."""

_THREAD_POLL: Final = 0.05
_GRACE: Final = 0.25
_SHOWN: Final = 10

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class DeadlockError(RuntimeError):
    """The program would wait for ever: nothing is ready, no timer is set and no thread works."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves its loop's clock instead of sleeping."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._poll(0)
        if events or timeout == 0:
            return events
        return self.loop.idle(self._poll)

    def _poll(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose :meth:`time` jumps to the next timer when nothing is ready.

    Args:
        start: the first value of :meth:`time`, in seconds.
        epoch: the Unix time, in seconds, at which :meth:`time` would be zero.
    """

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, *, start: float = 0.0, epoch: float = EPOCH) -> None:
        self._now = start
        self._epoch = epoch
        self._threads = 0
        self.jumps = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._jump(start)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def wall_time(self) -> float:
        """Return the virtual Unix time in seconds, for code that would otherwise call ``time.time()``."""
        return self._epoch + self._now

    def idle(
        self, poll: Callable[[float], list[tuple[selectors.SelectorKey, int]]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Act when nothing is ready: wait for threads, jump to the next timer, or raise the deadlock."""
        if self._threads:
            return poll(_THREAD_POLL)
        if self._scheduled:
            self._jump(self._scheduled[0].when())
            self.jumps += 1
            return []
        return self._last_chance(poll)

    def _jump(self, when: float) -> None:
        """Move the clock. Its resolution is one float step, so exactly the timers that are due fire, at any time."""
        self._now = max(self._now, when)
        self._clock_resolution = math.ulp(self._now)

    def _last_chance(
        self, poll: Callable[[float], list[tuple[selectors.SelectorKey, int]]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait a moment of real time, because a thread that the loop does not know of may still call the loop."""
        deadline = time.monotonic() + _GRACE
        while (left := deadline - time.monotonic()) > 0:
            if events := poll(left):
                return events
        raise DeadlockError(f"nothing can ever happen at virtual time {self._now:.6f}; {self._waiting()}")

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        places = [f"{task.get_name()} at {_place(task)}" for task in tasks[:_SHOWN]]
        more = f", and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
        return f"{len(tasks)} tasks wait: " + ", ".join(places) + more

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Run ``func`` in a thread, as asyncio does; virtual time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """Shut down as asyncio does; the thread that joins the executor's threads counts as work in a thread."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._threads -= 1

    def __repr__(self) -> str:
        return f"<VirtualLoop time={self._now:.6f} timers={len(self._scheduled)} jumps={self.jumps}>"


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return "its start"
    code = frames[-1].f_code
    return f"{code.co_filename}:{frames[-1].f_lineno} ({code.co_name})"


def run_virtual(
    main: Coroutine[Any, Any, _T], *, start: float = 0.0, epoch: float = EPOCH, debug: bool | None = None
) -> _T:
    """Run ``main`` on a new :class:`VirtualLoop`, clean up and return the result: ``asyncio.run`` in virtual time.

    Args:
        main: the coroutine to run.
        start: the first reading of the loop's clock, in seconds.
        epoch: the Unix time, in seconds, at which the loop's clock would read zero.
        debug: asyncio's debug mode, as for ``asyncio.run``.

    Raises:
        DeadlockError: the program waits for an event that can never happen.
    """
    with asyncio.Runner(debug=debug, loop_factory=lambda: VirtualLoop(start=start, epoch=epoch)) as runner:
        return runner.run(main)


def loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return what pytest-asyncio's loop factory hook expects for a test in virtual time."""
    return {"virtual": VirtualLoop}
