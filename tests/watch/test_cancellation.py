"""Cancellation at every await: the one who is canceled goes, and nothing else changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from harness import Axe, at_every_await, client_of, settle, until

from topaz_status import JobKind, JobRef, JobState, StatusClient, Watch, WatchCanceledError
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.session.polling.gate import Gate
from topaz_status.session.timing.clock import Clock
from topaz_status.testing import Simulator, run_virtual

BURST = 40.0


@contextlib.asynccontextmanager
async def bystander(simulator: Simulator, **settings: Any) -> AsyncIterator[StatusClient]:
    """A client with a watch that must not be disturbed, and books that must balance in the end."""
    calm = simulator.add_video(duration=300)
    async with client_of(simulator, rate=0.001, burst=BURST, **settings) as client:
        watch = client.watch(calm)
        await asyncio.sleep(2)
        yield client
        await settle()
        await until(lambda: not watch.explain().in_flight)
        stats = client.stats()
        assert stats.watches == {JobKind.IMAGE: 0, JobKind.VIDEO: 1, JobKind.TRY_ON: 0}, "a watch was left behind"
        assert stats.in_flight == 0, "a slot was lost"
        spent = BURST - stats.tokens
        sent = sum(count for service, count in simulator.stats().by_service.items() if service != "storage")
        assert sent - 0.5 <= spent <= sent + 1.5, "a token was lost"
        assert not watch.done()
        client.notify(calm)
        await asyncio.sleep(5)
        explanation = watch.explain()
        assert explanation.looked_ago is not None
        assert explanation.looked_ago <= 5.1, "the bystander is not polled any more"
        watch.cancel()


@pytest.mark.parametrize("fault", [None, "503", "reset", "429"])
def test_direct_call(fault: str | None) -> None:
    """A direct call may be canceled wherever it waits: for its turn, for the answer, for its next attempt."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator(delay=1.0)
        if fault:
            simulator.add_fault(fault, service="image", count=1)
        job = simulator.add_image(duration=5)
        async with bystander(simulator) as client:
            task = await axe.fall_on(client.image.get(job))
            assert axe.struck or task.result().job == job

    at_every_await(scenario, least=2 if fault is None else 5)


def test_several_calls_in_one() -> None:
    """So may those that make several requests."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator()
        jobs = [simulator.add_image(duration=5) for _ in range(5)]

        async def sweep() -> int:
            return len([status async for status in client.image.list(page_size=2)])

        async with bystander(simulator) as client:
            task = await axe.fall_on(sweep())
            assert axe.struck or task.result() == len(jobs)

    at_every_await(scenario, least=6)


@pytest.mark.parametrize("how", ["result", "outcome", "updates"])
def test_awaiting_a_watch(how: str) -> None:
    """A caller who awaits a watch may be canceled; the watch goes on for the others, and its last one to leave ends it."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator(delay=0.5)
        job = simulator.add_image(duration=10)

        async def updates(watch: Watch[Any]) -> None:
            async for _ in watch.updates():
                pass

        async with bystander(simulator) as client:
            watch, other = client.watch(job), client.watch(job)
            await axe.fall_on(
                {"result": watch.result, "outcome": watch.outcome}[how]() if how != "updates" else updates(watch)
            )
            assert (await other).state is JobState.COMPLETED
            assert (await watch).state is JobState.COMPLETED

    at_every_await(scenario, least=1)


def test_a_watch_as_context() -> None:
    """Canceling within ``async with watch`` ends its polling."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator()
        job = simulator.add_image(duration=5)

        async def within() -> None:
            async with client.watch(job) as watch:
                await watch

        async with bystander(simulator) as client:
            await axe.fall_on(within())

    at_every_await(scenario, least=1)


def the_calls(client: StatusClient, jobs: list[JobRef]) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    """The calls about many jobs."""

    async def feed() -> AsyncIterator[JobRef]:
        for job in jobs:
            await asyncio.sleep(0.5)
            yield job

    async def loop(source: Any) -> list[JobRef | None]:
        return [outcome.job async for outcome in client.as_completed(source)]

    async def closing() -> None:
        async with client.as_completed(feed()) as stream:
            await anext(stream)

    return {
        "gather": lambda: client.gather(jobs),
        "outcomes": lambda: client.outcomes(jobs),
        "as_completed": lambda: loop(jobs),
        "as_completed of an async iterable": lambda: loop(feed()),
        "leaving as_completed": closing,
    }


@pytest.mark.parametrize("name", the_calls(None, []))  # type: ignore[arg-type]
def test_many_jobs(name: str) -> None:
    """A call about many jobs may be canceled wherever it waits: its handles go, and those of others stay."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator()
        jobs = [simulator.add_image(duration=3 + i) for i in range(3)]
        async with bystander(simulator) as client:
            other = client.watch(jobs[2])
            await axe.fall_on(the_calls(client, jobs)[name]())
            assert (await other).state is JobState.COMPLETED

    at_every_await(scenario, least=2)


