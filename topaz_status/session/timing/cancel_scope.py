"""Ending a stretch of work from outside, as an error of its own: what ``asyncio.timeout`` does for one reason alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs


@attrs.define(eq=False)
class CancelScope:
    """``with CancelScope(SomeError) as interrupt:`` where :meth:`ring` ends what is inside with ``SomeError()``.

    As with ``asyncio.timeout``, a cancellation that came from elsewhere stays one.
    """

    _error: Callable[[], Exception]
    _task: asyncio.Task[object] | None = attrs.field(default=None, init=False)
    _canceling: int = attrs.field(default=0, init=False)
    _struck: bool = attrs.field(default=False, init=False)

    def __enter__(self) -> Self:
        task = self._task = asyncio.current_task()
        if task is not None:
            self._canceling = task.cancelling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._struck and task is not None and task.uncancel() <= self._canceling and kind is asyncio.CancelledError:
            failure = self._error()
            try:
                raise failure from None
            finally:
                failure.__context__ = None  # the cancellation's own traceback goes through the sending of the key
                del failure

    def ring(self) -> None:
        """End it, if it is still under way."""
        if self._task is not None and not self._struck:
            self._struck = True
            self._task.cancel()
