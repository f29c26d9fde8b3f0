"""Rows on their way to a store: many in one commit, never in the loop's way, and nobody left waiting when it fails."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from harness import Axe, at_every_await, client_of, now, options, polls_of, settle, until, virtual
from stores import Spy

from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    JobState,
    MemoryStore,
    SQLiteStore,
    StatusClient,
    StoreError,
)
from topaz_status.session.durable.commits import MOST_AT_ONCE
from topaz_status.store.base import Opening
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator

FULL = StoreError("the disk is full", path="/w.db")


@virtual
async def test_what_comes_during_a_commit_is_the_next_one() -> None:
    """Two thousand watches take a handful of commits, each of a bounded size, on one thread that is not the loop's."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1e6) for _ in range(2000)]
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job)
        await until(lambda: len(store.jobs()) == 2000)
        sizes = [len(rows) for rows, _, _ in store.commits if rows and rows[0].status is None]
        assert max(sizes) == MOST_AT_ONCE
        assert len(sizes) <= 6
    assert len(store.threads) == 1
    assert threading.get_ident() not in store.threads


@virtual
async def test_the_last_state_of_a_row_is_written_once() -> None:
    """Whatever happens to it while a commit is under way."""
    simulator, store = Simulator(), Spy()
    first, job = simulator.add_image(duration=1e6), simulator.add_image(duration=1e6)
    async with client_of(simulator, store=store) as client:
        waits = store.hold()
        client.watch(first)
        await waits.wait()
        for tag in (None, "a", "b"):
            client.watch(job, tag=tag, timeout=1.0 + len(store.commits))
        client.watch(job, timeout=None)
        store.release()
        await until(lambda: len(store.jobs()) == 2)
        assert [len(rows) for rows, _, _ in store.commits if rows[0].status is None] == [1, 1]
        assert store.jobs()[str(job)].tag == '"a"'
        assert store.jobs()[str(job)].timeout is None


@virtual
async def test_a_watch_that_cannot_be_stored_ends_with_a_clear_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is asked for it; others that can be stored go on, and the log says so once."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=5.0) for _ in range(3)]
    async with client_of(simulator, store=store) as client:
        store.failure = FULL
        with caplog.at_level(logging.WARNING):
            for job in jobs[:2]:
                outcome = await client.watch(job).outcome()
                assert (type(outcome.error), str(outcome.error)) == (StoreError, "/w.db: the disk is full")
                assert outcome.state is None
                await outcome.ack()
        assert simulator.log == ()
        store.failure = None
        assert (await client.watch(jobs[2])).state is JobState.COMPLETED
    assert [record.message for record in caplog.records] == [
        "durable watches could not be written: /w.db: the disk is full"
    ]


@pytest.mark.parametrize("how", ["await", "updates", "as_completed"])
@virtual
async def test_an_outcome_that_cannot_be_stored_is_not_handed_out_as_one(how: str) -> None:
    """It comes as an error, with what is known; the row stays open, and the job comes again."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        watch = client.watch(job)
        await until(lambda: watch.status is not None)
        store.failure = FULL
        if how == "as_completed":
            (outcome,) = [outcome async for outcome in client.as_completed([job])]
            assert type(outcome.error) is StoreError
            assert outcome.state is JobState.COMPLETED
        elif how == "updates":
            reported: list[bool] = []

            async def read() -> None:
                reported.extend([status.is_terminal async for status in watch.updates()])

            with pytest.raises(StoreError, match="full"):
                await read()
            assert True not in reported
        else:
            with pytest.raises(StoreError, match="full"):
                await watch
        store.failure = None
        (outcome,) = [outcome async for outcome in client.resume()]
        assert (outcome.job, outcome.state, outcome.redelivered) == (job, JobState.COMPLETED, False)
    assert store.jobs() == {}


@virtual
async def test_a_mark_that_cannot_be_written_hands_nothing_out() -> None:
    """The loop raises, and gives the outcome to the next who asks."""
    simulator, store = Simulator(), Spy()
    job, other = (simulator.add_image(duration=1.0) for _ in range(2))
    async with client_of(simulator, store=store) as client, client.as_completed([job]) as outcomes:
        watch = client.watch(other)
        await until(lambda: all(row.end for row in store.jobs().values()) and store.jobs())
        store.failure = FULL
        with pytest.raises(StoreError, match="full"):
            await anext(outcomes)
        with pytest.raises(StoreError, match="full"):
            await watch
        store.failure = None
        assert (await anext(outcomes)).job == job
        assert (await watch).is_terminal
        store.failure = FULL
        with pytest.raises(StoreError, match="full"):
            await anext(outcomes)
    assert set(store.jobs()) == {str(job), str(other)}


@virtual
async def test_whatever_a_store_raises_becomes_an_error_of_ours() -> None:
    """A store of somebody's own may fail in ways we do not know."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        store.failure = ZeroDivisionError("oops")
        with pytest.raises(StoreError, match=r"the store failed: ZeroDivisionError\('oops'\)"):
            await client.watch(job)


@virtual
async def test_closing_waits_for_what_is_on_its_way() -> None:
    """An end that was seen is on disk when the block is left; then the store is closed, once."""
    simulator, store = Simulator(), Spy()
    ended, open_ = simulator.add_image(duration=2.0), simulator.add_image(duration=500.0)
    async with client_of(simulator, store=store) as client:
        watch, other = client.watch(ended), client.watch(open_)
        await until(lambda: store.seen(watch.job))
        await store.hold().wait()
        closing = asyncio.create_task(client.aclose())
        await settle()
        assert not closing.done()
        assert not watch.done()
        store.release()
        await closing
        assert watch.done()
        assert store.closed == 1
        with pytest.raises(ClientClosedError):
            await other
    assert store.jobs()[str(ended)].end is not None
    assert store.jobs()[str(open_)].end is None


