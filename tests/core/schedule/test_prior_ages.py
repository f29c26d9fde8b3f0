"""How old jobs were when their watches began: learned from answers that may say anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.policy import WEEK
from topaz_status.core.schedule.list_map import ListMap
from topaz_status.core.schedule.list_order import AgeOrder
from topaz_status.core.schedule.prior_ages import LATEST_AGES, PriorAges
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind, JobRef

AGES = st.lists(st.floats(-100.0, WEEK))


@given(AGES)
def test_the_latest_ages_are_the_range(found: list[float]) -> None:
    """Older ones are forgotten; less than a whole second is no age."""
    ages = PriorAges()
    for age in found:
        ages.learn(age)
    latest = [age if age > 1.0 else 0.0 for age in [0.0, *found]][-LATEST_AGES:]
    assert (ages.shortest, ages.longest) == (min(latest), max(latest))


@given(AGES)
def test_missing_jobs_are_sought_again_a_few_times(found: list[float]) -> None:
    """Ages that grow and grow, true or not, do not make each answer search for thousands of jobs."""
    ages = PriorAges()
    assert sum(map(ages.learn, found)) <= 20


def test_a_job_is_sought_from_its_first_place_to_its_last() -> None:
    """A list that begins with its newest items shows the youngest age first, another list the oldest."""
    known, job = ListMap(100), TrackedJob(JobRef(JobKind.IMAGE, "one"), 1_000.0, 1_000.0)
    for age in [100.0] * LATEST_AGES + [600.0]:
        known.prior_ages.learn(age)
    for order, nearest, farthest in [(AgeOrder.NEWEST, 900.0, 400.0), (AgeOrder.OLDEST, 400.0, 900.0)]:
        known.order = order
        assert (known.nearest_birth(job), known.farthest_birth(job)) == (nearest, farthest)
    job.known = True
    assert known.nearest_birth(job) == known.farthest_birth(job) == 1_000.0
