"""A waiting request is let go: when its client leaves, and when the server goes away. Nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, Request
from harness import options, real, until
from serving import World, events_of, served, world

from topaz_status import ImageStatus, JobKind, PollPolicy, VideoStatus
from topaz_status.fastapi import ClientDep, end_streams, status_lifespan, wait_or_disconnect
from topaz_status.testing import Simulator


def app_that_waits() -> FastAPI:
    app = FastAPI()

    @app.get("/images/{process_id}")
    async def image(process_id: str, request: Request, client: ClientDep) -> ImageStatus:
        return await wait_or_disconnect(request, client.image.watch(process_id))

    @app.post("/videos/{request_id}")
    async def video(request_id: str, body: dict[str, Any], request: Request, client: ClientDep) -> VideoStatus:
        return await wait_or_disconnect(request, client.video.watch(request_id))

    return app


def tasks() -> int:
    """All tasks but those of the simulator's open connections."""
    return len([task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task.get_coro())])


async def leave(w: World, method: str, path: str, **settings: Any) -> None:
    """Ask, wait until that has come to be watched, and hang up."""
    before = w.app_state.waiting
    request = asyncio.create_task(_ask(w, method, path, **settings))
    await until(lambda: w.app_state.waiting == before + 1)
    await asyncio.sleep(0.05)
    request.cancel()
    await asyncio.wait({request})


async def _ask(w: World, method: str, path: str, **settings: Any) -> None:
    async with w.http.request(method, path, **settings) as response:
        async for _ in events_of(response):
            pass


WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/jobs/image/{id}/wait?timeout=60", {}),
    ("GET", "/jobs/image/{id}/events", {}),
    ("GET", "/jobs/events?job=image:{id}", {}),
    ("GET", "/images/{id}", {}),
]


@pytest.mark.parametrize(("method", "path", "settings"), WAYS)
def test_a_client_that_leaves_frees_its_handle_and_harms_nobody(
    method: str, path: str, settings: dict[str, Any]
) -> None:
    """Long before the next event or heartbeat; the watch goes on for others that wait for the job, and ends where nobody does."""

    @real
    async def play() -> None:
        async with world(app_that_waits(), policy=PollPolicy(max_interval=0.3)) as w:
            alone = w.simulator.add_image(duration=600.0)
            shared = w.simulator.add_image(duration=600.0)
            other = asyncio.create_task(w.get(f"/jobs/image/{shared.id}/wait"))
            await until(lambda: w.app_state.waiting)
            for job in (alone, shared):
                await leave(w, method, path.format(id=job.id), **settings)
                await until(lambda: w.app_state.waiting == 1)
                await until(lambda: w.client.stats().watches[JobKind.IMAGE] == 1)
            w.simulator.cancel(shared)
            answer = await other
            assert (answer.status, answer.body["state"]) == (200, "canceled")

    play()


@real
async def test_one_who_sent_a_body_may_leave_as_well() -> None:
    """Its body was read before the wait, and what comes after it is the leaving."""
    async with world(app_that_waits()) as w:
        job = w.simulator.add_video(duration=600.0)
        await leave(w, "POST", f"/videos/{job.id}", json={"a": 1})
        await until(lambda: not w.app_state.waiting)
        assert w.client.stats().watches[JobKind.VIDEO] == 0


@real
async def test_one_who_leaves_during_a_poll_calls_it_off() -> None:
    """A direct request whose answer nobody will read is not waited for."""
    async with world() as w:
        job = w.simulator.add_image()
        w.simulator.add_fault("hang")
        await leave(w, "GET", f"/jobs/image/{job.id}")
        await until(lambda: not w.app_state.waiting)
        await until(lambda: not w.client.stats().in_flight)


@real
async def test_a_poll_that_takes_too_long_is_a_timeout() -> None:
    """504, after the longest wait that the router allows."""
    async with world(router={"max_wait": 0.2}) as w:
        job = w.simulator.add_image()
        w.simulator.add_fault("hang")
        answer = await w.get(f"/jobs/image/{job.id}")
        assert (answer.status, answer.body["type"]) == (504, "urn:topaz-status:timeout")


