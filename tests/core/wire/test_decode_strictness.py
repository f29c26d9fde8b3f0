"""What no tolerance covers: a body without a usable status, about another job, or of no known form."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from documented_bodies import (
    IMAGE,
    IMAGE_ID,
    IMAGE_JOB,
    RECORD,
    SIGNED,
    TRY_ON,
    TRY_ON_JOB,
    VIDEO,
    VIDEO_JOB,
    anything,
    drifted,
)
from hypothesis import example, given
from hypothesis import strategies as st

from topaz_status.core.wire import decode
from topaz_status.core.wire.decode import decode_image, decode_status, decode_try_on, decode_video
from topaz_status.errors import ConfigurationError, DecodeError
from topaz_status.models import ImageStatus, JobKind, JobRef, TryOnStatus, VideoStatus

JOBS = [IMAGE_JOB, VIDEO_JOB, TRY_ON_JOB]
BODIES: dict[JobKind, dict[str, Any]] = {JobKind.IMAGE: IMAGE, JobKind.VIDEO: VIDEO, JobKind.TRY_ON: TRY_ON}
ID_KEYS = {JobKind.IMAGE: "process_id", JobKind.VIDEO: "requestId", JobKind.TRY_ON: "job_id"}


def problems(call: Callable[[], object]) -> tuple[tuple[str, str], ...]:
    with pytest.raises(DecodeError) as caught:
        call()
    return caught.value.problems


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_dispatch_by_kind(job: JobRef) -> None:
    """A status is read by the rules of its job's own service, and is about that job."""
    status = decode_status(job, BODIES[job.kind])
    assert isinstance(status, {"image": ImageStatus, "video": VideoStatus, "try-on": TryOnStatus}[job.kind])
    assert status.job == job


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize(
    ("status", "what"),
    [
        (None, "is null"),
        ("", "is blank"),
        (" \n", "is blank"),
        (5, "is a number"),
        (True, "is true or false"),
        ([], "is an array"),
        ({"state": "Completed"}, "is an object"),
    ],
)
def test_unusable_status_is_an_error(job: JobRef, status: object, what: str) -> None:
    """A status that is null, blank or no text is neither success nor failure: the answer is undecodable."""
    body = {**BODIES[job.kind], "status": status}
    assert problems(lambda: decode_status(job, body)) == (("status", what),)


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_missing_status_is_an_error(job: JobRef) -> None:
    """A body without a status says nothing of the job."""
    body = {key: value for key, value in BODIES[job.kind].items() if key != "status"}
    assert problems(lambda: decode_status(job, body)) == (("status", "is missing"),)


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize(
    ("body", "what"),
    [
        (None, "is null, not an object"),
        ([], "is an array, not an object"),
        ("Completed", "is unusable text, not an object"),
        (3, "is a number, not an object"),
        (object(), "is no JSON value, not an object"),
    ],
)
def test_body_that_is_no_object(job: JobRef, body: object, what: str) -> None:
    """A status is an object; anything else is a problem at ``$``, the body as a whole."""
    assert problems(lambda: decode_status(job, body)) == (("$", what),)


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_another_jobs_answer_is_an_error(job: JobRef) -> None:
    """A 200 that names another id is not about this job, and ends nothing."""
    key = ID_KEYS[job.kind]
    body = {**BODIES[job.kind], key: "another"}
    assert problems(lambda: decode_status(job, body)) == ((key, "names another job"),)


def test_a_record_of_another_video_is_an_error() -> None:
    """A video status has no id; one that has, as records do, must be about the job."""
    assert problems(lambda: decode_video({**VIDEO, "id": "x"}, VIDEO_JOB)) == (("id", "names another job"),)
    assert problems(lambda: decode_video({"requestId": "x", "id": "y"}, VIDEO_JOB)) == (
        ("id", "names another job"),
        ("requestId", "names another job"),
        ("status", "is missing"),
    )
    assert decode_video({**VIDEO, "id": ""}, VIDEO_JOB).job == VIDEO_JOB
    assert decode_video({**VIDEO, "id": VIDEO_JOB.id.upper()}, VIDEO_JOB).extra == {"id": VIDEO_JOB.id.upper()}
    assert decode_video({**VIDEO, "id": 7}, VIDEO_JOB).extra == {"id": 7}


def test_each_path_is_named() -> None:
    """One error names every problem of the body."""
    assert problems(lambda: decode_image({})) == (("process_id", "is missing"), ("status", "is missing"))
    assert problems(lambda: decode_image({"process_id": "x", "status": 1}, IMAGE_JOB)) == (
        ("process_id", "names another job"),
        ("status", "is a number"),
    )


