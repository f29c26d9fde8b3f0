"""The simulator speaks the three services as documented, in virtual time through memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from yarl import URL

from topaz_status import JobKind, JobState
from topaz_status.testing import EPOCH, Durations, JobPlan, Simulator

pytestmark = pytest.mark.virtual_time

KEY = {"X-API-Key": "sim"}
SOME_ID = "00000000-0000-4000-8000-000000000001"


class Caller:
    """Asks the simulator with a key, and gives status code and JSON."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator, self.session = simulator, session

    async def __call__(self, path: str, method: str = "GET", **settings: Any) -> tuple[int, Any]:
        settings.setdefault("headers", KEY)
        async with self.session.request(method, self.simulator.base_url + path, **settings) as response:
            text = await response.read()
            is_json = text and "json" in response.headers.get("Content-Type", "")
            return response.status, await response.json() if is_json else text or None


@pytest.fixture
async def ask(topaz_simulator: Simulator) -> AsyncIterator[Caller]:
    async with topaz_simulator.session() as session:
        yield Caller(topaz_simulator, session)


async def test_an_image_from_submission_to_result(topaz_simulator: Simulator, ask: Caller) -> None:
    """An image is pending, processing, completed; integers only; its result comes from the download endpoint."""
    job = topaz_simulator.add_image(queue=10.0, duration=100.0)
    seen = []
    for _ in range(13):
        _, body = await ask(f"/image/v1/status/{job.id}")
        seen.append((body["status"], body["progress"]))
        assert body["process_id"] == job.id
        assert all(isinstance(body[name], int) for name in ("progress", "eta", "creation_time", "modification_time"))
        assert body["eta"] == EPOCH + 110
        assert (await ask(f"/image/v1/download/{job.id}"))[0] == (200 if body["status"] == "Completed" else 409)
        await asyncio.sleep(10.0)
    assert [seen[0], seen[6], seen[11]] == [("Pending", 0), ("Processing", 50), ("Completed", 100)]
    _, links = await ask(f"/image/v1/download/{job.id}")
    status, data = await ask(links["download_url"].removeprefix(topaz_simulator.base_url), headers={})
    assert (status, data) == (200, topaz_simulator.result_bytes(job))


@pytest.mark.parametrize(
    ("outcome", "words", "error_code"),
    [
        ("completed", ("Completed", "complete"), None),
        ("failed", ("Failed", "failed"), "unexpected_error"),
        ("canceled", ("Cancelled", "canceled"), "job_cancelled"),
        ("expired", (), "job_expired"),
    ],
)
async def test_every_outcome_in_each_services_own_words(
    topaz_simulator: Simulator, ask: Caller, outcome: str, words: tuple[str, ...], error_code: str | None
) -> None:
    """The three services spell one outcome in three ways; try-on reports canceled and expired by a code."""
    try_on = topaz_simulator.add_try_on(duration=5.0, outcome=outcome)
    jobs = [topaz_simulator.add(kind, duration=5.0, outcome=outcome) for kind in ("image", "video") if words]
    await asyncio.sleep(6.0)
    _, body = await ask(f"/v1/try-on/job/{try_on.id}")
    assert body["status"] == ("completed" if error_code is None else "failed")
    assert ("result_url" in body) is (error_code is None)
    assert body.get("error", {}).get("error_code") == error_code
    if jobs:
        assert (await ask(f"/image/v1/status/{jobs[0].id}"))[1]["status"] == words[0]
        _, record = await ask(f"/video/{jobs[1].id}/status")
        assert record["status"] == words[1]
        assert ("download" in record) is (outcome == "completed")
        assert ("errorCode" in record) is (outcome == "failed")


