"""The jobs of the demo: 2,000 by default, of all kinds, most of which complete; and the simulator's options."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from ...models.job import JobKind, JobRef, JobState

_SHARES: Final = {JobKind.VIDEO: 0.08, JobKind.TRY_ON: 0.08}
_MEDIANS: Final = {JobKind.IMAGE: 0.30, JobKind.VIDEO: 0.42, JobKind.TRY_ON: 0.20}
"""Median work time of a job, as a share of the longest life. A real video takes minutes or hours; here, seconds."""
_SIGMA: Final = 0.45
_OTHER_ENDS: Final = {
    JobKind.IMAGE: {JobState.CANCELED: 0.02},
    JobKind.VIDEO: {JobState.CANCELED: 0.03},
    JobKind.TRY_ON: {JobState.CANCELED: 0.03, JobState.EXPIRED: 0.03},
}
_FAILING: Final = 0.05
_HEADROOM: Final = 1.05
_ANSWER_TIME: Final = 0.03
"""Seconds that the simulator takes to answer a request."""
CEILINGS: Final[dict[JobKind | str, float]] = {JobKind.VIDEO: 0.25, JobKind.TRY_ON: 0.25}
"""Share of the common rate that a kind may use, at most."""


def burst_of(rate: float) -> float:
    """Return how many requests may be sent at once after a pause."""
    return max(1.0, round(rate / 8.0))


def simulator_options(rate: float, seed: int) -> dict[str, float]:
    """Return the simulator's options: it answers 429 above 1.05 times the rate and twice the burst."""
    return {"rate": rate * _HEADROOM, "burst": 2.0 * burst_of(rate), "seed": seed, "delay": _ANSWER_TIME}


def counts(jobs: int) -> dict[JobKind, int]:
    """Return the jobs of each kind: 84 % images, 8 % videos, 8 % try-ons; at least one of each from 3 jobs on."""
    others = {kind: max(1, round(jobs * share)) if jobs >= len(JobKind) else 0 for kind, share in _SHARES.items()}
    return {JobKind.IMAGE: jobs - sum(others.values()), **others}


def plans(jobs: int, longest: float) -> list[dict[str, Any]]:
    """Return the simulator's plans for jobs of which the last live about ``longest`` seconds."""
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
    """Return the jobs in random order, as jobs of many users would come."""
    jobs = [JobRef.parse(name) for name in names]
    random.Random(seed).shuffle(jobs)
    return jobs
