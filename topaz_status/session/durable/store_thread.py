"""The thread of a store: its calls run there one at a time, and the loop never waits for a disk or a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import attrs

from ...errors import StoreError
from ...store.base import Opening, WatchStore
from ..timing.clock import Clock

T = TypeVar("T")


@attrs.define(eq=False)
class StoreThread:
    """Runs the calls of one client's store."""

    clock: Clock
    store: WatchStore
    _thread: ThreadPoolExecutor = attrs.field(init=False)
    _closing: asyncio.Future[None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="topaz_status store")

    async def open(self) -> Opening:
        """Open the store.

        Raises:
            StoreError: the store cannot be used; it is closed again.
        """
        opening = self.run(lambda: self.store.open(self.clock.wall()))
        try:
            return await asyncio.shield(opening)
        except BaseException as error:
            opening.add_done_callback(retrieve)
            self.close()
            if isinstance(error, Exception) and not isinstance(error, StoreError):
                raise store_failure(error) from error
            raise

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Make a call, after those that were asked for before."""
        return self.clock.loop.run_in_executor(self._thread, call)

    def close(self) -> asyncio.Future[None]:
        """Close the store; once, however often this is called."""
        if self._closing is None:
            self._closing = self.run(self.store.close)
            self._closing.add_done_callback(retrieve)
            self._thread.shutdown(wait=False)
        return self._closing


def error_of(call: asyncio.Future[Any]) -> StoreError | None:
    """Return the error of a call that is done; ``None`` if it did what it was asked for."""
    if call.cancelled():
        return StoreError("the write was given up")
    error = call.exception()
    return error if error is None or isinstance(error, StoreError) else store_failure(error)


def store_failure(error: BaseException) -> StoreError:
    """Return the error of a store that fails in a way of its own."""
    return StoreError(f"the store failed: {error!r}")


def retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a future's exception as retrieved, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()