@pytest.mark.parametrize("job", [IMAGE_JOB, TRY_ON_JOB], ids=str)
@pytest.mark.parametrize("named", [None, "", ...])
def test_an_id_that_is_not_there_is_the_one_asked_for(job: JobRef, named: object) -> None:
    """An answer without an id is about the requested job; the body still round-trips."""
    key = ID_KEYS[job.kind]
    body = {name: value for name, value in {**BODIES[job.kind], key: named}.items() if value is not ...}
    status = decode_status(job, body)
    assert status.job == job
    assert status.to_dict() == body


@pytest.mark.parametrize("job", [IMAGE_JOB, TRY_ON_JOB], ids=str)
def test_case_of_an_id_does_not_matter(job: JobRef) -> None:
    """UUIDs are the same in any case; the job has the requested spelling, the body its own."""
    body = {**BODIES[job.kind], ID_KEYS[job.kind]: job.id.upper()}
    status = decode_status(job, body)
    assert status.job == job
    assert status.to_dict() == body


@pytest.mark.parametrize("job", [IMAGE_JOB, TRY_ON_JOB], ids=str)
@pytest.mark.parametrize(("named", "what"), [(5, "is a number"), ([], "is an array"), (False, "is true or false")])
def test_an_id_that_is_no_text_is_an_error(job: JobRef, named: object, what: str) -> None:
    """An id of another type cannot be compared."""
    body = {**BODIES[job.kind], ID_KEYS[job.kind]: named}
    assert problems(lambda: decode_status(job, body)) == ((ID_KEYS[job.kind], what),)


@example("a" * 256)
@example("a" * 257)
@example("..")
@example("a b")
@given(st.text(max_size=4))
def test_an_image_has_an_id_that_a_job_can_have(named: str) -> None:
    """In a list an id is taken exactly when :class:`JobRef` takes it, so that ``.job`` never raises."""
    try:
        job = JobRef(JobKind.IMAGE, named)
    except ConfigurationError:
        assert problems(lambda: decode_image({**IMAGE, "process_id": named}))[0][0] == "process_id"
    else:
        assert decode_image({**IMAGE, "process_id": named}).job == job


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_the_error_names_the_job_and_no_content(job: JobRef) -> None:
    """The error says about which job it is, quotes nothing of the body, and pickles."""
    body = {**BODIES[job.kind], "status": {SIGNED: SIGNED}, ID_KEYS[job.kind]: "secret-other"}
    with pytest.raises(DecodeError) as caught:
        decode_status(job, body)
    assert caught.value.job == job
    assert str(caught.value).startswith(f"undecodable answer for {job}: ")
    assert "://" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301  # our own bytes


def _calls(data: object) -> list[Callable[[], object]]:
    return [
        *[lambda job=job: decode_status(job, data) for job in JOBS],
        lambda: decode_image(data),
        lambda: decode.decode_image_list(data),
        lambda: decode.decode_image_page(data),
        lambda: decode.decode_image_page(data, lenient=True),
        lambda: decode.decode_history(data),
        lambda: decode.decode_history(data, lenient=True),
        lambda: decode.decode_download(data),
        lambda: decode.decode_deleted_count(data),
    ]


def _used(result: object) -> None:
    """Read every property of a status."""
    if isinstance(result, ImageStatus | VideoStatus | TryOnStatus):
        assert result.job in JOBS or isinstance(result, ImageStatus)
        assert result.is_terminal is result.state.is_terminal
        assert result.progress is None or 0 <= result.progress <= 100
        assert result.reason is None or result.reason
        assert result.result_url is None or result.result_url
        assert repr(result)
        assert isinstance(result.to_dict(), dict)


_near = st.one_of(
    anything,
    drifted(IMAGE),
    drifted(VIDEO),
    drifted(TRY_ON),
    drifted(RECORD),
    st.lists(drifted(IMAGE, RECORD), max_size=3),
    st.fixed_dictionaries({}, optional={"data": st.lists(drifted(IMAGE)), "pagination": anything}),
    st.fixed_dictionaries({}, optional={"result": st.lists(drifted(RECORD)), "nextCursor": anything}),
    st.fixed_dictionaries({}, optional={"download_url": anything, "expiry": anything, "deleted_count": anything}),
)


@given(_near)
def test_nothing_but_a_decode_error_leaves(data: object) -> None:
    """Any body gives a usable model or a :class:`DecodeError`."""
    for call in _calls(data):
        with contextlib.suppress(DecodeError):
            _used(call())


def test_bottomless_data_is_no_trouble() -> None:
    """Values nested far beyond the interpreter's recursion limit are stored, never descended into."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for name in IMAGE:
        for call in _calls({**IMAGE, "id": IMAGE_ID, name: deep, "new": deep}):
            with contextlib.suppress(DecodeError):
                call()


def test_try_on_needs_an_object() -> None:
    """An error as a string does not make another value a status."""
    assert problems(lambda: decode_try_on({"error": "x", "error_code": "job_expired"}, TRY_ON_JOB)) == (
        ("status", "is missing"),
    )
