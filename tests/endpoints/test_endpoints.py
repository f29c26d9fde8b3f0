"""Single calls: every documented error as its own exception, and what is tried again, when, and what never is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson
import pytest
from aioresponses import aioresponses
from harness import PIXELCUT_KEY, TOPAZ_KEY, Heard, RawServer, client_of, http, now, options, virtual

from topaz_status import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    GatewayError,
    JobRef,
    JobState,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    RateLimitedError,
    ServerError,
    ServiceError,
    StatusClient,
)

ID = "d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b"
TOPAZ, PIXELCUT = "https://api.topazlabs.com", "https://api.developer.pixelcut.ai"
IMAGE = f"{TOPAZ}/image/v1/status/{ID}"
VIDEO = f"{TOPAZ}/video/{ID}/status"
TRY_ON = f"{PIXELCUT}/v1/try-on/job/{ID}"
GOOD = {"process_id": ID, "status": "Completed", "progress": 100}


@contextlib.asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[StatusClient]:
    """A client of the public hosts, whose session is mocked."""
    async with aiohttp.ClientSession() as session, StatusClient(**options(session=session, **settings)) as client:
        yield client


def image(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


def video(message: str, code: str | None = None) -> dict[str, Any]:
    return {"message": message} | ({"errorCode": code} if code else {})


def try_on(message: str, code: str) -> dict[str, Any]:
    return {"error": message, "error_code": code}


ERRORS: list[tuple[str, int, Any, type[ServiceError], str, str | int | None]] = [
    (IMAGE, 400, image(400, "Invalid process ID."), BadRequestError, "Invalid process ID.", 400),
    (IMAGE, 401, image(401, "Unauthorized"), AuthenticationError, "Unauthorized", 401),
    (IMAGE, 403, {"message": "No access"}, PermissionDeniedError, "No access", None),
    (IMAGE, 404, image(404, "was not found."), NotFoundError, "was not found.", 404),
    (IMAGE, 409, image(409, "not ready"), ConflictError, "not ready", 409),
    (IMAGE, 429, image(429, "Too Many"), RateLimitedError, "Too Many", 429),
    (IMAGE, 500, image(500, "Oops"), ServerError, "Oops", 500),
    (VIDEO, 401, video("Unauthorized", "UNAUTHORIZED"), AuthenticationError, "Unauthorized", "UNAUTHORIZED"),
    (VIDEO, 402, video("Pay", "INSUFFICIENT_CREDITS"), PermissionDeniedError, "Pay", "INSUFFICIENT_CREDITS"),
    (VIDEO, 403, video("Forbidden", "FORBIDDEN"), PermissionDeniedError, "Forbidden", "FORBIDDEN"),
    (VIDEO, 404, video("Not Found"), NotFoundError, "Not Found", None),
    (VIDEO, 404, None, GatewayError, "Not Found", None),
    (VIDEO, 412, video("No"), ServiceError, "No", None),
    (VIDEO, 500, video("Broken", "SERVER_ERROR"), ServerError, "Broken", "SERVER_ERROR"),
    (VIDEO, 503, None, ServerError, "Service Unavailable", None),
    (TRY_ON, 401, try_on("API Token not found", "invalid_auth_token"), AuthenticationError, "API Token not found", "invalid_auth_token"),
    (TRY_ON, 403, try_on("Insufficient", "insufficient_api_credits"), PermissionDeniedError, "Insufficient", "insufficient_api_credits"),
    (TRY_ON, 404, try_on("Job not found", "not_found"), NotFoundError, "Job not found", "not_found"),
    (TRY_ON, 429, try_on("Too many requests", "rate_limit_exceeded"), RateLimitedError, "Too many requests", "rate_limit_exceeded"),
    (TRY_ON, 500, None, ServerError, "Internal Server Error", None),
    (TRY_ON, 418, b"<html>teapot</html>", GatewayError, "I'm a Teapot", None),
    *(
        (TRY_ON, 400, try_on("Bad", code), BadRequestError, "Bad", code)
        for code in (
            "invalid_request_body", "missing_parameter", "invalid_parameter", "unsupported_content_type",
            "malformed_image", "unsupported_image_format", "file_size_too_large", "resolution_too_high",
            "unknown_foreground",
        )
    ),
]  # fmt: skip


def getter(client: StatusClient, url: str) -> Callable[[str], Any]:
    """The call that asks a URL."""
    return {IMAGE: client.image.get, VIDEO: client.video.get, TRY_ON: client.try_on.get}[url]


@pytest.mark.parametrize(("url", "status", "body", "error", "message", "code"), ERRORS)
@virtual
async def test_documented_errors(  # noqa: PLR0917
    answers: aioresponses,
    url: str,
    status: int,
    body: Any,
    error: type[ServiceError],
    message: str,
    code: str | int | None,
) -> None:
    """Each error answer a service documents is its own exception, with the service's words and code."""
    sent: dict[str, Any] = {"body": body or b""} if body is None or isinstance(body, bytes) else {"payload": body}
    answers.get(url, status=status, repeat=True, **sent)
    async with opened() as client:
        with pytest.raises(error) as raised:
            await getter(client, url)(ID)
    assert type(raised.value) is error
    assert (raised.value.status_code, raised.value.message, raised.value.code) == (status, message, code)
    assert raised.value.job is not None
    assert raised.value.job.id == ID
    assert raised.value.retry_after is None
    assert message in str(raised.value)


