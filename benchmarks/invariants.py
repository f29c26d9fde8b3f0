"""The promises that must hold under every fault, checked against the server's truths and the caller's outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from topaz_status import JobRef, Outcome, WatchTimeoutError


@attrs.frozen(kw_only=True)
class Truth:
    """How and when one job ended, by the clock of ``Outcome.detected_at`` (Unix seconds)."""

    state: str
    ends_at: float


@attrs.frozen(kw_only=True)
class Tally:
    """How often each promise was broken: all promises hold when all counts but the first two are 0."""

    requests: int = 0
    """Requests that met the fault."""
    watches: int = 0
    wrong: int = 0
    """Watches that ended in another state than the job, or before it, or gave up because of temporary faults."""
    lost: int = 0
    """Watches without an outcome, or with two."""
    hung: int = 0
    """Watches that ended by their timeout alone, or long after the job."""
    over: int = 0
    """Requests beyond the budget."""
    notes: tuple[str, ...] = ()
    """What was wrong, in words."""

    def __add__(self, other: Tally) -> Tally:
        names = ("requests", "watches", "wrong", "lost", "hung", "over")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Tally(**sums, notes=(self.notes + other.notes)[:20])

    @property
    def holds(self) -> bool:
        """Whether every promise was fulfilled."""
        return not (self.wrong or self.lost or self.hung or self.over)


def judge(
    outcomes: Sequence[Outcome],
    truths: Mapping[JobRef, Truth],
    *,
    latest: float,
    requests: int,
    over: int,
    early: float = 0.01,
) -> Tally:
    """Check outcomes against the truth.

    Args:
        outcomes: all outcomes that the caller received.
        truths: the truth of every watched job.
        latest: most seconds from a job's end, or its watch's beginning if later, to its outcome.
        requests: the number of requests that met a fault.
        over: the number of requests that exceeded the budget.
        early: seconds by which two clocks may differ.
    """
    received = Counter(outcome.job for outcome in outcomes)
    notes = [f"{job} has {received[job]} outcomes" for job in truths if received[job] != 1]
    lost, wrong, hung = len(notes), 0, 0
    for outcome in outcomes:
        truth = truths.get(outcome.job) if outcome.job else None
        if truth is None:
            wrong += 1
            notes.append(f"an outcome of {outcome.job}, which nobody watched")
        elif isinstance(outcome.error, WatchTimeoutError):
            hung += 1
            notes.append(f"{outcome.job} timed out; it ended at {truth.ends_at:.1f}")
        elif outcome.state != truth.state or outcome.detected_at < truth.ends_at - early:
            wrong += 1
            notes.append(f"{outcome.job}: {outcome.state} {outcome.error!r} at {outcome.detected_at:.2f}, not {truth}")
        elif outcome.detected_at > max(truth.ends_at, outcome.detected_at - outcome.waited) + latest:
            hung += 1
            notes.append(f"{outcome.job}: known {outcome.detected_at - truth.ends_at:.0f} s after its end")
    return Tally(
        requests=requests, watches=len(truths), wrong=wrong, lost=lost, hung=hung, over=over, notes=tuple(notes)
    )


def beyond_budget(sends: Iterable[float], rate: float, burst: float, *, slack: float = 1e-6) -> int:
    """Count the requests, by their arrival times, that exceed ``burst + rate * t``."""
    level, before, over = burst, 0.0, 0
    for at in sorted(sends):
        level = min(burst, level + (at - before) * rate) - 1.0
        before = at
        if level < -slack:
            over += 1
            level += 1.0
    return over
