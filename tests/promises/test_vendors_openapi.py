"""The vendors' published schemas, the simulator's answers and the client's reading: any two must agree."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from harness import TOPAZ_KEY, client_of, virtual

from topaz_status import JobKind, JobRef, JobState, JobStatus, ServiceError, StatusClient
from topaz_status.testing import MEMORY_URL, Simulator

DATA = Path(__file__).parents[1] / "data"
PLANS: list[dict[str, Any]] = [
    {"queue": 10, "duration": 30},
    {"queue": 10, "duration": 30, "outcome": "failed"},
    {"queue": 10, "duration": 30, "outcome": "canceled"},
    {"duration": 30, "result": False},
    {"duration": 30, "progress": "backwards"},
]
MORE: dict[JobKind, list[dict[str, Any]]] = {
    JobKind.TRY_ON: [{"duration": 30, "outcome": "expired"}, {"duration": 30, "error_too": True}]
}


@cache
def schemas(name: str) -> dict[str, Any]:
    """The schemas of a service, which here allow nothing that they do not name."""
    document: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    for schema in document["$defs"].values():
        _close(schema)
    return document


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            _close(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close(inner)


def check(body: Any, name: str, schema: str) -> None:
    """Validate a body against a published schema."""
    document = schemas(name)
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{schema}", "$defs": document["$defs"]}).validate(body)


async def ask(session: aiohttp.ClientSession, path: str, method: str = "GET") -> Any:
    """The body of an answer as it came."""
    async with session.request(method, MEMORY_URL + path, headers={"X-API-Key": TOPAZ_KEY}) as answer:
        return json.loads(await answer.read() or b"null")


def path_of(job: JobRef) -> str:
    return {
        JobKind.IMAGE: f"/image/v1/status/{job.id}",
        JobKind.VIDEO: f"/video/{job.id}/status",
        JobKind.TRY_ON: f"/v1/try-on/job/{job.id}",
    }[job.kind]


def getter(client: StatusClient, kind: JobKind) -> Callable[[JobRef], Coroutine[Any, Any, JobStatus]]:
    """The call that asks for one job of a kind."""
    match kind:
        case JobKind.IMAGE:
            return client.image.get
        case JobKind.VIDEO:
            return client.video.get
        case JobKind.TRY_ON:
            return client.try_on.get


def nothing_lost(status: JobStatus, body: Any) -> None:
    """A status holds all that the body said, under names of its own, and gives it back."""
    assert status.to_dict() == body
    assert not status.extra
    assert status.status == body["status"]


CASES = [
    (JobKind.IMAGE, "image", "StatusResponse", True),
    (JobKind.VIDEO, "video_newer", "StatusResponse", True),
    (JobKind.VIDEO, "video_older", "StatusResponse", False),
    (JobKind.TRY_ON, "try_on", "TryOnJob", True),
]


@pytest.mark.parametrize(("kind", "name", "schema", "newer"), CASES)
@virtual
async def test_statuses(kind: JobKind, name: str, schema: str, newer: bool) -> None:
    """Every status on a job's way is what the vendor published, and is read without a loss."""
    simulator = Simulator(newer_video=newer)
    jobs = [simulator.add(kind, **plan) for plan in PLANS + MORE.get(kind, [])]
    words = set()
    async with simulator.session() as session, client_of(simulator) as client:
        call = getter(client, kind)
        for _ in range(30):
            for job in jobs:
                body = await ask(session, path_of(job))
                check(body, name, schema)
                nothing_lost(await call(job), body)
                words.add(body["status"])
            await asyncio.sleep(1.7)
        canceled = simulator.add(kind, duration=100)
        await asyncio.sleep(1)
        simulator.cancel(canceled)
        for _ in range(2):
            body = await ask(session, path_of(canceled))
            check(body, name, schema)
            nothing_lost(await call(canceled), body)
            words.add(body["status"])
            await asyncio.sleep(5)
    assert words == set(schemas(name)["$defs"][schema]["properties"]["status"]["enum"]), "a word was never seen"