@pytest.mark.parametrize("newer", [True, False])
async def test_both_forms_of_a_video(newer: bool) -> None:
    """The founding form signs anew for a day on each call, the newer one once for a week; chunks differ as well."""
    simulator = Simulator(newer_video=newer)
    job = simulator.add_video(duration=100.0)
    async with simulator.session() as session:
        ask = Caller(simulator, session)
        await asyncio.sleep(60.0)
        _, body = await ask(f"/video/{job.id}/status")
        assert body["progress"] == 60.0
        assert [chunk["status"] for chunk in body["processingJobs"]] == ["complete", "processing"]
        assert ("averageGpuUtilization" in body["processingJobs"][0]) is newer
        await asyncio.sleep(60.0)
        first = (await ask(f"/video/{job.id}/status"))[1]["download"]
        await asyncio.sleep(50.0)
        second = (await ask(f"/video/{job.id}/status"))[1]["download"]
    assert (first == second) is newer
    assert first["expiresIn"] == (7 if newer else 1) * 86_400_000
    assert first["expiresAt"] == int(EPOCH * 1000) + (100_000 if newer else 120_000) + first["expiresIn"]


ERRORS = [
    ("GET", "/image/v1/status/not-a-uuid", 400, {"code": 400, "message": str}),
    ("GET", f"/image/v1/status/{SOME_ID}", 404, {"code": 404, "message": str}),
    ("DELETE", f"/image/v1/status/{SOME_ID}", 404, {"code": 404, "message": str}),
    ("GET", "/image/v1/status?paginated=true&limit=101", 400, {"code": 400, "message": str}),
    ("GET", "/image/v1/status?paginated=true&limit=0", 400, {"code": 400, "message": str}),
    ("GET", "/image/v1/status?paginated=true&cursor=bogus", 400, {"code": 400, "message": str}),
    ("GET", f"/video/{SOME_ID}/status", 404, {"message": str, "errorCode": "INVALID_INPUT"}),
    ("GET", "/video/history?cursor=bogus", 400, {"message": str, "errorCode": "INVALID_INPUT"}),
    ("GET", f"/v1/try-on/job/{SOME_ID}", 404, {"error": str, "error_code": "not_found"}),
    ("PUT", f"/image/v1/status/{SOME_ID}", 405, {"code": 405, "message": str}),
    ("GET", "/elsewhere", 404, {"message": str}),
]


@pytest.mark.parametrize(("method", "path", "code", "shape"), ERRORS)
async def test_errors_have_their_services_shape(
    ask: Caller, method: str, path: str, code: int, shape: dict[str, Any]
) -> None:
    """Each error has the documented status code and exactly the documented fields."""
    status, body = await ask(path, method)
    assert status == code
    assert body.keys() == shape.keys()
    assert all(isinstance(body[name], str) if want is str else body[name] == want for name, want in shape.items())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/image/v1/status/{SOME_ID}", {"code": 401, "message": "Unauthorized"}),
        (f"/video/{SOME_ID}/status", {"message": "Unauthorized", "errorCode": "UNAUTHORIZED"}),
        (f"/v1/try-on/job/{SOME_ID}", {"error": "API Token not found", "error_code": "invalid_auth_token"}),
    ],
)
async def test_keys_are_checked(path: str, body: dict[str, Any]) -> None:
    """A missing, an unknown and a revoked key get the service's 401; every key that came in is known afterwards."""
    simulator = Simulator(keys=["good", "gone"])
    simulator.revoke("gone")
    async with simulator.session() as session:
        ask = Caller(simulator, session)
        for headers in ({}, {"X-API-Key": "bad"}, {"X-API-Key": "gone"}):
            assert await ask(path, headers=headers) == (401, body)
        assert (await ask(path, headers={"X-API-Key": "good"}))[0] == 404
        simulator.restore("gone")
        assert (await ask(path, headers={"X-API-Key": "gone"}))[0] == 404
    assert simulator.stats().keys == {"bad", "gone", "good"}


async def test_the_system_status_is_public_and_no_jobs(ask: Caller) -> None:
    """``GET /video/status`` needs no key and is about no job."""
    status, body = await ask("/video/status", headers={})
    assert status == 200
    assert body["isAvailable"] is True


