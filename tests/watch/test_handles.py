"""What a caller holds while a job is on its way: many handles, one stream of polls."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest
from harness import SINGLY, client_of, now, polls_of, virtual

from topaz_status import (
    ConfigurationError,
    ImageStatus,
    JobFailedError,
    JobKind,
    JobState,
    TryOnStatus,
    VideoStatus,
    WatchCanceledError,
)
from topaz_status.testing import EPOCH, Simulator

UUID = "00000000-0000-4000-8000-000000000000"


@virtual
async def test_one_stream_of_polls() -> None:
    """Any number of handles on one job cost as many requests as one."""
    alone, crowded = Simulator(), Simulator()
    async with client_of(alone) as client:
        await client.watch(alone.add_image(duration=120, eta="absent"))
    async with client_of(crowded) as client:
        job = crowded.add_image(duration=120, eta="absent")
        watches = [client.watch(job) for _ in range(50)] + [client.image.watch(job.id) for _ in range(50)]
        assert client.stats().watches[JobKind.IMAGE] == 1
        statuses = await asyncio.gather(*watches)
    assert all(status is statuses[0] for status in statuses)
    assert len(crowded.log) <= len(alone.log) + 1


@virtual
async def test_latecomer() -> None:
    """A late caller is given the last known status at once, and counts only its own polls and time."""
    simulator = Simulator()
    job = simulator.add_video(duration=100)
    async with client_of(simulator, policy=SINGLY) as client:
        early = client.watch(job)
        assert early.status is None
        await asyncio.sleep(50)
        late = client.watch(job)
        assert late.status is early.status is not None
        assert await anext(late.updates()) is late.status
        asked = len(polls_of(simulator, job))
        first, second = await asyncio.gather(early.outcome(), late.outcome())
    assert first.waited - second.waited == pytest.approx(50)
    assert (first.polls, second.polls) == (len(simulator.log), len(simulator.log) - asked)
    assert first.detected_at == second.detected_at == EPOCH + first.waited


@virtual
async def test_watching_anew() -> None:
    """A job that has ended and is watched anew gets a fresh poll: nothing is answered from memory."""
    simulator = Simulator()
    job = simulator.add_image(duration=5)
    async with client_of(simulator) as client:
        for count in range(3):
            await client.watch(job)
            assert sum(exchange.at >= 5 for exchange in simulator.log) == count + 1
        simulator.remove(job)
        outcome = await client.watch(job, timeout=5).outcome()
        assert outcome.status is None


@virtual
async def test_an_answer_to_an_earlier_watch() -> None:
    """A poll that an earlier watch sent does not answer a watch that was started after it."""
    simulator = Simulator(delay=4.0)
    job = simulator.add_image(duration=1)
    async with client_of(simulator, policy=SINGLY) as client:
        earlier = client.watch(job)
        await asyncio.sleep(3)
        earlier.cancel()
        outcome = await client.watch(job).outcome()
    first, second = polls_of(simulator, job)
    assert first < 3 <= second
    assert outcome.waited == pytest.approx(second + 4 - 3)
    assert outcome.polls == 1


@virtual
async def test_tags() -> None:
    """A handle's tag is its own, whatever it is, and comes back with its outcome."""
    simulator = Simulator()
    job = simulator.add_try_on(duration=5)
    tags: list[Any] = [None, 0, "x", {"a": [1, 2]}, ["b"]]
    async with client_of(simulator) as client:
        watches = [client.try_on.watch(job, tag=tag) for tag in tags]
        outcomes = [await watch.outcome() for watch in watches]
    assert [outcome.tag for outcome in outcomes] == tags
    assert [watch.tag for watch in watches] == tags


@virtual
async def test_typed_watches() -> None:
    """Each service's own ``watch`` takes a bare id, a name of its kind or its text, and gives its own status."""
    simulator = Simulator()
    image, video, try_on = (
        simulator.add_image(duration=2),
        simulator.add_video(duration=2),
        simulator.add_try_on(duration=2),
    )
    async with client_of(simulator) as client:
        assert isinstance(await client.image.watch(image.id), ImageStatus)
        assert isinstance(await client.video.watch(video), VideoStatus)
        assert isinstance(await client.try_on.watch(str(try_on)), TryOnStatus)
        no_images: list[Any] = [video, str(video), "", ".", "a b", 7, None]
        no_jobs: list[Any] = ["image", "image:", "film:1", UUID, b"image:1", None]
        for watch, wrongs in ((client.image.watch, no_images), (client.watch, no_jobs)):
            for wrong in wrongs:
                with pytest.raises(ConfigurationError):
                    watch(wrong)
        assert not any(client.stats().watches.values())


@virtual
async def test_many_awaiters() -> None:
    """Any number of tasks may await one handle, before and after its end, and each has the same result."""
    simulator = Simulator()
    good, bad = simulator.add_image(duration=9), simulator.add_image(duration=9, outcome="failed")
    async with client_of(simulator) as client:
        watch, failing = client.watch(good), client.watch(bad)
        tasks = [asyncio.create_task(watch.result()) for _ in range(100)]
        fails = [asyncio.create_task(failing.result()) for _ in range(100)]
        assert len(set(await asyncio.gather(*tasks))) == 1
        errors = await asyncio.gather(*fails, return_exceptions=True)
        assert {type(error) for error in errors} == {JobFailedError}
        assert len({id(error) for error in errors}) == 100, "each awaiter has an exception of its own"
        assert await watch is watch.status
        with pytest.raises(JobFailedError):
            await failing


