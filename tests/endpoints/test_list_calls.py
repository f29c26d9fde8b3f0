"""Lists: pages, cursors that lie, both texts of the video history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import client_of, virtual

from topaz_status import BadRequestError, ConfigurationError, DecodeError, JobState, VideoRecord
from topaz_status.endpoints import MOST_PAGES_WITHOUT_NEW
from topaz_status.testing import JobPlan, Simulator


def images(simulator: Simulator, count: int) -> set[str]:
    """So many images on the account; their ids."""
    return {job.id for job in simulator.add_jobs(JobPlan(kind="image", count=count, duration=50))}


@virtual
async def test_page() -> None:
    """A page gives statuses, and the cursor of the next one until there is none."""
    simulator = Simulator()
    ids = images(simulator, 5)
    async with client_of(simulator) as client:
        first = await client.image.page(limit=3)
        assert len(first.statuses) == 3
        assert first.has_next_page
        second = await client.image.page(first.next_cursor, 3)
        assert (len(second.statuses), second.next_cursor, second.has_next_page) == (2, None, False)
        assert {status.process_id for status in (*first.statuses, *second.statuses)} == ids
        assert len((await client.image.page()).statuses) == 5


@virtual
async def test_limits_of_a_page() -> None:
    """A limit outside 1 to 100, or a cursor that is no text, is refused before anything is sent."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        limits: list[Any] = [0, 101, -1, True, 2.0, "5", None]
        for limit in limits:
            with pytest.raises(ConfigurationError):
                await client.image.page(limit=limit)
        cursors: list[Any] = ["", 5, b"x"]
        for cursor in cursors:
            with pytest.raises(ConfigurationError):
                await client.image.page(cursor)
        assert not simulator.log
        with pytest.raises(BadRequestError):
            await client.image.page("&none=of yours/%00")


@pytest.mark.parametrize("order", ["newest", "uuid", "random"])
@virtual
async def test_list(order: str) -> None:
    """``list`` reads all pages, in whatever order the service has, and asks no more often than it must."""
    simulator = Simulator(order=order)
    ids = images(simulator, 250)
    async with client_of(simulator) as client:
        seen = [status.process_id async for status in client.image.list()]
        assert len(seen) == 250
        assert set(seen) == ids
        assert len(simulator.log) == 3
        assert len([status async for status in client.image.list(page_size=99)]) == 250
        assert len(simulator.log) == 6


@pytest.mark.parametrize(("fault", "pages"), [("no_cursor", 1), ("same_cursor", 2), ("empty_page", 2)])
@virtual
async def test_cursors_that_lead_nowhere(fault: str, pages: int) -> None:
    """A next page without a cursor, or with one that came before, is the end and no endless loop."""
    simulator = Simulator()
    images(simulator, 30)
    simulator.add_fault(fault)
    async with client_of(simulator, burst=10.0) as client, asyncio.timeout(1):
        assert len([status async for status in client.image.list(page_size=10)]) <= 20
    assert len(simulator.log) <= pages + 1


@virtual
async def test_an_empty_page_may_have_a_successor() -> None:
    """An empty page is not the end while it names a next one."""
    simulator = Simulator()
    ids = images(simulator, 30)
    simulator.add_fault("empty_page", count=1)
    async with client_of(simulator) as client:
        assert {status.process_id async for status in client.image.list(page_size=10)} == ids


@virtual
async def test_list_all() -> None:
    """``list_all`` takes everything in one answer."""
    simulator = Simulator()
    ids = images(simulator, 250)
    async with client_of(simulator) as client:
        assert {status.process_id for status in await client.image.list_all()} == ids
        assert len(simulator.log) == 1
        simulator.reset()
        assert await client.image.list_all() == []


@virtual
async def test_lists_of_another_form() -> None:
    """A service that answers with the other form of the list is understood as well."""
    simulator = Simulator()
    images(simulator, 3)
    async with client_of(simulator) as client:
        whole = await client.image.list_all()
        simulator.add_fault("null_status")
        with pytest.raises(DecodeError) as raised:
            await client.image.list_all()
        assert [path for path, _ in raised.value.problems] == ["$[0].status", "$[1].status", "$[2].status"]
        with pytest.raises(DecodeError) as raised:
            await client.image.page()
        assert raised.value.problems[0][0] == "data[0].status"
    assert len(whole) == 3


@pytest.mark.parametrize("paged", [True, False])
@virtual
async def test_history(paged: bool) -> None:
    """The video history is read in pages where there are any, by either text."""
    simulator = Simulator(history_paged=paged, history_page=20)
    jobs = simulator.add_jobs(JobPlan(kind="video", count=70, duration=0.0, failure_rate=0.2))
    async with client_of(simulator) as client:
        records = [record async for record in client.video.history()]
    assert all(isinstance(record, VideoRecord) for record in records)
    assert {record.job for record in records} == set(jobs)
    assert len(records) == 70
    assert {record.state for record in records} == {JobState.COMPLETED, JobState.FAILED}
    assert all(record.reason for record in records if record.state is JobState.FAILED)
    assert len(simulator.log) == (4 if paged else 1)


@pytest.mark.parametrize("fault", ["no_cursor", "same_cursor"])
@virtual
async def test_history_cursors_that_lead_nowhere(fault: str) -> None:
    """So for the history: a cursor that comes again ends the loop."""
    simulator = Simulator(history_page=5)
    simulator.add_jobs(JobPlan(kind="video", count=20, duration=0.0))
    simulator.add_fault(fault)
    async with client_of(simulator, burst=10.0) as client, asyncio.timeout(1):
        assert len([record async for record in client.video.history()]) <= 10
    assert len(simulator.log) <= 2


@virtual
async def test_history_is_no_system_status() -> None:
    """A video's id never turns its path into another endpoint's."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        for job_id in ("../status", "status/..", "history?x", "a/b", "%2e%2e", "ü#"):
            with pytest.raises(Exception, match="404"):
                await client.video.get(job_id)
    assert {exchange.endpoint for exchange in simulator.log} == {"video.status"}
    assert [exchange.job for exchange in simulator.log] == [
        "../status",
        "status/..",
        "history?x",
        "a/b",
        "%2e%2e",
        "ü#",
    ]


@virtual
async def test_delete() -> None:
    """``delete`` removes a record, ``delete_all`` all of them; a job at work is a conflict."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000 if i == 0 else 0.0) for i in range(5)]
    async with client_of(simulator) as client:
        with pytest.raises(Exception, match="409"):
            await client.image.delete(jobs[0])
        await client.image.delete(jobs[1])
        with pytest.raises(Exception, match="404"):
            await client.image.get(jobs[1])
        assert await client.image.delete_all() == 4


@virtual
async def test_lists_that_never_end() -> None:
    """Pages that go on for ever, under ever new cursors, are followed only as long as they show something new."""
    simulator = Simulator()
    ids = images(simulator, 30) | {simulator.add_video(queue=0.0).id}
    simulator.add_fault("endless")
    async with client_of(simulator) as client:
        seen = {status.process_id async for status in client.image.list()}
        seen |= {record.id async for record in client.video.history()}
    assert seen == ids
    assert len(simulator.log) <= 2 * (MOST_PAGES_WITHOUT_NEW + 1)
