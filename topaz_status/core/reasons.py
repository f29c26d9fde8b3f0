"""Why a job is looked at when it is, in words and numbers."""

from __future__ import annotations

from .entry import FLYING, Entry
from .explanation import Explanation
from .outlook import Queue
from .pages import Page
from .policy import PollPolicy
from .predict import Source
from .prospect import page_of, present_gap
from .tracked import Tracked


def explain(
    tracked: Tracked, policy: PollPolicy, now: float, *, tokens: float, queue: Queue, idle_at: float
) -> Explanation:
    """Tell what is known of a job's next poll: what is due waits in ``queue``; from ``idle_at`` on tokens are idle."""
    page = page_of(tracked)
    entry: Entry = page or tracked
    in_flight = entry.rung == FLYING
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
    return _reason_alone(tracked, judged, now)


def _reason_alone(tracked: Tracked, judged: str, now: float) -> str:
    """Tell why a job that no page answers for is polled when it is."""
    if tracked.rung >= 0 or tracked.due_at <= now:
        return "it is due and waits for the budget"
    if tracked.is_unpolled:
        return f"its first poll goes as soon as tokens are idle; else it waits, {judged}"
    if tracked.due_at == tracked.last_at:
        return "its watch times out right after this poll"
    return f"then a look is worth a request, {judged}"