@virtual
async def test_canceling_an_await() -> None:
    """Canceling an await cancels that await alone: the watch, and those who wait for it, go on."""
    simulator = Simulator()
    job = simulator.add_image(duration=30)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        tasks = [asyncio.create_task(watch.result()) for _ in range(3)]
        await asyncio.sleep(10)
        tasks[1].cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.outcome(), 5)
        assert not watch.done()
        assert (await tasks[0]).is_terminal
        assert (await tasks[2]).is_terminal
        assert tasks[1].cancelled()


@virtual
async def test_cancel() -> None:
    """``cancel()`` ends a handle at once; the last one to leave ends the polling, and the job is never touched."""
    simulator = Simulator()
    job = simulator.add_image(duration=500)
    async with client_of(simulator) as client:
        first, second = client.watch(job), client.watch(job)
        waiting = asyncio.create_task(first.result())
        await asyncio.sleep(20)
        first.cancel()
        first.cancel()
        assert first.done()
        with pytest.raises(WatchCanceledError) as raised:
            await waiting
        assert raised.value.last_status is first.status is not None
        with pytest.raises(WatchCanceledError):
            await first
        asked = len(simulator.log)
        await asyncio.sleep(60)
        assert len(simulator.log) > asked
        async with second:
            pass
        assert second.done()
        asked = len(simulator.log)
        await asyncio.sleep(100)
        assert len(simulator.log) == asked
        assert client.stats().watches[JobKind.IMAGE] == 0
        assert {exchange.endpoint for exchange in simulator.log} <= {"image.status", "image.list"}
        assert not simulator.truth(job).ended


@virtual
async def test_cancel_after_the_end() -> None:
    """After its end ``cancel()`` does nothing to a handle: it keeps its result."""
    simulator = Simulator()
    job = simulator.add_image(duration=1)
    async with client_of(simulator) as client:
        async with client.watch(job) as watch:
            status = await watch
        assert await watch is status
        watch.cancel()
        assert (await watch.outcome()).error is None


@virtual
async def test_outcomes_do_not_change() -> None:
    """An outcome of a handle that has left is always the same, whatever the job's other handles see later."""
    simulator = Simulator()
    job = simulator.add_image(duration=100)
    async with client_of(simulator) as client:
        other = client.watch(job)
        brief = client.watch(job, timeout=20)
        canceled = client.watch(job)
        before = await brief.outcome()
        canceled.cancel()
        reported = await canceled.outcome()
        await other
        after = await brief.outcome()
        assert after == attrs.evolve(before, error=after.error)  # exceptions equal nothing but themselves
        assert (await canceled.outcome()).polls == reported.polls
        assert brief.status is before.status


@virtual
async def test_outcome_fields() -> None:
    """An outcome has job, tag, state, status, error, polls, and both times: its own span and the Unix time."""
    simulator = Simulator()
    good, bad = simulator.add_image(duration=30), simulator.add_try_on(duration=30, outcome="failed")
    async with client_of(simulator, policy=SINGLY) as client:
        await asyncio.sleep(10)
        outcome = await client.watch(good, tag="t").outcome()
        assert (outcome.job, outcome.tag, outcome.state, outcome.error) == (good, "t", JobState.COMPLETED, None)
        assert outcome.status == await client.image.get(good)
        assert outcome.polls == len(polls_of(simulator, good)) - 1
        assert 20 <= outcome.waited <= 25
        assert outcome.detected_at == pytest.approx(EPOCH + 10 + outcome.waited)
        failed = await client.watch(bad).outcome()
        assert failed.state is JobState.FAILED
        assert isinstance(failed.error, JobFailedError)
        assert failed.error.status == failed.status
        assert failed.polls == 1
        with pytest.raises(AttributeError):
            failed.polls = 2  # type: ignore[misc]


@virtual
async def test_explain() -> None:
    """``explain()`` says why, and when, the job is polled next, and that is when it is polled."""
    simulator = Simulator(delay=0.5)
    job = simulator.add_image(duration=100, eta="absent")
    async with client_of(simulator, policy=SINGLY) as client:
        watch = client.watch(job)
        first = watch.explain()
        assert first.looked_ago is None
        assert first.due_in is not None
        assert first.due_in <= 0.0
        assert "first poll" in first.reason
        await asyncio.sleep(0.1)
        assert watch.explain().in_flight
        assert watch.explain().due_in is None
        await asyncio.sleep(40)
        explanation = watch.explain()
        assert explanation.due_in is not None
        assert explanation.looked_ago is not None
        assert str(job) in str(explanation)
        due_at, asked = now() + explanation.due_in, len(polls_of(simulator, job))
        await asyncio.sleep(explanation.due_in + 0.6)
        assert polls_of(simulator, job)[asked] == pytest.approx(due_at, abs=0.02)
        await watch
        assert watch.explain().reason == "the watch has ended"
        assert watch.explain().due_in is None