@virtual
async def test_registrations_that_are_under_way_when_the_client_closes() -> None:
    """They are on disk afterwards, and nothing was asked for them."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=500.0) for _ in range(3)]
    async with client_of(simulator, store=store) as client:
        waits = store.hold()
        watches = [client.watch(job) for job in jobs]
        await waits.wait()
        closing = asyncio.create_task(client.aclose())
        await settle()
        store.release()
        await closing
        assert all(watch.done() for watch in watches)
    assert set(store.jobs()) == set(map(str, jobs))
    assert simulator.log == ()


@virtual
async def test_a_poller_canceled_from_outside_while_its_end_is_written() -> None:
    """Nobody is left waiting: the outcome is on disk, and everybody learns it."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=2.0)
    async with client_of(simulator, store=store) as client:
        watch = client.watch(job)
        await until(lambda: store.seen(watch.job))
        await store.hold().wait()
        for task in asyncio.all_tasks():
            if task.get_name() == "topaz_status poller":
                task.cancel()
        await settle()
        assert not watch.done()
        store.release()
        assert (await watch).state is JobState.COMPLETED
        assert now() < 60.0, "only the timeout woke it"


def test_canceled_at_every_await() -> None:
    """Opening, watching, resuming, acknowledging and closing: whichever await is canceled, the store is let go."""

    async def scenario(axe: Axe) -> None:
        simulator, store = Simulator(), MemoryStore()
        job = simulator.add_image(duration=1.0)
        connector = MemoryConnector(simulator)
        session = simulator.session()
        settings = options(topaz_url=MEMORY_URL, pixelcut_url=MEMORY_URL, session=session, store=store)

        async def work() -> None:
            async with StatusClient(**settings) as client:
                async with client.watch(job) as watch:
                    await watch
                async for outcome in client.as_completed([job]):
                    await outcome.ack()
                async for _ in client.resume():
                    pass

        await axe.fall_on(work())
        await settle()
        await until(lambda: "in use" not in repr(store))
        for row in store.load():
            assert row.job == job
        await session.close()
        await connector.close()

    at_every_await(scenario, least=8)


@virtual
async def test_a_store_that_cannot_be_opened_leaves_the_client_unopened() -> None:
    """It may be opened once the store is free; nothing is left behind by the attempt."""
    simulator, store = Simulator(), MemoryStore()
    async with client_of(simulator, store=store), simulator.session() as session:
        client = StatusClient(**options(topaz_url=MEMORY_URL, session=session, store=store))
        with pytest.raises(StoreError, match="another client"):
            await client.open()
        assert "new" in repr(client)
        store.close()
        await client.open()
        with pytest.raises(ConfigurationError, match="opened once"):
            await client.open()
        await client.aclose()


@virtual
async def test_a_store_whose_opening_fails_strangely() -> None:
    """The error is one of ours, too."""

    class Strange(MemoryStore):
        def open(self, now: float) -> Opening:
            raise ZeroDivisionError(now)

    with pytest.raises(StoreError, match="ZeroDivisionError"):
        await StatusClient(store=Strange()).open()


class _SlowToOpen(MemoryStore):
    """A store that is not open before it may be."""

    def __init__(self) -> None:
        super().__init__()
        self.may_open = threading.Event()

    def open(self, now: float) -> Opening:
        self.may_open.wait()
        return super().open(now)


@virtual
async def test_closed_while_it_opens() -> None:
    """The caller who opens gets the error; nothing stays open."""
    store = _SlowToOpen()
    client = StatusClient(store=store)
    opening = asyncio.create_task(client.open())
    await asyncio.sleep(0)
    try:
        await client.aclose()
    finally:
        store.may_open.set()
    with pytest.raises(ClientClosedError):
        await opening
    assert "in use" not in repr(store)


@virtual
async def test_old_rows_that_go_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Once, as a warning with their number."""
    simulator, store = Simulator(), MemoryStore(keep=100.0)
    jobs = [simulator.add_image(duration=1.0) for _ in range(2)]
    async with client_of(simulator, store=store) as client:
        await client.outcomes(jobs)
    await asyncio.sleep(200.0)
    with caplog.at_level(logging.WARNING):
        async with client_of(simulator, store=store):
            pass
    assert [record.message.split(" were")[0] for record in caplog.records] == ["2 rows of watches"]


@virtual
async def test_without_a_store_nothing_stays_in_memory() -> None:
    """The plain handle and poller are used: a watch weighs what it weighed."""
    simulator = Simulator()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        assert type(watch).__name__ == "Watch"
        assert type(watch._poller).__name__ == "Poller"
        await watch
    assert len(polls_of(simulator, job)) >= 0


@virtual
async def test_a_file_in_virtual_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hours of waiting take no time with a real file, either: a loop's clock stands still while the disk works."""
    simulator = Simulator()
    path = tmp_path_factory.mktemp("store") / "watches.db"
    job = simulator.add_video(duration=7200.0)
    async with client_of(simulator, store=SQLiteStore(path)) as client:
        client.watch(job, tag="film")
        await asyncio.sleep(3600.0)
    async with client_of(simulator, store=SQLiteStore(path)) as client:
        (outcome,) = [outcome async for outcome in client.resume()]
        assert (outcome.tag, outcome.state) == ("film", JobState.COMPLETED)
        assert outcome.waited == pytest.approx(7200.0, abs=10.0)
    assert SQLiteStore(path).peek() == []
