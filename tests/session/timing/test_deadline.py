"""Deadlines: all of one length, under one timer."""

from __future__ import annotations

import asyncio

import pytest
from harness import now, virtual

from topaz_status.session.timing.clock import Clock
from topaz_status.session.timing.deadline import Deadline, Deadlines


def new_deadlines(seconds: float = 1.0) -> Deadlines:
    return Deadlines(Clock.of(asyncio.get_running_loop()), seconds)


async def work(deadlines: Deadlines, *, start: float, took: float) -> float | None:
    """Begin at ``start``; give the time of the failure, ``None`` where there was none."""
    await asyncio.sleep(start)
    try:
        with Deadline(TimeoutError, deadlines):
            await asyncio.sleep(took)
    except TimeoutError:
        return now()
    return None


@virtual
async def test_each_runs_out_in_its_own_time_and_none_that_was_removed_in_time_does() -> None:
    """However they overlap: the timer goes on to the next that is still running."""
    deadlines = new_deadlines()
    spans = [(0.0, 0.5), (0.2, 9.0), (0.3, 0.1), (0.7, 9.0), (0.7, 0.99), (5.0, 2.0)]
    ends = await asyncio.gather(*(work(deadlines, start=start, took=took) for start, took in spans))
    assert ends == [None, pytest.approx(1.2), None, pytest.approx(1.7), None, pytest.approx(6.0)]
    assert not deadlines.running


@virtual
async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """Also where it comes together with the end of the time."""
    deadlines = new_deadlines()
    task = asyncio.create_task(work(deadlines, start=0.0, took=9.0))
    asyncio.get_running_loop().call_later(1.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not deadlines.running


@virtual
async def test_no_timer_is_set_while_nothing_runs_for_longer_than_a_deadline() -> None:
    """A client at rest leaves the loop alone."""
    deadlines = new_deadlines()
    await work(deadlines, start=0.0, took=0.5)
    await asyncio.sleep(1.0)
    assert deadlines._timer is None
    with Deadline(TimeoutError, deadlines):
        assert deadlines._timer is not None
        deadlines.close()
        assert deadlines._timer is None
        await asyncio.sleep(2.0)
