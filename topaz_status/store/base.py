"""The row that is stored of a watch, and the protocol of a store of such rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import attrs

from ..core.policy import DAY
from ..errors import StoreError
from ..models.job import JobRef

RETENTION: Final = 30 * DAY
"""Seconds for which an unchanged row is kept; the services themselves keep a job for seven days."""


@attrs.frozen
class End:
    """The outcome of a watch."""

    polls: int
    waited: float
    """Seconds from the start of the watch to its end."""
    detected_at: float
    """Unix seconds at which the client learned of the end."""
    error: str | None = None
    """The error as JSON, ``None`` if a terminal status states the end (see :mod:`.json_codec`)."""
    handed_out: bool = False
    """True once the outcome was handed out, or was about to be."""


@attrs.frozen(kw_only=True)
class Row:
    """One watch, from before its first poll until its outcome is acknowledged. Times are Unix seconds."""

    number: int
    """The number of the watch; a job that is watched again gets a higher number."""
    job: JobRef
    started_at: float
    submitted_at: float | None = None
    eta: float | None = None
    timeout: float | None = None
    """Seconds from the start; ``None`` for no limit."""
    deadline: float | None = None
    """``None`` without a timeout, and once the timeout was reported: a resumed watch then begins it anew."""
    tag: str | None = None
    """The tag that the caller gave to the watch, as JSON."""
    status: str | None = None
    """The status of the last known change of the job's state, as JSON."""
    end: End | None = None
    """``None`` while the watch is unfinished."""

    def is_stale(self, since: float) -> bool:
        """Return whether the row's outcome, or its start and deadline, lie before ``since``."""
        if self.end is not None:
            return self.end.detected_at < since
        return max(self.started_at, self.started_at if self.deadline is None else self.deadline) < since


@attrs.frozen
class Opening:
    """What a store returns when it is opened."""

    last_number: int
    """The highest number that any row has had."""
    purged: int
    """How many rows were deleted because they were too old."""


class WatchStore(Protocol):
    """A table of rows, one per job. All calls come from one thread at a time, the client's own, and may block.

    If a call raises, everything that waited for it ends with a :class:`~topaz_status.StoreError`.
    """

    def open(self, now: float) -> Opening:
        """Open the store for this client alone; ``now`` is in Unix seconds.

        Raises:
            StoreError: the store is in use, is damaged, or cannot be written to.
        """

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> Mapping[int, StoreError] | None:
        """Write ``rows``, and delete the rows whose numbers are in ``gone``: all or nothing.

        Once this returns, the change survives a kill of this process at any moment; with ``flush`` it also survives a
        power failure. A row replaces the row of the same job, unless that row has a higher number: then the new row is
        ignored. A number without a row is ignored, too. A store of one client returns ``None``.

        Raises:
            StoreError: nothing was written. If its ``is_transient`` is true, the write is tried again.
        """

    def load(self) -> Sequence[Row]:
        """Return all rows, in the order of their numbers."""

    def close(self) -> None:
        """Close the store, whether it was opened or not."""


@runtime_checkable
class SharedStore(WatchStore, Protocol):
    """A store that many clients use at a time: a row belongs to one of them, its *owner*, while that one lives.

    An owner shows that it lives by renewing its *lease*; each write does so. Rows of an owner that has closed the
    store, or whose lease has lapsed, can be claimed. A claimed row gets a new number below :attr:`Opening.last_number`.

    :meth:`write` returns the rows that are not this client's, by number, each with an error that names who has it. The
    others are written. :meth:`load` returns the rows of this client.
    """

    @property
    def lease(self) -> float:
        """Seconds without a call after which others may claim this client's rows."""

    @property
    def patience(self) -> float:
        """Seconds for which a new row waits while the store fails in a way that may pass."""

    def renew(self) -> Mapping[int, StoreError]:
        """Renew the lease; return the rows that others have claimed since it lapsed, as :meth:`write` does."""

    def claim(self, most: int) -> Sequence[Row]:
        """Make at most ``most`` rows that have no living owner this client's, and return them, oldest first."""
