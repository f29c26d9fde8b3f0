"""Taking up what was left: all of it, paced by the budget, with its age and its deadline, over any restart."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from harness import A_HAIR, SINGLY, client_of, now, polls_of, settle, until, virtual
from stores import Spy, after_a_crash, row

from topaz_status import (
    ConfigurationError,
    JobLostError,
    JobState,
    MemoryStore,
    Outcome,
    StatusClient,
    StoreError,
    WatchTimeoutError,
)
from topaz_status.store.base import End, Row
from topaz_status.testing import EPOCH, Simulator, run_virtual

ID = "00000000-0000-4000-8000-00000000000a"


async def resumed(client: StatusClient) -> list[Outcome]:
    return [outcome async for outcome in client.resume()]


def one_after_the_other(*lives: tuple[float, Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Processes that begin at Unix times so many seconds after the epoch, each with a loop's clock of its own."""
    for place, (at, life) in enumerate(lives):
        start = 1000.0 * (3 - place)
        run_virtual(life(), start=start, epoch=EPOCH + at - start)


@virtual
async def test_what_is_open_is_taken_up_and_what_ended_is_handed_out() -> None:
    """With the tags that were given; outcomes that wait come before those that are yet to come."""
    simulator, store = Simulator(), Spy()
    ended, still = simulator.add_image(duration=1.0), simulator.add_video(duration=50.0)
    async with client_of(simulator, store=store) as client:
        await client.watch(ended, tag={"row": 1})
        client.watch(still, tag=["row", 2])
        await until(lambda: len(store.jobs()) == 2)
    async with client_of(simulator, store=store.inner) as client:
        first, second = await resumed(client)
        assert (first.job, first.tag, first.redelivered, first.state) == (ended, {"row": 1}, True, JobState.COMPLETED)
        assert (second.job, second.tag, second.redelivered) == (still, ["row", 2], False)
        assert second.waited == pytest.approx(50.0, abs=2.0)
    async with client_of(simulator, store=store.inner) as client:
        assert await resumed(client) == []


@virtual
async def test_a_redelivered_status_has_no_link_and_a_fresh_one_is_to_be_had() -> None:
    """Links are signed: the store does not hold them."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_try_on(duration=1.0)
    async with client_of(simulator, store=store) as client:
        assert (await client.try_on.watch(job)).result_url
    async with client_of(simulator, store=after_a_crash(store)) as client:
        (outcome,) = await resumed(client)
        assert outcome.status is not None
        assert outcome.status.result_url is None
        assert (await client.result(job)).url
    assert "http" not in str(store.inner.load())


@virtual
async def test_as_of_the_call() -> None:
    """What is watched after it is not part of it, even if nothing was read from the store yet."""
    simulator, store = Simulator(), MemoryStore()
    before, after = (simulator.add_image(duration=5.0) for _ in range(2))
    async with client_of(simulator, store=store) as client:
        client.watch(before)
        outcomes = client.resume()
        client.watch(after)
        assert [outcome.job async for outcome in outcomes] == [before]


@virtual
async def test_in_the_same_client() -> None:
    """What a loop left behind can be taken up at once, without another stream of polls for what is watched anyway."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=duration) for duration in (1.0, 30.0, 30.0)]
    async with client_of(simulator, store=store, policy=SINGLY) as client:
        held = client.watch(jobs[1])
        async with client.as_completed(jobs) as outcomes:
            await anext(outcomes)
        assert sum(client.stats().watches.values()) == 1
        again = client.resume()
        assert {(o.job, o.redelivered) async for o in again} == {(jobs[0], True), (jobs[1], False), (jobs[2], False)}
        assert held.done()
        times = [polls_of(simulator, job) for job in jobs]
        gaps = [later - earlier for at in times for earlier, later in itertools.pairwise(at)]
        assert min(gaps) >= 0.25 - A_HAIR
    assert store.jobs() == {}


