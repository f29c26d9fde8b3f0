"""The targets of the library's lag figures, and the check whether they are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

GOALS: Final[Mapping[str, float]] = {
    "burst": 4.81,
    "burst-50": 0.89,
    "poisson": 0.22,
    "foreign": 0.62,
    "video": 0.72,
    "try-on": 2.01,
    "mixed": 1.23,
    "hostile": 4.08,
}
"""Mean lags in seconds that scheduling by Whittle indices reached in simulations of these traces, at the same rates."""
GOALS_OF_LISTS: Final[Mapping[str, float]] = {
    "deep": 1.5,
    "oldest": 2.6,
    "oldest-waves": 1.0,
    "waves-shuffled": 2.54,
    "video-burst": 3.0,
}
"""Mean lags in seconds to stay below: a page of a list answers for many jobs, wherever they are on it."""
REFUSED: Final = 0.02
"""The share of requests that may be answered 429 where the client has to learn the limit."""
USED: Final = 0.9
"""The share of such a limit to use."""
SLACK: Final = 1.2
LOOPS: Final = ("fixed", "backoff", "eta")
SOONER: Final = 5.0
FRUGAL: Final = 0.5


@attrs.frozen
class Row:
    """The figures of one policy on one trace: means over the seeds."""

    trace: str
    policy: str
    rate: float
    mean: float
    p95: float
    worst: float
    per_job: float
    refused: int
    """Requests answered 429, summed over all seeds."""
    refused_share: float = 0.0
    """The share of requests answered 429."""
    used: float | None = None
    """The share of the service's limit that was used; ``None`` where the client knows the limit."""


@attrs.frozen
class Check:
    """One claim and the figures that decide it."""

    claim: str
    passed: bool
    figures: str

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}  {self.claim}: {self.figures}"


def check(rows: Sequence[Row], *, whole: bool) -> Iterator[Check]:
    """Check every claim that the rows can decide; goals hold for ``whole`` traces at their own rates alone."""
    table = {(row.trace, row.policy): row for row in rows}
    for row in rows:
        if row.policy != "library":
            continue
        yield from _check_budget(row)
        if whole and row.trace in GOALS_OF_LISTS:
            goal = GOALS_OF_LISTS[row.trace]
            yield Check(f"{row.trace}: mean lag", row.mean <= goal, f"{row.mean:.2f} s of {goal:.2f} s")
        if whole and row.trace in GOALS:
            goal = GOALS[row.trace]
            figures = f"{row.mean:.2f} s of {goal:.2f} s + 20 %"
            yield Check(f"{row.trace}: mean lag as simulated", row.mean <= SLACK * goal, figures)
        for loop in LOOPS:
            if (rival := table.get((row.trace, loop))) is not None:
                figures = f"{row.mean:.2f} s against {rival.mean:.2f} s"
                yield Check(f"{row.trace}: sooner than {loop}", row.mean < rival.mean, figures)
    ours, fixed = table.get(("mixed", "library")), table.get(("mixed", "fixed"))
    if whole and ours is not None and fixed is not None:
        figures = f"{fixed.mean / ours.mean:.1f} times sooner"
        yield Check("mixed: 5 times sooner than fixed", ours.mean * SOONER <= fixed.mean, figures)
        figures = f"{ours.per_job:.2f} against {fixed.per_job:.2f} requests a job"
        yield Check("mixed: half the requests of fixed", ours.per_job <= FRUGAL * fixed.per_job, figures)


def _check_budget(row: Row) -> Iterator[Check]:
    if row.used is None:
        yield Check(f"{row.trace}: keeps the budget", row.refused == 0, f"{row.refused} requests answered 429")
        return
    share = row.refused_share
    yield Check(f"{row.trace}: learns the limit", share <= REFUSED, f"{share:.1%} answered 429, of {REFUSED:.0%}")
    yield Check(f"{row.trace}: uses the limit", row.used >= USED, f"{row.used:.0%} of {USED:.0%}")
