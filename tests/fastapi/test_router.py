"""The routes: what each answers, to whom, and within which bounds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from fastapi import Depends, HTTPException, Request
from harness import polls_of, real, until
from serving import World, world

from topaz_status import ConfigurationError, JobKind, JobRef, PollPolicy
from topaz_status.fastapi import status_router
from topaz_status.fastapi.broadcaster import NEWCOMERS
from topaz_status.fastapi.sse_events import PACK
from topaz_status.prometheus import PrometheusMetrics

OFTEN = PollPolicy(max_interval=0.3, not_found_grace=0.2)
"""Polls a job of hours as it polls one of seconds."""
NOBODY = "image:00000000-0000-4000-8000-000000000000"


def path_of(job: JobRef, rest: str = "") -> str:
    return f"/jobs/{job.kind.value}/{job.id}{rest}"


@real
async def test_the_status_of_a_job_that_nobody_watches_costs_one_request() -> None:
    """It is asked for directly, and the job of each kind is returned in its own shape."""
    async with world() as w:
        for kind in JobKind:
            job = w.simulator.add(kind, duration=60.0)
            answer = await w.get(path_of(job))
            assert answer.status == 200
            assert answer.body["job"] == str(job)
            assert answer.body["is_terminal"] is False
            assert len(polls_of(w.simulator, job)) == 1


@real
async def test_the_status_of_a_watched_job_costs_nothing() -> None:
    """What the watch has seen last is returned."""
    async with world() as w:
        job = w.simulator.add_image(duration=600.0)
        with watching(w, job) as watch:
            await until(lambda: watch.status)
            before = w.simulator.stats().requests
            answers = [await w.get(path_of(job)) for _ in range(20)]
            assert {answer.status for answer in answers} == {200}
            assert w.simulator.stats().requests - before <= 2


@contextlib.contextmanager
def watching(w: World, job: JobRef) -> Any:
    watch = w.client.watch(job)
    try:
        yield watch
    finally:
        watch.cancel()


@real
async def test_a_long_poll_ends_with_the_job() -> None:
    """200 with the terminal status, whatever it is; it is no error of the poll that a job failed."""
    async with world() as w:
        done = w.simulator.add_video(duration=0.3)
        failed = w.simulator.add_try_on(duration=0.3, outcome="failed")
        answers = await asyncio.gather(w.get(path_of(done, "/wait")), w.get(path_of(failed, "/wait")))
        assert [(answer.status, answer.body["state"]) for answer in answers] == [(200, "completed"), (200, "failed")]


@real
async def test_a_long_poll_that_runs_out_gives_the_last_status_and_when_to_come_back() -> None:
    """202 with ``Retry-After``; before the first poll there is no status."""
    async with world() as w:
        job = w.simulator.add_image(duration=600.0)
        answer = await w.get(path_of(job, "/wait?timeout=0"))
        assert (answer.status, answer.body, answer.headers["Retry-After"]) == (202, None, "1")
        with watching(w, job) as watch:
            await until(lambda: watch.status)
            answer = await w.get(path_of(job, "/wait?timeout=0.05"))
            assert (answer.status, answer.body["state"]) == (202, "running")


@real
async def test_a_stream_sends_each_change_and_ends_with_the_job() -> None:
    """The last event is the terminal one, and no link is in any."""
    async with world() as w:
        job = w.simulator.add_video(queue=0.2, duration=0.6)
        events = await w.events(path_of(job, "/events"))
        assert {event.event for event in events} == {"status"}
        assert events[-1].data["state"] == "completed"
        assert [event.data["state"] for event in events].count("completed") == 1
        assert set(events[0].data) == {
            "job", "kind", "id", "state", "status", "progress", "expected_end", "error", "updated_at", "ended",
        }  # fmt: skip
        assert "http" not in str(events)


@real
async def test_a_stream_that_is_taken_up_repeats_nothing() -> None:
    """What ``Last-Event-ID`` says was sent is not sent again; after the end there is nothing left: 204, and no request."""
    async with world(policy=OFTEN) as w:
        job = w.simulator.add_image(duration=600.0)
        with watching(w, job) as watch:
            await until(lambda: watch.status)
            async with w.stream(path_of(job, "/events")) as events:
                first = await anext(events)
            async with w.stream(path_of(job, "/events"), **{"Last-Event-ID": first.id or ""}) as events:
                w.simulator.cancel(job)
                assert (await anext(events)).data["state"] == "canceled"
            last = (await w.events(path_of(job, "/events"), **{"Last-Event-ID": first.id or ""}))[-1]
            requests = w.simulator.stats().requests
            assert (await w.get(path_of(job, "/events"), **{"Last-Event-ID": last.id or ""})).status == 204
            assert w.simulator.stats().requests == requests


@real
async def test_many_jobs_share_one_stream() -> None:
    """It ends when all have, sends each end once, and its ids go on from any event."""
    async with world() as w:
        jobs = [w.simulator.add(kind, duration=0.2 + 0.2 * n) for n, kind in enumerate(JobKind)]
        path = "/jobs/events?" + "&".join(f"job={job}" for job in [*jobs, jobs[0]])
        events = await w.events(path)
        ends = [event for event in events if event.data["state"] == "completed"]
        assert sorted(event.data["job"] for event in ends) == sorted(map(str, jobs))
        again = await w.events(path, **{"Last-Event-ID": ends[0].id or ""})
        assert ends[0].data["job"] not in {event.data["job"] for event in again}
        assert sorted(event.data["job"] for event in again) == sorted(event.data["job"] for event in ends[1:])
        assert (await w.get(path, **{"Last-Event-ID": ends[-1].id or ""})).status == 204


@real
async def test_a_job_that_is_lost_ends_its_stream_with_the_reason() -> None:
    """There is no state for it: ``error`` says what became of the watch."""
    async with world(policy=OFTEN) as w:
        job = w.simulator.add_image(duration=600.0)
        async with w.stream(path_of(job, "/events")) as events:
            await anext(events)
            w.simulator.remove(job)
            last = [event async for event in events][-1]
        assert "is lost" in last.data["error"]
        assert (last.id or "").endswith("!")


@real
async def test_the_whole_fleet_on_one_stream() -> None:
    """All that is watched by anybody, each end, and the numbers; an observer keeps no watch alive."""
    async with world(policy=OFTEN) as w:
        done, other = w.simulator.add_image(duration=600.0), w.simulator.add_video(duration=600.0)
        with watching(w, done), watching(w, other) as leaving:
            await until(lambda: leaving.status)
            seen: dict[str, list[Any]] = {"image": [], "video": [], "stats": []}
            async with w.stream("/jobs/events") as events:
                async for event in events:
                    for data in event.data if event.event == "statuses" else [event.data]:
                        seen["stats" if event.event == "stats" else data["kind"]].append(data)
                    if len(seen["stats"]) == 1:
                        w.simulator.cancel(done)
                    elif len(seen["stats"]) > 1 and seen["image"][-1]["state"] == "canceled":
                        break
            assert sum(seen["stats"][-1]["lag_histogram"]["counts"]) == seen["stats"][-1]["lag"]["count"]
            assert seen["stats"][0]["watches"] == {"image": 1, "video": 1, "try-on": 0}
            assert seen["video"][0]["job"] == str(other)
            leaving.cancel()
            assert w.client.stats().watches[JobKind.VIDEO] == 0


@real
async def test_thousands_of_jobs_come_in_a_few_events() -> None:
    """Each event packs up to 500 jobs, each job comes once, and the reads of the overview leave time for others."""
    async with world(rate=1.0) as w, contextlib.AsyncExitStack() as stack:
        jobs = [w.simulator.add_image(duration=600.0) for _ in range(1700)]
        for job in jobs:
            stack.enter_context(watching(w, job))
        sizes: list[int] = []
        seen: set[str] = set()
        events = await stack.enter_async_context(w.stream("/jobs/events"))
        async for event in events:
            if event.event == "statuses":
                sizes.append(len(event.data))
                seen.update(data["job"] for data in event.data)
                if len(seen) == len(jobs):
                    break
        assert seen == {str(job) for job in jobs}
        assert max(sizes) == PACK
        assert sizes[0] <= NEWCOMERS, "views of all jobs were taken in one go"


@real
async def test_a_silent_stream_shows_that_it_is_alive() -> None:
    """A comment after so many seconds without an event."""
    async with world(router={"heartbeat": 0.05}) as w:
        job = w.simulator.add_image(duration=600.0, progress="stall")
        async with w.stream(path_of(job, "/events")) as events:
            comments = [event.comment async for event in upto(events, 4)]
        assert comments.count("still here") >= 2


async def upto(events: Any, count: int) -> Any:
    for _ in range(count):
        yield await anext(events)


@real
async def test_a_stream_ends_when_its_time_is_over() -> None:
    """So a reader whose permission has ended is asked again."""
    async with world(router={"max_stream": 0.1}) as w:
        job = w.simulator.add_image(duration=600.0)
        assert all(event.data["state"] != "completed" for event in await w.events(path_of(job, "/events")))


@real
async def test_the_numbers() -> None:
    """They are those of the app's own client."""
    async with world() as w:
        job = w.simulator.add_image(duration=60.0)
        await w.get(path_of(job))
        answer = await w.get("/stats")
        assert answer.body["requests"]["image"] == {"200": 1}
        assert answer.body["total_requests"] == 1


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/jobs/picture/x", 422, "invalid-request"),
        ("/jobs/image/x%20y", 422, "invalid-request"),
        ("/jobs/image/" + "x" * 257, 422, "invalid-request"),
        ("/jobs/image/x/wait?timeout=61", 422, "invalid-request"),
        ("/jobs/image/x/wait?timeout=-1", 422, "invalid-request"),
        ("/jobs/image/x/wait?timeout=nan", 422, "invalid-request"),
        ("/jobs/events?job=x", 422, "invalid-request"),
        ("/jobs/events?job=image:a&job=image:b&job=image:c", 422, "invalid-request"),
        ("/jobs/image/x", 400, "bad-request"),
        ("/jobs/image/" + NOBODY.partition(":")[2], 404, "not-found"),
        ("/jobs/try-on/x/wait", 404, "not-found"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(path: str, status: int, name: str) -> None:
    """RFC 9457: a type, a title, the status and what is wrong."""

    @real
    async def play() -> None:
        async with world(router={"max_jobs": 2}, policy=OFTEN) as w:
            answer = await w.get(path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.status == answer.body["status"] == status
            assert answer.body["type"] == f"urn:topaz-status:{name}"

    play()


@real
async def test_no_more_may_wait_than_there_is_room_for() -> None:
    """503 with ``Retry-After``; a client that leaves makes room."""
    async with world(router={"max_waiting": 2}) as w:
        job = w.simulator.add_image(duration=600.0)
        async with w.stream(path_of(job, "/events")), w.stream("/jobs/events"):
            for path in ("/wait", "/events"):
                answer = await w.get(path_of(job, path))
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                assert answer.body["type"] == "urn:topaz-status:too-many-waiting"
        await until(lambda: not w.app_state.waiting)
        assert (await w.get(path_of(job, "/wait?timeout=0"))).status == 202


@real
async def test_who_is_not_authorized_learns_and_costs_nothing() -> None:
    """The dependency stands before every route, before its arguments are read, and may check the job itself."""

    async def guard(request: Request) -> None:
        if request.path_params.get("id") != "open":
            raise HTTPException(401)

    async with world(router={"authorize": Depends(guard)}) as w:
        for path in (
            "/jobs/image/x",
            "/jobs/image/x/wait?timeout=-1",
            "/jobs/image/x/events",
            "/jobs/events",
            "/stats",
        ):
            assert (await w.get(path)).status == 401
        assert w.simulator.stats().requests == 0
        assert (await w.get("/jobs/try-on/open")).status == 404


def test_a_router_for_anyone_is_asked_for_in_words() -> None:
    """There is no default, and nothing false serves as one."""
    with pytest.raises(TypeError, match="authorize"):
        status_router()  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="PUBLIC"):
        status_router(authorize=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["max_jobs", "max_fleet", "max_waiting", "max_wait", "max_stream", "heartbeat"])
def test_a_bound_is_above_nothing(setting: str) -> None:
    """Where it is not, the router is not made."""
    settings: dict[str, Any] = {setting: 0}
    with pytest.raises(ConfigurationError, match=setting):
        status_router(authorize=status_router, **settings)


@real
async def test_metrics_are_served_for_prometheus_where_they_are_asked_for() -> None:
    """The numbers are those of the app's client, behind ``authorize``; a router without metrics has no such route."""
    metrics = PrometheusMetrics()

    async def scraper(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer scraper":
            raise HTTPException(401)

    async with world(router={"metrics": metrics, "authorize": scraper}, telemetry=metrics) as w:
        await w.client.watch(w.simulator.add_image(duration=0.2))
        answer = await w.get("/metrics", authorization="Bearer scraper")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        counted = (
            'topaz_status_watch_duration_seconds_count{topaz_status_kind="image",topaz_status_outcome="completed"} 1.0'
        )
        assert counted in answer.body.splitlines()
        assert (await w.get("/metrics")).status == 401
    async with world() as w:
        assert (await w.get("/metrics")).status == 404
