"""What ends a watch, decided from literal times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from topaz_status.core.health.ending import GONE_TWICE_APART, FailureRecord, KeyTrust, failure, is_final, proves_key
from topaz_status.core.health.wave import Wave
from topaz_status.core.policy import PollPolicy
from topaz_status.core.wire.decode import decode_image, decode_try_on
from topaz_status.core.wire.requests import get_status
from topaz_status.core.wire.responses import Response, check
from topaz_status.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    GatewayError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceError,
    TopazStatusError,
    TransportError,
)
from topaz_status.models import JobKind, JobRef

JOB, OTHER = JobRef(JobKind.IMAGE, "a"), JobRef(JobKind.IMAGE, "b")
POLICY = PollPolicy(not_found_grace=10.0, give_up_after=600.0)
SEEN = decode_image({"process_id": "a", "status": "Processing"}, JOB)


def fail(case: FailureRecord, error: TopazStatusError, at: float, *, seen: bool = True) -> TopazStatusError | None:
    """A poll that was sent 0.1 s before ``at`` failed."""
    return case.failed(error, POLICY, last=SEEN if seen else None, sent_at=at - 0.1, now=at)


def missing() -> NotFoundError:
    return NotFoundError(404, job=JOB)


def test_a_404_within_the_grace_means_nothing() -> None:
    """A record that is not written yet does not count, however often it is missed."""
    case = FailureRecord(100.0)
    assert [fail(case, missing(), at, seen=False) for at in (100.2, 102.0, 105.0, 109.9)] == [None] * 4


def test_two_404s_a_second_apart_after_the_grace_end_it() -> None:
    """A job that was never seen is not found; one that was seen before is lost."""
    for seen, kind in ((False, NotFoundError), (True, JobLostError)):
        case = FailureRecord(0.0)
        assert fail(case, missing(), 11.0, seen=seen) is None
        assert fail(case, missing(), 11.9, seen=seen) is None
        assert type(fail(case, missing(), 12.0, seen=seen)) is kind


def test_a_fault_between_two_404s_does_not_take_the_first_back() -> None:
    """A 500 says nothing about the record."""
    case = FailureRecord(0.0)
    assert fail(case, missing(), 20.0) is None
    assert fail(case, ServerError(500), 25.0) is None
    assert isinstance(fail(case, missing(), 31.0), JobLostError)


@pytest.mark.parametrize(
    "error", [BadRequestError(400), PermissionDeniedError(402), PermissionDeniedError(403), ServiceError(412)]
)
def test_what_never_heals_ends_it_at_once(error: ServiceError) -> None:
    """Another poll would get the same answer."""
    assert fail(FailureRecord(0.0), error, 1.0) is error


@pytest.mark.parametrize(
    "error",
    [
        TransportError("reset"),
        ServerError(503),
        RateLimitedError(429),
        ServiceError(408),
        ServiceError(425),
        ServiceError(302),
    ],
)
def test_a_passing_fault_ends_it_only_after_the_time_to_give_up(error: TopazStatusError) -> None:
    """The watch ends after ten minutes of polls without a usable answer, with the error of the last poll."""
    case = FailureRecord(0.0)
    for at in range(0, 600, 30):
        assert fail(case, error, float(at)) is None
        case.retry_at = at + 30.0
    assert fail(case, error, 600.0) is error


def test_time_in_which_no_poll_could_be_sent_does_not_count() -> None:
    """A hold of an hour, or a starved budget, is not the service's silence."""
    case = FailureRecord(0.0)
    for round_ in range(15):
        assert fail(case, ServerError(503), round_ * 3600.0) is None
        case.retry_at = round_ * 3600.0 + 30.0


def test_a_second_401_about_another_job_confirms_the_first() -> None:
    """One job's 401 is a suspicion."""
    trust = KeyTrust()
    assert not trust.refused(JOB, 0.0, alone=False)
    assert not trust.refused(JOB, 5.0, alone=False)
    assert trust.refused(OTHER, 5.1, alone=False)
    assert not trust.refused(OTHER, 6.0, alone=False)


def test_where_one_job_is_watched_its_own_second_401_must_do() -> None:
    """With no other job to poll, a second poll a second later confirms it."""
    trust = KeyTrust()
    assert not trust.refused(JOB, 0.0, alone=True)
    assert not trust.refused(JOB, 0.9, alone=True)
    assert trust.refused(JOB, 1.0, alone=True)


