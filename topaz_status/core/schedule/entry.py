"""What the schedule chooses among: an entry that can be polled, the state of the entry, and the poll it gives."""

from __future__ import annotations

from typing import Final

import attrs

from ...models.job import JobKind, JobRef

WAITING: Final = -1
"""The entry is in the poll queue and waits for its time."""
COVERED: Final = -2
"""The entry is not in the poll queue, because a page answers for it."""
IN_FLIGHT: Final = -3
"""The entry is not in the poll queue, because its poll is in flight."""
REMOVED: Final = -4
"""The entry is not in the poll queue and never returns."""


class Entry:
    """Something that can be polled: a job, or a page of jobs."""

    __slots__ = ("due_at", "level", "remind_at", "urgent")

    due_at: float
    remind_at: float
    """When to reconsider the entry while it is due; infinite for never."""
    level: int
    """Its level in the poll queue while it is due, 0 or above; else its state, such as :data:`WAITING`."""
    urgent: bool

    @property
    def kind(self) -> JobKind:
        """The kind whose budget pays for a poll."""
        raise NotImplementedError

    def send(self) -> Poll:
        """Return the poll, which is in flight from now on."""
        raise NotImplementedError

    def worth_at(self, now: float) -> float:
        """Return the worth of a poll at ``now``, in seconds of waiting."""
        raise NotImplementedError

    def reaches_at(self, worth: float, now: float) -> float:
        """Return about the time at which a poll will have that worth: finite, and after ``now``."""
        raise NotImplementedError


@attrs.define  # not frozen, like every class made for each poll: that would cost half a microsecond a field
class JobPoll:
    """A poll of one job by itself."""

    job: JobRef
    entry: Entry | None = attrs.field(default=None, eq=False, repr=False)
    """The schedule's entry of the job, which saves a lookup."""

    @property
    def kind(self) -> JobKind:
        """The kind whose budget pays for the poll."""
        return self.job.kind


@attrs.frozen
class PagePoll:
    """A poll of one page of a list."""

    kind: JobKind
    cursor: str | None
    limit: int


Poll = JobPoll | PagePoll
