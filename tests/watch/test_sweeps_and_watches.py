"""What a page says to which watch, what it does not, and who comes and goes while it is on the wire."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest
from harness import A_HAIR, SINGLY, TOPAZ_KEY, client_of, now, polls_of, until, virtual
from scripted import Topaz, image, video

from topaz_status import (
    AuthenticationError,
    ClientClosedError,
    JobKind,
    JobLostError,
    JobRef,
    JobState,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    ServerError,
    VideoStatus,
)
from topaz_status.testing import JobPlan, Simulator

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}
IDS = [f"00000000-0000-4000-8000-0000000000{number:02d}" for number in range(30)]
A = IDS[0]


def pages(simulator: Simulator) -> list[float]:
    """When a page of a list was asked for."""
    return [exchange.at for exchange in simulator.log if exchange.endpoint == "image.list"]


@virtual
async def test_names_in_another_case() -> None:
    """Ids are UUIDs: the list, and other handles, may spell them otherwise; a status keeps the watch's own spelling."""
    shouted = [f"{name[:-4]}ABCD" for name in [f"{n:08d}-0000-4000-8000-000000000000" for n in range(40)]]
    topaz = Topaz(image_list=[image(name.lower(), "Processing") for name in shouted])
    async with client_of(topaz.server(), policy=PollPolicy(not_found_grace=600), **BUDGET) as client:
        watches = [client.image.watch(name) for name in shouted]
        others = [client.image.watch(name.lower()) for name in shouted]
        await asyncio.sleep(10)
        assert client.stats().watches[JobKind.IMAGE] == 40
        assert [other.explain().via_page for other in others] == [True] * 40
        topaz.image_list = [image(name.lower(), "Completed") for name in shouted]
        for name, watch, other in zip(shouted, watches, others, strict=True):
            assert (await watch).process_id == name
            assert await other == watch.status


@virtual
async def test_missing_from_the_list_while_it_is_there() -> None:
    """A job that vanishes from the list is neither lost nor finished: its own status counts."""
    topaz = Topaz(images={name: image(name) for name in IDS}, image_list=[image(name) for name in IDS])
    async with client_of(topaz.server(), **BUDGET) as client:
        watches = [client.watch(f"image:{name}") for name in IDS]
        await asyncio.sleep(30)
        assert not topaz.times(IDS[3:])[40:]
        topaz.image_list = []
        await asyncio.sleep(120)
        assert not any(watch.done() for watch in watches)
        gaps = [later - earlier for name in IDS for earlier, later in pairwise(topaz.times(name)) if earlier > 40]
        assert max(gaps) <= 35
        for watch in watches:
            watch.cancel()


@virtual
async def test_404_of_a_job_that_is_listed() -> None:
    """A listing is a 200 between two 404s of the job itself; once no list shows two of them, 404s end their watches."""
    images, history = [image(name) for name in IDS], [video(name) for name in IDS]
    topaz = Topaz(image_list=images, history=history)
    topaz.images.update(zip(IDS[2:], images[2:], strict=True))
    topaz.videos.update(zip(IDS[2:], history[2:], strict=True))
    jobs = [JobRef(kind, name) for kind in (JobKind.IMAGE, JobKind.VIDEO) for name in IDS]
    async with client_of(topaz.server(), policy=PollPolicy(price=1e-5, not_found_grace=0)) as client:
        watches = [client.watch(job) for job in jobs]
        for _ in range(40):
            await asyncio.sleep(1.1)
            client.notify(JobRef(JobKind.IMAGE, A))
        assert len(topaz.times(A)) >= 40
        assert not any(watch.done() for watch in watches)
        topaz.image_list, topaz.history = images[2:], history[2:]
        started = now()
        outcomes = [await watch.outcome() for watch in (*watches[:2], *watches[len(IDS) : len(IDS) + 2])]
        assert now() - started < 90, "a minute after the latest listing that took a 404 back"
        assert sum(watch.done() for watch in watches) == 4
        for watch in watches:
            watch.cancel()
    assert {type(outcome.error) for outcome in outcomes[:2]} == {JobLostError}
    assert {type(outcome.error) for outcome in outcomes[2:]} == {NotFoundError}, "no status of a video was ever seen"