@virtual
async def test_acknowledged_while_it_is_being_read() -> None:
    """A row that goes between the call and its turn is not brought back."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        outcome = await client.watch(job).outcome()
        outcomes = client.resume()
        await settle(1)
        await outcome.ack()
        del outcome
        assert [one.job async for one in outcomes] == []
    assert store.jobs() == {}


@virtual
async def test_acknowledged_while_the_store_is_being_read() -> None:
    """What was read a moment too early does not bring it back either."""

    class Slow(Spy):
        async_gate = threading.Event()

        def load(self) -> list[Row]:
            found = super().load()
            self.on_load()
            assert self.async_gate.wait(10)
            return found

        on_load: Callable[[], object] = staticmethod(lambda: None)

    simulator, store = Simulator(), Slow()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        loop, reads = asyncio.get_running_loop(), asyncio.Event()
        store.on_load = lambda: loop.call_soon_threadsafe(reads.set)
        outcome = await client.watch(job).outcome()
        outcomes = client.resume()
        await reads.wait()
        outcome.ack()
        del outcome
        gc.collect()
        store.async_gate.set()
        assert [one.job async for one in outcomes] == []
    assert store.jobs() == {}


@virtual
async def test_acknowledged_while_others_are_taken_up() -> None:
    """A row that goes before its turn among thousands is passed over."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1.0) for _ in range(250)]
    async with client_of(simulator, store=store) as client:
        reported = await client.outcomes(jobs)
        async with client.resume() as outcomes:
            while not outcomes._batch.ready:  # noqa: ASYNC110  # no time passes
                await asyncio.sleep(0)
            waiting = {outcome.job for outcome in outcomes._batch.ready}
            last = next(outcome for outcome in reported if outcome.job not in waiting)
            last.ack()
            rest = [outcome.job async for outcome in outcomes]
    assert len(rest) == 249
    assert last.job not in rest


@virtual
async def test_resuming_is_paced_by_the_same_budget() -> None:
    """A thousand watches that come at once are no reason to ask faster; a slow step does not hold the loop up."""
    simulator = Simulator()
    jobs = [simulator.add_try_on(duration=10_000.0) for _ in range(300)]
    store = MemoryStore()
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job)
        await settle()
        await until(lambda: len(store.load()) == 300)
    asked = len(simulator.log)
    began = now()
    async with client_of(simulator, store=store, rate=10.0, burst=5.0) as client, client.resume() as outcomes:
        waiting = asyncio.create_task(anext(outcomes))
        await asyncio.sleep(20.0)
        assert len(outcomes.watches) == 300
        waiting.cancel()
    times = [exchange.at for exchange in simulator.log[asked:]]
    for place, at in enumerate(times):
        assert place + 1 <= 5.0 + 10.0 * (at - began) + A_HAIR
    assert len(times) >= 150


