"""Why, and when, a job is polled next, in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ...models.job import JobRef
from ..policy import PollPolicy
from ..prediction.sources import Source
from .entry import IN_FLIGHT, Entry

if TYPE_CHECKING:  # a program that imports a watch but starts none does not load the schedule
    from .page import PageEntry
    from .tracked_job import TrackedJob


@attrs.frozen
class Explanation:
    """Why, and when, a job is polled next. Times are seconds."""

    job: JobRef
    reason: str
    in_flight: bool
    due_in: float | None
    """Seconds until the next poll is due; negative when it is overdue, ``None`` while one is in flight."""
    looked_ago: float | None
    """Seconds since the last poll; ``None`` before the first."""
    longest_gap: float
    """The longest gap allowed at this job's age."""
    predicted_end_in: float | None
    """Seconds until the job's end, by the present prediction; ``None`` without one."""
    worth: float
    """The worth of a poll now, in seconds of waiting; the poll is due when it reaches ``price``. Where a list shows
    whether the job is over, but predicts nothing, the poll may be due sooner, to renew the prediction."""
    via_page: bool
    """True when a page of the list answers for the job."""
    source: str | None
    """What its end is predicted from, such as ``"the service's eta"``."""
    tokens: float
    """Tokens left in the bucket that all polls share."""
    expected_lag: float | None
    """How late its end will be known on average, if it comes before the next poll (see :mod:`.expected_lag`)."""

    @classmethod
    def of_none(cls, job: JobRef, tokens: float, reason: str) -> Explanation:
        """Explain a job that has no next poll."""
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
        when = "no poll is planned" if self.due_in is None else f"next poll in {max(0.0, self.due_in):.2f} s"
        late = "" if self.expected_lag is None else f"; an end would be known {self.expected_lag:.2f} s late on average"
        return f"{self.job}: {when}: {self.reason}{late}"


def explain(
    tracked: TrackedJob,
    page: PageEntry | None,
    policy: PollPolicy,
    now: float,
    *,
    tokens: float,
    idle_at: float,
    expected_lag: float,
) -> Explanation:
    """Explain a job's next poll, or the next poll of the ``page`` that answers for it.

    From ``idle_at`` on tokens are idle.
    """
    entry: Entry = page or tracked
    in_flight = entry.level == IN_FLIGHT
    due_at = min(entry.due_at, idle_at) if tracked.is_unpolled else entry.due_at
    return Explanation(
        job=tracked.job,
        reason=_reason(tracked, page, now),
        in_flight=in_flight,
        due_in=None if in_flight else due_at - now,
        looked_ago=now - tracked.seen_at if tracked.known else None,
        longest_gap=policy.longest_gap(now - tracked.born_at),
        predicted_end_in=tracked.predicted_end_at - now if tracked.source < Source.OVERDUE else None,
        worth=tracked.worth_at(now),
        via_page=page is not None,
        source=tracked.source.words,
        tokens=tokens,
        expected_lag=expected_lag,
    )


def _reason(tracked: TrackedJob, page: PageEntry | None, now: float) -> str:
    if tracked.urgent:
        return "there is a reason to poll now"
    if IN_FLIGHT in (tracked.level, page.level if page else tracked.level):
        return "a poll is in flight"
    judged = f"judging by {tracked.source.words}"
    if tracked.weight < 1.0:
        judged += "; its webhooks have proved true, so it is polled less often"
    if page is not None:
        return f"a page of the list answers for it and {len(page) - 1} more, {judged}"
    return _reason_alone(tracked, judged, now)


def _reason_alone(tracked: TrackedJob, judged: str, now: float) -> str:
    """Return why a job without a page is polled when it is."""
    if tracked.level >= 0 or tracked.due_at <= now:
        return "it is due and waits for the budget"
    if tracked.is_unpolled:
        return f"its first poll goes as soon as tokens are idle; else it waits, {judged}"
    if tracked.due_at == tracked.last_at:
        return "its watch times out right after this poll"
    is_shown = tracked.group is not None and tracked.group.known and tracked.group.page.is_bare
    if tracked.seen_at > tracked.basis_at and tracked.source < Source.OVERDUE and is_shown:
        return f"then its prediction is renewed; a page of the list shows until then whether it is over, {judged}"
    return f"then a poll is worth a request, {judged}"