async def test_pages_of_images(topaz_simulator: Simulator, ask: Caller) -> None:
    """Pages of the asked size, 50 by default, whose last one has no cursor; without paging, a bare array."""
    jobs = topaz_simulator.add_jobs(JobPlan(kind=JobKind.IMAGE, count=120, after=-200.0, every=1.0))
    _, first = await ask("/image/v1/status?paginated=true")
    assert [item["process_id"] for item in first["data"]] == [job.id for job in reversed(jobs)][:50]
    cursor, names = "", []
    while True:
        _, page = await ask(f"/image/v1/status?paginated=true&limit=100{cursor}")
        names += [item["process_id"] for item in page["data"]]
        if not page["pagination"]["has_next_page"]:
            break
        cursor = "&cursor=" + page["pagination"]["next_cursor"]
    assert page["pagination"] == {"has_next_page": False}
    assert names == [job.id for job in reversed(jobs)]
    _, array = await ask("/image/v1/status")
    assert [item["process_id"] for item in array] == names


async def test_lists_show_what_they_should(topaz_simulator: Simulator, ask: Caller) -> None:
    """Unlisted jobs never appear, foreign ones do, late ones from their time on, old ones no more after a week."""
    unlisted = topaz_simulator.add_image(listed=False)
    late = topaz_simulator.add_image(visible_after=5.0)
    (own,) = topaz_simulator.add_jobs(
        [JobPlan(kind=JobKind.IMAGE, foreign=True, count=2), JobPlan(kind=JobKind.IMAGE, deleted_after=60.0)]
    )
    future = topaz_simulator.add_image(after=20.0)

    async def listed() -> set[str]:
        return {item["process_id"] for item in (await ask("/image/v1/status"))[1]}

    assert len(await listed()) == 3
    assert (await ask(f"/image/v1/status/{late.id}"))[0] == 404
    await asyncio.sleep(5.0)
    assert late.id in await listed()
    assert (await ask(f"/image/v1/status/{late.id}"))[0] == 200
    assert future.id not in await listed()
    await asyncio.sleep(15.0)
    assert future.id in await listed()
    await asyncio.sleep(50.0)
    assert own.id not in await listed()
    assert (await ask(f"/image/v1/status/{own.id}"))[0] == 404
    assert (await ask(f"/image/v1/status/{unlisted.id}"))[0] == 200
    await asyncio.sleep(7 * 86_400.0)
    assert await listed() == set()


async def test_the_video_history_leaves_requested_ones_out(topaz_simulator: Simulator, ask: Caller) -> None:
    """A video enters the history once accepted; times are milliseconds; the last page's cursor is null."""
    job = topaz_simulator.add_video(queue=100.0, duration=100.0)
    topaz_simulator.add_jobs(JobPlan(kind=JobKind.VIDEO, count=60, after=-50.0))
    await asyncio.sleep(9.0)
    _, page = await ask("/video/history")
    assert len(page["result"]) == 50
    _, rest = await ask(f"/video/history?cursor={page['nextCursor']}")
    assert (len(rest["result"]), rest["nextCursor"]) == (10, None)
    await asyncio.sleep(2.0)
    _, page = await ask("/video/history")
    newest = page["result"][0]
    assert (newest["id"], newest["status"]) == (job.id, "accepted")
    assert newest["ts"] == {"requested": EPOCH * 1000, "accepted": EPOCH * 1000 + 10_000}


@pytest.mark.parametrize("paged", [True, False])
async def test_a_history_in_another_order(paged: bool) -> None:
    """Oldest first, the first page shows the oldest videos; the order of images stays what it is."""
    simulator = Simulator(history_order="oldest", history_page=2, history_paged=paged)
    videos = [simulator.add_video(after=-after) for after in (30.0, 20.0, 10.0)]
    images = [simulator.add_image(after=-after) for after in (20.0, 10.0)]
    async with simulator.session() as session:
        ask = Caller(simulator, session)
        _, history = await ask("/video/history")
        _, listed = await ask("/image/v1/status")
    assert [record["id"] for record in history["result"]] == [job.id for job in videos[: 2 if paged else None]]
    assert [status["process_id"] for status in listed] == [job.id for job in images[::-1]]


