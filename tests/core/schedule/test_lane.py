"""One kind of job in the schedule: which queue its polls come from."""

from __future__ import annotations

import math

import pytest
from world import POLICY, job

from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.core.schedule.lane import CALM, Lane
from topaz_status.core.schedule.page import GETS
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind


def lane_of(kind: JobKind, page_size: int | None, jobs: int) -> tuple[Lane, list[TrackedJob]]:
    """Give a lane with so many jobs that came at 0."""
    lane, lifetimes = Lane(kind, POLICY, page_size, GETS), Lifetimes()
    members = [TrackedJob(job(number, kind), 0.0, 0.0) for number in range(jobs)]
    for tracked in members:
        tracked.believe(Source.AGE, 1.0, 0.0, lifetimes)
        lane.add(tracked, 0.0)
    return lane, members


def test_a_kind_without_a_list_polls_each_job_by_itself() -> None:
    """It has one queue, and a page that it never asked for changes nothing."""
    lane, [tracked] = lane_of(JobKind.TRY_ON, None, 1)
    page = PagePoll(JobKind.TRY_ON, None, 100)
    lane.read_page(page, [tracked], [], None, 1.0)
    lane.missed_page(page, 1.0, 2.0)
    lane.refused_page(page, 1.0)
    assert lane.queues == (lane.queue,)
    at = lane.next_at(1.0)
    assert lane.due(at) == [lane.queue]
    assert lane.send(lane.queue.best(), at) == JobPoll(tracked.job)
    assert lane.next_at(at) == math.inf


def test_pages_come_before_jobs() -> None:
    """With a list there are two queues; a page counts once for all the jobs that it should show."""
    lane, jobs = lane_of(JobKind.IMAGE, 100, 50)
    sweep = lane.sweep
    assert sweep is not None
    assert lane.queues == (lane.queue, sweep.queue)
    assert lane.due(1e3) == [sweep.queue, lane.queue]
    assert lane.expected_due() == pytest.approx(1.0 + len(jobs) / 100)


def test_first_polls_of_many_are_one_page() -> None:
    """It goes once no more jobs come in; on a list that says too little each job is asked for by itself."""
    for kind, expected, at in ((JobKind.IMAGE, PagePoll, CALM), (JobKind.VIDEO, JobPoll, -math.inf)):
        lane, _ = lane_of(kind, 100, 50)
        first = lane.first(0.0)
        assert first is not None
        assert lane.goes_at(first) == at
        assert type(lane.send(first, CALM)) is expected
