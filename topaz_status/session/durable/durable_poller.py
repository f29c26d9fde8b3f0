"""A poller with a stored row: its ending waits for the disk."""

from __future__ import annotations

import attrs

from ...core.health.ending import is_final
from ...core.wire.lazy import LazyStatus
from ...errors import StoreError
from ...models.job import JobState
from ...store.base import End
from ...store.json_codec import write_error, write_status
from ..polling.poller import Ending, Poller
from .store_writer import StoreWriter
from .stored_row import StoredRow


@attrs.define(eq=False)
class DurablePoller(Poller):
    """One stream of polls, and the stored row that outlives it."""

    store_writer: StoreWriter = attrs.field(kw_only=True)
    stored_row: StoredRow = attrs.field(kw_only=True)
    _state: JobState | None = attrs.field(default=None, init=False)
    """The state in the store."""
    _observed_end: bool = attrs.field(default=False, init=False)
    """True once a poll has observed the job's end."""
    _final: Ending | None = attrs.field(default=None, init=False)
    """The job's final ending, once it is known."""
    _safe: bool = attrs.field(default=False, init=False)
    """True once the final ending is on disk, or could not be written."""

    @property
    def is_at_work(self) -> bool:
        """True until the ending is known, which is before the ending is on disk."""
        return self._final is None and not self.over.done()

    def take(self, status: LazyStatus, sent_at: float) -> None:
        """Set the status; a change of state goes to the store, for the client that resumes the watch."""
        before = self.word
        super().take(status, sent_at)
        if status.word != before:
            self._note_state()

    def _note_state(self) -> None:
        status = self.status
        self._observed_end = status is not None and status.is_terminal
        if status is not None and not self._observed_end and status.state is not self._state:
            self._state = status.state
            self.store_writer.put(
                self.stored_row, attrs.evolve(self.stored_row.row, status=write_status(status)), flush=False
            )

    def end(self, ending: Ending) -> None:
        """Let the coroutine finish: at once if only the wait is over, else once the outcome is on disk."""
        if self._final is not None:
            if self._safe:
                super().end(self._final)
        elif self.over.done():
            return
        elif is_final(ending.status, ending.error):
            self._final = ending
            self._write(ending)
        else:
            super().end(ending)

    def _write(self, ending: Ending) -> None:
        status = None if ending.status is None else write_status(ending.status)
        error = None if ending.status is not None and ending.status.is_terminal else write_error(ending.error)
        end = End(self.polls, max(0.0, ending.at - self.started_at), ending.detected_at, error)
        before = self.stored_row.row
        self.store_writer.put(
            self.stored_row, attrs.evolve(before, status=status, end=end), lambda error: self._written(error, ending)
        )

    def _written(self, error: StoreError | None, ending: Ending) -> None:
        self._safe = True
        if error is not None:
            self._final = attrs.evolve(ending, error=error)  # the row already has its end; its next write stores it
        super().end(self._final or ending)
        if self.task is None or self.task.done():  # the task never began, or was canceled
            self.settle()
