"""The wire without a wire: which request asks for what, and what (status, headers, bytes) answer.

Paths are the vendors' own (Topaz Image API 1.2.0, Topaz Video API 1.0.0, Pixelcut API 0.0.2), below a base URL that the
transport knows. Nothing here raises anything but the library's own errors, whatever bytes come in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import attrs

from ..errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceError,
)
from ..models.redact import one_line, scrubbed, shortened, without_queries
from ..models.state import JobKind, JobRef
from .decode import parse_json

MEBIBYTE: Final = 1 << 20
STATUS_BYTES: Final = 4 * MEBIBYTE
"""Most that one status, or one page, may weigh."""
LIST_BYTES: Final = 256 * MEBIBYTE
"""Most that the unpaginated list may weigh: 7 days of statuses."""
LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds; a longer ``Retry-After`` is cut to this."""


@attrs.define
class Request:
    """One exchange to be made: the path is percent-encoded and holds its query."""

    method: str
    kind: JobKind
    path: str
    job: JobRef | None = None
    max_bytes: int = STATUS_BYTES


@attrs.define
class Response:
    """What came back. Header names are looked up in lower case."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


_STATUS_PATHS: Final = {
    JobKind.IMAGE: ("/image/v1/status/", ""),
    JobKind.VIDEO: ("/video/", "/status"),
    JobKind.TRY_ON: ("/v1/try-on/job/", ""),
}
OK: Final = int(HTTPStatus.OK)
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""What stands in a path as it is (RFC 3986, 2.3)."""


def get_status(job: JobRef) -> Request:
    """Ask for one job."""
    before, after = _STATUS_PATHS[job.kind]
    name = job.id if _UNRESERVED.fullmatch(job.id) else quote(job.id, safe="")
    return Request("GET", job.kind, before + name + after, job)


def image_page(cursor: str | None, limit: int) -> Request:
    """Ask for one page of the account's image jobs."""
    query = {"paginated": "true", "limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
    return Request("GET", JobKind.IMAGE, f"/image/v1/status?{urlencode(query)}")


def image_list() -> Request:
    """Ask for all image jobs of the last 7 days at once."""
    return Request("GET", JobKind.IMAGE, "/image/v1/status", max_bytes=LIST_BYTES)


def delete_image(job: JobRef) -> Request:
    """Remove the record of one image job."""
    return Request("DELETE", JobKind.IMAGE, get_status(job).path, job)


def delete_images() -> Request:
    """Remove the records of all image jobs."""
    return Request("DELETE", JobKind.IMAGE, "/image/v1/status")


def image_download(job: JobRef) -> Request:
    """Ask for a link to an image job's result."""
    return Request("GET", JobKind.IMAGE, f"/image/v1/download/{quote(job.id, safe='')}", job)


def video_history(cursor: str | None) -> Request:
    """Ask for one page of the account's video jobs."""
    query = "" if cursor is None else f"?{urlencode({'cursor': cursor})}"
    return Request("GET", JobKind.VIDEO, f"/video/history{query}")


def check(request: Request, response: Response, *, wall: float) -> None:
    """Let a 200 (or the 204 of a DELETE) pass.

    Raises:
        ServiceError: for any other status, as the exception that is its own.
        DecodeError: for a 2xx that a GET does not get.
    """
    status = response.status
    if status == OK or (request.method == "DELETE" and status == HTTPStatus.NO_CONTENT):
        return
    if OK < status < HTTPStatus.MULTIPLE_CHOICES:
        raise DecodeError([("$", f"answered {status}, which carries no status")], job=request.job)
    raise service_error(request, response, wall=wall)


_ERRORS: Final[Mapping[int, type[ServiceError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitedError,
}


def service_error(request: Request, response: Response, *, wall: float) -> ServiceError:
    """Read an error answer, in any of the three services' shapes or in none."""
    default = ServerError if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ServiceError
    message, code, details = _error_body(response.body)
    return _ERRORS.get(response.status, default)(
        response.status,
        message,
        code=code,
        job=request.job,
        retry_after=retry_after(response.headers, wall=wall),
        details=details,
    )


def _error_body(body: bytes) -> tuple[str | None, str | int | None, tuple[object, ...]]:
    """Message, code and details of an error answer.

    Image: ``{code, message}``; Video: ``{message, errorCode, errors}``; Pixelcut: ``{error, error_code}``.
    """
    try:
        data: Any = parse_json(body)
    except DecodeError:
        return None, None, ()
    if not isinstance(data, dict):
        return None, None, ()
    message = next((text for key in ("message", "error") if isinstance(text := data.get(key), str) and text), None)
    codes = (data.get(key) for key in ("errorCode", "error_code", "code"))
    code = next((one for one in codes if isinstance(one, str | int) and not isinstance(one, bool)), None)
    errors = data.get("errors")
    details = tuple(map(scrubbed, errors[:_MOST_DETAILS])) if isinstance(errors, list) else ()
    return (None if message is None else tidy(message)), (tidy(code) if isinstance(code, str) else code), details


_MOST_DETAILS: Final = 20


def tidy(text: str) -> str:
    """Make a service's words fit to be shown: one line, bounded, no signed query in any URL."""
    return shortened(without_queries(one_line(text)))


def retry_after(headers: Mapping[str, str], *, wall: float) -> float | None:
    """Seconds to wait by ``Retry-After`` (RFC 9110 §10.2.3), 0 to 300; ``None`` without one that makes sense.

    A date is read against the answer's own ``Date``, so that no clock skew enters; ``wall`` serves where that is
    missing.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        delay = float(text)
    except ValueError:
        at = _http_date(text)
        if at is None:
            return None
        delay = max(0.0, at - service_time(headers, wall=wall))
    if not math.isfinite(delay) or delay < 0:
        return None
    return min(delay, LONGEST_RETRY_AFTER)


def service_time(headers: Mapping[str, str], *, wall: float) -> float:
    """The service's Unix time when it answered: its ``Date``, or ``wall`` where that is missing or unreadable."""
    text = headers.get("date")
    at = _http_date(text) if text else None
    return wall if at is None else at


@lru_cache(maxsize=16)
def _http_date(text: str) -> float | None:
    """Unix seconds, or ``None``. The cache spares reading the same second's ``Date`` a hundred times."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
