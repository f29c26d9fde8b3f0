"""What is kept of a watch, and what a store of such rows has to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import attrs

from ..core.policy import DAY
from ..models.job import JobRef

RETENTION: Final = 30 * DAY
"""Seconds for which a row that nothing happens to is kept: the services themselves keep a job for seven days."""


@attrs.frozen
class End:
    """The outcome of a watch."""

    polls: int
    waited: float
    """Seconds."""
    detected_at: float
    """Unix seconds."""
    error: str | None = None
    """What the service answered, as JSON, where no terminal status tells it (see :mod:`.json_codec`)."""
    handed_out: bool = False
    """True once somebody was given it, or was about to be."""


@attrs.frozen(kw_only=True)
class Row:
    """One watch, from before its first poll until its outcome is acknowledged. Times are Unix seconds."""

    number: int
    """Of the watch: a job that is watched anew gets a higher one."""
    job: JobRef
    started_at: float
    submitted_at: float | None = None
    eta: float | None = None
    timeout: float | None = None
    """Seconds from the start, ``None`` for no limit."""
    deadline: float | None = None
    """``None`` without a timeout, and once the timeout has been told: taken up again, it begins anew."""
    tag: str | None = None
    """The caller's own, as JSON."""
    status: str | None = None
    """The status in which the job was last seen to change its state, as JSON."""
    end: End | None = None
    """``None`` while the watch is unfinished."""

    def is_stale(self, since: float) -> bool:
        """Tell whether nothing has happened to it, and it was to wait for nothing, after ``since``."""
        if self.end is not None:
            return self.end.detected_at < since
        return max(self.started_at, self.started_at if self.deadline is None else self.deadline) < since


@attrs.frozen
class Opening:
    """What a store says when it is opened."""

    last_number: int
    """No row had a higher one."""
    purged: int
    """Rows that were too old to be kept."""


class WatchStore(Protocol):
    """A table of rows, one a job. All calls come from one thread at a time, that of the client, and may block.

    Whatever a call raises ends what waited for it with a :class:`~topaz_status.StoreError`.
    """

    def open(self, now: float) -> Opening:
        """Make ready, for this client alone; ``now`` is Unix seconds.

        Raises:
            StoreError: it is in use, damaged, or cannot be written to.
        """

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> None:
        """Put rows in, and take out those numbered in ``gone``: all or nothing, and safe once this returns.

        Safe from this process being killed at any moment; with ``flush`` from the power going, too.
        A row takes the place of one with the same job and a lower number; it is passed over where the number there is
        higher. A number that is not there is passed over, too.

        Raises:
            StoreError: nothing was written.
        """

    def load(self) -> Sequence[Row]:
        """Give all rows, in the order of their numbers."""

    def close(self) -> None:
        """Let go of it, whether it was opened or not."""
