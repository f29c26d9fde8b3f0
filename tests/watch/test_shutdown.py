"""Ends from anywhere: groups that fail, timeouts around anything, Ctrl-C, a loop that stood still, a clock that jumped."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from harness import client_of, now, settle, until, virtual
from invariants import beyond_budget

from topaz_status import ClientClosedError, JobKind, JobRef, JobState, PollPolicy, StatusClient, WatchTimeoutError
from topaz_status.testing import JobPlan, Simulator, VirtualLoop

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}
Work = Callable[[], Coroutine[Any, Any, Any]]


async def drained(source: AsyncIterable[Any]) -> None:
    """Take all that comes."""
    async for _ in source:
        pass


def the_awaitables(client: StatusClient, job: JobRef, folder: Path) -> dict[str, Work]:
    """Everything that can be awaited."""

    async def feed() -> AsyncIterator[JobRef]:
        while True:
            await asyncio.sleep(1)
            yield job

    async def within() -> None:
        async with client.watch(job) as watch:
            await watch

    return {
        "watch": lambda: client.watch(job).result(),
        "outcome": lambda: client.watch(job).outcome(),
        "updates": lambda: drained(client.watch(job).updates()),
        "async with watch": within,
        "as_completed": lambda: drained(client.as_completed([job])),
        "as_completed of an endless iterable": lambda: drained(client.as_completed(feed())),
        "gather": lambda: client.gather([job]),
        "outcomes": lambda: client.outcomes([job]),
        "get": lambda: client.image.get(job),
        "list": lambda: drained(client.image.list()),
        "delete": lambda: client.image.delete(job),
        "result": lambda: client.result(job),
        "save": lambda: client.save(job, folder),
    }


NAMES = list(the_awaitables(None, None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@virtual
async def test_a_timeout_around_anything(name: str, tmp_path: Path) -> None:
    """``asyncio.timeout`` ends what is inside with ``TimeoutError``, and the client works on for everybody else."""
    simulator = Simulator(delay=1.0)
    job, calm = simulator.add_image(duration=500), simulator.add_video(duration=30)
    simulator.add_fault("hang", service="image")
    async with client_of(simulator, request_timeout=100.0, **BUDGET) as client:
        other = client.watch(calm)
        for seconds in (0.0, 0.3, 7.0):
            started = now()
            with pytest.raises(TimeoutError) as raised:
                async with asyncio.timeout(seconds):
                    await the_awaitables(client, job, tmp_path)[name]()
            assert type(raised.value) is TimeoutError
            assert now() - started <= seconds + 0.01
        assert (await other).state is JobState.COMPLETED
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


@pytest.mark.parametrize("outside", [False, True])
@virtual
async def test_a_group_that_fails(outside: bool, tmp_path: Path) -> None:
    """When one task of a group fails, the others go wherever they wait, the client closes, and nothing is left."""
    simulator = Simulator(delay=0.5)
    job = simulator.add_image(duration=500)

    async def fail() -> None:
        await asyncio.sleep(20)
        raise ZeroDivisionError

    async def around() -> None:
        async with asyncio.TaskGroup() as group, client_of(simulator, **BUDGET) as client:
            group.create_task(fail())
            await client.watch(job)

    async def within() -> None:
        async with client_of(simulator, **BUDGET) as client, asyncio.TaskGroup() as group:
            group.create_task(fail())
            for name, work in the_awaitables(client, job, tmp_path).items():
                if name not in {"get", "delete", "result", "save", "list"}:
                    group.create_task(work())

    with pytest.raises(ExceptionGroup) as raised:
        await (around if outside else within)()
    assert [type(error) for error in raised.value.exceptions] == [ZeroDivisionError]
    assert now() < 21


@pytest.mark.parametrize("moment", [0.9, 1.0, 1.2, 1.5, 3.0, 10.0])
@virtual
async def test_closing_during_a_sweep(moment: float) -> None:
    """A client closed while pages are on the wire, or between two of them, ends every watch at once."""
    simulator = Simulator(delay=1.0)
    jobs = simulator.add_jobs(JobPlan(kind="image", count=350, duration=500))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(moment)
        started = now()
        await client.aclose()
        assert now() - started < 0.01
        assert {type((await watch.outcome()).error) for watch in watches} == {ClientClosedError}
    assert any(exchange.endpoint == "image.list" for exchange in simulator.log)


@virtual
async def test_closing_twice_at_once() -> None:
    """A caller who closes a client that is being closed waits until it is."""
    simulator = Simulator(delay=1.0)
    jobs = [simulator.add_image(duration=500) for _ in range(5)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(3.3)
        first = asyncio.create_task(client.aclose())
        await settle(1)
        assert not first.done()
        await client.aclose()
        assert all(watch.done() for watch in watches)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("topaz_status")]
        await first


def stand_still(seconds: float) -> None:
    """Let time pass in which the loop does nothing: blocked by somebody, or asleep with its computer."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._jump(loop.time() + seconds)