def test_any_answer_that_needs_the_key_clears_it() -> None:
    """A job that is shown, or refused by name, was polled with a good key."""
    trust = KeyTrust()
    trust.refused(JOB, 0.0, alone=False)
    trust.accepted()
    assert not trust.refused(OTHER, 1.0, alone=False)
    assert all(map(proves_key, (NotFoundError(404), PermissionDeniedError(403))))
    assert not any(map(proves_key, (ServerError(500), RateLimitedError(429), ServiceError(301), TransportError("x"))))


def test_each_terminal_state_raises_its_own_exception() -> None:
    """Completed raises nothing; the others carry the status and the service's reason."""
    job = JobRef(JobKind.TRY_ON, "t")

    def ended(code: str | None) -> TopazStatusError | None:
        body = {"status": "failed", "error": {"message": "no", "error_code": code}}
        return failure(decode_try_on(body, job))

    assert failure(decode_image({"process_id": "a", "status": "Completed"}, JOB)) is None
    assert type(failure(decode_image({"process_id": "a", "status": "Cancelled"}, JOB))) is JobCanceledError
    assert type(ended("job_cancelled")) is JobCanceledError
    assert type(ended("job_expired")) is JobExpiredError
    error = ended("content_filter_error")
    assert type(error) is JobFailedError
    assert str(error) == "try-on:t failed: no [content_filter_error]"


def test_an_old_suspicion_is_none() -> None:
    """A 401 of this morning and one of tonight do not confirm each other: the second is a new suspicion."""
    trust = KeyTrust()
    trust.refused(JOB, 0.0, alone=False)
    assert not trust.refused(OTHER, 301.0, alone=False)
    assert trust.refused(JOB, 301.2, alone=False)


def test_trouble_that_passes_while_a_poll_hangs_ends_nothing() -> None:
    """A watch is given up by a poll that was sent after ten minutes of trouble, not by one that hung until then."""
    case = FailureRecord(0.0)
    assert fail(case, ServerError(500), 0.0) is None
    case.retry_at = 590.0
    hung = case.failed(TransportError("slow"), POLICY, last=None, sent_at=590.0, now=620.0)
    assert hung is None
    case.retry_at = 620.0
    assert case.left(POLICY) < 0.0
    error = ServerError(500)
    assert case.failed(error, POLICY, last=None, sent_at=620.0, now=620.1) is error


def test_time_for_which_a_poll_was_withheld_counts_as_far_as_it_was_trouble() -> None:
    """The failures of other polls of the service stand for polls that were not sent."""
    case = FailureRecord(0.0)
    assert fail(case, ServerError(503), 0.0) is None
    case.retry_at = 1.0
    error = ServerError(503)
    assert case.failed(error, POLICY, last=None, sent_at=700.0, now=700.1, withheld=500.0) is None
    case.retry_at = 701.0
    assert case.failed(error, POLICY, last=None, sent_at=900.0, now=900.1, withheld=98.0) is error


def own(status: int, body: dict[str, Any] | None = None) -> TopazStatusError:
    """What the image service itself answers."""
    return refused(status, json.dumps(body or {"code": status, "message": "no"}).encode())


def refused(status: int, body: bytes = b"") -> TopazStatusError:
    """The error that an answer about the job becomes."""
    with pytest.raises(TopazStatusError) as caught:
        check(get_status(JOB), Response(status, {}, body), wall=0.0)
    return caught.value


