"""Requests as the vendors document them, and every error answer as its own exception."""

from __future__ import annotations

import json
import pickle
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.wire import requests
from topaz_status.core.wire.requests import Request
from topaz_status.core.wire.responses import Response, check, retry_after, service_time
from topaz_status.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    GatewayError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceError,
    TopazStatusError,
)
from topaz_status.models.job import JobKind, JobRef

WALL = 1_800_000_000.0
IMAGE = JobRef(JobKind.IMAGE, "d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b")
ASK = requests.get_status(IMAGE)


def answer(status: int, body: object = b"", headers: dict[str, str] | None = None) -> Response:
    """An answer; anything but bytes is sent as JSON."""
    return Response(status, headers or {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def refusal(response: Response, request: Request = ASK) -> ServiceError:
    """The error that an answer becomes."""
    with pytest.raises(ServiceError) as caught:
        check(request, response, wall=WALL)
    return caught.value


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("image:a-1", "/image/v1/status/a-1"),
        ("video:a-1", "/video/a-1/status"),
        ("try-on:a-1", "/v1/try-on/job/a-1"),
        ("video:../status", "/video/..%2Fstatus/status"),
        ("try-on:a?b#c%2F", "/v1/try-on/job/a%3Fb%23c%252F"),
        ("image:é", "/image/v1/status/%C3%A9"),
    ],
)
def test_each_kind_has_its_path_and_no_id_leaves_it(job: str, path: str) -> None:
    """An id is percent-encoded whole: it can be no other endpoint's path, query or fragment."""
    request = requests.get_status(JobRef.parse(job))
    assert (request.method, request.path) == ("GET", path)


def test_pages_name_limit_and_cursor() -> None:
    """The list is always asked for in pages, and a cursor is a parameter like any other."""
    assert requests.image_page(None, 100).path == "/image/v1/status?paginated=true&limit=100"
    assert requests.image_page("a=&b", 1).path == "/image/v1/status?paginated=true&limit=1&cursor=a%3D%26b"
    assert requests.video_history(None).path == "/video/history"
    assert requests.video_history("x/y").path == "/video/history?cursor=x%2Fy"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (429, RateLimitedError),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (599, ServerError),
        (301, ServiceError),
        (412, ServiceError),
        (418, ServiceError),
    ],
)
def test_each_error_answer_is_its_own_exception(status: int, kind: type[ServiceError]) -> None:
    """A 3xx, 429 and 5xx need no body, any other 4xx one in the service's own words."""
    error = refusal(answer(status, {"message": "no"}))
    assert type(error) is kind
    assert (error.status_code, error.job, error.code) == (status, IMAGE, None)
    assert str(status) in str(error)


VIDEO, TRY_ON = JobRef(JobKind.VIDEO, "v"), JobRef(JobKind.TRY_ON, "t")
OWN: list[tuple[JobRef, object]] = [
    (IMAGE, {"message": "no"}),
    (IMAGE, {"code": 404, "message": "no"}),
    (IMAGE, {"code": None, "message": "no", "request_id": "r"}),
    (VIDEO, {"message": "no"}),
    (VIDEO, {"message": "no", "errorCode": "INVALID_INPUT", "errors": []}),
    (VIDEO, {"message": "no", "errorCode": None}),
    (TRY_ON, {"error": "no", "error_code": "not_found"}),
]
NOBODYS: tuple[object, ...] = (b"", b"<html>", b"no", b"\xff", b"[]", b"7", {}, "no")
NOT_OWN: list[tuple[JobRef, object]] = [
    *((job, body) for job in (IMAGE, VIDEO, TRY_ON) for body in NOBODYS),
    *((job, [body]) for job, body in OWN),
    *((job, body | {name: 404}) for job, body in OWN if isinstance(body, dict) for name in ("status", "path")),
    (IMAGE, {"message": ""}),
    (IMAGE, {"message": ["no"]}),
    (IMAGE, {"error": "no"}),
    (IMAGE, {"code": 5, "message": "Not Found", "details": []}),
    (IMAGE, {"code": "404", "message": "no"}),
    (VIDEO, {"error": "no", "error_code": "not_found"}),
    (VIDEO, {"message": "no", "errorCode": 404}),
    (TRY_ON, {"message": "no"}),
    (TRY_ON, {"error": "no"}),
    (TRY_ON, {"error": {"message": "no", "error_code": "not_found"}, "error_code": "not_found"}),
]
JSON_TYPES = ("application/json", "Application/JSON; charset=utf-8", "application/problem+json", "")


