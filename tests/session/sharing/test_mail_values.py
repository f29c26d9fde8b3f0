"""Statuses and errors say in another process what they say here, and forged ones are refused."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import (
    BadRequestError,
    CertificateError,
    ClientClosedError,
    DecodeError,
    GatewayError,
    JobKind,
    JobLostError,
    JobRef,
    NotFoundError,
    ServerError,
    StoreError,
    TopazStatusError,
    TransportError,
)
from topaz_status.core.sharing.mail import LARGEST_STATUS, MOST_TEXT, BadMailError
from topaz_status.core.wire.lazy import LazyStatus, read_answer
from topaz_status.session.sharing.mail_values import read_end, write_body, write_end

JOB = JobRef(JobKind.IMAGE, "job")
VIDEO = JobRef(JobKind.VIDEO, "job")
RUNNING = b'{"process_id":"job","status":"Processing","progress":40,"odd":[1]}'
DONE = b'{"status":"complete","download":{"url":"https://files.example/x?sig=secret"}}'


def status_of(job: JobRef, body: bytes) -> LazyStatus:
    """What an answer says."""
    return read_answer(job, body, 0.0)[1]


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError(400, "no such id", code="E1", job=JOB, retry_after=3.0, details=[{"field": "id"}]),
        GatewayError(403, "<html>", job=JOB),
        ServerError(503, "busy", job=JOB),
        NotFoundError(404, "not found", job=JOB),
        TransportError("connection reset", maybe_sent=False, job=JOB),
        CertificateError("self-signed", job=JOB),
        DecodeError([("$.status", "is missing"), ("$", "is HTML")], job=JOB),
        JobLostError(JOB, None),
    ],
)
def test_an_error_is_read_as_it_was_written(error: TopazStatusError) -> None:
    """Kind, text and facts are the same in the other process."""
    text = write_end(error)
    assert text is not None
    read = read_end(JOB, None, text)
    assert (type(read), str(read)) == (type(error), str(error))
    assert getattr(read, "retry_after", None) == getattr(error, "retry_after", None)
    assert getattr(read, "maybe_sent", None) == getattr(error, "maybe_sent", None)


def test_what_concerns_one_process_alone_is_not_sent() -> None:
    """A store that failed, and a client that was closed, end no watch elsewhere."""
    assert write_end(StoreError("disk full")) is None
    assert write_end(ClientClosedError("closed")) is None
    assert write_end(None) is None


def test_a_missing_job_that_was_seen_is_lost() -> None:
    """The leader may be new and has never seen the job; the member that has knows better."""
    text = write_end(NotFoundError(404, "not found", job=JOB))
    assert text is not None
    read = read_end(JOB, status_of(JOB, RUNNING).get(), text)
    assert isinstance(read, JobLostError)


def test_a_long_error_is_cut() -> None:
    """Details that are too long for mail are left out."""
    text = write_end(BadRequestError(400, "no", details=["x" * 100] * 500))
    assert text is not None
    assert len(text) <= MOST_TEXT
    assert str(read_end(JOB, None, text)).startswith("400")


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(["TransportError", "CertificateError", "DecodeError", "JobLostError", "ServerError", "object"])
facts = st.fixed_dictionaries(
    {},
    optional={
        "type": names | anything,
        "status_code": st.integers(0, 999) | anything,
        "message": st.text(max_size=30) | anything,
        "code": anything,
        "retry_after": anything,
        "details": anything,
        "maybe_sent": st.booleans() | anything,
        "problems": anything,
    },
)


@given(st.text(max_size=60) | (facts | anything).map(lambda value: orjson.dumps(value).decode()))
def test_any_text_is_an_error_or_refused(text: str) -> None:
    """Whatever is read as an error can be shown, and asked whether it will pass."""
    try:
        error = read_end(JOB, None, text)
    except BadMailError:
        return
    assert isinstance(error, TopazStatusError)
    assert isinstance(str(error), str)
    assert error.is_transient in {True, False}


def test_a_status_goes_as_the_service_sent_it() -> None:
    """Unknown fields and links come along; without links, no URL does."""
    assert write_body(JOB, status_of(JOB, RUNNING), links=True) == RUNNING
    body = write_body(VIDEO, status_of(VIDEO, DONE), links=True)
    assert status_of(VIDEO, body).get().to_dict() == status_of(VIDEO, DONE).get().to_dict()
    assert b"://" not in write_body(VIDEO, status_of(VIDEO, DONE), links=False)


def test_a_status_that_is_too_long_goes_as_its_word() -> None:
    """A status is bounded in mail, and still says what became of the job."""
    long = orjson.dumps({"process_id": "job", "status": "Completed", "odd": "x" * LARGEST_STATUS})
    body = write_body(JOB, status_of(JOB, long), links=True)
    assert len(body) < 100
    assert status_of(JOB, body).word == "Completed"
