"""What the end of a job is predicted from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.observation import Observation
from topaz_status.core.prediction.sources import SOONEST, Source, predict
from topaz_status.models.job import JobKind, JobRef

JOB = JobRef(JobKind.VIDEO, "a")
spans = st.floats(0.0, 1e5)


@given(spans.filter(bool), spans)
def test_an_estimate_counts_down_while_no_progress_is_reported(estimate: float, ran: float) -> None:
    """What remains is the estimate less the time since the work began; past it, the job is overdue by as much."""
    seen = Observation(JOB, terminal=False, running=True, estimate=estimate, ran=ran)
    source, remaining = predict(seen, ran, 0.0, 2.0)
    left = estimate - ran
    assert source is (Source.PLAN if left >= SOONEST else Source.OVERDUE)
    assert remaining == max(left if left >= SOONEST else -left, SOONEST)


def test_an_estimate_says_nothing_of_a_job_in_the_queue() -> None:
    """It assumes an empty queue."""
    seen = Observation(JOB, terminal=False, running=False, estimate=60.0, ran=1.0)
    assert predict(seen, 1.0, 0.0, 2.0)[0] is Source.QUEUE