async def test_the_older_history_has_no_pages() -> None:
    """The older text answers with everything, and without a cursor."""
    simulator = Simulator(history_paged=False)
    simulator.add_jobs(JobPlan(kind=JobKind.VIDEO, count=60))
    async with simulator.session() as session:
        _, body = await Caller(simulator, session)("/video/history")
    assert len(body["result"]) == 60
    assert "nextCursor" not in body


async def test_deleting_and_canceling(topaz_simulator: Simulator, ask: Caller) -> None:
    """Records of running images are kept (409), of ended ones removed (204); canceling works while they run."""
    first, second = topaz_simulator.add_image(duration=50.0), topaz_simulator.add_image(duration=50.0)
    assert (await ask(f"/image/v1/status/{first.id}", "DELETE"))[0] == 409
    assert (await ask(f"/image/v1/cancel/{first.id}", "DELETE")) == (204, None)
    assert (await ask(f"/image/v1/cancel/{first.id}", "DELETE"))[0] == 409
    assert (await ask(f"/image/v1/status/{first.id}"))[1]["status"] == "Cancelled"
    assert (await ask(f"/image/v1/status/{first.id}", "DELETE")) == (204, None)
    assert (await ask(f"/image/v1/status/{first.id}"))[0] == 404
    assert await ask("/image/v1/status", "DELETE") == (200, {"deleted_count": 1})
    assert (await ask(f"/image/v1/status/{second.id}"))[0] == 404
    assert topaz_simulator.truth(first).state is JobState.CANCELED


async def test_canceling_videos_and_try_ons(topaz_simulator: Simulator, ask: Caller) -> None:
    """A video passes through canceling; a finished try-on answers 409 ``job_finished``."""
    video, try_on = topaz_simulator.add_video(duration=50.0), topaz_simulator.add_try_on(duration=50.0)
    assert (await ask(f"/video/{video.id}", "DELETE"))[0] == 200
    assert (await ask(f"/video/{video.id}", "DELETE"))[0] == 204
    assert (await ask(f"/video/{video.id}/status"))[1]["status"] == "canceling"
    assert (await ask(f"/v1/try-on/job/{try_on.id}/cancel", "POST"))[0] == 200
    status, body = await ask(f"/v1/try-on/job/{try_on.id}/cancel", "POST")
    assert (status, body["error_code"]) == (409, "job_finished")
    await asyncio.sleep(3.0)
    assert (await ask(f"/video/{video.id}/status"))[1]["status"] == "canceled"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/image/v1/status/{SOME_ID}", {"code": 429, "message": "Too Many Requests"}),
        (f"/video/{SOME_ID}/status", {"message": "Too Many Requests"}),
        (f"/v1/try-on/job/{SOME_ID}", {"error": "Too many requests", "error_code": "rate_limit_exceeded"}),
    ],
)
async def test_over_the_limit_is_429_in_each_shape(path: str, body: dict[str, Any]) -> None:
    """The bucket is shared by all services; over it comes the service's own 429 with the Retry-After asked for."""
    simulator = Simulator(rate=2.0, burst=3.0, retry_after="auto")
    async with simulator.session() as session:
        ask = Caller(simulator, session)
        for other in (f"/image/v1/status/{SOME_ID}", f"/video/{SOME_ID}/status", f"/v1/try-on/job/{SOME_ID}"):
            assert (await ask(other))[0] == 404
        assert await ask(path) == (429, body)
        async with session.get(simulator.base_url + path, headers=KEY) as response:
            assert response.headers["Retry-After"] == "1"
        await asyncio.sleep(0.5)
        assert (await ask(path))[0] == 404
    assert simulator.stats().rate_limited == 2


async def test_a_skewed_clock_is_skewed_everywhere() -> None:
    """Date and eta come from the same wrong clock; the truth does not."""
    simulator = Simulator(clock_skew=1000.0)
    job = simulator.add_image(duration=50.0)
    async with simulator.session() as session:
        url = f"{simulator.base_url}/image/v1/status/{job.id}"
        async with session.get(url, headers=KEY) as response:
            date = parsedate_to_datetime(response.headers["Date"]).timestamp()
            body = await response.json()
    assert date == EPOCH + 1000.0
    assert body["eta"] - date == 50.0
    assert simulator.truth(job).ends_unix == EPOCH + 50.0


