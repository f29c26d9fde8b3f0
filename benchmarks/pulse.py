"""Measures how long an event loop is blocked: by the garbage collector, and by everything else."""

from __future__ import annotations

import asyncio
import gc
import time
from types import TracebackType
from typing import Any, Final, Self

import attrs

BEAT: Final = 0.001


@attrs.frozen
class Pause:
    """The longest times for which nothing else could run, in CPU seconds, so that a busy machine adds nothing."""

    work: float = 0.0
    """The longest time without the garbage collector's share."""
    collector: float = 0.0
    """The longest single collection."""

    @property
    def milliseconds(self) -> float:
        """The milliseconds of :attr:`work`."""
        return 1e3 * self.work


@attrs.define(eq=False)
class Pulse:
    """A heartbeat each millisecond: the thread's CPU time between two beats is the time the loop was blocked."""

    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop)
    _timer: asyncio.TimerHandle | None = None
    _last: float = 0.0
    _collecting_since: float = 0.0
    _collected: float = 0.0
    """Seconds of garbage collection since the last beat."""
    _work: float = 0.0
    _collector: float = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._collection)
        self._last = time.thread_time()
        self._timer = self._loop.call_later(BEAT, self._beat)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._collection)
        if self._timer is not None:
            self._timer.cancel()

    def begin(self) -> None:
        """Ignore the time since the last beat: other work caused it."""
        self._last, self._collected = time.thread_time(), 0.0

    def pause(self) -> Pause:
        """Return the longest pauses since the last call."""
        self._note()
        worst = Pause(self._work, self._collector)
        self._work = self._collector = 0.0
        return worst

    def _beat(self) -> None:
        self._note()
        self._timer = self._loop.call_later(BEAT, self._beat)

    def _note(self) -> None:
        now = time.thread_time()
        self._work = max(self._work, now - self._last - self._collected)
        self._last, self._collected = now, 0.0

    def _collection(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting_since = time.thread_time()
            return
        took = time.thread_time() - self._collecting_since
        self._collected += took
        self._collector = max(self._collector, took)
