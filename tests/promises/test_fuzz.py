"""Arbitrary answers: whatever bytes come in, nothing but our own errors comes out, and no other job is touched."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from harness import SINGLY, Heard, RawServer, client_of, http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef, JobState, JobStatus, PollPolicy, TopazStatusError
from topaz_status.core.wire.decode import decode_history, decode_image_page, decode_status, parse_json
from topaz_status.core.wire.list_page import decode_list_page
from topaz_status.core.wire.observe import observe_status
from topaz_status.core.wire.requests import get_status
from topaz_status.core.wire.responses import Response, check, service_time
from topaz_status.testing import run_virtual

FIELDS = [
    "process_id", "status", "progress", "eta", "creation_time", "modification_time", "credits", "id", "job_id",
    "result_url", "error", "error_code", "estimates", "download", "url", "expiresAt", "processingJobs", "outputSize",
    "data", "pagination", "next_cursor", "has_next_page", "result", "nextCursor", "ts", "lastEventTs", "time", "message",
]  # fmt: skip
WORDS = ["Completed", "Processing", "complete", "failed", "canceled", "pending", "running", "", "Zzz", "victim"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=20)
    | st.sampled_from([1e308, -1e308, 2**63, 1e-320, 1_800_000_000, 1_800_000_000_000])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner),
    max_leaves=20,
)
bodies = st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode())
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Date", "Retry-After", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Location", "X-Any"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=30)
        | st.sampled_from(["gzip", "br", "deflate", "zstd", "chunked", "0", "1e9", "-1", "nan", "Thu, 99 Foo 1 0 GMT"]),
    ),
    max_size=4,
)
PROPER = {
    JobKind.IMAGE: {"process_id": "victim", "status": "Processing"},
    JobKind.VIDEO: {"status": "processing"},
    JobKind.TRY_ON: {"job_id": "victim", "status": "running"},
}


@given(st.sampled_from(JobKind), st.integers(100, 999), headers, bodies)
@settings(max_examples=200)
def test_reading_an_answer(kind: JobKind, code: int, fields: list[tuple[str, str]], body: bytes) -> None:
    """Any status code, headers and bytes are a status of the job that was asked about, or one of our errors."""
    job = JobRef(kind, "victim")
    response = Response(code, {name.lower(): value for name, value in fields}, body)
    reported = None
    try:
        check(get_status(job), response, wall=1.8e9)
        status = decode_status(job, parse_json(response.body))
    except TopazStatusError as error:
        reported = str(error)
    if reported is None:
        seen = observe_status(status, job=job, service_now=service_time(response.headers, wall=1.8e9))
        assert seen.terminal == status.state.is_terminal
        assert status.job == job
    assert reported != ""


@given(values)
@settings(max_examples=150)
def test_reading_a_list(value: Any) -> None:
    """So is any JSON in place of a list."""
    reads: tuple[Callable[[Any], object], ...] = (
        decode_image_page,
        decode_history,
        lambda data: list(decode_list_page(JobKind.IMAGE, data)),
        lambda data: list(decode_list_page(JobKind.VIDEO, data)),
    )
    for read in reads:
        with contextlib.suppress(TopazStatusError):
            read(value)


@st.composite
def raw_answers(draw: st.DrawFn) -> bytes:
    """An answer as bytes: proper, nearly so, or nothing like one."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=100))
    body = draw(bodies)
    code = draw(st.sampled_from([200, 200, 200, 204, 206, 301, 404, 429, 500, 999]) | st.integers(0, 1200))
    length = len(body) if draw(st.booleans()) else draw(st.integers(-5, 300))
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in draw(headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@given(st.sampled_from(JobKind), st.lists(raw_answers(), min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_no_answer_touches_another_job(
    caplog: pytest.LogCaptureFixture, kind: JobKind, answers: list[bytes], sweeping: bool
) -> None:
    """Whatever is answered about one job, or in a list, the others end as they do, and nothing but our errors is raised."""

    async def scenario() -> None:
        left = list(answers)
        asked = 0

        def reply(request: Heard) -> bytes | None:
            nonlocal asked
            if "calm" in request.path:
                asked += 1
                word = {"image": "Completed", "video": "complete", "try-on": "completed"}[kind] if asked > 3 else "x"
                return http(json.dumps({"status": word}).encode())
            if left:
                return left.pop()
            if "victim" in request.path:
                return http(json.dumps(PROPER[kind]).encode())
            return http(b"[]")

        policy = PollPolicy(price=0.01) if sweeping and kind is JobKind.IMAGE else SINGLY
        async with client_of(RawServer(reply, closing=True), policy=policy, request_timeout=5.0) as client:
            others = [client.watch(JobRef(kind, f"calm-{n}")) for n in range(3)]
            victim = client.watch(JobRef(kind, "victim"), timeout=400.0)
            gets: dict[JobKind, Callable[[JobRef], Coroutine[Any, Any, JobStatus]]] = {
                JobKind.IMAGE: client.image.get, JobKind.VIDEO: client.video.get, JobKind.TRY_ON: client.try_on.get
            }  # fmt: skip
            with contextlib.suppress(TopazStatusError):
                assert (await gets[kind](victim.job)).job == victim.job
            for other in others:
                assert (await other).state is JobState.COMPLETED
            outcome = await victim.outcome()
            assert outcome.error is None or isinstance(outcome.error, TopazStatusError)
            assert outcome.status is None or outcome.status.job == victim.job

    caplog.clear()
    run_virtual(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