@virtual
async def test_a_missing_key_is_an_outcome_and_the_row_stays() -> None:
    """The rest is taken up; with the key there it is, too."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=5.0), simulator.add_try_on(duration=5.0)]
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job, tag=job.kind.value)
        await until(lambda: len(store.jobs()) == 2)
    async with client_of(simulator, store=store.inner, pixelcut_api_key=" ") as client:
        refused, done = await resumed(client)
        assert (refused.job, refused.tag, refused.state) == (jobs[1], "try-on", None)
        assert type(refused.error) is ConfigurationError
        assert done.state is JobState.COMPLETED
    assert set(store.jobs()) == {str(jobs[1])}


@virtual
async def test_a_store_that_cannot_be_read_is_reported_in_the_loop() -> None:
    """By a clear error, whatever the store raised; and the client goes on."""

    class Unreadable(MemoryStore):
        def load(self) -> list[Any]:
            raise self.error

        error: Exception = StoreError("is damaged")

    simulator, store = Simulator(), Unreadable(keep=None)
    async with client_of(simulator, store=store) as client:
        for error, text in ((StoreError("is damaged"), "is damaged"), (KeyError("x"), r"the store failed: KeyError")):
            store.error = error
            with pytest.raises(StoreError, match=text):
                await resumed(client)
        assert (await client.watch(simulator.add_image(duration=1.0))).is_terminal


@virtual
async def test_an_outcome_that_cannot_be_read_is_asked_for_anew() -> None:
    """As from another version: rather one poll more than a wrong word."""
    simulator = Simulator()
    job = simulator.add_image(duration=1.0)
    store = MemoryStore()
    store.write([row(1, str(job), status="?", end=End(1, 1.0, EPOCH, None, True))], [], flush=True)
    async with client_of(simulator, store=store) as client:
        (outcome,) = await resumed(client)
        assert outcome.state is JobState.COMPLETED
    assert len(simulator.log) >= 1


# -- age and deadline -------------------------------------------------------------------------------------------------


def test_deadlines_and_ages_are_right_over_a_restart() -> None:
    """They go by the wall's clock: the loop's begins anew with each process."""
    store = MemoryStore()
    reported: list[Any] = []

    async def first() -> None:
        simulator = Simulator()
        job = simulator.add_image(id=ID, duration=10_000.0)
        async with client_of(simulator, store=store) as client:
            client.watch(job, timeout=100.0, submitted_at=EPOCH - 20.0)
            await asyncio.sleep(30.0)

    async def second() -> None:
        simulator = Simulator()
        simulator.add_image(id=ID, after=-80.0, duration=10_000.0, eta="absent")
        async with client_of(simulator, store=store) as client, client.resume() as outcomes:
            waiting = asyncio.ensure_future(anext(outcomes))
            await until(lambda: outcomes.watches)
            await asyncio.sleep(1.0)
            (watch,) = outcomes.watches
            reported.append(watch.explain().longest_gap)
            began = now()
            outcome = await waiting
            reported.append((now() - began, type(outcome.error), outcome.waited))

    one_after_the_other((0.0, first), (60.0, second))
    assert reported[0] == pytest.approx(81.0 / 4.0, abs=0.5)
    left, error, waited = reported[1]
    assert (left, error, waited) == (pytest.approx(39.0, abs=0.1), WatchTimeoutError, pytest.approx(100.0, abs=0.1))


@pytest.mark.parametrize("completed", [True, False])
def test_a_deadline_that_passed_meanwhile_leaves_one_poll(completed: bool) -> None:
    """A job that has ended is reported as ended; one that has not, times out with what was seen."""
    store = MemoryStore()
    reported: list[Outcome] = []

    async def first() -> None:
        simulator = Simulator()
        job = simulator.add_video(id=ID, duration=10_000.0)
        async with client_of(simulator, store=store) as client:
            client.watch(job, timeout=100.0)
            await asyncio.sleep(30.0)

    async def second() -> None:
        simulator = Simulator()
        simulator.add_video(id=ID, after=-500.0, duration=100.0 if completed else 10_000.0)
        async with client_of(simulator, store=store, policy=SINGLY) as client:
            reported.extend(await resumed(client))
            assert now() < 2005.0
            assert len(simulator.log) == 1

    one_after_the_other((0.0, first), (500.0, second))
    (outcome,) = reported
    assert outcome.status is not None
    assert outcome.state is (JobState.COMPLETED if completed else None)
    assert type(outcome.error) is (type(None) if completed else WatchTimeoutError)
    assert len(store.load()) == (0 if completed else 1)


@virtual
async def test_a_timeout_that_was_reported_begins_anew() -> None:
    """Taken up again, the watch has the whole of it: nothing would come of it otherwise."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=150.0)
    async with client_of(simulator, store=store) as client:
        with pytest.raises(WatchTimeoutError):
            await client.watch(job, timeout=100.0)
    began = now()
    async with client_of(simulator, store=store.inner) as client:
        (outcome,) = await resumed(client)
    assert outcome.state is JobState.COMPLETED
    assert now() - began == pytest.approx(50.0, abs=3.0)


