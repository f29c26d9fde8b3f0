"""Error bodies, each in the shape that its service documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from ...models.job import JobKind

IMAGE_MESSAGES: Final = {
    400: "Invalid process ID. Please ensure it is a valid UUID.",
    401: "Unauthorized",
    403: "Forbidden",
    404: "An image with the given process ID was not found.",
    409: "The process cannot be cancelled as it is not in a cancellable state.",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
VIDEO_ERRORS: Final = {
    400: ("Invalid input", "INVALID_INPUT"),
    401: ("Unauthorized", "UNAUTHORIZED"),
    402: ("Insufficient credits", "INSUFFICIENT_CREDITS"),
    403: ("Forbidden", "FORBIDDEN"),
    404: ("Not Found", "INVALID_INPUT"),
    500: ("Internal server error", "SERVER_ERROR"),
    503: ("Service unavailable", "SERVER_MAINTENANCE"),
}
TRY_ON_ERRORS: Final = {
    400: ("The request contained invalid parameters", "invalid_parameter"),
    401: ("API Token not found", "invalid_auth_token"),
    403: ("Insufficient API credits", "insufficient_api_credits"),
    404: ("Job not found", "not_found"),
    409: ("Job already finished", "job_finished"),
    429: ("Too many requests", "rate_limit_exceeded"),
}


def phrase(code: int) -> str:
    """Return HTTP's reason phrase for a status code."""
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def image_problem(code: int, message: str | None) -> dict[str, Any]:
    """Render ``{"code", "message"}``."""
    return {"code": code, "message": message or IMAGE_MESSAGES.get(code) or phrase(code)}


def video_problem(code: int, message: str | None, *, newer: bool = True) -> dict[str, Any]:
    """Render ``{"message", "errorCode"?}``; the founding document has no code."""
    words, error_code = VIDEO_ERRORS.get(code, (phrase(code), None))
    body = {"message": message or words}
    return body | {"errorCode": error_code} if newer and error_code else body


def try_on_problem(code: int, message: str | None) -> dict[str, Any] | None:
    """Render ``{"error", "error_code"}``, where ``error`` is a string; ``None`` where no body is documented."""
    if code not in TRY_ON_ERRORS:
        return None
    words, error_code = TRY_ON_ERRORS[code]
    return {"error": message or words, "error_code": error_code}


def problem(
    kind: JobKind | None, code: int, message: str | None = None, *, newer_video: bool = True
) -> dict[str, Any] | None:
    """Render the body of an error answer; ``None`` where it has no body. A kind of ``None`` stands for storage."""
    if kind is JobKind.IMAGE:
        return image_problem(code, message)
    if kind is JobKind.VIDEO:
        return video_problem(code, message, newer=newer_video)
    if kind is JobKind.TRY_ON:
        return try_on_problem(code, message)
    return {"message": message or phrase(code)}