@pytest.mark.parametrize("own", [404, 500])
@virtual
async def test_an_end_that_no_status_confirms(own: int) -> None:
    """A terminal word in the history alone is no answer of use: it neither ends a watch nor keeps it alive for ever."""
    topaz = Topaz({}, {name: {"status": "processing"} for name in IDS}, history=[video(name) for name in IDS])
    policy = PollPolicy(price=1e-5, not_found_grace=0, give_up_after=30)
    async with client_of(topaz.server(), policy=policy) as client:
        watches = [client.watch(f"video:{name}") for name in IDS]
        await asyncio.sleep(20)
        topaz.videos[A] = own
        topaz.history = [video(A, "complete"), *(video(name) for name in IDS[1:])]
        outcome = await watches[0].outcome()
        assert topaz.times("video.history")[-1] > now() - 1.0
        assert not any(watch.done() for watch in watches[1:])
        for watch in watches:
            watch.cancel()
    assert outcome.state is None
    assert isinstance(outcome.error, JobLostError if own == 404 else ServerError)
    assert outcome.waited < 20 + (10 if own == 404 else 65)


@virtual
async def test_the_history_says_when_to_poll() -> None:
    """A terminal word in the history brings a poll of the video at once, and that alone ends the watch, with its URL."""
    topaz = Topaz(history=[video(name) for name in IDS])
    topaz.videos = {name: {"status": "processing"} for name in IDS}
    async with client_of(topaz.server(), policy=PollPolicy(price=1.0), **BUDGET) as client:
        watches = [client.video.watch(name) for name in IDS]
        await until(lambda: len(topaz.times("video.history")) > 1)
        assert not any(watch.done() for watch in watches)
        done = {"status": "complete", "download": {"url": "https://r2/x", "expiresIn": 1, "expiresAt": 2}}
        topaz.videos[A] = done
        topaz.history = [video(A, "complete"), *(video(name) for name in IDS[1:])]
        asked = len(topaz.times("video.history"))
        status = await watches[0]
        assert isinstance(status, VideoStatus)
        assert status.result_url == "https://r2/x"
        assert sum(watch.done() for watch in watches) == 1
        if len(topaz.times("video.history")) > asked:
            assert now() - topaz.times("video.history")[-1] <= 0.25 + A_HAIR
        for watch in watches:
            watch.cancel()


@virtual
async def test_403_of_a_job_that_is_listed() -> None:
    """What the list shows of a job counts, also where it may not be asked for; where only it itself is asked, 403 ends it."""
    for policy, ends in ((PollPolicy(), type(None)), (SINGLY, PermissionDeniedError)):
        topaz = Topaz(images=dict.fromkeys(IDS, 403), image_list=[image(name) for name in IDS])
        async with client_of(topaz.server(), policy=policy, **BUDGET) as client:
            watches = [client.watch(f"image:{name}") for name in IDS]
            await asyncio.sleep(10)
            topaz.image_list = [image(name, "Completed") for name in IDS]
            outcomes = await asyncio.gather(*(watch.outcome() for watch in watches))
        assert {type(outcome.error) for outcome in outcomes} == {ends}