@pytest.mark.parametrize("back", [50.0, 1e9])
def test_a_wall_clock_that_was_set_back_hurts_nothing(back: float) -> None:
    """No negative age, and no deadline further off than the timeout."""
    store = MemoryStore(keep=None)
    reported: list[Any] = []

    async def first() -> None:
        simulator = Simulator()
        job = simulator.add_image(id=ID, duration=10_000.0)
        async with client_of(simulator, store=store) as client:
            client.watch(job, timeout=100.0, eta=EPOCH + 60.0)
            await asyncio.sleep(30.0)

    async def second() -> None:
        simulator = Simulator()
        simulator.add_image(id=ID, duration=10_000.0)
        async with client_of(simulator, store=store) as client:
            began = now()
            (outcome,) = await resumed(client)
            reported.append((type(outcome.error), now() - began, outcome.waited))

    one_after_the_other((0.0, first), (-back, second))
    ((error, left, waited),) = reported
    assert error is WatchTimeoutError
    assert left == pytest.approx(100.0, abs=0.1)
    assert waited == pytest.approx(100.0, abs=0.1)


def test_without_a_timeout_there_is_none_after_a_restart() -> None:
    """Also beyond the week after which a watch times out by default."""
    store = MemoryStore()

    async def first() -> None:
        simulator = Simulator()
        job = simulator.add_image(id=ID, duration=50.0)
        async with client_of(simulator, store=store) as client:
            client.watch(job, timeout=None)
            await asyncio.sleep(1.0)

    async def second() -> None:
        simulator = Simulator(retention=30 * 86_400.0)
        simulator.add_image(id=ID, duration=8 * 86_400.0)
        async with client_of(simulator, store=store) as client:
            (outcome,) = await resumed(client)
            assert outcome.state is JobState.COMPLETED

    one_after_the_other((0.0, first), (100.0, second))


@virtual
async def test_a_job_that_was_seen_before_the_restart_is_lost_and_not_unknown() -> None:
    """The row remembers that it was seen; and the grace for new jobs is not given twice."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1000.0)
    async with client_of(simulator, store=store) as client:
        client.watch(job)
        await asyncio.sleep(20.0)
    simulator.remove(job)
    began = now()
    async with client_of(simulator, store=store.inner) as client:
        (outcome,) = await resumed(client)
    assert type(outcome.error) is JobLostError
    assert outcome.status is not None
    assert now() - began < 6.0


@virtual
async def test_resuming_again_and_again() -> None:
    """A process that is killed before every acknowledgement hands the outcome out each time, marked from then on."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        client.watch(job)
        await until(store.jobs)
    marks = []
    for _ in range(4):
        async with client_of(simulator, store=store) as client, client.resume() as outcomes:
            marks.append((await anext(outcomes)).redelivered)
        store = Spy(after_a_crash(store))
    assert marks == [False, True, True, True]


@virtual
async def test_an_outcome_whose_taker_gave_up_waits() -> None:
    """A cancellation while the mark is being written loses nothing: the next one to ask has it, unmarked."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client, client.as_completed([job]) as outcomes:
        await until(lambda: store.jobs() and store.jobs()[str(job)].end)
        waits = store.hold()
        taker = asyncio.create_task(anext(outcomes))
        await waits.wait()
        taker.cancel()
        await asyncio.wait([taker])
        store.release()
        outcome = await anext(outcomes)
        assert (outcome.job, outcome.redelivered) == (job, False)


@pytest.mark.parametrize("away", [2.0, 13.0, 600.0, 86_400.0])
@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_ended_meanwhile_is_found_out_at_once(away: float, kind: str) -> None:
    """However long nobody polled: a job that is taken up is not taken for one that was seen a moment ago."""
    store = MemoryStore()

    async def first() -> None:
        simulator = Simulator()
        job = simulator.add(kind, id=ID, duration=10_000.0)
        async with client_of(simulator, store=store) as client:
            client.watch(job)
            await asyncio.sleep(1.0)

    async def second() -> None:
        simulator = Simulator()
        simulator.add(kind, id=ID, after=-away - 1.0, duration=1.0)
        async with client_of(simulator, store=store) as client:
            began = now()
            (outcome,) = await resumed(client)
            assert outcome.state is JobState.COMPLETED
            assert now() - began < 1.0

    one_after_the_other((0.0, first), (away + 1.0, second))
