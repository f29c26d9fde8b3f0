"""What the schedule chooses among: something that can be looked at, the state it is in, and the look that it gives."""

from __future__ import annotations

from typing import Final

import attrs

from ...models.job import JobKind, JobRef

WAITING: Final = -1
"""In the agenda, for its time."""
COVERED: Final = -2
"""Not in the agenda: a page answers for it."""
IN_FLIGHT: Final = -3
"""Not in the agenda: a look is on the wire."""
REMOVED: Final = -4
"""Not in the agenda, and never again."""


class Entry:
    """Something that can be looked at: a job, or a page of them."""

    __slots__ = ("due_at", "level", "remind_at", "urgent")

    due_at: float
    remind_at: float
    """While it is due: when to come back to it; infinite for never."""
    level: int
    """Its rung in the agenda while it is due, 0 or above; else its state, such as :data:`WAITING`."""
    urgent: bool

    @property
    def kind(self) -> JobKind:
        """Whose budget a look comes out of."""
        raise NotImplementedError

    def send(self) -> Poll:
        """Give the look; it is on the wire from now on."""
        raise NotImplementedError

    def worth_at(self, now: float) -> float:
        """Give the worth of a look at ``now``, in seconds of waiting."""
        raise NotImplementedError

    def reaches_at(self, worth: float, now: float) -> float:
        """Give about the time, after ``now`` and finite, at which a look will have that worth."""
        raise NotImplementedError


@attrs.define  # not frozen, as is whatever is made for each look: that would cost half a microsecond a field
class JobPoll:
    """Ask for one job by itself."""

    job: JobRef
    entry: Entry | None = attrs.field(default=None, eq=False, repr=False)
    """What the schedule keeps of the job, to have it at hand."""

    @property
    def kind(self) -> JobKind:
        """Whose budget it comes out of."""
        return self.job.kind


@attrs.frozen
class PagePoll:
    """Ask for one page of a list."""

    kind: JobKind
    cursor: str | None
    limit: int


Poll = JobPoll | PagePoll