@virtual
async def test_a_key_that_is_refused() -> None:
    """A 401 of the list ends nothing by itself, and where the jobs confirm it, a key costs a few requests, not a storm."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=300, duration=600))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await until(lambda: len(pages(simulator)) > 10)
        simulator.add_fault("401", endpoint="image.list", until=now() + 20)
        await asyncio.sleep(40)
        assert not any(watch.done() for watch in watches)
        simulator.revoke(TOPAZ_KEY)
        asked = len(simulator.log)
        outcomes = await asyncio.gather(*(watch.outcome() for watch in watches))
        assert {type(outcome.error) for outcome in outcomes} == {AuthenticationError}
        assert len(simulator.log) - asked <= 6


@virtual
async def test_a_watch_that_comes_after_the_page_was_sent() -> None:
    """A page that was asked for before a watch began says nothing to it, however late it comes."""
    simulator = Simulator(delay=4.0)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=50, duration=1))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await until(lambda: simulator.stats().in_flight)
        [sent] = simulator.stats().by_endpoint
        assert sent == "image.list"
        await asyncio.sleep(1)
        again = watches[0]
        again.cancel()
        started, fresh = now(), client.watch(jobs[0])
        assert all(outcome.state for outcome in [await watch.outcome() for watch in watches[1:]])
        assert not fresh.done()
        outcome = await fresh.outcome()
    assert outcome.state is JobState.COMPLETED
    assert now() - started >= 4.0
    assert outcome.polls == 1


@virtual
async def test_a_notice_while_a_page_is_on_the_wire() -> None:
    """A notice brings a poll of its job although a page that may show it is on the wire."""
    simulator = Simulator(delay=3.0)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=50, duration=500, eta="absent"))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(30)
        await until(lambda: watches[5].explain().in_flight)
        assert watches[5].explain().via_page
        asked = now()
        assert client.notify(jobs[5]) == jobs[5]
        await asyncio.sleep(3.5)
        assert any(asked <= at <= asked + 0.3 for at in polls_of(simulator, jobs[5]))
        assert watches[5].explain().via_page
        for watch in watches:
            watch.cancel()


@virtual
async def test_a_notice_that_waits_for_a_token_while_a_page_comes() -> None:
    """A page that shows the job meanwhile does not settle a notice: what it says may be newer than the page."""
    simulator = Simulator(delay=0.3)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=50, duration=500, eta="absent"))
    async with client_of(simulator, rate=1.0, burst=1.0) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(20)
        await until(lambda: watches[5].explain().in_flight, step=0.01)
        asked = now()
        client.notify(jobs[5])
        await asyncio.sleep(1.5)
        assert [at for at in polls_of(simulator, jobs[5]) if at > asked + 0.3]
        for watch in watches:
            watch.cancel()


@pytest.mark.parametrize("seconds", [0.0, 0.9, 1.5, 3.0])
@virtual
async def test_closing_during_a_sweep(seconds: float) -> None:
    """Closing while pages are on the wire ends every watch at once, and nothing is left."""
    simulator = Simulator(delay=2.0)
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=100, duration=500) for kind in ("image", "video")])
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(seconds)
        closed_at = now()
    assert now() - closed_at < 0.1
    for watch in watches:
        assert isinstance((await watch.outcome()).error, ClientClosedError)


@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2, 5, 20, 40, 80])
@virtual
async def test_polls_that_are_canceled(steps: int, sweep: bool) -> None:
    """A poll's task that somebody cancels, even before it began, costs neither its slot nor its jobs their next poll."""
    simulator = Simulator(delay=0.5)
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=30, duration=30) for kind in ("image", "video")])
    struck: list[asyncio.Task[Any]] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
        if getattr(work, "__qualname__", "") == "Feed._work" and len(struck) < 20:
            struck.append(task)
            _after(loop, steps, task)
        return task

    async with client_of(simulator, max_in_flight=4, policy=PollPolicy(sweep=sweep), rate=20.0) as client:
        asyncio.get_running_loop().set_task_factory(factory)  # type: ignore[arg-type]
        outcomes = await client.outcomes(jobs)
        asyncio.get_running_loop().set_task_factory(None)
        assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
        await until(lambda: client.stats().in_flight == 0)
    assert sum(task.cancelled() for task in struck) == 20


def _after(loop: asyncio.AbstractEventLoop, steps: int, task: asyncio.Task[Any]) -> None:
    """Cancel a task so many rounds of the loop from now."""
    if steps:
        loop.call_soon(_after, loop, steps - 1, task)
    else:
        task.cancel()


@virtual
async def test_a_task_goes_on_with_the_next_poll() -> None:
    """Where every slot is wanted, what finished one poll makes the next: tasks are as many as slots, not as polls."""
    simulator = Simulator(delay=0.5)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=300, duration=20))
    begun = Counter[str]()

    def factory(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        begun[getattr(work, "__qualname__", "")] += 1
        return asyncio.Task(work, loop=loop, **more)

    policy = PollPolicy(sweep=False)
    async with client_of(simulator, max_in_flight=4, policy=policy, rate=1000.0, burst=10.0) as client:
        asyncio.get_running_loop().set_task_factory(factory)  # type: ignore[arg-type]
        outcomes = await client.outcomes(jobs)
        asyncio.get_running_loop().set_task_factory(None)
        assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
        assert client.stats().peak_in_flight == 4
        assert client.stats().total_requests > 400
    assert begun["Feed._work"] < 40
