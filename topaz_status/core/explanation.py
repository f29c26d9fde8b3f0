"""What can be told of the next look at a job."""

from __future__ import annotations

import attrs

from ..models.state import JobRef


@attrs.frozen
class Explanation:
    """Why, and when, a job is looked at next. Times are seconds."""

    job: JobRef
    reason: str
    in_flight: bool
    due_in: float | None
    """Until the next look is due; negative when it is overdue, ``None`` while one is on the wire."""
    looked_ago: float | None
    """Since the last look, ``None`` before the first."""
    longest_gap: float
    """The longest gap allowed at this job's age."""
    predicted_end_in: float | None
    """Until the job's end, by what is known; ``None`` when nothing was told."""
    worth: float
    """Of a look now, in seconds of waiting; due when it reaches ``price``."""
    via_page: bool
    """True when a page of the list answers for it."""
    source: str | None
    """From what its end is judged, such as ``"the service's eta"``."""
    tokens: float
    """Left in the bucket that all looks share."""
    expected_lag: float | None
    """How late its end will be known on average, should it come before the next look (see :mod:`.outlook`)."""

    @classmethod
    def of_none(cls, job: JobRef, tokens: float, reason: str) -> Explanation:
        """There is no next look."""
        return cls(
            job=job,
            reason=reason,
            in_flight=False,
            due_in=None,
            looked_ago=None,
            longest_gap=0.0,
            predicted_end_in=None,
            worth=0.0,
            via_page=False,
            source=None,
            tokens=tokens,
            expected_lag=None,
        )

    def __str__(self) -> str:
        when = "no look is planned" if self.due_in is None else f"next look in {max(0.0, self.due_in):.2f} s"
        late = "" if self.expected_lag is None else f"; an end would be known {self.expected_lag:.2f} s late on average"
        return f"{self.job}: {when}: {self.reason}{late}"
