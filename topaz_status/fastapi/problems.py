"""Answers errors with problem details (RFC 9457), as ``application/problem+json``. They never contain a secret.

=========================================  ======  =====================================================
error                                      status  why
=========================================  ======  =====================================================
``BadRequestError``                        400     the service finds the id malformed
``NotFoundError``                          404     the service knows no such job
``ConflictError``                          409     the job's state does not allow it
``JobFailedError``, ``…Canceled``,         409     the job ended without a result; ``state`` says how
``…Expired``, ``ResultUnavailableError``
``JobLostError``                           410     its record was deleted
``RateLimitedError``                       429     the service has too many requests; ``Retry-After``
``GatewayError``                           502     something in front of the service answered for it
``CertificateError``                       502     the service's or this server's is not trusted
other ``TransportError``                   502     this server got no answer from the service
other ``ServiceError``, ``DecodeError``    502     the service is in trouble, or refuses this server's key
``WatchTimeoutError``                      504     the watch's timeout ran out
``ClientClosedError``, ``WatchCanceled…``  503     this server is about to end; ``Retry-After``
``StoreError``                             503     the store cannot be written to
``CoordinatorError``                       503     the server that the processes share cannot be reached
``ConfigurationError``                     500     this server is set up wrongly; details are in its log
=========================================  ======  =====================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.requests import HTTPConnection, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.websockets import WebSocket, WebSocketState

from ..errors import (
    BadRequestError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    CoordinatorError,
    DecodeError,
    GatewayError,
    JobError,
    JobLostError,
    NotFoundError,
    RateLimitedError,
    ResultTooLargeError,
    ResultUnavailableError,
    ServiceError,
    StoreError,
    TopazStatusError,
    TransportError,
    WatchCanceledError,
    WatchTimeoutError,
)
from ..models.redact import without_urls
from .operators import is_leaving, log_for_operator

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 1
"""Seconds after which a client should try again if the error names no time of its own."""
INTERNAL_ERROR: Final = 1011
"""The code that closes a WebSocket after an error of the server (RFC 6455 §7.4.1)."""
TRY_AGAIN_LATER: Final = 1013
"""The code that closes a WebSocket whose client should try again later (IANA registry of WebSocket codes)."""

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:topaz-status:not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "job": {"type": "string"},
        "state": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
"""A problem of RFC 9457 with more members: the job, its state, and what is wrong with each part of a request."""

_STATUS: Final[tuple[tuple[type[TopazStatusError], int, str], ...]] = (
    (BadRequestError, 400, "bad-request"),
    (NotFoundError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (RateLimitedError, 429, "rate-limited"),
    (GatewayError, 502, "gateway-answer"),
    (ServiceError, 502, "service-error"),
    (CertificateError, 502, "untrusted-certificate"),
    (TransportError, 502, "no-answer"),
    (DecodeError, 502, "undecodable-answer"),
    (JobLostError, 410, "job-lost"),
    (ResultUnavailableError, 409, "no-result"),
    (ResultTooLargeError, 409, "result-too-large"),
    (JobError, 409, "job-ended-without-result"),
    (WatchTimeoutError, 504, "timeout"),
    (ClientClosedError, 503, "going-away"),
    (WatchCanceledError, 503, "watch-canceled"),
    (StoreError, 503, "store-unavailable"),
    (CoordinatorError, 503, "coordinator-unavailable"),
    (ConfigurationError, 500, "misconfigured"),
    (TopazStatusError, 500, "internal"),
)
_PUBLIC_TEXTS: Final[Mapping[type[TopazStatusError], str]] = {
    ConfigurationError: "this server cannot do that",
    TransportError: "this server got no answer from the service",
    StoreError: "this server cannot keep watches at the moment",
    CoordinatorError: "this server cannot join the others at the moment",
    GatewayError: "something in front of the service answered instead of it",
}
"""Texts for web clients in place of an error's own text, which may name proxies, files and settings."""
_PUBLIC_TEXTS_OF_REFUSALS: Final[Mapping[int, str]] = {
    401: "the service refuses this server's key",
    402: "the service refuses this server's account",
    403: "the service refuses this server's account",
}


