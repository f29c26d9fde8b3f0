"""The demo's fleet: 2,000 jobs of all kinds, most of which go well, and what its simulator is told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from ...models.job import JobKind, JobRef, JobState

_SHARES: Final = {JobKind.VIDEO: 0.08, JobKind.TRY_ON: 0.08}
_MEDIANS: Final = {JobKind.IMAGE: 0.30, JobKind.VIDEO: 0.42, JobKind.TRY_ON: 0.20}
"""Of a job's work, as a share of the longest life. A real video takes minutes or hours; here it takes seconds."""
_SIGMA: Final = 0.45
_OTHER_ENDS: Final = {
    JobKind.IMAGE: {JobState.CANCELED: 0.02},
    JobKind.VIDEO: {JobState.CANCELED: 0.03},
    JobKind.TRY_ON: {JobState.CANCELED: 0.03, JobState.EXPIRED: 0.03},
}
_FAILING: Final = 0.05
_HEADROOM: Final = 1.05
_ANSWER_TIME: Final = 0.03
"""Seconds that the simulator takes for an answer."""
CEILINGS: Final[dict[JobKind | str, float]] = {JobKind.VIDEO: 0.25, JobKind.TRY_ON: 0.25}
"""Of the shared rate, what a kind may have at most."""


def burst_of(rate: float) -> float:
    """Requests that may go at once after a pause."""
    return max(1.0, round(rate / 8.0))


def simulator_options(rate: float, seed: int) -> dict[str, float]:
    """The simulator's own limit leaves 5 % and twice the burst of headroom: beyond that it answers 429."""
    return {"rate": rate * _HEADROOM, "burst": 2.0 * burst_of(rate), "seed": seed, "delay": _ANSWER_TIME}


def counts(jobs: int) -> dict[JobKind, int]:
    """How many of each kind: 84 % images, 8 % videos, 8 % try-ons; of few jobs at least one each, if there are 3."""
    others = {kind: max(1, round(jobs * share)) if jobs >= len(JobKind) else 0 for kind, share in _SHARES.items()}
    return {JobKind.IMAGE: jobs - sum(others.values()), **others}


def plans(jobs: int, longest: float) -> list[dict[str, Any]]:
    """The plans of a fleet whose last jobs live about ``longest`` seconds."""
    made: list[dict[str, Any]] = []
    for kind, count in counts(jobs).items():
        ends = {state: round(count * share) for state, share in _OTHER_ENDS[kind].items()}
        ends[JobState.COMPLETED] = count - sum(ends.values())
        made += [_plan(kind, state, number, longest) for state, number in ends.items() if number]
    return made


def _plan(kind: JobKind, outcome: JobState, count: int, longest: float) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "count": count,
        "outcome": outcome.value,
        "failure_rate": _FAILING,
        "queue": {"lognormal": [0.04 * longest, 0.7], "high": 0.15 * longest},
        "duration": {"lognormal": [_MEDIANS[kind] * longest, _SIGMA], "low": 0.03 * longest, "high": 0.85 * longest},
        "eta": "noisy",
    }


def shuffled(names: Sequence[str], seed: int) -> list[JobRef]:
    """The fleet in no order, as jobs of many users would come."""
    jobs = [JobRef.parse(name) for name in names]
    random.Random(seed).shuffle(jobs)
    return jobs
