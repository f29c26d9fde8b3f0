"""Statuses and outcomes as response models: what a handler returns is what its client gets, and what OpenAPI says."""

from __future__ import annotations

from typing import Any

import attrs
import jsonschema
import pytest
from fastapi import FastAPI
from harness import real, until
from pydantic import TypeAdapter
from serving import world

from topaz_status import (
    Download,
    ImagePage,
    ImageStatus,
    JobFailedError,
    JobKind,
    JobRef,
    JobState,
    Outcome,
    Stats,
    TryOnStatus,
    VideoEstimates,
    VideoStatus,
)
from topaz_status.fastapi import ClientDep
from topaz_status.models import TryOnError, VideoChunk, VideoDownload
from topaz_status.models.pydantic_schema import PydanticSchema

IMAGE = ImageStatus(process_id="a", status="Processing", progress=12.5, eta=1000.5, extra={"new": [1, {"x": None}]})
VIDEO = VideoStatus(
    id="v",
    status="complete",
    estimates=VideoEstimates(cost=(1.0, 2.5), time=(3.0,)),
    processing_jobs=(VideoChunk(chunk_id="c", progress=50.0),),
    download=VideoDownload(url="https://storage/x?sig=1", expires_at=2.0),
)
TRY_ON = TryOnStatus(job_id="t", status="failed", error=TryOnError(message="no", error_code="job_expired"))
OUTCOME = Outcome(
    job=JobRef(JobKind.TRY_ON, "t"),
    tag={"order": 7},
    state=JobState.EXPIRED,
    status=TRY_ON,
    error=JobFailedError(JobRef(JobKind.TRY_ON, "t"), TRY_ON, "no"),
    polls=3,
    waited=1.5,
    detected_at=9.0,
)
PAGE = ImagePage(statuses=(IMAGE,), next_cursor="n", has_next_page=True)
LINK = Download(url="https://storage/y", expires_at=4.0)
Any_ = ImageStatus | VideoStatus | TryOnStatus


def written(kind: Any, value: Any) -> Any:
    """What pydantic writes, after a check that it is what its schema promises."""
    adapter = TypeAdapter(kind)
    body = adapter.dump_python(adapter.validate_python(value), mode="json")
    for mode in ("serialization", "validation"):
        jsonschema.validate(body, adapter.json_schema(mode=mode))
    return body


def test_a_status_is_its_fields_and_what_is_worked_out_of_them() -> None:
    """Python's names, seconds, and for every kind the same answers to the same questions."""
    image, video, try_on = (written(Any_, status) for status in (IMAGE, VIDEO, TRY_ON))
    assert (image["process_id"], image["progress"], image["eta"]) == ("a", 12.5, 1000.5)
    assert image["extra"] == {"new": [1, {"x": None}]}
    assert video["estimates"] == {"extra": {}, "cost": [1.0, 2.5], "time": [3.0]}
    assert video["processing_jobs"][0]["chunk_id"] == "c"
    assert try_on["error"] == {"extra": {}, "message": "no", "error_code": "job_expired"}
    common = ("job", "state", "is_terminal", "progress", "result_url", "reason")
    assert [tuple(body[name] for name in common) for body in (image, video, try_on)] == [
        ("image:a", "running", False, 12.5, None, None),
        ("video:v", "completed", True, None, "https://storage/x?sig=1", None),
        ("try-on:t", "expired", True, None, None, "no [job_expired]"),
    ]
    assert "_as_sent" not in image


def test_an_outcome_is_shown_with_its_status_and_the_text_of_its_error() -> None:
    """The receipt of a store is nobody's business."""
    body = written(Outcome, OUTCOME)
    assert body["status"] == written(TryOnStatus, TRY_ON)
    assert (body["job"], body["tag"], body["state"]) == ("try-on:t", {"order": 7}, "expired")
    assert body["error"] == "try-on:t failed: no"
    assert "receipt" not in body


def test_pages_links_and_lists_are_shown() -> None:
    """Whatever else a handler may have in its hands."""
    assert written(ImagePage, PAGE)["statuses"][0]["job"] == "image:a"
    assert written(Download, LINK) == {"url": "https://storage/y", "head_url": None, "expires_at": 4.0}
    assert [one["job"] for one in written(list[Any_], [TRY_ON, VIDEO, IMAGE])] == ["try-on:t", "video:v", "image:a"]


@attrs.frozen
class Few(PydanticSchema):
    a: int


@attrs.frozen
class More(PydanticSchema):
    a: int
    b: int


def test_one_of_several_is_written_as_what_it_is() -> None:
    """Also where an earlier one of the union has all of its fields in common with it."""
    assert written(Few | More, More(1, 2)) == {"a": 1, "b": 2}
    assert written(Few | More, Few(1)) == {"a": 1}


def test_a_job_is_its_text() -> None:
    """Read from a query or a body as well; what names no job is the caller's mistake."""
    adapter = TypeAdapter(JobRef)
    job = JobRef(JobKind.TRY_ON, "x/y")
    assert adapter.dump_json(job) == b'"try-on:x/y"'
    assert adapter.validate_json('"try-on:x/y"') == adapter.validate_python("try-on:x/y") == job
    assert adapter.validate_python(job) is job
    with pytest.raises(ValueError, match="unknown kind"):
        adapter.validate_python("picture:x")
    with pytest.raises(ValueError, match="instance of ImageStatus"):
        TypeAdapter(ImageStatus).validate_python({"process_id": "a", "status": "Completed"})


@real
async def test_a_handler_may_return_any_of_them() -> None:
    """The answer is what the schema in the OpenAPI document says, where each is a component under its own name."""
    app = FastAPI()

    @app.get("/one/{kind}/{id}")
    async def one(kind: JobKind, id: str, client: ClientDep) -> ImageStatus | VideoStatus | TryOnStatus:  # noqa: A002
        status: ImageStatus | VideoStatus | TryOnStatus = await client.watch(JobRef(kind, id))
        return status

    @app.get("/outcome")
    async def outcome(job: JobRef, client: ClientDep) -> Outcome:
        return await client.watch(job).outcome()

    @app.get("/link")
    async def link(job: JobRef, client: ClientDep) -> Download:
        return await client.result(job)

    @app.get("/numbers")
    async def numbers(client: ClientDep) -> Stats:
        return client.stats()

    async with world(app) as w:
        document = (await w.get("/openapi.json")).body
        assert {"ImageStatus", "VideoStatus", "TryOnStatus", "Outcome", "Stats", "Download"} <= set(
            document["components"]["schemas"]
        )
        assert document["components"]["schemas"]["ImageStatus"]["description"] == "The status of one image job."
        for kind in JobKind:
            job = w.simulator.add(kind, duration=0.2)
            answer = await w.get(f"/one/{kind.value}/{job.id}")
            assert (answer.status, answer.body["job"], answer.body["state"]) == (200, str(job), "completed")
        answer = await w.get(f"/outcome?job={job}")
        assert (answer.body["job"], answer.body["status"]["state"]) == (str(job), "completed")
        links = (await w.get(f"/link?job={job}")).body["url"], answer.body["status"]["result_url"]
        assert len({link.partition("?")[0] for link in links}) == 1  # each is signed in a second of its own
        assert (await w.get("/numbers")).body["total_requests"] > 0
        assert (await w.get("/outcome?job=x")).status == 422
        await until(lambda: not w.client.stats().in_flight)
