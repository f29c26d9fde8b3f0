"""A store that fails in a way that may pass: watching goes on, nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging

import pytest
from harness import client_of, settle, until, virtual
from stores import Spy

from topaz_status import JobState, StoreError, WatchCanceledError
from topaz_status.session.durable.commits import MOST_WAITING, STORE_PATIENCE
from topaz_status.testing import Simulator


def down() -> StoreError:
    """What a database says that restarts."""
    error = StoreError("the server is starting")
    error.is_transient = True
    return error


@virtual
async def test_watching_goes_on_and_outcomes_wait_for_the_store(caplog: pytest.LogCaptureFixture) -> None:
    """An end that is known is handed out when it is stored, and not before; the log says so twice."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        watch = client.watch(job)
        await until(lambda: store.seen(job))
        store.failure = down()
        with caplog.at_level(logging.INFO):
            await asyncio.sleep(600.0)
            assert not watch.done()
            stats = client.stats().store
            assert stats is not None
            assert stats.down == pytest.approx(595.0, abs=5.0)
            assert stats.waiting == 1
            store.failure = None
            assert (await watch).state is JobState.COMPLETED
        stats = client.stats().store
        assert stats is not None
        assert (stats.down, stats.waiting) == (0.0, 0)
    said = [record.message for record in caplog.records if "stored" in record.message]
    assert len(said) == 2
    assert said[0].startswith("durable watches cannot be stored for now (the server is starting): watching goes on")
    assert said[1].startswith("durable watches are stored again after")


@virtual
async def test_a_single_failure_is_not_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that was cut is made anew within a moment."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)

    def fail_once() -> None:
        if store.failure is None and not store.commits:
            store.failure = down()
        else:
            store.failure = None

    async with client_of(simulator, store=store) as client:
        store.on_write = fail_once
        with caplog.at_level(logging.INFO):
            assert (await client.watch(job)).state is JobState.COMPLETED
    assert not [record for record in caplog.records if "stored" in record.message]


@virtual
async def test_a_new_watch_is_refused_when_the_store_stays_down() -> None:
    """After the patience, and without a poll; it does not come back from the store, either. Others go on."""
    simulator, store = Simulator(), Spy()
    old, new = (simulator.add_image(duration=500.0) for _ in range(2))
    async with client_of(simulator, store=store) as client:
        watch = client.watch(old)
        await until(lambda: store.seen(old))
        store.failure = down()
        began = asyncio.get_running_loop().time()
        outcome = await client.watch(new).outcome()
        assert isinstance(outcome.error, StoreError)
        assert str(outcome.error).startswith("this could not be written for 60 s; the store fails")
        waited = asyncio.get_running_loop().time() - began
        assert STORE_PATIENCE <= waited <= STORE_PATIENCE + 6.0
        assert not [exchange for exchange in simulator.log if exchange.job == new.id]
        store.failure = None
        assert (await watch).state is JobState.COMPLETED
        assert str(new) not in store.jobs()


@virtual
async def test_a_new_watch_whose_commit_failed_at_first_is_stored_once_the_store_is_back() -> None:
    """And polled then."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        store.failure = down()
        watch = client.watch(job)
        await asyncio.sleep(30.0)
        assert simulator.log == ()
        store.failure = None
        assert (await watch).state is JobState.COMPLETED


@virtual
async def test_the_backlog_is_bounded() -> None:
    """While so many rows wait, a further watch is refused at once."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=500.0) for _ in range(MOST_WAITING + 1)]
    async with client_of(simulator, store=store) as client:
        store.failure = down()
        watches = [client.watch(job) for job in jobs[:MOST_WAITING]]
        await until(lambda: client.stats().store.down)  # type: ignore[union-attr]
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreError, match="10000 rows wait already"):
            await client.watch(jobs[-1])
        assert asyncio.get_running_loop().time() - began < 1.0
        store.failure = None
        await until(lambda: len(store.jobs()) == MOST_WAITING)
        assert not any(watch.done() for watch in watches)


@virtual
async def test_an_acknowledgement_that_cannot_be_written_is_reported_and_made_up_for() -> None:
    """Its caller does not wait for ever; the row goes when the store is back."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        outcome = await client.watch(job).outcome()
        store.failure = down()
        with pytest.raises(StoreError, match="could not be written for 60 s"):
            await outcome.ack()
        assert set(store.jobs()) == {str(job)}
        store.failure = None
        await until(lambda: not store.jobs())


@virtual
async def test_a_handle_that_times_out_or_is_canceled_does_not_wait_for_the_store() -> None:
    """Its outcome is known and cannot be handed out: it says so. Other handles go on."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        patient, short, canceled = (client.watch(job, timeout=timeout) for timeout in (None, 60.0, None))
        await until(lambda: store.seen(job))
        store.failure = down()
        with pytest.raises(StoreError, match="has ended, and its outcome cannot be stored for now"):
            await short
        canceled.cancel()
        with pytest.raises(WatchCanceledError):
            await canceled
        assert not patient.done()
        store.failure = None
        assert (await patient).state is JobState.COMPLETED
    assert [row.end is not None for row in store.jobs().values()] == [True]


@virtual
async def test_a_timeout_while_the_end_is_being_written_waits_for_it() -> None:
    """A slow disk turns no outcome into a timeout."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        watch = client.watch(job, timeout=6.0)
        await until(lambda: store.seen(job))
        waits = store.hold()
        await waits.wait()
        store.release()
        assert (await watch).state is JobState.COMPLETED


@pytest.mark.parametrize("ended", [True, False])
@virtual
async def test_closing_does_not_wait_for_a_store_that_is_down(ended: bool) -> None:
    """Every handle ends; what could not be stored is an error, and the rows stay as they were."""
    simulator, store = Simulator(), Spy()
    job, new = simulator.add_image(duration=5.0), simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        watch = client.watch(job)
        await until(lambda: store.seen(job))
        store.failure = down()
        await asyncio.sleep(100.0 if ended else 0.0)
        late = client.watch(new)
        await settle()
        began = asyncio.get_running_loop().time()
        await client.aclose()
        assert asyncio.get_running_loop().time() - began < 1.0
        assert watch.done()
        assert late.done()
        outcome = await watch.outcome()
        assert outcome.error is not None
        assert isinstance(outcome.error, StoreError) == ended
    assert [row.end for row in store.jobs().values()] == [None]
