"""Thousands of watches that begin at once, or end."""

from __future__ import annotations

import asyncio

import pytest
from harness import client_of, virtual

from topaz_status import ClientClosedError, WatchCanceledError
from topaz_status.session.roster import AT_ONCE
from topaz_status.testing import Simulator

MANY = 4 * AT_ONCE + 1


def pollers() -> int:
    """Count the coroutines of watches."""
    return sum(task.get_name() == "topaz_status poller" for task in asyncio.all_tasks())


@virtual
async def test_beginning_thousands_of_watches_lets_the_loop_go_on_meanwhile() -> None:
    """No turn of the loop begins more than a few hundred of them."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(MANY)]
    async with client_of(simulator) as client:
        for job in jobs:
            client.watch(job)
        before = 0
        while before < MANY:
            await asyncio.sleep(0)
            begun = pollers()
            assert 0 < begun - before <= AT_ONCE
            before = begun


@virtual
async def test_watches_that_end_before_they_have_begun_tell_so() -> None:
    """One is canceled, one left by its only handle; the others' client is closed."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(MANY)]
    async with client_of(simulator) as client:
        first, *others = [client.watch(job) for job in jobs]
        first.cancel()
        async with others.pop():
            pass
        assert client._engine is not None
        await client._engine.feed.roster.close()
        assert not pollers(), "their coroutines are not gone"
    with pytest.raises(WatchCanceledError):
        await first
    for watch in others:
        with pytest.raises(ClientClosedError):
            await watch


@virtual
async def test_closing_thousands_of_watches_lets_the_loop_go_on_meanwhile() -> None:
    """No turn of the loop ends more than a few hundred of them."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(MANY)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(1.0)
        closing = asyncio.create_task(client.aclose())
        before = 0
        while not closing.done():
            await asyncio.sleep(0)
            ended = sum(watch.done() for watch in watches)
            assert ended - before <= AT_ONCE
            before = ended
        assert before == MANY


@virtual
async def test_a_closing_that_is_canceled_halfway_ends_every_watch_all_the_same() -> None:
    """Whoever awaits one of thousands of watches is not left waiting."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(MANY)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(1.0)
        closing = asyncio.create_task(client.aclose())
        for _ in range(2):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        for watch in (watches[0], watches[-1]):
            with pytest.raises(ClientClosedError):
                await watch
