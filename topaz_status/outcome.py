"""What became of a watch, as a value."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Final

import attrs

from .errors import TopazStatusError
from .models import JobStatus
from .models.job import JobRef, JobState
from .models.pydantic_schema import PydanticSchema
from .session.durable.receipt import Receipt


@attrs.frozen(kw_only=True)
class Outcome(PydanticSchema):
    """What became of one watch, as a value: nothing about a job is raised here."""

    job: JobRef | None
    """The job; ``None`` only for an item of an async iterable that names no job (then ``tag`` is that item)."""
    tag: Any = None
    """The caller's own."""
    state: JobState | None
    """The terminal state, or ``None`` when the job was lost, timed out, refused, or the client closed."""
    status: JobStatus | None
    """The last status seen."""
    error: TopazStatusError | None
    """Exactly what ``await`` would raise; ``None`` for a completed job."""
    polls: int
    """Looks at the job during this watch."""
    waited: float
    """Seconds from the start of this watch to its end."""
    detected_at: float
    """Unix seconds at which the end was known."""
    redelivered: bool = False
    """True for an outcome that had been handed out before, and that nobody acknowledged."""
    receipt: Receipt | None = attrs.field(default=None, eq=False, repr=False)
    """What :meth:`ack` acknowledges; ``None`` without a store, and where the watch is to be taken up again."""

    def ack(self) -> Awaitable[None]:
        """Acknowledge it: a store forgets it, and :meth:`StatusClient.resume` does not bring it again.

        May be awaited, to know that it is written; need not be. Without a store it does nothing.

        Raises:
            ConfigurationError: the client is closed, or runs on another loop.
            StoreError: when awaited: it could not be written.
        """
        return _NOTHING if self.receipt is None else self.receipt.acknowledge()


class _Nothing:
    """An awaitable that has nothing to wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


_NOTHING: Final = _Nothing()
