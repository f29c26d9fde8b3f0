"""Statuses, errors and tags as they lie in a store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from documented_bodies import IMAGE, IMAGE_JOB, SIGNED, TRY_ON, TRY_ON_JOB, VIDEO, VIDEO_JOB, drifted
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import (
    BadRequestError,
    ConfigurationError,
    DecodeError,
    JobFailedError,
    JobKind,
    JobLostError,
    JobRef,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    TopazStatusError,
)
from topaz_status.core.wire.decode import decode_status, parse_json
from topaz_status.store.json_codec import read_error, read_status, read_tag, write_error, write_status, write_tag


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


BODIES: list[tuple[JobRef, dict[str, Any], dict[str, Any]]] = [
    (IMAGE_JOB, IMAGE, IMAGE),
    (
        VIDEO_JOB,
        VIDEO,
        {**without(VIDEO, "urls", "comparisonTool"), "download": without(VIDEO["download"], "url")},
    ),
    (TRY_ON_JOB, TRY_ON, without(TRY_ON, "result_url")),
]
LINKED: list[tuple[JobRef, dict[str, Any]]] = [
    (VIDEO_JOB, {"status": "complete", "download": {"url": SIGNED, "expiresAt": 5000}, "urls": [SIGNED]}),
    (VIDEO_JOB, {"status": "complete", "comparisonTool": SIGNED, "message": f"see {SIGNED} for it"}),
    (TRY_ON_JOB, {"job_id": TRY_ON_JOB.id, "status": "completed", "result_url": SIGNED}),
    (TRY_ON_JOB, {"job_id": TRY_ON_JOB.id, "status": "completed", "result_url": [SIGNED], "also": {"at": [SIGNED]}}),
    (TRY_ON_JOB, {"job_id": TRY_ON_JOB.id, "status": "failed", "error": {"message": f"no {SIGNED}", "link": SIGNED}}),
    (TRY_ON_JOB, {"job_id": TRY_ON_JOB.id, "status": "failed", "error": f"no {SIGNED}"}),
    (IMAGE_JOB, {**IMAGE, "download_url": SIGNED, "filename": SIGNED}),
]


@pytest.mark.parametrize(("job", "body", "stored"), BODIES)
def test_a_status_comes_back_as_it_was_but_for_its_links(
    job: JobRef, body: dict[str, Any], stored: dict[str, Any]
) -> None:
    """Every field of the documents, in the service's names and units."""
    status = decode_status(job, body)
    again = read_status(job, write_status(status))
    assert again is not None
    assert again.to_dict() == stored
    assert (again.job, again.state, again.progress, again.reason) == (job, status.state, status.progress, status.reason)


@pytest.mark.parametrize(("job", "body"), LINKED)
def test_no_link_gets_into_a_store(job: JobRef, body: dict[str, Any]) -> None:
    """Neither where one belongs, nor in a text, nor in a field that nobody knows; the job's end is the same."""
    status = decode_status(job, body)
    text = write_status(status)
    assert "Signature" not in text
    again = read_status(job, text)
    assert again is not None
    assert (again.state, again.result_url) == (status.state, None)


@given(
    found=st.sampled_from(
        [(IMAGE_JOB, IMAGE), (VIDEO_JOB, VIDEO), (TRY_ON_JOB, TRY_ON)],
    ).flatmap(lambda pair: st.tuples(st.just(pair[0]), drifted(pair[1])))
)
def test_whatever_a_service_sends_can_be_stored(found: tuple[JobRef, dict[str, Any]]) -> None:
    """A status that could be read once can be written and read again, with the same state."""
    job, body = found
    try:
        status = decode_status(job, parse_json(json.dumps(body).encode()))
    except DecodeError:
        return
    again = read_status(job, write_status(status))
    assert again is not None
    assert (again.job, again.state, again.status) == (status.job, status.state, status.status)


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"status": 5}', "nonsense"])
def test_what_cannot_be_read_is_none(text: str | None) -> None:
    """The watch is then taken up as an unfinished one, and the job asked for anew."""
    assert read_status(IMAGE_JOB, text) is None


ERRORS: list[ServiceError] = [
    NotFoundError(404, "no such job", job=IMAGE_JOB),
    BadRequestError(400, "bad", code="E1", job=IMAGE_JOB, details=[{"field": "id"}]),
    PermissionDeniedError(402, None, code=7, job=IMAGE_JOB, retry_after=2.5),
    ServiceError(412, f"see {SIGNED}", job=IMAGE_JOB),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_answer_comes_back_as_the_same_error(error: ServiceError) -> None:
    """Its class and all its facts; no link is in it."""
    text = write_error(error)
    assert text is not None
    assert "Signature" not in text
    again = read_error(IMAGE_JOB, None, text)
    assert type(again) is type(error)
    assert str(again) == str(error).replace(SIGNED, "<url>")
    for name in ("status_code", "code", "job", "retry_after", "details"):
        assert getattr(again, name) == getattr(error, name)


def test_a_lost_job_is_lost_again() -> None:
    """With the status in which it was last seen."""
    status = decode_status(IMAGE_JOB, {**IMAGE, "status": "Processing"})
    again = read_error(IMAGE_JOB, status, write_error(JobLostError(IMAGE_JOB, status)))
    assert type(again) is JobLostError
    assert again.status is status


def test_a_terminal_status_is_all_that_is_needed() -> None:
    """What it raises follows from it, and is not written."""
    failed = decode_status(VIDEO_JOB, {"status": "failed", "message": "Too dark.", "errorCode": "TOO_DARK"})
    error = JobFailedError(VIDEO_JOB, failed, failed.reason)
    assert write_error(error) is None
    again: TopazStatusError | None = read_error(VIDEO_JOB, failed, None)
    assert type(again) is JobFailedError
    assert str(again) == str(error)
    assert read_error(IMAGE_JOB, decode_status(IMAGE_JOB, IMAGE), None) is None


@pytest.mark.parametrize("tag", [None, 0, 1.5, "x", "", True, [], {}, {"a": [1, None, {"b": "ü"}]}])
def test_a_tag_of_json_comes_back(tag: Any) -> None:
    """Exactly as it was."""
    again = read_tag(write_tag(tag))
    assert again == tag
    assert type(again) is type(tag)


@pytest.mark.parametrize(
    "tag", [object(), (1, 2), {1: "a"}, float("nan"), b"x", {"a": {1}}, 1 << 70, IMAGE_JOB, JobKind, "\ud800"]
)
def test_a_tag_that_would_not_come_back_is_refused(tag: Any) -> None:
    """At once, and not after the restart in which it would be missed."""
    with pytest.raises(ConfigurationError, match="JSON"):
        write_tag(tag)
