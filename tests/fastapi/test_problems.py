"""Errors as problem details: a sensible status for each, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from harness import real
from serving import world

from topaz_status import errors
from topaz_status.errors import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    CoordinatorError,
    DecodeError,
    GatewayError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ResultTooLargeError,
    ResultUnavailableError,
    ServerError,
    ServiceError,
    StoreError,
    TopazStatusError,
    TransportError,
    WatchCanceledError,
    WatchTimeoutError,
)
from topaz_status.fastapi.problems import problem_of
from topaz_status.models import TryOnStatus
from topaz_status.models.job import JobKind, JobRef

JOB = JobRef(JobKind.TRY_ON, "t")
FAILED = TryOnStatus(job_id="t", status="failed", result_url="https://storage/secret")
EACH: list[tuple[TopazStatusError, int]] = [
    (BadRequestError(400), 400),
    (AuthenticationError(401, "key sk-123 is wrong"), 502),
    (PermissionDeniedError(402), 502),
    (PermissionDeniedError(403, "key sk-123 may not"), 502),
    (NotFoundError(404, job=JOB), 404),
    (ConflictError(409), 409),
    (RateLimitedError(429, retry_after=2.2), 429),
    (RateLimitedError(429), 429),
    (ServerError(500), 502),
    (ServerError(503, retry_after=30.0), 502),
    (ServiceError(418), 502),
    (GatewayError(401, "key sk-123 at https://host/"), 502),
    (TransportError("no connection to https://host/?key=sk-123"), 502),
    (CertificateError("cannot connect to host: pass ssl=… sk-123"), 502),
    (DecodeError([("status", "is missing")]), 502),
    (JobFailedError(JOB, FAILED, "no"), 409),
    (JobCanceledError(JOB, FAILED), 409),
    (JobExpiredError(JOB), 409),
    (JobLostError(JOB), 410),
    (ResultUnavailableError(JOB), 409),
    (ResultTooLargeError(JOB, 100, 200), 409),
    (WatchTimeoutError("late", job=JOB), 504),
    (WatchCanceledError("canceled"), 503),
    (ClientClosedError("closed"), 503),
    (StoreError("disk full", path="/srv/private.db"), 503),
    (CoordinatorError("redis.internal does not answer"), 503),
    (ConfigurationError("no key: set TOPAZ_API_KEY"), 500),
    (TopazStatusError("what"), 500),
]


def body_of(error: Exception) -> tuple[int, Any, Any]:
    response = problem_of(error)
    return response.status_code, response.headers, json.loads(bytes(response.body))


@pytest.mark.parametrize(("error", "status"), EACH, ids=repr)
def test_each_error_has_its_status(error: TopazStatusError, status: int) -> None:
    """And the members that RFC 9457 names; no key, no link and no path of this machine is in any."""
    code, headers, body = body_of(error)
    assert code == body["status"] == status
    assert headers["content-type"] == "application/problem+json"
    assert body["type"].startswith("urn:topaz-status:")
    assert body["title"]
    assert body["detail"]
    assert not [secret for secret in ("sk-123", "https:", "/srv", "TOPAZ_API_KEY") if secret in json.dumps(body)]


@pytest.mark.parametrize(
    ("error", "name", "detail"),
    [
        (TransportError("the proxy 10.0.0.1:3128 asks"), "no-answer", "this server got no answer from the service"),
        (CertificateError("10.0.0.1: expired"), "untrusted-certificate", "this server got no answer from the service"),
        (
            WatchTimeoutError("… 10.0.0.1 …", job=JOB, last_error=TransportError("to 10.0.0.1")),
            "timeout",
            "no poll of try-on:t was answered in time",
        ),
    ],
)
def test_the_way_to_the_service_is_not_shown(error: TopazStatusError, name: str, detail: str) -> None:
    """Which proxy, which host and which certificate is the operator's business; the kind of problem is shown."""
    _, _, body = body_of(error)
    assert (body["type"], body["detail"]) == (f"urn:topaz-status:{name}", detail)
    assert "10.0.0.1" not in json.dumps(body)


def test_no_error_is_forgotten() -> None:
    """A new one in the tree is to be thought of here."""
    tree = {getattr(errors, name) for name in errors.__all__}
    assert tree - {type(error) for error, _ in EACH} == {errors.JobError, errors.WatchError}


def test_what_helps_to_go_on_is_reported() -> None:
    """When to come back, in whole seconds and never sooner than was asked for; which job, and how it ended."""
    waits = {str(error): body_of(error)[1].get("Retry-After") for error, _ in EACH}
    assert waits[str(RateLimitedError(429, retry_after=2.2))] == "3"
    assert waits[str(RateLimitedError(429))] == waits["closed"] == "1"
    assert waits[str(ServerError(503, retry_after=30.0))] == "30"
    assert waits[str(NotFoundError(404, job=JOB))] is None
    _, _, body = body_of(JobFailedError(JOB, FAILED, "no"))
    assert (body["job"], body["state"], body["detail"]) == ("try-on:t", "failed", "try-on:t failed: no")


@real
async def test_a_handler_of_ones_own_answers_alike() -> None:
    """Its library errors are described; others are left to whom they belong."""
    app = FastAPI()

    @app.get("/{status}")
    async def handler(status: int) -> None:
        raise RateLimitedError(status, retry_after=7.0) if status == 429 else JobLostError(JOB)

    async with world(app) as w:
        answer = await w.get("/429")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await w.get("/1")).status == 410
        assert (await w.get("/x")).headers["content-type"] == "application/json"
