"""Judging an answer (status, headers, bytes): it is usable, or it becomes one of the library's errors.

Whatever bytes come in, this module raises only the library's own errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import attrs

from ...errors import (
    PASSING,
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
)
from ...models.job import JobKind
from ...models.redact import one_line, scrubbed, shortened, without_queries
from .decode import parse_json
from .requests import Request

HTTP_OK: Final = int(HTTPStatus.OK)
LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds; a longer ``Retry-After`` is cut to this."""


@attrs.define
class Response:
    """An answer. The names of its headers are read in lower case."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


def check(request: Request, response: Response, *, wall: float) -> None:
    """Let a 200 (or the 204 of a DELETE) pass.

    Raises:
        ServiceError: for any other status, as the class for that status.
        DecodeError: for any other 2xx.
    """
    status = response.status
    if status == HTTP_OK or (request.method == "DELETE" and status == HTTPStatus.NO_CONTENT):
        return
    if HTTP_OK < status < HTTPStatus.MULTIPLE_CHOICES:
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
    """Make the error of an error answer, whether its body has the form of one of the three services or not."""
    data = _json_object(response.body)
    message, code, details = _error_body(data)
    return _error_class(request.kind, response, data)(
        response.status,
        message,
        code=code,
        job=request.job,
        retry_after=retry_after(response.headers, wall=wall),
        details=details,
    )


def _error_class(kind: JobKind, response: Response, data: dict[str, Any]) -> type[ServiceError]:
    """Return the exception class for an error answer with this body, see :mod:`..health.ending`."""
    status = response.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    if HTTPStatus.BAD_REQUEST <= status not in PASSING and not _is_own(kind, response, data):
        return GatewayError
    return _ERRORS.get(status, ServiceError)


_FOREIGN_FIELDS: Final = frozenset(
    {
        *("status", "statusCode", "path", "timestamp"),  # Spring, NestJS, Kubernetes, RFC 9457, Azure API Management
        *("fault", "description"),  # Apigee, WSO2
        *("__type", "success", "cloudflare_error"),  # Amazon's services, Cloudflare
    }
)
"""Fields in the error bodies of frameworks and gateways."""
_FOREIGN_FORMS: Final = (frozenset({"message", "request_id"}),)
"""Bodies with exactly these fields are a gateway's: Kong's."""
_FOREIGN_MESSAGES: Final = re.compile(
    r"missing authentication token"  # Amazon's API Gateway
    r"|user is not authorized to access this resource( with an explicit deny.*)?"
    r"|no route matched with those values"  # Kong
    r"|no api key found in (request|headers, querystring or body)"
    r"|the current request is not (defined by this api|matched to any defined api)\.?",  # Google's API Gateway
    re.IGNORECASE,
)
"""Messages that only gateways send."""
_FOREIGN_HEADERS: Final = {
    "x-amzn-errortype": re.compile(""),  # Amazon's API Gateway, if no integration has answered
    "x-amzn-waf-action": re.compile(""),
    "x-kong-response-latency": re.compile(""),  # an upstream's answer has X-Kong-Upstream-Latency instead
    "cf-mitigated": re.compile(""),  # Cloudflare's challenges
    "x-squid-error": re.compile(""),
    "server": re.compile(r"kong\b|awselb\b|cloudfront\b|akamaighost\b|big-?ip\b|squid\b", re.IGNORECASE),
}
"""Headers that gateways set only on their own answers, with the beginning of their values.

