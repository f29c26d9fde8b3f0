"""What a command knows of its jobs: each is counted once, open or ended, at every moment."""

from __future__ import annotations

import asyncio
from collections import Counter

from harness import client_of, now, virtual

from topaz_status import JobKind, JobRef, JobState, MemoryStore
from topaz_status.cli.commands.watch_view import WatchPainter
from topaz_status.cli.progress_display import END_WORDS, LOST, NEW, NOT_KNOWN, Progress, state_words
from topaz_status.session.timing.clock import Clock
from topaz_status.testing import JobPlan, Simulator


def _jobs(simulator: Simulator, count: int = 40) -> list[JobRef]:
    ends = {JobKind.IMAGE: JobState.COMPLETED, JobKind.VIDEO: JobState.FAILED, JobKind.TRY_ON: JobState.CANCELED}
    return simulator.add_jobs(
        [
            JobPlan(kind=kind, count=count, duration={"lognormal": [60.0, 0.5]}, outcome=end)
            for kind, end in ends.items()
        ]
    )


@virtual
async def test_the_counts_are_of_all_jobs_at_every_moment() -> None:
    """A job is never counted twice and never missing, while some are new, others ended and others handed out."""
    simulator = Simulator(seed=1)
    jobs = _jobs(simulator)
    async with client_of(simulator) as client:
        progress = Progress(client)
        async with client.as_completed(jobs) as outcomes:

            async def count() -> None:
                async for outcome in outcomes:
                    progress.end(outcome)
                    await asyncio.sleep(0.05)  # a slow reader: ends are known before their outcomes are counted

            counting, seen = asyncio.create_task(count()), set()
            while not counting.done():
                progress.read()
                states = progress.states()
                seen |= {word for (_, word), number in states.items() if number}
                for kind in JobKind:
                    assert sum(number for (of, _), number in states.items() if of is kind) == 40
                await asyncio.sleep(0.31)
    progress.read()
    assert not progress.open
    assert {NEW, "running", "completed", "failed", "canceled"} <= seen
    assert progress.ended == {
        (JobKind.IMAGE, "completed"): 40,
        (JobKind.VIDEO, "failed"): 40,
        (JobKind.TRY_ON, "canceled"): 40,
    }
    assert sum(failure.count for failure in progress.failures.top(1000)) == 80


@virtual
async def test_a_job_that_is_lost_and_one_that_was_not_found_out_have_words_of_their_own() -> None:
    """A timeout says nothing of the job; a 404 does."""
    simulator = Simulator(seed=2)
    slow = simulator.add_image(duration=600.0)
    async with client_of(simulator) as client:
        progress = Progress(client)
        async for outcome in client.as_completed([slow, JobRef(JobKind.IMAGE, "nobody-knows-it")], timeout=60.0):
            progress.read()
            progress.end(outcome)
        progress.read()
        assert progress.ended == {(JobKind.IMAGE, LOST): 1, (JobKind.IMAGE, NOT_KNOWN): 1}
        assert not progress.open


@virtual
async def test_a_job_that_is_watched_again_is_open_again() -> None:
    """As when a store gives it back after another process has left it."""
    simulator = Simulator(seed=3)
    job = simulator.add_image(duration=10.0)
    async with client_of(simulator) as client:
        progress = Progress(client)
        async for outcome in client.as_completed([job]):
            progress.end(outcome)
        client.watch(job)
        progress.read()
        assert [view.job for view in progress.open] == [job]


@virtual
async def test_jobs_of_a_store_are_counted_as_well() -> None:
    """What an earlier run has left is open from the first, and an outcome that comes again is counted once."""
    simulator, store = Simulator(seed=4), MemoryStore()
    jobs = _jobs(simulator, 5)
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job)
        await asyncio.sleep(20.0)
    async with client_of(simulator, store=store) as client:
        progress = Progress(client)
        async for outcome in client.resume():
            progress.read()
            progress.end(outcome)
            assert sum(progress.states().values()) == len(jobs)
        assert Counter(kind for kind, _ in progress.ended.elements()) == dict.fromkeys(JobKind, 5)


@virtual
async def test_the_picture_shows_the_jobs_that_end_soonest() -> None:
    """Soonest first, then those without a prediction; figures are those of the client."""
    simulator = Simulator(seed=5)
    jobs = [simulator.add_image(duration=100.0 + 50.0 * number) for number in range(20)]
    async with client_of(simulator) as client:
        began_at = now()
        painter = WatchPainter(Progress(client), began_at)
        async with client.as_completed(jobs):
            await asyncio.sleep(60.0)
            picture = painter.picture(now(), Clock.of(asyncio.get_running_loop()).wall(), reading=False)
    assert [bar.job for bar in picture.bars] == [str(job) for job in jobs[:8]]
    lefts = [bar.left for bar in picture.bars if bar.left is not None]
    assert lefts == sorted(lefts)
    assert picture.forecast.open == 20
    assert picture.stats.total_requests > 0
    assert (picture.total, picture.ended, picture.elapsed) == (20, 0, 60.0)


def test_every_word_for_an_end_is_a_word_for_a_state() -> None:
    """The table has a row for each."""
    assert set(END_WORDS) < set(state_words())
    assert len(set(state_words())) == len(state_words())
