"""The judges of the fault campaign and of the soak: they see what is wrong, and only that."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from invariants import Tally, Truth, beyond_budget, judge
from soak import Count, grown

from topaz_status import JobRef, JobState, Outcome, ServerError, WatchTimeoutError

ONE, OTHER = JobRef.parse("image:a"), JobRef.parse("image:b")
TRUTHS = {ONE: Truth(state="completed", ends_at=100.0), OTHER: Truth(state="failed", ends_at=50.0)}


def outcome(job: JobRef = ONE, **fields: Any) -> Outcome:
    """What was handed out for a job that completed at 100 s, known 2 s later, unless ``fields`` say otherwise."""
    given: dict[str, Any] = {
        "job": job, "state": JobState.COMPLETED, "status": None, "error": None, "polls": 3, "waited": 102.0,
        "detected_at": 102.0,
    }  # fmt: skip
    return Outcome(**{**given, **fields})


FINE = outcome(OTHER, state=JobState.FAILED)


def verdict(*outcomes: Outcome) -> tuple[int, int, int]:
    """Wrong, lost, hung."""
    tally = judge(outcomes, TRUTHS, latest=60.0, requests=7, over=0)
    assert (tally.requests, tally.watches) == (7, 2)
    assert tally.holds is (tally.notes == ())
    return tally.wrong, tally.lost, tally.hung


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([outcome(), FINE], (0, 0, 0)),
        ([outcome(detected_at=99.0), FINE], (1, 0, 0)),
        ([outcome(state=JobState.FAILED), FINE], (1, 0, 0)),
        ([outcome(state=None, error=ServerError(503)), FINE], (1, 0, 0)),
        ([outcome(state=None, error=WatchTimeoutError("late"), detected_at=9000.0), FINE], (0, 0, 1)),
        ([outcome(detected_at=161.0, waited=150.0), FINE], (0, 0, 1)),
        ([outcome(detected_at=9000.0, waited=5.0), FINE], (0, 0, 0)),
        ([outcome()], (0, 1, 0)),
        ([outcome(), FINE, FINE], (0, 1, 0)),
        ([outcome(), FINE, outcome(JobRef.parse("image:c"))], (1, 0, 0)),
    ],
)
def test_outcomes_are_held_against_the_truth(outcomes: list[Outcome], expected: tuple[int, int, int]) -> None:
    """Too early, otherwise, given up, timed out, late, missing, twice, unasked for: each is counted as what it is."""
    assert verdict(*outcomes) == expected


def test_requests_beyond_the_budget_are_counted() -> None:
    """``burst + rate * t`` in any ``t`` seconds is within, one more is beyond."""
    paced = [0.0] * 5 + [0.1 * n for n in range(1, 50)]
    assert beyond_budget(paced, 10.0, 5.0) == 0
    assert beyond_budget([*paced, 2.05], 10.0, 5.0) > 0
    assert beyond_budget([0.0] * 8, 10.0, 5.0) == 3
    assert beyond_budget([0.0] * 8, 10.0, 5.0, slack=3.0) == 0


def test_tallies_add_up() -> None:
    """What is wrong anywhere is wrong in the sum."""
    total = Tally(requests=1, watches=2) + Tally(requests=3, watches=4, hung=1, notes=("late",))
    assert total == Tally(requests=4, watches=6, hung=1, notes=("late",))
    assert not total.holds


COUNT = Count(
    watches=10, tasks=1, handles=20, sockets=8, objects=50_000, allocated=1_000_000, resident=50_000_000
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "harmless", "growth"),
    [
        ("tasks", 1, 2),
        ("handles", 52, 53),
        ("sockets", 40, 41),
        ("objects", 52_000, 52_001),
        ("allocated", 2_000_000, 2_200_000),
        ("resident", 69_000_000, 70_000_000),
    ],
)
def test_growth_is_seen(field: str, harmless: int, growth: int) -> None:
    """A task too many is growth; of what breathes, only more than a breath."""
    assert not grown(COUNT, attrs.evolve(COUNT, **{field: harmless}))
    assert [text.partition(":")[0] for text in grown(COUNT, attrs.evolve(COUNT, **{field: growth}))] == [field]