class Problem(HTTPException):
    """An error answer of this server itself. FastAPI answers it without :func:`add_exception_handlers`, too."""

    def __init__(self, status: int, name: str, detail: str, *, retry_after: int | None = None) -> None:
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(status, detail, headers)
        self.name = name


def add_exception_handlers(app: FastAPI) -> None:
    """Answer with problem details when a handler of ``app`` lets one of this library's errors through."""
    app.add_exception_handler(TopazStatusError, _handle)
    app.add_exception_handler(Problem, _handle)


async def _handle(connection: HTTPConnection, error: Exception) -> Response:
    answer = _answer_to(connection, error)
    if isinstance(connection, WebSocket):  # it has no answer: close it, or refuse it if it is not accepted yet
        await _close(connection, answer)
    return answer


async def _close(websocket: WebSocket, answer: Response) -> None:
    if WebSocketState.DISCONNECTED not in {websocket.client_state, websocket.application_state}:
        code = TRY_AGAIN_LATER if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE else INTERNAL_ERROR
        await websocket.close(code, HTTPStatus(answer.status_code).phrase)


def _answer_to(connection: HTTPConnection, error: Exception) -> Response:
    """Return the answer to a web client; log for the operator what the answer leaves out."""
    log_for_operator(connection, error)
    return problem_of(leaving() if isinstance(error, ConfigurationError) and is_leaving(connection) else error)


def leaving() -> Problem:
    """Return the answer of a server that is about to end."""
    return Problem(503, "going-away", "this server is going away", retry_after=RETRY_AFTER)


def problem_of(error: Exception) -> Response:
    """Return the answer to an error of this library, a :class:`Problem`, or a request that is not valid."""
    match error:
        case Problem():
            return _answer(error.status_code, error.name, str(error.detail), headers=error.headers)
        case RequestValidationError():
            wrong = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
            return _answer(422, "invalid-request", "the request is not valid", errors=wrong)
        case TopazStatusError():
            status, name = next((status, name) for kind, status, name in _STATUS if isinstance(error, kind))
            return _answer(status, name, detail_of(error), headers=_headers(error, status), **_members(error))
        case _:
            raise error


def detail_of(error: TopazStatusError) -> str:
    """Return the text of an error for web clients, without this server's keys, files and settings."""
    for kind, text in _PUBLIC_TEXTS.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, WatchTimeoutError) and error.last_error is not None:
        return f"no poll of {error.job or 'the job'} was answered in time"
    if isinstance(error, ServiceError) and error.status_code in _PUBLIC_TEXTS_OF_REFUSALS:
        return _PUBLIC_TEXTS_OF_REFUSALS[error.status_code]
    return without_urls(str(error))


def _headers(error: TopazStatusError, status: int) -> dict[str, str] | None:
    wait = error.retry_after if isinstance(error, ServiceError) else None
    if wait is None and status not in {429, 503}:
        return None
    return {"Retry-After": str(max(RETRY_AFTER, math.ceil(wait or 0.0)))}


def _members(error: TopazStatusError) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if (job := getattr(error, "job", None)) is not None:
        members["job"] = str(job)
    if isinstance(error, JobError) and error.status is not None:
        members["state"] = error.status.state.value
    return members


def _answer(
    status: int, name: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    phrase = HTTPStatus(status).phrase
    body = {"type": f"urn:topaz-status:{name}", "title": phrase, "status": status, "detail": detail, **members}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


class ProblemRoute(APIRoute):
    """A route that answers errors with problem details in any app, with or without exception handlers for them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, wrapped so that it answers errors with problem details."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, RequestValidationError, TopazStatusError) as error:
                return _answer_to(request, error)

        return handled


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": dict(SCHEMA)}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
