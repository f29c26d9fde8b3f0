"""All errors of the library, as one tree.

What to do about each is in ``topaz_status/examples/handling_errors.py``:

    TopazStatusError
    ├── ConfigurationError         bad arguments, a missing key, the wrong loop (also a ValueError)
    ├── ServiceError               the service answered with an error: .status_code .message .code
    │   ├── BadRequestError            400
    │   ├── AuthenticationError        401
    │   ├── PermissionDeniedError      402, 403
    │   ├── NotFoundError              404
    │   ├── ConflictError              409
    │   ├── RateLimitedError           429: .retry_after
    │   ├── ServerError                5xx
    │   └── GatewayError               4xx from a gateway, firewall or portal, not from the service
    ├── TransportError             no usable answer came
    │   └── CertificateError           a certificate cannot be trusted, or ours is refused: waiting does not help
    ├── DecodeError                an answer came that is no status: .problems
    ├── JobError                   the job has no result: .job .status
    │   ├── JobFailedError
    │   ├── JobCanceledError
    │   ├── JobExpiredError
    │   ├── JobLostError               seen before, unknown to the service now
    │   ├── ResultUnavailableError     there is nothing to download (yet)
    │   └── ResultTooLargeError        there is more to download than was allowed: .max_bytes .size
    ├── WatchError                 the wait ended early: .job .last_status
    │   ├── WatchTimeoutError          (also a TimeoutError)
    │   ├── WatchCanceledError
    │   └── ClientClosedError
    ├── StoreError                 durable watches cannot be read or written: .path
    └── CoordinatorError           the processes of one account cannot be joined; only opening a client raises it

Each error has its details as attributes, can be pickled, and holds neither a key nor a signed URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from .errors_base import ConfigurationError, TopazStatusError, _rebuild  # noqa: F401  # pickles name it here
from .models import JobStatus
from .models.job import JobRef

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "CertificateError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "CoordinatorError",
    "DecodeError",
    "GatewayError",
    "JobCanceledError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobLostError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "ResultTooLargeError",
    "ResultUnavailableError",
    "ServerError",
    "ServiceError",
    "StoreError",
    "TopazStatusError",
    "TransportError",
    "WatchCanceledError",
    "WatchError",
    "WatchTimeoutError",
]


class ServiceError(TopazStatusError):
    """The service answered with something other than 200.

    Attributes:
        status_code: the HTTP status.
        message: the service's own message, or else the standard phrase; at most 500 characters.
        code: the service's own error code (``errorCode``, ``error_code``, ``code``), or ``None``.
        job: the job that the request was about, or ``None`` for a list.
        retry_after: seconds that the service asked to wait, or ``None``.
        details: the entries of an ``errors`` list in the answer; empty without one.
    """

    def __init__(
        self,
        status_code: int,
        message: str | None = None,
        *,
        code: str | int | None = None,
        job: JobRef | None = None,
        retry_after: float | None = None,
        details: Sequence[object] = (),
    ) -> None:
        self.status_code = status_code
        self.message = message or _phrase(status_code)
        self.code = code
        self.job = job
        self.retry_after = retry_after
        self.details = tuple(details)
        super().__init__(self.message)

    @property
    def is_transient(self) -> bool:  # type: ignore[override]  # a constant for every other class
        """True for 408, 425, 429 and every 5xx."""
        return self.status_code in PASSING or self.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR

    def __str__(self) -> str:
        about = f" for {self.job}" if self.job else ""
        code = f" [{self.code}]" if self.code not in (None, self.status_code) else ""
        wait = f" (retry after {self.retry_after:g} s)" if self.retry_after is not None else ""
        return f"{self.status_code}{about}: {self.message}{code}{wait}"


PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""The transient 4xx: 408, 425, 429."""


def _phrase(status_code: int) -> str:
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "no message"


class BadRequestError(ServiceError):
    """400: the id or a parameter is malformed."""


class AuthenticationError(ServiceError):
    """401: the API key is missing, wrong or expired."""


class PermissionDeniedError(ServiceError):
    """402 or 403: the key does not permit this, or the credits ran out."""


class NotFoundError(ServiceError):
    """404: the service knows no such job."""


class ConflictError(ServiceError):
    """409: the job's state does not allow the request, such as a download before the end."""


class RateLimitedError(ServiceError):
    """429: too many requests. ``retry_after`` is the wait that the service asked for, in seconds, or ``None``."""


class ServerError(ServiceError):
    """5xx: the service is in trouble."""


class GatewayError(ServiceError):
    """A 4xx from a gateway, firewall or portal, not from the service; it may be transient.

    A 4xx of the service has a JSON body as documented. Gateways, firewalls, proxies and captive portals send HTML,
    plain text, other JSON or nothing. Such an answer says nothing of a job or a key, whatever its code.
    """

    is_transient = True

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; the answer is not the service's own: "
            "check the base URL, and any proxy, firewall or captive portal"
        )


