"""Words, times and numbers that mislead."""

from __future__ import annotations

import logging

import pytest
from harness import client_of, virtual

from topaz_status import (
    ImageStatus,
    JobKind,
    JobState,
    PollPolicy,
    ResultUnavailableError,
    VideoStatus,
    WatchTimeoutError,
)
from topaz_status.testing import EPOCH, Simulator


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (JobKind.IMAGE, " COMPLETED "),
        (JobKind.VIDEO, "Complete"),
        (JobKind.TRY_ON, "Completed"),
        (JobKind.IMAGE, "cancelled"),
    ],
)
@virtual
async def test_words_in_another_case(kind: JobKind, word: str) -> None:
    """A service's word counts whatever its case."""
    simulator = Simulator()
    job = simulator.add(kind, stuck=True, body={"status": word})
    async with client_of(simulator) as client:
        outcome = await client.watch(job).outcome()
    assert outcome.state in {JobState.COMPLETED, JobState.CANCELED}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (JobKind.VIDEO, "preprocessing"), (JobKind.VIDEO, "canceling"), (JobKind.VIDEO, "completed"),
        (JobKind.VIDEO, "incomplete"), (JobKind.IMAGE, "canceled"), (JobKind.TRY_ON, "complete"),
    ],
)  # fmt: skip
@virtual
async def test_words_that_hold_other_words(kind: JobKind, word: str) -> None:
    """Words are matched as a whole and per service, never by what they hold or by a neighbour's spelling."""
    simulator = Simulator()
    job = simulator.add(kind, duration=1, body={"status": word})
    async with client_of(simulator) as client:
        assert isinstance((await client.watch(job, timeout=30).outcome()).error, WatchTimeoutError)


@pytest.mark.parametrize("fault", ["unknown_word", "null_status", "empty_status", "missing_status", "wrong_types"])
@virtual
async def test_unknown_words(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unknown word, or none, ends nothing while it lasts, and an unknown one is reported once."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=20) for _ in range(3)]
    simulator.add_fault(fault, until=40)
    async with client_of(simulator) as client:
        for outcome in await client.outcomes(jobs):
            assert outcome.state is JobState.COMPLETED
            assert outcome.waited >= (20 if fault == "wrong_types" else 40)
    warned = [
        record.message
        for record in caplog.records
        if "Hibernating" in record.message and record.levelno == logging.WARNING
    ]
    assert len(warned) == (fault == "unknown_word")


@virtual
async def test_units() -> None:
    """Images speak in seconds and videos in milliseconds; on our side all is seconds, and so is a skewed clock's."""
    simulator = Simulator()
    image, video = simulator.add_image(duration=10), simulator.add_video(duration=10)
    async with client_of(simulator) as client:
        seen = await client.watch(image)
        assert isinstance(seen, ImageStatus)
        assert seen.creation_time == EPOCH
        done = await client.watch(video)
        assert isinstance(done, VideoStatus)
        assert done.download is not None
        assert done.download.expires_at == pytest.approx(EPOCH + 10 + 7 * 86_400, abs=1)
        assert done.download.expires_in == 7 * 86_400
        [record] = [record async for record in client.video.history()]
        assert record.ts["complete"] == pytest.approx(EPOCH + 10, abs=0.01)


@pytest.mark.parametrize("law", ["backwards", "stall", "jump"])
@virtual
async def test_progress_that_misleads(law: str) -> None:
    """Progress that goes backwards, stalls, or sits at 100 neither ends a watch nor delays its end being seen."""
    simulator = Simulator()
    jobs = [
        simulator.add(kind, duration=100, progress=law, eta="absent", estimates=[0, 0])
        for kind in (JobKind.IMAGE, JobKind.VIDEO)
    ]
    async with client_of(simulator) as client:
        for outcome in await client.outcomes(jobs):
            assert outcome.state is JobState.COMPLETED
            assert 100 <= outcome.waited < 110


@pytest.mark.parametrize("skew", [0.0, -86_400.0, 3600.0])
@pytest.mark.parametrize("law", ["honest", "absent", "zero", "past", "absurd", "noisy", "frozen", "scaled"])
@virtual
async def test_etas_that_mislead(law: str, skew: float) -> None:
    """No ``eta`` and no skewed clock makes the client poll wildly often, or notice an end late."""
    simulator = Simulator(clock_skew=skew)
    job = simulator.add_image(duration=120, eta=law, eta_error=0.9)
    async with client_of(simulator) as client:
        outcome = await client.watch(job).outcome()
    assert 120 <= outcome.waited < 130
    assert outcome.polls < 100


@virtual
async def test_an_eta_that_is_always_now() -> None:
    """A job that is said to end this very moment, again and again, is not polled as often as can be for all its life."""
    simulator = Simulator()
    job = simulator.add_image(duration=600, eta="scaled", eta_error=0.0)
    async with client_of(simulator) as client:
        outcome = await client.watch(job).outcome()
    assert 600 <= outcome.waited < 620
    assert outcome.polls < 600 / PollPolicy().min_interval / 4


@pytest.mark.parametrize("kind", [JobKind.VIDEO, JobKind.TRY_ON])
@virtual
async def test_success_without_a_url(kind: JobKind) -> None:
    """A job may be completed and name no URL: it is a success all the same, and only its result is missing."""
    simulator = Simulator()
    job = simulator.add(kind, duration=5, result=False)
    async with client_of(simulator) as client:
        assert (await client.watch(job)).result_url is None
        with pytest.raises(ResultUnavailableError):
            await client.result(job)


@virtual
async def test_success_with_an_error_beside_it() -> None:
    """A completed try-on with an error object, as in the documents' own example, is a success."""
    simulator = Simulator()
    job = simulator.add_try_on(duration=5, error_too=True)
    async with client_of(simulator) as client:
        status = await client.try_on.watch(job)
    assert status.error is not None
    assert status.result_url is not None


@virtual
async def test_chunks_are_not_the_job() -> None:
    """What a video's chunks are called, complete or failed, says nothing of the job."""
    simulator = Simulator()
    chunks = [{"chunkIndex": i, "status": word} for i, word in enumerate(("complete", "failed", "canceled"))]
    job = simulator.add_video(duration=60, body={"processingJobs": chunks})
    async with client_of(simulator) as client:
        outcome = await client.watch(job).outcome()
    assert outcome.state is JobState.COMPLETED
    assert outcome.waited >= 60
