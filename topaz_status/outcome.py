"""The outcome of a watch, as a value."""

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
    """The outcome of one watch, as a value: a job's failure is in ``error`` and is not raised.

    Example:
        >>> [outcome] = await client.outcomes([image])
        >>> isinstance(outcome, Outcome), outcome.state.value, outcome.error, outcome.polls > 1, outcome.waited > 50
        (True, 'completed', None, True, True)
    """

    job: JobRef | None
    """The job; ``None`` only for an item of an async iterable that names no job (then ``tag`` is that item)."""
    tag: Any = None
    """The tag that the caller gave to the watch."""
    state: JobState | None
    """The terminal state; ``None`` if the job was lost, timed out or refused, or the client was closed."""
    status: JobStatus | None
    """The last known status."""
    error: TopazStatusError | None
    """The exception that ``await`` would raise; ``None`` for a completed job."""
    polls: int
    """Polls of the job during this watch."""
    waited: float
    """Seconds from the start of this watch to its end."""
    detected_at: float
    """Unix seconds at which the client learned of the end."""
    redelivered: bool = False
    """True if the outcome was handed out before and was not acknowledged."""
    receipt: Receipt | None = attrs.field(default=None, eq=False, repr=False)
    """Used by :meth:`ack`; ``None`` without a store, and for a watch that ``resume()`` will take up again."""

    def ack(self) -> Awaitable[None]:
        """Acknowledge this outcome: the store deletes its row, and :meth:`StatusClient.resume` does not give it again.

        Awaiting the result is optional: it waits until the store has written the change.
        Without a store, :meth:`ack` does nothing.

        Raises:
            ConfigurationError: the client is closed, or runs on another loop.
            StoreError: when awaited: the store could not write the change.
        """
        return _NOTHING if self.receipt is None else self.receipt.acknowledge()


class _Nothing:
    """An awaitable that is done at once."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


_NOTHING: Final = _Nothing()