PATIENCE = 600.0
ROWS: list[tuple[str, list[TopazStatusError], type[TopazStatusError], float, bool]] = [
    *((f"own {code}", [own(code)], kind, 0.0, True) for code, kind in (
        (400, BadRequestError), (402, PermissionDeniedError), (403, PermissionDeniedError), (412, ServiceError),
    )),
    ("own 404", [own(404)], JobLostError, GONE_TWICE_APART, True),
    ("own 404, then faults", [own(404), TransportError("reset")], TransportError, PATIENCE, False),
    ("own 404, then a gateway's", [own(404), refused(404, b"<html>")], GatewayError, PATIENCE, False),
    *((f"own {code}", [own(code)], kind, PATIENCE, False) for code, kind in (
        (401, AuthenticationError), (409, ConflictError), (405, ServiceError), (418, ServiceError),
    )),
    *(
        (f"{code} with {body!r}", [refused(code, body)], GatewayError, PATIENCE, False)
        for code in (400, 401, 402, 403, 404, 407, 409, 412, 418)
        for body in (b"", b"<html>no</html>", b"404 page not found", b"[]", b'{"error": "no"}')
    ),
    *(
        (f"{code} with {body!r}", [refused(code, body)], kind, PATIENCE, False)
        for code, kind in (
            (302, ServiceError), (408, ServiceError), (425, ServiceError), (429, RateLimitedError), (500, ServerError),
            (503, ServerError), (511, ServerError),
        )
        for body in (b"", b"<html>no</html>", b'{"message": "no"}')
    ),
    ("no answer", [TransportError("reset")], TransportError, PATIENCE, False),
    ("an undecodable 200", [DecodeError([("$", "is no JSON")])], DecodeError, PATIENCE, False),
]  # fmt: skip


@pytest.mark.parametrize(("met", "kind", "after", "final"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_table(met: list[TopazStatusError], kind: type[TopazStatusError], after: float, *, final: bool) -> None:
    """Each row has the answers to polls a second apart, the last one repeated, and what ends the watch and when."""
    case, began = FailureRecord(0.0), 1000.0
    for second in range(2000):
        at = began + second
        case.retry_at = at
        error = case.failed(met[min(second, len(met) - 1)], POLICY, last=SEEN, sent_at=at, now=at, wave=Wave())
        if error is not None:
            break
    assert type(error) is kind
    assert second == after
    assert is_final(SEEN, error) is final


def test_404s_of_a_wave_end_the_wait_alone() -> None:
    """The job is not reported as lost; after ``give_up_after`` the watch ends with what is known."""
    wave = Wave()
    for number in range(5):
        wave.missed(JobRef(JobKind.IMAGE, f"other-{number}"), 999.0)
    for in_company in (True, False):
        case = FailureRecord(0.0)
        for second in range(2000):
            at = case.retry_at = 1000.0 + second
            wave.missed(JOB, at)
            error = case.failed(missing(), POLICY, last=SEEN, sent_at=at, now=at, wave=wave, in_company=in_company)
            if error is not None:
                break
        assert type(error) is TransportError
        assert (second, is_final(SEEN, error), error.job) == (PATIENCE, False, JOB)


def test_a_record_deleted_through_this_client_is_missing_for_sure() -> None:
    """No other job has to confirm it, and none speaks against it."""
    wave, case = Wave(), FailureRecord(0.0, is_deleted=True)
    for number in range(5):
        wave.missed(JobRef(JobKind.IMAGE, f"other-{number}"), 999.0)
    ends = [
        case.failed(missing(), POLICY, last=SEEN, sent_at=at, now=at, wave=wave, in_company=True)
        for at in (1000.0, 1001.0)
    ]
    assert ends[0] is None
    assert type(ends[1]) is JobLostError


@pytest.mark.parametrize("status", [400, 402, 403, 412])
def test_refusals_of_a_wave_end_the_wait_alone(status: int) -> None:
    """Where other jobs are refused as well, the watch goes on for ``give_up_after``; alone it ends at once."""
    refusal = wire_error(status)
    wave, case = Wave(), FailureRecord(0.0)
    wave.missed(JOB, 999.0)
    assert case.failed(refusal, POLICY, last=SEEN, sent_at=1000.0, now=1000.0, wave=wave) is refusal
    for number in range(5):
        wave.missed(JobRef(JobKind.IMAGE, f"other-{number}"), 999.0)
    case = FailureRecord(0.0)
    for second in range(2000):
        at = case.retry_at = 1000.0 + second
        wave.missed(JOB, at)
        error = case.failed(refusal, POLICY, last=SEEN, sent_at=at, now=at, wave=wave)
        if error is not None:
            break
    assert (type(error), second, is_final(SEEN, error)) == (TransportError, PATIENCE, False)
    assert f"answered {status}" in str(error)


def wire_error(status: int) -> ServiceError:
    """The error that the service's own answer with this code becomes."""
    with pytest.raises(ServiceError) as caught:
        check(get_status(JOB), Response(status, {}, b'{"message": "no"}'), wall=0.0)
    return caught.value