async def test_the_state_is_taken_in_the_middle_of_the_delay() -> None:
    """An answer that takes 2 s says what was true after 1 s."""
    simulator = Simulator(delay=2.0)
    job = simulator.add_image(duration=1.0)
    async with simulator.session() as session:
        _, body = await Caller(simulator, session)(f"/image/v1/status/{job.id}")
    assert body["status"] == "Completed"
    assert asyncio.get_running_loop().time() == 2.0
    assert simulator.stats().peak_in_flight == 1


async def test_truth_and_counters(topaz_simulator: Simulator, ask: Caller) -> None:
    """The simulator knows each job's end, who polled how often, and what it answered when."""
    job, stuck = topaz_simulator.add_image(duration=30.0, queue=5.0), topaz_simulator.add_image(stuck=True)
    for _ in range(3):
        await ask(f"/image/v1/status/{job.id}")
        await asyncio.sleep(1.0)
    await ask("/image/v1/status")
    truth = topaz_simulator.truth(job)
    assert (truth.state, truth.ends_at, truth.ends_unix) == (JobState.COMPLETED, 35.0, EPOCH + 35.0)
    assert (truth.looks, truth.ended) == (4, False)
    assert topaz_simulator.truth(stuck).state is None
    stats = topaz_simulator.stats()
    assert stats.by_endpoint == {"image.status": 3, "image.list": 1}
    assert stats.by_second == {0: 1, 1: 1, 2: 1, 3: 1}
    assert (stats.by_status, stats.jobs, stats.in_flight) == ({200: 4}, 2, 0)
    assert [(each.at, each.job) for each in topaz_simulator.log][:2] == [(0.0, job.id), (1.0, job.id)]


async def test_the_same_seed_gives_the_same_answers() -> None:
    """Two runs with one seed have the same jobs, ids and ends; another seed has others."""
    plan = JobPlan(kind=JobKind.VIDEO, count=20, duration=Durations.exponential(9.0), every=Durations.exponential(1.0))

    def ends(seed: int) -> list[tuple[str, float]]:
        simulator = Simulator(seed=seed)
        return [(job.id, simulator.truth(job).ends_at) for job in simulator.add_jobs(plan)]

    assert ends(7) == ends(7)
    assert ends(7) != ends(8)


async def test_reset_begins_anew(topaz_simulator: Simulator, ask: Caller) -> None:
    """After a reset there are no jobs, no counters and no faults."""
    job = topaz_simulator.add_image()
    topaz_simulator.add_fault("503")
    await ask(f"/image/v1/status/{job.id}")
    topaz_simulator.reset()
    assert topaz_simulator.stats().requests == topaz_simulator.stats().jobs == 0
    assert (await ask(f"/image/v1/status/{job.id}"))[0] == 404


@pytest.mark.parametrize("kind", list(JobKind))
async def test_forbidden_jobs_and_odd_ids(topaz_simulator: Simulator, ask: Caller, kind: JobKind) -> None:
    """A forbidden job is 403 alone; ids are decoded once, and fields laid over a body are shown."""
    forbidden, plain = topaz_simulator.add(kind, forbidden=True), topaz_simulator.add(kind, body={"novel": 1})
    path = {JobKind.IMAGE: "/image/v1/status/{}", JobKind.VIDEO: "/video/{}/status"}.get(kind, "/v1/try-on/job/{}")
    assert (await ask(path.format(forbidden.id)))[0] == 403
    assert (await ask(path.format(plain.id)))[1]["novel"] == 1
    if kind is not JobKind.IMAGE:
        topaz_simulator.add(kind, id="a/b+c")
        url = URL(topaz_simulator.base_url + path.format("a%2Fb%2Bc"), encoded=True)
        async with ask.session.get(url, headers=KEY) as response:
            assert response.status == 200
