"""Why a job is looked at when it is, in words and numbers."""

from __future__ import annotations

from .agenda import FLYING, PARKED, Entry
from .looks import Explanation
from .outlook import Outlook, Queue
from .pages import Page
from .policy import PollPolicy
from .predict import Source
from .tracked import Tracked


def outlook(tracked: Tracked, now: float, queue: Queue) -> Outlook:
    """Sum up the gap between the last look at a job and the next one, in its turn."""
    page = page_of(tracked)
    entry: Page | Tracked = page or tracked
    at = now
    if entry.rung != FLYING:
        gap = entry.gap_worth(queue.going, max(entry.due_at + queue.wait - entry.seen_at, 0.0))
        at = max(entry.seen_at + gap, entry.due_at, now)
    return Outlook.of(lambda after: tracked.spent_by(tracked.seen_at + after), at - tracked.seen_at)


def explain(tracked: Tracked, policy: PollPolicy, now: float, *, tokens: float, queue: Queue) -> Explanation:
    """Tell what is known of a job's next look; what is due waits in ``queue``."""
    page = page_of(tracked)
    entry: Entry = page or tracked
    in_flight = entry.rung == FLYING
    return Explanation(
        job=tracked.job,
        reason=_reason(tracked, page, now),
        in_flight=in_flight,
        due_in=None if in_flight else entry.due_at - now,
        looked_ago=now - tracked.seen_at if tracked.known else None,
        longest_gap=policy.longest_gap(now - tracked.born_at),
        predicted_end_in=tracked.predicted_end_at - now if tracked.source < Source.OVERDUE else None,
        worth=tracked.worth_at(now),
        via_page=page is not None,
        source=tracked.source.words,
        tokens=tokens,
        expected_lag=outlook(tracked, now, queue).lag,
    )


def page_of(tracked: Tracked) -> Page | None:
    """Give the page that answers for a job in its place."""
    return tracked.group.page if tracked.rung == PARKED and tracked.group is not None else None


def _reason(tracked: Tracked, page: Page | None, now: float) -> str:
    if tracked.urgent:
        return "there is a reason to look now"
    if FLYING in (tracked.rung, page.rung if page else tracked.rung):
        return "a look is on the wire"
    judged = f"judging by {tracked.source.words}"
    if page is not None:
        return f"a page of the list answers for it and {len(page) - 1} more, {judged}"
    if tracked.rung >= 0 or tracked.due_at <= now:
        return "it is due and waits for the budget"
    return f"then a look is worth a request, {judged}"