@pytest.mark.parametrize("kind", JobKind)
def test_save(kind: JobKind, tmp_path: Path) -> None:
    """A download may be canceled wherever it waits: the file is there whole, or nothing is there."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator(delay=0.1)
        job = simulator.add(kind, duration=0.0, size=1_500_000)
        simulator.add_fault("truncated", service="storage", count=1)
        folder = tmp_path / f"{axe.at}-{axe.late}"
        async with bystander(simulator) as client:
            task = await axe.fall_on(client.save(job, folder))
            await asyncio.to_thread(lambda: None)
            left = list(folder.iterdir()) if folder.exists() else []
            assert len(left) <= 1
            assert len(left) == 1 or axe.struck
            for path in left:
                assert path.read_bytes() == simulator.result_bytes(job)
            assert axe.struck or task.result() == left[0]

    at_every_await(scenario, least=5)


def test_closing() -> None:
    """Even closing may be canceled: the client is closed nevertheless, every watch has ended, and nobody waits."""

    async def scenario(axe: Axe) -> None:
        simulator = Simulator(delay=1.0)
        jobs = [simulator.add_image(duration=100) for _ in range(3)]
        async with client_of(simulator) as client:
            watches = [client.watch(job) for job in jobs]
            call = asyncio.create_task(client.image.get(jobs[0]))
            await asyncio.sleep(0.5)
            await axe.fall_on(client.aclose())
            await client.aclose()
            assert all(watch.done() for watch in watches)
            await asyncio.wait([call])
            call.exception()

    at_every_await(scenario, least=1)


class CountedBudget(LocalBudget):
    """Counts the tokens that are gone."""

    spent = 0

    def take(self, kind: JobKind, now: float) -> None:
        super().take(kind, now)
        self.spent += 1

    def give_back(self, kind: JobKind) -> None:
        super().give_back(kind)
        self.spent -= 1


def test_admission() -> None:
    """A caller who is canceled in the gate's line loses neither a slot nor a token, and those behind move up."""

    async def scenario(axe: Axe) -> None:
        loop = asyncio.get_running_loop()
        budget = CountedBudget(1.0, 2.0, {})
        gate = Gate(Clock.of(loop), budget, 1)
        entered: list[str] = []
        admitted: list[str] = []

        async def pass_through(name: str) -> None:
            async with gate.admit(JobKind.IMAGE):
                entered.append(name)
                await asyncio.sleep(0.1)
                admitted.append(name)

        first = asyncio.create_task(pass_through("first"))
        await settle(1)
        behind: list[asyncio.Task[None]] = []
        loop.call_soon(lambda: behind.append(asyncio.create_task(pass_through("behind"))))
        await axe.fall_on(pass_through("canceled"))
        await asyncio.wait([first, *behind])
        assert gate.in_flight == 0
        assert admitted == (["first", "behind"] if axe.struck else ["first", "canceled", "behind"])
        assert budget.spent == len(entered), "a token was spent on one who never went"
        gate.close()

    at_every_await(scenario, least=2)


def test_ends_do_not_contradict() -> None:
    """A handle that is canceled in the very moment of its job's end has one of the two endings, not half of each."""

    async def scenario(step: int) -> tuple[JobState | None, type | None]:
        simulator = Simulator()
        job = simulator.add_image(duration=0.0)
        async with client_of(simulator) as client:
            watch = client.watch(job)
            client.notify(job)
            await settle(step)
            watch.cancel()
            outcome = await watch.outcome()
        return outcome.state, type(outcome.error) if outcome.error else None

    seen = {run_virtual(scenario(step)) for step in range(60)}
    assert seen == {(None, WatchCanceledError), (JobState.COMPLETED, None)}


def test_closing_at_every_step() -> None:
    """Closing in any moment of a call or a watch ends it: with its result, or as closed, never otherwise."""

    async def scenario(step: int) -> set[str]:
        simulator = Simulator()
        job = simulator.add_image(duration=0.0)
        async with client_of(simulator) as client:
            calls = [client.image.get(job), client.watch(job).result(), client.gather([job])]
            tasks = [asyncio.create_task(call) for call in calls]
            await settle(1)
            client.notify(job)
            await settle(step)
            await client.aclose()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        return {type(result).__name__ for result in results}

    seen = {name for step in range(60) for name in run_virtual(scenario(step))}
    assert seen == {"ImageStatus", "ClientClosedError", "list"}
