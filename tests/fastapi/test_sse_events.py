"""What a stream has yet to send, and what its events' ids say of what it has sent."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from harness import settle, virtual

from topaz_status import JobKind, JobRef, JobState
from topaz_status.fastapi.conflating_queue import ConflatingQueue
from topaz_status.fastapi.sse_events import DeliveredMarks, lag_histogram
from topaz_status.overview import View

A, B = JobRef(JobKind.IMAGE, "a"), JobRef(JobKind.VIDEO, "b")
RUNNING = View(
    job=A, state=JobState.RUNNING, status="Processing", progress=1.0, expected_end=None, error=None, updated_at=1.0
)
ENDED = attrs.evolve(RUNNING, state=JobState.COMPLETED, status="Completed", ended=True)


def test_an_id_says_what_was_sent_of_each_job() -> None:
    """A client that reads it, in this process or another, goes on from there."""
    reported = DeliveredMarks.read([A, B], None)
    assert reported.open == [A, B]
    first = reported.record(RUNNING)
    again = DeliveredMarks.read([A, B], first)
    assert again.record(attrs.evolve(RUNNING, updated_at=2.0, expected_end=9.0)) is None
    assert again.record(attrs.evolve(RUNNING, job=B)) is not None
    last = again.record(ENDED)
    assert DeliveredMarks.read([A, B], last).open == [B]


@pytest.mark.parametrize(
    "event_id", ["", "!", "x!", "00000000!", "-.-.-", "00000000.0000000g", "\U0001f600.-", "-" * 99]
)
def test_an_id_that_is_no_id_says_nothing(event_id: str) -> None:
    """It comes from outside: everything is sent anew then."""
    assert DeliveredMarks.read([A, B], event_id).open == [A, B]
    assert DeliveredMarks.read([A, B], event_id).record(RUNNING) == DeliveredMarks.read([A, B], None).record(RUNNING)


@virtual
async def test_a_slow_reader_is_given_the_newest_of_each_subject() -> None:
    """However much is put in, no more waits than there are subjects, and none of them starves."""
    queue = ConflatingQueue[int](heartbeat=60.0)
    for number in range(1000):
        queue.put("even" if number % 2 == 0 else "odd", number)
    queue.close()
    assert await queue.take(500) == [998, 999]
    assert queue.is_over


@virtual
async def test_what_waits_is_taken_in_parts() -> None:
    """Thousands of subjects are handed out a part at a time, and what has waited longest comes first."""
    queue = ConflatingQueue[int](heartbeat=60.0)
    for number in range(5):
        queue.put(number, number)
    assert await queue.take(3) == [0, 1, 2]
    queue.put(0, 100)
    assert await queue.take(3) == [3, 4, 100]
    queue.close()
    assert await queue.take(3) == []
    assert queue.is_over


def test_lags_are_counted_by_the_buckets_of_the_metric() -> None:
    """A lag on a bound counts below it; what is above all bounds has a count of its own; none is lost."""
    histogram = lag_histogram([0.0, 0.1, 0.11, 300.0, 301.0, 9e9])
    assert len(histogram["counts"]) == len(histogram["bounds"]) + 1
    assert histogram["counts"][:2] == [2, 1]
    assert histogram["counts"][-2:] == [1, 2]
    assert sum(histogram["counts"]) == 6


@virtual
async def test_silence_is_broken_by_heartbeats() -> None:
    """One for each stretch of silence, and none while there is something to read."""
    queue, read = ConflatingQueue[str](heartbeat=10.0), []

    async def reader() -> None:
        while not queue.is_over:
            letters = await queue.take(1)
            read.append((asyncio.get_running_loop().time(), letters))

    task, began = asyncio.create_task(reader()), asyncio.get_running_loop().time()
    await asyncio.sleep(15.0)
    queue.put("x", "item")
    await settle()
    await asyncio.sleep(5.0)
    queue.close()
    await task
    assert [(at - began, letter) for at, letter in read] == [(10.0, []), (15.0, ["item"]), (20.0, [])]
