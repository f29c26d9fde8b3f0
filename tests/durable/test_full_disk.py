"""A database server that has no room: what it refuses waits in memory, and is stored once there is room again."""

from __future__ import annotations

import asyncio
import logging

import pytest
from databases import PostgresServer
from harness import now, polls_of, until, virtual
from replicas import Replicas
from stores import A_DAY

from topaz_status import JobState, StatusClient, StoreError
from topaz_status.session.statistics import StoreStats
from topaz_status.store.postgres import PATIENCE

WITHOUT_ROOM = {
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
    "53300": "the server has too many connections",
}
"""What the server says, and what the user reads."""


def store_of(client: StatusClient) -> StoreStats:
    stats = client.stats().store
    assert stats is not None
    return stats


@pytest.mark.parametrize("state", WITHOUT_ROOM)
@virtual
async def test_watching_goes_on_and_outcomes_wait_for_room(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """A job is polled to its end, which is handed out once it is stored; until then the statistics and the log say so."""
    replicas = Replicas(postgres)
    job = replicas.simulator.add_image(duration=100.0)
    async with replicas.one("a") as a:
        watch = a.watch(job, timeout=None)
        await until(lambda: replicas.rows() == {str(job): "a"})
        polls = len(polls_of(replicas.simulator, job))
        with caplog.at_level(logging.INFO), replicas.refusing(state):
            await until(lambda: store_of(a).down > 0.0, step=1.0)  # the server's answer takes real time
            await asyncio.sleep(900.0)
            assert len(polls_of(replicas.simulator, job)) > polls
            assert not watch.done()
            assert (store_of(a).waiting, store_of(a).down >= 900.0) == (1, True)
            assert replicas.marks() == {None}
        outcome = await watch.outcome()
        assert (outcome.state, outcome.redelivered) == (JobState.COMPLETED, False)
        assert (store_of(a).waiting, store_of(a).down) == (0, 0.0)
        await outcome.ack()
    assert replicas.rows() == {}
    assert [WITHOUT_ROOM[state] in text for text in caplog.messages if "cannot be stored" in text] == [True]


@virtual
async def test_a_new_watch_for_which_there_is_no_room_ends_after_the_patience(postgres: PostgresServer) -> None:
    """Without a poll, and with an error that names the disk; it does not come back when there is room again."""
    replicas = Replicas(postgres)
    job, later = (replicas.simulator.add_image(duration=1.0) for _ in range(2))
    async with replicas.one("a") as a:
        with replicas.refusing("53100"):
            began = now()
            with pytest.raises(StoreError, match="the server's disk is full"):
                await a.watch(job, timeout=A_DAY)
            assert PATIENCE <= now() - began <= 2 * PATIENCE
            assert polls_of(replicas.simulator, job) == []
        assert (await a.watch(later)).state is JobState.COMPLETED
        assert list(replicas.rows()) == [str(later)]