@pytest.mark.parametrize(("job", "body"), OWN)
def test_a_4xx_in_documented_words_is_the_services_own(job: JobRef, body: object) -> None:
    """With a type that is JSON, or none; a type that is anything else disqualifies it."""
    for kind in (None, *JSON_TYPES):
        headers = {} if kind is None else {"content-type": kind}
        assert type(refusal(answer(404, body, headers), requests.get_status(job))) is NotFoundError
    for kind in ("text/html", "text/plain; charset=utf-8", "application/xml", "nonsense"):
        assert type(refusal(answer(404, body, {"content-type": kind}), requests.get_status(job))) is GatewayError


@pytest.mark.parametrize(("job", "body"), NOT_OWN)
def test_any_other_4xx_is_a_gateways(job: JobRef, body: object) -> None:
    """It may pass, whatever its code, and says so; what passes by its code is what it always was."""
    for status in (400, 401, 402, 403, 404, 409, 410, 412, 418, 451):
        error = refusal(answer(status, body), requests.get_status(job))
        assert type(error) is GatewayError
        assert (error.status_code, error.is_transient, error.job) == (status, True, job)
        assert str(error).startswith(f"{status} for {job}: ")
        assert "proxy" in str(error)
        assert type(pickle.loads(pickle.dumps(error))) is GatewayError  # noqa: S301
    for status, kind in ((302, ServiceError), (408, ServiceError), (425, ServiceError), (429, RateLimitedError)):
        assert type(refusal(answer(status, body), requests.get_status(job))) is kind
    assert type(refusal(answer(511, body), requests.get_status(job))) is ServerError


FOREIGN_HEADERS = [
    {"x-amzn-errortype": "ForbiddenException"},
    {"x-amzn-waf-action": "captcha"},
    {"x-kong-response-latency": "0"},
    {"cf-mitigated": "challenge"},
    {"server": "kong/3.6.1"},
    {"server": "awselb/2.0"},
    {"server": "CloudFront"},
]
FOREIGN_BODIES: list[object] = [
    {"message": "Missing Authentication Token"},
    {"message": "User is not authorized to access this resource with an explicit deny in an identity-based policy"},
    {"message": "Unauthorized", "request_id": "a3f"},
    {"message": "no Route matched with those values"},
    {"message": "Invalid Credentials", "description": "Make sure you have the right key"},
    {"__type": "AccessDeniedException", "message": "denied"},
]
HARMLESS = [
    {"server": "cloudflare"},
    {"server": "envoy"},
    {"server": "nginx"},
    {"x-amz-apigw-id": "a"},
    {"via": "kong"},
]


@pytest.mark.parametrize("headers", FOREIGN_HEADERS)
def test_a_gateway_is_known_by_its_headers(headers: dict[str, str]) -> None:
    """Its headers identify it, whatever fields its answer has; headers that a service's answers share prove nothing."""
    for job, body in OWN:
        for status in (400, 401, 402, 403, 404, 412):
            assert type(refusal(answer(status, body, headers), requests.get_status(job))) is GatewayError
        for harmless in HARMLESS:
            assert type(refusal(answer(404, body, harmless), requests.get_status(job))) is NotFoundError


@pytest.mark.parametrize("body", FOREIGN_BODIES)
def test_a_gateway_is_known_by_its_words(body: object) -> None:
    """Messages and fields that no service has identify it; an unknown field is no such sign."""
    for job in (IMAGE, VIDEO):
        assert type(refusal(answer(403, body), requests.get_status(job))) is GatewayError
        assert (
            type(refusal(answer(403, {"message": "no", "trace_id": "a"}), requests.get_status(job)))
            is PermissionDeniedError
        )


