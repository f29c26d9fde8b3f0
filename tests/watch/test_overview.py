"""All that is watched, as seen by one who holds no handle on it."""

from __future__ import annotations

import asyncio

import pytest
from harness import SINGLY, client_of, virtual

from topaz_status import ConfigurationError, JobCanceledError, JobKind, JobState, StatusClient
from topaz_status.overview import View
from topaz_status.testing import Simulator


@virtual
async def test_each_change_is_reported_once() -> None:
    """Newcomers, then what changed, then each end with its reason; what has been sent is not sent again."""
    simulator = Simulator()
    done, canceled = simulator.add_try_on(duration=10.0), simulator.add_video(duration=3600.0)
    async with client_of(simulator, policy=SINGLY) as client:
        fleet = client.fleet()
        assert fleet.changes() == []
        watches = [client.watch(done), client.watch(canceled)]
        assert {(view.job, view.state, view.ended) for view in fleet.changes()} == {
            (done, None, False),
            (canceled, None, False),
        }
        assert fleet.changes() == []
        simulator.cancel(canceled)
        await asyncio.gather(*(watch.outcome() for watch in watches))
        ends = {view.job: view for view in fleet.changes()}
        assert (ends[done].state, ends[done].status, ends[done].error) == (JobState.COMPLETED, "completed", None)
        assert isinstance(ends[canceled].error, JobCanceledError)
        assert all(view.ended and view.expected_end is None for view in ends.values())
        assert fleet.changes() == fleet.now() == []


@virtual
async def test_an_observer_keeps_no_watch_alive() -> None:
    """A handle that is given up ends the polling, and the fleet says so."""
    async with client_of(simulator := Simulator()) as client:
        watch = client.watch(simulator.add_image(duration=3600.0))
        fleet = client.fleet()
        assert len(fleet.changes()) == 1
        watch.cancel()
        assert client.stats().watches[JobKind.IMAGE] == 0
        assert [view.ended for view in fleet.changes()] == [True]


@virtual
async def test_no_more_are_followed_than_was_asked_for() -> None:
    """Those that have been watched for longest; others come into view when one of them has ended."""
    async with client_of(simulator := Simulator()) as client:
        jobs = [simulator.add_image(duration=3600.0) for _ in range(5)]
        watches = [client.watch(job) for job in jobs]
        fleet = client.fleet(limit=2)
        assert [view.job for view in fleet.changes()] == jobs[:2]
        watches[0].cancel()
        assert [view.job for view in fleet.changes()] == [jobs[0], jobs[2]]
        assert [view.job for view in fleet.now()] == jobs[1:3]


@virtual
async def test_newcomers_are_taken_up_in_parts() -> None:
    """Each call takes up so many and no more, and misses none; without a limit it takes all."""
    async with client_of(simulator := Simulator()) as client:
        jobs = [simulator.add_image(duration=3600.0) for _ in range(5)]
        watches = [client.watch(job) for job in jobs]
        fleet = client.fleet()
        assert [[view.job for view in fleet.changes(newcomers=2)] for _ in range(4)] == [
            jobs[:2],
            jobs[2:4],
            jobs[4:],
            [],
        ]
        assert len(client.fleet().changes()) == len(watches)


@virtual
async def test_a_view_says_when_the_end_is_expected() -> None:
    """In Unix seconds, alike from a handle and without one, and with the job's word and progress."""
    async with client_of(simulator := Simulator()) as client:
        job = simulator.add_image(queue=0.0, duration=600.0)
        watch, fleet = client.watch(job), client.fleet()
        await asyncio.sleep(300.0)
        (seen,) = fleet.changes()
        held = View.of_watch(watch)
        wall = asyncio.get_running_loop().wall_time()  # type: ignore[attr-defined]
        assert (seen.state, seen.status, seen.error) == (held.state, held.status, None)
        assert watch.status is not None
        assert seen.progress == held.progress == watch.status.progress
        assert seen.expected_end == held.expected_end == pytest.approx(wall + 300.0, abs=30.0)
        assert client.last_status(job) is watch.status


@virtual
async def test_what_is_not_watched_is_not_known() -> None:
    """``last_status`` costs no request: it knows what watches have seen, and forgets it with them."""
    async with client_of(simulator := Simulator()) as client:
        job = simulator.add_try_on(duration=5.0)
        assert client.last_status(job) is None
        async with client.watch(job) as watch:
            assert client.last_status(str(job)) is None
            await watch
        assert client.last_status(job) is None
        with pytest.raises(ConfigurationError, match="no job"):
            client.last_status("x")
    for call in (lambda: StatusClient().last_status(job), StatusClient().fleet):
        with pytest.raises(ConfigurationError, match="not open"):
            call()