@virtual
async def test_error_details(answers: aioresponses) -> None:
    """A video's 400 may list what is wrong; the list is kept."""
    answers.get(VIDEO, status=400, payload={"message": "Invalid", "errors": [{"path": "source"}, "x"]})
    async with opened() as client:
        with pytest.raises(BadRequestError) as raised:
            await client.video.get(ID)
    assert raised.value.details == ({"path": "source"}, "x")


@pytest.mark.parametrize("key", [TOPAZ_KEY, "k"])
@virtual
async def test_a_key_in_an_answer(answers: aioresponses, key: str) -> None:
    """A key that the service repeats is not repeated by us; one too short to be a key does not spoil the words."""
    answers.get(IMAGE, status=403, payload={"message": f"bad token: {key}"})
    async with opened(topaz_api_key=key) as client:
        with pytest.raises(PermissionDeniedError) as raised:
            await client.image.get(ID)
    assert raised.value.message == ("bad token: k" if key == "k" else "bad token: [key]")


@virtual
async def test_what_is_sent(answers: aioresponses) -> None:
    """Each request carries its service's key and nothing of the other's, and follows no redirect."""
    answers.get(IMAGE, payload=GOOD)
    answers.get(TRY_ON, payload={"job_id": ID, "status": "completed"})
    async with opened() as client:
        assert (await client.image.get(JobRef("image", ID))).progress == 100
        assert (await client.try_on.get(f"try-on:{ID}")).is_terminal
    for ((_, url), [request]), key in zip(answers.requests.items(), (TOPAZ_KEY, PIXELCUT_KEY), strict=True):
        assert request.kwargs["headers"]["X-API-Key"] == key, url
        assert not request.kwargs["allow_redirects"]


@virtual
async def test_wrong_kind(answers: aioresponses) -> None:
    """A name of another kind, or of none, is refused before anything is sent."""
    async with opened() as client:
        for call in (client.image.get, client.image.delete, client.image.download_link):
            for wrong in (JobRef("video", ID), f"try-on:{ID}", "", "..", "a b", "x" * 300):
                with pytest.raises(ConfigurationError):
                    await call(wrong)
    assert not answers.requests


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ({"payload": {"deleted_count": 7}}, 7),
        ({"payload": {"deleted_count": 0}}, 0),
        ({"payload": {}}, None),
        ({"payload": {"deleted_count": "many"}}, None),
        ({"payload": {"deleted_count": -1}}, None),
        ({"body": ""}, None),
        ({"body": "", "content_type": "text/html"}, None),
        ({"status": 204}, None),
    ],
)
@virtual
async def test_delete_all(answers: aioresponses, answer: dict[str, Any], count: int | None) -> None:
    """``delete_all`` gives the number that was deleted, ``None`` where the service does not say."""
    answers.delete(f"{TOPAZ}/image/v1/status", **answer)
    async with opened() as client:
        assert await client.image.delete_all() == count


NOT_DELETED: list[tuple[bytes, str | None]] = [
    (b"<html>Welcome to our hotel</html>", "text/html"),
    (b"<html>Welcome to our hotel</html>", None),
    (b"<html>Welcome to our hotel</html>", "application/json"),
    (b'{"deleted_count": 7}', "text/html; charset=utf-8"),
    (b"OK", "text/plain"),
    (b"done", "application/json"),
    (b'{"deleted_c', "application/json"),
    (b"[]", "application/json"),
    (b"\xff\xfe", None),
]


@pytest.mark.parametrize(("body", "kind"), NOT_DELETED)
@virtual
async def test_a_page_deletes_nothing(body: bytes, kind: str | None) -> None:
    """A 200 that is not the service's own is an error, sent once, and the watches of the jobs go on undoubting."""
    ids = [f"00000000-0000-4000-8000-{index:012}" for index in range(3)]
    deletes = 0

    def reply(request: Heard) -> bytes:
        nonlocal deletes
        if request.method == "DELETE":
            deletes += 1
            head = "" if kind is None else f"Content-Type: {kind}\r\n"
            return f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if 20 < now() < 40:
            return http(b'{"message": "no"}', "404 Not Found")
        word = "Completed" if now() > 60 else "Processing"
        return http(orjson.dumps({"process_id": request.path.rsplit("/", 1)[1], "status": word}))

    async with client_of(RawServer(reply), policy=PollPolicy(sweep=False, not_found_grace=1.0)) as client:
        watches = [client.watch(f"image:{name}") for name in ids]
        await asyncio.sleep(10)
        with pytest.raises(DecodeError):
            await client.image.delete(ids[0])
        with pytest.raises(DecodeError):
            await client.image.delete_all()
        assert deletes == 2
        assert [(await watch.outcome()).state for watch in watches] == [JobState.COMPLETED] * 3


@pytest.mark.parametrize(
    "answer",
    [
        {"payload": {"process_id": "another", "status": "Completed"}},
        {"payload": {"process_id": ID}},
        {"payload": {"process_id": ID, "status": None}},
        {"payload": []},
        {"payload": None, "body": "null"},
        {"body": ""},
        {"body": "<html></html>"},
        {"body": b"\xff\xfe"},
        {"body": b"[" * 100_000},
        {"body": '{"status": "Comp'},
        {"status": 204},
        {"status": 206, "payload": GOOD},
    ],
)
@virtual
async def test_undecodable(answers: aioresponses, answer: dict[str, Any]) -> None:
    """A 200 that is no status, or one of another job, is a ``DecodeError`` that says where it is wrong."""
    answers.get(IMAGE, repeat=True, **answer)
    async with opened() as client:
        with pytest.raises(DecodeError) as raised:
            await client.image.get(ID)
    assert raised.value.problems
    assert raised.value.job in (JobRef("image", ID), None)