def test_407_is_a_proxys() -> None:
    """RFC 9110 §15.5.8 defines it so, whatever the body says."""
    assert type(refusal(answer(407, {"message": "no"}))) is GatewayError


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"code": 400, "message": "Invalid process ID."}, "Invalid process ID.", 400),
        ({"message": "Unauthorized", "errorCode": "UNAUTHORIZED"}, "Unauthorized", "UNAUTHORIZED"),
        (
            {"error": "File size too large", "error_code": "file_size_too_large"},
            "File size too large",
            "file_size_too_large",
        ),
        ({"message": ""}, "Bad Request", None),
        ({"message": 7, "code": True}, "Bad Request", None),
        (["no", "object"], "Bad Request", None),
        (b"<html>Bad gateway</html>", "Bad Request", None),
        (b"\xff\xfe", "Bad Request", None),
        (b"[" * 100_000, "Bad Request", None),
    ],
)
def test_message_and_code_are_read_in_every_services_shape_or_none(body: object, message: str, code: object) -> None:
    """Image, Video and Pixelcut name them differently; garbage leaves the standard phrase."""
    error = refusal(answer(400, body))
    assert (error.message, error.code) == (message, code)


def test_the_video_services_list_of_errors_stays() -> None:
    """A 400 may say which field is wrong."""
    details = [{"type": "field", "path": "source.container", "msg": "must be mp4"}]
    assert refusal(answer(400, {"message": "Invalid input", "errors": details})).details == tuple(details)


def test_messages_are_short_one_line_and_hold_no_signed_query() -> None:
    """A service's message may be shown anywhere, so nothing in it may do harm."""
    text = "line\none \x1b[31m see https://s3.example/x.mp4?X-Amz-Signature=abc#frag " + "x" * 9999
    message = refusal(answer(500, {"message": text})).message
    assert message.startswith("line one [31m see https://s3.example/x.mp4?… x")
    assert "Signature" not in message
    assert len(message) <= 501


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("86400", 300.0),
        (formatdate(WALL + 30, usegmt=True), 30.0),
        (formatdate(WALL - 30, usegmt=True), 0.0),
        (formatdate(WALL + 1e6, usegmt=True), 300.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Thu, 99 Foo 20261 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_bounded_and_garbage_is_ignored(given: str, seconds: float | None) -> None:
    """RFC 9110 §10.2.3 allows both forms; an unusable value counts as missing."""
    error = refusal(answer(429, headers={"retry-after": given, "date": formatdate(WALL, usegmt=True)}))
    assert error.retry_after == seconds


def test_a_retry_date_is_read_against_the_services_own_clock() -> None:
    """Clocks an hour apart do not turn ten seconds into an hour."""
    theirs = WALL + 3600
    headers = {"retry-after": formatdate(theirs + 10, usegmt=True), "date": formatdate(theirs, usegmt=True)}
    assert retry_after(headers, wall=WALL) == 10.0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Foo 20261 00:00:00 GMT"])
def test_without_a_readable_date_our_own_clock_serves(date: str | None) -> None:
    """The ``Date`` header helps, but is not required."""
    assert service_time({} if date is None else {"date": date}, wall=WALL) == WALL


def test_a_200_passes_and_a_204_only_for_a_delete() -> None:
    """An empty answer to a GET is no usable answer."""
    check(ASK, answer(200), wall=WALL)
    check(requests.delete_image(IMAGE), answer(204), wall=WALL)
    for status in (201, 202, 204, 206):
        with pytest.raises(DecodeError, match=f"answered {status}"):
            check(ASK, answer(status), wall=WALL)


@given(
    st.integers(100, 999),
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["message", "error", "code", "errorCode", "error_code", "errors", "x"]), inner
            )
            | st.lists(inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()),
)
def test_no_answer_raises_anything_outside_the_tree(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Any status, bytes and headers are accepted or become one of our errors, which can be shown."""
    text = ""
    try:
        check(ASK, Response(status, headers, body), wall=WALL)
    except TopazStatusError as error:
        text = str(error)
    assert bool(text) is (status != 200)