@real
async def test_a_handler_gets_what_it_waits_for() -> None:
    """The terminal status, or the error that awaiting the watch raises."""
    async with world(app_that_waits()) as w:
        done, failed = w.simulator.add_image(duration=0.2), w.simulator.add_image(duration=0.2, outcome="failed")
        assert (await w.get(f"/images/{done.id}")).body["state"] == "completed"
        answer = await w.get(f"/images/{failed.id}")
        assert (answer.status, answer.body["state"], answer.body["job"]) == (409, "failed", str(failed))


@real
async def test_a_server_that_goes_away_ends_every_request() -> None:
    """Streams end and say when to come back, long polls and single polls have their answers, also those that come late."""
    async with world(app_that_waits()) as w:
        job = w.simulator.add_image(duration=600.0)
        before = tasks()
        stream = asyncio.create_task(w.events(f"/jobs/image/{job.id}/events"))
        fleet = asyncio.create_task(w.events("/jobs/events"))
        poll = asyncio.create_task(w.get(f"/jobs/image/{job.id}/wait?timeout=60"))
        handler = asyncio.create_task(w.get(f"/images/{job.id}"))
        await until(lambda: w.app_state.waiting == 4)
        await until(lambda: w.client.last_status(job))
        end_streams(w.app)
        assert (await stream)[-1].retry == (await fleet)[-1].retry == 1000
        assert ((await poll).status, (await poll).body["state"]) == (202, "running")
        assert ((await handler).status, (await handler).headers["Retry-After"]) == (503, "1")
        assert [event.retry for event in await w.events(f"/jobs/image/{job.id}/events")][-1] == 1000
        assert (await w.get(f"/jobs/image/{job.id}/wait")).status == 202
        await until(lambda: not w.app_state.waiting)
        await until(lambda: tasks() <= before)


@real
async def test_a_client_closed_under_its_handlers_is_no_end_of_the_job() -> None:
    """A stream that loses its client ends without a word about the job, so that another process goes on with it."""
    async with world() as w:
        job = w.simulator.add_image(duration=600.0)
        async with w.stream(f"/jobs/image/{job.id}/events") as events:
            first = await anext(events)
            await w.client.aclose()
            assert [event async for event in events if event.id] == []
        assert not (first.id or "").endswith("!")
        answer = await w.get(f"/jobs/image/{job.id}/wait")
        assert answer.status == 500


@real
async def test_two_apps_in_one_process_share_nothing() -> None:
    """Each has its client, its state and its end."""
    simulator = Simulator()
    async with simulator.serve() as service:
        apps = []
        for n in range(2):
            app = app_that_waits()
            settings = options(topaz_url=service, topaz_api_key=f"key-{n}")
            app.router.lifespan_context = status_lifespan(**settings)
            apps.append(app)
        async with served(apps[0]) as first, served(apps[1]) as second, aiohttp.ClientSession() as http:
            job = simulator.add_image(duration=600.0)
            waits = [asyncio.create_task(_status(http, f"{url}/images/{job.id}")) for url in (first, second)]
            lobbies = [app.state.topaz_status for app in apps]
            await until(lambda: all(app_state.waiting == 1 for app_state in lobbies))
            assert lobbies[0].client is not lobbies[1].client
            end_streams(apps[0])
            assert await waits[0] == 503
            assert lobbies[1].waiting == 1
            end_streams(apps[1])
            assert await waits[1] == 503


async def _status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as response:
        return response.status


async def test_a_thousand_handlers_of_ten_jobs_are_ten_streams_of_polls() -> None:
    """And five hundred streams of events beside them: the services are asked as if ten awaited, all hear the end."""
    async with world(policy=PollPolicy(max_interval=2.0)) as w:
        before = tasks()
        jobs = [w.simulator.add_image(duration=600.0) for _ in range(10)]
        polls = [asyncio.create_task(w.get(f"/jobs/image/{jobs[n % 10].id}/wait?timeout=60")) for n in range(1000)]
        streams = [asyncio.create_task(w.events(f"/jobs/image/{jobs[n % 10].id}/events")) for n in range(500)]
        await until(lambda: w.app_state.waiting == 1500)
        assert w.client.stats().watches[JobKind.IMAGE] == 10
        for job in jobs:
            w.simulator.cancel(job)
        answers, events = await asyncio.gather(*polls), await asyncio.gather(*streams)
        assert {answer.body["state"] for answer in answers} == {"canceled"}
        assert {reported[-1].data["state"] for reported in events} == {"canceled"}
        assert w.simulator.stats().requests < 10 * 40
        await until(lambda: not w.app_state.waiting)
        await until(lambda: tasks() <= before)