@virtual
async def test_image_lists_and_links() -> None:
    """So are the lists of images in both forms, the links to results, and the count of what was deleted."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=i) for i in range(30)]
    async with simulator.session() as session, client_of(simulator) as client:
        await asyncio.sleep(20)
        whole = await ask(session, "/image/v1/status")
        check(whole, "image", "StatusList")
        assert [status.to_dict() for status in await client.image.list_all()] == whole
        for cursor in (None, (await client.image.page(limit=20)).next_cursor):
            page = await ask(
                session, "/image/v1/status?paginated=true&limit=20" + (f"&cursor={cursor}" if cursor else "")
            )
            check(page, "image", "PaginatedStatusesResponse")
            read = await client.image.page(cursor, 20)
            assert [status.to_dict() for status in read.statuses] == page["data"]
            assert page["pagination"] == {"has_next_page": read.has_next_page} | (
                {"next_cursor": read.next_cursor} if read.next_cursor else {}
            )
        link = await ask(session, f"/image/v1/download/{jobs[0].id}")
        check(link, "image", "DownloadResponse")
        reported = await client.image.download_link(jobs[0])
        assert (reported.url, reported.head_url, reported.expires_at) == (
            link["download_url"],
            link["head_url"],
            link["expiry"],
        )
        check(await ask(session, "/image/v1/status", "DELETE"), "image", "DeletedResponse")


@virtual
async def test_video_history() -> None:
    """So is the history of videos, times in seconds on our side and in milliseconds on theirs."""
    simulator = Simulator(history_page=10)
    for plan in PLANS * 4:
        simulator.add_video(**plan)
    async with simulator.session() as session, client_of(simulator) as client:
        await asyncio.sleep(12)
        body = await ask(session, "/video/history")
        check(body, "video_newer", "HistoryResponse")
        assert body["nextCursor"]
        await asyncio.sleep(60)
        records = [record async for record in client.video.history()]
        entries: list[Any] = []
        cursor = ""
        while cursor is not None:
            body = await ask(session, f"/video/history?cursor={cursor}")
            check(body, "video_newer", "HistoryResponse")
            entries += body["result"]
            cursor = body["nextCursor"]
    assert [record.to_dict() for record in records] == entries
    assert not any(record.extra for record in records)
    assert {record.state for record in records} == {JobState.COMPLETED, JobState.FAILED, JobState.CANCELED}
    assert all(1000 * record.ts[record.status] == pytest.approx(entry["ts"][entry["status"]])
               for record, entry in zip(records, entries, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "schema", "codes"),
    [
        (JobKind.IMAGE, "image", "Error", (400, 401, 403, 404, 409, 429, 500)),
        (JobKind.VIDEO, "video_newer", "Error", (400, 401, 402, 403, 404, 500)),
        (JobKind.TRY_ON, "try_on", "ApiError", (400, 401, 403, 404, 429)),
    ],
)
@virtual
async def test_errors(kind: JobKind, name: str, schema: str, codes: tuple[int, ...]) -> None:
    """So are the error bodies: their words and codes come out in the exception."""
    simulator = Simulator()
    job = simulator.add(kind)
    async with simulator.session() as session, client_of(simulator) as client:
        call = getter(client, kind)
        for code in codes:
            simulator.clear_faults()
            simulator.add_fault(str(code))
            body = await ask(session, path_of(job))
            check(body, name, schema)
            with pytest.raises(ServiceError) as raised:
                await call(job)
            error = raised.value
            assert error.status_code == code
            assert error.message in body.values()
            assert error.code in (*body.values(), None)
            assert (error.code is None) == (len(body) == 1)


@pytest.mark.parametrize("name", ["image", "video_older", "video_newer", "try_on"])
def test_the_schemas_are_schemas(name: str) -> None:
    """The schemas are valid themselves, and refuse what is not documented."""
    document = schemas(name)
    for schema in document["$defs"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        check({"status": "Hibernating"}, name, "TryOnJob" if name == "try_on" else "StatusResponse")
