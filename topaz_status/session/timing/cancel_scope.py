"""A cancel scope: ends the enclosed work from outside and raises a chosen exception."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs


@attrs.define(eq=False)
class CancelScope:
    """``with CancelScope(SomeError) as scope:``; :meth:`end` ends the enclosed work with ``SomeError()``.

    As with ``asyncio.timeout``, a cancellation from elsewhere stays a cancellation.
    """

    _error: Callable[[], Exception]
    _task: asyncio.Task[object] | None = attrs.field(default=None, init=False)
    _cancels: int = attrs.field(default=0, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def __enter__(self) -> Self:
        task = self._task = asyncio.current_task()
        if task is not None:
            self._cancels = task.cancelling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._ended and task is not None and task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            failure = self._error()
            try:
                raise failure from None
            finally:
                failure.__context__ = None  # the cancellation's own traceback holds frames that send the key
                del failure

    def end(self) -> None:
        """End the enclosed work, if it is still under way."""
        if self._task is not None and not self._ended:
            self._ended = True
            self._task.cancel()