@pytest.mark.parametrize("seconds", [30.0, 4 * 3600.0])
@pytest.mark.parametrize("fault", [None, "503", "hang"])
@virtual
async def test_a_loop_that_stood_still(seconds: float, fault: str | None) -> None:
    """After a block of 30 s, or hours of sleep, timeouts that have passed fire, nothing else ends, and none stampedes."""
    simulator = Simulator(delay=0.2)
    plans = [JobPlan(kind=kind, count=40, duration=seconds + 100.0) for kind in JobKind]
    jobs = simulator.add_jobs(plans)
    if fault:
        simulator.add_fault(fault, since=45, until=seconds + 60)
    async with client_of(simulator, **BUDGET, policy=PollPolicy(give_up_after=120)) as client:
        watches = [client.watch(job) for job in jobs]
        short = client.watch(jobs[0], timeout=55)
        await asyncio.sleep(50.1)
        stand_still(seconds)
        assert isinstance((await short.outcome()).error, WatchTimeoutError)
        assert now() < 50.1 + seconds + 6.0
        outcomes = [await watch.outcome() for watch in watches]
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert not beyond_budget([exchange.at for exchange in simulator.log], 10.0, 10.0)
    assert now() < seconds + 100 + PollPolicy().longest_gap(seconds) + 15.0


@virtual
async def test_a_poll_on_the_wire_while_the_computer_slept() -> None:
    """The hours for which a request seems to have been on its way are not the service's silence."""
    simulator = Simulator(delay=0.2)
    job = simulator.add_video(duration=20_000)
    simulator.add_fault("hang", since=40, until=10_000)
    simulator.add_fault("503", since=10_000, until=18_080)
    policy = PollPolicy(give_up_after=120, sweep=False, max_interval=10)
    async with client_of(simulator, policy=policy, **BUDGET) as client:
        watch = client.watch(job)
        await until(lambda: watch.explain().in_flight and now() > 45, step=0.1)
        stand_still(18_000.0)
        assert (await watch.outcome()).state is JobState.COMPLETED


CHILD = """
    import asyncio
    from topaz_status import StatusClient
    from topaz_status.testing import Simulator

    async def main():
        simulator = Simulator(delay=0.05)
        jobs = [simulator.add_image(duration=1000) for _ in range(50)]
        async with simulator.serve() as url:
            async with StatusClient(topaz_api_key="key", topaz_url=url) as client:
                watches = [client.watch(job) for job in jobs]
                collecting = asyncio.create_task(client.outcomes(jobs))
                await asyncio.sleep(0.3)
                print("ready", flush=True)
                try:
                    await watches[0]
                finally:
                    print("leaving", flush=True)

    try:
        asyncio.run(main(), debug=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c() -> None:
    """A program that Ctrl-C interrupts in the middle of it all leaves in order, without a word of complaint."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(CHILD)]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        said, complaints = child.communicate()
    assert said.split() == ["leaving", "interrupted"]
    assert [line for line in complaints.splitlines() if "took" not in line] == [], "asyncio may find a step slow"
    assert child.returncode == 0