``Server: cloudflare`` and ``Server: envoy``, ``CF-Ray``, ``Via`` and ``X-Amz-Apigw-Id`` prove nothing: an answer that a
service gives through such a gateway has them as well.
"""


def _is_foreign(headers: Mapping[str, str], data: dict[str, Any]) -> bool:
    """Return True for an answer that is recognisably a gateway's, even if it has the fields of a service's error.

    An unknown field is no such sign, because services add fields.
    """
    if not _FOREIGN_FIELDS.isdisjoint(data) or data.keys() in _FOREIGN_FORMS:
        return True
    message = data.get("message")
    if isinstance(message, str) and _FOREIGN_MESSAGES.fullmatch(message.strip()):
        return True
    return any(sign.match(headers.get(name, "")) for name, sign in _FOREIGN_HEADERS.items() if name in headers)


def _is_own(kind: JobKind, response: Response, data: dict[str, Any]) -> bool:
    """Return True for a 4xx of the service's own: its body is a documented object, and its type is JSON or missing.

    Every 4xx that the documents list for a GET or DELETE has such a body, so an empty one is not the service's own.
    (The documents of Topaz Video have one 4xx without a body: the 413 of a POST.) A 407 is a proxy's by definition
    (RFC 9110 §15.5.8).
    """
    if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or not may_be_json(response.headers):
        return False
    return _OWN_WORDS[kind](response.status, data) and not _is_foreign(response.headers, data)


def may_be_json(headers: Mapping[str, str]) -> bool:
    """Return True for ``application/json``, for a type that ends in ``+json``, and without a type."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return not kind or kind == "application/json" or kind.endswith("+json")


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_OWN_WORDS: Final[Mapping[JobKind, Callable[[int, dict[str, Any]], bool]]] = {
    JobKind.IMAGE: lambda status, data: _text(data.get("message")) and data.get("code", status) in (None, status),
    JobKind.VIDEO: lambda _, data: _text(data.get("message")) and isinstance(data.get("errorCode"), str | None),
    JobKind.TRY_ON: lambda _, data: _text(data.get("error")) and _text(data.get("error_code")),
}
"""Checks for the documented fields. Image: ``{message, code?}``, where the code is the HTTP status; Video: ``{message,
errorCode?}``; Pixelcut: ``{error, error_code}``."""


def _json_object(body: bytes) -> dict[str, Any]:
    """Parse a body that is a JSON object; return an empty one for any other body."""
    try:
        data: Any = parse_json(body)
    except DecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _error_body(data: dict[str, Any]) -> tuple[str | None, str | int | None, tuple[object, ...]]:
    """Read message, code and details of an error answer.

    Image: ``{code, message}``; Video: ``{message, errorCode, errors}``; Pixelcut: ``{error, error_code}``.
    """
    message = next((text for key in ("message", "error") if isinstance(text := data.get(key), str) and text), None)
    codes = (data.get(key) for key in ("errorCode", "error_code", "code"))
    code = next((one for one in codes if isinstance(one, str | int) and not isinstance(one, bool)), None)
    errors = data.get("errors")
    details = tuple(map(scrubbed, errors[:_MOST_DETAILS])) if isinstance(errors, list) else ()
    return (None if message is None else tidy(message)), (tidy(code) if isinstance(code, str) else code), details


_MOST_DETAILS: Final = 20


def tidy(text: str) -> str:
    """Make a service's text fit to be shown: one line, bounded, without signed queries in URLs."""
    return shortened(without_queries(one_line(text)))


def retry_after(headers: Mapping[str, str], *, wall: float) -> float | None:
    """Read the seconds to wait from ``Retry-After`` (RFC 9110 §10.2.3), 0 to 300; ``None`` without a usable one.

    A date is compared with the answer's own ``Date``, so clock skew does not matter. Without a ``Date`` it is compared
    with ``wall``.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        delay = float(text)
    except ValueError:
        at = http_date(text)
        if at is None:
            return None
        delay = max(0.0, at - service_time(headers, wall=wall))
    if not math.isfinite(delay) or delay < 0:
        return None
    return min(delay, LONGEST_RETRY_AFTER)


def service_time(headers: Mapping[str, str], *, wall: float) -> float:
    """Read the service's Unix time of the answer: its ``Date``, or ``wall`` if that is missing or unreadable."""
    text = headers.get("date")
    at = http_date(text) if text else None
    return wall if at is None else at


@lru_cache(maxsize=16)
def http_date(text: str) -> float | None:
    """Read a date as Unix seconds, or ``None``. The cache saves reading the same second's ``Date`` a hundred times."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
