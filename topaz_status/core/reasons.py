"""Why a job is looked at when it is, in words and numbers."""

from __future__ import annotations

from .agenda import FLYING, Entry
from .looks import Explanation
from .outlook import Queue
from .pages import Page
from .policy import PollPolicy
from .predict import Source
from .prospect import page_of, present_gap
from .tracked import Tracked


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
        expected_lag=present_gap(tracked, now, queue).lag,
    )


def _reason(tracked: Tracked, page: Page | None, now: float) -> str:
    if tracked.urgent:
        return "there is a reason to look now"
    if FLYING in (tracked.rung, page.rung if page else tracked.rung):
        return "a look is on the wire"
    judged = f"judging by {tracked.source.words}"
    if tracked.weight < 1.0:
        judged += "; its webhooks have proved true, so it is looked at less often"
    if page is not None:
        return f"a page of the list answers for it and {len(page) - 1} more, {judged}"
    if tracked.rung >= 0 or tracked.due_at <= now:
        return "it is due and waits for the budget"
    return f"then a look is worth a request, {judged}"