class TransportError(TopazStatusError):
    """No usable answer: no connection, a reset, a timeout, a body cut short or too large.

    Attributes:
        maybe_sent: False only if the request certainly never reached the service.
        job: the job that the request was about, or ``None``.
    """

    is_transient = True

    def __init__(self, message: str, *, maybe_sent: bool = True, job: JobRef | None = None) -> None:
        self.maybe_sent = maybe_sent
        self.job = job
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.job}: {self.args[0]}" if self.job else str(self.args[0])


def is_about_proxy(error: TransportError) -> bool:
    """Return True if a proxy itself failed, not the connection through it, nor the service behind it."""
    text = str(error.args[0])
    return "proxy" in text and "through the proxy" not in text


class CertificateError(TransportError):
    """The certificate of a service or a proxy cannot be trusted, or it refuses ours; waiting does not help.

    A direct call raises this at once. A watch ends with it only once all polls of that service have met it for some
    seconds. The error says nothing of the job, which can be watched again once the cause is removed.
    """

    is_transient = False


class DecodeError(TopazStatusError):
    """A 200 whose body is not what the request asked for.

    Attributes:
        problems: pairs of a path into the body, such as ``data[3].status``, and what is wrong there.
        job: the job that the request was about, or ``None``.
    """

    is_transient = True

    def __init__(self, problems: Sequence[tuple[str, str]], *, job: JobRef | None = None) -> None:
        self.problems = tuple(problems)
        self.job = job
        super().__init__("; ".join(f"{path}: {what}" for path, what in self.problems))

    def __str__(self) -> str:
        about = f" for {self.job}" if self.job else ""
        return f"undecodable answer{about}: {self.args[0]}"


class JobError(TopazStatusError):
    """The job did not give a result.

    Attributes:
        job: the job.
        status: the last status seen, or ``None``.
    """

    verdict = "gave no result"

    def __init__(self, job: JobRef, status: JobStatus | None = None, reason: str | None = None) -> None:
        self.job = job
        self.status = status
        self.reason = reason
        super().__init__(f"{job} {self.verdict}" + (f": {reason}" if reason else ""))


class JobFailedError(JobError):
    """The service could not do the job."""

    verdict = "failed"


class JobCanceledError(JobError):
    """Somebody canceled the job."""

    verdict = "was canceled"


class JobExpiredError(JobError):
    """The service gave up the job because it waited too long."""

    verdict = "expired"


class JobLostError(JobError):
    """The service knew the job and no longer does: its record was deleted. ``status`` is the last one seen."""

    verdict = "is lost: the service has no record of it any more"


class ResultUnavailableError(JobError):
    """There is nothing to download: the job has not ended yet, or the service names no URL.

    This error also means that the storage sends the result in a content coding that cannot be decoded; then ``status``
    is ``None``.
    """

    verdict = "has no result to download"


class ResultTooLargeError(JobError):
    """The result is larger than ``max_bytes``; no part of it was saved.

    Attributes:
        max_bytes: the bytes that were allowed.
        size: the size that the storage announced, in bytes, or ``None``.
    """

    verdict = "has a result that is too large"

    def __init__(self, job: JobRef, max_bytes: int, size: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.size = size
        announced = "more" if size is None else f"{size:,} bytes"
        super().__init__(job, reason=f"{announced} where {max_bytes:,} bytes are allowed")


class WatchError(TopazStatusError):
    """The wait ended before the job did; the job itself goes on.

    Attributes:
        job: the job, or ``None`` if the call was about no job.
        last_status: the last status seen, or ``None``.
    """

    def __init__(self, message: str, *, job: JobRef | None = None, last_status: JobStatus | None = None) -> None:
        self.job = job
        self.last_status = last_status
        super().__init__(message)


class WatchTimeoutError(WatchError, TimeoutError):
    """The watch's own ``timeout`` ran out. ``last_status`` is the last one seen.

    Attributes:
        last_error: the error that every poll met instead of a status; ``None`` if a status came, or if no error is
            known.
    """

    def __init__(
        self,
        message: str,
        *,
        job: JobRef | None = None,
        last_status: JobStatus | None = None,
        last_error: TopazStatusError | None = None,
    ) -> None:
        self.last_error = last_error
        super().__init__(message, job=job, last_status=last_status)


class WatchCanceledError(WatchError):
    """The watch was canceled with ``cancel()``, or by leaving its ``async with``."""


class ClientClosedError(WatchError):
    """The client was closed before the job or the call had ended."""


class StoreError(TopazStatusError):
    """The store of durable watches cannot be used, or refused a write. Its contents are unharmed.

    Attributes:
        path: the file, or ``None`` for a store that is not a file.
        taken_over_by: the client that has the watch now, or ``None`` if that is not the reason. This client's handles
            on the watch end, and all its other watches go on.
        is_transient: true while a database does not answer: the same write may well succeed a little later.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        self.path = path
        self.taken_over_by: str | None = None
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.path}: {self.args[0]}" if self.path else str(self.args[0])


class CoordinatorError(TopazStatusError):
    """The processes of one account cannot be joined: no server answers, or it refuses this one.

    Only opening a client raises it. Afterwards no watch and no call fails because of the server.
    """
